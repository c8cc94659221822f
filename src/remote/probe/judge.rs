//! What the answers to the probes mean. Pure: looks in, outcomes out.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::Value;

use super::super::date::moment;
use super::super::error::scopes_in;
use super::look::{List, Look};
use crate::core::assumption::Outcome::{self, CannotBeTold, Differs, Holds};

/// An outcome, and what was seen.
pub(super) type Told = (Outcome, String);

/// An account of the last so many seconds is new.
const NEW: u64 = 60;

/// What all answers together tell.
#[derive(Debug, Default)]
pub(super) struct Seen {
    answers: u32,
    without_id: u32,
    with_ray: u32,
    redirects: Vec<u16>,
    limited: u32,
    retry_after: u32,
}

impl Seen {
    /// Notes one.
    pub(super) fn note(&mut self, look: &Look) {
        let Some(status) = look.status else { return };
        self.answers += 1;
        self.without_id += u32::from(!look.request_id);
        self.with_ray += u32::from(!look.request_id && look.ray);
        if (300..400).contains(&status) {
            self.redirects.push(status);
        }
        if status == 429 {
            self.limited += 1;
            self.retry_after += u32::from(look.retry_after);
        }
    }

    pub(super) fn request_id(&self) -> Told {
        match (self.answers, self.without_id) {
            (0, _) => unanswered(),
            (answers, 0) => (Holds, format!("on all of {answers} answers")),
            (answers, without) => (
                Differs,
                format!(
                    "not on {without} of {answers} answers, of which {} have `cf-ray`",
                    self.with_ray
                ),
            ),
        }
    }

    pub(super) fn redirects(&self) -> Told {
        match (self.answers, self.redirects.first()) {
            (0, _) => unanswered(),
            (answers, None) => (Holds, format!("none among {answers} answers")),
            (answers, Some(status)) => (
                Differs,
                format!("{} of {answers} answers, such as {status}", self.redirects.len()),
            ),
        }
    }

    pub(super) fn retry_after(&self) -> Told {
        match (self.limited, self.retry_after) {
            (0, _) => (CannotBeTold, "the limit was not met".to_owned()),
            (_, 0) => (Holds, "a 429 came without it".to_owned()),
            _ => (Differs, "a 429 came with it".to_owned()),
        }
    }
}

fn unanswered() -> Told {
    (CannotBeTold, "nothing was answered".to_owned())
}

/// For a probe that was never asked, which cannot be.
pub(super) fn unasked() -> Told {
    (CannotBeTold, "not asked".to_owned())
}

pub(super) fn not_in_this_generation() -> Told {
    (
        CannotBeTold,
        "the older API version has no such question".to_owned(),
    )
}

/// An answer that says nothing about what was asked.
fn failed(look: &Look) -> Told {
    let told = match look.status {
        Some(status) => format!("HTTP {status}: {}", look.told),
        None => look.told.clone(),
    };
    (CannotBeTold, told)
}

/// Accounts of one moment, in the order of two readings. One that came or went
/// between them tells nothing.
pub(super) fn order(first: &Look, again: &Look) -> Told {
    for look in [first, again] {
        if !look.is_well() {
            return failed(look);
        }
    }
    let places: BTreeMap<&str, usize> = again
        .entries()
        .iter()
        .enumerate()
        .filter_map(|(at, entry)| Some((entry["id"].as_str()?, at)))
        .collect();
    let there: Vec<(Option<SystemTime>, usize)> = first
        .entries()
        .iter()
        .filter_map(|entry| {
            let made = entry["created_at"].as_str().and_then(moment);
            Some((made, *places.get(entry["id"].as_str()?)?))
        })
        .collect();
    if !there.is_sorted_by_key(|(_, at)| *at) {
        return (
            Differs,
            "two readings of one page had the same accounts in another order".to_owned(),
        );
    }
    let alike = there
        .windows(2)
        .filter(|pair| pair[0].0.is_some() && pair[0].0 == pair[1].0);
    match alike.count() {
        0 => (
            CannotBeTold,
            format!("of {} accounts no two were made at the same moment", there.len()),
        ),
        count => (
            Holds,
            format!("{count} pairs of one moment came in the same order twice"),
        ),
    }
}

