//! Plans and reports as Markdown for a pull request comment: risks first, then
//! the counts, then a table for each kind of change; folded if long, and never
//! larger than a comment may be. Changes of identity are never shortened, and
//! email addresses are masked.

mod drift;
mod failure;
mod sink;

use super::Header;
use super::change::old_picture;
use super::consequences::consequences;
use super::fields::{self, Field, Value};
use super::mask;
use super::messages::{self, number, plural, plural_of, tally};
use super::risk_groups::{self, Group};
use super::{plan as human, report as human_report};
use crate::core::model::Guard;
use crate::core::plan::{Action, Breach, Caution, Hold, PictureChange, Plan, Reads, Unmanaged, Verb};
use crate::core::report::{Outcome, Report};
use crate::core::summary::{self, Counts};
use crate::core::value::UserKey;

pub use drift::drift;
pub use failure::error;
pub use sink::LIMIT;
pub(super) use sink::code;
use sink::{Document, Row, Section, document, marker, row, sentence, value};

/// Longest row, in bytes. In a longer one, metadata is left out and counted, so
/// that no user can crowd out others or hide a new name.
const LONGEST_ROW: usize = 4_000;

/// How many unmanaged accounts are listed; nothing happens to them.
const UNMANAGED_NAMED: usize = 20;

/// A plan as one document of at most [`LIMIT`] bytes. If it has no room for
/// every user's id and name, it starts by saying that it is too large to
/// review.
pub fn plan(plan: &Plan, header: &Header) -> String {
    whole(plan, header).text
}

/// The breach of [`Guard::TooLarge`], if this plan's document has no room for
/// every user's id and name.
pub fn too_large(plan: &Plan, header: &Header) -> Option<Breach> {
    let Document {
        text: _,
        needed,
        shown,
    } = whole(plan, header);
    let missing = needed - shown;
    let wanted = plan.actions.len() + plan.holds.len();
    (missing > 0).then_some(Breach {
        guard: Guard::TooLarge,
        most: wanted.saturating_sub(missing),
        wanted,
        limit: None,
    })
}

fn whole(plan: &Plan, header: &Header) -> Document {
    let counts = summary::counts(plan);
    let mut head = top(plan, header, &human::headline(&counts));
    warn(&mut head, plan, &counts);
    numbers(&mut head, &counts);
    add_notes(&mut head, plan, header, &counts);
    document(&mark(header), &head, sections(plan), &tail(plan))
}

/// The result of an apply, with the plan it carried out, as one document of at
/// most [`LIMIT`] bytes.
pub fn report(report: &Report, plan: &Plan, header: &Header) -> String {
    let Report {
        done,
        pictures,
        troubled,
        stopped,
        requests,
        elapsed,
    } = report;
    let said = human_report::sums(done, *pictures);
    let mut head = top(plan, header, &format!("Applied: {said}"));
    if !report.is_complete() {
        let why = stopped.map_or(String::new(), |why| {
            format!(" It stopped early: {}.", messages::stop(why))
        });
        let users = plural_of(troubled.len(), "user is", "users are");
        head.push_str(&format!(
            "> **Not everything is done:** {users} not.{why} Run the same command again to resume.\n\n"
        ));
    }
    let sent: u64 = requests.values().sum();
    let time = messages::span(elapsed.as_secs());
    head.push_str(&format!("{} requests sent in {time}.\n\n", number(sent)));
    let mut all = vec![
        troubles("failed", troubled, |outcome| {
            matches!(outcome, Outcome::Failed(_))
        }),
        troubles("in doubt", troubled, |outcome| {
            matches!(outcome, Outcome::InDoubt(_))
        }),
        troubles("left for the next run", troubled, |outcome| {
            matches!(outcome, Outcome::Left { .. })
        }),
    ];
    // A report needs no review: failures come first and in full.
    all.extend(sections(plan).into_iter().map(|section| Section {
        needed: false,
        ..section
    }));
    document(&mark(header), &head, all, &tail(plan)).text
}

/// The hidden line by which a pipeline finds its own comment.
fn mark(header: &Header) -> String {
    let marker = marker("whop-sync", &header.server, header.company.as_str());
    format!("{marker}\n")
}

/// The cautions, the heading, and the company and server.
fn top(plan: &Plan, header: &Header, headline: &str) -> String {
    let Header {
        company,
        server,
        dialect: _,
        version,
        manifest: _,
    } = header;
    let (company, server, version) = (code(company.as_str()), code(server), code(version));
    let cautions: String = plan.cautions.iter().map(caution).collect();
    format!("{cautions}### {headline}\n\n{company} on {server}, API version {version}\n\n")
}

