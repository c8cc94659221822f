//! Logs for machines: one JSON object a line, one line a request.

use std::collections::BTreeMap;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;
use tokio::runtime::Runtime;
use whop_sync::emulator::serve::Server;
use whop_sync::emulator::{Emulator, Fault, Operation, Settings, Strike};

use super::{EXAMPLE, Place};

const KEY: &str = "apik_L0gsMustNotShowThis";

/// Every line of stderr as the object it must be.
fn objects(stderr: &str) -> Vec<Value> {
    let lines = stderr.lines().map(|line| {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        for (name, is_fit) in [
            ("timestamp", object["timestamp"].is_string()),
            ("level", object["level"].is_string()),
            ("message", object["message"].is_string()),
        ] {
            assert!(is_fit, "no {name}: {line}");
        }
        object
    });
    lines.collect()
}

#[test]
fn every_request_ends_in_one_object_with_all_that_is_told_of_it() {
    let emulator = Emulator::open(Settings {
        record: true,
        rate: 0,
        ..Settings::default()
    })
    .unwrap();
    // Each strikes a user of its own. By order alone two could strike both
    // attempts of one user, and which did would be up to the threads.
    for (operation, whose, strike) in [
        (
            Operation::CreateAccount,
            "jane@example.com",
            Strike::Limited {
                seconds: 1,
                header: true,
                message: true,
            },
        ),
        (
            Operation::CreateAccount,
            "olena@example.com",
            Strike::AnswerAfter { status: 502 },
        ),
        (Operation::CreateFile, "", Strike::ResetAfter),
        (
            Operation::UpdateUser,
            "Jane Holloway",
            Strike::Html { status: 503 },
        ),
        (
            Operation::UpdateUser,
            "Олена Ткаченко",
            Strike::Refused { status: 422 },
        ),
    ] {
        emulator.fault(Fault::next(operation, strike).containing(whose));
    }
    let runtime = Runtime::new().unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = runtime.block_on(Server::bind(emulator.clone(), address)).unwrap();
    let base = server.base();
    runtime.spawn(server.run(pending()));

    let place = Place::example();
    let line = format!("apply -f {EXAMPLE} --server {base} --yes -vv --log-format json");
    let ran = place.run_with(&line, &[("WHOP_API_KEY", KEY)]);
    assert_eq!(ran.status, 5, "{}", ran.shown());
    let objects = objects(&ran.stderr);
    let requests: Vec<_> = objects
        .iter()
        .filter(|object| object["message"] == "request")
        .collect();

    let mut told: BTreeMap<(String, Option<u64>), usize> = BTreeMap::new();
    let text = |value: &Value| {
        value
            .as_str()
            .unwrap_or_else(|| panic!("no text: {value}"))
            .to_owned()
    };
    let mut waits = BTreeMap::new();
    for request in &requests {
        assert!(!text(&request["operation"]).is_empty());
        assert!(
            request["attempt"].as_u64().is_some_and(|attempt| attempt >= 1),
            "{request}"
        );
        assert!(
            request["took_ms"].is_u64() && request["queued_ms"].is_u64(),
            "{request}"
        );
        assert!(request["wait_ms"].is_u64(), "{request}");
        *waits.entry(text(&request["wait"])).or_insert(0) += 1;
        let answered = request["outcome"] == "answered";
        assert_eq!(request["status"].is_u64(), answered, "{request}");
        // Faults answer without an id, and so does storage.
        if request["status"].as_u64().is_some_and(|status| status < 300)
            && request["operation"] != "upload_file"
        {
            assert!(request["request_id"].is_string(), "{request}");
        }
        let run = &request["spans"][0];
        assert_eq!(
            (&run["name"], text(&run["id"]).len()),
            (&Value::from("run"), 32),
            "{request}"
        );
        if ["create_account", "update_user"].contains(&&*text(&request["operation"])) {
            let user = &request["span"];
            assert_eq!(user["name"], "user", "{request}");
            assert!(!text(&user["id"]).is_empty());
        }
        let at = (text(&request["method"]), request["status"].as_u64());
        *told.entry(at).or_default() += 1;
    }
    let mut received: BTreeMap<(String, Option<u64>), usize> = BTreeMap::new();
    for seen in emulator.requests() {
        *received
            .entry((seen.method, seen.status.map(u64::from)))
            .or_default() += 1;
    }
    assert_eq!(told, received);
    let second = requests.iter().filter(|request| request["attempt"] == 2);
    assert_eq!(second.count(), 4, "all but the refusal are tried again");
    assert_eq!((waits["limit"], waits["fault"]), (1, 3), "{waits:?}");
    // The story is among them, and nothing is that must not be.
    let tells = |words: &str| {
        objects
            .iter()
            .any(|object| text(&object["message"]).contains(words))
    };
    assert!(tells("reserved for examples"), "{}", ran.stderr);
    for secret in [KEY, "signature=", "account_id=", "http://127.0.0.1"] {
        assert!(!ran.stderr.contains(secret), "{secret} in {}", ran.stderr);
    }
}

#[test]
fn without_logs_the_story_is_objects_too_and_errors_are() {
    let place = Place::with("version: 1\ncompany: biz_X\nusers:\n  - id: \"a\u{202e}\"\n");
    let ran = place.expect(7, "validate --log-format json");
    let objects = objects(&ran.stderr);
    let all: String = objects
        .iter()
        .map(|object| object["message"].as_str().unwrap())
        .collect();
    assert!(
        all.contains("there is no `email`") || all.contains("email"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains('\u{202e}'), "{}", ran.stderr);
}
