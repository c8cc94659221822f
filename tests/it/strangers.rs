//! State files are hints that strangers may have written. Between any two
//! commands of a story the mapping and the journal are rewritten at random, by
//! somebody who knows the format and everything on Whop. Whatever they say:
//!
//! - nothing is sent that the plan did not show,
//! - no value of one person is ever on another's account or profile,
//! - nobody gets a second account, and no stranger's account is touched,
//! - once the rewritten files are gone, an honest run makes everything right.
//!
//! Every value names its person, so that a look at Whop is enough to judge.
//! The files that only the program itself reads are rewritten in
//! `cli/strangers.rs`.

pub(crate) mod judge;
pub(crate) mod lies;

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use whop_sync::core::digest::Digest;
use whop_sync::core::model::{Dialect, Guard, Policy};
use whop_sync::core::planner;
use whop_sync::core::text::Sorted;
use whop_sync::core::value::{DisplayName, Email};
use whop_sync::error::Error;
use whop_sync::remote::CallError;
use whop_sync::remote::refresh::refresh;
use whop_sync::render::{Header, json};
use whop_sync::store::{Disk, Identity, load};

use self::judge::{Judge, STRANGER};
use self::lies::{Lie, People, lie};
use crate::disk::MemDisk;
use crate::lab::{Conditions, Lab, PLATFORM, face, picture};
use crate::world::{World, key, user};

/// How many people there are.
pub(crate) const PEOPLE: u8 = 4;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Event {
    Join(u8),
    Leave(u8),
    /// The platform gives somebody a new id.
    Rename(u8),
    Name(u8, u8),
    Title(u8, u8),
    Tier(u8, u8),
    Picture(u8, u8),
    /// Somebody changes a name on Whop.
    Drift(u8),
    /// The state files are rewritten.
    Lie(Lie),
    /// A plan is shown and carried out.
    Run,
    /// Seconds pass.
    Wait(u16),
}

fn event() -> impl Strategy<Value = Event> {
    let id = || 0..PEOPLE;
    prop_oneof![
        2 => id().prop_map(Event::Join),
        1 => id().prop_map(Event::Leave),
        1 => id().prop_map(Event::Rename),
        1 => (id(), 0..3_u8).prop_map(|(n, v)| Event::Name(n, v)),
        1 => (id(), 0..3_u8).prop_map(|(n, v)| Event::Title(n, v)),
        1 => (id(), 0..3_u8).prop_map(|(n, v)| Event::Tier(n, v)),
        1 => (id(), 0..3_u8).prop_map(|(n, v)| Event::Picture(n, v)),
        1 => id().prop_map(Event::Drift),
        8 => lie().prop_map(Event::Lie),
        6 => Just(Event::Run),
        1 => (1..7200_u16).prop_map(Event::Wait),
    ]
}

/// A value of a person: their id is in it.
pub(crate) fn value(what: &str, n: u8, version: u8) -> String {
    format!("{what} of u{n} #{version}")
}

struct Story {
    lab: Lab,
    judge: Judge,
}

impl Story {
    fn new(dialect: Dialect) -> Self {
        let mut lab = Lab::new(Vec::new(), dialect);
        // What limits the number of changes would only hide what they are.
        let limits = [
            Guard::MaxCreates,
            Guard::MaxUpdates,
            Guard::MaxAvatars,
            Guard::Vanished,
        ];
        lab.policy.allow.extend(limits);
        lab.emulator
            .add_account(PLATFORM, STRANGER, "A stranger's", Default::default());
        lab.others.insert("nobody".into());
        let judge = Judge::new(&lab.emulator);
        Self { lab, judge }
    }

    fn edit(&mut self, n: u8, edit: impl FnOnce(&mut whop_sync::core::model::DesiredUser)) {
        let email = Email::parse(&format!("u{n}@shop.test")).unwrap();
        if let Some(user) = self.lab.users.iter_mut().find(|user| user.email == email) {
            edit(user);
        }
    }

