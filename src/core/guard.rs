//! The guards, in one table: what a plan may not do unless it is allowed for
//! one run. The manifest, the command line, the plan's digest and the
//! enforcement (`limits`) go over [`Guard::ALL`]; what is different for
//! each guard is a `match` here, so that the compiler names what a new one
//! needs.

use std::fmt;

use serde::{Deserialize, Serialize};

listed! {
    /// Names a limit, so that it can be lifted for one run (`--allow`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Guard {
        /// How many accounts one run may create.
        MaxCreates,
        /// How many existing users one run may change.
        MaxUpdates,
        /// How many pictures one run may set.
        MaxAvatars,
        /// More than a tenth of the mapped accounts not found: the read is
        /// suspect, and every create is held.
        Vanished,
        /// A create whose email already owns an account that does not match.
        Duplicate,
        /// A create in doubt that looking could not settle.
        InDoubt,
        /// A manifest older than what was applied last.
        Stale,
        /// A plan that a comment cannot show with every id and name.
        TooLarge,
    }
}

impl Guard {
    /// The name in manifests, plans and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxCreates => "max_creates",
            Self::MaxUpdates => "max_updates",
            Self::MaxAvatars => "max_avatars",
            Self::Vanished => "vanished",
            Self::Duplicate => "duplicate",
            Self::InDoubt => "in_doubt",
            Self::Stale => "stale",
            Self::TooLarge => "too_large",
        }
    }

    /// What it stops, for the command line's help.
    pub fn help(self) -> &'static str {
        match self {
            Self::MaxCreates => "accounts one run may create: by default 50 or 30%, whichever is more",
            Self::MaxUpdates => "accounts on which one run may change a text: by default 30%",
            Self::MaxAvatars => "pictures one run may set: unlimited by default",
            Self::Vanished => "creating while many mapped accounts are not found",
            Self::Duplicate => "creating for an email that owns an account already",
            Self::InDoubt => "creating again where an answer was lost",
            Self::Stale => "applying a manifest older than what was applied last",
            Self::TooLarge => "a plan that a comment cannot show whole, with --strict",
        }
    }

    /// The guards whose limit a manifest may set.
    pub fn with_limit() -> impl Iterator<Item = Self> {
        Guardrails::default().written().map(|(guard, _)| guard)
    }

    /// The guard of this name whose limit a manifest may set.
    pub fn limit_named(name: &str) -> Option<Self> {
        Self::with_limit().find(|guard| guard.name() == name)
    }
}

/// A ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Limit {
    /// So many users.
    Count(u32),
    /// So many of a hundred accounts on Whop that carry an id of the manifest,
    /// rounded down.
    Percent(u8),
}

impl Limit {
    /// The greatest number allowed where `of` accounts on Whop carry an id of
    /// the manifest.
    pub fn most(self, of: usize) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => of * usize::from(percent) / 100,
        }
    }
}

impl fmt::Display for Limit {
    /// As it is written in a manifest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// The manifest's own limits; `None` is the default ([`Guardrails::defaults`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guardrails {
    /// Accounts one run may create.
    pub max_creates: Option<Limit>,
    /// Existing accounts on which one run may change a text that Whop shows.
    pub max_updates: Option<Limit>,
    /// Pictures one run may set.
    pub max_avatars: Option<Limit>,
}

impl Guardrails {
    /// The defaults hold once so many accounts on Whop carry an id of the
    /// manifest. A company that is about to begin has nothing to lose yet.
    pub const DEFAULTS_FROM: usize = 10;

    /// The limits that hold for a guard where the manifest sets none: the most
    /// generous of these. None means no limit.
    pub fn defaults(guard: Guard) -> &'static [Limit] {
        match guard {
            // Each create mails a person.
            Guard::MaxCreates => &[Limit::Count(50), Limit::Percent(30)],
            Guard::MaxUpdates => &[Limit::Percent(30)],
            Guard::MaxAvatars
            | Guard::Vanished
            | Guard::Duplicate
            | Guard::InDoubt
            | Guard::Stale
            | Guard::TooLarge => &[],
        }
    }

    /// The default that decides where `of` accounts carry an id of the manifest.
    pub fn default_limit(guard: Guard, of: usize) -> Option<Limit> {
        let limits = Self::defaults(guard).iter().copied();
        limits.max_by_key(|limit| limit.most(of))
    }

    /// The manifest's limits by guard, in the order in which they are named.
    pub fn written(&self) -> impl Iterator<Item = (Guard, Option<Limit>)> + use<> {
        let mut limits = *self;
        let guards = Guard::ALL.into_iter();
        guards.filter_map(move |guard| Some((guard, *limits.limit_mut(guard)?)))
    }

    /// The limit of a guard, to be set; `None` where a manifest can set none.
    pub fn limit_mut(&mut self, guard: Guard) -> Option<&mut Option<Limit>> {
        match guard {
            Guard::MaxCreates => Some(&mut self.max_creates),
            Guard::MaxUpdates => Some(&mut self.max_updates),
            Guard::MaxAvatars => Some(&mut self.max_avatars),
            Guard::Vanished | Guard::Duplicate | Guard::InDoubt | Guard::Stale | Guard::TooLarge => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guard_has_one_name() {
        for guard in Guard::ALL {
            assert_eq!(serde_json::to_value(guard).unwrap(), guard.name());
            let has_limit = Guard::with_limit().any(|other| other == guard);
            assert_eq!(Guard::limit_named(guard.name()), has_limit.then_some(guard));
        }
    }
}
