//! Manifest problems in the style of rustc: the line, the marked part of it,
//! and what to do.

use std::fmt::Write as _;

use annotate_snippets::renderer::{DEFAULT_TERM_WIDTH, Renderer};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Snippet};

use super::escape::{self, Watch};
use super::messages::plural;
use super::style::Palette;
use crate::core::problem::{Place, Pointer, Problem, Related, Severity};

/// How many problems are shown; the rest are counted. Errors come first, so
/// that warnings never hide one.
pub const SHOWN: usize = 50;

/// Longest line shown in full, in characters; of a longer one, the part around
/// the problem is shown.
const LONGEST_LINE: usize = 160;

/// How much of a longer line is shown before the problem, in characters.
const BEFORE: usize = 60;

/// Longest message or hint, in characters, since they may quote the manifest.
const LONGEST_TEXT: usize = 600;

/// What the renderer puts before a hint, with four-digit line numbers.
const BEFORE_HELP: usize = "     = help: ".len();

/// How to show problems.
#[derive(Clone, Copy, Debug, Default)]
pub struct DisplayOptions {
    /// Whether to use colours.
    pub palette: Palette,
    /// The terminal's width in columns, if it is a terminal.
    pub width: Option<usize>,
}

/// All problems as text: errors before warnings, each by file and line. After
/// the first [`SHOWN`] only their number, and finally the totals. Empty if
/// there are no problems.
pub fn render(problems: &[Problem], look: DisplayOptions) -> String {
    let mut sorted: Vec<&Problem> = problems.iter().collect();
    sorted.sort_by_key(|problem| order(problem));
    let renderer = match look.palette {
        Palette::Plain => Renderer::plain(),
        Palette::Colour => Renderer::styled(),
    };
    let renderer = renderer.term_width(look.width.unwrap_or(DEFAULT_TERM_WIDTH));
    let mut out = String::new();
    for problem in sorted.iter().take(SHOWN) {
        out.push_str(&one(problem, &renderer, look.width));
        out.push_str("\n\n");
    }
    let (counts, more): (Vec<&Problem>, Vec<&Problem>) = sorted
        .into_iter()
        .skip(SHOWN)
        .partition(|problem| problem.counts_others());
    if !more.is_empty() {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "… and {}; `--format json` lists all\n",
            plural(more.len(), "more problem")
        );
    }
    for count in counts {
        let _ = writeln!(out, "{}, not listed\n", text(&count.message));
    }
    if let Some(sums) = sums(problems) {
        let _ = writeln!(out, "{sums}");
    }
    out
}

/// The number of errors and warnings; `None` if there are none.
fn sums(problems: &[Problem]) -> Option<String> {
    let of = |severity, noun| {
        let (count, more) = Problem::count(problems.iter().filter(|problem| problem.severity == severity));
        let least = if more { "more than " } else { "" };
        (count > 0).then(|| format!("{least}{}", plural(count, noun)))
    };
    let sums = [of(Severity::Error, "error"), of(Severity::Warning, "warning")];
    let sums: Vec<String> = sums.into_iter().flatten().collect();
    (!sums.is_empty()).then(|| sums.join(", "))
}

/// The sort order of problems: by severity, then by place in the text. Those
/// without a place follow, by their position in the manifest's structure.
fn order(problem: &Problem) -> impl Ord {
    let place = problem.place.as_ref();
    let spot = place.map(|p| (p.file.as_str(), p.line, p.column));
    let Problem {
        severity, code, at, ..
    } = problem;
    (*severity, at.part, place.is_none(), spot, at, code)
}

