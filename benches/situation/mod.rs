//! What else grows with the users: an apply that changes hardly anything, and
//! pictures that are looked at, or read.

use std::env;
use std::fs;
use std::hint::black_box;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::watch;
use whop_sync::core::digest::Digest;
use whop_sync::core::model::{Policy, Refresh};
use whop_sync::core::planner;
use whop_sync::core::value::PlatformId;
use whop_sync::execute::{self, Run};
use whop_sync::manifest::{self, Memory};
use whop_sync::remote::transport::{Method, Request, Response, Sending, Target, Transport, TransportError};
use whop_sync::remote::{Client, Options, Version, refresh};
use whop_sync::store::{Holder, Identity, OsDisk, Paths, Session};

use crate::world::{PLATFORM, SERVER, Whop, World};
use crate::{cpu, status};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Situation {
    /// A plan, as `main` has it.
    Plan,
    /// An apply.
    Apply,
    /// A manifest whose users have a picture each.
    Pictures {
        /// Of so many bytes.
        bytes: usize,
    },
}

impl Situation {
    /// Measures it at each size, in a process of its own.
    pub(crate) fn measure(self, world: World, sizes: &[usize]) {
        let sizes = if sizes.is_empty() { &[100_000] } else { sizes };
        match self {
            Self::Plan => {}
            Self::Apply => row(&APPLY),
            Self::Pictures { .. } => row(&PICTURES),
        }
        for users in sizes {
            let folder = tempfile::tempdir().unwrap();
            let world = World {
                users: *users,
                edits: world.edits.max(1),
                ..world
            };
            let (child, number) = match self {
                Self::Pictures { bytes } => {
                    illustrate(folder.path(), *users, bytes).unwrap();
                    ("--pictures-child", bytes)
                }
                _ => {
                    world.write(folder.path()).unwrap();
                    ("--apply-child", world.edits)
                }
            };
            let ended = Command::new(env::current_exe().unwrap())
                .arg(child)
                .arg(folder.path())
                .args([users.to_string(), number.to_string()])
                .status();
            assert!(ended.unwrap().success());
        }
    }
}

fn row(titles: &[&str]) {
    println!(
        "{}",
        titles.iter().map(|t| format!("{t:>12}")).collect::<String>()
    );
}

fn numbers(numbers: &[f64]) {
    let shown = numbers.iter().map(|n| match n.fract() == 0.0 {
        true => format!("{n:>12}"),
        false => format!("{n:>12.3}"),
    });
    println!("{}", shown.collect::<String>());
}

const APPLY: [&str; 8] = [
    "users",
    "edits",
    "load s",
    "to first s",
    "requests s",
    "save s",
    "save cpu s",
    "peak MB",
];

/// When requests that change something were sent.
#[derive(Debug)]
struct Watched {
    whop: Whop,
    changes: Mutex<Vec<Instant>>,
}

impl Transport for Watched {
    fn send(&self, request: Request) -> Sending<'_> {
        if request.method == Method::Get {
            return self.whop.send(request);
        }
        self.changes.lock().unwrap().push(Instant::now());
        Box::pin(async move { Ok::<_, TransportError>(changed(&request)) })
    }
}

/// The answer to a change of a profile: what was sent.
fn changed(request: &Request) -> Response {
    let Target::Api(path) = &request.target else {
        unreachable!("no user has a picture")
    };
    let user = path.split(['/', '?']).find(|part| part.starts_with("user_"));
    let sent: Value = serde_json::from_slice(&request.body).unwrap();
    let body = json!({ "id": user.unwrap(), "name": sent["name"], "profile_picture": null });
    Response {
        status: 200,
        headers: Vec::new(),
        body: body.to_string().into(),
    }
}

/// An apply, and what of it waits for what.
pub(crate) fn apply(folder: &Path, users: usize, edits: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = World {
        edits,
        ..World::of(users)
    };
    runtime.block_on(applied(folder, world));
}

