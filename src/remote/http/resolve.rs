//! Looks names up for the URLs of storage and pictures, and drops the addresses
//! that these may not lead to. Checked at the very look-up that the connection uses: a name
//! that answers differently the second time gains nothing.

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::super::reach::is_public;

/// Whether such a URL may lead to this address. A server on this machine, as in
/// tests, keeps its files on this machine too.
pub(super) fn may_reach(address: IpAddr, local: bool) -> bool {
    is_public(address) || (local && address.is_loopback())
}

/// The system's look-up with a filter.
#[derive(Clone, Debug, Default)]
pub(super) struct Guarded {
    /// Whether the API itself is on this machine.
    pub(super) local: bool,
    /// The hosts of such URLs so far. Any other name is the proxy's, which the
    /// environment vouches for.
    hosts: Arc<Mutex<BTreeSet<String>>>,
}

impl Guarded {
    /// A filter for an API that is on this machine, or not.
    pub(super) fn new(local: bool) -> Self {
        Self {
            local,
            hosts: Arc::default(),
        }
    }

    /// From now on, this name is a stranger's.
    pub(super) fn guard(&self, host: &str) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.insert(host.to_ascii_lowercase());
    }

    fn guards(&self, host: &str) -> bool {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.contains(&host.to_ascii_lowercase())
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let filter = self.guards(name.as_str());
        let local = self.local;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut fit: Vec<SocketAddr> = found.collect();
            if filter {
                fit.retain(|address| may_reach(address.ip(), local));
                if fit.is_empty() {
                    return Err(NotPublic.into());
                }
            }
            Ok(Box::new(fit.into_iter()) as Addrs)
        })
    }
}

/// A name has no address that a stranger's URL may lead to.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its host is not on the public internet")
    }
}

impl StdError for NotPublic {}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolve(guarded: &Guarded, name: &str) -> Result<Vec<IpAddr>, String> {
        let found = guarded.resolve(name.parse().unwrap()).await;
        let found = found.map_err(|why| why.to_string())?;
        Ok(found.map(|address| address.ip()).collect())
    }

    #[tokio::test]
    async fn names_of_this_machine_are_only_for_servers_on_it() {
        let (far, near) = (Guarded::new(false), Guarded::new(true));
        // The proxy's own name, which nobody guards.
        assert!(resolve(&far, "localhost").await.is_ok());
        far.guard("LOCALHOST");
        near.guard("localhost");
        let refused = resolve(&far, "localhost").await.unwrap_err();
        assert_eq!(refused, NotPublic.to_string());
        let found = resolve(&near, "localhost").await.unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback));
    }
}
