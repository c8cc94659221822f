//! Masks email addresses in documents with a wide audience. What is left is
//! enough to recognise an address that one already knows.

use std::borrow::Cow;

/// An address without all but the first character of its local part:
/// `j…@shop.co`. Of a text without a domain only the first character is kept.
pub(crate) fn address(text: &str) -> String {
    let (local, domain) = match text.rsplit_once('@') {
        Some((local, domain)) => (local, Some(domain)),
        None => (text, None),
    };
    let mut masked: String = local.chars().take(1).collect();
    masked.push('…');
    if let Some(domain) = domain {
        masked.push('@');
        masked.push_str(domain);
    }
    masked
}

/// A sentence with every address in it masked. Whatever is delimited by white
/// space, quotes, brackets or commas and has text on both sides of an `@`
/// counts as an address.
pub(crate) fn addresses(sentence: &str) -> Cow<'_, str> {
    if !sentence.contains('@') {
        return Cow::Borrowed(sentence);
    }
    let ends = |c: char| c.is_whitespace() || "`'\"<>()[]{},;:".contains(c);
    let mut masked = String::with_capacity(sentence.len());
    for piece in sentence.split_inclusive(ends) {
        let word = piece.trim_end_matches(ends);
        match word.rsplit_once('@') {
            Some((local, domain)) if !local.is_empty() && !domain.is_empty() => {
                masked.push_str(&address(word));
            }
            _ => masked.push_str(word),
        }
        masked.push_str(&piece[word.len()..]);
    }
    Cow::Owned(masked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_first_character_and_its_domain() {
        for (text, masked) in [
            ("jane.doe@shop.co", "j…@shop.co"),
            ("é@shop.co", "é…@shop.co"),
            ("\"a@b\"@shop.co", "\"…@shop.co"),
            ("@shop.co", "…@shop.co"),
            ("nobody", "n…"),
            ("", "…"),
        ] {
            assert_eq!(address(text), masked);
        }
    }

    #[test]
    fn every_address_in_a_sentence_is_masked_and_nothing_else() {
        for (said, masked) in [
            (
                "the email `jane@shop.co` is taken by <Bob@x.org>, so (b@c.de) is not",
                "the email `j…@shop.co` is taken by <B…@x.org>, so (b…@c.de) is not",
            ),
            (
                "see @all at 5 @ 3, mailto:a1@b.c",
                "see @all at 5 @ 3, mailto:a…@b.c",
            ),
            ("nothing to hide", "nothing to hide"),
        ] {
            assert_eq!(addresses(said), masked);
        }
    }
}
