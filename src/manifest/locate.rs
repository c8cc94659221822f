//! The second pass: finds positions in a text.
//!
//! Serde gives no positions, so a manifest with something to point at is read
//! once more, as a stream of events with positions. Only what is looked for is
//! kept, so pointing at one user of a million costs time but no memory. A valid
//! manifest needs this only for [`depth`], if it is written in flow style.

use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use crate::core::problem::Pointer;

use super::document::{COMPANY, USER};
use super::scalar::Skips;
use super::text_position::TextRange;

/// The deepest nesting of lists and mappings. A manifest needs four levels.
/// Both parsers stay fast at fifty, but libyaml takes time in proportion to the
/// square of the depth of brackets: a hundred kilobytes of `[` took it 49
/// seconds.
pub(super) const MOST_LEVELS: usize = 50;

/// A span as the parser gives it, in characters, not bytes.
fn stretch(span: Span) -> TextRange {
    (span.start.index(), span.end.index())
}

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing, or YAML's null.
    Null,
    /// A single value, quoted or not.
    Scalar,
    /// A list.
    List,
    /// A mapping.
    Mapping,
}

impl Kind {
    /// Its name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar => "a single value",
            Self::List => "a list",
            Self::Mapping => "a mapping",
        }
    }
}

/// A value of the document, as the walk passes it.
struct Node<'a> {
    /// Its user.
    user: Option<u32>,
    /// The field's dotted name; empty for the whole user or document.
    field: &'a str,
    /// The field's name in the text; for a user or the document, its first key.
    key: Option<TextRange>,
    /// The value; for lists and mappings in block style, its start.
    value: TextRange,
    /// The kind of the value; for an alias, of its target.
    kind: Kind,
    /// Whether the field's name is itself a list or mapping.
    odd_key: bool,
}

/// What a walk found besides values.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// The start of the second document.
    pub(super) second_document: Option<TextRange>,
    /// The first alias.
    pub(super) alias: Option<TextRange>,
    /// Where and why the walk had to stop.
    pub(super) error: Option<(usize, String)>,
}

/// Walks the events of a text along the structure of a manifest.
struct EventWalk<'t, F> {
    /// The events to come.
    parser: Parser<'t, StrInput<'t>>,
    /// The kinds of anchored values, for aliases to them.
    anchors: BTreeMap<usize, Kind>,
    /// The findings besides values.
    passed: Passed,
    /// Called for every value in the structure of a manifest.
    see: F,
}

/// Why a walk stops early: from here on the text is not YAML.
type Stop = Box<ScanError>;

