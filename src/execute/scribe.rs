//! The one writer of the journal. Tasks hand it entries and wait until they
//! are flushed; whatever waits at that moment is flushed together. It also
//! folds every flushed fact into what is known, so that the two cannot
//! disagree.

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::core::model::Known;
use crate::core::replay::{self, Entry, Fact, Intent};
use crate::core::text::fingerprint;
use crate::core::value::{UserId, UserKey};
use crate::error::{Code, Error, Result};
use crate::store::Journal;

/// Most entries that one flush carries; bounds the memory of a burst.
const BATCH: usize = 256;

enum Message {
    Write(Box<Entry>, oneshot::Sender<bool>),
    Owners(oneshot::Sender<Vec<u64>>),
    OwnedBy(UserId, UserKey, oneshot::Sender<Option<UserKey>>),
}

/// The journal could not be written: the run is over, and what the entry
/// announces must not be done.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotWritten;

/// The tasks' end. Clones write to the same journal.
#[derive(Clone)]
pub(super) struct Scribe(mpsc::Sender<Message>);

/// The end that gives back what is known.
pub(super) struct Writing(JoinHandle<Written>);

/// What came of the writing.
pub(super) struct Written {
    /// Everything flushed, folded in.
    pub(super) known: Known,
    /// What stopped the writing, if anything did.
    pub(super) failure: Option<Error>,
}

impl Scribe {
    /// Starts the writer.
    pub(super) fn start(journal: Journal, known: Known) -> (Self, Writing) {
        let (sender, receiver) = mpsc::channel(BATCH);
        (
            Self(sender),
            Writing(tokio::spawn(write(receiver, journal, known))),
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

    async fn write(&self, entry: Entry) -> Result<(), NotWritten> {
        let (done, flushed) = oneshot::channel();
        self.0
            .send(Message::Write(Box::new(entry), done))
            .await
            .map_err(|_| NotWritten)?;
        match flushed.await {
            Ok(true) => Ok(()),
            _ => Err(NotWritten),
        }
    }

    /// The fingerprints of all linked accounts' owners, sorted. A million users
    /// are eight megabytes; who has one of them is asked when it matters.
    pub(super) async fn known_owners(&self) -> Vec<u64> {
        self.ask(Message::Owners).await
    }

    /// The user besides this one who shows this owner's profile. Looks through
    /// all of them.
    pub(super) async fn other_of(&self, owner: &UserId, key: &UserKey) -> Option<UserKey> {
        let (owner, key) = (owner.clone(), key.clone());
        self.ask(|answer| Message::OwnedBy(owner, key, answer)).await
    }

    async fn ask<T: Default>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Message) -> T {
        let (answer, answered) = oneshot::channel();
        match self.0.send(question(answer)).await {
            Ok(()) => answered.await.unwrap_or_default(),
            Err(_) => T::default(),
        }
    }
}

impl Writing {
    /// Waits until every [`Scribe`] is gone.
    ///
    /// # Errors
    /// [`Code::Internal`] when the writer panicked.
    pub(super) async fn finish(self) -> Result<Written> {
        self.0
            .await
            .map_err(|cause| Error::new(Code::Internal, "the journal's writer panicked").caused_by(cause))
    }
}

async fn write(mut receiver: mpsc::Receiver<Message>, mut journal: Journal, mut known: Known) -> Written {
    let mut failure = None;
    let mut batch = Vec::with_capacity(BATCH);
    while receiver.recv_many(&mut batch, BATCH).await > 0 {
        let (entries, waiting) = sort(&mut batch, &known);
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
            let _ = done.send(written);
        }
    }
    Written { known, failure }
}

/// Answers questions at once; entries and who waits for them are left.
fn sort(batch: &mut Vec<Message>, known: &Known) -> (Vec<Entry>, Vec<oneshot::Sender<bool>>) {
    let (mut entries, mut waiting) = (Vec::new(), Vec::new());
    for message in batch.drain(..) {
        match message {
            Message::Write(entry, done) => {
                entries.push(*entry);
                waiting.push(done);
            }
            Message::Owners(answer) => {
                let owners = known.users.values().map(|user| fingerprint(&user.link.owner));
                let mut owners: Vec<u64> = owners.collect();
                owners.sort_unstable();
                let _ = answer.send(owners);
            }
            Message::OwnedBy(owner, key, answer) => {
                let mut others = known.users.iter().rev();
                let other = others.find(|(other, user)| user.link.owner == owner && **other != key);
                let _ = answer.send(other.map(|(other, _)| other.clone()));
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