    async fn happen(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Join(n) => self.join(*n),
            Event::Leave(n) => {
                let email = format!("u{n}@shop.test");
                self.lab.users.retain(|user| user.email.as_str() != email);
                self.lab.others.extend([format!("u{n}"), format!("v{n}")]);
            }
            // The older dialect cannot change what an account carries.
            Event::Rename(_) | Event::Tier(..) if self.lab.policy.dialect == Dialect::Companies => {}
            Event::Rename(n) => self.edit(*n, |user| {
                user.key = key(&format!("v{n}"));
                user.renamed_from = Some(key(&format!("u{n}")));
            }),
            Event::Name(n, v) => self.edit(*n, |user| {
                user.name = DisplayName::parse(&value("Name", *n, *v)).unwrap();
            }),
            Event::Title(n, v) => self.edit(*n, |user| user.title = World::title(&value("Title", *n, *v))),
            Event::Tier(n, v) => self.edit(*n, |user| user.metadata = tier(*n, *v)),
            Event::Picture(n, v) => self.edit(*n, |user| user.avatar = Some(face(&value("Face", *n, *v)))),
            Event::Drift(n) => {
                let accounts = self.lab.emulator.accounts().into_iter();
                let email = format!("u{n}@shop.test");
                for account in accounts.filter(|account| account.email.as_deref() == Some(&email)) {
                    let name = value("Drift", *n, 0);
                    self.lab
                        .emulator
                        .set_name(&account.owner, Some(PLATFORM), Some(&name));
                }
            }
            Event::Lie(lie) => self.lie(lie),
            Event::Run => {
                self.run().await?;
            }
            Event::Wait(seconds) => tokio::time::advance(Duration::from_secs((*seconds).into())).await,
        }
        self.judge.people(&self.lab.emulator)
    }

    fn join(&mut self, n: u8) {
        let email = format!("u{n}@shop.test");
        if self.lab.users.iter().any(|user| user.email.as_str() == email) {
            return;
        }
        let mut user = user(&format!("u{n}"));
        user.name = DisplayName::parse(&value("Name", n, 0)).unwrap();
        user.title = World::title(&value("Title", n, 0));
        user.metadata = tier(n, 0);
        user.avatar = Some(face(&value("Face", n, 0)));
        self.lab.users.push(user);
    }

    /// Rewrites the state as the lie says.
    fn lie(&mut self, lie: &Lie) {
        let people = People {
            emulator: &self.lab.emulator,
            files: &self.judge.files,
            creates: &self.judge.creates,
            picture: |n, version| picture(&value("Face", n, version)),
            platform: PLATFORM,
            server: "emulator",
            now: self.lab.emulator.now() / 1000,
        };
        let paths = self.lab.paths();
        let read = |path: &Path| self.lab.disk.text(path);
        let (mapping, journal) = lie.told(read(&paths.mapping), read(&paths.journal), &people);
        for (path, text) in [(&paths.mapping, mapping), (&paths.journal, journal)] {
            let now = self.lab.disk.text(path);
            match text {
                text if text == now => {}
                Some(text) => {
                    let mut file = self.lab.disk.create(path).unwrap();
                    file.append(text.as_bytes()).unwrap();
                    file.sync().unwrap();
                }
                None => self.lab.disk.remove(path).unwrap(),
            }
        }
    }

    /// The plan as it is shown, in JSON.
    async fn shown(&self) -> Result<Value, Error> {
        let lab = &self.lab;
        let identity = Identity {
            company: lab.platform(),
            server: "emulator".into(),
        };
        let known = load(&lab.paths(), &identity, &lab.disk)?.known;
        let policy = Policy {
            now: lab.emulator.now() / 1000,
            ..lab.policy.clone()
        };
        let client = lab.client(lab.transport());
        let desired = lab.desired();
        let observed = refresh(&client, &desired, &known, &policy, |_| {})
            .await
            .map_err(CallError::into_error)?;
        let plan = planner::plan(&desired, &observed, &known, &policy);
        let header = Header {
            company: lab.platform(),
            server: "emulator".into(),
            dialect: policy.dialect,
            version: policy.version.to_string(),
            manifest: Digest::of(b"manifest"),
        };
        let mut out = Vec::new();
        json::plan(&mut out, &plan, &header).unwrap();
        Ok(serde_json::from_slice(&out).unwrap())
    }

    /// Shows a plan and carries it out. Whatever the run says, it is judged by
    /// what Whop received. `true` when it ended well with nothing left.
    async fn run(&mut self) -> Result<bool, String> {
        self.lab.emulator.reset_counts();
        let before = self.lab.emulator.accounts();
        let shown = self.shown().await;
        self.judge.only_looked(&self.lab.emulator)?;
        let ended = self
            .lab
            .apply(&Conditions::fair())
            .await
            .expect("nothing kills it");
        let shown = match shown {
            Ok(shown) => shown,
            // A state that cannot be read shows nothing, so nothing may be sent.
            Err(why) => {
                self.judge.only_looked(&self.lab.emulator)?;
                return match ended {
                    Err(_) => Ok(false),
                    Ok(report) => Err(format!("it did without a plan ({why}): {report:?}")),
                };
            }
        };
        self.judge.sent(&self.lab.emulator, &before, &shown)?;
        Ok(matches!(ended, Ok(report) if report.is_complete()))
    }

    /// The rewritten files are gone, and so is whatever was under way.
    async fn settle(&mut self) -> Result<(), String> {
        self.lab.disk = MemDisk::new();
        tokio::time::advance(Duration::from_secs(48 * 3600)).await;
        let ended = self.run().await?;
        self.judge.people(&self.lab.emulator)?;
        let plan = self.lab.plan().await;
        if !ended || !plan.is_empty() || !plan.holds.is_empty() {
            return Err(format!("an honest run leaves something over: {plan:?}"));
        }
        self.lab.check()
    }
}

fn tier(n: u8, version: u8) -> whop_sync::core::text::Texts {
    let tier = ("tier".into(), value("Tier", n, version).into());
    Sorted::from_iter([tier])
}

fn play(dialect: Dialect, events: &[Event]) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut story = Story::new(dialect);
        story.join(0);
        story.join(1);
        assert_eq!(story.run().await, Ok(true));
        for event in events {
            story
                .happen(event)
                .await
                .map_err(|why| format!("after {event:?}: {why}"))?;
        }
        story.run().await?;
        story.judge.people(&story.lab.emulator)?;
        story.settle().await
    })
}

#[test]
fn a_generation_that_is_as_large_as_can_be_stops_nobody() {
    let head = Event::Lie(Lie::Head("generation", u64::MAX.into()));
    let events = [head, Event::Name(0, 1), Event::Run];
    assert_eq!(play(Dialect::Accounts, &events), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_state_file_makes_a_run_do_more_or_something_else(
        dialect in prop_oneof![3 => Just(Dialect::Accounts), 1 => Just(Dialect::Companies)],
        events in proptest::collection::vec(event(), 1..16),
    ) {
        prop_assert_eq!(play(dialect, &events), Ok(()));
    }
}
