//! The state machine: one request in, one reply out, under one lock.
//!
//! A request is carried out when it is received; latency delays the answer
//! only. So a caller that gives up waiting has still been served, as with a
//! real server, and until the answer would have gone out its idempotency key
//! is in progress.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::accounts::{NewAccount, make};
use super::answers::{Look, request_ids};
use super::context::Ask;
use super::exchanges::Exchanges;
use super::faults::{Faults, Shift, Strike, Twist, failure, instead};
use super::handle::{carry_out, mention, needs_platform};
use super::idempotency::Met;
use super::keys::{Caller, platform_of};
use super::limits::{Left, Limits};
use super::log::{self, Log};
use super::operation::{Operation, Route, route};
use super::records::{Effect, Fate, Remembered};
use super::refusal::{BAD, Refusal};
use super::request::{Call, Fields, Query};
use super::settings::{Settings, State, millis};
use super::state::World;
use super::storage::{self, Upload};
use super::versions::Version;
use crate::remote::transport::Response;

/// What comes back for a request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The answer; `None` closes the connection without one.
    pub answer: Option<Response>,
    /// How long after the request.
    pub after: Duration,
}

/// A request as the emulator received it, for tests.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The operation it led to.
    pub operation: Operation,
    /// The method in capitals.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Its `Api-Version-Date`.
    pub version: Option<String>,
    /// Its `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// Its exact body; empty for an upload.
    pub body: Bytes,
    /// The status it was answered with; `None` where no answer went out.
    pub status: Option<u16>,
}

/// Everything behind the emulator's handle.
#[derive(Debug)]
pub(super) struct Engine {
    /// What it was started with.
    pub(super) settings: Settings,
    /// Everything that the state file holds. The rest below is lost on a
    /// restart, as it would be with a real server's memory.
    pub(super) world: World,
    /// The faults in force.
    pub(super) faults: Faults,
    /// Requests received, by operation.
    pub(super) counts: BTreeMap<Operation, u64>,
    /// Requests received, in order, where they are recorded.
    pub(super) seen: Vec<Seen>,
    limits: Limits,
    /// What is left of the limit that the request in hand was counted against.
    left: Option<Left>,
    log: Option<Log>,
    exchanges: Option<Exchanges>,
    /// Set once the state file could not be written: from then on memory and
    /// file differ, and everything is refused.
    broken: bool,
    /// Counts requests, for request ids and for what varies between answers.
    serial: u64,
    /// Requests that a fault delays.
    held: Vec<Held>,
}

/// A request that is carried out later than it was received.
#[derive(Debug)]
struct Held {
    /// When, in milliseconds since 1970.
    due: u64,
    /// The request, let in when it came.
    call: Call,
    /// Where its answer is remembered.
    slot: Option<Slot>,
}

/// Where a POST's answer is remembered.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Stands for the credential and its idempotency key.
    slot: u128,
    /// Stands for the request.
    request: u128,
    /// When the request came, in milliseconds since 1970.
    at: u64,
}

/// A request that was let in.
struct Admitted {
    caller: Caller,
    version: Version,
}

/// How a request that was let in is carried out.
struct Course {
    twist: Twist,
    /// How long its answer takes, in milliseconds.
    delay: u64,
    /// Whether it is carried out now.
    acts: bool,
    /// The status it is refused with instead, and remembered by.
    refused: Option<u16>,
    /// Whether its idempotency key is left in progress.
    unfinished: bool,
}

impl Engine {
    /// Starts from the settings, loading the state file.
    ///
    /// # Errors
    /// For settings that make no sense, and where [`Log::open`] does.
    pub(super) fn open(settings: Settings) -> io::Result<Self> {
        settings.check()?;
        let is_kept = matches!(settings.state, State::Kept(_));
        let mut world = World::new(settings.seed, is_kept);
        let log = match &settings.state {
            State::Memory => None,
            State::Kept(path) => Some(Log::open(&settings.disk, path, &mut world)?),
            State::Read(path) => {
                log::read(&settings.disk, path, &mut world)?;
                None
            }
        };
        let exchanges = settings.exchanges.as_deref();
        let exchanges = exchanges.map(|path| Exchanges::open(&settings.disk, path));
        let exchanges = exchanges.transpose()?;
        settings.clock.not_before(world.latest());
        Ok(Self {
            faults: Faults::new(settings.seed),
            settings,
            world,
            counts: BTreeMap::new(),
            seen: Vec::new(),
            limits: Limits::default(),
            left: None,
            log,
            exchanges,
            broken: false,
            serial: 0,
            held: Vec::new(),
        })
    }

