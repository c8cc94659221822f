//! The sentences: one for each hold and each broken limit, with advice on what
//! to do. Human and machine outputs share them.
//!
//! They quote foreign text unchanged; the caller escapes the whole sentence
//! ([`super::escape`]).

use std::fmt::Display;
use std::time::{Duration, UNIX_EPOCH};

use super::mask;
use crate::core::identity::{Contradiction, Dissent, Evidence};
use crate::core::model::{Guard, Guardrails, KnownUser, Limit};
use crate::core::plan::{Breach, Cause, Caution, Kind, NewAccount, Reason, Unrepeatable, Verb};
use crate::core::report::Stop;
use crate::core::summary::Counts;

/// How many items a sentence names; the rest are counted.
const NAMED: usize = 5;

/// A sentence without a full stop, and advice on what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What is the case.
    pub message: String,
    /// What to do about it.
    pub what_to_do: String,
}

fn advice(message: impl Into<String>, what_to_do: impl Into<String>) -> Advice {
    Advice {
        message: message.into(),
        what_to_do: what_to_do.into(),
    }
}

/// Why a create in doubt is held.
fn in_doubt(begun: u64, why: Unrepeatable) -> Advice {
    let settle = "to settle it now, check Whop's dashboard: if the account is not there, `--allow in_doubt --only ID` creates it for this user";
    let begun = time(begun);
    match why {
        Unrepeatable::Version => advice(
            format!(
                "a create sent at {begun} got no answer, and what Whop shows does not tell whether it worked"
            ),
            format!("run again later to check again; {settle}"),
        ),
        Unrepeatable::Different => advice(
            format!(
                "the journal beside the mapping contains a create sent at {begun} that got no answer, and it asks for something other than the manifest does now"
            ),
            format!(
                "if the manifest has not changed since, someone else wrote that journal: restore it; otherwise run again later to check again; {settle}"
            ),
        ),
        Unrepeatable::Ahead => advice(
            format!(
                "the journal beside the mapping contains a create sent at {begun} that got no answer, and by Whop's clock that time is still to come"
            ),
            format!(
                "if the clock was right when it was sent, someone else wrote that journal: restore it; otherwise run again later to check again; {settle}"
            ),
        ),
    }
}

/// Why a user is held, and what to do.
pub fn reason(reason: &Reason) -> Advice {
    match reason {
        Reason::Ambiguous { by, accounts } => advice(
            format!(
                "{} accounts match by {}: {}",
                accounts.len(),
                evidence(*by),
                list(accounts)
            ),
            "decide which one is this user's: set `metadata.external_id` on Whop to this user's id on that one, and clear it on the others",
        ),
        Reason::LinkedElsewhere { account, other } => advice(
            format!("account `{account}` matches, but the mapping links it to user `{other}`"),
            format!(
                "if this user was `{other}` before, add `renamed_from: {other}`; if the mapping is wrong, remove the line of `{other}` from it; if the account is wrong, correct its metadata on Whop"
            ),
        ),
        Reason::Contradicted(contradiction) => contradicted(contradiction),
        Reason::MappedTwice { account, others } => advice(
            format!(
                "the mapping links account `{account}` to this user and also to {}",
                list(others)
            ),
            "remove these lines from the mapping; the next run finds each account by its `external_id`",
        ),
        // Readers of a plan must not learn from it which address belongs to an
        // id.
        Reason::EmailChanged { account, observed } => advice(
            format!(
                "account `{account}` has another email, `{}`, and Whop cannot change it",
                mask::address(observed)
            ),
            "either put that email into the manifest (`whop-sync explain` shows it in full), or have the address corrected on Whop by hand (the API cannot do it), or give this user a new id, which creates a new account",
        ),
        Reason::EmailTaken { account, external_id } => email_taken(account, external_id.as_deref()),
        Reason::SharedOwner { owner, others } => advice(
            format!(
                "on Whop this user is the same person (`{owner}`) as {}, and a person has only one profile per company",
                list(others)
            ),
            "keep only one of these users in the manifest, or give each an account with an email of its own",
        ),
        Reason::Vanished => advice(
            "nothing is created while more than a tenth of the mapped accounts cannot be found",
            "check company, server and key; if those accounts really are gone, run once with `--allow vanished`",
        ),
        Reason::InDoubt { begun, why } => in_doubt(*begun, *why),
        Reason::Suspended { account } => advice(
            format!("Whop has suspended account `{account}`"),
            "resolve this with Whop, or remove the user from the manifest",
        ),
        Reason::MetadataFixed { keys } => advice(
            format!(
                "metadata differs ({}), and this API version cannot change it",
                list(keys)
            ),
            "write Whop's values into the manifest, or use a newer `--api-version`",
        ),
        Reason::Incomplete => advice(
            "Whop did not list every account, so one that is missing from the list may still exist",
            "run again; if this persists, `whop-sync doctor` shows what Whop leaves out",
        ),
        Reason::Unreadable { message } => advice(
            format!("this user could not be read: {message}"),
            "run again; if this persists, `whop-sync doctor` shows whether the key lacks a scope; otherwise ask Whop \
             about this user",
        ),
        Reason::OwnerMissing { owner } => advice(
            format!("Whop reports that the account's owner `{owner}` does not exist"),
            "check the account on Whop, and ask Whop's support if it looks right there",
        ),
    }
}