async fn applied(folder: &Path, world: World) {
    let manifest = manifest::load(&[folder.join("users.yaml")]).unwrap();
    let platform = PlatformId::parse(PLATFORM).unwrap();
    let identity = Identity {
        company: platform.clone(),
        server: SERVER.to_owned(),
    };
    let holder = Holder {
        pid: std::process::id(),
        host: "bench".to_owned(),
        since: "2026-01-01T00:00:00Z".to_owned(),
    };
    let began = Instant::now();
    let paths = Paths::of_mapping(&folder.join("users.mapping.jsonl"));
    let session = Session::open(paths, identity, Arc::new(OsDisk::default()), &holder).unwrap();
    let load = began.elapsed();
    let watched = Arc::new(Watched {
        whop: Whop::new(&world),
        changes: Mutex::default(),
    });
    let options = Options {
        per_minute: None,
        ..Options::default()
    };
    let client = Client::new(watched.clone(), Version::default(), platform, options);
    let mut policy = Policy::new(client.dialect(), client.version().as_str(), 1_800_000_000);
    policy.refresh = Refresh::Changed;
    let known = &session.loaded().known;
    let looking = refresh::refresh(&client, &manifest.desired, known, &policy, |_| ());
    let observed = looking.await.unwrap();
    let plan = planner::plan(&manifest.desired, &observed, known, &policy);
    assert_eq!(plan.actions.len(), world.edits);
    drop(observed);
    let (_stop, stopped) = watch::channel(None);
    let run = Run {
        client,
        read_picture: Arc::new(|_| unreachable!("no user has a picture")),
        id: "bench".to_owned(),
        purpose: None,
        began: 1_800_000_000,
        stop: stopped,
    };
    let began = Instant::now();
    let mut done = began;
    let mut cpu_done = 0.0;
    let ended = execute::execute(plan, run, session, |_| {
        done = Instant::now();
        cpu_done = cpu();
    });
    let ended = ended.await.unwrap();
    let save = done.elapsed();
    assert!(ended.error.is_none() && ended.report.is_complete(), "{ended:?}");
    let changes = watched.changes.lock().unwrap().clone();
    let first = *changes.first().unwrap();
    numbers(&[
        world.users as f64,
        world.edits as f64,
        load.as_secs_f64(),
        (first - began).as_secs_f64(),
        (done - first).as_secs_f64(),
        save.as_secs_f64(),
        cpu() - cpu_done,
        (status("VmHWM:") / 1024.0).round(),
    ]);
    std::mem::forget(manifest);
}

const PICTURES: [&str; 9] = [
    "users",
    "MB",
    "without s",
    "looked at s",
    "hashed s",
    "MB/s",
    "sha-256 MB/s",
    "on both MB/s",
    "ratio",
];

/// How many pictures lie in one folder.
const IN_A_FOLDER: usize = 1_000;

/// Writes pictures, each another one, and a manifest with and one without them.
fn illustrate(folder: &Path, users: usize, bytes: usize) -> io::Result<()> {
    const WIDTH: u32 = 128;
    let height = u32::try_from(bytes)
        .unwrap_or(u32::MAX)
        .div_ceil(WIDTH * 3)
        .clamp(1, 4096);
    // Noise, so that nothing is saved by packing it.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let noise = (0..WIDTH * height * 3).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    let mut pixels: Vec<u8> = noise.collect();
    let manifest = World::of(users).manifest(0);
    let mut text = String::with_capacity(manifest.len() * 2);
    let mut at = 0_usize;
    for line in manifest.split_inclusive('\n') {
        text.push_str(line);
        if line.starts_with("    name:") {
            let name = format!("pictures/{:04}/{at:07}.png", at / IN_A_FOLDER);
            let path = folder.join(&name);
            if at.is_multiple_of(IN_A_FOLDER) {
                fs::create_dir_all(path.parent().unwrap())?;
            }
            pixels[..8].copy_from_slice(&at.to_le_bytes());
            image::save_buffer(&path, &pixels, WIDTH, height, image::ColorType::Rgb8)
                .map_err(io::Error::other)?;
            text.push_str(&format!("    avatar: {name}\n"));
            at += 1;
        }
    }
    fs::write(folder.join("users.yaml"), text)?;
    fs::write(folder.join("without.yaml"), manifest)
}

/// A manifest with pictures: all read, all looked at, and none.
pub(crate) fn pictures(folder: &Path, users: usize, bytes: usize) {
    let timed = |work: &mut dyn FnMut()| {
        let began = Instant::now();
        work();
        began.elapsed()
    };
    let load = |name: &str, memory: &mut Memory| {
        black_box(manifest::load_with(&[folder.join(name)], memory).unwrap());
    };
    // As if this were an hour later: what is young is not remembered.
    let now = SystemTime::now() + Duration::from_secs(3600);
    let now = now.duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let mut memory = Memory {
        now: i64::try_from(now).unwrap(),
        ..Memory::default()
    };
    let without = timed(&mut || load("without.yaml", &mut Memory::default()));
    let hashed = timed(&mut || load("users.yaml", &mut memory));
    assert_eq!((memory.read, memory.index.len()), (users, users));
    let looked = timed(&mut || load("users.yaml", &mut memory));
    assert_eq!(memory.read, 0);
    // The same number of bytes, in pieces as large, from memory.
    let content = vec![0x5a; bytes];
    let alone = timed(&mut || {
        (0..users).for_each(|_| {
            black_box(Digest::of(black_box(&content)));
        });
    });
    let both = timed(&mut || {
        std::thread::scope(|scope| {
            for half in [users / 2, users - users / 2] {
                let content = &content;
                scope.spawn(move || {
                    (0..half).for_each(|_| {
                        black_box(Digest::of(black_box(content)));
                    });
                });
            }
        });
    });
    let megabytes = users as f64 * bytes as f64 / 1e6;
    let own = hashed.saturating_sub(without).as_secs_f64();
    numbers(&[
        users as f64,
        megabytes.round(),
        without.as_secs_f64(),
        looked.as_secs_f64(),
        hashed.as_secs_f64(),
        (megabytes / own).round(),
        (megabytes / alone.as_secs_f64()).round(),
        (megabytes / both.as_secs_f64()).round(),
        own / both.as_secs_f64(),
    ]);
}
