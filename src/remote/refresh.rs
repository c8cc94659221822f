//! A refresh: lists every account and reads the profiles that need it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::pin::pin;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::{CallError, Client, Listing};
use crate::core::link::{mapped_profiles_to_read, profiles_to_read};
use crate::core::model::{Desired, Guard, Known, Link, Observed, Policy, ProfileRead};
use crate::core::value::{AccountId, UserId};

/// Profile reads started at a time. The client bounds how many are on the wire;
/// this bounds how many wait for it.
const WINDOW: usize = 256;

/// How many mapped accounts that the list lacks are requested one by one: one
/// minute of Whop's limit.
const MOST_MISSING: usize = 600;

/// The progress of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// This many accounts were listed, which is all of them.
    Listed(usize),
    /// This many of this many profiles were read.
    Read(usize, usize),
}

/// Reads Whop's state. Sends GET requests only.
///
/// # Errors
/// The first call that failed for good. A single user's unreadable profile is
/// not an error: it is recorded, and the planner holds that user.
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
    // Linking a million users just to find that no further profile is needed
    // takes as long as planning them.
    if !(all_there && mapped.everybody && mapped.owners.is_empty()) {
        reads.want(profiles_to_read(desired, &observed, known, policy));
    }
    observed.profiles = reads.all(progress).await?;
    observed.time = client.server_time();
    Ok(observed)
}

/// Reads the profiles of these owners. Sends GET requests only.
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

/// Lists accounts and meanwhile reads profiles that the mapping suggests will
/// be needed: the two have separate budgets, so neither waits for the other.
/// Starts after the first page, which shows that key and company are right.
/// Owners whose profile is read are taken from `mapped`.
async fn list(
    client: &Client,
    known: &Known,
    mapped: &mut Vec<UserId>,
    reads: &mut Reads,
) -> Result<Listing, CallError> {
    let (tell, goes_on) = oneshot::channel();
    let mut listing = pin!(client.list_accounts_beside(known, || _ = tell.send(())));
    // If the first page is the whole list, what to read is decided from the
    // list rather than from the mapping.
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

/// Profiles being read, each owner's once.
struct Reads {
    client: Client,
    /// All owners that were requested.
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
        // In an order that does not depend on the manifest.
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

    /// Reads one more. Cancelling it loses nothing.
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

/// A list may lag behind a create, so a mapped account that it lacks may still
/// exist, and creating it again would make a second one. Each is therefore
/// requested by id. Beyond [`MOST_MISSING`] and a tenth, the list itself is
/// suspect and left to the guard. Returns whether the list has all mapped
/// accounts, each with its mapped owner.
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
    // Skipped only if that guard then holds every create.
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
                // A list that lacks existing accounts says nothing about those
                // that are not in the mapping either.
                observed.complete &= !(listed_nobody && account.is_some());
                observed.accounts.extend(account);
            }
            Err(error) if error.is_fatal() => return Err(error),
            // Others need not wait for this: listed users are updated, and
            // nothing is created while it is unknown what exists.
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
