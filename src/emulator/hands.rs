//! What tests do behind the API's back: look at everything, and change things
//! as people and other programs on Whop do.
//!
//! Nothing here counts as a request, is limited, or is hit by faults. Changes
//! go to the state file like any others.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::Emulator;
use super::accounts::{NewAccount, invite, make};
use super::engine::{Engine, Seen};
use super::faults::{Fault, Faults, Script};
use super::keys::found;
use super::operation::Operation;
use super::records::{Account, Content, Effect, Fate, File, Override, User};

/// A connected account, with what the API may not tell.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountView {
    /// `biz_…`
    pub id: String,
    /// The platform above it.
    pub platform: String,
    /// Its owner, `user_…`.
    pub owner: String,
    /// The address it was created with.
    pub email: Option<String>,
    /// Its title.
    pub title: String,
    /// Its metadata.
    pub metadata: Map<String, Value>,
    /// Whether it is suspended.
    pub suspended: bool,
}

/// A name and a picture's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileView {
    /// The name.
    pub name: Option<String>,
    /// The picture's bytes.
    pub picture: Option<Bytes>,
}

/// Looking, and steering time and faults.
impl Emulator {
    /// Milliseconds since 1970 by the emulator's clock.
    pub fn now(&self) -> u64 {
        self.clock().now()
    }

    /// Sets the emulator's clock forward.
    pub fn advance(&self, by: Duration) {
        self.clock().advance(by);
    }

    /// How many requests each operation has received, hit by faults or not.
    pub fn counts(&self) -> BTreeMap<Operation, u64> {
        self.with(|engine| engine.counts.clone())
    }

    /// How many requests this operation has received.
    pub fn count(&self, operation: Operation) -> u64 {
        self.with(|engine| engine.counts.get(&operation).copied().unwrap_or(0))
    }

    /// The requests received, oldest first, if
    /// [`Settings::record`](super::Settings::record) is set.
    pub fn requests(&self) -> Vec<Seen> {
        self.with(|engine| engine.seen.clone())
    }

    /// Forgets counts and recorded requests.
    pub fn reset_counts(&self) {
        self.with(|engine| {
            engine.counts.clear();
            engine.seen.clear();
        });
    }

    /// Allows another number of requests a minute from now on; 0 for no limit.
    pub fn set_rate(&self, rate: u32) {
        self.with(|engine| engine.settings.rate = rate);
    }

    /// Adds a fault behind those in force.
    pub fn fault(&self, fault: Fault) {
        self.with(|engine| engine.faults.add(fault));
    }

    /// Puts a script in place of the faults in force.
    pub fn script(&self, script: Script) {
        self.with(|engine| {
            engine.faults = Faults::new(script.seed);
            script
                .faults
                .into_iter()
                .for_each(|fault| engine.faults.add(fault));
        });
    }

    /// The connected accounts of every platform, oldest first.
    pub fn accounts(&self) -> Vec<AccountView> {
        self.with(|engine| {
            let children = engine.world.accounts().filter(|account| account.child);
            children.map(|account| view(engine, account)).collect()
        })
    }

    /// A person's profile as it shows in an account: overrides applied.
    pub fn profile(&self, owner: &str, account: &str) -> Option<ProfileView> {
        let global = self.global(owner)?;
        let own = self.overrides(owner, account);
        Some(ProfileView {
            name: own.name.or(global.name),
            picture: own.picture.or(global.picture),
        })
    }

    /// What an account shows of a person instead of the global profile.
    pub fn overrides(&self, owner: &str, account: &str) -> ProfileView {
        self.with(|engine| {
            let user = engine.world.user_by_name(owner).map(|user| user.seq);
            let account = engine.world.account_by_id(account).map(|a| a.seq);
            let (Some(user), Some(account)) = (user, account) else {
                return ProfileView::default();
            };
            let Override { name, picture } = engine.world.shown(user, account);
            ProfileView {
                name,
                picture: picture.and_then(|file| engine.world.contents.get(&file)),
            }
        })
    }

    /// A person's global profile, which a sync must never touch.
    pub fn global(&self, owner: &str) -> Option<ProfileView> {
        self.with(|engine| {
            let user = engine.world.user_by_name(owner)?;
            let picture = user.picture.as_ref();
            Some(ProfileView {
                name: user.name.clone(),
                picture: picture.and_then(|file| engine.world.contents.get(file)),
            })
        })
    }
}

/// Changing things from outside. Each does nothing, and says so with `false`,
/// where what it names is not there.
impl Emulator {
    /// Adds a connected account as somebody else's program would; returns its
    /// id. The platform is made if it is not there.
    pub fn add_account(
        &self,
        platform: &str,
        email: &str,
        title: &str,
        metadata: Map<String, Value>,
    ) -> String {
        self.edit(|engine, now| {
            let known = engine.world.account_by_id(platform).map(|a| a.platform);
            let platform = known.unwrap_or_else(|| found(&mut engine.world, Some(platform), now));
            let new = NewAccount {
                email: Some(email.to_owned()),
                title: Some(title.to_owned()),
                metadata,
                ..NewAccount::default()
            };
            let documented = engine.settings.documented;
            let seq = make(&mut engine.world, platform, new, now, documented);
            let account = engine.world.account(seq);
            account.map(|account| account.id.clone()).unwrap_or_default()
        })
    }

