//! An older manifest after a newer one: noticed, shown, and refused.

use std::process::Command;

use serde_json::{Value, json};

use super::{Place, Ran};
use crate::golden::golden;

const OPTIONS: &str = "-q --server emulator";
const MAPPING: &str = ".whop-sync/users.mapping.jsonl";

/// A manifest of two users with these names.
fn manifest(first: &str, second: &str) -> String {
    format!(
        "version: 1\ncompany: biz_Acme\nusers:\n  - {{ id: u1, email: u1@acme.test, name: {first} }}\n  - {{ id: u2, email: u2@acme.test, name: {second} }}\n"
    )
}

fn write(place: &Place, first: &str, second: &str) {
    std::fs::write(place.path("users.yaml"), manifest(first, second)).unwrap();
}

/// A place where these states were applied, one after the other.
fn history(names: &[&str]) -> Place {
    let place = Place::new();
    for name in names {
        write(&place, name, "Bo");
        place.expect(0, &format!("apply --yes {OPTIONS}"));
    }
    place
}

fn head(place: &Place) -> Value {
    let text = String::from_utf8(place.read(MAPPING)).unwrap();
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

#[test]
fn an_older_manifest_is_shown_whole_and_refused_until_it_is_allowed() {
    let place = history(&["Ann", "Anna", "Annie"]);
    write(&place, "Anna", "Bo");
    let before = place.files();
    let apply = format!("apply --yes {OPTIONS}");
    let refused = place.expect(3, &apply);
    golden("cli/stale.txt", &refused.steady());
    let document = place.expect(3, &format!("{apply} --format json")).json();
    crate::outputs::describes(&document);
    let breach = &document["plan"]["breaches"][0];
    assert_eq!(
        (&document["code"], &breach["guard"], &breach["wanted"]),
        (&json!("plan.refused"), &json!("stale"), &json!(1))
    );
    assert_eq!(document["plan"]["actions"][0]["fields"][0]["new"], "Anna");
    assert_eq!(place.files(), before);

    // A plan only looks: it warns, and ends as a plan does.
    let plan = place.expect(2, "plan --server emulator --detailed-exitcode");
    assert!(plan.stderr.contains("warning: `stale`"), "{}", plan.shown());
    assert!(plan.stdout.contains("by 1 applied state"), "{}", plan.shown());
    assert_eq!(
        place.expect(0, &format!("plan {OPTIONS} --format json")).json()["breaches"][0]["guard"],
        "stale"
    );
    // Saving it does not help.
    place.expect(0, &format!("plan {OPTIONS} --out p.json"));
    place.expect(3, &format!("apply p.json --yes {OPTIONS}"));

    place.expect(0, &format!("{apply} --allow stale"));
    // Having gone back, the state gone back to is the newest one.
    write(&place, "Annie", "Bo");
    place.expect(3, &apply);
}

#[test]
fn what_is_new_and_what_changes_nothing_is_not_stale() {
    let place = history(&["Ann", "Anna"]);
    // The same, written otherwise.
    let text = manifest("Anna", "Bo").replace("version: 1\n", "# same\nversion: 1\n\n");
    std::fs::write(place.path("users.yaml"), text).unwrap();
    let mapping = place.read(MAPPING);
    place.expect(0, &format!("apply --yes {OPTIONS}"));
    assert_eq!(place.read(MAPPING), mapping, "a no-op leaves the mapping's bytes");
    // Drift is repaired from the newest state.
    let state = place.path(".whop-sync/emulator.jsonl");
    let whop = std::fs::read_to_string(&state).unwrap();
    std::fs::write(&state, whop.replace("Anna", "Drifted")).unwrap();
    let repaired = place
        .expect(0, &format!("apply --yes {OPTIONS} --format json"))
        .json();
    assert_eq!(repaired["done"], json!({"update": 1}));
    let states = head(&place)["applied"]["states"].clone();
    assert_eq!(states.as_array().map(Vec::len), Some(2), "each state stands once");
    // A state that was never there.
    write(&place, "Ann", "Bob");
    place.expect(0, &format!("apply --yes {OPTIONS}"));
    // An older one that asks for nothing else.
    std::fs::write(
        place.path("users.yaml"),
        manifest("Ann", "Bob")
            .lines()
            .take(4)
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    )
    .unwrap();
    place.expect(0, &format!("apply --yes {OPTIONS}"));
}

#[test]
fn a_mapping_of_before_is_read_and_learns() {
    let place = history(&["Ann"]);
    let text = String::from_utf8(place.read(MAPPING)).unwrap();
    let at = text.find(",\"applied\":").unwrap();
    let end = text.find('\n').unwrap();
    let old = format!("{}}}{}", &text[..at], &text[end..]);
    std::fs::write(place.path(MAPPING), &old).unwrap();
    place.expect(0, &format!("apply --yes {OPTIONS}"));
    assert_eq!(
        place.read(MAPPING),
        old.as_bytes(),
        "nothing to do, nothing to write"
    );
    write(&place, "Anna", "Bo");
    place.expect(0, &format!("apply --yes {OPTIONS}"));
    assert_eq!(
        head(&place)["applied"]["states"].as_array().map(Vec::len),
        Some(1)
    );
}

/// A repository beside the manifest.
struct Repository<'a>(&'a Place);

