//! Accounts, current generation ([accounts](crate::whop_api#accounts)).
//!
//! A key sees its platform and everything below it, and nothing else: another
//! platform's account is 404, as if it did not exist. It may change its
//! children, and never its own account.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::clock::parse_stamp;
use super::context::{Answer, Ask};
use super::ids::is_id;
use super::paging::Page;
use super::records::{Account, Effect, User};
use super::refusal::Refusal;
use super::request::{Fields, Query, Sent};
use super::state::{World, fold};

/// The most metadata an account takes, in bytes of JSON. Whop names no limit;
/// this is the one that the page on Whop's API assumes ([accounts](crate::whop_api#accounts)).
const METADATA_BYTES: usize = 16 * 1024;

/// The largest page ([accounts](crate::whop_api#accounts)).
pub(super) const PAGE: usize = 50;

/// What a new account is made from.
#[derive(Clone, Debug, Default)]
pub(super) struct NewAccount {
    /// The owner's address; `None` makes a further company of the platform's
    /// own user.
    pub(super) email: Option<String>,
    /// The title; `None` takes the external id, else the address.
    pub(super) title: Option<String>,
    /// A free map.
    pub(super) metadata: Map<String, Value>,
    /// The newest guide's field.
    pub(super) external_id: Option<String>,
    /// `None` takes the platform's.
    pub(super) country: Option<String>,
    /// A URL.
    pub(super) website: Option<String>,
    /// Legacy only.
    pub(super) description: Option<String>,
    /// Whether the account's customers are mailed.
    pub(super) send_customer_emails: bool,
}

/// Makes an account and, where the address has no user yet, its owner: accounts
/// of one address share one user. As recorded, a new owner has no name and the
/// account's route is its id; as documented, both are made of the title.
pub(super) fn make(world: &mut World, platform: u64, new: NewAccount, now: u64, documented: bool) -> u64 {
    // One number ahead: the owner, made below if need be, takes the next one.
    let (seq, id) = world.fresh_id("biz_", 1);
    let parent = world.account(platform);
    let country = parent.and_then(|parent| parent.country.clone());
    let platform_owner = parent.map(|parent| parent.owner);
    let mut account = Account {
        seq,
        route: String::new(),
        platform,
        child: new.email.is_some(),
        owner: 0,
        title: String::new(),
        metadata: new.metadata.into(),
        external_id: new.external_id,
        country: new.country.or(country),
        website: new.website,
        description: new.description,
        send_customer_emails: new.send_customer_emails,
        suspended: false,
        created_at: now,
        updated_at: now,
        email: new.email,
        id,
    };
    account.title = new.title.unwrap_or_else(|| account.default_title());
    account.route = match documented {
        true => world.free_route(&account.title, &account.id),
        false => account.id.clone(),
    };
    account.owner = match (&account.email, platform_owner) {
        (Some(email), _) => match world.user_by_email(email) {
            Some(user) => user.seq,
            None => {
                let name = documented.then_some(account.title.as_str());
                invite(world, email, name, now)
            }
        },
        (None, owner) => owner.unwrap_or_default(),
    };
    world.change(Effect::Account(account));
    seq
}

/// Makes the user of a new address. The name is global: no later title or
/// override changes it. Without a name the username is made of the address's
/// local part, without digits and `+`.
pub(super) fn invite(world: &mut World, email: &str, name: Option<&str>, now: u64) -> u64 {
    let (seq, id) = world.fresh_id("user_", 0);
    let local = email.split('@').next().unwrap_or_default();
    let called = match name {
        Some(name) => name.to_owned(),
        None => local.replace(|c: char| c.is_ascii_digit() || c == '+', ""),
    };
    world.change(Effect::User(User {
        seq,
        username: world.free_username(&called, &id),
        id,
        name: name.map(str::to_owned),
        picture: None,
        email: Some(fold(email)),
        created_at: now,
    }));
    seq
}

