//! Whop's API as typed calls over a one-method [`Transport`](transport::Transport).

pub mod error;
pub mod operation;
mod retry;
mod scrub;
pub mod transport;
pub mod version;
