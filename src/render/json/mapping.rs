//! The mapping as a JSON document.

use std::io::{self, Write};

use serde::{Serialize, Serializer};

use super::document::TextsDoc;
use super::document::write;
use crate::core::field::TextField;
use crate::core::model::{AppliedPicture, Known, KnownRest, KnownUser, Link};
use crate::core::text::Texts;
use crate::core::value::UserKey;

/// Writes the mapping, or only the requested user.
///
/// # Errors
/// The writer's own.
pub fn mapping(
    out: &mut dyn Write,
    known: &Known,
    only: Option<&UserKey>,
    company: &str,
    server: &str,
) -> io::Result<()> {
    let content = MappingDoc {
        company,
        server,
        users: Users { known, only },
    };
    write(out, "mapping", content)
}

#[derive(Serialize)]
struct MappingDoc<'a> {
    company: &'a str,
    server: &'a str,
    users: Users<'a>,
}

/// The users of a mapping, all or one.
struct Users<'a> {
    known: &'a Known,
    only: Option<&'a UserKey>,
}

/// One user of a mapping, flat, so that a script gets at an id in one step.
#[derive(Serialize)]
pub(super) struct UserDoc<'a> {
    id: &'a UserKey,
    #[serde(flatten)]
    link: &'a Link,
    #[serde(flatten)]
    texts: TextsDoc<'a>,
    #[serde(skip_serializing_if = "no_texts")]
    metadata: &'a Texts,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<&'a AppliedPicture>,
}

fn no_texts(texts: &Texts) -> bool {
    texts.is_empty()
}

impl<'a> UserDoc<'a> {
    pub(super) fn new(id: &'a UserKey, entry: &'a KnownUser) -> Self {
        let KnownRest {
            link,
            metadata,
            picture,
        } = entry.rest();
        let applied = TextField::ALL
            .into_iter()
            .filter(|field| field.applied(entry).is_some());
        Self {
            id,
            link,
            texts: TextsDoc::new(applied, |field| field.applied(entry)),
            metadata,
            picture,
        }
    }
}

impl Serialize for Users<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let users = super::super::mapping::chosen(self.known, self.only);
        serializer.collect_seq(users.map(|(id, entry)| UserDoc::new(id, entry)))
    }
}
