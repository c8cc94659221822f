//! What is measured, and the arithmetic of its floor.

use std::time::Duration;

/// One thing that people do with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Situation {
    /// N new users, each with a picture of their own.
    CreatesPictures,
    /// N new users without pictures.
    Creates,
    /// N users who are there get another name.
    Renames,
    /// N users who are there get another picture each.
    Pictures,
    /// Nothing changed, and every profile is looked at.
    Refresh,
    /// Nothing changed, and only the list is asked for.
    List,
}

use Situation as S;

impl Situation {
    pub(crate) const ALL: [Self; 6] = [
        S::CreatesPictures,
        S::Creates,
        S::Renames,
        S::Pictures,
        S::Refresh,
        S::List,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            S::CreatesPictures => "creates-pictures",
            S::Creates => "creates",
            S::Renames => "renames",
            S::Pictures => "pictures",
            S::Refresh => "refresh",
            S::List => "list",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|situation| situation.name() == name)
    }

    /// Whether the users are on Whop before.
    pub(crate) fn begins_applied(self) -> bool {
        !matches!(self, S::CreatesPictures | S::Creates)
    }

    /// Whether the users have pictures, each another.
    pub(crate) fn has_pictures(self) -> bool {
        matches!(self, S::CreatesPictures | S::Pictures)
    }

    /// The program's arguments besides manifest and server.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            S::CreatesPictures | S::Creates => &["apply", "--yes"],
            S::Renames | S::Pictures => &["apply", "--yes", "--refresh", "changed", "--allow", "max_updates"],
            S::Refresh => &["plan", "--refresh", "full"],
            S::List => &["plan", "--refresh", "changed"],
        }
    }

    /// The fewest requests that the API allows, by operation. Status polls are
    /// left out: their number follows the time that Whop takes.
    pub(crate) fn minimum(self, users: usize) -> Vec<(&'static str, usize)> {
        // An empty list is one page, too.
        let pages = |listed: usize| ("list_accounts", listed.div_ceil(50).max(1));
        match self {
            S::CreatesPictures => vec![
                pages(0),
                ("list_permissions", 1),
                ("create_account", users),
                ("create_file", users),
                ("upload_file", users),
                ("update_user", users),
            ],
            S::Creates => {
                vec![
                    pages(0),
                    ("list_permissions", 1),
                    ("create_account", users),
                    ("update_user", users),
                ]
            }
            S::Renames => vec![
                pages(users),
                ("list_permissions", 1),
                ("retrieve_user", users),
                ("update_user", users),
            ],
            S::Pictures => vec![
                pages(users),
                ("list_permissions", 1),
                ("retrieve_user", users),
                ("create_file", users),
                ("upload_file", users),
                ("update_user", users),
            ],
            S::Refresh => vec![pages(users), ("retrieve_user", users)],
            S::List => vec![pages(users)],
        }
    }

    /// The time that no client can undercut.
    pub(crate) fn floor(self, users: usize, rate: u32, latency: Duration, processing: Duration) -> Duration {
        let requests = match self {
            S::CreatesPictures | S::Creates | S::Refresh => users,
            // Every profile is read for the plan, and changed afterwards.
            S::Renames | S::Pictures => 2 * users,
            S::List => users.div_ceil(50),
        };
        let limit = match rate {
            0 => Duration::ZERO,
            rate => Duration::from_secs(60).mul_f64(requests as f64 / f64::from(rate)),
        };
        let processing = if self.has_pictures() {
            processing
        } else {
            Duration::ZERO
        };
        limit + latency + processing
    }
}
