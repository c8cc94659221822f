//! The version of Whop's API in use, and what follows from it.
//!
//! Every request names its version. Without one, Whop answers in the shape that
//! happens to be stored for the key ([versions](crate::whop_api#versions)).

use std::fmt;

use crate::core::model::Dialect;
use crate::core::value::Invalid;

/// The original version, which speaks the companies dialect.
pub(super) const LEGACY: &str = "2025-01-01";

/// The default version: the newest in [`KNOWN`].
const DEFAULT: &str = "2026-10-15-1";

/// The oldest dated version in which everything we need has the known shape,
/// files above all ([versions](crate::whop_api#versions),
/// [files](crate::whop_api#files)).
const FLOOR: &str = "2026-08-21-1";

/// The first version in which `GET /files?file_ids=` was seen
/// ([versions](crate::whop_api#versions)).
const LISTS_FILES: &str = "2026-09-02-1";

/// Well-formed, but not a version: used to ask a server which versions it
/// supports.
pub(super) const NOWHERE: &str = "0000-01-01";

/// The first version whose accounts are assumed to have a top-level
/// `external_id` ([versions](crate::whop_api#versions)).
const EXTERNAL_ID: &str = "2026-10-15-1";

/// The longest message in which versions are searched for, in bytes. The 70
/// known at the time of writing take 900.
const LONGEST_LIST: usize = 65_536;

/// The dated versions known at the time of writing, oldest first
/// ([versions](crate::whop_api#versions)).
const KNOWN: [&str; 69] = [
    "2026-06-08",
    "2026-06-09",
    "2026-06-20",
    "2026-07-01",
    "2026-07-08",
    "2026-07-08-1",
    "2026-07-18",
    "2026-07-20",
    "2026-07-22",
    "2026-07-23",
    "2026-07-25",
    "2026-07-26",
    "2026-07-27",
    "2026-07-29",
    "2026-07-29-1",
    "2026-07-31",
    "2026-08-03",
    "2026-08-05",
    "2026-08-05-1",
    "2026-08-10",
    "2026-08-12",
    "2026-08-13",
    "2026-08-14",
    "2026-08-21",
    "2026-08-21-1",
    "2026-08-25",
    "2026-08-25-1",
    "2026-08-25-2",
    "2026-08-31",
    "2026-09-02",
    "2026-09-02-1",
    "2026-09-02-2",
    "2026-09-04",
    "2026-09-06",
    "2026-09-09",
    "2026-09-09-1",
    "2026-09-11",
    "2026-09-11-1",
    "2026-09-13",
    "2026-09-15",
    "2026-09-22",
    "2026-09-22-1",
    "2026-09-22-2",
    "2026-09-22-3",
    "2026-09-22-4",
    "2026-09-23",
    "2026-09-24",
    "2026-09-24-1",
    "2026-09-25",
    "2026-09-28",
    "2026-09-29",
    "2026-10-05",
    "2026-10-05-1",
    "2026-10-06",
    "2026-10-06-1",
    "2026-10-06-2",
    "2026-10-07",
    "2026-10-07-1",
    "2026-10-07-2",
    "2026-10-08",
    "2026-10-09",
    "2026-10-09-1",
    "2026-10-09-2",
    "2026-10-13",
    "2026-10-13-1",
    "2026-10-14",
    "2026-10-14-1",
    "2026-10-15",
    DEFAULT,
];

/// A value for `api-version-date`. To Whop it is an opaque label; we derive its
/// properties from its position among the known ones.
#[derive(Clone, PartialEq, Eq)]
pub struct Version {
    text: Box<str>,
    /// Derived once, so that nothing else looks at the text.
    lists_files: bool,
}

