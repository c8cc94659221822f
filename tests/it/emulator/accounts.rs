//! Accounts and companies: matching, lists, updates, and whose they are.

use super::*;

#[tokio::test]
async fn every_row_of_the_matching_table() {
    let site = Site::test().await;
    let first = site.create("ana@shop.test", Some("u-1")).await;
    assert_eq!(first.status, 201);
    assert_eq!(first.text("/parent_account/id"), PLATFORM);

    let other_id = site.create("ana@shop.test", Some("u-2")).await;
    assert_eq!(other_id.status, 201, "any email, new id: a new account");
    assert_ne!(other_id.text("/id"), first.text("/id"));
    assert_eq!(
        other_id.text("/owner/id"),
        first.text("/owner/id"),
        "one email, one owner"
    );

    let same = site.create("ANA@shop.test", Some("u-1")).await;
    assert_eq!(
        (same.status, same.text("/id")),
        (201, first.text("/id")),
        "same email, same id: the same account"
    );

    let other_email = site.create("bob@shop.test", Some("u-1")).await;
    assert_eq!(
        other_email.status, 201,
        "other email, id in use: a second account"
    );
    assert_ne!(other_email.text("/owner/id"), first.text("/owner/id"));

    let no_id = site.create("ana@shop.test", None).await;
    assert_eq!(
        no_id.status, 201,
        "same email, no id: not one of those with an id"
    );
    let again = site.create("ana@shop.test", None).await;
    assert_eq!((again.status, again.text("/id")), (201, no_id.text("/id")));

    let body = json!({ "email": "cleo@shop.test", "external_id": "u-1" });
    let newest = site.post("/accounts", body).send().await;
    assert_eq!(
        error_type(&newest),
        (409, "conflict".to_owned()),
        "the newest guide's field"
    );
    assert_eq!(site.emulator.accounts().len(), 4);
}

#[tokio::test]
async fn a_create_is_checked_and_its_title_falls_back() {
    let site = Site::test().await;
    for (body, why) in [
        (json!({ "title": "Ana" }), "no email"),
        (json!({ "email": "ana" }), "no address"),
        (json!({ "email": "ana@bounce.test" }), "undeliverable"),
        (json!({ "email": "a@b.test", "metadata": [] }), "not an object"),
        (
            json!({ "email": "a@b.test", "metadata": { "x": "y".repeat(17_000) } }),
            "too much metadata",
        ),
        (
            json!({ "email": "a@b.test", "external_id": "100%" }),
            "% in an external id",
        ),
    ] {
        let got = site.post("/accounts", body).send().await;
        assert_eq!(error_type(&got), (400, "bad_request".to_owned()), "{why}");
        assert_eq!(got.json().pointer("/error/param"), None, "{why}");
    }
    let titled = site
        .post(
            "/accounts",
            json!({ "email": "a@example.com", "metadata": { "external_id": "u-1" } }),
        )
        .send()
        .await;
    assert_eq!((titled.status, titled.text("/title")), (201, "u-1".to_owned()));
    let exposed = site
        .post("/accounts", json!({ "email": "b@example.com" }))
        .send()
        .await;
    assert_eq!(exposed.text("/title"), "b@example.com");
}

