//! From three facts and a policy to a plan. [`plan`] is total: what cannot be
//! done becomes a [`Hold`] with a typed reason, never an error.

use std::collections::{HashMap, HashSet};

use super::difference;
use super::field::{Owner, TextField};
use super::identity::Evidence;
use super::limits;
use super::link::{Linked, Links, link};
use super::model::{
    Account, Avatar, Desired, DesiredUser, Dialect, Doubt, Guard, IDENTITY_KEYS, Known, KnownRest, KnownUser,
    LIST_LAG, Link, MetaValue, Observed, Policy, Profile, ProfileRead, RESEND_WITHIN,
};
use super::plan::{
    AccountChange, Action, Cause, Change, Hold, Kind, Learned, NewAccount, PictureChange, Plan,
    ProfileChange, Reason, Unmanaged, Unrepeatable,
};
use super::resend::{Asked, Resend};
use super::text::Texts;
use super::value::{AccountId, Title, UserKey};

/// Decides everything a run will do. Never fails, and the same inputs give
/// the same plan.
pub fn plan(desired: &Desired, observed: &Observed, known: &Known, policy: &Policy) -> Plan {
    let links = link(desired, observed, known, policy);
    let mut planner = Planner {
        desired,
        observed,
        known,
        policy,
        vanished: links.vanished,
        plan: Plan::new(desired, policy),
    };
    for (user, linked) in desired.users().iter().zip(&links.users) {
        if policy.covers(&user.key) {
            planner.user(user, linked);
        } else {
            planner.plan.left_out += 1;
        }
    }
    planner.unmanaged(&links);
    planner.finish()
}

struct Planner<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    known: &'a Known,
    policy: &'a Policy,
    vanished: bool,
    plan: Plan,
}

