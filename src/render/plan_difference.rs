//! What has changed since a plan was saved: by user and field, or as a Markdown
//! list.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::change::{clipped, quoted};
use super::escape::Safe;
use super::markdown::{LIMIT, code};
use super::messages::{self, plural};
use super::style::{Palette, Tone};
use crate::core::saved::{Changes, Moved, Parted, SavedAction, SavedField};

/// How many users are listed; the rest are counted, and JSON lists all.
const TOLD: usize = 200;

/// A field whose value differs from the plan.
#[derive(Debug)]
pub(crate) struct FieldDifference<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// What was planned for it, if anything.
    pub(crate) planned: Option<&'a SavedField>,
    /// What would be done with it now, if anything.
    pub(crate) now: Option<&'a SavedField>,
}

/// What has changed, in a few words.
pub fn headline(changes: &Changes) -> String {
    let Changes { basis, users } = changes;
    let mut parts: Vec<String> = basis
        .iter()
        .map(|part| format!("the {} has changed", part.what))
        .collect();
    if !users.is_empty() {
        let are = if users.len() == 1 { "is" } else { "are" };
        parts.push(format!("{} {are} not as planned", plural(users.len(), "user")));
    }
    parts.join(", and ")
}

/// What has changed for a user, in a sentence.
pub(crate) fn sentence(moved: &Moved) -> String {
    let word = |action: &SavedAction| messages::verb(action.kind).1;
    match (&moved.planned, &moved.now, &moved.held) {
        (Some(planned), None, Some(reason)) => {
            format!(
                "planned to {}, now held: {}",
                word(planned),
                messages::reason(reason).message
            )
        }
        (Some(planned), None, None) => format!("planned to {}, now there is nothing to do", word(planned)),
        (None, Some(now), _) => format!("not in the plan, now to {}", word(now)),
        (Some(planned), Some(now), _) if planned.kind != now.kind => {
            format!("planned to {}, now to {}", word(planned), word(now))
        }
        (Some(planned), Some(now), _)
            if (&planned.account_id, &planned.user_id) != (&now.account_id, &now.user_id) =>
        {
            "now linked to another account".to_owned()
        }
        (Some(planned), Some(_), _) if fields(moved).is_empty() => format!(
            "still to {}, but other data sent with it has changed, such as metadata kept there by others",
            word(planned)
        ),
        (Some(planned), ..) => format!("still to {}, but not with the values planned", word(planned)),
        (None, None, _) => "nothing has changed".to_owned(),
    }
}

/// The fields that differ from the plan, in the plan's order. For a user who
/// was not planned, or for whom nothing is left to do, that is all fields.
pub(crate) fn fields(moved: &Moved) -> Vec<FieldDifference<'_>> {
    let planned = moved.planned.as_ref().map_or(&[][..], |action| &action.fields);
    let now = moved.now.as_ref().map_or(&[][..], |action| &action.fields);
    let both = planned.iter().map(|field| FieldDifference {
        name: &field.name,
        planned: Some(field),
        now: now.iter().find(|other| other.name == field.name),
    });
    let new = now
        .iter()
        .filter(|field| planned.iter().all(|other| other.name != field.name))
        .map(|field| FieldDifference {
            name: &field.name,
            planned: None,
            now: Some(field),
        });
    both.chain(new)
        .filter(|field| field.planned.map(values) != field.now.map(values))
        .collect()
}

/// What is compared and shown. The cause is not: it changes only with the
/// values.
pub(crate) fn values(field: &SavedField) -> (Option<&str>, &str) {
    (field.old.as_deref(), &field.new)
}

/// Writes the difference for people.
///
/// # Errors
/// The writer's own.
pub fn write(out: &mut dyn Write, changes: &Changes, palette: Palette) -> io::Result<()> {
    writeln!(out, "Since the plan was saved:")?;
    writeln!(out)?;
    for Parted { what, planned, now } in &changes.basis {
        let what = palette.paint(Tone::Strong, what);
        writeln!(out, "! {what}: planned on {}, now {}", Safe(planned), Safe(now))?;
    }
    if !changes.basis.is_empty() {
        writeln!(out)?;
    }
    for moved in changes.users.iter().take(TOLD) {
        let sign = palette.paint(Tone::Hold, "!");
        let key = palette.paint(Tone::Strong, Safe(&moved.id));
        writeln!(out, "{sign} {key}: {}", clipped(&sentence(moved)))?;
        let fields = fields(moved);
        let width = fields.iter().map(|f| clipped(f.name).chars().count()).max();
        for field in fields {
            let name = clipped(field.name);
            let width = width.unwrap_or(0);
            writeln!(out, "    {name:width$}  planned  {}", shown(field.planned))?;
            writeln!(out, "    {:width$}  now      {}", "", shown(field.now))?;
        }
        writeln!(out)?;
    }
    if changes.users.len() > TOLD {
        writeln!(
            out,
            "and {} more; `--format json` lists all",
            plural(changes.users.len() - TOLD, "user")
        )?;
        writeln!(out)?;
    }
    Ok(())
}

