//! The single writer of the journal. Tasks submit entries and wait until they
//! are flushed; all entries waiting at that moment share one flush. The writer
//! also applies each flushed fact to the known state, so the two cannot
//! disagree.

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::claims::{Claim, Claims, Holder};
use crate::core::model::Known;
use crate::core::replay::{self, Entry, Fact, Intent};
use crate::error::{Code, Error, Result};
use crate::store::Journal;

/// Most entries per flush; bounds the memory of a burst.
const BATCH: usize = 256;

enum Message {
    Write(Box<Entry>, oneshot::Sender<Reply>),
    /// Write the fact unless another user holds the claim.
    Link(Box<(Claim, Fact)>, oneshot::Sender<Reply>),
}

/// The outcome of a message.
enum Reply {
    /// The entry is in the journal and flushed.
    Written,
    /// The journal failed.
    NotWritten,
    /// Another user holds the claim; nothing was written.
    Held(Holder),
}

/// The journal could not be written. The run is over, and what the entry
/// announces must not be done.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotWritten;

/// The tasks' side of the channel. Clones write to the same journal.
#[derive(Clone)]
pub(super) struct JournalWriter(mpsc::Sender<Message>);

/// The writer's task, which returns the known state when it finishes.
pub(super) struct WriterTask(JoinHandle<WriterResult>);

/// What the writer returns.
pub(super) struct WriterResult {
    /// The known state, with every flushed entry applied.
    pub(super) known: Known,
    /// What stopped the writing, if anything.
    pub(super) failure: Option<Error>,
}

impl JournalWriter {
    /// Starts the writer. `claims` must belong to the plan that is carried out.
    pub(super) fn start(journal: Journal, known: Known, claims: Claims) -> (Self, WriterTask) {
        let (sender, receiver) = mpsc::channel(BATCH);
        (
            Self(sender),
            WriterTask(tokio::spawn(write(receiver, journal, known, claims))),
        )
    }

    /// Announces a request, which may be sent once this returns.
    pub(super) async fn begin(&self, intent: Intent) -> Result<(), NotWritten> {
        self.write(Entry::Begun { intent }).await
    }

    /// Records a fact, which counts once this returns.
    pub(super) async fn record(&self, fact: Fact) -> Result<(), NotWritten> {
        self.write(Entry::Ended { fact }).await
    }

    /// Records that an account was created, unless the account or its owner
    /// belongs to another user; then nothing is written and that user is
    /// returned. If two users claim the same account at once, only one is
    /// recorded.
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

impl WriterTask {
    /// Waits until every [`JournalWriter`] is gone.
    ///
    /// # Errors
    /// [`Code::Internal`] when the writer panicked.
    pub(super) async fn finish(self) -> Result<WriterResult> {
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
) -> WriterResult {
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
                return WriterResult {
                    known,
                    failure: Some(error),
                };
            }
        };
        for done in waiting {
            // The task may have been aborted and no longer wait.
            let _ = done.send(match written {
                true => Reply::Written,
                false => Reply::NotWritten,
            });
        }
    }
    WriterResult { known, failure }
}

/// Splits a batch into entries to write and tasks waiting for them. Refused
/// claims are answered at once.
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
                // Entries of this batch count as well: two users may claim the
                // same account before either is flushed.
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

/// Appends on a blocking thread, one batch at a time, and returns journal and
/// entries.
async fn append(mut journal: Journal, entries: Vec<Entry>) -> Result<(Journal, Result<Vec<Entry>>)> {
    let appending = tokio::task::spawn_blocking(move || {
        let result = journal.append(&entries);
        (journal, result.map(|()| entries))
    });
    appending
        .await
        .map_err(|cause| Error::new(Code::Internal, "writing the journal panicked").caused_by(cause))
}
