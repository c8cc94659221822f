//! Documents for machines: one JSON object each, with `format_version` first.
//! The major version changes when a field is removed or changes its meaning;
//! fields may be added at any time.
//!
//! Long lists are written element by element, so that a plan of a million
//! actions needs no copy of itself.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::{Serialize, Serializer};

use self::document::{Document, Each, FORMAT_VERSION, Parts, write};
use self::drift::DriftDoc;
use self::explain::ExplanationDoc;
use self::plan::{HoldDoc, PlanDoc, SummaryDoc, hold_doc};
use self::plan_difference::DifferenceDoc;
use self::problem::{ProblemDoc, problem_doc};
use super::init::{InitSummary, RowLeft};
use super::{Header, Validation};
use crate::core::digest::Digest;
use crate::core::drift::{Drift, Others};
use crate::core::explain::Explanation;
use crate::core::plan::{Hold, Plan, Verb};
use crate::core::problem::{Place, Problem, Severity};
use crate::core::report::{Outcome, Report, Stop};
use crate::core::saved::{Changes, Saved};
use crate::core::summary;
use crate::core::value::UserKey;
use crate::error::Error;

mod diagnosis;
mod document;
mod drift;
mod explain;
mod mapping;
mod plan;
mod plan_difference;
mod problem;
pub mod receipt;
#[cfg(test)]
mod tests;

pub use self::diagnosis::diagnosis;
pub use self::mapping::mapping;

/// Writes a whole plan.
///
/// # Errors
/// The writer's own.
pub fn plan(out: &mut dyn Write, plan: &Plan, header: &Header) -> io::Result<()> {
    write(out, "plan", PlanDoc::new(plan, header))
}

/// Writes what changed on Whop since the last apply.
///
/// # Errors
/// The writer's own.
pub fn drift(out: &mut dyn Write, drift: &Drift, header: &Header, others: Others) -> io::Result<()> {
    write(out, "drift", DriftDoc::new(drift, header, others))
}

/// Writes the result of `init`.
///
/// # Errors
/// The writer's own.
pub fn made(out: &mut dyn Write, made: &InitSummary) -> io::Result<()> {
    let InitSummary {
        created,
        kept,
        ignore,
        users,
        left,
        unused,
        problems,
    } = made;
    let content = MadeDoc {
        created,
        kept,
        gitignore_lacks: ignore,
        users: *users,
        left_out: Each(left, row_doc),
        unused_columns: unused,
        problems: *problems,
    };
    write(out, "init", content)
}

#[derive(Serialize)]
struct MadeDoc<'a, R> {
    created: &'a [String],
    kept: &'a [String],
    gitignore_lacks: &'a [&'static str],
    users: usize,
    left_out: R,
    unused_columns: &'a [String],
    problems: usize,
}

#[derive(Serialize)]
struct RowDoc<'a> {
    line: usize,
    why: &'a str,
}

fn row_doc(row: &RowLeft) -> RowDoc<'_> {
    RowDoc {
        line: row.line,
        why: &row.why,
    }
}

/// Writes everything about one user.
///
/// # Errors
/// The writer's own.
pub fn explanation(
    out: &mut dyn Write,
    explained: &Explanation<'_>,
    place: Option<&Place>,
) -> io::Result<()> {
    write(out, "explanation", ExplanationDoc::new(explained, place))
}

/// Writes the result of carrying out a plan, with the plan's summary and holds.
///
/// # Errors
/// The writer's own.
pub fn report(out: &mut dyn Write, report: &Report, plan: &Plan, header: &Header) -> io::Result<()> {
    write(out, "report", ReportDoc::new(report, plan, header))
}

/// Writes an error, together with the plan that it refuses, if any, so that one
/// document has everything.
///
/// # Errors
/// The writer's own.
pub fn error(out: &mut dyn Write, error: &Error, refused: Option<(&Plan, &Header)>) -> io::Result<()> {
    write(out, "error", error_doc(error, refused))
}

/// Writes why a saved plan is refused, with all differences.
///
/// # Errors
/// The writer's own.
pub fn stale(out: &mut dyn Write, error: &Error, changes: &Changes) -> io::Result<()> {
    let content = ErrorDoc {
        moved: Some(DifferenceDoc::new(changes)),
        ..error_doc(error, None)
    };
    write(out, "error", content)
}

/// Writes a plan to save: the document that `apply` reads.
///
/// # Errors
/// The writer's own.
pub fn saved(out: &mut dyn Write, saved: &Saved) -> io::Result<()> {
    write(out, "saved_plan", saved)
}

