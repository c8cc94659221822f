//! The world: every record, the indices over them, and the one way to change
//! them.

use std::collections::{BTreeMap, BTreeSet};

use super::contents::Contents;
use super::idempotency::Memory;
use super::ids;
use super::records::{Account, Effect, File, Membership, Override, User};

/// Where an account stands in a list: moment of creation, then number.
pub(super) type Place = (u64, u64);

/// Accounts by platform and a text, then by number, so oldest first. One flat
/// set: a set of its own for each text takes several times the room.
type Index = BTreeSet<(u64, Box<str>, u64)>;

/// Everything that the state file holds, in memory. Records are found by their
/// number; texts are in the indices only once.
#[derive(Debug, Default)]
pub(super) struct World {
    /// Ids are made from this and a number.
    seed: u64,
    /// The first number that was never used.
    used: u64,
    accounts: BTreeMap<u64, Account>,
    account_ids: BTreeMap<String, u64>,
    routes: BTreeMap<String, u64>,
    /// Every account that a platform's keys see, in list order.
    visible: BTreeMap<u64, BTreeSet<Place>>,
    /// Accounts of a platform by folded address, oldest first.
    by_email: Index,
    /// Accounts of a platform by external id, oldest first.
    by_external: Index,
    /// Pairs of owner and platform, with how many accounts make the relation.
    owners: BTreeMap<(u64, u64), u32>,
    users: BTreeMap<u64, User>,
    user_ids: BTreeMap<String, u64>,
    usernames: BTreeMap<String, u64>,
    user_emails: BTreeMap<String, u64>,
    /// By user, then by the account that shows it.
    overrides: BTreeMap<(u64, u64), Override>,
    files: BTreeMap<String, File>,
    /// The file behind the path of a profile picture.
    pictures: BTreeMap<String, String>,
    memberships: BTreeMap<String, Membership>,
    /// Remembered POSTs.
    pub(super) memory: Memory,
    /// The bytes of files.
    pub(super) contents: Contents,
    /// The effects since the last [`World::take_line`], as JSON.
    line: Option<Vec<u8>>,
    /// The latest moment at which anything changed.
    latest: u64,
}

impl World {
    /// An empty world whose ids come from this seed; `keeps_line` where its
    /// changes are to be written down.
    pub(super) fn new(seed: u64, keeps_line: bool) -> Self {
        let line = keeps_line.then(Vec::new);
        Self {
            seed,
            line,
            ..Self::default()
        }
    }

    /// A number that was never used, and the id made from it. It is used up by
    /// the record that carries it; `ahead` skips numbers for records that will
    /// be put in first.
    pub(super) fn fresh_id(&self, prefix: &str, ahead: u64) -> (u64, String) {
        let seq = self.used + ahead;
        (seq, ids::id(prefix, self.seed, seq))
    }

    /// Makes a change and notes it for the state file.
    pub(super) fn change(&mut self, effect: Effect) {
        if let Some(line) = &mut self.line {
            if !line.is_empty() {
                line.push(b',');
            }
            // Records hold texts, numbers and string-keyed maps: none of them can fail.
            let _ = serde_json::to_writer(&mut *line, &effect);
        }
        self.apply(effect);
    }

    /// The changes since the last call, as one line of the state file. `now`
    /// goes with them, so that a clock which starts anew can start behind it.
    pub(super) fn take_line(&mut self, now: u64) -> Option<Vec<u8>> {
        self.line.as_ref().filter(|line| !line.is_empty())?;
        self.change(Effect::Now(now));
        let line = self.line.as_mut()?;
        let mut whole = Vec::with_capacity(line.len() + 3);
        whole.push(b'[');
        whole.append(line);
        whole.extend_from_slice(b"]\n");
        Some(whole)
    }

    /// The latest moment at which anything changed.
    pub(super) fn latest(&self) -> u64 {
        self.latest
    }

