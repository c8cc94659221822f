//! Drift as a JSON document.

use serde::Serialize;

use super::super::Header;
use super::document::{Each, Parts};
use crate::core::drift::{Drift, FieldDrift, NewAccount, Others, State, UserDrift};
use crate::core::plan::{Cause, Reads};
use crate::core::value::{AccountId, UserId, UserKey};

#[derive(Serialize)]
pub(super) struct DriftDoc<'a> {
    company: &'a str,
    server: &'a str,
    api_version: &'a str,
    drift: bool,
    partial: bool,
    complete: bool,
    summary: SummaryDoc,
    reads: Reads,
    users: Parts<'a, UserDrift, UserDoc<'a>>,
    unknown: Parts<'a, NewAccount, UnknownDoc<'a>>,
    unreadable: Vec<UnreadableDoc<'a>>,
}

#[derive(Serialize)]
struct SummaryDoc {
    drifted: usize,
    edited: usize,
    unknown: usize,
    unreadable: usize,
    unchanged: usize,
    left_out: usize,
}

#[derive(Serialize)]
pub(super) struct UserDoc<'a> {
    id: &'a UserKey,
    state: State,
    drift: bool,
    managed: bool,
    account_id: &'a AccountId,
    user_id: &'a UserId,
    fields: Vec<FieldDoc<'a>>,
}

#[derive(Serialize)]
struct FieldDoc<'a> {
    name: &'a str,
    applied: Option<&'a str>,
    on_whop: Option<&'a str>,
    manifest: Option<&'a str>,
    cause: Cause,
}

#[derive(Serialize)]
pub(super) struct UnknownDoc<'a> {
    account_id: &'a AccountId,
    title: &'a str,
    id: Option<&'a UserKey>,
}

#[derive(Serialize)]
struct UnreadableDoc<'a> {
    id: &'a UserKey,
    message: &'a str,
}

impl<'a> DriftDoc<'a> {
    pub(super) fn new(drift: &'a Drift, header: &'a Header, others: Others) -> Self {
        let Drift {
            platform: _,
            users,
            unknown,
            unreadable,
            unchanged,
            left_out,
            complete,
            reads,
        } = drift;
        Self {
            company: header.company.as_str(),
            server: &header.server,
            api_version: &header.version,
            drift: drift.is_drift(others),
            partial: *left_out > 0,
            complete: *complete,
            summary: SummaryDoc {
                drifted: drift.drifted(),
                edited: drift.edited(),
                unknown: unknown.len(),
                unreadable: unreadable.len(),
                unchanged: *unchanged,
                left_out: *left_out,
            },
            reads: *reads,
            users: Each(users, user_doc),
            unknown: Each(unknown, unknown_doc),
            unreadable: unreadable
                .iter()
                .map(|(id, message)| UnreadableDoc { id, message })
                .collect(),
        }
    }
}

fn user_doc(user: &UserDrift) -> UserDoc<'_> {
    let UserDrift {
        key,
        link,
        fate: _,
        managed,
        fields,
    } = user;
    UserDoc {
        id: key,
        state: user.state(),
        drift: user.is_drift(),
        managed: *managed,
        account_id: &link.account,
        user_id: &link.owner,
        fields: fields.iter().map(field_doc).collect(),
    }
}

fn field_doc(field: &FieldDrift) -> FieldDoc<'_> {
    let FieldDrift {
        name,
        applied,
        shown,
        wanted,
        cause,
    } = field;
    FieldDoc {
        name,
        applied: applied.as_deref(),
        on_whop: shown.as_deref(),
        manifest: wanted.as_deref(),
        cause: *cause,
    }
}

fn unknown_doc(unknown: &NewAccount) -> UnknownDoc<'_> {
    let NewAccount { account, title, user } = unknown;
    UnknownDoc {
        account_id: account,
        title,
        id: user.as_ref(),
    }
}
