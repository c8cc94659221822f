//! The plan: everything a run will do, as plain values. What is printed and
//! what is applied are these same values.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::identity::{Contradiction, Dissent, Evidence};
use super::model::{
    Avatar, Desired, Guard, Guardrails, IDENTITY_KEYS, KnownUser, Limit, Link, MetaValue, Policy,
};
use super::resend::Resend;
use super::text::{Sorted, Text, Texts};
use super::value::{AccountId, DisplayName, Email, PlatformId, Title, UserId, UserKey};

/// Why something changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// It was never applied.
    New,
    /// The manifest asks for something else than what was last applied.
    Edited,
    /// Whop shows something else than what was last applied.
    Drifted,
    /// Both at once.
    Both,
}

/// One value's old and new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// What Whop shows now, as far as known.
    pub old: Option<Box<str>>,
    /// What it will be.
    pub new: T,
    /// Why.
    pub cause: Cause,
}

/// A picture's old and new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureChange {
    /// The digest last applied, if any.
    pub old: Option<Digest>,
    /// The URL of the picture that Whop shows now, if it was read.
    pub old_url: Option<Box<str>>,
    /// The picture to set.
    pub new: Avatar,
    /// Why.
    pub cause: Cause,
}

/// What changes of a user's company-specific profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// The display name.
    pub name: Option<Change<DisplayName>>,
    /// The picture.
    pub picture: Option<PictureChange>,
}

impl ProfileChange {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        let Self { name, picture } = self;
        name.is_none() && picture.is_none()
    }

    /// All but its texts, which [`TextField`](super::field::TextField) lists.
    pub(super) fn rest(&self) -> Option<&PictureChange> {
        let Self { picture, name: _ } = self;
        picture.as_ref()
    }
}

/// What changes of an existing account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// The title.
    pub title: Option<Change<Title>>,
    /// Metadata keys that change, by key; identity keys among them.
    pub metadata: BTreeMap<Text, Change<Text>>,
    /// The whole map to send when `metadata` is not empty: Whop may replace
    /// rather than merge ([accounts](crate::whop_api#accounts)), so others' keys ride along.
    pub whole: Sorted<MetaValue>,
}

impl AccountChange {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        let Self {
            title,
            metadata,
            // Sent with the metadata only.
            whole: _,
        } = self;
        title.is_none() && metadata.is_empty()
    }

    /// All but its texts, which [`TextField`](super::field::TextField) lists:
    /// the metadata that changes and the whole of it.
    pub(super) fn rest(&self) -> (&BTreeMap<Text, Change<Text>>, &Sorted<MetaValue>) {
        let Self {
            metadata,
            whole,
            title: _,
        } = self;
        (metadata, whole)
    }
}

/// An account to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// Its owner's address.
    pub email: Email,
    /// Its title; never left out, or Whop would publish the address
    /// ([traps](crate::whop_api#traps)).
    pub title: Title,
    /// Its metadata, identity keys included.
    pub metadata: Texts,
    /// A create whose answer was lost and which asked for the same: it is sent
    /// again byte for byte, which cannot make a second account.
    pub resend: Option<Resend>,
    /// The mapped account that is gone and that this one replaces.
    pub replaces: Option<AccountId>,
}

/// What an action does to the link between user and account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Make a new account.
    Create(NewAccount),
    /// Link an account that exists.
    Adopt {
        /// The mapping entry as it will first stand: the link, and what Whop
        /// already shows as asked.
        entry: KnownUser,
        /// How it was recognised.
        by: Evidence,
    },
    /// Change a linked account or its owner's profile.
    Update {
        /// The mapping entry before the changes: what Whop already shows as
        /// asked included.
        entry: KnownUser,
        /// Whether the mapping has to be brought up to `entry` first.
        record: bool,
    },
    /// Drop the link of a user that left the manifest and whose account is
    /// gone.
    Forget {
        /// What it pointed at.
        link: Link,
    },
}

/// Everything one run will do for one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The user.
    pub key: UserKey,
    /// What happens to the link.
    pub kind: Kind,
    /// The id the mapping has this user under so far.
    pub renamed_from: Option<UserKey>,
    /// What changes of the account; empty for a create.
    pub account: AccountChange,
    /// What changes of the profile.
    pub profile: ProfileChange,
}

/// One remote call, or one entry of the mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// `POST /accounts` (or `/companies`).
    CreateAccount,
    /// Record the link.
    RecordLink,
    /// Drop the link.
    DropLink,
    /// `PATCH /accounts/{id}`.
    UpdateAccount,
    /// The picture: a file record, its bytes, and the wait until it is ready.
    /// Shared by all users of the same content.
    UploadPicture,
    /// `PATCH /users/{id}` for the platform.
    UpdateProfile,
}

impl Action {
    /// The account and owner, where they exist already.
    pub fn link(&self) -> Option<&Link> {
        match &self.kind {
            Kind::Create(_) => None,
            Kind::Adopt { entry, .. } | Kind::Update { entry, .. } => Some(&entry.link),
            Kind::Forget { link } => Some(link),
        }
    }