    /// Applies a change without noting it, as loading does.
    pub(super) fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Used(used) => self.used = self.used.max(used),
            Effect::Now(now) => self.latest = self.latest.max(now),
            Effect::Account(account) => self.put_account(account),
            Effect::AccountGone(seq) => self.drop_account(seq),
            Effect::User(user) => self.put_user(user),
            Effect::Override(user, account, shown) => {
                if shown == Override::default() {
                    self.overrides.remove(&(user, account));
                } else {
                    self.overrides.insert((user, account), shown);
                }
            }
            Effect::File(file) => {
                self.saw(file.seq);
                self.pictures.insert(picture_token(&file.id), file.id.clone());
                self.files.insert(file.id.clone(), file);
            }
            Effect::Membership(membership) => {
                self.memberships.insert(membership.credential.clone(), membership);
            }
            Effect::Remembered(remembered) => {
                self.memory.put(remembered);
            }
        }
    }

    /// Uses up a record's number.
    fn saw(&mut self, seq: u64) {
        self.used = self.used.max(seq.saturating_add(1));
    }

    /// Puts an account in place of the one of the same number, and into every
    /// index: title, address or metadata may have changed.
    fn put_account(&mut self, account: Account) {
        self.saw(account.seq);
        self.unlink(account.seq);
        let (seq, platform) = (account.seq, account.platform);
        self.account_ids.insert(account.id.clone(), seq);
        self.routes.insert(account.route.clone(), seq);
        self.visible.entry(platform).or_default().insert(account.place());
        if let Some(email) = &account.email {
            self.by_email.insert((platform, fold(email).into(), seq));
        }
        if let Some(external) = account.external() {
            self.by_external.insert((platform, external.into(), seq));
        }
        *self.owners.entry((account.owner, platform)).or_default() += 1;
        self.accounts.insert(seq, account);
    }

    /// Takes an account out of every index.
    fn unlink(&mut self, seq: u64) -> Option<Account> {
        let account = self.accounts.remove(&seq)?;
        let platform = account.platform;
        self.account_ids.remove(&account.id);
        self.routes.remove(&account.route);
        if let Some(places) = self.visible.get_mut(&platform) {
            places.remove(&account.place());
        }
        if let Some(email) = &account.email {
            self.by_email.remove(&(platform, fold(email).into(), seq));
        }
        if let Some(external) = account.external() {
            self.by_external.remove(&(platform, external.into(), seq));
        }
        if let Some(count) = self.owners.get_mut(&(account.owner, platform)) {
            *count -= 1;
            if *count == 0 {
                self.owners.remove(&(account.owner, platform));
            }
        }
        Some(account)
    }

    /// Deletes an account and what it showed of people.
    fn drop_account(&mut self, seq: u64) {
        self.unlink(seq);
        self.overrides.retain(|(_, account), _| *account != seq);
    }

    /// Puts a user in place of the one of the same number.
    fn put_user(&mut self, user: User) {
        self.saw(user.seq);
        if let Some(old) = self.users.get(&user.seq) {
            self.usernames.remove(&old.username);
        }
        self.user_ids.insert(user.id.clone(), user.seq);
        self.usernames.insert(user.username.clone(), user.seq);
        if let Some(email) = &user.email {
            self.user_emails.insert(email.clone(), user.seq);
        }
        self.users.insert(user.seq, user);
    }

    /// Every record as the changes that would make it, for a fresh state file.
    pub(super) fn effects(&self) -> impl Iterator<Item = Effect> {
        let users = self.users.values().cloned().map(Effect::User);
        let accounts = self.accounts.values().cloned().map(Effect::Account);
        let overrides = self.overrides.iter();
        let overrides = overrides.map(|(key, shown)| Effect::Override(key.0, key.1, shown.clone()));
        let files = self.files.values().cloned().map(Effect::File);
        let memberships = self.memberships.values().cloned().map(Effect::Membership);
        let remembered = self.memory.all().cloned().map(Effect::Remembered);
        let records = users.chain(accounts).chain(overrides).chain(files);
        records
            .chain(memberships)
            .chain(remembered)
            .chain([Effect::Used(self.used), Effect::Now(self.latest)])
    }

    /// How many records there are.
    pub(super) fn size(&self) -> usize {
        let people = self.users.len() + self.overrides.len() + self.memberships.len();
        self.accounts.len() + people + self.files.len() + self.memory.len()
    }

    /// The account of this number.
    pub(super) fn account(&self, seq: u64) -> Option<&Account> {
        self.accounts.get(&seq)
    }

    /// The account of this id.
    pub(super) fn account_by_id(&self, id: &str) -> Option<&Account> {
        self.account_ids.get(id).and_then(|seq| self.accounts.get(seq))
    }

    /// The account of this id or route.
    pub(super) fn account_by_name(&self, name: &str) -> Option<&Account> {
        let by_route = || self.routes.get(name).and_then(|seq| self.accounts.get(seq));
        self.account_by_id(name).or_else(by_route)
    }

    /// Every account, in the order of their making.
    pub(super) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// The places of everything that a platform's keys see.
    pub(super) fn visible(&self, platform: u64) -> Option<&BTreeSet<Place>> {
        self.visible.get(&platform)
    }

    /// A platform's accounts of this address, oldest first.
    pub(super) fn with_email(&self, platform: u64, email: &str) -> impl Iterator<Item = &Account> {
        let found = under(&self.by_email, platform, &fold(email));
        found.filter_map(|seq| self.account(seq))
    }

    /// A platform's accounts of this external id, oldest first.
    pub(super) fn with_external(&self, platform: u64, external: &str) -> impl Iterator<Item = &Account> {
        let found = under(&self.by_external, platform, external);
        found.filter_map(|seq| self.account(seq))
    }

    /// Whether the user owns an account that this platform's keys see.
    pub(super) fn is_owner(&self, user: u64, platform: u64) -> bool {
        self.owners.contains_key(&(user, platform))
    }

    /// The user of this number.
    pub(super) fn user(&self, seq: u64) -> Option<&User> {
        self.users.get(&seq)
    }

    /// The user of this id or username.
    pub(super) fn user_by_name(&self, name: &str) -> Option<&User> {
        let seq = self.user_ids.get(name).or_else(|| self.usernames.get(name));
        seq.and_then(|seq| self.users.get(seq))
    }

    /// The user of this address.
    pub(super) fn user_by_email(&self, email: &str) -> Option<&User> {
        let seq = self.user_emails.get(&fold(email));
        seq.and_then(|seq| self.users.get(seq))
    }

    /// What an account shows of a user instead of the global profile.
    pub(super) fn shown(&self, user: u64, account: u64) -> Override {
        self.overrides.get(&(user, account)).cloned().unwrap_or_default()
    }

    /// The file of this id.
    pub(super) fn file(&self, id: &str) -> Option<&File> {
        self.files.get(id)
    }

    /// The file behind the path of a profile picture.
    pub(super) fn file_by_picture(&self, token: &str) -> Option<&File> {
        self.pictures.get(token).and_then(|id| self.files.get(id))
    }

    /// Where a credential belongs.
    pub(super) fn membership(&self, credential: &str) -> Option<&Membership> {
        self.memberships.get(credential)
    }

    /// A free route for this title.
    pub(super) fn free_route(&self, title: &str, id: &str) -> String {
        unused(&slug(title, "account"), id, |route| {
            self.routes.contains_key(route)
        })
    }

    /// A free username for this name.
    pub(super) fn free_username(&self, name: &str, id: &str) -> String {
        unused(&slug(name, "user").replace('-', ""), id, |username| {
            self.usernames.contains_key(username)
        })
    }
}

