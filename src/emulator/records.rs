//! What the emulator remembers, as it stands in the state file.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::ids::is_id;

/// Reads an id. It becomes a file's name or part of a URL, and a state file may
/// come from a stranger.
fn id<'de, D: Deserializer<'de>>(from: D, prefix: &str) -> Result<String, D::Error> {
    let id = String::deserialize(from)?;
    match is_id(&id, prefix) {
        true => Ok(id),
        false => Err(D::Error::custom(format_args!(
            "`{id}` is no id of the kind {prefix}…"
        ))),
    }
}

fn account_id<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    id(from, "biz_")
}

fn user_id<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    id(from, "user_")
}

fn file_id<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    id(from, "file_")
}

/// The file that is a profile's picture, if there is one.
fn picture<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    struct FileId(#[serde(deserialize_with = "file_id")] String);
    Ok(Option::<FileId>::deserialize(from)?.map(|FileId(id)| id))
}

/// An account: a platform, its child, or (legacy) a further company of the
/// platform's own user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Account {
    /// Counts everything ever made; never used twice.
    pub(super) seq: u64,
    /// `biz_…`
    #[serde(deserialize_with = "account_id")]
    pub(super) id: String,
    /// The number of the platform whose keys see this account; a platform has
    /// its own.
    pub(super) platform: u64,
    /// Whether it is a child of the platform.
    pub(super) child: bool,
    /// The owner's number.
    pub(super) owner: u64,
    /// The address it was created with; a platform has none.
    pub(super) email: Option<String>,
    /// What people see.
    pub(super) title: String,
    /// Its place on the web; unique.
    pub(super) route: String,
    /// A free map.
    pub(super) metadata: Metadata,
    /// The newest guide's own field, above `metadata.external_id`.
    pub(super) external_id: Option<String>,
    /// ISO alpha-2.
    pub(super) country: Option<String>,
    /// A URL.
    pub(super) website: Option<String>,
    /// Legacy only.
    pub(super) description: Option<String>,
    /// Whether Whop mails the account's customers.
    pub(super) send_customer_emails: bool,
    /// Whether Whop has suspended it.
    pub(super) suspended: bool,
    /// Milliseconds since 1970.
    pub(super) created_at: u64,
    /// Milliseconds since 1970.
    pub(super) updated_at: u64,
}

impl Account {
    /// The id under which the platform knows this account: the field of its
    /// own, else a text in `metadata.external_id` ([accounts](crate::whop_api#accounts)).
    pub(super) fn external(&self) -> Option<&str> {
        let own = self.external_id.as_deref();
        own.or(self.metadata.external_id.as_deref())
    }

    /// What the title becomes when none is given.
    pub(super) fn default_title(&self) -> String {
        let title = self.external().or(self.email.as_deref());
        title.unwrap_or(&self.id).to_owned()
    }

    /// Where it stands in a list: by creation, then by number, so that equal
    /// moments keep one order.
    pub(super) fn place(&self) -> (u64, u64) {
        (self.created_at, self.seq)
    }
}

/// An account's metadata. Kept as text, since a map takes four times the room
/// and there may be a million of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Map<String, Value>", into = "Map<String, Value>")]
pub(super) struct Metadata {
    json: Box<str>,
    /// The text under `external_id`, which matching goes by.
    external_id: Option<Box<str>>,
}

impl From<Map<String, Value>> for Metadata {
    fn from(map: Map<String, Value>) -> Self {
        let external_id = map.get("external_id").and_then(Value::as_str);
        Self {
            external_id: external_id.map(Box::from),
            json: Value::Object(map).to_string().into(),
        }
    }
}

impl From<Metadata> for Map<String, Value> {
    fn from(metadata: Metadata) -> Self {
        metadata.map()
    }
}

impl Metadata {
    /// The map itself.
    pub(super) fn map(&self) -> Map<String, Value> {
        // It was written from a map, so it reads as one.
        serde_json::from_str(&self.json).unwrap_or_default()
    }
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct User {
    /// Counts everything ever made.
    pub(super) seq: u64,
    /// `user_…`
    #[serde(deserialize_with = "user_id")]
    pub(super) id: String,
    /// Unique; letters, digits and hyphens, at most 42.
    pub(super) username: String,
    /// The global name.
    pub(super) name: Option<String>,
    /// The global picture; `None` shows a generated one.
    #[serde(default, deserialize_with = "picture")]
    pub(super) picture: Option<String>,
    /// Case-folded; never shown to an API key.
    pub(super) email: Option<String>,
    /// Milliseconds since 1970.
    pub(super) created_at: u64,
}

/// What one account shows of a person instead of the global profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Override {
    /// The name shown.
    pub(super) name: Option<String>,
    /// The file shown.
    #[serde(default, deserialize_with = "picture")]
    pub(super) picture: Option<String>,
}

