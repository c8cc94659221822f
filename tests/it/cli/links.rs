//! Files that a pull request plants: links, pipes, and state that lies. Each
//! is refused with its reason, at once, and nothing outside is touched.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::stops::{KEY, finish, signal, start};
use super::{Place, Ran, Running, Served};
use crate::manifest::picture;

const MANIFEST: &str = "version: 1\ncompany: biz_p\nusers:\n- {id: u, email: u@a.io, name: N}\n";

/// Long enough for any run on any machine; one that hangs is killed then.
const GENEROUS: Duration = Duration::from_secs(600);

/// Runs it to its end. One that waits for ever is killed, and fails.
#[track_caller]
fn bounded(place: &Place, line: &str) -> Ran {
    ended(start(place, line), line)
}

/// Waits for its end. One that waits for ever is killed, and fails.
#[track_caller]
fn ended(process: Running, line: &str) -> Ran {
    let id = process.0.id().to_string();
    let (tell, told) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        let hangs = told.recv_timeout(GENEROUS) == Err(mpsc::RecvTimeoutError::Timeout);
        if hangs {
            assert!(Command::new("kill").args(["-9", &id]).status().unwrap().success());
        }
        hangs
    });
    let ran = finish(process, line);
    drop(tell);
    assert!(!guard.join().unwrap(), "it hangs: {}", ran.shown());
    ran
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Everything below a folder: files with their bytes, and names.
fn all(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut folders, mut found) = (vec![folder.to_owned()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            let bytes = if kind.is_file() {
                fs::read(entry.path()).unwrap()
            } else {
                Vec::new()
            };
            if kind.is_dir() {
                folders.push(entry.path());
            }
            found.insert(entry.path(), bytes);
        }
    }
    found
}

const STATE: [&str; 4] = [
    ".whop-sync/users.mapping.jsonl",
    ".whop-sync/users.mapping.journal",
    ".whop-sync/users.mapping.lock",
    ".whop-sync/emulator.jsonl",
];

#[test]
fn state_that_is_a_link_is_refused_before_anything_is_written() {
    let mut links: Vec<&str> = STATE.to_vec();
    links.push(".whop-sync");
    links.push(".whop-sync/emulator.jsonl.lock");
    for link in links {
        for is_there in [true, false] {
            let outside = Place::new().file("precious", "mine").file("folder/kept", "too");
            let place = Place::with(MANIFEST);
            let target = match (link, is_there) {
                (".whop-sync", true) => outside.path("folder"),
                (_, true) => outside.path("precious"),
                (_, false) => outside.path("not-there"),
            };
            fs::create_dir_all(place.path(link).parent().unwrap()).unwrap();
            symlink(target, place.path(link)).unwrap();
            let before = (all(place.0.path()), all(outside.0.path()));
            let ran = place.run("apply --server emulator --yes");
            assert_eq!(ran.status, 1, "{link}: {}", ran.shown());
            assert!(
                ran.stderr.contains("is a symbolic link") && ran.stderr.contains("pull request"),
                "{link}: {}",
                ran.shown()
            );
            assert!(ran.stderr.contains("name the file itself"), "{}", ran.shown());
            assert_eq!(all(outside.0.path()), before.1, "{link}");
            // The emulator is opened first, and its own state is in order.
            let own =
                |path: &PathBuf| path.ends_with("emulator.jsonl") || path.ends_with("emulator.jsonl.lock");
            let mut now = all(place.0.path());
            now.retain(|path, _| before.0.contains_key(path) || !own(path));
            assert_eq!(now, before.0, "{link}");
        }
    }
}

#[test]
fn commands_that_only_look_leave_no_trace() {
    let place = Place::with(MANIFEST);
    let looks = [
        "validate",
        "plan --server emulator",
        "drift --server emulator",
        "explain u --server emulator",
        "export --server emulator",
        "doctor --server emulator",
        "doctor --server emulator --probe",
        "show --server emulator",
        "schema",
        "completions bash",
    ];
    let before = all(place.0.path());
    for line in looks {
        place.run(line);
        assert_eq!(all(place.0.path()), before, "{line}");
    }
    place.expect(0, "apply --server emulator --yes");
    let before = all(place.0.path());
    assert!(before.len() > 3);
    for line in looks {
        place.expect(0, line);
        assert_eq!(all(place.0.path()), before, "{line}");
    }
    // What an emulator holds, a plan may look at.
    let held = Served::start(&format!(
        "--state {}",
        place.path(".whop-sync/emulator.jsonl").display()
    ));
    let ran = place.expect(0, "plan --server emulator --detailed-exitcode");
    assert!(ran.stdout.contains("Nothing to do"), "{}", ran.shown());
    drop(held);
    assert_eq!(all(place.0.path()), before);
}

