//! The documents, read back.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::escape::is_hostile;
use super::*;
use crate::core::identity::Evidence;
use crate::core::model::{AppliedPicture, Dialect, Guard, Known, KnownUser, Limit};
use crate::core::plan::{Breach, Cause, Kind, Learned, Reads, Step};
use crate::core::problem::{Pointer, Related};
use crate::core::problem_code::ProblemCode;
use crate::core::report::Failure;
use crate::core::sample;
use crate::error::Code;

fn header() -> Header {
    Header {
        company: sample::plan(Vec::new(), Vec::new()).platform,
        server: "https://a.test/api/v1".into(),
        dialect: Dialect::Accounts,
        version: "2026-10-15-1".into(),
        manifest: Digest::of(b"manifest"),
    }
}

/// What a writer writes: exactly one document, harmless on a terminal.
fn read(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Value {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.ends_with("}\n"), "{text}");
    assert!(!text.chars().any(|c| c != '\n' && is_hostile(c)), "{text}");
    assert!(
        text.starts_with("{\n  \"format_version\": \"1.0\",\n  \"kind\": "),
        "{text}"
    );
    serde_json::from_str(&text).unwrap()
}

fn plan_value(plan: &Plan) -> Value {
    read(|out| super::plan(out, plan, &header()))
}

#[test]
fn a_plan_reads_back_with_everything_in_it() {
    let mut update = sample::update("u2", "Jane\u{202e}", "Jane Dow", Cause::Drifted);
    update.profile.picture = sample::picture_change(Some("a.png"), "b.png", Cause::Edited);
    let mut plan = sample::plan(
        vec![update, sample::create("u1", "Ann"), sample::forget("u4")],
        sample::every_hold(),
    );
    plan.unmanaged = vec![sample::unmanaged("9", Some("u9"), Some("Stray"))];
    plan.unchanged = 7;
    plan.learned = vec![Learned {
        key: sample::key("u3"),
        entry: KnownUser::linked(sample::link("3")),
    }];
    plan.breaches = vec![Breach {
        guard: Guard::MaxUpdates,
        most: 1,
        wanted: 2,
        limit: Some(Limit::Percent(30)),
    }];
    plan.reads = Reads {
        accounts: 5,
        profiles: 4,
        from_mapping: 1,
    };
    let value = plan_value(&plan);
    assert_eq!(value["kind"], "plan");
    assert_eq!(value["digest"], summary::digest(&plan).to_string());
    assert_eq!(value["basis"]["manifest"], Digest::of(b"manifest").to_string());
    assert_eq!(value["company"], "biz_Platform");
    assert_eq!(value["server"], "https://a.test/api/v1");
    assert_eq!(
        (&value["partial"], &value["unchanged"]),
        (&json!(false), &json!(7))
    );
    let summary = json!({
        "create": 1, "adopt": 0, "update": 1, "forget": 1, "hold": sample::every_hold().len(), "pictures": 2, "uploads": 2,
        "identity_changes": 0, "contradicted": 5, "cautions": [],
        "pictures_again": 0, "learned": 1, "unmanaged": 1, "unchanged": 7, "left_out": 0,
    });
    assert_eq!(value["summary"], summary);
    assert_eq!(value["requests"]["create_account"], 1);
    assert_eq!(value["estimate_seconds"], 1);
    assert_eq!(
        value["reads"],
        json!({"accounts": 5, "profiles": 4, "from_mapping": 1})
    );
    let breach = &value["breaches"][0];
    assert_eq!(
        (&breach["guard"], &breach["limit"]),
        (&json!("max_updates"), &json!({"percent": 30}))
    );
    assert_eq!(
        value["learned"],
        json!([{"id": "u3", "account_id": "biz_3", "user_id": "user_3"}])
    );
    assert_eq!(
        value["unmanaged"],
        json!([{"account_id": "biz_9", "id": "u9", "title": "Stray"}])
    );
    assert_eq!(
        value["holds"].as_array().map(Vec::len),
        Some(sample::every_hold().len())
    );
    let hold = &value["holds"][0];
    assert_eq!(
        (&hold["id"], &hold["reason"]),
        (&json!("ambiguous"), &json!("ambiguous"))
    );
    assert!(hold["what_to_do"].is_string() && hold["message"].is_string());
}

