//! Carries out a plan: bounded work in flight, each step in the journal
//! before and after, events as it goes. It decides nothing and prints
//! nothing.
//!
//! # How the work overlaps
//!
//! Whop limits each operation apart from the others, so the floor for a run is
//! that of its most frequent operation. It is reached when no operation's
//! budget ever idles while anybody will need it, and these keep that from
//! happening:
//!
//! * Every call waits for its own operation's budget and for nothing else's
//!   ([`crate::remote::Client::admit`]), so creates, uploads and profile updates
//!   of different users run side by side.
//! * Who is ahead in the plan is ahead at every budget ([`Client::ranked`]),
//!   also with a second attempt, and whichever thread was the faster. So those
//!   whose picture is ready first have their account first, and nobody's steps
//!   begin when everybody else's have ended.
//! * Actions are open for half a minute's worth of the limit at least, each
//!   walking through its own steps in its own order. What one operation is
//!   ahead of the next is what its users wait for besides budgets: a round trip,
//!   and for those with a picture the file's way to being ready. As long as that
//!   takes less than half a minute, the users behind it are open already and
//!   the first operation goes on.
//! * Pictures are uploaded beside the actions in the same order, enough of them
//!   at a time to fill the budget while each takes up to four seconds.
//! * Whether files are ready is asked in batches. A batch delays the first
//!   update by its own length, which the end of the run would show, so a batch
//!   is a small share of the whole run (`pictures`).
//! * The journal's flushes are shared by all that wait (below), and cost each
//!   step a few milliseconds, not each operation its pace.
//!
//! So a run takes the floor, plus the first user's way to the last operation,
//! less what a burst lets that operation catch up.
//!
//! # What the journal promises
//!
//! A create, an account change and a profile change are announced and flushed
//! before they are sent, once they are really about to be sent, and their
//! result is flushed before it counts. One task writes for all;
//! it flushes everything that waits at once, so many steps share one flush.
//!
//! Whop's answer to a create is checked before it is recorded: its email, its
//! id, and that neither account nor owner is another user's (`claims`). One that
//! fails is not linked, and the create stays open in the journal: the next run
//! finds the account by what it carries, or asks again under the same key, and
//! makes no second one.

mod action;
mod claims;
mod journal_writer;
mod picture_files;
mod pictures;
mod shared;

use std::collections::HashMap;
use std::iter::Enumerate;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;

use self::claims::Claims;
use self::journal_writer::JournalWriter;
use self::picture_files::Pictures;
pub use self::shared::ReadPicture;
use self::shared::{Shared, sleep_until};
use crate::core::lineage::Purpose;
use crate::core::plan::{Action, Learned, Plan, Verb};
use crate::core::replay::{self, Entry};
use crate::core::report::{Event, Outcome, Report, Stop};
use crate::core::value::UserKey;
use crate::error::{Code, Error, Result};
use crate::remote::Client;
use crate::store::Session;

/// Actions open at a time: bounds memory, and at Whop's own limit is more than
/// half a minute's worth.
const WINDOW: std::ops::RangeInclusive<usize> = 512..=16_384;

/// Seconds of an operation's limit that may be open.
const OPEN_SECONDS: f64 = 30.0;

/// After a stop, how long calls in hand may take to end. Longer than one
/// request's own time limit.
const GRACE: Duration = Duration::from_secs(45);

/// Everything one run needs besides the plan.
pub struct Run {
    /// The API.
    pub client: Client,
    /// Reads a picture; an error fails the users who have it.
    pub read_picture: Arc<ReadPicture>,
    /// The run's random id: idempotency keys must differ between runs, since
    /// Whop also replays refusals for a day ([idempotency](crate::whop_api#idempotency)).
    pub id: String,
    /// What it sets out to do, for the mapping to remember.
    pub purpose: Option<Purpose>,
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// Turns to `Some` when the run is to stop.
    pub stop: watch::Receiver<Option<Stop>>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// What was done, and for whom it was not.
    pub report: Report,
    /// What ended the whole run early: the journal or mapping could not be
    /// written, or every request is refused. What was done until then is
    /// recorded all the same.
    pub error: Option<Error>,
}

/// Carries out a plan and publishes what is then known. `on_event` is called
/// in order, never from inside a call.
///
/// # Errors
/// Only where nothing was begun: the journal could not be opened, or there
/// was nothing to do and that could not be written down.
pub async fn execute(
    plan: Plan,
    run: Run,
    mut session: Session,
    mut on_event: impl FnMut(&Event),
) -> Result<Ended> {
    let started = Instant::now();
    let mut known = session.take_known();
    let mut report = Report::default();
    let is_new = |learned: &Learned| known.users.get(&learned.key) != Some(&learned.entry);
    let is_news = plan.learned.iter().any(is_new);
    for learned in &plan.learned {
        replay::learn(&mut known, learned.fact());
    }
    if is_news {
        // Whop shows what the manifest asks for, perhaps by a request of a run
        // that died before its answer: that counts as applied too.
        if let Some(purpose) = run.purpose.clone() {
            known.lineage.begin(purpose);
            known.lineage.took_effect();
        }
    }
    let client = run.client.clone();
    let plan_ref = run.purpose.as_ref().map(|purpose| purpose.plan);
    let mut error = None;
    if !plan.actions.is_empty() {
        let mut journal = session.journal()?;
        let opened = Entry::Opened {
            run: run.id.clone(),
            at: run.began,
            purpose: run.purpose.clone(),
        };
        journal.append([&opened])?;
        replay::replay(&mut known, [opened]);
        let claims = Claims::new(&plan, &known);
        let (journal, writing) = JournalWriter::start(journal, known, claims);
        error = carry_out(plan, run, journal, &mut |event: &Event| {
            report.fold(event);
            on_event(event);
        })
        .await;
        let written = writing.finish().await?;
        known = written.known;
        error = written.failure.or(error);
        if let Some(error) = error.take_if(|error| error.code() == Code::IoFailed) {
            // The journal holds what was flushed. The mapping is left to the
            // next run, which replays it.
            report.requests = client.requests();
            report.elapsed = started.elapsed();
            return Ok(Ended {
                report,
                error: Some(error),
            });
        }
    }
    if let Some(plan) = plan_ref.filter(|_| error.is_none() && report.is_complete()) {
        known.lineage.finish(plan);
    }
    let committed = session.commit(&known, client.server_time());
    report.requests = client.requests();
    report.elapsed = started.elapsed();
    Ok(Ended {
        report,
        error: error.or(committed.err()),
    })
}

