//! Limits how fast one operation may be called.
//!
//! Whop counts the requests per operation and key in a minute ([errors and
//! limits](crate::whop_api#errors-and-limits)). How its window moves is not
//! documented, and we cannot see when it counts a request: somewhere between
//! sending it and receiving the answer. Hence two rules; a request starts when
//! both allow it:
//!
//! * **Window.** A request takes a slot from its start until 60 seconds after
//!   its answer, and there are as many slots as Whop allows requests per
//!   minute. Suppose Whop counted more than that within 60 seconds. Take the
//!   one sent last: it was sent before it was counted, so less than 60 seconds
//!   after the first was counted; and none of the others was answered before
//!   that first count. So all of them held slots at that moment, which is
//!   impossible. The limit is therefore never exceeded, however slow the
//!   network. (Only a request whose answer we gave up on can be counted after
//!   its slot began to expire.)
//! * **Pace.** Requests start at an even rate, after a burst of at most
//!   [`BURST`](super::limit::BURST). This only spreads what the window allows,
//!   instead of sending a minute's worth at once. An even rate suits windows of
//!   every kind: sliding, fixed, or a bucket.
//!
//! So `n` requests need at most `n` ÷ rate, the minimum for any client, plus
//! one answer's time for each full minute: the pace is ahead of that minimum by
//! the burst, and the window lets a minute's worth through each minute. This
//! holds while callers are waiting here; `execute` makes sure that the
//! operation always has work.
//!
//! `limit.rs` describes how the number of slots is learnt from answers.
//!
//! Callers are served by rank, then in order of arrival: a user who comes first
//! in the plan comes first here, retries included, whichever task was faster.
//! Users who need several operations then get them at about the same time. One
//! caller at a time waits for the clock; the others wait for their turn.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::limit::{Limit, LimitSignal, WINDOW, WindowUse};
use super::turn_queue::PriorityQueue;

/// One operation's budget.
pub(super) struct Budget {
    /// The caller with the turn is next.
    line: Arc<PriorityQueue>,
    state: Mutex<State>,
    /// Wakes the caller with the turn when an answer has arrived: a slot began
    /// to expire, or the limit changed.
    ended: Notify,
}

struct State {
    /// `None` means unlimited.
    limit: Option<Limit>,
    /// Slots of requests that have no answer yet.
    open: usize,
    /// Requests answered in the last [`WINDOW`], oldest first.
    answered: VecDeque<Answered>,
    /// How many of them passed the limit.
    passed: usize,
    /// Whop asked not to be called before this time.
    paused_until: Option<Instant>,
}

/// A request whose slot is expiring.
#[derive(Clone, Copy)]
struct Answered {
    at: Instant,
    began: Instant,
    passed: bool,
}

/// When the next request may start.
enum Ready {
    /// Within our share, or as a trial beyond it.
    Now {
        trial: bool,
    },
    At(Instant),
    /// Once any request in flight has been answered.
    AfterAnAnswer,
}

/// Permission for one request. Dropping it means that no answer will come.
pub(super) struct BudgetPermit {
    budget: Arc<Budget>,
    /// Its place among the requests in flight, released with it.
    _place: OwnedSemaphorePermit,
    began: Instant,
    trial: bool,
    passed: bool,
}

impl Budget {
    /// A budget of this many requests a minute; `None` means unlimited.
    pub(super) fn new(per_minute: Option<NonZeroU32>) -> Arc<Self> {
        Arc::new(Self {
            line: Arc::default(),
            state: Mutex::new(State {
                limit: per_minute.map(|per_minute| Limit::new(per_minute.get(), Instant::now())),
                open: 0,
                answered: VecDeque::new(),
                passed: 0,
                paused_until: None,
            }),
            ended: Notify::new(),
        })
    }

    /// Waits for its turn, then for both rules, then for a place among the
    /// requests in flight; in this order, so that no caller holds a place while
    /// waiting for a rule. `None` once places are no longer given out. Dropping
    /// the future releases everything.
    pub(super) async fn admit(
        self: &Arc<Self>,
        places: &Arc<Semaphore>,
        rank: usize,
    ) -> Option<BudgetPermit> {
        // Kept until the permit is issued, so that no caller overtakes the one
        // that waits for the clock.
        let _turn = self.line.turn(rank).await;
        loop {
            self.ready().await;
            let place = Arc::clone(places).acquire_owned().await.ok()?;
            // A pause may have started while waiting for the place.
            if let Some((began, trial)) = self.take() {
                return Some(BudgetPermit {
                    budget: Arc::clone(self),
                    _place: place,
                    began,
                    trial,
                    passed: false,
                });
            }
        }
    }

