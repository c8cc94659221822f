//! The vocabulary of the planner's tests: a world made of plain values, in
//! which one thing is changed, a plan is made, and the plan's effect is acted
//! out without any network.

use std::collections::{BTreeMap, BTreeSet};

use whop_sync::core::audit::audit;
use whop_sync::core::digest::Digest;
use whop_sync::core::link::profiles_to_read;
use whop_sync::core::model::{
    Account, AppliedPicture, Avatar, Desired, DesiredUser, Dialect, Entry, Guardrails, Known, Link,
    MetaValue, Observed, Policy, Profile, ProfileRead, Refresh, Stand,
};
use whop_sync::core::plan::{Action, Kind, Plan, Step};
use whop_sync::core::planner::plan;
use whop_sync::core::replay::{Fact, learn};
use whop_sync::core::text::Sorted;
use whop_sync::core::value::{
    AccountId, DisplayName, Email, ImageFormat, PlatformId, Title, UserId, UserKey,
};

pub(crate) fn key(text: &str) -> UserKey {
    UserKey::parse(text).unwrap()
}

pub(crate) fn avatar(content: &str) -> Box<Avatar> {
    Box::new(Avatar {
        path: format!("{content}.png").into(),
        part: 0,
        digest: Digest::of(content.as_bytes()),
        format: ImageFormat::Png,
        bytes: 100,
        width: 10,
        height: 10,
    })
}

/// A user with an id; email and name follow from it.
pub(crate) fn user(id: &str) -> DesiredUser {
    DesiredUser {
        key: key(id),
        email: Email::parse(&format!("{id}@shop.test")).unwrap(),
        name: DisplayName::parse(&format!("Name {id}")).unwrap(),
        avatar: None,
        title: None,
        metadata: Sorted::new(),
        renamed_from: None,
    }
}

/// Accounts of one email share one owner (`whop_api#accounts`).
pub(crate) fn owner_of(email: &str) -> UserId {
    let folded: String = email
        .to_lowercase()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    UserId::parse(&format!("user_{folded}")).unwrap()
}

/// The three facts, and the rules.
pub(crate) struct World {
    pub(crate) users: Vec<DesiredUser>,
    pub(crate) guardrails: Guardrails,
    pub(crate) accounts: Vec<Account>,
    /// Company-specific profiles by owner.
    pub(crate) profiles: BTreeMap<UserId, Profile>,
    pub(crate) complete: bool,
    pub(crate) known: Known,
    pub(crate) policy: Policy,
    next: u32,
}

impl World {
    pub(crate) fn new(users: Vec<DesiredUser>) -> Self {
        Self {
            users,
            guardrails: Guardrails::default(),
            accounts: Vec::new(),
            profiles: BTreeMap::new(),
            complete: true,
            known: Known::default(),
            policy: Policy {
                dialect: Dialect::Accounts,
                server: "emulator".into(),
                version: "2026-10-15-1".into(),
                allow: BTreeSet::new(),
                only: None,
                refresh: Refresh::Full,
                touched: None,
                now: 1_800_000_000,
            },
            next: 0,
        }
    }

    /// A world that is as its manifest asks, and known to be.
    pub(crate) fn settled(users: Vec<DesiredUser>) -> Self {
        let mut world = Self::new(users);
        let plan = world.plan();
        world.act_out(&plan.actions);
        world
    }

    pub(crate) fn desired(&self) -> Desired {
        let entries = self.users.iter().map(|user| Entry {
            user: user.clone(),
            at: Stand::default(),
        });
        let platform = PlatformId::parse("biz_platform").unwrap();
        Desired::new(platform, self.guardrails, entries.collect()).expect("the test's users agree")
    }

    /// Looks at everything that a plan needs.
    pub(crate) fn observed(&self) -> Observed {
        let desired = self.desired();
        let mut observed = Observed {
            complete: self.complete,
            accounts: self.accounts.clone(),
            ..Observed::default()
        };
        for owner in profiles_to_read(&desired, &observed, &self.known, &self.policy) {
            let read = self
                .profiles
                .get(&owner)
                .map_or(ProfileRead::Missing, |p| ProfileRead::Seen(p.clone()));
            observed.profiles.insert(owner, read);
        }
        observed
    }

    /// Refreshes, plans and audits.
    pub(crate) fn plan(&self) -> Plan {
        let (desired, observed) = (self.desired(), self.observed());
        let plan = plan(&desired, &observed, &self.known, &self.policy);
        assert_eq!(
            audit(&plan, &desired, &observed, &self.known),
            [],
            "the plan is unsound"
        );
        plan
    }

    pub(crate) fn account_mut(&mut self, id: &str) -> &mut Account {
        let id = self.known.users[&key(id)].link.account.clone();
        self.accounts.iter_mut().find(|account| account.id == id).unwrap()
    }

