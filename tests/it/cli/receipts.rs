//! What an apply leaves behind to be audited.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::stops::{KEY, finish, forward, signal, start, wait_for_stop};
use super::{EXAMPLE, Place, Ran, Served};

const OPTIONS: &str = "-q -f users.example.yaml --server emulator --receipt r.json";

fn receipt(place: &Place) -> Value {
    assert!(!place.path("r.json.new").exists(), "nothing stays beside it");
    let receipt: Value = serde_json::from_slice(&place.read("r.json")).unwrap();
    crate::outputs::describes(&receipt);
    assert_eq!(
        (&receipt["format_version"], &receipt["kind"]),
        (&json!("1.0"), &json!("receipt"))
    );
    receipt
}

/// The receipt's steps of a kind and an outcome.
fn steps<'a>(receipt: &'a Value, step: &str, outcome: &str) -> Vec<&'a Value> {
    let steps = receipt["steps"].as_array().unwrap().iter();
    steps
        .filter(|it| it["step"] == step && it["outcome"] == outcome)
        .collect()
}

#[test]
fn a_receipt_tells_each_step_with_its_request_and_what_it_changed() {
    let place = Place::example();
    let sha = "c0".repeat(20);
    let plan = place
        .expect(0, "plan -q -f users.example.yaml --server emulator --format json")
        .json();
    place.expect(0, &format!("apply --yes {OPTIONS} --commit {sha}"));
    let told = receipt(&place);
    assert_eq!(
        (&told["digest"], &told["manifest"], &told["commit"]),
        (&plan["digest"], &plan["basis"]["manifest"], &json!(sha))
    );
    assert_eq!(
        (&told["company"], &told["server"], &told["api_version"]),
        (
            &json!("biz_ExamplePlatform"),
            &json!("emulator"),
            &json!("2026-10-15-1")
        )
    );
    assert_eq!(
        (
            &told["exit_status"],
            &told["complete"],
            &told["done"],
            &told["left"]
        ),
        (&json!(0), &json!(true), &json!({"create": 12}), &json!([]))
    );
    for (step, count) in [
        ("create_account", 12),
        ("update_profile", 12),
        ("upload_picture", 10),
    ] {
        assert_eq!(steps(&told, step, "done").len(), count, "{step}");
    }
    let all = told["steps"].as_array().unwrap();
    assert_eq!(all.len(), 34);
    let ids: BTreeSet<_> = all
        .iter()
        .map(|step| step["request_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 34, "a request each");
    assert!(
        all.iter()
            .all(|step| (200..300).contains(&step["status"].as_u64().unwrap()))
    );
    let (started, ended) = (told["started"].as_str().unwrap(), told["ended"].as_str().unwrap());
    assert!(all.iter().all(|step| {
        let at = step["at"].as_str().unwrap();
        started <= at && at <= ended
    }));
    let created = steps(&told, "create_account", "done");
    let one = created.iter().find(|step| step["id"] == "007").unwrap();
    assert!(one["account_id"].as_str().unwrap().starts_with("biz_"), "{one}");
    assert_eq!(
        one["fields"][0],
        json!({"name": "email", "before": null, "after": "frontdesk@example.com"})
    );
    let text = String::from_utf8(place.read("r.json")).unwrap();
    assert!(
        !text.contains("signature") && !text.contains("upload_url"),
        "{text}"
    );

    place.edit(EXAMPLE, "name: Jane Holloway\n", "name: Jane H. Marlow\n");
    place.expect(0, &format!("apply --yes {OPTIONS}"));
    let told = receipt(&place);
    assert_eq!(
        steps(&told, "update_profile", "done")[0]["fields"],
        json!([{"name": "name", "before": "Jane Holloway", "after": "Jane H. Marlow"}])
    );
    place.expect(0, &format!("apply --yes {OPTIONS}"));
    assert_eq!(receipt(&place)["steps"], json!([]), "nothing was to be done");
}

#[test]
fn no_key_is_in_a_receipt() {
    let served = Served::start("");
    let place = Place::example();
    let line = format!(
        "apply --yes -q -f {EXAMPLE} --server {} --receipt r.json",
        served.base
    );
    let ran = place.run_with(&line, &[("WHOP_API_KEY", "apik_verysecret")]);
    assert_eq!(ran.status, 0, "{}", ran.shown());
    let text = String::from_utf8(place.read("r.json")).unwrap();
    assert!(!text.contains("verysecret") && !text.contains("?"), "{text}");
}

#[test]
fn a_user_who_failed_is_in_it_with_whops_answer() {
    let place = Place::example();
    place.edit(EXAMPLE, "email: noam@example.org", "email: noam@bounce.test");
    place.expect(5, &format!("apply --yes {OPTIONS}"));
    let told = receipt(&place);
    assert_eq!(
        (&told["exit_status"], &told["complete"], &told["done"]),
        (&json!(5), &json!(false), &json!({"create": 11}))
    );
    let failed = steps(&told, "create_account", "failed");
    assert_eq!((failed.len(), &failed[0]["id"]), (1, &json!("user_10005")));
    assert!(failed[0]["status"].as_u64() >= Some(400), "{}", failed[0]);
    assert!(failed[0]["request_id"].is_string() && failed[0]["message"].is_string());
}

/// Starts an apply and sends it signals while a create is unanswered. They
/// differ, since equal ones may become one on their way.
fn interrupted(signals: &[&str]) -> (Place, Ran) {
    let served = Served::start("");
    let (base, gate) = forward(&served, 1);
    let place = Place::example();
    let line = format!("apply --yes -f {EXAMPLE} --server {base} --receipt r.json --format json");
    let mut apply = start(&place, &line);
    gate.wait();
    for name in signals {
        signal(name, &apply);
    }
    // A second one cuts the run off, whatever it waits for.
    if let [_] = signals {
        wait_for_stop(&mut apply);
        gate.open();
    }
    let ran = finish(apply, &line);
    assert_eq!(ran.status, 130, "{}", ran.shown());
    (place, ran)
}

#[test]
fn an_interrupted_apply_has_a_receipt_of_what_was_done_and_who_is_left() {
    let (place, ran) = interrupted(&["INT"]);
    let (told, report) = (receipt(&place), ran.json());
    assert_eq!(
        (&told["exit_status"], &told["stopped"]),
        (&json!(130), &json!("interrupted"))
    );
    let made = report["requests"]["create_account"].as_u64().unwrap();
    assert_eq!(steps(&told, "create_account", "done").len() as u64, made);
    assert_eq!(
        told["left"].as_array().unwrap().len(),
        report["troubled"].as_array().unwrap().len()
    );

    // Cut off by a second signal, it tells what it knows.
    let (place, ran) = interrupted(&["INT", "TERM"]);
    let told = receipt(&place);
    assert_eq!(
        (&told["error"]["code"], &told["done"], &ran.json()["code"]),
        (&json!("run.interrupted"), &Value::Null, &json!("run.interrupted"))
    );
}

#[test]
fn a_receipt_that_cannot_be_written_stops_the_run_before_it_begins() {
    let place = Place::example().file("folder/file", "");
    let before = place.files();
    for path in ["missing/r.json", "folder", "folder/file/r.json"] {
        let line = format!("apply --yes -q -f {EXAMPLE} --server emulator --receipt {path}");
        let ran = place.expect(1, &line);
        assert!(ran.stderr.contains("io.failed"), "{}", ran.shown());
    }
    assert_eq!(place.files(), before);
    let plan = place.expect(
        0,
        &format!("plan -q -f {EXAMPLE} --server emulator --format json"),
    );
    assert_eq!(plan.json()["reads"]["accounts"], 0, "nothing was made on Whop");
    // Nor does a refused plan leave one, or anything beside it.
    place.expect(
        4,
        &format!("apply --yes {OPTIONS} --expect 0123456789abcdef0123456789abcdef"),
    );
    assert_eq!(place.files(), before);
}

#[test]
fn a_saved_plan_has_the_receipt_of_its_digest() {
    let place = Place::example();
    let line = "plan -q -f users.example.yaml --server emulator --out p.json --format json";
    let digest = place.expect(0, line).json()["digest"].clone();
    for steps in [34, 0] {
        place.expect(0, "apply p.json --yes -q --server emulator --receipt r.json");
        let told = receipt(&place);
        assert_eq!(told["digest"], digest);
        assert_eq!(told["steps"].as_array().map(Vec::len), Some(steps));
    }
    // Whop's answers to a run that was refused from its first request on.
    let served = Served::start("--key good=company:create_child");
    let place = Place::example();
    let line = format!(
        "apply --yes -q -f {EXAMPLE} --server {} --receipt r.json",
        served.base
    );
    let ran = place.run_with(&line, &[KEY]);
    assert_eq!(ran.status, 1, "{}", ran.shown());
    assert!(!place.path("r.json").exists(), "nothing was begun");
}
