//! The list of connected accounts ([accounts](crate::whop_api#accounts),
//! [companies](crate::whop_api#companies)), in one walk from the
//! oldest to the newest or, where that would only wait for answers, in several
//! at once.
//!
//! A cursor names the next page only, so one walk has one request on its way,
//! and at a latency above the limit's pace the latency is what waits. Then
//! further walks begin in the middle: some of the accounts that the mapping
//! knows are asked when they were made, and a walk begins behind each moment
//! that splits those evenly (`created_after`).
//!
//! Whether that filter does what it says decides only how much is gained. What
//! is concluded rests on what one walk rests on, that its pages follow each
//! other in the list: a walk ends when it has come to an account that was made
//! *later* than the first one of the walk before it, so whatever lies between
//! the two was on a page of one of them, in whatever order accounts of one
//! moment come. The list is whole when such a chain leads from its beginning to
//! a page that says it is the last. Where the chain breaks (a filter that is
//! refused, a list in another order, a page that leads nowhere), the first walk
//! goes on alone, as if there had been no other.
//!
//! Each walk beyond the first costs about one page more, where two of them
//! overlap, and four questions for moments; so few are made that this stays
//! small beside the list.

use std::collections::HashSet;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::client::Client;
use super::error::{CallError, CallErrorKind, Effect};
use super::operation::Operation;
use super::query::{PageInfo, Pages, Turn, path};
use super::transport::Method;
use super::wire::{Made, kept, read_account};
use crate::core::model::{Account, Dialect, Known};
use crate::core::text::{KeyLists, fingerprint};
use crate::core::value::AccountId;

/// Entries of a page: the most that the API gives ([accounts](crate::whop_api#accounts)).
const PAGE: usize = 50;

/// A walk has at least this many pages to itself, or it does not pay.
const LEAST_PAGES: usize = 10;

/// More walks at once than this gain little, whatever the latency.
const MOST_WALKS: usize = 16;

/// Moments asked for each walk: the longest of a few parts is then about one and
/// a half times as long as it had to be, of many twice.
const SAMPLE: usize = 4;

/// What the accounts of a walk may take together, in bytes: so much for each,
/// which is several times what a real one has, and so much besides for a few
/// large ones. A list without end is noticed long before memory is.
const EACH: usize = 4 * 1024;
const BESIDES: usize = 16 << 20;

/// What every answer takes besides the limit's pace is not worth a walk.
const WORTH: Duration = Duration::from_millis(5);

/// The platform's connected accounts, as far as they could be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The accounts, sorted by id, each once, without the platform itself.
    pub accounts: Vec<Account>,
    /// Whether these are all. From an incomplete list nothing may be
    /// concluded about what is missing in it.
    pub complete: bool,
}

impl Client {
    /// Lists all connected accounts of the platform, 50 a request, oldest
    /// first: accounts that are created meanwhile appear at the end.
    ///
    /// # Errors
    /// Any call that fails, and an account of which id or owner cannot be
    /// read: it is somebody's, and leaving it out would have it made again.
    pub async fn list_accounts(&self) -> Result<Listing, CallError> {
        self.list_accounts_beside(&Known::default(), || {}).await
    }

    /// The same, for whom some of the accounts are known: then the list may be
    /// read in several places at once. `goes_on` is called when the first page
    /// is there and is not all.
    ///
    /// # Errors
    /// As [`Client::list_accounts`].
    pub async fn list_accounts_beside(
        &self,
        known: &Known,
        goes_on: impl FnOnce(),
    ) -> Result<Listing, CallError> {
        let began = Instant::now();
        let mut first = Walk::new(self.clone(), None);
        if let Turn::End { complete } = first.page().await? {
            return Ok(whole([first], complete));
        }
        goes_on();
        let walks = self.walks(began.elapsed(), known.users.len());
        if walks == 1 {
            // Nobody asks for its order.
            first.span = Span::Untold;
            let (walk, end) = first.go(0, &Starts::default()).await?;
            return Ok(whole([walk], end == End::Reached { complete: true }));
        }
        let sample = known.users.len().div_ceil(SAMPLE * walks);
        let sample = known.users.values().step_by(sample);
        let sample: Vec<_> = sample.map(|user| user.link.account.clone()).collect();
        Chain::new(first, walks).follow(sample).await
    }

