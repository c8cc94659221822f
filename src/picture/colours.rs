//! Shows colours as browsers do. A picture may define the meaning of its
//! numbers by a colour profile or, in a PNG, by a gamma and primaries. A viewer
//! that ignores them shows another picture, and a picture can be made to look
//! harmless to a reviewer and different to everyone else. They are therefore
//! applied to every pixel before the thumbnail is made. If that is impossible,
//! or browsers differ, there is no thumbnail but a reason.

use image::{DynamicImage, RgbaImage};
use moxcms::{
    Chromaticity, ColorPrimaries, ColorProfile, DataColorSpace, Layout, ToneReprCurve, TransformOptions, XyY,
};

use super::container;
use super::strip::checksum;
use crate::core::value::ImageFormat;

/// Why a picture cannot be shown as browsers show it.
const NOT_APPLIED: &str = "its colour profile cannot be applied here, and browsers may show it differently";
const UNCLEAR: &str = "it defines its colours in two ways, and browsers differ on which one counts";
const HIDDEN: &str = "it is animated, and browsers do not show the still picture in it";

/// What a PNG stores for gamma 1/2.2 and for sRGB's white point and primaries,
/// in hundred-thousandths. Nearly every PNG has these values.
const GAMMA: u32 = 45_455;
const PRIMARIES: [u32; 8] = [31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000];

/// How far from those a value may be and still mean the same: decoders ignore a
/// gamma that is 5 % off.
const GAMMA_SLACK: u32 = GAMMA / 20;
const PRIMARIES_SLACK: u32 = 500;

/// The meaning of a picture's numbers.
pub(super) enum Colours {
    /// sRGB, as in nearly all pictures.
    Usual,
    /// Another colour space.
    Profile(Box<ColorProfile>),
}

impl Colours {
    /// The colours of a picture with this profile, if it has one.
    ///
    /// # Errors
    /// Why it is unclear what browsers show, as a phrase for people.
    pub(super) fn of(
        bytes: &[u8],
        format: ImageFormat,
        profile: Option<Vec<u8>>,
    ) -> Result<Self, &'static str> {
        let said = match format {
            ImageFormat::Png => Stated::by(bytes)?,
            ImageFormat::Jpeg | ImageFormat::Gif | ImageFormat::Webp => Stated::default(),
        };
        let Stated {
            usual,
            has_profile,
            gamma,
            primaries,
        } = said;
        match (profile, usual) {
            // The profile exists but cannot be read.
            (None, _) if has_profile => Err(NOT_APPLIED),
            (Some(_), true) => Err(UNCLEAR),
            (Some(profile), false) => embedded(&profile),
            (None, true) => Ok(Self::Usual),
            (None, false) => match (gamma, primaries) {
                (None, None) => Ok(Self::Usual),
                // Without a gamma, some browsers apply primaries and some do
                // not.
                (None, Some(_)) => Err(UNCLEAR),
                (gamma, primaries) => Ok(Self::Profile(Box::new(described(gamma, primaries)))),
            },
        }
    }

    /// The picture as a screen shows it.
    ///
    /// # Errors
    /// If the profile does not fit the picture.
    pub(super) fn applied(&self, whole: DynamicImage) -> Result<DynamicImage, &'static str> {
        match self {
            Self::Usual => Ok(whole),
            Self::Profile(profile) => convert(whole, profile).ok_or(NOT_APPLIED),
        }
    }
}

/// The colours of an embedded profile, if it is of one of the two simple kinds
/// that all browsers treat alike: curves and primaries, or one curve for grey.
fn embedded(profile: &[u8]) -> Result<Colours, &'static str> {
    let profile = ColorProfile::new_from_slice(profile).map_err(|_| NOT_APPLIED)?;
    let has_tables = profile.lut_a_to_b_perceptual.is_some()
        || profile.lut_a_to_b_colorimetric.is_some()
        || profile.lut_a_to_b_saturation.is_some();
    let is_grey = profile.color_space == DataColorSpace::Gray && profile.gray_trc.is_some();
    match !has_tables && (is_grey || profile.is_matrix_shaper()) {
        true => Ok(Colours::Profile(Box::new(profile))),
        false => Err(NOT_APPLIED),
    }
}

