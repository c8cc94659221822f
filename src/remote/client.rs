//! The way of every request: leave to send it, sending, judging the answer,
//! and trying again. What is asked and what comes back is the subject of the
//! files beside this one.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, watch};
use tracing::debug;

use super::budget::{Budget, Slot};
use super::error::{Asked, CallError, CallErrorKind, Effect};
use super::operation::Operation;
use super::retry::{self, Met, Next, Repeat};
use super::transport::{Lost, Method, Request, Response, Target, Transport};
use super::version::Version;
use crate::core::model::Dialect;
use crate::core::value::PlatformId;

/// What the client introduces itself as.
const USER_AGENT: &str = concat!("whop-sync/", env!("CARGO_PKG_VERSION"));

/// How the client uses Whop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Requests a minute of each operation; `None` is unlimited, for servers
    /// that have no limit. Whop's is 600 (`whop-api.md` §8).
    pub per_minute: Option<NonZeroU32>,
    /// The most requests in flight at once, over all operations; at least 1.
    pub in_flight: usize,
    /// How often one call is sent at most when it meets faults. Limits are
    /// waited out besides.
    pub attempts: u32,
    /// Where the randomness of waits begins.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            per_minute: NonZeroU32::new(600),
            in_flight: 64,
            attempts: 6,
            seed: 0,
        }
    }
}

/// Whop's API for one platform. Clones share everything.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    transport: Arc<dyn Transport>,
    version: Version,
    platform: PlatformId,
    attempts: u32,
    /// By operation, like `sent`.
    budgets: [Arc<Budget>; Operation::ALL.len()],
    /// Closed by [`Client::stop`].
    places: Arc<Semaphore>,
    stopped: watch::Sender<bool>,
    sent: [AtomicU64; Operation::ALL.len()],
    limited: AtomicU64,
    randomness: AtomicU64,
    /// Whether Whop has ever answered well to `version`.
    version_proven: AtomicBool,
}

/// Leave to send one request of an operation. Dropping it unused costs one
/// request's worth of the budget.
#[must_use = "dropping a permit gives the leave back unused"]
pub struct Permit {
    operation: Operation,
    slot: Slot,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({:?})", self.operation)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("version", &self.0.version)
            .field("platform", &self.0.platform)
            .finish_non_exhaustive()
    }
}

/// One call, fixed to the byte: every attempt sends the same.
pub(super) struct Call<'a> {
    pub(super) operation: Operation,
    pub(super) version: &'a Version,
    pub(super) repeat: Repeat,
    pub(super) request: Request,
}

impl Call<'_> {
    /// Whether the server remembers the idempotency key, so that a later
    /// answer speaks for the earlier attempts too (`whop-api.md` §7).
    fn is_keyed(&self) -> bool {
        self.request.method == Method::Post && self.version.dialect() == Dialect::Accounts
    }
}

impl Client {
    /// A client for the users of `platform`. Sends nothing yet.
    pub fn new(
        transport: Arc<dyn Transport>,
        version: Version,
        platform: PlatformId,
        options: Options,
    ) -> Self {
        let budget =
            |operation: Operation| Budget::new(options.per_minute.filter(|_| operation.is_counted()));
        Self(Arc::new(Inner {
            transport,
            version,
            platform,
            attempts: options.attempts,
            budgets: Operation::ALL.map(budget),
            places: Arc::new(Semaphore::new(options.in_flight.clamp(1, Semaphore::MAX_PERMITS))),
            stopped: watch::Sender::new(false),
            sent: Default::default(),
            limited: AtomicU64::new(0),
            randomness: AtomicU64::new(options.seed),
            version_proven: AtomicBool::new(false),
        }))
    }

    /// The API version spoken.
    pub fn version(&self) -> &Version {
        &self.0.version
    }

    /// The generation of the API spoken.
    pub fn dialect(&self) -> Dialect {
        self.0.version.dialect()
    }

    /// The platform's own account.
    pub fn platform(&self) -> &PlatformId {
        &self.0.platform
    }

    /// Sends nothing new from now on, for good. Requests that are on the wire
    /// finish; callers that wait for a budget or for another attempt get
    /// [`CallErrorKind::Stopped`].
    pub fn stop(&self) {
        self.0.stopped.send_replace(true);
        self.0.places.close();
    }