    /// How many walks keep the limit busy at this latency, as far as the list
    /// is long enough for them.
    fn walks(&self, latency: Duration, accounts: usize) -> usize {
        let pace = self
            .per_second(Operation::ListAccounts)
            .map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate));
        if latency <= pace + WORTH {
            return 1;
        }
        let busy = (latency.as_secs_f64() / pace.as_secs_f64().max(1e-9)).ceil();
        let worth = accounts / (PAGE * LEAST_PAGES);
        (busy as usize).min(worth).clamp(1, MOST_WALKS)
    }

    /// The first page of a list, of the accounts made behind a moment if there
    /// is one, or the page after a cursor.
    pub(super) fn list_path(&self, behind: Option<&str>, after: Option<&str>) -> String {
        let (at, parent) = match self.dialect() {
            Dialect::Accounts => ("/accounts", "parent_account_id"),
            Dialect::Companies => ("/companies", "parent_company_id"),
        };
        let mut query = vec![
            (parent, self.platform().as_str()),
            ("first", "50"),
            ("direction", "asc"),
        ];
        query.extend(behind.map(|moment| ("created_after", moment)));
        query.extend(after.map(|cursor| ("after", cursor)));
        path(at, &query)
    }

    /// When an account was made, and how Whop writes that; `None` where it
    /// does not say, for whatever reason.
    async fn made(&self, id: &AccountId) -> Option<(SystemTime, String)> {
        let request = self.request(Method::Get, self.account_path(id.as_str()), None);
        let call = self.repeatable(Operation::RetrieveAccount, request);
        let answer = self.call(None, &call).await.ok()?;
        let made: Made = serde_json::from_slice(&answer.body).ok()?;
        Some((made.at()?, made.created_at?))
    }
}

/// What the walks found, each account once.
fn whole(walks: impl IntoIterator<Item = Walk>, complete: bool) -> Listing {
    // Behind the first one's, which are most: a million are not copied.
    let accounts = walks.into_iter().map(|walk| walk.accounts);
    let accounts = accounts.reduce(|mut all, mut more| {
        all.append(&mut more);
        all
    });
    Listing {
        accounts: each_once(accounts.unwrap_or_default()),
        complete,
    }
}

/// Sorted by id; of an account that was listed twice, as it was last.
fn each_once(mut accounts: Vec<Account>) -> Vec<Account> {
    accounts.reverse();
    accounts.sort_by(|a, b| a.id.cmp(&b.id));
    accounts.dedup_by(|a, b| a.id == b.id);
    accounts
}

/// One page of a list. Entries are read one by one, so that a bad one can be
/// named, and where they stand in the answer: a page may be as large as an
/// answer can be, and there is one for each walk.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    page_info: PageInfo,
}

/// Pages that follow each other.
struct Walk {
    client: Client,
    /// The moment behind which it begins; `None` for the list's beginning.
    behind: Option<String>,
    cursor: Option<String>,
    pages: Pages,
    /// The fingerprints of the ids that were on its pages.
    seen: HashSet<u64>,
    /// The metadata keys that its accounts have.
    lists: KeyLists,
    accounts: Vec<Account>,
    /// What the accounts take, in bytes.
    kept: usize,
    span: Span,
}

/// From when to when the accounts of a walk were made.
#[derive(Clone, Copy)]
enum Span {
    /// There was none yet.
    Nothing,
    Between(SystemTime, SystemTime),
    /// Not told, or not in this order.
    Untold,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The list ended, or could not be followed further.
    Reached { complete: bool },
    /// Beyond the beginning of the next walk.
    Met,
    /// Began nowhere, or in a list of another order.
    Astray,
}

type Walked = Result<(Walk, End), CallError>;