pub(super) fn last_cursor(list: &List) -> Told {
    if !list.last.is_well() {
        return failed(&list.last);
    }
    if list.last.entries().is_empty() {
        return (CannotBeTold, "the last page is empty".to_owned());
    }
    let told = match list.last.body["page_info"]["end_cursor"].as_str() {
        _ if !list.ended => return (CannotBeTold, "the last page was not reached".to_owned()),
        Some(cursor) if !cursor.is_empty() => (Differs, "there is one"),
        _ => (Holds, "it is null or empty there"),
    };
    (told.0, told.1.to_owned())
}

/// How the first listed account says when it was made.
pub(super) fn stamp_offset(list: &List) -> Told {
    let Some(entry) = list.entries.first() else {
        return nobody_listed(list);
    };
    let Some(stamp) = entry["created_at"].as_str() else {
        return (
            CannotBeTold,
            "an account does not say when it was made".to_owned(),
        );
    };
    let offset = stamp.len() == "2026-10-02T10:00:00+02:00".len() && !stamp.contains('.');
    (if offset { Holds } else { Differs }, format!("such as {stamp}"))
}

/// `left_out` are mapped accounts that are not listed; `there` is one of them
/// that exists all the same.
pub(super) fn lag(list: &List, left_out: &[String], there: Option<&str>, now: Option<u64>) -> Told {
    if let Some(there) = there {
        return (Differs, format!("{there} exists, but a whole list leaves it out"));
    }
    if !list.ended {
        return match list.last.is_well() {
            true => (CannotBeTold, "the list is too long to be read here".to_owned()),
            false => failed(&list.last),
        };
    }
    let newest = list
        .entries
        .iter()
        .filter_map(|entry| created(entry["created_at"].as_str()?))
        .max();
    match (newest, now) {
        (Some(newest), Some(now)) if newest + NEW >= now => {
            (Holds, "an account of the last minute is listed".to_owned())
        }
        _ if !left_out.is_empty() => (
            CannotBeTold,
            format!(
                "{} mapped accounts are not listed, and not there either",
                left_out.len()
            ),
        ),
        (_, None) => (CannotBeTold, "the server does not tell its time".to_owned()),
        _ => (CannotBeTold, "no account was made in the last minute".to_owned()),
    }
}

/// Seconds since 1970.
fn created(text: &str) -> Option<u64> {
    let since = moment(text)?.duration_since(std::time::UNIX_EPOCH);
    Some(since.ok()?.as_secs())
}

/// `expected` is whether the version in use is assumed to have it; `None` for
/// the generation that has no accounts.
pub(super) fn external_id(list: &List, expected: Option<bool>) -> Told {
    let Some(expected) = expected else {
        return not_in_this_generation();
    };
    let Some(entry) = list.entries.first() else {
        return nobody_listed(list);
    };
    let there = entry.get("external_id").is_some();
    let seen = match there {
        true => "an account has the field",
        false => "an account has no such field",
    };
    (if there == expected { Holds } else { Differs }, seen.to_owned())
}

/// The owner in a listed account, of either generation.
pub(super) fn owner(entry: &Value) -> Option<&Value> {
    ["owner", "owner_user"]
        .iter()
        .map(|name| &entry[*name])
        .find(|owner| owner.is_object())
}

/// `None` where the owner's names are the same, so that nothing can be told.
pub(super) fn owner_name(listed: Option<&str>, shown: &Look, global: &Look) -> Option<Told> {
    if !(shown.is_well() && global.is_well()) {
        return None;
    }
    let (shown, global) = (shown.body["name"].as_str(), global.body["name"].as_str());
    let (listed, shown, global) = (named(listed), named(shown), named(global));
    if shown == global {
        None
    } else if listed == global {
        Some((Holds, format!("the list has {global}, the company shows {shown}")))
    } else if listed == shown {
        Some((
            Differs,
            format!("the list has {shown} as the company does; the global one is {global}"),
        ))
    } else {
        Some((
            Differs,
            format!("the list has {listed}, the company shows {shown}, the global one is {global}"),
        ))
    }
}

