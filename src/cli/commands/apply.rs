//! `apply`: plans, asks, carries out, and says what came of it.

use std::cell::RefCell;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::doctor;
use super::plan::{self, look_and_plan, refusal, ticking};
use crate::cli::args::terms::Terms;
use crate::cli::clock::{now, seconds};
use crate::cli::connect::{self, Access, Ends};
use crate::cli::output::{self, Printer};
use crate::cli::pictures;
use crate::cli::receipt::{End, Writing};
use crate::cli::settings::{Consent, Settings};
use crate::cli::signals::{Wishes, until};
use crate::cli::values::{Format, ReportFile, some_time};
use crate::cli::{reports, saved};
use crate::core::audit::audit;
use crate::core::lineage::{PlanRef, Purpose};
use crate::core::model::Dialect;
use crate::core::plan::{Plan, Step};
use crate::core::report::{Event, Report, Stop};
use crate::core::saved::Saved;
use crate::core::summary;
use crate::error::{Code, Error, Exit, Result};
use crate::execute::{self, Ended, Run};
use crate::remote::{Operation, where_to_get};
use crate::render::html::{self, Pictures};
use crate::render::{self, json, markdown};
use crate::store::{self, Holder, Session};

pub(crate) const EXAMPLES: &str = "\
Examples:
  whop-sync apply --server emulator --yes
  whop-sync apply --yes --deadline 50min
  whop-sync apply --allow max_updates
  whop-sync apply users.plan.json --yes --receipt receipt.json
  whop-sync apply --yes --expect d6ed27f40dc4a8e5b1f0c39276d85e43";

/// How a plan is carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct ApplyArgs {
    /// Carry out exactly this plan, saved by `plan --out`
    ///
    /// Exits with 4 when anything it depends on has changed since. A plan
    /// runs once: when it was carried out to its end, it does nothing more.
    #[arg(value_name = "PLAN")]
    pub(crate) plan: Option<PathBuf>,
    /// Write what was done to this file, in JSON: each step, its request and answer
    ///
    /// Written as well when users failed or the run was interrupted.
    #[arg(long, value_name = "FILE")]
    pub(crate) receipt: Option<PathBuf>,
    /// What the plan must match, and the commit it comes from.
    #[command(flatten)]
    pub(crate) terms: Terms,
    /// Do not ask; needed where there is no terminal
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    /// Stop cleanly within this time, such as 90s or 1h 30min
    ///
    /// What is left is reported and the exit status is 5; the next run
    /// goes on from there.
    #[arg(long, value_name = "DURATION", value_parser = some_time)]
    pub(crate) deadline: Option<Duration>,
    /// Write a report to this file too, .json, .md, .html or .sarif; repeatable
    #[arg(long = "report", value_name = "FILE", value_parser = ReportFile::parse)]
    pub(crate) reports: Vec<ReportFile>,
}

