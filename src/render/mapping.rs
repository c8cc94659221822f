//! The mapping for people and spreadsheets (`show`). For JSON see
//! [`super::json::mapping`].

use std::io::{self, BufWriter, Write};

use super::escape::{self, Safe};
use crate::core::field::TextField;
use crate::core::model::{AppliedPicture, Known, KnownRest, KnownUser, Link};
use crate::core::value::UserKey;

/// Widest id that a table column fits, in characters.
const WIDEST: usize = 40;

/// The users to show, in the order of their ids.
pub(crate) fn chosen<'a>(
    known: &'a Known,
    only: Option<&'a UserKey>,
) -> impl Iterator<Item = (&'a UserKey, &'a KnownUser)> {
    let one = only.and_then(|key| known.users.get_key_value(key));
    let all = known.users.iter().filter(move |_| only.is_none());
    one.into_iter().chain(all)
}

/// Writes a table of all users, or everything about one.
///
/// # Errors
/// The writer's own.
pub fn human(out: &mut dyn Write, known: &Known, only: Option<&UserKey>) -> io::Result<()> {
    // Standard output would flush after every line.
    let out = &mut BufWriter::new(out);
    match only.and_then(|key| known.users.get_key_value(key)) {
        Some((key, entry)) => one(out, key, entry)?,
        None => table(out, known)?,
    }
    out.flush()
}

fn table(out: &mut dyn Write, known: &Known) -> io::Result<()> {
    if known.users.is_empty() {
        return writeln!(out, "The mapping is empty");
    }
    let width = |of: &dyn Fn(&UserKey, &Link) -> usize, least: usize| {
        let widths = known.users.iter().map(|(key, entry)| of(key, &entry.link));
        widths.max().unwrap_or(0).clamp(least, WIDEST)
    };
    let id = width(&|key, _| escape::terminal(key.as_str()).chars().count(), 2);
    let user = width(&|_, link| link.owner.as_str().len(), 7);
    let account = width(&|_, link| link.account.as_str().len(), 10);
    writeln!(
        out,
        "{:id$}  {:user$}  {:account$}  NAME",
        "ID", "USER_ID", "ACCOUNT_ID"
    )?;
    for (key, entry) in &known.users {
        let key = escape::terminal(key.as_str());
        let (owner, child) = (entry.link.owner.as_str(), entry.link.account.as_str());
        let name = escape::terminal(entry.name.as_deref().unwrap_or("-"));
        writeln!(out, "{key:id$}  {owner:user$}  {child:account$}  {name}")?;
    }
    Ok(())
}

fn one(out: &mut dyn Write, key: &UserKey, entry: &KnownUser) -> io::Result<()> {
    let KnownRest {
        link: Link { account, owner },
        metadata,
        picture,
    } = entry.rest();
    writeln!(out, "id          {}", Safe(key))?;
    writeln!(out, "user_id     {owner}")?;
    writeln!(out, "account_id  {account}")?;
    for field in TextField::ALL {
        if let Some(text) = field.applied(entry) {
            writeln!(out, "{:12}{}", field.name(), Safe(text))?;
        }
    }
    for (key, value) in metadata {
        writeln!(out, "metadata    {} = {}", Safe(key), Safe(value))?;
    }
    if let Some(AppliedPicture { digest, url }) = picture {
        writeln!(out, "avatar      {digest}")?;
        if let Some(url) = url {
            writeln!(out, "picture     {}", Safe(url))?;
        }
    }
    Ok(())
}

/// Writes comma-separated values with a header, for spreadsheets. Invisible
/// characters are escaped and a value that a spreadsheet would evaluate gets a
/// leading apostrophe, so programs that need exact values should read the JSON.
///
/// # Errors
/// The writer's own.
pub fn csv(out: &mut dyn Write, known: &Known, only: Option<&UserKey>) -> io::Result<()> {
    let out = &mut BufWriter::new(out);
    let texts = TextField::ALL.map(TextField::name).join(",");
    writeln!(out, "id,user_id,account_id,{texts},avatar_sha256,picture_url")?;
    for (key, entry) in chosen(known, only) {
        let KnownRest {
            link: Link { account, owner },
            metadata: _,
            picture,
        } = entry.rest();
        let digest = picture.map(|p| p.digest.to_string());
        let url = picture.and_then(|p| p.url.as_deref());
        let ids = [key.as_str(), owner.as_str(), account.as_str()];
        let texts = TextField::ALL.map(|field| field.applied(entry));
        let row = ids
            .into_iter()
            .map(Some)
            .chain(texts)
            .chain([digest.as_deref(), url]);
        let cells: Vec<String> = row.map(|value| cell(value.unwrap_or(""))).collect();
        writeln!(out, "{}", cells.join(","))?;
    }
    out.flush()
}