    /// Answers one request: finds where it leads, counts it, lets faults strike,
    /// and writes down what it changed before the answer is given away.
    pub(super) fn receive(&mut self, call: &Call, now: u64) -> Reply {
        self.catch_up(now);
        self.serial += 1;
        let latency = self.settings.latency;
        let (operation, id) = match route(&call.method, call.bare_path()) {
            Route::Api(operation, id) => (operation, id),
            Route::Storage { .. } => (Operation::UploadFile, String::new()),
            Route::Picture(path) => {
                let answer = Some(storage::picture(&self.world, call, &path, now));
                return Reply {
                    answer,
                    after: latency,
                };
            }
            other => {
                let answer = self.astray(&other);
                self.tell(call, None, None, Some(&answer));
                return Reply {
                    answer: Some(answer),
                    after: latency,
                };
            }
        };
        *self.counts.entry(operation).or_default() += 1;
        let strike = self.faults.strike(operation, call);
        let slow = match &strike {
            Some(Strike::Slow { millis }) => Duration::from_millis(*millis),
            _ => Duration::ZERO,
        };
        let after = latency + slow;
        let answer = self.struck(call, operation, &id, strike.as_ref(), now, millis(after));
        let answer = if self.commit(now) {
            answer
        } else {
            Some(self.lost_file())
        };
        let answer = answer.map(|answer| self.tell_limit(answer));
        self.record(call, operation, answer.as_ref());
        self.tell(call, Some(operation), strike.as_ref(), answer.as_ref());
        Reply { answer, after }
    }

    /// Names the limit that the request was counted against, if it was.
    fn tell_limit(&mut self, mut answer: Response) -> Response {
        if let Some(left) = self.left.take().filter(|_| self.settings.limit_headers) {
            let Left { limit, left, reset } = left;
            let told = [
                ("limit", u64::from(limit)),
                ("remaining", left.into()),
                ("reset", reset),
            ];
            let told = told.map(|(name, value)| (format!("x-ratelimit-{name}"), value.to_string()));
            answer.headers.extend(told);
        }
        answer
    }

    /// Adds an exchange to their file, if there is one. A file that cannot be
    /// written is given up: what it lacks will be missed by who reads it.
    fn tell(
        &mut self,
        call: &Call,
        operation: Option<Operation>,
        strike: Option<&Strike>,
        answer: Option<&Response>,
    ) {
        let Some(exchanges) = &mut self.exchanges else {
            return;
        };
        if exchanges.add(call, operation, strike, answer).is_err() {
            self.exchanges = None;
        }
    }

