//! Which account is whose. A mapping entry points at one; without one, an
//! account is recognised by what it carries. Either way all evidence is weighed
//! ([`super::identity`]), and whatever is not certain is held.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};

use super::difference;
use super::digest::Digest;
use super::identity::{self, Contradiction, Dissent, Evidence, alike};
use super::model::{
    Account, Desired, DesiredUser, Guard, IDENTITY_KEYS, Known, KnownUser, Observed, Policy, Refresh,
};
use super::plan::Reason;
use super::value::{AccountId, UserId, UserKey};

/// `auto` reads every profile up to this many mapped users, and at most this
/// many in turn above it: one minute of Whop's limit.
pub const AUTO_PROFILES: usize = 600;

/// What a user of the manifest is on Whop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linked<'a> {
    /// The mapping names the account, and it was listed.
    Mapped {
        /// The account.
        account: &'a Account,
        /// What the mapping has.
        known: &'a KnownUser,
        /// The id the mapping has it under, where that is the former one.
        from: Option<&'a UserKey>,
    },
    /// An account nobody is linked to was recognised.
    Found {
        /// The account.
        account: &'a Account,
        /// How.
        by: Evidence,
        /// The former id, where the account carries that one.
        from: Option<&'a UserKey>,
    },
    /// There is none.
    Absent {
        /// The account the mapping has, which is gone.
        gone: Option<&'a AccountId>,
    },
    /// It cannot be told, or must not be used. Few are, so that nobody else has
    /// to have room for why.
    Held(Box<Reason>),
}

impl<'a> Linked<'a> {
    /// The account, where there is a certain one.
    pub fn account(&self) -> Option<&'a Account> {
        match self {
            Self::Mapped { account, .. } | Self::Found { account, .. } => Some(account),
            Self::Absent { .. } | Self::Held(_) => None,
        }
    }
}

fn held<'a>(reason: Reason) -> Linked<'a> {
    Linked::Held(Box::new(reason))
}

/// The links of all users of the manifest.
#[derive(Debug)]
pub struct Links<'a> {
    /// One a user, in the manifest's order.
    pub users: Vec<Linked<'a>>,
    /// Whether so many mapped accounts were not found that the list is
    /// suspect ([`Guard::Vanished`]).
    pub vanished: bool,
    accounts: HashMap<&'a AccountId, &'a Account>,
}

impl<'a> Links<'a> {
    /// The listed account of this id.
    pub fn account(&self, id: &AccountId) -> Option<&'a Account> {
        self.accounts.get(id).copied()
    }
}

/// Links every user of the manifest.
pub fn link<'a>(
    desired: &'a Desired,
    observed: &'a Observed,
    known: &'a Known,
    policy: &Policy,
) -> Links<'a> {
    let accounts: HashMap<_, _> = observed
        .accounts
        .iter()
        .map(|account| (&account.id, account))
        .collect();
    let finder = OnceCell::new();
    let finder = || finder.get_or_init(|| Finder::new(observed, known, &accounts));
    let mut users = Vec::with_capacity(desired.users().len());
    let mut missing = 0;
    let mut look_up = |entry: &KnownUser| {
        let account = accounts.get(&entry.link.account).copied();
        missing += usize::from(account.is_none());
        account
    };
    // Both are sorted, so that one walk does.
    let mut entries = known.users.iter().peekable();
    for user in desired.users() {
        while let Some((_, other)) = entries.next_if(|(key, _)| **key < user.key) {
            look_up(other);
        }
        let own = entries.next_if(|(key, _)| **key == user.key);
        let own = own.map(|(_, entry)| (entry, look_up(entry)));
        let linked = match mapped(user, own, known, &accounts) {
            Ok(linked) => linked,
            Err(gone) => match gone.and_then(|account| observed.unread.get(account)) {
                Some(message) => held(Reason::Unreadable {
                    message: message.clone(),
                }),
                None if !observed.complete => held(Reason::Incomplete),
                None => finder().find(user, gone, policy),
            },
        };
        users.push(match weighed(user, &linked) {
            Ok(()) => linked,
            Err((account, under, dissent)) => held(Reason::Contradicted(Box::new(Contradiction {
                account: account.id.clone(),
                under: under.cloned(),
                dissent,
                carrier: finder().carrier(user).map(|account| account.id.clone()),
            }))),
        });
    }
    entries.for_each(|(_, other)| {
        look_up(other);
    });
    let vanished = observed.complete && missing * 10 > known.users.len() && policy.enforces(Guard::Vanished);
    hold_named_twice(desired, known, &mut users);
    hold_shared_owners(desired, &mut users);
    Links {
        users,
        vanished,
        accounts,
    }
}

