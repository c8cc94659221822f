//! A platform of any size: its manifest, its mapping, and a Whop that shows
//! what the mapping says, all from a number. Equal numbers give equal bytes.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use whop_sync::remote::transport::{Request, Response, Sending, Target, Transport, TransportError};

/// The platform.
pub(crate) const PLATFORM: &str = "biz_platform";
/// What the mapping names as its server.
pub(crate) const SERVER: &str = "bench";
/// The accounts of one page, as Whop gives them.
const PAGE: usize = 50;

/// How large a platform is, and how it is written down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    /// Its users.
    pub(crate) users: usize,
    /// The manifest's files.
    pub(crate) files: usize,
    /// The users whose name the manifest has changed since the last apply,
    /// spread over all.
    pub(crate) edits: usize,
}

const FIRST: [&str; 8] = [
    "Ana", "Björn", "Chi", "Dmitri", "Émile", "Fatima", "Grace", "Hiro",
];
const LAST: [&str; 6] = ["Okafor", "Silva", "Nguyen", "O'Neill", "Müller", "García Márquez"];
const TIERS: [&str; 3] = ["free", "silver", "gold"];

/// What one user has, by number.
struct User(usize);

impl User {
    fn name(&self) -> String {
        let Self(at) = self;
        format!("{} {} {at}", FIRST[at % FIRST.len()], LAST[at / 7 % LAST.len()])
    }

    fn email(&self) -> String {
        format!("user{}@mail{}.shop.co", self.0, self.0 % 97)
    }

    fn title(&self) -> Option<String> {
        (self.0 % 10 == 3).then(|| format!("Studio {}", self.0))
    }

    fn tier(&self) -> &'static str {
        TIERS[self.0 % TIERS.len()]
    }
}

impl World {
    /// A manifest in one file without edits.
    pub(crate) fn of(users: usize) -> Self {
        Self {
            users,
            files: 1,
            edits: 0,
        }
    }

    fn is_edited(&self, at: usize) -> bool {
        self.edits > 0 && at.is_multiple_of((self.users / self.edits).max(1))
    }

    /// One file's text.
    pub(crate) fn manifest(&self, file: usize) -> String {
        let mut text = String::from("version: 1\n");
        let _ = writeln!(
            text,
            "company: {PLATFORM}\nguardrails: {{max_updates: 100%}}\nusers:"
        );
        if file > 0 {
            text = String::from("version: 1\nusers:\n");
            text.insert_str(11, &format!("company: {PLATFORM}\n"));
        }
        let each = self.users.div_ceil(self.files);
        for at in (file * each)..((file + 1) * each).min(self.users) {
            let user = User(at);
            let new = if self.is_edited(at) { "New " } else { "" };
            let _ = writeln!(
                text,
                "  - id: user_{at:07}\n    email: {}\n    name: {new}{}",
                user.email(),
                user.name()
            );
            if let Some(title) = user.title() {
                let _ = writeln!(text, "    title: {title}");
            }
            let _ = writeln!(text, "    metadata: {{ tier: {} }}", user.tier());
        }
        text
    }

    /// The mapping's text, as if all but the edits had been applied.
    pub(crate) fn write_mapping(&self, out: &mut impl io::Write) -> io::Result<()> {
        writeln!(
            out,
            r#"{{"format":"whop-sync mapping","version":1,"company":"{PLATFORM}","server":"{SERVER}","generation":1}}"#
        )?;
        for at in 0..self.users {
            let user = User(at);
            write!(
                out,
                r#"{{"id":"user_{at:07}","account_id":"biz_c{at:010}","user_id":"user_o{at:010}","name":"{}""#,
                user.name()
            )?;
            if let Some(title) = user.title() {
                write!(out, r#","title":"{title}""#)?;
            }
            writeln!(out, r#","metadata":{{"tier":"{}"}}}}"#, user.tier())?;
        }
        Ok(())
    }

    /// Writes manifest and mapping below a folder; the manifest's path and the
    /// mapping's.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<(PathBuf, PathBuf)> {
        let manifest = match self.files {
            1 => {
                fs::write(folder.join("users.yaml"), self.manifest(0))?;
                folder.join("users.yaml")
            }
            files => {
                let parts = folder.join("users");
                fs::create_dir_all(&parts)?;
                for file in 0..files {
                    fs::write(parts.join(format!("{file:04}.yaml")), self.manifest(file))?;
                }
                parts
            }
        };
        let mapping = folder.join("users.mapping.jsonl");
        let mut out = BufWriter::new(fs::File::create(&mapping)?);
        self.write_mapping(&mut out)?;
        out.flush()?;
        Ok((manifest, mapping))
    }
}

/// A Whop that answers from nothing but numbers, so that its own memory is
/// none and its own time is known.
#[derive(Debug)]
pub(crate) struct Whop {
    users: usize,
    nanos: AtomicU64,
}

impl Whop {
    /// A Whop with the accounts of this world.
    pub(crate) fn new(world: &World) -> Self {
        Self {
            users: world.users,
            nanos: AtomicU64::new(0),
        }
    }

    /// The time it has taken to answer, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.nanos.load(Ordering::Relaxed) as f64 / 1e9
    }

    fn answer(&self, path: &str) -> String {
        if let Some(owner) = path.strip_prefix("/users/user_o") {
            let at: usize = owner[..10].parse().unwrap_or_default();
            return format!(
                r#"{{"id":"user_o{at:010}","name":"{}","profile_picture":null}}"#,
                User(at).name()
            );
        }
        let after = path.split("after=").nth(1).unwrap_or("0");
        let first: usize = after
            .split('&')
            .next()
            .and_then(|n| n.parse().ok())
            .unwrap_or_default();
        let end = (first + PAGE).min(self.users);
        let mut text = String::with_capacity(20_000);
        text.push_str(r#"{"data":["#);
        for at in first..end {
            let user = User(at);
            let comma = if at > first { "," } else { "" };
            let title = user.title().unwrap_or_else(|| user.name());
            let _ = write!(
                text,
                concat!(
                    r#"{}{{"id":"biz_c{:010}","object":"account","title":"{}","email":"{}","route":"r{}","status":"active","#,
                    r#""created_at":"2026-01-01T00:00:00Z","owner":{{"id":"user_o{:010}","name":"{}","username":"u{}"}},"#,
                    r#""parent_account":{{"id":"{}"}},"#,
                    r#""metadata":{{"external_id":"user_{:07}","internal_user_id":"user_{:07}","tier":"{}"}}}}"#
                ),
                comma,
                at,
                title,
                user.email(),
                at,
                at,
                user.name(),
                at,
                PLATFORM,
                at,
                at,
                user.tier()
            );
        }
        let more = end < self.users;
        let _ = write!(
            text,
            r#"],"page_info":{{"end_cursor":"{end}","has_next_page":{more},"start_cursor":"{first}","has_previous_page":false}}}}"#
        );
        text
    }
}

impl Transport for Whop {
    fn send(&self, request: Request) -> Sending<'_> {
        let began = Instant::now();
        let (Target::Api(path) | Target::Storage(path) | Target::Picture(path)) = &request.target;
        let body = Bytes::from(self.answer(path));
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(took, Ordering::Relaxed);
        Box::pin(async move {
            Ok::<_, TransportError>(Response {
                status: 200,
                headers: Vec::new(),
                body,
            })
        })
    }
}
