//! What is known about one operation's limit, and how it is learnt. Pure: the
//! time is an argument.
//!
//! The client starts with the documented limit ([errors and
//! limits](crate::whop_api#errors-and-limits)) and learns from answers:
//!
//! * **Headers** state the limit and what is left of it. None are documented,
//!   so they are believed only if they are certainly about a minute, or state
//!   the limit that we know. What is left, together with our own use, shows
//!   what others use: our share is known before anything is refused. Only
//!   headers, or the creator of the client, can raise the limit above the
//!   documented one: beyond that, trying would only cause refusals.
//! * **A refusal** (429) shows our share by itself: it is what passed in the
//!   window, which began [`WINDOW`] before the time at which the answer says to
//!   come back. For a sliding window this is exact, whoever else uses the key.
//!   If that explains nothing, because we did not exceed our assumed share (a
//!   bucket that refills steadily), part of the share is given up and bursts
//!   become smaller. Refusals of requests that were in flight when the first
//!   one arrived are ignored: they are the same event.
//! * **A trial**: if our share is below the limit, others may have stopped
//!   since. One request at a time is sent beyond our share, and if more passed
//!   in a window than it holds, the share is raised to that. Finding out that
//!   there is no more costs one refusal, however slow the network; with fixed
//!   windows one or two more, because the first trial seemed to have room.
//!   While trials succeed, each follows the answer of the last, so the rate
//!   rises at once. Once the share is steady, every refusal of any request
//!   delays the next trial by [`TRIAL_REQUESTS`], so no more than one request
//!   in that many is refused, whatever a trial costs.

use std::time::Duration;

use tokio::time::Instant;

use super::retry;
use super::transport::Response;

/// The period of Whop's limit.
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// The most requests sent at once after a pause, at Whop's own limit.
pub(super) const BURST: u32 = 20;

/// The delay from a refusal to the first trial; four times as long after each
/// failed trial.
const FIRST_TRIAL: Duration = Duration::from_secs(5);

/// Once trials keep failing, this many requests are made per refusal, so that
/// less than one in a thousand is refused.
const TRIAL_REQUESTS: u32 = 1250;

/// Our share never falls below this fraction of the limit: if everything is
/// refused, nothing can be learnt, and pauses that Whop asks for are kept
/// anyway.
const LEAST_PART: usize = 20;

/// What is left to others of a limit that headers show to be shared.
const RESERVE: usize = 2;

/// Answers give whole seconds, rounded up.
const ROUNDED: Duration = Duration::from_secs(1);

/// What an answer says about the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LimitSignal {
    /// Whether the request passed the limit. Unknown if it failed for another
    /// reason, perhaps before it was counted.
    pub(super) passed: bool,
    /// It was refused by the limit, with the time to wait if the answer gives
    /// one.
    pub(super) refused: Option<Option<Duration>>,
    /// The limit in its headers.
    named: Option<HeaderLimit>,
}

impl LimitSignal {
    /// Reads an answer from Whop.
    pub(super) fn of(answer: &Response) -> Self {
        let refused = answer.status == 429;
        Self {
            passed: !refused && answer.status < 500,
            refused: refused.then(|| retry::named_wait(answer, &String::from_utf8_lossy(&answer.body))),
            named: HeaderLimit::of(answer),
        }
    }
}

/// A limit from headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct HeaderLimit {
    /// The requests per minute.
    limit: u32,
    /// How many of them are left now.
    left: Option<usize>,
    /// Whether it is certainly about a minute.
    is_sure: bool,
}

impl HeaderLimit {
    /// Reads the common headers: `X-RateLimit-*`, and `RateLimit-*` of the IETF
    /// drafts. `None` if there are none, or if they are not about a minute: a
    /// policy states its window; otherwise the time to the reset must be within
    /// one. A reset within a second leaves it open: it may be a limit per
    /// second, or a sliding minute.
    fn of(answer: &Response) -> Option<Self> {
        let header = |name: &str| {
            let (long, short) = (format!("x-ratelimit-{name}"), format!("ratelimit-{name}"));
            let value = answer.header(&long).or_else(|| answer.header(&short));
            value.map(str::trim)
        };
        let first = |text: &str| text.split([',', ';']).next()?.trim().parse::<u32>().ok();
        let limit = header("limit").and_then(first).filter(|limit| *limit > 0)?;
        let window = header("policy").and_then(|policy| {
            policy
                .split([';', ','])
                .find_map(|part| part.trim().strip_prefix("w=")?.parse::<u32>().ok())
        });
        let is_sure = match (window, retry::named_reset(answer)) {
            (Some(60), _) | (None, None) => true,
            (None, Some(reset)) if reset <= WINDOW + ROUNDED => reset > ROUNDED,
            _ => return None,
        };
        Some(Self {
            limit,
            left: header("remaining").and_then(first).map(|left| left as usize),
            is_sure,
        })
    }
}

