//! At the limit and never over it: how long many requests take and how many
//! are refused, by a clock that stands still between events. The emulator
//! counts in windows of every kind; what it allows, and who else uses the key,
//! differs and changes.
//!
//! Floors are arithmetic: requests ÷ limit. Measured is from the first request
//! to the last answer, by that clock; nothing here depends on the machine.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use whop_sync::core::value::{PlatformId, UserId};
use whop_sync::emulator::{Emulator, Fault, Operation, Settings, Strike, Window};
use whop_sync::remote::{Client, Options, Version};

use crate::lab::PLATFORM;
use crate::told::tell;

/// The limit that Whop documents, a minute.
const DOCUMENTED: u32 = 600;

fn emulator(settings: Settings) -> Emulator {
    Emulator::open(settings).unwrap()
}

fn settings(rate: u32, latency: u64) -> Settings {
    Settings {
        rate,
        latency: Duration::from_millis(latency),
        ..Settings::test(PLATFORM)
    }
}

fn client(emulator: &Emulator) -> Client {
    let platform = PlatformId::parse(PLATFORM).unwrap();
    let transport = Arc::new(emulator.transport(Some("key")));
    Client::new(transport, Version::default(), platform, Options::default())
}

/// How many may be refused of so many where the limit is not known
/// beforehand: what it costs to find out, and one in a thousand.
fn bearable(reads: usize) -> u64 {
    8 + reads as u64 / 1000
}

/// What many reads took.
struct Took {
    reads: usize,
    time: Duration,
    refused: u64,
}

impl Took {
    /// The time against that of so many requests at so many a minute, and
    /// refusals against the requests.
    fn ratio(&self, per_minute: f64) -> f64 {
        self.time.as_secs_f64() / (self.reads as f64 / per_minute * 60.0)
    }
}

/// Reads profiles as a refresh does, as many at a time.
async fn read(client: &Client, reads: usize) -> Took {
    let begin = Instant::now();
    let refused = client.refused_by_limit();
    let user = UserId::parse("user_nobody").unwrap();
    let mut reading = JoinSet::new();
    for _ in 0..reads {
        while reading.len() >= 256 {
            reading.join_next().await.unwrap().unwrap();
        }
        let (client, user) = (client.clone(), user.clone());
        reading.spawn(async move { client.read_profile(&user).await.map(drop).unwrap() });
    }
    reading.join_all().await;
    Took {
        reads,
        time: begin.elapsed(),
        refused: client.refused_by_limit() - refused,
    }
}

/// Another program with the same key, which reads evenly for ever; what is
/// refused it tries no more.
fn somebody_else(emulator: &Emulator, per_minute: u32) -> tokio::task::JoinHandle<()> {
    let path = format!("/api/v1/users/user_other?account_id={PLATFORM}");
    let emulator = emulator.clone();
    tokio::spawn(async move {
        let mut beat = tokio::time::interval(Duration::from_secs(60) / per_minute);
        loop {
            beat.tick().await;
            emulator.handle(&whop_sync::emulator::Call {
                method: "GET".to_owned(),
                path: path.clone(),
                headers: vec![
                    ("authorization".to_owned(), "Bearer key".to_owned()),
                    (
                        "api-version-date".to_owned(),
                        Version::default().as_str().to_owned(),
                    ),
                ],
                body: Default::default(),
                origin: String::new(),
            });
        }
    })
}

const WINDOWS: [Window; 3] = [Window::Sliding, Window::Fixed, Window::Bucket(20)];
const LATENCIES: [u64; 3] = [20, 100, 300];

