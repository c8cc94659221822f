//! Documents for machines: one JSON object each, `format_version` first. The
//! major version changes when a field goes or means something else; new
//! fields may come any time.
//!
//! Long lists are written element by element, so that a plan of a million
//! actions needs no copy of itself.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use serde::{Serialize, Serializer};

use super::fields::{self, Field, Value};
use super::safe::SafeJson;
use super::words;
use super::{Header, Validation};
use crate::core::digest::Digest;
use crate::core::model::{Avatar, Dialect, Known, KnownUser, Place, Pointer, Problem, Severity};
use crate::core::plan::{
    Action, Breach, Cause, Evidence, Hold, Kind, Learned, PictureChange, Plan, Reads, Step, Unmanaged,
};
use crate::core::report::{Outcome, Report, Stop, Verb};
use crate::core::summary::{self, Counts, REQUESTS_PER_MINUTE};
use crate::core::value::{AccountId, ImageFormat, UserId, UserKey};
use crate::error::Error;

/// The version of these documents.
const FORMAT_VERSION: &str = "1.0";

/// One document: its version and kind, then its content.
#[derive(Serialize)]
struct Document<T> {
    format_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    content: T,
}

/// Writes one document and a final line end.
fn write<T: Serialize>(out: &mut dyn Write, kind: &'static str, content: T) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, SafeJson::default());
    let document = Document {
        format_version: FORMAT_VERSION,
        kind,
        content,
    };
    document.serialize(&mut serializer)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes a plan, whole.
///
/// # Errors
/// The writer's own.
pub fn plan(out: &mut dyn Write, plan: &Plan, header: &Header) -> io::Result<()> {
    write(out, "plan", PlanDoc::new(plan, header))
}

/// Writes how carrying out a plan went, with the plan's summary and holds.
///
/// # Errors
/// The writer's own.
pub fn report(out: &mut dyn Write, report: &Report, plan: &Plan, header: &Header) -> io::Result<()> {
    write(out, "report", ReportDoc::new(report, plan, header))
}

/// Writes an error. The plan it refuses, if any, goes with it, so that one
/// document says everything.
///
/// # Errors
/// The writer's own.
pub fn error(out: &mut dyn Write, error: &Error, refused: Option<(&Plan, &Header)>) -> io::Result<()> {
    let content = ErrorDoc {
        code: error.code().as_str(),
        exit_status: error.code().exit() as u8,
        message: error.message(),
        hint: error.what_to_do(),
        causes: error.causes(),
        problems: Each(error.manifest_problems(), problem_doc),
        plan: refused.map(|(plan, header)| PlanDoc::new(plan, header)),
    };
    write(out, "error", content)
}

/// Writes what `validate` found.
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

/// Writes the mapping, or the one user of it that is asked for.
///
/// # Errors
/// The writer's own.
pub fn mapping(
    out: &mut dyn Write,
    known: &Known,
    only: Option<&UserKey>,
    company: &str,
    server: &str,
) -> io::Result<()> {
    let content = MappingDoc {
        company,
        server,
        users: Users { known, only },
    };
    write(out, "mapping", content)
}

/// Writes a text that is not made for machines, such as a help page, so that
/// JSON mode prints one document on every exit.
///
/// # Errors
/// The writer's own.
pub fn text(out: &mut dyn Write, kind: &'static str, text: &str) -> io::Result<()> {
    write(out, kind, BTreeMap::from([("text", text)]))
}

/// A list whose elements are converted while they are written.
struct Each<'a, T, F>(&'a [T], F);

impl<'a, T, F, D> Serialize for Each<'a, T, F>
where
    F: Fn(&'a T) -> D,
    D: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(&self.1))
    }
}

/// A list of plan parts, each converted by a plain function.
type Parts<'a, T, D> = Each<'a, T, fn(&'a T) -> D>;

#[derive(Serialize)]
struct PlanDoc<'a> {
    digest: Digest,
    basis: Basis,
    company: &'a str,
    server: &'a str,
    api_version: &'a str,
    dialect: Dialect,
    partial: bool,
    summary: SummaryDoc,
    reads: Reads,
    requests: BTreeMap<&'static str, u64>,
    estimate_seconds: u64,
    breaches: Parts<'a, Breach, BreachDoc>,
    actions: Parts<'a, Action, ActionDoc<'a>>,
    holds: Parts<'a, Hold, HoldDoc<'a>>,
    learned: Parts<'a, Learned, LearnedDoc<'a>>,
    unmanaged: Parts<'a, Unmanaged, UnmanagedDoc<'a>>,
    unchanged: usize,
}

