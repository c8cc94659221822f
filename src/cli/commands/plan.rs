//! `plan`: looks, compares, prints. It holds nothing that could write.

use std::cell::RefCell;
use std::io;
use std::path::PathBuf;

use crate::cli::args::terms::Terms;
use crate::cli::commits;
use crate::cli::connect::{self, Access, Ends};
use crate::cli::output::{self, Printer};
use crate::cli::pictures;
use crate::cli::settings::Settings;
use crate::cli::signals::Wishes;
use crate::cli::values::{Format, ReportFile};
use crate::cli::{reports, saved};
use crate::core::lineage::Commit;
use crate::core::model::{Guard, Known, Observed};
use crate::core::plan::{Breach, Plan};
use crate::core::planner;
use crate::core::state_digest::desired_digest;
use crate::error::{Code, Error, Exit, Result};
use crate::remote::refresh::{self, Progress as Looked};
use crate::render::html::{self, Pictures};
use crate::render::{self, json, markdown, messages};
use crate::store;

pub(crate) const EXAMPLES: &str = "\
Examples:
  whop-sync plan --server emulator
  whop-sync plan --only user_12345 --refresh full
  whop-sync plan --detailed-exitcode --format json
  whop-sync plan --report plan.md --report plan.json
  whop-sync plan --out users.plan.json    save it, for `whop-sync apply users.plan.json`";

/// How a plan is made and told.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct PlanArgs {
    /// Exit with 2 when changes are pending, and with 0 when there are none
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,
    /// Refuse a plan that cannot be reviewed in a comment
    ///
    /// Where Markdown has no room for every user's id and name, the plan is
    /// refused with the guardrail `too_large`, which `--allow` lifts.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Save the plan to this file, for `apply FILE`
    ///
    /// It contains no secret and no picture. A plan that a guardrail refuses
    /// is not saved.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// What the plan must match, and the commit it comes from.
    #[command(flatten)]
    pub(crate) terms: Terms,
    /// Write a report to this file too, .json, .md, .html or .sarif; repeatable
    #[arg(long = "report", value_name = "FILE", value_parser = ReportFile::parse)]
    pub(crate) reports: Vec<ReportFile>,
}

/// Opens what a look needs, prints its warnings, and says what it means for this
/// command if an apply was `interrupted`.
pub(super) async fn open(
    settings: &Settings,
    printer: &Printer,
    wishes: &mut Wishes,
    interrupted: &str,
) -> Result<(Ends, store::Loaded)> {
    let ends = wishes
        .or_stop(Ends::open(settings, printer, Access::Read))
        .await??;
    printer.warnings(&connect::warnings(settings, &ends.manifest));
    let loaded = store::load(&ends.paths, &ends.identity, &settings.disk)?;
    if loaded.interrupted {
        printer.story(interrupted);
    }
    Ok((ends, loaded))
}

pub(crate) async fn run(settings: &Settings, printer: &Printer, args: &PlanArgs) -> Result<Exit> {
    let mut wishes = Wishes::listen(None)?;
    let interrupted = "The previous apply was interrupted; this plan resumes from its journal.";
    let (ends, loaded) = open(settings, printer, &mut wishes, interrupted).await?;
    saved::is_steady(settings, &loaded.known)?;
    let looking = look_and_plan(settings, &ends, &loaded.known);
    let (mut plan, observed) = wishes.or_stop(looking).await??;
    leave(observed);
    if args.strict && ends.policy.enforces(Guard::TooLarge) {
        plan.breaches.extend(markdown::too_large(&plan, &ends.header));
    }
    let pictures = wishes.or_stop(pictures::gather(settings, &ends, &plan)).await?;
    let lineage = &loaded.known.lineage;
    if let Some(refusal) = saved::unexpected(settings, printer, &plan, lineage) {
        return refuse(settings, printer, &ends, &plan, &pictures, &refusal);
    }
    let refused = plan.breaches.iter().any(|breach| breach.guard != Guard::Stale);
    match refusal(&plan) {
        Some(refusal) if refused => return refuse(settings, printer, &ends, &plan, &pictures, &refusal),
        // An older manifest is refused by `apply`. Here it is only looked at,
        // and a pull request that goes back on purpose must be readable.
        Some(stale) => printer.story(&format!("warning: {stale}; `apply` will refuse it")),
        None => {}
    }
    // First, since that it cannot be saved is the one document.
    if let Some(path) = &args.out {
        saved::save(settings, printer, &ends, &plan, &loaded.known, path)?;
    }
    show(printer, &ends, &plan)?;
    let reported = reports::write(
        settings,
        |out| json::plan(out, &plan, &ends.header),
        || markdown::plan(&plan, &ends.header),
        |out| html::plan(out, &plan, &ends.header, &pictures),
    );
    let pending = !plan.is_empty() || !plan.holds.is_empty();
    leave((ends.manifest, loaded, plan));
    let exit = if pending && args.detailed_exitcode {
        Exit::Pending
    } else {
        Exit::Done
    };
    Ok(reports::missing(printer, reported, exit))
}

