//! The three facts a plan is made from (desired, observed and known state), and
//! the policy that bounds it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
pub use super::guard::{Guard, Guardrails, Limit};
use super::lineage::Lineage;
use super::problem::{Pointer, Problem, Related, Severity};
use super::problem_code::ProblemCode;
use super::text::{Sorted, Text, Texts, fingerprint};
use super::value::{AccountId, DisplayName, Email, ImageFormat, PlatformId, Title, UserId, UserKey};

/// The two metadata keys that carry the platform's own id ([accounts](crate::whop_api#accounts)).
/// Both are ours: a manifest may not set them.
pub const IDENTITY_KEYS: [&str; 2] = ["external_id", "internal_user_id"];

/// A picture of the manifest, already opened, recognised and hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Avatar {
    /// The path as the manifest has it, for people and for reading it again.
    pub path: Box<str>,
    /// Which manifest file the path is relative to: an index into the parts.
    pub part: u32,
    /// The content's digest.
    pub digest: Digest,
    /// The format by content.
    pub format: ImageFormat,
    /// Size in bytes.
    pub bytes: u64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// What the manifest asks for one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredUser {
    /// The platform's own id.
    pub key: UserKey,
    /// The address the account is created with; Whop cannot change it later.
    pub email: Email,
    /// The company-specific display name.
    pub name: DisplayName,
    /// The company-specific picture; `None` leaves the picture alone.
    pub avatar: Option<Box<Avatar>>,
    /// The account's title; `None` means the name at creation, unmanaged after.
    pub title: Option<Title>,
    /// Managed metadata keys, without [`IDENTITY_KEYS`].
    pub metadata: Texts,
    /// The id this user had before.
    pub renamed_from: Option<UserKey>,
}

impl DesiredUser {
    /// A user with what every user has, and nothing else managed.
    pub fn new(key: UserKey, email: Email, name: DisplayName) -> Self {
        Self {
            key,
            email,
            name,
            avatar: None,
            title: None,
            metadata: Texts::new(),
            renamed_from: None,
        }
    }

    /// All but its texts, which [`TextField`](super::field::TextField) lists.
    pub(crate) fn rest(&self) -> DesiredRest<'_> {
        let Self {
            key,
            email,
            avatar,
            metadata,
            renamed_from,
            name: _,
            title: _,
        } = self;
        DesiredRest {
            key,
            email,
            avatar: avatar.as_deref(),
            metadata,
            renamed_from: renamed_from.as_ref(),
        }
    }
}

/// A [`DesiredUser`] without its texts. Whatever is made of all of a user takes
/// this apart in full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DesiredRest<'a> {
    pub(crate) key: &'a UserKey,
    pub(crate) email: &'a Email,
    pub(crate) avatar: Option<&'a Avatar>,
    pub(crate) metadata: &'a Texts,
    pub(crate) renamed_from: Option<&'a UserKey>,
}

/// What a manifest asks for: valid, and sorted by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    platform: PlatformId,
    guardrails: Guardrails,
    users: Vec<DesiredUser>,
}

/// A parsed user and where it stands, for [`Desired::new`].
#[derive(Clone, Debug)]
pub struct Entry {
    /// The user.
    pub user: DesiredUser,
    /// Where it stands.
    pub at: Stand,
}

/// Where a user stands in a manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stand {
    /// Which part of the manifest.
    pub part: u32,
    /// Which of the part's users, from 0.
    pub user: u32,
}

impl Stand {
    /// Points at a field of the user.
    pub fn field(self, name: &str) -> Pointer {
        Pointer {
            part: self.part,
            user: Some(self.user),
            field: Some(name.into()),
        }
    }
}

impl Desired {
    /// Makes the whole from its parts.
    ///
    /// # Errors
    /// Every rule that users break together, at once: an id, an email (case
    /// does not count) or a former id that appears twice.
    pub fn new(
        platform: PlatformId,
        guardrails: Guardrails,
        entries: Vec<Entry>,
    ) -> Result<Self, Vec<Problem>> {
        let problems = conflicts(&entries);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut users: Vec<_> = entries.into_iter().map(|entry| entry.user).collect();
        users.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(Self {
            platform,
            guardrails,
            users,
        })
    }

