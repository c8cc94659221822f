//! Every difference between API versions that the contract tells apart, asked
//! of the emulator in every version of the table.

use std::collections::BTreeMap;

use super::*;

/// The first dated version: what the original one does otherwise, all dated
/// ones do alike.
const DATED: &str = "2026-06-08";

/// Each difference, and the first version with the new form
/// (`whop_api#versions`).
const DIFFERENCES: [(&str, &str); 22] = [
    ("creates answer 201", DATED),
    ("the parent of a create is implied by the key", DATED),
    ("the parent of a list is parent_account_id", DATED),
    ("accounts show their email", DATED),
    ("overrides are chosen by account_id in the query", DATED),
    ("company_id in the body is refused", DATED),
    ("an update without an account is refused", DATED),
    ("null clears no override", DATED),
    ("idempotency keys count", DATED),
    ("errors name no parameter", DATED),
    ("accounts show their owner and its picture", "2026-08-21"),
    ("accounts show their parent as an object", "2026-08-21"),
    ("every profile has a picture", "2026-08-21"),
    ("new files are 201 and say what they are", "2026-08-21-1"),
    ("a file's size is a number", "2026-08-21-1"),
    ("files are private unless asked otherwise", "2026-08-21-1"),
    ("files are listed by id", "2026-09-02-1"),
    ("tokens name account_id", "2026-09-02-2"),
    ("accounts can be deleted", "2026-10-08"),
    ("accounts are listed by owner", NEWEST),
    ("accounts have an external_id", NEWEST),
    ("accounts are listed by external_id", NEWEST),
];

/// All versions, oldest first, as the refusal of an unknown one names them.
async fn supported(site: &Site) -> Vec<&'static str> {
    let refused = site.get("/accounts").version(Some("0000-01-01")).send().await;
    let message: &'static str = refused.text("/error/message").leak();
    let (_, list) = message.split_once(": ").expect("a list");
    list.split(", ").collect()
}

/// What was made before, in the newest version.
struct Made {
    account: String,
    owner: String,
    file: String,
}