#[tokio::test]
async fn a_hundred_and_twenty_accounts_are_paged_to_the_end() {
    let settings = Settings {
        rate: 0,
        ..Settings::test(PLATFORM)
    };
    let site = Site::start(settings).await;
    for number in 0..120 {
        let email = format!("u{number}@shop.test");
        let got = site.create(&email, Some(&format!("u-{number}"))).await;
        assert_eq!(got.status, 201);
    }
    let made: Vec<String> = site.emulator.accounts().into_iter().map(|a| a.id).collect();

    let list = format!("/accounts?parent_account_id={PLATFORM}");
    let plain = site.get(&list).send().await;
    assert_eq!(plain.ids().len(), 10, "ten unless asked");
    assert_eq!(plain.ids().first(), made.last(), "newest first unless asked");

    let mut walked = Vec::new();
    let mut after = String::new();
    let mut pages = 0;
    loop {
        let page = site
            .get(&format!("{list}&first=50&direction=asc&after={after}"))
            .send()
            .await;
        walked.extend(page.ids());
        pages += 1;
        assert_eq!(page.json()["page_info"]["has_previous_page"], json!(pages > 1));
        if page.json()["page_info"]["has_next_page"] == json!(false) {
            assert_eq!(page.json()["page_info"]["end_cursor"], Value::Null);
            break;
        }
        after = page.text("/page_info/end_cursor");
    }
    assert_eq!((pages, &walked), (3, &made));

    let back = site
        .get(&format!("{list}&last=5&direction=asc&before={after}"))
        .send()
        .await;
    assert_eq!(back.ids(), made[94..99]);
    for bad in ["first=51", "first=0", "first=x", "after=nonsense", "direction=up"] {
        assert_eq!(
            site.get(&format!("{list}&{bad}")).send().await.status,
            400,
            "{bad}"
        );
    }

    let mut all = BTreeSet::new();
    let mut after = String::new();
    while all.len() < 121 {
        let page = site
            .get(&format!("/accounts?first=50&after={after}"))
            .send()
            .await;
        all.extend(page.ids());
        let cursor = page.json().pointer("/page_info/end_cursor").cloned();
        after = cursor
            .and_then(|cursor| cursor.as_str().map(str::to_owned))
            .unwrap_or_default();
    }
    assert!(
        all.contains(PLATFORM),
        "without a parent the platform is listed too"
    );
    let found = site.get(&format!("{list}&query={}", &made[7][4..])).send().await;
    assert_eq!(found.ids(), made[7..8]);
    let found = site.get(&format!("{list}&query=u7@shop.test")).send().await;
    assert!(found.ids().is_empty(), "no search in emails");
}

#[tokio::test]
async fn lists_can_be_narrowed() {
    // Whose stamps are exact.
    let site = Site::start(Settings {
        documented: true,
        ..Settings::test(PLATFORM)
    })
    .await;
    let early = site.create("a@shop.test", Some("a")).await;
    site.emulator.advance(Duration::from_secs(3_600));
    let late = site.create("b@shop.test", Some("b")).await;
    site.emulator.set_suspended(&late.text("/id"), true);
    let list = format!("/accounts?parent_account_id={PLATFORM}");
    let plus = |stamp: String| stamp.replace('+', "%2B");
    let (early, at) = (early.text("/id"), plus(early.text("/created_at")));
    for (narrow, expected) in [
        (format!("&created_after={at}"), late.text("/id")),
        (
            format!("&created_before={}", plus(late.text("/created_at"))),
            early.clone(),
        ),
        ("&status=active".to_owned(), early.clone()),
        ("&status=suspended".to_owned(), late.text("/id")),
    ] {
        let got = site.get(&format!("{list}{narrow}")).send().await;
        assert_eq!(got.ids(), [expected], "{narrow}");
    }
    let owner = format!("/accounts?owner_id={}", late.text("/owner/id"));
    assert_eq!(site.get(&owner).send().await.ids(), [late.text("/id")]);
    let both = format!("{owner}&parent_account_id={PLATFORM}");
    assert_eq!(site.get(&both).send().await.status, 400);
    let older = site.get(&owner).version(Some("2026-10-15")).send().await;
    assert_eq!(older.ids().len(), 3, "not a filter before {NEWEST}");
    let child = format!("/accounts?parent_account_id={early}");
    assert!(
        site.get(&child).send().await.ids().is_empty(),
        "a child has no children"
    );
    let foreign = site.get("/accounts?parent_account_id=biz_other").send().await;
    assert_eq!(foreign.status, 403);
}

#[tokio::test]
async fn legacy_ignores_idempotency_keys_and_makes_a_second_company() {
    let site = Site::test().await;
    let body = json!({ "title": "Ana", "email": "ana@shop.test", "parent_company_id": PLATFORM,
        "metadata": { "internal_user_id": "u-1" } });
    let create = || {
        site.post("/companies", body.clone())
            .version(Some(LEGACY))
            .once("k")
            .send()
    };
    let (first, second) = (create().await, create().await);
    assert_eq!((first.status, second.status), (200, 200));
    assert_ne!(first.text("/id"), second.text("/id"));
    assert_eq!(first.text("/owner_user/id"), second.text("/owner_user/id"));
    assert_eq!(first.text("/metadata/internal_user_id"), "u-1");
    for hidden in ["email", "parent_account", "parent_company_id", "owner"] {
        assert_eq!(first.json().get(hidden), None, "{hidden}");
    }
}