/// A field's old and new value.
fn shown(field: Option<&SavedField>) -> String {
    match field {
        None => "nothing".to_owned(),
        Some(SavedField { old, new, .. }) => match old {
            None => quoted(new),
            Some(old) => format!("{} → {}", quoted(old), quoted(new)),
        },
    }
}

/// The same as a Markdown list of bounded length.
pub fn markdown(changes: &Changes) -> String {
    let mut out = String::from("### The saved plan is stale\n\n");
    for Parted { what, planned, now } in &changes.basis {
        let (planned, now) = (code(planned), code(now));
        // Writing to a String cannot fail.
        let _ = writeln!(out, "- the {what} has changed: planned on {planned}, now {now}");
    }
    let mut told = 0;
    for moved in changes.users.iter().take(TOLD) {
        let mut item = String::new();
        let key = code(moved.id.as_str());
        let _ = writeln!(item, "- {key}: {}", code(&sentence(moved).replace('`', "'")));
        for field in fields(moved) {
            let name = code(field.name);
            let (planned, now) = (code(&shown(field.planned)), code(&shown(field.now)));
            let _ = writeln!(item, "  - {name}: planned {planned}, now {now}");
        }
        if out.len() + item.len() > LIMIT - 200 {
            break;
        }
        out.push_str(&item);
        told += 1;
    }
    if told < changes.users.len() {
        let _ = writeln!(out, "- and {} more", plural(changes.users.len() - told, "user"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::escape::is_hostile;
    use super::*;
    use crate::core::digest::Digest;
    use crate::core::plan::{Cause, Reason, Verb};
    use crate::core::sample;

    const HOSTILE: &str = "a\u{1b}[2J\u{202e}`|<script>\n# b";

    fn field(name: &str, old: Option<&str>, new: &str) -> SavedField {
        SavedField {
            name: name.to_owned(),
            old: old.map(str::to_owned),
            new: new.to_owned(),
            cause: Cause::Edited,
        }
    }

    fn action(kind: Verb, fields: Vec<SavedField>) -> SavedAction {
        SavedAction {
            id: sample::key("u1"),
            kind,
            account_id: None,
            user_id: None,
            fields,
            digest: Digest::of(b"x"),
        }
    }

    fn moved(planned: Option<SavedAction>, now: Option<SavedAction>) -> Moved {
        Moved {
            id: sample::key("u1"),
            planned,
            now,
            held: None,
        }
    }

    fn human(changes: &Changes) -> String {
        let mut out = Vec::new();
        write(&mut out, changes, Palette::Plain).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_kind_of_difference_has_its_sentence() {
        let name = |new| vec![field("name", Some("A"), new)];
        let update = |new| Some(action(Verb::Update, name(new)));
        let held = Moved {
            held: Some(Reason::Vanished),
            ..moved(update("B"), None)
        };
        let linked = SavedAction {
            account_id: Some(sample::account("biz_2")),
            ..action(Verb::Update, name("B"))
        };
        for (moved, says) in [
            (moved(update("B"), None), "nothing to do"),
            (held, "now held: nothing is created while"),
            (moved(None, update("B")), "not in the plan, now to update"),
            (
                moved(update("B"), Some(action(Verb::Create, name("B")))),
                "to update, now to create",
            ),
            (moved(update("B"), Some(linked)), "another account"),
            (moved(update("B"), update("B")), "sent with it"),
            (moved(update("B"), update("C")), "not with the values"),
        ] {
            assert!(sentence(&moved).contains(says), "{}", sentence(&moved));
        }
    }

    #[test]
    fn only_what_differs_is_listed() {
        let planned = vec![
            field("title", None, "T"),
            field("name", Some("A"), "B"),
            field("avatar", None, "1"),
        ];
        let now = vec![
            field("title", None, "T"),
            field("name", Some("X"), "B"),
            field("metadata.k", None, "v"),
        ];
        let moved = moved(
            Some(action(Verb::Update, planned)),
            Some(action(Verb::Update, now)),
        );
        let names: Vec<_> = fields(&moved).into_iter().map(|field| field.name).collect();
        assert_eq!(names, ["name", "avatar", "metadata.k"]);
    }

    #[test]
    fn hostile_texts_are_harmless_and_much_is_counted() {
        let one = moved(
            Some(action(Verb::Update, vec![field(HOSTILE, Some(HOSTILE), "b")])),
            None,
        );
        let changes = Changes {
            basis: vec![Parted {
                what: "mapping",
                planned: HOSTILE.to_owned(),
                now: HOSTILE.to_owned(),
            }],
            users: vec![one; 1_000],
        };
        for text in [human(&changes), markdown(&changes)] {
            assert!(!text.chars().any(|c| c != '\n' && is_hostile(c)), "{text}");
            assert!(!text.contains("\n# b"), "{text}");
            assert!(text.contains("more"), "{text}");
        }
        assert!(markdown(&changes).len() < LIMIT);
        assert_eq!(
            headline(&changes),
            "the mapping has changed, and 1,000 users are not as planned"
        );
    }
}