/// Leaks large values on purpose: the process is about to exit, and dropping a
/// million users one by one would take a while. Values that must be closed do
/// not belong here.
fn leave(facts: impl Sized) {
    std::mem::forget(facts);
}

/// Refreshes and plans, with progress.
pub(crate) async fn look_and_plan(
    settings: &Settings,
    ends: &Ends,
    known: &Known,
) -> Result<(Plan, Observed)> {
    let observed = look(settings, ends, known).await?;
    let mut plan = planner::plan(&ends.manifest.desired, &observed, known, &ends.policy);
    plan.breaches.extend(older(settings, ends, known, &plan));
    Ok((plan, observed))
}

/// Refreshes, with progress.
pub(crate) async fn look(settings: &Settings, ends: &Ends, known: &Known) -> Result<Observed> {
    let progress = RefCell::new(output::progress(&settings.output));
    let started = tokio::time::Instant::now();
    let on_look = |looked| {
        if let Looked::Read(done, of) = looked {
            progress.borrow_mut().reading(done as u64, of as u64);
        }
    };
    let looking = refresh::refresh(&ends.client, &ends.manifest.desired, known, &ends.policy, on_look);
    let tick = || {
        progress
            .borrow_mut()
            .tick(started.elapsed(), output::waits(&ends.client))
    };
    ticking(looking, tick).await.map_err(|error| error.into_error())
}

/// Whether the manifest is older than what was applied last: applying it would
/// undo what somebody merged since. One that changes nothing undoes nothing.
fn older(settings: &Settings, ends: &Ends, known: &Known, plan: &Plan) -> Option<Breach> {
    if plan.is_empty() || !ends.policy.enforces(Guard::Stale) {
        return None;
    }
    let desired = desired_digest(&ends.manifest.desired);
    let ancestry =
        |last: &Commit| commits::compare(ends.manifest.directory(), settings.commit.as_ref(), last);
    let since = known.lineage.newer_than(&desired, ancestry)?;
    Some(Breach {
        guard: Guard::Stale,
        most: 0,
        wanted: since,
        limit: None,
    })
}

/// Waits for work while calling `tick` ten times a second.
pub(crate) async fn ticking<T>(work: impl Future<Output = T>, mut tick: impl FnMut()) -> T {
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
pub(crate) fn refusal(plan: &Plan) -> Option<Error> {
    let first = plan.breaches.first()?;
    let told: Vec<_> = plan
        .breaches
        .iter()
        .map(|breach| messages::breach(breach).message)
        .collect();
    Some(Error::new(Code::PlanRefused, told.join("; ")).hint(messages::breach(first).what_to_do))
}

/// Prints a plan.
pub(crate) fn show(printer: &Printer, ends: &Ends, plan: &Plan) -> Result<()> {
    printer.result(|out| match printer.format() {
        Format::Json => json::plan(out, plan, &ends.header),
        Format::Markdown => out.write_all(markdown::plan(plan, &ends.header).as_bytes()),
        Format::Human | Format::Csv => render::plan::write(out, plan, &ends.header, printer.palette),
    })
}

/// Shows and reports a refused plan whole, then the refusal.
///
/// # Errors
/// stdout cannot be written to.
pub(crate) fn refuse(
    settings: &Settings,
    printer: &Printer,
    ends: &Ends,
    plan: &Plan,
    pictures: &Pictures,
    refusal: &Error,
) -> Result<Exit> {
    let document =
        |out: &mut dyn io::Write, error: &Error| json::error(out, error, Some((plan, &ends.header)));
    let reported = reports::write(
        settings,
        |out| document(out, refusal),
        || markdown::plan(plan, &ends.header),
        |out| html::plan(out, plan, &ends.header, pictures),
    );
    if !printer.is_json() {
        show(printer, ends, plan)?;
    }
    // That it is refused weighs more than that a report is missing.
    if let Err(error) = &reported {
        printer.story(&format!("warning: {error}"));
    }
    Ok(printer.show_error(refusal, document))
}
