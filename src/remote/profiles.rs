//! Profiles as they show in the platform's company (`whop-api.md` §5). The
//! same path without the platform means the person's global profile, which is
//! none of our business; so nothing here can be asked without it.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, Permit};
use super::error::{CallError, CallErrorKind};
use super::operation::Operation;
use super::query::path;
use super::transport::Method;
use crate::core::model::{Dialect, Profile, ProfileRead};
use crate::core::value::{DisplayName, FileId, PlatformId, UserId};

/// A change of one user's company-specific profile.
///
/// It cannot exist without the platform, whatever the dialect does with it:
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
/// Without it the program does not compile:
///
/// ```compile_fail,E0061
/// # use whop_sync::core::value::{DisplayName, UserId};
/// # use whop_sync::remote::ProfileUpdate;
/// # let (user, name) = (UserId::parse("user_a1")?, DisplayName::parse("Ana")?);
/// ProfileUpdate::new(&user, Some(&name), None);
/// # Ok::<(), whop_sync::core::value::Invalid>(())
/// ```
///
/// nor with a child account in its place, nor by naming the fields:
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
    /// Sets the name, the picture, or both; `None` when nothing would change.
    /// What is left out stays as it is on Whop.
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

    /// Where it goes and what it says. The platform stands in the query, or
    /// in the companies dialect in the body.
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
    /// Reads one user's profile.
    ///
    /// # Errors
    /// Whatever is not about this one user: key, version, limit, network,
    /// server. A refusal or an answer that makes no sense is about the user,
    /// and comes as [`ProfileRead::Unreadable`].
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

    /// Changes one user's profile and gives it as it is afterwards.
    ///
    /// # Errors
    /// An update made for another platform than the client's is refused
    /// without a request.
    pub async fn update_profile(&self, permit: Permit, update: &ProfileUpdate) -> Result<Profile, CallError> {
        if update.platform != *self.platform() {
            let asked = self.asked(Operation::UpdateUser, self.version(), false);
            return Err(asked.nonsense("the update is for another platform"));
        }
        let (at, body) = update.encode(self.dialect());
        let call = self.repeatable(Operation::UpdateUser, self.request(Method::Patch, at, Some(body)));
        let answer = self.call(Some(permit), &call).await?;
        read(&answer.body, &update.user).map_err(|why| self.about(&call).malformed(&answer, &why))
    }
}

/// Where a user's company-specific profile is read, and in the accounts
/// dialect changed.
fn user_path(dialect: Dialect, platform: &PlatformId, user: &UserId) -> String {
    let scope = match dialect {
        Dialect::Accounts => "account_id",
        Dialect::Companies => "company_id",
    };
    path(&format!("/users/{user}"), &[(scope, platform.as_str())])
}

/// The parts we read of a user.
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

fn read(body: &[u8], user: &UserId) -> Result<Profile, String> {
    let body: UserBody =
        serde_json::from_slice(body).map_err(|why| format!("the answer is not as documented: {why}"))?;
    if body.id != user.as_str() {
        return Err("the answer is about another user".to_owned());
    }
    let url = body.profile_picture.and_then(|picture| picture.url);
    Ok(Profile {
        name: body.name,
        picture: url.as_deref().map(bare_url),
    })
}

/// A URL without query and fragment: signatures and versions there change
/// while the picture stays (`whop-api.md` §5).
fn bare_url(url: &str) -> Box<str> {
    url.split(['?', '#']).next().unwrap_or_default().into()
}
