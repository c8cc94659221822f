//! What a key may do, and what keys may do at all, as the API tells it.

use serde_json::{Value, json};

use super::context::{Answer, Ask};
use super::refusal::Refusal;
use super::scopes::{CATALOGUE, Scope};
use super::state::World;

/// `GET /permissions`: needs no scope. Something the key cannot see reads as
/// nothing granted, not as an error ([permissions](crate::whop_api#permissions)).
pub(super) fn list(world: &World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let resource = ask.query.get("resource_id").filter(|id| !id.is_empty());
    let resource = resource.ok_or_else(|| Refusal::missing("resource_id"))?;
    let account = world.account_by_id(resource);
    let visible = account.is_some_and(|account| Some(account.platform) == ask.platform);
    let asked = ask.query.get("actions").unwrap_or_default();
    let asked: Vec<&str> = asked
        .split(',')
        .map(str::trim)
        .filter(|a| !a.is_empty())
        .collect();
    let asked = match asked.is_empty() {
        true => CATALOGUE.iter().map(|scope| scope.name).collect(),
        false => asked,
    };
    let data: Vec<Value> = asked
        .iter()
        .map(|action| json!({ "action": action, "granted": visible && ask.caller.holds(action) }))
        .collect();
    Ok(Answer::ok(json!({ "data": data })))
}

/// `GET /api_keys/permissions`: the whole catalogue on one page, for any key.
pub(super) fn list_scopes() -> Answer {
    let data: Vec<Value> = CATALOGUE.iter().map(Scope::shown).collect();
    Answer::ok(json!({
        "data": data,
        "page_info": {
            "start_cursor": null,
            "end_cursor": null,
            "has_next_page": false,
            "has_previous_page": false,
        }
    }))
}