impl Planner<'_> {
    fn user(&mut self, user: &DesiredUser, linked: &Linked<'_>) {
        let decided = match linked {
            Linked::Held(reason) => Err((**reason).clone()),
            Linked::Absent { gone } => self
                .create(user, *gone)
                .map(|action| Decided::Act(Box::new(action))),
            Linked::Mapped { account, known, from } => {
                if !self.observed.profiles.contains_key(&account.owner) {
                    self.plan.reads.from_mapping += 1;
                }
                self.existing(user, account, Some(known), *from, None)
            }
            Linked::Found { account, by, from } => self.existing(user, account, None, *from, Some(*by)),
        };
        match decided {
            Err(reason) => self.plan.holds.push(Hold {
                key: user.key.clone(),
                reason,
            }),
            Ok(Decided::Act(action)) => self.plan.actions.push(*action),
            Ok(Decided::Learn(entry)) => {
                self.plan.unchanged += 1;
                self.plan.learned.push(Learned {
                    key: user.key.clone(),
                    entry,
                });
            }
            Ok(Decided::Nothing) => self.plan.unchanged += 1,
        }
    }

    fn create(&self, user: &DesiredUser, gone: Option<&AccountId>) -> Result<Action, Reason> {
        if self.vanished {
            return Err(Reason::Vanished);
        }
        let mut account = NewAccount {
            email: user.email.clone(),
            title: user.title.clone().unwrap_or_else(|| Title::from(&user.name)),
            metadata: wanted_metadata(user),
            resend: None,
            replaces: gone.cloned(),
        };
        if let Some(doubt) = self.known.doubts.get(&user.key) {
            account.resend = self.settle(user, &account, doubt)?;
        }
        let picture = user.avatar.as_deref().map(|new| PictureChange {
            old: None,
            old_url: None,
            new: new.clone(),
            cause: Cause::New,
        });
        let (mut unused, mut profile) = (AccountChange::default(), ProfileChange::default());
        for field in TextField::of(Owner::Profile).filter(|field| field.wanted(user).is_some()) {
            field.change(user, None, Cause::New, &mut unused, &mut profile);
        }
        profile.picture = picture;
        Ok(Action {
            key: user.key.clone(),
            kind: Kind::Create(account),
            renamed_from: None,
            account: AccountChange::default(),
            profile,
        })
    }

    /// What to do about a create whose answer was lost, now that the list
    /// does not have its account: send the same again where that cannot make
    /// a second one, or begin afresh once absence is proof, or hold. What the
    /// journal says is no more than a hint: a request that asks for anything
    /// else than the manifest is never sent, and one that was begun in the
    /// future counts as begun now.
    fn settle(
        &self,
        user: &DesiredUser,
        account: &NewAccount,
        doubt: &Doubt,
    ) -> Result<Option<Resend>, Reason> {
        let now = self.observed.time.unwrap_or(self.policy.now);
        let age = now.saturating_sub(doubt.begun);
        let asked = Asked {
            key: &user.key,
            email: &account.email,
            title: &account.title,
            metadata: &account.metadata,
        };
        let repeatable = self.policy.dialect == Dialect::Accounts
            && *doubt.call.version == *self.policy.version
            && age < RESEND_WITHIN;
        let why = match doubt.begun > now {
            true => Unrepeatable::Ahead,
            false if !repeatable => Unrepeatable::Version,
            false => match Resend::of(&doubt.call, asked) {
                Some(resend) => return Ok(Some(resend)),
                None => Unrepeatable::Different,
            },
        };
        if age < LIST_LAG && self.policy.enforces(Guard::InDoubt) {
            return Err(Reason::InDoubt {
                begun: doubt.begun,
                why,
            });
        }
        Ok(None)
    }

    fn existing(
        &self,
        user: &DesiredUser,
        account: &Account,
        known: Option<&KnownUser>,
        from: Option<&UserKey>,
        by: Option<Evidence>,
    ) -> Result<Decided, Reason> {
        if let Some(observed) = &account.email
            && **observed != *user.email.as_str()
            && observed.to_lowercase() != user.email.folded()
        {
            return Err(Reason::EmailChanged {
                account: account.id.clone(),
                observed: observed.into(),
            });
        }
        if from.is_none() && known.is_some_and(|known| self.is_settled(user, account, known)) {
            return Ok(Decided::Nothing);
        }
        let link = Link {
            account: account.id.clone(),
            owner: account.owner.clone(),
        };
        let mut entry = known.cloned().unwrap_or_else(|| KnownUser::linked(link.clone()));
        entry.link = link;
        let seen = self.seen(account)?;
        let (mut change, mut profile) = texts(user, account, seen, known, &mut entry);
        profile.picture = user
            .avatar
            .as_ref()
            .and_then(|avatar| picture_change(avatar, &mut entry, seen));
        self.metadata(user, account, known, from, &mut entry, &mut change)?;
        let record = known != Some(&entry) || from.is_some() || self.known.unsure.contains(&user.key);
        let idle = profile.is_empty() && change.is_empty();
        if idle && by.is_none() && from.is_none() {
            return Ok(if record {
                Decided::Learn(entry)
            } else {
                Decided::Nothing
            });
        }
        if account.suspended {
            return Err(Reason::Suspended {
                account: account.id.clone(),
            });
        }
        let kind = match by {
            Some(by) => Kind::Adopt { entry, by },
            None => Kind::Update { entry, record },
        };
        let renamed_from = from.cloned();
        Ok(Decided::Act(Box::new(Action {
            key: user.key.clone(),
            kind,
            renamed_from,
            account: change,
            profile,
        })))
    }

    /// Whether Whop shows all that is asked, as far as it was looked, and the
    /// mapping has it: the case of nearly everyone, who must not cost a copy.
    /// May say no where the long way finds nothing either.
    fn is_settled(&self, user: &DesiredUser, account: &Account, known: &KnownUser) -> bool {
        let KnownRest {
            link,
            metadata,
            // Compared with the profile's texts.
            picture: _,
        } = known.rest();
        let link = link.account == account.id && link.owner == account.owner;
        let texts = TextField::ALL.into_iter().all(|field| {
            let applied = field.applied(known);
            let shown = field.shown(account, None).unwrap_or(applied);
            field
                .wanted(user)
                .is_none_or(|wanted| applied == Some(wanted) && shown == Some(wanted))
        });
        let shown = |key: &str, value: &str| account.text(key) == Some(value);
        let metadata = *metadata == user.metadata
            && user.metadata.iter().all(|(key, value)| shown(key, value))
            && IDENTITY_KEYS.iter().all(|key| shown(key, user.key.as_str()));
        let looked =
            self.observed.profiles.contains_key(&account.owner) || self.known.unsure.contains(&user.key);
        link && texts && metadata && !looked && !difference::profile(user, known)
    }

    /// The owner's profile, if it was read.
    fn seen(&self, account: &Account) -> Result<Option<&Profile>, Reason> {
        match self.observed.profiles.get(&account.owner) {
            Some(ProfileRead::Seen(profile)) => Ok(Some(profile)),
            Some(ProfileRead::Missing) => Err(Reason::OwnerMissing {
                owner: account.owner.clone(),
            }),
            Some(ProfileRead::Unreadable(message)) => Err(Reason::Unreadable {
                message: message.clone(),
            }),
            None => Ok(None),
        }
    }

    /// Which metadata changes. What Whop already shows as asked goes into
    /// `entry`; managed keys that left the manifest leave `entry`.
    fn metadata(
        &self,
        user: &DesiredUser,
        account: &Account,
        known: Option<&KnownUser>,
        from: Option<&UserKey>,
        entry: &mut KnownUser,
        result: &mut AccountChange,
    ) -> Result<(), Reason> {
        entry.metadata.retain(|key, _| user.metadata.contains_key(key));
        let wanted = wanted_metadata(user);
        for (key, value) in &wanted {
            let identity = IDENTITY_KEYS.contains(&&**key);
            let applied = match known {
                Some(_) if identity => Some(from.map_or(&**value, UserKey::as_str)),
                Some(known) => known.metadata.get(key).map(|value| &**value),
                None => None,
            };
            let shown = account.metadata.get(key);
            match difference::text(applied, shown.map(MetaValue::shown), value) {
                Some(cause) => {
                    let old = shown.map(|shown| shown.shown().into());
                    result.metadata.insert(
                        key.clone(),
                        Change {
                            old,
                            new: value.clone(),
                            cause,
                        },
                    );
                }
                None if identity => {}
                None => {
                    entry.metadata.insert(key.clone(), value.clone());
                }
            }
        }
        if self.policy.dialect == Dialect::Companies {
            // The old API sets metadata at creation only (`whop_api#companies`).
            result.metadata.retain(|key, _| !IDENTITY_KEYS.contains(&&**key));
            if !result.metadata.is_empty() {
                return Err(Reason::MetadataFixed {
                    keys: std::mem::take(&mut result.metadata)
                        .into_keys()
                        .map(Into::into)
                        .collect(),
                });
            }
        } else if !result.metadata.is_empty() {
            result.whole = account.metadata.clone();
            result.whole.extend(
                wanted
                    .into_iter()
                    .map(|(key, value)| (key, MetaValue::Text(value))),
            );
        }
        Ok(())
    }

    /// Reports what the manifest does not speak of, and forgets links whose
    /// user has left and whose account is gone.
    fn unmanaged(&mut self, links: &Links<'_>) {
        // The entry of a former id moves, or is replaced, with its user.
        let renamed: HashSet<&UserKey> = self
            .desired
            .users()
            .iter()
            .filter_map(|user| user.renamed_from.as_ref())
            .collect();
        let mut owners = HashMap::new();
        // Both are sorted, so that one walk does.
        let mut wanted = self.desired.users().iter().map(|user| &user.key).peekable();
        for (key, entry) in &self.known.users {
            while wanted.next_if(|wanted| *wanted < key).is_some() {}
            if wanted.peek() == Some(&key) {
                continue;
            }
            owners.insert(&entry.link.account, key);
            let gone = links.account(&entry.link.account).is_none();
            if !gone && self.known.unsure.contains(key) && self.policy.covers(key) {
                // Nobody will look at this profile. Forgetting what was last
                // applied makes sure that it is read should the user return.
                let mut entry = entry.clone();
                entry.picture = None;
                for field in TextField::of(Owner::Profile) {
                    *field.applied_mut(&mut entry) = None;
                }
                self.plan.learned.push(Learned {
                    key: key.clone(),
                    entry,
                });
            }
            if gone
                && self.observed.complete
                && !self.vanished
                && self.policy.covers(key)
                && !renamed.contains(key)
            {
                self.plan.actions.push(Action {
                    key: key.clone(),
                    kind: Kind::Forget {
                        link: entry.link.clone(),
                    },
                    renamed_from: None,
                    account: AccountChange::default(),
                    profile: ProfileChange::default(),
                });
            }
        }
        let linked = || links.users.iter().filter_map(Linked::account);
        // No two users have one account, so these are all there are.
        if linked().count() == self.observed.accounts.len() {
            return;
        }
        let linked: HashSet<&AccountId> = linked().map(|account| &account.id).collect();
        let rest = self
            .observed
            .accounts
            .iter()
            .filter(|account| !linked.contains(&account.id));
        self.plan.unmanaged = rest
            .map(|account| Unmanaged {
                account: account.id.clone(),
                key: owners.get(&account.id).map(|key| (*key).clone()),
                title: Some(account.title.clone()),
            })
            .collect();
        self.plan
            .unmanaged
            .sort_unstable_by(|a, b| a.account.cmp(&b.account));
    }

    fn finish(mut self) -> Plan {
        self.plan.actions.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        self.plan.learned.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        self.plan.reads.accounts = self.observed.accounts.len();
        self.plan.reads.profiles = self.observed.profiles.len();
        limits::judge(&mut self.plan, self.desired, self.observed, self.policy);
        self.plan
    }
}

