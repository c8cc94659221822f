//! Files, from the record to somebody's picture.

use super::*;

#[tokio::test]
async fn a_file_goes_its_way_and_becomes_a_picture() {
    let settings = Settings {
        processing: Duration::from_secs(600),
        ..Settings::test(PLATFORM)
    };
    let site = Site::start(settings).await;
    let ana = site.create("ana@shop.test", Some("u-1")).await;
    let profile = format!("/users/{}?account_id={PLATFORM}", ana.text("/owner/id"));

    let file = site
        .post("/files", json!({ "filename": "u-1.PNG", "visibility": "public" }))
        .send()
        .await;
    assert_eq!(
        (file.status, file.text("/upload_status")),
        (201, "pending".to_owned())
    );
    assert_eq!(file.json()["size"], Value::Null);
    let (id, file) = (file.text("/id"), file.json());
    let path = format!("/files/{id}");
    let attach = json!({ "profile_picture": { "id": id } });

    let with_key = site.upload(&file, PNG, Some("key")).await;
    assert_eq!(with_key.status, 400, "the key has no business at the storage");
    let bare = site
        .client
        .put(file["upload_url"].as_str().unwrap_or_default())
        .body(PNG)
        .send()
        .await;
    assert_eq!(bare.map(|got| got.status().as_u16()).ok(), Some(403));
    let mut mangled = file.clone();
    mangled["upload_url"] = json!(format!("{}0", file["upload_url"].as_str().unwrap_or_default()));
    assert_eq!(site.upload(&mangled, PNG, None).await.status, 403);
    assert_eq!(site.get(&path).send().await.text("/upload_status"), "pending");

    assert_eq!(site.upload(&file, PNG, None).await.status, 200);
    let processing = site.get(&path).send().await;
    assert_eq!(processing.text("/upload_status"), "processing");
    assert_eq!(processing.json()["url"], Value::Null);
    assert_eq!(processing.json().get("upload_url"), None, "told only once");
    assert_eq!(
        site.patch(&profile, attach.clone()).send().await.status,
        400,
        "not ready"
    );

    site.emulator.advance(Duration::from_secs(600));
    let ready = site.get(&path).send().await.json();
    assert_eq!(ready["upload_status"], "ready");
    assert_eq!(ready["size"], json!(PNG.len()));
    assert_eq!((&ready["width"], &ready["height"]), (&json!(2), &json!(3)));
    let public = site
        .get(ready["url"].as_str().unwrap_or_default())
        .key(None)
        .send()
        .await;
    assert_eq!(
        (
            public.status,
            public.body.as_slice(),
            public.header("content-type")
        ),
        (200, PNG, Some("image/png"))
    );
    assert_eq!(
        site.get(&path).key(Some("key2")).send().await.status,
        404,
        "another key"
    );

    let before = site.get(&profile).send().await.text("/profile_picture/url");
    let set = site.patch(&profile, attach).send().await;
    assert_eq!(set.status, 200);
    let url = set.text("/profile_picture/url");
    assert_ne!(url, before);
    let again = site.get(&profile).send().await.text("/profile_picture/url");
    assert_ne!(url, again, "the query varies");
    let bare = |url: &str| url.split('?').next().unwrap_or_default().to_owned();
    assert_eq!(bare(&url), bare(&again), "the path does not");
    assert_ne!(bare(&url), bare(ready["url"].as_str().unwrap_or_default()));
    assert_eq!(site.get(&url).key(None).send().await.body, PNG);
    assert_eq!(
        site.get(&before).key(None).send().await.status,
        200,
        "placeholders exist"
    );

    site.emulator.advance(Duration::from_secs(3_600));
    assert_eq!(site.upload(&file, PNG, None).await.status, 403, "an hour later");
}

