//! Parsed values: one that exists is valid. Each has a private field and one
//! parsing constructor, and things that look alike are different types.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::{self, Text};

/// Why a text is not a value of the wanted kind: a fragment that follows the
/// name of the thing, such as "must not be empty".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

fn invalid<T>(why: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid(why.into()))
}

/// Refuses what no value may hold: control characters, and more characters
/// than `most`.
fn plain(text: &str, most: usize) -> Result<(), Invalid> {
    if let Some(odd) = text.chars().find(|c| c.is_control()) {
        return invalid(format!(
            "must not contain control characters (found {})",
            odd.escape_unicode()
        ));
    }
    match text.chars().count() {
        0 => invalid("must not be empty"),
        count if count > most => invalid(format!("must be at most {most} characters long (it has {count})")),
        _ => Ok(()),
    }
}

/// Gives a text type its parsing constructor, access, and serde through them.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $parse:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Text);

        impl $name {
            /// Parses the text.
            ///
            /// # Errors
            /// Says what is wrong, as a fragment that follows the value's name.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                let parse: fn(&str) -> Result<&str, Invalid> = $parse;
                parse(text).map(|text| Self(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &*self.0)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text::parsed(deserializer, Self::parse)
            }
        }
    };
}

text_type!(
    /// The platform's own id of a user, such as `user_12345`. Becomes
    /// `metadata.external_id`, which must not contain `%` ([accounts](crate::whop_api#accounts)).
    UserKey, |text| {
        plain(text, 255)?;
        if text.trim() != text {
            return invalid("must not begin or end with white space");
        }
        if text.contains('%') {
            return invalid("must not contain `%`: Whop refuses it in an external id");
        }
        Ok(text)
    }
);

text_type!(
    /// An email address, as written. Only what every mail system requires is
    /// checked; whether mail arrives only Whop can tell.
    Email, |text| {
        plain(text, 254)?;
        if text.chars().any(char::is_whitespace) {
            return invalid("must not contain white space");
        }
        let Some((local, domain)) = text.rsplit_once('@') else {
            return invalid("must contain an `@`");
        };
        let labels_are_fine = domain.split('.').all(|label| !label.is_empty());
        if local.is_empty() || local.contains('@') || !domain.contains('.') || !labels_are_fine {
            return invalid("must look like name@domain.tld");
        }
        Ok(text)
    }
);

impl Email {
    /// The form in which two addresses are compared: case does not count.
    pub fn folded(&self) -> Cow<'_, str> {
        let is_folded = |c: char| c.is_ascii() && !c.is_ascii_uppercase();
        match self.0.chars().all(is_folded) {
            true => Cow::Borrowed(&self.0),
            false => Cow::Owned(self.0.to_lowercase()),
        }
    }

    /// Whether the domain is reserved for examples and tests (RFC 2606, RFC
    /// 6761), so that no mail can arrive and Whop may refuse it
    /// ([accounts](crate::whop_api#accounts)).
    pub fn is_reserved(&self) -> bool {
        let folded = self.folded();
        let domain = folded.rsplit('@').next().unwrap_or_default();
        let reserved_tld = ["test", "invalid", "example", "localhost", "local"];
        let reserved_domain = ["example.com", "example.org", "example.net"];
        reserved_tld.contains(&domain.rsplit('.').next().unwrap_or_default())
            || reserved_domain
                .iter()
                .any(|r| domain == *r || domain.strip_suffix(r).is_some_and(|rest| rest.ends_with('.')))
    }
}

text_type!(
    /// A company-specific display name: 1 to 100 characters
    /// ([users](crate::whop_api#users)), without white space around it.
    DisplayName, |text| {
        if text.trim() != text {
            return invalid("must not begin or end with white space");
        }
        plain(text, DisplayName::LONGEST)?;
        Ok(text)
    }
);

impl DisplayName {
    /// The most characters that one has.
    pub const LONGEST: usize = 100;
}