/// Writes that a saved plan was carried out before: an empty report.
///
/// # Errors
/// The writer's own.
pub fn already_applied(
    out: &mut dyn Write,
    digest: Digest,
    nothing: &Report,
    plan: &Plan,
    header: &Header,
) -> io::Result<()> {
    let content = ReportDoc {
        digest,
        already_applied: true,
        ..ReportDoc::new(nothing, plan, header)
    };
    write(out, "report", content)
}

/// Writes the findings of `validate`.
///
/// # Errors
/// The writer's own.
pub fn validation(out: &mut dyn Write, validation: &Validation<'_>) -> io::Result<()> {
    let Validation {
        users,
        avatars,
        problems,
    } = *validation;
    let of = |severity| problems.iter().filter(|p| p.severity == severity).count();
    let content = ValidationDoc {
        valid: validation.is_valid(),
        users,
        avatars,
        errors: of(Severity::Error),
        warnings: of(Severity::Warning),
        problems: Each(problems, problem_doc),
    };
    write(out, "validation", content)
}

/// Writes a text that is not meant for machines, such as a help page, so that
/// JSON mode prints one document on every exit.
///
/// # Errors
/// The writer's own.
pub fn text(out: &mut dyn Write, kind: &'static str, text: &str) -> io::Result<()> {
    write(out, kind, BTreeMap::from([("text", text)]))
}

/// Writes where the emulator listens, on one line, since programs that wait for
/// it read only one.
///
/// # Errors
/// The writer's own.
pub fn serving(out: &mut dyn Write, server: &str) -> io::Result<()> {
    let document = Document {
        format_version: FORMAT_VERSION,
        kind: "emulator",
        content: BTreeMap::from([("server", server)]),
    };
    serde_json::to_writer(&mut *out, &document)?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct ReportDoc<'a> {
    digest: Digest,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    already_applied: bool,
    company: &'a str,
    server: &'a str,
    api_version: &'a str,
    complete: bool,
    stopped: Option<Stop>,
    summary: SummaryDoc,
    done: &'a BTreeMap<Verb, usize>,
    pictures: usize,
    troubled: Troubled<'a>,
    holds: Parts<'a, Hold, HoldDoc<'a>>,
    requests: &'a BTreeMap<&'static str, u64>,
    elapsed_seconds: f64,
}

impl<'a> ReportDoc<'a> {
    fn new(report: &'a Report, plan: &'a Plan, header: &'a Header) -> Self {
        let Report {
            done,
            pictures,
            troubled,
            stopped,
            requests,
            elapsed,
        } = report;
        Self {
            digest: summary::digest(plan),
            already_applied: false,
            company: header.company.as_str(),
            server: &header.server,
            api_version: &header.version,
            complete: report.is_complete(),
            stopped: *stopped,
            summary: SummaryDoc::new(plan),
            done,
            pictures: *pictures,
            troubled: Troubled(troubled),
            holds: Each(&plan.holds, hold_doc),
            requests,
            elapsed_seconds: (elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
        }
    }
}

/// The users whose action did not succeed, as a list.
struct Troubled<'a>(&'a BTreeMap<UserKey, Outcome>);

#[derive(Serialize)]
struct TroubledDoc<'a> {
    id: &'a UserKey,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

impl Serialize for Troubled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let users = self.0.iter();
        serializer.collect_seq(users.map(|(id, outcome)| TroubledDoc { id, outcome }))
    }
}

#[derive(Serialize)]
struct ErrorDoc<'a> {
    code: &'static str,
    exit_status: u8,
    message: &'a str,
    hint: Option<&'a str>,
    causes: Vec<String>,
    problems: Parts<'a, Problem, ProblemDoc<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanDoc<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    moved: Option<DifferenceDoc<'a>>,
}

fn error_doc<'a>(error: &'a Error, refused: Option<(&'a Plan, &'a Header)>) -> ErrorDoc<'a> {
    ErrorDoc {
        code: error.code().as_str(),
        exit_status: error.code().exit() as u8,
        message: error.message(),
        hint: error.what_to_do(),
        causes: error.causes(),
        problems: Each(error.manifest_problems(), problem_doc),
        plan: refused.map(|(plan, header)| PlanDoc::new(plan, header)),
        moved: None,
    }
}

#[derive(Serialize)]
struct ValidationDoc<P> {
    valid: bool,
    users: usize,
    avatars: usize,
    errors: usize,
    warnings: usize,
    problems: P,
}
