//! Who is calling: keys, their scopes, and the platform they belong to.

use std::collections::BTreeSet;
use std::fmt;

use super::ids::{fingerprint, is_id};
use super::records::{Account, Effect, Membership, User};
use super::refusal::Refusal;
use super::request::Call;
use super::scopes;
use super::state::World;

/// A key that the emulator knows.
#[derive(Clone)]
pub struct Key {
    /// What comes behind `Bearer`.
    pub secret: String,
    /// What it may do; `None` is everything.
    pub scopes: Option<BTreeSet<String>>,
    /// Whether its scopes are those of a role, rather than a custom key's.
    pub role: bool,
    /// The version stored with it, which serves requests that name none.
    pub version: Option<String>,
    /// The platform it belongs to; `None` falls back to
    /// [`Settings::platform`](super::Settings::platform).
    pub platform: Option<String>,
}

impl Key {
    /// Reads `KEY` (every scope), `KEY=scope,scope` (only these), `KEY=` (none),
    /// or `KEY=role:ROLE` (those of a system role, such as `owner`).
    pub fn parse(text: &str) -> Self {
        let (secret, scopes) = match text.split_once('=') {
            None => (text, None),
            Some((secret, scopes)) => {
                let scopes = scopes.split(',').map(str::trim).filter(|s| !s.is_empty());
                (secret, Some(scopes.map(str::to_owned).collect()))
            }
        };
        Self::with(secret, scopes)
    }

    /// A key with these scopes; `None` for every scope. A `role:…` among them
    /// stands for the role's scopes and replaces all others.
    pub fn with(secret: &str, scopes: Option<BTreeSet<String>>) -> Self {
        let role = scopes.as_ref().and_then(|scopes| {
            let mut roles = scopes.iter().filter_map(|scope| scope.strip_prefix("role:"));
            scopes::of_role(roles.next()?)
        });
        Self {
            secret: secret.to_owned(),
            role: role.is_some(),
            scopes: role.or(scopes),
            version: None,
            platform: None,
        }
    }

    /// The first of a custom key's scopes that Whop gives to no custom key.
    pub fn impossible(&self) -> Option<&str> {
        let mut held = self.scopes.iter().flatten().filter(|_| !self.role);
        let possible = |name: &str| scopes::find(name).is_none_or(|scope| scope.custom);
        held.find(|name| !possible(name) || name.starts_with("role:"))
            .map(String::as_str)
    }
}

impl fmt::Debug for Key {
    /// People paste real keys into test set-ups: the key is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// The keys that are let in.
#[derive(Clone, Debug, Default)]
pub enum Keys {
    /// Any, with every scope.
    #[default]
    Any,
    /// These and no others.
    Only(Vec<Key>),
}

/// A caller whose key was recognised.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The key's fingerprint: files, limits and remembered POSTs belong to it.
    pub(super) credential: String,
    /// The version stored with the key.
    pub(super) version: Option<String>,
    /// What the settings fix as its platform.
    pub(super) platform: Option<String>,
    /// What the key may do; `None` is everything.
    scopes: Option<BTreeSet<String>>,
}

impl Caller {
    /// Recognises the caller.
    ///
    /// # Errors
    /// 401 without a known key.
    pub(super) fn of(call: &Call, keys: &Keys, platform: Option<&str>) -> Result<Self, Refusal> {
        let header = call.header("authorization").unwrap_or_default();
        let (scheme, secret) = header.split_once(' ').unwrap_or_default();
        let secret = secret.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || secret.is_empty() {
            return Err(Refusal::unauthorized());
        }
        let known = match keys {
            Keys::Any => None,
            Keys::Only(keys) => {
                let known = keys.iter().find(|key| key.secret == secret);
                Some(known.ok_or_else(Refusal::unauthorized)?)
            }
        };
        let own = known.and_then(|key| key.platform.as_deref());
        Ok(Self {
            credential: fingerprint(&[b"key", secret.as_bytes()]),
            version: known.and_then(|key| key.version.clone()),
            platform: own.or(platform).map(str::to_owned),
            scopes: known.and_then(|key| key.scopes.clone()),
        })
    }

    /// A caller without a key, for what is public.
    pub(super) fn anybody() -> Self {
        Self {
            credential: String::new(),
            version: None,
            platform: None,
            scopes: Some(BTreeSet::new()),
        }
    }

    /// Whether this caller has no key.
    pub(super) fn is_anybody(&self) -> bool {
        self.credential.is_empty()
    }

    /// Whether the key holds this scope. A key with every scope holds those that
    /// exist: a made-up action is granted to nobody.
    pub(super) fn holds(&self, scope: &str) -> bool {
        match &self.scopes {
            None => scopes::find(scope).is_some(),
            Some(scopes) => scopes.contains(scope),
        }
    }

    /// Refuses a key that lacks any of these scopes.
    pub(super) fn needs(&self, scopes: &[&str]) -> Result<(), Refusal> {
        match scopes.iter().find(|scope| !self.holds(scope)) {
            None => Ok(()),
            Some(scope) => Err(Refusal::scope(scope)),
        }
    }

