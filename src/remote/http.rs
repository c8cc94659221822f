//! [`Transport`] over a socket. Only this file and those below it use reqwest
//! and have the key.

mod api_base;
mod authorities;
mod echo;
mod hosts;
mod resolve;
mod socket;
mod strangers;

use std::error::Error as StdError;
use std::fmt;
#[cfg(any(test, fuzzing))]
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::transport::{Method, Request, Response, Sending, Target, Transport, TransportError};
use crate::error::{Code, Error};
use crate::picture::MOST_BYTES;
pub use api_base::ApiBase;
pub use authorities::Authorities;
use echo::Echo;
pub use hosts::{Hosts, OwnHosts};
use resolve::{NotPublic, Rule};
use socket::client;
use strangers::Strangers;

/// Time limits for a whole request, from connecting to the last byte of its
/// answer. They apply even while bytes trickle in: a limit on silence alone
/// would let one byte a minute block a run forever. A retried call may take
/// this long each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For an API request; 30 s.
    pub api: Duration,
    /// For sending a file's bytes; 120 s.
    pub upload: Duration,
    /// For reading a picture; 30 s.
    pub picture: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            api: Duration::from_secs(30),
            upload: Duration::from_secs(120),
            picture: Duration::from_secs(30),
        }
    }
}

/// The largest API answer, in bytes. A page of 50 accounts is well below one
/// million; a few pages may be in flight at once.
const API_ANSWER: u64 = 8 << 20;

/// The largest answer of storage, which is not read.
const STORAGE_ANSWER: u64 = 1 << 20;

/// For fuzzing: the scheme, the host and its address, if it is one, of a
/// foreign URL that is followed.
#[cfg(any(test, fuzzing))]
pub(super) fn followed(url: &str, local: bool) -> Option<(String, String, Option<IpAddr>)> {
    let rule = rule(local, Hosts::default(), "");
    let url = strangers::foreign("picture", url, &rule).ok()?;
    let host = url.host_str().unwrap_or_default().to_owned();
    // Only names are looked up.
    let found = url.domain().is_none().then(|| url.socket_addrs(|| None).ok());
    let address = found.flatten().and_then(|all| all.first().map(SocketAddr::ip));
    Some((url.scheme().to_owned(), host, address))
}

