//! Pictures on their way to Whop: each distinct content once per run, beside
//! the actions that wait for it.
//!
//! A picture takes three calls: a file record, the bytes, and a share of a
//! status poll. Polls ask for up to a hundred files at once, so they are made
//! seldom: when a hundred wait, when nothing else is left to upload, or when
//! the oldest has waited [`PATIENCE`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::action::Halt;
use super::{ReadPicture, Shared};
use crate::core::digest::Digest;
use crate::core::model::Avatar;
use crate::core::plan::{Plan, Step};
use crate::core::replay::Fact;
use crate::core::report::{Event, Failure, Outcome, Stop, Subject, Trace};
use crate::core::value::FileId;
use crate::error::Code;
use crate::remote::FileState;

/// Pictures being read and sent at a time: bounds the bytes held in memory to
/// this many times five megabytes.
const UPLOADS: usize = 16;

/// Files one status request asks for (`whop-api.md` §6: pages of 100).
const POLL_BATCH: usize = 100;

/// How often a waiting file is looked at when nothing else is left to do.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// How long the first file may wait while others are still on their way.
const PATIENCE: Duration = Duration::from_secs(8);

/// When a file that is still not ready counts as failed (`whop-api.md` §6).
const GIVE_UP: Duration = Duration::from_secs(120);

type Ready = Option<Result<FileId, Outcome>>;

/// The distinct pictures of a plan, in the order of first use.
pub(super) struct Pictures {
    order: Vec<Avatar>,
    slots: HashMap<Digest, watch::Sender<Ready>>,
}

impl Pictures {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut pictures = Self {
            order: Vec::new(),
            slots: HashMap::new(),
        };
        for change in plan
            .actions
            .iter()
            .filter_map(|action| action.profile.picture.as_ref())
        {
            if let std::collections::hash_map::Entry::Vacant(slot) = pictures.slots.entry(change.new.digest) {
                slot.insert(watch::channel(None).0);
                pictures.order.push(change.new.clone());
            }
        }
        pictures
    }

    /// Waits until the picture is ready, or will never be.
    pub(super) async fn ready(&self, digest: &Digest) -> Result<FileId, Outcome> {
        let gone = || Err(Outcome::Left { why: Stop::Fatal });
        let Some(slot) = self.slots.get(digest) else {
            return gone();
        };
        match slot.subscribe().wait_for(Option::is_some).await {
            Ok(ready) => ready.clone().unwrap_or_else(gone),
            Err(_) => gone(),
        }
    }

    fn settle(&self, digest: &Digest, ready: Result<FileId, Outcome>) {
        if let Some(slot) = self.slots.get(digest) {
            slot.send_replace(Some(ready));
        }
    }
}

/// A file whose bytes are on Whop.
struct Sent {
    digest: Digest,
    file: FileId,
    /// Whether this run sent it. One that an interrupted run left may be
    /// missing or never have been filled, and is then made anew.
    ours: bool,
    at: Instant,
    /// The answer that made the file, where this run made it.
    trace: Trace,
}

/// Uploads every picture and settles each, in order, until done or stopped.
pub(super) async fn upload_all(shared: Arc<Shared>, read: Arc<ReadPicture>) {
    let (sent, arriving) = mpsc::unbounded_channel();
    tokio::join!(poll(&shared, &read, arriving), issue(&shared, &read, sent));
}

/// Begins the uploads, a bounded number at a time. Those it sends, and those
/// an interrupted run left, go to the poller.
async fn issue(shared: &Arc<Shared>, read: &Arc<ReadPicture>, sent: mpsc::UnboundedSender<Sent>) {
    let left_over = shared.scribe.known_files().await;
    let mut uploads = JoinSet::new();
    for avatar in &shared.pictures.order {
        if let Some(file) = left_over.get(&avatar.digest) {
            let at = Instant::now();
            let _ = sent.send(Sent {
                digest: avatar.digest,
                file: file.clone(),
                ours: false,
                at,
                trace: Trace::default(),
            });
            continue;
        }
        if uploads.len() >= UPLOADS {
            uploads.join_next().await;
        }
        let uploading = upload(shared.clone(), read.clone(), avatar.clone(), sent.clone());
        uploads.spawn(uploading.in_current_span());
    }
    while uploads.join_next().await.is_some() {}
}

/// Sends one picture; on success it goes to the poller.
async fn upload(
    shared: Arc<Shared>,
    read: Arc<ReadPicture>,
    avatar: Avatar,
    sent: mpsc::UnboundedSender<Sent>,
) {
    match send(&shared, &read, &avatar).await {
        Ok((file, trace)) => {
            let _ = sent.send(Sent {
                digest: avatar.digest,
                file,
                ours: true,
                at: Instant::now(),
                trace,
            });
        }
        Err(Halt::With(outcome)) => shared.pictures.settle(&avatar.digest, Err(outcome)),
        Err(Halt::NotWritten) => {
            shared
                .pictures
                .settle(&avatar.digest, Err(Outcome::Left { why: Stop::Fatal }));
        }
    }
}

