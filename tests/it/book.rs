//! The manual in `docs/` as a book: every page is a topic of `whop-sync help`,
//! and links lead somewhere. [`crate::cli`] compares it with the program.

mod links;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use whop_sync::cli::TOPICS;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names of the files in `docs/src`, without the table of contents.
fn files() -> BTreeSet<String> {
    let names = fs::read_dir(root().join("docs/src")).unwrap().map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".md").expect("only pages").to_owned()
    });
    names.filter(|name| name != "SUMMARY").collect()
}

#[test]
fn every_page_of_the_book_is_a_topic_in_the_same_order() {
    let contents = read("docs/src/SUMMARY.md");
    let entries = contents.lines().filter_map(|line| line.strip_prefix("- ["));
    let entries: Vec<(&str, &str)> = entries
        .map(|entry| {
            let (title, file) = entry.split_once("](").expect("a link");
            (file.strip_suffix(".md)").expect("a page"), title)
        })
        .collect();
    let topics: Vec<_> = TOPICS.iter().map(|topic| (topic.name, topic.title)).collect();
    assert_eq!(entries, topics, "docs/src/SUMMARY.md and TOPICS in src/cli");
    let listed: BTreeSet<String> = topics.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed, files());
    for topic in TOPICS {
        let heading = topic.page.lines().next();
        assert_eq!(heading, Some(&*format!("# {}", topic.title)), "{}", topic.name);
        // Pages are read in terminals too, where only tables are wider.
        let is_table = |line: &str| line.starts_with('|');
        let mut code = false;
        for line in topic.page.lines() {
            code ^= line.starts_with("```");
            let is_long = line.chars().count() > 100 && !code && !is_table(line);
            assert!(!is_long, "{} is wider than 100 columns: {line}", topic.name);
        }
    }
}

#[test]
fn the_package_contains_the_book() {
    let manifest = read("Cargo.toml");
    let exclude = manifest.lines().find(|line| line.starts_with("exclude = "));
    assert!(!exclude.expect("it has one").contains("docs"));
    assert!(!manifest.lines().any(|line| line.starts_with("include = ")));
}

#[test]
fn the_readme_is_short_and_its_commands_are_those_of_the_gate() {
    let readme = read("README.md");
    assert!(readme.lines().count() <= 150, "{}", readme.lines().count());
    let mut commands = readme.lines().filter_map(|line| line.strip_prefix("$ "));
    let (first, second) = (commands.next().unwrap(), commands.next().unwrap());
    assert_eq!(second, "cargo test");
    let gate = read(".ci/run");
    assert!(gate.lines().any(|line| line.trim() == first), "{first}");
    assert!(gate.lines().any(|line| line.ends_with(second)), "{second}");
    let mut above = "";
    for line in readme.lines() {
        assert!(
            !line.starts_with('#') || above.is_empty(),
            "no blank line before {line}"
        );
        above = line;
    }
}

#[test]
fn the_workflow_runs_the_gate_and_nothing_that_can_be_moved() {
    let text = read(".github/workflows/gate.yml");
    let workflow: serde_json::Value = serde_yaml::from_str(&text).expect("it is YAML");
    assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read" }));
    let job = &workflow["jobs"]["gate"];
    assert!(job["timeout-minutes"].is_u64());
    let steps = job["steps"].as_array().expect("steps");
    let texts = |key: &str| -> Vec<String> {
        let values = steps.iter().filter_map(|step| step[key].as_str());
        values.map(str::to_owned).collect()
    };
    assert_eq!(texts("run"), [".ci/run"]);
    for used in texts("uses") {
        let (_, at) = used.split_once('@').expect("a revision");
        assert!(
            at.len() == 40 && at.bytes().all(|b| b.is_ascii_hexdigit()),
            "{used}"
        );
    }
}
