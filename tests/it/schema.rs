//! The manifest's schema and the parser accept and refuse the same documents,
//! as far as one document by itself can tell: what only the whole shows, such
//! as an id that appears twice, is left to the parser.

use std::fs;

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use whop_sync::core::model::Guardrails;
use whop_sync::manifest;
use whop_sync::render::schema::MANIFEST;

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(MANIFEST).unwrap();
    assert!(jsonschema::meta::is_valid(&schema), "it is a schema itself");
    jsonschema::validator_for(&schema).unwrap()
}

/// Whether the parser takes a document, and what it has against it.
fn parses(document: &Value) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.yaml");
    // JSON is YAML.
    fs::write(&path, document.to_string()).unwrap();
    fs::copy(
        concat!(env!("CARGO_MANIFEST_DIR"), "/examples/avatars/jane.png"),
        folder.path().join("jane.png"),
    )
    .unwrap();
    match manifest::load(&[path]) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{error}: {:?}", error.manifest_problems())),
    }
}

#[track_caller]
fn agree(validator: &Validator, document: &Value) -> bool {
    let (schema, parser) = (validator.is_valid(document), parses(document));
    assert_eq!(
        schema,
        parser.is_ok(),
        "{document}\nschema: {:?}\nparser: {parser:?}",
        validator
            .iter_errors(document)
            .map(|error| error.to_string())
            .collect::<Vec<_>>()
    );
    schema
}

fn base() -> Value {
    json!({"version": 1, "company": "biz_p", "users": [{"id": "a", "email": "a@a.io", "name": "A"}]})
}

/// The base with one value set, or taken out with `None`.
fn with(pointer: &str, value: Option<Value>) -> Value {
    let mut document = base();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => drop(parent.insert(name.to_owned(), value)),
        None => drop(parent.remove(name)),
    }
    document
}

#[test]
fn hand_made_documents_are_judged_alike() {
    let validator = validator();
    let taken = [
        base(),
        with("/version", Some(json!("1"))),
        with("/users", Some(json!([]))),
        with("/guardrails", Some(json!(null))),
        with(
            "/guardrails",
            Some(json!({"max_creates": 5, "max_updates": "30%", "max_avatars": "100 %"})),
        ),
        with("/guardrails", Some(json!({"max_creates": "4294967295"}))),
        with("/users/0/id", Some(json!(7))),
        with("/users/0/name", Some(json!(true))),
        with("/users/0/name", Some(json!("No: \u{202e}x"))),
        with("/users/0/name", Some(json!("ж".repeat(100)))),
        with("/users/0/metadata", Some(json!(null))),
        with(
            "/users/0/metadata",
            Some(json!({"tier": "", "n": 3, "yes": false, "lines": "a\n\tb"})),
        ),
        with("/users/0/avatar", Some(json!("jane.png"))),
        with("/users/0/renamed_from", Some(json!("b"))),
        with("/strip_metadata", Some(json!(true))),
        with("/strip_metadata", Some(json!("false"))),
        with("/users/0/strip_metadata", Some(json!(false))),
    ];
    for document in &taken {
        assert!(agree(&validator, document), "{document}");
    }
    let refused = [
        json!(null),
        json!([]),
        json!({}),
        with("/version", None),
        with("/version", Some(json!(2))),
        with("/version", Some(json!(null))),
        with("/company", None),
        with("/company", Some(json!("acct_1"))),
        with("/company", Some(json!(7))),
        with("/account", Some(json!("biz_p"))),
        with("/users", None),
        with("/users", Some(json!(null))),
        with("/users", Some(json!({}))),
        with("/users", Some(json!([null]))),
        with("/users", Some(json!(["a"]))),
        with("/user", Some(json!([]))),
        with("/guardrails", Some(json!({"max_deletes": 1}))),
        with("/guardrails", Some(json!({"max_creates": "4294967296"}))),
        with("/guardrails", Some(json!({"max_creates": -1}))),
        with("/guardrails", Some(json!({"max_creates": "101%"}))),
        with("/guardrails", Some(json!({"max_creates": null}))),
        with("/strip_metadata", Some(json!("yes"))),
        with("/strip_metadata", Some(json!(null))),
        with("/users/0/strip_metadata", Some(json!(1))),
        with("/users/0/strip_metadata", Some(json!({}))),
        with("/users/0/id", None),
        with("/users/0/email", None),
        with("/users/0/name", None),
        with("/users/0/id", Some(json!(""))),
        with("/users/0/id", Some(json!("100%"))),
        with("/users/0/id", Some(json!(["a"]))),
        with("/users/0/id", Some(json!("x".repeat(256)))),
        with("/users/0/email", Some(json!("a at a.io"))),
        with("/users/0/email", Some(json!("a@a"))),
        with("/users/0/email", Some(json!("a@a..io"))),
        with("/users/0/email", Some(json!("a@b@a.io"))),
        with("/users/0/email", Some(json!(3))),
        with("/users/0/name", Some(json!(" A"))),
        with("/users/0/name", Some(json!("A\n"))),
        with("/users/0/name", Some(json!("a\u{1b}b"))),
        with("/users/0/name", Some(json!("ж".repeat(101)))),
        with("/users/0/name", Some(json!(null))),
        with("/users/0/title", Some(json!("x".repeat(256)))),
        with("/users/0/title", Some(json!(null))),
        with("/users/0/avatar", Some(json!(""))),
        with("/users/0/avatar", Some(json!("/etc/passwd"))),
        with("/users/0/avatar", Some(json!(null))),
        with("/users/0/avatar", Some(json!("jane.svg"))),
        with("/users/0/metadata", Some(json!({"external_id": "x"}))),
        with("/users/0/metadata", Some(json!({"tier": null}))),
        with("/users/0/metadata", Some(json!({"tier": ["a"]}))),
        with("/users/0/metadata", Some(json!({" tier": "a"}))),
        with("/users/0/metadata", Some(json!({"tier": "a\u{7}"}))),
        with("/users/0/metadata", Some(json!("gold"))),
        with("/users/0/nmae", Some(json!("A"))),
        with("/users/0/renamed_from", Some(json!("%"))),
    ];
    for document in &refused {
        assert!(!agree(&validator, document), "{document}");
    }
}

