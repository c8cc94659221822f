//! Every kind of problem that a manifest can have, by an example: it is shown
//! with its line and what on it is meant, says what to do, and stands at the
//! same place in JSON, as a workflow command and in SARIF. A kind without an
//! example here fails the test.

use std::collections::BTreeSet;

use serde_json::Value;
use whop_sync::core::problem_code::ProblemCode;

use super::Place;
use crate::golden::golden;
use crate::manifest::{picture, user, users};

/// What an example's text has around the part that its problem is about.
const MARKS: (&str, &str) = ("«", "»");

/// An example: the kind, and the files that have the problem. One of them has
/// the marks.
type Lesson = (&'static str, Vec<(&'static str, Vec<u8>)>);

/// An example of one manifest.
fn text(code: &'static str, manifest: &str) -> Lesson {
    (code, vec![("users.yaml", manifest.as_bytes().to_vec())])
}

/// An example of one picture.
fn pictured(code: &'static str, path: &str, bytes: impl Into<Vec<u8>>) -> Lesson {
    let manifest = user(&format!("    avatar: «{path}»\n"));
    (
        code,
        vec![
            ("users.yaml", manifest.into_bytes()),
            ("keep/a.txt", Vec::new()),
            ("jane.png", bytes.into()),
        ],
    )
}

/// An example of two files.
fn parts(code: &'static str, first: &str, second: &str) -> Lesson {
    let part = |text: &str, id: &str| {
        let users = format!("users:\n  - {{id: {id}, email: {id}@a.io, name: N}}\n");
        format!("version: 1\n{text}{users}").into_bytes()
    };
    (
        code,
        vec![("m/a.yaml", part(first, "a")), ("m/b.yaml", part(second, "b"))],
    )
}

/// A JPEG with this comment.
fn commented() -> Vec<u8> {
    let jpeg = picture::jpeg();
    [&jpeg[..2], b"\xFF\xFE\x00\x09for Ann", &jpeg[2..]].concat()
}

/// What no file is known to provoke: taking notes away checks its own work,
/// and `picture::strip` tests that a picture that is whole passes.
const UNPROVOKED: &str = "avatar_not_stripped";

