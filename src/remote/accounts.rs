//! Connected accounts: `/accounts`, or `/companies` in the older dialect
//! ([accounts](crate::whop_api#accounts), [companies](crate::whop_api#companies)).

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::call::{Answered, Call, header};
use super::client::{Client, Permit};
use super::error::{CallError, CallErrorKind};
use super::operation::Operation;
use super::retry::Repeat;
use super::transport::Method;
use super::version::Version;
use super::wire::{AccountChange, SentValue, WithId, read_account};
use crate::core::model::{Account, Dialect, MetaValue, PreparedCall};
use crate::core::plan::NewAccount;
use crate::core::text::Sorted;
use crate::core::value::{AccountId, PlatformId, Title};

impl Client {
    /// Fixes the bytes of a create. The same request may be sent again later,
    /// even by another run, while Whop remembers the key (24 hours).
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
            // Without it, the company would belong to the key's own user
            // (`whop_api#companies`).
            body["parent_company_id"] = Value::from(self.platform().as_str());
        }
        PreparedCall {
            version: self.version().as_str().to_owned(),
            idempotency_key,
            body: body.to_string(),
        }
    }

    /// Creates an account. In the accounts dialect the answer may be an
    /// existing account: Whop returns the one with the same email and
    /// `metadata.external_id`.
    ///
    /// Sent in the API version it was prepared for, since in another version it
    /// would be a different request under the same key.
    ///
    /// # Errors
    /// With [`Effect::Unknown`](super::Effect::Unknown) the account may exist.
    /// If another run sent the same call before, only an error that
    /// [settles](CallError::settles) says what became of that call.
    pub async fn create_account(
        &self,
        permit: Permit,
        call: &PreparedCall,
    ) -> Result<Answered<Account>, CallError> {
        let own = self.asked(Operation::CreateAccount, self.version(), false);
        let version = Version::parse(&call.version)
            .map_err(|why| own.invalid(&format!("the prepared request's API version {why}")))?;
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

    /// Changes an account's title, its metadata, or both. The metadata must be
    /// the whole map, because Whop may replace it rather than merge it
    /// ([accounts](crate::whop_api#accounts)).
    ///
    /// # Errors
    /// Refused without a request if there is nothing to change, or if metadata
    /// is given in the companies dialect, which cannot change it.
    pub async fn update_account(
        &self,
        permit: Permit,
        id: &AccountId,
        title: Option<&Title>,
        metadata: Option<&Sorted<MetaValue>>,
    ) -> Result<Answered<Account>, CallError> {
        let asked = self.asked(Operation::UpdateAccount, self.version(), false);
        if title.is_none() && metadata.is_none() {
            return Err(asked.invalid("nothing to change"));
        }
        if metadata.is_some() && self.dialect() == Dialect::Companies {
            return Err(asked.invalid("this API version cannot change metadata"));
        }
        let change = AccountChange {
            title: title.map(Title::as_str),
            metadata: metadata.map(|map| {
                map.iter()
                    .map(|(key, value)| (&**key, SentValue(value)))
                    .collect()
            }),
        };
        let body = serde_json::to_vec(&change)
            .map_err(|why| asked.invalid(&format!("the metadata cannot be written: {why}")))?;
        let request = self.request(Method::Patch, self.account_path(id.as_str()), Some(body.into()));
        let call = self.repeatable(Operation::UpdateAccount, request);
        self.one(Some(permit), &call, Some(id)).await
    }

    /// Reads one account; `None` if it does not exist or is not visible to the
    /// key.
    ///
    /// # Errors
    /// On any answer other than the account or a 404.
    pub async fn retrieve_account(&self, id: &AccountId) -> Result<Option<Account>, CallError> {
        let request = self.request(Method::Get, self.account_path(id.as_str()), None);
        let call = self.repeatable(Operation::RetrieveAccount, request);
        match self.one(None, &call, Some(id)).await {
            Ok(answered) => Ok(Some(answered.value)),
            Err(error) if error.kind == CallErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The account that owns the key
    /// ([permissions](crate::whop_api#permissions)). The companies dialect has
    /// no endpoint for this; the new one answers in every version.
    ///
    /// # Errors
    /// A 403 means that the key is valid but lacks a scope.
    pub async fn own_account(&self) -> Result<PlatformId, CallError> {
        let request = self.request(Method::Get, "/accounts/me".to_owned(), None);
        let call = self.repeatable(Operation::OwnAccount, request);
        let answer = self.call(None, &call).await?;
        serde_json::from_slice::<WithId>(&answer.body)
            .map_err(|why| why.to_string())
            .and_then(|own| PlatformId::parse(&own.id).map_err(|why| format!("its id {why}")))
            .map_err(|why| self.about(&call).malformed(&answer, &why))
    }

    /// Sends a call that is answered with one account.
    async fn one(
        &self,
        permit: Option<Permit>,
        call: &Call<'_>,
        expected: Option<&AccountId>,
    ) -> Result<Answered<Account>, CallError> {
        let answer = self.call(permit, call).await?;
        serde_json::from_slice::<Box<RawValue>>(&answer.body)
            .map_err(|why| format!("the answer is not as documented: {why}"))
            .and_then(|entry| read_account(&entry, self.platform()))
            .and_then(|(id, account)| match account {
                Some(account) if expected.is_none_or(|expected| *expected == id) => Ok(account),
                Some(_) => Err(format!("the answer is about another account, `{id}`")),
                None => Err(format!("the answer is about `{id}`, which is not the platform's")),
            })
            .map(|account| Answered::new(account, &answer))
            .map_err(|why| self.about(call).malformed(&answer, &why))
    }

    pub(super) fn account_path(&self, id: &str) -> String {
        match self.dialect() {
            Dialect::Accounts => format!("/accounts/{id}"),
            Dialect::Companies => format!("/companies/{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Effect;
    use super::super::script::{Script, answer, body_of, header_of};
    use super::*;
    use crate::core::value::Email;

    const NEW: &str = "2026-10-15-1";
    const OLD: &str = "2025-01-01";

    fn entry(n: usize) -> String {
        format!(r#"{{"id":"biz_c{n}","title":"T{n}","owner":{{"id":"user_{n}"}}}}"#)
    }

    fn new_account() -> NewAccount {
        NewAccount {
            email: Email::parse("ana@shop.test").unwrap(),
            title: Title::parse("Ana \"R\"").unwrap(),
            metadata: Sorted::from([
                ("tier".into(), "gold".into()),
                ("external_id".into(), "u-1".into()),
            ]),
            resend: None,
            replaces: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_create_has_exactly_these_bytes() {
        for (version, line, body) in [
            (
                NEW,
                "POST /accounts",
                r#"{"email":"ana@shop.test","metadata":{"external_id":"u-1","tier":"gold"},"title":"Ana \"R\""}"#,
            ),
            (
                OLD,
                "POST /companies",
                concat!(
                    r#"{"email":"ana@shop.test","metadata":{"external_id":"u-1","tier":"gold"},"#,
                    r#""parent_company_id":"biz_p1","title":"Ana \"R\""}"#
                ),
            ),
        ] {
            let script = Script::of([answer(200, entry(1))]);
            let client = script.client(version);
            let call = client.prepare_create(&new_account(), "run-1/u-1".to_owned());
            assert_eq!((call.version.as_str(), call.body.as_str()), (version, body));
            let permit = client.admit(Operation::CreateAccount).await.unwrap();
            let account = client.create_account(permit, &call).await.unwrap().value;
            assert_eq!(account.owner.as_str(), "user_1");
            let request = &script.seen()[0];
            assert_eq!((script.lines()[0].as_str(), body_of(request)), (line, body));
            assert_eq!(header_of(request, "idempotency-key"), Some("run-1/u-1"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_prepared_in_another_version_is_sent_in_that_version() {
        let script = Script::of([answer(201, entry(1))]);
        let client = script.client(NEW);
        let mut call = client.prepare_create(&new_account(), "k".to_owned());
        call.version = "2026-09-02-1".to_owned();
        let permit = client.admit(Operation::CreateAccount).await.unwrap();
        client.create_account(permit, &call).await.unwrap();
        let request = &script.seen()[0];
        assert_eq!(header_of(request, "api-version-date"), Some("2026-09-02-1"));
        call.version = "yesterday".to_owned();
        let permit = client.admit(Operation::CreateAccount).await.unwrap();
        let error = client.create_account(permit, &call).await.unwrap_err();
        assert_eq!((error.kind, error.effect), (CallErrorKind::Refused, Effect::None));
        assert_eq!(script.seen().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_create_answered_without_an_account_may_have_made_one() {
        for body in [
            r#"{"id":"biz_p1","owner":{"id":"user_1"}}"#,
            r#"{"id":"biz_c1"}"#,
            "{}",
        ] {
            let script = Script::of([answer(201, body)]);
            let client = script.client(NEW);
            let call = client.prepare_create(&new_account(), "k".to_owned());
            let permit = client.admit(Operation::CreateAccount).await.unwrap();
            let error = client.create_account(permit, &call).await.unwrap_err();
            assert_eq!(
                (error.kind, error.effect),
                (CallErrorKind::Malformed, Effect::Unknown)
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_update_sends_changes_and_keeps_foreign_values() {
        let script = Script::by(|_, _| answer(200, entry(1)));
        let id = AccountId::parse("biz_c1").unwrap();
        let title = Title::parse("New").unwrap();
        let metadata = Sorted::from([
            ("a".into(), MetaValue::Text("é\"".into())),
            ("b".into(), MetaValue::Json("1.0000000000000000001".into())),
        ]);
        for (version, title, metadata, line, body) in [
            (
                NEW,
                Some(&title),
                Some(&metadata),
                "PATCH /accounts/biz_c1",
                r#"{"title":"New","metadata":{"a":"é\"","b":1.0000000000000000001}}"#,
            ),
            (
                NEW,
                None,
                Some(&Sorted::new()),
                "PATCH /accounts/biz_c1",
                r#"{"metadata":{}}"#,
            ),
            (
                OLD,
                Some(&title),
                None,
                "PATCH /companies/biz_c1",
                r#"{"title":"New"}"#,
            ),
        ] {
            let client = script.client(version);
            let permit = client.admit(Operation::UpdateAccount).await.unwrap();
            client.update_account(permit, &id, title, metadata).await.unwrap();
            let last = script.seen().pop().unwrap();
            assert_eq!(
                (script.lines().pop().unwrap().as_str(), body_of(&last)),
                (line, body)
            );
            assert_eq!(header_of(&last, "idempotency-key"), None);
        }
        let sent = script.seen().len();
        let broken = Sorted::from([("a".into(), MetaValue::Json("{".into()))]);
        for (version, metadata) in [(NEW, None), (OLD, Some(&metadata)), (NEW, Some(&broken))] {
            let client = script.client(version);
            let permit = client.admit(Operation::UpdateAccount).await.unwrap();
            let error = client
                .update_account(permit, &id, None, metadata)
                .await
                .unwrap_err();
            assert_eq!((error.kind, error.effect), (CallErrorKind::Refused, Effect::None));
        }
        assert_eq!(script.seen().len(), sent, "refused without a request");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_about_another_account_is_refused() {
        let script = Script::of([answer(200, entry(2)), answer(404, "")]);
        let client = script.client(NEW);
        let id = AccountId::parse("biz_c1").unwrap();
        let error = client.retrieve_account(&id).await.unwrap_err();
        assert_eq!(error.kind, CallErrorKind::Malformed);
        assert_eq!(client.retrieve_account(&id).await, Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_keys_own_account() {
        let script = Script::of([
            answer(200, r#"{"id":"biz_p2"}"#),
            answer(200, r#"{"id":"user_1"}"#),
        ]);
        let client = script.client(NEW);
        assert_eq!(client.own_account().await.unwrap().as_str(), "biz_p2");
        let error = client.own_account().await.unwrap_err();
        assert_eq!(error.kind, CallErrorKind::Malformed);
        assert_eq!(script.lines()[0], "GET /accounts/me");
    }
}
