//! Nothing hostile reaches a terminal, a comment, an annotation, a page, a
//! spreadsheet or a log. One kept corpus is put wherever text comes in, every
//! command shows it in every format, and readers of those formats judge what
//! came out.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Map, Value, json};
use whop_sync::emulator::{Fault, Operation, Script, Settings, Strike};

use self::corpus::{texts, values};
use super::whop::Whop;
use super::{Place, Ran};
use crate::told::tell;

mod corpus;
mod judge;
#[cfg(target_os = "linux")]
mod terminal;

const COMPANY: &str = "biz_Hostile";

/// The program's own commands to a runner begin so.
const OURS: [&str; 2] = ["::error title=whop-sync ", "::warning title=whop-sync "];

/// A Whop on a socket, and a place beside it.
struct Scene {
    place: Place,
    whop: Whop,
}

impl Scene {
    fn new(place: Place) -> Self {
        let whop = Whop::new(Settings {
            rate: 0,
            processing: Duration::ZERO,
            ..Settings::default()
        });
        Self { place, whop }
    }

    /// Runs a command in a pipeline of GitHub's, with these arguments besides.
    fn ran(&self, line: &str, more: &[&str]) -> Ran {
        let mut command = self.place.command(line);
        command.args(["--server", &self.whop.base]).args(more);
        command.env("WHOP_API_KEY", "any").env("GITHUB_ACTIONS", "true");
        command.env("GITHUB_STEP_SUMMARY", self.place.path("summary.md"));
        // This Whop has no limit to wait for.
        command.env("WHOP_SYNC_LIMIT", "60000/min");
        command.stdin(Stdio::null());
        Ran::new(line, command.output().unwrap())
    }

    /// Runs it and judges both streams by its format.
    #[track_caller]
    fn judged(&self, statuses: &[i32], line: &str, more: &[&str]) -> Ran {
        let ran = self.ran(line, more);
        assert!(statuses.contains(&ran.status), "{:.3000}", ran.shown());
        judged(&ran);
        ran
    }

    /// The reports and the step's summary, if they are there.
    #[track_caller]
    fn reports(&self, about: &str) {
        let read = |name: &str| std::fs::read_to_string(self.place.path(name)).ok();
        let of = |name: &str| format!("{name} of {about}");
        if let Some(text) = read("r.json") {
            judge::json(&of("r.json"), &text);
        }
        if let Some(text) = read("r.sarif") {
            judge::json(&of("r.sarif"), &text);
        }
        if let Some(text) = read("r.html") {
            judge::html(&of("r.html"), &text);
        }
        for text in [read("r.md"), read("summary.md")].into_iter().flatten() {
            judge::markdown(&of("r.md"), &text);
        }
        for name in ["r.json", "r.md", "r.html", "r.sarif", "summary.md"] {
            let _ = std::fs::remove_file(self.place.path(name));
        }
    }

    fn fault(&self, operation: Operation, strike: Strike) {
        self.whop.emulator.script(Script::default());
        self.whop.emulator.fault(Fault {
            operation: Some(operation),
            containing: None,
            skip: 0,
            count: None,
            chance: 100,
            strike,
        });
    }
}

/// Judges what a run showed: stdout by its format, stderr as lines.
#[track_caller]
fn judged(ran: &Ran) {
    let stdout = format!("stdout of {}", ran.line);
    judge::lines(&format!("stderr of {}", ran.line), &ran.stderr, &OURS);
    if ran.line.contains("--format json") {
        judge::json(&stdout, &ran.stdout);
    } else if ran.line.contains("--format markdown") && ran.status != 64 {
        judge::markdown(&stdout, &ran.stdout);
    } else if ran.line.contains("--format csv") {
        judge::csv(&stdout, &ran.stdout);
    } else {
        judge::lines(&stdout, &ran.stdout, &[]);
    }
}

const FORMATS: [&str; 4] = ["human", "human --color always", "json", "markdown"];
const REPORTS: &str = "--report r.json --report r.md --report r.html --report r.sarif";
/// Logs in their two forms, one for each of two commands.
const LOGS: [&str; 2] = ["-vv", "-vvv --log-format json"];

/// A text in double quotes as YAML reads it, in plain ASCII.
fn yaml(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c => out += &format!("\\U{:08X}", u32::from(c)),
        }
    }
    out + "\""
}

/// Whether a text can be a file's name here.
fn names_a_file(text: &str) -> bool {
    text.len() <= 200 && !text.contains(['/', '\\']) && !text.starts_with("..")
}

