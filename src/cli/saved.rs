//! Saved plans and expected digests: writing a plan down, and making sure
//! that what is carried out is what was looked at.
//!
//! A plan's file never says where to go: server, key and mapping are the
//! command line's, and a file for another place is refused. Otherwise a file
//! from a stranger could send the key somewhere.

use std::io::Write;
use std::path::Path;

use super::connect::Ends;
use super::output::Printer;
use super::reports;
use super::settings::Settings;
use super::values::Format;
use crate::core::lineage::{Lineage, PlanRef, Purpose, State};
use crate::core::link::AUTO_PROFILES;
use crate::core::model::{Known, Refresh};
use crate::core::plan::Plan;
use crate::core::report::Report;
use crate::core::saved::{self, Changes, Place, Saved};
use crate::core::state_digest::desired_digest;
use crate::core::summary;
use crate::error::{Code, Error, Exit, Result};
use crate::render::escape::Safe;
use crate::render::style::Palette;
use crate::render::{html, json, messages, plan_difference};
use crate::store::{MOST_PLAN_BYTES, Replacement};

/// Where this run goes.
fn place(ends: &Ends) -> Place<'_> {
    Place {
        program: env!("CARGO_PKG_VERSION"),
        company: &ends.identity.company,
        server: &ends.identity.server,
        api_version: &ends.header.version,
    }
}

/// Saves a plan.
///
/// # Errors
/// A path that cannot be written down, a plan too large, a file that cannot be
/// written.
pub(super) fn save(
    settings: &Settings,
    printer: &Printer,
    ends: &Ends,
    plan: &Plan,
    known: &Known,
    path: &Path,
) -> Result<()> {
    let manifests = settings.manifests.iter().map(|path| {
        path.to_str().map(str::to_owned).ok_or_else(|| {
            Error::new(
                Code::Usage,
                format!(
                    "the path `{}` is not UTF-8, so no plan can name it",
                    path.display()
                ),
            )
        })
    });
    let manifests = manifests.collect::<Result<_>>()?;
    let basis = saved::basis(place(ends), manifests, ends.manifest.digest, known, &ends.policy);
    let saved = Saved::new(plan, basis);
    let mut bytes = Vec::new();
    json::saved(&mut bytes, &saved).map_err(|cause| Error::file("write the plan", path, cause))?;
    if bytes.len() as u64 > MOST_PLAN_BYTES {
        return Err(Error::new(
            Code::IoFailed,
            format!("the plan is too large to be saved: more than {MOST_PLAN_BYTES} bytes"),
        )
        .hint("use `apply --expect DIGEST` instead, which needs no file"));
    }
    Replacement::begin(&settings.disk, path)?.finish(&bytes)?;
    printer.story(&format!(
        "Saved to `{0}`: `whop-sync apply {0}`, for the same server, carries out exactly this plan.",
        Safe(path.display())
    ));
    Ok(())
}

/// Refuses to expect a digest of a plan that is another one every hour: above
/// [`AUTO_PROFILES`], `auto` reads a slice of the profiles that the clock
/// chooses, and finds other drift in each.
///
/// # Errors
/// [`Code::Usage`], naming the refreshes that always look at the same.
pub(super) fn is_steady(settings: &Settings, known: &Known) -> Result<()> {
    let mapped = known.users.len();
    if settings.expect.is_none() || settings.refresh != Refresh::Auto || mapped <= AUTO_PROFILES {
        return Ok(());
    }
    let message = format!(
        "`--expect` cannot be kept with `--refresh auto` and {mapped} mapped users: above {AUTO_PROFILES}, \
         which profiles are read depends on the hour"
    );
    Err(Error::new(Code::Usage, message)
        .hint("pass `--refresh full` or `--refresh changed`, to `plan` and to `apply` alike"))
}

/// Why the plan is not the one that is expected, if so. One that was carried
/// out already leaves nothing to do, which is as expected.
pub(super) fn unexpected(
    settings: &Settings,
    printer: &Printer,
    plan: &Plan,
    lineage: &Lineage,
) -> Option<Error> {
    let expected = settings.expect.as_ref()?;
    let found = summary::digest(plan);
    if expected.is(&found) {
        return None;
    }
    let last = lineage.last().filter(|last| expected.is(&last.plan.plan));
    if plan.is_empty() && last.is_some_and(|last| !last.open) {
        printer.story("The plan that is expected was carried out already: nothing of it is left to do.");
        return None;
    }
    let error = Error::new(
        Code::PlanStale,
        format!("the plan is not the one expected: expected {expected}, found {found}"),
    );
    Some(error.hint(match last.filter(|last| last.open) {
        Some(_) => "the one expected was begun before, and this is what is left of it: review it, then pass its digest to `--expect`",
        None => "something has moved since that plan was made: review this plan, then pass its digest to `--expect`",
    }))
}

