//! Manifests as files: what is accepted, and for everything else the code and
//! the place of every problem.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use whop_sync::core::model::Limit;
use whop_sync::core::problem::{Problem, Severity};
use whop_sync::core::value::{ImageFormat, UserKey};
use whop_sync::error::{Code, Error};
use whop_sync::manifest::{self, Manifest};

/// A folder with a manifest in it.
pub(crate) struct Folder(pub(crate) tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn with(text: &str) -> Self {
        Self::new().file("users.yaml", text)
    }

    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn load(&self) -> Result<Manifest, Error> {
        manifest::load(&[self.path("users.yaml")])
    }

    pub(crate) fn load_all(&self, names: &[&str]) -> Result<Manifest, Error> {
        manifest::load(&names.iter().map(|name| self.path(name)).collect::<Vec<_>>())
    }
}

/// Every problem and warning of a load, as `code@line:column`.
pub(crate) fn told(loaded: &Result<Manifest, Error>) -> Vec<String> {
    let problems = match loaded {
        Ok(manifest) => &manifest.warnings,
        Err(error) => error.manifest_problems(),
    };
    problems.iter().map(tell).collect()
}

/// One problem as `code@line:column`, after checking what holds for all.
fn tell(problem: &Problem) -> String {
    assert!(
        problem.hint.as_ref().is_some_and(|hint| !hint.is_empty()),
        "{problem:?}"
    );
    assert!(!problem.message.ends_with('.'), "{problem:?}");
    let place = problem.place.as_ref().expect("every problem has a place");
    let rest = place.text.chars().count() as u32 + 1;
    assert!(
        place.line > 0 && place.column > 0 && place.length > 0,
        "{problem:?}"
    );
    assert!(place.column <= rest.max(1), "{problem:?}");
    assert!(
        problem.related.iter().all(|other| other.place.is_some()),
        "{problem:?}"
    );
    format!("{}@{}:{}", problem.code.name(), place.line, place.column)
}

/// The place of what belongs to a problem, as `line:column`.
fn related(problem: &Problem) -> String {
    let place = problem.related[0].place.as_ref().unwrap();
    format!("{}:{}", place.line, place.column)
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let folder = Folder::with(text);
    let loaded = folder.load();
    assert_eq!(told(&loaded), expected, "for this manifest:\n{text}\n{loaded:#?}");
    let errors = expected.iter().any(|told| !told.starts_with("reserved_email"));
    assert_eq!(loaded.is_err(), errors);
    if let Err(error) = loaded {
        assert_eq!(error.code(), Code::ManifestInvalid);
    }
}

/// A manifest whose users are these lines, from line 4 on.
pub(crate) fn users(lines: &str) -> String {
    format!("version: 1\ncompany: biz_p\nusers:\n{lines}")
}

/// A manifest of one user with these lines added, from line 7 on.
pub(crate) fn user(lines: &str) -> String {
    users(&format!("  - id: a\n    email: a@a.io\n    name: A\n{lines}"))
}

#[test]
fn what_is_right_is_taken() {
    for text in [
        &users("  - {id: a, email: a@a.io, name: A}\n"),
        &users("- id: a\n  email: a@a.io\n  name: A\n"),
        &user("    title: T\n    metadata: {k: v}\n    renamed_from: b\n"),
        &user("    metadata:\n"),
        &user("").replace('\n', "\r\n"),
        &format!("\u{feff}{}", user("")),
        &format!("# comment\n---\n{}...\n", user("")),
        "version: 1\ncompany: biz_p\nusers: []\n",
        "{version: 1, company: biz_p, users: []}",
        r#"{"version": 1, "company": "biz_p", "guardrails": null, "users": []}"#,
        "version: '1'\naccount: biz_p\nusers: []\n",
        "version: 1\nparent_company_id: biz_p\nusers: []\n",
        "version: 1\nparent_account_id: biz_p\nusers: []\nguardrails: {max_creates: 5, max_updates: 30%}\n",
    ] {
        check(text, &[]);
    }
}

#[test]
fn a_manifest_says_what_it_says() {
    let folder = Folder::with(
        "version: 1\ncompany: biz_p\nguardrails: {max_creates: 5, max_avatars: 7%}\nusers:\n\
         - {id: b, email: B@a.io, name: No, title: 12:30, metadata: {n: 007, t: yes, e: ''}, renamed_from: 1e3}\n\
         - {id: 0x1F, email: a@a.io, name: true}\n",
    );
    let manifest = folder.load().unwrap();
    assert_eq!(manifest.desired.platform().as_str(), "biz_p");
    assert_eq!(manifest.desired.guardrails().max_creates, Some(Limit::Count(5)));
    assert_eq!(manifest.desired.guardrails().max_updates, None);
    assert_eq!(manifest.desired.guardrails().max_avatars, Some(Limit::Percent(7)));
    let [first, second] = manifest.desired.users() else {
        panic!("{manifest:?}")
    };
    assert_eq!((first.key.as_str(), first.name.as_str()), ("0x1F", "true"));
    assert_eq!((second.key.as_str(), second.name.as_str()), ("b", "No"));
    assert_eq!(second.email.as_str(), "B@a.io");
    assert_eq!(second.title.as_ref().unwrap().as_str(), "12:30");
    assert_eq!(second.renamed_from.as_ref().unwrap().as_str(), "1e3");
    let metadata: Vec<_> = second.metadata.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(metadata, [("e", ""), ("n", "007"), ("t", "yes")]);
    assert_eq!(manifest.directory(), folder.0.path());
    let (a, b, c) = (
        UserKey::parse("b").unwrap(),
        UserKey::parse("0x1F").unwrap(),
        UserKey::parse("zz").unwrap(),
    );
    let places = manifest.places(&[&a, &b, &c]);
    assert_eq!(places.len(), 2);
    assert_eq!((places[&a].line, places[&a].column), (5, 8));
    assert_eq!((places[&b].line, places[&b].column, places[&b].length), (6, 8, 4));
}

