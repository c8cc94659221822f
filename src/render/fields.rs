//! An action's fields, and a picture as text.

pub(crate) use crate::core::fields::{Field, Value, of};
use crate::core::model::Avatar;

/// A picture in one line: digest, size, pixels, format. Its path is foreign
/// and left to the caller.
pub(crate) fn picture(avatar: &Avatar) -> String {
    let Avatar {
        path: _,
        part: _,
        digest,
        format,
        bytes,
        width,
        height,
    } = avatar;
    let (digest, size) = (digest.short(), super::messages::size(*bytes));
    format!("{digest} {size} {width}×{height} {}", format.name())
}