impl Version {
    /// Parses a version. An unknown one of the right shape is accepted as
    /// [`Dialect::Accounts`] and left for Whop to judge.
    ///
    /// # Errors
    /// If it has another shape, or is older than the oldest supported one. The
    /// age of an unknown version is read from its text, against Whop's advice,
    /// because the risk is one-sided: in an old version a change of the
    /// company-specific profile would change the person's global one
    /// ([traps](crate::whop_api#traps)).
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text == LEGACY {
            return Ok(Self {
                text: text.into(),
                lists_files: false,
            });
        }
        let Some(age) = age(text) else {
            return Err(Invalid(format!(
                "must look like 2026-10-15 or 2026-10-15-1, or be {LEGACY}; leave it out to use {DEFAULT}"
            )));
        };
        if Some(age) < self::age(FLOOR) {
            return Err(Invalid(format!(
                "is older than {FLOOR}, the oldest dated version that is supported; use {DEFAULT}, or \
                 {LEGACY} for the older companies API"
            )));
        }
        Ok(Self {
            text: text.into(),
            lists_files: lists_files(text),
        })
    }

    /// The value as sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The API dialect of this version.
    pub fn dialect(&self) -> Dialect {
        if &*self.text == LEGACY {
            Dialect::Companies
        } else {
            Dialect::Accounts
        }
    }

    /// Whether accounts are assumed to have a top-level `external_id`; `None`
    /// in the dialect without accounts.
    pub(super) fn has_external_id(&self) -> Option<bool> {
        (self.dialect() == Dialect::Accounts).then(|| age(&self.text) >= age(EXTERNAL_ID))
    }

    /// What a server's refusal of a version names as supported. `None` if this
    /// very version is missing although it is in use: then it is not such a
    /// list, or not a complete one.
    ///
    /// What is newer than [`Version::default`] is judged by its text, against
    /// Whop's advice: the result is only a remark for people.
    pub(super) fn among(&self, message: &str) -> Option<NamedVersions> {
        let is_part = |c: char| c.is_ascii_digit() || c == '-';
        let mut end = message.len().min(LONGEST_LIST);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        let words = message[..end].split(|c| !is_part(c));
        let named: Vec<&str> = words
            .filter(|word| age(word).is_some() && *word != NOWHERE)
            .collect();
        if !named.contains(&&*self.text) {
            return None;
        }
        let newer = named.into_iter().filter(|word| age(word) > age(DEFAULT));
        Some(NamedVersions {
            newer: newer.max_by_key(|word| age(word)).map(str::to_owned),
        })
    }

    /// Whether one request can ask about many files.
    pub fn lists_files(&self) -> bool {
        self.lists_files
    }
}

/// What a server said about its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedVersions {
    /// The newest one, if it is newer than the one that this program is made
    /// for.
    pub newer: Option<String>,
}

