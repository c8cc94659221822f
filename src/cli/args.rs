//! What can be typed. Parsing has no effect and knows no environment; what
//! the options mean is settled in [`super::resolve`]. What a single command
//! takes stands in that command's file.
//!
//! Options may stand before or after the command. Those that repeat add up
//! over both places (clap's own `global` would drop the first place), and the
//! others may be given in one of them.

mod options;
pub(crate) mod terms;
#[cfg(test)]
mod tests;
mod texts;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

pub(crate) use self::options::Options;
pub(crate) use self::terms::Terms;
use super::commands::apply::{self, ApplyArgs};
use super::commands::completions::{self, CompletionsArgs};
use super::commands::doctor::{self, DoctorArgs};
use super::commands::drift::{self, DriftArgs};
use super::commands::emulator::{self, EmulatorArgs};
use super::commands::explain::{self, ExplainArgs};
use super::commands::export::{self, ExportArgs};
use super::commands::help;
use super::commands::init::{self, InitArgs};
use super::commands::man::{self, ManArgs};
use super::commands::plan::{self, PlanArgs};
use super::commands::schema::{self, SchemaArgs};
use super::commands::show::{self, ShowArgs};
use super::commands::validate::{self, ValidateArgs};
use super::early_exit::Early;
use super::environment::Facts;
use super::values::ReportFile;

/// Widest line of a help text, in columns.
const WIDEST: usize = 100;

/// A parsed command line.
#[derive(Debug)]
pub(crate) struct Args {
    /// The options of any command.
    pub(crate) options: Options,
    /// What to do.
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Verb {
    /// Write a first manifest, its schema, lines for .gitignore, and pipelines
    ///
    /// Writes new files only; existing files stay as they are. With --from-csv
    /// the users are taken from a table.
    #[command(after_help = init::EXAMPLES)]
    Init(InitArgs),
    /// Check the manifest and its pictures
    ///
    /// Finds every problem in one pass and shows it with its line and what to
    /// do. Needs no key and no network, and writes nothing.
    #[command(after_help = validate::EXAMPLES)]
    Validate(ValidateArgs),
    /// Show what apply would change
    ///
    /// Reads Whop and writes nothing at all. Shows every change with old and
    /// new value, what is held and why, and how many requests it takes.
    #[command(after_help = plan::EXAMPLES)]
    Plan(PlanArgs),
    /// Make Whop equal to the manifest
    ///
    /// Plans, shows the plan, asks, and carries it out. Every finished step is
    /// recorded at once: after a crash or Ctrl-C, run it again to resume.
    #[command(after_help = apply::EXAMPLES)]
    Apply(ApplyArgs),
    /// Show what changed on Whop since the last apply
    ///
    /// Compares what was last applied with what Whop shows, user by user.
    /// Writes nothing at all. Exits with 2 when there is drift, and with 0 when
    /// there is none. What was only edited in the manifest is not drift.
    #[command(after_help = drift::EXAMPLES)]
    Drift(DriftArgs),
    /// Explain one user: what is known, what is decided, and why
    ///
    /// Shows the manifest's entry, the mapping's, the account and the profile
    /// on Whop, what a plan does about it, and the next command. Reads the list
    /// of accounts and one profile, and writes nothing at all.
    #[command(after_help = explain::EXAMPLES)]
    Explain(ExplainArgs),
    /// Write what Whop has now as a manifest
    ///
    /// With the same mapping, planning the result shows no changes; without a
    /// mapping it adopts the accounts. Accounts without an id of yours are named
    /// and left out. Sends GET only, and overwrites nothing without --force.
    #[command(after_help = export::EXAMPLES)]
    Export(ExportArgs),
    /// Show which account and user on Whop belong to your users
    ///
    /// Reads the mapping only. Chat tokens are created for the user_id.
    #[command(after_help = show::EXAMPLES)]
    Show(ShowArgs),
    /// Find out what is wrong with the set-up, and how to fix it
    ///
    /// Checks manifest, key, API version, company, permissions, mapping, lock,
    /// journal and clock. Sends GET only, and writes nothing. Exits with 1 when
    /// an apply would fail. Asks for a non-existent API version so that Whop
    /// lists those it supports.
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(DoctorArgs),
    /// Print the manifest's JSON Schema, for editors
    ///
    /// Version 2020-12. `init` writes it beside the manifest. The manifest's
    /// first line makes editors use it.
    #[command(after_help = schema::EXAMPLES)]
    Schema(SchemaArgs),
    /// Print completions for a shell
    ///
    /// They know the options and the ids of the manifest.
    #[command(after_help = completions::EXAMPLES)]
    Completions(CompletionsArgs),
    /// Print the manual page of the program, or of a command
    #[command(after_help = man::EXAMPLES)]
    Man(ManArgs),
    /// Serve an emulated Whop on this computer
    ///
    /// Serves the parts of Whop's API that whop-sync uses, to any client. Other
    /// commands use the same emulator with `--server emulator`.
    #[command(after_help = emulator::EXAMPLES)]
    Emulator(EmulatorArgs),
}

impl Verb {
    /// Whether it talks to Whop, so that it needs a key.
    pub(crate) fn asks_whop(&self) -> bool {
        matches!(
            self,
            Self::Plan(_)
                | Self::Apply(_)
                | Self::Drift(_)
                | Self::Explain(_)
                | Self::Export(_)
                | Self::Doctor(_)
        )
    }