    /// Adds a person who is on Whop without having to do with any platform;
    /// returns the id. An account made for the address becomes theirs.
    pub fn add_user(&self, email: &str, name: &str) -> String {
        self.edit(|engine, now| {
            let seq = invite(&mut engine.world, email, Some(name), now);
            let user = engine.world.user(seq);
            user.map(|user| user.id.clone()).unwrap_or_default()
        })
    }

    /// Changes an account's title.
    pub fn set_title(&self, account: &str, title: &str) -> bool {
        self.edit_account(account, |account| title.clone_into(&mut account.title))
    }

    /// Replaces an account's metadata.
    pub fn set_metadata(&self, account: &str, metadata: Map<String, Value>) -> bool {
        self.edit_account(account, |account| account.metadata = metadata.into())
    }

    /// Suspends an account, or lets it act again.
    pub fn set_suspended(&self, account: &str, suspended: bool) -> bool {
        self.edit_account(account, |account| account.suspended = suspended)
    }

    /// Deletes an account; its owner stays.
    pub fn remove_account(&self, account: &str) -> bool {
        self.edit(|engine, _| {
            let seq = engine.world.account_by_id(account).map(|a| a.seq);
            seq.map(|seq| engine.world.change(Effect::AccountGone(seq)))
                .is_some()
        })
    }

    /// Changes what a person is called, in one account or (`None`) globally.
    /// No name clears the override.
    pub fn set_name(&self, user: &str, account: Option<&str>, name: Option<&str>) -> bool {
        self.edit_profile(user, account, |shown, _| shown.name = name.map(str::to_owned))
    }

    /// Changes a person's picture, in one account or (`None`) globally. No
    /// bytes clear the override.
    pub fn set_picture(&self, user: &str, account: Option<&str>, picture: Option<&[u8]>) -> bool {
        self.edit_profile(user, account, |shown, engine| {
            shown.picture = picture.and_then(|bytes| foreign_file(engine, bytes));
        })
    }

    /// Changes an account's record.
    fn edit_account(&self, id: &str, change: impl FnOnce(&mut Account)) -> bool {
        self.edit(|engine, now| {
            let Some(mut account) = engine.world.account_by_id(id).cloned() else {
                return false;
            };
            change(&mut account);
            account.updated_at = now;
            engine.world.change(Effect::Account(account));
            true
        })
    }

    /// Changes what an account shows of a person, or the global profile.
    fn edit_profile(
        &self,
        user: &str,
        account: Option<&str>,
        change: impl FnOnce(&mut Override, &mut Engine),
    ) -> bool {
        self.edit(|engine, _| {
            let Some(user) = engine.world.user_by_name(user).cloned() else {
                return false;
            };
            let Some(account) = account else {
                let User { name, picture, .. } = user.clone();
                let mut shown = Override { name, picture };
                change(&mut shown, engine);
                let Override { name, picture } = shown;
                engine.world.change(Effect::User(User {
                    name,
                    picture,
                    ..user
                }));
                return true;
            };
            let Some(account) = engine.world.account_by_id(account).map(|a| a.seq) else {
                return false;
            };
            let mut shown = engine.world.shown(user.seq, account);
            change(&mut shown, engine);
            engine.world.change(Effect::Override(user.seq, account, shown));
            true
        })
    }

    /// Makes a change and writes it down.
    fn edit<T>(&self, change: impl FnOnce(&mut Engine, u64) -> T) -> T {
        let now = self.now();
        self.with(|engine| {
            let result = change(engine, now);
            engine.commit(now);
            result
        })
    }
}

/// A ready file that no key of ours uploaded. `None` if it cannot be kept.
fn foreign_file(engine: &mut Engine, bytes: &[u8]) -> Option<String> {
    let (seq, id) = engine.world.fresh_id("file_", 0);
    let bytes = Bytes::copy_from_slice(bytes);
    let size = bytes.len() as u64;
    engine.world.contents.put(id.clone(), bytes).ok()?;
    let file = File {
        seq,
        id: id.clone(),
        credential: String::new(),
        filename: "picture.png".to_owned(),
        public: true,
        created_at: 0,
        upload_until: 0,
        multipart: None,
        content: Some(Content {
            size,
            ready_at: 0,
            sound: true,
            pixels: None,
        }),
        fate: Fate::Ready,
    };
    engine.world.change(Effect::File(file));
    Some(id)
}

/// The account as tests see it.
fn view(engine: &Engine, account: &Account) -> AccountView {
    let id = |seq| engine.world.account(seq).map(|account| account.id.clone());
    let owner = engine.world.user(account.owner).map(|user| user.id.clone());
    AccountView {
        id: account.id.clone(),
        platform: id(account.platform).unwrap_or_default(),
        owner: owner.unwrap_or_default(),
        email: account.email.clone(),
        title: account.title.clone(),
        metadata: account.metadata.map(),
        suspended: account.suspended,
    }
}
