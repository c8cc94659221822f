//! Drift: who changed what, told from the three facts alone.

use proptest::prelude::*;
use whop_sync::core::drift::{Drift, Others, State, drift};
use whop_sync::core::model::{Dialect, MetaValue, Refresh};
use whop_sync::core::plan::Cause;
use whop_sync::core::value::{DisplayName, Email, Title, UserId};

use crate::world::{World, avatar, key, user};

fn look(world: &World) -> Drift {
    drift(&world.desired(), &world.observed(), &world.known, &world.policy)
}

/// Every user told about, as `id state: field cause, …`.
fn outline(drift: &Drift) -> Vec<String> {
    let users = drift.users.iter().map(|user| {
        let fields = user.fields.iter();
        let fields: Vec<_> = fields.map(|f| format!("{} {:?}", f.name, f.cause)).collect();
        format!("{} {:?}: {}", user.key, user.state(), fields.join(", "))
    });
    users.collect()
}

/// A user with everything that can be managed.
fn full(id: &str) -> whop_sync::core::model::DesiredUser {
    let mut user = user(id);
    user.avatar = Some(avatar("one"));
    user.title = World::title("Studio");
    user.metadata.insert("tier".into(), "gold".into());
    user
}

#[test]
fn what_is_as_it_was_applied_is_no_drift() {
    let world = World::settled(vec![full("a"), user("b")]);
    let drift = look(&world);
    assert_eq!((outline(&drift), drift.unchanged), (vec![], 2));
    assert!(!drift.is_drift(Others::Count));
}

#[test]
fn an_edit_drift_and_both_are_told_apart_for_every_field() {
    type Change = fn(&mut World);
    let fields: [(&str, Change, Change); 4] = [
        (
            "name",
            |w| w.users[0].name = DisplayName::parse("New").unwrap(),
            |w| w.profile_mut("a").name = Some("Elsewhere".into()),
        ),
        (
            "avatar",
            |w| w.users[0].avatar = Some(avatar("two")),
            |w| w.profile_mut("a").picture = Some("https://img.test/other".into()),
        ),
        (
            "title",
            |w| w.users[0].title = Some(Title::parse("New").unwrap()),
            |w| w.account_mut("a").title = "Elsewhere".into(),
        ),
        (
            "metadata.tier",
            |w| drop(w.users[0].metadata.insert("tier".into(), "iron".into())),
            |w| drop(w.account_mut("a").metadata.remove("tier")),
        ),
    ];
    for (name, edit, change) in fields {
        for (edits, drifts) in [(true, false), (false, true), (true, true)] {
            let mut world = World::settled(vec![full("a")]);
            if edits {
                edit(&mut world);
            }
            if drifts {
                change(&mut world);
            }
            let drift = look(&world);
            let (state, cause) = match (edits, drifts) {
                (true, true) => (State::Both, Cause::Both),
                (false, true) => (State::Drifted, Cause::Drifted),
                _ => (State::Edited, Cause::Edited),
            };
            assert_eq!(outline(&drift), [format!("a {state:?}: {name} {cause:?}")]);
            assert_eq!(
                drift.is_drift(Others::Count),
                drifts,
                "{name}: an edit alone is no drift"
            );
            assert_eq!(
                (drift.drifted(), drift.edited()),
                (drifts.into(), (!drifts).into())
            );
        }
    }
}

#[test]
fn what_whop_already_shows_as_asked_is_nothing_to_tell() {
    let mut world = World::settled(vec![full("a")]);
    world.users[0].name = DisplayName::parse("New").unwrap();
    world.profile_mut("a").name = Some("New".into());
    assert_eq!(outline(&look(&world)), Vec::<String>::new());
}

#[test]
fn what_the_manifest_does_not_manage_may_change() {
    let mut world = World::settled(vec![user("a")]);
    world.account_mut("a").title = "Elsewhere".into();
    world
        .account_mut("a")
        .metadata
        .insert("others".into(), MetaValue::Json("[1]".into()));
    world.profile_mut("a").picture = Some("https://img.test/other".into());
    assert_eq!(outline(&look(&world)), Vec::<String>::new());
}

#[test]
fn accounts_that_are_gone_suspended_or_somebody_elses_are_told() {
    let ids = ["a", "b", "c", "d"];
    let mut world = World::settled(ids.iter().map(|id| user(id)).collect());
    world.account_mut("a").suspended = true;
    let gone = world.known.users[&key("b")].link.account.clone();
    world.accounts.retain(|account| account.id != gone);
    world.account_mut("c").owner = UserId::parse("user_else").unwrap();
    // Left the manifest, and then Whop: nobody else would ever say so.
    let left = world.known.users[&key("d")].link.account.clone();
    world.accounts.retain(|account| account.id != left);
    world.users.retain(|user| user.key != key("d"));
    let drift = look(&world);
    assert_eq!(
        outline(&drift),
        [
            "a Suspended: ",
            "b Gone: ",
            "c OwnerMissing: owner Drifted",
            "d Gone: "
        ]
    );
    let managed: Vec<bool> = drift.users.iter().map(|user| user.managed).collect();
    assert_eq!(managed, [true, true, true, false]);

    world.complete = false;
    let incomplete = look(&world);
    assert_eq!(
        outline(&incomplete),
        ["a Suspended: ", "c OwnerMissing: owner Drifted"],
        "absence from half a list proves nothing"
    );
}

