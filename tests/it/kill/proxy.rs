//! A man in the middle: between the program and the emulator, counting
//! requests, and doing something evil at the n-th.
//!
//! It speaks just enough HTTP/1.1 by hand to know where a request and its
//! answer end, so that it can stop between any two bytes. The Host header goes
//! through as it is: the emulator builds upload URLs from it, so the program
//! uploads through here too.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// When, in the life of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// Whole here, and never to arrive.
    Before,
    /// Answered by the emulator; nobody has heard the answer.
    Unheard,
    /// The answer is with the program.
    Heard,
}

/// What happens to requests.
#[derive(Clone, Debug)]
pub(crate) enum Trap {
    /// Nothing.
    Straight,
    /// At the n-th request's moment the proxy calls out (see
    /// [`Proxy::sprung`]), then goes no further with that request until
    /// [`Proxy::disarm`], and drops it.
    Spring(usize, Moment),
    /// The n-th answer ends in the middle of its body.
    Cut(usize),
    /// From the n-th on, requests are taken and not passed on, until
    /// [`Proxy::disarm`], which lets them all go.
    Gate(usize),
    /// Requests with this method and end of path get this answer.
    Answer(&'static str, String, &'static str),
}

/// A request that came by: its first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
}

impl Seen {
    /// Whether it is a look at files' states, the number of which follows the
    /// clock and not the work.
    pub(crate) fn is_poll(&self) -> bool {
        self.method == "GET" && self.path.starts_with("/api/v1/files")
    }

    pub(crate) fn writes(&self) -> bool {
        self.method != "GET"
    }
}

struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
    /// Counts up with every arming and disarming.
    turns: watch::Sender<u64>,
    sprung: watch::Sender<bool>,
    open: watch::Sender<usize>,
}

struct State {
    trap: Trap,
    seen: Vec<Seen>,
    /// Requests since the trap was set.
    count: usize,
}

/// A running proxy; dropping it ends it.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    /// A proxy on a free port, to this address.
    pub(crate) async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream,
            state: Mutex::new(State {
                trap: Trap::Straight,
                seen: Vec::new(),
                count: 0,
            }),
            turns: watch::channel(0).0,
            sprung: watch::channel(false).0,
            open: watch::channel(0).0,
        });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// Sets a trap; its count begins now.
    pub(crate) fn arm(&self, trap: Trap) {
        let mut state = self.shared.state();
        state.trap = trap;
        state.count = 0;
        state.seen.clear();
        drop(state);
        self.shared.sprung.send_replace(false);
        self.shared.turns.send_modify(|turn| *turn += 1);
    }

    /// Lets everything through, what is held as well.
    pub(crate) fn disarm(&self) {
        self.shared.state().trap = Trap::Straight;
        self.shared.turns.send_modify(|turn| *turn += 1);
    }

    /// Resolves when the trap has sprung.
    pub(crate) async fn sprung(&self) {
        let mut sprung = self.shared.sprung.subscribe();
        sprung.wait_for(|sprung| *sprung).await.unwrap();
    }

    /// The requests since the trap was set.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// Waits until nothing that a dead program sent is on its way any more.
    /// Connections are accepted in order: once ours is, all of the program's
    /// are; and they end when their last request is dealt with.
    pub(crate) async fn settle(&self) {
        let mut probe = TcpStream::connect(self.address).await.unwrap();
        probe.write_all(b"SETTLE\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        probe.read_to_end(&mut answer).await.unwrap();
        self.shared
            .open
            .subscribe()
            .wait_for(|open| *open == 0)
            .await
            .unwrap();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a request down; its number, from 1, and the trap that is set.
    fn note(&self, message: &[u8]) -> (usize, Trap) {
        let line = String::from_utf8_lossy(&message[..message.len().min(4096)]).into_owned();
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut state = self.state();
        state.seen.push(Seen { method, path });
        state.count += 1;
        (state.count, state.trap.clone())
    }

    /// Springs the trap and waits until it is taken away.
    async fn spring(&self) {
        let mut turns = self.turns.subscribe();
        turns.mark_unchanged();
        self.sprung.send_replace(true);
        let _ = turns.changed().await;
    }

    /// Waits until no gate is shut.
    async fn pass_gate(&self) {
        let mut turns = self.turns.subscribe();
        while matches!(self.state().trap, Trap::Gate(_)) {
            let _ = turns.changed().await;
        }
    }
}

/// Counts an open connection for as long as it lives.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        shared.open.send_modify(|open| *open += 1);
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let open = Open::new(shared.clone());
        tokio::spawn(async move {
            // An error is one side going away, which ends the connection.
            let _ = serve(stream, &open.0).await;
        });
    }
}

/// Requests of one connection, one after the other, each over a connection of
/// its own to the emulator.
async fn serve(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    while let Some(request) = message(&mut client).await? {
        if request.starts_with(b"SETTLE") {
            return Ok(());
        }
        let (n, trap) = shared.note(&request);
        let springs = |moment| matches!(trap, Trap::Spring(at, when) if at == n && when == moment);
        match &trap {
            Trap::Answer(method, tail, answer) if is(&request, method, tail) => {
                client.write_all(answer.as_bytes()).await?;
                continue;
            }
            Trap::Gate(at) if n >= *at => shared.pass_gate().await,
            _ if springs(Moment::Before) => {
                shared.spring().await;
                return Ok(());
            }
            _ => {}
        }
        let mut upstream = TcpStream::connect(shared.upstream).await?;
        upstream.set_nodelay(true)?;
        upstream.write_all(&request).await?;
        let Some(answer) = message(&mut upstream).await? else {
            return Ok(());
        };
        if springs(Moment::Unheard) {
            shared.spring().await;
            return Ok(());
        }
        if matches!(trap, Trap::Cut(at) if at == n) {
            let head = head_length(&answer).unwrap_or_default();
            return client
                .write_all(&answer[..head + (answer.len() - head) / 2])
                .await;
        }
        client.write_all(&answer).await?;
        if springs(Moment::Heard) {
            shared.spring().await;
            return Ok(());
        }
    }
    Ok(())
}

fn is(request: &[u8], method: &str, tail: &str) -> bool {
    let text = String::from_utf8_lossy(request);
    let mut words = text.split_whitespace();
    let path = |path: &str| path.split('?').next().is_some_and(|path| path.ends_with(tail));
    words.next() == Some(method) && words.next().is_some_and(path)
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map(|at| at + 4)
}

/// The next whole message, head and body; `None` when the other side has ended.
/// Both sides announce the length of every body they send.
async fn message(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(8192);
    loop {
        if let Some(head) = head_length(&bytes) {
            let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length = length
                .and_then(|length| length.trim().parse().ok())
                .unwrap_or(0usize);
            if bytes.len() >= head + length {
                return Ok(Some(bytes));
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
}
