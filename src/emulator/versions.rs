//! The API's versions, and what each changed ([versions](crate::whop_api#versions)).
//!
//! Values are opaque: "from" means a place in the table, never a comparison
//! of dates.

/// Every version known, oldest first. A list of our own, so that a wrong value
/// in the client is refused here as Whop would refuse it.
const TABLE: [&str; 70] = [
    "2025-01-01",
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
    "2026-10-15-1",
];

/// The first version of which every picture is an object and accounts show
/// owner and parent.
const FULL_SHAPES: Version = Version::at("2026-08-21");
/// The first version with today's file object and upload flow.
const FILES: Version = Version::at("2026-08-21-1");
/// The first version with `GET /files?file_ids=`.
const FILE_LIST: Version = Version::at("2026-09-02-1");
/// The first version whose access tokens take `account_id`.
const TOKEN_ACCOUNT: Version = Version::at("2026-09-02-2");
/// The first version with `DELETE /accounts/{id}`.
const DELETE: Version = Version::at("2026-10-08");
/// The first version that filters accounts by `owner_id`. A top-level
/// `external_id` is taken from here on too: only the newest guide names it.
const NEWEST: Version = Version::at("2026-10-15-1");

/// One known version: its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(usize);

impl Version {
    /// What serves a request that names no version with a key that stores none.
    pub(super) const STABLE: Self = Self(0);

    /// The version of this exact label.
    pub(super) fn parse(label: &str) -> Option<Self> {
        TABLE.iter().position(|known| *known == label).map(Self)
    }

    /// The label.
    pub(super) fn label(self) -> &'static str {
        TABLE[self.0]
    }

    /// The last of the table.
    pub(super) const NEWEST: Self = Self(TABLE.len() - 1);

    /// Every label up to this one, for the answer to an unknown one.
    pub(super) fn supported(self) -> String {
        TABLE[..=self.0].join(", ")
    }

    /// The version of a label that this file names itself, found when
    /// compiling: an unknown one does not compile.
    const fn at(label: &str) -> Self {
        let mut at = 0;
        while !same(TABLE[at].as_bytes(), label.as_bytes()) {
            at += 1;
        }
        Self(at)
    }

    /// The original model: companies, `company_id` in bodies, no idempotency.
    pub(super) fn is_legacy(self) -> bool {
        self == Self::STABLE
    }

    /// Whether accounts show `owner` and `parent_account`. The stable model
    /// has no older form of accounts, so it shows the full one.
    pub(super) fn shows_owner(self) -> bool {
        self.is_legacy() || self >= FULL_SHAPES
    }

    /// Whether a user without a picture gets a generated one.
    pub(super) fn fills_pictures(self) -> bool {
        self >= FULL_SHAPES
    }

    /// Whether files have an integer size, `object` and `created_at`, and are
    /// private unless asked otherwise.
    pub(super) fn new_files(self) -> bool {
        self >= FILES
    }

    /// Whether several files can be read at once.
    pub(super) fn lists_files(self) -> bool {
        self >= FILE_LIST
    }

    /// Whether an access token names its account `account_id`; before, the
    /// field is `company_id`.
    pub(super) fn token_names_account(self) -> bool {
        self >= TOKEN_ACCOUNT
    }

    /// Whether accounts can be deleted.
    pub(super) fn deletes(self) -> bool {
        self >= DELETE
    }

    /// Whether accounts can be listed by owner.
    pub(super) fn filters_owner(self) -> bool {
        self >= NEWEST
    }

    /// Whether accounts have a top-level `external_id`.
    pub(super) fn has_external_id(self) -> bool {
        self >= NEWEST
    }
}

/// Equality of texts at compile time, where `==` is not available yet.
const fn same(one: &[u8], two: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < two.len() && one[at] == two[at] {
        at += 1;
    }
    at == one.len() && at == two.len()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn seventy_distinct_versions_and_from_is_a_place_in_the_table() {
        assert_eq!(TABLE.iter().collect::<BTreeSet<_>>().len(), 70);
        for (version, label) in [
            (FULL_SHAPES, "2026-08-21"),
            (FILES, "2026-08-21-1"),
            (NEWEST, "2026-10-15-1"),
        ] {
            assert_eq!(Version::parse(label), Some(version));
        }
        assert_eq!(NEWEST, Version(69), "nothing is newer");
        assert_eq!(Version::parse("2026-10-16"), None);
        assert_eq!(Version::parse("2026-10-15 "), None);
        assert!(!Version::STABLE.new_files());
    }
}
