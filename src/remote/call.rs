//! The life of a call: get a permit, send, classify the response, retry. What
//! is asked and answered is the subject of the neighbouring files.
//!
//! A failed call says what it may have done on Whop. Over several attempts this
//! is the sum of them: a lost attempt leaves a doubt, which only an answer that
//! covers the lost attempt can remove. For a create under an idempotency key,
//! that is any answer that was given after looking at the key. For other writes
//! there is none, since a refusal of the second attempt says nothing about the
//! first.

use std::time::Duration;

use bytes::Bytes;
use serde::de::{Deserialize, DeserializeOwned};
use tokio::time::Instant;
use tracing::debug;

use super::client::{Client, Permit};
use super::error::{Asked, CallError, CallErrorKind, Effect};
use super::operation::Operation;
use super::retry::{self, FailureCounts, Next, Repeat};
use super::transport::{Method, Request, Response, Target, TransportError};
use super::version::Version;
use crate::core::model::Dialect;
use crate::core::report::Trace;

/// The content of an answer, and which answer it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered<T> {
    /// The content.
    pub value: T,
    /// Its status and id.
    pub trace: Trace,
}

impl<T> Answered<T> {
    pub(super) fn new(value: T, answer: &Response) -> Self {
        Self {
            value,
            trace: trace(answer),
        }
    }
}

/// An answer's status and id.
pub(super) fn trace(answer: &Response) -> Trace {
    Trace {
        status: Some(answer.status),
        request_id: super::error::request_id(answer),
    }
}

/// The client's `user-agent`.
const USER_AGENT: &str = concat!("whop-sync/", env!("CARGO_PKG_VERSION"));

/// One call with fixed bytes: every attempt sends the same.
pub(super) struct Call<'a> {
    /// The operation whose budget it uses.
    pub(super) operation: Operation,
    /// The API version in its headers.
    pub(super) version: &'a Version,
    /// Whether sending it twice could have two effects.
    pub(super) repeat: Repeat,
    /// What every attempt sends.
    pub(super) request: Request,
}

impl Call<'_> {
    /// Whether the server remembers the idempotency key, so that a later answer
    /// also covers earlier attempts
    /// ([idempotency](crate::whop_api#idempotency)).
    fn is_keyed(&self) -> bool {
        self.request.method == Method::Post && self.version.dialect() == Dialect::Accounts
    }
}

impl Client {
    /// A request to the API with the standard headers.
    pub(super) fn request(&self, method: Method, path: String, body: Option<Bytes>) -> Request {
        self.request_in(self.version(), method, path, body)
    }

    /// Like [`Client::request`], for a call prepared in another version.
    pub(super) fn request_in(
        &self,
        version: &Version,
        method: Method,
        path: String,
        body: Option<Bytes>,
    ) -> Request {
        let mut headers = vec![
            header("api-version-date", version.as_str()),
            header("accept", "application/json"),
            header("user-agent", USER_AGENT),
        ];
        if body.is_some() {
            headers.push(header("content-type", "application/json"));
        }
        Request {
            method,
            target: Target::Api(path),
            headers,
            body: body.unwrap_or_default(),
        }
    }

