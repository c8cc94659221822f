//! The seam below the client: one request in, one answer out.
//!
//! Everything above it (paging, JSON, retries, budgets, error mapping) works
//! the same over a socket ([`super::HttpTransport`]) and inside the process
//! ([`crate::emulator`]). The types here are plain values without knowledge of
//! Whop's JSON.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

/// The HTTP methods that the client uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads; safe to repeat.
    Get,
    /// Creates; repeated only under the same idempotency key.
    Post,
    /// Changes part of a record; safe to repeat.
    Patch,
    /// Sends a file's bytes to storage; safe to repeat.
    Put,
    /// Never sent by the client; the emulator answers it.
    Delete,
}

impl Method {
    /// The method as written in a request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// Where a request goes. The transport adds the key to [`Target::Api`] only, so
/// that a presigned URL never receives it.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// Path and query below the API's base, starting with `/`, already
    /// percent-encoded.
    Api(String),
    /// A full presigned URL of the file storage. It is a secret, and it comes
    /// from an answer, so the transport checks where it leads.
    Storage(String),
    /// The full URL of a picture that Whop shows. Whoever set the picture may
    /// have chosen it, so the transport checks where it leads.
    Picture(String),
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(path) => write!(f, "Api({path:?})"),
            Self::Storage(_) => f.write_str("Storage(<presigned>)"),
            // Some hosts sign these too.
            Self::Picture(_) => f.write_str("Picture(<url>)"),
        }
    }
}

/// One request. Header names are lower-case.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// Where.
    pub target: Target,
    /// Headers other than the key, which only the transport has.
    pub headers: Vec<(String, String)>,
    /// The exact bytes to send; empty if there are none.
    pub body: Bytes,
}

impl fmt::Debug for Request {
    /// Headers and body may contain secrets or personal data, so neither is
    /// shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// One answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers with lower-case names, in the order received.
    pub headers: Vec<(String, String)>,
    /// The whole body. A transport gives up ([`TransportError::TooLarge`]) rather than
    /// hold more than its limit.
    pub body: Bytes,
}

impl Response {
    /// The first header with this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

/// No complete answer arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// The request was never sent: name look-up, refused connection, TLS. The
    /// server cannot have acted.
    NotSent(String),
    /// It was sent, or may have been: the server may have acted.
    NoAnswer(String),
    /// The answer is larger than the client accepts, in bytes.
    TooLarge(u64),
    /// Not attempted, because requests to this target are not allowed.
    Forbidden(String),
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(why) => write!(f, "could not connect: {why}"),
            Self::NoAnswer(why) => write!(f, "no answer: {why}"),
            Self::TooLarge(limit) => write!(f, "the answer is larger than {limit} bytes"),
            Self::Forbidden(why) => f.write_str(why),
        }
    }
}

/// A boxed future, so that a transport can be a trait object.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response, TransportError>> + Send + 'a>>;

/// Carries requests. It has one method, so that a test can put anything below
/// the client.
pub trait Transport: Send + Sync {
    /// Sends one request and waits for its complete answer. Never retries and
    /// never follows a redirect.
    fn send(&self, request: Request) -> Sending<'_>;
}
