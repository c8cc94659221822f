//! Journals that a stranger wrote: whatever they say, a run does no more than
//! its manifest and Whop's answers ask for, and nothing else.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use whop_sync::core::model::{Dialect, Link};
use whop_sync::core::report::{Outcome, Report};
use whop_sync::emulator::Operation;
use whop_sync::remote::transport::Method;
use whop_sync::store::Disk;

use crate::disk::Trip;
use crate::faults::converges;
use crate::lab::{Conditions, Lab, PLATFORM, face};
use crate::world::{key, user};

const DIALECTS: [Dialect; 2] = [Dialect::Accounts, Dialect::Companies];

/// Puts a journal of these entries beside the lab's mapping.
fn forge(lab: &Lab, entries: &[Value]) {
    let header =
        json!({"format": "whop-sync journal", "version": 1, "company": PLATFORM, "server": "emulator"});
    let lines = std::iter::once(&header).chain(entries);
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    let disk = lab.disk.under(&Trip::at(0), None);
    let mut file = disk.create(&lab.paths().journal).unwrap();
    file.append(text.as_bytes()).unwrap();
}

/// The file that holds one picture on Whop, claimed to hold another.
#[tokio::test(start_paused = true)]
async fn a_file_id_in_the_journal_sets_no_picture() {
    for dialect in DIALECTS {
        let mut lab = Lab::new(vec![user("a")], dialect);
        lab.users[0].avatar = Some(face("one"));
        let files = Arc::new(Mutex::new(Vec::new()));
        let seen = files.clone();
        lab.tap = Some(Arc::new(move |_, answer| {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            seen.lock()
                .unwrap()
                .extend(body["upload_url"].is_string().then(|| body["id"].clone()));
            answer
        }));
        lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        let [file] = &files.lock().unwrap().clone()[..] else {
            panic!("one picture was uploaded: {files:?}")
        };
        lab.users.push(user("b"));
        lab.users[1].avatar = Some(face("two"));
        let digest = lab.users[1].avatar.as_ref().unwrap().digest;
        let fact = json!({"fact": "file", "digest": digest, "file": file});
        forge(&lab, &[json!({"entry": "ended", "fact": fact})]);
        lab.emulator.reset_counts();
        lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        // It looks at the pictures that are shown.
        assert_eq!(lab.check(), Ok(()));
        assert_eq!(lab.emulator.count(Operation::UploadFile), 1);
    }
}

/// The owner that an account's answer names, in either dialect.
fn owner(body: &mut Value) -> &mut Value {
    let name = if body["owner"].is_object() {
        "owner"
    } else {
        "owner_user"
    };
    &mut body[name]["id"]
}

/// From now on creates are answered with this put in.
fn lie(lab: &mut Lab, lie: impl Fn(&mut Value) + Send + Sync + 'static) {
    lab.tap = Some(Arc::new(move |request, mut answer| {
        let body = serde_json::from_slice::<Value>(&answer.body);
        if let Ok(mut body) = body
            && request.method == Method::Post
            && body["metadata"].is_object()
        {
            lie(&mut body);
            answer.body = body.to_string().into();
        }
        answer
    }));
}

#[track_caller]
fn failed(report: &Report, id: &str) -> String {
    match report.troubled.get(&key(id)) {
        Some(Outcome::Failed(failure)) => failure.message.clone(),
        other => panic!("{id}: {other:?}"),
    }
}

/// Nothing of an answer to a create is believed before it is about the user it
/// was sent for, and nothing is lost by that.
#[tokio::test(start_paused = true)]
async fn an_answer_about_somebody_else_links_nobody() {
    type Lie = fn(&mut Value, &Link);
    let lies: [(&str, Lie); 7] = [
        ("of another user (`first`)", |body, _| {
            body["metadata"]["external_id"] = "first".into();
        }),
        ("of another user (`first`)", |body, _| {
            let metadata = json!({"internal_user_id": "first"});
            body["metadata"] = metadata;
        }),
        ("of another user (`first`)", |body, _| {
            body["metadata"]["internal_user_id"] = "first".into();
        }),
        ("whose email is not the one that was sent", |body, _| {
            body["email"] = "first@shop.test".into();
        }),
        ("who is already user `first`", |body, first| {
            *owner(body) = first.owner.as_str().into();
        }),
        ("which is already user `first`'s", |body, first| {
            body["id"] = first.account.as_str().into();
        }),
        ("which is already user `first`'s", |body, first| {
            body["id"] = first.account.as_str().into();
            *owner(body) = first.owner.as_str().into();
            body["metadata"] = json!({});
        }),
    ];
    for dialect in DIALECTS {
        for (said, told) in lies {
            let mut lab = Lab::new(vec![user("first")], dialect);
            lab.apply(&Conditions::fair()).await.unwrap().unwrap();
            let first = lab.known().users[&key("first")].link.clone();
            lab.users.push(user("second"));
            lie(&mut lab, move |body| told(body, &first));
            lab.emulator.reset_counts();
            let before = lab.mapping();
            for again in [false, true] {
                let report = lab.apply(&Conditions::fair()).await.unwrap().unwrap();
                if again && report.troubled.is_empty() {
                    // By now the list told what is so.
                    break;
                }
                let message = failed(&report, "second");
                assert!(message.contains(said), "{message}");
                assert_eq!(lab.mapping(), before, "{said}: it was believed");
                assert_eq!(lab.emulator.count(Operation::UpdateUser), 0, "{said}");
                assert!(
                    lab.known().doubts.contains_key(&key("second")),
                    "{said}: it is lost"
                );
            }
            lab.tap = None;
            assert_eq!(converges(&lab).await, Ok(()), "{said}");
            assert_eq!(lab.emulator.accounts().len(), 2, "{said}");
        }
    }
}

