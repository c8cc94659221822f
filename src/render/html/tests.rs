//! The page as an HTML parser would read it, and its bounds.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::core::identity::Evidence;
use crate::core::model::{Dialect, Guard, Limit};
use crate::core::plan::{Breach, Cause, Change, Hold, Reason, Step};
use crate::core::report::{Failure, Stop};
use crate::core::sample;

const JANE: &[u8] = include_bytes!("../../../examples/avatars/jane.png");

fn header(server: &str) -> Header {
    Header {
        company: sample::plan(Vec::new(), Vec::new()).platform,
        server: server.into(),
        dialect: Dialect::Accounts,
        version: "2026-10-15-1".into(),
        manifest: Digest::of(b"manifest"),
    }
}

fn page(all: &Plan, pictures: &Pictures) -> String {
    let mut out = Vec::new();
    plan(&mut out, all, &header("production"), pictures).unwrap();
    String::from_utf8(out).unwrap()
}

/// The tags of the body, each checked to be one of ours, and the text between
/// them. Nothing ends a tag inside quotes.
fn tags(page: &str) -> Vec<String> {
    const OURS: [&str; 37] = [
        "a",
        "article",
        "b",
        "bdi",
        "body",
        "button",
        "code",
        "dd",
        "del",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "header",
        "html",
        "input",
        "ins",
        "label",
        "legend",
        "li",
        "main",
        "mark",
        "p",
        "script",
        "section",
        "span",
        "ul",
        "head",
        "title",
        "style",
    ];
    let body = &page[page.find("<body>").unwrap()..page.find("<script>").unwrap()];
    let (mut tags, mut rest) = (Vec::new(), body);
    while let Some(at) = rest.find('<') {
        let tag = &rest[at + 1..];
        let mut quoted = false;
        let end = tag
            .char_indices()
            .find(|(_, c)| {
                quoted ^= *c == '"';
                *c == '>' && !quoted
            })
            .unwrap()
            .0;
        let tag = &tag[..end];
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap();
        assert!(OURS.contains(&name), "<{tag}> is none of ours");
        tags.push(tag.to_owned());
        rest = &rest[at + end + 2..];
    }
    tags
}

#[test]
fn the_policy_allows_only_what_is_in_the_page() {
    let mut pictures = Pictures::default();
    let mut update = sample::update("u1", "Old", "New", Cause::Edited);
    update.profile.picture = sample::picture_change(Some("a.png"), "b.png", Cause::Edited);
    let avatar = update.profile.picture.as_ref().unwrap().new.clone();
    pictures.add_new(&avatar, Ok(JANE));
    let page = page(&sample::plan(vec![update], Vec::new()), &pictures);
    let policy = page
        .split("content=\"default-src")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert!(
        policy.starts_with(" 'none'; img-src data:; style-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe") && !policy.contains("http"));
    for (open, close) in [("<style>", "</style>"), ("<script>", "</script>")] {
        let mut rest = page.as_str();
        while let Some((_, from)) = rest.split_once(open) {
            let (inner, after) = from.split_once(close).unwrap();
            assert!(policy.contains(&source(inner)), "{open} is named");
            rest = after;
        }
    }
    let outside = page.replace("content=\"default-src", "");
    for word in [
        "http:",
        "https:",
        "//",
        " src=",
        " style=",
        " onload",
        "javascript:",
    ] {
        let found = outside.find(word);
        // The script has comments and the pictures are base64.
        let ours = word == "//" && page.contains("// Search");
        assert!(
            found.is_none() || ours,
            "{word}: {:?}",
            &outside[found.unwrap()..][..60]
        );
    }
    assert_eq!(page.matches("data:image/").count(), 1);
}

