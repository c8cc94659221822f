//! The limits of a plan: what they are measured by, which of them it breaks,
//! and what a reviewer must see of them before anything else.
//!
//! Everything here is decided by what Whop shows and by the manifest under
//! review. The mapping has no say: whoever wants a limit not to hold could
//! write one that makes every change look like the rest of an earlier run.

use std::collections::HashSet;

use super::field::{Owner, TextChange, TextField};
use super::model::{
    Account, Desired, Guard, Guardrails, IDENTITY_KEYS, Limit, Observed, Policy, ProfileRead,
};
use super::plan::{Action, Breach, Caution, Kind, Plan};

/// For so long after an account was made its platform may still be being set
/// up, in seconds.
const SETTING_UP: u64 = 24 * 3600;

/// Fills in which limits the plan breaks, and what must be seen first.
pub(super) fn judge(plan: &mut Plan, desired: &Desired, observed: &Observed, policy: &Policy) {
    let mut counts = desired
        .guardrails()
        .written()
        .filter(|(_, limit)| matches!(limit, Some(Limit::Count(_))));
    // Where nobody asks how many there are, a million users are not gone over.
    let carriers = match plan.actions.is_empty() && counts.next().is_none() {
        true => Carriers { seen: 0, settled: 0 },
        false => Carriers::count(desired, observed, policy.now),
    };
    let asks = |guard| {
        let actions = plan.actions.iter();
        actions
            .filter(|action| counts_for(guard, action, observed))
            .count()
    };
    let breaches = breaches(desired.guardrails(), &carriers, asks, policy);
    plan.cautions = cautions(desired.guardrails(), &carriers, asks, policy);
    plan.breaches = breaches;
}

/// The accounts on Whop that carry an id of the manifest, or one that a user of
/// it had before. New users of the manifest do not add to them, and what the
/// mapping lacks does not take away.
#[derive(Clone, Copy, Debug)]
struct Carriers {
    /// All.
    seen: usize,
    /// Those that were there before today.
    settled: usize,
}

impl Carriers {
    fn count(desired: &Desired, observed: &Observed, now: u64) -> Self {
        let mut carriers = Self { seen: 0, settled: 0 };
        if observed.accounts.is_empty() {
            return carriers;
        }
        let mut ids = HashSet::with_capacity(desired.users().len());
        for user in desired.users() {
            ids.insert(user.key.as_str());
            ids.extend(user.renamed_from.as_ref().map(|from| from.as_str()));
        }
        for account in &observed.accounts {
            let carries = |key| account.text(key).is_some_and(|id| ids.contains(id));
            if IDENTITY_KEYS.into_iter().any(carries) {
                carriers.seen += 1;
                carriers.settled += usize::from(is_settled(account, now));
            }
        }
        carriers
    }

    /// Whether a guard's default holds. A first import that was cut short must
    /// be able to go on, although half of its accounts are there by now. What
    /// tells that is when Whop says that they were made.
    fn default_holds(&self, guard: Guard) -> bool {
        let least = Guardrails::DEFAULTS_FROM;
        match guard {
            Guard::MaxCreates => self.settled >= least,
            _ => self.seen >= least,
        }
    }
}

/// Whether an account was there before today. One without a time was, so that
/// nothing is lifted by leaving it out.
fn is_settled(account: &Account, now: u64) -> bool {
    account
        .created
        .is_none_or(|created| created.abs_diff(now) >= SETTING_UP)
}

/// Whether an action counts against a guard's limit. A guard without one counts
/// nothing here: it holds single users, or refuses a plan as a whole.
fn counts_for(guard: Guard, action: &Action, observed: &Observed) -> bool {
    match guard {
        Guard::MaxCreates => matches!(action.kind, Kind::Create(_)),
        Guard::MaxUpdates => changes_what_shows(action, observed),
        Guard::MaxAvatars => action.profile.picture.is_some(),
        Guard::Vanished | Guard::Duplicate | Guard::InDoubt | Guard::Stale | Guard::TooLarge => false,
    }
}

