//! Whose an account is, when the mapping, the account's ids, its email and its
//! owner do not agree: nothing is done to it, in both dialects.

use std::collections::BTreeMap;

use proptest::prelude::*;
use whop_sync::core::drift::{Others, drift};
use whop_sync::core::explain::{Decision, explain};
use whop_sync::core::identity::Dissent;
use whop_sync::core::model::{Dialect, MetaValue};
use whop_sync::core::plan::{Kind, Plan, Reason};
use whop_sync::core::value::{DisplayName, Email, UserId, UserKey};
use whop_sync::render::messages;

use crate::world::{World, key, user};

const BOTH: [Dialect; 2] = [Dialect::Accounts, Dialect::Companies];

fn settled(dialect: Dialect, ids: &[&str]) -> World {
    let mut world = World::new(ids.iter().map(|id| user(id)).collect());
    world.policy.dialect = dialect;
    let plan = world.plan();
    world.act_out(&plan.actions);
    assert!(world.plan().is_empty() && world.plan().holds.is_empty());
    world
}

/// Exchanges the accounts and owners of two users in the mapping.
fn swap(world: &mut World, a: &str, b: &str) {
    let link = |world: &World, id: &str| world.known.users[&key(id)].link.clone();
    let (first, second) = (link(world, a), link(world, b));
    world.known.users.get_mut(&key(a)).unwrap().link = second;
    world.known.users.get_mut(&key(b)).unwrap().link = first;
}

fn rename(world: &mut World, name: &str) {
    for user in &mut world.users {
        user.name = DisplayName::parse(&format!("{name} {}", user.key)).unwrap();
    }
}

/// The holds, each as its user and code. Nothing else may be in the plan.
fn only_held(plan: &Plan) -> Vec<String> {
    assert!(plan.actions.is_empty() && plan.learned.is_empty(), "{plan:?}");
    let holds = plan.holds.iter();
    holds
        .map(|hold| format!("{} {}", hold.key, hold.reason.code()))
        .collect()
}

fn carry(world: &mut World, id: &str, name: &str, value: Option<&str>) {
    let metadata = &mut world.account_mut(id).metadata;
    match value {
        Some(value) => drop(metadata.insert(name.into(), MetaValue::Text(value.into()))),
        None => drop(metadata.remove(name)),
    }
}

fn carries_nothing(world: &mut World, id: &str) {
    carry(world, id, "external_id", None);
    carry(world, id, "internal_user_id", None);
}

#[test]
fn two_users_swapped_in_the_mapping_are_both_held_with_words_that_lead_out() {
    for dialect in BOTH {
        let mut world = settled(dialect, &["a", "b"]);
        let own = world.known.users[&key("a")].link.account.clone();
        let other = world.known.users[&key("b")].link.account.clone();
        swap(&mut world, "a", "b");
        // Also where nothing else is wanted: the mapping is wrong all the same.
        for _ in 0..2 {
            let plan = world.plan();
            assert_eq!(only_held(&plan), ["a contradicted", "b contradicted"]);
            let said = messages::reason(&plan.holds[0].reason);
            assert_eq!(
                said.message,
                format!(
                    "the mapping links `a` to account `{other}`, but the account carries `b` under `metadata.external_id`"
                )
            );
            assert_eq!(
                said.what_to_do,
                format!(
                    "the mapping is wrong: remove the line of `a` from it; account `{own}` carries this user's id, so the next run finds it"
                )
            );
            rename(&mut world, "New");
        }
        // The way out that it names.
        world.known.users.clear();
        let plan = world.plan();
        assert_eq!((plan.actions.len(), plan.holds.len()), (2, 0));
        world.act_out(&plan.actions);
        assert_eq!(world.known.users[&key("a")].link.account, own);
        assert!(world.plan().is_empty());
    }
}

#[test]
fn another_id_under_either_key_holds_even_beside_the_right_one() {
    for dialect in BOTH {
        for name in ["external_id", "internal_user_id"] {
            let mut world = settled(dialect, &["a"]);
            carry(&mut world, "a", name, Some("somebody"));
            assert_eq!(only_held(&world.plan()), ["a contradicted"], "{dialect:?} {name}");
            // Found without the mapping, it is held as well or not found at all,
            // and then its email is taken.
            world.known = Default::default();
            let plan = world.plan();
            match (dialect, name) {
                (_, "internal_user_id") => assert_eq!(only_held(&plan), ["a contradicted"]),
                (Dialect::Accounts, _) => assert_eq!(only_held(&plan), ["a email_taken"]),
                (Dialect::Companies, _) => assert!(matches!(plan.actions[0].kind, Kind::Create(_))),
            }
        }
    }
}

