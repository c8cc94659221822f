//! The emulator inside the process: the client's [`Transport`] without a
//! socket, so that a paused clock drives both sides.

use super::operation::BASE;
use super::request::Call;
use super::{Emulator, Reply};
use crate::remote::transport::{Request, Response, Sending, Target, Transport, TransportError};

/// The scheme and host of URLs that the emulator hands out inside the process.
/// Port 0 cannot be connected to, so such a URL cannot leave it.
pub const ORIGIN: &str = "http://127.0.0.1:0";

impl Emulator {
    /// This emulator as the transport of a client with this key.
    pub fn transport(&self, key: Option<&str>) -> InProcess {
        InProcess::new(self.clone(), key)
    }
}

/// An emulator as the transport of a client with one key.
#[derive(Clone, Debug)]
pub struct InProcess {
    emulator: Emulator,
    authorization: Option<String>,
}

impl InProcess {
    /// A client's way to this emulator; without a key it is refused.
    pub(super) fn new(emulator: Emulator, key: Option<&str>) -> Self {
        Self {
            emulator,
            authorization: key.map(|key| format!("Bearer {key}")),
        }
    }

    /// The request as it would arrive: the key goes to the API and to nothing
    /// else.
    fn call(&self, request: Request) -> Result<Call, TransportError> {
        let mut headers = request.headers;
        let path = match request.target {
            Target::Api(path) => {
                let key = self.authorization.clone();
                headers.extend(key.map(|key| ("authorization".to_owned(), key)));
                format!("{BASE}{path}")
            }
            Target::Storage(url) | Target::Picture(url) => match url.strip_prefix(ORIGIN) {
                Some(path) => path.to_owned(),
                None => {
                    return Err(TransportError::NotSent(
                        "the storage's host is unknown here".to_owned(),
                    ));
                }
            },
        };
        Ok(Call {
            method: request.method.as_str().to_owned(),
            path,
            headers,
            body: request.body,
            origin: ORIGIN.to_owned(),
        })
    }

    async fn exchange(&self, request: Request) -> Result<Response, TransportError> {
        let call = self.call(request)?;
        let Reply { answer, after } = self.emulator.handle(&call);
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        answer.ok_or_else(|| TransportError::NoAnswer("the connection was closed".to_owned()))
    }
}

impl Transport for InProcess {
    fn send(&self, request: Request) -> Sending<'_> {
        Box::pin(self.exchange(request))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::emulator::{Fault, Operation, Settings, Strike};
    use crate::remote::transport::Method;

    const BODY: &[u8] = br#"{"email":"ana@shop.test"}"#;

    fn request(method: Method, target: Target, body: &'static [u8]) -> Request {
        let headers = [
            ("api-version-date", "2026-10-15-1"),
            ("content-type", "application/json"),
            ("idempotency-key", "k"),
        ];
        Request {
            method,
            target,
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            body: bytes::Bytes::from_static(body),
        }
    }

    fn create() -> Request {
        request(Method::Post, Target::Api("/accounts".to_owned()), BODY)
    }

    fn slow() -> Emulator {
        let settings = Settings {
            latency: Duration::from_millis(50),
            ..Settings::test("biz_p")
        };
        Emulator::open(settings).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn latency_passes_on_the_clock_and_keeps_the_key_in_progress() {
        let emulator = slow();
        let begun = emulator.now();
        let way = emulator.transport(Some("key"));
        let (first, second) = tokio::join!(way.send(create()), way.send(create()));
        assert_eq!((first.unwrap().status, second.unwrap().status), (201, 409));
        assert_eq!(emulator.now() - begun, 50);
        let replay = way.send(create()).await.unwrap();
        assert_eq!(
            (replay.status, replay.header("idempotent-replayed")),
            (201, Some("true"))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_has_been_served() {
        let emulator = slow();
        let way = emulator.transport(Some("key"));
        let waited = tokio::time::timeout(Duration::from_millis(10), way.send(create())).await;
        assert!(waited.is_err());
        assert_eq!(emulator.accounts().len(), 1);
        emulator.fault(Fault::next(Operation::CreateAccount, Strike::ResetAfter));
        assert!(matches!(
            way.send(create()).await,
            Err(TransportError::NoAnswer(_))
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn storage_gets_no_key_and_other_hosts_get_nothing() {
        let emulator = slow();
        let way = emulator.transport(Some("key"));
        let target = Target::Api("/files".to_owned());
        let made = way
            .send(request(Method::Post, target, br#"{"filename":"a.txt"}"#))
            .await
            .unwrap();
        let made: Value = serde_json::from_slice(&made.body).unwrap();
        let url = made["upload_url"].as_str().unwrap().to_owned();
        assert!(url.starts_with(ORIGIN));
        let mut put = request(Method::Put, Target::Storage(url), b"hello");
        put.headers = made["upload_headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(way.send(put).await.unwrap().status, 200);
        let elsewhere = Target::Storage("https://example.com/put".to_owned());
        let lost = way.send(request(Method::Put, elsewhere, b"hello")).await;
        assert!(matches!(lost, Err(TransportError::NotSent(_))));
        let keyless = emulator.transport(None);
        let answer = keyless.send(create()).await.unwrap();
        assert_eq!(answer.status, 401);
    }
}
