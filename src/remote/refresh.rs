//! A refresh: every account listed, and the profiles that are worth reading.

use tokio::task::JoinSet;

use super::{CallError, Client};
use crate::core::link::profiles_to_read;
use crate::core::model::{Desired, Known, Observed, Policy, ProfileRead};
use crate::core::value::UserId;

/// Profile reads handed out at a time. The client bounds how many are on the
/// wire; this bounds how many wait for it.
const WINDOW: usize = 256;

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
    let mut wanted = profiles_to_read(desired, &observed, known, policy);
    wanted.sort_unstable();
    wanted.dedup();
    let total = wanted.len();
    let mut wanted = wanted.into_iter();
    let mut reading = JoinSet::new();
    loop {
        while reading.len() < WINDOW
            && let Some(owner) = wanted.next()
        {
            reading.spawn(read(client.clone(), owner));
        }
        match reading.join_next().await {
            None => return Ok(observed),
            Some(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
            Some(Ok((owner, profile))) => {
                observed.profiles.insert(owner, profile?);
                progress(Progress::Read(observed.profiles.len(), total));
            }
        }
    }
}

async fn read(client: Client, owner: UserId) -> (UserId, Result<ProfileRead, CallError>) {
    let profile = client.read_profile(&owner).await;
    (owner, profile)
}
