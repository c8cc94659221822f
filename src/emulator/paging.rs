//! Pages over ordered lists, by opaque cursors.
//!
//! Lists are ordered by creation and, for equal moments, by number: the order
//! is total, so walking page by page meets every entry once, whatever is added
//! or deleted meanwhile on either side.

use std::collections::BTreeSet;
use std::ops::Bound;

use serde_json::{Value, json};

use super::faults::Shift;
use super::ids::{base64, unbase64};
use super::refusal::Refusal;
use super::request::Query;
use super::state::Place;

/// Which part of a list is asked for.
#[derive(Clone, Debug)]
pub(super) struct Page {
    first: Option<usize>,
    last: Option<usize>,
    /// Exclusive, in list order: what comes before it is not on the page.
    after: Option<Place>,
    /// Exclusive, in list order: what comes behind it is not on the page.
    before: Option<Place>,
    /// Whether the list runs from the newest to the oldest.
    descending: bool,
    /// The size of a page that names none.
    default: usize,
}

/// One page's places, in list order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The places.
    pub(super) places: Vec<Place>,
    /// Whether anything fitting comes behind the page.
    next: bool,
    /// Whether anything fitting comes before it.
    previous: bool,
}

impl Page {
    /// Reads `first`, `last`, `after` and `before`.
    ///
    /// # Errors
    /// 400 for a size above `most` and for a cursor that no page gave out.
    pub(super) fn read(query: &Query, most: usize, descending: bool) -> Result<Self, Refusal> {
        Ok(Self {
            first: query.count("first", most)?,
            last: query.count("last", most)?,
            after: place(query, "after")?,
            before: place(query, "before")?,
            descending,
            default: 10,
        })
    }

    /// Cuts the page out of a list; `fits` is the filter. As in the Relay
    /// rules: `first` cuts from the front, then `last` from the end of that.
    /// A cursor is a place and not an entry, so pages hold together while
    /// entries come and go.
    pub(super) fn cut(&self, list: &BTreeSet<Place>, fits: impl Fn(Place) -> bool) -> Cut {
        let (low, high) = if self.descending {
            (self.before, self.after)
        } else {
            (self.after, self.before)
        };
        let inside = between(list, bound(low), bound(high)).filter(|at| fits(*at));
        let from_front = self.first.is_some() || self.last.is_none();
        let size = match (from_front, self.last) {
            (false, Some(last)) => last,
            _ => self.first.unwrap_or(self.default),
        };
        // Forwards through the list is backwards through the set when descending.
        let mut places: Vec<Place> = if from_front == self.descending {
            inside.rev().take(size + 1).collect()
        } else {
            inside.take(size + 1).collect()
        };
        let more = places.len() > size;
        places.truncate(size);
        let ahead = || self.beyond(list, self.before, true, &fits);
        let behind = || self.beyond(list, self.after, false, &fits);
        if !from_front {
            places.reverse();
            let next = ahead();
            return Cut {
                places,
                next,
                previous: more,
            };
        }
        let dropped = self.last.map_or(0, |last| places.len().saturating_sub(last));
        places.drain(..dropped);
        let previous = dropped > 0 || behind();
        Cut {
            places,
            next: more || (self.before.is_some() && ahead()),
            previous,
        }
    }

    /// The same with a fault: entries left out at the front, or those before
    /// the page once more. The last entry and whether another page follows stay
    /// true, so that nothing but the entries tells.
    pub(super) fn shifted(&self, list: &BTreeSet<Place>, fits: impl Fn(Place) -> bool, shift: Shift) -> Cut {
        let mut cut = self.cut(list, &fits);
        match shift {
            Shift::None => {}
            Shift::Skip(entries) => {
                cut.places.drain(..entries.min(cut.places.len()));
            }
            Shift::Repeat(entries) => {
                let Some(after) = self.after else { return cut };
                let mut before: Vec<Place> = if self.descending {
                    let before = between(list, Bound::Included(after), Bound::Unbounded);
                    before.filter(|at| fits(*at)).take(entries).collect()
                } else {
                    let before = between(list, Bound::Unbounded, Bound::Included(after));
                    before.rev().filter(|at| fits(*at)).take(entries).collect()
                };
                before.reverse();
                cut.places.splice(..0, before);
            }
        }
        cut
    }

    /// Whether anything fitting lies at or beyond a cursor, outside the page.
    fn beyond(
        &self,
        list: &BTreeSet<Place>,
        cursor: Option<Place>,
        ahead: bool,
        fits: &impl Fn(Place) -> bool,
    ) -> bool {
        let Some(cursor) = cursor else {
            return false;
        };
        let (low, high) = if ahead == self.descending {
            (Bound::Unbounded, Bound::Included(cursor))
        } else {
            (Bound::Included(cursor), Bound::Unbounded)
        };
        between(list, low, high).any(fits)
    }
}

