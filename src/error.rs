//! The one error, its stable codes, and the exit status of each.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;

use crate::core::problem::{Problem, Severity};
use crate::fsys::Refusal;

/// What ends a run early: a code for machines, a sentence for people, advice on
/// what to do next, and the underlying causes.
#[derive(Debug)]
pub struct Error {
    code: Code,
    message: String,
    hint: Option<String>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    problems: Vec<Problem>,
}

/// The result of anything that can end a run.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Creates an error with this code. The message is one sentence without a
    /// full stop and contains no secret.
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

    /// Adds advice unless there is some already.
    #[must_use]
    pub fn or_hint(self, hint: impl Into<String>) -> Self {
        match self.hint {
            Some(_) => self,
            None => self.hint(hint),
        }
    }

    /// Adds the underlying cause.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// A failed file operation; `doing` is a verb such as `read`. Adds the
    /// remedy when it was this program that refused to open the file.
    pub fn file(doing: &str, path: &Path, cause: io::Error) -> Self {
        let error = Self::new(Code::IoFailed, format!("could not {doing} `{}`", path.display()));
        let error = match Refusal::behind(&cause) {
            Some(refusal) => error.hint(refusal.way_out()),
            None => error,
        };
        error.caused_by(cause)
    }

    /// A manifest or picture with problems. Pass all of them.
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

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next.
    pub fn what_to_do(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The problems of the manifest, if the error is about it.
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
    /// Success: nothing to do, or everything done.
    Done = 0,
    /// A network, key, permission or I/O failure.
    Failed = 1,
    /// Changes are pending.
    Pending = 2,
    /// A guardrail refused the plan.
    Refused = 3,
    /// The saved plan is stale, or another digest was expected.
    Stale = 4,
    /// Some users failed or were not reached; the rest are done and recorded.
    Partial = 5,
    /// Another run holds the mapping.
    Locked = 6,
    /// The manifest or a picture is invalid.
    Invalid = 7,
    /// Unknown flag or bad value.
    Usage = 64,
    /// Stopped by a signal; requests in flight were finished and recorded.
    Interrupted = 130,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal => $exit:ident,)*) => {
        /// Stable, dotted codes, each with its exit status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as text.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The exit status that this code ends the run with.
            pub fn exit(self) -> Exit {
                match self { $(Self::$name => Exit::$exit,)* }
            }
        }
    };
}

codes! {
    /// An invalid flag, value or combination.
    Usage = "usage.invalid" => Usage,
    /// The manifest or a picture has problems, which are listed.
    ManifestInvalid = "manifest.invalid" => Invalid,
    /// No manifest was found at the given path.
    ManifestMissing = "manifest.missing" => Invalid,
    /// `--only` or an argument names a user that the manifest does not have.
    UserUnknown = "user.unknown" => Usage,
    /// The mapping is not valid.
    MappingUnreadable = "mapping.unreadable" => Failed,
    /// The mapping belongs to another company or server.
    MappingForeign = "mapping.foreign" => Failed,
    /// The mapping was written by a newer version.
    MappingNewer = "mapping.newer" => Failed,
    /// Another run holds the mapping.
    MappingLocked = "mapping.locked" => Locked,
    /// The journal is not valid.
    JournalUnreadable = "journal.unreadable" => Failed,
    /// No key was given.
    KeyMissing = "key.missing" => Failed,
    /// Whop rejects the key.
    KeyRefused = "key.refused" => Failed,
    /// The key lacks a scope, which is named.
    PermissionMissing = "permission.missing" => Failed,
    /// The company does not exist or does not belong to the key.
    CompanyUnknown = "company.unknown" => Failed,
    /// Whop does not support the API version.
    VersionUnknown = "version.unknown" => Failed,
    /// Whop could not be reached.
    NetworkFailed = "network.failed" => Failed,
    /// Whop failed with a server error.
    ServerFailed = "server.failed" => Failed,
    /// Whop rejected a request that the whole run depends on.
    RequestRefused = "request.refused" => Failed,
    /// Whop's answer is invalid.
    AnswerInvalid = "answer.invalid" => Failed,
    /// A guardrail refused the plan.
    PlanRefused = "plan.refused" => Refused,
    /// The plan is not the expected one.
    PlanStale = "plan.stale" => Stale,
    /// The saved plan is not valid.
    PlanUnreadable = "plan.unreadable" => Failed,
    /// The plan was not confirmed.
    PlanDeclined = "plan.declined" => Failed,
    /// Some users failed or were not reached.
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
