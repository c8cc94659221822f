//! What changed on Whop since the last apply, for people: a block per user, the
//! unknown accounts, and the totals.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use super::Header;
use super::change::{clipped, quoted};
use super::escape::Safe;
use super::messages::{number, plural};
use super::style::{Palette, Tone};
use crate::core::drift::{Drift, FieldDrift, NewAccount, Others, State, UserDrift};
use crate::core::model::Link;
use crate::core::plan::{Cause, Reads};

/// How many unknown accounts are named; the rest are counted.
const UNKNOWN_NAMED: usize = 20;

/// Writes the whole comparison.
///
/// # Errors
/// The writer's own.
pub fn write(
    out: &mut dyn Write,
    drift: &Drift,
    header: &Header,
    others: Others,
    palette: Palette,
) -> io::Result<()> {
    // Standard output would flush after every line.
    let out = &mut BufWriter::new(out);
    let (server, version) = (Safe(&header.server), Safe(&header.version));
    writeln!(
        out,
        "Drift of {} on {server} (API version {version})",
        header.company
    )?;
    writeln!(out)?;
    for user in &drift.users {
        block(out, user, palette)?;
    }
    if !drift.unknown.is_empty() {
        writeln!(out, "Not in the mapping: accounts under the company")?;
        for account in drift.unknown.iter().take(UNKNOWN_NAMED) {
            let NewAccount { account, title, user } = account;
            write!(
                out,
                "    {} {}",
                palette.paint(Tone::Faint, account),
                quoted(title)
            )?;
            if let Some(user) = user {
                write!(out, ", which apply adopts as {}", Safe(user))?;
            }
            writeln!(out)?;
        }
        if drift.unknown.len() > UNKNOWN_NAMED {
            let more = number(drift.unknown.len() - UNKNOWN_NAMED);
            writeln!(out, "    and {more} more; `--format json` lists all")?;
        }
        writeln!(out)?;
    }
    for (key, why) in &drift.unreadable {
        writeln!(
            out,
            "The profile of {} could not be read: {}",
            Safe(key),
            clipped(why)
        )?;
    }
    writeln!(
        out,
        "{}",
        palette.paint(Tone::Strong, Safe(headline(drift, others)))
    )?;
    for note in notes(drift) {
        writeln!(out, "  {note}")?;
    }
    out.flush()
}

fn block(out: &mut dyn Write, user: &UserDrift, palette: Palette) -> io::Result<()> {
    let UserDrift {
        key,
        link: Link { account, owner },
        fate: _,
        managed: _,
        fields,
    } = user;
    let (sign, tone) = match user.state() {
        State::Contradicted => ('!', Tone::Bad),
        State::Gone | State::OwnerMissing => ('-', Tone::Bad),
        State::Suspended => ('!', Tone::Hold),
        State::Both | State::Drifted => ('~', Tone::Change),
        State::Edited => ('*', Tone::Faint),
    };
    let lead = palette.paint(tone, format!("{sign} {}", state(user.state())));
    let link = palette.paint(Tone::Faint, format!("({account}, {owner})"));
    writeln!(out, "{lead} {} {link}", palette.paint(Tone::Strong, Safe(key)))?;
    if let Some(note) = note(user) {
        writeln!(out, "    {note}")?;
    }
    let widest = fields
        .iter()
        .map(|field| clipped(&field.name).chars().count())
        .max();
    let width = widest.unwrap_or(0).min(28);
    for field in fields {
        writeln!(
            out,
            "    {:width$}  {}",
            clipped(&field.name),
            change(field, quoted)
        )?;
    }
    writeln!(out)
}

/// The remark about the account as a whole.
pub(super) fn note(user: &UserDrift) -> Option<&'static str> {
    Some(match (user.state(), user.managed) {
        (State::Contradicted, _) => {
            "the mapping links this account to the user, but other evidence contradicts that; `whop-sync plan` shows both and what to do"
        }
        (State::Gone, true) => "the account is gone from Whop; apply creates a new one",
        (State::Gone, false) => {
            "the account is gone from Whop, and the user from the manifest; apply forgets the link"
        }
        (State::OwnerMissing, _) => {
            "Whop reports that the account's owner does not exist; check the account on Whop"
        }
        (State::Suspended, _) => "Whop has suspended the account; resolve this with Whop",
        (State::Both | State::Drifted | State::Edited, _) => return None,
    })
}

