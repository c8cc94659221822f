//! Things that go wrong, by script.
//!
//! A [`Fault`] names the requests it waits for and what befalls them. It is
//! plain data, so a test writes it down and a script file can hold it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ids::SplitMix;
use super::operation::Operation;
use super::records::Fate;
use super::refusal::Refusal;
use super::request::Call;
use crate::remote::transport::Response;

/// Which requests are hit, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only this operation; `None` is every one.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// Only requests with this text in their path, query or body.
    #[serde(default)]
    pub containing: Option<String>,
    /// So many matching requests pass first.
    #[serde(default)]
    pub skip: u64,
    /// So many are hit after those; `None` for all that follow.
    #[serde(default = "once")]
    pub count: Option<u64>,
    /// The chance, in a hundred, that one of those is hit.
    #[serde(default = "always")]
    pub chance: u8,
    /// What befalls them.
    pub strike: Strike,
}

/// What befalls a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Strike {
    /// Nothing is done, and this is the answer.
    Answer {
        /// HTTP status.
        status: u16,
        /// The body; `None` is an error in the API's own shape.
        #[serde(default)]
        body: Option<String>,
        /// Further headers; a `content-type` here replaces the usual one.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// Nothing is done, and a proxy answers in HTML.
    Html {
        /// HTTP status.
        status: u16,
    },
    /// Nothing is done: too many requests.
    Limited {
        /// How long to wait, in seconds.
        seconds: u64,
        /// Whether `Retry-After` says so.
        #[serde(default)]
        header: bool,
        /// Whether the message says so.
        #[serde(default = "yes")]
        message: bool,
    },
    /// Nothing is done, and the answer is this many bytes of nothing.
    Oversized {
        /// The body's size in bytes.
        bytes: usize,
    },
    /// Nothing is done, and the connection is closed without an answer.
    ResetBefore,
    /// It is done, and the connection is closed without an answer.
    ResetAfter,
    /// It is done, but the answer says that something failed.
    AnswerAfter {
        /// HTTP status.
        status: u16,
    },
    /// It is done at once, and answered late.
    Slow {
        /// How much later, in milliseconds.
        millis: u64,
    },
    /// The connection is closed without an answer, and it is done later: who
    /// looks in between finds nothing.
    Late {
        /// How much later, in milliseconds.
        millis: u64,
    },
    /// It is done, and half of the answer's body arrives.
    Truncated,
    /// Lists of accounts leave out what was made lately.
    Stale {
        /// How lately, in seconds.
        seconds: u64,
    },
    /// The page of a list leaves out its first entries, as paging by position
    /// does when earlier entries go away meanwhile.
    PageSkips {
        /// How many.
        entries: usize,
    },
    /// The page of a list begins with the last entries of the page before it,
    /// as paging by position does when earlier entries are added meanwhile.
    PageRepeats {
        /// How many.
        entries: usize,
    },
    /// As soon as the page of a list is answered, somebody else's program adds
    /// an account to it.
    PageGrows,
    /// The file made or filled will fail.
    FileFails,
    /// The file made or filled will be processed for ever.
    FileStalls,
    /// The file's upload URL is too old from the beginning.
    UrlExpires,
    /// Nothing is done, and this refusal is remembered under the idempotency
    /// key, so that every repeat within a day meets it again.
    Refused {
        /// HTTP status.
        status: u16,
    },
    /// The server dies in the middle: no answer, and 409 for the idempotency
    /// key until that expires.
    DiesInProgress {
        /// Whether it was done before.
        acts: bool,
    },
}

