//! Profiles: the global one and one company's overrides.

use super::*;

#[tokio::test]
async fn an_override_stays_apart_from_the_global_profile() {
    let site = Site::test().await;
    let ana = site.create("ana@shop.test", None).await;
    let owner = ana.text("/owner/id");
    let here = format!("/users/{owner}?account_id={PLATFORM}");
    let global = format!("/users/{owner}");

    let set = site.patch(&here, json!({ "name": "  Ana R. " })).send().await;
    assert_eq!((set.status, set.text("/name")), (200, "Ana R.".to_owned()));
    assert_eq!(site.get(&here).send().await.text("/name"), "Ana R.");
    assert_eq!(site.get(&global).send().await.json()["name"], Value::Null);
    let listed = site.get(&format!("/accounts/{}", ana.text("/id"))).send().await;
    assert_eq!(
        listed.json()["owner"]["name"],
        Value::Null,
        "the owner's name is the global one"
    );
    let user = site.get(&global).send().await;
    let by_name = format!("/users/{}", user.text("/username"));
    assert_eq!(site.get(&by_name).send().await.text("/id"), owner);

    let bare = site.patch(&global, json!({ "name": "Oops" })).send().await;
    assert_eq!(bare.status, 400, "an API key must say where");
    let mixed = site
        .patch(&here, json!({ "company_id": PLATFORM, "name": "Oops" }))
        .send()
        .await;
    assert_eq!(mixed.status, 200, "an unknown field is ignored");
    for (body, why) in [
        (json!({ "name": "" }), "empty"),
        (json!({ "name": "  " }), "blank"),
        (json!({ "name": "x".repeat(101) }), "long"),
        (json!({ "name": null }), "null"),
        (json!({}), "nothing"),
        (
            json!({ "profile_picture": { "direct_upload_id": "x" } }),
            "the older upload flow",
        ),
    ] {
        assert_eq!(site.patch(&here, body).send().await.status, 400, "{why}");
    }
    let elsewhere = site
        .patch(
            &format!("/users/{owner}?account_id=biz_other"),
            json!({ "name": "A" }),
        )
        .send()
        .await;
    assert_eq!(elsewhere.status, 403);
    let nobody = site
        .patch(
            &format!("/users/user_none?account_id={PLATFORM}"),
            json!({ "name": "A" }),
        )
        .send()
        .await;
    assert_eq!(nobody.status, 404);
    assert_eq!(site.get("/users/me").send().await.status, 404);
    assert_eq!(site.emulator.global(&owner).and_then(|p| p.name), None);
}

#[tokio::test]
async fn legacy_edits_the_global_profile_when_the_company_is_left_out() {
    let site = Site::test().await;
    let ana = site.create("ana@shop.test", None).await;
    let owner = ana.text("/owner/id");
    let path = format!("/users/{owner}");
    let site = &site;
    let set =
        |path: String, body: Value| async move { site.patch(&path, body).version(Some(LEGACY)).send().await };

    let here = set(path.clone(), json!({ "company_id": PLATFORM, "name": "Ana R." })).await;
    assert_eq!(here.status, 200);
    assert_eq!(here.json()["profile_picture"], Value::Null, "legacy has null");
    let seen = site
        .get(&format!("{path}?company_id={PLATFORM}"))
        .version(Some(LEGACY))
        .send()
        .await;
    assert_eq!(seen.text("/name"), "Ana R.");
    assert_eq!(site.emulator.global(&owner).and_then(|p| p.name), None);

    // The trap: the current parameter on a legacy call is no parameter at all.
    let trap = set(format!("{path}?account_id={PLATFORM}"), json!({ "name": "Oops" })).await;
    assert_eq!(trap.status, 200);
    assert_eq!(
        site.emulator.global(&owner).and_then(|p| p.name).as_deref(),
        Some("Oops")
    );

    let cleared = set(path, json!({ "company_id": PLATFORM, "name": null })).await;
    assert_eq!(cleared.text("/name"), "Oops");
    assert_eq!(site.emulator.overrides(&owner, PLATFORM).name, None);
}

#[tokio::test]
async fn somebody_who_is_on_whop_already_keeps_their_profile() {
    let site = Site::test().await;
    let known = site.emulator.add_user("Ana@shop.test", "Ana the Great");
    let ana = site.create("ana@shop.test", Some("u-1")).await;
    assert_eq!(ana.text("/owner/id"), known);
    assert_eq!(ana.text("/owner/name"), "Ana the Great");
    let stranger = site.emulator.add_user("bob@shop.test", "Bob");
    let path = format!("/users/{stranger}?account_id={PLATFORM}");
    let got = site.patch(&path, json!({ "name": "B" })).send().await;
    assert_eq!(got.status, 403, "nobody of ours");
}

#[tokio::test]
async fn profiles_are_public() {
    let site = Site::test().await;
    let ana = site.create("ana+shop1@shop.test", None).await;
    let owner = ana.text("/owner/id");
    let here = format!("/users/{owner}?account_id={PLATFORM}");
    site.patch(&here, json!({ "name": "Ana R." })).send().await;
    let shown = site.get(&here).key(None).send().await;
    assert_eq!((shown.status, shown.text("/name")), (200, "Ana R.".to_owned()));
    let global = site.get(&format!("/users/{owner}")).key(None).send().await;
    assert_eq!(global.json()["name"], Value::Null);
    assert_eq!(global.text("/username"), "anashop", "the address's local part");
    let nobody = site.patch(&here, json!({ "name": "No" })).key(None).send().await;
    assert_eq!(nobody.status, 401);
}

#[tokio::test]
async fn answers_hold_what_the_official_types_require() {
    let site = Site::test().await;
    let ana = site.create("ana@shop.test", None).await.json();
    type Kind<'a> = (fn(&Value) -> bool, &'a [&'a str]);
    let kinds: [Kind<'_>; 3] = [
        (
            Value::is_array,
            &[
                "balances",
                "home_preferences",
                "platform_credits",
                "social_links",
                "tax_collection_enabled_states",
                "tax_identifiers",
            ],
        ),
        (
            Value::is_boolean,
            &[
                "can_transfer_pending_balance_to_children",
                "collect_vat_id",
                "dispute_fighter_enabled",
                "economic_intelligence",
                "orchestration_enabled",
                "require_2fa",
                "send_customer_emails",
                "show_joined_whops",
                "show_reviews_dtc",
                "show_user_directory",
                "use_logo_as_opengraph_image_fallback",
            ],
        ),
        (
            Value::is_object,
            &[
                "company_formation",
                "metadata",
                "owner",
                "store_page_config",
                "verification",
            ],
        ),
    ];
    for (fits, names) in kinds {
        for name in names {
            assert!(fits(&ana[name]), "account: {name} is {}", ana[name]);
        }
    }
    let owner = ana["owner"]["id"].as_str().unwrap();
    let user = site.get(&format!("/users/{owner}")).send().await.json();
    assert!(
        user["balances"].is_array() && user["social_links"].is_array() && user["verification"].is_object()
    );
    let company = json!({ "title": "T", "email": "b@shop.test", "parent_company_id": PLATFORM });
    let company = site
        .post("/companies", company)
        .version(Some(LEGACY))
        .send()
        .await
        .json();
    assert!(company["social_links"].is_array(), "{company}");
    assert_eq!(company["published_reviews_count"], 0);
}