async fn send(shared: &Shared, read: &Arc<ReadPicture>, avatar: &Avatar) -> Result<(FileId, Trace), Halt> {
    if let Some(why) = shared.stopped() {
        return Err(Halt::With(Outcome::Left { why }));
    }
    let (reader, picture) = (read.clone(), avatar.clone());
    let bytes = tokio::task::spawn_blocking(move || reader(&picture)).await;
    let bytes = match bytes {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            let hint = error
                .what_to_do()
                .unwrap_or("run again: the pictures are then read anew");
            return Err(failed(error.code(), error.message().to_owned(), hint));
        }
        Err(_) => {
            return Err(failed(
                Code::Internal,
                "reading the picture panicked".to_owned(),
                "please report it",
            ));
        }
    };
    // Named by content: nothing a manifest says ends up in a name on Whop.
    let name = format!("{}.{}", avatar.digest.short(), avatar.format.extension());
    let key = shared.idempotency_key("file", avatar.digest.to_string());
    let halt = |error| shared.halt(Step::UploadPicture, error);
    let file = shared.client.create_file(&name, &key).await.map_err(halt)?;
    shared
        .client
        .upload(&file.upload, bytes.into())
        .await
        .map_err(halt)?;
    shared
        .scribe
        .record(Fact::File {
            digest: avatar.digest,
            file: file.id.clone(),
        })
        .await?;
    Ok((file.id, file.trace))
}

fn failed(code: Code, message: String, hint: &str) -> Halt {
    Halt::With(Outcome::Failed(Failure {
        step: Step::UploadPicture,
        code: code.as_str().to_owned(),
        message,
        hint: Some(hint.to_owned()),
        status: None,
        request_id: None,
    }))
}

/// Looks at waiting files until none wait and none can arrive.
async fn poll(shared: &Shared, read: &Arc<ReadPicture>, mut arriving: mpsc::UnboundedReceiver<Sent>) {
    let mut waiting: VecDeque<Sent> = VecDeque::new();
    let mut more = true;
    let mut last = Instant::now();
    let mut told = 0;
    while more || !waiting.is_empty() {
        if waiting.len() != told {
            told = waiting.len();
            shared.tell(Event::Processing { files: told });
        }
        let due = waiting.front().map(|oldest| {
            let wait = if !more || waiting.len() >= POLL_BATCH {
                POLL_EVERY
            } else {
                PATIENCE
            };
            (oldest.at + wait).max(last + POLL_EVERY)
        });
        tokio::select! {
            biased;
            arrived = arriving.recv(), if more => match arrived {
                Some(sent) => waiting.push_back(sent),
                None => more = false,
            },
            () = super::sleep_until(due) => {
                let batch: Vec<_> = waiting.drain(..waiting.len().min(POLL_BATCH)).collect();
                last = Instant::now();
                let still = look(shared, read, batch).await;
                waiting.extend(still);
            }
        }
    }
    shared.tell(Event::Processing { files: 0 });
}

/// Asks for a batch once, settles what is decided, and returns what is not.
async fn look(shared: &Shared, read: &Arc<ReadPicture>, batch: Vec<Sent>) -> Vec<Sent> {
    let ids: Vec<FileId> = batch.iter().map(|sent| sent.file.clone()).collect();
    let states: BTreeMap<FileId, FileState> = match shared.client.file_states(&ids).await {
        Ok(states) => states,
        Err(error) => {
            let Halt::With(outcome) = shared.halt(Step::UploadPicture, error) else {
                return Vec::new();
            };
            batch
                .iter()
                .for_each(|sent| shared.pictures.settle(&sent.digest, Err(outcome.clone())));
            return Vec::new();
        }
    };
    let mut still = Vec::new();
    for sent in batch {
        let state = states.get(&sent.file).copied().unwrap_or(FileState::Missing);
        match state {
            FileState::Ready => {
                shared.tell(Event::Stepped {
                    step: Step::UploadPicture,
                    subject: Subject::Picture(sent.digest),
                    trace: sent.trace,
                });
                shared.pictures.settle(&sent.digest, Ok(sent.file));
            }
            FileState::Processing if sent.at.elapsed() < GIVE_UP => still.push(sent),
            FileState::Pending if sent.ours && sent.at.elapsed() < GIVE_UP => still.push(sent),
            _ if !sent.ours => still.extend(again(shared, read, sent.digest).await),
            _ => {
                let Halt::With(outcome) = never_ready(state) else {
                    continue;
                };
                shared.pictures.settle(&sent.digest, Err(outcome));
            }
        }
    }
    still
}

/// Sends a picture anew whose left-over file turned out to be of no use.
async fn again(shared: &Shared, read: &Arc<ReadPicture>, digest: Digest) -> Option<Sent> {
    let avatar = shared
        .pictures
        .order
        .iter()
        .find(|avatar| avatar.digest == digest)?;
    match send(shared, read, avatar).await {
        Ok((file, trace)) => Some(Sent {
            digest,
            file,
            ours: true,
            at: Instant::now(),
            trace,
        }),
        Err(halt) => {
            let outcome = match halt {
                Halt::With(outcome) => outcome,
                Halt::NotWritten => Outcome::Left { why: Stop::Fatal },
            };
            shared.pictures.settle(&digest, Err(outcome));
            None
        }
    }
}

fn never_ready(state: FileState) -> Halt {
    let message = match state {
        FileState::Failed => "Whop could not process the picture".to_owned(),
        FileState::Missing => "Whop no longer has the picture that was just uploaded".to_owned(),
        _ => format!("the picture was not ready after {} seconds", GIVE_UP.as_secs()),
    };
    failed(
        Code::ServerFailed,
        message,
        "run again: the picture is uploaded anew; if it fails again, save it in another format",
    )
}
