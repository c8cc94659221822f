//! What people get wrong, or find wrong: each time a message that says what
//! to do, the right exit status, nothing written, and nothing lost.

use std::net::{Ipv4Addr, TcpListener};

use super::{EXAMPLE, Place, Served};
use crate::golden::golden;

/// One user without a picture.
const ONE: &str = "version: 1
company: biz_Acme
users:
  - id: u1
    email: jane@acme.dev
    name: Jane
";

/// One user with this picture.
fn pictured(path: &str) -> String {
    format!("{ONE}    avatar: {path}\n")
}

/// Many mishaps, told in one golden file.
#[derive(Default)]
struct Mishaps(String);

impl Mishaps {
    /// Runs a line that must fail so, without a panic, a secret or a trace.
    #[track_caller]
    fn add(&mut self, what: &str, place: &Place, status: i32, line: &str, variables: &[(&str, &str)]) {
        let before = place.files();
        let ran = place.run_with(line, variables);
        let shown = ran.shown();
        assert_eq!(ran.status, status, "{what}\n{shown}");
        assert_eq!(place.files(), before, "{what}: something was written\n{shown}");
        assert!(
            !shown.contains("panicked") && !shown.contains("s3cret"),
            "{shown}"
        );
        assert!(ran.stderr.contains("error"), "{shown}");
        assert!(
            what_to_do(&ran.stderr),
            "{what}: it does not say what to do\n{shown}"
        );
        self.0 += &format!("# {what}\n\n{}\n", ran.steady());
    }

    fn finish(self, name: &str) {
        golden(name, &self.0);
    }
}

#[test]
fn a_served_emulator_takes_no_address_that_no_mail_reaches_unless_told_to() {
    let place = Place::with(&ONE.replace("acme.dev", "example.com"));
    let key = [("WHOP_API_KEY", "any")];
    for (served, status) in [(Served::begin(""), 5), (Served::start(""), 0)] {
        let line = format!("apply --yes -q --mapping {status}.jsonl --server {}", served.base);
        let ran = place.run_with(&line, &key);
        assert_eq!(ran.status, status, "{}", ran.shown());
        let refused = ran.stdout.contains("does not accept incoming mail");
        assert_eq!(refused, status == 5, "{}", ran.shown());
    }
}

#[test]
fn no_custom_key_of_the_emulators_can_hold_what_whop_gives_to_none() {
    let place = Place::new();
    let ran = place.run("emulator --port 0 --key ci=user:profile:update");
    assert_eq!(ran.status, 64, "{}", ran.shown());
    for part in ["no custom key can hold `user:profile:update`", "role:owner"] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.shown());
    }
}

/// Whether a message says what to do, or what is possible.
fn what_to_do(stderr: &str) -> bool {
    ["help: ", "tip: ", "For more information, try", " must be "]
        .iter()
        .any(|sign| stderr.contains(sign))
}

#[test]
fn keys() {
    let served = Served::start("--key good=role:owner --key poor=company:balance:read,payout:account:read");
    let place = Place::with(ONE)
        .secret("empty.key", "\n")
        .secret("quoted.key", "\"s3cret\"");
    let at = format!("--server {}", served.base);
    let mut told = Mishaps::default();
    let plan = format!("plan {at}");
    told.add("no key", &place, 1, &plan, &[]);
    told.add("no key, for production", &place, 1, "plan", &[]);
    told.add("an empty key", &place, 1, &plan, &[("WHOP_API_KEY", "")]);
    told.add(
        "an empty file",
        &place,
        1,
        &format!("{plan} --api-key-file empty.key"),
        &[],
    );
    told.add(
        "a missing file",
        &place,
        1,
        &format!("{plan} --api-key-file nowhere.key"),
        &[],
    );
    told.add(
        "a key in quotes",
        &place,
        1,
        &format!("{plan} --api-key-file quoted.key"),
        &[],
    );
    told.add(
        "a key with its name",
        &place,
        1,
        &plan,
        &[("WHOP_API_KEY", "Bearer s3cret")],
    );
    told.add(
        "a key on the command line",
        &place,
        64,
        &format!("{plan} --api-key x"),
        &[],
    );
    told.add("a wrong key", &place, 1, &plan, &[("WHOP_API_KEY", "s3cret")]);
    told.add(
        "a wrong key to apply",
        &place,
        1,
        &format!("apply --yes {at}"),
        &[("WHOP_API_KEY", "s3cret")],
    );
    told.add(
        "a key that may not create",
        &place,
        1,
        &format!("apply --yes -q {at}"),
        &[("WHOP_API_KEY", "poor")],
    );
    told.finish("cli/bad_keys.txt");
}

