//! What the targets of `fuzz/` run, and what must hold of whatever they are
//! given. Compiled for fuzzing and for unit tests only.
//!
//! | target | input | what must hold, besides that nothing panics |
//! | --- | --- | --- |
//! | `manifest` | a manifest's text | accepted: written out plainly it means the same. Refused: every problem has a place in the text, and can be shown |
//! | `pieces` | a manifest's text | read in pieces it is what it is read whole |
//! | `mapping` | a mapping file | accepted: saved again it is the same facts, and from then on the same bytes |
//! | `journal` | a journal file | accepted: cut off anywhere it is a beginning of the same; replayed twice it is as replayed once |
//! | `plan` | a saved plan's file | accepted: saved again it is the same |
//! | `limits` | an answer's status, headers and body | what is said of it can be shown, and no wait is out of bounds |
//! | `answers` | answers with the status 200 | ids are valid, lists are sorted, nothing secret or hostile is said |
//! | `picture` | a picture file | taken: its size is in bounds, and what stands behind it changes nothing |
//! | `strip` | a picture file | without what it says beside its pixels it shows the same, says nothing, and stays so |
//! | `thumbnail` | a picture file | the copy is a small picture that we would take |
//! | `pictures` | an index of pictures | sealed or not, it tells only of pictures that we take; saved again it is the same |
//! | `table` | a table for `init --from-csv` | written in the plainest way it reads the same |
//! | `address` | a URL, of a server, of storage or of a picture | whoever reads it reads the same; none leads into a private network, and the key goes over https or stays here |
//! | `planner` | bytes from which all facts are made | the audit finds nothing, the order of the facts changes nothing, and the plan that is saved is not stale |
//!
//! Receipts (`apply --receipt`), reports and whatever else is not in the table
//! are only written: no command reads them. What the emulator is given by its
//! owner, a fault script and a state file, is trusted.

use std::path::Path;

use crate::core::field::TextField;
use crate::core::model::{Desired, DesiredRest, DesiredUser, Known, Limit};
use crate::core::replay::{outstanding, replay};
use crate::error::Error;
use crate::render::problems::DisplayOptions;
use crate::render::{annotations, escape, failure, json};

/// A manifest's text.
///
/// # Panics
/// Where what this page promises does not hold; so do all others here.
pub fn manifest(bytes: &[u8]) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"));
    match crate::manifest::fuzz::load_text(bytes, folder) {
        Ok(manifest) => {
            let plain = plain(&manifest.desired);
            let again = crate::manifest::fuzz::load_text(plain.as_bytes(), folder);
            let again = again.unwrap_or_else(|error| panic!("{plain}\n{error:?}"));
            assert_eq!(again.desired, manifest.desired, "{plain}");
            let keys: Vec<_> = manifest.desired.users().iter().map(|user| &user.key).collect();
            assert_eq!(
                manifest.places(&keys).len(),
                keys.len(),
                "every user stands somewhere"
            );
        }
        Err(error) => refused(bytes, &error),
    }
}

/// A manifest as JSON, which is YAML without any of its choices.
fn plain(desired: &Desired) -> String {
    let user = |user: &DesiredUser| {
        let DesiredRest {
            key,
            email,
            avatar,
            metadata,
            renamed_from,
        } = user.rest();
        let mut fields = serde_json::json!({
            "id": key.as_str(),
            "email": email.as_str(),
            "metadata": metadata,
        });
        let others = [
            ("avatar", avatar.map(|avatar| &*avatar.path)),
            ("renamed_from", renamed_from.map(|key| key.as_str())),
        ];
        let texts = TextField::ALL.map(|field| (field.name(), field.wanted(user)));
        let others = others.into_iter().chain(texts);
        for (name, value) in others {
            if let Some(value) = value {
                fields[name] = value.into();
            }
        }
        fields
    };
    let users: Vec<_> = desired.users().iter().map(user).collect();
    let limits = desired.guardrails();
    let mut guardrails = serde_json::json!({});
    for (guard, limit) in limits.written() {
        let name = guard.name();
        match limit {
            Some(Limit::Count(count)) => guardrails[name] = count.into(),
            Some(Limit::Percent(percent)) => guardrails[name] = format!("{percent}%").into(),
            None => {}
        }
    }
    serde_json::json!({
        "version": 1,
        "company": desired.platform().as_str(),
        "guardrails": guardrails,
        "users": users,
    })
    .to_string()
}