#[test]
fn a_planted_link_keeps_no_look_from_looking_and_is_not_touched() {
    for link in [".whop-sync/emulator.jsonl.lock", ".whop-sync"] {
        let outside = Place::new().file("precious", "mine");
        let place = Place::with(MANIFEST);
        fs::create_dir_all(place.path(link).parent().unwrap()).unwrap();
        symlink(outside.path("precious"), place.path(link)).unwrap();
        let before = all(place.0.path());
        place.run("plan --server emulator");
        assert_eq!(outside.read("precious"), b"mine", "{link}");
        assert_eq!(all(place.0.path()), before, "{link}");
    }
}

#[test]
fn a_file_that_is_none_of_ours_is_not_cut_short() {
    for (name, whose) in [("users.toml", "users.lock"), ("users.toml", "users.journal")] {
        let place = Place::with(MANIFEST).file(whose, "my shopping list");
        let before = place.files();
        let line = format!("apply --server emulator --yes --mapping {name}");
        let ran = place.run(&line);
        assert_eq!(ran.status, 1, "{}", ran.shown());
        assert!(ran.stderr.contains("of whop-sync"), "{}", ran.shown());
        assert_eq!(place.read(whose), b"my shopping list");
        assert_eq!(place.files(), before);
    }
    // A lock that was cut short, or is empty, is one all the same.
    for lock in ["", "{\"pi", "{\"pid\":1,\"host\":\"h\",\"since\":\"s\"}\n"] {
        let place = Place::with(MANIFEST).file(".whop-sync/users.mapping.lock", lock);
        place.expect(0, "apply --server emulator --yes");
    }
}

#[test]
fn what_is_a_pipe_is_refused_at_once() {
    let key = "--server http://127.0.0.1:9/api/v1";
    let lines = [
        (STATE[0], "plan --server emulator".to_owned()),
        (STATE[0], "show --server emulator".to_owned()),
        (STATE[0], "apply --server emulator --yes".to_owned()),
        (STATE[1], "plan --server emulator".to_owned()),
        (STATE[1], "apply --server emulator --yes".to_owned()),
        (STATE[2], "apply --server emulator --yes".to_owned()),
        (STATE[2], "doctor --server emulator".to_owned()),
        (STATE[3], "plan --server emulator".to_owned()),
        (STATE[3], "apply --server emulator --yes".to_owned()),
        ("p", "apply p --server emulator --yes".to_owned()),
        ("p", "init -f new.yaml --from-csv p".to_owned()),
        ("p", "emulator --port 0 --faults p".to_owned()),
        ("p", format!("plan --ca-file p {key}")),
        ("p", "plan -f p --server emulator".to_owned()),
        (".gitignore", "init -f new.yaml".to_owned()),
    ];
    for (name, line) in lines {
        let place = Place::with(MANIFEST).file(".whop-sync/keep", "");
        pipe(&place.path(name));
        let ran = bounded(&place, &line);
        // A lock is not needed to look.
        if line.starts_with("doctor") {
            assert_eq!(ran.status, 0, "{}", ran.shown());
            continue;
        }
        assert!([1, 7].contains(&ran.status), "{}", ran.shown());
        assert!(
            ran.stderr.contains("not a regular file"),
            "{name}: {}",
            ran.shown()
        );
    }
}

/// Writes into a pipe for as long as somebody reads.
fn flood(path: &Path) -> std::io::Result<()> {
    let mut pipe = fs::OpenOptions::new().write(true).open(path)?;
    loop {
        pipe.write_all(&[b'k'; 4096])?;
    }
}

#[test]
fn a_key_may_come_through_a_pipe_and_is_read_once() {
    let served = Served::start("--key sesame");
    let place = Place::with(MANIFEST);
    pipe(&place.path("key"));
    let line = format!("apply --yes --api-key-file key --server {}", served.base);
    let run = start(&place, &line);
    let path = place.path("key");
    // Opening waits for the reader.
    thread::spawn(move || {
        fs::OpenOptions::new()
            .write(true)
            .open(path)?
            .write_all(b"sesame\n")
    });
    let ran = ended(run, &line);
    assert_eq!(ran.status, 0, "{}", ran.shown());

    // More than any key has is not waited for.
    let run = start(&place, &line);
    let path = place.path("key");
    thread::spawn(move || flood(&path));
    let ran = ended(run, &line);
    assert_eq!(ran.status, 1, "{}", ran.shown());
    assert!(ran.stderr.contains("larger than the limit"), "{}", ran.shown());
}

