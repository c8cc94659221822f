//! What can be typed. Parsing has no effect and knows no environment; what
//! the options mean is settled in [`super::settings`].
//!
//! Options may stand before or after the command. Those that repeat add up
//! over both places (clap's own `global` would drop the first place), and the
//! others may be given in one of them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::completions;
use super::early::Early;
use super::export::ExportArgs;
use super::init::InitArgs;
use super::settings::Facts;
use super::values::{Expected, Format, KeyGrant, LogFormat, Rate, ReportFile, Server, some_time, span};
use crate::core::drift::Others;
use crate::core::lineage::Commit;
use crate::core::model::{Guard, Refresh};
use crate::core::value::UserKey;
use crate::remote::Version;
use crate::render::paint::Choice;

/// Widest line of a help text, in columns.
const WIDEST: usize = 100;

/// A parsed command line.
#[derive(Debug)]
pub struct Args {
    /// The options of any command.
    pub options: Options,
    /// What to do.
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Verb {
    /// Check manifest and pictures.
    Validate,
    /// Show what would change.
    Plan {
        /// Exit with 2 when changes are pending.
        detailed_exitcode: bool,
        /// Where to save the plan.
        out: Option<PathBuf>,
        /// What it must be, and whence.
        terms: Terms,
        /// Files to report to.
        reports: Vec<ReportFile>,
    },
    /// Make it so.
    Apply {
        /// The saved plan to carry out.
        plan: Option<PathBuf>,
        /// Where to write down what was done.
        receipt: Option<PathBuf>,
        /// What it must be, and whence.
        terms: Terms,
        /// Do not ask.
        yes: bool,
        /// Stop cleanly within this time.
        deadline: Option<Duration>,
        /// Files to report to.
        reports: Vec<ReportFile>,
    },
    /// Show what changed on Whop.
    Drift {
        /// What accounts mean that the mapping does not know.
        others: Others,
        /// Files to report to.
        reports: Vec<ReportFile>,
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
    Emulator(EmulatorArgs),
}

/// What a JSON Schema is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaOf {
    /// The manifest.
    Manifest,
    /// What JSON mode prints.
    Documents,
}

impl Verb {
    /// Whether it talks to Whop, so that it needs a key.
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

/// Keeps a platform's users on Whop equal to a YAML manifest
///
/// A manifest says who your users are: id, email, name and picture. whop-sync
/// compares it with Whop, shows what differs, and changes just that: it
/// creates connected accounts, and sets names and pictures that show inside
/// your company only. Nothing is ever deleted on Whop.
#[derive(Debug, Parser)]
#[command(
    name = "whop-sync",
    bin_name = "whop-sync",
    version,
    arg_required_else_help = true,
    after_help = TOP_SHORT,
    after_long_help = TOP_LONG,
)]
struct Line {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    verb: VerbLine,
}

const TOP_SHORT: &str = "\
Example: whop-sync plan -f users.yaml --server emulator
Each command has examples of its own: whop-sync help plan";

const TOP_LONG: &str = "\
Examples:
  whop-sync init                          begin: a manifest and its schema for editors
  whop-sync validate                      check users.yaml; needs no key and no network
  whop-sync apply --server emulator       try it out: nothing leaves this computer
  whop-sync plan                          show what would change on Whop
  whop-sync apply                         change it, after asking
  whop-sync show user_12345               the account and user of one of your users
  whop-sync explain user_12345            what is decided about one of them, and why
  whop-sync doctor                        what is wrong with the set-up

Environment:
  WHOP_API_KEY        the key; it is never given on the command line
  WHOP_API_VERSION    as --api-version
  WHOP_SYNC_CA_FILE   as --ca-file
  WHOP_SYNC_COMMIT    as --commit; else GITHUB_SHA or CI_COMMIT_SHA
  WHOP_SYNC_MAPPING   as --mapping
  WHOP_SYNC_SERVER    as --server
  WHOP_SYNC_LOG       which logs to print, such as debug or whop_sync=trace
  WHOP_SYNC_EXCHANGES where the emulator adds every exchange, as JSON lines
  NO_COLOR            no colour, if not empty
  CLICOLOR_FORCE      colour without a terminal too, if not 0
  HTTPS_PROXY         the proxy on the way to Whop; NO_PROXY lists hosts without

