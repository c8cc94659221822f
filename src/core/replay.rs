//! What the journal says, folded into what we know. Replaying twice changes
//! nothing, and replaying onto a mapping that already has the facts changes
//! nothing.
//!
//! # Whoever wrote it
//!
//! A journal is a file, and in a repository anybody who proposes a change may
//! have written it. So it is a hint: what it says may make a run do less, never
//! more and never something else. That is so because
//!
//! - a `create` that was begun is sent again only where its bytes ask for what
//!   the manifest asks for ([`super::resend`]). Any other holds its user until
//!   the list of accounts is proof, and so does one from the future.
//! - a link (`created`, `recorded`) becomes an entry of what is known, like one
//!   of the mapping's, and is checked like these against the accounts that Whop
//!   shows before anything is done ([`super::link`]). A link that is dropped is
//!   found again by what its account carries.
//! - a name, picture, title or metadata said to be applied is compared with what
//!   Whop shows wherever that is looked at. Where it is not, nothing is done,
//!   and the plan counts the profiles taken from the mapping.
//! - a picture's file on Whop is not believed at all: the picture is uploaded.
//! - a user said to be unsure has the profile read once more.
//! - `refused` closes what another line opened. Whoever can write it could leave
//!   out that line as well, so it gains nothing.
//! - what a run set out to do can make a manifest look older than what was
//!   applied, and never newer ([`super::lineage`]).

use serde::{Deserialize, Serialize};

use super::lineage::Purpose;
use super::model::{AppliedPicture, Doubt, IDENTITY_KEYS, Known, KnownUser, Link, RESEND_WITHIN};
use super::plan::Learned;
use super::text::{Text, Texts};
use super::value::UserKey;

impl Learned {
    /// The same as a fact.
    pub fn fact(&self) -> Fact {
        Fact::Recorded {
            key: self.key.clone(),
            known: self.entry.clone(),
            from: None,
        }
    }
}

/// One line of the journal. At most one action is in flight per user and its
/// steps run one after the other, so a user's key says which `begun` an
/// `ended` belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// A run began. A journal that outlived its run has several.
    Opened {
        /// The run's random id.
        run: String,
        /// When, in seconds since 1970.
        at: u64,
        /// What it sets out to do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        purpose: Option<Purpose>,
    },
    /// A request is about to be sent.
    Begun {
        /// What it is meant to do.
        intent: Intent,
    },
    /// What is now known to be true.
    Ended {
        /// The fact.
        fact: Fact,
    },
}

/// What a request is meant to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "intent", rename_all = "snake_case")]
pub enum Intent {
    /// Create an account.
    Create {
        /// For this user.
        key: UserKey,
        /// The exact request and when it was first sent.
        doubt: Doubt,
    },
    /// Change the user's account.
    Account {
        /// The user.
        key: UserKey,
    },
    /// Change the user's profile.
    Profile {
        /// The user.
        key: UserKey,
    },
}

/// Something that is now true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// The account was created.
    Created {
        /// The user.
        key: UserKey,
        /// The new account and its owner.
        link: Link,
        /// The title it was given.
        title: Text,
        /// The metadata it was given.
        metadata: Texts,
    },
    /// The mapping entry is this.
    Recorded {
        /// The user.
        key: UserKey,
        /// The entry.
        known: KnownUser,
        /// The id it stood under before.
        from: Option<UserKey>,
    },
    /// The link was dropped.
    Dropped {
        /// The user.
        key: UserKey,
    },
    /// The account was changed to this.
    Account {
        /// The user.
        key: UserKey,
        /// The title, where it was set.
        title: Option<Text>,
        /// Managed metadata that was set.
        metadata: Texts,
    },
    /// The profile was changed to this.
    Profile {
        /// The user.
        key: UserKey,
        /// The name, where it was set.
        name: Option<Text>,
        /// The picture, where it was set.
        picture: Option<AppliedPicture>,
    },
    /// The user's request was refused, without any effect.
    Refused {
        /// The user.
        key: UserKey,
    },
    /// A picture was put on Whop. Older versions wrote the picture's digest and
    /// the file's id here. Neither is read: a file id from disk would let
    /// whoever writes the journal choose the picture that is set.
    File {},
}

