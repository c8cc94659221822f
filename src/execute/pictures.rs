//! Uploads pictures: each distinct content once per run, alongside the actions
//! that wait for it.
//!
//! A picture takes three calls: a file record, the bytes, and a share of a
//! status poll. A file's status is first checked once it has had as much time
//! as files have taken so far. A poll covers up to a hundred files, so polls
//! are rare: when a hundred are due, when all that remain are due, or when the
//! first has been due for the run's patience.
//!
//! Profile updates begin later by that patience and also end later by it, since
//! their budget never catches up. It is therefore [`PATIENCE_SHARE`] of the
//! time that the run's pictures take at the limit, between one and eight
//! seconds at Whop's rate: `n` pictures take about `n` ÷ 80 polls in long runs
//! and one per second in short ones.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::shared::{ReadPicture, Shared, sleep_until};
use crate::core::digest::Digest;
use crate::core::model::Avatar;
use crate::core::plan::Step;
use crate::core::report::{Event, Failure, Outcome, Subject, Trace};
use crate::core::value::FileId;
use crate::error::Code;
use crate::remote::{Client, FileState, Operation};

/// Bounds on pictures being read and sent at a time.
const UPLOADS: std::ops::RangeInclusive<usize> = 16..=512;

/// How many seconds' worth of the limit may be uploading: one picture may take
/// this long without slowing down the rest.
const UPLOAD_SECONDS: f64 = 4.0;

/// Most kilobytes of pictures held in memory while uploading.
const UPLOAD_KB: u32 = 80 << 10;

/// Files per status request ([files](crate::whop_api#files): pages of 100).
const POLL_BATCH: usize = 100;

/// When to check a file first, before the usual duration is known, and the
/// interval between further checks ([files](crate::whop_api#files)).
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// The interval between two polls, in requests at the limit: a second at Whop's
/// rate.
const POLL_EVERY: f64 = 10.0;

/// The share of the time for all pictures that the first one due may wait.
const PATIENCE_SHARE: f64 = 0.025;

/// Bounds of that wait, in polls.
const PATIENCE: (f64, f64) = (1.0, 8.0);

/// When a file that is still not ready counts as failed
/// ([files](crate::whop_api#files)).
const GIVE_UP: Duration = Duration::from_secs(120);

/// How long later files are left unchecked at most because earlier ones took
/// long.
const MOST_TAKEN: Duration = Duration::from_secs(5);

/// A file whose bytes are on Whop.
struct UploadedFile {
    digest: Digest,
    file: FileId,
    at: Instant,
    /// When to check it next.
    look: Instant,
    /// The response that created the file.
    trace: Trace,
}

/// Uploads all pictures in order and settles each, until done or stopped.
pub(super) async fn upload_all(shared: Arc<Shared>, read: Arc<ReadPicture>) {
    let (sent, arriving) = mpsc::unbounded_channel();
    tokio::join!(poll(&shared, arriving), issue(&shared, &read, sent));
}

/// Starts uploads, a bounded number at a time, and passes finished ones to the
/// poller.
async fn issue(shared: &Arc<Shared>, read: &Arc<ReadPicture>, sent: mpsc::UnboundedSender<UploadedFile>) {
    let memory = Arc::new(Semaphore::new(UPLOAD_KB as usize));
    let mut uploads = JoinSet::new();
    for (rank, avatar) in shared.pictures.order.iter().enumerate() {
        while uploads.len() >= shared.worth(UPLOAD_SECONDS, &UPLOADS) {
            uploads.join_next().await;
        }
        let size = u32::try_from(avatar.bytes / 1024 + 1).unwrap_or(UPLOAD_KB);
        let Ok(held) = memory.clone().acquire_many_owned(size.min(UPLOAD_KB)).await else {
            return;
        };
        let client = shared.client.ranked(rank);
        let upload = upload(shared.clone(), client, read.clone(), avatar.clone(), sent.clone());
        let uploading = async move {
            upload.await;
            drop(held);
        };
        uploads.spawn(uploading.in_current_span());
    }
    while uploads.join_next().await.is_some() {}
}

/// Uploads one picture and passes it to the poller.
async fn upload(
    shared: Arc<Shared>,
    client: Client,
    read: Arc<ReadPicture>,
    avatar: Avatar,
    sent: mpsc::UnboundedSender<UploadedFile>,
) {
    match send(&shared, &client, &read, &avatar).await {
        Ok((file, trace)) => {
            let _ = sent.send(UploadedFile {
                digest: avatar.digest,
                file,
                at: Instant::now(),
                look: Instant::now(),
                trace,
            });
        }
        Err(outcome) => shared.pictures.settle(&avatar.digest, Err(outcome)),
    }
}

