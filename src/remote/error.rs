//! How a call can fail, and what that says about its effect.

use std::fmt;

use serde_json::Value;

use super::operation::{Operation, ROLE_ONLY};
use super::sanitize;
use super::transport::{Response, TransportError};
use crate::error::{Code, Error};

/// A call that failed, after all its retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The operation's name, such as `create_account`.
    pub operation: &'static str,
    /// The kind of failure.
    pub kind: CallErrorKind,
    /// The HTTP status of the last answer, if there was one.
    pub status: Option<u16>,
    /// What happened: Whop's own text if there is one. One line of at most 501
    /// characters without secrets or invisible characters.
    pub message: String,
    /// Whop's id of the request, if it gave one.
    pub request_id: Option<String>,
    /// Whether the call may have changed something on Whop.
    pub effect: Effect,
}

/// The kinds of failure that callers distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallErrorKind {
    /// 401: no key, a wrong one, or one of the other environment.
    Unauthorized,
    /// 403, or a 400 to the same effect: a scope or relation is missing.
    Forbidden,
    /// 404: unknown or invisible.
    NotFound,
    /// 409: the state does not allow it.
    Conflict,
    /// 409 `idempotency_request_in_progress`: an earlier request with this key
    /// is still running, or ended with an unknown outcome.
    InProgress,
    /// 400 `idempotency_key_mismatch`: the key was used for another request.
    KeyMismatch,
    /// 400 because of the value of `api-version-date`.
    UnknownVersion,
    /// 400, 422 or another refusal of the request.
    Refused,
    /// 429, even after waiting.
    RateLimited,
    /// 5xx.
    Server,
    /// No answer.
    Network,
    /// An invalid answer.
    Malformed,
    /// The client was stopped before the call could be sent or retried.
    Stopped,
}

/// The effect of a failed call on Whop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Certainly none.
    None,
    /// The request may have been carried out.
    Unknown,
}

/// The context in which an answer is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// The operation's name.
    pub(super) operation: &'static str,
    /// Whether the call only reads and so never has an effect.
    pub(super) reads: bool,
    /// The `api-version-date` sent.
    pub(super) version: &'a str,
    /// Whether Whop has accepted this version before. Then a 400 that mentions
    /// versions is about something else, such as a title.
    pub(super) version_proven: bool,
}

impl Asked<'_> {
    /// A failure without an answer from Whop.
    pub(super) fn failed(self, kind: CallErrorKind, message: &str, effect: Effect) -> CallError {
        CallError {
            operation: self.operation,
            kind,
            status: None,
            message: sanitize::clean(message),
            request_id: None,
            effect: if self.reads { Effect::None } else { effect },
        }
    }

    /// A call that was not sent because it is invalid.
    pub(super) fn invalid(self, message: &str) -> CallError {
        self.failed(CallErrorKind::Refused, message, Effect::None)
    }

    /// No complete answer arrived.
    pub(super) fn lost(self, lost: &TransportError) -> CallError {
        let (kind, effect) = match lost {
            TransportError::NotSent(_) => (CallErrorKind::Network, Effect::None),
            TransportError::NoAnswer(_) => (CallErrorKind::Network, Effect::Unknown),
            TransportError::TooLarge(_) => (CallErrorKind::Malformed, Effect::Unknown),
            TransportError::Forbidden(_) => (CallErrorKind::Refused, Effect::None),
        };
        self.failed(kind, &lost.to_string(), effect)
    }

    /// A successful answer with invalid content. The request has probably been
    /// carried out.
    pub(super) fn malformed(self, answer: &Response, why: &str) -> CallError {
        CallError {
            status: Some(answer.status),
            request_id: request_id(answer),
            ..self.failed(CallErrorKind::Malformed, why, Effect::Unknown)
        }
    }

    /// An answer that is not a success.
    pub(super) fn refused(self, answer: &Response) -> CallError {
        let told = ErrorBody::read(answer);
        let kind = self.kind(answer.status, &told);
        CallError {
            status: Some(answer.status),
            request_id: request_id(answer),
            ..self.failed(kind, &told.message, effect(kind))
        }
    }

    fn kind(self, status: u16, told: &ErrorBody) -> CallErrorKind {
        match (status, told.code.as_str()) {
            (400 | 409 | 422, "idempotency_key_mismatch") => CallErrorKind::KeyMismatch,
            (409, "idempotency_request_in_progress") => CallErrorKind::InProgress,
            (400, _) if self.is_about_version(told) => CallErrorKind::UnknownVersion,
            (401, _) => CallErrorKind::Unauthorized,
            (400, _) if told.is_about_permission() => CallErrorKind::Forbidden,
            (403, _) => CallErrorKind::Forbidden,
            (404 | 410, _) => CallErrorKind::NotFound,
            (409, _) => CallErrorKind::Conflict,
            (429, _) => CallErrorKind::RateLimited,
            // 408: the server gave up on the connection, not on the request.
            (408 | 500.., _) => CallErrorKind::Server,
            (400..=499, _) => CallErrorKind::Refused,
            // Redirects are never followed: the key must not go elsewhere.
            _ => CallErrorKind::Malformed,
        }
    }

    /// Whop documents that the message names the supported versions, but
    /// documents neither a type nor a code
    /// ([versions](crate::whop_api#versions)).
    fn is_about_version(self, told: &ErrorBody) -> bool {
        let message = told.message.to_lowercase();
        let named = message.contains("api-version-date")
            || message.contains("api version")
            || (message.contains("version") && message.contains(self.version));
        !self.version_proven && (named || told.code.contains("version"))
    }
}

