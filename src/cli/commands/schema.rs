//! `schema`: the JSON Schemas of what we read and write.

use crate::cli::output::Printer;
use crate::error::{Exit, Result};
use crate::render::schema;

pub(crate) const EXAMPLES: &str = "\
Examples:
  whop-sync schema > users.schema.json
  whop-sync schema --plan > plan.schema.json";

/// Which schema to print.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct SchemaArgs {
    /// Print the schema of what `--format json` prints: plans, reports and the rest
    #[arg(long)]
    pub(crate) plan: bool,
}

pub(crate) fn run(printer: &Printer, args: &SchemaArgs) -> Result<Exit> {
    let text = match args.plan {
        false => schema::MANIFEST,
        true => schema::PLAN,
    };
    printer.result(|out| out.write_all(text.as_bytes()))?;
    Ok(Exit::Done)
}
