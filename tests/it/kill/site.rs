//! The program and the emulator as processes, and a folder with a manifest for
//! each case.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpSocket;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::proxy::{Proxy, Trap};
use crate::told::{EXCHANGES, documented, exchanges};

/// The program under test.
pub(super) const PROGRAM: &str = env!("CARGO_BIN_EXE_whop-sync");

/// How long anything may take before the test gives up: a hang must fail, and
/// a busy machine must not.
pub(super) const SAFETY: Duration = Duration::from_secs(600);

/// Between two looks at something that cannot be waited for.
const GLANCE: Duration = Duration::from_millis(3);

/// A `whop-sync emulator` process with its state in a folder of its own.
pub(super) struct Emulator {
    folder: TempDir,
    latency: &'static str,
    pub(super) address: SocketAddr,
    /// Holds the port while nobody serves on it: bound and not listening, so
    /// that neither another server nor a connection is given it meanwhile.
    _port: TcpSocket,
    child: Option<Child>,
}

impl Emulator {
    pub(super) async fn start(latency: &'static str) -> Self {
        let port = TcpSocket::new_v4().unwrap();
        port.set_reuseaddr(true).unwrap();
        port.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let mut emulator = Self {
            folder: tempfile::tempdir().unwrap(),
            latency,
            address: port.local_addr().unwrap(),
            _port: port,
            child: None,
        };
        emulator.serve().await;
        emulator
    }

