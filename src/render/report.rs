//! The result of `apply`, for people: the totals, then every user who needs
//! attention.

use std::io::{self, Write};

use super::escape::Safe;
use super::messages::{self, number, plural};
use super::style::{Palette, Tone};
use crate::core::plan::{Step, Verb};
use crate::core::report::{Failure, Outcome, Report};

/// How many users of each kind are listed; the rest are counted, and JSON lists
/// all.
const TOLD: usize = 50;

/// Writes the closing summary.
///
/// # Errors
/// The writer's own.
pub fn write(out: &mut dyn Write, report: &Report, palette: Palette) -> io::Result<()> {
    let Report {
        done,
        pictures,
        troubled,
        stopped,
        requests,
        elapsed,
    } = report;
    let sent: u64 = requests.values().sum();
    let said = sums(done, *pictures);
    let tone = if report.is_complete() {
        Tone::Good
    } else {
        Tone::Change
    };
    let headline = palette.paint(tone, format!("Applied: {said}"));
    let time = humantime::format_duration(rounded(*elapsed));
    writeln!(out, "{headline} ({} sent in {time})", requests_sent(sent))?;
    let failed = troubled.iter().filter_map(|(key, outcome)| match outcome {
        Outcome::Failed(failure) => Some((key, failure)),
        _ => None,
    });
    let in_doubt = troubled.iter().filter_map(|(key, outcome)| match outcome {
        Outcome::InDoubt(failure) => Some((key, failure)),
        _ => None,
    });
    let (failed, in_doubt): (Vec<_>, Vec<_>) = (failed.collect(), in_doubt.collect());
    let left: Vec<_> = troubled
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Left { .. }))
        .map(|(key, _)| key)
        .collect();
    told(out, "failed", "the failed step had no effect", &failed, palette)?;
    told(
        out,
        "in doubt",
        "the answer was lost; the next run checks before it sends anything again",
        &in_doubt,
        palette,
    )?;
    if !left.is_empty() {
        let keys: Vec<String> = left.iter().take(TOLD).map(|key| Safe(key).to_string()).collect();
        writeln!(out)?;
        let heading = format!("{} left for the next run", plural(left.len(), "user"));
        writeln!(
            out,
            "{}: {}{}",
            palette.paint(Tone::Hold, heading),
            keys.join(", "),
            more(left.len())
        )?;
    }
    if let Some(why) = stopped {
        writeln!(out)?;
        writeln!(
            out,
            "Stopped early: {}; requests in flight were finished and recorded",
            messages::stop(*why)
        )?;
    }
    if !report.is_complete() {
        writeln!(out)?;
        writeln!(
            out,
            "Run the same command again to resume; recorded work is not repeated"
        )?;
    }
    Ok(())
}

/// What was done, in one line.
pub(crate) fn sums(done: &std::collections::BTreeMap<Verb, usize>, pictures: usize) -> String {
    let mut parts: Vec<String> = done
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(verb, count)| format!("{} {}", number(*count), past(*verb)))
        .collect();
    if pictures > 0 {
        parts.push(format!("{} set", plural(pictures, "picture")));
    }
    if parts.is_empty() {
        return "nothing".to_owned();
    }
    parts.join(", ")
}

fn past(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "created",
        Verb::Adopt => "adopted",
        Verb::Update => "updated",
        Verb::Forget => "forgotten",
    }
}

/// What a step does, for a sentence about its failure.
pub(crate) fn step(step: Step) -> &'static str {
    match step {
        Step::CreateAccount => "creating the account",
        Step::RecordLink => "recording the link",
        Step::DropLink => "dropping the link",
        Step::UpdateAccount => "changing the account",
        Step::UploadPicture => "uploading the picture",
        Step::UpdateProfile => "changing the profile",
    }
}

/// Lists users with the same kind of failure.
fn told(
    out: &mut dyn Write,
    what: &str,
    meaning: &str,
    users: &[(&crate::core::value::UserKey, &Failure)],
    palette: Palette,
) -> io::Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let heading = format!("{} {what}", plural(users.len(), "user"));
    writeln!(out, "{} ({meaning})", palette.paint(Tone::Bad, heading))?;
    for (key, failure) in users.iter().take(TOLD) {
        let Failure {
            step: at,
            code,
            message,
            hint,
            status,
            request_id,
        } = failure;
        let key = palette.paint(Tone::Strong, Safe(key));
        write!(out, "  ! {key}: {}: {}", step(*at), Safe(message))?;
        let mut facts = vec![Safe(code).to_string()];
        facts.extend(status.map(|status| format!("status {status}")));
        facts.extend(request_id.as_ref().map(|id| format!("request {}", Safe(id))));
        writeln!(
            out,
            " {}",
            palette.paint(Tone::Faint, format!("({})", facts.join(", ")))
        )?;
        if let Some(hint) = hint {
            writeln!(out, "    {}", Safe(hint))?;
        }
    }
    if users.len() > TOLD {
        writeln!(out, " {}", more(users.len()))?;
    }
    Ok(())
}

