//! Results on stdout, the story on stderr. A reader who has gone away is a
//! normal ending.

use std::io::{self, BufWriter, Write};

use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::clock::now;
use super::settings::Output;
use super::values::{Format, LogFormat};
use crate::core::problem::Problem;
use crate::error::{Code, Error, Exit, Result};
use crate::remote::{Client, Waiting};
use crate::render::problems::{self, DisplayOptions};
use crate::render::progress::{Progress, WaitCounts};
use crate::render::style::Palette;
use crate::render::{annotations, escape, failure, json};

/// Writes to the two streams as the settings say.
#[derive(Clone, Debug)]
pub(super) struct Printer {
    format: Format,
    /// Colours on stdout.
    pub(super) palette: Palette,
    look: DisplayOptions,
    quiet: bool,
    /// Whether a manifest's problems are also GitHub's workflow commands.
    annotate: bool,
    /// How lines of the story are written.
    lines: LogFormat,
}

impl Printer {
    pub(super) fn new(output: &Output) -> Self {
        Self {
            format: output.format,
            palette: output.stdout,
            look: output.look(),
            quiet: output.quiet,
            annotate: output.annotate,
            lines: output.log_format,
        }
    }

    /// Whether results are one JSON document.
    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// How results are printed.
    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Writes a result to stdout. A closed pipe is not an error.
    ///
    /// # Errors
    /// [`Code::IoFailed`], such as on a full disk.
    pub(super) fn result(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        let mut out = BufWriter::new(io::stdout().lock());
        match write(&mut out).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::new(Code::IoFailed, "could not write to stdout").caused_by(error))
            }
            Err(_) => {
                // What is still buffered must not be tried again on drop.
                let _ = out.into_parts();
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Writes a text that is a result as it is, such as a manual page; in JSON
    /// mode as the one text of a document.
    ///
    /// # Errors
    /// As [`Printer::result`].
    pub(super) fn text(&self, kind: &'static str, text: &[u8]) -> Result<()> {
        self.result(|out| match self.is_json() {
            true => json::text(out, kind, &String::from_utf8_lossy(text)),
            false => out.write_all(text),
        })
    }

    /// Writes a line of the story to stderr, unless quiet. It may quote
    /// foreign text as it is.
    pub(super) fn story(&self, line: &str) {
        if !self.quiet {
            let line = format!("{}\n", escape::lines(line));
            let _ = Story(self.lines).write_all(line.as_bytes());
        }
    }

    /// Writes text to stderr as it is, whether quiet or not.
    pub(super) fn must_be_seen(&self, text: &str) {
        let _ = Story(self.lines).write_all(text.as_bytes());
        let _ = io::stderr().flush();
    }

    /// Shows warnings, unless quiet.
    pub(super) fn warnings(&self, warnings: &[Problem]) {
        if !self.quiet && !warnings.is_empty() {
            self.must_be_seen(&problems::render(warnings, self.look));
            self.annotate(warnings);
        }
    }

    /// Shows a manifest's problems on the lines of a pull request, where
    /// GitHub runs the program. It reads both streams, and stdout is the
    /// result's.
    pub(super) fn annotate(&self, problems: &[Problem]) {
        if self.annotate {
            // Commands to GitHub stay commands, whatever lines look like.
            let _ = Story(LogFormat::Text).write_all(annotations::render(problems).as_bytes());
        }
    }

    /// Shows an error and says how the program ends.
    pub(super) fn error(&self, error: &Error) -> Exit {
        self.show_error(error, |out, error| json::error(out, error, None))
    }

    /// The same, with another document for machines.
    pub(super) fn show_error(
        &self,
        error: &Error,
        document: impl FnOnce(&mut dyn Write, &Error) -> io::Result<()>,
    ) -> Exit {
        self.annotate(error.manifest_problems());
        if self.is_json() {
            // There is nowhere left to say that this failed.
            let _ = self.result(|out| document(out, error));
        } else {
            self.must_be_seen(&failure::render(error, self.look));
        }
        error.code().exit()
    }
}

/// Prints what ended the program before it did anything.
pub(super) fn print_early(stdout: &str, stderr: &str) {
    let _ = io::stdout().lock().write_all(stdout.as_bytes());
    let _ = io::stdout().flush();
    let _ = io::stderr().lock().write_all(stderr.as_bytes());
}

/// Where the story goes: to stderr as it is, or as one JSON object a piece
/// beside those of the logs, so that whoever reads logs can read it too.
pub(super) struct Story(pub(super) LogFormat);

impl Write for Story {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        match self.0 {
            LogFormat::Text => io::stderr().lock().write_all(piece)?,
            LogFormat::Json => {
                let text = String::from_utf8_lossy(piece);
                let message = text.trim_matches('\n');
                if !message.is_empty() {
                    let object = serde_json::json!({
                        "timestamp": humantime::format_rfc3339_micros(now()).to_string(),
                        "level": "INFO",
                        "target": "whop_sync",
                        "message": message,
                    });
                    let line = format!("{object}\n");
                    io::stderr().write_all(escape::log(&line, escape::LogStyle::Json).as_bytes())?;
                }
            }
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Where log lines go: to stderr, with nothing in them that acts. Each event
/// comes in one piece.
struct Logs(escape::LogStyle);

impl Write for Logs {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        io::stderr().write_all(escape::log(&text, self.0).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Progress as the settings say.
pub(super) fn progress(output: &Output) -> Progress<Story> {
    Progress::new(output.progress, output.width, Story(output.log_format))
}

/// What a client's callers wait for now, for progress to tell.
pub(super) fn waits(client: &Client) -> WaitCounts {
    let Waiting {
        for_leave,
        for_answers,
        for_retries,
    } = client.waiting();
    WaitCounts {
        limit: for_leave,
        answers: for_answers,
        retries: for_retries,
    }
}

/// Starts logging to stderr, if it is asked for.
pub(super) fn start_logs(output: &Output) {
    let Some(filter) = &output.log else { return };
    let form = match (output.log_format, output.stderr) {
        (LogFormat::Json, _) => escape::LogStyle::Json,
        (LogFormat::Text, Palette::Plain) => escape::LogStyle::Plain,
        (LogFormat::Text, Palette::Colour) => escape::LogStyle::Coloured,
    };
    let logs = tracing_subscriber::fmt::layer()
        .with_writer(move || Logs(form))
        .with_span_events(FmtSpan::NONE)
        .with_ansi(output.stderr != Palette::Plain);
    let all = tracing_subscriber::registry();
    // A second start in one process keeps the first.
    let _ = match output.log_format {
        LogFormat::Text => all.with(logs.with_filter(filter.clone())).try_init(),
        LogFormat::Json => {
            let logs = logs.json().flatten_event(true);
            all.with(logs.with_filter(filter.clone())).try_init()
        }
    };
}