/// Which new forms a version has.
async fn forms(site: &Site, version: &'static str, made: &Made) -> BTreeMap<&'static str, bool> {
    let legacy = version == LEGACY;
    let (resource, parent) = if legacy {
        ("/companies", json!({ "parent_company_id": PLATFORM }))
    } else {
        ("/accounts", json!({}))
    };
    let get = |path: String| async move { site.get(&path).version(Some(version)).send().await };
    let post = |path: &'static str, body: Value| site.post(path, body).version(Some(version));
    let patch = |query: &str, body: Value| {
        let path = format!("/users/{}{query}", made.owner);
        site.patch(&path, body).version(Some(version)).send()
    };
    let child = |name: &str, more: &Value| {
        let mut body = json!({ "title": "T", "email": format!("{name}@{version}.test") });
        for (field, value) in more.as_object().into_iter().flatten() {
            body[field] = value.clone();
        }
        body
    };
    let mut found = BTreeMap::new();

    let created = post(resource, child("a", &parent)).send().await;
    found.insert("creates answer 201", created.status == 201);
    let told = post(resource, child("b", &json!({ "parent_company_id": PLATFORM })));
    found.insert(
        "the parent of a create is implied by the key",
        told.send().await.status == 400,
    );
    let stranger = get(format!("{resource}?parent_account_id=biz_nobody")).await;
    found.insert(
        "the parent of a list is parent_account_id",
        stranger.status == 403,
    );
    let once = || post(resource, child("c", &parent)).once(version).send();
    let (first, second) = (once().await, once().await);
    assert_eq!(first.status, second.status);
    found.insert(
        "idempotency keys count",
        second.header("idempotent-replayed").is_some() && first.body == second.body,
    );
    let wrong = post(resource, json!({ "title": "T", "email": 1 })).send().await;
    assert_eq!(wrong.status, 400);
    found.insert(
        "errors name no parameter",
        wrong.json()["error"].get("param").is_none(),
    );

    let account = get(format!("{resource}/{}", made.account)).await.json();
    assert_eq!(account["id"], made.account);
    found.insert("accounts show their email", account["email"].is_string());
    found.insert(
        "accounts show their owner and its picture",
        account["owner"]["profile_picture"]["url"].is_string(),
    );
    found.insert(
        "accounts show their parent as an object",
        account["parent_account"]["id"] == PLATFORM,
    );
    found.insert(
        "accounts have an external_id",
        account.get("external_id").is_some(),
    );
    let profile = get(format!("/users/{}", made.owner)).await.json();
    found.insert(
        "every profile has a picture",
        profile["profile_picture"].is_object(),
    );

    let scoped = format!("?account_id={PLATFORM}");
    let global = |site| async move { Site::get(site, &format!("/users/{}", made.owner)).send().await };
    let before = global(site).await.text("/name");
    let name = json!({ "name": format!("In {version}") });
    assert_eq!(patch(&scoped, name).await.status, 200);
    found.insert(
        "overrides are chosen by account_id in the query",
        global(site).await.text("/name") == before,
    );
    let in_body = patch("", json!({ "name": "B", "company_id": PLATFORM })).await;
    found.insert("company_id in the body is refused", in_body.status == 400);
    let nowhere = patch("", json!({ "name": "N" })).await;
    found.insert("an update without an account is refused", nowhere.status == 400);
    let cleared = if legacy {
        patch("", json!({ "name": null, "company_id": PLATFORM })).await
    } else {
        patch(&scoped, json!({ "name": null })).await
    };
    found.insert("null clears no override", cleared.status == 400);

    let file = post("/files", json!({ "filename": "a.png" })).send().await;
    let says = file.json();
    found.insert(
        "new files are 201 and say what they are",
        file.status == 201 && says["object"] == "file" && says["created_at"].is_string(),
    );
    found.insert(
        "files are private unless asked otherwise",
        says["visibility"] == "private",
    );
    let ready = get(format!("/files/{}", made.file)).await.json();
    assert!(ready["size"].is_u64() || ready["size"].is_string());
    found.insert("a file's size is a number", ready["size"].is_u64());
    let listed = get(format!("/files?file_ids={}", made.file)).await;
    found.insert("files are listed by id", listed.status == 200);

    let token = |field: &'static str| {
        let body = json!({ field: PLATFORM, "scoped_actions": ["chat:read"] });
        post("/access_tokens", body).send()
    };
    let (new, old) = (token("account_id").await.status, token("company_id").await.status);
    assert_eq!(new + old, 600, "one is 200 and the other 400");
    found.insert("tokens name account_id", new == 200);

    let gone = site
        .create(&format!("gone@{version}.test"), None)
        .await
        .text("/id");
    let delete = site.call(Method::DELETE, &format!("/accounts/{gone}"), None);
    found.insert(
        "accounts can be deleted",
        delete.version(Some(version)).send().await.status == 200,
    );
    let only = |got: Got| got.ids() == [made.account.as_str()];
    found.insert(
        "accounts are listed by owner",
        only(get(format!("/accounts?owner_id={}", made.owner)).await),
    );
    found.insert(
        "accounts are listed by external_id",
        only(get(format!("/accounts?parent_account_id={PLATFORM}&external_id=u-1")).await),
    );
    found
}

#[tokio::test]
async fn every_version_has_exactly_the_forms_of_its_place() {
    let site = Site::start(Settings {
        rate: 0,
        // What recorded answers have in common is no difference.
        documented: true,
        ..Settings::test(PLATFORM)
    })
    .await;
    let body = json!({ "email": "ana@shop.test", "title": "Ana", "external_id": "u-1" });
    let ana = site.post("/accounts", body).send().await;
    let made = Made {
        account: ana.text("/id"),
        owner: ana.text("/owner/id"),
        file: site.file("a.png", PNG).await,
    };
    let versions = supported(&site).await;
    assert_eq!((versions.len(), versions[0], versions[69]), (70, LEGACY, NEWEST));
    let place = |label: &str| versions.iter().position(|version| *version == label);
    for (at, version) in versions.iter().enumerate() {
        let found = forms(&site, version, &made).await;
        assert_eq!(found.len(), DIFFERENCES.len());
        for (what, first) in DIFFERENCES {
            let first = place(first).expect("a version of the table");
            assert_eq!(found[what], at >= first, "{version}: {what}");
        }
    }
}

#[tokio::test]
async fn it_passes_for_a_server_of_any_version() {
    let everything = supported(&Site::test().await).await;
    let floor = everything.iter().position(|version| *version == "2026-08-21-1");
    let floor = floor.expect("a version of the table");
    for at in floor..everything.len() {
        let site = Site::start(Settings {
            newest: Some(everything[at].to_owned()),
            ..Settings::test(PLATFORM)
        })
        .await;
        assert_eq!(supported(&site).await, everything[..=at]);
        for (other, version) in everything.iter().enumerate() {
            let status = site.get("/accounts").version(Some(version)).send().await.status;
            assert_eq!(
                status,
                if other <= at { 200 } else { 400 },
                "{version} of {}",
                everything[at]
            );
        }
        site.close().await;
    }
}
