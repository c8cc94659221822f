//! The common parts of all documents: version and kind, and lists that are
//! converted as they are written.

use std::io::{self, BufWriter, Write};

use serde::{Serialize, Serializer};

use super::super::escape::SafeJson;
use crate::core::field::TextField;

/// The version of these documents.
pub(super) const FORMAT_VERSION: &str = "1.0";

/// One document: its version and kind, then its content.
#[derive(Serialize)]
pub(super) struct Document<T> {
    pub(super) format_version: &'static str,
    pub(super) kind: &'static str,
    #[serde(flatten)]
    pub(super) content: T,
}

/// Writes one document and a final newline.
pub(super) fn write<T: Serialize>(out: &mut dyn Write, kind: &'static str, content: T) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, SafeJson::default());
    let document = Document {
        format_version: FORMAT_VERSION,
        kind,
        content,
    };
    document.serialize(&mut serializer)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// A list whose elements are converted as they are written.
pub(super) struct Each<'a, T, F>(pub(super) &'a [T], pub(super) F);

impl<'a, T, F, D> Serialize for Each<'a, T, F>
where
    F: Fn(&'a T) -> D,
    D: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(&self.1))
    }
}

/// Managed texts by name, as fields of the object around them.
pub(super) struct TextsDoc<'a>(Vec<(&'static str, Option<&'a str>)>);

impl<'a> TextsDoc<'a> {
    pub(super) fn new(
        fields: impl IntoIterator<Item = TextField>,
        text: impl Fn(TextField) -> Option<&'a str>,
    ) -> Self {
        let fields = fields.into_iter();
        Self(fields.map(|field| (field.name(), text(field))).collect())
    }
}

impl Serialize for TextsDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// A list of plan parts, each converted by a plain function.
pub(super) type Parts<'a, T, D> = Each<'a, T, fn(&'a T) -> D>;