/// A place whose manifest has the corpus in every value that takes it, a user
/// for each text; how many there are, and how many have a picture.
fn hostile_place() -> (Place, Vec<String>, usize) {
    let picture = Place::example().read("examples/avatars/on.png");
    let names = values(100);
    let mut place = Place::new();
    let mut manifest = format!("version: 1\ncompany: {COMPANY}\nusers:\n");
    let mut pictures = 0;
    for (n, text) in names.iter().enumerate() {
        let odd = yaml(text);
        let id = match text.contains('%') {
            true => format!("u{n}"),
            false => text.clone(),
        };
        let local: String = text.chars().filter(|c| !c.is_whitespace() && *c != '@').collect();
        let email = yaml(&format!("{local}{n}@acme.dev"));
        manifest += &format!("  - id: {}\n    email: {email}\n", yaml(&id));
        manifest += &format!("    name: {odd}\n    title: {odd}\n");
        manifest += &format!("    metadata: {{ {odd}: {odd}, plain: {odd} }}\n");
        if names_a_file(text) {
            pictures += 1;
            let file = format!("faces/{text}.png");
            manifest += &format!("    avatar: {}\n", yaml(&file));
            place = place.file(&file, &picture);
        }
    }
    (place.file("users.yaml", manifest), names, pictures)
}

#[test]
fn a_hostile_manifest_and_a_hostile_whop_come_to_nothing_in_any_format() {
    let (place, names, pictures) = hostile_place();
    assert!(names.len() > 50 && pictures > 35, "{} {pictures}", names.len());
    let scene = Scene::new(place);
    let mut runs = 0;
    let mut run = |statuses: &[i32], line: &str, more: &[&str]| {
        runs += 1;
        let ran = scene.judged(statuses, line, more);
        // Reading them takes longer than the run.
        if line.contains(REPORTS) {
            scene.reports(line);
        }
        ran
    };
    let logs = LOGS;
    // What is planned and done.
    for (n, format) in FORMATS.iter().enumerate() {
        run(&[0, 64], &format!("validate --format {format}"), &[]);
        run(
            &[0],
            &format!("plan --format {format} {REPORTS} --out p.json {}", logs[n % 2]),
            &[],
        );
    }
    let planned = run(&[0], "plan --format json", &[]).json();
    let told = judge::all_texts(&planned);
    for name in &names {
        assert!(told.contains(name), "{name:?} is not in the plan's JSON as it is");
    }
    run(
        &[0],
        &format!("apply --yes {REPORTS} --receipt receipt.json -vvv"),
        &[],
    );
    judge::json(
        "the receipt",
        &String::from_utf8(scene.place.read("receipt.json")).unwrap(),
    );

    // What is shown of it.
    let shown = run(&[0], "show --format json", &[]).json();
    let of = |name: &str| -> Vec<String> {
        let users = shown["users"].as_array().unwrap().iter();
        users
            .map(|user| user[name].as_str().unwrap().to_owned())
            .collect()
    };
    let (mut kept, mut wanted) = (of("name"), names.clone());
    kept.sort();
    wanted.sort();
    assert_eq!(kept, wanted, "the mapping's JSON gives every name back");
    for format in ["human", "csv"] {
        run(&[0], &format!("show --format {format}"), &[]);
    }
    let rows = judge::csv("show", &run(&[0], "show --format csv", &[]).stdout);
    assert_eq!(rows.len(), names.len() + 1);
    for (n, id) in of("id").iter().enumerate() {
        let format = ["human", "json", "human --color always"][n % 3];
        run(&[0], &format!("show --format {format}"), &["--", id]);
        if n % 3 == 0 {
            let format = ["human --color always", "json"][n % 2];
            run(&[0], &format!("explain --format {format} -q"), &["--", id]);
        }
    }

    // What somebody changes on Whop.
    for (n, (account, owner)) in of("account_id").iter().zip(of("user_id")).enumerate() {
        let text = texts()[n % texts().len()].clone();
        let metadata = Map::from_iter([
            (text.clone(), json!(text)),
            ("plain".to_owned(), json!([{ "x": text }])),
        ]);
        assert!(scene.whop.emulator.set_name(&owner, Some(COMPANY), Some(&text)));
        assert!(scene.whop.emulator.set_title(account, &text));
        assert!(
            scene
                .whop
                .emulator
                .set_metadata(account, with_ids(&scene, account, metadata))
        );
    }
    for (n, text) in texts().iter().enumerate() {
        let metadata = Map::from_iter([("external_id".to_owned(), json!(text))]);
        scene
            .whop
            .emulator
            .add_account(COMPANY, &format!("stray{n}@shop.dev"), text, metadata);
    }
    scene.whop.emulator.set_title(COMPANY, &texts()[0]);
    for (n, format) in FORMATS.iter().enumerate() {
        let log = logs[n % 2];
        run(&[2], &format!("drift --format {format} {REPORTS} {log}"), &[]);
        run(&[0, 3], &format!("plan --format {format} {REPORTS} {log}"), &[]);
        run(&[0, 1, 64], &format!("doctor --format {format} {log}"), &[]);
        run(
            &[3],
            &format!("apply --yes --format {format} {REPORTS} {log}"),
            &[],
        );
        run(
            &[0, 4],
            &format!("apply p.json --yes --format {format} {REPORTS}"),
            &[],
        );
    }
    for id in &of("id")[..8] {
        run(&[0], "explain --format human", &["--", id]);
    }
    // What is brought back from there.
    run(&[0], "export --format json", &[]);
    run(&[0], "export --out back.yaml", &["--company", COMPANY]);
    judge::lines(
        "the exported manifest",
        &String::from_utf8(scene.place.read("back.yaml")).unwrap(),
        &[],
    );
    let again = run(&[0], "plan -f back.yaml --format json", &[]).json();
    let changes = again["actions"].as_array().unwrap();
    assert!(
        changes.iter().all(|action| action["kind"] == "adopt"),
        "an export plans to no change: {changes:#?}"
    );
    tell(format!(
        "a hostile manifest and Whop: {} texts, {runs} runs judged on both streams and in their reports",
        texts().len()
    ));
}

