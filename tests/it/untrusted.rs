//! Whop's answers are untrusted too. Every part that the client reads of every
//! answer is replaced by what does not belong there, one at a time: the run
//! ends and says why, no request goes anywhere it could not have gone before,
//! nothing is made twice, and once the answers are right again everything
//! comes right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::{Value, json};
use whop_sync::core::model::Dialect;
use whop_sync::remote::transport::{Request, Response, Target};

use crate::faults::{converges, ends, explains};
use crate::lab::{Conditions, Lab, face, name};
use crate::told::tell;
use crate::world::user;

/// What the client reads; everything else of an answer is passed over.
const READ: [&str; 20] = [
    "data",
    "page_info",
    "end_cursor",
    "has_next_page",
    "id",
    "title",
    "email",
    "metadata",
    "external_id",
    "internal_user_id",
    "status",
    "owner",
    "owner_user",
    "parent_account",
    "name",
    "profile_picture",
    "url",
    "upload_url",
    "upload_headers",
    "upload_status",
];

/// Ids that would lead elsewhere, were they put into a path as they are.
fn odd_ids(prefix: &str) -> Vec<Value> {
    let long = "x".repeat(10_000);
    let tails = [
        "../../accounts",
        "a/b",
        "a?account_id=biz_other",
        "a#b",
        "a%2fb",
        "a%00",
        "a b",
        "a\r\nHost: evil.test",
        "a\0b",
        "é\u{202e}",
        "..",
        ".",
        "",
        "a;b",
        "a\\b",
        "::1",
        &long,
    ];
    tails
        .iter()
        .map(|tail| json!(format!("{prefix}{tail}")))
        .collect()
}

/// What a part is replaced by, by its name. `None` takes it out.
fn lies(field: &str, truth: &Value) -> Vec<Option<Value>> {
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let mut lies: Vec<Option<Value>> = vec![
        None,
        Some(Value::Null),
        Some(json!(true)),
        Some(json!(-1)),
        Some(json!(1e300)),
        Some(json!("")),
        Some(json!("\u{1b}[2J\u{202e}::error::x\n")),
        Some(json!([])),
        Some(json!({})),
        Some(json!([[{}]])),
        Some(json!({"id": [1]})),
        Some(deep),
        Some(json!("x".repeat(20_000))),
    ];
    if let (Some(text), "id") = (truth.as_str(), field) {
        let prefix = text.split_inclusive('_').next().unwrap_or_default();
        lies.extend(odd_ids(prefix).into_iter().map(Some));
        lies.extend(odd_ids("").into_iter().map(Some));
    }
    if field == "end_cursor" {
        lies.extend(odd_ids("").into_iter().map(Some));
    }
    if field == "upload_url" {
        let urls = [
            "http://evil.test/put",
            "file:///etc/passwd",
            "ftp://evil.test/put",
            "https://127.0.0.1/put",
            "https://10.0.0.1/put",
            "https://u:p@evil.test/put",
            "/put",
            "javascript:alert(1)",
        ];
        lies.extend(urls.iter().map(|url| Some(json!(url))));
    }
    if field == "upload_headers" {
        for header in [
            "host",
            "Transfer-Encoding",
            "authorization",
            "connection",
            "a b",
            "x\r\ny",
        ] {
            lies.push(Some(json!({ header: "chunked" })));
        }
        lies.push(Some(json!({"x": "a\r\nb: c"})));
        lies.push(Some(json!({"content-length": "999999"})));
    }
    if truth.is_object() {
        let mut more = truth.clone();
        more["unknown"] = json!([{ "x": null }]);
        lies.push(Some(more));
    }
    if let Some(all) = truth.as_array() {
        lies.push(Some(json!([&all[..], all].concat())));
        lies.push(Some(Value::from([&all[..], &[json!(null)]].concat())));
    }
    lies
}

/// Whole bodies that are no answer.
fn bodies() -> Vec<Bytes> {
    vec![
        Bytes::new(),
        Bytes::from_static(b"null"),
        Bytes::from_static(b"[]"),
        Bytes::from_static(b"{}"),
        Bytes::from_static(b"true"),
        Bytes::from_static(b"\"\""),
        Bytes::from_static(b"{\"data\":"),
        Bytes::from_static(b"\xff\xfe\x00"),
        Bytes::from_static(b"<html>ok</html>"),
        Bytes::from_static(b"{\"id\":\"a\",\"id\":\"b\",\"data\":[],\"data\":[1]}"),
        Bytes::from("[".repeat(50_000)),
        Bytes::from("{\"data\":".repeat(20_000)),
        Bytes::from(format!("{{\"data\":[{}0]}}", "0,".repeat(50_000))),
        Bytes::from(format!("\"{}\"", "x".repeat(1 << 18))),
    ]
}

/// Which kind of request this is: its method, and its path without ids.
fn kind(request: &Request) -> String {
    let path = match &request.target {
        Target::Api(path) => path.split('?').next().unwrap_or_default(),
        Target::Storage(_) => "storage",
        Target::Picture(_) => "picture",
    };
    let parts = path
        .split('/')
        .map(|part| if part.contains('_') { "ID" } else { part });
    format!(
        "{} {}",
        request.method.as_str(),
        parts.collect::<Vec<_>>().join("/")
    )
}

