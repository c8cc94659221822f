//! What is planned, for one thing changed at a time.

use serde_json::{Value, json};
use whop_sync::core::digest::Digest;
use whop_sync::core::identity::Evidence;
use whop_sync::core::model::{
    Dialect, Doubt, Guard, Guardrails, Known, KnownUser, LIST_LAG, Limit, MetaValue, PreparedCall,
    RESEND_WITHIN, Refresh,
};
use whop_sync::core::plan::{Cause, Caution, Kind, Plan, Reason, Step, Unrepeatable, Verb};
use whop_sync::core::planner::plan;
use whop_sync::core::resend::Resend;
use whop_sync::core::value::{DisplayName, Email};

use crate::world::{World, avatar, key, user};

fn name(text: &str) -> DisplayName {
    DisplayName::parse(text).unwrap()
}

fn ids(count: usize) -> Vec<whop_sync::core::model::DesiredUser> {
    (0..count).map(|n| user(&format!("u{n:03}"))).collect()
}

/// The plan in a line: verb and user of each action, reason and user of each
/// hold.
fn outline(plan: &Plan) -> Vec<String> {
    let verb =
        |action: &whop_sync::core::plan::Action| format!("{:?} {}", action.verb(), action.key).to_lowercase();
    let hold = |hold: &whop_sync::core::plan::Hold| format!("hold {} {}", hold.key, hold.reason.code());
    plan.actions
        .iter()
        .map(verb)
        .chain(plan.holds.iter().map(hold))
        .collect()
}

#[test]
fn new_users_are_created_with_name_and_picture_and_then_nothing_is_left() {
    let mut with_picture = user("b");
    with_picture.avatar = Some(avatar("face"));
    let mut world = World::new(vec![with_picture, user("a")]);
    let plan = world.plan();
    assert_eq!(outline(&plan), ["create a", "create b"]);
    assert_eq!(
        plan.actions[0].steps(),
        [Step::CreateAccount, Step::UpdateProfile]
    );
    assert_eq!(
        plan.actions[1].steps(),
        [Step::CreateAccount, Step::UploadPicture, Step::UpdateProfile]
    );
    let Kind::Create(new) = &plan.actions[0].kind else {
        panic!("not a create")
    };
    assert_eq!(
        new.title.as_str(),
        "Name a",
        "without a title Whop would publish the email"
    );
    assert_eq!(*new.metadata["external_id"], *"a");
    assert_eq!(*new.metadata["internal_user_id"], *"a");
    world.act_out(&plan.actions);
    let again = world.plan();
    assert!(again.is_empty() && again.learned.is_empty(), "{again:?}");
    assert_eq!(again.unchanged, 2);
}

#[test]
fn causes_tell_an_edit_from_drift_and_from_both() {
    for (edit, drift, cause) in [
        (true, false, Some(Cause::Edited)),
        (false, true, Some(Cause::Drifted)),
        (true, true, Some(Cause::Both)),
        (false, false, None),
    ] {
        let mut world = World::settled(vec![user("a")]);
        if edit {
            world.users[0].name = name("New");
        }
        if drift {
            world.profile_mut("a").name = Some("Elsewhere".into());
        }
        let plan = world.plan();
        let found = plan
            .actions
            .first()
            .and_then(|action| action.profile.name.as_ref());
        assert_eq!(
            found.map(|change| change.cause),
            cause,
            "edit {edit}, drift {drift}"
        );
    }
}

#[test]
fn a_name_that_whop_already_shows_is_only_recorded() {
    let mut world = World::settled(vec![user("a")]);
    world.users[0].name = name("New");
    world.profile_mut("a").name = Some("New".into());
    let plan = world.plan();
    assert!(plan.is_empty());
    assert_eq!(plan.learned.len(), 1);
    assert_eq!(plan.learned[0].entry.name.as_deref(), Some("New"));
}

#[test]
fn a_picture_is_set_again_when_its_content_or_its_url_on_whop_changes() {
    let mut subject = user("a");
    subject.avatar = Some(avatar("one"));
    let mut world = World::settled(vec![subject]);
    world.users[0].avatar = Some(avatar("two"));
    let picture = world.plan().actions[0].profile.picture.clone().unwrap();
    assert_eq!(
        (picture.cause, picture.old),
        (Cause::Edited, Some(Digest::of(b"one")))
    );

    world.users[0].avatar = Some(avatar("one"));
    assert!(world.plan().is_empty());
    world.profile_mut("a").picture = Some("https://img.test/other".into());
    let picture = world.plan().actions[0].profile.picture.clone().unwrap();
    assert_eq!(picture.cause, Cause::Drifted);

    world.users[0].avatar = None;
    assert!(world.plan().is_empty(), "an unmanaged picture is left alone");
}