/// The mapping's word on a user, whose own entry and its account are `own`;
/// `Err` with the account that is gone, if any, where it has none.
fn mapped<'a>(
    user: &'a DesiredUser,
    own: Option<(&'a KnownUser, Option<&'a Account>)>,
    known: &'a Known,
    accounts: &HashMap<&'a AccountId, &'a Account>,
) -> Result<Linked<'a>, Option<&'a AccountId>> {
    let own = own.map(|(entry, account)| (entry, account, None));
    let former = || {
        let from = user.renamed_from.as_ref()?;
        let entry = known.users.get(from)?;
        Some((entry, accounts.get(&entry.link.account).copied(), Some(from)))
    };
    let Some((entry, account, from)) = own.or_else(former) else {
        return Err(None);
    };
    match account {
        Some(account) => Ok(Linked::Mapped {
            account,
            known: entry,
            from,
        }),
        None => Err(Some(&entry.link.account)),
    }
}

/// Weighs everything that speaks of the account a user is linked to. The error
/// is the account, the id under which the mapping names it, and what says
/// otherwise.
fn weighed<'a>(
    user: &'a DesiredUser,
    linked: &Linked<'a>,
) -> Result<(), (&'a Account, Option<&'a UserKey>, Dissent)> {
    let (account, entry, under) = match linked {
        Linked::Mapped { account, known, from } => (*account, Some(*known), Some(from.unwrap_or(&user.key))),
        Linked::Found { account, .. } => (*account, None, None),
        Linked::Absent { .. } | Linked::Held(_) => return Ok(()),
    };
    identity::weigh(user.into(), account, entry).map_err(|dissent| (account, under, dissent))
}

/// Looks accounts up by what they carry. Made only when some user is not in
/// the mapping, or contradicted.
struct Finder<'a> {
    /// By each of [`IDENTITY_KEYS`], in that order.
    by_identity: [HashMap<&'a str, Vec<&'a Account>>; 2],
    by_email: HashMap<String, Vec<&'a Account>>,
    /// Who an account is linked to.
    owners: HashMap<&'a AccountId, &'a UserKey>,
}

impl<'a> Finder<'a> {
    fn new(observed: &'a Observed, known: &'a Known, accounts: &HashMap<&'a AccountId, &'a Account>) -> Self {
        let mut finder = Self {
            by_identity: [HashMap::new(), HashMap::new()],
            by_email: HashMap::new(),
            owners: known
                .users
                .iter()
                .filter(|(_, entry)| accounts.contains_key(&entry.link.account))
                .map(|(key, entry)| (&entry.link.account, key))
                .collect(),
        };
        for account in &observed.accounts {
            for (key, index) in IDENTITY_KEYS.iter().zip(&mut finder.by_identity) {
                if let Some(id) = account.text(key) {
                    index.entry(id).or_default().push(account);
                }
            }
            if let Some(email) = &account.email {
                finder
                    .by_email
                    .entry(email.to_lowercase())
                    .or_default()
                    .push(account);
            }
        }
        finder
    }

