//! Profiles in the platform's company ([users](crate::whop_api#users)). Without
//! the platform, the same path means the person's global profile, which must
//! not be touched; so no request here can be made without it.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Answered;
use super::client::{Client, Permit};
use super::error::{CallError, CallErrorKind};
use super::operation::Operation;
use super::query::path;
use super::transport::Method;
use crate::core::model::{Dialect, Profile, ProfileRead};
use crate::core::value::{DisplayName, FileId, PlatformId, UserId};

/// A change of one user's company-specific profile.
///
/// It cannot exist without the platform, in either dialect:
///
/// ```
/// use whop_sync::core::value::{DisplayName, PlatformId, UserId};
/// use whop_sync::remote::ProfileUpdate;
///
/// let (platform, user) = (PlatformId::parse("biz_p1")?, UserId::parse("user_a1")?);
/// let name = DisplayName::parse("Ana")?;
/// assert!(ProfileUpdate::new(&platform, &user, Some(&name), None).is_some());
/// assert!(ProfileUpdate::new(&platform, &user, None, None).is_none(), "nothing to change");
/// # Ok::<(), whop_sync::core::value::Invalid>(())
/// ```
///
/// Without it, the program does not compile:
///
/// ```compile_fail,E0061
/// # use whop_sync::core::value::{DisplayName, UserId};
/// # use whop_sync::remote::ProfileUpdate;
/// # let (user, name) = (UserId::parse("user_a1")?, DisplayName::parse("Ana")?);
/// ProfileUpdate::new(&user, Some(&name), None);
/// # Ok::<(), whop_sync::core::value::Invalid>(())
/// ```
///
/// nor with a child account instead, nor by naming the fields:
///
/// ```compile_fail,E0308
/// # use whop_sync::core::value::{AccountId, DisplayName, UserId};
/// # use whop_sync::remote::ProfileUpdate;
/// # let (user, name) = (UserId::parse("user_a1")?, DisplayName::parse("Ana")?);
/// let child = AccountId::parse("biz_c1")?;
/// ProfileUpdate::new(&child, &user, Some(&name), None);
/// # Ok::<(), whop_sync::core::value::Invalid>(())
/// ```
///
/// ```compile_fail,E0451
/// # use whop_sync::core::value::{PlatformId, UserId};
/// # use whop_sync::remote::ProfileUpdate;
/// # let (platform, user) = (PlatformId::parse("biz_p1")?, UserId::parse("user_a1")?);
/// ProfileUpdate { platform, user, name: None, picture: None };
/// # Ok::<(), whop_sync::core::value::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileUpdate {
    platform: PlatformId,
    user: UserId,
    name: Option<DisplayName>,
    picture: Option<FileId>,
}

impl ProfileUpdate {
    /// Sets the name, the picture, or both; `None` if nothing would change.
    /// What is not given is kept on Whop.
    pub fn new(
        platform: &PlatformId,
        user: &UserId,
        name: Option<&DisplayName>,
        picture: Option<&FileId>,
    ) -> Option<Self> {
        (name.is_some() || picture.is_some()).then(|| Self {
            platform: platform.clone(),
            user: user.clone(),
            name: name.cloned(),
            picture: picture.cloned(),
        })
    }

    /// The path and body. The platform is in the query, or in the companies
    /// dialect in the body.
    fn encode(&self, dialect: Dialect) -> (String, Bytes) {
        let Self {
            platform,
            user,
            name,
            picture,
        } = self;
        let mut body = json!({});
        if let Some(name) = name {
            body["name"] = Value::from(name.as_str());
        }
        if let Some(picture) = picture {
            body["profile_picture"] = json!({ "id": picture.as_str() });
        }
        let at = match dialect {
            Dialect::Accounts => user_path(dialect, platform, user),
            Dialect::Companies => {
                body["company_id"] = Value::from(platform.as_str());
                format!("/users/{user}")
            }
        };
        (at, body.to_string().into())
    }
}

