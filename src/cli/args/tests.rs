//! What a command line becomes.

use std::path::PathBuf;
use std::time::Duration;

use super::super::values::{Expected, Server};
use super::*;
use crate::core::lineage::Commit;
use crate::core::model::{Guard, Refresh};
use crate::core::value::UserKey;
use crate::render::style::Choice;

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
        "whop-sync plan --detailed-exitcode --report a.md --report b.json --out p.json --expect 0123456789ABCDEF0123456789ABCDEF",
    );
    let report = |path| ReportFile::parse(path).unwrap();
    let plan = PlanArgs {
        detailed_exitcode: true,
        strict: false,
        out: Some("p.json".into()),
        terms: Terms {
            expect: Expected::parse("0123456789abcdef0123456789abcdef").ok(),
            commit: None,
        },
        reports: vec![report("a.md"), report("b.json")],
    };
    assert_eq!(detailed, Verb::Plan(plan));
    let sha = "c".repeat(40);
    let apply = ApplyArgs {
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
    assert_eq!(verb(&line), Verb::Apply(apply));
    let id = Some(UserKey::parse("u1").unwrap());
    assert_eq!(verb("whop-sync show u1"), Verb::Show(ShowArgs { id }));
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
