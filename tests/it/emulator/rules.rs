//! What holds for every operation: keys, versions, limits, idempotency, faults, state.

#![expect(clippy::disallowed_methods, reason = "cuts a state file short")]

use whop_sync::emulator::State;

use super::*;

#[tokio::test]
async fn posts_are_replayed_mismatched_and_forgotten() {
    let site = Site::test().await;
    let ana = json!({ "email": "ana@shop.test", "title": "Ana" });
    let first = site.post("/accounts", ana.clone()).once("k1").send().await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, None));
    let replay = site.post("/accounts", ana.clone()).once("k1").send().await;
    assert_eq!(
        (replay.status, &replay.body),
        (201, &first.body),
        "the remembered answer"
    );
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));

    let bob = json!({ "email": "bob@shop.test", "title": "Bob" });
    let other_body = site.post("/accounts", bob.clone()).once("k1").send().await;
    let other_version = site
        .post("/accounts", ana.clone())
        .once("k1")
        .version(Some("2026-10-15"))
        .send()
        .await;
    let other_query = site.post("/accounts?x=1", ana.clone()).once("k1").send().await;
    for got in [other_body, other_version, other_query] {
        assert_eq!(
            (got.status, got.text("/error/code")),
            (400, "idempotency_key_mismatch".to_owned())
        );
    }
    let other_caller = site
        .post("/accounts", bob.clone())
        .once("k1")
        .key(Some("key2"))
        .send()
        .await;
    assert_eq!(other_caller.status, 201, "kept per caller");

    let bad = json!({ "email": "nobody" });
    let refused = site.post("/accounts", bad.clone()).once("k2").send().await;
    assert_eq!(
        (refused.status, refused.header("idempotent-replayed")),
        (400, None)
    );
    let again = site.post("/accounts", bad).once("k2").send().await;
    assert_eq!(
        (again.status, again.header("idempotent-replayed")),
        (400, Some("true"))
    );

    let long = site
        .post("/accounts", ana.clone())
        .once(&"k".repeat(256))
        .send()
        .await;
    assert_eq!(long.status, 400);

    site.emulator.advance(Duration::from_secs(24 * 3_600));
    let later = site.post("/accounts", ana).once("k1").send().await;
    assert_eq!((later.status, later.header("idempotent-replayed")), (201, None));
}

#[tokio::test]
async fn the_limit_is_per_operation_and_key_and_told_in_the_message() {
    let settings = Settings {
        rate: 3,
        ..Settings::test(PLATFORM)
    };
    let site = Site::start(settings).await;
    for _ in 0..3 {
        assert_eq!(site.get("/accounts").send().await.status, 200);
    }
    let refused = site.get("/accounts").send().await;
    assert_eq!(error_type(&refused), (429, "rate_limit_exceeded".to_owned()));
    let message = refused.text("/error/message");
    assert!(message.starts_with("Try again in ") && message.ends_with(" seconds."));
    assert_eq!(refused.header("retry-after"), None);
    assert_eq!(site.get("/accounts/me").send().await.status, 200);
    assert_eq!(site.get("/accounts").key(Some("key2")).send().await.status, 200);
    site.emulator.advance(Duration::from_secs(60));
    assert_eq!(site.get("/accounts").send().await.status, 200);
}

