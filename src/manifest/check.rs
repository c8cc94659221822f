//! Turns raw values into valid ones: every rule that a user can break on its
//! own, pictures aside. Rules across users are checked by
//! [`Desired::new`](crate::core::model::Desired::new).

use std::borrow::Cow;
use std::fmt;

use crate::core::field::TextField;
use crate::core::guard::Guard;
use crate::core::model::{DesiredUser, Entry, IDENTITY_KEYS, Stand};
use crate::core::problem::{Pointer, Problem, Related};
use crate::core::problem_code::ProblemCode;
use crate::core::text::{KeyLists, Texts};
use crate::core::value::{DisplayName, Email, Invalid, UserKey};

use super::avatars::RequestedPicture;
use super::diagnostics::{Found, RESERVED_HINT, error, quoted};
use super::document::{COMPANY, RawUser, Shape, TOP, USER, UnexpectedField};
use super::scalar::Raw;
use super::suggest;

/// The most metadata per user, in bytes of keys and values. Whop documents no
/// limit; 16 KB is assumed ([accounts](crate::whop_api#accounts)), and
/// [`IDENTITY_KEYS`] need some of it.
const MOST_METADATA: usize = 15_000;
/// The longest metadata key, in characters. Our own limit; Whop documents none.
const MOST_KEY: usize = 100;

/// How a field's value is read and what is said when it cannot be.
struct Field<P> {
    /// The field's name, in the manifest and in messages.
    name: &'static str,
    /// The code of a value that does not parse.
    code: ProblemCode,
    /// What to write instead, whatever was wrong.
    hint: &'static str,
    /// The value's own parser; its refusal follows the field's name.
    parse: P,
}

/// A parser that needs nothing but the text.
type Parse<T> = fn(&str) -> Result<T, Invalid>;

/// The platform's own id; it becomes metadata ([accounts](crate::whop_api#accounts)).
const ID: Field<Parse<UserKey>> = Field {
    name: "id",
    code: ProblemCode::BadId,
    hint: "write your platform's own id of this user, such as `user_12345`",
    parse: UserKey::parse,
};
/// The address an account is created with, and cannot change later.
const EMAIL: Field<Parse<Email>> = Field {
    name: "email",
    code: ProblemCode::BadEmail,
    hint: "write an address such as `jane@company.com`",
    parse: Email::parse,
};
/// What `strip_metadata` may be.
pub(super) const STRIP_HINT: &str =
    "`true` removes metadata such as location from pictures; `false` keeps it";
/// Whether the picture is rid of what it says beside its pixels.
const STRIP: Field<Parse<bool>> = Field {
    name: "strip_metadata",
    code: ProblemCode::BadStripMetadata,
    hint: STRIP_HINT,
    parse: parse_switch,
};
/// The id before; links the account that is known under it.
const RENAMED: Field<Parse<UserKey>> = Field {
    name: "renamed_from",
    code: ProblemCode::BadRenamedFrom,
    hint: "write the id that this user had before, or leave `renamed_from` out",
    parse: UserKey::parse,
};
/// The picture's path. Null is refused here and for the other optional fields:
/// it could as well mean "remove it", which Whop does not offer.
const AVATAR: Field<Parse<Box<str>>> = Field {
    name: "avatar",
    code: ProblemCode::BadAvatarPath,
    hint: "write the path of a picture, or leave `avatar` out: the picture is not managed then",
    // Paths are checked when pictures are read.
    parse: |text| Ok(text.into()),
};

/// Reads a switch. YAML 1.1's `yes` and `on` are texts here, not switches.
pub(super) fn parse_switch(text: &str) -> Result<bool, Invalid> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Invalid("is neither `true` nor `false`".to_owned())),
    }
}

