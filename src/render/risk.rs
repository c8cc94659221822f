//! The order of what can go wrong: who gets mail, whose change on Whop is
//! undone, and then what was asked for. Markdown and HTML sort by it.

use super::fields;
use crate::core::plan::{Action, Cause};
use crate::core::report::Verb;

/// Actions of one kind, the riskiest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// A new account, and mail to its address.
    Create,
    /// Overwrites what somebody changed on Whop.
    Undo,
    /// Changes what was asked for.
    Update,
    /// Links what exists.
    Adopt,
    /// Drops a link.
    Forget,
}

impl Group {
    /// Every group, the riskiest first.
    pub(super) const ALL: [Self; 5] = [Self::Create, Self::Undo, Self::Update, Self::Adopt, Self::Forget];

    /// Where an action belongs.
    pub(super) fn of(action: &Action) -> Self {
        match action.verb() {
            Verb::Create => Self::Create,
            Verb::Update if is_drift(action) => Self::Undo,
            Verb::Update => Self::Update,
            Verb::Adopt => Self::Adopt,
            Verb::Forget => Self::Forget,
        }
    }

    /// Its heading, sign first.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Create => "+ to create",
            Self::Undo => "~ to update, undoing a change made on Whop",
            Self::Update => "~ to update",
            Self::Adopt => "= to adopt",
            Self::Forget => "- to forget",
        }
    }
}

/// Whether it overwrites what somebody changed on Whop.
fn is_drift(action: &Action) -> bool {
    let fields = fields::of(action);
    let mut causes = fields.iter().map(|field| field.cause);
    causes.any(|cause| matches!(cause, Cause::Drifted | Cause::Both))
}
