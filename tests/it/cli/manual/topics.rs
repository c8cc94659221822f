//! `whop-sync help`: commands and pages.

use std::collections::BTreeSet;

use whop_sync::cli::TOPICS;

use super::super::Place;
use super::read;

#[test]
fn help_prints_the_help_of_a_command_or_a_page_as_it_is_written() {
    let place = Place::new();
    let all = place.expect(0, "help");
    assert_eq!(all.stdout, place.expect(0, "--help").stdout);
    assert_eq!(
        place.expect(0, "help plan").stdout,
        place.expect(0, "plan --help").stdout
    );
    for topic in TOPICS {
        let page = place.expect(0, &format!("help {}", topic.name));
        let same = page.stdout == read(&format!("docs/src/{}.md", topic.name));
        assert!(same, "{} was built from another text", topic.name);
        let line = format!("  {}  ", topic.title);
        assert!(
            all.stdout.contains(line.trim_end()) && all.stdout.contains(topic.name),
            "{}",
            all.shown()
        );
    }
    let document = place.expect(0, "help exit-status --format json").json();
    assert_eq!(document["kind"], "help");
    assert_eq!(document["text"], read("docs/src/exit-status.md").trim_end());
    // Bad surroundings do not keep help from whoever needs it.
    let ran = place.run_with("help environment", &[("WHOP_SYNC_SERVER", "moon")]);
    assert_eq!(ran.status, 0, "{}", ran.shown());
}

#[test]
fn no_command_hides_a_topic() {
    let names: BTreeSet<&str> = TOPICS.iter().map(|topic| topic.name).collect();
    assert_eq!(names.len(), TOPICS.len(), "a topic twice");
    let place = Place::new();
    for name in names {
        let ran = place.expect(64, name);
        assert!(ran.stderr.contains("unrecognized subcommand"), "{}", ran.shown());
    }
}

#[test]
fn an_unknown_word_is_a_usage_error_with_the_nearest_name() {
    let place = Place::new();
    for (word, tip) in [
        ("pland", "did you mean `plan`?"),
        ("exit-statsu", "did you mean `exit-status`?"),
        ("zzzzzz", "`whop-sync help` lists the commands and the topics"),
    ] {
        let ran = place.expect(64, &format!("help {word}"));
        assert!(
            ran.stdout.is_empty() && ran.stderr.contains(tip),
            "{}",
            ran.shown()
        );
        let document = place.expect(64, &format!("help {word} --format json")).json();
        assert_eq!(document["code"], "usage.invalid");
        assert!(
            document["message"]
                .as_str()
                .unwrap()
                .contains(&format!("`{word}`")),
            "{document}"
        );
        assert_eq!(document["hint"], tip);
    }
    place.expect(64, "help plan apply");
}
