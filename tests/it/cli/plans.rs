//! Saved plans and expected digests: what was looked at is what is done, or
//! nothing is.

use std::fs;

use serde_json::{Value, json};
use whop_sync::emulator::Settings;

use super::stops::{KEY, finish, forward, signal, start};
use super::whop::Whop;
use super::{EXAMPLE, Place, Served};
use crate::golden::golden;

const OPTIONS: &str = "-q -f users.example.yaml --server emulator";
const APPLY: &str = "apply p.json --yes -q --server emulator";
const MAPPING: &str = ".whop-sync/users.example.mapping.jsonl";

/// The example, applied.
fn applied() -> Place {
    let place = Place::example();
    place.expect(0, &format!("apply --yes {OPTIONS}"));
    place
}

fn rename(place: &Place, to: &str) {
    place.edit(EXAMPLE, "name: Jane Holloway\n", &format!("name: {to}\n"));
}

#[test]
fn a_saved_plan_is_carried_out_once_and_then_does_nothing() {
    let place = applied();
    rename(&place, "Jane H. Marlow");
    let planned = place.expect(0, &format!("plan {OPTIONS} --out p.json --format json"));
    let saved: Value = serde_json::from_slice(&place.read("p.json")).unwrap();
    crate::outputs::describes(&saved);
    assert_eq!(
        (&saved["kind"], &saved["digest"]),
        (&json!("saved_plan"), &planned.json()["digest"])
    );
    assert!(
        !place.path("p.json.new").exists(),
        "nothing stays beside what was saved"
    );
    let bytes = place.read("p.json");
    place.expect(0, &format!("plan {OPTIONS} --out p.json"));
    assert_eq!(place.read("p.json"), bytes, "the same facts give the same bytes");

    let done = place.expect(0, &format!("{APPLY} --format json")).json();
    assert_eq!(
        (&done["done"], &done["digest"]),
        (&json!({"update": 1}), &saved["digest"])
    );
    assert_eq!(done["requests"]["update_user"], 1);
    let mapping = place.read(MAPPING);
    let again = place.expect(0, &format!("{APPLY} --format json")).json();
    crate::outputs::describes(&again);
    assert_eq!(
        (&again["already_applied"], &again["requests"], &again["digest"]),
        (&json!(true), &json!({}), &saved["digest"])
    );
    golden("cli/plan_again.txt", &place.expect(0, APPLY).steady());
    assert_eq!(place.read(MAPPING), mapping);

    // Killed after the mapping was published and before its journal was gone.
    let head: Value = serde_json::from_slice(mapping.split(|b| *b == b'\n').next().unwrap()).unwrap();
    let (state, run) = (&head["applied"]["states"][1], &head["applied"]["plans"][1]);
    let journal = format!(
        "{}\n{}\n",
        json!({"format": "whop-sync journal", "version": 1, "company": head["company"], "server": "emulator"}),
        json!({"entry": "opened", "run": "r", "at": 1, "purpose": {
            "desired": state["desired"], "plan": run["plan"], "base": run["base"],
        }}),
    );
    let path = place.path(".whop-sync/users.example.mapping.journal");
    fs::write(&path, journal).unwrap();
    let again = place.expect(0, &format!("{APPLY} --format json")).json();
    assert_eq!(again["already_applied"], true);
    assert!(!path.exists(), "its journal is cleared");
    assert_eq!(place.read(MAPPING), mapping);
    place.expect(0, &format!("plan --detailed-exitcode {OPTIONS}"));
}

#[test]
fn a_saved_plan_holds_no_secret_and_no_picture() {
    let served = Served::start("");
    let place = Place::example();
    let line = format!("plan -q -f {EXAMPLE} --server {} --out p.json", served.base);
    let ran = place.run_with(&line, &[("WHOP_API_KEY", "apik_verysecret")]);
    assert_eq!(ran.status, 0, "{}", ran.shown());
    let text = String::from_utf8(place.read("p.json")).unwrap();
    assert!(
        !text.contains("verysecret") && !text.contains("signature"),
        "{text}"
    );
    assert!(text.len() < 20_000, "no pictures: {}", text.len());
}

