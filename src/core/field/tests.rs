//! Every text is managed in every place: each test goes over the table.

use super::super::audit::audit;
use super::super::drift::drift;
use super::super::fields;
use super::super::link::profiles_to_read;
use super::super::model::{
    Desired, Dialect, Entry, Guard, Guardrails, Known, Limit, Link, MetaValue, Observed, Policy, ProfileRead,
    Refresh, Stand,
};
use super::super::plan::{Kind, Plan};
use super::super::planner::plan;
use super::super::sample;
use super::super::state_digest::{desired_digest, known_digest};
use super::super::summary;
use super::*;

/// Fields that differ, and why.
type Differences = Vec<(String, Cause)>;

/// One user on Whop, in the mapping and in the manifest, where everything is as
/// asked.
struct Facts {
    user: DesiredUser,
    known: KnownUser,
    account: Account,
    profile: Option<Profile>,
    rails: Guardrails,
    policy: Policy,
}

impl Facts {
    /// Every text is its own name, on all sides.
    fn settled() -> Self {
        let Link { account, owner } = sample::link("u1");
        let metadata =
            ["external_id", "internal_user_id"].map(|key| (key.into(), MetaValue::Text("u1".into())));
        let mut policy = Policy::new(Dialect::Accounts, "2026-10-15-1", 1_800_000_000);
        policy.refresh = Refresh::Changed;
        let mut facts = Self {
            user: sample::desired("u1"),
            known: KnownUser::linked(sample::link("u1")),
            account: Account {
                id: account,
                owner,
                email: Some("u1@example.com".into()),
                title: "".into(),
                metadata: metadata.into(),
                suspended: false,
                created: None,
            },
            profile: Some(Profile::default()),
            rails: Guardrails::default(),
            policy,
        };
        for field in TextField::ALL {
            facts.ask(field, field.name());
            facts.apply(field, field.name());
            facts.show(field, field.name());
        }
        facts
    }

    fn ask(&mut self, field: TextField, text: &str) {
        field.ask(&mut self.user, text).unwrap();
    }

    fn apply(&mut self, field: TextField, text: &str) {
        *field.applied_mut(&mut self.known) = Some(text.into());
    }

    fn show(&mut self, field: TextField, text: &str) {
        let mut unread = Profile::default();
        let profile = self.profile.as_mut().unwrap_or(&mut unread);
        field.show(&mut self.account, profile, text);
    }

    fn desired(&self) -> Desired {
        let entry = Entry {
            user: self.user.clone(),
            at: Stand::default(),
        };
        let platform = sample::plan(Vec::new(), Vec::new()).platform;
        Desired::new(platform, self.rails, vec![entry]).unwrap()
    }

    fn known(&self) -> Known {
        Known {
            users: [(self.user.key.clone(), self.known.clone())].into(),
            ..Known::default()
        }
    }

    fn observed(&self) -> Observed {
        let read = self.profile.clone().map(ProfileRead::Seen);
        Observed {
            complete: true,
            accounts: vec![self.account.clone()],
            profiles: read
                .into_iter()
                .map(|read| (self.account.owner.clone(), read))
                .collect(),
            ..Observed::default()
        }
    }

    fn plan(&self) -> Plan {
        plan(&self.desired(), &self.observed(), &self.known(), &self.policy)
    }

    /// What the plan and drift say of the texts: name and cause.
    fn differences(&self) -> (Differences, Differences) {
        let plan = self.plan();
        let planned = plan.actions.iter().flat_map(fields::of);
        let drift = drift(&self.desired(), &self.observed(), &self.known(), &self.policy);
        let drifted = drift.users.iter().flat_map(|user| &user.fields);
        (
            planned
                .map(|field| (field.name.into_owned(), field.cause))
                .collect(),
            drifted
                .map(|field| (field.name.to_string(), field.cause))
                .collect(),
        )
    }
}

#[test]
fn every_text_leads_to_itself() {
    let facts = Facts::settled();
    for field in TextField::ALL {
        assert_eq!(TextField::named(field.name()), Some(field));
        assert_eq!(owner(field.name()), field.owner());
        assert_eq!(field.wanted(&facts.user), Some(field.name()));
        assert_eq!(field.applied(&facts.known), Some(field.name()));
        let shown = field.shown(&facts.account, facts.profile.as_ref());
        assert_eq!(shown, Some(Some(field.name())));
        let mut user = facts.user.clone();
        assert!(field.ask(&mut user, &"x".repeat(field.longest())).is_ok());
        assert!(field.ask(&mut user, &"x".repeat(field.longest() + 1)).is_err());
    }
}

