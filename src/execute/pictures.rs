//! Pictures on their way to Whop: each distinct content once per run, beside
//! the actions that wait for it.
//!
//! A picture takes three calls: a file record, the bytes, and a share of a
//! status poll. A file is looked at once it has had the time that files have
//! taken so far. A poll asks for up to a hundred files at once, so they are made
//! seldom: when a hundred are due, when all that are left are due, or when the
//! first has been due for the run's patience.
//!
//! The patience is what the profile updates begin later by, and so end later
//! by, since their budget never catches up. Hence it is [`PATIENCE_SHARE`] of
//! the time that the run's pictures take at the limit, between one and eight
//! seconds at Whop's: `n` pictures take about `n` ÷ 80 polls in long runs and
//! one a second in short ones.

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

/// Pictures being read and sent at a time.
const UPLOADS: std::ops::RangeInclusive<usize> = 16..=512;

/// Seconds of the limit that may be on their way: how long one picture may take
/// without slowing down the rest.
const UPLOAD_SECONDS: f64 = 4.0;

/// Kilobytes of pictures held in memory for that.
const UPLOAD_KB: u32 = 80 << 10;

/// Files one status request asks for ([files](crate::whop_api#files): pages of 100).
const POLL_BATCH: usize = 100;

/// When a file is looked at for the first time, while nothing is known of how
/// long they take, and how much later again ([files](crate::whop_api#files)).
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// Requests' worth of the limit between two polls: a second at Whop's.
const POLL_EVERY: f64 = 10.0;

/// The part of the time for all pictures that the first one due may wait.
const PATIENCE_SHARE: f64 = 0.025;

/// Bounds of that, in polls.
const PATIENCE: (f64, f64) = (1.0, 8.0);

/// When a file that is still not ready counts as failed ([files](crate::whop_api#files)).
const GIVE_UP: Duration = Duration::from_secs(120);

/// The longest that later files are let alone because earlier ones took long.
const MOST_TAKEN: Duration = Duration::from_secs(5);

/// A file whose bytes are on Whop.
struct Sent {
    digest: Digest,
    file: FileId,
    at: Instant,
    /// When it is to be looked at next.
    look: Instant,
    /// The answer that made the file.
    trace: Trace,
}

/// Uploads every picture and settles each, in order, until done or stopped.
pub(super) async fn upload_all(shared: Arc<Shared>, read: Arc<ReadPicture>) {
    let (sent, arriving) = mpsc::unbounded_channel();
    tokio::join!(poll(&shared, arriving), issue(&shared, &read, sent));
}

/// Begins the uploads, a bounded number at a time. What is sent goes to the
/// poller.
async fn issue(shared: &Arc<Shared>, read: &Arc<ReadPicture>, sent: mpsc::UnboundedSender<Sent>) {
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

/// Sends one picture; on success it goes to the poller.
async fn upload(
    shared: Arc<Shared>,
    client: Client,
    read: Arc<ReadPicture>,
    avatar: Avatar,
    sent: mpsc::UnboundedSender<Sent>,
) {
    match send(&shared, &client, &read, &avatar).await {
        Ok((file, trace)) => {
            let _ = sent.send(Sent {
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
    // Before reading, so that whose file the system reads first does not
    // decide who is first.
    let permit = client.admit(Operation::CreateFile).await.map_err(halt)?;
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

/// When to poll.
struct Rhythm {
    /// The time between two polls.
    every: Duration,
    /// How long the first file that is due may wait for others.
    patience: Duration,
    /// How long files have taken to become ready, as far as was seen.
    takes: Duration,
    last: Option<Instant>,
}

impl Rhythm {
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

    /// When the files that wait are to be asked for, if any wait. They are in
    /// the order in which they become due, as near as matters.
    fn next(&self, waiting: &VecDeque<Sent>, more: bool) -> Option<Instant> {
        // The first poll lets everything behind it begin.
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

/// Looks at waiting files until none wait and none can arrive.
async fn poll(shared: &Shared, mut arriving: mpsc::UnboundedReceiver<Sent>) {
    let mut waiting: VecDeque<Sent> = VecDeque::new();
    let mut more = true;
    let mut rhythm = Rhythm::of(shared);
    let mut told = 0;
    while more || !waiting.is_empty() {
        if waiting.len() != told {
            told = waiting.len();
            shared.tell(Event::Processing { files: told });
        }
        let due = rhythm.next(&waiting, more);
        tokio::select! {
            biased;
            arrived = arriving.recv(), if more => match arrived {
                Some(mut sent) => {
                    sent.look = sent.at + rhythm.takes;
                    waiting.push_back(sent);
                }
                None => more = false,
            },
            () = sleep_until(due) => {
                let now = Instant::now();
                rhythm.last = Some(now);
                let due = waiting.iter().take(POLL_BATCH).take_while(|sent| sent.look <= now).count();
                let batch: Vec<_> = waiting.drain(..due).collect();
                for mut sent in look(shared, batch).await {
                    let takes = now.saturating_duration_since(sent.at) + rhythm.every;
                    rhythm.takes = rhythm.takes.max(takes.min(MOST_TAKEN));
                    sent.look = now + FIRST_LOOK;
                    let at = waiting.partition_point(|other| other.look <= sent.look);
                    waiting.insert(at, sent);
                }
            }
        }
    }
    shared.tell(Event::Processing { files: 0 });
}

/// Asks for a batch once, settles what is decided, and returns what is not.
async fn look(shared: &Shared, batch: Vec<Sent>) -> Vec<Sent> {
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
        FileState::Missing => "Whop no longer has the picture that was just uploaded".to_owned(),
        _ => format!("the picture was not ready after {} seconds", GIVE_UP.as_secs()),
    };
    failed(
        Code::ServerFailed,
        message,
        "run again: the picture is uploaded anew; if it fails again, save it in another format",
    )
}
