//! Worlds of a given size: a manifest and its pictures in a folder.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::situation::Situation;

/// The platform that owns every world.
pub(crate) const PLATFORM: &str = "biz_Measured";

/// How the users look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edition {
    /// What is on Whop before the run that is measured.
    Before,
    /// What that run is asked for.
    After,
}

/// Writes the manifest of an edition, and its pictures.
pub(crate) fn write(folder: &Path, situation: Situation, users: usize, edition: Edition) {
    let renamed = situation == Situation::Renames && edition == Edition::After;
    let pictured = match situation {
        Situation::CreatesPictures => true,
        Situation::Pictures => edition == Edition::After,
        _ => false,
    };
    let avatars = folder.join("avatars");
    fs::create_dir_all(&avatars).unwrap();
    let mut text = format!("version: 1\ncompany: {PLATFORM}\nusers:\n");
    for n in 0..users {
        let other = if renamed { " the Second" } else { "" };
        write!(
            text,
            "  - id: user_{n:07}\n    email: user{n}@people.whop-sync.dev\n    name: Person {n}{other}\n"
        )
        .unwrap();
        if pictured {
            writeln!(text, "    avatar: avatars/{n}.png").unwrap();
            fs::write(avatars.join(format!("{n}.png")), picture(n)).unwrap();
        }
    }
    fs::write(folder.join("users.yaml"), text).unwrap();
}

/// A real picture of some two kilobytes, unlike every other.
fn picture(n: usize) -> Vec<u8> {
    let mut seed = n as u64 + 1;
    let picture = image::RgbImage::from_fn(24, 24, |_, _| {
        // A generator of no quality: pixels need only differ.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let [.., red, green, blue] = seed.to_be_bytes();
        image::Rgb([red, green, blue])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}
