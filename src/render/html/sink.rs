//! The only way for foreign text to enter the page. It is escaped for content
//! and attributes alike, invisible and bidirectional characters are shown by
//! number, and `bdi` isolates the direction of names.

use super::super::change::{self, cut, ellipsis};
use super::super::escape::{self, Watch};

/// Longest sentence shown in full, in characters.
const LONGEST_SENTENCE: usize = 1_200;

/// Escapes for HTML content and for attributes in double quotes.
fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

/// Foreign text on one line, cut if it is long.
pub(super) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_escaped(&mut out, &change::clipped(text));
    out
}

/// An id, a path or another name, as it is written.
pub(super) fn code(content: &str) -> String {
    format!("<bdi class=\"code\">{}</bdi>", text(content))
}

/// A sentence of ours that quotes foreign text in backticks.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let shown: String = chars.by_ref().take(LONGEST_SENTENCE).collect();
    let mut out = String::with_capacity(text.len());
    push_escaped(&mut out, &escape::terminal(&shown));
    out + &ellipsis(chars.count())
}

/// A quoted value inside `tag`, cut if it is long, with the differing parts
/// marked.
fn marked(tag: &str, parts: &[(bool, &str)], more: usize) -> String {
    let mut out = format!("<{tag}><bdi>&quot;");
    let mut watch = Watch::within();
    for (differs, part) in parts.iter().filter(|(_, part)| !part.is_empty()) {
        let mut inner = String::with_capacity(part.len());
        part.chars()
            .for_each(|c| escape::push_quoted(&mut inner, &mut watch, c));
        out.push_str(if *differs { "<mark>" } else { "" });
        push_escaped(&mut out, &inner);
        out.push_str(if *differs { "</mark>" } else { "" });
    }
    out.push_str("&quot;</bdi>");
    out.push_str(&ellipsis(more));
    out.push_str(&format!("</{tag}>"));
    out
}

/// A new value where there was none.
pub(super) fn value(text: &str) -> String {
    let (text, more) = cut(text);
    marked("ins", &[(false, text)], more)
}

/// A foreign value that does not change.
pub(super) fn quoted(text: &str) -> String {
    let (text, more) = cut(text);
    marked("span", &[(false, text)], more)
}

/// Old → new, with the differing parts marked.
pub(super) fn change(old: &str, new: &str) -> String {
    let ((old, old_more), (new, new_more)) = (cut(old), cut(new));
    let (before, after) = change::parts(old, new);
    format!(
        "{} <span class=\"to\">→</span> {}",
        marked("del", &before, old_more),
        marked("ins", &after, new_more)
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::hostile::{acting, anything};
    use super::*;

    #[test]
    fn nothing_foreign_acts() {
        assert_eq!(
            text("<script>alert(\"1\")</script>&'"),
            "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;"
        );
        assert_eq!(text("\u{202e}a\n"), r"\u{202e}a\u{a}");
        assert_eq!(
            value("a\"b\\"),
            r#"<ins><bdi>&quot;a\&quot;b\\&quot;</bdi></ins>"#
        );
        assert_eq!(sentence("`<b>`"), "`&lt;b&gt;`");
        let long = "&".repeat(LONGEST_SENTENCE + 5);
        assert!(
            sentence(&long).ends_with("&amp;… and 5 characters more")
                || sentence(&long).contains("5 characters")
        );
    }

    #[test]
    fn only_what_differs_is_marked() {
        assert_eq!(
            change("Jane Doe", "Jane Roe"),
            "<del><bdi>&quot;Jane <mark>D</mark>oe&quot;</bdi></del> <span class=\"to\">→</span> \
             <ins><bdi>&quot;Jane <mark>R</mark>oe&quot;</bdi></ins>"
        );
        assert!(change("", "<i>").contains("<ins><bdi>&quot;<mark>&lt;i&gt;</mark>&quot;"));
    }

    proptest! {
        /// No text opens or closes an element, ends an attribute or has another
        /// effect.
        #[test]
        fn no_text_is_markup(one in anything(), other in anything()) {
            for shown in [text(&one), sentence(&one)] {
                prop_assert_eq!(acting(&shown), None);
                prop_assert!(!shown.contains(['<', '>', '"', '\'']), "{}", shown);
            }
            let ours = ["<del>", "</del>", "<ins>", "</ins>", "<bdi>", "</bdi>", "<mark>", "</mark>"];
            let mut shown = change(&one, &other).replace("<span class=\"to\">→</span>", "");
            prop_assert_eq!(acting(&shown), None);
            for tag in ours {
                shown = shown.replace(tag, "");
            }
            prop_assert!(!shown.contains(['<', '>', '"', '\'']), "{}", shown);
        }
    }
}
