//! Reads a part in chunks: the list of users is cut between users, and the
//! chunks are read and checked in parallel, by [`super::fast_path`] where
//! possible.
//!
//! The parser keeps every event of a text until it has read the last one, so a
//! text of a hundred megabytes would take a gigabyte. In chunks it takes only
//! what the current chunks need.
//!
//! A text is cut at lines that start with the dash of the list of users. Such a
//! line can be something else only inside quotes or brackets, and then both
//! chunks are broken, since one ends within an open quote or bracket. Texts
//! that cannot be read in chunks, for this or another reason (an alias across
//! chunks, a mistake), are left to [`super::syntax`], which reads the whole
//! text and reports what is wrong. This module never decides that a text is
//! wrong.
//! whole and has the words for it. So this never decides that a text is wrong.

use super::check::{self, Checked};
use super::diagnostics::Found;
use super::document::{self, RawPart, RawUsers};
use super::fast_path;
use super::scalar::Skips;
use super::sources::Part;
use super::syntax;
use crate::parallel::map_parallel;

/// The length of a chunk in bytes, extended to the next user.
const PIECE: usize = 256 * 1024;

/// How many chunks are read before they are joined. The memory that they were
/// read into is then reused.
const ROUND: usize = 64;

/// A part that was read in chunks.
pub(super) struct InChunks<'t> {
    /// Everything above the users; its list of users is empty.
    pub(super) head: RawPart<'t>,
    /// The users.
    pub(super) users: Checked,
    /// The problems of the users.
    pub(super) found: Found,
}

/// A text, cut.
struct Cut<'t> {
    head: RawPart<'t>,
    pieces: Vec<Chunk<'t>>,
}

/// A section of the list of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk<'t> {
    text: &'t str,
    /// The index of its first user.
    first: u32,
    /// The number of its users.
    users: u32,
}

/// Reads every part that can be read in chunks; `None` for the others.
pub(super) fn read(parts: &[Part]) -> Vec<Option<InChunks<'_>>> {
    read_by(parts, PIECE)
}

fn read_by(parts: &[Part], length: usize) -> Vec<Option<InChunks<'_>>> {
    let cuts: Vec<_> = parts.iter().map(|part| cut(part, length)).collect();
    let work: Vec<(u32, Chunk<'_>)> = (0..)
        .zip(&cuts)
        .flat_map(|(part, cut)| {
            cut.iter()
                .flat_map(move |cut| cut.pieces.iter().map(move |piece| (part, *piece)))
        })
        .collect();
    // Lazy: a round is read only when the previous one has been joined.
    let mut read = work
        .chunks(ROUND)
        .flat_map(|round| map_parallel(round, || (), |(), (part, piece)| users(*part, *piece)));
    cuts.into_iter()
        .map(|cut| {
            let Cut { head, pieces } = cut?;
            let count = pieces.iter().map(|piece| piece.users as usize).sum();
            join(head, count, read.by_ref().take(pieces.len()))
        })
        .collect()
}

/// Joins the chunks of a part that has this many users. Reads all of them, even
/// after one that could not be read.
fn join<'t>(
    head: RawPart<'t>,
    count: usize,
    pieces: impl Iterator<Item = Option<(Checked, Found)>>,
) -> Option<InChunks<'t>> {
    let mut users = Checked::default();
    users.entries.reserve_exact(count);
    let mut whole = Some(InChunks {
        head,
        users,
        found: Found::default(),
    });
    for piece in pieces {
        whole = whole.zip(piece).map(|(mut whole, (users, found))| {
            whole.users.append(users);
            whole.found.append(found);
            whole
        });
    }
    whole
}

/// Reads and checks a chunk; `None` if it is not what it seemed to be.
fn users(part: u32, piece: Chunk<'_>) -> Option<(Checked, Found)> {
    let users = fast_path::users(piece.text).or_else(|| document::read_users(piece.text).ok())?;
    if users.len() != piece.users as usize {
        return None;
    }
    let mut found = Found::default();
    let checked = check::users(part, piece.first, users, &mut found);
    Some((checked, found))
}

