//! From an authenticated request to its answer: which function carries out
//! which operation.

use super::accounts;
use super::companies;
use super::context::{Answer, Ask};
use super::files;
use super::operation::Operation;
use super::permissions;
use super::refusal::Refusal;
use super::request::{Fields, Query};
use super::state::World;
use super::tokens;
use super::users;

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
        Op::ListPermissions => permissions::list(world, ask),
        Op::ListScopes => Ok(permissions::list_scopes()),
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