/// The profile that a PNG's own chunks describe.
fn described(gamma: Option<u32>, primaries: Option<[u32; 8]>) -> ColorProfile {
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    if let Some(numbers) = primaries {
        let [white, red, green, blue] = [0, 2, 4, 6].map(|at| {
            let [x, y] = [numbers[at], numbers[at + 1]].map(|n| n as f32 / 100_000.0);
            Chromaticity::new(x, y)
        });
        let white = XyY {
            x: white.x.into(),
            y: white.y.into(),
            yb: 1.0,
        };
        profile.update_rgb_colorimetry(white, ColorPrimaries { red, green, blue });
    }
    if let Some(gamma) = gamma {
        let curve = ToneReprCurve::Parametric(vec![100_000.0 / gamma as f32]);
        profile.red_trc = Some(curve.clone());
        profile.green_trc = Some(curve.clone());
        profile.blue_trc = Some(curve);
    }
    profile
}

/// What a PNG states about its colours, unless it is what nearly all state.
#[derive(Default)]
struct Stated {
    /// That they are sRGB.
    usual: bool,
    /// That it has a profile.
    has_profile: bool,
    /// The exponent for encoding light as numbers.
    gamma: Option<u32>,
    /// White, red, green and blue.
    primaries: Option<[u32; 8]>,
}

impl Stated {
    fn by(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut reading = Reading::default();
        // The file was examined before, so the walk reaches its end.
        let _ = container::walk(bytes, ImageFormat::Png, &mut |chunk, _| reading.take(chunk));
        let Reading {
            unclear,
            is_animated,
            is_frame,
            has_profile,
            srgb,
            gamma,
            primaries,
            ..
        } = reading;
        if is_animated && !is_frame {
            return Err(HIDDEN);
        }
        if unclear {
            return Err(UNCLEAR);
        }
        let is_near = |a: u32, b: u32, slack: u32| a.abs_diff(b) <= slack;
        let gamma = gamma.filter(|gamma| !is_near(*gamma, GAMMA, GAMMA_SLACK));
        let primaries = primaries.filter(|all| {
            let pairs = all.iter().zip(PRIMARIES);
            !pairs.into_iter().all(|(a, b)| is_near(*a, b, PRIMARIES_SLACK))
        });
        // If either of these is present, they are ignored.
        let counts = !srgb && !has_profile;
        Ok(Self {
            usual: srgb,
            has_profile,
            gamma: gamma.filter(|_| counts),
            primaries: primaries.filter(|_| counts),
        })
    }
}

/// The state while reading a PNG.
#[derive(Default)]
struct Reading {
    /// The picture data has begun: later chunks are ignored.
    is_over: bool,
    /// The palette has begun: some browsers ignore later chunks.
    has_palette: bool,
    unclear: bool,
    is_animated: bool,
    /// Whether the still picture is the first frame of the animation.
    is_frame: bool,
    has_profile: bool,
    srgb: bool,
    gamma: Option<u32>,
    primaries: Option<[u32; 8]>,
}

impl Reading {
    /// Takes a chunk as it is in the file, or other bytes.
    fn take(&mut self, chunk: &[u8]) {
        let Some((head, crc)) = chunk.split_last_chunk::<4>() else {
            return;
        };
        let Some((kind, content)) = head.get(4..).and_then(|body| body.split_first_chunk::<4>()) else {
            return;
        };
        match kind {
            b"IDAT" => self.is_over = true,
            b"PLTE" => self.has_palette = true,
            // Damaged chunks are ignored, as decoders do.
            _ if self.is_over || checksum(&head[4..]) != u32::from_be_bytes(*crc) => {}
            b"acTL" => self.is_animated = true,
            b"fcTL" => self.is_frame = true,
            b"sRGB" | b"iCCP" | b"gAMA" | b"cHRM" | b"cICP" => self.colour(kind, content),
            _ => {}
        }
    }

    fn colour(&mut self, kind: &[u8; 4], content: &[u8]) {
        let mut numbers = content
            .chunks_exact(4)
            .map(|n| n.iter().fold(0, |n, b| (n << 8) | u32::from(*b)));
        let again = match (kind, content.len()) {
            (b"sRGB", 1) => std::mem::replace(&mut self.srgb, true),
            (b"iCCP", _) => std::mem::replace(&mut self.has_profile, true),
            (b"gAMA", 4) => {
                let gamma = numbers.next().filter(|gamma| *gamma > 0);
                self.unclear |= gamma.is_none();
                std::mem::replace(&mut self.gamma, gamma).is_some()
            }
            (b"cHRM", 32) => {
                let mut all = [0; 8];
                all.iter_mut().zip(numbers).for_each(|(place, n)| *place = n);
                self.primaries.replace(all).is_some()
            }
            // A newer way to state sRGB; some browsers cannot show anything
            // else.
            (b"cICP", 4) => content != [1, 13, 0, 1] || std::mem::replace(&mut self.srgb, true),
            _ => true,
        };
        self.unclear |= again || self.has_palette;
    }
}

