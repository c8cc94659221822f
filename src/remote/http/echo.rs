//! Takes the key out of what comes back. Errors end up in messages and pages
//! in plans; a server must not get the key there by echoing what it was sent.

use std::borrow::Cow;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// What stands in the key's place.
const HIDDEN: &str = "<key>";

/// A key shorter than this is looked for in errors only. Whop gives out none;
/// the emulator takes any, and one such as `any` stands in half of all words,
/// ids among them.
const SHORT: usize = 16;

/// A text without the key.
pub(super) fn text(key: &SecretString, text: &str) -> String {
    text.replace(key.expose_secret(), HIDDEN)
}

/// A body without the key. In a JSON text it may be written in many ways, so
/// an error's is read and written anew. A page's is not: it is large, and only
/// the ways that serialisers use are looked for.
pub(super) fn body(key: &SecretString, status: u16, body: Bytes) -> Bytes {
    let is_error = !(200..300).contains(&status);
    if !is_error && key.expose_secret().len() < SHORT {
        return body;
    }
    if is_error && let Ok(mut value) = serde_json::from_slice::<Value>(&body) {
        walk(key, &mut value);
        return value.to_string().into();
    }
    let plain = key.expose_secret();
    let escaped = Value::from(plain).to_string();
    let escaped = &escaped[1..escaped.len() - 1];
    let within = |form: &str| {
        let form = form.as_bytes();
        body.windows(form.len()).any(|window| window == form)
    };
    if !within(plain) && !within(escaped) {
        return body;
    }
    let lossy: Cow<'_, str> = String::from_utf8_lossy(&body);
    lossy.replace(escaped, HIDDEN).replace(plain, HIDDEN).into()
}

/// Every text of a value, names included.
fn walk(key: &SecretString, value: &mut Value) {
    match value {
        Value::String(found) if found.contains(key.expose_secret()) => *found = text(key, found),
        Value::Array(values) => values.iter_mut().for_each(|value| walk(key, value)),
        Value::Object(fields) => {
            let named = std::mem::take(fields).into_iter();
            *fields = named
                .map(|(name, mut value)| {
                    walk(key, &mut value);
                    (text(key, &name), value)
                })
                .collect();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_found_however_json_writes_it() {
        let key = SecretString::from("a_long_a\"K/9_key");
        for status in [200, 400] {
            for written in [
                r#"{"message":"no a_long_a\"K/9_key!","a_long_a\"K/9_key":[{"x":"a_long_a\"K/9_key"}]}"#,
                "<p>a_long_a\"K/9_key</p>",
            ] {
                let shown = body(&key, status, Bytes::from(written));
                let shown = String::from_utf8(shown.to_vec()).unwrap();
                assert!(!shown.contains("K/9") && shown.contains(HIDDEN), "{shown}");
            }
        }
        let key = SecretString::from("a\"K/9");
        let odd = r#"{"message":"\u0061\u0022\u004b\/\u0039"}"#;
        let shown = body(&key, 500, Bytes::from(odd));
        assert_eq!(shown, r#"{"message":"<key>"}"#);
    }

    #[test]
    fn a_word_for_a_key_spoils_no_answer() {
        let key = SecretString::from("any");
        let page = r#"{"parent_company":"biz_many"}"#;
        assert_eq!(body(&key, 200, Bytes::from(page)), page);
        assert_eq!(body(&key, 400, Bytes::from("not any")), "not <key>");
    }

    #[test]
    fn all_else_stays_to_the_byte() {
        let key = SecretString::from("a\"K/9");
        for bytes in [&b""[..], b"\xff\xd8\0", br#"{ "a" : 1.50 }"#] {
            assert_eq!(body(&key, 200, Bytes::from_static(bytes)), bytes);
        }
        assert_eq!(
            body(&key, 502, Bytes::from_static(b"\xffgateway")),
            &b"\xffgateway"[..]
        );
    }
}
