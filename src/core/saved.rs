//! A plan that was saved to be carried out later, and what has moved since.
//!
//! Nothing is ever carried out from the file. The plan is made again from the
//! facts as they are now, and compared with what the file says; so a file
//! that was tampered with can do no more than not match.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::fields::{self, Field, Value};
use super::identity::Evidence;
use super::lineage::PlanRef;
use super::model::{Guard, Known, Policy, Refresh};
use super::plan::{Action, Cause, Kind, PictureChange, Plan, Reason, Verb};
use super::state_digest::known_digest;
use super::summary;
use super::value::{AccountId, PlatformId, UserId, UserKey};

/// A saved plan: what it was made from, and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The plan's digest.
    pub digest: Digest,
    /// What it was made from.
    pub basis: Basis,
    /// Its actions, sorted by user.
    pub actions: Vec<SavedAction>,
    /// The users it holds, sorted.
    pub holds: Vec<SavedHold>,
}

/// What a plan was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// The version of the program that made it: another one may decide
    /// otherwise.
    pub program: String,
    /// The platform.
    pub company: PlatformId,
    /// The server, as the mapping names it.
    pub server: String,
    /// The API version.
    pub api_version: String,
    /// The manifest's paths as they were given.
    pub manifests: Vec<String>,
    /// The digest of the manifest's bytes.
    pub manifest: Digest,
    /// The digest of what the mapping and a journal knew.
    pub mapping: Digest,
    /// The mapping's generation.
    pub generation: u64,
    /// Which profiles were read.
    pub refresh: Refresh,
    /// The users it is about; `None` is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<BTreeSet<UserKey>>,
    /// The guards that were lifted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub allow: BTreeSet<Guard>,
}

/// One action, as far as people are told of it, and its digest for the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedAction {
    /// The user.
    pub id: UserKey,
    /// What happens.
    pub kind: Verb,
    /// The account, where it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// Its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The fields it sets.
    pub fields: Vec<SavedField>,
    /// All of it, what is not listed included.
    pub digest: Digest,
}

/// One field an action sets. A picture is its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedField {
    /// Its name in the manifest.
    pub name: String,
    /// What Whop showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What it will be.
    pub new: String,
    /// Why.
    pub cause: Cause,
}

/// A user who is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedHold {
    /// The user.
    pub id: UserKey,
    /// Why, as a stable word.
    pub reason: String,
}

impl Saved {
    /// The plan as it is to be saved.
    pub fn new(plan: &Plan, basis: Basis) -> Self {
        Self {
            digest: summary::digest(plan),
            basis,
            actions: plan.actions.iter().map(SavedAction::of).collect(),
            holds: plan
                .holds
                .iter()
                .map(|hold| SavedHold {
                    id: hold.key.clone(),
                    reason: hold.reason.code().to_owned(),
                })
                .collect(),
        }
    }

    /// Its name among plans.
    pub fn plan(&self) -> PlanRef {
        PlanRef {
            plan: self.digest,
            base: self.basis.generation,
        }
    }

    /// The users it is about.
    pub fn users(&self) -> BTreeSet<UserKey> {
        let acted_on = self.actions.iter().map(|action| &action.id);
        let held = self.holds.iter().map(|hold| &hold.id);
        acted_on.chain(held).cloned().collect()
    }

    /// How many of its users a plan made now would still do something for, or
    /// hold.
    pub fn left(&self, now: &Plan) -> usize {
        let planned = |key: &UserKey| self.actions.binary_search_by(|action| action.id.cmp(key)).is_ok();
        let acted_on = now.actions.iter().map(|action| &action.key);
        let held = now.holds.iter().map(|hold| &hold.key);
        acted_on.chain(held).filter(|key| planned(key)).count()
    }

    /// Whether each user stands in it once and in order, as it is written.
    pub fn is_in_order(&self) -> bool {
        self.actions.windows(2).all(|pair| pair[0].id < pair[1].id)
    }
}

impl SavedAction {
    /// The action as it is told.
    pub(crate) fn of(action: &Action) -> Self {
        let link = action.link();
        Self {
            id: action.key.clone(),
            kind: action.verb(),
            account_id: link.map(|link| link.account.clone()),
            user_id: link.map(|link| link.owner.clone()),
            fields: fields::of(action).into_iter().map(SavedField::of).collect(),
            digest: summary::action_digest(action),
        }
    }

    fn field(&self, name: &str) -> Option<&SavedField> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl SavedField {
    /// The field as texts.
    fn of(field: Field<'_>) -> Self {
        let Field { name, value, cause } = field;
        let (old, new) = match value {
            Value::Text { old, new } => (old.map(str::to_owned), new.to_owned()),
            Value::Picture(change) => picture(change),
        };
        Self {
            name: name.into_owned(),
            old,
            new,
            cause,
        }
    }
}

/// A picture's old and new as digests. Of one that somebody else set, no more
/// than a URL is known.
fn picture(change: &PictureChange) -> (Option<String>, String) {
    let PictureChange {
        old,
        old_url,
        new,
        cause,
    } = change;
    let url = old_url.as_ref().map(ToString::to_string);
    let old = match cause {
        Cause::New | Cause::Edited => old.map(|digest| digest.to_string()).or(url),
        Cause::Drifted | Cause::Both => url,
    };
    (old, new.digest.to_string())
}

/// A part of the basis that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parted {
    /// Which part.
    pub what: &'static str,
    /// What it was when the plan was made.
    pub planned: String,
    /// What it is now.
    pub now: String,
}

