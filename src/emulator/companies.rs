//! Companies, legacy generation ([companies](crate::whop_api#companies)): the same accounts, told
//! with neither email nor parent, and hardly changeable.

use super::accounts::{self, Made, NewAccount, PAGE, child, metadata, visible};
use super::context::{Answer, Ask};
use super::ids::is_id;
use super::paging::Page;
use super::records::{Account, Effect};
use super::refusal::Refusal;
use super::request::Sent;
use super::state::World;

/// `POST /companies`. Needs the scope to create and `company:basic:read`.
/// Answers 200, not 201.
///
/// Always a new one: nothing says that the same address
/// comes back to an existing company, so a repeat makes a second.
pub(super) fn create(world: &mut World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    ask.caller.needs_create()?;
    ask.caller.needs(&["company:basic:read"])?;
    let fields = ask.fields()?;
    ask.only(&[
        "title",
        "email",
        "parent_company_id",
        "metadata",
        "description",
        "country",
        "send_customer_emails",
    ])?;
    let title = fields
        .text("title")?
        .check("title", |title| !title.is_empty(), "must not be empty")?;
    let title = title.value().ok_or_else(|| Refusal::missing("title"))?;
    let email = fields.text("email")?.value();
    if let Some(email) = email {
        accounts::check_email(email, &ask.settings.undeliverable)?;
    }
    // Lower case here, either case in the current generation.
    let lower = |text: &&str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_lowercase());
    let country = fields
        .text("country")?
        .check("country", lower, "must be two lower-case letters")?;
    let platform = ask.platform()?;
    let parent = fields.text("parent_company_id")?.value();
    if let Some(parent) = parent {
        if !is_id(parent, "biz_") {
            return Err(Refusal::param("parent_company_id", "must be a company id"));
        }
        let known = visible(world, ask, parent).map_err(|_| Refusal::relation())?;
        if known.seq != platform {
            return Err(Refusal::forbidden("A connected account cannot have children"));
        }
        if email.is_none() {
            return Err(Refusal::missing("email"));
        }
    }
    let new = NewAccount {
        // Without a parent it is the key's own user's, whatever the address.
        email: email.filter(|_| parent.is_some()).map(str::to_owned),
        title: Some(title.to_owned()),
        metadata: metadata(fields)?.value().cloned().unwrap_or_default(),
        country: country.value().map(str::to_uppercase),
        description: fields.text("description")?.value().map(str::to_owned),
        send_customer_emails: fields.flag("send_customer_emails")?.value().unwrap_or_default(),
        ..NewAccount::default()
    };
    let seq = accounts::make(world, platform, new, ask.look.now, ask.look.documented);
    let company = world.account(seq).ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(ask.look.company(world, company)))
}

/// `GET /companies`. Largest page 50 and newest first: both assumed, as the
/// older reference states neither.
pub(super) fn list(world: &World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    ask.caller.needs(&["company:basic:read"])?;
    let query = ask.query;
    let descending = query.word("direction", &["asc", "desc"])? != Some("asc");
    let page = Page::read(query, PAGE, descending)?;
    let made = Made::read(query)?;
    let parent = match query.get("parent_company_id") {
        None => None,
        Some(id) if !is_id(id, "biz_") => {
            return Err(Refusal::param("parent_company_id", "must be a company id"));
        }
        Some(id) => Some(visible(world, ask, id).map_err(|_| Refusal::relation())?.seq),
    };
    // Without a parent the key's own companies are listed instead.
    let fits = |account: &Account| {
        let related = match parent {
            Some(parent) => account.child && account.platform == parent,
            None => !account.child,
        };
        related && made.fits(account.created_at, ask)
    };
    let nothing = std::collections::BTreeSet::new();
    let places = world.visible(ask.platform()?).unwrap_or(&nothing);
    let fits = |(_, seq)| world.account(seq).is_some_and(fits);
    let cut = page.shifted(places, fits, ask.twist.shift);
    let show = |(_, seq)| world.account(seq).map(|a| ask.look.company(world, a));
    Ok(Answer::ok(cut.json(ask.look.documented, show)))
}

/// `GET /companies/{id}`, by id or route.
pub(super) fn retrieve(world: &World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    ask.caller.needs(&["company:basic:read"])?;
    let company = visible(world, ask, ask.id)?;
    Ok(Answer::ok(ask.look.company(world, company)))
}

/// `PATCH /companies/{id}`. Neither email nor metadata can be changed, so a
/// company made without its platform's id in the metadata stays without.
pub(super) fn update(world: &mut World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    ask.caller.needs(&["company:update", "company:basic:read"])?;
    let fields = ask.fields()?;
    ask.only(&["title", "description", "send_customer_emails"])?;
    fields.not_empty()?;
    let mut company = child(world, ask, ask.id)?.clone();
    match fields.text("title")? {
        Sent::Absent => {}
        Sent::Null | Sent::Value("") => company.title = company.default_title(),
        Sent::Value(title) => company.title = title.to_owned(),
    }
    match fields.text("description")? {
        Sent::Absent => {}
        Sent::Null => company.description = None,
        Sent::Value(text) => company.description = Some(text.to_owned()),
    }
    if let Some(mails) = fields.flag("send_customer_emails")?.value() {
        company.send_customer_emails = mails;
    }
    company.updated_at = ask.look.now;
    let body = ask.look.company(world, &company);
    world.change(Effect::Account(company));
    Ok(Answer::ok(body))
}
