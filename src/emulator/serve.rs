//! The emulator behind a socket of this machine.
//!
//! Anybody who can connect is let in, so nothing but loopback is listened on.
//! Connections and bodies are bounded. On shutdown no new connection is taken,
//! requests in hand are answered within a limit, and the rest is dropped.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::operation::BASE;
use super::refusal::Refusal;
use super::request::Call;
use super::{Emulator, Reply, storage};
use crate::remote::transport::Response;

/// Connections at a time; more wait in the system's queue.
const CONNECTIONS: usize = 512;
/// The largest body that the API takes, in bytes.
const BODY: usize = 1024 * 1024;
/// How long a client may take over a request's head, and how long a connection
/// may idle. Longer than clients keep idle connections (reqwest: 90 s), so that
/// it is they who close, and no request meets a closing socket.
const HEAD: Duration = Duration::from_secs(120);
/// How long shutdown waits for requests in hand.
const DRAIN: Duration = Duration::from_secs(5);

/// A bound socket, not yet served.
#[derive(Debug)]
pub struct Server {
    emulator: Emulator,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Binds the address; port 0 takes a free one.
    ///
    /// # Errors
    /// If the address is not a loopback one, or cannot be bound.
    pub async fn bind(emulator: Emulator, address: SocketAddr) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            let message = format!("the emulator listens on this machine only, not on {address}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self {
            emulator,
            listener,
            address,
        })
    }

    /// The address bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The API's base, for `--server`.
    pub fn base(&self) -> String {
        format!("http://{}{BASE}", self.address)
    }

    /// Serves until `shutdown` completes and the requests in hand are answered.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let (stop, stopped) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = self.accept(&places) => accepted,
            };
            // Finished connections are cleared away as new ones come.
            while connections.try_join_next().is_some() {}
            if let Some((stream, place)) = accepted {
                let connection = connection(self.emulator.clone(), self.address, stream, stopped.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
        }
        drop(self.listener);
        drop(stop);
        let drained = async { while connections.join_next().await.is_some() {} };
        // What is not done by then is aborted when the set is dropped.
        let _ = tokio::time::timeout(DRAIN, drained).await;
    }

    /// The next connection, once there is a place for it. `None` for one that
    /// broke before it was taken.
    async fn accept(&self, places: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        match self.listener.accept().await {
            Ok((stream, _)) => Some((stream, place)),
            Err(_) => {
                // Out of descriptors, most likely: let others finish first.
                tokio::time::sleep(Duration::from_millis(50)).await;
                None
            }
        }
    }
}

/// Serves one connection until it ends, or until told to stop and the request
/// in hand is answered. The emulator acts when a request is whole, so a client
/// that hangs up while waiting has been served all the same.
async fn connection(
    emulator: Emulator,
    address: SocketAddr,
    stream: TcpStream,
    mut stopped: watch::Receiver<()>,
) {
    // Small answers should not wait for more to come.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(&emulator, address, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // An error here is the client's: it went away or spoke no HTTP.
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Ends a connection without an answer.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed on purpose")
    }
}

impl std::error::Error for Closed {}

/// Hands one request to the emulator and sends what comes back, when it is due.
async fn answer(
    emulator: &Emulator,
    address: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Closed> {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let limit = if path.starts_with(BASE) {
        BODY
    } else {
        storage::MOST
    };
    let body = match Limited::new(body, limit).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Ok(too_large(path)),
        Err(_) => return Err(Closed),
    };
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let call = Call {
        method: head.method.as_str().to_owned(),
        path: path.to_owned(),
        origin: origin(&head.headers, address),
        headers: headers.collect(),
        body,
    };
    let Reply { answer, after } = emulator.handle(&call);
    if !after.is_zero() {
        tokio::time::sleep(after).await;
    }
    answer.map(wire).ok_or(Closed)
}

/// Scheme and host for URLs in answers: the name by which the client came, if
/// that is this machine.
fn origin(headers: &hyper::HeaderMap, address: SocketAddr) -> String {
    let host = headers.get("host").and_then(|host| host.to_str().ok());
    let local = host.filter(|host| {
        let name = host.rsplit_once(':').map_or(*host, |(name, port)| {
            if port.bytes().all(|b| b.is_ascii_digit()) {
                name
            } else {
                host
            }
        });
        matches!(name, "localhost" | "127.0.0.1" | "[::1]")
    });
    match local {
        Some(host) => format!("http://{host}"),
        None => format!("http://{address}"),
    }
}

/// The answer to a body beyond its limit, in the manner of API or storage.
fn too_large(path: &str) -> hyper::Response<Full<Bytes>> {
    if path.starts_with(BASE) {
        let body = Refusal::invalid("The body is too large").body(false);
        let kind = ("content-type".to_owned(), "application/json".to_owned());
        return wire(Response {
            status: 413,
            headers: vec![kind],
            body: body.to_string().into(),
        });
    }
    wire(storage::error(400, "EntityTooLarge", "The body is too large"))
}

/// An answer as hyper sends it. Scripts may hold headers or statuses that HTTP
/// cannot carry; those become a 500.
fn wire(answer: Response) -> hyper::Response<Full<Bytes>> {
    let mut builder = hyper::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(answer.body)).unwrap_or_else(|_| {
        let mut failed = hyper::Response::new(Full::new(Bytes::new()));
        *failed.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
        failed
    })
}