/// What becomes of a file's bytes; faults choose other than the usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    /// Ready, unless it claims to be an image and is none.
    #[default]
    Ready,
    /// Failed when processed.
    Failed,
    /// Processed for ever.
    Stalled,
}

/// An uploaded file, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct File {
    /// Counts everything ever made.
    pub(super) seq: u64,
    /// `file_…`
    #[serde(deserialize_with = "file_id")]
    pub(super) id: String,
    /// The fingerprint of the credential that made it and alone may read it.
    pub(super) credential: String,
    /// With its extension.
    pub(super) filename: String,
    /// Whether its URL is permanent and open.
    pub(super) public: bool,
    /// Milliseconds since 1970.
    pub(super) created_at: u64,
    /// Until when bytes are taken, in milliseconds since 1970.
    pub(super) upload_until: u64,
    /// The parts of a multipart upload.
    pub(super) multipart: Option<Multipart>,
    /// The bytes, once they are there.
    pub(super) content: Option<Content>,
    /// What becomes of them.
    #[serde(default)]
    pub(super) fate: Fate,
}

/// A multipart upload that is not complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Multipart {
    /// What the completing call must name.
    pub(super) id: String,
    /// How many parts there are.
    pub(super) parts: u32,
    /// Each part's ETag, by number, once it is there.
    pub(super) received: std::collections::BTreeMap<u32, String>,
}

/// Facts about a file's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Content {
    /// How many bytes.
    pub(super) size: u64,
    /// When they will have been processed, in milliseconds since 1970.
    pub(super) ready_at: u64,
    /// Whether they are what the name promises.
    pub(super) sound: bool,
    /// Width and height, where the header says them.
    pub(super) pixels: Option<(u32, u32)>,
}

/// A file's state at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// No bytes yet.
    Pending,
    /// Bytes, but not usable yet.
    Processing,
    /// Usable.
    Ready,
    /// Never usable.
    Failed,
}

impl Status {
    /// `upload_status`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

impl File {
    /// The state at this moment: files pass through their states by the clock
    /// alone, so nothing has to be done when the time comes.
    pub(super) fn status(&self, now: u64) -> Status {
        match &self.content {
            None => Status::Pending,
            Some(content) if now < content.ready_at || self.fate == Fate::Stalled => Status::Processing,
            Some(content) if !content.sound || self.fate == Fate::Failed => Status::Failed,
            Some(_) => Status::Ready,
        }
    }

    /// What the name's extension promises ([files](crate::whop_api#files)).
    pub(super) fn content_type(&self) -> &'static str {
        match self.extension().as_str() {
            "png" => "image/png",
            "jpg" | "jpeg" => "image/jpeg",
            "gif" => "image/gif",
            "webp" => "image/webp",
            "svg" => "image/svg+xml",
            "pdf" => "application/pdf",
            "txt" => "text/plain",
            "mp4" => "video/mp4",
            _ => "application/octet-stream",
        }
    }

    /// The lower-case extension.
    pub(super) fn extension(&self) -> String {
        let extension = self.filename.rsplit_once('.').map_or("", |(_, ext)| ext);
        extension.to_ascii_lowercase()
    }
}

/// Which platform a credential belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Membership {
    /// The key's fingerprint; a key itself is never kept.
    pub(super) credential: String,
    /// The platform's number.
    pub(super) platform: u64,
    /// Whether the platform was made up because the key had named none.
    pub(super) provisional: bool,
}

/// A POST under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// Stands for the credential and its idempotency key.
    pub(super) slot: u128,
    /// Stands for method, path, query, body and version.
    pub(super) request: u128,
    /// When the first call came, in milliseconds since 1970.
    pub(super) at: u64,
    /// When its answer was given; a call before then finds it in progress.
    pub(super) answered_at: u64,
    /// Status and body; `None` while unfinished.
    pub(super) answer: Option<(u16, Box<str>)>,
}

/// One change. The state file is a list of these, not of requests: loading it
/// applies them and cannot come to another result than the first time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Effect {
    /// Numbers up to this one are used up.
    Used(u64),
    /// So late was it, in milliseconds since 1970.
    Now(u64),
    /// The account is now this.
    Account(Account),
    /// The account of this number is gone.
    AccountGone(u64),
    /// The user is now this.
    User(User),
    /// What the account of the second number shows of the user of the first.
    Override(u64, u64, Override),
    /// The file is now this.
    File(File),
    /// The credential belongs to this platform.
    Membership(Membership),
    /// This POST is remembered.
    Remembered(Remembered),
}
