//! The program itself among files that strangers wrote: what
//! `strangers.rs` does with mapping and journal in the same process is done
//! here over sockets and real files, and with everything else that the program
//! keeps beside a manifest. Links, pipes and folders lie where files should.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use whop_sync::emulator::Settings;

use super::stops::KEY;
use super::whop::Whop;
use super::{Place, Ran, Running};
use crate::manifest::picture::png;
use crate::strangers::judge::{Judge, STRANGER};
use crate::strangers::lies::{Lie, People, lie};
use crate::strangers::{PEOPLE, value};

const PLATFORM: &str = "biz_Acme";
const SECRET: &str = "CANARY-4f2a-what-nobody-may-read";

/// How long a command may take, on the busiest machine, before it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Files that the program reads or writes beside a manifest.
const FILES: [&str; 10] = [
    "users.mapping.jsonl",
    "users.mapping.jsonl.new",
    "users.mapping.journal",
    "users.mapping.journal.new",
    "users.mapping.lock",
    "users.mapping.pictures",
    "users.mapping.pictures.new",
    "saved.json",
    ".whop-sync/emulator.jsonl",
    ".whop-sync/emulator.jsonl.lock",
];

/// What lies in the place of such a file.
#[derive(Clone, Copy, Debug)]
enum Thing {
    /// A link to a file outside.
    Link,
    /// A link to a name outside that is free.
    Dangling,
    Pipe,
    Folder,
    Bytes(&'static str),
    /// The whole folder is a link, where the file is in one of its own.
    Linked,
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Event {
    Edit(u8, u8),
    Leave(u8),
    Lie(Lie),
    Plant(usize, Thing),
    /// Whatever is in the way of files is taken away.
    Clear,
    Run,
    /// A plan is saved, the file is rewritten (at a leaf, by what), applied.
    Saved(u8, u8),
    /// The other commands that look at state.
    Look,
    /// A trial against the emulator that is built in.
    Trial(&'static str),
}

fn event() -> impl Strategy<Value = Event> {
    let thing = prop_oneof![
        3 => Just(Thing::Link),
        2 => Just(Thing::Dangling),
        2 => Just(Thing::Pipe),
        1 => Just(Thing::Folder),
        1 => Just(Thing::Linked),
        1 => proptest::sample::select(&["", "{}\n", "\u{0}", "whop-sync pictures 1\n"][..]).prop_map(Thing::Bytes),
        1 => Just(Thing::Bytes(
            "{\"format\":\"whop-sync emulator state\",\"version\":1}\n\
             [{\"file\":{\"seq\":9,\"id\":\"../../../outside/secret\",\"credential\":\"0\",\"filename\":\"x.png\",\"public\":true,\
             \"created_at\":1,\"upload_until\":2,\"multipart\":null,\"content\":null,\"fate\":\"ready\"}}]\n"
        )),
    ];
    prop_oneof![
        2 => (0..PEOPLE, 0..3_u8).prop_map(|(n, v)| Event::Edit(n, v)),
        1 => (0..PEOPLE).prop_map(Event::Leave),
        4 => lie().prop_map(Event::Lie),
        5 => (0..FILES.len(), thing).prop_map(|(at, thing)| Event::Plant(at, thing)),
        1 => Just(Event::Clear),
        3 => Just(Event::Run),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(at, by)| Event::Saved(at, by)),
        1 => Just(Event::Look),
        1 => proptest::sample::select(&["plan", "apply --yes"][..]).prop_map(Event::Trial),
    ]
}

struct Story {
    whop: Whop,
    judge: Judge,
    /// The checkout, and beside it what is not ours.
    place: Place,
    versions: BTreeMap<u8, u8>,
}

impl Story {
    fn new() -> Self {
        let whop = Whop::new(Settings {
            platform: Some(PLATFORM.to_owned()),
            rate: 0,
            record: true,
            exchanges: crate::told::exchanges(),
            ..Settings::default()
        });
        whop.emulator
            .add_account(PLATFORM, STRANGER, "A stranger's", Default::default());
        let judge = Judge::new(&whop.emulator);
        let place = Place::new()
            .file("outside/secret", SECRET)
            .file("checkout/keep", "");
        let story = Self {
            whop,
            judge,
            place,
            versions: (0..2).map(|n| (n, 0)).collect(),
        };
        story.write();
        story
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path(&format!("checkout/{name}"))
    }

    /// Writes the manifest; the first two have pictures.
    fn write(&self) {
        let mut text = format!("version: 1\ncompany: {PLATFORM}\nusers:\n");
        for (n, v) in &self.versions {
            let of = |what| format!("\"{}\"", value(what, *n, *v));
            text += &format!(
                "  - {{ id: u{n}, email: u{n}@shop.test, name: {}, title: {}, metadata: {{ tier: {} }}",
                of("Name"),
                of("Title"),
                of("Tier")
            );
            if *n < 2 {
                text += &format!(", avatar: face{n}.png");
                fs::write(self.at(&format!("face{n}.png")), face(*n, *v)).unwrap();
            }
            text += " }\n";
        }
        fs::write(self.at("users.yaml"), text).unwrap();
    }

    fn happen(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Edit(n, v) => {
                self.versions.insert(*n, *v);
                self.write();
            }
            Event::Leave(n) => {
                self.versions.remove(n);
                self.write();
            }
            Event::Lie(lie) => self.lie(lie),
            Event::Plant(at, thing) => self.plant(FILES[*at], *thing),
            Event::Clear => self.clear(),
            Event::Run => {
                self.run()?;
            }
            Event::Saved(at, by) => self.saved(*at, *by)?,
            Event::Look => {
                self.whop.emulator.reset_counts();
                for line in ["show", "drift --server BASE", "explain u0 --server BASE"] {
                    self.command(line)?;
                }
                self.judge.only_looked(&self.whop.emulator)?;
            }
            Event::Trial(command) => {
                self.whop.emulator.reset_counts();
                self.command(&format!("{command} -q --server emulator"))?;
                self.judge.only_looked(&self.whop.emulator)?;
            }
        }
        self.judge.people(&self.whop.emulator)
    }

    /// Runs a command in the checkout. It must end, and neither tell nor touch
    /// what is outside.
    fn command(&self, line: &str) -> Result<Ran, String> {
        let line = line.replace("BASE", &self.whop.base);
        let mut command = self.place.command(&line);
        command
            .current_dir(self.place.path("checkout"))
            .env(KEY.0, KEY.1)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut running = Running(command.spawn().unwrap());
        let (mut out, mut err) = (running.0.stdout.take().unwrap(), running.0.stderr.take().unwrap());
        let (tell, told) = mpsc::channel();
        let read = thread::spawn(move || {
            let errors = thread::spawn(move || {
                let mut text = Vec::new();
                err.read_to_end(&mut text).unwrap();
                text
            });
            let mut text = Vec::new();
            out.read_to_end(&mut text).unwrap();
            // Both ends close when the program ends.
            let _ = tell.send((text, errors.join().unwrap()));
        });
        let Ok((stdout, stderr)) = told.recv_timeout(PATIENCE) else {
            return Err(format!("`{line}` hangs"));
        };
        read.join().unwrap();
        let status = running.0.wait().unwrap();
        let ran = Ran::new(
            &line,
            std::process::Output {
                status,
                stdout,
                stderr,
            },
        );
        self.outside()?;
        match ran.shown().contains(SECRET) {
            true => Err(format!("it tells what is outside: {}", ran.shown())),
            false => Ok(ran),
        }
    }

    /// Fails if anything outside changed, or came in.
    fn outside(&self) -> Result<(), String> {
        let outside = fs::read_dir(self.place.path("outside")).unwrap();
        let names: Vec<_> = outside.map(|entry| entry.unwrap().file_name()).collect();
        let secret = fs::read(self.place.path("outside/secret")).unwrap();
        if names != ["secret"] || secret != SECRET.as_bytes() {
            return Err(format!("what is outside became {names:?}, {secret:?}"));
        }
        let mut folders = vec![self.place.path("checkout")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() && fs::read(entry.path()).unwrap() == SECRET.as_bytes() {
                    return Err(format!("it was copied to {:?}", entry.path()));
                }
            }
        }
        Ok(())
    }