    /// The platform's own account.
    pub fn platform(&self) -> &PlatformId {
        &self.platform
    }

    /// The manifest's own limits.
    pub fn guardrails(&self) -> &Guardrails {
        &self.guardrails
    }

    /// The users, sorted by key.
    pub fn users(&self) -> &[DesiredUser] {
        &self.users
    }

    /// The user of this key.
    pub fn user(&self, key: &UserKey) -> Option<&DesiredUser> {
        self.users
            .binary_search_by(|user| user.key.cmp(key))
            .ok()
            .map(|at| &self.users[at])
    }
}

/// Finds what appears twice.
fn conflicts(entries: &[Entry]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let key = |at: usize| entries[at].user.key.as_str().to_owned();
    repeated(
        entries,
        |entry| Some(entry.user.key.as_str()),
        |first, again| {
            problems.push(twice(
                entries,
                first,
                again,
                "id",
                ProblemCode::DuplicateId,
                &format!("the id `{}` appears twice", key(again)),
                "every user needs an id of its own; remove one of the two",
            ));
        },
    );
    repeated(
        entries,
        |entry| Some(entry.user.email.folded()),
        |first, again| {
            problems.push(twice(entries, first, again, "email", ProblemCode::DuplicateEmail,
            &format!("users `{}` and `{}` have the same email", key(first), key(again)),
            "Whop gives one email one profile, so two users would overwrite each other; give each an address of its own"));
        },
    );
    repeated(
        entries,
        |entry| entry.user.renamed_from.as_ref().map(UserKey::as_str),
        |first, again| {
            problems.push(twice(
                entries,
                first,
                again,
                "renamed_from",
                ProblemCode::DuplicateRename,
                &format!(
                    "users `{}` and `{}` both claim the same former id",
                    key(first),
                    key(again)
                ),
                "one id can become only one other; remove one `renamed_from`",
            ));
        },
    );
    let ids: BTreeSet<&str> = if entries.iter().any(|e| e.user.renamed_from.is_some()) {
        entries.iter().map(|entry| entry.user.key.as_str()).collect()
    } else {
        BTreeSet::new()
    };
    for entry in entries {
        if let Some(from) = &entry.user.renamed_from
            && ids.contains(from.as_str())
        {
            problems.push(Problem {
                severity: Severity::Error,
                code: ProblemCode::RenameOfPresent,
                message: format!(
                    "user `{}` is renamed from `{from}`, which is still in the manifest",
                    entry.user.key
                ),
                hint: Some("remove the user with the former id, or the `renamed_from`".to_owned()),
                at: entry.at.field("renamed_from"),
                place: None,
                related: Vec::new(),
            });
        }
    }
    problems
}

/// Calls `found` with the first of equals and each further one, in the order
/// of their values' fingerprints. Values are compared, and those made for it
/// made again, only where fingerprints agree: a million users cost one sort of
/// numbers.
fn repeated<'a, V: Ord + Hash>(
    entries: &'a [Entry],
    value: impl Fn(&'a Entry) -> Option<V>,
    mut found: impl FnMut(usize, usize),
) {
    let mut order: Vec<(u64, usize)> = entries
        .iter()
        .enumerate()
        .filter_map(|(at, entry)| Some((fingerprint(value(entry)?), at)))
        .collect();
    order.sort_unstable();
    for alike in order.chunk_by(|a, b| a.0 == b.0).filter(|alike| alike.len() > 1) {
        let mut alike: Vec<_> = alike.iter().map(|(_, at)| (value(&entries[*at]), *at)).collect();
        alike.sort_unstable();
        for equal in alike.chunk_by(|a, b| a.0 == b.0) {
            let mut places = equal.iter().map(|(_, at)| *at);
            if let Some(first) = places.next() {
                places.for_each(|again| found(first, again));
            }
        }
    }
}