fn caution(caution: &Caution) -> String {
    format!("> **Caution:** {}.\n\n", sentence(&messages::caution(caution)))
}

/// What must not be overlooked.
fn warn(head: &mut String, plan: &Plan, counts: &Counts) {
    if !plan.breaches.is_empty() {
        head.push_str("> **Refused:** a guardrail is broken, so nothing of this plan is carried out.\n\n");
    }
    if counts.left_out > 0 {
        let left_out = plural(counts.left_out, "user");
        head.push_str(&format!(
            "> **Partial plan:** `--only` leaves out {left_out} of the manifest.\n\n"
        ));
    }
}

/// The counts as a table.
fn numbers(head: &mut String, counts: &Counts) {
    let columns = tally(counts);
    head.push_str(&row(&columns.map(|(name, _)| name.to_owned())));
    head.push_str("\n|");
    head.push_str(&" ---: |".repeat(columns.len()));
    head.push('\n');
    head.push_str(&row(&columns.map(|(_, count)| number(count))));
    head.push_str("\n\n");
}

/// What carrying out the plan means for people and for Whop's limits.
fn add_notes(head: &mut String, plan: &Plan, header: &Header, counts: &Counts) {
    let notes = consequences(plan, header, counts);
    for (label, sentence) in &notes {
        head.push_str(&format!("- **{label}:** {sentence}\n"));
    }
    if !notes.is_empty() {
        head.push('\n');
    }
}

/// What was read, and the digest to expect.
fn tail(plan: &Plan) -> String {
    let Reads {
        accounts,
        profiles,
        from_mapping,
    } = plan.reads;
    format!(
        "Looked at {} and {}; {} taken from the mapping. Digest `{}`\n",
        plural(accounts, "account"),
        plural(profiles, "profile"),
        number(from_mapping),
        summary::digest(plan)
    )
}

/// The tables of a plan, riskiest first: what refuses it, identity, holds, new
/// mail, changes on Whop that are undone, and ordinary changes.
fn sections(plan: &Plan) -> Vec<Section<'_>> {
    let breaches = Section {
        title: "guardrails broken",
        columns: &["guardrail", "what to do"],
        total: plan.breaches.len(),
        open: true,
        needed: true,
        rows: Box::new(|| {
            let breaches = plan.breaches.iter();
            Box::new(breaches.map(|breach| told(None, messages::breach(breach)).into()))
        }),
    };
    let mut all = vec![breaches, holds(plan, risk_groups::CONTRADICTED, true)];
    for group in Group::ALL {
        if group == Group::Create {
            all.push(holds(plan, "held", false));
        }
        all.push(actions(group, plan));
    }
    all.push(unmanaged(&plan.unmanaged));
    all
}

/// The holds that are about identity, or the others.
fn holds<'a>(plan: &'a Plan, title: &'static str, about_identity: bool) -> Section<'a> {
    let holds = risk_groups::holds(plan, about_identity);
    Section {
        title,
        columns: &["user", "why", "what to do"],
        total: holds.clone().count(),
        open: true,
        needed: true,
        rows: Box::new(move || {
            Box::new(holds.clone().map(move |Hold { key, reason }| {
                let short = || row(&[code(key.as_str()), code(reason.code()), String::new()]);
                Row {
                    full: told(Some(key), messages::reason(reason)),
                    short: (!about_identity).then(short),
                }
            }))
        }),
    }
}

fn told(key: Option<&UserKey>, advice: messages::Advice) -> String {
    let key = key.map(|key| code(key.as_str())).into_iter();
    let cells: Vec<String> = key
        .chain([sentence(&advice.message), sentence(&advice.what_to_do)])
        .collect();
    row(&cells)
}

fn actions(group: Group, plan: &Plan) -> Section<'_> {
    let is = move |action: &&Action| Group::of(action) == group;
    Section {
        title: group.title(),
        columns: &["user", "change"],
        total: plan.actions.iter().filter(is).count(),
        open: matches!(group, Group::Identity | Group::ByEmail),
        needed: true,
        rows: Box::new(move || Box::new(plan.actions.iter().filter(is).map(action_row))),
    }
}

