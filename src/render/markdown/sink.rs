//! The only way foreign text enters Markdown, and the only place that counts
//! the document's bytes.
//!
//! Every foreign text becomes a code span. Inside one, neither Markdown nor
//! HTML is read, and GitHub and GitLab look for no mention, no reference, no
//! link and no formula. What could end the span or the table's cell, and
//! whatever is invisible or turns a line around, is shown by number.

use std::fmt::Write as _;

use super::super::safe::Watch;
use super::super::words::{number, plural};

/// The most bytes a document has, however large the plan. GitHub takes 65,536
/// characters in a comment, and the rest is left to whoever posts it.
pub const LIMIT: usize = 65_000;

/// Kept free for saying what was left out.
const RESERVE: usize = 1_500;

/// Longest foreign text shown whole, in characters.
const LONGEST: usize = 160;

/// Sections of more rows than this are folded.
const UNFOLDED: usize = 10;

/// Foreign text as a code span, cut if it is long. Different texts that fit
/// never look the same.
pub(in crate::render) fn code(text: &str) -> String {
    span(text, "", |_| false)
}

/// The same in quotes, for values: blanks at their ends are seen, and so is
/// an empty one.
pub(super) fn value(text: &str) -> String {
    span(text, "\"", |c| c == '"')
}

/// A sentence of ours that quotes foreign text in backticks. Which of them are
/// ours cannot be told, so the whole of it is one span.
pub(super) fn sentence(text: &str) -> String {
    code(&text.replace('`', "'"))
}

/// The one function that all foreign text goes through.
fn span(text: &str, mark: &str, escaped: impl Fn(char) -> bool) -> String {
    if text.is_empty() && mark.is_empty() {
        return "(empty)".to_owned();
    }
    let mut out = format!("`{mark}");
    let mut rest = text.chars();
    let mut watch = Watch::within();
    for c in rest.by_ref().take(LONGEST) {
        let hidden = watch.hides(c);
        match c {
            // Ends the span; ends the cell.
            '`' | '|' => out.extend(c.escape_unicode()),
            c if hidden => out.extend(c.escape_unicode()),
            // What stands for itself must not look like an escape.
            '\\' => out.push_str("\\\\"),
            c if escaped(c) => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push_str(mark);
    out.push('`');
    match rest.count() {
        0 => {}
        // Writing to a String cannot fail.
        more => drop(write!(out, "… and {}", plural(more, "character"))),
    }
    out
}

/// The hidden line by which a pipeline finds its own comment again: one for
/// each environment. Nothing in it can end the HTML comment. `kind` is ours.
pub(super) fn marker(kind: &str, server: &str, company: &str) -> String {
    let mut out = format!("<!-- {kind}:");
    for (at, part) in [server, company].into_iter().enumerate() {
        if at > 0 {
            out.push(':');
        }
        let mut last = '-';
        for c in part.chars() {
            // Two hyphens end a comment, or come close to it.
            let plain = c.is_ascii_alphanumeric() || "._:/[]".contains(c) || (c == '-' && last != '-');
            match plain {
                true => out.push(c),
                false => drop(write!(out, "%{:X}", u32::from(c))),
            }
            last = c;
        }
    }
    out.push_str(" -->");
    out
}

/// One table of the document. Its rows are made as long as they fit.
pub(super) struct Section<'a> {
    /// Its title, and how its rows are called when some are left out.
    pub(super) title: &'static str,
    /// The names of its columns.
    pub(super) columns: &'static [&'static str],
    /// How many rows there are.
    pub(super) total: usize,
    /// Whether it is never folded: what stands in the way must be seen.
    pub(super) open: bool,
    /// The rows, without line ends.
    pub(super) rows: Box<dyn Iterator<Item = String> + 'a>,
}

