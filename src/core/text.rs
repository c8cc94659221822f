//! Texts and maps of texts that take little memory. A platform has a million
//! users, each has a dozen texts of ten to twenty characters, and an allocation
//! for each costs more than the text.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::iter::Zip;
use std::ops::{Deref, Index};
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// Texts of so many bytes need no allocation: as many as fit where a pointer,
/// a length and a tag have to be anyway.
const SHORT: usize = 22;

/// A text that does not change. 24 bytes, and nothing else if it is short.
#[derive(Clone)]
pub struct Text(Kept);

#[derive(Clone)]
enum Kept {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Box<str>),
}

impl Text {
    /// The bytes, which costs less than the text.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Kept::Short { length, bytes } => &bytes[..usize::from(*length)],
            Kept::Long(text) => text.as_bytes(),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // They came from a text, so this never falls back.
            Kept::Short { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Kept::Long(text) => text,
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::from("")
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(text.as_bytes());
                Self(Kept::Short { length, bytes })
            }
            _ => Self(Kept::Long(text.into())),
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        match text.len() <= SHORT {
            true => Self::from(&*text),
            false => Self(Kept::Long(text.into())),
        }
    }
}

impl From<Box<str>> for Text {
    fn from(text: Box<str>) -> Self {
        String::from(text).into()
    }
}

impl From<Text> for Box<str> {
    fn from(text: Text) -> Self {
        match text.0 {
            Kept::Long(text) => text,
            Kept::Short { .. } => text.as_str().into(),
        }
    }
}

impl From<&Text> for Box<str> {
    fn from(text: &Text) -> Self {
        text.as_str().into()
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    /// As texts are ordered: by their bytes.
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Text {
    /// As a text does, which [`Borrow`] promises.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| Ok::<_, &str>(text.into()))
    }
}

/// Reads a text and parses it at once, without a copy in between.
///
/// # Errors
/// What is no text, and whatever the parser refuses, in its words.
pub(crate) fn parsed<'de, D, T, E>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    E: fmt::Display,
{
    struct Parsing<P>(P);

    impl<T, E: fmt::Display, P: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Parsing<P> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<F: Error>(self, text: &str) -> Result<T, F> {
            (self.0)(text).map_err(F::custom)
        }
    }

    deserializer.deserialize_str(Parsing(parse))
}