    /// A call in the client's own version that may be repeated.
    pub(super) fn repeatable(&self, operation: Operation, request: Request) -> Call<'_> {
        Call {
            operation,
            version: self.version(),
            repeat: Repeat::Safe,
            request,
        }
    }

    /// The context for this call's errors.
    pub(super) fn about<'a>(&'a self, call: &Call<'a>) -> Asked<'a> {
        self.asked(call.operation, call.version, call.request.method == Method::Get)
    }

    /// Like [`Client::about`], before the call exists.
    pub(super) fn asked<'a>(&self, operation: Operation, version: &'a Version, reads: bool) -> Asked<'a> {
        Asked {
            operation: operation.name(version.dialect()),
            reads,
            version: version.as_str(),
            version_proven: self.is_proven(version),
        }
    }

    /// Sends the call and parses the answer's JSON.
    ///
    /// # Errors
    /// Those of [`Client::call`], and JSON of another shape. For a write, the
    /// latter means that it has probably been carried out.
    pub(super) async fn fetch<T: DeserializeOwned>(
        &self,
        permit: Option<Permit>,
        call: &Call<'_>,
    ) -> Result<T, CallError> {
        let answer = self.call(permit, call).await?;
        self.read(call, &answer)
    }

    /// Parses an answer's JSON, which may borrow from it.
    ///
    /// # Errors
    /// On JSON of another shape.
    pub(super) fn read<'b, T: Deserialize<'b>>(
        &self,
        call: &Call<'_>,
        answer: &'b Response,
    ) -> Result<T, CallError> {
        serde_json::from_slice(&answer.body).map_err(|why| {
            self.about(call)
                .malformed(answer, &format!("the answer is not as documented: {why}"))
        })
    }

    /// Sends until an answer is final; `Ok` is a 2xx. The permit is for the
    /// first attempt. A call without one waits for a permit like all others,
    /// and so does every further attempt, with the same rank.
    ///
    /// # Errors
    /// The last failure, with the combined effect of all attempts.
    pub(super) async fn call(&self, permit: Option<Permit>, call: &Call<'_>) -> Result<Response, CallError> {
        let mut permit = permit;
        let mut failures = FailureCounts::default();
        let mut doubt = Effect::None;
        let mut last = None;
        for attempt in 1.. {
            let asked = Instant::now();
            let Ok(permit) = self.permit(permit.take(), call.operation).await else {
                break;
            };
            let log = RequestLog::new(call, attempt, asked);
            let (sent, outcome) = self.send(permit, call).await;
            let (mut failure, answer) = match outcome {
                Ok(answer) => {
                    log.write(&sent, Next::Stop);
                    return Ok(answer);
                }
                Err(failed) => *failed,
            };
            // A doubt remains over later attempts until an answer covers them
            // all.
            if failure.effect == Effect::Unknown {
                doubt = Effect::Unknown;
            } else if failure.settles() && call.is_keyed() {
                doubt = Effect::None;
            }
            // The decision below must take earlier attempts into account.
            failure.effect = doubt;
            failures.count(failure.kind);
            let next = retry::next(
                &failure,
                answer.as_ref(),
                failures,
                self.attempts(),
                call.repeat,
                self.jitter(),
            );
            log.write(&sent, next);
            match next {
                Next::Stop => return Err(failure),
                Next::Pause(time) => self.budget(call.operation).pause(time),
                Next::Wait(time) => self.wait(time).await,
            }
            last = Some(failure);
        }
        Err(self.stopped(call, last, doubt))
    }

    /// A single attempt, for probes, which accept any status. `Err` says why
    /// there is no answer.
    pub(super) async fn send_once(&self, call: &Call<'_>) -> Result<Response, String> {
        let asked = Instant::now();
        let permit = self
            .admit(call.operation)
            .await
            .map_err(|stopped| stopped.message)?;
        let log = RequestLog::new(call, 1, asked);
        let outcome = self.transmit(permit, call.request.clone()).await;
        log.write(&SendSummary::of(&outcome), Next::Stop);
        outcome.map_err(|lost| lost.to_string())
    }

    /// A single attempt. A failure comes with its answer, whose headers may say
    /// when to retry. The summary for the log is always returned.
    async fn send(&self, permit: Permit, call: &Call<'_>) -> (SendSummary, Attempt) {
        let outcome = self.transmit(permit, call.request.clone()).await;
        (SendSummary::of(&outcome), self.judge(outcome, call))
    }

    /// Whether an answer is a success.
    fn judge(&self, outcome: Result<Response, TransportError>, call: &Call<'_>) -> Attempt {
        let about = self.about(call);
        let mut answer = outcome.map_err(|lost| Box::new((about.lost(&lost), None)))?;
        let of_whop = matches!(call.request.target, Target::Api(_));
        if (200..300).contains(&answer.status) {
            if of_whop {
                self.prove(call.version);
            }
            return Ok(answer);
        }
        if !of_whop {
            // Storage's error messages quote the signature that was sent.
            answer.body = Bytes::new();
        }
        Err(Box::new((about.refused(&answer), Some(answer))))
    }

    /// The client was stopped, after `last` if there was an attempt.
    fn stopped(&self, call: &Call<'_>, last: Option<CallError>, doubt: Effect) -> CallError {
        let about = self.about(call);
        match last {
            None => about.failed(CallErrorKind::Stopped, "stopped before it was sent", Effect::None),
            Some(last) => CallError {
                kind: CallErrorKind::Stopped,
                message: format!("stopped before another attempt, after: {}", last.message),
                effect: doubt,
                ..last
            },
        }
    }
}

/// A header, for building lists.
pub(super) fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// A success, or a failure with its answer.
type Attempt = Result<Response, Box<(CallError, Option<Response>)>>;

/// The outcome of sending a request, for the log: never headers, bodies or
/// URLs.
struct SendSummary {
    outcome: &'static str,
    status: Option<u16>,
    request_id: Option<String>,
}

impl SendSummary {
    fn of(outcome: &Result<Response, TransportError>) -> Self {
        let answer = outcome.as_ref().ok();
        Self {
            outcome: match outcome {
                Ok(_) => "answered",
                Err(TransportError::NotSent(_)) => "not_sent",
                Err(TransportError::NoAnswer(_)) => "no_answer",
                Err(TransportError::TooLarge(_)) => "too_large",
                Err(TransportError::Forbidden(_)) => "not_allowed",
            },
            status: answer.map(|answer| answer.status),
            request_id: answer.and_then(super::error::request_id),
        }
    }
}

