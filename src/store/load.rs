//! Reads the mapping and the journal, without locking and without writing.

use std::collections::BTreeMap;
use std::path::Path;

use super::disk::Disk;
use super::files;
use super::paths::{Identity, Paths};
use crate::core::model::{Known, KnownUser};
use crate::core::replay;
use crate::core::value::UserKey;
use crate::error::{Code, Error, Result};

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The mapping with the journal folded in.
    pub known: Known,
    /// Whether a journal was there: an earlier run did not end in order.
    pub interrupted: bool,
}

/// Reads the state without locking and without writing, for planning.
///
/// # Errors
/// [`Code::MappingUnreadable`], [`Code::MappingForeign`],
/// [`Code::MappingNewer`], [`Code::JournalUnreadable`], [`Code::IoFailed`].
pub fn load(paths: &Paths, identity: &Identity, disk: &dyn Disk) -> Result<Loaded> {
    let mut known = match read(disk, &paths.mapping)? {
        None => Known::default(),
        Some(bytes) => files::parse_mapping(&paths.mapping, bytes, identity)?,
    };
    let Some(bytes) = read(disk, &paths.journal)? else {
        return Ok(Loaded {
            known,
            interrupted: false,
        });
    };
    let entries = files::parse_journal(&paths.journal, &bytes, identity)?;
    let interrupted = !entries.is_empty();
    replay::replay(&mut known, entries);
    Ok(Loaded { known, interrupted })
}

/// Reads a mapping whoever it belongs to, for `show`.
///
/// # Errors
/// As [`load`], but without the question whose it is; [`Code::IoFailed`] with
/// a hint where there is none.
pub fn read_mapping(path: &Path, disk: &dyn Disk) -> Result<(Identity, BTreeMap<UserKey, KnownUser>)> {
    let Some(bytes) = read(disk, path)? else {
        return Err(Error::new(
            Code::IoFailed,
            format!("there is no mapping at `{}`", path.display()),
        )
        .hint("check `-f` and `--mapping`; the first `whop-sync apply` creates this file"));
    };
    let identity = files::mapping_identity(path, &bytes)?;
    let known = files::parse_mapping(path, bytes, &identity)?;
    Ok((identity, known.users))
}

pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>> {
    disk.read(path).map_err(|cause| Error::file("read", path, cause))
}