    fn find(&self, user: &'a DesiredUser, gone: Option<&'a AccountId>, policy: &Policy) -> Linked<'a> {
        for (evidence, index) in [Evidence::ExternalId, Evidence::InternalUserId]
            .into_iter()
            .zip(&self.by_identity)
        {
            let ids = std::iter::once((&user.key, None))
                .chain(user.renamed_from.as_ref().map(|from| (from, Some(from))));
            for (id, from) in ids {
                let matching: Vec<_> = index
                    .get(id.as_str())
                    .into_iter()
                    .flatten()
                    .copied()
                    .filter(|account| evidence == Evidence::ExternalId || !carries_other_id(account, id))
                    .collect();
                if let Some(linked) = self.choose(&matching, evidence, from) {
                    return linked;
                }
            }
        }
        self.find_by_email(user, gone, policy)
    }

    /// The one account that carries the user's own id.
    fn carrier(&self, user: &DesiredUser) -> Option<&'a Account> {
        match self.by_identity[0].get(user.key.as_str())?.as_slice() {
            [account] => Some(account),
            _ => None,
        }
    }

    fn find_by_email(&self, user: &DesiredUser, gone: Option<&'a AccountId>, policy: &Policy) -> Linked<'a> {
        let same_email = self
            .by_email
            .get(&*user.email.folded())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let (nobodys, somebodys): (Vec<&Account>, Vec<&Account>) = same_email
            .iter()
            .partition(|account| carried_id(account).is_none() && !self.owners.contains_key(&account.id));
        // An account that carries another id tells against guessing by email,
        // even beside one that carries none: they share one owner.
        if let Some(other) = somebodys.iter().min_by_key(|account| &account.id) {
            return match policy.enforces(Guard::Duplicate) {
                true => held(Reason::EmailTaken {
                    account: other.id.clone(),
                    external_id: carried_id(other).map(Into::into),
                }),
                false => Linked::Absent { gone },
            };
        }
        self.choose(&nobodys, Evidence::Email, None)
            .unwrap_or(Linked::Absent { gone })
    }

    /// Exactly one that nobody else has, or a reason why not; `None` without
    /// any.
    fn choose(
        &self,
        matching: &[&'a Account],
        by: Evidence,
        from: Option<&'a UserKey>,
    ) -> Option<Linked<'a>> {
        Some(match matching {
            [] => return None,
            [account] => match self.owners.get(&account.id) {
                None => Linked::Found { account, by, from },
                Some(other) => held(Reason::LinkedElsewhere {
                    account: account.id.clone(),
                    other: (*other).clone(),
                }),
            },
            several => {
                let mut accounts: Vec<_> = several.iter().map(|account| account.id.clone()).collect();
                accounts.sort();
                held(Reason::Ambiguous { by, accounts })
            }
        })
    }
}

/// The platform id an account carries under either key.
fn carried_id(account: &Account) -> Option<&str> {
    IDENTITY_KEYS.iter().find_map(|key| account.text(key))
}

/// Whether its `external_id` speaks for somebody else.
fn carries_other_id(account: &Account, id: &UserKey) -> bool {
    account
        .text(IDENTITY_KEYS[0])
        .is_some_and(|other| other != id.as_str())
}

/// Two entries of the mapping that name one account: at least one of them is
/// wrong, so neither is believed. The entry of a user's own former id is not
/// somebody else's.
fn hold_named_twice<'a>(desired: &'a Desired, known: &'a Known, users: &mut [Linked<'a>]) {
    let twice = identity::named_twice(known);
    if twice.is_empty() {
        return;
    }
    for (user, linked) in desired.users().iter().zip(users) {
        let Linked::Mapped { account, .. } = linked else {
            continue;
        };
        let named = twice.get(&account.id).into_iter().flatten();
        let others =
            named.filter(|other| ***other != user.key && user.renamed_from.as_ref() != Some(**other));
        let others: Vec<UserKey> = others.map(|other| (*other).clone()).collect();
        if !others.is_empty() {
            *linked = held(Reason::MappedTwice {
                account: account.id.clone(),
                others,
            });
        }
    }
}

/// Two users who are one person on Whop would overwrite each other's profile
/// ([traps](crate::whop_api#traps)): both are held.
fn hold_shared_owners<'a>(desired: &'a Desired, users: &mut [Linked<'a>]) {
    let owner = |at: usize| users[at].account().map(|account| &account.owner);
    let mut owners: Vec<(&UserId, usize)> = alike(users.len(), owner);
    owners.sort_unstable();
    for group in owners.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
        for (owner, at) in group {
            let others = group.iter().filter(|(_, other)| other != at);
            let others = others
                .map(|(_, other)| desired.users()[*other].key.clone())
                .collect();
            users[*at] = held(Reason::SharedOwner {
                owner: (*owner).clone(),
                others,
            });
        }
    }
}

/// The owners whose profiles have to be read before planning, in the
/// manifest's order. `observed` needs its accounts only.
pub fn profiles_to_read(
    desired: &Desired,
    observed: &Observed,
    known: &Known,
    policy: &Policy,
) -> Vec<UserId> {
    let links = link(desired, observed, known, policy);
    let slice = Slice::of(known, policy);
    let mut reads = Vec::new();
    for (user, linked) in desired.users().iter().zip(&links.users) {
        let wanted = policy.covers(&user.key)
            && match linked {
                Linked::Found { .. } => true,
                Linked::Mapped { known: entry, .. } => is_wanted(user, entry, known, &slice),
                Linked::Absent { .. } | Linked::Held(_) => false,
            };
        if wanted && let Some(account) = linked.account() {
            reads.push(account.owner.clone());
        }
    }
    reads
}

