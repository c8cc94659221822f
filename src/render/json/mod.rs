//! Documents for machines: one JSON object each, `format_version` first. The
//! major version changes when a field goes or means something else; new
//! fields may come any time.
//!
//! Long lists are written element by element, so that a plan of a million
//! actions needs no copy of itself.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use serde::{Serialize, Serializer};

use self::drift::DriftDoc;
use self::explain::ExplanationDoc;
use self::moved::MovedDoc;
use self::plan::{HoldDoc, PlanDoc, SummaryDoc, hold_doc};
use self::problem::{ProblemDoc, problem_doc};
use super::init::{Made, RowLeft};
use super::safe::SafeJson;
use super::{Header, Validation};
use crate::core::digest::Digest;
use crate::core::drift::{Drift, Others};
use crate::core::explain::Explanation;
use crate::core::model::{AppliedPicture, Known, KnownUser, Link, Place, Problem, Severity};
use crate::core::plan::{Hold, Plan};
use crate::core::report::{Outcome, Report, Stop, Verb};
use crate::core::saved::{Changes, Saved};
use crate::core::summary;
use crate::core::text::Texts;
use crate::core::value::UserKey;
use crate::error::Error;

mod diagnosis;
mod drift;
mod explain;
mod moved;
mod plan;
mod problem;
pub mod receipt;

pub use self::diagnosis::diagnosis;

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

/// Writes what changed on Whop behind the manifest's back.
///
/// # Errors
/// The writer's own.
pub fn drift(out: &mut dyn Write, drift: &Drift, header: &Header, others: Others) -> io::Result<()> {
    write(out, "drift", DriftDoc::new(drift, header, others))
}

/// Writes what `init` made.
///
/// # Errors
/// The writer's own.
pub fn made(out: &mut dyn Write, made: &Made) -> io::Result<()> {
    let Made {
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

/// Writes one user from every side.
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
    write(out, "error", error_doc(error, refused))
}

/// Writes why a saved plan is refused, with all that has moved.
///
/// # Errors
/// The writer's own.
pub fn stale(out: &mut dyn Write, error: &Error, changes: &Changes) -> io::Result<()> {
    let content = ErrorDoc {
        moved: Some(MovedDoc::new(changes)),
        ..error_doc(error, None)
    };
    write(out, "error", content)
}

/// Writes a plan to be saved: the document that `apply` reads.
///
/// # Errors
/// The writer's own.
pub fn saved(out: &mut dyn Write, saved: &Saved) -> io::Result<()> {
    write(out, "saved_plan", saved)
}

/// Writes that a saved plan was carried out before: a report of nothing.
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

/// Writes where the emulator listens, in one line: who waits for it reads no
/// further.
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
    moved: Option<MovedDoc<'a>>,
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

/// One user of a mapping, flat: a script should need no second step to get at
/// an id.
#[derive(Serialize)]
struct UserDoc<'a> {
    id: &'a UserKey,
    #[serde(flatten)]
    link: &'a Link,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "no_texts")]
    metadata: &'a Texts,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<&'a AppliedPicture>,
}

fn no_texts(texts: &Texts) -> bool {
    texts.is_empty()
}

impl<'a> UserDoc<'a> {
    fn new(id: &'a UserKey, entry: &'a KnownUser) -> Self {
        let KnownUser {
            link,
            name,
            title,
            metadata,
            picture,
        } = entry;
        Self {
            id,
            link,
            name: name.as_deref(),
            title: title.as_deref(),
            metadata,
            picture: picture.as_ref(),
        }
    }
}

impl Serialize for Users<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let users = super::mapping::chosen(self.known, self.only);
        serializer.collect_seq(users.map(|(id, entry)| UserDoc::new(id, entry)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::super::safe::is_hostile;
    use super::*;
    use crate::core::model::{Dialect, Guard, Limit, Pointer, Related};
    use crate::core::plan::{Breach, Cause, Evidence, Kind, Learned, Reads, Step};
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
            "create": 1, "adopt": 0, "update": 1, "forget": 1, "hold": 12, "pictures": 2, "uploads": 2,
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
        assert_eq!(value["holds"].as_array().map(Vec::len), Some(12));
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
            new.resend = Some(sample::prepared());
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
    fn a_report_lists_who_needs_someone() {
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
        assert_eq!(value["holds"].as_array().map(Vec::len), Some(12));
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
            code: "duplicate_email",
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
            .hint("mend it");
        let value = read(|out| super::error(out, &error, None));
        let expected = json!({
            "format_version": "1.0",
            "kind": "error",
            "code": "manifest.invalid",
            "exit_status": 7,
            "message": "the manifest has 1 problem",
            "hint": "mend it",
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
    fn a_validation_tells_errors_from_warnings() {
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
        entry.picture = Some(AppliedPicture {
            digest: Digest::of(b"a"),
            url: None,
        });
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
    fn a_document_is_written_as_it_is_made() {
        /// Counts what arrives, and in how large pieces.
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
}