    /// The steps in the order they must run. The picture alone may run beside
    /// the others; it must be ready before the profile is updated.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::with_capacity(4);
        match &self.kind {
            Kind::Create(_) => steps.push(Step::CreateAccount),
            Kind::Adopt { .. } => steps.push(Step::RecordLink),
            Kind::Update { record: true, .. } => steps.push(Step::RecordLink),
            Kind::Update { .. } => {}
            Kind::Forget { .. } => steps.push(Step::DropLink),
        }
        if !self.account.is_empty() {
            steps.push(Step::UpdateAccount);
        }
        if self.profile.picture.is_some() {
            steps.push(Step::UploadPicture);
        }
        if !self.profile.is_empty() {
            steps.push(Step::UpdateProfile);
        }
        steps
    }
}

/// Why a create in doubt is not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrepeatable {
    /// The API version cannot repeat a create, or is not the one that it was
    /// made for.
    Version,
    /// The journal's request asks for something else than the manifest does
    /// now, or is none that we write.
    Different,
    /// The journal says that it was begun later than Whop's clock shows now.
    Ahead,
}

/// Why a user is left alone although something is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Several accounts could be this user's.
    Ambiguous {
        /// By what they match.
        by: Evidence,
        /// Which ones.
        accounts: Vec<AccountId>,
    },
    /// The account that matches is already linked to another user.
    LinkedElsewhere {
        /// The account.
        account: AccountId,
        /// The other user.
        other: UserKey,
    },
    /// What speaks of the account does not agree on who it is.
    Contradicted(Box<Contradiction>),
    /// The mapping names the account for other users as well.
    MappedTwice {
        /// The account.
        account: AccountId,
        /// The other users.
        others: Vec<UserKey>,
    },
    /// The linked account has another email, and Whop cannot change it.
    EmailChanged {
        /// The account.
        account: AccountId,
        /// Its email.
        observed: Box<str>,
    },
    /// The email already owns an account that is not this user's
    /// ([`Guard::Duplicate`]).
    EmailTaken {
        /// The account.
        account: AccountId,
        /// The platform id it carries.
        external_id: Option<Box<str>>,
    },
    /// Several users are one person on Whop, who can have only one profile.
    SharedOwner {
        /// The person.
        owner: UserId,
        /// The other users.
        others: Vec<UserKey>,
    },
    /// Creates are held because too many mapped accounts were not found
    /// ([`Guard::Vanished`]).
    Vanished,
    /// A create's answer was lost and looking cannot tell yet
    /// ([`Guard::InDoubt`]).
    InDoubt {
        /// When it was sent, as the journal has it, in seconds since 1970.
        begun: u64,
        /// Why it is not simply sent again.
        why: Unrepeatable,
    },
    /// Whop has suspended the account.
    Suspended {
        /// The account.
        account: AccountId,
    },
    /// Metadata differs and this dialect cannot change it.
    MetadataFixed {
        /// Which keys.
        keys: Vec<Box<str>>,
    },
    /// The list of accounts is incomplete: absence proves nothing.
    Incomplete,
    /// The profile could not be read.
    Unreadable {
        /// What Whop said.
        message: String,
    },
    /// Whop says the account's owner does not exist.
    OwnerMissing {
        /// The owner.
        owner: UserId,
    },
}

impl Reason {
    /// A stable name for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ambiguous { .. } => "ambiguous",
            Self::LinkedElsewhere { .. } => "linked_elsewhere",
            Self::Contradicted(contradiction) => match contradiction.dissent {
                Dissent::Id { .. } | Dissent::Owner { .. } | Dissent::Email => "contradicted",
                Dissent::Silence => "unproven",
            },
            Self::MappedTwice { .. } => "mapped_twice",
            Self::EmailChanged { .. } => "email_changed",
            Self::EmailTaken { .. } => "email_taken",
            Self::SharedOwner { .. } => "shared_owner",
            Self::Vanished => "vanished",
            Self::InDoubt { .. } => "in_doubt",
            Self::Suspended { .. } => "suspended",
            Self::MetadataFixed { .. } => "metadata_fixed",
            Self::Incomplete => "incomplete",
            Self::Unreadable { .. } => "unreadable",
            Self::OwnerMissing { .. } => "owner_missing",
        }
    }
}

impl Reason {
    /// Whether it is about who somebody is: evidence that does not agree.
    pub fn is_about_identity(&self) -> bool {
        match self {
            Self::Contradicted(_)
            | Self::MappedTwice { .. }
            | Self::LinkedElsewhere { .. }
            | Self::EmailChanged { .. } => true,
            Self::Ambiguous { .. }
            | Self::EmailTaken { .. }
            | Self::SharedOwner { .. }
            | Self::Vanished
            | Self::InDoubt { .. }
            | Self::Suspended { .. }
            | Self::MetadataFixed { .. }
            | Self::Incomplete
            | Self::Unreadable { .. }
            | Self::OwnerMissing { .. } => false,
        }
    }
}

/// Wanted, but refused for a stated reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The user.
    pub key: UserKey,
    /// Why.
    pub reason: Reason,
}

