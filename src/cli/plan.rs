//! `plan`: looks, compares, prints. It holds nothing that could write.

use std::cell::RefCell;
use std::io;

use super::connect::{self, Ends};
use super::output::Printer;
use super::settings::Settings;
use super::signals::Signals;
use crate::core::model::{Known, Observed};
use crate::core::plan::Plan;
use crate::core::planner;
use crate::error::{Code, Error, Exit, Result};
use crate::remote::refresh::{self, Progress as Looked};
use crate::render::progress::Progress;
use crate::render::{self, json, words};
use crate::store::{self, OsDisk};

pub(super) async fn run(settings: &Settings, printer: &Printer, detailed_exitcode: bool) -> Result<Exit> {
    let mut signals = Signals::listen()?;
    let ends = Ends::open(settings)?;
    printer.warnings(&connect::warnings(settings, &ends.manifest));
    let loaded = store::load(&ends.paths, &ends.identity, &OsDisk)?;
    if loaded.interrupted {
        printer.story("An earlier apply did not end in order; the plan takes up where it was.");
    }
    let looking = look_and_plan(settings, &ends, &loaded.known);
    let (plan, _) = signals.unless_stopped(looking).await?;
    if let Some(refusal) = refusal(&plan) {
        return Ok(show_refused(printer, &ends, &plan, &refusal));
    }
    printer.result(|out| match printer.is_json() {
        true => json::plan(out, &plan, &ends.header),
        false => render::plan::write(out, &plan, &ends.header, printer.palette),
    })?;
    let pending = !plan.is_empty() || !plan.holds.is_empty();
    Ok(if pending && detailed_exitcode {
        Exit::Pending
    } else {
        Exit::Done
    })
}

/// Refreshes and plans, with progress.
pub(super) async fn look_and_plan(
    settings: &Settings,
    ends: &Ends,
    known: &Known,
) -> Result<(Plan, Observed)> {
    let progress = RefCell::new(Progress::new(settings.output.progress, io::stderr()));
    let started = tokio::time::Instant::now();
    let on_look = |looked| {
        if let Looked::Read(done, of) = looked {
            progress.borrow_mut().reading(done as u64, of as u64);
        }
    };
    let looking = refresh::refresh(&ends.client, &ends.manifest.desired, known, &ends.policy, on_look);
    let tick = || progress.borrow_mut().tick(started.elapsed());
    let observed = ticking(looking, tick).await.map_err(|error| error.into_error())?;
    let plan = planner::plan(&ends.manifest.desired, &observed, known, &ends.policy);
    Ok((plan, observed))
}

/// Waits for work while calling `tick` ten times a second.
pub(super) async fn ticking<T>(work: impl Future<Output = T>, mut tick: impl FnMut()) -> T {
    let mut work = std::pin::pin!(work);
    let mut clock = tokio::time::interval(std::time::Duration::from_millis(100));
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = clock.tick() => tick(),
        }
    }
}

/// Why a plan is refused, if a guardrail refuses it.
pub(super) fn refusal(plan: &Plan) -> Option<Error> {
    let first = plan.breaches.first()?;
    let told: Vec<_> = plan
        .breaches
        .iter()
        .map(|breach| words::breach(breach).message)
        .collect();
    Some(Error::new(Code::PlanRefused, told.join("; ")).hint(words::breach(first).what_to_do))
}

/// Shows a refused plan whole, then the refusal.
pub(super) fn show_refused(printer: &Printer, ends: &Ends, plan: &Plan, refusal: &Error) -> Exit {
    if !printer.is_json() {
        let shown = printer.result(|out| render::plan::write(out, plan, &ends.header, printer.palette));
        if let Err(error) = shown {
            return printer.error(&error);
        }
    }
    printer.show_error(refusal, |out, error| {
        json::error(out, error, Some((plan, &ends.header)))
    })
}
