//! The program: arguments settled once, one file for each command, and the
//! only place that wires the edges together.

mod args;
mod clock;
mod commands;
mod commits;
mod connect;
mod early_exit;
mod environment;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod key;
mod output;
mod paths;
mod pictures;
mod receipt;
mod reports;
mod resolve;
mod saved;
mod settings;
mod signals;
mod values;

use std::ffi::OsString;
use std::path::Path;

use tracing::Instrument as _;

use self::args::{Args, Verb};
pub use self::commands::help::{TOPICS, Topic};
use self::commands::{
    apply, completions, doctor, drift, emulator, explain, export, init, man, plan, schema, show, validate,
};
use self::early_exit::Early;
use self::environment::Facts;
pub use self::environment::VARIABLES;
use self::output::Printer;
use self::settings::Settings;
use crate::core::saved::Saved;
use crate::error::{Exit, Result};

/// Runs a command line, the program's name first, and says how it ended.
pub async fn run(raw: Vec<OsString>) -> Exit {
    if let Some(exit) = completions::answer(&raw, args::command) {
        return exit;
    }
    let facts = Facts::ask();
    let mut args = match args::parse(&raw, &facts) {
        Ok(args) => args,
        Err(Early { stdout, stderr, exit }) => {
            output::print_early(&stdout, &stderr);
            return exit;
        }
    };
    let unsettled = Printer::new(&resolve::before_settings(&args.options, &facts));
    let saved = match resolve::take_over(&mut args) {
        Ok(saved) => saved,
        Err(error) => return unsettled.error(&error),
    };
    let Args { options, verb } = args;
    let settings = match resolve::resolve(options, &verb, &facts, Path::is_dir) {
        Ok(settings) => settings,
        Err(error) => return unsettled.error(&error),
    };
    let printer = Printer::new(&settings.output);
    output::start_logs(&settings.output);
    if let Err(error) = reports::check(&settings) {
        return printer.error(&error);
    }
    // Its id is recorded where it is made.
    let run = tracing::info_span!("run", id = tracing::field::Empty);
    match perform(&verb, &settings, &printer, saved).instrument(run).await {
        Ok(exit) => exit,
        Err(error) => {
            let error = match verb {
                Verb::Doctor(_) => error,
                _ => doctor::advise(error),
            };
            reports::error(&settings, &printer, verb.comment(), &error);
            printer.error(&error)
        }
    }
}

/// The system gave no runtime: says so and gives the exit status.
pub fn no_runtime(error: &std::io::Error) -> std::process::ExitCode {
    output::print_early("", &format!("error: could not start: {error}\n"));
    std::process::ExitCode::from(Exit::Failed as u8)
}

async fn perform(verb: &Verb, settings: &Settings, printer: &Printer, saved: Option<Saved>) -> Result<Exit> {
    match verb {
        Verb::Init(args) => init::run(settings, printer, args),
        Verb::Validate(_) => validate::run(settings, printer),
        Verb::Plan(args) => plan::run(settings, printer, args).await,
        Verb::Apply(args) => apply::run(settings, printer, args, saved).await,
        Verb::Drift(args) => drift::run(settings, printer, args).await,
        Verb::Explain(args) => explain::run(settings, printer, args).await,
        Verb::Export(args) => export::run(settings, printer, args).await,
        Verb::Show(args) => show::run(settings, printer, args),
        Verb::Doctor(args) => doctor::run(settings, printer, args).await,
        Verb::Schema(args) => schema::run(printer, args),
        Verb::Completions(args) => completions::run(printer, args),
        Verb::Man(args) => man::run(printer, args, args::command()),
        Verb::Emulator(args) => emulator::run(settings, printer, args).await,
    }
}
