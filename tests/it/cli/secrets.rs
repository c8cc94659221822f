//! Secrets never leave. Every command runs in every format, with the loudest
//! logs, against servers that go wrong in every way and echo what they were
//! sent; every byte that comes out and every file left behind is searched for
//! the planted key and for the presigned URLs that were given out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::json;
use whop_sync::emulator::{Fault, Operation, Settings, Strike};

use super::whop::Whop;
use super::{EXAMPLE, Place};
use crate::told::tell;

/// Not like one of Whop's, so that no rule about their look can hide it; some
/// of its characters are written otherwise in URLs, JSON and HTML.
const KEY: &str = "zQ7/Planted+Key=<9>&\"vX2\"~Lm4";
/// In the query of an upload URL, in its path, and in an upload header.
const TOKENS: [&str; 3] = [
    "Wn5PlantedSignature8Rt",
    "Hb3PlantedPath6Yu",
    "Jk1PlantedHeader4Op",
];

/// A secret in every way in which it could be written.
struct Secret {
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Secret {
    fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let hex = |upper: bool| -> String {
            let pairs = bytes.iter().map(|b| {
                if upper {
                    format!("{b:02X}")
                } else {
                    format!("{b:02x}")
                }
            });
            pairs.collect()
        };
        let percent = |keep: &str| -> String {
            let each = bytes.iter().map(|b| match char::from(*b) {
                c if c.is_ascii_alphanumeric() || keep.contains(c) => c.to_string(),
                _ => format!("%{b:02X}"),
            });
            each.collect()
        };
        let json = serde_json::to_string(text).unwrap();
        let html = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;");
        let mut forms = vec![
            ("as it is", text.to_owned()),
            (
                "as it is, debug",
                format!("{text:?}").trim_matches('"').to_owned(),
            ),
            ("JSON", json.trim_matches('"').to_owned()),
            (
                "JSON within JSON",
                json.trim_matches('"').replace('\\', "\\\\").replace('"', "\\\""),
            ),
            ("HTML", html),
            ("hex", hex(false)),
            ("hex", hex(true)),
            ("percent", percent("-._~")),
            ("percent", percent("-._~/=&")),
            ("percent, small", percent("-._~").to_lowercase()),
        ];
        // At each of the three places that it can have in groups of three,
        // without what its neighbours have a share in.
        for before in 0..3 {
            let padded = [&b"\0\0"[..before], bytes].concat();
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let text = engine.encode(&padded);
                let whole = padded.len() / 3 * 4;
                let first = [0, 2, 3][before];
                forms.push(("base64", text[first..whole].to_owned()));
            }
        }
        let mut seen = BTreeSet::new();
        forms.retain(|(_, form)| seen.insert(form.clone()));
        Self {
            forms: forms
                .into_iter()
                .map(|(name, form)| (name, form.into_bytes()))
                .collect(),
        }
    }

    /// The form in which it stands in a text, and where.
    fn find(&self, text: &[u8]) -> Option<(&'static str, usize)> {
        self.forms.iter().find_map(|(name, form)| {
            let first = form[0];
            let at = (0..(text.len() + 1).saturating_sub(form.len()))
                .find(|at| text[*at] == first && text[*at..].starts_with(form));
            at.map(|at| (*name, at))
        })
    }
}

/// What was searched so far.
#[derive(Default)]
struct Searched {
    texts: usize,
    bytes: usize,
    /// Bytes by the kind of thing they stand in.
    kinds: BTreeMap<String, usize>,
}

/// A Whop on a socket, one place, and everything that must not come out.
struct Scene {
    place: Place,
    /// Away from where the program writes.
    keys: Place,
    whop: Whop,
    searched: Mutex<Searched>,
}

impl Scene {
    fn new() -> Self {
        let whop = Whop::new(Settings {
            record: true,
            rate: 0,
            ..Settings::default()
        });
        let keys = Place::new().secret("key", format!("{KEY}\n"));
        Self {
            place: Place::example(),
            keys,
            whop,
            searched: Mutex::default(),
        }
    }

