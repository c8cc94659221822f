//! The structure of the four formats: chunks, segments, blocks. A file is
//! walked from start to end, and a visitor is shown every piece and its role.

use crate::core::value::ImageFormat;

/// The role of a piece of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'b> {
    /// Part of the picture, or needed to show it (such as its colours).
    Picture,
    /// EXIF from its TIFF header on, or what claims to be EXIF.
    Exif(&'b [u8]),
    /// XMP: XML about the picture.
    Xmp(&'b [u8]),
    /// IPTC, inside Photoshop's blocks.
    Iptc(&'b [u8]),
    /// A text, after its keyword if it has one.
    Text(&'b [u8]),
    /// Something that no viewer needs.
    Other,
    /// What follows the end of the picture.
    Behind(&'b [u8]),
}

/// The visitor: it is shown the bytes of each piece, without gaps, and their
/// role.
pub(super) type Visit<'v, 'b> = &'v mut dyn FnMut(&'b [u8], Piece<'b>);

/// Walks through a file of this format.
pub(super) fn walk<'b>(bytes: &'b [u8], format: ImageFormat, visit: Visit<'_, 'b>) -> WalkResult {
    let mut file = Cursor {
        rest: bytes,
        begun: bytes,
    };
    match format {
        ImageFormat::Png => png(&mut file, visit),
        ImageFormat::Jpeg => jpeg(&mut file, visit),
        ImageFormat::Gif => gif(&mut file, visit),
        ImageFormat::Webp => webp(&mut file, visit),
    }?;
    if !file.rest.is_empty() {
        visit(file.rest, Piece::Behind(file.rest));
    }
    Ok(())
}

/// Why a walk stopped.
pub(super) enum Flaw {
    /// The file ends before its structure does.
    Ends,
    /// Something is where it cannot be.
    Nonsense,
}

/// The result of a step of a walk.
pub(super) type WalkResult<T = ()> = Result<T, Flaw>;

/// A position in a file that only moves forward, and never past the end.
struct Cursor<'b> {
    /// What is still ahead.
    rest: &'b [u8],
    /// The same, at the start of the current piece.
    begun: &'b [u8],
}

impl<'b> Cursor<'b> {
    /// The next bytes, all of them or none.
    fn take(&mut self, count: usize) -> WalkResult<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Flaw::Ends)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Shows the current piece up to here and starts the next one.
    fn show(&mut self, visit: Visit<'_, 'b>, piece: Piece<'b>) {
        let bytes = &self.begun[..self.begun.len() - self.rest.len()];
        self.begun = self.rest;
        visit(bytes, piece);
    }

    /// The next byte.
    fn byte(&mut self) -> WalkResult<u8> {
        self.take(1).map(|taken| taken[0])
    }

    /// A big-endian number.
    fn big(&mut self, bytes: usize) -> WalkResult<usize> {
        let taken = self.take(bytes)?;
        Ok(taken.iter().fold(0, |n, byte| (n << 8) | usize::from(*byte)))
    }

    /// A little-endian number.
    fn little(&mut self, bytes: usize) -> WalkResult<usize> {
        let taken = self.take(bytes)?;
        Ok(taken
            .iter()
            .rev()
            .fold(0, |n, byte| (n << 8) | usize::from(*byte)))
    }
}

/// Stops a walk if the file is invalid.
fn demand(holds: bool) -> WalkResult {
    if holds { Ok(()) } else { Err(Flaw::Nonsense) }
}

/// The PNG chunks that affect how the picture is shown. Those whose name begins
/// with an upper-case letter are the picture itself.
const PNG_KEPT: [&[u8]; 15] = [
    b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"bKGD", b"hIST",
    b"pHYs", b"acTL", b"fcTL", b"fdAT",
];

/// PNG: a signature, then chunks (length, type, data, checksum) from IHDR to
/// IEND with IDAT between them (PNG specification, §5 and §11).
fn png<'b>(file: &mut Cursor<'b>, visit: Visit<'_, 'b>) -> WalkResult {
    file.take(8)?;
    file.show(visit, Piece::Picture);
    let mut first = true;
    let mut data = false;
    loop {
        let length = file.big(4)?;
        demand(length < 1 << 31)?;
        let kind = file.take(4)?;
        demand(kind.iter().all(u8::is_ascii_alphabetic))?;
        demand(first == (kind == b"IHDR"))?;
        demand(!first || length == 13)?;
        let content = file.take(length)?;
        file.take(4)?;
        first = false;
        data |= kind == b"IDAT";
        let piece = match kind {
            _ if kind[0].is_ascii_uppercase() || PNG_KEPT.contains(&kind) => Piece::Picture,
            b"eXIf" => Piece::Exif(content),
            b"iTXt" if content.starts_with(b"XML:com.adobe.xmp\0") => Piece::Xmp(content),
            b"tEXt" | b"zTXt" | b"iTXt" => Piece::Text(content),
            _ => Piece::Other,
        };
        file.show(visit, piece);
        if kind == b"IEND" {
            return demand(data);
        }
    }
}

