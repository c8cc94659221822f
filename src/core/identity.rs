//! Who an account is. The mapping, `metadata.external_id`,
//! `metadata.internal_user_id`, the email and the owner all speak of it, and
//! this is the one place that weighs them against each other.
//!
//! The mapping is a file that strangers may have edited. It can point at an
//! account, but it cannot make that account a user's:
//!
//! - An account that carries somebody else's id, under either key, is not this
//!   user's. That holds for `internal_user_id` beside an `external_id` that is
//!   right, too: two ids in one account name two people, and nothing here can
//!   tell which of them a value would reach.
//! - An account that carries the user's id, or the former id that the manifest
//!   names, is this user's. If the mapping then names another owner, Whop's
//!   answer is used.
//! - An account without any id is this user's only if its email is, and if the
//!   mapping, where it has the account, names the right owner. The older
//!   dialect shows no email, so there such an account is never this user's:
//!   every account that is created or adopted there carries the id from the
//!   start, and one without it is known from the mapping alone.

use std::collections::HashMap;
use std::hash::Hash;

use serde::Serialize;

use super::model::{Account, Desired, DesiredUser, IDENTITY_KEYS, Known, KnownUser, MetaValue};
use super::text::fingerprint;
use super::value::{AccountId, Email, UserId, UserKey};

/// By what an account was recognised as a user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// `metadata.external_id` is the user's id.
    ExternalId,
    /// `metadata.internal_user_id` is.
    InternalUserId,
    /// The account's email is the user's, no other account has it, and the
    /// account carries nobody's id.
    Email,
}

/// A user, as far as accounts can speak of one.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// The user's id.
    pub key: &'a UserKey,
    /// The id before, as the manifest names it.
    pub former: Option<&'a UserKey>,
    /// The email; unknown of users who left the manifest.
    pub email: Option<&'a Email>,
}

impl<'a> From<&'a DesiredUser> for Who<'a> {
    fn from(user: &'a DesiredUser) -> Self {
        Self {
            key: &user.key,
            former: user.renamed_from.as_ref(),
            email: Some(&user.email),
        }
    }
}

impl<'a> Who<'a> {
    /// A user known only by the id.
    pub fn known_by_id(key: &'a UserKey) -> Self {
        Self {
            key,
            former: None,
            email: None,
        }
    }

    /// Whether this id is the user's, now or before.
    fn is(&self, id: &str) -> bool {
        self.key.as_str() == id || self.former.is_some_and(|former| former.as_str() == id)
    }
}

/// What says that an account is not the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dissent {
    /// It carries another id.
    Id {
        /// Under which key.
        by: Evidence,
        /// Whose.
        id: Box<str>,
    },
    /// It carries no id, and its owner is not the one in the mapping.
    Owner {
        /// Who the mapping says.
        mapped: UserId,
        /// Who Whop says.
        owner: UserId,
    },
    /// It carries no id, and its email is not the user's.
    Email,
    /// It carries no id and shows no email: only the mapping speaks.
    Silence,
}

/// Evidence that does not agree, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The account.
    pub account: AccountId,
    /// The id under which the mapping names it; `None` where it was found by
    /// what it carries.
    pub under: Option<UserKey>,
    /// What speaks against it.
    pub dissent: Dissent,
    /// The one account that carries the user's own id, if there is one.
    pub carrier: Option<AccountId>,
}

/// Whether an account is this user's. `entry` is the mapping's word on it, if
/// the mapping has led to it.
///
/// # Errors
/// What says otherwise.
pub fn weigh(who: Who<'_>, account: &Account, entry: Option<&KnownUser>) -> Result<(), Dissent> {
    let mut carries = false;
    for (by, key) in [Evidence::ExternalId, Evidence::InternalUserId]
        .into_iter()
        .zip(IDENTITY_KEYS)
    {
        match carried(account, key) {
            None => {}
            Some(id) if who.is(id) => carries = true,
            Some(id) => return Err(Dissent::Id { by, id: id.into() }),
        }
    }
    if carries {
        return Ok(());
    }
    if let Some(entry) = entry
        && entry.link.owner != account.owner
    {
        return Err(Dissent::Owner {
            mapped: entry.link.owner.clone(),
            owner: account.owner.clone(),
        });
    }
    match (&account.email, who.email) {
        (Some(shown), Some(email)) if shown.to_lowercase() == email.folded() => Ok(()),
        (Some(_), Some(_)) => Err(Dissent::Email),
        _ => Err(Dissent::Silence),
    }
}

/// The id under one of [`IDENTITY_KEYS`]. What is no text is an id as well,
/// and nobody's: whoever put it there did not mean this user.
fn carried<'a>(account: &'a Account, key: &str) -> Option<&'a str> {
    match account.metadata.get(key)? {
        MetaValue::Text(text) if text.is_empty() => None,
        MetaValue::Json(json) if &**json == "null" => None,
        value => Some(value.shown()),
    }
}

/// The accounts that the mapping names for several users, with their ids.
pub(super) fn named_twice(known: &Known) -> HashMap<&AccountId, Vec<&UserKey>> {
    let entries: Vec<_> = known.users.iter().collect();
    let mut accounts: HashMap<_, Vec<_>> = HashMap::new();
    for (account, at) in alike(entries.len(), |at| Some(&entries[at].1.link.account)) {
        accounts.entry(account).or_default().push(entries[at].0);
    }
    accounts.retain(|_, users| users.len() > 1);
    accounts
}