    /// Carries a request out as far as what befalls it allows. `None` is no
    /// answer at all. `delay` is how long the answer will take, in
    /// milliseconds: until then the idempotency key is in progress.
    fn struck(
        &mut self,
        call: &Call,
        operation: Operation,
        id: &str,
        strike: Option<&Strike>,
        now: u64,
        delay: u64,
    ) -> Option<Response> {
        if let Some(answer) = strike.and_then(instead) {
            return Some(answer);
        }
        let mut course = Course {
            twist: Twist::default(),
            delay,
            acts: true,
            refused: None,
            unfinished: false,
        };
        match strike {
            Some(Strike::ResetBefore) => return None,
            Some(Strike::Stale { seconds }) => course.twist.stale = seconds.saturating_mul(1_000),
            Some(Strike::PageSkips { entries }) => course.twist.shift = Shift::Skip(*entries),
            Some(Strike::PageRepeats { entries }) => course.twist.shift = Shift::Repeat(*entries),
            Some(Strike::PageGrows) => course.twist.grows = true,
            Some(Strike::Refused { status }) => course.refused = Some(*status),
            Some(Strike::FileFails) => course.twist.fate = Fate::Failed,
            Some(Strike::FileStalls) => course.twist.fate = Fate::Stalled,
            Some(Strike::UrlExpires) => course.twist.expired = true,
            Some(Strike::Late { .. }) => (course.acts, course.unfinished) = (false, true),
            Some(Strike::DiesInProgress { acts }) => {
                (course.acts, course.unfinished) = (*acts, true);
            }
            _ => {}
        }
        let (mut answer, slot) = match self.serve(call, operation, id, &course, now) {
            Ok(served) => served,
            // Who was not let in, or was answered before, is not held back.
            Err(answer) if matches!(strike, Some(Strike::Late { .. })) => return Some(answer),
            Err(answer) => (answer, None),
        };
        match strike {
            Some(Strike::ResetAfter | Strike::DiesInProgress { .. }) => None,
            Some(Strike::Late { millis }) => {
                let (due, call) = (now + millis, call.clone());
                self.held.push(Held { due, call, slot });
                None
            }
            Some(Strike::AnswerAfter { status }) => {
                answer.status = *status;
                answer.body = failure(*status).to_string().into();
                Some(answer)
            }
            Some(Strike::Truncated) => {
                let half = answer.body.len() / 2;
                answer.body.truncate(half);
                Some(answer)
            }
            _ => Some(answer),
        }
    }

    /// Lets a request in and carries it out. `Err` is the answer of one that
    /// was not let in, or was answered before.
    fn serve(
        &mut self,
        call: &Call,
        operation: Operation,
        id: &str,
        course: &Course,
        now: u64,
    ) -> Result<(Response, Option<Slot>), Response> {
        if operation == Operation::UploadFile {
            let answer = if let Some(status) = course.refused {
                storage::error(status, "AccessDenied", "Refused")
            } else if course.acts {
                self.upload(call, &course.twist, now)
            } else {
                self.error(operation, &Refusal::internal("Not carried out"))
            };
            return Ok((answer, None));
        }
        let admitted = match self.admit(call, operation, now) {
            Ok(admitted) => admitted,
            Err(refusal) => return Err(self.error(operation, &refusal)),
        };
        let slot = match self.meet(call, &admitted, now) {
            Ok(None) => None,
            Ok(Some(Met::New { slot, request })) => Some(Slot {
                slot,
                request,
                at: now,
            }),
            Ok(Some(Met::Replay(status, body))) => {
                let mut answer = self.json(status, body.into());
                let replayed = ("idempotent-replayed".to_owned(), "true".to_owned());
                answer.headers.push(replayed);
                return Err(answer);
            }
            Err(refusal) => return Err(self.error(operation, &refusal)),
        };
        let answer = if let Some(status) = course.refused {
            self.json(status, failure(status).to_string())
        } else if course.acts {
            let (status, body) = self.act(call, operation, id, &admitted, &course.twist, now);
            self.json(status, body.to_string())
        } else {
            self.error(operation, &Refusal::internal("Not carried out"))
        };
        let text = String::from_utf8_lossy(&answer.body);
        let remembered = (!course.unfinished).then(|| (answer.status, text.into()));
        self.remember(slot, remembered, now + course.delay);
        Ok((answer, slot))
    }

    /// Carries out the requests that were held back until now, at the moment
    /// each was due. Nobody hears their answers; they are only remembered.
    pub(super) fn catch_up(&mut self, now: u64) {
        self.held.sort_by_key(|held| held.due);
        while self.held.first().is_some_and(|held| held.due <= now) {
            let Held { due, call, slot } = self.held.remove(0);
            let twist = Twist::default();
            match route(&call.method, call.bare_path()) {
                Route::Storage { .. } => {
                    self.upload(&call, &twist, due);
                }
                Route::Api(operation, id) => {
                    // It was let in and counted when it came.
                    let Ok(caller) = self.caller(&call) else {
                        continue;
                    };
                    let Ok(version) = self.version(&call, &caller) else {
                        continue;
                    };
                    let admitted = Admitted { caller, version };
                    let (status, body) = self.act(&call, operation, &id, &admitted, &twist, due);
                    self.remember(slot, Some((status, body.to_string().into())), due);
                }
                _ => {}
            }
            self.commit(now);
        }
    }

