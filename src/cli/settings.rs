//! What a command line means here: options, environment and terminals,
//! settled once. Past this nothing asks for any of them again.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::args::{Args, Options, Verb};
use super::commands::apply::ApplyArgs;
use super::commands::emulator::EmulatorArgs;
use super::commands::plan::PlanArgs;
use super::key::KeySource;
use super::paths::Paths;
use super::saved::Terms;
use super::values::{Expected, Format, LogFormat, Rate, ReportFile, ReportKind, Server};
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::core::lineage::Commit;
use crate::core::model::{Dialect, Guard, Policy, Refresh};
use crate::core::value::UserKey;
use crate::error::{Code, Error, Result};
use crate::fsys::OsDisk;
use crate::remote::{Hosts, OwnHosts, Version};
use crate::render::problems::Look;
use crate::render::progress::{Mode, Wanted};
use crate::render::style::{Choice, Palette, Surroundings};

/// The environment variables that have a say; no other is read, but for what a
/// shell's script passes on when it asks for completions.
pub(crate) const VARIABLES: [&str; 19] = [
    "CI_COMMIT_SHA",
    "CLICOLOR_FORCE",
    "GITHUB_ACTIONS",
    "GITHUB_SHA",
    "GITHUB_STEP_SUMMARY",
    "NO_COLOR",
    "TERM",
    "WHOP_API_KEY",
    "WHOP_API_VERSION",
    "WHOP_SYNC_CA_FILE",
    "WHOP_SYNC_COMMIT",
    "WHOP_SYNC_EXCHANGES",
    "WHOP_SYNC_LIMIT",
    "WHOP_SYNC_LOG",
    "WHOP_SYNC_MAPPING",
    "WHOP_SYNC_PICTURE_HOSTS",
    "WHOP_SYNC_PROGRESS",
    "WHOP_SYNC_SERVER",
    "WHOP_SYNC_STORAGE_HOSTS",
];

/// The surroundings, as they were when the program started.
#[derive(Clone, Default)]
pub(crate) struct Facts {
    /// The values of [`VARIABLES`], as far as they are set.
    pub(crate) environment: BTreeMap<&'static str, OsString>,
    /// Whether someone can answer.
    pub(crate) stdin_is_terminal: bool,
    /// Whether someone reads the result.
    pub(crate) stdout_is_terminal: bool,
    /// Whether someone reads the story.
    pub(crate) stderr_is_terminal: bool,
    /// The terminal's width in columns, if there is one.
    pub(crate) width: Option<usize>,
}

impl fmt::Debug for Facts {
    /// The environment holds the key: only names are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts")
            .field("environment", &self.environment.keys())
            .field("stdin_is_terminal", &self.stdin_is_terminal)
            .field("stdout_is_terminal", &self.stdout_is_terminal)
            .field("stderr_is_terminal", &self.stderr_is_terminal)
            .field("width", &self.width)
            .finish()
    }
}

impl Facts {
    /// A variable's value; an empty one counts as unset.
    fn variable(&self, name: &str) -> Option<&OsStr> {
        let value = self.environment.get(name)?;
        Some(value.as_os_str()).filter(|value| !value.is_empty())
    }

    /// A variable's value as text.
    fn text(&self, name: &str) -> Result<Option<&str>> {
        let Some(value) = self.variable(name) else {
            return Ok(None);
        };
        let text = value.to_str();
        text.map(Some)
            .ok_or_else(|| usage(format!("`{name}` is not UTF-8")))
    }

    /// What the environment says about colour.
    pub(crate) fn surroundings(&self) -> Surroundings {
        Surroundings {
            refused: self.variable("NO_COLOR").is_some(),
            forced: self.variable("CLICOLOR_FORCE").is_some_and(|value| value != "0"),
            dumb: self.is_dumb(),
        }
    }

    /// Whether GitHub Actions runs the program.
    pub(crate) fn is_github(&self) -> bool {
        self.variable("GITHUB_ACTIONS")
            .is_some_and(|value| value == "true")
    }

    fn is_dumb(&self) -> bool {
        self.variable("TERM").is_some_and(|value| value == "dumb")
    }
}

fn usage(message: impl Into<String>) -> Error {
    Error::new(Code::Usage, message)
}

/// Everything a run needs to know, besides the manifest.
#[derive(Debug)]
pub(crate) struct Settings {
    /// What to do.
    pub(crate) verb: Verb,
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
    pub(crate) fn look(&self) -> Look {
        Look {
            palette: self.stderr,
            width: self.width,
        }
    }
}

