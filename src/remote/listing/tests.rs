use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::script::{Script, answer, header_of};
use super::super::transport::{Request, Response, Target, TransportError};
use super::*;
use crate::core::model::{KnownUser, Link};
use crate::core::value::{UserId, UserKey};

const NEW: &str = "2026-10-15-1";
const OLD: &str = "2025-01-01";

fn entry(n: usize) -> String {
    format!(r#"{{"id":"biz_c{n}","title":"T{n}","owner":{{"id":"user_{n}"}}}}"#)
}

fn page(entries: &[String], info: &str) -> Result<Response, TransportError> {
    answer(
        200,
        format!(r#"{{"data":[{}],"page_info":{{{info}}}}}"#, entries.join(",")),
    )
}

fn more(cursor: &str) -> String {
    format!(r#""end_cursor":"{cursor}","has_next_page":true"#)
}

const END: &str = r#""end_cursor":"z","has_next_page":false"#;

async fn list(script: &Arc<Script>) -> (Vec<String>, bool) {
    let listing = script.unlimited(NEW).list_accounts().await.unwrap();
    let ids = listing.accounts.iter().map(|account| account.id.to_string());
    (ids.collect(), listing.complete)
}

#[tokio::test(start_paused = true)]
async fn both_dialects_ask_for_the_platforms_own_children_only() {
    for (version, lines) in [
        (
            NEW,
            [
                "GET /accounts?parent_account_id=biz_p1&first=50&direction=asc",
                "GET /accounts?parent_account_id=biz_p1&first=50&direction=asc&after=a%2Fb%3D",
            ],
        ),
        (
            OLD,
            [
                "GET /companies?parent_company_id=biz_p1&first=50&direction=asc",
                "GET /companies?parent_company_id=biz_p1&first=50&direction=asc&after=a%2Fb%3D",
            ],
        ),
    ] {
        let script = Script::of([page(&[entry(1)], &more("a/b=")), page(&[entry(2)], END)]);
        let listing = script.client(version).list_accounts().await.unwrap();
        assert_eq!((listing.accounts.len(), listing.complete), (2, true));
        assert_eq!(script.lines(), lines);
        assert_eq!(header_of(&script.seen()[0], "api-version-date"), Some(version));
    }
}

/// A list that never ends, of accounts of this many bytes each.
fn endless(bytes: usize, each: usize) -> Arc<Script> {
    Script::by(move |nth, _| {
        let entries: Vec<_> = (nth * each..(nth + 1) * each)
            .map(|n| {
                let title = "t".repeat(bytes);
                format!(r#"{{"id":"biz_c{n}","title":"{title}","owner":{{"id":"user_{n}"}}}}"#)
            })
            .collect();
        page(&entries, &more(&format!("c{nth}")))
    })
}

#[tokio::test(start_paused = true)]
async fn a_list_takes_no_more_memory_than_its_accounts_need() {
    let script = endless(12 << 20, 1);
    let error = script.unlimited(NEW).list_accounts().await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Malformed);
    assert!(error.message.contains("`biz_c0`"), "{error}");
    assert_eq!(script.seen().len(), 1);
    // Each fits, but all together do not.
    for (bytes, each) in [(60 << 10, 50), (60 << 10, 1), (8 << 10, 50)] {
        let script = endless(bytes, each);
        let error = script.unlimited(NEW).list_accounts().await.unwrap_err();
        assert_eq!(error.kind, CallErrorKind::Malformed);
        assert!(error.message.contains("accounts take"), "{error}");
        let read = script.seen().len() * each * bytes;
        assert!(read < 64 << 20, "{read} bytes of accounts of {bytes}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_cannot_be_used_fails_the_list_by_name() {
    let bad = r#"{"id":"biz_c7","title":"T"}"#.to_owned();
    let script = Script::of([page(&[entry(1), bad], END)]);
    let error = script.client(NEW).list_accounts().await.unwrap_err();
    assert_eq!(
        (error.kind, error.effect),
        (CallErrorKind::Malformed, Effect::None)
    );
    assert!(error.message.contains("biz_c7"), "{error}");
    for body in ["[]", r#"{"data":[]}"#, r#"{"page_info":{}}"#, "<html>"] {
        let script = Script::of([answer(200, body)]);
        let error = script.client(NEW).list_accounts().await.unwrap_err();
        assert_eq!(error.kind, CallErrorKind::Malformed, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_platform_is_not_listed_but_counts_as_read() {
    let platform = r#"{"id":"biz_p1","title":"My platform"}"#.to_owned();
    let script = Script::of([page(&[platform], &more("a")), page(&[entry(1)], END)]);
    assert_eq!(list(&script).await, (vec!["biz_c1".to_owned()], true));
}

#[tokio::test(start_paused = true)]
async fn pages_that_shift_give_each_account_once() {
    let script = Script::of([
        page(&[entry(1), entry(2)], &more("a")),
        page(&[entry(2), entry(3)], &more("b")),
        page(&[entry(3)], END),
    ]);
    let ids = [1, 2, 3].map(|n| format!("biz_c{n}")).to_vec();
    assert_eq!(list(&script).await, (ids, true));
}

#[tokio::test(start_paused = true)]
async fn lists_that_cannot_be_followed_are_incomplete() {
    // The same cursor again; a circle of two; an endless repetition.
    let same = Script::by(|nth, _| page(&[entry(nth)], &more("a")));
    assert_eq!(
        list(&same).await,
        (vec!["biz_c0".to_owned(), "biz_c1".to_owned()], false)
    );
    let circle = Script::by(|nth, _| page(&[entry(nth % 2)], &more(["a", "b"][nth % 2])));
    assert_eq!(list(&circle).await.0.len(), 2);
    assert_eq!(circle.seen().len(), 3);
    let stuck = Script::by(|nth, _| page(&[entry(1)], &more(&nth.to_string())));
    assert_eq!(list(&stuck).await, (vec!["biz_c1".to_owned()], false));
    assert_eq!(stuck.seen().len(), 2);
    let hidden = Script::of([page(&[entry(1)], r#""end_cursor":null,"has_next_page":true"#)]);
    assert_eq!(list(&hidden).await, (vec!["biz_c1".to_owned()], false));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_fails_the_list() {
    let script = Script::of([page(&[entry(1)], &more("a")), answer(403, "")]);
    let error = script.client(OLD).list_accounts().await.unwrap_err();
    assert_eq!(
        (error.kind, error.operation),
        (CallErrorKind::Forbidden, "list_companies")
    );
}

/// A platform whose accounts were created at these seconds, in their own order.
#[derive(Clone, Debug)]
struct Platform {
    made: Vec<u64>,
    filter: Filter,
    stamps: Stamps,
}

/// How times are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamps {
    /// In UTC, with milliseconds.
    Utc,
    /// In whole seconds, with an offset that goes back by an hour, so that the
    /// texts are in another order than the times.
    Offset,
}

impl Stamps {
    fn write(self, at: u64) -> String {
        let at = jiff::Timestamp::from_second(at.try_into().unwrap()).unwrap();
        match self {
            Self::Utc => format!("{at:.3}"),
            Self::Offset => {
                let hours = if at.as_second() % 3_600 < 1_800 { 2 } else { 1 };
                at.display_with_offset(jiff::tz::offset(hours)).to_string()
            }
        }
    }
}

/// How the server treats `created_after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    Exclusive,
    Inclusive,
    /// Starts in the middle of the accounts of one time.
    Halfway,
    Ignored,
    Refused,
    /// Says that there are none.
    Empty,
    /// Times are never given, not even in the list.
    Untold,
    /// The list is not ordered by time.
    Shuffled,
    /// Every page of a split-off walk but the first is refused.
    Breaking,
}

const LATENCY: Duration = Duration::from_millis(300);

impl Platform {
    fn account(&self, n: usize) -> String {
        let made = match self.filter {
            Filter::Untold => String::new(),
            _ => format!(r#","created_at":"{}""#, self.stamps.write(self.made[n])),
        };
        format!(r#"{{"id":"biz_c{n}","title":"T","owner":{{"id":"user_{n}"}}{made}}}"#)
    }

    fn serve(&self, request: &Request) -> Result<Response, TransportError> {
        let Target::Api(path) = &request.target else {
            unreachable!("nothing else is asked")
        };
        let Some((_, query)) = path.split_once('?') else {
            let n = path.trim_start_matches("/accounts/biz_c").parse().unwrap();
            return answer(200, self.account(n));
        };
        let query: BTreeMap<_, _> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let behind = query.get("created_after").map(|text| {
            // A server reads a bare plus as a blank.
            let text = text.replace('+', " ").replace("%3A", ":").replace("%2B", "+");
            let at: jiff::Timestamp = text.parse().unwrap();
            at.as_second().try_into().unwrap()
        });
        let after: Option<(u64, usize)> = query.get("after").map(|cursor| {
            let (at, n) = cursor.split_once('-').unwrap();
            (at.parse().unwrap(), n.parse().unwrap())
        });
        match (self.filter, behind) {
            (Filter::Refused, Some(_)) => return answer(400, r#"{"error":{"message":"no"}}"#),
            (Filter::Empty, Some(_)) => return page(&[], END),
            (Filter::Breaking, Some(_)) if after.is_some() => return page(&[], &more("1-1")),
            _ => {}
        }
        let rank = |n: usize| match self.filter {
            Filter::Shuffled => (n as u64 * 7919 % self.made.len() as u64, n),
            _ => (self.made[n], n),
        };
        let fits = |n: usize, at: u64| match (self.filter, behind) {
            (Filter::Exclusive | Filter::Breaking | Filter::Shuffled, Some(behind)) => at > behind,
            (Filter::Inclusive, Some(behind)) => at >= behind,
            (Filter::Halfway, Some(behind)) => at > behind || (at == behind && n % 2 == 1),
            _ => true,
        };
        let mut there: Vec<_> = (0..self.made.len())
            .filter(|n| fits(*n, self.made[*n]))
            .map(rank)
            .filter(|place| after.is_none_or(|after| *place > after))
            .collect();
        there.sort_unstable();
        let goes_on = there.len() > PAGE;
        there.truncate(PAGE);
        let entries: Vec<_> = there.iter().map(|(_, n)| self.account(*n)).collect();
        match there.last().filter(|_| goes_on) {
            Some((at, n)) => page(&entries, &more(&format!("{at}-{n}"))),
            None => page(&entries, END),
        }
    }

    /// The listing by a client that knows all of these, its requests, and the
    /// time it took.
    async fn list(&self, per_minute: u32) -> (Listing, usize, usize, Duration) {
        let platform = self.clone();
        let script = Script::slowly(LATENCY, move |_, request| platform.serve(request));
        let options = super::super::client::Options {
            per_minute: std::num::NonZeroU32::new(per_minute),
            ..Default::default()
        };
        let known = Known {
            users: (0..self.made.len())
                .map(|n| {
                    let user = KnownUser::linked(Link {
                        account: AccountId::parse(&format!("biz_c{n}")).unwrap(),
                        owner: UserId::parse(&format!("user_{n}")).unwrap(),
                    });
                    // Not ordered by time, as a platform's ids are.
                    let key = UserKey::parse(&format!("u-{}", n * 7919 % 100_003)).unwrap();
                    (key, user)
                })
                .collect(),
            ..Known::default()
        };
        let began = Instant::now();
        let client = script.client_with(NEW, options);
        let listing = client.list_accounts_beside(&known, || {}).await.unwrap();
        let pages = script
            .lines()
            .iter()
            .filter(|line| line.contains("first="))
            .count();
        (listing, pages, script.lines().len() - pages, began.elapsed())
    }

    fn ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = (0..self.made.len()).map(|n| format!("biz_c{n}")).collect();
        ids.sort();
        ids
    }
}

fn ids(listing: &Listing) -> Vec<String> {
    listing
        .accounts
        .iter()
        .map(|account| account.id.to_string())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn walks_at_once_keep_the_limit_busy() {
    for (stamps, per_minute, pages, floor) in [
        // 200 pages, 3 walks: 20 s.
        (Stamps::Utc, 600, 202, Duration::from_secs(20)),
        (Stamps::Offset, 600, 202, Duration::from_secs(20)),
        // 16 walks: 13 pages each.
        (Stamps::Utc, 0, 216, LATENCY * 13),
        (Stamps::Offset, 0, 216, LATENCY * 13),
        // The limit takes longer than the answers.
        (Stamps::Offset, 120, 200, Duration::from_secs(100)),
    ] {
        let platform = Platform {
            made: (0..10_000).map(|n| n * 60).collect(),
            filter: Filter::Exclusive,
            stamps,
        };
        let (listing, asked, moments, took) = platform.list(per_minute).await;
        assert_eq!((ids(&listing), listing.complete), (platform.ids(), true));
        assert!(asked <= pages, "{asked} pages at {per_minute}");
        assert!(moments <= SAMPLE * MOST_WALKS, "{moments}");
        let most = floor.mul_f64(2.0) + 3 * LATENCY;
        assert!(took < most, "{took:?} at {per_minute}");
    }
}

#[test]
fn one_entry_out_of_order_spoils_a_span() {
    let after = |span: Span, seconds: &[u64]| {
        let entry = |at: &u64| format!(r#"{{"created_at":"1970-01-01T00:00:{at:02}Z"}}"#);
        let entries = seconds.iter().map(|at| RawValue::from_string(entry(at)).unwrap());
        let entries: Vec<Box<RawValue>> = entries.collect();
        span.and(&entries.iter().map(|entry| &**entry).collect::<Vec<_>>())
    };
    let at = |seconds| std::time::UNIX_EPOCH + Duration::from_secs(seconds);
    let fine = [&[1, 2, 2][..], &[], &[2, 5]]
        .into_iter()
        .fold(Span::Nothing, after);
    assert!(matches!(fine, Span::Between(first, last) if (first, last) == (at(1), at(5))));
    for spoilt in [vec![4], vec![5, 7, 6, 8]] {
        assert!(matches!(after(fine, &spoilt), Span::Untold), "{spoilt:?}");
    }
}

#[test]
fn a_span_goes_by_moments_and_not_by_their_texts() {
    let page = |stamps: [&str; 2]| {
        let entry = |at| RawValue::from_string(format!(r#"{{"created_at":"{at}"}}"#)).unwrap();
        let entries = stamps.map(entry);
        Span::Nothing.and(&entries.each_ref().map(|entry| &**entry))
    };
    // Summer time ends between the two: an hour occurs twice.
    let (before, after) = ("2026-10-25T02:59:59+02:00", "2026-10-25T02:00:00+01:00");
    assert!(matches!(page([before, after]), Span::Between(first, last) if first < last));
    assert!(matches!(page([after, before]), Span::Untold));
}

#[tokio::test(start_paused = true)]
async fn a_short_list_is_walked_once() {
    let platform = Platform {
        made: (0..490).collect(),
        filter: Filter::Exclusive,
        stamps: Stamps::Offset,
    };
    let (listing, asked, moments, _) = platform.list(0).await;
    assert_eq!((ids(&listing), asked, moments), (platform.ids(), 10, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the server treats the filter, and however many accounts were
    /// created at one time: a list that is called complete is complete.
    #[test]
    fn no_account_is_lost_between_two_walks(
        filter in prop::sample::select(vec![
            Filter::Exclusive, Filter::Inclusive, Filter::Halfway, Filter::Ignored, Filter::Refused,
            Filter::Empty, Filter::Untold, Filter::Shuffled, Filter::Breaking,
        ]),
        bursts in prop::collection::vec((0..40u64, 1..400usize), 4..30),
        per_minute in prop::sample::select(vec![0, 600]),
        stamps in prop::sample::select(vec![Stamps::Utc, Stamps::Offset]),
    ) {
        let made = bursts.iter().flat_map(|(at, count)| vec![*at; *count]).collect();
        let platform = Platform { made, filter, stamps };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all().start_paused(true).build().unwrap();
        let (listing, asked, _, _) = runtime.block_on(platform.list(per_minute));
        prop_assert_eq!(ids(&listing), platform.ids());
        prop_assert!(listing.complete);
        // Broken chains cost what their walks had read.
        let alone = platform.made.len().div_ceil(PAGE);
        let most = match filter {
            // Every walk then starts at the start of the list, and with many
            // accounts of one time it reads most of it before it meets the
            // next.
            Filter::Ignored => alone * (1 + alone / LEAST_PAGES).min(MOST_WALKS),
            _ => 2 * alone + MOST_WALKS,
        };
        prop_assert!(asked <= most, "{} of {}", asked, alone);
    }
}
