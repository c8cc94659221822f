//! Lists connected accounts ([accounts](crate::whop_api#accounts),
//! [companies](crate::whop_api#companies)), in one walk from the oldest to the
//! newest or, if latency would dominate, in several at once.
//!
//! A cursor only names the next page, so a walk has one request in flight; if
//! latency exceeds the limit's pace, the walk mostly waits. Then further walks
//! start in the middle: the creation times of some accounts in the mapping are
//! requested, and a walk starts at each time that splits them evenly
//! (`created_after`).
//!
//! Whether that filter works as documented only affects the speed. Correctness
//! rests, as for a single walk, on pages following each other in the list: a
//! walk ends when it has reached an account created *later* than the first one
//! of the next walk, so everything between the two was on a page of one of
//! them, in whatever order accounts of the same time appear. The list is
//! complete if such a chain leads from its start to a page that says it is the
//! last. If the chain breaks (a refused filter, a list in another order, a page
//! that leads nowhere), the first walk continues alone, as if there had been no
//! others.
//!
//! Each further walk costs about one extra page, where two of them overlap, and
//! four requests for times. Few enough are made for this to stay small compared
//! with the list.

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
use super::wire::{CreationTime, kept, read_account};
use crate::core::model::{Account, Dialect, Known};
use crate::core::text::{KeyLists, fingerprint};
use crate::core::value::AccountId;

/// Entries per page: the most that the API gives
/// ([accounts](crate::whop_api#accounts)).
const PAGE: usize = 50;

/// The least number of pages for which a walk pays off.
const LEAST_PAGES: usize = 10;

/// More walks at once gain little, whatever the latency.
const MOST_WALKS: usize = 16;

/// Times requested per walk. The longest of a few parts is then about one and a
/// half times as long as necessary, of many twice.
const SAMPLE: usize = 4;

/// The most memory for the accounts of a walk, in bytes: this much per account,
/// several times what a real one takes, plus a fixed amount for a few large
/// ones. An endless list is detected long before memory is exhausted.
const EACH: usize = 4 * 1024;
const BESIDES: usize = 16 << 20;

/// Latency beyond the limit's pace that does not justify a walk.
const WORTH: Duration = Duration::from_millis(5);

/// The platform's connected accounts, as far as they could be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The accounts, sorted by id, each once, without the platform itself.
    pub accounts: Vec<Account>,
    /// Whether the list is complete. From an incomplete list, nothing may be
    /// concluded about missing accounts.
    pub complete: bool,
}

impl Client {
    /// Lists all connected accounts of the platform, 50 per request, oldest
    /// first, so that accounts created meanwhile appear at the end.
    ///
    /// # Errors
    /// If a call fails, or the id or owner of an account cannot be read:
    /// leaving it out would let it be created again.
    pub async fn list_accounts(&self) -> Result<Listing, CallError> {
        self.list_accounts_beside(&Known::default(), || {}).await
    }

    /// Like [`Client::list_accounts`], if some accounts are known: then the
    /// list may be read in several places at once. `goes_on` is called after
    /// the first page, unless it is the only one.
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
            // The order does not matter here.
            first.span = Span::Untold;
            let (walk, end) = first.go(0, &Starts::default()).await?;
            return Ok(whole([walk], end == End::Reached { complete: true }));
        }
        let sample = known.users.len().div_ceil(SAMPLE * walks);
        let sample = known.users.values().step_by(sample);
        let sample: Vec<_> = sample.map(|user| user.link.account.clone()).collect();
        Chain::new(first, walks).follow(sample).await
    }

    /// How many walks use up the limit at this latency, as far as the list is
    /// long enough.
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

    /// The path of the first page, of accounts created after a time if given,
    /// or of the page after a cursor.
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

    /// When an account was created, and Whop's text of it; `None` if that is
    /// unknown for any reason.
    async fn made(&self, id: &AccountId) -> Option<(SystemTime, String)> {
        let request = self.request(Method::Get, self.account_path(id.as_str()), None);
        let call = self.repeatable(Operation::RetrieveAccount, request);
        let answer = self.call(None, &call).await.ok()?;
        let made: CreationTime = serde_json::from_slice(&answer.body).ok()?;
        Some((made.at()?, made.created_at?))
    }
}

