//! Manifest problems for code scanning: SARIF 2.1.0 (OASIS), which GitHub and
//! others show on the lines of a pull request and track over time.
//!
//! The problems are the same as in the other outputs. A valid manifest gives a
//! document without results, which closes the findings of earlier ones.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use serde::Serialize;
use serde_json::{Value, json};

use super::escape::{SafeJson, terminal};
use crate::core::digest::Digest;
use crate::core::problem::{Place, Pointer, Problem, Related, Severity};
use crate::core::problem_code::ProblemCode;
use crate::error::Error;

/// Writes the document. `sources` are the manifest's files as given, for
/// problems without a place. `error` is what ended the run before the manifest
/// could be checked; its own problems are among `problems`.
///
/// # Errors
/// The writer's own.
pub fn write(
    out: &mut dyn Write,
    problems: &[Problem],
    sources: &[String],
    error: Option<&Error>,
) -> io::Result<()> {
    let mut seen = BTreeMap::new();
    let results: Vec<Value> = problems
        .iter()
        .map(|problem| result(problem, sources, &mut seen))
        .collect();
    let unchecked = error.filter(|error| error.manifest_problems().is_empty());
    let notifications: Vec<Value> = unchecked
        .iter()
        .map(|error| {
            json!({
                "level": "error",
                "descriptor": { "id": error.code().as_str() },
                "message": { "text": text(error.message(), error.what_to_do()) },
            })
        })
        .collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "whop-sync",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": ProblemCode::ALL.map(described).as_slice(),
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": unchecked.is_none(),
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
        }],
    });
    let mut out = BufWriter::new(out);
    document.serialize(&mut serde_json::Serializer::with_formatter(
        &mut out,
        SafeJson::default(),
    ))?;
    out.write_all(b"\n")?;
    out.flush()
}

fn described(code: ProblemCode) -> Value {
    let (what, remedy) = (code.what(), code.remedy());
    json!({
        "id": code.name(),
        "shortDescription": { "text": what },
        "fullDescription": { "text": format!("{what}. {remedy}") },
        "help": { "text": remedy, "markdown": remedy },
    })
}

fn result(problem: &Problem, sources: &[String], seen: &mut BTreeMap<String, u32>) -> Value {
    let Problem {
        severity,
        code,
        message,
        hint,
        at,
        place,
        related,
    } = problem;
    let level = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let fingerprint = fingerprint(problem);
    let count = seen.entry(fingerprint.clone()).or_default();
    *count += 1;
    let fingerprint = format!("{fingerprint}:{count}");
    let mut result = json!({
        "ruleId": code.name(),
        // The rules are all the kinds, in order.
        "ruleIndex": *code as usize,
        "level": level,
        "message": { "text": text(message, hint.as_deref()) },
        "locations": [location(at, place.as_ref(), sources)],
        // GitHub compares findings by the first of these.
        "partialFingerprints": {
            "primaryLocationLineHash": fingerprint,
            "manifestProblem/v1": fingerprint,
        },
    });
    let others = related
        .iter()
        .enumerate()
        .map(|(n, Related { at, place, note })| {
            let mut other = location(at, place.as_ref(), sources);
            other["id"] = (n + 1).into();
            other["message"] = json!({ "text": text(note, None) });
            other
        });
    let others: Vec<Value> = others.collect();
    if !others.is_empty() {
        result["relatedLocations"] = others.into();
    }
    result
}

/// Identifies a problem when its line has moved: everything it says except its
/// position. Equal ones are numbered.
fn fingerprint(problem: &Problem) -> String {
    let field = problem.at.field.as_deref().unwrap_or_default();
    let file = problem.place.as_ref().map_or("", |place| place.file.as_str());
    let parts = [problem.code.name(), file, field, &problem.message];
    let parts = parts.map(|part| format!("{}:{part}", part.len()));
    Digest::of(parts.concat().as_bytes()).short()
}

fn location(at: &Pointer, place: Option<&Place>, sources: &[String]) -> Value {
    let Pointer { part, user, field } = at;
    let mut logical = user.map_or("users".to_owned(), |user| format!("users[{user}]"));
    if let Some(field) = field {
        let field = terminal(field);
        logical = match user {
            Some(_) => format!("{logical}.{field}"),
            None => field.into_owned(),
        };
    }
    let physical = match place {
        Some(place) => stretch(place),
        None => {
            let named = sources.get(*part as usize).or(sources.first());
            json!({ "artifactLocation": artifact(named.map_or("users.yaml", String::as_str)) })
        }
    };
    json!({
        "physicalLocation": physical,
        "logicalLocations": [{ "fullyQualifiedName": logical }],
    })
}

/// A place, with its line unescaped: JSON preserves every character.
fn stretch(place: &Place) -> Value {
    let Place {
        file,
        line,
        column,
        length,
        text,
    } = place;
    let (from, length) = (*column as usize - usize::from(*column > 0), *length as usize);
    let meant: String = text.chars().skip(from).take(length).collect();
    json!({
        "artifactLocation": artifact(file),
        "region": {
            "startLine": line,
            "startColumn": column,
            "endLine": line,
            "endColumn": column.saturating_add(u32::try_from(length).unwrap_or(u32::MAX)),
            "snippet": { "text": meant },
        },
        "contextRegion": { "startLine": line, "snippet": { "text": text } },
    })
}

