//! What `plan` and `apply` demand of a plan.

use super::super::values::Expected;
use crate::core::lineage::Commit;

/// What a plan must be, and what it is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Terms {
    /// Exit with 4 unless the plan has this digest, or one that begins with it
    ///
    /// As `plan` prints it, whole or at least its first 32 digits. It covers
    /// what is done, where, and under which limits, but not when it was planned.
    #[arg(long, value_name = "DIGEST", value_parser = Expected::parse)]
    pub(crate) expect: Option<Expected>,
    /// The commit that the manifest comes from, by its full id [env: WHOP_SYNC_COMMIT]
    ///
    /// The mapping remembers it, so that applying an older commit later is
    /// noticed. In GitHub's and GitLab's pipelines it is known without this.
    #[arg(long, value_name = "SHA", value_parser = Commit::parse)]
    pub(crate) commit: Option<Commit>,
}
