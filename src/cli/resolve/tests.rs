//! What a command line means in many surroundings.

use std::ffi::OsString;

use secrecy::ExposeSecret;

use super::super::args::parse;
use super::super::values::ReportFile;
use super::*;
use crate::core::model::{Dialect, Guard, Refresh};
use crate::core::value::UserKey;
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
    let Args { options, verb } = parse(&words, facts).unwrap();
    super::resolve(options, &verb, facts, |path| path == Path::new("folder"))
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
fn hosts_of_ones_own_are_named_for_one_purpose_each() {
    let named = |text| Hosts::parse(text).unwrap();
    let variables = [
        ("WHOP_SYNC_PICTURE_HOSTS", "img.corp.test"),
        ("WHOP_SYNC_STORAGE_HOSTS", "*.corp.test"),
    ];
    let set = resolve("whop-sync show", &variables).own_hosts;
    assert_eq!(set.pictures, named("img.corp.test"));
    assert_eq!(set.storage, named("*.corp.test"));
    assert_eq!(resolve("whop-sync show", &[]).own_hosts, OwnHosts::default());
    for (variable, _) in variables {
        let error = refusal("whop-sync show", &[(variable, "https://img.corp.test")]);
        assert_eq!(error.code().exit(), Exit::Usage);
        assert!(
            error
                .message()
                .starts_with(&format!("`{variable}` must be host names")),
            "{error}"
        );
    }
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
    assert!(error.what_to_do().is_some());
    for line in ["plan --server emulator", "validate", "show", "emulator"] {
        // A bad key is not even looked at there.
        let settings = resolve(&format!("whop-sync {line}"), &[("WHOP_API_KEY", "a b")]);
        assert!(matches!(settings.key, KeySource::Nowhere), "{line}");
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
        resolve_in(line, &facts).unwrap().consent
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
        (loud.progress, loud.log),
        (Mode::Lines, "whop_sync=debug".parse().ok())
    );
    let filter = output("whop-sync validate -v", &facts(&[("WHOP_SYNC_LOG", "trace")]));
    assert_eq!((filter.progress, filter.log), (Mode::Lines, "trace".parse().ok()));
    let nonsense = facts(&[("WHOP_SYNC_LOG", "whop_sync=loud")]);
    let error = resolve_in("whop-sync validate", &nonsense).unwrap_err();
    assert_eq!(error.code().exit(), Exit::Usage);
    assert!(
        error.to_string().contains("`WHOP_SYNC_LOG` must be a level"),
        "{error}"
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