/// One value as applied, on Whop and in the manifest, naming only those that
/// differ. `shown` makes a foreign text safe for the output.
pub(super) fn change(field: &FieldDrift, shown: impl Fn(&str) -> String) -> String {
    let FieldDrift {
        name,
        applied,
        shown: on_whop,
        wanted,
        cause,
    } = field;
    let is_picture = &**name == "avatar";
    let value = |value: &Option<Box<str>>| match value {
        None => "none".to_owned(),
        Some(text) if is_picture => text.chars().take(12).collect(),
        Some(text) => shown(text),
    };
    let on_whop = match is_picture {
        true => "another picture on Whop".to_owned(),
        false => format!("{} on Whop", value(on_whop)),
    };
    let wanted = format!("{} in the manifest", value(wanted));
    let applied = value(applied);
    match cause {
        Cause::New => format!("{wanted}, never applied"),
        Cause::Edited => format!("{applied} → {wanted}"),
        Cause::Drifted => format!("{applied} → {on_whop}"),
        Cause::Both => format!("{applied} → {on_whop}, {wanted}"),
    }
}

/// The comparison in one line.
pub(super) fn headline(drift: &Drift, others: Others) -> String {
    let mut states: BTreeMap<State, usize> = BTreeMap::new();
    for user in &drift.users {
        *states.entry(user.state()).or_default() += 1;
    }
    let count = |state| states.get(&state).copied().unwrap_or(0);
    let parts = [
        (count(State::Contradicted), "contradicted"),
        (count(State::Gone), "gone"),
        (count(State::OwnerMissing), "without an owner"),
        (count(State::Suspended), "suspended"),
        (count(State::Both), "edited and drifted"),
        (count(State::Drifted), "drifted"),
        (drift.unknown.len(), "not in the mapping"),
        (count(State::Edited), "edited"),
        (drift.unchanged, "unchanged"),
    ];
    let said: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", number(*count)))
        .collect();
    let lead = if drift.is_drift(others) {
        "Drift"
    } else {
        "No drift"
    };
    match said.is_empty() {
        true => lead.to_owned(),
        false => format!("{lead}: {}", said.join(", ")),
    }
}

/// Remarks on the comparison, one per line.
pub(super) fn notes(drift: &Drift) -> Vec<String> {
    let Reads {
        accounts,
        profiles,
        from_mapping,
    } = drift.reads;
    let mut notes = vec![format!(
        "looked at   {}, {}; {} taken from the mapping",
        plural(accounts, "account"),
        plural(profiles, "profile"),
        number(from_mapping)
    )];
    if !drift.complete {
        notes.push(
            "incomplete  Whop did not list every account, so missing ones are not reported as gone"
                .to_owned(),
        );
    }
    if drift.left_out > 0 {
        notes.push(format!(
            "partial     `--only` leaves out {}",
            plural(drift.left_out, "user")
        ));
    }
    if can_be_reset(drift) {
        notes.push(format!("fix         {}", FIX));
    }
    notes
}

/// Whether any values drifted that an apply would reset.
pub(super) fn can_be_reset(drift: &Drift) -> bool {
    let users = drift.users.iter();
    let mut theirs = users.filter(|user| user.state() != State::Contradicted);
    theirs.any(|user| user.fields.iter().any(FieldDrift::is_drift))
}

/// What to do about drifted values.
pub(super) const FIX: &str =
    "apply restores the manifest's values; to keep Whop's, write them into the manifest";

/// The word for a state.
pub(super) fn state(state: State) -> &'static str {
    match state {
        State::Contradicted => "contradicted",
        State::Gone => "gone",
        State::OwnerMissing => "owner gone",
        State::Suspended => "suspended",
        State::Both => "edited and drifted",
        State::Drifted => "drifted",
        State::Edited => "edited",
    }
}
