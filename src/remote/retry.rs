//! Decides whether to retry, and how long to wait first. Pure: the caller
//! sleeps.
//!
//! * A limit (429) is waited out for the time that Whop gives, in a header or
//!   in its message; otherwise longer each time. It does not use up the
//!   attempts for failures, but ends after [`MOST_LIMITED`] refusals.
//! * A failure (5xx, no answer) is retried after a random time below a bound
//!   that doubles, so that callers that failed together do not retry together.
//!   A call that could have two effects is retried only if nothing can have
//!   happened.
//! * Everything else is final: Whop would give the same answer.

use std::time::Duration;

use super::date;
use super::error::{CallError, CallErrorKind, Effect};
use super::transport::Response;

/// The bound of the first wait after a failure; doubles each time.
const FAULT_BASE: Duration = Duration::from_millis(500);

/// The longest bound after failures.
const FAULT_CAP: Duration = Duration::from_secs(30);

/// The bound of the first wait after a limit without a given time.
const LIMIT_BASE: Duration = Duration::from_secs(2);

/// The shortest wait after a limit: "0 seconds" must not become a busy loop.
pub(super) const LIMIT_LEAST: Duration = Duration::from_secs(1);

/// The longest wait of any kind, given or not.
pub(super) const CAP: Duration = Duration::from_secs(120);

/// How many times a call may be refused by the limit. With [`CAP`] that is an
/// hour: others who use the key that much will not stop.
const MOST_LIMITED: u32 = 30;

/// Whether sending a call twice could have two effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It could not: a read, a change to given values, or a create under an
    /// idempotency key that the server honours.
    Safe,
    /// It could: a create in the companies dialect
    /// ([companies](crate::whop_api#companies)).
    OnlyIfUndone,
}

/// The failures of a call so far, including the current one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FailureCounts {
    /// Failures, and requests in progress.
    pub(super) faults: u32,
    /// Limits.
    pub(super) limits: u32,
}

impl FailureCounts {
    /// Counts one more failure.
    pub(super) fn count(&mut self, kind: CallErrorKind) {
        match kind {
            CallErrorKind::RateLimited => self.limits += 1,
            _ => self.faults += 1,
        }
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Retry after this time.
    Wait(Duration),
    /// Pause the whole operation for this time, then retry.
    Pause(Duration),
    /// The failure is final.
    Stop,
}

/// Decides after a failure. `attempts` is how many times a failing call may be
/// sent; `jitter` is from 0 to 1.
pub(super) fn next(
    failure: &CallError,
    answer: Option<&Response>,
    failures: FailureCounts,
    attempts: u32,
    repeat: Repeat,
    jitter: f64,
) -> Next {
    // A stored answer stays the same while the key is remembered
    // (`whop_api#idempotency`).
    let replayed = answer
        .and_then(|answer| answer.header("idempotent-replayed"))
        .is_some_and(|v| v == "true");
    let named = answer.and_then(|answer| named_wait(answer, &failure.message));
    match failure.kind {
        CallErrorKind::RateLimited if replayed || failures.limits >= MOST_LIMITED => Next::Stop,
        CallErrorKind::RateLimited => {
            let wait = named.unwrap_or_else(|| backoff(LIMIT_BASE, CAP, failures.limits, jitter));
            Next::Pause(wait.clamp(LIMIT_LEAST, CAP))
        }
        CallErrorKind::Server | CallErrorKind::Network | CallErrorKind::InProgress => {
            let undone = repeat == Repeat::Safe || failure.effect == Effect::None;
            if replayed && failure.kind == CallErrorKind::Server || failures.faults >= attempts || !undone {
                return Next::Stop;
            }
            let named = named.filter(|_| failure.kind == CallErrorKind::Server);
            Next::Wait(
                named
                    .unwrap_or_else(|| backoff(FAULT_BASE, FAULT_CAP, failures.faults, jitter))
                    .min(CAP),
            )
        }
        _ => Next::Stop,
    }
}

/// A random time below `base` × 2^(n-1), at most `cap`.
fn backoff(base: Duration, cap: Duration, n: u32, jitter: f64) -> Duration {
    let doublings = n.saturating_sub(1).min(16);
    (base * (1 << doublings)).min(cap).mul_f64(jitter.clamp(0.0, 1.0))
}

/// How long the answer asks to wait: `Retry-After`, `X-RateLimit-Reset`, or the
/// message of a 429. The headers are not documented, but Whop's own SDKs honour
/// them ([errors and limits](crate::whop_api#errors-and-limits)).
pub(super) fn named_wait(answer: &Response, message: &str) -> Option<Duration> {
    let date = answer.header("date").and_then(http_date);
    let after = answer
        .header("retry-after")
        .and_then(|value| seconds(value).or_else(|| until(http_date(value)?, date)));
    let in_words = || (answer.status == 429).then(|| words_wait(message)).flatten();
    after.or_else(|| named_reset(answer)).or_else(in_words)
}

/// When the limit resets, by `X-RateLimit-Reset` or `RateLimit-Reset`.
pub(super) fn named_reset(answer: &Response) -> Option<Duration> {
    let header = |name| answer.header(name);
    let text = header("x-ratelimit-reset").or_else(|| header("ratelimit-reset"))?;
    let at = text.trim().parse::<f64>().ok()?;
    // Either a delay or a time of day; no delay is 30 years long.
    if at < 1e9 {
        seconds_of(at)
    } else {
        until(at, answer.header("date").and_then(http_date))
    }
}

fn seconds(text: &str) -> Option<Duration> {
    text.trim().parse::<f64>().ok().and_then(seconds_of)
}

/// A duration, if valid; bounded later.
fn seconds_of(seconds: f64) -> Option<Duration> {
    (seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(1e6)))
}