    /// Runs a command twice, with the key from the environment and from a
    /// file, with logs as text and as JSON.
    fn run(&self, statuses: &[i32], command: &str) {
        let file = self.keys.path("key");
        let summary = self.place.path("summary.md");
        let github = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
        ];
        for (options, variable) in [
            (" -vvv --log-format json".to_owned(), Some(KEY)),
            (format!(" -vv --api-key-file {}", file.display()), None),
        ] {
            let line = format!("{command} --server {}{options}", self.whop.base);
            let key = variable.map(|key| ("WHOP_API_KEY", key));
            let ran = self
                .place
                .run_with(&line, &[&github[..], key.as_slice()].concat());
            assert!(statuses.contains(&ran.status), "{}", ran.shown());
            self.search(&format!("stdout of {command}"), ran.stdout.as_bytes());
            self.search(&format!("stderr of {command}"), ran.stderr.as_bytes());
        }
        self.search_files();
        // It only grows, and was looked at.
        let _ = fs::remove_file(summary);
    }

    /// The planted secrets, and the signatures that the emulator gave out.
    fn secrets(&self) -> Vec<Secret> {
        let given = self.whop.emulator.requests().into_iter().filter_map(|seen| {
            let signature = seen.path.split_once("signature=")?.1;
            Some(signature.split('&').next().unwrap_or_default().to_owned())
        });
        let planted = [KEY].into_iter().chain(TOKENS).map(str::to_owned);
        let all: BTreeSet<String> = given.chain(planted).collect();
        all.iter().map(|text| Secret::new(text)).collect()
    }

    #[track_caller]
    fn search(&self, what: &str, text: &[u8]) {
        for secret in self.secrets() {
            if let Some((form, at)) = secret.find(text) {
                let around = &text[at.saturating_sub(80)..text.len().min(at + 120)];
                panic!("a secret ({form}) in {what}: {}", String::from_utf8_lossy(around));
            }
        }
        let mut searched = self.searched.lock().unwrap();
        searched.texts += 1;
        searched.bytes += text.len();
        let kind = match what.split_once(" of ") {
            Some((stream, _)) => stream,
            None => what
                .rsplit_once('.')
                .map_or("other files", |(_, extension)| extension),
        };
        *searched.kinds.entry(kind.to_owned()).or_default() += text.len();
    }

    /// Every file below the place, whatever it is called.
    #[track_caller]
    fn search_files(&self) {
        let mut folders = vec![self.place.path("")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.starts_with(self.place.path("examples")) {
                    self.search(name(&path), &fs::read(&path).unwrap());
                }
            }
        }
    }

    /// From now on, this befalls the requests of an operation.
    fn fault(&self, operation: Option<Operation>, count: Option<u64>, strike: Strike) {
        self.whop.emulator.fault(Fault {
            operation,
            containing: None,
            skip: 0,
            count,
            chance: 100,
            strike,
        });
    }

    /// A server's error that echoes everything.
    fn echo(&self, status: u16) -> Strike {
        let url = format!(
            "{}/put/{}?X-Amz-Signature={}",
            self.whop.base, TOKENS[1], TOKENS[0]
        );
        let message = format!("bad key {KEY} (Bearer {KEY}) while sending to {url}");
        let headers = [
            ("x-request-id", KEY.to_owned()),
            ("location", url),
            ("www-authenticate", format!("Bearer error=\"{KEY}\"")),
        ];
        Strike::Answer {
            status,
            body: Some(json!({"error": {"type": "error", "message": message}}).to_string()),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }

    fn tell(&self, about: &str) {
        let Searched { texts, bytes, kinds } = &*self.searched.lock().unwrap();
        let secrets = self.secrets();
        let forms: usize = secrets.iter().map(|secret| secret.forms.len()).sum();
        tell(format!(
            "{about}: searched {bytes} bytes in {texts} outputs and files for {} secrets in {forms} forms: {kinds:?}",
            secrets.len()
        ));
        assert!(*bytes > 10_000 && secrets.len() >= 4, "{bytes} {}", secrets.len());
    }
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap()
}

const REPORTS: &str = "--report r.json --report r.md --report r.html";

#[test]
fn the_search_finds_what_it_looks_for() {
    let secret = Secret::new(KEY);
    assert_eq!(secret.find(b"nothing to be seen here"), None);
    let mut forms = BTreeSet::new();
    for (name, form) in &secret.forms {
        for (before, after) in [("", ""), ("a", ""), ("", "b"), ("some words ", " and more")] {
            let text = [before.as_bytes(), form, after.as_bytes()].concat();
            assert!(secret.find(&text).is_some(), "{name}");
        }
        forms.insert(*name);
    }
    for before in ["", "k", "ke", "key"] {
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let text = engine.encode(format!("{before}{KEY} and more"));
            assert_eq!(
                secret.find(text.as_bytes()).map(|found| found.0),
                Some("base64"),
                "{text}"
            );
        }
    }
    assert!(forms.len() >= 7, "{forms:?}");
    // And over the whole way: a program that prints its key is found out.
    let scene = Scene::new();
    let leaky = scene.place.path("leak.txt");
    fs::write(leaky, format!("The key is {KEY}.")).unwrap();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| scene.search_files()));
    assert!(caught.is_err());
}

