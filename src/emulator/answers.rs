//! The JSON of both generations. Shapes of our own, on purpose: sharing the
//! client's types would hide a wrong field name on both sides at once.

use serde_json::{Map, Value, json};

use super::clock::{offset_stamp, stamp};
use super::ids::{fingerprint, uuid};
use super::neutral;
use super::records::{Account, File, Override, Status, User};
use super::state::{World, picture_token};
use super::versions::Version;

/// Everything that a shape depends on besides the record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'a> {
    /// Scheme and host for URLs.
    pub(super) origin: &'a str,
    /// The version asked for.
    pub(super) version: Version,
    /// Whether answers are as documented, and not as recorded.
    pub(super) documented: bool,
    /// Milliseconds since 1970.
    pub(super) now: u64,
    /// Grows with each request: picture URLs carry it as `?v=`, since nothing
    /// says that their query is stable ([users](crate::whop_api#users)).
    pub(super) serial: u64,
}

/// How long a private file's URL works, in milliseconds.
pub(super) const PRIVATE_URL: u64 = 60 * 60 * 1_000;

impl Look<'_> {
    /// An account, current generation. Owner and parent took their present form
    /// at one version; before it the parent was a bare id and the owner absent.
    pub(super) fn account(&self, world: &World, account: &Account) -> Value {
        let mut shape = json!({
            "id": account.id,
            "title": account.title,
            "email": account.email,
            "metadata": account.metadata.map(),
            "created_at": self.stamp(account.created_at),
            "route": account.route,
            "country": self.country(account),
            "website": account.website,
            "status": if account.suspended { "suspended" } else { "active" },
            "send_customer_emails": account.send_customer_emails,
            "description": account.description,
        });
        let parent = world.account(account.platform).filter(|_| account.child);
        if self.version.shows_owner() {
            shape["owner"] = world
                .user(account.owner)
                .map_or(Value::Null, |owner| self.summary(owner));
            shape["parent_account"] = parent.map_or(Value::Null, |parent| {
                json!({ "id": parent.id, "title": parent.title, "route": parent.route, "logo_url": null })
            });
        } else {
            shape["parent_account_id"] = json!(parent.map(|parent| &parent.id));
        }
        if self.version.has_external_id() {
            shape["external_id"] = json!(account.external_id);
        }
        neutral::fill(&mut shape, neutral::account(self.version));
        shape
    }

    /// The same account in the answer to a create or an update, where, as
    /// recorded, the status is not computed.
    pub(super) fn written_account(&self, world: &World, account: &Account) -> Value {
        let mut shape = self.account(world, account);
        if !self.documented {
            shape["status"] = Value::Null;
        }
        shape
    }

    /// An account as a search finds it.
    pub(super) fn found(&self, account: &Account) -> Value {
        json!({
            "id": account.id,
            "title": account.title,
            "route": account.route,
            "created_at": self.stamp(account.created_at),
        })
    }

    /// When an account was made.
    fn stamp(&self, millis: u64) -> String {
        match self.documented {
            true => stamp(millis),
            false => offset_stamp(millis),
        }
    }

    /// An account's country, in lower case as recorded.
    fn country(&self, account: &Account) -> Option<String> {
        let country = account.country.as_ref()?;
        Some(match self.documented {
            true => country.clone(),
            false => country.to_lowercase(),
        })
    }

    /// An account's owner. The name is the global one: nothing says that the
    /// platform's override shows here ([accounts](crate::whop_api#accounts)).
    fn summary(&self, owner: &User) -> Value {
        json!({
            "id": owner.id,
            "username": owner.username,
            "name": owner.name,
            "profile_picture": { "url": self.picture(owner, owner.picture.as_deref()) },
        })
    }

    /// A company, legacy generation: neither email nor parent, so whose it is
    /// can only be told by its metadata, which is null where there is none.
    pub(super) fn company(&self, world: &World, account: &Account) -> Value {
        let owner = world.user(account.owner);
        let metadata = Some(account.metadata.map()).filter(|metadata| !metadata.is_empty());
        let mut shape = json!({
            "id": account.id,
            "title": account.title,
            "description": account.description,
            "metadata": metadata,
            // Without a picture, unlike the current generation.
            "owner_user": owner.map(|owner| json!({
                "id": owner.id, "name": owner.name, "username": owner.username,
            })),
            "created_at": self.stamp(account.created_at),
            "updated_at": self.stamp(account.updated_at),
            "route": account.route,
            "send_customer_emails": account.send_customer_emails,
        });
        neutral::fill(&mut shape, neutral::company());
        shape
    }

    /// A profile, with an account's overrides applied. Nothing in it tells
    /// which values are overridden.
    pub(super) fn user(&self, user: &User, shown: &Override) -> Value {
        let picture = shown.picture.as_deref().or(user.picture.as_deref());
        let picture = match picture {
            None if !self.version.fills_pictures() => Value::Null,
            picture => json!({ "url": self.picture(user, picture) }),
        };
        let mut shape = json!({
            "id": user.id,
            "username": user.username,
            "name": shown.name.as_ref().or(user.name.as_ref()),
            "created_at": stamp(user.created_at),
            "profile_picture": picture,
        });
        neutral::fill(&mut shape, neutral::user());
        shape
    }

    /// The URL of a profile picture, or of a generated one: current versions
    /// always have one, so "has a picture" cannot be read from it ([traps](crate::whop_api#traps)).
    fn picture(&self, user: &User, file: Option<&str>) -> String {
        let (origin, serial) = (self.origin, self.serial);
        match file {
            Some(file) => format!("{origin}/pictures/profile/{}?v={serial}", picture_token(file)),
            // As recorded, generated pictures differ in the query only.
            None if !self.documented => {
                format!("{origin}/pictures/placeholder?name={}", user.username)
            }
            None => {
                let name = &fingerprint(&[user.id.as_bytes()])[..8];
                format!("{origin}/pictures/placeholder/{name}?v={serial}")
            }
        }
    }

    /// A file, in the shape of the version. The upload destination is added
    /// only to the answer that creates it. Size and URL are null until ready.
    pub(super) fn file(&self, file: &File) -> Value {
        let status = file.status(self.now);
        let ready = file.content.as_ref().filter(|_| status == Status::Ready);
        let url = ready.map(|_| self.file_url(file));
        let mut shape = json!({
            "id": file.id,
            "filename": file.filename,
            "content_type": file.content_type(),
            "url": url,
            "visibility": if file.public { "public" } else { "private" },
            "upload_status": status.as_str(),
        });
        if self.version.new_files() {
            let pixels = ready.and_then(|content| content.pixels);
            shape["object"] = json!("file");
            shape["created_at"] = json!(stamp(file.created_at));
            shape["size"] = json!(ready.map(|content| content.size));
            shape["removed_by_moderation"] = json!(false);
            shape["width"] = json!(pixels.map(|(width, _)| width));
            shape["height"] = json!(pixels.map(|(_, height)| height));
            neutral::fill(&mut shape, neutral::file());
        } else {
            shape["size"] = json!(ready.map(|content| content.size.to_string()));
        }
        shape
    }

    /// Where a ready file is read: for good if public, for an hour if not.
    fn file_url(&self, file: &File) -> String {
        let path = format!("{}/pictures/file/{}", self.origin, file.id);
        if file.public {
            return path;
        }
        let until = self.now + PRIVATE_URL;
        format!("{path}?expires={until}&signature={}", sign(&file.id, until))
    }

    /// Where a file's bytes, or one part of them, are to be sent.
    pub(super) fn upload_url(&self, file: &File, part: Option<u32>) -> String {
        let path = storage_path(&file.id, part);
        let signature = sign(&path, file.upload_until);
        format!(
            "{}{path}?expires={}&signature={signature}",
            self.origin, file.upload_until
        )
    }
}