impl Client {
    /// Reads a user's profile.
    ///
    /// # Errors
    /// On failures that are not specific to this user: key, version, limit,
    /// network, server. A refusal or an invalid answer is specific to the user
    /// and returned as [`ProfileRead::Unreadable`].
    pub async fn read_profile(&self, user: &UserId) -> Result<ProfileRead, CallError> {
        let at = user_path(self.dialect(), self.platform(), user);
        let call = self.repeatable(Operation::RetrieveUser, self.request(Method::Get, at, None));
        match self.call(None, &call).await {
            Ok(answer) => Ok(match read(&answer.body, user) {
                Ok(profile) => ProfileRead::Seen(profile),
                Err(why) => ProfileRead::Unreadable(self.about(&call).malformed(&answer, &why).message),
            }),
            Err(error) => match error.kind {
                CallErrorKind::NotFound => Ok(ProfileRead::Missing),
                CallErrorKind::Forbidden
                | CallErrorKind::Refused
                | CallErrorKind::Conflict
                | CallErrorKind::Malformed => Ok(ProfileRead::Unreadable(error.message)),
                _ => Err(error),
            },
        }
    }

    /// Changes a user's profile and returns the result.
    ///
    /// # Errors
    /// An update for another platform than the client's is refused without a
    /// request.
    pub async fn update_profile(
        &self,
        permit: Permit,
        update: &ProfileUpdate,
    ) -> Result<Answered<Profile>, CallError> {
        if update.platform != *self.platform() {
            let asked = self.asked(Operation::UpdateUser, self.version(), false);
            return Err(asked.invalid("the update is for another platform"));
        }
        let (at, body) = update.encode(self.dialect());
        let call = self.repeatable(Operation::UpdateUser, self.request(Method::Patch, at, Some(body)));
        let answer = self.call(Some(permit), &call).await?;
        read(&answer.body, &update.user)
            .map(|profile| Answered::new(profile, &answer))
            .map_err(|why| self.about(&call).malformed(&answer, &why))
    }
}

/// The path for reading a user's company-specific profile, and in the accounts
/// dialect for changing it.
fn user_path(dialect: Dialect, platform: &PlatformId, user: &UserId) -> String {
    let scope = match dialect {
        Dialect::Accounts => "account_id",
        Dialect::Companies => "company_id",
    };
    path(&format!("/users/{user}"), &[(scope, platform.as_str())])
}

/// The parts of a user that are read.
#[derive(Deserialize)]
struct UserBody {
    id: String,
    #[serde(default)]
    name: Option<Box<str>>,
    #[serde(default)]
    profile_picture: Option<Picture>,
}

#[derive(Deserialize)]
struct Picture {
    #[serde(default)]
    url: Option<Box<str>>,
}

/// The longest name and picture URL that are kept, in bytes. Names that Whop
/// accepts have tens of characters. Every user has both, so this bounds the
/// memory of a refresh.
const LONGEST: usize = 4096;

fn read(body: &[u8], user: &UserId) -> Result<Profile, String> {
    let body: UserBody =
        serde_json::from_slice(body).map_err(|why| format!("the answer is not as documented: {why}"))?;
    if body.id != user.as_str() {
        return Err("the answer is about another user".to_owned());
    }
    let url = body.profile_picture.and_then(|picture| picture.url);
    let picture = url.as_deref().map(bare_url);
    if [&body.name, &picture]
        .into_iter()
        .flatten()
        .any(|text| text.len() > LONGEST)
    {
        return Err(format!(
            "its name or its picture's URL is longer than {LONGEST} bytes"
        ));
    }
    Ok(Profile {
        name: body.name,
        picture,
    })
}

