//! Whop's API in one process: strict, deterministic, and good enough to test
//! against.
//!
//! It follows the published contract, refuses what Whop would refuse, and
//! where nothing is known it behaves as `whop-api.md` assumes. It speaks both
//! generations, keeps global profiles and one company's overrides apart, and
//! remembers everything in a state file if asked. It shares no JSON type with
//! the client, so a wrong field name cannot agree with itself.
//!
//! # Two ways in
//! [`Emulator::transport`] puts it below a client in the same process, where
//! tokio's paused clock drives both. [`serve`] puts it behind a socket on this
//! machine, for any client in any language.
//!
//! # Map
//! | file | subject |
//! | --- | --- |
//! | `engine` | one request in, one reply out |
//! | `operation`, `request`, `versions` | where a request leads, what it says, in which version |
//! | `keys`, `limits`, `idempotency`, `refusal` | who may, how often, what is remembered, how it is refused |
//! | `accounts`, `companies`, `users`, `files`, `tokens`, `storage` | what is done |
//! | `answers`, `paging` | what comes back |
//! | `records`, `state`, `log`, `contents` | what is kept, in memory and on disk |
//! | `clock`, `ids`, `settings` | time, ids, settings |
//! | `faults`, `hands` | what tests do to it |
//! | `transport`, `serve` | the two ways in |

mod accounts;
mod answers;
mod clock;
mod companies;
mod contents;
mod engine;
mod faults;
mod files;
mod handle;
mod hands;
mod idempotency;
mod ids;
mod keys;
mod limits;
mod log;
mod operation;
mod paging;
mod records;
mod refusal;
mod request;
pub mod serve;
mod settings;
mod state;
mod storage;
mod tokens;
mod transport;
mod users;
mod versions;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use engine::Engine;

pub use clock::Clock;
pub use engine::{Reply, Seen};
pub use faults::{Fault, Script, Strike};
pub use hands::{AccountView, ProfileView};
pub use keys::{Key, Keys};
pub use operation::Operation;
pub use request::Call;
pub use settings::Settings;
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
        self.engine().receive(call, now)
    }

    /// This emulator as the transport of a client with this key.
    pub fn transport(&self, key: Option<&str>) -> InProcess {
        InProcess::new(self.clone(), key)
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
