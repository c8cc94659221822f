//! Everything about one user as a JSON document.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::messages;
use super::document::TextsDoc;
use super::mapping::UserDoc;
use super::plan::{ActionDoc, BreachDoc, HoldDoc, action_doc, breach_doc, hold_doc_of};
use crate::core::explain::{Decision, Explanation, How};
use crate::core::field::{Owner, TextField};
use crate::core::identity::Evidence;
use crate::core::model::{Account, DesiredRest, DesiredUser, ProfileRead};
use crate::core::problem::Place;
use crate::core::text::Texts;
use crate::core::value::{AccountId, UserId, UserKey};

#[derive(Serialize)]
pub(super) struct ExplanationDoc<'a> {
    id: &'a UserKey,
    manifest: Option<ManifestDoc<'a>>,
    mapping: Option<UserDoc<'a>>,
    accounts: Vec<AccountDoc<'a>>,
    profile: Option<ProfileDoc<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_of: Option<&'a AccountId>,
    found_by: &'static str,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<ActionDoc<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<HoldDoc<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    renamed_to: Option<&'a UserKey>,
    breaches: Vec<BreachDoc>,
    next: String,
}

#[derive(Serialize)]
struct ManifestDoc<'a> {
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
    email: &'a str,
    #[serde(flatten)]
    texts: TextsDoc<'a>,
    metadata: &'a Texts,
    avatar: Option<&'a str>,
    renamed_from: Option<&'a UserKey>,
}

#[derive(Serialize)]
struct AccountDoc<'a> {
    account_id: &'a AccountId,
    user_id: &'a UserId,
    mapped: bool,
    carries: &'a [Evidence],
    email: Option<&'a str>,
    #[serde(flatten)]
    texts: TextsDoc<'a>,
    suspended: bool,
    metadata: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum ProfileDoc<'a> {
    Seen {
        #[serde(flatten)]
        texts: TextsDoc<'a>,
        picture: Option<&'a str>,
    },
    Missing,
    Unreadable {
        message: &'a str,
    },
}

impl<'a> ExplanationDoc<'a> {
    pub(super) fn new(explained: &'a Explanation<'a>, place: Option<&'a Place>) -> Self {
        let Explanation {
            key,
            user,
            entry,
            doubt: _,
            matches,
            profile,
            link,
            decision,
            breaches,
        } = explained;
        let (word, action, hold, renamed_to) = match decision {
            Decision::Act(action) => (
                messages::verb(action.verb()).1,
                Some(action_doc(action)),
                None,
                None,
            ),
            Decision::Hold(reason) => ("hold", None, Some(hold_doc_of(key, reason)), None),
            Decision::Unchanged { record: _ } => ("unchanged", None, None, None),
            Decision::Unmanaged => ("unmanaged", None, None, None),
            Decision::RenamedTo(to) => ("renamed", None, None, Some(to)),
        };
        Self {
            id: key,
            manifest: user.map(|user| manifest_doc(user, place)),
            mapping: entry.map(|(id, entry)| UserDoc::new(id, entry)),
            accounts: matches
                .iter()
                .map(|found| account_doc(found.account, found.mapped, &found.carries))
                .collect(),
            profile: profile.map(|(_, read)| profile_doc(read)),
            profile_of: profile.map(|(account, _)| account),
            found_by: match link {
                How::Mapped => "mapping",
                How::Renamed => "former_id",
                How::Found(Evidence::ExternalId) => "external_id",
                How::Found(Evidence::InternalUserId) => "internal_user_id",
                How::Found(Evidence::Email) => "email",
                How::Not => "nothing",
            },
            decision: word,
            action,
            hold,
            renamed_to,
            breaches: breaches.iter().map(breach_doc).collect(),
            next: super::super::explain::next(explained),
        }
    }
}

fn manifest_doc<'a>(user: &'a DesiredUser, place: Option<&'a Place>) -> ManifestDoc<'a> {
    let DesiredRest {
        key: _,
        email,
        avatar,
        metadata,
        renamed_from,
    } = user.rest();
    ManifestDoc {
        file: place.map(|place| place.file.as_str()),
        line: place.map(|place| place.line),
        column: place.map(|place| place.column),
        email: email.as_str(),
        texts: TextsDoc::new(TextField::ALL, |field| field.wanted(user)),
        metadata,
        avatar: avatar.map(|avatar| &*avatar.path),
        renamed_from,
    }
}

fn account_doc<'a>(account: &'a Account, mapped: bool, carries: &'a [Evidence]) -> AccountDoc<'a> {
    let Account {
        id,
        owner,
        email,
        title: _,
        metadata,
        suspended,
        created: _,
    } = account;
    AccountDoc {
        account_id: id,
        user_id: owner,
        mapped,
        carries,
        email: email.as_deref(),
        texts: TextsDoc::new(TextField::of(Owner::Account), |field| field.on_account(account)),
        suspended: *suspended,
        metadata: metadata
            .iter()
            .map(|(key, value)| (&**key, value.shown()))
            .collect(),
    }
}

fn profile_doc(read: &ProfileRead) -> ProfileDoc<'_> {
    match read {
        ProfileRead::Seen(profile) => ProfileDoc::Seen {
            texts: TextsDoc::new(TextField::of(Owner::Profile), |field| field.on_profile(profile)),
            picture: profile.picture.as_deref(),
        },
        ProfileRead::Missing => ProfileDoc::Missing,
        ProfileRead::Unreadable(message) => ProfileDoc::Unreadable { message },
    }
}