#[test]
fn scalars_are_taken_as_written() {
    for text in [
        "No",
        "on",
        "true",
        "007",
        "0x1F",
        "1_000",
        "1e3",
        ".inf",
        "12:30",
        "2024-01-01",
        "1.0",
        "-",
        "nul",
        "~x",
    ] {
        for written in [
            text.to_owned(),
            format!("'{text}'"),
            format!("\"{text}\""),
            format!(">-\n      {text}"),
        ] {
            if written == "-" {
                continue;
            }
            let manifest = Folder::with(&user(&format!("    title: {written}\n")))
                .load()
                .unwrap();
            assert_eq!(
                manifest.desired.users()[0].title.as_ref().unwrap().as_str(),
                text,
                "{written}"
            );
        }
    }
}

#[test]
fn fields_of_a_user_are_checked_one_by_one() {
    for (lines, expected) in [
        ("    emial: x\n", &["unknown_field@7:5"][..]),
        ("    'avatar ': x\n", &["unknown_field@7:5"]),
        ("    users: []\n", &["unknown_field@7:5"]),
        ("    <<: {name: B}\n", &["merge_key@7:5"]),
        ("    name: B\n", &["repeated_field@7:5"]),
        (
            "    x: 1\n    x: 2\n",
            &["unknown_field@7:5", "repeated_field@8:5"],
        ),
        ("    title:\n", &["empty_value@7:5"]),
        ("    title: ~\n", &["empty_value@7:12"]),
        ("    title: ''\n", &["bad_title@7:12"]),
        ("    title: ' x'\n", &["bad_title@7:12"]),
        ("    title: |\n      x\n", &["bad_title@8:7"]),
        ("    title: \"a\\x07\"\n", &["bad_title@7:12"]),
        ("    title: [x]\n", &["wrong_type@7:5"]),
        ("    title:\n      - x\n", &["wrong_type@7:5"]),
        ("    title: {a: b}\n", &["wrong_type@7:5"]),
        ("    title: !env T\n", &["unknown_tag@7:12"]),
        ("    title: !x {a: b}\n", &["unknown_tag@7:12"]),
        ("    avatar:\n", &["empty_value@7:5"]),
        ("    avatar: []\n", &["wrong_type@7:5"]),
        ("    renamed_from: ''\n", &["bad_renamed_from@7:19"]),
        ("    renamed_from: a\n", &["rename_of_present@7:19"]),
        ("    metadata: x\n", &["wrong_type@7:5"]),
        ("    metadata: [a]\n", &["wrong_type@7:5"]),
        ("    metadata: {a: [b]}\n", &["wrong_type@7:16"]),
        (
            "    metadata: {a: {b: c}, d: [e]}\n",
            &["wrong_type@7:16", "wrong_type@7:27"],
        ),
        ("    metadata: {a: }\n", &["empty_value@7:16"]),
        ("    metadata: {external_id: x}\n", &["reserved_metadata@7:16"]),
        (
            "    metadata:\n      internal_user_id: x\n",
            &["reserved_metadata@8:7"],
        ),
        ("    metadata: {a: 1, a: 2}\n", &["repeated_field@7:22"]),
        ("    metadata: {a.b: 1, a.b: 2}\n", &["repeated_field@7:24"]),
        ("    metadata: {' a': 1}\n", &["bad_metadata@7:22"]),
        ("    metadata: {'': 1}\n", &["bad_metadata@7:20"]),
        ("    metadata: {a: \"\\0\"}\n", &["bad_metadata@7:19"]),
        ("    metadata: {<<: {a: b}}\n", &["merge_key@7:16"]),
        ("    metadata: {a: !b c}\n", &["unknown_tag@7:19"]),
        ("    metadata: {[a]: b}\n", &["bad_key@7:16"]),
        ("    [a, b]: c\n", &["bad_key@7:5"]),
        ("    ? {a: b}\n    : c\n", &["bad_key@7:7"]),
        (
            "    unknown: {deep: [er, {and: deeper}]}\n",
            &["unknown_field@7:5"],
        ),
    ] {
        check(&user(lines), expected);
    }
}

#[test]
fn users_are_checked_one_by_one() {
    let long = format!("  - {{id: a, email: a@a.io, name: {}}}\n", "é".repeat(101));
    for (lines, expected) in [
        ("  - id: a\n", &["missing_field@4:5", "missing_field@4:5"][..]),
        ("  - {}\n", &["missing_field@4:5"; 3]),
        ("  -\n", &["empty_user@4:4"]),
        ("  - ~\n", &["empty_user@4:5"]),
        ("  - jane\n", &["wrong_type@4:5"]),
        ("  - [jane]\n", &["wrong_type@4:5"]),
        (
            "  - {id: , email: , name: }\n",
            &["empty_value@4:6", "empty_value@4:12", "empty_value@4:21"],
        ),
        (
            "  - {id: '', email: '', name: ''}\n",
            &["bad_id@4:10", "bad_email@4:21", "bad_name@4:31"],
        ),
        ("  - {id: 100%, email: a@a.io, name: A}\n", &["bad_id@4:10"]),
        ("  - {id: \"a\\tb\", email: a@a.io, name: A}\n", &["bad_id@4:10"]),
        ("  - {id: a, email: a.io, name: A}\n", &["bad_email@4:20"]),
        ("  - {id: a, email: 'a @a.io', name: A}\n", &["bad_email@4:20"]),
        ("  - {id: a, email: é@a, name: A}\n", &["bad_email@4:20"]),
        (&long, &["bad_name@4:34"]),
        (
            "  - {id: [a], email: {b: c}, name: [[d]]}\n  - {id: b, email: x, name: B}\n",
            &[
                "wrong_type@4:6",
                "wrong_type@4:15",
                "wrong_type@4:30",
                "bad_email@5:20",
            ],
        ),
        (
            "  - x\n  - {id: a, email: a@a.io, name: A}\n  - {id: a, email: b@a.io, name: B}\n",
            &["wrong_type@4:5", "duplicate_id@6:10"],
        ),
        (
            "  - {id: a, email: A@a.io, name: A}\n  - {id: b, email: a@A.io, name: B}\n",
            &["duplicate_email@5:20"],
        ),
        (
            "  - {id: a, email: nonsense, name: A}\n  - {id: a, email: a@a.io, name: ''}\n",
            &["bad_email@4:20", "duplicate_id@5:10", "bad_name@5:34"],
        ),
        (
            "  - &u {id: a, email: a@a.io, name: A}\n  - *u\n",
            &["duplicate_email@5:5", "duplicate_id@5:5"],
        ),
        (
            "  - {id: a, email: a@a.io, name: &n A}\n  - {id: b, email: *n, name: *n}\n",
            &["bad_email@5:20"],
        ),
        (
            "  - {id: a, email: a@example.com, name: A}\n",
            &["reserved_email@4:20"],
        ),
        (
            "  - {id: a, email: a@shop.test, name: ''}\n",
            &["reserved_email@4:20", "bad_name@4:39"],
        ),
    ] {
        check(&users(lines), expected);
    }
}

