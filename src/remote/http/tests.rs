use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const KEY: &str = "apik_very_secret";

/// What the server does with a connection once it has read a request.
#[derive(Clone, Copy)]
enum Act {
    /// Answers with these bytes and closes.
    Answer(&'static [u8]),
    /// Answers, keeps the connection, and closes it when the next request has
    /// been read.
    AnswerThenDrop(&'static [u8]),
    /// Announces and sends more than the client accepts.
    Flood { announced: bool },
}

const FINE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-Request-Id: r1\r\n\r\n{}";

/// A server on this machine that records the requests it reads.
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
fn storage_and_pictures_are_on_the_public_internet_or_beside_a_test_server() {
    let (far, near) = (transport("https://h.test"), transport("http://127.0.0.1:1"));
    let fits = |transport: &HttpTransport, url: &str| {
        let [storage, picture] = [&transport.storage, &transport.pictures].map(|kind| kind.takes(url));
        assert_eq!(storage, picture, "{url}");
        storage
    };
    for url in [
        "https://img.test/a?signature=1",
        "https://8.8.8.8/a",
        "https://[2606:4700::1]/a",
    ] {
        assert!(fits(&far, url) && fits(&near, url), "{url}");
    }
    for url in [
        "https://127.0.0.1/a",
        "https://[::1]:1/a",
        "http://127.0.0.1:2/a",
        "https://0177.0.0.1/a",
        "https://127.1/a",
        "https://2130706433/a",
    ] {
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
        "https://[::ffff:7f00:1%25lo]/a",
        "https://[fe80::1]/a",
        "https://[fd00::1]/a",
        "https://[::]/a",
        "https://100.64.0.1/a",
        "https://[64:ff9b::a9fe:a9fe]/a",
        "gopher://img.test/a",
        "//img.test/a",
        "https://u:p@8.8.8.8/a",
        "https://img.test@127.0.0.1/a",
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
    assert_eq!(lost, TransportError::TooLarge(MOST_BYTES));
}

#[tokio::test]
async fn a_name_that_leads_into_this_machine_is_not_followed() {
    let server = Server::start(Act::Answer(FINE)).await;
    let port = server.address.rsplit(':').next().unwrap();
    let url = format!("https://localhost:{port}/p.png");
    for (method, target) in [
        (Method::Get, Target::Picture(url.clone())),
        (Method::Put, Target::Storage(url)),
    ] {
        let lost = transport("https://h.test")
            .send(request(method, target, ""))
            .await;
        let Err(TransportError::Forbidden(why)) = lost else {
            panic!("{lost:?}");
        };
        assert!(why.starts_with("its host is not on the public internet"), "{why}");
    }
    assert_eq!(server.seen(), [""; 0]);
}

#[test]
fn keys_that_cannot_be_one_are_refused_and_never_shown() {
    let base = || ApiBase::parse("https://h.test").unwrap();
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
    assert!(!seen[1].contains("authorization") && !seen[1].contains(KEY) && !seen[1].contains("user-agent"));
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
        assert_eq!(lost, TransportError::TooLarge(API_ANSWER));
    }
}

#[tokio::test]
async fn what_was_never_sent_differs_from_what_may_have_arrived() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let refused = transport(&format!("http://{address}")).send(get("/x")).await;
    assert!(matches!(refused, Err(TransportError::NotSent(_))), "{refused:?}");
    // Closed without an answer, and in the middle of a body.
    for act in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{",
        b"HTTP/1.1 2",
        b"nonsense\r\n\r\n",
    ] {
        let server = Server::start(Act::Answer(act)).await;
        let silent = server.transport().send(get("/x")).await;
        assert!(matches!(silent, Err(TransportError::NoAnswer(_))), "{silent:?}");
        assert_eq!(server.seen().len(), 1, "sent once");
    }
    let local = transport("http://127.0.0.1:1");
    let bad = local.send(Request {
        headers: vec![("x".to_owned(), "a\nb".to_owned())],
        ..get("/x")
    });
    assert!(matches!(bad.await, Err(TransportError::NotSent(_))));
}

#[tokio::test]
async fn a_kept_connection_that_dies_under_a_post_leaves_its_effect_unknown() {
    let server = Server::start(Act::AnswerThenDrop(FINE)).await;
    let transport = server.transport();
    transport.send(get("/first")).await.unwrap();
    let post = request(Method::Post, Target::Api("/accounts".to_owned()), "{}");
    let lost = transport.send(post).await.unwrap_err();
    assert!(matches!(lost, TransportError::NoAnswer(_)), "{lost:?}");
    let posts = server.seen().iter().filter(|r| r.starts_with("post")).count();
    assert_eq!(posts, 1, "never repeated below the client");
}

#[tokio::test]
async fn an_echoed_key_does_not_come_back() {
    let echo = format!("HTTP/1.1 401 No\r\nx-request-id: {KEY}\r\nconnection: close\r\n\r\nbad key {KEY}!");
    let server = Server::start(Act::Answer(echo.leak().as_bytes())).await;
    let answer = server.transport().send(get("/x")).await.unwrap();
    assert_eq!(answer.body, "bad key <key>!");
    assert_eq!(answer.header("x-request-id"), Some("<key>"));
}

#[tokio::test]
async fn errors_do_not_contain_the_url() {
    let local = transport("http://127.0.0.1:1");
    let target = Target::Storage("http://127.0.0.1:1/put?sig=secret".to_owned());
    let lost = local.send(request(Method::Put, target, "x")).await.unwrap_err();
    assert!(
        !lost.to_string().contains("sig") && lost.to_string().len() > 20,
        "{lost}"
    );
}
