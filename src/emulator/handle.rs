//! From an authenticated request to its answer: what an operation is given,
//! what it gives back, and which function does it.

use serde_json::Value;

use super::accounts;
use super::answers::Look;
use super::companies;
use super::files;
use super::keys::{self, Caller};
use super::operation::Operation;
use super::records::Fate;
use super::refusal::Refusal;
use super::request::{Fields, Query};
use super::scopes;
use super::settings::Settings;
use super::state::World;
use super::tokens;
use super::users;

/// What one operation is asked, and by whom.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    /// The operation.
    pub(super) operation: Operation,
    /// The id in the path; empty for none.
    pub(super) id: &'a str,
    /// The query.
    pub(super) query: &'a Query,
    /// The body, or why it has none.
    pub(super) body: Result<Fields, Refusal>,
    /// Who asks.
    pub(super) caller: &'a Caller,
    /// The number of the caller's platform.
    pub(super) platform: Option<u64>,
    /// How answers look.
    pub(super) look: Look<'a>,
    /// The emulator's settings.
    pub(super) settings: &'a Settings,
    /// What faults change about it.
    pub(super) twist: &'a Twist,
}

/// What faults change about an operation that is otherwise carried out.
#[derive(Clone, Debug, Default)]
pub(super) struct Twist {
    /// Lists leave out what was made in so many last milliseconds.
    pub(super) stale: u64,
    /// How the page of a list is out of place.
    pub(super) shift: Shift,
    /// Whether a list gets one more account once it is answered.
    pub(super) grows: bool,
    /// What becomes of the file made or filled.
    pub(super) fate: Fate,
    /// The upload URL made is already too old.
    pub(super) expired: bool,
}

/// How the page of a list is out of place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shift {
    /// Not at all.
    #[default]
    None,
    /// So many of its first entries are left out.
    Skip(usize),
    /// So many of the entries before it come again.
    Repeat(usize),
}

/// A successful answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// HTTP status.
    pub(super) status: u16,
    /// JSON body.
    pub(super) body: Value,
}

impl Answer {
    /// 200
    pub(super) fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    /// 201
    pub(super) fn created(body: Value) -> Self {
        Self { status: 201, body }
    }
}

impl Ask<'_> {
    /// The body's fields.
    pub(super) fn fields(&self) -> Result<&Fields, Refusal> {
        self.body.as_ref().map_err(Clone::clone)
    }

    /// As documented, refuses fields that are not listed; as recorded, they are
    /// ignored.
    pub(super) fn only(&self, listed: &[&str]) -> Result<(), Refusal> {
        match self.look.documented {
            true => self.fields()?.only(listed),
            false => Ok(()),
        }
    }

    /// The caller's platform.
    pub(super) fn platform(&self) -> Result<u64, Refusal> {
        self.platform.ok_or_else(Refusal::not_found)
    }
}

/// Carries out an operation. Every refusal comes before the first change.
pub(super) fn carry_out(world: &mut World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    use Operation as Op;
    match ask.operation {
        Op::ListAccounts => accounts::list(world, ask),
        Op::CreateAccount => accounts::create(world, ask),
        Op::RetrieveAccount => accounts::retrieve(world, ask),
        Op::OwnAccount => accounts::own(world, ask),
        Op::UpdateAccount => accounts::update(world, ask),
        Op::DeleteAccount => accounts::delete(world, ask),
        Op::SuspendAccount => accounts::suspend(world, ask),
        Op::SearchAccounts => accounts::search(world, ask),
        Op::ListCompanies => companies::list(world, ask),
        Op::CreateCompany => companies::create(world, ask),
        Op::RetrieveCompany => companies::retrieve(world, ask),
        Op::UpdateCompany => companies::update(world, ask),
        Op::RetrieveUser => users::retrieve(world, ask),
        Op::UpdateUser => users::update(world, ask),
        Op::CreateFile => files::create(world, ask),
        Op::ListFiles => files::list(world, ask),
        Op::RetrieveFile => files::retrieve(world, ask),
        Op::CompleteFile => files::complete(world, ask),
        Op::ListPermissions => keys::list_permissions(world, ask),
        Op::ListScopes => Ok(scopes::list()),
        Op::CreateAccessToken => tokens::create(world, ask),
        // Storage is no part of the API and never comes here.
        Op::UploadFile => Err(Refusal::not_found()),
    }
}

/// Whether an operation acts for the caller's platform even if the request
/// mentions none.
pub(super) fn needs_platform(operation: Operation) -> bool {
    use Operation as Op;
    !matches!(
        operation,
        Op::CreateFile
            | Op::ListFiles
            | Op::RetrieveFile
            | Op::CompleteFile
            | Op::RetrieveUser
            | Op::ListPermissions
            | Op::ListScopes
    )
}

/// The account that a request mentions as its platform, for a key that has
/// none yet.
pub(super) fn mention<'a>(
    operation: Operation,
    id: &'a str,
    query: &'a Query,
    body: &'a Result<Fields, Refusal>,
) -> Option<&'a str> {
    use Operation as Op;
    if matches!(operation, Op::RetrieveAccount | Op::RetrieveCompany) {
        return Some(id);
    }
    let names = [
        "parent_account_id",
        "parent_company_id",
        "account_id",
        "company_id",
        "resource_id",
    ];
    let in_query = names.iter().find_map(|name| query.get(name));
    in_query.or_else(|| {
        let body = body.as_ref().ok()?;
        let mut sent = names.iter().filter_map(|name| body.text(name).ok()?.value());
        sent.next()
    })
}
