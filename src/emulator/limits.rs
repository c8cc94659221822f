//! So many requests a minute for each operation and credential
//! (`whop-api.md` §8).
//!
//! The window slides: no 60 seconds, wherever they begin, see more than the
//! limit. Whop does not say which kind of window it has. A client that keeps
//! to this one keeps to a fixed window and to a bucket of the same rate too,
//! so the strictest reading is the one to test against. Refused requests do
//! not count.

use std::collections::{BTreeMap, VecDeque};

use super::operation::Operation;

/// The window, in milliseconds.
const WINDOW: u64 = 60_000;

/// When each credential last used each operation.
#[derive(Debug, Default)]
pub(super) struct Limits {
    used: BTreeMap<(String, Operation), VecDeque<u64>>,
}

impl Limits {
    /// Counts a request, or says how many whole seconds to wait (at least 1).
    /// A `rate` of 0 means no limit.
    pub(super) fn take(
        &mut self,
        credential: &str,
        operation: Operation,
        rate: u32,
        now: u64,
    ) -> Result<(), u64> {
        if rate == 0 {
            return Ok(());
        }
        let used = self.used.entry((credential.to_owned(), operation)).or_default();
        while used.front().is_some_and(|at| at + WINDOW <= now) {
            used.pop_front();
        }
        match used.front() {
            Some(oldest) if used.len() >= rate as usize => {
                Err((oldest + WINDOW - now).div_ceil(1_000).max(1))
            }
            _ => {
                used.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_sees_more_than_the_rate() {
        let mut limits = Limits::default();
        let mut take = |who: &str, op, now| limits.take(who, op, 2, now);
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
        assert_eq!(limits.take("a", Operation::UpdateUser, 0, 60_001), Ok(()));
    }
}
