//! Remembers facts about pictures, so that unchanged ones are not read again.
//! Like git's index, it identifies a file by its metadata in the file system.
//!
//! The cache is not trusted: if it is damaged, of another version or wrong,
//! nothing worse happens than reading more, because bytes are read and hashed
//! again before they are sent.

use std::collections::BTreeMap;

use super::{MOST_BYTES, MOST_PIXELS, Picture, PictureMetadata};
use crate::core::digest::Digest;
use crate::core::value::ImageFormat;

/// The first bytes of the file, including the format version.
const MAGIC: &[u8; 24] = b"whop-sync pictures 1\n\0\0\0";
/// The length of a digest in bytes.
const DIGEST: usize = 32;
/// The length of an entry in bytes.
const ENTRY: usize = 5 * 8 + 2 + 2 * 2 + 2 + 8 + DIGEST;

/// How much older than the cache a file must be, in nanoseconds. Within one
/// tick of the clock a file can change twice and look the same; the coarsest
/// file systems tick every two seconds.
const RACY: i64 = 2_000_000_000;

/// The file metadata that changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp {
    /// The device.
    pub(crate) device: u64,
    /// The inode number.
    pub(crate) inode: u64,
    /// Its size in bytes.
    pub(crate) bytes: u64,
    /// The modification time, in nanoseconds since 1970. Anyone may set it.
    pub(crate) modified: i64,
    /// The change time, which nobody can set.
    pub(crate) changed: i64,
}

/// What is known about a file that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PictureFacts {
    /// What picture it is.
    pub(crate) picture: Picture,
    /// The metadata that it contains.
    pub(crate) notes: PictureMetadata,
    /// The digest of the bytes to send.
    pub(crate) digest: Digest,
    /// The number of those bytes.
    pub(crate) bytes: u64,
}

/// Facts about pictures, by file metadata and by whether the picture was
/// stripped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PictureCache {
    entries: BTreeMap<(Stamp, bool), PictureFacts>,
}

impl PictureCache {
    /// The facts about a file, if known.
    pub(crate) fn get(&self, stamp: Stamp, stripped: bool) -> Option<PictureFacts> {
        self.entries.get(&(stamp, stripped)).copied()
    }

    /// Remembers a file that was read after `now`, in nanoseconds since 1970,
    /// unless it is so recent that it might change unnoticed.
    pub(crate) fn keep(&mut self, stamp: Stamp, stripped: bool, facts: PictureFacts, now: i64) {
        if is_settled(&stamp, now) {
            self.entries.insert((stamp, stripped), facts);
        }
    }

    /// The number of known files.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no file is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Parses a cache that was written at this time, in nanoseconds since 1970.
    /// Entries of files that are not older are dropped. If the bytes are not
    /// what [`PictureCache::to_bytes`] wrote, the result is empty.
    pub fn parse(bytes: &[u8], written: i64) -> Self {
        Self::entries(bytes, written).unwrap_or_default()
    }

    fn entries(bytes: &[u8], written: i64) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
        if Digest::of(body).as_bytes() != sum {
            return None;
        }
        let rows = body.strip_prefix(MAGIC)?;
        let mut entries = BTreeMap::new();
        for row in rows.chunks(ENTRY) {
            let (stamp, stripped, facts) = read(row)?;
            if is_settled(&stamp, written) {
                entries.insert((stamp, stripped), facts);
            }
        }
        Some(Self { entries })
    }

    /// The cache as bytes: equal caches give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MAGIC.len() + self.entries.len() * ENTRY + DIGEST);
        bytes.extend(MAGIC);
        for ((stamp, stripped), facts) in &self.entries {
            write(&mut bytes, stamp, *stripped, facts);
        }
        seal(bytes)
    }

    /// All facts, for fuzzing.
    #[cfg(any(test, fuzzing))]
    pub(super) fn facts(&self) -> impl Iterator<Item = &PictureFacts> {
        self.entries.values()
    }
}

/// Appends the digest, so that damage is detected.
pub(super) fn seal(mut body: Vec<u8>) -> Vec<u8> {
    let digest = Digest::of(&body);
    body.extend(digest.as_bytes());
    body
}

/// Whether a file is older than a time by more than a tick of any clock.
fn is_settled(stamp: &Stamp, time: i64) -> bool {
    stamp.modified.max(stamp.changed) < time.saturating_sub(RACY)
}

/// The formats, in the order of their numbers in the file.
const FORMATS: [ImageFormat; 4] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::Gif,
    ImageFormat::Webp,
];

/// Writes one entry.
fn write(bytes: &mut Vec<u8>, stamp: &Stamp, stripped: bool, facts: &PictureFacts) {
    let Stamp {
        device,
        inode,
        bytes: size,
        modified,
        changed,
    } = stamp;
    let PictureFacts {
        picture: Picture {
            format,
            width,
            height,
        },
        notes,
        digest,
        bytes: sent,
    } = facts;
    for number in [*device, *inode, *size, *modified as u64, *changed as u64] {
        bytes.extend(number.to_le_bytes());
    }
    let format = FORMATS
        .iter()
        .position(|known| known == format)
        .unwrap_or_default();
    bytes.extend([u8::from(stripped), format as u8]);
    // At most 4096, so it fits.
    bytes.extend((*width as u16).to_le_bytes());
    bytes.extend((*height as u16).to_le_bytes());
    bytes.extend(notes.to_bits().to_le_bytes());
    bytes.extend(sent.to_le_bytes());
    bytes.extend(digest.as_bytes());
}