/// A request in progress, for the log line written at its end.
struct RequestLog {
    method: &'static str,
    operation: &'static str,
    attempt: u32,
    /// How long it waited for a permit: for the budget, for a pause that Whop
    /// asked for, or for a place among the requests in flight.
    queued: Duration,
    began: Instant,
}

impl RequestLog {
    /// A request that may go now and was `asked` for earlier.
    fn new(call: &Call<'_>, attempt: u32, asked: Instant) -> Self {
        let began = Instant::now();
        Self {
            method: call.request.method.as_str(),
            operation: call.operation.name(call.version.dialect()),
            attempt,
            queued: began - asked,
            began,
        }
    }

    /// Logs how it ended and what is waited for before the next attempt.
    fn write(self, sent: &SendSummary, next: Next) {
        let (wait, time) = match next {
            Next::Stop => ("none", Duration::ZERO),
            Next::Wait(time) => ("fault", time),
            Next::Pause(time) => ("limit", time),
        };
        // Milliseconds are precise enough; the cast fits.
        let millis = |time: Duration| time.as_millis() as u64;
        debug!(
            method = self.method,
            operation = self.operation,
            attempt = self.attempt,
            outcome = sent.outcome,
            status = sent.status,
            request_id = sent.request_id.as_deref(),
            queued_ms = millis(self.queued),
            took_ms = millis(self.began.elapsed()),
            wait,
            wait_ms = millis(time),
            "request"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::ProfileUpdate;
    use super::super::script::{Script, answer, body_of, header_of, refusal, silence, unsent};
    use super::*;
    use crate::core::model::PreparedCall;
    use crate::core::value::{DisplayName, UserId};

    const NEW: &str = "2026-10-15-1";
    const OLD: &str = "2025-01-01";
    const ACCOUNT: &str = r#"{"id":"biz_c1","owner":{"id":"user_a1"},"owner_user":{"id":"user_a1"}}"#;

    fn prepared(version: &str) -> PreparedCall {
        PreparedCall {
            version: version.to_owned(),
            idempotency_key: "k1".to_owned(),
            body: "{}".to_owned(),
        }
    }

    /// Sends a create that gets these answers.
    async fn create(
        version: &str,
        answers: Vec<Result<Response, TransportError>>,
    ) -> (Arc<Script>, Result<(), CallError>) {
        let script = Script::of(answers);
        let client = script.client(version);
        let permit = client.admit(Operation::CreateAccount).await.unwrap();
        let outcome = client.create_account(permit, &prepared(version)).await;
        (script, outcome.map(drop))
    }

    #[tokio::test(start_paused = true)]
    async fn every_request_names_version_and_program_and_not_the_key() {
        let (script, outcome) = create(NEW, vec![answer(201, ACCOUNT)]).await;
        assert_eq!(outcome, Ok(()));
        let request = &script.seen()[0];
        let expected = [
            ("api-version-date", NEW),
            ("accept", "application/json"),
            ("user-agent", USER_AGENT),
            ("content-type", "application/json"),
            ("idempotency-key", "k1"),
        ];
        assert_eq!(request.headers, expected.map(|(name, value)| header(name, value)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_effect_of_a_failed_create() {
        use CallErrorKind as K;
        use Effect::{None as Nothing, Unknown};
        let forbidden = || refusal(403, "", "no");
        let busy = || refusal(409, "idempotency_request_in_progress", "still running");
        let limited = || refusal(429, "", "Try again in 1 second.");
        let many = |of: &dyn Fn() -> Result<Response, TransportError>, count| {
            (0..count).map(|_| of()).collect::<Vec<_>>()
        };
        // Version, answers, and the outcome: requests, kind, effect.
        for (version, answers, sent, kind, effect) in [
            (NEW, vec![forbidden()], 1, K::Forbidden, Nothing),
            (NEW, vec![refusal(400, "", "bad email")], 1, K::Refused, Nothing),
            (NEW, many(&unsent, 6), 6, K::Network, Nothing),
            (NEW, many(&silence, 6), 6, K::Network, Unknown),
            (NEW, many(&|| refusal(500, "", "oops"), 6), 6, K::Server, Unknown),
            (NEW, many(&limited, 30), 30, K::RateLimited, Nothing),
            (NEW, many(&busy, 6), 6, K::InProgress, Unknown),
            (
                NEW,
                vec![refusal(400, "idempotency_key_mismatch", "x")],
                1,
                K::KeyMismatch,
                Unknown,
            ),
            (NEW, vec![answer(200, "<html>")], 1, K::Malformed, Unknown),
            (
                NEW,
                vec![Err(TransportError::TooLarge(9))],
                1,
                K::Malformed,
                Unknown,
            ),
            (NEW, vec![answer(302, "")], 1, K::Malformed, Unknown),
            // An answer under the same key covers the lost attempt too,
            (NEW, vec![silence(), forbidden()], 2, K::Forbidden, Nothing),
            (
                NEW,
                vec![silence(), busy(), refusal(409, "", "taken")],
                3,
                K::Conflict,
                Nothing,
            ),
            // unless it was given before the key was looked at.
            (
                NEW,
                vec![silence(), refusal(401, "", "no")],
                2,
                K::Unauthorized,
                Unknown,
            ),
            (
                NEW,
                [vec![silence()], many(&unsent, 5)].concat(),
                6,
                K::Network,
                Unknown,
            ),
            (
                NEW,
                [vec![silence()], many(&limited, 30)].concat(),
                31,
                K::RateLimited,
                Unknown,
            ),
            // Without a remembered key, nothing that may have happened is
            // repeated.
            (OLD, vec![silence()], 1, K::Network, Unknown),
            (OLD, vec![refusal(502, "", "")], 1, K::Server, Unknown),
            (OLD, vec![unsent(), limited(), silence()], 3, K::Network, Unknown),
            (
                OLD,
                vec![unsent(), limited(), refusal(422, "", "no")],
                3,
                K::Refused,
                Nothing,
            ),
        ] {
            let shown = format!("{version} {answers:?}");
            let (script, outcome) = create(version, answers).await;
            let error = outcome.expect_err(&shown);
            assert_eq!((error.kind, error.effect), (kind, effect), "{shown}");
            assert_eq!(script.seen().len(), sent, "{shown}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_lost_and_then_refused_may_have_happened() {
        let script = Script::of([silence(), refusal(403, "", "no")]);
        let client = script.client(NEW);
        let user = UserId::parse("user_a1").unwrap();
        let name = DisplayName::parse("Ana").unwrap();
        let update = ProfileUpdate::new(client.platform(), &user, Some(&name), None).unwrap();
        let permit = client.admit(Operation::UpdateUser).await.unwrap();
        let error = client.update_profile(permit, &update).await.unwrap_err();
        assert_eq!(
            (error.kind, error.effect),
            (CallErrorKind::Forbidden, Effect::Unknown)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn every_attempt_sends_the_same_bytes() {
        let troubles = [
            silence(),
            refusal(503, "", ""),
            refusal(429, "", "Try again in 9 seconds."),
        ];
        let (script, outcome) = create(NEW, [&troubles[..], &[answer(200, ACCOUNT)]].concat()).await;
        assert_eq!(outcome, Ok(()));
        let seen = script.seen();
        assert_eq!(seen.len(), 4);
        assert!(seen.iter().all(|request| *request == seen[0]));
        assert_eq!(header_of(&seen[3], "idempotency-key"), Some("k1"));
        assert_eq!(body_of(&seen[3]), "{}");
        let times = script.times();
        assert_eq!(times[3] - times[2], Duration::from_secs(9));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_stop_nothing_new_is_sent() {
        let script = Script::slowly(Duration::from_secs(5), |_, _| silence());
        let client = script.client(NEW);
        let unused = client.admit(Operation::CreateAccount).await.unwrap();
        let running = tokio::spawn({
            let client = client.clone();
            async move {
                let permit = client.admit(Operation::CreateAccount).await?;
                client.create_account(permit, &prepared(NEW)).await
            }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.stop();
        // The request on the wire finishes and is not repeated.
        let error = running.await.unwrap().unwrap_err();
        assert_eq!(
            (error.kind, error.effect),
            (CallErrorKind::Stopped, Effect::Unknown)
        );
        assert!(error.message.contains("cut"), "{error}");
        // A permit given before the stop is void.
        let error = client.create_account(unused, &prepared(NEW)).await.unwrap_err();
        assert_eq!((error.kind, error.effect), (CallErrorKind::Stopped, Effect::None));
        let error = client.admit(Operation::ListAccounts).await.unwrap_err();
        assert_eq!(
            (error.kind, error.operation),
            (CallErrorKind::Stopped, "list_accounts")
        );
        assert_eq!(script.seen().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_version_is_blamed_at_first_but_not_once_it_has_worked() {
        let told = || refusal(400, "", "Unknown Api-Version-Date");
        let fine = || answer(200, r#"{"data":[],"page_info":{}}"#);
        let script = Script::of([told(), fine(), told()]);
        let client = script.client(NEW);
        let mut kinds = Vec::new();
        for _ in 0..3 {
            kinds.push(client.list_accounts().await.map(drop).map_err(|error| error.kind));
        }
        let expected = [
            Err(CallErrorKind::UnknownVersion),
            Ok(()),
            Err(CallErrorKind::Refused),
        ];
        assert_eq!(kinds, expected);
    }
}