#[test]
fn the_head_is_checked() {
    let none = "users: []\n";
    for (text, expected) in [
        ("", &["empty_manifest@1:1"][..]),
        ("# nothing\n\n", &["empty_manifest@1:1"]),
        ("~\n", &["empty_manifest@1:1"]),
        ("text\n", &["wrong_type@1:1"]),
        ("- a\n- b\n", &["wrong_type@1:1"]),
        ("\n\n[]\n", &["wrong_type@3:1"]),
        ("{}", &["missing_field@1:1"; 3]),
        ("version: 1\n", &["missing_field@1:1"; 2]),
        (
            &format!("version: 2\ncompany: biz_p\n{none}"),
            &["bad_version@1:10"],
        ),
        (
            &format!("version: 1.0\ncompany: biz_p\n{none}"),
            &["bad_version@1:10"],
        ),
        (&format!("version:\ncompany: biz_p\n{none}"), &["empty_value@1:1"]),
        (
            &format!("version: [1]\ncompany: biz_p\n{none}"),
            &["wrong_type@1:1"],
        ),
        (
            &format!("version: 1\ncompany: acme\n{none}"),
            &["bad_company@2:10"],
        ),
        (
            &format!("version: 1\ncompany: biz_é\n{none}"),
            &["bad_company@2:10"],
        ),
        (&format!("version: 1\ncompany: ~\n{none}"), &["empty_value@2:10"]),
        (
            &format!("version: 1\ncompany: {{id: biz_p}}\n{none}"),
            &["wrong_type@2:1"],
        ),
        (
            &format!("version: 1\naccount: biz_p\ncompany: biz_p\n{none}"),
            &["company_twice@3:1"],
        ),
        (
            &format!("version: 1\ncompany: biz_p\ncompany: biz_p\n{none}"),
            &["repeated_field@3:1"],
        ),
        (
            &format!("version: 1\ncompny: biz_p\n{none}"),
            &["missing_field@1:1", "unknown_field@2:1"],
        ),
        (
            &format!("version: 1\ncompany: biz_p\nid: a\n{none}"),
            &["unknown_field@3:1"],
        ),
        ("version: 1\ncompany: biz_p\nusers:\n", &["empty_users@3:1"]),
        ("version: 1\ncompany: biz_p\nusers: ~\n", &["empty_users@3:8"]),
        (
            "version: 1\ncompany: biz_p\nusers: {a: {name: A}}\n",
            &["wrong_type@3:1"],
        ),
        ("version: 1\ncompany: biz_p\nusers: none\n", &["wrong_type@3:1"]),
        (
            "version: 1\ncompany: biz_p\nusers: []\nusers:\n- id: a\n",
            &["repeated_field@4:1"],
        ),
    ] {
        check(text, expected);
    }
    for (lines, expected) in [
        ("guardrails: 5\n", &["wrong_type@4:1"][..]),
        ("guardrails: {max_create: 5}\n", &["unknown_field@4:14"]),
        ("guardrails: {<<: {max_creates: 5}}\n", &["merge_key@4:14"]),
        ("guardrails: {max_creates: many}\n", &["bad_guardrail@4:27"]),
        (
            "guardrails: {max_creates: -1, max_updates: 101%}\n",
            &["bad_guardrail@4:27", "bad_guardrail@4:44"],
        ),
        ("guardrails: {max_creates: [5]}\n", &["wrong_type@4:14"]),
        ("guardrails: {max_creates: }\n", &["empty_value@4:14"]),
        (
            "guardrails: {max_creates: 1, max_creates: 1}\n",
            &["repeated_field@4:30"],
        ),
        ("? [a]\n: b\n", &["bad_key@4:3"]),
    ] {
        check(
            &format!("version: 1\ncompany: biz_p\nusers: []\n{lines}"),
            expected,
        );
    }
}

