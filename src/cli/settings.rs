//! What a run is to do and how, settled. Past this nothing asks for options,
//! environment or terminals again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tracing_subscriber::filter::Targets;

use super::key::KeySource;
use super::paths::Paths;
use super::values::{Expected, Format, LogFormat, Rate, ReportFile, ReportKind, Server};
use crate::core::lineage::Commit;
use crate::core::model::{Dialect, Guard, Policy, Refresh};
use crate::core::value::UserKey;
use crate::fsys::OsDisk;
use crate::remote::{OwnHosts, Version};
use crate::render::problems::DisplayOptions;
use crate::render::progress::Mode;
use crate::render::style::Palette;

/// Everything a run needs to know, besides the manifest.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The manifest's files and folders, at least one.
    pub(crate) manifests: Vec<PathBuf>,
    /// Where state is kept.
    pub(crate) paths: Paths,
    /// How files are opened beside these manifests.
    pub(crate) disk: OsDisk,
    /// Whether what is remembered of pictures is used.
    pub(crate) cache: bool,
    /// The file that exchanges with the emulator are added to, if any.
    pub(crate) exchanges: Option<PathBuf>,
    /// Which server is spoken to.
    pub(crate) server: Server,
    /// Requests of each operation that may be sent to it, where that is not
    /// what Whop documents.
    pub(crate) limit: Option<Rate>,
    /// Which version of its API.
    pub(crate) version: Version,
    /// Where the key comes from.
    pub(crate) key: KeySource,
    /// Certificates to trust besides the platform's, if any.
    pub(crate) ca_file: Option<PathBuf>,
    /// Hosts of private networks that pictures and uploads may go to.
    pub(crate) own_hosts: OwnHosts,
    /// Which profiles to read.
    pub(crate) refresh: Refresh,
    /// The users the run is about; `None` is all.
    pub(crate) only: Option<BTreeSet<UserKey>>,
    /// The guards lifted for this run.
    pub(crate) allow: BTreeSet<Guard>,
    /// The digest that the plan must have.
    pub(crate) expect: Option<Expected>,
    /// Who agrees to a plan that is to be carried out.
    pub(crate) consent: Consent,
    /// The commit that the manifest stands in, where known.
    pub(crate) commit: Option<Commit>,
    /// How to tell about it.
    pub(crate) output: Output,
    /// Where else to tell about it.
    pub(crate) reports: Reports,
}

/// Where a plan or a run is reported besides the two streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reports {
    /// The files asked for.
    pub(crate) files: Vec<ReportFile>,
    /// GitHub's page of the workflow's run, a file that Markdown is added to.
    pub(crate) step_summary: Option<PathBuf>,
}

impl Reports {
    /// Whether there is any.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.step_summary.is_none()
    }

    /// Whether a report shows pictures.
    pub(crate) fn show_pictures(&self) -> bool {
        self.files.iter().any(|file| file.kind == ReportKind::Html)
    }
}

/// Who agrees to a plan before it is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    /// `--yes` was given.
    Given,
    /// Someone at the terminal is asked.
    Ask,
    /// There is no terminal and no `--yes`: refuse.
    Nobody,
}

/// How to tell about a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Output {
    /// How results are printed.
    pub(crate) format: Format,
    /// Colours on stdout.
    pub(crate) stdout: Palette,
    /// Colours on stderr.
    pub(crate) stderr: Palette,
    /// The terminal's width in columns, if there is one.
    pub(crate) width: Option<usize>,
    /// How progress is shown.
    pub(crate) progress: Mode,
    /// Whether warnings are left out.
    pub(crate) quiet: bool,
    /// Which logs are printed, as a filter; `None` for none.
    pub(crate) log: Option<Targets>,
    /// How logs are printed.
    pub(crate) log_format: LogFormat,
    /// Whether a manifest's problems are also told as GitHub's workflow
    /// commands.
    pub(crate) annotate: bool,
}

impl Output {
    /// How problems and errors look on stderr.
    pub(crate) fn look(&self) -> DisplayOptions {
        DisplayOptions {
            palette: self.stderr,
            width: self.width,
        }
    }
}

impl Settings {
    /// The dialect of the API's version.
    pub(crate) fn dialect(&self) -> Dialect {
        self.version.dialect()
    }

    /// The policy of a run at this time, in seconds since 1970.
    pub(crate) fn policy(&self, now: u64) -> Policy {
        Policy {
            dialect: self.dialect(),
            server: self.server.to_string().into(),
            version: self.version.as_str().into(),
            allow: self.allow.clone(),
            only: self.only.clone(),
            refresh: self.refresh,
            touched: None,
            now,
        }
    }
}