impl Cut {
    /// The page as JSON, each place shown by `show`. The last page has no
    /// `end_cursor`, except as documented.
    pub(super) fn json(&self, documented: bool, show: impl Fn(Place) -> Option<Value>) -> Value {
        let data: Vec<Value> = self.places.iter().filter_map(|at| show(*at)).collect();
        let end = self.places.last().filter(|_| self.next || documented);
        json!({
            "data": data,
            "page_info": {
                "start_cursor": self.places.first().map(|at| cursor(*at)),
                "end_cursor": end.map(|at| cursor(*at)),
                "has_next_page": self.next,
                "has_previous_page": self.previous,
            }
        })
    }
}

/// A cursor as a bound: its own entry is not on the page.
fn bound(place: Option<Place>) -> Bound<Place> {
    place.map_or(Bound::Unbounded, Bound::Excluded)
}

/// The places between two bounds; none where the bounds cross.
fn between(
    list: &BTreeSet<Place>,
    low: Bound<Place>,
    high: Bound<Place>,
) -> impl DoubleEndedIterator<Item = Place> {
    let edge = |bound: Bound<Place>| match bound {
        Bound::Included(place) | Bound::Excluded(place) => Some(place),
        Bound::Unbounded => None,
    };
    // A set's `range` panics on bounds that exclude everything between them.
    let crossed = matches!((edge(low), edge(high)), (Some(low), Some(high)) if low >= high);
    let range = (!crossed).then(|| list.range((low, high)));
    range.into_iter().flatten().copied()
}

/// A place as clients see it; they must not look inside.
fn cursor((at, seq): Place) -> String {
    base64(format!("[\"c\",{at},{seq}]").as_bytes())
}

/// The place behind a cursor; an empty one counts as not sent.
fn place(query: &Query, name: &str) -> Result<Option<Place>, Refusal> {
    let Some(text) = query.get(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let read = |text: &str| {
        let (mark, at, seq): (String, u64, u64) = serde_json::from_slice(&unbase64(text)?).ok()?;
        (mark == "c").then_some((at, seq))
    };
    match read(text) {
        Some(place) => Ok(Some(place)),
        None => Err(Refusal::param(name, "is not a cursor of this list")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(query: &str, descending: bool) -> (Vec<u64>, bool, bool) {
        let list: BTreeSet<Place> = (1..=7).map(|n| (100, n)).collect();
        let page = Page::read(&Query::parse(query), 50, descending).unwrap();
        let cut = page.cut(&list, |(_, seq)| seq != 4);
        (cut.places.iter().map(|at| at.1).collect(), cut.next, cut.previous)
    }

    #[test]
    fn pages_in_both_directions_from_both_ends() {
        let at = |n| cursor((100, n));
        for (query, descending, expected) in [
            ("first=3".to_owned(), false, (vec![1, 2, 3], true, false)),
            (
                format!("first=3&after={}", at(3)),
                false,
                (vec![5, 6, 7], false, true),
            ),
            ("first=2".to_owned(), true, (vec![7, 6], true, false)),
            (
                format!("first=9&after={}", at(6)),
                true,
                (vec![5, 3, 2, 1], false, true),
            ),
            ("last=2".to_owned(), false, (vec![6, 7], false, true)),
            (
                format!("last=2&before={}", at(6)),
                false,
                (vec![3, 5], true, true),
            ),
            (format!("last=2&before={}", at(3)), true, (vec![6, 5], true, true)),
            ("first=3&last=1".to_owned(), false, (vec![3], true, true)),
            (
                format!("after={}&before={}", at(6), at(2)),
                false,
                (vec![], true, true),
            ),
            (
                format!("after={}&before={}", at(2), at(2)),
                false,
                (vec![], true, true),
            ),
        ] {
            assert_eq!(walk(&query, descending), expected, "{query}");
        }
    }

    #[test]
    fn shifted_pages_lose_or_repeat_entries_and_lead_on() {
        let list: BTreeSet<Place> = (1..=7).map(|n| (100, n)).collect();
        let after = cursor((100, 3));
        let shifted = |query: &str, shift| {
            let page = Page::read(&Query::parse(query), 50, false).unwrap();
            let cut = page.shifted(&list, |_| true, shift);
            (cut.places.iter().map(|at| at.1).collect::<Vec<u64>>(), cut.next)
        };
        let first = "first=3";
        let second = format!("first=3&after={after}");
        assert_eq!(shifted(first, Shift::Skip(1)), (vec![2, 3], true));
        assert_eq!(shifted(first, Shift::Repeat(2)), (vec![1, 2, 3], true));
        assert_eq!(shifted(&second, Shift::Repeat(2)), (vec![2, 3, 4, 5, 6], true));
    }

    #[test]
    fn sizes_and_cursors_are_checked() {
        for bad in ["first=0", "first=51", "last=x", "after=nonsense", "before=W10"] {
            assert!(Page::read(&Query::parse(bad), 50, true).is_err(), "{bad}");
        }
        assert!(Page::read(&Query::parse("after="), 50, true).is_ok());
    }
}