/// `POST /accounts`. The parent is the key's own platform; there is no field
/// for it, and one that is sent is treated like any unlisted field.
///
/// 201 with a new account or with the one it comes back to (as documented, 200
/// with the latter), 400 for a value that cannot be taken, 403 without a scope
/// to create, 409 where the newest guide's `external_id` belongs to another
/// address.
pub(super) fn create(world: &mut World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    ask.caller.needs_create()?;
    let fields = ask.fields()?;
    only(
        ask,
        &[
            "email",
            "title",
            "metadata",
            "country",
            "send_customer_emails",
            "website",
        ],
    )?;
    let email = fields
        .text("email")?
        .not_null("email")?
        .ok_or_else(|| Refusal::missing("email"))?;
    check_email(email, &ask.settings.undeliverable)?;
    let title = fields
        .text("title")?
        .check("title", |title| !title.is_empty(), "must not be empty")?;
    let external = fields
        .text("external_id")?
        .check("external_id", fits_external, BAD_EXTERNAL)?;
    let new = NewAccount {
        email: Some(email.to_owned()),
        title: title.not_null("title")?.map(str::to_owned),
        metadata: metadata(fields)?
            .not_null("metadata")?
            .cloned()
            .unwrap_or_default(),
        external_id: external.not_null("external_id")?.map(str::to_owned),
        country: country(fields)?.not_null("country")?.map(str::to_uppercase),
        website: website(fields)?.value().map(str::to_owned),
        description: None,
        send_customer_emails: fields
            .flag("send_customer_emails")?
            .not_null("send_customer_emails")?
            .unwrap_or_default(),
    };
    let platform = ask.platform()?;
    if let Some(existing) = existing(world, platform, email, &new)? {
        let shape = ask.look.written_account(world, existing);
        return Ok(match ask.look.documented {
            true => Answer::ok(shape),
            false => Answer::created(shape),
        });
    }
    let seq = make(world, platform, new, ask.look.now, ask.look.documented);
    let account = world.account(seq).ok_or_else(Refusal::not_found)?;
    Ok(Answer::created(ask.look.written_account(world, account)))
}

/// The account that a create comes back to, by the table of [accounts](crate::whop_api#accounts):
/// same address and same external id; or same address and neither has one.
/// An external id in use by another address is a conflict only in the field of
/// its own; in metadata it is assumed to make a second account. Of several that
/// fit, the oldest.
fn existing<'a>(
    world: &'a World,
    platform: u64,
    email: &str,
    new: &NewAccount,
) -> Result<Option<&'a Account>, Refusal> {
    let in_metadata = new.metadata.get("external_id").and_then(Value::as_str);
    let Some(external) = new.external_id.as_deref().or(in_metadata) else {
        let mut same_email = world.with_email(platform, email).filter(|a| a.child);
        return Ok(same_email.find(|account| account.external().is_none()));
    };
    let in_use = || world.with_external(platform, external).filter(|a| a.child);
    let same = |account: &&Account| account.email.as_deref().map(fold) == Some(fold(email));
    if let Some(account) = in_use().find(same) {
        return Ok(Some(account));
    }
    if new.external_id.is_some() && in_use().next().is_some() {
        return Err(Refusal::conflict("This external_id belongs to another account"));
    }
    Ok(None)
}

