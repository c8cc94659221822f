//! A refresh: every account listed, and the profiles that are worth reading.

use std::collections::{BTreeMap, HashSet};

use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::{CallError, Client};
use crate::core::link::profiles_to_read;
use crate::core::model::{Desired, Guard, Known, Observed, Policy, ProfileRead};
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
    let listing = client.list_accounts().await?;
    progress(Progress::Listed(listing.accounts.len()));
    let mut observed = Observed {
        complete: listing.complete,
        accounts: listing.accounts,
        ..Observed::default()
    };
    look_for_missing(client, known, policy, &mut observed).await?;
    let mut wanted = profiles_to_read(desired, &observed, known, policy);
    wanted.sort_unstable();
    wanted.dedup();
    observed.profiles = read_profiles(client, wanted, progress).await?;
    Ok(observed)
}

/// Reads the profiles of these owners, each named once. Sends GET only.
///
/// # Errors
/// As [`refresh`].
pub async fn read_profiles(
    client: &Client,
    wanted: Vec<UserId>,
    mut progress: impl FnMut(Progress),
) -> Result<BTreeMap<UserId, ProfileRead>, CallError> {
    let mut profiles = BTreeMap::new();
    let total = wanted.len();
    let mut wanted = wanted.into_iter();
    let mut reading = JoinSet::new();
    loop {
        while reading.len() < WINDOW
            && let Some(owner) = wanted.next()
        {
            reading.spawn(read(client.clone(), owner).in_current_span());
        }
        match reading.join_next().await {
            None => return Ok(profiles),
            Some(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
            Some(Ok((owner, profile))) => {
                profiles.insert(owner, profile?);
                progress(Progress::Read(profiles.len(), total));
            }
        }
    }
}

/// A list may lag behind a create, and a mapped account that it leaves out is
/// not gone for that: making it again would make a second one. So each is
/// asked for by its id. Beyond [`MOST_MISSING`] and a tenth the list is suspect,
/// and is left to the guard that says so.
async fn look_for_missing(
    client: &Client,
    known: &Known,
    policy: &Policy,
    observed: &mut Observed,
) -> Result<(), CallError> {
    if known.users.is_empty() || !observed.complete {
        return Ok(());
    }
    let listed: HashSet<&AccountId> = observed.accounts.iter().map(|account| &account.id).collect();
    let missing = known
        .users
        .values()
        .map(|entry| &entry.link.account)
        .filter(|id| !listed.contains(id));
    let missing: Vec<AccountId> = missing.cloned().collect();
    // Only where that guard then holds every create may looking be left out.
    let guarded = missing.len() * 10 > known.users.len() && policy.enforces(Guard::Vanished);
    if missing.len() > MOST_MISSING && guarded {
        return Ok(());
    }
    let mut asking = JoinSet::new();
    for id in missing {
        let client = client.clone();
        asking.spawn(async move { client.retrieve_account(&id).await }.in_current_span());
    }
    while let Some(asked) = asking.join_next().await {
        match asked.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic())) {
            Ok(account) => observed.accounts.extend(account),
            Err(error) if error.is_fatal() => return Err(error),
            // Nobody else has to wait for it: whoever is listed is updated,
            // and nothing is created while it cannot be told what is there.
            Err(_) => observed.complete = false,
        }
    }
    Ok(())
}

async fn read(client: Client, owner: UserId) -> (UserId, Result<ProfileRead, CallError>) {
    let profile = client.read_profile(&owner).await;
    (owner, profile)
}