#[test]
fn a_title_is_managed_only_where_the_manifest_has_one() {
    let mut world = World::settled(vec![user("a")]);
    world.users[0].name = name("New");
    let action = &world.plan().actions[0];
    assert!(action.account.is_empty(), "the title at creation stays");
    world.users[0].title = World::title("Shop");
    let action = &world.plan().actions[0];
    assert_eq!(
        action.account.title.as_ref().map(|title| title.new.as_str()),
        Some("Shop")
    );
    assert_eq!(action.steps(), [Step::UpdateAccount, Step::UpdateProfile]);
}

#[test]
fn only_managed_metadata_changes_and_others_keys_ride_along() {
    let mut subject = user("a");
    subject.metadata.insert("tier".into(), "gold".into());
    let mut world = World::settled(vec![subject]);
    world
        .account_mut("a")
        .metadata
        .insert("theirs".into(), MetaValue::Json("{\"x\":1}".into()));
    assert!(world.plan().is_empty());
    world.users[0].metadata.insert("tier".into(), "silver".into());
    let action = &world.plan().actions[0];
    assert_eq!(action.account.metadata.len(), 1);
    assert_eq!(action.account.metadata["tier"].cause, Cause::Edited);
    assert_eq!(
        action.account.whole["theirs"],
        MetaValue::Json("{\"x\":1}".into())
    );
    assert_eq!(action.account.whole["external_id"], MetaValue::Text("a".into()));
    world.users[0].metadata.retain(|_, _| false);
    let plan = world.plan();
    assert!(plan.is_empty(), "a key that leaves the manifest is left alone");
    assert_eq!(plan.learned.len(), 1, "and no longer counts as ours");
}

#[test]
fn the_old_dialect_cannot_change_metadata_and_says_so() {
    let mut subject = user("a");
    subject.metadata.insert("tier".into(), "gold".into());
    let mut world = World::new(vec![subject]);
    world.policy.dialect = Dialect::Companies;
    let plan = world.plan();
    world.act_out(&plan.actions);
    assert!(world.plan().is_empty());
    world.users[0].metadata.insert("tier".into(), "silver".into());
    assert_eq!(outline(&world.plan()), ["hold a metadata_fixed"]);
}

#[test]
fn a_lost_mapping_is_found_again_and_pictures_are_set_once_more() {
    let mut subject = user("a");
    subject.avatar = Some(avatar("face"));
    let mut world = World::settled(vec![subject, user("b")]);
    world.known = Default::default();
    let plan = world.plan();
    assert_eq!(outline(&plan), ["adopt a", "adopt b"]);
    assert_eq!(
        plan.actions[0].steps(),
        [Step::RecordLink, Step::UploadPicture, Step::UpdateProfile]
    );
    assert_eq!(plan.actions[1].steps(), [Step::RecordLink]);
    world.act_out(&plan.actions);
    assert!(world.plan().is_empty());
}

#[test]
fn accounts_of_others_are_adopted_by_the_best_evidence_there_is() {
    for (metadata, evidence) in [
        (vec![("external_id", "a")], Evidence::ExternalId),
        (vec![("internal_user_id", "a")], Evidence::InternalUserId),
        (
            vec![("internal_user_id", "a"), ("external_id", "a")],
            Evidence::ExternalId,
        ),
        (vec![("else", "x")], Evidence::Email),
    ] {
        let mut world = World::new(vec![user("a")]);
        world.foreign("A@shop.test", &metadata);
        let plan = world.plan();
        let Kind::Adopt { by, .. } = plan.actions[0].kind else {
            panic!("{metadata:?}: {plan:?}")
        };
        assert_eq!(by, evidence);
        world.act_out(&plan.actions);
        assert_eq!(
            world.accounts[0].text("external_id"),
            Some("a"),
            "found more surely next time"
        );
        assert!(world.plan().is_empty());
    }
}

