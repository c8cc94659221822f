//! The main job from end to end: create, nothing to do, change two, lose the
//! mapping; in both dialects, built in and over a socket.

use serde_json::json;
use whop_sync::emulator::Settings;

use super::whop::Whop;
use super::{EXAMPLE, Place, Ran, Served, steady};
use crate::golden::golden;

/// Where a story takes place.
struct Scene {
    place: Place,
    /// Options that every command takes.
    options: String,
    mapping: &'static str,
}

impl Scene {
    fn built_in(version: &str) -> Self {
        Self {
            place: Place::example(),
            options: format!("-f {EXAMPLE} --server emulator --api-version {version}"),
            mapping: ".whop-sync/users.example.mapping.jsonl",
        }
    }

    fn over(served: &Served, version: &str) -> Self {
        Self {
            place: Place::example(),
            options: format!("-f {EXAMPLE} --server {} --api-version {version}", served.base),
            mapping: "users.example.mapping.jsonl",
        }
    }

    #[track_caller]
    fn run(&self, status: i32, command: &str) -> Ran {
        let line = format!("{command} {}", self.options);
        let ran = self.place.run_with(&line, &[("WHOP_API_KEY", "any")]);
        assert_eq!(ran.status, status, "{}", ran.shown());
        ran
    }

    /// The whole story, in one text.
    fn tell(&self, create: &str) -> String {
        let mut told = String::new();
        let mut tell = |ran: Ran| {
            told += &ran.steady();
            told.push('\n');
            ran
        };
        tell(self.run(2, "plan --detailed-exitcode -q"));
        let applied = self.run(0, "apply --yes -q --format json").json();
        assert_eq!(
            (&applied["kind"], &applied["complete"]),
            (&json!("report"), &json!(true))
        );
        assert_eq!(
            (&applied["done"], &applied["pictures"]),
            (&json!({"create": 12}), &json!(11))
        );
        let requests = &applied["requests"];
        assert_eq!(requests[create], 12, "{requests}");
        assert_eq!(
            (&requests["create_file"], &requests["upload_file"]),
            (&json!(10), &json!(10))
        );
        assert_eq!(requests["update_user"], 12, "{requests}");

        let mapping = self.place.read(self.mapping);
        tell(self.run(0, "plan --detailed-exitcode -q"));
        tell(self.run(0, "apply --yes -q"));
        assert!(
            mapping == self.place.read(self.mapping),
            "a no-op leaves the mapping's bytes"
        );

        self.place
            .edit(EXAMPLE, "name: Jane Holloway\n", "name: Jane Holloway-Reed\n");
        let other = self.place.read("examples/avatars/on.png");
        std::fs::write(self.place.path("examples/avatars/olena.png"), other).unwrap();
        tell(self.run(2, "plan --detailed-exitcode -q"));
        let changed = self.run(0, "apply --yes -q --format json").json();
        let requests = &changed["requests"];
        assert_eq!(changed["done"], json!({"update": 2}));
        assert_eq!(
            (&requests["create_file"], &requests["upload_file"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(
            (&requests["update_user"], requests.get(create)),
            (&json!(2), None),
            "{requests}"
        );

        std::fs::remove_file(self.place.path(self.mapping)).unwrap();
        let found = tell(self.run(2, "plan --detailed-exitcode -q"));
        assert!(found.stdout.contains("\nPlan: 12 to adopt\n"), "{}", found.stdout);
        tell(self.run(0, "apply --yes -q"));
        tell(self.run(0, "plan --detailed-exitcode -q"));
        told
    }
}

#[test]
fn the_example_in_process_and_over_a_socket_tell_one_story() {
    let told = Scene::built_in("2026-10-15-1").tell("create_account");
    golden("cli/story.txt", &told);
    let served = Served::start("");
    let over = Scene::over(&served, "2026-10-15-1").tell("create_account");
    assert_eq!(same_place(&over), same_place(&told));
}

#[test]
fn the_companies_dialect_tells_it_too() {
    let told = Scene::built_in("2025-01-01").tell("create_company");
    golden("cli/story_companies.txt", &told);
    let served = Served::start("");
    let over = Scene::over(&served, "2025-01-01").tell("create_company");
    assert_eq!(same_place(&over), same_place(&told));
}

/// A story without the server's name, and without the digests, which cover it.
/// Over a socket the addresses at reserved domains are warned of, so stories are
/// told with `-q`.
fn same_place(told: &str) -> String {
    let same = |line: &str| match line.split_once("  digest      ") {
        Some(_) => "  digest".to_owned(),
        None => line.replace("http://127.0.0.1:PORT/api/v1", "emulator"),
    };
    steady(told).lines().map(same).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_first_apply_as_a_newcomer_sees_it() {
    let place = Place::example();
    let ran = place.expect(0, &format!("apply -f {EXAMPLE} --server emulator --yes"));
    golden("cli/first_apply.txt", &ran.steady());
    let shown = place.expect(0, &format!("show -f {EXAMPLE} --server emulator"));
    golden("cli/show.txt", &shown.steady());
    let one = place.expect(
        0,
        &format!("show 007 -f {EXAMPLE} --server emulator --format json"),
    );
    let user = &one.json()["users"][0];
    assert_eq!(
        (&user["id"], &user["name"]),
        (&json!("007"), &json!("Studio North"))
    );
    assert!(user["user_id"].as_str().unwrap().starts_with("user_"), "{user}");
    let table = place.expect(0, &format!("show -f {EXAMPLE} --server emulator --format csv"));
    assert_eq!(table.stdout.lines().count(), 13, "{}", table.stdout);
}

#[test]
fn plan_sends_get_only_and_writes_nothing() {
    let whop = Whop::new(Settings {
        record: true,
        exchanges: crate::told::exchanges(),
        ..Settings::default()
    });
    let (emulator, base) = (&whop.emulator, &whop.base);
    let place = Place::example();
    let run = |command: &str| {
        let line = format!("{command} -f {EXAMPLE} --server {base}");
        place.run_with(&line, &[("WHOP_API_KEY", "any")])
    };
    let before = place.files();
    assert_eq!(run("plan").status, 0);
    assert_eq!(place.files(), before, "a plan of everything writes nothing");
    let looks = emulator.requests();
    assert!(
        !looks.is_empty() && looks.iter().all(|seen| seen.method == "GET"),
        "{looks:?}"
    );

    assert_eq!(run("apply --yes").status, 0);
    let sent = emulator.requests();
    assert!(
        sent.iter().any(|seen| seen.method == "POST"),
        "the record sees writes"
    );

    place.edit(EXAMPLE, "name: On\n", "name: Off\n");
    let before = place.files();
    assert_eq!(run("plan --detailed-exitcode --refresh full").status, 2);
    assert_eq!(place.files(), before, "nor does one of a change");
    let looks = emulator.requests().split_off(sent.len());
    assert!(
        looks.len() > 12 && looks.iter().all(|seen| seen.method == "GET"),
        "{looks:?}"
    );
}
