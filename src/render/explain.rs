//! Everything about one user, for people: the manifest's entry, the mapping's,
//! what Whop has, the decision with its reason, and the next command.

use std::io::{self, BufWriter, Write};

use super::change::{clipped, picture_change, quoted, text_change};
use super::escape::Safe;
use super::fields::{self, Field, Value};
use super::messages;
use super::plan::tone;
use super::style::{Palette, Tone};
use crate::core::explain::{Decision, Explanation, How, Match};
use crate::core::field::{Owner, TextField};
use crate::core::model::{
    Account, AppliedPicture, DesiredRest, DesiredUser, KnownRest, MetaValue, ProfileRead,
};
use crate::core::plan::{Action, Cause, Verb};
use crate::core::problem::Place;

/// Writes the explanation. `place` is the user's position in the manifest.
///
/// # Errors
/// The writer's own.
pub fn write(
    out: &mut dyn Write,
    explained: &Explanation<'_>,
    place: Option<&Place>,
    palette: Palette,
) -> io::Result<()> {
    let mut out = ExplanationWriter {
        out: &mut BufWriter::new(out),
        palette,
    };
    out.line(format_args!(
        "{}",
        palette.paint(Tone::Strong, Safe(&explained.key))
    ))?;
    out.manifest(explained.user, place)?;
    out.mapping(explained)?;
    out.whop(explained)?;
    out.decision(explained)?;
    out.head("next", next(explained))?;
    out.out.flush()
}

struct ExplanationWriter<'a> {
    out: &'a mut dyn Write,
    palette: Palette,
}

/// Width of the first column.
const FIRST: usize = 10;

impl ExplanationWriter<'_> {
    fn line(&mut self, text: impl std::fmt::Display) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// Starts a new subject.
    fn head(&mut self, name: &str, text: impl std::fmt::Display) -> io::Result<()> {
        let name = self.palette.paint(Tone::Strong, format!("{name:FIRST$}"));
        writeln!(self.out, "\n{name}  {text}")
    }

    /// Adds a line to the subject.
    fn more(&mut self, name: &str, text: impl std::fmt::Display) -> io::Result<()> {
        writeln!(self.out, "{:FIRST$}  {name:FIRST$}  {text}", "")
    }

    fn manifest(&mut self, user: Option<&DesiredUser>, place: Option<&Place>) -> io::Result<()> {
        let Some(user) = user else {
            return self.head("manifest", "does not have this user");
        };
        match place {
            None => self.head("manifest", "has this user")?,
            Some(Place { file, line, text, .. }) => {
                self.head("manifest", format_args!("{}:{line}", Safe(file)))?;
                self.line(format_args!("{:FIRST$}  {line} | {}", "", clipped(text)))?;
            }
        }
        let DesiredRest {
            key: _,
            email,
            avatar,
            metadata,
            renamed_from,
        } = user.rest();
        self.more("email", quoted(email.as_str()))?;
        self.texts(|field| field.wanted(user))?;
        for (key, value) in metadata {
            self.more("metadata", format_args!("{} = {}", clipped(key), quoted(value)))?;
        }
        if let Some(avatar) = avatar {
            self.more(
                "avatar",
                format_args!("{} {}", fields::picture(avatar), clipped(&avatar.path)),
            )?;
        }
        if let Some(from) = renamed_from {
            self.more("formerly", Safe(from))?;
        }
        Ok(())
    }

    /// The texts that are there.
    fn texts<'t>(&mut self, text: impl Fn(TextField) -> Option<&'t str>) -> io::Result<()> {
        for field in TextField::ALL {
            if let Some(text) = text(field) {
                self.more(field.name(), quoted(text))?;
            }
        }
        Ok(())
    }

    fn mapping(&mut self, explained: &Explanation<'_>) -> io::Result<()> {
        let Some((under, entry)) = explained.entry else {
            return self.head("mapping", "does not have this user");
        };
        let KnownRest {
            link,
            metadata,
            picture,
        } = entry.rest();
        let mut head = format!("account {}, owner {}", link.account, link.owner);
        if *under != explained.key {
            head.push_str(&format!(", as {}", Safe(under)));
        }
        self.head("mapping", head)?;
        self.texts(|field| field.applied(entry))?;
        for (key, value) in metadata {
            self.more("metadata", format_args!("{} = {}", clipped(key), quoted(value)))?;
        }
        if let Some(AppliedPicture { digest, url }) = picture {
            let url = url
                .as_deref()
                .map_or("its URL is not known yet".to_owned(), clipped);
            self.more("avatar", format_args!("{} {url}", digest.short()))?;
        }
        Ok(())
    }

    fn whop(&mut self, explained: &Explanation<'_>) -> io::Result<()> {
        if explained.matches.is_empty() {
            self.head("Whop", "has no account with this id or email")?;
        }
        for Match {
            account,
            mapped,
            carries,
        } in &explained.matches
        {
            let Account {
                id,
                owner,
                email,
                title: _,
                metadata,
                suspended,
                created: _,
            } = account;
            self.head("Whop", format_args!("account {id}, owner {owner}"))?;
            let by = carries.iter().map(|evidence| messages::evidence(*evidence));
            let by: Vec<&str> = mapped.then_some("the mapping").into_iter().chain(by).collect();
            self.more("matches by", by.join(", "))?;
            if *suspended {
                self.more("suspended", "by Whop")?;
            }
            if let Some(email) = email {
                self.more("email", quoted(email))?;
            }
            self.texts(|field| field.on_account(account))?;
            for (key, value) in metadata {
                let value = match value {
                    MetaValue::Text(text) => quoted(text),
                    MetaValue::Json(json) => clipped(json),
                };
                self.more("metadata", format_args!("{} = {value}", clipped(key)))?;
            }
            if let Some((_, read)) = explained.profile.filter(|(account, _)| *account == id) {
                self.profile(read)?;
            }
        }
        Ok(())
    }

    /// What the account's owner shows in this company.
    fn profile(&mut self, read: &ProfileRead) -> io::Result<()> {
        match read {
            ProfileRead::Seen(profile) => {
                for field in TextField::of(Owner::Profile) {
                    let text = field.on_profile(profile).map_or("none".to_owned(), quoted);
                    self.more(&format!("shows {}", field.name()), text)?;
                }
                match &profile.picture {
                    Some(url) => self.more("picture", clipped(url)),
                    None => Ok(()),
                }
            }
            ProfileRead::Missing => self.more("profile", "Whop reports that this person does not exist"),
            ProfileRead::Unreadable(why) => {
                self.more("profile", format_args!("could not be read: {}", clipped(why)))
            }
        }
    }

    fn decision(&mut self, explained: &Explanation<'_>) -> io::Result<()> {
        match &explained.decision {
            Decision::Act(action) => {
                let (sign, word) = messages::verb(action.verb());
                let verb = self.palette.paint(tone(action.verb()), format!("{sign} {word}"));
                self.head("decision", verb)?;
                self.more("why", because(explained, action))?;
                self.fields(action)?;
            }
            Decision::Hold(reason) => {
                let words = messages::reason(reason);
                self.head("decision", self.palette.paint(Tone::Hold, "! hold"))?;
                self.more("why", clipped(&words.message))?;
                self.more("what to do", clipped(&words.what_to_do))?;
            }
            Decision::Unchanged { record } => {
                self.head("decision", "unchanged")?;
                self.more("why", "Whop matches the manifest")?;
                if *record {
                    self.more("mapping", "apply completes its entry without a request")?;
                }
            }
            Decision::Unmanaged => {
                self.head("decision", "left alone")?;
                self.more(
                    "why",
                    "the manifest does not have this user, and nothing is deleted on Whop",
                )?;
            }
            Decision::RenamedTo(to) => {
                self.head("decision", format_args!("is {} now", Safe(to)))?;
                self.more("why", "the manifest lists this id as that user's former id")?;
            }
        }
        for breach in &explained.breaches {
            self.more("refused", messages::breach(breach).message)?;
        }
        Ok(())
    }

    fn fields(&mut self, action: &Action) -> io::Result<()> {
        let created = action.verb() == Verb::Create;
        for Field { name, value, cause } in fields::of(action) {
            let value = match value {
                Value::Text { old: None, new } if created => quoted(new),
                Value::Text { old, new } => text_change(old, new, self.palette),
                Value::Picture(change) => picture_change(change, created),
            };
            let why = if created { "" } else { why(cause) };
            self.more(&clipped(&name), format_args!("{value}{why}"))?;
        }
        Ok(())
    }
}

