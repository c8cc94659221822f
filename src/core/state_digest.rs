//! Digests of the desired and of the known state, by which a later run tells
//! whether either has moved.

use super::digest::{Digest, Hasher};
use super::field::TextField;
use super::model::{AppliedPicture, Desired, DesiredRest, Doubt, Known, KnownRest, Link, PreparedCall};
use super::text::Texts;

/// The digest of what a manifest asks for: the same for every way of writing
/// it down. Limits are not part of it, nor former ids, which ask for nothing
/// once they are settled, nor where a picture lies.
pub fn desired_digest(desired: &Desired) -> Digest {
    let mut hasher = Hasher::new("desired 1");
    hasher.field(desired.platform());
    hasher.number(desired.users().len() as u64);
    for user in desired.users() {
        let DesiredRest {
            key,
            email,
            avatar,
            metadata,
            renamed_from: _,
        } = user.rest();
        hasher.field(key).field(email);
        for field in TextField::required() {
            hasher.field(field.wanted(user).unwrap_or_default());
        }
        hasher.optional(avatar.map(|avatar| avatar.digest.to_string()));
        for field in TextField::optional() {
            hasher.optional(field.wanted(user));
        }
        add_texts(&mut hasher, metadata);
    }
    hasher.finish()
}

/// The digest of what is known of users and of what is in doubt.
pub fn known_digest(known: &Known) -> Digest {
    let Known {
        generation: _,
        users,
        doubts,
        unsure,
        lineage: _,
    } = known;
    let mut hasher = Hasher::new("known 1");
    hasher.number(users.len() as u64);
    for (key, user) in users {
        let KnownRest {
            link: Link { account, owner },
            metadata,
            picture,
        } = user.rest();
        hasher.field(key).field(account).field(owner);
        for field in TextField::ALL {
            hasher.optional(field.applied(user));
        }
        add_texts(&mut hasher, metadata);
        match picture {
            None => hasher.number(0),
            Some(AppliedPicture { digest, url }) => hasher
                .number(1)
                .field(digest.to_string())
                .optional(url.as_deref()),
        };
    }
    hasher.number(doubts.len() as u64);
    for (key, doubt) in doubts {
        let Doubt {
            begun,
            email,
            call:
                PreparedCall {
                    version,
                    idempotency_key,
                    body,
                },
        } = doubt;
        hasher.field(key).number(*begun).field(email);
        hasher.field(version).field(idempotency_key).field(body);
    }
    hasher.number(unsure.len() as u64);
    for key in unsure {
        hasher.field(key);
    }
    hasher.finish()
}

fn add_texts(hasher: &mut Hasher, texts: &Texts) {
    hasher.number(texts.len() as u64);
    for (key, value) in texts {
        hasher.field(&**key).field(&**value);
    }
}
