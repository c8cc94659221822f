//! Everything there is to say about one user: the three facts side by side,
//! how the account was recognised, and what the plan decides.

use super::identity::{self, Evidence, Who};
use super::link::{Linked, link};
use super::model::{
    Account, Desired, DesiredUser, Doubt, IDENTITY_KEYS, Known, KnownUser, Observed, Policy, ProfileRead,
};
use super::plan::{Action, Breach, Plan, Reason};
use super::planner;
use super::value::{AccountId, UserKey};

/// One user, from every side.
#[derive(Clone, Debug)]
pub struct Explanation<'a> {
    /// The id that was asked about.
    pub key: UserKey,
    /// What the manifest asks, if it has the user.
    pub user: Option<&'a DesiredUser>,
    /// The mapping's entry, and the id it stands under: the former one after a
    /// rename.
    pub entry: Option<(&'a UserKey, &'a KnownUser)>,
    /// A create whose answer was lost.
    pub doubt: Option<&'a Doubt>,
    /// The accounts on Whop that have to do with this user, by id.
    pub matches: Vec<Match<'a>>,
    /// The one account that is certain and its owner's profile, if it was read.
    pub profile: Option<(&'a AccountId, &'a ProfileRead)>,
    /// How the account was told to be this user's.
    pub link: How,
    /// What the plan decides.
    pub decision: Decision,
    /// The limits that a plan of this user alone breaks.
    pub breaches: Vec<Breach>,
}

/// An account that has to do with the user, and why.
#[derive(Clone, Debug)]
pub struct Match<'a> {
    /// The account.
    pub account: &'a Account,
    /// The mapping names it.
    pub mapped: bool,
    /// What it carries of the user's.
    pub carries: Vec<Evidence>,
}

/// How an account was told to be the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The mapping names it.
    Mapped,
    /// The mapping names it under the id before.
    Renamed,
    /// It was recognised by what it carries.
    Found(Evidence),
    /// There is none, or none that is certain.
    Not,
}

/// What the plan decides about the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Something is done.
    Act(Box<Action>),
    /// Something is wanted, but refused.
    Hold(Reason),
    /// Everything is as asked; `record` where the mapping has yet to learn it.
    Unchanged {
        /// Whether the next apply completes the mapping's entry.
        record: bool,
    },
    /// The manifest does not have the user, and the account is left alone.
    Unmanaged,
    /// The manifest has the user under another id now.
    RenamedTo(UserKey),
}

/// Explains a user of the manifest, of the mapping, or of both; `None` if
/// neither has one of this id. Only this user need have been looked at.
pub fn explain<'a>(
    key: &UserKey,
    desired: &'a Desired,
    observed: &'a Observed,
    known: &'a Known,
    policy: &Policy,
) -> Option<Explanation<'a>> {
    let user = desired.user(key);
    let own = known.users.get_key_value(key);
    let former = || known.users.get_key_value(user?.renamed_from.as_ref()?);
    let entry = own.or_else(former);
    if user.is_none() && entry.is_none() {
        return None;
    }
    let at = desired.users().iter().position(|user| user.key == *key);
    let linked = at.map(|at| link(desired, observed, known, policy).users.swap_remove(at));
    let how = match &linked {
        Some(Linked::Mapped { from: None, .. }) => How::Mapped,
        Some(Linked::Mapped { from: Some(_), .. }) => How::Renamed,
        Some(Linked::Found { by, .. }) => How::Found(*by),
        Some(Linked::Absent { .. } | Linked::Held(_)) => How::Not,
        None => How::Mapped,
    };
    let plan = planner::plan(desired, observed, known, policy);
    let mut matches: Vec<Match<'a>> = observed
        .accounts
        .iter()
        .filter_map(|account| matching(account, key, user, entry.map(|(_, entry)| entry)))
        .collect();
    matches.sort_by(|a, b| a.account.id.cmp(&b.account.id));
    let certain = linked.as_ref().and_then(Linked::account);
    let certain = match user {
        Some(_) => certain,
        None => entry.and_then(|(key, entry)| left(key, entry, observed)),
    };
    let profile = certain.and_then(|account| Some((&account.id, observed.profiles.get(&account.owner)?)));
    Some(Explanation {
        key: key.clone(),
        user,
        entry,
        doubt: known.doubts.get(key),
        profile,
        matches,
        link: how,
        decision: decision(key, desired, &plan),
        breaches: plan.breaches,
    })
}

/// The account of a user who left the manifest, if it is certainly that user's:
/// it carries the id.
pub fn left<'a>(key: &UserKey, entry: &KnownUser, observed: &'a Observed) -> Option<&'a Account> {
    let mut accounts = observed.accounts.iter();
    let account = accounts.find(|account| account.id == entry.link.account)?;
    identity::weigh(Who::known_by_id(key), account, Some(entry))
        .is_ok()
        .then_some(account)
}

fn decision(key: &UserKey, desired: &Desired, plan: &Plan) -> Decision {
    if let Some(action) = plan.actions.iter().find(|action| action.key == *key) {
        return Decision::Act(Box::new(action.clone()));
    }
    if let Some(hold) = plan.holds.iter().find(|hold| hold.key == *key) {
        return Decision::Hold(hold.reason.clone());
    }
    let new_id = |user: &&DesiredUser| user.renamed_from.as_ref() == Some(key);
    match (desired.user(key), desired.users().iter().find(new_id)) {
        (Some(_), _) => Decision::Unchanged {
            record: plan.learned.iter().any(|learned| learned.key == *key),
        },
        (None, Some(user)) => Decision::RenamedTo(user.key.clone()),
        (None, None) => Decision::Unmanaged,
    }
}

/// What an account has to do with the user, if anything.
fn matching<'a>(
    account: &'a Account,
    key: &UserKey,
    user: Option<&DesiredUser>,
    entry: Option<&KnownUser>,
) -> Option<Match<'a>> {
    let mapped = entry.is_some_and(|entry| entry.link.account == account.id);
    let former = user.and_then(|user| user.renamed_from.as_ref());
    let is_id = |text: &str| text == key.as_str() || former.is_some_and(|former| text == former.as_str());
    let by_id = [Evidence::ExternalId, Evidence::InternalUserId]
        .into_iter()
        .zip(IDENTITY_KEYS)
        .filter(|(_, name)| account.text(name).is_some_and(is_id));
    let mut carries: Vec<Evidence> = by_id.map(|(evidence, _)| evidence).collect();
    let same_email = |user: &DesiredUser| {
        let email = account.email.as_ref();
        email.is_some_and(|email| email.to_lowercase() == user.email.folded())
    };
    if user.is_some_and(same_email) {
        carries.push(Evidence::Email);
    }
    (mapped || !carries.is_empty()).then_some(Match {
        account,
        mapped,
        carries,
    })
}