/// The form in which two addresses are compared.
pub(super) fn fold(email: &str) -> String {
    email.to_lowercase()
}

/// The last part of a profile picture's path. It differs from the file's own
/// URL, as Whop's may ([users](crate::whop_api#users)), and stays when the same file is set
/// again.
pub(super) fn picture_token(file: &str) -> String {
    ids::fingerprint(&[b"picture", file.as_bytes()])
}

/// The numbers under a text.
fn under<'a>(index: &'a Index, platform: u64, text: &str) -> impl Iterator<Item = u64> + use<'a> {
    let range = (platform, Box::from(text), 0)..=(platform, Box::from(text), u64::MAX);
    index.range(range).map(|(_, _, seq)| *seq)
}

/// The words of a text, joined by hyphens, at most 30 bytes.
fn slug(text: &str, otherwise: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().filter(char::is_ascii) {
        if slug.len() >= 30 {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { otherwise } else { slug }.to_owned()
}

/// The text itself if it is free, else with the end of the id behind it.
fn unused(text: &str, id: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(text) {
        return text.to_owned();
    }
    let from = id.len().saturating_sub(6);
    let tail = id.get(from..).unwrap_or_default().to_ascii_lowercase();
    let tail = tail.replace(['_', '-'], "0");
    let mut tries = (0_u32..).map(|n| match n {
        0 => format!("{text}-{tail}"),
        n => format!("{text}-{tail}{n}"),
    });
    tries.find(|name| !taken(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_unique() {
        assert_eq!(slug("  Ana Réyes -- 2nd!", "x"), "ana-ryes-2nd");
        assert_eq!(slug("Жанна", "user"), "user");
        let taken = |name: &str| name == "ana" || name == "ana-000abc";
        assert_eq!(unused("bob", "biz_ABC", taken), "bob");
        assert_eq!(unused("ana", "biz_00ABC", taken), "ana-000abc1");
    }

    #[test]
    fn effects_rebuild_the_world() {
        let mut world = World::new(1, true);
        let (seq, id) = world.fresh_id("user_", 0);
        let user = User {
            seq,
            id: id.clone(),
            username: "ana".to_owned(),
            name: Some("Ana".to_owned()),
            picture: None,
            email: Some("ana@shop.test".to_owned()),
            created_at: 5,
        };
        world.change(Effect::User(user));
        let line = world.take_line(9).unwrap();
        assert!(line.starts_with(b"[{\"user\":") && line.ends_with(b"]\n"));
        assert_eq!(world.take_line(9), None);

        let mut again = World::new(1, false);
        for effect in serde_json::from_slice::<Vec<Effect>>(&line).unwrap() {
            again.apply(effect);
        }
        assert_eq!(
            again.user_by_email("ANA@shop.test").map(|u| u.id.as_str()),
            Some(&*id)
        );
        assert_ne!(again.fresh_id("user_", 0).1, id, "a number is never used twice");
        assert_eq!(again.latest(), 9);
    }
}
