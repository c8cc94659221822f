//! Scalars, kept exactly as written, and the budget for what is kept.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, VariantAccess, Visitor};

/// A scalar field as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Raw<'t> {
    /// The field is missing.
    #[default]
    Absent,
    /// It is present with no value or YAML's null.
    Null,
    /// A text, quoted or not: `No`, `007` and `12:30` are texts.
    Text(Cow<'t, str>),
    /// It has a local tag such as `!env`, which other tools would act on.
    Tagged(Box<str>),
    /// It is not a scalar; the problem is already known.
    Skipped,
}

/// How many times its own size a text may grow to with aliases expanded. A text
/// without aliases stays below three (see [`Reading::spend`]).
pub(super) const BUDGET: usize = 5;
/// What even the smallest text may grow to, so that a few aliases are always
/// allowed.
pub(super) const BUDGET_FLOOR: usize = 64 * 1024;

/// Values to skip: the user (`None` for the document) and the field's dotted
/// name, empty for the whole user.
pub(super) type Skips = BTreeSet<(Option<u32>, Box<str>)>;

/// The state shared by all readers of a text.
pub(super) struct Reading<'s> {
    /// What to skip.
    pub(super) skips: &'s Skips,
    /// The rest of the budget, in bytes; 0 once it is exceeded.
    pub(super) left: Cell<usize>,
}

impl Reading<'_> {
    /// Whether to skip this value. Almost always nothing is skipped.
    pub(super) fn skips(&self, user: Option<u32>, field: &str) -> bool {
        !self.skips.is_empty() && self.skips.contains(&(user, field.into()))
    }

    /// Charges a value to the budget: its bytes, and four more for the value
    /// itself. Every value takes at least two bytes of text ("a,"), so without
    /// aliases the sum stays below three times the text.
    pub(super) fn spend<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        let left = self.left.get().saturating_sub(bytes + 4);
        self.left.set(left);
        if left == 0 {
            return Err(E::custom("aliases exceed the budget"));
        }
        Ok(())
    }
}

/// Reads a field's name. An alias to a text is allowed; a list or mapping is
/// not.
pub(super) struct KeySeed<'r>(pub(super) &'r Reading<'r>);

impl<'t> DeserializeSeed<'t> for KeySeed<'_> {
    type Value = Cow<'t, str>;
    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'t> Visitor<'t> for KeySeed<'_> {
    type Value = Cow<'t, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'t str) -> Result<Self::Value, E> {
        self.0.spend(text.len())?;
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        self.0.spend(text.len())?;
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Reads a scalar as written. The parser is asked three questions, in the order
/// in which it can answer: is it null, does it have a local tag, and what is
/// its text. Asking for "any" value would turn `1e3` into 1000 and `007` into
/// whatever the parser's schema makes of it.
pub(super) struct ScalarSeed<'r> {
    /// The state shared by all readers.
    pub(super) reading: &'r Reading<'r>,
    /// Whether to skip the value, whatever it is.
    pub(super) skip: bool,
}

impl<'t> DeserializeSeed<'t> for ScalarSeed<'_> {
    type Value = Raw<'t>;
    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.skip {
            deserializer.deserialize_ignored_any(IgnoredAny)?;
            return Ok(Raw::Skipped);
        }
        deserializer.deserialize_option(self)
    }
}

impl<'t> Visitor<'t> for ScalarSeed<'_> {
    type Value = Raw<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        // yaml_serde shows local tags to enums only: an untagged scalar looks
        // like the name of a unit variant, a tagged one like a variant named by
        // its tag.
        deserializer.deserialize_enum("", &[], self)
    }

    fn visit_enum<A: EnumAccess<'t>>(self, access: A) -> Result<Self::Value, A::Error> {
        let (raw, content) = access.variant_seed(TextSeed(self.reading))?;
        match raw {
            Raw::Tagged(_) => {
                content.newtype_variant::<IgnoredAny>()?;
            }
            _ => content.unit_variant()?,
        }
        Ok(raw)
    }
}

/// Reads a scalar's text, or the tag before it. The parser passes tags through
/// a plain string deserializer, which has only texts, but answers itself when
/// asked for an option. That distinguishes the two.
struct TextSeed<'r>(&'r Reading<'r>);

impl<'t> DeserializeSeed<'t> for TextSeed<'_> {
    type Value = Raw<'t>;
    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'t> Visitor<'t> for TextSeed<'_> {
    type Value = Raw<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value")
    }

    fn visit_str<E>(self, tag: &str) -> Result<Self::Value, E> {
        Ok(Raw::Tagged(tag.chars().take(60).collect()))
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        KeySeed(self.0).deserialize(deserializer).map(Raw::Text)
    }
}
