//! The findings of `doctor`, for people: one line per check, and how to fix
//! what is wrong.

use std::io::{self, Write};

use serde::Serialize;

use super::change::clipped;
use super::messages::plural;
use super::style::{Palette, Tone};
use crate::core::assumption::{Finding, Outcome};

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Nothing to do.
    Ok,
    /// Not checked, because an earlier check failed.
    Skipped,
    /// Worth a look, but nothing fails.
    Warning,
    /// An apply would fail.
    Bad,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked: a stable word for machines.
    pub name: &'static str,
    /// The result.
    pub health: Health,
    /// What was found. May quote foreign text.
    pub found: String,
    /// How to fix it.
    pub mend: Option<String>,
}

/// All checks, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// The checks.
    pub checks: Vec<Check>,
    /// The assumptions about Whop and what probing them showed, if they were
    /// probed.
    pub probes: Option<Vec<Finding>>,
}

impl Diagnosis {
    /// Adds a check that needs no fix.
    pub fn add(&mut self, name: &'static str, health: Health, found: impl Into<String>) {
        self.checks.push(Check {
            name,
            health,
            found: found.into(),
            mend: None,
        });
    }

    /// Adds a check and how to fix it.
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

    /// How many checks had this result.
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
            Health::Warning => ('!', "warning", Tone::Change),
            Health::Bad => ('✗', "problem", Tone::Bad),
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
        (0, warnings) => plural(warnings, "warning"),
        (bad, 0) => plural(bad, "problem"),
        (bad, warnings) => format!("{}, {}", plural(bad, "problem"), plural(warnings, "warning")),
    };
    writeln!(out, "\n{}", palette.paint(Tone::Strong, sum))?;
    match &diagnosis.probes {
        None => Ok(()),
        Some(found) => probes(out, found, palette),
    }
}

/// Writes the assumptions: first those that could be checked, in the order of
/// the documentation page, then the others.
fn probes(out: &mut dyn Write, found: &[Finding], palette: Palette) -> io::Result<()> {
    writeln!(
        out,
        "\nAssumptions about Whop where its documentation is silent:\n"
    )?;
    let (untold, told): (Vec<&Finding>, Vec<&Finding>) = found
        .iter()
        .partition(|finding| finding.outcome == Outcome::CannotBeTold);
    for Finding { about, outcome, seen } in told.iter().chain(&untold) {
        let (sign, word, tone) = match outcome {
            Outcome::Holds => ('✓', "holds", Tone::Good),
            Outcome::Differs => ('!', "differs", Tone::Change),
            Outcome::CannotBeTold => ('-', "unknown", Tone::Faint),
        };
        let lead = palette.paint(tone, format!("{sign} {word:7}"));
        writeln!(out, "{lead}  {:20}  {}", about.name, clipped(seen))?;
        if *outcome == Outcome::Differs {
            writeln!(out, "{:33}assumed: {}", "", about.assumed)?;
        }
    }
    let count = |wanted| found.iter().filter(|finding| finding.outcome == wanted).count();
    let sum = format!(
        "{} of {} hold, {} differ, {} cannot be checked by reading",
        count(Outcome::Holds),
        plural(found.len(), "assumption"),
        count(Outcome::Differs),
        count(Outcome::CannotBeTold)
    );
    writeln!(out, "\n{}", palette.paint(Tone::Strong, sum))?;
    if count(Outcome::Differs) > 0 {
        writeln!(
            out,
            "Please report the differences: they could not be known before this check"
        )?;
    }
    Ok(())
}
