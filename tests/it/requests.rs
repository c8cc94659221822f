//! No request too many: in each situation the requests of every operation are
//! the fewest that the API allows, with the arithmetic beside them. What a run
//! that was stopped costs is bounded by `crash.rs`, stop by stop; what the
//! commands ask before and after (permissions, the key's own account) is not
//! the library's and not counted here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use whop_sync::core::model::{DesiredUser, Dialect, Guard, Refresh};
use whop_sync::emulator::{Emulator, Fault, Operation, Script, Settings, Strike};

use crate::disk::MemDisk;
use crate::lab::{Conditions, Lab, PLATFORM, dozen, face, name};
use crate::world::{key, user};

/// Twelve users, eleven with a picture, two of whom share one; applied.
async fn applied() -> Lab {
    let mut lab = Lab::new(dozen(), Dialect::Accounts);
    apply(&lab).await;
    lab.emulator.reset_counts();
    lab.policy.allow.insert(Guard::MaxUpdates);
    lab
}

async fn apply(lab: &Lab) {
    let report = lab.apply(&Conditions::fair()).await.unwrap().unwrap();
    assert!(report.is_complete(), "{report:?}");
}

/// Holds what came in against what is needed, and forgets it.
#[track_caller]
fn took(lab: &Lab, needed: &[(&str, u64)]) {
    let counts = lab.emulator.counts().into_iter();
    let counts: BTreeMap<_, _> = counts
        .map(|(operation, count)| (operation.as_str(), count))
        .collect();
    assert_eq!(counts, needed.iter().copied().collect());
    lab.emulator.reset_counts();
}

