//! Whop's API as typed calls over a one-method
//! [`Transport`].
//!
//! A [`Client`] knows one platform and one API [`Version`]. Each call waits
//! for its operation's budget, sends the same bytes until an answer is final,
//! and ends in a value of [`crate::core`] or in a [`CallError`] that says what
//! may have happened on Whop. Nothing here decides what should be changed,
//! and nothing here writes to the disk.
//!
//! | file | subject |
//! | --- | --- |
//! | `transport` | the seam: one request in, one answer out |
//! | `http` | the seam over a socket; alone knows the key and the HTTP library |
//! | `client` | settings, counters, and the leave that every request needs |
//! | `call` | the way of every call: leave, attempt, judgement, retry |
//! | `budget` | how fast one operation may be called, and why that is safe |
//! | `retry` | whether to try again, and when; pure |
//! | `error` | what a failure means, and what it says about the effect |
//! | `scrub` | foreign texts made fit to be shown |
//! | `version`, `operation` | what is spoken, what can be asked |
//! | `accounts`, `profiles`, `files`, `permissions` | the calls, in both dialects |
//! | `listing` | every account, page by page, in several places at once where latency is what waits |
//! | `probe` | what is assumed of Whop, put to the test by reading |
//! | `download` | pictures that Whop showed, from hosts that nobody vouches for |
//! | `reach` | the addresses that such a URL may lead to; pure |
//! | `date` | the server's clock, from its answers |
//! | `wire`, `query` | the JSON of accounts; paths, queries and pages |
//!
//! What holds whatever the server does:
//!
//! * A profile is never changed without naming the platform ([`ProfileUpdate`]).
//! * A create that may have happened is never sent again, unless under an
//!   idempotency key that the server honours.
//! * The key goes to the API's own origin only; redirects are not followed.
//! * Absence is only reported as such when the list was read to its end
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
mod line;
mod listing;
mod operation;
mod permissions;
mod probe;
mod profiles;
mod query;
mod reach;
pub mod refresh;
mod retry;
#[cfg(test)]
mod script;
mod scrub;
pub mod transport;
mod version;
mod wire;

pub use call::Answered;
pub use client::{Client, Options, Permit, Waiting};
pub use download::Downloaded;
pub use error::{CallError, CallErrorKind, Effect, where_to_get};
pub use files::{FileState, NewFile, UploadTarget};
pub use http::{ApiBase, Authorities, Hosts, HttpTransport, OwnHosts, Patience};
pub use listing::Listing;
pub use operation::{Operation, ROLE_ONLY};
pub use profiles::ProfileUpdate;
pub use transport::Transport;
pub use version::{Named, Version};