/// Whether it is the platform's own profile of a person that is meant.
fn names_the_platform(query: &str, body: &[u8]) -> bool {
    query.contains("account_id=biz_platform")
        || query.contains("company_id=biz_platform")
        || String::from_utf8_lossy(body).contains("\"company_id\":\"biz_platform\"")
}

/// Why a request should never have been made, if so.
fn astray(request: &Request) -> Option<String> {
    let is_fine = match &request.target {
        Target::Api(whole) => {
            let (path, query) = whole.split_once('?').unwrap_or((whole, ""));
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
            let parts: Vec<&str> = path.split('/').skip(1).collect();
            let known = ["accounts", "companies", "users", "files", "permissions"];
            path.starts_with('/')
                && parts.len() <= 2
                && parts.first().is_some_and(|first| known.contains(first))
                && parts
                    .iter()
                    .all(|part| !part.is_empty() && part.chars().all(is_plain))
                && query.chars().all(|c| is_plain(c) || "%=&.:,~".contains(c))
                && whole.len() < 10_000
                && (parts[0] != "users" || names_the_platform(query, &request.body))
        }
        // The transport refuses what leads elsewhere; here none is.
        Target::Storage(_) | Target::Picture(_) => true,
    };
    let headers = request.headers.iter().all(|(name, value)| {
        !["host", "transfer-encoding", "authorization", "connection"].contains(&&**name)
            && !value.contains(['\r', '\n']) | matches!(request.target, Target::Storage(_))
    });
    (!is_fine || !headers).then(|| format!("{:.300}", format!("{request:?}")))
}

/// A small world in which a run makes every kind of request.
async fn small(dialect: Dialect) -> Lab {
    let users = ["u0", "u1", "u2"].map(|id| {
        let mut user = user(id);
        user.avatar = Some(face(id));
        user
    });
    let mut lab = Lab::new(users.into(), dialect);
    lab.apply(&Conditions::fair()).await.unwrap().unwrap();
    for user in &mut lab.users {
        user.name = name(&format!("New {}", user.key));
        user.avatar = Some(face(&format!("new-{}", user.key)));
    }
    lab.users.push(user("newcomer"));
    lab
}

/// Every pointer in an answer to a part that the client reads.
fn parts(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (field, below) in fields.iter().filter(|(field, _)| READ.contains(&field.as_str())) {
                let at = format!("{at}/{field}");
                found.push(at.clone());
                parts(below, at, found);
            }
        }
        Value::Array(all) => {
            // One of them is enough.
            if let Some(first) = all.first() {
                let at = format!("{at}/0");
                found.push(at.clone());
                parts(first, at, found);
            }
        }
        _ => {}
    }
}

/// The answer with one part replaced.
fn replaced(body: &Value, at: &str, lie: &Option<Value>) -> Option<Value> {
    let mut body = body.clone();
    match lie {
        Some(lie) => *body.pointer_mut(at)? = lie.clone(),
        None => {
            let (parent, field) = at.rsplit_once('/')?;
            match body.pointer_mut(parent)? {
                Value::Object(fields) => drop(fields.remove(field)?),
                Value::Array(all) => drop(all.remove(0)),
                _ => return None,
            }
        }
    }
    Some(body)
}

/// One false answer.
#[derive(Clone)]
enum Lie {
    Part(String, Option<Value>),
    Body(Bytes),
}

/// Runs once with the lie in every answer of a kind, then with none.
async fn case(dialect: Dialect, of: &str, lie: Lie) -> Result<bool, String> {
    let mut lab = small(dialect).await;
    let strayed = Arc::new(Mutex::new(BTreeSet::new()));
    let told = Arc::new(Mutex::new(false));
    let (noted, lied, of) = (Arc::clone(&strayed), Arc::clone(&told), of.to_owned());
    lab.tap = Some(Arc::new(move |request, mut answer: Response| {
        noted.lock().unwrap().extend(astray(request));
        if kind(request) != of || answer.status >= 300 {
            return answer;
        }
        let body = match &lie {
            Lie::Body(body) => Some(body.clone()),
            Lie::Part(at, lie) => serde_json::from_slice(&answer.body)
                .ok()
                .and_then(|body| replaced(&body, at, lie))
                .map(|body| body.to_string().into()),
        };
        if let Some(body) = body {
            *lied.lock().unwrap() = true;
            answer.body = body;
        }
        answer
    }));
    let failed = match ends(&lab).await? {
        Ok(report) => {
            explains(&report)?;
            !report.is_complete()
        }
        Err(error) if error.message().is_empty() => return Err("an error says nothing".to_owned()),
        Err(_) => true,
    };
    let strayed = strayed.lock().unwrap().clone();
    if !strayed.is_empty() {
        return Err(format!("requests went astray: {strayed:?}"));
    }
    if !*told.lock().unwrap() {
        return Err("the lie was never told".to_owned());
    }
    lab.tap = None;
    converges(&lab).await.map(|()| failed)
}