#[test]
fn what_is_no_yaml_is_one_problem_with_its_place() {
    for (text, expected) in [
        ("version: 1\n\tcompany: biz_p\n", "bad_yaml@2:1"),
        ("version: [1\n", "bad_yaml@2:1"),
        ("version: \"1\ncompany: x\n", "bad_yaml@1:10"),
        ("version: 1\n company: x\n", "bad_yaml@2:9"),
        ("company: @x\n", "bad_yaml@1:10"),
        ("é: 1\nname: *nobody\n", "bad_yaml@2:7"),
        ("users:\n- id: a\n email: b\n", "bad_yaml@3:2"),
        ("users:\n  - id: a\n  name: b\n", "bad_yaml@3:3"),
        ("a: b\nc\n", "bad_yaml@3:1"),
        ("name: a: b\n", "bad_yaml@1:8"),
        ("a: ]\n", "bad_yaml@1:4"),
        ("a: 1\n---\nb: 2\n", "several_documents@2:1"),
        ("a: 1\n---\n", "several_documents@2:1"),
        ("version: 1\u{7}\n", "odd_character@1:11"),
        ("version: 1\nx: 'a\u{2028}b'\n", "odd_character@2:6"),
        ("a: \u{0}\n", "odd_character@1:4"),
    ] {
        check(text, &[expected]);
    }
    let folder = Folder::new().file("users.yaml", b"version: 1\nname: J\xF6rg\n");
    assert_eq!(told(&folder.load()), ["not_utf8@2:8"]);
    let folder = Folder::new().file("users.yaml", b"\xFF\xFEv\0e\0");
    let error = folder.load().unwrap_err();
    assert!(
        error.manifest_problems()[0].message.contains("UTF-16"),
        "{error:?}"
    );
}

/// A limit that only the parser sees: behind what ends a line for YAML alone,
/// behind what turns or hides text, or far to the right.
#[test]
fn what_a_diff_does_not_show_is_refused() {
    let head = "version: 1\ncompany: biz_p\nusers: []\n";
    let hidden = "guardrails: {max_updates: 100%}";
    for (between, expected) in [
        ("\r", "odd_character@4:4"),
        ("\u{b}", "odd_character@4:4"),
        ("\u{c}", "odd_character@4:4"),
        ("\u{85}", "odd_character@4:4"),
        ("\u{2028}", "odd_character@4:4"),
        ("\u{202e}", "odd_character@4:4"),
        ("\u{2067}", "odd_character@4:4"),
        ("\u{feff}", "odd_character@4:4"),
    ] {
        check(&format!("{head}# c{between}{hidden}\n"), &[expected]);
    }
    let far = |blank: &str, count: usize| format!("{head}x: {{}} # {}{hidden}\n", blank.repeat(count));
    check(&far(" ", 199), &["hidden_text@4:208"]);
    check(&far("\t", 200), &["hidden_text@4:209"]);
    check(&far(" \u{200b}\u{3000}", 100), &["hidden_text@4:309"]);
    check(&far(" ", 150), &["unknown_field@4:1"]);
    check(&format!("{head}a\r"), &["odd_character@4:2"]);
    // Where it is meant, an escape says it, and nothing is hidden.
    let named = |name: &str| user("").replace("name: A", &format!("name: {name}"));
    for fine in [
        named("\"a\\u202eb\"").replace('\n', "\r\n"),
        named("a\u{2067}b\u{2069}"),
        format!("\u{feff}{}", named("\"a\u{200f}b\"")),
        format!("# {}\n{}", " ".repeat(500), user("")),
    ] {
        let loaded = Folder::with(&fine).load();
        assert!(
            !told(&loaded)
                .iter()
                .any(|told| told.starts_with("odd_") || told.starts_with("hidden_")),
            "{loaded:?}"
        );
    }
}

#[test]
fn a_syntax_problem_says_what_was_begun_where() {
    let error = Folder::with("users:\n- id: a\n email: b\n").load().unwrap_err();
    let problem = &error.manifest_problems()[0];
    assert!(!problem.message.contains(" at line "), "{}", problem.message);
    assert!(problem.related.iter().all(|other| other.place.is_some()));
    let error = Folder::with("version: 1\n\tcompany: biz_p\n").load().unwrap_err();
    assert!(
        error.manifest_problems()[0]
            .hint
            .as_ref()
            .unwrap()
            .contains("tab")
    );
}

#[test]
fn problems_point_at_both_places_and_suggest_what_was_meant() {
    let text = users("  - {id: a, email: a@a.io, name: A}\n  - {id: a, email: b@a.io, name: B, nmae: C}\n");
    let error = Folder::with(&text).load().unwrap_err();
    let [duplicate, unknown] = error.manifest_problems() else {
        panic!("{error:?}")
    };
    assert_eq!(related(duplicate), "4:10");
    assert_eq!(
        duplicate.place.as_ref().unwrap().text,
        text.lines().nth(4).unwrap()
    );
    assert_eq!(unknown.hint.as_deref(), Some("did you mean `name`?"));
    assert_eq!(unknown.place.as_ref().unwrap().length, 4);
    let error = Folder::with(&user("    name: B\n")).load().unwrap_err();
    assert_eq!(related(&error.manifest_problems()[0]), "6:5");
    assert_eq!(error.message(), "the manifest has 1 problem");
}

#[test]
fn floods_are_cut_short() {
    let many: String = (0..3_000)
        .map(|n| format!("  - {{id: u{n}, email: x, name: N}}\n"))
        .collect();
    let error = Folder::with(&users(&many)).load().unwrap_err();
    let problems = error.manifest_problems();
    assert_eq!(problems.len(), 1_001);
    assert_eq!(problems[999].place.as_ref().unwrap().line, 1_003);
    assert!(
        problems[1_000].message.contains("2000 more"),
        "{:?}",
        problems[1_000]
    );
    let many: String = (0..50)
        .map(|n| format!("  - {{id: u{n}, email: u{n}@example.com, name: N}}\n"))
        .collect();
    let manifest = Folder::with(&users(&many)).load().unwrap();
    assert_eq!(manifest.warnings.len(), 21);
    assert!(
        manifest
            .warnings
            .iter()
            .all(|warning| warning.severity == Severity::Warning)
    );
    assert!(manifest.warnings[20].message.contains("30 more"));
}

