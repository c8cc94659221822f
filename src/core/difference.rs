//! Whether a managed value differs, and why. Every other part that compares
//! what was last applied, what Whop shows and what the manifest asks comes
//! here: the planner, the choice of profiles to read, and drift.

use super::digest::Digest;
use super::field::{Owner, TextField};
use super::model::{AppliedPicture, DesiredUser, KnownUser};
use super::plan::Cause;

/// Why a text differs from what the manifest asks; `None` where Whop already
/// shows it, however that came about. `applied` is what was last set through
/// the mapping, `shown` is what Whop has now. Where Whop was not asked, pass
/// `applied` for both.
pub(super) fn text(applied: Option<&str>, shown: Option<&str>, wanted: &str) -> Option<Cause> {
    if shown == Some(wanted) {
        return None;
    }
    match applied {
        None => Some(Cause::New),
        Some(text) => cause(text != wanted, shown != applied),
    }
}

/// Why a picture must be set, or `None` where it is the one asked for. Whop
/// gives a URL but no digest ([users](crate::whop_api#users)), so a change made
/// there shows only as another URL. `shown` is `None` where the profile was not
/// read, and holds no URL where the profile has no picture.
pub(super) fn picture(
    applied: Option<&AppliedPicture>,
    shown: Option<Option<&str>>,
    wanted: Digest,
) -> Option<Cause> {
    let Some(AppliedPicture { digest, url }) = applied else {
        return Some(Cause::New);
    };
    // A URL that was never recorded cannot be told from another one.
    let drifted = match (url.as_deref(), shown) {
        (Some(applied), Some(shown)) => shown != Some(applied),
        _ => false,
    };
    cause(*digest != wanted, drifted)
}

/// Whether the profile that was last applied is not the one asked for.
pub(super) fn profile(user: &DesiredUser, known: &KnownUser) -> bool {
    let avatar = user.avatar.as_ref();
    let picture = avatar.and_then(|avatar| picture(known.picture.as_deref(), None, avatar.digest));
    let mut texts = TextField::of(Owner::Profile);
    picture.is_some() || texts.any(|field| !is_applied(field, user, known))
}

/// Whether a text that the manifest manages is the one that was last applied.
pub(super) fn is_applied(field: TextField, user: &DesiredUser, known: &KnownUser) -> bool {
    let applied = field.applied(known);
    let wanted = field.wanted(user);
    wanted.is_none_or(|wanted| text(applied, applied, wanted).is_none())
}

fn cause(edited: bool, drifted: bool) -> Option<Cause> {
    match (edited, drifted) {
        (true, true) => Some(Cause::Both),
        (true, false) => Some(Cause::Edited),
        (false, true) => Some(Cause::Drifted),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_differs_only_where_whop_does_not_show_it() {
        let (a, b, c) = (Some("a"), Some("b"), Some("c"));
        for (applied, shown, cause) in [
            (None, a, None),
            (a, a, None),
            (b, a, None),
            (None, None, Some(Cause::New)),
            (None, b, Some(Cause::New)),
            (b, b, Some(Cause::Edited)),
            (a, b, Some(Cause::Drifted)),
            (a, None, Some(Cause::Drifted)),
            (b, c, Some(Cause::Both)),
            (b, None, Some(Cause::Both)),
        ] {
            assert_eq!(text(applied, shown, "a"), cause, "{applied:?} {shown:?}");
        }
    }

    #[test]
    fn a_picture_drifts_only_where_its_url_was_recorded_and_read() {
        let applied = |url: Option<&str>| AppliedPicture {
            digest: Digest::of(b"a"),
            url: url.map(Into::into),
        };
        let (same, other) = (Digest::of(b"a"), Digest::of(b"b"));
        let (seen, without) = (applied(Some("u")), applied(None));
        assert_eq!(picture(None, None, same), Some(Cause::New));
        for (applied, shown, drifted) in [
            (&seen, None, false),
            (&seen, Some(Some("u")), false),
            (&seen, Some(Some("v")), true),
            (&seen, Some(None), true),
            (&without, Some(Some("v")), false),
            (&without, Some(None), false),
        ] {
            let expected = if drifted {
                (Some(Cause::Drifted), Some(Cause::Both))
            } else {
                (None, Some(Cause::Edited))
            };
            let found = (
                picture(Some(applied), shown, same),
                picture(Some(applied), shown, other),
            );
            assert_eq!(found, expected, "{applied:?} {shown:?}");
        }
    }
}