/// A user's change. Line breaks within a cell are ours, so that it stays one
/// cell.
fn action_row(action: &Action) -> Row {
    let mut user = code(action.key.as_str());
    if let Some(from) = action.former_id() {
        user.push_str(&format!(", formerly {}", code(from)));
    }
    let short = match Group::of(action) {
        Group::Identity | Group::ByEmail => None,
        Group::Create | Group::Undo | Group::Update | Group::Adopt | Group::Forget => {
            Some(row(&[user.clone(), name(action)]))
        }
    };
    if action.profile.name.is_none() && action.name().is_some() {
        user.push_str(&format!(" {}", name(action)));
    }
    let created = action.verb() == Verb::Create;
    let mut lines: Vec<String> = messages::link_note(&action.kind, code).into_iter().collect();
    if let (Some(_), Some(link), true) = (action.former_id(), action.link(), lines.is_empty()) {
        lines.push(format!("account {}", code(link.account.as_str())));
    }
    let (mut size, mut left_out) = (user.len(), 0);
    for field in fields::of(action) {
        if field.is_identity(action.key.as_str()) {
            continue;
        }
        let line = field_line(&field, created);
        size += line.len();
        match risk_groups::may_fold(&field) && size > LONGEST_ROW {
            true => left_out += 1,
            false => lines.push(line),
        }
    }
    if left_out > 0 {
        lines.push(format!("… and {} of metadata", plural(left_out, "more line")));
    }
    Row {
        full: row(&[user, lines.join("<br>")]),
        short,
    }
}

/// The name that a user shows now and will show.
fn name(action: &Action) -> String {
    let new = action.name().map_or(String::new(), value);
    let changed = action.profile.name.as_ref();
    match changed.and_then(|change| change.old.as_deref()) {
        Some(old) => format!("{} → {new}", value(old)),
        None => new,
    }
}

fn field_line(field: &Field<'_>, created: bool) -> String {
    let Field {
        name,
        value: content,
        cause,
    } = field;
    let is_email = name == "email";
    let name = code(name);
    let value = |text: &str| match is_email {
        true => value(&mask::address(text)),
        false => value(text),
    };
    let change = match content {
        Value::Text { old: None, new } if created => value(new),
        Value::Text { old, new } => {
            let old = old.map_or("none".to_owned(), value);
            format!("{old} → {}", value(new))
        }
        Value::Picture(change) => picture(change, created),
    };
    match messages::cause(*cause) {
        Some(mark) => format!("{name} {change} **({mark})**"),
        None => format!("{name} {change}"),
    }
}

fn picture(change: &PictureChange, created: bool) -> String {
    let new = format!("{} {}", fields::picture(&change.new), code(&change.new.path));
    match old_picture(change, created) {
        Some(old) => format!("{old} → {new}"),
        None => new,
    }
}

fn unmanaged(all: &[Unmanaged]) -> Section<'_> {
    let rows = all.iter().take(UNMANAGED_NAMED);
    Section {
        title: "unmanaged, and left alone",
        columns: &["account", "user", "title"],
        total: all.len(),
        open: false,
        // Nothing happens to them.
        needed: false,
        rows: Box::new(move || {
            Box::new(rows.clone().map(|Unmanaged { account, key, title }| {
                let key = key.as_ref().map_or(String::new(), |key| code(key.as_str()));
                let title = title.as_deref().map_or(String::new(), value);
                row(&[code(account.as_str()), key, title]).into()
            }))
        }),
    }
}

/// Users whose action did not succeed in one way.
fn troubles<'a>(
    title: &'static str,
    troubled: &'a std::collections::BTreeMap<UserKey, Outcome>,
    is: impl Fn(&Outcome) -> bool + 'a,
) -> Section<'a> {
    let total = troubled.values().filter(|outcome| is(outcome)).count();
    Section {
        title,
        columns: &["user", "step", "what happened", "what to do"],
        total,
        open: true,
        needed: false,
        rows: Box::new(move || {
            let rows = troubled.iter().filter(|(_, outcome)| is(outcome));
            let rows: Vec<_> = rows.map(|(key, outcome)| trouble(key, outcome).into()).collect();
            Box::new(rows.into_iter())
        }),
    }
}

fn trouble(key: &UserKey, outcome: &Outcome) -> String {
    let key = code(key.as_str());
    match outcome {
        Outcome::Done => row(&[key]),
        Outcome::Left { why } => row(&[key, String::new(), messages::stop(*why).to_owned(), String::new()]),
        Outcome::Failed(failure) | Outcome::InDoubt(failure) => {
            let hint = failure.hint.as_deref().map_or(String::new(), sentence);
            let mut what = sentence(&failure.message);
            if let Some(request) = &failure.request_id {
                what.push_str(&format!(" (request {})", code(request)));
            }
            row(&[key, human_report::step(failure.step).to_owned(), what, hint])
        }
    }
}

#[cfg(test)]
mod tests;
