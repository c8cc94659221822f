//! The emulator inside the process: the client's [`Transport`] without a
//! socket, so that a paused clock drives both sides.

use super::operation::BASE;
use super::request::Call;
use super::{Emulator, Reply};
use crate::remote::transport::{Lost, Request, Response, Sending, Target, Transport};

/// The scheme and host of URLs that the emulator hands out inside the process.
/// Port 0 cannot be connected to, so such a URL cannot leave it.
pub const ORIGIN: &str = "http://127.0.0.1:0";

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
    fn call(&self, request: Request) -> Result<Call, Lost> {
        let mut headers = request.headers;
        let path = match request.target {
            Target::Api(path) => {
                let key = self.authorization.clone();
                headers.extend(key.map(|key| ("authorization".to_owned(), key)));
                format!("{BASE}{path}")
            }
            Target::Storage(url) => match url.strip_prefix(ORIGIN) {
                Some(path) => path.to_owned(),
                None => return Err(Lost::NotSent("the storage's host is unknown here".to_owned())),
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

    async fn exchange(&self, request: Request) -> Result<Response, Lost> {
        let call = self.call(request)?;
        let Reply { answer, after } = self.emulator.handle(&call);
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        answer.ok_or_else(|| Lost::NoAnswer("the connection was closed".to_owned()))
    }
}

impl Transport for InProcess {
    fn send(&self, request: Request) -> Sending<'_> {
        Box::pin(self.exchange(request))
    }
}
