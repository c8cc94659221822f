//! The state on a real disk.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use whop_sync::core::model::{Doubt, Known, KnownUser, Link, PreparedCall};
use whop_sync::core::replay::{Entry, Fact, Intent};
use whop_sync::core::value::{AccountId, Email, PlatformId, UserId};
use whop_sync::error::{Code, Error};
use whop_sync::store::{Holder, Identity, OsDisk, Paths, Session, load, read_mapping};

use crate::world::key;

fn identity() -> Identity {
    Identity {
        company: PlatformId::parse("biz_platform").unwrap(),
        server: "sandbox".into(),
    }
}

fn open(paths: &Paths) -> Result<Session, Error> {
    let holder = Holder {
        pid: 4242,
        host: "builder".into(),
        since: "2026-10-15T12:00:00Z".into(),
    };
    Session::open(paths.clone(), identity(), Arc::new(OsDisk::default()), &holder)
}

fn paths(folder: &Path) -> Paths {
    Paths::of_mapping(&folder.join("users.mapping.jsonl"))
}

fn link(n: u32) -> Link {
    Link {
        account: AccountId::parse(&format!("biz_{n}")).unwrap(),
        owner: UserId::parse(&format!("user_{n}")).unwrap(),
    }
}

fn created(id: &str, n: u32) -> Fact {
    Fact::Created {
        key: key(id),
        link: link(n),
        title: id.into(),
        metadata: Default::default(),
    }
}

fn create(id: &str) -> Intent {
    let call = PreparedCall {
        version: "v".into(),
        idempotency_key: "k".into(),
        body: "{}".into(),
    };
    let email = Email::parse("a@shop.test").unwrap();
    Intent::Create {
        key: key(id),
        doubt: Doubt {
            begun: 1,
            email,
            call,
        },
    }
}

#[test]
fn a_mapping_is_sorted_lines_that_survive_and_a_no_op_leaves_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let paths = paths(folder.path());
    let session = open(&paths).unwrap();
    let mut known = session.loaded().known.clone();
    known.users.insert(
        key("b"),
        KnownUser {
            name: Some("Bé".into()),
            ..KnownUser::linked(link(2))
        },
    );
    known.users.insert(key("a"), KnownUser::linked(link(1)));
    session.commit(&known, Some(2)).unwrap();
    let text = fs::read_to_string(&paths.mapping).unwrap();
    let expected = concat!(
        r#"{"format":"whop-sync mapping","version":1,"company":"biz_platform","server":"sandbox","generation":1}"#,
        "\n",
        r#"{"id":"a","account_id":"biz_1","user_id":"user_1"}"#,
        "\n",
        r#"{"id":"b","account_id":"biz_2","user_id":"user_2","name":"Bé"}"#,
        "\n",
    );
    assert_eq!(text, expected);
    let loaded = load(&paths, &identity(), &OsDisk::default()).unwrap();
    assert_eq!(loaded.known.users, known.users);
    session.commit(&loaded.known, Some(2)).unwrap();
    assert_eq!(fs::read_to_string(&paths.mapping).unwrap(), expected);
    assert_eq!(
        read_mapping(&paths.mapping, &OsDisk::default()).unwrap().0,
        identity()
    );
    drop(session);
    let mut left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(
        left,
        ["users.mapping.jsonl"],
        "no lock, journal or temporary file stays"
    );
}

#[test]
fn a_journal_outlives_its_run_and_a_torn_line_is_dropped_then_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let paths = paths(folder.path());
    let session = open(&paths).unwrap();
    let mut journal = session.journal().unwrap();
    let entries = [
        Entry::Opened {
            run: "r".into(),
            at: 1,
            purpose: None,
        },
        Entry::Begun { intent: create("a") },
        Entry::Begun { intent: create("b") },
        Entry::Ended {
            fact: created("a", 1),
        },
    ];
    journal.append(&entries).unwrap();
    drop((journal, session));
    let mut bytes = fs::read(&paths.journal).unwrap();
    bytes.extend_from_slice(br#"{"entry":"ended","fa"#);
    fs::write(&paths.journal, &bytes).unwrap();

    let session = open(&paths).unwrap();
    let loaded = session.loaded();
    assert!(loaded.interrupted);
    assert_eq!(loaded.known.users[&key("a")].link, link(1));
    assert_eq!(loaded.known.doubts.keys().collect::<Vec<_>>(), [&key("b")]);
    session
        .journal()
        .unwrap()
        .append(&[Entry::Ended {
            fact: created("b", 2),
        }])
        .unwrap();
    let again = load(&paths, &identity(), &OsDisk::default()).unwrap();
    assert_eq!(again.known.users.len(), 2);
    session.commit(&again.known, Some(2)).unwrap();
    assert!(!paths.journal.exists());
    assert_eq!(
        load(&paths, &identity(), &OsDisk::default()).unwrap().known.users,
        again.known.users
    );
}

