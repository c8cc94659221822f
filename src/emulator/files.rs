//! File records ([files](crate::whop_api#files)). Their bytes go to [`super::storage`].
//!
//! A record is made first and says where to send the bytes; then it goes from
//! `pending` over `processing` to `ready` or `failed`. Only the credential that
//! made it can read it; for any other it does not exist.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

use super::answers::upload_headers_json;
use super::contents::part_name;
use super::context::{Answer, Ask};
use super::ids::{fingerprint, is_id};
use super::paging::Page;
use super::records::{Content, Effect, File, Multipart, Status};
use super::refusal::Refusal;
use super::request::Fields;
use super::settings::{Settings, millis};
use super::state::World;

/// The most that a profile picture may have, in bytes (assumed,
/// [files](crate::whop_api#files)).
pub(super) const PICTURE_BYTES: u64 = 5 * 1024 * 1024;
/// How long the URL for a whole upload lives, in milliseconds.
const UPLOAD: u64 = 60 * 60 * 1_000;
/// How long the URLs for parts live, in milliseconds.
const UPLOAD_PART: u64 = 15 * 60 * 1_000;
/// Bytes of a part.
const PART: u64 = 5 * 1024 * 1024;
/// The most parts that the completing call can name.
const PARTS: u64 = 10_000;
/// The largest page of files, and the most ids in one list call.
const PAGE: usize = 100;
const IDS: usize = 250;

/// `POST /files`. Needs no scope.
///
/// The upload destination is told here and never again. A file is private
/// unless asked otherwise ([traps](crate::whop_api#traps)), except in the legacy version, where the
/// older guide says public. There is no field for the type: it follows the
/// name's extension, so a name without one is refused.
pub(super) fn create(world: &mut World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let version = ask.look.version;
    let fields = ask.fields()?;
    ask.only(&["filename", "visibility", "byte_size", "multipart"])?;
    let filename = fields.text("filename")?.not_null("filename")?;
    let filename = filename.ok_or_else(|| Refusal::missing("filename"))?;
    let parts = filename.rsplit_once('.');
    if filename.len() > 255 || parts.is_none_or(|(stem, ext)| stem.is_empty() || ext.is_empty()) {
        return Err(Refusal::param(
            "filename",
            "must be at most 255 bytes long and carry its extension",
        ));
    }
    let public = match fields.text("visibility")?.not_null("visibility")? {
        None => !version.new_files(),
        Some("public") => true,
        Some("private") => false,
        Some(_) => return Err(Refusal::param("visibility", "must be public or private")),
    };
    let size = fields.number("byte_size")?.not_null("byte_size")?;
    let in_parts = fields.flag("multipart")?.not_null("multipart")?;
    if !version.new_files() && in_parts == Some(true) {
        return Err(Refusal::param("multipart", "is not known to this version"));
    }
    let now = ask.look.now;
    let (seq, id) = world.fresh_id("file_", 0);
    let multipart = match (in_parts, size) {
        (Some(true), None) => return Err(Refusal::missing("byte_size")),
        (Some(true), Some(size)) => Some(Multipart {
            id: fingerprint(&[b"multipart", id.as_bytes()]),
            parts: count_parts(size)?,
            received: BTreeMap::new(),
        }),
        _ => None,
    };
    let lives = match (ask.twist.expired, &multipart) {
        (true, _) => 0,
        (false, Some(_)) => UPLOAD_PART,
        (false, None) => UPLOAD,
    };
    let file = File {
        seq,
        id,
        credential: ask.caller.credential.clone(),
        filename: filename.to_owned(),
        public,
        created_at: now,
        upload_until: now + lives,
        multipart,
        content: None,
        fate: ask.twist.fate,
    };
    let body = created(ask, &file);
    world.change(Effect::File(file));
    Ok(if version.new_files() {
        Answer::created(body)
    } else {
        Answer::ok(body)
    })
}