/// The answers of a true run, one of each kind.
async fn answers(dialect: Dialect) -> BTreeMap<String, Value> {
    let mut lab = small(dialect).await;
    let seen = Arc::new(Mutex::new(BTreeMap::new()));
    let kept = Arc::clone(&seen);
    lab.tap = Some(Arc::new(move |request, answer: Response| {
        assert_eq!(astray(request), None);
        let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        kept.lock().unwrap().insert(kind(request), body);
        answer
    }));
    lab.apply(&Conditions::fair()).await.unwrap().unwrap();
    std::mem::take(&mut *seen.lock().unwrap())
}

async fn every_lie(dialect: Dialect) {
    let (mut cases, mut refused, mut failed) = (0, 0, Vec::new());
    // One in five; `tests/exhaustive.sh` takes all.
    let step = match std::env::var_os("WHOP_SYNC_EXHAUSTIVE") {
        Some(_) => 1,
        None => 5,
    };
    let answers = answers(dialect).await;
    assert!(answers.len() >= 7, "{:?}", answers.keys());
    for (of, truth) in &answers {
        let mut all: Vec<(String, Lie)> = Vec::new();
        if !of.contains("storage") {
            let whole = bodies().into_iter().enumerate();
            all.extend(whole.map(|(n, body)| (format!("body {n}"), Lie::Body(body))));
        }
        let mut found = Vec::new();
        parts(truth, String::new(), &mut found);
        for at in found {
            let field = at.rsplit('/').next().unwrap_or_default();
            let real = truth.pointer(&at).unwrap();
            for lie in lies(field, real) {
                let shown = lie.as_ref().map_or("nothing".to_owned(), Value::to_string);
                all.push((format!("{at} is {shown:.60}"), Lie::Part(at.clone(), lie)));
            }
        }
        for (what, lie) in all.into_iter().step_by(step) {
            cases += 1;
            match case(dialect, of, lie).await {
                Ok(told) => refused += usize::from(told),
                Err(why) => failed.push(format!("{of}: {what}: {why:.300}")),
            }
        }
    }
    tell(format!(
        "false answers, {dialect:?}: {cases} cases, {refused} refused, the rest without effect"
    ));
    assert!(cases > 150 && refused > 80, "{cases} {refused}");
    assert!(
        failed.is_empty(),
        "{} of {cases}:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

#[tokio::test(start_paused = true)]
async fn no_false_answer_does_harm() {
    every_lie(Dialect::Accounts).await;
}

#[tokio::test(start_paused = true)]
async fn no_false_answer_of_the_companies_dialect_does_harm() {
    every_lie(Dialect::Companies).await;
}

/// A list that never ends, in the ways in which lists do not.
#[tokio::test(start_paused = true)]
async fn a_list_that_never_ends_ends() {
    let page = |n: u32, cursor: Value, data: Vec<Value>| {
        let info = json!({"end_cursor": cursor, "has_next_page": true, "n": n});
        json!({"data": data, "page_info": info}).to_string()
    };
    let child = |n: u32| json!({"id": format!("biz_c{n}"), "title": "x", "owner": {"id": format!("user_c{n}")}, "metadata": {}});
    type Endless = Box<dyn Fn(u32) -> String + Send + Sync>;
    let ways: Vec<(&str, Endless)> = vec![
        (
            "one cursor for ever",
            Box::new(move |n| page(n, json!("same"), vec![child(n)])),
        ),
        (
            "two cursors in turn",
            Box::new(move |n| page(n, json!(format!("c{}", n % 2)), vec![child(n % 2)])),
        ),
        (
            "new cursors, nothing new",
            Box::new(move |n| page(n, json!(format!("c{n}")), vec![child(0)])),
        ),
        (
            "empty pages",
            Box::new(move |n| page(n, json!(format!("c{n}")), Vec::new())),
        ),
        (
            "no cursor",
            Box::new(move |n| page(n, Value::Null, vec![child(n)])),
        ),
        (
            "a huge cursor",
            Box::new(move |n| page(n, json!("c".repeat(100_000)), vec![child(n)])),
        ),
    ];
    for (way, answer) in ways {
        let mut lab = small(Dialect::Accounts).await;
        let asked = Arc::new(Mutex::new(0));
        let count = Arc::clone(&asked);
        lab.tap = Some(Arc::new(move |request, mut real: Response| {
            assert_eq!(astray(request), None, "{way}");
            if kind(request) == "GET /accounts" {
                let mut count = count.lock().unwrap();
                *count += 1;
                real.status = 200;
                real.body = answer(*count).into();
            }
            real
        }));
        let before = lab.emulator.accounts().len();
        let _ = ends(&lab).await.unwrap();
        let asked = *asked.lock().unwrap();
        assert!((1..200).contains(&asked), "{way}: asked {asked} times");
        assert_eq!(
            lab.emulator.accounts().len(),
            before,
            "{way}: absence from half a list proves nothing"
        );
        lab.tap = None;
        assert_eq!(converges(&lab).await, Ok(()), "{way}");
    }
}
