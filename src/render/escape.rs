//! Shows foreign text so that it can neither act on a terminal nor look like
//! other text.
//!
//! Names, titles, paths and messages come from manifests, from Whop and from
//! other people. Control characters could move the cursor, bidirectional ones
//! could turn a line around, and invisible ones could make two names look the
//! same. All of them are shown as `\u{202e}`, in JSON as the same character's
//! `\u202e`, which reads back as what it was.
//!
//! Two things are so only in their surroundings: marks that pile up over their
//! neighbours, and what a pipeline's runner takes for a command to itself. A
//! `Watch` goes along with a text and tells these as well.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io;

use serde_json::ser::{CharEscape, Formatter, PrettyFormatter};
use unicode_width::UnicodeWidthChar;

/// Whether a character is shown by its number wherever it stands.
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
            | '\u{fff0}'..='\u{fffb}' | '\u{fdd0}'..='\u{fdef}'
            // Format controls of hieroglyphs, shorthand and music; tags.
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
        // The last two of each plane are non-characters.
        || u32::from(c) & 0xFFFE == 0xFFFE
}

/// How many marks without a width one character carries at most, the rest is
/// shown by number. Tibetan and pointed Hebrew pile up seven at the most.
const MARKS: u8 = 8;

/// Goes along with a foreign text from its beginning, and says of each
/// character whether it is shown by its number there.
///
/// Besides those of [`is_hostile`] these are:
///
/// - marks that would sit on something of ours, and those above [`MARKS`],
///   which would run over the lines around;
/// - the character that would complete a command to a pipeline's runner:
///   `::` where a line may begin with the text, `##[` and its kin with a word
///   between (`##vso[`) anywhere. GitHub's runner reads both streams and looks
///   for the first after blanks, for the second in the whole of a line.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    /// How many marks the last character has; `None` where there is nothing
    /// foreign that could carry one.
    marks: Option<u8>,
    lead: Lead,
    hashes: Hashes,
}

/// What the line has so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    Blank,
    Colon,
    Past,
}

/// What of `##word[` is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hashes {
    None,
    One,
    Two,
    Word,
}

impl Watch {
    /// For a text that may stand at the beginning of a line.
    pub(crate) fn at_start() -> Self {
        Self {
            marks: None,
            lead: Lead::Blank,
            hashes: Hashes::None,
        }
    }

    /// For a text that always has something visible of ours before it, such
    /// as a quotation mark.
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

/// Whether a character has no width of its own and is drawn over the one
/// before.
fn is_mark(c: char) -> bool {
    c >= '\u{300}' && c.width() == Some(0)
}

/// One line of foreign text for people. A text without anything hostile is
/// borrowed.
pub fn terminal(text: &str) -> Cow<'_, str> {
    escaped(text, &mut Watch::at_start(), |_| false)
}

/// Several lines: as [`terminal`], but ends of lines and tabs stay. For text
/// that we wrote around foreign text, never for a single foreign value.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, &mut Watch::at_start(), |c| matches!(c, '\n' | '\t'))
}

/// What a log's lines are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// Text.
    Plain,
    /// Text that its maker has coloured. Escapes of others are its maker's to
    /// see to, since here they cannot be told apart.
    Coloured,
    /// JSON, where a character by its number reads back as itself.
    Json,
}

/// Lines of a log as they may be shown.
pub fn log(text: &str, form: Log) -> Cow<'_, str> {
    match form {
        Log::Plain => lines(text),
        Log::Coloured => escaped(text, &mut Watch::at_start(), |c| {
            matches!(c, '\n' | '\t' | '\u{1b}')
        }),
        Log::Json => written(text, &mut Watch::at_start(), |c| c == '\n', push_unit),
    }
}

/// A character as JSON writes it by number.
fn push_unit(out: &mut String, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\u{unit:04x}");
    }
}

fn escaped<'a>(text: &'a str, watch: &mut Watch, kept: impl Fn(char) -> bool) -> Cow<'a, str> {
    written(text, watch, kept, |out, c| out.extend(c.escape_unicode()))
}

