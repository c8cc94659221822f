//! From raw values to valid ones: every rule that a manifest can break on its
//! own, without looking at a picture. Rules that users break together are
//! [`Desired::new`](crate::core::model::Desired::new)'s.

use std::collections::BTreeMap;

use crate::core::model::{
    DesiredUser, Entry, Guardrails, IDENTITY_KEYS, Limit, Pointer, Problem, Related, Severity,
};
use crate::core::value::{DisplayName, Email, Invalid, PlatformId, Title, UserKey};

use super::avatars::Wanted;
use super::document::{COMPANY, GUARDRAILS, Odd, Raw, RawPart, RawUser, RawUsers, Shape, TOP, USER};
use super::suggest;

/// The most problems that are told apart; of more only the number is told. A
/// million users without an email are one mistake, not a million.
const MOST_PROBLEMS: usize = 1_000;
/// The most warnings of one kind that are told apart.
const MOST_WARNINGS: usize = 20;
/// The most characters of a text that a message repeats.
const MOST_REPEATED: usize = 60;
/// What one user's metadata may come to, in bytes of keys and values. Whop
/// names no limit; under 16 KB is assumed (`whop-api.md` §3), and
/// [`IDENTITY_KEYS`] need some of it.
const MOST_METADATA: usize = 15_000;
/// The longest metadata key, in characters. Ours; Whop names no limit.
const MOST_KEY: usize = 100;

/// Everything found so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    errors: Vec<Problem>,
    /// How many errors there was no room for.
    errors_left_out: usize,
    warnings: Vec<Problem>,
    warnings_left_out: usize,
}

impl Found {
    /// Keeps an error, or counts it.
    pub(super) fn push(&mut self, problem: Problem) {
        if self.has_room() {
            self.errors.push(problem);
        } else {
            self.errors_left_out += 1;
        }
    }

    /// Whether another error would be kept.
    pub(super) fn has_room(&self) -> bool {
        self.errors.len() < MOST_PROBLEMS
    }

    /// Whether there is no error.
    pub(super) fn is_fine(&self) -> bool {
        self.errors.is_empty()
    }

    /// Keeps a warning about an address at a reserved domain, or counts it.
    fn warn(&mut self, problem: Problem) {
        if self.warnings.len() < MOST_WARNINGS {
            self.warnings.push(problem);
        } else {
            self.warnings_left_out += 1;
        }
    }

    /// Errors and warnings, each followed by the number of those left out.
    pub(super) fn all(self) -> (Vec<Problem>, Vec<Problem>) {
        let Self {
            mut errors,
            errors_left_out,
            mut warnings,
            warnings_left_out,
        } = self;
        let more = |problems: &mut Vec<Problem>, count: usize, what: &str, hint: &str| {
            let last = problems.last().filter(|_| count > 0);
            if let Some(at) = last.map(|last| last.at.clone()) {
                problems.push(error("more", at, format!("… and {count} more {what}"), hint));
            }
        };
        more(
            &mut errors,
            errors_left_out,
            "problems",
            "mend those that are listed first; they are often of one kind",
        );
        more(
            &mut warnings,
            warnings_left_out,
            "addresses at reserved domains",
            RESERVED_HINT,
        );
        for warning in &mut warnings {
            warning.severity = Severity::Warning;
        }
        (errors, warnings)
    }
}

const RESERVED_HINT: &str =
    "the emulator takes it; Whop may refuse it as undeliverable, since no mail can arrive there";

/// An error that has not been placed yet.
pub(super) fn error(
    code: &'static str,
    at: Pointer,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> Problem {
    Problem {
        severity: Severity::Error,
        code,
        message: message.into(),
        hint: Some(hint.into()),
        at,
        place: None,
        related: Vec::new(),
    }
}

/// A text from the manifest within a message: in quotes, and never endless.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MOST_REPEATED) {
        None => format!("`{text}`"),
        Some((end, _)) => format!("`{}…`", &text[..end]),
    }
}

/// How a field's value is read and what is said when it cannot be.
struct Field<T> {
    name: &'static str,
    /// The code of a value that does not parse.
    code: &'static str,
    hint: &'static str,
    parse: fn(&str) -> Result<T, Invalid>,
}

