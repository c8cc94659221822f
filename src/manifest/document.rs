//! Reads the text of a part with serde into values that are kept exactly as
//! they are written.
//!
//! Reading is tolerant: whatever can be wrong with a field becomes a value that
//! says so, and [`super::check`] reports it. Only two things stop it: a text
//! that is not YAML, and a list or mapping in place of a single value, after
//! which serde cannot continue. For the latter the caller finds out where they
//! are and reads again, skipping them ([`Skips`]).
//!
//! Nothing here grows with the expansion of aliases. Values of unknown fields
//! are skipped without expansion, and the others draw on a budget in proportion
//! to the text.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::scalar::{BUDGET, BUDGET_FLOOR, KeySeed, Raw, Reading, ScalarSeed, Skips};
use crate::core::field::{ByField, TextField};
use crate::core::guard::Guard;

/// A field that should not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UnexpectedField {
    /// An unknown field, by its dotted name.
    Unknown(Box<str>),
    /// A field that appears more than once.
    Repeated(Box<str>),
}

/// What an element of the list is, before its fields are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    /// A mapping.
    #[default]
    Given,
    /// Nothing follows the dash.
    Empty,
    /// Not a mapping, or one that cannot be read; the problem is already known.
    Skipped,
}

/// A user as written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RawUser<'t> {
    /// Whether there is a mapping; otherwise the fields are empty.
    pub(super) shape: Shape,
    pub(super) id: Raw<'t>,
    pub(super) email: Raw<'t>,
    /// The managed texts.
    pub(super) texts: ByField<Raw<'t>>,
    pub(super) avatar: Raw<'t>,
    pub(super) strip_metadata: Raw<'t>,
    pub(super) renamed_from: Raw<'t>,
    /// Keys and values, in the order of the text.
    pub(super) metadata: Vec<(Cow<'t, str>, Raw<'t>)>,
    /// Fields that should not be there.
    pub(super) odd: Vec<UnexpectedField>,
}

/// The list of users.
#[derive(Debug, Default)]
pub(super) enum RawUsers<'t> {
    /// There is no `users`.
    #[default]
    Absent,
    /// `users` has no value.
    Null,
    /// Not a list; the problem is already known.
    Skipped,
    /// The users, in order.
    List(Vec<RawUser<'t>>),
}

/// A part as written.
#[derive(Debug, Default)]
pub(super) struct RawPart<'t> {
    /// Whether the text contains only comments.
    pub(super) empty: bool,
    /// The format's version.
    pub(super) version: Raw<'t>,
    /// The company, under each of the names in use.
    pub(super) company: Vec<(&'static str, Raw<'t>)>,
    /// Whether metadata is removed from pictures.
    pub(super) strip_metadata: Raw<'t>,
    /// The guardrails, in the order of the text.
    pub(super) guardrails: Vec<(Guard, Raw<'t>)>,
    /// The users.
    pub(super) users: RawUsers<'t>,
    /// Fields that should not be there.
    pub(super) odd: Vec<UnexpectedField>,
}

/// The names under which the company may be given.
pub(super) const COMPANY: [&str; 4] = ["company", "account", "parent_company_id", "parent_account_id"];
/// The fields of a document that people write.
pub(super) const TOP: [&str; 5] = ["version", "company", "strip_metadata", "guardrails", "users"];
/// The fields of a user.
pub(super) use crate::core::field::USER_FIELDS as USER;

/// Why a text could not be read.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is not YAML, or not readable by this program; with the parser's
    /// message and, if known, the position in bytes.
    Error {
        /// The parser's message, positions included.
        words: String,
        /// Offset in bytes.
        offset: Option<usize>,
    },
    /// Aliases expand it to many times its size.
    Bomb,
}

