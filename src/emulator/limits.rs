//! So many requests a minute for each operation and credential
//! ([errors and limits](crate::whop_api#errors-and-limits)).
//!
//! Whop does not say what kind of window that minute is, so each kind can be
//! had. By default it slides: no 60 seconds, wherever they begin, see more than
//! the limit. A client that keeps to that one keeps to a fixed window too, so
//! the strictest reading is the one to test against. Refused requests do not
//! count.

use std::collections::{BTreeMap, VecDeque};

use super::operation::Operation;

/// The window, in milliseconds.
const WINDOW: u64 = 60_000;

/// How the minute of a limit lies in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// Any 60 seconds.
    #[default]
    Sliding,
    /// From one full minute of the clock to the next.
    Fixed,
    /// A bucket that fills drop by drop and holds so many requests.
    Bucket(u32),
}

/// When each credential last used each operation.
#[derive(Debug, Default)]
pub(super) struct Limits {
    used: BTreeMap<(String, Operation), Used>,
}

/// One credential's use of one operation.
#[derive(Debug, Default)]
struct Used {
    /// When, for the windows; in milliseconds.
    at: VecDeque<u64>,
    /// How many milliseconds ahead of the clock the bucket is, in millionths of
    /// a millisecond.
    ahead: u64,
}

/// What is left of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    /// Requests a minute.
    pub(super) limit: u32,
    /// How many may come now.
    pub(super) left: u32,
    /// Whole seconds until there is more, at least 1.
    pub(super) reset: u64,
}

impl Limits {
    /// Counts a request, and says what is left; `Err` refuses it. A `rate` of 0
    /// means no limit, of which nothing is ever less.
    pub(super) fn take(
        &mut self,
        credential: &str,
        operation: Operation,
        rate: u32,
        window: Window,
        now: u64,
    ) -> Result<Option<Left>, Left> {
        if rate == 0 {
            return Ok(None);
        }
        let used = self.used.entry((credential.to_owned(), operation)).or_default();
        let fits = match window {
            Window::Sliding => used.windowed(rate, now.saturating_sub(WINDOW - 1), now, None),
            Window::Fixed => {
                let begin = now / WINDOW * WINDOW;
                used.windowed(rate, begin, now, Some(begin + WINDOW))
            }
            Window::Bucket(holds) => used.bucket(rate, holds.max(1), now),
        };
        fits.map(Some)
    }
}

impl Used {
    /// Counts in a window from `begin` that ends then, or slides.
    fn windowed(&mut self, rate: u32, begin: u64, now: u64, end: Option<u64>) -> Result<Left, Left> {
        while self.at.front().is_some_and(|at| *at < begin) {
            self.at.pop_front();
        }
        let fits = self.at.len() < rate as usize;
        if fits {
            self.at.push_back(now);
        }
        let more = end.or(self.at.front().map(|at| at + WINDOW)).unwrap_or(now);
        let left = Left {
            limit: rate,
            left: rate - u32::try_from(self.at.len()).unwrap_or(rate).min(rate),
            reset: (more - now).div_ceil(1_000).max(1),
        };
        if fits { Ok(left) } else { Err(left) }
    }

    /// Takes a drop out of the bucket.
    fn bucket(&mut self, rate: u32, holds: u32, now: u64) -> Result<Left, Left> {
        const MILLI: u64 = 1_000_000;
        let drop = WINDOW * MILLI / u64::from(rate);
        let now = now * MILLI;
        let from = self.ahead.max(now);
        let most = now + drop * u64::from(holds);
        let fits = from + drop <= most;
        if fits {
            self.ahead = from + drop;
        }
        let free = most.saturating_sub(self.ahead.max(now));
        let left = Left {
            limit: rate,
            left: u32::try_from(free / drop).unwrap_or(u32::MAX),
            reset: (drop - free % drop).div_ceil(1_000 * MILLI).max(1),
        };
        if fits { Ok(left) } else { Err(left) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_sees_more_than_the_rate() {
        let mut limits = Limits::default();
        let mut take = |who: &str, op, now| {
            limits
                .take(who, op, 2, Window::Sliding, now)
                .map(drop)
                .map_err(|left| left.reset)
        };
        assert_eq!(take("a", Operation::UpdateUser, 0), Ok(()));
        assert_eq!(take("a", Operation::UpdateUser, 30_000), Ok(()));
        assert_eq!(take("a", Operation::UpdateUser, 53_000), Err(7));
        assert_eq!(take("a", Operation::UpdateUser, 59_999), Err(1));
        assert_eq!(
            take("a", Operation::RetrieveUser, 59_999),
            Ok(()),
            "each operation has its own"
        );
        assert_eq!(
            take("b", Operation::UpdateUser, 59_999),
            Ok(()),
            "so has each key"
        );
        assert_eq!(take("a", Operation::UpdateUser, 60_000), Ok(()));
        assert_eq!(take("a", Operation::UpdateUser, 60_001), Err(30));
        let unlimited = limits.take("a", Operation::UpdateUser, 0, Window::Sliding, 60_001);
        assert_eq!(unlimited, Ok(None));
    }

    #[test]
    fn what_is_left_is_told() {
        let mut limits = Limits::default();
        let mut take = |window, now| limits.take("a", Operation::UpdateUser, 2, window, now);
        let told = |left, reset| Left {
            limit: 2,
            left,
            reset,
        };
        assert_eq!(take(Window::Sliding, 0), Ok(Some(told(1, 60))));
        assert_eq!(take(Window::Sliding, 30_000), Ok(Some(told(0, 30))));
        assert_eq!(take(Window::Sliding, 59_000), Err(told(0, 1)));
    }

    #[test]
    fn a_fixed_window_ends_with_the_minute_and_a_bucket_fills_by_drops() {
        let mut limits = Limits::default();
        let mut take = |window, now| {
            let taken = limits.take("a", Operation::UpdateUser, 2, window, now);
            taken.map(drop).map_err(|left| left.reset)
        };
        let fixed = [59_000, 59_500, 59_900, 60_000, 60_001, 60_002].map(|now| take(Window::Fixed, now));
        assert_eq!(fixed, [Ok(()), Ok(()), Err(1), Ok(()), Ok(()), Err(60)]);
        let bucket = Window::Bucket(3);
        let drops = [0, 0, 0, 0, 29_999, 30_000, 30_001].map(|now| take(bucket, 120_000 + now));
        assert_eq!(drops, [Ok(()), Ok(()), Ok(()), Err(30), Err(1), Ok(()), Err(30)]);
    }
}
