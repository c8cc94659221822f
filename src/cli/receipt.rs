//! `apply --receipt`: the file is begun before the first change, so that one
//! which cannot be written stops the run while nothing has happened yet.

use std::path::Path;
use std::time::SystemTime;

use super::clock::now;
use super::connect::Ends;
use super::output::Printer;
use super::settings::Settings;
use crate::core::digest::Digest;
use crate::core::plan::Plan;
use crate::core::report::{Event, Report};
use crate::error::{Code, Error, Exit, Result};
use crate::fsys::OsDisk;
use crate::render::escape::Safe;
use crate::render::json::receipt::{Receipt, StepLog, receipt};
use crate::store::Replacement;

/// The receipt of the run in hand.
pub(super) struct Writing<'a> {
    file: Replacement<'a>,
    log: StepLog,
    started: SystemTime,
    digest: Digest,
    /// What was planned: the run uses its own up.
    plan: Plan,
}

/// How a run ended, for its receipt.
pub(super) struct End<'a> {
    /// Its sums, where there are any.
    pub(super) report: Option<&'a Report>,
    /// What ended it early.
    pub(super) error: Option<&'a Error>,
    /// How the program will end.
    pub(super) exit: Exit,
}

impl<'a> Writing<'a> {
    /// Begins the file, if one is asked for.
    ///
    /// # Errors
    /// [`Code::IoFailed`] where it could not be written later.
    pub(super) fn begin(
        disk: &'a OsDisk,
        path: Option<&Path>,
        digest: Digest,
        plan: &Plan,
    ) -> Result<Option<Self>> {
        let Some(path) = path else { return Ok(None) };
        if path.is_dir() {
            return Err(Error::new(
                Code::IoFailed,
                format!("the receipt `{}` is a folder", path.display()),
            )
            .hint("name a file; nothing was changed"));
        }
        let file = Replacement::begin(disk, path)?;
        Ok(Some(Self {
            file,
            log: StepLog::default(),
            started: now(),
            digest,
            plan: plan.clone(),
        }))
    }

    /// Notes what happened.
    pub(super) fn on(&mut self, event: &Event) {
        self.log.on(event, now());
    }

    /// Writes it. That it cannot be written changes how the program ends only
    /// where nothing else went wrong: what was done on Whop is done.
    pub(super) fn end(self, settings: &Settings, ends: &Ends, printer: &Printer, end: End<'_>) -> Exit {
        let End { report, error, exit } = end;
        let content = Receipt {
            program: env!("CARGO_PKG_VERSION"),
            run: &ends.run_id,
            digest: self.digest,
            commit: settings.commit.as_ref(),
            plan: &self.plan,
            header: &ends.header,
            started: self.started,
            ended: now(),
            log: &self.log,
            report,
            error,
            exit,
        };
        let mut bytes = Vec::new();
        let made = receipt(&mut bytes, &content)
            .map_err(|cause| Error::new(Code::IoFailed, "the receipt could not be made").caused_by(cause));
        match made.and_then(|()| self.file.finish(&bytes)) {
            Ok(()) => exit,
            Err(error) => {
                printer.must_be_seen(&format!("warning: {}: the run has no receipt\n", Safe(&error)));
                if exit == Exit::Done { Exit::Failed } else { exit }
            }
        }
    }
}