const ID: Field<UserKey> = Field {
    name: "id",
    code: "bad_id",
    hint: "write your platform's own id of this user, such as `user_12345`",
    parse: UserKey::parse,
};
const EMAIL: Field<Email> = Field {
    name: "email",
    code: "bad_email",
    hint: "write an address such as `jane@company.com`",
    parse: Email::parse,
};
const NAME: Field<DisplayName> = Field {
    name: "name",
    code: "bad_name",
    hint: "write the name that your company's members see, 1 to 100 characters on one line",
    parse: DisplayName::parse,
};
const TITLE: Field<Title> = Field {
    name: "title",
    code: "bad_title",
    hint: "write 1 to 255 characters on one line, or leave `title` out",
    parse: Title::parse,
};
const RENAMED: Field<UserKey> = Field {
    name: "renamed_from",
    code: "bad_renamed_from",
    hint: "write the id that this user had before, or leave `renamed_from` out",
    parse: UserKey::parse,
};
const AVATAR: Field<Box<str>> = Field {
    name: "avatar",
    code: "bad_avatar_path",
    hint: "write the path of a picture, or leave `avatar` out: the picture is not managed then",
    // Paths are checked where pictures are read.
    parse: |text| Ok(text.into()),
};

/// The platform and the limits that a manifest states, as far as it does.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) platform: Option<PlatformId>,
    pub(super) guardrails: Guardrails,
}

/// Checks what stands above the users, in all parts together. A part that
/// could not be read is `None`: what it lacks cannot be told.
pub(super) fn head(parts: &[Option<RawPart<'_>>], found: &mut Found) -> Head {
    let mut head = Head::default();
    let mut company: Option<(Pointer, Box<str>)> = None;
    let mut limits = BTreeMap::new();
    let mut version = false;
    let mut users = false;
    let mut whole = true;
    for (at, part) in documents(parts) {
        let Some(part) = part.filter(|part| !part.empty) else {
            if part.is_some() {
                found.push(error(
                    "empty_manifest",
                    at,
                    "there is nothing in this manifest",
                    "write `version: 1`, `company: biz_…` and `users:`, or run `whop-sync init`",
                ));
            }
            whole = false;
            continue;
        };
        odd(&part.odd, &at, found);
        version |= check_version(&part.version, &at, found);
        check_company(&part.company, &at, &mut company, &mut head, found);
        whole &= part.company.iter().all(|(_, raw)| *raw != Raw::Skipped);
        for (name, raw) in &part.guardrails {
            check_limit(name, raw, &at, &mut limits, found);
        }
        users |= !matches!(part.users, RawUsers::Absent);
        if matches!(part.users, RawUsers::Null) {
            found.push(error(
                "empty_users",
                at.field("users"),
                "`users` has nothing below it",
                "add users, each beginning with `- id: …`; to manage nobody, write `users: []`",
            ));
        }
    }
    if whole {
        missing_fields(version, company.is_some(), users, found);
    }
    let limit = |name: &str| limits.get(name).map(|(_, limit)| *limit);
    head.guardrails = Guardrails {
        max_creates: limit("max_creates"),
        max_updates: limit("max_updates"),
        max_avatars: limit("max_avatars"),
    };
    head
}

/// The parts, each with what points at it as a whole.
fn documents<'p, 't>(
    parts: &'p [Option<RawPart<'t>>],
) -> impl Iterator<Item = (Pointer, Option<&'p RawPart<'t>>)> {
    (0..).zip(parts).map(|(part, raw)| {
        let at = Pointer {
            part,
            ..Pointer::default()
        };
        (at, raw.as_ref())
    })
}

fn missing_fields(version: bool, company: bool, users: bool, found: &mut Found) {
    let required = [
        (version, "version", "add the line `version: 1`"),
        (
            company,
            "company",
            "add the line `company: biz_…` with your platform's own account on Whop",
        ),
        (
            users,
            "users",
            "add `users:` and below it one `- id: …` for each user; to manage nobody, write `users: []`",
        ),
    ];
    for (there, name, hint) in required {
        if !there {
            let at = Pointer::default().field(name);
            found.push(error(
                "missing_field",
                at,
                format!("the manifest has no `{name}`"),
                hint,
            ));
        }
    }
}

/// Reports what should not be there.
fn odd(odd: &[Odd], at: &Pointer, found: &mut Found) {
    for odd in odd {
        found.push(match odd {
            Odd::Repeated(name) => {
                let at = at.field(name);
                Problem {
                    related: vec![Related {
                        at: at.clone(),
                        place: None,
                        note: "it stands here first".to_owned(),
                    }],
                    ..error(
                        "repeated_field",
                        at,
                        format!("{} stands more than once", quoted(name)),
                        "keep one of them",
                    )
                }
            }
            Odd::Unknown(name) if &**name == "<<" => error(
                "merge_key",
                at.field(name),
                "merge keys (`<<`) are not supported",
                "write the fields out; an alias for a whole value, such as `metadata: *team`, is fine",
            ),
            Odd::Unknown(name) => error(
                "unknown_field",
                at.field(name),
                format!("there is no field {}", quoted(name)),
                unknown_hint(name, at.user.is_some()),
            ),
        });
    }
}