#[test]
fn a_refused_plan_says_why_and_what_to_do_before_anything_else() {
    let mut all = sample::plan(vec![sample::create("c1", "Ann")], sample::every_hold());
    all.left_out = 3;
    all.breaches = vec![Breach {
        guard: Guard::MaxCreates,
        most: 1,
        wanted: 2,
        limit: Some(Limit::Count(1)),
    }];
    let page = page(&all, &Pictures::default());
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is missing"));
    assert!(place("<h2>Refused</h2>") < place("--allow max_creates"));
    assert!(place("--allow max_creates") < place("Partial plan"));
    assert!(place("Partial plan") < place("data-section=\"hold\""));
    assert!(place("data-section=\"hold\"") < place("data-section=\"create\""));
    assert_eq!(page.matches("What to do:").count(), all.holds.len() + 1);
    assert!(page.contains(&summary::digest(&all).to_string()));
    tags(&page);
}

#[test]
fn what_is_grave_is_never_left_out() {
    let mut actions: Vec<_> = (0..ROWS + 10)
        .map(|n| sample::create(&format!("a{n:05}"), "Ann"))
        .collect();
    let mut stolen = sample::update("z9", "Jane", "Joan", Cause::New);
    stolen.renamed_from = Some(sample::key("victim"));
    actions.push(stolen);
    actions.push(sample::adopt("z8", Evidence::Email));
    actions.push(sample::update("z7", "Before", "After", Cause::Edited));
    let mut plain = sample::update("z6", "Same", "Same", Cause::Edited);
    plain.profile.name = None;
    plain.account = sample::account_change();
    actions.push(plain);
    let page = page(&sample::plan(actions, Vec::new()), &Pictures::default());
    let user = |id: &str| page.contains(&format!("</span> {}", code(id)));
    assert!(user("z9") && user("z8") && user("z7"));
    assert!(
        !user("z6") && page.contains("1 of 1 ~ to update, undoing"),
        "ordinary cards give way"
    );
    assert!(page.find("identity change: account").unwrap() < page.find("+</span>").unwrap());
}

#[test]
fn metadata_never_hides_a_new_name() {
    let mut long = sample::update("u1", "Jane Doe", "Somebody", Cause::Edited);
    for n in 0..60 {
        let change = Change {
            old: None,
            new: "x".into(),
            cause: Cause::Edited,
        };
        long.account
            .metadata
            .insert(format!("k{n:03}").as_str().into(), change);
    }
    let page = page(&sample::plan(vec![long], Vec::new()), &Pictures::default());
    assert!(
        page.contains("<dt>name</dt>") && page.contains("… and 20 fields more"),
        "{page}"
    );
}

#[test]
fn a_report_lists_failures_first() {
    let failure = |message: &str| Failure {
        step: Step::UpdateProfile,
        code: "x".into(),
        message: message.into(),
        hint: Some("try <again>".into()),
        status: Some(500),
        request_id: Some("req_1".into()),
    };
    let told = Report {
        troubled: [
            (sample::key("u1"), Outcome::Failed(failure("no <b>"))),
            (sample::key("u2"), Outcome::InDoubt(failure("lost"))),
            (sample::key("u3"), Outcome::Left { why: Stop::Deadline }),
        ]
        .into(),
        stopped: Some(Stop::Deadline),
        elapsed: Duration::from_secs(61),
        ..Report::default()
    };
    let all = sample::plan(vec![sample::create("c1", "Ann")], Vec::new());
    let mut out = Vec::new();
    report(&mut out, &told, &all, &header("production"), &Pictures::default()).unwrap();
    let page = String::from_utf8(out).unwrap();
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is missing"));
    assert!(place("Not everything is done") < place("data-section=\"failed\""));
    assert!(place("changing the profile: no &lt;b&gt;") < place("data-section=\"doubt\""));
    assert!(place("data-section=\"left\"") < place("data-section=\"create\""));
    assert!(page.contains("3 users are not. It stopped early: the deadline was near."));
    tags(&page);
}

#[test]
fn what_is_left_out_is_counted() {
    let creates = (0..ROWS + 7).map(|n| sample::create(&format!("c{n:05}"), "Ann"));
    let forget = sample::forget("f1");
    let all = sample::plan(creates.chain([forget]).collect(), Vec::new());
    let page = page(&all, &Pictures::default());
    assert_eq!(page.matches("<article ").count(), ROWS);
    assert!(page.contains("7 of 5,007 + to create; 1 of 1 - to forget. The JSON report lists all."));
    assert!(page.len() < 12 << 20, "{}", page.len());
    assert!(page.contains("<main id=\"changes\" tabindex=\"-1\" class=\"many\">"));
}