/// Reports fields that should not be there.
pub(super) fn odd(odd: &[UnexpectedField], at: &Pointer, found: &mut Found) {
    for odd in odd {
        found.push(match odd {
            UnexpectedField::Repeated(name) => {
                let at = at.field(name);
                Problem {
                    related: vec![Related {
                        at: at.clone(),
                        place: None,
                        note: "it appears here first".to_owned(),
                    }],
                    ..error(
                        ProblemCode::RepeatedField,
                        at,
                        format!("{} appears more than once", quoted(name)),
                        "keep one of them",
                    )
                }
            }
            UnexpectedField::Unknown(name) if matches!(&**name, "<<" | "guardrails.<<") => error(
                ProblemCode::MergeKey,
                at.field(name),
                "merge keys (`<<`) are not supported",
                "write out the fields; an alias for a whole value, such as `metadata: *team`, is fine",
            ),
            UnexpectedField::Unknown(name) => error(
                ProblemCode::UnknownField,
                at.field(name),
                format!("there is no field {}", quoted(name)),
                unknown_hint(name, at.user.is_some()),
            ),
        });
    }
}

/// Suggests the field that was probably intended.
fn unknown_hint(name: &str, of_user: bool) -> String {
    let top: Vec<_> = TOP.iter().chain(&COMPANY[1..]).copied().collect();
    let guardrails: Vec<_> = Guard::with_limit().map(Guard::name).collect();
    let (within, name, known, elsewhere): (_, _, &[&'static str], &[&str]) = match name.split_once('.') {
        Some(("guardrails", name)) if !of_user => ("guardrails.", name, &guardrails, &[]),
        _ if of_user => ("", name, &USER, &TOP),
        _ => ("", name, &top, &USER),
    };
    if elsewhere.contains(&name) {
        return if of_user {
            format!("`{name}` belongs at the start of a line, outside `users`; check the indentation")
        } else {
            format!("`{name}` belongs to a user: indent it below the user's `- id: …`")
        };
    }
    match suggest::field(name, known) {
        Some(meant) => format!("did you mean `{within}{meant}`?"),
        None if of_user => format!(
            "the fields of a user are {}; put your own fields below `metadata`",
            listed(&USER)
        ),
        None if !within.is_empty() => {
            format!("the guardrails are {}", listed(&guardrails))
        }
        None => {
            "the fields of a manifest are version, company, strip_metadata, guardrails and users".to_owned()
        }
    }
}

/// Names in a sentence: `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

/// Says that a value is no single text that could be read, if so.
pub(super) fn text<'r>(
    raw: &'r Raw<'_>,
    name: &str,
    whose: impl fmt::Display,
    at: &Pointer,
    hint: &str,
    found: &mut Found,
) -> Option<&'r str> {
    match raw {
        Raw::Text(text) => Some(text),
        Raw::Absent | Raw::Skipped => None,
        Raw::Null => {
            found.push(error(
                ProblemCode::EmptyValue,
                at.clone(),
                format!("the {name}{whose} is empty"),
                hint,
            ));
            None
        }
        Raw::Tagged(tag) => {
            found.push(error(
                ProblemCode::UnknownTag,
                at.clone(),
                format!("the {name}{whose} has the tag `!{tag}`, which is not supported"),
                "write the value itself; put it in quotes if it starts with `!`",
            ));
            None
        }
    }
}

/// Checked users, and the pictures that they name.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// The users.
    pub(super) entries: Vec<Entry>,
    /// The pictures.
    pub(super) wanted: Vec<RequestedPicture>,
}

impl Checked {
    /// Appends more users.
    pub(super) fn append(&mut self, mut more: Self) {
        let before = self.entries.len();
        if self.entries.capacity() == 0 {
            // A manifest in one file is not copied.
            *self = more;
            return;
        }
        more.wanted.iter_mut().for_each(|wanted| wanted.entry += before);
        self.entries.append(&mut more.entries);
        self.wanted.append(&mut more.wanted);
    }
}

