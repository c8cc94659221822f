//! A manifest as text. Every value reads back as itself, with our reader and
//! any other: what YAML could take for something other than a text is quoted.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};

use super::escape::{Watch, is_hostile};
use crate::core::field::TextField;
use crate::core::model::{DesiredRest, DesiredUser, Guardrails};
use crate::core::value::PlatformId;

/// The line by which editors find the schema, which `init` writes beside the
/// manifest.
pub const MODELINE: &str = "# yaml-language-server: $schema=./users.schema.json";

/// Writes a manifest. `users` come with the paths of their pictures.
///
/// # Errors
/// The writer's own.
pub fn write<'a>(
    out: &mut dyn Write,
    company: &PlatformId,
    guardrails: &Guardrails,
    users: impl Iterator<Item = (&'a DesiredUser, Option<&'a str>)>,
) -> io::Result<()> {
    let out = &mut BufWriter::new(out);
    writeln!(out, "version: 1")?;
    writeln!(out, "company: {}", scalar(company.as_str()))?;
    write_guardrails(out, guardrails)?;
    let mut empty = true;
    for (user, avatar) in users {
        if empty {
            writeln!(out, "users:")?;
        }
        empty = false;
        write_user(out, user, avatar)?;
    }
    if empty {
        writeln!(out, "users: []")?;
    }
    out.flush()
}

fn write_guardrails(out: &mut dyn Write, guardrails: &Guardrails) -> io::Result<()> {
    let limits = guardrails.written();
    let mut set = limits
        .filter_map(|(guard, limit)| Some((guard, limit?)))
        .peekable();
    if set.peek().is_some() {
        writeln!(out, "guardrails:")?;
    }
    set.try_for_each(|(guard, limit)| writeln!(out, "  {}: {limit}", guard.name()))
}

fn write_user(out: &mut dyn Write, user: &DesiredUser, avatar_path: Option<&str>) -> io::Result<()> {
    let DesiredRest {
        key,
        email,
        // Its digest is the picture's, not the manifest's.
        avatar: _,
        metadata,
        renamed_from,
    } = user.rest();
    let text = |out: &mut dyn Write, field: TextField| match field.wanted(user) {
        Some(text) => writeln!(out, "    {}: {}", field.name(), scalar(text)),
        None => Ok(()),
    };
    writeln!(out, "  - id: {}", scalar(key.as_str()))?;
    writeln!(out, "    email: {}", scalar(email.as_str()))?;
    for field in TextField::required() {
        text(out, field)?;
    }
    if let Some(path) = avatar_path {
        writeln!(out, "    avatar: {}", scalar(path))?;
    }
    for field in TextField::optional() {
        text(out, field)?;
    }
    if !metadata.is_empty() {
        writeln!(out, "    metadata:")?;
    }
    for (key, value) in metadata {
        writeln!(out, "      {}: {}", scalar(key), scalar(value))?;
    }
    if let Some(from) = renamed_from {
        writeln!(out, "    renamed_from: {}", scalar(from.as_str()))?;
    }
    Ok(())
}

/// Words that some YAML readers take for a boolean or for null.
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// One value, quoted unless every reader takes it for a text.
pub fn scalar(text: &str) -> String {
    let inner = |c: char| c.is_alphanumeric() || "_@.+-'".contains(c) || c == ' ';
    let plain = text.chars().next().is_some_and(char::is_alphabetic)
        && !text.ends_with([' ', '\''])
        && text.chars().all(|c| inner(c) && !is_hostile(c))
        && !WORDS.contains(&&*text.to_lowercase());
    if plain {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut watch = Watch::within();
    for c in text.chars() {
        let hidden = watch.hides(c);
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // Writing to a String cannot fail.
            c if hidden => match u32::from(c) {
                code @ ..=0xFFFF => drop(write!(out, "\\u{code:04X}")),
                code => drop(write!(out, "\\U{code:08X}")),
            },
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::hostile::{acting, anything};
    use super::*;

    #[test]
    fn only_plain_text_is_unquoted() {
        for (text, shown) in [
            ("Jane Holloway-Reed", "Jane Holloway-Reed"),
            ("O'Neil", "O'Neil"),
            ("高橋 さくら", "高橋 さくら"),
            ("jane@shop.dev", "jane@shop.dev"),
            ("No", "\"No\""),
            ("ON", "\"ON\""),
            ("007", "\"007\""),
            ("~", "\"~\""),
            ("", "\"\""),
            ("a: b", "\"a: b\""),
            ("a #b", "\"a #b\""),
            ("- a", "\"- a\""),
            ("*a", "\"*a\""),
            ("!a", "\"!a\""),
            ("say \"hi\"\\", r#""say \"hi\"\\""#),
            ("a\nb\tc", r#""a\nb\tc""#),
            ("a\u{202e}\u{e0041}\u{85}", r#""a\u202E\U000E0041\u0085""#),
        ] {
            assert_eq!(scalar(text), shown);
        }
    }

    proptest! {
        /// A scalar has no effect where it is printed. That it reads back the
        /// same is tested with the reader.
        #[test]
        fn a_scalar_never_acts(text in anything()) {
            let shown = scalar(&text);
            prop_assert_eq!(acting(&shown), None);
            prop_assert!(!shown.contains('\n'));
        }
    }
}