/// The headers that name a request: as recorded, a UUID and Cloudflare's id.
pub(super) fn request_ids(serial: u64, documented: bool) -> Vec<(String, String)> {
    let id = fingerprint(&[b"request", &serial.to_le_bytes()]);
    let name = str::to_owned;
    match documented {
        true => vec![(name("x-request-id"), format!("req_{}", &id[..16]))],
        false => vec![
            (name("x-request-id"), uuid(&id)),
            (name("cf-ray"), format!("{}-FRA", &id[16..])),
        ],
    }
}

/// The path that takes a file's bytes.
pub(super) fn storage_path(file: &str, part: Option<u32>) -> String {
    match part {
        None => format!("/storage/{file}"),
        Some(part) => format!("/storage/{file}/{part}"),
    }
}

/// The headers that must come with a file's bytes, exactly. The second is
/// there because a client must send what it is told and not what it expects.
pub(super) fn upload_headers(file: &File) -> Vec<(&'static str, String)> {
    vec![
        ("Content-Type", file.content_type().to_owned()),
        ("x-amz-meta-file", file.id.clone()),
    ]
}

/// The same as a JSON object.
pub(super) fn upload_headers_json(file: &File) -> Value {
    let headers = upload_headers(file).into_iter();
    Value::Object(
        headers
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect::<Map<_, _>>(),
    )
}

/// Binds a URL to its path and its end. Not a secret: nobody attacks an
/// emulator, but clients do mangle URLs.
pub(super) fn sign(path: &str, until: u64) -> String {
    fingerprint(&[b"url", path.as_bytes(), &until.to_le_bytes()])
}