/// What was probably meant by an unknown field.
fn unknown_hint(name: &str, of_user: bool) -> String {
    let top: Vec<_> = TOP.iter().chain(&COMPANY[1..]).copied().collect();
    let (within, name, known, elsewhere): (_, _, &[&'static str], &[&str]) = match name.split_once('.') {
        Some(("guardrails", name)) if !of_user => ("guardrails.", name, &GUARDRAILS, &[]),
        _ if of_user => ("", name, &USER, &TOP),
        _ => ("", name, &top, &USER),
    };
    if elsewhere.contains(&name) {
        return if of_user {
            format!("`{name}` belongs at the beginning of a line, outside `users`; check the indentation")
        } else {
            format!("`{name}` belongs to a user: indent it below the user's `- id: …`")
        };
    }
    match suggest::field(name, known) {
        Some(meant) => format!("did you mean `{within}{meant}`?"),
        None if of_user => {
            "the fields of a user are id, email, name, avatar, title, metadata and renamed_from; \
            put what is your own below `metadata`"
                .to_owned()
        }
        None if !within.is_empty() => {
            "the guardrails are max_creates, max_updates and max_avatars".to_owned()
        }
        None => "the fields of a manifest are version, company, guardrails and users".to_owned(),
    }
}

/// Says that a value is no single text that could be read, if so.
fn text<'r>(
    raw: &'r Raw<'_>,
    name: &str,
    whose: &str,
    at: &Pointer,
    hint: &str,
    found: &mut Found,
) -> Option<&'r str> {
    match raw {
        Raw::Text(text) => Some(text),
        Raw::Absent | Raw::Skipped => None,
        Raw::Null => {
            found.push(error(
                "empty_value",
                at.clone(),
                format!("the {name}{whose} is empty"),
                hint,
            ));
            None
        }
        Raw::Tagged(tag) => {
            found.push(error(
                "unknown_tag",
                at.clone(),
                format!("the {name}{whose} carries the tag `!{tag}`, which means nothing here"),
                "write the value itself; put it in quotes if it begins with `!`",
            ));
            None
        }
    }
}

/// Whether a version is stated at all.
fn check_version(raw: &Raw<'_>, at: &Pointer, found: &mut Found) -> bool {
    let at = at.field("version");
    let hint = "write `version: 1`";
    if let Some(version) = text(raw, "version", "", &at, hint, found)
        && version != "1"
    {
        found.push(error(
            "bad_version",
            at,
            format!("version {} is not known to this program", quoted(version)),
            "write `version: 1`; a manifest of a later version needs a later whop-sync",
        ));
    }
    *raw != Raw::Absent
}

fn check_company(
    company: &[(&'static str, Raw<'_>)],
    at: &Pointer,
    first: &mut Option<(Pointer, Box<str>)>,
    head: &mut Head,
    found: &mut Found,
) {
    for (nth, (name, raw)) in company.iter().enumerate() {
        let at = at.field(name);
        if nth > 0 {
            let (other, _) = company[0];
            let message = format!("`{other}` and `{name}` name the same thing");
            found.push(Problem {
                related: vec![Related {
                    at: at.field(other),
                    place: None,
                    note: "it stands here first".to_owned(),
                }],
                ..error("company_twice", at, message, "keep one of them, best `company`")
            });
            continue;
        }
        let hint =
            "copy the id of your platform's own account from its dashboard on Whop; it begins with `biz_`";
        let Some(text) = text(raw, name, "", &at, hint, found) else {
            // It is there, if only as a problem that is already told.
            first.get_or_insert((at, "".into()));
            continue;
        };
        match first {
            Some((_, said)) if said.is_empty() => {}
            Some((there, said)) if **said != *text => {
                found.push(Problem {
                    related: vec![Related {
                        at: there.clone(),
                        place: None,
                        note: format!("here it is {}", quoted(said)),
                    }],
                    ..error(
                        "company_differs",
                        at,
                        format!("{} is another company than before", quoted(text)),
                        "one manifest is one company's: correct it, or run each company on its own",
                    )
                });
            }
            Some(_) => {}
            None => {
                *first = Some((at.clone(), text.into()));
                match PlatformId::parse(text) {
                    Ok(platform) => head.platform = Some(platform),
                    Err(why) => found.push(error("bad_company", at, format!("the {name} {why}"), hint)),
                }
            }
        }
    }
}