#[test]
fn what_is_not_certain_is_held() {
    let mut world = World::new(vec![user("a")]);
    world.foreign("x@shop.test", &[("external_id", "a")]);
    world.foreign("y@shop.test", &[("external_id", "a")]);
    assert_eq!(outline(&world.plan()), ["hold a ambiguous"]);

    let mut world = World::new(vec![user("a")]);
    world.foreign("a@shop.test", &[]);
    world.foreign("a@shop.test", &[]);
    assert_eq!(outline(&world.plan()), ["hold a ambiguous"]);

    let mut world = World::new(vec![user("a")]);
    world.foreign("a@shop.test", &[("external_id", "z")]);
    assert_eq!(outline(&world.plan()), ["hold a email_taken"]);
    world.policy.allow.insert(Guard::Duplicate);
    assert_eq!(outline(&world.plan()), ["create a"]);

    let mut world = World::settled(vec![user("a")]);
    world.users[0].key = key("b");
    assert_eq!(
        outline(&world.plan()),
        ["hold b email_taken"],
        "an email does not say who somebody is"
    );

    let mut world = World::settled(vec![user("a")]);
    world.users.push(user("b"));
    world
        .account_mut("a")
        .metadata
        .insert("external_id".into(), MetaValue::Text("b".into()));
    assert_eq!(
        outline(&world.plan()),
        ["hold a contradicted", "hold b linked_elsewhere"]
    );
}

#[test]
fn identity_traps_are_held() {
    let mut world = World::settled(vec![user("a"), user("b")]);
    let (a, b) = (world.users[0].email.clone(), world.users[1].email.clone());
    (world.users[0].email, world.users[1].email) = (b, a);
    assert_eq!(
        outline(&world.plan()),
        ["hold a email_changed", "hold b email_changed"]
    );

    let mut world = World::settled(vec![user("a"), user("b")]);
    let owner = world.account_mut("a").owner.clone();
    world.account_mut("b").owner = owner;
    assert_eq!(
        outline(&world.plan()),
        ["hold a shared_owner", "hold b shared_owner"]
    );

    let mut world = World::settled(vec![user("a")]);
    world.users[0].name = name("New");
    world.account_mut("a").suspended = true;
    assert_eq!(outline(&world.plan()), ["hold a suspended"]);
    world.users[0].name = name("Name a");
    assert!(
        world.plan().holds.is_empty(),
        "nothing is wanted, so nothing is held"
    );
}

#[test]
fn an_id_used_again_never_reaches_the_person_before() {
    // Somebody new with the id of one who left, whose account is still there.
    let mut world = World::settled(vec![user("a"), user("b")]);
    world.users[0].email = Email::parse("new@shop.test").unwrap();
    world.users[0].name = name("Somebody New");
    assert_eq!(outline(&world.plan()), ["hold a email_changed"]);
    // Nor without the mapping, since the account carries the id.
    world.known = Default::default();
    assert_eq!(outline(&world.plan()), ["adopt b", "hold a email_changed"]);
    // Once it is gone, the id is free.
    world.accounts.remove(0);
    assert_eq!(outline(&world.plan()), ["create a", "adopt b"]);
}

#[test]
fn a_changed_email_is_held_with_three_ways_out() {
    let mut world = World::settled(vec![user("a")]);
    world.users[0].email = Email::parse("new@shop.test").unwrap();
    let hold = world.plan().holds.remove(0);
    let words = whop_sync::render::messages::reason(&hold.reason);
    assert!(words.message.contains("`a…@shop.test`"), "{words:?}");
    for way in [
        "put that email into the manifest",
        "corrected on Whop by hand",
        "a new id",
    ] {
        assert!(words.what_to_do.contains(way), "{words:?}");
    }
    // Each of them leads out.
    let mut back = world;
    back.users[0].email = Email::parse("A@shop.test").unwrap();
    assert!(back.plan().holds.is_empty());
    back.users[0].email = Email::parse("new@shop.test").unwrap();
    back.account_mut("a").email = Some("new@shop.test".into());
    assert!(back.plan().holds.is_empty());
    back.account_mut("a").email = Some("a@shop.test".into());
    back.users[0].key = whop_sync::core::value::UserKey::parse("a2").unwrap();
    assert_eq!(outline(&back.plan()), ["create a2"]);
}

