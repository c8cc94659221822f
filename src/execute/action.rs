//! One user's action: its steps, in order.

use std::sync::Arc;

use super::claims::{Claim, Holder};
use super::journal_writer::NotWritten;
use super::shared::Shared;
use crate::core::model::{Account, AppliedPicture, Avatar, Doubt, IDENTITY_KEYS, Link};
use crate::core::plan::{AccountChange, Action, Kind, NewAccount, ProfileChange, Step};
use crate::core::replay::{Fact, Intent};
use crate::core::report::{Event, Failure, Outcome, Stop, Subject, Trace};
use crate::core::value::{FileId, UserKey};
use crate::error::Code;
use crate::remote::{Answered, CallError, CallErrorKind, Client, Effect, Operation, Permit, ProfileUpdate};

/// Why an action ends early.
pub(super) enum Halt {
    /// With this outcome.
    With(Outcome),
    /// The journal could not be written: do nothing more.
    NotWritten,
}

impl From<NotWritten> for Halt {
    fn from(_: NotWritten) -> Self {
        Self::NotWritten
    }
}

/// Runs the action with this rank in the plan and reports its outcome.
pub(super) async fn run(shared: Arc<Shared>, rank: usize, action: Action) {
    let (key, verb, picture) = (
        action.key.clone(),
        action.verb(),
        action.profile.picture.is_some(),
    );
    let outcome = match steps(&shared, &shared.client.ranked(rank), action).await {
        Ok(()) => Outcome::Done,
        Err(Halt::With(outcome)) => outcome,
        Err(Halt::NotWritten) => {
            let error = crate::error::Error::new(Code::IoFailed, "the journal could not be written");
            shared.fail_run(error);
            Outcome::Left { why: Stop::Fatal }
        }
    };
    shared.tell(Event::Ended {
        key,
        verb,
        picture,
        outcome,
    });
}

async fn steps(shared: &Shared, client: &Client, action: Action) -> Result<(), Halt> {
    let Action {
        key,
        kind,
        renamed_from,
        account,
        profile,
    } = action;
    let link = match kind {
        Kind::Forget { link } => {
            shared.journal.record(Fact::Dropped { key: key.clone() }).await?;
            shared.stepped(Step::DropLink, &key, &link, Trace::default());
            return Ok(());
        }
        Kind::Create(new) => create(shared, client, &key, &new).await?,
        Kind::Adopt { entry, .. } | Kind::Update { entry, record: true } => {
            let link = entry.link.clone();
            shared
                .journal
                .record(Fact::Recorded {
                    key: key.clone(),
                    known: entry,
                    from: renamed_from,
                })
                .await?;
            shared.stepped(Step::RecordLink, &key, &link, Trace::default());
            link
        }
        Kind::Update { entry, record: false } => entry.link,
    };
    if !account.is_empty() {
        update_account(shared, client, &key, &link, account).await?;
    }
    if !profile.is_empty() {
        update_profile(shared, client, &key, &link, &profile).await?;
    }
    Ok(())
}

async fn create(shared: &Shared, client: &Client, key: &UserKey, new: &NewAccount) -> Result<Link, Halt> {
    let step = Step::CreateAccount;
    let permit = shared.admit(client, Operation::CreateAccount, step).await?;
    let (call, begun) = match &new.resend {
        // Sent before. What counts is the time of the first attempt, which the
        // journal already has.
        Some(resend) => (resend.call().clone(), None),
        None => {
            let idempotency_key = shared.idempotency_key("create", key);
            (client.prepare_create(new, idempotency_key), Some(shared.now()))
        }
    };
    if let Some(begun) = begun {
        let doubt = Doubt {
            begun,
            email: new.email.clone(),
            call: call.clone(),
        };
        shared
            .journal
            .begin(Intent::Create {
                key: key.clone(),
                doubt,
            })
            .await?;
    }
    let (account, trace) = match client.create_account(permit, &call).await {
        Ok(Answered { value, trace }) => (value, trace),
        // This attempt may have failed before Whop considered the first one,
        // which therefore stays in doubt.
        Err(error) if new.resend.is_some() && !error.settles() => {
            return Err(shared.halt_in_doubt(step, error));
        }
        Err(error) => return Err(shared.settle_failure(key, step, error).await),
    };
    if let Some(failure) = not_this_users(key, new, &account) {
        return Err(Halt::With(Outcome::Failed(failure)));
    }
    let link = Link {
        account: account.id.clone(),
        owner: account.owner.clone(),
    };
    // Only the journal's writer can decide this: another task may be recording
    // the same account now.
    let claim = Claim {
        key: key.clone(),
        link: link.clone(),
        replaces: new.replaces.clone(),
    };
    if let Some(holder) = shared.journal.link(claim, created(key, new, &account)).await? {
        return Err(Halt::With(Outcome::Failed(held_by(&link, &holder))));
    }
    shared.stepped(step, key, &link, trace);
    Ok(link)
}