    fn lie(&self, lie: &Lie) {
        let people = People {
            emulator: &self.whop.emulator,
            files: &self.judge.files,
            creates: &self.judge.creates,
            picture: face,
            platform: PLATFORM,
            server: &self.whop.base,
            now: self.whop.emulator.now() / 1000,
        };
        let [mapping, journal] = ["users.mapping.jsonl", "users.mapping.journal"].map(|name| self.at(name));
        // Only of plain files: what was planted stays.
        let read = |path: &Path| match path.symlink_metadata() {
            Ok(about) if about.is_file() => fs::read_to_string(path).ok(),
            _ => None,
        };
        let (new_mapping, new_journal) = lie.told(read(&mapping), read(&journal), &people);
        for (path, text) in [(mapping, new_mapping), (journal, new_journal)] {
            match text {
                Some(text) if path.symlink_metadata().is_err() || read(&path).is_some() => {
                    fs::write(path, text).unwrap();
                }
                None if read(&path).is_some() => fs::remove_file(path).unwrap(),
                _ => {}
            }
        }
    }

    fn plant(&self, name: &str, thing: Thing) {
        let path = self.at(name);
        let folder = path.parent().unwrap().to_owned();
        if let Thing::Linked = thing {
            if name.starts_with(".whop-sync/") {
                remove(&folder);
                symlink("../outside", folder).unwrap();
            }
            return;
        }
        if folder.is_symlink() {
            return;
        }
        fs::create_dir_all(&folder).unwrap();
        remove(&path);
        match thing {
            Thing::Link => symlink(self.place.path("outside/secret"), path).unwrap(),
            Thing::Dangling => symlink(self.place.path("outside/new"), path).unwrap(),
            Thing::Pipe => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
            Thing::Folder => fs::create_dir(path).unwrap(),
            Thing::Bytes(text) => fs::write(path, text).unwrap(),
            Thing::Linked => {}
        }
    }

