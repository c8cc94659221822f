//! Plans and reports as Markdown, read back.

use std::time::Duration;

use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser};

use super::*;
use crate::core::digest::Digest;
use crate::core::identity::Evidence;
use crate::core::model::{Dialect, Guard, Limit};
use crate::core::plan::{Breach, Cause, Change, Reason, Step};
use crate::core::report::{Failure, Stop};
use crate::core::sample;

fn header(server: &str) -> Header {
    Header {
        company: sample::plan(Vec::new(), Vec::new()).platform,
        server: server.into(),
        dialect: Dialect::Accounts,
        version: "2026-10-15-1".into(),
        manifest: Digest::of(b"manifest"),
    }
}

fn breach() -> Breach {
    Breach {
        guard: Guard::MaxCreates,
        most: 1,
        wanted: 2,
        limit: Some(Limit::Count(1)),
    }
}

fn suspended(key: &str) -> Hold {
    Hold {
        key: sample::key(key),
        reason: Reason::Suspended {
            account: sample::account("biz_5"),
        },
    }
}

#[test]
fn a_plan_is_shown_riskiest_first() {
    let mut adopted = sample::adopt("u3", Evidence::Email);
    adopted.profile.picture = sample::picture_change(None, "avatars/u3.png", Cause::New);
    let actions = vec![
        sample::create("u1", "Ann"),
        sample::update("u2", "Bob", "Rob", Cause::Edited),
        adopted,
        sample::update("u4", "Jane", "Joan", Cause::Both),
        sample::forget("u6"),
    ];
    let mut all = sample::plan(actions, vec![suspended("u5")]);
    all.breaches = vec![breach()];
    all.unmanaged = vec![sample::unmanaged("8", None, Some("Stray | account"))];
    let text = plan(&all, &header("production"));
    let start = "\
<!-- whop-sync:production:biz_Platform -->
### Plan: 1 to create, 1 to adopt, 2 to update, 1 to forget, 1 held, 1 unmanaged

`biz_Platform` on `production`, API version `2026-10-15-1`

> **Refused:** a guardrail is broken, so nothing of this plan is carried out.

| create | adopt | update | forget | held | pictures | unchanged | unmanaged |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| 1 | 1 | 2 | 1 | 1 | 2 | 0 | 1 |

- **Mail:** Whop writes to 1 address, one for each new account.
";
    assert!(text.starts_with(start), "{text}");
    let order = [
        "guardrails broken",
        "#### 1 = to adopt by email alone",
        "#### 1 held",
        "1 + to create",
        "undoing a change made on Whop",
        "1 ~ to update</b>",
        "1 - to forget",
        "1 unmanaged, and",
    ];
    let places: Vec<_> = order.iter().map(|part| text.find(part).expect(part)).collect();
    assert!(places.is_sorted(), "{places:?}");
    for part in [
        r#"| `u2` | `name` `"Bob"` → `"Rob"` |"#,
        r#"`name` `"Jane"` → `"Joan"` **(edited and drifted)**"#,
        r"account `biz_u3`, found by email<br>`avatar` unknown → d2e4e6469c51 49.3 kB 512×256 PNG `avatars/u3.png`",
        r#"`"Stray \u{7c} account"`"#,
        "`Whop has suspended account 'biz_5'`",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(text, plan(&all, &header("production")));
}

#[test]
fn a_report_has_the_failures_and_the_plan() {
    let key = sample::key("u1");
    let failure = Failure {
        step: Step::UploadPicture,
        code: "x".into(),
        message: "refused `@all`".into(),
        hint: None,
        status: None,
        request_id: Some("req_1".into()),
    };
    let mut told = Report {
        elapsed: Duration::from_secs(3),
        ..Report::default()
    };
    told.done.insert(Verb::Create, 2);
    told.troubled.insert(key, Outcome::Failed(failure));
    told.troubled
        .insert(sample::key("u2"), Outcome::Left { why: Stop::Deadline });
    told.stopped = Some(Stop::Deadline);
    let planned = sample::plan(vec![sample::create("u1", "Ann")], Vec::new());
    let text = report(&told, &planned, &header("production"));
    for part in [
        "### Applied: 2 created",
        "**Not everything is done:** 2 users are not. It stopped early: the deadline was near.",
        "| `u1` | uploading the picture | `refused '@all'` (request `req_1`) |  |",
        "#### 1 left for the next run",
        "1 + to create",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

/// Marks foreign text, so that it is found wherever it appears.
const NEEDLE: &str = "ZQX";

/// Text that tries to be markup, around the needle.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "`",
        "``",
        "|",
        "\\",
        "\\|",
        "\n",
        "\n\n",
        "\r",
        "<b>",
        "</details>",
        "<!--",
        "-->",
        "@all",
        "[x](http://a.test)",
        "![x](y)",
        "http://a.test",
        "www.a.test",
        "**",
        "__",
        "~~",
        "$",
        "$`",
        "#1",
        "\u{202e}",
        "&lt;",
        "&#96;",
        "<https://a.test>",
        "\t",
        "    ",
        "[^1]",
        "> ",
        "---",
        "::",
        "\u{0}",
        "javascript:",
        "é",
        "🎨",
        "\u{2028}",
        "\"",
    ]);
    let any = prop_oneof![3 => pieces.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    let text = prop::collection::vec(any, 0..8).prop_map(|parts| parts.concat());
    (text.clone(), text).prop_map(|(before, after)| format!("{before}{NEEDLE}{after}"))
}

/// A plan with hostile text wherever its types allow it.
fn hostile_plan(texts: &[String; 6]) -> Plan {
    let [old, metadata_key, metadata_value, title, message, path] = texts.clone();
    let mut update = sample::update("u1", &old, "Ann", Cause::Drifted);
    let change = Change {
        old: Some(metadata_value.clone().into()),
        new: metadata_value.into(),
        cause: Cause::Both,
    };
    update.account.metadata.insert(metadata_key.into(), change);
    update.profile.picture = sample::picture_change(None, &path, Cause::New);
    let hold = Hold {
        key: sample::key("u2"),
        reason: Reason::Unreadable { message },
    };
    let mut plan = sample::plan(vec![update], vec![hold]);
    plan.unmanaged = vec![sample::unmanaged("8", None, Some(&title))];
    plan
}

/// What an independent parser finds active, or outside a code span where
/// foreign text must be in one.
fn active(text: &str) -> Vec<String> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_MATH
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_GFM;
    let ours = |html: &str| {
        let html = html.trim();
        let details = html.starts_with("<details") && !html.contains(NEEDLE);
        ["", "<br>", "</details>"].contains(&html) || details || html.starts_with("<!-- whop-sync:")
    };
    let (mut found, mut spans) = (Vec::new(), 0);
    for event in Parser::new_ext(text, options) {
        use pulldown_cmark::Tag;
        match event {
            Event::Code(_) => spans += 1,
            Event::Text(text) if text.contains(NEEDLE) || text.contains(['@', '<']) => {
                found.push(format!("text {text}"));
            }
            Event::Html(html) | Event::InlineHtml(html) if !ours(&html) => found.push(format!("html {html}")),
            Event::Start(tag @ (Tag::Link { .. } | Tag::Image { .. } | Tag::CodeBlock(_))) => {
                found.push(format!("{tag:?}"));
            }
            Event::InlineMath(_) | Event::DisplayMath(_) | Event::FootnoteReference(_) => {
                found.push("formula or note".to_owned());
            }
            _ => {}
        }
    }
    // With a stray mark or a cut cell, the pairs would no longer match.
    if spans * 2 != text.matches('`').count() {
        found.push(format!("{spans} spans"));
    }
    found
}