    /// Pauses the operation for all callers, present and future. A longer pause
    /// that is in effect remains.
    pub(super) fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.state();
        state.paused_until = state.paused_until.max(Some(until));
    }

    /// Whether Whop has asked for a pause.
    pub(super) fn is_paused(&self) -> bool {
        self.state()
            .paused_until
            .is_some_and(|until| until > Instant::now())
    }

    /// The requests a minute that are available to us, as far as is known;
    /// `None` means unlimited.
    pub(super) fn share(&self) -> Option<usize> {
        self.state().limit.as_ref().map(Limit::share)
    }

    async fn ready(&self) {
        loop {
            let ready = self.state().ready(Instant::now());
            match ready {
                Ready::Now { .. } => return,
                // New information may allow it to go earlier.
                Ready::At(time) => tokio::select! {
                    biased;
                    () = tokio::time::sleep_until(time) => {}
                    () = self.ended.notified() => {}
                },
                Ready::AfterAnAnswer => self.ended.notified().await,
            }
        }
    }

    fn take(&self) -> Option<(Instant, bool)> {
        let now = Instant::now();
        let mut state = self.state();
        let Ready::Now { trial } = state.ready(now) else {
            return None;
        };
        state.open += 1;
        if let Some(limit) = &mut state.limit {
            limit.start(now, trial);
        }
        Some((now, trial))
    }

    /// Poisoning is ignored: every change of the state is complete before
    /// anything can panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ready(&mut self, now: Instant) -> Ready {
        self.forget(now);
        let paused = self.paused_until.filter(|until| *until > now);
        let Some(limit) = &self.limit else {
            return paused.map_or(Ready::Now { trial: false }, Ready::At);
        };
        // Requests without an answer keep their slot: when they were counted is
        // unknown.
        let is_full = self.open + self.answered.len() >= limit.share();
        let slot = match self.answered.front() {
            _ if !is_full => Some(now),
            Some(first) => Some(first.at + WINDOW),
            // Every slot is open, so only an answer can free one.
            None => None,
        };
        let ours = slot.map(|slot| Some(slot).max(limit.paced()).max(paused));
        let tried = limit
            .trial()
            .filter(|_| is_full)
            .map(|trial| Some(trial).max(paused));
        let is_due = |time: Option<Instant>| time.is_none_or(|time| time <= now);
        match (ours, tried) {
            (Some(ours), _) if is_due(ours) => Ready::Now { trial: false },
            (_, Some(tried)) if is_due(tried) => Ready::Now { trial: true },
            (None, None) => Ready::AfterAnAnswer,
            (ours, tried) => match ours.flatten().into_iter().chain(tried.flatten()).min() {
                Some(time) => Ready::At(time),
                None => Ready::AfterAnAnswer,
            },
        }
    }

    /// Removes expired slots.
    fn forget(&mut self, now: Instant) {
        while let Some(first) = self.answered.front().filter(|first| first.at + WINDOW <= now) {
            self.passed -= usize::from(first.passed);
            self.answered.pop_front();
        }
    }
}

impl BudgetPermit {
    /// The answer has arrived; `heard` is what it says about the limit.
    pub(super) fn answered(mut self, heard: &LimitSignal) {
        let now = Instant::now();
        self.passed = heard.passed;
        let mut guard = self.budget.state();
        guard.forget(now);
        let state = &mut *guard;
        let (answered, began) = (&state.answered, self.began);
        // Includes this request, which is recorded when it is dropped below.
        // Whop counted each after it started, so these are certainly in its
        // window.
        let own = usize::from(heard.passed);
        let recent = |time: Duration| {
            let is_recent = |began: Instant| began + time > now;
            let noted = answered
                .iter()
                .filter(|answer| answer.passed && is_recent(answer.began));
            noted.count() + if is_recent(began) { own } else { 0 }
        };
        let used = WindowUse {
            began,
            trial: self.trial,
            ours: state.passed + own,
            open: state.open - 1,
        };
        if let Some(limit) = &mut state.limit {
            limit.hear(heard, used, now, recent);
            // The next trial may start before this one is dropped.
            self.trial = false;
        }
    }
}

impl Drop for BudgetPermit {
    fn drop(&mut self) {
        let mut state = self.budget.state();
        state.open -= 1;
        if let Some(limit) = &mut state.limit {
            limit.lost(self.trial);
            state.answered.push_back(Answered {
                at: Instant::now(),
                began: self.began,
                passed: self.passed,
            });
            state.passed += usize::from(self.passed);
        }
        drop(state);
        self.budget.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::super::limit::BURST;
    use super::*;

    fn budget(per_minute: u32) -> Arc<Budget> {
        Budget::new(NonZeroU32::new(per_minute))
    }

    fn places(count: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(count))
    }

    /// Starts `count` requests as fast as the budget allows, each answered
    /// after `latency`, and returns their start times.
    async fn starts(
        budget: &Arc<Budget>,
        count: usize,
        latency: impl Fn(usize) -> Duration,
    ) -> Vec<Duration> {
        let places = places(1000);
        let begin = Instant::now();
        let mut times = Vec::new();
        for n in 0..count {
            let slot = budget.admit(&places, 0).await.expect("places are never closed");
            times.push(begin.elapsed());
            let answer = latency(n);
            tokio::spawn(async move {
                tokio::time::sleep(answer).await;
                drop(slot);
            });
        }
        times
    }