async fn send(
    shared: &Shared,
    client: &Client,
    read: &Arc<ReadPicture>,
    avatar: &Avatar,
) -> Result<(FileId, Trace), Outcome> {
    if let Some(why) = shared.stopped() {
        return Err(Outcome::Left { why });
    }
    let halt = |error| shared.halt(Step::UploadPicture, error);
    // Before reading the file, so that the order of uploads does not depend on
    // which file the system reads first.
    let permit = client.admit(Operation::CreateFile).await.map_err(halt)?;
    let (reader, picture) = (read.clone(), avatar.clone());
    let bytes = tokio::task::spawn_blocking(move || reader(&picture)).await;
    let bytes = match bytes {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            let hint = error
                .what_to_do()
                .unwrap_or("run again; the pictures are then read again");
            return Err(failed(error.code(), error.message().to_owned(), hint));
        }
        Err(_) => {
            return Err(failed(
                Code::Internal,
                "reading the picture panicked".to_owned(),
                "please report this",
            ));
        }
    };
    // Named by its digest, so that no text from a manifest ends up in a file
    // name on Whop.
    let name = format!("{}.{}", avatar.digest.short(), avatar.format.extension());
    let key = shared.idempotency_key("file", avatar.digest.to_string());
    let file = client
        .create_file(Some(permit), &name, &key)
        .await
        .map_err(halt)?;
    client.upload(&file.upload, bytes.into()).await.map_err(halt)?;
    Ok((file.id, file.trace))
}

fn failed(code: Code, message: String, hint: &str) -> Outcome {
    Outcome::Failed(Failure {
        step: Step::UploadPicture,
        code: code.as_str().to_owned(),
        message,
        hint: Some(hint.to_owned()),
        status: None,
        request_id: None,
    })
}

/// Decides when to poll.
struct PollSchedule {
    /// The time between two polls.
    every: Duration,
    /// How long the first file due may wait for others.
    patience: Duration,
    /// How long files have taken to become ready so far.
    takes: Duration,
    last: Option<Instant>,
}

impl PollSchedule {
    fn of(shared: &Shared) -> Self {
        let second = Duration::from_secs(1);
        let rate = shared.client.per_second(Operation::UpdateUser);
        let of_limit =
            |requests: f64| rate.map_or(second / 10, |rate| Duration::from_secs_f64(requests / rate));
        let every = of_limit(POLL_EVERY).clamp(second / 10, second);
        let whole = of_limit(shared.pictures.order.len() as f64);
        let (least, most) = PATIENCE;
        Self {
            every,
            patience: whole
                .mul_f64(PATIENCE_SHARE)
                .clamp(every.mul_f64(least), every.mul_f64(most)),
            takes: FIRST_LOOK,
            last: None,
        }
    }

    /// When to poll next, if files are waiting. They are roughly in the order
    /// in which they become due.
    fn next(&self, waiting: &VecDeque<UploadedFile>, more: bool) -> Option<Instant> {
        // The first poll is early, because profile updates cannot start before
        // it.
        let patience = if self.last.is_none() {
            self.every / 2
        } else {
            self.patience
        };
        let first = waiting.front()?.look + patience;
        let whole = match waiting.get(POLL_BATCH - 1) {
            Some(hundredth) => Some(hundredth.look),
            None if more => None,
            None => waiting.back().map(|last| last.look),
        };
        let at = whole.map_or(first, |whole| whole.min(first));
        Some(self.last.map_or(at, |last| at.max(last + self.every)))
    }
}

/// Polls waiting files until none wait and none can arrive.
async fn poll(shared: &Shared, mut arriving: mpsc::UnboundedReceiver<UploadedFile>) {
    let mut waiting: VecDeque<UploadedFile> = VecDeque::new();
    let mut more = true;
    let mut schedule = PollSchedule::of(shared);
    let mut told = 0;
    while more || !waiting.is_empty() {
        if waiting.len() != told {
            told = waiting.len();
            shared.tell(Event::Processing { files: told });
        }
        let due = schedule.next(&waiting, more);
        tokio::select! {
            biased;
            arrived = arriving.recv(), if more => match arrived {
                Some(mut sent) => {
                    sent.look = sent.at + schedule.takes;
                    waiting.push_back(sent);
                }
                None => more = false,
            },
            () = sleep_until(due) => {
                let now = Instant::now();
                schedule.last = Some(now);
                let due = waiting.iter().take(POLL_BATCH).take_while(|sent| sent.look <= now).count();
                let batch: Vec<_> = waiting.drain(..due).collect();
                for mut sent in look(shared, batch).await {
                    let takes = now.saturating_duration_since(sent.at) + schedule.every;
                    schedule.takes = schedule.takes.max(takes.min(MOST_TAKEN));
                    sent.look = now + FIRST_LOOK;
                    let at = waiting.partition_point(|other| other.look <= sent.look);
                    waiting.insert(at, sent);
                }
            }
        }
    }
    shared.tell(Event::Processing { files: 0 });
}

/// Polls a batch once, settles the decided files and returns the others.
async fn look(shared: &Shared, batch: Vec<UploadedFile>) -> Vec<UploadedFile> {
    let ids: Vec<FileId> = batch.iter().map(|sent| sent.file.clone()).collect();
    let states: BTreeMap<FileId, FileState> = match shared.client.file_states(&ids).await {
        Ok(states) => states,
        Err(error) => {
            let outcome = shared.halt(Step::UploadPicture, error);
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
            FileState::Processing | FileState::Pending if sent.at.elapsed() < GIVE_UP => still.push(sent),
            _ => shared.pictures.settle(&sent.digest, Err(never_ready(state))),
        }
    }
    still
}

fn never_ready(state: FileState) -> Outcome {
    let message = match state {
        FileState::Failed => "Whop could not process the picture".to_owned(),
        FileState::Missing => "the picture that was just uploaded is missing on Whop".to_owned(),
        _ => format!("the picture was not ready after {} seconds", GIVE_UP.as_secs()),
    };
    failed(
        Code::ServerFailed,
        message,
        "run again: the picture is uploaded again; if it still fails, save it in another format",
    )
}