Exit status:
  0  done, or nothing to do         4   the plan is stale, or not the expected one
  1  network, key, permission, I/O  5   some users failed or were left; run again
  2  changes are pending            6   another run holds the mapping
  3  a guardrail refused            7   the manifest or a picture is invalid
  64 usage                          130 interrupted; work in hand was finished";

#[derive(Debug, Subcommand)]
enum VerbLine {
    /// Begin: a manifest, its schema for editors, what git ignores, and pipelines
    ///
    /// Writes new files only; what is there stays as it is. With --from-csv the
    /// manifest has the users of a table.
    #[command(after_help = INIT_EXAMPLES)]
    Init {
        #[command(flatten)]
        init: InitArgs,
        #[command(flatten)]
        options: Options,
    },
    /// Check the manifest and its pictures
    ///
    /// Finds every problem in one pass and shows it with its line and what to
    /// do. Needs no key and no network, and writes nothing.
    #[command(after_help = VALIDATE_EXAMPLES)]
    Validate {
        #[command(flatten)]
        options: Options,
    },
    /// Show what apply would change
    ///
    /// Reads Whop and writes nothing at all. Shows every change with old and
    /// new value, what is held and why, and how many requests it takes.
    #[command(after_help = PLAN_EXAMPLES)]
    Plan {
        /// Exit with 2 when changes are pending, and with 0 when there are none
        #[arg(long)]
        detailed_exitcode: bool,
        /// Save the plan to this file, for `apply FILE`
        ///
        /// It holds no secret and no picture. A plan that a guardrail refuses
        /// is not saved.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        terms: Terms,
        /// Write a report to this file too, .json, .md or .html; repeatable
        #[arg(long = "report", value_name = "FILE", value_parser = ReportFile::parse)]
        reports: Vec<ReportFile>,
        #[command(flatten)]
        options: Options,
    },
    /// Make Whop equal to the manifest
    ///
    /// Plans, shows the plan, asks, and carries it out. Every finished step is
    /// recorded at once: after a crash or Ctrl-C, run it again to resume.
    #[command(after_help = APPLY_EXAMPLES)]
    Apply {
        /// Carry out exactly this plan, saved by `plan --out`
        ///
        /// Refused with 4 when anything it rests on has moved since. A plan
        /// runs once: carried out to its end, it does nothing more.
        #[arg(value_name = "PLAN")]
        plan: Option<PathBuf>,
        /// Write what was done to this file, in JSON: each step, its request and answer
        ///
        /// Written as well when users failed or the run was interrupted.
        #[arg(long, value_name = "FILE")]
        receipt: Option<PathBuf>,
        #[command(flatten)]
        terms: Terms,
        /// Do not ask; needed where no terminal is
        #[arg(long, short = 'y')]
        yes: bool,
        /// Stop cleanly within this time, such as 90s or 1h 30min
        ///
        /// What is left is reported and the exit status is 5; the next run
        /// goes on from there.
        #[arg(long, value_name = "DURATION", value_parser = some_time)]
        deadline: Option<Duration>,
        /// Write a report to this file too, .json, .md or .html; repeatable
        #[arg(long = "report", value_name = "FILE", value_parser = ReportFile::parse)]
        reports: Vec<ReportFile>,
        #[command(flatten)]
        options: Options,
    },
    /// Show what changed on Whop behind the manifest's back
    ///
    /// Compares what was last applied with what Whop shows, user by user.
    /// Writes nothing at all. Exits with 2 when there is drift, and with 0 when
    /// there is none; what was only edited in the manifest is no drift.
    #[command(after_help = DRIFT_EXAMPLES)]
    Drift {
        /// Accounts that the mapping does not know are no drift
        #[arg(long)]
        ignore_unmanaged: bool,
        /// Write a report to this file too, .json or .md; repeatable
        #[arg(long = "report", value_name = "FILE", value_parser = ReportFile::parse)]
        reports: Vec<ReportFile>,
        #[command(flatten)]
        options: Options,
    },
    /// Explain one user: what is known, what is decided, and why
    ///
    /// Shows the manifest's entry, the mapping's, the account and the profile
    /// on Whop, what a plan does about it, and the next command. Reads the list
    /// of accounts and one profile, and writes nothing at all.
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain {
        /// Your platform's id of the user
        #[arg(value_name = "ID", value_parser = UserKey::parse, add = completions::ids())]
        id: UserKey,
        #[command(flatten)]
        options: Options,
    },
    /// Write what Whop has now as a manifest
    ///
    /// Planning it beside the same mapping comes to nothing; without a mapping
    /// it adopts the accounts. Accounts without an id of yours are named and
    /// left out. Sends GET only, and overwrites nothing unless told to.
    #[command(after_help = EXPORT_EXAMPLES)]
    Export {
        #[command(flatten)]
        export: ExportArgs,
        #[command(flatten)]
        options: Options,
    },
    /// Show which account and user on Whop belong to your users
    ///
    /// Reads the mapping only. The user_id is what chat tokens are made for.
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// Your platform's id of one user
        #[arg(value_name = "ID", value_parser = UserKey::parse, add = completions::ids())]
        id: Option<UserKey>,
        #[command(flatten)]
        options: Options,
    },
    /// Find out what is wrong with the set-up, and how to mend it
    ///
    /// Looks at manifest, key, API version, company, permissions, mapping, lock,
    /// journal and clock. Sends GET only, and writes nothing. Exits with 1 when
    /// an apply would fail. One request names a version that cannot exist, to
    /// hear whether Whop has newer ones than this program.
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor {
        /// Tell also which of the assumptions about Whop hold, as far as reading tells
        ///
        /// This program was written from documentation; where that is silent it
        /// assumes something. Each assumption is put to the test with GET only,
        /// some tens of requests: it holds, it differs, or it cannot be told
        /// without writing or from what there is to read. The exit status stays
        /// that of the checks.
        #[arg(long)]
        probe: bool,
        #[command(flatten)]
        options: Options,
    },
    /// Print the manifest's JSON Schema, for editors
    ///
    /// Version 2020-12. `init` writes it beside the manifest, whose first line
    /// tells editors to complete and check by it.
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema {
        /// Print that of what `--format json` prints instead: plans, reports and the rest
        #[arg(long)]
        plan: bool,
        #[command(flatten)]
        options: Options,
    },
    /// Print the completions of a shell
    ///
    /// They know the options and the ids of the manifest.
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// bash, elvish, fish, powershell or zsh
        #[arg(value_name = "SHELL", value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
        shell: String,
        #[command(flatten)]
        options: Options,
    },
    /// Print the manual page of the program, or of a command
    #[command(after_help = MAN_EXAMPLES)]
    Man {
        /// The command, such as plan
        #[arg(value_name = "COMMAND")]
        page: Option<String>,
        #[command(flatten)]
        options: Options,
    },
    /// Serve an emulated Whop on this computer
    ///
    /// Speaks the parts of Whop's API that whop-sync uses, to any client. The
    /// same emulator is built into plan, apply and show with `--server emulator`.
    #[command(after_help = EMULATOR_EXAMPLES)]
    Emulator {
        #[command(flatten)]
        emulator: EmulatorArgs,
        #[command(flatten)]
        options: Options,
    },
}