/// How many users are not listed.
fn more(of: usize) -> String {
    match of.saturating_sub(TOLD) {
        0 => String::new(),
        more => format!(" and {} more; `--format json` lists all", number(more)),
    }
}

fn requests_sent(count: u64) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} request{s}", number(count))
}

/// Tenths of a second under a minute, whole seconds above.
fn rounded(elapsed: std::time::Duration) -> std::time::Duration {
    let grain = if elapsed.as_secs() < 60 { 100 } else { 1_000 };
    let whole = elapsed.as_millis() / grain * grain;
    std::time::Duration::from_millis(u64::try_from(whole).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::super::style::stripped;
    use super::*;
    use crate::core::report::Stop;
    use crate::core::sample;

    fn failure(message: &str) -> Failure {
        Failure {
            step: Step::UpdateProfile,
            code: "request.refused".into(),
            message: message.into(),
            hint: Some("shorten the name".into()),
            status: Some(422),
            request_id: Some("req_1".into()),
        }
    }

    fn done() -> Report {
        Report {
            done: BTreeMap::from([(Verb::Create, 1_200), (Verb::Update, 2), (Verb::Forget, 0)]),
            pictures: 1,
            requests: BTreeMap::from([("create_account", 1_200), ("update_user", 2)]),
            elapsed: Duration::from_millis(61_234),
            ..Report::default()
        }
    }

    fn text(report: &Report, palette: Palette) -> String {
        let mut out = Vec::new();
        write(&mut out, report, palette).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_run_without_trouble_is_one_line() {
        let expected = "Applied: 1,200 created, 2 updated, 1 picture set (1,202 requests sent in 1m 1s)\n";
        assert_eq!(text(&done(), Palette::Plain), expected);
        let idle = text(&Report::default(), Palette::Plain);
        assert_eq!(idle, "Applied: nothing (0 requests sent in 0s)\n");
    }

    #[test]
    fn failures_are_listed_by_user_with_advice() {
        let mut report = done();
        let lost = Failure {
            step: Step::CreateAccount,
            code: "network.failed".into(),
            hint: None,
            status: None,
            request_id: None,
            ..failure("the answer was lost")
        };
        let left = || Outcome::Left { why: Stop::Deadline };
        report.troubled = BTreeMap::from([
            (
                sample::key("u1"),
                Outcome::Failed(failure("the name is\u{1b}[2J\nrefused")),
            ),
            (sample::key("u2"), Outcome::InDoubt(lost)),
            (sample::key("u3\u{202e}"), left()),
            (sample::key("u4"), left()),
        ]);
        report.stopped = Some(Stop::Deadline);
        let expected = "\
Applied: 1,200 created, 2 updated, 1 picture set (1,202 requests sent in 1m 1s)

1 user failed (the failed step had no effect)
  ! u1: changing the profile: the name is\\u{1b}[2J\\u{a}refused (request.refused, status 422, request req_1)
    shorten the name

1 user in doubt (the answer was lost; the next run checks before it sends anything again)
  ! u2: creating the account: the answer was lost (network.failed)

2 users left for the next run: u3\\u{202e}, u4

Stopped early: the deadline was near; requests in flight were finished and recorded

Run the same command again to resume; recorded work is not repeated
";
        assert_eq!(text(&report, Palette::Plain), expected);
        let painted = text(&report, Palette::Colour);
        assert_ne!(painted, expected);
        assert_eq!(stripped(&painted), expected);
    }

    #[test]
    fn many_failures_are_counted() {
        let mut report = done();
        report.troubled = (0..60)
            .map(|n| (sample::key(&format!("u{n:02}")), Outcome::Failed(failure("no"))))
            .collect();
        let shown = text(&report, Palette::Plain);
        assert!(
            shown.contains("60 users failed") && shown.contains("  and 10 more;"),
            "{shown}"
        );
        assert_eq!(shown.matches("  ! u").count(), TOLD);
    }
}