    pub(crate) fn account_mut_by_id(&mut self, id: &AccountId) -> &mut Account {
        self.accounts
            .iter_mut()
            .find(|account| account.id == *id)
            .unwrap()
    }

    pub(crate) fn profile_mut(&mut self, id: &str) -> &mut Profile {
        let owner = self.known.users[&key(id)].link.owner.clone();
        self.profiles.get_mut(&owner).unwrap()
    }

    /// Puts an account on Whop that we did not make.
    pub(crate) fn foreign(&mut self, email: &str, metadata: &[(&str, &str)]) -> AccountId {
        let owner = self.owner_of(email);
        let id = AccountId::parse(&format!("biz_a{}", self.fresh())).unwrap();
        let text = |value: &&str| MetaValue::Text((*value).into());
        self.accounts.push(Account {
            id: id.clone(),
            owner,
            email: (self.policy.dialect == Dialect::Accounts).then(|| email.into()),
            title: "Somebody".into(),
            metadata: metadata
                .iter()
                .map(|(key, value)| ((*key).into(), text(value)))
                .collect(),
            suspended: false,
            created: None,
        });
        id
    }

    fn fresh(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Accounts of one email share one owner (`whop_api#accounts`).
    fn owner_of(&mut self, email: &str) -> UserId {
        let folded: String = email
            .to_lowercase()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let owner = UserId::parse(&format!("user_{folded}")).unwrap();
        self.profiles.entry(owner.clone()).or_insert(Profile {
            name: Some("Global".into()),
            picture: None,
        });
        owner
    }

    /// Does what the actions say, to Whop and to what is known.
    pub(crate) fn act_out(&mut self, actions: &[Action]) {
        for action in actions {
            self.act(action, usize::MAX);
        }
    }

    /// Does the first `steps` steps of an action.
    pub(crate) fn act(&mut self, action: &Action, steps: usize) {
        let key = action.key.clone();
        let planned = action.steps();
        let done = |step: Step| planned.iter().take(steps).any(|it| *it == step);
        if steps == 0 {
            return;
        }
        let link = match &action.kind {
            Kind::Forget { .. } => {
                learn(&mut self.known, Fact::Dropped { key });
                return;
            }
            Kind::Create(new) => {
                let metadata: Vec<_> = new.metadata.iter().map(|(k, v)| (&**k, &**v)).collect();
                let id = self.foreign(new.email.as_str(), &metadata);
                let account = self.accounts.last_mut().unwrap();
                account.title = new.title.as_str().into();
                let link = Link {
                    account: id,
                    owner: account.owner.clone(),
                };
                let (title, metadata) = (account.title.clone(), new.metadata.clone());
                learn(
                    &mut self.known,
                    Fact::Created {
                        key: key.clone(),
                        link: link.clone(),
                        title,
                        metadata,
                    },
                );
                link
            }
            Kind::Update { entry, record: false } => entry.link.clone(),
            Kind::Adopt { entry, .. } | Kind::Update { entry, .. } => {
                let (known, from) = (entry.clone(), action.renamed_from.clone());
                learn(
                    &mut self.known,
                    Fact::Recorded {
                        key: key.clone(),
                        known,
                        from,
                    },
                );
                entry.link.clone()
            }
        };
        if done(Step::UpdateAccount) {
            let account = self
                .accounts
                .iter_mut()
                .find(|account| account.id == link.account)
                .unwrap();
            let title = action
                .account
                .title
                .as_ref()
                .map(|title| title.new.as_str().into());
            account.title = title.clone().unwrap_or(account.title.clone());
            if !action.account.metadata.is_empty() {
                account.metadata = action.account.whole.clone();
            }
            let set = action
                .account
                .metadata
                .iter()
                .map(|(key, change)| (key.clone(), change.new.clone()));
            learn(
                &mut self.known,
                Fact::Account {
                    key: key.clone(),
                    title,
                    metadata: set.collect(),
                },
            );
        }
        if done(Step::UpdateProfile) {
            let url: Option<Box<str>> = Some(format!("https://img.test/{}", self.fresh()).into());
            let profile = self.profiles.get_mut(&link.owner).unwrap();
            let name = action
                .profile
                .name
                .as_ref()
                .map(|name| Box::<str>::from(name.new.as_str()));
            profile.name = name.clone().or(profile.name.take());
            let picture = action.profile.picture.as_ref().map(|picture| {
                profile.picture = url.clone();
                AppliedPicture {
                    digest: picture.new.digest,
                    url,
                }
            });
            let name = name.map(Into::into);
            learn(&mut self.known, Fact::Profile { key, name, picture });
        }
    }

    pub(crate) fn title(text: &str) -> Option<Title> {
        Some(Title::parse(text).unwrap())
    }
}