#[tokio::test]
async fn each_scope_is_asked_for() {
    let all = [
        "company:create_child",
        "company:basic:read",
        "payout:account:read",
        "company:update",
        "company:delete_child",
        "company:balance:read",
        "user:profile:update",
    ];
    let without = |scope: &str| {
        let rest: Vec<&str> = all.iter().copied().filter(|s| *s != scope).collect();
        Key {
            // Some of them no custom key can have.
            role: true,
            ..Key::parse(&format!("no-{scope}={}", rest.join(",")))
        }
    };
    let mut keys: Vec<Key> = all.iter().map(|scope| without(scope)).collect();
    keys.push(Key::parse("key"));
    let settings = Settings {
        keys: Keys::Only(keys),
        ..Settings::test(PLATFORM)
    };
    let site = Site::start(settings).await;
    assert_eq!(
        error_type(&site.get("/accounts").key(None).send().await),
        (401, "unauthorized".to_owned())
    );
    assert_eq!(
        site.get("/accounts").key(Some("stranger")).send().await.status,
        401
    );

    let ana = site.create("ana@shop.test", None).await;
    let account = format!("/accounts/{}", ana.text("/id"));
    let user = format!("/users/{}?account_id={PLATFORM}", ana.text("/owner/id"));
    let name = json!({ "name": "A" });
    let title = json!({ "title": "A" });
    let create = json!({ "email": "b@shop.test" });
    let list = format!("/accounts?parent_account_id={PLATFORM}");
    for (scope, method, path, body) in [
        ("company:create_child", Method::POST, "/accounts", Some(create)),
        ("company:balance:read", Method::GET, account.as_str(), None),
        ("payout:account:read", Method::GET, &list, None),
        ("company:update", Method::PATCH, &account, Some(title)),
        ("company:balance:read", Method::GET, "/accounts/me", None),
        ("user:profile:update", Method::PATCH, &user, Some(name)),
        ("company:delete_child", Method::DELETE, &account, None),
    ] {
        for key in all {
            let key = format!("no-{key}");
            let lacks = key.ends_with(scope);
            if !lacks && method == Method::DELETE {
                continue;
            }
            let call = site.call(method.clone(), path, body.clone()).key(Some(&key));
            let got = call.send().await;
            assert_eq!(got.status == 403, lacks, "{key}: {method} {path}");
            assert!(
                !lacks || got.text("/error/message").contains(&format!(" {scope} scope")),
                "the scope is named"
            );
        }
        let got = site.call(method, path, body).send().await;
        assert!(got.status < 300, "{path}");
    }
}

#[tokio::test]
async fn permissions_tell_before_a_403_does() {
    let settings = Settings {
        keys: Keys::Only(vec![Key::parse("key=company:create_child")]),
        ..Settings::test(PLATFORM)
    };
    let site = Site::start(settings).await;
    let own = site.get("/accounts").send().await;
    assert_eq!(own.ids(), [PLATFORM], "any key sees its own account");
    let ask = |resource: &str| {
        site.get(&format!(
            "/permissions?resource_id={resource}&actions=company:create_child,user:profile:update"
        ))
        .send()
    };
    assert_eq!(
        ask(PLATFORM).await.json()["data"],
        json!([
            { "action": "company:create_child", "granted": true },
            { "action": "user:profile:update", "granted": false },
        ])
    );
    let foreign = ask("biz_other").await;
    assert_eq!(foreign.status, 200);
    assert_eq!(foreign.json()["data"][0]["granted"], json!(false));
    assert_eq!(site.get("/permissions").send().await.status, 400);
}

#[tokio::test]
async fn versions_choose_the_shape() {
    let stored = Key {
        version: Some(NEWEST.to_owned()),
        ..Key::parse("stored")
    };
    let settings = Settings {
        keys: Keys::Only(vec![stored, Key::parse("key")]),
        ..Settings::test(PLATFORM)
    };
    let site = Site::start(settings).await;
    let unknown = site.get("/accounts").version(Some("2026-10-16")).send().await;
    assert_eq!(error_type(&unknown), (400, "bad_request".to_owned()));
    assert!(unknown.text("/error/message").contains(NEWEST));

    let create = |key: &'static str, version| {
        site.post("/files", json!({ "filename": "a.png" }))
            .key(Some(key))
            .version(version)
            .send()
    };
    let unversioned = create("key", None).await;
    assert_eq!(unversioned.status, 200, "the stable version");
    assert_eq!(unversioned.json().get("object"), None);
    assert_eq!(unversioned.text("/visibility"), "public");
    let stored = create("stored", None).await;
    assert_eq!(stored.status, 201, "the version stored with the key");
    assert_eq!(stored.text("/object"), "file");
    assert_eq!(
        create("stored", Some(LEGACY)).await.status,
        200,
        "the header wins"
    );
    // The TypeScript SDK that speaks 2026-07-20 has the older file in its types.
    let between = create("key", Some("2026-07-20")).await;
    assert_eq!((between.status, between.json().get("object")), (200, None));
    assert_eq!(between.text("/visibility"), "public");
    assert_eq!(create("key", Some("2026-08-21-1")).await.status, 201);

    let ana = site.create("ana@shop.test", None).await;
    let path = format!("/accounts/{}", ana.text("/id"));
    let old = site.get(&path).version(Some("2026-07-20")).send().await.json();
    assert_eq!(old.get("owner"), None);
    assert_eq!(old["parent_account_id"], PLATFORM);
    let early = site
        .call(Method::DELETE, &path, None)
        .version(Some("2026-10-07-2"))
        .send()
        .await;
    assert_eq!(early.status, 404);
    let token = |version, field: &str| {
        site.post(
            "/access_tokens",
            json!({ field: PLATFORM, "scoped_actions": ["chat:read"] }),
        )
        .version(Some(version))
        .send()
    };
    assert_eq!(token("2026-09-02-1", "company_id").await.status, 200);
    assert_eq!(token("2026-09-02-1", "account_id").await.status, 400);
    assert_eq!(token("2026-09-02-2", "company_id").await.status, 400);
    let made = token(NEWEST, "account_id").await;
    assert_eq!(made.text("/token").split('.').count(), 3);
}