fn twice(
    entries: &[Entry],
    first: usize,
    again: usize,
    field: &str,
    code: ProblemCode,
    message: &str,
    hint: &str,
) -> Problem {
    Problem {
        severity: Severity::Error,
        code,
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
        at: entries[again].at.field(field),
        place: None,
        related: vec![Related {
            at: entries[first].at.field(field),
            place: None,
            note: "it appears here first".to_owned(),
        }],
    }
}

/// Which generation of Whop's API is spoken ([versions](crate::whop_api#versions)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// `/accounts`, dated versions.
    Accounts,
    /// `/companies`, version `2025-01-01`: accounts list no email, metadata
    /// cannot change, and a create cannot be repeated safely.
    Companies,
}

/// A metadata value on Whop.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetaValue {
    /// A text, the only kind we write.
    Text(Text),
    /// Anything else, as JSON text; kept as it is. Few are, so that nobody
    /// else has to have room for it.
    Json(Box<str>),
}

impl MetaValue {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Json(_) => None,
        }
    }

    /// The text, or what else it is as JSON.
    pub fn shown(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Json(json) => json,
        }
    }
}

/// A connected account as Whop lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The person who owns it; accounts of one email share one owner.
    pub owner: UserId,
    /// The owner's address; the companies dialect never tells it. Kept as a
    /// text, since an address that we would refuse must still be compared.
    pub email: Option<Text>,
    /// Its title.
    pub title: Text,
    /// Its metadata, ours and others'.
    pub metadata: Sorted<MetaValue>,
    /// Whether Whop has suspended it.
    pub suspended: bool,
    /// When Whop says that it was made, in seconds since 1970.
    pub created: Option<u64>,
}

impl Account {
    /// The text under a metadata key.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).and_then(MetaValue::as_text)
    }
}

/// A user's profile as it shows in the platform's company.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The name shown.
    pub name: Option<Box<str>>,
    /// The picture's URL without its query; Whop gives no digest
    /// ([users](crate::whop_api#users)).
    pub picture: Option<Box<str>>,
}

/// What came of reading one profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileRead {
    /// It was read.
    Seen(Profile),
    /// Whop says there is no such user.
    Missing,
    /// It could not be read; why, as Whop put it.
    Unreadable(String),
}

/// What a refresh saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Whether every account was listed. From an incomplete list nothing is
    /// created or forgotten: absence proves nothing.
    pub complete: bool,
    /// The platform's connected accounts, without the platform itself.
    pub accounts: Vec<Account>,
    /// The profiles that were read; others are taken from the mapping.
    pub profiles: BTreeMap<UserId, ProfileRead>,
    /// What time it was on Whop, in seconds since 1970, where its answers told.
    pub time: Option<u64>,
    /// Mapped accounts that are not in `accounts` and could not be asked for,
    /// and why: nothing says that they are gone.
    pub unread: BTreeMap<AccountId, String>,
}

/// The account and the person a user is on Whop.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// The connected account.
    #[serde(rename = "account_id")]
    pub account: AccountId,
    /// Its owner, whose profile is managed.
    #[serde(rename = "user_id")]
    pub owner: UserId,
}

/// A picture we set, and the URL Whop gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedPicture {
    /// Digest of the bytes we sent.
    pub digest: Digest,
    /// The URL afterwards, without its query; changes when someone else sets
    /// a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Box<str>>,
}

/// What the mapping records of one user: the link, and what was last applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownUser {
    /// Who this is on Whop.
    pub link: Link,
    /// The name last set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The title last set by a manifest that manages it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Text>,
    /// The managed metadata last set, without [`IDENTITY_KEYS`].
    #[serde(default, skip_serializing_if = "Sorted::is_empty")]
    pub metadata: Texts,
    /// The picture last set. Who has none has no room for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<Box<AppliedPicture>>,
}

impl KnownUser {
    /// A user known only by the link.
    pub fn linked(link: Link) -> Self {
        Self {
            link,
            name: None,
            title: None,
            metadata: Texts::new(),
            picture: None,
        }
    }

