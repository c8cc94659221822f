//! A journal that somebody put beside the mapping: what every output shows and
//! what an apply then does.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use whop_sync::core::model::LIST_LAG;
use whop_sync::emulator::Settings;

use super::Place;
use super::stops::KEY;
use super::whop::Whop;

const PLATFORM: &str = "biz_ExamplePlatform";

/// A manifest of so many users: `user_1`, whose email is `u1@shop.test`.
fn manifest(users: usize) -> String {
    let user = |n| format!("  - {{id: user_{n}, email: u{n}@shop.test, name: Name {n}}}\n");
    let users: String = (1..=users).map(user).collect();
    format!("version: 1\ncompany: {PLATFORM}\nusers:\n{users}")
}

/// The body of the create that the manifest asks for, for `user_3`.
fn asked() -> Value {
    json!({
        "email": "u3@shop.test",
        "metadata": {"external_id": "user_3", "internal_user_id": "user_3"},
        "title": "Name 3",
    })
}

/// Bodies that ask for something else; the last one says it twice.
fn others() -> Vec<String> {
    let with = |name: &str, value: Value| {
        let mut body = asked();
        body[name] = value;
        body.to_string()
    };
    let twice = asked()
        .to_string()
        .replacen('{', "{\"email\":\"eve@evil.test\",", 1);
    vec![
        with("email", "eve@evil.test".into()),
        with("email", "u1@shop.test".into()),
        with(
            "metadata",
            json!({"external_id": "user_1", "internal_user_id": "evil"}),
        ),
        with("evil", "".into()),
        twice,
    ]
}

/// A journal with this create for `user_3`.
fn journal(server: &str, begun: u64, body: &str) -> String {
    let header = json!({"format": "whop-sync journal", "version": 1, "company": PLATFORM, "server": server});
    let call = json!({"version": "2026-10-15-1", "idempotency_key": "evil-key", "body": body});
    let doubt = json!({"begun": begun, "email": "u3@shop.test", "call": call});
    let intent = json!({"intent": "create", "key": "user_3", "doubt": doubt});
    format!("{header}\n{}\n", json!({"entry": "begun", "intent": intent}))
}

#[test]
fn a_create_put_into_the_journal_is_shown_as_held_and_never_sent() {
    for (future, body) in [false, true]
        .into_iter()
        .flat_map(|future| others().into_iter().map(move |body| (future, body)))
        .chain([(true, asked().to_string())])
    {
        let whop = Whop::new(Settings::default());
        let place = Place::with(&manifest(2));
        let run = |status: i32, line: &str| {
            let ran = place.run_with(&format!("{line} -q --server {}", whop.base), &[KEY]);
            assert_eq!(ran.status, status, "future: {future}, {body}\n{}", ran.shown());
            ran
        };
        run(0, "apply --yes");
        let place = place.file("users.yaml", manifest(3));
        let run = |status: i32, line: &str| {
            let ran = place.run_with(&format!("{line} -q --server {}", whop.base), &[KEY]);
            assert_eq!(ran.status, status, "future: {future}, {body}\n{}", ran.shown());
            ran
        };
        let clean = run(0, "plan --format json").json();
        let digest = clean["digest"].as_str().unwrap();
        let now = whop.emulator.now() / 1000;
        let begun = if future { u64::MAX } else { now - 5 };
        fs::write(
            place.path("users.mapping.journal"),
            journal(&whop.base, begun, &body),
        )
        .unwrap();

        let plan = run(0, "plan --format json --report page.html").json();
        assert_eq!(plan["actions"], json!([]), "{plan}");
        assert_eq!(plan["holds"][0]["reason"], "in_doubt", "{plan}");
        let shown = [
            plan.to_string(),
            run(0, "plan").stdout,
            run(0, "plan --format markdown").stdout,
            String::from_utf8(place.read("page.html")).unwrap(),
        ];
        for text in shown {
            assert!(text.contains("user_3") && !text.contains("evil"), "{text}");
        }
        run(4, &format!("plan --expect {digest}"));
        run(4, &format!("apply --yes --expect {digest}"));
        run(5, "apply --yes");
        assert_eq!(whop.emulator.accounts().len(), 2, "{body}");

        // By Whop's clock, whatever ours shows, absence is proof in the end.
        whop.emulator.advance(Duration::from_secs(LIST_LAG + 1));
        run(0, "apply --yes");
        let accounts = whop.emulator.accounts();
        assert_eq!(accounts.len(), 3, "{accounts:?}");
        let new = accounts
            .iter()
            .find(|a| a.metadata["external_id"] == "user_3")
            .unwrap();
        assert_eq!(new.email.as_deref(), Some("u3@shop.test"));
        assert_eq!(new.metadata["internal_user_id"], "user_3");
        run(0, "plan --detailed-exitcode");
    }
}

/// The same as a run that died had it: sent again, to the byte.
#[test]
fn a_create_that_asks_for_what_the_manifest_asks_for_is_sent_again() {
    let whop = Whop::new(Settings {
        record: true,
        ..Settings::default()
    });
    let place = Place::with(&manifest(3));
    let body = asked().to_string();
    let begun = whop.emulator.now() / 1000 - 5;
    let journal = journal(&whop.base, begun, &body);
    let place = place.file("users.mapping.journal", journal);
    let line = format!("apply --yes -q --server {}", whop.base);
    let ran = place.run_with(&line, &[KEY]);
    assert_eq!(ran.status, 0, "{}", ran.shown());
    let sent = whop.emulator.requests().into_iter();
    let sent: Vec<_> = sent
        .map(|seen| String::from_utf8_lossy(&seen.body).into_owned())
        .collect();
    assert_eq!(sent.iter().filter(|sent| **sent == body).count(), 1, "{sent:?}");
    assert_eq!(whop.emulator.accounts().len(), 3);
}
