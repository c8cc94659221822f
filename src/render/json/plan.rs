//! A plan as a JSON document, and the parts of it that other documents share.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use super::super::Header;
use super::super::fields::{self, Field, Value};
use super::super::messages;
use super::document::{Each, Parts};
use crate::core::digest::Digest;
use crate::core::identity::Evidence;
use crate::core::model::{Avatar, Dialect, Guard, Limit};
use crate::core::plan::{
    Action, Breach, Cause, Caution, Hold, Kind, Learned, PictureChange, Plan, Reads, Reason, Step, Unmanaged,
    Verb,
};
use crate::core::summary::{self, Counts, REQUESTS_PER_MINUTE};
use crate::core::value::{AccountId, ImageFormat, UserId, UserKey};

#[derive(Serialize)]
pub(super) struct PlanDoc<'a> {
    digest: Digest,
    basis: Basis,
    company: &'a str,
    server: &'a str,
    api_version: &'a str,
    dialect: Dialect,
    partial: bool,
    summary: SummaryDoc,
    reads: Reads,
    requests: BTreeMap<&'static str, u64>,
    estimate_seconds: u64,
    breaches: Parts<'a, Breach, BreachDoc>,
    actions: Parts<'a, Action, ActionDoc<'a>>,
    holds: Parts<'a, Hold, HoldDoc<'a>>,
    learned: Parts<'a, Learned, LearnedDoc<'a>>,
    unmanaged: Parts<'a, Unmanaged, UnmanagedDoc<'a>>,
    unchanged: usize,
}

/// What the plan was made from.
#[derive(Serialize)]
struct Basis {
    manifest: Digest,
}

impl<'a> PlanDoc<'a> {
    pub(super) fn new(plan: &'a Plan, header: &'a Header) -> Self {
        let Plan {
            platform: _,
            // The server is in the header, and the lax limits are in the
            // cautions.
            terms: _,
            cautions: _,
            actions,
            holds,
            learned,
            unmanaged,
            unchanged,
            left_out,
            breaches,
            reads,
        } = plan;
        let Header {
            company,
            server,
            dialect,
            version,
            manifest,
        } = header;
        let requests = summary::requests(plan, *dialect);
        Self {
            digest: summary::digest(plan),
            basis: Basis { manifest: *manifest },
            company: company.as_str(),
            server,
            api_version: version,
            dialect: *dialect,
            partial: *left_out > 0,
            summary: SummaryDoc::new(plan),
            reads: *reads,
            estimate_seconds: summary::floor_seconds(&requests, REQUESTS_PER_MINUTE),
            requests,
            breaches: Each(breaches, breach_doc),
            actions: Each(actions, action_doc),
            holds: Each(holds, hold_doc),
            learned: Each(learned, learned_doc),
            unmanaged: Each(unmanaged, unmanaged_doc),
            unchanged: *unchanged,
        }
    }
}

#[derive(Serialize)]
pub(super) struct SummaryDoc {
    create: usize,
    adopt: usize,
    update: usize,
    forget: usize,
    identity_changes: usize,
    contradicted: usize,
    hold: usize,
    pictures: usize,
    uploads: usize,
    pictures_again: usize,
    learned: usize,
    unmanaged: usize,
    unchanged: usize,
    left_out: usize,
    cautions: Vec<CautionDoc>,
}

/// What a reviewer must know about the limits first.
#[derive(Serialize)]
struct CautionDoc {
    caution: &'static str,
    guard: Guard,
    /// As written in the manifest, for limits that the manifest sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Limit>,
    message: String,
}

fn caution_doc(caution: &Caution) -> CautionDoc {
    let (name, guard, limit) = match *caution {
        Caution::Lax { guard, limit } => ("lax", guard, Some(limit)),
        Caution::Lifted(guard) => ("lifted", guard, None),
        Caution::SetUp { wanted: _, most: _ } => ("set_up", Guard::MaxCreates, None),
    };
    CautionDoc {
        caution: name,
        guard,
        limit,
        message: messages::caution(caution),
    }
}

