//! What was applied, in which order: the short memory by which the mapping
//! tells an older manifest from a newer one, and a plan that was carried out
//! from one that was not.
//!
//! It is a fold of the journal like everything else that is known, so that a
//! run killed half-way has left it right.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::digest::Digest;

/// Desired states that are remembered. Bounds the mapping's first line.
pub const STATES: usize = 32;

/// Plans that are remembered.
pub const RUNS: usize = 8;

/// A commit of the repository that holds the manifest: its full id, in
/// lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Commit(Box<str>);

impl Commit {
    /// Parses a full id, of 40 digits or of 64 in repositories that use
    /// SHA-256. A short one may come to name another commit too.
    ///
    /// # Errors
    /// Says what a commit must be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let full = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
        match full {
            true => Ok(Self(text.to_ascii_lowercase().into())),
            false => Err("must be a commit's full id, 40 hexadecimal digits".to_owned()),
        }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Commit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Commit> for String {
    fn from(commit: Commit) -> Self {
        commit.0.into()
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A desired state that was applied, in whole or in part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// What it asked for ([`desired_digest`](super::state_digest::desired_digest)).
    pub desired: Digest,
    /// The commit it stood in, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
}

/// Names one plan: what it does, and the mapping's generation it was made on.
/// The generation only grows, so that the same change planned again later is
/// another plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRef {
    /// The plan's digest.
    pub plan: Digest,
    /// The mapping's generation.
    pub base: u64,
}

/// A plan that took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Which.
    #[serde(flatten)]
    pub plan: PlanRef,
    /// Whether some of it is left to do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
}

/// What a run sets out to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purpose {
    /// The desired state.
    #[serde(flatten)]
    pub state: State,
    /// The plan.
    #[serde(flatten)]
    pub plan: PlanRef,
}

/// How this run's commit stands to the one that was applied last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ancestry {
    /// It comes before it.
    Older,
    /// It is the same one, or comes after it.
    Newer,
    /// Nobody can tell, or they are on different branches.
    Unknown,
}

/// What was applied. Bounded, newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// The desired states, each once, at its last application.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    states: Vec<State>,
    /// The plans.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    plans: Vec<Run>,
    /// What the journal's last run set out to do.
    #[serde(skip)]
    begun: Option<Purpose>,
    /// The states as the mapping has them, where a journal has added to them.
    /// A journal cannot make an older manifest look like the newest.
    #[serde(skip)]
    mapped: Option<Vec<State>>,
}

impl Lineage {
    /// Whether there is nothing to write down.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty() && self.plans.is_empty()
    }

    /// A run begins.
    pub fn begin(&mut self, purpose: Purpose) {
        self.begun = Some(purpose);
    }

    /// What the last run of the journal set out to do; `None` without a
    /// journal.
    pub fn begun(&self) -> Option<&Purpose> {
        self.begun.as_ref()
    }

    /// Something was done: from now on the run's state and plan count as
    /// applied. Saying so again changes nothing.
    pub fn took_effect(&mut self) {
        let Some(Purpose { state, plan }) = &self.begun else {
            return;
        };
        if self.plans.iter().any(|run| run.plan == *plan) {
            return;
        }
        self.mapped.get_or_insert_with(|| self.states.clone());
        self.plans.push(Run {
            plan: *plan,
            open: true,
        });
        self.states.retain(|other| other.desired != state.desired);
        self.states.push(state.clone());
        keep_last(&mut self.plans, RUNS);
        keep_last(&mut self.states, STATES);
    }

    /// Nothing of this plan is left to do.
    pub fn finish(&mut self, plan: PlanRef) {
        for run in self.plans.iter_mut().filter(|run| run.plan == plan) {
            run.open = false;
        }
    }

    /// Whether this plan was carried out to its end.
    pub fn is_done(&self, plan: PlanRef) -> bool {
        self.plans.iter().any(|run| run.plan == plan && !run.open)
    }

    /// Whether this plan was begun and nothing else was since, so that what
    /// moved was moved by itself.
    pub fn is_under_way(&self, plan: PlanRef) -> bool {
        match &self.begun {
            Some(begun) => begun.plan == plan && !self.is_done(plan),
            None => self.plans.last() == Some(&Run { plan, open: true }),
        }
    }

    /// The desired state that was applied last.
    pub fn newest(&self) -> Option<&State> {
        self.states.last()
    }

    /// The plan that took effect last.
    pub fn last(&self) -> Option<&Run> {
        self.plans.last()
    }

    /// Whether this desired state is an older one than what was applied last:
    /// how many states were applied since. `ancestry` compares the run's own
    /// commit with the one given, and has the say where it can tell; else a
    /// state that was applied, and others after it, is an older one. It is
    /// older if either the mapping alone or the journal as well says so.
    pub fn newer_than(&self, desired: &Digest, ancestry: impl Fn(&Commit) -> Ancestry) -> Option<usize> {
        let mapped = self
            .mapped
            .as_ref()
            .and_then(|states| newer(states, desired, &ancestry));
        mapped.max(newer(&self.states, desired, &ancestry))
    }
}