/// Checks the users of a part; `first` is the number of its first user. A user
/// with an id is kept even if something else is wrong, so that duplicates are
/// found in the same run. Such a list never becomes a plan.
pub(super) fn users(part: u32, first: u32, users: Vec<RawUser<'_>>, found: &mut Found) -> Checked {
    let mut checked = Checked::default();
    checked.entries.reserve_exact(users.len());
    let mut lists = KeyLists::default();
    for (index, raw) in (first..).zip(users) {
        let at = Pointer {
            part,
            user: Some(index),
            field: None,
        };
        let (mut user, picture) = match raw.shape {
            Shape::Given => match user(raw, at.clone(), found) {
                Some(user) => user,
                None => continue,
            },
            Shape::Skipped => continue,
            Shape::Empty => {
                found.push(error(
                    ProblemCode::EmptyUser,
                    at.clone(),
                    format!("user {} is empty", u64::from(index) + 1),
                    "remove the dash, or write `id`, `email` and `name` after it",
                ));
                continue;
            }
        };
        if let Some((path, strip)) = picture {
            checked.wanted.push(RequestedPicture {
                entry: checked.entries.len(),
                at: at.field("avatar"),
                path,
                strip,
            });
        }
        lists.share(&mut user.metadata);
        let at = Stand { part, user: index };
        checked.entries.push(Entry { user, at });
    }
    checked
}

/// A picture's path, and whether the user overrides stripping.
type NamedPicture = (Box<str>, Option<bool>);

/// Checks one user and the picture it names.
fn user(raw: RawUser<'_>, at: Pointer, found: &mut Found) -> Option<(DesiredUser, Option<NamedPicture>)> {
    let RawUser {
        shape: _,
        id,
        email,
        texts,
        avatar,
        strip_metadata,
        renamed_from,
        metadata,
        odd: surplus,
    } = raw;
    odd(&surplus, &at, found);
    let whose = Whose { id: &id, at: &at };
    let mut check = Checking {
        whose,
        at: &at,
        found,
    };
    let key = check.required(&id, ID);
    let email = check.required(&email, EMAIL);
    if let Some(email) = &email
        && email.is_reserved()
    {
        let message = format!("the email{whose} is at a domain reserved for examples and tests");
        let problem = error(
            ProblemCode::ReservedEmail,
            at.field("email"),
            message,
            RESERVED_HINT,
        );
        check.found.warn(problem);
    }
    // Missing values get placeholders. Nothing will be planned, but duplicates
    // of the id are still found.
    let stand_in = || Email::parse(&format!("{}.{}@stand-in.invalid", at.part, at.user?)).ok();
    let mut user = DesiredUser::new(
        key.clone().or_else(|| UserKey::parse("?").ok())?,
        email.or_else(stand_in)?,
        DisplayName::parse("?").ok()?,
    );
    for field in TextField::ALL {
        check.text(field, &texts[field], &mut user);
    }
    user.renamed_from = check.value(&renamed_from, RENAMED);
    let path = check.value(&avatar, AVATAR);
    let strip = check.value(&strip_metadata, STRIP);
    user.metadata = check.metadata(metadata);
    key?;
    Some((user, path.map(|path| (path, strip))))
}

/// " of user `u`", for messages. Formatted only if there is one.
#[derive(Clone, Copy)]
struct Whose<'c> {
    id: &'c Raw<'c>,
    at: &'c Pointer,
}

impl fmt::Display for Whose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Raw::Text(id) if !id.is_empty() => write!(f, " of user {}", quoted(id)),
            _ => write!(f, " of user {}", self.at.user.map_or(0, u64::from) + 1),
        }
    }
}

/// The state of checking one user.
struct Checking<'c> {
    whose: Whose<'c>,
    at: &'c Pointer,
    found: &'c mut Found,
}

