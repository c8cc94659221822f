//! A plan for people: one block per changed or held user, in the order of their
//! ids, then the summary.

use std::io::{self, BufWriter, Write};

use super::Header;
use super::change::{clipped, picture_change, quoted, text_change};
use super::escape::Safe;
use super::fields::{self, Field, Value};
use super::messages::{self, number, plural, plural_of};
use super::risk_groups;
use super::style::{Palette, Tone};
use crate::core::model::Link;
use crate::core::plan::{Action, Hold, Kind, NewAccount, Plan, Reads, Verb};
use crate::core::summary::{self, Counts, REQUESTS_PER_MINUTE};

/// How many unmanaged accounts are named. The rest are counted, since nothing
/// happens to them.
const UNMANAGED_NAMED: usize = 20;

/// The heading of actions and holds that are about identity.
const IDENTITY: &str =
    "Identity: accounts that get another user, or whose evidence is contradictory. Read these first";

/// Widest column of field names, in characters.
const WIDEST_NAME: usize = 28;

/// Writes the whole plan.
///
/// # Errors
/// The writer's own.
pub fn write(out: &mut dyn Write, plan: &Plan, header: &Header, palette: Palette) -> io::Result<()> {
    let Header {
        company,
        server,
        dialect: _,
        version,
        manifest: _,
    } = header;
    // Standard output would flush after every line.
    let out = &mut BufWriter::new(out);
    let server = Safe(server);
    cautions(out, plan, palette)?;
    writeln!(
        out,
        "Plan for {company} on {server} (API version {})",
        Safe(version)
    )?;
    writeln!(out)?;
    let counts = summary::counts(plan);
    partial(out, &counts, palette)?;
    blocks(out, plan, palette)?;
    unmanaged(out, plan, palette)?;
    summarise(out, plan, header, &counts, palette)?;
    out.flush()
}

/// What a reviewer must know about the limits, before anything else.
fn cautions(out: &mut dyn Write, plan: &Plan, palette: Palette) -> io::Result<()> {
    for caution in &plan.cautions {
        let told = format!("CAUTION: {}", messages::caution(caution));
        writeln!(out, "{}", palette.paint(Tone::Hold, told))?;
    }
    match plan.cautions.is_empty() {
        true => Ok(()),
        false => writeln!(out),
    }
}

/// The notice that a plan does not cover all users.
fn partial(out: &mut dyn Write, counts: &Counts, palette: Palette) -> io::Result<()> {
    if counts.left_out == 0 {
        return Ok(());
    }
    let left_out = plural(counts.left_out, "user");
    let notice = format!("PARTIAL PLAN: `--only` leaves out {left_out} of the manifest");
    writeln!(out, "{}", palette.paint(Tone::Hold, notice))?;
    writeln!(out)
}

/// Actions and holds by user, identity changes first.
fn blocks(out: &mut dyn Write, plan: &Plan, palette: Palette) -> io::Result<()> {
    let is_change = |action: &&Action| action.former_id().is_some();
    let (changes, contradicted) = (
        plan.actions.iter().filter(is_change),
        risk_groups::holds(plan, true),
    );
    if changes.clone().next().is_some() || contradicted.clone().next().is_some() {
        writeln!(out, "{}", palette.paint(Tone::Bad, IDENTITY))?;
        writeln!(out)?;
        merged(out, changes, contradicted, palette)?;
        writeln!(out, "{}", palette.paint(Tone::Strong, "Everything else"))?;
        writeln!(out)?;
    }
    let others = plan.actions.iter().filter(|action| !is_change(action));
    merged(out, others, risk_groups::holds(plan, false), palette)
}

/// Merges actions and holds, which are both sorted already.
fn merged<'a>(
    out: &mut dyn Write,
    actions: impl Iterator<Item = &'a Action>,
    holds: impl Iterator<Item = &'a Hold>,
    palette: Palette,
) -> io::Result<()> {
    let mut holds = holds.peekable();
    for action in actions {
        while let Some(hold) = holds.next_if(|hold| hold.key < action.key) {
            write_hold(out, hold, palette)?;
        }
        write_action(out, action, palette)?;
    }
    holds.try_for_each(|hold| write_hold(out, hold, palette))
}

