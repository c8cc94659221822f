//! Orders actions by risk: first who receives mail, then whose change on Whop
//! is undone, then ordinary changes. Markdown and HTML use it.

use super::fields::{self, Field};
use crate::core::identity::Evidence;
use crate::core::model::IDENTITY_KEYS;
use crate::core::plan::{Action, Cause, Hold, Kind, Plan, Verb};

/// Actions of one kind, riskiest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// An account that gets another id: it shows another user's values from now
    /// on.
    Identity,
    /// An account that is linked by its email alone.
    ByEmail,
    /// A new account, and mail to its address.
    Create,
    /// Overwrites a change made on Whop.
    Undo,
    /// An ordinary change.
    Update,
    /// Links an existing account.
    Adopt,
    /// Drops a link.
    Forget,
}

impl Group {
    /// All groups, riskiest first.
    pub(super) const ALL: [Self; 7] = [
        Self::Identity,
        Self::ByEmail,
        Self::Create,
        Self::Undo,
        Self::Update,
        Self::Adopt,
        Self::Forget,
    ];

    /// The group of an action.
    pub(super) fn of(action: &Action) -> Self {
        if action.former_id().is_some() {
            return Self::Identity;
        }
        match action.verb() {
            Verb::Adopt if is_by_email(action) => Self::ByEmail,
            Verb::Create => Self::Create,
            Verb::Update if is_drift(action) => Self::Undo,
            Verb::Update => Self::Update,
            Verb::Adopt => Self::Adopt,
            Verb::Forget => Self::Forget,
        }
    }

    /// The group's heading, sign first.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Identity => "! identity changes: an account gets another id",
            Self::ByEmail => "= to adopt by email alone",
            Self::Create => "+ to create",
            Self::Undo => "~ to update, undoing a change made on Whop",
            Self::Update => "~ to update",
            Self::Adopt => "= to adopt",
            Self::Forget => "- to forget",
        }
    }
}

/// The heading of holds that are about identity.
pub(super) const CONTRADICTED: &str = "! held: evidence contradicts who the account is";

/// The holds that are about identity, or the others.
pub(super) fn holds(plan: &Plan, about_identity: bool) -> impl Iterator<Item = &Hold> + Clone {
    let holds = plan.holds.iter();
    holds.filter(move |hold| hold.reason.is_about_identity() == about_identity)
}

/// Whether a reviewer must see the action in full, however long the plan:
/// changes of identity and of shown names.
pub(super) fn is_grave(action: &Action) -> bool {
    let renames = |action: &Action| action.link().is_some() && action.profile.name.is_some();
    action.former_id().is_some() || is_by_email(action) || renames(action)
}

/// Whether a field may be left out if there are too many: a manifest can have
/// any number of metadata keys but only a few other fields.
pub(super) fn may_fold(field: &Field<'_>) -> bool {
    let key = field.name.strip_prefix("metadata.");
    key.is_some_and(|key| !IDENTITY_KEYS.contains(&key))
}

fn is_by_email(action: &Action) -> bool {
    matches!(
        action.kind,
        Kind::Adopt {
            by: Evidence::Email,
            ..
        }
    )
}

/// Whether the action overwrites a change made on Whop.
fn is_drift(action: &Action) -> bool {
    let fields = fields::of(action);
    let mut causes = fields.iter().map(|field| field.cause);
    causes.any(|cause| matches!(cause, Cause::Drifted | Cause::Both))
}
