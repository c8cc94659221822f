//! The options that may stand before or after any command.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, Resettable, StyledStr, TypedValueParser};
use clap::{ArgAction, Args as _, Command};

use super::super::commands::completions;
use super::super::values::{Format, LogFormat, Server};
use crate::core::model::{Guard, Refresh};
use crate::core::value::UserKey;
use crate::remote::Version;
use crate::render::progress::ProgressChoice;
use crate::render::style::Choice;

/// The options that may stand before or after any command.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Options {
    /// The manifest, a file or a folder; repeatable [default: users.yaml]
    ///
    /// A folder is searched for *.yaml and *.yml. Several paths form one
    /// manifest.
    #[arg(short = 'f', long = "manifest", value_name = "PATH", help_heading = FILES)]
    pub(crate) manifests: Vec<PathBuf>,
    /// Where accounts are remembered [default: beside the manifest] [env: WHOP_SYNC_MAPPING]
    ///
    /// For users.yaml that is users.mapping.jsonl; for the emulator it is in
    /// the folder .whop-sync. Keep it in git. If it is lost, the next run finds
    /// the accounts again.
    #[arg(long, value_name = "PATH", help_heading = FILES)]
    pub(crate) mapping: Option<PathBuf>,
    /// Read every picture, even those that look unchanged
    ///
    /// Without this option, pictures whose size, times and place on the disk
    /// have not changed since the last apply are not read again.
    #[arg(long, help_heading = FILES)]
    pub(crate) no_cache: bool,
    /// production, sandbox, emulator or a URL [default: production] [env: WHOP_SYNC_SERVER]
    ///
    /// A URL is the API's base, /api/v1 included. Plain http is only for this
    /// computer.
    #[arg(long, value_name = "SERVER", value_parser = Server::parse, help_heading = WHOP)]
    pub(crate) server: Option<Server>,
    /// A file that holds the API key; wins over WHOP_API_KEY
    ///
    /// A key is never given on the command line, where every process could see
    /// it. The emulator needs none.
    #[arg(long, value_name = "PATH", help_heading = WHOP)]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Certificates to trust besides the system's, as PEM [env: WHOP_SYNC_CA_FILE]
    ///
    /// For a private authority, such as that of a gateway or of a proxy that
    /// inspects TLS. Proxies are taken from HTTPS_PROXY and NO_PROXY.
    #[arg(long, value_name = "FILE", help_heading = WHOP)]
    pub(crate) ca_file: Option<PathBuf>,
    /// Version of Whop's API [default: 2026-10-15-1] [env: WHOP_API_VERSION]
    ///
    /// 2025-01-01 speaks the older companies dialect, which can change less.
    #[arg(long, value_name = "VERSION", value_parser = Version::parse, help_heading = WHOP)]
    pub(crate) api_version: Option<Version>,
    /// Which profiles to read from Whop [default: auto]
    #[arg(long, value_name = "MODE", value_parser = refresh(), help_heading = CHOICE)]
    pub(crate) refresh: Option<Refresh>,
    /// Plan and apply only this user; repeatable
    #[arg(long, value_name = "ID", value_parser = UserKey::parse, add = completions::ids(), help_heading = CHOICE)]
    pub(crate) only: Vec<UserKey>,
    /// Lift this guardrail for this run; repeatable
    #[arg(long, value_name = "GUARD", value_parser = guard(), help_heading = CHOICE)]
    pub(crate) allow: Vec<Guard>,
    /// How to print results [default: human]
    #[arg(long, value_name = "FORMAT", value_parser = format(), help_heading = OUTPUT)]
    pub(crate) format: Option<Format>,
    /// When to use colour [default: auto]
    #[arg(long, value_name = "WHEN", value_parser = color(), help_heading = OUTPUT)]
    pub(crate) color: Option<Choice>,
    /// How to show progress [default: auto] [env: WHOP_SYNC_PROGRESS]
    #[arg(long, value_name = "HOW", value_parser = progress(), help_heading = OUTPUT)]
    pub(crate) progress: Option<ProgressChoice>,
    /// No progress and no warnings
    #[arg(short, long, help_heading = OUTPUT)]
    pub(crate) quiet: bool,
    /// Print logs; more with -vv and -vvv [env: WHOP_SYNC_LOG]
    #[arg(short, long, action = ArgAction::Count, help_heading = OUTPUT)]
    pub(crate) verbose: u8,
    /// How to print logs [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = log_format(), help_heading = OUTPUT)]
    pub(crate) log_format: Option<LogFormat>,
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
            "all up to 600 users, then changed ones plus a rotating share",
            Refresh::Auto,
        ),
        ("full", "every mapped user", Refresh::Full),
        (
            "changed",
            "only users whose manifest entry changed",
            Refresh::Changed,
        ),
    ])
}

