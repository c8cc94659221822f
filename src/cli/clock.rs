//! The time.

use std::time::{SystemTime, UNIX_EPOCH};

/// The time.
#[expect(clippy::disallowed_methods, reason = "the one place that asks for the time")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// The same, in seconds since 1970; 0 where the clock stands before that.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