impl Settings {
    /// Settles everything. `is_folder` tells whether a path is a folder; the
    /// first manifest alone is asked about.
    ///
    /// # Errors
    /// Options or variables that cannot be meant.
    pub(crate) fn resolve(args: Args, facts: &Facts, is_folder: impl FnOnce(&Path) -> bool) -> Result<Self> {
        let Args { options, verb } = args;
        let output = output(&options, &verb, facts)?;
        let reports = reports(&verb, facts);
        let Terms { expect, commit } = verb.terms().cloned().unwrap_or_default();
        let commit = match commit {
            Some(commit) => Some(commit),
            None => {
                from_variable(facts, "WHOP_SYNC_COMMIT", Commit::parse)?.or_else(|| foreign_commit(facts))
            }
        };
        let Options {
            mut manifests,
            mapping,
            no_cache,
            server,
            api_key_file,
            ca_file,
            api_version,
            refresh,
            only,
            allow,
            format: _,
            color: _,
            progress: _,
            quiet: _,
            verbose: _,
            log_format: _,
        } = options;
        if manifests.is_empty() {
            manifests.push(PathBuf::from("users.yaml"));
        }
        let server = match server {
            Some(server) => server,
            None => from_variable(facts, "WHOP_SYNC_SERVER", Server::parse)?.unwrap_or_default(),
        };
        let version = match api_version {
            Some(version) => version,
            None => from_variable(facts, "WHOP_API_VERSION", |text| {
                Version::parse(text).map_err(|why| why.to_string())
            })?
            .unwrap_or_default(),
        };
        let limit = from_variable(facts, "WHOP_SYNC_LIMIT", Rate::parse)?;
        let mapping = mapping.or_else(|| facts.variable("WHOP_SYNC_MAPPING").map(PathBuf::from));
        let mut paths = Paths::new(&manifests, mapping, &server, is_folder)?;
        if let Verb::Emulator(EmulatorArgs {
            state: Some(state), ..
        }) = &verb
        {
            paths.emulator.clone_from(state);
        }
        let needs_key = verb.asks_whop() && server != Server::Emulator;
        let key = if needs_key {
            KeySource::find(api_key_file, facts.environment.get("WHOP_API_KEY"))?
        } else {
            KeySource::Nowhere
        };
        keep_apart(&verb, &manifests, &paths)?;
        Ok(Self {
            consent: consent(&verb, facts),
            verb,
            disk: OsDisk::beside(&manifests),
            manifests,
            paths,
            cache: !no_cache,
            exchanges: facts.variable("WHOP_SYNC_EXCHANGES").map(PathBuf::from),
            server,
            limit,
            version,
            key,
            ca_file: ca_file.or_else(|| facts.variable("WHOP_SYNC_CA_FILE").map(PathBuf::from)),
            own_hosts: own_hosts(facts)?,
            refresh: refresh.unwrap_or_default(),
            only: (!only.is_empty()).then(|| only.into_iter().collect()),
            allow: allow.into_iter().collect(),
            expect,
            commit,
            output,
            reports,
        })
    }

    /// The dialect of the API's version.
    pub(crate) fn dialect(&self) -> Dialect {
        self.version.dialect()
    }