/// Reads a part.
pub(super) fn read<'t>(text: &'t str, skips: &Skips) -> Result<RawPart<'t>, Unread> {
    let reading = Reading {
        skips,
        left: Cell::new(text.len().saturating_mul(BUDGET) + BUDGET_FLOOR),
    };
    let deserializer = serde_yaml::Deserializer::from_str(text);
    PartSeed(&reading)
        .deserialize(deserializer)
        .map_err(|error| match reading.left.get() {
            0 => Unread::Bomb,
            _ => unread(&error),
        })
}

/// Reads a text that consists only of a list of users.
pub(super) fn read_users(text: &str) -> Result<Vec<RawUser<'_>>, Unread> {
    let skips = Skips::new();
    let reading = Reading {
        skips: &skips,
        left: Cell::new(text.len().saturating_mul(BUDGET) + BUDGET_FLOOR),
    };
    let seed = UsersSeed {
        reading: &reading,
        skip: false,
    };
    match seed.deserialize(serde_yaml::Deserializer::from_str(text)) {
        Ok(RawUsers::List(users)) => Ok(users),
        Ok(_) => Ok(Vec::new()),
        Err(error) => Err(unread(&error)),
    }
}

/// The parser's own objection to a text, whatever its meaning.
pub(super) fn syntax_error(text: &str) -> Option<Unread> {
    serde_yaml::from_str::<IgnoredAny>(text)
        .err()
        .map(|error| unread(&error))
}

/// Extracts what we need from the parser's error, whose kind is private.
fn unread(error: &serde_yaml::Error) -> Unread {
    Unread::Error {
        words: error.to_string(),
        offset: error.location().map(|location| location.index()),
    }
}

/// Reads the document.
struct PartSeed<'r>(&'r Reading<'r>);

impl<'t> DeserializeSeed<'t> for PartSeed<'_> {
    type Value = RawPart<'t>;
    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'t> Visitor<'t> for PartSeed<'_> {
    type Value = RawPart<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping with version, company and users")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(RawPart {
            empty: true,
            ..RawPart::default()
        })
    }

    fn visit_some<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let reading = self.0;
        let mut part = RawPart::default();
        let mut seen = SeenNames::default();
        while let Some(name) = map.next_key_seed(KeySeed(reading))? {
            if !seen.first(&name) {
                part.odd.push(UnexpectedField::Repeated(name.into()));
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = ScalarSeed {
                reading,
                skip: reading.skips(None, &name),
            };
            if let Some(company) = COMPANY.iter().find(|known| **known == name) {
                part.company.push((company, map.next_value_seed(value)?));
                continue;
            }
            match &*name {
                "version" => part.version = map.next_value_seed(value)?,
                "strip_metadata" => part.strip_metadata = map.next_value_seed(value)?,
                "guardrails" => {
                    let fields = map.next_value_seed(FieldsSeed {
                        reading,
                        user: None,
                        within: "guardrails",
                        odd: &mut part.odd,
                    })?;
                    keep_guardrails(fields, &mut part);
                }
                "users" => {
                    part.users = map.next_value_seed(UsersSeed {
                        reading,
                        skip: value.skip,
                    })?;
                }
                _ => {
                    part.odd.push(UnexpectedField::Unknown(name.into()));
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(part)
    }
}

/// Separates known from unknown guardrails.
fn keep_guardrails<'t>(fields: Vec<(Cow<'t, str>, Raw<'t>)>, part: &mut RawPart<'t>) {
    for (name, value) in fields {
        match Guard::limit_named(&name) {
            Some(guard) => part.guardrails.push((guard, value)),
            None => part.odd.push(UnexpectedField::Unknown(
                format!("guardrails.{name}").into_boxed_str(),
            )),
        }
    }
}

/// Detects repeated names in a mapping. Known names are bits, so that a valid
/// user needs no allocation.
#[derive(Default)]
struct SeenNames<'t> {
    /// One bit for each known name.
    known: u32,
    /// All other names.
    others: BTreeSet<Cow<'t, str>>,
}

