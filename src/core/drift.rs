//! What changed on Whop behind the manifest's back: for every mapped user what
//! was last applied, what Whop shows and what the manifest asks are held side
//! by side. Decides nothing and changes nothing; the plan does.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::difference;
use super::field::{Owner, TextField};
use super::identity::{Dissent, Evidence};
use super::link::{Linked, Links, link};
use super::model::{
    Account, Desired, DesiredUser, Dialect, IDENTITY_KEYS, Known, KnownUser, Link, MetaValue, Observed,
    Policy, Profile, ProfileRead,
};
use super::plan::{Cause, Reads, Reason};
use super::text::Text;
use super::value::{AccountId, PlatformId, UserKey};

/// One value, three ways. Pictures are told apart by the digest we sent and,
/// on Whop, by the URL: Whop gives no digest ([users](crate::whop_api#users)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDrift {
    /// The manifest's name of it; metadata as `metadata.key`, and `owner` for
    /// the person the account belongs to.
    pub name: Box<str>,
    /// What was last applied.
    pub applied: Option<Box<str>>,
    /// What Whop shows.
    pub shown: Option<Box<str>>,
    /// What the manifest asks; `None` where it says nothing.
    pub wanted: Option<Box<str>>,
    /// Who changed it. [`Cause::New`] was never applied.
    pub cause: Cause,
}

impl FieldDrift {
    /// Whether Whop shows something else than what was last applied.
    pub fn is_drift(&self) -> bool {
        matches!(self.cause, Cause::Drifted | Cause::Both)
    }
}

/// What became of a mapped account as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is there.
    There,
    /// It is there, and Whop has suspended it.
    Suspended,
    /// It is there, but Whop says that its owner does not exist.
    OwnerMissing,
    /// It is gone.
    Gone,
    /// What speaks of it does not agree that it is this user's.
    Contradicted,
}

/// What differs of a user, in a word; the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The mapping names an account of which something says that it is not this
    /// user's.
    Contradicted,
    /// The account is gone.
    Gone,
    /// The account's owner is gone.
    OwnerMissing,
    /// Whop has suspended the account.
    Suspended,
    /// Changed on Whop and in the manifest.
    Both,
    /// Changed on Whop.
    Drifted,
    /// Changed in the manifest only, which is no drift.
    Edited,
}

/// A mapped user with a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserDrift {
    /// The user, by the mapping's id.
    pub key: UserKey,
    /// Who this is on Whop.
    pub link: Link,
    /// What became of the account.
    pub fate: Fate,
    /// Whether the manifest still has this user.
    pub managed: bool,
    /// The values that differ, in the manifest's order.
    pub fields: Vec<FieldDrift>,
}

impl UserDrift {
    /// Whether anything differs that was not changed in the manifest.
    pub fn is_drift(&self) -> bool {
        self.state() != State::Edited
    }

    /// What differs, in a word: the gravest there is to say.
    pub fn state(&self) -> State {
        let drifted = self.fields.iter().any(FieldDrift::is_drift);
        let edited = self.fields.iter().any(|field| field.cause != Cause::Drifted);
        match self.fate {
            Fate::Contradicted => State::Contradicted,
            Fate::Gone => State::Gone,
            Fate::OwnerMissing => State::OwnerMissing,
            Fate::Suspended => State::Suspended,
            Fate::There if drifted && edited => State::Both,
            Fate::There if drifted => State::Drifted,
            Fate::There => State::Edited,
        }
    }
}

/// An account under the platform that the mapping does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// The account.
    pub account: AccountId,
    /// Its title.
    pub title: Text,
    /// The user of the manifest who would adopt it, if there is one.
    pub user: Option<UserKey>,
}

/// What accounts mean that the mapping does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// Somebody made them behind the manifest's back.
    Count,
    /// The platform makes accounts in other ways too.
    Expect,
}

/// The whole comparison, everything sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The platform's own account.
    pub platform: PlatformId,
    /// Mapped users with a difference, by key.
    pub users: Vec<UserDrift>,
    /// Accounts that the mapping does not know, by account.
    pub unknown: Vec<NewAccount>,
    /// Users whose profile could not be read, and why.
    pub unreadable: BTreeMap<UserKey, String>,
    /// Mapped users without a difference in what was read.
    pub unchanged: usize,
    /// Users that the run is not about (`--only`).
    pub left_out: usize,
    /// Whether every account was listed. What is missing from half a list is
    /// not called gone.
    pub complete: bool,
    /// How it was looked.
    pub reads: Reads,
}

impl Drift {
    /// Whether Whop differs from what was last applied. Accounts that the
    /// mapping does not know count, unless `others` says that there are such.
    pub fn is_drift(&self, others: Others) -> bool {
        self.drifted() > 0 || (others == Others::Count && !self.unknown.is_empty())
    }

