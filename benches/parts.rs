//! Each part of a run by itself, without network: users, changes or bytes a
//! second.
//!
//! `cargo bench --bench parts [-- NAME]`
//!
//! `-- --parts` names the parts, and `-- --once PART USERS` does one of them
//! once and prints how many items that were; `nothing` makes the world only.
//! `benches/instructions` counts with it.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark makes its world and shows what it found"
)]

#[expect(dead_code, reason = "the benches share the world, and each uses a part of it")]
mod world;

use std::env;
use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use tempfile::TempDir;
use whop_sync::core::digest::Digest;
use whop_sync::core::model::{Known, KnownUser, Observed, Policy, Refresh};
use whop_sync::core::plan::Plan;
use whop_sync::core::replay::{Entry, Fact};
use whop_sync::core::value::{PlatformId, UserKey};
use whop_sync::core::{planner, summary};
use whop_sync::manifest::{self, Manifest};
use whop_sync::remote::{Client, Options, Version, refresh};
use whop_sync::render::html::Pictures;
use whop_sync::render::style::Palette;
use whop_sync::render::{self, Header};
use whop_sync::store::{self, Holder, Identity, OsDisk, Paths, Session};

use world::{PLATFORM, SERVER, Whop, World};

/// A part of a run: does it once, and says how many items that were.
type Part = fn(&Ready) -> usize;

const PARTS: [(&str, Part); 13] = [
    ("nothing", |_| 0),
    ("parse", parse),
    ("plan_unedited", plan_unedited),
    ("plan_edited", plan_edited),
    ("plan_digest", plan_digest),
    ("hash_50_kb", hash_50_kb),
    ("mapping_load", mapping_load),
    ("mapping_save", mapping_save),
    ("journal_append", journal_append),
    ("render_human", render_human),
    ("render_json", render_json),
    ("render_markdown", render_markdown),
    ("render_html", render_html),
];

/// Entries that are flushed together.
const TOGETHER: usize = 100;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--parts"] => PARTS.iter().for_each(|(name, _)| println!("{name}")),
        ["--once", part, users] => {
            let (_, part) = PARTS.iter().find(|(name, _)| *name == part).unwrap();
            println!("{}", part(&Ready::new(users.parse().unwrap())));
        }
        _ => divan::main(),
    }
}

/// All that the parts begin with. One user in ten is edited.
struct Ready {
    folder: TempDir,
    manifest: [PathBuf; 1],
    edited: Manifest,
    unedited: Manifest,
    observed: Observed,
    known: Known,
    policy: Policy,
    plan: Plan,
    header: Header,
    identity: Identity,
    session: Session,
    entries: Vec<Entry>,
}

impl Ready {
    fn new(users: usize) -> Self {
        let world = World {
            edits: users / 10,
            ..World::of(users)
        };
        let folder = tempfile::tempdir().unwrap();
        let (path, mapping) = world.write(folder.path()).unwrap();
        let edited = manifest::load(std::slice::from_ref(&path)).unwrap();
        let as_applied = folder.path().join("unedited.yaml");
        fs::write(&as_applied, World::of(users).manifest(0)).unwrap();
        let unedited = manifest::load(&[as_applied]).unwrap();
        let platform = PlatformId::parse(PLATFORM).unwrap();
        let identity = Identity {
            company: platform.clone(),
            server: SERVER.to_owned(),
        };
        let paths = Paths::of_mapping(&mapping);
        let holder = Holder {
            pid: std::process::id(),
            host: "bench".to_owned(),
            since: "2026-01-01T00:00:00Z".to_owned(),
        };
        let session = Session::open(paths, identity.clone(), Arc::new(OsDisk::default()), &holder).unwrap();
        let mut known = session.loaded().known.clone();
        let options = Options {
            per_minute: None,
            ..Options::default()
        };
        let client = Client::new(
            Arc::new(Whop::new(&world)),
            Version::default(),
            platform.clone(),
            options,
        );
        let mut policy = Policy::new(client.dialect(), client.version().as_str(), 1_800_000_000);
        policy.refresh = Refresh::Changed;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let looking = refresh::refresh(&client, &edited.desired, &known, &policy, |_| ());
        let observed = runtime.block_on(looking).unwrap();
        let plan = planner::plan(&edited.desired, &observed, &known, &policy);
        assert_eq!(plan.actions.len(), world.edits);
        let header = Header {
            company: platform,
            server: SERVER.to_owned(),
            dialect: client.dialect(),
            version: client.version().as_str().to_owned(),
            manifest: edited.digest,
        };
        // Never what the file says, so that every save writes.
        known.generation += 1;
        let fact = |(key, entry): (&UserKey, &KnownUser)| Entry::Ended {
            fact: Fact::Profile {
                key: key.clone(),
                name: entry.name.clone(),
                picture: None,
            },
        };
        let entries = known.users.iter().map(fact).collect();
        Self {
            folder,
            manifest: [path],
            edited,
            unedited,
            observed,
            known,
            policy,
            plan,
            header,
            identity,
            session,
            entries,
        }
    }