/// What an answer of this kind says about the effect of a write.
fn effect(kind: CallErrorKind) -> Effect {
    match kind {
        CallErrorKind::Unauthorized
        | CallErrorKind::Forbidden
        | CallErrorKind::NotFound
        | CallErrorKind::Conflict
        | CallErrorKind::UnknownVersion
        | CallErrorKind::Refused
        | CallErrorKind::RateLimited
        | CallErrorKind::Stopped => Effect::None,
        // The request had no effect, but an earlier one with its key may have.
        CallErrorKind::InProgress | CallErrorKind::KeyMismatch => Effect::Unknown,
        CallErrorKind::Server | CallErrorKind::Network | CallErrorKind::Malformed => Effect::Unknown,
    }
}

/// The parts of an error answer. Each is optional, and a proxy may answer with
/// HTML ([errors and limits](crate::whop_api#errors-and-limits)).
pub(super) struct ErrorBody {
    /// The message, or else the raw text.
    pub(super) message: String,
    /// The code, empty if there is none.
    pub(super) code: String,
}

impl ErrorBody {
    /// Parses an error answer of any shape.
    pub(super) fn read(answer: &Response) -> Self {
        let whole: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        let error = &whole["error"];
        let message = [&error["message"], error, &whole["message"]]
            .into_iter()
            .find_map(Value::as_str)
            .filter(|message| !message.trim().is_empty());
        let message = match message {
            Some(message) => message.to_owned(),
            None if (300..400).contains(&answer.status) => "it redirects, which is never followed".to_owned(),
            None => raw_text(answer),
        };
        Self {
            message,
            code: error["code"].as_str().unwrap_or_default().to_owned(),
        }
    }
}

impl ErrorBody {
    /// Whether a 400 is about permissions, as with some endpoints ([errors and
    /// limits](crate::whop_api#errors-and-limits)).
    fn is_about_permission(&self) -> bool {
        let message = self.message.to_lowercase();
        message.contains("not authorized") || (message.contains("missing") && message.contains("permission"))
    }
}

/// How to get a key with these scopes.
pub fn where_to_get<S: AsRef<str>>(scopes: &[S]) -> &'static str {
    match scopes.iter().any(|scope| ROLE_ONLY.contains(&scope.as_ref())) {
        true => {
            "no custom key can have all of it, so use an API key with the Owner role, from Whop's dashboard under Developer"
        }
        false => {
            "add it to the key in Whop's dashboard under Developer, or use an API key with the Owner role"
        }
    }
}

/// The scopes that a message names, such as `company:balance:read`.
pub(super) fn scopes_in(message: &str) -> impl Iterator<Item = &str> {
    let in_scope = |c: char| c.is_ascii_lowercase() || c == '_' || c == ':';
    message
        .split(move |c| !in_scope(c))
        .map(|word| word.trim_matches(':'))
        .filter(|word| word.contains(':') && !word.contains("::"))
        .take(MOST_SCOPES)
}

/// More scopes than any message names.
const MOST_SCOPES: usize = 8;

/// The first few thousand bytes of a body without a message.
fn raw_text(answer: &Response) -> String {
    let head = &answer.body[..answer.body.len().min(4096)];
    let text = String::from_utf8_lossy(head);
    if text.trim().is_empty() {
        return format!("HTTP {} without a text", answer.status);
    }
    text.into_owned()
}

/// Whop's id of the request ([transport](crate::whop_api#transport)).
pub(super) fn request_id(answer: &Response) -> Option<String> {
    let id = answer.header("x-request-id").or_else(|| answer.header("cf-ray"));
    id.and_then(sanitize::clean_id)
}

impl CallError {
    /// Whether the answer also settles earlier requests with the same
    /// idempotency key whose answer was lost: it is either their stored answer
    /// or the first execution. Answers given before the key is looked at (401,
    /// 429) settle nothing; neither does silence.
    pub fn settles(&self) -> bool {
        matches!(
            self.kind,
            CallErrorKind::Forbidden
                | CallErrorKind::NotFound
                | CallErrorKind::Conflict
                | CallErrorKind::Refused
        ) && self.status.is_some()
    }

