//! Removes metadata from pictures.
//!
//! The file is copied without the pieces that hold metadata. No pixel is
//! decoded, and all other bytes are kept, except for the sizes and flags that
//! announce what was removed.

use std::borrow::Cow;

use super::container::{self, Piece};
use super::exif::{self, Orientation};
use super::{examine_with_notes, recognise};
use crate::core::value::ImageFormat;

/// The file without metadata of any kind and without data after its end.
/// Orientation, colours and animation are kept. Borrowed if there is nothing to
/// remove.
///
/// `None` if the file is not a picture that can be stripped.
pub(crate) fn strip(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    let format = recognise(bytes)?;
    let mut kept = Vec::new();
    let mut first = true;
    let mut same = true;
    container::walk(bytes, format, &mut |whole, piece| match piece {
        Piece::Picture => kept.extend_from_slice(whole),
        Piece::Exif(exif) => {
            same = false;
            // Readers ignore a chunk with a wrong checksum.
            let holds = first && (format != ImageFormat::Png || is_sound(whole));
            let turned = exif::read(exif).and_then(|exif| exif.turned).filter(|_| holds);
            first &= !holds;
            if let Some(turned) = turned {
                let name = whole.len().checked_sub(exif.len() + 6);
                let name = name.and_then(|at| whole.get(at..at + 6));
                turn(&mut kept, format, turned, name.unwrap_or(b"Exif\0\0"));
            }
        }
        _ => same = false,
    })
    .ok()?;
    if same {
        return Some(Cow::Borrowed(bytes));
    }
    if format == ImageFormat::Webp {
        announce(&mut kept)?;
    }
    // What is sent must be the same picture, without metadata.
    let (before, _) = examine_with_notes(bytes).ok()?;
    let (after, notes) = examine_with_notes(&kept).ok()?;
    (before == after && notes.is_empty()).then_some(Cow::Owned(kept))
}

/// Adds EXIF with only the orientation, in JPEG under its original name:
/// readers differ about the last byte of that name.
fn turn(kept: &mut Vec<u8>, format: ImageFormat, turned: Orientation, name: &[u8]) {
    let exif = exif::only_turned(turned);
    let length = exif.len() as u32;
    match format {
        ImageFormat::Jpeg => {
            kept.extend([0xFF, 0xE1]);
            kept.extend((length as u16 + 8).to_be_bytes());
            kept.extend(name);
            kept.extend(exif);
        }
        ImageFormat::Png => {
            let chunk = [b"eXIf", &*exif].concat();
            kept.extend(length.to_be_bytes());
            kept.extend(&chunk);
            kept.extend(checksum(&chunk).to_be_bytes());
        }
        ImageFormat::Webp => {
            kept.extend(b"EXIF");
            kept.extend(length.to_le_bytes());
            kept.extend(exif);
        }
        // GIF has no EXIF.
        ImageFormat::Gif => {}
    }
}

/// Corrects what a WebP file announces: its size, and whether it has EXIF or
/// XMP (RFC 9649 §2.7).
fn announce(kept: &mut [u8]) -> Option<()> {
    let size = u32::try_from(kept.len()).ok()?.checked_sub(8)?;
    kept.get_mut(4..8)?.copy_from_slice(&size.to_le_bytes());
    if kept.get(12..16)? == b"VP8X" {
        let mut exif = false;
        container::walk(kept, ImageFormat::Webp, &mut |_, piece| {
            exif |= matches!(piece, Piece::Exif(_));
        })
        .ok()?;
        let flags = kept.get_mut(20)?;
        *flags &= !0x04;
        if !exif {
            *flags &= !0x08;
        }
    }
    Some(())
}

/// Whether a whole PNG chunk ends with its correct checksum.
fn is_sound(chunk: &[u8]) -> bool {
    let parts = chunk.get(4..).and_then(|rest| rest.split_last_chunk());
    parts.is_some_and(|(content, sum)| checksum(content).to_be_bytes() == *sum)
}

