//! The pictures of an HTML report: those to be set are read from beside the
//! manifest, those that Whop shows are fetched. A picture that cannot be had
//! stops nothing; the report says why it is missing.

use std::sync::Arc;

use super::connect::Ends;
use super::settings::Settings;
use crate::core::model::Avatar;
use crate::core::plan::Plan;
use crate::render::html::{PageImages, Pictures};

/// Gathers what a report will show. Reads and fetches nothing if no report
/// shows pictures.
pub(super) async fn gather(settings: &Settings, ends: &Ends, plan: &Plan) -> Pictures {
    if !settings.reports.show_pictures() {
        return Pictures::default();
    }
    let PageImages { new, old } = PageImages::by(plan);
    let mut pictures = read(ends, new.into_iter().cloned().collect()).await;
    let old: Vec<Box<str>> = old.into_iter().map(Box::from).collect();
    ends.client
        .download_pictures(old, |url, outcome| {
            let bytes = outcome.as_ref().map(|picture| &picture.bytes[..]);
            pictures.add_old(&url, bytes.map_err(Clone::clone));
        })
        .await;
    pictures
}

/// Reads the manifest's pictures, on a thread where nobody else waits.
async fn read(ends: &Ends, avatars: Vec<Avatar>) -> Pictures {
    let manifest = Arc::clone(&ends.manifest);
    let reading = tokio::task::spawn_blocking(move || {
        let mut pictures = Pictures::default();
        for avatar in &avatars {
            let read = manifest.read_picture(avatar);
            let bytes = read.as_ref().map(Vec::as_slice);
            pictures.add_new(avatar, bytes.map_err(|error| error.message().to_owned()));
        }
        pictures
    });
    match reading.await {
        Ok(pictures) => pictures,
        Err(why) => std::panic::resume_unwind(why.into_panic()),
    }
}
