//! TLS as it is on the way to Whop: a server with certificates of a private
//! authority, with and without that authority's certificate, directly and
//! through a proxy.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use whop_sync::emulator::{Fault, Operation, Settings, Strike};

use super::whop::Whop;
use super::{Place, Ran};

const KEY: &str = "apik_only-for-the-api";

/// A user without a picture: the emulator does not know that it stands behind
/// TLS, and would have the bytes sent beside it.
fn place() -> Place {
    Place::with("version: 1\ncompany: biz_Acme\nusers:\n  - { id: u1, email: u1@acme.dev, name: Ada }\n")
}

/// Everything that somebody read.
type Seen = Arc<Mutex<Vec<u8>>>;

fn holds(seen: &Seen, text: &str) -> bool {
    let seen = seen.lock().unwrap();
    seen.windows(text.len()).any(|window| window == text.as_bytes())
}

/// An authority of one's own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// What a server of these names shows.
    fn server(&self, names: &[&str]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        let shown = params.signed_by(&key, &self.issuer).unwrap();
        let secret = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![shown.der().clone()], secret)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A Whop behind TLS, and behind a proxy.
struct Gateway {
    /// Where TLS is spoken.
    port: u16,
    /// Where the proxy is.
    proxy: u16,
    /// What arrived once TLS was opened.
    opened: Seen,
    /// What passed through the proxy.
    passed: Seen,
    whop: Whop,
    _runtime: Runtime,
}

impl Gateway {
    fn new(acceptor: TlsAcceptor) -> Self {
        let whop = Whop::new(Settings {
            platform: Some("biz_Acme".to_owned()),
            ..Settings::default()
        });
        let to: SocketAddr = whop.base["http://".len()..]
            .split('/')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let runtime = Runtime::new().unwrap();
        let (opened, passed) = (Seen::default(), Seen::default());
        let [(front, port), (proxy, proxy_port)] = [0; 2].map(|_| {
            let listener = runtime
                .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
                .unwrap();
            let port = listener.local_addr().unwrap().port();
            (listener, port)
        });
        runtime.spawn(open_tls(front, acceptor, to, Arc::clone(&opened)));
        runtime.spawn(pass_on(proxy, port, Arc::clone(&passed)));
        Self {
            port,
            proxy: proxy_port,
            opened,
            passed,
            whop,
            _runtime: runtime,
        }
    }

    /// From now on, this is the answer to an operation.
    fn answers(&self, operation: Operation, status: u16, body: &Value) {
        self.whop.emulator.fault(Fault {
            operation: Some(operation),
            containing: None,
            skip: 0,
            count: None,
            chance: 100,
            strike: Strike::Answer {
                status,
                body: Some(body.to_string()),
                headers: BTreeMap::new(),
            },
        });
    }

    /// A run against `https://host:port`.
    fn run(&self, place: &Place, command: &str, variables: &[(&str, &str)]) -> Ran {
        let line = format!("{command} -q --server https://localhost:{}/api/v1", self.port);
        let key = [("WHOP_API_KEY", KEY)];
        place.run_with(&line, &[&key, variables].concat())
    }
}

/// Opens TLS and passes on what is inside.
async fn open_tls(listener: TcpListener, acceptor: TlsAcceptor, to: SocketAddr, seen: Seen) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            let Ok(inside) = acceptor.accept(stream).await else {
                return;
            };
            let whop = TcpStream::connect(to).await.unwrap();
            let (from_client, to_client) = tokio::io::split(inside);
            let (from_whop, to_whop) = whop.into_split();
            tokio::join!(
                copy(from_client, to_whop, seen),
                copy(from_whop, to_client, Seen::default())
            );
        });
    }
}

/// A proxy for `CONNECT`, which leads to the gateway whatever was asked for.
async fn pass_on(listener: TcpListener, port: u16, seen: Seen) {
    while let Ok((stream, _)) = listener.accept().await {
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            let (read, mut write) = stream.into_split();
            let mut read = BufReader::new(read);
            loop {
                let mut line = String::new();
                read.read_line(&mut line).await.unwrap();
                seen.lock().unwrap().extend(line.as_bytes());
                if line.trim_end().is_empty() {
                    break;
                }
            }
            write.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
            let (from_server, to_server) = server.into_split();
            tokio::join!(
                copy(read, to_server, seen),
                copy(from_server, write, Seen::default())
            );
        });
    }
}

