//! The only way for foreign text to enter Markdown, and the only place that
//! counts the document's bytes.
//!
//! Every foreign text becomes a code span. Inside one, neither Markdown nor
//! HTML is interpreted, and GitHub and GitLab recognise no mention, reference,
//! link or formula. Whatever could end the span or the table cell, and
//! invisible and bidirectional characters, are shown by number.

use std::fmt::Write as _;

use super::super::escape::Watch;
use super::super::mask;
use super::super::messages::{number, plural, plural_of};

/// The most bytes of a document, however large the plan. GitHub accepts 65,536
/// characters in a comment; the difference is left to whoever posts it.
pub const LIMIT: usize = 65_000;

/// Room reserved for saying what was left out.
const RESERVE: usize = 1_500;

/// Longest foreign text shown in full, in characters.
const LONGEST: usize = 160;

/// Sections with more rows than this are folded.
const UNFOLDED: usize = 10;

/// Foreign text as a code span, cut if it is long. Different texts that fit
/// never look alike.
pub(in crate::render) fn code(text: &str) -> String {
    span(text, "", |_| false)
}

/// The same in quotes, for values: makes surrounding blanks and empty values
/// visible.
pub(super) fn value(text: &str) -> String {
    span(text, "\"", |c| c == '"')
}

/// A sentence of ours that quotes foreign text in backticks. Our backticks
/// cannot be distinguished from foreign ones, so the whole sentence is one
/// span. Addresses are masked, because a comment has a wide audience.
pub(super) fn sentence(text: &str) -> String {
    code(&mask::addresses(text).replace('`', "'"))
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
            // A literal backslash must not look like an escape.
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

/// The hidden line by which a pipeline finds its own comment: one per
/// environment. Nothing in it can end the HTML comment. `kind` is ours.
pub(super) fn marker(kind: &str, server: &str, company: &str) -> String {
    let mut out = format!("<!-- {kind}:");
    for (at, part) in [server, company].into_iter().enumerate() {
        if at > 0 {
            out.push(':');
        }
        let mut last = '-';
        for c in part.chars() {
            // Two hyphens end a comment, or nearly do.
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

/// One table of the document. Its rows are rendered while they fit.
pub(super) struct Section<'a> {
    /// Its title, and the name of its rows when some are left out.
    pub(super) title: &'static str,
    /// The names of its columns.
    pub(super) columns: &'static [&'static str],
    /// How many rows there are.
    pub(super) total: usize,
    /// Whether it is never folded, because it needs attention.
    pub(super) open: bool,
    /// Whether a review needs every row.
    pub(super) needed: bool,
    /// Renders the rows, without newlines.
    pub(super) rows: Box<dyn Fn() -> Rows<'a> + 'a>,
}

/// The rows of a section.
pub(super) type Rows<'a> = Box<dyn Iterator<Item = Row> + 'a>;

/// A row, and its short form for when there is not room for all.
pub(super) struct Row {
    /// The full row.
    pub(super) full: String,
    /// Only id and name; `None` if nothing may be left out.
    pub(super) short: Option<String>,
}

impl From<String> for Row {
    fn from(full: String) -> Self {
        Self { full, short: None }
    }
}

/// Formats a table row.
pub(super) fn row(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

/// A document, and how much of what a review needs is in it.
pub(super) struct Document {
    /// The document.
    pub(super) text: String,
    /// How many rows a review needs.
    pub(super) needed: usize,
    /// How many of those are in it, if only by id and name.
    pub(super) shown: usize,
}

/// Assembles a document. Room for every row that a review needs, by id and
/// name, is reserved first; then as many rows as fit are shown in full, the
/// first sections first. The document starts by saying exactly what was
/// shortened or left out, and that it is too large to review if needed rows are
/// missing.
pub(super) fn document(marker: &str, head: &str, sections: Vec<Section<'_>>, tail: &str) -> Document {
    let room = LIMIT.saturating_sub(marker.len() + head.len() + tail.len() + RESERVE);
    let kept = reserve(&sections, room);
    let mut spare = kept.unwrap_or(room);
    let (mut body, mut left_out, mut shortened) = (String::new(), Vec::new(), 0);
    let (mut needed, mut shown) = (0, 0);
    for section in &sections {
        let filled = fill(&mut body, &mut spare, section, kept.is_some());
        let Section { title, total, .. } = *section;
        if filled.shown < total {
            left_out.push(format!(
                "{} of {} {title}",
                number(total - filled.shown),
                number(total)
            ));
        }
        shortened += filled.shortened;
        if section.needed {
            (needed, shown) = (needed + total, shown + filled.shown);
        }
    }
    let mut text = marker.to_owned();
    if shown < needed {
        let users = plural_of(needed - shown, "user is", "users are");
        text.push_str(&format!(
            "> **This plan is too large to review here:** {users} not shown. Review the JSON report, which has all of them, or the HTML report.\n\n"
        ));
    }
    text.push_str(head);
    if !left_out.is_empty() {
        text.push_str("**Left out, to fit into a comment:** ");
        text.push_str(&left_out.join("; "));
        text.push_str(". The JSON report lists all.\n\n");
    }
    if shortened > 0 {
        let users = plural(shortened, "user");
        text.push_str(&format!(
            "**Shortened, to fit into a comment:** {users}, shown by id and name. The HTML and JSON reports have the rest.\n\n"
        ));
    }
    text.push_str(&body);
    text.push_str(tail);
    Document { text, needed, shown }
}

/// The room left once every row that a review needs is included in its shortest
/// form; `None` if there is not enough.
fn reserve(sections: &[Section<'_>], room: usize) -> Option<usize> {
    let mut left = room;
    for section in sections
        .iter()
        .filter(|section| section.needed && section.total > 0)
    {
        left = left.checked_sub(Frame::of(section).len())?;
        for Row { full, short } in (section.rows)() {
            left = left.checked_sub(short.unwrap_or(full).len() + 1)?;
        }
    }
    Some(left)
}

/// What surrounds the rows of a section.
struct Frame {
    before: String,
    after: &'static str,
}

impl Frame {
    fn of(section: &Section<'_>) -> Self {
        let Section {
            title,
            columns,
            total,
            open,
            needed: _,
            rows: _,
        } = section;
        let count = number(*total);
        let (mut before, after) = if *open {
            (format!("#### {count} {title}\n\n"), "\n")
        } else {
            let open = if *total > UNFOLDED { "" } else { " open" };
            // The blank line ends the HTML, so that Markdown resumes.
            let summary = format!("<details{open}><summary><b>{count} {title}</b></summary>\n\n");
            (summary, "\n</details>\n\n")
        };
        let rule = " --- |".repeat(columns.len());
        before.push_str(&format!("| {} |\n|{rule}\n", columns.join(" | ")));
        Self { before, after }
    }

    fn len(&self) -> usize {
        self.before.len() + self.after.len()
    }
}

/// How many rows of a section were written, and how many of them are short.
struct Filled {
    shown: usize,
    shortened: usize,
}

/// Writes as much of a section as there is room for. `kept` says that room is
/// reserved for the short form of each row that a review needs.
fn fill(body: &mut String, spare: &mut usize, section: &Section<'_>, kept: bool) -> Filled {
    let frame = Frame::of(section);
    let mut filled = Filled {
        shown: 0,
        shortened: 0,
    };
    for Row { full, short } in (section.rows)() {
        let short = short.filter(|_| section.needed);
        let paid = match (&short, section.needed && kept) {
            (_, false) => 0,
            (Some(short), true) => short.len(),
            (None, true) => full.len(),
        };
        let frame_cost = if filled.shown == 0 { frame.len() } else { 0 };
        let around = if section.needed && kept { 0 } else { 1 + frame_cost };
        let cost = |text: &str| (text.len() + around).saturating_sub(paid);
        let fits = kept && cost(&full) <= *spare;
        let row = match short {
            Some(short) if !fits => {
                filled.shortened += 1;
                short
            }
            _ => full,
        };
        let Some(less) = spare.checked_sub(cost(&row)) else {
            break;
        };
        *spare = less;
        if filled.shown == 0 {
            body.push_str(&frame.before);
        }
        body.push_str(&row);
        body.push('\n');
        filled.shown += 1;
    }
    if filled.shown > 0 {
        body.push_str(frame.after);
    }
    filled
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
            needed: false,
            rows: Box::new(move || Box::new((0..total).map(|_| row(&["x".repeat(30_000)]).into()))),
        };
        let text = document("", "head\n\n", vec![section(1), section(5)], "tail\n").text;
        assert!(text.len() <= LIMIT);
        assert!(text.contains("4 of 5 to create."), "{}", &text[..200]);
        let none = document("", "", vec![section(0)], "");
        assert_eq!(none.text, "");
    }

    #[test]
    fn rows_that_a_review_needs_are_shortened_before_any_is_left_out() {
        let section = |title, total, size: usize, short: bool| Section {
            title,
            columns: &["user"],
            total,
            open: false,
            needed: true,
            rows: Box::new(move || {
                Box::new((0..total).map(move |_| Row {
                    full: row(&["f".repeat(size)]),
                    short: short.then(|| row(&["s".to_owned()])),
                }))
            }),
        };
        let told = |sections| {
            let Document { text, needed, shown } = document("marker\n", "head\n\n", sections, "tail\n");
            assert!(
                text.len() <= LIMIT && text.starts_with("marker\n"),
                "{}",
                text.len()
            );
            (text, needed - shown)
        };
        // Rows that may not be shortened come last and are still included.
        let (text, missing) = told(vec![
            section("plain", 50, 5_000, true),
            section("grave", 3, 9_000, false),
        ]);
        assert_eq!((missing, text.matches("| fff").count()), (0, 3 + 7));
        assert!(text.contains("**Shortened, to fit into a comment:** 43 users, shown by id and name."));
        assert!(!text.contains("Left out") && !text.contains("too large"));

        let (text, missing) = told(vec![
            section("grave", 9, 9_000, false),
            section("plain", 50, 5_000, true),
        ]);
        assert_eq!(missing, 4);
        let notice =
            "marker\n> **This plan is too large to review here:** 4 users are not shown. Review the JSON";
        assert!(text.starts_with(notice), "{}", &text[..300]);
        assert!(text.contains("2 of 9 grave; 2 of 50 plain."), "{}", &text[..600]);
    }

    proptest! {
        /// In a table cell, each text is one code span and nothing else.
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
                    // Ours, next to a text that is empty or cut.
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