/// `GET /accounts`. With a parent its direct children; without one the platform
/// itself too, which a client must not take for a user ([traps](crate::whop_api#traps)).
///
/// `order=volume` gives the order of creation: nothing here ever sells.
/// Unknown parameters are ignored, so a misspelt parent lists everything.
pub(super) fn list(world: &World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let query = ask.query;
    query.word("order", &["created_at", "volume"])?;
    let descending = query.word("direction", &["asc", "desc"])? != Some("asc");
    let page = Page::read(query, PAGE, descending)?;
    let status = query.word("status", &["active", "suspended"])?;
    let made = Made::read(query)?;
    let text = query.get("query").map(str::to_lowercase);
    let parent = match query.get("parent_account_id") {
        None => None,
        Some(id) if !is_id(id, "biz_") => {
            return Err(Refusal::param("parent_account_id", "must be an account id"));
        }
        Some(id) => {
            ask.caller.needs(&["payout:account:read"])?;
            // A parent that the key does not see is a missing relation, not a
            // missing page.
            Some(visible(world, ask, id).map_err(|_| Refusal::relation())?.seq)
        }
    };
    let owner = query.get("owner_id").filter(|_| ask.look.version.filters_owner());
    if owner.is_some_and(|id| !is_id(id, "user_")) {
        return Err(Refusal::param("owner_id", "must be a user id"));
    }
    if owner.is_some() && parent.is_some() {
        return Err(Refusal::param(
            "owner_id",
            "cannot be sent together with parent_account_id",
        ));
    }
    let owner = owner.map(|id| world.user_by_name(id).map(|user| user.seq));
    let external = query
        .get("external_id")
        .filter(|_| ask.look.version.has_external_id());
    // As documented, a trailing `%` asks for every id that begins so.
    let beginning = external.filter(|_| ask.look.documented);
    let beginning = beginning.and_then(|external| external.strip_suffix('%'));
    let called = |account: &Account| match (external, beginning, &account.external_id) {
        (None, ..) => true,
        (_, Some(beginning), Some(id)) => id.starts_with(beginning),
        (external, None, id) => external == id.as_deref(),
        (_, Some(_), None) => false,
    };
    let platform = ask.platform()?;
    let fits = |account: &Account| {
        // A child has no children of its own, so its list is empty.
        let related = match parent {
            Some(parent) => account.child && account.platform == parent,
            None => account.child || account.seq == platform,
        };
        related
            && status.is_none_or(|status| (status == "suspended") == account.suspended)
            && made.fits(account.created_at, ask)
            && owner.is_none_or(|owner| owner == Some(account.owner))
            && called(account)
            && text.as_deref().is_none_or(|text| {
                account.title.to_lowercase().contains(text) || account.id.to_lowercase().contains(text)
            })
    };
    let mut listed = listed(world, ask, &page, fits, |account| {
        ask.look.account(world, account)
    })?;
    if !ask.look.documented {
        // Whop advertises in its lists.
        listed["recommended_action"] = json!({ "label": "Grow with ads", "url": null });
    }
    Ok(Answer::ok(listed))
}

/// A page of the accounts that the key sees and that fit.
fn listed(
    world: &World,
    ask: &Ask<'_>,
    page: &Page,
    fits: impl Fn(&Account) -> bool,
    show: impl Fn(&Account) -> Value,
) -> Result<Value, Refusal> {
    let nothing = BTreeSet::new();
    let places = world.visible(ask.platform()?).unwrap_or(&nothing);
    let fits = |(_, seq)| world.account(seq).is_some_and(&fits);
    let cut = page.shifted(places, fits, ask.twist.shift);
    Ok(cut.json(ask.look.documented, |(_, seq)| world.account(seq).map(&show)))
}

/// `GET /accounts/search`: accounts by a part of their title, newest first, in
/// few words.
pub(super) fn search(world: &World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let query = ask.query;
    query.word("order", &["created_at"])?;
    let descending = query.word("direction", &["asc", "desc"])? != Some("asc");
    let page = Page::read(query, PAGE, descending)?;
    let title = query.get("query").filter(|title| !title.is_empty());
    let title = title.ok_or_else(|| Refusal::missing("query"))?.to_lowercase();
    let fits = |account: &Account| account.title.to_lowercase().contains(&title);
    listed(world, ask, &page, fits, |account| ask.look.found(account)).map(Answer::ok)
}

/// `created_after` and `created_before`.
pub(super) struct Made {
    after: Option<u64>,
    before: Option<u64>,
}

impl Made {
    /// Reads both.
    pub(super) fn read(query: &Query) -> Result<Self, Refusal> {
        let read = |name: &str| match query.get(name) {
            None => Ok(None),
            Some(text) => match parse_stamp(text) {
                Some(millis) => Ok(Some(millis)),
                None => Err(Refusal::param(name, "must be an ISO 8601 moment")),
            },
        };
        Ok(Self {
            after: read("created_after")?,
            before: read("created_before")?,
        })
    }