    /// Removes every state file.
    fn clear(&self) {
        // First, since it may be a link: nothing is removed through it.
        let folder = self.at(".whop-sync");
        if folder.is_symlink() {
            remove(&folder);
        }
        for name in FILES {
            remove(&self.at(name));
        }
        remove(&folder);
    }

    const ALLOWED: &str =
        "-q --server BASE --allow max_creates --allow max_updates --allow max_avatars --allow vanished";

    /// Shows a plan and carries it out, as a pipeline does.
    fn run(&mut self) -> Result<i32, String> {
        let options = Self::ALLOWED;
        self.whop.emulator.reset_counts();
        let before = self.whop.emulator.accounts();
        let plan = self.command(&format!("plan --format json {options}"))?;
        self.judge.only_looked(&self.whop.emulator)?;
        let shown: Value = serde_json::from_str(&plan.stdout).unwrap_or_default();
        if shown["kind"] != "plan" {
            let ran = self.command(&format!("apply --yes {options}"))?;
            self.judge.only_looked(&self.whop.emulator)?;
            return Ok(ran.status.max(1));
        }
        let digest = shown["digest"].as_str().unwrap();
        let ran = self.command(&format!("apply --yes --expect {digest} {options}"))?;
        self.judge.sent(&self.whop.emulator, &before, &shown)?;
        Ok(ran.status)
    }

