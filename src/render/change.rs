//! The old and new value of a change, for people: quoted, cut to a bearable
//! length, and in colour with the differing parts highlighted. The only user of
//! `similar`.

use std::fmt::Write as _;

use similar::{Algorithm, ChangeTag};

use super::escape::{self, Safe, Watch};
use super::fields;
use super::messages::plural;
use super::style::{Palette, Tone};
use crate::core::plan::{Cause, PictureChange};

/// Longest value shown in full, in characters. Names and titles are shorter;
/// anything longer must not flood the screen.
const LONGEST_VALUE: usize = 300;

/// Cuts a foreign value to a bearable length and returns how many characters
/// were cut.
pub(super) fn cut(text: &str) -> (&str, usize) {
    match text.char_indices().nth(LONGEST_VALUE) {
        None => (text, 0),
        Some((end, _)) => (&text[..end], text[end..].chars().count()),
    }
}

/// Says how many characters are not shown.
pub(super) fn ellipsis(more: usize) -> String {
    if more == 0 {
        return String::new();
    }
    format!("… and {} more", plural(more, "character"))
}

/// A foreign text on one line, cut if it is long.
pub(super) fn clipped(text: &str) -> String {
    let (text, more) = cut(text);
    format!("{}{}", Safe(text), ellipsis(more))
}

/// A foreign value in quotes, cut if it is long.
pub(super) fn quoted(text: &str) -> String {
    let (text, more) = cut(text);
    escape::quoted(text) + &ellipsis(more)
}

/// Old → new, with the differing parts highlighted.
pub(super) fn text_change(old: Option<&str>, new: &str, palette: Palette) -> String {
    let Some(old) = old else {
        return format!("none → {}", quoted(new));
    };
    let ((old, old_more), (new, new_more)) = (cut(old), cut(new));
    let (old, new) = emphasised(old, new, palette);
    format!("{old}{} → {new}{}", ellipsis(old_more), ellipsis(new_more))
}

/// Both values in quotes. In colour, removed and added parts are highlighted;
/// values with little in common are highlighted as a whole.
fn emphasised(old: &str, new: &str, palette: Palette) -> (String, String) {
    if palette == Palette::Plain {
        return (escape::quoted(old), escape::quoted(new));
    }
    let (before, after) = parts(old, new);
    let painted = |parts: Vec<(bool, &str)>, tone| {
        let mut out = String::from('"');
        let mut watch = Watch::within();
        for (differs, text) in parts {
            push_inner(&mut out, &mut watch, text, differs.then_some(tone));
        }
        out + "\""
    };
    (painted(before, Tone::Gone), painted(after, Tone::Come))
}

/// A value in parts, each with whether the other value lacks it.
pub(super) type Parts<'a> = Vec<(bool, &'a str)>;

/// Splits both values into parts. Values with little in common differ as a
/// whole.
pub(super) fn parts<'a>(old: &'a str, new: &'a str) -> (Parts<'a>, Parts<'a>) {
    let pieces = similar::utils::diff_graphemes(Algorithm::Myers, old, new);
    let bytes = |tag| -> usize {
        let of_tag = pieces.iter().filter(|(t, _)| *t == tag);
        of_tag.map(|(_, text)| text.len()).sum()
    };
    let common = bytes(ChangeTag::Equal);
    // Below half in common, highlighting single letters would be harder to read
    // than the two values.
    if common * 2 < old.len().max(new.len()) {
        return (vec![(true, old)], vec![(true, new)]);
    }
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (tag, text) in pieces {
        match tag {
            ChangeTag::Equal => {
                before.push((false, text));
                after.push((false, text));
            }
            ChangeTag::Delete => before.push((true, text)),
            ChangeTag::Insert => after.push((true, text)),
        }
    }
    (before, after)
}

/// A part of a value, escaped for use inside quotes.
fn push_inner(out: &mut String, watch: &mut Watch, text: &str, tone: Option<Tone>) {
    let mut inner = String::with_capacity(text.len());
    text.chars()
        .for_each(|c| escape::push_quoted(&mut inner, watch, c));
    match tone {
        // Writing to a String cannot fail.
        Some(tone) if !inner.is_empty() => {
            let _ = write!(out, "{}", Palette::Colour.paint(tone, inner));
        }
        _ => out.push_str(&inner),
    }
}

/// Old → new picture, with the file of the new one.
pub(super) fn picture_change(change: &PictureChange, created: bool) -> String {
    let new = &change.new;
    let new = format!("{} {}", fields::picture(new), clipped(&new.path));
    match old_picture(change, created) {
        Some(old) => format!("{old} → {new}"),
        None => new,
    }
}

/// What is known of the old picture; `None` if there was none. The known digest
/// is that of the picture last applied, so it does not describe one that
/// someone has set since.
pub(super) fn old_picture(change: &PictureChange, created: bool) -> Option<String> {
    let PictureChange {
        old,
        old_url,
        new: _,
        cause,
    } = change;
    let replaced = matches!(cause, Cause::Drifted | Cause::Both);
    match (old, old_url) {
        (_, Some(_)) if replaced => Some("the one on Whop".to_owned()),
        (Some(digest), _) => Some(digest.short()),
        (None, _) if created => None,
        (None, Some(_)) => Some("the one on Whop".to_owned()),
        (None, None) => Some("unknown".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::style::stripped;
    use super::*;
    use crate::core::sample;

    #[test]
    fn no_value_differs_from_the_word_none() {
        assert_eq!(text_change(None, "a", Palette::Plain), "none → \"a\"");
        assert_eq!(text_change(Some("none"), "a", Palette::Plain), "\"none\" → \"a\"");
        assert_eq!(text_change(Some(""), "a", Palette::Plain), "\"\" → \"a\"");
    }

    #[test]
    fn emphasis_never_changes_the_text() {
        let values = [
            "",
            "Ann",
            "Anne-Marie",
            "Å\u{30a}sa",
            "a\\\"b",
            "👩\u{200d}👩\u{200d}👧",
            "नमस्ते दुनिया",
            "नमस्ते",
        ];
        for old in values {
            for new in values {
                let painted = text_change(Some(old), new, Palette::Colour);
                assert_eq!(stripped(&painted), text_change(Some(old), new, Palette::Plain));
            }
        }
    }

    #[test]
    fn a_picture_says_what_is_known_of_the_old_one() {
        let shown = |change: &PictureChange, created| picture_change(change, created);
        let mut change = sample::picture_change(None, "a.png", Cause::New).unwrap();
        let new = format!("{} 49.3 kB 512×256 PNG a.png", change.new.digest.short());
        assert_eq!(shown(&change, true), new);
        assert_eq!(shown(&change, false), format!("unknown → {new}"));
        change.old_url = Some("https://img.test/x".into());
        assert_eq!(shown(&change, false), format!("the one on Whop → {new}"));
        change.old = Some(change.new.digest);
        let digest = change.new.digest.short();
        assert_eq!(shown(&change, false), format!("{digest} → {new}"));
        change.cause = Cause::Drifted;
        assert_eq!(shown(&change, false), format!("the one on Whop → {new}"));
    }
}