/// A URL without query and fragment: signatures and versions there change while
/// the picture stays the same ([users](crate::whop_api#users)).
fn bare_url(url: &str) -> Box<str> {
    url.split(['?', '#']).next().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::super::Effect;
    use super::super::script::{Script, answer, body_of, header_of, unsent};
    use super::super::transport::{Response, TransportError};
    use super::*;

    const NEW: &str = "2026-10-15-1";
    const OLD: &str = "2025-01-01";

    fn user() -> UserId {
        UserId::parse("user_a1").unwrap()
    }

    /// A profile with a name and a picture URL of these lengths.
    fn named(name: usize, url: usize) -> Result<Response, TransportError> {
        let name = "n".repeat(name);
        let url = format!("{:x<url$}", "https://i.test/");
        answer(
            200,
            format!(r#"{{"id":"user_a1","name":"{name}","profile_picture":{{"url":"{url}?v=1"}}}}"#),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_profile_is_read_for_the_platform_and_its_picture_bare() {
        let url = r#"{"id":"user_a1","name":"Ana","profile_picture":{"url":"https://i.test/a.png?v=1#x"}}"#;
        let bare = r#"{"id":"user_a1","name":null,"profile_picture":{"url":null}}"#;
        let none = r#"{"id":"user_a1","profile_picture":null}"#;
        let script = Script::of([url, bare, none].map(|body| answer(200, body)));
        let client = script.client(NEW);
        let seen = |name: Option<&str>, picture: Option<&str>| {
            Ok(ProfileRead::Seen(Profile {
                name: name.map(Into::into),
                picture: picture.map(Into::into),
            }))
        };
        let expected = seen(Some("Ana"), Some("https://i.test/a.png"));
        assert_eq!(client.read_profile(&user()).await, expected);
        assert_eq!(client.read_profile(&user()).await, seen(None, None));
        assert_eq!(client.read_profile(&user()).await, seen(None, None));
        assert_eq!(script.lines()[0], "GET /users/user_a1?account_id=biz_p1");
        let old = Script::of([answer(200, none)]);
        old.client(OLD).read_profile(&user()).await.unwrap();
        assert_eq!(old.lines(), ["GET /users/user_a1?company_id=biz_p1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_of_one_user_does_not_end_the_refresh() {
        for (given, read) in [
            (answer(404, ""), Ok("missing")),
            (answer(403, ""), Ok("unreadable")),
            (answer(422, ""), Ok("unreadable")),
            (answer(200, "<html>"), Ok("unreadable")),
            (answer(200, r#"{"id":"user_b2","name":"B"}"#), Ok("unreadable")),
            (named(LONGEST, 30), Ok("seen")),
            (named(LONGEST + 1, 30), Ok("unreadable")),
            (named(3, LONGEST + 1), Ok("unreadable")),
            (answer(401, ""), Err(CallErrorKind::Unauthorized)),
            (answer(500, ""), Err(CallErrorKind::Server)),
            (unsent(), Err(CallErrorKind::Network)),
            (
                answer(400, r#"{"error":{"message":"unknown api-version-date"}}"#),
                Err(CallErrorKind::UnknownVersion),
            ),
        ] {
            let shown = format!("{given:?}");
            let script = Script::by(move |_, _| given.clone());
            let outcome = script.client(NEW).read_profile(&user()).await;
            let outcome = outcome.map_err(|error| error.kind).map(|read| match read {
                ProfileRead::Seen(_) => "seen",
                ProfileRead::Missing => "missing",
                ProfileRead::Unreadable(_) => "unreadable",
            });
            assert_eq!(outcome, read, "{shown}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_always_names_the_platform() {
        let name = DisplayName::parse("Ana R.").unwrap();
        let picture = FileId::parse("file_x1").unwrap();
        let platform = PlatformId::parse("biz_p1").unwrap();
        for (version, name, picture, line, body) in [
            (
                NEW,
                Some(&name),
                Some(&picture),
                "PATCH /users/user_a1?account_id=biz_p1",
                r#"{"name":"Ana R.","profile_picture":{"id":"file_x1"}}"#,
            ),
            (
                NEW,
                None,
                Some(&picture),
                "PATCH /users/user_a1?account_id=biz_p1",
                r#"{"profile_picture":{"id":"file_x1"}}"#,
            ),
            (
                OLD,
                Some(&name),
                None,
                "PATCH /users/user_a1",
                r#"{"company_id":"biz_p1","name":"Ana R."}"#,
            ),
        ] {
            let script = Script::of([answer(200, r#"{"id":"user_a1","name":"Ana R."}"#)]);
            let client = script.client(version);
            let permit = client.admit(Operation::UpdateUser).await.unwrap();
            let update = ProfileUpdate::new(&platform, &user(), name, picture).unwrap();
            let profile = client.update_profile(permit, &update).await.unwrap().value;
            assert_eq!(profile.name.as_deref(), Some("Ana R."));
            let request = &script.seen()[0];
            assert_eq!((script.lines()[0].as_str(), body_of(request)), (line, body));
            assert_eq!(header_of(request, "content-type"), Some("application/json"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_for_another_platform_or_answered_for_another_user_fails() {
        let script = Script::of([answer(200, r#"{"id":"user_b2"}"#)]);
        let client = script.client(NEW);
        let name = DisplayName::parse("Ana").unwrap();
        for (platform, effect, sent) in [("biz_p2", Effect::None, 0), ("biz_p1", Effect::Unknown, 1)] {
            let platform = PlatformId::parse(platform).unwrap();
            let update = ProfileUpdate::new(&platform, &user(), Some(&name), None).unwrap();
            let permit = client.admit(Operation::UpdateUser).await.unwrap();
            let error = client.update_profile(permit, &update).await.unwrap_err();
            assert_eq!((error.effect, script.seen().len()), (effect, sent));
        }
    }
}
