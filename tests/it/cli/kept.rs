//! State that an earlier version wrote is still read. How the files were made
//! is written beside them, in `tests/kept`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use whop_sync::manifest::PictureCache;

use super::Place;
use crate::outputs::stays_valid;

const MAPPING: &str = ".whop-sync/users.mapping.jsonl";
const JOURNAL: &str = ".whop-sync/users.mapping.journal";
const INDEX: &str = ".whop-sync/users.mapping.pictures";

/// The address that bounces, so that the run of that time stayed incomplete.
const BOUNCES: &str = "  - { id: u7, email: u7@bounce.test, name: Gil }\n";

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/kept/c5e7cd1")
        .join(name)
}

/// Adds a kept file, or a folder with the files in it.
fn with(place: Place, name: &str, from: &str) -> Place {
    let from = kept(from);
    if from.is_file() {
        return place.file(name, fs::read(from).unwrap());
    }
    let files = fs::read_dir(&from).unwrap();
    files.fold(place, |place, file| {
        let file = file.unwrap();
        let name = format!("{name}/{}", file.file_name().to_str().unwrap());
        place.file(&name, fs::read(file.path()).unwrap())
    })
}

/// A folder with this manifest and mapping, and an emulator in that state.
fn place(manifest: &str, mapping: &str, emulator: &str) -> Place {
    let place = with(Place::new(), "users.yaml", &format!("{manifest}/users.yaml"));
    let place = with(place, "pictures", "pictures");
    let place = with(place, MAPPING, &format!("{mapping}/users.mapping.jsonl"));
    ["emulator.jsonl", "emulator.jsonl.files"]
        .into_iter()
        .fold(place, |place, name| {
            with(
                place,
                &format!(".whop-sync/{name}"),
                &format!("{emulator}/{name}"),
            )
        })
}

/// The mapping's users, without the first line, which counts runs.
fn users(mapping: &[u8]) -> String {
    let text = std::str::from_utf8(mapping).unwrap();
    text.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn a_kept_mapping_is_read_and_a_run_with_nothing_to_do_leaves_its_bytes() {
    let place = place("before", "before", "before");
    let before = place.read(MAPPING);
    for refresh in ["full", "changed"] {
        place.expect(
            0,
            &format!("plan -q --server emulator --detailed-exitcode --refresh {refresh}"),
        );
        place.expect(
            0,
            &format!("apply -q --yes --server emulator --refresh {refresh}"),
        );
        assert_eq!(place.read(MAPPING), before, "{refresh}");
    }
    let shown = place.expect(0, "show --server emulator --format json").json();
    let shown = shown["users"].as_array().unwrap();
    let ids: Vec<&str> = shown.iter().map(|user| user["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["u1", "u2", "u3", "u4", "u5"]);
    assert_eq!(
        (&shown[0]["title"], &shown[0]["metadata"]["tier"]),
        (&Value::from("Ana's shop"), &Value::from("gold"))
    );
}

#[test]
fn a_kept_picture_index_is_read_and_changes_no_plan() {
    let bytes = fs::read(kept("after/users.mapping.pictures")).unwrap();
    assert_eq!(PictureCache::parse(&bytes, i64::MAX).len(), 2);
    let place = place("after", "after", "after");
    place.edit("users.yaml", BOUNCES, "");
    let line = "plan -q --server emulator --detailed-exitcode --format json";
    let without = place.expect(0, line);
    let place = with(place, INDEX, "after/users.mapping.pictures");
    assert_eq!(place.expect(0, line).stdout, without.stdout);
}

#[test]
fn a_kept_saved_plan_is_carried_out() {
    let place = place("after", "before", "before");
    let place = with(place, "saved.json", "documents/saved_plan.json");
    let ran = place.run("apply -q --yes saved.json --server emulator");
    // One address bounces; everything else is done as it was planned.
    assert_eq!(ran.status, 5, "{}", ran.shown());
    let ids: Vec<String> = users(&place.read(MAPPING))
        .lines()
        .map(|line| {
            let user: Value = serde_json::from_str(line).unwrap();
            user["id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids, ["u1", "u2", "u3", "u5", "u6", "v4"]);
}

/// The journal of a run that did everything and was killed before it wrote the
/// mapping: what the mapping becomes is what that run made of it.
#[test]
fn a_kept_journal_with_every_kind_of_entry_is_replayed() {
    let place = place("after", "before", "after");
    let place = with(place, JOURNAL, "journals/whole.journal");
    place.edit("users.yaml", BOUNCES, "");
    let line = "-q --server emulator --refresh full";
    let before = (place.read(MAPPING), place.read(JOURNAL));
    place.expect(0, &format!("plan {line} --detailed-exitcode"));
    assert_eq!((place.read(MAPPING), place.read(JOURNAL)), before);
    place.expect(0, &format!("apply --yes {line}"));
    let then = fs::read(kept("after/users.mapping.jsonl")).unwrap();
    assert_eq!(users(&place.read(MAPPING)), users(&then));
    assert!(!place.path(JOURNAL).exists());
}

/// A run that was killed, whether or not its requests arrived: the next one
/// goes on, and nobody gets a second account.
#[test]
fn a_kept_journal_of_a_killed_run_is_gone_on_with() {
    for emulator in ["before", "after"] {
        let place = place("after", "before", emulator);
        let place = with(place, JOURNAL, "journals/interrupted.journal");
        place.edit("users.yaml", BOUNCES, "");
        let line = "-q --server emulator --refresh full";
        place.expect(0, &format!("apply --yes {line}"));
        let checked = place.expect(0, &format!("plan {line} --detailed-exitcode --format json"));
        assert_eq!(checked.json()["reads"]["accounts"], 6, "{emulator}");
        assert_eq!(users(&place.read(MAPPING)).lines().count(), 6, "{emulator}");
        assert!(!place.path(JOURNAL).exists());
    }
}

#[test]
fn kept_documents_are_what_the_schema_says() {
    let mut kinds = Vec::new();
    for file in fs::read_dir(kept("documents")).unwrap() {
        let document: Value = serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap();
        stays_valid(&document);
        kinds.push(document["kind"].as_str().unwrap().to_owned());
    }
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds, ["plan", "receipt", "report", "saved_plan"]);
}
