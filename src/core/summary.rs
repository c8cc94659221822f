//! What can be computed from a finished plan: its digest, its counts, the
//! requests it needs, and the time these need under Whop's limit.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use super::digest::{Digest, Hasher};
use super::field::{Owner, TextChange, TextField};
use super::fields;
use super::identity::{Contradiction, Dissent, Evidence};
use super::model::{AppliedPicture, Avatar, Dialect, KnownRest, KnownUser, Link, MetaValue, PreparedCall};
use super::plan::{
    AccountChange, Action, Cause, Hold, Kind, NewAccount, PictureChange, Plan, ProfileChange, Reason, Step,
    Terms,
};
use super::text::Texts;

/// Requests a minute that Whop allows for each operation and key
/// ([errors and limits](crate::whop_api#errors-and-limits)).
pub const REQUESTS_PER_MINUTE: NonZeroU32 = match NonZeroU32::new(600) {
    Some(rate) => rate,
    None => NonZeroU32::MIN,
};

/// Files that one status poll asks about.
const FILES_PER_POLL: u64 = 100;

/// How much of each kind a plan holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accounts to make.
    pub create: usize,
    /// Accounts to link.
    pub adopt: usize,
    /// Linked users to change.
    pub update: usize,
    /// Links to drop.
    pub forget: usize,
    /// Actions that give an account another id; they are counted above as well.
    pub identity_changes: usize,
    /// Users held because evidence of who they are does not agree; counted
    /// among the holds as well.
    pub contradicted: usize,
    /// Users who get a picture.
    pub pictures: usize,
    /// Pictures to upload: users of the same content share one.
    pub uploads: usize,
    /// Adopted users who get a picture that they may already have, since Whop
    /// does not say which one it holds.
    pub pictures_again: usize,
    /// Users wanted but refused.
    pub hold: usize,
    /// Mapping entries completed without a request.
    pub learned: usize,
    /// Accounts left alone.
    pub unmanaged: usize,
    /// Users for whom nothing is wanted.
    pub unchanged: usize,
    /// Users the run is not about.
    pub left_out: usize,
}

/// Counts a plan.
pub fn counts(plan: &Plan) -> Counts {
    let mut counts = Counts {
        uploads: uploads(plan).len(),
        hold: plan.holds.len(),
        contradicted: plan
            .holds
            .iter()
            .filter(|hold| hold.reason.is_about_identity())
            .count(),
        learned: plan.learned.len(),
        unmanaged: plan.unmanaged.len(),
        unchanged: plan.unchanged,
        left_out: plan.left_out,
        ..Counts::default()
    };
    for action in &plan.actions {
        let picture = usize::from(action.profile.picture.is_some());
        counts.pictures += picture;
        counts.identity_changes += usize::from(action.former_id().is_some());
        match action.kind {
            Kind::Create(_) => counts.create += 1,
            Kind::Adopt { .. } => {
                counts.adopt += 1;
                counts.pictures_again += picture;
            }
            Kind::Update { .. } => counts.update += 1,
            Kind::Forget { .. } => counts.forget += 1,
        }
    }
    counts
}

/// The distinct pictures that a plan sets.
fn uploads(plan: &Plan) -> BTreeSet<Digest> {
    let pictures = plan.actions.iter().filter_map(|a| a.profile.picture.as_ref());
    pictures.map(|picture| picture.new.digest).collect()
}

/// The fewest requests that carrying the plan out takes, by operation;
/// operations that are not needed are left out. They are named as the client
/// names what it sends in this dialect. Retries, further polls for
/// slow pictures and the refresh before it come on top.
pub fn requests(plan: &Plan, dialect: Dialect) -> BTreeMap<&'static str, u64> {
    let (create, update) = match dialect {
        Dialect::Accounts => ("create_account", "update_account"),
        Dialect::Companies => ("create_company", "update_company"),
    };
    let mut requests = BTreeMap::new();
    let mut add = |operation, count: u64| {
        if count > 0 {
            *requests.entry(operation).or_default() += count;
        }
    };
    for step in plan.actions.iter().flat_map(Action::steps) {
        match step {
            Step::CreateAccount => add(create, 1),
            Step::UpdateAccount => add(update, 1),
            Step::UpdateProfile => add("update_user", 1),
            // Counted below, once for each content.
            Step::UploadPicture => {}
            // These write the mapping and send nothing.
            Step::RecordLink | Step::DropLink => {}
        }
    }
    let files = uploads(plan).len() as u64;
    add("create_file", files);
    add("upload_file", files);
    match dialect {
        Dialect::Accounts => add("list_files", files.div_ceil(FILES_PER_POLL)),
        // The old dialect cannot ask about several (`whop_api#versions`).
        Dialect::Companies => add("retrieve_file", files),
    }
    requests
}

