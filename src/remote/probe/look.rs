//! What the requests of the probes were answered with.

use serde_json::Value;

use super::super::error::ErrorBody;
use super::super::transport::Response;

/// What one GET was answered with.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    /// HTTP status; `None` where no answer came.
    pub(super) status: Option<u16>,
    /// The headers that a judgement may need.
    pub(super) request_id: bool,
    pub(super) ray: bool,
    pub(super) retry_after: bool,
    /// What the body says in JSON, null for anything else.
    pub(super) body: Value,
    /// The message and code of an error, or why there is no answer.
    pub(super) told: String,
    pub(super) code: String,
}

impl Look {
    pub(super) fn of(answer: &Response) -> Self {
        let told = ErrorBody::read(answer);
        Self {
            status: Some(answer.status),
            request_id: answer.header("x-request-id").is_some(),
            ray: answer.header("cf-ray").is_some(),
            retry_after: answer.header("retry-after").is_some(),
            body: serde_json::from_slice(&answer.body).unwrap_or(Value::Null),
            told: told.message,
            code: told.code,
        }
    }

    /// Whether it succeeded.
    pub(super) fn is_well(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// The entries of a page.
    pub(super) fn entries(&self) -> &[Value] {
        self.body["data"].as_array().map_or(&[], Vec::as_slice)
    }
}

/// What reading the list brought.
#[derive(Debug, Default)]
pub(super) struct List {
    /// The first page, twice.
    pub(super) first: Look,
    pub(super) again: Look,
    /// The last page that was read, and whether it is the list's last.
    pub(super) last: Look,
    pub(super) ended: bool,
    /// All entries that were read.
    pub(super) entries: Vec<Value>,
}