/// How many parts of [`PART`] bytes a size takes, or 400 for too many.
fn count_parts(size: u64) -> Result<u32, Refusal> {
    let parts = size.div_ceil(PART);
    let parts = u32::try_from(parts).ok().filter(|_| parts <= PARTS);
    parts.ok_or_else(|| Refusal::param("byte_size", "is too large"))
}

/// A file with its upload destination, which no later answer shows.
fn created(ask: &Ask<'_>, file: &File) -> Value {
    let mut shape = ask.look.file(file);
    if let Some(multipart) = &file.multipart {
        let parts = 1..=multipart.parts;
        let urls: Vec<Value> = parts
            .map(|n| json!({ "part_number": n, "url": ask.look.upload_url(file, Some(n)) }))
            .collect();
        shape["multipart_upload_id"] = json!(multipart.id);
        shape["multipart_chunk_size"] = json!(PART);
        shape["multipart_upload_urls"] = json!(urls);
        shape["upload_url"] = Value::Null;
    } else {
        shape["upload_url"] = json!(ask.look.upload_url(file, None));
    }
    shape["upload_headers"] = upload_headers_json(file);
    shape
}

/// The caller's file of this id: only the credential that made it sees it.
fn own<'a>(world: &'a World, ask: &Ask<'_>, id: &str) -> Result<&'a File, Refusal> {
    let file = world.file(id);
    file.filter(|file| file.credential == ask.caller.credential)
        .ok_or_else(Refusal::not_found)
}

/// `GET /files/{id}`, which a client polls until the file is ready.
pub(super) fn retrieve(world: &World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    Ok(Answer::ok(ask.look.file(own(world, ask, ask.id)?)))
}

/// `GET /files?file_ids=`. Ids that are unknown or another credential's are
/// left out silently. The order is that of creation, whatever the ids' order.
/// The default page is assumed to be 10, as for accounts: the reference states
/// a largest page only, and a client that relies on more must find out here.
pub(super) fn list(world: &World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    if !ask.look.version.lists_files() {
        return Err(Refusal::invalid(
            "Listing files needs Api-Version-Date 2026-09-02-1 or newer",
        ));
    }
    // The official SDKs write lists with brackets.
    let plain = ask.query.all("file_ids");
    let ids: Vec<&str> = plain.chain(ask.query.all("file_ids[]")).collect();
    if ids.is_empty() || ids.len() > IDS {
        return Err(Refusal::param("file_ids", "must name 1 to 250 files"));
    }
    // Unknown ids are left out; what is no id at all is a mistake of the caller's.
    if ids.iter().any(|id| !is_id(id, "file_")) {
        return Err(Refusal::param("file_ids", "must hold file ids"));
    }
    let page = Page::read(ask.query, PAGE, false)?;
    let mut places = BTreeSet::new();
    let mut files = BTreeMap::new();
    for file in ids.iter().filter_map(|id| own(world, ask, id).ok()) {
        places.insert((file.created_at, file.seq));
        files.insert(file.seq, file);
    }
    let cut = page.cut(&places, |_| true);
    let show = |(_, seq)| files.get(&seq).map(|file| ask.look.file(file));
    Ok(Answer::ok(cut.json(ask.look.documented, show)))
}

