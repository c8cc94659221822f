//! Reads `src` and fails on an import that the map in the front page forbids,
//! so that the map stays true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each part may import of ours, and which packages only it may name.
const PARTS: [(&str, &[&str]); 13] = [
    ("core", &["core"]),
    ("parallel", &[]),
    ("fsys", &["fsys"]),
    ("error", &["core", "fsys"]),
    ("picture", &["core", "picture"]),
    (
        "manifest",
        &["core", "parallel", "error", "fsys", "picture", "manifest"],
    ),
    ("remote", &["core", "error", "picture", "remote"]),
    ("store", &["core", "parallel", "error", "fsys", "store"]),
    ("execute", &["core", "error", "remote", "store", "execute"]),
    ("render", &["core", "error", "picture", "render"]),
    ("emulator", &["emulator", "fsys", "remote::transport"]),
    (
        "cli",
        &[
            "core", "error", "fsys", "manifest", "remote", "store", "execute", "render", "emulator", "cli",
        ],
    ),
    (
        "fuzzing",
        &[
            "core", "error", "picture", "manifest", "remote", "store", "render", "cli",
        ],
    ),
];

/// Packages and the only places that may name them.
const HOMES: [(&str, &[&str]); 10] = [
    ("clap", &["cli"]),
    ("serde_yaml", &["manifest"]),
    ("saphyr_parser", &["manifest"]),
    (
        "reqwest",
        &[
            "remote/http.rs",
            "remote/http/authorities.rs",
            "remote/http/resolve.rs",
            "remote/http/strangers.rs",
        ],
    ),
    ("image", &["picture/thumbnail.rs", "picture/colours.rs"]),
    ("moxcms", &["picture/colours.rs"]),
    ("rustix", &["manifest/avatars/walk.rs", "fsys/unix.rs"]),
    ("similar", &["render"]),
    ("sha2", &["core/digest.rs"]),
    ("tokio", &["main.rs", "cli", "execute", "remote", "emulator"]),
];

/// What the pure core may use besides `std` and itself.
const CORE_PACKAGES: [&str; 2] = ["serde", "sha2"];

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut files) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_string_lossy()
                    .replace('\\', "/");
                files.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    assert!(files.len() > 15, "the source was found");
    files
}

fn part(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

/// The code without comments and without its test module.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every `prefix::path` the code names, as `first::second`.
fn paths<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    code.match_indices(prefix)
        .filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
        .map(|(at, _)| {
            let rest = &code[at + prefix.len()..];
            let end = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
                .unwrap_or(rest.len());
            rest[..end].trim_end_matches(':')
        })
        .collect()
}