impl<'t> SeenNames<'t> {
    /// Whether this name appears for the first time.
    #[expect(clippy::ptr_arg, reason = "a borrowed name is kept borrowed")]
    fn first(&mut self, name: &Cow<'t, str>) -> bool {
        let names = USER.iter().chain(&TOP).chain(&COMPANY[1..]);
        match names.zip(0..).find(|(known, _)| **known == name) {
            Some((_, bit)) => {
                let bit = 1 << bit;
                let first = self.known & bit == 0;
                self.known |= bit;
                first
            }
            None => self.others.insert(name.clone()),
        }
    }
}

/// Reads the list of users.
struct UsersSeed<'r> {
    reading: &'r Reading<'r>,
    skip: bool,
}

impl<'t> DeserializeSeed<'t> for UsersSeed<'_> {
    type Value = RawUsers<'t>;
    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.skip {
            deserializer.deserialize_ignored_any(IgnoredAny)?;
            return Ok(RawUsers::Skipped);
        }
        deserializer.deserialize_option(self)
    }
}

impl<'t> Visitor<'t> for UsersSeed<'_> {
    type Value = RawUsers<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of users")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(RawUsers::Null)
    }

    fn visit_some<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut users = Vec::new();
        loop {
            let seed = UserSeed {
                reading: self.reading,
                index: u32::try_from(users.len()).map_err(|_| A::Error::custom("too many users"))?,
            };
            match list.next_element_seed(seed)? {
                Some(user) => users.push(user),
                None => return Ok(RawUsers::List(users)),
            }
        }
    }
}

/// Reads one user.
struct UserSeed<'r> {
    reading: &'r Reading<'r>,
    index: u32,
}

impl<'t> DeserializeSeed<'t> for UserSeed<'_> {
    type Value = RawUser<'t>;
    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.reading.skips(Some(self.index), "") {
            deserializer.deserialize_ignored_any(IgnoredAny)?;
            return Ok(RawUser {
                shape: Shape::Skipped,
                ..RawUser::default()
            });
        }
        deserializer.deserialize_option(self)
    }
}

impl<'t> Visitor<'t> for UserSeed<'_> {
    type Value = RawUser<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user with id, email and name")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(RawUser {
            shape: Shape::Empty,
            ..RawUser::default()
        })
    }

    fn visit_some<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let reading = self.reading;
        let mut user = RawUser::default();
        let mut seen = SeenNames::default();
        reading.spend(0)?;
        while let Some(name) = map.next_key_seed(KeySeed(reading))? {
            if !seen.first(&name) {
                user.odd.push(UnexpectedField::Repeated(name.into()));
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = ScalarSeed {
                reading,
                skip: reading.skips(Some(self.index), &name),
            };
            match &*name {
                "id" => user.id = map.next_value_seed(value)?,
                "email" => user.email = map.next_value_seed(value)?,
                "avatar" => user.avatar = map.next_value_seed(value)?,
                "strip_metadata" => user.strip_metadata = map.next_value_seed(value)?,
                "renamed_from" => user.renamed_from = map.next_value_seed(value)?,
                "metadata" => {
                    user.metadata = map.next_value_seed(FieldsSeed {
                        reading,
                        user: Some(self.index),
                        within: "metadata",
                        odd: &mut user.odd,
                    })?;
                }
                _ => match TextField::named(&name) {
                    Some(field) => user.texts[field] = map.next_value_seed(value)?,
                    None => {
                        user.odd.push(UnexpectedField::Unknown(name.into()));
                        map.next_value::<IgnoredAny>()?;
                    }
                },
            }
        }
        Ok(user)
    }
}

/// Reads a mapping of free names to scalars: metadata or guardrails.
struct FieldsSeed<'r, 'o> {
    reading: &'r Reading<'r>,
    /// The user whose metadata it is; `None` for guardrails.
    user: Option<u32>,
    /// The name of the mapping.
    within: &'static str,
    /// Receives repeated names.
    odd: &'o mut Vec<UnexpectedField>,
}

