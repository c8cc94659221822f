//! The published schema describes every document that JSON mode prints, down
//! to its last field, and keeps describing those of earlier versions.
//!
//! `tests/golden/json` holds documents as version 1.0 printed them. They are
//! kept and never written anew: whoever reads them today must be able to
//! tomorrow.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};
use whop_sync::core::digest::Digest;
use whop_sync::core::drift::{Others, drift};
use whop_sync::core::explain::explain;
use whop_sync::core::model::{Dialect, Guard, Limit, Refresh};
use whop_sync::core::plan::{Breach, Plan, Step, Verb};
use whop_sync::core::report::{Event, Failure, Outcome, Report, Stop, Subject, Trace};
use whop_sync::core::saved::{self, Basis, Saved};
use whop_sync::core::state_digest::known_digest;
use whop_sync::core::value::PlatformId;
use whop_sync::error::{Code, Error, Exit};
use whop_sync::render::json::receipt::{Receipt, StepLog};
use whop_sync::render::schema::PLAN;
use whop_sync::render::{Header, json};

use crate::properties::{change, happen};
use crate::world::{World, key};

fn schema() -> Value {
    serde_json::from_str(PLAN).unwrap()
}

fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::new(schema).unwrap()
}

/// The same schema without its promise that new fields may come: what it does
/// not describe is refused.
fn strict() -> Validator {
    let mut schema = schema();
    schema["unevaluatedProperties"] = json!(false);
    let kinds = schema["properties"]["kind"]["enum"].clone();
    for (name, definition) in schema["$defs"].as_object_mut().unwrap() {
        let whole = name == "text" || kinds.as_array().unwrap().contains(&json!(name));
        close(definition, whole);
    }
    schema["$defs"]["error"]["properties"]["plan"]["unevaluatedProperties"] = json!(false);
    validator(&schema)
}

