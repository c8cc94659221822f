//! The emulator in a process of its own, so that the program's CPU time and
//! memory are its own too.

use std::fs;
use std::io::{BufRead, BufReader, Write, stdin};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use whop_sync::core::model::Policy;
use whop_sync::core::planner;
use whop_sync::emulator::serve::Server;
use whop_sync::emulator::{self, Emulator, Fault, Script, Strike};
use whop_sync::execute::{self, Run};
use whop_sync::manifest;
use whop_sync::remote::{Client, Options, Version, refresh};
use whop_sync::store::{Holder, Identity, OsDisk, Paths, Session};

use crate::options::Serve;
use crate::world::PLATFORM;

/// The process, seen from the harness.
pub(crate) struct Served {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub(crate) base: String,
}

impl Served {
    /// Starts it and waits until it serves.
    pub(crate) fn start(mut serve: Serve) -> Self {
        // Its address stands in the mapping, so it is chosen before.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        serve.port = free.local_addr().unwrap().port();
        drop(free);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--serve", &serve.to_argument()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let mut base = String::new();
        answers.read_line(&mut base).unwrap();
        assert!(!base.is_empty(), "the emulator did not start");
        Self {
            child,
            orders,
            answers,
            base: base.trim().to_owned(),
        }
    }

    /// What came in so far, by operation and by status.
    pub(crate) fn counts(&mut self) -> Value {
        writeln!(self.orders, "counts").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Ends it, and says how much CPU time it took, the preparation included.
    pub(crate) fn end(mut self) -> Duration {
        drop(self.orders);
        use wait4::Wait4 as _;
        let used = self.child.wait4().unwrap().rusage;
        used.utime + used.stime
    }
}

/// The process itself.
pub(crate) fn serve(serve: &Serve) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let settings = |rate, latency, state| emulator::Settings {
            platform: Some(PLATFORM.to_owned()),
            rate,
            latency,
            limit_headers: serve.headers,
            processing: Duration::from_millis(serve.processing),
            record: true,
            state,
            ..emulator::Settings::default()
        };
        let state = serve.world.as_deref().map_or(emulator::State::Memory, |world| {
            emulator::State::Kept(Path::new(world).join("emulator.jsonl"))
        });
        if let Some(world) = &serve.world {
            let whop = Emulator::open(settings(0, Duration::ZERO, state.clone())).unwrap();
            prepare(&whop, Path::new(world), serve.port).await;
        }
        let latency = Duration::from_millis(serve.latency);
        let whop = Emulator::open(settings(serve.rate, latency, state)).unwrap();
        if serve.faults > 0 {
            let strike = Strike::Answer {
                status: 503,
                body: None,
                headers: Default::default(),
            };
            whop.script(Script {
                seed: 7,
                faults: vec![Fault {
                    operation: None,
                    containing: None,
                    skip: 0,
                    count: None,
                    chance: serve.faults,
                    strike,
                }],
            });
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, serve.port));
        let server = Server::bind(whop.clone(), address).await.unwrap();
        println!("{}", server.base());
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            for _order in stdin().lock().lines().map_while(Result::ok) {
                println!("{}", counts(&whop));
            }
            let _ = end.send(());
        });
        server.run(async { drop(ended.await) }).await;
    });
}

fn counts(whop: &Emulator) -> Value {
    let seen = whop.requests();
    let of = |status| seen.iter().filter(|seen| seen.status == Some(status)).count();
    let by: serde_json::Map<String, Value> = whop
        .counts()
        .into_iter()
        .map(|(operation, count)| (operation.as_str().to_owned(), json!(count)))
        .collect();
    json!({ "by": by, "limited": of(429), "faults": of(503) })
}

/// Applies the world's manifest without any limit, and leaves its mapping
/// beside it.
async fn prepare(whop: &Emulator, world: &Path, port: u16) {
    let manifest = Arc::new(manifest::load(&[world.join("users.yaml")]).unwrap());
    let client = Client::new(
        Arc::new(whop.transport(Some("key"))),
        Version::default(),
        manifest.desired.platform().clone(),
        Options {
            per_minute: None,
            ..Options::default()
        },
    );
    let holder = Holder {
        pid: std::process::id(),
        host: "harness".to_owned(),
        since: "now".to_owned(),
    };
    let identity = Identity {
        company: manifest.desired.platform().clone(),
        server: format!("http://127.0.0.1:{port}/api/v1"),
    };
    let paths = Paths::of_mapping(&world.join("users.mapping.jsonl"));
    let session = Session::open(paths, identity, Arc::new(OsDisk::default()), &holder).unwrap();
    let known = session.loaded().known.clone();
    let policy = Policy::new(client.dialect(), client.version().as_str(), 0);
    let observed = refresh::refresh(&client, &manifest.desired, &known, &policy, |_| {})
        .await
        .unwrap();
    let plan = planner::plan(&manifest.desired, &observed, &known, &policy);
    let (_stop, stopped) = watch::channel(None);
    let pictures = manifest.clone();
    let run = Run {
        client,
        read_picture: Arc::new(move |avatar| pictures.read_picture(avatar)),
        id: "preparation".to_owned(),
        purpose: None,
        began: 0,
        stop: stopped,
    };
    let ended = execute::execute(plan, run, session, |_| {}).await.unwrap();
    assert!(ended.error.is_none() && ended.report.is_complete(), "{ended:?}");
    fs::remove_file(world.join("users.mapping.journal")).ok();
}