#[test]
fn every_text_is_compared_planned_and_reported() {
    let settled = Facts::settled();
    assert_eq!(settled.differences(), (vec![], vec![]));
    assert_eq!(settled.plan().unchanged, 1);
    for field in TextField::ALL {
        let of = |cause| {
            let one = vec![(field.name().to_owned(), cause)];
            (one.clone(), one)
        };
        let mut edited = Facts::settled();
        edited.ask(field, "New");
        assert_eq!(edited.differences(), of(Cause::Edited));
        let mut drifted = Facts::settled();
        drifted.show(field, "Other");
        assert_eq!(drifted.differences(), of(Cause::Drifted));
        drifted.ask(field, "New");
        assert_eq!(drifted.differences(), of(Cause::Both));
        let mut unread = Facts::settled();
        unread.profile = None;
        assert_eq!(unread.differences(), (vec![], vec![]));
        unread.ask(field, "New");
        assert_eq!(unread.differences(), of(Cause::Edited));
        let mut behind = Facts::settled();
        behind.apply(field, "Before");
        if field.owner() == Owner::Account {
            behind.profile = None;
        }
        let learned = behind.plan().learned;
        assert_eq!(field.applied(&learned[0].entry), Some(field.name()));
    }
}

#[test]
fn every_changed_text_counts_in_what_is_made_of_a_plan() {
    for field in TextField::ALL {
        let mut facts = Facts::settled();
        facts.ask(field, "New");
        facts.rails.max_updates = Some(Limit::Count(0));
        let plan = facts.plan();
        let guards: Vec<_> = plan.breaches.iter().map(|breach| breach.guard).collect();
        assert_eq!(guards, [Guard::MaxUpdates], "{field:?}");
        let action = &plan.actions[0];
        assert_eq!(summary::cause(action), Some(Cause::Edited));
        assert!(!action.account.is_empty() || !action.profile.is_empty());
        assert_eq!(action.account.is_empty(), field.owner() == Owner::Profile);
        assert_eq!(action.profile.is_empty(), field.owner() == Owner::Account);
        let mut other = facts.user.clone();
        field.ask(&mut other, "Newer").unwrap();
        facts.user = other;
        assert_ne!(summary::digest(&plan), summary::digest(&facts.plan()));
    }
}

#[test]
fn every_text_counts_in_the_digests_of_the_facts() {
    let settled = Facts::settled();
    for field in TextField::ALL {
        let mut other = Facts::settled();
        other.ask(field, "New");
        assert_ne!(
            desired_digest(&other.desired()),
            desired_digest(&settled.desired())
        );
        other.apply(field, "New");
        assert_ne!(known_digest(&other.known()), known_digest(&settled.known()));
    }
}

/// The plan says what another manifest asks for.
#[test]
fn the_audit_finds_every_text_that_the_manifest_does_not_say() {
    for field in TextField::ALL {
        let mut facts = Facts::settled();
        facts.ask(field, "New");
        let plan = facts.plan();
        let (observed, known) = (facts.observed(), facts.known());
        assert_eq!(audit(&plan, &facts.desired(), &observed, &known), []);
        facts.ask(field, "Newer");
        let findings = audit(&plan, &facts.desired(), &observed, &known);
        assert_eq!(findings.len(), 1, "{field:?}: {findings:?}");
    }
}

#[test]
fn every_text_of_a_profile_decides_whether_it_is_read() {
    for field in TextField::ALL {
        let mut facts = Facts::settled();
        let reads = |facts: &Facts| {
            profiles_to_read(&facts.desired(), &facts.observed(), &facts.known(), &facts.policy).len()
        };
        assert_eq!(reads(&facts), 0);
        facts.ask(field, "New");
        assert_eq!(reads(&facts), usize::from(field.owner() == Owner::Profile));
    }
}

/// A user who left while a change of the profile was in doubt.
#[test]
fn what_was_applied_to_an_unsure_profile_is_forgotten_with_its_user() {
    let facts = Facts::settled();
    let mut known = facts.known();
    known.unsure.insert(facts.user.key.clone());
    let platform = facts.desired().platform().clone();
    let nobody = Desired::new(platform, facts.rails, Vec::new()).unwrap();
    let plan = plan(&nobody, &facts.observed(), &known, &facts.policy);
    let entry = &plan.learned[0].entry;
    for field in TextField::ALL {
        let kept = (field.owner() == Owner::Account).then(|| field.name());
        assert_eq!(field.applied(entry), kept);
    }
}

/// A new user gets every text that the manifest has.
#[test]
fn a_create_sets_every_text() {
    let facts = Facts::settled();
    let observed = Observed {
        complete: true,
        ..Observed::default()
    };
    let plan = plan(&facts.desired(), &observed, &Known::default(), &facts.policy);
    let action = &plan.actions[0];
    assert!(matches!(action.kind, Kind::Create(_)));
    let set = fields::of(action);
    for field in TextField::ALL {
        let named = set.iter().filter(|set| set.name == field.name());
        assert_eq!(named.count(), 1, "{field:?}");
    }
}