/// Contradictory evidence: what each side claims, which one is wrong, and how
/// to fix it.
fn contradicted(contradiction: &Contradiction) -> Advice {
    let Contradiction {
        account,
        under,
        dissent,
        carrier,
    } = contradiction;
    let claim = match under {
        Some(under) => format!("the mapping links `{under}` to account `{account}`, but "),
        None => format!("account `{account}` carries this user's id, but "),
    };
    let dissents = match dissent {
        Dissent::Id { by, id } => format!("the account carries `{id}` under `{}`", evidence(*by)),
        Dissent::Owner { mapped, owner } => format!(
            "the account carries no id, and its owner is `{owner}`, while the mapping says `{mapped}`"
        ),
        Dissent::Email => "the account carries no id, and its email is not this user's".to_owned(),
        Dissent::Silence => {
            "the account carries no id and shows no email, so nothing confirms that it is this user's"
                .to_owned()
        }
    };
    let message = format!("{claim}{dissents}");
    let Some(under) = under else {
        return advice(
            message,
            "correct the account's metadata on Whop so that both keys carry the id of the same user",
        );
    };
    let remove = format!("remove the line of `{under}` from it");
    let what_to_do = match (carrier, dissent) {
        (Some(carrier), _) if carrier != account => {
            format!(
                "the mapping is wrong: {remove}; account `{carrier}` carries this user's id, so the next run finds it"
            )
        }
        (_, Dissent::Id { by, id }) => format!(
            "if the mapping is wrong, {remove}; if this user was `{id}` before, add `renamed_from: {id}`; if the account is wrong, correct its `{}` on Whop",
            evidence(*by)
        ),
        (_, Dissent::Owner { .. } | Dissent::Email) => format!(
            "if the mapping is wrong, {remove}; if the account is this user's after all, set its `metadata.external_id` on Whop to this user's id"
        ),
        (_, Dissent::Silence) => format!(
            "if the mapping is wrong, {remove}; if the account is this user's, run once with a dated `--api-version`, which shows the email and sets the id"
        ),
    };
    advice(message, what_to_do)
}

fn email_taken(account: impl Display, external_id: Option<&str>) -> Advice {
    let carries = match external_id {
        Some(id) => format!("carries the id `{id}`"),
        None => "carries no id of this platform".to_owned(),
    };
    advice(
        format!("the email already belongs to account `{account}`, which {carries}"),
        "if it is the same person, use that id or `renamed_from`; if not, use another email; `--allow duplicate` creates a second account for the same person",
    )
}

/// Why a plan is refused, and how to allow it once.
pub fn breach(breach: &Breach) -> Advice {
    let Breach {
        guard,
        most,
        wanted,
        limit,
    } = breach;
    let name = guard.name();
    let what = match guard {
        Guard::MaxCreates => "accounts to create",
        Guard::MaxUpdates => "users to change",
        Guard::MaxAvatars => "pictures to set",
        Guard::Vanished => "mapped accounts missing on Whop",
        Guard::Duplicate => "emails that already have an account",
        Guard::InDoubt => "creates in doubt",
        Guard::TooLarge => "users to review in a comment",
        Guard::Stale => return stale(*wanted),
    };
    let set = match limit {
        Some(limit @ Limit::Percent(_)) => {
            format!(" ({limit} of the accounts on Whop that carry an id of this manifest)")
        }
        Some(Limit::Count(_)) | None => String::new(),
    };
    let what_to_do = match guard {
        Guard::MaxCreates | Guard::MaxUpdates | Guard::MaxAvatars => {
            format!(
                "if this is intended, pass `--allow {name}` for this run, or raise `guardrails.{name}` in the manifest"
            )
        }
        Guard::Vanished => {
            format!("check company, server and key; if the accounts really are gone, pass `--allow {name}`")
        }
        Guard::Duplicate | Guard::InDoubt => {
            format!(
                "check the users held for this; pass `--allow {name}` only if second accounts are acceptable"
            )
        }
        Guard::TooLarge => format!(
            "split the change, or review the JSON or HTML report, which show more, and pass `--allow {name}`"
        ),
        Guard::Stale => return stale(*wanted),
    };
    advice(
        format!(
            "`{name}`: {} {what}, at most {}{set}",
            number(*wanted),
            number(*most)
        ),
        what_to_do,
    )
}