/// Whop may answer a create with an existing account
/// ([accounts](crate::whop_api#accounts)). One that carries another id under
/// either key, or has another email, belongs to someone else and is not linked.
fn not_this_users(key: &UserKey, new: &NewAccount, account: &Account) -> Option<Failure> {
    let id = &account.id;
    let mut carried = IDENTITY_KEYS.iter().filter_map(|name| account.text(name));
    let email = account.email.as_ref().map(|email| email.to_lowercase());
    let message = if let Some(other) = carried.find(|carried| *carried != key.as_str()) {
        format!("Whop answered with the account {id} of another user (`{other}`)")
    } else if email.is_some_and(|email| email != new.email.folded()) {
        format!("Whop answered with the account {id}, whose email is not the one that was sent")
    } else {
        return None;
    };
    let hint = "check that account on Whop; nothing was linked";
    Some(failure(Step::CreateAccount, Code::AnswerInvalid, message, hint))
}

fn held_by(link: &Link, holder: &Holder) -> Failure {
    let Link { account, owner } = link;
    let message = match holder {
        Holder::Account(other) => {
            format!("Whop answered with the account {account}, which is already user `{other}`'s")
        }
        Holder::Owner(other) => {
            format!("the new account {account} belongs to {owner}, who is already user `{other}`")
        }
        Holder::Planned => {
            format!("the new account {account} belongs to {owner}, who is another user of this plan")
        }
    };
    let hint = "one person on Whop has one profile for your company, so nothing was linked or changed; give the two users different emails";
    failure(Step::CreateAccount, Code::AnswerInvalid, message, hint)
}

fn failure(step: Step, code: Code, message: String, hint: &str) -> Failure {
    Failure {
        step,
        code: code.as_str().to_owned(),
        message,
        hint: Some(hint.to_owned()),
        status: None,
        request_id: None,
    }
}

