//! What fuzzing sees of the manifest's inside: a text instead of files.

use std::path::Path;

use super::chunks;
use super::sources::{Part, Sources};
use super::{Manifest, Memory, Result, from_sources};

/// Reads one text as a manifest that lies in this folder.
///
/// # Errors
/// Every problem it has.
pub(crate) fn load_text(text: &[u8], folder: &Path) -> Result<Manifest> {
    from_sources(Sources::of_text(text, folder), &mut Memory::default())
}

/// One text as the pieces and the whole have it, if it can be cut at all: what
/// was read and every problem, for comparing the two.
pub(crate) fn pieces_and_whole(text: &[u8], length: usize) -> Option<(String, Option<String>)> {
    let part = Part::of_text(text, Path::new("."));
    Some((
        chunks::shown_in_pieces(std::slice::from_ref(&part), length)?,
        chunks::shown_whole(&part),
    ))
}
