//! The result of `init`, for people.

use std::io::{self, Write};

use super::escape::Safe;
use super::messages::{number, plural};

/// How many unused rows are listed; the rest are counted.
const TOLD: usize = 20;

/// The result of `init`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitSummary {
    /// Files that were written.
    pub created: Vec<String>,
    /// Files that already existed and were not touched.
    pub kept: Vec<String>,
    /// Lines that an existing `.gitignore` lacks.
    pub ignore: Vec<&'static str>,
    /// Users taken from a table.
    pub users: usize,
    /// Rows of the table that could not be used.
    pub left: Vec<RowLeft>,
    /// Columns of the table that were not used.
    pub unused: Vec<String>,
    /// How many problems the generated manifest has.
    pub problems: usize,
}

/// A row, or a part of it, that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowLeft {
    /// Its line in the table, from 1.
    pub line: usize,
    /// Why.
    pub why: String,
}

/// Writes the result.
///
/// # Errors
/// The writer's own.
pub fn write(out: &mut dyn Write, made: &InitSummary) -> io::Result<()> {
    let InitSummary {
        created,
        kept,
        ignore,
        users,
        left,
        unused,
        problems,
    } = made;
    for path in created {
        writeln!(out, "+ {}", Safe(path))?;
    }
    for path in kept {
        writeln!(out, "  {} exists and is left unchanged", Safe(path))?;
    }
    if !ignore.is_empty() {
        writeln!(out, "Add to .gitignore: {}", ignore.join("  "))?;
    }
    if *users > 0 || !left.is_empty() {
        writeln!(out, "{} from the table", plural(*users, "user"))?;
    }
    for RowLeft { line, why } in left.iter().take(TOLD) {
        writeln!(out, "  not used: line {line}: {}", Safe(why))?;
    }
    if left.len() > TOLD {
        writeln!(out, "  and {} more", number(left.len() - TOLD))?;
    }
    if !unused.is_empty() {
        let names: Vec<String> = unused.iter().map(|name| format!("`{}`", Safe(name))).collect();
        writeln!(
            out,
            "  not used: columns {}; `--column metadata.KEY=HEADER` takes one as metadata",
            names.join(", ")
        )?;
    }
    match problems {
        0 => writeln!(out, "\nNext: whop-sync plan --server emulator"),
        count => writeln!(
            out,
            "\nThe manifest still has {}. Next: whop-sync validate",
            plural(*count, "problem")
        ),
    }
}
