//! What asks a program to stop: Ctrl-C, and what a pipeline sends on cancel.

use crate::error::{Code, Error, Result};

/// Listens from its making on; before that a signal ends the program.
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Waits for work that changes nothing on Whop, unless a signal comes
    /// first: then it is dropped where it stands.
    ///
    /// # Errors
    /// The work's own, or [`Code::Interrupted`].
    pub(super) async fn unless_stopped<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.next() => Err(Error::new(
                Code::Interrupted,
                "interrupted before anything was changed on Whop",
            )),
            done = work => done,
        }
    }

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
