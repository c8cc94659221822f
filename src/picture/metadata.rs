//! Metadata in a picture.
//!
//! A profile picture is public, and phones record in it where it was taken.

use std::fmt;

use super::container::Piece;
use super::exif;

/// What a picture reveals about people. Harmless metadata, such as the program
/// that wrote the file, is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PictureMetadata(u16);

impl PictureMetadata {
    const PLACE: u16 = 1;
    const PERSON: u16 = 1 << 1;
    const CAMERA: u16 = 1 << 2;
    const TEXT: u16 = 1 << 3;
    const COPY: u16 = 1 << 4;
    const BEHIND: u16 = 1 << 5;
    const ODD: u16 = 1 << 6;
    /// Where the metadata is.
    const EXIF: u16 = 1 << 8;
    const XMP: u16 = 1 << 9;
    const IPTC: u16 = 1 << 10;

    /// What is revealed, as phrases about the picture. Metadata outside its
    /// usual fields is named as such.
    const WORDS: [(u16, &'static str); 7] = [
        (Self::PLACE, "where it was taken"),
        (Self::PERSON, "who made it"),
        (Self::CAMERA, "which camera took it"),
        (Self::TEXT, "what someone wrote about it"),
        (Self::COPY, "how it looked before it was edited (a small copy)"),
        (Self::BEHIND, "what follows its end"),
        (Self::ODD, "something that cannot be read"),
    ];
    const SOURCES: [(u16, &'static str); 3] =
        [(Self::EXIF, "EXIF"), (Self::XMP, "XMP"), (Self::IPTC, "IPTC")];

    /// The findings as a number, for storage.
    pub(super) fn to_bits(self) -> u16 {
        self.0
    }

    /// The findings of a stored number; `None` if it is invalid.
    pub(super) fn from_bits(bits: u16) -> Option<Self> {
        let known = Self::WORDS.iter().chain(&Self::SOURCES);
        let known = known.fold(0, |known, (flag, _)| known | flag);
        (bits & !known == 0).then_some(Self(bits))
    }

    /// Whether nothing is revealed.
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the place is revealed, which is the worst case.
    #[cfg(test)]
    pub(crate) fn tell_place(self) -> bool {
        self.0 & Self::PLACE != 0
    }

    /// Adds what a piece of the file reveals.
    pub(super) fn add(&mut self, piece: Piece<'_>) {
        self.0 |= match piece {
            Piece::Picture | Piece::Other => 0,
            Piece::Exif(bytes) => of_exif(bytes),
            Piece::Xmp(bytes) => of_xmp(bytes),
            Piece::Iptc(bytes) => of_iptc(bytes),
            Piece::Text(bytes) => of_text(bytes),
            Piece::Behind(bytes) => {
                let blank = |byte: &u8| matches!(byte, 0 | b' ' | b'\r' | b'\n');
                if bytes.iter().all(blank) { 0 } else { Self::BEHIND }
            }
        };
    }
}

impl fmt::Display for PictureMetadata {
    /// A phrase that follows "it says": "where it was taken and who made it (in
    /// EXIF)".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<_> = Self::WORDS
            .iter()
            .filter(|(flag, _)| self.0 & flag != 0)
            .collect();
        for (index, (_, words)) in told.iter().enumerate() {
            let before = match index {
                0 => "",
                _ if index + 1 == told.len() => " and ",
                _ => ", ",
            };
            write!(f, "{before}{words}")?;
        }
        let sources = Self::SOURCES.iter().filter(|(flag, _)| self.0 & flag != 0);
        for (index, (_, source)) in sources.clone().enumerate() {
            write!(f, "{}{source}", if index == 0 { " (in " } else { ", " })?;
        }
        if sources.count() > 0 {
            f.write_str(")")
        } else {
            Ok(())
        }
    }
}

/// The flag if a condition holds.
fn flag(holds: bool, flag: u16) -> u16 {
    if holds { flag } else { 0 }
}

/// Adds the source to the findings, if there are any.
fn from(source: u16, told: u16) -> u16 {
    if told == 0 { 0 } else { told | source }
}

fn of_exif(bytes: &[u8]) -> u16 {
    let Some(exif) = exif::read(bytes) else {
        return PictureMetadata::ODD | PictureMetadata::EXIF;
    };
    let exif::Exif {
        place,
        person,
        camera,
        text,
        copy,
        turned: _,
    } = exif;
    let told = flag(place, PictureMetadata::PLACE)
        | flag(person, PictureMetadata::PERSON)
        | flag(camera, PictureMetadata::CAMERA)
        | flag(text, PictureMetadata::TEXT)
        | flag(copy, PictureMetadata::COPY);
    from(PictureMetadata::EXIF, told)
}

/// XMP is judged by its field names alone; values are not read.
fn of_xmp(bytes: &[u8]) -> u16 {
    let has = |names: &[&[u8]]| {
        names
            .iter()
            .any(|name| bytes.windows(name.len()).any(|window| window == *name))
    };
    let told = flag(
        has(&[
            b"GPSL",
            b"LocationShown",
            b"LocationCreated",
            b":City",
            b":Sublocation",
        ]),
        PictureMetadata::PLACE,
    ) | flag(
        has(&[
            b":creator",
            b":OwnerName",
            b":rights",
            b":CreatorContactInfo",
            b":AuthorsPosition",
            b":PersonInImage",
            b"mwg-rs:",
        ]),
        PictureMetadata::PERSON,
    ) | flag(has(&[b"SerialNumber"]), PictureMetadata::CAMERA)
        | flag(
            has(&[
                b":description",
                b":title",
                b":subject",
                b":UserComment",
                b":Headline",
            ]),
            PictureMetadata::TEXT,
        )
        | flag(has(&[b":Thumbnails", b"GImage:"]), PictureMetadata::COPY);
    from(PictureMetadata::XMP, told)
}

/// IPTC: data sets (`1C`, record, number, length) within Photoshop's blocks
/// (IPTC-IIM 4.2, §1.5 and §6). They are searched for at any position.
fn of_iptc(bytes: &[u8]) -> u16 {
    let mut told = 0;
    for set in bytes.windows(6) {
        if let [0x1C, 2, number, high, low, _] = set
            && (*high, *low) != (0, 0)
            && *high < 0x80
        {
            told |= match number {
                26 | 27 | 90 | 92 | 95 | 100 | 101 => PictureMetadata::PLACE,
                80 | 85 | 110 | 115 | 116 | 118 | 122 => PictureMetadata::PERSON,
                5 | 25 | 40 | 105 | 120 => PictureMetadata::TEXT,
                _ => 0,
            };
        }
    }
    from(PictureMetadata::IPTC, told)
}

/// The keyword of a text, or its beginning if it has none, shows whether a
/// person or a program wrote it.
fn of_text(bytes: &[u8]) -> u16 {
    const PROGRAMS: [&[u8]; 9] = [
        b"Software\0",
        b"date:",
        b"Creation Time\0",
        b"CREATOR: gd-jpeg",
        b"Lavc",
        b"Optimized",
        b"icc:",
        b"png:",
        b"ImageMagick",
    ];
    let profile = bytes.starts_with(b"Raw profile type ");
    // In GIF, a length precedes the text.
    let by_program = [bytes, bytes.get(1..).unwrap_or_default()]
        .iter()
        .any(|text| PROGRAMS.iter().any(|program| text.starts_with(program)));
    if profile && !bytes.starts_with(b"Raw profile type icc\0") {
        return PictureMetadata::ODD;
    }
    let blank = bytes.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0);
    flag(!by_program && !blank && !profile, PictureMetadata::TEXT)
}
