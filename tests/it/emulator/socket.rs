//! Who may talk to the served emulator, and that nobody can keep it from
//! others: raw requests over its socket.

use std::future::pending;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use whop_sync::emulator::serve::Bounds;

use super::*;

/// No test waits longer than this for what comes at once.
const SOON: Duration = Duration::from_secs(30);

/// An emulator within these bounds, and its address.
async fn start(bounds: Bounds) -> (Emulator, SocketAddr) {
    let emulator = Emulator::open(Settings::test(PLATFORM)).unwrap();
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind(emulator.clone(), free).await.unwrap().within(bounds);
    let address = server.address();
    tokio::spawn(server.run(pending()));
    (emulator, address)
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// Everything that comes until the other side closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut bytes)).await;
    // A reset is an end as well.
    let _ = read.expect("the connection is closed");
    String::from_utf8(bytes).unwrap()
}

/// Sends these bytes as they are, and reads until the server closes.
async fn exchange(address: SocketAddr, text: &str) -> String {
    let mut stream = connect(address).await;
    stream.write_all(text.as_bytes()).await.unwrap();
    rest(stream).await
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nauthorization: Bearer key\r\nconnection: close\r\n{headers}\r\n")
}

fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_default()
}

#[tokio::test]
async fn only_this_machines_own_names_are_answered() {
    let (emulator, address) = start(Bounds::default()).await;
    let port = address.port();
    for host in [
        format!("127.0.0.1:{port}"),
        "127.0.0.1".to_owned(),
        format!("localhost:{port}"),
        "gateway.localhost".to_owned(),
        format!("[::1]:{port}"),
    ] {
        let got = exchange(address, &get("/api/v1/accounts/me", &format!("host: {host}\r\n"))).await;
        assert_eq!(status(&got), 200, "{host}: {got}");
    }
    let heard = emulator.requests().len();
    for headers in [
        "host: evil.test\r\n".to_owned(),
        format!("host: evil.test:{port}\r\n"),
        "host: 127.0.0.1.evil.test\r\n".to_owned(),
        "host: localhost.evil.test\r\n".to_owned(),
        "host: 10.0.0.1\r\n".to_owned(),
        "host: localhost\r\nhost: evil.test\r\n".to_owned(),
        "host: \r\n".to_owned(),
        String::new(),
    ] {
        let got = exchange(address, &get("/api/v1/accounts/me", &headers)).await;
        assert_eq!(status(&got), 421, "{headers}: {got}");
        assert!(
            got.contains(r#"{"error":{"#) && got.contains("application/json"),
            "{got}"
        );
        let got = exchange(address, &get("/pictures/placeholder/x", &headers)).await;
        assert_eq!(status(&got), 421, "{headers}: {got}");
    }
    let got = exchange(
        address,
        &get("http://evil.test/api/v1/accounts/me", "host: localhost\r\n"),
    )
    .await;
    assert_eq!(status(&got), 421, "{got}");
    assert_eq!(emulator.requests().len(), heard, "the emulator hears of none");
}

#[tokio::test]
async fn web_pages_from_elsewhere_are_not_answered() {
    let (emulator, address) = start(Bounds::default()).await;
    let body = r#"{"email":"a@shop.test","title":"A"}"#;
    let post = |origin: &str| {
        format!(
            "POST /api/v1/accounts HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer key\r\nconnection: close\r\n\
             content-type: text/plain\r\ncontent-length: {}\r\norigin: {origin}\r\n\r\n{body}",
            body.len()
        )
    };
    for origin in [
        "https://evil.test",
        "http://127.0.0.1.evil.test",
        "null",
        "",
        "file://",
        "http://localhost@evil.test",
    ] {
        let got = exchange(address, &post(origin)).await;
        assert_eq!(status(&got), 403, "{origin}: {got}");
    }
    assert!(emulator.requests().is_empty(), "the emulator hears of none");
    let got = exchange(address, &post("http://localhost:3000")).await;
    assert!(status(&got) != 403 && emulator.requests().len() == 1, "{got}");
}

#[tokio::test]
async fn connections_that_do_nothing_make_room() {
    let bounds = Bounds {
        connections: 6,
        ..Bounds::default()
    };
    let (_emulator, address) = start(bounds).await;
    let asked = get("/api/v1/accounts/me", "host: localhost\r\n");
    let mut idle = Vec::new();
    for n in 0..6 {
        let mut stream = connect(address).await;
        // Nothing, and half a head.
        if n % 2 == 1 {
            stream.write_all(b"GET /api/v1/acc").await.unwrap();
        }
        idle.push(stream);
    }
    for _ in 0..3 {
        let got = tokio::time::timeout(SOON, exchange(address, &asked)).await;
        assert_eq!(status(&got.expect("there is room")), 200);
    }
    // Those that waited longest were closed, and nobody was answered.
    let first = idle.remove(0);
    assert_eq!(rest(first).await, "");
    // One more than there are seats, all of them at work at once.
    let answers = (0..20).map(|_| {
        tokio::spawn({
            let asked = asked.clone();
            async move { exchange(address, &asked).await }
        })
    });
    for answer in answers.collect::<Vec<_>>() {
        assert_eq!(status(&answer.await.unwrap()), 200);
    }
}

/// An upload's head and the path it goes to.
async fn upload(emulator_base: SocketAddr, name: &str, length: usize) -> String {
    let body = json!({ "filename": name, "visibility": "public" }).to_string();
    let post = format!(
        "POST /api/v1/files HTTP/1.1\r\nhost: {emulator_base}\r\nauthorization: Bearer key\r\nconnection: close\r\n\
         api-version-date: {NEWEST}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let got = exchange(emulator_base, &post).await;
    let file: Value = serde_json::from_str(got.split_once("\r\n\r\n").unwrap().1).unwrap();
    let url = file["upload_url"].as_str().unwrap();
    let path = url.split_once(&emulator_base.to_string()).unwrap().1;
    let headers = file["upload_headers"].as_object().unwrap().iter();
    let headers: String = headers
        .map(|(name, value)| format!("{name}: {}\r\n", value.as_str().unwrap()))
        .collect();
    format!(
        "PUT {path} HTTP/1.1\r\nhost: {emulator_base}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn bodies_are_as_large_as_what_they_are_for() {
    let (_emulator, address) = start(Bounds::default()).await;
    let whole = 5 << 20;
    let head = upload(address, "a.png", whole).await;
    let got = exchange(address, &(head + &"x".repeat(whole))).await;
    assert_eq!(status(&got), 200, "{got}");
    for announced in [true, false] {
        let head = upload(address, "b.png", 7 << 20).await;
        let mut stream = connect(address).await;
        let head = match announced {
            true => head,
            false => head.replace(
                &format!("content-length: {}", 7 << 20),
                "transfer-encoding: chunked",
            ),
        };
        stream.write_all(head.as_bytes()).await.unwrap();
        // The answer comes before all is sent, so that sending may fail.
        let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
        for _ in 0..7 {
            let part = if announced {
                &chunk[8..8 + (1 << 20)]
            } else {
                &chunk
            };
            if stream.write_all(part.as_bytes()).await.is_err() {
                break;
            }
        }
        let got = rest(stream).await;
        // On a reset the answer may be lost on the way.
        assert!(
            got.is_empty() || got.contains("EntityTooLarge"),
            "{announced}: {got}"
        );
    }
}

#[tokio::test]
async fn uploads_on_their_way_wait_for_memory() {
    let bounds = Bounds {
        uploads: 6 << 20,
        ..Bounds::default()
    };
    let (emulator, address) = start(bounds).await;
    let half = 3 << 20;
    let heads = [
        upload(address, "a.png", half).await,
        upload(address, "b.png", half).await,
        upload(address, "c.png", half).await,
    ];
    let before = emulator.requests().len();
    // Two take all there is, and are not done yet.
    let [mut a, mut b, mut c] = [
        connect(address).await,
        connect(address).await,
        connect(address).await,
    ];
    a.write_all((heads[0].clone() + "x").as_bytes()).await.unwrap();
    b.write_all((heads[1].clone() + "x").as_bytes()).await.unwrap();
    // The API does not wait with them.
    let got = exchange(address, &get("/api/v1/accounts/me", "host: localhost\r\n")).await;
    assert_eq!(status(&got), 200);
    assert_eq!(emulator.requests().len(), before + 1);
    // The third is whole at once, and its turn comes when another is done.
    let rest_of = "x".repeat(half - 1);
    let third = tokio::spawn(async move {
        c.write_all((heads[2].clone() + &"x".repeat(half)).as_bytes())
            .await
            .unwrap();
        rest(c).await
    });
    a.write_all(rest_of.as_bytes()).await.unwrap();
    assert_eq!(status(&rest(a).await), 200);
    assert_eq!(status(&third.await.unwrap()), 200);
    b.write_all(rest_of.as_bytes()).await.unwrap();
    assert_eq!(status(&rest(b).await), 200);
}
