//! The ways in which programs write a key down: as it is, with any of its
//! characters escaped as in URLs (`%61`), in HTML (`&#97;`) or in JSON
//! (`\u0061`), once or several times over, and as a whole in hexadecimal or
//! base64.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::zeroize::Zeroizing;

/// How often one escape may be wrapped in another.
const DEEPEST: usize = 8;

/// HTML's names of characters that keys could have.
const NAMED: [(&[u8], u8); 5] = [
    (b"amp;", b'&'),
    (b"lt;", b'<'),
    (b"gt;", b'>'),
    (b"quot;", b'"'),
    (b"apos;", b'\''),
];

/// A key in every spelling.
pub(super) struct Spellings {
    key: Zeroizing<Vec<u8>>,
    /// Those that no longer show its characters one by one.
    whole: Vec<Zeroizing<Vec<u8>>>,
    /// The bytes that some spelling begins with: all others are passed over.
    begins: [bool; 256],
}

impl Spellings {
    /// Of this key, which is visible ASCII.
    pub(super) fn of(key: &str) -> Self {
        let bytes = key.as_bytes();
        let hex = |upper: bool| -> Vec<u8> {
            let digits = if upper {
                b"0123456789ABCDEF"
            } else {
                b"0123456789abcdef"
            };
            let pairs = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            pairs.map(|digit| digits[usize::from(digit)]).collect()
        };
        let mut whole = vec![hex(false), hex(true)];
        // At each of its three places in groups of three bytes, without the
        // characters in which its neighbours have a share.
        for before in 0..3 {
            let padded = Zeroizing::new([&b"\0\0"[..before], bytes].concat());
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let text = Zeroizing::new(engine.encode(&*padded));
                let (first, end) = ([0, 2, 3][before], padded.len() / 3 * 4);
                whole.extend(text.as_bytes().get(first..end).map(<[u8]>::to_vec));
            }
        }
        // Too short a piece would be found anywhere.
        whole.retain(|spelling| spelling.len() >= bytes.len().max(8));
        let mut begins = [false; 256];
        let firsts = whole.iter().filter_map(|spelling| spelling.first());
        for byte in firsts.chain(bytes.first()).chain(br"%&\") {
            begins[usize::from(*byte)] = true;
        }
        Self {
            key: Zeroizing::new(bytes.to_vec()),
            whole: whole.into_iter().map(Zeroizing::new).collect(),
            begins,
        }
    }

    /// Where the key is written first, from a place in a text on.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        // No spelling is shorter than the key.
        let last = (text.len() + 1).saturating_sub(self.key.len());
        let begins = (from..last).filter(|at| self.begins[usize::from(text[*at])]);
        begins.into_iter().find_map(|begin| {
            let ends = self
                .whole_at(&text[begin..])
                .or_else(|| self.key_at(&text[begin..]));
            ends.map(|length| begin..begin + length)
        })
    }

    fn whole_at(&self, text: &[u8]) -> Option<usize> {
        let found = self.whole.iter().find(|spelling| text.starts_with(spelling));
        found.map(|spelling| spelling.len())
    }

    /// The length of the key at the beginning of a text, each character
    /// written in whatever way.
    fn key_at(&self, text: &[u8]) -> Option<usize> {
        // Of a backslash it is not clear whether it stands for itself, so
        // there may be several places to go on from.
        let mut places = vec![0];
        for wanted in &*self.key {
            let next = places.iter().flat_map(|at| {
                let lengths = character(&text[*at..], *wanted);
                lengths.into_iter().flatten().map(move |length| at + length)
            });
            places = next.collect();
            places.sort_unstable();
            places.dedup();
            if places.is_empty() {
                return None;
            }
        }
        places.last().copied()
    }
}

/// The lengths in which a character is written at the beginning of a text.
fn character(text: &[u8], wanted: u8) -> [Option<usize>; 2] {
    let plain = (text.first() == Some(&wanted)).then_some(1);
    let escaped = match text.first() {
        Some(b'%') => percent(text, wanted),
        Some(b'&') => entity(text, wanted),
        Some(b'\\') => backslashes(text, wanted),
        _ => None,
    };
    [plain, escaped]
}

/// `%61`, or `%2561` where the percent sign is escaped again.
fn percent(text: &[u8], wanted: u8) -> Option<usize> {
    let again = text[1..]
        .chunks(2)
        .take(DEEPEST)
        .take_while(|pair| *pair == b"25")
        .count();
    // The key's own percent sign is written so too.
    let at = |nested: usize| {
        let begin = 1 + 2 * nested;
        (number(text.get(begin..begin + 2)?, 16)? == u32::from(wanted)).then_some(begin + 2)
    };
    at(again).or_else(|| at(again.checked_sub(1)?))
}