#[test]
fn companies_and_versions() {
    let served = Served::start("");
    let (mine, other) = (
        Place::with(ONE),
        Place::with(&ONE.replace("biz_Acme", "biz_Other")),
    );
    let at = format!("--server {}", served.base);
    let key = [("WHOP_API_KEY", "any")];
    assert_eq!(
        mine.run_with(&format!("plan {at}"), &key).status,
        0,
        "the key is biz_Acme's now"
    );
    let mut told = Mishaps::default();
    told.add(
        "the company is not the key's",
        &other,
        1,
        &format!("plan {at}"),
        &key,
    );
    told.add(
        "the company is not the key's, to apply",
        &other,
        1,
        &format!("apply --yes {at}"),
        &key,
    );
    let unknown = format!("plan {at} --api-version 2026-10-15-99");
    told.add("a version the server does not know", &mine, 1, &unknown, &key);
    told.add(
        "a version too old",
        &mine,
        64,
        &format!("plan {at} --api-version 2026-06-08"),
        &key,
    );
    told.add(
        "a version that is none",
        &mine,
        64,
        &format!("plan {at} --api-version latest"),
        &key,
    );
    told.add(
        "plain http to elsewhere",
        &mine,
        64,
        "plan --server http://whop.example/api/v1",
        &key,
    );
    told.add("a server that is none", &mine, 64, "plan --server moon", &key);
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    // Retries of a refused connection would take a while; this is about words.
    let gone = format!("validate --server http://127.0.0.1:{port}/api/v1");
    assert_eq!(mine.run(&gone).status, 0, "validate needs no server");
    told.finish("cli/bad_servers.txt");
}

#[test]
fn mappings() {
    let header = |format: &str, version: u32, company: &str, server: &str| {
        format!(
            "{{\"format\":\"{format}\",\"version\":{version},\"company\":\"{company}\",\"server\":\"{server}\",\"generation\":1}}\n"
        )
    };
    let name = "whop-sync mapping";
    // What a real one looks like, so that the bad ones are bad in one way only.
    let real = Place::with(ONE);
    real.expect(0, "apply --server emulator --yes");
    let text = String::from_utf8(real.read(".whop-sync/users.mapping.jsonl")).unwrap();
    let (first, user) = text.split_once('\n').unwrap();
    let plain = header(name, 1, "biz_Acme", "emulator");
    let plain = plain.trim_end().trim_end_matches('}');
    assert!(first.starts_with(&format!("{plain},\"applied\":{{")), "{first}");

    let mut told = Mishaps::default();
    for (what, content) in [
        ("not a mapping", "hello\n".to_owned()),
        ("an empty file", String::new()),
        (
            "another format",
            header("shopping list", 1, "biz_Acme", "emulator"),
        ),
        ("a merge conflict", format!("{first}\n<<<<<<< HEAD\n{user}")),
        ("cut in the middle", text[..text.len() - 20].to_owned()),
        ("twice the same user", format!("{text}{user}")),
        ("another company's", header(name, 1, "biz_Other", "emulator")),
        ("another server's", header(name, 1, "biz_Acme", "sandbox")),
        ("a newer version's", header(name, 2, "biz_Acme", "emulator")),
    ] {
        let place = Place::with(ONE).file("m.jsonl", content);
        for command in ["plan", "apply --yes"] {
            let line = format!("{command} --server emulator --mapping m.jsonl");
            if command == "plan" {
                told.add(what, &place, 1, &line, &[]);
            } else {
                Mishaps::default().add(what, &place, 1, &line, &[]);
            }
        }
    }
    let folder = Place::with(ONE).file("m.jsonl/inside", "");
    let ran = folder.expect(1, "plan --server emulator --mapping m.jsonl");
    assert!(ran.stderr.contains("could not read `m.jsonl`"), "{}", ran.shown());
    told.add("no mapping to show", &Place::with(ONE), 1, "show", &[]);
    told.add(
        "a user it does not have",
        &real,
        64,
        "show u9 --server emulator",
        &[],
    );
    told.finish("cli/bad_mappings.txt");
}

