//! Exported manifests read back as what they were made from.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use whop_sync::core::export::{Why, export};
use whop_sync::core::model::{Desired, DesiredUser, Guardrails, Limit, MetaValue, ProfileRead};
use whop_sync::core::planner::plan;
use whop_sync::core::value::{DisplayName, Email, PlatformId, Title, UserKey};
use whop_sync::manifest;
use whop_sync::render::yaml;

use crate::world::{World, avatar, key, user};

/// Writes a manifest and reads it again.
fn again(users: &[DesiredUser], guardrails: Guardrails) -> (String, Desired) {
    let company = PlatformId::parse("biz_platform").unwrap();
    let mut text = Vec::new();
    yaml::write(
        &mut text,
        &company,
        &guardrails,
        users.iter().map(|user| (user, None)),
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.yaml");
    fs::write(&path, &text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let loaded =
        manifest::load(&[path]).unwrap_or_else(|error| panic!("{:?}\n{text}", error.manifest_problems()));
    (text, loaded.desired)
}

/// What trips readers of YAML, people's terminals, or both.
fn tricky() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "No",
        "007",
        "1e3",
        "12:30",
        "~",
        "null",
        "true",
        "- ",
        ": ",
        " #",
        "#",
        "*a",
        "&a",
        "!t",
        "%",
        "@",
        "`",
        "\"",
        "'",
        "\\",
        "|",
        ">",
        "{",
        "}",
        "[",
        "]",
        ",",
        "?",
        "<<",
        "---",
        "...",
        "=",
        "\u{202e}",
        "\u{200d}",
        "\u{2028}",
        "\u{feff}",
        "\u{e0041}",
        "é",
        "高橋",
        "👩",
        "a",
        "b",
        "\\n",
        "\\u0041",
        "0x1F",
        ".inf",
        "2024-01-01",
    ]);
    let any = prop_oneof![4 => pieces.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    prop::collection::vec(any, 1..6).prop_map(|parts| parts.concat())
}

/// Users made of such texts, as far as they can be values at all.
fn users() -> impl Strategy<Value = Vec<DesiredUser>> {
    let one = (
        tricky(),
        tricky(),
        prop::option::of(tricky()),
        prop::collection::vec((tricky(), tricky()), 0..3),
    );
    prop::collection::vec(one, 0..5).prop_map(|all| {
        let mut users = BTreeMap::new();
        for (n, (id, name, title, metadata)) in all.into_iter().enumerate() {
            let (Ok(key), Ok(name)) = (UserKey::parse(&id), DisplayName::parse(name.trim())) else {
                continue;
            };
            let usable = |(key, value): &(String, String)| {
                let fine = |text: &str| !text.chars().any(char::is_control);
                key.trim() == key && !key.is_empty() && key != "<<" && fine(key) && fine(value)
            };
            let metadata = metadata.into_iter().filter(usable);
            let user = DesiredUser {
                email: Email::parse(&format!("No-{n}@shop.dev")).unwrap(),
                name,
                avatar: None,
                title: title.and_then(|title| Title::parse(title.trim()).ok()),
                metadata: metadata
                    .map(|(key, value)| (key.into(), format!("{value}\n\t").into()))
                    .collect(),
                renamed_from: None,
                key: key.clone(),
            };
            users.insert(key, user);
        }
        users.into_values().collect()
    })
}

proptest! {
    #[test]
    fn whatever_is_written_reads_back_as_itself(users in users()) {
        let guardrails = Guardrails {
            max_creates: Some(Limit::Count(7)),
            max_updates: Some(Limit::Percent(30)),
            max_avatars: None,
        };
        let (text, desired) = again(&users, guardrails);
        prop_assert_eq!(desired.users(), &users[..], "{}", text);
        prop_assert_eq!(desired.guardrails(), &guardrails);
        let hostile = |c: char| c != '\n' && whop_sync::render::escape::is_hostile(c);
        prop_assert!(!text.chars().any(hostile), "{}", text);
    }
}

fn settled() -> World {
    let mut full = user("a");
    full.avatar = Some(avatar("one"));
    full.title = World::title("No: \u{202e}title");
    full.metadata.insert("tier".into(), "007".into());
    World::settled(vec![full, user("b")])
}