#[test]
fn a_suspended_or_deleted_account_gets_no_second_one_while_it_can_be_told() {
    let mut world = World::settled(ids(20));
    world.users[0].name = name("New");
    world.account_mut("u000").suspended = true;
    assert_eq!(outline(&world.plan()), ["hold u000 suspended"]);
    // Also where the mapping is lost: it is found again, not made again.
    world.known = Default::default();
    assert!(outline(&world.plan()).contains(&"hold u000 suspended".to_owned()));

    let mut world = World::settled(ids(20));
    world.accounts.remove(0);
    world.complete = false;
    assert_eq!(outline(&world.plan()), ["hold u000 incomplete"]);
    world.complete = true;
    assert_eq!(outline(&world.plan()), ["create u000"]);
}

#[test]
fn an_incomplete_list_creates_and_forgets_nothing() {
    let mut world = World::settled(ids(20));
    world.users.remove(0);
    world.accounts.remove(0);
    world.users.push(user("new"));
    world.users[3].name = name("New");
    world.complete = false;
    assert_eq!(outline(&world.plan()), ["update u004", "hold new incomplete"]);
    world.complete = true;
    assert_eq!(
        outline(&world.plan()),
        ["create new", "forget u000", "update u004"]
    );
}

#[test]
fn an_account_that_is_gone_is_made_again_unless_too_many_are() {
    let mut world = World::settled(ids(20));
    world.accounts.truncate(18);
    let plan = world.plan();
    assert_eq!(outline(&plan), ["create u018", "create u019"]);
    let Kind::Create(new) = &plan.actions[0].kind else {
        panic!("not a create")
    };
    assert!(new.replaces.is_some());
    world.accounts.truncate(17);
    assert_eq!(
        outline(&world.plan()),
        ["hold u017 vanished", "hold u018 vanished", "hold u019 vanished"]
    );
    world.policy.allow.insert(Guard::Vanished);
    assert_eq!(world.plan().actions.len(), 3);
}

/// Three of twenty are gone, of whom the manifest still has one: two that are
/// gone from both count too, wherever they stand.
#[test]
fn accounts_of_who_has_left_count_as_gone_too() {
    for (left, stays) in [([0, 1], 2), ([10, 12], 11), ([18, 19], 17)] {
        let mut world = World::settled(ids(20));
        let is_gone = |n: &usize| left.contains(n) || *n == stays;
        let gone: Vec<_> = (0..20)
            .filter(is_gone)
            .map(|n| world.users[n].key.clone())
            .collect();
        let gone = gone.iter().map(|key| world.known.users[key].link.account.clone());
        let gone: Vec<_> = gone.collect();
        world.accounts.retain(|account| !gone.contains(&account.id));
        for n in left.into_iter().rev() {
            world.users.remove(n);
        }
        let outline = outline(&world.plan());
        assert!(
            outline.contains(&format!("hold u{stays:03} vanished")),
            "{outline:?}"
        );
    }
}

#[test]
fn who_leaves_the_manifest_is_reported_and_left_alone() {
    let mut world = World::settled(vec![user("a"), user("b")]);
    world.foreign("else@shop.test", &[("external_id", "z")]);
    world.users.remove(0);
    let plan = world.plan();
    assert!(plan.is_empty());
    let keys: Vec<_> = plan
        .unmanaged
        .iter()
        .map(|it| it.key.as_ref().map(ToString::to_string))
        .collect();
    assert_eq!(keys, [Some("a".to_owned()), None]);
}

#[test]
fn a_renamed_id_moves_its_link_and_stays_moved() {
    let mut world = World::settled(vec![user("old"), user("z")]);
    let account = world.known.users[&key("old")].link.account.clone();
    world.users[0].key = key("new");
    world.users[0].renamed_from = Some(key("old"));
    let plan = world.plan();
    assert_eq!(outline(&plan), ["update new"]);
    assert_eq!(
        plan.actions[0].account.whole["external_id"],
        MetaValue::Text("new".into())
    );
    world.act_out(&plan.actions);
    assert_eq!(world.known.users[&key("new")].link.account, account);
    assert!(!world.known.users.contains_key(&key("old")));
    assert!(
        world.plan().is_empty(),
        "naming the former id again changes nothing"
    );

    world.known = Default::default();
    world
        .account_mut_by_id(&account)
        .metadata
        .insert("external_id".into(), MetaValue::Text("old".into()));
    world
        .account_mut_by_id(&account)
        .metadata
        .insert("internal_user_id".into(), MetaValue::Text("old".into()));
    assert_eq!(
        outline(&world.plan()),
        ["adopt new", "adopt z"],
        "found by the former id"
    );
}