/// A request that was answered, with its circumstances.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowUse {
    /// When it started.
    pub(super) began: Instant,
    /// Whether it was a trial beyond our share.
    pub(super) trial: bool,
    /// How many passed in the last [`WINDOW`], this one included.
    pub(super) ours: usize,
    /// How many others are in flight.
    pub(super) open: usize,
}

/// What is known about one operation's limit.
#[derive(Debug)]
pub(super) struct Limit {
    /// What Whop allows per minute.
    promised: u32,
    /// Our share of it: this many requests fit into any [`WINDOW`].
    share: usize,
    /// The time between requests at this rate, rounded up.
    interval: Duration,
    /// How far `due` may be ahead of the clock: a burst minus one request.
    ahead: Duration,
    /// When the next request would be due without bursts (a generic cell rate
    /// algorithm: a token bucket that needs no refilling).
    due: Instant,
    /// Whether headers show our share, so that no trials are needed.
    told: bool,
    /// When a refusal last changed the share.
    learnt: Option<Instant>,
    /// Whether any request that started since then passed.
    passed: bool,
    /// How many requests may be sent at once.
    burst: u32,
    trials: Trials,
}

#[derive(Debug)]
struct Trials {
    /// Whether one is in flight.
    open: bool,
    /// When the next may start.
    next: Instant,
    /// How many have failed since the last successful one.
    failed: u32,
    /// The largest share that remained when one failed.
    best: usize,
    /// The share before these trials, and what they have proven.
    base: usize,
    proven: usize,
}

impl Limit {
    pub(super) fn new(promised: u32, now: Instant) -> Self {
        let mut limit = Self {
            promised,
            share: 0,
            interval: Duration::ZERO,
            ahead: Duration::ZERO,
            due: now,
            told: false,
            learnt: None,
            passed: false,
            burst: (promised / 600).max(BURST),
            trials: Trials {
                open: false,
                next: now,
                failed: 0,
                best: 0,
                base: 0,
                proven: 0,
            },
        };
        limit.set(promised as usize);
        limit
    }

    /// How many requests fit into any [`WINDOW`].
    pub(super) fn share(&self) -> usize {
        self.share
    }

    /// When the pace allows the next request.
    pub(super) fn paced(&self) -> Option<Instant> {
        self.due.checked_sub(self.ahead)
    }

    /// When a trial may start; `None` if it would be pointless or one is in
    /// flight. Never faster than the limit.
    pub(super) fn trial(&self) -> Option<Instant> {
        let open = self.trials.open || self.told || self.share >= self.promised as usize;
        (!open).then_some(self.trials.next)
    }

    /// A request starts.
    pub(super) fn start(&mut self, now: Instant, trial: bool) {
        if trial {
            self.trials.open = true;
            self.trials.next = now + interval(self.promised as usize);
        } else {
            self.due = self.due.max(now) + self.interval;
        }
    }

    /// A request ended without an answer that says anything.
    pub(super) fn lost(&mut self, trial: bool) {
        self.trials.open &= !trial;
    }

    /// A request was answered. `recent` returns exactly how many requests that
    /// started within the given time passed.
    pub(super) fn hear(
        &mut self,
        heard: &LimitSignal,
        WindowUse {
            began,
            trial,
            ours,
            open,
        }: WindowUse,
        now: Instant,
        recent: impl Fn(Duration) -> usize,
    ) {
        self.lost(trial);
        self.passed |= heard.passed && self.learnt.is_none_or(|learnt| began >= learnt);
        // A limit equal to the documented one per minute is hardly a limit per
        // second.
        let believed = heard.named.filter(|it| it.is_sure || it.limit == self.promised);
        if let Some(HeaderLimit { limit, .. }) = believed {
            self.promise(limit);
        }
        if let Some(left) = believed.and_then(|named| named.left) {
            self.told = true;
            // Others who use the rest send requests in the meantime.
            let is_shared = self.share < self.promised as usize;
            let left = left.saturating_sub(if is_shared { RESERVE } else { 0 });
            // Requests in flight may or may not be counted yet.
            if ours + open + left < self.share {
                self.set(ours + open + left);
            } else if ours + left > self.share && self.share < self.promised as usize {
                self.set((recent(WINDOW) + left).clamp(self.share, self.promised as usize));
            }
        }
        match heard.refused {
            Some(wait) if trial => {
                let seen = recent(counted(wait));
                self.set(self.trials.proven.min(seen).max(self.trials.base));
                self.count_failure();
                self.put_off_trials(now);
            }
            Some(wait) if self.learnt.is_none_or(|learnt| began >= learnt) => {
                self.refused(recent(counted(wait)), now);
            }
            Some(_) => self.put_off_trials(now),
            None if trial && heard.passed => {
                // A trial may have taken the place of a request that expired a
                // moment ago. So it counts as one more for now, and if a trial
                // fails, only what was certainly counted remains.
                self.trials.proven = self.trials.proven.max(recent(WINDOW)).min(self.promised as usize);
                self.set((self.share + 1).min(self.promised as usize));
            }
            _ => {}
        }
    }

