//! Access tokens ([chat tokens](crate::whop_api#chat-tokens)). They look like the real ones and open
//! nothing.

use serde_json::{Value, json};

use super::accounts::visible;
use super::clock::{parse_stamp, stamp};
use super::context::{Answer, Ask};
use super::ids::{base64, fingerprint};
use super::refusal::Refusal;
use super::state::World;
use super::users::find;

/// The default life of a token, in milliseconds.
const HOUR: u64 = 60 * 60 * 1_000;

/// `POST /access_tokens`. One of account and user must be there, and embedded
/// chat needs both. Actions must be a subset of the key's own scopes (403); none
/// named means all of the key's.
pub(super) fn create(world: &World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let fields = ask.fields()?;
    let (account, other) = if ask.look.version.token_names_account() {
        ("account_id", "company_id")
    } else {
        ("company_id", "account_id")
    };
    ask.only(&[account, other, "user_id", "scoped_actions", "expires_at"])?;
    // The field's name depends on the version. A value under the other name is
    // refused: a token for no account is not what its sender meant.
    if fields.text(other)?.value().is_some() {
        return Err(Refusal::param(other, "is not known to this version"));
    }
    let account = fields.text(account)?.value();
    if let Some(id) = account {
        visible(world, ask, id)?;
    }
    let user = fields.text("user_id")?.value();
    if account.is_none() && user.is_none() {
        return Err(Refusal::invalid("Pass account_id or user_id"));
    }
    if let Some(id) = user {
        let user = find(world, id)?;
        if !world.is_owner(user.seq, ask.platform()?) {
            return Err(Refusal::not_found());
        }
    }
    for action in fields.list("scoped_actions")?.value().into_iter().flatten() {
        let action = action.as_str();
        let action = action.ok_or_else(|| Refusal::param("scoped_actions", "must hold strings"))?;
        ask.caller.needs(&[action])?;
    }
    let expires = expires(fields.text("expires_at")?.value(), ask.look.now)?;
    let header = base64(br#"{"alg":"none","typ":"JWT"}"#);
    let claims: Value = json!({ "sub": user, "exp": expires / 1_000, "iss": "emulator" });
    let claims = base64(claims.to_string().as_bytes());
    let signature = fingerprint(&[claims.as_bytes()]);
    Ok(Answer::ok(json!({
        "token": format!("{header}.{claims}.{signature}"),
        "expires_at": stamp(expires),
    })))
}

/// When the token ends: in an hour unless asked, and in three at most.
fn expires(asked: Option<&str>, now: u64) -> Result<u64, Refusal> {
    let Some(text) = asked else {
        return Ok(now + HOUR);
    };
    let asked = parse_stamp(text).filter(|at| (now + 1..=now + 3 * HOUR).contains(at));
    asked.ok_or_else(|| Refusal::param("expires_at", "must be a moment within three hours"))
}