/// Plans, or takes the saved plan, and carries it out.
///
/// # Errors
/// What keeps it from being begun, and what ends it before its time.
pub(crate) async fn run(
    settings: &Settings,
    printer: &Printer,
    args: &ApplyArgs,
    plan_file: Option<Saved>,
) -> Result<Exit> {
    let (consent, receipt_file) = (settings.consent, args.receipt.as_deref());
    if consent == Consent::Nobody {
        return Err(Error::new(
            Code::Usage,
            "cannot ask for confirmation: not a terminal, and `--yes` was not given",
        )
        .hint("look at `whop-sync plan` first, then pass `--yes`"));
    }
    let began = tokio::time::Instant::now();
    let plan_file = plan_file.as_ref();
    let mut wishes = Wishes::listen(args.deadline.map(|deadline| began + deadline))?;
    let opened = wishes
        .or_stop(Ends::open(settings, printer, Access::Write))
        .await?;
    let mut ends = opened.map_err(|error| saved::or_stale(error, plan_file))?;
    if let Some(saved) = plan_file {
        saved::belongs_here(settings, saved, &ends)?;
        ends.policy.touched = Some(saved.users());
    }
    printer.warnings(&connect::warnings(settings, &ends.manifest));
    let session = Session::open(
        ends.paths.clone(),
        ends.identity.clone(),
        Arc::new(settings.disk.clone()),
        &holder(),
    )?;
    if ends.memory.read > 0 && !ends.memory.index.is_empty() {
        // Under the lock. It only saves time: where it cannot be, nothing is lost.
        let _ = store::pictures::replace(&ends.paths, &settings.disk, &ends.memory.index.to_bytes());
    }
    if session.loaded().interrupted {
        printer.story("The previous apply was interrupted; this one resumes from its journal.");
    }
    let known = &session.loaded().known;
    if plan_file.is_none() {
        saved::is_steady(settings, known)?;
    }
    let claimed = plan_file.filter(|saved| known.lineage.is_done(saved.plan()));
    if plan_file.is_some_and(|saved| known.lineage.is_under_way(saved.plan())) {
        printer.story("This plan was begun before; what is left of it is carried out now.");
    }
    let (plan, observed) = wishes.or_stop(look_and_plan(settings, &ends, known)).await??;
    if let Some(saved) = claimed {
        if let Some(error) = saved::is_left(saved, &ends, &plan) {
            let changes = crate::core::saved::changes(saved, &plan, known, ends.manifest.digest);
            return saved::refuse(settings, printer, &error, &changes);
        }
        return done_before(settings, printer, receipt_file, &ends, session, saved);
    }
    let moved = plan_file.and_then(|saved| saved::moved(saved, &ends, &plan, known));
    if let Some((error, changes)) = moved {
        return saved::refuse(settings, printer, &error, &changes);
    }
    // Now, since an apply replaces them.
    let pictures = wishes.or_stop(pictures::gather(settings, &ends, &plan)).await?;
    if let Some(unexpected) = saved::unexpected(settings, printer, &plan, &known.lineage) {
        return plan::refuse(settings, printer, &ends, &plan, &pictures, &unexpected);
    }
    if let Some(refusal) = refusal(&plan) {
        return plan::refuse(settings, printer, &ends, &plan, &pictures, &refusal);
    }
    // The Markdown report tells the plan again: without a question, one
    // document is enough.
    if printer.format() == Format::Human || (consent == Consent::Ask && !printer.is_json()) {
        plan::show(printer, &ends, &plan)?;
    }
    if let Some(finding) = audit(&plan, &ends.manifest.desired, &observed, known).first() {
        return Err(
            Error::new(Code::Internal, format!("the plan is unsound: {finding}"))
                .hint("nothing was done; please report this with the manifest's structure"),
        );
    }
    // The run may take hours, and nobody asks again what was seen.
    drop(observed);
    let plan_ref = plan_file.map_or_else(
        || PlanRef {
            plan: summary::digest(&plan),
            base: known.generation,
        },
        Saved::plan,
    );
    let mut receipt = Writing::begin(&settings.disk, receipt_file, plan_ref.plan, &plan)?;
    if consent == Consent::Ask && !plan.is_empty() && !wishes.or_stop(ask(printer)).await?? {
        return Err(Error::new(Code::PlanDeclined, "not confirmed; nothing was done"));
    }
    wishes.or_stop(check_permissions(&ends, &plan)).await??;
    let purpose = saved::purpose(settings, &ends, plan_ref);
    let held = plan.holds.len();
    let is_told = printer.format() != Format::Human || !settings.reports.is_empty();
    let copy = is_told.then(|| plan.clone());
    let work = Work {
        plan,
        purpose,
        session,
    };
    let ended = carry_out(settings, &ends, work, began, wishes, receipt.as_mut()).await;
    let ended = ended.and_then(|ended| {
        ended.ok_or_else(|| {
            Error::new(Code::Interrupted, "stopped at once, by a second signal")
                .hint("run it again: what was in flight is in the journal and is settled first")
        })
    });
    let mut received = Exit::Done;
    if let Some(receipt) = receipt {
        let (report, error) = match &ended {
            Ok(ended) => (Some(&ended.report), ended.error.as_ref()),
            Err(error) => (None, Some(error)),
        };
        let exit = error.map_or_else(
            || report.map_or(Exit::Failed, |report| exit(report, held)),
            |error| error.code().exit(),
        );
        let end = End { report, error, exit };
        received = receipt.end(settings, &ends, printer, end);
    }
    let Ended { report, error } = ended?;
    let told = copy.as_ref().map(|plan| (plan, &pictures));
    let exit = finish(settings, printer, &ends, told, held, &report, error)?;
    Ok(if exit == Exit::Done { received } else { exit })
}