    /// Serves on its port, again after it was killed.
    pub(super) async fn serve(&mut self) {
        let mut child = Command::new(PROGRAM)
            .args([
                "emulator",
                "--deliver-anything",
                "--rate",
                "0",
                "--latency",
                self.latency,
                "--port",
            ])
            .arg(self.address.port().to_string())
            .args(documented().then_some("--documented"))
            .arg("--state")
            .arg(self.folder.path().join("state.jsonl"))
            .env_clear()
            .envs(exchanges().map(|file| (EXCHANGES, file)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        timeout(SAFETY, out.read_line(&mut line)).await.unwrap().unwrap();
        let address = line
            .trim()
            .trim_start_matches("http://")
            .trim_end_matches("/api/v1");
        assert_eq!(address.parse(), Ok(self.address), "the emulator said {line:?}");
        self.child = Some(child);
    }

    /// Ends it as power loss would, but for the disk.
    pub(super) async fn kill(&mut self) {
        self.child.take().unwrap().kill().await.unwrap();
    }
}

/// How a process ended and what it said.
#[derive(Debug)]
pub(super) struct Ended {
    /// The exit status; `None` for one that a signal ended.
    pub(super) status: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ended {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }
}

/// A process of the program, with what it has said so far being collected.
pub(super) struct Running {
    child: Child,
    stdout: tokio::task::JoinHandle<String>,
    stderr: tokio::sync::watch::Receiver<String>,
}

impl Running {
    pub(super) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (said, stderr) = tokio::sync::watch::channel(String::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                said.send_modify(|text| *text += &(line + "\n"));
            }
        });
        let stdout = tokio::spawn(async move {
            let mut text = String::new();
            out.read_to_string(&mut text).await.unwrap();
            text
        });
        Self {
            child,
            stdout,
            stderr,
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Waits until stderr has this.
    pub(super) async fn says(&mut self, what: &str) {
        let said = timeout(SAFETY, self.stderr.wait_for(|text| text.contains(what))).await;
        said.unwrap().unwrap();
    }

    /// The same, or until it has ended without saying so.
    pub(super) async fn says_or_ends(&mut self, what: &str) {
        let said = timeout(SAFETY, self.stderr.wait_for(|text| text.contains(what))).await;
        said.unwrap().ok();
    }

    /// SIGKILL; returns when the process is gone.
    pub(super) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends a signal by name, such as `INT`.
    pub(super) fn signal(&self, name: &str) {
        let sent = std::process::Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    pub(super) async fn end(mut self) -> Ended {
        let status = timeout(SAFETY, self.child.wait()).await.unwrap().unwrap();
        let stdout = self.stdout.await.unwrap();
        // The channel closes when all is read.
        while self.stderr.changed().await.is_ok() {}
        Ended {
            status: status.code(),
            stdout,
            stderr: self.stderr.borrow().clone(),
        }
    }

    /// Waits for the end without taking it.
    pub(super) async fn ended(&mut self) {
        let _ = self.child.wait().await;
    }
}

/// One platform with its manifest, its mapping, and its own way to the
/// emulator.
pub(super) struct Case {
    folder: TempDir,
    pub(super) company: String,
    /// Keys have one platform each, so every case has its own.
    key: String,
    pub(super) proxy: Proxy,
    pub(super) emulator: SocketAddr,
    /// Arguments of every command, such as the API's version.
    pub(super) more: Vec<String>,
    http: reqwest::Client,
}

impl Case {
    pub(super) async fn new(name: &str, emulator: SocketAddr) -> Self {
        // Plain http needs no TLS, but the client wants a provider all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        Self {
            company: format!("biz_{name}"),
            key: format!("key_{name}"),
            proxy: Proxy::start(emulator).await,
            emulator,
            more: Vec::new(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            folder,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the manifest, where `COMPANY` stands for the case's own, and
    /// beside it the example's pictures.
    pub(super) fn write(&self, manifest: &str) {
        let pictures = self.path("examples/avatars");
        if !pictures.exists() {
            fs::create_dir_all(&pictures).unwrap();
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/avatars");
            for picture in fs::read_dir(source).unwrap() {
                let picture = picture.unwrap();
                fs::copy(picture.path(), pictures.join(picture.file_name())).unwrap();
            }
        }
        fs::write(
            self.path("users.yaml"),
            manifest.replace("COMPANY", &self.company),
        )
        .unwrap();
    }

    pub(super) fn mapping(&self) -> PathBuf {
        self.path("state/users.mapping.jsonl")
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.path("state/users.mapping.journal")
    }

    fn arguments(&self, words: &[&str]) -> Vec<String> {
        let mut all: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        all.extend(["-f".to_owned(), text(self.path("users.yaml"))]);
        all.extend(["--mapping".to_owned(), text(self.mapping())]);
        all.extend([
            "--server".to_owned(),
            format!("http://{}/api/v1", self.proxy.address),
        ]);
        all.extend(self.more.clone());
        all
    }

    /// The program with these words, and where all is.
    pub(super) fn start(&self, words: &[&str]) -> Running {
        let mut command = Command::new(PROGRAM);
        command.args(self.arguments(words));
        self.spawn(command)
    }

    /// The same, wrapped in a shell script that ends in `exec "$@"`.
    pub(super) fn start_in_shell(&self, script: &str, words: &[&str]) -> Running {
        let mut command = Command::new("sh");
        command
            .args(["-c", script, "sh", PROGRAM])
            .args(self.arguments(words));
        self.spawn(command)
    }

    fn spawn(&self, mut command: Command) -> Running {
        command.env_clear().env("WHOP_API_KEY", &self.key);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        Running::spawn(command)
    }

    /// Applies and waits for the end.
    pub(super) async fn apply(&self) -> Ended {
        self.start(&["apply", "--yes"]).end().await
    }

    /// Applies until the trap springs, then kills the program. `false` when it
    /// ended before.
    pub(super) async fn apply_until_killed(&self, trap: Trap) -> bool {
        self.proxy.arm(trap);
        let mut running = self.start(&["apply", "--yes"]);
        let killed = tokio::select! {
            () = self.proxy.sprung() => true,
            () = running.ended() => false,
            () = sleep(SAFETY) => panic!("neither killed nor ended"),
        };
        running.kill().await;
        self.proxy.disarm();
        self.proxy.settle().await;
        killed
    }

    /// Applies until the journal has so many whole lines, then kills the
    /// program. `false` when it ended before.
    pub(super) async fn apply_until_journal(&self, lines: usize) -> bool {
        self.proxy.arm(Trap::Straight);
        let mut running = self.start(&["apply", "--yes"]);
        let grown = async {
            let begun = Instant::now();
            while begun.elapsed() < SAFETY {
                let text = fs::read(self.journal()).unwrap_or_default();
                if text.iter().filter(|byte| **byte == b'\n').count() >= lines {
                    return;
                }
                sleep(GLANCE).await;
            }
            panic!("neither killed nor ended");
        };
        let killed = tokio::select! {
            () = grown => true,
            () = running.ended() => false,
        };
        running.kill().await;
        self.proxy.settle().await;
        killed
    }

    /// Waits until the proxy has seen so many requests.
    pub(super) async fn wait_for_requests(&self, count: usize) {
        let all = async {
            while self.proxy.seen().len() < count {
                sleep(GLANCE).await;
            }
        };
        let waited = timeout(SAFETY, all).await;
        waited.unwrap_or_else(|_| panic!("only these came: {:?}", self.proxy.seen()));
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("http://{}/api/v1{path}", self.emulator);
        let request = self.http.get(url).header("api-version-date", "2026-10-15-1");
        let request = request.header("authorization", format!("Bearer {}", self.key));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Every account the platform has on the emulator, by the platform's id.
    pub(super) async fn accounts(&self) -> BTreeMap<String, Vec<Value>> {
        let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut after = String::new();
        loop {
            let path = format!("/accounts?parent_account_id={}&first=50{after}", self.company);
            let page = self.get(&path).await;
            for account in page["data"].as_array().unwrap() {
                let id = account["metadata"]["internal_user_id"]
                    .as_str()
                    .unwrap_or("nobody");
                found.entry(id.to_owned()).or_default().push(account.clone());
            }
            match page["page_info"]["end_cursor"].as_str() {
                Some(end) if page["page_info"]["has_next_page"] == true => after = format!("&after={end}"),
                _ => return found,
            }
        }
    }

    /// Everything that must be true once all is done: one account for every
    /// user of these manifests and no other; each in the mapping; name, title,
    /// metadata and picture shown as the last manifest says; no state left
    /// over; and an empty plan. Looks at the emulator over HTTP and at the
    /// mapping as text.
    pub(super) async fn check(&self, former: &[&str]) -> Result<(), String> {
        let manifest =
            whop_sync::manifest::load(&[self.path("users.yaml")]).map_err(|why| why.to_string())?;
        let mut accounts = self.accounts().await;
        let mapped = read_mapping(&self.mapping()).map_err(|why| format!("the mapping: {why}"))?;
        for user in manifest.desired.users() {
            let id = user.key.as_str();
            let [account] = &accounts.remove(id).unwrap_or_default()[..] else {
                return Err(format!("{id} has not exactly one account"));
            };
            let link =
                |entry: &(String, String)| account["id"] == *entry.0 && account["owner"]["id"] == *entry.1;
            if !mapped.get(id).is_some_and(link) {
                return Err(format!("{id} is mapped to {:?}, not {account}", mapped.get(id)));
            }
            let title = user
                .title
                .as_ref()
                .is_none_or(|title| account["title"] == title.as_str());
            let mut metadata = user.metadata.iter();
            if account["email"] != user.email.as_str()
                || !title
                || !metadata.all(|(name, value)| account["metadata"][&**name] == **value)
            {
                return Err(format!("{id} is {account}"));
            }
            let owner = account["owner"]["id"].as_str().unwrap_or_default();
            let shown = self
                .get(&format!("/users/{owner}?account_id={}", self.company))
                .await;
            if shown["name"] != user.name.as_str() {
                return Err(format!("{id} shows {shown}"));
            }
            if let Some(avatar) = &user.avatar {
                let url = shown["profile_picture"]["url"].as_str().unwrap_or_default();
                let picture = self
                    .http
                    .get(url)
                    .send()
                    .await
                    .map_err(|why| format!("{url}: {why}"))?;
                if picture.bytes().await.unwrap() != fs::read(self.path(&avatar.path)).unwrap() {
                    return Err(format!("{id} shows another picture"));
                }
            }
        }
        for id in former {
            if accounts.remove(*id).is_none_or(|accounts| accounts.len() != 1) {
                return Err(format!("{id} had one account, and has it no more"));
            }
        }
        if !accounts.is_empty() {
            return Err(format!("accounts nobody asked for: {accounts:?}"));
        }
        if mapped.len() != manifest.desired.users().len() + former.len() {
            return Err(format!("the mapping knows {mapped:?}"));
        }
        let mut left: Vec<_> = fs::read_dir(self.path("state"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        // The mapping, and what is known of the pictures that were looked at.
        left.retain(|name| name != "users.mapping.jsonl" && name != "users.mapping.pictures");
        if !left.is_empty() {
            return Err(format!("left over: {left:?}"));
        }
        let plan = self.start(&["plan", "--detailed-exitcode"]).end().await;
        match plan.status {
            Some(0) => Ok(()),
            _ => Err(format!("the plan is not empty: {plan:?}")),
        }
    }
}

/// Account and owner by id, from the mapping's text.
fn read_mapping(path: &Path) -> io::Result<BTreeMap<String, (String, String)>> {
    let text = fs::read_to_string(path)?;
    let users = text.lines().skip(1).map(|line| {
        let entry: Value = serde_json::from_str(line)?;
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        Ok((text("id"), (text("account_id"), text("user_id"))))
    });
    users.collect()
}
