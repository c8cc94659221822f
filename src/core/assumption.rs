//! What is assumed of Whop where the sources are silent, by stable names. The
//! page `emulator::differences` says of each what is done here, and what would
//! go wrong otherwise; a test keeps the two in step.

use serde::Serialize;

/// How an assumption can be put to the test without writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By reading; whether there is enough to read is another matter.
    Read,
    /// Not at all, for this reason.
    None(&'static str),
}

/// One assumption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assumption {
    /// The stable name.
    pub name: &'static str,
    /// What is assumed: the end of "it is assumed that …".
    pub assumed: &'static str,
    /// How to tell.
    pub way: Way,
}

/// How a probe came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The server does what is assumed.
    Holds,
    /// It does not.
    Differs,
    /// Not to be told without writing, or from what there is to read.
    CannotBeTold,
}

/// What became of one assumption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The assumption.
    pub about: &'static Assumption,
    /// How it came out.
    pub outcome: Outcome,
    /// What was seen, or why nothing could be. May quote foreign text.
    pub seen: String,
}

/// The assumption of this name.
pub fn named(name: &str) -> Option<&'static Assumption> {
    ALL.iter().find(|known| known.name == name)
}

const fn read(name: &'static str, assumed: &'static str) -> Assumption {
    Assumption {
        name,
        assumed,
        way: Way::Read,
    }
}

const fn never(name: &'static str, assumed: &'static str, why: &'static str) -> Assumption {
    Assumption {
        name,
        assumed,
        way: Way::None(why),
    }
}

/// Every assumption, in the order of the page.
pub const ALL: &[Assumption] = &[
    never(
        "metadata_merge",
        "an update of `metadata` replaces the whole map",
        "only by writing: update with one key of two, then read",
    ),
    never(
        "external_id_twice",
        "another address with the same `metadata.external_id` makes a second account",
        "only by writing: two creates with one id",
    ),
    never(
        "existing_user_owner",
        "an address that is a Whop user already makes that user the owner",
        "only by writing: create with an address of your own",
    ),
    never(
        "metadata_size",
        "`metadata` may have just below 16 KB",
        "only by writing: create with 15 kB",
    ),
    read(
        "list_order",
        "accounts made at the same moment keep their order in the list",
    ),
    read("list_lag", "a new account is in the list at once"),
    read("last_cursor", "the last page has no `end_cursor`"),
    read(
        "stamp_offset",
        "accounts say when they were made with an offset and in whole seconds",
    ),
    read("owner_name", "the owner in an account shows the global name"),
    read(
        "external_id_field",
        "accounts have a top-level `external_id` from 2026-10-15-1 on",
    ),
    read(
        "retrieve_scope",
        "reading one account needs `company:balance:read`",
    ),
    read("companies_page", "a page of companies may have 50"),
    never(
        "companies_twice",
        "a second create of one address makes a second company",
        "only by writing: create twice",
    ),
    never(
        "global_update_status",
        "an update by key without `account_id` is refused with 400",
        "never tried on purpose: it aims at a real person's profile",
    ),
    never(
        "name_length",
        "a name may have 1 to 100 characters",
        "only by writing: set a name of 100 characters",
    ),
    never(
        "clear_override",
        "an override cannot be cleared",
        "only by writing: send `null`",
    ),
    never(
        "update_failures",
        "an update of a profile fails with 400, 403 or 404",
        "only by writing: update a wrong id",
    ),
    read(
        "picture_url_stable",
        "a picture's URL stays the same up to its query",
    ),
    never(
        "picture_url_own",
        "a picture's URL is another than its file's",
        "only by writing: no profile names its file, so set a picture and compare",
    ),
    never(
        "file_type_by_name",
        "a file's type follows its name",
        "only by writing: upload, then read `content_type`",
    ),
    never(
        "picture_kinds",
        "a profile picture may be PNG, JPEG, GIF or WebP",
        "only by writing: attach one of each",
    ),
    never(
        "picture_size",
        "a profile picture may have 5 MB",
        "only by writing: attach 5 MB",
    ),
    never(
        "attach_early",
        "a file that is not ready cannot be attached",
        "only by writing: attach at once",
    ),
    never(
        "files_before",
        "files can be made before 2026-08-21-1, in the older form",
        "only by writing: a file that is not there is 404 in any case",
    ),
    never(
        "files_default_page",
        "a list of files by id has pages of 10 unless asked otherwise",
        "only by writing: make eleven files and list them, as nothing names older ones",
    ),
    read("request_id", "every answer has an `x-request-id`"),
    read("redirects", "nothing is answered with a redirect"),
    read("version_error", "an unknown version is a 400 without a code"),
    never(
        "limit_window",
        "the limit counts any 60 seconds",
        "only by using up a minute of the allowance that other programs share",
    ),
    read("retry_after", "a 429 has no `Retry-After`"),
    read("unknown_parameters", "unknown parameters of a query are ignored"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_each_there_once() {
        for one in ALL {
            assert!(one.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert_eq!(named(one.name), Some(one), "{} twice", one.name);
        }
    }
}
