//! The findings of `doctor`, for machines.

use std::io::{self, Write};

use serde::Serialize;

use super::document::{Each, write};
use crate::core::assumption::{Finding, Outcome};
use crate::render::doctor::{Check, Diagnosis, Health};

/// Writes the findings of `doctor`.
///
/// # Errors
/// The writer's own.
pub fn diagnosis(out: &mut dyn Write, diagnosis: &Diagnosis) -> io::Result<()> {
    let content = DiagnosisDoc {
        well: diagnosis.count(Health::Bad) == 0,
        wrong: diagnosis.count(Health::Bad),
        warnings: diagnosis.count(Health::Warning),
        checks: &diagnosis.checks,
        probes: diagnosis.probes.as_deref().map(|found| Each(found, probe_doc)),
    };
    write(out, "diagnosis", content)
}

#[derive(Serialize)]
struct DiagnosisDoc<'a, P> {
    well: bool,
    wrong: usize,
    warnings: usize,
    checks: &'a [Check],
    #[serde(skip_serializing_if = "Option::is_none")]
    probes: Option<P>,
}

#[derive(Serialize)]
struct ProbeDoc<'a> {
    name: &'static str,
    assumed: &'static str,
    outcome: Outcome,
    seen: &'a str,
}

fn probe_doc(finding: &Finding) -> ProbeDoc<'_> {
    ProbeDoc {
        name: finding.about.name,
        assumed: finding.about.assumed,
        outcome: finding.outcome,
        seen: &finding.seen,
    }
}
