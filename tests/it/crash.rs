//! Stopped at every point there is, a run is resumed without loss and without
//! a second account.
//!
//! A run is stopped at its n-th durable write and at its n-th request, for
//! every n, in three moments of the request, and restarted on a disk that has
//! either all that was written or only what was flushed. Afterwards the lab's
//! own checker looks at Whop and at the mapping. To show that a zero was
//! searched for, the journal is also broken on purpose, and the same search
//! must then find something.
//!
//! Beside the fixed situations stand random worlds, each told by its seed;
//! `WHOP_SYNC_WORLDS=N` searches N of them for each dialect.

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use whop_sync::core::model::{DesiredUser, Dialect, Guard, LIST_LAG};
use whop_sync::core::state_digest::desired_digest;
use whop_sync::core::value::Title;
use whop_sync::emulator::{Fault, Operation, Strike};

use crate::disk::{Loss, Sabotage};
use crate::lab::{Conditions, Lab, Moment, dozen, face, name};
use crate::told::documented;
use crate::world::{World, user};

const MOMENTS: [Moment; 3] = [Moment::Before, Moment::After, Moment::Answered];
const LOSSES: [Loss; 2] = [Loss::Process, Loss::Power];

/// A situation in which a run is stopped.
struct Situation {
    dialect: Dialect,
    /// What is applied first, in peace.
    past: Vec<DesiredUser>,
    /// What is applied under the stop.
    users: Vec<DesiredUser>,
    /// Whether lists of accounts lag two minutes behind.
    lag: bool,
}

impl Situation {
    async fn lab(&self) -> Lab {
        let mut lab = Lab::new(self.past.clone(), self.dialect);
        if !self.past.is_empty() {
            lab.apply(&Conditions::fair()).await.unwrap().unwrap();
            if self.lag {
                // A list that shows nobody while somebody is mapped counts as
                // incomplete, and then nobody is created: those of the past
                // have to be listed by now.
                tokio::time::advance(Duration::from_secs(LIST_LAG)).await;
            }
        }
        lab.users = self.users.clone();
        lab.policy.allow.insert(Guard::MaxUpdates);
        if self.lag {
            let stale = Fault {
                operation: None,
                ..Fault::next(Operation::ListAccounts, Strike::Stale { seconds: 120 })
            };
            lab.emulator.fault(stale.forever());
        }
        lab.emulator.reset_counts();
        lab
    }

    /// Disk operations and requests of a run that is not stopped.
    async fn straight(&self) -> (u64, u64) {
        let lab = self.lab().await;
        let conditions = Conditions::fair();
        lab.apply(&conditions).await.unwrap().unwrap();
        lab.check().unwrap();
        (conditions.disk.count(), lab.requests())
    }

    /// Stops a run, restarts, resumes and checks; `None` once the run ends
    /// before its stop.
    async fn stopped(&self, conditions: Conditions, loss: Loss, straight: u64) -> Option<Result<(), String>> {
        let lab = self.lab().await;
        let ended = lab.apply(&conditions).await;
        if ended.is_some() && !conditions.died() {
            return None;
        }
        lab.disk.restart(loss);
        let interrupted = lab.requests();
        Some(self.resume(&lab, interrupted + straight).await)
    }

    async fn resume(&self, lab: &Lab, most: u64) -> Result<(), String> {
        let mut last = lab.apply(&Conditions::fair()).await;
        once_only(lab)?;
        if let Some(Err(error)) = last {
            return Err(format!("the resumed run failed: {error}"));
        }
        if self.dialect == Dialect::Companies && !lab.known().doubts.is_empty() {
            // A create in doubt cannot be repeated in the old dialect; it is
            // held until the list is proof.
            tokio::time::advance(Duration::from_secs(LIST_LAG)).await;
            last = lab.apply(&Conditions::fair()).await;
        } else if !self.lag && lab.requests() > most {
            let counts = lab.emulator.counts();
            return Err(format!(
                "{} requests, at most {most} were needed: {counts:?}",
                lab.requests()
            ));
        }
        match last {
            Some(Ok(report)) if report.is_complete() => {}
            other => return Err(format!("the resumed run ended badly: {other:?}")),
        }
        lab.check()?;
        self.global_profiles(lab)?;
        let newest = lab.known().lineage.newest().map(|state| state.desired);
        if newest != Some(desired_digest(&lab.desired())) {
            return Err("the mapping takes an older state for the newest".to_owned());
        }
        let plan = lab.plan().await;
        if !plan.is_empty() || !plan.holds.is_empty() {
            return Err(format!("something is left: {plan:?}"));
        }
        Ok(())
    }