/// What a reviewer must know about the limits before anything else.
pub fn caution(caution: &Caution) -> String {
    match caution {
        Caution::Lax { guard, limit } => {
            let name = guard.name();
            let defaults: Vec<String> = Guardrails::defaults(*guard)
                .iter()
                .map(Limit::to_string)
                .collect();
            let larger = if defaults.len() > 1 {
                ", whichever is more"
            } else {
                ""
            };
            format!(
                "the manifest sets `{name}: {limit}`, which allows more than the default of {}{larger}",
                defaults.join(" or ")
            )
        }
        Caution::Lifted(guard) => format!("`--allow {}` lifts this limit for the run", guard.name()),
        Caution::SetUp { wanted, most } => format!(
            "{} to create, more than the {} that `max_creates` allows by default; the limit does not apply yet, \
             because fewer than {} of the accounts on Whop with an id of this manifest are older than a day",
            plural(*wanted, "account"),
            number(*most),
            Guardrails::DEFAULTS_FROM
        ),
    }
}

/// The manifest is older than the one that was applied last.
fn stale(since: usize) -> Advice {
    advice(
        format!(
            "`stale`: this manifest is older than what was applied last, by {}",
            plural(since, "applied state")
        ),
        "apply the newest commit instead; to go back on purpose, pass `--allow stale`",
    )
}

/// The sign and the word of an action. Outputs always show both, so that
/// neither colour nor a single character carries the meaning alone.
pub fn verb(verb: Verb) -> (char, &'static str) {
    match verb {
        Verb::Create => ('+', "create"),
        Verb::Adopt => ('=', "adopt"),
        Verb::Update => ('~', "update"),
        Verb::Forget => ('-', "forget"),
    }
}

/// The remark about a cause; a new or edited value needs none.
pub fn cause(cause: Cause) -> Option<&'static str> {
    match cause {
        Cause::New | Cause::Edited => None,
        Cause::Drifted => Some("drifted"),
        Cause::Both => Some("edited and drifted"),
    }
}

/// The name of a cause, for outputs where every field has one.
pub fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::New => "new",
        Cause::Edited => "edited",
        Cause::Drifted => "drifted",
        Cause::Both => "edited and drifted",
    }
}

/// What an account was recognised by.
pub fn evidence(by: Evidence) -> &'static str {
    match by {
        Evidence::ExternalId => "metadata.external_id",
        Evidence::InternalUserId => "metadata.internal_user_id",
        Evidence::Email => "email",
    }
}

/// The remark about an action's link in reports; `code` formats an id for the
/// document.
pub(crate) fn link_note(kind: &Kind, code: impl Fn(&str) -> String) -> Option<String> {
    match kind {
        Kind::Create(NewAccount {
            email: _,
            title: _,
            metadata: _,
            resend,
            replaces,
        }) => match (resend, replaces) {
            (Some(_), _) => Some("resends an unanswered request, so no second account is created".to_owned()),
            (None, Some(gone)) => Some(format!("replaces {}, which is gone", code(gone.as_str()))),
            (None, None) => None,
        },
        Kind::Adopt {
            entry: KnownUser { link, .. },
            by,
        } => Some(format!(
            "account {}, found by {}",
            code(link.account.as_str()),
            evidence(*by)
        )),
        Kind::Update { entry: _, record: _ } => None,
        Kind::Forget { link } => Some(format!("account {} is gone", code(link.account.as_str()))),
    }
}

