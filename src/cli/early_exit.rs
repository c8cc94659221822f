//! What ends the program before it does anything: help, the version, and
//! invalid command lines.

use std::ffi::OsString;
use std::io;

use clap::error::ErrorKind;

use super::environment::Facts;
use crate::error::{Code, Error, Exit};
use crate::render::style::{Choice, Palette};
use crate::render::{escape, json};

/// What ends the program before it does anything: a help text, the version,
/// or an invalid command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Early {
    /// For stdout, final line end included.
    pub(crate) stdout: String,
    /// For stderr, final line end included.
    pub(crate) stderr: String,
    /// The exit status.
    pub(crate) exit: Exit,
}

impl Early {
    /// Turns clap's early end into ours.
    pub(crate) fn new(error: &clap::Error, raw: &[OsString], facts: &Facts) -> Self {
        let choice = match raw_value(raw, "--color") {
            Some("always") => Choice::Always,
            Some("never") => Choice::Never,
            _ => Choice::Auto,
        };
        let paint = |terminal| Palette::resolve(choice, facts.surroundings(), terminal);
        let is_json = raw_value(raw, "--format") == Some("json");
        let plain = error.render().to_string();
        let exit = if error.use_stderr() {
            Exit::Usage
        } else {
            Exit::Done
        };
        let text = |palette| match palette {
            Palette::Colour if !error.use_stderr() => error.render().ansi().to_string(),
            // A usage error quotes what was typed, which may come from anywhere;
            // colours could not be told from its escapes.
            _ => escape::lines(&in_one_line(&plain, raw)).into_owned(),
        };
        let (stdout, stderr) = match (error.use_stderr(), is_json) {
            (false, false) => (text(paint(facts.stdout_is_terminal)), String::new()),
            (true, false) => (String::new(), text(paint(facts.stderr_is_terminal))),
            (false, true) => (help_document(error.kind(), &plain), String::new()),
            (true, true) => (usage_document(error.kind(), &plain), String::new()),
        };
        Early { stdout, stderr, exit }
    }

    /// A page of the manual, as it is written.
    pub(super) fn page(text: &str, raw: &[OsString]) -> Self {
        let stdout = match raw_value(raw, "--format") {
            Some("json") => help_document(ErrorKind::DisplayHelp, text),
            _ => text.to_owned(),
        };
        Early {
            stdout,
            stderr: String::new(),
            exit: Exit::Done,
        }
    }
}

/// A text in which what was typed stays on its line. Clap quotes it as it is.
fn in_one_line(text: &str, raw: &[OsString]) -> String {
    let words = raw.iter().map(|word| word.to_string_lossy());
    words.fold(text.to_owned(), |text, word| {
        let value = word.split_once('=').map_or(&*word, |(_, value)| value);
        match value.contains(['\n', '\t']) {
            true => text.replace(value, &escape::terminal(value)),
            false => text,
        }
    })
}

/// The value of an option in a command line that may not parse at all: the
/// last one given, whichever form it has.
fn raw_value<'a>(raw: &'a [OsString], name: &str) -> Option<&'a str> {
    let mut found = None;
    let mut words = raw.iter().filter_map(|word| word.to_str()).skip(1);
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        }
        match word.strip_prefix(name) {
            Some("") => found = words.next(),
            Some(rest) => found = rest.strip_prefix('=').or(found),
            None => {}
        }
    }
    found
}

/// A help text or the version as a JSON document.
fn help_document(kind: ErrorKind, plain: &str) -> String {
    let kind = match kind {
        ErrorKind::DisplayVersion => "version",
        _ => "help",
    };
    document(|out| json::text(out, kind, plain.trim_end()))
}

/// A usage error as a JSON document: clap's first paragraph, and its tips.
fn usage_document(kind: ErrorKind, plain: &str) -> String {
    let mut paragraphs = plain
        .split("\n\n")
        .map(|p| p.split_whitespace().collect::<Vec<_>>().join(" "));
    let first = paragraphs.next().unwrap_or_default();
    let message = match kind {
        // Its text is the whole help.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "no command was given",
        _ => first.strip_prefix("error: ").unwrap_or(&first),
    };
    let tip = paragraphs.find_map(|p| p.strip_prefix("tip: ").map(str::to_owned));
    let hint = tip.unwrap_or_else(|| "see `whop-sync --help`".to_owned());
    let error = Error::new(Code::Usage, message).hint(hint);
    document(|out| json::error(out, &error, None))
}

