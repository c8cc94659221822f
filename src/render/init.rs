//! What `init` made, for people.

use std::io::{self, Write};

use super::escape::Safe;
use super::messages::{number, plural};

/// How many rows that were left out are told one by one.
const TOLD: usize = 20;

/// What was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Files that were written.
    pub created: Vec<String>,
    /// Files that were there and are as they were.
    pub kept: Vec<String>,
    /// Lines that the `.gitignore` which is there lacks.
    pub ignore: Vec<&'static str>,
    /// Users taken from a table.
    pub users: usize,
    /// What of the table could not be used.
    pub left: Vec<RowLeft>,
    /// Columns of the table that are for nothing.
    pub unused: Vec<String>,
    /// Problems that the manifest made from the table still has.
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

/// Writes what was made.
///
/// # Errors
/// The writer's own.
pub fn write(out: &mut dyn Write, made: &Made) -> io::Result<()> {
    let Made {
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
        writeln!(out, "  {} is there already, and stays as it is", Safe(path))?;
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
            "  not used: the columns {}; `--column metadata.KEY=HEADER` takes one as metadata",
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