impl Walk {
    fn new(client: Client, behind: Option<String>) -> Self {
        Self {
            client,
            behind,
            cursor: None,
            pages: Pages::default(),
            seen: HashSet::new(),
            lists: KeyLists::default(),
            accounts: Vec::new(),
            kept: 0,
            span: Span::Nothing,
        }
    }

    /// Reads the next page.
    async fn page(&mut self) -> Result<Turn, CallError> {
        let client = &self.client;
        let path = client.list_path(self.behind.as_deref(), self.cursor.as_deref());
        let call = client.repeatable(Operation::ListAccounts, client.request(Method::Get, path, None));
        let answer = client.call(None, &call).await?;
        let page: Page<'_> = client.read(&call, &answer)?;
        let before = self.seen.len();
        let malformed = |why: &str| {
            let about = client.about(&call);
            about.failed(CallErrorKind::Malformed, why, Effect::None)
        };
        for entry in &page.data {
            let (id, account) = read_account(entry, client.platform()).map_err(|why| malformed(&why))?;
            if let Some(mut account) = account {
                self.kept += kept(&account);
                self.lists.share(&mut account.metadata);
                self.accounts.push(account);
            }
            self.seen.insert(fingerprint(&id));
        }
        let (taken, count) = (self.kept, self.accounts.len());
        if taken > BESIDES + EACH * count {
            return Err(malformed(&format!(
                "the titles and metadata of the first {count} accounts take {taken} bytes, more than can be \
                 managed; shorten them on Whop"
            )));
        }
        self.span = self.span.and(&page.data);
        let turn = self
            .pages
            .turn(page.page_info, page.data.len(), self.seen.len() - before);
        if let Turn::Page(cursor) = &turn {
            self.cursor = Some(cursor.clone());
        }
        Ok(turn)
    }

    /// Walks on, as the one of this number, until it meets the next one.
    async fn go(mut self, number: usize, starts: &Starts) -> Walked {
        loop {
            if let Span::Between(_, last) = self.span
                && starts.of(number + 1).is_some_and(|start| last > start)
            {
                return Ok((self, End::Met));
            }
            let turn = self.page().await?;
            match self.span {
                Span::Between(first, _) => starts.note(number, first),
                // The first one needs no order as long as it is alone.
                _ if number > 0 => return Ok((self, End::Astray)),
                _ => {}
            }
            if let Turn::End { complete } = turn {
                return Ok((self, End::Reached { complete }));
            }
        }
    }
}

impl Span {
    /// This and a page more. Every entry is looked at: what the order proves is
    /// that nobody was left out.
    fn and(self, page: &[&RawValue]) -> Self {
        page.iter().fold(self, |span, entry| {
            if matches!(span, Self::Untold) {
                return span;
            }
            let made = serde_json::from_str::<Made>(entry.get()).ok();
            match (span, made.and_then(|made| made.at())) {
                (Self::Nothing, Some(at)) => Self::Between(at, at),
                (Self::Between(first, last), Some(at)) if last <= at => Self::Between(first, at),
                _ => Self::Untold,
            }
        })
    }
}

/// When the first account of each walk was made, as far as they have come.
#[derive(Default)]
struct Starts(Mutex<Vec<Option<SystemTime>>>);

impl Starts {
    fn of(&self, number: usize) -> Option<SystemTime> {
        self.lock().get(number).copied().flatten()
    }

    fn note(&self, number: usize, start: SystemTime) {
        if let Some(place) = self.lock().get_mut(number) {
            *place = Some(start);
        }
    }

    /// So many walks there are; with none, nobody meets anybody.
    fn expect(&self, walks: usize) {
        *self.lock() = vec![None; walks];
    }

    /// Only ever changed by whole steps.
    fn lock(&self) -> MutexGuard<'_, Vec<Option<SystemTime>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Walks that are to meet each other.
struct Chain {
    client: Client,
    starts: Arc<Starts>,
    head: Pin<Box<dyn Future<Output = Walked> + Send>>,
    /// By number; the head is the first.
    ended: Vec<Option<Walked>>,
}

/// How far a chain holds.
enum Hold {
    /// It is not known yet.
    Open,
    /// To the end of the list, by this walk.
    Whole(usize),
    Broken,
}

impl Chain {
    /// Of at most so many walks, of which the first has begun.
    fn new(first: Walk, walks: usize) -> Self {
        let client = first.client.clone();
        let starts = Arc::<Starts>::default();
        Self {
            client,
            head: head(first, &starts),
            starts,
            ended: (0..walks).map(|_| None).collect(),
        }
    }