fn check_limit(
    name: &'static str,
    raw: &Raw<'_>,
    at: &Pointer,
    limits: &mut BTreeMap<&'static str, (Pointer, Limit)>,
    found: &mut Found,
) {
    let at = at.field(&format!("guardrails.{name}"));
    let hint = "write a number of users such as `50`, or a share of them such as `30%`";
    let Some(text) = text(raw, name, "", &at, hint, found) else {
        return;
    };
    let Some(limit) = parse_limit(text) else {
        found.push(error(
            "bad_guardrail",
            at,
            format!(
                "{name} is neither a number nor a percentage up to 100%: {}",
                quoted(text)
            ),
            hint,
        ));
        return;
    };
    match limits.get(name) {
        Some((there, said)) if *said != limit => found.push(Problem {
            related: vec![Related {
                at: there.clone(),
                place: None,
                note: "it stands here first".to_owned(),
            }],
            ..error(
                "guardrail_differs",
                at,
                format!("{name} differs from an earlier file's"),
                "one manifest has one limit of each kind: keep one of them",
            )
        }),
        Some(_) => {}
        None => {
            limits.insert(name, (at, limit));
        }
    }
}

/// Reads a limit: digits alone, or digits and a percent sign.
fn parse_limit(text: &str) -> Option<Limit> {
    let (digits, percent) = match text.strip_suffix('%') {
        Some(digits) => (digits.trim_end(), true),
        None => (text, false),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u32 = digits.parse().ok()?;
    if percent {
        let percent = u8::try_from(number).ok().filter(|percent| *percent <= 100)?;
        Some(Limit::Percent(percent))
    } else {
        Some(Limit::Count(number))
    }
}

/// Checks every user, and lists the pictures that they name. Users with an id
/// are in the list even when something else about them is wrong, so that what
/// stands twice is found in the same run; such a list is never planned from.
pub(super) fn users(parts: Vec<Option<RawPart<'_>>>, found: &mut Found) -> (Vec<Entry>, Vec<Wanted>) {
    let mut entries = Vec::new();
    let mut wanted = Vec::new();
    for (part, raw) in (0..).zip(parts) {
        let Some(RawUsers::List(users)) = raw.map(|raw| raw.users) else {
            continue;
        };
        entries.reserve(users.len());
        for (index, raw) in (0..).zip(users) {
            let at = Pointer {
                part,
                user: Some(index),
                field: None,
            };
            let checked = match raw.shape {
                Shape::Given => user(raw, at.clone(), found),
                Shape::Skipped => None,
                Shape::Empty => {
                    found.push(error(
                        "empty_user",
                        at.clone(),
                        format!("user {} is empty", u64::from(index) + 1),
                        "remove the dash, or write `id`, `email` and `name` behind it",
                    ));
                    None
                }
            };
            let Some((user, path)) = checked else { continue };
            if let Some(path) = path {
                wanted.push(Wanted {
                    entry: entries.len(),
                    at: at.field("avatar"),
                    path,
                });
            }
            entries.push(Entry { user, at });
        }
    }
    (entries, wanted)
}

/// Checks one user; the path is its avatar's.
fn user(raw: RawUser<'_>, at: Pointer, found: &mut Found) -> Option<(DesiredUser, Option<Box<str>>)> {
    let RawUser {
        shape: _,
        id,
        email,
        name,
        avatar,
        title,
        renamed_from,
        metadata,
        odd: surplus,
    } = raw;
    odd(&surplus, &at, found);
    let whose = match &id {
        Raw::Text(id) if !id.is_empty() => format!(" of user {}", quoted(id)),
        _ => format!(" of user {}", at.user.map_or(0, u64::from) + 1),
    };
    let mut check = Checking {
        whose: &whose,
        at: &at,
        found,
    };
    let key = check.required(&id, &ID);
    let email = check.required(&email, &EMAIL);
    let name = check.required(&name, &NAME);
    let title = check.value(&title, &TITLE);
    let renamed_from = check.value(&renamed_from, &RENAMED);
    let path = check.value(&avatar, &AVATAR);
    let metadata = check.metadata(metadata);
    if let Some(email) = &email
        && email.is_reserved()
    {
        let message = format!("the email{whose} is at a domain reserved for examples and tests");
        found.warn(error("reserved_email", at.field("email"), message, RESERVED_HINT));
    }
    // Something wrong stands in for what is missing: nothing will be planned,
    // but the id can still be found to stand twice.
    let stand_in = || Email::parse(&format!("{}.{}@stand-in.invalid", at.part, at.user?)).ok();
    let user = DesiredUser {
        key: key?,
        email: email.or_else(stand_in)?,
        name: name.or_else(|| DisplayName::parse("?").ok())?,
        avatar: None,
        title,
        metadata,
        renamed_from,
    };
    Some((user, path))
}

/// One user's fields being checked.
struct Checking<'c> {
    /// " of user `u`", for messages.
    whose: &'c str,
    at: &'c Pointer,
    found: &'c mut Found,
}

