//! Reads `src` and fails on an import that the map on the front page forbids,
//! and on imports that go in a circle.

mod imports;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use self::imports::{Graph, Tests};

/// Packages and the only places that may name them.
const HOMES: [(&str, &[&str]); 10] = [
    ("clap", &["cli"]),
    ("serde_yaml", &["manifest"]),
    ("saphyr_parser", &["manifest"]),
    (
        "reqwest",
        &[
            "remote/http.rs",
            "remote/http/api_base.rs",
            "remote/http/authorities.rs",
            "remote/http/resolve.rs",
            "remote/http/socket.rs",
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

/// What the pure core may use besides itself.
const CORE_PACKAGES: [&str; 3] = ["serde", "sha2", "std"];

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

/// The part of the crate that a file or a path is in.
fn part(name: &str) -> &str {
    name.split(['/', '.', ':']).next().unwrap_or(name)
}

/// The code without comments and without its test module.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn graph(tests: Tests) -> &'static Graph {
    static WHOLE: LazyLock<[Graph; 2]> = LazyLock::new(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        [Tests::Left, Tests::Helpers].map(|tests| Graph::read(&root, tests))
    });
    &WHOLE[tests as usize]
}

/// The map on the front page: each part of the crate, and what it may import
/// besides itself.
fn map() -> Vec<(String, Vec<String>)> {
    let page = include_str!("../../src/lib.rs");
    let rows = page.lines().filter_map(|line| line.strip_prefix("//! | "));
    let rows = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    let named = |cell: &str| -> Vec<String> {
        let names = cell.split('`').skip(1).step_by(2);
        names.map(str::to_owned).collect()
    };
    let rows = rows.filter_map(|row| Some((named(row.first()?).first()?.clone(), named(row.last()?))));
    let rows: Vec<_> = rows.collect();
    assert!(rows.len() > 10, "the map was found");
    rows
}

/// Whether a path is this module or below it.
fn is_in(path: &str, module: &str) -> bool {
    path.strip_prefix(module)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn imports_point_one_way() {
    let (map, graph) = (map(), graph(Tests::Helpers));
    let (mut broken, mut used) = (Vec::new(), BTreeSet::new());
    for (file, imports) in graph.files() {
        let own = part(file);
        let Some((_, allowed)) = map.iter().find(|(name, _)| name == own) else {
            let is_page = ["lib.rs", "threats.rs", "whop_api.rs"].contains(&&**file);
            assert!(is_page, "{file} is not on the map");
            continue;
        };
        for named in imports.named.iter().filter(|named| part(named) != own) {
            match allowed.iter().find(|allowed| is_in(named, allowed)) {
                Some(allowed) => drop(used.insert((own, allowed))),
                None => broken.push(format!("{file} imports {named}")),
            }
        }
    }
    for (at, (name, allowed)) in map.iter().enumerate() {
        for import in allowed {
            if !used.contains(&(&**name, import)) {
                broken.push(format!("the map lets {name} import {import}, which it does not"));
            }
            let is_above = |(row, _): &(String, _)| import.split("::").next() == Some(row);
            if !map[..at].iter().any(is_above) {
                broken.push(format!("{import} is not above {name} in the map"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn imports_go_in_no_circle() {
    let rings = graph(Tests::Left).rings();
    assert!(rings.is_empty(), "{rings:#?}");
}

#[test]
fn the_parser_misses_no_file() {
    let graph = graph(Tests::Helpers);
    for (file, _) in sources() {
        let is_of_tests = file.ends_with("tests.rs") || file == "main.rs";
        assert_ne!(is_of_tests, graph.files().contains_key(&file), "{file}");
    }
}

#[test]
fn every_package_stays_at_home() {
    let mut broken = Vec::new();
    for (file, imports) in graph(Tests::Helpers).files() {
        for (package, homes) in HOMES {
            let is_home = homes.iter().any(|home| file == *home || part(file) == *home);
            if imports.packages.contains(package) && !is_home {
                broken.push(format!("{file} names {package}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_core_is_pure() {
    let mut broken = Vec::new();
    for (file, imports) in graph(Tests::Left).files() {
        let others = imports
            .packages
            .iter()
            .filter(|package| !CORE_PACKAGES.contains(&&***package));
        if part(file) == "core" {
            broken.extend(others.map(|package| format!("{file} uses {package}")));
        }
    }
    for (file, text) in sources().into_iter().filter(|(file, _)| part(file) == "core") {
        let code = code(&text);
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
const OPENERS: [&str; 9] = [
    "File::open(",
    "fs::read",
    "OpenOptions",
    "openat(",
    "var_os(",
    "read_most(",
    "read_named(",
    "read_secret(",
    "read_trusted(",
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