#[test]
fn an_account_without_any_id_must_show_the_email_and_the_owner() {
    let mut world = settled(Dialect::Accounts, &["a"]);
    carries_nothing(&mut world, "a");
    let plan = world.plan();
    assert!(plan.holds.is_empty(), "the email and the owner agree: {plan:?}");
    assert_eq!(plan.actions[0].account.metadata.len(), 2, "its ids are set again");

    world.account_mut("a").email = Some("else@shop.test".into());
    assert_eq!(only_held(&world.plan()), ["a contradicted"]);
    world.account_mut("a").email = None;
    assert_eq!(only_held(&world.plan()), ["a unproven"]);

    let mut world = settled(Dialect::Accounts, &["a"]);
    carries_nothing(&mut world, "a");
    let entry = world.known.users.get_mut(&key("a")).unwrap();
    entry.link.owner = UserId::parse("user_else").unwrap();
    assert_eq!(only_held(&world.plan()), ["a contradicted"]);
    // With an id on it, Whop's word on the owner counts.
    carry(&mut world, "a", "external_id", Some("a"));
    rename(&mut world, "New");
    let plan = world.plan();
    let owner = world.accounts[0].owner.clone();
    assert_eq!(plan.actions[0].link().unwrap().owner, owner);

    let mut world = settled(Dialect::Companies, &["a"]);
    carries_nothing(&mut world, "a");
    assert_eq!(only_held(&world.plan()), ["a unproven"]);
}

#[test]
fn an_account_that_two_entries_name_is_used_for_neither() {
    for dialect in BOTH {
        let mut world = settled(dialect, &["a", "b", "c"]);
        let link = world.known.users[&key("a")].link.clone();
        world.known.users.get_mut(&key("b")).unwrap().link = link.clone();
        rename(&mut world, "New");
        let plan = world.plan();
        assert_eq!(plan.actions.len(), 1, "{plan:?}");
        let reasons: Vec<_> = plan.holds.iter().map(|hold| hold.reason.code()).collect();
        assert_eq!(reasons, ["mapped_twice", "contradicted"]);
        assert!(
            messages::reason(&plan.holds[0].reason)
                .message
                .contains("to this user and also to `b`")
        );

        // Nor beside the entry of somebody who has left the manifest.
        let mut world = settled(dialect, &["a"]);
        let mut entry = world.known.users[&key("a")].clone();
        entry.link = link;
        world.known.users.insert(key("z"), entry);
        let link = world.known.users[&key("a")].link.clone();
        world.known.users.get_mut(&key("z")).unwrap().link = link;
        assert_eq!(only_held(&world.plan()), ["a mapped_twice"]);
        // An entry of one's own former id is nobody else's.
        world.users[0].renamed_from = Some(key("z"));
        assert!(world.plan().holds.is_empty());
    }
}

#[test]
fn a_former_id_counts_only_while_the_manifest_names_it() {
    for dialect in BOTH {
        let mut world = settled(dialect, &["old"]);
        world.users[0].key = key("new");
        world.users[0].renamed_from = Some(key("old"));
        let plan = world.plan();
        assert_eq!((plan.actions.len(), plan.holds.len()), (1, 0));
        // Cut short between the mapping and Whop.
        world.act(&plan.actions[0], 1);
        assert!(world.plan().holds.is_empty());
        world.users[0].renamed_from = None;
        assert_eq!(only_held(&world.plan()), ["new contradicted"]);
        let said = messages::reason(&world.plan().holds[0].reason);
        assert!(said.what_to_do.contains("add `renamed_from: old`"), "{said:?}");
    }
}