    /// Whether something made at this moment is to be listed; a stale list
    /// does not know yet what is new.
    pub(super) fn fits(&self, at: u64, ask: &Ask<'_>) -> bool {
        let stale = ask.twist.stale;
        self.after.is_none_or(|after| at > after)
            && self.before.is_none_or(|before| at < before)
            && (stale == 0 || at + stale <= ask.look.now)
    }
}

/// `GET /accounts/{id}`, by id or route.
pub(super) fn retrieve(world: &World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    ask.caller.needs(&["company:balance:read"])?;
    let account = visible(world, ask, ask.id)?;
    Ok(Answer::ok(ask.look.account(world, account)))
}

/// `GET /accounts/me`. A 403 says only that the balance scope is missing; the
/// key is valid all the same.
pub(super) fn own(world: &World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    ask.caller.needs(&["company:balance:read"])?;
    let platform = world.account(ask.platform()?);
    let platform = platform.ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(ask.look.account(world, platform)))
}

/// `PATCH /accounts/{id}`. Metadata is replaced as a whole: the assumption of
/// [accounts](crate::whop_api#accounts), and the one under which a careless client loses keys.
/// Email and owner cannot be changed; they are unlisted fields here.
///
/// An empty or null title falls back to what a create without one would have
/// taken: no source says, and a refusal would be stricter than the schema.
pub(super) fn update(world: &mut World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    ask.caller.needs(&["company:update"])?;
    let fields = ask.fields()?;
    only(
        ask,
        &["title", "metadata", "country", "send_customer_emails", "website"],
    )?;
    fields.not_empty()?;
    let mut account = child(world, ask, ask.id)?.clone();
    if let Some(metadata) = metadata(fields)?.not_null("metadata")? {
        account.metadata = metadata.clone().into();
    }
    match fields
        .text("external_id")?
        .check("external_id", fits_external, BAD_EXTERNAL)?
    {
        Sent::Absent => {}
        Sent::Null => account.external_id = None,
        Sent::Value(external) => {
            let mut others = world.with_external(account.platform, external);
            if others.any(|other| other.seq != account.seq) {
                return Err(Refusal::conflict("This external_id belongs to another account"));
            }
            account.external_id = Some(external.to_owned());
        }
    }
    match fields.text("title")? {
        Sent::Absent => {}
        Sent::Null | Sent::Value("") => account.title = account.default_title(),
        Sent::Value(title) => account.title = title.to_owned(),
    }
    match country(fields)? {
        Sent::Absent => {}
        Sent::Null => {
            let parent = world.account(account.platform);
            account.country = parent.and_then(|parent| parent.country.clone());
        }
        Sent::Value(country) => account.country = Some(country.to_uppercase()),
    }
    match website(fields)? {
        Sent::Absent => {}
        Sent::Null => account.website = None,
        Sent::Value(website) => account.website = Some(website.to_owned()),
    }
    let mails = fields.flag("send_customer_emails")?;
    if let Some(mails) = mails.not_null("send_customer_emails")? {
        account.send_customer_emails = mails;
    }
    account.updated_at = ask.look.now;
    let body = ask.look.written_account(world, &account);
    world.change(Effect::Account(account));
    Ok(Answer::ok(body))
}

/// `DELETE /accounts/{id}`. The owner's user stays, and so do its other
/// accounts; overrides that the account showed are gone with it. The id stops
/// resolving at once ([traps](crate::whop_api#traps)). Nothing here has a balance, so none refuses.
pub(super) fn delete(world: &mut World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    if !ask.look.version.deletes() {
        return Err(Refusal::not_found());
    }
    ask.caller.needs(&["company:delete_child"])?;
    let account = child(world, ask, ask.id)?;
    let (seq, id) = (account.seq, account.id.clone());
    world.change(Effect::AccountGone(seq));
    Ok(Answer::ok(json!({ "id": id, "deleted": true })))
}

/// `POST /accounts/{id}/suspend`. There is no way back. One that is suspended
/// already stays so.
pub(super) fn suspend(world: &mut World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    ask.caller.needs(&["company:suspend_child"])?;
    let mut account = child(world, ask, ask.id)?.clone();
    account.suspended = true;
    account.updated_at = ask.look.now;
    let body = ask.look.account(world, &account);
    world.change(Effect::Account(account));
    Ok(Answer::ok(body))
}

