//! `validate`: the manifest and its pictures, without key or network.

use crate::cli::connect;
use crate::cli::output::Printer;
use crate::cli::settings::Settings;
use crate::cli::values::ReportFile;
use crate::error::{Exit, Result};
use crate::render::{Validation, json, messages};

pub(crate) const EXAMPLES: &str = "\
Examples:
  whop-sync validate -f users.yaml
  whop-sync validate -f users/ --format json
  whop-sync validate --report problems.sarif";

/// Where else the problems go.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct ValidateArgs {
    /// Write the problems to this file too, .sarif for code scanning; repeatable
    #[arg(long = "report", value_name = "FILE", value_parser = ReportFile::parse_sarif)]
    pub(crate) reports: Vec<ReportFile>,
}

pub(crate) fn run(settings: &Settings, printer: &Printer) -> Result<Exit> {
    let manifest = match connect::load(settings, &mut connect::recall(settings)) {
        Ok(manifest) => manifest,
        Err(error) if printer.is_json() && !error.manifest_problems().is_empty() => {
            let found = Validation {
                users: 0,
                avatars: 0,
                problems: error.manifest_problems(),
            };
            printer.annotate(found.problems);
            printer.result(|out| json::validation(out, &found))?;
            return Ok(error.code().exit());
        }
        Err(error) => return Err(error),
    };
    let users = manifest.desired.users();
    let avatars = users.iter().filter(|user| user.avatar.is_some()).count();
    if printer.is_json() {
        let found = Validation {
            users: users.len(),
            avatars,
            problems: &manifest.warnings,
        };
        printer.result(|out| json::validation(out, &found))?;
        return Ok(Exit::Done);
    }
    printer.warnings(&manifest.warnings);
    let (users, avatars) = (
        messages::plural(users.len(), "user"),
        messages::plural(avatars, "picture"),
    );
    printer.result(|out| writeln!(out, "The manifest is valid: {users}, {avatars}."))?;
    Ok(Exit::Done)
}
