//! Reports besides the streams: the files that `--report` names, and GitHub's
//! page of the workflow's run.

use std::io::{self, Write};

use super::output::Printer;
use super::settings::{Reports, Settings};
use super::values::{ReportFile, ReportKind};
use crate::core::problem::Problem;
use crate::error::{Code, Error, Exit, Result};
use crate::fsys::{How, OsDisk};
use crate::render::escape::Safe;
use crate::render::problems::DisplayOptions;
use crate::render::{failure, html, json, markdown, sarif};
use crate::store::Replacement;

/// Makes sure that every report can be written, before anything is done that
/// one would tell of. Nothing stays of it.
///
/// # Errors
/// [`Code::IoFailed`] for the first that cannot.
pub(super) fn check(settings: &Settings) -> Result<()> {
    let (disk, Reports { files, step_summary }) = (&settings.disk, &settings.reports);
    for ReportFile { path, kind: _ } in files {
        if path.is_dir() {
            return Err(Error::new(
                Code::IoFailed,
                format!("the report `{}` is a folder", path.display()),
            )
            .hint("name a file; nothing was changed"));
        }
        Replacement::begin(disk, path).map(drop)?;
    }
    if let Some(path) = step_summary {
        let opened = disk.open(path, How::Stream);
        opened.map_err(|cause| Error::file("add to the step summary", path, cause))?;
    }
    Ok(())
}

/// Writes every report that is asked for, each file whole or not at all. Each
/// document is made only if someone wants it.
///
/// # Errors
/// The first file that cannot be written; the others are written all the same.
pub(super) fn write(
    settings: &Settings,
    json: impl Fn(&mut dyn Write) -> io::Result<()>,
    markdown: impl Fn() -> String,
    html: impl Fn(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    write_to(&settings.disk, &settings.reports, json, markdown, html)
}

fn write_to(
    disk: &OsDisk,
    reports: &Reports,
    json: impl Fn(&mut dyn Write) -> io::Result<()>,
    markdown: impl Fn() -> String,
    html: impl Fn(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let Reports { files, step_summary } = reports;
    let mut failed = Ok(());
    for ReportFile { path, kind } in files {
        let mut bytes = Vec::new();
        let made = match kind {
            // Told as soon as the manifest was read: see `problems`.
            ReportKind::Sarif => continue,
            ReportKind::Json => json(&mut bytes),
            ReportKind::Markdown => bytes.write_all(markdown().as_bytes()),
            ReportKind::Html => html(&mut bytes),
        };
        let made = made.map_err(|cause| Error::file("make the report", path, cause));
        failed = failed.and(made.and_then(|()| Replacement::begin(disk, path)?.finish(&bytes)));
    }
    if let Some(path) = step_summary {
        let open = disk.open(path, How::Stream);
        let written = open.and_then(|mut file| file.write_all(markdown().as_bytes()));
        failed = failed.and(written.map_err(|cause| Error::file("add to the step summary", path, cause)));
    }
    failed
}

/// Writes for code scanning what is wrong with the manifest, also where that
/// is nothing. `error` is why it could not be read, if it could not.
///
/// # Errors
/// The first file that cannot be written; the others are written all the same.
pub(super) fn problems(settings: &Settings, problems: &[Problem], error: Option<&Error>) -> Result<()> {
    let sources = settings.manifests.iter().map(|path| path.display().to_string());
    let sources: Vec<String> = sources.collect();
    let files = settings.reports.files.iter();
    let mut failed = Ok(());
    for ReportFile { path, kind: _ } in files.filter(|file| file.kind == ReportKind::Sarif) {
        let mut bytes = Vec::new();
        let made = sarif::write(&mut bytes, problems, &sources, error)
            .map_err(|cause| Error::file("make the report", path, cause));
        failed = failed.and(made.and_then(|()| Replacement::begin(&settings.disk, path)?.finish(&bytes)));
    }
    failed
}

/// How a run ends whose result is on stdout already. That a report is missing
/// is then no second result: it is told on stderr, and is a failure only where
/// nothing weighs more.
pub(super) fn missing(printer: &Printer, reported: Result<()>, exit: Exit) -> Exit {
    match reported {
        Ok(()) => exit,
        Err(error) => {
            printer.must_be_seen(&format!("warning: {}: a report is missing\n", Safe(&error)));
            match exit {
                Exit::Done | Exit::Pending => Exit::Failed,
                exit => exit,
            }
        }
    }
}

/// Writes an error that ended the run before there was anything else to
/// report, so that a pipeline's comment shows it. A report of before would be
/// taken for this run's. `kind` is what a comment with it is known by.
pub(super) fn error(settings: &Settings, printer: &Printer, kind: &str, error: &Error) {
    let server = settings.server.to_string();
    let reported = write(
        settings,
        |out| json::error(out, error, None),
        || markdown::error(error, kind, &server),
        |out| {
            html::lines(out, "Error", |out| {
                out.write_all(failure::render(error, DisplayOptions::default()).as_bytes())
            })
        },
    );
    // The error itself says how the program ends.
    missing(printer, reported, error.code().exit());
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at what was written")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_report_is_written_though_one_fails() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let file = |name, kind| ReportFile { path: at(name), kind };
        fs::write(at("summary"), "before\n").unwrap();
        let reports = Reports {
            files: vec![
                file("missing/plan.md", ReportKind::Markdown),
                file("plan.md", ReportKind::Markdown),
                file("plan.json", ReportKind::Json),
                file("plan.html", ReportKind::Html),
            ],
            step_summary: Some(at("summary")),
        };
        let failed = write_to(
            &OsDisk::default(),
            &reports,
            |out| out.write_all(b"{}"),
            || "# md\n".to_owned(),
            |out| out.write_all(b"<!doctype html>"),
        )
        .unwrap_err();
        assert!(failed.message().contains("missing"), "{failed}");
        let read = |name| fs::read_to_string(at(name)).unwrap();
        assert_eq!(
            (read("plan.md"), read("plan.json")),
            ("# md\n".into(), "{}".into())
        );
        assert_eq!(read("plan.html"), "<!doctype html>");
        assert_eq!(read("summary"), "before\n# md\n");
    }
}
