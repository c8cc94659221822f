//! State shared by all tasks of a run, and how they stop together.

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

/// Reads a picture's bytes and checks that they are the ones that were hashed.
pub type ReadPicture = dyn Fn(&Avatar) -> Result<Vec<u8>> + Send + Sync;

/// State shared by all tasks of a run.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) journal: JournalWriter,
    pub(super) pictures: Pictures,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) run_id: String,
    pub(super) began: u64,
    pub(super) started: Instant,
    /// Set once nothing new may begin.
    pub(super) halted: watch::Sender<Option<Stop>>,
    /// The first error that ends the run.
    pub(super) fatal: Mutex<Option<Error>>,
}

impl Shared {
    /// Why nothing new may begin, if that is so.
    pub(super) fn stopped(&self) -> Option<Stop> {
        *self.halted.borrow()
    }

    /// Lets nothing new begin; requests on the wire finish.
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

    /// Ends the run. Only the first error is reported.
    pub(super) fn fail_run(&self, error: Error) {
        self.fatal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
        self.halt_all(Stop::Fatal);
    }

    /// How many requests of one operation fit into this many seconds at its
    /// limit, within bounds.
    pub(super) fn worth(&self, seconds: f64, bounds: &std::ops::RangeInclusive<usize>) -> usize {
        match self.client.per_second(Operation::UpdateUser) {
            // The cast saturates, so no rate is too large.
            Some(rate) => ((rate * seconds) as usize).clamp(*bounds.start(), *bounds.end()),
            None => *bounds.end(),
        }
    }

    /// Publishes an event. It is fine if there is no listener any more.
    pub(super) fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// The time in seconds since 1970, by Whop's clock where known, because the
    /// next run judges creates in doubt by that clock.
    pub(super) fn now(&self) -> u64 {
        let ours = || self.began + self.started.elapsed().as_secs();
        self.client.server_time().unwrap_or_else(ours)
    }

    /// A key unique to this step and run.
    pub(super) fn idempotency_key(&self, step: &str, subject: impl AsRef<[u8]>) -> String {
        let mut hasher = Hasher::new("idempotency key");
        hasher.field(&self.run_id).field(step).field(subject);
        hasher.finish().to_string()
    }
}

/// Waits until this time; forever if there is none.
pub(super) async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