const VALIDATE_EXAMPLES: &str = "\
Examples:
  whop-sync validate -f users.yaml
  whop-sync validate -f users/ --format json";

const PLAN_EXAMPLES: &str = "\
Examples:
  whop-sync plan --server emulator
  whop-sync plan --only user_12345 --refresh full
  whop-sync plan --detailed-exitcode --format json
  whop-sync plan --report plan.md --report plan.json
  whop-sync plan --out users.plan.json    save it, for `whop-sync apply users.plan.json`";

const APPLY_EXAMPLES: &str = "\
Examples:
  whop-sync apply --server emulator --yes
  whop-sync apply --yes --deadline 50min
  whop-sync apply --allow max_updates
  whop-sync apply users.plan.json --yes --receipt receipt.json
  whop-sync apply --yes --expect d6ed27f40dc4";

const DRIFT_EXAMPLES: &str = "\
Examples:
  whop-sync drift --refresh full
  whop-sync drift --format markdown       an issue's body, such as for a nightly job
  whop-sync drift --report drift.json";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  whop-sync explain user_12345
  whop-sync explain user_12345 --format json";

const EXPORT_EXAMPLES: &str = "\
Examples:
  whop-sync export --company biz_XXXXXXXXXXXXX --out users.yaml
  whop-sync export --out users.new.yaml --avatars avatars";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  whop-sync doctor --server sandbox
  whop-sync doctor --server sandbox --probe
  whop-sync doctor --format json";

