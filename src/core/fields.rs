//! An action as a list of fields, the one order in which every output shows
//! them. Goes over the table of texts, and takes the rest of the plan's structs
//! apart in full: what is added there and forgotten here does not compile.

use std::borrow::Cow;

use super::field::{Owner, TextChange, TextField};
use super::model::IDENTITY_KEYS;
use super::plan::{Action, Cause, Kind, NewAccount, PictureChange};

/// One field that an action sets.
#[derive(Debug)]
pub(crate) struct Field<'a> {
    /// The manifest's name of it; metadata as `metadata.key`.
    pub(crate) name: Cow<'a, str>,
    /// From what to what.
    pub(crate) value: Value<'a>,
    /// Why.
    pub(crate) cause: Cause,
}

/// A field's old and new.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    /// A text.
    Text {
        /// What Whop shows now, as far as known.
        old: Option<&'a str>,
        /// What it will be.
        new: &'a str,
    },
    /// A picture.
    Picture(&'a PictureChange),
}

impl Field<'_> {
    /// Whether it merely carries the user's own id, which every account does.
    pub(crate) fn is_identity(&self, key: &str) -> bool {
        let name = self.name.strip_prefix("metadata.");
        let names_id = name.is_some_and(|name| IDENTITY_KEYS.contains(&name));
        names_id && matches!(self.value, Value::Text { old: None, new } if new == key)
    }
}

/// The fields of an action: the account's first, then the profile's.
pub(crate) fn of(action: &Action) -> Vec<Field<'_>> {
    let Action {
        key: _,
        kind,
        renamed_from: _,
        account,
        profile,
    } = action;
    let mut fields = Vec::new();
    match kind {
        Kind::Create(new) => add_new_account(&mut fields, new),
        // Their entries are what is so already, not what changes.
        Kind::Adopt { entry: _, by: _ } | Kind::Update { entry: _, record: _ } => {}
        Kind::Forget { link: _ } => {}
    }
    let texts = |owner| {
        let changes = TextField::of(owner).filter_map(|field| Some((field, field.changed(action)?)));
        changes.map(|(field, change)| changed(field.name().into(), change))
    };
    // What rides along unchanged is no field.
    let (metadata, _whole) = account.rest();
    fields.extend(texts(Owner::Account));
    let metadata = metadata.iter();
    fields.extend(metadata.map(|(key, c)| changed(metadata_name(key), TextChange::of(c, &c.new))));
    fields.extend(texts(Owner::Profile));
    fields.extend(profile.rest().map(|picture| Field {
        name: "avatar".into(),
        value: Value::Picture(picture),
        cause: picture.cause,
    }));
    fields
}

fn add_new_account<'a>(fields: &mut Vec<Field<'a>>, new: &'a NewAccount) {
    let NewAccount {
        email,
        title,
        metadata,
        // Said in the action's head, not fields of the account.
        resend: _,
        replaces: _,
    } = new;
    let mut add = |name, new| {
        fields.push(Field {
            name,
            value: Value::Text { old: None, new },
            cause: Cause::New,
        });
    };
    add("email".into(), email.as_str());
    add("title".into(), title.as_str());
    for (key, value) in metadata {
        add(metadata_name(key), value);
    }
}

fn changed<'a>(name: Cow<'a, str>, change: TextChange<'a>) -> Field<'a> {
    let TextChange { old, new, cause } = change;
    Field {
        name,
        value: Value::Text { old, new },
        cause,
    }
}

fn metadata_name(key: &str) -> Cow<'_, str> {
    Cow::Owned(format!("metadata.{key}"))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn names(action: &Action) -> Vec<String> {
        of(action).into_iter().map(|f| f.name.into_owned()).collect()
    }

    #[test]
    fn every_field_is_listed_once_in_order() {
        let mut action = sample::update("u1", "Old", "New", Cause::Edited);
        action.account = sample::account_change();
        action.profile.picture = sample::picture_change(None, "a.png", Cause::New);
        assert_eq!(
            names(&action),
            ["title", "metadata.team", "metadata.tier", "name", "avatar"]
        );
        let create = sample::create("c1", "Ann");
        let expected = [
            "email",
            "title",
            "metadata.external_id",
            "metadata.internal_user_id",
            "name",
            "avatar",
        ];
        assert_eq!(names(&create), expected);
        assert!(names(&sample::forget("f1")).is_empty());
    }

    #[test]
    fn only_the_users_own_id_counts_as_identity() {
        let create = sample::create("c1", "Ann");
        let identity = of(&create).iter().filter(|f| f.is_identity("c1")).count();
        assert_eq!(identity, 2);
        assert_eq!(of(&create).iter().filter(|f| f.is_identity("c2")).count(), 0);
    }
}