/// The fewest seconds that these requests take when each operation has its
/// own budget of so many a minute: operations overlap, so the largest decides.
pub fn floor_seconds(requests: &BTreeMap<&'static str, u64>, per_minute: NonZeroU32) -> u64 {
    let most = requests.values().copied().max().unwrap_or(0);
    most.saturating_mul(60).div_ceil(u64::from(per_minute.get()))
}

/// The one cause of an action: that of its fields, where they agree.
/// Something new beside something edited counts as edited. `None` if no field
/// changes.
pub fn cause(action: &Action) -> Option<Cause> {
    let fields = fields::of(action).into_iter().map(|field| field.cause);
    fields.reduce(|a, b| match (a, b) {
        (a, b) if a == b => a,
        (Cause::New, other) | (other, Cause::New) => other,
        _ => Cause::Both,
    })
}

/// The digest of what a plan will do: the platform and where it is, the limits
/// as they are written and which of them are lifted, every action to the last
/// byte, and which users are held for what. Two plans of one digest do the
/// same under the same limits, so a reviewed digest may be demanded
/// (`--expect`).
///
/// Left out is what has no say in that: when and how much was looked at,
/// counts, accounts left alone, facts that only the mapping lacks, and the
/// numbers that limits come to, which are judged anew.
pub fn digest(plan: &Plan) -> Digest {
    let Plan {
        platform,
        terms,
        // These follow from the limits and the actions.
        cautions: _,
        actions,
        holds,
        learned: _,
        unmanaged: _,
        unchanged: _,
        left_out: _,
        breaches: _,
        reads: _,
    } = plan;
    let mut hasher = Hasher::new("plan 2");
    hasher.field(platform);
    add_terms(&mut hasher, terms);
    hasher.number(actions.len() as u64);
    for action in actions {
        add_action(&mut hasher, action);
    }
    hasher.number(holds.len() as u64);
    for Hold { key, reason } in holds {
        hasher.field(key);
        add_reason(&mut hasher, reason);
    }
    hasher.finish()
}

/// The digest of one action to the last byte, as [`digest`] covers it.
pub fn action_digest(action: &Action) -> Digest {
    let mut hasher = Hasher::new("action 1");
    add_action(&mut hasher, action);
    hasher.finish()
}

// Every function below takes its struct apart in full, so that a field added
// later cannot be forgotten here: it would not compile.

fn add_terms(hasher: &mut Hasher, terms: &Terms) {
    let Terms {
        server,
        version,
        limits,
        lifted,
    } = terms;
    hasher.field(&**server).field(&**version);
    for (guard, limit) in limits.written() {
        hasher
            .field(guard.name())
            .optional(limit.map(|limit| limit.to_string()));
    }
    hasher.number(lifted.len() as u64);
    for guard in lifted {
        hasher.field(guard.name());
    }
}

fn add_action(hasher: &mut Hasher, action: &Action) {
    let Action {
        key,
        kind,
        renamed_from,
        account,
        profile,
    } = action;
    hasher.field(key).optional(renamed_from.as_ref());
    match kind {
        Kind::Create(new) => {
            hasher.field("create");
            add_new_account(hasher, new);
        }
        Kind::Adopt { entry, by } => {
            hasher.field("adopt").field(evidence(*by));
            add_entry(hasher, entry);
        }
        // Whether the mapping is completed on the way depends on how much
        // was looked at, and Whop does not see it.
        Kind::Update { entry, record: _ } => {
            hasher.field("update");
            add_entry(hasher, entry);
        }
        Kind::Forget { link } => {
            hasher.field("forget");
            add_link(hasher, link);
        }
    }
    add_changed_texts(hasher, action, Owner::Account);
    add_account_change(hasher, account);
    add_changed_texts(hasher, action, Owner::Profile);
    add_profile_change(hasher, profile);
}

