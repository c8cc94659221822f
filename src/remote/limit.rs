//! What is known of one operation's limit, and how it is learnt. Pure but for
//! being told the time.
//!
//! We begin with what Whop documents
//! ([errors and limits](crate::whop_api#errors-and-limits)) and believe better
//! knowledge as it comes:
//!
//! * **Headers** name the limit, and what is left of it. None are documented,
//!   so they are only believed where they are about a minute for sure, or name
//!   the limit that we know. What is
//!   left, and what we used ourselves, tell what others use: our share is
//!   known before anything is refused. Only headers, or whoever sets up the
//!   client, can raise the limit above the documented one: beyond what is
//!   promised there is nothing to find by trying but refusals.
//! * **A refusal** (429) tells our share by itself: it is what we got through
//!   in the window, which began [`WINDOW`] before the moment that the answer
//!   names for coming back. For a window that slides this is exact, whoever
//!   else uses the key. Where that explains nothing, because we did not exceed
//!   what we took for our share (a bucket that fills drop by drop), a part of
//!   the share is given up, and bursts become smaller. Refusals of requests
//!   that were on the way when the first one came teach nothing: they are the
//!   same event.
//! * **A trial**: below what is promised, others may have gone away since. One
//!   request at a time goes out beyond our share, and when more got through in
//!   a window than it holds, it is widened to that. So finding out that there
//!   is no more costs one refusal, however slow the network; in windows that
//!   begin anew one or two more, because the first of them seemed to have room.
//!   While trials succeed they follow on each other's answers, so the rate goes
//!   up at once. Once the share is steady every refusal, of whatever request,
//!   puts the next trial off by [`TRIAL_REQUESTS`]: no more than one in so many
//!   is refused, whatever a trial turns out to cost.

use std::time::Duration;

use tokio::time::Instant;

use super::retry;
use super::transport::Response;

/// The span of Whop's limit.
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// The most requests that leave at once after a pause, at Whop's own limit.
pub(super) const BURST: u32 = 20;

/// When after a refusal more is tried for the first time; four times as late
/// after each trial that fails.
const FIRST_TRIAL: Duration = Duration::from_secs(5);

/// Once trials keep failing, this many requests are made for each refusal: it
/// is to be less than one in a thousand.
const TRIAL_REQUESTS: u32 = 1250;

/// We never take less than this part of what is promised for our share: where
/// everything is refused there is nothing to be learnt, and the pauses that
/// Whop names are waited out besides.
const LEAST_PART: usize = 20;

/// What is left to others of a limit that headers tell to be shared.
const RESERVE: usize = 2;

/// Answers give whole seconds, rounded up.
const ROUNDED: Duration = Duration::from_secs(1);

/// What an answer says about the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Whether it got through the limit: nothing is known of a request that
    /// met a fault, perhaps before it was counted.
    pub(super) passed: bool,
    /// It was refused by the limit, and this long is to be waited if it says so.
    pub(super) refused: Option<Option<Duration>>,
    /// The limit that its headers name.
    named: Option<Named>,
}

impl Heard {
    /// Reads an answer of Whop's.
    pub(super) fn of(answer: &Response) -> Self {
        let refused = answer.status == 429;
        Self {
            passed: !refused && answer.status < 500,
            refused: refused.then(|| retry::named_wait(answer, &String::from_utf8_lossy(&answer.body))),
            named: Named::of(answer),
        }
    }
}

/// A limit that headers name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Named {
    /// The requests a minute.
    limit: u32,
    /// How many of them are left now.
    left: Option<usize>,
    /// Whether it is a minute for sure that these are about.
    is_sure: bool,
}

impl Named {
    /// Reads the headers that are common: `X-RateLimit-*`, and `RateLimit-*` of
    /// the IETF's drafts. `None` where there are none, or not about a minute: a
    /// policy says its window, else the time to the reset must be within one. A
    /// reset in a moment leaves it open: it may be a second's limit, or a minute
    /// that slides.
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

/// A request that was answered, and its like at that moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// When it started.
    pub(super) began: Instant,
    /// Whether it was one beyond our share.
    pub(super) trial: bool,
    /// How many got through in the last [`WINDOW`], this one included.
    pub(super) ours: usize,
    /// How many others are on their way.
    pub(super) open: usize,
}

