//! The pictures of a page: which ones it needs, and their thumbnails. Each
//! thumbnail is in the page once, however many users show it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::risk_groups::Group;
use crate::core::digest::Digest;
use crate::core::model::Avatar;
use crate::core::plan::{PictureChange, Plan};
use crate::picture::{Thumbnail, thumbnail};

/// The most cards on a page, and so the most users whose pictures it shows.
/// Browsers filter this many without a delay.
pub(super) const ROWS: usize = 5_000;

/// The most pictures on a page: each takes about 5 kB, and 16 kB at most.
const MOST: usize = 2_000;

/// Thumbnails, or why there are none.
#[derive(Clone, Debug, Default)]
pub struct Pictures {
    /// Pictures to be set, by digest.
    new: BTreeMap<Digest, Result<Copy, String>>,
    /// Pictures that Whop shows, by URL.
    old: BTreeMap<Box<str>, Result<Copy, String>>,
}

/// A thumbnail and its name in the page.
#[derive(Clone, Debug)]
struct Copy {
    name: String,
    thumbnail: Thumbnail,
}

/// The pictures that the page of a plan shows.
#[derive(Debug, Default)]
pub struct PageImages<'a> {
    /// To be read from the manifest's folder.
    pub new: Vec<&'a Avatar>,
    /// To be fetched from these URLs.
    pub old: Vec<&'a str>,
}

impl<'a> PageImages<'a> {
    /// The pictures of the riskiest users, each once, as many as a page holds.
    pub fn by(plan: &'a Plan) -> Self {
        let mut wanted = Self::default();
        let (mut digests, mut urls) = (BTreeSet::new(), BTreeSet::new());
        let sorted = Group::ALL.into_iter().flat_map(|group| {
            let of_group = move |action: &&_| Group::of(action) == group;
            plan.actions.iter().filter(of_group)
        });
        let changes = sorted
            .take(ROWS)
            .filter_map(|action| action.profile.picture.as_ref());
        for change in changes {
            let PictureChange { old_url, new, .. } = change;
            if digests.len() + urls.len() < MOST && digests.insert(new.digest) {
                wanted.new.push(new);
            }
            if let Some(url) = old_url
                && digests.len() + urls.len() < MOST
                && urls.insert(url)
            {
                wanted.old.push(url);
            }
        }
        wanted
    }
}

impl Pictures {
    /// Adds a picture to be set: its bytes, or why there are none.
    pub fn add_new(&mut self, avatar: &Avatar, bytes: Result<&[u8], String>) {
        self.new.insert(avatar.digest, bytes.and_then(small));
    }

    /// Adds a picture that Whop shows: its bytes, or why there are none.
    pub fn add_old(&mut self, url: &str, bytes: Result<&[u8], String>) {
        self.old.insert(url.into(), bytes.and_then(small));
    }

    /// The name of the picture to be set, or why it is not in the page.
    pub(super) fn after(&self, avatar: &Avatar) -> Result<&str, &str> {
        found(self.new.get(&avatar.digest))
    }

    /// The name of the picture at a URL, or why it is not in the page.
    pub(super) fn before(&self, url: &str) -> Result<&str, &str> {
        found(self.old.get(url))
    }

    /// One CSS rule per picture.
    pub(super) fn css(&self) -> String {
        let copies = self.new.values().chain(self.old.values()).flatten();
        let once: BTreeMap<&str, &Thumbnail> = copies.map(|copy| (&*copy.name, &copy.thumbnail)).collect();
        let mut css = String::new();
        for (name, Thumbnail { media_type, base64 }) in once {
            css.push_str(&format!(
                ".{name}{{background-image:url(data:{media_type};base64,{base64})}}\n"
            ));
        }
        css
    }
}

/// The name is derived from the thumbnail, so that equal ones share it.
fn small(bytes: &[u8]) -> Result<Copy, String> {
    let thumbnail = thumbnail(bytes)?;
    let digest = Digest::of(thumbnail.base64.as_bytes());
    Ok(Copy {
        name: format!("p{}", digest.short()),
        thumbnail,
    })
}

fn found(copy: Option<&Result<Copy, String>>) -> Result<&str, &str> {
    match copy {
        Some(Ok(copy)) => Ok(&copy.name),
        Some(Err(why)) => Err(why),
        None => Err("left out, to keep this page small"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::plan::Cause;
    use crate::core::sample;

    const JANE: &[u8] = include_bytes!("../../../examples/avatars/jane.png");

    #[test]
    fn a_picture_is_in_the_page_once() {
        let mut pictures = Pictures::default();
        let avatar = sample::avatar("jane.png");
        pictures.add_new(&avatar, Ok(JANE));
        pictures.add_old("https://img.test/1", Ok(JANE));
        pictures.add_old("https://img.test/2", Ok(b"<svg>"));
        let name = pictures.after(&avatar).unwrap();
        assert_eq!(pictures.before("https://img.test/1"), Ok(name));
        let why = pictures.before("https://img.test/2").unwrap_err();
        assert!(why.contains("an SVG drawing"), "{why}");
        assert!(pictures.before("https://img.test/3").is_err());
        let css = pictures.css();
        assert_eq!(css.lines().count(), 1);
        assert!(css.starts_with(&format!(".{name}{{background-image:url(data:image/")));
    }

    #[test]
    fn the_riskiest_pictures_come_first_and_are_limited() {
        let mut actions = Vec::new();
        for n in 0..3_000 {
            let mut action = sample::update(&format!("u{n:04}"), "Old", "New", Cause::Edited);
            action.profile.picture = sample::picture_change(None, &format!("{n}.png"), Cause::Edited);
            actions.push(action);
        }
        let mut drifted = sample::update("z", "Old", "New", Cause::Drifted);
        drifted.profile.picture = sample::picture_change(None, "z.png", Cause::Drifted).map(|mut change| {
            change.old_url = Some("https://img.test/z".into());
            change
        });
        actions.push(drifted);
        let plan = sample::plan(actions, Vec::new());
        let wanted = PageImages::by(&plan);
        assert_eq!(&*wanted.new[0].path, "z.png");
        assert_eq!(wanted.old, ["https://img.test/z"]);
        assert_eq!(wanted.new.len() + wanted.old.len(), MOST);
    }
}
