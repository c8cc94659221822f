//! What fuzzing sees of the table reader.

use super::commands::init::csv::{self, Table};
use super::values::Server;

/// Reads a text as a table: what was read can be written in the plainest way,
/// every field in quotes, and reads the same.
///
/// # Panics
/// Where it does not.
pub(crate) fn table(text: &str) {
    let lines = text.matches('\n').count() + 1;
    let table = match csv::read(text) {
        Ok(table) => table,
        Err(line) => {
            assert!((1..=lines).contains(&line), "line {line} of {lines}");
            return;
        }
    };
    let mut before = 0;
    for (line, _) in &table.rows {
        assert!(
            before < *line && *line <= lines,
            "line {line} of {lines} after {before}"
        );
        before = *line;
    }
    let read = csv::read(&written(&table)).expect("quotes that we wrote are closed");
    let rows = |table: &Table| table.rows.iter().map(|(_, row)| row.clone()).collect::<Vec<_>>();
    assert_eq!(read.header, table.header);
    assert_eq!(rows(&read), rows(&table));
}

fn written(table: &Table) -> String {
    let rows = table.rows.iter().map(|(_, row)| row);
    std::iter::once(&table.header)
        .filter(|header| !header.is_empty())
        .chain(rows)
        .map(|row| {
            let quoted = row
                .iter()
                .map(|field| format!("\"{}\"", field.replace('"', "\"\"")));
            quoted.collect::<Vec<_>>().join(",") + "\n"
        })
        .collect()
}

/// Reads a text as `--server` does. Gives the API's base, which read again is
/// the same.
///
/// # Panics
/// Where it is not.
pub(crate) fn server(text: &str) -> Option<String> {
    let server = Server::parse(text).ok()?;
    assert_eq!(Server::parse(&server.to_string()).as_ref(), Ok(&server), "{text}");
    server.base().map(str::to_owned)
}