/// One cell: harmless in a spreadsheet, and quoted where RFC 4180 requires it.
fn cell(value: &str) -> String {
    let mut safe = escape::terminal(value).into_owned();
    // What spreadsheets take for the start of a formula, full-width forms
    // included; leading white space does not stop them.
    let first = safe.trim_start().chars().next();
    if matches!(first, Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠')) {
        safe.insert(0, '\'');
    }
    if safe.contains([',', '"', ' ', ';']) {
        safe = format!("\"{}\"", safe.replace('"', "\"\""));
    }
    safe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::hostile::{acting, anything};
    use super::*;
    use crate::core::digest::Digest;
    use crate::core::sample;

    fn known() -> Known {
        let mut known = Known::default();
        let mut full = KnownUser::linked(sample::link("A1"));
        full.name = Some("=HYPERLINK(\"http://evil.test\",\"Ann, \u{202e}\")".into());
        full.title = Some("Ann's studio".into());
        full.metadata = sample::texts(&[("tier", "gold\u{1b}")]);
        full.picture = Some(Box::new(AppliedPicture {
            digest: Digest::of(b"a"),
            url: Some("https://img.test/a".into()),
        }));
        known.users.insert(sample::key("user_1"), full);
        known
            .users
            .insert(sample::key("-1+1"), KnownUser::linked(sample::link("B")));
        known
    }

    fn text(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn all_users_are_a_table_and_one_is_a_list() {
        let table = "\
ID      USER_ID  ACCOUNT_ID  NAME
-1+1    user_B   biz_B       -
user_1  user_A1  biz_A1      =HYPERLINK(\"http://evil.test\",\"Ann, \\u{202e}\")
";
        assert_eq!(text(|out| human(out, &known(), None)), table);
        let one = format!(
            "\
id          user_1
user_id     user_A1
account_id  biz_A1
name        =HYPERLINK(\"http://evil.test\",\"Ann, \\u{{202e}}\")
title       Ann's studio
metadata    tier = gold\\u{{1b}}
avatar      {}
picture     https://img.test/a
",
            Digest::of(b"a")
        );
        let key = sample::key("user_1");
        assert_eq!(text(|out| human(out, &known(), Some(&key))), one);
        assert_eq!(
            text(|out| human(out, &Known::default(), None)),
            "The mapping is empty\n"
        );
    }

    #[test]
    fn a_spreadsheet_evaluates_and_splits_nothing() {
        let expected = format!(
            "\
id,user_id,account_id,name,title,avatar_sha256,picture_url
'-1+1,user_B,biz_B,,,,
user_1,user_A1,biz_A1,\"'=HYPERLINK(\"\"http://evil.test\"\",\"\"Ann, \\u{{202e}}\"\")\",\"Ann's studio\",{},https://img.test/a
",
            Digest::of(b"a")
        );
        assert_eq!(text(|out| csv(out, &known(), None)), expected);
        let key = sample::key("-1+1");
        assert_eq!(text(|out| csv(out, &known(), Some(&key))).lines().count(), 2);
    }

    #[test]
    fn cells_that_begin_like_a_formula_are_disarmed() {
        for (value, shown) in [
            ("plain", "plain"),
            ("a=b", "a=b"),
            ("+1", "'+1"),
            ("@x", "'@x"),
            ("  =x", "\"'  =x\""),
            ("\t=x", "\\u{9}=x"),
            ("＝x", "'＝x"),
            ("a\nb", "a\\u{a}b"),
            ("a;b", "\"a;b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
        ] {
            assert_eq!(cell(value), shown);
        }
    }

    proptest! {
        /// A cell has no effect where it is printed, is not evaluated where it
        /// is opened, and reads as one row of one cell by RFC 4180.
        #[test]
        fn a_cell_never_acts(text in anything()) {
            let shown = cell(&text);
            prop_assert_eq!(acting(&shown), None);
            let inner = shown.strip_prefix('"').and_then(|cell| cell.strip_suffix('"'));
            if inner.is_none() {
                prop_assert!(!shown.contains([',', ';', '"', '\n', '\r']), "{}", shown);
            }
            let read = inner.map_or(shown.clone(), |inner| inner.replace("\"\"", "\u{0}"));
            prop_assert!(!read.contains('"'), "{}", shown);
            let first = read.trim_start().chars().next();
            prop_assert!(!first.is_some_and(|c| "=+-@＝＋－＠\t\r".contains(c)), "{}", shown);
        }
    }
}