    /// A refusal showed that no more than this many pass.
    fn refused(&mut self, seen: usize, now: Instant) {
        let again = self.learnt.is_some_and(|learnt| now < learnt + WINDOW);
        // Much less than our share says little: the burst may have been too
        // large for a bucket. If the key is really shared with that many
        // others, a few more refusals will show it. And if nothing has passed
        // since, the last reduction was not enough.
        let share = if (self.share / 4..self.share).contains(&seen) && self.passed {
            seen
        } else {
            self.share * 85 / 100
        };
        self.learnt = Some(now);
        self.passed = false;
        self.burst = (self.burst / 2).max(2);
        self.set(share);
        if again {
            self.trials.best = self.trials.best.min(self.share);
        } else {
            self.count_failure();
        }
        self.put_off_trials(now);
    }

    /// Counts a refusal that leaves our share no larger than before.
    fn count_failure(&mut self) {
        let further = self.share > self.trials.best + self.trials.best / 50;
        self.trials.failed = if further { 1 } else { self.trials.failed + 1 };
        self.trials.best = self.trials.best.max(self.share);
    }

    /// Delays the next trial: longer after each failure, and finally once more
    /// for each refusal.
    fn put_off_trials(&mut self, now: Instant) {
        self.trials.base = self.share;
        self.trials.proven = 0;
        let growing = FIRST_TRIAL * 4_u32.saturating_pow(self.trials.failed.saturating_sub(1).min(8));
        let most = self.interval * TRIAL_REQUESTS;
        self.trials.next = if growing < most {
            self.trials.next.max(now + growing)
        } else {
            self.trials.next.max(now) + most
        };
    }

    /// Whop states a limit other than the known one.
    fn promise(&mut self, limit: u32) {
        if limit != self.promised {
            let whole = self.share == self.promised as usize;
            self.promised = limit;
            self.burst = self.burst.max(limit / 600);
            let share = if whole {
                limit as usize
            } else {
                self.share.min(limit as usize)
            };
            self.set(share);
        }
    }

    fn set(&mut self, share: usize) {
        let share = share.max(self.promised as usize / LEAST_PART).max(1);
        self.share = share;
        self.interval = interval(share);
        self.ahead = self.interval * (self.burst.min(u32::try_from(share).unwrap_or(u32::MAX)) - 1);
    }
}

/// How long ago the window began if this is the time to wait, to within
/// [`ROUNDED`].
fn counted(wait: Option<Duration>) -> Duration {
    (WINDOW.saturating_sub(wait.unwrap_or_default()) + ROUNDED).min(WINDOW)
}

/// The time between requests if this many fit into a [`WINDOW`].
fn interval(share: usize) -> Duration {
    Duration::from_nanos((WINDOW.as_nanos() as u64).div_ceil(share.max(1) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A limit of 600 after these headers, given as `name value`.
    fn heard(headers: &[&str]) -> Limit {
        let header = |line: &&str| {
            let (name, value) = line.split_once(' ').expect("a name and a value");
            (name.to_owned(), value.to_owned())
        };
        let answer = Response {
            status: 200,
            headers: headers.iter().map(header).collect(),
            body: Default::default(),
        };
        let now = Instant::now();
        let mut limit = Limit::new(600, now);
        let used = WindowUse {
            began: now,
            trial: false,
            ours: 100,
            open: 0,
        };
        limit.hear(&LimitSignal::of(&answer), used, now, |_| 100);
        limit
    }

    #[test]
    fn headers_are_believed_if_they_are_about_a_minute() {
        let told = |headers: &[&str]| {
            let limit = heard(headers);
            (limit.promised, limit.share, limit.told)
        };
        let nothing = (600, 600, false);
        assert_eq!(told(&[]), nothing);
        assert_eq!(
            told(&["x-ratelimit-limit 300", "x-ratelimit-remaining 150"]),
            (300, 250, true)
        );
        assert_eq!(
            told(&["ratelimit-limit 300;w=60", "ratelimit-reset 60"]),
            (300, 300, false)
        );
        assert_eq!(
            told(&["ratelimit-limit 300", "ratelimit-policy 300;w=60"]),
            (300, 300, false)
        );
        // Per hour, or per second.
        assert_eq!(
            told(&["x-ratelimit-limit 300", "x-ratelimit-reset 1800"]),
            nothing
        );
        assert_eq!(
            told(&["ratelimit-limit 300", "ratelimit-policy 300;w=3600"]),
            nothing
        );
        let moment = ["x-ratelimit-reset 1", "x-ratelimit-remaining 200"];
        assert_eq!(told(&["x-ratelimit-limit 10", moment[0], moment[1]]), nothing);
        // But a second hardly allows what is documented for a minute.
        assert_eq!(
            told(&["x-ratelimit-limit 600", moment[0], moment[1]]),
            (600, 300, true)
        );
        for limit in ["0", "-1", "99999999999", "many", ""] {
            assert_eq!(told(&[&format!("x-ratelimit-limit {limit}")]), nothing, "{limit}");
        }
    }
}
