//! Checks the text of a picture's path.

use std::borrow::Cow;

use super::super::diagnostics::quoted;
use super::flaw::{Flaw, flaw};
use crate::core::problem_code::ProblemCode;

/// The longest path taken from a manifest, in bytes.
const MOST_PATH: usize = 1024;
/// How deep pictures may be below their manifest: as deep as manifests below a
/// named folder.
const MOST_FOLDERS: usize = 32;

/// Checks a path by its text alone.
pub(super) fn check(path: &str) -> Result<(), Flaw> {
    let bad = |message: &str, hint: &str| Err(flaw(ProblemCode::BadAvatarPath, message, hint));
    let relative = "write a path relative to this manifest, such as `avatars/jane.png`";
    if path.is_empty() {
        return bad(
            "the avatar's path is empty",
            "write the path of a picture, or leave `avatar` out",
        );
    }
    if path.len() > MOST_PATH {
        return bad("the avatar's path is longer than 1024 bytes", relative);
    }
    if path.chars().any(char::is_control) {
        return bad(
            "the avatar's path contains control characters",
            "write the path on one line, without escapes",
        );
    }
    if path.contains("://") || path.starts_with("data:") {
        return bad(
            "the avatar is a URL; it must be a file",
            "download the picture, keep it beside the manifest, and name that file",
        );
    }
    if path.contains('\\') {
        return bad(
            "the avatar's path contains `\\`",
            "write `/` between folders, which works on every system",
        );
    }
    let drive = path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic();
    if path.starts_with('/') || drive {
        return Err(outside("the avatar's path is absolute"));
    }
    let mut level = 0usize;
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                let up = level.checked_sub(1);
                level = up.ok_or_else(|| outside("the avatar's path leads out of the manifest's folder"))?;
            }
            _ => {
                portable(name)?;
                level += 1;
            }
        }
    }
    if level > MOST_FOLDERS + 1 {
        return Err(flaw(
            ProblemCode::BadAvatarPath,
            format!("the avatar lies more than {MOST_FOLDERS} folders deep"),
            "keep pictures nearer to the manifest",
        ));
    }
    Ok(())
}

/// A path without `.`, `..` and empty names, if [`check`] accepts it. No link
/// is followed, so a folder and `..` cancel out. `.` for the manifest's own
/// folder.
pub(super) fn plain(path: &str) -> Cow<'_, str> {
    let is_idle = |name: &str| matches!(name, "" | "." | "..");
    if !path.split('/').any(is_idle) || check(path).is_err() {
        return path.into();
    }
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            _ => names.push(name),
        }
    }
    if names.is_empty() {
        return ".".into();
    }
    names.join("/").into()
}

/// The folder and the last name of a path.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// The flaw of a path that leads out of the folder.
fn outside(message: &str) -> Flaw {
    flaw(
        ProblemCode::AvatarOutside,
        message,
        "keep pictures in the manifest's folder or below it, and name them relative to it",
    )
}

/// Refuses names that mean something else on another system, because a manifest
/// must not depend on where it is checked out. Windows opens devices by such
/// names, or drops their end.
fn portable(name: &str) -> Result<(), Flaw> {
    let bad = |message: String| {
        Err(flaw(
            ProblemCode::BadAvatarPath,
            message,
            "give the file a plain name, such as `jane.png`",
        ))
    };
    if name.ends_with(['.', ' ']) {
        return bad(format!(
            "the avatar's path has the name {}, which ends in a dot or a space; Windows drops it",
            quoted(name)
        ));
    }
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let stem = stem.to_ascii_uppercase();
    let numbered = |device| {
        let number = stem.strip_prefix(device).map(|number| number.chars());
        number.is_some_and(|mut number| {
            matches!(number.next(), Some('0'..='9' | '¹' | '²' | '³')) && number.next().is_none()
        })
    };
    let device = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&&*stem);
    if device || numbered("COM") || numbered("LPT") {
        return bad(format!(
            "the avatar's path has the name {}, which is a device on Windows",
            quoted(name)
        ));
    }
    if cfg!(windows) && name.contains(['<', '>', ':', '"', '|', '?', '*']) {
        return bad(format!(
            "the avatar's path has the name {}, which Windows cannot have",
            quoted(name)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_windows_reads_differently_are_refused() {
        for path in [
            "con.png",
            "CON",
            "a/Aux.jpg",
            "nul.tar.png",
            "NUL .png",
            "com1.png",
            "LPT9.png",
            "COM².png",
            "a/com0",
            "conin$.png",
            "a.png.",
            "a.png ",
            "sub./a.png",
            "sub /a.png",
            ".../a.png",
        ] {
            assert_eq!(
                check(path).unwrap_err().code,
                ProblemCode::BadAvatarPath,
                "{path}"
            );
        }
        for path in [
            "cone.png",
            "com.png",
            "com10.png",
            "aux-1.png",
            "a con.png",
            ".png",
            "a b.png",
            "lpt.png",
            "nul_.png",
            "./a.png",
            "sub/../a.png",
            "é.png",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }
}