/// Copies up to the end and remembers it all.
async fn copy(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, seen: Seen) {
    let mut buffer = [0; 1 << 14];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        seen.lock().unwrap().extend(&buffer[..read]);
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

#[test]
fn a_private_authority_is_trusted_where_it_is_named() {
    let authority = Authority::new();
    let gateway = Gateway::new(authority.server(&["localhost"]));
    // An authority's file may hold several and words between them.
    let several = format!(
        "Ours\n{}\n# and the old one\n{}",
        Authority::new().pem,
        authority.pem
    );
    let place = place().file("ca.pem", several);
    let ran = gateway.run(&place, "apply --yes --ca-file ca.pem", &[]);
    assert_eq!(ran.status, 0, "{}", ran.shown());
    assert!(holds(&gateway.opened, &format!("authorization: Bearer {KEY}")));
    let ran = gateway.run(
        &place,
        "plan --detailed-exitcode",
        &[("WHOP_SYNC_CA_FILE", "ca.pem")],
    );
    assert_eq!(ran.status, 0, "{}", ran.shown());
}

#[test]
fn who_cannot_be_trusted_gets_no_key() {
    let (authority, other) = (Authority::new(), Authority::new());
    let place = place()
        .file("ca.pem", &authority.pem)
        .file("other.pem", &other.pem);
    let refused = |gateway: &Gateway, options: &str| {
        let ran = gateway.run(&place, &format!("plan {options}"), &[]);
        assert_eq!(ran.status, 1, "{}", ran.shown());
        assert!(ran.stderr.contains("error[network.failed]"), "{}", ran.shown());
        assert!(ran.stderr.contains("invalid peer certificate"), "{}", ran.shown());
        assert!(ran.stderr.contains("`--ca-file`"), "{}", ran.shown());
    };
    let right = Gateway::new(authority.server(&["localhost"]));
    let misnamed = Gateway::new(authority.server(&["elsewhere.test"]));
    // Each is tried a few times over, so they wait side by side.
    std::thread::scope(|scope| {
        scope.spawn(|| refused(&right, ""));
        scope.spawn(|| refused(&right, "--ca-file other.pem"));
        scope.spawn(|| refused(&misnamed, "--ca-file ca.pem"));
    });
    for gateway in [&right, &misnamed] {
        let opened = gateway.opened.lock().unwrap();
        assert!(opened.is_empty(), "nothing was sent inside");
    }
}

#[test]
fn a_proxy_from_the_environment_is_used_and_sees_no_key() {
    let authority = Authority::new();
    let gateway = Gateway::new(authority.server(&["gateway.localhost"]));
    let place = place().file("ca.pem", &authority.pem);
    let line = "doctor -q --ca-file ca.pem --server https://gateway.localhost/api/v1";
    let proxy = format!("http://127.0.0.1:{}", gateway.proxy);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        gateway.passed.lock().unwrap().clear();
        gateway.opened.lock().unwrap().clear();
        let ran = place.run_with(line, &[("WHOP_API_KEY", KEY), (name, &proxy)]);
        assert!(
            holds(&gateway.passed, "CONNECT gateway.localhost:443"),
            "{name} {}",
            ran.shown()
        );
        assert!(
            holds(&gateway.opened, &format!("Bearer {KEY}")),
            "{name} {}",
            ran.shown()
        );
        assert!(!holds(&gateway.passed, KEY), "{name}");
    }
    gateway.passed.lock().unwrap().clear();
    // To this computer no proxy is asked, lest it see the key.
    let ran = gateway.run(
        &place,
        "plan --ca-file ca.pem",
        &[("HTTPS_PROXY", &proxy), ("ALL_PROXY", &proxy)],
    );
    assert_eq!(ran.status, 1, "{}", ran.shown());
    assert!(gateway.passed.lock().unwrap().is_empty());
}

