//! A create whose answer was lost, to be sent once more.
//!
//! The request comes from the journal, and anybody may have written that. So
//! its body is read here, and a [`Resend`] exists only where the body asks for
//! exactly what the manifest asks for now: what a plan shows of a create is
//! then also what its bytes say.

use super::model::PreparedCall;
use super::text::Texts;
use super::value::{Email, Title, UserKey};

/// The longest idempotency key that is sent, in bytes. Ours have 64.
const LONGEST_KEY: usize = 255;

/// What a create asks Whop for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// For which user.
    pub key: &'a UserKey,
    /// The owner's address.
    pub email: &'a Email,
    /// The account's title.
    pub title: &'a Title,
    /// Its metadata, identity keys included.
    pub metadata: &'a Texts,
}

/// A request of an earlier run that may be sent again, to the byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resend(PreparedCall);

impl Resend {
    /// The request, if its body asks for this and for nothing else, written as
    /// we write it; `None` for any other body, and for an idempotency key that
    /// is none of ours and could be more than one header. The body of the
    /// companies dialect is never read: there a create cannot be repeated.
    pub fn of(call: &PreparedCall, asked: Asked<'_>) -> Option<Self> {
        let PreparedCall {
            version: _,
            idempotency_key,
            body,
        } = call;
        let is_key = !idempotency_key.is_empty()
            && idempotency_key.len() <= LONGEST_KEY
            && idempotency_key.bytes().all(|byte| byte.is_ascii_graphic());
        (is_key && Body::read(body)?.means(asked)).then(|| Self(call.clone()))
    }

    /// The request.
    pub fn call(&self) -> &PreparedCall {
        &self.0
    }
}

/// The body of a create in the accounts dialect.
#[derive(Debug, Default, PartialEq, Eq)]
struct Body {
    email: Option<String>,
    title: Option<String>,
    metadata: Vec<(String, String)>,
    /// Beside the one in the metadata. Not every version writes it.
    external_id: Option<String>,
}

impl Body {
    /// Reads a body to its end. `None` for what we do not write: an unknown or
    /// a repeated field, a value that is no text, white space between them.
    fn read(body: &str) -> Option<Self> {
        let mut read = Self::default();
        let mut rest = Reader(body);
        rest.object(|field, value| {
            match field {
                "email" => read.email = Some(value.text()?),
                "external_id" => read.external_id = Some(value.text()?),
                "title" => read.title = Some(value.text()?),
                "metadata" => value.object(|name, value| {
                    read.metadata.push((name.to_owned(), value.text()?));
                    Some(())
                })?,
                _ => return None,
            }
            Some(())
        })?;
        rest.0.is_empty().then_some(read)
    }

    fn means(&self, asked: Asked<'_>) -> bool {
        let Self {
            email,
            title,
            metadata,
            external_id,
        } = self;
        let wanted = asked.metadata.iter().map(|(name, value)| (&**name, &**value));
        email.as_deref() == Some(asked.email.as_str())
            && title.as_deref() == Some(asked.title.as_str())
            && metadata
                .iter()
                .map(|(name, value)| (&**name, &**value))
                .eq(wanted)
            && external_id.as_deref().is_none_or(|id| id == asked.key.as_str())
    }
}