    /// How many users differ on Whop from what was last applied.
    pub fn drifted(&self) -> usize {
        self.users.iter().filter(|user| user.is_drift()).count()
    }

    /// How many users differ through edits of the manifest alone.
    pub fn edited(&self) -> usize {
        self.users.len() - self.drifted()
    }
}

/// Compares. Users who left the manifest are looked at only for whether their
/// account is still there: nobody manages their values any more.
pub fn drift(desired: &Desired, observed: &Observed, known: &Known, policy: &Policy) -> Drift {
    let accounts: HashMap<&AccountId, &Account> = observed
        .accounts
        .iter()
        .map(|account| (&account.id, account))
        .collect();
    let links = link(desired, observed, known, policy);
    let linked: HashMap<&UserKey, &Linked<'_>> = desired
        .users()
        .iter()
        .map(|user| &user.key)
        .zip(&links.users)
        .collect();
    let renamed: HashMap<&UserKey, &DesiredUser> = desired
        .users()
        .iter()
        .filter_map(|user| user.renamed_from.as_ref().map(|from| (from, user)))
        .collect();
    let mut drift = Drift {
        platform: desired.platform().clone(),
        users: Vec::new(),
        unknown: unknown(desired, observed, known, &links),
        unreadable: BTreeMap::new(),
        unchanged: 0,
        left_out: 0,
        complete: observed.complete,
        reads: Reads {
            accounts: observed.accounts.len(),
            profiles: observed.profiles.len(),
            from_mapping: 0,
        },
    };
    for (key, entry) in &known.users {
        // An entry of the own id wins over one of the former, as in linking.
        let user = desired.user(key).or_else(|| {
            renamed
                .get(key)
                .copied()
                .filter(|user| !known.users.contains_key(&user.key))
        });
        if !policy.covers(user.map_or(key, |user| &user.key)) {
            drift.left_out += 1;
            continue;
        }
        let account = accounts.get(&entry.link.account).copied();
        if let Some(user) = user
            && let Some(fields) = contradicted(user, linked[&user.key])
        {
            drift.users.push(UserDrift {
                key: key.clone(),
                link: entry.link.clone(),
                fate: Fate::Contradicted,
                managed: true,
                fields,
            });
            continue;
        }
        drift.user(key, entry, user, account, observed, policy.dialect);
    }
    drift
}

impl Drift {
    fn user(
        &mut self,
        key: &UserKey,
        entry: &KnownUser,
        user: Option<&DesiredUser>,
        account: Option<&Account>,
        observed: &Observed,
        dialect: Dialect,
    ) {
        let read = account.and_then(|account| observed.profiles.get(&account.owner));
        let fate = match (account, read) {
            (None, _) if observed.complete => Fate::Gone,
            (None, _) => Fate::There,
            (Some(account), _) if account.suspended => Fate::Suspended,
            (Some(_), Some(ProfileRead::Missing)) => Fate::OwnerMissing,
            (Some(_), _) => Fate::There,
        };
        let mut fields = Vec::new();
        if let (Some(user), Some(account)) = (user, account) {
            fields = account_fields(key, entry, user, account, dialect);
            match read {
                Some(ProfileRead::Unreadable(why)) => {
                    self.unreadable.insert(key.clone(), why.clone());
                }
                Some(ProfileRead::Missing) => {}
                Some(ProfileRead::Seen(profile)) => {
                    fields.extend(texts(Owner::Profile, entry, user, account, Some(profile)));
                    fields.extend(picture(entry, user, Some(profile.picture.as_deref())));
                }
                None => {
                    self.reads.from_mapping += 1;
                    fields.extend(texts(Owner::Profile, entry, user, account, None));
                    fields.extend(picture(entry, user, None));
                }
            }
        }
        if fields.is_empty() && fate == Fate::There {
            self.unchanged += 1;
            return;
        }
        self.users.push(UserDrift {
            key: key.clone(),
            link: entry.link.clone(),
            fate,
            managed: user.is_some(),
            fields,
        });
    }
}

/// What says that a mapped account is not the user's, if anything does. Nothing
/// else of it is compared: its values are another person's.
fn contradicted(user: &DesiredUser, linked: &Linked<'_>) -> Option<Vec<FieldDrift>> {
    let Linked::Held(reason) = linked else { return None };
    let contradiction = match &**reason {
        Reason::Contradicted(contradiction) if contradiction.under.is_some() => contradiction,
        Reason::MappedTwice { .. } => return Some(Vec::new()),
        _ => return None,
    };
    let field = |name: &str, applied: &str, shown: &str, wanted: Option<&str>| FieldDrift {
        name: name.into(),
        applied: Some(applied.into()),
        shown: Some(shown.into()),
        wanted: wanted.map(Into::into),
        cause: Cause::Drifted,
    };
    let key = user.key.as_str();
    Some(match &contradiction.dissent {
        Dissent::Id { by, id } => {
            let name = match by {
                Evidence::ExternalId => "metadata.external_id",
                Evidence::InternalUserId | Evidence::Email => "metadata.internal_user_id",
            };
            vec![field(name, key, id, Some(key))]
        }
        Dissent::Owner { mapped, owner } => vec![field("owner", mapped.as_str(), owner.as_str(), None)],
        Dissent::Email | Dissent::Silence => Vec::new(),
    })
}

