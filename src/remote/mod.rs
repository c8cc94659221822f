//! Whop's API as typed calls over a [`Transport`] with one method.
//!
//! A [`Client`] is for one platform and one API [`Version`]. Each call waits
//! for its operation's budget, sends the same bytes until an answer is final,
//! and ends in a value of [`crate::core`] or in a [`CallError`] that says what
//! may have happened on Whop. Nothing here decides what to change, and nothing
//! here writes to the disk.
//!
//! | file | subject |
//! | --- | --- |
//! | `transport` | the seam: one request in, one answer out |
//! | `http` | the seam over a socket; the only part with the key and the HTTP library |
//! | `client` | settings, counters, and the permits that requests need |
//! | `call` | the life of a call: permit, attempt, classification, retry |
//! | `budget`, `turn_queue` | how fast one operation may be called, and in which order |
//! | `limit` | what is known about an operation's limit; pure |
//! | `retry` | whether to retry, and when; pure |
//! | `error` | what a failure means, and what it says about the effect |
//! | `sanitize` | makes foreign texts safe to show |
//! | `version`, `operation` | the API versions and the kinds of requests |
//! | `accounts`, `profiles`, `files`, `permissions` | the calls, in both dialects |
//! | `listing`, `refresh` | all accounts, in several walks if latency dominates; and their profiles |
//! | `probe` | checks assumptions about Whop by reading |
//! | `download` | pictures that Whop shows, from untrusted hosts |
//! | `public_address` | the addresses that foreign URLs may lead to; pure |
//! | `date` | times as servers write them |
//! | `wire`, `query` | the JSON of accounts; paths, queries and pages |
//!
//! What holds whatever the server does:
//!
//! * A profile is never changed without naming the platform
//!   ([`ProfileUpdate`]).
//! * A create that may have happened is never sent again, except under an
//!   idempotency key that the server honours.
//! * The key goes to the API's own origin only; redirects are not followed.
//! * An account is reported as absent only if the list was read to its end
//!   ([`Listing::complete`]).

mod accounts;
mod budget;
mod call;
mod client;
mod date;
mod download;
mod error;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod http;
mod limit;
mod listing;
mod operation;
mod permissions;
mod probe;
mod profiles;
mod public_address;
mod query;
pub mod refresh;
mod retry;
mod sanitize;
#[cfg(test)]
mod script;
pub mod transport;
mod turn_queue;
mod version;
mod wire;

pub use call::Answered;
pub use client::{Client, Options, Permit, Waiting};
pub use download::Downloaded;
pub use error::{CallError, CallErrorKind, Effect, where_to_get};
pub use files::{FileState, NewFile, UploadTarget};
pub use http::{ApiBase, Authorities, Hosts, HttpTransport, OwnHosts, Timeouts};
pub use listing::Listing;
pub use operation::{Operation, ROLE_ONLY};
pub use profiles::ProfileUpdate;
pub use transport::Transport;
pub use version::{NamedVersions, Version};
