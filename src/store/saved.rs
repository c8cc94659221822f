//! Saved plans on the disk. Read as what they are: files that may have come
//! from anywhere.

use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use crate::core::saved::Saved;
use crate::error::{Code, Error, Result};
use crate::fsys::{How, OsDisk};

/// The most bytes a saved plan may have, about half a million users.
pub const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// The document's kind.
const KIND: &str = "saved_plan";

/// What stands around it; read first, since a newer version may have changed
/// the rest.
#[derive(Deserialize)]
struct Head {
    format_version: String,
    kind: String,
}

/// Reads a saved plan.
///
/// # Errors
/// [`Code::PlanUnreadable`] for whatever is none, or too large, or of a newer
/// version; [`Code::IoFailed`].
pub fn read_plan(path: &Path, disk: &OsDisk) -> Result<Saved> {
    let fail = |cause| Error::file("read the plan", path, cause);
    let file = disk.open(path, How::Read).map_err(fail)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
    parse_plan(path, &bytes)
}

pub(super) fn parse_plan(path: &Path, bytes: &[u8]) -> Result<Saved> {
    let unreadable = |why: &str| {
        Error::new(
            Code::PlanUnreadable,
            format!("`{}` is not a saved plan: {why}", path.display()),
        )
        .hint("make one with `whop-sync plan --out FILE`; nothing was changed")
    };
    if bytes.len() as u64 > MOST_BYTES {
        return Err(unreadable(&format!("it has more than {MOST_BYTES} bytes")));
    }
    let head: Head = serde_json::from_slice(bytes)
        .map_err(|cause| unreadable("it is not a saved plan").caused_by(cause))?;
    if head.kind != KIND {
        return Err(unreadable("it is a document of another kind"));
    }
    if !head.format_version.starts_with("1.") {
        return Err(unreadable("it was written by a newer whop-sync"));
    }
    let saved: Saved = serde_json::from_slice(bytes)
        .map_err(|cause| unreadable("it is not a valid saved plan").caused_by(cause))?;
    match saved.is_in_order() {
        true => Ok(saved),
        false => Err(unreadable("it lists users twice or out of order")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plan_is_refused_whatever_it_is() {
        let deep = "[".repeat(100_000);
        let nested = format!(r#"{{"format_version":"1.0","kind":"saved_plan","digest":{deep}"#);
        for (bytes, says) in [
            ("", "not a saved plan"),
            ("{}", "not a saved plan"),
            (&*deep, "not a saved plan"),
            (&*nested, "not a saved plan"),
            (r#"{"format_version":"1.0","kind":"plan"}"#, "another kind"),
            (r#"{"format_version":"2.0","kind":"saved_plan"}"#, "newer"),
            (
                r#"{"format_version":"1.0","kind":"saved_plan"}"#,
                "not a valid saved plan",
            ),
        ] {
            let error = parse_plan(Path::new("p.json"), bytes.as_bytes()).unwrap_err();
            assert_eq!(error.code(), Code::PlanUnreadable);
            assert!(error.message().contains(says), "{error}");
        }
    }
}
