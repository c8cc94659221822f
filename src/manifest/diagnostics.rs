//! Collects problems, counts those beyond a limit, and helps with their
//! wording.

use std::collections::BTreeMap;

use crate::core::problem::{Pointer, Problem, Severity};
use crate::core::problem_code::ProblemCode;

/// The most errors that are reported; further ones are counted. A million users
/// without an email are one mistake, not a million.
const MOST_PROBLEMS: usize = 1_000;
/// The most warnings of one kind that are reported.
const MOST_WARNINGS: usize = 20;
/// The most characters of a text that a message quotes.
const MOST_REPEATED: usize = 60;

/// Everything found so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    errors: Vec<Problem>,
    /// The number of errors beyond the limit.
    errors_left_out: usize,
    warnings: Vec<Problem>,
    /// How many warnings of each kind there are.
    warned: BTreeMap<ProblemCode, usize>,
}

impl Found {
    /// Keeps an error, or counts it.
    pub(super) fn push(&mut self, problem: Problem) {
        if self.has_room() {
            self.errors.push(problem);
        } else {
            self.errors_left_out += 1;
        }
    }

    /// Whether another error would be kept.
    pub(super) fn has_room(&self) -> bool {
        self.errors.len() < MOST_PROBLEMS
    }

    /// Whether there are no errors.
    pub(super) fn is_fine(&self) -> bool {
        self.errors.is_empty()
    }

    /// Keeps a warning, or counts it.
    pub(super) fn warn(&mut self, problem: Problem) {
        let count = self.warned.entry(problem.code).or_default();
        *count += 1;
        if *count <= MOST_WARNINGS {
            self.warnings.push(problem);
        }
    }

    /// Appends the findings of another collection.
    pub(super) fn append(&mut self, other: Self) {
        other.errors.into_iter().for_each(|problem| self.push(problem));
        self.errors_left_out += other.errors_left_out;
        other.warnings.into_iter().for_each(|problem| self.warn(problem));
        for (code, count) in other.warned {
            // The kept ones have just been counted.
            *self.warned.entry(code).or_default() += count.saturating_sub(MOST_WARNINGS);
        }
    }

    /// Errors and warnings, each followed by the number of those left out.
    pub(super) fn all(self) -> (Vec<Problem>, Vec<Problem>) {
        let Self {
            mut errors,
            errors_left_out,
            mut warnings,
            warned,
        } = self;
        let more =
            |problems: &mut Vec<Problem>, code: Option<ProblemCode>, count: usize, what: &str, hint: &str| {
                let of_kind = |problem: &&Problem| code.is_none_or(|code| problem.code == code);
                let last = problems.iter().rfind(of_kind).filter(|_| count > 0);
                if let Some(at) = last.map(|last| last.at.clone()) {
                    problems.push(error(
                        ProblemCode::More,
                        at,
                        format!("… and {count} more {what}"),
                        hint,
                    ));
                }
            };
        more(
            &mut errors,
            None,
            errors_left_out,
            "problems",
            "fix the listed ones first; they often have the same cause",
        );
        for (code, count) in warned {
            let (what, hint) = match code {
                ProblemCode::ReservedEmail => ("addresses at reserved domains", RESERVED_HINT),
                _ => ("pictures with metadata", NOTES_HINT),
            };
            more(
                &mut warnings,
                Some(code),
                count.saturating_sub(MOST_WARNINGS),
                what,
                hint,
            );
        }
        for warning in &mut warnings {
            warning.severity = Severity::Warning;
        }
        (errors, warnings)
    }
}

/// What to do about an address at a reserved domain.
pub(super) const RESERVED_HINT: &str =
    "the emulator accepts it; Whop may refuse it as undeliverable, since no mail can arrive there";

/// What to do about metadata in a picture.
pub(super) const NOTES_HINT: &str = "set `strip_metadata: true`, for the manifest or for the user, to remove \
    metadata from pictures; `false` for the user keeps it and silences this warning";

/// An error whose place has not been looked up yet.
pub(super) fn error(
    code: ProblemCode,
    at: Pointer,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> Problem {
    Problem {
        severity: Severity::Error,
        code,
        message: message.into(),
        hint: Some(hint.into()),
        at,
        place: None,
        related: Vec::new(),
    }
}

/// A text from the manifest for use in a message: quoted, and cut if it is
/// long.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MOST_REPEATED) {
        None => format!("`{text}`"),
        Some((end, _)) => format!("`{}…`", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_problems_is_counted() {
        let mut found = Found::default();
        for _ in 0..MOST_PROBLEMS + 5 {
            found.push(error(ProblemCode::BadId, Pointer::default(), "m", "h"));
        }
        let (errors, warnings) = found.all();
        assert_eq!(errors.len(), MOST_PROBLEMS + 1);
        assert_eq!(errors[MOST_PROBLEMS].message, "… and 5 more problems");
        assert!(warnings.is_empty());
    }

    #[test]
    fn long_texts_are_quoted_in_part() {
        assert_eq!(quoted("é"), "`é`");
        assert_eq!(
            quoted(&"é".repeat(99)),
            format!("`{}…`", "é".repeat(MOST_REPEATED))
        );
    }
}