#[test]
fn whatever_moves_makes_a_saved_plan_stale_and_is_told() {
    let mut told = String::new();
    let mut stale = |moves: &dyn Fn(&Place)| {
        let place = applied();
        rename(&place, "Jane H. Marlow");
        place.edit(EXAMPLE, "tier: platinum", "tier: diamond");
        place.expect(0, &format!("plan {OPTIONS} --out p.json"));
        moves(&place);
        let reported = place.expect(4, &format!("{APPLY} --report r.md"));
        let report = String::from_utf8(place.read("r.md")).unwrap();
        assert!(report.contains("The saved plan is stale"), "{}", reported.shown());
        let before = place.files();
        let ran = place.expect(4, APPLY);
        let document = place.expect(4, &format!("{APPLY} --format json")).json();
        crate::outputs::describes(&document);
        assert_eq!(
            (&document["code"], &document["exit_status"]),
            (&json!("plan.stale"), &json!(4))
        );
        assert_eq!(place.files(), before, "nothing was written");
        told += &ran.steady();
        told += "\n";
        document["moved"].clone()
    };
    let ids = |moved: &Value| -> Vec<String> {
        let users = moved["users"].as_array().unwrap().iter();
        users
            .map(|user| user["id"].as_str().unwrap().to_owned())
            .collect()
    };

    // The manifest says something else for one, and one is no longer there.
    let moved = stale(&|place| {
        place.edit(EXAMPLE, "name: Jane H. Marlow", "name: Jane M");
        place.edit(EXAMPLE, "tier: diamond", "tier: platinum");
    });
    assert_eq!(moved["basis"][0]["what"], "manifest");
    assert_eq!(ids(&moved), ["007", "user_10001"]);
    assert_eq!(
        (&moved["users"][0]["planned"], &moved["users"][0]["now"]),
        (&json!("update"), &Value::Null)
    );
    assert_eq!(
        moved["users"][1]["fields"],
        json!([{
            "name": "name",
            "planned": {"old": "Jane Holloway", "new": "Jane H. Marlow"},
            "now": {"old": "Jane Holloway", "new": "Jane M"},
        }])
    );

    // Whop was changed by hand.
    let moved = stale(&|place| by_hand(place, "Jane Holloway", "Jane by hand"));
    assert_eq!(
        (&moved["basis"], ids(&moved)),
        (&json!([]), vec!["user_10001".to_owned()])
    );
    assert_eq!(moved["users"][0]["fields"][0]["now"]["old"], "Jane by hand");

    // Another picture under the same name: the manifest's text is the same.
    let moved = stale(&|place| {
        let other = place.read("examples/avatars/jane.png");
        fs::write(place.path("examples/avatars/olena.png"), other).unwrap();
    });
    assert_eq!(
        (&moved["basis"], ids(&moved)),
        (&json!([]), vec!["user_10002".to_owned()])
    );
    assert_eq!(moved["users"][0]["planned"], Value::Null);

    // Another run was there before.
    let moved = stale(&|place| {
        place.expect(0, &format!("apply --yes {OPTIONS} --only 007"));
    });
    assert_eq!(moved["basis"][0]["what"], "mapping");
    assert_eq!(ids(&moved), ["007"]);
    golden("cli/plan_stale.txt", &told);
}

/// Changes a name on Whop behind the program's back.
fn by_hand(place: &Place, from: &str, to: &str) {
    let state = place.path(".whop-sync/emulator.jsonl");
    let text = fs::read_to_string(&state).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(&state, text.replace(from, to)).unwrap();
}

#[test]
fn a_plan_of_another_place_or_program_is_refused_before_anything_is_sent() {
    let place = applied();
    rename(&place, "Jane H. Marlow");
    place.expect(0, &format!("plan {OPTIONS} --out p.json"));
    let original = String::from_utf8(place.read("p.json")).unwrap();
    for (from, to, says) in [
        (
            r#""program": "0.1.0""#,
            r#""program": "0.0.9""#,
            "program version `0.0.9`",
        ),
        (
            r#""server": "emulator""#,
            r#""server": "production""#,
            "server `production`",
        ),
        (
            r#""company": "biz_ExamplePlatform""#,
            r#""company": "biz_Other""#,
            "company `biz_Other`",
        ),
        (
            r#""api_version": "2026-10-15-1""#,
            r#""api_version": "2025-01-01""#,
            "API version `2025-01-01`",
        ),
    ] {
        assert!(original.contains(from), "{from}");
        let place = &place;
        fs::write(place.path("p.json"), original.replacen(from, to, 1)).unwrap();
        let ran = place.expect(4, APPLY);
        assert!(ran.stderr.contains(says), "{}", ran.shown());
    }
    // A file never says where the key is sent: no server means production.
    fs::write(place.path("p.json"), &original).unwrap();
    let ran = place.run_with("apply p.json --yes -q", &[KEY]);
    assert_eq!(ran.status, 4, "{}", ran.shown());
    assert!(
        ran.stderr.contains("this run has `production`"),
        "{}",
        ran.shown()
    );

    // What was tampered with does not match.
    fs::write(
        place.path("p.json"),
        original.replace("Jane H. Marlow", "Mallory"),
    )
    .unwrap();
    place.expect(0, APPLY);
    let shown = place.expect(0, &format!("plan --detailed-exitcode {OPTIONS}"));
    assert!(!shown.stdout.contains("Mallory"));
}

