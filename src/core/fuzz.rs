//! Facts of every kind for fuzzing the planner, made from bytes: also those
//! that no run has ever left behind, such as a mapping that links one account
//! to two users, or a list in which nobody has an owner of their own.

use std::collections::{BTreeMap, BTreeSet};

use super::audit::{audit, create_body};
use super::digest::Digest;
use super::drift::drift;
use super::field::{Owner, TextField};
use super::link::{mapped_profiles_to_read, profiles_to_read};
use super::model::{
    Account, AppliedPicture, Avatar, Desired, DesiredUser, Dialect, Doubt, Entry, Guard, Guardrails,
    IDENTITY_KEYS, Known, KnownUser, Limit, Link, MetaValue, Observed, Policy, PreparedCall, Profile,
    ProfileRead, Refresh, Stand,
};
use super::plan::{NewAccount, Plan};
use super::planner::plan;
use super::saved::{Place, Saved, basis, changes};
use super::summary;
use super::text::{Sorted, Texts};
use super::value::{AccountId, DisplayName, Email, ImageFormat, PlatformId, Title, UserId, UserKey};

/// The three facts and the rules.
#[derive(Clone, Debug)]
struct Facts {
    users: Vec<DesiredUser>,
    guardrails: Guardrails,
    observed: Observed,
    known: Known,
    policy: Policy,
}

/// Plans from facts made of these bytes: the audit finds nothing, the order of
/// the input and a second time change nothing, and the plan that would be
/// saved is not stale. Returns what would be saved.
///
/// # Panics
/// Where any of that does not hold.
pub(crate) fn planned(bytes: &[u8]) -> Option<Saved> {
    let mut source = Source(bytes);
    let facts = facts(&mut source);
    let desired = desired(&facts)?;
    let observed = read_profiles(&facts, &desired);
    let plan = plan(&desired, &observed, &facts.known, &facts.policy);
    let findings = audit(&plan, &desired, &observed, &facts.known);
    assert!(findings.is_empty(), "{findings:?}\n{facts:#?}\n{plan:#?}");
    in_other_order(&facts, &desired, &plan, source.byte());
    // Looks only, but over the same facts.
    let drift = drift(&desired, &observed, &facts.known, &facts.policy);
    assert!(drift.drifted() <= facts.known.users.len(), "{drift:#?}");
    let company = desired.platform().clone();
    let place = Place {
        program: "1",
        company: &company,
        server: "emulator",
        api_version: "2026-10-15-1",
    };
    let manifest = Digest::of(b"manifest");
    let saved = Saved::new(
        &plan,
        basis(place, Vec::new(), manifest, &facts.known, &facts.policy),
    );
    let moved = changes(&saved, &plan, &facts.known, manifest);
    assert!(moved.is_empty(), "{moved:#?}");
    Some(saved)
}

/// The same facts in another order: the same plan, to the byte.
fn in_other_order(facts: &Facts, desired: &Desired, before: &Plan, turn: u8) {
    let mut turned = facts.clone();
    let users = turned.users.len();
    turned.users.rotate_left(usize::from(turn) % users.max(1));
    turned.users.reverse();
    let accounts = turned.observed.accounts.len();
    turned
        .observed
        .accounts
        .rotate_left(usize::from(turn) % accounts.max(1));
    turned.observed.accounts.reverse();
    let same = self::desired(&turned).expect("it was taken before");
    assert_eq!(same, *desired);
    let observed = read_profiles(&turned, &same);
    let after = plan(&same, &observed, &turned.known, &turned.policy);
    assert_eq!(format!("{after:?}"), format!("{before:?}"));
    assert_eq!(summary::digest(&after), summary::digest(before));
}

fn desired(facts: &Facts) -> Option<Desired> {
    let entries = facts.users.iter().map(|user| Entry {
        user: user.clone(),
        at: Stand::default(),
    });
    let platform = PlatformId::parse("biz_platform").ok()?;
    Desired::new(platform, facts.guardrails, entries.collect()).ok()
}

