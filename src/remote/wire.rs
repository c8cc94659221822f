//! The JSON of accounts. Both dialects use the same struct: what one lacks is
//! optional, and unknown fields are ignored, as Whop asks of clients
//! ([versions](crate::whop_api#versions)).

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::date::moment;
use crate::core::model::{Account, MetaValue};
use crate::core::text::{Sorted, Text};
use crate::core::value::{AccountId, PlatformId, UserId};

/// The most that is kept of an account, in bytes: its title, its email and its
/// metadata, which is sent along with changes and so must be complete. Whop
/// documents no limit; what it documents for metadata elsewhere, 50 keys of 100
/// characters with values of 500, is a thirtieth of this. It is generous
/// because the list fails beyond it, and one odd account should not stop the
/// runs of others. The memory of a whole list has its own limit.
const MOST_KEPT: usize = 1 << 20;

/// The overhead of a metadata entry, in bytes.
const ENTRY: usize = 64;

/// The one part that everything has.
#[derive(Deserialize)]
pub(super) struct WithId {
    pub(super) id: String,
}

/// When an account was created, in Whop's own format.
#[derive(Deserialize)]
pub(super) struct CreationTime {
    #[serde(default)]
    pub(super) created_at: Option<String>,
}

impl CreationTime {
    /// The time, if it is known.
    pub(super) fn at(&self) -> Option<SystemTime> {
        moment(self.created_at.as_deref()?)
    }
}

/// Parses an account. `None` instead of an account for the platform itself and
/// for accounts of another platform: neither is a user.
///
/// # Errors
/// What cannot be read, naming the account if possible. This includes accounts
/// above the size limit: without the metadata it would be unknown whose they
/// are, and leaving them out would let them be created again.
pub(super) fn read_account(
    entry: &RawValue,
    platform: &PlatformId,
) -> Result<(AccountId, Option<Account>), String> {
    let WithId { id } =
        serde_json::from_str(entry.get()).map_err(|why| format!("an account without a usable id: {why}"))?;
    let about = |why: String| format!("account `{id}`: {why}");
    let id = AccountId::parse(&id).map_err(|why| about(format!("its id {why}")))?;
    if platform.is(&id) {
        return Ok((id, None));
    }
    let body: AccountBody = serde_json::from_str(entry.get()).map_err(|why| about(why.to_string()))?;
    let parent = body.parent_account.get("id").and_then(Value::as_str);
    if parent.is_some_and(|parent| parent != platform.as_str()) {
        return Ok((id, None));
    }
    let account = body.into_account(id.clone()).map_err(about)?;
    Ok((id, Some(account)))
}

/// The parts of an account that are read, in either dialect.
#[derive(Deserialize)]
struct AccountBody {
    #[serde(default)]
    title: Option<Text>,
    #[serde(default)]
    email: Option<Text>,
    #[serde(default)]
    metadata: Option<Sorted<Box<RawValue>>>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    owner: Option<WithId>,
    /// The name of `owner` in the companies dialect.
    #[serde(default)]
    owner_user: Option<WithId>,
    /// An ISO 8601 time. If it is missing or invalid, the account counts as
    /// old, for which no limit is lifted.
    #[serde(default)]
    created_at: Option<Value>,
    /// An object with an id, null, or missing.
    #[serde(default)]
    parent_account: Value,
}

impl AccountBody {
    /// The account. Its owner is the one indispensable part: it must not be
    /// guessed whose profile would be managed.
    fn into_account(self, id: AccountId) -> Result<Account, String> {
        let owner = self
            .owner
            .or(self.owner_user)
            .ok_or("it has no owner, so its user cannot be known")?;
        let metadata = self.metadata.unwrap_or_default();
        let account = Account {
            id,
            owner: UserId::parse(&owner.id).map_err(|why| format!("its owner's id {why}"))?,
            email: self.email,
            title: self.title.unwrap_or_default(),
            metadata: metadata.map(|value| read_meta(&value)),
            suspended: self.status.as_deref() == Some("suspended"),
            created: self.created_at.as_ref().and_then(Value::as_str).and_then(seconds),
        };
        match kept(&account) {
            kept if kept > MOST_KEPT => Err(format!(
                "its title and metadata take {kept} bytes, more than the {MOST_KEPT} that can be managed; shorten \
                 them on Whop"
            )),
            _ => Ok(account),
        }
    }
}

