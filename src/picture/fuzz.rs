//! What fuzzing sees of pictures.

use super::{MOST_PIXELS, examine, thumbnail};
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
    let Ok(small) = thumbnail(bytes) else { return };
    let copy = STANDARD.decode(&small.base64).expect("it is base64");
    let picture = examine(&copy).expect("the copy is a whole picture");
    assert!(picture.width <= 128 && picture.height <= 128, "{picture:?}");
    assert_eq!(thumbnail(bytes), Ok(small), "the same again");
}