#[test]
fn drift_and_explain_show_nobody_the_values_of_another() {
    for dialect in BOTH {
        let mut world = settled(dialect, &["a", "b"]);
        world.profile_mut("b").name = Some("Another's secret".into());
        swap(&mut world, "a", "b");
        let (desired, mut observed) = (world.desired(), world.observed());
        // As after a look that the mapping alone has led.
        for (owner, profile) in &world.profiles {
            let read = whop_sync::core::model::ProfileRead::Seen(profile.clone());
            observed.profiles.insert(owner.clone(), read);
        }
        let found = drift(&desired, &observed, &world.known, &world.policy);
        let told: Vec<_> = found
            .users
            .iter()
            .map(|user| (user.key.as_str(), user.state()))
            .collect();
        let state = whop_sync::core::drift::State::Contradicted;
        assert_eq!(told, [("a", state), ("b", state)]);
        assert!(found.is_drift(Others::Expect) && found.unknown.is_empty());
        assert!(!format!("{:?}", found.users).contains("secret"));

        let told = explain(&key("a"), &desired, &observed, &world.known, &world.policy).unwrap();
        assert!(told.profile.is_none(), "{:?}", told.profile);
        let Decision::Hold(Reason::Contradicted(why)) = &told.decision else {
            panic!("{:?}", told.decision)
        };
        assert!(matches!(&why.dissent, Dissent::Id { id, .. } if **id == *"b"));

        // Nor is the profile shown of who left the manifest, by a wrong entry.
        world.users.clear();
        let desired = world.desired();
        let told = explain(&key("a"), &desired, &observed, &world.known, &world.policy).unwrap();
        assert!(told.profile.is_none(), "{:?}", told.profile);
        swap(&mut world, "a", "b");
        let told = explain(&key("a"), &desired, &observed, &world.known, &world.policy).unwrap();
        let account = &world.known.users[&key("a")].link.account;
        assert_eq!(told.profile.map(|(shown, _)| shown), Some(account));
    }
}

#[test]
fn an_address_behind_an_id_is_not_told_by_the_hold_or_its_digest() {
    let mut world = settled(Dialect::Accounts, &["a"]);
    world.users[0].email = Email::parse("guess@shop.test").unwrap();
    let mut digest = |observed: &str| {
        world.account_mut("a").email = Some(observed.into());
        let plan = world.plan();
        assert_eq!(only_held(&plan), ["a email_changed"]);
        let said = messages::reason(&plan.holds[0].reason);
        assert!(said.message.contains("`j…@home.test`"), "{said:?}");
        assert!(!format!("{said:?}").contains(observed));
        whop_sync::core::summary::digest(&plan)
    };
    assert_eq!(digest("jane@home.test"), digest("joan@home.test"));
}

/// One thing that is wrong with what speaks of accounts.
#[derive(Clone, Debug)]
enum Wrong {
    /// Two entries of the mapping exchange accounts, owners or both.
    Swap(u8, u8, bool, bool),
    /// An entry names another's account, owner or both.
    Copy(u8, u8, bool, bool),
    /// An entry stands under another id.
    Move(u8, u8),
    Lose(u8),
    /// An account carries another id, or none.
    Carry(u8, bool, Option<u8>),
    /// An account shows another email, or none.
    Email(u8, Option<u8>),
    /// The manifest asks for something else.
    Name(u8, u8),
    Leave(u8),
    Rename(u8, u8),
}

const USERS: u8 = 5;

fn wrong() -> impl Strategy<Value = Wrong> {
    let id = || 0..USERS;
    let both = || (any::<bool>(), any::<bool>());
    prop_oneof![
        3 => (id(), id(), both()).prop_map(|(a, b, (x, y))| Wrong::Swap(a, b, x, y)),
        2 => (id(), id(), both()).prop_map(|(a, b, (x, y))| Wrong::Copy(a, b, x, y)),
        1 => (id(), id()).prop_map(|(a, b)| Wrong::Move(a, b)),
        1 => id().prop_map(Wrong::Lose),
        3 => (id(), any::<bool>(), proptest::option::of(id())).prop_map(|(a, k, b)| Wrong::Carry(a, k, b)),
        2 => (id(), proptest::option::of(id())).prop_map(|(a, b)| Wrong::Email(a, b)),
        2 => (id(), id()).prop_map(|(a, v)| Wrong::Name(a, v)),
        1 => id().prop_map(Wrong::Leave),
        1 => (id(), id()).prop_map(|(a, b)| Wrong::Rename(a, b)),
    ]
}

fn id(n: u8) -> String {
    format!("u{n}")
}