#[test]
fn what_is_in_doubt_stays_in_the_journal_after_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let paths = paths(folder.path());
    let session = open(&paths).unwrap();
    session
        .journal()
        .unwrap()
        .append(&[Entry::Begun { intent: create("a") }])
        .unwrap();
    let known = load(&paths, &identity(), &OsDisk::default()).unwrap().known;
    session.commit(&known, Some(2)).unwrap();
    let later = load(&paths, &identity(), &OsDisk::default()).unwrap();
    assert_eq!(later.known.doubts, known.doubts);
    assert!(!paths.mapping.exists(), "there is nothing to map yet");
}

#[test]
fn the_lock_names_its_holder_and_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let paths = paths(folder.path());
    let first = open(&paths).unwrap();
    let error = open(&paths).unwrap_err();
    assert_eq!(error.code(), Code::MappingLocked);
    assert!(
        error
            .message()
            .contains("process 4242 on builder since 2026-10-15T12:00:00Z"),
        "{error}"
    );
    drop(first);
    // A lock file that a dead process left locks nobody out.
    fs::write(&paths.lock, "{\"pid\":1,\"host\":\"h\",\"since\":\"s\"}\n").unwrap();
    assert!(open(&paths).is_ok());
}

#[test]
fn a_mapping_that_is_not_ours_or_makes_no_sense_is_refused_and_left_as_it_is() {
    let header = |company: &str, server: &str, version: u32| {
        format!(
            r#"{{"format":"whop-sync mapping","version":{version},"company":"{company}","server":"{server}","generation":1}}"#
        )
    };
    let good = header("biz_platform", "sandbox", 1);
    let row = r#"{"id":"a","account_id":"biz_1","user_id":"user_1"}"#;
    for (text, code, says) in [
        (
            header("biz_other", "sandbox", 1),
            Code::MappingForeign,
            "biz_other",
        ),
        (
            header("biz_platform", "production", 1),
            Code::MappingForeign,
            "production",
        ),
        (
            header("biz_platform", "sandbox", 2),
            Code::MappingNewer,
            "version 2",
        ),
        (String::new(), Code::MappingUnreadable, "line 1"),
        ("<<<<<<< HEAD".to_owned(), Code::MappingUnreadable, "line 1"),
        (
            format!("{good}\n{row}\n{row}\n"),
            Code::MappingUnreadable,
            "line 3",
        ),
        (
            format!("{good}\n{row}\n=======\n"),
            Code::MappingUnreadable,
            "line 3",
        ),
        (
            format!("{good}\n{{\"id\":\"a\",\"account_id\":\"../x\",\"user_id\":\"user_1\"}}\n"),
            Code::MappingUnreadable,
            "line 2",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let paths = paths(folder.path());
        fs::write(&paths.mapping, &text).unwrap();
        let error = open(&paths).unwrap_err();
        assert_eq!(error.code(), code, "{text}");
        assert!(error.message().contains(says), "{error}");
        assert!(error.what_to_do().is_some());
        assert_eq!(fs::read_to_string(&paths.mapping).unwrap(), text);
    }
}

#[test]
fn a_read_only_mapping_is_refused_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let paths = paths(folder.path());
    let session = open(&paths).unwrap();
    let known = Known {
        users: [(key("a"), KnownUser::linked(link(1)))].into(),
        ..Known::default()
    };
    session.commit(&known, Some(2)).unwrap();
    drop(session);
    let mut permissions = fs::metadata(&paths.mapping).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&paths.mapping, permissions).unwrap();
    assert!(open(&paths).unwrap_err().message().contains("read-only"));
}