/// Ends a run whose plan was carried out before, now that it was looked whether
/// that is so.
///
/// # Errors
/// The journal that is left of it cannot be cleared, or the receipt not begun.
fn done_before(
    settings: &Settings,
    printer: &Printer,
    receipt_file: Option<&Path>,
    ends: &Ends,
    session: Session,
    saved: &Saved,
) -> Result<Exit> {
    if session.loaded().interrupted {
        // All that is left of it is its journal.
        session.commit(&session.loaded().known, ends.client.server_time())?;
    }
    let nothing = Plan::new(&ends.manifest.desired, &ends.policy);
    let receipt = Writing::begin(&settings.disk, receipt_file, saved.digest, &nothing)?;
    let exit = saved::already_applied(settings, printer, ends, saved)?;
    let report = Report::default();
    let end = End {
        report: Some(&report),
        error: None,
        exit,
    };
    Ok(receipt.map_or(exit, |receipt| receipt.end(settings, ends, printer, end)))
}

/// How a run that nothing ended early ends.
fn exit(report: &Report, held: usize) -> Exit {
    match report.stopped {
        Some(Stop::Interrupted) => Exit::Interrupted,
        Some(Stop::Deadline | Stop::Fatal) => Exit::Partial,
        None if report.is_complete() && held == 0 => Exit::Done,
        None => Exit::Partial,
    }
}

/// Tells how it ended. `told` is there if an output tells the plan again.
fn finish(
    settings: &Settings,
    printer: &Printer,
    ends: &Ends,
    told: Option<(&Plan, &Pictures)>,
    held: usize,
    report: &Report,
    error: Option<Error>,
) -> Result<Exit> {
    match (printer.format(), told) {
        // The error is the one document.
        (Format::Json, Some(_)) if error.is_some() => {}
        (Format::Json, Some((plan, _))) => {
            printer.result(|out| json::report(out, report, plan, &ends.header))?
        }
        (Format::Markdown, Some((plan, _))) => {
            let text = markdown::report(report, plan, &ends.header);
            printer.result(|out| out.write_all(text.as_bytes()))?;
        }
        _ => printer.result(|out| {
            writeln!(out)?;
            render::report::write(out, report, printer.palette)
        })?,
    }
    let reported = told.map_or(Ok(()), |(plan, pictures)| {
        reports::write(
            settings,
            |out| json::report(out, report, plan, &ends.header),
            || markdown::report(report, plan, &ends.header),
            |out| html::report(out, report, plan, &ends.header, pictures),
        )
    });
    let exit = match error {
        // Not handed on: the reports tell what was done, and stay.
        Some(error) => printer.error(&doctor::advise(error)),
        None => exit(report, held),
    };
    Ok(reports::missing(printer, reported, exit))
}

/// What is carried out, and where that is written down.
struct Work {
    plan: Plan,
    purpose: Purpose,
    session: Session,
}

