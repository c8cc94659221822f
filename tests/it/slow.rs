//! Servers that keep us waiting, on real sockets: whoever lets a byte trickle
//! in now and then, or nothing at all, is given up after a stated time, and
//! however often that happens the whole call ends.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use whop_sync::core::model::Dialect;
use whop_sync::remote::transport::{Method, Request, Target, TransportError};
use whop_sync::remote::{ApiBase, Client, HttpTransport, Options, Timeouts, Transport};

use crate::lab::Lab;

/// How long a request may take in these tests: long enough to connect on a busy
/// machine.
const LIMIT: Duration = Duration::from_millis(1500);
/// The time between two bytes that trickle: far below the limit, so that it
/// is not silence that ends the wait.
const DRIP: Duration = Duration::from_millis(20);
/// Another limit, which must not be the one that counts.
const LONG: Duration = Duration::from_secs(6000);
/// Should no limit hold, the test ends all the same. A request that is given up
/// was so by its own limit, since all others are longer than this.
const HANGS: Duration = Duration::from_secs(600);

/// How a server keeps its client waiting once it has a connection.
#[derive(Clone, Copy, Debug)]
enum Slow {
    /// Never takes the connection, which the system has taken for it.
    Ignores,
    /// Takes it, and neither reads nor answers.
    ReadsNothing,
    /// Reads all, and never answers.
    Silent,
    /// The status and headers come byte by byte, without an end.
    Headers,
    /// One header after the other, without an end.
    MoreHeaders,
    /// Interim answers, without an end.
    Interim,
    /// A body of announced length, byte by byte.
    Announced,
    /// The same in chunks.
    Chunks,
    /// The same up to the end of the connection.
    UntilClosed,
    /// The whole body, and then never the last chunk.
    NoLastChunk,
    /// Whitespace before a body that would be right, for ever.
    Blanks,
}

const ALL: [Slow; 11] = [
    Slow::Ignores,
    Slow::ReadsNothing,
    Slow::Silent,
    Slow::Headers,
    Slow::MoreHeaders,
    Slow::Interim,
    Slow::Announced,
    Slow::Chunks,
    Slow::UntilClosed,
    Slow::NoLastChunk,
    Slow::Blanks,
];

/// A server on this machine that is slow in this way, and how many connections
/// it has taken.
async fn serve(how: Slow) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    tokio::spawn(async move {
        if let Slow::Ignores = how {
            pending::<()>().await;
        }
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(slow(stream, how));
        }
    });
    (address, taken)
}

