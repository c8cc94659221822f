//! Pictures under attack, with real files: a manifest's author also chooses
//! what lies beside it, and may change it while we look.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use whop_sync::core::digest::Digest;
use whop_sync::core::model::Avatar;
use whop_sync::manifest::{self, Memory, PictureCache};

use crate::manifest::{Folder, picture, told, user};

/// What an outsider's file shows: two pixels wide, which no file inside is.
const SECRET: u32 = 2;

/// A folder that asks for this picture, and has `sub/a.png`.
fn asking(path: &str) -> Folder {
    Folder::with(&user(&format!("    avatar: '{}'\n", path.replace('\'', "''"))))
        .file("sub/a.png", picture::png(1, 1))
}

/// What a load makes of the picture: its width, or the problem's code.
fn outcome(folder: &Folder) -> Result<u32, String> {
    match folder.load() {
        Ok(manifest) => {
            let avatar = manifest.desired.users()[0].avatar.as_ref().unwrap();
            assert_eq!(Digest::of(&manifest.read_picture(avatar).unwrap()), avatar.digest);
            Ok(avatar.width)
        }
        refused @ Err(_) => {
            let told = told(&refused);
            assert_eq!(told.len(), 1, "{told:?}");
            Err(told[0].split('@').next().unwrap().to_owned())
        }
    }
}

#[test]
fn no_link_is_followed_from_the_manifests_folder_on() {
    let outside = Folder::new().file("a.png", picture::png(SECRET, 1));
    let out = outside.0.path().to_str().unwrap();
    let out_file = outside.path("a.png");
    let cases = [
        // The picture itself, inside, outside, nowhere, round in circles.
        ("l.png", "l.png", "sub/a.png"),
        ("sub/l.png", "sub/l.png", "../sub/a.png"),
        ("sub/../l.png", "l.png", "sub/a.png"),
        ("l.png", "l.png", out_file.to_str().unwrap()),
        ("l.png", "l.png", "l.png"),
        ("l.png", "l.png", "nowhere.png"),
        ("l.png", "l.png", "sub"),
        ("l.png", "l.png", "/proc/self/environ"),
        ("l.png", "l.png", "/dev/zero"),
        ("l.png", "l.png", "/dev/stdin"),
        // A folder on the way.
        ("d/a.png", "d", "sub"),
        ("d/deep/../a.png", "d", "sub"),
        ("d/sub/a.png", "d", "."),
        ("d/a.png", "d", out),
        ("d/missing.png", "d", out),
        ("d/a.png", "d", "d"),
        ("d/environ", "d", "/proc/self"),
        ("sub/d/sub/a.png", "sub/d", ".."),
    ];
    for (path, link, target) in cases {
        let folder = asking(path);
        symlink(target, folder.path(link)).unwrap();
        assert_eq!(
            outcome(&folder),
            Err("avatar_link".to_owned()),
            "{path} {link} {target}"
        );
        let refusal = folder.load().unwrap_err();
        let message = &refusal.manifest_problems()[0].message;
        let is_named = message.contains(&format!("`{link}`")) && message.contains("is a symbolic link");
        assert!(is_named, "{path}: {message}");
    }
    // A folder that the path leaves again is not asked for.
    let folder = asking("d/../sub/a.png");
    symlink(out, folder.path("d")).unwrap();
    assert_eq!(outcome(&folder), Ok(1));
    // The path above the folder is the operator's.
    let above = Folder::new();
    symlink(folder.0.path(), above.path("m")).unwrap();
    assert!(above.load_all(&["m/users.yaml"]).is_ok());
}

#[test]
fn pictures_lie_only_so_deep() {
    for (levels, expected) in [(32, Ok(1)), (33, Err("bad_avatar_path".to_owned()))] {
        let path = format!("{}a.png", "d/".repeat(levels));
        let folder = asking(&path).file(&path, picture::png(1, 1));
        assert_eq!(outcome(&folder), expected, "{levels}");
    }
}