/// A number that stands for a value: equal for equal ones, and for others
/// hardly ever. To find what stands twice among a million, numbers are sorted,
/// and values compared only where their numbers agree.
pub(crate) fn fingerprint(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A small map from texts to values, sorted. Maps that have the same keys can
/// hold these once, by [`KeyLists`]. To change it costs in proportion to its
/// size: what is large and changes is no such map.
#[derive(Clone, PartialEq, Eq)]
pub struct Sorted<V> {
    keys: Keys,
    /// As many as there are keys, in their order.
    values: Box<[V]>,
}

/// Texts by name, such as managed metadata.
pub type Texts = Sorted<Text>;

/// The keys of a map, sorted, each once; `None` for none. One pointer in each
/// of many maps, which is why it points at what points at them.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Keys(Option<Arc<Box<[Text]>>>);

impl Deref for Keys {
    type Target = [Text];
    fn deref(&self) -> &[Text] {
        self.0.as_deref().map_or(&[], |keys| keys)
    }
}

impl From<Vec<Text>> for Keys {
    fn from(keys: Vec<Text>) -> Self {
        Self((!keys.is_empty()).then(|| Arc::new(keys.into())))
    }
}

impl From<Keys> for Vec<Text> {
    fn from(keys: Keys) -> Self {
        match keys.0.map(Arc::try_unwrap) {
            None => Self::new(),
            Some(Ok(own)) => own.into_vec(),
            Some(Err(shared)) => shared.to_vec(),
        }
    }
}

/// The lists of keys that the maps of many users have. Most have one of a few,
/// and a list takes more memory than its values.
#[derive(Default)]
pub struct KeyLists {
    /// The list of the map before, which is most often the next one's as well.
    last: Keys,
    all: HashSet<Keys>,
}

impl KeyLists {
    /// Lets a map hold its keys together with all others shown here that have
    /// the same.
    pub fn share<V>(&mut self, map: &mut Sorted<V>) {
        if map.keys != self.last {
            self.last = match self.all.get(&map.keys) {
                Some(same) => same.clone(),
                None => {
                    self.all.insert(map.keys.clone());
                    map.keys.clone()
                }
            };
        }
        map.keys = self.last.clone();
    }
}

impl<V> Sorted<V> {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            keys: Keys::default(),
            values: Box::default(),
        }
    }

    /// Of keys and values in any order; of equal keys the last one counts.
    fn of(keys: Vec<Text>, values: Vec<V>) -> Self {
        if keys.is_sorted_by(|a, b| a < b) {
            return Self {
                keys: keys.into(),
                values: values.into(),
            };
        }
        let mut pairs: Vec<_> = keys.into_iter().zip(values).collect();
        pairs.reverse();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.dedup_by(|a, b| a.0 == b.0);
        let (keys, values): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        Self {
            keys: keys.into(),
            values: values.into(),
        }
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.keys.binary_search_by(|at| at.as_bytes().cmp(key.as_bytes()))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&V> {
        self.find(key).ok().map(|at| &self.values[at])
    }

    /// Whether it has a key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.find(key).is_ok()
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> Iter<'_, V> {
        self.keys.iter().zip(&self.values)
    }

    /// The keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &Text> {
        self.keys.iter()
    }

    /// The values, by key.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.values.iter()
    }

    /// The same keys with other values.
    pub fn map<W>(self, change: impl FnMut(V) -> W) -> Sorted<W> {
        Sorted {
            keys: self.keys,
            values: self.values.into_iter().map(change).collect(),
        }
    }

    /// Sets the value of a key; gives what it was before.
    pub fn insert(&mut self, key: Text, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.values[at], value)),
            Err(at) => {
                self.change(|pairs| pairs.insert(at, (key, value)));
                None
            }
        }
    }

    /// Takes a key out; gives its value.
    pub fn remove(&mut self, key: &str) -> Option<V> {
        let at = self.find(key).ok()?;
        let mut value = None;
        self.change(|pairs| value = Some(pairs.remove(at).1));
        value
    }

    /// Keeps only what is wanted.
    pub fn retain(&mut self, mut wanted: impl FnMut(&Text, &V) -> bool) {
        if !self.iter().all(|(key, value)| wanted(key, value)) {
            self.change(|pairs| pairs.retain(|(key, value)| wanted(key, value)));
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<(Text, V)>)) {
        let mut pairs: Vec<_> = std::mem::take(self).into_iter().collect();
        change(&mut pairs);
        *self = pairs.into_iter().collect();
    }
}

/// Keys and values, by key.
pub type Iter<'a, V> = Zip<std::slice::Iter<'a, Text>, std::slice::Iter<'a, V>>;

impl<V> Default for Sorted<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: fmt::Debug> fmt::Debug for Sorted<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<V> FromIterator<(Text, V)> for Sorted<V> {
    /// Of equal keys the last one counts.
    fn from_iter<I: IntoIterator<Item = (Text, V)>>(pairs: I) -> Self {
        let (keys, values) = pairs.into_iter().unzip();
        Self::of(keys, values)
    }
}

