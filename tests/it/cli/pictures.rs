//! What of a picture's file reaches Whop: its bytes, and nothing that a
//! manifest says.

use super::*;
use crate::manifest::picture;

#[test]
fn a_name_in_the_manifest_is_no_name_on_whop() {
    let names = [
        ("a\"; filename=\"evil.html.png", picture::png(1, 1), "image/png"),
        ("X-Evil: 1.gif", picture::gif(), "image/gif"),
        ("$(id).jpg", picture::jpeg(), "image/jpeg"),
        ("é\u{202e}pbew.webp", picture::webp(), "image/webp"),
    ];
    let mut manifest = "version: 1\ncompany: biz_p\nusers:\n".to_owned();
    let mut place = Place::new();
    for (n, (name, bytes, _)) in names.iter().enumerate() {
        // Each is a web page as well.
        let bytes = [bytes, &b"<script>alert(1)</script>"[..]].concat();
        place = place.file(name, bytes);
        manifest += &format!("- {{id: u{n}, email: u{n}@a.io, name: N, avatar: '{name}'}}\n");
    }
    let place = place.file("users.yaml", manifest);
    let log = place.path("exchanges.jsonl");
    let variables = [(EXCHANGES, log.to_str().unwrap())];
    let ran = place.run_with("apply --server emulator --yes", &variables);
    assert_eq!(ran.status, 0, "{}", ran.shown());
    let log = fs::read_to_string(log).unwrap();
    let sent: Vec<&str> = log.lines().filter(|line| line.contains("filename")).collect();
    assert!(sent.len() >= 4, "{log}");
    for line in log.lines() {
        for word in ["evil", "X-Evil", "$(id)", "\u{202e}", "pbew", "text/html"] {
            assert!(!line.contains(word), "{word} in {line}");
        }
    }
    for (_, _, media) in names {
        assert!(log.contains(media), "{media} in {log}");
    }
}

#[test]
fn whatever_stands_in_the_place_of_what_is_remembered_does_no_harm() {
    use std::os::unix::fs::symlink;

    let text = "version: 1\ncompany: biz_p\nusers:\n- {id: u, email: u@a.io, name: N, avatar: a.png}\n";
    let index = ".whop-sync/users.mapping.pictures";
    type Make = fn(&Place, &Path);
    let makers: [(&str, Make); 5] = [
        ("garbage", |_, path| {
            fs::write(path, b"whop-sync pictures 1\n\0\0\0garbage").unwrap()
        }),
        ("nothing", |_, path| fs::write(path, b"").unwrap()),
        ("a folder", |_, path| fs::create_dir(path).unwrap()),
        ("a pipe", |_, path| {
            assert!(Command::new("mkfifo").arg(path).status().unwrap().success())
        }),
        ("a link", |place, path| {
            symlink(place.path("users.yaml"), path).unwrap()
        }),
    ];
    for (what, make) in makers {
        let place = Place::with(text)
            .file("a.png", picture::png(1, 1))
            .file(".whop-sync/keep", "");
        make(&place, &place.path(index));
        for line in [
            "validate --server emulator",
            "plan --server emulator",
            "apply --server emulator --yes",
            "plan --server emulator --detailed-exitcode",
            "plan --server emulator --detailed-exitcode --no-cache",
        ] {
            let ran = place.run(line);
            assert_eq!(ran.status, 0, "{what}: {}", ran.shown());
        }
        assert_eq!(place.read("users.yaml"), text.as_bytes(), "{what}");
    }
}

#[test]
fn only_apply_remembers_pictures() {
    let text = "version: 1\ncompany: biz_p\nusers:\n- {id: u, email: u@a.io, name: N, avatar: a.png}\n";
    let place = Place::with(text).file("a.png", picture::png(1, 1));
    let remembered = || {
        let folder = fs::read_dir(place.path(".whop-sync")).into_iter().flatten();
        let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains("pictures")).collect::<Vec<_>>()
    };
    for line in ["validate", "plan --server emulator", "drift --server emulator"] {
        place.run(line);
        assert!(remembered().is_empty(), "{line}");
    }
    // Until the picture is old enough, it does not either.
    let mut runs = 0;
    while remembered().is_empty() {
        place.expect(0, "apply --server emulator --yes");
        runs += 1;
        assert!(runs < 2_000);
    }
    assert_eq!(remembered(), ["users.mapping.pictures"]);
    let before = place.read(".whop-sync/users.mapping.pictures");
    place.expect(0, "apply --server emulator --yes");
    assert_eq!(place.read(".whop-sync/users.mapping.pictures"), before);
    // What is remembered is believed, and what has changed since is noticed.
    fs::write(place.path("a.png"), picture::png(2, 1)).unwrap();
    place.expect(2, "plan --server emulator --detailed-exitcode");
    place.expect(0, "apply --server emulator --yes");
    place.expect(0, "plan --server emulator --detailed-exitcode");
}