/// `POST /files/{id}/complete`: puts the parts together. It must name every part
/// with the ETag that storage gave; a second time is a conflict.
pub(super) fn complete(world: &mut World, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    if !ask.look.version.new_files() {
        return Err(Refusal::not_found());
    }
    let mut file = own(world, ask, ask.id)?.clone();
    let fields = ask.fields()?;
    ask.only(&["multipart_upload_id", "multipart_parts"])?;
    let id = fields
        .text("multipart_upload_id")?
        .not_null("multipart_upload_id")?;
    let id = id.ok_or_else(|| Refusal::missing("multipart_upload_id"))?;
    let parts = fields.list("multipart_parts")?.not_null("multipart_parts")?;
    let parts = parts.ok_or_else(|| Refusal::missing("multipart_parts"))?;
    if file.content.is_some() {
        return Err(Refusal::conflict("This file is already uploaded"));
    }
    let Some(multipart) = file.multipart.as_ref().filter(|multipart| multipart.id == id) else {
        return Err(Refusal::param("multipart_upload_id", "is not this file's upload"));
    };
    let mut named = BTreeMap::new();
    for part in parts {
        let part = part.as_object().map(Fields::inner);
        let part = part.ok_or_else(|| Refusal::param("multipart_parts", "must hold objects"))?;
        part.only(&["part_number", "etag"])?;
        let number = part.number("part_number")?.not_null("part_number")?;
        let etag = part.text("etag")?.not_null("etag")?;
        let (Some(number), Some(etag)) = (number, etag) else {
            return Err(Refusal::missing("multipart_parts.etag and part_number"));
        };
        named.insert(number, etag.trim_matches('"').to_owned());
    }
    let received = multipart.received.iter().map(|(n, etag)| (u64::from(*n), etag));
    let complete = multipart.received.len() == multipart.parts as usize;
    if !complete || !received.eq(named.iter().map(|(n, etag)| (*n, etag))) {
        return Err(Refusal::param(
            "multipart_parts",
            "are not the parts that storage has",
        ));
    }
    let numbers: Vec<u32> = multipart.received.keys().copied().collect();
    let mut whole = BytesMut::new();
    for number in &numbers {
        let name = part_name(&file.id, *number);
        whole.extend_from_slice(&world.contents.get(&name).unwrap_or_default());
        world.contents.drop(&name);
    }
    let whole = whole.freeze();
    file.content = Some(content(&file, &whole, ask.settings, ask.look.now));
    if world.contents.put(file.id.clone(), whole).is_err() {
        return Err(Refusal::internal("The file could not be stored"));
    }
    let body = ask.look.file(&file);
    world.change(Effect::File(file));
    Ok(Answer::ok(body))
}

/// The facts of bytes that have just come in.
pub(super) fn content(file: &File, bytes: &Bytes, settings: &Settings, now: u64) -> Content {
    // Bytes sent again to a file in use replace it without a new wait.
    let ready_at = match (&file.content, file.status(now)) {
        (Some(content), Status::Ready) => content.ready_at,
        _ => now + millis(settings.processing),
    };
    Content {
        size: bytes.len() as u64,
        ready_at,
        sound: !bytes.is_empty() && (!is_picture(file) || is_image(bytes)),
        pixels: pixels(bytes),
    }
}

/// Whether the name promises one of the kinds that a profile picture may have.
pub(super) fn is_picture(file: &File) -> bool {
    matches!(
        file.content_type(),
        "image/png" | "image/jpeg" | "image/gif" | "image/webp"
    )
}

/// Whether the bytes begin as any of those kinds does. Which one is not
/// compared: the type follows the name ([files](crate::whop_api#files)).
fn is_image(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n")
        || bytes.starts_with(b"\xff\xd8\xff")
        || bytes.starts_with(b"GIF8")
        || (bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"))
}

/// Width and height of a PNG or GIF, from the header alone; for other kinds the answer leaves them
/// null, as the schema allows.
fn pixels(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        let side = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        return Some((side(16)?, side(20)?));
    }
    if bytes.starts_with(b"GIF8") {
        let side = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        return Some((side(6)?.into(), side(8)?.into()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_recognised_and_measured() {
        assert!(is_image(b"\xff\xd8\xff\xe0"));
        assert!(is_image(b"RIFF\0\0\0\0WEBPVP8 "));
        assert!(!is_image(b"<svg/>"));
        assert_eq!(pixels(b"GIF89a\x02\x00\x03\x01"), Some((2, 259)));
        assert_eq!(pixels(b"\x89PNG\r\n\x1a\n"), None);
        assert_eq!(count_parts(PART + 1), Ok(2));
        assert!(count_parts(PART * PARTS + 1).is_err());
    }
}