#[tokio::test]
async fn files_that_are_no_pictures_are_refused() {
    let site = Site::test().await;
    let ana = site.create("ana@shop.test", None).await;
    let profile = format!("/users/{}?account_id={PLATFORM}", ana.text("/owner/id"));
    let text = site.file("notes.txt", b"hello").await;
    let broken = site.file("fake.png", b"hello").await;
    let foreign = site.file("real.png", PNG).await;
    let got = site.get(&format!("/files/{broken}")).send().await;
    assert_eq!(got.text("/upload_status"), "failed");
    for id in [text, broken, "file_none".to_owned()] {
        let body = json!({ "profile_picture": { "id": id } });
        assert_eq!(site.patch(&profile, body).send().await.status, 400, "{id}");
    }
    let body = json!({ "profile_picture": { "id": foreign } });
    let stolen = site.patch(&profile, body).key(Some("key2")).send().await;
    assert_eq!(stolen.status, 400, "another key's file");
    for bad in ["noextension", ".png", "name."] {
        let got = site.post("/files", json!({ "filename": bad })).send().await;
        assert_eq!(got.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn private_files_have_urls_that_expire() {
    let site = Site::test().await;
    let file = site.post("/files", json!({ "filename": "a.png" })).send().await;
    assert_eq!(
        file.text("/visibility"),
        "private",
        "the default of dated versions"
    );
    assert_eq!(site.upload(&file.json(), PNG, None).await.status, 200);
    site.emulator.advance(Duration::from_secs(2));
    let path = format!("/files/{}", file.text("/id"));
    let url = site.get(&path).send().await.text("/url");
    assert_eq!(site.get(&url).key(None).send().await.status, 200);
    site.emulator.advance(Duration::from_secs(3_600));
    assert_eq!(site.get(&url).key(None).send().await.status, 403);
    let bare = url.split('?').next().unwrap_or_default();
    assert_eq!(site.get(bare).key(None).send().await.status, 403);
}

#[tokio::test]
async fn several_files_are_read_at_once() {
    let site = Site::test().await;
    let (a, b) = (site.file("a.png", PNG).await, site.file("b.png", PNG).await);
    let got = site
        .get(&format!("/files?file_ids={b}&file_ids={a}&file_ids=file_none"))
        .send()
        .await;
    assert_eq!(got.ids(), [a.clone(), b.clone()]);
    let page = site
        .get(&format!("/files?file_ids={b}&file_ids={a}&first=1"))
        .send()
        .await;
    assert_eq!(page.ids().first(), Some(&a));
    assert_eq!(page.json()["page_info"]["has_next_page"], json!(true));
    let other = site
        .get(&format!("/files?file_ids={a}"))
        .key(Some("key2"))
        .send()
        .await;
    assert!(other.ids().is_empty());
    assert_eq!(site.get("/files").send().await.status, 400);
    let many = "file_ids=file_x&".repeat(251);
    assert_eq!(site.get(&format!("/files?{many}")).send().await.status, 400);
    let early = site
        .get(&format!("/files?file_ids={a}"))
        .version(Some("2026-09-02"))
        .send()
        .await;
    assert_eq!(early.status, 400);
}

#[tokio::test]
async fn a_big_file_comes_in_parts() {
    let site = Site::test().await;
    let size = 5 * 1024 * 1024 + 3;
    let body = json!({ "filename": "big.txt", "multipart": true, "byte_size": size });
    let file = site.post("/files", body).send().await.json();
    let parts = file["multipart_upload_urls"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    assert_eq!(parts.len(), 2);
    let mut named = Vec::new();
    for (part, bytes) in parts.iter().zip([&b"one"[..], &b"two"[..]]) {
        let one = json!({ "upload_url": part["url"], "upload_headers": file["upload_headers"] });
        let stored = site.upload(&one, bytes, None).await;
        let etag = stored.header("etag").unwrap_or_default();
        named.push(json!({ "part_number": part["part_number"], "etag": etag }));
    }
    let path = format!("/files/{}/complete", file["id"].as_str().unwrap_or_default());
    let body = json!({ "multipart_upload_id": file["multipart_upload_id"], "multipart_parts": [named[0]] });
    assert_eq!(
        site.post(&path, body).send().await.status,
        400,
        "a part is missing"
    );
    let body = json!({ "multipart_upload_id": file["multipart_upload_id"], "multipart_parts": named });
    let done = site.post(&path, body.clone()).send().await;
    assert_eq!(
        (done.status, done.text("/upload_status")),
        (200, "processing".to_owned())
    );
    assert_eq!(site.post(&path, body).send().await.status, 409);
    site.emulator.advance(Duration::from_secs(2));
    let file = format!("/files/{}", file["id"].as_str().unwrap_or_default());
    assert_eq!(site.get(&file).send().await.json()["size"], json!(6));
}

#[tokio::test]
async fn files_fail_stall_and_expire_on_demand() {
    let site = Site::test().await;
    let create = || async {
        let body = json!({ "filename": "a.png", "visibility": "public" });
        site.post("/files", body).send().await.json()
    };
    for (operation, strike, status) in [
        (Operation::CreateFile, Strike::FileFails, "failed"),
        (Operation::UploadFile, Strike::FileStalls, "processing"),
    ] {
        site.emulator.fault(Fault::next(operation, strike));
        let file = create().await;
        assert_eq!(site.upload(&file, PNG, None).await.status, 200);
        site.emulator.advance(Duration::from_secs(600));
        let path = format!("/files/{}", file["id"].as_str().unwrap_or_default());
        assert_eq!(site.get(&path).send().await.text("/upload_status"), status);
    }
    site.emulator
        .fault(Fault::next(Operation::CreateFile, Strike::UrlExpires));
    let file = create().await;
    assert_eq!(site.upload(&file, PNG, None).await.status, 403);
}