impl SummaryDoc {
    pub(super) fn new(plan: &Plan) -> Self {
        let Counts {
            create,
            adopt,
            update,
            forget,
            identity_changes,
            contradicted,
            pictures,
            uploads,
            pictures_again,
            hold,
            learned,
            unmanaged,
            unchanged,
            left_out,
        } = summary::counts(plan);
        Self {
            create,
            adopt,
            update,
            forget,
            identity_changes,
            contradicted,
            hold,
            pictures,
            uploads,
            pictures_again,
            learned,
            unmanaged,
            unchanged,
            left_out,
            cautions: plan.cautions.iter().map(caution_doc).collect(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct BreachDoc {
    #[serde(flatten)]
    breach: Breach,
    message: String,
    what_to_do: String,
}

pub(super) fn breach_doc(breach: &Breach) -> BreachDoc {
    let words = messages::breach(breach);
    BreachDoc {
        breach: *breach,
        message: words.message,
        what_to_do: words.what_to_do,
    }
}

#[derive(Serialize)]
pub(super) struct ActionDoc<'a> {
    id: &'a UserKey,
    kind: Verb,
    cause: Option<Cause>,
    account_id: Option<&'a AccountId>,
    user_id: Option<&'a UserId>,
    renamed_from: Option<&'a UserKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_change: Option<IdentityDoc<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found_by: Option<Evidence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<&'a AccountId>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    resend: bool,
    fields: Vec<FieldDoc<'a>>,
    steps: Vec<Step>,
}

/// An account that gets another id.
#[derive(Serialize)]
struct IdentityDoc<'a> {
    former_id: &'a str,
    name: Option<&'a str>,
}

pub(super) fn action_doc(action: &Action) -> ActionDoc<'_> {
    let (found_by, replaces, resend) = match &action.kind {
        Kind::Create(new) => (None, new.replaces.as_ref(), new.resend.is_some()),
        Kind::Adopt { entry: _, by } => (Some(*by), None, false),
        Kind::Update { entry: _, record: _ } | Kind::Forget { link: _ } => (None, None, false),
    };
    let link = action.link();
    ActionDoc {
        id: &action.key,
        kind: action.verb(),
        cause: summary::cause(action),
        account_id: link.map(|link| &link.account),
        user_id: link.map(|link| &link.owner),
        renamed_from: action.renamed_from.as_ref(),
        identity_change: action.former_id().map(|former_id| IdentityDoc {
            former_id,
            name: action.name(),
        }),
        found_by,
        replaces,
        resend,
        fields: fields::of(action).into_iter().map(field_doc).collect(),
        steps: action.steps(),
    }
}

#[derive(Serialize)]
struct FieldDoc<'a> {
    name: Cow<'a, str>,
    old: Option<OldDoc<'a>>,
    new: NewDoc<'a>,
    cause: Cause,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OldDoc<'a> {
    Text(&'a str),
    Picture {
        digest: Option<Digest>,
        url: Option<&'a str>,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum NewDoc<'a> {
    Text(&'a str),
    Picture(AvatarDoc<'a>),
}

#[derive(Serialize)]
struct AvatarDoc<'a> {
    file: &'a str,
    digest: Digest,
    format: ImageFormat,
    bytes: u64,
    width: u32,
    height: u32,
}

fn field_doc(field: Field<'_>) -> FieldDoc<'_> {
    let Field { name, value, cause } = field;
    let (old, new) = match value {
        Value::Text { old, new } => (old.map(OldDoc::Text), NewDoc::Text(new)),
        Value::Picture(change) => picture_doc(change),
    };
    FieldDoc {
        name,
        old,
        new,
        cause,
    }
}

fn picture_doc(change: &PictureChange) -> (Option<OldDoc<'_>>, NewDoc<'_>) {
    let PictureChange {
        old,
        old_url,
        new,
        cause: _,
    } = change;
    let Avatar {
        path,
        part: _,
        digest,
        format,
        bytes,
        width,
        height,
    } = new;
    let known = old.is_some() || old_url.is_some();
    let old = known.then_some(OldDoc::Picture {
        digest: *old,
        url: old_url.as_deref(),
    });
    let new = NewDoc::Picture(AvatarDoc {
        file: path,
        digest: *digest,
        format: *format,
        bytes: *bytes,
        width: *width,
        height: *height,
    });
    (old, new)
}

#[derive(Serialize)]
pub(super) struct HoldDoc<'a> {
    id: &'a UserKey,
    reason: &'static str,
    message: String,
    what_to_do: String,
}

pub(super) fn hold_doc(hold: &Hold) -> HoldDoc<'_> {
    let Hold { key, reason } = hold;
    hold_doc_of(key, reason)
}

pub(super) fn hold_doc_of<'a>(key: &'a UserKey, reason: &Reason) -> HoldDoc<'a> {
    let words = messages::reason(reason);
    HoldDoc {
        id: key,
        reason: reason.code(),
        message: words.message,
        what_to_do: words.what_to_do,
    }
}

#[derive(Serialize)]
struct LearnedDoc<'a> {
    id: &'a UserKey,
    account_id: &'a AccountId,
    user_id: &'a UserId,
}

fn learned_doc(learned: &Learned) -> LearnedDoc<'_> {
    let Learned { key, entry } = learned;
    LearnedDoc {
        id: key,
        account_id: &entry.link.account,
        user_id: &entry.link.owner,
    }
}

#[derive(Serialize)]
struct UnmanagedDoc<'a> {
    account_id: &'a AccountId,
    id: Option<&'a UserKey>,
    title: Option<&'a str>,
}

fn unmanaged_doc(unmanaged: &Unmanaged) -> UnmanagedDoc<'_> {
    let Unmanaged { account, key, title } = unmanaged;
    UnmanagedDoc {
        account_id: account,
        id: key.as_ref(),
        title: title.as_deref(),
    }
}
