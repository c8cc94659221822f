//! Plans for tests, made from plain values: one action, hold or plan a call.

use super::digest::Digest;
use super::identity::{Contradiction, Dissent, Evidence};
use super::model::{
    AppliedPicture, Avatar, DesiredUser, Guardrails, KnownUser, Link, MetaValue, PreparedCall,
};
use super::plan::{
    AccountChange, Action, Cause, Change, Hold, Kind, NewAccount, PictureChange, Plan, ProfileChange, Reads,
    Reason, Terms, Unmanaged, Unrepeatable,
};
use super::resend::{Asked, Resend};
use super::text::{Sorted, Texts};
use super::value::{AccountId, DisplayName, Email, ImageFormat, PlatformId, Title, UserId, UserKey};

pub(crate) fn key(text: &str) -> UserKey {
    UserKey::parse(text).unwrap()
}

pub(crate) fn account(text: &str) -> AccountId {
    AccountId::parse(text).unwrap()
}

pub(crate) fn owner(text: &str) -> UserId {
    UserId::parse(text).unwrap()
}

pub(crate) fn link(text: &str) -> Link {
    Link {
        account: account(&format!("biz_{text}")),
        owner: owner(&format!("user_{text}")),
    }
}

pub(crate) fn texts(pairs: &[(&str, &str)]) -> Texts {
    pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
}

/// A user of a manifest with nothing but what every user has.
pub(crate) fn desired(id: &str) -> DesiredUser {
    DesiredUser::new(
        key(id),
        Email::parse(&format!("{id}@example.com")).unwrap(),
        DisplayName::parse("Ann").unwrap(),
    )
}

/// A picture whose digest follows from its path.
pub(crate) fn avatar(path: &str) -> Avatar {
    Avatar {
        path: path.into(),
        part: 0,
        digest: Digest::of(path.as_bytes()),
        format: ImageFormat::Png,
        bytes: 49_357,
        width: 512,
        height: 256,
    }
}

pub(crate) fn name_change(old: Option<&str>, new: &str, cause: Cause) -> Option<Change<DisplayName>> {
    Some(Change {
        old: old.map(Into::into),
        new: DisplayName::parse(new).unwrap(),
        cause,
    })
}

/// A change of nothing but the name.
fn named(name: Option<Change<DisplayName>>) -> ProfileChange {
    ProfileChange {
        name,
        ..ProfileChange::default()
    }
}

pub(crate) fn title_change(old: Option<&str>, new: &str, cause: Cause) -> Option<Change<Title>> {
    Some(Change {
        old: old.map(Into::into),
        new: Title::parse(new).unwrap(),
        cause,
    })
}

pub(crate) fn picture_change(old: Option<&str>, new: &str, cause: Cause) -> Option<PictureChange> {
    Some(PictureChange {
        old: old.map(|path| Digest::of(path.as_bytes())),
        old_url: old.map(|path| format!("https://img.test/{path}").into()),
        new: avatar(new),
        cause,
    })
}

/// A create of this id with a name and a picture.
pub(crate) fn create(id: &str, name: &str) -> Action {
    Action {
        key: key(id),
        kind: Kind::Create(NewAccount {
            email: Email::parse(&format!("{id}@example.com")).unwrap(),
            title: Title::parse(name).unwrap(),
            metadata: texts(&[("external_id", id), ("internal_user_id", id)]),
            resend: None,
            replaces: None,
        }),
        renamed_from: None,
        account: AccountChange::default(),
        profile: ProfileChange {
            picture: picture_change(None, &format!("avatars/{id}.png"), Cause::New),
            ..named(name_change(None, name, Cause::New))
        },
    }
}

/// An update of this id's name.
pub(crate) fn update(id: &str, old: &str, new: &str, cause: Cause) -> Action {
    Action {
        key: key(id),
        kind: Kind::Update {
            entry: KnownUser {
                name: Some(old.into()),
                picture: Some(Box::new(AppliedPicture {
                    digest: Digest::of(b"old"),
                    url: Some("https://img.test/old".into()),
                })),
                ..KnownUser::linked(link(id))
            },
            record: false,
        },
        renamed_from: None,
        account: AccountChange::default(),
        profile: named(name_change(Some(old), new, cause)),
    }
}

/// An adoption of this id that changes nothing.
pub(crate) fn adopt(id: &str, by: Evidence) -> Action {
    Action {
        kind: Kind::Adopt {
            entry: KnownUser::linked(link(id)),
            by,
        },
        account: AccountChange::default(),
        profile: ProfileChange::default(),
        ..create(id, "Nobody")
    }
}

