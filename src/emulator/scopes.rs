//! The catalogue of scopes ([permissions](crate::whop_api#permissions)): those
//! that anything here asks for, which keys can hold them, and which roles do.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// One scope.
pub(super) struct Scope {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether a custom key can be given it; otherwise only a role's key has it.
    pub(super) custom: bool,
    /// The system roles that have it.
    roles: &'static [&'static str],
}

const fn scope(name: &'static str, custom: bool, roles: &'static [&'static str]) -> Scope {
    Scope { name, custom, roles }
}

const EVERYBODY: &[&str] = &["owner", "admin", "moderator", "sales_manager", "advertiser"];
const MANAGERS: &[&str] = &["owner", "admin"];

/// Every scope that anything here asks for ([accounts](crate::whop_api#accounts),
/// [companies](crate::whop_api#companies), [users](crate::whop_api#users),
/// [permissions](crate::whop_api#permissions), [chat tokens](crate::whop_api#chat-tokens)).
pub(super) const CATALOGUE: [Scope; 16] = [
    scope("company:create", false, MANAGERS),
    scope("company:create_child", true, MANAGERS),
    scope("company:basic:read", true, EVERYBODY),
    scope("company:update", true, &["owner"]),
    scope("company:delete_child", true, MANAGERS),
    scope("company:suspend_child", true, MANAGERS),
    scope("company:balance:read", true, &["owner", "advertiser"]),
    scope("payout:account:read", true, MANAGERS),
    scope("user:profile:update", false, MANAGERS),
    scope("chat:message:create", true, MANAGERS),
    scope("chat:read", true, MANAGERS),
    scope("dms:read", true, MANAGERS),
    scope("dms:message:manage", true, MANAGERS),
    scope("dms:channel:manage", true, MANAGERS),
    scope("support_chat:read", true, MANAGERS),
    scope("support_chat:message:create", true, MANAGERS),
];

/// The scope of this name.
pub(super) fn find(name: &str) -> Option<&'static Scope> {
    CATALOGUE.iter().find(|scope| scope.name == name)
}

/// The scopes of a system role; `None` for a role that does not exist.
pub(super) fn of_role(role: &str) -> Option<BTreeSet<String>> {
    let has = |scope: &&Scope| scope.roles.contains(&role);
    let scopes = CATALOGUE.iter().filter(has);
    EVERYBODY
        .contains(&role)
        .then(|| scopes.map(|scope| scope.name.to_owned()).collect())
}

impl Scope {
    /// It as the API shows it.
    pub(super) fn shown(&self) -> Value {
        let Self { name, custom, roles } = self;
        json!({
            "action": name,
            "name": name.replace([':', '_'], " "),
            "description": format!("Allows {name}"),
            "category": name.split(':').next(),
            "allowed_on_api_key": custom,
            "allowed_on_app": custom,
            "allowed_on_user": true,
            "granted_to_system_roles": roles,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_the_scopes_of_the_catalogue() {
        let owner = of_role("owner").unwrap();
        assert_eq!(owner.len(), CATALOGUE.len(), "an owner may do everything");
        let admin = of_role("admin").unwrap();
        assert!(admin.contains("user:profile:update") && !admin.contains("company:update"));
        assert!(of_role("advertiser").unwrap().contains("company:balance:read"));
        assert_eq!(of_role("chief"), None);
        assert!(find("company:create").is_some_and(|scope| !scope.custom));
        assert!(find("company:chief").is_none());
    }
}