/// Everything there is to see, as an export looks.
fn see(world: &World) -> whop_sync::core::model::Observed {
    let mut observed = world.observed();
    let seen = world.profiles.iter();
    observed.profiles = seen
        .map(|(owner, p)| (owner.clone(), ProfileRead::Seen(p.clone())))
        .collect();
    observed
}

#[test]
fn planning_an_export_beside_its_mapping_changes_nothing() {
    let mut world = settled();
    // What others did is what the export asks for.
    world.profile_mut("b").name = Some("Elsewhere".into());
    // A picture that nobody set through the mapping stays unmanaged.
    world.profile_mut("b").picture = Some("https://img.test/own".into());
    world.account_mut("a").title = "Newer".into();
    world
        .account_mut("a")
        .metadata
        .insert("others".into(), MetaValue::Text("kept".into()));
    let observed = see(&world);
    let exported = export(&observed, &world.known);
    assert_eq!((exported.users.len(), exported.left_out.len()), (2, 0));
    let users: Vec<_> = exported.users.iter().map(|e| e.user.clone()).collect();
    assert_eq!(users[0].metadata.len(), 1, "only what the mapping manages");
    assert!(exported.users[0].picture.is_some() && exported.users[1].picture.is_none());
    let (_, desired) = again(&users, Guardrails::default());
    let plan_of = |known| plan(&desired, &observed, known, &world.policy);
    let plan = plan_of(&world.known);
    assert!(
        plan.is_empty() && plan.holds.is_empty() && plan.unmanaged.is_empty(),
        "{plan:?}"
    );
    // Without the mapping the accounts are adopted, and nothing on Whop changes.
    let lost = plan_of(&Default::default());
    assert_eq!((lost.actions.len(), lost.holds.len()), (2, 0));
    assert!(
        lost.actions
            .iter()
            .all(|action| action.account.is_empty() && action.profile.is_empty()),
        "{lost:?}"
    );
}

#[test]
fn what_no_manifest_could_ask_for_is_left_out_with_the_reason() {
    let mut world = settled();
    let none = world.foreign("none@shop.test", &[]);
    let bad = world.foreign("bad@shop.test", &[("external_id", "100%")]);
    let twin = world.foreign("one@shop.test", &[("external_id", "twin")]);
    let other = world.foreign("two@shop.test", &[("external_id", "twin")]);
    let stolen = world.foreign("three@shop.test", &[("external_id", "a")]);
    let same = world.foreign("same@shop.test", &[("external_id", "s1")]);
    let email = world.foreign("SAME@shop.test", &[("internal_user_id", "s2")]);
    let silent = world.foreign("silent@shop.test", &[("external_id", "s3")]);
    let named = world.foreign("named@shop.test", &[("internal_user_id", "fine")]);
    let owner = world.account_mut_by_id(&silent).owner.clone();
    world.profiles.get_mut(&owner).unwrap().name = None;
    let odd = world.account_mut_by_id(&named).owner.clone();
    world.profiles.get_mut(&odd).unwrap().name = Some("a\u{1b}[2J".into());
    let exported = export(&see(&world), &world.known);
    let ids: Vec<&str> = exported.users.iter().map(|e| e.user.key.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    let mut why: BTreeMap<_, _> = exported
        .left_out
        .into_iter()
        .map(|l| (l.account, l.why))
        .collect();
    assert_eq!(why.remove(&none), Some(Why::NoId));
    assert!(matches!(why.remove(&bad), Some(Why::BadId(_))));
    assert_eq!(why.remove(&twin), Some(Why::SharedId(key("twin"))));
    assert_eq!(why.remove(&other), Some(Why::SharedId(key("twin"))));
    assert_eq!(why.remove(&stolen), Some(Why::SharedId(key("a"))));
    assert_eq!(why.remove(&same), Some(Why::SharedEmail));
    assert_eq!(why.remove(&email), Some(Why::SharedEmail));
    assert_eq!(why.remove(&silent), Some(Why::NoName));
    assert!(matches!(why.remove(&named), Some(Why::BadName(_))));
    assert!(why.is_empty(), "{why:?}");
}
