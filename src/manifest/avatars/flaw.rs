//! The problems of a picture, worded.

use std::io::{self, ErrorKind};

use super::super::diagnostics::quoted;
use super::lookup::NotReached;
use crate::core::problem_code::ProblemCode;
use crate::core::value::ImageFormat;
use crate::picture::{Fault, MOST_BYTES, MOST_PIXELS};

/// Why a picture cannot be used: a stable code, a sentence, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::manifest) struct Flaw {
    /// A stable word for machines.
    pub(super) code: ProblemCode,
    /// What is wrong, in a sentence without a full stop.
    pub(in crate::manifest) message: String,
    /// What to do about it.
    pub(in crate::manifest) hint: String,
}

/// A flaw from its three parts.
pub(super) fn flaw(code: ProblemCode, message: impl Into<String>, hint: impl Into<String>) -> Flaw {
    Flaw {
        code,
        message: message.into(),
        hint: hint.into(),
    }
}

/// The manifest's folder cannot be opened.
pub(super) fn no_folder(cause: &io::Error) -> Flaw {
    flaw(
        ProblemCode::AvatarUnreadable,
        format!("the manifest's folder cannot be opened ({})", plainly(cause)),
        "check the folder's permissions",
    )
}

/// Why a picture was not reached.
pub(super) fn lost(path: &str, lost: &NotReached) -> Flaw {
    let not_file = |what| {
        flaw(
            ProblemCode::AvatarNotFile,
            format!("the avatar {} is {what}", quoted(path)),
            "name a PNG, JPEG, GIF or WebP file",
        )
    };
    match lost {
        NotReached::Link(at) => link(path, at),
        NotReached::Folder => not_file("a folder"),
        NotReached::Special => not_file("not a regular file"),
        NotReached::Io(cause) => unreadable(path, cause),
    }
}

/// There is a link at this path, on the way to the picture or in its place.
fn link(path: &str, at: &str) -> Flaw {
    let way = match path == at {
        true => String::new(),
        false => format!(" is below {}, which", quoted(at)),
    };
    flaw(
        ProblemCode::AvatarLink,
        format!(
            "the avatar {}{way} is a symbolic link, which is not followed because a pull request may have added it",
            quoted(path)
        ),
        "name the file itself, or replace the link with it",
    )
}

/// Rejects a file by its size alone. Checked before reading, so that a huge
/// file costs nothing, and again after reading.
pub(super) fn check_size(path: &str, bytes: u64) -> Result<(), Flaw> {
    if bytes == 0 {
        return Err(flaw(
            ProblemCode::AvatarEmpty,
            format!("the avatar {} is an empty file", quoted(path)),
            "copy the picture there again",
        ));
    }
    if bytes > MOST_BYTES {
        // Rounded up, so that one byte too many does not appear as exactly the
        // limit.
        let size = (bytes as f64 / (1024.0 * 1024.0) * 10.0).ceil() / 10.0;
        return Err(flaw(
            ProblemCode::AvatarTooLarge,
            format!(
                "the avatar {} has {size:.1} MB; at most 5 MB are allowed",
                quoted(path)
            ),
            "save it smaller: a profile picture needs a few hundred pixels a side",
        ));
    }
    Ok(())
}

/// The flaw for an I/O error. A name below something that is not a folder is
/// missing too.
pub(super) fn unreadable(path: &str, cause: &io::Error) -> Flaw {
    match cause.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => flaw(
            ProblemCode::AvatarMissing,
            format!("the avatar {} does not exist", quoted(path)),
            "paths are relative to the manifest's own folder; upper and lower case differ",
        ),
        _ => flaw(
            ProblemCode::AvatarUnreadable,
            format!("the avatar {} cannot be read ({})", quoted(path), plainly(cause)),
            "check the file's permissions and its name",
        ),
    }
}

/// The text of an I/O error, without its number.
fn plainly(cause: &io::Error) -> String {
    let text = cause.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// Checks that the name's extension matches the content: Whop derives a
/// picture's type from the name ([files](crate::whop_api#files)), and so do
/// people.
pub(super) fn agree(path: &str, format: ImageFormat) -> Result<(), Flaw> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    let promised = extension.and_then(ImageFormat::from_extension);
    if promised == Some(format) {
        return Ok(());
    }
    let says = match extension {
        None => "has no extension".to_owned(),
        Some(extension) => format!("is named {}", quoted(&format!(".{extension}"))),
    };
    Err(flaw(
        ProblemCode::AvatarExtension,
        format!(
            "the avatar {} {says}, but its content is {}",
            quoted(path),
            format.name()
        ),
        format!("rename it to end in `.{}`", format.extension()),
    ))
}

/// It is not certain that all metadata was removed.
pub(super) fn not_stripped(path: &str) -> Flaw {
    flaw(
        ProblemCode::AvatarNotStripped,
        format!(
            "what the avatar {} says beside its pixels cannot be taken away",
            quoted(path)
        ),
        "save it again without metadata in a picture editor, or write `strip_metadata: false`",
    )
}

/// The flaw for content that is not an acceptable picture. In a pipeline, a
/// "text" is usually a checkout without Git LFS, so that case has its own hint.
pub(super) fn faulty(path: &str, fault: Fault) -> Flaw {
    let path = quoted(path);
    match fault {
        Fault::Foreign(what) => {
            let hint = if what.contains("Git LFS") {
                "fetch the pictures first: `git lfs pull`, or `lfs: true` for the checkout step"
            } else {
                "save it as PNG, JPEG, GIF or WebP"
            };
            flaw(
                ProblemCode::AvatarNotImage,
                format!("the avatar {path} is {what}"),
                hint,
            )
        }
        Fault::Truncated(format) => flaw(
            ProblemCode::AvatarTruncated,
            format!("the avatar {path} is a {} that ends too early", format.name()),
            "part of the file is missing; copy or save it again",
        ),
        Fault::Broken(format) => flaw(
            ProblemCode::AvatarBroken,
            format!("the avatar {path} is a damaged {}", format.name()),
            "open it in a picture editor and save it again",
        ),
        Fault::Size { width, height } if width == 0 || height == 0 => flaw(
            ProblemCode::AvatarBroken,
            format!("the avatar {path} has no pixels ({width} × {height})"),
            "open it in a picture editor and save it again",
        ),
        Fault::Size { width, height } => flaw(
            ProblemCode::AvatarDimensions,
            format!(
                "the avatar {path} is {width} × {height} pixels; at most {MOST_PIXELS} a side are allowed"
            ),
            "save it smaller: a profile picture needs a few hundred pixels a side",
        ),
    }
}
