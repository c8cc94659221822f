//! Judges of what came out, each a reader of its format that shares nothing
//! with whoever wrote it.

use std::collections::BTreeSet;

use html5gum::{Token, Tokenizer};
use pulldown_cmark::{Event, Options, Parser, Tag};
use serde_json::Value;

/// Colours as the program may write them, and nothing else of a terminal's
/// language.
fn without_colours(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out += before;
        let end = after.find(|c: char| !(c.is_ascii_digit() || c == ';'));
        match end.map(|end| after.split_at(end)) {
            Some((_, tail)) if tail.starts_with('m') => rest = &tail[1..],
            // Not a colour: stays, to be found.
            _ => {
                out.push('\u{1b}');
                rest = after;
            }
        }
    }
    out + rest
}

/// Whether a character does anything on a terminal but stand there.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xAD | 0x34F | 0x61C | 0x115F | 0x1160 | 0x3164 | 0xFFA0 | 0x180B..=0x180F | 0x200B..=0x200F
            | 0x2028..=0x202E | 0x2060..=0x206F | 0xFE00..=0xFE0F | 0xFEFF | 0xFFF0..=0xFFFB
            | 0xE0000..=0xE0FFF)
}

/// Whether a character is drawn over the one before.
fn is_mark(c: char) -> bool {
    matches!(u32::from(c), 0x300..=0x36F | 0x483..=0x489 | 0x20D0..=0x20F0)
}

/// Nothing acts on a terminal, nor on whoever reads the lines of a pipeline:
/// GitHub's runner takes `::` at a line's beginning and `##[` anywhere in it.
/// A line that begins with `ours` is a command of the program's own.
#[track_caller]
pub(crate) fn lines(what: &str, text: &str, ours: &[&str]) {
    let plain = without_colours(text);
    for line in plain.split('\n') {
        let shown: String = line.chars().take(300).collect();
        if let Some(odd) = line.chars().find(|c| acts(*c)) {
            panic!("{what}: {odd:?} in {shown:?}");
        }
        let heap = line.split(|c| !is_mark(c)).map(|run| run.chars().count()).max();
        assert!(heap.unwrap_or(0) <= 8, "{what}: a heap of marks in {shown:?}");
        let of_ours = ours.iter().find_map(|ours| line.strip_prefix(ours));
        let rest = of_ours.unwrap_or(line);
        // The arrow to another place; the runner knows no command `:`.
        let arrow = rest.trim_start().starts_with("::: ");
        assert!(
            of_ours.is_some() || arrow || !rest.trim_start().starts_with("::"),
            "{what}: {shown:?}"
        );
        for (at, _) in rest.match_indices("##") {
            let word = rest[at..].trim_start_matches('#');
            let end = word.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
            assert!(!end.starts_with('['), "{what}: {shown:?}");
        }
    }
}

/// One document, and nothing in its text acts.
#[track_caller]
pub(crate) fn json(what: &str, text: &str) -> Value {
    lines(what, text, &[]);
    serde_json::from_str(text).unwrap_or_else(|why| panic!("{what}: {why} in {text:.300}"))
}

/// Every text in a document, names of fields included.
pub(crate) fn all_texts(document: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![document];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => drop(found.insert(text.clone())),
            Value::Array(values) => open.extend(values),
            Value::Object(fields) => {
                found.extend(fields.keys().cloned());
                open.extend(fields.values());
            }
            _ => {}
        }
    }
    found
}

/// Markdown in which no foreign text is anything but text.
#[track_caller]
pub(crate) fn markdown(what: &str, text: &str) {
    lines(what, text, &[]);
    assert!(text.len() <= 65_000, "{what}: {} bytes", text.len());
    let mut tables = 0;
    for event in Parser::new_ext(text, Options::all()) {
        let bad = match &event {
            Event::Html(html) | Event::InlineHtml(html) => {
                let html = html.trim();
                let folded = html.starts_with("<details") && html.ends_with("</b></summary>");
                let marker = html.starts_with("<!-- whop-sync")
                    && html.ends_with("-->")
                    && html.matches("--").count() == 2;
                !(folded || marker || ["", "<br>", "</details>"].contains(&html))
            }
            Event::Text(text) => ["@", "http", "www.", "#1", "GH-", "evil", "<", "$"]
                .iter()
                .any(|sign| text.contains(sign)),
            Event::Start(Tag::Table(_)) => {
                tables += 1;
                false
            }
            Event::Start(
                Tag::Link { .. }
                | Tag::Image { .. }
                | Tag::CodeBlock(_)
                | Tag::FootnoteDefinition(_)
                | Tag::MetadataBlock(_)
                | Tag::Strikethrough,
            )
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::FootnoteReference(_)
            | Event::TaskListMarker(_) => true,
            _ => false,
        };
        assert!(!bad, "{what}: {event:?}");
    }
    assert!(
        tables > 0 || !text.contains("---:"),
        "{what}: the tables are none"
    );
}