/// One operation's limit, as far as it is known.
#[derive(Debug)]
pub(super) struct Limit {
    /// What Whop promises a minute.
    promised: u32,
    /// What of it is ours: as many requests fit into any [`WINDOW`].
    share: usize,
    /// Time between requests at this rate, rounded up.
    interval: Duration,
    /// How far `due` may be ahead of the clock: all of a burst but one.
    ahead: Duration,
    /// When the next request would be due if there were no bursts (a generic
    /// cell rate algorithm: a token bucket that needs no refilling).
    due: Instant,
    /// Headers tell our share, so it need not be tried.
    told: bool,
    /// When a refusal last taught something.
    learnt: Option<Instant>,
    /// Whether anything that began since then got through.
    passed: bool,
    /// Requests that may leave at once.
    burst: u32,
    trials: Trials,
}

#[derive(Debug)]
struct Trials {
    /// Whether one is on its way.
    open: bool,
    /// When the next may go.
    next: Instant,
    /// How many failed since the last that was of use.
    failed: u32,
    /// The largest share that was left to us when one failed.
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

    /// Requests that fit into any [`WINDOW`].
    pub(super) fn share(&self) -> usize {
        self.share
    }

    /// When the pace allows the next request.
    pub(super) fn paced(&self) -> Option<Instant> {
        self.due.checked_sub(self.ahead)
    }

    /// When one may be tried beyond our share; `None` while that is pointless
    /// or one is on its way. Never faster than what is promised.
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

    /// A request was answered. `recent` tells exactly how many that began in
    /// the last so long got through.
    pub(super) fn hear(
        &mut self,
        heard: &Heard,
        Use {
            began,
            trial,
            ours,
            open,
        }: Use,
        now: Instant,
        recent: impl Fn(Duration) -> usize,
    ) {
        self.lost(trial);
        self.passed |= heard.passed && self.learnt.is_none_or(|learnt| began >= learnt);
        // The same number as is promised a minute is hardly that of a second.
        let believed = heard.named.filter(|it| it.is_sure || it.limit == self.promised);
        if let Some(Named { limit, .. }) = believed {
            self.promise(limit);
        }
        if let Some(left) = believed.and_then(|named| named.left) {
            self.told = true;
            // Whoever takes the rest takes one now and then meanwhile.
            let is_shared = self.share < self.promised as usize;
            let left = left.saturating_sub(if is_shared { RESERVE } else { 0 });
            // What is on its way may be counted already or not.
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
                // A trial may have taken the place of one that has run out a
                // moment ago. So it is one more for now, and when a trial fails,
                // only what was counted for sure remains.
                self.trials.proven = self.trials.proven.max(recent(WINDOW)).min(self.promised as usize);
                self.set((self.share + 1).min(self.promised as usize));
            }
            _ => {}
        }
    }

    /// A refusal taught that no more than so many get through.
    fn refused(&mut self, seen: usize, now: Instant) {
        let again = self.learnt.is_some_and(|learnt| now < learnt + WINDOW);
        // Much less than our share tells little: perhaps it was the burst that was
        // too large for a bucket. Whoever shares the key with so many others takes
        // some refusals more to find out. And where nothing got through since, what
        // was learnt then was not enough.
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

    /// Counts what ends in a refusal though we are left with no more than before.
    fn count_failure(&mut self) {
        let further = self.share > self.trials.best + self.trials.best / 50;
        self.trials.failed = if further { 1 } else { self.trials.failed + 1 };
        self.trials.best = self.trials.best.max(self.share);
    }

    /// Puts the next trial off: longer after each that failed, and in the end
    /// once more for each refusal.
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

    /// Whop promises another limit than we knew.
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

/// How long ago the window began in which so long is to be waited, and less than
/// [`ROUNDED`] more.
fn counted(wait: Option<Duration>) -> Duration {
    (WINDOW.saturating_sub(wait.unwrap_or_default()) + ROUNDED).min(WINDOW)
}

/// The time between requests of which so many fit into a [`WINDOW`].
fn interval(share: usize) -> Duration {
    Duration::from_nanos((WINDOW.as_nanos() as u64).div_ceil(share.max(1) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A limit of 600 that heard these headers, as `name value`.
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
        let used = Use {
            began: now,
            trial: false,
            ours: 100,
            open: 0,
        };
        limit.hear(&Heard::of(&answer), used, now, |_| 100);
        limit
    }

    #[test]
    fn headers_are_believed_where_they_are_about_a_minute() {
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
        // Of an hour, or of a second.
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
        // But a second hardly allows what is promised for a minute.
        assert_eq!(
            told(&["x-ratelimit-limit 600", moment[0], moment[1]]),
            (600, 300, true)
        );
        for limit in ["0", "-1", "99999999999", "many", ""] {
            assert_eq!(told(&[&format!("x-ratelimit-limit {limit}")]), nothing, "{limit}");
        }
    }
}