impl<'t, F: FnMut(Node<'_>)> EventWalk<'t, F> {
    /// Walks a whole text. Findings before an error are kept.
    fn over(text: &'t str, see: F) -> Passed {
        let mut walk = Self {
            parser: Parser::new_from_str(text),
            anchors: BTreeMap::new(),
            passed: Passed::default(),
            see,
        };
        if let Err(error) = walk.stream() {
            walk.passed.error = Some((error.marker().index(), error.info().to_owned()));
        }
        walk.passed
    }

    /// The next event, with its kind if it starts a value.
    fn next(&mut self) -> Result<(Event<'t>, TextRange), Stop> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, stretch(span))),
            Some(Err(error)) => Err(Box::new(error)),
            None => Ok((Event::StreamEnd, (0, 0))),
        }
    }

    /// The kind of the value that an event starts, remembered for aliases.
    fn kind(&mut self, event: &Event<'t>, at: TextRange) -> Kind {
        let (kind, anchor) = match event {
            Event::Alias(anchor) => {
                self.passed.alias.get_or_insert(at);
                return *self.anchors.get(anchor).unwrap_or(&Kind::Scalar);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let null = *style == ScalarStyle::Plain && tag.is_none();
                let null = null && matches!(&**text, "" | "~" | "null" | "Null" | "NULL");
                (if null { Kind::Null } else { Kind::Scalar }, anchor)
            }
            Event::SequenceStart(anchor, _) => (Kind::List, anchor),
            Event::MappingStart(anchor, _) => (Kind::Mapping, anchor),
            _ => return Kind::Null,
        };
        if *anchor > 0 {
            self.anchors.insert(*anchor, kind);
        }
        kind
    }

    /// Skips the rest of a value after its first event; returns where it ends,
    /// if there was any.
    fn skip(&mut self, first: &Event<'t>) -> Result<Option<usize>, Stop> {
        let mut open = usize::from(opens(first));
        let mut end = None;
        while open > 0 {
            let (event, at) = self.next()?;
            self.kind(&event, at);
            end = Some(at.1);
            if opens(&event) {
                open += 1;
            } else if matches!(event, Event::SequenceEnd | Event::MappingEnd | Event::StreamEnd) {
                open -= 1;
            }
        }
        Ok(end)
    }

    /// Walks the first document, and stops at the second.
    fn stream(&mut self) -> Result<(), Stop> {
        let mut documents = 0;
        loop {
            let (event, at) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents == 2 {
                        self.passed.second_document = Some(at);
                        return Ok(());
                    }
                }
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                first => {
                    let kind = self.kind(&first, at);
                    self.whole(None, kind, at)?;
                    match first {
                        Event::MappingStart(..) => self.mapping(None, "")?,
                        other => drop(self.skip(&other)?),
                    }
                }
            }
        }
    }

    /// Shows the document or a user as a whole.
    fn whole(&mut self, user: Option<u32>, kind: Kind, at: TextRange) -> Result<(), Stop> {
        let key = match self.parser.peek() {
            Some(Ok((Event::Scalar(..), span))) if kind == Kind::Mapping => Some(stretch(*span)),
            Some(Err(error)) => return Err(Box::new(error)),
            _ => None,
        };
        (self.see)(Node {
            user,
            field: "",
            key,
            value: at,
            kind,
            odd_key: false,
        });
        Ok(())
    }

    /// Walks the fields of a mapping whose first event was consumed. A repeated
    /// field is shown each time, but entered only the first time.
    fn mapping(&mut self, user: Option<u32>, within: &str) -> Result<(), Stop> {
        let mut entered = BTreeSet::new();
        loop {
            let (key, mut key_at) = self.next()?;
            if matches!(key, Event::MappingEnd | Event::StreamEnd) {
                return Ok(());
            }
            let key_kind = self.kind(&key, key_at);
            let odd_key = matches!(key_kind, Kind::List | Kind::Mapping);
            if let Some(end) = self.skip(&key)? {
                key_at.1 = end;
            }
            let name = match &key {
                Event::Scalar(name, ..) => name,
                _ => "",
            };
            let field = match within {
                "" => name.to_owned(),
                _ => format!("{within}.{name}"),
            };
            let (value, value_at) = self.next()?;
            let kind = self.kind(&value, value_at);
            (self.see)(Node {
                user,
                field: &field,
                key: Some(key_at),
                value: value_at,
                kind,
                odd_key,
            });
            let inner = match user {
                None => field == "guardrails",
                Some(_) => field == "metadata",
            };
            match value {
                Event::MappingStart(..) if inner && entered.insert(field.clone()) => {
                    self.mapping(user, &field)?;
                }
                Event::SequenceStart(..)
                    if user.is_none() && field == "users" && entered.insert(field.clone()) =>
                {
                    self.users()?;
                }
                other => drop(self.skip(&other)?),
            }
        }
    }

    /// Walks the list of users, whose first event was consumed.
    fn users(&mut self) -> Result<(), Stop> {
        for index in 0.. {
            let (event, at) = self.next()?;
            if matches!(event, Event::SequenceEnd | Event::StreamEnd) {
                break;
            }
            let kind = self.kind(&event, at);
            if matches!(event, Event::MappingStart(..)) {
                self.whole(Some(index), kind, at)?;
                self.mapping(Some(index), "")?;
            } else {
                // An alias is shown as its target; the fields are at the
                // anchor.
                (self.see)(Node {
                    user: Some(index),
                    field: "",
                    key: None,
                    value: at,
                    kind,
                    odd_key: false,
                });
                self.skip(&event)?;
            }
        }
        Ok(())
    }
}

