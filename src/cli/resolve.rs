//! From a command line and its surroundings to settings: options win over the
//! environment, which wins over defaults.

#[cfg(test)]
mod tests;

use std::path::{Component, Path, PathBuf};

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::args::{Args, Options, Terms, Verb};
use super::commands::apply::ApplyArgs;
use super::commands::emulator::EmulatorArgs;
use super::commands::plan::PlanArgs;
use super::environment::Facts;
use super::key::KeySource;
use super::paths::Paths;
use super::settings::{Consent, Output, Reports, Settings};
use super::values::{Format, LogFormat, Rate, Server};
use crate::core::lineage::Commit;
use crate::core::saved::Saved;
use crate::error::{Code, Error, Result};
use crate::fsys::OsDisk;
use crate::remote::{Hosts, OwnHosts, Version};
use crate::render::progress::{Mode, ProgressChoice};
use crate::render::style::{Choice, Palette};
use crate::store;

/// Settles everything. `is_folder` tells whether a path is a folder; the
/// first manifest alone is asked about.
///
/// # Errors
/// Invalid options or variables.
pub(crate) fn resolve(
    options: Options,
    verb: &Verb,
    facts: &Facts,
    is_folder: impl FnOnce(&Path) -> bool,
) -> Result<Settings> {
    let output = output(&options, verb, facts)?;
    let reports = reports(verb, facts);
    let Terms { expect, commit } = verb.terms().cloned().unwrap_or_default();
    let commit = match commit {
        Some(commit) => Some(commit),
        None => from_variable(facts, "WHOP_SYNC_COMMIT", Commit::parse)?.or_else(|| foreign_commit(facts)),
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
    }) = verb
    {
        paths.emulator.clone_from(state);
    }
    let needs_key = verb.asks_whop() && server != Server::Emulator;
    let key = if needs_key {
        KeySource::find(api_key_file, facts.environment.get("WHOP_API_KEY"))?
    } else {
        KeySource::Nowhere
    };
    keep_apart(verb, &manifests, &paths)?;
    Ok(Settings {
        consent: consent(verb, facts),
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

fn usage(message: impl Into<String>) -> Error {
    Error::new(Code::Usage, message)
}

/// How to tell about errors met while everything is settled, by the options
/// alone.
pub(crate) fn before_settings(options: &Options, facts: &Facts) -> Output {
    let choice = options.color.unwrap_or_default();
    let palette = |terminal| Palette::resolve(choice, facts.surroundings(), terminal);
    Output {
        format: options.format.unwrap_or_default(),
        stdout: palette(facts.stdout_is_terminal),
        stderr: palette(facts.stderr_is_terminal),
        width: facts.width,
        progress: Mode::Quiet,
        quiet: options.quiet,
        log: None,
        log_format: options.log_format.unwrap_or_default(),
        annotate: facts.is_github(),
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
        None => from_variable(facts, "WHOP_SYNC_PROGRESS", ProgressChoice::parse)?.unwrap_or_default(),
    };
    // A bar and other lines would tear each other apart.
    let alone = log.is_none() && log_format == LogFormat::Text && facts.stderr_is_terminal;
    let progress = match wanted {
        _ if options.quiet => Mode::Quiet,
        ProgressChoice::None => Mode::Quiet,
        ProgressChoice::Auto if alone && !around.dumb => Mode::Bar,
        ProgressChoice::Bar if alone => Mode::Bar,
        ProgressChoice::Auto | ProgressChoice::Bar | ProgressChoice::Lines => Mode::Lines,
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

/// Reads the plan that `apply` is to carry out, if it is given one, and takes
/// over from it what shapes a plan.
///
/// # Errors
/// A file that is no plan, and options that only `plan` may decide.
pub(crate) fn take_over(args: &mut Args) -> Result<Option<Saved>> {
    let Verb::Apply(ApplyArgs { plan: Some(path), .. }) = &args.verb else {
        return Ok(None);
    };
    let Options {
        manifests,
        only,
        refresh,
        ..
    } = &mut args.options;
    for (given, name) in [(!only.is_empty(), "--only"), (refresh.is_some(), "--refresh")] {
        if given {
            let message = format!("`{name}` cannot be given with a saved plan, which has its own");
            return Err(Error::new(Code::Usage, message).hint("give it to `plan --out`"));
        }
    }
    let saved = store::read_plan(path, &OsDisk::beside(manifests))?;
    if manifests.is_empty() {
        for path in &saved.basis.manifests {
            manifests.push(below_here(path)?);
        }
    }
    // The guards that were lifted are not taken over: whoever writes the file
    // would lift them. They are lifted on the command line or not at all.
    only.extend(saved.basis.only.iter().flatten().cloned());
    Ok(Some(saved))
}

/// A manifest that a saved plan names. A file must not choose what else is read
/// on this machine, of which an error would show a line.
///
/// # Errors
/// [`Code::Usage`] for a path that is not below the working folder as written.
fn below_here(path: &str) -> Result<PathBuf> {
    let written = Path::new(path);
    let mut parts = written.components();
    match parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        true => Ok(written.to_owned()),
        false => Err(Error::new(
            Code::Usage,
            format!("the saved plan names the manifest `{path}`, which is not below this folder"),
        )
        .hint("name the manifest with `-f`")),
    }
}
