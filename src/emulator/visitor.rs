//! Who may talk to the served emulator. It listens on loopback alone, and yet a
//! web page can reach it: through a browser on this machine, under a name of
//! the page's own that was made to lead to 127.0.0.1 (DNS rebinding), or by
//! sending requests whose answers it never sees. A browser always tells under
//! which name it came, and which site a write is of.

use std::net::IpAddr;

use hyper::http::request::Parts;

/// Why a visitor is sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// It came by a name that is not this machine's, or by none.
    Host,
    /// A site of another machine's sent it.
    Origin,
}

impl Turned {
    /// The status and the words of the answer.
    pub(super) fn answer(self) -> (u16, &'static str) {
        match self {
            Self::Host => (421, "The emulator answers to localhost and 127.0.0.1 only"),
            Self::Origin => (
                403,
                "The emulator answers no requests of web pages from elsewhere",
            ),
        }
    }
}

/// Judges a request by its head.
///
/// # Errors
/// Why it is not let in.
pub(super) fn admit(head: &Parts) -> Result<(), Turned> {
    let named = |name| {
        head.headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().unwrap_or_default())
    };
    let mut hosts = named("host")
        .chain(head.uri.authority().map(|authority| authority.as_str()))
        .peekable();
    if hosts.peek().is_none() || !hosts.all(is_ours) {
        return Err(Turned::Host);
    }
    let is_near = |origin: &str| {
        let site = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        site.is_some_and(is_ours)
    };
    if !named("origin").all(is_near) {
        return Err(Turned::Origin);
    }
    Ok(())
}

/// Whether a host, with or without a port, is this machine: `localhost` and
/// every name below it (RFC 6761), or a loopback address.
pub(super) fn is_ours(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let address = match bracketed {
        Some(inside) => inside.parse().map(IpAddr::V6).ok(),
        None => name.parse().map(IpAddr::V4).ok(),
    };
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || address.is_some_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_ours() {
        for ours in [
            "localhost",
            "LOCALHOST:8080",
            "gateway.localhost:1",
            "127.0.0.1",
            "127.0.0.1:65535",
            "127.1.2.3:1",
            "[::1]",
            "[::1]:80",
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in [
            "",
            ":80",
            "evil.test",
            "evil.test:8080",
            "127.0.0.1.evil.test",
            "127.0.0.1.evil.test:80",
            "localhost.evil.test",
            "evillocalhost",
            "localhost@evil.test",
            "localhost:80:80",
            "127.0.0.1:x",
            "0.0.0.0",
            "10.0.0.1",
            "[::]",
            "::1",
            "[127.0.0.1]",
            "1",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
