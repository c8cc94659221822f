//! [`Transport`] over a socket. The only file that names reqwest, and the
//! only one that has the key.

mod resolve;

use std::error::Error as StdError;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Url, redirect};
use secrecy::{ExposeSecret, SecretString};

use super::transport::{Lost, Method, Request, Response, Sending, Target, Transport};
use crate::core::value::Invalid;
use crate::error::{Code, Error};
use crate::picture::MOST_BYTES;
use resolve::{Guarded, NotPublic, may_reach};

/// How long a connection may take to come about, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a whole call of the API may take, from connecting to the answer's
/// last byte.
const API_TIMEOUT: Duration = Duration::from_secs(30);

/// The same for sending a file's bytes.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(120);

/// The same for reading a picture.
const PICTURE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an unused connection is kept. Servers close theirs after a minute
/// or so; one that closes just as we send costs a request with an unknown
/// effect, so we close first.
const IDLE: Duration = Duration::from_secs(15);

/// The largest answer of the API, in bytes. A page of 50 accounts is well
/// below one million.
const API_ANSWER: u64 = 16 << 20;

/// The largest answer of storage, which we do not read.
const STORAGE_ANSWER: u64 = 1 << 20;

/// Where an API is: `https://host/path`, without anything after it. Plain
/// `http` is only accepted to this machine, since the key would be readable
/// on the way.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiBase {
    /// Without a slash at the end of its path.
    url: Url,
}

impl ApiBase {
    /// Whop's production API (`whop-api.md` §1).
    pub fn production() -> Self {
        Self::fixed("https://api.whop.com/api/v1")
    }

    /// Whop's sandbox: separate accounts and keys.
    pub fn sandbox() -> Self {
        Self::fixed("https://sandbox-api.whop.com/api/v1")
    }

    fn fixed(text: &'static str) -> Self {
        Self::parse(text).expect("a constant that a test parses")
    }

    /// Parses a base, `/api/v1` included.
    ///
    /// # Errors
    /// Says what is wrong, as a fragment that follows the value's name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let refuse = |why: &str| Err(Invalid(why.to_owned()));
        let Ok(mut url) = Url::parse(text) else {
            return refuse("must be a URL such as https://api.whop.com/api/v1");
        };
        if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none_or(str::is_empty) {
            return refuse("must be a URL that begins with https://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("must not contain a user name or a password; the key is given separately");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse("must end with its path: no `?` and no `#`");
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            return refuse(
                "must begin with https://, or the key could be read on the way; http:// works for 127.0.0.1",
            );
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self { url })
    }

    /// The base as text, without a slash at its end.
    pub fn as_str(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }

