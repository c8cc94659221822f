//! The disk, and what a file on it is opened for.

use std::path::PathBuf;

/// The machine's disk, as far as our own files are concerned. From the working
/// folder on, and from the manifest's folder on, it follows no link. A working
/// folder that is the root of the file system is not counted: everything would
/// be below it.
#[derive(Clone, Debug, Default)]
pub struct OsDisk {
    /// Manifests, or the folders they are in.
    pub(super) manifests: Vec<PathBuf>,
}

/// What a file of ours is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// To be read; it has to be there.
    Read,
    /// To be read and changed; made where it is missing.
    Edit,
    /// To be read and added to; made where it is missing.
    Append,
    /// To be added to; it must not be there yet.
    New,
    /// An output that is only added to; made where it is missing. A device, a
    /// pipe that somebody reads, and names such as `/dev/stdout` will do.
    Stream,
}
