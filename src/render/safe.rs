//! Shows foreign text so that it can neither act on a terminal nor look like
//! other text (contract §8).
//!
//! Names, titles, paths and messages come from manifests, from Whop and from
//! other people. Control characters could move the cursor, bidirectional ones
//! could turn a line around, and invisible ones could make two names look the
//! same. All of them are shown as `\u{202e}`, in JSON as the same character's
//! `\u202e`, which reads back as what it was.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io;

use serde_json::ser::{CharEscape, Formatter, PrettyFormatter};

/// Whether a character is shown by its number rather than as itself.
///
/// These are: control characters; Unicode's `Bidi_Control` and
/// `Default_Ignorable_Code_Point` properties, which draw nothing; the
/// separators of lines and paragraphs; and blanks that look like a space and
/// are none. The ideographic space stays: it is wide, and part of names.
pub fn is_hostile(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || matches!(c,
            // Blanks: no-break, ogham, en quad to hair, narrow, mathematical, braille.
            '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{2800}'
            // Separators of lines and paragraphs.
            | '\u{2028}' | '\u{2029}'
            // Soft hyphen, combining joiner, Arabic letter mark, Hangul and Khmer fillers.
            | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{3164}' | '\u{ffa0}'
            // Mongolian and other variation selectors.
            | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}'
            // Zero-width space and joiners, marks, embeddings, isolates, byte order mark.
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            // Reserved ignorables, interlinear marks, non-characters.
            | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
            // Format controls of hieroglyphs, shorthand and music; tags.
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// One line of foreign text for people. A text without anything hostile is
/// borrowed.
pub fn terminal(text: &str) -> Cow<'_, str> {
    escaped(text, is_hostile)
}

/// Several lines: as [`terminal`], but ends of lines and tabs stay. For text
/// that we wrote around foreign text, never for a single foreign value.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_hostile(c) && c != '\n' && c != '\t')
}

fn escaped(text: &str, hostile: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&hostile) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hostile(c) {
            // Writing to a String cannot fail.
            let _ = write!(safe, "{}", c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// One character inside quotes: hostile ones by number, and the quote and the
/// backslash escaped, so that no value can look like another one or like the
/// end of its own quotes.
pub(crate) fn push_quoted(out: &mut String, c: char) {
    match c {
        '"' | '\\' => out.extend(['\\', c]),
        c if is_hostile(c) => out.extend(c.escape_unicode()),
        c => out.push(c),
    }
}

/// A foreign value in quotes. Different values never give the same text.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    text.chars().for_each(|c| push_quoted(&mut out, c));
    out.push('"');
    out
}

/// Shows a value through [`terminal`] without keeping a copy.
#[derive(Clone, Copy, Debug)]
pub struct Safe<T>(pub T);

impl<T: fmt::Display> fmt::Display for Safe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

/// Escapes whatever passes through.
struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&terminal(text))
    }
}

/// Writes indented JSON whose strings hold nothing hostile: such characters
/// are written by number, which JSON reads back as themselves.
#[derive(Debug, Default)]
pub(crate) struct SafeJson(PrettyFormatter<'static>);

impl Formatter for SafeJson {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_hostile(*c)) {
            out.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        self.0.write_char_escape(out, escape)
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[test]
    fn what_acts_hides_or_deceives_is_shown_by_number() {
        for (text, shown) in [
            ("\u{1b}[2J", r"\u{1b}[2J"),
            ("a\nb\tc\r", r"a\u{a}b\u{9}c\u{d}"),
            ("\u{202e}evil", r"\u{202e}evil"),
            ("ad\u{200b}min", r"ad\u{200b}min"),
            ("Jane\u{a0}Doe", r"Jane\u{a0}Doe"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("x\u{e0041}", r"x\u{e0041}"),
            ("\u{feff}", r"\u{feff}"),
        ] {
            assert_eq!(terminal(text), shown);
            assert_eq!(Safe(text).to_string(), shown);
        }
    }

    #[test]
    fn names_of_the_world_stay_as_they_are() {
        for name in [
            "Олена Ткаченко",
            "ليلى حداد",
            "आरव मेहता",
            "高橋　さくら",
            "Åse Nordstrøm",
            "김하늘",
            "Zoë 🎨",
        ] {
            assert!(
                matches!(terminal(name), Cow::Borrowed(same) if same == name),
                "{name}"
            );
        }
    }

    #[test]
    fn quotes_cannot_be_closed_from_within() {
        assert_eq!(quoted(r#"A" → "B"#), r#""A\" → \"B""#);
        assert_ne!(quoted("\u{202e}"), quoted(r"\u{202e}"));
    }

    #[test]
    fn lines_keep_only_their_ends() {
        assert_eq!(lines("a\n\tb\u{1b}"), "a\n\tb\\u{1b}");
    }

    #[test]
    fn json_is_harmless_and_reads_back_the_same() {
        let text = "a\u{202e}b\u{1b}\"\n\u{e0041}é";
        let mut out = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, SafeJson::default());
        [text].serialize(&mut serializer).unwrap();
        let json = String::from_utf8(out).unwrap();
        assert_eq!(json, "[\n  \"a\\u202eb\\u001b\\\"\\n\\udb40\\udc41é\"\n]");
        assert!(!json.chars().any(|c| is_hostile(c) && c != '\n'));
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), [text]);
    }
}