fn named(name: Option<&str>) -> String {
    name.map_or_else(|| "no name".to_owned(), |name| format!("{name:?}"))
}

/// None of the owners that were looked at has a name of its own in the company.
pub(super) fn no_owner(looked_at: usize) -> Told {
    (
        CannotBeTold,
        format!("none of {looked_at} owners has two different names"),
    )
}

/// Nothing is listed.
pub(super) fn nobody_listed(list: &List) -> Told {
    if list.first.is_well() {
        (CannotBeTold, "no account is listed".to_owned())
    } else {
        failed(&list.first)
    }
}

/// `set` is the URL, without its query, that the last apply left.
pub(super) fn picture_url(one: &Look, two: &Look, set: Option<&str>) -> Told {
    for look in [one, two] {
        if !look.is_well() {
            return failed(look);
        }
    }
    let url = |look: &Look| {
        let url = look.body["profile_picture"]["url"].as_str()?;
        let end = url.find(['?', '#']).unwrap_or(url.len());
        Some(url[..end].to_owned())
    };
    let told = match (url(one), url(two)) {
        (None, _) | (_, None) => (CannotBeTold, "the profile shows no picture"),
        (Some(one), Some(two)) if one != two => (Differs, "two readings gave two URLs"),
        (Some(one), _) => match set {
            Some(set) if set == one => (Holds, "it is the one of the last apply"),
            Some(_) => (
                CannotBeTold,
                "the same twice, but not the one of the last apply: the picture may have been replaced",
            ),
            None => (CannotBeTold, "the same twice in a row; ask again after an apply"),
        },
    };
    (told.0, told.1.to_owned())
}

/// `scope` is the one that is known to be needed.
pub(super) fn retrieve_scope(scope: &str, may: &Look, account: &Look) -> Told {
    if let (Some(403), Some(other)) = (
        account.status,
        scopes_in(&account.told).find(|named| *named != scope),
    ) {
        return (Differs, format!("refused with 403 for `{other}`"));
    }
    let granted = may.body["data"][0]["granted"].as_bool();
    let Some(granted) = granted.filter(|_| may.is_well()) else {
        return failed(may);
    };
    let told = match (granted, account.status) {
        (true, Some(200)) => (CannotBeTold, "the key has the scope, and can read one"),
        (true, Some(403)) => (Differs, "the key has the scope, and is refused with 403"),
        (false, Some(200)) => (Differs, "the key lacks the scope, and can read one"),
        (false, Some(403)) => (Holds, "the key lacks the scope, and is refused with 403"),
        _ => return failed(account),
    };
    (told.0, told.1.to_owned())
}

pub(super) fn companies_page(page: &Look) -> Told {
    if matches!(page.status, Some(400 | 422)) {
        return (Differs, format!("refused: {}", page.told));
    }
    if !page.is_well() {
        return failed(page);
    }
    let goes_on = page.body["page_info"]["has_next_page"] == true;
    match (page.entries().len(), goes_on) {
        (50, _) => (Holds, "a page had 50".to_owned()),
        (count, false) if count < 50 => (CannotBeTold, format!("there are only {count} companies")),
        (count, _) => (Differs, format!("a page that may have 50 had {count}")),
    }
}

/// The first page with a parameter that nobody knows, beside one without.
pub(super) fn unknown_parameters(plain: &Look, stray: &Look) -> Told {
    match stray.status {
        _ if !plain.is_well() => failed(plain),
        Some(200) => (Holds, "one more parameter changed nothing".to_owned()),
        Some(400 | 422) => (Differs, format!("refused: {}", stray.told)),
        _ => failed(stray),
    }
}

pub(super) fn version_error(look: &Look) -> Told {
    let Some(status) = look.status else {
        return failed(look);
    };
    let kind = look.body["error"]["type"].as_str().unwrap_or("none");
    let code = if look.code.is_empty() { "none" } else { &look.code };
    let fits = (status, code) == (400, "none");
    let outcome = match status {
        // Nobody came to look at the version.
        401 | 429 | 500.. => CannotBeTold,
        _ if fits => Holds,
        _ => Differs,
    };
    (outcome, format!("HTTP {status}, type {kind}, code {code}"))
}
