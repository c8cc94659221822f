//! The texts that a manifest manages, in one table. Reading a manifest,
//! planning, drift, reports and the documents go over [`TextField::ALL`]; what
//! is different for each text is a `match` here. So a new text begins with a
//! variant, and the compiler names what it needs.
//!
//! Metadata and pictures are managed too, but are no single texts.

use std::ops::{Index, IndexMut};

use super::model::{Account, DesiredUser, KnownUser, Profile};
use super::plan::{AccountChange, Action, Cause, Change, ProfileChange};
use super::problem_code::ProblemCode;
use super::text::Text;
use super::value::{DisplayName, Invalid, Title};

listed! {
    /// A text that a manifest manages, in the manifest's order.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum TextField {
        /// The name that a person shows in the company.
        Name,
        /// The account's title; without one, Whop would show the email as the
        /// title ([traps](crate::whop_api#traps)), so a new account gets the
        /// name.
        Title,
    }
}

/// Where Whop keeps a field. Each is changed by a request of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The connected account.
    Account,
    /// The profile that the account's owner shows in the company.
    Profile,
}

/// The fields of a user in a manifest, in the order in which they are named to
/// people.
pub const USER_FIELDS: [&str; 6 + TextField::COUNT] = [
    "id",
    "email",
    TextField::Name.name(),
    "avatar",
    "strip_metadata",
    TextField::Title.name(),
    "metadata",
    "renamed_from",
];

/// Where Whop keeps a field of a plan, by the name that it has there
/// (`metadata.tier`).
pub fn owner(name: &str) -> Owner {
    match TextField::named(name) {
        Some(field) => field.owner(),
        None if name == "avatar" => Owner::Profile,
        None => Owner::Account,
    }
}

impl TextField {
    /// The name in manifests, mappings, plans and requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Title => "title",
        }
    }

    /// The field of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// Where Whop keeps it.
    pub const fn owner(self) -> Owner {
        match self {
            Self::Name => Owner::Profile,
            Self::Title => Owner::Account,
        }
    }

    /// The fields that Whop keeps there.
    pub fn of(owner: Owner) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |field| field.owner() == owner)
    }

    /// Whether every user has it.
    pub const fn is_required(self) -> bool {
        match self {
            Self::Name => true,
            Self::Title => false,
        }
    }

    /// The texts that every user has.
    pub fn required() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|field| field.is_required())
    }

    /// The texts that a user may be without.
    pub fn optional() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|field| !field.is_required())
    }

    /// The most characters that it may have.
    pub const fn longest(self) -> usize {
        match self {
            Self::Name => DisplayName::LONGEST,
            Self::Title => Title::LONGEST,
        }
    }

    /// The code of the problem that a value cannot be used.
    pub const fn problem(self) -> ProblemCode {
        match self {
            Self::Name => ProblemCode::BadName,
            Self::Title => ProblemCode::BadTitle,
        }
    }

    /// What to write instead of a value that cannot be used.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Name => "write the name that your company's members see, 1 to 100 characters on one line",
            Self::Title => "write 1 to 255 characters on one line, or leave `title` out",
        }
    }

    /// What the manifest asks for; `None` where it does not manage it.
    pub fn wanted(self, user: &DesiredUser) -> Option<&str> {
        match self {
            Self::Name => Some(user.name.as_str()),
            Self::Title => user.title.as_ref().map(Title::as_str),
        }
    }

    /// Makes the manifest ask for this text.
    ///
    /// # Errors
    /// Says why the text cannot be one, as a fragment that follows the name.
    pub fn ask(self, user: &mut DesiredUser, text: &str) -> Result<(), Invalid> {
        match self {
            Self::Name => user.name = DisplayName::parse(text)?,
            Self::Title => user.title = Some(Title::parse(text)?),
        }
        Ok(())
    }

    /// What was last applied.
    pub fn applied(self, known: &KnownUser) -> Option<&str> {
        let text = match self {
            Self::Name => &known.name,
            Self::Title => &known.title,
        };
        text.as_deref()
    }

    /// Where the mapping keeps what was last applied.
    pub fn applied_mut(self, known: &mut KnownUser) -> &mut Option<Text> {
        match self {
            Self::Name => &mut known.name,
            Self::Title => &mut known.title,
        }
    }

    /// What Whop shows; the outer `None` where the profile was not read.
    pub fn shown<'a>(self, account: &'a Account, profile: Option<&'a Profile>) -> Option<Option<&'a str>> {
        match self.owner() {
            Owner::Account => Some(self.on_account(account)),
            Owner::Profile => profile.map(|profile| self.on_profile(profile)),
        }
    }

    /// What an account shows of it.
    pub fn on_account(self, account: &Account) -> Option<&str> {
        match self {
            Self::Title => Some(&account.title),
            Self::Name => None,
        }
    }

    /// What a profile shows of it.
    pub fn on_profile(self, profile: &Profile) -> Option<&str> {
        match self {
            Self::Name => profile.name.as_deref(),
            Self::Title => None,
        }
    }

    /// Makes Whop show this text.
    #[cfg(test)]
    fn show(self, account: &mut Account, profile: &mut Profile, text: &str) {
        match self {
            Self::Title => account.title = text.into(),
            Self::Name => self.show_on_profile(profile, text),
        }
    }

    /// Makes a profile show this text, if profiles have it.
    #[cfg(any(test, fuzzing))]
    pub(super) fn show_on_profile(self, profile: &mut Profile, text: &str) {
        match self {
            Self::Name => profile.name = Some(text.into()),
            Self::Title => {}
        }
    }

    /// What an action changes of it on an account that exists, or sets on the
    /// profile of a new one.
    pub fn changed(self, action: &Action) -> Option<TextChange<'_>> {
        match self {
            Self::Name => action
                .profile
                .name
                .as_ref()
                .map(|c| TextChange::of(c, c.new.as_str())),
            Self::Title => action
                .account
                .title
                .as_ref()
                .map(|c| TextChange::of(c, c.new.as_str())),
        }
    }

    /// Adds the change to what the manifest asks for.
    pub(super) fn change(
        self,
        user: &DesiredUser,
        old: Option<Box<str>>,
        cause: Cause,
        account: &mut AccountChange,
        profile: &mut ProfileChange,
    ) {
        match self {
            Self::Name => {
                let new = user.name.clone();
                profile.name = Some(Change { old, new, cause });
            }
            Self::Title => account.title = user.title.clone().map(|new| Change { old, new, cause }),
        }
    }
}

/// The change of one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextChange<'a> {
    /// What Whop shows now, as far as known.
    pub old: Option<&'a str>,
    /// What it will be.
    pub new: &'a str,
    /// Why.
    pub cause: Cause,
}

impl<'a> TextChange<'a> {
    /// A change as texts; `new` is the new value's.
    pub(super) fn of<T>(change: &'a Change<T>, new: &'a str) -> Self {
        Self {
            old: change.old.as_deref(),
            new,
            cause: change.cause,
        }
    }
}

/// One value for each text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ByField<T>([T; TextField::COUNT]);

impl<T> Index<TextField> for ByField<T> {
    type Output = T;

    fn index(&self, field: TextField) -> &T {
        &self.0[field as usize]
    }
}

impl<T> IndexMut<TextField> for ByField<T> {
    fn index_mut(&mut self, field: TextField) -> &mut T {
        &mut self.0[field as usize]
    }
}

#[cfg(test)]
mod tests;