#[tokio::test(start_paused = true)]
async fn a_first_apply() {
    let lab = Lab::new(dozen(), Dialect::Accounts);
    apply(&lab).await;
    // 12 users, 10 different pictures, one poll for all of them: they are ready
    // when it comes. Of the empty list one page must be read.
    took(
        &lab,
        &[
            ("list_accounts", 1),
            ("create_account", 12),
            ("create_file", 10),
            ("upload_file", 10),
            ("list_files", 1),
            ("update_user", 12),
        ],
    );
    lab.check().unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_to_do() {
    let mut lab = applied().await;
    apply(&lab).await;
    // A full refresh was asked for: a list of one page, and every profile.
    took(&lab, &[("list_accounts", 1), ("retrieve_user", 12)]);
    lab.policy.refresh = Refresh::Changed;
    apply(&lab).await;
    took(&lab, &[("list_accounts", 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_list_has_fifty_a_page() {
    for (users, pages) in [(49, 1), (50, 1), (51, 2), (100, 2), (101, 3)] {
        let users = (0..users).map(|n| user(&format!("p{n:03}"))).collect();
        let mut lab = Lab::new(users, Dialect::Accounts);
        apply(&lab).await;
        lab.emulator.reset_counts();
        lab.policy.refresh = Refresh::Changed;
        lab.plan().await;
        took(&lab, &[("list_accounts", pages)]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_name_or_one_picture() {
    let mut lab = applied().await;
    lab.policy.refresh = Refresh::Changed;
    lab.users[3].name = name("Renamed");
    apply(&lab).await;
    // Of who changed, the profile is read for the plan, and then set.
    took(
        &lab,
        &[("list_accounts", 1), ("retrieve_user", 1), ("update_user", 1)],
    );
    lab.users[3].name = name("Renamed again");
    lab.users[3].avatar = Some(face("another"));
    lab.users[5].avatar = Some(face("another"));
    apply(&lab).await;
    // Name and picture go together, and the picture goes up once for both.
    took(
        &lab,
        &[
            ("list_accounts", 1),
            ("retrieve_user", 2),
            ("create_file", 1),
            ("upload_file", 1),
            ("list_files", 1),
            ("update_user", 2),
        ],
    );
    lab.check().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_picture_that_takes_long() {
    let mut lab = Lab::new(dozen(), Dialect::Accounts);
    lab.emulator = Emulator::open(Settings {
        processing: Duration::from_millis(4500),
        ..Settings::test(PLATFORM)
    })
    .unwrap();
    apply(&lab).await;
    // Looked at after each second until it is ready, all ten at once: 5 times.
    took(
        &lab,
        &[
            ("list_accounts", 1),
            ("create_account", 12),
            ("create_file", 10),
            ("upload_file", 10),
            ("list_files", 5),
            ("update_user", 12),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_mapping() {
    let mut lab = applied().await;
    lab.disk = MemDisk::new();
    apply(&lab).await;
    // Found in the list, every profile read. Which picture Whop holds it does
    // not say, so 10 go up again, for the 11 who have one.
    took(
        &lab,
        &[
            ("list_accounts", 1),
            ("retrieve_user", 12),
            ("create_file", 10),
            ("upload_file", 10),
            ("list_files", 1),
            ("update_user", 11),
        ],
    );
    lab.check().unwrap();
}

#[tokio::test(start_paused = true)]
async fn drift() {
    let lab = applied().await;
    let owner = lab.known().users[&key("u04")].link.owner.to_string();
    lab.emulator.set_name(&owner, Some(PLATFORM), Some("Vandal"));
    apply(&lab).await;
    took(
        &lab,
        &[("list_accounts", 1), ("retrieve_user", 12), ("update_user", 1)],
    );
}

/// Profiles are read while the list goes on, by what the mapping tells. An
/// account that turns out to be somebody else's now costs one more.
#[tokio::test(start_paused = true)]
async fn another_owner() {
    let users = (0..60).map(|n| user(&format!("o{n:02}")));
    let mut lab = Lab::new(users.collect(), Dialect::Accounts);
    lab.emulator = Emulator::open(Settings {
        latency: Duration::from_millis(100),
        ..Settings::test(PLATFORM)
    })
    .unwrap();
    apply(&lab).await;
    lab.emulator.reset_counts();
    lab.plan().await;
    took(&lab, &[("list_accounts", 2), ("retrieve_user", 60)]);
    let owner = lab.known().users[&key("o04")].link.owner.to_string();
    lab.tap = Some(Arc::new(move |_, mut answer| {
        let body = String::from_utf8(answer.body.to_vec()).expect("JSON");
        answer.body = body.replace(&owner, "user_somebodyelse").into();
        answer
    }));
    lab.plan().await;
    took(&lab, &[("list_accounts", 2), ("retrieve_user", 61)]);
}

#[tokio::test(start_paused = true)]
async fn somebody_leaves() {
    let mut lab = applied().await;
    lab.users.remove(3);
    lab.policy.refresh = Refresh::Changed;
    apply(&lab).await;
    // Forgotten in the mapping only: there is nothing to say to Whop.
    took(&lab, &[("list_accounts", 1)]);
    apply(&lab).await;
    took(&lab, &[("list_accounts", 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_older_dialect() {
    let mut lab = Lab::new(dozen(), Dialect::Companies);
    apply(&lab).await;
    // Files are asked for one by one there.
    took(
        &lab,
        &[
            ("list_companies", 1),
            ("create_company", 12),
            ("create_file", 10),
            ("upload_file", 10),
            ("retrieve_file", 10),
            ("update_user", 12),
        ],
    );
    lab.policy.refresh = Refresh::Changed;
    lab.users[3].name = name("Renamed");
    apply(&lab).await;
    took(
        &lab,
        &[("list_companies", 1), ("retrieve_user", 1), ("update_user", 1)],
    );
}

#[tokio::test(start_paused = true)]
async fn only_one_user() {
    let mut lab = applied().await;
    lab.policy.only = Some([key("u03")].into());
    lab.users[3].name = name("Renamed");
    lab.users[4].name = name("Renamed as well");
    apply(&lab).await;
    took(
        &lab,
        &[("list_accounts", 1), ("retrieve_user", 1), ("update_user", 1)],
    );
}

/// `count` users with a picture each, no two alike.
fn pictured(count: usize) -> Vec<DesiredUser> {
    let user = |n| {
        let mut user = user(&format!("m{n:03}"));
        user.avatar = Some(face(&format!("picture{n}")));
        user
    };
    (0..count).map(user).collect()
}

/// Polls for many pictures: a batch in each stretch of the run's patience,
/// which is a fortieth of it, and no less than a second.
#[tokio::test(start_paused = true)]
async fn many_pictures_are_asked_for_in_batches() {
    let lab = Lab::new(pictured(600), Dialect::Accounts);
    let begin = tokio::time::Instant::now();
    apply(&lab).await;
    let took = begin.elapsed();
    let polls = lab.emulator.count(Operation::ListFiles);
    crate::told::tell(format!("600 users with 600 pictures: {took:?}, {polls} polls"));
    // 60 s at the limit, one second's processing; polls every 1.5 s and one at
    // either end.
    assert!(took <= Duration::from_secs(63 + 1), "{took:?}");
    assert!(polls <= 60 * 2 / 3 + 2, "{polls} polls");
    for (operation, count) in lab.emulator.counts() {
        let fewest = match operation.as_str() {
            "list_accounts" => 1,
            "list_files" => polls,
            _ => 600,
        };
        assert_eq!(count, fewest, "{operation:?}");
    }
}

/// Who is ahead in the plan stays ahead, also with a second attempt: the first
/// user's is not behind hundreds of others, to end alone when they have ended.
#[tokio::test(start_paused = true)]
async fn a_second_attempt_is_as_far_ahead_as_the_first() {
    let mut lab = Lab::new(pictured(200), Dialect::Accounts);
    lab.emulator = Emulator::open(Settings {
        latency: Duration::from_millis(100),
        record: true,
        ..Settings::test(PLATFORM)
    })
    .unwrap();
    for operation in [
        Operation::CreateAccount,
        Operation::CreateFile,
        Operation::UpdateUser,
    ] {
        lab.emulator.fault(Fault::next(operation, unavailable()));
    }
    apply(&lab).await;
    let seen = lab.emulator.requests();
    for operation in [
        Operation::CreateAccount,
        Operation::CreateFile,
        Operation::UpdateUser,
    ] {
        let of_it: Vec<_> = seen.iter().filter(|seen| seen.operation == operation).collect();
        assert_eq!(of_it.len(), 201);
        let second = of_it[1..].iter().position(|seen| seen.body == of_it[0].body);
        // A burst of twenty leaves at once, then ten a second; it is tried again
        // after half a second at most.
        assert!(second.is_some_and(|at| at <= 20 + 8), "{operation:?}: {second:?}");
    }
}

/// What fails now and then costs its own time and no more, wherever it strikes.
#[tokio::test(start_paused = true)]
async fn faults_leave_nobody_behind() {
    for (latency, seed) in [(20, 1), (100, 2), (300, 3)] {
        let mut lab = Lab::new(pictured(600), Dialect::Accounts);
        lab.emulator = Emulator::open(Settings {
            latency: Duration::from_millis(latency),
            ..Settings::test(PLATFORM)
        })
        .unwrap();
        lab.emulator.script(Script {
            seed,
            faults: vec![Fault {
                operation: None,
                chance: 1,
                ..Fault::next(Operation::CreateAccount, unavailable()).forever()
            }],
        });
        let begin = tokio::time::Instant::now();
        apply(&lab).await;
        let floor = 60.0 + latency as f64 / 1000.0 + 1.0;
        let ratio = begin.elapsed().as_secs_f64() / floor;
        crate::told::tell(format!(
            "one in a hundred fails, {latency} ms: {ratio:.3} of the floor"
        ));
        assert!(ratio <= 1.05, "{latency} ms: {ratio}");
    }
}

fn unavailable() -> Strike {
    Strike::Answer {
        status: 503,
        body: None,
        headers: Default::default(),
    }
}

/// Profiles are read while the list goes on, and a list of which the latency
/// and not the limit would wait is read in two places at once: one page more,
/// where they meet, and four accounts a walk that are asked when they were made.
#[tokio::test(start_paused = true)]
async fn a_slow_list_holds_nothing_up() {
    let users = (0..1200)
        .map(|n| user(&format!("s{:04}", n * 7919 % 1200)))
        .collect();
    let mut lab = Lab::new(users, Dialect::Accounts);
    lab.emulator = Emulator::open(Settings {
        latency: Duration::from_millis(300),
        ..Settings::test(PLATFORM)
    })
    .unwrap();
    apply(&lab).await;
    for (refresh, profiles, seconds) in [(Refresh::Full, 1200, 120.0), (Refresh::Changed, 0, 24.0 * 0.3)] {
        lab.emulator.reset_counts();
        lab.policy.refresh = refresh;
        let begin = tokio::time::Instant::now();
        lab.plan().await;
        let took = begin.elapsed().as_secs_f64();
        let counts = lab.emulator.counts().into_iter();
        let counts: BTreeMap<_, _> = counts
            .map(|(operation, count)| (operation.as_str(), count))
            .collect();
        crate::told::tell(format!("1,200 users, {refresh:?}: {took:.1} s, {counts:?}"));
        // The list alone takes 7.2 s, one page after the other.
        let most = if profiles > 0 {
            seconds + 1.5
        } else {
            seconds * 0.75
        };
        assert!(took <= most, "{refresh:?}: {took} s");
        assert!((24..=25).contains(&counts["list_accounts"]), "{counts:?}");
        assert_eq!(counts["retrieve_account"], 8, "{counts:?}");
        assert_eq!(counts.get("retrieve_user").copied().unwrap_or_default(), profiles);
    }
}
