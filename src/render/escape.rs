//! Escapes foreign text so that it can neither control a terminal nor pass for
//! other text.
//!
//! Names, titles, paths and messages come from manifests, from Whop and from
//! other people. Control characters could move the cursor, bidirectional ones
//! could reverse a line, and invisible ones could make two names look the same.
//! All of them are shown as `\u{202e}`; in JSON as `\u202e`, which reads back
//! as the same character.
//!
//! Two hazards depend on the context: marks that stack on their neighbours, and
//! text that a pipeline runner would take for a command. A `Watch` follows a
//! text to detect these.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io;

use serde_json::ser::{CharEscape, Formatter, PrettyFormatter};
use unicode_width::UnicodeWidthChar;

/// Whether a character is always shown by its number.
///
/// These are control characters; characters with Unicode's `Bidi_Control` or
/// `Default_Ignorable_Code_Point` property, which draw nothing; line and
/// paragraph separators; and blanks that only look like a space. The
/// ideographic space is kept: it is wide, and part of names.
pub fn is_hostile(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || matches!(c,
            // Blanks: no-break, ogham, en quad to hair, narrow, mathematical,
            // braille.
            '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{2800}'
            // Line and paragraph separators.
            | '\u{2028}' | '\u{2029}'
            // Soft hyphen, combining joiner, Arabic letter mark, Hangul and Khmer fillers.
            | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{3164}' | '\u{ffa0}'
            // Mongolian and other variation selectors.
            | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}'
            // Zero-width space and joiners, marks, embeddings, isolates, byte order mark.
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            // Reserved ignorables, interlinear marks, non-characters.
            | '\u{fff0}'..='\u{fffb}' | '\u{fdd0}'..='\u{fdef}'
            // Format controls of hieroglyphs, shorthand and music; tags.
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
        // The last two of each plane are non-characters.
        || u32::from(c) & 0xFFFE == 0xFFFE
}

/// How many zero-width marks a character may carry; further ones are shown by
/// number. Tibetan and pointed Hebrew need at most seven.
const MARKS: u8 = 8;

/// Follows a foreign text from its beginning and decides for each character
/// whether it is shown by its number.
///
/// Besides the characters of [`is_hostile`] these are:
///
/// - marks that would sit on text of ours, and those above [`MARKS`], which
///   would run into the neighbouring lines;
/// - the character that would complete a command to a pipeline runner: `::` at
///   the start of a line, and `##[`, also with a word in between (`##vso[`),
///   anywhere. GitHub's runner reads both streams, looks for the first after
///   leading blanks, and for the second in the whole line.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    /// How many marks the last character carries; `None` if there is no foreign
    /// character to carry one.
    marks: Option<u8>,
    lead: Lead,
    hashes: Hashes,
}

/// What the line starts with so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    Blank,
    Colon,
    Past,
}

/// How much of `##word[` has been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hashes {
    None,
    One,
    Two,
    Word,
}

impl Watch {
    /// For a text that may be at the start of a line.
    pub(crate) fn at_start() -> Self {
        Self {
            marks: None,
            lead: Lead::Blank,
            hashes: Hashes::None,
        }
    }

    /// For a text that always follows visible text of ours, such as a quotation
    /// mark.
    pub(crate) fn within() -> Self {
        Self {
            lead: Lead::Past,
            ..Self::at_start()
        }
    }

    /// Whether the next character is shown by its number.
    pub(crate) fn hides(&mut self, c: char) -> bool {
        let commands = self.commands(c);
        if is_hostile(c) || commands {
            self.marks = None;
            return true;
        }
        if !is_mark(c) {
            self.marks = Some(0);
            return false;
        }
        match &mut self.marks {
            Some(marks) if *marks < MARKS => {
                *marks += 1;
                false
            }
            _ => true,
        }
    }

    /// Whether the next character completes a command.
    fn commands(&mut self, c: char) -> bool {
        let completes = matches!(
            (c, self.lead, self.hashes),
            (':', Lead::Colon, _) | ('[', _, Hashes::Two | Hashes::Word)
        );
        self.lead = match (c, self.lead) {
            (':', Lead::Blank) => Lead::Colon,
            (c, Lead::Blank) if c.is_whitespace() => Lead::Blank,
            _ => Lead::Past,
        };
        self.hashes = match (c, self.hashes) {
            ('#', Hashes::One | Hashes::Two) => Hashes::Two,
            ('#', _) => Hashes::One,
            (c, Hashes::Two | Hashes::Word) if c.is_ascii_alphanumeric() => Hashes::Word,
            _ => Hashes::None,
        };
        completes
    }
}

/// Whether a character has no width of its own and is drawn over the previous
/// one.
fn is_mark(c: char) -> bool {
    c >= '\u{300}' && c.width() == Some(0)
}

