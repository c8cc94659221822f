//! The commands that look and never write: `drift`, `explain`, `export` and
//! `doctor`, against a Whop on which somebody changed things by hand.

use serde_json::{Value, json};
use whop_sync::emulator::{Fault, Operation, Settings, Strike};

use super::whop::Whop;
use super::{EXAMPLE, Place, Ran, Served};
use crate::golden::golden;

pub(super) const COMPANY: &str = "biz_ExamplePlatform";

/// A place beside a Whop that a test can reach into. Every request is
/// recorded.
pub(super) struct Scene {
    pub(super) place: Place,
    pub(super) whop: Whop,
}

impl Scene {
    pub(super) fn new(place: Place) -> Self {
        let whop = Whop::new(Settings {
            record: true,
            ..Settings::default()
        });
        Self { place, whop }
    }

    /// The example, applied.
    pub(super) fn applied() -> Self {
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
    pub(super) fn bare(&self, status: i32, command: &str) -> Ran {
        let line = format!("{command} --server {}", self.whop.base);
        let ran = self.place.run_with(&line, &[("WHOP_API_KEY", "any")]);
        assert_eq!(ran.status, status, "{}", ran.shown());
        ran
    }

    /// Runs it and demands besides that it sent GET only and wrote nothing.
    #[track_caller]
    pub(super) fn look(&self, status: i32, command: &str) -> Ran {
        self.look_bare(status, &format!("{command} -f {EXAMPLE}"))
    }

    /// The same without naming a manifest.
    #[track_caller]
    pub(super) fn look_bare(&self, status: i32, command: &str) -> Ran {
        let (before, sent) = (self.place.files(), self.whop.emulator.requests().len());
        let ran = self.bare(status, command);
        let looks = self.whop.emulator.requests().split_off(sent);
        assert!(looks.iter().all(|seen| seen.method == "GET"), "{looks:?}");
        assert!(before == self.place.files(), "{command} wrote something");
        ran
    }

    /// The account and the owner of a user.
    fn link(&self, id: &str) -> (String, String) {
        self.link_of(id, &format!("-f {EXAMPLE}"))
    }

    /// The same for the manifest that these options name.
    pub(super) fn link_of(&self, id: &str, options: &str) -> (String, String) {
        let shown = self.bare(0, &format!("show {id} --format json {options}")).json();
        let text = |name: &str| shown["users"][0][name].as_str().unwrap().to_owned();
        (text("account_id"), text("user_id"))
    }

    /// Changes on Whop what people and other programs there change.
    fn meddle(&self) {
        let owner = |id: &str| self.link(id).1;
        assert!(
            self.whop
                .emulator
                .set_name(&owner("user_10001"), Some(COMPANY), Some("Jane\u{202e} | `H`"))
        );
        assert!(
            self.whop
                .emulator
                .set_picture(&owner("user_10002"), Some(COMPANY), Some(PIXEL))
        );
        assert!(self.whop.emulator.set_suspended(&self.link("user_10003").0, true));
        assert!(self.whop.emulator.remove_account(&self.link("007").0));
        assert!(
            self.whop
                .emulator
                .set_name(&owner("user_10010"), Some(COMPANY), Some("Onward"))
        );
        self.whop
            .emulator
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

#[test]
fn one_user_is_explained_from_every_side() {
    let scene = Scene::applied();
    scene.meddle();
    let mut told = String::new();
    let mut tell = |id: &str| {
        let sent = scene.whop.emulator.requests().len();
        let ran = scene.look(0, &format!("explain {id}"));
        let profiles = scene.whop.emulator.requests().split_off(sent);
        let profiles = profiles
            .iter()
            .filter(|seen| seen.path.contains("/users/"))
            .count();
        assert!(profiles <= 1, "{profiles} profiles were read for {id}");
        told += &format!("{}\n", ran.steady());
    };
    tell("user_10001");
    tell("user_10006");
    // Gone from Whop, suspended with a change, and left the manifest.
    tell("007");
    scene
        .place
        .edit(EXAMPLE, "name: Νίκος Παπαδάκης\n", "name: Νίκος\n");
    tell("user_10003");
    scene.place.edit(
        EXAMPLE,
        "id: user_10004\n",
        "id: user_10444\n    renamed_from: user_10004\n",
    );
    tell("user_10004");
    tell("user_10444");
    scene.place.edit(EXAMPLE, "id: user_10008\n", "id: somebody\n");
    tell("user_10008");
    tell("somebody");
    golden("cli/explain.txt", &told);
    let document = scene.look(0, "explain user_10001 --format json").json();
    assert_eq!(
        (&document["kind"], &document["decision"]),
        (&json!("explanation"), &json!("update"))
    );
    assert_eq!(document["action"]["fields"][0]["cause"], "drifted");
    assert_eq!(
        (&document["manifest"]["line"], &document["found_by"]),
        (&json!(20), &json!("mapping"))
    );
    let unknown = scene.look(64, "explain user_1006");
    assert!(
        unknown.stderr.contains("did you mean `user_10006`?"),
        "{}",
        unknown.shown()
    );
}

#[test]
fn an_export_with_its_pictures_plans_to_nothing() {
    let scene = Scene::applied();
    let owner = scene.link("user_10001").1;
    assert!(
        scene
            .whop
            .emulator
            .set_name(&owner, Some(COMPANY), Some("No: \u{202e}Jane"))
    );
    scene.whop.emulator.add_account(
        COMPANY,
        "stray@shop.dev",
        "Stray\u{1b}[2J",
        serde_json::Map::new(),
    );
    let shown = scene.look(0, "export");
    golden("cli/export.txt", &shown.steady());

    let sent = scene.whop.emulator.requests().len();
    let exported = scene.run(0, "export --out new.yaml --avatars pics/of");
    assert!(exported.stdout.is_empty(), "{}", exported.shown());
    assert!(
        exported
            .stderr
            .contains("Planning it comes to: Nothing to do: 12 unchanged, 1 unmanaged"),
        "{}",
        exported.shown()
    );
    let looks = scene.whop.emulator.requests().split_off(sent);
    assert!(looks.iter().all(|seen| seen.method == "GET"), "{looks:?}");
    assert_eq!(
        std::fs::read_dir(scene.place.path("pics/of")).unwrap().count(),
        11
    );
    assert_eq!(
        scene.place.read("pics/of/user_10001.png"),
        scene.place.read("examples/avatars/jane.png")
    );
    let plan = "plan --detailed-exitcode -f new.yaml --refresh full";
    let beside = scene.bare(0, &format!("{plan} --mapping users.example.mapping.jsonl"));
    assert!(
        beside.stdout.contains("Nothing to do: 12 unchanged"),
        "{}",
        beside.shown()
    );
    // Without the mapping they are adopted, and pictures are set once more.
    let lost = scene.bare(2, plan);
    assert!(
        lost.stdout.contains("\nPlan: 12 to adopt, 1 unmanaged\n"),
        "{}",
        lost.shown()
    );

    let before = scene.place.files();
    let again = scene.run(1, "export --out new.yaml --avatars pics/of");
    assert!(
        again.stderr.contains("`new.yaml` is there already"),
        "{}",
        again.shown()
    );
    let jane = scene.place.path("pics/of/user_10001.png");
    std::fs::write(&jane, PIXEL).unwrap();
    let other = scene.run(1, "export --out newer.yaml --avatars pics/of");
    assert!(
        other
            .stderr
            .contains("would overwrite another one, such as `pics/of/user_10001.png`"),
        "{}",
        other.shown()
    );
    assert_eq!(std::fs::read(&jane).unwrap(), PIXEL);
    scene.run(64, "export --out pics/new.yaml --avatars elsewhere");
    std::fs::remove_dir(scene.place.path("elsewhere")).unwrap();
    scene.run(0, "export --out new.yaml --avatars pics/of --force -q");
    assert!(before == scene.place.files(), "with consent it is as it was");
}

#[test]
fn an_export_needs_no_manifest() {
    let scene = Scene::new(Place::new());
    let unnamed = scene.bare(64, "export");
    assert!(unnamed.stderr.contains("--company biz_"), "{}", unnamed.shown());
    // The owner of an account has no name by itself.
    scene.whop.emulator.add_user("ann@shop.dev", "Ann");
    scene.whop.emulator.add_account(
        COMPANY,
        "ann@shop.dev",
        "Ann",
        [("external_id".to_owned(), json!("0x1F"))].into_iter().collect(),
    );
    let shown = scene.bare(0, &format!("export -q --company {COMPANY}"));
    assert!(
        shown
            .stdout
            .contains("  - id: \"0x1F\"\n    email: ann@shop.dev\n"),
        "{}",
        shown.shown()
    );
}

#[test]
fn doctor_tells_what_is_wrong_and_how_to_mend_it() {
    let scene = Scene::applied();
    let mut told = String::new();
    let mut tell = |title: &str, ran: &Ran| told += &format!("# {title}\n\n{}\n", ran.steady());
    tell("all is well", &scene.look(0, "doctor -q"));
    let json = scene.look(0, "doctor --format json").json();
    assert_eq!(
        (&json["kind"], &json["well"]),
        (&json!("diagnosis"), &json!(true))
    );

    // A dead link, and a journal that a run left over.
    assert!(scene.whop.emulator.remove_account(&scene.link("user_10003").0));
    let header = String::from_utf8(scene.place.read("users.example.mapping.jsonl")).unwrap();
    let header = header.lines().next().unwrap();
    let journal = header.replace("whop-sync mapping", "whop-sync journal").replace(
        &header[header.find(",\"generation\"").unwrap()..header.len() - 1],
        "",
    );
    let entry = r#"{"entry":"opened","run":"r1","at":1}"#;
    std::fs::write(
        scene.place.path("users.example.mapping.journal"),
        format!("{journal}\n{entry}\n"),
    )
    .unwrap();
    tell("after a crash", &scene.look(0, "doctor -q"));
    std::fs::remove_file(scene.place.path("users.example.mapping.journal")).unwrap();

    let lock = std::fs::File::create(scene.place.path("users.example.mapping.lock")).unwrap();
    lock.lock().unwrap();
    let locked = scene.look(0, "doctor -q --format json").json();
    let check = |document: &Value, name: &str| {
        let mut checks = document["checks"].as_array().unwrap().iter();
        checks.find(|check| check["name"] == name).unwrap()["health"].clone()
    };
    assert_eq!(check(&locked, "lock"), "warning");
    drop(lock);
    let free = scene.look(0, "doctor -q --format json").json();
    assert_eq!(
        (check(&free, "lock"), check(&free, "clock")),
        (json!("ok"), json!("ok"))
    );

    tell(
        "an API version nobody knows",
        &scene.look(1, "doctor -q --api-version 2099-01-01"),
    );
    let elsewhere = scene.place.run_with(
        &format!("doctor -q -f {EXAMPLE} --server http://127.0.0.1:1/api/v1"),
        &[("WHOP_API_KEY", "any")],
    );
    assert_eq!(elsewhere.status, 1, "{}", elsewhere.shown());
    assert!(
        elsewhere.stdout.contains("✗ problem  network"),
        "{}",
        elsewhere.shown()
    );

    let served = Served::start("--key limited=payout:account:read,company:balance:read");
    for (title, key) in [
        ("a key that may look only", "limited"),
        ("a key nobody knows", "other"),
    ] {
        let line = format!(
            "doctor -q -f {EXAMPLE} --server {} --mapping none.jsonl",
            served.base
        );
        let ran = scene.place.run_with(&line, &[("WHOP_API_KEY", key)]);
        assert_eq!(ran.status, 1, "{}", ran.shown());
        tell(title, &ran);
    }

    let empty = Place::new();
    let nothing = empty.run("doctor --server emulator");
    assert_eq!(
        (nothing.status, empty.files().len()),
        (1, 0),
        "{}",
        nothing.shown()
    );
    tell("an empty folder", &nothing);
    golden("cli/doctor.txt", &told);
}

#[test]
fn doctor_tells_an_account_that_the_key_may_not_read_from_one_that_is_gone() {
    let scene = Scene::applied();
    let told = "This key is not authorized for the payout:account:read scope.";
    let refuse = Strike::Answer {
        status: 403,
        body: Some(json!({ "error": { "message": told } }).to_string()),
        headers: Default::default(),
    };
    let emulator = &scene.whop.emulator;
    let skip = Strike::PageSkips { entries: 1 };
    emulator.fault(Fault::next(Operation::ListAccounts, skip).forever());
    emulator.fault(Fault::next(Operation::RetrieveAccount, refuse).forever());
    let refused = scene.look(0, "doctor -q");
    for part in [
        "cannot be looked at",
        told.trim_end_matches('.'),
        "lacks `payout:account:read`",
    ] {
        assert!(refused.stdout.contains(part), "{part}: {}", refused.shown());
    }
    assert!(!refused.stdout.contains("is gone"), "{}", refused.shown());
    emulator.script(Default::default());
    let (account, _) = scene.link("user_10003");
    assert!(emulator.remove_account(&account));
    let gone = scene.look(0, "doctor -q");
    assert!(
        gone.stdout.contains("name an account that is gone: `user_10003`"),
        "{}",
        gone.shown()
    );
}

#[test]
fn a_user_mapped_to_another_companys_account_is_not_touched_there() {
    let scene = Scene::applied();
    let id = [("external_id".to_owned(), json!("user_10003"))]
        .into_iter()
        .collect();
    let other = scene
        .whop
        .emulator
        .add_account("biz_Other", "nikos@example.org", "Theirs", id);
    let (own, _) = scene.link("user_10003");
    let before = scene.whop.emulator.accounts();
    let name = "users.example.mapping.jsonl";
    scene.place.edit(name, &own, &other);
    // Its own account is found again by its id, and the other one left alone.
    let plan = scene.look(2, "plan -q --detailed-exitcode");
    assert!(
        plan.stdout.contains("= adopt user_10003") && plan.stdout.contains("found by metadata.external_id"),
        "{}",
        plan.shown()
    );
    scene.run(0, "apply --yes -q");
    assert_eq!(scene.link("user_10003").0, own);
    assert_eq!(scene.whop.emulator.accounts(), before);

    // A mapping of another company as a whole is refused.
    let text = String::from_utf8(scene.place.read(name)).unwrap();
    std::fs::write(scene.place.path(name), text.replacen(COMPANY, "biz_Other", 1)).unwrap();
    for command in ["plan", "drift", "explain 007", "apply --yes"] {
        let refused = scene.look(1, &format!("{command} -q"));
        assert!(
            refused.stderr.contains("error[mapping.foreign]"),
            "{}",
            refused.shown()
        );
    }
}