/// The elements and attributes of our pages.
const ELEMENTS: [&str; 44] = [
    "html",
    "head",
    "meta",
    "title",
    "style",
    "script",
    "body",
    "a",
    "article",
    "b",
    "bdi",
    "button",
    "code",
    "dd",
    "del",
    "details",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "header",
    "input",
    "ins",
    "label",
    "legend",
    "li",
    "main",
    "mark",
    "nav",
    "noscript",
    "p",
    "pre",
    "section",
    "span",
    "summary",
    "ul",
    "output",
];

/// A page in which every element and attribute is one of ours.
#[track_caller]
pub(crate) fn html(what: &str, page: &str) {
    let mut emitter = html5gum::DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let (mut scripts, mut bodies) = (0, 0);
    for token in Tokenizer::new_with_emitter(page, emitter).map(Result::unwrap) {
        match token {
            Token::StartTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                assert!(ELEMENTS.contains(&&*name), "{what}: <{name}>");
                scripts += usize::from(name == "script");
                bodies += usize::from(name == "body");
                for (attribute, value) in &tag.attributes {
                    let attribute = String::from_utf8_lossy(attribute).into_owned();
                    let value = String::from_utf8_lossy(value).into_owned();
                    let inert = attribute.starts_with("data-")
                        || attribute.starts_with("aria-")
                        || [
                            "class",
                            "id",
                            "lang",
                            "charset",
                            "name",
                            "content",
                            "http-equiv",
                            "type",
                            "role",
                            "for",
                            "value",
                            "checked",
                            "hidden",
                            "placeholder",
                            "autocomplete",
                            "open",
                            "disabled",
                            "title",
                            "dir",
                            "media",
                            "spellcheck",
                            "tabindex",
                        ]
                        .contains(&&*attribute);
                    let local = ["href", "src"].contains(&&*attribute) && value.starts_with('#');
                    assert!(inert || local, "{what}: <{name} {attribute}={value:?}>");
                }
            }
            Token::Comment(comment) => panic!("{what}: {comment:?}"),
            Token::Error(error) => panic!("{what}: {error:?}"),
            Token::String(_) | Token::EndTag(_) | Token::Doctype(_) => {}
        }
    }
    assert!(
        scripts <= 1 && bodies == 1,
        "{what}: {scripts} scripts, {bodies} bodies"
    );
    let body = page.split_once("<body").unwrap().1;
    let odd = body.chars().find(|c| acts(*c) && *c != '\n');
    assert_eq!(odd, None, "{what}");
}

/// Rows and cells of RFC 4180, of which none computes anything.
#[track_caller]
pub(crate) fn csv(what: &str, text: &str) -> Vec<Vec<String>> {
    lines(what, text, &[]);
    let mut rows = Vec::new();
    for line in text.lines() {
        let (mut row, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match (c, quoted) {
                ('"', true) if chars.peek() == Some(&'"') => cell.extend(chars.next()),
                ('"', _) => quoted = !quoted,
                (',', false) => row.push(std::mem::take(&mut cell)),
                (c, _) => cell.push(c),
            }
        }
        assert!(!quoted, "{what}: quotes that never end in {line}");
        row.push(cell);
        for cell in &row {
            let first = cell.trim_start().chars().next();
            assert!(
                !first.is_some_and(|c| "=+-@＝＋－＠".contains(c)),
                "{what}: {cell}"
            );
        }
        rows.push(row);
    }
    let width = rows.first().map_or(0, Vec::len);
    assert!(
        rows.iter().all(|row| row.len() == width),
        "{what}: rows of other widths"
    );
    rows
}