impl<V, const N: usize> From<[(Text, V); N]> for Sorted<V> {
    fn from(pairs: [(Text, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<V> Extend<(Text, V)> for Sorted<V> {
    fn extend<I: IntoIterator<Item = (Text, V)>>(&mut self, more: I) {
        let before = std::mem::take(self).into_iter();
        *self = before.chain(more).collect();
    }
}

impl<V> IntoIterator for Sorted<V> {
    type Item = (Text, V);
    type IntoIter = Zip<std::vec::IntoIter<Text>, std::vec::IntoIter<V>>;
    fn into_iter(self) -> Self::IntoIter {
        Vec::from(self.keys).into_iter().zip(self.values)
    }
}

impl<'a, V> IntoIterator for &'a Sorted<V> {
    type Item = (&'a Text, &'a V);
    type IntoIter = Iter<'a, V>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<V> Index<&str> for Sorted<V> {
    type Output = V;

    /// # Panics
    /// When it has no such key, as every map does.
    fn index(&self, key: &str) -> &V {
        match self.find(key) {
            Ok(at) => &self.values[at],
            Err(_) => panic!("no `{key}`"),
        }
    }
}

impl<V: Serialize> Serialize for Sorted<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Sorted<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<V>(std::marker::PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Pairs<V> {
            type Value = Sorted<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut keys, mut values) = (Vec::new(), Vec::new());
                while let Some((key, value)) = map.next_entry()? {
                    keys.push(key);
                    values.push(value);
                }
                Ok(Sorted::of(keys, values))
            }
        }

        deserializer.deserialize_map(Pairs(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_is_small() {
        assert_eq!((size_of::<Text>(), size_of::<Option<Text>>()), (24, 24));
        assert_eq!(size_of::<Texts>(), 24);
    }

    proptest! {
        #[test]
        fn a_text_is_that_text(one in "\\PC{0,30}", other in "[a-c]{0,3}") {
            let (a, b) = (Text::from(&*one), Text::from(&*other));
            prop_assert_eq!(&*a, &*one);
            prop_assert_eq!(&Text::from(one.clone()), &a);
            prop_assert_eq!(&Text::from(Box::<str>::from(&*one)), &a);
            prop_assert_eq!(Box::<str>::from(a.clone()), Box::<str>::from(&*one));
            prop_assert_eq!(a.cmp(&b), one.cmp(&other));
            prop_assert_eq!(a == b, one == other);
            prop_assert_eq!(fingerprint(&a), fingerprint(&one));
            let json = serde_json::to_string(&a).unwrap();
            prop_assert_eq!(&json, &serde_json::to_string(&one).unwrap());
            prop_assert_eq!(serde_json::from_str::<Text>(&json).unwrap(), a);
        }

        #[test]
        fn a_map_is_that_map(
            pairs in prop::collection::vec(("[a-e]{1,2}", 0..9_u8), 0..9),
            more in prop::collection::vec(("[a-e]{1,2}", 0..9_u8), 0..4),
        ) {
            let text = |pairs: &[(String, u8)]| -> Vec<(Text, u8)> {
                pairs.iter().map(|(key, value)| (key.as_str().into(), *value)).collect()
            };
            let mut ours: Sorted<u8> = text(&pairs).into_iter().collect();
            let mut theirs: BTreeMap<String, u8> = pairs.iter().cloned().collect();
            let same = |ours: &Sorted<u8>, theirs: &BTreeMap<String, u8>| {
                serde_json::to_string(ours).unwrap() == serde_json::to_string(theirs).unwrap()
            };
            prop_assert!(same(&ours, &theirs));
            for (key, value) in &more {
                prop_assert_eq!(ours.get(key), theirs.get(key));
                prop_assert_eq!(ours.insert(key.as_str().into(), *value), theirs.insert(key.clone(), *value));
            }
            prop_assert!(same(&ours, &theirs));
            ours.retain(|_, value| value % 2 == 0);
            theirs.retain(|_, value| *value % 2 == 0);
            prop_assert!(same(&ours, &theirs));
            ours.extend(text(&pairs));
            theirs.extend(pairs);
            prop_assert!(same(&ours, &theirs));
            let json = serde_json::to_string(&ours).unwrap();
            prop_assert_eq!(serde_json::from_str::<Sorted<u8>>(&json).unwrap(), ours);
        }
    }

    #[test]
    fn equal_keys_are_held_once_whatever_comes_between() {
        let map = |keys: [&str; 2], value: u8| -> Sorted<u8> {
            keys.into_iter().map(|key| (key.into(), value)).collect()
        };
        let mut maps = [
            map(["a", "b"], 1),
            map(["b", "a"], 2),
            map(["a", "c"], 3),
            Sorted::new(),
            map(["a", "b"], 4),
        ];
        let before = maps.clone();
        let mut lists = KeyLists::default();
        maps.iter_mut().for_each(|map| lists.share(map));
        assert_eq!(maps, before);
        let is_one = |a: usize, b: usize| maps[a].keys.as_ptr() == maps[b].keys.as_ptr();
        assert!(is_one(0, 1) && is_one(0, 4) && !is_one(0, 2));
        // Who changes one leaves the others alone.
        maps[1].insert("d".into(), 5);
        assert_eq!((maps[1].len(), &maps[0]), (3, &before[0]));
    }

    #[test]
    fn of_equal_keys_in_a_document_the_last_counts() {
        let read: Texts = serde_json::from_str(r#"{"b":"1","a":"2","b":"3"}"#).unwrap();
        assert_eq!((read.len(), &*read["b"], &*read["a"]), (2, "3", "2"));
    }
}
