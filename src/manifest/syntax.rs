//! Turns a part's text into raw values, or into problems: bytes that are not a
//! text, texts that are not YAML, and YAML of the wrong shape.
//!
//! Some texts are refused before the parser sees them, because it would take
//! time that grows with the square of their size, or would count lines
//! differently from every editor.

use crate::core::problem::{Pointer, Problem, Related};
use crate::core::problem_code::ProblemCode;

use super::diagnostics::{Found, error};
use super::document::{self, RawPart, Unread};
use super::locate::{self, Kind, MOST_LEVELS, TypeMismatch, Wrong};
use super::scalar::Skips;
use super::sources::{Garbled, Part};
use super::text_position::{self, TextRange};

/// How many `[` and `{` a text may contain without a closer check: so few
/// cannot be nested too deeply.
pub(super) const FEW_BRACKETS: usize = MOST_LEVELS;
/// How many lines may start with `%`. The parser compares each directive with
/// all before it: a megabyte of them took it 80 seconds.
const MOST_DIRECTIVES: usize = 16;
/// How many blanks may precede more text on the same line. Wider than any
/// window in which a change is reviewed.
const MOST_BLANKS: usize = 200;

/// Reads a part. `None` if nothing in it can be relied on; then a problem says
/// why.
pub(super) fn read<'t>(index: u32, part: &'t Part, found: &mut Found) -> Option<RawPart<'t>> {
    let reader = Reader { index, part };
    if let Some(problem) = reader.refuse() {
        found.push(problem);
        return None;
    }
    let unread = match document::read(&part.text, &Skips::new()) {
        Ok(raw) => return Some(raw),
        Err(unread) => unread,
    };
    // Serde stops at the first value of the wrong kind, so its error does not
    // show whether the text is YAML at all.
    if !matches!(unread, Unread::Bomb)
        && let Some(Unread::Error { words, offset }) = document::syntax_error(&part.text)
    {
        found.push(reader.not_yaml(&words, offset));
        return None;
    }
    reader.reread(unread, found)
}

/// Whether the parser may see the text, nesting aside.
pub(super) fn is_plain(part: &Part) -> bool {
    Reader { index: 0, part }.refuse_characters().is_none()
}

/// The part being read.
struct Reader<'t> {
    /// Its index.
    index: u32,
    /// Its text and names.
    part: &'t Part,
}

impl<'t> Reader<'t> {
    /// A problem with the text itself, at a stretch of it.
    fn at(&self, stretch: TextRange, code: ProblemCode, message: &str, hint: &str) -> Problem {
        let mut problem = error(code, self.document(), message, hint);
        problem.place = text_position::places(&self.part.text, &self.part.display, &[stretch]).pop();
        problem
    }

    /// Points at the whole part.
    fn document(&self) -> Pointer {
        Pointer {
            part: self.index,
            ..Pointer::default()
        }
    }

    /// Why the parser must not see this text, if so.
    fn refuse(&self) -> Option<Problem> {
        self.refuse_characters().or_else(|| self.too_deep())
    }

    /// The same, nesting aside.
    fn refuse_characters(&self) -> Option<Problem> {
        let text = &*self.part.text;
        if let Some(garbled) = self.part.garbled {
            return Some(self.garbled(garbled));
        }
        if let Some((byte, odd)) = odd_character(text) {
            return Some(self.odd(text_position::character(text, byte), odd));
        }
        if let Some(byte) = far_text(text) {
            let at = text_position::character(text, byte);
            return Some(self.at(
                (at, at + 1),
                ProblemCode::HiddenText,
                &format!(
                    "the line continues after {MOST_BLANKS} blanks or more, where a reviewer does not see it"
                ),
                "remove the blanks, or put the rest on its own line",
            ));
        }
        let mut directives = text.lines().filter(|line| line.starts_with('%'));
        if let Some(line) = directives.nth(MOST_DIRECTIVES) {
            // `lines` returns slices of the text, so the difference of their
            // addresses is the offset.
            let byte = line.as_ptr() as usize - text.as_ptr() as usize;
            let at = text_position::character(text, byte);
            return Some(self.at(
                (at, at + 1),
                ProblemCode::TooManyDirectives,
                "the text has too many YAML directives",
                "remove the lines that start with `%`",
            ));
        }
        None
    }