/// Whether an event starts a list or mapping.
fn opens(event: &Event<'_>) -> bool {
    matches!(event, Event::SequenceStart(..) | Event::MappingStart(..))
}

/// A value of the wrong kind, which serde cannot read past.
#[derive(Debug)]
pub(super) struct TypeMismatch {
    /// Its user.
    pub(super) user: Option<u32>,
    /// The field's dotted name; empty for the whole user or document.
    pub(super) field: Box<str>,
    /// What is wrong.
    pub(super) wrong: Wrong,
}

/// What serde cannot read past.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wrong {
    /// A value of this kind.
    Value(Kind),
    /// The name of a field.
    Key(TextRange),
}

/// Finds every value that serde cannot read past.
pub(super) fn misfits(text: &str) -> (Vec<TypeMismatch>, Passed) {
    let mut found = Vec::new();
    let passed = EventWalk::over(text, |sight| {
        if sight.odd_key {
            // Serde cannot even skip such a name, so the whole mapping is
            // unreadable.
            let within = sight.field.rsplit_once('.').map_or("", |(within, _)| within);
            found.push(TypeMismatch {
                user: sight.user,
                field: within.into(),
                wrong: Wrong::Key(sight.key.unwrap_or(sight.value)),
            });
        } else if !fits(&sight) {
            found.push(TypeMismatch {
                user: sight.user,
                field: sight.field.into(),
                wrong: Wrong::Value(sight.kind),
            });
        }
    });
    (found, passed)
}

/// Whether serde can read this kind of value here.
fn fits(sight: &Node<'_>) -> bool {
    let nested = sight.field.contains('.');
    let mapping = matches!(sight.kind, Kind::Mapping | Kind::Null);
    let scalar = matches!(sight.kind, Kind::Scalar | Kind::Null);
    match (sight.user, sight.field) {
        (_, "") => mapping,
        (None, "users") => matches!(sight.kind, Kind::List | Kind::Null),
        (None, "guardrails") | (Some(_), "metadata") => mapping,
        (None, "version" | "strip_metadata") => scalar,
        (None, field) if COMPANY.contains(&field) => scalar,
        (Some(_), field) if USER.contains(&field) => scalar,
        _ if nested => scalar,
        _ => true,
    }
}

/// What the reader must skip.
pub(super) fn skips(misfits: &[TypeMismatch]) -> Skips {
    misfits
        .iter()
        .map(|misfit| (misfit.user, misfit.field.clone()))
        .collect()
}

/// Where nesting is too deep or the text cannot be read: the position, and for
/// the latter the parser's message. Stops there, so that its own cost is
/// bounded.
pub(super) fn depth(text: &str) -> Option<(usize, Option<String>)> {
    let mut open = 0;
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) if opens(&event) => {
                open += 1;
                if open > MOST_LEVELS {
                    return Some((span.start.index(), None));
                }
            }
            Ok((Event::SequenceEnd | Event::MappingEnd, _)) => open -= 1,
            Ok(_) => {}
            Err(error) => {
                // The scanner reads ahead and has a limit of its own.
                let deep = error.info().contains("recursion limit");
                return Some((error.marker().index(), (!deep).then(|| error.info().to_owned())));
            }
        }
    }
    None
}

/// Which part of a field to point at, and which of several equal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldPart {
    /// Its name.
    Key,
    /// The last occurrence of its name.
    LastKey,
    /// Its value.
    Value,
}

/// The position of a field, as found so far.
struct FieldPosition {
    /// Its name; for the document or a user, the first name in it.
    key: TextRange,
    /// Its value, unless it has none.
    value: Option<TextRange>,
    /// The last occurrence of its name.
    last_key: TextRange,
}

