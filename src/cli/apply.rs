//! `apply`: plans, asks, carries out, and says what came of it.

use std::cell::RefCell;
use std::io::{self, BufRead};
use std::process;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::connect::{self, Ends};
use super::output::Printer;
use super::pictures;
use super::plan::{self, look_and_plan, refusal, ticking};
use super::reports;
use super::settings::{Consent, Settings};
use super::signals::{Wishes, until};
use super::values::Format;
use super::{now, seconds};
use crate::core::audit::audit;
use crate::core::model::Dialect;
use crate::core::plan::{Plan, Step};
use crate::core::report::{Report, Stop};
use crate::error::{Code, Error, Exit, Result};
use crate::execute::{self, Ended, Run};
use crate::render::html::{self, Pictures};
use crate::render::progress::Progress;
use crate::render::{self, json, markdown};
use crate::store::{Holder, OsDisk, Session};

pub(super) async fn run(
    settings: &Settings,
    printer: &Printer,
    consent: Consent,
    deadline: Option<Duration>,
) -> Result<Exit> {
    if consent == Consent::Nobody {
        return Err(
            Error::new(Code::Usage, "there is no terminal to ask, and no `--yes`")
                .hint("look at `whop-sync plan` first, then pass `--yes`"),
        );
    }
    let began = tokio::time::Instant::now();
    let ends = Ends::open(settings)?;
    printer.warnings(&connect::warnings(settings, &ends.manifest));
    let session = Session::open(
        ends.paths.clone(),
        ends.identity.clone(),
        Arc::new(OsDisk),
        &holder(),
    )?;
    if session.loaded().interrupted {
        printer.story("An earlier apply did not end in order; this one takes up where it was.");
    }
    let known = &session.loaded().known;
    let mut wishes = Wishes::listen(deadline.map(|deadline| began + deadline))?;
    let (plan, observed) = wishes.or_stop(look_and_plan(settings, &ends, known)).await??;
    // Now, since an apply replaces them.
    let pictures = wishes.or_stop(pictures::gather(settings, &ends, &plan)).await?;
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
    if consent == Consent::Ask && !plan.is_empty() && !wishes.or_stop(ask(printer)).await?? {
        return Err(Error::new(Code::PlanDeclined, "not confirmed; nothing was done"));
    }
    wishes.or_stop(check_permissions(&ends, &plan)).await??;
    let held = plan.holds.len();
    let is_told = printer.format() != Format::Human || !settings.reports.is_empty();
    let copy = is_told.then(|| plan.clone());
    let ended = carry_out(settings, &ends, plan, session, began, wishes).await?;
    let Some(Ended { report, error }) = ended else {
        return Err(
            Error::new(Code::Interrupted, "stopped at once, by a second signal")
                .hint("run it again: what was in flight is in the journal and is settled first"),
        );
    };
    let told = copy.as_ref().map(|plan| (plan, &pictures));
    finish(settings, printer, &ends, told, held, &report, error)
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
            &settings.reports,
            |out| json::report(out, report, plan, &ends.header),
            || markdown::report(report, plan, &ends.header),
            |out| html::report(out, report, plan, &ends.header, pictures),
        )
    });
    if let Some(error) = error {
        return Err(error);
    }
    reported?;
    Ok(match report.stopped {
        Some(Stop::Interrupted) => Exit::Interrupted,
        Some(Stop::Deadline | Stop::Fatal) => Exit::Partial,
        None if report.is_complete() && held == 0 => Exit::Done,
        None => Exit::Partial,
    })
}

/// Carries the plan out with progress, listening for signals; `None` when a
/// second signal ended it at once.
async fn carry_out(
    settings: &Settings,
    ends: &Ends,
    plan: Plan,
    session: Session,
    began: tokio::time::Instant,
    wishes: Wishes,
) -> Result<Option<Ended>> {
    let Wishes { mut signals, due } = wishes;
    let (stop, stopped) = watch::channel(None);
    let manifest = ends.manifest.clone();
    let run = Run {
        client: ends.client.clone(),
        read_picture: Arc::new(move |avatar| manifest.read_picture(avatar)),
        id: ends.run_id.clone(),
        began: seconds(now()),
        stop: stopped,
    };
    let progress = RefCell::new(Progress::new(settings.output.progress, io::stderr()));
    let work = execute::execute(plan, run, session, |event| progress.borrow_mut().on(event));
    let work = ticking(work, || progress.borrow_mut().tick(began.elapsed()));
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
    printer.must_be_seen("\nApply these changes? Only `yes` is taken for it: ");
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
/// (`whop-api.md` §9). The old dialect cannot be asked.
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
    .hint("add it in Whop's dashboard under Developer, or use a key of the owner's role; nothing was done"))
}

/// What the plan's steps need (`whop-api.md` §3, §5).
fn permissions(plan: &Plan) -> Vec<&'static str> {
    let needs = [
        (Step::CreateAccount, "company:create_child"),
        (Step::UpdateAccount, "company:update"),
        (Step::UpdateProfile, "user:profile:update"),
    ];
    let has = |step| plan.actions.iter().any(|action| action.steps().contains(&step));
    needs
        .into_iter()
        .filter(|(step, _)| has(*step))
        .map(|(_, name)| name)
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