    /// A character that makes the text look different from what the parser
    /// reads.
    fn odd(&self, at: usize, odd: char) -> Problem {
        let stretch = (at, at + 1);
        if odd == '\r' {
            return self.at(
                stretch,
                ProblemCode::OddCharacter,
                "a carriage return without a line feed: YAML ends the line here, and a diff may not show it",
                "end lines with a line feed, or with both; within double quotes write it as `\\r`",
            );
        }
        self.at(
            stretch,
            ProblemCode::OddCharacter,
            &format!(
                "the text contains the invisible character {}",
                odd.escape_unicode()
            ),
            "remove it; if it is intended, write it as an escape within double quotes",
        )
    }

    /// Bytes that are not a text. PowerShell's `>` writes UTF-16, so that is
    /// named.
    fn garbled(&self, garbled: Garbled) -> Problem {
        let at = text_position::character(&self.part.text, garbled.offset);
        if garbled.utf16 {
            return self.at(
                (0, 1),
                ProblemCode::NotUtf8,
                "the file is UTF-16, not UTF-8",
                "save it again as UTF-8",
            );
        }
        self.at(
            (at, at + 1),
            ProblemCode::NotUtf8,
            &format!(
                "the file is not UTF-8: byte {} is not part of a character",
                garbled.offset + 1
            ),
            "save it again as UTF-8",
        )
    }

    /// Checks the nesting of a text with many brackets.
    fn too_deep(&self) -> Option<Problem> {
        let text = &*self.part.text;
        let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{'));
        if brackets.take(FEW_BRACKETS + 1).count() <= FEW_BRACKETS {
            return None;
        }
        let (at, words) = locate::depth(text)?;
        Some(match words {
            None => self.at(
                (at, at + 1),
                ProblemCode::TooDeep,
                &format!("lists and mappings are nested more than {MOST_LEVELS} levels deep"),
                "a manifest needs four levels: close the brackets before this one",
            ),
            Some(words) => self.yaml((at, at + 1), &words),
        })
    }

    /// A text that the parser rejects as YAML.
    fn not_yaml(&self, words: &str, offset: Option<usize>) -> Problem {
        let text = &*self.part.text;
        let Some(offset) = offset else {
            return self.several_documents();
        };
        let (what, context) = words.split_once(", while ").unwrap_or((words, ""));
        let at = text_position::character(text, offset);
        let begins = line_and_column(context).map(|(line, column)| text_position::index(text, line, column));
        let what = without_positions(what);
        if what.contains("end of stream")
            && let Some(begins) = begins
        {
            // The unclosed item is a better place to point at than the end of
            // the file.
            let words = format!("{what}, while {}", without_positions(context));
            return self.yaml((begins, begins + 1), &words);
        }
        let mut problem = self.yaml((at, at + 1), &what);
        if let Some(begins) = begins.filter(|begins| *begins < at) {
            problem.related = vec![Related {
                at: self.document(),
                place: text_position::places(text, &self.part.display, &[(begins, begins + 1)]).pop(),
                note: format!("while {}, which starts here", without_positions(context)),
            }];
        }
        problem
    }

    /// A syntax problem in the parser's words, with our hint.
    fn yaml(&self, at: TextRange, words: &str) -> Problem {
        let mut problem = self.at(
            at,
            ProblemCode::BadYaml,
            &format!("this is not YAML: {words}"),
            "",
        );
        let line = problem.place.as_ref().map_or("", |place| place.text.as_str());
        problem.hint = Some(syntax_hint(words, line).to_owned());
        problem
    }

    /// A text with several documents: it is unclear which one is intended.
    fn several_documents(&self) -> Problem {
        let (_, passed) = locate::misfits(&self.part.text);
        self.at(
            passed.second_document.unwrap_or((0, 1)),
            ProblemCode::SeveralDocuments,
            "the file contains more than one YAML document",
            "remove the line `---`, or put the documents into separate files",
        )
    }

    /// Reports what serde could not read past, and reads everything else.
    fn reread(&self, unread: Unread, found: &mut Found) -> Option<RawPart<'t>> {
        let text = &*self.part.text;
        let (misfits, passed) = locate::misfits(text);
        let (words, offset) = match unread {
            Unread::Bomb => {
                found.push(self.at(
                    passed.alias.unwrap_or((0, 1)),
                    ProblemCode::AliasBomb,
                    "aliases make this manifest many times larger than its text",
                    "write out the values",
                ));
                return None;
            }
            Unread::Error { words, offset } => (words, offset),
        };
        // A merge key is reported as such, whatever its value.
        let told = misfits.iter().filter(|misfit| !misfit.field.ends_with(".<<"));
        let mut silent = true;
        for misfit in told {
            found.push(self.misfit(misfit));
            silent = false;
        }
        let lost = |misfit: &TypeMismatch| misfit.user.is_none() && misfit.field.is_empty();
        let again = match misfits.iter().any(lost) {
            true => None,
            false => document::read(text, &locate::skips(&misfits)).ok(),
        };
        if again.is_none() && silent {
            // The walk and serde disagree, so only serde's message is left.
            let words = without_positions(&words);
            let at = offset.map_or(0, |offset| text_position::character(text, offset));
            let message = format!("this cannot be read: {words}");
            let hint = "compare it with the example in the documentation";
            found.push(self.at((at, at + 1), ProblemCode::BadYaml, &message, hint));
        }
        again
    }