    fn paths(&self) -> Paths {
        Paths::of_mapping(&self.folder.path().join("users.mapping.jsonl"))
    }
}

fn parse(ready: &Ready) -> usize {
    let manifest = manifest::load(&ready.manifest).unwrap();
    black_box(&manifest).desired.users().len()
}

fn planned(ready: &Ready, manifest: &Manifest) -> usize {
    let plan = planner::plan(&manifest.desired, &ready.observed, &ready.known, &ready.policy);
    black_box(plan);
    manifest.desired.users().len()
}

fn plan_unedited(ready: &Ready) -> usize {
    planned(ready, &ready.unedited)
}

fn plan_edited(ready: &Ready) -> usize {
    planned(ready, &ready.edited)
}

fn plan_digest(ready: &Ready) -> usize {
    black_box(summary::digest(&ready.plan));
    ready.plan.actions.len()
}

fn hash_50_kb(_: &Ready) -> usize {
    hashed(50_000)
}

/// What a picture's content costs to hash; SHA-256 takes any bytes alike.
fn hashed(bytes: usize) -> usize {
    black_box(Digest::of(&vec![0x5a; bytes]));
    bytes
}

fn mapping_load(ready: &Ready) -> usize {
    let loaded = store::load(&ready.paths(), &ready.identity, &OsDisk::default()).unwrap();
    black_box(&loaded).known.users.len()
}

/// Writes and flushes the whole mapping.
fn mapping_save(ready: &Ready) -> usize {
    ready
        .session
        .commit(&ready.known, Some(ready.policy.now))
        .unwrap();
    ready.known.users.len()
}

/// A new journal, flushed after every [`TOGETHER`] entries.
fn journal_append(ready: &Ready) -> usize {
    let _ = fs::remove_file(ready.paths().journal);
    let mut journal = ready.session.journal().unwrap();
    for entries in ready.entries.chunks(TOGETHER) {
        journal.append(entries).unwrap();
    }
    ready.entries.len()
}

fn rendered(ready: &Ready, text: &[u8]) -> usize {
    assert!(!black_box(text).is_empty());
    ready.plan.actions.len()
}

fn render_human(ready: &Ready) -> usize {
    let mut out = Vec::new();
    render::plan::write(&mut out, &ready.plan, &ready.header, Palette::Plain).unwrap();
    rendered(ready, &out)
}

fn render_json(ready: &Ready) -> usize {
    let mut out = Vec::new();
    render::json::plan(&mut out, &ready.plan, &ready.header).unwrap();
    rendered(ready, &out)
}

fn render_markdown(ready: &Ready) -> usize {
    rendered(
        ready,
        render::markdown::plan(&ready.plan, &ready.header).as_bytes(),
    )
}

fn render_html(ready: &Ready) -> usize {
    let mut out = Vec::new();
    render::html::plan(&mut out, &ready.plan, &ready.header, &Pictures::default()).unwrap();
    rendered(ready, &out)
}

/// Everything that is done for each user, and the digest of the plan.
#[divan::bench(
    args = ["parse", "plan_unedited", "plan_edited", "plan_digest", "mapping_load", "mapping_save", "journal_append"],
    consts = [1_000, 10_000],
    sample_count = 20
)]
fn users<const USERS: usize>(bencher: Bencher<'_, '_>, part: &str) {
    timed(bencher, part, USERS);
}

/// A plan of 1,000 changes as text.
#[divan::bench(
    args = ["render_human", "render_json", "render_markdown", "render_html"],
    sample_count = 20
)]
fn changes(bencher: Bencher<'_, '_>, part: &str) {
    timed(bencher, part, 10_000);
}

/// Pictures of this many bytes.
#[divan::bench(args = [50_000, 5_000_000], sample_count = 20)]
fn picture(bencher: Bencher<'_, '_>, bytes: usize) {
    let content = vec![0x5a; bytes];
    bencher
        .counter(BytesCount::new(bytes))
        .bench_local(|| Digest::of(black_box(&content)));
}

fn timed(bencher: Bencher<'_, '_>, part: &str, users: usize) {
    let (_, part) = PARTS.iter().find(|(name, _)| *name == part).unwrap();
    let ready = Ready::new(users);
    let items = part(&ready);
    bencher
        .counter(ItemsCount::new(items))
        .bench_local(|| part(&ready));
}
