//! What looking a path up comes to: what there is, or why nothing was reached.

use std::io;

use crate::picture::Stamp;

/// What the system says of something in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct About {
    /// Whether it is a regular file.
    pub(super) regular: bool,
    /// Whether it is a folder.
    pub(super) folder: bool,
    /// Its size in bytes.
    pub(super) bytes: u64,
    /// What changes when the file does; not every system has it.
    pub(super) stamp: Option<Stamp>,
}

/// Why a walk did not arrive at a file.
#[derive(Debug)]
pub(super) enum Lost {
    /// There is a link in this place, on the way or at its end.
    Link(Box<str>),
    /// There is a folder.
    Folder,
    /// There is a pipe, a socket, a device.
    Special,
    /// The system refused a step.
    Io(io::Error),
}

impl About {
    /// Refuses what is no regular file.
    pub(super) fn demand_file(&self) -> Result<(), Lost> {
        match self {
            Self { regular: true, .. } => Ok(()),
            Self { folder: true, .. } => Err(Lost::Folder),
            _ => Err(Lost::Special),
        }
    }
}