/// A user for whom another thing would be done now than what was planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The user.
    pub id: UserKey,
    /// What was planned; `None` if nothing.
    pub planned: Option<SavedAction>,
    /// What would be done now; `None` if nothing.
    pub now: Option<SavedAction>,
    /// Why nothing would be done, where that is a hold.
    pub held: Option<Reason>,
}

/// Everything that has moved since a plan was saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Of the basis.
    pub basis: Vec<Parted>,
    /// By user.
    pub users: Vec<Moved>,
}

impl Changes {
    /// Whether nothing has.
    pub fn is_empty(&self) -> bool {
        self.basis.is_empty() && self.users.is_empty()
    }
}

/// Where a run goes and what runs: what a saved plan is bound to before
/// anything is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The program's version.
    pub program: &'a str,
    /// The platform.
    pub company: &'a PlatformId,
    /// The server.
    pub server: &'a str,
    /// The API version.
    pub api_version: &'a str,
}

/// What of the place is not what the plan was made for.
pub fn elsewhere(basis: &Basis, place: Place<'_>) -> Vec<Parted> {
    let parts = [
        ("program version", basis.program.as_str(), place.program),
        ("company", basis.company.as_str(), place.company.as_str()),
        ("server", &basis.server, place.server),
        ("API version", &basis.api_version, place.api_version),
    ];
    let differ = parts.into_iter().filter(|(_, planned, now)| planned != now);
    differ
        .map(|(what, planned, now)| Parted {
            what,
            planned: planned.to_owned(),
            now: now.to_owned(),
        })
        .collect()
}

/// What has moved between the saved plan and the same plan made now.
///
/// A plan under way ([`super::lineage::Lineage::is_under_way`]) has moved the
/// mapping and its users itself: then only what is not a rest of it counts.
pub fn changes(saved: &Saved, plan: &Plan, known: &Known, manifest: Digest) -> Changes {
    let under_way = known.lineage.is_under_way(saved.plan());
    let mut changes = Changes::default();
    let basis = &saved.basis;
    if basis.manifest != manifest {
        changes.basis.push(Parted {
            what: "manifest",
            planned: basis.manifest.short(),
            now: manifest.short(),
        });
    }
    let mapping = known_digest(known);
    if !under_way && (basis.mapping, basis.generation) != (mapping, known.generation) {
        // Merging by hand may change it under the same number.
        let tell = |generation: u64, digest: Digest| match basis.generation == known.generation {
            true => digest.short(),
            false => format!("generation {generation}"),
        };
        changes.basis.push(Parted {
            what: "mapping",
            planned: tell(basis.generation, basis.mapping),
            now: tell(known.generation, mapping),
        });
    }
    let mut planned = saved.actions.iter().peekable();
    let mut moved = |id: &UserKey, planned: Option<&SavedAction>, now: Option<SavedAction>| {
        let hold = plan.holds.binary_search_by(|hold| hold.key.cmp(id));
        let hold = hold.ok().map(|at| &plan.holds[at]);
        changes.users.push(Moved {
            id: id.clone(),
            planned: planned.cloned(),
            held: hold.filter(|_| now.is_none()).map(|hold| hold.reason.clone()),
            now,
        });
    };
    for action in &plan.actions {
        while let Some(gone) = planned.next_if(|planned| planned.id < action.key) {
            if !under_way {
                moved(&gone.id, Some(gone), None);
            }
        }
        let now = SavedAction::of(action);
        match planned.next_if(|planned| planned.id == action.key) {
            Some(planned) if planned.digest == now.digest => {}
            Some(planned) if under_way && is_rest(planned, &now, action) => {}
            planned => moved(&action.key, planned, Some(now)),
        }
    }
    for gone in planned.filter(|_| !under_way) {
        moved(&gone.id, Some(gone), None);
    }
    changes
}

/// Whether an action is what is left of a planned one whose first steps were
/// done: it leads to the same values, and nobody else has changed one.
fn is_rest(planned: &SavedAction, now: &SavedAction, action: &Action) -> bool {
    let created = planned.kind == Verb::Create;
    let same_user = match (planned.kind, &action.kind) {
        (Verb::Create, Kind::Create(_) | Kind::Update { .. }) => true,
        // An account that carries the user's id is the one whose answer was
        // lost. An email tells nothing of the kind.
        (Verb::Create, Kind::Adopt { by, .. }) => *by != Evidence::Email,
        (Verb::Adopt, Kind::Adopt { .. } | Kind::Update { .. })
        | (Verb::Update, Kind::Update { .. })
        | (Verb::Forget, Kind::Forget { .. }) => {
            (&planned.account_id, &planned.user_id) == (&now.account_id, &now.user_id)
        }
        _ => false,
    };
    let same_field = |field: &SavedField| {
        planned.field(&field.name).is_some_and(|planned| {
            let same_old = planned.old == field.old || (created && field.cause == Cause::New);
            planned.new == field.new && same_old
        })
    };
    same_user && now.fields.iter().all(same_field)
}

/// The basis of a plan that is about to be saved.
pub fn basis(
    place: Place<'_>,
    manifests: Vec<String>,
    manifest: Digest,
    known: &Known,
    policy: &Policy,
) -> Basis {
    Basis {
        program: place.program.to_owned(),
        company: place.company.clone(),
        server: place.server.to_owned(),
        api_version: place.api_version.to_owned(),
        manifests,
        manifest,
        mapping: known_digest(known),
        generation: known.generation,
        refresh: policy.refresh,
        only: policy.only.clone(),
        allow: policy.allow.clone(),
    }
}
