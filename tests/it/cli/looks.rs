//! The commands that look and never write: `drift`, `explain`, `export` and
//! `doctor`, against a Whop on which somebody changed things by hand.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use whop_sync::emulator::serve::Server;
use whop_sync::emulator::{Emulator, Settings};

use super::{EXAMPLE, Place, Ran};
use crate::golden::golden;

const COMPANY: &str = "biz_ExamplePlatform";

/// A place beside a Whop that a test can reach into. Every request is
/// recorded.
struct Scene {
    place: Place,
    emulator: Emulator,
    base: String,
    _runtime: Runtime,
}

impl Scene {
    fn new(place: Place) -> Self {
        let emulator = Emulator::open(Settings {
            record: true,
            ..Settings::default()
        })
        .unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = runtime.block_on(Server::bind(emulator.clone(), address)).unwrap();
        let base = server.base();
        runtime.spawn(server.run(pending()));
        Self {
            place,
            emulator,
            base,
            _runtime: runtime,
        }
    }

    /// The example, applied.
    fn applied() -> Self {
        let scene = Self::new(Place::example());
        scene.run(0, "apply --yes -q");
        scene
    }

    /// Runs a command on the example's manifest and demands this status.
    #[track_caller]
    fn run(&self, status: i32, command: &str) -> Ran {
        self.bare(status, &format!("{command} -f {EXAMPLE}"))
    }

    /// The same without naming a manifest.
    #[track_caller]
    fn bare(&self, status: i32, command: &str) -> Ran {
        let line = format!("{command} --server {}", self.base);
        let ran = self.place.run_with(&line, &[("WHOP_API_KEY", "any")]);
        assert_eq!(ran.status, status, "{}", ran.shown());
        ran
    }

    /// Runs it and demands besides that it sent GET only and wrote nothing.
    #[track_caller]
    fn look(&self, status: i32, command: &str) -> Ran {
        let (before, sent) = (self.place.files(), self.emulator.requests().len());
        let ran = self.run(status, command);
        let looks = self.emulator.requests().split_off(sent);
        assert!(looks.iter().all(|seen| seen.method == "GET"), "{looks:?}");
        assert!(before == self.place.files(), "{command} wrote something");
        ran
    }

    /// The account and the owner of a user.
    fn link(&self, id: &str) -> (String, String) {
        let shown = self.run(0, &format!("show {id} --format json")).json();
        let text = |name: &str| shown["users"][0][name].as_str().unwrap().to_owned();
        (text("account_id"), text("user_id"))
    }

    /// Changes on Whop what people and other programs there change.
    fn meddle(&self) {
        let owner = |id: &str| self.link(id).1;
        assert!(
            self.emulator
                .set_name(&owner("user_10001"), Some(COMPANY), Some("Jane\u{202e} | `H`"))
        );
        assert!(
            self.emulator
                .set_picture(&owner("user_10002"), Some(COMPANY), Some(PIXEL))
        );
        assert!(self.emulator.set_suspended(&self.link("user_10003").0, true));
        assert!(self.emulator.remove_account(&self.link("007").0));
        assert!(
            self.emulator
                .set_name(&owner("user_10010"), Some(COMPANY), Some("Onward"))
        );
        self.emulator
            .add_account(COMPANY, "stray@shop.dev", "Stray", serde_json::Map::new());
    }
}

/// A picture of one pixel.
const PIXEL: &[u8] = b"\x89\x50\x4e\x47\x0d\x0a\x1a\x0a\x00\x00\x00\x0d\x49\x48\x44\x52\x00\x00\
\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00\x3a\x7e\x9b\x55\x00\x00\x00\x0a\x49\x44\x41\x54\x78\xda\x63\
\x38\x03\x00\x00\xce\x00\xcd\x79\xee\xea\x3d\x00\x00\x00\x00\x49\x45\x4e\x44\xae\x42\x60\x82";

#[test]
fn drift_tells_who_changed_what() {
    let scene = Scene::applied();
    let calm = scene.look(0, "drift");
    assert!(
        calm.stdout.contains("\nNo drift: 12 unchanged\n"),
        "{}",
        calm.shown()
    );
    scene.meddle();
    // An edit alone is no drift; one beside a change on Whop is both.
    scene.place.edit(EXAMPLE, "name: On\n", "name: Off\n");
    let drift = scene.look(2, "drift -q");
    golden("cli/drift.txt", &drift.steady());
    let document = scene.look(2, "drift --format json").json();
    assert_eq!(
        (&document["kind"], &document["drift"]),
        (&json!("drift"), &json!(true))
    );
    let states: Vec<&Value> = document["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| &u["state"])
        .collect();
    assert!(
        states.contains(&&json!("gone")) && states.contains(&&json!("suspended")),
        "{states:?}"
    );
    let issue = scene.look(2, "drift -q --format markdown");
    golden("cli/drift.md.txt", &issue.steady());
    assert!(issue.stdout.len() <= 65_000);
    assert!(
        issue.stdout.starts_with("<!-- whop-sync-drift:"),
        "not the comment's marker: {}",
        issue.shown()
    );
    scene.run(2, "drift -q --report d.json --report d.md");
    assert_eq!(scene.place.read("d.md"), issue.stdout.as_bytes());
    scene.look(2, "drift --only user_10006");
    scene.look(0, "drift --only user_10006 --ignore-unmanaged");
}
