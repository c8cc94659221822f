//! One card per user: what happens, why, and which values change.

use super::super::change::old_picture;
use super::super::fields::{self, Field, Value};
use super::super::messages::{self, Advice, plural};
use super::super::report as human_report;
use super::super::risk_groups;
use super::pictures::Pictures;
use super::sink::{change, code, quoted, sentence, text, value};
use crate::core::plan::{Action, Breach, Caution, Hold, PictureChange, Unmanaged, Verb};
use crate::core::report::Outcome;
use crate::core::summary;
use crate::core::value::UserKey;

/// How much of a card is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Whole,
    /// Without metadata: what is kept of a grave card when there is no room.
    Brief,
}

/// The most metadata fields shown per user, so that one user cannot crowd out
/// others.
const FIELDS: usize = 40;

/// A card's frame: its kind for the filters, its sign, verb and user.
fn card(kind: &str, sign: char, verb: &str, user: &str, chip: &str, body: &str) -> String {
    format!(
        "<article class=\"card {kind}\" data-kind=\"{kind}\"><h3><span class=\"sign\" aria-hidden=\"true\">{sign}</span> \
         <span class=\"verb\">{verb}</span> {user}{chip}</h3>{body}</article>\n"
    )
}

fn chip(said: &str) -> String {
    format!(" <span class=\"chip {}\">{said}</span>", said.replace(' ', "-"))
}

/// A hold: why, and what to do.
pub(super) fn hold(kind: &str, hold: &Hold) -> String {
    let Hold { key, reason } = hold;
    let chip = chip(&reason.code().replace('_', " "));
    card(
        kind,
        '!',
        "hold",
        &code(key.as_str()),
        &chip,
        &told(&messages::reason(reason)),
    )
}

/// A broken limit, as an item of the refusal.
pub(super) fn breach(breach: &Breach) -> String {
    format!("<li>{}</li>\n", told(&messages::breach(breach)))
}

/// A caution about the limits, as an item of the box.
pub(super) fn caution(caution: &Caution) -> String {
    format!("<li>{}</li>\n", sentence(&messages::caution(caution)))
}

fn told(advice: &Advice) -> String {
    let Advice { message, what_to_do } = advice;
    format!(
        "<p>{}</p><p class=\"todo\"><b>What to do:</b> {}</p>",
        sentence(message),
        sentence(what_to_do)
    )
}

/// An unmanaged account.
pub(super) fn unmanaged(kind: &str, unmanaged: &Unmanaged) -> String {
    let Unmanaged { account, key, title } = unmanaged;
    let mut body = String::new();
    if let Some(key) = key {
        body.push_str(&format!("<p>mapped to {}</p>", code(key.as_str())));
    }
    if let Some(title) = title {
        body.push_str(&format!("<p>title {}</p>", quoted(title)));
    }
    card(kind, '·', "left alone", &code(account.as_str()), "", &body)
}

/// A user whose action did not succeed.
pub(super) fn trouble(kind: &str, key: &UserKey, outcome: &Outcome) -> String {
    let key = code(key.as_str());
    match outcome {
        Outcome::Done => card(kind, ' ', "done", &key, "", ""),
        Outcome::Left { why } => {
            let body = format!("<p>{}</p>", messages::stop(*why));
            card(kind, '!', "left for the next run", &key, "", &body)
        }
        Outcome::Failed(failure) | Outcome::InDoubt(failure) => {
            let verb = match outcome {
                Outcome::InDoubt(_) => "in doubt",
                _ => "failed",
            };
            let step = human_report::step(failure.step);
            let mut body = format!("<p>{step}: {}</p>", sentence(&failure.message));
            if let Some(request) = &failure.request_id {
                body.push_str(&format!("<p>request {}</p>", code(request)));
            }
            if let Some(hint) = &failure.hint {
                body.push_str(&format!(
                    "<p class=\"todo\"><b>What to do:</b> {}</p>",
                    sentence(hint)
                ));
            }
            card(kind, '!', verb, &key, "", &body)
        }
    }
}