/// A forgotten link of this id.
pub(crate) fn forget(id: &str) -> Action {
    Action {
        kind: Kind::Forget { link: link(id) },
        ..adopt(id, Evidence::Email)
    }
}

/// The request of this create, whose answer was lost.
pub(crate) fn resend(id: &str, new: &NewAccount) -> Resend {
    let call = PreparedCall {
        version: "2026-10-15-1".into(),
        idempotency_key: "secret-ish-key".into(),
        body: super::audit::create_body(new, None),
    };
    let asked = Asked {
        key: &key(id),
        email: &new.email,
        title: &new.title,
        metadata: &new.metadata,
    };
    Resend::of(&call, asked).unwrap()
}

/// An account change of a title and two metadata keys.
pub(crate) fn account_change() -> AccountChange {
    AccountChange {
        title: title_change(Some("Old studio"), "New studio", Cause::Edited),
        metadata: [
            ("team", None, "print", Cause::New),
            ("tier", Some("gold"), "silver", Cause::Drifted),
        ]
        .into_iter()
        .map(|(key, old, new, cause)| {
            let change = Change {
                old: old.map(Into::into),
                new: new.into(),
                cause,
            };
            (key.into(), change)
        })
        .collect(),
        whole: Sorted::from([
            ("others".into(), MetaValue::Json("[1]".into())),
            ("team".into(), MetaValue::Text("print".into())),
            ("tier".into(), MetaValue::Text("silver".into())),
        ]),
    }
}

/// A hold because of an account that the mapping names for user `u2`.
pub(crate) fn contradicted(dissent: Dissent) -> Reason {
    Reason::Contradicted(Box::new(Contradiction {
        account: account("biz_1"),
        under: Some(key("u2")),
        dissent,
        carrier: Some(account("biz_2")),
    }))
}

/// A hold of every reason, the users named after its code.
pub(crate) fn every_hold() -> Vec<Hold> {
    let (account, owner) = (account("biz_1"), owner("user_1"));
    let reasons = vec![
        Reason::Ambiguous {
            by: Evidence::Email,
            accounts: vec![account.clone(), AccountId::parse("biz_2").unwrap()],
        },
        contradicted(Dissent::Id {
            by: Evidence::ExternalId,
            id: "u1".into(),
        }),
        contradicted(Dissent::Silence),
        Reason::MappedTwice {
            account: account.clone(),
            others: vec![key("u6")],
        },
        Reason::EmailChanged {
            account: account.clone(),
            observed: "was@example.com".into(),
        },
        Reason::EmailTaken {
            account: account.clone(),
            external_id: Some("u9".into()),
        },
        Reason::InDoubt {
            begun: 1_700_000_000,
            why: Unrepeatable::Version,
        },
        Reason::Incomplete,
        Reason::LinkedElsewhere {
            account: account.clone(),
            other: key("u8"),
        },
        Reason::MetadataFixed {
            keys: vec!["team".into(), "tier".into()],
        },
        Reason::OwnerMissing { owner: owner.clone() },
        Reason::SharedOwner {
            owner,
            others: vec![key("u6"), key("u7")],
        },
        Reason::Suspended { account },
        Reason::Unreadable {
            message: "503 from Whop".into(),
        },
        Reason::Vanished,
    ];
    let holds = reasons.into_iter();
    holds
        .map(|reason| Hold {
            key: key(reason.code()),
            reason,
        })
        .collect()
}

/// A plan of these actions and holds, and nothing else.
pub(crate) fn plan(mut actions: Vec<Action>, mut holds: Vec<Hold>) -> Plan {
    actions.sort_by(|a, b| a.key.cmp(&b.key));
    holds.sort_by(|a, b| a.key.cmp(&b.key));
    Plan {
        platform: PlatformId::parse("biz_Platform").unwrap(),
        terms: Terms {
            server: "production".into(),
            version: "2026-10-15-1".into(),
            limits: Guardrails::default(),
            lifted: Default::default(),
        },
        cautions: Vec::new(),
        actions,
        holds,
        learned: Vec::new(),
        unmanaged: Vec::new(),
        unchanged: 0,
        left_out: 0,
        breaches: Vec::new(),
        reads: Reads::default(),
    }
}

/// An account that is left alone.
pub(crate) fn unmanaged(id: &str, user: Option<&str>, title: Option<&str>) -> Unmanaged {
    Unmanaged {
        account: account(&format!("biz_{id}")),
        key: user.map(key),
        title: title.map(Into::into),
    }
}
