//! Decides which addresses storage and picture URLs may lead to, and resolves
//! names for direct connections. The look-up that is judged is the one that the
//! connection uses, so a name that answers differently the second time gains
//! nothing.

use std::error::Error as StdError;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::super::public_address::{is_private, is_public};
use super::hosts::Hosts;

/// Which addresses a foreign URL may lead to.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// Whether the API itself is on this machine. A server on this machine, as
    /// in tests, keeps its files here too.
    pub(super) local: bool,
    /// The hosts that may be in a private network.
    pub(super) own: Hosts,
    /// The environment variable that names them, for messages.
    pub(super) variable: &'static str,
}

impl Rule {
    /// Whether a host may have this address.
    pub(super) fn permits(&self, host: &str, address: IpAddr) -> bool {
        is_public(address)
            || (self.local && address.is_loopback())
            || (is_private(address) && self.own.name(host))
    }

    /// Why nothing may be sent there.
    pub(super) fn refusal(&self) -> NotPublic {
        NotPublic(self.variable)
    }
}

/// The system's resolver, reduced to the addresses that the rule permits.
#[derive(Clone, Debug)]
pub(super) struct Guarded(pub(super) Arc<Rule>);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let rule = Arc::clone(&self.0);
        Box::pin(async move {
            let found = look_up(name.as_str()).await?;
            let fit: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| rule.permits(name.as_str(), address.ip()))
                .collect();
            if fit.is_empty() {
                return Err(rule.refusal().into());
            }
            Ok(Box::new(fit.into_iter()) as Addrs)
        })
    }
}

/// The addresses of a name, by the system's resolver.
pub(super) async fn look_up(name: &str) -> std::io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}

/// The host has no address that a foreign URL may lead to. Contains the
/// variable that could name the host.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotPublic(&'static str);

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(variable) = self;
        write!(
            f,
            "its host is not on the public internet, and `{variable}` does not name it"
        )
    }
}

impl StdError for NotPublic {}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(local: bool, own: &str) -> Rule {
        Rule {
            local,
            own: Hosts::parse(own).unwrap(),
            variable: "V",
        }
    }

    async fn resolve(rule: Rule, name: &str) -> Result<Vec<IpAddr>, String> {
        let guarded = Guarded(Arc::new(rule));
        let found = guarded.resolve(name.parse().unwrap()).await;
        let found = found.map_err(|why| why.to_string())?;
        Ok(found.map(|address| address.ip()).collect())
    }

    #[tokio::test]
    async fn names_of_this_machine_are_only_for_servers_on_it() {
        for own in ["img.test", "localhost"] {
            let refused = resolve(rule(false, own), "localhost").await.unwrap_err();
            assert_eq!(refused, NotPublic("V").to_string());
        }
        let found = resolve(rule(true, "img.test"), "localhost").await.unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback));
    }

    #[test]
    fn a_host_of_a_private_network_is_named_by_the_operator() {
        let rule = rule(false, "img.corp.test");
        for (address, named, other) in [
            ("8.8.8.8", true, true),
            ("10.1.2.3", true, false),
            ("100.64.0.1", true, false),
            ("fd12::1", true, false),
            ("::ffff:192.168.0.1", true, false),
            ("127.0.0.1", false, false),
            ("::1", false, false),
            ("169.254.169.254", false, false),
            ("fe80::1", false, false),
            ("0.0.0.0", false, false),
            ("224.0.0.1", false, false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(rule.permits("img.corp.test", address), named, "{address}");
            assert_eq!(rule.permits("other.corp.test", address), other, "{address}");
        }
    }
}
