//! `completions` and what the shell asks while somebody types. The scripts
//! are short: they ask the program itself, which knows its options and finds
//! the ids in the manifest.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};

use crate::cli::output::Printer;
use crate::error::{Code, Error, Exit, Result};
use crate::manifest;

/// The variable by which a shell's script says that it asks.
const ASKED: &str = "WHOP_SYNC_COMPLETE";

/// Offer at most this many ids; longer lists are unusable.
const MOST_IDS: usize = 500;

pub(crate) const EXAMPLES: &str = "\
Examples:
  source <(whop-sync completions bash)                        in ~/.bashrc
  source <(whop-sync completions zsh)                         in ~/.zshrc
  whop-sync completions fish | source                         in ~/.config/fish/config.fish
  whop-sync completions powershell | Out-String | Invoke-Expression";

/// Whose completions to print.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_name = "SHELL", value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
    pub(crate) shell: String,
}

/// Prints the script for a shell.
///
/// # Errors
/// stdout cannot be written to.
pub(crate) fn run(printer: &Printer, args: &CompletionsArgs) -> Result<Exit> {
    let shell = args.shell.as_str();
    let shells = Shells::builtins();
    let mut script = Vec::new();
    let written = shells
        .completer(shell)
        .map(|known| known.write_registration(ASKED, "whop-sync", "whop-sync", "whop-sync", &mut script));
    match written {
        Some(Ok(())) => {}
        // The names are checked where the command line is.
        None | Some(Err(_)) => {
            return Err(Error::new(
                Code::Internal,
                format!("there is no script for `{shell}`"),
            ));
        }
    }
    printer.text("completions", &script)?;
    Ok(Exit::Done)
}

/// Answers a shell that asks for completions; `None` where none does.
#[expect(
    clippy::disallowed_methods,
    reason = "paths are completed from where the person stands"
)]
pub(crate) fn answer(raw: &[OsString], command: fn() -> clap::Command) -> Option<Exit> {
    let folder = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(command)
        .var(ASKED)
        .bin("whop-sync")
        .try_complete(raw.iter().cloned(), folder.as_deref());
    match asked {
        Ok(false) => None,
        Ok(true) => Some(Exit::Done),
        // A shell that asks in a way we do not know gets no answer.
        Err(_) => Some(Exit::Failed),
    }
}

/// Completes the ids of the manifest that the command line names.
pub(crate) fn ids() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let Some(typed) = typed.to_str() else {
            return Vec::new();
        };
        let mut ids = manifest::ids(&manifests(std::env::args_os()));
        ids.retain(|id| id.starts_with(typed) && is_plain(id));
        ids.sort_unstable();
        ids.truncate(MOST_IDS);
        ids.into_iter().map(CompletionCandidate::new).collect()
    })
}

/// Whether no shell does anything with an id but take it: some put what they
/// complete on the line as it is, and a manifest may come from a stranger.
fn is_plain(id: &str) -> bool {
    let may_begin = |c: char| c.is_alphanumeric() || c == '_';
    id.starts_with(may_begin) && id.chars().all(|c| may_begin(c) || ".-:@/+,".contains(c))
}

/// The manifests that a half-typed command line names, read without parsing
/// it: it need not be complete.
fn manifests(raw: impl Iterator<Item = OsString>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut words = raw.skip_while(|word| word != "--").skip(1);
    while let Some(word) = words.next() {
        let text = word.to_str().unwrap_or_default();
        if text == "-f" || text == "--manifest" {
            found.extend(words.next().map(PathBuf::from));
        } else if let Some(path) = text.strip_prefix("--manifest=") {
            found.push(path.into());
        } else if let Some(path) = text.strip_prefix("-f").filter(|path| !path.is_empty()) {
            found.push(path.into());
        }
    }
    if found.is_empty() {
        found.push("users.yaml".into());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_is_found_in_half_a_command_line() {
        let of = |line: &str| {
            let words = line.split(' ').map(OsString::from);
            let found = manifests(words)
                .into_iter()
                .map(|path| path.display().to_string());
            found.collect::<Vec<_>>()
        };
        assert_eq!(of("whop-sync -- whop-sync show u"), ["users.yaml"]);
        assert_eq!(
            of("whop-sync -- whop-sync -f a.yaml show -fb -f"),
            ["a.yaml", "b"]
        );
        assert_eq!(
            of("whop-sync -- whop-sync --manifest=a show --manifest b"),
            ["a", "b"]
        );
        assert_eq!(of("whop-sync -f not-this -- whop-sync"), ["users.yaml"]);
    }
}
