//! Entry points for fuzzing pictures.

use super::cache::seal;
use super::container::{self, Piece};
use super::strip::checksum;
use super::{
    MOST_BYTES, MOST_PIXELS, Picture, PictureCache, examine, examine_with_notes, recognise, strip, thumbnail,
};
use crate::core::value::ImageFormat;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Examines bytes as a picture: they are refused, or their size is within
/// bounds.
///
/// # Panics
/// If a promise of [`examine`] is broken.
pub(crate) fn examined(bytes: &[u8]) {
    let Ok(picture) = examine(bytes) else { return };
    for side in [picture.width, picture.height] {
        assert!((1..=MOST_PIXELS).contains(&side), "{picture:?}");
    }
    assert_eq!(examine(bytes), Ok(picture), "the same again");
    // Without its second half a picture is not whole any more, unless only data
    // after its end was cut.
    let mut longer = bytes.to_owned();
    longer.extend_from_slice(b"after");
    if let Ok(more) = examine(&longer) {
        assert_eq!(more, picture, "data after the end changes nothing");
    }
}

/// Makes a thumbnail: the picture is refused, or the thumbnail is a valid,
/// small picture and the same every time.
///
/// # Panics
/// If a promise of [`thumbnail()`] is broken.
pub(crate) fn shrunk(bytes: &[u8]) {
    shrunk_once(bytes);
    if let Some(sound) = with_checksums(bytes) {
        shrunk_once(&sound);
    }
}

/// A PNG with correct checksums, which mutations would not find. `None` if they
/// are correct already, and for other formats.
fn with_checksums(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut sound = bytes.to_owned();
    let mut at = 8;
    if recognise(bytes) != Some(ImageFormat::Png) {
        return None;
    }
    while let Some(length) = sound.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        let end = at + 8 + u32::from_be_bytes(*length) as usize;
        let Some(content) = sound.get(at + 4..end) else {
            break;
        };
        let sum = checksum(content).to_be_bytes();
        let Some(place) = sound.get_mut(end..end + 4) else {
            break;
        };
        place.copy_from_slice(&sum);
        at = end + 4;
    }
    (sound != bytes).then_some(sound)
}

fn shrunk_once(bytes: &[u8]) {
    let Ok(small) = thumbnail(bytes) else { return };
    let copy = STANDARD.decode(&small.base64).expect("it is base64");
    let picture = examine(&copy).expect("the copy is a whole picture");
    assert!(picture.width <= 128 && picture.height <= 128, "{picture:?}");
    assert_eq!(thumbnail(bytes), Ok(small), "the same again");
}

/// Strips metadata: the result has none, looks the same, and cannot be stripped
/// further.
///
/// # Panics
/// If that is not so.
pub(crate) fn stripped(bytes: &[u8]) {
    stripped_once(bytes);
    if let Some(sound) = with_checksums(bytes) {
        stripped_once(&sound);
    }
}

fn stripped_once(bytes: &[u8]) {
    let whole = examine_with_notes(bytes);
    let Some(silent) = strip(bytes) else { return };
    // A file that needs no stripping may be refused later.
    let Ok((picture, told)) = whole else {
        assert_eq!(*silent, *bytes, "only a picture is changed");
        return;
    };
    assert_eq!(
        examine_with_notes(&silent),
        Ok((picture, super::PictureMetadata::default())),
        "{told}"
    );
    assert_eq!(
        strip(&silent).as_deref(),
        Some(&*silent),
        "nothing is left to remove"
    );
    // The first of several EXIF blocks holds if it is in its proper position;
    // the decoder may take the orientation from another.
    if exif_pieces(bytes, picture.format) < 2
        && let Ok(small) = thumbnail(bytes)
    {
        assert_eq!(thumbnail(&silent), Ok(small), "it shows the same");
    }
}

fn exif_pieces(bytes: &[u8], format: ImageFormat) -> usize {
    let mut count = 0;
    let whole = container::walk(bytes, format, &mut |_, piece| {
        count += usize::from(matches!(piece, Piece::Exif(_)));
    });
    assert!(whole.is_ok(), "it was examined");
    count
}

/// Reads a picture cache, as it is and with a correct seal: it contains no more
/// than its bytes do, and is the same when saved again.
///
/// # Panics
/// If that is not so.
pub(crate) fn indexed(bytes: &[u8], written: i64) {
    for bytes in [bytes.to_vec(), seal(bytes.to_vec())] {
        let index = PictureCache::parse(&bytes, written);
        let saved = index.to_bytes();
        assert!(index.is_empty() || saved.len() <= bytes.len());
        assert_eq!(
            PictureCache::parse(&saved, written),
            index,
            "written at {written}"
        );
        assert_eq!(PictureCache::parse(&saved, i64::MAX).len(), index.len());
        // Every entry describes a picture that we accept and can be displayed.
        for facts in index.facts() {
            let Picture { width, height, .. } = facts.picture;
            assert!(
                width.min(height) >= 1 && width.max(height) <= MOST_PIXELS,
                "{facts:?}"
            );
            assert!(facts.bytes <= MOST_BYTES, "{facts:?}");
            assert!(
                facts.notes.is_empty() || !facts.notes.to_string().is_empty(),
                "{facts:?}"
            );
        }
    }
}
