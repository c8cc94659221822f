//! The settings of every socket.

use std::time::Duration;

use reqwest::redirect;

/// The time limit for connecting, TLS included.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an unused connection is kept. Servers close theirs after about a
/// minute; if one closes just as we send, the request's effect is unknown, so
/// we close first.
const IDLE: Duration = Duration::from_secs(15);

/// The socket settings. No proxy is used for this machine, because a plain
/// request would show it the key.
pub(super) fn client(loopback: bool) -> reqwest::ClientBuilder {
    // An error only means that a provider was chosen before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE);
    if loopback { builder.no_proxy() } else { builder }
}
