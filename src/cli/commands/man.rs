//! `man`: the manual, made from the definition of the command line.

use clap_mangen::Man;

use crate::cli::output::Printer;
use crate::error::{Code, Error, Exit, Result};

pub(crate) const EXAMPLES: &str = "\
Examples:
  whop-sync man > whop-sync.1
  whop-sync man plan | man -l -";

/// Which page to print.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct ManArgs {
    /// The command, such as plan
    #[arg(value_name = "COMMAND")]
    pub(crate) page: Option<String>,
}

/// Prints the page of the program, which is this command, or of one below it.
///
/// # Errors
/// stdout cannot be written to.
pub(crate) fn run(printer: &Printer, args: &ManArgs, mut command: clap::Command) -> Result<Exit> {
    command.build();
    let command = match &args.page {
        None => command,
        Some(name) => {
            let found = command.find_subcommand(name).cloned();
            // Building gave it the name `whop-sync-…` for display.
            found.ok_or_else(|| {
                Error::new(Code::Usage, format!("there is no command `{name}`"))
                    .hint("`whop-sync help` lists them")
            })?
        }
    };
    let mut text = Vec::new();
    let written = Man::new(command).render(&mut text);
    written.map_err(|cause| Error::new(Code::Internal, "the manual could not be made").caused_by(cause))?;
    printer.text("man", &text)?;
    Ok(Exit::Done)
}
