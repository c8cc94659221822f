//! What fuzzing sees of the store's inside: bytes instead of files.

use std::path::Path;

use super::{Identity, files, saved};
use crate::core::model::Known;
use crate::core::replay::Entry;
use crate::core::saved::Saved;
use crate::error::Result;

/// Reads a mapping, whoever it belongs to.
///
/// # Errors
/// As [`super::read_mapping`].
pub(crate) fn mapping(bytes: &[u8]) -> Result<(Identity, Known)> {
    let path = Path::new("users.mapping.jsonl");
    let identity = files::mapping_identity(path, bytes)?;
    let known = files::parse_mapping(path, bytes.to_vec(), &identity)?;
    Ok((identity, known))
}

/// Writes a mapping under this generation.
pub(crate) fn write_mapping(identity: &Identity, known: &Known) -> Vec<u8> {
    let mut text = Vec::new();
    files::write_mapping(&mut text, identity, known.generation, known).expect("memory takes everything");
    text
}

/// Reads a journal of this identity.
///
/// # Errors
/// As [`super::load`].
pub(crate) fn journal(bytes: &[u8], identity: &Identity) -> Result<Vec<Entry>> {
    files::parse_journal(Path::new("users.mapping.journal"), bytes, identity)
}

/// Writes a journal of this identity.
pub(crate) fn write_journal(identity: &Identity, entries: &[Entry]) -> Vec<u8> {
    let mut bytes = files::line(&files::JournalHeader::new(identity));
    entries.iter().for_each(|entry| bytes.extend(files::line(entry)));
    bytes
}

/// Reads a saved plan.
///
/// # Errors
/// As [`super::read_plan`].
pub(crate) fn plan(bytes: &[u8]) -> Result<Saved> {
    saved::parse_plan(Path::new("plan.json"), bytes)
}