fn lessons() -> Vec<Lesson> {
    let line = |id: &str, rest: &str| format!("  - {{id: {id}, {rest}}}\n");
    let deep = format!("version: 1\nx: {}«[»[]]{}\n", "[".repeat(49), "]".repeat(49));
    let bomb = format!(
        "version: 1\ncompany: biz_p\nusers:\n- name: &a {}\n- name: «*a»\n{}",
        "x".repeat(100_000),
        "- name: *a\n".repeat(50_000)
    );
    let directives: String = (0..100).map(|n| format!("%TAG !a{n}! x\n")).collect();
    let many: String = (0..25)
        .map(|n| {
            let email = format!("u{n}@example.com");
            let email = if n == 19 { format!("«{email}»") } else { email };
            line(&format!("u{n}"), &format!("email: {email}, name: N"))
        })
        .collect();
    let large = format!("    metadata: {{ note: {} }}\n", "x".repeat(17_000));
    let png = picture::png(1, 1);
    vec![
        text("alias_bomb", &bomb),
        pictured("avatar_broken", "jane.png", picture::png(0, 1)),
        pictured("avatar_dimensions", "jane.png", picture::png(5000, 1)),
        pictured("avatar_empty", "jane.png", ""),
        pictured("avatar_extension", "jane.png", picture::gif()),
        // A link to itself, which is made below.
        pictured("avatar_link", "loop.png", png.clone()),
        (
            "avatar_metadata",
            vec![
                ("users.yaml", user("    avatar: «jane.jpg»\n").into_bytes()),
                ("jane.jpg", commented()),
            ],
        ),
        pictured("avatar_missing", "Jane.png", png.clone()),
        pictured("avatar_not_file", "keep", png.clone()),
        pictured("avatar_not_image", "jane.png", "<svg/>"),
        pictured("avatar_outside", "../jane.png", png.clone()),
        pictured("avatar_too_large", "jane.png", vec![0; 5 << 20 | 1]),
        pictured("avatar_truncated", "jane.png", &png[..20]),
        // More bytes than a file's name can have, in few enough letters to be
        // shown whole.
        pictured(
            "avatar_unreadable",
            &format!("{}.png", "𝒙".repeat(64)),
            png.clone(),
        ),
        text("bad_avatar_path", &user("    avatar: «'jane.png '»\n")),
        text("bad_company", "version: 1\ncompany: «acme»\nusers: []\n"),
        text("bad_email", &users(&line("a", "email: «jane at a.io», name: A"))),
        text(
            "bad_guardrail",
            "version: 1\ncompany: biz_p\nguardrails: {max_creates: «many»}\nusers: []\n",
        ),
        text("bad_id", &users(&line("«100%»", "email: a@a.io, name: A"))),
        text("bad_key", &user("    «[title, name]»: A\n")),
        text("bad_metadata", &user("    metadata: {tier: «\"a\\0\"»}\n")),
        text("bad_name", &users(&line("a", "email: a@a.io, name: «' Jane'»"))),
        text("bad_renamed_from", &user("    renamed_from: «''»\n")),
        text("bad_strip_metadata", &user("    strip_metadata: «maybe»\n")),
        text("bad_title", &user("    title: «''»\n")),
        text("bad_version", "version: «2»\ncompany: biz_p\nusers: []\n"),
        text("bad_yaml", "version: 1\n«\t»company: biz_p\n"),
        parts("company_differs", "company: biz_p\n", "company: «biz_q»\n"),
        text(
            "company_twice",
            "version: 1\naccount: biz_p\n«company»: biz_p\nusers: []\n",
        ),
        text(
            "duplicate_email",
            &users(&(line("a", "email: j@a.io, name: A") + &line("b", "email: «J@A.io», name: B"))),
        ),
        text(
            "duplicate_id",
            &users(&(line("a", "email: a@a.io, name: A") + &line("«a»", "email: b@a.io, name: B"))),
        ),
        text(
            "duplicate_rename",
            &users(
                &(line("a", "email: a@a.io, name: A, renamed_from: x")
                    + &line("b", "email: b@a.io, name: B, renamed_from: «x»")),
            ),
        ),
        text("empty_manifest", "«»# Later\n"),
        text("empty_user", &users("  -«»\n")),
        text("empty_users", "version: 1\ncompany: biz_p\n«users»:\n"),
        text("empty_value", &user("    «title»:\n")),
        parts(
            "guardrail_differs",
            "company: biz_p\nguardrails: {max_creates: 1}\n",
            "guardrails: {max_creates: «2»}\n",
        ),
        text("merge_key", &user("    «<<»: {title: A}\n")),
        text(
            "metadata_too_large",
            &user(&large.replace("metadata", "«metadata»")),
        ),
        text("missing_field", &users("  - «id»: a\n    name: A\n")),
        text("more", &users(&many)),
        (
            "not_utf8",
            vec![(
                "users.yaml",
                b"version: 1\ncompany: J\xC2\xAB\xF6\xC2\xBBrg\n".to_vec(),
            )],
        ),
        text(
            "hidden_text",
            &format!("version: 1\ncompany: biz_p\nusers: [] #{}«x»\n", " ".repeat(200)),
        ),
        text(
            "odd_character",
            "version: 1\ncompany: biz_p«\u{2028}»\nusers: []\n",
        ),
        text(
            "rename_of_present",
            &users(
                &(line("a", "email: a@a.io, name: A")
                    + &line("b", "email: b@a.io, name: B, renamed_from: «a»")),
            ),
        ),
        text("repeated_field", &user("    «name»: B\n")),
        text(
            "reserved_email",
            &users(&line("a", "email: «a@example.com», name: A")),
        ),
        text("reserved_metadata", &user("    metadata: {«external_id»: x}\n")),
        text("several_documents", "version: 1\n«---»\nusers: []\n"),
        parts(
            "strip_metadata_differs",
            "company: biz_p\nstrip_metadata: true\n",
            "strip_metadata: «false»\n",
        ),
        text("too_deep", &deep),
        text(
            "too_many_directives",
            &format!("{directives}---\nversion: 1\n").replacen("%TAG !a16", "«%»TAG !a16", 1),
        ),
        text(
            "unknown_field",
            &users("  - id: a\n    email: a@a.io\n    «nmae»: A\n"),
        ),
        text("unknown_tag", &user("    title: «!env T»\n")),
        text("wrong_type", &user("    «title»: [A]\n")),
    ]
}

