//! The client: its settings, its counters, and the permits that requests need.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::budget::{Budget, BudgetPermit};
use super::error::{CallError, CallErrorKind, Effect};
use super::limit::LimitSignal;
use super::operation::Operation;
use super::transport::{Request, Response, Target, Transport, TransportError};
use super::version::Version;
use crate::core::model::Dialect;
use crate::core::value::PlatformId;

/// How the client uses Whop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Requests per minute for each operation; `None` for servers without a
    /// limit. Whop's limit is 600 ([errors and
    /// limits](crate::whop_api#errors-and-limits)).
    pub per_minute: Option<NonZeroU32>,
    /// The most requests in flight, over all operations; at least 1. To use a
    /// limit of `r` requests a second, each busy operation needs `r` × latency
    /// in flight.
    pub in_flight: usize,
    /// How many times a call is sent at most if it fails. Waiting for a limit
    /// does not count.
    pub attempts: u32,
    /// The seed of the randomness in waits.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            per_minute: NonZeroU32::new(600),
            in_flight: 128,
            attempts: 6,
            seed: 0,
        }
    }
}

/// Whop's API for one platform. Clones share everything but their rank.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// The order among callers that wait for one operation's budget.
    rank: usize,
}

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
    /// Whether Whop has ever accepted `version`.
    version_proven: AtomicBool,
    /// When the client was created.
    made: Instant,
    /// Whop's clock at that time, in milliseconds since 1970, from its answers;
    /// 0 if unknown. Answers give whole seconds and take time to arrive, so the
    /// latest estimate is the closest.
    server_then: AtomicU64,
    gauges: Gauges,
}

/// What callers wait for at one moment, in calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// A permit: for the operation's budget, a pause that Whop asked for, or a
    /// place among the requests in flight.
    pub for_leave: u64,
    /// An answer.
    pub for_answers: u64,
    /// The next attempt after a failure.
    pub for_retries: u64,
}

/// How many callers are in each state.
#[derive(Default)]
struct Gauges {
    permit: AtomicU64,
    answers: AtomicU64,
    retries: AtomicU64,
}

/// Counts a caller while it exists: callers may be dropped while they wait.
struct GaugeGuard<'g>(&'g AtomicU64);

impl<'g> GaugeGuard<'g> {
    fn new(gauge: &'g AtomicU64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for GaugeGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Permission to send one request of an operation. Dropping it unused costs one
/// request's worth of the budget.
#[must_use = "dropping a permit wastes it"]
pub struct Permit {
    operation: Operation,
    slot: BudgetPermit,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({:?})", self.operation)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("version", &self.inner.version)
            .field("platform", &self.inner.platform)
            .finish_non_exhaustive()
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
        let inner = Inner {
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
            made: Instant::now(),
            server_then: AtomicU64::new(0),
            gauges: Gauges::default(),
        };
        Self {
            inner: Arc::new(inner),
            rank: 0,
        }
    }

    /// A client for calls that precede those of higher rank when both wait for
    /// the same operation's budget. Calls of equal rank, which is the default,
    /// are served in order of arrival.
    pub fn ranked(&self, rank: usize) -> Self {
        Self { rank, ..self.clone() }
    }

    /// The API version in use.
    pub fn version(&self) -> &Version {
        &self.inner.version
    }

    /// The API dialect in use.
    pub fn dialect(&self) -> Dialect {
        self.inner.version.dialect()
    }

    /// The platform's own account.
    pub fn platform(&self) -> &PlatformId {
        &self.inner.platform
    }

    /// Sends nothing new from now on, for good. Requests on the wire finish;
    /// callers that wait for a budget or a retry get
    /// [`CallErrorKind::Stopped`].
    pub fn stop(&self) {
        self.inner.stopped.send_replace(true);
        self.inner.places.close();
    }

    /// Requests sent so far, retries included, by the operation's name. Unused
    /// operations are left out.
    pub fn requests(&self) -> BTreeMap<&'static str, u64> {
        let name = |operation: Operation| operation.name(self.dialect());
        Operation::ALL
            .into_iter()
            .zip(&self.inner.sent)
            .map(|(operation, sent)| (name(operation), sent.load(Ordering::Relaxed)))
            .filter(|(_, sent)| *sent > 0)
            .collect()
    }

    /// Requests per second of this operation that are available to us, as far
    /// as is known; `None` means unlimited.
    pub fn per_second(&self, operation: Operation) -> Option<f64> {
        self.budget(operation).share().map(|share| share as f64 / 60.0)
    }

    /// How many answers refused a request because of the limit (429).
    pub fn refused_by_limit(&self) -> u64 {
        self.inner.limited.load(Ordering::Relaxed)
    }

    /// What callers wait for at this moment.
    pub fn waiting(&self) -> Waiting {
        let Gauges {
            permit,
            answers,
            retries,
        } = &self.inner.gauges;
        let read = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        Waiting {
            for_leave: read(permit),
            for_answers: read(answers),
            for_retries: read(retries),
        }
    }

    /// The time on Whop, in seconds since 1970, according to its answers;
    /// `None` before the first. Late by at most a second and an answer's
    /// latency.
    pub fn server_time(&self) -> Option<u64> {
        let then = Some(self.inner.server_then.load(Ordering::Relaxed)).filter(|then| *then > 0)?;
        Some(then.saturating_add(self.millis()) / 1000)
    }