impl Strike {
    /// What it is called in a script.
    pub(super) fn kind(&self) -> String {
        let shown = serde_json::to_value(self).unwrap_or_default();
        shown["kind"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether the answer is still the emulator's own.
    pub(super) fn lets_speak(&self) -> bool {
        use Strike as S;
        match self {
            S::Slow { .. }
            | S::Stale { .. }
            | S::PageSkips { .. }
            | S::PageRepeats { .. }
            | S::PageGrows
            | S::FileFails
            | S::FileStalls
            | S::UrlExpires => true,
            S::Answer { .. }
            | S::Html { .. }
            | S::Limited { .. }
            | S::Oversized { .. }
            | S::ResetBefore
            | S::ResetAfter
            | S::AnswerAfter { .. }
            | S::Late { .. }
            | S::Truncated
            | S::Refused { .. }
            | S::DiesInProgress { .. } => false,
        }
    }
}

/// Faults, and the seed behind their chances.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Equal seeds hit the same requests.
    #[serde(default)]
    pub seed: u64,
    /// The faults; the first that is due hits.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

/// Most faults strike one request.
fn once() -> Option<u64> {
    Some(1)
}

/// Most faults leave nothing to chance.
fn always() -> u8 {
    100
}

/// Whop's 429 says in its message how long to wait.
fn yes() -> bool {
    true
}

impl Fault {
    /// Hits the next request of this operation, once.
    pub fn next(operation: Operation, strike: Strike) -> Self {
        Self {
            operation: Some(operation),
            containing: None,
            skip: 0,
            count: once(),
            chance: always(),
            strike,
        }
    }

    /// Lets so many matching requests pass first.
    #[must_use]
    pub fn skip(self, skip: u64) -> Self {
        Self { skip, ..self }
    }

    /// Hits so many.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        let count = Some(count);
        Self { count, ..self }
    }

    /// Hits all that follow.
    #[must_use]
    pub fn forever(self) -> Self {
        Self { count: None, ..self }
    }

    /// Hits only requests with this text in them.
    #[must_use]
    pub fn containing(self, text: &str) -> Self {
        let containing = Some(text.to_owned());
        Self { containing, ..self }
    }

    /// Whether this request is one that the fault waits for.
    fn matches(&self, operation: Operation, call: &Call) -> bool {
        let text = |text: &String| {
            let mut windows = call.body.windows(text.len().max(1));
            call.path.contains(text.as_str()) || windows.any(|window| window == text.as_bytes())
        };
        self.operation.is_none_or(|wanted| wanted == operation) && self.containing.as_ref().is_none_or(text)
    }
}

/// The faults in force, and how far each has come.
#[derive(Debug)]
pub(super) struct Faults {
    waiting: Vec<Waiting>,
    random: SplitMix,
}

#[derive(Debug)]
struct Waiting {
    fault: Fault,
    /// How many matching requests came.
    seen: u64,
    /// How many of them it hit.
    hit: u64,
}

impl Faults {
    /// None yet.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            waiting: Vec::new(),
            random: SplitMix::new(seed),
        }
    }

    /// Adds one behind the others.
    pub(super) fn add(&mut self, fault: Fault) {
        self.waiting.push(Waiting {
            fault,
            seen: 0,
            hit: 0,
        });
    }

    /// What befalls this request. Every fault counts the requests it matches,
    /// also those that another one hits.
    pub(super) fn strike(&mut self, operation: Operation, call: &Call) -> Option<Strike> {
        let mut struck = None;
        for waiting in &mut self.waiting {
            let fault = &waiting.fault;
            if !fault.matches(operation, call) {
                continue;
            }
            waiting.seen += 1;
            let due = waiting.seen > fault.skip && fault.count.is_none_or(|count| waiting.hit < count);
            if struck.is_some() || !due {
                continue;
            }
            // A sure fault uses up no chance, so adding one shifts no other.
            if fault.chance >= 100 || self.random.next() % 100 < u64::from(fault.chance) {
                waiting.hit += 1;
                struck = Some(fault.strike.clone());
            }
        }
        struck
    }
}

/// The answer of a fault that keeps the request from being carried out.
pub(super) fn instead(strike: &Strike) -> Option<Response> {
    Some(match strike {
        Strike::Answer {
            status,
            body,
            headers,
        } => {
            let json = || failure(*status).to_string();
            let body = body.clone().unwrap_or_else(json);
            let lower = |(name, value): (&String, &String)| (name.to_ascii_lowercase(), value.clone());
            let mut all: BTreeMap<String, String> = headers.iter().map(lower).collect();
            all.entry("content-type".to_owned())
                .or_insert_with(|| "application/json".to_owned());
            Response {
                status: *status,
                headers: all.into_iter().collect(),
                body: body.into(),
            }
        }
        Strike::Html { status } => plain(
            *status,
            "text/html",
            format!("<html><head><title>{status}</title></head><body>{status}</body></html>").into(),
        ),
        Strike::Limited {
            seconds,
            header,
            message,
        } => {
            let refusal = Refusal::limited(*seconds);
            let mut body = refusal.body(false);
            if !message {
                body["error"]["message"] = json!("Too many requests");
            }
            let mut answer = plain(429, "application/json", body.to_string().into());
            if *header {
                let value = ("retry-after".to_owned(), seconds.to_string());
                answer.headers.push(value);
            }
            answer
        }
        Strike::Oversized { bytes } => plain(200, "application/json", vec![b' '; *bytes].into()),
        _ => return None,
    })
}

