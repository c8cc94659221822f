//! The program: arguments settled once, one file for each command, and the
//! only place that wires the edges together.

mod apply;
pub mod args;
mod commits;
mod completions;
mod connect;
mod csv;
mod doctor;
mod drift;
pub mod early;
mod emulator;
mod explain;
pub mod export;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod init;
pub mod key;
mod man;
mod output;
pub mod paths;
mod pictures;
pub mod pipelines;
mod plan;
mod receipt;
mod reports;
mod saved;
mod schema;
pub mod settings;
mod show;
mod signals;
mod validate;
pub mod values;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use self::early::Early;
use self::output::Printer;
use self::settings::{Facts, Job, Settings, VARIABLES};
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
    if let Err(error) = reports::check(&settings.reports) {
        return printer.error(&error);
    }
    match perform(&settings, &printer, saved).await {
        Ok(exit) => exit,
        Err(error) => {
            let error = advise(error, &settings.job);
            reports::error(&settings, &printer, &error);
            printer.error(&error)
        }
    }
}

/// Names `doctor` where it helps: it looks at all that a key can be wrong in.
fn advise(error: Error, job: &Job) -> Error {
    let of_key = matches!(
        error.code(),
        Code::KeyRefused | Code::PermissionMissing | Code::CompanyUnknown
    );
    if !of_key || matches!(job, Job::Doctor { .. }) {
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
    match &settings.job {
        Job::Validate => validate::run(settings, printer),
        Job::Plan {
            detailed_exitcode,
            out,
        } => plan::run(settings, printer, *detailed_exitcode, out.as_deref()).await,
        Job::Apply {
            consent,
            deadline,
            receipt,
        } => {
            let wanted = apply::Wanted {
                consent: *consent,
                deadline: *deadline,
                receipt: receipt.as_deref(),
                saved,
            };
            apply::run(settings, printer, wanted).await
        }
        Job::Doctor { probe } => doctor::run(settings, *probe, printer).await,
        Job::Drift { others } => drift::run(settings, printer, *others).await,
        Job::Export(args) => export::run(settings, printer, args).await,
        Job::Explain { id } => explain::run(settings, printer, id).await,
        Job::Schema { of } => schema::run(printer, *of),
        Job::Completions { shell } => completions::run(printer, shell),
        Job::Man { page } => man::run(printer, page.as_deref()),
        Job::Init(args) => init::run(settings, printer, args),
        Job::Show { id } => show::run(settings, printer, id.as_ref()),
        Job::Emulator {
            port,
            rate,
            latency,
            keys,
            faults,
        } => {
            let served = emulator::Served {
                port: *port,
                rate: *rate,
                latency: *latency,
                keys,
                faults: faults.as_deref(),
            };
            emulator::run(settings, printer, served).await
        }
    }
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
