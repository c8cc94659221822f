//! The files that a manifest's state is kept in, and whose they are.

use std::path::{Path, PathBuf};

use crate::core::value::PlatformId;
use crate::error::{Code, Error};

/// Where a manifest's state lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The mapping.
    pub mapping: PathBuf,
    /// The journal.
    pub journal: PathBuf,
    /// The lock.
    pub lock: PathBuf,
}

impl Paths {
    /// What is remembered of pictures, `users.mapping.pictures`: a fourth file
    /// beside them, which may be lost at any time.
    pub fn pictures(&self) -> PathBuf {
        self.mapping.with_extension("pictures")
    }

    /// The three files that belong together: `users.mapping.jsonl`,
    /// `users.mapping.journal` and `users.mapping.lock`.
    pub fn of_mapping(mapping: &Path) -> Self {
        Self {
            mapping: mapping.to_owned(),
            journal: mapping.with_extension("journal"),
            lock: mapping.with_extension("lock"),
        }
    }
}

/// Whose state it is: a mapping of another company or server is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The platform.
    pub company: PlatformId,
    /// `production`, `sandbox`, `emulator` or the API's base URL.
    pub server: String,
}

/// The refusal to write over a file that belongs to something else.
pub(super) fn not_ours(what: &str, path: &Path) -> Error {
    let code = match what {
        "journal" => Code::JournalUnreadable,
        _ => Code::IoFailed,
    };
    let message = format!("`{}` is not a {what} of whop-sync", path.display());
    Error::new(code, message).hint(format!(
        "it belongs to something else: name another mapping with `--mapping`, or remove the {what}; nothing was changed"
    ))
}
