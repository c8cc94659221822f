//! What an emulator is started with.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::clock::Clock;
use super::ids::is_id;
use super::keys::{Key, Keys};
use super::limits::Window;
use super::versions::Version;
use crate::fsys::OsDisk;

/// The domain to which nothing can be delivered, whatever the settings.
pub const BOUNCES: &str = "bounce.test";

/// The domains reserved for examples and tests. No mail can arrive there, so
/// Whop refuses addresses at them.
pub const RESERVED: [&str; 7] = [
    "test",
    "example",
    "invalid",
    "localhost",
    "example.com",
    "example.net",
    "example.org",
];

/// Settings of an emulator; the default is a memory-only one on the wall's
/// clock that lets any key in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The platform's account (`biz_…`) for every key without one of its own.
    /// `None`: the first account that a key mentions as parent, override or
    /// resource becomes its platform, and stays it.
    pub platform: Option<String>,
    /// Which keys are let in.
    pub keys: Keys,
    /// Requests a minute for each operation and key; 0 for no limit.
    pub rate: u32,
    /// How the minute of that limit lies in time.
    pub window: Window,
    /// Whether every answer names the limit and what is left of it, in
    /// `X-RateLimit-*`; Whop documents none.
    pub limit_headers: bool,
    /// Whether a 429 carries `Retry-After`; Whop documents none.
    pub retry_after: bool,
    /// How long every answer takes.
    pub latency: Duration,
    /// How long a file is processed once its bytes are there.
    pub processing: Duration,
    /// Whether it answers as Whop's documentation says where recorded answers
    /// of Whop differ. By default it answers as recorded.
    pub documented: bool,
    /// Domains whose addresses are refused as undeliverable, below them too;
    /// see [`RESERVED`] for those that Whop refuses.
    pub undeliverable: Vec<String>,
    /// The newest version it knows, so that it passes for an older server;
    /// `None` for every version in the table.
    pub newest: Option<String>,
    /// Ids and chance come from this, so equal runs give equal ids.
    pub seed: u64,
    /// Where to keep everything.
    pub state: State,
    /// How files are opened.
    pub disk: OsDisk,
    /// Where to add every request and its answer, as JSON lines and without
    /// the key; `None` for nowhere.
    pub exchanges: Option<PathBuf>,
    /// Which time it is.
    pub clock: Clock,
    /// Whether to keep a list of the requests received, for tests.
    pub record: bool,
}

/// Where everything is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nowhere: it is gone with the emulator.
    #[default]
    Memory,
    /// In this file, which no other emulator may have open.
    Kept(PathBuf),
    /// What this file has, if it is there, is where it begins. Nothing is
    /// written: what changes is gone with the emulator.
    Read(PathBuf),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            platform: None,
            keys: Keys::Any,
            rate: 600,
            window: Window::Sliding,
            limit_headers: false,
            retry_after: false,
            latency: Duration::ZERO,
            processing: Duration::from_secs(1),
            documented: false,
            undeliverable: vec![BOUNCES.to_owned()],
            newest: None,
            seed: 0,
            state: State::Memory,
            disk: OsDisk::default(),
            exchanges: None,
            clock: Clock::wall(),
            record: false,
        }
    }
}

impl Settings {
    /// For tests: memory only, tokio's clock, requests recorded, and this
    /// platform for every key.
    pub fn test(platform: &str) -> Self {
        Self {
            platform: Some(platform.to_owned()),
            clock: Clock::driven(),
            record: true,
            ..Self::default()
        }
    }
}

impl Settings {
    /// Refuses settings that make no sense.
    pub(super) fn check(&self) -> io::Result<()> {
        let refuse = |message: String| Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        let keys: &[Key] = match &self.keys {
            Keys::Any => &[],
            Keys::Only(keys) => keys,
        };
        let platforms = keys.iter().filter_map(|key| key.platform.as_deref());
        for platform in self.platform.as_deref().into_iter().chain(platforms) {
            if !is_id(platform, "biz_") {
                return refuse(format!("`{platform}` is not an account id (biz_…)"));
            }
        }
        let stored = keys.iter().filter_map(|key| key.version.as_deref());
        for version in stored.chain(self.newest.as_deref()) {
            if Version::parse(version).is_none() {
                return refuse(format!("`{version}` is not a known API version"));
            }
        }
        if let Some(scope) = keys.iter().find_map(Key::impossible).filter(|_| !self.documented) {
            return refuse(format!(
                "no custom key can hold `{scope}`; `KEY=role:owner` is a key with the Owner role"
            ));
        }
        if keys.iter().any(|key| key.secret.is_empty()) {
            return refuse("a key must not be empty".to_owned());
        }
        Ok(())
    }
}

/// A duration in whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
