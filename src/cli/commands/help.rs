//! `help`: the help of a command, as `--help` prints it, or a page of the
//! manual in `docs/`, as it is written.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Args as _, FromArgMatches as _};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use crate::cli::early_exit::Early;
use crate::cli::environment::Facts;
use crate::manifest;

/// The command's name.
pub(crate) const NAME: &str = "help";

const EXAMPLES: &str = "\
Examples:
  whop-sync help
  whop-sync help plan
  whop-sync help first-sync";

/// A page of the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name for `whop-sync help`, and its file's in `docs/src`.
    pub name: &'static str,
    /// Its first heading's text.
    pub title: &'static str,
    /// The whole page, in Markdown.
    pub page: &'static str,
}

macro_rules! topics {
    ($($name:literal: $title:literal,)*) => {
        &[$(Topic {
            name: $name,
            title: $title,
            page: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/src/", $name, ".md")),
        },)*]
    };
}

/// Every page of the manual, in its order. A test compares the list with
/// `docs/src` and its table of contents.
pub const TOPICS: &[Topic] = topics! {
    "first-sync": "Your first sync",
    "staging": "Staging and production",
    "review": "Review one plan and apply exactly that",
    "pipelines": "Pipelines and protected branches",
    "onboarding": "Onboarding many users",
    "leavers": "Email changes and leavers",
    "conflicts": "Mapping conflicts",
    "chat-tokens": "Tokens for chat",
    "without-rust": "Running without Rust",
    "moving-state": "Moving state",
    "manifest": "The manifest",
    "problems": "Problems in a manifest",
    "commands": "Commands and options",
    "exit-status": "Exit status and error codes",
    "files": "Files",
    "json": "JSON documents and logs",
    "environment": "Environment variables",
    "how-it-decides": "How it decides",
    "crash-safety": "Crash safety",
    "limits": "Limits and speed",
    "threats": "Threats",
};

#[derive(Debug, clap::Args)]
struct HelpArgs {
    /// A command, such as plan, or a page of the manual, such as first-sync
    #[arg(value_name = "COMMAND OR TOPIC")]
    word: Option<String>,
}

/// What can be asked about: commands, then topics.
fn names(command: &clap::Command) -> impl Iterator<Item = &str> {
    let commands = command.get_subcommands().map(clap::Command::get_name);
    commands.chain(TOPICS.iter().map(|topic| topic.name))
}

/// The definition of the command, beside the others.
pub(crate) fn command(others: &clap::Command) -> clap::Command {
    let command = clap::Command::new(NAME)
        .about("Print the help of a command, or a page of the manual")
        .long_about(
            "Print the help of a command, or a page of the manual\n\n\
             Without a word it lists the commands and the pages. The manual is built into the \
             program; its pages are also in the folder docs.",
        )
        .after_help(EXAMPLES);
    let words: Vec<String> = names(others).map(str::to_owned).collect();
    let offered = move || words.iter().map(CompletionCandidate::new).collect::<Vec<_>>();
    HelpArgs::augment_args(command).mut_arg("word", |word| word.add(ArgValueCandidates::new(offered)))
}

/// The list of topics, for the end of the program's own help.
pub(crate) fn list() -> String {
    let widest = TOPICS.iter().map(|topic| topic.name.len()).max().unwrap_or(0);
    let lines = TOPICS.iter().map(|topic| {
        let Topic { name, title, page: _ } = topic;
        format!("\n  {name:widest$}  {title}")
    });
    "Manual, printed by whop-sync help TOPIC:".to_owned() + &lines.collect::<String>()
}

/// Answers `help`, which ends the program before it does anything else.
pub(crate) fn answer(
    mut command: clap::Command,
    matches: &clap::ArgMatches,
    raw: &[OsString],
    facts: &Facts,
) -> Early {
    let word = match HelpArgs::from_arg_matches(matches) {
        Ok(HelpArgs { word }) => word,
        Err(error) => return Early::new(&error, raw, facts),
    };
    if let Some(topic) = TOPICS.iter().find(|topic| Some(topic.name) == word.as_deref()) {
        return Early::page(topic.page, raw);
    }
    let is_command = |word: &String| command.find_subcommand(word).is_some();
    let error = match word {
        Some(word) if !is_command(&word) => unknown(&mut command, &word),
        word => {
            let line = ["whop-sync".to_owned()]
                .into_iter()
                .chain(word)
                .chain(["--help".to_owned()]);
            match command.try_get_matches_from_mut(line) {
                Err(help) => help,
                Ok(_) => unknown(&mut command, NAME),
            }
        }
    };
    Early::new(&error, raw, facts)
}

fn unknown(command: &mut clap::Command, word: &str) -> clap::Error {
    let near = manifest::nearest(word, names(command)).map(str::to_owned);
    let tip = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`whop-sync help` lists the commands and the topics".to_owned(),
    };
    let message = format!("there is no command or topic `{word}`\n\n  tip: {tip}");
    command.error(ErrorKind::InvalidSubcommand, message)
}