const INIT_EXAMPLES: &str = "\
Examples:
  whop-sync init --company biz_XXXXXXXXXXXXX
  whop-sync init --ci github
  whop-sync init --from-csv users.csv --column email=\"Mail address\" --column metadata.tier=Plan";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  whop-sync schema > users.schema.json
  whop-sync schema --plan > plan.schema.json";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  source <(whop-sync completions bash)                        in ~/.bashrc
  source <(whop-sync completions zsh)                         in ~/.zshrc
  whop-sync completions fish | source                         in ~/.config/fish/config.fish
  whop-sync completions powershell | Out-String | Invoke-Expression";

const MAN_EXAMPLES: &str = "\
Examples:
  whop-sync man > whop-sync.1
  whop-sync man plan | man -l -";

const SHOW_EXAMPLES: &str = "\
Examples:
  whop-sync show user_12345 --format json
  whop-sync show --format csv";

const EMULATOR_EXAMPLES: &str = "\
Examples:
  whop-sync emulator --port 8484
  whop-sync emulator --rate 0 --latency 50ms --key test=company:create_child,user:profile:update
  whop-sync emulator --faults faults.json
  whop-sync emulator --api-version 2026-09-15      pass for a server that knows nothing newer

A fault script, which loses the third create's answer and breaks 1% of all requests:
  {\"seed\": 7, \"faults\": [
    {\"operation\": \"create_account\", \"skip\": 2, \"count\": 1, \"strike\": {\"kind\": \"reset_after\"}},
    {\"count\": null, \"chance\": 1, \"strike\": {\"kind\": \"html\", \"status\": 502}}]}
Each fault may name `operation`, `containing` (a text in the request), `skip`, `count` (null for
all) and `chance` in a hundred. The strikes and their fields:
  answer status body headers      answer_after status      html status
  limited seconds header message  refused status           oversized bytes
  reset_before   reset_after      slow millis              late millis
  truncated      stale seconds    dies_in_progress acts    page_grows
  page_skips entries              page_repeats entries
  file_fails     file_stalls      url_expires";

/// What a plan must be, and what it is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Terms {
    /// Refuse with 4 unless the plan has this digest, or one that begins so
    ///
    /// As `plan` prints it, at least 12 digits. It covers what is done, not
    /// when it was planned.
    #[arg(long, value_name = "DIGEST", value_parser = Expected::parse)]
    pub expect: Option<Expected>,
    /// The commit the manifest stands in, by its full id [env: WHOP_SYNC_COMMIT]
    ///
    /// The mapping remembers it, so that applying an older commit later is
    /// noticed. GitHub's and GitLab's pipelines tell it by themselves.
    #[arg(long, value_name = "SHA", value_parser = Commit::parse)]
    pub commit: Option<Commit>,
}

/// How the emulator is served.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct EmulatorArgs {
    /// Port on 127.0.0.1; 0 takes any free one
    #[arg(long, value_name = "N", default_value_t = 8484)]
    pub port: u16,
    /// Where accounts, profiles and files are kept [default: .whop-sync/emulator.jsonl]
    ///
    /// The default stands beside the manifest and is the one that
    /// `--server emulator` uses.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Requests allowed for each operation; 0 for no limit
    #[arg(long, value_name = "RATE", default_value = "600/min", value_parser = Rate::parse)]
    pub rate: Rate,
    /// Time that every answer takes, such as 50ms
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = span)]
    pub latency: Duration,
    /// A key and its scopes; repeatable. Without any, every key may do everything
    ///
    /// KEY alone has every scope, KEY= has none.
    #[arg(long = "key", value_name = "KEY=SCOPE,…", value_parser = KeyGrant::parse)]
    pub keys: Vec<KeyGrant>,
    /// What goes wrong: a fault script in JSON
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
}