/// Each of these once took a parser seconds to hours, or all memory.
#[test]
fn hostile_texts_are_refused_at_once() {
    let laughs: String = (1..30).fold("a0: &a0 [x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
        let before = format!("*a{},", n - 1);
        format!("{text}a{n}: &a{n} [{}]\n", before.repeat(9))
    });
    let long = "x".repeat(100_000);
    let many_directives: String = (0..100_000).map(|n| format!("%TAG !a{n}! x\n")).collect();
    let hidden: String = "[ #]\n".repeat(100_000);
    for (text, code) in [
        (
            format!("{laughs}{}", user("    title: *a29\n").replace("version", "v")),
            "unknown_field",
        ),
        (
            format!(
                "version: 1\ncompany: biz_p\nusers:\n- name: &a {long}\n{}",
                "- name: *a\n".repeat(50_000)
            ),
            "alias_bomb",
        ),
        (
            format!(
                "version: 1\ncompany: biz_p\nusers:\n- metadata: &a {{{}}}\n{}",
                (0..5_000).map(|n| format!("k{n}: v,")).collect::<String>(),
                "- metadata: *a\n".repeat(50_000)
            ),
            "alias_bomb",
        ),
        (format!("a: {}", "[".repeat(1_000_000)), "too_deep"),
        (format!("a: {}", "{a: ".repeat(1_000_000)), "too_deep"),
        (format!("a: {}{}", "[".repeat(60), "]".repeat(60)), "too_deep"),
        (hidden, "too_deep"),
        (format!("a: # \u{2028}{}", "[".repeat(1_000_000)), "odd_character"),
        (format!("{many_directives}---\na: b\n"), "too_many_directives"),
        (format!("{}x", "- ".repeat(100_000)), "wrong_type"),
        ("&a a: *a\n".repeat(10_000), "repeated_field"),
        ("users: &u [*u, *u]\n".to_owned(), "missing_field"),
        (format!("users:\n- {}", "{} #".repeat(100_000)), "missing_field"),
        (
            user(&format!("    title: {}\n", "é".repeat(1_000_000))),
            "bad_title",
        ),
        (user("    x: &x [*x]\n    metadata: {a: *x}\n"), "unknown_field"),
    ] {
        let loaded = Folder::with(&text).load();
        let told = told(&loaded);
        assert!(
            told.iter().any(|told| told.starts_with(code)),
            "{code}: {:?}",
            &told[..told.len().min(5)]
        );
    }
}

#[test]
fn an_endless_line_is_not_copied_for_every_problem() {
    let many: String = (0..2_000)
        .map(|n| format!("{{id: u{n}, email: x, name: N}}, "))
        .collect();
    let error = Folder::with(&format!("{{version: 1, company: biz_p, users: [{many}]}}"))
        .load()
        .unwrap_err();
    for problem in error.manifest_problems() {
        assert!(problem.place.as_ref().unwrap().text.chars().count() <= 1_000);
    }
}

