//! Reads users who are written as nearly all are: one field per line, its value
//! plain or quoted. A YAML parser handles such a text event by event, which for
//! a million users costs more than the rest of a plan.
//!
//! This reader knows one way of writing and no other YAML. Anything else, and
//! whatever could mean something else to a parser, it leaves to
//! [`super::document`], so it may reject a text out of caution. It never
//! decides that a text is wrong. A test in `chunks` and a fuzz target compare
//! both readers on random texts.

use std::borrow::Cow;

use crate::core::field::TextField;

use super::document::{RawUser, USER};
use super::scalar::Raw;

/// The longest field name, in bytes. A parser expects the colon within a
/// thousand.
const MOST_NAME: usize = 100;

/// The most metadata fields per user, since each is compared with all before
/// it.
const MOST_METADATA: usize = 64;

/// Reads a list of users, each of which starts a line with its dash; `None` if
/// one is written in another way. The text must be one that the parser may see
/// ([`super::syntax::is_plain`]).
pub(super) fn users(text: &str) -> Option<Vec<RawUser<'_>>> {
    let mut list = List::default();
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let content = line.trim_start_matches(' ');
        if !content.is_empty() && !content.starts_with('#') {
            list.line(line.len() - content.len(), content)?;
        }
    }
    list.closed().then_some(list.users)
}

/// The users read so far, and the indentation of their lines.
#[derive(Default)]
struct List<'t> {
    users: Vec<RawUser<'t>>,
    /// The indentation of the dashes.
    dash: Option<usize>,
    /// The indentation of the current user's fields.
    fields: usize,
    /// The fields it has, one bit for each of [`USER`].
    seen: u32,
    /// Whether its metadata is on separate lines that may continue.
    open: bool,
    /// The indentation of these lines, once there is one.
    nested: Option<usize>,
}

impl<'t> List<'t> {
    fn line(&mut self, spaces: usize, content: &'t str) -> Option<()> {
        if let Some(rest) = content.strip_prefix("- ") {
            let field = rest.trim_start_matches(' ');
            if *self.dash.get_or_insert(spaces) != spaces || !self.closed() {
                return None;
            }
            self.users.push(RawUser::default());
            self.fields = spaces + content.len() - field.len();
            self.seen = 0;
            return self.field(field);
        }
        if self.open && spaces > self.fields && *self.nested.get_or_insert(spaces) == spaces {
            let (name, value) = named(content)?;
            return self.keep(name, plain_or_quoted(value)?);
        }
        if spaces != self.fields || !self.closed() {
            return None;
        }
        self.field(content)
    }

    /// Ends metadata on separate lines; `false` if there was no line, which is
    /// an empty value and left to the parser.
    fn closed(&mut self) -> bool {
        let empty = self.open && self.nested.is_none();
        (self.open, self.nested) = (false, None);
        !empty
    }

    /// Reads a field of the last user.
    fn field(&mut self, content: &'t str) -> Option<()> {
        let (name, value) = named(content)?;
        let at = USER.iter().position(|known| *known == name)?;
        let bit = 1 << at;
        if self.seen & bit != 0 {
            return None;
        }
        self.seen |= bit;
        if name == "metadata" {
            return self.metadata(value);
        }
        let user = self.users.last_mut()?;
        let place = match name {
            "id" => &mut user.id,
            "email" => &mut user.email,
            "avatar" => &mut user.avatar,
            "strip_metadata" => &mut user.strip_metadata,
            "renamed_from" => &mut user.renamed_from,
            _ => &mut user.texts[TextField::named(name)?],
        };
        *place = Raw::Text(Cow::Borrowed(plain_or_quoted(value)?));
        Some(())
    }

    /// Reads metadata in braces, or notes that its lines follow.
    fn metadata(&mut self, value: &'t str) -> Option<()> {
        if value.is_empty() {
            self.open = true;
            return Some(());
        }
        let fields = value.strip_prefix('{')?.strip_suffix('}')?.trim_matches(' ');
        if fields.is_empty() {
            return Some(());
        }
        for field in fields.split(',') {
            let (name, value) = named(field.trim_matches(' '))?;
            let idle = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | '/' | '@');
            self.keep(name, plain(value).filter(|value| value.chars().all(idle))?)?;
        }
        Some(())
    }

    /// Adds a metadata field to the last user.
    fn keep(&mut self, name: &'t str, value: &'t str) -> Option<()> {
        let metadata = &mut self.users.last_mut()?.metadata;
        if metadata.len() == MOST_METADATA || metadata.iter().any(|(other, _)| *other == name) {
            return None;
        }
        metadata.push((Cow::Borrowed(name), Raw::Text(Cow::Borrowed(value))));
        Some(())
    }
}

