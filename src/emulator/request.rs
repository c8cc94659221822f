//! A request as it arrives, and strict readers for its query and body.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::refusal::Refusal;

/// One request, as plain as HTTP has it.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method in capitals.
    pub method: String,
    /// Path and query, from the root: `/api/v1/accounts?first=50`.
    pub path: String,
    /// Headers with lower-case names, `authorization` among them.
    pub headers: Vec<(String, String)>,
    /// The exact bytes.
    pub body: Bytes,
    /// Scheme and host that answers put before URLs: `http://127.0.0.1:4010`.
    pub origin: String,
}

impl Call {
    /// The first header of this lower-case name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The path without its query.
    pub(super) fn bare_path(&self) -> &str {
        self.path
            .split_once('?')
            .map_or(self.path.as_str(), |(path, _)| path)
    }

    /// The query, undecoded.
    pub(super) fn raw_query(&self) -> &str {
        self.path.split_once('?').map_or("", |(_, query)| query)
    }
}

/// Undoes percent-encoding; `None` where the result is no UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = text
            .get(at + 1..at + 3)
            .filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (bytes[at], pair) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).ok()
}

/// A parsed query string.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=b&c=d`. Pairs that are no UTF-8 are dropped, as unknown
    /// parameters are.
    pub(super) fn parse(raw: &str) -> Self {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((
                decode(&name.replace('+', " "))?,
                decode(&value.replace('+', " "))?,
            ))
        });
        Self(pairs.collect())
    }

    /// The first value of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        pairs
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Every value of this name, in order.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A whole number from 1 to `most`, if sent.
    pub(super) fn count(&self, name: &str, most: usize) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(count) if (1..=most).contains(&count) => Ok(Some(count)),
            _ => Err(Refusal::param(
                name,
                &format!("must be a whole number from 1 to {most}"),
            )),
        }
    }

    /// One of these words, if sent.
    pub(super) fn word(&self, name: &str, words: &[&'static str]) -> Result<Option<&'static str>, Refusal> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match words.iter().find(|word| **word == text) {
            Some(word) => Ok(Some(word)),
            None => Err(Refusal::param(
                name,
                &format!("must be one of {}", words.join(", ")),
            )),
        }
    }
}

/// A value of a body: PATCH tells absent, null and given apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent<T> {
    /// The field is not there.
    Absent,
    /// The field is `null`.
    Null,
    /// The field has a value of the right kind.
    Value(T),
}

impl<T> Sent<T> {
    /// The value; `null` counts as absent.
    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// The value; `null` is refused.
    pub(super) fn not_null(self, name: &str) -> Result<Option<T>, Refusal> {
        match self {
            Self::Value(value) => Ok(Some(value)),
            Self::Absent => Ok(None),
            Self::Null => Err(Refusal::param(name, "must not be null")),
        }
    }

    /// The value under a rule.
    pub(super) fn check(self, name: &str, rule: impl FnOnce(&T) -> bool, why: &str) -> Result<Self, Refusal> {
        match self {
            Self::Value(value) if !rule(&value) => Err(Refusal::param(name, why)),
            fine => Ok(fine),
        }
    }
}

