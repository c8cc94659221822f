//! Whop's API in one process: strict, deterministic, and good enough to test
//! against.
//!
//! It follows the published contract, refuses what Whop would refuse, and
//! where nothing is known it behaves as [`whop_api`](crate::whop_api) assumes. It speaks both
//! generations, keeps global profiles and one company's overrides apart, and
//! remembers everything in a state file if asked. It shares no JSON type with
//! the client, so a wrong field name cannot agree with itself.
//!
//! Where recorded answers of Whop contradict its documentation, it answers as
//! recorded; with [`Settings::documented`], as documented.
//!
//! # Two ways in
//! [`Emulator::transport`] puts it below a client in the same process, where
//! tokio's paused clock drives both. [`serve`] puts it behind a socket on this
//! machine, for any client in any language.
//!
//! # Fault scripts
//! What goes wrong is said in JSON, for `whop-sync emulator --faults FILE` or
//! [`Emulator::script`]:
//!
//! ```json
//! {
//!   "seed": 7,
//!   "faults": [
//!     {"operation": "create_account", "skip": 2, "count": 1, "strike": {"kind": "reset_after"}},
//!     {"containing": "ana@", "count": null, "strike": {"kind": "answer", "status": 403}},
//!     {"count": null, "chance": 1, "strike": {"kind": "html", "status": 502}}
//!   ]
//! }
//! ```
//!
//! A fault waits for requests of its `operation` (any without one) that have
//! the text `containing` in path, query or body; lets `skip` of them pass, and
//! hits the next `count` (1 if not said, all with `null`), each with a `chance`
//! in a hundred (100). Of several that are due, the first hits. Equal seeds hit
//! equal requests. These strikes are known:
//!
//! | `kind` | fields | what befalls the request |
//! | --- | --- | --- |
//! | `answer` | `status`, `body`, `headers` | not done; this answer, by default an error as Whop writes it |
//! | `answer_after` | `status` | done; the answer says that it failed |
//! | `html` | `status` | not done; a proxy answers in HTML |
//! | `limited` | `seconds`, `header` (false), `message` (true) | not done; 429, the delay named in `Retry-After`, in the message, in both or neither |
//! | `refused` | `status` | not done; the refusal is replayed for a day under the idempotency key |
//! | `reset_before`, `reset_after` | | not done, or done; the connection closes without an answer |
//! | `late` | `millis` | the same, and done later |
//! | `slow` | `millis` | done at once and answered late |
//! | `dies_in_progress` | `acts` | done or not; no answer, and 409 for the idempotency key for a day |
//! | `truncated` | | done; half of the answer's JSON |
//! | `oversized` | `bytes` | not done; an answer of so many bytes |
//! | `stale` | `seconds` | a list without what was made so lately |
//! | `page_skips`, `page_repeats` | `entries` | a page that leaves out its first entries, or repeats those before |
//! | `page_grows` | | an account more, made as soon as the page is answered |
//! | `file_fails`, `file_stalls` | | the file made or filled becomes `failed`, or stays `processing` |
//! | `url_expires` | | the file's upload URL is too old from the beginning |
//!
//! # Where it may be wrong
//! [`differences`] lists every place where it had to assume something, and how
//! to tell. Whop's own SDKs are run against it by `tests/conformance/run`; the
//! API's description judges it in `tests/contract/run`.
//!
//! # Map
//! | file | subject |
//! | --- | --- |
//! | `engine`, `handle`, `context` | one request in, one reply out |
//! | `operation`, `request`, `versions` | where a request leads, what it says, in which version |
//! | `keys`, `limits`, `idempotency`, `refusal` | who may, how often, what is remembered, how it is refused |
//! | `accounts`, `companies`, `users`, `files`, `permissions`, `tokens`, `storage` | what is done |
//! | `answers`, `neutral`, `paging` | what comes back |
//! | `records`, `state`, `log`, `contents` | what is kept, in memory and on disk |
//! | `exchanges` | what was said, for who wants to judge it |
//! | `clock`, `ids`, `settings` | time, ids, settings |
//! | `faults`, `script`, `hands` | what goes wrong by script, and what tests do to it |
//! | `transport`, `serve` | the two ways in |

mod accounts;
mod answers;
mod clock;
mod companies;
mod contents;
mod context;
#[doc = include_str!("differences.md")]
pub mod differences {}
mod engine;
mod exchanges;
mod faults;
mod files;
mod handle;
mod hands;
mod idempotency;
mod ids;
mod keys;
mod limits;
mod log;
mod neutral;
mod operation;
mod paging;
mod permissions;
mod records;
mod refusal;
mod request;
mod scopes;
mod script;
mod seats;
pub mod serve;
mod settings;
mod state;
mod storage;
mod tokens;
mod transport;
mod users;
mod versions;
mod visitor;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use engine::Engine;