/// Splits a name from what follows its colon, without surrounding white space.
fn named(content: &str) -> Option<(&str, &str)> {
    let (name, value) = content.split_once(':')?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = name.bytes().next()?.is_ascii_alphabetic();
    if !begins || name.len() > MOST_NAME || !name.bytes().all(fits) || is_null(name) {
        return None;
    }
    match value.is_empty() || value.starts_with(' ') {
        true => Some((name, value.trim_matches(' '))),
        false => None,
    }
}

/// The text of a value, unless it could mean anything else.
fn plain_or_quoted(value: &str) -> Option<&str> {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            let text = rest.strip_suffix(quote)?;
            let odd = |c: char| matches!(c, '\t' | '\\' | '\u{feff}') || c == quote;
            return (!text.contains(odd)).then_some(text);
        }
    }
    plain(value)
}

/// The same, without quotes.
fn plain(value: &str) -> Option<&str> {
    let first = value.chars().next()?;
    if !(first.is_alphanumeric() || matches!(first, '_' | '/' | '.')) || is_null(value) {
        return None;
    }
    let bytes = value.as_bytes();
    let odd = |(at, byte): (usize, &u8)| match byte {
        // A colon ends a name unless text follows it directly.
        b':' => matches!(bytes.get(at + 1), None | Some(b' ')),
        b'#' | b'\t' => true,
        _ => false,
    };
    let fine = !bytes.iter().enumerate().any(odd) && (value.is_ascii() || !value.contains('\u{feff}'));
    fine.then_some(value)
}

fn is_null(text: &str) -> bool {
    matches!(text, "null" | "Null" | "NULL")
}

#[cfg(test)]
mod tests {
    use super::super::document;
    use super::*;

    /// What both readers make of a text; `None` if this one leaves it to the
    /// parser.
    fn both(text: &str) -> (String, Option<String>) {
        let whole = document::read_users(text).map(|users| format!("{users:?}"));
        let quick = users(text).map(|users| format!("{users:?}"));
        (whole.unwrap_or_default(), quick)
    }

    #[test]
    fn the_usual_style_is_read_as_by_the_parser() {
        for text in [
            "- id: a\n",
            "  - id: a\r\n    email: a@b.co\r\n\r\n  - id: b",
            "-   id: 007\n    name: 12:30\n    title: https://a.co/x?y=1\n",
            "- id: 'it: # {}'\n  name: \" é, [x] \"\n  avatar: ./a b.png   \n",
            "- id: a\n# note: x\n  metadata: { tier: gold, team: a-b c }\n",
            "- id: a\n  metadata:\n     tier: gold\n\n     team: 'x'\n  name: É\n- id: b\n  metadata: {}\n",
        ] {
            let (whole, quick) = both(text);
            assert_eq!(quick, Some(whole), "{text}");
        }
    }

    #[test]
    fn ambiguous_texts_are_left_to_the_parser() {
        for value in [
            "",
            "~",
            "null",
            "NULL",
            "a: b",
            "a:",
            "a #b",
            "a\tb",
            "*a",
            "&a b",
            "!x y",
            "|",
            ">-",
            "[a]",
            "{a: b}",
            "'a''b'",
            "\"a\\nb\"",
            "'a",
            "\"a\" b",
            "- a",
            "?",
            "%a",
            "@a",
            "`a",
            ",",
            "\u{feff}a",
            "a\u{feff}",
        ] {
            assert_eq!(users(&format!("- id: {value}\n")), None, "{value}");
        }
        let many = |count: usize| {
            let fields = (0..count).map(|n| format!("    k{n}: v\n"));
            format!("- id: a\n  metadata:\n{}", fields.collect::<String>())
        };
        assert!(users(&many(MOST_METADATA)).is_some());
        assert!(users(&many(MOST_METADATA + 1)).is_none());
        for text in [
            "- id: a\n  id: b\n",
            "- id: a\n  nmae: b\n",
            "- id: a\n    more\n",
            "- id: a\n email: b\n",
            "- id: a\n  - id: b\n",
            "- {id: a}\n",
            "-\n  id: a\n",
            "- - a\n",
            "- id: a\n  metadata:\n",
            "- id: a\n  metadata:\n  name: b\n",
            "- id: a\n  metadata:\n    x: a\n     y: b\n",
            "- id: a\n  metadata:\n    x: a\n    x: b\n",
            "- id: a\n  metadata: {x: a, x: b}\n",
            "- id: a\n  metadata: {x: a,}\n",
            "- id: a\n  metadata: {x: {y: a}}\n",
            "- id: a\n  metadata: {x: 'a, b'}\n",
            "- id: a\n  metadata: {<<: a}\n",
            "- id: a\n  metadata: {x:a}\n",
            "- \"id\": a\n",
            "- ? id\n  : a\n",
            "- id : a\n",
        ] {
            assert_eq!(users(text), None, "{text}");
        }
    }
}
