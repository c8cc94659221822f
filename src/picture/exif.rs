//! What EXIF says: of its many fields only those are looked at that tell about
//! people, and how the picture is turned.
//!
//! EXIF is a small TIFF: numbered fields in directories, which point at each
//! other (TIFF 6.0 §2; Exif 2.32 §4.6). Only four directories are ever looked
//! into, each once, so that none can lead in circles.

/// What EXIF says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Exif {
    /// Where the picture was taken.
    pub(super) place: bool,
    /// Who made it or owns the camera.
    pub(super) person: bool,
    /// Which camera took it, by its number or in its maker's own notes.
    pub(super) camera: bool,
    /// What somebody wrote about it.
    pub(super) text: bool,
    /// A small copy, which editors forget to change with the picture.
    pub(super) copy: bool,
    /// How the picture is turned, where not upright.
    pub(super) turned: Option<Turned>,
}

/// How a picture is turned, as it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turned {
    /// 2 to 8 (Exif 2.32 §4.6.4, Orientation).
    how: u8,
    /// Whether numbers have their least significant byte first.
    little: bool,
    /// Whether the TIFF stands behind the name that only JPEG needs; some
    /// programs write it in WebP as well, and readers differ about it.
    named: bool,
}

/// The name before the TIFF.
const NAME: &[u8] = b"Exif\0\0";

/// A field's number for the way the picture is turned.
const ORIENTATION: u16 = 0x0112;

/// Reads EXIF. `None` where it makes no sense from its start.
pub(super) fn read(bytes: &[u8]) -> Option<Exif> {
    let named = bytes.starts_with(NAME);
    let tiff = Tiff::open(if named { &bytes[NAME.len()..] } else { bytes })?;
    let mut exif = Exif::default();
    let first = tiff.number(4, 4)?;
    let (mut own, mut gps) = (None, None);
    for field in tiff.fields(first) {
        match field.tag {
            ORIENTATION if exif.turned.is_none() => {
                exif.turned = field.turned().map(|how| Turned {
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
            // UserComment: eight bytes name its alphabet.
            0x9286 => exif.text |= field.value().get(8..).is_some_and(says),
            // Title.
            0xA436 => exif.text |= field.says(),
            _ => {}
        }
    }
    for field in gps.into_iter().flat_map(|at| tiff.fields(at)) {
        // Latitude and longitude, also of what is shown; the place's name.
        exif.place |= matches!(field.tag, 2 | 4 | 20 | 22 | 27 | 28) && field.says();
    }
    if let Some(second) = tiff.behind(first) {
        exif.copy = tiff
            .fields(second)
            .any(|field| matches!(field.tag, 0x0111 | 0x0201));
    }
    Some(exif)
}

/// The least EXIF that turns a picture in the same way: one field.
pub(super) fn only_turned(turned: Turned) -> Vec<u8> {
    let Turned { how, little, named } = turned;
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
        // One field: number, type SHORT, one of them, its value; no more.
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

/// A TIFF, which never reads beyond its bytes.
struct Tiff<'b> {
    bytes: &'b [u8],
    /// Whether numbers have their least significant byte first.
    little: bool,
}

/// One field of a directory.
struct Field<'t, 'b> {
    tiff: &'t Tiff<'b>,
    /// Where it stands.
    at: usize,
    /// Its number.
    tag: u16,
}

impl<'b> Tiff<'b> {
    /// Recognises one by its first bytes.
    fn open(bytes: &'b [u8]) -> Option<Self> {
        let little = match bytes.get(..4)? {
            b"II*\0" => true,
            b"MM\0*" => false,
            _ => return None,
        };
        Some(Self { bytes, little })
    }

    /// A number of so many bytes.
    fn number(&self, at: usize, length: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(length)?)?;
        let fold = |number: usize, byte: &u8| (number << 8) | usize::from(*byte);
        Some(if self.little {
            bytes.iter().rev().fold(0, fold)
        } else {
            bytes.iter().fold(0, fold)
        })
    }

    /// How many fields a directory has.
    fn count(&self, directory: usize) -> usize {
        self.number(directory, 2).unwrap_or(0)
    }

    /// A directory's fields, as far as they are there.
    fn fields(&self, directory: usize) -> impl Iterator<Item = Field<'_, 'b>> {
        (0..self.count(directory)).map_while(move |index| {
            let at = directory.checked_add(2 + 12 * index)?;
            self.bytes.get(at..at.checked_add(12)?)?;
            let tag = self.number(at, 2)? as u16;
            Some(Field { tiff: self, at, tag })
        })
    }

    /// The directory behind this one.
    fn behind(&self, directory: usize) -> Option<usize> {
        let at = directory.checked_add(2 + 12 * self.count(directory))?;
        self.number(at, 4).filter(|next| *next > 0)
    }
}

impl<'b> Field<'_, 'b> {
    /// Its value's bytes, empty if they are not there.
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

    /// The place it points at.
    fn offset(&self) -> Option<usize> {
        self.tiff.number(self.at + 8, 4)
    }

    /// Whether its value is more than blanks: cameras write empty fields.
    fn says(&self) -> bool {
        says(self.value())
    }

    /// How the picture is turned, if it is: one SHORT of 2 to 8.
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