/// Reads one entry; `None` if it could not describe a picture.
fn read(row: &[u8]) -> Option<(Stamp, bool, PictureFacts)> {
    let mut rest = row;
    let mut number = |length: usize| {
        let (taken, left) = rest.split_at_checked(length)?;
        rest = left;
        Some(
            taken
                .iter()
                .rev()
                .fold(0u64, |n, byte| (n << 8) | u64::from(*byte)),
        )
    };
    let stamp = Stamp {
        device: number(8)?,
        inode: number(8)?,
        bytes: number(8)?,
        modified: number(8)? as i64,
        changed: number(8)? as i64,
    };
    let stripped = match number(1)? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let format = *FORMATS.get(number(1)? as usize)?;
    let mut side = || Some(number(2)? as u32).filter(|side| (1..=MOST_PIXELS).contains(side));
    let picture = Picture {
        format,
        width: side()?,
        height: side()?,
    };
    let notes = PictureMetadata::from_bits(number(2)? as u16)?;
    let bytes = number(8).filter(|bytes| *bytes <= MOST_BYTES)?;
    let digest = Digest::from_bytes(rest.try_into().ok()?);
    let facts = PictureFacts {
        picture,
        notes,
        digest,
        bytes,
    };
    Some((stamp, stripped, facts))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn stamp(inode: u64, modified: i64, changed: i64) -> Stamp {
        Stamp {
            device: 7,
            inode,
            bytes: 50_000,
            modified,
            changed,
        }
    }

    fn facts(content: &str) -> PictureFacts {
        PictureFacts {
            picture: Picture {
                format: ImageFormat::Gif,
                width: 4096,
                height: 1,
            },
            notes: PictureMetadata::from_bits(0x101).unwrap(),
            digest: Digest::of(content.as_bytes()),
            bytes: 49_000,
        }
    }

    fn index() -> PictureCache {
        let mut index = PictureCache::default();
        for inode in 0..50 {
            index.keep(stamp(inode, SECOND, -3), inode % 2 == 0, facts("a"), 100 * SECOND);
        }
        index
    }

    #[test]
    fn facts_are_returned_only_for_the_same_file() {
        let index = index();
        assert_eq!(PictureCache::parse(&index.to_bytes(), 100 * SECOND), index);
        let is = stamp(2, SECOND, -3);
        assert_eq!(index.get(is, true), Some(facts("a")));
        for other in [
            Stamp { device: 8, ..is },
            Stamp { inode: 51, ..is },
            Stamp { bytes: 50_001, ..is },
            Stamp {
                modified: SECOND + 1,
                ..is
            },
            Stamp { changed: -2, ..is },
        ] {
            assert_eq!(index.get(other, true), None, "{other:?}");
        }
        assert_eq!(index.get(is, false), None);
    }

    #[test]
    fn a_file_as_recent_as_the_cache_is_not_trusted() {
        let now = 100 * SECOND;
        for (modified, changed, kept) in [
            (now - 3 * SECOND, 0, true),
            (0, now - 3 * SECOND, true),
            (now - 2 * SECOND, 0, false),
            (0, now - 2 * SECOND, false),
            (now, 0, false),
            // In the future, as a broken clock or an archive may set it.
            (now + 999 * SECOND, 0, false),
            (i64::MAX, i64::MIN, false),
        ] {
            let stamp = stamp(1, modified, changed);
            let mut index = PictureCache::default();
            index.keep(stamp, false, facts("a"), now);
            assert_eq!(index.len(), usize::from(kept), "{stamp:?}");
            // Even if it was kept later than it was written.
            index.keep(stamp, false, facts("a"), i64::MAX);
            let read = PictureCache::parse(&index.to_bytes(), now);
            assert_eq!(read.get(stamp, false).is_some(), kept, "{stamp:?}");
        }
    }

    #[test]
    fn a_damaged_or_foreign_cache_is_empty() {
        let whole = index().to_bytes();
        for end in 0..whole.len() {
            assert!(PictureCache::parse(&whole[..end], i64::MAX).is_empty(), "{end}");
        }
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 1;
            assert!(PictureCache::parse(&broken, i64::MAX).is_empty(), "{at}");
        }
        // Sealed, but of another version or with half an entry.
        let body = &whole[..whole.len() - DIGEST];
        let newer = [b"whop-sync pictures 2", &body[20..]].concat();
        // Values that no picture has.
        let with = |at: usize, bytes: &[u8]| {
            let mut body = body.to_vec();
            body[MAGIC.len() + at..][..bytes.len()].copy_from_slice(bytes);
            body
        };
        for body in [
            with(40, &[2]),
            with(41, &[4]),
            with(42, &[0, 0]),
            with(44, &[1, 16]),
            with(46, &[0x80, 0]),
            with(48, &[0, 0, 0, 1]),
            newer,
            body[..body.len() - 1].to_vec(),
            Vec::new(),
            b"PNG".to_vec(),
        ] {
            assert!(PictureCache::parse(&seal(body), i64::MAX).is_empty());
        }
        assert!(!PictureCache::parse(&seal(body.to_vec()), i64::MAX).is_empty());
    }
}