    /// The whole URL of a path below the base.
    fn join(&self, path: &str) -> Result<Url, String> {
        let url = Url::parse(&format!("{}{path}", self.as_str()))
            .map_err(|why| format!("the path makes no URL: {why}"))?;
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
fn is_loopback(url: &Url) -> bool {
    url.host_str() == Some("localhost") || address(url).is_some_and(|ip| ip.is_loopback())
}

/// A URL's host, if it is an address rather than a name.
fn address(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Requests over HTTP/1.1 with TLS by rustls. Keeps connections, follows no
/// redirect, repeats nothing.
pub struct HttpTransport {
    base: ApiBase,
    /// `Bearer …`, marked so that no library prints it.
    authorization: HeaderValue,
    key: SecretString,
    client: reqwest::Client,
    /// For pictures: another look-up of names, and connections of their own.
    pictures: reqwest::Client,
    names: Guarded,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl HttpTransport {
    /// A transport to this API with this key. Connects to nothing yet.
    ///
    /// # Errors
    /// The key holds characters that no key has, or TLS cannot be set up.
    pub fn new(base: ApiBase, key: SecretString) -> Result<Self, Error> {
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
        let names = Guarded::new(base.is_loopback());
        let build = |builder: reqwest::ClientBuilder| {
            builder
                .build()
                .map_err(|why| Error::new(Code::Internal, "TLS could not be set up").caused_by(why))
        };
        Ok(Self {
            authorization,
            key,
            client: build(client(base.is_loopback()))?,
            pictures: build(client(base.is_loopback()).dns_resolver(Arc::new(names.clone())))?,
            names,
            base,
        })
    }

    /// The API's base.
    pub fn base(&self) -> &ApiBase {
        &self.base
    }

    /// Where a request goes, checked.
    fn url(&self, target: &Target) -> Result<Url, Lost> {
        match target {
            Target::Api(path) => self.base.join(path).map_err(Lost::NotSent),
            Target::Storage(url) => self.elsewhere("upload", url).map_err(Lost::NotSent),
            Target::Picture(url) => self.picture(url).map_err(Lost::Forbidden),
        }
    }

    /// A URL outside the API: https, or beside a test server.
    fn elsewhere(&self, what: &str, url: &str) -> Result<Url, String> {
        // The parser's own message could quote the URL.
        let url = Url::parse(url).map_err(|_| format!("the {what} URL is not a URL"))?;
        let test = url.scheme() == "http" && is_loopback(&url) && self.base.is_loopback();
        if url.scheme() != "https" && !test {
            return Err(format!("the {what} URL is not https"));
        }
        Ok(url)
    }

    /// A picture's URL. Its host is on the public internet: an address is
    /// judged here, a name when it is looked up.
    fn picture(&self, url: &str) -> Result<Url, String> {
        let url = self.elsewhere("picture", url)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the picture URL holds a user name or a password".to_owned());
        }
        match address(&url) {
            Some(address) if !may_reach(address, self.base.is_loopback()) => Err(NotPublic.to_string()),
            Some(_) => Ok(url),
            None => {
                self.names.guard(url.host_str().unwrap_or_default());
                Ok(url)
            }
        }
    }

    async fn exchange(&self, request: Request) -> Result<Response, Lost> {
        let url = self.url(&request.target)?;
        let mut headers = parse_headers(&request.headers).map_err(Lost::NotSent)?;
        let (client, timeout, limit) = match request.target {
            Target::Api(_) => {
                headers.insert(AUTHORIZATION, self.authorization.clone());
                (&self.client, API_TIMEOUT, API_ANSWER)
            }
            Target::Storage(_) => (&self.client, UPLOAD_TIMEOUT, STORAGE_ANSWER),
            Target::Picture(_) => (&self.pictures, PICTURE_TIMEOUT, MOST_BYTES),
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
                (name.as_str().to_owned(), self.without_key(&value))
            })
            .collect();
        Ok(Response {
            status,
            headers,
            // Errors end up in messages; a server must not get the key there
            // by echoing what it was sent.
            body: match status {
                200..300 => body,
                _ => self.without_key(&String::from_utf8_lossy(&body)).into(),
            },
        })
    }

    /// The body, as long as it stays within the limit, whatever length was
    /// announced.
    async fn read_body(&self, answer: &mut reqwest::Response, limit: u64) -> Result<Bytes, Lost> {
        if answer.content_length().is_some_and(|length| length > limit) {
            return Err(Lost::TooLarge(limit));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|why| self.lost(why))? {
            if (body.len() + chunk.len()) as u64 > limit {
                return Err(Lost::TooLarge(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// What a failure says about whether the request left.
    ///
    /// A connection that did not come about carried nothing. One that was
    /// closed while it waited for work may have carried the request or not;
    /// hyper says "canceled" only of requests that it never began to write.
    /// All else may have arrived.
    fn lost(&self, why: reqwest::Error) -> Lost {
        if causes(&why).any(|cause| cause.is::<NotPublic>()) {
            return Lost::Forbidden(NotPublic.to_string());
        }
        let unsent = why.is_builder() || why.is_connect() || causes(&why).any(is_canceled);
        // The URL may be a presigned one.
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
        let text = self.without_key(&text);
        if unsent {
            Lost::NotSent(text)
        } else {
            Lost::NoAnswer(text)
        }
    }

    fn without_key(&self, text: &str) -> String {
        text.replace(self.key.expose_secret(), "<key>")
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: Request) -> Sending<'_> {
        Box::pin(self.exchange(request))
    }
}

/// The socket's settings. To this machine no proxy is asked for: a plain
/// request would show it the key.
fn client(loopback: bool) -> reqwest::ClientBuilder {
    // An error says that the program has chosen another provider before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE);
    if loopback { builder.no_proxy() } else { builder }
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

/// Headers as they go out. Their values may be secrets and are not quoted.
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

/// An error and what is below it.
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
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const KEY: &str = "apik_very_secret";

    /// What the server does with one connection after it has read a request.
    #[derive(Clone, Copy)]
    enum Act {
        /// Answers with these bytes and closes.
        Answer(&'static [u8]),
        /// Answers, keeps the connection, and closes it when the next request
        /// has been read.
        AnswerThenDrop(&'static [u8]),
        /// Announces and sends more than the client takes.
        Flood { announced: bool },
    }

    const FINE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-Request-Id: r1\r\n\r\n{}";

    /// A server on this machine that writes down the requests it reads.
    struct Server {
        address: String,
        seen: Arc<Mutex<Vec<String>>>,
    }

    impl Server {
        async fn start(act: Act) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let seen = Arc::new(Mutex::new(Vec::new()));
            let log = Arc::clone(&seen);
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, act, Arc::clone(&log)));
                }
            });
            Self { address, seen }
        }

        fn transport(&self) -> HttpTransport {
            transport(&format!("http://{}/api/v1", self.address))
        }

        fn storage(&self, path: &str) -> Target {
            Target::Storage(format!("http://{}{path}", self.address))
        }

        fn seen(&self) -> Vec<String> {
            self.seen.lock().unwrap().clone()
        }
    }

    /// Reads one request with its body.
    async fn read_request(stream: &mut TcpStream) -> Option<String> {
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .split_once("content-length: ")
                    .map_or(0, |(_, rest)| rest.split("\r\n").next().unwrap().parse().unwrap());
                if body.len() >= length {
                    return Some(text);
                }
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
    }

    async fn serve(mut stream: TcpStream, act: Act, log: Arc<Mutex<Vec<String>>>) -> Option<()> {
        let first = read_request(&mut stream).await?;
        log.lock().unwrap().push(first);
        match act {
            Act::Answer(bytes) => {
                stream.write_all(bytes).await.ok()?;
                stream.shutdown().await.ok()?;
            }
            Act::AnswerThenDrop(bytes) => {
                stream.write_all(bytes).await.ok()?;
                let second = read_request(&mut stream).await?;
                log.lock().unwrap().push(second);
            }
            Act::Flood { announced } => {
                let head = match announced {
                    true => "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
                    false => "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
                };
                stream.write_all(head.as_bytes()).await.ok()?;
                loop {
                    stream.write_all(&[b' '; 1 << 16]).await.ok()?;
                }
            }
        }
        Some(())
    }

    fn transport(base: &str) -> HttpTransport {
        HttpTransport::new(ApiBase::parse(base).unwrap(), SecretString::from(KEY)).unwrap()
    }

    fn request(method: Method, target: Target, body: &'static str) -> Request {
        Request {
            method,
            target,
            headers: vec![("x-own".to_owned(), "1".to_owned())],
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    fn get(path: &str) -> Request {
        request(Method::Get, Target::Api(path.to_owned()), "")
    }

    #[test]
    fn bases_are_https_or_on_this_machine() {
        for (text, shown) in [
            ("https://api.whop.com/api/v1", "https://api.whop.com/api/v1"),
            ("https://API.whop.com/api/v1//", "https://api.whop.com/api/v1"),
            ("https://gateway.test", "https://gateway.test"),
            ("http://127.0.0.1:8080/api/v1/", "http://127.0.0.1:8080/api/v1"),
            ("http://127.9.9.9", "http://127.9.9.9"),
            ("http://localhost:1/x", "http://localhost:1/x"),
            ("http://[::1]:1", "http://[::1]:1"),
        ] {
            let base = ApiBase::parse(text).unwrap_or_else(|why| panic!("{text} {why}"));
            assert_eq!(base.to_string(), shown);
            assert_eq!(base.is_loopback(), text.starts_with("http:"), "{text}");
        }
        for text in [
            "",
            "api.whop.com",
            "ftp://127.0.0.1/",
            "file:///etc",
            "http://api.whop.com/api/v1",
            "http://localhost.evil.test",
            "http://127.0.0.1.evil.test",
            "http://[::ffff:8.8.8.8]",
            "http://0.0.0.0",
            "http://127.0.0.1@evil.test",
            "https://user@api.whop.com",
            "https://:pw@api.whop.com",
            "https://api.whop.com/?a=b",
            "https://api.whop.com/#x",
        ] {
            assert!(ApiBase::parse(text).is_err(), "{text}");
        }
        assert!(!ApiBase::production().is_loopback() && !ApiBase::sandbox().is_loopback());
    }

    #[test]
    fn paths_stay_below_the_base() {
        let base = ApiBase::parse("https://h.test/api/v1").unwrap();
        let url = base.join("/accounts?after=a%2Fb").unwrap();
        assert_eq!(url.as_str(), "https://h.test/api/v1/accounts?after=a%2Fb");
        for path in [
            "accounts",
            "",
            "/../v2/x",
            "/%2e%2e/v2",
            "@evil.test/",
            ".evil.test/x",
        ] {
            assert!(base.join(path).is_err(), "{path}");
        }
    }

    #[test]
    fn storage_is_https_or_beside_a_test_server() {
        let real = transport("https://h.test");
        let local = transport("http://127.0.0.1:1");
        let url =
            |transport: &HttpTransport, url: &str| transport.url(&Target::Storage(url.to_owned())).is_ok();
        assert!(url(&real, "https://s.test/a?sig=1") && url(&local, "https://s.test/a?sig=1"));
        assert!(url(&local, "http://127.0.0.1:2/a") && !url(&real, "http://127.0.0.1:2/a"));
        assert!(!url(&local, "http://s.test/a") && !url(&real, "ftp://s.test/a") && !url(&real, "a"));
    }

    #[test]
    fn pictures_come_from_the_public_internet_or_from_beside_a_test_server() {
        let (far, near) = (transport("https://h.test"), transport("http://127.0.0.1:1"));
        let fits = |transport: &HttpTransport, url: &str| {
            transport
                .url(&Target::Picture(url.to_owned()))
                .map_err(|lost| assert!(matches!(lost, Lost::Forbidden(_)), "{lost:?}"))
                .is_ok()
        };
        for url in [
            "https://img.test/a",
            "https://8.8.8.8/a",
            "https://[2606:4700::1]/a",
        ] {
            assert!(fits(&far, url) && fits(&near, url), "{url}");
        }
        for url in ["https://127.0.0.1/a", "https://[::1]:1/a", "http://127.0.0.1:2/a"] {
            assert!(!fits(&far, url) && fits(&near, url), "{url}");
        }
        for url in [
            "http://img.test/a",
            "http://8.8.8.8/a",
            "ftp://img.test/a",
            "file:///etc/passwd",
            "data:image/png;base64,AAAA",
            "https://10.0.0.1/a",
            "https://169.254.169.254/latest",
            "https://0x0a000001/a",
            "https://167772161/a",
            "https://[::ffff:192.168.0.1]/a",
            "https://0/a",
            "https://u@img.test/a",
            "https://:p@img.test/a",
            "",
        ] {
            assert!(!fits(&far, url) && !fits(&near, url), "{url}");
        }
    }

    #[tokio::test]
    async fn a_picture_is_read_without_the_key_and_up_to_its_limit() {
        let server = Server::start(Act::Answer(FINE)).await;
        let picture = |address: &str| Target::Picture(format!("http://{address}/p.png"));
        let asked = request(Method::Get, picture(&server.address), "");
        assert_eq!(server.transport().send(asked).await.unwrap().body, "{}");
        let seen = server.seen().concat();
        assert!(seen.starts_with("get /p.png http/1.1\r\n"), "{seen}");
        assert!(!seen.contains(KEY) && !seen.contains("authorization") && !seen.contains("cookie"));
        let flood = Server::start(Act::Flood { announced: false }).await;
        let asked = request(Method::Get, picture(&flood.address), "");
        let lost = flood.transport().send(asked).await.unwrap_err();
        assert_eq!(lost, Lost::TooLarge(MOST_BYTES));
    }

    #[tokio::test]
    async fn a_name_that_leads_into_this_machine_is_not_followed() {
        let server = Server::start(Act::Answer(FINE)).await;
        let port = server.address.rsplit(':').next().unwrap();
        let target = Target::Picture(format!("https://localhost:{port}/p.png"));
        let lost = transport("https://h.test")
            .send(request(Method::Get, target, ""))
            .await;
        assert_eq!(lost, Err(Lost::Forbidden(NotPublic.to_string())));
        assert_eq!(server.seen(), [""; 0]);
    }

    #[test]
    fn keys_that_cannot_be_one_are_refused_and_never_shown() {
        let base = ApiBase::production;
        for key in ["", "a b", "a\nb", "é"] {
            let error = HttpTransport::new(base(), SecretString::from(key)).unwrap_err();
            assert_eq!(error.code(), Code::KeyRefused);
        }
        let transport = transport("https://h.test");
        assert!(!format!("{transport:?}").contains("secret"));
        assert!(!format!("{:?}", transport.authorization).contains("secret"));
    }

    #[tokio::test]
    async fn the_key_goes_to_the_api_and_nowhere_else() {
        let server = Server::start(Act::Answer(FINE)).await;
        let transport = server.transport();
        let answer = transport
            .send(get("/users/user_1?account_id=biz_1"))
            .await
            .unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]));
        assert_eq!(answer.header("x-request-id"), Some("r1"));
        let upload = request(Method::Put, server.storage("/put?sig=1"), "bytes");
        assert_eq!(transport.send(upload).await.unwrap().status, 200);
        let seen = server.seen();
        assert!(seen[0].starts_with("get /api/v1/users/user_1?account_id=biz_1 http/1.1\r\n"));
        assert!(seen[0].contains(&format!("authorization: bearer {KEY}")) && seen[0].contains("x-own: 1"));
        assert!(seen[1].starts_with("put /put?sig=1 ") && seen[1].ends_with("\r\n\r\nbytes"));
        assert!(
            !seen[1].contains("authorization") && !seen[1].contains(KEY) && !seen[1].contains("user-agent")
        );
    }

    #[tokio::test]
    async fn redirects_are_answers() {
        let elsewhere = Server::start(Act::Answer(FINE)).await;
        let moved = format!(
            "HTTP/1.1 307 Moved\r\ncontent-length: 0\r\nlocation: http://{}/api/v1/x\r\n\r\n",
            elsewhere.address
        );
        let server = Server::start(Act::Answer(moved.leak().as_bytes())).await;
        assert_eq!(server.transport().send(get("/x")).await.unwrap().status, 307);
        assert_eq!(elsewhere.seen(), [""; 0]);
        assert_eq!(server.seen().len(), 1);
    }

    #[tokio::test]
    async fn answers_have_a_limit_announced_or_not() {
        for announced in [true, false] {
            let server = Server::start(Act::Flood { announced }).await;
            let lost = server.transport().send(get("/x")).await.unwrap_err();
            assert_eq!(lost, Lost::TooLarge(API_ANSWER));
        }
    }

    #[tokio::test]
    async fn what_was_never_sent_is_told_from_what_may_have_arrived() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = closed.local_addr().unwrap();
        drop(closed);
        let refused = transport(&format!("http://{address}")).send(get("/x")).await;
        assert!(matches!(refused, Err(Lost::NotSent(_))), "{refused:?}");
        // Closed without a word, and in the middle of a body.
        for act in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{",
            b"HTTP/1.1 2",
            b"nonsense\r\n\r\n",
        ] {
            let server = Server::start(Act::Answer(act)).await;
            let silent = server.transport().send(get("/x")).await;
            assert!(matches!(silent, Err(Lost::NoAnswer(_))), "{silent:?}");
            assert_eq!(server.seen().len(), 1, "sent once");
        }
        let local = transport("http://127.0.0.1:1");
        let bad = local.send(Request {
            headers: vec![("x".to_owned(), "a\nb".to_owned())],
            ..get("/x")
        });
        assert!(matches!(bad.await, Err(Lost::NotSent(_))));
    }

