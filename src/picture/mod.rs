//! Picture files: their format by content, their size, and whether they are
//! complete.
//!
//! Examining decodes no pixel, because decoders are where hostile pictures do
//! harm. The structure of a file (chunks, segments, blocks) is walked to its
//! end, which detects truncated files, and the size is read from the header.
//! Only [`thumbnail()`], for the HTML report, decodes, within limits.

mod cache;
mod colours;
mod container;
mod exif;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod metadata;
mod strip;
mod thumbnail;

use std::fmt;

use crate::core::value::ImageFormat;
pub use cache::PictureCache;
pub(crate) use cache::{PictureFacts, Stamp};
use container::{Flaw, Visit};
pub(crate) use metadata::PictureMetadata;
pub(crate) use strip::strip;
pub(crate) use thumbnail::{Thumbnail, thumbnail};

/// The largest file, in bytes: 5 MB in binary units. Whop documents no limit
/// for a user's picture; the similar account logo has this one
/// ([files](crate::whop_api#files)).
pub(crate) const MOST_BYTES: u64 = 5 * 1024 * 1024;
/// The largest width and height, in pixels.
pub(crate) const MOST_PIXELS: u32 = 4096;

/// The properties of a complete picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// The format, by content.
    pub(crate) format: ImageFormat,
    /// Width in pixels, 1 to [`MOST_PIXELS`].
    pub(crate) width: u32,
    /// Height in pixels, 1 to [`MOST_PIXELS`].
    pub(crate) height: u32,
}

/// Why bytes are not an acceptable picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None of the formats; says what it seems to be instead.
    Foreign(&'static str),
    /// It starts well and ends too early.
    Truncated(ImageFormat),
    /// Its structure is invalid.
    Broken(ImageFormat),
    /// It has no size, or too many pixels on a side.
    Size {
        /// Width in pixels.
        width: u64,
        /// Height in pixels.
        height: u64,
    },
}

impl fmt::Display for Fault {
    /// A phrase about "it".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(what) => write!(f, "it is not a PNG, JPEG, GIF or WebP picture but {what}"),
            Self::Truncated(format) => write!(f, "the {} ends too early", format.name()),
            Self::Broken(format) => write!(f, "the {} is broken", format.name()),
            Self::Size { width, height } => {
                write!(
                    f,
                    "it is {width} × {height} pixels, not 1 to {MOST_PIXELS} a side"
                )
            }
        }
    }
}

/// Recognises a complete picture.
pub(crate) fn examine(bytes: &[u8]) -> Result<Picture, Fault> {
    examine_with(bytes, &mut |_, _| {})
}

/// Recognises a complete picture, and the metadata in it.
pub(crate) fn examine_with_notes(bytes: &[u8]) -> Result<(Picture, PictureMetadata), Fault> {
    let mut notes = PictureMetadata::default();
    let picture = examine_with(bytes, &mut |_, piece| notes.add(piece))?;
    Ok((picture, notes))
}

/// Recognises a complete picture while showing its pieces to a visitor.
fn examine_with<'b>(bytes: &'b [u8], visit: Visit<'_, 'b>) -> Result<Picture, Fault> {
    let format = recognise(bytes).ok_or_else(|| Fault::Foreign(guess(bytes)))?;
    container::walk(bytes, format, visit).map_err(|flaw| match flaw {
        Flaw::Ends => Fault::Truncated(format),
        Flaw::Nonsense => Fault::Broken(format),
    })?;
    let size = imagesize::blob_size(bytes).map_err(|_| Fault::Broken(format))?;
    let (width, height) = (size.width as u64, size.height as u64);
    let side = |pixels: u64| {
        u32::try_from(pixels)
            .ok()
            .filter(|pixels| (1..=MOST_PIXELS).contains(pixels))
    };
    match (side(width), side(height)) {
        (Some(width), Some(height)) => Ok(Picture {
            format,
            width,
            height,
        }),
        _ => Err(Fault::Size { width, height }),
    }
}

/// The format that the first bytes indicate.
fn recognise(bytes: &[u8]) -> Option<ImageFormat> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some(ImageFormat::Png)
    } else if bytes.starts_with(b"\xFF\xD8\xFF") {
        Some(ImageFormat::Jpeg)
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        Some(ImageFormat::Gif)
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some(ImageFormat::Webp)
    } else {
        None
    }
}