/// A user whose picture is to be replaced, and whose new one is to be sent, at
/// a host that somebody else chose.
fn stranger(gateway: &Gateway, host: &str) -> Place {
    let emulator = &gateway.whop.emulator;
    // The account becomes that person's.
    let user = emulator.add_user("u1@acme.dev", "Ada");
    let id = [("external_id".to_owned(), json!("u1"))];
    let account = emulator.add_account("biz_Acme", "u1@acme.dev", "Ada", id.into_iter().collect());
    assert!(account.starts_with("biz_"));
    let picture =
        json!({"id": user, "name": "Ada", "profile_picture": {"url": format!("https://{host}/p.png")}});
    gateway.answers(Operation::RetrieveUser, 200, &picture);
    let upload = json!({"id": "file_x1", "upload_status": "pending", "upload_url": format!("https://{host}/put"),
        "upload_headers": {}});
    gateway.answers(Operation::CreateFile, 201, &upload);
    let manifest = "version: 1\ncompany: biz_Acme\nusers:\n  - { id: u1, email: u1@acme.dev, name: Ada, \
                    avatar: examples/avatars/jane.png }\n";
    Place::example().file("users.yaml", manifest)
}

#[test]
fn a_proxy_hears_no_name_that_leads_into_a_private_network() {
    // The host, the one that the operator named, what is said of it, and
    // whether the proxy hears of it.
    for (host, named, said, heard) in [
        ("localhost", None, "is not on the public internet", false),
        (
            "localhost",
            Some("localhost"),
            "is not on the public internet",
            false,
        ),
        ("storage.invalid", None, "cannot be looked up here", false),
        (
            "storage.invalid",
            Some("other.invalid"),
            "cannot be looked up here",
            false,
        ),
        ("storage.invalid", Some("*.invalid"), "", true),
        ("10.0.0.1", None, "is not on the public internet", false),
    ] {
        let authority = Authority::new();
        let gateway = Gateway::new(authority.server(&["gateway.localhost", "storage.invalid"]));
        let place = stranger(&gateway, host).file("ca.pem", &authority.pem);
        let proxy = format!("http://127.0.0.1:{}", gateway.proxy);
        let run = |command: &str, variable: &'static str| {
            gateway.passed.lock().unwrap().clear();
            let line = format!("{command} -q --ca-file ca.pem --server https://gateway.localhost/api/v1");
            let mut variables = vec![("WHOP_API_KEY", KEY), ("HTTPS_PROXY", &*proxy)];
            variables.extend(named.map(|named| (variable, named)));
            let ran = place.run_with(&line, &variables);
            assert!(
                holds(&gateway.passed, "CONNECT gateway.localhost:443"),
                "{}",
                ran.shown()
            );
            let line = format!("CONNECT {host}:443");
            assert_eq!(
                holds(&gateway.passed, &line),
                heard,
                "{host} {named:?}\n{}",
                ran.shown()
            );
            ran
        };
        let ran = run("plan --report page.html", "WHOP_SYNC_PICTURE_HOSTS");
        assert_eq!(ran.status, 0, "{}", ran.shown());
        let page = std::fs::read_to_string(place.path("page.html")).unwrap();
        assert!(page.contains(said), "{host}: {page}");
        let ran = run("apply --yes", "WHOP_SYNC_STORAGE_HOSTS");
        assert_eq!(ran.status, 5, "{}", ran.shown());
        assert!(ran.shown().contains(said), "{}", ran.shown());
        assert_eq!(
            ran.shown().contains("`WHOP_SYNC_STORAGE_HOSTS`"),
            !heard,
            "{}",
            ran.shown()
        );
    }
}

#[test]
fn a_file_that_holds_no_certificate_is_said_so_and_not_quoted() {
    let secret = KeyPair::generate().unwrap().serialize_pem();
    let garbage = "-----BEGIN CERTIFICATE-----\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----\n";
    let place = place()
        .file("secret.pem", &secret)
        .file("garbage.pem", garbage)
        .file("empty.pem", "");
    for (name, status) in [
        ("secret.pem", 64),
        ("garbage.pem", 64),
        ("empty.pem", 64),
        ("nowhere.pem", 1),
    ] {
        let line = format!("plan -q --server https://127.0.0.1:1/api/v1 --ca-file {name}");
        let ran = place.run_with(&line, &[("WHOP_API_KEY", KEY)]);
        assert_eq!(ran.status, status, "{}", ran.shown());
        assert!(
            ran.stderr.contains(name) && ran.stderr.contains("help:"),
            "{}",
            ran.shown()
        );
        let body = secret.lines().nth(1).unwrap();
        assert!(
            !ran.shown().contains(body) && !ran.shown().contains("Z2Fy"),
            "{}",
            ran.shown()
        );
    }
}