#[test]
fn limits_refuse_beyond_and_not_at_the_limit() {
    let mut world = World::settled(ids(10));
    for user in world.users.iter_mut().take(3) {
        user.name = name("New");
    }
    assert_eq!(world.plan().breaches, [], "30 % of 10 is 3");
    world.users[3].name = name("New");
    let breach = world.plan().breaches[0];
    assert_eq!(
        (breach.guard, breach.most, breach.wanted),
        (Guard::MaxUpdates, 3, 4)
    );
    world.policy.allow.insert(Guard::MaxUpdates);
    assert_eq!(world.plan().breaches, []);

    let mut world = World::settled(ids(9));
    world.users.iter_mut().for_each(|user| user.name = name("New"));
    assert_eq!(
        world.plan().breaches,
        [],
        "the default begins with ten accounts on Whop"
    );

    let mut world = World::new(ids(4));
    world.guardrails.max_creates = Some(Limit::Count(3));
    assert_eq!(world.plan().breaches[0].guard, Guard::MaxCreates);
    assert_eq!(world.plan().actions.len(), 4, "shown whole, then refused");
    world.guardrails.max_creates = Some(Limit::Count(4));
    assert_eq!(world.plan().breaches, []);
    world.users[0].avatar = Some(avatar("face"));
    world.guardrails.max_avatars = Some(Limit::Percent(24));
    assert_eq!(world.plan().breaches[0].guard, Guard::MaxAvatars);
}

/// Whoever writes the mapping could make every change look like the rest of an
/// earlier run, or like the first one of a company that is only beginning.
#[test]
fn the_mapping_has_no_say_in_what_counts_as_a_change() {
    type Doctor = fn(&mut Known);
    let doctors: [(&str, Doctor); 5] = [
        ("as it is", |_| {}),
        ("no mapping", |known| known.users.clear()),
        ("nine rows", |known| {
            while known.users.len() > 9 {
                known.users.pop_last();
            }
        }),
        ("no names", |known| {
            known.users.values_mut().for_each(|user| user.name = None);
        }),
        ("links alone", |known| {
            for user in known.users.values_mut() {
                *user = KnownUser::linked(user.link.clone());
            }
        }),
    ];
    for refresh in [Refresh::Full, Refresh::Changed, Refresh::Auto] {
        for (what, doctor) in doctors {
            let mut world = World::settled(ids(20));
            world.policy.refresh = refresh;
            world.users.iter_mut().for_each(|user| user.name = name("New"));
            doctor(&mut world.known);
            let told: Vec<_> = world
                .plan()
                .breaches
                .iter()
                .map(|breach| (breach.guard, breach.most, breach.wanted))
                .collect();
            assert_eq!(told, [(Guard::MaxUpdates, 6, 20)], "{what}, {refresh:?}");
        }
    }
}

#[test]
fn percentages_are_of_the_accounts_on_whop_that_carry_an_id_of_the_manifest() {
    let mut world = World::settled(ids(10));
    world.guardrails.max_creates = Some(Limit::Count(5_000));
    world.users.extend((0..1_000).map(|n| user(&format!("new{n}"))));
    for n in 0..40 {
        world.foreign(&format!("{n}@else.test"), &[("external_id", &format!("else{n}"))]);
    }
    for user in world.users.iter_mut().take(4) {
        user.name = name("New");
    }
    let breach = world.plan().breaches[0];
    assert_eq!((breach.guard, breach.most), (Guard::MaxUpdates, 3));
    // Under a former id, or under either key, an account counts all the same.
    world.users.truncate(10);
    for n in 0..10 {
        let (id, former) = (world.users[n].key.to_string(), format!("was{n}"));
        let account = world.account_mut(&id);
        account.metadata.retain(|key, _| *key == "internal_user_id");
        let value = MetaValue::Text(former.as_str().into());
        account.metadata.insert("internal_user_id".into(), value);
        world.users[n].renamed_from = Some(key(&former));
    }
    let breach = world.plan().breaches[0];
    assert_eq!((breach.guard, breach.most), (Guard::MaxUpdates, 3));
}

