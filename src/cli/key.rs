//! The API key: where it comes from, and whether it can be one. It is never
//! shown, logged, or taken from the command line.
//!
//! It is a [`SecretString`], which wipes its memory when it goes and shows
//! itself to nobody who does not ask for it by name. It cannot be printed, nor
//! compared, in whatever time:
//!
//! ```compile_fail
//! println!("{}", secrecy::SecretString::from("key"));
//! ```
//! ```compile_fail
//! let key = || secrecy::SecretString::from("key");
//! assert!(key() == key());
//! ```
//! ```compile_fail
//! serde_json::to_string(&secrecy::SecretString::from("key")).unwrap();
//! ```
//! ```
//! let key = secrecy::SecretString::from("key");
//! assert!(!format!("{key:?}").contains("key"));
//! fn wipes(_: &impl secrecy::zeroize::ZeroizeOnDrop) {}
//! wipes(&key);
//! ```

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::error::{Code, Error, Result};

/// Where the key comes from. It is read when it is needed, and not before.
#[derive(Debug)]
pub(crate) enum KeySource {
    /// A file; it wins over the environment.
    File(PathBuf),
    /// `WHOP_API_KEY`.
    Variable(SecretString),
    /// Nowhere: none was given, or none is needed.
    Nowhere,
}

impl KeySource {
    /// A file that was named, else the variable's value. The variable is
    /// checked here, where it is at hand; the file when it is read.
    ///
    /// # Errors
    /// The variable is set and cannot be a key. Set but empty is one such
    /// case: a pipeline passes a missing secret on like that.
    pub(crate) fn find(file: Option<PathBuf>, variable: Option<&OsString>) -> Result<Self> {
        match (file, variable) {
            (Some(file), _) => Ok(Self::File(file)),
            (None, None) => Ok(Self::Nowhere),
            (None, Some(value)) => key(value.as_encoded_bytes(), "`WHOP_API_KEY`").map(Self::Variable),
        }
    }

    /// The key. `read` reads a whole file; white space around the key is
    /// dropped.
    ///
    /// # Errors
    /// There is none, its file cannot be read, or it cannot be a key. What it
    /// holds is never told.
    pub(crate) fn load(&self, read: impl FnOnce(&Path) -> io::Result<Vec<u8>>) -> Result<SecretString> {
        match self {
            Self::File(path) => {
                let bytes = read(path).map_err(|cause| {
                    Error::file("read", path, cause)
                        .or_hint("`--api-key-file` names a file that holds the key and nothing else")
                })?;
                key(&bytes, &format!("`{}`", path.display()))
            }
            Self::Variable(key) => Ok(key.clone()),
            Self::Nowhere => Err(Error::new(Code::KeyMissing, "no API key was given").hint(
                "set `WHOP_API_KEY`, or pass `--api-key-file PATH`; to try things out, `--server emulator` needs none",
            )),
        }
    }
}

/// Checks what was given as a key; `place` names where.
fn key(bytes: &[u8], place: &str) -> Result<SecretString> {
    let trimmed = bytes.trim_ascii();
    let wrong = |what: &str| Error::new(Code::KeyMissing, format!("the API key in {place} {what}"));
    if trimmed.is_empty() {
        return Err(wrong("is empty").hint("make a key on Whop's dashboard, under Developer"));
    }
    let quoted = trimmed.first().is_some_and(|b| matches!(b, b'"' | b'\''));
    let odd = trimmed.iter().position(|b| !b.is_ascii_graphic());
    let copy = "give the key alone, as Whop showed it: no quotes, no name, no `Bearer`";
    match (std::str::from_utf8(trimmed), odd) {
        (Ok(text), None) if !quoted => Ok(SecretString::from(text)),
        (_, Some(at)) => {
            Err(wrong(&format!("has a character at place {} that no key has", at + 1)).hint(copy))
        }
        _ => Err(wrong("is in quotes").hint(copy)),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn white_space_around_a_key_is_dropped() {
        let variable = OsString::from(" sesame\r\n");
        let source = KeySource::find(None, Some(&variable)).unwrap();
        let key = source.load(|_| Err(io::Error::other("not read"))).unwrap();
        assert_eq!(key.expose_secret(), "sesame");
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_without_showing_it() {
        for (given, said) in [
            ("", "is empty"),
            ("  \n", "is empty"),
            ("Bearer sesame", "place 7"),
            ("sesame\u{7f}", "place 7"),
            ("ses\u{e9}ame", "place 4"),
            ("\"sesame\"", "in quotes"),
        ] {
            let error = KeySource::find(None, Some(&given.into())).unwrap_err();
            assert_eq!(error.code(), Code::KeyMissing, "{given}");
            let text = format!("{error} {:?}", error.what_to_do());
            assert!(text.contains(said) && !text.contains("sesame"), "{text}");
        }
    }

    #[test]
    fn a_bad_file_is_named() {
        let source = KeySource::File(PathBuf::from("k"));
        let error = source.load(|_| Ok(vec![0xff])).unwrap_err();
        assert!(error.message().contains("`k`"), "{error}");
        let error = source.load(|_| Err(io::Error::other("denied"))).unwrap_err();
        assert_eq!(error.code(), Code::IoFailed);
    }
}
