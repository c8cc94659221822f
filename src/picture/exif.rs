//! Reads EXIF: only the fields that reveal something about people, and the
//! orientation.
//!
//! EXIF is a small TIFF: numbered fields in directories, which point to each
//! other (TIFF 6.0 §2; Exif 2.32 §4.6). At most four directories are read, each
//! once, so pointers cannot form an endless loop.

/// The relevant content of EXIF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Exif {
    /// Where the picture was taken.
    pub(super) place: bool,
    /// Who made it, or who owns the camera.
    pub(super) person: bool,
    /// Which camera took it, by serial number or in the maker's notes.
    pub(super) camera: bool,
    /// What someone wrote about it.
    pub(super) text: bool,
    /// A thumbnail, which editors forget to change with the picture.
    pub(super) copy: bool,
    /// The orientation, unless upright.
    pub(super) turned: Option<Orientation>,
}

/// An orientation, and how it was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Orientation {
    /// 2 to 8 (Exif 2.32 §4.6.4, Orientation).
    how: u8,
    /// Whether numbers are little-endian.
    little: bool,
    /// Whether the TIFF follows the name that only JPEG needs. Some programs
    /// write it in WebP too, and readers treat it differently.
    named: bool,
}

/// The name before the TIFF.
const NAME: &[u8] = b"Exif\0\0";

/// The number of the orientation field.
const ORIENTATION: u16 = 0x0112;

/// Reads EXIF. `None` if it is invalid from the start.
pub(super) fn read(bytes: &[u8]) -> Option<Exif> {
    let named = bytes.starts_with(NAME);
    let tiff = Tiff::open(if named { &bytes[NAME.len()..] } else { bytes })?;
    let mut exif = Exif::default();
    let first = tiff.number(4, 4)?;
    let (mut own, mut gps) = (None, None);
    for field in tiff.fields(first) {
        match field.tag {
            ORIENTATION if exif.turned.is_none() => {
                exif.turned = field.turned().map(|how| Orientation {
                    how,
                    little: tiff.little,
                    named,
                });
            }
            // Artist, Copyright, and Windows' author.
            0x013B | 0x8298 | 0x9C9D => exif.person |= field.says(),
            // ImageDescription, and Windows' title, comment, keywords, subject.
            0x010E | 0x9C9B | 0x9C9C | 0x9C9E | 0x9C9F => exif.text |= field.says(),
            0x8769 => own = field.offset(),
            0x8825 => gps = field.offset(),
            _ => {}
        }
    }
    for field in own.into_iter().flat_map(|at| tiff.fields(at)) {
        match field.tag {
            // CameraOwnerName, Photographer, ImageEditor.
            0xA430 | 0xA437 | 0xA438 => exif.person |= field.says(),
            // BodySerialNumber, LensSerialNumber, MakerNote, ImageUniqueID.
            0xA431 | 0xA435 | 0x927C | 0xA420 => exif.camera |= field.says(),
            // UserComment: the first eight bytes name its encoding.
            0x9286 => exif.text |= field.value().get(8..).is_some_and(says),
            // Title.
            0xA436 => exif.text |= field.says(),
            _ => {}
        }
    }
    for field in gps.into_iter().flat_map(|at| tiff.fields(at)) {
        // Latitude and longitude, of the camera or of the subject; the place's
        // name.
        exif.place |= matches!(field.tag, 2 | 4 | 20 | 22 | 27 | 28) && field.says();
    }
    if let Some(second) = tiff.behind(first) {
        exif.copy = tiff
            .fields(second)
            .any(|field| matches!(field.tag, 0x0111 | 0x0201));
    }
    Some(exif)
}

/// The smallest EXIF with the same orientation: one field.
pub(super) fn only_turned(turned: Orientation) -> Vec<u8> {
    let Orientation { how, little, named } = turned;
    let short = |number: u16| {
        if little {
            number.to_le_bytes()
        } else {
            number.to_be_bytes()
        }
    };
    let long = |number: u32| {
        if little {
            number.to_le_bytes()
        } else {
            number.to_be_bytes()
        }
    };
    [
        if named { NAME } else { &[] },
        if little { b"II" } else { b"MM" },
        &short(42),
        &long(8),
        // One field: number, type SHORT, count, value; no next directory.
        &short(1),
        &short(ORIENTATION),
        &short(3),
        &long(1),
        &short(u16::from(how)),
        &[0, 0],
        &long(0),
    ]
    .concat()
}

/// A TIFF, which is never read beyond its bytes.
struct Tiff<'b> {
    bytes: &'b [u8],
    /// Whether numbers are little-endian.
    little: bool,
}

/// One field of a directory.
struct Field<'t, 'b> {
    tiff: &'t Tiff<'b>,
    /// Its position.
    at: usize,
    /// Its number.
    tag: u16,
}

impl<'b> Tiff<'b> {
    /// Recognises a TIFF by its first bytes.
    fn open(bytes: &'b [u8]) -> Option<Self> {
        let little = match bytes.get(..4)? {
            b"II*\0" => true,
            b"MM\0*" => false,
            _ => return None,
        };
        Some(Self { bytes, little })
    }

    /// A number of this many bytes.
    fn number(&self, at: usize, length: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(length)?)?;
        let fold = |number: usize, byte: &u8| (number << 8) | usize::from(*byte);
        Some(if self.little {
            bytes.iter().rev().fold(0, fold)
        } else {
            bytes.iter().fold(0, fold)
        })
    }

    /// The number of fields in a directory.
    fn count(&self, directory: usize) -> usize {
        self.number(directory, 2).unwrap_or(0)
    }

    /// The fields of a directory, as many as are present.
    fn fields(&self, directory: usize) -> impl Iterator<Item = Field<'_, 'b>> {
        (0..self.count(directory)).map_while(move |index| {
            let at = directory.checked_add(2 + 12 * index)?;
            self.bytes.get(at..at.checked_add(12)?)?;
            let tag = self.number(at, 2)? as u16;
            Some(Field { tiff: self, at, tag })
        })
    }

    /// The next directory.
    fn behind(&self, directory: usize) -> Option<usize> {
        let at = directory.checked_add(2 + 12 * self.count(directory))?;
        self.number(at, 4).filter(|next| *next > 0)
    }
}

impl<'b> Field<'_, 'b> {
    /// The bytes of its value; empty if they are missing.
    fn value(&self) -> &'b [u8] {
        self.try_value().unwrap_or_default()
    }

    fn try_value(&self) -> Option<&'b [u8]> {
        let size = match self.tiff.number(self.at + 2, 2)? {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 => 4,
            5 | 10 | 12 => 8,
            _ => return None,
        };
        let length = self.tiff.number(self.at + 4, 4)?.checked_mul(size)?;
        let at = if length <= 4 { self.at + 8 } else { self.offset()? };
        self.tiff.bytes.get(at..at.checked_add(length)?)
    }

    /// The offset it points to.
    fn offset(&self) -> Option<usize> {
        self.tiff.number(self.at + 8, 4)
    }

    /// Whether its value is more than blanks, since cameras write empty fields.
    fn says(&self) -> bool {
        says(self.value())
    }

    /// The orientation, if it is one SHORT of 2 to 8.
    fn turned(&self) -> Option<u8> {
        let one = self.tiff.number(self.at + 2, 2)? == 3 && self.tiff.number(self.at + 4, 4)? == 1;
        let how = self.tiff.number(self.at + 8, 2).filter(|_| one)?;
        u8::try_from(how).ok().filter(|how| (2..=8).contains(how))
    }
}

/// Whether bytes are more than blanks.
fn says(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| !matches!(byte, 0 | b' '))
}