    /// Refuses a key that may not make companies: today's scope for children,
    /// or its older name ([accounts](crate::whop_api#accounts), [companies](crate::whop_api#companies)).
    pub(super) fn needs_create(&self) -> Result<(), Refusal> {
        let today = self.needs(&["company:create_child"]);
        today.or_else(|refusal| self.needs(&["company:create"]).map_err(|_| refusal))
    }
}

/// The number of the caller's platform, made on the spot where needed.
///
/// A key belongs to one platform. The settings may fix it. If they do not, the
/// first platform the key mentions is its own, so that any manifest's
/// `company` works without set-up; a second one is not (403), as with a real
/// key. A key that has to have a platform before it mentions one (say, for
/// `POST /accounts`, which has no parent field) gets a made-up one. A mention
/// still replaces that one, until it has accounts.
pub(super) fn platform_of(
    world: &mut World,
    caller: &Caller,
    mention: Option<&str>,
    needed: bool,
    now: u64,
) -> Option<u64> {
    if let Some(id) = &caller.platform {
        return Some(match world.account_by_id(id) {
            Some(account) => account.platform,
            None => found(world, Some(id), now),
        });
    }
    let member = world.membership(&caller.credential).cloned();
    if let Some(member) = &member
        && (!member.provisional || has_accounts(world, member.platform))
    {
        return Some(member.platform);
    }
    let mention = mention.filter(|id| is_id(id, "biz_"));
    let mention = mention.map(|id| (id, world.account_by_id(id).map(|a| (a.seq, a.platform))));
    let platform = match (mention, &member) {
        // Somebody else's child is nobody's platform.
        (Some((id, known)), _) if known.is_none_or(|(seq, platform)| seq == platform) => {
            known.map_or_else(|| found(world, Some(id), now), |(seq, _)| seq)
        }
        (_, Some(member)) => return Some(member.platform),
        (_, None) if needed => found(world, None, now),
        (_, None) => return None,
    };
    world.change(Effect::Membership(Membership {
        credential: caller.credential.clone(),
        platform,
        provisional: mention.is_none(),
    }));
    Some(platform)
}

/// Whether a platform has anything besides itself.
fn has_accounts(world: &World, platform: u64) -> bool {
    world.visible(platform).is_some_and(|places| places.len() > 1)
}

/// Makes a platform and the user who owns it, under this id or a made-up one.
pub(super) fn found(world: &mut World, id: Option<&str>, now: u64) -> u64 {
    let (user, user_id) = world.fresh_id("user_", 0);
    let (seq, made_up) = world.fresh_id("biz_", 1);
    let id = id.map_or(made_up, str::to_owned);
    world.change(Effect::User(User {
        seq: user,
        username: world.free_username("platform owner", &user_id),
        id: user_id,
        name: Some("Platform owner".to_owned()),
        picture: None,
        email: None,
        created_at: now,
    }));
    world.change(Effect::Account(Account {
        seq,
        platform: seq,
        child: false,
        owner: user,
        email: None,
        title: "Platform".to_owned(),
        route: world.free_route("platform", &id),
        id,
        metadata: serde_json::Map::new().into(),
        external_id: None,
        country: Some("US".to_owned()),
        website: None,
        description: None,
        send_customer_emails: false,
        suspended: false,
        created_at: now,
        updated_at: now,
    }));
    seq
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_never_shown() {
        let all = Key::parse("secret");
        assert_eq!((all.secret.as_str(), &all.scopes), ("secret", &None));
        let some = Key::parse("secret=a:b, c");
        assert_eq!(
            some.scopes,
            Some(BTreeSet::from(["a:b".to_owned(), "c".to_owned()]))
        );
        assert_eq!(Key::parse("secret=").scopes, Some(BTreeSet::new()));
        let admin = Key::parse("k=role:admin");
        assert_eq!((admin.impossible(), admin.role), (None, true));
        assert_eq!(admin.scopes, scopes::of_role("admin"));
        for (text, impossible) in [
            ("k=a:b,user:profile:update", Some("user:profile:update")),
            ("k=role:chief", Some("role:chief")),
            ("k=company:update", None),
            ("k", None),
        ] {
            assert_eq!(Key::parse(text).impossible(), impossible, "{text}");
        }
        assert!(!format!("{some:?}").contains("secret"));
    }

    #[test]
    fn a_made_up_platform_gives_way_until_it_has_accounts() {
        let mut world = World::new(1, false);
        let caller = Caller {
            credential: "c".to_owned(),
            version: None,
            platform: None,
            scopes: None,
        };
        assert_eq!(platform_of(&mut world, &caller, None, false, 1), None);
        let made_up = platform_of(&mut world, &caller, None, true, 1).unwrap();
        let named = platform_of(&mut world, &caller, Some("biz_P"), false, 2).unwrap();
        assert_ne!(made_up, named);
        assert_eq!(
            platform_of(&mut world, &caller, Some("biz_Q"), true, 3),
            Some(named)
        );
        let other = Caller {
            credential: "d".to_owned(),
            ..caller
        };
        assert_eq!(
            platform_of(&mut world, &other, Some("biz_P"), true, 3),
            Some(named)
        );
    }
}
