//! What happened while a plan was carried out: events as they come, and the
//! report they fold into. Progress, human, JSON and Markdown output all
//! consume these, so their numbers cannot disagree.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::digest::Digest;
use super::model::Link;
use super::plan::{Step, Verb};
use super::value::UserKey;

/// Why a step did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Which step.
    pub step: Step,
    /// A stable word, such as `permission.missing`.
    pub code: String,
    /// What happened, one sentence without a full stop.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Whop's HTTP status, if it answered.
    pub status: Option<u16>,
    /// Whop's id of the request, if it gave one.
    pub request_id: Option<String>,
}

/// Why an action was not begun, or not finished, without anything being wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stop {
    /// A signal asked to stop.
    Interrupted,
    /// The deadline was near.
    Deadline,
    /// An error that concerns every request, such as a refused key, made
    /// going on pointless.
    Fatal,
}

/// How an action ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// All steps succeeded and are recorded.
    Done,
    /// A step failed without effect; earlier steps are recorded.
    Failed(Failure),
    /// A step's answer was lost; the next run settles it.
    InDoubt(Failure),
    /// Stopped before its end; finished steps are recorded.
    Left {
        /// Why.
        why: Stop,
    },
}

/// What a step was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A user, and who that is on Whop once the step is done.
    User(UserKey, Link),
    /// A picture, which several users may share.
    Picture(Digest),
}

/// Whop's last answer to a request, as far as it is worth keeping. Empty where
/// a step sent nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// The HTTP status.
    pub status: Option<u16>,
    /// Whop's id of the request.
    pub request_id: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The work begins.
    Began {
        /// Actions to carry out.
        actions: usize,
        /// Remote calls they need at least, pictures included.
        calls: usize,
    },
    /// A remote call of the plan succeeded.
    Stepped {
        /// Which step.
        step: Step,
        /// Which user or thing it is for.
        subject: Subject,
        /// Whop's answer.
        trace: Trace,
    },
    /// An action ended.
    Ended {
        /// The user.
        key: UserKey,
        /// What it was.
        verb: Verb,
        /// Whether it set a picture.
        picture: bool,
        /// How it ended.
        outcome: Outcome,
    },
    /// Whop looks at pictures that were sent, before they can be set.
    Processing {
        /// How many.
        files: usize,
    },
    /// A stop was asked for; work in hand goes on.
    Stopping {
        /// Why.
        why: Stop,
    },
}

/// The sum of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Actions done, by verb.
    pub done: BTreeMap<Verb, usize>,
    /// Pictures set, over all users.
    pub pictures: usize,
    /// Users whose action did not end well, with how.
    pub troubled: BTreeMap<UserKey, Outcome>,
    /// Why the run stopped early, if it did.
    pub stopped: Option<Stop>,
    /// Requests sent, by operation, retries included.
    pub requests: BTreeMap<&'static str, u64>,
    /// How long it took.
    #[serde(serialize_with = "seconds")]
    pub elapsed: Duration,
}

fn seconds<S: serde::Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((elapsed.as_secs_f64() * 1000.0).round() / 1000.0)
}

impl Report {
    /// Folds one event in.
    pub fn fold(&mut self, event: &Event) {
        match event {
            Event::Began { .. } | Event::Stepped { .. } | Event::Processing { .. } => {}
            Event::Ended {
                key,
                verb,
                picture,
                outcome,
            } => {
                if *outcome == Outcome::Done {
                    *self.done.entry(*verb).or_default() += 1;
                    self.pictures += usize::from(*picture);
                } else {
                    self.troubled.insert(key.clone(), outcome.clone());
                }
            }
            Event::Stopping { why } => self.stopped = self.stopped.or(Some(*why)),
        }
    }

    /// Whether everything that was planned is done.
    pub fn is_complete(&self) -> bool {
        self.troubled.is_empty() && self.stopped.is_none()
    }
}