/// A text with what the watch hides written otherwise, but for those that are
/// kept. After the end of a line the watch begins anew.
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

/// One character inside quotes: hostile ones by number, and the quote and the
/// backslash escaped, so that no value can look like another one or like the
/// end of its own quotes.
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

/// Shows a value through [`terminal`] without keeping a copy.
#[derive(Clone, Copy, Debug)]
pub struct Safe<T>(pub T);

impl<T: fmt::Display> fmt::Display for Safe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f, Watch::at_start()), "{}", self.0)
    }
}

/// Escapes whatever passes through, in whatever pieces it comes.
struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>, Watch);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&escaped(text, &mut self.1, |_| false))
    }
}

/// Writes indented JSON whose strings hold nothing hostile: such characters
/// are written by number, which JSON reads back as themselves.
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
    fn marks_do_not_pile_up_nor_sit_on_what_is_ours() {
        let flood = format!("Z{}x", "\u{301}".repeat(1_000));
        let shown = terminal(&flood);
        assert_eq!(shown.matches('\u{301}').count(), usize::from(MARKS));
        assert_eq!(shown.matches("\\u{301}").count(), 1_000 - usize::from(MARKS));
        assert!(shown.ends_with('x'));
        assert_eq!(terminal("\u{338}a"), "\\u{338}a");
        assert_eq!(quoted("\u{338}"), "\"\\u{338}\"");
        // Neither on what stands in a character's place.
        assert_eq!(terminal("\u{200b}\u{301}"), "\\u{200b}\\u{301}");
    }

    #[test]
    fn no_runner_takes_a_text_for_a_command() {
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
    fn names_of_the_world_stay_as_they_are() {
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
        /// One line of which nothing acts, whatever comes in, and the same in
        /// whatever pieces it comes.
        #[test]
        fn the_terminals_text_never_acts(text in anything(), at in any::<prop::sample::Index>()) {
            let shown = terminal(&text);
            prop_assert_eq!(acting(&shown), None);
            prop_assert_eq!(terminal(&shown), shown.as_ref(), "twice is once");
            let cut = (0..=at.index(text.len() + 1)).rfind(|at| text.is_char_boundary(*at)).unwrap();
            let pieces = format!("{}", Safe(format_args!("{}{}", &text[..cut], &text[cut..])));
            prop_assert_eq!(pieces, shown.as_ref());
        }

        /// As many lines as before, of which none acts.
        #[test]
        fn lines_never_act(text in anything()) {
            let shown = lines(&text);
            for line in shown.split('\n') {
                prop_assert_eq!(acting(&line.replace('\t', " ")), None);
            }
            prop_assert_eq!(shown.matches('\n').count(), text.matches('\n').count());
        }

        /// A log's line never acts, and one of JSON reads the same.
        #[test]
        fn a_logs_line_never_acts(text in anything()) {
            for form in [Log::Plain, Log::Json] {
                let line = format!("at {} {text:?}", serde_json::to_string(&text).unwrap());
                let shown = log(&line, form);
                prop_assert_eq!(acting(&shown), None);
            }
            let line = format!("{}\n", serde_json::to_string(&[&text]).unwrap());
            let shown = log(&line, Log::Json);
            prop_assert!(shown.ends_with("]\n"));
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [text]);
        }

        /// Nothing acts, and the text can be had back: different ones never
        /// look alike.
        #[test]
        fn quotes_give_the_text_back(text in anything()) {
            let shown = quoted(&text);
            prop_assert_eq!(acting(&shown), None);
            prop_assert_eq!(unquoted(&shown), text);
        }

        /// Nothing acts, and JSON reads the same.
        #[test]
        fn json_gives_the_text_back(text in anything()) {
            let json = json(&text);
            prop_assert_eq!(acting(&json.replace('\n', "")), None);
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), [text]);
        }
    }
}
