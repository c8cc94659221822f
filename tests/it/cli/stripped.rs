//! `strip_metadata` from end to end: what a phone wrote into a picture is
//! warned about, and where it is taken away Whop gets the same picture
//! without it, which is the one that was planned and is remembered.

use std::io::Cursor;

use image::ImageReader;
use serde_json::Value;
use whop_sync::core::digest::Digest;
use whop_sync::emulator::Settings;

use super::whop::Whop;
use super::{Place, Ran};

/// EXIF as phones write it: the maker, and where it was taken.
fn exif() -> Vec<u8> {
    let field = |tag: u16, kind: u16, count: u32, value: u32| {
        [
            &tag.to_le_bytes()[..],
            &kind.to_le_bytes(),
            &count.to_le_bytes(),
            &value.to_le_bytes(),
        ]
        .concat()
    };
    let own = [
        field(0x013B, 2, 4, u32::from_le_bytes(*b"Ann\0")),
        field(0x8825, 4, 1, 38),
    ];
    let place = [
        field(1, 2, 2, u32::from_le_bytes(*b"N\0\0\0")),
        field(2, 5, 1, 68),
    ];
    let directory = |fields: &[Vec<u8>]| {
        [
            &(fields.len() as u16).to_le_bytes()[..],
            &fields.concat(),
            &[0; 4],
        ]
        .concat()
    };
    let latitude = [47u32.to_le_bytes(), 1u32.to_le_bytes()].concat();
    let head = b"II*\0\x08\0\0\0".to_vec();
    [head, directory(&own), directory(&place), latitude].concat()
}

/// A picture with these notes put into it, by the format its name tells.
fn noted(name: &str, clean: &[u8]) -> Vec<u8> {
    let exif = exif();
    match name.rsplit('.').next().unwrap() {
        "jpg" => {
            let content = [b"Exif\0\0", &exif[..]].concat();
            let length = (content.len() as u16 + 2).to_be_bytes();
            let first = 4 + usize::from(clean[5]);
            let segment = [&[0xFF, 0xE1], &length[..], &content].concat();
            [&clean[..first], &segment, &clean[first..]].concat()
        }
        "png" => {
            let body = [b"eXIf", &exif[..]].concat();
            let sum = !body.iter().fold(!0u32, |sum, byte| {
                (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
                    (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg())
                })
            });
            let length = (exif.len() as u32).to_be_bytes();
            let chunk = [&length[..], &body, &sum.to_be_bytes()].concat();
            [&clean[..33], &chunk, &clean[33..]].concat()
        }
        _ => extended(
            clean,
            0x08,
            &[b"EXIF", &(exif.len() as u32).to_le_bytes()[..], &exif].concat(),
        ),
    }
}

/// A simple WebP of 800 by 800 as one with features.
fn extended(simple: &[u8], flags: u8, more: &[u8]) -> Vec<u8> {
    let size = [0x1F, 3, 0, 0x1F, 3, 0];
    let head = [b"VP8X\x0a\0\0\0", &[flags, 0, 0, 0][..], &size].concat();
    let body = [b"WEBP", &head[..], &simple[12..], more].concat();
    [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat()
}

fn pixels(bytes: &[u8]) -> image::DynamicImage {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    reader.unwrap().decode().unwrap()
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

const NAMES: [&str; 3] = ["nikos.jpg", "jane.png", "studio-north.webp"];

#[test]
fn what_a_phone_wrote_reaches_whop_only_where_nobody_asked_to_take_it_away() {
    let whop = Whop::new(Settings::default());
    let examples = Place::example();
    let mut place = Place::new();
    let mut clean = Vec::new();
    let mut users = String::new();
    for (n, name) in NAMES.iter().enumerate() {
        let bytes = examples.read(&format!("examples/avatars/{name}"));
        place = place.file(name, noted(name, &bytes));
        users += &format!("- {{id: u{n}, email: u{n}@acme.dev, name: N, avatar: {name}}}\n");
        // WebP keeps its features, and says no longer that there is EXIF.
        let is_webp = name.ends_with("webp");
        clean.push(if is_webp { extended(&bytes, 0, b"") } else { bytes });
    }
    let head = "version: 1\ncompany: biz_Acme\n";
    let place = place.file("users.yaml", format!("{head}users:\n{users}"));
    let run = |line: &str| -> Ran {
        let line = format!("{line} --server {}", whop.base);
        let ran = place.run_with(&line, &[("WHOP_API_KEY", "any")]);
        assert_eq!(ran.status, 0, "{}", ran.shown());
        ran
    };

    // Nobody asked: each is warned about by its name.
    for ran in [run("validate"), run("plan"), run("apply --yes")] {
        for (n, name) in NAMES.iter().enumerate() {
            let warning = format!(
                "warning[avatar_metadata]: the avatar `{name}` of user `u{n}` says where it was taken and who made it (in EXIF)"
            );
            assert!(ran.stderr.contains(&warning), "{}", ran.shown());
        }
        assert!(ran.stderr.contains("strip_metadata: true"), "{}", ran.shown());
    }
    // What Whop has of each user.
    let sent = || -> Vec<Vec<u8>> {
        let shown = run("show --format json").json();
        let of = |n: usize| {
            let owner = shown["users"][n]["user_id"].as_str().unwrap();
            let profile = whop.emulator.profile(owner, "biz_Acme").unwrap();
            profile.picture.unwrap().to_vec()
        };
        (0..NAMES.len()).map(of).collect()
    };
    for (bytes, name) in sent().iter().zip(NAMES) {
        assert_eq!(bytes, &place.read(name), "{name}: as it is");
        assert!(holds(bytes, b"Ann\0"), "{name}: the notes are in it");
    }

    // Once it is asked for, three pictures change and nobody is warned.
    place.edit("users.yaml", "users:\n", "strip_metadata: true\nusers:\n");
    let plan = run("plan --format json");
    assert!(!plan.stderr.contains("warning"), "{}", plan.shown());
    let plan = plan.json();
    assert_eq!(plan["actions"].as_array().unwrap().len(), NAMES.len());
    let applied = run("apply --yes --refresh full");
    assert!(applied.stdout.contains("3 pictures set"), "{}", applied.shown());
    let mapping = String::from_utf8(place.read("users.mapping.jsonl")).unwrap();
    let known: Vec<Value> = mapping
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (n, (bytes, name)) in sent().iter().zip(NAMES).enumerate() {
        for what in [&b"Ann"[..], &exif()[8..], b"Exif", b"EXIF", b"eXIf", b"GPS"] {
            assert!(!holds(bytes, what), "{name}: {:?}", String::from_utf8_lossy(what));
        }
        assert!(bytes == &clean[n], "{name}: nothing else is changed");
        assert_eq!(pixels(bytes), pixels(&place.read(name)), "{name}");
        let digest = Digest::of(bytes).to_string();
        let planned = &plan["actions"][n]["fields"][0]["new"];
        assert_eq!(planned["digest"], digest.as_str(), "{name}: what was planned");
        assert_eq!(planned["bytes"], bytes.len(), "{name}");
        assert_eq!(known[n]["id"], format!("u{n}"));
        assert_eq!(
            known[n]["picture"]["digest"],
            digest.as_str(),
            "{name}: what is remembered"
        );
    }
    let again = run("plan --detailed-exitcode --refresh full");
    assert!(
        again.stdout.contains("Nothing to do: 3 unchanged"),
        "{}",
        again.shown()
    );
}
