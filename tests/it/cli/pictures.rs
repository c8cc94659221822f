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