#[test]
fn an_action_has_its_fields_and_steps() {
    let mut update = sample::update("u2", "Jane\u{202e}", "Jane Dow", Cause::Drifted);
    update.profile.picture = sample::picture_change(Some("a.png"), "b.png", Cause::Edited);
    let expected = json!({
        "id": "u2",
        "kind": "update",
        "cause": "both",
        "account_id": "biz_u2",
        "user_id": "user_u2",
        "renamed_from": null,
        "fields": [
            {"name": "name", "old": "Jane\u{202e}", "new": "Jane Dow", "cause": "drifted"},
            {
                "name": "avatar",
                "old": {"digest": Digest::of(b"a.png").to_string(), "url": "https://img.test/a.png"},
                "new": {
                    "file": "b.png", "digest": Digest::of(b"b.png").to_string(), "format": "png",
                    "bytes": 49_357, "width": 512, "height": 256,
                },
                "cause": "edited",
            },
        ],
        "steps": ["upload_picture", "update_profile"],
    });
    assert_eq!(
        plan_value(&sample::plan(vec![update], Vec::new()))["actions"],
        json!([expected])
    );
}

#[test]
fn a_resent_create_says_so_without_its_request() {
    let mut create = sample::create("u1", "Ann");
    if let Kind::Create(new) = &mut create.kind {
        new.resend = Some(sample::resend("u1", new));
    }
    let value = plan_value(&sample::plan(vec![create], Vec::new()));
    assert_eq!(value["actions"][0]["resend"], true);
    assert!(!value.to_string().contains("secret-ish"), "{value}");
    let adopted = sample::adopt("u1", Evidence::ExternalId);
    let value = plan_value(&sample::plan(vec![adopted], Vec::new()));
    assert_eq!(value["actions"][0]["found_by"], "external_id");
    assert_eq!(
        (&value["actions"][0]["cause"], value["actions"][0].get("resend")),
        (&Value::Null, None)
    );
}

#[test]
fn a_report_lists_users_who_need_attention() {
    let failure = Failure {
        step: Step::UpdateProfile,
        code: "request.refused".into(),
        message: "name\u{1b} refused".into(),
        hint: Some("shorten it".into()),
        status: Some(422),
        request_id: Some("req_1".into()),
    };
    let left = Outcome::Left { why: Stop::Deadline };
    let report = Report {
        done: BTreeMap::from([(Verb::Create, 2)]),
        pictures: 1,
        troubled: BTreeMap::from([
            (sample::key("u1"), Outcome::Failed(failure)),
            (sample::key("u2"), left),
        ]),
        stopped: Some(Stop::Deadline),
        requests: BTreeMap::from([("create_account", 3)]),
        elapsed: Duration::from_micros(1_234_567),
    };
    let plan = sample::plan(vec![sample::create("u1", "Ann")], sample::every_hold());
    let value = read(|out| super::report(out, &report, &plan, &header()));
    assert_eq!(value["kind"], "report");
    assert_eq!(
        (&value["complete"], &value["stopped"]),
        (&json!(false), &json!("deadline"))
    );
    assert_eq!(
        (&value["done"], &value["pictures"]),
        (&json!({"create": 2}), &json!(1))
    );
    assert_eq!(value["elapsed_seconds"], 1.235);
    assert_eq!(
        value["holds"].as_array().map(Vec::len),
        Some(sample::every_hold().len())
    );
    let troubled = json!([
        {
            "id": "u1", "outcome": "failed", "step": "update_profile", "code": "request.refused",
            "message": "name\u{1b} refused", "hint": "shorten it", "status": 422, "request_id": "req_1",
        },
        {"id": "u2", "outcome": "left", "why": "deadline"},
    ]);
    assert_eq!(value["troubled"], troubled);
}

fn problem() -> Problem {
    let place = Place {
        file: "users.yaml".into(),
        line: 12,
        column: 5,
        length: 4,
        text: "    email: jane".into(),
    };
    let at = Pointer {
        part: 0,
        user: Some(3),
        field: Some("email".into()),
    };
    Problem {
        severity: Severity::Error,
        code: ProblemCode::DuplicateEmail,
        message: "twice".into(),
        hint: Some("once".into()),
        at: at.clone(),
        place: Some(place),
        related: vec![Related {
            at,
            place: None,
            note: "here first".into(),
        }],
    }
}