#[test]
fn what_is_no_plan_and_what_only_plan_decides() {
    let place = applied().file("p.json", "{}");
    assert!(place.expect(1, APPLY).stderr.contains("plan.unreadable"));
    assert!(
        place
            .expect(1, "apply missing.json --yes --server emulator")
            .stderr
            .contains("io.failed")
    );
    place.expect(0, &format!("plan {OPTIONS} --out p.json"));
    for file in [EXAMPLE, MAPPING] {
        place.expect(64, &format!("plan {OPTIONS} --out {file}"));
        place.expect(64, &format!("apply --yes {OPTIONS} --receipt {file}"));
    }
    for option in ["--only 007", "--refresh full"] {
        let ran = place.expect(64, &format!("{APPLY} {option}"));
        assert!(ran.stderr.contains("saved plan"), "{}", ran.shown());
    }
}

#[test]
fn a_saved_partial_plan_keeps_to_its_users() {
    let place = applied();
    rename(&place, "Jane H. Marlow");
    place.edit(EXAMPLE, "tier: platinum", "tier: diamond");
    place.expect(
        0,
        &format!("plan {OPTIONS} --only 007 --allow max_updates --out p.json"),
    );
    crate::outputs::describes(&serde_json::from_slice(&place.read("p.json")).unwrap());
    let done = place.expect(0, &format!("{APPLY} --format json")).json();
    assert_eq!(
        (&done["done"], &done["summary"]["left_out"]),
        (&json!({"update": 1}), &json!(11))
    );
    let rest = place.expect(0, &format!("plan {OPTIONS} --format json")).json();
    assert_eq!(rest["actions"][0]["id"], "user_10001");
}

#[test]
fn a_refused_plan_is_not_saved() {
    let place = Place::example();
    place.edit(
        EXAMPLE,
        "# guardrails: { max_creates: 50,",
        "guardrails: { max_creates: 5, #",
    );
    place.edit(EXAMPLE, "# max_updates: 30% }", "}");
    place.expect(3, &format!("plan {OPTIONS} --out p.json"));
    assert!(!place.path("p.json").exists());
    place.expect(0, &format!("plan {OPTIONS} --out p.json --allow max_creates"));
    // Whoever writes the file would lift it: it is lifted here or not at all.
    let refused = place.expect(3, APPLY);
    assert!(
        refused.stderr.contains("--allow max_creates"),
        "{}",
        refused.shown()
    );
    place.expect(0, &format!("{APPLY} --allow max_creates"));
}

/// Writes a JSON file anew.
fn rewrite(place: &Place, name: &str, edit: impl Fn(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&place.read(name)).unwrap();
    edit(&mut value);
    fs::write(place.path(name), value.to_string()).unwrap();
}

#[test]
fn a_saved_plan_does_not_choose_what_is_read_here() {
    let place = applied();
    rename(&place, "Jane H. Marlow");
    place.expect(0, &format!("plan {OPTIONS} --out p.json"));
    let secret = place.path("../secret.txt");
    fs::write(&secret, "apik_of_somebody: [\n").unwrap();
    for path in [
        secret.to_str().unwrap(),
        "/proc/self/environ",
        "../secret.txt",
        "a/../../secret.txt",
    ] {
        rewrite(&place, "p.json", |saved| {
            saved["basis"]["manifests"] = json!([path])
        });
        let ran = place.expect(64, APPLY);
        assert!(ran.stderr.contains("not below this folder"), "{}", ran.shown());
        assert!(!ran.stderr.contains("apik_of_somebody"), "{}", ran.shown());
    }
    fs::remove_file(&secret).unwrap();
    // Named on the command line, it is the operator's choice.
    place.expect(0, &format!("{APPLY} -f {EXAMPLE}"));
}

