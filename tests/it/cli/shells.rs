//! What shells make of the completions: real ones where they are installed,
//! and for PowerShell the question that its script asks.

use std::process::{Command, Output, Stdio};

use super::Place;
use crate::told::tool;

/// A place with three users.
fn place() -> Place {
    Place::with("version: 1\nusers:\n- id: user_2\n- id: user_1\n- id: other_42\n")
}

/// Runs a shell on a script, with the program on its path; `None` where there
/// is no such shell.
fn shell(place: &Place, name: &str, options: &[&str], script: &str) -> Option<Output> {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_whop-sync"));
    let folder = program.parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.args(options).arg(script).current_dir(place.0.path());
    command.env("PATH", format!("{}:{path}", folder.display()));
    command.env("HOME", place.0.path()).env("TERM", "xterm");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Some(tool(&mut command)?.wait_with_output().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(unix)]
#[test]
fn fish_itself_completes_commands_and_ids() {
    let script = "whop-sync completions fish | source
        complete -C 'whop-sync show user_'
        complete -C 'whop-sync plan --only o'
        complete -C 'whop-sync pl'";
    let place = place();
    let Some(output) = shell(&place, "fish", &["--no-config", "-c"], script) else {
        return; // There is no fish here.
    };
    let expected = "user_1\nuser_2\nother_42\nplan\tShow what apply would change\n";
    assert_eq!(text(&output.stdout), expected, "{output:?}");
}

/// On a terminal of its own, with the key that people press.
#[cfg(unix)]
#[test]
fn zsh_itself_completes_an_id_on_a_terminal() {
    let script = r"zmodload zsh/zpty
        zpty inner zsh -f -i
        zpty -w inner 'autoload -Uz compinit; compinit -u -D; source <(whop-sync completions zsh)'
        zpty -w inner 'PS1=REA''DY'
        zpty -r inner seen '*READY*'
        zpty -w -n inner $'whop-sync show oth\t'
        zpty -r inner seen '*show other_42*'
        zpty -w -n inner $'\x15whop-sync show user_\t'
        zpty -r inner seen '*user_1*user_2*'
        print -r -- completed
        zpty -d inner";
    let place = place();
    if shell(&place, "zsh", &["-f", "-c"], "").is_none() {
        return; // There is no zsh here.
    }
    // What does not come is waited for in vain. Each key is pressed once the line
    // editor waits for it: keys that lie there already make zsh list nothing.
    let output = shell(&place, "timeout", &["600", "zsh", "-f", "-c"], script).unwrap();
    assert!(text(&output.stdout).contains("completed"), "{output:?}");
}

/// What the program answers PowerShell's script, which splits each line at its
/// tab into what is typed and what is said about it.
fn asked_by_powershell(place: &Place, words: &[&str]) -> Vec<(String, String)> {
    let mut command = place.command("");
    // `& whop-sync -- <the line up to the cursor>`, with `''` for a new word.
    command.args(["--", "whop-sync"]).args(words);
    let output = command.env("WHOP_SYNC_COMPLETE", "powershell").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = text(&output.stdout);
    let split = lines.lines().filter(|line| !line.is_empty()).map(|line| {
        let (value, about) = line.split_once('\t').unwrap_or((line, line));
        (value.to_owned(), about.to_owned())
    });
    split.collect()
}

#[test]
fn powershells_script_asks_and_is_answered() {
    let place = place();
    let script = place.expect(0, "completions powershell").stdout;
    // As clap_complete documents it, with our names in it.
    for part in [
        "Register-ArgumentCompleter -Native -CommandName whop-sync",
        "$env:WHOP_SYNC_COMPLETE = \"powershell\";",
        "$args += \" ''\";",
        "& whop-sync -- $args",
        "$split = $_.Split(\"`t\");",
        "[System.Management.Automation.CompletionResult]::new($cmd, $cmd, 'ParameterValue', $help)",
    ] {
        assert!(script.contains(part), "{part} is not in\n{script}");
    }
    let values = |words: &[&str]| -> Vec<String> {
        let offered = asked_by_powershell(&place, words);
        offered.into_iter().map(|(value, _)| value).collect()
    };
    assert_eq!(values(&["show", "user_"]), ["user_1", "user_2"]);
    assert_eq!(values(&["plan", "--only", "o"]), ["other_42"]);
    assert_eq!(values(&["show", ""])[..3], ["other_42", "user_1", "user_2"]);
    assert_eq!(
        asked_by_powershell(&place, &["pl"]),
        [("plan".to_owned(), "Show what apply would change".to_owned())]
    );
    assert!(values(&["plan", "--ref"]).contains(&"--refresh".to_owned()));
}

/// A manifest may come from a stranger, and shells put what they complete on
/// the line as it is: what would act there is not offered.
#[test]
fn an_id_that_a_shell_would_act_on_is_not_offered() {
    let ids = [
        "$(touch pwned)",
        "`id`",
        "a;b",
        "a b",
        "a'b",
        "a|b",
        "*",
        "~root",
        "!1",
        "-x",
        "=ls",
        "a\u{202e}b",
        "a\u{200b}b",
        "a&b",
        "#a",
    ];
    let list: String = ids
        .iter()
        .map(|id| format!("- id: {}\n", serde_json::to_string(id).unwrap()))
        .collect();
    let plain = ["a.b-c_d", "a:b/c", "a@b.c", "é", "42"];
    let more: String = plain.iter().map(|id| format!("- id: \"{id}\"\n")).collect();
    let place = Place::with(&format!("version: 1\nusers:\n{list}{more}"));
    let offered = asked_by_powershell(&place, &["show", ""]);
    let offered: Vec<&str> = offered
        .iter()
        .map(|(value, _)| value.as_str())
        .filter(|value| !value.starts_with("--"))
        .collect();
    assert_eq!(offered, ["42", "a.b-c_d", "a:b/c", "a@b.c", "é"]);
}