/// What else a file might be, for messages only.
fn guess(bytes: &[u8]) -> &'static str {
    let start = &bytes[..bytes.len().min(1024)];
    let text = String::from_utf8_lossy(start);
    let text = text
        .trim_start_matches('\u{feff}')
        .trim_start()
        .to_ascii_lowercase();
    if text.starts_with("version https://git-lfs") {
        "a Git LFS pointer, not the picture itself"
    } else if text.starts_with("<svg") || (text.starts_with("<?xml") && text.contains("<svg")) {
        "an SVG drawing"
    } else if text.starts_with("<!doctype html") || text.starts_with("<html") {
        "a web page"
    } else if start.starts_with(b"BM") {
        "a BMP picture"
    } else if start.starts_with(b"II*\0") || start.starts_with(b"MM\0*") {
        "a TIFF picture"
    } else if start.get(4..12) == Some(b"ftypavif") {
        "an AVIF picture"
    } else if start.get(4..8) == Some(b"ftyp") {
        "a HEIC picture or a video"
    } else if start.starts_with(b"\0\0\x01\0") {
        "an icon file"
    } else if start.starts_with(b"%PDF") {
        "a PDF document"
    } else if !start.is_empty() && !start.contains(&0) && std::str::from_utf8(start).is_ok() {
        "a text"
    } else {
        "an unknown format"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
        let length = (data.len() as u32).to_be_bytes();
        [&length, kind, data, &[0; 4]].concat()
    }

    fn png_of(width: u32, height: u32) -> Vec<u8> {
        let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
        [
            b"\x89PNG\r\n\x1a\n".to_vec(),
            chunk(b"IHDR", &header),
            chunk(b"IDAT", &[1, 2, 3]),
            chunk(b"IEND", &[]),
        ]
        .concat()
    }

    fn jpeg_of(width: u16, height: u16) -> Vec<u8> {
        let [h, w] = [height.to_be_bytes(), width.to_be_bytes()];
        let mut file = b"\xFF\xD8\xFF\xE0\x00\x04JF\xFF\xC0\x00\x0B\x08".to_vec();
        file.extend([h[0], h[1], w[0], w[1], 1, 1, 0x11, 0]);
        file.extend(b"\xFF\xDA\x00\x08\x01\x01\x00\x00\x3F\x00\x12\xFF\x00\x34\xFF\xD0\x56\xFF\xD9");
        file
    }

    fn gif_of(width: u16, height: u16) -> Vec<u8> {
        let mut file = b"GIF89a".to_vec();
        file.extend(width.to_le_bytes());
        file.extend(height.to_le_bytes());
        file.extend(b"\x80\0\0\0\0\0\xFF\xFF\xFF\x21\xF9\x04\0\0\0\0\0");
        file.extend(b"\x2C\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3B");
        file
    }

    fn webp_of(width: u32, height: u32) -> Vec<u8> {
        let bits = (width - 1) | ((height - 1) << 14);
        let data = [&[0x2F][..], &bits.to_le_bytes(), &[0, 0, 0]].concat();
        let chunk = [b"VP8L", &(data.len() as u32).to_le_bytes()[..], &data].concat();
        [
            b"RIFF",
            &(chunk.len() as u32 + 4).to_le_bytes()[..],
            b"WEBP",
            &chunk,
        ]
        .concat()
    }

    #[test]
    fn whole_pictures_are_measured() {
        for (bytes, format) in [
            (png_of(3, 4), ImageFormat::Png),
            (jpeg_of(3, 4), ImageFormat::Jpeg),
            (gif_of(3, 4), ImageFormat::Gif),
            (webp_of(3, 4), ImageFormat::Webp),
        ] {
            let (width, height) = (3, 4);
            assert_eq!(
                examine(&bytes),
                Ok(Picture {
                    format,
                    width,
                    height
                })
            );
        }
    }

    #[test]
    fn every_cut_of_every_format_is_noticed() {
        for bytes in [png_of(3, 4), jpeg_of(3, 4), gif_of(3, 4), webp_of(3, 4)] {
            let format = recognise(&bytes);
            for end in 12..bytes.len() {
                let found = examine(&bytes[..end]);
                assert_eq!(
                    found,
                    Err(Fault::Truncated(format.unwrap())),
                    "{format:?} at {end}"
                );
            }
        }
    }

    #[test]
    fn data_after_the_end_is_accepted_but_wrong_sizes_are_not() {
        for mut bytes in [png_of(4096, 4096), jpeg_of(1, 1), gif_of(1, 1), webp_of(1, 1)] {
            bytes.extend(b"more");
            assert!(examine(&bytes).is_ok(), "{bytes:?}");
        }
        for (bytes, width, height) in [
            (png_of(4097, 1), 4097, 1),
            (png_of(u32::MAX, 1), u64::from(u32::MAX), 1),
            (jpeg_of(0, 9), 0, 9),
            (gif_of(9, 0), 9, 0),
            (webp_of(9, 16_384), 9, 16_384),
        ] {
            assert_eq!(examine(&bytes), Err(Fault::Size { width, height }));
        }
    }

    #[test]
    fn other_things_are_named() {
        let webp_without_picture = b"RIFF\x12\0\0\0WEBPVP8X\x06\0\0\0\0\0\0\0\0\0";
        for (bytes, fault) in [
            (&b"hello"[..], Fault::Foreign("a text")),
            (b"\xEF\xBB\xBF <svg xmlns=''>", Fault::Foreign("an SVG drawing")),
            (b"<?xml version='1.0'?>\n<svg>", Fault::Foreign("an SVG drawing")),
            (
                b"version https://git-lfs.github.com/spec/v1\n",
                Fault::Foreign("a Git LFS pointer, not the picture itself"),
            ),
            (b"\0\0\0\x1cftypavif", Fault::Foreign("an AVIF picture")),
            (b"", Fault::Foreign("an unknown format")),
            (webp_without_picture, Fault::Broken(ImageFormat::Webp)),
            (
                b"\xFF\xD8\xFF\x01\x00\x02\xFF\xD9",
                Fault::Broken(ImageFormat::Jpeg),
            ),
            (b"\xFF\xD8\xFF\xD9", Fault::Broken(ImageFormat::Jpeg)),
        ] {
            assert_eq!(examine(bytes), Err(fault));
        }
    }
}
