//! The distinct pictures of a plan, and the resulting files on Whop.

use std::collections::HashMap;

use tokio::sync::watch;

use crate::core::digest::Digest;
use crate::core::model::Avatar;
use crate::core::plan::Plan;
use crate::core::report::{Outcome, Stop};
use crate::core::value::FileId;

pub(super) type Ready = Option<Result<FileId, Outcome>>;

/// The distinct pictures of a plan, in order of first use.
pub(super) struct Pictures {
    pub(super) order: Vec<Avatar>,
    slots: HashMap<Digest, watch::Sender<Ready>>,
}

impl Pictures {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut pictures = Self {
            order: Vec::new(),
            slots: HashMap::new(),
        };
        for change in plan
            .actions
            .iter()
            .filter_map(|action| action.profile.picture.as_ref())
        {
            if let std::collections::hash_map::Entry::Vacant(slot) = pictures.slots.entry(change.new.digest) {
                slot.insert(watch::channel(None).0);
                pictures.order.push(change.new.clone());
            }
        }
        pictures
    }

    /// Waits until the picture is ready or has failed.
    pub(super) async fn ready(&self, digest: &Digest) -> Result<FileId, Outcome> {
        let gone = || Err(Outcome::Left { why: Stop::Fatal });
        let Some(slot) = self.slots.get(digest) else {
            return gone();
        };
        match slot.subscribe().wait_for(Option::is_some).await {
            Ok(ready) => ready.clone().unwrap_or_else(gone),
            Err(_) => gone(),
        }
    }

    pub(super) fn settle(&self, digest: &Digest, ready: Result<FileId, Outcome>) {
        if let Some(slot) = self.slots.get(digest) {
            slot.send_replace(Some(ready));
        }
    }
}
