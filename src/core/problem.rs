//! What can be wrong in a manifest, and where: named by the value it is about,
//! and by its place in the text once that was looked up.

use serde::{Deserialize, Serialize};

use super::problem_code::ProblemCode;

/// Whether a problem stops the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing can be planned.
    Error,
    /// Worth knowing; nothing stops.
    Warning,
}

/// Something wrong in a manifest or with one of its pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it stops the run.
    pub severity: Severity,
    /// What kind of problem it is.
    pub code: ProblemCode,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Which value it is about.
    pub at: Pointer,
    /// Where that stands in the text, once looked up.
    pub place: Option<Place>,
    /// Other places that belong to it.
    pub related: Vec<Related>,
}

impl Problem {
    /// Whether it only says how many there was no room for, and is none itself.
    pub fn counts_others(&self) -> bool {
        self.code == ProblemCode::More
    }

    /// How many of them there are at least, and whether there are more.
    pub fn count<'p>(problems: impl Iterator<Item = &'p Self>) -> (usize, bool) {
        problems.fold((0, false), |(count, more), problem| {
            match problem.counts_others() {
                true => (count, true),
                false => (count + 1, more),
            }
        })
    }
}

/// Another place that belongs to a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// Which value.
    pub at: Pointer,
    /// Where it stands, once looked up.
    pub place: Option<Place>,
    /// What it has to do with the problem.
    pub note: String,
}

/// Names a value in the manifest without knowing its line: parsing gives no
/// positions, and only a manifest with problems pays for finding them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer {
    /// The manifest file, an index into the parts.
    pub part: u32,
    /// The user's position within that file's `users`, from 0.
    pub user: Option<u32>,
    /// The field below the user, or of the document where `user` is `None`.
    /// Deeper ones are joined by dots: `metadata.tier`.
    pub field: Option<Box<str>>,
}

impl Pointer {
    /// The field of this name below the same user or document.
    pub fn field(&self, name: &str) -> Self {
        Self {
            field: Some(name.into()),
            ..self.clone()
        }
    }
}

/// A place in a text, with the line itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file as the person named it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// How many characters are meant, at least 1.
    pub length: u32,
    /// The whole line, without its end.
    pub text: String,
}