/// The memory of an account's texts, in bytes.
pub(super) fn kept(account: &Account) -> usize {
    let Account {
        // Ids are short, or they are invalid.
        id: _,
        owner: _,
        email,
        title,
        metadata,
        suspended: _,
        created: _,
    } = account;
    let texts = title.len() + email.as_ref().map_or(0, |email| email.len());
    let entry = |(key, value): (&Text, &MetaValue)| key.len() + value.shown().len() + ENTRY;
    texts + metadata.iter().map(entry).sum::<usize>()
}

/// The seconds from 1970 to a time; `None` for any other text.
fn seconds(stamp: &str) -> Option<u64> {
    let since = moment(stamp)?.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

/// A text as such, anything else as written.
fn read_meta(value: &RawValue) -> MetaValue {
    match serde_json::from_str(value.get()) {
        Ok(text) => MetaValue::Text(text),
        Err(_) => MetaValue::Json(value.get().into()),
    }
}

/// The body of an account change.
#[derive(Serialize)]
pub(super) struct AccountChange<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<BTreeMap<&'a str, SentValue<'a>>>,
}

/// A metadata value as sent: foreign values go back unchanged.
pub(super) struct SentValue<'a>(pub(super) &'a MetaValue);

impl Serialize for SentValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            MetaValue::Text(text) => serializer.serialize_str(text),
            MetaValue::Json(json) => serde_json::from_str::<&RawValue>(json)
                .map_err(serde::ser::Error::custom)?
                .serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Account>, String> {
        let entry: &RawValue = serde_json::from_str(text).unwrap();
        read_account(entry, &PlatformId::parse("biz_p1").unwrap()).map(|(_, account)| account)
    }

    #[test]
    fn an_account_is_read_in_either_dialect() {
        let whole = r#"{"id":"biz_c1","title":"Ana","email":"A@b.test","status":"suspended","unknown":[{}],
            "created_at":"2026-10-20T09:00:00.500Z",
            "metadata":{"external_id":"u-1","n":1.0000000000000000001,"deep":{"a":[null, 1]},"text":"\u00e9"},
            "owner":{"id":"user_1","username":"x"},"parent_account":{"id":"biz_p1"}}"#;
        let json = |text: &str| MetaValue::Json(text.into());
        assert_eq!(
            read(whole),
            Ok(Some(Account {
                id: AccountId::parse("biz_c1").unwrap(),
                owner: UserId::parse("user_1").unwrap(),
                email: Some("A@b.test".into()),
                title: "Ana".into(),
                metadata: Sorted::from([
                    ("external_id".into(), MetaValue::Text("u-1".into())),
                    ("n".into(), json("1.0000000000000000001")),
                    ("deep".into(), json(r#"{"a":[null, 1]}"#)),
                    ("text".into(), MetaValue::Text("é".into())),
                ]),
                suspended: true,
                created: Some(1_792_486_800),
            }))
        );
        let bare =
            r#"{"id":"biz_c2","title":null,"metadata":null,"created_at":7,"owner_user":{"id":"user_2"}}"#;
        assert_eq!(
            read(bare),
            Ok(Some(Account {
                id: AccountId::parse("biz_c2").unwrap(),
                owner: UserId::parse("user_2").unwrap(),
                email: None,
                title: "".into(),
                metadata: Sorted::new(),
                suspended: false,
                created: None,
            }))
        );
    }

    #[test]
    fn order_and_unknown_fields_change_nothing() {
        let plain = r#"{"id":"biz_c1","title":"Ana","metadata":{"a":"1","b":"2"},"owner":{"id":"user_1"},
            "created_at":"2026-09-09T23:56:08.000Z"}"#;
        let open = r#"{"recommended_action":{"url":"x"},"status":null,"status_reason":null,"email":null,
            "metadata":{"b":"2","a":"1"},"owner":{"name":null,"username":"ana","new":{},"id":"user_1"},
            "created_at":"2026-09-10T01:56:08+02:00","title":"Ana","id":"biz_c1","parent_account":null}"#;
        assert_eq!(read(open), read(plain));
        let made = read(open).unwrap().unwrap().created;
        assert_eq!(made, Some(1_788_998_168), "an offset is read");
    }

    #[test]
    fn the_platform_and_others_children_are_not_users() {
        for (text, ours) in [
            (r#"{"id":"biz_p1","title":"My platform"}"#, false),
            (
                r#"{"id":"biz_c9","owner":{"id":"user_9"},"parent_account":{"id":"biz_p2"}}"#,
                false,
            ),
            (
                r#"{"id":"biz_c2","owner":{"id":"user_2"},"parent_account":null}"#,
                true,
            ),
            (r#"{"id":"biz_c2","owner":{"id":"user_2"}}"#, true),
        ] {
            assert_eq!(read(text).map(|account| account.is_some()), Ok(ours), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (bad, named) in [
            (r#"{"id":"biz_c7","title":"T"}"#, "biz_c7"),
            (r#"{"id":"biz_c7","owner":null}"#, "biz_c7"),
            (r#"{"id":"biz_c7","owner":{"id":"nobody"}}"#, "biz_c7"),
            (
                r#"{"id":"biz_c7","owner":{"id":"user_1"},"metadata":[]}"#,
                "biz_c7",
            ),
            (r#"{"id":"biz/7","owner":{"id":"user_1"}}"#, "biz/7"),
            (r#"{"title":"T"}"#, "without a usable id"),
            ("[]", "without a usable id"),
        ] {
            assert!(read(bad).is_err_and(|why| why.contains(named)), "{bad}");
        }
    }

    #[test]
    fn an_account_above_the_size_limit_is_named_and_not_kept() {
        let account = |title: usize, keys: usize, value: usize| {
            let entries: Vec<_> = (0..keys)
                .map(|n| format!(r#""k{n:06}":"{}""#, "v".repeat(value)))
                .collect();
            read(&format!(
                r#"{{"id":"biz_c7","owner":{{"id":"user_1"}},"title":"{}","metadata":{{{}}}}}"#,
                "t".repeat(title),
                entries.join(",")
            ))
        };
        for (title, keys, value) in [
            (0, 50, 600),
            (MOST_KEPT, 0, 0),
            (0, 1, MOST_KEPT - 71),
            (0, 800, 0),
        ] {
            assert!(account(title, keys, value).is_ok(), "{title} {keys} {value}");
        }
        for (title, keys, value) in [(MOST_KEPT + 1, 0, 0), (0, 1, MOST_KEPT - 70), (0, 16_000, 0)] {
            let why = account(title, keys, value).unwrap_err();
            assert!(why.contains("`biz_c7`") && why.contains("1048576"), "{why}");
        }
        let email = format!(
            r#"{{"id":"biz_c7","owner":{{"id":"user_1"}},"email":"{}"}}"#,
            "e".repeat(MOST_KEPT + 1)
        );
        assert!(read(&email).is_err());
        // What is not kept does not count.
        let other = format!(
            r#"{{"id":"biz_c7","owner":{{"id":"user_1","bio":"{0}"}},"description":"{0}"}}"#,
            "d".repeat(1 << 20)
        );
        assert!(read(&other).is_ok());
    }

    #[test]
    fn metadata_is_sent_back_unchanged() {
        let odd = r#"{"a":"\ud800","b":1e400,"c":"plain","d":"é"}"#;
        let read: Sorted<Box<RawValue>> = serde_json::from_str(odd).unwrap();
        let read: Sorted<_> = read
            .into_iter()
            .map(|(key, value)| (key, read_meta(&value)))
            .collect();
        let change = AccountChange {
            title: None,
            metadata: Some(
                read.iter()
                    .map(|(key, value)| (&**key, SentValue(value)))
                    .collect(),
            ),
        };
        assert_eq!(
            serde_json::to_string(&change).unwrap(),
            format!(r#"{{"metadata":{odd}}}"#)
        );
        assert_eq!(read["c"], MetaValue::Text("plain".into()));
        assert!(serde_json::to_string(&SentValue(&MetaValue::Json("{".into()))).is_err());
    }
}
