//! Parses times as servers write them.
//!
//! The HTTP `Date` header (RFC 9110 §5.6.7) shows how far apart two clocks are.
//! Only the preferred format is read; other formats are ignored.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The seconds since 1970 of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let number = |text: &str| text.parse::<u64>().ok();
    let day = number(parts.next()?)?;
    let month = parts.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let year = number(parts.next()?).filter(|year| (1970..=9999).contains(year))?;
    let mut clock = parts.next()?.split(':').map(number);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let fits = (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !fits || clock.next().is_some() || parts.next() != Some("GMT") || parts.next().is_some() {
        return None;
    }
    // Days by the civil calendar, with years that start in March so that a leap
    // day comes last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    // From 1 March of the year 0 to 1970.
    let days = days.checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// The time of an ISO 8601 stamp such as `2026-09-10T01:56:08+02:00`. Stamps in
/// one list may have different offsets, so they must be compared as times,
/// never as texts. `None` for anything else, and before 1970.
pub(super) fn moment(stamp: &str) -> Option<SystemTime> {
    let stamp: jiff::Timestamp = stamp.parse().ok()?;
    let since = Duration::try_from(stamp.as_duration()).ok()?;
    UNIX_EPOCH.checked_add(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_a_time_whatever_its_offset() {
        let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
        for (stamp, known) in [
            ("2026-09-10T01:56:08+02:00", at(1_788_998_168)),
            ("2026-09-09T23:56:08Z", at(1_788_998_168)),
            ("2026-09-09T23:56:08.000Z", at(1_788_998_168)),
            // The hour that occurs twice when summer time ends.
            ("2026-10-25T02:59:59+02:00", at(1_792_889_999)),
            ("2026-10-25T02:00:00+01:00", at(1_792_890_000)),
            ("1970-01-01T01:00:00+02:00", None),
            ("-009999-01-02T01:59:59Z", None),
            ("2026-09-10T01:56:08", None),
            ("2026-09-10", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(moment(stamp), known, "{stamp}");
        }
    }

    #[test]
    fn dates_are_read_as_seconds_and_anything_else_is_ignored() {
        for (text, known) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("Fri, 01 Mar 2024 00:00:00 GMT", Some(1_709_251_200)),
            ("Sun, 22 Nov 2026 19:24:04 GMT", Some(1_795_375_444)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun Nov  6 08:49:37 1994", None),
            ("Sun, 06 Nov 1994 08:49:37", None),
            ("Sun, 06 Nov 1994 25:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Tue, 31 Dec 2099 23:59:59 GMT", Some(4_102_444_799)),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 99 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 9223372036854775807 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 9223372036854775807:49:37 GMT", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), known, "{text}");
        }
    }
}
