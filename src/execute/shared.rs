//! What all tasks of a run share, and how they stop together.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::journal_writer::JournalWriter;
use super::picture_files::Pictures;
use crate::core::digest::Hasher;
use crate::core::model::Avatar;
use crate::core::report::{Event, Stop};
use crate::error::{Error, Result};
use crate::remote::{Client, Operation};
/// Reads a picture's bytes, which are those that were hashed.
pub type ReadPicture = dyn Fn(&Avatar) -> Result<Vec<u8>> + Send + Sync;

/// What all tasks of a run share.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) journal: JournalWriter,
    pub(super) pictures: Pictures,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) run_id: String,
    pub(super) began: u64,
    pub(super) started: Instant,
    /// Why nothing new may begin, once so.
    pub(super) halted: watch::Sender<Option<Stop>>,
    /// The first error that ends the run.
    pub(super) fatal: Mutex<Option<Error>>,
}

impl Shared {
    /// Why nothing new may begin, if so.
    pub(super) fn stopped(&self) -> Option<Stop> {
        *self.halted.borrow()
    }

    /// From now on nothing new begins; calls on the wire finish.
    pub(super) fn halt_all(&self, why: Stop) {
        self.halted.send_modify(|halted| *halted = halted.or(Some(why)));
        self.client.stop();
    }

    /// Resolves once nothing new may begin.
    pub(super) async fn until_stopped(&self) -> Stop {
        match self.halted.subscribe().wait_for(Option::is_some).await {
            Ok(why) => why.unwrap_or(Stop::Fatal),
            Err(_) => Stop::Fatal,
        }
    }

    /// Ends the run. The first error is the one reported.
    pub(super) fn fail_run(&self, error: Error) {
        self.fatal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
        self.halt_all(Stop::Fatal);
    }

    /// How many requests of one operation so many seconds are worth, within
    /// bounds.
    pub(super) fn worth(&self, seconds: f64, bounds: &std::ops::RangeInclusive<usize>) -> usize {
        match self.client.per_second(Operation::UpdateUser) {
            // As a cast saturates, no rate is too large for it.
            Some(rate) => ((rate * seconds) as usize).clamp(*bounds.start(), *bounds.end()),
            None => *bounds.end(),
        }
    }

    /// Tells what happened. Nobody listening any more is fine.
    pub(super) fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// The time, in seconds since 1970: Whop's, by which the next run judges
    /// what is in doubt; ours only where Whop says none.
    pub(super) fn now(&self) -> u64 {
        let ours = || self.began + self.started.elapsed().as_secs();
        self.client.server_time().unwrap_or_else(ours)
    }

    /// A key that no other step and no other run has.
    pub(super) fn idempotency_key(&self, step: &str, subject: impl AsRef<[u8]>) -> String {
        let mut hasher = Hasher::new("idempotency key");
        hasher.field(&self.run_id).field(step).field(subject);
        hasher.finish().to_string()
    }
}

/// Waits until then; without a time, for ever.
pub(super) async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