/// From the answer's own date to a time, because the local clock may be wrong
/// and is not available here.
fn until(at: f64, date: Option<f64>) -> Option<Duration> {
    date.and_then(|now| seconds_of((at - now).max(0.0)))
}

/// An HTTP date, in seconds since 1970.
fn http_date(text: &str) -> Option<f64> {
    date::seconds(text).map(|seconds| seconds as f64)
}

/// Parses "Try again in 7 seconds." and the like. Looks first after words that
/// announce a delay, so that an earlier "600 per minute" is not taken for one.
fn words_wait(message: &str) -> Option<Duration> {
    let message = message.to_ascii_lowercase();
    let announced = ["again in", "retry in", "retry after", "again after", "wait"]
        .iter()
        .find_map(|words| Some(message.split_once(words)?.1));
    match announced {
        Some(rest) => amounts(rest, true),
        None => amounts(&message, false),
    }
}

/// The sum of the numbers with time units at the start of a text: "1 minute and
/// 30 seconds". A bare number counts as seconds if a delay was announced, and
/// not at all otherwise.
fn amounts(text: &str, announced: bool) -> Option<Duration> {
    let mut total = None;
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let number = &rest[start..];
        let end = number
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(number.len());
        let amount = number[..end].trim_end_matches('.').parse::<f64>().ok()?;
        rest = number[end..].trim_start();
        let word = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .map_or(rest, |end| &rest[..end]);
        let scale = match word {
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "ms" | "millisecond" | "milliseconds" => 0.001,
            _ if announced && total.is_none() => return seconds_of(amount),
            _ if total.is_some() => break,
            _ => continue,
        };
        total = Some(total.unwrap_or_default() + seconds_of(amount * scale)?);
    }
    total
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::error::Asked;
    use super::super::transport::TransportError;
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], message: &str) -> Response {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Response {
            status,
            headers: headers.iter().map(own).collect(),
            body: Bytes::from(format!(r#"{{"error":{{"message":"{message}"}}}}"#)),
        }
    }

    fn asked() -> Asked<'static> {
        Asked {
            operation: "create_account",
            reads: false,
            version: "2026-10-15-1",
            version_proven: true,
        }
    }

    /// Decides after a first answer, with a jitter of ½.
    fn after(answer: &Response, repeat: Repeat) -> Next {
        let failure = asked().refused(answer);
        let mut failures = FailureCounts::default();
        failures.count(failure.kind);
        next(&failure, Some(answer), failures, 6, repeat, 0.5)
    }

    fn after_loss(lost: &TransportError, repeat: Repeat) -> Next {
        next(
            &asked().lost(lost),
            None,
            FailureCounts { faults: 1, limits: 0 },
            6,
            repeat,
            0.5,
        )
    }

    #[test]
    fn only_limits_and_failures_are_retried() {
        for status in [302, 400, 401, 403, 404, 409, 410, 413, 422] {
            assert_eq!(
                after(&answer(status, &[], "no"), Repeat::Safe),
                Next::Stop,
                "{status}"
            );
        }
        for status in [408, 500, 502, 503, 504, 529] {
            let wait = Next::Wait(Duration::from_millis(250));
            assert_eq!(after(&answer(status, &[], "no"), Repeat::Safe), wait, "{status}");
        }
    }

    #[test]
    fn what_could_act_twice_is_retried_only_if_nothing_happened() {
        let wait = Next::Wait(Duration::from_millis(250));
        let unsent = TransportError::NotSent("x".to_owned());
        let silent = TransportError::NoAnswer("x".to_owned());
        assert_eq!(after_loss(&unsent, Repeat::OnlyIfUndone), wait);
        assert_eq!(after_loss(&silent, Repeat::OnlyIfUndone), Next::Stop);
        assert_eq!(after_loss(&silent, Repeat::Safe), wait);
        assert_eq!(after_loss(&TransportError::TooLarge(1), Repeat::Safe), Next::Stop);
        assert_eq!(after(&answer(500, &[], ""), Repeat::OnlyIfUndone), Next::Stop);
        let limited = answer(429, &[], "Try again in 7 seconds.");
        assert_eq!(
            after(&limited, Repeat::OnlyIfUndone),
            Next::Pause(Duration::from_secs(7))
        );
    }

    #[test]
    fn a_request_in_progress_is_waited_for_like_a_fault() {
        let mut running = answer(409, &[], "");
        running.body = Bytes::from_static(br#"{"error":{"code":"idempotency_request_in_progress"}}"#);
        assert_eq!(
            after(&running, Repeat::Safe),
            Next::Wait(Duration::from_millis(250))
        );
    }

    #[test]
    fn waits_grow_and_end() {
        let failure = asked().lost(&TransportError::NoAnswer("x".to_owned()));
        let waits: Vec<_> = (1..=8)
            .map(|faults| {
                next(
                    &failure,
                    None,
                    FailureCounts { faults, limits: 29 },
                    8,
                    Repeat::Safe,
                    1.0,
                )
            })
            .collect();
        let millis = |ms| Next::Wait(Duration::from_millis(ms));
        let growing = [500, 1000, 2000, 4000, 8000, 16_000, 30_000].map(millis);
        assert_eq!(waits, [&growing[..], &[Next::Stop]].concat());

        let limited = answer(429, &[], "slow down");
        let failure = asked().refused(&limited);
        let at = |limits, jitter| {
            next(
                &failure,
                Some(&limited),
                FailureCounts { faults: 9, limits },
                6,
                Repeat::Safe,
                jitter,
            )
        };
        assert_eq!(at(1, 1.0), Next::Pause(Duration::from_secs(2)));
        assert_eq!(at(3, 1.0), Next::Pause(Duration::from_secs(8)));
        assert_eq!(at(29, 1.0), Next::Pause(CAP));
        assert_eq!(at(29, 0.0), Next::Pause(LIMIT_LEAST));
        assert_eq!(at(30, 1.0), Next::Stop);
    }

    #[test]
    fn a_stored_answer_is_final() {
        let replayed = [("idempotent-replayed", "true")];
        for status in [429, 500] {
            assert_eq!(
                after(&answer(status, &replayed, ""), Repeat::Safe),
                Next::Stop,
                "{status}"
            );
        }
    }

    #[test]
    fn the_named_wait_comes_from_header_then_message() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let message = "Try again in 7 seconds.";
        for (headers, message, seconds) in [
            (vec![("retry-after", "3")], message, 3.0),
            (vec![("retry-after", "2.5")], message, 2.5),
            (
                vec![("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"), date],
                message,
                60.0,
            ),
            (
                vec![("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"), date],
                message,
                1.0,
            ),
            // A date is useless without the answer's own.
            (
                vec![("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")],
                message,
                7.0,
            ),
            (vec![("retry-after", "soon")], message, 7.0),
            (vec![("retry-after", "-1")], message, 7.0),
            (vec![("retry-after", "NaN")], message, 7.0),
            (vec![("x-ratelimit-reset", "4")], message, 4.0),
            (vec![("x-ratelimit-reset", "784111787"), date], message, 120.0),
            (vec![("x-ratelimit-reset", "1e300")], message, 7.0),
            (vec![("retry-after", "99999999999999999999")], message, 120.0),
            (vec![], message, 7.0),
            (vec![], "0 seconds", 1.0),
        ] {
            let wait = Next::Pause(Duration::from_secs_f64(seconds));
            assert_eq!(
                after(&answer(429, &headers, message), Repeat::Safe),
                wait,
                "{headers:?} {message}"
            );
        }
        let busy = answer(503, &[("retry-after", "9")], "");
        assert_eq!(after(&busy, Repeat::Safe), Next::Wait(Duration::from_secs(9)));
        let talkative = answer(500, &[], "failed after 40 seconds");
        assert_eq!(
            after(&talkative, Repeat::Safe),
            Next::Wait(Duration::from_millis(250))
        );
    }

    #[test]
    fn delays_in_words() {
        for (message, seconds) in [
            ("Try again in 7 seconds.", Some(7.0)),
            ("try again in 7", Some(7.0)),
            ("Limit of 600 per 1 minute reached. Try again in 12s", Some(12.0)),
            ("Please wait 1 minute and 30 seconds", Some(90.0)),
            ("Retry after 500 ms", Some(0.5)),
            ("Retry in 2 mins.", Some(120.0)),
            ("Too many requests (600). 5 seconds left", Some(5.0)),
            ("Too many requests: 600", None),
            ("Try again later", None),
            ("Try again in 1.2.3 seconds", None),
            ("", None),
        ] {
            assert_eq!(
                words_wait(message),
                seconds.map(Duration::from_secs_f64),
                "{message}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_answer_makes_it_wait_longer_than_the_cap_or_panic(
            value in "[0-9]{1,400}|[a-zA-Z0-9 ,:.+-]*|[A-Z][a-z]{2}, [0-9]{2} Nov [0-9]{4} [0-9]+:[0-9]+:[0-9]+ GMT",
            message in "(try again in )?([0-9.]{0,40} ?(s|ms|minutes|x)?[, ]?){0,9}",
            status in 400_u16..600,
        ) {
            let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
            for name in ["retry-after", "x-ratelimit-reset", "date"] {
                let given = answer(status, &[(name, &value), date], &message);
                if let Next::Wait(time) | Next::Pause(time) = after(&given, Repeat::Safe) {
                    proptest::prop_assert!(time <= CAP);
                }
            }
        }
    }
}
