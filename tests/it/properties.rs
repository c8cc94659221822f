//! What must hold of every plan, over random worlds. A failing world is
//! shrunk, and its seed is printed and kept beside this file.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use whop_sync::core::digest::Digest;
use whop_sync::core::lineage::{Purpose, State};
use whop_sync::core::model::{Account, Dialect, Guard, MetaValue, Refresh};
use whop_sync::core::plan::{Action, Kind, Plan, Step};
use whop_sync::core::saved::{Place, Saved, basis, changes as moved};
use whop_sync::core::state_digest::desired_digest;
use whop_sync::core::summary;
use whop_sync::core::value::{DisplayName, PlatformId, UserKey};

use crate::world::{World, avatar, key, owner_of, user};

/// One thing that happens between two runs.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// A user joins the manifest.
    Join(u8),
    /// One leaves.
    Leave(u8),
    /// The manifest is edited.
    Name(u8, u8),
    Picture(u8, Option<u8>),
    Title(u8, Option<u8>),
    Tier(u8, Option<u8>),
    Rename(u8, u8),
    /// Somebody changes Whop.
    NameDrift(u8, u8),
    PictureDrift(u8),
    TitleDrift(u8),
    TierDrift(u8),
    Remove(u8),
    Suspend(u8),
    /// An account somebody else made: for whose email, carrying whose id.
    Foreign(u8, Option<u8>),
    /// A mapping entry is lost, or the whole mapping.
    Lose(u8),
    LoseAll,
}

pub(crate) fn change() -> impl Strategy<Value = Change> {
    let id = || 0..12_u8;
    let value = || 0..3_u8;
    let maybe = || proptest::option::of(0..3_u8);
    prop_oneof![
        6 => id().prop_map(Change::Join),
        2 => id().prop_map(Change::Leave),
        3 => (id(), value()).prop_map(|(i, v)| Change::Name(i, v)),
        3 => (id(), maybe()).prop_map(|(i, v)| Change::Picture(i, v)),
        2 => (id(), maybe()).prop_map(|(i, v)| Change::Title(i, v)),
        2 => (id(), maybe()).prop_map(|(i, v)| Change::Tier(i, v)),
        1 => (id(), id()).prop_map(|(i, j)| Change::Rename(i, j)),
        2 => (id(), value()).prop_map(|(i, v)| Change::NameDrift(i, v)),
        1 => id().prop_map(Change::PictureDrift),
        1 => id().prop_map(Change::TitleDrift),
        1 => id().prop_map(Change::TierDrift),
        1 => id().prop_map(Change::Remove),
        1 => id().prop_map(Change::Suspend),
        2 => (id(), proptest::option::of(id())).prop_map(|(i, j)| Change::Foreign(i, j)),
        1 => id().prop_map(Change::Lose),
        1 => Just(Change::LoseAll),
    ]
}

fn id(n: u8) -> String {
    format!("u{n:02}")
}

fn name(v: u8) -> DisplayName {
    DisplayName::parse(["Ann", "Bo", "Cy"][usize::from(v % 3)]).unwrap()
}