/// The colour of an action's sign and word.
pub(crate) fn tone(verb: Verb) -> Tone {
    match verb {
        Verb::Create => Tone::Good,
        Verb::Adopt => Tone::Link,
        Verb::Update => Tone::Change,
        Verb::Forget => Tone::Bad,
    }
}

fn write_action(out: &mut dyn Write, action: &Action, palette: Palette) -> io::Result<()> {
    let verb = action.verb();
    let (sign, word) = messages::verb(verb);
    let sign = palette.paint(tone(verb), format!("{sign} {word}"));
    let key = palette.paint(Tone::Strong, Safe(&action.key));
    write!(out, "{sign} {key}")?;
    if let Some(from) = &action.renamed_from {
        write!(out, ", formerly {}", Safe(from))?;
    }
    if let Some(Link { account, owner }) = action.link() {
        write!(
            out,
            " {}",
            palette.paint(Tone::Faint, format!("({account}, {owner})"))
        )?;
    }
    writeln!(out)?;
    if let Some(former) = action.former_id() {
        let name = action
            .name()
            .map_or(String::new(), |name| format!(", shown as {}", quoted(name)));
        writeln!(
            out,
            "    identity change: until now this account was {}{name}",
            Safe(former)
        )?;
    }
    notes(out, &action.kind, palette)?;
    let fields: Vec<Field<'_>> = fields::of(action)
        .into_iter()
        .filter(|field| !field.is_identity(action.key.as_str()))
        .collect();
    let names: Vec<String> = fields.iter().map(|f| clipped(&f.name)).collect();
    let widest = names.iter().map(|name| name.chars().count()).max();
    let width = widest.unwrap_or(0).min(WIDEST_NAME);
    let created = verb == Verb::Create;
    for (field, name) in fields.iter().zip(&names) {
        let value = match &field.value {
            Value::Text { old: None, new } if created => quoted(new),
            Value::Text { old, new } => text_change(*old, new, palette),
            Value::Picture(change) => picture_change(change, created),
        };
        write!(out, "    {name:width$}  {value}")?;
        if let Some(mark) = messages::cause(field.cause) {
            write!(out, "  {}", palette.paint(Tone::Change, format!("({mark})")))?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

/// Remarks about the link itself.
fn notes(out: &mut dyn Write, kind: &Kind, palette: Palette) -> io::Result<()> {
    let mut note = |text: String| writeln!(out, "    {}", palette.paint(Tone::Faint, text));
    match kind {
        Kind::Create(NewAccount {
            email: _,
            title: _,
            metadata: _,
            resend,
            replaces,
        }) => {
            if let Some(gone) = replaces {
                note(format!("replaces account {gone}, which is gone"))?;
            }
            if resend.is_some() {
                note(
                    "resends the earlier unanswered request byte for byte, so no second account can be created"
                        .to_owned(),
                )?;
            }
        }
        Kind::Adopt { entry: _, by } => note(format!("found by {}", messages::evidence(*by)))?,
        Kind::Update {
            entry: _,
            record: true,
        } => note("the mapping is updated first".to_owned())?,
        Kind::Update {
            entry: _,
            record: false,
        } => {}
        Kind::Forget { link: _ } => {
            note("no longer in the manifest, and its account is gone from Whop".to_owned())?
        }
    }
    Ok(())
}

fn write_hold(out: &mut dyn Write, hold: &Hold, palette: Palette) -> io::Result<()> {
    let Hold { key, reason } = hold;
    let words = messages::reason(reason);
    let sign = palette.paint(Tone::Hold, "! hold");
    writeln!(out, "{sign} {}", palette.paint(Tone::Strong, Safe(key)))?;
    writeln!(out, "    why         {}", clipped(&words.message))?;
    writeln!(out, "    what to do  {}", clipped(&words.what_to_do))?;
    writeln!(out)
}

/// Accounts that the manifest does not mention.
fn unmanaged(out: &mut dyn Write, plan: &Plan, palette: Palette) -> io::Result<()> {
    if plan.unmanaged.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "Unmanaged: on Whop or in the mapping, not in the manifest; left alone"
    )?;
    for left in plan.unmanaged.iter().take(UNMANAGED_NAMED) {
        let account = palette.paint(Tone::Faint, &left.account);
        write!(out, "    {account}")?;
        if let Some(key) = &left.key {
            write!(out, " {}", Safe(key))?;
        }
        if let Some(title) = &left.title {
            write!(out, " {}", quoted(title))?;
        }
        writeln!(out)?;
    }
    if plan.unmanaged.len() > UNMANAGED_NAMED {
        let more = number(plan.unmanaged.len() - UNMANAGED_NAMED);
        writeln!(out, "    and {more} more; `--format json` lists all")?;
    }
    writeln!(out)
}

fn summarise(
    out: &mut dyn Write,
    plan: &Plan,
    header: &Header,
    counts: &Counts,
    palette: Palette,
) -> io::Result<()> {
    writeln!(out, "{}", palette.paint(Tone::Strong, headline(counts)))?;
    if counts.learned > 0 {
        let entries = if counts.learned == 1 { "entry" } else { "entries" };
        let learned = number(counts.learned);
        writeln!(
            out,
            "  mapping     apply completes {learned} {entries} without a request"
        )?;
    }
    if counts.create > 0 {
        // Whop mails the address of each new account (`whop_api#accounts`). A
        // resent create may have done so already.
        let addresses = plural_of(counts.create, "address", "addresses");
        writeln!(
            out,
            "  mail        Whop writes to {addresses}, one for each new account"
        )?;
    }
    if counts.pictures > 0 {
        let (set, upload) = (plural(counts.pictures, "picture"), number(counts.uploads));
        writeln!(out, "  pictures    {set} to set, {upload} to upload")?;
    }
    if counts.pictures_again > 0 {
        writeln!(
            out,
            "  again       {} may be there already: Whop does not say which picture an adopted user has, so it is set once more",
            number(counts.pictures_again)
        )?;
    }
    let Reads {
        accounts,
        profiles,
        from_mapping,
    } = plan.reads;
    let (accounts, profiles) = (plural(accounts, "account"), plural(profiles, "profile"));
    let mapped = number(from_mapping);
    writeln!(
        out,
        "  looked at   {accounts}, {profiles}; {mapped} taken from the mapping"
    )?;
    let requests = summary::requests(plan, header.dialect);
    if !requests.is_empty() {
        let parts: Vec<String> = requests
            .iter()
            .map(|(operation, count)| format!("{operation} {}", number(*count)))
            .collect();
        writeln!(out, "  requests    at least {}", parts.join(", "))?;
        let floor = messages::span(summary::floor_seconds(&requests, REQUESTS_PER_MINUTE));
        writeln!(
            out,
            "  time        at least {floor}, at {REQUESTS_PER_MINUTE} requests a minute for each operation"
        )?;
    }
    guardrails(out, plan, palette)?;
    writeln!(out, "  digest      {}", summary::digest(plan))?;
    if counts.left_out > 0 {
        writeln!(out)?;
        partial(out, counts, palette)?;
    }
    Ok(())
}

fn guardrails(out: &mut dyn Write, plan: &Plan, palette: Palette) -> io::Result<()> {
    if plan.breaches.is_empty() {
        return writeln!(out, "  guardrails  kept");
    }
    let broken = palette.paint(Tone::Bad, "BROKEN: this plan is refused");
    writeln!(out, "  guardrails  {broken}")?;
    for breach in &plan.breaches {
        let words = messages::breach(breach);
        writeln!(out, "    ! {}", words.message)?;
        writeln!(out, "      {}", words.what_to_do)?;
    }
    Ok(())
}

/// The plan in one line.
pub(crate) fn headline(counts: &Counts) -> String {
    let Counts {
        create,
        adopt,
        update,
        forget,
        identity_changes: _,
        contradicted: _,
        pictures: _,
        uploads: _,
        pictures_again: _,
        hold,
        learned: _,
        unmanaged,
        unchanged,
        left_out: _,
    } = *counts;
    let parts = [
        (create, "to create"),
        (adopt, "to adopt"),
        (update, "to update"),
        (forget, "to forget"),
        (hold, "held"),
        (unchanged, "unchanged"),
        (unmanaged, "unmanaged"),
    ];
    let shown: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", number(*count)))
        .collect();
    let lead = match (create + adopt + update + forget, hold) {
        (0, 0) => "Nothing to do",
        (0, _) => "Nothing to apply",
        _ => "Plan",
    };
    if shown.is_empty() {
        return lead.to_owned();
    }
    format!("{lead}: {}", shown.join(", "))
}

#[cfg(test)]
mod tests;