#[tokio::test(start_paused = true)]
async fn the_documented_limit_is_reached_and_never_exceeded_in_windows_of_any_kind() {
    for window in WINDOWS {
        for latency in LATENCIES {
            let whop = emulator(Settings {
                window,
                ..settings(DOCUMENTED, latency)
            });
            let took = read(&client(&whop), 3000).await;
            let ratio = took.ratio(DOCUMENTED.into());
            tell(format!(
                "{window:?}, {latency} ms: {ratio:.3} of the floor, {} refused",
                took.refused
            ));
            assert_eq!(took.refused, 0, "{window:?} {latency}");
            assert!(ratio <= 1.05, "{window:?} {latency}: {ratio}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_request_in_a_hundred_that_fails_costs_one_in_a_hundred() {
    let whop = emulator(settings(DOCUMENTED, 300));
    let strike = Strike::Answer {
        status: 503,
        body: None,
        headers: Default::default(),
    };
    whop.fault(Fault {
        chance: 1,
        ..Fault::next(Operation::RetrieveUser, strike).forever()
    });
    let took = read(&client(&whop), 3000).await;
    assert_eq!(took.refused, 0);
    assert!(took.ratio(DOCUMENTED.into()) <= 1.05, "{:?}", took.time);
}

/// A limit lower than documented: found by the first refusal, and kept.
#[tokio::test(start_paused = true)]
async fn half_the_limit_is_found_and_kept() {
    for window in [Window::Sliding, Window::Fixed] {
        for latency in [20, 300] {
            let whop = emulator(Settings {
                window,
                ..settings(DOCUMENTED / 2, latency)
            });
            let took = read(&client(&whop), 6000).await;
            let ratio = took.ratio((DOCUMENTED / 2).into());
            tell(format!(
                "half, {window:?}, {latency} ms: {ratio:.3} of the floor, {} refused",
                took.refused
            ));
            assert!(
                took.refused <= bearable(6000),
                "{window:?} {latency}: {} refused",
                took.refused
            );
            assert!(ratio <= 1.05, "{window:?} {latency}: {ratio}");
        }
    }
}

/// Once it is found, to ask now and then whether there is more costs less than
/// one request in a thousand, in windows of any kind.
#[tokio::test(start_paused = true)]
async fn to_keep_a_limit_that_nobody_tells_is_cheap() {
    for window in [Window::Sliding, Window::Fixed, Window::Bucket(10)] {
        let whop = emulator(Settings {
            window,
            ..settings(DOCUMENTED / 2, 300)
        });
        let client = client(&whop);
        read(&client, 4000).await;
        let took = read(&client, 10_000).await;
        let ratio = took.ratio((DOCUMENTED / 2).into());
        tell(format!(
            "kept, {window:?}: {ratio:.3} of the floor, {} of 10,000 refused",
            took.refused
        ));
        assert!(took.refused <= 10, "{window:?}: {} refused", took.refused);
        assert!(ratio <= 1.05, "{window:?}: {ratio}");
    }
}

/// A bucket that is smaller than a burst and fills more slowly than documented.
#[tokio::test(start_paused = true)]
async fn a_small_slow_bucket_is_found_out() {
    let window = Window::Bucket(10);
    let whop = emulator(Settings {
        window,
        ..settings(DOCUMENTED / 2, 100)
    });
    let took = read(&client(&whop), 6000).await;
    let ratio = took.ratio((DOCUMENTED / 2).into());
    tell(format!(
        "bucket: {ratio:.3} of the floor, {} refused",
        took.refused
    ));
    assert!(ratio <= 1.1 && took.refused <= 40, "{ratio} {}", took.refused);
}

#[tokio::test(start_paused = true)]
async fn headers_tell_a_limit_that_is_higher_or_lower() {
    for (rate, reads) in [
        (DOCUMENTED * 2, 6000),
        (DOCUMENTED * 10, 6000),
        (DOCUMENTED / 2, 3000),
    ] {
        for latency in LATENCIES {
            let whop = emulator(Settings {
                limit_headers: true,
                ..settings(rate, latency)
            });
            let took = read(&client(&whop), reads).await;
            let ratio = took.ratio(rate.into());
            tell(format!(
                "{rate} told, {latency} ms: {ratio:.3} of the floor, {} refused",
                took.refused
            ));
            assert_eq!(took.refused, 0, "{rate} {latency}");
            assert!(ratio <= 1.05, "{rate} {latency}: {ratio}");
        }
    }
}

/// Nothing beyond what is promised is ever tried.
#[tokio::test(start_paused = true)]
async fn a_higher_limit_that_nobody_tells_is_not_looked_for() {
    let whop = emulator(settings(DOCUMENTED * 2, 20));
    let took = read(&client(&whop), 3000).await;
    let ratio = took.ratio(DOCUMENTED.into());
    assert!((0.98..=1.05).contains(&ratio), "{ratio}");
}

/// Another program takes half. Without headers that is learnt by being
/// refused; with headers nobody is.
#[tokio::test(start_paused = true)]
async fn a_limit_that_is_shared_is_found_and_kept() {
    for (limit_headers, most) in [(false, bearable(6000)), (true, 0)] {
        for latency in LATENCIES {
            let whop = emulator(Settings {
                limit_headers,
                ..settings(DOCUMENTED, latency)
            });
            let other = somebody_else(&whop, DOCUMENTED / 2);
            tokio::time::sleep(Duration::from_secs(61)).await;
            let took = read(&client(&whop), 6000).await;
            other.abort();
            let ratio = took.ratio((DOCUMENTED / 2).into());
            tell(format!(
                "shared, headers {limit_headers}, {latency} ms: {ratio:.3} of the floor, {} refused",
                took.refused
            ));
            assert!(
                took.refused <= most,
                "{limit_headers} {latency}: {} refused",
                took.refused
            );
            assert!(ratio <= 1.05, "{limit_headers} {latency}: {ratio}");
        }
    }
}

/// The requests that got through in a span of seconds since the beginning.
async fn through(whop: &Emulator, client: &Client, spans: &[Range<u64>]) -> Vec<u64> {
    let begin = Instant::now();
    let passed = |whop: &Emulator| whop.count(Operation::RetrieveUser);
    let mut counts = Vec::new();
    let reading = tokio::spawn({
        let client = client.clone();
        async move { read(&client, 100_000).await.reads }
    });
    for span in spans {
        tokio::time::sleep_until(begin + Duration::from_secs(span.start)).await;
        let (before, refused) = (passed(whop), client.refused_by_limit());
        tokio::time::sleep_until(begin + Duration::from_secs(span.end)).await;
        counts.push(passed(whop) - before - (client.refused_by_limit() - refused));
    }
    reading.abort();
    counts
}

/// The other program goes away, or the limit changes in the middle: the rate
/// follows, up as well as down.
#[tokio::test(start_paused = true)]
async fn a_limit_that_changes_is_followed() {
    for latency in LATENCIES {
        let whop = emulator(settings(DOCUMENTED, latency));
        let client = client(&whop);
        let change = tokio::spawn({
            let whop = whop.clone();
            async move {
                tokio::time::sleep(Duration::from_secs(300)).await;
                whop.set_rate(DOCUMENTED / 2);
                tokio::time::sleep(Duration::from_secs(300)).await;
                whop.set_rate(DOCUMENTED);
                tokio::time::sleep(Duration::from_secs(900)).await;
                whop.set_rate(DOCUMENTED / 2);
                tokio::time::sleep(Duration::from_secs(60)).await;
                whop.set_rate(DOCUMENTED);
            }
        });
        // Less is found out at once. More is tried seldom by who has met the
        // limit again and again, and then found within a minute.
        let counts = through(&whop, &client, &[0..300, 360..600, 1080..1380, 1680..1980]).await;
        change.await.unwrap();
        let refused = client.refused_by_limit();
        tell(format!(
            "changing, {latency} ms: {counts:?} through, {refused} refused"
        ));
        assert!(counts[0] >= 3000 - 30, "{counts:?}");
        assert!(counts[1] >= 1200 * 95 / 100, "{counts:?}");
        assert!(
            counts[2..].iter().all(|count| *count >= 3000 * 95 / 100),
            "{counts:?}"
        );
        assert!(refused <= 60, "{refused} refused");
    }
}
