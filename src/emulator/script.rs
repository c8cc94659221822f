//! Fault scripts as people write them: JSON, read with an answer for every
//! mistake.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::faults::{Fault, Script, Strike};

impl Script {
    /// Reads a script:
    ///
    /// ```
    /// let script = whop_sync::emulator::Script::parse(r#"{
    ///   "seed": 7,
    ///   "faults": [
    ///     {"operation": "create_account", "skip": 2, "strike": {"kind": "reset_after"}},
    ///     {"count": null, "chance": 1, "strike": {"kind": "html", "status": 502}}
    ///   ]
    /// }"#);
    /// assert_eq!(script.map(|script| script.faults.len()), Ok(2));
    /// ```
    ///
    /// # Errors
    /// What is wrong and in which fault, and the name that was probably meant:
    /// one sentence without a full stop.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|why| format!("it is no JSON: {why}"))?;
        let mut fields = object(value, "the script")?;
        let seed = match fields.remove("seed") {
            None => 0,
            Some(seed) => seed.as_u64().ok_or("`seed` must be a whole number from 0 on")?,
        };
        let faults = match fields.remove("faults") {
            Some(Value::Array(faults)) => faults,
            Some(_) => return Err("`faults` must be a list".to_owned()),
            None => Vec::new(),
        };
        if let Some(name) = fields.keys().next() {
            return Err(unknown(name, &["seed", "faults"]));
        }
        let parse = |(at, fault)| fault_of(fault).map_err(|why| format!("fault {}: {why}", at + 1));
        let faults = faults
            .into_iter()
            .enumerate()
            .map(parse)
            .collect::<Result<_, _>>()?;
        Ok(Self { seed, faults })
    }
}

/// One fault; its strike is read apart, so that an error says where it is.
fn fault_of(value: Value) -> Result<Fault, String> {
    let fields = object(value, "it")?;
    let Some(strike) = fields.get("strike").cloned() else {
        return Err("`strike` is missing".to_owned());
    };
    let strike = strike_of(strike).map_err(|why| format!("strike: {why}"))?;
    let fault: Fault = read(Value::Object(fields))?;
    if fault.chance > 100 {
        return Err(format!(
            "`chance` is in a hundred, so {} is too much",
            fault.chance
        ));
    }
    Ok(Fault { strike, ..fault })
}

fn strike_of(value: Value) -> Result<Strike, String> {
    let fields = object(value.clone(), "it")?;
    if !fields.contains_key("kind") {
        return Err("`kind` is missing".to_owned());
    }
    let strike: Strike = read(value)?;
    // Of a kind without fields, serde takes any.
    let known = match serde_json::to_value(&strike) {
        Ok(Value::Object(known)) => known,
        _ => Map::new(),
    };
    if let Some(name) = fields.keys().find(|name| !known.contains_key(*name)) {
        let known: Vec<&str> = known.keys().map(String::as_str).collect();
        return Err(unknown(name, &known));
    }
    let status = known.get("status").and_then(Value::as_u64);
    match status {
        Some(status) if !(200..=599).contains(&status) => {
            Err(format!("`status` must be from 200 to 599, not {status}"))
        }
        _ => Ok(strike),
    }
}

fn object(value: Value, what: &str) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(format!("{what} must be an object, such as {{\"kind\": …}}")),
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|why| explain(&why.to_string()))
}

/// Adds the name that was meant to an error about an unknown one. serde puts
/// the wrong name and then all known ones between backquotes.
fn explain(why: &str) -> String {
    let quoted: Vec<&str> = why.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((name, known)) if why.starts_with("unknown") => unknown(name, known),
        _ => why.to_owned(),
    }
}

fn unknown(name: &str, known: &[&str]) -> String {
    let list = known.join(", ");
    match nearest(name, known) {
        Some(meant) => format!("`{name}` is unknown; did you mean `{meant}`? Known are: {list}"),
        None => format!("`{name}` is unknown; known are: {list}"),
    }
}

