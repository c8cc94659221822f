//! What has changed since a plan was saved, for machines.

use serde::Serialize;

use super::super::plan_difference::{self, FieldDifference};
use super::document::Each;
use crate::core::plan::Verb;
use crate::core::saved::{Changes, Moved, Parted};
use crate::core::value::UserKey;

#[derive(Serialize)]
pub(super) struct DifferenceDoc<'a> {
    basis: &'a [Parted],
    users: Each<'a, Moved, fn(&'a Moved) -> UserDoc<'a>>,
}

impl<'a> DifferenceDoc<'a> {
    pub(super) fn new(changes: &'a Changes) -> Self {
        let Changes { basis, users } = changes;
        Self {
            basis,
            users: Each(users, user_doc),
        }
    }
}

#[derive(Serialize)]
pub(super) struct UserDoc<'a> {
    id: &'a UserKey,
    message: String,
    planned: Option<Verb>,
    now: Option<Verb>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<&'static str>,
    fields: Vec<FieldDoc<'a>>,
}

fn user_doc(user: &Moved) -> UserDoc<'_> {
    UserDoc {
        id: &user.id,
        message: plan_difference::sentence(user),
        planned: user.planned.as_ref().map(|action| action.kind),
        now: user.now.as_ref().map(|action| action.kind),
        held: user.held.as_ref().map(|reason| reason.code()),
        fields: plan_difference::fields(user).into_iter().map(field_doc).collect(),
    }
}

#[derive(Serialize)]
struct FieldDoc<'a> {
    name: &'a str,
    planned: Option<ValuesDoc<'a>>,
    now: Option<ValuesDoc<'a>>,
}

#[derive(Serialize)]
struct ValuesDoc<'a> {
    old: Option<&'a str>,
    new: &'a str,
}

fn field_doc(field: FieldDifference<'_>) -> FieldDoc<'_> {
    let FieldDifference { name, planned, now } = field;
    let values = |(old, new)| ValuesDoc { old, new };
    FieldDoc {
        name,
        planned: planned.map(plan_difference::values).map(values),
        now: now.map(plan_difference::values).map(values),
    }
}
