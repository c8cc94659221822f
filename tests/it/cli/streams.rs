//! stdout, stderr and colour.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use super::{EXAMPLE, Place, Running};
use crate::golden::golden;

/// A manifest too large for a pipe's buffer to swallow its plan.
fn large() -> Place {
    let users = (0..3_000).map(|n| format!("  - {{ id: u{n}, email: u{n}@acme.dev, name: User {n} }}\n"));
    Place::with(&format!(
        "version: 1\ncompany: biz_Acme\nusers:\n{}",
        users.collect::<String>()
    ))
}

#[test]
fn a_reader_who_leaves_is_a_quiet_end() {
    let place = large();
    for format in ["human", "json"] {
        let line = format!("plan --server emulator --format {format}");
        let mut command = place.command(&line);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let mut process = Running(child);
        let mut first = String::new();
        stdout.read_line(&mut first).unwrap();
        assert!(!first.is_empty());
        drop(stdout);
        let mut told = String::new();
        stderr.read_to_string(&mut told).unwrap();
        assert_eq!(
            (told.as_str(), process.0.wait().unwrap().code()),
            ("", Some(0)),
            "{format}"
        );
    }
}

#[test]
fn every_command_ends_as_ever_where_nobody_reads() {
    let place = Place::example();
    place.expect(0, &format!("apply -f {EXAMPLE} --server emulator --yes -q"));
    for line in [
        "validate",
        "plan",
        "plan --format json",
        "apply --yes",
        "drift",
        "show",
        "show --format csv",
        "explain user_10001",
        "export",
        "doctor",
        "schema",
        "completions zsh",
        "man",
        "man plan",
        "--help",
        "apply --help",
        "--version",
    ] {
        let mut line = line.to_owned();
        if !["schema", "completions", "man", "--"]
            .iter()
            .any(|word| line.contains(word))
            || line.contains("--yes")
        {
            line += &format!(" -f {EXAMPLE} -q");
            if !line.starts_with("validate") {
                line += " --server emulator";
            }
        }
        let usual = place.run(&line);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let unread = place.command(&line).stdout(writer).output().unwrap();
        let told = String::from_utf8(unread.stderr).unwrap();
        assert_eq!(
            (told.as_str(), unread.status.code()),
            (usual.stderr.as_str(), Some(usual.status)),
            "{line}"
        );
    }
}

/// A text without its colour escapes.
fn plain(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        out += part.split_once('m').unwrap().1;
    }
    out
}

#[test]
fn colour_adds_escapes_and_nothing_else() {
    let place = Place::example().file("bad.yaml", "version: 1\ncompany: biz_Acme\nusers: 3\n");
    for (line, status) in [
        (format!("plan -f {EXAMPLE} --server emulator"), 0),
        (format!("plan -f {EXAMPLE} --server emulator --only nobody"), 64),
        ("validate -f bad.yaml".to_owned(), 7),
        (format!("validate -f {EXAMPLE}"), 0),
        ("plan --help".to_owned(), 0),
    ] {
        let never = place.expect(status, &format!("{line} --color never"));
        let always = place.expect(status, &format!("{line} --color always"));
        let both = format!("{}{}", always.stdout, always.stderr);
        assert!(both.contains("\u{1b}["), "{}", always.shown());
        assert_eq!(plain(&always.stdout), never.stdout, "{line}");
        assert_eq!(plain(&always.stderr), never.stderr, "{line}");
        assert_eq!(
            place.expect(status, &line).stdout,
            never.stdout,
            "a pipe has no colour"
        );
    }
}

#[test]
fn the_environment_chooses_colour_and_the_option_wins() {
    let place = Place::example();
    let line = format!("plan -q -f {EXAMPLE} --server emulator");
    let coloured =
        |line: &str, variables: &[(&str, &str)]| place.run_with(line, variables).stdout.contains('\u{1b}');
    assert!(coloured(&line, &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&line, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(coloured(&format!("{line} --color always"), &[("NO_COLOR", "1")]));
    assert!(!coloured(
        &format!("{line} --color never"),
        &[("CLICOLOR_FORCE", "1")]
    ));
}

#[test]
fn quiet_leaves_out_warnings_and_never_errors() {
    let place = Place::example();
    let line = format!("validate -f {EXAMPLE}");
    let (loud, quiet) = (place.expect(0, &line), place.expect(0, &format!("{line} -q")));
    assert!(
        loud.stderr.contains("warning[reserved_email]"),
        "{}",
        loud.shown()
    );
    assert_eq!((quiet.stderr.as_str(), &quiet.stdout), ("", &loud.stdout));
    let wrong = place.expect(7, "validate -q");
    assert!(wrong.stderr.contains("there is no manifest"), "{}", wrong.shown());
}

#[test]
fn help_and_version() {
    let place = Place::new();
    for line in ["--help", "-h", "help apply", "plan --help"] {
        let ran = place.expect(0, line);
        assert!(
            ran.stdout.contains("Usage: whop-sync") && ran.stderr.is_empty(),
            "{}",
            ran.shown()
        );
        assert!(
            ran.stdout.lines().all(|text| text.chars().count() <= 100),
            "{}",
            ran.shown()
        );
    }
    golden("cli/help.txt", &place.expect(0, "--help").shown());
    let version = format!("whop-sync {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(place.expect(0, "--version").stdout, version);
    let bare = place.expect(64, "");
    assert!(bare.stderr.contains("Usage: whop-sync"), "{}", bare.shown());
}