#[test]
fn manifests() {
    let mut told = Mishaps::default();
    let mut add = |what: &str, place: &Place| {
        told.add(what, place, 7, "validate", &[]);
        // The same by every command that reads it.
        Mishaps::default().add(what, place, 7, "plan --server emulator", &[]);
        Mishaps::default().add(what, place, 7, "apply --yes --server emulator", &[]);
    };
    add("no manifest", &Place::new());
    add("an empty manifest", &Place::with(""));
    add("only a comment", &Place::with("# later\n"));
    add(
        "not UTF-8",
        &Place::new().file("users.yaml", b"version: 1\nname: J\xe9r\xf4me\n"),
    );
    add(
        "UTF-16",
        &Place::new().file("users.yaml", b"\xff\xfev\0e\0r\0s\0"),
    );
    add("not YAML", &Place::with("version: 1\nusers: [\n"));
    let deep = format!("{ONE}    metadata: {}{}\n", "{a: ".repeat(60), "}".repeat(60));
    add("sixty levels", &Place::with(&deep));
    add("an alias bomb", &Place::with(&bomb()));
    add(
        "a user too many",
        &Place::with(&format!("{ONE}{}", &ONE[ONE.find("  - id").unwrap()..])),
    );
    let three = ONE
        .replace("name: Jane", "nmae: Jane\n    titel: Dr")
        .replace("jane@acme.dev", "jane at acme.dev");
    add("several mistakes", &Place::with(&three));
    told.finish("cli/bad_manifests.txt");
}

/// A text whose aliases would expand to thousands of millions of words.
fn bomb() -> String {
    let mut text = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for n in 1..10 {
        let below = format!("*a{}", n - 1);
        text += &format!("a{n}: &a{n} [{}]\n", [below.as_str(); 9].join(", "));
    }
    format!("{ONE}    metadata: {{ x: *a9 }}\n").replacen("users:", &format!("{text}users:"), 1)
}

#[test]
fn pictures() {
    let png = Place::example().read("examples/avatars/on.png");
    let mut told = Mishaps::default();
    let mut add = |what: &str, place: &Place| told.add(what, place, 7, "validate", &[]);
    let with = |path: &str| Place::with(&pictured(path));
    add("a picture that is missing", &with("faces/jane.png"));
    add("a folder", &with("faces").file("faces/jane.png", &png));
    add("an absolute path", &with("/etc/hostname"));
    add("a path that climbs out", &with("../jane.png"));
    add(
        "text named .png",
        &with("jane.png").file("jane.png", "hello, I am a picture\n"),
    );
    add("cut short", &with("jane.png").file("jane.png", &png[..20]));
    add("empty", &with("jane.png").file("jane.png", ""));
    add(
        "another format than its name",
        &with("jane.jpg").file("jane.jpg", &png),
    );
    let mut large = png.clone();
    large.resize(5 * 1024 * 1024 + 1, 0);
    add("over the limit", &with("jane.png").file("jane.png", &large));
    #[cfg(unix)]
    {
        let outside = Place::new().file("secret.png", &png);
        let place = with("jane.png");
        std::os::unix::fs::symlink(outside.path("secret.png"), place.path("jane.png")).unwrap();
        let ran = place.expect(7, "validate");
        assert!(ran.stderr.contains("is a symbolic link"), "{}", ran.shown());
    }
    told.finish("cli/bad_pictures.txt");
}

#[test]
fn command_lines() {
    let place = Place::example();
    let mut told = Mishaps::default();
    let example = format!("-f {EXAMPLE} --server emulator");
    told.add(
        "no terminal and no --yes",
        &place,
        64,
        &format!("apply {example}"),
        &[],
    );
    told.add(
        "an unknown user",
        &place,
        64,
        &format!("plan {example} --only user_1"),
        &[],
    );
    told.add(
        "an unknown user that is nearly one",
        &place,
        64,
        &format!("plan {example} --only user_1O001"),
        &[],
    );
    told.add("an unknown command", &place, 64, "aply", &[]);
    told.add("an unknown option", &place, 64, "plan --serve emulator", &[]);
    told.add(
        "a guardrail that is none",
        &place,
        64,
        "plan --allow everything",
        &[],
    );
    told.add(
        "a variable that is wrong",
        &place,
        64,
        "plan",
        &[("WHOP_SYNC_SERVER", "moon")],
    );
    told.add("CSV of a plan", &place, 64, "plan --format csv", &[]);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let before = place.expect(1, &format!("emulator --port {port} --state e.jsonl"));
    assert!(
        before.stderr.contains("could not listen on 127.0.0.1:"),
        "{}",
        before.shown()
    );
    assert!(before.stderr.contains("--port 0"), "{}", before.shown());
    told.finish("cli/bad_lines.txt");
}