/// A row of a table.
pub(super) fn row(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

/// Puts a document together: as many rows as fit, the first sections first,
/// and before them exactly what was left out.
pub(super) fn document(head: &str, sections: Vec<Section<'_>>, tail: &str) -> String {
    let mut room = LIMIT.saturating_sub(head.len() + tail.len() + RESERVE);
    let (mut body, mut left_out) = (String::new(), Vec::new());
    for section in sections {
        let (title, total) = (section.title, section.total);
        let shown = fill(&mut body, &mut room, section);
        if shown < total {
            left_out.push(format!("{} of {} {title}", number(total - shown), number(total)));
        }
    }
    let mut out = head.to_owned();
    if !left_out.is_empty() {
        out.push_str("**Left out, to fit into a comment:** ");
        out.push_str(&left_out.join("; "));
        out.push_str(". The JSON report lists all.\n\n");
    }
    out + &body + tail
}

/// Writes one section as far as there is room. Says how many rows it took.
fn fill(body: &mut String, room: &mut usize, section: Section<'_>) -> usize {
    let Section {
        title,
        columns,
        total,
        open,
        rows,
    } = section;
    let count = number(total);
    let (before, after) = if open {
        (format!("#### {count} {title}\n\n"), "\n")
    } else {
        let open = if total > UNFOLDED { "" } else { " open" };
        // The blank line ends HTML: what follows is Markdown again.
        let summary = format!("<details{open}><summary><b>{count} {title}</b></summary>\n\n");
        (summary, "\n</details>\n\n")
    };
    let table = format!(
        "| {} |\n|{}\n",
        columns.join(" | "),
        " --- |".repeat(columns.len())
    );
    let frame = before.len() + table.len() + after.len();
    let mut shown = 0;
    for row in rows {
        let needs = row.len() + 1 + if shown == 0 { frame } else { 0 };
        let Some(less) = room.checked_sub(needs) else {
            break;
        };
        *room = less;
        if shown == 0 {
            body.push_str(&before);
            body.push_str(&table);
        }
        body.push_str(&row);
        body.push('\n');
        shown += 1;
    }
    if shown > 0 {
        body.push_str(after);
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

    use super::super::super::hostile::{acting, anything};
    use super::*;

    #[test]
    fn foreign_text_cannot_leave_its_span() {
        for (text, shown) in [
            ("a`b", r"`a\u{60}b`"),
            ("a|b", r"`a\u{7c}b`"),
            (r"a\u{60}b", r"`a\\u{60}b`"),
            ("\u{202e}a\nb", r"`\u{202e}a\u{a}b`"),
            ("@all <b> [x](y)", "`@all <b> [x](y)`"),
            ("", "(empty)"),
        ] {
            assert_eq!(code(text), shown);
        }
        assert_eq!(value("a\" "), r#"`"a\" "`"#);
        assert_eq!(value(""), r#"`""`"#);
        assert_eq!(sentence("say `x`"), "`say 'x'`");
        let long = "x".repeat(LONGEST + 2);
        assert!(code(&long).ends_with("x`… and 2 characters"));
    }

    #[test]
    fn nothing_ends_the_marker() {
        assert_eq!(
            marker("whop-sync", "sandbox", "biz_1"),
            "<!-- whop-sync:sandbox:biz_1 -->"
        );
        let hostile = marker("whop-sync", "--> <script>\n--!>", "biz_1");
        let inner = hostile.trim_start_matches("<!--").trim_end_matches("-->");
        assert!(!inner.contains("--") && !inner.contains('>'), "{hostile}");
        assert_ne!(
            marker("whop-sync", "https://a.test:1/api", "b"),
            marker("whop-sync", "https://a.test:2/api", "b")
        );
    }

    #[test]
    fn a_section_without_room_is_left_out_and_counted() {
        let section = |total| Section {
            title: "to create",
            columns: &["user"],
            total,
            open: false,
            rows: Box::new((0..total).map(|_| row(&["x".repeat(30_000)]))),
        };
        let text = document("head\n\n", vec![section(1), section(5)], "tail\n");
        assert!(text.len() <= LIMIT);
        assert!(text.contains("4 of 5 to create."), "{}", &text[..200]);
        let none = document("", vec![section(0)], "");
        assert_eq!(none, "");
    }

    proptest! {
        /// In a table's cell, each text is one code span and nothing else.
        #[test]
        fn a_text_is_one_code_span(one in anything(), other in anything(), said in anything()) {
            let spans = [code(&one), value(&other), sentence(&said)];
            let table = format!("| a | b | c |\n| - | - | - |\n{}\n", row(&spans));
            let body = Parser::new_ext(&table, Options::all()).skip_while(|event| {
                !matches!(event, Event::End(TagEnd::TableHead))
            });
            let mut cells = 0;
            for event in body.skip(1) {
                match event {
                    Event::Start(Tag::TableCell) => cells += 1,
                    Event::Start(Tag::TableRow) | Event::End(_) | Event::Code(_) => {}
                    // Ours, around a text that is empty or cut.
                    Event::Text(text) => prop_assert!(
                        text.as_ref() == "(empty)" || text.starts_with("… and "), "{:?} in {}", text, table
                    ),
                    other => prop_assert!(false, "{:?} in {}", other, table),
                }
            }
            prop_assert_eq!(cells, 3, "{}", table);
            for span in spans {
                prop_assert_eq!(acting(&span), None);
            }
        }
    }
}