fn add_new_account(hasher: &mut Hasher, new: &NewAccount) {
    let NewAccount {
        email,
        title,
        metadata,
        resend,
        replaces,
    } = new;
    hasher.field(email).field(title);
    add_texts(hasher, metadata);
    match resend {
        None => hasher.number(0),
        Some(resend) => {
            let PreparedCall {
                version,
                idempotency_key,
                body,
            } = resend.call();
            hasher.number(1).field(version).field(idempotency_key).field(body)
        }
    };
    hasher.optional(replaces.as_ref());
}

fn add_entry(hasher: &mut Hasher, entry: &KnownUser) {
    let KnownRest {
        link,
        metadata,
        picture,
    } = entry.rest();
    add_link(hasher, link);
    for field in TextField::ALL {
        hasher.optional(field.applied(entry));
    }
    add_texts(hasher, metadata);
    match picture {
        None => hasher.number(0),
        // A URL is learned by looking, and nothing is done with it.
        Some(AppliedPicture { digest, url: _ }) => hasher.number(1).field(digest.to_string()),
    };
}

fn add_link(hasher: &mut Hasher, link: &Link) {
    let Link { account, owner } = link;
    hasher.field(account).field(owner);
}

fn add_changed_texts(hasher: &mut Hasher, action: &Action, owner: Owner) {
    for field in TextField::of(owner) {
        add_change(hasher, field.changed(action));
    }
}

fn add_account_change(hasher: &mut Hasher, change: &AccountChange) {
    let (metadata, whole) = change.rest();
    hasher.number(metadata.len() as u64);
    for (key, change) in metadata {
        hasher.field(&**key);
        add_change(hasher, Some(TextChange::of(change, &change.new)));
    }
    hasher.number(whole.len() as u64);
    for (key, value) in whole {
        hasher.field(&**key);
        match value {
            MetaValue::Text(text) => hasher.field("text").field(&**text),
            MetaValue::Json(json) => hasher.field("json").field(&**json),
        };
    }
}

fn add_profile_change(hasher: &mut Hasher, change: &ProfileChange) {
    let Some(PictureChange {
        old,
        old_url,
        new,
        cause,
    }) = change.rest()
    else {
        hasher.number(0);
        return;
    };
    let Avatar {
        path,
        part,
        digest,
        format,
        bytes,
        width,
        height,
    } = new;
    hasher
        .number(1)
        .optional(old.map(|digest| digest.to_string()))
        .optional(old_url.as_deref())
        .field(cause_name(*cause))
        .field(&**path)
        .number(u64::from(*part))
        .field(digest.to_string())
        .field(format.name())
        .number(*bytes)
        .number(u64::from(*width))
        .number(u64::from(*height));
}

fn add_change(hasher: &mut Hasher, change: Option<TextChange<'_>>) {
    match change {
        None => hasher.number(0),
        Some(TextChange { old, new, cause }) => {
            hasher.number(1).optional(old).field(new).field(cause_name(cause))
        }
    };
}

fn add_texts(hasher: &mut Hasher, texts: &Texts) {
    hasher.number(texts.len() as u64);
    for (key, value) in texts {
        hasher.field(&**key).field(&**value);
    }
}

fn add_reason(hasher: &mut Hasher, reason: &Reason) {
    hasher.field(reason.code());
    match reason {
        Reason::Ambiguous { by, accounts } => {
            hasher.field(evidence(*by)).number(accounts.len() as u64);
            for account in accounts {
                hasher.field(account);
            }
        }
        Reason::LinkedElsewhere { account, other } => {
            hasher.field(account).field(other);
        }
        Reason::Contradicted(contradiction) => add_contradiction(hasher, contradiction),
        Reason::MappedTwice { account, others } => {
            hasher.field(account).number(others.len() as u64);
            for other in others {
                hasher.field(other);
            }
        }
        // The address is left out: whoever has the digest could try guesses on
        // it, and the plan is shown to people who must not learn the address.
        Reason::EmailChanged { account, observed: _ } => {
            hasher.field(account);
        }
        Reason::EmailTaken { account, external_id } => {
            hasher.field(account).optional(external_id.as_deref());
        }
        Reason::SharedOwner { owner, others } => {
            hasher.field(owner).number(others.len() as u64);
            for other in others {
                hasher.field(other);
            }
        }
        Reason::Suspended { account } => {
            hasher.field(account);
        }
        Reason::MetadataFixed { keys } => {
            hasher.number(keys.len() as u64);
            for key in keys {
                hasher.field(&**key);
            }
        }
        Reason::OwnerMissing { owner } => {
            hasher.field(owner);
        }
        // When it was sent and how Whop words a failure do not change what is
        // held: the same plan may be made twice around them.
        Reason::InDoubt { begun: _, why: _ } | Reason::Unreadable { message: _ } => {}
        Reason::Vanished | Reason::Incomplete => {}
    }
}

