//! Downloads pictures that Whop shows.
//!
//! Such a URL is not trustworthy: it was chosen by whoever set the picture. It
//! is therefore read with GET only, without key and cookies, over https from
//! the public internet only ([`super::public_address`]), without following redirects, up
//! to [`MOST_BYTES`] and a time limit; and the content must be a complete
//! picture.

use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::call::header;
use super::client::Client;
use super::error::{CallError, CallErrorKind};
use super::operation::Operation;
use super::transport::{Method, Request, Target};
use crate::core::value::ImageFormat;
use crate::picture::{self, MOST_BYTES};

/// How many downloads run at once. With [`MOST_BYTES`] this bounds their
/// memory.
const AT_ONCE: usize = 8;

/// The time limit for one picture, retries included.
const LONGEST: Duration = Duration::from_secs(45);

/// A complete picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// The bytes as received; at most 5 MB.
    pub bytes: Bytes,
    /// The format, by content.
    pub format: ImageFormat,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Client {
    /// Downloads a picture.
    ///
    /// # Errors
    /// Why there is none, as a phrase for people: one line without the URL.
    pub async fn download_picture(&self, url: &str) -> Result<Downloaded, String> {
        let request = Request {
            method: Method::Get,
            target: Target::Picture(url.to_owned()),
            // Hosts that convert pictures must not choose an unknown format.
            headers: vec![header("accept", "image/png, image/jpeg, image/gif, image/webp")],
            body: Bytes::new(),
        };
        let call = self.repeatable(Operation::DownloadPicture, request);
        let answer = tokio::time::timeout(LONGEST, self.call(None, &call))
            .await
            .map_err(|_| format!("it did not arrive within {} seconds", LONGEST.as_secs()))?
            .map_err(|error| reason(&error))?;
        if answer.body.len() as u64 > MOST_BYTES {
            return Err(too_large());
        }
        let picture = picture::examine(&answer.body).map_err(|fault| fault.to_string())?;
        Ok(Downloaded {
            bytes: answer.body,
            format: picture.format,
            width: picture.width,
            height: picture.height,
        })
    }

    /// Downloads several pictures, a few at a time. `each` gets them in order
    /// of arrival; what it does not keep is freed.
    pub async fn download_pictures<U: AsRef<str> + Send + 'static>(
        &self,
        urls: impl IntoIterator<Item = U>,
        mut each: impl FnMut(U, Result<Downloaded, String>),
    ) {
        let mut urls = urls.into_iter();
        let mut reads = JoinSet::new();
        loop {
            while reads.len() < AT_ONCE
                && let Some(url) = urls.next()
            {
                let client = self.clone();
                reads.spawn(async move {
                    let outcome = client.download_picture(url.as_ref()).await;
                    (url, outcome)
                });
            }
            match reads.join_next().await {
                None => return,
                Some(Ok((url, outcome))) => each(url, outcome),
                Some(Err(why)) => std::panic::resume_unwind(why.into_panic()),
            }
        }
    }
}

/// Why there was no answer, or a bad one.
fn reason(error: &CallError) -> String {
    match (error.kind, error.status) {
        // Before its content is examined, a picture can be malformed only in
        // this way.
        (CallErrorKind::Malformed, None) => too_large(),
        (CallErrorKind::NotFound, _) => "it is no longer there".to_owned(),
        (_, Some(status @ 300..400)) => {
            format!("its host redirects (HTTP {status}), which is never followed")
        }
        (_, Some(status)) => format!("its host answered HTTP {status}"),
        (_, None) => error.message.clone(),
    }
}

fn too_large() -> String {
    format!("it is larger than {} MB", MOST_BYTES >> 20)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::script::{Script, answer, header_of, silence};
    use super::super::transport::{Response, TransportError};
    use super::*;

    const VERSION: &str = "2026-10-15-1";
    const URL: &str = "https://img.test/a?sig=secret";
    const PNG: &[u8] = include_bytes!("../../examples/avatars/jane.png");

    fn found(bytes: &'static [u8]) -> Result<Response, TransportError> {
        Ok(Response {
            status: 200,
            headers: Vec::new(),
            body: Bytes::from_static(bytes),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_picture_is_requested_without_anything_of_ours() {
        let script = Script::of([silence(), found(PNG)]);
        let got = script.client(VERSION).download_picture(URL).await.unwrap();
        assert_eq!((got.format, got.width, got.height), (ImageFormat::Png, 512, 512));
        assert!(got.bytes == PNG);
        assert_eq!(script.lines(), [format!("GET {URL}"), format!("GET {URL}")]);
        let seen = &script.seen()[1];
        assert_eq!(seen.headers.len(), 1);
        assert!(header_of(seen, "accept").unwrap().starts_with("image/png"));
        assert!(!format!("{seen:?}").contains("secret"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_a_picture_is_reported() {
        let large: &'static [u8] = vec![0; MOST_BYTES as usize + 1].leak();
        for (answer, why) in [
            (found(large), "it is larger than 5 MB"),
            (
                Err(TransportError::TooLarge(MOST_BYTES)),
                "it is larger than 5 MB",
            ),
            (answer(404, "<Key>secret</Key>"), "it is no longer there"),
            (answer(403, "secret"), "its host answered HTTP 403"),
            (
                answer(302, ""),
                "its host redirects (HTTP 302), which is never followed",
            ),
            (
                answer(200, "<!doctype html><p>secret"),
                "it is not a PNG, JPEG, GIF or WebP picture but a web page",
            ),
            (found(&PNG[..5_000]), "the PNG ends too early"),
            (
                Err(TransportError::Forbidden("not there".to_owned())),
                "not there",
            ),
        ] {
            let script = Script::of([answer]);
            let outcome = script.client(VERSION).download_picture(URL).await;
            assert_eq!(outcome.unwrap_err(), why);
            assert_eq!(script.seen().len(), 1, "{why}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_at_the_time_limit() {
        let script = Script::slowly(Duration::from_secs(20), |_, _| silence());
        let begun = tokio::time::Instant::now();
        let outcome = script.client(VERSION).download_picture(URL).await;
        assert_eq!(outcome.unwrap_err(), "it did not arrive within 45 seconds");
        assert_eq!(begun.elapsed(), LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_downloads_run_at_once() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (seen, peak) = (Arc::clone(&now), Arc::clone(&most));
        let script = Script::slowly(Duration::from_secs(1), move |_, _| {
            seen.fetch_sub(1, Ordering::SeqCst);
            found(PNG)
        });
        let client = script.client(VERSION);
        let urls = (0..20).map(|n| {
            let on_the_way = now.fetch_add(1, Ordering::SeqCst) + 1;
            peak.fetch_max(on_the_way, Ordering::SeqCst);
            format!("https://img.test/{n}")
        });
        let mut got = Vec::new();
        client
            .download_pictures(urls, |url, outcome| {
                assert!(outcome.is_ok());
                got.push(url);
            })
            .await;
        got.sort();
        got.dedup();
        assert_eq!((got.len(), most.load(Ordering::SeqCst)), (20, AT_ONCE));
    }
}