/// Metadata that keeps the two ids by which the account is found.
fn with_ids(scene: &Scene, account: &str, mut metadata: Map<String, Value>) -> Map<String, Value> {
    let all = scene.whop.emulator.accounts();
    let before = all.iter().find(|known| known.id == account).unwrap();
    for name in ["external_id", "internal_user_id"] {
        if let Some(id) = before.metadata.get(name) {
            metadata.insert(name.to_owned(), id.clone());
        }
    }
    metadata
}

#[test]
fn a_hostile_text_where_none_belongs_is_told_safely() {
    let mut told = 0;
    for (n, text) in texts().iter().enumerate() {
        let odd = yaml(text);
        // As it is, where a YAML reader may stumble; as a value; as a name.
        let manifest = format!(
            "version: 1\ncompany: {COMPANY}\nusers:\n  - id: a\n    email: {odd}\n    name: {odd}\n    {odd}: x\n    \
             metadata: {{ {odd}: [] }}\n    avatar: {odd}\n  - id: {odd}\n    name: A\n    renamed_from: {odd}\n  - id: {odd}\n"
        );
        let raw = format!("version: 1\ncompany: {text}\nusers:\n  - id: {text}\n    nmae: {text} # {text}\n");
        let scene = Scene::new(Place::with(&manifest).file("raw.yaml", raw).file(
            "table.csv",
            format!(
                "id,email,name,{0}\n\"{0}\",{0}@acme.dev,\"{0}\",\"{0}\"\nb,\"{0}\",\"{0}\",\"{0}\"\n",
                text.replace('"', "\"\"")
            ),
        ));
        let format = FORMATS[n % FORMATS.len()];
        for file in ["users.yaml", "raw.yaml"] {
            for format in ["human --color always", "json"] {
                let line = format!("validate -f {file} --format {format}");
                let ran = scene.judged(&[7, 64], &line, &[]);
                let commands = ran.stderr.lines().filter(|line| line.starts_with("::")).count();
                assert!(
                    ran.status == 64 || (1..=60).contains(&commands),
                    "{:.3000}",
                    ran.shown()
                );
                told += 1;
            }
            let line = format!("plan -f {file} --format {format} {REPORTS}");
            scene.judged(&[7], &line, &[]);
            scene.reports(&line);
        }
        // As an argument, as a file's name, and in a table.
        if !text.contains('\0') && text.len() < 5_000 {
            scene.judged(&[7, 64], &format!("plan --format {format}"), &["--only", text]);
            scene.judged(&[1, 64], &format!("show --format {format}"), &["--", text]);
            scene.judged(&[64], "plan", &["--server", text]);
            scene.judged(&[64], "plan", &["--allow", text]);
            scene.judged(&[1, 7, 64], &format!("validate --format {format}"), &["-f", text]);
            told += 5;
        }
        let more: &[&str] = match n % 2 {
            0 => &["--from-csv", "table.csv"],
            _ => &["--from-csv", "table.csv", "--format", "json"],
        };
        let _ = std::fs::remove_file(scene.place.path("users.yaml"));
        let ran = scene.ran("init", more);
        judge::lines("stderr of init", &ran.stderr, &OURS);
        judge::lines("stdout of init", &ran.stdout, &[]);
        told += 3;
    }
    tell(format!(
        "hostile texts where none belong: {} texts, {told} runs judged",
        texts().len()
    ));
}