/// JPEG: segments from SOI to EOI. After a scan's header come coded bytes, in
/// which a marker is anything but `FF 00` and restarts (ITU-T T.81, annex B).
/// Phones append further pictures after EOI.
fn jpeg<'b>(file: &mut Cursor<'b>, visit: Visit<'_, 'b>) -> WalkResult {
    file.take(2)?;
    file.show(visit, Piece::Picture);
    let mut frame = false;
    let mut scan = false;
    loop {
        demand(file.byte()? == 0xFF)?;
        let mut marker = file.byte()?;
        // Padding and markers without a length may be anywhere. Before the
        // frame header, however, `imagesize` would misread them, so a file
        // could claim a size that it does not have.
        while marker == 0xFF {
            demand(frame)?;
            marker = file.byte()?;
        }
        match marker {
            0xD9 => {
                file.show(visit, Piece::Picture);
                return demand(frame && scan);
            }
            0x01 | 0xD0..=0xD7 => {
                demand(frame)?;
                file.show(visit, Piece::Picture);
                continue;
            }
            0x00 | 0xD8 => return Err(Flaw::Nonsense),
            _ => {}
        }
        let length = file.big(2)?;
        demand(length >= 2)?;
        let content = file.take(length - 2)?;
        file.show(visit, segment(marker, content));
        frame |= matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC);
        if marker == 0xDA {
            demand(frame)?;
            scan = true;
            skip_scan(file)?;
            file.show(visit, Piece::Picture);
        }
    }
}

/// The role of a JPEG segment. Applications mark theirs by a name; only few of
/// them affect how the picture is shown.
fn segment(marker: u8, content: &[u8]) -> Piece<'_> {
    let named = |name: &[u8]| content.starts_with(name);
    match marker {
        0xE0 if named(b"JFIF\0") => Piece::Picture,
        0xE1 if named(b"Exif\0") => Piece::Exif(content.get(6..).unwrap_or_default()),
        0xE1 if named(b"http://ns.adobe.com/x") => Piece::Xmp(content),
        0xE2 if named(b"ICC_PROFILE\0") => Piece::Picture,
        0xED if named(b"Photoshop 3.0\0") => Piece::Iptc(content),
        0xEE if named(b"Adobe") => Piece::Picture,
        0xE0..=0xEF => Piece::Other,
        0xFE => Piece::Text(content),
        _ => Piece::Picture,
    }
}

/// Skips coded bytes up to the next marker.
fn skip_scan(file: &mut Cursor<'_>) -> WalkResult {
    loop {
        let at = file
            .rest
            .iter()
            .position(|byte| *byte == 0xFF)
            .ok_or(Flaw::Ends)?;
        file.take(at)?;
        match file.rest.get(1) {
            None => return Err(Flaw::Ends),
            Some(0x00 | 0xD0..=0xD7) => file.take(2)?,
            Some(0xFF) => file.take(1)?,
            Some(_) => return Ok(()),
        };
    }
}

