//! `--report FILE.html`, as the program writes it. What browsers make of it
//! is looked at in `tests/browser`.

use super::{EXAMPLE, Place};

fn page(place: &Place, name: &str) -> String {
    String::from_utf8(place.read(name)).unwrap()
}

#[test]
fn the_page_shows_pictures_before_and_after_and_is_the_same_twice() {
    let place = Place::example();
    let example = format!("-f {EXAMPLE} --server emulator");
    place.expect(0, &format!("apply --yes {example} --report applied.html"));
    let applied = page(&place, "applied.html");
    assert!(applied.contains("<h1>Applied: 12 created, 11 pictures set</h1>"));
    assert!(applied.contains(">after<") && !applied.contains(">before<"));
    // Eleven users, of whom two share a picture.
    assert_eq!(applied.matches("data:image/").count(), 10);
    assert_eq!(applied.matches("aria-label=\"picture after\"").count(), 11);

    place.edit(
        EXAMPLE,
        "examples/avatars/nikos.jpg",
        "examples/avatars/xiaoyu.jpeg",
    );
    place.edit(EXAMPLE, "name: Studio North\n", "name: Studio <North>\n");
    let before = place.files();
    place.expect(
        0,
        &format!("plan {example} --report plan.html --report again.html"),
    );
    let plan = page(&place, "plan.html");
    assert_eq!(plan, page(&place, "again.html"));
    place.expect(0, &format!("plan {example} --report later.html"));
    assert_eq!(plan, page(&place, "later.html"));
    assert_eq!(plan.matches("data:image/").count(), 2);
    assert!(plan.contains("aria-label=\"picture before\"") && plan.contains("aria-label=\"picture after\""));
    assert!(
        plan.contains("<ins><bdi>&quot;Studio <mark>&lt;</mark>North<mark>&gt;</mark>&quot;</bdi></ins>")
    );
    let written: Vec<_> = place
        .files()
        .into_keys()
        .filter(|path| !before.contains_key(path))
        .collect();
    assert_eq!(written.len(), 3, "{written:?}");
}

#[test]
fn a_refused_plan_and_one_whose_pictures_are_gone_are_reported_too() {
    let place = Place::example();
    let example = format!("-f {EXAMPLE} --server emulator");
    place.expect(0, &format!("apply --yes {example}"));
    // What the emulator holds of pictures is gone; the plan goes on.
    std::fs::remove_dir_all(place.path(".whop-sync/emulator.jsonl.files")).unwrap();
    place.edit(
        EXAMPLE,
        "examples/avatars/nikos.jpg",
        "examples/avatars/xiaoyu.jpeg",
    );
    place.edit(EXAMPLE, "name: Studio North\n", "name: Studio South\n");
    place.edit(EXAMPLE, "name: Jane Holloway\n", "name: Jane Marlow\n");
    place.edit(
        EXAMPLE,
        "version: 1\n",
        "version: 1\nguardrails: { max_updates: 0 }\n",
    );
    place.expect(3, &format!("plan {example} --report refused.html"));
    let page = page(&place, "refused.html");
    assert!(page.contains("<h2>Refused</h2>") && page.contains("--allow max_updates"));
    assert!(page.contains("no picture: it is no longer there"));
    place.expect(64, &format!("plan {example} --report plan.htm"));
}