proptest! {
    #[test]
    fn foreign_text_stays_text(
        texts in prop::array::uniform6(hostile()),
        server in hostile(),
    ) {
        let header = header(&server);
        let all = hostile_plan(&texts);
        let text = plan(&all, &header);
        prop_assert_eq!(active(&text), Vec::<String>::new(), "{}", text);
        prop_assert!(!text.chars().any(|c| super::super::escape::is_hostile(c) && c != '\n'));
        let mut told = Report::default();
        let failure = Failure {
            step: Step::UpdateProfile,
            code: "x".into(),
            message: texts[0].clone(),
            hint: Some(texts[1].clone()),
            status: None,
            request_id: Some(texts[2].clone()),
        };
        told.troubled.insert(sample::key("u1"), Outcome::InDoubt(failure));
        let text = report(&told, &all, &header);
        prop_assert_eq!(active(&text), Vec::<String>::new(), "{}", text);
    }

}

proptest! {
    // Each case is a plan of thousands.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_plan_is_larger_than_a_comment(
        creates in 0usize..3_000,
        updates in 0usize..3_000,
        holds in 0usize..3_000,
        filler in "[a-z`|🎨\u{202e}\\\\]{0,200}",
    ) {
        let mut actions: Vec<_> = (0..creates).map(|n| sample::create(&format!("c{n}"), "Ann")).collect();
        actions.extend((0..updates).map(|n| sample::update(&format!("u{n}"), &filler, "Ann", Cause::Edited)));
        let held = (0..holds).map(|n| Hold {
            key: sample::key(&format!("h{n}")),
            reason: Reason::Unreadable { message: filler.clone() },
        });
        let all = sample::plan(actions, held.collect());
        let text = plan(&all, &header(&filler.repeat(5)));
        prop_assert!(text.len() <= LIMIT, "{}", text.len());
        for (prefix, title, total) in [
            ("c", "+ to create", creates),
            ("u", "~ to update", updates),
            ("h", "held", holds),
        ] {
            let shown = text.lines().filter(|line| line.starts_with(&format!("| `{prefix}"))).count();
            let said = format!("{} of {} {title}", number(total - shown), number(total));
            prop_assert_eq!(text.contains(&said), shown < total, "{}", said);
        }
    }
}

