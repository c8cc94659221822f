//! What a command line means here: options, environment and terminals,
//! settled once. Past this nothing asks for any of them again.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::{Args, EmulatorArgs, Options, SchemaOf, Terms, Verb};
use super::export::ExportArgs;
use super::init::InitArgs;
use super::key::KeySource;
use super::paths::Paths;
use super::values::{Expected, Format, KeyGrant, LogFormat, Rate, ReportFile, ReportKind, Server};
use crate::core::drift::Others;
use crate::core::lineage::Commit;
use crate::core::model::{Dialect, Guard, Policy, Refresh};
use crate::core::value::UserKey;
use crate::error::{Code, Error, Result};
use crate::remote::Version;
use crate::render::paint::{Choice, Palette, Surroundings};
use crate::render::problems::Look;
use crate::render::progress::Mode;

/// The environment variables that have a say; no other is read, but for what a
/// shell's script passes on when it asks for completions.
pub const VARIABLES: [&str; 15] = [
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
    "WHOP_SYNC_LOG",
    "WHOP_SYNC_MAPPING",
    "WHOP_SYNC_SERVER",
];

/// The surroundings, as they were when the program started.
#[derive(Clone, Default)]
pub struct Facts {
    /// The values of [`VARIABLES`], as far as they are set.
    pub environment: BTreeMap<&'static str, OsString>,
    /// Whether someone can answer.
    pub stdin_is_terminal: bool,
    /// Whether someone reads the result.
    pub stdout_is_terminal: bool,
    /// Whether someone reads the story.
    pub stderr_is_terminal: bool,
    /// The terminal's width in columns, if there is one.
    pub width: Option<usize>,
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
pub struct Settings {
    /// What to do.
    pub job: Job,
    /// The manifest's files and folders, at least one.
    pub manifests: Vec<PathBuf>,
    /// Where state is kept.
    pub paths: Paths,
    /// The file that exchanges with the emulator are added to, if any.
    pub exchanges: Option<PathBuf>,
    /// Which server is spoken to.
    pub server: Server,
    /// Which version of its API.
    pub version: Version,
    /// Where the key comes from.
    pub key: KeySource,
    /// Certificates to trust besides the platform's, if any.
    pub ca_file: Option<PathBuf>,
    /// Which profiles to read.
    pub refresh: Refresh,
    /// The users the run is about; `None` is all.
    pub only: Option<BTreeSet<UserKey>>,
    /// The guards lifted for this run.
    pub allow: BTreeSet<Guard>,
    /// The digest that the plan must have.
    pub expect: Option<Expected>,
    /// The commit that the manifest stands in, where known.
    pub commit: Option<Commit>,
    /// How to tell about it.
    pub output: Output,
    /// Where else to tell about it.
    pub reports: Reports,
}

/// Where a plan or a run is reported besides the two streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reports {
    /// The files asked for.
    pub files: Vec<ReportFile>,
    /// GitHub's page of the workflow's run, a file that Markdown is added to.
    pub step_summary: Option<PathBuf>,
}

impl Reports {
    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.step_summary.is_none()
    }

    /// Whether a report shows pictures.
    pub fn show_pictures(&self) -> bool {
        self.files.iter().any(|file| file.kind == ReportKind::Html)
    }
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Job {
    /// Check manifest and pictures.
    Validate,
    /// Show what would change.
    Plan {
        /// Exit with 2 when changes are pending.
        detailed_exitcode: bool,
        /// Where to save the plan.
        out: Option<PathBuf>,
    },
    /// Make it so.
    Apply {
        /// Who agrees to the plan.
        consent: Consent,
        /// Stop cleanly within this time.
        deadline: Option<Duration>,
        /// Where to write down what was done.
        receipt: Option<PathBuf>,
    },
    /// Show what changed on Whop.
    Drift {
        /// What accounts mean that the mapping does not know.
        others: Others,
    },
    /// Show one user from every side.
    Explain {
        /// The user.
        id: UserKey,
    },
    /// Write what Whop has as a manifest.
    Export(ExportArgs),
    /// Look for what is wrong with the set-up.
    Doctor {
        /// Put what is assumed of Whop to the test, too.
        probe: bool,
    },
    /// Write the first files.
    Init(InitArgs),
    /// Print a JSON Schema.
    Schema {
        /// Of what.
        of: SchemaOf,
    },
    /// Print a shell's completions.
    Completions {
        /// The shell.
        shell: String,
    },
    /// Print the manual.
    Man {
        /// One command's page.
        page: Option<String>,
    },
    /// Show the mapping.
    Show {
        /// One user of it.
        id: Option<UserKey>,
    },
    /// Serve the emulator.
    Emulator {
        /// Port on loopback; 0 takes any free one.
        port: u16,
        /// Requests for each operation.
        rate: Rate,
        /// Time that every answer takes.
        latency: Duration,
        /// The keys it accepts; without any, every key may do everything.
        keys: Vec<KeyGrant>,
        /// The fault script, if any.
        faults: Option<PathBuf>,
    },
}

