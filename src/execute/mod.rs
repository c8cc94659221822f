//! Carries out a plan: a bounded number of requests in flight, each step
//! journalled before and after, events along the way. It decides nothing and
//! prints nothing.
//!
//! # How the work overlaps
//!
//! Whop limits each operation separately, so the minimum duration of a run is
//! that of its most frequent operation. A run reaches it if no operation's
//! budget is idle while there is still work for it. The following keeps budgets
//! busy:
//!
//! * Each call waits only for its own operation's budget
//!   ([`crate::remote::Client::admit`]), so creates, uploads and profile
//!   updates of different users overlap.
//! * Users who come first in the plan come first at every budget
//!   ([`Client::ranked`]), retries included, whichever task was faster. The
//!   users whose pictures are ready first therefore get their accounts first,
//!   and nobody is left to run all steps alone at the end.
//! * At least half a minute's worth of the limit is open at a time, each action
//!   taking its own steps in order. Besides budgets, a user waits for a round
//!   trip between operations and, with a picture, for Whop to process the file.
//!   While that takes less than half a minute, the next users are already open
//!   and the first operation keeps going.
//! * Pictures are uploaded alongside the actions in the same order, enough at a
//!   time to fill the budget while each takes up to four seconds.
//! * File status is polled in batches. A batch delays the first profile update
//!   by its own length, and the end of the run with it, so a batch is kept to a
//!   small share of the run (`pictures`).
//! * Tasks share the journal's flushes (below). A flush adds a few milliseconds
//!   to a step but does not slow an operation's pace.
//!
//! A run therefore takes that minimum, plus the time the first user needs to
//! reach the last operation, minus what a burst lets that operation catch up.
//!
//! # What the journal promises
//!
//! Creates, account changes and profile changes are written to the journal and
//! flushed immediately before they are sent; results are flushed before they
//! count. One task writes for all others and flushes everything that is waiting
//! at once, so many steps share one flush.
//!
//! Whop's answer to a create is checked before it is recorded: its email, its
//! id, and that neither the account nor its owner belongs to another user
//! (`claims`). If a check fails, the account is not linked and the create stays
//! open in the journal. The next run then finds the account by the id it
//! carries, or resends the request under the same idempotency key, so no second
//! account is created.

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

/// Bounds on open actions. The upper one limits memory and, at Whop's own rate,
/// is more than half a minute's worth.
const WINDOW: std::ops::RangeInclusive<usize> = 512..=16_384;

/// How many seconds' worth of an operation's limit may be open.
const OPEN_SECONDS: f64 = 30.0;

/// How long requests in flight may take to finish after a stop. Longer than the
/// time limit of a single request.
const GRACE: Duration = Duration::from_secs(45);

/// Everything a run needs besides the plan.
pub struct Run {
    /// The API.
    pub client: Client,
    /// Reads a picture; on error, the users with this picture fail.
    pub read_picture: Arc<ReadPicture>,
    /// The run's random id. Idempotency keys must differ between runs, because
    /// Whop replays refusals too, for a day
    /// ([idempotency](crate::whop_api#idempotency)).
    pub id: String,
    /// The run's purpose, which the mapping records.
    pub purpose: Option<Purpose>,
    /// When the run began, in seconds since 1970.
    pub began: u64,
    /// Becomes `Some` when the run should stop.
    pub stop: watch::Receiver<Option<Stop>>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// What was done, and which users were not finished.
    pub report: Report,
    /// What ended the run early: the journal or mapping could not be written,
    /// or every request is refused. Work done until then is recorded.
    pub error: Option<Error>,
}

/// Carries out a plan and commits the resulting mapping. `on_event` is called
/// in order, from this task only.
///
/// # Errors
/// Only if nothing was started: the journal could not be opened, or the mapping
/// of a plan without actions could not be written.
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
        // Whop already shows what the manifest asks for, perhaps because a run
        // died before it received the answer. That counts as applied.
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
            // The journal holds everything that was flushed. Leave the mapping
            // to the next run, which replays it.
            report.requests = client.requests();
            report.elapsed = started.elapsed();
            return Ok(Ended {
                report,
                error: Some(error),
            });
        }
    }
    // A plan that was carried out only in part stays open, so that the next run
    // resumes it.
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
    // A set, so that dropping the run aborts the uploads too.
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
            // Biased: events already queued are reported before a stop or an
            // end, so that the report is in order.
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

/// Actions that wait to start, and those in progress.
struct Work {
    shared: Arc<Shared>,
    waiting: Enumerate<std::vec::IntoIter<Action>>,
    open: JoinSet<()>,
    names: HashMap<tokio::task::Id, ActionLabel>,
}

/// What to report about an action that did not finish.
struct ActionLabel {
    key: UserKey,
    verb: Verb,
    picture: bool,
}

impl ActionLabel {
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
    /// Starts actions in plan order while there is room.
    fn fill(&mut self) {
        let window = self.shared.worth(OPEN_SECONDS, &WINDOW);
        while self.open.len() < window && self.shared.stopped().is_none() {
            let Some((rank, action)) = self.waiting.next() else {
                return;
            };
            let name = ActionLabel::of(&action);
            let span = tracing::info_span!("user", id = action.key.as_str());
            let task = self
                .open
                .spawn(action::run(self.shared.clone(), rank, action).instrument(span));
            self.names.insert(task.id(), name);
        }
    }

    /// Handles a finished task and starts the next.
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

    /// Reports actions that never started, and those that did not finish in
    /// time, whose last request stays open in the journal.
    fn leave_the_rest(&mut self) {
        let why = self.shared.stopped().unwrap_or(Stop::Fatal);
        let open = std::mem::take(&mut self.names).into_values();
        let never_begun = self.waiting.by_ref().map(|(_, action)| ActionLabel::of(&action));
        for name in open.chain(never_begun) {
            self.shared.tell(name.ended(Outcome::Left { why }));
        }
    }
}
