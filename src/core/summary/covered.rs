//! What a plan's digest stands for, part by part.

use std::collections::BTreeMap;

use super::super::digest::Digest;
use super::super::identity::Evidence;
use super::super::model::{Guard, KnownUser, Limit, Link, PreparedCall};
use super::super::plan::{
    Action, Breach, Cause, Caution, Kind, Learned, NewAccount, PictureChange, Plan, Reads, Reason,
};
use super::super::resend::{Asked, Resend};
use super::super::sample;
use super::super::text::Texts;
use super::super::value::{Email, PlatformId, Title};
use super::digest;

/// Everything a plan can hold, once.
fn rich() -> Plan {
    let mut resent = sample::create("c2", "Resent");
    if let Kind::Create(new) = &mut resent.kind {
        new.resend = Some(sample::resend("c2", new));
        new.replaces = Some(sample::account("biz_gone"));
    }
    let mut changed = sample::update("u1", "Old", "New", Cause::Both);
    changed.account = sample::account_change();
    changed.profile.picture = sample::picture_change(Some("a.png"), "b.png", Cause::Edited);
    changed.renamed_from = Some(sample::key("u0"));
    let adopted = sample::adopt("a1", Evidence::Email);
    let actions = vec![
        sample::create("c1", "Ann"),
        resent,
        changed,
        adopted,
        sample::forget("f1"),
    ];
    sample::plan(actions, sample::every_hold())
}

/// Edits the one update of [`rich`].
fn update(plan: &mut Plan, edit: impl Fn(&mut Action)) {
    let mut actions = plan.actions.iter_mut();
    edit(actions.find(|a| a.key.as_str() == "u1").unwrap());
}

fn rename(plan: &mut Plan, old: &str, new: &str) {
    update(plan, |a| {
        a.profile.name = sample::name_change(Some(old), new, Cause::Both);
    });
}

/// Edits the one adoption of [`rich`].
fn adopted(plan: &mut Plan, edit: impl Fn(&mut KnownUser, &mut Evidence)) {
    let mut actions = plan.actions.iter_mut();
    let action = actions.find(|a| a.key.as_str() == "a1").unwrap();
    let Kind::Adopt { entry, by } = &mut action.kind else {
        panic!("not an adoption");
    };
    edit(entry, by);
}

/// Edits the create of [`rich`] that is sent again.
fn created(plan: &mut Plan, edit: impl Fn(&mut NewAccount)) {
    let mut actions = plan.actions.iter_mut();
    let action = actions.find(|a| a.key.as_str() == "c2").unwrap();
    let Kind::Create(new) = &mut action.kind else {
        panic!("not a create");
    };
    edit(new);
}

/// Edits the request that [`rich`] sends again.
fn resent(plan: &mut Plan, edit: impl Fn(&mut PreparedCall)) {
    created(plan, |new| {
        let mut call = new.resend.as_ref().unwrap().call().clone();
        edit(&mut call);
        let key = sample::key("c2");
        let asked = Asked {
            key: &key,
            email: &new.email,
            title: &new.title,
            metadata: &new.metadata,
        };
        new.resend = Some(Resend::of(&call, asked).unwrap());
    });
}

/// Edits the picture that the update of [`rich`] sets.
fn pictured(plan: &mut Plan, edit: impl Fn(&mut PictureChange)) {
    update(plan, |action| edit(action.profile.picture.as_mut().unwrap()));
}

/// Edits the link that [`rich`] forgets.
fn forgotten(plan: &mut Plan, edit: impl Fn(&mut Link)) {
    let mut actions = plan.actions.iter_mut();
    let action = actions.find(|a| a.key.as_str() == "f1").unwrap();
    let Kind::Forget { link } = &mut action.kind else {
        panic!("not forgotten");
    };
    edit(link);
}