    /// Whether the command talks to a server that wants a key.
    pub(crate) fn needs_key(&self) -> bool {
        self.verb.asks_whop() && self.server != Server::Emulator
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

/// A value given by a variable; what is wrong with it names the variable.
fn from_variable<T>(
    facts: &Facts,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>> {
    let Some(text) = facts.text(name)? else {
        return Ok(None);
    };
    parse(text)
        .map(Some)
        .map_err(|why| usage(format!("`{name}` {why}")))
}

/// The hosts that the operator vouches for.
fn own_hosts(facts: &Facts) -> Result<OwnHosts> {
    let named = |variable| {
        let hosts = from_variable(facts, variable, |text| {
            Hosts::parse(text).map_err(|why| why.to_string())
        })?;
        Ok::<_, Error>(hosts.unwrap_or_default())
    };
    Ok(OwnHosts {
        pictures: named("WHOP_SYNC_PICTURE_HOSTS")?,
        storage: named("WHOP_SYNC_STORAGE_HOSTS")?,
    })
}

/// Which logs to print: a level, or levels of modules.
fn logs(text: &str) -> Result<Targets, String> {
    text.parse()
        .map_err(|_| "must be a level such as debug, or levels of modules such as whop_sync=trace".to_owned())
}

/// Who agrees, if it is an apply.
fn consent(verb: &Verb, facts: &Facts) -> Consent {
    let is_given = matches!(verb, Verb::Apply(ApplyArgs { yes: true, .. }));
    match (is_given, facts.stdin_is_terminal && facts.stderr_is_terminal) {
        (true, _) => Consent::Given,
        (false, true) => Consent::Ask,
        (false, false) => Consent::Nobody,
    }
}

/// A plan or a receipt written over what it is about would destroy it.
///
/// # Errors
/// Such a path, as far as it is written the same way.
fn keep_apart(verb: &Verb, manifests: &[PathBuf], paths: &Paths) -> Result<()> {
    let (Verb::Plan(PlanArgs { out: Some(file), .. })
    | Verb::Apply(ApplyArgs {
        receipt: Some(file), ..
    })) = verb
    else {
        return Ok(());
    };
    let state = &paths.state;
    let pictures = state.pictures();
    let mut taken = manifests
        .iter()
        .chain([&state.mapping, &state.journal, &state.lock, &pictures]);
    match taken.any(|path| path == file) {
        true => Err(usage(format!("`{}` would be overwritten", file.display())).hint("name another file")),
        false => Ok(()),
    }
}

/// The commit that a pipeline says it runs on. The variables are not ours, so
/// one that makes no sense is none.
fn foreign_commit(facts: &Facts) -> Option<Commit> {
    ["GITHUB_SHA", "CI_COMMIT_SHA"]
        .into_iter()
        .find_map(|name| Commit::parse(facts.variable(name)?.to_str()?).ok())
}

/// The reports that are asked for, and the one that GitHub wants.
fn reports(verb: &Verb, facts: &Facts) -> Reports {
    let Some(files) = verb.reports() else {
        let files = match verb {
            Verb::Validate(args) => args.reports.clone(),
            _ => Vec::new(),
        };
        return Reports {
            files,
            step_summary: None,
        };
    };
    Reports {
        files: files.to_vec(),
        step_summary: facts.variable("GITHUB_STEP_SUMMARY").map(PathBuf::from),
    }
}

fn output(options: &Options, verb: &Verb, facts: &Facts) -> Result<Output> {
    let format = options.format.unwrap_or_default();
    if format == Format::Csv && !matches!(verb, Verb::Show(_)) {
        return Err(usage("`--format csv` is for `show` only").hint("use `--format json`"));
    }
    if format == Format::Markdown && verb.reports().is_none() {
        let message = "`--format markdown` is for `plan`, `apply` and `drift` only";
        return Err(usage(message).hint("use `--format json`"));
    }
    let choice: Choice = options.color.unwrap_or_default();
    let around = facts.surroundings();
    let log_format = options.log_format.unwrap_or_default();
    let own = |level: LevelFilter| Some(Targets::new().with_target("whop_sync", level));
    let log = match (from_variable(facts, "WHOP_SYNC_LOG", logs)?, options.verbose) {
        (Some(filter), _) => Some(filter),
        (None, 0) => None,
        (None, 1) => own(LevelFilter::INFO),
        (None, 2) => own(LevelFilter::DEBUG),
        (None, _) => own(LevelFilter::TRACE),
    };
    let wanted = match options.progress {
        Some(wanted) => wanted,
        None => from_variable(facts, "WHOP_SYNC_PROGRESS", Wanted::parse)?.unwrap_or_default(),
    };
    // A bar and other lines would tear each other apart.
    let alone = log.is_none() && log_format == LogFormat::Text && facts.stderr_is_terminal;
    let progress = match wanted {
        _ if options.quiet => Mode::Quiet,
        Wanted::None => Mode::Quiet,
        Wanted::Auto if alone && !around.dumb => Mode::Bar,
        Wanted::Bar if alone => Mode::Bar,
        Wanted::Auto | Wanted::Bar | Wanted::Lines => Mode::Lines,
    };
    Ok(Output {
        format,
        stdout: Palette::resolve(choice, around, facts.stdout_is_terminal),
        stderr: Palette::resolve(choice, around, facts.stderr_is_terminal),
        width: facts.width,
        progress,
        quiet: options.quiet,
        log,
        log_format,
        annotate: facts.is_github(),
    })
}

#[cfg(test)]
mod tests;