fn go_wrong(world: &mut World, wrong: &Wrong) {
    let named = |n: &u8| key(&id(*n));
    let mut links = |a: &u8, b: &u8, account: &bool, owner: &bool, back: bool| {
        let users = &mut world.known.users;
        let (Some(first), Some(second)) = (users.get(&named(a)), users.get(&named(b))) else {
            return;
        };
        let (first, second) = (first.link.clone(), second.link.clone());
        let mut set = |key: UserKey, from: &whop_sync::core::model::Link| {
            let link = &mut users.get_mut(&key).unwrap().link;
            if *account {
                link.account = from.account.clone();
            }
            if *owner {
                link.owner = from.owner.clone();
            }
        };
        set(named(a), &second);
        if back {
            set(named(b), &first);
        }
    };
    match wrong {
        Wrong::Swap(a, b, account, owner) => links(a, b, account, owner, true),
        Wrong::Copy(a, b, account, owner) => links(a, b, account, owner, false),
        Wrong::Move(a, b) => {
            if let Some(entry) = world.known.users.remove(&named(a)) {
                world.known.users.insert(named(b), entry);
            }
        }
        Wrong::Lose(a) => drop(world.known.users.remove(&named(a))),
        Wrong::Carry(a, external, carried) => {
            let name = ["internal_user_id", "external_id"][usize::from(*external)];
            let metadata = &mut world.accounts[usize::from(*a)].metadata;
            match carried {
                Some(b) => drop(metadata.insert(name.into(), MetaValue::Text((*id(*b)).into()))),
                None => drop(metadata.remove(name)),
            }
        }
        Wrong::Email(a, shown) => {
            let dialect = world.policy.dialect;
            let account = &mut world.accounts[usize::from(*a)];
            let email = shown.map(|b| format!("{}@shop.test", id(b)).as_str().into());
            account.email = email.filter(|_| dialect == Dialect::Accounts);
        }
        Wrong::Name(a, v) => {
            for user in world.users.iter_mut().filter(|user| user.key == named(a)) {
                user.name = DisplayName::parse(&format!("{} now {v}", user.key)).unwrap();
            }
        }
        Wrong::Leave(a) => world.users.retain(|user| user.key != named(a)),
        Wrong::Rename(a, b) => {
            let ids: Vec<_> = world.users.iter().map(|user| user.key.clone()).collect();
            let claimed = world.users.iter().any(|user| user.renamed_from == Some(named(b)));
            if !ids.contains(&named(b)) && !claimed {
                for user in world.users.iter_mut().filter(|user| user.key == named(a)) {
                    user.renamed_from = Some(named(b));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Whatever the mapping says and whatever the accounts carry, no value of
    /// one user reaches an account or a person that anything on Whop says is
    /// another, or that nothing on Whop says is this one.
    #[test]
    fn no_value_of_one_user_reaches_an_account_that_speaks_for_another(
        companies in any::<bool>(), wrongs in proptest::collection::vec(wrong(), 1..8),
    ) {
        let dialect = BOTH[usize::from(companies)];
        let ids: Vec<String> = (0..USERS).map(id).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut world = settled(dialect, &ids);
        wrongs.iter().for_each(|wrong| go_wrong(&mut world, wrong));
        let accounts = world.accounts.clone();
        let before: BTreeMap<_, _> = world.profiles.clone();
        let plan = world.plan();
        world.act_out(&plan.actions);
        for action in &plan.actions {
            let (Some(link), Some(user)) = (action.link(), world.users.iter().find(|it| it.key == action.key)) else {
                continue;
            };
            let account = accounts.iter().find(|account| account.id == link.account).unwrap();
            prop_assert_eq!(&account.owner, &link.owner);
            let is = |id: &str| id == user.key.as_str() || user.renamed_from.as_ref().is_some_and(|it| it.as_str() == id);
            let carried: Vec<&str> = ["external_id", "internal_user_id"].iter().filter_map(|name| account.text(name)).collect();
            prop_assert!(carried.iter().all(|id| is(id)), "{} reaches {:?}", user.key, account);
            let email = account.email.as_deref() == Some(user.email.as_str());
            prop_assert!(!carried.is_empty() || email, "{} reaches {:?} by the mapping alone", user.key, account);
        }
        // A person's name changes only to one of a user whose id or email an
        // account of that person shows.
        for (owner, profile) in world.profiles.iter().filter(|(owner, profile)| before.get(*owner).is_some_and(|was| was != *profile)) {
            let name = profile.name.as_deref();
            let user = world.users.iter().find(|user| Some(user.name.as_str()) == name).unwrap();
            let speaks = accounts.iter().filter(|account| account.owner == *owner).any(|account| {
                let ids = [Some(user.key.as_str()), user.renamed_from.as_ref().map(UserKey::as_str)];
                ids.iter().flatten().any(|id| account.text("external_id") == Some(*id) || account.text("internal_user_id") == Some(*id))
                    || account.email.as_deref() == Some(user.email.as_str())
            });
            let made = plan.actions.iter().any(|action| action.key == user.key && matches!(action.kind, Kind::Create(_)));
            prop_assert!(speaks || made, "{owner} was renamed to {name:?}");
        }
    }
}