impl Repository<'_> {
    fn git(&self, line: &str) -> String {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.0.path("")).args(line.split(' '));
        for (name, value) in [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_SYSTEM", "/dev/null"),
            ("GIT_AUTHOR_NAME", "a"),
            ("GIT_AUTHOR_EMAIL", "a@a.test"),
            ("GIT_COMMITTER_NAME", "a"),
            ("GIT_COMMITTER_EMAIL", "a@a.test"),
        ] {
            git.env(name, value);
        }
        let output = git.output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits the manifest with this name in it.
    fn commit(&self, name: &str) -> String {
        write(self.0, name, "Bo");
        self.git("add users.yaml");
        self.git("commit -q -m change");
        self.git("rev-parse HEAD")
    }

    /// Applies a commit as a pipeline does.
    fn apply(&self, commit: &str, variable: &str) -> Ran {
        self.git(&format!("checkout -q {commit}"));
        let path = std::env::var("PATH").unwrap();
        let line = format!("apply --yes {OPTIONS} --format json");
        self.0.run_with(&line, &[(variable, commit), ("PATH", &path)])
    }
}

#[test]
fn commits_decide_where_git_knows_them() {
    let place = Place::new();
    let repository = Repository(&place);
    repository.git("init -q -b main");
    let first = repository.commit("Ann");
    let second = repository.commit("Anna");
    let third = repository.commit("Annie");
    let revert = repository.commit("Ann");
    assert_eq!(repository.apply(&first, "GITHUB_SHA").status, 0);
    assert_eq!(repository.apply(&third, "CI_COMMIT_SHA").status, 0);
    assert_eq!(head(&place)["applied"]["states"][1]["commit"], json!(third));
    // Two merges overtook each other: the second was never applied, and comes
    // before what was.
    let late = repository.apply(&second, "WHOP_SYNC_COMMIT");
    assert_eq!(late.status, 3, "{}", late.shown());
    assert_eq!(late.json()["plan"]["breaches"][0]["guard"], "stale");
    // Going back in a new commit is going on.
    let back = repository.apply(&revert, "GITHUB_SHA");
    assert_eq!(back.status, 0, "{}", back.shown());
    assert_eq!(back.json()["done"], json!({"update": 1}));
    // A commit nobody here knows, and a variable that holds none: the states
    // alone decide.
    let unknown = repository.apply(&third, "PATH_TO_NOWHERE");
    assert_eq!(unknown.status, 3, "{}", unknown.shown());
    let ran = place.run_with(&format!("apply --yes {OPTIONS}"), &[("GITHUB_SHA", "main")]);
    assert_eq!(ran.status, 3, "{}", ran.shown());
    let ran = place.run_with(&format!("apply --yes {OPTIONS}"), &[("WHOP_SYNC_COMMIT", "main")]);
    assert_eq!(ran.status, 64, "{}", ran.shown());
}