/// The options that may stand before or after any command.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Options {
    /// The manifest, a file or a folder; repeatable [default: users.yaml]
    ///
    /// Of a folder every *.yaml and *.yml below it is read. Several are one
    /// manifest in parts.
    #[arg(short = 'f', long = "manifest", value_name = "PATH", help_heading = FILES)]
    pub manifests: Vec<PathBuf>,
    /// Where accounts are remembered [default: beside the manifest] [env: WHOP_SYNC_MAPPING]
    ///
    /// For users.yaml that is users.mapping.jsonl; for the emulator it stands
    /// in the folder .whop-sync. Keep it in git: losing it costs one refresh
    /// and no account.
    #[arg(long, value_name = "PATH", help_heading = FILES)]
    pub mapping: Option<PathBuf>,
    /// production, sandbox, emulator or a URL [default: production] [env: WHOP_SYNC_SERVER]
    ///
    /// A URL is the API's base, /api/v1 included. Plain http is only for this
    /// computer.
    #[arg(long, value_name = "SERVER", value_parser = Server::parse, help_heading = WHOP)]
    pub server: Option<Server>,
    /// A file that holds the API key; wins over WHOP_API_KEY
    ///
    /// A key never stands on the command line, where every process could see
    /// it. The emulator needs none.
    #[arg(long, value_name = "PATH", help_heading = WHOP)]
    pub api_key_file: Option<PathBuf>,
    /// Certificates to trust besides the system's, as PEM [env: WHOP_SYNC_CA_FILE]
    ///
    /// For a company's own authority: that of its gateway, or of a proxy that
    /// opens TLS. Proxies are taken from HTTPS_PROXY and NO_PROXY.
    #[arg(long, value_name = "FILE", help_heading = WHOP)]
    pub ca_file: Option<PathBuf>,
    /// Version of Whop's API [default: 2026-10-15-1] [env: WHOP_API_VERSION]
    ///
    /// 2025-01-01 speaks the older companies dialect, which can change less.
    #[arg(long, value_name = "VERSION", value_parser = Version::parse, help_heading = WHOP)]
    pub api_version: Option<Version>,
    /// Which profiles to read from Whop [default: auto]
    #[arg(long, value_name = "MODE", value_parser = refresh(), help_heading = CHOICE)]
    pub refresh: Option<Refresh>,
    /// Plan and apply only this user; repeatable
    #[arg(long, value_name = "ID", value_parser = UserKey::parse, add = completions::ids(), help_heading = CHOICE)]
    pub only: Vec<UserKey>,
    /// Lift this guardrail for this run; repeatable
    #[arg(long, value_name = "GUARD", value_parser = guard(), help_heading = CHOICE)]
    pub allow: Vec<Guard>,
    /// How to print results [default: human]
    #[arg(long, value_name = "FORMAT", value_parser = format(), help_heading = OUTPUT)]
    pub format: Option<Format>,
    /// When to use colour [default: auto]
    #[arg(long, value_name = "WHEN", value_parser = color(), help_heading = OUTPUT)]
    pub color: Option<Choice>,
    /// No progress and no warnings
    #[arg(short, long, help_heading = OUTPUT)]
    pub quiet: bool,
    /// Print logs; more with -vv and -vvv [env: WHOP_SYNC_LOG]
    #[arg(short, long, action = ArgAction::Count, help_heading = OUTPUT)]
    pub verbose: u8,
    /// How to print logs [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = log_format(), help_heading = OUTPUT)]
    pub log_format: Option<LogFormat>,
}

const FILES: &str = "Files";
const WHOP: &str = "Whop";
const CHOICE: &str = "What to do";
const OUTPUT: &str = "Output";

/// A parser of a few names, each with a line of help.
fn one_of<T: Copy + Send + Sync + 'static>(
    choices: &'static [(&'static str, &'static str, T)],
) -> impl TypedValueParser<Value = T> {
    let names = choices
        .iter()
        .map(|(name, help, _)| PossibleValue::new(*name).help(*help));
    PossibleValuesParser::new(names).try_map(|chosen| {
        let choice = choices.iter().find(|(name, ..)| *name == chosen);
        choice
            .map(|(.., value)| *value)
            .ok_or("is none of the possible values")
    })
}

fn refresh() -> impl TypedValueParser<Value = Refresh> {
    one_of(&[
        (
            "auto",
            "full up to 600 mapped users, then changed and a rotating slice",
            Refresh::Auto,
        ),
        ("full", "every mapped user's", Refresh::Full),
        (
            "changed",
            "only those whose manifest entry changed",
            Refresh::Changed,
        ),
    ])
}