#[test]
fn what_takes_no_text_from_anybody_is_no_update() {
    let mut world = World::settled(ids(20));
    world.known = Known::default();
    assert_eq!(outline(&world.plan()).len(), 20);
    assert_eq!(world.plan().breaches, [], "linking");

    let mut world = World::settled(ids(20));
    for n in 0..20 {
        let id = world.users[n].key.to_string();
        world.profile_mut(&id).name = None;
        world.users[n].metadata.insert("tier".into(), "gold".into());
        world.users[n].avatar = Some(avatar("face"));
    }
    assert_eq!(world.plan().actions.len(), 20);
    assert_eq!(world.plan().breaches, [], "values over none, and pictures");

    let mut world = World::settled(ids(20));
    for n in 0..20 {
        let id = world.users[n].key.to_string();
        let tier = MetaValue::Json("7".into());
        world.account_mut(&id).metadata.insert("tier".into(), tier);
        world.users[n].metadata.insert("tier".into(), "gold".into());
    }
    assert_eq!(world.plan().breaches[0].wanted, 20, "a value of any kind");
}

#[test]
fn many_creates_at_once_are_refused_once_a_platform_is_set_up() {
    let with = |settled: usize, new: usize, age: Option<u64>| {
        let mut world = World::settled(ids(settled));
        world.users.extend((0..new).map(|n| user(&format!("new{n:04}"))));
        let created = age.map(|age| world.policy.now - age);
        world
            .accounts
            .iter_mut()
            .for_each(|account| account.created = created);
        let plan = world.plan();
        let breach = plan
            .breaches
            .first()
            .map(|it| (it.guard, it.most, it.wanted, it.limit));
        (breach, plan.cautions)
    };
    let broken = |most, wanted, limit| Some((Guard::MaxCreates, most, wanted, Some(limit)));
    let day = 24 * 3600;
    assert_eq!(with(9, 1_000, None), (None, vec![]), "a beginning");
    assert_eq!(with(10, 50, None), (None, vec![]));
    assert_eq!(with(10, 51, None), (broken(50, 51, Limit::Count(50)), vec![]));
    assert_eq!(with(200, 60, Some(day)), (None, vec![]));
    assert_eq!(
        with(200, 61, Some(day)),
        (broken(60, 61, Limit::Percent(30)), vec![])
    );
    // What an import of today left, which is told first.
    let told = vec![Caution::SetUp { wanted: 51, most: 50 }];
    assert_eq!(with(100, 51, Some(day - 1)), (None, told));
    assert_eq!(with(100, 50, Some(day - 1)), (None, vec![]));
}

#[test]
fn a_limit_laxer_than_the_default_and_a_lifted_one_are_cautions() {
    let told = |limits: Guardrails, seen: usize| {
        let mut world = World::settled(ids(seen));
        world.guardrails = limits;
        world.plan().cautions
    };
    let updates = |limit| Guardrails {
        max_updates: Some(limit),
        ..Guardrails::default()
    };
    let creates = |limit| Guardrails {
        max_creates: Some(limit),
        ..Guardrails::default()
    };
    let lax = |guard, limit| vec![Caution::Lax { guard, limit }];
    for (limit, seen, is_lax) in [
        (Limit::Percent(30), 0, false),
        (Limit::Percent(31), 0, true),
        (Limit::Percent(100), 100, true),
        (Limit::Count(3), 0, false),
        (Limit::Count(4), 0, true),
        (Limit::Count(30), 100, false),
        (Limit::Count(31), 100, true),
    ] {
        let expected = if is_lax {
            lax(Guard::MaxUpdates, limit)
        } else {
            vec![]
        };
        assert_eq!(told(updates(limit), seen), expected, "{limit} of {seen}");
    }
    for (limit, seen, is_lax) in [
        (Limit::Percent(30), 10, false),
        (Limit::Percent(31), 10, true),
        (Limit::Count(50), 0, false),
        (Limit::Count(51), 0, true),
        (Limit::Count(60), 200, false),
        (Limit::Count(61), 200, true),
    ] {
        let expected = if is_lax {
            lax(Guard::MaxCreates, limit)
        } else {
            vec![]
        };
        assert_eq!(told(creates(limit), seen), expected, "{limit} of {seen}");
    }
    let avatars = Guardrails {
        max_avatars: Some(Limit::Percent(100)),
        ..Guardrails::default()
    };
    assert_eq!(told(avatars, 10), [], "pictures have no limit by default");
    let mut world = World::settled(ids(1));
    world.policy.allow.insert(Guard::Vanished);
    assert_eq!(world.plan().cautions, [Caution::Lifted(Guard::Vanished)]);
}

/// What the create of a user without more than a name asks for.
fn body(id: &str) -> Value {
    json!({
        "email": format!("{id}@shop.test"),
        "metadata": {"external_id": id, "internal_user_id": id},
        "title": format!("Name {id}"),
    })
}

