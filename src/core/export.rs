//! From what Whop has to the manifest that asks for exactly that. Whatever a
//! manifest could not say is left out, with the reason.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::field::TextField;
use super::model::{Account, DesiredUser, IDENTITY_KEYS, Known, KnownUser, MetaValue, Observed, ProfileRead};
use super::text::{Text, Texts};
use super::value::{AccountId, DisplayName, Email, UserKey};

/// A user as a manifest would ask for it, without its picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The user.
    pub user: DesiredUser,
    /// Where its picture can be had, if it is one to export: of users whom the
    /// mapping knows, only a picture that was set through it.
    pub picture: Option<Box<str>>,
}

/// An account that no manifest could ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The account.
    pub account: AccountId,
    /// Its title.
    pub title: Text,
    /// Why.
    pub why: Why,
}

/// Why an account is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It carries no id of the platform's. One made up here would be written
    /// into its metadata by the next apply.
    NoId,
    /// The id it carries cannot be one.
    BadId(String),
    /// Another account has the same id.
    SharedId(UserKey),
    /// Whop returns no email: the older dialect never does.
    NoEmail,
    /// Its email cannot be one.
    BadEmail(String),
    /// Another account has the same email, and so the same profile.
    SharedEmail,
    /// Its owner shows no name here.
    NoName,
    /// The name cannot be one.
    BadName(String),
    /// The profile could not be read.
    Unreadable(String),
}

/// What Whop has, as a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// The users, by key.
    pub users: Vec<Exported>,
    /// What is left out, by account.
    pub left_out: Vec<LeftOut>,
}

/// The accounts whose profile an export needs: those with an id.
pub fn wanted<'a>(observed: &'a Observed, known: &'a Known) -> impl Iterator<Item = &'a Account> {
    let mapped = by_account(known);
    let accounts = observed.accounts.iter();
    accounts.filter(move |account| mapped.contains_key(&account.id) || carried(account).is_some())
}

/// Makes the manifest. Planning it beside the same mapping changes nothing:
/// of a mapped user only what the mapping manages is written, and titles,
/// names and metadata are those on Whop.
pub fn export(observed: &Observed, known: &Known) -> Export {
    let mapped = by_account(known);
    let mut taken: BTreeMap<UserKey, (&Account, DesiredUser, Option<Box<str>>)> = BTreeMap::new();
    let mut left: Vec<(&Account, Why)> = Vec::new();
    let mut twice: BTreeSet<UserKey> = BTreeSet::new();
    // Those that the mapping knows first: its word on an id decides.
    let mut accounts: Vec<&Account> = observed.accounts.iter().collect();
    accounts.sort_by_key(|account| (!mapped.contains_key(&account.id), &account.id));
    for account in accounts {
        let entry = mapped.get(&account.id).copied();
        match one(account, entry, observed) {
            Err(why) => left.push((account, why)),
            Ok((user, picture)) => match taken.get(&user.key) {
                None => drop(taken.insert(user.key.clone(), (account, user, picture))),
                Some((first, ..)) => {
                    if !mapped.contains_key(&first.id) {
                        twice.insert(user.key.clone());
                    }
                    left.push((account, Why::SharedId(user.key)));
                }
            },
        }
    }
    for key in twice {
        left.extend(
            taken
                .remove(&key)
                .map(|(account, ..)| (account, Why::SharedId(key))),
        );
    }
    share_email(&mut taken, &mut left);
    let mut left_out: Vec<LeftOut> = left
        .into_iter()
        .map(|(account, why)| LeftOut {
            account: account.id.clone(),
            title: account.title.clone(),
            why,
        })
        .collect();
    left_out.sort_by(|a, b| a.account.cmp(&b.account));
    let users = taken.into_values();
    Export {
        users: users
            .map(|(_, user, picture)| Exported { user, picture })
            .collect(),
        left_out,
    }
}