#[test]
fn a_changed_address_is_an_edit_since_whop_cannot_change_it() {
    let mut world = World::settled(vec![user("a")]);
    world.users[0].email = Email::parse("new@shop.test").unwrap();
    let drift = look(&world);
    assert_eq!(outline(&drift), ["a Edited: email Edited"]);
    assert!(!drift.is_drift(Others::Count));
}

#[test]
fn unknown_accounts_count_unless_they_are_expected() {
    let mut world = World::settled(vec![user("a")]);
    let stranger = world.foreign("else@shop.test", &[("external_id", "zz")]);
    world.users.push(user("b"));
    let adoptable = world.foreign("b@shop.test", &[("external_id", "b")]);
    let drift = look(&world);
    let unknown: Vec<_> = drift
        .unknown
        .iter()
        .map(|new| (&new.account, &new.user))
        .collect();
    assert_eq!(unknown, [(&stranger, &None), (&adoptable, &Some(key("b")))]);
    assert!(drift.is_drift(Others::Count) && !drift.is_drift(Others::Expect));
}

#[test]
fn a_rename_is_an_edit_and_lost_ids_are_drift() {
    let mut world = World::settled(vec![user("old"), user("a")]);
    world.users[0].key = key("new");
    world.users[0].renamed_from = Some(key("old"));
    world.account_mut("a").metadata.remove("external_id");
    let drift = look(&world);
    let ids = "metadata.external_id Edited, metadata.internal_user_id Edited";
    assert_eq!(
        outline(&drift),
        [
            "a Drifted: metadata.external_id Drifted".to_owned(),
            format!("old Edited: {ids}")
        ]
    );
    world.policy.dialect = Dialect::Companies;
    assert_eq!(
        outline(&look(&world)),
        Vec::<String>::new(),
        "there they cannot change"
    );
}

#[test]
fn profiles_that_were_not_read_are_taken_from_the_mapping_and_counted() {
    let mut world = World::settled(vec![full("a"), full("b")]);
    world.policy.refresh = Refresh::Changed;
    world.profile_mut("a").name = Some("Elsewhere".into());
    world.users[1].name = DisplayName::parse("New").unwrap();
    let drift = look(&world);
    assert_eq!(outline(&drift), ["b Edited: name Edited"]);
    assert_eq!((drift.reads.profiles, drift.reads.from_mapping), (1, 1));
    world.policy.only = Some([key("b")].into());
    assert_eq!(look(&world).left_out, 1);
}

proptest! {
    /// The plan and the comparison are made apart from each other: what one
    /// calls drift the other must as well.
    #[test]
    fn drift_agrees_with_the_plans_causes(choices in prop::collection::vec((0..3u8, 0..3u8), 1..5)) {
        let users: Vec<_> = (0..choices.len()).map(|n| full(&format!("u{n}"))).collect();
        let mut world = World::settled(users);
        for (n, (edit, change)) in choices.iter().enumerate() {
            let id = format!("u{n}");
            match edit {
                1 => world.users[n].name = DisplayName::parse("New").unwrap(),
                2 => world.users[n].avatar = Some(avatar("two")),
                _ => {}
            }
            match change {
                1 => world.profile_mut(&id).name = Some("Elsewhere".into()),
                2 => world.account_mut(&id).title = "Elsewhere".into(),
                _ => {}
            }
        }
        let mut from_plan: Vec<(String, String, Cause)> = Vec::new();
        for action in &world.plan().actions {
            let id = action.key.to_string();
            let name = action.profile.name.iter().map(|c| ("name", c.cause));
            let picture = action.profile.picture.iter().map(|c| ("avatar", c.cause));
            let title = action.account.title.iter().map(|c| ("title", c.cause));
            for (field, cause) in title.chain(name).chain(picture) {
                from_plan.push((id.clone(), field.to_owned(), cause));
            }
        }
        let drift = look(&world);
        let told = drift.users.iter().flat_map(|user| {
            user.fields.iter().map(|f| (user.key.to_string(), f.name.to_string(), f.cause))
        });
        prop_assert_eq!(told.collect::<Vec<_>>(), from_plan);
    }
}