    /// A value of the wrong kind.
    fn misfit(&self, misfit: &TypeMismatch) -> Problem {
        let TypeMismatch { user, field, wrong } = misfit;
        let at = Pointer {
            part: self.index,
            user: *user,
            field: (!field.is_empty()).then(|| field.clone()),
        };
        let kind = match wrong {
            Wrong::Value(kind) => kind,
            Wrong::Key(stretch) => {
                let problem = self.at(
                    *stretch,
                    ProblemCode::BadKey,
                    "a field's name is a list or a mapping",
                    "write a plain name, such as `email`",
                );
                return Problem { at, ..problem };
            }
        };
        let (message, hint) = misfit_words(*user, field, *kind);
        error(ProblemCode::WrongType, at, message, hint)
    }
}

/// The first character that makes a text look different from what is read, and
/// its byte offset.
fn odd_character(text: &str) -> Option<(usize, char)> {
    // Judged by the line alone: a `#` within quotes counts as a comment too.
    let (mut before, mut comment) = ('\n', false);
    text.char_indices().find(|(at, c)| {
        comment = match c {
            '\n' => false,
            '#' => comment || matches!(before, ' ' | '\t' | '\n'),
            _ => comment,
        };
        before = *c;
        match c {
            '\r' => !text[*at..].starts_with("\r\n"),
            // Within a value, they are escaped wherever the value is shown.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => comment,
            c => is_odd(*c),
        }
    })
}

/// Invisible characters that parsers disagree about: control characters, and
/// those that only old YAML takes for line breaks.
fn is_odd(c: char) -> bool {
    match c {
        '\t' | '\n' => false,
        '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}' => true,
        c => c.is_control(),
    }
}

/// Where a line continues after so many blanks that it is out of sight: the
/// byte offset of the first character after them.
fn far_text(text: &str) -> Option<usize> {
    let mut start = 0;
    for line in text.split('\n') {
        if line.len() > MOST_BLANKS
            && let Some(at) = behind_blanks(line)
        {
            return Some(start + at);
        }
        start += line.len() + 1;
    }
    None
}

/// The same within one line. Every invisible character counts as a blank.
fn behind_blanks(line: &str) -> Option<usize> {
    let mut blanks = 0;
    for (at, c) in line.char_indices() {
        match c {
            '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{2800}' | '\u{3164}' => blanks += 1,
            c if c.is_whitespace() => blanks += 1,
            _ if blanks >= MOST_BLANKS => return Some(at),
            _ => blanks = 0,
        }
    }
    None
}