fn guard() -> impl TypedValueParser<Value = Guard> {
    let guards = Guard::ALL.into_iter();
    let values = guards.map(|guard| PossibleValue::new(guard.name()).help(guard.help()));
    PossibleValuesParser::new(values).try_map(|chosen| {
        let mut guards = Guard::ALL.into_iter();
        guards
            .find(|guard| guard.name() == chosen)
            .ok_or("is none of the possible values")
    })
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

fn progress() -> impl TypedValueParser<Value = ProgressChoice> {
    one_of(&[
        (
            "auto",
            "a bar on terminals, lines elsewhere",
            ProgressChoice::Auto,
        ),
        ("bar", "a bar that redraws itself", ProgressChoice::Bar),
        (
            "lines",
            "a line every ten seconds; for screen readers",
            ProgressChoice::Lines,
        ),
        ("none", "nothing", ProgressChoice::None),
    ])
}

fn log_format() -> impl TypedValueParser<Value = LogFormat> {
    one_of(&[
        ("text", "for people", LogFormat::Text),
        ("json", "an object a line", LogFormat::Json),
    ])
}
/// Options that only a command that asks Whop has a use for.
const OF_WHOP: [&str; 7] = [
    "server",
    "api_key_file",
    "ca_file",
    "api_version",
    "refresh",
    "only",
    "allow",
];

/// Options that mean nothing to a command. They are accepted everywhere, so
/// that one set of options fits every command, but not offered.
pub(super) fn pointless(verb: &str) -> Vec<&'static str> {
    let (of_whop, more): (&[&str], &[&str]) = match verb {
        "validate" => (&OF_WHOP, &["mapping"]),
        "init" | "emulator" => (&OF_WHOP, &["mapping", "no_cache"]),
        // Of all that concerns Whop, the server alone says where the mapping is.
        "show" => (&OF_WHOP[1..], &["no_cache"]),
        "schema" | "completions" | "man" | "help" => (
            &OF_WHOP,
            &[
                "manifests",
                "mapping",
                "no_cache",
                "format",
                "color",
                "progress",
                "quiet",
                "verbose",
                "log_format",
            ],
        ),
        "drift" => (&[], &["allow"]),
        "explain" => (&[], &["refresh", "only", "allow"]),
        "doctor" => (&[], &["refresh", "only", "allow", "no_cache"]),
        "export" => (&[], &["refresh", "only", "allow", "format", "no_cache"]),
        _ => (&[], &[]),
    };
    [of_whop, more].concat()
}

/// A command that takes the options too.
pub(super) fn after(sub: Command) -> Command {
    // Their own description would take the place of the command's.
    let text = |text: Option<&StyledStr>| text.cloned().map_or(Resettable::Reset, Resettable::Value);
    let (about, long_about) = (text(sub.get_about()), text(sub.get_long_about()));
    Options::augment_args(sub).about(about).long_about(long_about)
}

/// Options before the command and after it, as one.
pub(super) fn merge(before: Options, after: Options) -> Result<Options, String> {
    let Options {
        mut manifests,
        mapping,
        no_cache,
        server,
        api_key_file,
        ca_file,
        api_version,
        refresh,
        mut only,
        mut allow,
        format,
        color,
        progress,
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
        no_cache: no_cache || after.no_cache,
        server: once("server", server, after.server)?,
        api_key_file: once("api-key-file", api_key_file, after.api_key_file)?,
        ca_file: once("ca-file", ca_file, after.ca_file)?,
        api_version: once("api-version", api_version, after.api_version)?,
        refresh: once("refresh", refresh, after.refresh)?,
        only,
        allow,
        format: once("format", format, after.format)?,
        color: once("color", color, after.color)?,
        progress: once("progress", progress, after.progress)?,
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
