//! TLS as it is on the way to Whop: a server with certificates of a private
//! authority, with and without that authority's certificate, directly and
//! through a proxy.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::{Place, Ran, Served};

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

    /// What a server of this name shows.
    fn server(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
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
    _whop: Served,
    _runtime: Runtime,
}

impl Gateway {
    fn new(acceptor: TlsAcceptor) -> Self {
        let whop = Served::start("");
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
            _whop: whop,
            _runtime: runtime,
        }
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
    let gateway = Gateway::new(authority.server("localhost"));
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
    let right = Gateway::new(authority.server("localhost"));
    let misnamed = Gateway::new(authority.server("elsewhere.test"));
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
    let gateway = Gateway::new(authority.server("gateway.test"));
    let place = place().file("ca.pem", &authority.pem);
    let line = "doctor -q --ca-file ca.pem --server https://gateway.test/api/v1";
    let proxy = format!("http://127.0.0.1:{}", gateway.proxy);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        gateway.passed.lock().unwrap().clear();
        gateway.opened.lock().unwrap().clear();
        let ran = place.run_with(line, &[("WHOP_API_KEY", KEY), (name, &proxy)]);
        assert!(
            holds(&gateway.passed, "CONNECT gateway.test:443"),
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
