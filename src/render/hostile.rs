//! Shared by the tests of every sink: texts that try to have an effect, and a
//! judge of the output that does not know how it was escaped.

use proptest::prelude::*;
use unicode_width::UnicodeWidthChar;

use super::escape::is_hostile;

/// Random text, rich in characters that have an effect somewhere.
pub(super) fn anything() -> impl Strategy<Value = String> {
    let pieces = vec![
        // Pipeline runners.
        "::",
        ":",
        "#",
        "##",
        "##[",
        "vso",
        "[",
        "]",
        "%0A",
        // Line ends, blanks, terminals.
        " ",
        "\t",
        "\n",
        "\r",
        "\u{3000}",
        "\u{85}",
        "\u{2028}",
        "\u{1b}[31m",
        "\u{1b}]8;;https://evil.test\u{7}",
        "\u{9b}2J",
        // Characters that reverse, hide or stack.
        "\u{202e}",
        "\u{2066}",
        "\u{200d}",
        "\u{301}",
        "\u{338}\u{20dd}",
        "\u{1160}",
        "\u{1161}",
        "\u{e0041}",
        "\u{fe0f}",
        // Spreadsheets, YAML, Markdown, HTML.
        "=",
        "+",
        "-",
        "@",
        "＝",
        ",",
        ";",
        "\"",
        "'",
        "- ",
        "&a",
        "*a",
        "!!x",
        "~",
        "no",
        "1e3",
        "`",
        "|",
        "![x](y)",
        "@org/team",
        "<b>",
        "&lt;",
        "-->",
        "</script>",
        "\\",
        "\\u{41}",
        "a",
        "é",
        "👩",
    ];
    let piece = prop_oneof![
        4 => prop::sample::select(pieces).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => (1usize..20).prop_map(|count| "\u{308}".repeat(count)),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// What in a line still has an effect: a character that should have been
/// escaped, a stack of marks, or a command to a pipeline runner.
pub(super) fn acting(line: &str) -> Option<String> {
    let odd = line.chars().any(is_hostile);
    let heaps = line.split(|c: char| c.width() != Some(0));
    let heap = heaps.map(|heap| heap.chars().count()).max().unwrap_or(0);
    let anywhere = line.match_indices("##").any(|(at, _)| {
        let rest = line[at..].trim_start_matches('#');
        rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric())
            .starts_with('[')
    });
    let leading = line.trim_start().starts_with("::");
    (odd || heap > 8 || anywhere || leading).then(|| format!("{line:?}"))
}
