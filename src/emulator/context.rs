//! What an operation is given, and what it gives back.

use serde_json::Value;

use super::answers::Look;
use super::faults::Twist;
use super::keys::Caller;
use super::operation::Operation;
use super::refusal::Refusal;
use super::request::{Fields, Query};
use super::settings::Settings;

/// What one operation is asked, and the key that asks.
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
