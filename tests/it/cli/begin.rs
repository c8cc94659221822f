//! The commands of the first day: `init`, `schema`, `completions` and `man`.

#[cfg(unix)]
use std::process::Stdio;

use serde_json::{Value, json};

use super::Place;
use crate::golden::golden;
#[cfg(unix)]
use crate::told::tool;

#[test]
fn a_beginning_is_valid_and_overwrites_nothing() {
    let place = Place::new();
    let begun = place.expect(0, "init --company biz_Acme");
    golden("cli/init.txt", &begun.shown());
    golden(
        "cli/init.yaml.txt",
        &String::from_utf8(place.read("users.yaml")).unwrap(),
    );
    assert_eq!(
        place.read(".gitignore"),
        b"/.whop-sync/\n*.mapping.lock\n*.mapping.jsonl.new\n*.mapping.pictures*\n"
    );
    place.expect(0, "validate");
    place.expect(0, "plan --server emulator");
    let printed = place.expect(0, "schema");
    assert_eq!(place.read("users.schema.json"), printed.stdout.as_bytes());

    let place = place
        .file("users.yaml", "mine\n")
        .file(".gitignore", "target\n*.mapping.lock\n");
    let before = place.files();
    let again = place.expect(0, "init");
    assert!(before == place.files(), "nothing that was there changes");
    assert!(
        again
            .stdout
            .contains("Add to .gitignore: /.whop-sync/  *.mapping.jsonl.new  *.mapping.pictures*\n"),
        "{}",
        again.shown()
    );
    let below = place.expect(0, "init -f below/people.yaml --format json").json();
    assert_eq!(below["created"][0], "below/people.yaml");
    place.expect(64, "init -f below");
}