/// A mapping from a stranger names the plan as carried out.
#[test]
fn a_mapping_that_calls_a_plan_carried_out_is_not_believed() {
    let place = applied();
    rename(&place, "Jane H. Marlow");
    place.expect(0, &format!("plan {OPTIONS} --out p.json"));
    let saved: Value = serde_json::from_slice(&place.read("p.json")).unwrap();
    let text = String::from_utf8(place.read(MAPPING)).unwrap();
    let (head, rows) = text.split_once('\n').unwrap();
    let mut head: Value = serde_json::from_str(head).unwrap();
    let run = json!({"plan": saved["digest"], "base": saved["basis"]["generation"]});
    head["applied"]["plans"].as_array_mut().unwrap().push(run);
    fs::write(place.path(MAPPING), format!("{head}\n{rows}")).unwrap();
    let before = place.files();
    let ran = place.expect(4, APPLY);
    assert!(
        ran.stderr.contains("users.example.mapping.jsonl") && ran.stderr.contains("for 1 user"),
        "{}",
        ran.shown()
    );
    let document = place.expect(4, &format!("{APPLY} --format json")).json();
    crate::outputs::describes(&document);
    assert_eq!(
        document["moved"]["users"],
        json!([]),
        "it would still do what it says"
    );
    assert_eq!(place.files(), before, "nothing was written");
    // Once it is done, it says so.
    let path = place.path(MAPPING);
    fs::write(&path, text).unwrap();
    place.expect(0, APPLY);
    let again = place.expect(0, &format!("{APPLY} --format json")).json();
    assert_eq!(again["already_applied"], true);
}

/// The digest in a saved plan's file is what its author wrote there.
#[test]
fn what_a_saved_plan_says_of_its_own_digest_is_not_believed() {
    let place = applied();
    rename(&place, "Jane H. Marlow");
    let reviewed = place.expect(0, &format!("plan {OPTIONS} --format json")).json()["digest"].clone();
    let reviewed = reviewed.as_str().unwrap();
    place.edit(EXAMPLE, "name: Jane H. Marlow\n", "name: Mallory\n");
    place.expect(0, &format!("plan {OPTIONS} --out p.json"));
    rewrite(&place, "p.json", |saved| saved["digest"] = json!(reviewed));
    let before = place.files();
    let ran = place.expect(4, &format!("{APPLY} --expect {reviewed}"));
    assert!(ran.stderr.contains("not the one expected"), "{}", ran.shown());
    assert_eq!(place.files(), before);
}

/// A digest that was reviewed under other terms is another one.
#[test]
fn a_digest_holds_for_its_server_version_and_limits_alone() {
    let place = applied();
    rename(&place, "Jane H. Marlow");
    let digest = |options: &str| {
        let planned = place
            .expect(0, &format!("plan {OPTIONS} {options} --format json"))
            .json();
        planned["digest"].as_str().unwrap().to_owned()
    };
    let reviewed = digest("");
    for options in [
        "--allow max_updates",
        "--allow stale",
        "--api-version 2026-09-02-2",
    ] {
        assert_ne!(digest(options), reviewed, "{options}");
        let line = format!("apply --yes {OPTIONS} {options} --expect {reviewed}");
        let ran = place.expect(4, &line);
        assert!(ran.stderr.contains(&reviewed), "{}", ran.shown());
    }
    for limits in [
        "max_updates: 40%",
        "max_updates: 30%",
        "max_creates: 5000",
        "max_avatars: 7",
    ] {
        let text = String::from_utf8(place.read(EXAMPLE)).unwrap();
        fs::write(place.path(EXAMPLE), format!("guardrails: {{ {limits} }}\n{text}")).unwrap();
        place.expect(4, &format!("apply --yes {OPTIONS} --expect {reviewed}"));
        fs::write(place.path(EXAMPLE), text).unwrap();
    }
    place.expect(0, &format!("apply --yes {OPTIONS} --expect {reviewed}"));
}

