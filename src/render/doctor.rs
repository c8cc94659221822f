//! What `doctor` found, for people: one line a check, and how to mend what is
//! wrong.

use std::io::{self, Write};

use serde::Serialize;

use super::change::clipped;
use super::messages::plural;
use super::style::{Palette, Tone};
use crate::core::assumption::{Finding, Outcome};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Nothing to do.
    Ok,
    /// It was not looked at, since something before it is wrong.
    Skipped,
    /// Worth looking at; nothing stops.
    Warning,
    /// An apply would fail.
    Bad,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at: a stable word for machines.
    pub name: &'static str,
    /// How it came out.
    pub health: Health,
    /// What was found. May quote foreign text.
    pub found: String,
    /// What to do about it.
    pub mend: Option<String>,
}

/// All checks, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// The checks.
    pub checks: Vec<Check>,
    /// What became of the assumptions about Whop, where they were probed.
    pub probes: Option<Vec<Finding>>,
}

impl Diagnosis {
    /// Adds a check without anything to mend.
    pub fn add(&mut self, name: &'static str, health: Health, found: impl Into<String>) {
        self.checks.push(Check {
            name,
            health,
            found: found.into(),
            mend: None,
        });
    }

    /// Adds a check and how to mend it.
    pub fn mend(
        &mut self,
        name: &'static str,
        health: Health,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.add(name, health, found);
        if let Some(check) = self.checks.last_mut() {
            check.mend = Some(mend.into());
        }
    }

    /// How many checks came out so.
    pub fn count(&self, health: Health) -> usize {
        self.checks.iter().filter(|check| check.health == health).count()
    }
}

/// Writes the diagnosis.
///
/// # Errors
/// The writer's own.
pub fn write(out: &mut dyn Write, diagnosis: &Diagnosis, palette: Palette) -> io::Result<()> {
    for Check {
        name,
        health,
        found,
        mend,
    } in &diagnosis.checks
    {
        let (sign, word, tone) = match health {
            Health::Ok => ('✓', "ok", Tone::Good),
            Health::Skipped => ('-', "skipped", Tone::Faint),
            Health::Warning => ('!', "look", Tone::Change),
            Health::Bad => ('✗', "wrong", Tone::Bad),
        };
        let lead = palette.paint(tone, format!("{sign} {word:7}"));
        writeln!(out, "{lead}  {name:11}  {}", clipped(found))?;
        if let Some(mend) = mend {
            writeln!(out, "{:22}  fix: {}", "", clipped(mend))?;
        }
    }
    let (bad, warnings) = (diagnosis.count(Health::Bad), diagnosis.count(Health::Warning));
    let sum = match (bad, warnings) {
        (0, 0) => "All is well".to_owned(),
        (0, warnings) => format!("{} to look at", plural(warnings, "thing")),
        (bad, 0) => format!("{} wrong", plural(bad, "thing")),
        (bad, warnings) => format!(
            "{} wrong, {} to look at",
            plural(bad, "thing"),
            plural(warnings, "thing")
        ),
    };
    writeln!(out, "\n{}", palette.paint(Tone::Strong, sum))?;
    match &diagnosis.probes {
        None => Ok(()),
        Some(found) => probes(out, found, palette),
    }
}

/// Writes what became of the assumptions: what was told first, in the order of
/// the page, then what cannot be.
fn probes(out: &mut dyn Write, found: &[Finding], palette: Palette) -> io::Result<()> {
    writeln!(
        out,
        "\nWhat is assumed of Whop where its documentation is silent:\n"
    )?;
    let (untold, told): (Vec<&Finding>, Vec<&Finding>) = found
        .iter()
        .partition(|finding| finding.outcome == Outcome::CannotBeTold);
    for Finding { about, outcome, seen } in told.iter().chain(&untold) {
        let (sign, word, tone) = match outcome {
            Outcome::Holds => ('✓', "holds", Tone::Good),
            Outcome::Differs => ('!', "differs", Tone::Change),
            Outcome::CannotBeTold => ('-', "untold", Tone::Faint),
        };
        let lead = palette.paint(tone, format!("{sign} {word:7}"));
        writeln!(out, "{lead}  {:20}  {}", about.name, clipped(seen))?;
        if *outcome == Outcome::Differs {
            writeln!(out, "{:33}assumed: {}", "", about.assumed)?;
        }
    }
    let count = |wanted| found.iter().filter(|finding| finding.outcome == wanted).count();
    let sum = format!(
        "{} of {} hold, {} differ, {} cannot be told by reading here",
        count(Outcome::Holds),
        plural(found.len(), "assumption"),
        count(Outcome::Differs),
        count(Outcome::CannotBeTold)
    );
    writeln!(out, "\n{}", palette.paint(Tone::Strong, sum))?;
    if count(Outcome::Differs) > 0 {
        writeln!(out, "Please report what differs: it could not be known before")?;
    }
    Ok(())
}
