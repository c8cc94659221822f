//! The one writer of the journal. Tasks hand it entries and wait until they
//! are flushed; whatever waits at that moment is flushed together. It also
//! folds every flushed fact into what is known, so that the two cannot
//! disagree.

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::claims::{Claim, Claims, Holder};
use crate::core::model::Known;
use crate::core::replay::{self, Entry, Fact, Intent};
use crate::error::{Code, Error, Result};
use crate::store::Journal;

/// Most entries that one flush carries; bounds the memory of a burst.
const BATCH: usize = 256;

enum Message {
    Write(Box<Entry>, oneshot::Sender<Reply>),
    /// The fact is written if nobody has what is claimed.
    Link(Box<(Claim, Fact)>, oneshot::Sender<Reply>),
}

/// What became of a message.
enum Reply {
    /// It is in the journal, flushed.
    Written,
    /// The journal failed.
    NotWritten,
    /// Somebody has what was claimed, and nothing was written.
    Held(Holder),
}

/// The journal could not be written: the run is over, and what the entry
/// announces must not be done.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotWritten;

/// The tasks' end. Clones write to the same journal.
#[derive(Clone)]
pub(super) struct JournalWriter(mpsc::Sender<Message>);

/// The end that gives back what is known.
pub(super) struct Writing(JoinHandle<Written>);

/// What came of the writing.
pub(super) struct Written {
    /// Everything flushed, folded in.
    pub(super) known: Known,
    /// What stopped the writing, if anything did.
    pub(super) failure: Option<Error>,
}

impl JournalWriter {
    /// Starts the writer. The claims are those of the plan that is carried out.
    pub(super) fn start(journal: Journal, known: Known, claims: Claims) -> (Self, Writing) {
        let (sender, receiver) = mpsc::channel(BATCH);
        (
            Self(sender),
            Writing(tokio::spawn(write(receiver, journal, known, claims))),
        )
    }

    /// Announces a request; it may be sent once this returns.
    pub(super) async fn begin(&self, intent: Intent) -> Result<(), NotWritten> {
        self.write(Entry::Begun { intent }).await
    }

    /// Records a fact; it counts once this returns.
    pub(super) async fn record(&self, fact: Fact) -> Result<(), NotWritten> {
        self.write(Entry::Ended { fact }).await
    }

    /// Records that a new account was made, unless it or its owner is another
    /// user's: then nothing is written, and it says whose. Of two that claim the
    /// same at once, one is recorded.
    pub(super) async fn link(&self, claim: Claim, fact: Fact) -> Result<Option<Holder>, NotWritten> {
        let claimed = Box::new((claim, fact));
        match self.ask(|reply| Message::Link(claimed, reply)).await {
            Reply::Written => Ok(None),
            Reply::Held(holder) => Ok(Some(holder)),
            Reply::NotWritten => Err(NotWritten),
        }
    }

    async fn write(&self, entry: Entry) -> Result<(), NotWritten> {
        match self.ask(|reply| Message::Write(Box::new(entry), reply)).await {
            Reply::Written => Ok(()),
            Reply::NotWritten | Reply::Held(_) => Err(NotWritten),
        }
    }

    async fn ask(&self, message: impl FnOnce(oneshot::Sender<Reply>) -> Message) -> Reply {
        let (reply, replied) = oneshot::channel();
        match self.0.send(message(reply)).await {
            Ok(()) => replied.await.unwrap_or(Reply::NotWritten),
            Err(_) => Reply::NotWritten,
        }
    }
}

impl Writing {
    /// Waits until every [`JournalWriter`] is gone.
    ///
    /// # Errors
    /// [`Code::Internal`] when the writer panicked.
    pub(super) async fn finish(self) -> Result<Written> {
        self.0
            .await
            .map_err(|cause| Error::new(Code::Internal, "the journal's writer panicked").caused_by(cause))
    }
}

async fn write(
    mut receiver: mpsc::Receiver<Message>,
    mut journal: Journal,
    mut known: Known,
    mut claims: Claims,
) -> Written {
    let mut failure = None;
    let mut batch = Vec::with_capacity(BATCH);
    while receiver.recv_many(&mut batch, BATCH).await > 0 {
        let (entries, waiting) = sort(&mut batch, &known, &mut claims);
        if entries.is_empty() {
            continue;
        }
        let appended = append(journal, entries).await;
        let written = match appended {
            Ok((back, Ok(entries))) => {
                journal = back;
                replay::replay(&mut known, entries);
                true
            }
            Ok((back, Err(error))) => {
                journal = back;
                failure.get_or_insert(error);
                false
            }
            Err(error) => {
                return Written {
                    known,
                    failure: Some(error),
                };
            }
        };
        for done in waiting {
            // A task that was given up no longer waits.
            let _ = done.send(match written {
                true => Reply::Written,
                false => Reply::NotWritten,
            });
        }
    }
    Written { known, failure }
}

/// What is to be written, and who waits for it. Claims on what somebody has are
/// answered at once.
fn sort(
    batch: &mut Vec<Message>,
    known: &Known,
    claims: &mut Claims,
) -> (Vec<Entry>, Vec<oneshot::Sender<Reply>>) {
    let (mut entries, mut waiting) = (Vec::new(), Vec::new());
    for message in batch.drain(..) {
        match message {
            Message::Write(entry, done) => {
                entries.push(*entry);
                waiting.push(done);
            }
            Message::Link(claimed, done) => {
                let (claim, fact) = *claimed;
                if let Some(holder) = claims.holder(&claim, known, &entries) {
                    let _ = done.send(Reply::Held(holder));
                    continue;
                }
                claims.link(&claim);
                entries.push(Entry::Ended { fact });
                waiting.push(done);
            }
        }
    }
    (entries, waiting)
}

/// Appends on a thread where waiting for the disk is fine, one batch at a
/// time, and gives everything back.
async fn append(mut journal: Journal, entries: Vec<Entry>) -> Result<(Journal, Result<Vec<Entry>>)> {
    let appending = tokio::task::spawn_blocking(move || {
        let result = journal.append(&entries);
        (journal, result.map(|()| entries))
    });
    appending
        .await
        .map_err(|cause| Error::new(Code::Internal, "writing the journal panicked").caused_by(cause))
}