fn one(problem: &Problem, renderer: &Renderer, width: Option<usize>) -> String {
    let Problem {
        severity,
        code,
        message,
        hint,
        at,
        place,
        related,
    } = problem;
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level
        .primary_title(wrapped(
            text(message),
            width,
            code.name().len() + "warning[]: ".len(),
        ))
        .id(code.name())
        .elements(None::<Origin<'_>>);
    let mut moved = Vec::new();
    group = match place {
        Some(place) => snippet(group, place, AnnotationKind::Primary, None, &mut moved),
        None => group.element(Origin::path(value_name(at))),
    };
    for Related { at, place, note } in related {
        let note = text(note);
        group = match place {
            Some(place) => snippet(group, place, AnnotationKind::Context, Some(note), &mut moved),
            None => group.element(Level::NOTE.message(format!("{}: {note}", value_name(at)))),
        };
    }
    if let Some(hint) = hint {
        group = group.element(Level::HELP.message(wrapped(text(hint), width, BEFORE_HELP)));
    }
    put_right(renderer.render(&[group]), &moved)
}

/// A position as the renderer computes it from the line shown, and the real
/// one. They differ because the line may be cut, and because escapes are longer
/// than the characters they replace. The renderer cannot be given a position.
type ShiftedPosition = (String, String);

/// Corrects the positions, which follow the title in this order.
fn put_right(rendered: String, moved: &[ShiftedPosition]) -> String {
    let mut done = String::new();
    let mut rest = rendered.as_str();
    if let Some(title_end) = rest.find('\n').filter(|_| !moved.is_empty()) {
        done.push_str(&rest[..title_end]);
        rest = &rest[title_end..];
    }
    for (shown, real) in moved {
        if let Some((before, after)) = rest.split_once(shown.as_str()) {
            done.push_str(before);
            done.push_str(real);
            rest = after;
        }
    }
    done + rest
}

/// Adds a place: its file and position, its line, and the marked part.
fn snippet<'a>(
    group: Group<'a>,
    place: &'a Place,
    kind: AnnotationKind,
    label: Option<String>,
    moved: &mut Vec<ShiftedPosition>,
) -> Group<'a> {
    let Place {
        file,
        line,
        column,
        length,
        text,
    } = place;
    let file = escape::terminal(file);
    let shown = excerpt(text, *column as usize, *length as usize);
    let computed = shown.line[..shown.from].chars().count() + 1;
    if computed != *column as usize {
        moved.push((
            format!("{file}:{line}:{computed}"),
            format!("{file}:{line}:{column}"),
        ));
    }
    let annotation = kind.span(shown.from..shown.to);
    let annotation = match label {
        Some(label) => annotation.label(label),
        None => annotation,
    };
    let source = Snippet::source(shown.line).line_start(*line as usize);
    group.element(source.path(file).annotation(annotation))
}

/// A line prepared for showing, and the marked bytes of it.
struct Excerpt {
    line: String,
    from: usize,
    to: usize,
}

/// Escapes a line, cuts it to the part around `column` (from 1) if it is long,
/// and locates the `length` marked characters in the result.
fn excerpt(text: &str, column: usize, length: usize) -> Excerpt {
    let start = column.saturating_sub(1);
    let whole = text.char_indices().nth(LONGEST_LINE).is_none();
    let skip = if whole { 0 } else { start.saturating_sub(BEFORE) };
    let mut line = String::from(if skip > 0 { "…" } else { "" });
    let (mut from, mut to) = (None, None);
    let mut seen = skip;
    let mut watch = Watch::within();
    for c in text.chars().skip(skip).take(LONGEST_LINE) {
        if seen == start {
            from = Some(line.len());
        }
        // Tabs are left to the renderer, which widens them to align the marks.
        if watch.hides(c) && c != '\t' {
            line.extend(c.escape_unicode());
        } else {
            line.push(c);
        }
        seen += 1;
        if seen <= start.saturating_add(length.max(1)) {
            to = Some(line.len());
        }
    }
    let end = line.len();
    if !whole && text.chars().nth(seen).is_some() {
        line.push('…');
    }
    // A place beyond the end of the line, such as where a value is missing.
    let from = from.unwrap_or(end);
    Excerpt {
        line,
        from,
        to: to.unwrap_or(end).max(from),
    }
}

/// A message or hint on one line, escaped and cut if it is long.
fn text(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        None => escape::terminal(text).into_owned(),
        Some((end, _)) => format!("{}…", escape::terminal(&text[..end])),
    }
}

