//! Follows the tutorial and the README's example as a reader would.

use std::fs;

use super::super::{EXAMPLE, Place, steady};
use super::{kept, path, read};

/// What comes before a command in the README, where nothing is installed yet.
const FROM_SOURCE: &str = "cargo run --release --";

/// Does what a page's blocks say, in their order, and gives the page with the
/// outputs of now. Blocks of `yaml` become `users.yaml`, those of `diff` edit it.
fn followed(page: &str, place: &Place) -> String {
    let (mut now, mut lines) = (String::new(), page.split_inclusive('\n'));
    while let Some(line) = lines.next() {
        now += line;
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let block: String = lines.by_ref().take_while(|line| *line != "```\n").collect();
        match language.trim_end() {
            "console" => now += &played(&block, place),
            "yaml" => fs::write(place.path("users.yaml"), &block).unwrap(),
            "diff" => edit(&block, place),
            _ => {}
        }
        if language.trim_end() != "console" {
            now += &block;
        }
        now += "```\n";
    }
    now
}

/// A block of commands with their outputs. One that leaves a part out, with a
/// line `…`, stays as it is if all the rest is there.
fn played(block: &str, place: &Place) -> String {
    let mut now = String::new();
    for command in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
        now += &format!("$ {command}\n");
        match command.split_once(' ').expect("a command with arguments") {
            ("whop-sync", line) => now += &output(line, place),
            ("rm", file) => fs::remove_file(place.path(file)).unwrap(),
            _ if command.starts_with(FROM_SOURCE) => now += &output(&command[FROM_SOURCE.len()..], place),
            _ => return block.to_owned(),
        }
    }
    let (shown, all) = (steady(block), steady(&now));
    let mut rest = all.as_str();
    let is_there = shown.split("…\n").all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    });
    match is_there && shown.contains("…\n") && rest.is_empty() {
        true => block.to_owned(),
        false => now,
    }
}

/// Both streams in one, as a terminal shows them.
fn output(line: &str, place: &Place) -> String {
    let both = tempfile::NamedTempFile::new().unwrap();
    let mut command = place.command(line);
    let (out, err) = (append(&both), append(&both));
    command.stdout(out).stderr(err);
    command.status().unwrap();
    fs::read_to_string(both.path()).unwrap()
}

fn append(file: &tempfile::NamedTempFile) -> fs::File {
    fs::OpenOptions::new().append(true).open(file.path()).unwrap()
}

/// Makes the change of a `diff` block, which must be there to be made.
fn edit(block: &str, place: &Place) {
    let side = |other: char| -> String {
        let lines = block
            .split_inclusive('\n')
            .filter(|line| !line.starts_with(other));
        lines.map(|line| &line[1..]).collect()
    };
    place.edit("users.yaml", &side('+'), &side('-'));
}

/// Ids, digests and times differ from run to run.
fn masked(page: &str) -> String {
    super::super::words(&steady(page), |word| {
        let is_digest = word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
        if is_digest { "DIGEST" } else { word }.to_owned()
    })
}

#[test]
fn the_tutorial_prints_what_it_says() {
    let jane = fs::read(path("examples/avatars/jane.png")).unwrap();
    let place = Place::new().file("avatars/jane.png", jane);
    let file = "docs/src/first-sync.md";
    kept(file, &followed(&read(file), &place), masked);
    let mapping = place.read(".whop-sync/users.mapping.jsonl");
    assert_eq!(
        String::from_utf8(mapping).unwrap().lines().count(),
        4,
        "three users"
    );
}

#[test]
fn the_readme_shows_what_its_first_command_prints() {
    let place = Place::example();
    assert!(read("README.md").contains(EXAMPLE));
    kept("README.md", &followed(&read("README.md"), &place), masked);
    place.expect(
        0,
        &format!("plan -f {EXAMPLE} --server emulator --detailed-exitcode"),
    );
}

#[test]
fn a_page_that_says_something_else_is_found() {
    let place = Place::new();
    let page = "A.\n\n```console\n$ whop-sync schema -f x\nnot this\n```\n";
    assert_ne!(masked(&followed(page, &place)), page);
    let left_out = "```console\n$ whop-sync --version\n…\nnot this\n```\n";
    assert_ne!(followed(left_out, &place), left_out);
}
