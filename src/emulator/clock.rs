//! The emulator's time: the wall's, or tokio's, which tests can stop.
//!
//! Limits, file processing, expiring URLs and idempotency keys all go by this
//! one clock, so a stopped clock stops them all.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place where the emulator reads the time"
)]

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where a driven clock begins: 2026-10-20T09:00:00Z, in milliseconds since
/// 1970. A day after the newest version, so that nothing lies in the future.
const EPOCH: u64 = 1_792_486_800_000;

/// A clock; clones share it.
#[derive(Clone)]
pub struct Clock {
    source: Source,
    hands: Arc<Mutex<Hands>>,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Wall,
    Driven,
}

/// What has gone by, besides the wall's own time.
struct Hands {
    /// For a driven clock its whole time, for the wall how far it is ahead.
    total: Duration,
    /// When a driven clock was last read.
    read: Option<tokio::time::Instant>,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({:?})", self.source)
    }
}

impl Clock {
    /// The time of day.
    pub fn wall() -> Self {
        Self::new(Source::Wall, Duration::ZERO)
    }

    /// Begins at a fixed instant and follows tokio's clock: deterministic
    /// where that is paused. It never runs back, even when it is read from one
    /// runtime after another.
    pub fn driven() -> Self {
        Self::new(Source::Driven, Duration::from_millis(EPOCH))
    }

    fn new(source: Source, total: Duration) -> Self {
        let hands = Hands { total, read: None };
        Self {
            source,
            hands: Arc::new(Mutex::new(hands)),
        }
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> u64 {
        let mut hands = self.hands.lock().unwrap_or_else(PoisonError::into_inner);
        let time = match self.source {
            Source::Wall => {
                let wall = SystemTime::now().duration_since(UNIX_EPOCH);
                wall.unwrap_or_default() + hands.total
            }
            Source::Driven => {
                // Adding up what passed between readings survives a new
                // runtime whose own clock stands elsewhere.
                let instant = tokio::time::Instant::now();
                if let Some(before) = hands.read.replace(instant) {
                    hands.total += instant.saturating_duration_since(before);
                }
                hands.total
            }
        };
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    }

    /// Sets the clock forward.
    pub fn advance(&self, by: Duration) {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner).total += by;
    }

    /// Sets the clock forward to `millis` if it stands before: a state file
    /// may come from a run that reached a later time.
    pub(super) fn not_before(&self, millis: u64) {
        let behind = millis.saturating_sub(self.now());
        self.advance(Duration::from_millis(behind));
    }
}

/// The moment as Whop writes it: `2026-10-02T08:00:00.000Z`.
pub(super) fn stamp(millis: u64) -> String {
    // The largest moment that four digits of a year can say.
    let millis = millis.min(253_402_300_799_999);
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(millis)).to_string()
}

/// The moment as HTTP writes it: `Fri, 02 Oct 2026 08:00:00 GMT`.
pub(super) fn http_date(millis: u64) -> String {
    // 1 January 1970 was a Thursday.
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let stamp = stamp(millis);
    let (year, month, day) = (&stamp[..4], &stamp[5..7], &stamp[8..10]);
    let month = month.parse().map_or(0, |month: usize| month - 1);
    let weekday = DAYS[(millis / 86_400_000 % 7) as usize];
    format!("{weekday}, {day} {} {year} {} GMT", MONTHS[month], &stamp[11..19])
}

/// The moment as Whop writes it in accounts: in whole seconds and with an
/// offset, `2026-10-02T10:00:00+02:00`.
pub(super) fn offset_stamp(millis: u64) -> String {
    const SUMMER: jiff::tz::Offset = jiff::tz::offset(2);
    let moment = i64::try_from(millis / 1_000).ok();
    let moment = moment.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    // The last moment that can be written, for a clock beyond it.
    let moment = moment.unwrap_or(jiff::Timestamp::MAX);
    moment.display_with_offset(SUMMER).to_string()
}

/// Reads an ISO 8601 moment with `Z` or an offset. `None` if it is not one.
/// Moments before 1970 become 1970: nothing here is older.
pub(super) fn parse_stamp(text: &str) -> Option<u64> {
    let stamp: jiff::Timestamp = text.parse().ok()?;
    Some(u64::try_from(stamp.as_millisecond()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_written_and_read() {
        assert_eq!(stamp(EPOCH), "2026-10-20T09:00:00.000Z");
        assert_eq!(http_date(EPOCH), "Tue, 20 Oct 2026 09:00:00 GMT");
        assert_eq!(http_date(784_111_777_999), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(offset_stamp(EPOCH + 999), "2026-10-20T11:00:00+02:00");
        assert_eq!(parse_stamp(&offset_stamp(EPOCH + 999)), Some(EPOCH));
        for same in [
            "2026-10-20T09:00:00Z",
            "2026-10-20t11:00:00.000+02:00",
            "2026-10-20T08:30:00-00:30",
        ] {
            assert_eq!(parse_stamp(same), Some(EPOCH), "{same}");
        }
        for bad in [
            "",
            "é",
            "yesterday",
            "2026-10-20",
            "2026-10-20T09:00:00",
            "2026-10-20T09:00:00+1:00",
        ] {
            assert_eq!(parse_stamp(bad), None, "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_driven_clock_stands_still_until_it_is_driven() {
        let clock = Clock::driven();
        assert_eq!(clock.now(), EPOCH);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(clock.now(), EPOCH + 5_000);
        clock.advance(Duration::from_secs(60));
        assert_eq!(clock.clone().now(), EPOCH + 65_000);
        clock.not_before(EPOCH);
        assert_eq!(clock.now(), EPOCH + 65_000, "never back");
    }
}