pub(crate) fn happen(world: &mut World, change: &Change) {
    let edit = |world: &mut World, n: u8, edit: &mut dyn FnMut(&mut whop_sync::core::model::DesiredUser)| {
        if let Some(user) = world.users.iter_mut().find(|user| user.key == key(&id(n))) {
            edit(user);
        }
    };
    let listed = |world: &World, n: u8| {
        let account = &world.known.users.get(&key(&id(n)))?.link.account;
        world.accounts.iter().position(|it| it.id == *account)
    };
    match change {
        Change::Join(n) if !world.users.iter().any(|user| user.key == key(&id(*n))) => {
            // Emails outlive a rename, so that they must not follow the id.
            let taken: BTreeSet<_> = world.users.iter().map(|user| user.email.clone()).collect();
            let joins = user(&id(*n));
            if !taken.contains(&joins.email) {
                world.users.push(joins);
            }
        }
        Change::Join(_) => {}
        Change::Leave(n) => world.users.retain(|user| user.key != key(&id(*n))),
        Change::Name(n, v) => edit(world, *n, &mut |user| user.name = name(*v)),
        Change::Picture(n, v) => edit(world, *n, &mut |user| {
            user.avatar = v.map(|v| avatar(&v.to_string()))
        }),
        Change::Title(n, v) => edit(world, *n, &mut |user| {
            user.title = v.and_then(|v| World::title(&format!("Title {v}")));
        }),
        Change::Tier(n, v) => edit(world, *n, &mut |user| {
            user.metadata = v
                .map(|v| ("tier".into(), v.to_string().into()))
                .into_iter()
                .collect();
        }),
        Change::Rename(n, to) => {
            let free = |world: &World| {
                let to = key(&id(*to));
                !world
                    .users
                    .iter()
                    .any(|user| user.key == to || user.renamed_from.as_ref() == Some(&key(&id(*n))))
            };
            if free(world) {
                edit(world, *n, &mut |user| {
                    user.renamed_from = Some(key(&id(*n)));
                    user.key = key(&id(*to));
                });
            }
        }
        Change::NameDrift(n, v) => {
            if let Some(at) = listed(world, *n) {
                let owner = world.accounts[at].owner.clone();
                world.profiles.get_mut(&owner).unwrap().name = Some(name(*v).as_str().into());
            }
        }
        Change::PictureDrift(n) => {
            if let Some(at) = listed(world, *n) {
                let owner = world.accounts[at].owner.clone();
                world.profiles.get_mut(&owner).unwrap().picture = Some("https://img.test/drift".into());
            }
        }
        Change::TitleDrift(n) => {
            if let Some(at) = listed(world, *n) {
                world.accounts[at].title = "Drifted".into();
            }
        }
        Change::TierDrift(n) => {
            if let Some(at) = listed(world, *n) {
                world.accounts[at]
                    .metadata
                    .insert("tier".into(), MetaValue::Json("[]".into()));
            }
        }
        Change::Remove(n) => {
            if let Some(at) = listed(world, *n) {
                world.accounts.remove(at);
            }
        }
        Change::Suspend(n) => {
            if let Some(at) = listed(world, *n) {
                world.accounts[at].suspended = true;
            }
        }
        Change::Foreign(email, carried) => {
            let carried = carried.map(id);
            let metadata: Vec<_> = carried
                .iter()
                .map(|carried| ("external_id", carried.as_str()))
                .collect();
            world.foreign(&format!("{}@shop.test", id(*email)), &metadata);
        }
        Change::Lose(n) => {
            world.known.users.remove(&key(&id(*n)));
        }
        Change::LoseAll => world.known = Default::default(),
    }
    // Nobody is renamed from an id that is still in use.
    let ids: BTreeSet<_> = world.users.iter().map(|user| user.key.clone()).collect();
    for user in &mut world.users {
        user.renamed_from = user.renamed_from.take().filter(|from| !ids.contains(from));
    }
}

/// A world with a past: changes, then a run, then more changes.
fn world(dialect: Dialect, past: &[Change], since: &[Change]) -> World {
    let mut world = World::new(Vec::new());
    world.policy.dialect = dialect;
    // Adopting may bring back under the limit what was held by it.
    world.policy.allow.insert(Guard::Vanished);
    past.iter().for_each(|change| happen(&mut world, change));
    let plan = world.plan();
    world.act_out(&plan.actions);
    since.iter().for_each(|change| happen(&mut world, change));
    world
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop_oneof![3 => Just(Dialect::Accounts), 1 => Just(Dialect::Companies)]
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    proptest::collection::vec(change(), 0..40)
}

/// What is left to do by remote calls, per user. A create that was done is
/// replaced by what follows it.
fn calls(plan: &Plan) -> BTreeMap<UserKey, Vec<Step>> {
    let remote = |action: &Action| -> Vec<Step> {
        let steps = action.steps().into_iter();
        steps.filter(|step| !matches!(step, Step::RecordLink)).collect()
    };
    let left = plan
        .actions
        .iter()
        .map(|action| (action.key.clone(), remote(action)));
    left.filter(|(_, steps)| !steps.is_empty()).collect()
}