fn add_contradiction(hasher: &mut Hasher, contradiction: &Contradiction) {
    let Contradiction {
        account,
        under,
        dissent,
        carrier,
    } = contradiction;
    hasher
        .field(account)
        .optional(under.as_ref())
        .optional(carrier.as_ref());
    match dissent {
        Dissent::Id { by, id } => hasher.field("id").field(evidence(*by)).field(&**id),
        Dissent::Owner { mapped, owner } => hasher.field("owner").field(mapped).field(owner),
        Dissent::Email => hasher.field("email"),
        Dissent::Silence => hasher.field("silence"),
    };
}

/// Stable names: `Debug` output may change, and digests must not.
fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::New => "new",
        Cause::Edited => "edited",
        Cause::Drifted => "drifted",
        Cause::Both => "both",
    }
}

fn evidence(by: Evidence) -> &'static str {
    match by {
        Evidence::ExternalId => "external_id",
        Evidence::InternalUserId => "internal_user_id",
        Evidence::Email => "email",
    }
}

#[cfg(test)]
mod covered;

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn rate(per_minute: u32) -> NonZeroU32 {
        NonZeroU32::new(per_minute).unwrap()
    }

    #[test]
    fn pictures_of_one_content_are_uploaded_once() {
        let mut actions: Vec<Action> = (0..201)
            .map(|n| sample::create(&format!("c{n:03}"), "Ann"))
            .collect();
        let shared = actions[0].profile.picture.clone();
        actions[1].profile.picture = shared;
        actions.push(sample::forget("f1"));
        actions.push(sample::adopt("a1", Evidence::Email));
        let plan = sample::plan(actions, Vec::new());
        let expected = BTreeMap::from([
            ("create_account", 201),
            ("create_file", 200),
            ("list_files", 2),
            ("update_user", 201),
            ("upload_file", 200),
        ]);
        assert_eq!(requests(&plan, Dialect::Accounts), expected);
        let old = requests(&plan, Dialect::Companies);
        assert_eq!(
            (old.get("list_files"), old.get("retrieve_file")),
            (None, Some(&200))
        );
        assert_eq!(
            (old.get("create_account"), old.get("create_company")),
            (None, Some(&201))
        );
        assert_eq!((counts(&plan).pictures, counts(&plan).uploads), (201, 200));
    }

    #[test]
    fn the_slowest_operation_sets_the_time() {
        let requests = BTreeMap::from([("create_account", 601), ("update_user", 6_001)]);
        assert_eq!(floor_seconds(&requests, REQUESTS_PER_MINUTE), 601);
        assert_eq!(floor_seconds(&requests, rate(6_000)), 61);
        assert_eq!(floor_seconds(&BTreeMap::new(), REQUESTS_PER_MINUTE), 0);
    }

    #[test]
    fn an_actions_cause_is_that_of_its_fields() {
        let mut action = sample::update("u1", "Old", "New", Cause::Edited);
        assert_eq!(cause(&action), Some(Cause::Edited));
        action.profile.picture = sample::picture_change(None, "a.png", Cause::New);
        assert_eq!(cause(&action), Some(Cause::Edited));
        action.account = sample::account_change();
        assert_eq!(cause(&action), Some(Cause::Both));
        assert_eq!(cause(&sample::create("c1", "Ann")), Some(Cause::New));
        assert_eq!(cause(&sample::forget("f1")), None);
    }

    #[test]
    fn adopted_users_with_a_picture_are_counted_apart() {
        let mut adopted = sample::adopt("a1", Evidence::Email);
        adopted.profile.picture = sample::picture_change(None, "a.png", Cause::New);
        let plan = sample::plan(vec![adopted, sample::create("c1", "Ann")], Vec::new());
        assert_eq!((counts(&plan).pictures, counts(&plan).pictures_again), (2, 1));
    }
}