/// The users whose entry in the mapping names an account that is not theirs, or
/// that other entries name as well. Of users who are not in the manifest, or
/// where it could not be read, only what an account carries can tell.
pub fn wrong_entries(desired: Option<&Desired>, known: &Known, accounts: &[Account]) -> Vec<UserKey> {
    let accounts: HashMap<_, _> = accounts.iter().map(|account| (&account.id, account)).collect();
    let renamed: HashMap<_, _> = desired
        .into_iter()
        .flat_map(Desired::users)
        .filter_map(|user| Some((user.renamed_from.as_ref()?, user)))
        .collect();
    let twice = named_twice(known);
    let is_wrong = |key: &UserKey, entry: &KnownUser| {
        let Some(account) = accounts.get(&entry.link.account) else {
            return false;
        };
        let user = desired.and_then(|desired| desired.user(key));
        let user = user.or_else(|| renamed.get(key).copied());
        let who = user.map_or(Who::known_by_id(key), Who::from);
        match weigh(who, account, Some(entry)) {
            Err(Dissent::Silence) if who.email.is_none() => false,
            Err(_) => true,
            Ok(()) => twice
                .get(&account.id)
                .is_some_and(|keys| !keys.iter().all(|key| who.is(key.as_str()))),
        }
    };
    let wrong = known.users.iter().filter(|(key, entry)| is_wrong(key, entry));
    wrong.map(|(key, _)| key.clone()).collect()
}

/// The values that several places have, each with its places: a million cost
/// one sort of numbers. Places without a value are left out. What is alike by
/// fingerprint alone may be among them.
pub(super) fn alike<'a, T: Hash>(
    count: usize,
    value: impl Fn(usize) -> Option<&'a T>,
) -> Vec<(&'a T, usize)> {
    let mut order: Vec<(u64, usize)> = (0..count)
        .filter_map(|at| value(at).map(|value| (fingerprint(value), at)))
        .collect();
    order.sort_unstable();
    order
        .chunk_by(|a, b| a.0 == b.0)
        .filter(|alike| alike.len() > 1)
        .flatten()
        .filter_map(|(_, at)| value(*at).map(|value| (value, *at)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::model::Link;
    use super::super::sample;
    use super::*;

    fn account(metadata: &[(&str, MetaValue)], email: Option<&str>) -> Account {
        Account {
            id: sample::account("biz_1"),
            owner: sample::owner("user_1"),
            email: email.map(Into::into),
            title: "Shop".into(),
            metadata: metadata.iter().map(|(k, v)| ((*k).into(), v.clone())).collect(),
            suspended: false,
            created: None,
        }
    }

    /// What is said of user `a`, formerly `z`, of `a@shop.co`, whom the mapping
    /// links to this account of `owner`.
    fn said(account: &Account, owner: &str) -> Result<(), Dissent> {
        let (key, former) = (sample::key("a"), sample::key("z"));
        let email = Email::parse("a@shop.co").unwrap();
        let who = Who {
            key: &key,
            former: Some(&former),
            email: Some(&email),
        };
        let entry = KnownUser::linked(Link {
            account: account.id.clone(),
            owner: sample::owner(owner),
        });
        weigh(who, account, Some(&entry))
    }

    fn text(text: &str) -> MetaValue {
        MetaValue::Text(text.into())
    }

    #[test]
    fn an_account_is_the_users_only_if_nothing_it_carries_says_otherwise() {
        let other = |by, id: &str| Err(Dissent::Id { by, id: id.into() });
        let (external, internal) = ("external_id", "internal_user_id");
        for (metadata, expected) in [
            (vec![(external, text("a"))], Ok(())),
            (vec![(internal, text("a"))], Ok(())),
            (vec![(external, text("z"))], Ok(())),
            (vec![(external, text("a")), (internal, text("z"))], Ok(())),
            (vec![(external, text("b"))], other(Evidence::ExternalId, "b")),
            (
                vec![(external, text("a")), (internal, text("b"))],
                other(Evidence::InternalUserId, "b"),
            ),
            (
                vec![(external, text("b")), (internal, text("a"))],
                other(Evidence::ExternalId, "b"),
            ),
            (vec![(external, text("A"))], other(Evidence::ExternalId, "A")),
            (
                vec![(external, MetaValue::Json("[\"a\"]".into()))],
                other(Evidence::ExternalId, "[\"a\"]"),
            ),
        ] {
            // Neither the email nor the owner can make up for an id, or undo it.
            for email in [None, Some("a@shop.co"), Some("b@shop.co")] {
                for owner in ["user_1", "user_2"] {
                    assert_eq!(said(&account(&metadata, email), owner), expected, "{metadata:?}");
                }
            }
        }
    }

    #[test]
    fn without_any_id_email_and_owner_must_both_agree() {
        for nothing in [
            vec![],
            vec![("external_id", text(""))],
            vec![("external_id", MetaValue::Json("null".into()))],
            vec![("tier", text("a"))],
        ] {
            assert_eq!(said(&account(&nothing, Some("A@shop.co")), "user_1"), Ok(()));
            let owner = Dissent::Owner {
                mapped: sample::owner("user_2"),
                owner: sample::owner("user_1"),
            };
            assert_eq!(said(&account(&nothing, Some("a@shop.co")), "user_2"), Err(owner));
            assert_eq!(
                said(&account(&nothing, Some("b@shop.co")), "user_1"),
                Err(Dissent::Email)
            );
            assert_eq!(said(&account(&nothing, None), "user_1"), Err(Dissent::Silence));
        }
    }
}
