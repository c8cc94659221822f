//! Why a file is not opened, or not read.

use std::path::PathBuf;
use std::{fmt, io};

/// Why a file is not opened, or not read.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A symbolic link where none is followed.
    Link(PathBuf),
    /// No regular file; what it is instead.
    Kind(PathBuf, &'static str),
    /// More bytes than this.
    Large(PathBuf, u64),
    /// Others than its owner may write it.
    Writable(PathBuf),
}

impl Refusal {
    /// The refusal behind an error, if it is one.
    pub fn behind(cause: &io::Error) -> Option<&Self> {
        cause.get_ref()?.downcast_ref()
    }

    /// What to do about it.
    pub fn way_out(&self) -> &'static str {
        match self {
            Self::Link(_) => "name the file itself, or replace the link with it",
            Self::Kind(..) => "name a regular file",
            Self::Large(..) => "is this the right file?",
            Self::Writable(_) => {
                "take that right away, such as with `chmod go-w`, and check what the file holds"
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(path) => write!(
                f,
                "`{}` is a symbolic link, which is not followed because a pull request may have added it",
                path.display()
            ),
            Self::Kind(path, kind) => {
                write!(f, "`{}` is {kind}, and not a regular file", path.display())
            }
            Self::Large(path, most) => {
                write!(f, "`{}` is larger than the limit of {most} bytes", path.display())
            }
            Self::Writable(path) => {
                write!(f, "others than its owner may write `{}`", path.display())
            }
        }
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(io::ErrorKind::InvalidInput, refusal)
    }
}