/// The checksum of a PNG chunk (PNG specification, annex D).
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageDecoder as _, ImageFormat as Decoded, ImageReader, Rgb, RgbImage};

    use super::*;
    use crate::picture::{PictureMetadata, examine};

    /// A picture that looks different in every orientation.
    fn pixels() -> DynamicImage {
        RgbImage::from_fn(17, 9, |x, y| {
            Rgb([(x * 15) as u8, (y * 28) as u8, ((x * y) % 256) as u8])
        })
        .into()
    }

    fn encoded(format: Decoded) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        pixels().write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    /// What people see: decoded and oriented.
    fn seen(bytes: &[u8]) -> DynamicImage {
        let reader = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .unwrap();
        let mut decoder = reader.into_decoder().unwrap();
        let orientation = decoder.orientation().unwrap();
        let mut image = DynamicImage::from_decoder(decoder).unwrap();
        image.apply_orientation(orientation);
        image
    }

    /// EXIF with this orientation, an artist and a place.
    fn tiff(little: bool, orientation: u16) -> Vec<u8> {
        let short = |n: u16| if little { n.to_le_bytes() } else { n.to_be_bytes() };
        let long = |n: u32| if little { n.to_le_bytes() } else { n.to_be_bytes() };
        let field = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
            [&short(tag)[..], &short(kind), &long(count), &value].concat()
        };
        let [a, b] = short(orientation);
        [
            if little { b"II".to_vec() } else { b"MM".to_vec() },
            short(42).to_vec(),
            long(8).to_vec(),
            short(3).to_vec(),
            field(0x0112, 3, 1, [a, b, 0, 0]),
            field(0x013B, 2, 4, *b"Ann\0"),
            field(0x8825, 4, 1, long(50)),
            long(0).to_vec(),
            short(1).to_vec(),
            field(2, 5, 1, long(68)),
            long(0).to_vec(),
            long(47).to_vec(),
            long(1).to_vec(),
        ]
        .concat()
    }

    fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
        let length = (content.len() as u16 + 2).to_be_bytes();
        [&[0xFF, marker], &length[..], content].concat()
    }

    fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let body = [&kind[..], content].concat();
        let length = (content.len() as u32).to_be_bytes();
        [&length[..], &body, &checksum(&body).to_be_bytes()].concat()
    }

    fn riff(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let pad = &[0][..content.len() % 2];
        [&kind[..], &(content.len() as u32).to_le_bytes(), content, pad].concat()
    }

    /// A JPEG with these segments after its first.
    fn jpeg(notes: &[u8]) -> Vec<u8> {
        let file = encoded(Decoded::Jpeg);
        let first = 4 + usize::from(file[5]);
        [&file[..first], notes, &file[first..]].concat()
    }

    /// As phones write it, with the metadata first.
    fn jpeg_without_head(notes: &[u8]) -> Vec<u8> {
        let file = jpeg(b"");
        let first = 4 + usize::from(file[5]);
        [&file[..2], notes, &file[first..]].concat()
    }

    /// A PNG with these chunks after its header.
    fn png(notes: &[u8]) -> Vec<u8> {
        let file = encoded(Decoded::Png);
        [&file[..33], notes, &file[33..]].concat()
    }

    /// A WebP with features, and these chunks at its end.
    fn webp(flags: u8, notes: &[u8]) -> Vec<u8> {
        let simple = encoded(Decoded::WebP);
        let head = riff(b"VP8X", &[flags, 0, 0, 0, 16, 0, 0, 8, 0, 0]);
        let body = [b"WEBP", &head[..], &simple[12..], notes].concat();
        [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat()
    }

    /// A GIF with these extensions before its picture.
    fn gif(notes: &[u8]) -> Vec<u8> {
        let file = encoded(Decoded::Gif);
        let colors = if file[10] & 0x80 != 0 {
            3 << ((file[10] & 7) + 1)
        } else {
            0
        };
        let (head, rest) = file.split_at(13 + colors);
        [head, notes, rest].concat()
    }

    fn notes(bytes: &[u8]) -> PictureMetadata {
        examine_with_notes(bytes).unwrap().1
    }

    fn stripped(bytes: &[u8]) -> Vec<u8> {
        strip(bytes).unwrap().into_owned()
    }

    fn holds(bytes: &[u8], what: &[u8]) -> bool {
        bytes.windows(what.len()).any(|window| window == what)
    }

    #[test]
    fn stripping_keeps_the_orientation_only() {
        for orientation in 0..=9 {
            for little in [true, false] {
                let exif = tiff(little, orientation);
                let named = [NAME, &exif[..]].concat();
                for (what, file) in [
                    ("jpeg", jpeg(&segment(0xE1, &named))),
                    ("jpeg of a phone", jpeg_without_head(&segment(0xE1, &named))),
                    ("png", png(&chunk(b"eXIf", &exif))),
                    ("webp", webp(0x08, &riff(b"EXIF", &exif))),
                    ("webp, named", webp(0x08, &riff(b"EXIF", &named))),
                ] {
                    let case = format!("{what} {orientation} {little}");
                    assert!(notes(&file).tell_place(), "{case}");
                    assert!(holds(&file, b"Ann"), "{case}");
                    let silent = stripped(&file);
                    assert!(notes(&silent).is_empty(), "{case}");
                    assert!(
                        !holds(&silent, b"Ann") && !holds(&silent, &tiff(little, 1)[50..]),
                        "{case}"
                    );
                    assert_eq!(seen(&file), seen(&silent), "{case}");
                    assert_eq!(stripped(&silent), silent, "{case}: once is enough");
                    let turned = (2..=8).contains(&orientation);
                    let left = file.len() - silent.len();
                    let least = exif.len() - 26;
                    assert_eq!(turned, left == least, "{case}: {left} bytes less, {least} turned");
                }
            }
        }
        // The test distinguishes the orientations.
        let turned = |orientation| seen(&jpeg(&segment(0xE1, &[NAME, &tiff(true, orientation)].concat())));
        for orientation in 2..=8 {
            assert_ne!(turned(1), turned(orientation), "{orientation}");
        }
    }

    const NAME: &[u8] = b"Exif\0\0";

    #[test]
    fn metadata_of_every_kind_is_named_and_removed_exactly() {
        let xmp = b"<x:xmpmeta><rdf exif:GPSLatitude='47,22N'/><dc:creator>Ann</dc:creator></x:xmpmeta>";
        let iptc = [
            &b"Photoshop 3.0\08BIM\x04\x04\0\0\0\0\0\x08"[..],
            b"\x1C\x02\x50\0\x03Ann",
        ]
        .concat();
        let place = "where it was taken";
        let in_xmp = "where it was taken and who made it (in XMP)";
        let xmp_packet = [&b"http://ns.adobe.com/xap/1.0/\0"[..], xmp].concat();
        let itxt = [&b"XML:com.adobe.xmp\0\0\0\0\0"[..], xmp].concat();
        let gif_xmp = [b"\x21\xFF\x0BXMP DataXMP\x20", &[b'G'; 32][..], b"\x08GPSLati \0"].concat();
        let comment = "what someone wrote about it";
        let cases = [
            (jpeg(&segment(0xE1, &xmp_packet)), jpeg(b""), in_xmp),
            (jpeg(&segment(0xED, &iptc)), jpeg(b""), "who made it (in IPTC)"),
            (jpeg(&segment(0xFE, b"for Ann")), jpeg(b""), comment),
            (jpeg(&segment(0xFE, b"CREATOR: gd-jpeg v1.0")), jpeg(b""), ""),
            (jpeg(&segment(0xEB, b"JP\0\x01jumb")), jpeg(b""), ""),
            ([jpeg(b""), jpeg(b"")].concat(), jpeg(b""), "what follows its end"),
            ([jpeg(b""), b"\0\0\n".to_vec()].concat(), jpeg(b""), ""),
            (
                jpeg(&segment(0xE1, b"Exif\0\0nonsense")),
                jpeg(b""),
                "something that cannot be read (in EXIF)",
            ),
            (png(&chunk(b"iTXt", &itxt)), png(b""), in_xmp),
            (png(&chunk(b"tEXt", b"Author\0Ann")), png(b""), comment),
            (png(&chunk(b"zTXt", b"Comment\0\0x")), png(b""), comment),
            (png(&chunk(b"tEXt", b"Software\0gimp")), png(b""), ""),
            (
                png(&chunk(b"tEXt", b"Raw profile type exif\0\n")),
                png(b""),
                "something that cannot be read",
            ),
            (png(&chunk(b"tIME", b"\x07\xE9\x01\x01\0\0\0")), png(b""), ""),
            (
                [png(b""), b"<script>".to_vec()].concat(),
                png(b""),
                "what follows its end",
            ),
            (webp(0x04, &riff(b"XMP ", xmp)), webp(0, b""), in_xmp),
            (webp(0, &riff(b"note", b"Ann")), webp(0, b""), ""),
            (
                webp(
                    0x0C,
                    &[riff(b"EXIF", &tiff(true, 1)), riff(b"XMP ", b"<x/>")].concat(),
                ),
                webp(0, b""),
                place,
            ),
            (gif(b"\x21\xFE\x07for Ann\0"), gif(b""), comment),
            (gif(&gif_xmp), gif(b""), "where it was taken (in XMP)"),
            (gif(b"\x21\xFF\x0BSOMETHING10\x01x\0"), gif(b""), ""),
        ];
        for (n, (file, clean, told)) in cases.iter().enumerate() {
            let said = notes(file).to_string();
            assert!(
                said.starts_with(told) && told.is_empty() == said.is_empty(),
                "{n}: {said}"
            );
            assert_eq!(&stripped(file), clean, "{n}: {told}");
            assert_eq!(seen(file), seen(clean), "{n}");
            assert!(matches!(strip(clean), Some(Cow::Borrowed(_))), "{n}");
        }
    }

    #[test]
    fn colours_and_animation_are_kept() {
        for file in [
            jpeg(&segment(0xE2, b"ICC_PROFILE\0\x01\x01colours")),
            jpeg(&segment(0xEE, b"Adobe\0\x64\0\0\0\0\0")),
            png(&chunk(b"gAMA", &[0, 0, 0xB1, 0x8F])),
            png(&[chunk(b"pHYs", &[0; 9]), chunk(b"sRGB", &[0])].concat()),
            gif(b"\x21\xFF\x0BNETSCAPE2.0\x03\x01\0\0\0"),
            webp(0, b""),
        ] {
            assert!(matches!(strip(&file), Some(Cow::Borrowed(_))));
            assert!(notes(&file).is_empty());
        }
    }

    #[test]
    fn cameras_and_thumbnails_are_named_and_blanks_are_not() {
        let field = |tag: u16, kind: u16, count: u32, value: u32| {
            let [a, b, c, d] = value.to_le_bytes();
            [
                &tag.to_le_bytes()[..],
                &kind.to_le_bytes(),
                &count.to_le_bytes(),
                &[a, b, c, d],
            ]
            .concat()
        };
        let ifd = |fields: &[Vec<u8>], next: u32| {
            [
                &(fields.len() as u16).to_le_bytes()[..],
                &fields.concat(),
                &next.to_le_bytes(),
            ]
            .concat()
        };
        let blank = u32::from_le_bytes(*b"  \0\0");
        let word = u32::from_le_bytes(*b"N7\0\0");
        let file = |own: Vec<u8>, next: u32, rest: Vec<u8>| {
            let head = b"II*\0\x08\0\0\0".to_vec();
            [head, ifd(&[field(0x8769, 4, 1, 26)], next), own, rest].concat()
        };
        let second = ifd(&[field(0x0201, 4, 1, 99)], 0);
        for (exif, told) in [
            (
                file(ifd(&[field(0xA431, 2, 3, word)], 0), 0, vec![]),
                "which camera took it (in EXIF)",
            ),
            (
                file(ifd(&[field(0xA430, 2, 3, word)], 0), 0, vec![]),
                "who made it (in EXIF)",
            ),
            (file(ifd(&[field(0xA431, 2, 4, blank)], 0), 0, vec![]), ""),
            (
                file(ifd(&[], 0), 32, second),
                "how it looked before it was edited (a small copy) (in EXIF)",
            ),
            // Directories that point to themselves or far away, with endless
            // fields.
            (file(ifd(&[field(0x8769, 4, 1, 26)], 26), 8, vec![]), ""),
            (file(vec![0xFF; 40], u32::MAX, vec![]), ""),
            (
                file(ifd(&[field(0x927C, 7, u32::MAX, u32::MAX)], 0), 0, vec![]),
                "",
            ),
            (b"II*\0\xFF\xFF\xFF\xFF".to_vec(), ""),
        ] {
            let file = jpeg(&segment(0xE1, &[NAME, &exif].concat()));
            assert_eq!(notes(&file).to_string(), told, "{exif:02x?}");
            assert_eq!(stripped(&file), jpeg(b""));
        }
    }

    /// Readers ignore such a chunk, so it must not set the orientation; a valid
    /// one may follow.
    #[test]
    fn a_damaged_png_chunk_does_not_set_the_orientation() {
        let whole = chunk(b"eXIf", &tiff(false, 6));
        let mut damaged = chunk(b"eXIf", &tiff(false, 3));
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(stripped(&png(&damaged)), png(b""));
        let alone = stripped(&png(&whole));
        assert_ne!(alone, png(b""));
        assert_eq!(stripped(&png(&[damaged, whole].concat())), alone);
    }

    #[test]
    fn cut_and_corrupt_files_are_stripped_or_refused() {
        let exif = [NAME, &tiff(false, 6)].concat();
        let files = [
            jpeg(&segment(0xE1, &exif)),
            png(&chunk(b"eXIf", &exif[6..])),
            webp(0x0C, &[riff(b"EXIF", &exif), riff(b"XMP ", b"<GPSL>")].concat()),
            gif(b"\x21\xFE\x07for Ann\0"),
        ];
        let mut seed = 7u64;
        let mut random = move |below: usize| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        let (mut done, mut refused) = (0, 0);
        for round in 0..40_000 {
            let mut file = files[round % files.len()].clone();
            for _ in 0..=random(4) {
                let at = random(file.len());
                file[at] = random(256) as u8;
            }
            if round % 5 == 0 {
                file.truncate(random(file.len()));
            }
            match strip(&file) {
                None => {
                    assert!(
                        examine(&file).is_err(),
                        "a whole picture is stripped: {file:02x?}"
                    );
                    refused += 1;
                }
                Some(silent) => {
                    done += 1;
                    if let Ok(before) = examine(&file) {
                        assert_eq!(
                            examine_with_notes(&silent),
                            Ok((before, PictureMetadata::default()))
                        );
                    }
                }
            }
        }
        assert!(done > 1_000 && refused > 1_000, "{done} done, {refused} refused");
    }
}