#[test]
fn a_signal_ends_a_run_that_waits_for_its_key() {
    for (line, name) in [
        ("plan", "TERM"),
        ("apply --yes", "INT"),
        ("drift", "TERM"),
        ("explain u", "TERM"),
        ("export", "TERM"),
        ("doctor", "INT"),
    ] {
        let place = Place::with(MANIFEST);
        pipe(&place.path("key"));
        let line = format!("{line} --api-key-file key --server http://127.0.0.1:9/api/v1");
        let run = start(&place, &line);
        // It waits for the key as soon as this can be opened, since opening
        // waits for a reader; and it has listened for signals before.
        let path = place.path("key");
        let (open, opened) = mpsc::channel();
        thread::spawn(move || open.send(fs::OpenOptions::new().write(true).open(path)));
        let kept = opened
            .recv_timeout(GENEROUS)
            .expect("it waits for the key")
            .unwrap();
        signal(name, &run);
        let ran = ended(run, &line);
        assert_eq!(ran.status, 130, "{}", ran.shown());
        drop(kept);
    }
}

#[test]
fn a_key_that_others_may_write_is_refused_and_one_they_may_read_is_told() {
    let served = Served::start("--key sesame");
    let place = Place::with(MANIFEST).file("mounted/key", "sesame\n");
    // As Kubernetes mounts it.
    symlink("mounted/key", place.path("key")).unwrap();
    let line = format!("plan --api-key-file key --server {}", served.base);
    for (mode, status, said) in [
        (0o600, 0, None),
        (0o644, 0, Some("may read the key in `key`")),
        (0o660, 1, Some("others than its owner may write `key`")),
        (0o606, 1, Some("others than its owner may write `key`")),
    ] {
        fs::set_permissions(place.path("mounted/key"), fs::Permissions::from_mode(mode)).unwrap();
        let ran = place.run(&line);
        assert_eq!(ran.status, status, "{mode:o}: {}", ran.shown());
        let told = ran.stderr.contains("others than its owner");
        assert_eq!(told, said.is_some(), "{mode:o}: {}", ran.shown());
        assert!(ran.stderr.contains(said.unwrap_or_default()), "{}", ran.shown());
        assert!(!ran.shown().contains("sesame"), "{}", ran.shown());
    }
}

/// Whoever chooses an authority can answer in Whop's name.
#[test]
fn an_authority_that_others_may_write_is_refused() {
    let place = Place::with(MANIFEST).file("mounted/ca.pem", "no certificate");
    symlink("mounted/ca.pem", place.path("ca.pem")).unwrap();
    let server = "plan --server https://127.0.0.1:9/api/v1";
    for (mode, refused) in [(0o600, false), (0o644, false), (0o664, true), (0o646, true)] {
        fs::set_permissions(place.path("mounted/ca.pem"), fs::Permissions::from_mode(mode)).unwrap();
        for ran in [
            place.run_with(&format!("{server} --ca-file ca.pem"), &[KEY]),
            place.run_with(server, &[KEY, ("WHOP_SYNC_CA_FILE", "ca.pem")]),
        ] {
            let told = ran.stderr.contains("others than its owner may write `ca.pem`");
            assert_eq!(told, refused, "{mode:o}: {}", ran.shown());
            // Else it is read, and is none.
            assert_eq!(
                ran.status,
                if refused { 1 } else { 64 },
                "{mode:o}: {}",
                ran.shown()
            );
        }
    }
}

#[test]
fn ids_in_an_emulators_state_are_checked() {
    let text = "version: 1\ncompany: biz_p\nusers:\n- {id: u, email: u@a.io, name: N, avatar: a.png}\n";
    let place = Place::with(text).file("a.png", picture::png(1, 1));
    place.expect(0, "apply --server emulator --yes");
    let state = ".whop-sync/emulator.jsonl";
    let whole = String::from_utf8(place.read(state)).unwrap();
    let id_of = |kind: &str| {
        let at = whole.find(&format!("\"id\":\"{kind}_")).unwrap() + "\"id\":\"".len();
        whole[at..].split('"').next().unwrap()
    };
    for kind in ["file", "user", "biz"] {
        let id = id_of(kind);
        for planted in ["../../../users.yaml", "file_../../users.yaml", ""] {
            let lied = whole.replace(id, planted);
            let line = lied
                .lines()
                .position(|line| line.contains(&format!("\"{planted}\"")))
                .unwrap()
                + 1;
            fs::write(place.path(state), &lied).unwrap();
            for command in [
                "plan --report page.html --server emulator",
                "apply --yes --server emulator",
            ] {
                let ran = place.run(command);
                assert_eq!(ran.status, 1, "{kind}: {}", ran.shown());
                let told = ran.stderr.contains(state) && ran.stderr.contains(&format!("line {line}:"));
                assert!(told, "{kind}: {}", ran.shown());
            }
            assert_eq!(place.read(state), lied.as_bytes());
        }
    }
    fs::write(place.path(state), &whole).unwrap();
    // Nor are its files links.
    let file = place.path(&format!("{state}.files/{}", id_of("file")));
    fs::remove_file(&file).unwrap();
    fs::write(place.path("secret.png"), picture::png(7, 7)).unwrap();
    symlink(place.path("secret.png"), &file).unwrap();
    fs::write(place.path("a.png"), picture::png(2, 2)).unwrap();
    place.expect(0, "plan --server emulator --report page.html");
    let page = String::from_utf8(place.read("page.html")).unwrap();
    assert!(!page.contains("7 × 7"), "{page}");
}

