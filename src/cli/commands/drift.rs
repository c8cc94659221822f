//! `drift`: what changed on Whop behind the manifest's back. Like `plan` it
//! holds nothing that could write.

use std::io;

use super::plan::{look, open};
use crate::cli::output::Printer;
use crate::cli::reports;
use crate::cli::settings::Settings;
use crate::cli::signals::Wishes;
use crate::cli::values::{Format, ReportFile};
use crate::core::drift::{Others, drift};
use crate::error::{Exit, Result};
use crate::render::style::Palette;
use crate::render::{self, html, json, markdown};

pub(crate) const EXAMPLES: &str = "\
Examples:
  whop-sync drift --refresh full
  whop-sync drift --format markdown       an issue's body, such as for a nightly job
  whop-sync drift --report drift.json";

/// What counts as drift, and where it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct DriftArgs {
    /// Accounts that the mapping does not know do not count as drift
    #[arg(long)]
    pub(crate) ignore_unmanaged: bool,
    /// Write a report to this file too, .json, .md or .sarif; repeatable
    #[arg(long = "report", value_name = "FILE", value_parser = ReportFile::parse)]
    pub(crate) reports: Vec<ReportFile>,
}

pub(crate) async fn run(settings: &Settings, printer: &Printer, args: &DriftArgs) -> Result<Exit> {
    let others = match args.ignore_unmanaged {
        true => Others::Expect,
        false => Others::Count,
    };
    let mut wishes = Wishes::listen(None)?;
    let interrupted = "The previous apply was interrupted; what it left open does not count as drift yet.";
    let (ends, loaded) = open(settings, printer, &mut wishes, interrupted).await?;
    let known = &loaded.known;
    let observed = wishes.or_stop(look(settings, &ends, known)).await??;
    let found = drift(&ends.manifest.desired, &observed, known, &ends.policy);
    let header = &ends.header;
    let as_json = |out: &mut dyn io::Write| json::drift(out, &found, header, others);
    let as_markdown = || markdown::drift(&found, header, others);
    printer.result(|out| match printer.format() {
        Format::Json => as_json(out),
        Format::Markdown => out.write_all(as_markdown().as_bytes()),
        Format::Human | Format::Csv => render::drift::write(out, &found, header, others, printer.palette),
    })?;
    let reported = reports::write(settings, as_json, as_markdown, |out| {
        html::lines(out, "Drift", |out| {
            render::drift::write(out, &found, header, others, Palette::Plain)
        })
    });
    let exit = if found.is_drift(others) {
        Exit::Pending
    } else {
        Exit::Done
    };
    Ok(reports::missing(printer, reported, exit))
}
