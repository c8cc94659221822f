//! What the reference repeats of the code.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use whop_sync::cli::VARIABLES;
use whop_sync::error::Code;

use super::super::Place;
use super::{kept, names, part, read, rows};

#[test]
fn every_error_code_is_listed_with_its_exit_status() {
    let page = read("docs/src/exit-status.md");
    let listed: BTreeMap<String, String> = rows(part(&page, "## Error codes"))
        .into_iter()
        .map(|row| {
            let [code, status, meaning] = row.try_into().expect("three cells");
            assert!(meaning.ends_with('.'), "{code}: {meaning}");
            (code.trim_matches('`').to_owned(), status)
        })
        .collect();
    let codes = Code::ALL
        .iter()
        .map(|code| (code.as_str().to_owned(), (code.exit() as u8).to_string()));
    assert_eq!(listed, codes.collect());
    let statuses: BTreeSet<String> = listed
        .into_values()
        .chain(["0", "2"].map(str::to_owned))
        .collect();
    assert_eq!(names(part(&page, "## Exit status")), statuses);
    let help = Place::new().expect(0, "--help").stdout;
    let (_, help) = help.split_once("Exit status:\n").expect("it lists them");
    let number = |word: &&str| word.bytes().all(|b| b.is_ascii_digit());
    let helped: BTreeSet<String> = help
        .split_whitespace()
        .filter(number)
        .map(str::to_owned)
        .collect();
    assert_eq!(helped, statuses, "whop-sync --help");
}

/// The groups of options that every command takes, as the help heads them.
const COMMON: [&str; 4] = ["Files", "Whop", "What to do", "Output"];

/// The help of one command, with the names of the common groups in their place.
fn own_help(help: &str) -> String {
    let heading = |group: &&&str| help.contains(&format!("\n{group}:\n"));
    let groups: Vec<&str> = COMMON.iter().filter(heading).copied().collect();
    let text = match groups.first() {
        None => help.to_owned(),
        Some(first) => {
            let (own, rest) = help.split_once(&format!("\n{first}:\n")).expect("found above");
            let (_, examples) = rest.split_once("\nExamples:\n").expect("it has examples");
            let groups = groups.join(", ");
            format!(
                "{}\n\nCommon options: {groups}\n\nExamples:\n{examples}",
                own.trim_end()
            )
        }
    };
    trimmed(&text)
}

/// The groups themselves, from the program's own help.
fn common_help(help: &str) -> String {
    let (_, rest) = help.split_once("\nFiles:\n").expect("the first group");
    let (groups, _) = rest.split_once("\nExamples:\n").expect("it has examples");
    trimmed(&format!("Files:\n{groups}"))
}

/// Without blanks at the end of lines.
fn trimmed(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

#[test]
fn every_command_is_listed_with_its_help() {
    let place = Place::new();
    let top = place.expect(0, "help").stdout;
    let (_, list) = top.split_once("\nCommands:\n").expect("it lists them");
    let commands = list.lines().take_while(|line| !line.is_empty());
    let commands: Vec<&str> = commands
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert!(commands.len() > 12, "{commands:?}");
    let file = "docs/src/commands.md";
    let page = read(file);
    let (intro, _) = page.split_once("\n## ").expect("a part");
    let mut now = intro.to_owned();
    for command in commands {
        let help = own_help(&place.expect(0, &format!("help {command}")).stdout);
        now += &format!("\n## {command}\n\n```text\n{help}```\n");
    }
    now += &format!(
        "\n## Options of every command\n\n```text\n{}```\n",
        common_help(&top)
    );
    kept(file, &now, str::to_owned);
}

#[test]
fn every_problem_is_listed_with_what_to_do() {
    let file = "docs/src/problems.md";
    let page = read(file);
    let (intro, _) = page.split_once("| --- |").expect("a table");
    let mut now = format!("{intro}| --- | --- | --- |\n");
    let place = Place::with("version: 1\ncompany: biz_Acme\nusers: []\n");
    place.expect(0, "validate --report problems.sarif");
    let report: Value = serde_json::from_slice(&place.read("problems.sarif")).unwrap();
    let rules = report["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(rules.len() > 50, "{rules:?}");
    for rule in rules {
        let text = |key: &str| rule[key]["text"].as_str().unwrap();
        let id = rule["id"].as_str().unwrap();
        now += &format!("| `{id}` | {} | {} |\n", text("shortDescription"), text("help"));
    }
    kept(file, &now, str::to_owned);
}

#[test]
fn every_variable_is_listed() {
    let table = read("docs/src/environment.md");
    let listed: BTreeSet<String> = names(&table)
        .iter()
        .flat_map(|cell| cell.split("`, `"))
        .map(str::to_owned)
        .collect();
    // The transport's libraries read these two.
    let proxy = ["HTTPS_PROXY", "NO_PROXY"];
    let read: BTreeSet<String> = VARIABLES.into_iter().chain(proxy).map(str::to_owned).collect();
    assert_eq!(listed, read);
}

/// The names of an object's properties in a JSON Schema.
fn properties(schema: &Value) -> BTreeSet<String> {
    let properties = schema["properties"].as_object().expect("an object");
    properties.keys().cloned().collect()
}

#[test]
fn every_field_and_guardrail_of_the_manifest_is_listed() {
    let page = read("docs/src/manifest.md");
    let place = Place::new();
    let schema: Value = serde_json::from_str(&place.expect(0, "schema").stdout).unwrap();
    assert_eq!(names(part(&page, "## The head")), properties(&schema));
    let user = &schema["$defs"]["user"];
    assert_eq!(names(part(&page, "## A user")), properties(user));
    let required = |heading: &str| -> BTreeSet<String> {
        let rows = rows(part(&page, heading))
            .into_iter()
            .filter(|row| row[1] == "yes");
        rows.map(|row| row[0].trim_matches('`').to_owned()).collect()
    };
    assert_eq!(Value::from_iter(required("## A user")), sorted(&user["required"]));
    // The company may be written under another name, so the schema asks for one of four.
    let mut head = required("## The head");
    assert!(head.remove("company"));
    assert_eq!(Value::from_iter(head), sorted(&schema["required"]));
    let limits = properties(&schema["properties"]["guardrails"]);
    assert_eq!(required("## Guardrails"), limits);
    let help = place.expect(0, "help plan").stdout;
    let (_, allow) = help.split_once("--allow <GUARD>").expect("the option");
    let (allow, _) = allow.split_once("\nOutput:\n").expect("the next group");
    let guards = allow.lines().filter_map(|line| line.trim().strip_prefix("- "));
    let guards: BTreeSet<String> = guards
        .map(|line| line.split(':').next().unwrap().to_owned())
        .collect();
    assert_eq!(names(part(&page, "## Guardrails")), guards);
}

fn sorted(list: &Value) -> Value {
    let names: BTreeSet<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    Value::from_iter(names)
}

#[test]
fn every_kind_of_document_is_listed() {
    let page = read("docs/src/json.md");
    let (table, _) = page.split_once("\n## ").expect("a part");
    let listed: BTreeSet<String> = names(table)
        .iter()
        .flat_map(|cell| cell.split("`, `"))
        .map(str::to_owned)
        .collect();
    let schema: Value = serde_json::from_str(&Place::new().expect(0, "schema --plan").stdout).unwrap();
    let kinds = &schema["properties"]["kind"]["enum"];
    assert_eq!(Value::from_iter(listed), sorted(kinds));
}
