//! Trouble around the program: the emulator killed and brought back, two runs
//! at once, a lock of the dead, and users that Whop refuses.

use serde_json::Value;

use super::proxy::{Moment, Trap};
use super::site::{Case, Emulator};
use super::{SIX, World, finish};

#[tokio::test]
async fn whop_goes_away_and_comes_back() {
    for world in [World::New, World::OldDialect] {
        for (n, moment) in [
            (1, Moment::Before),
            (5, Moment::Before),
            (5, Moment::Unheard),
            (14, Moment::Unheard),
        ] {
            let mut emulator = Emulator::start("2ms").await;
            let case = world.case("gone", &emulator).await;
            case.proxy.arm(Trap::Spring(n, moment));
            let running = case.start(&["apply", "--yes"]);
            case.proxy.sprung().await;
            emulator.kill().await;
            case.proxy.disarm();
            // Back at once, with what it had flushed: retries may get through.
            emulator.serve().await;
            let ended = running.end().await;
            assert!(
                matches!(ended.status, Some(0 | 1 | 5)),
                "{world:?} {n} {moment:?}: {ended:?}"
            );
            case.proxy.arm(Trap::Straight);
            let what = format!("{world:?} {n} {moment:?}");
            finish(&case, world)
                .await
                .unwrap_or_else(|why| panic!("{what}: {why}"));
            case.check(&[])
                .await
                .unwrap_or_else(|why| panic!("{what}: {why}"));
        }
    }
}

#[tokio::test]
async fn the_second_run_names_the_first_and_a_dead_ones_lock_is_no_lock() {
    let emulator = Emulator::start("2ms").await;
    let case = World::New.case("locked", &emulator).await;
    case.proxy.arm(Trap::Gate(4));
    let first = case.start(&["apply", "--yes"]);
    case.wait_for_requests(5).await;
    let pid = first.pid();
    let writes = || case.proxy.seen().iter().filter(|seen| seen.writes()).count();
    let lists = || {
        case.proxy
            .seen()
            .iter()
            .filter(|seen| seen.path.contains("parent_account_id"))
            .count()
    };
    let second = case.apply().await;
    assert_eq!(second.status, Some(6), "{second:?}");
    assert!(
        second.stderr.contains(&format!("by process {pid} on ")),
        "{second:?}"
    );
    assert_eq!(lists(), 1, "the second did not even look");
    let json = case.start(&["apply", "--yes", "--format", "json"]).end().await;
    assert_eq!(
        (json.status, json.json()["code"].as_str()),
        (Some(6), Some("mapping.locked"))
    );
    assert!(writes() > 0);

    first.kill().await;
    case.proxy.disarm();
    case.proxy.settle().await;
    let lock = case.path("state/users.mapping.lock");
    assert!(
        std::fs::read_to_string(&lock)
            .unwrap()
            .contains(&format!("{pid}")),
        "it was left behind"
    );
    let third = case.apply().await;
    assert_eq!(third.status, Some(0), "{third:?}");
    case.check(&[]).await.unwrap();
}

#[tokio::test]
async fn of_many_at_once_never_two_write() {
    let emulator = Emulator::start("2ms").await;
    let case = World::New.case("crowd", &emulator).await;
    for _ in 0..3 {
        let crowd: Vec<_> = (0..6).map(|_| case.start(&["apply", "--yes"])).collect();
        let mut done = 0;
        for running in crowd {
            let ended = running.end().await;
            assert!(matches!(ended.status, Some(0 | 6)), "{ended:?}");
            done += usize::from(ended.status == Some(0));
        }
        assert!(done >= 1);
        case.check(&[]).await.unwrap();
    }
}

/// What a report says of a user: the status, whether there are a request id
/// and something to do.
fn told(report: &Value, id: &str) -> Option<(u64, bool, bool)> {
    let users = report["troubled"].as_array()?;
    let user = users.iter().find(|user| user["id"] == id)?;
    let has = |name: &str| user[name].as_str().is_some_and(|text| !text.is_empty());
    Some((user["status"].as_u64()?, has("request_id"), has("hint")))
}

const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\nx-request-id: req_proxy\r\n\
                         content-length: 55\r\n\r\n\
                         {\"error\":{\"type\":\"forbidden\",\"message\":\"Not this one\"}}";

#[tokio::test]
async fn refused_users_stop_nobody_and_only_they_are_tried_again() {
    let emulator = Emulator::start("2ms").await;
    let case = Case::new("partial", emulator.address).await;
    case.write(SIX);
    assert_eq!(case.apply().await.status, Some(0));
    let u1 = case.accounts().await["u1"][0]["id"].as_str().unwrap().to_owned();
    let changed = SIX
        .replace("title: Ana's", "title: Ana's new one")
        .replace("name: Bo", "name: Bob")
        .replace("title: Eve's", "title: Eve's new one");
    let bouncing = format!("{changed}  - {{ id: u7, email: x@bounce.test, name: Gil }}\n");
    case.write(&format!(
        "{bouncing}  - {{ id: u8, email: u8@shop.test, name: Hal }}\n"
    ));

    case.proxy
        .arm(Trap::Answer("PATCH", format!("/accounts/{u1}"), FORBIDDEN));
    let words = ["apply", "--yes", "--format", "json"];
    let ended = case.start(&words).end().await;
    assert_eq!(ended.status, Some(5), "{ended:?}");
    let report = ended.json();
    assert_eq!(report["troubled"].as_array().map(Vec::len), Some(2), "{report}");
    assert_eq!(told(&report, "u1"), Some((403, true, true)), "{report}");
    let (status, has_request, has_hint) = told(&report, "u7").unwrap();
    assert!(
        (400..500).contains(&status) && has_request && has_hint,
        "{report}"
    );
    assert_eq!(
        (&report["done"]["create"], &report["done"]["update"]),
        (&1.into(), &2.into())
    );

    // The same two and nobody else, once Whop lets the first one through.
    case.proxy.arm(Trap::Straight);
    let ended = case.start(&words).end().await;
    assert_eq!(ended.status, Some(5), "{ended:?}");
    assert!(told(&ended.json(), "u1").is_none() && told(&ended.json(), "u7").is_some());
    let mut written: Vec<_> = case
        .proxy
        .seen()
        .into_iter()
        .filter(|seen| seen.writes())
        .collect();
    written.sort_by(|a, b| a.method.cmp(&b.method));
    let written: Vec<_> = written.iter().map(|seen| (&*seen.method, &*seen.path)).collect();
    let updated = format!("/api/v1/accounts/{u1}");
    assert_eq!(written, [("PATCH", &*updated), ("POST", "/api/v1/accounts")]);

    case.write(&format!(
        "{changed}  - {{ id: u8, email: u8@shop.test, name: Hal }}\n"
    ));
    let ended = case.apply().await;
    assert_eq!(ended.status, Some(0), "{ended:?}");
    case.check(&[]).await.unwrap();
}