#[tokio::test]
async fn everything_survives_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = || Settings {
        state: State::Kept(folder.path().join("state.jsonl")),
        ..Settings::test(PLATFORM)
    };
    let site = Site::start(settings()).await;
    let body = json!({ "email": "ana@shop.test", "title": "Ana" });
    let ana = site.post("/accounts", body.clone()).once("k").send().await;
    let file = site.file("a.png", PNG).await;
    let path = format!("/users/{}?account_id={PLATFORM}", ana.text("/owner/id"));
    let set = json!({ "name": "Ana R.", "profile_picture": { "id": file } });
    assert_eq!(site.patch(&path, set).send().await.status, 200);
    let before = site.emulator.accounts();
    assert!(Emulator::open(settings()).is_err(), "one emulator at a time");
    drop(site.close().await);

    let site = Site::start(settings()).await;
    assert_eq!(site.emulator.accounts(), before);
    let replay = site.post("/accounts", body).once("k").send().await;
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
    assert_eq!(replay.body, ana.body);
    let user = site.get(&path).send().await;
    assert_eq!(user.text("/name"), "Ana R.");
    let picture = site
        .get(&user.text("/profile_picture/url"))
        .key(None)
        .send()
        .await;
    assert_eq!(picture.body, PNG);
    let status = site.get(&format!("/files/{file}")).send().await;
    assert_eq!(status.text("/upload_status"), "ready");
    let bob = site.create("bob@shop.test", None).await;
    assert_ne!(bob.text("/id"), ana.text("/id"), "ids are not used twice");
}

#[test]
fn a_state_file_cut_anywhere_is_a_whole_earlier_state() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("state.jsonl");
    let open = || {
        let state = State::Kept(path.clone());
        let settings = Settings::test(PLATFORM);
        Emulator::open(Settings { state, ..settings }).expect("a cut file can be read")
    };
    let emulator = open();
    for number in 0..3 {
        let email = format!("u{number}@shop.test");
        emulator.add_account(PLATFORM, &email, "Somebody", serde_json::Map::new());
    }
    drop(emulator);
    let whole = std::fs::read(&path).expect("the file is there");
    let mut counts = BTreeSet::new();
    for end in 0..=whole.len() {
        std::fs::write(&path, &whole[..end]).expect("it can be cut");
        let accounts = open().accounts();
        let complete = accounts.iter().all(|account| !account.owner.is_empty());
        assert!(complete, "cut at byte {end}: an account without its owner");
        counts.insert(accounts.len());
    }
    assert_eq!(counts, BTreeSet::from([0, 1, 2, 3]));
}