fn guard() -> impl TypedValueParser<Value = Guard> {
    one_of(&[
        ("max_creates", "accounts one run may create", Guard::MaxCreates),
        ("max_updates", "users one run may change", Guard::MaxUpdates),
        ("max_avatars", "pictures one run may set", Guard::MaxAvatars),
        (
            "vanished",
            "creating while many mapped accounts are not found",
            Guard::Vanished,
        ),
        (
            "duplicate",
            "creating for an email that owns an account already",
            Guard::Duplicate,
        ),
        (
            "in_doubt",
            "creating again where an answer was lost",
            Guard::InDoubt,
        ),
        (
            "stale",
            "applying a manifest older than what was applied last",
            Guard::Stale,
        ),
    ])
}

fn format() -> impl TypedValueParser<Value = Format> {
    one_of(&[
        ("human", "for people", Format::Human),
        (
            "json",
            "one document on stdout on every exit, errors too",
            Format::Json,
        ),
        (
            "markdown",
            "for a comment or an issue; plan, apply and drift only",
            Format::Markdown,
        ),
        ("csv", "a table for spreadsheets; show only", Format::Csv),
    ])
}

fn color() -> impl TypedValueParser<Value = Choice> {
    one_of(&[
        ("auto", "on terminals", Choice::Auto),
        ("always", "everywhere", Choice::Always),
        ("never", "nowhere", Choice::Never),
    ])
}

fn log_format() -> impl TypedValueParser<Value = LogFormat> {
    one_of(&[
        ("text", "for people", LogFormat::Text),
        ("json", "an object a line", LogFormat::Json),
    ])
}

/// Options that mean nothing to a command. They are accepted everywhere, so
/// that one set of options fits every command, but not offered.
fn pointless(verb: &str) -> &'static [&'static str] {
    match verb {
        "validate" => &[
            "mapping",
            "server",
            "api_key_file",
            "ca_file",
            "api_version",
            "refresh",
            "only",
            "allow",
        ],
        "init" => &[
            "mapping",
            "server",
            "api_key_file",
            "ca_file",
            "api_version",
            "refresh",
            "only",
            "allow",
        ],
        "schema" | "completions" | "man" => &[
            "manifests",
            "mapping",
            "server",
            "api_key_file",
            "ca_file",
            "api_version",
            "refresh",
            "only",
            "allow",
            "format",
            "color",
            "quiet",
            "verbose",
            "log_format",
        ],
        "drift" => &["allow"],
        "explain" | "doctor" => &["refresh", "only", "allow"],
        "export" => &["refresh", "only", "allow", "format"],
        "show" => &[
            "api_key_file",
            "ca_file",
            "api_version",
            "refresh",
            "only",
            "allow",
        ],
        "emulator" => &[
            "mapping",
            "server",
            "api_key_file",
            "ca_file",
            "api_version",
            "refresh",
            "only",
            "allow",
        ],
        _ => &[],
    }
}

/// The definition of the command line, for parsing, completions and manuals.
pub fn command() -> clap::Command {
    let mut command = Line::command();
    let verbs: Vec<String> = command
        .get_subcommands()
        .map(|c| c.get_name().to_owned())
        .collect();
    for verb in verbs {
        command = command.mut_subcommand(&verb, |mut sub| {
            for id in pointless(&verb) {
                sub = sub.mut_arg(id, |arg| arg.hide(true));
            }
            sub
        });
    }
    command
}

/// Parses a command line, the program's name first.
///
/// # Errors
/// A help text, the version, or what is wrong with the command line. The last
/// ends with status 64; clap's own 2 means "changes pending" here.
pub fn parse(raw: &[OsString], facts: &Facts) -> Result<Args, Early> {
    let width = facts.width.unwrap_or(WIDEST).min(WIDEST);
    let mut command = command().term_width(width);
    let parsed = command.try_get_matches_from_mut(raw);
    let parsed = parsed.and_then(|matches| Line::from_arg_matches(&matches));
    let args =
        parsed.and_then(|line| combine(line).map_err(|why| command.error(ErrorKind::ArgumentConflict, why)));
    args.map_err(|error| Early::new(&error, raw, facts))
}

