//! A scripted transport for tests: gives answers in order, and records requests
//! and their times.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::client::{Client, Options};
use super::transport::{Request, Response, Sending, Target, Transport, TransportError};
use super::version::Version;
use crate::core::value::PlatformId;

/// Decides the answer from the number of earlier requests.
type Rule = Box<dyn Fn(usize, &Request) -> Result<Response, TransportError> + Send + Sync>;

/// The transport.
pub(super) struct Script {
    rule: Rule,
    /// How long every answer takes.
    latency: Duration,
    begin: Instant,
    seen: Mutex<Vec<(Duration, Request)>>,
}

impl Script {
    /// Answers by a rule, at once.
    pub(super) fn by(
        rule: impl Fn(usize, &Request) -> Result<Response, TransportError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::slowly(Duration::ZERO, rule)
    }

    /// Answers by a rule, after a delay.
    pub(super) fn slowly(
        latency: Duration,
        rule: impl Fn(usize, &Request) -> Result<Response, TransportError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            rule: Box::new(rule),
            latency,
            begin: Instant::now(),
            seen: Mutex::new(Vec::new()),
        })
    }

    /// Gives these answers in order; a further request is a failure.
    pub(super) fn of(answers: impl IntoIterator<Item = Result<Response, TransportError>>) -> Arc<Self> {
        let left: Mutex<VecDeque<_>> = Mutex::new(answers.into_iter().collect());
        Self::by(move |_, request| {
            let next = left.lock().unwrap().pop_front();
            next.unwrap_or_else(|| panic!("no answer left for {request:?}"))
        })
    }

    /// A client for it in this version, for the platform `biz_p1`.
    pub(super) fn client(self: &Arc<Self>, version: &str) -> Client {
        self.client_with(version, Options::default())
    }

    /// The same without a limit on requests per minute.
    pub(super) fn unlimited(self: &Arc<Self>, version: &str) -> Client {
        let per_minute: Option<NonZeroU32> = None;
        self.client_with(
            version,
            Options {
                per_minute,
                ..Options::default()
            },
        )
    }

    pub(super) fn client_with(self: &Arc<Self>, version: &str, options: Options) -> Client {
        let version = Version::parse(version).unwrap();
        let platform = PlatformId::parse("biz_p1").unwrap();
        Client::new(Arc::clone(self) as Arc<dyn Transport>, version, platform, options)
    }

    /// The requests so far.
    pub(super) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().iter().map(|(_, r)| r.clone()).collect()
    }

    /// The requests so far, as `METHOD path`.
    pub(super) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(line).collect()
    }

    /// When the requests were sent, since the script was created.
    pub(super) fn times(&self) -> Vec<Duration> {
        self.seen.lock().unwrap().iter().map(|(time, _)| *time).collect()
    }
}

impl Transport for Script {
    fn send(&self, request: Request) -> Sending<'_> {
        Box::pin(async move {
            let nth = {
                let mut seen = self.seen.lock().unwrap();
                seen.push((self.begin.elapsed(), request.clone()));
                seen.len() - 1
            };
            if !self.latency.is_zero() {
                tokio::time::sleep(self.latency).await;
            }
            (self.rule)(nth, &request)
        })
    }
}

/// `METHOD path`.
pub(super) fn line(request: &Request) -> String {
    let (Target::Api(at) | Target::Storage(at) | Target::Picture(at)) = &request.target;
    format!("{} {at}", request.method.as_str())
}

/// The value of a request's header.
pub(super) fn header_of<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let found = request.headers.iter().find(|(n, _)| n == name);
    found.map(|(_, value)| value.as_str())
}

/// The body as text.
pub(super) fn body_of(request: &Request) -> &str {
    std::str::from_utf8(&request.body).unwrap()
}

/// An answer.
pub(super) fn answer(status: u16, body: impl Into<String>) -> Result<Response, TransportError> {
    Ok(Response {
        status,
        headers: Vec::new(),
        body: Bytes::from(body.into()),
    })
}

/// An error answer with this code and message.
pub(super) fn refusal(status: u16, code: &str, message: &str) -> Result<Response, TransportError> {
    answer(
        status,
        format!(r#"{{"error":{{"type":"t","code":"{code}","message":"{message}"}}}}"#),
    )
}

/// No answer after the request was sent.
pub(super) fn silence() -> Result<Response, TransportError> {
    Err(TransportError::NoAnswer("cut".to_owned()))
}

/// No connection.
pub(super) fn unsent() -> Result<Response, TransportError> {
    Err(TransportError::NotSent("refused".to_owned()))
}
