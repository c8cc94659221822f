//! Entry points for fuzzing the manifest: a text instead of files.

use std::path::Path;

use super::chunks;
use super::sources::{Part, Sources};
use super::{Manifest, Memory, Result, from_sources};

/// Reads a text as a manifest in this folder.
///
/// # Errors
/// Every problem it has.
pub(crate) fn load_text(text: &[u8], folder: &Path) -> Result<Manifest> {
    from_sources(Sources::of_text(text, folder), &mut Memory::default())
}

/// One text as read in chunks and as a whole, if it can be cut at all: the
/// values and every problem, for comparison.
pub(crate) fn pieces_and_whole(text: &[u8], length: usize) -> Option<(String, Option<String>)> {
    let part = Part::of_text(text, Path::new("."));
    Some((
        chunks::shown_in_pieces(std::slice::from_ref(&part), length)?,
        chunks::shown_whole(&part),
    ))
}
