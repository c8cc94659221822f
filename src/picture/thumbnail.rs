//! Thumbnails for the report. A picture may be hostile: it is decoded under
//! limits by decoders written in safe Rust, and only pixels are taken from it.
//! No byte of the original reaches the page.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder as _, ImageReader, Limits};

use super::colours::Colours;
use super::{MOST_PIXELS, examine};
use crate::core::value::ImageFormat;

/// The longer side, in pixels: twice the size on the page, for dense screens.
const SIDE: u32 = 128;

/// The memory that decoding may use, in bytes: 4096 × 4096 pixels of 8 bytes.
const MOST_MEMORY: u64 = 128 << 20;

/// From this size in bytes a thumbnail loses its transparency. This bounds the
/// page, because noise hardly compresses.
const LARGE: usize = 12 * 1024;

/// JPEG quality, of 100.
const QUALITY: u8 = 80;

/// A thumbnail: its media type, and its bytes as base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thumbnail {
    /// `image/png` or `image/jpeg`.
    pub(crate) media_type: &'static str,
    /// The file in base64.
    pub(crate) base64: String,
}

/// Makes the thumbnail; of an animated picture, from its first frame.
///
/// # Errors
/// Why there is none, as a phrase for people.
pub(crate) fn thumbnail(bytes: &[u8]) -> Result<Thumbnail, String> {
    encode(&shrunk(whole(bytes)?)).map_err(|_| "it cannot be shown small".to_owned())
}

/// The picture as browsers show it. Colours are converted before scaling, which
/// would otherwise mix the pixels of two pictures in one.
pub(super) fn whole(bytes: &[u8]) -> Result<DynamicImage, String> {
    let picture = examine(bytes).map_err(|fault| fault.to_string())?;
    let decoded = decode(bytes, picture.format).map_err(|_| "it cannot be decoded".to_owned())?;
    let (whole, profile) = decoded;
    let colours = Colours::of(bytes, picture.format, profile)?;
    Ok(colours.applied(whole)?)
}

/// The pixels, upright, and the colour profile.
fn decode(bytes: &[u8], format: ImageFormat) -> image::ImageResult<(DynamicImage, Option<Vec<u8>>)> {
    let format = match format {
        ImageFormat::Png => image::ImageFormat::Png,
        ImageFormat::Jpeg => image::ImageFormat::Jpeg,
        ImageFormat::Gif => image::ImageFormat::Gif,
        ImageFormat::Webp => image::ImageFormat::WebP,
    };
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MOST_PIXELS);
    limits.max_image_height = Some(MOST_PIXELS);
    limits.max_alloc = Some(MOST_MEMORY);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    // Cameras store the orientation as metadata.
    let orientation = decoder.orientation()?;
    let profile = decoder.icc_profile()?;
    limits.reserve(decoder.total_bytes())?;
    let mut whole = DynamicImage::from_decoder(decoder)?;
    whole.apply_orientation(orientation);
    Ok((whole, profile))
}

fn shrunk(whole: DynamicImage) -> DynamicImage {
    if whole.width().max(whole.height()) <= SIDE {
        return whole;
    }
    whole.thumbnail(SIDE, SIDE)
}

/// As JPEG, or as PNG if it has transparency and is small.
fn encode(small: &DynamicImage) -> image::ImageResult<Thumbnail> {
    let rgba = small.to_rgba8();
    if rgba.pixels().any(|pixel| pixel.0[3] < 255) {
        let mut png = Cursor::new(Vec::new());
        rgba.write_to(&mut png, image::ImageFormat::Png)?;
        if png.get_ref().len() <= LARGE {
            return Ok(kept("image/png", png.get_ref()));
        }
    }
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&small.to_rgb8())?;
    Ok(kept("image/jpeg", &jpeg))
}

fn kept(media_type: &'static str, bytes: &[u8]) -> Thumbnail {
    Thumbnail {
        media_type,
        base64: STANDARD.encode(bytes),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the examples are the pictures to try")]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn example(name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/avatars");
        fs::read(folder.join(name)).unwrap()
    }

    /// The thumbnail, decoded as a browser would.
    fn opened(thumbnail: &Thumbnail) -> DynamicImage {
        let bytes = STANDARD.decode(&thumbnail.base64).unwrap();
        let format = image::guess_format(&bytes).unwrap();
        assert_eq!(format.to_mime_type(), thumbnail.media_type);
        image::load_from_memory(&bytes).unwrap()
    }

    #[test]
    fn every_example_becomes_small() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/avatars");
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let small = thumbnail(&bytes).unwrap_or_else(|why| panic!("{path:?}: {why}"));
            let shown = opened(&small);
            assert!(shown.width().max(shown.height()) <= SIDE, "{path:?}");
            assert!(small.base64.len() < 24_000, "{path:?} {}", small.base64.len());
            assert_eq!(small, thumbnail(&bytes).unwrap(), "the same bytes again");
        }
    }

    #[test]
    fn only_pixels_of_the_original_come_through() {
        // A comment chunk with a script, placed after IHDR.
        let png = example("jane.png");
        let note = b"tEXtComment\0<script>alert(1)</script>";
        let mut hostile = png[..33].to_vec();
        hostile.extend((note.len() as u32 - 4).to_be_bytes());
        hostile.extend(note);
        hostile.extend(crc(note).to_be_bytes());
        hostile.extend(&png[33..]);
        hostile.extend(b"<script>alert(2)</script>");
        assert_eq!(thumbnail(&hostile), thumbnail(&png));
    }

    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
                (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg())
            })
        })
    }

    #[test]
    fn transparency_is_kept_while_it_is_cheap() {
        let clear = image::RgbaImage::from_fn(300, 100, |x, _| image::Rgba([255, 0, 0, (x % 2) as u8]));
        let mut png = Cursor::new(Vec::new());
        clear.write_to(&mut png, image::ImageFormat::Png).unwrap();
        let small = thumbnail(png.get_ref()).unwrap();
        assert_eq!(small.media_type, "image/png");
        assert_eq!((opened(&small).width(), opened(&small).height()), (128, 43));
        let mut seed = 1u32;
        let noise = image::RgbaImage::from_fn(128, 128, |_, _| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            image::Rgba(seed.to_be_bytes())
        });
        let mut png = Cursor::new(Vec::new());
        noise.write_to(&mut png, image::ImageFormat::Png).unwrap();
        let small = thumbnail(png.get_ref()).unwrap();
        assert_eq!(small.media_type, "image/jpeg");
        assert!(small.base64.len() < 32_000, "{}", small.base64.len());
    }

    #[test]
    fn cut_and_corrupt_files_give_a_reason_or_a_thumbnail() {
        for name in ["jane.png", "nikos.jpg", "sakura.gif", "layla.webp"] {
            let whole = example(name);
            assert!(thumbnail(&whole[..whole.len() / 2]).is_err(), "{name}");
            let mut seed = 7usize;
            for _ in 0..40 {
                let mut broken = whole.clone();
                for _ in 0..3 {
                    seed = seed
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    let at = (seed >> 33) % broken.len();
                    broken[at] ^= (seed >> 20) as u8;
                }
                if let Ok(small) = thumbnail(&broken) {
                    opened(&small);
                }
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        let mut png = example("jane.png");
        png[16..20].copy_from_slice(&60_000u32.to_be_bytes());
        let why = thumbnail(&png).unwrap_err();
        assert!(why.contains("60000 × 512 pixels"), "{why}");
    }
}