/// Whether these states, the oldest first, end in a newer one than this.
fn newer(states: &[State], desired: &Digest, ancestry: &impl Fn(&Commit) -> Ancestry) -> Option<usize> {
    let last = states.last()?;
    if last.desired == *desired {
        return None;
    }
    let at = states.iter().position(|state| state.desired == *desired);
    let since = at.map(|at| states.len() - 1 - at);
    let newest = states.iter().rev().find_map(|state| state.commit.as_ref());
    match newest.map_or(Ancestry::Unknown, ancestry) {
        Ancestry::Older => Some(since.unwrap_or(1)),
        // Whatever was applied after that commit has none to compare.
        Ancestry::Newer if last.commit.is_some() => None,
        Ancestry::Newer | Ancestry::Unknown => since,
    }
}

fn keep_last<T>(list: &mut Vec<T>, most: usize) {
    let over = list.len().saturating_sub(most);
    list.drain(..over);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(digit: char) -> Commit {
        Commit::parse(&digit.to_string().repeat(40)).unwrap()
    }

    fn purpose(state: &str, commit: Option<Commit>, base: u64) -> Purpose {
        Purpose {
            state: State {
                desired: Digest::of(state.as_bytes()),
                commit,
            },
            plan: PlanRef {
                plan: Digest::of(format!("plan of {state}").as_bytes()),
                base,
            },
        }
    }

    /// Applies these states one after the other.
    fn applied(states: &[(&str, Option<Commit>)]) -> Lineage {
        let mut lineage = Lineage::default();
        for (base, (state, commit)) in (0..).zip(states) {
            let purpose = purpose(state, commit.clone(), base);
            let plan = purpose.plan;
            lineage.begin(purpose);
            lineage.took_effect();
            lineage.finish(plan);
            (lineage.begun, lineage.mapped) = (None, None);
        }
        lineage
    }

    fn unknown(_: &Commit) -> Ancestry {
        Ancestry::Unknown
    }

    #[test]
    fn a_commit_is_a_full_id() {
        assert_eq!(Commit::parse(&"AB".repeat(20)).unwrap().as_str(), "ab".repeat(20));
        assert!(Commit::parse(&"a".repeat(64)).is_ok());
        for bad in ["", "abc1234", "--upload-pack=x", &"g".repeat(40), &"a".repeat(41)] {
            assert!(Commit::parse(bad).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<Commit>("\"HEAD\"").is_err());
    }

    #[test]
    fn without_commits_an_earlier_state_is_stale_and_a_new_one_is_not() {
        let lineage = applied(&[("1", None), ("2", None), ("3", None)]);
        let newer = |state: &str| lineage.newer_than(&Digest::of(state.as_bytes()), unknown);
        assert_eq!(
            (newer("1"), newer("2"), newer("3"), newer("4")),
            (Some(2), Some(1), None, None)
        );
        assert_eq!(Lineage::default().newer_than(&Digest::of(b"1"), unknown), None);
    }

    #[test]
    fn a_journal_makes_no_older_state_the_newest() {
        let mapped = applied(&[("1", None), ("2", None)]);
        let newer =
            |lineage: &Lineage, state: &str| lineage.newer_than(&Digest::of(state.as_bytes()), unknown);
        let journalled = |states: &[&str]| {
            let mut lineage = mapped.clone();
            for (base, state) in (10..).zip(states) {
                lineage.begin(purpose(state, None, base));
                lineage.took_effect();
            }
            lineage
        };
        assert_eq!(newer(&journalled(&["1"]), "1"), Some(1));
        let names: Vec<String> = (100..200).map(|n| n.to_string()).collect();
        let many: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(newer(&journalled(&many), "1"), Some(1), "nor forgotten");
        // What a stopped run has done of a newer one counts.
        assert_eq!(newer(&journalled(&["3"]), "2"), Some(1));
        assert_eq!(newer(&journalled(&["3"]), "3"), None);
    }

    #[test]
    fn a_state_applied_again_is_the_newest() {
        let lineage = applied(&[("1", None), ("2", None), ("1", None)]);
        assert_eq!(lineage.states.len(), 2);
        assert_eq!(lineage.newer_than(&Digest::of(b"1"), unknown), None);
        assert_eq!(lineage.newer_than(&Digest::of(b"2"), unknown), Some(1));
    }

    #[test]
    fn where_git_can_tell_it_decides() {
        let lineage = applied(&[("1", Some(commit('1'))), ("2", Some(commit('2')))]);
        let ask = |state: &str, says: Ancestry| {
            lineage.newer_than(&Digest::of(state.as_bytes()), |last| {
                assert_eq!(*last, commit('2'));
                says
            })
        };
        // A revert comes after what it reverts.
        assert_eq!(ask("1", Ancestry::Newer), None);
        assert_eq!(ask("1", Ancestry::Unknown), Some(1));
        // An older commit is stale although its state was never applied.
        assert_eq!(ask("never", Ancestry::Older), Some(1));
        assert_eq!(ask("never", Ancestry::Unknown), None);
        // What was applied last is what Whop should show, whoever says so.
        assert_eq!(ask("2", Ancestry::Older), None);
    }

    #[test]
    fn a_commit_that_is_not_the_last_states_excuses_nothing() {
        let lineage = applied(&[("1", None), ("2", Some(commit('2'))), ("3", None)]);
        let ask = |says| lineage.newer_than(&Digest::of(b"1"), |_| says);
        assert_eq!((ask(Ancestry::Newer), ask(Ancestry::Older)), (Some(2), Some(2)));
    }

    #[test]
    fn it_stays_small() {
        let names: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let states: Vec<_> = names.iter().map(|n| (n.as_str(), Some(commit('a')))).collect();
        let lineage = applied(&states);
        assert_eq!((lineage.states.len(), lineage.plans.len()), (STATES, RUNS));
        assert_eq!(lineage.states.last().unwrap().desired, Digest::of(b"99"));
        let text = serde_json::to_string(&lineage).unwrap();
        assert!(text.len() < 7_000, "{}", text.len());
        assert_eq!(serde_json::from_str::<Lineage>(&text).unwrap(), lineage);
    }

    #[test]
    fn a_plan_is_under_way_until_it_ends_or_another_begins() {
        let (one, two) = (purpose("1", None, 3), purpose("2", None, 3));
        let mut lineage = Lineage::default();
        assert!(!lineage.is_under_way(one.plan));
        lineage.begin(one.clone());
        // Begun without a trace: its first create may be in doubt.
        assert!(lineage.is_under_way(one.plan) && !lineage.is_done(one.plan));
        lineage.took_effect();
        let journal_gone = Lineage {
            begun: None,
            ..lineage.clone()
        };
        assert!(journal_gone.is_under_way(one.plan));
        let later = PlanRef { base: 4, ..one.plan };
        assert!(!lineage.is_under_way(later), "the same change, planned later");
        let mut other = lineage.clone();
        other.begin(two.clone());
        assert!(!other.is_under_way(one.plan) && other.is_under_way(two.plan));
        lineage.finish(one.plan);
        assert!(lineage.is_done(one.plan) && !lineage.is_under_way(one.plan));
        // The journal is still there and is replayed onto the mapping.
        lineage.begin(one.clone());
        lineage.took_effect();
        assert!(lineage.is_done(one.plan), "replaying reopens nothing");
    }
}
