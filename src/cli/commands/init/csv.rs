//! Tables as spreadsheets write them (RFC 4180): commas, semicolons or tabs,
//! fields in quotes where they hold such. Text in, rows out.

/// A table: what stands above its columns, and its rows with the line each
/// begins on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<(usize, Vec<String>)>,
}

/// Reads a table. Rows without any content are passed over.
///
/// # Errors
/// The line where quotes begin that never end.
pub(crate) fn read(text: &str) -> Result<Table, usize> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let between = separator(text.lines().next().unwrap_or_default());
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut field = String::new();
    let (mut line, mut began, mut quoted) = (1, 1, None);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            line += 1;
        }
        match (c, quoted) {
            ('"', Some(_)) if chars.peek() == Some(&'"') => field.extend(chars.next()),
            ('"', Some(_)) => quoted = None,
            (c, Some(_)) => field.push(c),
            // Quotes within a field are part of it.
            ('"', None) if field.trim().is_empty() => {
                field.clear();
                quoted = Some(line);
            }
            ('\r', None) if chars.peek() == Some(&'\n') => {}
            ('\n', None) => {
                row.push(std::mem::take(&mut field));
                rows.push((began, std::mem::take(&mut row)));
                began = line;
            }
            (c, None) if c == between => row.push(std::mem::take(&mut field)),
            (c, None) => field.push(c),
        }
    }
    if let Some(line) = quoted {
        return Err(line);
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push((began, row));
    }
    for (_, row) in &mut rows {
        row.iter_mut().for_each(|field| *field = field.trim().to_owned());
    }
    rows.retain(|(_, row)| row.iter().any(|field| !field.is_empty()));
    let mut rows = rows.into_iter();
    let header = rows.next().map(|(_, header)| header).unwrap_or_default();
    Ok(Table {
        header,
        rows: rows.collect(),
    })
}

/// What stands between fields: the one of three that the first line has most
/// of outside of quotes.
fn separator(first: &str) -> char {
    let count = |c: char| {
        let mut quoted = false;
        let outside = first.chars().filter(|x| {
            quoted ^= *x == '"';
            !quoted && *x == c
        });
        outside.count()
    };
    let counts = [',', ';', '\t'].map(|c| (c, count(c)));
    let best = counts.into_iter().rev().max_by_key(|(_, count)| *count);
    best.map_or(',', |(c, _)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(usize, Vec<String>)> {
        read(text).unwrap().rows
    }

    #[test]
    fn tables_are_read_as_spreadsheets_write_them() {
        let table = read("\u{feff}id,Name\r\n1,\"Doe, \"\"J\"\"\"\r\n\r\n,\n2,\"two\nlines\"\n3,x").unwrap();
        assert_eq!(table.header, ["id", "Name"]);
        let expected = [
            (2, ["1", "Doe, \"J\""]),
            (5, ["2", "two\nlines"]),
            (7, ["3", "x"]),
        ];
        let expected = expected.map(|(line, row)| (line, row.map(str::to_owned).to_vec()));
        assert_eq!(table.rows, expected);
        assert_eq!(rows("a;b\n1;2\n")[0].1, ["1", "2"]);
        assert_eq!(rows("a\tb\n 1 \t2")[0].1, ["1", "2"]);
        assert_eq!(rows("\"a,b\";c\nx;y")[0].1, ["x", "y"]);
        assert_eq!(rows("a,b\n5\" pipe,x")[0].1, ["5\" pipe", "x"]);
        assert_eq!(read("a,b\n1,\"x\n2,y\n"), Err(2));
        assert_eq!(read(""), Ok(Table::default()));
    }
}
