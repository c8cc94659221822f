//! Paths, queries and pages: what the endpoints have in common.

use std::fmt::Write as _;

use serde::Deserialize;

/// More pages than any real list has: 200,000 of 50 accounts are ten million.
const MOST_PAGES: u32 = 200_000;

/// The longest cursor that is sent back. Real ones have tens of characters.
const LONGEST_CURSOR: usize = 2048;

/// A path with its query. Names and values are escaped only here.
pub(super) fn path(path: &str, query: &[(&str, &str)]) -> String {
    let mut whole = path.to_owned();
    for (n, (name, value)) in query.iter().enumerate() {
        whole.push(if n == 0 { '?' } else { '&' });
        escape(name, &mut whole);
        whole.push('=');
        escape(value, &mut whole);
    }
    whole
}

/// Percent-encodes everything but RFC 3986's unreserved characters, and the
/// colon and comma used in lists of permissions.
fn escape(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' | b',' => {
                into.push(byte.into());
            }
            // Writing to a string cannot fail.
            _ => _ = write!(into, "%{byte:02X}"),
        }
    }
}

/// What a page says about the next one. The companies dialect promises only
/// `end_cursor` ([accounts](crate::whop_api#accounts),
/// [companies](crate::whop_api#companies)).
#[derive(Debug, Default, Deserialize)]
pub(super) struct PageInfo {
    #[serde(default)]
    end_cursor: Option<String>,
    #[serde(default)]
    has_next_page: Option<bool>,
}

/// What to do after a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Read the page after this cursor.
    Page(String),
    /// The list ended, or cannot be followed further.
    End {
        /// Whether it ended.
        complete: bool,
    },
}

/// Follows a list from page to page, and detects if it leads nowhere.
#[derive(Debug, Default)]
pub(super) struct Pages {
    last: Option<String>,
    turned: u32,
}

impl Pages {
    /// Decides what to do after a page with this many entries and new entries.
    /// Every page must bring something new, so circular cursors end the list
    /// too.
    pub(super) fn turn(&mut self, info: PageInfo, entries: usize, new: usize) -> Turn {
        self.turned += 1;
        let cursor = info.end_cursor.filter(|cursor| !cursor.is_empty());
        let goes_on = match info.has_next_page {
            Some(goes_on) => goes_on,
            // If the page does not say, an empty page or a missing cursor is
            // the end.
            None => entries > 0 && cursor.is_some(),
        };
        if !goes_on {
            return Turn::End { complete: true };
        }
        match cursor {
            Some(cursor) if new > 0 && self.turned < MOST_PAGES && self.is_usable(&cursor) => {
                self.last = Some(cursor.clone());
                Turn::Page(cursor)
            }
            _ => Turn::End { complete: false },
        }
    }

    fn is_usable(&self, cursor: &str) -> bool {
        cursor.len() <= LONGEST_CURSOR && self.last.as_deref() != Some(cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(cursor: Option<&str>, goes_on: Option<bool>) -> PageInfo {
        PageInfo {
            end_cursor: cursor.map(str::to_owned),
            has_next_page: goes_on,
        }
    }

    #[test]
    fn everything_unusual_is_escaped() {
        assert_eq!(
            path("/a", &[("first", "50"), ("after", "W+/=&é%")]),
            "/a?first=50&after=W%2B%2F%3D%26%C3%A9%25"
        );
        assert_eq!(
            path("/p", &[("actions", "company:update,chat:read")]),
            "/p?actions=company:update,chat:read"
        );
        assert_eq!(path("/p", &[]), "/p");
    }

    #[test]
    fn a_list_ends_as_it_says_and_is_incomplete_if_it_misleads() {
        let end = |complete| Turn::End { complete };
        for (page, entries, new, turn) in [
            (info(Some("c"), Some(true)), 50, 50, Turn::Page("c".to_owned())),
            (info(Some("c"), Some(false)), 50, 50, end(true)),
            (info(None, Some(false)), 0, 0, end(true)),
            (info(None, Some(true)), 50, 50, end(false)),
            (info(Some(""), Some(true)), 50, 50, end(false)),
            (info(Some("c"), Some(true)), 50, 0, end(false)),
            (info(Some("c"), Some(true)), 0, 0, end(false)),
            (info(Some(&"c".repeat(5000)), Some(true)), 50, 50, end(false)),
            // The companies dialect need not say whether there is more.
            (info(None, None), 50, 50, end(true)),
            (info(Some("c"), None), 50, 50, Turn::Page("c".to_owned())),
            (info(Some("c"), None), 0, 0, end(true)),
            (info(Some("c"), None), 50, 0, end(false)),
            (info(Some(&"c".repeat(5000)), None), 50, 50, end(false)),
        ] {
            assert_eq!(Pages::default().turn(page, entries, new), turn);
        }
        let mut pages = Pages::default();
        let again = || info(Some("c"), Some(true));
        assert_eq!(pages.turn(again(), 50, 50), Turn::Page("c".to_owned()));
        assert_eq!(pages.turn(again(), 50, 50), end(false));
    }

    #[test]
    fn an_endless_list_ends() {
        let mut pages = Pages::default();
        let turned = (0..).take_while(|n| {
            let next = info(Some(&n.to_string()), Some(true));
            pages.turn(next, 1, 1) != Turn::End { complete: false }
        });
        assert_eq!(turned.count(), MOST_PAGES as usize - 1);
    }
}