    /// Who asks, or 401.
    fn caller(&self, call: &Call) -> Result<Caller, Refusal> {
        let platform = self.settings.platform.as_deref();
        Caller::of(call, &self.settings.keys, platform)
    }

    /// The version that serves a request: its header's, else the key's, else the
    /// stable one ([versions](crate::whop_api#versions)). One that is newer than the server is
    /// unknown to it.
    fn version(&self, call: &Call, caller: &Caller) -> Result<Version, Refusal> {
        let newest = self.settings.newest.as_deref();
        let newest = newest.and_then(Version::parse).unwrap_or(Version::NEWEST);
        let label = call.header("api-version-date").or(caller.version.as_deref());
        let Some(label) = label else {
            return Ok(Version::STABLE);
        };
        let known = Version::parse(label).filter(|version| *version <= newest);
        known.ok_or_else(|| {
            let supported = newest.supported();
            Refusal::invalid(format!(
                "Unknown Api-Version-Date. Supported versions: {supported}"
            ))
        })
    }

    /// Key, version and limit, in this order: without a key there is nobody to
    /// count against, and what is refused here is never remembered under an
    /// idempotency key.
    fn admit(&mut self, call: &Call, operation: Operation, now: u64) -> Result<Admitted, Refusal> {
        let caller = match operation {
            // Profiles are public.
            Operation::RetrieveUser if call.header("authorization").is_none() => Caller::anybody(),
            _ => self.caller(call)?,
        };
        let version = self.version(call, &caller)?;
        let Settings { rate, window, .. } = self.settings;
        let taken = self.limits.take(&caller.credential, operation, rate, window, now);
        self.left = taken.unwrap_or_else(Some);
        taken.map_err(|left| Refusal::limited(left.reset))?;
        Ok(Admitted { caller, version })
    }

    /// Looks up the idempotency key, where the request has one that counts:
    /// only on POST, and not in the legacy version.
    fn meet(&mut self, call: &Call, admitted: &Admitted, now: u64) -> Result<Option<Met>, Refusal> {
        let key = call.header("idempotency-key");
        let key = key.filter(|_| call.method == "POST" && !admitted.version.is_legacy());
        let Some(key) = key else {
            return Ok(None);
        };
        let request: [&[u8]; 4] = [
            call.method.as_bytes(),
            call.path.as_bytes(),
            &call.body,
            admitted.version.label().as_bytes(),
        ];
        let credential = &admitted.caller.credential;
        self.world.memory.meet(credential, key, &request, now).map(Some)
    }

    /// Remembers the answer of a POST, or (`None`) that it has none yet. It goes
    /// into the same line of the state file as what the POST did.
    fn remember(&mut self, slot: Option<Slot>, answer: Option<(u16, Box<str>)>, answered_at: u64) {
        let Some(Slot { slot, request, at }) = slot else {
            return;
        };
        self.world.change(Effect::Remembered(Remembered {
            slot,
            request,
            at,
            answered_at,
            answer,
        }));
    }