/// A JSON body's fields.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a body. An empty one has no fields.
    ///
    /// # Errors
    /// 400 where it is no JSON object, or is sent as something else.
    pub(super) fn read(call: &Call) -> Result<Self, Refusal> {
        if call.body.is_empty() {
            return Ok(Self::default());
        }
        let kind = call.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Refusal::invalid("The body must be sent as application/json"));
        }
        match serde_json::from_slice(&call.body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Refusal::invalid("The body must be a JSON object")),
            Err(_) => Err(Refusal::json()),
        }
    }

    /// Refuses fields that are not listed: the API's schema leaves bodies
    /// open, but our client must send nothing else
    /// (`x-client-sends-only-listed`).
    pub(super) fn only(&self, allowed: &[&str]) -> Result<(), Refusal> {
        match self.0.keys().find(|name| !allowed.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(Refusal::param(name, "is not a known field here")),
        }
    }

    /// Refuses a body that changes nothing (`minProperties: 1`).
    pub(super) fn not_empty(&self) -> Result<(), Refusal> {
        if self.0.is_empty() {
            return Err(Refusal::invalid("The body names nothing to change"));
        }
        Ok(())
    }

    /// Whether the field is there, whatever its value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A field through a cast that may fail; `kind` ends "must be …".
    fn read_as<'a, T>(
        &'a self,
        name: &str,
        kind: &str,
        cast: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Sent<T>, Refusal> {
        match self.0.get(name) {
            None => Ok(Sent::Absent),
            Some(Value::Null) => Ok(Sent::Null),
            Some(value) => match cast(value) {
                Some(value) => Ok(Sent::Value(value)),
                None => Err(Refusal::param(name, &format!("must be {kind}"))),
            },
        }
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<Sent<&str>, Refusal> {
        self.read_as(name, "a string", Value::as_str)
    }

    /// A truth value.
    pub(super) fn flag(&self, name: &str) -> Result<Sent<bool>, Refusal> {
        self.read_as(name, "true or false", Value::as_bool)
    }

    /// A whole number, at least 1.
    pub(super) fn number(&self, name: &str) -> Result<Sent<u64>, Refusal> {
        self.read_as(name, "a whole number of at least 1", |value| {
            // JSON does not tell 5 from 5.0, and neither does its schema.
            let whole = value.as_u64().or_else(|| {
                let float = value.as_f64()?;
                (float.fract() == 0.0 && (1.0..9e15).contains(&float)).then_some(float as u64)
            });
            whole.filter(|number| *number >= 1)
        })
    }

    /// An object.
    pub(super) fn object(&self, name: &str) -> Result<Sent<&Map<String, Value>>, Refusal> {
        self.read_as(name, "an object", Value::as_object)
    }

    /// A list.
    pub(super) fn list(&self, name: &str) -> Result<Sent<&Vec<Value>>, Refusal> {
        self.read_as(name, "a list", Value::as_array)
    }

    /// An object's fields as fields of their own.
    pub(super) fn inner(object: &Map<String, Value>) -> Self {
        Self(object.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_repeat_decode_and_bound() {
        let query = Query::parse("file_ids=a&file_ids=b%2Fc&q=x+y&first=50&bad=%ff&flag");
        assert_eq!(query.all("file_ids").collect::<Vec<_>>(), ["a", "b/c"]);
        assert_eq!(query.get("q"), Some("x y"));
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("bad"), None);
        assert_eq!(query.count("first", 50), Ok(Some(50)));
        assert!(query.count("first", 49).is_err());
        assert!(query.count("q", 49).is_err());
        assert!(query.word("q", &["asc"]).is_err());
    }

    #[test]
    fn bodies_are_objects_of_listed_fields() {
        let call = |body: &'static str| Call {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            headers: vec![(
                "content-type".to_owned(),
                "application/json; charset=utf-8".to_owned(),
            )],
            body: Bytes::from_static(body.as_bytes()),
            origin: String::new(),
        };
        let fields = Fields::read(&call(r#"{"a":"x","n":null,"i":5.0}"#)).unwrap();
        assert_eq!(fields.text("a"), Ok(Sent::Value("x")));
        assert_eq!(fields.text("n"), Ok(Sent::Null));
        assert_eq!(fields.text("z"), Ok(Sent::Absent));
        assert_eq!(fields.number("i"), Ok(Sent::Value(5)));
        assert!(fields.flag("a").is_err());
        assert!(fields.only(&["a", "n"]).is_err());
        assert!(Fields::read(&call("[]")).is_err());
        assert!(Fields::read(&call("{")).is_err());
        let mut form = call("a=x");
        form.headers.clear();
        assert!(Fields::read(&form).is_err());
    }
}
