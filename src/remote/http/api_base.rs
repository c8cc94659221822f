//! Where an API is.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use crate::core::value::Invalid;

/// The base URL of an API: `https://host/path`, without query and fragment.
/// Plain `http` is accepted only to this machine, because the key would be
/// readable on the way.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiBase {
    /// Without a trailing slash.
    url: Url,
}

impl ApiBase {
    /// Parses a base, `/api/v1` included.
    ///
    /// # Errors
    /// Says what is wrong, as a phrase that follows the value's name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let refuse = |why: &str| Err(Invalid(why.to_owned()));
        let Ok(mut url) = Url::parse(text) else {
            return refuse("must be a URL such as https://api.whop.com/api/v1");
        };
        if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none_or(str::is_empty) {
            return refuse("must be a URL that starts with https://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("must not contain a user name or a password; the key is given separately");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse("must end with its path: no `?` and no `#`");
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            return refuse(
                "must start with https://, or the key could be read on the way; http:// works for 127.0.0.1",
            );
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self { url })
    }

    /// The base as text, without a trailing slash.
    pub fn as_str(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }

    /// The full URL of a path below the base.
    pub(super) fn join(&self, path: &str) -> Result<Url, String> {
        let url = Url::parse(&format!("{}{path}", self.as_str()))
            .map_err(|why| format!("the path does not give a URL: {why}"))?;
        let base = self.url.path().trim_end_matches('/');
        // URLs are normalised while parsing: dots must not lead elsewhere.
        let inside = url
            .path()
            .strip_prefix(base)
            .is_some_and(|rest| rest.starts_with('/'));
        if !path.starts_with('/') || url.origin() != self.url.origin() || !inside {
            return Err("the path leads out of the API".to_owned());
        }
        Ok(url)
    }
}

impl fmt::Display for ApiBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ApiBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiBase({self})")
    }
}

/// Whether a URL's host is this machine: an address of 127.0.0.0/8, `::1`, or
/// the name `localhost`.
pub(super) fn is_loopback(url: &Url) -> bool {
    url.host_str() == Some("localhost") || address(url).is_some_and(|ip| ip.is_loopback())
}

/// A URL's host, if it is an address rather than a name.
pub(super) fn address(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}