/// `&#97;`, `&#x61;` or a name, where the ampersand may be escaped again.
fn entity(text: &[u8], wanted: u8) -> Option<usize> {
    let nested = text[1..]
        .chunks(4)
        .take(DEEPEST)
        .take_while(|part| *part == b"amp;")
        .count();
    let at = |nested: usize| {
        let begin = 1 + 4 * nested;
        let rest = text.get(begin..)?;
        if let Some((name, _)) = NAMED
            .iter()
            .find(|(name, c)| *c == wanted && rest.starts_with(name))
        {
            return Some(begin + name.len());
        }
        let (prefix, radix) = match rest {
            [b'#', b'x' | b'X', ..] => (2, 16),
            [b'#', ..] => (1, 10),
            _ => return None,
        };
        let digits = rest[prefix..].iter().take(DEEPEST);
        let digits = digits.take_while(|b| char::from(**b).is_digit(radix)).count();
        let end = prefix + digits;
        (number(&rest[prefix..end], radix)? == u32::from(wanted))
            .then(|| begin + end + usize::from(rest.get(end) == Some(&b';')))
    };
    at(nested).or_else(|| at(nested.checked_sub(1)?))
}

/// `\u0061` behind any number of backslashes, or a sign behind them.
fn backslashes(text: &[u8], wanted: u8) -> Option<usize> {
    let run = text
        .iter()
        .take(1 << DEEPEST)
        .take_while(|byte| **byte == b'\\')
        .count();
    let sign = *text.get(run)?;
    let code = text.get(run + 1..run + 5).filter(|_| sign == b'u');
    match code.and_then(|digits| number(digits, 16)) {
        Some(code) if code == u32::from(wanted) => Some(run + 5),
        _ if wanted == b'\\' => Some(run),
        // Before a letter it would be another character.
        _ => (sign == wanted && sign.is_ascii_punctuation()).then_some(run + 1),
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok()?;
    // A sign would be read too.
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric())
        .then(|| u32::from_str_radix(text, radix).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "zQ7/Key=<9>&\"v%\\X2~Lm4";

    fn hidden(text: &str) -> bool {
        let spellings = Spellings::of(KEY);
        let before = "0 é ";
        let found = spellings.find(format!("{before}{text} end").as_bytes(), 0);
        found == Some(before.len()..before.len() + text.len())
    }

    fn each(write: impl Fn(u32) -> String) -> String {
        KEY.chars().map(|c| write(c.into())).collect()
    }

    #[test]
    fn a_key_is_found_in_every_spelling_and_to_its_end() {
        let json = serde_json::to_string(KEY).unwrap();
        let json = json[1..json.len() - 1].to_owned();
        let html = KEY
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;");
        let percent = each(|c| format!("%{c:02x}"));
        for text in [
            KEY.to_owned(),
            json.clone(),
            json.replace('\\', "\\\\").replace('"', "\\\""),
            html.clone(),
            html.replace('&', "&amp;"),
            percent.clone(),
            percent.replace('%', "%25"),
            percent.replace('%', "%2525").to_uppercase(),
            each(|c| format!("\\u{c:04X}")),
            each(|c| format!("\\\\\\u{c:04x}")),
            each(|c| format!("&#{c};")),
            each(|c| format!("&#x{c:06x}")),
            each(|c| format!("&amp;#X{c:X};")),
            each(|c| format!("{c:02x}")),
            each(|c| format!("{c:02X}")),
            "zQ7/%4bey&#61;&lt;9>&\\\"v%25\\\\X2~\\u004cm4".to_owned(),
        ] {
            assert!(hidden(&text), "{text}");
        }
    }

    #[test]
    fn a_key_in_base64_is_found_wherever_it_begins() {
        let spellings = Spellings::of(KEY);
        for before in ["", ":", "a:", "abc:", "user:"] {
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let text = engine.encode(format!("{before}{KEY}?"));
                let found = spellings.find(text.as_bytes(), 0).expect(before);
                // What is left is no more than shares with its neighbours.
                assert!(
                    text.len() - found.len() <= before.len() * 4 / 3 + 6,
                    "{before} {found:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_not_the_key_is_not_found() {
        let spellings = Spellings::of(KEY);
        let half = &KEY[..KEY.len() - 1];
        for text in [
            "",
            "zQ7",
            half,
            &half.repeat(3),
            "%7a%51",
            "\\u007a\\u0051",
            "%",
            "&#",
            "\\u",
            "\\",
        ] {
            assert_eq!(spellings.find(text.as_bytes(), 0), None, "{text}");
        }
        // Escapes without end take no time.
        for part in ["\\", "%25", "&amp;", "\\u005c", "&#0000"] {
            assert_eq!(spellings.find(part.repeat(10_000).as_bytes(), 0), None, "{part}");
        }
    }
}