fn in_doubt(world: &mut World, id: &str, age: u64) -> PreparedCall {
    let call = PreparedCall {
        version: world.policy.version.to_string(),
        idempotency_key: "k".into(),
        body: body(id).to_string(),
    };
    let email = Email::parse(&format!("{id}@shop.test")).unwrap();
    let doubt = Doubt {
        begun: world.policy.now - age,
        email,
        call: call.clone(),
    };
    world.known.doubts.insert(key(id), doubt);
    call
}

#[test]
fn a_create_in_doubt_is_found_or_sent_again_or_held_and_never_doubled() {
    let mut world = World::new(vec![user("a")]);
    let call = in_doubt(&mut world, "a", 5);
    let Kind::Create(new) = &world.plan().actions[0].kind else {
        panic!("not a create")
    };
    assert_eq!(
        new.resend.as_ref().map(Resend::call),
        Some(&call),
        "the same bytes under the same key"
    );

    world.foreign("a@shop.test", &[("external_id", "a"), ("internal_user_id", "a")]);
    assert_eq!(outline(&world.plan()), ["adopt a"], "it did happen");

    let mut world = World::new(vec![user("a")]);
    in_doubt(&mut world, "a", RESEND_WITHIN);
    let Kind::Create(new) = &world.plan().actions[0].kind else {
        panic!("not a create")
    };
    assert_eq!(
        new.resend, None,
        "Whop has forgotten the key, and the list is proof by now"
    );

    let mut world = World::new(vec![user("a")]);
    in_doubt(&mut world, "a", 5);
    world.users[0].email = Email::parse("other@shop.test").unwrap();
    assert_eq!(
        outline(&world.plan()),
        ["hold a in_doubt"],
        "the corrected address must not be ignored"
    );
    world.policy.now += LIST_LAG;
    assert_eq!(outline(&world.plan()), ["create a"]);
}

#[test]
fn the_old_dialect_cannot_repeat_a_create_so_it_waits_for_proof() {
    let mut world = World::new(vec![user("a")]);
    world.policy.dialect = Dialect::Companies;
    in_doubt(&mut world, "a", LIST_LAG - 1);
    let begun = world.known.doubts[&key("a")].begun;
    let why = Unrepeatable::Version;
    assert_eq!(world.plan().holds[0].reason, Reason::InDoubt { begun, why });
    world.policy.allow.insert(Guard::InDoubt);
    assert_eq!(outline(&world.plan()), ["create a"]);
    world.policy.allow.clear();
    world.policy.now += 1;
    assert_eq!(outline(&world.plan()), ["create a"]);
}

#[test]
fn a_journalled_create_that_asks_for_anything_else_is_held_until_absence_is_proof() {
    let foreign = [
        ("/email", json!("b@shop.test")),
        ("/email", json!("A@shop.test")),
        ("/title", json!("Another")),
        ("/metadata/external_id", json!("b")),
        ("/metadata/internal_user_id", json!("b")),
    ];
    let foreign = foreign.into_iter().map(|(at, value)| {
        let mut body = body("a");
        *body.pointer_mut(at).unwrap() = value;
        body
    });
    let more = [("external_id", "b"), ("parent_company_id", "biz_x"), ("zip", "")].map(|(name, value)| {
        let mut body = body("a");
        body[name] = value.into();
        body
    });
    let mut tier = body("a");
    tier["metadata"]["tier"] = "gold".into();
    let bodies = foreign
        .chain(more)
        .chain([tier, json!({}), json!([]), Value::Null]);
    let twice = body("a")
        .to_string()
        .replacen('{', "{\"email\":\"b@shop.test\",", 1);
    let calls = bodies.map(|body| ("k".to_owned(), body.to_string())).chain([
        ("k".to_owned(), twice),
        ("k\r\nhost: x".to_owned(), body("a").to_string()),
    ]);
    for (idempotency_key, body) in calls {
        let mut world = World::new(vec![user("a"), user("b")]);
        in_doubt(&mut world, "a", 5);
        let doubt = world.known.doubts.get_mut(&key("a")).unwrap();
        (doubt.call.idempotency_key, doubt.call.body) = (idempotency_key, body.clone());
        let plan = world.plan();
        assert_eq!(outline(&plan), ["create b", "hold a in_doubt"], "{body}");
        let why = Unrepeatable::Different;
        let begun = world.policy.now - 5;
        assert_eq!(plan.holds[0].reason, Reason::InDoubt { begun, why });
        world.policy.now += LIST_LAG;
        let plan = world.plan();
        let Kind::Create(new) = &plan.actions[0].kind else {
            panic!("not a create: {body}")
        };
        assert_eq!(
            (new.email.as_str(), &new.resend),
            ("a@shop.test", &None),
            "{body}"
        );
    }
}