type Edit = (&'static str, fn(&mut Plan));

/// Everything that a reviewed digest stands for, each changed once.
const COVERED: [Edit; 43] = [
    ("nothing", |_| {}),
    ("platform", |p| p.platform = PlatformId::parse("biz_Q").unwrap()),
    ("server", |p| p.terms.server = "sandbox".into()),
    ("API version", |p| p.terms.version = "2026-10-16".into()),
    ("a limit where there was none", |p| {
        p.terms.limits.max_creates = Some(Limit::Percent(30));
    }),
    ("the same limit of another guard", |p| {
        p.terms.limits.max_updates = Some(Limit::Percent(30));
    }),
    ("another share", |p| {
        p.terms.limits.max_creates = Some(Limit::Percent(31));
    }),
    ("a number for a share", |p| {
        p.terms.limits.max_creates = Some(Limit::Count(30));
    }),
    ("a limit of pictures", |p| {
        p.terms.limits.max_avatars = Some(Limit::Count(30));
    }),
    ("a guard lifted", |p| _ = p.terms.lifted.insert(Guard::MaxCreates)),
    ("another guard lifted", |p| {
        _ = p.terms.lifted.insert(Guard::Stale)
    }),
    ("an action less", |p| drop(p.actions.remove(0))),
    ("a hold less", |p| drop(p.holds.remove(0))),
    ("another kind", |p| {
        p.actions[0].kind = sample::adopt("a1", Evidence::ExternalId).kind;
    }),
    ("another user", |p| p.actions[0].key = sample::key("a9")),
    ("a resend less", |p| created(p, |new| new.resend = None)),
    ("another body that means the same", |p| {
        resent(p, |call| {
            // Fields of a body are in the order of their names.
            call.body = call
                .body
                .replacen(",\"metadata\"", ",\"external_id\":\"c2\",\"metadata\"", 1)
        });
    }),
    ("another version of the body", |p| {
        resent(p, |call| call.version.push('1'));
    }),
    ("another idempotency key", |p| {
        resent(p, |call| call.idempotency_key.push('1'));
    }),
    ("another address", |p| {
        created(p, |new| new.email = Email::parse("x@example.com").unwrap());
    }),
    ("another title", |p| {
        created(p, |new| new.title = Title::parse("X").unwrap());
    }),
    ("no metadata", |p| created(p, |new| new.metadata = Texts::new())),
    ("another account replaced", |p| {
        created(p, |new| new.replaces = None)
    }),
    ("another account linked", |p| {
        adopted(p, |entry, _| entry.link.account = sample::account("biz_x"));
    }),
    ("another owner linked", |p| {
        adopted(p, |entry, _| entry.link.owner = sample::owner("user_x"));
    }),
    ("other evidence", |p| {
        adopted(p, |_, by| *by = Evidence::InternalUserId)
    }),
    ("another account updated", |p| {
        update(p, |a| {
            a.kind = sample::update("u2", "Old", "New", Cause::Both).kind
        });
    }),
    ("another account forgotten", |p| {
        forgotten(p, |link| link.account = sample::account("biz_x"));
    }),
    ("another owner forgotten", |p| {
        forgotten(p, |link| link.owner = sample::owner("user_x"));
    }),
    ("no former id", |p| update(p, |a| a.renamed_from = None)),
    ("another new name", |p| rename(p, "Old", "N")),
    ("another old name", |p| rename(p, "O", "New")),
    ("no picture", |p| update(p, |a| a.profile.picture = None)),
    ("another picture's content", |p| {
        pictured(p, |picture| picture.new.digest = Digest::of(b"other"));
    }),
    ("another picture's file", |p| {
        pictured(p, |picture| picture.new.path = "other.png".into());
    }),
    ("another picture before", |p| {
        pictured(p, |picture| picture.old = None)
    }),
    ("another picture shown before", |p| {
        pictured(p, |picture| picture.old_url = None)
    }),
    ("no title", |p| update(p, |a| a.account.title = None)),
    ("a changed metadata key less", |p| {
        update(p, |a| drop(a.account.metadata.pop_last()));
    }),
    ("others' metadata", |p| {
        update(p, |a| a.account.whole.retain(|key, _| *key != "others"));
    }),
    ("another hold", |p| p.holds[0].key = sample::key("a0")),
    ("another reason", |p| p.holds[0].reason = Reason::Vanished),
    ("what a reason names", |p| {
        let mut holds = p.holds.iter_mut();
        let shared = holds.find(|h| h.reason.code() == "shared_owner").unwrap();
        shared.reason = Reason::SharedOwner {
            owner: sample::owner("user_1"),
            others: vec![sample::key("u6")],
        };
    }),
];

#[test]
fn each_thing_that_a_digest_covers_changes_it() {
    let mut digests = BTreeMap::new();
    for (what, edit) in COVERED {
        let mut plan = rich();
        edit(&mut plan);
        if let Some(same) = digests.insert(digest(&plan), what) {
            panic!("`{what}` and `{same}` have one digest");
        }
    }
}

#[test]
fn the_limit_of_every_guard_is_covered() {
    let mut digests = BTreeMap::new();
    for guard in Guard::with_limit() {
        let mut plan = rich();
        *plan.terms.limits.limit_mut(guard).unwrap() = Some(Limit::Count(7));
        assert_eq!(digests.insert(digest(&plan), guard), None, "{guard:?}");
    }
    assert!(!digests.contains_key(&digest(&rich())));
}

#[test]
fn the_digest_leaves_out_time_and_how_it_was_looked() {
    let plan = rich();
    let mut again = plan.clone();
    again.reads = Reads {
        accounts: 7,
        profiles: 7,
        from_mapping: 7,
    };
    again.unchanged = 9;
    again.left_out = 9;
    again.cautions = vec![Caution::Lifted(Guard::Stale)];
    again.unmanaged = vec![sample::unmanaged("x", None, None)];
    again.learned = vec![Learned {
        key: sample::key("l1"),
        entry: KnownUser::linked(sample::link("l1")),
    }];
    update(&mut again, |action| {
        let Kind::Update { entry, record } = &mut action.kind else {
            panic!("not an update");
        };
        entry.picture.as_mut().unwrap().url = None;
        *record = true;
    });
    again.breaches = vec![Breach {
        guard: Guard::MaxUpdates,
        most: 1,
        wanted: 2,
        limit: None,
    }];
    for hold in &mut again.holds {
        match &mut hold.reason {
            Reason::InDoubt { begun, .. } => *begun += 60,
            Reason::Unreadable { message } => message.push('!'),
            _ => {}
        }
    }
    assert_ne!(plan, again);
    assert_eq!(digest(&plan), digest(&again));
}