/// Finds values in a part's text, or the nearest enclosing item if one is
/// missing: for a field the start of its user, for a user the list. The cost
/// per value of the text does not depend on how much is looked for.
pub(super) fn find(text: &str, wanted: &[(&Pointer, FieldPart)]) -> Vec<TextRange> {
    let mut spots: BTreeMap<Option<u32>, BTreeMap<&str, Option<FieldPosition>>> = BTreeMap::new();
    for (pointer, _) in wanted {
        for (user, field) in around(pointer) {
            spots.entry(user).or_default().insert(field, None);
        }
    }
    EventWalk::over(text, |sight| {
        let fields = spots.get_mut(&sight.user);
        let Some(slot) = fields.and_then(|fields| fields.get_mut(sight.field)) else {
            return;
        };
        let key = sight.key.unwrap_or(sight.value);
        let there = !sight.field.is_empty() && sight.value.0 < sight.value.1;
        let spot = slot.get_or_insert(FieldPosition {
            key,
            value: there.then_some(sight.value),
            last_key: key,
        });
        spot.last_key = key;
    });
    let nearest = |(pointer, side): &(&Pointer, FieldPart)| {
        let mut ways = around(pointer).into_iter();
        let spot = |(user, field): (Option<u32>, &str)| spots.get(&user)?.get(field)?.as_ref();
        let exact = ways.next().and_then(spot).map(|spot| match side {
            FieldPart::Key => spot.key,
            FieldPart::LastKey => spot.last_key,
            FieldPart::Value => spot.value.unwrap_or(spot.key),
        });
        exact
            .or_else(|| ways.find_map(spot).map(|spot| spot.key))
            .unwrap_or_default()
    };
    wanted.iter().map(nearest).collect()
}

/// What a pointer names, and what encloses it, from near to far: the mapping
/// that should have the field, the user, the list, the document.
fn around(pointer: &Pointer) -> [(Option<u32>, &str); 5] {
    let field = pointer.field.as_deref().unwrap_or_default();
    let within = field.split_once('.').map_or("", |(within, _)| within);
    let list = if pointer.user.is_some() { "users" } else { "" };
    [
        (pointer.user, field),
        (pointer.user, within),
        (pointer.user, ""),
        (None, list),
        (None, ""),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "version: 1\nusers:\r\n  - id: a\n    name: é ü  # c\n    metadata: {tier: gold,\n      b: }\n  -\n    email: x\n    email: y\n  - *a\n";

    fn at(user: Option<u32>, field: &str, side: FieldPart) -> (u32, u32, u32) {
        let pointer = Pointer {
            part: 0,
            user,
            field: (!field.is_empty()).then(|| field.into()),
        };
        let text = TEXT.replace("- *a", "- {}");
        let found = find(&text, &[(&pointer, side)]);
        let place = crate::manifest::text_position::places(&text, "f", &found).remove(0);
        (place.line, place.column, place.length)
    }

    #[test]
    fn a_pointer_finds_its_value_or_the_nearest_thing_around_it() {
        assert_eq!(at(Some(0), "name", FieldPart::Value), (4, 11, 3));
        assert_eq!(at(Some(0), "name", FieldPart::Key), (4, 5, 4));
        assert_eq!(at(Some(0), "metadata.tier", FieldPart::Value), (5, 22, 4));
        assert_eq!(
            at(Some(0), "metadata.b", FieldPart::Value),
            (6, 7, 1),
            "nothing there: the key"
        );
        assert_eq!(at(Some(0), "metadata.zz", FieldPart::Value), (5, 5, 8));
        assert_eq!(
            at(Some(0), "email", FieldPart::Value),
            (3, 5, 2),
            "missing: the first key"
        );
        assert_eq!(at(Some(1), "email", FieldPart::Key), (8, 5, 5));
        assert_eq!(at(Some(1), "email", FieldPart::LastKey), (9, 5, 5));
        assert_eq!(at(Some(2), "id", FieldPart::Value), (10, 5, 1));
        assert_eq!(
            at(Some(9), "id", FieldPart::Value),
            (2, 1, 5),
            "no such user: the list"
        );
        assert_eq!(at(None, "company", FieldPart::Value), (1, 1, 7));
    }

    #[test]
    fn deep_brackets_are_found_without_recursion() {
        let deep = format!("a: {}", "[".repeat(1_000_000));
        assert!(matches!(depth(&deep), Some((_, None))));
        let fine = format!("a: {}{}", "[".repeat(40), "]".repeat(40));
        assert_eq!(depth(&fine), None);
        assert!(matches!(depth("a: ]"), Some((3, Some(_)))));
    }
}
