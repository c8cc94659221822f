//! The surroundings: environment variables and terminals, asked for once.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::IsTerminal as _;

use crate::error::{Code, Error, Result};
use crate::render::style::ColourEnvironment;

/// The environment variables that have a say; no other is read, but for what a
/// shell's script passes on when it asks for completions.
pub const VARIABLES: [&str; 19] = [
    "CI_COMMIT_SHA",
    "CLICOLOR_FORCE",
    "GITHUB_ACTIONS",
    "GITHUB_SHA",
    "GITHUB_STEP_SUMMARY",
    "NO_COLOR",
    "TERM",
    "WHOP_API_KEY",
    "WHOP_API_VERSION",
    "WHOP_SYNC_CA_FILE",
    "WHOP_SYNC_COMMIT",
    "WHOP_SYNC_EXCHANGES",
    "WHOP_SYNC_LIMIT",
    "WHOP_SYNC_LOG",
    "WHOP_SYNC_MAPPING",
    "WHOP_SYNC_PICTURE_HOSTS",
    "WHOP_SYNC_PROGRESS",
    "WHOP_SYNC_SERVER",
    "WHOP_SYNC_STORAGE_HOSTS",
];

/// The surroundings, as they were when the program started.
#[derive(Clone, Default)]
pub(crate) struct Facts {
    /// The values of [`VARIABLES`], as far as they are set.
    pub(crate) environment: BTreeMap<&'static str, OsString>,
    /// Whether someone can answer.
    pub(crate) stdin_is_terminal: bool,
    /// Whether someone reads the result.
    pub(crate) stdout_is_terminal: bool,
    /// Whether someone reads the story.
    pub(crate) stderr_is_terminal: bool,
    /// The terminal's width in columns, if there is one.
    pub(crate) width: Option<usize>,
}

impl fmt::Debug for Facts {
    /// The environment holds the key: only names are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts")
            .field("environment", &self.environment.keys())
            .field("stdin_is_terminal", &self.stdin_is_terminal)
            .field("stdout_is_terminal", &self.stdout_is_terminal)
            .field("stderr_is_terminal", &self.stderr_is_terminal)
            .field("width", &self.width)
            .finish()
    }
}

impl Facts {
    /// Asks the surroundings; the program does so once.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub(crate) fn ask() -> Self {
        let environment: BTreeMap<_, _> = VARIABLES
            .into_iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)))
            .collect();
        Self {
            environment,
            stdin_is_terminal: std::io::stdin().is_terminal(),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            width: terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)),
        }
    }

    /// A variable's value; an empty one counts as unset.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        let value = self.environment.get(name)?;
        Some(value.as_os_str()).filter(|value| !value.is_empty())
    }

    /// A variable's value as text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>> {
        let Some(value) = self.variable(name) else {
            return Ok(None);
        };
        let text = value.to_str();
        text.map(Some)
            .ok_or_else(|| Error::new(Code::Usage, format!("`{name}` is not UTF-8")))
    }

    /// What the environment says about colour.
    pub(crate) fn surroundings(&self) -> ColourEnvironment {
        ColourEnvironment {
            refused: self.variable("NO_COLOR").is_some(),
            forced: self.variable("CLICOLOR_FORCE").is_some_and(|value| value != "0"),
            dumb: self.is_dumb(),
        }
    }

    /// Whether GitHub Actions runs the program.
    pub(crate) fn is_github(&self) -> bool {
        self.variable("GITHUB_ACTIONS")
            .is_some_and(|value| value == "true")
    }

    pub(crate) fn is_dumb(&self) -> bool {
        self.variable("TERM").is_some_and(|value| value == "dumb")
    }
}
