//! A manifest problem, as part of JSON documents.

use serde::Serialize;

use crate::core::problem::{Place, Pointer, Problem, Severity};

#[derive(Serialize)]
pub(super) struct ProblemDoc<'a> {
    severity: Severity,
    code: &'static str,
    message: &'a str,
    hint: Option<&'a str>,
    #[serde(flatten)]
    spot: PositionDoc<'a>,
    related: Vec<RelatedDoc<'a>>,
}

/// A position: in the text, and in the manifest's structure.
#[derive(Serialize)]
struct PositionDoc<'a> {
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
    length: Option<u32>,
    user: Option<u32>,
    field: Option<&'a str>,
}

#[derive(Serialize)]
struct RelatedDoc<'a> {
    note: &'a str,
    #[serde(flatten)]
    spot: PositionDoc<'a>,
}

pub(super) fn problem_doc(problem: &Problem) -> ProblemDoc<'_> {
    let Problem {
        severity,
        code,
        message,
        hint,
        at,
        place,
        related,
    } = problem;
    let related = related.iter().map(|related| RelatedDoc {
        note: &related.note,
        spot: spot(&related.at, related.place.as_ref()),
    });
    ProblemDoc {
        severity: *severity,
        code: code.name(),
        message,
        hint: hint.as_deref(),
        spot: spot(at, place.as_ref()),
        related: related.collect(),
    }
}

fn spot<'a>(at: &'a Pointer, place: Option<&'a Place>) -> PositionDoc<'a> {
    let Pointer { part: _, user, field } = at;
    PositionDoc {
        file: place.map(|place| place.file.as_str()),
        line: place.map(|place| place.line),
        column: place.map(|place| place.column),
        length: place.map(|place| place.length),
        user: *user,
        field: field.as_deref(),
    }
}