/// Cuts a part's list of users; `None` if the part is written in another way,
/// or must not be passed to the parser as it is.
fn cut(part: &Part, length: usize) -> Option<Cut<'_>> {
    let text = &*part.text;
    if !syntax::is_plain(part) {
        return None;
    }
    let list = list_of_users(text)?;
    let (head, list) = text.split_at(list);
    let pieces = pieces(list, length)?;
    if brackets(head) > syntax::FEW_BRACKETS {
        return None;
    }
    let mut head = document::read(head, &Skips::new()).ok()?;
    if !matches!(head.users, RawUsers::Null) {
        return None;
    }
    head.users = RawUsers::List(Vec::new());
    Some(Cut { head, pieces })
}

/// The start of the lines after `users:`.
fn list_of_users(text: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        at += line.len();
        if let Some(rest) = line.strip_prefix("users:")
            && (rest.trim().is_empty() || rest.trim_start().starts_with('#') && rest.starts_with(' '))
        {
            return Some(at);
        }
    }
    None
}

/// Cuts a list that extends to the end of the text.
fn pieces(list: &str, length: usize) -> Option<Vec<Chunk<'_>>> {
    let mut pieces = Vec::new();
    let (mut begin, mut first, mut users, mut at) = (0, 0, 0_u32, 0);
    let (mut indent, mut open) = (None, 0);
    for line in list.split_inclusive('\n') {
        let here = at;
        at += line.len();
        let content = line.trim_start_matches(' ');
        let spaces = line.len() - content.len();
        if content.trim().is_empty() || content.starts_with('#') {
            continue;
        }
        let is_dash = content
            .strip_prefix('-')
            .is_some_and(|rest| rest.starts_with([' ', '\n', '\r']));
        if is_dash && *indent.get_or_insert(spaces) == spaces {
            if users > 0 && here - begin >= length {
                pieces.push(Chunk {
                    text: &list[begin..here],
                    first,
                    users,
                });
                (begin, first, users) = (here, first + users, 0);
            }
            users = users.checked_add(1)?;
            open = 0;
        } else if spaces <= indent? || content.starts_with('\t') {
            return None;
        }
        open += brackets(content);
        // More than these could be nested too deeply for the parser.
        if open > syntax::FEW_BRACKETS {
            return None;
        }
    }
    pieces.push(Chunk {
        text: &list[begin..],
        first,
        users,
    });
    // Nothing at all is not a list.
    (users > 0).then_some(pieces)
}

fn brackets(text: &str) -> usize {
    text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count()
}

/// A part read in chunks of this length, as text for comparison.
#[cfg(any(test, fuzzing))]
pub(super) fn shown_in_pieces(parts: &[Part], length: usize) -> Option<String> {
    let InChunks { head, users, found } = read_by(parts, length).pop()??;
    Some(format!("{head:?} {users:?} {:?}", found.all()))
}

