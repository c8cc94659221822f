//! The emulator behind a socket of this machine.
//!
//! Anybody who can connect is let in, so nothing but loopback is listened on,
//! and no web page is let in that a browser shows (`visitor`).
//! Connections, bodies and the memory of bodies on their way are bounded, and a
//! connection that does nothing makes room for one that wants to. On shutdown no new connection is taken,
//! requests in hand are answered within a limit, and the rest is dropped.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::operation::BASE;
use super::refusal::Refusal;
use super::request::Call;
use super::seats::{Seat, Seats};
use super::visitor::{admit, is_ours};
use super::{Emulator, Reply, storage};
use crate::remote::transport::Response;

/// The largest body that the API takes, in bytes.
const BODY: usize = 1024 * 1024;
/// How long a client may take over a request's head, and how long a connection
/// may idle. Longer than clients keep idle connections (reqwest: 90 s), so that
/// it is they who close, and no request meets a closing socket.
const HEAD: Duration = Duration::from_secs(120);
/// How long a client may take over a request's body. Longer than this program
/// takes over an upload.
const UPLOAD: Duration = Duration::from_secs(150);
/// How long a connection that is to make room may take over what it is writing.
const LEAVE: Duration = Duration::from_secs(1);
/// How long shutdown waits for requests in hand.
const DRAIN: Duration = Duration::from_secs(5);

/// How much is served at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections; for one more, the one that has been idle longest is closed.
    /// 512.
    pub connections: usize,
    /// Memory for bodies of API requests on their way, in bytes; what is beyond
    /// it waits. At least the largest body, 1 MiB; 32 MiB.
    pub bodies: usize,
    /// The same for uploads to storage. At least the largest, 6 MiB; 64 MiB.
    pub uploads: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 512,
            bodies: 32 << 20,
            uploads: 64 << 20,
        }
    }
}

/// A bound socket, not yet served.
#[derive(Debug)]
pub struct Server {
    emulator: Emulator,
    listener: TcpListener,
    address: SocketAddr,
    bounds: Bounds,
}

/// What all connections share.
struct House {
    emulator: Emulator,
    address: SocketAddr,
    bodies: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
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
            bounds: Bounds::default(),
        })
    }

    /// The same within other bounds.
    #[must_use]
    pub fn within(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
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
        let seats = Seats::new(self.bounds.connections);
        let house = Arc::new(House {
            emulator: self.emulator.clone(),
            address: self.address,
            bodies: Arc::new(Semaphore::new(self.bounds.bodies.max(BODY))),
            uploads: Arc::new(Semaphore::new(self.bounds.uploads.max(storage::MOST))),
        });
        let (stop, stopped) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = self.accept(&seats) => accepted,
            };
            // Finished connections are cleared away as new ones come.
            while connections.try_join_next().is_some() {}
            if let Some((stream, seat)) = accepted {
                connections.spawn(connection(Arc::clone(&house), stream, seat, stopped.clone()));
            }
        }
        drop(self.listener);
        drop(stop);
        let drained = async { while connections.join_next().await.is_some() {} };
        // What is not done by then is aborted when the set is dropped.
        let _ = tokio::time::timeout(DRAIN, drained).await;
    }

    /// The next connection, once there is a seat for it. `None` for one that
    /// broke before it was taken.
    async fn accept(&self, seats: &Arc<Seats>) -> Option<(TcpStream, Seat)> {
        match self.listener.accept().await {
            Ok((stream, _)) => Some((stream, seats.take().await)),
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
async fn connection(house: Arc<House>, stream: TcpStream, seat: Seat, mut stopped: watch::Receiver<()>) {
    // Small answers should not wait for more to come.
    let _ = stream.set_nodelay(true);
    let (house, at) = (&*house, &seat);
    let service = service_fn(move |request| async move {
        at.works();
        let answered = answer(house, request).await;
        at.rests();
        answered
    });
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
        () = seat.asked() => {
            connection.as_mut().graceful_shutdown();
            // Half a head would be waited for.
            let _ = tokio::time::timeout(LEAVE, connection).await;
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
    house: &House,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Closed> {
    let House {
        emulator,
        address,
        bodies,
        uploads,
    } = house;
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    if let Err(turned) = admit(&head) {
        let (status, words) = turned.answer();
        return Ok(refused(path, status, "AccessDenied", words));
    }
    let (limit, memory) = match path.starts_with(BASE) {
        true => (BODY, bodies),
        false => (storage::MOST, uploads),
    };
    // What the body may take is set aside before it is read, and kept until the
    // emulator has dealt with it.
    let announced = body
        .size_hint()
        .upper()
        .and_then(|bytes| usize::try_from(bytes).ok());
    let whole = announced.map_or(limit, |bytes| bytes.min(limit));
    let share = u32::try_from(whole).map_err(|_| Closed)?;
    let share = memory.acquire_many(share).await.map_err(|_| Closed)?;
    let body = match tokio::time::timeout(UPLOAD, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Ok(too_large(path)),
        Ok(Err(_)) | Err(_) => return Err(Closed),
    };
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    // hyper leaves the body of an answer to HEAD out.
    let method = match head.method.as_str() {
        "HEAD" => "GET",
        method => method,
    };
    let call = Call {
        method: method.to_owned(),
        path: path.to_owned(),
        origin: origin(&head.headers, *address),
        headers: headers.collect(),
        body,
    };
    let Reply { answer, after } = emulator.handle(&call);
    drop((call, share));
    if !after.is_zero() {
        tokio::time::sleep(after).await;
    }
    answer.map(wire).ok_or(Closed)
}

/// Scheme and host for URLs in answers: the name by which the client came, if
/// that is this machine.
fn origin(headers: &hyper::HeaderMap, address: SocketAddr) -> String {
    let host = headers.get("host").and_then(|host| host.to_str().ok());
    let local = host.filter(|host| is_ours(host));
    match local {
        Some(host) => format!("http://{host}"),
        None => format!("http://{address}"),
    }
}

/// The answer to a body beyond its limit.
fn too_large(path: &str) -> hyper::Response<Full<Bytes>> {
    let status = if path.starts_with(BASE) { 413 } else { 400 };
    refused(path, status, "EntityTooLarge", "The body is too large")
}

/// A refusal before the emulator hears of a request, in the manner of API or
/// storage.
fn refused(path: &str, status: u16, code: &str, message: &str) -> hyper::Response<Full<Bytes>> {
    if path.starts_with(BASE) {
        let kind = ("content-type".to_owned(), "application/json".to_owned());
        return wire(Response {
            status,
            headers: vec![kind],
            body: Refusal::invalid(message).body(false).to_string().into(),
        });
    }
    wire(storage::error(status, code, message))
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
