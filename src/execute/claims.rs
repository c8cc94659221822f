//! Who already has an account or its owner. A person on Whop has one profile
//! per company, so an account that belongs to one user must not be linked to
//! another: the two would overwrite each other's name and picture.

use std::collections::{BTreeSet, HashSet};

use crate::core::model::{Known, Link};
use crate::core::plan::{Kind, Plan};
use crate::core::replay::{Entry, Fact};
use crate::core::text::fingerprint;
use crate::core::value::{AccountId, UserKey};

/// A new account and the user it is about to be linked to.
pub(super) struct Claim {
    /// The user.
    pub(super) key: UserKey,
    /// The account and its owner, from Whop's answer.
    pub(super) link: Link,
    /// The account that this one replaces because it is gone.
    pub(super) replaces: Option<AccountId>,
}

/// Who already has an account or its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// This user has the account.
    Account(UserKey),
    /// This user's account has the same owner.
    Owner(UserKey),
    /// A user that this plan links or changes.
    Planned,
}

/// What is taken. For a million users these are sixteen megabytes of
/// fingerprints; the user behind one is looked up only on a match.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// Links in the mapping before the run, sorted.
    mapped: Vec<u64>,
    /// Links of the plan's other actions, sorted.
    planned: Vec<u64>,
    /// Links recorded during this run.
    linked: HashSet<u64>,
    /// Users whose link this plan drops.
    leaving: BTreeSet<UserKey>,
}

impl Claims {
    /// What is taken when this plan starts; empty if it creates no accounts.
    pub(super) fn new(plan: &Plan, known: &Known) -> Self {
        let actions = || plan.actions.iter();
        if !actions().any(|action| matches!(action.kind, Kind::Create(_))) {
            return Self::default();
        }
        let is_leaving = |kind: &Kind| matches!(kind, Kind::Forget { .. });
        let planned = actions().filter(|action| !is_leaving(&action.kind));
        let leaving = actions().filter(|action| is_leaving(&action.kind));
        Self {
            mapped: sorted(known.users.values().map(|user| &user.link)),
            planned: sorted(planned.filter_map(|action| action.link())),
            linked: HashSet::new(),
            leaving: leaving.map(|action| action.key.clone()).collect(),
        }
    }

    /// The other user who has the claim's account or owner, according to the
    /// known state and the entries about to be written.
    pub(super) fn holder(&self, claim: &Claim, known: &Known, writing: &[Entry]) -> Option<Holder> {
        let marks = marks(&claim.link);
        let is_in = |list: &[u64]| marks.iter().any(|mark| list.binary_search(mark).is_ok());
        let planned = is_in(&self.planned).then_some(Holder::Planned);
        if !is_in(&self.mapped) && !marks.iter().any(|mark| self.linked.contains(mark)) {
            return planned;
        }
        let writing = writing.iter().filter_map(|entry| match entry {
            Entry::Ended {
                fact: Fact::Created { key, link, .. },
            } => Some((key, link)),
            _ => None,
        });
        let known = known.users.iter().map(|(key, user)| (key, &user.link));
        let counts = |(key, link): &(&UserKey, &Link)| {
            **key != claim.key
                && !self.leaving.contains(*key)
                && claim.replaces.as_ref() != Some(&link.account)
        };
        let mut others = writing.chain(known).filter(counts);
        let named = others.find_map(|(key, link)| {
            if link.account == claim.link.account {
                Some(Holder::Account(key.clone()))
            } else {
                (link.owner == claim.link.owner).then(|| Holder::Owner(key.clone()))
            }
        });
        // If no other user is found, the match was a fingerprint collision or a
        // user who is leaving.
        named.or(planned)
    }

    /// Marks the claim's account as linked.
    pub(super) fn link(&mut self, claim: &Claim) {
        self.linked.extend(marks(&claim.link));
    }
}

fn marks(link: &Link) -> [u64; 2] {
    [fingerprint(&link.account), fingerprint(&link.owner)]
}

fn sorted<'a>(links: impl Iterator<Item = &'a Link>) -> Vec<u64> {
    let mut all: Vec<u64> = links.flat_map(marks).collect();
    all.sort_unstable();
    all
}
