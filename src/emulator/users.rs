//! Users: the global profile, and what one account shows instead
//! ([users](crate::whop_api#users)).
//!
//! The two are kept in different records and meet only when a profile is
//! shown, so a test can tell which of them a request has touched.

use super::accounts::visible;
use super::context::{Answer, Ask};
use super::files::{PICTURE_BYTES, is_picture};
use super::records::{Effect, Override, Status, User};
use super::refusal::Refusal;
use super::request::{Fields, Sent};
use super::state::World;

/// The longest name, in characters: documented for legacy, assumed for current.
const NAME: usize = 100;

/// `GET /users/{id}`, by id or username. Needs neither a scope nor a key:
/// profiles are public.
pub(super) fn retrieve(world: &World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    // Each generation knows its own parameter only; the other's is ignored and
    // the global profile comes back.
    let name = if ask.look.version.is_legacy() {
        "company_id"
    } else {
        "account_id"
    };
    let user = find(world, ask.id)?;
    let shown = match ask.query.get(name) {
        None => Override::default(),
        Some(id) if ask.caller.is_anybody() => {
            let account = world.account_by_id(id).ok_or_else(Refusal::not_found)?;
            world.shown(user.seq, account.seq)
        }
        Some(id) => world.shown(user.seq, account_of(world, ask, id)?),
    };
    Ok(Answer::ok(ask.look.user(user, &shown)))
}

/// `PATCH /users/{id}`. Only fields that are present change.
///
/// No source lists what failures look like; assumed are 400 for a bad value or
/// a missing account, 403 for a missing scope, somebody else's account or
/// somebody who owns nothing below the platform, and 404 for no such user.
pub(super) fn update(world: &mut World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    ask.caller.needs(&["user:profile:update"])?;
    let fields = ask.fields()?;
    let account = if ask.look.version.is_legacy() {
        ask.only(&["company_id", "name", "profile_picture"])?;
        fields.not_empty()?;
        // The trap: without it, the person's global profile is edited.
        fields.text("company_id")?.value()
    } else {
        if ask.look.documented && fields.has("company_id") {
            return Err(Refusal::param(
                "company_id",
                "is not known here; send account_id in the query",
            ));
        }
        ask.only(&["name", "profile_picture"])?;
        fields.not_empty()?;
        Some(
            ask.query
                .get("account_id")
                .ok_or_else(|| Refusal::missing("account_id"))?,
        )
    };
    let account = match account {
        None => None,
        Some(id) => Some(account_of(world, ask, id)?),
    };
    let user = find(world, ask.id)?.clone();
    if !world.is_owner(user.seq, ask.platform()?) {
        return Err(Refusal::forbidden(
            "This user has nothing to do with the key's account",
        ));
    }
    let name = name(fields)?;
    let picture = picture(world, ask, fields)?;
    if !ask.look.version.is_legacy() && (name == Sent::Null || picture == Sent::Null) {
        // The current schema has no null, and nothing says how to clear.
        return Err(Refusal::invalid("An override cannot be cleared with null"));
    }
    Ok(Answer::ok(set(world, ask, user, account, name, picture)))
}

/// Sets what was sent, for one account or globally, and shows the result.
fn set(
    world: &mut World,
    ask: &Ask<'_>,
    mut user: User,
    account: Option<u64>,
    name: Sent<String>,
    picture: Sent<String>,
) -> serde_json::Value {
    let Some(account) = account else {
        replace(&mut user.name, name);
        replace(&mut user.picture, picture);
        let body = ask.look.user(&user, &Override::default());
        world.change(Effect::User(user));
        return body;
    };
    let mut shown = world.shown(user.seq, account);
    replace(&mut shown.name, name);
    replace(&mut shown.picture, picture);
    let body = ask.look.user(&user, &shown);
    world.change(Effect::Override(user.seq, account, shown));
    body
}

/// Applies one sent field to what it sets.
fn replace(value: &mut Option<String>, sent: Sent<String>) {
    match sent {
        Sent::Absent => {}
        Sent::Null => *value = None,
        Sent::Value(new) => *value = Some(new),
    }
}

/// The user of this id or username. `me` is for user tokens: a key has none.
pub(super) fn find<'a>(world: &'a World, name: &str) -> Result<&'a User, Refusal> {
    let user = world.user_by_name(name).filter(|_| name != "me");
    user.ok_or_else(Refusal::not_found)
}

/// The number of the account whose view is meant. A child's id is taken too,
/// as a key may act for its children: a client that mixes the two up sets an
/// override that nobody sees. Anybody else's is 403 and not 404, which here
/// means that there is no such user.
fn account_of(world: &World, ask: &Ask<'_>, id: &str) -> Result<u64, Refusal> {
    let account = visible(world, ask, id).map_err(|_| Refusal::relation())?;
    if account.id != id {
        return Err(Refusal::relation());
    }
    Ok(account.seq)
}

/// The body's name, trimmed: 1 to 100 characters are left (assumed).
fn name(fields: &Fields) -> Result<Sent<String>, Refusal> {
    let sent = match fields.text("name")? {
        Sent::Value(name) => Sent::Value(name.trim().to_owned()),
        Sent::Null => Sent::Null,
        Sent::Absent => Sent::Absent,
    };
    sent.check(
        "name",
        |name| (1..=NAME).contains(&name.chars().count()),
        "must be 1 to 100 characters long",
    )
}

/// The body's picture: a ready file of the same credential, of a kind and size
/// that a picture may have. Returns the file's id. A file that is not ready is
/// assumed to be refused; a silent no-op would hide a client's mistake.
fn picture(world: &World, ask: &Ask<'_>, fields: &Fields) -> Result<Sent<String>, Refusal> {
    let picture = match fields.object("profile_picture")? {
        Sent::Absent => return Ok(Sent::Absent),
        Sent::Null => return Ok(Sent::Null),
        Sent::Value(object) => Fields::inner(object),
    };
    picture.only(&["id"])?;
    let id = picture.text("id")?.not_null("profile_picture.id")?;
    let id = id.ok_or_else(|| Refusal::missing("profile_picture.id"))?;
    let file = world.file(id);
    let Some(file) = file.filter(|file| file.credential == ask.caller.credential) else {
        return Err(Refusal::param("profile_picture.id", "is not a file of this key"));
    };
    if file.status(ask.look.now) != Status::Ready {
        return Err(Refusal::param("profile_picture.id", "is not ready"));
    }
    let size = file.content.as_ref().map_or(0, |content| content.size);
    if !is_picture(file) || size > PICTURE_BYTES {
        return Err(Refusal::param(
            "profile_picture.id",
            "must be a PNG, JPEG, GIF or WebP of at most 5 MB",
        ));
    }
    Ok(Sent::Value(id.to_owned()))
}
