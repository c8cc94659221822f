//! A permanent record of one apply: each request, what it changed for whom, and
//! how Whop answered.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::SystemTime;

use serde::Serialize;

use super::super::Header;
use super::document::{Each, Parts};
use super::plan::{HoldDoc, hold_doc};
use crate::core::digest::Digest;
use crate::core::field::{Owner, owner};
use crate::core::lineage::Commit;
use crate::core::plan::{Hold, Plan, Step, Verb};
use crate::core::report::{Event, Failure, Outcome, Report, Stop, Subject, Trace};
use crate::core::saved::{SavedAction, SavedField};
use crate::core::value::{AccountId, UserId, UserKey};
use crate::error::{Error, Exit};

/// What is recorded while a plan is carried out: the end of each step with its
/// time. Bounded by the plan.
#[derive(Debug, Default)]
pub struct StepLog(Vec<(SystemTime, LogEntry)>);

/// An entry of the log.
#[derive(Debug)]
enum LogEntry {
    Done {
        step: Step,
        subject: Subject,
        trace: Trace,
    },
    Failed {
        key: UserKey,
        failure: Failure,
        in_doubt: bool,
    },
    Left {
        key: UserKey,
    },
}

impl StepLog {
    /// Records an event at this time.
    pub fn on(&mut self, event: &Event, at: SystemTime) {
        let noted = match event {
            Event::Stepped { step, subject, trace } => LogEntry::Done {
                step: *step,
                subject: subject.clone(),
                trace: trace.clone(),
            },
            Event::Ended { key, outcome, .. } => match outcome {
                Outcome::Done => return,
                Outcome::Failed(failure) | Outcome::InDoubt(failure) => LogEntry::Failed {
                    key: key.clone(),
                    failure: failure.clone(),
                    in_doubt: matches!(outcome, Outcome::InDoubt(_)),
                },
                Outcome::Left { .. } => LogEntry::Left { key: key.clone() },
            },
            Event::Began { .. } | Event::Processing { .. } | Event::Stopping { .. } => return,
        };
        self.0.push((at, noted));
    }
}

/// The content of a receipt.
#[derive(Debug)]
pub struct Receipt<'a> {
    /// The program's version.
    pub program: &'a str,
    /// The run's id, from which its idempotency keys are derived.
    pub run: &'a str,
    /// The digest of the plan or of the saved plan.
    pub digest: Digest,
    /// The commit, if known.
    pub commit: Option<&'a Commit>,
    /// What was planned for this run.
    pub plan: &'a Plan,
    /// Company, server and version.
    pub header: &'a Header,
    /// When it started.
    pub started: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// What happened.
    pub log: &'a StepLog,
    /// The totals; `None` if the run was cut off before there were any.
    pub report: Option<&'a Report>,
    /// What ended it early, if anything.
    pub error: Option<&'a Error>,
    /// The program's exit.
    pub exit: Exit,
}

/// Writes a receipt.
///
/// # Errors
/// The writer's own.
pub fn receipt(out: &mut dyn Write, receipt: &Receipt<'_>) -> io::Result<()> {
    let Receipt {
        program,
        run,
        digest,
        commit,
        plan,
        header,
        started,
        ended,
        log,
        report,
        error,
        exit,
    } = receipt;
    let left = log.0.iter().filter_map(|(_, noted)| match noted {
        LogEntry::Left { key } => Some(key),
        LogEntry::Done { .. } | LogEntry::Failed { .. } => None,
    });
    let content = ReceiptDoc {
        program,
        run,
        digest: *digest,
        manifest: header.manifest,
        commit: commit.map(Commit::as_str),
        company: header.company.as_str(),
        server: &header.server,
        api_version: &header.version,
        started: time(*started),
        ended: time(*ended),
        exit_status: *exit as u8,
        complete: report.is_some_and(Report::is_complete) && error.is_none(),
        stopped: report.and_then(|report| report.stopped),
        error: error.map(|error| ErrorDoc {
            code: error.code().as_str(),
            message: error.message(),
        }),
        done: report.map(|report| &report.done),
        requests: report.map(|report| &report.requests),
        steps: Steps { log, plan },
        left: left.collect(),
        holds: Each(&plan.holds, hold_doc),
    };
    super::write(out, "receipt", content)
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

#[derive(Serialize)]
struct ReceiptDoc<'a> {
    program: &'a str,
    run: &'a str,
    digest: Digest,
    manifest: Digest,
    commit: Option<&'a str>,
    company: &'a str,
    server: &'a str,
    api_version: &'a str,
    started: String,
    ended: String,
    exit_status: u8,
    complete: bool,
    stopped: Option<Stop>,
    error: Option<ErrorDoc<'a>>,
    done: Option<&'a BTreeMap<Verb, usize>>,
    requests: Option<&'a BTreeMap<&'static str, u64>>,
    steps: Steps<'a>,
    left: Vec<&'a UserKey>,
    holds: Parts<'a, Hold, HoldDoc<'a>>,
}

