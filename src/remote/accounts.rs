//! Connected accounts: `/accounts`, or `/companies` in the older dialect
//! (`whop-api.md` §3, §4).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::client::{Call, Client, Permit, header};
use super::error::{CallError, CallErrorKind};
use super::operation::Operation;
use super::query::{PageInfo, Pages, Turn, path};
use super::retry::Repeat;
use super::transport::Method;
use super::version::Version;
use crate::core::model::{Account, Dialect, MetaValue, PreparedCall};
use crate::core::plan::NewAccount;
use crate::core::value::{AccountId, PlatformId, Title, UserId};

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
        let mut accounts: BTreeMap<AccountId, Option<Account>> = BTreeMap::new();
        let mut pages = Pages::default();
        let mut cursor = None;
        loop {
            let path = self.list_path(cursor.as_deref());
            let call = self.repeatable(Operation::ListAccounts, self.request(Method::Get, path, None));
            let page: Page = self.fetch(None, &call).await?;
            let before = accounts.len();
            for entry in &page.data {
                let (id, account) = self.listed(entry).map_err(|why| {
                    self.about(&call)
                        .failed(CallErrorKind::Malformed, &why, super::Effect::None)
                })?;
                accounts.insert(id, account);
            }
            match pages.turn(page.page_info, page.data.len(), accounts.len() - before) {
                Turn::Page(next) => cursor = Some(next),
                Turn::End { complete } => {
                    let accounts = accounts.into_values().flatten().collect();
                    return Ok(Listing { accounts, complete });
                }
            }
        }
    }

    /// Fixes a create to the byte. The same request may be sent again later,
    /// even by another run, as long as Whop remembers the key (24 hours).
    pub fn prepare_create(&self, account: &NewAccount, idempotency_key: String) -> PreparedCall {
        let metadata: serde_json::Map<String, Value> = account
            .metadata
            .iter()
            .map(|(key, value)| (key.to_string(), Value::from(&**value)))
            .collect();
        let mut body = json!({
            "email": account.email.as_str(),
            "title": account.title.as_str(),
            "metadata": metadata,
        });
        if self.dialect() == Dialect::Companies {
            // Without it the company would belong to the key's own user
            // (`whop-api.md` §4).
            body["parent_company_id"] = Value::from(self.platform().as_str());
        }
        PreparedCall {
            version: self.version().as_str().to_owned(),
            idempotency_key,
            body: body.to_string(),
        }
    }

    /// Creates an account. In the accounts dialect the answer may be an
    /// account that existed: Whop returns the one with the same email and
    /// `metadata.external_id`.
    ///
    /// Sent in the version it was prepared for, since another one would be
    /// another request under the same key.
    ///
    /// # Errors
    /// With [`Effect::Unknown`](super::Effect::Unknown) the account may exist.
    /// Where the same call was sent before by another run, only an error that
    /// [settles](CallError::settles) says what became of that.
    pub async fn create_account(&self, permit: Permit, call: &PreparedCall) -> Result<Account, CallError> {
        let own = self.asked(Operation::CreateAccount, self.version(), false);
        let version = Version::parse(&call.version)
            .map_err(|why| own.nonsense(&format!("the prepared request's API version {why}")))?;
        let (at, repeat) = match version.dialect() {
            Dialect::Accounts => ("/accounts", Repeat::Safe),
            Dialect::Companies => ("/companies", Repeat::OnlyIfUndone),
        };
        let body = Bytes::copy_from_slice(call.body.as_bytes());
        let mut request = self.request_in(&version, Method::Post, at.to_owned(), Some(body));
        request
            .headers
            .push(header("idempotency-key", &call.idempotency_key));
        let call = Call {
            operation: Operation::CreateAccount,
            version: &version,
            repeat,
            request,
        };
        self.one(Some(permit), &call, None).await
    }

    /// Changes an account's title, its metadata, or both. The metadata is the
    /// whole map: Whop may replace rather than merge (`whop-api.md` §3).
    ///
    /// # Errors
    /// Nothing to change, or metadata in the companies dialect, which cannot
    /// change it: refused without a request.
    pub async fn update_account(
        &self,
        permit: Permit,
        id: &AccountId,
        title: Option<&Title>,
        metadata: Option<&BTreeMap<Box<str>, MetaValue>>,
    ) -> Result<Account, CallError> {
        let asked = self.asked(Operation::UpdateAccount, self.version(), false);
        if title.is_none() && metadata.is_none() {
            return Err(asked.nonsense("nothing to change"));
        }
        if metadata.is_some() && self.dialect() == Dialect::Companies {
            return Err(asked.nonsense("this API version cannot change metadata"));
        }
        let change = AccountChange {
            title: title.map(Title::as_str),
            metadata: metadata.map(|map| map.iter().map(|(key, value)| (&**key, Written(value))).collect()),
        };
        let body = serde_json::to_vec(&change)
            .map_err(|why| asked.nonsense(&format!("the metadata cannot be written: {why}")))?;
        let request = self.request(Method::Patch, self.account_path(id.as_str()), Some(body.into()));
        let call = self.repeatable(Operation::UpdateAccount, request);
        self.one(Some(permit), &call, Some(id)).await
    }

    /// Looks at one account; `None` if there is none of this id, or it is not
    /// visible to the key.
    ///
    /// # Errors
    /// Any other answer than the account or a 404.
    pub async fn retrieve_account(&self, id: &AccountId) -> Result<Option<Account>, CallError> {
        let request = self.request(Method::Get, self.account_path(id.as_str()), None);
        let call = self.repeatable(Operation::RetrieveAccount, request);
        match self.one(None, &call, Some(id)).await {
            Ok(account) => Ok(Some(account)),
            Err(error) if error.kind == CallErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The account that owns the key (`whop-api.md` §9). The companies dialect
    /// has no such question of its own; new endpoints answer in every version.
    ///
    /// # Errors
    /// A 403 here means that the key is valid but lacks a scope.
    pub async fn own_account(&self) -> Result<PlatformId, CallError> {
        let request = self.request(Method::Get, "/accounts/me".to_owned(), None);
        let call = self.repeatable(Operation::OwnAccount, request);
        let answer = self.call(None, &call).await?;
        serde_json::from_slice::<Named>(&answer.body)
            .map_err(|why| why.to_string())
            .and_then(|own| PlatformId::parse(&own.id).map_err(|why| format!("its id {why}")))
            .map_err(|why| self.about(&call).malformed(&answer, &why))
    }

    /// A call that answers with one account.
    async fn one(
        &self,
        permit: Option<Permit>,
        call: &Call<'_>,
        expected: Option<&AccountId>,
    ) -> Result<Account, CallError> {
        let answer = self.call(permit, call).await?;
        serde_json::from_slice::<Box<RawValue>>(&answer.body)
            .map_err(|why| format!("the answer is not as documented: {why}"))
            .and_then(|entry| self.listed(&entry))
            .and_then(|(id, account)| match account {
                Some(account) if expected.is_none_or(|expected| *expected == id) => Ok(account),
                Some(_) => Err(format!("the answer is about another account, `{id}`")),
                None => Err(format!("the answer is about `{id}`, which is not the platform's")),
            })
            .map_err(|why| self.about(call).malformed(&answer, &why))
    }

    fn account_path(&self, id: &str) -> String {
        match self.dialect() {
            Dialect::Accounts => format!("/accounts/{id}"),
            Dialect::Companies => format!("/companies/{id}"),
        }
    }

    fn list_path(&self, after: Option<&str>) -> String {
        let (at, parent) = match self.dialect() {
            Dialect::Accounts => ("/accounts", "parent_account_id"),
            Dialect::Companies => ("/companies", "parent_company_id"),
        };
        let mut query = vec![
            (parent, self.platform().as_str()),
            ("first", "50"),
            ("direction", "asc"),
        ];
        query.extend(after.map(|cursor| ("after", cursor)));
        path(at, &query)
    }

    /// Reads one account. Its content is `None` for the platform itself and
    /// for one that says it belongs to another platform: neither is a user.
    fn listed(&self, entry: &RawValue) -> Result<(AccountId, Option<Account>), String> {
        let Named { id } = serde_json::from_str(entry.get())
            .map_err(|why| format!("an account without a usable id: {why}"))?;
        let about = |why: String| format!("account `{id}`: {why}");
        let id = AccountId::parse(&id).map_err(|why| about(format!("its id {why}")))?;
        if self.platform().is(&id) {
            return Ok((id, None));
        }
        let body: AccountBody = serde_json::from_str(entry.get()).map_err(|why| about(why.to_string()))?;
        let parent = body.parent_account.get("id").and_then(Value::as_str);
        if parent.is_some_and(|parent| parent != self.platform().as_str()) {
            return Ok((id, None));
        }
        let account = body.into_account(id.clone()).map_err(about)?;
        Ok((id, Some(account)))
    }
}

/// One page of a list. Entries are read one by one, so that a bad one can be
/// named.
#[derive(Deserialize)]
struct Page {
    data: Vec<Box<RawValue>>,
    page_info: PageInfo,
}

/// The one part that everything has.
#[derive(Deserialize)]
struct Named {
    id: String,
}

/// The parts we read of an account, in either dialect.
#[derive(Deserialize)]
struct AccountBody {
    #[serde(default)]
    title: Option<Box<str>>,
    #[serde(default)]
    email: Option<Box<str>>,
    #[serde(default)]
    metadata: Option<BTreeMap<Box<str>, Box<RawValue>>>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    owner: Option<Named>,
    /// The companies dialect's name of `owner`.
    #[serde(default)]
    owner_user: Option<Named>,
    /// An object with an id, null, or not there at all.
    #[serde(default)]
    parent_account: Value,
}

impl AccountBody {
    fn into_account(self, id: AccountId) -> Result<Account, String> {
        let owner = self
            .owner
            .or(self.owner_user)
            .ok_or("it has no owner, so its user cannot be known")?;
        let metadata = self.metadata.unwrap_or_default();
        Ok(Account {
            id,
            owner: UserId::parse(&owner.id).map_err(|why| format!("its owner's id {why}"))?,
            email: self.email,
            title: self.title.unwrap_or_default(),
            metadata: metadata
                .into_iter()
                .map(|(key, value)| (key, read_meta(&value)))
                .collect(),
            suspended: self.status.as_deref() == Some("suspended"),
        })
    }
}

/// A text as such, anything else as it was written.
fn read_meta(value: &RawValue) -> MetaValue {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => MetaValue::Text(text.into()),
        Err(_) => MetaValue::Json(value.get().into()),
    }
}

/// What a change of an account sends (`whop-openapi.yaml`, `UpdateAccount`
/// and `UpdateCompany`).
#[derive(Serialize)]
struct AccountChange<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<BTreeMap<&'a str, Written<'a>>>,
}

/// A metadata value as it is sent: what others wrote goes back unchanged.
struct Written<'a>(&'a MetaValue);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            MetaValue::Text(text) => serializer.serialize_str(text),
            MetaValue::Json(json) => serde_json::from_str::<&RawValue>(json)
                .map_err(serde::ser::Error::custom)?
                .serialize(serializer),
        }
    }
}