text_type!(
    /// An account's title: 1 to 255 characters. Whop documents no limit; this
    /// one is ours.
    Title, |text| {
        if text.trim() != text {
            return invalid("must not begin or end with white space");
        }
        plain(text, Title::LONGEST)?;
        Ok(text)
    }
);

impl Title {
    /// The most characters that one has.
    pub const LONGEST: usize = 255;
}

impl From<&DisplayName> for Title {
    /// Every display name is a fine title.
    fn from(name: &DisplayName) -> Self {
        Self(name.as_str().into())
    }
}

/// Checks one of Whop's ids. They end up in paths and in the mapping, so only
/// characters that need no escaping anywhere are accepted.
fn whop_id<'a>(text: &'a str, prefix: &str) -> Result<&'a str, Invalid> {
    let Some(rest) = text.strip_prefix(prefix) else {
        return invalid(format!("must begin with `{prefix}`"));
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if rest.is_empty() || rest.len() > 128 || !rest.chars().all(fits) {
        return invalid(format!(
            "must be `{prefix}` and 1 to 128 letters, digits, `_` or `-`"
        ));
    }
    Ok(text)
}

text_type!(
    /// A connected account under the platform (`biz_…`).
    AccountId, |text| whop_id(text, "biz_")
);

text_type!(
    /// The platform's own account (`biz_…`). Not an [`AccountId`]: a profile
    /// update needs the platform's, and a child's would aim it elsewhere.
    PlatformId, |text| whop_id(text, "biz_")
);

impl PlatformId {
    /// Whether this listed account is the platform itself.
    pub fn is(&self, account: &AccountId) -> bool {
        self.as_str() == account.as_str()
    }
}

text_type!(
    /// A person on Whop (`user_…`), the owner of a connected account.
    UserId, |text| whop_id(text, "user_")
);

text_type!(
    /// An uploaded file (`file_…`).
    FileId, |text| whop_id(text, "file_")
);

/// The picture formats that Whop takes for a user ([files](crate::whop_api#files)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// GIF, still or animated.
    Gif,
    /// WebP, lossy, lossless or animated.
    Webp,
}

impl ImageFormat {
    /// The name people know it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Gif => "GIF",
            Self::Webp => "WebP",
        }
    }

    /// The file name extension we upload it under; Whop takes the type from
    /// the name ([files](crate::whop_api#files)).
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
            Self::Webp => "webp",
        }
    }

    /// The format a file name's extension promises, in any case.
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "png" => Some(Self::Png),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "gif" => Some(Self::Gif),
            "webp" => Some(Self::Webp),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_emails_and_ids_refuse_what_would_hurt_later() {
        assert!(UserKey::parse("007").is_ok());
        assert!(UserKey::parse("100%").is_err());
        assert!(UserKey::parse(" a").is_err());
        assert!(UserKey::parse("a\u{7}").is_err());
        assert!(Email::parse("a@b.c").is_ok());
        for bad in ["", "a", "a@", "@b.c", "a@b", "a@b..c", "a b@c.d", "a@b@c.d"] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
        assert!(AccountId::parse("biz_p1").is_ok());
        for bad in ["biz_", "user_1", "biz_a/b", "biz_a?b", "biz_é"] {
            assert!(AccountId::parse(bad).is_err(), "{bad}");
        }
        assert!(DisplayName::parse(&"ж".repeat(100)).is_ok());
        assert!(DisplayName::parse(&"ж".repeat(101)).is_err());
    }

    #[test]
    fn reserved_domains_are_known() {
        for (text, reserved) in [
            ("a@example.com", true),
            ("a@mail.EXAMPLE.org", true),
            ("a@shop.test", true),
            ("a@example.shop", false),
            ("a@notexample.com", false),
        ] {
            assert_eq!(
                Email::parse(text).map(|e| e.is_reserved()),
                Ok(reserved),
                "{text}"
            );
        }
    }
}
