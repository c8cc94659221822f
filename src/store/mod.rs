//! The lock, the mapping and the journal: the sole writer of our state, which
//! never touches the network.
//!
//! # What is flushed, and when
//!
//! 1. Each journal entry is appended and flushed (`fsync`) before the request
//!    it announces is sent, and again before its result counts.
//! 2. A new journal's folder is flushed before its first entry counts.
//! 3. The mapping is written whole to a temporary file beside it, flushed,
//!    renamed over the old one, and the folder is flushed.
//! 4. Only then is the journal removed, or replaced by what is still open,
//!    and the folder flushed.
//!
//! So at any moment the mapping is whole, and mapping plus journal tell
//! everything that was done. Replaying a journal onto a mapping that already
//! has its facts changes nothing.
//!
//! # What the lock does and does not promise
//!
//! One run at a time may write. The lock is an advisory lock of the operating
//! system on `….lock`, so it ends with the process that holds it, however that
//! ends. Between machines or containers it holds as far as their shared file
//! system passes such locks on: local disks and bind mounts do; NFS does where
//! its lock manager runs; some network and FUSE file systems do not.

mod atomic_file;
mod disk;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod journal;
mod load;
mod lock;
mod paths;
pub mod pictures;
mod saved;
mod session;

pub use self::atomic_file::Replacement;
pub use self::disk::{Disk, DurableFile};
pub use self::journal::Journal;
pub use self::load::{Loaded, load, read_mapping};
pub use self::lock::{Holder, locked};
pub use self::paths::{Identity, Paths};
pub use self::saved::{MOST_BYTES as MOST_PLAN_BYTES, read_plan};
pub use self::session::Session;
pub use crate::fsys::OsDisk;