fn document(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    // Writing to memory does not fail, and JSON is UTF-8.
    if write(&mut out).is_err() {
        return String::new();
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::args::parse;
    use super::*;

    fn raw(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn ended(line: &str) -> Early {
        parse(&raw(line), &Facts::default()).unwrap_err()
    }

    #[test]
    fn usage_errors_end_with_64_on_stderr() {
        for line in [
            "whop-sync",
            "whop-sync destroy",
            "whop-sync plan --nope",
            "whop-sync plan --server moon",
            "whop-sync plan --refresh some",
            "whop-sync plan --only a%b",
            "whop-sync plan --allow everything",
            "whop-sync plan --api-version 2026-06-08",
            "whop-sync plan --api-key secret",
            "whop-sync apply --deadline 0s",
            "whop-sync --server sandbox plan --server sandbox",
            "whop-sync -q plan -v",
            "whop-sync emulator --port 99999",
        ] {
            let Early { stdout, stderr, exit } = ended(line);
            assert_eq!((stdout.as_str(), exit), ("", Exit::Usage), "{line}");
            assert!(!stderr.is_empty() && stderr.ends_with('\n'), "{line}");
        }
        assert!(
            ended("whop-sync plan --serve x").stderr.contains("'--server'"),
            "no tip"
        );
    }

    #[test]
    fn in_json_mode_a_usage_error_is_a_document_too() {
        for line in [
            "whop-sync plan --format json --nope",
            "whop-sync --nope --format=json plan",
            "whop-sync --format json",
        ] {
            let Early { stdout, stderr, exit } = ended(line);
            assert_eq!((stderr.as_str(), exit), ("", Exit::Usage), "{line}");
            let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
            assert_eq!(document["kind"], "error", "{line}");
            assert_eq!(
                (&document["code"], &document["exit_status"]),
                (&"usage.invalid".into(), &64.into())
            );
            assert!(
                !document["message"].as_str().unwrap().contains("error:"),
                "{stdout}"
            );
        }
        let document = ended("whop-sync plan --format json --nope").stdout;
        assert!(
            document.contains("\"unexpected argument '--nope' found\""),
            "{document}"
        );
        assert!(ended("whop-sync --nope -- --format json").stdout.is_empty());
    }

    #[test]
    fn help_and_version_end_with_0_on_stdout() {
        let Early { stdout, stderr, exit } = ended("whop-sync --version");
        assert_eq!(stdout, format!("whop-sync {}\n", env!("CARGO_PKG_VERSION")));
        assert_eq!((stderr.as_str(), exit), ("", Exit::Done));
        let (short, long) = (ended("whop-sync plan -h"), ended("whop-sync plan --help"));
        assert_eq!((short.exit, long.exit), (Exit::Done, Exit::Done));
        assert!(short.stdout.len() < long.stdout.len());
        assert!(long.stdout.contains("Examples:\n  whop-sync plan"));
        let json = ended("whop-sync --version --format json").stdout;
        let document: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(document["kind"], "version");
    }

    #[test]
    fn what_was_typed_cannot_act_on_the_terminal() {
        let line = [
            OsString::from("whop-sync"),
            OsString::from("pl\u{1b}[2J\u{202e}an"),
        ];
        let stderr = parse(&line, &Facts::default()).unwrap_err().stderr;
        let quiet = stderr.chars().all(|c| c == '\n' || !escape::is_hostile(c));
        assert!(quiet && stderr.contains("\\u{202e}"), "{stderr}");
        for typed in [["--allow", "x\n::error::y"], ["--allow=x\n::error::y", "-v"]] {
            let line = ["whop-sync", "plan"].into_iter().chain(typed).map(OsString::from);
            let line: Vec<_> = line.collect();
            let stderr = parse(&line, &Facts::default()).unwrap_err().stderr;
            assert!(stderr.contains("x\\u{a}::error::y'"), "{stderr}");
        }
    }

    #[test]
    fn colour_in_help_follows_terminal_and_choice() {
        let facts = Facts {
            stdout_is_terminal: true,
            ..Facts::default()
        };
        let coloured = |line: &str| parse(&raw(line), &facts).unwrap_err().stdout.contains('\u{1b}');
        assert!(coloured("whop-sync --help"));
        assert!(!coloured("whop-sync --color never --help"));
    }
}
