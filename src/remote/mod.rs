//! Whop's API as typed calls over a one-method [`Transport`](transport::Transport).

pub mod transport;