/// Any value, the right kinds more often.
fn value() -> impl Strategy<Value = Value> {
    let pieces = prop::sample::select(vec![
        "a", "Z", "0", "7", "é", "高", "👩", " ", "@", ".", "-", "_", "%", "#", ":", "/", "'", "\"", "\\",
        "\n", "\t", "\u{7f}", "\u{85}", "\u{202e}", "biz_", "a@a.io", "30%",
    ]);
    let text = prop::collection::vec(pieces, 0..5).prop_map(|parts| Value::from(parts.concat()));
    prop_oneof![
        8 => text,
        2 => (-2i64..200).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!([])),
        1 => Just(json!({})),
    ]
}

/// A document near a right one: fields left out, added and replaced.
fn document() -> impl Strategy<Value = Value> {
    let top = prop::collection::vec(
        (
            prop::sample::select(vec![
                "version",
                "company",
                "account",
                "guardrails",
                "strip_metadata",
                "users",
                "owner",
            ]),
            value(),
        ),
        0..2,
    );
    let fields = prop::sample::select(vec![
        "id",
        "email",
        "name",
        "title",
        "metadata",
        "renamed_from",
        "strip_metadata",
        "key",
        "metadata.k",
        "metadata. k",
    ]);
    let user = prop::collection::vec((fields, value()), 0..3);
    let limits = prop::option::of((
        prop::sample::select(vec!["max_creates", "max_updates", "max_all"]),
        value(),
    ));
    (top, prop::collection::vec(user, 0..3), limits).prop_map(|(top, users, limits)| {
        let mut document = base();
        let all = users.into_iter().enumerate().map(|(n, edits)| {
            let mut user = json!({"id": format!("u{n}"), "email": format!("u{n}@a.io"), "name": "A"});
            for (field, value) in edits {
                // Ids and emails that stand twice are the parser's alone.
                let value = match (field, value) {
                    ("id" | "email", Value::String(text)) if text.contains("a@a.io") => {
                        Value::from(text.replace("a@a.io", &format!("v{n}@a.io")))
                    }
                    (_, value) => value,
                };
                match field.strip_prefix("metadata.") {
                    Some(key) => user["metadata"] = json!({ key: value }),
                    None => user[field] = value,
                }
            }
            user
        });
        document["users"] = all.collect();
        if let Some((name, value)) = limits {
            document["guardrails"] = Value::Object(Map::from_iter([(name.to_owned(), value)]));
        }
        for (name, value) in top {
            document[name] = value;
        }
        document
    })
}

