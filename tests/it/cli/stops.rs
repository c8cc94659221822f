//! What stops a run: another run's lock, a user who cannot be done, a
//! guardrail, a deadline, a signal.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use serde_json::{Value, json};

use super::{EXAMPLE, Place, Ran, Running, Served};
use crate::golden::golden;

pub(super) const KEY: (&str, &str) = ("WHOP_API_KEY", "any");

/// Sends a signal to a process of ours.
pub(super) fn signal(name: &str, process: &Running) {
    let line = format!("kill -{name} {}", process.0.id());
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
}

/// Starts a run whose output is collected at its end.
pub(super) fn start(place: &Place, line: &str) -> Running {
    let mut command = place.command(line);
    command
        .env(KEY.0, KEY.1)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Running(command.spawn().unwrap())
}

/// Waits for its end.
pub(super) fn finish(mut process: Running, line: &str) -> Ran {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    process.0.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
    process.0.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    let status = process.0.wait().unwrap();
    let output = std::process::Output {
        status,
        stdout,
        stderr,
    };
    Ran::new(line, output)
}

/// A server that takes connections and never answers: a run that has
/// connected holds its lock for as long as the test likes.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let base = format!("http://{}/api/v1", listener.local_addr().unwrap());
    (listener, base)
}

#[test]
fn a_second_run_is_refused_and_told_who_holds_the_mapping() {
    let (listener, base) = silent();
    let place = Place::example();
    let line = format!("apply --yes -q -f {EXAMPLE} --server {base}");
    let first = start(&place, &line);
    let _connection = listener.accept().unwrap();
    let before = place.files();

    let second = place.run_with(&line, &[KEY]);
    assert_eq!(second.status, 6, "{}", second.shown());
    let pid = first.0.id().to_string();
    assert!(second.stderr.contains(&pid), "{}", second.shown());
    assert!(second.stderr.contains("mapping.locked"), "{}", second.shown());
    let document = place.run_with(&format!("{line} --format json"), &[KEY]);
    assert_eq!(
        (document.status, &document.json()["code"]),
        (6, &json!("mapping.locked"))
    );
    assert_eq!(place.files(), before);

    // Nobody waits for an answer that does not come.
    signal("INT", &first);
    let first = finish(first, &line);
    assert_eq!(first.status, 130, "{}", first.shown());
    assert!(
        first.stderr.contains("before the first change"),
        "{}",
        first.shown()
    );
    drop(listener);
    let third = place.expect(0, &format!("plan -q -f {EXAMPLE} --server emulator"));
    assert!(third.stdout.contains("12 to create"), "{}", third.shown());
}

#[test]
fn an_interrupted_plan_says_so_in_json_too() {
    let (listener, base) = silent();
    let place = Place::example();
    let line = format!("plan -q -f {EXAMPLE} --server {base} --format json");
    let plan = start(&place, &line);
    let _connection = listener.accept().unwrap();
    signal("TERM", &plan);
    let plan = finish(plan, &line);
    assert_eq!(plan.status, 130, "{}", plan.shown());
    assert_eq!(plan.json()["code"], "run.interrupted");
}

/// What a forwarder holds back: from the create that a test waits for on, no
/// answer comes until the test lets them. A run that is caught there cannot end,
/// however slow the machine is.
pub(super) struct Gate(Mutex<Held>, Condvar);

struct Held {
    /// How many creates may still go by.
    creates: usize,
    /// Whether answers are held.
    shut: bool,
}

impl Gate {
    /// Waits until the last of the creates is on its way.
    pub(super) fn wait(&self) {
        let Self(held, changed) = self;
        let held = held.lock().unwrap();
        drop(changed.wait_while(held, |held| !held.shut).unwrap());
    }

    /// Lets all answers come, now and from now on.
    pub(super) fn open(&self) {
        let Self(held, changed) = self;
        held.lock().unwrap().shut = false;
        changed.notify_all();
    }

    /// A request is about to go by.
    fn passes(&self, request: &[u8]) {
        let Self(held, changed) = self;
        let mut held = held.lock().unwrap();
        if held.creates > 0 && request.starts_with(b"POST /api/v1/accounts") {
            held.creates -= 1;
            held.shut = held.creates == 0;
            changed.notify_all();
        }
    }