/// An error body in the API's shape for any status.
pub(super) fn failure(status: u16) -> serde_json::Value {
    let kind = match status {
        400..=499 => "invalid_request_error",
        _ => "internal_server_error",
    };
    json!({ "error": { "type": kind, "message": "Something went wrong" } })
}

/// An answer with nothing but a type and a body.
fn plain(status: u16, kind: &str, body: Bytes) -> Response {
    Response {
        status,
        headers: vec![("content-type".to_owned(), kind.to_owned())],
        body,
    }
}

/// What faults change about an operation that is otherwise carried out.
#[derive(Clone, Debug, Default)]
pub(super) struct Twist {
    /// Lists leave out what was made in so many last milliseconds.
    pub(super) stale: u64,
    /// How the page of a list is out of place.
    pub(super) shift: Shift,
    /// Whether a list gets one more account once it is answered.
    pub(super) grows: bool,
    /// What becomes of the file made or filled.
    pub(super) fate: Fate,
    /// The upload URL made is already too old.
    pub(super) expired: bool,
}

/// How the page of a list is out of place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shift {
    /// Not at all.
    #[default]
    None,
    /// So many of its first entries are left out.
    Skip(usize),
    /// So many of the entries before it come again.
    Repeat(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(path: &str) -> Call {
        Call {
            method: "GET".to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::from_static(b"{\"name\":\"Ana\"}"),
            origin: String::new(),
        }
    }

    #[test]
    fn faults_wait_hit_and_are_used_up() {
        let mut faults = Faults::new(0);
        let fault = Fault::next(Operation::UpdateUser, Strike::ResetAfter);
        faults.add(fault.skip(1).times(2).containing("Ana"));
        let mut hits = |operation, path| faults.strike(operation, &call(path)).is_some();
        assert!(!hits(Operation::RetrieveUser, "/"));
        let run: Vec<bool> = (0..5).map(|_| hits(Operation::UpdateUser, "/")).collect();
        assert_eq!(run, [false, true, true, false, false]);
    }

    #[test]
    fn chance_comes_from_the_seed() {
        let run = |seed| {
            let mut faults = Faults::new(seed);
            let sometimes = Fault {
                chance: 30,
                ..Fault::next(Operation::ListAccounts, Strike::ResetBefore).forever()
            };
            faults.add(sometimes);
            let hits = (0..1_000).map(|_| faults.strike(Operation::ListAccounts, &call("/")).is_some());
            hits.collect::<Vec<bool>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let hits = run(1).into_iter().filter(|hit| *hit).count();
        assert!((250..350).contains(&hits), "{hits} of 1000");
    }

    #[test]
    fn scripts_are_plain_data() {
        let text = r#"{"seed": 4, "faults": [
            {"operation": "list_accounts", "strike": {"kind": "limited", "seconds": 3, "header": true}},
            {"count": null, "chance": 5, "strike": {"kind": "html", "status": 502}}
        ]}"#;
        let script: Script = serde_json::from_str(text).unwrap();
        assert_eq!(script.faults[0].count, Some(1));
        assert_eq!(script.faults[1].count, None);
        let limited = instead(&script.faults[0].strike).unwrap();
        assert_eq!((limited.status, limited.header("retry-after")), (429, Some("3")));
        for bad in [
            r#"{"strike": {"kind": "html", "status": 502, "x": 1}}"#,
            r#"{"strike": {"kind": "no"}}"#,
        ] {
            assert!(serde_json::from_str::<Fault>(bad).is_err(), "{bad}");
        }
    }
}