impl<'t> DeserializeSeed<'t> for FieldsSeed<'_, '_> {
    type Value = Vec<(Cow<'t, str>, Raw<'t>)>;
    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.reading.skips(self.user, self.within) {
            deserializer.deserialize_ignored_any(IgnoredAny)?;
            return Ok(Vec::new());
        }
        deserializer.deserialize_option(self)
    }
}

impl<'t> Visitor<'t> for FieldsSeed<'_, '_> {
    type Value = Vec<(Cow<'t, str>, Raw<'t>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of names to single values")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_some<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self {
            reading,
            user,
            within,
            odd,
        } = self;
        let mut fields: Vec<(Cow<'t, str>, Raw<'t>)> = Vec::new();
        let mut seen = BTreeSet::new();
        while let Some(name) = map.next_key_seed(KeySeed(reading))? {
            if !seen.insert(name.clone()) {
                odd.push(UnexpectedField::Repeated(
                    format!("{within}.{name}").into_boxed_str(),
                ));
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let skip = !reading.skips.is_empty() && reading.skips(user, &format!("{within}.{name}"));
            fields.push((name, map.next_value_seed(ScalarSeed { reading, skip })?));
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(written: &str) -> Raw<'static> {
        let text = format!("users:\n- name: {written}\n");
        let part = read(&text, &Skips::new()).unwrap();
        let RawUsers::List(mut users) = part.users else {
            panic!("{part:?}")
        };
        match std::mem::take(&mut users.remove(0).texts[TextField::Name]) {
            Raw::Text(text) => Raw::Text(text.into_owned().into()),
            Raw::Tagged(tag) => Raw::Tagged(tag),
            Raw::Null => Raw::Null,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn scalars_are_kept_as_written() {
        for text in [
            "No",
            "yes",
            "on",
            "true",
            "False",
            "007",
            "0x1F",
            "0o17",
            "0b1",
            "1_000",
            "1e3",
            "1.50",
            "+1",
            "-0",
            ".inf",
            "-.INF",
            ".nan",
            "12:30",
            "2024-01-01",
            "2024-01-01T00:00:00Z",
            "nul",
            "y",
            "=",
            "<<",
            "1,000",
            "99999999999999999999999999",
            "0.1e400",
            "a b",
            "null!",
            "~a",
        ] {
            assert_eq!(name_of(text), Raw::Text(text.into()), "plain {text}");
            assert_eq!(
                name_of(&format!("'{text}'")),
                Raw::Text(text.into()),
                "quoted {text}"
            );
            assert_eq!(
                name_of(&format!("!!str {text}")),
                Raw::Text(text.into()),
                "tagged {text}"
            );
            assert_eq!(
                name_of(&format!("|-\n    {text}")),
                Raw::Text(text.into()),
                "block {text}"
            );
        }
    }

    #[test]
    fn only_plain_nulls_are_null_and_tags_are_seen() {
        for text in ["", "~", "null", "Null", "NULL"] {
            assert_eq!(name_of(text), Raw::Null, "{text}");
        }
        for (written, text) in [
            ("'~'", "~"),
            ("\"null\"", "null"),
            ("''", ""),
            ("!!str null", "null"),
        ] {
            assert_eq!(name_of(written), Raw::Text(text.into()), "{written}");
        }
        for (written, tag) in [
            ("!env NAME", "env"),
            ("!x 'q'", "x"),
            ("!x {a: b}", "x"),
            ("!x ~", "x"),
        ] {
            assert_eq!(name_of(written), Raw::Tagged(tag.into()), "{written}");
        }
    }

    #[test]
    fn aliases_may_repeat_but_not_multiply() {
        let long = "x".repeat(50_000);
        let text = format!("users:\n- name: &a {long}\n{}", "- name: *a\n".repeat(100));
        assert!(matches!(read(&text, &Skips::new()), Err(Unread::Bomb)));
        let text = "users:\n- metadata: &m {team: blue}\n- metadata: *m\n";
        let RawUsers::List(users) = read(text, &Skips::new()).unwrap().users else {
            panic!("no list")
        };
        assert_eq!(users[0].metadata, users[1].metadata);
    }
}