    /// Waits until answers may come.
    fn waits(&self) {
        let Self(held, changed) = self;
        let held = held.lock().unwrap();
        drop(changed.wait_while(held, |held| held.shut).unwrap());
    }
}

/// Forwards connections to a server, and holds answers back once so many
/// creates are on their way.
pub(super) fn forward(served: &Served, creates: usize) -> (String, Arc<Gate>) {
    let to = served.base["http://".len()..].trim_end_matches("/api/v1");
    let to: SocketAddr = to.parse().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let base = format!("http://{}/api/v1", listener.local_addr().unwrap());
    let held = Held { creates, shut: false };
    let gate = Arc::new(Gate(Mutex::new(held), Condvar::new()));
    let shared = Arc::clone(&gate);
    thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let server = TcpStream::connect(to).unwrap();
            let (back, there) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let (passes, waits) = (Arc::clone(&shared), Arc::clone(&shared));
            thread::spawn(move || pump(client, server, |request| passes.passes(request)));
            thread::spawn(move || pump(back, there, |_| waits.waits()));
        }
    });
    (base, gate)
}

/// Carries bytes until either side ends, after showing them.
fn pump(mut from: TcpStream, mut to: TcpStream, show: impl Fn(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        show(&buffer[..n]);
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Waits until a run says on stderr that it was asked to stop.
pub(super) fn wait_for_stop(process: &mut Running) {
    let told = process.0.stderr.as_mut().unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("stopping, since") {
        let mut byte = [0];
        told.read_exact(&mut byte).unwrap();
        seen.extend(byte);
    }
}

#[test]
fn a_signal_lets_work_in_hand_finish_and_the_next_run_completes() {
    for name in ["INT", "TERM"] {
        let served = Served::start("");
        let (base, gate) = forward(&served, 1);
        let place = Place::example();
        let options = format!("-f {EXAMPLE} --server {base} --format json");
        let line = format!("apply --yes {options}");
        let mut apply = start(&place, &line);
        gate.wait();
        signal(name, &apply);
        // The create is unanswered when the run learns of the signal.
        wait_for_stop(&mut apply);
        gate.open();
        let stopped = finish(apply, &line);
        assert_eq!(stopped.status, 130, "{name}\n{}", stopped.shown());
        let report = stopped.json();
        assert_eq!(
            (&report["kind"], &report["stopped"]),
            (&json!("report"), &json!("interrupted"))
        );
        let left = report["troubled"].as_array().unwrap();
        assert!(left.iter().all(|user| user["outcome"] == "left"), "{report}");
        let made = report["requests"]["create_account"].as_u64().unwrap();
        assert!(made > 0, "{report}");
        let shown = place.run(&format!("show {options}"));
        let recorded = shown.json()["users"].as_array().unwrap().len() as u64;
        assert_eq!(recorded, made, "every account made is recorded");

        let resumed = place.run_with(&line, &[KEY]);
        assert_eq!(resumed.status, 0, "{}", resumed.shown());
        let again = &resumed.json()["requests"]["create_account"];
        assert_eq!(again.as_u64().unwrap_or(0), 12 - made, "none is made twice");
        let check = place.run_with(&format!("plan --detailed-exitcode {options}"), &[KEY]);
        assert_eq!(check.status, 0, "{}", check.shown());
        assert_eq!(check.json()["reads"]["accounts"], 12);
    }
}

#[test]
fn a_refused_address_fails_one_user_and_the_rest_are_done() {
    let place = Place::example();
    place.edit(EXAMPLE, "email: noam@example.org", "email: noam@bounce.test");
    let ran = place.run(&format!(
        "apply --yes -q -f {EXAMPLE} --server emulator --format json"
    ));
    assert_eq!(ran.status, 5, "{}", ran.shown());
    let report = ran.json();
    assert_eq!(
        (&report["done"], &report["complete"]),
        (&json!({"create": 11}), &json!(false))
    );
    assert_eq!(report["troubled"][0]["id"], "user_10005", "{report}");
    let human = place.run(&format!("apply --yes -q -f {EXAMPLE} --server emulator"));
    assert_eq!(human.status, 5, "{}", human.shown());
    golden("cli/one_refused.txt", &human.steady());
    place.edit(EXAMPLE, "email: noam@bounce.test", "email: noam@example.org");
    let mended = place.expect(
        0,
        &format!("apply --yes -q -f {EXAMPLE} --server emulator --format json"),
    );
    assert_eq!(mended.json()["done"], json!({"create": 1}));
}

#[test]
fn a_guardrail_shows_the_plan_and_refuses_it() {
    let place = Place::example();
    place.edit(
        EXAMPLE,
        "# guardrails: { max_creates: 50,",
        "guardrails: { max_creates: 5, #",
    );
    place.edit(EXAMPLE, "# max_updates: 30% }", "}");
    for command in ["plan", "apply --yes"] {
        let line = format!("{command} -q -f {EXAMPLE} --server emulator");
        let ran = place.expect(3, &line);
        assert!(ran.stdout.contains("\nPlan: 12 to create\n"), "{}", ran.shown());
        golden(&format!("cli/refused_{}.txt", &command[..4]), &ran.steady());
        let document = place.expect(3, &format!("{line} --format json")).json();
        assert_eq!(
            (&document["kind"], &document["code"]),
            (&json!("error"), &json!("plan.refused"))
        );
        assert_eq!(document["plan"]["actions"].as_array().map(Vec::len), Some(12));
    }
    assert!(!place.path(".whop-sync/users.example.mapping.jsonl").exists());
    place.expect(
        0,
        &format!("apply --yes -f {EXAMPLE} --server emulator --allow max_creates"),
    );
}

/// Gives every user of the example another name.
fn rename_everybody(place: &Place) {
    let text = String::from_utf8(place.read(EXAMPLE)).unwrap();
    std::fs::write(place.path(EXAMPLE), text.replace("    name: ", "    name: Dr ")).unwrap();
}

#[test]
fn a_doctored_mapping_does_not_get_past_the_limit_of_updates() {
    const MAPPING: &str = ".whop-sync/users.example.mapping.jsonl";
    let place = Place::example();
    let options = format!("-q -f {EXAMPLE} --server emulator");
    place.expect(0, &format!("apply --yes {options}"));
    let honest = String::from_utf8(place.read(MAPPING)).unwrap();
    rename_everybody(&place);
    let rows = |keep: usize, without: &[&str]| {
        let lines = honest.lines().enumerate().take(keep + 1).map(|(n, line)| {
            let mut row: Value = serde_json::from_str(line).unwrap();
            let row = row.as_object_mut().unwrap();
            row.retain(|key, _| n == 0 || !without.contains(&key.as_str()));
            format!("{}\n", json!(row))
        });
        lines.collect::<String>()
    };
    for doctored in [
        rows(12, &[]),
        rows(9, &[]),
        rows(0, &[]),
        rows(12, &["name"]),
        rows(9, &["name", "title", "metadata", "avatar", "picture"]),
    ] {
        std::fs::write(place.path(MAPPING), &doctored).unwrap();
        for refresh in ["full", "changed", "auto"] {
            let line = format!("apply --yes {options} --refresh {refresh} --format json");
            let ran = place.expect(3, &line).json();
            let told: Vec<_> = ran["plan"]["breaches"].as_array().unwrap().iter().collect();
            assert_eq!(told.len(), 1, "{ran}");
            assert_eq!(
                (&told[0]["guard"], &told[0]["most"], &told[0]["wanted"]),
                (&json!("max_updates"), &json!(3), &json!(12)),
                "{doctored}"
            );
        }
    }
}

/// Moves all that was ever made in the emulator back in time.
fn age(place: &Place, milliseconds: u64) {
    const FIELD: &str = "\"created_at\":";
    let path = place.path(".whop-sync/emulator.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut parts = text.split(FIELD);
    let mut aged = parts.next().unwrap().to_owned();
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap();
        let at: u64 = part[..digits].parse().unwrap();
        aged += &format!("{FIELD}{}{}", at - milliseconds, &part[digits..]);
    }
    assert_ne!(aged, text);
    std::fs::write(&path, aged).unwrap();
}

#[test]
fn a_flood_of_creates_is_refused_once_the_platform_is_a_day_old() {
    let place = Place::example();
    let options = format!("-q -f {EXAMPLE} --server emulator");
    place.expect(0, &format!("apply --yes {options}"));
    let mut text = String::from_utf8(place.read(EXAMPLE)).unwrap();
    for n in 0..51 {
        text += &format!("  - {{ id: flood{n:02}, email: flood{n:02}@example.org, name: Flood }}\n");
    }
    std::fs::write(place.path(EXAMPLE), text).unwrap();
    // Today an import may still be under way; the plan says so first.
    let today = place.expect(0, &format!("plan {options}"));
    assert!(
        today.stdout.starts_with("CAUTION: 51 accounts to create"),
        "{}",
        today.shown()
    );
    age(&place, 25 * 3_600_000);
    let line = format!("apply --yes {options}");
    let refused = place.expect(3, &format!("{line} --format json")).json();
    let breach = &refused["plan"]["breaches"][0];
    assert_eq!(
        (&breach["guard"], &breach["most"], &breach["wanted"]),
        (&json!("max_creates"), &json!(50), &json!(51))
    );
    let lifted = place.expect(0, &format!("{line} --allow max_creates"));
    assert!(
        lifted
            .stdout
            .starts_with("CAUTION: `--allow max_creates` lifts this limit"),
        "{}",
        lifted.shown()
    );
}

#[test]
fn a_limit_laxer_than_the_default_is_told_first_in_every_format() {
    let place = Place::example();
    let text = String::from_utf8(place.read(EXAMPLE)).unwrap();
    std::fs::write(
        place.path(EXAMPLE),
        format!("guardrails: {{ max_updates: 100% }}\n{text}"),
    )
    .unwrap();
    let options = format!("-q -f {EXAMPLE} --server emulator");
    let told = "`max_updates: 100%`, which allows more than the default of 30%";
    for command in ["plan", "apply --yes"] {
        let line = format!("{command} {options} --report r.md --report r.html --report r.json");
        let human = place.expect(0, &line);
        assert!(
            human
                .stdout
                .starts_with(&format!("CAUTION: the manifest sets {told}\n")),
            "{}",
            human.shown()
        );
        let read = |name: &str| String::from_utf8(place.read(name)).unwrap();
        let markdown = read("r.md");
        let second = markdown.lines().nth(1).unwrap();
        assert!(
            second.starts_with("> **Caution:**") && second.contains("max_updates: 100%"),
            "{markdown}"
        );
        let html = read("r.html");
        let at = |text: &str| {
            html.find(text)
                .unwrap_or_else(|| panic!("{text} is not in {html}"))
        };
        assert!(at("<h1>") < at("<h2>Caution</h2>") && at("max_updates: 100%") < at("class=\"counts\""));
        let document: Value = serde_json::from_str(&read("r.json")).unwrap();
        crate::outputs::describes(&document);
        let caution = &document["summary"]["cautions"][0];
        assert_eq!(
            (&caution["caution"], &caution["guard"], &caution["limit"]),
            (&json!("lax"), &json!("max_updates"), &json!({"percent": 100}))
        );
        assert!(caution["message"].as_str().unwrap().contains(told), "{caution}");
    }
    // At the default and below it there is nothing to say.
    std::fs::write(
        place.path(EXAMPLE),
        format!("guardrails: {{ max_updates: 30% }}\n{text}"),
    )
    .unwrap();
    let plan = place.expect(0, &format!("plan {options} --format json")).json();
    assert_eq!(plan["summary"]["cautions"], json!([]));
}

#[test]
fn a_deadline_leaves_the_rest_for_the_next_run() {
    let place = Place::example();
    let options = format!("-q -f {EXAMPLE} --server emulator --format json");
    let ran = place.run(&format!("apply --yes --deadline 1ms {options}"));
    assert_eq!(ran.status, 5, "{}", ran.shown());
    // While looking it is an error, for nothing was begun; a moment later the
    // report says who was left.
    let document = ran.json();
    assert!(
        document["code"] == "apply.incomplete" || document["stopped"] == "deadline",
        "{}",
        ran.shown()
    );
    place.expect(0, &format!("apply --yes {options}"));
    let check: Value = place
        .expect(0, &format!("plan --detailed-exitcode {options}"))
        .json();
    assert_eq!(check["unchanged"], 12);
}

#[test]
fn the_emulator_ends_with_a_signal_and_keeps_its_state() {
    for name in ["INT", "TERM"] {
        let mut served = Served::start("");
        signal(name, &served.process);
        let mut rest = String::new();
        served.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(
            (rest.as_str(), served.process.0.wait().unwrap().code()),
            ("", Some(0))
        );
    }
}