    /// Nobody's global profile is touched: a new person has no name of their own
    /// or, as documented, the title of their first account.
    fn global_profiles(&self, lab: &Lab) -> Result<(), String> {
        for account in lab.emulator.accounts() {
            let id = account.metadata["external_id"].as_str().unwrap_or_default();
            let mut looks = self.past.iter().chain(&self.users);
            let first = looks.find(|user| user.key.as_str() == id).ok_or("no such user")?;
            let title = first.title.as_ref().map_or(first.name.as_str(), Title::as_str);
            let global = lab.emulator.global(&account.owner).ok_or("no person")?;
            let own = documented().then_some(title);
            if global.picture.is_some() || global.name.as_deref() != own {
                return Err(format!("{id}: the global profile was touched: {global:?}"));
            }
        }
        Ok(())
    }
}

/// No user has two accounts, whatever else is the case.
pub(crate) fn once_only(lab: &Lab) -> Result<(), String> {
    let mut ids: Vec<_> = lab
        .emulator
        .accounts()
        .iter()
        .map(|account| account.metadata["external_id"].to_string())
        .collect();
    ids.sort();
    match ids.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => Err(format!("{} has two accounts", pair[0])),
    }
}

/// Every point of a situation: how many there are, and what went wrong at
/// which.
async fn search(situation: &Situation, sabotage: Option<Sabotage>) -> (usize, Vec<String>) {
    let (_, straight) = situation.straight().await;
    let (mut points, mut failures) = (0, Vec::new());
    for loss in LOSSES {
        for n in 1.. {
            let conditions = Conditions {
                sabotage,
                ..Conditions::disk(n)
            };
            let Some(result) = situation.stopped(conditions, loss, straight).await else {
                break;
            };
            points += 1;
            failures.extend(result.err().map(|why| format!("write {n}, {loss:?}: {why}")));
        }
        for moment in MOMENTS {
            for n in 1.. {
                let conditions = Conditions {
                    sabotage,
                    ..Conditions::net(n, moment)
                };
                let Some(result) = situation.stopped(conditions, loss, straight).await else {
                    break;
                };
                points += 1;
                failures.extend(
                    result
                        .err()
                        .map(|why| format!("request {n} {moment:?}, {loss:?}: {why}")),
                );
            }
        }
    }
    (points, failures)
}

/// What is applied under the stops: everything new, and a bit of everything.
fn situations(dialect: Dialect) -> [Situation; 3] {
    let mut changed = dozen();
    changed.truncate(8);
    changed[1].name = name("Renamed");
    changed[2].avatar = Some(face("changed"));
    changed[3].title = World::title("Shop");
    changed[4].avatar = Some(face("changed"));
    changed.push(user("new"));
    if dialect == Dialect::Accounts {
        changed[5].metadata.insert("tier".into(), "gold".into());
    }
    let mut past = dozen();
    past.truncate(8);
    [
        Situation {
            dialect,
            past: Vec::new(),
            users: dozen(),
            lag: false,
        },
        Situation {
            dialect,
            past: dozen().split_off(11),
            users: dozen().split_off(7),
            lag: true,
        },
        Situation {
            dialect,
            past,
            users: changed,
            lag: false,
        },
    ]
}

/// What a random user asks for: a name, a picture, a title and a tier.
type Look = (u8, Option<u8>, Option<u8>, Option<u8>);

fn look() -> impl Strategy<Value = Look> {
    let maybe = || proptest::option::of(0..3_u8);
    (0..3_u8, maybe(), maybe(), maybe())
}

/// A random user as it was, if it was, and as it is to be.
fn two_looks() -> impl Strategy<Value = (Option<Look>, Look)> {
    let past = prop_oneof![1 => Just(None), 2 => look().prop_map(Some)];
    (past, look())
}

fn dressed(id: usize, (named, face_of, titled, tier): Look) -> DesiredUser {
    let mut user = user(&format!("r{id}"));
    user.name = name(&format!("Name {named}"));
    user.avatar = face_of.map(|n| face(&format!("random{n}")));
    user.title = titled.and_then(|n| World::title(&format!("Shop {n}")));
    user.metadata = tier
        .map(|n| ("tier".into(), format!("tier {n}").into()))
        .into_iter()
        .collect();
    user
}