/// Kills the program for good in the midst of a saved plan, at several points,
/// and demands that the same plan is finished and then does nothing.
#[test]
fn a_saved_plan_that_was_killed_half_way_is_resumed_by_the_same_command() {
    for kill_after in [1, 5, 12] {
        let served = Served::start("");
        let (base, gate) = forward(&served, kill_after);
        let place = Place::example();
        let server = format!("-q --server {base}");
        let plan = place.run_with(&format!("plan -f {EXAMPLE} {server} --out p.json"), &[KEY]);
        assert_eq!(plan.status, 0, "{}", plan.shown());
        let line = format!("apply p.json --yes {server} --format json");
        let apply = start(&place, &line);
        gate.wait();
        signal("KILL", &apply);
        let killed = finish(apply, &line);
        gate.open();
        assert_eq!((killed.status, &*killed.stdout), (-1, ""), "{}", killed.shown());
        assert!(place.path("users.example.mapping.journal").exists());

        let resumed = place.run_with(&line, &[KEY]);
        assert_eq!(
            resumed.status,
            0,
            "killed after {kill_after}: {}",
            resumed.shown()
        );
        assert_eq!(resumed.json()["complete"], true);
        let mapping = place.read("users.example.mapping.jsonl");
        let again = place.run_with(&line, &[KEY]);
        assert_eq!(again.status, 0, "{}", again.shown());
        assert_eq!(again.json()["already_applied"], true);
        assert_eq!(place.read("users.example.mapping.jsonl"), mapping);
        let check = place.run_with(
            &format!("plan --detailed-exitcode -f {EXAMPLE} {server} --format json"),
            &[KEY],
        );
        assert_eq!(
            (check.status, &check.json()["reads"]["accounts"]),
            (0, &json!(12))
        );
    }
}

/// A plan that one user failed of is finished by the same command; somebody
/// else's work in between makes it stale all the same.
#[test]
fn a_saved_plan_that_failed_for_one_is_resumed_unless_another_run_was_there() {
    for between in [false, true] {
        let faults = r#"{"faults": [{"operation": "update_user", "containing": "Jane", "count": 1, "strike": {"kind": "refused", "status": 422}}]}"#;
        let place = Place::example().file("faults.json", faults);
        let served = Served::start(&format!("--faults {}", place.path("faults.json").display()));
        let server = format!("-q --server {}", served.base);
        let run = |line: &str| place.run_with(&format!("{line} {server}"), &[KEY]);
        assert_eq!(run(&format!("plan -f {EXAMPLE} --out p.json")).status, 0);
        let failed = run("apply p.json --yes");
        assert_eq!(failed.status, 5, "{}", failed.shown());
        if between {
            assert_eq!(
                run(&format!("apply --yes -f {EXAMPLE} --allow max_updates")).status,
                0
            );
            let stale = run("apply p.json --yes");
            assert_eq!(stale.status, 4, "{}", stale.shown());
        } else {
            let resumed = run("apply p.json --yes --format json");
            assert_eq!(resumed.status, 0, "{}", resumed.shown());
            assert_eq!(resumed.json()["done"], json!({"update": 1}));
            assert_eq!(
                run("apply p.json --yes --format json").json()["already_applied"],
                true
            );
        }
    }
}

#[test]
fn an_expected_digest_lets_only_that_plan_pass() {
    let place = applied();
    rename(&place, "Jane H. Marlow");
    let digest = place.expect(0, &format!("plan {OPTIONS} --format json")).json()["digest"].clone();
    let digest = digest.as_str().unwrap();
    let (prefix, wrong) = (&digest[..32], "0123456789abcdef0123456789abcdef");
    for command in ["plan", "apply --yes"] {
        let line = format!("{command} {OPTIONS} --expect {wrong}");
        let ran = place.expect(4, &line);
        assert!(
            ran.stdout.contains("Jane H. Marlow"),
            "the plan is shown whole: {}",
            ran.shown()
        );
        assert!(
            ran.stderr.contains(wrong) && ran.stderr.contains(digest),
            "{}",
            ran.shown()
        );
        let document = place.expect(4, &format!("{line} --format json")).json();
        assert_eq!(
            (&document["code"], &document["plan"]["digest"]),
            (&json!("plan.stale"), &json!(digest))
        );
    }
    for short in [&digest[..12], &digest[..31]] {
        let ran = place.expect(64, &format!("apply --yes {OPTIONS} --expect {short}"));
        assert!(ran.stderr.contains("32 hexadecimal digits"), "{}", ran.shown());
    }
    // Another way of looking, another moment, another path: the same digest.
    let elsewhere = place.path(EXAMPLE);
    let line = format!(
        "plan -q --server emulator -f {} --expect {digest}",
        elsewhere.display()
    );
    place.expect(0, &line);
    for refresh in ["full", "changed"] {
        place.expect(
            0,
            &format!("plan {OPTIONS} --refresh {refresh} --expect {digest}"),
        );
    }
    place.expect(0, &format!("apply --yes {OPTIONS} --expect {prefix}"));
    // A pipeline that is run once more finds it done.
    let mapping = place.read(MAPPING);
    let line = format!("apply --yes -f {EXAMPLE} --server emulator --expect {prefix}");
    assert!(place.expect(0, &line).stderr.contains("carried out already"));
    assert_eq!(place.read(MAPPING), mapping);
    place.expect(4, &format!("apply --yes {OPTIONS} --expect {wrong}"));
}