#[tokio::test]
async fn the_companies_dialect() {
    let site = Site::test().await;
    let create = |body: Value| site.post("/companies", body).version(Some(LEGACY)).send();

    let untitled = create(json!({ "email": "a@b.test", "parent_company_id": PLATFORM })).await;
    assert_eq!(untitled.text("/error/code"), "parameter_missing");
    assert_eq!(untitled.text("/error/param"), "title");
    let nobody = create(json!({ "title": "A", "parent_company_id": PLATFORM })).await;
    assert_eq!(nobody.text("/error/param"), "email");
    let foreign =
        create(json!({ "title": "A", "email": "a@b.test", "parent_company_id": "biz_other" })).await;
    assert_eq!(foreign.status, 403);

    let child = create(json!({ "title": "A", "email": "a@b.test", "parent_company_id": PLATFORM })).await;
    let orphan = create(json!({ "title": "Oops", "email": "a@b.test" })).await;
    assert_eq!(orphan.status, 200, "without a parent: the key's own user's");
    assert_ne!(orphan.text("/owner_user/id"), child.text("/owner_user/id"));
    let listed = site
        .get(&format!("/companies?parent_company_id={PLATFORM}"))
        .version(Some(LEGACY))
        .send()
        .await;
    assert_eq!(listed.ids(), [child.text("/id")]);
    let own = site.get("/companies").version(Some(LEGACY)).send().await;
    assert_eq!(own.ids(), [orphan.text("/id"), PLATFORM.to_owned()]);

    let path = format!("/companies/{}", child.text("/id"));
    let renamed = site
        .patch(&path, json!({ "title": "B" }))
        .version(Some(LEGACY))
        .send()
        .await;
    assert_eq!((renamed.status, renamed.text("/title")), (200, "B".to_owned()));
    let metadata = site
        .patch(&path, json!({ "metadata": { "x": "y" } }))
        .version(Some(LEGACY))
        .send()
        .await;
    assert_eq!(
        (metadata.status, &metadata.json()["metadata"]),
        (200, &Value::Null),
        "a field that is not known here is ignored"
    );
    let route = format!("/companies/{}", child.text("/route"));
    assert_eq!(
        site.get(&route).version(Some(LEGACY)).send().await.text("/id"),
        child.text("/id")
    );
    assert_eq!(
        site.get(&format!("/accounts/{}", child.text("/id")))
            .send()
            .await
            .text("/email"),
        "a@b.test",
        "both generations show the same accounts"
    );
}

#[tokio::test]
async fn accounts_are_updated_and_deleted_within_bounds() {
    let site = Site::test().await;
    let ana = site.create("ana@shop.test", Some("u-1")).await;
    let path = format!("/accounts/{}", ana.text("/id"));
    let replaced = site
        .patch(&path, json!({ "metadata": { "team": "blue" } }))
        .send()
        .await;
    assert_eq!(
        replaced.json()["metadata"],
        json!({ "team": "blue" }),
        "replaced, not merged"
    );
    let by_email = site.create("ana@shop.test", None).await;
    assert_eq!(
        (by_email.status, by_email.text("/id")),
        (201, ana.text("/id")),
        "it has no external id any more"
    );
    assert_eq!(site.patch(&path, json!({})).send().await.status, 400);
    for body in [json!({ "email": "new@shop.test" }), json!({ "owner": "x" })] {
        let ignored = site.patch(&path, body).send().await;
        assert_eq!(
            (ignored.status, ignored.text("/email")),
            (200, "ana@shop.test".to_owned())
        );
    }
    for own in ["me", PLATFORM] {
        let body = json!({ "title": "Mine" });
        let got = site.patch(&format!("/accounts/{own}"), body).send().await;
        assert_eq!(got.status, 403, "a key cannot edit its own account");
    }
    let gone = site.call(Method::DELETE, &path, None).send().await;
    assert_eq!(gone.json(), json!({ "id": ana.text("/id"), "deleted": true }));
    assert_eq!(site.get(&path).send().await.status, 404);
    assert_eq!(
        site.get(&format!("/users/{}", ana.text("/owner/id")))
            .send()
            .await
            .status,
        200,
        "the person stays"
    );
}

