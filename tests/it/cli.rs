//! The program itself, run as people and pipelines run it: a fresh folder, a
//! command line, and what came out on stdout, on stderr and as exit status.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::told::{EXCHANGES, exchanges};

mod bad_input;
mod begin;
mod documents;
mod hostile;
mod journal;
mod kept;
mod lessons;
#[cfg(unix)]
mod links;
mod logs;
mod looks;
mod manual;
mod pages;
#[cfg(unix)]
mod pictures;
#[cfg(unix)]
mod plans;
mod probes;
#[cfg(unix)]
mod receipts;
mod requests;
mod sarif;
mod secrets;
mod shells;
#[cfg(unix)]
mod stale;
#[cfg(unix)]
mod stops;
mod story;
#[cfg(unix)]
mod strangers;
mod streams;
mod stripped;
mod swapped;
mod tls;
mod whop;

/// The example's own name in its folder.
const EXAMPLE: &str = "users.example.yaml";

/// A fresh folder to run the program in. Nothing of the surroundings reaches
/// it but what a test sets.
struct Place(TempDir);

impl Place {
    /// An empty folder.
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder with this text as `users.yaml`.
    fn with(manifest: &str) -> Self {
        Self::new().file("users.yaml", manifest)
    }

    /// A folder with the example and its pictures.
    fn example() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let place = Self::new().file(EXAMPLE, fs::read(root.join(EXAMPLE)).unwrap());
        let pictures = fs::read_dir(root.join("examples/avatars")).unwrap();
        pictures.fold(place, |place, entry| {
            let entry = entry.unwrap();
            let name = format!("examples/avatars/{}", entry.file_name().to_str().unwrap());
            place.file(&name, fs::read(entry.path()).unwrap())
        })
    }

    /// Adds a file.
    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Adds a file that its owner alone may read, as a key's should be.
    fn secret(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let place = self.file(name, content);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(place.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Replaces a text that a file has exactly once.
    fn edit(&self, name: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert_eq!(text.matches(old).count(), 1, "{old}");
        fs::write(self.path(name), text.replace(old, new)).unwrap();
    }

    /// Every file below, with its bytes. Not locks, which stay empty, not
    /// what is remembered of pictures, which hangs on their age, and not
    /// what the built-in emulator remembers, which stands for Whop itself.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let (mut folders, mut files) = (vec![self.0.path().to_owned()], BTreeMap::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(bytes) = fs::read(&path)
                    && path.extension().is_none_or(|extension| extension != "lock")
                    && !path.ends_with(".whop-sync/emulator.jsonl")
                    && path.extension().is_none_or(|extension| extension != "pictures")
                {
                    files.insert(path, bytes);
                }
            }
        }
        files
    }

    /// The program with these arguments, not yet started.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whop-sync"));
        command.current_dir(self.0.path()).env_clear();
        command.envs(exchanges().map(|file| (EXCHANGES, file)));
        command.args(line.split_whitespace()).stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    fn run(&self, line: &str) -> Ran {
        self.run_with(line, &[])
    }

    /// The same, with variables.
    fn run_with(&self, line: &str, variables: &[(&str, &str)]) -> Ran {
        let mut command = self.command(line);
        command.envs(variables.iter().copied());
        Ran::new(line, command.output().unwrap())
    }

    /// Runs it, demands this status, and gives what it showed.
    #[track_caller]
    fn expect(&self, status: i32, line: &str) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.status, status, "{}", ran.shown());
        ran
    }
}

/// What a run came to.
struct Ran {
    line: String,
    /// The exit status; -1 where a signal ended it.
    status: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn new(line: &str, output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            line: line.to_owned(),
            status: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// All of it in one text.
    fn shown(&self) -> String {
        let mut shown = format!("$ whop-sync {}\n", self.line);
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                shown += &format!("--- {name} ---\n{text}");
            }
        }
        shown + &format!("--- status {} ---\n", self.status)
    }

    /// The same without what differs from run to run.
    fn steady(&self) -> String {
        steady(&self.shown())
    }

    /// The one document on stdout; nothing may stand beside it.
    #[track_caller]
    fn json(&self) -> Value {
        let mut documents = serde_json::Deserializer::from_str(&self.stdout).into_iter::<Value>();
        let document = documents.next().expect("there is a document").expect("it parses");
        assert!(
            documents.next().is_none(),
            "more than one document: {}",
            self.stdout
        );
        assert!(self.stdout.ends_with("}\n"), "{}", self.stdout);
        document
    }
}

