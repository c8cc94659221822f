//! A manifest's problems for code scanning, judged by OASIS's own schema of
//! SARIF 2.1.0 (`tests/sarif`, as the crate serde-sarif 0.8.0 brings it).

use serde_json::{Value, json};

use super::{EXAMPLE, Place, Ran};

const SCHEMA: &str = include_str!("../../sarif/sarif-schema-2.1.0.json");

const BAD: &str = "version: 1
company: biz_Acme
users:
  - id: jane
    email: jane@acme.dev
    nmae: Jane
  - id: ann
    email: JANE@acme.dev
    name: \"Ann\u{202e} ::error::x\"
  - id: jane
    email: bob@example.com
    name: Bob
";

/// The results of a report that the schema takes.
#[track_caller]
fn report(place: &Place) -> Value {
    // Its pattern for languages, which we do not name, is no regular expression
    // to every reader.
    let schema = SCHEMA.replace(r#","pattern":"^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$""#, "");
    assert!(schema.len() < SCHEMA.len());
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let text = String::from_utf8(place.read("p.sarif")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{text:.3000}");
    // And it is no schema that takes anything.
    let mut broken = document.clone();
    broken["runs"][0]["columnKind"] = json!("bytes");
    assert!(!validator.is_valid(&broken));
    std::fs::remove_file(place.path("p.sarif")).unwrap();
    document["runs"][0].clone()
}

/// Code, line and column of each problem, in the order told.
fn spots(run: &Value) -> Vec<(String, u64, u64)> {
    let results = run["results"].as_array().unwrap().iter();
    let mut spots: Vec<_> = results
        .map(|result| {
            let region = &result["locations"][0]["physicalLocation"]["region"];
            let number = |name: &str| region[name].as_u64().unwrap();
            let code = result["ruleId"].as_str().unwrap().to_owned();
            (code, number("startLine"), number("startColumn"))
        })
        .collect();
    spots.sort();
    spots
}

/// The same of the JSON document.
fn told(ran: &Ran) -> Vec<(String, u64, u64)> {
    let document = ran.json();
    let problems = document["problems"].as_array().unwrap().iter();
    let mut spots: Vec<_> = problems
        .map(|problem| {
            let number = |name: &str| problem[name].as_u64().unwrap();
            (
                problem["code"].as_str().unwrap().to_owned(),
                number("line"),
                number("column"),
            )
        })
        .collect();
    spots.sort();
    spots
}

#[test]
fn every_command_that_reads_the_manifest_tells_the_same_problems() {
    let place = Place::with(BAD);
    let said = place.run("validate --format json --report p.sarif");
    assert_eq!(said.status, 7, "{}", said.shown());
    let run = report(&place);
    assert_eq!(spots(&run), told(&said));
    let codes: Vec<String> = spots(&run).into_iter().map(|spot| spot.0).collect();
    assert_eq!(
        codes,
        [
            "duplicate_email",
            "duplicate_id",
            "missing_field",
            "reserved_email",
            "unknown_field"
        ]
    );
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    // As `::error` lines too, at the same places.
    let ran = place.run_with("validate", &[("GITHUB_ACTIONS", "true")]);
    for (code, line, column) in spots(&run) {
        let command = format!("title=whop-sync {code},file=users.yaml,line={line},col={column}::");
        assert!(ran.stderr.contains(&command), "{command}\n{}", ran.shown());
    }
    // Duplicates point at both places.
    for result in run["results"].as_array().unwrap() {
        let double = result["ruleId"].as_str().unwrap().starts_with("duplicate_");
        assert_eq!(result["relatedLocations"].is_array(), double, "{result:#}");
    }
    for command in ["plan", "apply --yes", "drift"] {
        place.expect(7, &format!("{command} --server emulator --report p.sarif"));
        assert_eq!(report(&place)["results"], run["results"], "{command}");
    }
}

#[test]
fn a_manifest_without_problems_gives_a_report_without_results() {
    let place = Place::example();
    let on = format!("-f {EXAMPLE} --server emulator --report p.sarif");
    for command in ["plan", "apply --yes", "drift"] {
        place.expect(0, &format!("{command} {on}"));
        let results = report(&place)["results"].as_array().unwrap().clone();
        assert!(
            results.iter().all(|result| result["level"] == "warning"),
            "{command}"
        );
    }
    let good = Place::with(&BAD.replace("nmae", "name").replace("JANE@", "ann@").replace(
        "- id: jane\n    email: bob@example.com",
        "- id: bob\n    email: bob@acme.dev",
    ));
    good.expect(0, "validate --report p.sarif");
    assert_eq!(report(&good)["results"], json!([]));
}

#[test]
fn a_manifest_that_cannot_be_read_is_not_reported_as_good() {
    let place = Place::new();
    place.expect(7, "validate --report p.sarif");
    let run = report(&place);
    let results = run["results"].as_array().unwrap();
    let successful = run["invocations"][0]["executionSuccessful"] == true;
    assert!(!results.is_empty() || !successful, "{run:#}");
    place.expect(64, "validate --report p.json");
}

#[test]
fn results_keep_their_fingerprints_when_lines_move() {
    let place = Place::with(BAD);
    let prints = |place: &Place| -> Vec<Value> {
        place.expect(7, "validate --report p.sarif");
        let run = report(place);
        let results = run["results"].as_array().unwrap().iter();
        results
            .map(|result| result["partialFingerprints"].clone())
            .collect()
    };
    let before = prints(&place);
    place.edit(
        "users.yaml",
        "users:\n",
        "# Two more\n# lines\nusers:\n  - id: new\n    email: new@acme.dev\n    name: New\n",
    );
    assert_eq!(prints(&place), before);
}