/// The account of this id or route, if the key sees it.
pub(super) fn visible<'a>(world: &'a World, ask: &Ask<'_>, name: &str) -> Result<&'a Account, Refusal> {
    let platform = ask.platform()?;
    let account = world.account_by_name(name);
    account
        .filter(|account| account.platform == platform)
        .ok_or_else(Refusal::not_found)
}

/// The child account of this id or route: a key can edit those, and never its
/// own account.
pub(super) fn child<'a>(world: &'a World, ask: &Ask<'_>, name: &str) -> Result<&'a Account, Refusal> {
    let own = Refusal::forbidden("A key cannot edit its own account");
    if name == "me" {
        return Err(own);
    }
    let account = visible(world, ask, name)?;
    if account.child { Ok(account) } else { Err(own) }
}

/// As documented, refuses fields besides these and, where the version has it,
/// `external_id`.
fn only(ask: &Ask<'_>, listed: &[&str]) -> Result<(), Refusal> {
    let mut allowed = listed.to_vec();
    if ask.look.version.has_external_id() {
        allowed.push("external_id");
    }
    ask.only(&allowed)
}

/// The newest guide's rule for its own field; `metadata.external_id` is free.
const BAD_EXTERNAL: &str = "must not be empty or contain %";

fn fits_external(text: &&str) -> bool {
    !text.is_empty() && !text.contains('%')
}

/// Refuses what no mail system takes, and the domains that are set to be
/// undeliverable. What lies between the two is left to chance by Whop as well:
/// it alone knows whether mail arrives.
pub(super) fn check_email(email: &str, undeliverable: &[String]) -> Result<(), Refusal> {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    let parts = email.rsplit_once('@').filter(|(local, domain)| {
        let labels_are_fine = domain.split('.').all(|label| !label.is_empty());
        !local.is_empty() && !local.contains('@') && domain.contains('.') && labels_are_fine
    });
    let Some((_, domain)) = parts.filter(|_| !email.contains(odd) && email.len() <= 254) else {
        return Err(Refusal::param("email", "is not an email address"));
    };
    let domain = domain.to_lowercase();
    let refused = undeliverable.iter().any(|refused| {
        let rest = domain.strip_suffix(refused.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    });
    if refused {
        return Err(Refusal::invalid(
            "The email you provided does not accept incoming mail",
        ));
    }
    Ok(())
}

/// The body's metadata, within its size.
pub(super) fn metadata(fields: &Fields) -> Result<Sent<&Map<String, Value>>, Refusal> {
    let fits =
        |map: &&Map<String, Value>| serde_json::to_vec(map).is_ok_and(|json| json.len() < METADATA_BYTES);
    fields
        .object("metadata")?
        .check("metadata", fits, "must be smaller than 16 KB")
}

/// The body's country: ISO alpha-2 in either case.
fn country(fields: &Fields) -> Result<Sent<&str>, Refusal> {
    let two_letters = |text: &&str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
    fields
        .text("country")?
        .check("country", two_letters, "must be two letters")
}

/// The body's website. Its length is documented, its form is not.
fn website(fields: &Fields) -> Result<Sent<&str>, Refusal> {
    fields.text("website")?.check(
        "website",
        |url| url.chars().count() <= 255,
        "must be at most 255 characters long",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_some_domains_bounce() {
        let bounce = ["bounce.test".to_owned()];
        for fine in ["a@example.com", "a@b.c", "a+b@unbounce.test"] {
            assert_eq!(check_email(fine, &bounce), Ok(()), "{fine}");
        }
        for bad in [
            "",
            "a",
            "a@b",
            "@b.c",
            "a@b..c",
            "a b@c.d",
            "a@b@c.d",
            "a@bounce.test",
            "a@x.Bounce.test",
        ] {
            assert_eq!(check_email(bad, &bounce).map_err(|r| r.status), Err(400), "{bad}");
        }
    }
}