/// What a plan must not change: accounts and people that are nobody's, and
/// metadata that is not ours.
fn untouched(world: &World, plan: &Plan) -> (Vec<Account>, Vec<Option<Box<str>>>) {
    let ours: BTreeSet<_> = plan
        .actions
        .iter()
        .filter_map(|a| a.link())
        .map(|link| &link.account)
        .collect();
    let owners: BTreeSet<_> = plan
        .actions
        .iter()
        .filter_map(|a| a.link())
        .map(|link| &link.owner)
        .collect();
    // An account made for an address belongs to the person of that address,
    // whom the old dialect does not name.
    let made: BTreeSet<_> = plan
        .actions
        .iter()
        .filter_map(|action| match &action.kind {
            Kind::Create(new) => Some(owner_of(new.email.as_str())),
            _ => None,
        })
        .collect();
    let accounts: Vec<_> = world
        .accounts
        .iter()
        .filter(|account| !ours.contains(&account.id))
        .cloned()
        .collect();
    let profiles = accounts
        .iter()
        .filter(|account| !owners.contains(&account.owner))
        .filter(|account| !made.contains(&account.owner))
        .map(|account| world.profiles[&account.owner].name.clone())
        .collect();
    (accounts, profiles)
}

/// Changes without those that only a look at a profile shows. Two users who
/// turn out to be one person overwrite each other's profile, which is one.
fn without_drift(changes: Vec<Change>) -> Vec<Change> {
    let drifts = |change: &Change| match change {
        Change::NameDrift(..) | Change::PictureDrift(_) => true,
        Change::Foreign(email, Some(carried)) => email != carried,
        _ => false,
    };
    changes.into_iter().filter(|change| !drifts(change)).collect()
}

/// The plan as it would be saved.
fn saved(world: &World, plan: &Plan) -> Saved {
    let company = PlatformId::parse("biz_platform").unwrap();
    let place = Place {
        program: "1",
        company: &company,
        server: "emulator",
        api_version: "2026-10-15-1",
    };
    Saved::new(
        plan,
        basis(place, Vec::new(), manifest(), &world.known, &world.policy),
    )
}