/// The same part read as a whole.
#[cfg(any(test, fuzzing))]
pub(super) fn shown_whole(part: &Part) -> Option<String> {
    let mut found = Found::default();
    let mut head = syntax::read(0, part, &mut found)?;
    let RawUsers::List(list) = &mut head.users else {
        return None;
    };
    let users = check::users(0, 0, std::mem::take(list), &mut found);
    Some(format!("{head:?} {users:?} {:?}", found.all()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(text: &str) -> Part {
        Part {
            text: text.to_owned(),
            garbled: None,
            display: "users.yaml".to_owned(),
            directory: ".".into(),
        }
    }

    /// Reads with a cut at every user; as text for comparison.
    fn in_pieces(text: &str) -> Option<String> {
        shown_in_pieces(&[part(text)], 1)
    }

    fn whole(text: &str) -> Option<String> {
        shown_whole(&part(text))
    }

    const HEAD: &str = "version: 1\ncompany: biz_x\nusers: # ours\n";

    #[test]
    fn a_simple_list_is_cut_at_every_user() {
        for indent in ["", "  "] {
            let user = |n: u8| {
                format!(
                    "{indent}- id: u{n}\n\n{indent}  email: u{n}@a.co\n# note\n{indent}  name: '-'\n{indent}  avatar: a.png\n"
                )
            };
            let text = format!("{HEAD}\n{}{}{}", user(0), user(1), user(2));
            let list = &text[list_of_users(&text).unwrap()..];
            let found: Vec<_> = pieces(list, 1)
                .unwrap()
                .iter()
                .map(|piece| (piece.first, piece.users))
                .collect();
            assert_eq!(found, [(0, 1), (1, 1), (2, 1)]);
            assert!(in_pieces(&text).is_some());
            assert_eq!(in_pieces(&text), whole(&text));
        }
    }

    #[test]
    fn what_spans_a_cut_is_read_as_a_whole() {
        let good = "  - {id: a, email: a@b.co, name: A}\n";
        for bad in [
            "  - id: b\n    name: \"x\n  - y\"\n",
            "  - id: b\n    title: &t T\n  - title: *t\n",
            "  - [x,\n  - y]\n",
            "  - id: b\nguardrails: {}\n",
            "  - id: b\n...\n",
            "  - id: b\n   - id: c\n",
            "  - id: b\n\tname: x\n",
            "  - id: b # \r\r- x\n",
        ] {
            let text = format!("{HEAD}{good}{bad}");
            assert_eq!(in_pieces(&text), None, "{bad}");
        }
        let deep = format!("{HEAD}{good}  - id: {}\n", "[".repeat(100));
        assert_eq!(in_pieces(&deep), None);
    }

    /// Mostly well-formed users, so that many texts can be cut.
    fn lines() -> impl Strategy<Value = &'static str> {
        prop_oneof![
            3 => Just("  - id: h\n    email: h@b.co\n    name: H\n"),
            1 => Just("  - id: i\n    metadata: &m {a: b}\n    title: |\n      - T\n"),
            2 => Just("  - id: j\n    name: \"N: #n\"\n    metadata: { a: b c, d_e: '1' }\n    avatar: ./é.png\n"),
            1 => Just("  -  id: 1\r\n     email: 'h@b.co'\n     metadata:\n      a: b\n      c:  \"d\"\n"),
            2 => line(),
        ]
    }

    fn line() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "  - id: a\n",
            "  - id: b\n",
            "- id: c\n",
            "    - id: d\n",
            "  -\n",
            "  - - x\n",
            "  - ~\n",
            "    email: a@b.co\n",
            "    email: b@b.co\n",
            "    name: N\n",
            "    name: N\n      more\n",
            "    name: \"x\n",
            "  - y\"\n",
            "    name: 'it''s\n",
            "  '\n",
            "    name: |\n",
            "      - text\n",
            "   - less\n",
            "    name: >1\n",
            "     - q\n",
            "    metadata: {a: 1,\n",
            "    b: 2}\n",
            "  - {id: e}\n",
            "    metadata: [\n",
            "    ]\n",
            "    title: &t T\n",
            "    title: *t\n",
            "    title: null\n",
            "    title: a: b\n",
            "    title: a:b #c\n",
            "    title: é\n",
            "    metadata: { a: b, c: d e }\n",
            "    metadata: {a: b}\n",
            "    metadata: {a: b, a: c}\n",
            "    metadata: {a:b}\n",
            "    metadata: { }\n",
            "      a: b\n",
            "      a: [c]\n",
            "     c: d\n",
            "    <<: *t\n",
            "    metadata:\n",
            "# c\n",
            "  # c\n",
            "\n",
            "   \n",
            "other: 1\n",
            "users:\n",
            "---\n",
            "...\n",
            "\t- x\n",
            "    \"q\n",
            "    ? key\n",
            "    : value\n",
            "    name: !env N\n",
            "  - id: f\r\n",
            "    nmae: x\n",
            "  - id: g # c",
        ])
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn chunks_never_read_anything_else(lines in prop::collection::vec(lines(), 1..12)) {
            let text = format!("{HEAD}{}", lines.concat());
            if let Some(read) = in_pieces(&text) {
                prop_assert_eq!(Some(read), whole(&text));
            }
        }
    }
}