    /// Carries out an operation that was let in.
    fn act(
        &mut self,
        call: &Call,
        operation: Operation,
        id: &str,
        admitted: &Admitted,
        twist: &Twist,
        now: u64,
    ) -> (u16, Value) {
        let query = Query::parse(call.raw_query());
        let body = match call.method.as_str() {
            "POST" | "PATCH" => Fields::read(call),
            _ => Ok(Fields::default()),
        };
        let needed = needs_platform(operation);
        let mention = mention(operation, id, &query, &body);
        let platform = platform_of(&mut self.world, &admitted.caller, mention, needed, now);
        let ask = Ask {
            operation,
            id,
            query: &query,
            body,
            caller: &admitted.caller,
            platform,
            look: Look {
                origin: &call.origin,
                version: admitted.version,
                documented: self.settings.documented,
                now,
                serial: self.serial,
            },
            settings: &self.settings,
            twist,
        };
        let answer = match carry_out(&mut self.world, &ask) {
            Ok(answer) => (answer.status, answer.body),
            Err(refusal) => {
                let old = operation.has_old_errors();
                (refusal.status, refusal.body_as(old, self.settings.documented))
            }
        };
        if let (true, Some(platform)) = (twist.grows, platform) {
            let email = format!("passer-by-{}@example.com", self.serial);
            let new = NewAccount {
                email: Some(email),
                ..NewAccount::default()
            };
            make(&mut self.world, platform, new, now, self.settings.documented);
        }
        answer
    }

    /// Hands bytes to the storage. No key, no limit and no version there.
    fn upload(&mut self, call: &Call, twist: &Twist, now: u64) -> Response {
        let Route::Storage { file, part } = route(&call.method, call.bare_path()) else {
            return storage::error(404, "NoSuchKey", "No such file");
        };
        let file = file.as_str();
        let upload = Upload {
            call,
            file,
            part,
            now,
            twist,
        };
        storage::put(&mut self.world, &self.settings, &upload)
    }

    /// Writes down what changed. Returns whether memory and file agree.
    pub(super) fn commit(&mut self, now: u64) -> bool {
        if let (Some(line), Some(log)) = (self.world.take_line(now), &mut self.log) {
            self.broken |= log.append(&line).is_err();
        }
        !self.broken
    }

    /// The answer to everything once the state file has failed: going on in
    /// memory alone would promise what a restart breaks.
    fn lost_file(&self) -> Response {
        let refusal = Refusal::internal("The emulator's state file cannot be written");
        self.error(Operation::ListAccounts, &refusal)
    }

    /// Keeps the request for tests, where they asked for it.
    fn record(&mut self, call: &Call, operation: Operation, answer: Option<&Response>) {
        if !self.settings.record {
            return;
        }
        let header = |name: &str| call.header(name).map(str::to_owned);
        let uploads = operation == Operation::UploadFile;
        self.seen.push(Seen {
            operation,
            method: call.method.clone(),
            path: call.path.clone(),
            version: header("api-version-date"),
            idempotency_key: header("idempotency-key"),
            body: if uploads { Bytes::new() } else { call.body.clone() },
            status: answer.map(|answer| answer.status),
        });
    }

    /// The answer to a path or method that does not exist.
    fn astray(&self, route: &Route) -> Response {
        let mut refusal = Refusal::not_found();
        let Route::WrongMethod(methods) = route else {
            return self.error(Operation::ListAccounts, &refusal);
        };
        refusal.status = 405;
        refusal.kind = BAD;
        "This path does not have this method".clone_into(&mut refusal.message);
        let mut answer = self.error(Operation::ListAccounts, &refusal);
        let allow = ("allow".to_owned(), (*methods).to_owned());
        answer.headers.push(allow);
        answer
    }

    /// An error answer in the shape of the operation's generation.
    fn error(&self, operation: Operation, refusal: &Refusal) -> Response {
        let old = operation.has_old_errors();
        let body = refusal.body_as(old, self.settings.documented).to_string();
        let mut answer = self.json(refusal.status, body);
        let header = match refusal.status {
            401 => Some(("www-authenticate", "Bearer".to_owned())),
            429 if self.settings.retry_after => {
                let digits = refusal.message.chars().filter(char::is_ascii_digit);
                Some(("retry-after", digits.collect()))
            }
            _ => None,
        };
        if let Some((name, value)) = header {
            answer.headers.push((name.to_owned(), value));
        }
        answer
    }

    /// A JSON answer with an id of its own.
    fn json(&self, status: u16, body: String) -> Response {
        let mut headers = request_ids(self.serial, self.settings.documented);
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        Response {
            status,
            headers,
            body: body.into(),
        }
    }
}