/// Why one value changes.
fn why(cause: Cause) -> &'static str {
    match cause {
        Cause::New => "  (never applied)",
        Cause::Edited => "  (edited: the manifest changed since it was applied)",
        Cause::Drifted => "  (drifted: Whop changed since it was applied)",
        Cause::Both => "  (edited and drifted: both changed since it was applied)",
    }
}

/// Why there is an action.
fn because(explained: &Explanation<'_>, action: &Action) -> String {
    match (action.verb(), explained.link) {
        (Verb::Create, _) if explained.doubt.is_some() => {
            "an earlier create got no answer, and Whop does not list the account".to_owned()
        }
        (Verb::Create, _) if explained.entry.is_some() => {
            "the mapped account is gone, and no other account belongs to this user".to_owned()
        }
        (Verb::Create, _) => "no account on Whop belongs to this user".to_owned(),
        (Verb::Forget, _) => {
            "the user is no longer in the manifest, and the account is gone from Whop".to_owned()
        }
        (_, How::Found(by)) => format!("the account was found by {}", messages::evidence(by)),
        (_, How::Renamed) => "the mapping lists the user under the former id".to_owned(),
        (_, How::Mapped | How::Not) => "Whop differs from the manifest".to_owned(),
    }
}

/// The command to run next.
pub(super) fn next(explained: &Explanation<'_>) -> String {
    let key = shell(explained.key.as_str());
    match &explained.decision {
        Decision::Act(_) => format!("whop-sync apply --only {key}"),
        Decision::Hold(_) => format!("resolve it, then: whop-sync plan --only {key}"),
        Decision::Unchanged { .. } | Decision::Unmanaged => "nothing to do".to_owned(),
        Decision::RenamedTo(to) => format!("whop-sync explain {}", shell(to.as_str())),
    }
}

/// Quotes an id for a shell, for commands that users may copy.
fn shell(id: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.@:/+=,".contains(c) || c == '-';
    let text = if id.chars().all(plain) && !id.starts_with('-') {
        id.to_owned()
    } else {
        format!("'{}'", id.replace('\'', r"'\''"))
    };
    Safe(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_to_copy_takes_any_id_as_one_word() {
        for (id, shown) in [
            ("user_1", "user_1"),
            ("a b", "'a b'"),
            ("$(rm -rf x)", "'$(rm -rf x)'"),
            ("it's", r"'it'\''s'"),
            ("-x", "'-x'"),
            ("a\u{202e}b", r"'a\u{202e}b'"),
        ] {
            assert_eq!(shell(id), shown);
        }
    }
}
