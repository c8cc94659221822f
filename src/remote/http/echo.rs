//! Removes the key from answers. Errors end up in messages and pages in plans;
//! a server must not put the key there by echoing it.
//!
//! Everything printed comes from texts, so texts are searched after JSON
//! escapes are undone: it does not matter how a server writes them. Within a
//! text the key may be encoded once more, as in a URL, in HTML or in quoted
//! JSON; [`spelling`] knows the encodings that programs use.

mod spelling;

use std::borrow::Cow;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::de::IgnoredAny;

use spelling::Spellings;

/// The replacement for the key.
const HIDDEN: &str = "<key>";

/// A shorter key is searched for in errors only. Whop issues none, but the
/// emulator accepts any, and one such as `any` is part of many words, ids among
/// them.
const SHORT: usize = 16;

/// The key to remove.
pub(super) struct Echo {
    key: SecretString,
    spellings: Spellings,
}

impl Echo {
    pub(super) fn new(key: SecretString) -> Self {
        Self {
            spellings: Spellings::of(key.expose_secret()),
            key,
        }
    }

    /// A text without the key.
    pub(super) fn text(&self, text: &str) -> String {
        self.without(text).into_owned()
    }

    /// A body without the key. Only texts that contain the key are changed;
    /// everything else is kept byte for byte.
    pub(super) fn body(&self, status: u16, body: Bytes) -> Bytes {
        let is_error = !(200..300).contains(&status);
        if !is_error && self.key.expose_secret().len() < SHORT {
            return body;
        }
        let clean = match serde_json::from_slice::<IgnoredAny>(&body) {
            Ok(_) => self.json(&body),
            Err(_) => match self.without(&String::from_utf8_lossy(&body)) {
                Cow::Borrowed(_) => None,
                Cow::Owned(clean) => Some(clean.into_bytes()),
            },
        };
        clean.map_or(body, Bytes::from)
    }

    /// JSON without the key in any of its texts, names included; `None` if it
    /// has none.
    fn json(&self, body: &[u8]) -> Option<Vec<u8>> {
        let mut clean: Option<Vec<u8>> = None;
        // How much of `body` was copied, and how much was searched.
        let (mut done, mut at) = (0, 0);
        while let Some(begin) = body[at..].iter().position(|byte| *byte == b'"') {
            let begin = at + begin + 1;
            let end = begin + text_length(&body[begin..]);
            let text = unescaped(&body[begin..end]);
            if let Cow::Owned(without) = self.without(&text) {
                let clean = clean.get_or_insert_default();
                clean.extend_from_slice(&body[done..begin - 1]);
                clean.extend_from_slice(serde_json::Value::from(without).to_string().as_bytes());
                done = end + 1;
            }
            at = (end + 1).min(body.len());
        }
        let mut clean = clean?;
        clean.extend_from_slice(&body[done..]);
        Some(clean)
    }

    fn without<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut clean = String::new();
        let mut done = 0;
        while let Some(found) = self.spellings.find(text.as_bytes(), done) {
            // A key is ASCII in every spelling, so these are character
            // boundaries.
            clean.push_str(&text[done..found.start]);
            clean.push_str(HIDDEN);
            done = found.end;
        }
        if done == 0 {
            return Cow::Borrowed(text);
        }
        clean.push_str(&text[done..]);
        Cow::Owned(clean)
    }
}

/// The length of a JSON text up to its closing quote.
fn text_length(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(step) = text[at..].iter().position(|byte| matches!(byte, b'"' | b'\\')) {
        at += step;
        if text[at] == b'"' {
            return at;
        }
        at = (at + 2).min(text.len());
    }
    text.len()
}