    /// Splits the list by when some accounts were made, and follows it.
    async fn follow(mut self, sample: Vec<AccountId>) -> Result<Listing, CallError> {
        let client = self.client.clone();
        let mut splitting = pin!(split(&client, sample, self.ended.len()));
        let mut walking = JoinSet::new();
        let mut is_split = false;
        loop {
            match self.hold(is_split) {
                Hold::Open => {}
                Hold::Whole(last) => return Ok(self.joined(last)),
                Hold::Broken => return self.alone().await,
            }
            tokio::select! {
                walked = &mut self.head, if self.ended[0].is_none() => self.ended[0] = Some(walked),
                moments = &mut splitting, if !is_split => {
                    is_split = true;
                    self.begin(moments, &mut walking);
                }
                Some(walked) = walking.join_next() => {
                    let (number, walked): (usize, Walked) =
                        walked.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()));
                    self.ended[number] = Some(walked);
                }
            }
        }
    }

    /// Begins a walk behind each moment.
    fn begin(&mut self, moments: Vec<String>, walking: &mut JoinSet<(usize, Walked)>) {
        self.ended.truncate(moments.len() + 1);
        self.starts.expect(self.ended.len());
        for (number, moment) in (1..).zip(moments) {
            let (client, starts) = (self.client.clone(), Arc::clone(&self.starts));
            let walk = async move { (number, Walk::new(client, Some(moment)).go(number, &starts).await) };
            walking.spawn(walk.in_current_span());
        }
    }

    fn hold(&self, is_split: bool) -> Hold {
        for (number, ended) in self.ended.iter().enumerate() {
            match ended {
                None => return Hold::Open,
                Some(Ok((_, End::Met))) => {}
                Some(Ok((_, End::Reached { complete: true }))) => return Hold::Whole(number),
                Some(_) => return Hold::Broken,
            }
        }
        // The last walk meets nobody.
        if is_split { Hold::Broken } else { Hold::Open }
    }

    /// What the walks up to this one found.
    fn joined(self, last: usize) -> Listing {
        let walks = self.ended.into_iter().take(last + 1).flatten().flatten();
        whole(walks.map(|(walk, _)| walk), true)
    }

    /// The first walk to its end.
    async fn alone(mut self) -> Result<Listing, CallError> {
        self.starts.expect(0);
        let (walk, end) = match self.ended[0].take() {
            Some(Ok((walk, End::Met))) => head(walk, &self.starts).await?,
            Some(ended) => ended?,
            None => self.head.await?,
        };
        Ok(whole([walk], end == End::Reached { complete: true }))
    }
}

/// The first walk, going on by itself.
fn head(walk: Walk, starts: &Arc<Starts>) -> Pin<Box<dyn Future<Output = Walked> + Send>> {
    let starts = Arc::clone(starts);
    Box::pin(async move { walk.go(0, &starts).await })
}

/// Moments that split a list in so many parts of about the same length, by
/// when some of its accounts were made. Fewer where that is not told, or where
/// many were made at one moment.
async fn split(client: &Client, sample: Vec<AccountId>, parts: usize) -> Vec<String> {
    let mut asking = JoinSet::new();
    for id in sample {
        let client = client.clone();
        asking.spawn(async move { client.made(&id).await }.in_current_span());
    }
    let mut made: Vec<_> = asking.join_all().await.into_iter().flatten().collect();
    made.sort_unstable();
    let mut moments: Vec<_> = (1..parts)
        .filter_map(|part| made.get(made.len() * part / parts))
        .collect();
    moments.dedup_by_key(|(at, _)| *at);
    moments.into_iter().map(|(_, text)| text.clone()).collect()
}

#[cfg(test)]
mod tests;