/// Converts every pixel to sRGB; `None` if the profile does not fit.
fn convert(whole: DynamicImage, profile: &ColorProfile) -> Option<DynamicImage> {
    let is_grey = profile.color_space == DataColorSpace::Gray;
    if is_grey && whole.color().has_color() {
        return None;
    }
    let (width, height) = (whole.width(), whole.height());
    let is_deep = whole.color().bytes_per_pixel() / whole.color().channel_count() > 1;
    let widen = |n: u8| u16::from(n) * 257;
    let shown = match (is_grey, is_deep) {
        (true, true) => rows(
            profile,
            width,
            Layout::GrayAlpha,
            &whole.into_luma_alpha16(),
            |n| n,
        ),
        (true, false) => rows(
            profile,
            width,
            Layout::GrayAlpha,
            &whole.into_luma_alpha8(),
            widen,
        ),
        (false, true) => rows(profile, width, Layout::Rgba, &whole.into_rgba16(), |n| n),
        (false, false) => rows(profile, width, Layout::Rgba, &whole.into_rgba8(), widen),
    }?;
    RgbaImage::from_raw(width, height, shown).map(DynamicImage::from)
}

/// Row by row, so that no whole picture of wide numbers is in memory.
fn rows<N: Copy>(
    profile: &ColorProfile,
    width: u32,
    layout: Layout,
    numbers: &[N],
    widen: impl Fn(N) -> u16,
) -> Option<Vec<u8>> {
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    let transform = profile
        .create_transform_16bit(layout, &srgb, Layout::Rgba, options)
        .ok()?;
    let row = width as usize * layout.channels();
    let mut shown = Vec::with_capacity(numbers.len() / layout.channels() * 4);
    let (mut before, mut after) = (vec![0; row], vec![0; width as usize * 4]);
    for numbers in numbers.chunks_exact(row) {
        before
            .iter_mut()
            .zip(numbers)
            .for_each(|(wide, n)| *wide = widen(*n));
        transform.transform(&before, &mut after).ok()?;
        shown.extend(
            after
                .iter()
                .map(|n| ((u32::from(*n) * 255 + 32_767) / 65_535) as u8),
        );
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::codecs::png::PngEncoder;
    use image::{ExtendedColorType, ImageEncoder, Rgb};

    use super::super::thumbnail::{thumbnail, whole};
    use super::*;

    /// A PNG of one row with these chunks after its header.
    fn png(row: &[[u8; 3]], chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut file = Vec::new();
        PngEncoder::new(&mut file)
            .write_image(row.as_flattened(), row.len() as u32, 1, ExtendedColorType::Rgb8)
            .unwrap();
        with(&file, 33, chunks)
    }

    /// Inserts these chunks at a position.
    fn with(file: &[u8], at: usize, chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let made = chunks.iter().flat_map(|(kind, content)| {
            let body = [&kind[..], content].concat();
            let length = (content.len() as u32).to_be_bytes();
            [&length[..], &body, &checksum(&body).to_be_bytes()].concat()
        });
        let made: Vec<u8> = made.collect();
        [&file[..at], &made, &file[at..]].concat()
    }

    fn gamma(gamma: f64) -> [u8; 4] {
        ((gamma * 100_000.0).round() as u32).to_be_bytes()
    }

    fn words(numbers: [u32; 8]) -> Vec<u8> {
        numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
    }

    fn seen(file: &[u8]) -> Vec<[u8; 3]> {
        let whole = whole(file).unwrap_or_else(|why| panic!("{why}"));
        whole.to_rgb8().pixels().map(|Rgb(pixel)| *pixel).collect()
    }

    /// What a screen shows for a number encoded with this gamma, from 0 to 1.
    fn expected(number: f64, gamma: f64) -> f64 {
        let light = number.powf(1.0 / gamma);
        match light <= 0.003_130_8 {
            true => light * 12.92,
            false => 1.055 * light.powf(1.0 / 2.4) - 0.055,
        }
    }

    #[track_caller]
    fn assert_near(got: u8, wanted: f64, about: &str) {
        let wanted = wanted * 255.0;
        assert!(
            (f64::from(got) - wanted).abs() <= 1.0,
            "{about}: {got}, not {wanted}"
        );
    }

    const SHADES: [u8; 7] = [0, 20, 64, 128, 200, 250, 255];

    #[test]
    fn a_gamma_is_applied_to_every_pixel() {
        let row = SHADES.map(|n| [n, n / 2, 255 - n]);
        for of in [0.023, 0.1, 0.3, 0.6, 1.0, 2.2, 10.0] {
            let file = png(&row, &[(b"gAMA", &gamma(of))]);
            for (got, numbers) in seen(&file).into_iter().zip(row) {
                for (got, number) in got.into_iter().zip(numbers) {
                    assert_near(
                        got,
                        expected(f64::from(number) / 255.0, of),
                        &format!("{number} at {of}"),
                    );
                }
            }
        }
    }

    /// With 16-bit numbers and a gamma of 0.023, only the last few hundredths
    /// are brighter than black: the rest of the picture is visible only without
    /// the gamma.
    #[test]
    fn of_two_pictures_in_one_the_browsers_one_is_shown() {
        let pixel = |x: u32, y: u32| -> u16 {
            match (x + y) % 2 {
                // For everyone: white on the left, black on the right.
                0 if x < 100 => 65_535,
                0 => 60_000,
                // Without the gamma: the other way round.
                _ if x < 100 => 0,
                _ => 62_000,
            }
        };
        let numbers: Vec<u8> = (0..200 * 200)
            .flat_map(|n| pixel(n % 200, n / 200).to_ne_bytes())
            .collect();
        let mut file = Vec::new();
        PngEncoder::new(&mut file)
            .write_image(&numbers, 200, 200, ExtendedColorType::L16)
            .unwrap();
        let sides = |file: &[u8]| {
            let small = opened(file);
            [small.get_pixel(20, 64).0[0], small.get_pixel(108, 64).0[0]]
        };
        let [left, right] = sides(&file);
        assert!(left < 140 && right > 230, "{left} {right}");
        let [left, right] = sides(&with(&file, 33, &[(b"gAMA", &gamma(0.023))]));
        assert!(left > 110 && right < 90, "{left} {right}");
    }

    fn opened(file: &[u8]) -> image::RgbImage {
        use base64::Engine as _;
        let small = thumbnail(file).unwrap();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(small.base64)
            .unwrap();
        image::load_from_memory(&bytes).unwrap().to_rgb8()
    }

    #[test]
    fn sixteen_bit_numbers_keep_their_precision() {
        let numbers: [u16; 4] = [65_535, 65_000, 63_000, 30_000];
        let mut file = Vec::new();
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_ne_bytes()).collect();
        PngEncoder::new(&mut file)
            .write_image(&bytes, 4, 1, ExtendedColorType::L16)
            .unwrap();
        let file = with(&file, 33, &[(b"gAMA", &gamma(0.023))]);
        for (got, number) in seen(&file).into_iter().zip(numbers) {
            assert_near(
                got[0],
                expected(f64::from(number) / 65_535.0, 0.023),
                &number.to_string(),
            );
        }
    }

    /// White, and red, green and blue in this order.
    const TURNED: [u32; 8] = [31_270, 32_900, 15_000, 6_000, 64_000, 33_000, 30_000, 60_000];
    const PURE: [[u8; 3]; 4] = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]];

    #[test]
    fn primaries_are_applied_beside_a_gamma() {
        let file = png(&PURE, &[(b"gAMA", &gamma(0.5)), (b"cHRM", &words(TURNED))]);
        let turned = [[0, 0, 255], [255, 0, 0], [0, 255, 0], [255, 255, 255]];
        for (got, wanted) in seen(&file).into_iter().zip(turned) {
            let is_near = got
                .into_iter()
                .zip(wanted)
                .all(|(a, b): (u8, u8)| a.abs_diff(b) <= 1);
            assert!(is_near, "{got:?}, not {wanted:?}");
        }
    }

    /// Adobe's profile with red and blue exchanged.
    fn exchanged() -> Vec<u8> {
        let mut profile = ColorProfile::new_adobe_rgb();
        std::mem::swap(&mut profile.red_colorant, &mut profile.blue_colorant);
        profile.encode().unwrap()
    }

    #[test]
    fn a_profile_is_applied_whatever_the_format() {
        let numbers = [[255_u8, 0, 0]; 256].concat();
        let mut files = vec![Vec::new(), Vec::new(), Vec::new()];
        let [png, jpeg, webp] = &mut files[..] else {
            unreachable!("three files")
        };
        let mut encoder = PngEncoder::new(&mut *png);
        encoder.set_icc_profile(exchanged()).unwrap();
        encoder
            .write_image(&numbers, 16, 16, ExtendedColorType::Rgb8)
            .unwrap();
        let mut encoder = JpegEncoder::new_with_quality(&mut *jpeg, 100);
        encoder.set_icc_profile(exchanged()).unwrap();
        encoder
            .write_image(&numbers, 16, 16, ExtendedColorType::Rgb8)
            .unwrap();
        let mut encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut *webp);
        encoder.set_icc_profile(exchanged()).unwrap();
        encoder
            .write_image(&numbers, 16, 16, ExtendedColorType::Rgb8)
            .unwrap();
        for file in &files {
            let [red, green, blue] = seen(file)[100];
            assert!(red < 5 && green < 5 && blue > 250, "{red} {green} {blue}");
        }
        // If sRGB is stated as well, browsers differ.
        let both = with(&files[0], 33, &[(b"sRGB", &[0])]);
        assert_eq!(thumbnail(&both), Err(UNCLEAR.to_owned()));
    }

    #[test]
    fn a_profile_of_grey_is_applied_to_grey_alone() {
        let profile = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let grey = |kind: ExtendedColorType, numbers: &[u8]| {
            let mut file = Vec::new();
            let mut encoder = PngEncoder::new(&mut file);
            encoder.set_icc_profile(profile.clone()).unwrap();
            encoder.write_image(numbers, 1, 1, kind).unwrap();
            file
        };
        assert_near(
            seen(&grey(ExtendedColorType::L8, &[55]))[0][0],
            expected(55.0 / 255.0, 1.0),
            "grey",
        );
        let colour = grey(ExtendedColorType::Rgb8, &[55, 55, 55]);
        assert_eq!(thumbnail(&colour), Err(NOT_APPLIED.to_owned()));
    }

    #[test]
    fn ignored_chunks_change_nothing() {
        let row = SHADES.map(|n| [n, 255 - n, n / 3]);
        let strange = gamma(0.1);
        let mut damaged = png(&row, &[(b"gAMA", &strange)]);
        damaged[33 + 8 + 4] ^= 1;
        let plain = png(&row, &[]);
        let behind = with(&plain, plain.len() - 12, &[(b"gAMA", &strange)]);
        for file in [
            png(&row, &[(b"gAMA", &gamma(0.45455)), (b"cHRM", &words(PRIMARIES))]),
            png(&row, &[(b"gAMA", &gamma(0.44)), (b"cHRM", &words(PRIMARIES))]),
            png(&row, &[(b"sRGB", &[0]), (b"gAMA", &strange)]),
            png(&row, &[(b"cICP", &[1, 13, 0, 1]), (b"gAMA", &strange)]),
            damaged,
            behind,
        ] {
            assert_eq!(seen(&file), row);
        }
    }

    #[test]
    fn where_browsers_differ_no_thumbnail_is_made() {
        let strange = gamma(0.1);
        let primaries = words(TURNED);
        for chunks in [
            &[(b"gAMA", &strange[..]), (b"gAMA", &gamma(0.45455))][..],
            &[(b"gAMA", &[0; 4])],
            &[(b"gAMA", &[1])],
            &[(b"cHRM", &primaries)],
            &[(b"cICP", &[9, 16, 0, 1])],
            &[(b"PLTE", &[0; 3]), (b"gAMA", &strange)],
            &[(b"sRGB", &[0]), (b"sRGB", &[1])],
        ] {
            let file = png(&PURE, chunks);
            assert_eq!(thumbnail(&file), Err(UNCLEAR.to_owned()), "{chunks:?}");
        }
        let unread: [(&[u8; 4], &[u8]); 1] = [(b"iCCP", b"x\0\0nonsense")];
        assert_eq!(thumbnail(&png(&PURE, &unread)), Err(NOT_APPLIED.to_owned()));
        let still: [(&[u8; 4], &[u8]); 1] = [(b"acTL", &[0, 0, 0, 1, 0, 0, 0, 0])];
        assert_eq!(thumbnail(&png(&PURE, &still)), Err(HIDDEN.to_owned()));
    }
}
