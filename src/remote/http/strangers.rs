//! Requests to hosts that others chose: storage hosts come from Whop's answers,
//! picture hosts from whoever set the picture. They are sent without the key,
//! over https, and only to the public internet or to hosts of a private network
//! that the operator named.
//!
//! In a direct connection, the address that is judged is the one connected to
//! ([`Guarded`]). A proxy resolves names itself and may reach more than this
//! machine. A name is therefore resolved and judged here before it is passed to
//! the proxy, and one that cannot be resolved here is refused unless the
//! operator named it. One gap remains: the owner of a name can answer the proxy
//! differently within the same second. Only the proxy's own rules can keep that
//! out of a private network.

use std::fmt;
use std::sync::{Arc, OnceLock};

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Client, Url};

use super::api_base::{address, is_loopback};
use super::authorities::Authorities;
use super::resolve::{Guarded, Rule, look_up};
use super::socket::{CONNECT_TIMEOUT, client};

/// Requests to foreign hosts for one purpose.
pub(super) struct Strangers {
    /// What the URLs are for, in messages.
    what: &'static str,
    rule: Arc<Rule>,
    /// Which hosts the environment sends through a proxy. It decides as
    /// `proxied` does.
    proxies: Matcher,
    authorities: Authorities,
    /// Uses no proxy and connects only to what the rule permits. Created on
    /// first use, because reading the platform's authorities takes time.
    direct: OnceLock<Result<Client, String>>,
    /// Uses the proxy.
    proxied: Client,
}

impl fmt::Debug for Strangers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Strangers")
            .field("what", &self.what)
            .field("rule", &self.rule)
            .finish_non_exhaustive()
    }
}

impl Strangers {
    /// Requests under this rule, trusting these authorities in addition to the
    /// platform's. `proxied` is a client that uses proxies as the environment
    /// says.
    pub(super) fn new(what: &'static str, rule: Rule, proxied: &Client, authorities: &Authorities) -> Self {
        Self {
            what,
            rule: Arc::new(rule),
            proxies: Matcher::from_system(),
            authorities: authorities.clone(),
            direct: OnceLock::new(),
            proxied: proxied.clone(),
        }
    }

    fn direct(&self) -> Result<&Client, String> {
        let made = self.direct.get_or_init(|| {
            let names = Arc::new(Guarded(Arc::clone(&self.rule)));
            let settings = client(self.rule.local).no_proxy().dns_resolver(names);
            let client = self.authorities.add_to(settings).build();
            client.map_err(|why| format!("TLS could not be set up: {why}"))
        });
        made.as_ref().map_err(Clone::clone)
    }

    /// Parses a URL and finds the client for it.
    ///
    /// # Errors
    /// Why nothing may be sent there, without the URL.
    pub(super) async fn way(&self, url: &str) -> Result<(&Client, Url), String> {
        let url = foreign(self.what, url, &self.rule)?;
        // No proxy is used for this machine.
        let is_proxied = !self.rule.local && self.is_proxied(&url)?;
        if !is_proxied {
            return Ok((self.direct()?, url));
        }
        // An address was judged during parsing.
        if let Some(name) = url.domain() {
            self.judge(name).await?;
        }
        Ok((&self.proxied, url))
    }

    /// Whether the rule permits a URL, as far as can be seen without resolving
    /// its name.
    #[cfg(test)]
    pub(super) fn takes(&self, url: &str) -> bool {
        foreign(self.what, url, &self.rule).is_ok()
    }

    fn is_proxied(&self, url: &Url) -> Result<bool, String> {
        let uri: Uri = url
            .as_str()
            .parse()
            .map_err(|_| format!("the {} URL cannot be sent", self.what))?;
        Ok(self.proxies.intercept(&uri).is_some())
    }

    /// Judges a name that a proxy will resolve. Every address must be
    /// permitted, since the proxy may use any.
    async fn judge(&self, name: &str) -> Result<(), String> {
        let found = tokio::time::timeout(CONNECT_TIMEOUT, look_up(name)).await;
        match found.ok().and_then(Result::ok) {
            Some(found) if found.iter().all(|at| self.rule.permits(name, at.ip())) => Ok(()),
            Some(_) => Err(self.rule.refusal().to_string()),
            None if self.rule.own.name(name) => Ok(()),
            None => Err(format!(
                "its host cannot be looked up here, only by the proxy, and `{}` does not name it",
                self.rule.variable
            )),
        }
    }
}

/// Parses a foreign URL: https, to an address that the rule permits if the host
/// is one; beside a server on this machine, plain http to this machine too.
/// Otherwise an answer could make a pipeline send into its own network.
pub(super) fn foreign(what: &str, url: &str, rule: &Rule) -> Result<Url, String> {
    // The parser's own message could quote the URL.
    let url = Url::parse(url).map_err(|_| format!("the {what} URL is not a URL"))?;
    let test = url.scheme() == "http" && is_loopback(&url) && rule.local;
    if url.scheme() != "https" && !test {
        return Err(format!("the {what} URL is not https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("the {what} URL contains a user name or a password"));
    }
    let host = url.host_str().unwrap_or_default();
    match address(&url) {
        Some(address) if !rule.permits(host, address) => Err(rule.refusal().to_string()),
        _ => Ok(url),
    }
}