impl Job {
    /// Whether it talks to Whop.
    pub fn asks_whop(&self) -> bool {
        matches!(
            self,
            Self::Plan { .. }
                | Self::Apply { .. }
                | Self::Drift { .. }
                | Self::Explain { .. }
                | Self::Export(_)
                | Self::Doctor { .. }
        )
    }
}

/// Who agrees to a plan before it is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// `--yes` was given.
    Given,
    /// Someone at the terminal is asked.
    Ask,
    /// There is no terminal and no `--yes`: refuse.
    Nobody,
}

/// How to tell about a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// How results are printed.
    pub format: Format,
    /// Colours on stdout.
    pub stdout: Palette,
    /// Colours on stderr.
    pub stderr: Palette,
    /// The terminal's width in columns, if there is one.
    pub width: Option<usize>,
    /// How progress is shown.
    pub progress: Mode,
    /// Whether warnings are left out.
    pub quiet: bool,
    /// Which logs are printed, as a filter; `None` for none.
    pub log: Option<String>,
    /// How logs are printed.
    pub log_format: LogFormat,
    /// Whether a manifest's problems are also told as GitHub's workflow
    /// commands.
    pub annotate: bool,
}

impl Output {
    /// How problems and errors look on stderr.
    pub fn look(&self) -> Look {
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
    pub fn resolve(args: Args, facts: &Facts, is_folder: impl FnOnce(&Path) -> bool) -> Result<Self> {
        let Args { options, mut verb } = args;
        let output = output(&options, &verb, facts)?;
        let reports = reports(&mut verb, facts);
        let Terms { expect, commit } = terms(&mut verb);
        let commit = match commit {
            Some(commit) => Some(commit),
            None => {
                from_variable(facts, "WHOP_SYNC_COMMIT", Commit::parse)?.or_else(|| foreign_commit(facts))
            }
        };
        let Options {
            mut manifests,
            mapping,
            server,
            api_key_file,
            ca_file,
            api_version,
            refresh,
            only,
            allow,
            format: _,
            color: _,
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
        let mapping = mapping.or_else(|| facts.variable("WHOP_SYNC_MAPPING").map(PathBuf::from));
        let mut paths = Paths::new(&manifests, mapping, &server, is_folder)?;
        let needs_key = verb.asks_whop() && server != Server::Emulator;
        let key = if needs_key {
            KeySource::find(api_key_file, facts.environment.get("WHOP_API_KEY"))?
        } else {
            KeySource::Nowhere
        };
        keep_apart(&verb, &manifests, &paths)?;
        Ok(Self {
            job: job(verb, facts, &mut paths),
            manifests,
            paths,
            exchanges: facts.variable("WHOP_SYNC_EXCHANGES").map(PathBuf::from),
            server,
            version,
            key,
            ca_file: ca_file.or_else(|| facts.variable("WHOP_SYNC_CA_FILE").map(PathBuf::from)),
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
    pub fn dialect(&self) -> Dialect {
        self.version.dialect()
    }

    /// Whether the job talks to a server that wants a key.
    pub fn needs_key(&self) -> bool {
        self.job.asks_whop() && self.server != Server::Emulator
    }

    /// The policy of a run at this time, in seconds since 1970.
    pub fn policy(&self, now: u64) -> Policy {
        Policy {
            dialect: self.dialect(),
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

fn job(verb: Verb, facts: &Facts, paths: &mut Paths) -> Job {
    match verb {
        Verb::Validate => Job::Validate,
        Verb::Plan {
            detailed_exitcode,
            out,
            terms: _,
            reports: _,
        } => Job::Plan {
            detailed_exitcode,
            out,
        },
        Verb::Apply {
            plan: _,
            receipt,
            terms: _,
            yes,
            deadline,
            reports: _,
        } => Job::Apply {
            consent: match (yes, facts.stdin_is_terminal && facts.stderr_is_terminal) {
                (true, _) => Consent::Given,
                (false, true) => Consent::Ask,
                (false, false) => Consent::Nobody,
            },
            deadline,
            receipt,
        },
        Verb::Drift { others, reports: _ } => Job::Drift { others },
        Verb::Explain { id } => Job::Explain { id },
        Verb::Export(args) => Job::Export(args),
        Verb::Doctor { probe } => Job::Doctor { probe },
        Verb::Init(args) => Job::Init(args),
        Verb::Schema { of } => Job::Schema { of },
        Verb::Completions { shell } => Job::Completions { shell },
        Verb::Man { page } => Job::Man { page },
        Verb::Show { id } => Job::Show { id },
        Verb::Emulator(EmulatorArgs {
            port,
            state,
            rate,
            latency,
            keys,
            faults,
        }) => {
            if let Some(state) = state {
                paths.emulator = state;
            }
            Job::Emulator {
                port,
                rate,
                latency,
                keys,
                faults,
            }
        }
    }
}

/// What is demanded of the plan.
fn terms(verb: &mut Verb) -> Terms {
    match verb {
        Verb::Plan { terms, .. } | Verb::Apply { terms, .. } => std::mem::take(terms),
        _ => Terms::default(),
    }
}

/// A plan or a receipt written over what it is about would destroy it.
///
/// # Errors
/// Such a path, as far as it is written the same way.
fn keep_apart(verb: &Verb, manifests: &[PathBuf], paths: &Paths) -> Result<()> {
    let (Verb::Plan { out: Some(file), .. }
    | Verb::Apply {
        receipt: Some(file), ..
    }) = verb
    else {
        return Ok(());
    };
    let state = &paths.state;
    let mut taken = manifests
        .iter()
        .chain([&state.mapping, &state.journal, &state.lock]);
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
fn reports(verb: &mut Verb, facts: &Facts) -> Reports {
    let (Verb::Plan { reports, .. } | Verb::Apply { reports, .. } | Verb::Drift { reports, .. }) = verb
    else {
        return Reports::default();
    };
    Reports {
        files: std::mem::take(reports),
        step_summary: facts.variable("GITHUB_STEP_SUMMARY").map(PathBuf::from),
    }
}

fn output(options: &Options, verb: &Verb, facts: &Facts) -> Result<Output> {
    let format = options.format.unwrap_or_default();
    if format == Format::Csv && !matches!(verb, Verb::Show { .. }) {
        return Err(usage("`--format csv` is for `show` only").hint("use `--format json`"));
    }
    if format == Format::Markdown
        && !matches!(verb, Verb::Plan { .. } | Verb::Apply { .. } | Verb::Drift { .. })
    {
        let message = "`--format markdown` is for `plan`, `apply` and `drift` only";
        return Err(usage(message).hint("use `--format json`"));
    }
    let choice: Choice = options.color.unwrap_or_default();
    let around = facts.surroundings();
    let log = match (facts.text("WHOP_SYNC_LOG")?, options.verbose) {
        (Some(filter), _) => Some(filter.to_owned()),
        (None, 0) => None,
        (None, 1) => Some("whop_sync=info".to_owned()),
        (None, 2) => Some("whop_sync=debug".to_owned()),
        (None, _) => Some("whop_sync=trace".to_owned()),
    };
    let progress = match (options.quiet, facts.stderr_is_terminal && !around.dumb) {
        (true, _) => Mode::Quiet,
        // A bar and log lines would tear each other apart.
        (false, true) if log.is_none() => Mode::Bar,
        (false, _) => Mode::Lines,
    };
    Ok(Output {
        format,
        stdout: Palette::resolve(choice, around, facts.stdout_is_terminal),
        stderr: Palette::resolve(choice, around, facts.stderr_is_terminal),
        width: facts.width,
        progress,
        quiet: options.quiet,
        log,
        log_format: options.log_format.unwrap_or_default(),
        annotate: facts.is_github(),
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::super::args::parse;
    use super::*;
    use crate::error::Exit;

    fn facts(variables: &[(&'static str, &str)]) -> Facts {
        let environment = variables
            .iter()
            .map(|(name, value)| (*name, OsString::from(value)));
        Facts {
            environment: environment.collect(),
            ..Facts::default()
        }
    }

    fn resolve_in(line: &str, facts: &Facts) -> Result<Settings> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let args = parse(&words, facts).unwrap();
        Settings::resolve(args, facts, |path| path == Path::new("folder"))
    }

    fn resolve(line: &str, variables: &[(&'static str, &str)]) -> Settings {
        resolve_in(line, &facts(variables)).unwrap()
    }

    fn refusal(line: &str, variables: &[(&'static str, &str)]) -> Error {
        resolve_in(line, &facts(variables)).unwrap_err()
    }

    #[test]
    fn state_stands_beside_the_manifest_and_the_emulators_apart() {
        for (line, mapping, journal) in [
            ("plan", "users.mapping.jsonl", "users.mapping.journal"),
            (
                "plan -f a/users.example.yaml",
                "a/users.example.mapping.jsonl",
                "a/users.example.mapping.journal",
            ),
            (
                "plan -f a/team.YML -f b.yaml",
                "a/team.mapping.jsonl",
                "a/team.mapping.journal",
            ),
            (
                "plan -f folder",
                "folder/users.mapping.jsonl",
                "folder/users.mapping.journal",
            ),
            ("plan -f a/v1.2", "a/v1.2.mapping.jsonl", "a/v1.2.mapping.journal"),
            (
                "plan --server emulator",
                ".whop-sync/users.mapping.jsonl",
                ".whop-sync/users.mapping.journal",
            ),
            (
                "show -f folder --server emulator",
                "folder/.whop-sync/users.mapping.jsonl",
                "folder/.whop-sync/users.mapping.journal",
            ),
            ("plan --mapping x/m", "x/m", "x/m.journal"),
        ] {
            let paths = resolve(&format!("whop-sync {line}"), &[("WHOP_API_KEY", "k")]).paths;
            assert_eq!(paths.state.mapping, Path::new(mapping), "{line}");
            assert_eq!(paths.state.journal, Path::new(journal), "{line}");
            assert_eq!(
                paths.state.lock,
                Path::new(journal).with_extension("lock"),
                "{line}"
            );
        }
        let emulator = |line| resolve(line, &[]).paths.emulator;
        assert_eq!(
            emulator("whop-sync emulator -f a/u.yaml"),
            Path::new("a/.whop-sync/emulator.jsonl")
        );
        assert_eq!(emulator("whop-sync emulator --state s"), Path::new("s"));
    }

    #[test]
    fn a_mapping_cannot_be_its_own_journal() {
        for bad in ["m.journal", "m.lock", ".."] {
            let error = refusal(&format!("whop-sync show --mapping {bad}"), &[]);
            assert_eq!(error.code().exit(), Exit::Usage, "{bad}");
        }
    }

    #[test]
    fn options_win_over_the_environment_which_wins_over_defaults() {
        let set = [
            ("WHOP_SYNC_SERVER", "sandbox"),
            ("WHOP_API_VERSION", "2025-01-01"),
            ("WHOP_SYNC_MAPPING", "env.jsonl"),
            ("WHOP_API_KEY", "k"),
        ];
        let plain = resolve("whop-sync plan", &set);
        assert_eq!(
            (&plain.server, plain.dialect()),
            (&Server::Sandbox, Dialect::Companies)
        );
        assert_eq!(plain.paths.state.mapping, Path::new("env.jsonl"));
        let line = "whop-sync plan --server production --api-version 2026-10-15-1 --mapping m.jsonl";
        let explicit = resolve(line, &set);
        assert_eq!(
            (&explicit.server, explicit.dialect()),
            (&Server::Production, Dialect::Accounts)
        );
        assert_eq!(explicit.paths.state.mapping, Path::new("m.jsonl"));
        let empty = set.map(|(name, value)| (name, if name == "WHOP_API_KEY" { value } else { "" }));
        let default = resolve("whop-sync plan", &empty);
        assert_eq!(
            (default.server, default.version),
            (Server::Production, Version::default())
        );
        assert_eq!(default.paths.state.mapping, Path::new("users.mapping.jsonl"));
    }

    #[test]
    fn a_bad_variable_is_named() {
        let error = refusal("whop-sync plan", &[("WHOP_SYNC_SERVER", "moon")]);
        assert_eq!(error.code(), Code::Usage);
        assert!(error.message().contains("`WHOP_SYNC_SERVER` must be"), "{error}");
    }

    #[test]
    fn the_key_comes_from_the_file_else_the_variable() {
        let set = [("WHOP_API_KEY", " env-key\n")];
        let load = |line: &str| {
            let settings = resolve(line, &set);
            settings.key.load(|_| Ok(b"file-key\r\n".to_vec())).unwrap()
        };
        assert_eq!(
            load("whop-sync plan --api-key-file k").expose_secret(),
            "file-key"
        );
        assert_eq!(load("whop-sync plan").expose_secret(), "env-key");
    }

    #[test]
    fn a_missing_key_matters_only_where_one_is_needed() {
        let missing = resolve("whop-sync plan", &[]);
        let error = missing.key.load(|_| Ok(Vec::new())).unwrap_err();
        assert_eq!(error.code(), Code::KeyMissing);
        assert!(missing.needs_key() && error.what_to_do().is_some());
        for line in ["plan --server emulator", "validate", "show", "emulator"] {
            // A bad key is not even looked at there.
            let settings = resolve(&format!("whop-sync {line}"), &[("WHOP_API_KEY", "a b")]);
            assert!(
                !settings.needs_key() && matches!(settings.key, KeySource::Nowhere),
                "{line}"
            );
        }
    }

    #[test]
    fn no_debug_output_shows_the_key() {
        let facts = facts(&[("WHOP_API_KEY", "sesame")]);
        let settings = resolve_in("whop-sync plan", &facts).unwrap();
        assert!(!format!("{facts:?} {settings:?}").contains("sesame"));
    }

    #[test]
    fn without_a_terminal_nobody_can_agree() {
        let consent = |line: &str, stdin, stderr| {
            let facts = Facts {
                stdin_is_terminal: stdin,
                stderr_is_terminal: stderr,
                ..Facts::default()
            };
            match resolve_in(line, &facts).unwrap().job {
                Job::Apply { consent, .. } => consent,
                job => panic!("{job:?}"),
            }
        };
        let apply = "whop-sync apply --server emulator";
        assert_eq!(consent(apply, true, true), Consent::Ask);
        assert_eq!(consent(apply, false, true), Consent::Nobody);
        assert_eq!(consent(apply, true, false), Consent::Nobody);
        assert_eq!(consent(&format!("{apply} --yes"), false, false), Consent::Given);
    }

    #[test]
    fn progress_colour_and_logs_follow_terminals_and_options() {
        let terminal = |variables| Facts {
            stderr_is_terminal: true,
            ..facts(variables)
        };
        let output = |line: &str, facts: &Facts| resolve_in(line, facts).unwrap().output;
        let on = output("whop-sync validate", &terminal(&[]));
        assert_eq!(
            (on.progress, on.stdout, on.stderr),
            (Mode::Bar, Palette::Plain, Palette::Colour)
        );
        let dumb = output("whop-sync validate", &terminal(&[("TERM", "dumb")]));
        assert_eq!((dumb.progress, dumb.stderr), (Mode::Lines, Palette::Plain));
        let quiet = output("whop-sync validate -q", &terminal(&[]));
        assert_eq!(quiet.progress, Mode::Quiet);
        let loud = output("whop-sync validate -vv", &terminal(&[]));
        assert_eq!(
            (loud.progress, loud.log.as_deref()),
            (Mode::Lines, Some("whop_sync=debug"))
        );
        let filter = output("whop-sync validate -v", &facts(&[("WHOP_SYNC_LOG", "trace")]));
        assert_eq!(
            (filter.progress, filter.log.as_deref()),
            (Mode::Lines, Some("trace"))
        );
    }

    #[test]
    fn reports_and_annotations_follow_github() {
        let variables = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", "summary.md")];
        let plan = resolve("whop-sync plan --server emulator --report a.md", &variables);
        assert!(plan.output.annotate);
        assert_eq!(plan.reports.files, [ReportFile::parse("a.md").unwrap()]);
        assert_eq!(
            plan.reports.step_summary.as_deref(),
            Some(Path::new("summary.md"))
        );
        let validate = resolve("whop-sync validate", &variables);
        assert!(validate.reports.is_empty() && validate.output.annotate);
        let outside = resolve("whop-sync plan --server emulator", &[("GITHUB_ACTIONS", "false")]);
        assert!(outside.reports.is_empty() && !outside.output.annotate);
    }

    #[test]
    fn markdown_is_for_plans_and_reports_only() {
        for verb in ["show", "validate"] {
            let line = format!("whop-sync {verb} --format markdown");
            assert_eq!(refusal(&line, &[]).code(), Code::Usage);
        }
    }

    #[test]
    fn csv_is_for_show_only() {
        assert_eq!(refusal("whop-sync plan --format csv", &[]).code(), Code::Usage);
        assert_eq!(
            resolve("whop-sync show --format csv", &[]).output.format,
            Format::Csv
        );
    }

    #[test]
    fn the_policy_carries_the_choices() {
        let line = "whop-sync plan --server emulator --only b --only a --allow vanished --refresh changed";
        let policy = resolve(line, &[]).policy(7);
        assert_eq!((policy.now, policy.refresh), (7, Refresh::Changed));
        assert!(!policy.enforces(Guard::Vanished) && policy.enforces(Guard::Duplicate));
        assert!(policy.covers(&UserKey::parse("a").unwrap()));
        assert!(!policy.covers(&UserKey::parse("c").unwrap()));
        let everybody = resolve("whop-sync plan --server emulator", &[]).policy(7);
        assert!(everybody.covers(&UserKey::parse("c").unwrap()));
    }
}