#[test]
fn pipelines_are_written_whole_and_beside_what_is_there() {
    let place = Place::new().file(".github/workflows/whop-sync-plan.yml", "mine\n");
    let made = place.expect(0, "init --ci github --format json").json();
    let created: Vec<_> = made["created"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for path in [
        ".github/workflows/whop-sync-apply.yml",
        ".github/workflows/whop-sync-drift.yml",
        ".github/actions/whop-sync/action.yml",
        ".github/actions/whop-sync/examples/ci/whop-sync-ci",
    ] {
        assert!(created.contains(&path), "{path} is not in {created:?}");
        assert!(!place.read(path).is_empty());
    }
    assert_eq!(made["kept"], json!([".github/workflows/whop-sync-plan.yml"]));
    assert_eq!(place.read(".github/workflows/whop-sync-plan.yml"), b"mine\n");
    place.expect(0, "init --ci gitlab");
    assert_eq!(
        place.read("ci/whop-sync-ci"),
        place.read(".github/actions/whop-sync/examples/ci/whop-sync-ci")
    );
    place.expect(64, "init --ci jenkins");
}

const TABLE: &str = "\u{feff}User ID;E-mail;Display name;Picture;Plan;Notes\r
1;ann@shop.dev;Ann;;gold;\r
2;bob(at)shop.dev;Bob;;;\r
3;ANN@shop.dev;Ann's other;;;\r
007;cy@shop.dev;\"No; \"\"Cy\"\"\";pics/cy.png;;hello\r
1;dan@shop.dev;Dan;;;\r
5;eve@shop.dev;;;;\r
6;fay@shop.dev;Fay;nowhere.png;silver;\r
";

#[test]
fn a_table_becomes_a_manifest_and_what_was_not_used_is_told() {
    let png = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/avatars/jane.png")).unwrap();
    let place = Place::new().file("users.csv", TABLE).file("pics/cy.png", png);
    let line = "init --from-csv users.csv --company biz_Acme --column metadata.tier=plan";
    let made = place.expect(0, line);
    golden("cli/init_csv.txt", &made.shown());
    golden(
        "cli/init_csv.yaml.txt",
        &String::from_utf8(place.read("users.yaml")).unwrap(),
    );
    let valid = place.expect(0, "validate");
    assert!(valid.stdout.contains("3 users, 1 picture"), "{}", valid.shown());
    let again = place.expect(1, line);
    assert!(again.stderr.contains("is there already"), "{}", again.shown());

    let place = place
        .file("other.csv", "who,mail,Full name\n1,a@b.dev,A\n")
        .file("open.csv", "id,name\n1,\"x\n");
    let other = place.expect(64, "init -f o.yaml --from-csv other.csv");
    assert!(
        other.stderr.contains("no column of the table is for `id`")
            && other.stderr.contains("`who`, `mail`, `Full name`"),
        "{}",
        other.shown()
    );
    place.expect(64, "init -f o.yaml --from-csv other.csv --column id=nobody");
    place.expect(
        0,
        "init -f o.yaml --from-csv other.csv --column id=who --format json",
    );
    place.expect(64, "init -f p.yaml --from-csv open.csv");
    place.expect(64, "init -f p.yaml --column id=who");
    place.expect(64, "init -f p.yaml --from-csv other.csv --column external_id=who");
    assert!(!place.path("p.yaml").exists());
}

#[test]
fn the_schema_is_one_document() {
    let schema: Value = serde_json::from_str(&Place::new().expect(0, "schema").stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

/// What the shell would offer for the last of these words.
fn offered(place: &Place, words: &[&str]) -> Vec<String> {
    let mut command = place.command("");
    command.args(["--", "whop-sync"]).args(words);
    let index = words.len().to_string();
    command.envs([
        ("WHOP_SYNC_COMPLETE", "bash"),
        ("_CLAP_COMPLETE_INDEX", &index),
        ("_CLAP_IFS", "\n"),
    ]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn shells_complete_options_commands_and_the_manifests_ids() {
    let place = Place::with("version: 1\nusers:\n- id: user_2\n- id: user_1\n- id: other\n  nmae: x\n")
        .file("more.yaml", "users: [{id: elsewhere}]\n")
        .file("broken.yaml", "users: [\n");
    assert_eq!(offered(&place, &["show", "user_"]), ["user_1", "user_2"]);
    assert_eq!(offered(&place, &["explain", "o"]), ["other"]);
    assert_eq!(offered(&place, &["plan", "--only", "user_1"]), ["user_1"]);
    assert_eq!(offered(&place, &["-f", "more.yaml", "show", "e"]), ["elsewhere"]);
    assert_eq!(
        offered(&place, &["-f", "broken.yaml", "show", "u"]),
        Vec::<String>::new()
    );
    assert!(offered(&place, &["pl"]).contains(&"plan".to_owned()));
    assert!(offered(&place, &["plan", "--ref"]).contains(&"--refresh".to_owned()));
    assert!(
        !offered(&place, &["validate", "--"]).contains(&"--refresh".to_owned()),
        "means nothing there"
    );
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = place.expect(0, &format!("completions {shell}"));
        assert!(script.stdout.contains("WHOP_SYNC_COMPLETE"), "{}", script.shown());
    }
    place.expect(64, "completions tcsh");
}

#[cfg(unix)]
#[test]
fn bash_itself_completes_an_id() {
    let place = Place::with("version: 1\nusers:\n- id: user_2\n- id: user_1\n");
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_whop-sync"))
        .parent()
        .unwrap();
    let script = "source <(whop-sync completions bash)
        complete -p whop-sync | grep -o -- '-F [^ ]*' | { read -r _ name
        COMP_WORDS=(whop-sync show user_) COMP_CWORD=2 COMP_TYPE=9
        $name whop-sync user_ show; echo \"${COMPREPLY[*]}\"; }";
    let mut bash = std::process::Command::new("bash");
    bash.args(["--norc", "--noprofile", "-c", script])
        .current_dir(place.0.path());
    let path = std::env::var("PATH").unwrap_or_default();
    bash.env("PATH", format!("{}:{path}", folder.display()));
    bash.stdout(Stdio::piped()).stderr(Stdio::piped());
    let Some(bash) = tool(&mut bash) else {
        return; // There is no bash here.
    };
    let output = bash.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "user_1 user_2",
        "{output:?}"
    );
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let place = Place::new();
    let top = place.expect(0, "man");
    assert!(top.stdout.contains(".TH whop-sync 1"), "{}", top.shown());
    let help = place.expect(0, "--help --format json").json();
    assert_eq!(help["kind"], json!("help"));
    for command in [
        "init", "plan", "apply", "drift", "explain", "export", "doctor", "show", "emulator",
    ] {
        let page = place.expect(0, &format!("man {command}"));
        assert!(
            page.stdout.contains(&format!(".TH whop-sync-{command} 1")),
            "{}",
            page.shown()
        );
    }
    place.expect(64, "man pland");
}

#[test]
fn every_command_tells_what_it_does_with_examples() {
    let place = Place::new();
    let mut told = String::new();
    for command in [
        "init",
        "drift",
        "explain",
        "export",
        "doctor",
        "schema",
        "completions",
        "man",
        "help",
    ] {
        let short = place.expect(0, &format!("{command} -h"));
        assert!(short.stdout.lines().count() < 50, "{}", short.shown());
        let help = place.expect(0, &format!("help {command}"));
        assert!(help.stdout.contains(&format!("\n  whop-sync {command}")) || command == "completions");
        told += &format!("{}\n", help.shown());
    }
    golden("cli/help_commands.txt", &told);
}