/// Stops the other thread, also where this one fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Loads again and again while another thread changes the files, until both
/// outcomes were seen often enough; no load may show the outsider's picture.
fn race(folder: &Folder, change: impl Fn(u32) + Send + Sync) {
    let (stop, changes) = (AtomicBool::new(false), AtomicU32::new(0));
    let (mut shown, mut refused) = (0, 0);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                change(changes.fetch_add(1, Ordering::Relaxed));
            }
        });
        for _ in 0..10_000 {
            match folder.load() {
                Ok(manifest) => {
                    let avatar = manifest.desired.users()[0].avatar.as_ref().unwrap();
                    assert_eq!(avatar.width, 1, "a byte from outside was read");
                    if let Ok(bytes) = manifest.read_picture(avatar) {
                        assert_eq!(bytes, picture::png(1, 1));
                    }
                    shown += 1;
                }
                Err(_) => refused += 1,
            }
            if shown >= 200 && refused >= 200 && changes.load(Ordering::Relaxed) >= 500 {
                break;
            }
        }
    });
    assert!(shown > 0 && refused > 0, "shown {shown}, refused {refused}");
}

#[test]
fn a_file_that_becomes_a_link_and_back_never_shows_the_outside() {
    let outside = Folder::new().file("a.png", picture::png(SECRET, 1));
    let folder = asking("sub/a.png");
    let (file, spare) = (folder.path("sub/a.png"), folder.path("spare"));
    race(&folder, |n| {
        if n % 2 == 0 {
            symlink(outside.path("a.png"), &spare).unwrap();
        } else {
            fs::write(&spare, picture::png(1, 1)).unwrap();
        }
        fs::rename(&spare, &file).unwrap();
    });
}

#[test]
fn a_folder_that_becomes_a_link_and_back_never_shows_the_outside() {
    let outside = Folder::new().file("a.png", picture::png(SECRET, 1));
    let folder = asking("sub/a.png");
    let (sub, away) = (folder.path("sub"), folder.path("away"));
    race(&folder, |n| {
        if n % 2 == 0 {
            fs::rename(&sub, &away).unwrap();
            symlink(outside.0.path(), &sub).unwrap();
        } else {
            fs::remove_file(&sub).unwrap();
            fs::rename(&away, &sub).unwrap();
        }
    });
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting() {
    let special = |what: &str, make: &dyn Fn(&Path)| {
        let folder = asking("b.png");
        make(&folder.path("b.png"));
        assert_eq!(outcome(&folder), Err("avatar_not_file".to_owned()), "{what}");
    };
    let run = |program: &str, arguments: &[&str], path: &Path| {
        let made = Command::new(program).arg(path).args(arguments).output().unwrap();
        made.status.success()
    };
    special("a pipe", &|path| assert!(run("mkfifo", &[], path)));
    special("a socket", &|path| drop(UnixListener::bind(path).unwrap()));
    special("a folder", &|path| fs::create_dir(path).unwrap());
    // Only the administrator can make devices.
    let scratch = Folder::new();
    if run("mknod", &["c", "1", "5"], &scratch.path("try")) {
        special("/dev/zero", &|path| assert!(run("mknod", &["c", "1", "5"], path)));
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let folder = asking("b.png");
    let file = File::create(folder.path("b.png")).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(outcome(&folder), Err("avatar_too_large".to_owned()));
    let message = folder.load().unwrap_err().manifest_problems()[0].message.clone();
    assert!(message.contains("1048576.0 MB"), "{message}");
    // One that grows while it is read never comes in whole.
    let mut start = picture::png(1, 1);
    start.resize(5 * 1024 * 1024 - 4_096, 0);
    let stop = AtomicBool::new(false);
    let file = folder.path("b.png");
    let mut refused = 0;
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                fs::write(&file, &start).unwrap();
                let mut more = OpenOptions::new().append(true).open(&file).unwrap();
                for _ in 0..4 {
                    more.write_all(&[0; 2_048]).unwrap();
                }
            }
        });
        for _ in 0..60 {
            match folder.load() {
                Ok(manifest) => {
                    let avatar: &Avatar = manifest.desired.users()[0].avatar.as_ref().unwrap();
                    assert!(avatar.bytes <= 5 * 1024 * 1024, "{}", avatar.bytes);
                }
                Err(_) => refused += 1,
            }
        }
    });
    assert!(refused > 0);
}