impl Default for Version {
    fn default() -> Self {
        Self {
            text: DEFAULT.into(),
            lists_files: true,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({})", self.text)
    }
}

/// By position for a known version. An unknown one that looks newer than all
/// known ones is assumed to support it; one that looks older is not, which
/// costs requests but breaks nothing.
fn lists_files(text: &str) -> bool {
    let position = |wanted: &str| KNOWN.iter().position(|known| *known == wanted);
    match position(text) {
        Some(at) => Some(at) >= position(LISTS_FILES),
        None => age(text) > age(DEFAULT),
    }
}

/// The date's eight digits and the counter after it, 0 if there is none; `None`
/// for a text of another shape than `2026-10-15-1`.
fn age(text: &str) -> Option<(u32, u32)> {
    let number = |digits: &str| {
        let fits = !digits.is_empty() && digits.len() <= 6 && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| digits.parse::<u32>().ok()).flatten()
    };
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let counter = parts.next();
    if year.len() != 4 || month.len() != 2 || day.len() != 2 || parts.next().is_some() {
        return None;
    }
    let date = (number(year)? * 100 + number(month)?) * 100 + number(day)?;
    Some((date, counter.map_or(Some(0), number)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_ends_with_the_default() {
        assert!(KNOWN.is_sorted_by_key(|text| age(text)));
        assert_eq!(KNOWN.last(), Some(&DEFAULT));
        assert!(KNOWN.contains(&FLOOR) && KNOWN.contains(&LISTS_FILES));
        assert_eq!(Version::parse(DEFAULT), Ok(Version::default()));
    }

    #[test]
    fn dialect_and_file_lists_follow_from_the_version() {
        for (text, dialect, lists) in [
            ("2025-01-01", Dialect::Companies, false),
            ("2026-08-21-1", Dialect::Accounts, false),
            ("2026-09-02", Dialect::Accounts, false),
            ("2026-09-02-1", Dialect::Accounts, true),
            ("2026-10-15-1", Dialect::Accounts, true),
            // Unknown ones, between and after.
            ("2026-09-03", Dialect::Accounts, false),
            ("2026-10-15-12", Dialect::Accounts, true),
            ("2027-01-01", Dialect::Accounts, true),
        ] {
            let version = Version::parse(text).unwrap_or_else(|why| panic!("{text} {why}"));
            assert_eq!(version.as_str(), text);
            assert_eq!(
                (version.dialect(), version.lists_files()),
                (dialect, lists),
                "{text}"
            );
        }
    }

    #[test]
    fn old_and_misshapen_versions_are_refused_with_advice() {
        for old in [
            "2026-08-21",
            "2026-06-08",
            "2026-08-20",
            "2025-01-02",
            "2025-01-01-1",
            "0000-00-00",
        ] {
            let why = Version::parse(old).expect_err(old).0;
            assert!(
                why.contains("older than 2026-08-21-1") && why.contains(DEFAULT),
                "{why}"
            );
        }
        for odd in [
            "",
            "latest",
            "2026-10",
            "2026-10-15-",
            "2026-10-15-1-1",
            "2026-1-15",
            "2026-10-15\n",
            "+026-10-15",
            "999999-99-99",
            "2026-10-15-9999999",
        ] {
            assert!(
                Version::parse(odd).expect_err(odd).0.contains("must look like"),
                "{odd:?}"
            );
        }
    }

    #[test]
    fn newer_versions_are_noticed_only_in_a_plausible_list() {
        let newer = |message: &str| Version::default().among(message).map(|named| named.newer);
        let list = format!(
            "Unknown Api-Version-Date. Supported versions: {LEGACY}, {}",
            KNOWN.join(", ")
        );
        assert_eq!(newer(&list), Some(None));
        let more = format!("{list}, 2027-01-05, 2026-10-15-10, 2026-10-15-2.");
        assert_eq!(newer(&more), Some(Some("2027-01-05".to_owned())));
        let quoted = format!("`{NOWHERE}` is none of [\"{DEFAULT}\",\"2026-10-15-2\"]");
        assert_eq!(newer(&quoted), Some(Some("2026-10-15-2".to_owned())));
        // One that is merely unknown and looks older is not reported.
        assert_eq!(newer(&format!("{DEFAULT} 2026-09-03")), Some(None));
        for nothing in [
            "",
            "Unknown version 0000-01-01",
            "It is 2027-01-05T10:00:00Z",
            "2027-01-05",
            &format!("x{}", DEFAULT.replace('-', "/")),
            &format!("{}{DEFAULT}", "ä".repeat(LONGEST_LIST)),
        ] {
            assert_eq!(newer(nothing), None, "{nothing:.40}");
        }
        assert_eq!(Version::default().has_external_id(), Some(true));
        assert_eq!(
            Version::parse("2026-10-15").unwrap().has_external_id(),
            Some(false)
        );
        assert_eq!(Version::parse(LEGACY).unwrap().has_external_id(), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_judged(text in "[0-9]{0,7}-[0-9]{0,7}-[0-9]{0,7}(-[0-9]{0,20})?|.*") {
            let _ = Version::parse(&text);
        }
    }
}