#[tokio::test]
async fn faults_strike_over_the_socket() {
    let site = Site::test().await;
    let create = Operation::CreateAccount;
    let body = json!({ "email": "ana@shop.test" });
    let send = |key: &str| site.post("/accounts", body.clone()).once(key).try_send();

    site.emulator.fault(Fault::next(create, Strike::ResetBefore));
    assert!(send("a").await.is_err());
    assert_eq!(site.emulator.accounts().len(), 0);

    site.emulator.fault(Fault::next(create, Strike::ResetAfter));
    assert!(send("a").await.is_err());
    assert_eq!(site.emulator.accounts().len(), 1, "done, but nobody was told");
    let told = send("a").await.expect("an answer");
    assert_eq!(
        (told.status, told.header("idempotent-replayed")),
        (201, Some("true"))
    );

    site.emulator
        .fault(Fault::next(create, Strike::AnswerAfter { status: 502 }));
    assert_eq!(send("b").await.expect("an answer").status, 502);
    assert_eq!(send("b").await.expect("an answer").status, 201);

    site.emulator
        .fault(Fault::next(create, Strike::DiesInProgress { acts: true }));
    assert!(send("c").await.is_err());
    site.emulator.advance(Duration::from_secs(3_600));
    let stuck = send("c").await.expect("an answer");
    assert_eq!(
        (stuck.status, stuck.text("/error/code")),
        (409, "idempotency_request_in_progress".to_owned())
    );

    let list = Operation::ListAccounts;
    site.emulator
        .fault(Fault::next(list, Strike::Html { status: 503 }));
    site.emulator.fault(Fault::next(list, Strike::Truncated).skip(1));
    let html = site.get("/accounts").send().await;
    assert_eq!(
        (html.status, html.header("content-type")),
        (503, Some("text/html"))
    );
    assert_eq!(site.get("/accounts").send().await.json(), Value::Null);
    assert_eq!(site.emulator.count(list), 2);
    assert_eq!(site.emulator.count(create), 7);
}

#[tokio::test]
async fn a_late_effect_is_not_seen_until_it_happens() {
    let site = Site::test().await;
    let body = json!({ "email": "ana@shop.test" });
    let late = Strike::Late { millis: 600_000 };
    site.emulator.fault(Fault::next(Operation::CreateAccount, late));
    let send = || site.post("/accounts", body.clone()).once("k").try_send();
    assert!(send().await.is_err());
    assert!(site.emulator.accounts().is_empty());
    assert_eq!(send().await.expect("an answer").status, 409);
    site.emulator.advance(Duration::from_secs(600));
    assert_eq!(site.emulator.accounts().len(), 1);
    let told = send().await.expect("an answer");
    assert_eq!(
        (told.status, told.header("idempotent-replayed")),
        (201, Some("true"))
    );

    site.emulator.fault(Fault::next(
        Operation::ListAccounts,
        Strike::Stale { seconds: 600 },
    ));
    let list = format!("/accounts?parent_account_id={PLATFORM}");
    assert!(site.get(&list).send().await.ids().is_empty(), "stale");
    assert_eq!(site.get(&list).send().await.ids().len(), 1);
}

#[tokio::test]
async fn what_is_not_there_and_what_is_too_much() {
    let site = Site::test().await;
    assert_eq!(site.get("/nothing").send().await.status, 404);
    let wrong = site.call(Method::DELETE, "/accounts", None).send().await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, POST")));
    let big = json!({ "email": "a@b.test", "title": "x".repeat(2 << 20) });
    let got = site.post("/accounts", big).try_send().await;
    assert!(got.is_err() || got.is_ok_and(|got| got.status == 413));
    let got = site.get("/accounts").send().await;
    let id = got.header("x-request-id").unwrap();
    let lengths: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
    assert!(got.header("cf-ray").is_some());
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = Server::bind(site.emulator.clone(), everywhere).await;
    assert!(refused.is_err(), "this machine only");
}