    /// Saves a plan, has it rewritten, and applies it.
    fn saved(&mut self, at: u8, by: u8) -> Result<(), String> {
        self.whop.emulator.reset_counts();
        let before = self.whop.emulator.accounts();
        let options = Self::ALLOWED;
        let shown = self.command(&format!("plan --format json --out saved.json {options}"))?;
        self.judge.only_looked(&self.whop.emulator)?;
        let path = self.at("saved.json");
        let about = path.symlink_metadata();
        if about.is_ok_and(|about| about.is_file())
            && let Ok(mut saved) = serde_json::from_slice::<Value>(&fs::read(&path).unwrap())
        {
            rewrite(&mut saved, at, by);
            fs::write(&path, saved.to_string()).unwrap();
        }
        self.command("apply saved.json --yes -q --server BASE")?;
        match serde_json::from_str::<Value>(&shown.stdout) {
            Ok(shown) if shown["kind"] == "plan" => self.judge.sent(&self.whop.emulator, &before, &shown),
            _ => self.judge.only_looked(&self.whop.emulator),
        }
    }

    fn settle(&mut self) -> Result<(), String> {
        self.clear();
        let status = self.run()?;
        self.judge.people(&self.whop.emulator)?;
        let left = self.command(&format!("plan --detailed-exitcode {}", Self::ALLOWED))?;
        let accounts = self.whop.emulator.accounts().len();
        if status != 0 || left.status != 0 || accounts < self.versions.len() + 1 {
            return Err(format!(
                "an honest run ended with {status}, {accounts} accounts: {}",
                left.shown()
            ));
        }
        Ok(())
    }
}

/// A picture in which its person's name is written.
fn face(n: u8, version: u8) -> Vec<u8> {
    let text = value("Face", n, version);
    let mut bytes = png(1, 1);
    let note = [
        &(text.len() as u32 + 2).to_be_bytes()[..],
        b"tEXtx\0",
        text.as_bytes(),
        &[0; 4],
    ]
    .concat();
    // Behind the signature and the header.
    bytes.splice(33..33, note);
    bytes
}

/// Removes whatever is there, if anything is.
fn remove(path: &Path) {
    match path.symlink_metadata() {
        Err(_) => {}
        Ok(about) if about.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
    }
}

/// Puts something else in the place of one leaf of a document.
fn rewrite(document: &mut Value, at: u8, by: u8) {
    let mut leaves = Vec::new();
    leaves_of(document, &mut String::new(), &mut leaves);
    let path = &leaves[usize::from(at) % leaves.len()];
    let other = &leaves[usize::from(by) % leaves.len()];
    let new = match by % 6 {
        0 => json!("u1"),
        1 => json!("../outside/secret"),
        2 => Value::Null,
        3 => json!(u64::MAX),
        4 => json!("http://127.0.0.1:1/api/v1"),
        _ => document.pointer(other).unwrap().clone(),
    };
    *document.pointer_mut(path).unwrap() = new;
}

fn leaves_of(value: &Value, at: &mut String, leaves: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(object) => object
            .iter()
            .map(|(name, below)| (name.replace('~', "~0").replace('/', "~1"), below))
            .collect(),
        Value::Array(all) => all
            .iter()
            .enumerate()
            .map(|(n, below)| (n.to_string(), below))
            .collect(),
        _ => return leaves.push(at.clone()),
    };
    for (name, below) in below {
        let length = at.len();
        *at += &format!("/{name}");
        leaves_of(below, at, leaves);
        at.truncate(length);
    }
}

fn play(events: &[Event]) -> Result<(), String> {
    let mut story = Story::new();
    assert_eq!(story.run(), Ok(0));
    for event in events {
        story
            .happen(event)
            .map_err(|why| format!("after {event:?}: {why}"))?;
    }
    story.run()?;
    story.judge.people(&story.whop.emulator)?;
    story.settle()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 12, ..ProptestConfig::default() })]

    #[test]
    fn nothing_beside_a_manifest_makes_the_program_do_more_or_reach_outside(
        events in proptest::collection::vec(event(), 1..10),
    ) {
        prop_assert_eq!(play(&events), Ok(()));
    }
}