#[test]
fn a_hostile_file_name_is_told_safely() {
    let mut told = 0;
    for text in texts()
        .iter()
        .filter(|text| names_a_file(text) && !text.contains('\0'))
    {
        let file = format!("{text}.yaml");
        let bad = "version: 1\ncompany: biz_x\nusers:\n  - id: a\n    nmae: A\n";
        let scene = Scene::new(Place::new().file(&file, bad));
        let path = scene.place.path(&file);
        for format in ["human", "json"] {
            let ran = scene.judged(
                &[7],
                &format!("validate --format {format}"),
                &["-f", path.to_str().unwrap()],
            );
            assert!(ran.stderr.contains("::error title=whop-sync "), "{}", ran.shown());
            scene.judged(
                &[7],
                &format!("plan --format {format} {REPORTS}"),
                &["-f", path.to_str().unwrap()],
            );
            scene.reports("a file's name");
            told += 2;
        }
    }
    tell(format!("hostile file names: {told} runs judged"));
}

#[test]
fn whops_own_errors_are_told_safely() {
    let one = format!(
        "version: 1\ncompany: {COMPANY}\nusers:\n  - id: a\n    email: a@acme.dev\n    name: A\n    avatar: a.png\n"
    );
    let picture = Place::example().read("examples/avatars/on.png");
    let scene = Scene::new(Place::with(&one).file("a.png", &picture));
    scene.judged(&[0], "apply --yes -q", &[]);
    scene.place.edit("users.yaml", "name: A\n", "name: B\n");
    let operations = [
        Operation::ListAccounts,
        Operation::RetrieveUser,
        Operation::UpdateUser,
    ];
    let mut told = 0;
    for (n, text) in texts().iter().enumerate() {
        let of_header: String = text
            .chars()
            .filter(|c| *c == '\t' || (' '..='~').contains(c))
            .take(2_000)
            .collect();
        let error = json!({"error": {"type": text, "code": text, "param": text, "message": text}});
        for (status, body) in [(422, error.to_string()), (400, text.clone())] {
            let operation = operations[(n + usize::from(status == 400)) % operations.len()];
            let headers = [
                ("x-request-id", of_header.clone()),
                ("content-type", "application/json".to_owned()),
            ];
            scene.fault(
                operation,
                Strike::Answer {
                    status,
                    body: Some(body),
                    headers: headers
                        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                        .into(),
                },
            );
            let format = FORMATS[n % FORMATS.len()];
            let log = LOGS[n % 2];
            let command = ["apply --yes", "drift"][n % 2];
            let line = format!("{command} --format {format} {REPORTS} {log}");
            scene.judged(&[0, 1, 2, 3, 5, 64], &line, &[]);
            scene.reports(&line);
            let line = format!("doctor --format {} {log}", ["human", "json"][n % 2]);
            scene.judged(&[0, 1], &line, &[]);
            told += 2;
        }
    }
    scene.whop.emulator.script(Script::default());
    tell(format!(
        "Whop's own errors: {} texts, {told} runs judged",
        texts().len()
    ));
}

#[test]
fn a_hostile_mapping_is_told_safely() {
    let mut mapping = format!(
        "{{\"format\":\"whop-sync mapping\",\"version\":1,\"company\":\"{COMPANY}\",\"server\":\"production\",\"generation\":1}}\n"
    );
    let mut lines = BTreeMap::new();
    for (n, text) in texts().iter().enumerate() {
        let id = format!("u{n:03}");
        let entry = json!({"id": id, "account_id": format!("biz_{n}"), "user_id": format!("user_{n}"),
            "name": text, "title": text, "metadata": { text.clone(): text }});
        lines.insert(id, entry.to_string());
    }
    for line in lines.values() {
        mapping += line;
        mapping.push('\n');
    }
    let place = Place::new().file("users.mapping.jsonl", &mapping);
    let mut told = 0;
    let mut run = |line: &str| {
        let ran = place.expect(0, line);
        judged(&ran);
        told += 1;
        ran
    };
    for format in ["human", "csv", "json"] {
        run(&format!("show --format {format}"));
    }
    for id in lines.keys() {
        run(&format!("show {id}"));
    }
    let shown = run("show --format json").json();
    let told_texts = judge::all_texts(&shown);
    assert!(texts().iter().all(|text| told_texts.contains(text)));
    // And one that is none.
    for text in texts() {
        let place = Place::new().file("users.mapping.jsonl", format!("{mapping}{text}\n"));
        let ran = place.run("show");
        assert!(ran.status <= 1, "{:.2000}", ran.shown());
        judged(&ran);
        told += 1;
    }
    tell(format!("a hostile mapping: {told} runs judged"));
}
