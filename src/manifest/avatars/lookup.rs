//! The result of looking up a path: the entry, or why it was not reached.

use std::io;

use crate::picture::Stamp;

/// The file system's information about an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct About {
    /// Whether it is a regular file.
    pub(super) regular: bool,
    /// Whether it is a folder.
    pub(super) folder: bool,
    /// Its size in bytes.
    pub(super) bytes: u64,
    /// What changes when the file does; not available on every system.
    pub(super) stamp: Option<Stamp>,
}

/// Why a file was not reached.
#[derive(Debug)]
pub(super) enum NotReached {
    /// There is a link at this path, on the way or at its end.
    Link(Box<str>),
    /// It is a folder.
    Folder,
    /// It is a pipe, a socket or a device.
    Special,
    /// The system reported an error.
    Io(io::Error),
}

impl About {
    /// Refuses anything but a regular file.
    pub(super) fn demand_file(&self) -> Result<(), NotReached> {
        match self {
            Self { regular: true, .. } => Ok(()),
            Self { folder: true, .. } => Err(NotReached::Folder),
            _ => Err(NotReached::Special),
        }
    }
}