/// Takes out users of one email or one owner: a manifest refuses them, since
/// they would overwrite each other's profile ([traps](crate::whop_api#traps)).
fn share_email<'a>(
    taken: &mut BTreeMap<UserKey, (&'a Account, DesiredUser, Option<Box<str>>)>,
    left: &mut Vec<(&'a Account, Why)>,
) {
    let mut emails: HashMap<String, usize> = HashMap::new();
    let mut owners: HashMap<&str, usize> = HashMap::new();
    for (account, user, _) in taken.values() {
        *emails.entry(user.email.folded().into_owned()).or_default() += 1;
        *owners.entry(account.owner.as_str()).or_default() += 1;
    }
    taken.retain(|_, (account, user, _)| {
        let alone = emails[&*user.email.folded()] == 1 && owners[account.owner.as_str()] == 1;
        if !alone {
            left.push((*account, Why::SharedEmail));
        }
        alone
    });
}

type Mapped<'a> = HashMap<&'a AccountId, (&'a UserKey, &'a KnownUser)>;

fn by_account(known: &Known) -> Mapped<'_> {
    let users = known.users.iter();
    users
        .map(|(key, entry)| (&entry.link.account, (key, entry)))
        .collect()
}

/// The id an account carries, the better key first.
fn carried(account: &Account) -> Option<&str> {
    IDENTITY_KEYS.iter().find_map(|key| account.text(key))
}

fn one(
    account: &Account,
    entry: Option<(&UserKey, &KnownUser)>,
    observed: &Observed,
) -> Result<(DesiredUser, Option<Box<str>>), Why> {
    let key = match (entry, carried(account)) {
        (Some((key, _)), _) => key.clone(),
        (None, Some(id)) => UserKey::parse(id).map_err(|why| Why::BadId(why.to_string()))?,
        (None, None) => return Err(Why::NoId),
    };
    let email = account.email.as_deref().ok_or(Why::NoEmail)?;
    let email = Email::parse(email).map_err(|why| Why::BadEmail(why.to_string()))?;
    let profile = match observed.profiles.get(&account.owner) {
        Some(ProfileRead::Seen(profile)) => profile,
        Some(ProfileRead::Missing) => return Err(Why::Unreadable("there is no such person".to_owned())),
        Some(ProfileRead::Unreadable(why)) => return Err(Why::Unreadable(why.clone())),
        None => return Err(Why::Unreadable("it was not read".to_owned())),
    };
    let name = profile.name.as_deref().ok_or(Why::NoName)?;
    let name = DisplayName::parse(name).map_err(|why| Why::BadName(why.to_string()))?;
    let mut user = DesiredUser::new(key, email, name);
    for field in TextField::optional() {
        // A title that is the name is what an account gets without one.
        let is_default = |text: &str| field == TextField::Title && text == user.name.as_str();
        let shown = field.shown(account, Some(profile)).flatten();
        if let Some(text) = shown.filter(|text| !is_default(text)) {
            // A manifest that cannot say it leaves it unmanaged.
            let _ = field.ask(&mut user, text);
        }
    }
    user.metadata = metadata(account, entry.map(|(_, entry)| entry));
    let is_ours = entry.is_none_or(|(_, entry)| entry.picture.is_some());
    Ok((user, profile.picture.clone().filter(|_| is_ours)))
}

/// The keys to manage: those the mapping manages, or of an account it does not
/// know every text that a manifest could say.
fn metadata(account: &Account, entry: Option<&KnownUser>) -> Texts {
    let texts = account.metadata.iter().filter_map(|(key, value)| match value {
        MetaValue::Text(text) => Some((key, text)),
        MetaValue::Json(_) => None,
    });
    let mut room = 15_000_usize;
    let mut fits = |key: &str, value: &str| {
        let less = room.checked_sub(key.len() + value.len());
        room = less.unwrap_or(room);
        less.is_some()
    };
    texts
        .filter(|(key, _)| !IDENTITY_KEYS.contains(&&***key))
        .filter(|(key, _)| entry.is_none_or(|entry| entry.metadata.contains_key(key)))
        .filter(|(key, value)| can_be_said(key, value) && fits(key, value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Whether a manifest takes this key and value.
fn can_be_said(key: &str, value: &str) -> bool {
    let fine_key = !key.is_empty()
        && key != "<<"
        && key.trim() == key
        && key.chars().count() <= 100
        && !key.chars().any(char::is_control);
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    fine_key && !value.chars().any(odd)
}