/// What is left to read of JSON as we write it: objects of texts, their fields
/// in order. This is no JSON in general, and needs no library: of all the ways
/// to write the same, only ours is taken.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn take(&mut self, what: char) -> Option<()> {
        self.0 = self.0.strip_prefix(what)?;
        Some(())
    }

    /// An object's fields, which ascend, so that none is there twice.
    fn object(&mut self, mut field: impl FnMut(&str, &mut Self) -> Option<()>) -> Option<()> {
        let mut before: Option<String> = None;
        self.take('{')?;
        loop {
            let name = self.text()?;
            if before.is_some_and(|before| before >= name) {
                return None;
            }
            self.take(':')?;
            field(&name, self)?;
            if self.take('}').is_some() {
                return Some(());
            }
            self.take(',')?;
            before = Some(name);
        }
    }

    /// A text. Of control characters, a manifest's texts have line feeds and
    /// tabs alone.
    fn text(&mut self) -> Option<String> {
        self.take('"')?;
        let mut text = String::new();
        let mut rest = self.0.chars();
        loop {
            text.push(match rest.next()? {
                '"' => break,
                '\\' => match rest.next()? {
                    '"' => '"',
                    '\\' => '\\',
                    'n' => '\n',
                    't' => '\t',
                    _ => return None,
                },
                odd if odd.is_control() => return None,
                plain => plain,
            });
        }
        self.0 = rest.as_str();
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::sample;
    use super::*;

    fn resend(body: &str, key: &str) -> Option<Resend> {
        let call = PreparedCall {
            version: "2026-10-15-1".into(),
            idempotency_key: key.into(),
            body: body.into(),
        };
        let asked = Asked {
            key: &sample::key("u1"),
            email: &Email::parse("ann@shop.test").unwrap(),
            title: &Title::parse("Ann \"A\"").unwrap(),
            metadata: &sample::texts(&[("external_id", "u1"), ("note", "a\n\tb\\")]),
        };
        Resend::of(&call, asked)
    }

    const BODY: &str =
        r#"{"email":"ann@shop.test","metadata":{"external_id":"u1","note":"a\n\tb\\"},"title":"Ann \"A\""}"#;

    #[test]
    fn a_body_that_asks_for_the_same_is_sent_again_to_the_byte() {
        let resend = |body: &str| resend(body, "k").map(|resend| resend.call().body.clone());
        assert_eq!(resend(BODY).as_deref(), Some(BODY));
        let more = BODY.replacen(",\"metadata\"", ",\"external_id\":\"u1\",\"metadata\"", 1);
        assert_eq!(resend(&more), Some(more));
    }

    #[test]
    fn a_body_that_asks_for_anything_else_is_not_sent() {
        let edits = [
            ("ann@shop.test", "eve@shop.test"),
            ("ann@shop.test", "Ann@shop.test"),
            ("Ann ", "Eve "),
            ("a\\n", "a\\n\\n"),
            ("\"note\"", "\"tier\""),
            ("\"external_id\":\"u1\"", "\"external_id\":\"u2\""),
            ("\"external_id\":\"u1\",", ""),
            ("\"note\":\"a\\n\\tb\\\\\"", "\"note\":7"),
            (",\"note\"", ",\"more\":\"\",\"note\""),
            (",\"metadata\"", ",\"external_id\":\"u2\",\"metadata\""),
            // Unknown, repeated, missing.
            (",\"title\"", ",\"parent_company_id\":\"biz_x\",\"title\""),
            ("{\"email\"", "{\"email\":\"eve@shop.test\",\"email\""),
            (
                "\"ann@shop.test\",",
                "\"ann@shop.test\",\"email\":\"eve@shop.test\",",
            ),
            (",\"title\":\"Ann \\\"A\\\"\"", ""),
            // The same in other words, which are not ours.
            ("\"ann", "\"\\u0061nn"),
            ("\"a\\n", "\"a\n"),
            (",\"metadata\"", ", \"metadata\""),
            ("{\"email\"", "\u{feff}{\"email\""),
            ("\"}", "\"}\n"),
            ("\"}", "\"}{}"),
            ("\"}", "\""),
        ];
        for (from, to) in edits {
            let body = BODY.replacen(from, to, 1);
            assert_ne!(body, BODY, "{from}");
            assert_eq!(resend(&body, "k"), None, "{body}");
        }
        for body in ["", "{}", "[]", "null", "\"", "{\"email\":\"ann@shop.test\"}"] {
            assert_eq!(resend(body, "k"), None, "{body}");
        }
        for end in 0..BODY.len() {
            assert_eq!(resend(&BODY[..end], "k"), None, "{end}");
        }
    }

    #[test]
    fn a_key_that_could_be_another_header_is_not_sent() {
        assert!(resend(BODY, &"k".repeat(255)).is_some());
        for key in ["", " ", "k\r\nhost: x", "k\0", "é", "a b", &"k".repeat(256)] {
            assert_eq!(resend(BODY, key), None, "{key:?}");
        }
    }

    proptest! {
        /// What serde_json writes of any texts a manifest may have is read, and
        /// as what it says.
        #[test]
        fn what_we_write_is_read(
            texts in proptest::collection::btree_map("[^\\p{Cc}]{0,8}", "([^\\p{Cc}]|[\n\t]){0,12}", 1..5),
            email in "[^\\p{Cc}]{1,12}",
        ) {
            let body = json!({"email": email, "metadata": texts, "title": "T"}).to_string();
            let read = Body::read(&body);
            let expected = Body {
                email: Some(email),
                title: Some("T".to_owned()),
                metadata: texts.into_iter().collect(),
                external_id: None,
            };
            prop_assert_eq!(read, Some(expected), "{}", body);
        }

        /// Whatever is taken is JSON and means to serde_json what it means here.
        #[test]
        fn what_is_read_means_the_same_to_others(at in 0..BODY.len(), put in "[\\PC\n\t]{0,3}|\\\\[nt\"\\\\u/]|[{}:,\"]") {
            let mut body = BODY.to_owned();
            body.replace_range(at..=at, &put);
            if let Some(read) = Body::read(&body) {
                let value: Value = serde_json::from_str(&body).unwrap();
                let mut again = json!({"metadata": read.metadata.into_iter().collect::<std::collections::BTreeMap<_, _>>()});
                for (name, text) in [("email", read.email), ("title", read.title), ("external_id", read.external_id)] {
                    if let Some(text) = text {
                        again[name] = text.into();
                    }
                }
                prop_assert_eq!(value, again);
            }
        }
    }
}