/// Of two new accounts with one owner, answered at the same time, one is
/// recorded.
#[tokio::test(start_paused = true)]
async fn of_two_new_accounts_with_one_owner_one_is_linked() {
    for dialect in DIALECTS {
        let users: Vec<_> = (0..8).map(|n| user(&format!("u{n}"))).collect();
        let mut lab = Lab::new(users, dialect);
        lie(&mut lab, |body| *owner(body) = "user_one".into());
        let report = lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        let known = lab.known();
        assert_eq!((known.users.len(), known.doubts.len()), (1, 7));
        let linked = known.users.keys().next().unwrap();
        let others = lab.users.iter().filter(|user| user.key != *linked);
        for other in others {
            let message = failed(&report, other.key.as_str());
            assert!(
                message.contains(&format!("who is already user `{linked}`")),
                "{message}"
            );
        }
        let changed = lab.emulator.count(Operation::UpdateUser);
        assert!(changed <= 1, "{changed} users changed one profile");
    }
}

/// A person whom the same run links to another user.
#[tokio::test(start_paused = true)]
async fn a_new_account_of_somebody_who_is_about_to_be_linked_is_not_linked() {
    for dialect in DIALECTS {
        let mut lab = Lab::new(vec![user("a"), user("b")], dialect);
        let metadata = json!({"external_id": "b", "internal_user_id": "b"});
        let metadata = metadata.as_object().cloned().unwrap();
        lab.emulator.add_account(PLATFORM, "b@shop.test", "B", metadata);
        let of_b = lab.emulator.accounts()[0].owner.clone();
        lie(&mut lab, move |body| *owner(body) = of_b.as_str().into());
        let report = lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        let message = failed(&report, "a");
        assert!(
            message.contains("another user of this plan") || message.contains("already user `b`"),
            "{message}"
        );
        assert_eq!(lab.known().users.keys().collect::<Vec<_>>(), [&key("b")]);
        lab.tap = None;
        assert_eq!(converges(&lab).await, Ok(()));
    }
}

/// A forged create from the future holds its user, and not for ever.
#[tokio::test(start_paused = true)]
async fn a_create_from_the_future_holds_until_absence_is_proof() {
    for dialect in DIALECTS {
        let lab = Lab::new(vec![user("a")], dialect);
        let body = json!({"email": "a@shop.test", "metadata": {"external_id": "a", "internal_user_id": "a"}, "title": "Name a"});
        let call = json!({"version": lab.version.as_str(), "idempotency_key": "k", "body": body.to_string()});
        let doubt = json!({"begun": u64::MAX, "email": "a@shop.test", "call": call});
        let intent = json!({"intent": "create", "key": "a", "doubt": doubt});
        forge(&lab, &[json!({"entry": "begun", "intent": intent})]);
        let held = lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        assert!(held.is_complete() && lab.emulator.accounts().is_empty());
        assert_eq!(lab.known().doubts[&key("a")].begun, lab.emulator.now() / 1000);
        assert_eq!(converges(&lab).await, Ok(()));
    }
}

/// Facts that nobody saw: a link to somebody else's account is looked at anew,
/// and what is said to be applied is compared with what is shown.
#[tokio::test(start_paused = true)]
async fn facts_in_the_journal_are_held_against_what_whop_shows() {
    for dialect in DIALECTS {
        let mut lab = Lab::new(vec![user("a"), user("b")], dialect);
        lab.users[1].avatar = Some(face("one"));
        lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        let before = lab.mapping();
        lab.emulator.reset_counts();
        for fact in [
            json!({"fact": "profile", "key": "a", "name": "Never set", "picture": null}),
            json!({"fact": "account", "key": "a", "title": "Never set", "metadata": {"external_id": "b"}}),
            json!({"fact": "refused", "key": "a"}),
            json!({"fact": "dropped", "key": "nobody"}),
        ] {
            forge(&lab, &[json!({"entry": "ended", "fact": fact})]);
            lab.apply(&Conditions::fair()).await.unwrap().unwrap();
            assert_eq!(lab.check(), Ok(()), "{fact}");
        }
        forge(
            &lab,
            &[json!({"entry": "ended", "fact": {"fact": "dropped", "key": "a"}})],
        );
        lab.apply(&Conditions::fair()).await.unwrap().unwrap();
        assert_eq!(lab.check(), Ok(()));
        let writes = lab
            .emulator
            .requests()
            .into_iter()
            .filter(|seen| seen.method != "GET");
        assert_eq!(writes.count(), 0, "{before:?}");
    }
}