#[test]
fn nobody_crowds_out_the_others() {
    let mut long = sample::update("u1", "Old", "New", Cause::Edited);
    for n in 0..500 {
        let change = Change {
            old: None,
            new: "x".repeat(500).into(),
            cause: Cause::Edited,
        };
        long.account.metadata.insert(format!("k{n:03}").into(), change);
    }
    let short = sample::update("u2", "Old", "New", Cause::Edited);
    let text = plan(
        &sample::plan(vec![long, short], Vec::new()),
        &header("production"),
    );
    assert!(text.lines().all(|line| line.len() <= LONGEST_ROW + 500), "{text}");
    assert!(text.contains("more lines of metadata |"), "{text}");
    assert!(text.contains("| `u2` | `name`"));
}

#[test]
fn many_long_metadata_keys_never_hide_a_new_name() {
    let mut long = sample::update("u1", "Jane Doe", "Somebody", Cause::Edited);
    for n in 0..60 {
        let change = Change {
            old: None,
            new: "x".repeat(150).into(),
            cause: Cause::Edited,
        };
        let key = format!("k{n:03}{}", "y".repeat(150));
        long.account.metadata.insert(key.as_str().into(), change);
    }
    let text = plan(&sample::plan(vec![long], Vec::new()), &header("production"));
    assert!(text.contains(r#"`name` `"Jane Doe"` → `"Somebody"`"#), "{text}");
}

/// A plan of this many creates, and of one account that gets another id.
fn crowded(creates: usize) -> Plan {
    let mut actions: Vec<_> = (0..creates)
        .map(|n| sample::create(&format!("a{n:04}"), &format!("Ann {n:04}")))
        .collect();
    let mut stolen = sample::update("z9", "Jane", "Jane", Cause::New);
    stolen.profile.name = None;
    stolen.renamed_from = Some(sample::key("victim"));
    actions.push(stolen);
    actions.push(sample::adopt("z8", Evidence::Email));
    sample::plan(actions, vec![suspended("h1")])
}

#[test]
fn no_crowd_hides_who_an_account_is() {
    for creates in [1, 799, 5_000] {
        let text = plan(&crowded(creates), &header("production"));
        assert!(text.len() <= LIMIT, "{}", text.len());
        let identity = r#"| `z9`, formerly `victim` `"Jane"` | account `biz_z9` |"#;
        let adopted = "| `z8` | account `biz_z8`, found by email |";
        let first = text.find("| `a0000` |").unwrap();
        for grave in [identity, adopted] {
            assert!(text.find(grave).is_some_and(|at| at < first), "{grave}\n{text}");
        }
    }
}

#[test]
fn a_plan_shows_every_id_and_name_or_says_first_that_it_does_not() {
    let all = crowded(799);
    let text = plan(&all, &header("production"));
    assert_eq!(too_large(&all, &header("production")), None);
    for n in 0..799 {
        assert!(text.contains(&format!("| `a{n:04}` | ")), "{n}");
        assert!(text.contains(&format!(r#"`"Ann {n:04}"`"#)), "{n}");
    }
    assert!(text.contains("**Shortened, to fit into a comment:**"));
    assert!(!text.contains("too large") && !text.contains("Left out"));

    let all = crowded(5_000);
    let text = plan(&all, &header("production"));
    let first = text.lines().nth(1).unwrap();
    assert!(
        first.starts_with("> **This plan is too large to review here:** ")
            && first.contains("Review the JSON report"),
        "{first}"
    );
    let breach = too_large(&all, &header("production")).unwrap();
    let shown = text.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!((breach.guard, breach.wanted), (Guard::TooLarge, 5_003));
    assert_eq!(breach.most, shown);
}

#[test]
fn addresses_are_masked_everywhere() {
    let mut all = sample::plan(vec![sample::create("u1", "Ann")], sample::every_hold());
    all.holds.push(Hold {
        key: sample::key("zz"),
        reason: Reason::Unreadable {
            message: "no mail to jane.doe@shop.co".into(),
        },
    });
    let text = plan(&all, &header("production"));
    assert!(text.contains(r#"`email` `"u…@example.com"`"#), "{text}");
    assert!(text.contains("no mail to j…@shop.co"), "{text}");
    for whole in ["u1@example.com", "was@example.com", "jane.doe@"] {
        assert!(!text.contains(whole), "{whole}\n{text}");
    }
}