/// Brings the options of both places together.
fn combine(line: Line) -> Result<Args, String> {
    let (verb, after) = match line.verb {
        VerbLine::Validate { options } => (Verb::Validate, options),
        VerbLine::Plan {
            detailed_exitcode,
            out,
            terms,
            reports,
            options,
        } => {
            let verb = Verb::Plan {
                detailed_exitcode,
                out,
                terms,
                reports,
            };
            (verb, options)
        }
        VerbLine::Apply {
            plan,
            receipt,
            terms,
            yes,
            deadline,
            reports,
            options,
        } => {
            let verb = Verb::Apply {
                plan,
                receipt,
                terms,
                yes,
                deadline,
                reports,
            };
            (verb, options)
        }
        VerbLine::Drift {
            ignore_unmanaged,
            reports,
            options,
        } => {
            let others = if ignore_unmanaged {
                Others::Expect
            } else {
                Others::Count
            };
            (Verb::Drift { others, reports }, options)
        }
        VerbLine::Explain { id, options } => (Verb::Explain { id }, options),
        VerbLine::Export { export, options } => (Verb::Export(export), options),
        VerbLine::Doctor { probe, options } => (Verb::Doctor { probe }, options),
        VerbLine::Init { init, options } => (Verb::Init(init), options),
        VerbLine::Schema { plan, options } => {
            let of = if plan {
                SchemaOf::Documents
            } else {
                SchemaOf::Manifest
            };
            (Verb::Schema { of }, options)
        }
        VerbLine::Completions { shell, options } => (Verb::Completions { shell }, options),
        VerbLine::Man { page, options } => (Verb::Man { page }, options),
        VerbLine::Show { id, options } => (Verb::Show { id }, options),
        VerbLine::Emulator { emulator, options } => (Verb::Emulator(emulator), options),
    };
    let options = merge(line.options, after)?;
    if options.quiet && options.verbose > 0 {
        return Err("the argument '--quiet' cannot be used with '--verbose'".to_owned());
    }
    Ok(Args { options, verb })
}

/// Options before the command and after it, as one.
fn merge(before: Options, after: Options) -> Result<Options, String> {
    let Options {
        mut manifests,
        mapping,
        server,
        api_key_file,
        ca_file,
        api_version,
        refresh,
        mut only,
        mut allow,
        format,
        color,
        quiet,
        verbose,
        log_format,
    } = before;
    manifests.extend(after.manifests);
    only.extend(after.only);
    allow.extend(after.allow);
    Ok(Options {
        manifests,
        mapping: once("mapping", mapping, after.mapping)?,
        server: once("server", server, after.server)?,
        api_key_file: once("api-key-file", api_key_file, after.api_key_file)?,
        ca_file: once("ca-file", ca_file, after.ca_file)?,
        api_version: once("api-version", api_version, after.api_version)?,
        refresh: once("refresh", refresh, after.refresh)?,
        only,
        allow,
        format: once("format", format, after.format)?,
        color: once("color", color, after.color)?,
        quiet: quiet || after.quiet,
        verbose: verbose.saturating_add(after.verbose),
        log_format: once("log-format", log_format, after.log_format)?,
    })
}