    /// Requests sent so far, retries included, by the operation's name.
    /// Operations that were never used are left out.
    pub fn requests(&self) -> BTreeMap<&'static str, u64> {
        let name = |operation: Operation| operation.name(self.dialect());
        Operation::ALL
            .into_iter()
            .zip(&self.0.sent)
            .map(|(operation, sent)| (name(operation), sent.load(Ordering::Relaxed)))
            .filter(|(_, sent)| *sent > 0)
            .collect()
    }

    /// Answers so far that said the limit was exceeded (429).
    pub fn refused_by_limit(&self) -> u64 {
        self.0.limited.load(Ordering::Relaxed)
    }

    /// Waits for leave to send one request of this operation: for its budget,
    /// and for a place among those in flight. Callers of one operation are
    /// served in order.
    ///
    /// A journaled call takes its permit before it is written down as begun,
    /// so that what is begun can go at once.
    ///
    /// # Errors
    /// [`CallErrorKind::Stopped`], and nothing else.
    pub async fn admit(&self, operation: Operation) -> Result<Permit, CallError> {
        let mut stopped = self.0.stopped.subscribe();
        let admitted = tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => None,
            slot = self.budget(operation).admit(&self.0.places) => slot,
        };
        match admitted {
            Some(slot) => Ok(Permit { operation, slot }),
            None => Err(self.asked(operation, &self.0.version, false).failed(
                CallErrorKind::Stopped,
                "stopped before it was sent",
                Effect::None,
            )),
        }
    }

    /// A request to the API with the headers that every one has.
    pub(super) fn request(&self, method: Method, path: String, body: Option<Bytes>) -> Request {
        self.request_in(&self.0.version, method, path, body)
    }

    /// Like [`Client::request`], for a call prepared in another version.
    pub(super) fn request_in(
        &self,
        version: &Version,
        method: Method,
        path: String,
        body: Option<Bytes>,
    ) -> Request {
        let mut headers = vec![
            header("api-version-date", version.as_str()),
            header("accept", "application/json"),
            header("user-agent", USER_AGENT),
        ];
        if body.is_some() {
            headers.push(header("content-type", "application/json"));
        }
        Request {
            method,
            target: Target::Api(path),
            headers,
            body: body.unwrap_or_default(),
        }
    }

    /// A call in the client's own version that may be repeated.
    pub(super) fn repeatable(&self, operation: Operation, request: Request) -> Call<'_> {
        Call {
            operation,
            version: &self.0.version,
            repeat: Repeat::Safe,
            request,
        }
    }

    /// What errors of a call will say about it.
    pub(super) fn about<'a>(&'a self, call: &Call<'a>) -> Asked<'a> {
        self.asked(call.operation, call.version, call.request.method == Method::Get)
    }

    /// Like [`Client::about`], before there is a call.
    pub(super) fn asked<'a>(&self, operation: Operation, version: &'a Version, reads: bool) -> Asked<'a> {
        Asked {
            operation: operation.name(version.dialect()),
            reads,
            version: version.as_str(),
            version_proven: *version == self.0.version && self.0.version_proven.load(Ordering::Relaxed),
        }
    }

    /// Calls and reads the answer's JSON.
    pub(super) async fn fetch<T: DeserializeOwned>(
        &self,
        permit: Option<Permit>,
        call: &Call<'_>,
    ) -> Result<T, CallError> {
        let answer = self.call(permit, call).await?;
        serde_json::from_slice(&answer.body).map_err(|why| {
            self.about(call)
                .malformed(&answer, &format!("the answer is not as documented: {why}"))
        })
    }

    /// Sends until an answer is final; `Ok` is a 2xx. The permit serves the
    /// first attempt; a call without one waits for leave like all others.
    pub(super) async fn call(&self, permit: Option<Permit>, call: &Call<'_>) -> Result<Response, CallError> {
        let mut permit = permit.filter(|permit| permit.operation == call.operation);
        let mut met = Met::default();
        let mut doubt = Effect::None;
        let mut last = None;
        loop {
            let Ok(leave) = self.leave(permit.take(), call.operation).await else {
                return Err(self.stopped(call, last, doubt));
            };
            let (mut failure, answer) = match self.send(leave, call).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            if failure.effect == Effect::Unknown {
                doubt = Effect::Unknown;
            } else if failure.settles() && call.is_keyed() {
                doubt = Effect::None;
            }
            failure.effect = doubt;
            met.count(failure.kind);
            let next = retry::next(
                &failure,
                answer.as_ref(),
                met,
                self.0.attempts,
                call.repeat,
                self.jitter(),
            );
            debug!(operation = failure.operation, met = ?met, next = ?next, "attempt failed");
            match next {
                Next::Stop => return Err(failure),
                Next::Pause(time) => self.budget(call.operation).pause(time),
                Next::Wait(time) => self.wait(time).await,
            }
            last = Some(failure);
        }
    }

    /// Leave for the next attempt. A permit taken before a pause came up is
    /// given back: the pause concerns everybody.
    async fn leave(&self, permit: Option<Permit>, operation: Operation) -> Result<Permit, CallError> {
        let leave = match permit {
            Some(permit) if !self.budget(operation).is_paused() => permit,
            unusable => {
                drop(unusable);
                self.admit(operation).await?
            }
        };
        if *self.0.stopped.borrow() {
            // Says the same as waiting would have.
            return self.admit(operation).await;
        }
        Ok(leave)
    }

    /// One attempt.
    async fn send(&self, leave: Permit, call: &Call<'_>) -> Result<Response, (CallError, Option<Response>)> {
        let about = self.about(call);
        self.0.sent[call.operation as usize].fetch_add(1, Ordering::Relaxed);
        let outcome = self.0.transport.send(call.request.clone()).await;
        drop(leave.slot);
        log(about.operation, &outcome);
        let mut answer = outcome.map_err(|lost| (about.lost(&lost), None))?;
        if answer.status == 429 {
            self.0.limited.fetch_add(1, Ordering::Relaxed);
        }
        let of_whop = matches!(call.request.target, Target::Api(_));
        if (200..300).contains(&answer.status) {
            if of_whop && *call.version == self.0.version {
                self.0.version_proven.store(true, Ordering::Relaxed);
            }
            return Ok(answer);
        }
        if !of_whop {
            // Storage explains refusals with the very signature it was sent.
            answer.body = Bytes::new();
        }
        Err((about.refused(&answer), Some(answer)))
    }

    /// The call was told to stop, after `last` if there was an attempt.
    fn stopped(&self, call: &Call<'_>, last: Option<CallError>, doubt: Effect) -> CallError {
        let about = self.about(call);
        match last {
            None => about.failed(CallErrorKind::Stopped, "stopped before it was sent", Effect::None),
            Some(last) => CallError {
                kind: CallErrorKind::Stopped,
                message: format!("stopped before another attempt, after: {}", last.message),
                effect: doubt,
                ..last
            },
        }
    }

    /// Waits, but not beyond a stop.
    async fn wait(&self, time: Duration) {
        let mut stopped = self.0.stopped.subscribe();
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = tokio::time::sleep(time) => {}
        }
    }

    fn budget(&self, operation: Operation) -> &Arc<Budget> {
        &self.0.budgets[operation as usize]
    }

    /// The next number from 0 to 1 (splitmix64). Spreads waits; nothing
    /// secret hangs on it.
    fn jitter(&self) -> f64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.randomness.fetch_add(STEP, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A header, for lists of them.
pub(super) fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// What came of an attempt: never headers, bodies or URLs.
fn log(operation: &'static str, outcome: &Result<Response, Lost>) {
    match outcome {
        Ok(answer) => debug!(
            operation,
            status = answer.status,
            request_id = super::error::request_id(answer).as_deref(),
            "answered"
        ),
        Err(Lost::NotSent(_)) => debug!(operation, "not sent"),
        Err(Lost::NoAnswer(_)) => debug!(operation, "no answer"),
        Err(Lost::TooLarge(limit)) => debug!(operation, limit, "answer too large"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Script, answer, body_of, header_of, refusal, silence, unsent};
    use super::super::{Operation, ProfileUpdate};
    use super::*;
    use crate::core::model::PreparedCall;
    use crate::core::value::{DisplayName, UserId};

    const NEW: &str = "2026-10-15-1";
    const OLD: &str = "2025-01-01";
    const ACCOUNT: &str = r#"{"id":"biz_c1","owner":{"id":"user_a1"},"owner_user":{"id":"user_a1"}}"#;

    fn prepared(version: &str) -> PreparedCall {
        PreparedCall {
            version: version.to_owned(),
            idempotency_key: "k1".to_owned(),
            body: "{}".to_owned(),
        }
    }

    /// Sends a create that meets these answers.
    async fn create(
        version: &str,
        answers: Vec<Result<Response, Lost>>,
    ) -> (Arc<Script>, Result<(), CallError>) {
        let script = Script::of(answers);
        let client = script.client(version);
        let permit = client.admit(Operation::CreateAccount).await.unwrap();
        let outcome = client.create_account(permit, &prepared(version)).await;
        (script, outcome.map(drop))
    }

    #[tokio::test(start_paused = true)]
    async fn every_request_names_version_and_program_and_the_key_is_not_its_business() {
        let (script, outcome) = create(NEW, vec![answer(201, ACCOUNT)]).await;
        assert_eq!(outcome, Ok(()));
        let request = &script.seen()[0];
        let expected = [
            ("api-version-date", NEW),
            ("accept", "application/json"),
            ("user-agent", USER_AGENT),
            ("content-type", "application/json"),
            ("idempotency-key", "k1"),
        ];
        assert_eq!(request.headers, expected.map(|(name, value)| header(name, value)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_failed_create_did() {
        use CallErrorKind as K;
        use Effect::{None as Nothing, Unknown};
        let forbidden = || refusal(403, "", "no");
        let busy = || refusal(409, "idempotency_request_in_progress", "still running");
        let limited = || refusal(429, "", "Try again in 1 second.");
        let many =
            |of: &dyn Fn() -> Result<Response, Lost>, count| (0..count).map(|_| of()).collect::<Vec<_>>();
        // Version, answers, and the outcome: requests, kind, effect.
        for (version, answers, sent, kind, effect) in [
            (NEW, vec![forbidden()], 1, K::Forbidden, Nothing),
            (NEW, vec![refusal(400, "", "bad email")], 1, K::Refused, Nothing),
            (NEW, many(&unsent, 6), 6, K::Network, Nothing),
            (NEW, many(&silence, 6), 6, K::Network, Unknown),
            (NEW, many(&|| refusal(500, "", "oops"), 6), 6, K::Server, Unknown),
            (NEW, many(&limited, 30), 30, K::RateLimited, Nothing),
            (NEW, many(&busy, 6), 6, K::InProgress, Unknown),
            (
                NEW,
                vec![refusal(400, "idempotency_key_mismatch", "x")],
                1,
                K::KeyMismatch,
                Unknown,
            ),
            (NEW, vec![answer(200, "<html>")], 1, K::Malformed, Unknown),
            (NEW, vec![Err(Lost::TooLarge(9))], 1, K::Malformed, Unknown),
            (NEW, vec![answer(302, "")], 1, K::Malformed, Unknown),
            // An answer under the same key speaks for the lost attempt too,
            (NEW, vec![silence(), forbidden()], 2, K::Forbidden, Nothing),
            (
                NEW,
                vec![silence(), busy(), refusal(409, "", "taken")],
                3,
                K::Conflict,
                Nothing,
            ),
            // unless it was given before the key was looked at.
            (
                NEW,
                vec![silence(), refusal(401, "", "no")],
                2,
                K::Unauthorized,
                Unknown,
            ),
            (
                NEW,
                [vec![silence()], many(&unsent, 5)].concat(),
                6,
                K::Network,
                Unknown,
            ),
            (
                NEW,
                [vec![silence()], many(&limited, 30)].concat(),
                31,
                K::RateLimited,
                Unknown,
            ),
            // Without a key that counts, nothing that may have happened is repeated.
            (OLD, vec![silence()], 1, K::Network, Unknown),
            (OLD, vec![refusal(502, "", "")], 1, K::Server, Unknown),
            (OLD, vec![unsent(), limited(), silence()], 3, K::Network, Unknown),
            (
                OLD,
                vec![unsent(), limited(), refusal(422, "", "no")],
                3,
                K::Refused,
                Nothing,
            ),
        ] {
            let shown = format!("{version} {answers:?}");
            let (script, outcome) = create(version, answers).await;
            let error = outcome.expect_err(&shown);
            assert_eq!((error.kind, error.effect), (kind, effect), "{shown}");
            assert_eq!(script.seen().len(), sent, "{shown}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_lost_and_then_refused_may_have_happened() {
        let script = Script::of([silence(), refusal(403, "", "no")]);
        let client = script.client(NEW);
        let user = UserId::parse("user_a1").unwrap();
        let name = DisplayName::parse("Ana").unwrap();
        let update = ProfileUpdate::new(client.platform(), &user, Some(&name), None).unwrap();
        let permit = client.admit(Operation::UpdateUser).await.unwrap();
        let error = client.update_profile(permit, &update).await.unwrap_err();
        assert_eq!(
            (error.kind, error.effect),
            (CallErrorKind::Forbidden, Effect::Unknown)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn every_attempt_sends_the_same_bytes() {
        let troubles = [
            silence(),
            refusal(503, "", ""),
            refusal(429, "", "Try again in 9 seconds."),
        ];
        let (script, outcome) = create(NEW, [&troubles[..], &[answer(200, ACCOUNT)]].concat()).await;
        assert_eq!(outcome, Ok(()));
        let seen = script.seen();
        assert_eq!(seen.len(), 4);
        assert!(seen.iter().all(|request| *request == seen[0]));
        assert_eq!(header_of(&seen[3], "idempotency-key"), Some("k1"));
        assert_eq!(body_of(&seen[3]), "{}");
        let times = script.times();
        assert_eq!(times[3] - times[2], Duration::from_secs(9));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_pauses_the_whole_operation_and_no_other() {
        // The first profile read meets the limit; everything else is fine.
        let script = Script::by(|nth, request| {
            let user = request.target == Target::Api(user_path(1));
            match (nth, user) {
                (0, true) => refusal(429, "", "Try again in 30 seconds."),
                (_, true) => answer(200, r#"{"id":"user_1"}"#),
                (_, false) => answer(200, r#"{"data":[],"page_info":{}}"#),
            }
        });
        let client = script.unlimited(NEW);
        let mut reads = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let client = client.clone();
            reads.spawn(async move { client.read_profile(&UserId::parse("user_1").unwrap()).await });
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.list_accounts().await.unwrap();
        assert!(reads.join_all().await.iter().all(Result::is_ok));
        let late = script
            .times()
            .into_iter()
            .filter(|t| *t >= Duration::from_secs(30));
        assert_eq!(client.refused_by_limit(), 1);
        assert_eq!(
            late.count(),
            10,
            "all but the first read, its repetition included"
        );
        let expected = BTreeMap::from([("list_accounts", 1), ("retrieve_user", 11)]);
        assert_eq!(client.requests(), expected);
    }

    fn user_path(n: u32) -> String {
        format!("/users/user_{n}?account_id=biz_p1")
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_taken_before_a_pause_waits_with_the_rest() {
        let script = Script::of([answer(201, ACCOUNT)]);
        let client = script.client(NEW);
        let permit = client.admit(Operation::CreateAccount).await.unwrap();
        client
            .budget(Operation::CreateAccount)
            .pause(Duration::from_secs(20));
        client.create_account(permit, &prepared(NEW)).await.unwrap();
        assert_eq!(script.times(), [Duration::from_secs(20)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_reads_take_their_floor_and_not_more() {
        let script = Script::slowly(Duration::from_millis(150), |_, request| {
            let id = super::super::script::line(request).replace("GET /users/", "");
            answer(200, format!(r#"{{"id":"{}"}}"#, id.split('?').next().unwrap()))
        });
        let client = script.client(NEW);
        let begin = tokio::time::Instant::now();
        let mut reads = tokio::task::JoinSet::new();
        for n in 0..1200 {
            let client = client.clone();
            reads.spawn(async move {
                client
                    .read_profile(&UserId::parse(&format!("user_{n}")).unwrap())
                    .await
            });
        }
        assert!(reads.join_all().await.iter().all(Result::is_ok));
        let took = begin.elapsed();
        assert!(took <= Duration::from_secs(121), "{took:?}");
        let times = script.times();
        for first in 0..times.len() {
            let within = times[first..]
                .iter()
                .take_while(|t| **t < times[first] + Duration::from_secs(60));
            assert!(within.count() <= 600);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn operations_share_the_places_and_nothing_else() {
        let script = Script::slowly(Duration::from_secs(1), |_, _| answer(200, r#"{"id":"user_1"}"#));
        let options = Options {
            per_minute: None,
            in_flight: 2,
            ..Options::default()
        };
        let client = script.client_with(NEW, options);
        let mut reads = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let client = client.clone();
            reads.spawn(async move { client.read_profile(&UserId::parse("user_1").unwrap()).await });
        }
        reads.join_all().await;
        let seconds: Vec<_> = script.times().iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [0, 0, 1, 1, 2, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_stop_nothing_new_is_sent() {
        let script = Script::slowly(Duration::from_secs(5), |_, _| silence());
        let client = script.client(NEW);
        let unused = client.admit(Operation::CreateAccount).await.unwrap();
        let running = tokio::spawn({
            let client = client.clone();
            async move {
                let permit = client.admit(Operation::CreateAccount).await?;
                client.create_account(permit, &prepared(NEW)).await
            }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.stop();
        // The request on the wire ends, and is not repeated.
        let error = running.await.unwrap().unwrap_err();
        assert_eq!(
            (error.kind, error.effect),
            (CallErrorKind::Stopped, Effect::Unknown)
        );
        assert!(error.message.contains("cut"), "{error}");
        // A permit that was given before serves no more.
        let error = client.create_account(unused, &prepared(NEW)).await.unwrap_err();
        assert_eq!((error.kind, error.effect), (CallErrorKind::Stopped, Effect::None));
        let error = client.admit(Operation::ListAccounts).await.unwrap_err();
        assert_eq!(
            (error.kind, error.operation),
            (CallErrorKind::Stopped, "list_accounts")
        );
        assert_eq!(script.seen().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_waiting_for_budget_place_and_retry() {
        let script = Script::by(|_, _| unsent());
        let options = Options {
            per_minute: NonZeroU32::new(1),
            in_flight: 1,
            ..Options::default()
        };
        let client = script.client_with(NEW, options);
        let held = client.admit(Operation::CreateFile).await.unwrap();
        let waits = |operation| {
            let client = client.clone();
            tokio::spawn(async move { client.admit(operation).await.map(drop) })
        };
        let (budget, place) = (waits(Operation::CreateFile), waits(Operation::ListFiles));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let begin = tokio::time::Instant::now();
        client.stop();
        for waiting in [budget, place] {
            assert_eq!(waiting.await.unwrap().unwrap_err().kind, CallErrorKind::Stopped);
        }
        assert!(begin.elapsed().is_zero());
        drop(held);
    }

    #[tokio::test(start_paused = true)]
    async fn a_version_is_blamed_at_first_but_not_once_it_has_worked() {
        let told = || refusal(400, "", "Unknown Api-Version-Date");
        let fine = || answer(200, r#"{"data":[],"page_info":{}}"#);
        let script = Script::of([told(), fine(), told()]);
        let client = script.client(NEW);
        let mut kinds = Vec::new();
        for _ in 0..3 {
            kinds.push(client.list_accounts().await.map(drop).map_err(|error| error.kind));
        }
        let expected = [
            Err(CallErrorKind::UnknownVersion),
            Ok(()),
            Err(CallErrorKind::Refused),
        ];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn jitter_is_spread_and_repeats_with_its_seed() {
        let draws = |seed| {
            let script = Script::by(|_, _| silence());
            let client = script.client_with(
                NEW,
                Options {
                    seed,
                    ..Options::default()
                },
            );
            (0..1000).map(|_| client.jitter()).collect::<Vec<_>>()
        };
        let some = draws(7);
        assert_eq!(some, draws(7));
        assert_ne!(some, draws(8));
        assert!(some.iter().all(|x| (0.0..1.0).contains(x)));
        let low = some.iter().filter(|x| **x < 0.5).count();
        assert!((400..600).contains(&low), "{low}");
    }
}
