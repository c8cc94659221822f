//! `doctor --probe`, and what doctor hears of newer versions: against the
//! emulator as it is, and bent until each probe says that something differs.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use whop_sync::core::assumption::{self, Way};
use whop_sync::emulator::{Fault, Operation, Strike};

use super::looks::{COMPANY, Scene};
use super::{EXAMPLE, Place, Ran, Served};
use crate::golden::golden;

/// Each assumption with its outcome and what was seen.
fn outcomes(ran: &Ran) -> BTreeMap<String, (String, String)> {
    let text = |probe: &Value, name: &str| probe[name].as_str().unwrap().to_owned();
    let document = ran.json();
    let probes = document["probes"].as_array().unwrap().iter();
    probes
        .map(|probe| (text(probe, "name"), (text(probe, "outcome"), text(probe, "seen"))))
        .collect()
}

/// An answer in place of the emulator's own.
fn says(status: u16, body: &Value, headers: &[(&str, &str)]) -> Strike {
    Strike::Answer {
        status,
        body: Some(body.to_string()),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

const PROBE: &str = "doctor -q --probe --format json";

#[test]
fn page_and_probes_are_in_step() {
    let page = include_str!("../../../src/emulator/differences.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let rows: Vec<(&str, &str)> = rows
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            assert_eq!(cells.len(), 6, "{row}");
            (cells[0].trim_matches('`'), cells[5])
        })
        .collect();
    let names: Vec<&str> = rows.iter().map(|(name, _)| *name).collect();
    let known: Vec<&str> = assumption::ALL.iter().map(|known| known.name).collect();
    assert_eq!(names, known);
    for ((name, how), known) in rows.into_iter().zip(assumption::ALL) {
        match known.way {
            Way::Read => assert!(how.starts_with("probe: "), "{name}: {how}"),
            Way::None(why) => assert_eq!(how, why, "{name}"),
        }
    }
    // Whoever adds a table adds names to it.
    assert_eq!(
        page.matches("\n| name | question |").count(),
        page.matches("\n| --- |").count()
    );
}

#[test]
fn the_emulator_is_as_it_is_assumed() {
    let scene = Scene::applied();
    let ran = scene.look(0, PROBE);
    let found = outcomes(&ran);
    assert_eq!(found.len(), assumption::ALL.len());
    for (name, (outcome, seen)) in &found {
        let expected = match (&**name, assumption::named(name).unwrap().way) {
            (_, Way::None(why)) => {
                assert_eq!(seen, why);
                "cannot_be_told"
            }
            ("retrieve_scope" | "companies_page" | "retry_after", _) => "cannot_be_told",
            // Whether two were made in the same millisecond is chance.
            ("list_order", _) => continue,
            _ => "holds",
        };
        assert_eq!(outcome, expected, "{name}: {seen}");
    }
    // The older dialect cannot be asked everything, and does not stumble.
    let older = outcomes(&scene.look(0, &format!("{PROBE} --api-version 2025-01-01")));
    assert_eq!(older["external_id_field"].0, "cannot_be_told");
    assert_eq!(older["last_cursor"].0, "holds");
    assert!(
        older.values().all(|(outcome, _)| outcome != "differs"),
        "{older:?}"
    );
    assert_eq!(
        scene.look(0, "doctor -q --format json").json().get("probes"),
        None
    );

    // 50 companies tell how large a page is, a key without the scope which it is.
    for n in 0..50 {
        let email = format!("more{n}@shop.dev");
        scene
            .whop
            .emulator
            .add_account(COMPANY, &email, "More", serde_json::Map::new());
    }
    assert_eq!(outcomes(&scene.look(0, PROBE))["companies_page"].0, "holds");
    let served = Served::start("--key poor=payout:account:read --rate 3/min");
    let line = format!(
        "{PROBE} -f {EXAMPLE} --server {} --mapping none.jsonl",
        served.base
    );
    let poor = scene.place.run_with(&line, &[("WHOP_API_KEY", "poor")]);
    let poor = outcomes(&poor);
    assert_eq!(poor["retrieve_scope"].0, "holds", "{poor:?}");
    assert_eq!(poor["retry_after"].0, "holds", "{poor:?}");
}

#[test]
fn what_differs_is_seen_to_differ() {
    use Operation as Op;
    let page = |entries: Value, cursor: Value| json!({ "data": entries, "page_info": { "has_next_page": false, "end_cursor": cursor } });
    let account = |n: u32, at: u32| {
        json!({ "id": format!("biz_X{n}"), "created_at": format!("2026-10-0{at}T00:00:00Z"),
            "owner": { "id": "user_x1", "name": "Shown" } })
    };
    let profile = |name: &str, url: &str| {
        json!({ "id": "user_x1", "name": name,
            "profile_picture": { "url": format!("https://pictures.test/{url}?v=1") } })
    };
    let list = |strike| Fault::next(Op::ListAccounts, strike);
    let user = |strike| Fault::next(Op::RetrieveUser, strike);
    let one = page(json!([account(1, 1)]), json!("c"));
    let (both, turned) = (
        page(json!([account(1, 1), account(2, 1)]), json!("c")),
        page(json!([account(2, 1), account(1, 1)]), json!("c")),
    );
    // The first list is that of the checks.
    let steady = |strike| list(strike).skip(1).forever();
    let cases: Vec<(&str, Vec<Fault>)> = vec![
        (
            "list_order",
            vec![
                list(says(200, &both, &[])).skip(1),
                list(says(200, &turned, &[])).skip(2),
            ],
        ),
        ("list_lag", vec![steady(Strike::Stale { seconds: 600 })]),
        ("last_cursor", vec![steady(says(200, &one, &[]))]),
        ("stamp_offset", vec![steady(says(200, &one, &[]))]),
        (
            "owner_name",
            vec![
                steady(says(200, &one, &[])),
                user(says(200, &profile("Shown", "a"), &[]))
                    .containing("account_id")
                    .forever(),
                user(says(200, &profile("Global", "a"), &[])).forever(),
            ],
        ),
        ("external_id_field", vec![steady(says(200, &one, &[]))]),
        (
            "retrieve_scope",
            vec![Fault::next(Op::RetrieveAccount, says(403, &json!({}), &[])).forever()],
        ),
        (
            "companies_page",
            vec![Fault::next(Op::ListCompanies, says(400, &json!({}), &[])).forever()],
        ),
        (
            "picture_url_stable",
            (0..12)
                .map(|n| {
                    let url = format!("{n}");
                    user(says(200, &profile("Same", &url), &[])).skip(n)
                })
                .collect(),
        ),
        ("request_id", vec![steady(says(200, &one, &[("cf-ray", "1")]))]),
        (
            "redirects",
            vec![Fault::next(Op::RetrieveAccount, says(302, &json!({}), &[("location", "/x")])).forever()],
        ),
        (
            "version_error",
            vec![
                Fault::next(
                    Op::ListPermissions,
                    says(
                        422,
                        &json!({ "error": { "type": "validation", "code": "version" } }),
                        &[],
                    ),
                )
                .skip(1)
                .forever(),
            ],
        ),
        (
            "retry_after",
            vec![Fault::next(
                Op::ListCompanies,
                Strike::Limited {
                    seconds: 1,
                    header: true,
                    message: true,
                },
            )],
        ),
        (
            "unknown_parameters",
            vec![
                list(says(400, &json!({}), &[]))
                    .containing("whop_sync_probe")
                    .forever(),
            ],
        ),
    ];
    let readable = assumption::ALL.iter().filter(|known| known.way == Way::Read);
    let readable: Vec<&str> = readable.map(|known| known.name).collect();
    let named: Vec<&str> = cases.iter().map(|(name, _)| *name).collect();
    assert!(
        readable.iter().all(|name| named.contains(name)),
        "each is seen to differ"
    );
    for (name, faults) in cases {
        let scene = Scene::applied();
        for fault in faults {
            scene.whop.emulator.fault(fault);
        }
        let found = outcomes(&scene.look(0, PROBE));
        assert_eq!(found[name].0, "differs", "{name}: {found:#?}");
        // What cannot be looked at is never said to hold.
        let lying = found.iter().filter(|(name, (outcome, _))| {
            outcome == "holds" && assumption::named(name).unwrap().way != Way::Read
        });
        assert_eq!(lying.count(), 0);
    }
}

#[test]
fn what_cannot_be_asked_cannot_be_told() {
    let scene = Scene::applied();
    scene
        .whop
        .emulator
        .fault(Fault::next(Operation::ListAccounts, Strike::Html { status: 404 }).forever());
    let found = outcomes(&scene.look(1, PROBE));
    for name in [
        "list_order",
        "list_lag",
        "last_cursor",
        "owner_name",
        "external_id_field",
    ] {
        assert_eq!(found[name].0, "cannot_be_told", "{name}: {found:#?}");
    }
    let place = Place::example();
    let line = format!("{PROBE} -f {EXAMPLE} --server http://127.0.0.1:1/api/v1");
    let nowhere = outcomes(&place.run_with(&line, &[("WHOP_API_KEY", "any")]));
    assert!(
        nowhere.values().all(|(outcome, _)| outcome == "cannot_be_told"),
        "{nowhere:#?}"
    );
}

#[test]
fn newer_versions_are_told() {
    let scene = Scene::applied();
    let version = |ran: &Ran| {
        let checks = ran.json()["checks"].as_array().unwrap().clone();
        let check = checks
            .into_iter()
            .find(|check| check["name"] == "version")
            .unwrap();
        (
            check["health"].clone(),
            check["found"].as_str().unwrap().to_owned(),
        )
    };
    let answer = |message: &str| {
        let body = json!({ "error": { "type": "invalid_request_error", "message": message } });
        Fault::next(Operation::ListPermissions, says(400, &body, &[]))
    };
    let (health, found) = version(&scene.look(0, "doctor -q --format json"));
    assert_eq!((health, &*found), (json!("ok"), "2026-10-15-1 is understood"));
    scene.whop.emulator.fault(answer(
        "Supported: 2025-01-01, 2026-10-15-1, 2026-11-02, 2027-01-05-2",
    ));
    let (health, found) = version(&scene.look(0, "doctor -q --format json"));
    assert_eq!(health, "warning");
    assert_eq!(
        found,
        "2026-10-15-1 is understood; the server has newer ones, up to 2027-01-05-2"
    );
    // What is no list of versions is not taken for one.
    scene
        .whop
        .emulator
        .fault(answer("0000-01-01 is no version; today is 2027-01-05"));
    assert_eq!(version(&scene.look(0, "doctor -q --format json")).0, "ok");
}

#[test]
fn probes_are_shown_to_people() {
    // Nobody is there, so that nothing hangs on the moment.
    let scene = Scene::new(Place::example());
    let body = json!({ "error": { "type": "odd", "message": "no \u{202e}\u{1b}[31m<b>|" } });
    scene
        .whop
        .emulator
        .fault(Fault::next(Operation::ListCompanies, says(400, &body, &[])));
    let shown = scene.look(0, "doctor -q --probe").steady();
    golden("cli/probe.txt", &shown);
}