async fn slow(mut stream: TcpStream, how: Slow) -> Option<()> {
    if let Slow::ReadsNothing = how {
        pending::<()>().await;
    }
    // An answer to nothing would be none.
    stream.peek(&mut [0]).await.ok()?;
    let (mut reads, mut writes) = stream.split();
    let read = async {
        let mut bytes = vec![0; 1 << 16];
        while reads.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
    };
    let write = async {
        let (head, drop): (&[u8], &[u8]) = match how {
            Slow::Ignores | Slow::ReadsNothing | Slow::Silent => pending().await,
            Slow::Headers => (b"HTTP/1.1 200 OK\r\nx: ", b"x"),
            Slow::MoreHeaders => (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
            Slow::Interim => (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
            Slow::Announced => (b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{", b"x"),
            Slow::Chunks => (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
                b"1\r\nx\r\n",
            ),
            Slow::UntilClosed => (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", b"x"),
            Slow::NoLastChunk => (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
                b"",
            ),
            Slow::Blanks => (b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n", b" "),
        };
        writes.write_all(head).await?;
        loop {
            writes.write_all(drop).await?;
            tokio::time::sleep(DRIP).await;
        }
        #[expect(unreachable_code, reason = "it says what an error is")]
        Ok::<(), std::io::Error>(())
    };
    // Who hangs up is no longer waited for.
    let _ = tokio::join!(read, write);
    Some(())
}

/// How many connections the server has taken, once it has taken so many: it may
/// come to that after the client has gone.
async fn settled(taken: &AtomicUsize, expected: usize) -> usize {
    let wait = async {
        while taken.load(Ordering::Relaxed) < expected {
            tokio::time::sleep(DRIP).await;
        }
    };
    let _ = tokio::time::timeout(HANGS, wait).await;
    taken.load(Ordering::Relaxed)
}

/// A transport to this server, with nothing but these limits.
fn transport(address: &str, api: Duration, upload: Duration, picture: Duration) -> HttpTransport {
    let base = ApiBase::parse(&format!("http://{address}/api/v1")).unwrap();
    let http = HttpTransport::new(base, SecretString::from("key")).unwrap();
    http.within(Timeouts { api, upload, picture })
}

/// Sends one request that is never answered in full; how long that took.
async fn wait(
    http: &HttpTransport,
    method: Method,
    target: Target,
    body: Bytes,
) -> (TransportError, Duration) {
    let request = Request {
        method,
        target,
        headers: Vec::new(),
        body,
    };
    let begun = Instant::now();
    let sent = tokio::time::timeout(HANGS, http.send(request)).await;
    let sent = sent.expect("the request was given up");
    (sent.unwrap_err(), begun.elapsed())
}

#[tokio::test]
async fn whoever_keeps_us_waiting_is_given_up() {
    let mut cases = tokio::task::JoinSet::new();
    for how in ALL {
        cases.spawn(async move {
            let (address, taken) = serve(how).await;
            // Each kind of request has its own limit.
            let api = transport(&address, LIMIT, LONG, LONG);
            let upload = transport(&address, LONG, LIMIT, LONG);
            let picture = transport(&address, LONG, LONG, LIMIT);
            let url = format!("http://{address}/x.png");
            // More than fits between the ends of a connection.
            let large = Bytes::from(vec![7; 5 << 20]);
            let waits = tokio::join!(
                wait(&api, Method::Get, Target::Api("/accounts".into()), Bytes::new()),
                wait(&api, Method::Post, Target::Api("/files".into()), "{}".into()),
                wait(&upload, Method::Put, Target::Storage(url.clone()), large),
                wait(&picture, Method::Get, Target::Picture(url), Bytes::new()),
            );
            for (what, (lost, took)) in [
                ("read", waits.0),
                ("create", waits.1),
                ("upload", waits.2),
                ("picture", waits.3),
            ] {
                let case = format!("{how:?}, {what}: {lost:?} after {took:?}");
                // It may have arrived, and says that it was time that ran out.
                let said = matches!(&lost, TransportError::NoAnswer(why) if why.starts_with("timed out"));
                assert!(said, "{case}");
                assert!(took >= LIMIT, "{case}");
            }
            let expected = if let Slow::Ignores = how { 0 } else { 4 };
            assert_eq!(settled(&taken, expected).await, expected, "{how:?}");
        });
    }
    let mut done = 0;
    while let Some(case) = cases.join_next().await {
        case.unwrap();
        done += 1;
    }
    assert_eq!(done, ALL.len());
}

/// TLS that never comes about counts as well.
#[tokio::test]
async fn a_greeting_that_is_never_returned_is_given_up() {
    let (address, _) = serve(Slow::Silent).await;
    let base = ApiBase::parse(&format!("https://{address}/api/v1")).unwrap();
    let http = HttpTransport::new(base, SecretString::from("key")).unwrap();
    let http = http.within(Timeouts {
        api: LIMIT,
        upload: LONG,
        picture: LONG,
    });
    let target = Target::Api("/accounts".into());
    let (lost, took) = wait(&http, Method::Get, target, Bytes::new()).await;
    // Connecting has a longer limit of its own, and words of its own.
    let said = matches!(&lost, TransportError::NoAnswer(why) if why.starts_with("timed out"));
    assert!(said && took >= LIMIT, "{lost:?} after {took:?}");
}

/// A call is repeated, each time for as long; then it is over, and says so.
#[tokio::test]
async fn a_call_that_is_never_answered_ends_after_its_last_attempt() {
    let lab = Lab::new(Vec::new(), Dialect::Accounts);
    let call = async |how| {
        let (address, taken) = serve(how).await;
        let http: Arc<dyn Transport> = Arc::new(transport(&address, LIMIT, LONG, LONG));
        let options = Options {
            attempts: 3,
            ..Options::default()
        };
        let client = Client::new(http, lab.version.clone(), lab.platform(), options);
        let failed = tokio::time::timeout(HANGS, client.list_accounts()).await;
        let failed = failed.expect("the call was given up").unwrap_err();
        assert!(failed.to_string().contains("timed out"), "{how:?}: {failed}");
        assert_eq!(settled(&taken, 3).await, 3, "{how:?}");
    };
    tokio::join!(call(Slow::Silent), call(Slow::Announced), call(Slow::Chunks));
}