/// An action with its fields.
pub(super) fn action(kind: &str, action: &Action, pictures: &Pictures, size: Size) -> String {
    let (sign, verb) = messages::verb(action.verb());
    let mut user = code(action.key.as_str());
    if let Some(from) = &action.renamed_from {
        user.push_str(&format!(" formerly {}", code(from.as_str())));
    }
    let created = action.verb() == Verb::Create;
    let fields = fields::of(action);
    let mut body = String::new();
    if let (Some(former), Some(link)) = (action.former_id(), action.link()) {
        let name = action
            .name()
            .map_or(String::new(), |name| format!(", shown as {}", quoted(name)));
        body.push_str(&format!(
            "<p>identity change: account {} was {} until now{name}</p>",
            code(link.account.as_str()),
            code(former)
        ));
    }
    if let Some(note) = messages::link_note(&action.kind, code) {
        body.push_str(&format!("<p>{note}</p>"));
    }
    for field in &fields {
        if let Value::Picture(change) = field.value {
            body.push_str(&faces(change, created, pictures));
        }
    }
    let mut rows: Vec<&Field<'_>> = fields
        .iter()
        .filter(|field| !field.is_identity(action.key.as_str()))
        .collect();
    let most = if size == Size::Brief { 0 } else { FIELDS };
    let before = rows.len();
    let mut metadata = 0;
    rows.retain(|field| {
        metadata += usize::from(risk_groups::may_fold(field));
        !risk_groups::may_fold(field) || metadata <= most
    });
    let more = before - rows.len();
    if !rows.is_empty() {
        let rows: String = rows.into_iter().map(|field| row(field, created)).collect();
        body.push_str(&format!("<dl>{rows}</dl>"));
    }
    if more > 0 {
        body.push_str(&format!("<p>… and {} more</p>", plural(more, "field")));
    }
    let cause = summary::cause(action).map_or(String::new(), |cause| chip(messages::cause_name(cause)));
    card(kind, sign, verb, &user, &cause, &body)
}

fn row(field: &Field<'_>, created: bool) -> String {
    let Field {
        name,
        value: content,
        cause,
    } = field;
    let content = match content {
        Value::Text { old: None, new } if created => value(new),
        Value::Text { old: None, new } => {
            format!("none <span class=\"to\">→</span> {}", value(new))
        }
        Value::Text { old: Some(old), new } => change(old, new),
        Value::Picture(change) => {
            let new = &change.new;
            let new = format!("<ins>{} {}</ins>", fields::picture(new), code(&new.path));
            match old_picture(change, created) {
                Some(old) => format!("<del>{old}</del> <span class=\"to\">→</span> {new}"),
                None => new,
            }
        }
    };
    let chip = chip(messages::cause_name(*cause));
    format!("<div><dt>{}</dt><dd>{content}{chip}</dd></div>", text(name))
}

/// The pictures before and after, next to each other.
fn faces(change: &PictureChange, created: bool, pictures: &Pictures) -> String {
    let PictureChange {
        old: _,
        old_url,
        new,
        cause: _,
    } = change;
    let after = face("after", pictures.after(new));
    if created {
        return format!("<div class=\"faces\">{after}</div>");
    }
    let before = match old_url {
        Some(url) => face("before", pictures.before(url)),
        None => face("before", Err("not read from Whop")),
    };
    format!("<div class=\"faces\">{before}<span class=\"to\" aria-hidden=\"true\">→</span>{after}</div>")
}

fn face(when: &str, name: Result<&str, &str>) -> String {
    let shown = match name {
        Ok(name) => format!("<div class=\"face {name}\" role=\"img\" aria-label=\"picture {when}\"></div>"),
        Err(why) => format!("<div class=\"face none\">no picture: {}</div>", text(why)),
    };
    format!("<figure>{shown}<figcaption>{when}</figcaption></figure>")
}
