//! What lies outside the API: the storage that takes files' bytes by presigned
//! URL, and the pictures that anybody may read.
//!
//! Neither takes an API key. A request that brings one is refused: the key has
//! been sent to a third party, which is what a test must notice
//! ([files](crate::whop_api#files), [traps](crate::whop_api#traps)).

use bytes::Bytes;

use super::answers::{sign, storage_path, upload_headers};
use super::contents::part_name;
use super::faults::Twist;
use super::files;
use super::ids::fingerprint;
use super::records::{Effect, Fate, File, Status};
use super::request::{Call, Query};
use super::settings::Settings;
use super::state::World;
use crate::remote::transport::Response;

/// What a person without a picture shows: one grey pixel.
const PLACEHOLDER: &[u8] = b"\x89\x50\x4e\x47\x0d\x0a\x1a\x0a\x00\x00\x00\x0d\x49\x48\x44\x52\x00\x00\
\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00\x3a\x7e\x9b\x55\x00\x00\x00\x0a\x49\x44\x41\x54\x78\xda\x63\
\x38\x03\x00\x00\xce\x00\xcd\x79\xee\xea\x3d\x00\x00\x00\x00\x49\x45\x4e\x44\xae\x42\x60\x82";

/// The most that storage takes in one request, in bytes: any picture and any
/// part of a larger file, and a little more, so that one that is too large can
/// be sent and fail as it does on Whop.
pub(super) const MOST: usize = files::PICTURE_BYTES as usize + 1024 * 1024;

/// A `PUT` to storage.
#[derive(Debug)]
pub(super) struct Upload<'a> {
    /// The request.
    pub(super) call: &'a Call,
    /// The file in its path.
    pub(super) file: &'a str,
    /// The part in its path.
    pub(super) part: Option<u32>,
    /// Milliseconds since 1970.
    pub(super) now: u64,
    /// What faults change.
    pub(super) twist: &'a Twist,
}

/// Takes the bytes of a file or of a part. May be repeated until the URL
/// expires, as a PUT may.
///
/// 400 for a request with an API key, as storage refuses two ways of signing;
/// 403 for a URL that was changed or has expired, and for headers other than
/// those told. Headers that were not told are ignored: only the told ones are
/// signed.
pub(super) fn put(world: &mut World, settings: &Settings, upload: &Upload<'_>) -> Response {
    let Upload { call, now, .. } = *upload;
    if call.header("authorization").is_some() {
        return error(400, "InvalidArgument", "Only one auth mechanism allowed");
    }
    let query = Query::parse(call.raw_query());
    let number = query.get("expires").and_then(|text| text.parse::<u64>().ok());
    let path = storage_path(upload.file, upload.part);
    let signed = number.filter(|until| query.get("signature") == Some(&sign(&path, *until)));
    let (Some(until), Some(file)) = (signed, world.file(upload.file)) else {
        return error(403, "SignatureDoesNotMatch", "The signature does not match");
    };
    if now >= until {
        return error(403, "AccessDenied", "Request has expired");
    }
    let mut headers = upload_headers(file).into_iter();
    let as_told = headers.all(|(name, value)| call.header(&name.to_ascii_lowercase()) == Some(&*value));
    if !as_told {
        return error(
            403,
            "SignatureDoesNotMatch",
            "The signed headers are missing or differ",
        );
    }
    if call.body.len() > MOST {
        return error(400, "EntityTooLarge", "The body is too large");
    }
    let mut file = file.clone();
    if upload.twist.fate != Fate::Ready {
        file.fate = upload.twist.fate;
    }
    let etag = fingerprint(&[&call.body]);
    let name = match upload.part {
        None => {
            file.content = Some(files::content(&file, &call.body, settings, now));
            file.id.clone()
        }
        Some(part) => {
            if let Some(multipart) = &mut file.multipart {
                multipart.received.insert(part, etag.clone());
            }
            part_name(&file.id, part)
        }
    };
    if world.contents.put(name, call.body.clone()).is_err() {
        return error(500, "InternalError", "The bytes could not be stored");
    }
    world.change(Effect::File(file));
    Response {
        status: 200,
        headers: vec![("etag".to_owned(), format!("\"{etag}\""))],
        body: Bytes::new(),
    }
}

/// Answers as object storage does: XML, not the API's JSON.
pub(super) fn error(status: u16, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    Response {
        status,
        headers: vec![("content-type".to_owned(), "application/xml".to_owned())],
        body: body.into(),
    }
}

/// Serves a picture: `/pictures/{file|profile|placeholder}/{name}`.
pub(super) fn picture(world: &World, call: &Call, path: &[String], now: u64) -> Response {
    if call.header("authorization").is_some() {
        return error(400, "InvalidArgument", "Only one auth mechanism allowed");
    }
    let (folder, name) = match path {
        [folder] => (folder, ""),
        [folder, name] => (folder, name.as_str()),
        _ => return error(404, "NoSuchKey", "No such picture"),
    };
    let file = match folder.as_str() {
        "placeholder" => return image("image/png", Bytes::from_static(PLACEHOLDER)),
        // An attached picture is shown to everybody, whatever its file's visibility.
        "profile" => world.file_by_picture(name),
        "file" => match world.file(name) {
            Some(file) if may_read(file, call, now) => Some(file),
            Some(_) => return error(403, "AccessDenied", "Request has expired"),
            None => None,
        },
        _ => None,
    };
    let ready = file.filter(|file| file.status(now) == Status::Ready);
    let bytes = ready.and_then(|file| Some((file, world.contents.get(&file.id)?)));
    match bytes {
        Some((file, bytes)) => image(file.content_type(), bytes),
        None => error(404, "NoSuchKey", "No such picture"),
    }
}

/// A private file needs a signed URL that has not expired.
fn may_read(file: &File, call: &Call, now: u64) -> bool {
    let query = Query::parse(call.raw_query());
    let until = query.get("expires").and_then(|text| text.parse().ok());
    let signed = |until: u64| now < until && query.get("signature") == Some(&sign(&file.id, until));
    file.public || until.is_some_and(signed)
}

/// A picture's answer.
fn image(kind: &str, bytes: Bytes) -> Response {
    Response {
        status: 200,
        headers: vec![("content-type".to_owned(), kind.to_owned())],
        body: bytes,
    }
}
