//! Drift as Markdown for the body of an issue: a title, the hidden marker of
//! its environment, and tables with the gravest differences first.

use super::super::Header;
use super::super::drift::{FIX, can_be_reset, change, headline, note, notes, state};
use super::super::mask;
use super::super::messages::plural;
use super::LONGEST_ROW;
use super::sink::{Section, code, document, marker, row, sentence, value};
use crate::core::drift::{Drift, NewAccount, Others, State, UserDrift};

/// Drift as one document of at most [`super::LIMIT`] bytes.
pub fn drift(drift: &Drift, header: &Header, others: Others) -> String {
    let marker = marker("whop-sync-drift", &header.server, header.company.as_str());
    let (company, server) = (code(header.company.as_str()), code(&header.server));
    let mut head = format!(
        "### {}\n\n{company} on {server}, API version {}\n\n",
        headline(drift, others),
        code(&header.version)
    );
    if !drift.complete {
        head.push_str(
            "> **Incomplete:** Whop did not list every account, so missing ones are not reported as gone.\n\n",
        );
    }
    if drift.left_out > 0 {
        let left_out = plural(drift.left_out, "user");
        head.push_str(&format!("> **Partial:** `--only` leaves out {left_out}.\n\n"));
    }
    if can_be_reset(drift) {
        head.push_str(&format!("To fix it: {FIX}.\n\n"));
    }
    let looked = notes(drift)
        .swap_remove(0)
        .replacen("looked at   ", "Looked at ", 1);
    let marker = format!("{marker}\n");
    document(&marker, &head, sections(drift), &format!("{looked}.\n")).text
}

fn sections(drift: &Drift) -> Vec<Section<'_>> {
    let of = |title, open, is: fn(State) -> bool| {
        let users = drift.users.iter().filter(move |user| is(user.state()));
        Section {
            title,
            columns: &["user", "account", "what differs"],
            total: users.clone().count(),
            open,
            needed: false,
            rows: Box::new(move || Box::new(users.clone().map(|user| user_row(user).into()))),
        }
    };
    let unreadable = Section {
        title: "whose profile could not be read",
        columns: &["user", "why"],
        total: drift.unreadable.len(),
        open: true,
        needed: false,
        rows: Box::new(|| {
            let rows = drift.unreadable.iter();
            Box::new(rows.map(|(key, why)| row(&[code(key.as_str()), sentence(why)]).into()))
        }),
    };
    let unknown = Section {
        title: "not in the mapping",
        columns: &["account", "title", "adopted as"],
        total: drift.unknown.len(),
        open: false,
        needed: false,
        rows: Box::new(|| {
            let rows = drift.unknown.iter();
            Box::new(rows.map(|NewAccount { account, title, user }| {
                let user = user.as_ref().map_or(String::new(), |user| code(user.as_str()));
                row(&[code(account.as_str()), value(title), user]).into()
            }))
        }),
    };
    vec![
        of("whose account contradicts the mapping", true, |state| {
            state == State::Contradicted
        }),
        of("gone or suspended", true, |state| {
            matches!(state, State::Gone | State::OwnerMissing | State::Suspended)
        }),
        of("changed on Whop and in the manifest", true, |state| {
            state == State::Both
        }),
        of("changed on Whop", true, |state| state == State::Drifted),
        unreadable,
        unknown,
        of(
            "changed only in the manifest, which is not drift",
            false,
            |state| state == State::Edited,
        ),
    ]
}

/// A user's row. Line breaks within a cell are ours, so that it stays one cell.
fn user_row(user: &UserDrift) -> String {
    let mut lines: Vec<String> = note(user).map(str::to_owned).into_iter().collect();
    let fields = user.fields.iter();
    lines.extend(fields.map(|field| {
        let shown = |text: &str| match &*field.name {
            "email" => value(&mask::address(text)),
            _ => value(text),
        };
        format!("{} {}", code(&field.name), change(field, shown))
    }));
    let (key, account) = (code(user.key.as_str()), code(user.link.account.as_str()));
    let whole = row(&[key.clone(), account.clone(), lines.join("<br>")]);
    if whole.len() <= LONGEST_ROW {
        return whole;
    }
    let many = format!("{}: {}", state(user.state()), plural(lines.len(), "value"));
    row(&[key, account, many])
}

#[cfg(test)]
mod tests {
    use super::super::LIMIT;
    use super::*;
    use crate::core::digest::Digest;
    use crate::core::drift::{Fate, FieldDrift};
    use crate::core::model::Dialect;
    use crate::core::plan::{Cause, Reads};
    use crate::core::sample;

    #[test]
    fn an_issue_fits_however_much_drifted_and_says_what_it_left_out() {
        let user = |n: usize| UserDrift {
            key: sample::key(&format!("u{n:05}")),
            link: sample::link(&format!("{n}")),
            fate: if n == 4_999 { Fate::Gone } else { Fate::There },
            managed: true,
            fields: vec![FieldDrift {
                name: "name".into(),
                applied: Some("Ann".into()),
                shown: Some("`|\u{202e}<b>".repeat(40).into()),
                wanted: Some("Ann".into()),
                cause: Cause::Drifted,
            }],
        };
        let platform = sample::plan(Vec::new(), Vec::new()).platform;
        let found = Drift {
            platform: platform.clone(),
            users: (0..5_000).map(user).collect(),
            unknown: Vec::new(),
            unreadable: [(sample::key("u1"), "no\n**way**".to_owned())].into(),
            unchanged: 3,
            left_out: 0,
            complete: false,
            reads: Reads::default(),
        };
        let header = Header {
            company: platform,
            server: "production".into(),
            dialect: Dialect::Accounts,
            version: "2026-10-15-1".into(),
            manifest: Digest::of(b"manifest"),
        };
        let text = drift(&found, &header, Others::Count);
        assert!(
            text.len() <= LIMIT && text.len() > LIMIT - 5_000,
            "{}",
            text.len()
        );
        assert!(text.starts_with("<!-- whop-sync-drift:production:biz_Platform -->\n### Drift: "));
        assert!(
            text.contains("**Left out, to fit into a comment:**")
                && text.contains("of 4,999 changed on Whop")
        );
        assert!(
            text.contains("| `u04999` | `biz_4999` |"),
            "the gravest come first"
        );
        assert!(!text.contains("<b>`") && !text.contains('\u{202e}'));
    }
}