/// What the plan was made from.
#[derive(Serialize)]
struct Basis {
    manifest: Digest,
}

impl<'a> PlanDoc<'a> {
    fn new(plan: &'a Plan, header: &'a Header) -> Self {
        let Plan {
            platform: _,
            actions,
            holds,
            learned,
            unmanaged,
            unchanged,
            left_out,
            breaches,
            reads,
        } = plan;
        let Header {
            company,
            server,
            dialect,
            version,
            manifest,
        } = header;
        let requests = summary::requests(plan, *dialect);
        Self {
            digest: summary::digest(plan),
            basis: Basis { manifest: *manifest },
            company: company.as_str(),
            server,
            api_version: version,
            dialect: *dialect,
            partial: *left_out > 0,
            summary: SummaryDoc::new(summary::counts(plan)),
            reads: *reads,
            estimate_seconds: summary::floor_seconds(&requests, REQUESTS_PER_MINUTE),
            requests,
            breaches: Each(breaches, breach_doc),
            actions: Each(actions, action_doc),
            holds: Each(holds, hold_doc),
            learned: Each(learned, learned_doc),
            unmanaged: Each(unmanaged, unmanaged_doc),
            unchanged: *unchanged,
        }
    }
}

#[derive(Serialize)]
struct SummaryDoc {
    create: usize,
    adopt: usize,
    update: usize,
    forget: usize,
    hold: usize,
    pictures: usize,
    uploads: usize,
    pictures_again: usize,
    learned: usize,
    unmanaged: usize,
    unchanged: usize,
    left_out: usize,
}

impl SummaryDoc {
    fn new(counts: Counts) -> Self {
        let Counts {
            create,
            adopt,
            update,
            forget,
            pictures,
            uploads,
            pictures_again,
            hold,
            learned,
            unmanaged,
            unchanged,
            left_out,
        } = counts;
        Self {
            create,
            adopt,
            update,
            forget,
            hold,
            pictures,
            uploads,
            pictures_again,
            learned,
            unmanaged,
            unchanged,
            left_out,
        }
    }
}

#[derive(Serialize)]
struct BreachDoc {
    #[serde(flatten)]
    breach: Breach,
    message: String,
    what_to_do: String,
}

fn breach_doc(breach: &Breach) -> BreachDoc {
    let words = words::breach(breach);
    BreachDoc {
        breach: *breach,
        message: words.message,
        what_to_do: words.what_to_do,
    }
}

#[derive(Serialize)]
struct ActionDoc<'a> {
    id: &'a UserKey,
    kind: Verb,
    cause: Option<Cause>,
    account_id: Option<&'a AccountId>,
    user_id: Option<&'a UserId>,
    renamed_from: Option<&'a UserKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found_by: Option<Evidence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<&'a AccountId>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    resend: bool,
    fields: Vec<FieldDoc<'a>>,
    steps: Vec<Step>,
}

fn action_doc(action: &Action) -> ActionDoc<'_> {
    let (found_by, replaces, resend) = match &action.kind {
        Kind::Create(new) => (None, new.replaces.as_ref(), new.resend.is_some()),
        Kind::Adopt { entry: _, by } => (Some(*by), None, false),
        Kind::Update { entry: _, record: _ } | Kind::Forget { link: _ } => (None, None, false),
    };
    let link = action.link();
    ActionDoc {
        id: &action.key,
        kind: action.verb(),
        cause: summary::cause(action),
        account_id: link.map(|link| &link.account),
        user_id: link.map(|link| &link.owner),
        renamed_from: action.renamed_from.as_ref(),
        found_by,
        replaces,
        resend,
        fields: fields::of(action).into_iter().map(field_doc).collect(),
        steps: action.steps(),
    }
}