/// What is said of a refused manifest has its place, and can be shown.
fn refused(bytes: &[u8], error: &Error) {
    let lines = String::from_utf8_lossy(bytes).split(['\n', '\r']).count();
    let problems = error.manifest_problems();
    assert!(!problems.is_empty(), "{error:?}");
    for problem in problems.iter().filter(|problem| !problem.counts_others()) {
        let related = problem.related.iter().map(|other| &other.place);
        for place in std::iter::once(&problem.place).chain(related) {
            let place = place.as_ref().unwrap_or_else(|| panic!("no place: {problem:?}"));
            assert!(
                (1..=lines).contains(&(place.line as usize)),
                "{lines} lines: {problem:?}"
            );
            assert!(place.column >= 1, "{problem:?}");
        }
    }
    shown(&failure::render(error, DisplayOptions::default()));
    shown(&annotations::render(problems));
    let mut document = Vec::new();
    json::error(&mut document, error, None).expect("a vector takes everything");
    let text = String::from_utf8(document).expect("JSON is UTF-8");
    shown(&text);
    let _: serde_json::Value = serde_json::from_str(&text).expect("JSON");
}

/// Nothing in it acts on a terminal.
fn shown(text: &str) {
    let odd = text
        .chars()
        .find(|c| escape::is_hostile(*c) && *c != '\n' && *c != '\t');
    assert_eq!(odd, None, "{text:?}");
}

/// A manifest's text; the first byte says how long a piece is.
pub fn pieces(bytes: &[u8]) {
    let Some((length, text)) = bytes.split_first() else {
        return;
    };
    let length = usize::from(*length).max(1);
    if let Some((in_pieces, whole)) = crate::manifest::fuzz::pieces_and_whole(text, length) {
        assert_eq!(Some(in_pieces), whole);
    }
}

/// A mapping file.
pub fn mapping(bytes: &[u8]) {
    use crate::store::fuzz::{mapping, write_mapping};
    let Ok((identity, known)) = mapping(bytes) else {
        return;
    };
    let saved = write_mapping(&identity, &known);
    let (whose, read) = mapping(&saved).expect("what we write we read");
    assert_eq!((&whose, &read), (&identity, &known));
    assert_eq!(
        write_mapping(&whose, &read),
        saved,
        "the same facts, the same bytes"
    );
}

/// A journal file. The first two bytes say where it is cut off.
pub fn journal(bytes: &[u8]) {
    use crate::store::fuzz::{journal, mapping, write_journal};
    let (cut, bytes) = bytes.split_at(bytes.len().min(2));
    let header = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    // Whose it is stands in its first line, as in a mapping's.
    let header = String::from_utf8_lossy(header).replace("whop-sync journal", "whop-sync mapping");
    let header = header.replacen('{', "{\"generation\":1,", 1);
    let Ok((identity, _)) = mapping(header.as_bytes()) else {
        return;
    };
    let Ok(entries) = journal(bytes, &identity) else {
        return;
    };
    let cut = cut.iter().fold(0, |n, byte| n * 256 + usize::from(*byte)) % (bytes.len() + 1);
    let torn = journal(&bytes[..cut], &identity).expect("a torn line is expected");
    assert!(entries.starts_with(&torn), "{torn:?}\n{entries:?}");
    let saved = write_journal(&identity, &entries);
    assert_eq!(
        journal(&saved, &identity).expect("what we write we read"),
        entries
    );
    let mut once = Known::default();
    replay(&mut once, entries.clone());
    let mut twice = once.clone();
    replay(&mut twice, entries);
    assert_eq!(twice, once, "replayed twice");
    let now = Some(1_800_000_000);
    let open = outstanding(&once, now);
    let mut rest = Known::default();
    replay(&mut rest, open.clone());
    assert_eq!(outstanding(&rest, now), open, "what is open stays so");
}

