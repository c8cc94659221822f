//! Links within the repository: the page exists, and so does the heading.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{files, read, root};

/// The texts whose links are checked, besides the book.
const OTHERS: [&str; 5] = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "examples/ci/README.md",
];

fn events(text: &str) -> impl Iterator<Item = Event<'_>> {
    Parser::new_ext(text, Options::ENABLE_TABLES)
}

/// The anchors that mdBook and GitHub give to a text's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let (mut found, mut heading) = (BTreeSet::new(), None);
    for event in events(text) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let text = heading.take().unwrap_or_default();
                let kept = text.trim().chars().filter_map(|c| match c {
                    ' ' => Some('-'),
                    '-' | '_' => Some(c),
                    _ if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
                    _ => None,
                });
                assert!(found.insert(kept.collect()), "two headings `{text}`");
            }
            Event::Text(part) | Event::Code(part) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&part);
                }
            }
            _ => {}
        }
    }
    found
}

fn links(text: &str) -> Vec<String> {
    let target = |event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.to_string()),
        _ => None,
    };
    events(text).filter_map(target).collect()
}

/// A path without `..`, as far as the text goes.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} leaves the repository", path.display()),
            part => plain.push(part),
        }
        plain
    })
}

/// What is wrong with a link of this file.
fn fault(file: &str, link: &str) -> Option<String> {
    if link.starts_with("https://") {
        return None;
    }
    let (path, anchor) = link
        .split_once('#')
        .map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = match path {
        "" => PathBuf::from(file),
        path => plain(&Path::new(file).parent()?.join(path)),
    };
    let name = target.to_str()?;
    if !root().join(&target).exists() {
        return Some(format!("{file}: there is no {name}"));
    }
    // The book is also published without the rest of the repository.
    if file.starts_with("docs/") && !name.starts_with("docs/src/") {
        return Some(format!("{file}: {name} is not in the book"));
    }
    let anchor = anchor?;
    (!anchors(&read(name)).contains(anchor)).then(|| format!("{file}: {name} has no heading #{anchor}"))
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    for link in ["nothing.md", "#nothing", "LICENSE#x", "src"] {
        let wrong = fault("docs/src/first-sync.md", link);
        assert!(wrong.is_some(), "{link}");
    }
    assert_eq!(fault("README.md", "docs/src/exit-status.md#error-codes"), None);
}

#[test]
fn every_link_leads_somewhere() {
    let book = files().into_iter().map(|name| format!("docs/src/{name}.md"));
    let all = book
        .chain(["docs/src/SUMMARY.md".to_owned()])
        .chain(OTHERS.map(str::to_owned));
    let (mut count, mut wrong) = (0, Vec::new());
    for file in all {
        for link in links(&read(&file)) {
            count += 1;
            wrong.extend(fault(&file, &link));
        }
    }
    assert!(count > 20 && wrong.is_empty(), "{count} links: {wrong:#?}");
}
