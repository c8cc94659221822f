//! Reports besides the streams: the files that `--report` names, and GitHub's
//! page of the workflow's run.
#![expect(clippy::disallowed_methods, reason = "reports are written here")]

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};

use super::settings::Reports;
use super::values::{ReportFile, ReportKind};
use crate::error::{Error, Result};

/// Writes every report that is asked for. Each document is made only if
/// someone wants it.
///
/// # Errors
/// The first file that cannot be written; the others are written all the same.
pub(super) fn write(
    reports: &Reports,
    json: impl Fn(&mut dyn Write) -> io::Result<()>,
    markdown: impl Fn() -> String,
    html: impl Fn(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let Reports { files, step_summary } = reports;
    let mut failed = Ok(());
    for ReportFile { path, kind } in files {
        let written = match kind {
            ReportKind::Json => fs::File::create(path).and_then(|mut file| json(&mut file)),
            ReportKind::Markdown => fs::write(path, markdown()),
            ReportKind::Html => fs::File::create(path).and_then(|file| {
                let mut file = BufWriter::new(file);
                html(&mut file)?;
                file.flush()
            }),
        };
        failed = failed.and(written.map_err(|cause| Error::file("write the report", path, cause)));
    }
    if let Some(path) = step_summary {
        let open = OpenOptions::new().append(true).create(true).open(path);
        let written = open.and_then(|mut file| file.write_all(markdown().as_bytes()));
        failed = failed.and(written.map_err(|cause| Error::file("add to the step summary", path, cause)));
    }
    failed
}

#[cfg(test)]
mod tests {
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
        let failed = write(
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