/// What the mapping alone tells of the profiles to read, before it is known
/// which accounts are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedReads {
    /// Their owners, those of accounts that are gone among them.
    pub owners: Vec<UserId>,
    /// Whether everybody in the manifest is in the mapping: if all accounts of
    /// the mapping are there, then nobody else's profile has to be read.
    pub everybody: bool,
}

/// The part of [`profiles_to_read`] that needs no account.
pub fn mapped_profiles_to_read(desired: &Desired, known: &Known, policy: &Policy) -> MappedReads {
    let slice = Slice::of(known, policy);
    let mut reads = MappedReads {
        owners: Vec::new(),
        everybody: true,
    };
    // Both are sorted, so that one walk does.
    let mut entries = known.users.iter().peekable();
    for user in desired.users() {
        while entries.next_if(|(key, _)| **key < user.key).is_some() {}
        match entries.next_if(|(key, _)| **key == user.key) {
            None => reads.everybody = false,
            Some((_, entry)) if policy.covers(&user.key) && is_wanted(user, entry, known, &slice) => {
                reads.owners.push(entry.link.owner.clone());
            }
            Some(_) => {}
        }
    }
    reads
}

/// Whether a mapped user's profile is worth reading.
fn is_wanted(user: &DesiredUser, entry: &KnownUser, known: &Known, slice: &Slice<'_>) -> bool {
    difference::profile(user, entry) || known.unsure.contains(&user.key) || slice.contains(&user.key)
}

/// The part of the mapped users that a refresh reads whatever was applied.
enum Slice<'a> {
    All,
    None,
    /// These users.
    Users(&'a BTreeSet<UserKey>),
    /// Those whose hash lies in this range.
    Range(std::ops::RangeInclusive<u64>),
}

impl<'a> Slice<'a> {
    fn of(known: &Known, policy: &'a Policy) -> Self {
        if let Some(touched) = &policy.touched {
            return Self::Users(touched);
        }
        let mapped = known.users.len();
        match policy.refresh {
            Refresh::Full => Self::All,
            Refresh::Changed => Self::None,
            Refresh::Auto if mapped <= AUTO_PROFILES => Self::All,
            Refresh::Auto => {
                let mut ranks: Vec<u64> = known.users.keys().map(rank).collect();
                ranks.sort_unstable();
                let slices: Vec<_> = ranks.chunks(AUTO_PROFILES).collect();
                let hour = (policy.now / 3600) as usize % slices.len();
                Self::Range(slices[hour][0]..=slices[hour][slices[hour].len() - 1])
            }
        }
    }

    fn contains(&self, key: &UserKey) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Users(users) => users.contains(key),
            Self::Range(range) => range.contains(&rank(key)),
        }
    }
}

/// A user's fixed place in the rotation.
fn rank(key: &UserKey) -> u64 {
    Digest::of(key.as_str().as_bytes()).prefix()
}

#[cfg(test)]
mod tests {
    use super::super::model::{Dialect, Entry, Guardrails, Link, Stand};
    use super::super::value::{DisplayName, Email, PlatformId};
    use super::*;

    #[test]
    fn the_mapping_tells_whom_to_read_and_whether_it_has_everybody() {
        let owner = UserId::parse("user_1").unwrap();
        let mut entry = KnownUser::linked(Link {
            account: AccountId::parse("biz_c1").unwrap(),
            owner: owner.clone(),
        });
        entry.name = Some("Ann".into());
        let known = Known {
            users: [(UserKey::parse("a").unwrap(), entry)].into(),
            ..Known::default()
        };
        let mut policy = Policy::new(Dialect::Accounts, "2026-10-15-1", 0);
        policy.refresh = Refresh::Changed;
        let told = |users: &[(&str, &str)]| {
            let entries = users.iter().map(|(key, name)| Entry {
                user: DesiredUser::new(
                    UserKey::parse(key).unwrap(),
                    Email::parse(&format!("{key}@shop.co")).unwrap(),
                    DisplayName::parse(name).unwrap(),
                ),
                at: Stand::default(),
            });
            let platform = PlatformId::parse("biz_platform").unwrap();
            let desired = Desired::new(platform, Guardrails::default(), entries.collect()).unwrap();
            let MappedReads { owners, everybody } = mapped_profiles_to_read(&desired, &known, &policy);
            (owners, everybody)
        };
        assert_eq!(told(&[("a", "Ann")]), (vec![], true));
        assert_eq!(told(&[("a", "Anna")]), (vec![owner], true));
        assert_eq!(told(&[("a", "Ann"), ("b", "Ben")]), (vec![], false));
    }
}