/// Closes an object and those written out below it. Whole documents are
/// closed where they are used, since their head is described elsewhere.
fn close(schema: &mut Value, open: bool) {
    match schema {
        Value::Object(object) => {
            let described = object.contains_key("required") && object.contains_key("properties");
            for (name, below) in object.iter_mut() {
                if name != "if" && name != "then" && name != "else" {
                    close(below, false);
                }
            }
            if described && !open {
                object.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|below| close(below, false)),
        _ => {}
    }
}

#[track_caller]
fn fits(validator: &Validator, document: &Value) {
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{document:#}");
}

/// Fails unless the schema describes this document in full.
#[track_caller]
pub(crate) fn describes(document: &Value) {
    fits(&strict(), document);
}

/// Fails unless the schema allows this document of an earlier version.
#[track_caller]
pub(crate) fn stays_valid(document: &Value) {
    fits(&validator(&schema()), document);
}

fn kept() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/json");
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            (path.display().to_string(), serde_json::from_str(&text).unwrap())
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[test]
fn a_document_of_every_kind_is_kept() {
    let kinds = schema()["properties"]["kind"]["enum"].clone();
    let kept = kept();
    for kind in kinds.as_array().unwrap() {
        assert!(
            kept.iter().any(|(_, document)| document["kind"] == *kind),
            "{kind}"
        );
    }
}

#[test]
fn every_limit_has_its_name_in_it() {
    let names: Vec<_> = Guard::ALL.into_iter().map(Guard::name).collect();
    assert_eq!(schema()["$defs"]["guard"]["examples"], json!(names));
}

#[test]
fn it_is_a_schema_itself() {
    jsonschema::draft202012::meta::validate(&schema()).unwrap();
}

#[test]
fn documents_of_version_1_0_stay_valid() {
    let validator = validator(&schema());
    for (_, document) in kept() {
        assert_eq!(document["format_version"], "1.0");
        fits(&validator, &document);
    }
}

/// Every place of a document below which the schema has something to say.
fn places(document: &Value, at: String, found: &mut Vec<String>) {
    match document {
        Value::Object(object) => {
            for (name, below) in object {
                let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                found.push(at.clone());
                places(below, at, found);
            }
        }
        Value::Array(all) => {
            for (index, below) in all.iter().enumerate() {
                let at = format!("{at}/{index}");
                found.push(at.clone());
                places(below, at, found);
            }
        }
        _ => {}
    }
}

/// The fields that a document may do without: the ends of their places, with
/// the document's kind before and `*` for a list's index.
const OPTIONAL: [&str; 22] = [
    "/actions/*/found_by",
    "/actions/*/replaces",
    "/actions/*/resend",
    "explanation/action/found_by",
    "error/plan",
    "error/moved",
    "error/moved/users/*/held",
    "report/already_applied",
    "mapping/users/*/name",
    "mapping/users/*/title",
    "mapping/users/*/metadata",
    "mapping/users/*/picture",
    "mapping/users/*/picture/url",
    "explanation/mapping/name",
    "explanation/mapping/title",
    "explanation/mapping/metadata",
    "explanation/mapping/picture",
    "explanation/mapping/picture/url",
    "receipt/steps/*/fields",
    "saved_plan/basis/only",
    "saved_plan/basis/allow",
    "saved_plan/actions/*/fields/*/old",
];

/// Whether the schema lets this place of a document be missing.
fn may_lack(document: &Value, place: &str) -> bool {
    let mut end = document["kind"].as_str().unwrap().to_owned();
    for part in place.split('/').skip(1) {
        let index = part.bytes().all(|b| b.is_ascii_digit());
        end = format!("{end}/{}", if index { "*" } else { part });
    }
    let free = ["requests", "done", "metadata"];
    let of_map = place.rsplit('/').nth(1).is_some_and(|map| free.contains(&map));
    of_map || OPTIONAL.iter().any(|optional| end.ends_with(optional))
}

#[test]
fn a_field_gone_or_of_another_type_is_noticed() {
    let validator = validator(&schema());
    let (mut gone, mut wrong) = (0, 0);
    for (file, document) in kept() {
        let mut all = Vec::new();
        places(&document, String::new(), &mut all);
        for place in all {
            let mut bad = document.clone();
            *bad.pointer_mut(&place).unwrap() = json!([[1]]);
            assert!(!validator.is_valid(&bad), "{file}: {place} of another type");
            wrong += 1;
            let (parent, name) = place.rsplit_once('/').unwrap();
            let mut bad = document.clone();
            // An element of a list may go.
            let Some(parent) = bad.pointer_mut(parent).unwrap().as_object_mut() else {
                continue;
            };
            parent.remove(name);
            if !may_lack(&document, &place) {
                assert!(!validator.is_valid(&bad), "{file}: without {place}");
                gone += 1;
            }
        }
    }
    assert!(gone > 1_000 && wrong > 1_000, "{gone} {wrong}");
}

#[test]
fn new_fields_may_come_and_the_strict_one_sees_them_anywhere() {
    let (validator, strict) = (validator(&schema()), strict());
    for (_, mut document) in kept() {
        document["later"] = json!(1);
        document["format_version"] = json!("1.7");
        assert!(validator.is_valid(&document));
        assert!(!strict.is_valid(&document), "the strict one sees it");
        document["format_version"] = json!("2.0");
        assert!(!validator.is_valid(&document));
    }
    for (file, document) in kept() {
        fits(&strict, &document);
        let mut all = Vec::new();
        places(&document, String::new(), &mut all);
        for place in all {
            let mut more = document.clone();
            // The keys of these are free, where they read as their like do.
            let Some(object) = more.pointer_mut(&place).and_then(Value::as_object_mut) else {
                continue;
            };
            object.insert("Later".to_owned(), json!(1));
            assert!(!strict.is_valid(&more), "{file}: more in {place}");
        }
    }
}

fn header() -> Header {
    Header {
        company: PlatformId::parse("biz_platform").unwrap(),
        server: "https://a.test/api/v1".into(),
        dialect: Dialect::Accounts,
        version: "2026-10-15-1".into(),
        manifest: Digest::of(b"manifest"),
    }
}

fn written(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Value {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

/// How a plan that went badly is told.
fn gone_badly(plan: &Plan) -> Report {
    let failure = Failure {
        step: Step::UpdateProfile,
        code: "request.refused".into(),
        message: "no".into(),
        hint: None,
        status: None,
        request_id: Some("req_1".into()),
    };
    let outcomes = [
        Outcome::Failed(failure.clone()),
        Outcome::InDoubt(Failure {
            status: Some(502),
            hint: Some("again".into()),
            ..failure
        }),
        Outcome::Left { why: Stop::Fatal },
    ];
    let keys = plan.actions.iter().map(|action| action.key.clone());
    Report {
        done: BTreeMap::from([(Verb::Create, 1), (Verb::Forget, 0)]),
        pictures: 1,
        troubled: keys.zip(outcomes.into_iter().cycle()).collect(),
        stopped: Some(Stop::Fatal),
        requests: BTreeMap::from([("create_account", 2)]),
        elapsed: Duration::from_millis(1_500),
    }
}

/// What a plan of this world is made from.
fn saved_basis(world: &World) -> Basis {
    Basis {
        program: "0.1.0".into(),
        company: PlatformId::parse("biz_platform").unwrap(),
        server: "emulator".into(),
        api_version: "2026-10-15-1".into(),
        manifests: vec!["users.yaml".into()],
        manifest: Digest::of(b"manifest"),
        mapping: known_digest(&world.known),
        generation: 3,
        refresh: Refresh::Changed,
        only: Some([key("u00")].into()),
        allow: Guard::ALL.into(),
    }
}

/// The receipt of a plan that went as the report says.
fn kept_receipt(plan: &Plan, report: &Report, header: &Header) -> Value {
    let mut log = StepLog::default();
    for (key, outcome) in &report.troubled {
        let ended = Event::Ended {
            key: key.clone(),
            verb: Verb::Update,
            picture: false,
            outcome: outcome.clone(),
        };
        log.on(&ended, UNIX_EPOCH);
    }
    for action in &plan.actions {
        let link = action.link().cloned();
        let subjects = link.map(|link| Subject::User(action.key.clone(), link));
        for subject in subjects.into_iter().chain([Subject::Picture(Digest::of(b"p"))]) {
            let stepped = Event::Stepped {
                step: Step::UpdateProfile,
                subject,
                trace: Trace::default(),
            };
            log.on(&stepped, UNIX_EPOCH + Duration::from_millis(1_234));
        }
    }
    let error = Error::new(Code::IoFailed, "the disk is full");
    let receipt = Receipt {
        program: "0.1.0",
        run: "run",
        digest: Digest::of(b"plan"),
        commit: None,
        plan,
        header,
        started: UNIX_EPOCH,
        ended: UNIX_EPOCH,
        log: &log,
        report: plan.actions.len().is_multiple_of(2).then_some(report),
        error: Some(&error),
        exit: Exit::Partial,
    };
    written(|out| json::receipt::receipt(out, &receipt))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever happens, every field of every document is described.
    #[test]
    fn documents_of_random_plans_are_described_in_full(
        first in prop::collection::vec(change(), 1..40),
        then in prop::collection::vec(change(), 0..20),
        percent in any::<bool>(),
    ) {
        let strict = strict();
        let mut world = World::new(Vec::new());
        first.iter().for_each(|change| happen(&mut world, change));
        let plan = world.plan();
        let known = world.known.clone();
        let saved = Saved::new(&plan, saved_basis(&world));
        fits(&strict, &written(|out| json::saved(out, &saved)));
        world.act_out(&plan.actions);
        then.iter().for_each(|change| happen(&mut world, change));
        let mut plan = world.plan();
        let (desired, observed) = (world.desired(), world.observed());
        let changes = saved::changes(&saved, &plan, &known, Digest::of(b"another"));
        let stale = Error::new(Code::PlanStale, "stale");
        fits(&strict, &written(|out| json::stale(out, &stale, &changes)));
        let found = drift(&desired, &observed, &world.known, &world.policy);
        fits(&strict, &written(|out| json::drift(out, &found, &header(), Others::Count)));
        let all = desired.users().iter().map(|user| &user.key).chain(world.known.users.keys());
        for key in all {
            let told = explain(key, &desired, &observed, &world.known, &world.policy);
            let told = told.expect("the manifest or the mapping has it");
            fits(&strict, &written(|out| json::explanation(out, &told, None)));
        }
        plan.breaches.push(Breach {
            guard: Guard::MaxUpdates,
            most: 1,
            wanted: 2,
            limit: Some(if percent { Limit::Percent(30) } else { Limit::Count(1) }),
        });
        let header = header();
        fits(&strict, &written(|out| json::plan(out, &plan, &header)));
        let report = gone_badly(&plan);
        fits(&strict, &written(|out| json::report(out, &report, &plan, &header)));
        fits(&strict, &written(|out| json::already_applied(out, saved.digest, &Report::default(), &plan, &header)));
        fits(&strict, &kept_receipt(&plan, &report, &header));
        let refused = Error::new(Code::PlanRefused, "refused").hint("mend");
        fits(&strict, &written(|out| json::error(out, &refused, Some((&plan, &header)))));
        fits(&strict, &written(|out| json::mapping(out, &world.known, None, "biz_p", "emulator")));
        let one = key("u00");
        fits(&strict, &written(|out| json::mapping(out, &world.known, Some(&one), "biz_p", "emulator")));
    }
}