/// Of the profiles that there are, those that are asked for.
fn read_profiles(facts: &Facts, desired: &Desired) -> Observed {
    let wanted = profiles_to_read(desired, &facts.observed, &facts.known, &facts.policy);
    let mapped = mapped_profiles_to_read(desired, &facts.known, &facts.policy);
    let is_there = |link: &Link| {
        let mut accounts = facts.observed.accounts.iter();
        accounts.any(|account| account.id == link.account && account.owner == link.owner)
    };
    if mapped.everybody && facts.known.users.values().all(|user| is_there(&user.link)) {
        assert!(wanted.iter().all(|owner| mapped.owners.contains(owner)));
    }
    let mut observed = facts.observed.clone();
    observed.profiles = wanted
        .into_iter()
        .map(|owner| {
            let read = facts.observed.profiles.get(&owner).cloned();
            (owner, read.unwrap_or(ProfileRead::Missing))
        })
        .collect();
    observed
}

/// Bytes to choose by; zeros once they are used up.
struct Source<'b>(&'b [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn below(&mut self, bound: u8) -> u8 {
        self.byte() % bound.max(1)
    }

    fn is(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.is().then(|| make(self))
    }

    fn list<T>(&mut self, most: u8, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    fn key(&mut self) -> UserKey {
        let n = self.below(6);
        UserKey::parse(&format!("u{n}")).expect("a key")
    }

    fn email(&mut self) -> String {
        let n = self.below(6);
        // The same address, written in two ways.
        if self.below(4) == 3 {
            format!("U{n}@Shop.test")
        } else {
            format!("u{n}@shop.test")
        }
    }

    fn account(&mut self) -> AccountId {
        let n = self.below(6);
        AccountId::parse(&format!("biz_a{n}")).expect("an id")
    }

    fn owner(&mut self) -> UserId {
        let n = self.below(6);
        UserId::parse(&format!("user_o{n}")).expect("an id")
    }

    fn word(&mut self) -> &'static str {
        ["Ann", "Bo", "Cy", "u1"][usize::from(self.below(4))]
    }

    fn digest(&mut self) -> Digest {
        Digest::of(&[self.below(3)])
    }

    fn texts(&mut self) -> Texts {
        let pairs = self.list(2, |source| {
            let key = ["tier", "team", "plan"][usize::from(source.below(3))];
            (key.into(), source.word().into())
        });
        pairs.into_iter().collect()
    }
}

fn facts(source: &mut Source<'_>) -> Facts {
    let dialect = if source.below(4) == 3 {
        Dialect::Companies
    } else {
        Dialect::Accounts
    };
    let mut facts = Facts {
        policy: policy(source, dialect),
        guardrails: guardrails(source),
        users: source.list(5, user),
        known: known(source),
        observed: observed(source, dialect),
    };
    // Some creates in doubt asked for what is asked for still.
    for (key, doubt) in &mut facts.known.doubts {
        let user = facts.users.iter().find(|user| user.key == *key);
        if let Some(user) = user.filter(|_| source.is()) {
            doubt.call.body = body(user);
        }
    }
    facts
}

/// The body of this user's create.
fn body(user: &DesiredUser) -> String {
    let mut metadata = user.metadata.clone();
    for name in IDENTITY_KEYS {
        metadata.insert(name.into(), user.key.as_str().into());
    }
    let new = NewAccount {
        email: user.email.clone(),
        title: user.title.clone().unwrap_or_else(|| Title::from(&user.name)),
        metadata,
        resend: None,
        replaces: None,
    };
    create_body(&new, None)
}

fn policy(source: &mut Source<'_>, dialect: Dialect) -> Policy {
    let mut policy = Policy::new(dialect, "2026-10-15-1", 1_800_000_000);
    policy.allow = Guard::ALL.into_iter().filter(|_| source.is()).collect();
    policy.only = source.maybe(|source| source.list(3, Source::key).into_iter().collect::<BTreeSet<_>>());
    policy.refresh = [Refresh::Full, Refresh::Changed, Refresh::Auto][usize::from(source.below(3))];
    policy
}

fn guardrails(source: &mut Source<'_>) -> Guardrails {
    let mut guardrails = Guardrails::default();
    for guard in Guard::with_limit() {
        if let Some(place) = guardrails.limit_mut(guard) {
            *place = source.maybe(limit);
        }
    }
    guardrails
}

fn limit(source: &mut Source<'_>) -> Limit {
    match source.is() {
        true => Limit::Count(source.below(4).into()),
        false => Limit::Percent(source.below(101)),
    }
}