impl Checking<'_> {
    /// A managed text, which goes into `user`.
    fn text(&mut self, field: TextField, raw: &Raw<'_>, user: &mut DesiredUser) {
        let how = Field {
            name: field.name(),
            code: field.problem(),
            hint: field.hint(),
            parse: |text: &str| field.ask(user, text),
        };
        match field.is_required() {
            true => self.required(raw, how),
            false => self.value(raw, how),
        };
    }

    /// A field that every user has; says so where it is missing.
    fn required<T, P: FnMut(&str) -> Result<T, Invalid>>(
        &mut self,
        raw: &Raw<'_>,
        field: Field<P>,
    ) -> Option<T> {
        if *raw == Raw::Absent {
            self.found.push(error(
                ProblemCode::MissingField,
                self.at.field(field.name),
                format!("the {}{} is missing", field.name, self.whose),
                format!("add `{}`: {}", field.name, field.hint),
            ));
        }
        self.value(raw, field)
    }

    /// A field's value, if it is there and right; says what is wrong otherwise.
    fn value<T, P: FnMut(&str) -> Result<T, Invalid>>(
        &mut self,
        raw: &Raw<'_>,
        mut field: Field<P>,
    ) -> Option<T> {
        // The usual case must not pay for a pointer that nobody looks at.
        if let Raw::Text(text) = raw
            && let Ok(value) = (field.parse)(text)
        {
            return Some(value);
        }
        let at = self.at.field(field.name);
        let text = text(raw, field.name, self.whose, &at, field.hint, self.found)?;
        let why = (field.parse)(text).err()?;
        let message = format!("the {}{} {why}", field.name, self.whose);
        self.found.push(error(field.code, at, message, field.hint));
        None
    }

    /// The valid metadata; reports every invalid key and value. An empty text
    /// is allowed, null is not, because it could mean "remove".
    fn metadata(&mut self, fields: Vec<(Cow<'_, str>, Raw<'_>)>) -> Texts {
        let mut metadata = Vec::with_capacity(fields.len());
        let mut size = 0;
        for (key, raw) in fields {
            // The usual case should not pay for messages that are not used.
            match &raw {
                Raw::Text(value) if bad_key(&key).is_none() && !value.chars().any(is_odd) => {
                    size += key.len() + value.len();
                    // A repeated key was reported when it was read.
                    metadata.push((key.as_ref().into(), value.as_ref().into()));
                }
                _ => self.bad_metadata(&key, &raw),
            }
        }
        if size > MOST_METADATA {
            self.found.push(error(
                ProblemCode::MetadataTooLarge,
                self.at.field("metadata"),
                format!(
                    "the metadata{} has {size} bytes; at most {MOST_METADATA} are allowed",
                    self.whose
                ),
                "keep ids and labels in metadata, and the rest in your own database",
            ));
        }
        metadata.into_iter().collect()
    }

    /// Reports what is wrong with a key or its value.
    fn bad_metadata(&mut self, key: &str, raw: &Raw<'_>) {
        let at = self.at.field(&format!("metadata.{key}"));
        if let Some((code, message, hint)) = bad_key(key) {
            let message = format!("the metadata key {}{} {message}", quoted(key), self.whose);
            self.found.push(error(code, at, message, hint));
            return;
        }
        let name = format!("metadata {}", quoted(key));
        let hint = "write a text; for an empty one write \"\"";
        if text(raw, &name, self.whose, &at, hint, self.found).is_some() {
            let message = format!("the {name}{} contains control characters", self.whose);
            let hint = "remove them; newlines and tabs are allowed";
            self.found
                .push(error(ProblemCode::BadMetadata, at, message, hint));
        }
    }
}

/// Whether a character is not allowed in a metadata value.
fn is_odd(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

/// Why a metadata key cannot be used, if so: code, message and hint.
fn bad_key(key: &str) -> Option<(ProblemCode, &'static str, &'static str)> {
    if IDENTITY_KEYS.contains(&key) {
        return Some((
            ProblemCode::ReservedMetadata,
            "is set by whop-sync itself",
            "remove it: it always holds the user's `id`",
        ));
    }
    let hint = "use a short name, such as `tier`";
    if key == "<<" {
        return Some((
            ProblemCode::MergeKey,
            "is a merge key, which is not supported",
            "write out the keys",
        ));
    }
    if key.is_empty() || key.trim() != key {
        return Some((
            ProblemCode::BadMetadata,
            "is empty or has white space around it",
            hint,
        ));
    }
    if key.chars().any(char::is_control) {
        return Some((ProblemCode::BadMetadata, "contains control characters", hint));
    }
    (key.chars().count() > MOST_KEY).then_some((
        ProblemCode::BadMetadata,
        "is longer than 100 characters",
        hint,
    ))
}