#[test]
fn several_files_are_one_manifest() {
    let line = |id: &str| format!("users:\n- {{id: {id}, email: {id}@a.io, name: N}}\n");
    let folder = Folder::new()
        .file("m/b.yaml", format!("version: 1\ncompany: biz_p\n{}", line("b")))
        .file("m/a/z.yml", line("z"))
        .file("m/c.yaml", "account: biz_p\nguardrails: {max_creates: 1}\n")
        .file("m/notes.txt", "no manifest")
        .file("m/.hidden.yaml", "]")
        .file("m/.whop-sync/x.yaml", "]");
    let manifest = folder.load_all(&["m"]).unwrap();
    let ids: Vec<_> = manifest
        .desired
        .users()
        .iter()
        .map(|user| user.key.as_str())
        .collect();
    assert_eq!(ids, ["b", "z"]);
    assert_eq!(manifest.directory(), folder.path("m"));
    assert_eq!(manifest.desired.guardrails().max_creates, Some(Limit::Count(1)));
    let names: Vec<_> = manifest
        .sources()
        .files()
        .map(|file| file.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(names, ["z.yml", "b.yaml", "c.yaml"]);
    let key = UserKey::parse("b").unwrap();
    assert!(manifest.places(&[&key])[&key].file.ends_with("m/b.yaml"));

    let named = folder.load_all(&["m/a/z.yml", "m/b.yaml", "m/c.yaml"]).unwrap();
    assert_eq!(named.digest, manifest.digest, "the same parts in the same order");
    assert_eq!(named.directory(), folder.path("m/a"));
    let other = folder.load_all(&["m/b.yaml", "m/a/z.yml", "m/c.yaml"]).unwrap();
    assert_ne!(other.digest, manifest.digest);
    assert_eq!(other.desired, manifest.desired);
}

#[test]
fn parts_must_agree_and_are_all_told_about() {
    let folder = Folder::new()
        .file(
            "m/a.yaml",
            "version: 1\ncompany: biz_p\nusers:\n- {id: a, email: a@a.io, name: A}\n",
        )
        .file(
            "m/b.yaml",
            "company: biz_q\nguardrails: {max_creates: 1}\nusers:\n- {id: a, email: A@a.io, name: ''}\n",
        )
        .file("m/c.yaml", "guardrails: {max_creates: 2}\nusers: [\n")
        .file("m/d.yaml", "guardrails: {max_creates: 2}\n")
        .file("m/e.yaml", "");
    let loaded = folder.load_all(&["m"]);
    assert_eq!(
        told(&loaded),
        [
            "company_differs@1:10",
            "duplicate_id@4:8",
            "duplicate_email@4:18",
            "bad_name@4:32",
            "bad_yaml@3:1",
            "guardrail_differs@1:27",
            "empty_manifest@1:1",
        ]
        .map(str::to_owned)
        .to_vec()
    );
    let error = loaded.unwrap_err();
    let files: Vec<_> = error
        .manifest_problems()
        .iter()
        .map(|problem| problem.place.as_ref().unwrap().file.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(
        files,
        [
            "b.yaml", "b.yaml", "b.yaml", "b.yaml", "c.yaml", "d.yaml", "e.yaml"
        ]
    );
    let other = error.manifest_problems()[1].related[0].place.as_ref().unwrap();
    assert!(other.file.ends_with("a.yaml") && other.line == 4);
}

#[test]
fn what_is_not_there_or_no_file_is_said_so() {
    let folder = Folder::new().file("m/readme.md", "");
    assert_eq!(folder.load().unwrap_err().code(), Code::ManifestMissing);
    let error = folder.load_all(&["m"]).unwrap_err();
    assert_eq!(error.code(), Code::ManifestMissing);
    assert!(error.what_to_do().is_some());
    let folder = Folder::with(&user("")).file("m/x.yaml", user(""));
    let twice = folder.load_all(&["users.yaml", "m", "users.yaml"]).unwrap_err();
    assert_eq!(twice.code(), Code::ManifestInvalid);
    assert!(twice.message().contains("same file"));
    assert!(folder.load_all(&["m", "m/../m/x.yaml"]).is_err());
}

/// Bytes of tiny whole pictures.
pub(crate) mod picture {
    /// A PNG of this size.
    pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
        let chunk = |kind: &[u8], data: &[u8]| {
            let length = (data.len() as u32).to_be_bytes();
            [&length, kind, data, &[0; 4]].concat()
        };
        let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
        let chunks = [chunk(b"IHDR", &header), chunk(b"IDAT", &[1]), chunk(b"IEND", &[])];
        [&b"\x89PNG\r\n\x1a\n"[..], &chunks.concat()].concat()
    }

    /// A JPEG of 2 by 1.
    pub(crate) fn jpeg() -> Vec<u8> {
        b"\xFF\xD8\xFF\xE0\x00\x04JF\xFF\xC0\x00\x0B\x08\x00\x01\x00\x02\x01\x01\x11\x00\
          \xFF\xDA\x00\x08\x01\x01\x00\x00\x3F\x00\x12\xFF\x00\x34\xFF\xD9"
            .to_vec()
    }

    /// A GIF of 1 by 1.
    pub(crate) fn gif() -> Vec<u8> {
        b"GIF89a\x01\0\x01\0\0\0\0\x2C\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3B".to_vec()
    }

    /// A lossless WebP of 1 by 1.
    pub(crate) fn webp() -> Vec<u8> {
        b"RIFF\x14\0\0\0WEBPVP8L\x08\0\0\0\x2F\0\0\0\0\0\0\0".to_vec()
    }
}

#[test]
fn pictures_are_opened_measured_and_hashed() {
    for (name, bytes, format, width) in [
        ("a.png", picture::png(3, 2), ImageFormat::Png, 3),
        ("a.PNG", picture::png(4096, 1), ImageFormat::Png, 4096),
        ("a.jpg", picture::jpeg(), ImageFormat::Jpeg, 2),
        ("a.jpeg", picture::jpeg(), ImageFormat::Jpeg, 2),
        ("sub/é ü/a.gif", picture::gif(), ImageFormat::Gif, 1),
        ("./sub/../a.webp", picture::webp(), ImageFormat::Webp, 1),
    ] {
        let folder = Folder::with(&user(&format!("    avatar: {name}\n")))
            .file("sub/keep", "")
            .file(name, &bytes);
        let manifest = folder.load().unwrap();
        let avatar = manifest.desired.users()[0].avatar.clone().unwrap();
        assert_eq!((&*avatar.path, avatar.part), (name, 0));
        assert_eq!((avatar.format, avatar.width), (format, width));
        assert_eq!(avatar.bytes, bytes.len() as u64);
        assert_eq!(avatar.digest, whop_sync::core::digest::Digest::of(&bytes));
        assert_eq!(manifest.read_picture(&avatar).unwrap(), bytes);

        fs::write(folder.path(name), picture::png(9, 9)).unwrap();
        let error = manifest.read_picture(&avatar).unwrap_err();
        assert!(error.message().contains("changed"), "{error}");
        fs::remove_file(folder.path(name)).unwrap();
        assert!(manifest.read_picture(&avatar).is_err());
    }
}

#[test]
fn a_picture_may_be_shared_and_belongs_to_its_own_file() {
    let line = |id: &str| format!("users:\n- {{id: {id}, email: {id}@a.io, name: N, avatar: a.png}}\n");
    let folder = Folder::new()
        .file("m/a.yaml", format!("version: 1\ncompany: biz_p\n{}", line("a")))
        .file("m/a.png", picture::png(1, 1))
        .file("m/n/b.yaml", line("b"))
        .file("m/n/a.png", picture::png(2, 2));
    let manifest = folder.load_all(&["m"]).unwrap();
    let widths: Vec<_> = manifest
        .desired
        .users()
        .iter()
        .map(|user| user.avatar.as_ref().unwrap().width)
        .collect();
    assert_eq!(widths, [1, 2]);
    for user in manifest.desired.users() {
        assert!(manifest.read_picture(user.avatar.as_ref().unwrap()).is_ok());
    }
    let mut foreign = manifest.desired.users()[0].avatar.clone().unwrap();
    foreign.part = 7;
    assert!(manifest.read_picture(&foreign).is_err());
    let shared = users(
        "- {id: a, email: a@a.io, name: N, avatar: a.png}\n- {id: b, email: b@a.io, name: N, avatar: ./a.png}\n",
    );
    let manifest = Folder::with(&shared)
        .file("a.png", picture::png(1, 1))
        .load()
        .unwrap();
    assert_eq!(
        manifest.desired.users()[1].avatar.as_ref().unwrap().path.as_ref(),
        "./a.png"
    );
}

#[test]
fn paths_that_lead_elsewhere_or_nowhere_are_refused() {
    for (path, code) in [
        ("a/b.png", "avatar_missing"),
        ("users.yaml/a.png", "avatar_missing"),
        ("../a.png", "avatar_outside"),
        ("sub/../../a.png", "avatar_outside"),
        ("/etc/passwd", "avatar_outside"),
        ("C:/a.png", "avatar_outside"),
        ("'sub\\a.png'", "bad_avatar_path"),
        ("https://a.io/a.png", "bad_avatar_path"),
        ("data:image/png;base64,AA", "bad_avatar_path"),
        ("''", "bad_avatar_path"),
        ("\"a\\0.png\"", "bad_avatar_path"),
        ("sub", "avatar_not_file"),
        (".", "avatar_not_file"),
        (&"a/".repeat(600), "bad_avatar_path"),
    ] {
        let folder = Folder::with(&user(&format!("    avatar: {path}\n"))).file("sub/keep", "");
        assert_eq!(told(&folder.load()), [format!("{code}@7:13")], "{path}");
    }
    let folder = Folder::with(&user("    avatar: sub/jnae.png\n")).file("sub/jane.png", picture::png(1, 1));
    let error = folder.load().unwrap_err();
    assert_eq!(
        error.manifest_problems()[0].hint.as_deref(),
        Some("did you mean `sub/jane.png`?")
    );
}

#[test]
fn files_that_are_no_whole_picture_are_refused() {
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() - 1].to_vec();
    let mut large = picture::png(1, 1);
    large.resize(5 * 1024 * 1024, 0);
    let just = large.clone();
    large.push(0);
    for (name, bytes, code) in [
        ("a.png", b"hello".to_vec(), Some("avatar_not_image")),
        ("a.svg", b"<svg/>".to_vec(), Some("avatar_not_image")),
        (
            "a.png",
            b"version https://git-lfs.github.com/spec/v1\n".to_vec(),
            Some("avatar_not_image"),
        ),
        ("a.png", Vec::new(), Some("avatar_empty")),
        ("a.png", cut(picture::png(1, 1)), Some("avatar_truncated")),
        ("a.jpg", cut(picture::jpeg()), Some("avatar_truncated")),
        ("a.gif", cut(picture::gif()), Some("avatar_truncated")),
        ("a.webp", cut(picture::webp()), Some("avatar_truncated")),
        ("a.png", picture::png(0, 1), Some("avatar_broken")),
        (
            "a.png",
            b"\x89PNG\r\n\x1a\nnonsense".to_vec(),
            Some("avatar_broken"),
        ),
        ("a.png", picture::png(4097, 1), Some("avatar_dimensions")),
        ("a.png", picture::jpeg(), Some("avatar_extension")),
        ("a.jpg", picture::png(1, 1), Some("avatar_extension")),
        ("picture", picture::png(1, 1), Some("avatar_extension")),
        (".png", picture::png(1, 1), None),
        ("a.png", large, Some("avatar_too_large")),
        ("a.png", just, None),
    ] {
        let folder = Folder::with(&user(&format!("    avatar: {name}\n"))).file(name, bytes);
        let expected: Vec<_> = code.iter().map(|code| format!("{code}@7:13")).collect();
        assert_eq!(told(&folder.load()), expected, "{name}");
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    use super::*;

    fn pipe(path: &Path) {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    #[test]
    fn a_picture_swapped_for_a_link_is_not_sent() {
        let outside = Folder::new().file("a.png", picture::png(1, 1));
        let folder = Folder::with(&user("    avatar: a.png\n")).file("a.png", picture::png(1, 1));
        let manifest = folder.load().unwrap();
        fs::remove_file(folder.path("a.png")).unwrap();
        symlink(outside.path("a.png"), folder.path("a.png")).unwrap();
        let avatar = manifest.desired.users()[0].avatar.as_ref().unwrap();
        assert!(manifest.read_picture(avatar).is_err());
    }

    #[test]
    fn pipes_and_devices_never_make_a_run_hang() {
        let folder = Folder::with(&user("    avatar: a.png\n"));
        pipe(&folder.path("a.png"));
        assert_eq!(told(&folder.load()), ["avatar_not_file@7:13"]);
        let folder = Folder::new();
        pipe(&folder.path("users.yaml"));
        assert_eq!(folder.load().unwrap_err().code(), Code::ManifestInvalid);
        assert!(manifest::load(&[PathBuf::from("/dev/zero")]).is_err());
    }

    #[test]
    fn unreadable_files_are_said_so() {
        let folder = Folder::with(&user("    avatar: a.png\n")).file("a.png", picture::png(1, 1));
        fs::set_permissions(folder.path("a.png"), fs::Permissions::from_mode(0o000)).unwrap();
        // The administrator may read everything.
        if fs::read(folder.path("a.png")).is_err() {
            assert_eq!(told(&folder.load()), ["avatar_unreadable@7:13"]);
        }
    }

    #[test]
    fn a_manifest_that_is_a_link_is_refused_unread() {
        let outside = Folder::new().file("secret.yaml", "token: deadbeef");
        let folder = Folder::new().file("m/a.yaml", user(""));
        symlink(outside.path("secret.yaml"), folder.path("m/b.yaml")).unwrap();
        symlink("a.yaml", folder.path("m/inside.yaml")).unwrap();
        // Its problems would show its lines.
        symlink("/proc/self/environ", folder.path("m/environ.yaml")).unwrap();
        symlink("m", folder.path("l")).unwrap();
        for named in [
            &["m"][..],
            &["m/b.yaml"],
            &["m/inside.yaml"],
            &["m/a.yaml", "m/inside.yaml"],
            &["m/environ.yaml"],
        ] {
            let refusal = folder.load_all(named).unwrap_err();
            assert!(refusal.message().contains("is a symbolic link"), "{refusal:?}");
            assert!(!format!("{refusal:?}").contains("deadbeef"));
        }
        // The path above the manifest's folder is the operator's.
        assert!(folder.load_all(&["l/a.yaml"]).is_ok());
        let refusal = folder.load_all(&["m/a.yaml", "l/a.yaml"]).unwrap_err();
        assert!(refusal.message().contains("same file"), "{refusal:?}");
    }

    #[test]
    fn links_to_folders_are_not_followed_for_manifests() {
        let outside = Folder::new().file("x.yaml", "]");
        let folder = Folder::new().file("m/a.yaml", user(""));
        symlink(outside.0.path(), folder.path("m/out")).unwrap();
        symlink(outside.0.path(), folder.path("m/out.yaml")).unwrap();
        assert!(folder.load_all(&["m"]).is_ok());
    }
}

#[test]
fn the_example_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("users.example.yaml");
    let manifest = manifest::load(&[path]).unwrap();
    let users = manifest.desired.users();
    let pictures = users.iter().filter_map(|user| user.avatar.as_ref());
    let contents: BTreeSet<_> = pictures.clone().map(|avatar| avatar.digest).collect();
    assert_eq!((users.len(), pictures.count(), contents.len()), (12, 11, 10));
    assert!(
        manifest
            .warnings
            .iter()
            .all(|warning| warning.code.name() == "reserved_email")
    );
    for user in manifest.desired.users() {
        if let Some(avatar) = &user.avatar {
            assert!(manifest.read_picture(avatar).is_ok());
        }
    }
}

/// A text in one of the ways YAML offers for writing it, or the safest where
/// that way cannot.
fn written(text: &str, style: u8, indent: usize) -> String {
    let special = |c: char| "-?:,[]{}#&*!|>'\"%@`~<=\\".contains(c) || c.is_whitespace();
    let plain_null = matches!(text, "null" | "Null" | "NULL" | "");
    let plain_is_safe = !plain_null && !text.contains(special);
    match style {
        0 if plain_is_safe => text.to_owned(),
        0 | 1 => format!("'{}'", text.replace('\'', "''")),
        2 => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        3 => {
            text.chars()
                .fold("\"".to_owned(), |sum, c| format!("{sum}\\U{:08X}", c as u32))
                + "\""
        }
        4 => format!("|-\n{}{text}", " ".repeat(indent)),
        _ => format!("!!str '{}'", text.replace('\'', "''")),
    }
}

/// What people and other systems put into names, awkward for YAML above all.
fn awkward() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-zA-Z0-9]{1,8}",
        "[!-~]{1,12}",
        "[ぁ-ゖ一-三é-ü🙂]{1,6}",
        prop::sample::select(vec![
            "No",
            "~",
            "null",
            "007",
            "0x1F",
            "1e3",
            "12:30",
            "a: b",
            "- x",
            "#x",
            "x #y",
            "*a",
            "&a",
            "{a",
            "[b",
            "'",
            "\"",
            "@",
            "%x",
            "!t",
            "<<",
            "=",
            "|",
            ">",
            "2024-01-01",
            "a\\nb",
            ": x",
            "x:",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(word, 1..3).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn users_survive_any_way_of_writing_them(
        rows in prop::collection::vec((awkward(), awkward(), awkward(), prop::array::uniform6(0u8..6), any::<bool>()), 1..12),
        crlf in any::<bool>(),
    ) {
        let mut text = "version: 1\ncompany: biz_p\nusers:\n".to_owned();
        for (index, (id, name, value, styles, comment)) in rows.iter().enumerate() {
            let id = format!("{index}{}", id.replace('%', "p"));
            let field = |name: &str, value: &str, style| format!("    {name}: {}\n", written(value, style, 6));
            text += &format!("  - id: {}\n", written(&id, styles[0], 6));
            if *comment {
                text += "    # in between\n\n";
            }
            text += &field("email", &format!("u{index}@a.io"), styles[1]);
            text += &field("name", name, styles[2]);
            text += &field("title", value, styles[3]);
            let key = if styles[5] == 4 { 1 } else { styles[5] };
            text += &format!(
                "    metadata:\n      {}: {}\n",
                written(&format!("k {index}"), key, 8),
                written(value, styles[4], 8),
            );
        }
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        let manifest = Folder::with(&text).load();
        prop_assert!(manifest.is_ok(), "{manifest:#?}\n{text}");
        let manifest = manifest.unwrap();
        for (index, (id, name, value, ..)) in rows.iter().enumerate() {
            let key = UserKey::parse(&format!("{index}{}", id.replace('%', "p"))).unwrap();
            let user = manifest.desired.user(&key).unwrap();
            prop_assert_eq!(user.email.as_str(), format!("u{index}@a.io"));
            prop_assert_eq!(user.name.as_str(), name);
            prop_assert_eq!(user.title.as_ref().unwrap().as_str(), value);
            prop_assert_eq!(user.metadata.get(format!("k {index}").as_str()).map(|value| &**value), Some(value.as_str()));
            let place = &manifest.places(&[&key])[&key];
            prop_assert!(text.lines().nth(place.line as usize - 1).unwrap() == place.text);
        }
    }

    /// Whatever the text, there is an answer, every problem has its place, and
    /// nothing panics.
    #[test]
    fn any_text_gets_an_answer(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "version: 1\n", "company: biz_p\n", "users:\n", "- ", "  - ", "id: a\n", "email: a@a.io\n", "    name: A\n",
            "metadata: ", "{", "}", "[", "]", "'", "\"", "\n", " ", "\t", "&a ", "*a", "!x ", "? ", ": ", "<<: ", "# ",
            "---\n", "...\n", "|\n", ">-\n", "é", "\r\n", "\r", "%YAML 1.2\n", "~", ", ", "avatar: x\n", "\u{feff}",
        ]), 0..40),
    ) {
        let text = pieces.concat();
        let loaded = Folder::with(&text).load();
        let told = told(&loaded);
        prop_assert!(loaded.is_ok() || !told.is_empty(), "refused without a reason: {text:?}");
    }
}