#[test]
fn an_output_is_written_through_no_link() {
    for is_there in [true, false] {
        let outside = Place::new().file("precious", "mine").file("folder/u.png", "mine");
        let place = Place::with(MANIFEST);
        let target = outside.path(if is_there { "precious" } else { "new" });
        for name in ["l.json", "l.md", "l.html", "l.sarif", "l.yaml"] {
            symlink(&target, place.path(name)).unwrap();
        }
        symlink(outside.path("folder"), place.path("out")).unwrap();
        let before = (all(place.0.path()), all(outside.0.path()));
        for line in [
            "plan --server emulator --out l.json",
            "plan --server emulator --out out/plan.json",
            "plan --server emulator --report l.md",
            "plan --server emulator --report l.html",
            "plan --server emulator --report out/new.html",
            "validate --report l.sarif",
            "export --server emulator --out l.yaml --force",
            "export --server emulator --out out/users.yaml",
            "export --server emulator --avatars out --force",
            "init -f out/users.yaml",
        ] {
            let ran = place.run(line);
            assert_eq!(ran.status, 1, "{}", ran.shown());
            assert!(ran.stderr.contains("is a symbolic link"), "{}", ran.shown());
            assert_eq!(all(outside.0.path()), before.1, "{line}");
            assert_eq!(all(place.0.path()), before.0, "{line}");
        }
        let ran = place.run("apply --yes --server emulator --receipt l.json");
        assert_eq!(ran.status, 1, "{}", ran.shown());
        let summary = place.path("l.md").display().to_string();
        let ran = place.run_with("plan --server emulator", &[("GITHUB_STEP_SUMMARY", &summary)]);
        assert_eq!(ran.status, 1, "{}", ran.shown());
        assert_eq!(all(outside.0.path()), before.1);
    }
}

#[test]
fn a_downloaded_picture_is_written_through_no_link_even_with_force() {
    let text = "version: 1\ncompany: biz_p\nusers:\n- {id: u, email: u@a.io, name: N, avatar: a.png}\n";
    let outside = Place::new().file("precious", "mine");
    let served = Served::start("");
    let place = Place::with(text).file("a.png", picture::png(1, 1));
    let apply = format!("apply --yes --server {}", served.base);
    assert_eq!(place.run_with(&apply, &[KEY]).status, 0);
    fs::create_dir(place.path("avatars")).unwrap();
    symlink(outside.path("precious"), place.path("avatars/u.png")).unwrap();
    let line = format!("export --avatars avatars --force --server {}", served.base);
    let ran = place.run_with(&line, &[KEY]);
    assert_eq!(ran.status, 1, "{}", ran.shown());
    assert!(ran.stderr.contains("is a symbolic link"), "{}", ran.shown());
    assert_eq!(outside.read("precious"), b"mine");
    fs::remove_file(place.path("avatars/u.png")).unwrap();
    fs::write(place.path("avatars/u.png"), "another").unwrap();
    let ran = place.run_with(&line, &[KEY]);
    assert_eq!(ran.status, 0, "{}", ran.shown());
    assert_eq!(place.read("avatars/u.png"), place.read("a.png"));
}

#[test]
fn a_saved_plan_and_a_manifest_are_no_links() {
    let place = Place::with(MANIFEST);
    place.expect(0, "plan --server emulator --out p.json");
    fs::create_dir(place.path("ci")).unwrap();
    symlink("p.json", place.path("l.json")).unwrap();
    let ran = place.expect(1, "apply l.json --server emulator --yes");
    assert!(ran.stderr.contains("is a symbolic link"), "{}", ran.shown());
    symlink("users.yaml", place.path("l.yaml")).unwrap();
    let ran = place.expect(7, "plan -f l.yaml --server emulator");
    assert!(ran.stderr.contains("is a symbolic link"), "{}", ran.shown());
    place.expect(0, "apply p.json --server emulator --yes");
}

#[test]
fn a_table_may_be_a_link_and_a_summary_a_stream() {
    let place = Place::with(MANIFEST).file("data/t.csv", "id,email,name\nv,v@a.io,V\n");
    symlink("data/t.csv", place.path("t.csv")).unwrap();
    place.expect(0, "init -f new.yaml --from-csv t.csv");
    let mut command = place.command("plan --server emulator --format json");
    command.env("GITHUB_STEP_SUMMARY", "/dev/stderr");
    let ran = command.stderr(Stdio::piped()).output().unwrap();
    let told = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success() && told.contains("## "), "{told}");
}