    #[tokio::test]
    async fn a_kept_connection_that_dies_under_a_post_leaves_its_effect_unknown() {
        let server = Server::start(Act::AnswerThenDrop(FINE)).await;
        let transport = server.transport();
        transport.send(get("/first")).await.unwrap();
        let post = request(Method::Post, Target::Api("/accounts".to_owned()), "{}");
        let lost = transport.send(post).await.unwrap_err();
        assert!(matches!(lost, Lost::NoAnswer(_)), "{lost:?}");
        let posts = server.seen().iter().filter(|r| r.starts_with("post")).count();
        assert_eq!(posts, 1, "never repeated below the client");
    }

    #[tokio::test]
    async fn an_echoed_key_does_not_come_back() {
        let echo =
            format!("HTTP/1.1 401 No\r\nx-request-id: {KEY}\r\nconnection: close\r\n\r\nbad key {KEY}!");
        let server = Server::start(Act::Answer(echo.leak().as_bytes())).await;
        let answer = server.transport().send(get("/x")).await.unwrap();
        assert_eq!(answer.body, "bad key <key>!");
        assert_eq!(answer.header("x-request-id"), Some("<key>"));
    }

    #[tokio::test]
    async fn what_went_wrong_is_said_without_the_url() {
        let local = transport("http://127.0.0.1:1");
        let target = Target::Storage("http://127.0.0.1:1/put?sig=secret".to_owned());
        let lost = local.send(request(Method::Put, target, "x")).await.unwrap_err();
        assert!(
            !lost.to_string().contains("sig") && lost.to_string().len() > 20,
            "{lost}"
        );
    }
}