/// GIF: header and screen, then blocks up to the trailer (GIF89a, appendix A).
fn gif<'b>(file: &mut Cursor<'b>, visit: Visit<'_, 'b>) -> WalkResult {
    file.take(6)?;
    let screen = file.take(7)?;
    color_table(file, screen[4])?;
    file.show(visit, Piece::Picture);
    let mut image = false;
    loop {
        match file.byte()? {
            0x3B => {
                file.show(visit, Piece::Picture);
                return demand(image);
            }
            0x21 => {
                let kind = file.byte()?;
                let content = file.rest;
                sub_blocks(file)?;
                let content = &content[..content.len() - file.rest.len()];
                file.show(visit, extension(kind, content));
            }
            0x2C => {
                let descriptor = file.take(9)?;
                color_table(file, descriptor[8])?;
                file.take(1)?;
                sub_blocks(file)?;
                image = true;
                file.show(visit, Piece::Picture);
            }
            _ => return Err(Flaw::Nonsense),
        }
    }
}

/// The role of a GIF extension. An application's first block holds its name;
/// the known ones define repetition and colours.
fn extension(kind: u8, content: &[u8]) -> Piece<'_> {
    let named = |name: &[u8]| content.get(1..).is_some_and(|content| content.starts_with(name));
    match kind {
        0xFE => Piece::Text(content),
        0xFF if named(b"NETSCAPE2.0") || named(b"ANIMEXTS1.0") || named(b"ICCRGBG1012") => Piece::Picture,
        0xFF if named(b"XMP DataXMP") => Piece::Xmp(content),
        0xFF => Piece::Other,
        _ => Piece::Picture,
    }
}

/// Skips the colour table that these flags announce, if any.
fn color_table(file: &mut Cursor<'_>, flags: u8) -> WalkResult {
    if flags & 0x80 != 0 {
        file.take(3 << ((flags & 7) + 1))?;
    }
    Ok(())
}

/// Skips blocks that start with their length, up to one of length 0.
fn sub_blocks(file: &mut Cursor<'_>) -> WalkResult {
    loop {
        match file.byte()? {
            0 => return Ok(()),
            length => file.take(usize::from(length))?,
        };
    }
}

/// WebP: one RIFF chunk that contains the others. In a file with features
/// (VP8X) the picture comes in a later chunk (RFC 9649, §2).
fn webp<'b>(file: &mut Cursor<'b>, visit: Visit<'_, 'b>) -> WalkResult {
    file.take(4)?;
    let size = file.little(4)?;
    demand(size >= 4)?;
    let (inner, behind) = file.rest.split_at_checked(size).ok_or(Flaw::Ends)?;
    file.rest = inner;
    file.begun = &file.begun[..8 + size];
    file.take(4)?;
    file.show(visit, Piece::Picture);
    let mut first = true;
    let mut image = false;
    while !file.rest.is_empty() {
        let kind = file.take(4)?;
        let length = file.little(4)?;
        let content = file.take(length)?;
        // Chunks of odd length are followed by a padding byte, which some
        // encoders omit at the very end.
        if length % 2 == 1 && !file.rest.is_empty() {
            file.take(1)?;
        }
        let picture = matches!(kind, b"VP8 " | b"VP8L");
        demand(!first || picture || kind == b"VP8X")?;
        // The size takes this many bytes in either kind of chunk.
        demand(!first || length >= if kind == b"VP8L" { 5 } else { 10 })?;
        first = false;
        image |= picture || kind == b"ANMF";
        let piece = match kind {
            b"VP8X" | b"VP8 " | b"VP8L" | b"ALPH" | b"ICCP" | b"ANIM" | b"ANMF" => Piece::Picture,
            b"EXIF" => Piece::Exif(content),
            b"XMP " => Piece::Xmp(content),
            _ => Piece::Other,
        };
        file.show(visit, piece);
    }
    file.rest = behind;
    demand(image)
}
