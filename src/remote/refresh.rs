//! A refresh: every account listed, and the profiles that are worth reading.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::pin::pin;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::{CallError, Client, Listing};
use crate::core::link::{mapped_profiles_to_read, profiles_to_read};
use crate::core::model::{Desired, Guard, Known, Link, Observed, Policy, ProfileRead};
use crate::core::value::{AccountId, UserId};

/// Profile reads handed out at a time. The client bounds how many are on the
/// wire; this bounds how many wait for it.
const WINDOW: usize = 256;

/// Mapped accounts that the list leaves out are asked for one by one up to
/// this many: one minute of Whop's limit.
const MOST_MISSING: usize = 600;

/// How far a refresh is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many accounts were listed, which is all of them.
    Listed(usize),
    /// So many of so many profiles were read.
    Read(usize, usize),
}

/// Looks at Whop. Sends GET requests only.
///
/// # Errors
/// The first call that failed for good. One user's unreadable profile is not
/// an error: it is noted, and the planner holds that user.
pub async fn refresh(
    client: &Client,
    desired: &Desired,
    known: &Known,
    policy: &Policy,
    mut progress: impl FnMut(Progress),
) -> Result<Observed, CallError> {
    let mut reads = Reads::new(client);
    let mut mapped = mapped_profiles_to_read(desired, known, policy);
    let listing = list(client, known, &mut mapped.owners, &mut reads).await?;
    progress(Progress::Listed(listing.accounts.len()));
    let mut observed = Observed {
        complete: listing.complete,
        accounts: listing.accounts,
        ..Observed::default()
    };
    let all_there = look_for_missing(client, known, policy, &mut observed).await?;
    // To link a million users, only to find that nobody else is wanted, takes
    // as long as planning them.
    if !(all_there && mapped.everybody && mapped.owners.is_empty()) {
        reads.want(profiles_to_read(desired, &observed, known, policy));
    }
    observed.profiles = reads.all(progress).await?;
    observed.time = client.server_time();
    Ok(observed)
}

/// Reads the profiles of these owners. Sends GET only.
///
/// # Errors
/// As [`refresh`].
pub async fn read_profiles(
    client: &Client,
    wanted: Vec<UserId>,
    progress: impl FnMut(Progress),
) -> Result<BTreeMap<UserId, ProfileRead>, CallError> {
    let mut reads = Reads::new(client);
    reads.want(wanted);
    reads.all(progress).await
}

/// The list. While it goes on, profiles are read that will be wanted as far as
/// the mapping tells: the two have budgets of their own, and neither waits for
/// the other. Not before the first page, which shows that key and company are
/// right. Those of whom that is so are taken from `mapped`.
async fn list(
    client: &Client,
    known: &Known,
    mapped: &mut Vec<UserId>,
    reads: &mut Reads,
) -> Result<Listing, CallError> {
    let (tell, goes_on) = oneshot::channel();
    let mut listing = pin!(client.list_accounts_beside(known, || _ = tell.send(())));
    tokio::select! {
        biased;
        listed = &mut listing => return listed,
        _ = goes_on => {}
    }
    reads.want(std::mem::take(mapped));
    loop {
        tokio::select! {
            biased;
            listed = &mut listing => return listed,
            read = reads.next(), if reads.is_busy() => read?,
        }
    }
}

/// Profiles that are being read, each owner's once.
struct Reads {
    client: Client,
    /// What was ever wanted.
    known: HashSet<UserId>,
    waiting: VecDeque<UserId>,
    reading: JoinSet<(UserId, Result<ProfileRead, CallError>)>,
    read: BTreeMap<UserId, ProfileRead>,
}

impl Reads {
    fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
            known: HashSet::new(),
            waiting: VecDeque::new(),
            reading: JoinSet::new(),
            read: BTreeMap::new(),
        }
    }

    fn want(&mut self, mut owners: Vec<UserId>) {
        // In an order that does not depend on the manifest's.
        owners.sort_unstable();
        for owner in owners {
            if !self.known.contains(&owner) {
                self.known.insert(owner.clone());
                self.waiting.push_back(owner);
            }
        }
    }

    fn is_busy(&self) -> bool {
        !(self.waiting.is_empty() && self.reading.is_empty())
    }

    /// Reads one more. Dropped, it loses nothing.
    async fn next(&mut self) -> Result<(), CallError> {
        while self.reading.len() < WINDOW
            && let Some(owner) = self.waiting.pop_front()
        {
            let client = self.client.clone();
            self.reading.spawn(read(client, owner).in_current_span());
        }
        match self.reading.join_next().await {
            None => {}
            Some(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
            Some(Ok((owner, profile))) => _ = self.read.insert(owner, profile?),
        }
        Ok(())
    }

    async fn all(
        mut self,
        mut progress: impl FnMut(Progress),
    ) -> Result<BTreeMap<UserId, ProfileRead>, CallError> {
        while self.is_busy() {
            self.next().await?;
            progress(Progress::Read(self.read.len(), self.known.len()));
        }
        Ok(self.read)
    }
}

/// A list may lag behind a create, and a mapped account that it leaves out is
/// not gone for that: making it again would make a second one. So each is
/// asked for by its id. Beyond [`MOST_MISSING`] and a tenth the list is suspect,
/// and is left to the guard that says so. Whether the list itself has all, each
/// with the owner that the mapping has.
async fn look_for_missing(
    client: &Client,
    known: &Known,
    policy: &Policy,
    observed: &mut Observed,
) -> Result<bool, CallError> {
    if known.users.is_empty() || !observed.complete {
        return Ok(false);
    }
    let listed: HashMap<&AccountId, &UserId> = observed
        .accounts
        .iter()
        .map(|account| (&account.id, &account.owner))
        .collect();
    let mut missing = Vec::new();
    let mut all_there = true;
    for Link { account, owner } in known.users.values().map(|entry| &entry.link) {
        match listed.get(account) {
            Some(listed) => all_there &= *listed == owner,
            None => missing.push(account.clone()),
        }
    }
    all_there &= missing.is_empty();
    let listed_nobody = listed.is_empty();
    // Only where that guard then holds every create may looking be left out.
    let guarded = missing.len() * 10 > known.users.len() && policy.enforces(Guard::Vanished);
    if missing.len() > MOST_MISSING && guarded {
        return Ok(false);
    }
    let mut asking = JoinSet::new();
    for id in missing {
        let client = client.clone();
        let ask = async move {
            let answer = client.retrieve_account(&id).await;
            (id, answer)
        };
        asking.spawn(ask.in_current_span());
    }
    while let Some(asked) = asking.join_next().await {
        let (id, answer) = asked.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()));
        match answer {
            Ok(account) => {
                // A list that knows nobody, where somebody is, knows nothing
                // about those who are not in the mapping either.
                observed.complete &= !(listed_nobody && account.is_some());
                observed.accounts.extend(account);
            }
            Err(error) if error.is_fatal() => return Err(error),
            // Nobody else has to wait for it: whoever is listed is updated,
            // and nothing is created while it cannot be told what is there.
            Err(error) => {
                observed.complete = false;
                let why = format!("account `{id}`: {}", error.message);
                observed.unread.insert(id, why);
            }
        }
    }
    Ok(all_there)
}

async fn read(client: Client, owner: UserId) -> (UserId, Result<ProfileRead, CallError>) {
    let profile = client.read_profile(&owner).await;
    (owner, profile)
}