/// A file as a URI; relative paths count from the root of the source tree.
fn artifact(file: &str) -> Value {
    let path = file.replace('\\', "/");
    let path = path.trim_start_matches("./");
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                uri.push(byte.into())
            }
            _ => uri += &format!("%{byte:02X}"),
        }
    }
    match uri.starts_with('/') {
        true => json!({ "uri": format!("file://{uri}") }),
        false => json!({ "uri": uri, "uriBaseId": "%SRCROOT%" }),
    }
}

/// A message and advice. Viewers would turn `[x](y)` into a link, so that is
/// escaped.
fn text(message: &str, hint: Option<&str>) -> String {
    let one = |text: &str| terminal(text).replace("](", "]\\u{28}");
    match hint {
        Some(hint) => format!("{}\n\nhelp: {}", one(message), one(hint)),
        None => one(message),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::hostile::{acting, anything};
    use super::*;
    use crate::error::Code;

    fn problem(line: u32, message: &str) -> Problem {
        let place = |line| {
            Some(Place {
                file: "./team a/users.yaml".to_owned(),
                line,
                column: 10,
                length: 4,
                text: "    id: ü jane".to_owned(),
            })
        };
        Problem {
            severity: Severity::Error,
            code: ProblemCode::DuplicateId,
            message: message.to_owned(),
            hint: Some("remove one".to_owned()),
            at: Pointer {
                part: 0,
                user: Some(3),
                field: Some("id".into()),
            },
            place: place(line),
            related: vec![Related {
                at: Pointer::default(),
                place: place(2),
                note: "it appears here first".to_owned(),
            }],
        }
    }

    fn written(problems: &[Problem], error: Option<&Error>) -> Value {
        let mut out = Vec::new();
        write(&mut out, problems, &["users.yaml".to_owned()], error).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_problem_is_at_its_place_with_the_other_one_beside_it() {
        let document = written(&[problem(7, "the id `jane` appears twice")], None);
        let result = &document["runs"][0]["results"][0];
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(
            place["artifactLocation"],
            json!({"uri": "team%20a/users.yaml", "uriBaseId": "%SRCROOT%"})
        );
        assert_eq!(
            place["region"],
            json!({"startLine": 7, "startColumn": 10, "endLine": 7, "endColumn": 14, "snippet": {"text": " jan"}})
        );
        assert_eq!(
            result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"],
            "users[3].id"
        );
        assert_eq!(
            result["relatedLocations"][0]["physicalLocation"]["region"]["startLine"],
            2
        );
        assert_eq!(
            result["message"]["text"],
            "the id `jane` appears twice\n\nhelp: remove one"
        );
        let index = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(
            document["runs"][0]["tool"]["driver"]["rules"][index]["id"],
            "duplicate_id"
        );
    }

    #[test]
    fn fingerprints_survive_moved_lines_and_equal_ones_differ() {
        let prints = |problems: &[Problem]| -> Vec<Value> {
            let document = written(problems, None);
            let results = document["runs"][0]["results"].as_array().unwrap().iter();
            results
                .map(|result| result["partialFingerprints"].clone())
                .collect()
        };
        let before = prints(&[problem(7, "a"), problem(8, "b"), problem(9, "a")]);
        let after = prints(&[problem(17, "a"), problem(18, "b"), problem(19, "a")]);
        assert_eq!(before, after);
        assert!(before[0] != before[1] && before[0] != before[2]);
    }

    #[test]
    fn what_could_not_be_checked_is_not_called_successful() {
        let good = written(&[], None);
        let run = &good["runs"][0];
        assert_eq!(
            (&run["results"], &run["invocations"][0]["executionSuccessful"]),
            (&json!([]), &json!(true))
        );
        let error = Error::new(Code::IoFailed, "could not read `users.yaml`");
        let bad = written(&[], Some(&error));
        let told = &bad["runs"][0]["invocations"][0];
        assert_eq!(told["executionSuccessful"], false);
        assert_eq!(
            told["toolExecutionNotifications"][0]["descriptor"]["id"],
            "io.failed"
        );
    }

    proptest! {
        /// No message has an effect or contains a link, and the line is
        /// unchanged.
        #[test]
        fn no_text_acts(message in anything(), line in anything(), file in anything()) {
            let mut problem = problem(1, &message);
            if let Some(place) = &mut problem.place {
                (place.text, place.file) = (line.clone(), file);
            }
            let mut out = Vec::new();
            write(&mut out, &[problem], &[], None).unwrap();
            let json = String::from_utf8(out).unwrap();
            prop_assert_eq!(acting(&json.replace('\n', "")), None);
            let document: Value = serde_json::from_str(&json).unwrap();
            let result = &document["runs"][0]["results"][0];
            let told = result["message"]["text"].as_str().unwrap();
            prop_assert!(!told.contains("]("), "{}", told);
            let place = &result["locations"][0]["physicalLocation"];
            prop_assert_eq!(place["contextRegion"]["snippet"]["text"].as_str().unwrap(), line);
            let uri = place["artifactLocation"]["uri"].as_str().unwrap();
            prop_assert!(uri.bytes().all(|b| b.is_ascii_graphic()), "{}", uri);
        }
    }
}