/// Breaks a text between words at the terminal's edge, where the terminal would
/// break inside words. `before` is the width of what precedes the text on its
/// first line; the renderer indents the others by as much.
fn wrapped(text: String, width: Option<usize>, before: usize) -> String {
    // With less room, nearly every break would be inside a word.
    let Some(room) = width
        .map(|width| width.saturating_sub(before))
        .filter(|room| *room >= 12)
    else {
        return text;
    };
    let (mut out, mut column) = (String::with_capacity(text.len() + 8), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > room {
            out.push('\n');
            column = 0;
        } else if !out.is_empty() {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

/// The name of a value whose line is unknown. Counts from 1, as people do.
fn value_name(at: &Pointer) -> String {
    let Pointer { part, user, field } = at;
    let mut name = format!("manifest file {}", u64::from(*part) + 1);
    if let Some(user) = user {
        let _ = write!(name, ", user {}", u64::from(*user) + 1);
    }
    if let Some(field) = field {
        let _ = write!(name, ", `{}`", escape::terminal(field));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::super::style::stripped;
    use super::*;
    use crate::core::problem_code::ProblemCode;

    fn place(line: u32, column: u32, length: u32, text: &str) -> Option<Place> {
        Some(Place {
            file: "users.yaml".into(),
            line,
            column,
            length,
            text: text.into(),
        })
    }

    fn problem(line: u32, column: u32, length: u32, text: &str) -> Problem {
        Problem {
            severity: Severity::Error,
            code: ProblemCode::BadEmail,
            message: "the email must contain an `@`".into(),
            hint: Some("write it as name@domain.tld".into()),
            at: Pointer::default(),
            place: place(line, column, length, text),
            related: Vec::new(),
        }
    }

    fn plain(problems: &[Problem]) -> String {
        render(problems, DisplayOptions::default())
    }

    #[test]
    fn long_texts_break_between_words_and_only_on_terminals() {
        let long = || "keep pictures in the manifest's folder, or below it".to_owned();
        assert_eq!(wrapped(long(), None, 10), long());
        assert_eq!(
            wrapped(long(), Some(40), 12),
            "keep pictures in the\nmanifest's folder, or below\nit"
        );
        assert_eq!(wrapped(long(), Some(15), 12), long(), "no room to break in");
        assert_eq!(wrapped("x".repeat(90), Some(40), 12), "x".repeat(90));
    }

    #[test]
    fn a_problem_points_at_its_value() {
        let mut problem = problem(12, 12, 4, "    email: jane");
        problem.related.push(Related {
            at: Pointer::default(),
            place: place(7, 12, 4, "    email: jane"),
            note: "it appears here first".into(),
        });
        let expected = "\
error[bad_email]: the email must contain an `@`
  --> users.yaml:12:12
   |
12 |     email: jane
   |            ^^^^
   |
  ::: users.yaml:7:12
   |
 7 |     email: jane
   |            ---- it appears here first
   |
   = help: write it as name@domain.tld

1 error
";
        assert_eq!(plain(&[problem]), expected);
    }

    #[test]
    fn hostile_lines_are_escaped_and_still_pointed_at() {
        let text = "\tname: a\u{202e}b\u{1b}[2J\u{200b} # x";
        let shown = plain(&[problem(3, 8, 8, text)]);
        assert!(shown.contains("users.yaml:3:8\n"), "{shown}");
        assert!(shown.contains("a\\u{202e}b\\u{1b}[2J\\u{200b} # x"), "{shown}");
        let marks = shown.chars().filter(|c| *c == '^').count();
        assert_eq!(marks, "a\\u{202e}b\\u{1b}[2J\\u{200b}".len());
        assert!(!shown.chars().any(|c| escape::is_hostile(c) && c != '\n'));
    }

    #[test]
    fn of_a_huge_line_the_part_around_the_problem_is_shown() {
        let text = format!("{}HERE{}", "x".repeat(1_000_000), "y".repeat(1_000_000));
        let shown = plain(&[problem(1, 1_000_001, 4, &text)]);
        assert!(shown.contains("users.yaml:1:1000001"), "{shown}");
        assert!(shown.contains("xHEREy") && shown.len() < 2_000, "{shown}");
        assert!(shown.contains("^^^^\n"), "{shown}");
    }

    #[test]
    fn a_place_beyond_the_end_of_the_line_is_marked() {
        let shown = plain(&[problem(2, 8, 1, "users:")]);
        assert!(shown.contains("2 | users:\n  |       ^"), "{shown}");
    }

    #[test]
    fn errors_come_first_then_the_order_of_the_text_then_a_count() {
        let mut problems: Vec<Problem> = (1..=60).rev().map(|n| problem(n, 1, 1, "x")).collect();
        problems[59].severity = Severity::Warning;
        let shown = plain(&problems);
        let positions: Vec<Option<usize>> = [2, 3, 51]
            .map(|n| shown.find(&format!("users.yaml:{n}:1\n")))
            .into();
        assert!(positions.is_sorted() && positions[0].is_some(), "{positions:?}");
        assert!(!shown.contains("users.yaml:1:1\n") && !shown.contains("users.yaml:52:1\n"));
        assert!(
            shown.ends_with("… and 10 more problems; `--format json` lists all\n\n59 errors, 1 warning\n")
        );
    }

    #[test]
    fn without_a_place_the_value_is_named() {
        let mut problem = problem(1, 1, 1, "");
        problem.place = None;
        problem.at = Pointer {
            part: 0,
            user: Some(3),
            field: Some("email".into()),
        };
        assert!(plain(&[problem]).contains("manifest file 1, user 4, `email`"));
    }

    #[test]
    fn colour_adds_only_escapes() {
        let problems = [problem(12, 12, 4, "    email: jane")];
        let look = DisplayOptions {
            palette: Palette::Colour,
            width: None,
        };
        let painted = render(&problems, look);
        assert_ne!(painted, plain(&problems));
        assert_eq!(stripped(&painted), plain(&problems));
    }
}