/// One line of foreign text for people. A harmless text is borrowed.
pub fn terminal(text: &str) -> Cow<'_, str> {
    escaped(text, &mut Watch::at_start(), |_| false)
}

/// Several lines: like [`terminal`], but newlines and tabs are kept. For text
/// of ours that contains foreign text, never for a single foreign value.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, &mut Watch::at_start(), |c| matches!(c, '\n' | '\t'))
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStyle {
    /// Text.
    Plain,
    /// Text that its author has coloured. The author must have escaped foreign
    /// text in it, since escape sequences cannot be distinguished here.
    Coloured,
    /// JSON, where an escaped character reads back as itself.
    Json,
}

/// Log lines, safe to show.
pub fn log(text: &str, form: LogStyle) -> Cow<'_, str> {
    match form {
        LogStyle::Plain => lines(text),
        LogStyle::Coloured => escaped(text, &mut Watch::at_start(), |c| {
            matches!(c, '\n' | '\t' | '\u{1b}')
        }),
        LogStyle::Json => written(text, &mut Watch::at_start(), |c| c == '\n', push_unit),
    }
}

/// A character as a JSON escape.
fn push_unit(out: &mut String, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\u{unit:04x}");
    }
}

fn escaped<'a>(text: &'a str, watch: &mut Watch, kept: impl Fn(char) -> bool) -> Cow<'a, str> {
    written(text, watch, kept, |out, c| out.extend(c.escape_unicode()))
}

/// Replaces what the watch hides, except for kept characters. The watch
/// restarts after each newline.
fn written<'a>(
    text: &'a str,
    watch: &mut Watch,
    kept: impl Fn(char) -> bool,
    otherwise: impl Fn(&mut String, char),
) -> Cow<'a, str> {
    let mut safe = String::new();
    let mut done = 0;
    for (at, c) in text.char_indices() {
        if !watch.hides(c) {
            continue;
        }
        if kept(c) {
            if c == '\n' {
                *watch = Watch::at_start();
            }
            continue;
        }
        safe.push_str(&text[done..at]);
        otherwise(&mut safe, c);
        done = at + c.len_utf8();
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    safe.push_str(&text[done..]);
    Cow::Owned(safe)
}

/// Appends a character inside quotes: hostile ones by number, quotes and
/// backslashes escaped, so that no value can look like another or end its own
/// quotes.
pub(crate) fn push_quoted(out: &mut String, watch: &mut Watch, c: char) {
    match (watch.hides(c), c) {
        (true, c) => out.extend(c.escape_unicode()),
        (false, '"' | '\\') => out.extend(['\\', c]),
        (false, c) => out.push(c),
    }
}

/// A foreign value in quotes. Different values never give the same text.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    let mut watch = Watch::within();
    out.push('"');
    text.chars().for_each(|c| push_quoted(&mut out, &mut watch, c));
    out.push('"');
    out
}

/// Displays a value through [`terminal`] without a copy.
#[derive(Clone, Copy, Debug)]
pub struct Safe<T>(pub T);

impl<T: fmt::Display> fmt::Display for Safe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f, Watch::at_start()), "{}", self.0)
    }
}

/// Escapes everything written through it, in whatever pieces it arrives.
struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>, Watch);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&escaped(text, &mut self.1, |_| false))
    }
}