/// Replaces ids that Whop gives out (which user gets which depends on who is
/// served first), digests of plans that name such or a port, pictures' names, ports, process ids, and how
/// long it took with how many polls. Columns stay where they are.
fn steady(text: &str) -> String {
    const ID: &str = "XXXXXXXXXXXXXX";
    let is_digest = |word: &str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let known = words(text, |word| match word.split_once('_') {
        Some((kind @ ("biz" | "user"), id)) if id.len() == ID.len() => format!("{kind}_{ID}"),
        Some(("req", _)) => "req_ID".to_owned(),
        _ => word.to_owned(),
    });
    let known = without_uuids(&known);
    // A digest covers the server too, and a port is another one every time.
    let text = if known == text && !text.contains("127.0.0.1:") {
        known
    } else {
        words(&known, |word| {
            if is_digest(word) { "DIGEST" } else { word }.to_owned()
        })
    };
    let text = between(&text, "127.0.0.1:", |c| c.is_ascii_digit(), "PORT");
    let text = between(&text, "/pictures/profile/", |c| c.is_ascii_hexdigit(), "PICTURE");
    let text = between(&text, "process ", |c| c.is_ascii_digit(), "PID");
    let lines = text.split_inclusive('\n').map(|line| match line.find(" (") {
        Some(at) if line.starts_with("Applied: ") => format!("{} (N requests sent in TIME)\n", &line[..at]),
        _ => line.to_owned(),
    });
    lines.collect()
}

/// Puts the same in place of every UUID, which is what a request's id is.
fn without_uuids(text: &str) -> String {
    const FORM: &str = "00000000-0000-0000-0000-000000000000";
    let is_uuid = |word: &str| {
        let mut letters = word.bytes().zip(FORM.bytes());
        letters.all(|(b, form)| {
            if form == b'-' {
                b == form
            } else {
                b.is_ascii_hexdigit()
            }
        })
    };
    let (mut out, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        let uuid = rest.get(..FORM.len()).is_some_and(is_uuid);
        let (word, length) = if uuid {
            ("req_ID", FORM.len())
        } else {
            (&rest[..first.len_utf8()], first.len_utf8())
        };
        out.push_str(word);
        rest = &rest[length..];
    }
    out
}

/// Maps every run of letters, digits and underscores.
fn words(text: &str, map: impl Fn(&str) -> String) -> String {
    let (mut out, mut word) = (String::new(), String::new());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            word.push(c);
        } else {
            out += &map(&word);
            word.clear();
            out.push(c);
        }
    }
    out + &map(&word)
}

/// Replaces what follows a mark as long as its characters are such.
fn between(text: &str, mark: &str, such: impl Fn(char) -> bool, name: &str) -> String {
    let mut parts = text.split(mark);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(&such);
        out += mark;
        out += if rest.len() < part.len() { name } else { "" };
        out += rest;
    }
    out
}

/// A process that ends with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `whop-sync emulator` on a port of its own.
struct Served {
    process: Running,
    /// What it prints after the URL.
    stdout: BufReader<ChildStdout>,
    /// The API's base.
    base: String,
    _place: Place,
}

impl Served {
    /// Starts one that takes the examples' addresses.
    fn start(options: &str) -> Self {
        Self::begin(&format!("--deliver-anything {options}"))
    }

    /// Starts it and waits for the line with its URL.
    fn begin(options: &str) -> Self {
        let place = Place::new();
        let mut command = place.command(&format!("emulator --port 0 {options}"));
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let process = Running(child);
        let mut base = String::new();
        stdout.read_line(&mut base).unwrap();
        let base = base.trim_end().to_owned();
        assert!(
            base.starts_with("http://127.0.0.1:") && base.ends_with("/api/v1"),
            "{base}"
        );
        Self {
            process,
            stdout,
            base,
            _place: place,
        }
    }
}
