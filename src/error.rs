//! The one error, its stable codes, and the exit status of each.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;

use crate::core::problem::{Problem, Severity};
use crate::fsys::Refusal;

/// What ends a run early: a code for machines, a sentence for people, what to
/// do next, and the causes below it.
#[derive(Debug)]
pub struct Error {
    code: Code,
    message: String,
    hint: Option<String>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    problems: Vec<Problem>,
}

/// The result of everything that can end a run.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this code. The message is one sentence without a full stop
    /// and holds no secret.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            cause: None,
            problems: Vec::new(),
        }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what to do next, unless that was said already.
    #[must_use]
    pub fn or_hint(self, hint: impl Into<String>) -> Self {
        match self.hint {
            Some(_) => self,
            None => self.hint(hint),
        }
    }

    /// Adds what it came from.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// An operation on a file that failed; `doing` is a verb such as `read`.
    /// Where we refused to open it, the way out is said too.
    pub fn file(doing: &str, path: &Path, cause: io::Error) -> Self {
        let error = Self::new(Code::IoFailed, format!("could not {doing} `{}`", path.display()));
        let error = match Refusal::behind(&cause) {
            Some(refusal) => error.hint(refusal.way_out()),
            None => error,
        };
        error.caused_by(cause)
    }

    /// A manifest or picture with problems, all of them.
    pub fn problems(problems: Vec<Problem>) -> Self {
        let errors = problems.iter().filter(|p| p.severity == Severity::Error);
        let (count, more) = Problem::count(errors);
        let noun = if count == 1 { "problem" } else { "problems" };
        let least = if more { "more than " } else { "" };
        let message = format!("the manifest has {least}{count} {noun}");
        Self {
            problems,
            ..Self::new(Code::ManifestInvalid, message)
        }
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next.
    pub fn what_to_do(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The manifest's problems, where it is about them.
    pub fn manifest_problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The causes, outermost first, each as one line.
    pub fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut next: Option<&dyn StdError> = self.source();
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        causes
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.cause {
            None => None,
            Some(cause) => Some(&**cause),
        }
    }
}

/// Exit statuses, which pipelines rely on: a number never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; nothing to do, or everything done.
    Done = 0,
    /// Network, key, permission or I/O.
    Failed = 1,
    /// Changes are pending.
    Pending = 2,
    /// A guardrail refused.
    Refused = 3,
    /// The saved plan is stale, or another digest was expected.
    Stale = 4,
    /// Some users failed or were left; the rest are done and recorded.
    Partial = 5,
    /// Another run holds the mapping.
    Locked = 6,
    /// The manifest or a picture is invalid.
    Invalid = 7,
    /// Unknown flag or bad value.
    Usage = 64,
    /// Stopped by a signal; work in hand was finished and recorded.
    Interrupted = 130,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal => $exit:ident,)*) => {
        /// Stable codes, dotted; each with the exit status it ends in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as text.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The exit status it ends in.
            pub fn exit(self) -> Exit {
                match self { $(Self::$name => Exit::$exit,)* }
            }
        }
    };
}

codes! {
    /// An invalid option, value or combination of them.
    Usage = "usage.invalid" => Usage,
    /// The manifest or a picture has problems; they are listed.
    ManifestInvalid = "manifest.invalid" => Invalid,
    /// There is no manifest where it was looked for.
    ManifestMissing = "manifest.missing" => Invalid,
    /// `--only` or an argument names a user that the manifest does not have.
    UserUnknown = "user.unknown" => Usage,
    /// The mapping cannot be read as one.
    MappingUnreadable = "mapping.unreadable" => Failed,
    /// The mapping belongs to another company or server.
    MappingForeign = "mapping.foreign" => Failed,
    /// The mapping was written by a newer version.
    MappingNewer = "mapping.newer" => Failed,
    /// Another run holds the mapping.
    MappingLocked = "mapping.locked" => Locked,
    /// The journal cannot be read as one.
    JournalUnreadable = "journal.unreadable" => Failed,
    /// No key was given.
    KeyMissing = "key.missing" => Failed,
    /// Whop does not know the key.
    KeyRefused = "key.refused" => Failed,
    /// The key lacks a scope; it is named.
    PermissionMissing = "permission.missing" => Failed,
    /// The company is unknown, or not the key's.
    CompanyUnknown = "company.unknown" => Failed,
    /// Whop does not know the API version.
    VersionUnknown = "version.unknown" => Failed,
    /// Whop could not be reached.
    NetworkFailed = "network.failed" => Failed,
    /// Whop answered with an error of its own.
    ServerFailed = "server.failed" => Failed,
    /// Whop refused a request that the whole run needs.
    RequestRefused = "request.refused" => Failed,
    /// Whop's answer cannot be understood.
    AnswerInvalid = "answer.invalid" => Failed,
    /// A guardrail refused the plan.
    PlanRefused = "plan.refused" => Refused,
    /// The plan is not the one expected.
    PlanStale = "plan.stale" => Stale,
    /// The saved plan cannot be read as one.
    PlanUnreadable = "plan.unreadable" => Failed,
    /// The plan was not confirmed.
    PlanDeclined = "plan.declined" => Failed,
    /// Some users failed or were left.
    ApplyIncomplete = "apply.incomplete" => Partial,
    /// The run was interrupted.
    Interrupted = "run.interrupted" => Interrupted,
    /// A file could not be read or written.
    IoFailed = "io.failed" => Failed,
    /// A bug in this program.
    Internal = "internal" => Failed,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_dotted_words() {
        let texts: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len(), "two codes share a text");
        for text in texts {
            assert!(
                text.split('.')
                    .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase())),
                "{text}"
            );
        }
    }
}