    /// What is demanded of the plan, where there is one.
    pub(crate) fn terms(&self) -> Option<&Terms> {
        match self {
            Self::Plan(args) => Some(&args.terms),
            Self::Apply(args) => Some(&args.terms),
            _ => None,
        }
    }

    /// What a comment about it in a pull request or an issue is known by.
    pub(crate) fn comment(&self) -> &'static str {
        match self {
            Self::Drift(_) => "whop-sync-drift",
            _ => "whop-sync",
        }
    }

    /// The reports asked for; `None` for a command that makes none.
    pub(crate) fn reports(&self) -> Option<&[ReportFile]> {
        match self {
            Self::Plan(args) => Some(&args.reports),
            Self::Apply(args) => Some(&args.reports),
            Self::Drift(args) => Some(&args.reports),
            _ => None,
        }
    }
}

/// Keeps a platform's users on Whop equal to a YAML manifest
///
/// A manifest says who your users are: id, email, name and picture. whop-sync
/// compares it with Whop, shows what differs, and changes just that: it
/// creates connected accounts, and sets names and pictures that show inside
/// your company only. Nothing is ever deleted on Whop.
#[derive(Debug, Parser)]
#[command(
    name = "whop-sync",
    bin_name = "whop-sync",
    version,
    arg_required_else_help = true,
    after_help = texts::TOP_SHORT,
    after_long_help = texts::top_long(),
    disable_help_subcommand = true,
)]
struct Line {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    verb: Verb,
}

/// The definition of the command line, for parsing, completions and manuals.
pub(crate) fn command() -> clap::Command {
    let line = Line::command();
    let help = help::command(&line);
    line.subcommand(help).mut_subcommands(|sub| {
        let pointless = options::pointless(sub.get_name());
        let hide = |sub: clap::Command, id: &&str| sub.mut_arg(id, |arg| arg.hide(true));
        pointless.iter().fold(options::after(sub), hide)
    })
}

/// Parses a command line, the program's name first.
///
/// # Errors
/// A help text, the version, or what is wrong with the command line. The last
/// ends with status 64; clap's own 2 means "changes pending" here.
pub(crate) fn parse(raw: &[OsString], facts: &Facts) -> Result<Args, Early> {
    let width = facts.width.unwrap_or(WIDEST).min(WIDEST);
    let mut command = command().term_width(width);
    let matches = command.try_get_matches_from_mut(raw);
    if let Ok(matches) = &matches
        && let Some((help::NAME, asked)) = matches.subcommand()
    {
        return Err(help::answer(command, asked, raw, facts));
    }
    let args = matches.and_then(|matches| {
        let (line, after) = read(&matches)?;
        combine(line, after).map_err(|why| command.error(ErrorKind::ArgumentConflict, why))
    });
    args.map_err(|error| Early::new(&error, raw, facts))
}

/// The command line, and the options that stand after its command.
fn read(matches: &ArgMatches) -> Result<(Line, Options), clap::Error> {
    let line = Line::from_arg_matches(matches)?;
    let after = match matches.subcommand() {
        Some((_, after)) => Options::from_arg_matches(after)?,
        None => Options::default(),
    };
    Ok((line, after))
}

/// Brings the options of both places together.
fn combine(line: Line, after: Options) -> Result<Args, String> {
    let options = options::merge(line.options, after)?;
    if options.quiet && options.verbose > 0 {
        return Err("the argument '--quiet' cannot be used with '--verbose'".to_owned());
    }
    Ok(Args {
        options,
        verb: line.verb,
    })
}
