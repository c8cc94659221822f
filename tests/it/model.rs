//! Random histories: edits, drift, crashes, lost answers, lagging lists and
//! refusals, in both dialects. At no moment has a user two accounts or is
//! anything touched that is not ours, and in the end everything is as the
//! manifest asks. The seed of a failing history is printed; it is shrunk and
//! kept beside this file.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value};
use whop_sync::core::model::{Dialect, Guard, LIST_LAG};
use whop_sync::core::value::DisplayName;
use whop_sync::emulator::{AccountView, Fault, ProfileView, Script, Strike};

use crate::crash::once_only;
use crate::disk::{Loss, Trip};
use crate::lab::{Conditions, Lab, Moment, PLATFORM, Tap, face};
use crate::world::{World, key, user};

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Join(u8),
    Leave(u8),
    Name(u8, u8),
    Picture(u8, Option<u8>),
    Title(u8, u8),
    NameDrift(u8, u8),
    PictureDrift(u8),
    /// Somebody deletes the account on Whop.
    Remove(u8),
    /// A run, with what it meets.
    Run(Meets),
    /// Time passes, in seconds.
    Wait(u16),
    /// From now on lists lag so many seconds behind.
    Lag(u8),
    /// The mapping is lost.
    Lose,
}

/// What a run meets.
#[derive(Clone, Debug)]
pub(crate) enum Meets {
    Nothing,
    /// It dies at this durable write.
    Write(u8, Loss),
    /// It dies at this request.
    Request(u8, Moment),
    /// Requests fail in mixed ways, so many in a hundred, by this seed.
    Faults(u8, u64),
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    let id = || 0..6_u8;
    prop_oneof![
        6 => id().prop_map(Event::Join),
        1 => id().prop_map(Event::Leave),
        3 => (id(), 0..3_u8).prop_map(|(n, v)| Event::Name(n, v)),
        2 => (id(), proptest::option::of(0..3_u8)).prop_map(|(n, v)| Event::Picture(n, v)),
        1 => (id(), 0..3_u8).prop_map(|(n, v)| Event::Title(n, v)),
        1 => (id(), 0..3_u8).prop_map(|(n, v)| Event::NameDrift(n, v)),
        1 => id().prop_map(Event::PictureDrift),
        1 => id().prop_map(Event::Remove),
        10 => meets().prop_map(Event::Run),
        1 => (1..900_u16).prop_map(Event::Wait),
        1 => prop_oneof![Just(0), 1..120_u8].prop_map(Event::Lag),
        1 => Just(Event::Lose),
    ]
}

fn meets() -> impl Strategy<Value = Meets> {
    let moment = prop_oneof![Just(Moment::Before), Just(Moment::After), Just(Moment::Answered)];
    let loss = prop_oneof![Just(Loss::Process), Just(Loss::Power)];
    prop_oneof![
        2 => Just(Meets::Nothing),
        3 => (1..60_u8, loss).prop_map(|(n, loss)| Meets::Write(n, loss)),
        3 => (1..40_u8, moment).prop_map(|(n, moment)| Meets::Request(n, moment)),
        2 => (1..40_u8, any::<u64>()).prop_map(|(chance, seed)| Meets::Faults(chance, seed)),
    ]
}

/// Failures of many kinds, each as likely as the others.
fn script(chance: u8, seed: u64) -> Script {
    let strikes = [
        Strike::ResetBefore,
        Strike::ResetAfter,
        Strike::Truncated,
        Strike::Html { status: 502 },
        Strike::AnswerAfter { status: 500 },
        Strike::Limited {
            seconds: 2,
            header: false,
            message: true,
        },
        Strike::Answer {
            status: 503,
            body: None,
            headers: BTreeMap::new(),
        },
    ];
    let each = (chance / 7).max(1);
    let fault = |strike| Fault {
        operation: None,
        containing: None,
        skip: 0,
        count: None,
        chance: each,
        strike,
    };
    Script {
        seed,
        faults: strikes.into_iter().map(fault).collect(),
    }
}

/// What must stay as it is: others' accounts, and everybody's own profile.
#[derive(Debug, PartialEq)]
struct Untouchable {
    foreign: Vec<AccountView>,
    foreign_profile: Option<ProfileView>,
}

struct History {
    lab: Lab,
    foreign: String,
    untouchable: Untouchable,
    globals: BTreeMap<String, Option<ProfileView>>,
    lag: u8,
}

impl History {
    fn new(dialect: Dialect) -> Self {
        let mut lab = Lab::new(Vec::new(), dialect);
        lab.policy.allow.extend([Guard::MaxUpdates, Guard::Vanished]);
        let mut metadata = Map::new();
        metadata.insert("external_id".into(), Value::from("somebody else\'s"));
        let foreign = lab
            .emulator
            .add_account(PLATFORM, "foreign@shop.test", "Foreign", metadata);
        lab.others.insert("somebody else\'s".into());
        let mut history = Self {
            lab,
            foreign,
            untouchable: Untouchable {
                foreign: Vec::new(),
                foreign_profile: None,
            },
            globals: BTreeMap::new(),
            lag: 0,
        };
        history.untouchable = history.look();
        history
    }

    fn look(&self) -> Untouchable {
        let accounts = self.lab.emulator.accounts();
        let foreign: Vec<_> = accounts
            .into_iter()
            .filter(|account| account.id == self.foreign)
            .collect();
        let foreign_profile = self.lab.emulator.profile(&foreign[0].owner, PLATFORM);
        Untouchable {
            foreign,
            foreign_profile,
        }
    }