#[derive(Serialize)]
struct ErrorDoc<'a> {
    code: &'static str,
    message: &'a str,
}

/// The completed steps, each with what it was to change.
struct Steps<'a> {
    log: &'a StepLog,
    plan: &'a Plan,
}

impl Serialize for Steps<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let steps = self.log.0.iter();
        serializer.collect_seq(steps.filter_map(|(at, noted)| step_doc(*at, noted, self.plan)))
    }
}

#[derive(Serialize)]
struct StepDoc<'a> {
    at: String,
    id: Option<&'a UserKey>,
    step: Step,
    outcome: &'static str,
    status: Option<u16>,
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a AccountId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<Digest>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldDoc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

#[derive(Serialize)]
struct FieldDoc {
    name: String,
    before: Option<String>,
    after: String,
}

fn step_doc<'a>(at: SystemTime, noted: &'a LogEntry, plan: &Plan) -> Option<StepDoc<'a>> {
    let empty = |step, outcome, id: Option<&'a UserKey>| StepDoc {
        at: time(at),
        id,
        step,
        outcome,
        status: None,
        request_id: None,
        account_id: None,
        user_id: None,
        picture: None,
        fields: id.map_or_else(Vec::new, |id| fields(plan, id, step)),
        code: None,
        message: None,
    };
    Some(match noted {
        LogEntry::Done {
            step,
            subject,
            trace: Trace { status, request_id },
        } => {
            let (id, link, picture) = match subject {
                Subject::User(key, link) => (Some(key), Some(link), None),
                Subject::Picture(digest) => (None, None, Some(*digest)),
            };
            StepDoc {
                status: *status,
                request_id: request_id.as_deref(),
                account_id: link.map(|link| &link.account),
                user_id: link.map(|link| &link.owner),
                picture,
                ..empty(*step, "done", id)
            }
        }
        LogEntry::Failed {
            key,
            failure:
                Failure {
                    step,
                    code,
                    message,
                    hint: _,
                    status,
                    request_id,
                },
            in_doubt,
        } => StepDoc {
            status: *status,
            request_id: request_id.as_deref(),
            code: Some(code),
            message: Some(message),
            ..empty(*step, if *in_doubt { "in_doubt" } else { "failed" }, Some(key))
        },
        LogEntry::Left { .. } => return None,
    })
}

/// What a step was to change; pictures as digests.
fn fields(plan: &Plan, id: &UserKey, step: Step) -> Vec<FieldDoc> {
    let Ok(at) = plan.actions.binary_search_by(|action| action.key.cmp(id)) else {
        return Vec::new();
    };
    let belongs = |name: &str| match step {
        Step::UpdateProfile => owner(name) == Owner::Profile,
        Step::CreateAccount | Step::UpdateAccount => owner(name) == Owner::Account,
        Step::RecordLink | Step::DropLink | Step::UploadPicture => false,
    };
    let fields = SavedAction::of(&plan.actions[at]).fields.into_iter();
    fields
        .filter(|field| belongs(&field.name))
        .map(|SavedField { name, old, new, .. }| FieldDoc {
            name,
            before: old,
            after: new,
        })
        .collect()
}