/// A plan in numbers, for reports: each label with its count.
pub(crate) fn tally(counts: &Counts) -> [(&'static str, usize); 8] {
    let Counts {
        create,
        adopt,
        update,
        forget,
        identity_changes: _,
        contradicted: _,
        pictures,
        uploads: _,
        pictures_again: _,
        hold,
        learned: _,
        unmanaged,
        unchanged,
        left_out: _,
    } = *counts;
    [
        ("create", create),
        ("adopt", adopt),
        ("update", update),
        ("forget", forget),
        ("held", hold),
        ("pictures", pictures),
        ("unchanged", unchanged),
        ("unmanaged", unmanaged),
    ]
}

/// Why a run stopped early.
pub fn stop(why: Stop) -> &'static str {
    match why {
        Stop::Interrupted => "it was interrupted",
        Stop::Deadline => "the deadline was near",
        Stop::Fatal => "an error made it pointless to go on",
    }
}

/// A number with commas between thousands.
pub fn number(number: impl TryInto<u64>) -> String {
    // Only a count above 2^64 or below zero would not fit.
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number and its noun, with an `s` unless the number is one.
pub fn plural(count: usize, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {noun}{s}", number(count))
}

/// A number and its noun, for irregular plurals.
pub fn plural_of(count: usize, one: &str, several: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { several })
}

/// A size in bytes, in decimal units as file managers show it.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

/// A duration in whole seconds.
pub fn span(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

/// A time in UTC; as seconds if it is beyond the calendar.
fn time(seconds: u64) -> String {
    // The end of the year 9999, beyond which formatting panics.
    const LAST: u64 = 253_402_300_799;
    match UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) {
        Some(at) if seconds <= LAST => humantime::format_rfc3339_seconds(at).to_string(),
        _ => format!("{seconds} s after 1970"),
    }
}

/// The first few items, and how many more there are.
pub fn list<T: Display>(things: &[T]) -> String {
    let named: Vec<String> = things.iter().take(NAMED).map(|t| format!("`{t}`")).collect();
    match things.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::core::sample;

    #[test]
    fn every_reason_has_its_own_sentence_and_advice() {
        let holds = sample::every_hold();
        let said: Vec<Advice> = holds.iter().map(|hold| reason(&hold.reason)).collect();
        let messages: BTreeSet<&str> = said.iter().map(|w| w.message.as_str()).collect();
        assert_eq!(messages.len(), holds.len());
        for advice in &said {
            assert!(!advice.what_to_do.is_empty());
            assert!(!advice.message.ends_with('.'), "{}", advice.message);
        }
    }

    #[test]
    fn a_hold_names_what_it_is_about() {
        let in_doubt = |begun, why| reason(&Reason::InDoubt { begun, why });
        let doubt = in_doubt(1_700_000_000, Unrepeatable::Version);
        assert!(
            doubt.message.contains("2023-11-14T22:13:20Z"),
            "{}",
            doubt.message
        );
        let other = in_doubt(1_700_000_000, Unrepeatable::Different);
        assert!(other.message.contains("journal"), "{}", other.message);
        let far = in_doubt(u64::MAX, Unrepeatable::Ahead);
        assert!(far.message.contains("s after 1970"), "{}", far.message);
        let many = Reason::MetadataFixed {
            keys: (0..7).map(|n| format!("k{n}").into()).collect(),
        };
        assert!(reason(&many).message.contains("`k4` and 2 more"));
    }

    #[test]
    fn every_breach_says_how_to_allow_it() {
        for guard in Guard::ALL.into_iter().filter(|guard| *guard != Guard::Stale) {
            let advice = breach(&Breach {
                guard,
                most: 3,
                wanted: 1_200,
                limit: Some(Limit::Percent(30)),
            });
            assert!(advice.what_to_do.contains(&format!("--allow {}", guard.name())));
            assert!(advice.message.contains("1,200") && advice.message.contains("at most 3 (30%"));
        }
    }

    #[test]
    fn an_older_manifest_says_by_how_much() {
        let advice = breach(&Breach {
            guard: Guard::Stale,
            most: 0,
            wanted: 1,
            limit: None,
        });
        assert!(
            advice.message.ends_with("by 1 applied state"),
            "{}",
            advice.message
        );
        assert!(advice.what_to_do.contains("--allow stale"));
    }

    #[test]
    fn numbers_are_readable() {
        let shown: Vec<String> = [0u64, 999, 1_000, 1_234_567].map(number).into();
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([999, 49_357, 5_000_000].map(size), ["999 B", "49.3 kB", "5.0 MB"]);
        assert_eq!(
            (plural(1, "user"), plural(0, "user")),
            ("1 user".into(), "0 users".into())
        );
        assert_eq!(span(1_050), "17m 30s");
    }
}