/// Where the marked text stands, once the marks are gone.
#[derive(Debug, PartialEq, Eq)]
struct Spot {
    file: String,
    line: u64,
    column: u64,
    text: String,
}

/// Takes the marks out of the file that has them.
fn unmark(files: &mut [(&'static str, Vec<u8>)]) -> Spot {
    let find = |bytes: &[u8], mark: &str| bytes.windows(mark.len()).position(|w| w == mark.as_bytes());
    for (file, bytes) in files {
        let Some(from) = find(bytes, MARKS.0) else {
            continue;
        };
        bytes.drain(from..from + MARKS.0.len());
        let to = find(bytes, MARKS.1).unwrap();
        bytes.drain(to..to + MARKS.1.len());
        let before = String::from_utf8_lossy(&bytes[..from]).into_owned();
        let line = before.rsplit('\n').next().unwrap();
        return Spot {
            file: (*file).to_owned(),
            line: before.matches('\n').count() as u64 + 1,
            column: line.chars().count() as u64 + 1,
            text: String::from_utf8_lossy(&bytes[from..to]).into_owned(),
        };
    }
    panic!("nothing is marked")
}

/// The problem of this kind in a document, which has exactly one.
fn only(all: &Value, name: &str, code: &str) -> Result<Value, String> {
    let mut of_kind = all.as_array().unwrap().iter().filter(|it| it[name] == code);
    match (of_kind.next(), of_kind.next()) {
        (Some(one), None) => Ok(one.clone()),
        _ => Err(format!("not one {code}: {all:#}")),
    }
}

/// The text above the carets of a snippet.
fn underlined(block: &str) -> String {
    let lines: Vec<&str> = block.lines().collect();
    let at = lines.iter().position(|line| line.contains('^')).unwrap();
    let carets: Vec<usize> = (0..)
        .zip(lines[at].chars())
        .filter(|(_, c)| *c == '^')
        .map(|(n, _)| n)
        .collect();
    let above = lines[at - 1].chars().skip(carets[0]).take(carets.len());
    above.collect::<String>().trim_end().to_owned()
}

/// Judges one example; gives what people see of it.
fn learn((code, mut files): Lesson) -> Result<String, String> {
    let spot = unmark(&mut files);
    let folder = spot.file.starts_with("m/");
    let place = files
        .into_iter()
        .fold(Place::new(), |place, (name, bytes)| place.file(name, bytes));
    #[cfg(unix)]
    std::os::unix::fs::symlink("loop.png", place.path("loop.png")).unwrap();
    let on = if folder { "-f m" } else { "" };

    let ran = place.run(&format!("validate {on} --format json --report p.sarif"));
    let document = ran.json();
    let problem = only(&document["problems"], "code", code)?;
    let level = problem["severity"].as_str().unwrap();
    let found = Spot {
        file: problem["file"].as_str().unwrap().to_owned(),
        line: problem["line"].as_u64().unwrap(),
        column: problem["column"].as_u64().unwrap(),
        text: spot.text.clone(),
    };
    let length = problem["length"].as_u64().unwrap();
    let human = place.run_with(&format!("validate {on}"), &[("GITHUB_ACTIONS", "true")]);
    let shown = human.shown();
    let fail = |why: &str| Err(format!("{code}: {why}\n{spot:?}\n{problem:#}\n{shown:.3000}"));
    if found != spot || length != (spot.text.chars().count() as u64).max(1) {
        return fail("JSON has another place");
    }
    let (status, warning) = if level == "error" { (7, false) } else { (0, true) };
    if (ran.status, human.status) != (status, status) || (document["errors"] == 0) != warning {
        return fail("the exit status is another");
    }
    if problem["hint"].as_str().is_none_or(|hint| hint.len() < 12) {
        return fail("there is no help");
    }

    let at = format!("--> {}:{}:{}\n", spot.file, spot.line, spot.column);
    let mut blocks = human.stderr.split("\n\n");
    let Some(block) = blocks.find(|block| {
        block.contains(&format!("{level}[{code}]: ")) && block.contains(&at) && block.contains("= help: ")
    }) else {
        return fail("no snippet shows it");
    };
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    if plain(&spot.text) && underlined(block) != spot.text {
        return fail("the carets stand elsewhere");
    }
    let command = format!(
        "::{level} title=whop-sync {code},file={},line={},col={}::",
        spot.file, spot.line, spot.column
    );
    if !human.stderr.lines().any(|line| line.starts_with(&command)) {
        return fail("no workflow command tells it");
    }

    let report: Value = serde_json::from_slice(&place.read("p.sarif")).unwrap();
    let run = &report["runs"][0];
    let result = only(&run["results"], "ruleId", code)?;
    let rule = &run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
    let location = &result["locations"][0]["physicalLocation"];
    let region = &location["region"];
    let same = rule["id"] == code
        && result["level"] == level
        && location["artifactLocation"]["uri"] == spot.file.as_str()
        && (region["startLine"].as_u64(), region["startColumn"].as_u64())
            == (Some(spot.line), Some(spot.column));
    if !same {
        return fail(&format!("SARIF differs: {result:#}"));
    }
    let start = block.find(&format!("{level}[{code}]")).unwrap();
    Ok(format!("# {code}\n\n{}\n\n", &block[start..]))
}

#[test]
fn of_more_problems_than_can_be_read_the_number_is_told() {
    let bad = |count: usize| -> String {
        let user = |n| format!("  - {{id: u{n}, email: none, name: N}}\n");
        users(&(0..count).map(user).collect::<String>())
    };
    for (count, last) in [
        (
            60,
            "… and 10 more problems; `--format json` lists all\n\n60 errors\n\n\
             error[manifest.invalid]: the manifest has 60 problems\n",
        ),
        (
            1_200,
            "… and 950 more problems; `--format json` lists all\n\n\
             … and 200 more problems, not listed\n\nmore than 1,000 errors\n\n\
             error[manifest.invalid]: the manifest has more than 1000 problems\n",
        ),
    ] {
        let ran = Place::with(&bad(count)).expect(7, "validate");
        assert_eq!(ran.stderr.matches("error[bad_email]").count(), 50);
        assert!(ran.stderr.ends_with(last), "{}", ran.shown());
    }
}

#[test]
fn every_kind_of_problem_is_shown_at_its_place_and_says_what_to_do() {
    let taught: BTreeSet<&str> = lessons().iter().map(|lesson| lesson.0).collect();
    let all = ProblemCode::ALL.into_iter().map(ProblemCode::name);
    let all: BTreeSet<&str> = all.filter(|code| *code != UNPROVOKED).collect();
    assert_eq!(taught, all, "each kind has an example, and each example a kind");
    let (mut told, mut wrong) = (String::new(), Vec::new());
    for lesson in lessons() {
        if cfg!(not(unix)) && lesson.0 == "avatar_unreadable" {
            continue;
        }
        match learn(lesson) {
            Ok(shown) => told += &shown,
            Err(why) => wrong.push(why),
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    #[cfg(unix)]
    golden("cli/lessons.txt", &told);
}