impl Checking<'_> {
    fn required<T>(&mut self, raw: &Raw<'_>, field: &Field<T>) -> Option<T> {
        if *raw == Raw::Absent {
            self.found.push(error(
                "missing_field",
                self.at.field(field.name),
                format!("the {}{} is missing", field.name, self.whose),
                format!("add `{}`: {}", field.name, field.hint),
            ));
        }
        self.value(raw, field)
    }

    fn value<T>(&mut self, raw: &Raw<'_>, field: &Field<T>) -> Option<T> {
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

    fn metadata(
        &mut self,
        fields: Vec<(std::borrow::Cow<'_, str>, Raw<'_>)>,
    ) -> BTreeMap<Box<str>, Box<str>> {
        let mut metadata = BTreeMap::new();
        let mut size = 0;
        for (key, raw) in fields {
            let at = self.at.field(&format!("metadata.{key}"));
            if let Some((code, message, hint)) = bad_key(&key) {
                let message = format!("the metadata key {}{} {message}", quoted(&key), self.whose);
                self.found.push(error(code, at, message, hint));
                continue;
            }
            let name = format!("metadata {}", quoted(&key));
            let hint = "write a text; for an empty one write \"\"";
            let Some(value) = text(&raw, &name, self.whose, &at, hint, self.found) else {
                continue;
            };
            if value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
                let message = format!("the {name}{} contains control characters", self.whose);
                self.found.push(error("bad_metadata", at, message, "remove them"));
                continue;
            }
            size += key.len() + value.len();
            metadata.insert(key.as_ref().into(), value.into());
        }
        if size > MOST_METADATA {
            self.found.push(error(
                "metadata_too_large",
                self.at.field("metadata"),
                format!(
                    "the metadata{} has {size} bytes; at most {MOST_METADATA} are allowed",
                    self.whose
                ),
                "keep ids and labels in metadata, and the rest in your own database",
            ));
        }
        metadata
    }
}

/// Why a metadata key cannot be used, if so: code, message and hint.
fn bad_key(key: &str) -> Option<(&'static str, &'static str, &'static str)> {
    if IDENTITY_KEYS.contains(&key) {
        return Some((
            "reserved_metadata",
            "is set by whop-sync itself",
            "remove it: it always holds the user's `id`",
        ));
    }
    let hint = "use a short name, such as `tier`";
    if key == "<<" {
        return Some((
            "merge_key",
            "is a merge key, which is not supported",
            "write the keys out",
        ));
    }
    if key.is_empty() || key.trim() != key {
        return Some(("bad_metadata", "is empty or has white space around it", hint));
    }
    if key.chars().any(char::is_control) {
        return Some(("bad_metadata", "contains control characters", hint));
    }
    (key.chars().count() > MOST_KEY).then_some(("bad_metadata", "is longer than 100 characters", hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_or_percentages() {
        for (text, limit) in [
            ("0", Some(Limit::Count(0))),
            ("4294967295", Some(Limit::Count(u32::MAX))),
            ("30%", Some(Limit::Percent(30))),
            ("100 %", Some(Limit::Percent(100))),
            ("101%", None),
            ("4294967296", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("%", None),
            ("", None),
        ] {
            assert_eq!(parse_limit(text), limit, "{text}");
        }
    }

    #[test]
    fn a_flood_of_problems_is_counted() {
        let mut found = Found::default();
        for _ in 0..MOST_PROBLEMS + 5 {
            found.push(error("x", Pointer::default(), "m", "h"));
        }
        let (errors, warnings) = found.all();
        assert_eq!(errors.len(), MOST_PROBLEMS + 1);
        assert_eq!(errors[MOST_PROBLEMS].message, "… and 5 more problems");
        assert!(warnings.is_empty());
    }

    #[test]
    fn long_texts_are_quoted_in_part() {
        assert_eq!(quoted("é"), "`é`");
        assert_eq!(
            quoted(&"é".repeat(99)),
            format!("`{}…`", "é".repeat(MOST_REPEATED))
        );
    }
}