pub use clock::Clock;
pub use engine::{Reply, Seen};
pub use faults::{Fault, Script, Strike};
pub use hands::{AccountView, ProfileView};
pub use keys::{Key, Keys};
pub use limits::Window;
pub use operation::Operation;
pub use request::Call;
pub use settings::{BOUNCES, RESERVED, Settings, State};
pub use transport::{InProcess, ORIGIN};

/// A running emulator; clones are the same one.
#[derive(Clone)]
pub struct Emulator {
    engine: Arc<Mutex<Engine>>,
    clock: Clock,
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator").finish_non_exhaustive()
    }
}

impl Emulator {
    /// Starts one, from its state file if it has one.
    ///
    /// # Errors
    /// If a platform, key or version in the settings is none, or if the state
    /// file is held by another emulator, is no state file, or cannot be read.
    pub fn open(settings: Settings) -> io::Result<Self> {
        let clock = settings.clock.clone();
        let engine = Engine::open(settings)?;
        Ok(Self {
            engine: Arc::new(Mutex::new(engine)),
            clock,
        })
    }

    /// Answers one request, now. The one way in: the socket and the transport
    /// only add the waiting.
    pub fn handle(&self, call: &Call) -> Reply {
        let now = self.clock.now();
        let mut reply = self.engine().receive(call, now);
        if let Some(answer) = &mut reply.answer
            && answer.header("date").is_none()
        {
            answer.headers.push(("date".to_owned(), clock::http_date(now)));
        }
        reply
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Looks at or changes the engine, once what was due by now is done.
    fn with<T>(&self, look: impl FnOnce(&mut Engine) -> T) -> T {
        let now = self.clock.now();
        let mut engine = self.engine();
        engine.catch_up(now);
        look(&mut engine)
    }

    /// A panic while the lock was held is a bug that has shown itself already;
    /// going on shows more than a second panic would.
    fn engine(&self) -> std::sync::MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::ids::SplitMix;
    use super::*;

    /// Puts requests together from pieces that are each right somewhere.
    fn scramble(random: &mut SplitMix) -> Call {
        let mut pick = |from: &[&str]| from[(random.next() % from.len() as u64) as usize].to_owned();
        let path = pick(&[
            "/api/v1/accounts",
            "/api/v1/accounts/me",
            "/api/v1/accounts/biz_p",
            "/api/v1/companies",
            "/api/v1/users/user_x",
            "/api/v1/users/platformowner",
            "/api/v1/files",
            "/api/v1/files/file_x/complete",
            "/api/v1/permissions",
            "/api/v1/access_tokens",
            "/storage/file_x/1",
            "/pictures/file/x",
            "/pictures",
            "/%",
            "",
            "//",
        ]);
        let query = pick(&[
            "",
            "?first=1&last=2&after=WyJjIiwxLDFd&before=WyJjIiw5LDld",
            "?account_id=biz_p",
            "?resource_id=%F0%9F&actions=,",
            "?file_ids=a&file_ids=",
            "?expires=18446744073709551615&signature=",
            "?created_after=0001-01-01T00:00:00Z&created_before=9999-12-31T23:59:59-23:59",
            "?&=&%=%",
        ]);
        let body = pick(&[
            "",
            "{}",
            "[]",
            "{",
            "nul",
            "\u{feff}{}",
            r#"{"email":"a@b.c","metadata":{"external_id":7,"a":{"b":[1e308]}},"title":"\ud83d\ude00"}"#,
            r#"{"title":"T","email":"a@b.c","parent_company_id":"biz_p","metadata":null}"#,
            r#"{"name":"\u0000","profile_picture":{"id":""}}"#,
            r#"{"filename":"..","byte_size":1e15,"multipart":true}"#,
            r#"{"filename":"a.png","byte_size":1,"multipart":true}"#,
            r#"{"multipart_upload_id":"","multipart_parts":[{"part_number":1e300,"etag":""}]}"#,
            r#"{"scoped_actions":["",null],"expires_at":"9999-12-31T23:59:59Z"}"#,
        ]);
        let headers = [
            ("authorization", pick(&["Bearer k", "Bearer ", "Basic k", "é"])),
            (
                "api-version-date",
                pick(&["2026-10-15-1", "2025-01-01", "2026-07-20", "x"]),
            ),
            ("content-type", pick(&["application/json", "text/plain"])),
            ("idempotency-key", pick(&["", "k", "é"])),
        ];
        Call {
            method: pick(&["GET", "POST", "PATCH", "PUT", "DELETE", "TRACE", ""]),
            path: path + &query,
            headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            body: body.into(),
            origin: ORIGIN.to_owned(),
        }
    }

    #[test]
    fn nothing_that_is_sent_breaks_it() {
        let emulator = Emulator::open(Settings::test("biz_p")).unwrap();
        let mut random = SplitMix::new(42);
        let mut fine = 0;
        for _ in 0..20_000 {
            let call = scramble(&mut random);
            let answer = emulator.handle(&call).answer.unwrap();
            assert!(answer.status < 500, "{} for {call:?}", answer.status);
            fine += usize::from(answer.status < 300);
        }
        assert!(fine > 100, "only {fine} requests got through");
    }
}