/// Carries the plan out with progress, listening for signals; `None` when a
/// second signal ended it at once.
async fn carry_out(
    settings: &Settings,
    ends: &Ends,
    work: Work,
    began: tokio::time::Instant,
    wishes: Wishes,
    mut receipt: Option<&mut Writing<'_>>,
) -> Result<Option<Ended>> {
    let Work {
        plan,
        purpose,
        session,
    } = work;
    let Wishes { mut signals, due } = wishes;
    let (stop, stopped) = watch::channel(None);
    let manifest = ends.manifest.clone();
    let run = Run {
        client: ends.client.clone(),
        read_picture: Arc::new(move |avatar| manifest.read_picture(avatar)),
        id: ends.run_id.clone(),
        purpose: Some(purpose),
        began: seconds(now()),
        stop: stopped,
    };
    let progress = RefCell::new(output::progress(&settings.output));
    let on_event = |event: &Event| {
        progress.borrow_mut().on(event);
        if let Some(receipt) = &mut receipt {
            receipt.on(event);
        }
    };
    let work = execute::execute(plan, run, session, on_event);
    let work = ticking(work, || {
        progress
            .borrow_mut()
            .tick(began.elapsed(), output::waits(&ends.client))
    });
    let mut work = std::pin::pin!(work);
    let mut asked = false;
    loop {
        tokio::select! {
            biased;
            ended = &mut work => return ended.map(Some),
            () = signals.next() => {
                if asked {
                    return Ok(None);
                }
                asked = true;
                stop.send_replace(Some(Stop::Interrupted));
            }
            () = until(due), if stop.borrow().is_none() => {
                stop.send_replace(Some(Stop::Deadline));
            }
        }
    }
}

/// Asks at the terminal. Anything but a plain yes is a no. Reads on a thread
/// of its own, so that a signal need not wait for an answer.
async fn ask(printer: &Printer) -> Result<bool> {
    printer.must_be_seen("\nApply these changes? Only `yes` will be accepted: ");
    let read = || {
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map(|_| answer)
    };
    let answer = tokio::task::spawn_blocking(read)
        .await
        .map_err(io::Error::other)
        .and_then(|read| read)
        .map_err(|cause| Error::new(Code::IoFailed, "could not read the answer").caused_by(cause))?;
    Ok(answer.trim() == "yes")
}

/// Asks Whop beforehand whether the key may do what the plan needs: otherwise
/// missing permissions come up one 403 at a time, half-way through
/// ([permissions](crate::whop_api#permissions)). The old dialect cannot be asked.
async fn check_permissions(ends: &Ends, plan: &Plan) -> Result<()> {
    let needed = permissions(plan);
    if ends.client.dialect() == Dialect::Companies || needed.is_empty() {
        return Ok(());
    }
    let granted = ends
        .client
        .permissions(&needed)
        .await
        .map_err(|error| error.into_error())?;
    let missing: Vec<_> = needed
        .into_iter()
        .filter(|name| granted.get(*name) == Some(&false))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join("`, `");
    Err(Error::new(
        Code::PermissionMissing,
        format!("the key lacks `{names}` on {}", ends.header.company),
    )
    .hint(format!("{}; nothing was done", where_to_get(&missing))))
}

/// What the plan's steps need, in the dialect that can be asked.
fn permissions(plan: &Plan) -> Vec<&'static str> {
    let needs = [
        (Step::CreateAccount, Operation::CreateAccount),
        (Step::UpdateAccount, Operation::UpdateAccount),
        (Step::UpdateProfile, Operation::UpdateUser),
    ];
    let has = |step| plan.actions.iter().any(|action| action.steps().contains(&step));
    needs
        .into_iter()
        .filter(|(step, _)| has(*step))
        .flat_map(|(_, operation)| operation.scope(Dialect::Accounts))
        .copied()
        .collect()
}

/// Who we are, for another run that meets our lock.
fn holder() -> Holder {
    Holder {
        pid: process::id(),
        host: gethostname::gethostname().to_string_lossy().into_owned(),
        since: humantime::format_rfc3339_seconds(now()).to_string(),
    }
}