/// A saved plan's file.
pub fn plan(bytes: &[u8]) {
    let Ok(plan) = crate::store::fuzz::plan(bytes) else {
        return;
    };
    saves(&plan);
}

fn saves(plan: &crate::core::saved::Saved) {
    let mut document = Vec::new();
    json::saved(&mut document, plan).expect("a vector takes everything");
    let read = crate::store::fuzz::plan(&document).expect("what we write we read");
    assert_eq!(read, *plan);
    shown(&String::from_utf8(document).expect("JSON is UTF-8"));
}

/// An answer: two bytes of switches and status, lines of headers, an empty
/// line, and the body.
pub fn limits(bytes: &[u8]) {
    let [switches, status, rest @ ..] = bytes else {
        return;
    };
    let end = rest.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((rest, &[][..]), |end| (&rest[..end], &rest[end + 2..]));
    let head = String::from_utf8_lossy(head);
    let headers: Vec<_> = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    for (_, value) in &headers {
        crate::remote::fuzz::dated(value);
    }
    let status = match switches % 4 {
        0 => 429,
        1 => 503,
        _ => 300 + u16::from(*status),
    };
    crate::remote::fuzz::judged(status, headers, body, switches & 16 != 0, switches & 32 != 0);
}

/// Bodies of answers, between lines of `--`.
pub fn answers(bytes: &[u8]) {
    let Some((switches, rest)) = bytes.split_first() else {
        return;
    };
    let version = ["2026-10-15-1", "2025-01-01"][usize::from(switches & 1)];
    let mut bodies = vec![&rest[..0]];
    let mut begin = 0;
    bodies.clear();
    while let Some(at) = rest[begin..].windows(4).position(|window| window == b"\n--\n") {
        bodies.push(&rest[begin..begin + at]);
        begin += at + 4;
    }
    bodies.push(&rest[begin..]);
    crate::remote::fuzz::answered(&bodies, version);
}

/// A picture file.
pub fn picture(bytes: &[u8]) {
    crate::picture::fuzz::examined(bytes);
}

/// A picture file, without what it says beside its pixels.
pub fn strip(bytes: &[u8]) {
    crate::picture::fuzz::stripped(bytes);
}

/// An index of pictures; the first byte says when it was written.
pub fn pictures(bytes: &[u8]) {
    if let Some((written, bytes)) = bytes.split_first() {
        crate::picture::fuzz::indexed(bytes, i64::from(*written) << 56 | 0xFF_FFFF);
    }
}

/// A URL, as everybody reads it who is given one.
pub fn address(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(base) = crate::cli::fuzz::server(&text) {
        crate::remote::fuzz::based(&base);
    }
    crate::remote::fuzz::followed(&text);
}

/// A picture file, decoded.
pub fn thumbnail(bytes: &[u8]) {
    crate::picture::fuzz::shrunk(bytes);
}

/// A table.
pub fn table(bytes: &[u8]) {
    crate::cli::fuzz::table(&String::from_utf8_lossy(bytes));
}

/// Bytes to make facts from.
pub fn planner(bytes: &[u8]) {
    if let Some(saved) = crate::core::fuzz::planned(bytes) {
        saves(&saved);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "seeds and former failures are files")]
mod tests {
    use std::fs;

    use super::*;

    /// Every input that is kept for a target: seeds, and what once failed.
    fn replay(name: &str, target: fn(&[u8])) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
        let mut inputs = 0;
        for folder in ["seeds", "regressions"] {
            let Ok(files) = fs::read_dir(root.join(folder).join(name)) else {
                continue;
            };
            for file in files {
                let path = file.unwrap().path();
                // A failure then names the input.
                println!("{}", path.display());
                target(&fs::read(&path).unwrap());
                inputs += 1;
            }
        }
        assert!(inputs >= 3, "{name} has only {inputs} inputs");
    }

    macro_rules! replayed {
        ($($name:ident)*) => {$(
            #[test]
            fn $name() {
                replay(stringify!($name), super::$name);
            }
        )*};
    }

    replayed!(manifest pieces mapping journal plan limits answers picture strip thumbnail pictures table address planner);
}
