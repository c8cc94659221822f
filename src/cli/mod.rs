//! The program: arguments settled once, one file for each command, and the
//! only place that wires the edges together.

mod args;
mod commands;
mod commits;
mod connect;
mod early;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod key;
mod output;
mod paths;
mod pictures;
mod receipt;
mod reports;
mod saved;
mod settings;
mod signals;
mod values;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::Instrument as _;

use self::args::Verb;
use self::commands::{
    apply, completions, doctor, drift, emulator, explain, export, init, man, plan, schema, show, validate,
};
use self::early::Early;
use self::output::Printer;
use self::settings::{Facts, Settings, VARIABLES};
use crate::core::saved::Saved;
use crate::error::{Code, Error, Exit, Result};

/// Runs a command line, the program's name first, and says how it ended.
pub async fn run(raw: Vec<OsString>) -> Exit {
    if let Some(exit) = completions::answer(&raw) {
        return exit;
    }
    let facts = facts();
    let mut args = match args::parse(&raw, &facts) {
        Ok(args) => args,
        Err(Early { stdout, stderr, exit }) => {
            output::print_early(&stdout, &stderr);
            return exit;
        }
    };
    let unsettled = Printer::before_settings(&args.options, &facts);
    let resolved = saved::take_over(&mut args).and_then(|saved| {
        let settings = Settings::resolve(args, &facts, Path::is_dir)?;
        Ok((settings, saved))
    });
    let (settings, saved) = match resolved {
        Ok(resolved) => resolved,
        Err(error) => return unsettled.error(&error),
    };
    let printer = Printer::new(&settings.output);
    output::start_logs(&settings.output);
    if let Err(error) = reports::check(&settings) {
        return printer.error(&error);
    }
    // Its id is recorded where it is made.
    let run = tracing::info_span!("run", id = tracing::field::Empty);
    match perform(&settings, &printer, saved).instrument(run).await {
        Ok(exit) => exit,
        Err(error) => {
            let error = advise(error, &settings.verb);
            reports::error(&settings, &printer, &error);
            printer.error(&error)
        }
    }
}

/// Names `doctor` where it helps: it looks at all that a key can be wrong in.
fn advise(error: Error, verb: &Verb) -> Error {
    let of_key = matches!(
        error.code(),
        Code::KeyRefused | Code::PermissionMissing | Code::CompanyUnknown
    );
    if !of_key || matches!(verb, Verb::Doctor(_)) {
        return error;
    }
    let hint = match error.what_to_do() {
        Some(hint) => format!("{hint}; `whop-sync doctor` looks at all of it"),
        None => "`whop-sync doctor` looks for what is wrong".to_owned(),
    };
    error.hint(hint)
}

/// The system gave no runtime: says so and gives the exit status.
pub fn no_runtime(error: &std::io::Error) -> std::process::ExitCode {
    output::print_early("", &format!("error: could not start: {error}\n"));
    std::process::ExitCode::from(Exit::Failed as u8)
}

async fn perform(settings: &Settings, printer: &Printer, saved: Option<Saved>) -> Result<Exit> {
    match &settings.verb {
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
        Verb::Man(args) => man::run(printer, args),
        Verb::Emulator(args) => emulator::run(settings, printer, args).await,
    }
}

/// Lets go of what is nothing but memory, and leaves it to the system: the
/// process is about to end, and taking a million users apart one by one would
/// take a while. Nothing that has to be closed may be among it.
fn leave(facts: impl Sized) {
    std::mem::forget(facts);
}

/// Asks the surroundings, once.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn facts() -> Facts {
    let environment: BTreeMap<_, _> = VARIABLES
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
        .collect();
    Facts {
        environment,
        stdin_is_terminal: std::io::stdin().is_terminal(),
        stdout_is_terminal: std::io::stdout().is_terminal(),
        stderr_is_terminal: std::io::stderr().is_terminal(),
        width: terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)),
    }
}

/// The time.
#[expect(clippy::disallowed_methods, reason = "the one place that asks for the time")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// The same, in seconds since 1970; 0 where the clock stands before that.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