#[test]
fn a_journalled_create_that_carries_the_id_beside_the_metadata_too_is_sent_again() {
    let mut world = World::new(vec![user("a")]);
    in_doubt(&mut world, "a", 5);
    let mut body = body("a");
    body["external_id"] = "a".into();
    let call = &mut world.known.doubts.get_mut(&key("a")).unwrap().call;
    call.body = body.to_string();
    let call = call.clone();
    let Kind::Create(new) = &world.plan().actions[0].kind else {
        panic!("not a create")
    };
    assert_eq!(new.resend.as_ref().map(Resend::call), Some(&call));
}

#[test]
fn a_create_from_the_future_is_held_by_whops_clock() {
    for ahead in [1, LIST_LAG, RESEND_WITHIN, u64::MAX / 2, u64::MAX] {
        let mut world = World::new(vec![user("a")]);
        in_doubt(&mut world, "a", 0);
        let begun = world.policy.now.saturating_add(ahead);
        world.known.doubts.get_mut(&key("a")).unwrap().begun = begun;
        let why = Unrepeatable::Ahead;
        assert_eq!(world.plan().holds[0].reason, Reason::InDoubt { begun, why });
        world.policy.allow.insert(Guard::InDoubt);
        let Kind::Create(new) = &world.plan().actions[0].kind else {
            panic!("not a create")
        };
        assert_eq!(new.resend, None);
    }
    // Not by ours, which may be set wrong.
    let mut world = World::new(vec![user("a")]);
    in_doubt(&mut world, "a", 5);
    let (desired, mut observed) = (world.desired(), world.observed());
    observed.time = Some(world.policy.now - 6);
    let made = plan(&desired, &observed, &world.known, &world.policy);
    assert_eq!(outline(&made), ["hold a in_doubt"]);
    world.policy.now += 7 * 24 * 3600;
    observed.time = Some(world.policy.now - 7 * 24 * 3600);
    let made = plan(&desired, &observed, &world.known, &world.policy);
    let Kind::Create(new) = &made.actions[0].kind else {
        panic!("not a create")
    };
    assert!(new.resend.is_some(), "a week ahead is our clock's mistake");
}

#[test]
fn a_partial_run_acts_on_the_named_users_only() {
    let mut world = World::new(ids(3));
    world.policy.only = Some([key("u001")].into());
    let plan = world.plan();
    assert_eq!(outline(&plan), ["create u001"]);
    assert_eq!(plan.left_out, 2);
}

#[test]
fn changed_reads_only_what_the_manifest_changed_or_is_unsure() {
    let mut world = World::settled(ids(5));
    world.policy.refresh = Refresh::Changed;
    assert_eq!(
        (world.plan().reads.profiles, world.plan().reads.from_mapping),
        (0, 5)
    );
    world.users[1].name = name("New");
    world.known.unsure.insert(key("u002"));
    let plan = world.plan();
    assert_eq!((plan.reads.profiles, plan.reads.from_mapping), (2, 3));
    assert_eq!(plan.learned.len(), 1, "what was unsure is sure again");
}

#[test]
fn auto_looks_at_everybody_in_turn_above_six_hundred() {
    let mut world = World::settled(ids(1500));
    world.policy.refresh = Refresh::Auto;
    let mut seen = 0;
    for _ in 0..3 {
        let reads = world.plan().reads;
        assert!(reads.profiles <= 600, "{reads:?}");
        seen += reads.profiles;
        world.policy.now += 3600;
    }
    assert_eq!(seen, 1500, "three hours in a row cover everybody exactly once");
}

#[test]
fn the_verbs_of_a_plan_follow_the_input_order_in_no_way() {
    let mut world = World::settled(ids(6));
    world.users.push(user("new"));
    world.users[2].name = name("New");
    let forward = world.plan();
    world.users.reverse();
    world.accounts.reverse();
    assert_eq!(forward, world.plan());
    assert_eq!(forward.actions[0].verb(), Verb::Create);
}