#[tokio::test]
async fn shutdown_answers_what_is_in_hand() {
    let site = Site::test().await;
    let slow = Strike::Slow { millis: 100 };
    site.emulator.fault(Fault::next(Operation::ListAccounts, slow));
    let request = site.client.get(format!("{}/accounts", site.base));
    let request = request.header("authorization", "Bearer key").send();
    let in_hand = tokio::spawn(request);
    while site.emulator.count(Operation::ListAccounts) == 0 {
        tokio::task::yield_now().await;
    }
    site.close().await;
    let answer = in_hand.await.expect("no panic").expect("an answer");
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn what_is_no_id_is_refused_in_a_query() {
    let site = Site::test().await;
    for path in [
        "/accounts?owner_id=",
        "/accounts?owner_id=biz_x",
        "/files?file_ids=x",
    ] {
        assert_eq!(site.get(path).send().await.status, 400, "{path}");
    }
    for path in ["/accounts?owner_id=user_nobody", "/files?file_ids=file_nobody"] {
        let got = site.get(path).send().await;
        assert_eq!((got.status, got.ids().len()), (200, 0), "{path}");
    }
}

#[tokio::test]
async fn it_passes_for_an_older_server() {
    let site = Site::start(Settings {
        newest: Some("2026-09-15".to_owned()),
        ..Settings::test(PLATFORM)
    })
    .await;
    let newer = site.get("/accounts").version(Some(NEWEST)).send().await;
    assert_eq!(error_type(&newer), (400, "bad_request".to_owned()));
    let told = newer.text("/error/message");
    assert!(told.ends_with(" 2026-09-13, 2026-09-15"), "{told}");
    for known in ["2026-09-15", "2026-08-21-1", LEGACY] {
        assert_eq!(
            site.get("/accounts").version(Some(known)).send().await.status,
            200,
            "{known}"
        );
    }
    let unknown = Settings {
        newest: Some("2026-09-16".to_owned()),
        ..Settings::test(PLATFORM)
    };
    assert!(Emulator::open(unknown).is_err());
}

#[tokio::test]
async fn roles_have_keys_and_the_catalogue_tells_which_scopes_a_custom_key_can_hold() {
    let keys = ["boss=role:owner", "admin=role:admin", "ci=payout:account:read"].map(Key::parse);
    let site = Site::start(Settings {
        keys: Keys::Only(keys.to_vec()),
        ..Settings::test(PLATFORM)
    })
    .await;
    let catalogue = site
        .get("/api_keys/permissions")
        .key(Some("ci"))
        .send()
        .await
        .json();
    let scopes = catalogue["data"].as_array().unwrap().clone();
    assert_eq!(catalogue["page_info"]["has_next_page"], json!(false));
    let allowed = |action: &str| {
        let mut fitting = scopes.iter().filter(|scope| scope["action"] == action);
        fitting.next().unwrap()["allowed_on_api_key"] == json!(true)
    };
    assert!(!allowed("user:profile:update") && allowed("company:balance:read"));
    let path = format!("/permissions?resource_id={PLATFORM}");
    for (key, role) in [("boss", "owner"), ("admin", "admin")] {
        let granted = site.get(&path).key(Some(key)).send().await.json();
        for (scope, told) in scopes.iter().zip(granted["data"].as_array().unwrap()) {
            let roles = scope["granted_to_system_roles"].as_array().unwrap();
            assert_eq!(scope["action"], told["action"]);
            assert_eq!(
                json!(roles.contains(&json!(role))),
                told["granted"],
                "{role}: {scope}"
            );
        }
    }
    let stranger = site.get("/api_keys/permissions").key(None).send().await;
    assert_eq!(stranger.status, 401);
    let impossible = Settings {
        keys: Keys::Only(vec![Key::parse("ci=user:profile:update")]),
        ..Settings::test(PLATFORM)
    };
    assert!(Emulator::open(impossible).is_err());
}

#[tokio::test]
async fn a_token_is_for_an_account_or_a_user() {
    let site = Site::test().await;
    let nobody = site.post("/access_tokens", json!({})).send().await;
    assert_eq!(nobody.status, 400);
    assert_eq!(nobody.text("/error/message"), "Pass account_id or user_id");
    let own = site
        .post("/access_tokens", json!({ "account_id": PLATFORM }))
        .send()
        .await;
    assert_eq!(own.status, 200);
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let site = Site::test().await;
    site.create("ana@shop.test", None).await;
    let (got, head) = (
        site.get("/accounts").send().await,
        site.call(Method::HEAD, "/accounts", None).send().await,
    );
    assert_eq!((got.status, head.status), (200, 200));
    let length = head.header("content-length").unwrap();
    assert_eq!(
        (length, head.body.len()),
        (got.body.len().to_string().as_str(), 0)
    );
    assert_eq!(
        site.call(Method::HEAD, "/access_tokens", None)
            .send()
            .await
            .status,
        405
    );
}