fn user(source: &mut Source<'_>) -> DesiredUser {
    let key = source.key();
    let email = Email::parse(&source.email()).expect("an address");
    let mut user = DesiredUser::new(key, email, DisplayName::parse("A").expect("a name"));
    for field in TextField::required() {
        field.ask(&mut user, source.word()).expect("a text");
    }
    user.avatar = source.maybe(|source| {
        let digest = source.digest();
        Box::new(Avatar {
            path: "a.png".into(),
            part: 0,
            digest,
            format: ImageFormat::Png,
            bytes: 100,
            width: 10,
            height: 10,
        })
    });
    for field in TextField::optional() {
        if source.is() {
            field.ask(&mut user, source.word()).expect("a text");
        }
    }
    user.metadata = source.texts();
    user.renamed_from = source.maybe(Source::key);
    user
}

fn link(source: &mut Source<'_>) -> Link {
    Link {
        account: source.account(),
        owner: source.owner(),
    }
}

fn known(source: &mut Source<'_>) -> Known {
    let users = source.list(5, |source| {
        let mut user = KnownUser::linked(link(source));
        for field in TextField::ALL {
            *field.applied_mut(&mut user) = source.maybe(|source| source.word().into());
        }
        let user = KnownUser {
            metadata: source.texts(),
            picture: source.maybe(|source| {
                Box::new(AppliedPicture {
                    digest: source.digest(),
                    url: source.maybe(|source| format!("https://img.test/{}", source.below(3)).into()),
                })
            }),
            ..user
        };
        (source.key(), user)
    });
    let doubts = source.list(2, |source| {
        let (key, email) = (source.key(), source.email());
        let doubt = Doubt {
            begun: 1_800_000_000 - u64::from(source.byte()) * 600,
            email: Email::parse(&email).expect("an address"),
            call: PreparedCall {
                version: if source.is() { "2026-10-15-1" } else { "2025-01-01" }.into(),
                idempotency_key: "k".into(),
                body: format!("{{\"email\":\"{email}\"}}"),
            },
        };
        (key, doubt)
    });
    Known {
        generation: source.byte().into(),
        users: users.into_iter().collect(),
        doubts: doubts.into_iter().collect(),
        unsure: source.list(2, Source::key).into_iter().collect(),
        ..Known::default()
    }
}

fn observed(source: &mut Source<'_>, dialect: Dialect) -> Observed {
    let accounts = source.list(6, |source| account(source, dialect));
    // A listing names each account once.
    let accounts: BTreeMap<_, _> = accounts
        .into_iter()
        .map(|account| (account.id.clone(), account))
        .collect();
    let profiles = source.list(6, |source| {
        let read = match source.below(6) {
            0 => ProfileRead::Missing,
            1 => ProfileRead::Unreadable("503 from Whop".to_owned()),
            _ => {
                let mut profile = Profile::default();
                for field in TextField::of(Owner::Profile) {
                    if source.is() {
                        field.show_on_profile(&mut profile, source.word());
                    }
                }
                profile.picture =
                    source.maybe(|source| format!("https://img.test/{}", source.below(3)).into());
                ProfileRead::Seen(profile)
            }
        };
        (source.owner(), read)
    });
    Observed {
        complete: source.below(8) != 7,
        accounts: accounts.into_values().collect(),
        profiles: profiles.into_iter().collect(),
        time: source.maybe(|source| 1_800_000_000 - u64::from(source.byte())),
        ..Observed::default()
    }
}

fn account(source: &mut Source<'_>, dialect: Dialect) -> Account {
    let mut metadata = Sorted::new();
    for key in ["external_id", "internal_user_id"] {
        let value = match source.below(4) {
            0 | 1 => MetaValue::Text(source.key().as_str().into()),
            2 => MetaValue::Json("[7]".into()),
            _ => continue,
        };
        metadata.insert(key.into(), value);
    }
    let others = source.texts().into_iter();
    metadata.extend(others.map(|(key, value)| (key, MetaValue::Text(value))));
    Account {
        id: source.account(),
        owner: source.owner(),
        email: (dialect == Dialect::Accounts).then(|| source.email().into()),
        title: source.word().into(),
        metadata,
        suspended: source.below(8) == 7,
        created: source.maybe(|source| 1_799_900_000 + 20_000 * u64::from(source.below(8))),
    }
}