#[test]
fn long_values_do_not_make_a_long_page() {
    let mut actions = Vec::new();
    for n in 0..300 {
        let mut update = sample::update(&format!("u{n:03}"), "Old", "New", Cause::Edited);
        if n < 150 {
            update.profile.name = None;
        }
        for key in 0..60 {
            let change = Change {
                old: Some("&".repeat(5_000).into()),
                new: ("&".repeat(250) + &"<".repeat(9_000)).into(),
                cause: Cause::Edited,
            };
            update
                .account
                .metadata
                .insert(format!("k{key:02}").into(), change);
        }
        actions.push(update);
    }
    let page = page(&sample::plan(actions, Vec::new()), &Pictures::default());
    assert!(page.len() < BYTES + (1 << 17), "{}", page.len());
    assert!(page.contains("Left out") && page.contains("… and 20 fields more"));
    // Of users whose name changes, only metadata is left out.
    assert_eq!(page.matches("<dt>name</dt>").count(), 150);
    assert!(page.contains("… and 60 fields more"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No foreign text becomes a tag, ends an attribute or is hidden.
    #[test]
    fn foreign_text_stays_text(
        texts in prop::array::uniform6("[<>\"'&/=a-c \\\\\u{202e}\u{0}\n-]{0,24}"),
    ) {
        let [old, key, value, title, message, path] = texts;
        let mut update = sample::update("u1", &old, "Ann", Cause::Drifted);
        let change = Change {
            old: Some(value.clone().into()),
            new: old.clone().into(),
            cause: Cause::Both,
        };
        update.account.metadata.insert(key.into(), change);
        update.profile.picture = sample::picture_change(None, &path, Cause::New);
        let hold = Hold {
            key: sample::key("u2"),
            reason: Reason::Unreadable { message: message.clone() },
        };
        let mut all = sample::plan(vec![update], vec![hold]);
        all.unmanaged = vec![sample::unmanaged("8", None, Some(&title))];
        let mut pictures = Pictures::default();
        let avatar = all.actions[0].profile.picture.as_ref().unwrap().new.clone();
        pictures.add_new(&avatar, Err(message));
        let mut out = Vec::new();
        plan(&mut out, &all, &header(&value), &pictures).unwrap();
        let page = String::from_utf8(out).unwrap();
        let shape = |tags: Vec<String>| {
            // The number of marks in a value depends on the value.
            tags.into_iter().filter(|tag| !tag.ends_with("mark")).collect::<Vec<_>>()
        };
        let mut plain = sample::plan(all.actions.clone(), all.holds.clone());
        plain.unmanaged = vec![sample::unmanaged("8", None, Some("title"))];
        let expected = plain_page(&mut plain);
        prop_assert_eq!(shape(tags(&page)), shape(tags(&expected)));
        let body = &page[page.find("<body>").unwrap()..page.find("<script>").unwrap()];
        prop_assert!(!body.chars().any(|c| super::super::escape::is_hostile(c) && c != '\n'));
    }
}

/// The page of the same plan without any foreign text.
fn plain_page(plan: &mut Plan) -> String {
    for action in &mut plan.actions {
        if let Some(name) = &mut action.profile.name {
            name.old = Some("old".into());
        }
        if let Some(picture) = &mut action.profile.picture {
            picture.new.path = "a.png".into();
        }
        let changes = std::mem::take(&mut action.account.metadata);
        for (_, mut change) in changes {
            change.old = Some("a".into());
            change.new = "b".into();
            action.account.metadata.insert("key".into(), change);
        }
    }
    for hold in &mut plan.holds {
        hold.reason = Reason::Unreadable { message: "m".into() };
    }
    page(plan, &Pictures::default())
}