/// The known name that takes the fewest changed letters, at most a third.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    // Comparing takes time in proportion to both lengths.
    let name: Vec<char> = name.chars().take(64).collect();
    let distances = known.iter().map(|known| (distance(&name, known), *known));
    let (least, meant) = distances.min_by_key(|(distance, _)| *distance)?;
    (least <= (name.len() / 3).max(1)).then_some(meant)
}

/// How many letters must be added, dropped or changed (Levenshtein).
fn distance(from: &[char], to: &str) -> usize {
    let mut row: Vec<usize> = (0..=from.len()).collect();
    for (y, letter) in to.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], y + 1);
        for (x, other) in from.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[x + 1];
            row[x + 1] = changed.min(diagonal + 1).min(row[x] + 1);
        }
    }
    row[from.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_named_with_its_place() {
        for (text, expected) in [
            ("{", "it is no JSON: EOF"),
            ("[]", "the script must be an object"),
            (r#"{"sed": 1}"#, "`sed` is unknown; did you mean `seed`?"),
            (r#"{"seed": -1}"#, "`seed` must be a whole number"),
            (r#"{"faults": {}}"#, "`faults` must be a list"),
            (r#"{"faults": [{}]}"#, "fault 1: `strike` is missing"),
            (
                r#"{"faults": [{"strike": {}}]}"#,
                "fault 1: strike: `kind` is missing",
            ),
            (
                r#"{"faults": [{"strike": {"kind": "truncated"}}, {"strike": {"kind": "reset_befor"}}]}"#,
                "fault 2: strike: `reset_befor` is unknown; did you mean `reset_before`?",
            ),
            (
                r#"{"faults": [{"operation": "create_acount", "strike": {"kind": "truncated"}}]}"#,
                "fault 1: `create_acount` is unknown; did you mean `create_account`?",
            ),
            (
                r#"{"faults": [{"skp": 1, "strike": {"kind": "truncated"}}]}"#,
                "fault 1: `skp` is unknown; did you mean `skip`?",
            ),
            (
                r#"{"faults": [{"strike": {"kind": "truncated", "status": 3}}]}"#,
                "fault 1: strike: `status` is unknown; known are: kind",
            ),
            (
                r#"{"faults": [{"strike": {"kind": "html", "status": 99}}]}"#,
                "`status` must be from 200 to 599, not 99",
            ),
            (
                r#"{"faults": [{"strike": {"kind": "html"}}]}"#,
                "strike: missing field `status`",
            ),
            (
                r#"{"faults": [{"chance": 101, "strike": {"kind": "truncated"}}]}"#,
                "`chance` is in a hundred, so 101 is too much",
            ),
        ] {
            let error = Script::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert_eq!(Script::parse("{}"), Ok(Script::default()));
    }

    #[test]
    fn the_example_of_the_front_page_and_every_strike_is_read() {
        let kinds = [
            r#""kind": "answer", "status": 503, "headers": {"retry-after": "2"}"#,
            r#""kind": "answer_after", "status": 500"#,
            r#""kind": "html", "status": 502"#,
            r#""kind": "limited", "seconds": 3, "header": true, "message": false"#,
            r#""kind": "oversized", "bytes": 9"#,
            r#""kind": "reset_before""#,
            r#""kind": "reset_after""#,
            r#""kind": "slow", "millis": 40000"#,
            r#""kind": "late", "millis": 40000"#,
            r#""kind": "truncated""#,
            r#""kind": "stale", "seconds": 60"#,
            r#""kind": "page_skips", "entries": 1"#,
            r#""kind": "page_repeats", "entries": 1"#,
            r#""kind": "page_grows""#,
            r#""kind": "file_fails""#,
            r#""kind": "file_stalls""#,
            r#""kind": "url_expires""#,
            r#""kind": "refused", "status": 403"#,
            r#""kind": "dies_in_progress", "acts": false"#,
        ];
        for kind in kinds {
            let script = Script::parse(&format!(r#"{{"faults": [{{"strike": {{{kind}}}}}]}}"#));
            assert_eq!(script.map(|script| script.faults.len()), Ok(1), "{kind}");
        }
    }
}