#[test]
fn an_error_carries_problems_causes_and_the_refused_plan() {
    let error = Error::problems(vec![problem()])
        .caused_by(io::Error::other("below"))
        .hint("fix it");
    let value = read(|out| super::error(out, &error, None));
    let expected = json!({
        "format_version": "1.0",
        "kind": "error",
        "code": "manifest.invalid",
        "exit_status": 7,
        "message": "the manifest has 1 problem",
        "hint": "fix it",
        "causes": ["below"],
        "problems": [{
            "severity": "error", "code": "duplicate_email", "message": "twice", "hint": "once",
            "file": "users.yaml", "line": 12, "column": 5, "length": 4, "user": 3, "field": "email",
            "related": [{
                "note": "here first", "file": null, "line": null, "column": null, "length": null,
                "user": 3, "field": "email",
            }],
        }],
    });
    assert_eq!(value, expected);
    let refused = Error::new(Code::PlanRefused, "a guardrail refused");
    let (plan, header) = (sample::plan(Vec::new(), Vec::new()), header());
    let value = read(|out| super::error(out, &refused, Some((&plan, &header))));
    assert_eq!(value["exit_status"], 3);
    assert_eq!(value["plan"]["digest"], summary::digest(&plan).to_string());
}

#[test]
fn a_validation_counts_errors_and_warnings_apart() {
    let mut warning = problem();
    warning.severity = Severity::Warning;
    let of = |problems: &[Problem]| {
        let validation = Validation {
            users: 12,
            avatars: 11,
            problems,
        };
        read(|out| super::validation(out, &validation))
    };
    let value = of(&[warning.clone()]);
    assert_eq!(
        (&value["kind"], &value["valid"]),
        (&json!("validation"), &json!(true))
    );
    assert_eq!(
        (&value["errors"], &value["warnings"], &value["users"]),
        (&json!(0), &json!(1), &json!(12))
    );
    assert_eq!(of(&[warning, problem()])["valid"], false);
}

#[test]
fn the_mapping_lists_all_users_or_one() {
    let mut entry = KnownUser::linked(sample::link("1"));
    entry.name = Some("Ann\u{200b}".into());
    entry.picture = Some(Box::new(AppliedPicture {
        digest: Digest::of(b"a"),
        url: None,
    }));
    let mut known = Known::default();
    known.users.insert(sample::key("u1"), entry);
    known
        .users
        .insert(sample::key("u2"), KnownUser::linked(sample::link("2")));
    let of = |only: Option<&UserKey>| read(|out| mapping(out, &known, only, "biz_P", "sandbox"));
    let value = of(Some(&sample::key("u1")));
    let users = json!([{
        "id": "u1", "account_id": "biz_1", "user_id": "user_1", "name": "Ann\u{200b}",
        "picture": {"digest": Digest::of(b"a").to_string()},
    }]);
    assert_eq!(
        (&value["company"], &value["server"]),
        (&json!("biz_P"), &json!("sandbox"))
    );
    assert_eq!(value["users"], users);
    assert_eq!(of(None)["users"].as_array().map(Vec::len), Some(2));
    assert_eq!(of(Some(&sample::key("nobody")))["users"], json!([]));
}

#[test]
fn a_document_is_streamed() {
    /// Counts the bytes written and the size of the pieces.
    #[derive(Default)]
    struct Meter {
        bytes: usize,
        largest: usize,
    }
    impl Write for Meter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.bytes += bytes.len();
            self.largest = self.largest.max(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let actions = (0..2_000)
        .map(|n| sample::create(&format!("u{n:05}"), "Ann"))
        .collect();
    let mut meter = Meter::default();
    plan(&mut meter, &sample::plan(actions, Vec::new()), &header()).unwrap();
    assert!(
        meter.bytes > 1_000_000 && meter.largest < 20_000,
        "{} {}",
        meter.bytes,
        meter.largest
    );
}