/// Folds entries into what is known.
pub fn replay(known: &mut Known, entries: impl IntoIterator<Item = Entry>) {
    for entry in entries {
        match entry {
            Entry::Opened { purpose, .. } => {
                if let Some(purpose) = purpose {
                    known.lineage.begin(purpose);
                }
            }
            Entry::Begun { intent } => begin(known, intent),
            Entry::Ended { fact } => {
                if changes_a_user(&fact) {
                    known.lineage.took_effect();
                }
                learn(known, fact);
            }
        }
    }
}

fn begin(known: &mut Known, intent: Intent) {
    match intent {
        Intent::Create { key, doubt } => {
            known.doubts.insert(key, doubt);
        }
        Intent::Account { key } | Intent::Profile { key } => {
            known.unsure.insert(key);
        }
    }
}

/// Whether a fact says that something was done for a user.
fn changes_a_user(fact: &Fact) -> bool {
    match fact {
        Fact::Created { .. }
        | Fact::Recorded { .. }
        | Fact::Dropped { .. }
        | Fact::Account { .. }
        | Fact::Profile { .. } => true,
        Fact::Refused { .. } | Fact::File {} => false,
    }
}

/// Folds one fact into what is known.
pub fn learn(known: &mut Known, fact: Fact) {
    match fact {
        Fact::Created {
            key,
            link,
            title,
            metadata,
        } => {
            settle(known, &key);
            let metadata = metadata
                .into_iter()
                .filter(|(k, _)| !IDENTITY_KEYS.contains(&&**k))
                .collect();
            known.users.insert(
                key,
                KnownUser {
                    title: Some(title),
                    metadata,
                    ..KnownUser::linked(link)
                },
            );
        }
        Fact::Recorded {
            key,
            known: entry,
            from,
        } => {
            settle(known, &key);
            if let Some(from) = from {
                known.users.remove(&from);
            }
            known.users.insert(key, entry);
        }
        Fact::Dropped { key } => {
            settle(known, &key);
            known.users.remove(&key);
        }
        Fact::Account { key, title, metadata } => {
            settle(known, &key);
            if let Some(entry) = known.users.get_mut(&key) {
                entry.title = title.or(entry.title.take());
                let managed = metadata
                    .into_iter()
                    .filter(|(k, _)| !IDENTITY_KEYS.contains(&&**k));
                entry.metadata.extend(managed);
            }
        }
        Fact::Profile { key, name, picture } => {
            settle(known, &key);
            if let Some(entry) = known.users.get_mut(&key) {
                entry.name = name.or(entry.name.take());
                entry.picture = picture.map(Box::new).or(entry.picture.take());
            }
        }
        Fact::Refused { key } => settle(known, &key),
        Fact::File {} => {}
    }
}

fn settle(known: &mut Known, key: &UserKey) {
    known.doubts.remove(key);
    known.unsure.remove(key);
}

/// The entries that carry what is still open into the next run's journal,
/// with whose it is. A create that Whop can no longer repeat is none: by then
/// the list of accounts is proof either way, and the planner no longer asks.
///
/// `now` is the time on Whop, in seconds since 1970. A create from the future
/// counts as begun then, so that the hold for it ends. Without it nothing is
/// judged: another clock would not do.
pub fn outstanding(known: &Known, now: Option<u64>) -> Vec<Entry> {
    let now = now.unwrap_or_default();
    let open = known
        .doubts
        .iter()
        .filter(|(_, doubt)| now.saturating_sub(doubt.begun) < RESEND_WITHIN);
    let creates = open.map(|(key, doubt)| Intent::Create {
        key: key.clone(),
        doubt: Doubt {
            begun: if now > 0 {
                doubt.begun.min(now)
            } else {
                doubt.begun
            },
            ..doubt.clone()
        },
    });
    let unsure = known
        .unsure
        .iter()
        .map(|key| Intent::Profile { key: key.clone() });
    let mut entries: Vec<Entry> = creates
        .chain(unsure)
        .map(|intent| Entry::Begun { intent })
        .collect();
    if let Some(purpose) = known.lineage.begun().filter(|_| !entries.is_empty()) {
        let opened = Entry::Opened {
            run: String::new(),
            at: now,
            purpose: Some(purpose.clone()),
        };
        entries.insert(0, opened);
    }
    entries
}
