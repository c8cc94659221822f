//! A plan for people (contract §8): one block for each user that changes or
//! is held, in the order of their ids, then the summary.

use std::fmt::Write as _;
use std::io::{self, Write};

use similar::{Algorithm, ChangeTag};

use super::Header;
use super::fields::{self, Field, Value};
use super::paint::{Palette, Tone};
use super::safe::{self, Safe};
use super::words::{self, number, plural};
use crate::core::model::Link;
use crate::core::plan::{Action, Hold, Kind, NewAccount, PictureChange, Plan, Reads};
use crate::core::report::Verb;
use crate::core::summary::{self, Counts, REQUESTS_PER_MINUTE};

/// How many accounts that are left alone are named; the rest is counted, since
/// nothing happens to them.
const UNMANAGED_NAMED: usize = 20;

/// Longest value shown whole, in characters. Names and titles are shorter;
/// what Whop or a manifest holds beyond that must not flood the screen.
const LONGEST_VALUE: usize = 300;

/// Widest column of field names, in characters.
const WIDEST_NAME: usize = 28;

/// Writes the plan, whole.
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
    let server = Safe(server);
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
    summarise(out, plan, header, &counts, palette)
}

/// The loud notice of a plan that is not about everybody.
fn partial(out: &mut dyn Write, counts: &Counts, palette: Palette) -> io::Result<()> {
    if counts.left_out == 0 {
        return Ok(());
    }
    let left_out = plural(counts.left_out, "user");
    let notice = format!("PARTIAL PLAN: `--only` leaves out {left_out} of the manifest");
    writeln!(out, "{}", palette.paint(Tone::Hold, notice))?;
    writeln!(out)
}

/// Actions and holds, merged by user; both are sorted already.
fn blocks(out: &mut dyn Write, plan: &Plan, palette: Palette) -> io::Result<()> {
    let mut holds = plan.holds.iter().peekable();
    for action in &plan.actions {
        while let Some(hold) = holds.next_if(|hold| hold.key < action.key) {
            write_hold(out, hold, palette)?;
        }
        write_action(out, action, palette)?;
    }
    holds.try_for_each(|hold| write_hold(out, hold, palette))
}

/// The tone of an action's sign and word.
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
    let (sign, word) = words::verb(verb);
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
        if let Some(mark) = words::cause(field.cause) {
            write!(out, "  {}", palette.paint(Tone::Change, format!("({mark})")))?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

/// What there is to say about the link itself.
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
                    "sends an earlier run's unanswered request once more, to the byte: no second account"
                        .to_owned(),
                )?;
            }
        }
        Kind::Adopt { entry: _, by } => note(format!("found by {}", words::evidence(*by)))?,
        Kind::Update {
            entry: _,
            record: true,
        } => note("the mapping is brought up to date first".to_owned())?,
        Kind::Update {
            entry: _,
            record: false,
        } => {}
        Kind::Forget { link: _ } => note("left the manifest, and its account is gone from Whop".to_owned())?,
    }
    Ok(())
}

fn write_hold(out: &mut dyn Write, hold: &Hold, palette: Palette) -> io::Result<()> {
    let Hold { key, reason } = hold;
    let words = words::reason(reason);
    let sign = palette.paint(Tone::Hold, "! hold");
    writeln!(out, "{sign} {}", palette.paint(Tone::Strong, Safe(key)))?;
    writeln!(out, "    why         {}", clipped(&words.message))?;
    writeln!(out, "    what to do  {}", clipped(&words.what_to_do))?;
    writeln!(out)
}

/// A foreign value cut to what a line can bear, with what was cut.
fn cut(text: &str) -> (&str, usize) {
    match text.char_indices().nth(LONGEST_VALUE) {
        None => (text, 0),
        Some((end, _)) => (&text[..end], text[end..].chars().count()),
    }
}

/// How many characters are not shown.
fn ellipsis(more: usize) -> String {
    if more == 0 {
        return String::new();
    }
    format!("… and {} more", plural(more, "character"))
}

fn clipped(text: &str) -> String {
    let (text, more) = cut(text);
    format!("{}{}", Safe(text), ellipsis(more))
}

fn quoted(text: &str) -> String {
    let (text, more) = cut(text);
    safe::quoted(text) + &ellipsis(more)
}

/// Old → new, with the parts that differ emphasised.
fn text_change(old: Option<&str>, new: &str, palette: Palette) -> String {
    let Some(old) = old else {
        return format!("none → {}", quoted(new));
    };
    let ((old, old_more), (new, new_more)) = (cut(old), cut(new));
    let (old, new) = emphasised(old, new, palette);
    format!("{old}{} → {new}{}", ellipsis(old_more), ellipsis(new_more))
}

/// Both values in quotes. With colours, what goes and what comes stands out;
/// values that have little in common stand out whole.
fn emphasised(old: &str, new: &str, palette: Palette) -> (String, String) {
    if palette == Palette::Plain {
        return (safe::quoted(old), safe::quoted(new));
    }
    let pieces = similar::utils::diff_graphemes(Algorithm::Myers, old, new);
    let bytes = |tag| -> usize {
        let of_tag = pieces.iter().filter(|(t, _)| *t == tag);
        of_tag.map(|(_, text)| text.len()).sum()
    };
    let common = bytes(ChangeTag::Equal);
    let whole = common * 2 < old.len().max(new.len());
    let (mut before, mut after) = (String::from('"'), String::from('"'));
    for (tag, text) in pieces.iter().filter(|_| !whole) {
        match tag {
            ChangeTag::Equal => {
                push_inner(&mut before, text, None);
                push_inner(&mut after, text, None);
            }
            ChangeTag::Delete => push_inner(&mut before, text, Some(Tone::Gone)),
            ChangeTag::Insert => push_inner(&mut after, text, Some(Tone::Come)),
        }
    }
    if whole {
        push_inner(&mut before, old, Some(Tone::Gone));
        push_inner(&mut after, new, Some(Tone::Come));
    }
    (before + "\"", after + "\"")
}

/// A part of a value, escaped as inside quotes.
fn push_inner(out: &mut String, text: &str, tone: Option<Tone>) {
    let mut inner = String::with_capacity(text.len());
    text.chars().for_each(|c| safe::push_quoted(&mut inner, c));
    match tone {
        // Writing to a String cannot fail.
        Some(tone) if !inner.is_empty() => {
            let _ = write!(out, "{}", Palette::Colour.paint(tone, inner));
        }
        _ => out.push_str(&inner),
    }
}

/// Old → new pictures, with the new one's file.
fn picture_change(change: &PictureChange, created: bool) -> String {
    let PictureChange {
        old,
        old_url,
        new,
        cause: _,
    } = change;
    let new = format!("{} {}", fields::picture(new), clipped(&new.path));
    match (old, old_url) {
        (Some(digest), _) => format!("{} → {new}", digest.short()),
        (None, _) if created => new,
        (None, Some(_)) => format!("the one on Whop → {new}"),
        (None, None) => format!("unknown → {new}"),
    }
}

/// Accounts that the manifest does not speak of.
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
        let floor = words::span(summary::floor_seconds(&requests, REQUESTS_PER_MINUTE));
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
        let words = words::breach(breach);
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
        (0, _) => "Nothing can be done",
        _ => "Plan",
    };
    if shown.is_empty() {
        return lead.to_owned();
    }
    format!("{lead}: {}", shown.join(", "))
}
