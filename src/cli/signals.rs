//! What asks a program to stop: Ctrl-C, and what a pipeline sends on cancel.

use tokio::time::Instant;

use crate::error::{Code, Error, Result};

/// Listens from its making on; before that a signal ends the program.
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// The system refuses.
    #[cfg(unix)]
    pub(super) fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind)
                .map_err(|cause| Error::new(Code::Internal, "could not listen for signals").caused_by(cause))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    #[cfg(unix)]
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Begins to listen.
    #[cfg(not(unix))]
    pub(super) fn listen() -> Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next one.
    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// What may end the run early: signals, and a time.
pub(super) struct Wishes {
    /// Signals.
    pub(super) signals: Signals,
    /// When to stop by itself.
    pub(super) due: Option<Instant>,
}

impl Wishes {
    /// Listens from now on.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn listen(due: Option<Instant>) -> Result<Self> {
        Ok(Self {
            signals: Signals::listen()?,
            due,
        })
    }

    /// Waits for work that changes nothing, which is dropped where it stands
    /// once the run is to stop.
    ///
    /// # Errors
    /// [`Code::Interrupted`], [`Code::ApplyIncomplete`] for the deadline.
    pub(super) async fn or_stop<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.signals.next() => {
                Err(Error::new(Code::Interrupted, "interrupted before the first change; nothing was done"))
            }
            () = until(self.due) => {
                Err(Error::new(
                    Code::ApplyIncomplete,
                    "the deadline came before the first change; nothing was done",
                )
                .hint("give it more time, or look at less with `--refresh changed`"))
            }
            done = work => Ok(done),
        }
    }
}

/// Waits until then; without a time, for ever.
pub(super) async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
