//! Entry points for fuzzing the client: answers without a server.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::client::{Client, Options};
use super::error::{Asked, CallError};
use super::retry::{CAP, FailureCounts, LIMIT_LEAST, Next, Repeat, next};
use super::transport::{Request, Response, Sending, Transport, TransportError};
use super::version::Version;
use super::{ApiBase, CallErrorKind, date};
use crate::core::model::{Account, ProfileRead};
use crate::core::value::{AccountId, FileId, PlatformId, UserId};

/// The platform that the answers are for.
const PLATFORM: &str = "biz_p1";

/// Judges an answer of any status with these headers and this body: what is
/// said about it can be shown, and no wait is longer or shorter than promised.
///
/// # Panics
/// If that does not hold.
pub(crate) fn judged(status: u16, headers: Vec<(String, String)>, body: &[u8], reads: bool, proven: bool) {
    let answer = Response {
        status,
        headers,
        body: Bytes::copy_from_slice(body),
    };
    let asked = Asked {
        operation: "create_account",
        reads,
        version: "2026-10-15-1",
        version_proven: proven,
    };
    let failure = asked.refused(&answer);
    showable(&failure);
    let mut failures = FailureCounts::default();
    failures.count(failure.kind);
    for repeat in [Repeat::Safe, Repeat::OnlyIfUndone] {
        match next(&failure, Some(&answer), failures, 6, repeat, 0.5) {
            Next::Wait(time) => assert!(time <= CAP, "{time:?}"),
            Next::Pause(time) => {
                assert_eq!(failure.kind, CallErrorKind::RateLimited);
                assert!((LIMIT_LEAST..=CAP).contains(&time), "{time:?}");
            }
            Next::Stop => {}
        }
    }
}

/// Parses an HTTP date: the result is the time that is written.
///
/// # Panics
/// If it is not.
pub(crate) fn dated(text: &str) {
    let Some(seconds) = date::seconds(text) else {
        return;
    };
    let at = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
    let day = text.split_once(", ").and_then(|(_, rest)| rest.split_once(' '));
    let (day, rest) = day.expect("it was read");
    let clock = rest.split(' ').nth(2).expect("it was read");
    let numbers = |text: &str| {
        text.split(':')
            .map(|n| n.parse::<u64>().expect("it was read"))
            .collect::<Vec<_>>()
    };
    // Days that a month lacks, and leap seconds, carry over.
    if day.parse::<u64>().is_ok_and(|day| day <= 28) && numbers(clock)[2] < 60 {
        let shown = humantime::format_rfc3339_seconds(at).to_string();
        let (date, time) = shown.trim_end_matches('Z').split_once('T').expect("RFC 3339");
        assert_eq!(numbers(time), numbers(clock), "{text}");
        assert_eq!(date.rsplit('-').next().map(numbers), Some(numbers(day)), "{text}");
    }
}

/// Parses the API base of an option: requests go where the option says and the
/// mapping records.
///
/// # Panics
/// If not, or if the key would be sent elsewhere in clear.
pub(crate) fn based(text: &str) {
    let Ok(base) = ApiBase::parse(text) else { return };
    assert_eq!(base.as_str(), text);
    assert!(base.is_loopback() || text.starts_with("https://"), "{text}");
}

/// Parses a foreign URL, beside Whop and beside a server on this machine: one
/// that is followed leads to the public internet, or here.
///
/// # Panics
/// If it does not.
pub(crate) fn followed(url: &str) {
    for local in [false, true] {
        let Some((scheme, host, address)) = super::http::followed(url, local) else {
            continue;
        };
        assert!(!host.is_empty(), "{url}");
        match address {
            Some(address) => {
                let here = local && address.is_loopback();
                assert!(
                    super::public_address::is_public(address) || here,
                    "{url}: {address}"
                );
                assert!(scheme == "https" || here, "{url}: {address}");
            }
            None => assert!(
                scheme == "https" || (local && host == "localhost"),
                "{url}: {host}"
            ),
        }
    }
}

/// Uses these bodies as the answers to all requests of a run, with status 200:
/// whatever they contain, the results are valid and can be shown.
///
/// # Panics
/// If they are not.
pub(crate) fn answered(bodies: &[&[u8]], version: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without a driver");
    runtime.block_on(asked(bodies, version));
}

async fn asked(bodies: &[&[u8]], version: &str) {
    let client = |skip: usize| {
        let bodies = bodies.iter().skip(skip).map(|body| Bytes::copy_from_slice(body));
        let transport: Arc<dyn Transport> = Arc::new(Bodies(Mutex::new(bodies.collect())));
        let options = Options {
            per_minute: None,
            ..Options::default()
        };
        let version = Version::parse(version).expect("a version we speak");
        Client::new(transport, version, platform(), options)
    };
    match client(0).list_accounts().await {
        Ok(listing) => {
            let ids = |pair: &[Account]| pair[0].id < pair[1].id;
            assert!(listing.accounts.windows(2).all(ids), "sorted, each once");
            assert!(listing.accounts.iter().all(|account| !platform().is(&account.id)));
        }
        Err(error) => showable(&error),
    }
    let user = UserId::parse("user_a1").expect("an id");
    match client(0).read_profile(&user).await {
        Ok(ProfileRead::Unreadable(why)) => showable_text(&why),
        Ok(_) => {}
        Err(error) => showable(&error),
    }
    let id = AccountId::parse("biz_c1").expect("an id");
    match client(0).retrieve_account(&id).await {
        Ok(found) => assert!(found.is_none_or(|found| found.id == id)),
        Err(error) => showable(&error),
    }
    let actions = ["company:update", "user:profile:update"];
    match client(0).permissions(&actions).await {
        Ok(told) => assert!(told.keys().eq(actions)),
        Err(error) => showable(&error),
    }
    if let Err(error) = client(0).own_account().await {
        showable(&error);
    }
    let files = ["file_a", "file_b"].map(|id| FileId::parse(id).expect("an id"));
    match client(0).file_states(&files).await {
        Ok(states) => assert!(states.keys().eq(&files)),
        Err(error) => showable(&error),
    }
    match client(0).create_file(None, "u-1.png", "k1").await {
        Ok(made) => assert_eq!(format!("{:?}", made.upload), "UploadTarget(<presigned>)"),
        Err(error) => showable(&error),
    }
}

fn platform() -> PlatformId {
    PlatformId::parse(PLATFORM).expect("an id")
}

/// Gives the bodies in order, then empty pages forever.
struct Bodies(Mutex<VecDeque<Bytes>>);

impl Transport for Bodies {
    fn send(&self, _: Request) -> Sending<'_> {
        let next = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let body = next.unwrap_or_else(|| Bytes::from_static(br#"{"data":[],"page_info":{}}"#));
        let answer = Response {
            status: 200,
            headers: Vec::new(),
            body,
        };
        Box::pin(async move { Ok::<_, TransportError>(answer) })
    }
}

/// An error's text is bounded, on one line, and has no invisible characters.
fn showable(error: &CallError) {
    showable_text(&error.message);
    assert!(
        error
            .request_id
            .as_deref()
            .is_none_or(|id| { id.len() <= 128 + 16 && id.bytes().all(|byte| byte.is_ascii_graphic()) })
    );
}

fn showable_text(text: &str) {
    assert!(text.chars().count() <= 501, "{} characters", text.chars().count());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
