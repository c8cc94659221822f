//! Whose an account and its owner are already. One person on Whop has one
//! profile for a company, so a new account that is somebody's must not be linked
//! to another user: the two would overwrite each other.

use std::collections::{BTreeSet, HashSet};

use crate::core::model::{Known, Link};
use crate::core::plan::{Kind, Plan};
use crate::core::replay::{Entry, Fact};
use crate::core::text::fingerprint;
use crate::core::value::{AccountId, UserKey};

/// A new account, and the user it is to be linked to.
pub(super) struct Claim {
    /// The user.
    pub(super) key: UserKey,
    /// The account and its owner, as Whop answered.
    pub(super) link: Link,
    /// The account that is gone and that this one replaces.
    pub(super) replaces: Option<AccountId>,
}

/// Who has an account or its owner already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// This user has the account.
    Account(UserKey),
    /// This user's account has the same owner.
    Owner(UserKey),
    /// A user whom this run links or changes.
    Planned,
}

/// What is held. A million users are sixteen megabytes of fingerprints; who it
/// is that has one of them is looked up when it matters.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// What the mapping had before the run, sorted.
    mapped: Vec<u64>,
    /// What the plan's other actions link or change, sorted.
    planned: Vec<u64>,
    /// What was linked since.
    linked: HashSet<u64>,
    /// Users whose link this plan drops.
    leaving: BTreeSet<UserKey>,
}

impl Claims {
    /// What is held as this plan begins; nothing where it creates nobody.
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

    /// Who besides the claim's own user has its account or its owner, as far as
    /// is known and about to be written.
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
        named.or(planned)
    }

    /// The claim's account is linked from now on.
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
