//! Makes foreign texts safe to show: one line, bounded, and without anything
//! that looks like a secret.
//!
//! Whop's messages are useful to people, but they may echo what was sent, and
//! proxies may write anything.

/// The most characters of a message that are kept.
const MOST: usize = 500;

/// How much of a text is processed. More than [`MOST`], since hiding shortens
/// it.
const LOOKED_AT: usize = 4096;

/// The replacement for secrets.
const HIDDEN: &str = "<hidden>";

/// Prefixes of Whop's secrets that are distinctive enough to be found inside
/// words ([transport](crate::whop_api#transport)).
const ANYWHERE: [&str; 2] = ["apik_", "whsec_"];

/// Prefixes that ordinary words may end with, and how many characters must
/// follow.
const AT_WORD_START: [(&str, usize); 5] = [("sk_", 1), ("rt_", 4), ("at_", 4), ("ws_", 4), ("eyJ", 16)];

/// The prefix of newer keys, and how many characters must follow. Field names
/// and this program's name start the same way, and its environment variables do
/// in upper case.
const NEWER: (&str, usize) = ("whop_", 10);

/// The text, safe to show: at most [`MOST`] characters, secrets hidden, line
/// breaks as spaces and other invisible characters as U+FFFD.
pub(super) fn clean(text: &str) -> String {
    let visible: String = text.chars().take(LOOKED_AT).map(visible).collect();
    let safe = hide_secrets(&visible);
    let safe = safe.trim();
    match safe.char_indices().nth(MOST) {
        None => safe.to_owned(),
        Some((end, _)) => format!("{}…", &safe[..end]),
    }
}

/// Whop's request id, if it is harmless: 1 to 128 visible ASCII characters.
pub(super) fn clean_id(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.len() <= 128 && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| hide_secrets(text))
}

/// Control, bidirectional and zero-width characters could change how a terminal
/// or page shows the text around them.
fn visible(c: char) -> char {
    match c {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

fn hide_secrets(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    let mut in_word = false;
    while let Some(c) = text[at..].chars().next() {
        if let Some(length) = secret_length(&text[at..], in_word) {
            shown.push_str(HIDDEN);
            at += length;
            in_word = false;
        } else {
            shown.push(c);
            at += c.len_utf8();
            in_word = c.is_alphanumeric() || c == '_';
        }
    }
    shown
}

/// The length in bytes of a secret at the start of `rest`, if there is one.
fn secret_length(rest: &str, in_word: bool) -> Option<usize> {
    let with_prefix = |prefix: &str, least: usize| {
        let after = strip_prefix_ignoring_case(rest, prefix)?;
        let length = token_length(after);
        (length >= least).then_some(prefix.len() + length)
    };
    if let Some(length) = ANYWHERE.iter().find_map(|prefix| with_prefix(prefix, 1)) {
        return Some(length);
    }
    if in_word {
        return None;
    }
    AT_WORD_START
        .iter()
        .find_map(|(prefix, least)| with_prefix(prefix, *least))
        .or_else(|| with_prefix(NEWER.0, NEWER.1).filter(|_| rest.starts_with(NEWER.0)))
        .or_else(|| bearer_length(rest))
        .or_else(|| url_length(rest))
}

/// `Bearer`, separators, and a token of at least 8 characters.
fn bearer_length(rest: &str) -> Option<usize> {
    let after = strip_prefix_ignoring_case(rest, "bearer")?;
    let token = after.trim_start_matches([' ', ':', '=', '"', '\'']);
    let length = token_length(token);
    (token.len() < after.len() && length >= 8).then(|| rest.len() - token.len() + length)
}

/// A URL with a query or with credentials: presigned ones carry their signature
/// there. Hidden as a whole, since its path may be sensitive too.
fn url_length(rest: &str) -> Option<usize> {
    let after = ["https://", "http://"]
        .iter()
        .find_map(|scheme| strip_prefix_ignoring_case(rest, scheme))?;
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`');
    let url = after.split(ends).next().unwrap_or(after);
    url.contains(['?', '@'])
        .then(|| rest.len() - after.len() + url.len())
}

/// The length of the run of token characters, without a trailing full stop.
fn token_length(text: &str) -> usize {
    let part =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '+' | '/' | '=' | '%');
    let run = text.find(|c| !part(c)).map_or(text, |end| &text[..end]);
    run.trim_end_matches('.').len()
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_everywhere() {
        for (text, shown) in [
            ("key apik_abc123 is gone.", "key <hidden> is gone."),
            ("key=sk_live_9.", "key=<hidden>."),
            ("Authorization: Bearer abc.def-ghi", "Authorization: <hidden>"),
            ("authorization=bearer:\"abcdefgh\"", "authorization=<hidden>\""),
            ("xwhsec_123 rt_12345 at_12345", "x<hidden> <hidden> <hidden>"),
            (
                "keys whop_0123456789ab ws_0a1b2c, WS_0A1B",
                "keys <hidden> <hidden>, <hidden>",
            ),
            ("token eyJhbGciOiJIUzI1NiJ9.e30.abc", "token <hidden>"),
            (
                "PUT \"https://s.test/put/a?sig=b\" failed",
                "PUT \"<hidden>\" failed",
            ),
            ("http://user:pw@host/x", "<hidden>"),
            // What only resembles a secret stays readable.
            (
                "task_1 format_2 created_at_3 at_ sk_",
                "task_1 format_2 created_at_3 at_ sk_",
            ),
            (
                "whop_sync whop_user_id ws_url news_0123",
                "whop_sync whop_user_id ws_url news_0123",
            ),
            ("see https://docs.whop.com/x", "see https://docs.whop.com/x"),
            ("a bearer is missing", "a bearer is missing"),
        ] {
            assert_eq!(clean(text), shown, "{text}");
        }
    }

    #[test]
    fn a_message_is_one_bounded_visible_line() {
        assert_eq!(
            clean("a\r\nb\u{1b}[2J\u{202e}c\u{200b}"),
            "a  b\u{fffd}[2J\u{fffd}c\u{fffd}"
        );
        assert_eq!(clean("  \n "), "");
        let long = clean(&"é".repeat(100_000));
        assert_eq!(long.chars().count(), MOST + 1);
        assert!(long.ends_with('…'));
        assert!(!clean(&format!("{}apik_secret", "x".repeat(MOST - 3))).contains("apik"));
    }

    #[test]
    fn ids_are_short_and_plain_or_nothing() {
        assert_eq!(clean_id("8f2-LHR"), Some("8f2-LHR".to_owned()));
        for odd in ["", "a b", "a\n", &"x".repeat(129)] {
            assert_eq!(clean_id(odd), None, "{odd:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_surrounds_it_a_key_is_hidden(before in r"\PC{0,30}", after in r"\PC{0,30}") {
            let shown = clean(&format!("{before}apik_K3yK3yK3y{after}"));
            proptest::prop_assert!(!shown.contains("K3yK3yK3y"), "{}", shown);
        }

        #[test]
        fn any_text_becomes_one_bounded_line(text in r"(\PC|[\x00-\x{200f}]|bearer |https?://|sk_|eyJ){0,300}") {
            let shown = clean(&text);
            proptest::prop_assert!(shown.chars().count() <= MOST + 1);
            proptest::prop_assert!(!shown.chars().any(char::is_control), "{:?}", shown);
        }
    }
}