    /// Whether it affects every request, so that going on is pointless.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self.kind,
            CallErrorKind::Unauthorized | CallErrorKind::UnknownVersion
        )
    }

    /// The stable code of this failure.
    pub fn code(&self) -> Code {
        match self.kind {
            CallErrorKind::Unauthorized => Code::KeyRefused,
            CallErrorKind::Forbidden if self.operation == "upload_file" => Code::RequestRefused,
            CallErrorKind::Forbidden => Code::PermissionMissing,
            CallErrorKind::NotFound if self.operation.starts_with("list_") => Code::CompanyUnknown,
            CallErrorKind::UnknownVersion => Code::VersionUnknown,
            CallErrorKind::NotFound
            | CallErrorKind::Conflict
            | CallErrorKind::InProgress
            | CallErrorKind::KeyMismatch
            | CallErrorKind::Refused
            | CallErrorKind::RateLimited => Code::RequestRefused,
            CallErrorKind::Server => Code::ServerFailed,
            CallErrorKind::Network => Code::NetworkFailed,
            CallErrorKind::Malformed => Code::AnswerInvalid,
            CallErrorKind::Stopped => Code::Interrupted,
        }
    }

    /// What to do about it, if known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self.kind {
            CallErrorKind::Unauthorized => {
                "check the API key; keys of the sandbox and of production look alike, and each works only with \
                 its own `--server`"
            }
            CallErrorKind::Forbidden => return self.missing_permission(),
            CallErrorKind::NotFound if self.operation.starts_with("list_") => {
                "check the company in the manifest: it must be the account that owns the API key"
            }
            CallErrorKind::NotFound | CallErrorKind::Conflict => {
                "something changed on Whop meanwhile; plan again to see what"
            }
            CallErrorKind::InProgress | CallErrorKind::KeyMismatch => {
                "run again later: the next run checks Whop to find out what became of the earlier request"
            }
            CallErrorKind::UnknownVersion => {
                "leave `--api-version` out to use the version that this whop-sync is made for, or choose one that Whop names"
            }
            CallErrorKind::Network if self.message.contains("certificate") => {
                "if the certificate belongs to your own authority, name its file with `--ca-file`; otherwise someone \
                 may be intercepting the connection, and nothing was sent"
            }
            CallErrorKind::Refused => match self.operation {
                "create_account" | "create_company" => {
                    "Whop does not accept these values: correct the user's email, title or metadata in the manifest, \
                     then run again"
                }
                "update_account" | "update_company" => {
                    "Whop does not accept these values: correct the user's title or metadata in the manifest, then \
                     run again"
                }
                "update_user" => {
                    "Whop does not accept these values: correct the user's name or picture in the manifest, then run \
                     again"
                }
                "create_file" | "upload_file" => {
                    "Whop does not accept this picture: try another one, then run again"
                }
                _ => {
                    "Whop does not accept requests of this version of whop-sync: update it, or choose an API version \
                     that it supports with `--api-version`"
                }
            },
            CallErrorKind::RateLimited => {
                "another program probably uses the same key; run again when it is done, or give it its own key"
            }
            CallErrorKind::Server | CallErrorKind::Network | CallErrorKind::Stopped => {
                "run again; what was done is recorded and not repeated"
            }
            CallErrorKind::Malformed => {
                "check that `--server` is Whop's API, and that no proxy answers in its place"
            }
        };
        Some(hint.to_owned())
    }

    /// Says which scope is missing and where to get it. If Whop names a scope,
    /// that one is repeated; otherwise it is derived from the operation.
    fn missing_permission(&self) -> Option<String> {
        if self.operation == "upload_file" {
            return Some("the upload URL has expired; run again for a new one".to_owned());
        }
        let told: Vec<&str> = scopes_in(&self.message).collect();
        let usual =
            Operation::named(self.operation).map_or(&[][..], |(operation, dialect)| operation.scope(dialect));
        let (probably, needed) = match told.is_empty() {
            true => ("probably ", usual),
            false => ("", &told[..]),
        };
        let remedy = where_to_get(needed);
        if needed.is_empty() {
            return Some(format!("the API key lacks a permission: {remedy}"));
        }
        // Listing comes first, so a wrong company shows here as well.
        let company = match self.operation {
            "list_accounts" | "list_companies" if told.is_empty() => {
                "; or the manifest's `company` is not the key's own"
            }
            _ => "",
        };
        let needed = needed.join("` and `");
        Some(format!(
            "the API key {probably}lacks `{needed}`: {remedy}{company}"
        ))
    }

    /// The error that ends a run.
    pub fn into_error(self) -> Error {
        let error = Error::new(self.code(), self.to_string());
        match self.hint() {
            None => error,
            Some(hint) => error.hint(hint),
        }
    }
}

impl fmt::Display for CallError {
    /// One sentence without a full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doing = self.operation.replace('_', " ");
        let message = self.message.trim_end_matches(['.', ' ']);
        write!(f, "could not {doing}: {message}")?;
        match (self.status, &self.request_id) {
            (None, None) => Ok(()),
            (Some(status), None) => write!(f, " (HTTP {status})"),
            (None, Some(id)) => write!(f, " (request {id})"),
            (Some(status), Some(id)) => write!(f, " (HTTP {status}, request {id})"),
        }
    }
}

impl std::error::Error for CallError {}

#[cfg(test)]
mod tests;
