//! The way to hosts that somebody else chose: storage's come from Whop's
//! answers, and a picture's from whoever set the picture. Without the key, over
//! https, and to the public internet only, or a private network's host that
//! the operator named.
//!
//! Directly, what is judged is what is connected to ([`Guarded`]). A proxy
//! looks names up itself, and may stand where more can be reached than from
//! here. So a name is looked up and judged here before the proxy hears it, and
//! one that cannot be looked up here is refused unless the operator named it.
//! What remains: who owns a name can answer the proxy otherwise than us, within
//! the same second; only the proxy's own rules keep that from a private
//! network.

use std::fmt;
use std::sync::{Arc, OnceLock};

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Client, Url};

use super::resolve::{Guarded, Rule, look_up};
use super::{Authorities, CONNECT_TIMEOUT, address, is_loopback};

/// The way to strangers' hosts of one kind.
pub(super) struct Strangers {
    /// What the URLs are of, for messages.
    what: &'static str,
    rule: Arc<Rule>,
    /// Which hosts the environment sends through a proxy. It asks the same as
    /// `proxied` does.
    proxies: Matcher,
    authorities: Authorities,
    /// Asks no proxy, and connects to nothing but what the rule permits. Made
    /// when it is first needed: reading the platform's authorities takes time.
    direct: OnceLock<Result<Client, String>>,
    /// Goes through the proxy.
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
    /// The way under this rule, trusting these authorities besides the
    /// platform's. `proxied` is a client that asks for proxies as the
    /// environment says.
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
            let settings = super::client(self.rule.local).no_proxy().dns_resolver(names);
            let client = self.authorities.add_to(settings).build();
            client.map_err(|why| format!("TLS could not be set up: {why}"))
        });
        made.as_ref().map_err(Clone::clone)
    }

    /// Parses a URL, and finds the client that may go there.
    ///
    /// # Errors
    /// Why nothing may be sent there, without the URL.
    pub(super) async fn way(&self, url: &str) -> Result<(&Client, Url), String> {
        let url = foreign(self.what, url, &self.rule)?;
        // To this machine no proxy is asked.
        let is_proxied = !self.rule.local && self.is_proxied(&url)?;
        if !is_proxied {
            return Ok((self.direct()?, url));
        }
        // An address was judged while it was parsed.
        if let Some(name) = url.domain() {
            self.judge(name).await?;
        }
        Ok((&self.proxied, url))
    }

    /// Whether a URL is one that the rule permits, as far as can be seen
    /// without looking its name up.
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

    /// Judges a name that a proxy is to look up. Every address counts, since
    /// the proxy may take any.
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

/// Parses a URL that somebody else chose: https, to an address that the rule
/// permits where it names one; beside a server on this machine, plainly to
/// this machine too. Otherwise an answer could make a pipeline write into its
/// own network.
pub(super) fn foreign(what: &str, url: &str, rule: &Rule) -> Result<Url, String> {
    // The parser's own message could quote the URL.
    let url = Url::parse(url).map_err(|_| format!("the {what} URL is not a URL"))?;
    let test = url.scheme() == "http" && is_loopback(&url) && rule.local;
    if url.scheme() != "https" && !test {
        return Err(format!("the {what} URL is not https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("the {what} URL holds a user name or a password"));
    }
    let host = url.host_str().unwrap_or_default();
    match address(&url) {
        Some(address) if !rule.permits(host, address) => Err(rule.refusal().to_string()),
        _ => Ok(url),
    }
}
