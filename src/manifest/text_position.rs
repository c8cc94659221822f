//! Converts between character offsets and places with lines and columns.
//!
//! A line ends at `LF`, `CR` or both together, as in every editor.

use crate::core::problem::Place;

/// A range of text, in characters from the start.
pub(super) type TextRange = (usize, usize);

/// The longest line that a [`Place`] quotes, in characters; a longer one is
/// cut. A manifest of one endless line must not be copied for every problem in
/// it.
pub(super) const MOST_QUOTED: usize = 1_000;

/// Turns ranges of a text into places, in one pass over the text.
pub(super) fn places(text: &str, file: &str, stretches: &[TextRange]) -> Vec<Place> {
    let mut order: Vec<usize> = (0..stretches.len()).collect();
    order.sort_by_key(|index| stretches[*index]);
    let mut order = order.into_iter().peekable();
    let mut places = vec![None; stretches.len()];
    let mut line = CurrentLine {
        number: 1,
        first: 0,
        start: 0,
    };
    let mut characters = text.char_indices().enumerate().peekable();
    while order.peek().is_some() {
        let next = characters.next();
        // Ranges beyond the last character get their place here.
        let at = next.map_or(usize::MAX, |(index, _)| index);
        let byte = next.map_or(text.len(), |(_, (byte, _))| byte);
        while let Some(index) = order.next_if(|index| stretches[*index].0 <= at) {
            places[index] = Some(line.place(text, file, byte, stretches[index]));
        }
        let ends = match next {
            Some((_, (_, '\n'))) => true,
            Some((_, (_, '\r'))) => !matches!(characters.peek(), Some((_, (_, '\n')))),
            _ => false,
        };
        if ends {
            line = CurrentLine {
                number: line.number.saturating_add(1),
                first: at + 1,
                start: byte + 1,
            };
        }
    }
    places.into_iter().flatten().collect()
}

/// The current line of a pass over a text.
struct CurrentLine {
    /// From 1.
    number: u32,
    /// The character index of its start.
    first: usize,
    /// The byte offset of its start.
    start: usize,
}

impl CurrentLine {
    /// The place of a range that starts at this byte. A range may span several
    /// lines; its start is in this one.
    fn place(&self, text: &str, file: &str, byte: usize, (from, to): TextRange) -> Place {
        let in_line = |from: usize, most: usize| {
            let characters = text[from..].chars();
            characters.take_while(|c| !matches!(c, '\n' | '\r')).take(most)
        };
        let length = to.saturating_sub(from).min(MOST_QUOTED);
        // Only needed if the range starts beyond the end of the text.
        let column = match byte == text.len() {
            true => text[self.start..].chars().count(),
            false => from - self.first,
        };
        Place {
            file: file.to_owned(),
            line: self.number,
            column: narrow(column + 1),
            length: narrow(in_line(byte, length).count().max(1)),
            text: in_line(self.start, MOST_QUOTED).collect(),
        }
    }
}

/// A count as stored in places; saturates.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The character index of a byte offset; an offset within a character belongs
/// to it.
pub(super) fn character(text: &str, byte: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < byte).count()
}

/// The character index of a line and column, both from 1.
pub(super) fn index(text: &str, line: usize, column: usize) -> usize {
    let mut characters = text.chars().enumerate().peekable();
    let mut at = 1;
    while at < line {
        match characters.next() {
            Some((_, '\r')) if matches!(characters.peek(), Some((_, '\n'))) => {}
            Some((_, '\n' | '\r')) => at += 1,
            Some(_) => {}
            None => break,
        }
    }
    characters
        .peek()
        .map_or_else(|| text.chars().count(), |(index, _)| *index)
        + column.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_quote_their_line_and_cut_an_endless_one() {
        let text = "a\r\nbé: c\rd";
        let quoted: Vec<_> = places(text, "f", &[(3, 4), (8, 9), (99, 120), (0, 1)])
            .into_iter()
            .map(|place| (place.line, place.column, place.text))
            .collect();
        let expected = [(2, 1, "bé: c"), (2, 6, "bé: c"), (3, 2, "d"), (1, 1, "a")];
        assert_eq!(
            quoted,
            expected.map(|(line, column, text)| (line, column, text.to_owned()))
        );
        let endless = "x".repeat(5_000);
        assert_eq!(
            places(&endless, "f", &[(4_000, 4_001)])[0].text.len(),
            MOST_QUOTED
        );
    }

    #[test]
    fn lines_and_offsets_become_characters() {
        let text = "é\r\nb\rcd";
        assert_eq!(index(text, 1, 1), 0);
        assert_eq!(index(text, 2, 1), 3);
        assert_eq!(index(text, 3, 2), 6);
        assert_eq!(
            (character(text, 0), character(text, 2), character(text, 99)),
            (0, 1, 7)
        );
    }
}