    /// The most of these within any half-open minute.
    fn most_in_a_minute(times: &[Duration]) -> usize {
        let mut sorted = times.to_vec();
        sorted.sort();
        (0..sorted.len())
            .map(|first| {
                sorted[first..]
                    .iter()
                    .take_while(|t| **t < sorted[first] + WINDOW)
                    .count()
            })
            .max()
            .unwrap_or(0)
    }

    #[tokio::test(start_paused = true)]
    async fn the_floor_is_reached_and_never_undercut() {
        for (rate, count) in [(600, 3000), (600, 100), (60, 400), (7, 40), (1, 4), (1200, 5000)] {
            let times = starts(&budget(rate), count, |_| Duration::ZERO).await;
            let most = most_in_a_minute(&times);
            assert!(most <= rate as usize, "{most} requests in a minute of {rate}");
            let floor = WINDOW.mul_f64(count as f64 / f64::from(rate));
            let last = times[count - 1];
            // Tokio's timers have a resolution of one millisecond.
            assert!(
                last <= floor + Duration::from_millis(10),
                "{count} at {rate}: {last:?} > {floor:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_holds_wherever_between_start_and_answer_whop_counts() {
        let latency = |n: usize| Duration::from_millis([10, 900, 35, 2500, 0, 120][n % 6]);
        let times = starts(&budget(600), 2500, latency).await;
        for share in [0.0, 0.3, 1.0] {
            let counted: Vec<_> = times
                .iter()
                .enumerate()
                .map(|(n, t)| *t + latency(n).mul_f64(share))
                .collect();
            assert!(most_in_a_minute(&counted) <= 600, "counted at {share} of the way");
        }
        // First requests open connections and are slow; later ones are not.
        let cold = |n: usize| Duration::from_millis(if n < 20 { 700 } else { 20 });
        let times = starts(&budget(600), 700, cold).await;
        let counted: Vec<_> = times.iter().enumerate().map(|(n, t)| *t + cold(n)).collect();
        assert!(most_in_a_minute(&counted) <= 600);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_small_and_the_pace_even() {
        let times = starts(&budget(600), 30, |_| Duration::ZERO).await;
        let at_once = times.iter().filter(|t| t.is_zero()).count();
        assert_eq!(at_once, BURST as usize);
        assert_eq!(times[29], Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn first_come_first_served_whatever_comes_between() {
        let budget = budget(60);
        let places = places(1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..100 {
            let (budget, places, order) = (Arc::clone(&budget), Arc::clone(&places), Arc::clone(&order));
            tasks.spawn(async move {
                let slot = budget.admit(&places, 0).await;
                order.lock().unwrap().push(n);
                drop(slot);
            });
            tokio::task::yield_now().await;
        }
        tasks.join_all().await;
        assert!(order.lock().unwrap().is_sorted());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_all_callers_and_only_grows() {
        let budget = budget(600);
        budget.pause(Duration::from_secs(7));
        budget.pause(Duration::from_secs(2));
        assert!(budget.is_paused());
        let times = starts(&budget, 3, |_| Duration::ZERO).await;
        assert!(times.iter().all(|t| *t == Duration::from_secs(7)), "{times:?}");
        assert!(!budget.is_paused());
        let unlimited = Budget::new(None);
        unlimited.pause(Duration::from_secs(3));
        assert_eq!(
            starts(&unlimited, 5000, |_| Duration::ZERO).await[4999],
            Duration::from_secs(3)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_comes_while_waiting_for_a_place_counts() {
        let budget = budget(600);
        let places = places(1);
        let first = budget.admit(&places, 0).await;
        let begin = Instant::now();
        let second = tokio::spawn({
            let (budget, places) = (Arc::clone(&budget), Arc::clone(&places));
            async move { budget.admit(&places, 0).await.map(|_| begin.elapsed()) }
        });
        tokio::task::yield_now().await;
        budget.pause(Duration::from_secs(5));
        drop(first);
        assert_eq!(second.await.unwrap(), Some(Duration::from_secs(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn with_every_slot_open_an_answer_is_waited_for() {
        let times = starts(&budget(2), 3, |_| Duration::from_secs(100)).await;
        assert_eq!(times[2], Duration::from_secs(160));
    }

    #[tokio::test(start_paused = true)]
    async fn giving_up_costs_other_callers_nothing() {
        let budget = budget(60);
        let none = places(0);
        let waiting = budget.admit(&none, 0);
        assert!(
            tokio::time::timeout(Duration::from_secs(1), waiting)
                .await
                .is_err()
        );
        assert_eq!(starts(&budget, 1, |_| Duration::ZERO).await, [Duration::ZERO]);
        none.close();
        assert!(budget.admit(&none, 0).await.is_none());
    }
}
