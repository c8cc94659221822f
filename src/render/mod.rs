//! Plans, reports and problems as text. Sole user of `similar`; pure but for
//! the writer of progress. The same inputs give the same bytes.
//!
//! Whatever can grow with the number of users is streamed into an
//! [`io::Write`](std::io::Write), so that a closed pipe keeps its cause.

use crate::core::digest::Digest;
use crate::core::model::Dialect;
use crate::core::value::PlatformId;

pub mod annotations;
mod change;
mod consequences;
pub mod doctor;
pub mod drift;
pub mod escape;
pub mod explain;
pub mod failure;
mod fields;
#[cfg(test)]
mod hostile;
pub mod html;
pub mod init;
pub mod json;
pub mod mapping;
pub mod markdown;
mod mask;
pub mod messages;
pub mod plan;
pub mod plan_difference;
pub mod problems;
pub mod progress;
pub mod report;
mod risk_groups;
pub mod sarif;
pub mod schema;
pub mod style;
pub mod yaml;

/// What an output is about, besides its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The platform's own account.
    pub company: PlatformId,
    /// The server: `production`, `sandbox`, `emulator` or a URL.
    pub server: String,
    /// The API's dialect.
    pub dialect: Dialect,
    /// The API's version.
    pub version: String,
    /// Digest of the manifest's content.
    pub manifest: Digest,
}

/// What `validate` found in a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validation<'a> {
    /// The users, as far as they could be read.
    pub users: usize,
    /// The users with a picture.
    pub avatars: usize,
    /// Everything wrong or worth knowing.
    pub problems: &'a [crate::core::problem::Problem],
}

impl Validation<'_> {
    /// Whether nothing stops a plan.
    pub fn is_valid(&self) -> bool {
        let mut problems = self.problems.iter();
        !problems.any(|p| p.severity == crate::core::problem::Severity::Error)
    }
}
