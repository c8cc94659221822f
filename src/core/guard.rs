//! The guards: what a plan may not do unless it is allowed for one run.

use std::fmt;

use serde::{Deserialize, Serialize};

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

impl Guard {
    /// Every guard.
    pub const ALL: [Self; 8] = [
        Self::MaxCreates,
        Self::MaxUpdates,
        Self::MaxAvatars,
        Self::Vanished,
        Self::Duplicate,
        Self::InDoubt,
        Self::Stale,
        Self::TooLarge,
    ];

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

    /// The manifest's limits by guard, in the order in which they are told.
    pub fn written(&self) -> [(Guard, Option<Limit>); 3] {
        let Self {
            max_creates,
            max_updates,
            max_avatars,
        } = *self;
        [
            (Guard::MaxCreates, max_creates),
            (Guard::MaxUpdates, max_updates),
            (Guard::MaxAvatars, max_avatars),
        ]
    }
}
