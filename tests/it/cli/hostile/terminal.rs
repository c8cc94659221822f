//! The same on a terminal: the plan, the question, the bar, the lines and what
//! Whop says of failures, on a pseudo-terminal that `script` of util-linux
//! opens.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

/// What the program writes to move about: the bar clears its own line.
const MOVES: [&str; 4] = ["\u{1b}[2K", "\u{1b}[K", "\u{1b}[1A", "\u{1b}[1B"];

/// Runs a command on a terminal of its own and types this; what the terminal
/// got. `None` where there is no `script`.
fn on_a_terminal(scene: &Scene, line: &str, limit: &str, typed: &str) -> Option<String> {
    let program = env!("CARGO_BIN_EXE_whop-sync");
    let line = format!("stty cols 120 rows 40; timeout --foreground 100 {program} {line}");
    let mut command = Command::new("script");
    command.args(["-q", "-e", "-c", &line, "/dev/null"]);
    command.current_dir(scene.place.0.path()).env_clear();
    command.env("PATH", std::env::var("PATH").unwrap_or_default());
    command.env("TERM", "xterm-256color").env("WHOP_API_KEY", "any");
    command.env("WHOP_SYNC_LIMIT", limit);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = crate::told::tool(&mut command)?;
    let mut keys = child.stdin.take().unwrap();
    keys.write_all(typed.as_bytes()).unwrap();
    // Hanging up before it is done would be another test.
    let output = child.wait_with_output().unwrap();
    drop(keys);
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Judges what a terminal got, but for the moves of the bar and the ends of
/// lines, which a terminal writes in two characters.
#[track_caller]
fn judged(what: &str, got: &str) {
    let mut plain = got.replace("\r\n", "\n");
    for moves in MOVES {
        plain = plain.replace(moves, "");
    }
    // The bar is drawn over itself.
    judge::lines(what, &plain.replace('\r', "\n"), &[]);
}

#[test]
fn a_terminal_is_told_safely_too() {
    let (place, names, _) = hostile_place();
    let scene = Scene::new(place);
    scene.whop.emulator.set_rate(0);
    // Whop refuses some of them, in words of its own.
    let texts = texts();
    for (n, text) in texts.iter().enumerate().filter(|(n, _)| n % 3 == 0) {
        let error = json!({"error": {"type": text, "code": text, "message": text}});
        scene.whop.emulator.fault(Fault {
            operation: Some(Operation::UpdateUser),
            containing: None,
            skip: n as u64,
            count: Some(1),
            chance: 100,
            strike: Strike::Answer {
                status: 422,
                body: Some(error.to_string()),
                headers: BTreeMap::new(),
            },
        });
    }
    let on = format!("--server {}", scene.whop.base);
    // The question is asked below the plan, and refused.
    let line = format!("apply --color always {on}");
    let Some(refused) = on_a_terminal(&scene, &line, "60000/min", "no\n") else {
        return; // There is no `script` here.
    };
    judged("the question", &refused);
    assert!(refused.contains("Apply these changes?"), "{refused:.2000}");
    assert!(scene.whop.emulator.accounts().is_empty(), "{refused:.2000}");

    // Slowly enough for the bar to be seen, and failures with it.
    let applied = on_a_terminal(&scene, &line, "2400/min", "yes\n").unwrap();
    judged("the bar", &applied);
    assert!(
        applied.contains("[2K") || applied.contains("[K"),
        "no bar: {applied:.2000}"
    );
    assert!(applied.contains("failed"), "{applied:.2000}");
    assert!(
        scene.whop.emulator.accounts().len() >= names.len(),
        "{applied:.2000}"
    );

    // What is left, with lines instead of a bar, and logs between them.
    let line = format!("apply --yes --progress lines -vv {on}");
    let rest = on_a_terminal(&scene, &line, "60000/min", "").unwrap();
    judged("the lines", &rest);
    let line = format!("plan --refresh full --progress bar {on}");
    judged("the plan", &on_a_terminal(&scene, &line, "2400/min", "").unwrap());
}

#[test]
fn a_line_every_ten_seconds_is_told_safely() {
    let (place, names, _) = hostile_place();
    let scene = Scene::new(place);
    let line = format!("apply --yes --progress lines --server {}", scene.whop.base);
    // Whoever may create five accounts a second needs more than ten seconds.
    assert!(names.len() > 55, "{}", names.len());
    let Some(got) = on_a_terminal(&scene, &line, "180/min", "") else {
        return;
    };
    judged("the lines", &got);
    let count = format!(" of {} users", names.len());
    let told = got.lines().filter(|line| line.contains(&count)).count();
    let end: String = got.chars().rev().take(1_500).collect();
    assert!(told >= 1, "{}", end.chars().rev().collect::<String>());
}

/// The names of a table's columns stand in what `init` says of it.
#[test]
fn what_init_says_of_a_table_is_told_safely() {
    for text in texts()
        .iter()
        .filter(|text| text.len() < 500 && !text.contains('\0'))
    {
        let head = text.replace('"', "\"\"");
        let hostile = format!("\"{head}\",\"x{head}\",\"y{head}\"\n1,a@acme.dev,Ann\n");
        let plain = format!("id,email,name,\"z{head}\"\n1,a@acme.dev,Ann,red\n");
        // Columns that are missing, and one that is not used.
        for (table, ends) in [
            (hostile, "no column of the table is for `"),
            (plain, "users.yaml"),
        ] {
            let scene = Scene::new(Place::new().file("table.csv", table));
            let Some(got) = on_a_terminal(&scene, "init --from-csv table.csv", "600/min", "") else {
                return;
            };
            assert!(got.contains(ends), "{got}");
            judged("what init says", &got);
        }
    }
}