#[tokio::test]
async fn the_first_platform_a_key_names_is_its_own() {
    let settings = Settings {
        platform: None,
        ..Settings::test(PLATFORM)
    };
    let site = Site::start(settings).await;
    let made_up = site.get("/accounts/me").send().await.text("/id");
    let listed = site.get("/accounts?parent_account_id=biz_manifest").send().await;
    assert_eq!(listed.status, 200);
    assert_eq!(site.get("/accounts/me").send().await.text("/id"), "biz_manifest");
    assert_ne!(made_up, "biz_manifest");
    let child = site.create("ana@shop.test", None).await;
    assert_eq!(child.text("/parent_account/id"), "biz_manifest");
    let second = site.get("/accounts?parent_account_id=biz_second").send().await;
    assert_eq!(second.status, 403);
    let other = site
        .get("/accounts?parent_account_id=biz_second")
        .key(Some("key2"))
        .send()
        .await;
    assert_eq!(other.status, 200);
    let unseen = site
        .get(&format!("/accounts/{}", child.text("/id")))
        .key(Some("key2"))
        .send()
        .await;
    assert_eq!(unseen.status, 404, "another platform's child");
}

/// What is known of Whop from recorded answers beside what its documentation
/// says, in the same places.
#[tokio::test]
async fn answers_are_as_recorded_unless_the_documentation_is_asked_for() {
    for documented in [false, true] {
        let site = Site::start(Settings {
            documented,
            ..Settings::test(PLATFORM)
        })
        .await;
        let choose = |recorded: Value, written: Value| if documented { written } else { recorded };
        let body = json!({ "email": "ana7@shop.test", "title": "Ana", "country": "de" });
        let made = site.post("/accounts", body).send().await;
        let made = made.json();
        let id = made["id"].clone();
        for (at, recorded, written) in [
            ("/status", Value::Null, json!("active")),
            ("/owner/name", Value::Null, json!("Ana")),
            ("/owner/username", json!("ana"), json!("ana")),
            ("/route", id.clone(), json!("ana")),
            ("/country", json!("de"), json!("DE")),
        ] {
            let seen = made.pointer(at).unwrap();
            assert_eq!(*seen, choose(recorded, written), "{at}");
        }
        let stamp = made["created_at"].as_str().unwrap();
        assert!(stamp.starts_with(if documented {
            "2026-10-20T09:00:"
        } else {
            "2026-10-20T11:00:"
        }));
        assert!(
            stamp.ends_with(if documented { "Z" } else { "+02:00" }),
            "{stamp}"
        );
        assert_eq!(stamp.contains('.'), documented, "{stamp}");
        let account = format!("/accounts/{}", id.as_str().unwrap());
        let read = site.get(&account).send().await;
        assert_eq!(read.text("/status"), "active", "computed when it is read");
        let placeholder = read.text("/owner/profile_picture/url");
        assert_eq!(
            placeholder.contains("/pictures/placeholder?name=ana"),
            !documented,
            "{placeholder}"
        );

        let again = json!({ "email": "ana7@shop.test", "title": "Ana" });
        let again = site.post("/accounts", again).send().await;
        assert_eq!(
            (again.status, &again.json()["id"]),
            (if documented { 200 } else { 201 }, &id)
        );

        let list = format!("/accounts?parent_account_id={PLATFORM}");
        let list = site.get(&list).send().await.json();
        assert_eq!(list["page_info"]["end_cursor"].is_null(), !documented);
        assert_eq!(list.get("recommended_action").is_some(), !documented);

        let stray = site
            .patch(&account, json!({ "title": "A", "owner": "x" }))
            .send()
            .await;
        assert_eq!(stray.status, if documented { 400 } else { 200 });
        let bad = site.post("/accounts", json!({ "email": "ana" })).send().await;
        let kind = if documented {
            "invalid_request_error"
        } else {
            "bad_request"
        };
        assert_eq!(error_type(&bad), (400, kind.to_owned()));
    }
}