/// What differs of the account: its address, its owner, its texts and metadata.
fn account_fields(
    key: &UserKey,
    entry: &KnownUser,
    user: &DesiredUser,
    account: &Account,
    dialect: Dialect,
) -> Vec<FieldDrift> {
    let mut fields = Vec::new();
    // Whop cannot change an address, so one that differs was edited here.
    if let Some(email) = &account.email
        && email.to_lowercase() != user.email.folded()
    {
        let wanted = user.email.as_str();
        fields.extend(text("email", Some(email), Some(email), wanted));
    }
    if account.owner != entry.link.owner {
        fields.push(FieldDrift {
            name: "owner".into(),
            applied: Some(entry.link.owner.as_str().into()),
            shown: Some(account.owner.as_str().into()),
            wanted: None,
            cause: Cause::Drifted,
        });
    }
    fields.extend(texts(Owner::Account, entry, user, account, None));
    let shown = |name: &str| account.metadata.get(name).map(MetaValue::shown);
    // The old dialect cannot change metadata, so its ids are left as they are.
    for name in IDENTITY_KEYS.iter().filter(|_| dialect == Dialect::Accounts) {
        let field = format!("metadata.{name}");
        fields.extend(text(&field, Some(key.as_str()), shown(name), user.key.as_str()));
    }
    for (name, wanted) in &user.metadata {
        let applied = entry.metadata.get(name).map(|value| &**value);
        fields.extend(text(&format!("metadata.{name}"), applied, shown(name), wanted));
    }
    fields
}

/// The managed texts that differ, of those that Whop keeps in one place.
fn texts<'a>(
    owner: Owner,
    entry: &'a KnownUser,
    user: &'a DesiredUser,
    account: &'a Account,
    seen: Option<&'a Profile>,
) -> impl Iterator<Item = FieldDrift> + 'a {
    TextField::of(owner).filter_map(move |field| {
        let applied = field.applied(entry);
        // A profile that was not read is as it was left.
        let shown = field.shown(account, seen).unwrap_or(applied);
        text(field.name(), applied, shown, field.wanted(user)?)
    })
}

/// One text, where Whop does not show what the manifest asks.
fn text(name: &str, applied: Option<&str>, shown: Option<&str>, wanted: &str) -> Option<FieldDrift> {
    let cause = difference::text(applied, shown, wanted)?;
    Some(FieldDrift {
        name: name.into(),
        applied: applied.map(Into::into),
        shown: shown.map(Into::into),
        wanted: Some(wanted.into()),
        cause,
    })
}

/// The picture. `shown` is the URL of a profile that was read.
fn picture(entry: &KnownUser, user: &DesiredUser, shown: Option<Option<&str>>) -> Option<FieldDrift> {
    let avatar = user.avatar.as_ref()?;
    let applied = entry.picture.as_deref();
    let cause = difference::picture(applied, shown, avatar.digest)?;
    Some(FieldDrift {
        name: "avatar".into(),
        applied: applied.map(|picture| picture.digest.to_string().into()),
        shown: shown.flatten().map(Into::into),
        wanted: Some(avatar.digest.to_string().into()),
        cause,
    })
}

/// The accounts that no entry of the mapping names.
fn unknown(desired: &Desired, observed: &Observed, known: &Known, links: &Links<'_>) -> Vec<NewAccount> {
    let mapped: HashSet<&AccountId> = known.users.values().map(|entry| &entry.link.account).collect();
    let found: HashMap<&AccountId, &UserKey> = desired
        .users()
        .iter()
        .zip(&links.users)
        .filter_map(|(user, linked)| match linked {
            Linked::Found { account, .. } => Some((&account.id, &user.key)),
            Linked::Mapped { .. } | Linked::Absent { .. } | Linked::Held(_) => None,
        })
        .collect();
    let strangers = observed
        .accounts
        .iter()
        .filter(|account| !mapped.contains(&account.id));
    let mut unknown: Vec<NewAccount> = strangers
        .map(|account| NewAccount {
            account: account.id.clone(),
            title: account.title.clone(),
            user: found.get(&account.id).map(|key| (*key).clone()),
        })
        .collect();
    unknown.sort_unstable_by(|a, b| a.account.cmp(&b.account));
    unknown
}