/// The message for a value of the wrong kind, and what to write instead.
fn misfit_words(user: Option<u32>, field: &str, kind: Kind) -> (String, &'static str) {
    let kind = kind.name();
    match (user, field) {
        (None, "") => (
            format!("a manifest is a mapping with `version`, `company` and `users`, not {kind}"),
            "write `version: 1`, `company: biz_…`, and the users as a list under `users:`",
        ),
        (Some(user), "") => (
            format!("user {} is {kind}, not a mapping", u64::from(user) + 1),
            "write `- id: …`, and below it, with the same indentation, `email: …` and `name: …`",
        ),
        (None, "users") => (
            format!("`users` is {kind}, not a list"),
            "start every user with `- id: …`",
        ),
        (None, "guardrails") => (
            format!("`guardrails` is {kind}, not a mapping"),
            "write, for example, `guardrails: { max_updates: 30% }`",
        ),
        (Some(_), "metadata") => (
            format!("`metadata` is {kind}, not a mapping"),
            "write, for example, `metadata: { tier: gold }`",
        ),
        (Some(_), nested) if nested.starts_with("metadata.") => (
            format!("`{nested}` is {kind}, not a single value"),
            "metadata on Whop is flat: write one text, or several keys",
        ),
        (_, field) => (
            format!("`{field}` is {kind}, not a single value"),
            "write one value; put it in quotes if it contains brackets, braces or `: `",
        ),
    }
}

/// What to try, judging by the parser's message and the line.
fn syntax_hint(words: &str, line: &str) -> &'static str {
    let indent: &str = &line[..line.len() - line.trim_start().len()];
    if indent.contains('\t') || words.contains("tab") {
        "YAML is indented with spaces only: replace the tab"
    } else if words.contains("quoted scalar") {
        "close the quote; within single quotes write `''` for `'`"
    } else if words.contains("mapping values are not allowed") {
        "put a text that contains `: ` in quotes, and check the indentation"
    } else if words.contains("cannot start any token") || words.contains("unexpected character") {
        "put a text that starts with a special character such as `@` or `%` in quotes"
    } else if words.contains("anchor") || words.contains("alias") {
        "put a text that starts with `*` or `&` in quotes"
    } else if words.contains("flow") || words.contains("',' or") {
        "close every `[` and `{`, and put commas between what is inside"
    } else if words.contains("block") || words.contains("expected") {
        "indent this line like the others of its list or mapping, and check the line before"
    } else {
        "check indentation, quotes and brackets here and on the line before"
    }
}

/// The parser's message without ` at line 3 column 5` and ` at position 3`.
fn without_positions(words: &str) -> String {
    let mut kept = Vec::new();
    let mut words = words.split(' ').peekable();
    while let Some(word) = words.next() {
        if word == "at"
            && words
                .next_if(|next| matches!(*next, "line" | "position"))
                .is_some()
        {
            words.next();
            if words.next_if_eq(&"column").is_some() {
                words.next();
            }
        } else {
            kept.push(word);
        }
    }
    kept.join(" ")
}

/// The position in the parser's message, both from 1.
fn line_and_column(words: &str) -> Option<(usize, usize)> {
    let (_, rest) = words.split_once(" at line ")?;
    let (line, rest) = rest.split_once(" column ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((line.parse().ok()?, digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parsers_message_loses_only_its_positions() {
        let words = "did not find expected key at line 3 column 5, while x at line 1 column 12";
        let (what, context) = words.split_once(", while ").unwrap();
        assert_eq!(without_positions(what), "did not find expected key");
        assert_eq!(without_positions("bad at position 3"), "bad");
        assert_eq!(without_positions("look at this"), "look at this");
        assert_eq!(line_and_column(context), Some((1, 12)));
        assert_eq!(line_and_column("nothing"), None);
    }
}