/// Whether two users break a rule together, which no schema sees.
fn is_about_the_whole(document: &Value) -> bool {
    let Some(users) = document["users"].as_array() else {
        return false;
    };
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let all = |field: &str| -> Vec<String> {
        let given = users.iter().filter(|user| user.get(field).is_some());
        given.map(|user| text(&user[field]).to_lowercase()).collect()
    };
    let repeats = |mut texts: Vec<String>| {
        texts.sort();
        texts.windows(2).any(|pair| pair[0] == pair[1])
    };
    let (ids, former) = (all("id"), all("renamed_from"));
    former.iter().any(|id| ids.contains(id)) || repeats(ids) || repeats(all("email")) || repeats(former)
}

#[test]
fn generated_documents_are_judged_alike() {
    let validator = validator();
    let (mut taken, mut refused) = (0, 0);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..2_000 {
        let tree = document().new_tree(&mut runner).unwrap();
        let document = proptest::strategy::ValueTree::current(&tree);
        if is_about_the_whole(&document) {
            continue;
        }
        match agree(&validator, &document) {
            true => taken += 1,
            false => refused += 1,
        }
    }
    assert!(taken > 200 && refused > 200, "{taken} taken, {refused} refused");
}

/// What a field's schema says, with what it refers to.
fn field<'a>(schema: &'a Value, field: &'a Value, name: &str) -> Option<&'a Value> {
    let referred = || {
        let to = field["$ref"].as_str()?.strip_prefix('#')?;
        schema.pointer(to)?.get(name)
    };
    field.get(name).or_else(referred)
}

#[test]
fn every_field_has_a_description_and_an_example_that_fits() {
    let schema: Value = serde_json::from_str(MANIFEST).unwrap();
    let (mut open, mut count) = (vec![&schema], 0);
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                let described = fields.get("properties").and_then(Value::as_object);
                for (name, of) in described.into_iter().flatten().filter(|(_, of)| of.is_object()) {
                    count += 1;
                    assert!(field(&schema, of, "description").is_some(), "{name}");
                    let examples = field(&schema, of, "examples").and_then(Value::as_array);
                    let Some(examples) = examples.filter(|examples| !examples.is_empty()) else {
                        panic!("{name} has no example: {of}");
                    };
                    let mut alone = of.clone();
                    alone["$defs"] = schema["$defs"].clone();
                    let validator = jsonschema::validator_for(&alone).unwrap();
                    assert!(
                        examples.iter().all(|example| validator.is_valid(example)),
                        "{name}: {examples:?}"
                    );
                }
                open.extend(fields.values());
            }
            Value::Array(all) => open.extend(all),
            _ => {}
        }
    }
    assert!(count >= 14, "{count}");
}

/// The default of each limit is said by the schema and by the help as the
/// planner has it.
#[test]
fn the_defaults_of_limits_are_said_as_they_are() {
    let schema: Value = serde_json::from_str(MANIFEST).unwrap();
    let limits = &schema["properties"]["guardrails"]["properties"];
    let help = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/cli/help.txt"));
    let help = help.unwrap();
    for (guard, _) in Guardrails::default().written() {
        let in_schema = limits[guard.name()]["description"].as_str().unwrap();
        let start = format!("- {}: ", guard.name());
        let in_help = help.lines().find(|line| line.trim_start().starts_with(&start));
        let in_help = in_help.unwrap();
        let defaults = Guardrails::defaults(guard);
        for limit in defaults {
            let limit = limit.to_string();
            assert!(
                in_schema.contains(&limit) && in_help.contains(&limit),
                "{guard:?}: {limit}"
            );
        }
        if defaults.is_empty() {
            assert!(
                in_schema.contains("Unlimited") && in_help.contains("unlimited"),
                "{guard:?}"
            );
        }
        let from = format!("once {} accounts", Guardrails::DEFAULTS_FROM);
        assert!(defaults.is_empty() || in_schema.contains(&from), "{in_schema}");
    }
}