#[test]
fn imports_point_one_way() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        let Some((_, allowed)) = PARTS.iter().find(|(name, _)| *name == part(&file)) else {
            assert!(
                ["main.rs", "lib.rs", "threats.rs", "whop_api.rs"].contains(&&*file),
                "{file} has no place in the map"
            );
            continue;
        };
        for path in paths(&code(&text), "crate::") {
            let fits = |allowed: &&str| path == *allowed || path.starts_with(&format!("{allowed}::"));
            if !allowed.iter().any(fits) {
                broken.push(format!("{file} imports crate::{path}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_package_stays_at_home() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        let code = code(&text);
        for (package, homes) in HOMES {
            let named = !paths(&code, &format!("{package}::")).is_empty();
            if named && !homes.iter().any(|home| file == *home || part(&file) == *home) {
                broken.push(format!("{file} names {package}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_core_is_pure() {
    let mut broken = Vec::new();
    for (file, text) in sources().into_iter().filter(|(file, _)| part(file) == "core") {
        let code = code(&text);
        for line in code.lines().filter_map(|line| line.trim().strip_prefix("use ")) {
            let root = line.split("::").next().unwrap_or(line);
            let fits = ["std", "super", "crate", "self"].contains(&root) || CORE_PACKAGES.contains(&root);
            if !fits {
                broken.push(format!("{file} uses {root}"));
            }
        }
        for word in [
            "async ",
            "std::fs",
            "std::env",
            "std::net",
            "std::thread",
            "SystemTime",
            "Instant",
            "println!",
        ] {
            if code.contains(word) {
                broken.push(format!("{file} has `{word}`"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_problem_has_its_rule() {
    /// Fields, limits and other names that are no codes.
    const NAMES: [&str; 18] = [
        "renamed_from",
        "strip_metadata",
        "max_updates",
        "max_creates",
        "max_avatars",
        "user_id",
        "internal_user_id",
        "external_id",
        "profile_picture",
        "previous_id",
        "parent_company_id",
        "parent_account_id",
        "in_doubt",
        "full_name",
        "email_address",
        "display_name",
        "biz_unknown",
        "account_id",
    ];
    let known = |word: &str| {
        whop_sync::render::sarif::RULES
            .iter()
            .any(|rule| rule.code == word)
    };
    let mut missing = BTreeSet::new();
    for (file, text) in sources() {
        if part(&file) != "manifest" {
            continue;
        }
        let code = code(&text);
        for word in code.split('"').skip(1).step_by(2) {
            let is_name = word.contains('_')
                && word
                    .bytes()
                    .all(|b| b == b'_' || b.is_ascii_lowercase() || b.is_ascii_digit());
            if is_name
                && !NAMES.contains(&word)
                && !known(word)
                && !code.contains(&format!("rename_all = \"{word}\""))
            {
                missing.insert(format!("{word} in {file}"));
            }
        }
    }
    assert!(missing.is_empty(), "not in render/sarif/rules.rs: {missing:#?}");
}

/// Whether a test of this module and name exists.
fn is_a_test(name: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Some((module, function)) = name.rsplit_once("::") else {
        return false;
    };
    let module = module.replace("::", "/");
    let places = ["tests/it/{}.rs", "src/{}.rs", "src/{}/mod.rs", "src/{}/tests.rs"];
    places.iter().any(|place| {
        let text = fs::read_to_string(root.join(place.replace("{}", &module))).unwrap_or_default();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let begins = |line: &&str| {
            let line = line.strip_prefix("async ").unwrap_or(line);
            line.strip_prefix("fn ")
                .is_some_and(|rest| rest.starts_with(&format!("{function}(")))
        };
        let at = lines.iter().position(begins);
        // Attributes and comments stand between the mark and the function.
        at.is_some_and(|at| {
            let above = lines[..at].iter().rev();
            above
                .take_while(|line| line.starts_with('#') || line.starts_with("//"))
                .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
        })
    })
}

/// The rows of every table of the threats, without their headings.
fn threats() -> Vec<&'static str> {
    let lines: Vec<&str> = include_str!("../../src/threats.md").lines().collect();
    let is_row = |at: &usize| {
        let is_rule = |line: &&str| line.starts_with("| ---");
        let line = &lines[*at];
        line.starts_with("| ") && !is_rule(line) && !lines.get(at + 1).is_some_and(is_rule)
    };
    (0..lines.len()).filter(is_row).map(|at| lines[at]).collect()
}

#[test]
fn every_threat_has_a_test_that_exists() {
    assert!(!is_a_test("house::nothing_of_the_kind") && !is_a_test("house::is_a_test"));
    let rows = threats();
    let (mut count, mut wrong) = (0, Vec::new());
    for row in rows {
        count += 1;
        let proofs = row.rsplit('|').nth(1).unwrap_or_default();
        let names: Vec<&str> = proofs.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            wrong.push(format!("no test: {row}"));
        }
        let missing = names.iter().filter(|name| !is_a_test(name));
        wrong.extend(missing.map(|name| format!("there is no test {name}")));
    }
    assert!(count > 30 && wrong.is_empty(), "{count} rows: {wrong:#?}");
}

/// What opens a file or reads the environment.
const OPENERS: [&str; 8] = [
    "File::open(",
    "fs::read",
    "OpenOptions",
    "openat(",
    "var_os(",
    "read_most(",
    "read_named(",
    "read_secret(",
];

#[test]
fn everything_that_is_read_has_its_author_listed() {
    let rows = threats();
    let (mut found, mut missing) = (0, Vec::new());
    for (file, text) in sources() {
        let is_tests = file.ends_with("tests.rs") || file.ends_with("fuzz.rs") || file == "fuzzing.rs";
        let code = code(&text);
        let opens = OPENERS.iter().any(|opener| code.contains(opener))
            || (code.contains("crate::fsys") && code.contains("How::"));
        if is_tests || part(&file) == "fsys" || !opens {
            continue;
        }
        found += 1;
        if !rows.iter().any(|row| row.contains(&format!("`{file}`"))) {
            missing.push(file);
        }
    }
    assert!(
        found > 12 && missing.is_empty(),
        "not in threats.md: {missing:#?}"
    );
}

/// Comments cite Whop's API by the parts of its page, and nothing that is not in
/// the repository.
#[test]
fn every_citation_leads_to_a_part_of_the_page_on_whops_api() {
    let page = include_str!("../../src/whop-api.md");
    let headings = page.lines().filter_map(|line| line.strip_prefix("# "));
    let parts: BTreeSet<String> = headings
        .map(|heading| heading.to_lowercase().replace(' ', "-"))
        .collect();
    assert!(parts.contains("errors-and-limits"), "{parts:?}");
    let page = (
        "whop-api.md".to_owned(),
        page.replace("](#", "](crate::whop_api#"),
    );
    let (mut count, mut broken) = (0, Vec::new());
    for (file, text) in sources().into_iter().chain([page]) {
        for cited in text.split("whop_api#").skip(1) {
            let part: String = cited
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '-')
                .collect();
            count += 1;
            if !parts.contains(&part) {
                broken.push(format!("{file} cites `{part}`"));
            }
        }
        for gone in ["whop-api.md` §", "contract §", "(trap "] {
            if text.contains(gone) {
                broken.push(format!("{file} has `{gone}`"));
            }
        }
    }
    assert!(count > 90 && broken.is_empty(), "{count} citations: {broken:#?}");
}