/// Why a plan that the mapping calls carried out was not, if so: whoever writes
/// the mapping can write that, and Whop shows what is left to do.
pub(super) fn is_left(saved: &Saved, ends: &Ends, plan: &Plan) -> Option<Error> {
    let left = saved.left(plan);
    (left > 0).then(|| {
        let mapping = ends.paths.mapping.display();
        Error::new(
            Code::PlanStale,
            format!(
                "the saved plan is stale: `{mapping}` says that it was carried out, and Whop does not show that for {}",
                messages::plural(left, "user")
            ),
        )
        .hint("plan again and have that one looked at; nothing was changed")
    })
}

/// What the run sets out to do, for the mapping to remember.
pub(super) fn purpose(settings: &Settings, ends: &Ends, plan: PlanRef) -> Purpose {
    Purpose {
        state: State {
            desired: desired_digest(&ends.manifest.desired),
            commit: settings.commit.clone(),
        },
        plan,
    }
}

/// Refuses a plan that was made for somewhere else, before anything is sent.
///
/// # Errors
/// [`Code::PlanStale`], naming what differs.
pub(super) fn belongs_here(settings: &Settings, saved: &Saved, ends: &Ends) -> Result<()> {
    if let Some(expected) = settings.expect.as_ref().filter(|e| !e.is(&saved.digest)) {
        let found = saved.digest;
        return Err(Error::new(
            Code::PlanStale,
            format!("the saved plan is not the one expected: expected {expected}, found {found}"),
        ));
    }
    let parted = saved::elsewhere(&saved.basis, place(ends));
    if parted.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = parted
        .iter()
        .map(|part| {
            format!(
                "{} `{}`, and this run has `{}`",
                part.what, part.planned, part.now
            )
        })
        .collect();
    Err(Error::new(
        Code::PlanStale,
        format!("the saved plan was made with {}", told.join("; with ")),
    )
    .hint("plan again here, or run it where it was made for; nothing was sent"))
}

/// Why the saved plan cannot be carried out any more, if so, with all that has
/// moved.
pub(super) fn moved(saved: &Saved, ends: &Ends, plan: &Plan, known: &Known) -> Option<(Error, Changes)> {
    let changes = saved::changes(saved, plan, known, ends.manifest.digest);
    (!changes.is_empty()).then(|| {
        let error = Error::new(
            Code::PlanStale,
            format!("the saved plan is stale: {}", plan_difference::headline(&changes)),
        );
        (
            error.hint("plan again and have that one looked at; nothing was changed"),
            changes,
        )
    })
}

/// Shows and reports what has moved, then the refusal.
///
/// # Errors
/// stdout cannot be written to.
pub(super) fn refuse(
    settings: &Settings,
    printer: &Printer,
    error: &Error,
    changes: &Changes,
) -> Result<Exit> {
    let reported = reports::write(
        settings,
        |out| json::stale(out, error, changes),
        || plan_difference::markdown(changes),
        |out| {
            html::lines(out, "The saved plan is stale", |out| {
                plan_difference::write(out, changes, Palette::Plain)
            })
        },
    );
    match printer.format() {
        Format::Json => {}
        Format::Markdown => {
            printer.result(|out| out.write_all(plan_difference::markdown(changes).as_bytes()))?
        }
        Format::Human | Format::Csv => {
            printer.result(|out| plan_difference::write(out, changes, printer.palette))?
        }
    }
    // That it is refused weighs more than that a report is missing.
    if let Err(error) = &reported {
        printer.story(&format!("warning: {error}"));
    }
    Ok(printer.show_error(error, |out, error| json::stale(out, error, changes)))
}

/// Tells that a plan was carried out before, and does nothing.
///
/// # Errors
/// stdout cannot be written to.
pub(super) fn already_applied(
    settings: &Settings,
    printer: &Printer,
    ends: &Ends,
    saved: &Saved,
) -> Result<Exit> {
    const TOLD: &str = "This plan was carried out already; nothing was done.";
    let nothing = Plan::new(&ends.manifest.desired, &ends.policy);
    let document = |out: &mut dyn Write| {
        json::already_applied(out, saved.digest, &Report::default(), &nothing, &ends.header)
    };
    printer.result(|out| match printer.format() {
        Format::Json => document(out),
        Format::Markdown | Format::Human | Format::Csv => writeln!(out, "{TOLD}"),
    })?;
    let reported = reports::write(
        settings,
        document,
        || format!("{TOLD}\n"),
        |out| html::lines(out, "Apply", |out| writeln!(out, "{TOLD}")),
    );
    Ok(reports::missing(printer, reported, Exit::Done))
}

/// Makes the manifest's missing user part of what has moved: the plan is about
/// somebody who is no longer there.
pub(super) fn or_stale(error: Error, saved: Option<&Saved>) -> Error {
    match saved {
        Some(_) if error.code() == Code::UserUnknown => Error::new(
            Code::PlanStale,
            format!("the saved plan is stale: {}", error.message()),
        )
        .hint("plan again and have that one looked at; nothing was changed"),
        _ => error,
    }
}