#[test]
fn no_secret_comes_out_while_all_is_well() {
    let scene = Scene::new();
    let on = format!("-f {EXAMPLE}");
    for format in ["human", "json", "markdown"] {
        scene.run(&[0, 64], &format!("validate {on} --format {format}"));
        scene.run(
            &[0],
            &format!("plan {on} --format {format} {REPORTS} --out p.json"),
        );
    }
    scene.run(
        &[0],
        &format!("apply --yes {on} {REPORTS} --receipt receipt.json"),
    );
    let saved = "apply p2.json --yes";
    for (n, format) in ["human", "json", "markdown"].into_iter().enumerate() {
        // A picture and a name of another user each time.
        let (old, new) = [
            ("name: Jane Holloway\n", "name: Jane H. Marlow\n"),
            (
                "avatar: examples/avatars/olena.png",
                "avatar: examples/avatars/on.png",
            ),
            (
                "avatar: examples/avatars/aarav.jpg",
                "avatar: examples/avatars/nikos.jpg",
            ),
        ][n];
        scene.place.edit(EXAMPLE, old, new);
        scene.run(
            &[0],
            &format!("plan {on} --format {format} {REPORTS} --out p2.json"),
        );
        scene.run(
            &[0, 1, 4],
            &format!("{saved} {on} --format {format} {REPORTS} --receipt receipt.json"),
        );
        scene.run(&[0, 2], &format!("drift {on} --format {format}"));
        scene.run(&[0, 64], &format!("explain user_10001 {on} --format {format}"));
        scene.run(&[0, 1, 64], &format!("doctor {on} --format {format}"));
        scene.run(&[0, 64], &format!("show {on} --format {format}"));
    }
    scene.run(
        &[0, 1],
        &format!("export {on} --out export.yaml --avatars pictures"),
    );
    for command in [
        "schema",
        "schema --plan",
        "completions bash",
        "man",
        "man plan",
        "--help",
        "init",
    ] {
        scene.run(&[0, 1, 64], command);
    }
    assert!(scene.place.path("receipt.json").exists() && scene.place.path("export.yaml").exists());
    scene.tell("all well");
}

#[test]
fn no_secret_comes_out_of_refusals() {
    let scene = Scene::new();
    let on = format!("-f {EXAMPLE}");
    for (n, status) in [401, 403, 400, 307].into_iter().enumerate() {
        for operation in [
            None,
            Some(Operation::CreateAccount),
            Some(Operation::UpdateUser),
            Some(Operation::UploadFile),
        ] {
            scene.whop.emulator.script(whop_sync::emulator::Script::default());
            scene.fault(operation, None, scene.echo(status));
            let format = ["human", "json", "markdown"][n % 3];
            let line =
                format!("apply --yes {on} --format {format} {REPORTS} --receipt receipt.json --deadline 4s");
            scene.run(&[0, 1, 3, 4, 5, 130], &line);
            if operation.is_none() {
                for command in ["plan", "drift", "explain user_10001", "doctor", "export"] {
                    scene.run(&[0, 1, 2, 3, 64], &format!("{command} {on}"));
                }
            }
        }
    }
    scene.tell("refusals");
}

#[test]
fn no_secret_comes_out_of_a_planted_upload() {
    let scene = Scene::new();
    let url = format!(
        "{}/put/{}?X-Amz-Signature={}",
        scene.whop.base, TOKENS[1], TOKENS[0]
    );
    let nowhere = url.replace("http://127.0.0.1", "ftp://127.0.0.1");
    let private = url.replace("http://127.0.0.1", "https://10.0.0.1");
    for (n, url) in [url, nowhere, private, format!("{} {}", TOKENS[0], TOKENS[1])]
        .iter()
        .enumerate()
    {
        for headers in [
            json!({"x-amz-security-token": TOKENS[2]}),
            json!({"bad name": TOKENS[2]}),
            json!({"x": [TOKENS[2]]}),
        ] {
            scene.whop.emulator.script(whop_sync::emulator::Script::default());
            let body = json!({"id": "file_x1", "upload_status": "pending", "upload_url": url, "upload_headers": headers});
            scene.fault(
                Some(Operation::CreateFile),
                None,
                Strike::Answer {
                    status: 201,
                    body: Some(body.to_string()),
                    headers: BTreeMap::new(),
                },
            );
            let format = ["human", "json", "markdown"][n % 3];
            let line = format!(
                "apply --yes -f {EXAMPLE} --only user_10001 --format {format} {REPORTS} --receipt receipt.json --deadline 4s"
            );
            scene.run(&[1, 5], &line);
        }
    }
    scene.tell("planted uploads");
}

#[test]
fn no_secret_comes_out_of_broken_servers_and_connections() {
    let strikes: [fn(&Scene) -> Strike; 7] = [
        |scene| scene.echo(500),
        |scene| scene.echo(429),
        |_| Strike::Html { status: 502 },
        |_| Strike::ResetBefore,
        |_| Strike::ResetAfter,
        |_| Strike::Truncated,
        |_| Strike::Oversized { bytes: 17 << 20 },
    ];
    // Each is tried a few times over, so they wait side by side.
    std::thread::scope(|scope| {
        for (n, strike) in strikes.into_iter().enumerate() {
            scope.spawn(move || {
                let scene = Scene::new();
                for operation in [Operation::UpdateUser, Operation::UploadFile, Operation::ListAccounts] {
                    scene.whop.emulator.script(whop_sync::emulator::Script::default());
                    scene.fault(Some(operation), None, strike(&scene));
                    let format = ["human", "json", "markdown"][n % 3];
                    let line = format!(
                        "apply --yes -f {EXAMPLE} --only user_10001 --format {format} {REPORTS} --receipt receipt.json \
                         --deadline 3s"
                    );
                    scene.run(&[0, 1, 5], &line);
                }
                scene.tell("broken");
            });
        }
    });
}