/// Something on Whop or in the mapping that the manifest does not speak of.
/// Reported, never touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmanaged {
    /// The account.
    pub account: AccountId,
    /// The user the mapping has for it, if any.
    pub key: Option<UserKey>,
    /// Its title on Whop, if listed.
    pub title: Option<Text>,
}

/// The mapping is behind: Whop already shows what the manifest asks for.
/// Recorded by the next apply without a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// The user.
    pub key: UserKey,
    /// The entry as it will stand.
    pub entry: KnownUser,
}

/// Where a plan is carried out and which limits hold there: with the actions,
/// what a reviewer agrees to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The server, as the mapping names it.
    pub server: Box<str>,
    /// The API version.
    pub version: Box<str>,
    /// The limits as the manifest has them, not the numbers they come to.
    pub limits: Guardrails,
    /// The guards lifted for this run.
    pub lifted: BTreeSet<Guard>,
}

/// Something about the limits that a reviewer must see before the actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caution {
    /// The manifest sets a limit that is laxer than the default.
    Lax {
        /// Which.
        guard: Guard,
        /// What the manifest says.
        limit: Limit,
    },
    /// The run lifts this guard.
    Lifted(Guard),
    /// More accounts are to be created than the default would allow, but nearly
    /// all accounts with an id of the manifest are so new that the platform is
    /// still being set up, and it does not hold yet.
    SetUp {
        /// Accounts to create.
        wanted: usize,
        /// What the default would allow.
        most: usize,
    },
}

/// A limit that the plan breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// Which.
    pub guard: Guard,
    /// The most it allows, in users.
    pub most: usize,
    /// What the plan would do, in users.
    pub wanted: usize,
    /// The limit as it was set, where it is one that can be.
    pub limit: Option<Limit>,
}

/// What an action was, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// An account was to be made.
    Create,
    /// An account was to be linked.
    Adopt,
    /// An account or profile was to be changed.
    Update,
    /// A link was to be dropped.
    Forget,
}

/// How profiles were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reads {
    /// Accounts listed.
    pub accounts: usize,
    /// Profiles read from Whop.
    pub profiles: usize,
    /// Linked users whose profile was taken from the mapping.
    pub from_mapping: usize,
}

/// What a run will do, decided to the last detail: carrying it out leaves
/// nothing to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The platform's own account.
    pub platform: PlatformId,
    /// Where it is carried out, and the limits that hold there.
    pub terms: Terms,
    /// What must be seen first.
    pub cautions: Vec<Caution>,
    /// The actions, sorted by user.
    pub actions: Vec<Action>,
    /// The holds, sorted by user.
    pub holds: Vec<Hold>,
    /// Facts that only the mapping lacks, sorted by user.
    pub learned: Vec<Learned>,
    /// What is left alone, sorted by account.
    pub unmanaged: Vec<Unmanaged>,
    /// Users for whom nothing is wanted.
    pub unchanged: usize,
    /// Users of the manifest that the run is not about (`--only`).
    pub left_out: usize,
    /// The limits it breaks: shown whole, then refused.
    pub breaches: Vec<Breach>,
    /// How it was looked.
    pub reads: Reads,
}

impl Plan {
    /// A plan that does nothing, for this manifest's platform.
    pub fn new(desired: &Desired, policy: &Policy) -> Self {
        Self {
            platform: desired.platform().clone(),
            terms: Terms {
                server: policy.server.clone(),
                version: policy.version.clone(),
                limits: *desired.guardrails(),
                lifted: policy.allow.clone(),
            },
            cautions: Vec::new(),
            actions: Vec::new(),
            holds: Vec::new(),
            learned: Vec::new(),
            unmanaged: Vec::new(),
            unchanged: 0,
            left_out: 0,
            breaches: Vec::new(),
            reads: Reads::default(),
        }
    }

    /// Whether Whop already is as the manifest asks, holds aside.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }
}

impl Action {
    /// The id under which the account was known so far, where this action gives
    /// it another: an identity change.
    pub fn former_id(&self) -> Option<&str> {
        let changes = IDENTITY_KEYS
            .iter()
            .filter_map(|key| self.account.metadata.get(*key));
        let mut old = changes.filter_map(|change| change.old.as_deref());
        let renamed = self.renamed_from.as_ref().map(UserKey::as_str);
        renamed.or_else(|| old.find(|old| !old.is_empty() && *old != self.key.as_str()))
    }

    /// The name that the user will show, as far as the plan has it.
    pub fn name(&self) -> Option<&str> {
        let known = match &self.kind {
            Kind::Adopt { entry, .. } | Kind::Update { entry, .. } => entry.name.as_deref(),
            Kind::Create(_) | Kind::Forget { .. } => None,
        };
        let new = self.profile.name.as_ref().map(|name| name.new.as_str());
        new.or(known)
    }

    /// What kind of action it is, without its content.
    pub fn verb(&self) -> Verb {
        match self.kind {
            Kind::Create(_) => Verb::Create,
            Kind::Adopt { .. } => Verb::Adopt,
            Kind::Update { .. } => Verb::Update,
            Kind::Forget { .. } => Verb::Forget,
        }
    }
}
