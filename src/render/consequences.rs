//! What a plan means for people and for Whop's limits, as short labelled
//! sentences. Shared by Markdown and HTML.

use super::Header;
use super::messages::{self, number, plural, plural_of};
use crate::core::plan::Plan;
use crate::core::summary::{self, Counts, REQUESTS_PER_MINUTE};

/// A label and its sentence; neither contains foreign text.
pub(super) type Note = (&'static str, String);

/// The consequences of a plan.
pub(super) fn consequences(plan: &Plan, header: &Header, counts: &Counts) -> Vec<Note> {
    let mut notes = Vec::new();
    if counts.create > 0 {
        let addresses = plural_of(counts.create, "address", "addresses");
        notes.push((
            "Mail",
            format!("Whop writes to {addresses}, one for each new account."),
        ));
    }
    if counts.pictures > 0 {
        let (set, upload) = (plural(counts.pictures, "picture"), number(counts.uploads));
        notes.push(("Pictures", format!("{set} to set, {upload} to upload.")));
    }
    if counts.pictures_again > 0 {
        let pictures = plural(counts.pictures_again, "picture");
        notes.push((
            "Again",
            format!(
                "{pictures} may be there already. Whop does not say which picture an adopted user has, so it is set once more."
            ),
        ));
    }
    if counts.learned > 0 {
        let entries = plural_of(counts.learned, "entry", "entries");
        notes.push(("Mapping", format!("apply completes {entries} without a request.")));
    }
    let requests = summary::requests(plan, header.dialect);
    if !requests.is_empty() {
        let total: u64 = requests.values().sum();
        let floor = messages::span(summary::floor_seconds(&requests, REQUESTS_PER_MINUTE));
        notes.push((
            "Requests",
            format!(
                "at least {}, which take at least {floor} at {REQUESTS_PER_MINUTE} a minute for each operation.",
                number(total)
            ),
        ));
    }
    notes
}