async fn carry_out(
    plan: Plan,
    run: Run,
    journal: JournalWriter,
    on_event: &mut (impl FnMut(&Event) + ?Sized),
) -> Option<Error> {
    let (events, mut incoming) = mpsc::unbounded_channel();
    let calls = plan.actions.iter().map(|action| action.steps().len()).sum();
    on_event(&Event::Began {
        actions: plan.actions.len(),
        calls,
    });
    let shared = Arc::new(Shared {
        client: run.client,
        journal,
        pictures: Pictures::of(&plan),
        events,
        run_id: run.id,
        began: run.began,
        started: Instant::now(),
        halted: watch::channel(None).0,
        fatal: Mutex::new(None),
    });
    // A set, so that dropping the run ends the uploads as well.
    let mut uploads = JoinSet::new();
    uploads.spawn(pictures::upload_all(shared.clone(), run.read_picture).in_current_span());
    let mut work = Work {
        shared: shared.clone(),
        waiting: plan.actions.into_iter().enumerate(),
        open: JoinSet::new(),
        names: HashMap::new(),
    };
    let mut stop = Some(run.stop);
    let mut give_up = None;
    work.fill();
    loop {
        tokio::select! {
            biased;
            Some(event) = incoming.recv() => on_event(&event),
            why = asked_to_stop(&mut stop) => {
                if let Some(why) = why {
                    shared.halt_all(why);
                    give_up = Some(Instant::now() + GRACE);
                    on_event(&Event::Stopping { why });
                }
                stop = None;
            }
            () = sleep_until(give_up) => break,
            ended = work.open.join_next_with_id() => match ended {
                Some(ended) => work.ended(ended),
                None => break,
            },
        }
    }
    uploads.shutdown().await;
    work.leave_the_rest();
    while let Ok(event) = incoming.try_recv() {
        on_event(&event);
    }
    shared.fatal.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Waits for a stop request; `None` once the sender is gone.
async fn asked_to_stop(stop: &mut Option<watch::Receiver<Option<Stop>>>) -> Option<Stop> {
    match stop {
        None => std::future::pending().await,
        Some(stop) => stop.wait_for(Option::is_some).await.map_or(None, |why| *why),
    }
}

/// The actions not yet begun, and those open.
struct Work {
    shared: Arc<Shared>,
    waiting: Enumerate<std::vec::IntoIter<Action>>,
    open: JoinSet<()>,
    names: HashMap<tokio::task::Id, Name>,
}

/// What is told of an action that did not end by itself.
struct Name {
    key: UserKey,
    verb: Verb,
    picture: bool,
}

impl Name {
    fn of(action: &Action) -> Self {
        Self {
            key: action.key.clone(),
            verb: action.verb(),
            picture: action.profile.picture.is_some(),
        }
    }

    fn ended(self, outcome: Outcome) -> Event {
        Event::Ended {
            key: self.key,
            verb: self.verb,
            picture: self.picture,
            outcome,
        }
    }
}

impl Work {
    /// Begins actions in the plan's order while there is room.
    fn fill(&mut self) {
        let window = self.shared.worth(OPEN_SECONDS, &WINDOW);
        while self.open.len() < window && self.shared.stopped().is_none() {
            let Some((rank, action)) = self.waiting.next() else {
                return;
            };
            let name = Name::of(&action);
            let span = tracing::info_span!("user", id = action.key.as_str());
            let task = self
                .open
                .spawn(action::run(self.shared.clone(), rank, action).instrument(span));
            self.names.insert(task.id(), name);
        }
    }

    /// Takes note of a task's end and begins the next.
    fn ended(&mut self, ended: Result<(tokio::task::Id, ()), tokio::task::JoinError>) {
        match ended {
            Ok((id, ())) => {
                self.names.remove(&id);
            }
            Err(panicked) => {
                self.names.remove(&panicked.id());
                self.shared
                    .fail_run(Error::new(Code::Internal, "a step of the run panicked").caused_by(panicked));
            }
        }
        self.fill();
    }

    /// Reports what was never begun, and what did not end in time: its last
    /// call is open in the journal.
    fn leave_the_rest(&mut self) {
        let why = self.shared.stopped().unwrap_or(Stop::Fatal);
        let open = std::mem::take(&mut self.names).into_values();
        let never_begun = self.waiting.by_ref().map(|(_, action)| Name::of(&action));
        for name in open.chain(never_begun) {
            self.shared.tell(name.ended(Outcome::Left { why }));
        }
    }
}