/// What was decided for a user who is not held.
enum Decided {
    Act(Box<Action>),
    Learn(KnownUser),
    Nothing,
}

/// Which texts change, of the account and of the profile. What Whop already
/// shows as asked goes into `entry`.
fn texts(
    user: &DesiredUser,
    account: &Account,
    seen: Option<&Profile>,
    known: Option<&KnownUser>,
    entry: &mut KnownUser,
) -> (AccountChange, ProfileChange) {
    let (mut on_account, mut on_profile) = (AccountChange::default(), ProfileChange::default());
    for field in TextField::ALL {
        let Some(wanted) = field.wanted(user) else {
            continue;
        };
        let applied = known.and_then(|known| field.applied(known));
        // A profile that was not read is as it was left.
        let shown = field.shown(account, seen).unwrap_or(applied);
        match difference::text(applied, shown, wanted) {
            None => *field.applied_mut(entry) = Some(wanted.into()),
            Some(cause) => {
                let old = shown.map(Into::into);
                field.change(user, old, cause, &mut on_account, &mut on_profile);
            }
        }
    }
    (on_account, on_profile)
}

/// The picture to set, if any. A URL seen for the first time goes into `entry`.
fn picture_change(avatar: &Avatar, entry: &mut KnownUser, seen: Option<&Profile>) -> Option<PictureChange> {
    let applied = entry.picture.as_deref_mut();
    let old_url = seen.and_then(|profile| profile.picture.clone());
    let shown = seen.map(|profile| profile.picture.as_deref());
    match difference::picture(applied.as_deref(), shown, avatar.digest) {
        Some(cause) => Some(PictureChange {
            old: applied.map(|applied| applied.digest),
            old_url,
            new: avatar.clone(),
            cause,
        }),
        None => {
            if let Some(applied) = applied {
                applied.url = applied.url.take().or(old_url);
            }
            None
        }
    }
}

/// The metadata a user's account must have: the managed keys and who it is.
fn wanted_metadata(user: &DesiredUser) -> Texts {
    let mut metadata = user.metadata.clone();
    for key in IDENTITY_KEYS {
        metadata.insert(key.into(), user.key.as_str().into());
    }
    metadata
}