#[tokio::test]
async fn children_are_suspended_for_good() {
    let keys = ["key", "poor=company:create_child"].map(Key::parse);
    let site = Site::start(Settings {
        keys: Keys::Only(keys.to_vec()),
        ..Settings::test(PLATFORM)
    })
    .await;
    let ana = site.create("ana@shop.test", None).await.text("/id");
    let suspend = |id: &str| site.call(Method::POST, &format!("/accounts/{id}/suspend"), None);
    let poor = suspend(&ana).key(Some("poor")).send().await;
    assert_eq!(poor.status, 403);
    assert!(poor.text("/error/message").contains("company:suspend_child"));
    for _ in 0..2 {
        let got = suspend(&ana).send().await;
        assert_eq!((got.status, got.text("/status")), (200, "suspended".to_owned()));
    }
    assert_eq!(suspend(PLATFORM).send().await.status, 403, "its own account");
    assert_eq!(suspend("biz_nobody").send().await.status, 404);
    let active = format!("/accounts?parent_account_id={PLATFORM}&status=active");
    assert!(site.get(&active).send().await.ids().is_empty());
}

#[tokio::test]
async fn accounts_are_searched_by_title_newest_first() {
    let site = Site::test().await;
    let mut made = Vec::new();
    for title in ["Ana's shop", "Bo", "ANA too"] {
        let body = json!({ "email": format!("{}@shop.test", made.len()), "title": title });
        made.push(site.post("/accounts", body).send().await.text("/id"));
    }
    let search = |query: &'static str| site.get(query).send();
    let found = search("/accounts/search?query=ana").await;
    assert_eq!(found.ids(), [made[2].as_str(), &made[0]]);
    let first = &found.json()["data"][0];
    let keys: Vec<_> = first.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["created_at", "id", "route", "title"]);
    let paged = search("/accounts/search?query=ana&direction=asc&first=1").await;
    assert_eq!(paged.ids(), [made[0].as_str()]);
    assert_eq!(paged.json()["page_info"]["has_next_page"], json!(true));
    assert!(search("/accounts/search?query=nobody").await.ids().is_empty());
    assert_eq!(search("/accounts/search").await.status, 400);
}

#[tokio::test]
async fn the_newest_guides_external_id_belongs_to_one_account() {
    for documented in [false, true] {
        let site = Site::start(Settings {
            documented,
            ..Settings::test(PLATFORM)
        })
        .await;
        let mut made = Vec::new();
        for id in ["u-1", "u-12", "v-1"] {
            let body = json!({ "email": format!("{id}@shop.test"), "title": id, "external_id": id });
            made.push(site.post("/accounts", body).send().await.text("/id"));
        }
        let site = &site;
        let list = |asked: &str| {
            let path = format!("/accounts?parent_account_id={PLATFORM}&direction=asc&external_id={asked}");
            async move { site.get(&path).send().await.ids() }
        };
        assert_eq!(list("u-1").await, made[..1]);
        let beginning = list("u-1%25").await;
        let expected = if documented { &made[..2] } else { &[] };
        assert_eq!(beginning, expected, "a prefix is asked for as documented");

        let taken = json!({ "external_id": "u-1" });
        let path = format!("/accounts/{}", made[2]);
        let taken = site.patch(&path, taken).send().await;
        assert_eq!(error_type(&taken), (409, "conflict".to_owned()));
        let own = site.patch(&path, json!({ "external_id": "v-1" })).send().await;
        assert_eq!(own.status, 200);
        for empty in [json!(""), Value::Null] {
            let untitled = site.patch(&path, json!({ "title": empty })).send().await;
            assert_eq!(
                (untitled.status, untitled.text("/title")),
                (200, "v-1".to_owned())
            );
        }
    }
}
