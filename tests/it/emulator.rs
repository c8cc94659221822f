//! The emulator over a real loopback socket, asked by a plain HTTP client that
//! shares nothing with it: every trap that the rest of the tests rely on.

mod accounts;
mod files;
mod people;
mod rules;
mod socket;
mod versions;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use whop_sync::emulator::serve::Server;
use whop_sync::emulator::{Emulator, Fault, Key, Keys, Operation, Settings, Strike};

const PLATFORM: &str = "biz_platform";
const NEWEST: &str = "2026-10-15-1";
const LEGACY: &str = "2025-01-01";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x02\0\0\0\x03rest";

/// An emulator on a free port, and a client for it.
struct Site {
    emulator: Emulator,
    base: String,
    client: reqwest::Client,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

/// What came back.
#[derive(Debug)]
struct Got {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn text(&self, pointer: &str) -> String {
        let json = self.json();
        let text = json.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    }

    fn ids(&self) -> Vec<String> {
        let data = self.json()["data"].as_array().cloned().unwrap_or_default();
        let ids = data.iter().filter_map(|entry| entry["id"].as_str());
        ids.map(str::to_owned).collect()
    }
}

/// A request being put together: key, version and body as most tests want
/// them, each replaceable.
struct Call<'a> {
    site: &'a Site,
    method: Method,
    path: String,
    key: Option<String>,
    version: Option<&'static str>,
    idempotency: Option<String>,
    body: Option<Value>,
}

impl Call<'_> {
    fn key(mut self, key: Option<&str>) -> Self {
        self.key = key.map(str::to_owned);
        self
    }

    fn version(mut self, version: Option<&'static str>) -> Self {
        self.version = version;
        self
    }

    fn once(mut self, key: &str) -> Self {
        self.idempotency = Some(key.to_owned());
        self
    }

    async fn try_send(self) -> Result<Got, reqwest::Error> {
        let url = if self.path.starts_with("http://") {
            self.path
        } else {
            format!("{}{}", self.site.base, self.path)
        };
        let mut request = self.site.client.request(self.method, url);
        if let Some(key) = self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if let Some(version) = self.version {
            request = request.header("api-version-date", version);
        }
        if let Some(key) = self.idempotency {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = self.body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.send().await?;
        Ok(Got {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?.to_vec(),
        })
    }

    async fn send(self) -> Got {
        self.try_send().await.expect("the emulator answers")
    }
}

impl Site {
    async fn start(settings: Settings) -> Self {
        let settings = Settings {
            exchanges: crate::told::exchanges(),
            ..settings
        };
        // Plain http needs no TLS, but the client wants a provider all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let emulator = Emulator::open(settings).expect("the settings are fine");
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind(emulator.clone(), free)
            .await
            .expect("loopback can be bound");
        let base = server.base();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        let client = reqwest::Client::builder().no_proxy().build();
        Self {
            emulator,
            base,
            client: client.expect("the client can be built"),
            stop,
            served,
        }
    }

    async fn test() -> Self {
        Self::start(Settings::test(PLATFORM)).await
    }

    fn call(&self, method: Method, path: &str, body: Option<Value>) -> Call<'_> {
        Call {
            site: self,
            method,
            path: path.to_owned(),
            key: Some("key".to_owned()),
            version: Some(NEWEST),
            idempotency: None,
            body,
        }
    }

    fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path, None)
    }

    fn post(&self, path: &str, body: Value) -> Call<'_> {
        self.call(Method::POST, path, Some(body))
    }

    fn patch(&self, path: &str, body: Value) -> Call<'_> {
        self.call(Method::PATCH, path, Some(body))
    }

    async fn create(&self, email: &str, external: Option<&str>) -> Got {
        let metadata = external.map_or(json!({}), |id| json!({ "external_id": id }));
        let body = json!({ "email": email, "title": "Ana", "metadata": metadata });
        self.post("/accounts", body).send().await
    }

    /// Sends bytes to storage as told, with or without a key.
    async fn upload(&self, file: &Value, bytes: &'static [u8], key: Option<&str>) -> Got {
        let url = file["upload_url"].as_str().unwrap_or_default();
        let mut request = self.client.put(url).body(bytes);
        for (name, value) in file["upload_headers"].as_object().into_iter().flatten() {
            request = request.header(name, value.as_str().unwrap_or_default());
        }
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let response = request.send().await.expect("storage answers");
        Got {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.expect("a whole body").to_vec(),
        }
    }

    /// A ready public file.
    async fn file(&self, name: &str, bytes: &'static [u8]) -> String {
        let body = json!({ "filename": name, "visibility": "public" });
        let file = self.post("/files", body).send().await.json();
        assert_eq!(self.upload(&file, bytes, None).await.status, 200);
        self.emulator.advance(Duration::from_secs(2));
        file["id"].as_str().unwrap_or_default().to_owned()
    }

    async fn close(self) -> Emulator {
        let _ = self.stop.send(());
        self.served.await.expect("the server ends in order");
        self.emulator
    }
}

fn error_type(got: &Got) -> (u16, String) {
    (got.status, got.text("/error/type"))
}