/// A world that follows from its seed.
fn random(dialect: Dialect, seed: u8) -> Situation {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = proptest::collection::vec(two_looks(), 3..=6);
    let looks = strategy
        .new_tree(&mut runner)
        .expect("a vector can always be made")
        .current();
    let (mut past, mut users) = (Vec::new(), Vec::new());
    for (id, (was, mut is)) in looks.into_iter().enumerate() {
        if let Some(was) = was {
            past.push(dressed(id, was));
            // The old dialect cannot change metadata.
            if dialect == Dialect::Companies {
                is.3 = was.3;
            }
        }
        users.push(dressed(id, is));
    }
    Situation {
        dialect,
        past,
        users,
        lag: seed.is_multiple_of(4),
    }
}

/// Seeds of random worlds: two, or as many as asked for.
fn seeds() -> std::ops::Range<u8> {
    let wanted = std::env::var("WHOP_SYNC_WORLDS").ok();
    1..1 + wanted.map_or(2, |wanted| {
        wanted.parse().expect("WHOP_SYNC_WORLDS is a number below 255")
    })
}

async fn no_stop_hurts(dialect: Dialect) {
    let (mut points, mut failures) = (0, Vec::new());
    for seed in seeds() {
        let (found, failed) = search(&random(dialect, seed), None).await;
        crate::told::tell(format!("{dialect:?}, random world {seed}: {found} points"));
        points += found;
        failures.extend(failed.into_iter().map(|why| format!("world {seed}: {why}")));
    }
    for situation in situations(dialect) {
        let (found, failed) = search(&situation, None).await;
        points += found;
        failures.extend(failed);
    }
    crate::told::tell(format!(
        "{dialect:?}: {points} points, {} failures",
        failures.len()
    ));
    assert!(
        points > 500,
        "the search must cover the whole run: {points} points"
    );
    assert!(failures.is_empty(), "{:#?}", &failures[..failures.len().min(10)]);
}

#[tokio::test(start_paused = true)]
async fn no_stop_loses_or_doubles_anything() {
    no_stop_hurts(Dialect::Accounts).await;
}

#[tokio::test(start_paused = true)]
async fn no_stop_loses_or_doubles_anything_in_the_old_dialect() {
    no_stop_hurts(Dialect::Companies).await;
}

/// The old dialect under lag is where nothing but the journal stands between
/// a crash and a second account.
fn hardest() -> Situation {
    Situation {
        dialect: Dialect::Companies,
        past: dozen().split_off(11),
        users: dozen().split_off(8),
        lag: true,
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_broken_on_purpose_is_noticed() {
    assert_eq!(search(&hardest(), None).await.1, [] as [String; 0]);
    for sabotage in [Sabotage::Begun, Sabotage::Sync, Sabotage::FolderSync] {
        let (_, failures) = search(&hardest(), Some(sabotage)).await;
        let doubled = failures.iter().filter(|why| why.contains("two accounts")).count();
        crate::told::tell(format!(
            "{sabotage:?}: {} failures, {doubled} of them second accounts",
            failures.len()
        ));
        assert!(!failures.is_empty(), "{sabotage:?} went unnoticed");
    }
}

#[tokio::test(start_paused = true)]
async fn not_looking_before_creating_again_is_noticed() {
    let situation = hardest();
    let mut doubled = 0;
    for n in 1.. {
        let mut lab = situation.lab().await;
        let conditions = Conditions::create(n, Moment::After);
        let ended = lab.apply(&conditions).await;
        if ended.is_some() && !conditions.died() {
            break;
        }
        // What a person who does not look would say.
        lab.policy.allow.insert(Guard::InDoubt);
        lab.apply(&Conditions::fair()).await;
        doubled += usize::from(once_only(&lab).is_err());
    }
    // Each create was lost once, and others may have been under way.
    assert!(
        doubled >= situation.users.len() - situation.past.len(),
        "{doubled} blind creates were noticed"
    );
}

/// Nothing but the lost answer of one change: nobody notes that it was made,
/// and yet it must count as applied.
#[tokio::test(start_paused = true)]
async fn a_single_change_whose_answer_was_lost_is_remembered_as_applied() {
    let past: Vec<_> = dozen().into_iter().take(2).collect();
    let mut users = past.clone();
    users[1].name = name("Renamed");
    let situation = Situation {
        dialect: Dialect::Accounts,
        past,
        users,
        lag: false,
    };
    let (points, failures) = search(&situation, None).await;
    assert!(points > 10, "{points}");
    assert!(failures.is_empty(), "{failures:#?}");
}
