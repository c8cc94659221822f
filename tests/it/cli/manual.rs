//! The manual and the README against the program. Outputs and lists that pages
//! repeat are compared; `UPDATE_GOLDEN=1 cargo test --test it cli::manual` writes
//! them anew. Look at the difference before it is committed.

mod reference;
mod topics;
mod tutorial;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use similar::TextDiff;

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Compares a page with what it should be, after `mask` on both sides.
#[track_caller]
fn kept(file: &str, actual: &str, mask: impl Fn(&str) -> String) {
    let (old, new) = (mask(&read(file)), mask(actual));
    if old == new {
        return;
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| !value.is_empty()) {
        fs::write(path(file), actual).unwrap();
        return;
    }
    let diff = TextDiff::from_lines(&old, &new);
    let shown = diff.unified_diff().header("page", "program").to_string();
    panic!("{file} differs; UPDATE_GOLDEN=1 rewrites it\n{shown}");
}

/// The part of a page below a heading, up to the next one of any level.
fn part<'a>(page: &'a str, heading: &str) -> &'a str {
    let mark = format!("\n{heading}\n");
    let at = page.find(&mark).unwrap_or_else(|| panic!("no {heading}"));
    let rest = &page[at + mark.len()..];
    let end = rest.find("\n#").unwrap_or(rest.len());
    &rest[..end]
}

/// The rows of the tables in a text, cell by cell, without their headings.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for line in text.lines() {
        if line.starts_with("| ---") {
            rows.pop();
        } else if let Some(row) = line.strip_prefix("| ") {
            let cells = row.trim_end_matches('|').split(" | ");
            rows.push(cells.map(|cell| cell.trim().to_owned()).collect());
        }
    }
    rows
}

/// The names in the first column, without their backquotes.
fn names(text: &str) -> BTreeSet<String> {
    let first = rows(text)
        .into_iter()
        .map(|row| row[0].trim_matches('`').to_owned());
    first.collect()
}