/// What the new account has. After a resend it may be what the first request
/// asked for.
fn created(key: &UserKey, new: &NewAccount, account: &Account) -> Fact {
    // An answer may carry no metadata at all; then what was sent counts as set.
    let is_set = |name: &str, value: &str| account.text(name) == Some(value) || account.metadata.is_empty();
    Fact::Created {
        key: key.clone(),
        link: Link {
            account: account.id.clone(),
            owner: account.owner.clone(),
        },
        title: account.title.clone(),
        metadata: new
            .metadata
            .iter()
            .filter(|(name, value)| is_set(name, value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    }
}

async fn update_account(
    shared: &Shared,
    client: &Client,
    key: &UserKey,
    link: &Link,
    change: AccountChange,
) -> Result<(), Halt> {
    let AccountChange {
        title,
        metadata,
        whole,
    } = change;
    let step = Step::UpdateAccount;
    let permit = shared.admit(client, Operation::UpdateAccount, step).await?;
    shared.journal.begin(Intent::Account { key: key.clone() }).await?;
    let title = title.map(|title| title.new);
    let whole = (!metadata.is_empty()).then_some(whole);
    let answer = client
        .update_account(permit, &link.account, title.as_ref(), whole.as_ref())
        .await;
    let (account, trace) = match answer {
        Ok(Answered { value, trace }) => (value, trace),
        Err(error) => return Err(shared.settle_failure(key, step, error).await),
    };
    // Only values that Whop returns as sent are recorded as applied; the next
    // plan compares the others again.
    let wrong_title = title
        .as_ref()
        .is_some_and(|title| *account.title != *title.as_str());
    let wrong_key = metadata
        .iter()
        .find(|(name, change)| account.text(name) != Some(&change.new));
    let fact = Fact::Account {
        key: key.clone(),
        title: title.filter(|_| !wrong_title).map(|title| title.as_str().into()),
        metadata: metadata
            .iter()
            .filter(|(name, change)| account.text(name) == Some(&change.new))
            .map(|(name, change)| (name.clone(), change.new.clone()))
            .collect(),
    };
    shared.journal.record(fact).await?;
    shared.stepped(step, key, link, trace);
    let differs = if wrong_title {
        Some("the title".to_owned())
    } else {
        wrong_key.map(|(name, _)| format!("metadata `{name}`"))
    };
    match differs {
        None => Ok(()),
        Some(what) => Err(not_as_asked(step, &what)),
    }
}

async fn update_profile(
    shared: &Shared,
    client: &Client,
    key: &UserKey,
    link: &Link,
    change: &ProfileChange,
) -> Result<(), Halt> {
    let ProfileChange { name, picture } = change;
    let step = Step::UpdateProfile;
    let picture = match picture {
        None => None,
        Some(picture) => Some((&picture.new, picture_file(shared, &picture.new).await?)),
    };
    let name = name.as_ref().map(|name| &name.new);
    let file = picture.as_ref().map(|(_, file)| file);
    let Some(update) = ProfileUpdate::new(client.platform(), &link.owner, name, file) else {
        return Ok(());
    };
    let permit = shared.admit(client, Operation::UpdateUser, step).await?;
    shared.journal.begin(Intent::Profile { key: key.clone() }).await?;
    let (shown, trace) = match client.update_profile(permit, &update).await {
        Ok(Answered { value, trace }) => (value, trace),
        Err(error) => return Err(shared.settle_failure(key, step, error).await),
    };
    let taken = name.filter(|name| shown.name.as_deref() == Some(name.as_str()));
    let refused = name.is_some() && taken.is_none();
    let fact = Fact::Profile {
        key: key.clone(),
        name: taken.map(|name| name.as_str().into()),
        picture: picture.map(|(avatar, _)| AppliedPicture {
            digest: avatar.digest,
            url: shown.picture,
        }),
    };
    shared.journal.record(fact).await?;
    shared.stepped(step, key, link, trace);
    if refused {
        Err(not_as_asked(step, "the name"))
    } else {
        Ok(())
    }
}

/// Waits until the picture is ready on Whop or the run is stopping.
async fn picture_file(shared: &Shared, avatar: &Avatar) -> Result<FileId, Halt> {
    tokio::select! {
        biased;
        ready = shared.pictures.ready(&avatar.digest) => ready.map_err(Halt::With),
        why = shared.until_stopped() => Err(Halt::With(Outcome::Left { why })),
    }
}

fn not_as_asked(step: Step, what: &str) -> Halt {
    Halt::With(Outcome::Failed(failure(
        step,
        Code::AnswerInvalid,
        format!("Whop accepted the change, but its answer shows {what} differently from what was sent"),
        "check the user on Whop; the next plan compares again",
    )))
}

impl Shared {
    /// Reports that a step for a user is done.
    fn stepped(&self, step: Step, key: &UserKey, link: &Link, trace: Trace) {
        self.tell(Event::Stepped {
            step,
            subject: Subject::User(key.clone(), link.clone()),
            trace,
        });
    }

    /// Waits for the operation's budget; nothing begins after a stop.
    async fn admit(&self, client: &Client, operation: Operation, step: Step) -> Result<Permit, Halt> {
        if let Some(why) = self.stopped() {
            return Err(Halt::With(Outcome::Left { why }));
        }
        match client.admit(operation).await {
            Ok(permit) => Ok(permit),
            Err(error) => Err(Halt::With(self.halt(step, error))),
        }
    }

    /// Records that a refused request had no effect. A request whose effect is
    /// unknown stays open in the journal for the next run to settle.
    async fn settle_failure(&self, key: &UserKey, step: Step, error: CallError) -> Halt {
        if error.effect == Effect::None
            && self
                .journal
                .record(Fact::Refused { key: key.clone() })
                .await
                .is_err()
        {
            return Halt::NotWritten;
        }
        Halt::With(self.halt(step, error))
    }

    /// Like [`Shared::halt`], for a resend: the effect of the first attempt is
    /// unknown, whatever became of this one.
    fn halt_in_doubt(&self, step: Step, error: CallError) -> Halt {
        let error = CallError {
            effect: Effect::Unknown,
            ..error
        };
        Halt::With(self.halt(step, error))
    }

    /// Turns a failed call into an outcome, and stops the run if every further
    /// request would fail too.
    pub(super) fn halt(&self, step: Step, error: CallError) -> Outcome {
        if error.kind == CallErrorKind::Stopped && error.effect == Effect::None {
            return Outcome::Left {
                why: self.stopped().unwrap_or(Stop::Interrupted),
            };
        }
        let failure = Failure {
            step,
            code: error.code().as_str().to_owned(),
            message: error.message.clone(),
            hint: error.hint(),
            status: error.status,
            request_id: error.request_id.clone(),
        };
        let in_doubt = error.effect == Effect::Unknown;
        if error.is_fatal() {
            self.fail_run(error.into_error());
        }
        if in_doubt {
            Outcome::InDoubt(failure)
        } else {
            Outcome::Failed(failure)
        }
    }
}