fn manifest() -> Digest {
    Digest::of(b"manifest")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_carried_out_leaves_nothing_to_do(dialect in dialect(), past in changes(), since in changes()) {
        let mut world = world(dialect, &past, &since);
        let plan = world.plan();
        world.act_out(&plan.actions);
        let again = world.plan();
        prop_assert!(again.is_empty(), "left: {:#?}", again.actions);
        if dialect == Dialect::Accounts {
            // The old dialect lists no email, so that a create may turn out
            // to be for a person who is somebody else's already.
            prop_assert_eq!(again.holds, plan.holds);
        }
    }

    #[test]
    fn where_nothing_drifted_all_ways_of_looking_agree_on_the_digest(
        dialect in dialect(), past in changes(), since in changes(), forget in 0..12_usize, later in 0..100_000_u64
    ) {
        let mut world = world(dialect, &without_drift(past), &without_drift(since));
        // Mappings of old know no URLs; a look learns them.
        for entry in world.known.users.values_mut().take(forget) {
            entry.picture.iter_mut().for_each(|picture| picture.url = None);
        }
        let full = summary::digest(&world.plan());
        world.policy.now += later;
        for refresh in [Refresh::Changed, Refresh::Auto] {
            world.policy.refresh = refresh;
            prop_assert_eq!(summary::digest(&world.plan()), full, "{:?}", refresh);
        }
        world.policy.touched = Some(Default::default());
        prop_assert_eq!(summary::digest(&world.plan()), full, "a saved plan's own look");
    }

    #[test]
    fn the_rest_of_a_saved_plan_is_not_stale_and_anything_else_is(
        dialect in dialect(), past in changes(), since in changes(), cuts in proptest::collection::vec(0..5_usize, 12)
    ) {
        let mut world = world(dialect, &past, &since);
        let plan = world.plan();
        let saved = saved(&world, &plan);
        world.policy.touched = Some(saved.users());
        let look = |world: &World| moved(&saved, &world.plan(), &world.known, manifest());
        prop_assert_eq!(look(&world), Default::default(), "nothing has moved yet");

        let before = world.known.clone();
        world.known.lineage.begin(Purpose {
            state: State { desired: desired_digest(&world.desired()), commit: None },
            plan: saved.plan(),
        });
        for (action, cut) in plan.actions.iter().zip(cuts.iter().cycle()) {
            world.act(action, *cut);
            if *cut > 0 {
                world.known.lineage.took_effect();
            }
        }
        prop_assert_eq!(look(&world), Default::default(), "what is left is the plan's own rest");

        // The same steps taken by somebody else.
        let lineage = std::mem::take(&mut world.known.lineage);
        if world.known.users != before.users {
            prop_assert!(!look(&world).is_empty(), "another run's work went unnoticed");
        }
        world.known.lineage = lineage;

        // A hand on a user who is still to be changed.
        let again = world.plan();
        let renamed = again.actions.iter().find(|a| a.profile.name.as_ref().is_some_and(|name| {
            a.link().is_some() && name.cause != whop_sync::core::plan::Cause::New
        }));
        if let Some(action) = renamed {
            let owner = action.link().unwrap().owner.clone();
            world.profiles.get_mut(&owner).unwrap().name = Some("By hand".into());
            let moved = look(&world);
            prop_assert_eq!(moved.users.iter().map(|m| &m.id).collect::<Vec<_>>(), [&action.key]);
        }
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(dialect in dialect(), past in changes(), since in changes(), turn in 0..12_usize) {
        let mut world = world(dialect, &past, &since);
        let plan = world.plan();
        let users = world.users.len();
        world.users.rotate_left(turn.min(users));
        let accounts = world.accounts.len();
        world.accounts.rotate_left(turn.min(accounts));
        world.users.reverse();
        prop_assert_eq!(world.plan(), plan);
    }

    #[test]
    fn whatever_part_was_done_exactly_the_rest_remains(
        dialect in dialect(), past in changes(), since in changes(), cuts in proptest::collection::vec(0..5_usize, 12)
    ) {
        let mut world = world(dialect, &past, &since);
        let plan = world.plan();
        let mut rest = BTreeMap::new();
        for (action, cut) in plan.actions.iter().zip(cuts.iter().cycle()) {
            // Uploading a picture leaves no trace in the three facts; it is
            // done once more by whoever sets it.
            let steps = action.steps();
            let mut left: Vec<_> = steps.iter().skip(*cut).copied().filter(|step| *step != Step::RecordLink).collect();
            if left.first() == Some(&Step::UpdateProfile) && action.profile.picture.is_some() {
                left.insert(0, Step::UploadPicture);
            }
            if !left.is_empty() {
                rest.insert(action.key.clone(), left);
            }
            world.act(action, *cut);
        }
        let again = world.plan();
        // Whose account was made is known now, and may show the name already, from
        // an account that is gone.
        let is_create = |action: &&Action| matches!(action.kind, Kind::Create(_));
        let made: BTreeSet<_> = plan.actions.iter().filter(is_create).map(|action| &action.key).collect();
        let shown = |key: &UserKey| {
            let owner = &world.known.users.get(key)?.link.owner;
            let name = world.profiles.get(owner)?.name.as_deref()?;
            Some(world.users.iter().any(|user| user.key == *key && user.name.as_str() == name))
        };
        rest.retain(|key, steps| *steps != [Step::UpdateProfile] || !made.contains(key) || shown(key) != Some(true));
        let held: Vec<_> = again.holds.iter().map(|hold| &hold.key).collect();
        rest.retain(|key, _| dialect == Dialect::Accounts || !held.contains(&key));
        prop_assert_eq!(calls(&again), rest);
        if dialect == Dialect::Accounts {
            prop_assert_eq!(again.holds, plan.holds);
        }
    }

    #[test]
    fn nothing_that_is_not_ours_is_touched(dialect in dialect(), past in changes(), since in changes()) {
        let mut world = world(dialect, &past, &since);
        let plan = world.plan();
        let before = untouched(&world, &plan);
        let count = world.accounts.len();
        world.act_out(&plan.actions);
        let made = plan.actions.iter().filter(|action| matches!(action.kind, Kind::Create(_))).count();
        prop_assert_eq!(world.accounts.len(), count + made);
        world.accounts.truncate(count);
        prop_assert_eq!(untouched(&world, &plan), before);
    }

    #[test]
    fn no_two_accounts_are_made_for_one_user(dialect in dialect(), past in changes(), since in changes()) {
        let mut world = world(dialect, &past, &since);
        for _ in 0..3 {
            let plan = world.plan();
            for action in &plan.actions {
                if let Kind::Create(new) = &action.kind {
                    let same = world.accounts.iter().filter(|it| it.text("external_id") == Some(action.key.as_str()));
                    prop_assert_eq!(same.count(), 0, "{} exists", new.email);
                }
            }
            world.act_out(&plan.actions);
        }
    }
}