/// The accounts that the walks found, each once.
fn whole(walks: impl IntoIterator<Item = Walk>, complete: bool) -> Listing {
    // Appended to the first one's, which are the most: a million are not
    // copied.
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

/// Sorts by id; if an account was listed twice, keeps the last.
fn each_once(mut accounts: Vec<Account>) -> Vec<Account> {
    // The sort is stable and `dedup_by` keeps the first of equals, so the last
    // must come first.
    accounts.reverse();
    accounts.sort_by(|a, b| a.id.cmp(&b.id));
    accounts.dedup_by(|a, b| a.id == b.id);
    accounts
}

/// A page of a list. Entries are parsed one by one, so that a bad one can be
/// named, and borrow from the answer: a page may be as large as an answer, and
/// there is one per walk.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    page_info: PageInfo,
}

/// Pages that follow each other.
struct Walk {
    client: Client,
    /// The time after which it starts; `None` for the start of the list.
    behind: Option<String>,
    cursor: Option<String>,
    pages: Pages,
    /// The fingerprints of the ids on its pages.
    seen: HashSet<u64>,
    /// The metadata keys that its accounts have.
    lists: KeyLists,
    accounts: Vec<Account>,
    /// The memory of its accounts, in bytes.
    kept: usize,
    span: Span,
}

/// The range of creation times in a walk.
#[derive(Clone, Copy)]
enum Span {
    /// No account yet.
    Nothing,
    Between(SystemTime, SystemTime),
    /// Unknown, or not in order.
    Untold,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// At the end of the list, or where it could not be followed.
    Reached { complete: bool },
    /// Beyond the start of the next walk.
    Met,
    /// It did not start, or the list is in another order.
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

    /// Continues walk number `number` until it meets the next one.
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
                // The first one needs no order while it is alone.
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
    /// Extends the range by a page. Every entry is checked, because the order
    /// is the proof that no account was left out.
    fn and(self, page: &[&RawValue]) -> Self {
        page.iter().fold(self, |span, entry| {
            if matches!(span, Self::Untold) {
                return span;
            }
            let made = serde_json::from_str::<CreationTime>(entry.get()).ok();
            match (span, made.and_then(|made| made.at())) {
                (Self::Nothing, Some(at)) => Self::Between(at, at),
                (Self::Between(first, last), Some(at)) if last <= at => Self::Between(first, at),
                _ => Self::Untold,
            }
        })
    }
}

/// When the first account of each walk was created, as far as is known.
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

    /// Sets the number of walks; with none, no walk meets another.
    fn expect(&self, walks: usize) {
        *self.lock() = vec![None; walks];
    }

    /// Only changed in complete steps.
    fn lock(&self) -> MutexGuard<'_, Vec<Option<SystemTime>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Walks that should meet.
struct Chain {
    client: Client,
    starts: Arc<Starts>,
    head: Pin<Box<dyn Future<Output = Walked> + Send>>,
    /// By number; the first is the head.
    ended: Vec<Option<Walked>>,
}

/// How far a chain holds.
enum Hold {
    /// Not known yet.
    Open,
    /// To the end of the list, by this walk.
    Whole(usize),
    Broken,
}

impl Chain {
    /// Of at most this many walks, the first of which has started.
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

    /// Splits the list by the creation times of some accounts, and follows it.
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

    /// Starts a walk after each time.
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
        // The last walk has no next one to meet.
        if is_split { Hold::Broken } else { Hold::Open }
    }

    /// The accounts that the walks up to this one found.
    fn joined(self, last: usize) -> Listing {
        let walks = self.ended.into_iter().take(last + 1).flatten().flatten();
        whole(walks.map(|(walk, _)| walk), true)
    }

    /// Follows the first walk to its end.
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

/// The first walk, continuing alone.
fn head(walk: Walk, starts: &Arc<Starts>) -> Pin<Box<dyn Future<Output = Walked> + Send>> {
    let starts = Arc::clone(starts);
    Box::pin(async move { walk.go(0, &starts).await })
}

/// Times that split a list into this many parts of similar length, from the
/// creation times of some accounts. Fewer if those are unknown or often equal.
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