    /// What must hold at every moment.
    fn check(&mut self) -> Result<(), String> {
        once_only(&self.lab)?;
        if self.look() != self.untouchable {
            return Err(format!("somebody else\'s account was touched: {:?}", self.look()));
        }
        for account in self.lab.emulator.accounts() {
            let now = self.lab.emulator.global(&account.owner);
            let first = self
                .globals
                .entry(account.owner.clone())
                .or_insert_with(|| now.clone());
            if *first != now {
                return Err(format!("a global profile was touched: {first:?} became {now:?}"));
            }
        }
        Ok(())
    }

    async fn happen(&mut self, event: &Event) {
        let id = |n: &u8| format!("u{n}");
        match event {
            Event::Join(n) => {
                if !self.lab.users.iter().any(|user| user.key == key(&id(n))) {
                    self.lab.users.push(user(&id(n)));
                }
            }
            Event::Leave(n) => {
                self.lab.users.retain(|user| user.key != key(&id(n)));
                self.lab.others.insert(id(n));
            }
            Event::Name(n, v) => self.edit(n, |user| {
                user.name = DisplayName::parse(&format!("Called {v}")).unwrap();
            }),
            Event::Picture(n, v) => self.edit(n, |user| user.avatar = v.map(|v| face(&format!("face{v}")))),
            Event::Title(n, v) => self.edit(n, |user| user.title = World::title(&format!("Title {v}"))),
            Event::NameDrift(n, v) => {
                if let Some((_, owner)) = self.linked(n) {
                    self.lab
                        .emulator
                        .set_name(&owner, Some(PLATFORM), Some(&format!("Drift {v}")));
                }
            }
            Event::PictureDrift(n) => {
                if let Some((_, owner)) = self.linked(n) {
                    self.lab.emulator.set_picture(
                        &owner,
                        Some(PLATFORM),
                        Some(&crate::lab::picture("drift")),
                    );
                }
            }
            Event::Remove(n) => {
                if let Some((account, _)) = self.linked(n) {
                    self.lab.emulator.remove_account(&account);
                }
            }
            Event::Run(meets) => self.run(meets).await,
            Event::Wait(seconds) => tokio::time::advance(Duration::from_secs((*seconds).into())).await,
            Event::Lag(seconds) => self.lag = *seconds,
            Event::Lose => {
                // Only a journal that is empty may be lost with the mapping:
                // it is what stands between a crash and a second account.
                let known = self.lab.known();
                if known.doubts.is_empty() && known.unsure.is_empty() {
                    self.lab.disk = crate::disk::MemDisk::new();
                    // Nor may the list lag: without both nobody could tell.
                    tokio::time::advance(Duration::from_secs(u64::from(u8::MAX))).await;
                }
            }
        }
    }

    fn edit(&mut self, n: &u8, edit: impl FnOnce(&mut whop_sync::core::model::DesiredUser)) {
        if let Some(user) = self
            .lab
            .users
            .iter_mut()
            .find(|user| user.key == key(&format!("u{n}")))
        {
            edit(user);
        }
    }

    /// The account and owner of a user who is mapped.
    fn linked(&self, n: &u8) -> Option<(String, String)> {
        let known = self.lab.known();
        let link = &known.users.get(&key(&format!("u{n}")))?.link;
        Some((link.account.to_string(), link.owner.to_string()))
    }

    async fn run(&mut self, meets: &Meets) {
        let mut faults = match meets {
            Meets::Faults(chance, seed) => script(*chance, *seed),
            _ => Script::default(),
        };
        if self.lag > 0 {
            let strike = Strike::Stale {
                seconds: self.lag.into(),
            };
            faults.faults.push(Fault {
                operation: None,
                containing: None,
                skip: 0,
                count: None,
                chance: 100,
                strike,
            });
        }
        self.lab.emulator.script(faults);
        let (conditions, loss) = match meets {
            Meets::Nothing | Meets::Faults(..) => (Conditions::fair(), Loss::Process),
            Meets::Write(n, loss) => (
                Conditions {
                    disk: Trip::at((*n).into()),
                    ..Conditions::fair()
                },
                *loss,
            ),
            Meets::Request(n, moment) => (Conditions::net((*n).into(), *moment), Loss::Process),
        };
        // However it ends, the next run must cope.
        let _ = self.lab.apply(&conditions).await;
        if conditions.died() {
            self.lab.disk.restart(loss);
        }
        self.lab.emulator.script(Script::default());
    }

    /// Peace at last: everything must become as the manifest asks.
    async fn settle(&mut self) -> Result<(), String> {
        self.lag = 0;
        for wait in [LIST_LAG, 24 * 3600, 24 * 3600, 24 * 3600] {
            tokio::time::advance(Duration::from_secs(wait)).await;
            let ended = self.lab.apply(&Conditions::fair()).await;
            self.check()?;
            match ended {
                Some(Ok(report)) if report.is_complete() => {}
                other => return Err(format!("a run in peace ended badly: {other:?}")),
            }
            let plan = self.lab.plan().await;
            if plan.is_empty() && self.lab.known().doubts.is_empty() {
                return match plan.holds.is_empty() {
                    true => self.lab.check(),
                    false => Err(format!("held in peace: {:?}", plan.holds)),
                };
            }
        }
        Err(format!("it never settles: {:?}", self.lab.plan().await))
    }
}

/// Plays a history to its end, with a tap between the client and the emulator if
/// there is one.
pub(crate) fn play(dialect: Dialect, events: &[Event], tap: Option<Tap>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut history = History::new(dialect);
        history.lab.tap = tap;
        for event in events {
            history.happen(event).await;
            history.check().map_err(|why| format!("after {event:?}: {why}"))?;
        }
        history.settle().await
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_history_ends_well(
        dialect in prop_oneof![Just(Dialect::Accounts), Just(Dialect::Companies)],
        events in proptest::collection::vec(event(), 1..30),
    ) {
        prop_assert_eq!(play(dialect, &events, None), Ok(()));
    }
}