    /// Milliseconds since the client was created.
    fn millis(&self) -> u64 {
        u64::try_from(self.inner.made.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits for a permit for one request of this operation: for its budget,
    /// and for a place among the requests in flight. Callers of one operation
    /// are served by rank, then in order of arrival.
    ///
    /// A journalled call takes its permit before it is recorded as begun, so
    /// that it can be sent immediately afterwards.
    ///
    /// # Errors
    /// Only [`CallErrorKind::Stopped`].
    pub async fn admit(&self, operation: Operation) -> Result<Permit, CallError> {
        let _waiting = GaugeGuard::new(&self.inner.gauges.permit);
        let mut stopped = self.inner.stopped.subscribe();
        let admitted = tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => None,
            slot = self.budget(operation).admit(&self.inner.places, self.rank) => slot,
        };
        match admitted {
            Some(slot) => Ok(Permit { operation, slot }),
            None => Err(self.asked(operation, &self.inner.version, false).failed(
                CallErrorKind::Stopped,
                "stopped before it was sent",
                Effect::None,
            )),
        }
    }

    /// How many times a call is sent at most if it fails.
    pub(super) fn attempts(&self) -> u32 {
        self.inner.attempts
    }

    /// Whether [`Client::stop`] was called.
    pub(super) fn is_stopped(&self) -> bool {
        *self.inner.stopped.borrow()
    }

    /// Whether Whop has ever accepted this version.
    pub(super) fn is_proven(&self, version: &Version) -> bool {
        *version == self.inner.version && self.inner.version_proven.load(Ordering::Relaxed)
    }

    /// Records that Whop accepted this version.
    pub(super) fn prove(&self, version: &Version) {
        if *version == self.inner.version {
            self.inner.version_proven.store(true, Ordering::Relaxed);
        }
    }

    /// A permit for the next attempt; uses the given one if it is still valid.
    /// One taken before a pause is returned, because the pause applies to
    /// everyone.
    pub(super) async fn permit(
        &self,
        permit: Option<Permit>,
        operation: Operation,
    ) -> Result<Permit, CallError> {
        let serves = |permit: &Permit| {
            permit.operation == operation && !self.budget(operation).is_paused() && !self.is_stopped()
        };
        match permit.filter(serves) {
            Some(permit) => Ok(permit),
            None => self.admit(operation).await,
        }
    }

    /// Sends one request and counts it. The permit ends with the answer.
    pub(super) async fn transmit(
        &self,
        permit: Permit,
        request: Request,
    ) -> Result<Response, TransportError> {
        self.inner.sent[permit.operation as usize].fetch_add(1, Ordering::Relaxed);
        // Storage and picture hosts have clocks of their own.
        let of_whop = matches!(request.target, Target::Api(_));
        let waiting = GaugeGuard::new(&self.inner.gauges.answers);
        let outcome = self.inner.transport.send(request).await;
        drop(waiting);
        match outcome.as_ref().ok().filter(|_| of_whop) {
            Some(answer) => permit.slot.answered(&LimitSignal::of(answer)),
            None => drop(permit.slot),
        }
        let date = outcome
            .as_ref()
            .ok()
            .filter(|_| of_whop)
            .and_then(|a| a.header("date"));
        if let Some(time) = date.and_then(super::date::seconds) {
            let then = time.saturating_mul(1000).saturating_sub(self.millis());
            self.inner.server_then.fetch_max(then, Ordering::Relaxed);
        }
        if outcome.as_ref().is_ok_and(|answer| answer.status == 429) {
            self.inner.limited.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    /// Waits, but not beyond a stop.
    pub(super) async fn wait(&self, time: Duration) {
        let _waiting = GaugeGuard::new(&self.inner.gauges.retries);
        let mut stopped = self.inner.stopped.subscribe();
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = tokio::time::sleep(time) => {}
        }
    }

    pub(super) fn budget(&self, operation: Operation) -> &Arc<Budget> {
        &self.inner.budgets[operation as usize]
    }

    /// The next number from 0 to 1 (splitmix64). It spreads waits and needs no
    /// secrecy.
    pub(super) fn jitter(&self) -> f64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.inner.randomness.fetch_add(STEP, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Script, answer, line, refusal, silence, unsent};
    use super::*;
    use crate::core::model::PreparedCall;
    use crate::core::value::UserId;

    const NEW: &str = "2026-10-15-1";

    #[tokio::test(start_paused = true)]
    async fn a_limit_pauses_the_whole_operation_and_no_other() {
        // The first profile read meets the limit; everything else succeeds.
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
        assert_eq!(late.count(), 10, "all but the first read, its retry included");
        let expected = BTreeMap::from([("list_accounts", 1), ("retrieve_user", 11)]);
        assert_eq!(client.requests(), expected);
    }

    fn user_path(n: u32) -> String {
        format!("/users/user_{n}?account_id=biz_p1")
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_taken_before_a_pause_waits_with_the_rest() {
        let script = Script::of([answer(201, r#"{"id":"biz_c1","owner":{"id":"user_a1"}}"#)]);
        let client = script.client(NEW);
        let permit = client.admit(Operation::CreateAccount).await.unwrap();
        client
            .budget(Operation::CreateAccount)
            .pause(Duration::from_secs(20));
        let call = PreparedCall {
            version: NEW.to_owned(),
            idempotency_key: "k1".to_owned(),
            body: "{}".to_owned(),
        };
        client.create_account(permit, &call).await.unwrap();
        assert_eq!(script.times(), [Duration::from_secs(20)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_reads_take_the_minimum_time() {
        let script = Script::slowly(Duration::from_millis(150), |_, request| {
            let id = line(request).replace("GET /users/", "");
            answer(200, format!(r#"{{"id":"{}"}}"#, id.split('?').next().unwrap()))
        });
        let client = script.client(NEW);
        let begin = Instant::now();
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
        let begin = Instant::now();
        client.stop();
        for waiting in [budget, place] {
            assert_eq!(waiting.await.unwrap().unwrap_err().kind, CallErrorKind::Stopped);
        }
        assert!(begin.elapsed().is_zero());
        drop(held);
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
