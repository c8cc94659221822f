//! A mapping that links two users to each other's accounts, as a pull request
//! could bring it: every command says so, and none acts on it.

use serde_json::{Value, json};

use super::Place;
use super::looks::{COMPANY, Scene};

const MANIFEST: &str = "\
version: 1
company: biz_ExamplePlatform
users:
  - { id: user_1, email: ann@shop.co, name: Ann }
  - { id: user_2, email: ben@shop.co, name: Ben }
";
const MAPPING: &str = "users.mapping.jsonl";

/// Exchanges two texts in a file.
fn exchange(place: &Place, name: &str, (a, b): (&str, &str)) {
    let text = String::from_utf8(place.read(name)).unwrap();
    let text = text.replace(a, "\0").replace(b, a).replace('\0', b);
    std::fs::write(place.path(name), text).unwrap();
}

#[test]
fn a_mapping_with_two_users_swapped_is_held_by_every_command_in_both_dialects() {
    for version in ["2026-10-15-1", "2025-01-01"] {
        let scene = Scene::new(Place::with(MANIFEST));
        let on = |status, command: &str| scene.bare(status, &format!("{command} --api-version {version}"));
        let look =
            |status, command: &str| scene.look_bare(status, &format!("{command} --api-version {version}"));
        on(0, "apply --yes -q");
        let (ann, ben) = (scene.link_of("user_1", ""), scene.link_of("user_2", ""));
        exchange(&scene.place, MAPPING, (&ann.0, &ben.0));
        exchange(&scene.place, MAPPING, (&ann.1, &ben.1));
        scene.place.edit("users.yaml", "name: Ann", "name: Anna");
        let before = scene.whop.emulator.accounts();
        let names =
            || [&ann.1, &ben.1].map(|owner| scene.whop.emulator.profile(owner, COMPANY).unwrap().name);
        let named = names();

        let plan = look(2, "plan -q --detailed-exitcode");
        let said = format!(
            "the mapping links `user_1` to account `{}`, but the account carries `user_2` under `metadata.external_id`",
            ben.0
        );
        for part in [
            &*said,
            "! hold user_2",
            "remove the line of `user_1` from it",
            &ann.0,
        ] {
            assert!(plan.stdout.contains(part), "{part}\n{}", plan.shown());
        }
        let json = look(0, "plan -q --format json").json();
        let reasons: Vec<&Value> = json["holds"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hold| &hold["reason"])
            .collect();
        assert_eq!(reasons, [&json!("contradicted"), &json!("contradicted")]);
        assert_eq!(json["actions"], json!([]));

        let drift = look(2, "drift -q --format json").json();
        let states: Vec<&Value> = drift["users"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| &user["state"])
            .collect();
        assert_eq!(states, [&json!("contradicted"), &json!("contradicted")]);
        assert!(!drift.to_string().contains("Anna"), "{drift}");

        let explained = look(0, "explain user_1 -q --format json").json();
        assert_eq!(
            (&explained["decision"], &explained["profile"]),
            (&json!("hold"), &Value::Null)
        );
        let explained = look(0, "explain user_1 -q");
        assert!(!explained.stdout.contains("shows name"), "{}", explained.shown());

        let doctor = look(1, "doctor -q");
        assert!(
            doctor
                .stdout
                .contains("2 of 2 entries name an account that is not that user's: `user_1`, `user_2`"),
            "{}",
            doctor.shown()
        );

        on(5, "apply --yes -q");
        assert_eq!(scene.whop.emulator.accounts(), before);
        assert_eq!(names(), named);

        // The way out: without the two lines, each is found by its id.
        let text = String::from_utf8(scene.place.read(MAPPING)).unwrap();
        let head: String = text.lines().take(1).map(|line| format!("{line}\n")).collect();
        std::fs::write(scene.place.path(MAPPING), head).unwrap();
        on(0, "apply --yes -q");
        assert_eq!(
            (scene.link_of("user_1", ""), scene.link_of("user_2", "")),
            (ann.clone(), ben.clone())
        );
        assert_eq!(names()[0].as_deref(), Some("Anna"));
        look(0, "doctor -q");
    }
}