/// Writes indented JSON with hostile characters in strings as escapes, which
/// JSON reads back as the same characters.
#[derive(Debug, Default)]
pub(crate) struct SafeJson(PrettyFormatter<'static>);

impl Formatter for SafeJson {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        let written = written(text, &mut Watch::within(), |_| false, push_unit);
        out.write_all(written.as_bytes())
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
    use proptest::prelude::*;
    use serde::Serialize;

    use super::super::hostile::{acting, anything};
    use super::*;

    #[test]
    fn control_and_invisible_characters_are_shown_by_number() {
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
    fn marks_neither_stack_nor_sit_on_our_text() {
        let flood = format!("Z{}x", "\u{301}".repeat(1_000));
        let shown = terminal(&flood);
        assert_eq!(shown.matches('\u{301}').count(), usize::from(MARKS));
        assert_eq!(shown.matches("\\u{301}").count(), 1_000 - usize::from(MARKS));
        assert!(shown.ends_with('x'));
        assert_eq!(terminal("\u{338}a"), "\\u{338}a");
        assert_eq!(quoted("\u{338}"), "\"\\u{338}\"");
        // Nor on an escape.
        assert_eq!(terminal("\u{200b}\u{301}"), "\\u{200b}\\u{301}");
    }

    #[test]
    fn no_runner_sees_a_command_in_a_text() {
        for (text, shown) in [
            ("::stop-commands::x", r":\u{3a}stop-commands::x"),
            (" \u{3000}::add-mask::x", " \u{3000}:\\u{3a}add-mask::x"),
            ("a ::error::", "a ::error::"),
            ("a##[error]b", r"a##\u{5b}error]b"),
            ("####[group]", r"####\u{5b}group]"),
            ("##vso[task.setvariable]", r"##vso\u{5b}task.setvariable]"),
            ("##teamcity[x]", r"##teamcity\u{5b}x]"),
            ("# [x] #[y] ## heading [z]", "# [x] #[y] ## heading [z]"),
        ] {
            assert_eq!(terminal(text), shown);
            assert_eq!(Safe(text).to_string(), shown);
        }
        assert_eq!(lines("a\n ::error::b\n"), "a\n :\\u{3a}error::b\n");
        assert_eq!(quoted("::x::"), "\"::x::\"");
    }

    #[test]
    fn names_in_any_script_are_kept() {
        for name in [
            "Олена Ткаченко",
            "ليلى حداد",
            "आरव मेहता",
            "高橋　さくら",
            "Åse Nordstrøm",
            "김하늘",
            "Zoë 🎨",
            // Decomposed, pointed and stacked.
            "Nguye\u{302}\u{303}n",
            "שָׁלוֹם",
            "བསྒྲུབས",
            "C## and a::b [x]",
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

    fn json(text: &str) -> String {
        let mut out = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, SafeJson::default());
        [text].serialize(&mut serializer).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_is_harmless_and_reads_back_the_same() {
        let text = "a\u{202e}b\u{1b}\"\n\u{e0041}é##[x]";
        let json = json(text);
        assert_eq!(
            json,
            "[\n  \"a\\u202eb\\u001b\\\"\\n\\udb40\\udc41é##\\u005bx]\"\n]"
        );
        assert!(!json.chars().any(|c| is_hostile(c) && c != '\n'));
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), [text]);
    }

    /// Reads what [`quoted`] wrote.
    fn unquoted(shown: &str) -> String {
        let inner = shown.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let mut rest = inner.unwrap().chars();
        let mut text = String::new();
        while let Some(c) = rest.next() {
            match (c, (c == '\\').then(|| rest.next().unwrap())) {
                (_, Some('u')) => {
                    let number: String = rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
                    let number = u32::from_str_radix(&number, 16).unwrap();
                    text.push(char::from_u32(number).unwrap());
                }
                (_, Some(escaped)) => text.push(escaped),
                (c, None) => text.push(c),
            }
        }
        text
    }

    proptest! {
        /// No line has an effect, whatever comes in and in whatever pieces.
        #[test]
        fn the_terminals_text_never_acts(text in anything(), at in any::<prop::sample::Index>()) {
            let shown = terminal(&text);
            prop_assert_eq!(acting(&shown), None);
            prop_assert_eq!(terminal(&shown), shown.as_ref(), "twice is once");
            let cut = (0..=at.index(text.len() + 1)).rfind(|at| text.is_char_boundary(*at)).unwrap();
            let pieces = format!("{}", Safe(format_args!("{}{}", &text[..cut], &text[cut..])));
            prop_assert_eq!(pieces, shown.as_ref());
        }

        /// As many lines as before, none of which has an effect.
        #[test]
        fn lines_never_act(text in anything()) {
            let shown = lines(&text);
            for line in shown.split('\n') {
                prop_assert_eq!(acting(&line.replace('\t', " ")), None);
            }
            prop_assert_eq!(shown.matches('\n').count(), text.matches('\n').count());
        }

        /// A log line has no effect, and a JSON one reads the same.
        #[test]
        fn a_logs_line_never_acts(text in anything()) {
            for form in [LogStyle::Plain, LogStyle::Json] {
                let line = format!("at {} {text:?}", serde_json::to_string(&text).unwrap());
                let shown = log(&line, form);
                prop_assert_eq!(acting(&shown), None);
            }
            let line = format!("{}\n", serde_json::to_string(&[&text]).unwrap());
            let shown = log(&line, LogStyle::Json);
            prop_assert!(shown.ends_with("]\n"));
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [text]);
        }

        /// The output has no effect, and the text can be read back: different
        /// texts never look alike.
        #[test]
        fn quotes_give_the_text_back(text in anything()) {
            let shown = quoted(&text);
            prop_assert_eq!(acting(&shown), None);
            prop_assert_eq!(unquoted(&shown), text);
        }

        /// The output has no effect, and JSON reads the same.
        #[test]
        fn json_gives_the_text_back(text in anything()) {
            let json = json(&text);
            prop_assert_eq!(acting(&json.replace('\n', "")), None);
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), [text]);
        }
    }
}