#[derive(Serialize)]
struct FieldDoc<'a> {
    name: std::borrow::Cow<'a, str>,
    old: Option<OldDoc<'a>>,
    new: NewDoc<'a>,
    cause: Cause,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OldDoc<'a> {
    Text(&'a str),
    Picture {
        digest: Option<Digest>,
        url: Option<&'a str>,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum NewDoc<'a> {
    Text(&'a str),
    Picture(AvatarDoc<'a>),
}

#[derive(Serialize)]
struct AvatarDoc<'a> {
    file: &'a str,
    digest: Digest,
    format: ImageFormat,
    bytes: u64,
    width: u32,
    height: u32,
}

fn field_doc(field: Field<'_>) -> FieldDoc<'_> {
    let Field { name, value, cause } = field;
    let (old, new) = match value {
        Value::Text { old, new } => (old.map(OldDoc::Text), NewDoc::Text(new)),
        Value::Picture(change) => picture_doc(change),
    };
    FieldDoc {
        name,
        old,
        new,
        cause,
    }
}

fn picture_doc(change: &PictureChange) -> (Option<OldDoc<'_>>, NewDoc<'_>) {
    let PictureChange {
        old,
        old_url,
        new,
        cause: _,
    } = change;
    let Avatar {
        path,
        part: _,
        digest,
        format,
        bytes,
        width,
        height,
    } = new;
    let known = old.is_some() || old_url.is_some();
    let old = known.then_some(OldDoc::Picture {
        digest: *old,
        url: old_url.as_deref(),
    });
    let new = NewDoc::Picture(AvatarDoc {
        file: path,
        digest: *digest,
        format: *format,
        bytes: *bytes,
        width: *width,
        height: *height,
    });
    (old, new)
}

#[derive(Serialize)]
struct HoldDoc<'a> {
    id: &'a UserKey,
    reason: &'static str,
    message: String,
    what_to_do: String,
}

fn hold_doc(hold: &Hold) -> HoldDoc<'_> {
    let Hold { key, reason } = hold;
    let words = words::reason(reason);
    HoldDoc {
        id: key,
        reason: reason.code(),
        message: words.message,
        what_to_do: words.what_to_do,
    }
}

#[derive(Serialize)]
struct LearnedDoc<'a> {
    id: &'a UserKey,
    account_id: &'a AccountId,
    user_id: &'a UserId,
}

fn learned_doc(learned: &Learned) -> LearnedDoc<'_> {
    let Learned { key, entry } = learned;
    LearnedDoc {
        id: key,
        account_id: &entry.link.account,
        user_id: &entry.link.owner,
    }
}

#[derive(Serialize)]
struct UnmanagedDoc<'a> {
    account_id: &'a AccountId,
    id: Option<&'a UserKey>,
    title: Option<&'a str>,
}

fn unmanaged_doc(unmanaged: &Unmanaged) -> UnmanagedDoc<'_> {
    let Unmanaged { account, key, title } = unmanaged;
    UnmanagedDoc {
        account_id: account,
        id: key.as_ref(),
        title: title.as_deref(),
    }
}

#[derive(Serialize)]
struct ReportDoc<'a> {
    digest: Digest,
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
            company: header.company.as_str(),
            server: &header.server,
            api_version: &header.version,
            complete: report.is_complete(),
            stopped: *stopped,
            summary: SummaryDoc::new(summary::counts(plan)),
            done,
            pictures: *pictures,
            troubled: Troubled(troubled),
            holds: Each(&plan.holds, hold_doc),
            requests,
            elapsed_seconds: (elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
        }
    }
}

/// The users whose action did not end well, as a list.
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
struct ErrorDoc<'a, P> {
    code: &'static str,
    exit_status: u8,
    message: &'a str,
    hint: Option<&'a str>,
    causes: Vec<String>,
    problems: P,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanDoc<'a>>,
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

#[derive(Serialize)]
struct ProblemDoc<'a> {
    severity: Severity,
    code: &'static str,
    message: &'a str,
    hint: Option<&'a str>,
    #[serde(flatten)]
    spot: SpotDoc<'a>,
    related: Vec<RelatedDoc<'a>>,
}

/// Where something stands: in the text, and in the manifest's own terms.
#[derive(Serialize)]
struct SpotDoc<'a> {
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
    spot: SpotDoc<'a>,
}

fn problem_doc(problem: &Problem) -> ProblemDoc<'_> {
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
        code,
        message,
        hint: hint.as_deref(),
        spot: spot(at, place.as_ref()),
        related: related.collect(),
    }
}

fn spot<'a>(at: &'a Pointer, place: Option<&'a Place>) -> SpotDoc<'a> {
    let Pointer { part: _, user, field } = at;
    SpotDoc {
        file: place.map(|place| place.file.as_str()),
        line: place.map(|place| place.line),
        column: place.map(|place| place.column),
        length: place.map(|place| place.length),
        user: *user,
        field: field.as_deref(),
    }
}

#[derive(Serialize)]
struct MappingDoc<'a> {
    company: &'a str,
    server: &'a str,
    users: Users<'a>,
}

/// The users of a mapping, all or one.
struct Users<'a> {
    known: &'a Known,
    only: Option<&'a UserKey>,
}

#[derive(Serialize)]
struct UserDoc<'a> {
    id: &'a UserKey,
    #[serde(flatten)]
    entry: &'a KnownUser,
}

impl Serialize for Users<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let users = super::mapping::chosen(self.known, self.only);
        serializer.collect_seq(users.map(|(id, entry)| UserDoc { id, entry }))
    }
}
