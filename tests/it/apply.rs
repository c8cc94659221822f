//! Applying against the emulator: converge, then plan again and demand
//! nothing to do.

use std::sync::Arc;

use tokio::sync::watch;
use whop_sync::core::model::Dialect;
use whop_sync::core::plan::Verb;
use whop_sync::core::report::{Outcome, Stop};
use whop_sync::emulator::Operation;
use whop_sync::remote::transport::Method;

use crate::lab::{Conditions, Lab, PLATFORM, dozen, face, name};
use crate::world::{key, user};

const DIALECTS: [Dialect; 2] = [Dialect::Accounts, Dialect::Companies];

#[tokio::test(start_paused = true)]
async fn a_dozen_users_take_exactly_the_requests_they_need() {
    for dialect in DIALECTS {
        let lab = Lab::new(dozen(), dialect);
        let report = lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        assert_eq!((report.done[&Verb::Create], report.pictures), (12, 11));
        lab.check().unwrap();
        let counts = lab.emulator.counts();
        let (create, list) = match dialect {
            Dialect::Accounts => (Operation::CreateAccount, Operation::ListAccounts),
            Dialect::Companies => (Operation::CreateCompany, Operation::ListCompanies),
        };
        assert_eq!(counts[&create], 12);
        assert_eq!(counts[&list], 1);
        assert_eq!(counts[&Operation::CreateFile], 10, "two users share a picture");
        assert_eq!(counts[&Operation::UploadFile], 10);
        assert_eq!(counts[&Operation::UpdateUser], 12);

        lab.emulator.reset_counts();
        let before = lab.mapping();
        assert!(lab.plan().await.is_empty());
        lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        assert_eq!(lab.mapping(), before, "a no-op leaves every byte");
        let writes = lab
            .emulator
            .requests()
            .into_iter()
            .filter(|seen| seen.method != "GET")
            .count();
        assert_eq!(writes, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn one_name_and_one_picture_take_one_upload_and_two_profile_updates() {
    for dialect in DIALECTS {
        let mut lab = Lab::new(dozen(), dialect);
        lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        lab.users[3].name = name("Renamed");
        lab.users[5].avatar = Some(face("another"));
        lab.emulator.reset_counts();
        let plan = lab.plan().await;
        assert_eq!(
            plan.actions
                .iter()
                .map(|action| action.key.as_str())
                .collect::<Vec<_>>(),
            ["u03", "u05"]
        );
        lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        let counts = lab.emulator.counts();
        assert_eq!(counts[&Operation::CreateFile], 1);
        assert_eq!(counts[&Operation::UploadFile], 1);
        assert_eq!(counts[&Operation::UpdateUser], 2);
        lab.check().unwrap();
        assert!(lab.plan().await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_mapping_costs_no_account() {
    for dialect in DIALECTS {
        let mut lab = Lab::new(dozen(), dialect);
        lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        lab.disk = crate::disk::MemDisk::new();
        let report = lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        assert_eq!(report.done, [(Verb::Adopt, 12)].into());
        lab.check().unwrap();
        assert!(lab.plan().await.is_empty());
    }
}

/// Whop may know that two addresses are one person's. The one profile is not
/// fought over.
#[tokio::test(start_paused = true)]
async fn a_new_account_of_somebody_who_is_a_user_already_changes_no_profile() {
    for dialect in DIALECTS {
        let mut lab = Lab::new(vec![user("first")], dialect);
        lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        let owner = lab.known().users[&key("first")].link.owner.to_string();
        lab.users.push(user("second"));
        lab.tap = Some(Arc::new(move |request, mut answer| {
            if request.method == Method::Post {
                let body = String::from_utf8(answer.body.to_vec()).unwrap();
                let (before, rest) = body.split_once("\"user_").expect("an owner");
                let (_, after) = rest.split_once('"').expect("its end");
                answer.body = format!("{before}\"{owner}\"{after}").into();
            }
            answer
        }));
        lab.emulator.reset_counts();
        let report = lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        let Some(Outcome::Failed(failure)) = report.troubled.get(&key("second")) else {
            panic!("{report:?}")
        };
        let said = "who is already user `first`";
        assert!(failure.message.contains(said), "{failure:?}");
        assert_eq!(lab.emulator.counts().get(&Operation::UpdateUser), None);
    }
}

#[tokio::test(start_paused = true)]
async fn drift_is_mended_and_the_global_profile_never_touched() {
    let lab = Lab::new(dozen(), Dialect::Accounts);
    lab.apply(&Conditions::fair()).await.unwrap().unwrap();
    let owner = lab.known().users[&key("u04")].link.owner.to_string();
    lab.emulator.set_name(&owner, Some(PLATFORM), Some("Vandal"));
    lab.emulator
        .set_picture(&owner, Some(PLATFORM), Some(&crate::lab::picture("else")));
    assert_eq!(lab.plan().await.actions.len(), 1);
    lab.apply(&Conditions::fair()).await.unwrap().unwrap();
    lab.check().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_begins_nothing_new_and_the_next_run_resumes() {
    let lab = Lab::new(dozen(), Dialect::Accounts);
    let (stop, stopped) = watch::channel(None);
    stop.send_replace(Some(Stop::Interrupted));
    let ended = lab
        .apply_until(&Conditions::fair(), stopped)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended.report.stopped, Some(Stop::Interrupted));
    assert!(
        ended
            .report
            .troubled
            .values()
            .all(|outcome| matches!(outcome, Outcome::Left { .. }))
    );
    assert_eq!(ended.report.troubled.len(), 12);
    lab.apply(&Conditions::fair()).await.unwrap().unwrap();
    lab.check().unwrap();
}