/// Above 600 mapped users `auto` reads other profiles every hour, so that a
/// digest of one hour would be demanded of another one's plan.
#[test]
fn no_digest_is_expected_of_a_look_that_depends_on_the_hour() {
    let (wrong, server) = ("0".repeat(64), "-q --server emulator");
    for (mapped, status) in [(600, 4), (601, 64)] {
        let head = json!({"format": "whop-sync mapping", "version": 1, "company": "biz_p",
            "server": "emulator", "generation": 1});
        let rows: String = (0..mapped)
            .map(|n| format!("{{\"id\":\"u{n:03}\",\"account_id\":\"biz_{n}\",\"user_id\":\"user_{n}\"}}\n"))
            .collect();
        let place = Place::new()
            .file("users.yaml", "version: 1\ncompany: biz_p\nusers: []\n")
            .file(".whop-sync/users.mapping.jsonl", format!("{head}\n{rows}"));
        let run = |line: &str| place.run_with(line, &[("WHOP_SYNC_LIMIT", "60000/min")]);
        for command in ["plan", "apply --yes"] {
            let line = format!("{command} {server} --expect {wrong}");
            let ran = run(&line);
            let says = if status == 64 {
                "--refresh full"
            } else {
                "not the one expected"
            };
            assert_eq!(ran.status, status, "{}", ran.shown());
            assert!(ran.stderr.contains(says), "{}", ran.shown());
            assert_eq!(run(&format!("{line} --refresh changed")).status, 4);
        }
    }
}

#[test]
fn saving_a_plan_sends_get_only_and_applying_it_looks_at_its_users_only() {
    let whop = Whop::new(Settings {
        record: true,
        ..Settings::default()
    });
    let (emulator, base) = (&whop.emulator, &whop.base);
    let place = Place::example();
    let run = |line: &str| {
        let ran = place.run_with(&format!("{line} -q --server {base}"), &[KEY]);
        assert_eq!(ran.status, 0, "{}", ran.shown());
    };
    run(&format!("plan -f {EXAMPLE} --out p.json"));
    let looks = emulator.requests();
    assert!(!looks.is_empty() && looks.iter().all(|seen| seen.method == "GET"));
    run("apply p.json --yes");
    rename(&place, "Jane H. Marlow");
    let before = emulator.requests().len();
    run(&format!("plan -f {EXAMPLE} --out p.json"));
    let planned = emulator.requests().len();
    assert_eq!(planned - before, 1 + 12, "the list, and everybody's profile");
    run("apply p.json --yes");
    let sent = emulator.requests().split_off(planned);
    let profiles = sent
        .iter()
        .filter(|seen| seen.method == "GET" && seen.path.contains("/users/"));
    assert_eq!(profiles.count(), 1, "{sent:?}");
}

#[test]
fn a_plan_too_large_for_a_comment_says_so_first_and_strict_refuses_it() {
    let manifest = |users: usize| {
        let users = (0..users).map(|n| format!("  - {{ id: u{n}, email: u{n}@shop.co, name: Name {n} }}\n"));
        let head = "version: 1\ncompany: biz_ExamplePlatform\nusers:\n".to_owned();
        users.fold(head, |text, user| text + &user)
    };
    let large = Place::with(&manifest(3_000));
    let shown = large.expect(0, "plan -q --server emulator --format markdown");
    let first = shown.stdout.lines().nth(1).unwrap();
    assert!(
        first.starts_with("> **This plan is too large to review here:** "),
        "{first}"
    );
    let refused = large.expect(3, "plan -q --server emulator --strict --format json");
    assert!(
        refused.stdout.contains(r#""guard": "too_large""#) && refused.stdout.contains("--allow too_large"),
        "{}",
        &refused.stdout[..2_000]
    );
    large.expect(0, "plan -q --server emulator --strict --allow too_large");
    let small = Place::with(&manifest(300));
    let shown = small.expect(0, "plan -q --server emulator --strict --format markdown");
    assert!(!shown.stdout.contains("too large"), "{}", shown.shown());
}