    /// All but its texts, which [`TextField`](super::field::TextField) lists.
    pub(crate) fn rest(&self) -> KnownRest<'_> {
        let Self {
            link,
            metadata,
            picture,
            name: _,
            title: _,
        } = self;
        KnownRest {
            link,
            metadata,
            picture: picture.as_deref(),
        }
    }
}

/// A [`KnownUser`] without its texts. Whatever is made of all of an entry takes
/// this apart in full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownRest<'a> {
    pub(crate) link: &'a Link,
    pub(crate) metadata: &'a Texts,
    pub(crate) picture: Option<&'a AppliedPicture>,
}

/// A listed account may lag behind a create by this many seconds before its
/// absence counts as proof. Whop states no bound; this one is ours.
pub const LIST_LAG: u64 = 600;

/// How long, in seconds, a create may be sent again under its idempotency
/// key: Whop keeps keys for 24 hours ([idempotency](crate::whop_api#idempotency)), and an hour is left
/// for clocks that disagree.
pub const RESEND_WITHIN: u64 = 23 * 3600;

/// A create whose answer was lost: the account may or may not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// When the request was first begun, in seconds since 1970, by Whop's
    /// clock where that was known.
    pub begun: u64,
    /// The address it would mail.
    pub email: Email,
    /// Everything needed to send the very same request again.
    pub call: PreparedCall,
}

/// A POST fixed to the byte, so that it can be repeated exactly
/// ([idempotency](crate::whop_api#idempotency)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedCall {
    /// The API version it was made for; another one is another request.
    pub version: String,
    /// Its idempotency key.
    pub idempotency_key: String,
    /// Its exact body.
    pub body: String,
}

/// Everything we remember: the mapping, and what a journal left open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Counts the mapping's changes.
    pub generation: u64,
    /// The mapped users.
    pub users: BTreeMap<UserKey, KnownUser>,
    /// Creates in doubt, by user.
    pub doubts: BTreeMap<UserKey, Doubt>,
    /// Users with any other step in doubt: their state on Whop must be read,
    /// whatever the refresh mode.
    pub unsure: BTreeSet<UserKey>,
    /// What was applied before, in which order.
    pub lineage: Lineage,
}

/// Which profiles a refresh reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Refresh {
    /// Full up to 600 mapped users; above that changed plus a rotating slice.
    #[default]
    Auto,
    /// Every mapped user's.
    Full,
    /// Only those whose desired state differs from what was last applied.
    Changed,
}

/// Everything besides the three facts that a plan depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The dialect bounds what can be changed at all.
    pub dialect: Dialect,
    /// The server, as the mapping names it.
    pub server: Box<str>,
    /// The API version: a request made for another one is another request.
    pub version: Box<str>,
    /// The guards lifted for this run.
    pub allow: BTreeSet<Guard>,
    /// The users this run is about; `None` is all.
    pub only: Option<BTreeSet<UserKey>>,
    /// Which profiles to read.
    pub refresh: Refresh,
    /// The users of a saved plan: theirs are then read, and of the others only
    /// those that [`Refresh::Changed`] would read.
    pub touched: Option<BTreeSet<UserKey>>,
    /// The time of the run, in seconds since 1970. Decides the slice that
    /// `auto` reads, and, where Whop does not say what time it is, which doubts
    /// are old enough to be settled.
    pub now: u64,
}

impl Policy {
    /// The cautious policy: production, every user, every guard, `auto` refresh.
    /// `now` is in seconds since 1970.
    pub fn new(dialect: Dialect, version: &str, now: u64) -> Self {
        Self {
            dialect,
            server: "production".into(),
            version: version.into(),
            allow: BTreeSet::new(),
            only: None,
            refresh: Refresh::default(),
            touched: None,
            now,
        }
    }

    /// Whether the run is about this user.
    pub fn covers(&self, key: &UserKey) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(key))
    }

    /// Whether this guard holds.
    pub fn enforces(&self, guard: Guard) -> bool {
        !self.allow.contains(&guard)
    }
}