/// Whether a text changes that Whop shows on an account that exists. A value
/// where there was none takes nothing from anybody. A profile that was not
/// read counts: nobody knows what is replaced there.
fn changes_what_shows(action: &Action, observed: &Observed) -> bool {
    let Some(link) = action.link() else {
        return false;
    };
    let shows = |old: Option<&str>| old.is_some_and(|text| !text.is_empty());
    let was_read = || matches!(observed.profiles.get(&link.owner), Some(ProfileRead::Seen(_)));
    let text = |field: TextField| {
        let Some(TextChange {
            old,
            new: _,
            cause: _,
        }) = field.changed(action)
        else {
            return false;
        };
        match field.owner() {
            Owner::Account => shows(old),
            Owner::Profile => shows(old) || !was_read(),
        }
    };
    let mut metadata = action.account.metadata.values();
    TextField::ALL.into_iter().any(text) || metadata.any(|change| shows(change.old.as_deref()))
}

fn breaches(
    rails: &Guardrails,
    carriers: &Carriers,
    asks: impl Fn(Guard) -> usize,
    policy: &Policy,
) -> Vec<Breach> {
    let broken = |(guard, written): (Guard, Option<Limit>)| {
        let default = || {
            let limit = Guardrails::default_limit(guard, carriers.seen);
            limit.filter(|_| carriers.default_holds(guard))
        };
        let limit = written.or_else(default)?;
        let (most, wanted) = (limit.most(carriers.seen), asks(guard));
        (wanted > most && policy.enforces(guard)).then_some(Breach {
            guard,
            most,
            wanted,
            limit: Some(limit),
        })
    };
    rails.written().filter_map(broken).collect()
}

fn cautions(
    rails: &Guardrails,
    carriers: &Carriers,
    asks: impl Fn(Guard) -> usize,
    policy: &Policy,
) -> Vec<Caution> {
    let mut cautions = Vec::new();
    for (guard, written) in rails.written() {
        if let Some(limit) = written
            && is_laxer(guard, limit, carriers.seen)
        {
            cautions.push(Caution::Lax { guard, limit });
        }
    }
    cautions.extend(policy.allow.iter().copied().map(Caution::Lifted));
    let wanted = asks(Guard::MaxCreates);
    let most =
        Guardrails::default_limit(Guard::MaxCreates, carriers.seen).map(|limit| limit.most(carriers.seen));
    if let Some(most) = most
        && rails.max_creates.is_none()
        && carriers.seen >= Guardrails::DEFAULTS_FROM
        && !carriers.default_holds(Guard::MaxCreates)
        && wanted > most
    {
        cautions.push(Caution::SetUp { wanted, most });
    }
    cautions
}

/// Whether a limit allows more than the default. A share is compared as it is
/// written: however few accounts there are now, there will be more.
fn is_laxer(guard: Guard, limit: Limit, seen: usize) -> bool {
    let of = seen.max(Guardrails::DEFAULTS_FROM);
    let defaults = Guardrails::defaults(guard);
    let exceeds = |default: &Limit| match (limit, *default) {
        (Limit::Percent(percent), Limit::Percent(default)) => percent > default,
        // However many accounts there are, a share comes to more one day.
        (Limit::Percent(_), Limit::Count(_)) => true,
        (Limit::Count(_), default) => limit.most(of) > default.most(of),
    };
    !defaults.is_empty() && defaults.iter().all(exceeds)
}

#[cfg(test)]
mod tests {
    use super::super::model::Dialect;
    use super::super::plan::Cause;
    use super::super::sample;
    use super::*;

    #[test]
    fn every_limit_that_a_manifest_may_set_is_enforced() {
        let mut update = sample::update("u1", "Old", "New", Cause::Edited);
        update.profile.picture = sample::picture_change(None, "a.png", Cause::New);
        let actions = vec![sample::create("c1", "Ann"), update];
        let observed = Observed::default();
        let platform = sample::plan(Vec::new(), Vec::new()).platform;
        let broken = |guard: Guard, policy: &Policy| {
            let mut rails = Guardrails::default();
            *rails.limit_mut(guard).unwrap() = Some(Limit::Count(0));
            let desired = Desired::new(platform.clone(), rails, Vec::new()).unwrap();
            let mut plan = sample::plan(actions.clone(), Vec::new());
            judge(&mut plan, &desired, &observed, policy);
            plan.breaches
                .iter()
                .map(|breach| breach.guard)
                .collect::<Vec<_>>()
        };
        let policy = Policy::new(Dialect::Accounts, "2026-10-15-1", 0);
        for guard in Guard::with_limit() {
            assert_eq!(broken(guard, &policy), [guard]);
            let mut lifted = policy.clone();
            lifted.allow.insert(guard);
            assert_eq!(broken(guard, &lifted), []);
        }
    }
}