/// An option that may be given in one place only.
fn once<T>(name: &str, before: Option<T>, after: Option<T>) -> Result<Option<T>, String> {
    match (before, after) {
        (Some(_), Some(_)) => Err(format!("the argument '--{name}' cannot be used multiple times")),
        (before, after) => Ok(before.or(after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn parsed(line: &str) -> Args {
        parse(&raw(line), &Facts::default()).unwrap()
    }

    fn ended(line: &str) -> Early {
        parse(&raw(line), &Facts::default()).unwrap_err()
    }

    #[test]
    fn clap_finds_no_fault_with_the_definition() {
        command().debug_assert();
    }

    #[test]
    fn options_may_stand_before_or_after_the_command() {
        let before = parsed("whop-sync -f a.yaml --server sandbox --only u1 -v --format json plan");
        let after = parsed("whop-sync plan -f a.yaml --server sandbox --only u1 -v --format json");
        assert_eq!(before.options, after.options);
        assert_eq!(before.options.server, Some(Server::Sandbox));
    }

    #[test]
    fn repeated_options_add_up_over_both_places() {
        let Options {
            manifests,
            only,
            allow,
            verbose,
            ..
        } = parsed("whop-sync -f a --only u1 --allow vanished -v plan -f b --only u2 --allow in_doubt -v")
            .options;
        assert_eq!(manifests, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(only.iter().map(UserKey::as_str).collect::<Vec<_>>(), ["u1", "u2"]);
        assert_eq!((allow, verbose), (vec![Guard::Vanished, Guard::InDoubt], 2));
    }

    #[test]
    fn every_command_and_option_is_understood() {
        let all = "--mapping m --server emulator --api-key-file k --ca-file c --api-version 2025-01-01 --refresh full \
                   --color never --log-format json -q";
        for verb in ["validate", "plan", "apply", "drift", "show", "emulator"] {
            let options = parsed(&format!("whop-sync {verb} {all}")).options;
            assert_eq!(options.refresh, Some(Refresh::Full), "{verb}");
            assert!(options.quiet && options.color == Some(Choice::Never), "{verb}");
        }
        let verb = |line| parsed(line).verb;
        let detailed = verb(
            "whop-sync plan --detailed-exitcode --report a.md --report b.json --out p.json --expect 0123456789AB",
        );
        let report = |path| ReportFile::parse(path).unwrap();
        assert_eq!(
            detailed,
            Verb::Plan {
                detailed_exitcode: true,
                out: Some("p.json".into()),
                terms: Terms {
                    expect: Expected::parse("0123456789ab").ok(),
                    commit: None,
                },
                reports: vec![report("a.md"), report("b.json")],
            }
        );
        let sha = "c".repeat(40);
        let apply = Verb::Apply {
            plan: Some("p.json".into()),
            receipt: Some("r.json".into()),
            terms: Terms {
                expect: None,
                commit: Commit::parse(&sha).ok(),
            },
            yes: true,
            deadline: Some(Duration::from_secs(90)),
            reports: Vec::new(),
        };
        let line = format!("whop-sync apply p.json --yes --deadline 90s --receipt r.json --commit {sha}");
        assert_eq!(verb(&line), apply);
        let id = Some(UserKey::parse("u1").unwrap());
        assert_eq!(verb("whop-sync show u1"), Verb::Show { id });
        let Verb::Emulator(emulator) =
            verb("whop-sync emulator --port 0 --rate 0 --latency 50ms --key k=a --key l --faults f.json")
        else {
            panic!("another command");
        };
        assert_eq!((emulator.port, emulator.rate.per_minute), (0, None));
        assert_eq!(
            (emulator.latency, emulator.keys.len()),
            (Duration::from_millis(50), 2)
        );
        assert_eq!(emulator.faults, Some(PathBuf::from("f.json")));
    }

    /// Every command, the outermost included.
    fn commands() -> Vec<clap::Command> {
        let top = command();
        let subs: Vec<clap::Command> = top.get_subcommands().cloned().collect();
        std::iter::once(top).chain(subs).collect()
    }

    #[test]
    fn every_option_is_documented() {
        for command in commands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command
                .get_arguments()
                .filter(|a| a.get_id() != "help" && a.get_id() != "version")
            {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let name = argument.get_id();
                assert!(help.len() > 8, "{name} has no help");
                assert!(
                    !help.ends_with('.'),
                    "{name}: clap's own help ends without a full stop"
                );
                let takes_value = argument.get_action().takes_values();
                assert!(
                    !takes_value || argument.get_value_names().is_some(),
                    "{name} names no value"
                );
            }
        }
    }

    #[test]
    fn help_fits_the_terminal() {
        for width in [60, 100] {
            let facts = Facts {
                width: Some(width),
                ..Facts::default()
            };
            let text = parse(&raw("whop-sync validate --help"), &facts)
                .unwrap_err()
                .stdout;
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{widest:?}\n{text}");
        }
        let text = ended("whop-sync --help").stdout;
        assert!(text.lines().all(|line| line.chars().count() <= WIDEST), "{text}");
    }

    #[test]
    fn what_means_nothing_to_a_command_is_not_offered() {
        let help = ended("whop-sync validate --help").stdout;
        assert!(help.contains("--manifest") && !help.contains("--refresh"));
        assert!(ended("whop-sync plan --help").stdout.contains("--refresh"));
    }
}
