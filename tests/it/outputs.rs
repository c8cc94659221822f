//! The published schema describes every document that JSON mode prints, down
//! to its last field, and keeps describing those of earlier versions.
//!
//! `tests/golden/json` holds documents as version 1.0 printed them. They are
//! kept and never written anew: whoever reads them today must be able to
//! tomorrow.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};
use whop_sync::core::digest::Digest;
use whop_sync::core::model::{Dialect, Guard, Limit};
use whop_sync::core::plan::{Breach, Plan, Step};
use whop_sync::core::report::{Failure, Outcome, Report, Stop, Verb};
use whop_sync::core::value::PlatformId;
use whop_sync::error::{Code, Error};
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
    const WHOLE: [&str; 6] = ["plan", "report", "error", "validation", "mapping", "text"];
    let mut schema = schema();
    schema["unevaluatedProperties"] = json!(false);
    for (name, definition) in schema["$defs"].as_object_mut().unwrap() {
        let whole = WHOLE.contains(&name.as_str());
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
    assert!(all.len() >= 8, "{}", all.len());
    all
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
                places(below, format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn a_field_gone_or_of_another_type_is_noticed() {
    // Fields that a document may do without, and maps whose keys are free.
    const OPTIONAL: [&str; 8] = [
        "found_by", "replaces", "resend", "plan", "name", "title", "metadata", "picture",
    ];
    let validator = validator(&schema());
    let (mut gone, mut wrong) = (0, 0);
    for (file, document) in kept() {
        let mut all = Vec::new();
        places(&document, String::new(), &mut all);
        for place in all {
            let (parent, name) = place.rsplit_once('/').unwrap();
            let mut bad = document.clone();
            *bad.pointer_mut(&place).unwrap() = json!([[1]]);
            assert!(!validator.is_valid(&bad), "{file}: {place} of another type");
            wrong += 1;
            let free = ["/requests", "/done", "/metadata"]
                .iter()
                .any(|map| parent.ends_with(map));
            let mapped = document["kind"] == "mapping" || name == "plan";
            if free
                || (mapped && OPTIONAL.contains(&name))
                || ["found_by", "replaces", "resend"].contains(&name)
                || (name == "url" && document["kind"] == "mapping")
            {
                continue;
            }
            let mut bad = document.clone();
            let parent = bad.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            parent.remove(name);
            assert!(!validator.is_valid(&bad), "{file}: without {place}");
            gone += 1;
        }
    }
    assert!(gone > 300 && wrong > 300, "{gone} {wrong}");
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
        world.act_out(&plan.actions);
        then.iter().for_each(|change| happen(&mut world, change));
        let mut plan = world.plan();
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
        let refused = Error::new(Code::PlanRefused, "refused").hint("mend");
        fits(&strict, &written(|out| json::error(out, &refused, Some((&plan, &header)))));
        fits(&strict, &written(|out| json::mapping(out, &world.known, None, "biz_p", "emulator")));
        let one = key("u00");
        fits(&strict, &written(|out| json::mapping(out, &world.known, Some(&one), "biz_p", "emulator")));
    }
}