/// The content of a JSON text. An unpaired surrogate, which no text can hold,
/// becomes U+FFFD.
fn unescaped(text: &[u8]) -> Cow<'_, str> {
    if !text.contains(&b'\\') {
        return String::from_utf8_lossy(text);
    }
    let text = String::from_utf8_lossy(text);
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let said = match c {
            '\\' => match rest.next() {
                Some('u') => {
                    let digits = rest.as_str().get(..4).unwrap_or_default();
                    rest = rest.as_str()[digits.len()..].chars();
                    units.push(u16::from_str_radix(digits, 16).unwrap_or(0xFFFD));
                    continue;
                }
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                // A quote, a slash or a backslash.
                escaped => escaped.unwrap_or('\\'),
            },
            c => c,
        };
        units.extend_from_slice(said.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16_lossy(&units).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "apik_0123456789abcdef";

    fn echo(key: &str) -> Echo {
        Echo::new(SecretString::from(key))
    }

    fn shown(key: &str, status: u16, body: impl Into<Bytes>) -> String {
        String::from_utf8(echo(key).body(status, body.into()).to_vec()).unwrap()
    }

    #[test]
    fn the_key_is_found_however_json_writes_it() {
        let key = "a_long_a\"K/9_key";
        for status in [200, 400] {
            for written in [
                r#"{"message":"no a_long_a\"K/9_key!","a_long_a\"K/9_key":[{"x":"a_long_a\"K/9_key"}]}"#,
                "<p>a_long_a\"K/9_key</p>",
                r#"{"message":"\u0061_long\u005fa\u0022\u004b\/\u0039_ke\u0079"}"#,
                r#"{"message":"\ud800 \u0061_long_a\u0022K/9_key \ud83d\ude00\n"}"#,
                r#"{"deep":{"a":[1, "\u0061_long\u005Fa\"K\/9_key"]}}"#,
            ] {
                let shown = shown(key, status, written);
                assert!(!shown.contains("9_ke") && shown.contains(HIDDEN), "{shown}");
                assert!(!shown.contains("005f") && !shown.contains("0061"), "{shown}");
            }
        }
    }

    #[test]
    fn every_mixture_of_escapes_is_undone() {
        for seed in 0..500_u32 {
            let written: String = LONG
                .chars()
                .enumerate()
                .map(
                    |(n, c)| match seed.wrapping_mul(2_654_435_761).rotate_left(n as u32 * 5) >> 30 {
                        0 => format!("\\u{:04x}", u32::from(c)),
                        1 => format!("\\u{:04X}", u32::from(c)),
                        _ => c.to_string(),
                    },
                )
                .collect();
            let body = format!(r#"{{"data":[{{"title":"x {written} y","n":1.0000000000000000001}}]}}"#);
            assert_eq!(
                shown(LONG, 200, body),
                r#"{"data":[{"title":"x <key> y","n":1.0000000000000000001}]}"#,
                "{written}"
            );
        }
    }

    #[test]
    fn a_common_word_as_key_changes_no_answer() {
        let page = r#"{"parent_company":"biz_many"}"#;
        assert_eq!(shown("any", 200, page), page);
        assert_eq!(shown("any", 400, "not any"), "not <key>");
    }

    #[test]
    fn everything_else_is_kept_byte_for_byte() {
        let echo = echo(LONG);
        for bytes in [
            &b""[..],
            b"\xff\xd8\0",
            br#"{ "a" : 1.50 }"#,
            br#"{"a":"\ud800\u0061\/","b":"\"", "apik_":""}"#,
            b"\xffgateway \"apik",
        ] {
            for status in [200, 502] {
                assert_eq!(echo.body(status, Bytes::from_static(bytes)), bytes);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn json_stays_json_and_loses_the_key(text in r#"(\PC|\\|"|apik_0123456789abcdef){0,40}"#) {
            let value = serde_json::json!({ &*text: [text, 1.5], "t": LONG });
            let shown = shown(LONG, 200, value.to_string());
            proptest::prop_assert!(!shown.contains(LONG));
            let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
            proptest::prop_assert_eq!(&read["t"], HIDDEN);
        }
    }
}
