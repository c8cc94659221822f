//! Which column of a table is for which field of a user: as the command line
//! says, or as the headers say.

use std::collections::BTreeMap;

use crate::core::field::{TextField, USER_FIELDS};
use crate::core::model::IDENTITY_KEYS;
use crate::manifest;
use crate::render::init::InitSummary;

/// A column that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    field: String,
    header: String,
}

/// The fields that a column can be for, besides metadata.
fn fields() -> impl Iterator<Item = &'static str> + Clone {
    let fields = USER_FIELDS.into_iter();
    fields.filter(|field| !matches!(*field, "metadata" | "strip_metadata"))
}

/// The fields that every user has.
fn required() -> impl Iterator<Item = &'static str> {
    ["id", "email"]
        .into_iter()
        .chain(TextField::required().map(TextField::name))
}

impl Column {
    /// Parses `FIELD=HEADER`.
    ///
    /// # Errors
    /// Says which fields there are.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (field, header) = text
            .split_once('=')
            .ok_or("must be like email=\"Mail address\"")?;
        let is_metadata = field
            .strip_prefix("metadata.")
            .is_some_and(|key| !key.is_empty() && !IDENTITY_KEYS.contains(&key));
        if !fields().any(|known| known == field) && !is_metadata {
            let fields: Vec<_> = fields().collect();
            return Err(format!("must name one of {} or metadata.KEY", fields.join(", ")));
        }
        Ok(Self {
            field: field.to_owned(),
            header: header.trim().to_owned(),
        })
    }
}

/// Which column is for which field.
pub(super) type Columns = BTreeMap<String, usize>;

/// Finds the columns: those that were named, then by their headers. A header
/// that is the field's own name wins over another word for it.
///
/// # Errors
/// Says what there is no column for.
pub(super) fn columns(
    header: &[String],
    named: &[Column],
    made: &mut InitSummary,
) -> Result<Columns, String> {
    let mut columns = Columns::new();
    for Column {
        field,
        header: wanted,
    } in named
    {
        let at = header.iter().position(|known| known.eq_ignore_ascii_case(wanted));
        let at = at.ok_or_else(|| format!("the table has no column `{wanted}`"))?;
        columns.insert(field.clone(), at);
    }
    let plain = |header: &str| header.trim().to_lowercase().replace([' ', '-'], "_");
    for exact in [true, false] {
        for (at, header) in header.iter().enumerate() {
            let taken = columns.values().any(|known| *known == at);
            let words = [plain(header), header.trim().to_lowercase()];
            let found = words.iter().find_map(|word| match exact {
                true => fields().find(|field| field == word),
                false => manifest::field_called(word).filter(|field| fields().any(|known| known == *field)),
            });
            if let Some(field) = found.filter(|_| !taken)
                && !columns.contains_key(field)
            {
                columns.insert(field.to_owned(), at);
            }
        }
    }
    for required in required() {
        if !columns.contains_key(required) {
            return Err(format!("no column of the table is for `{required}`"));
        }
    }
    let unused = header
        .iter()
        .enumerate()
        .filter(|(at, _)| !columns.values().any(|used| used == at));
    made.unused = unused.map(|(_, header)| header.clone()).collect();
    Ok(columns)
}