#[test]
fn a_picture_is_what_its_content_is_and_nothing_else() {
    let html = b"<!doctype html><script>alert(1)</script>";
    let then = |mut first: Vec<u8>, second: &[u8]| {
        first.extend(second);
        first
    };
    let mut huge = picture::png(1, 1);
    huge[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    huge[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    // `GIF89a/*`: a script whose width is what `/*` says.
    let script = then(b"GIF89a/*".to_vec(), b"\x01\0\0\0\0*/=1;alert(1)//\x3B");
    let cases: Vec<(&str, Vec<u8>, Result<(), &str>)> = vec![
        // With something else behind: taken as the picture that it also is.
        ("a.png", then(picture::png(1, 1), html), Ok(())),
        ("a.gif", then(picture::gif(), b"=1;alert(1)//"), Ok(())),
        ("a.jpg", then(picture::jpeg(), b"PK\x03\x04"), Ok(())),
        ("a.webp", then(picture::webp(), b"%PDF-1.7"), Ok(())),
        // Under the other's name, or the other way round, or no whole picture.
        ("a.html", then(picture::png(1, 1), html), Err("avatar_extension")),
        (
            "a.png.html",
            then(picture::png(1, 1), html),
            Err("avatar_extension"),
        ),
        ("a.js", then(picture::gif(), b"=1;"), Err("avatar_extension")),
        (
            "a.png",
            then(html.to_vec(), &picture::png(1, 1)),
            Err("avatar_not_image"),
        ),
        (
            "a.jpg",
            then(b"%PDF-1.7\n".to_vec(), &picture::jpeg()),
            Err("avatar_not_image"),
        ),
        ("a.gif", script, Err("avatar_broken")),
        (
            "a.png",
            b"\x89PNG\r\n\x1a\n<script>".to_vec(),
            Err("avatar_broken"),
        ),
        (
            "a.svg",
            b"<svg onload='alert(1)'/>".to_vec(),
            Err("avatar_not_image"),
        ),
        (
            "a.png",
            b"<?xml version='1.0'?><svg/>".to_vec(),
            Err("avatar_not_image"),
        ),
        (
            "a.png",
            b"\x1f\x8bnot a picture".to_vec(),
            Err("avatar_not_image"),
        ),
        ("a.png", huge, Err("avatar_dimensions")),
    ];
    for (name, bytes, expected) in cases {
        let folder = Folder::with(&user(&format!("    avatar: {name}\n"))).file(name, &bytes);
        let expected = expected.map_err(str::to_owned);
        assert_eq!(
            outcome(&folder).map(|_| ()),
            expected,
            "{name} {:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

#[test]
fn a_folder_that_may_be_passed_through_need_not_be_listed() {
    let folder = asking("sub/a.png");
    fs::set_permissions(folder.path("sub"), Permissions::from_mode(0o311)).unwrap();
    assert_eq!(outcome(&folder), Ok(1));
}

#[test]
fn hostile_names_are_refused_or_only_names() {
    for path in [
        "a\\nb.png",
        "a\\r\\nX-Evil: 1.png",
        "a\\0.png",
        "a\\e[31m.png",
        "a\\x7f.png",
        "a\\x85.png",
    ] {
        let folder = Folder::with(&user(&format!("    avatar: \"{path}\"\n")));
        assert_eq!(outcome(&folder), Err("bad_avatar_path".to_owned()), "{path}");
    }
    for path in [
        "con.png",
        "sub/NUL.png",
        "a.png.",
        "a.png ",
        "sub./a.png",
        "sub /a.png",
        "COM1.png",
        "lpt9.x.png",
    ] {
        assert_eq!(
            outcome(&asking(path)),
            Err("bad_avatar_path".to_owned()),
            "{path}"
        );
    }
    for path in [
        "a\"; filename=\"evil.html.png",
        "a'b.png",
        "-rf.png",
        "$(id).png",
        "é\u{202e}gnp.png",
        "%2e%2e%2fa.png",
    ] {
        let folder = asking(path).file(path, picture::png(1, 1));
        assert_eq!(outcome(&folder), Ok(1), "{path}");
    }
}

#[test]
fn many_pictures_keep_to_their_users() {
    // More than one thread takes at a time, in folders taken in turn.
    let lines: String = (0..500)
        .map(|n| {
            let picture = format!("s{}/{}{n}.png", n % 7, if n % 3 == 0 { "./" } else { "" });
            format!("- {{id: u{n}, email: u{n}@a.io, name: N, avatar: {picture}}}\n")
        })
        .collect();
    let text = crate::manifest::users(&lines);
    let folder = (0..500).fold(Folder::with(&text), |folder, n| {
        folder.file(&format!("s{}/{n}.png", n % 7), picture::png(1 + n, 1))
    });
    let manifest = folder.load().unwrap();
    for user in manifest.desired.users() {
        let number: u32 = user.key.as_str()[1..].parse().unwrap();
        assert_eq!(user.avatar.as_ref().unwrap().width, 1 + number);
    }
    fs::remove_file(folder.path("s3/3.png")).unwrap();
    fs::remove_file(folder.path("s4/4.png")).unwrap();
    assert_eq!(
        told(&folder.load()),
        ["avatar_missing@7:45", "avatar_missing@8:45"]
    );
}

/// A JPEG that says where and by whom it was taken, and the same without.
fn telling() -> (Vec<u8>, Vec<u8>) {
    // Without what stands before the frame.
    let clean = [&picture::jpeg()[..2], &picture::jpeg()[8..]].concat();
    let tiff =
        b"MM\0*\0\0\0\x08\0\x02\x01\x3B\0\x02\0\0\0\x04Ann\0\x88\x25\0\x04\0\0\0\x01\0\0\0\x26\0\0\0\0\
        \0\x01\0\x02\0\x05\0\0\0\x01\0\0\0\x38\0\0\0\0\0\0\0\x2F\0\0\0\x01";
    let exif = [b"Exif\0\0", &tiff[..]].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let telling = [&clean[..2], &[0xFF, 0xE1], &length, &exif, &clean[2..]].concat();
    (telling, clean)
}

#[test]
fn what_a_picture_tells_is_warned_about_and_taken_away_where_asked() {
    let (telling, clean) = telling();
    let warned: &[&str] = &["avatar_metadata@"];
    for (all, own, sent, told) in [
        ("", "", &telling, warned),
        ("strip_metadata: false\n", "", &telling, warned),
        ("strip_metadata: true\n", "", &clean, &[]),
        ("", ", strip_metadata: true", &clean, &[]),
        ("", ", strip_metadata: 'true'", &clean, &[]),
        ("strip_metadata: false\n", ", strip_metadata: true", &clean, &[]),
        // Who says so for one picture knows.
        ("", ", strip_metadata: false", &telling, &[]),
        ("strip_metadata: true\n", ", strip_metadata: false", &telling, &[]),
    ] {
        let users = format!("- {{id: a, email: a@a.io, name: A, avatar: a.jpg{own}}}\n");
        let text = format!("{all}{}", crate::manifest::users(&users));
        let folder = Folder::with(&text).file("a.jpg", &telling);
        let manifest = folder.load().unwrap();
        let codes: Vec<_> = manifest
            .warnings
            .iter()
            .map(|warning| format!("{}@", warning.code.name()))
            .collect();
        assert_eq!(codes, told, "{text}");
        for warning in &manifest.warnings {
            assert_eq!(
                warning.message,
                "the avatar `a.jpg` of user `a` says where it was taken and who made it (in EXIF); it will be public"
            );
        }
        let avatar = manifest.desired.users()[0].avatar.as_ref().unwrap();
        assert_eq!(
            (avatar.digest, avatar.bytes),
            (Digest::of(sent), sent.len() as u64),
            "{text}"
        );
        assert_eq!(&manifest.read_picture(avatar).unwrap(), sent, "{text}");
        // Whatever was planned, another picture is not sent.
        fs::write(folder.path("a.jpg"), [&telling[..], b"more"].concat()).unwrap();
        let sent_now = manifest.read_picture(avatar);
        assert_eq!(sent_now.is_ok(), sent == &clean, "{text}");
        fs::write(folder.path("a.jpg"), picture::png(1, 1)).unwrap();
        assert!(manifest.read_picture(avatar).is_err(), "{text}");
    }
}

#[test]
fn two_users_of_one_file_may_send_it_with_and_without() {
    let (telling, clean) = telling();
    let text = crate::manifest::users(
        "- {id: a, email: a@a.io, name: A, avatar: a.jpg, strip_metadata: true}\n\
         - {id: b, email: b@a.io, name: B, avatar: a.jpg}\n",
    );
    let folder = Folder::with(&text).file("a.jpg", &telling);
    let manifest = folder.load().unwrap();
    let digests = manifest
        .desired
        .users()
        .iter()
        .map(|user| user.avatar.as_ref().unwrap().digest);
    assert_eq!(
        digests.collect::<Vec<_>>(),
        [Digest::of(&clean), Digest::of(&telling)]
    );
    assert_eq!(manifest.warnings.len(), 1);
}

#[test]
fn a_switch_is_true_or_false_and_said_once() {
    for (all, own, codes) in [
        ("strip_metadata: yes\n", "", &["bad_strip_metadata@1:17"][..]),
        ("strip_metadata:\n", "", &["empty_value@1:1"]),
        ("strip_metadata: [true]\n", "", &["wrong_type@1:1"]),
        ("strip_metadta: true\n", "", &["unknown_field@1:1"]),
        ("", "    strip_metadata: TRUE\n", &["bad_strip_metadata@7:21"]),
        ("strip_metadata: true\n", "    strip_metadata: false\n", &[]),
    ] {
        let folder = Folder::with(&format!("{all}{}", user(own)));
        let folder_told = told(&folder.load());
        assert_eq!(folder_told.len(), codes.len(), "{all}{own}: {folder_told:?}");
        for (told, code) in folder_told.iter().zip(codes) {
            assert!(told.starts_with(code.split('@').next().unwrap()), "{told} {code}");
        }
    }
    let part = |id: &str, all: &str| format!("{all}users:\n- {{id: {id}, email: {id}@a.io, name: N}}\n");
    let folder = Folder::new()
        .file(
            "m/a.yaml",
            format!(
                "version: 1\ncompany: biz_p\n{}",
                part("a", "strip_metadata: true\n")
            ),
        )
        .file("m/b.yaml", part("b", "strip_metadata: true\n"))
        .file("m/c.yaml", part("c", ""));
    assert!(folder.load_all(&["m"]).is_ok());
    let folder = folder.file("m/d.yaml", part("d", "strip_metadata: false\n"));
    assert_eq!(told(&folder.load_all(&["m"])), ["strip_metadata_differs@1:17"]);
}

#[test]
fn a_flood_of_telling_pictures_is_counted_beside_other_warnings() {
    let (telling, _) = telling();
    let lines: String = (0..30)
        .map(|n| format!("- {{id: u{n}, email: u{n}@example.com, name: N, avatar: a.jpg}}\n"))
        .collect();
    let folder = Folder::with(&crate::manifest::users(&lines)).file("a.jpg", &telling);
    let warnings = folder.load().unwrap().warnings;
    let of = |code: &str| {
        warnings
            .iter()
            .filter(|warning| warning.code.name() == code)
            .count()
    };
    assert_eq!(
        (of("avatar_metadata"), of("reserved_email"), of("more")),
        (20, 20, 2)
    );
    let messages: Vec<_> = warnings[40..]
        .iter()
        .map(|warning| warning.message.as_str())
        .collect();
    assert_eq!(
        messages,
        [
            "… and 10 more addresses at reserved domains",
            "… and 10 more pictures with metadata"
        ]
    );
}

/// A memory of a time when every file is old.
fn memory(index: PictureCache) -> Memory {
    Memory {
        index,
        now: i64::MAX,
        read: 0,
    }
}

#[test]
fn an_unchanged_picture_is_not_read_again_and_a_changed_one_is() {
    let (telling, clean) = telling();
    let text = crate::manifest::users(
        "- {id: a, email: a@a.io, name: A, avatar: a.jpg, strip_metadata: true}\n\
         - {id: b, email: b@a.io, name: B, avatar: a.jpg}\n\
         - {id: c, email: c@a.io, name: C, avatar: s/c.png}\n\
         - {id: d, email: d@a.io, name: D, avatar: link.png}\n",
    );
    let folder = Folder::with(&text)
        .file("a.jpg", &telling)
        .file("s/c.png", picture::png(3, 3));
    fs::hard_link(folder.path("s/c.png"), folder.path("link.png")).unwrap();
    let paths = [folder.path("users.yaml")];
    let plain = manifest::load(&paths).unwrap();
    let mut index = PictureCache::default();
    // Read, remembered through a file, recalled, and without.
    for (reads, bytes) in [(4, None), (0, Some(i64::MAX)), (4, Some(0)), (0, Some(i64::MAX))] {
        let kept = bytes.map(|written| PictureCache::parse(&index.to_bytes(), written));
        let mut memory = memory(kept.unwrap_or_default());
        let loaded = manifest::load_with(&paths, &mut memory).unwrap();
        assert_eq!(memory.read, reads);
        assert_eq!(loaded.desired, plain.desired);
        assert_eq!(loaded.warnings, plain.warnings);
        let first = loaded.desired.users()[0].avatar.as_ref().unwrap();
        assert_eq!(first.digest, Digest::of(&clean));
        // The picture behind both names is one.
        assert_eq!(memory.index.len(), 3);
        index = memory.index;
    }
    // Another content of the same size under the old time: only what nobody
    // can set tells.
    let path = folder.path("s/c.png");
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, picture::png(4, 3)).unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(before)
        .unwrap();
    let mut changed = memory(index.clone());
    let loaded = manifest::load_with(&paths, &mut changed).unwrap();
    assert_eq!(loaded.desired.users()[2].avatar.as_ref().unwrap().width, 4);
    assert_eq!(changed.read, 2);
    // One that is gone or is a link is so with an index, too.
    fs::remove_file(folder.path("link.png")).unwrap();
    assert_eq!(
        told(&manifest::load_with(&paths, &mut memory(index.clone()))).len(),
        1 + 1
    );
    symlink("s/c.png", folder.path("link.png")).unwrap();
    let refused = manifest::load_with(&paths, &mut memory(index));
    assert!(told(&refused).iter().any(|told| told.starts_with("avatar_link")));
}

#[test]
fn a_file_too_young_is_read_every_time() {
    let folder = asking("sub/a.png");
    let paths = [folder.path("users.yaml")];
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let mut young = Memory {
        now: now.as_nanos() as i64,
        ..memory(PictureCache::default())
    };
    for _ in 0..2 {
        manifest::load_with(&paths, &mut young).unwrap();
        assert_eq!((young.read, young.index.len()), (1, 0));
    }
}

#[test]
fn an_index_that_lies_sends_nothing_else() {
    let folder = asking("sub/a.png").file("other.png", picture::png(1, 1));
    let paths = [folder.path("users.yaml")];
    let mut honest = memory(PictureCache::default());
    manifest::load_with(&paths, &mut honest).unwrap();
    // Whoever can write the index can seal it.
    let mut bytes = honest.index.to_bytes();
    let digest = bytes.len() - 64;
    bytes[digest] ^= 1;
    let seal = bytes.len() - 32;
    let sum = *Digest::of(&bytes[..seal]).as_bytes();
    bytes[seal..].copy_from_slice(&sum);
    let mut lied = memory(PictureCache::parse(&bytes, i64::MAX));
    let manifest = manifest::load_with(&paths, &mut lied).unwrap();
    assert_eq!(lied.read, 0, "it was believed");
    let avatar = manifest.desired.users()[0].avatar.as_ref().unwrap();
    assert_ne!(avatar.digest, Digest::of(&picture::png(1, 1)));
    let refusal = manifest.read_picture(avatar).unwrap_err();
    assert!(
        refusal.message().contains("changed since it was checked"),
        "{refusal}"
    );
    assert!(
        refusal
            .what_to_do()
            .is_some_and(|hint| hint.contains("--no-cache")),
        "{refusal:?}"
    );
}
