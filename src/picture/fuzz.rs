//! What fuzzing sees of pictures.

use super::cache::seal;
use super::container::{self, Piece};
use super::strip::checksum;
use super::{
    Index, MOST_BYTES, MOST_PIXELS, Picture, examine, examine_with_notes, recognise, strip, thumbnail,
};
use crate::core::value::ImageFormat;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Examines bytes as a picture: it is refused, or of a size in bounds.
///
/// # Panics
/// Where what is promised of [`examine`] does not hold.
pub(crate) fn examined(bytes: &[u8]) {
    let Ok(picture) = examine(bytes) else { return };
    for side in [picture.width, picture.height] {
        assert!((1..=MOST_PIXELS).contains(&side), "{picture:?}");
    }
    assert_eq!(examine(bytes), Ok(picture), "the same again");
    // A whole picture without its second half is none any more, unless what
    // was cut stood behind it.
    let mut longer = bytes.to_owned();
    longer.extend_from_slice(b"behind");
    if let Ok(more) = examine(&longer) {
        assert_eq!(more, picture, "what stands behind changes nothing");
    }
}

/// Makes the small copy: it is refused, or is itself a picture that we take,
/// small, and the same every time.
///
/// # Panics
/// Where what is promised of [`thumbnail()`] does not hold.
pub(crate) fn shrunk(bytes: &[u8]) {
    shrunk_once(bytes);
    if let Some(sound) = with_checksums(bytes) {
        shrunk_once(&sound);
    }
}

/// A PNG with right checksums, which no mutation finds by itself. `None` where
/// they are right already, and for all else.
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

/// Takes away what a picture says beside its pixels: what is left says nothing,
/// shows the same, and nothing more can be taken away.
///
/// # Panics
/// Where it does not.
pub(crate) fn stripped(bytes: &[u8]) {
    stripped_once(bytes);
    if let Some(sound) = with_checksums(bytes) {
        stripped_once(&sound);
    }
}

fn stripped_once(bytes: &[u8]) {
    let whole = examine_with_notes(bytes);
    let Some(silent) = strip(bytes) else { return };
    // A file that needs nothing taken away may be refused later.
    let Ok((picture, told)) = whole else {
        assert_eq!(*silent, *bytes, "only a picture is changed");
        return;
    };
    assert_eq!(
        examine_with_notes(&silent),
        Ok((picture, super::Notes::default())),
        "{told}"
    );
    assert_eq!(
        strip(&silent).as_deref(),
        Some(&*silent),
        "nothing is left to take"
    );
    // Of several notes the first holds, which stands where one belongs; the
    // decoder may take how it is turned from another.
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

/// Reads an index of pictures, as it is and under a right seal: it holds no
/// more than its bytes do, and saved again it is the same.
///
/// # Panics
/// Where it does not.
pub(crate) fn indexed(bytes: &[u8], written: i64) {
    for bytes in [bytes.to_vec(), seal(bytes.to_vec())] {
        let index = Index::parse(&bytes, written);
        let saved = index.to_bytes();
        assert!(index.is_empty() || saved.len() <= bytes.len());
        assert_eq!(Index::parse(&saved, written), index, "written at {written}");
        assert_eq!(Index::parse(&saved, i64::MAX).len(), index.len());
        // Whatever it tells is of a picture that we take, and can be said.
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