/// Sends requests over HTTP/1.1 with TLS by rustls. Keeps connections, follows
/// no redirect, retries nothing.
pub struct HttpTransport {
    base: ApiBase,
    /// `Bearer …`, marked as sensitive so that no library prints it.
    authorization: HeaderValue,
    echo: Echo,
    client: reqwest::Client,
    storage: Strangers,
    pictures: Strangers,
    patience: Timeouts,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl HttpTransport {
    /// A transport to this API with this key, trusting the platform's
    /// certificate authorities. Does not connect yet.
    ///
    /// # Errors
    /// As [`HttpTransport::trusting`].
    pub fn new(base: ApiBase, key: SecretString) -> Result<Self, Error> {
        Self::trusting(base, key, &Authorities::default(), OwnHosts::default())
    }

    /// Like [`HttpTransport::new`], but also trusts these authorities, and lets
    /// pictures and uploads go to these hosts in private networks.
    ///
    /// # Errors
    /// If the key contains characters that no key has, or TLS cannot be set up.
    pub fn trusting(
        base: ApiBase,
        key: SecretString,
        authorities: &Authorities,
        own: OwnHosts,
    ) -> Result<Self, Error> {
        let text = key.expose_secret();
        let visible = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        let authorization = HeaderValue::from_str(&format!("Bearer {text}")).ok();
        let Some(mut authorization) = authorization.filter(|_| visible) else {
            return Err(Error::new(
                Code::KeyRefused,
                "the API key is empty or contains spaces, line breaks or other characters that no key has",
            )
            .hint("copy the key again from the dashboard, under Developer"));
        };
        authorization.set_sensitive(true);
        let local = base.is_loopback();
        let ours = authorities
            .add_to(client(local))
            .build()
            .map_err(|why| Error::new(Code::Internal, "TLS could not be set up").caused_by(why))?;
        let strangers =
            |what, own, variable| Strangers::new(what, rule(local, own, variable), &ours, authorities);
        let OwnHosts { pictures, storage } = own;
        Ok(Self {
            authorization,
            echo: Echo::new(key),
            pictures: strangers("picture", pictures, "WHOP_SYNC_PICTURE_HOSTS"),
            storage: strangers("upload", storage, "WHOP_SYNC_STORAGE_HOSTS"),
            client: ours,
            base,
            patience: Timeouts::default(),
        })
    }

    /// The same with other time limits.
    #[must_use]
    pub fn within(self, patience: Timeouts) -> Self {
        Self { patience, ..self }
    }

    /// The API's base.
    pub fn base(&self) -> &ApiBase {
        &self.base
    }

    /// The checked URL of a request, and the client for it.
    async fn way(&self, target: &Target) -> Result<(&reqwest::Client, Url), TransportError> {
        match target {
            Target::Api(path) => {
                let url = self.base.join(path).map_err(TransportError::NotSent)?;
                Ok((&self.client, url))
            }
            Target::Storage(url) => self.storage.way(url).await.map_err(TransportError::Forbidden),
            Target::Picture(url) => self.pictures.way(url).await.map_err(TransportError::Forbidden),
        }
    }

    async fn exchange(&self, request: Request) -> Result<Response, TransportError> {
        let (client, url) = self.way(&request.target).await?;
        let mut headers = parse_headers(&request.headers).map_err(TransportError::NotSent)?;
        // A picture is not a text and may contain any bytes.
        let pages = !matches!(request.target, Target::Picture(_));
        let (timeout, limit) = match request.target {
            Target::Api(_) => {
                // The only place that adds the key.
                headers.insert(AUTHORIZATION, self.authorization.clone());
                (self.patience.api, API_ANSWER)
            }
            Target::Storage(_) => (self.patience.upload, STORAGE_ANSWER),
            Target::Picture(_) => (self.patience.picture, MOST_BYTES),
        };
        let mut answer = client
            .request(method(request.method), url)
            .headers(headers)
            .timeout(timeout)
            .body(request.body)
            .send()
            .await
            .map_err(|why| self.lost(why))?;
        let body = self.read_body(&mut answer, limit).await?;
        let status = answer.status().as_u16();
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes());
                (name.as_str().to_owned(), self.echo.text(&value))
            })
            .collect();
        Ok(Response {
            status,
            headers,
            body: if pages { self.echo.body(status, body) } else { body },
        })
    }

    /// Reads the body up to the limit, whatever length was announced.
    async fn read_body(&self, answer: &mut reqwest::Response, limit: u64) -> Result<Bytes, TransportError> {
        // Refused before reading, if the server is honest about the length.
        if answer.content_length().is_some_and(|length| length > limit) {
            return Err(TransportError::TooLarge(limit));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|why| self.lost(why))? {
            if (body.len() + chunk.len()) as u64 > limit {
                return Err(TransportError::TooLarge(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// Whether a failed request may have been sent.
    ///
    /// A connection that was not established carried nothing. If an idle
    /// connection was closed, the request may or may not have been sent; hyper
    /// says "canceled" only for requests that it never began to write. In all
    /// other cases it may have arrived.
    fn lost(&self, why: reqwest::Error) -> TransportError {
        if let Some(refusal) = causes(&why).find(|cause| cause.is::<NotPublic>()) {
            return TransportError::Forbidden(refusal.to_string());
        }
        let unsent = why.is_builder() || why.is_connect() || causes(&why).any(is_canceled);
        // The URL may be presigned, so it is removed.
        let why = why.without_url();
        let mut text = if why.is_timeout() { "timed out" } else { "" }.to_owned();
        for cause in causes(&why).map(ToString::to_string) {
            if !text.contains(&cause) {
                text = if text.is_empty() {
                    cause
                } else {
                    format!("{text}: {cause}")
                };
            }
        }
        let text = self.echo.text(&text);
        if unsent {
            TransportError::NotSent(text)
        } else {
            TransportError::NoAnswer(text)
        }
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: Request) -> Sending<'_> {
        Box::pin(self.exchange(request))
    }
}

/// The rule for foreign URLs.
fn rule(local: bool, own: Hosts, variable: &'static str) -> Rule {
    Rule { local, own, variable }
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Patch => reqwest::Method::PATCH,
        Method::Put => reqwest::Method::PUT,
        Method::Delete => reqwest::Method::DELETE,
    }
}

/// Converts headers. Values may be secrets and are not quoted.
fn parse_headers(headers: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::with_capacity(headers.len() + 1);
    for (name, value) in headers {
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
        match parsed.zip(HeaderValue::from_str(value).ok()) {
            Some((name, value)) => map.append(name, value),
            None => return Err("a header cannot be sent".to_owned()),
        };
    }
    Ok(map)
}

/// An error and its causes.
fn causes<'a>(why: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(why), |why: &&'a (dyn StdError + 'static)| {
        let why: &'a (dyn StdError + 'static) = *why;
        why.source()
    })
}

fn is_canceled(why: &(dyn StdError + 'static)) -> bool {
    why.downcast_ref::<hyper::Error>()
        .is_some_and(hyper::Error::is_canceled)
}

#[cfg(test)]
mod tests;
