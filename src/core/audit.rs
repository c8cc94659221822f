//! Independent checks on a finished plan, made once more before it is carried
//! out. They share no helper with the planner: a slip there must not hide
//! here. A finding is a bug, and nothing is then done.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::model::{Account, Desired, DesiredUser, Known, Observed};
use super::plan::{AccountChange, Action, Kind, NewAccount, Plan, ProfileChange};
use super::resend::Resend;
use super::value::{AccountId, UserKey};

/// What is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The user it is about.
    pub key: UserKey,
    /// What is wrong.
    pub what: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user `{}`: {}", self.key, self.what)
    }
}

/// Checks a plan against the facts it was made from. Empty means sound.
pub fn audit(plan: &Plan, desired: &Desired, observed: &Observed, known: &Known) -> Vec<Finding> {
    let carried = observed
        .accounts
        .iter()
        .filter_map(|account| account.metadata.get("external_id")?.as_text());
    let mut mapped: BTreeMap<&AccountId, Vec<&UserKey>> = BTreeMap::new();
    for (key, entry) in &known.users {
        mapped.entry(&entry.link.account).or_default().push(key);
    }
    let auditor = Auditor {
        plan,
        desired: desired.users().iter().map(|user| (&user.key, user)).collect(),
        complete: observed.complete,
        accounts: observed
            .accounts
            .iter()
            .map(|account| (&account.id, account))
            .collect(),
        carried: carried.collect(),
        mapped,
        known,
    };
    let mut findings = auditor.order();
    for action in &plan.actions {
        let mut complain = |what| {
            findings.push(Finding {
                key: action.key.clone(),
                what,
            })
        };
        auditor.wanted(action, &mut complain);
        match &action.kind {
            Kind::Create(new) => auditor.create(action, new, &mut complain),
            Kind::Forget { .. } => auditor.forget(action, &mut complain),
            Kind::Adopt { .. } | Kind::Update { .. } => auditor.existing(action, &mut complain),
        }
    }
    findings.extend(auditor.apart());
    findings
}

/// The body of a create, as every version has written it: fields in order, and
/// nothing between them. The platform's id stands beside the metadata in some.
pub(super) fn create_body(new: &NewAccount, external_id: Option<&str>) -> String {
    let metadata: Vec<String> = new
        .metadata
        .iter()
        .map(|(name, value)| format!("{}:{}", quoted(name), quoted(value)))
        .collect();
    let fields = [
        Some(format!("\"email\":{}", quoted(new.email.as_str()))),
        external_id.map(|id| format!("\"external_id\":{}", quoted(id))),
        Some(format!("\"metadata\":{{{}}}", metadata.join(","))),
        Some(format!("\"title\":{}", quoted(new.title.as_str()))),
    ];
    let fields: Vec<String> = fields.into_iter().flatten().collect();
    format!("{{{}}}", fields.join(","))
}

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
        .replace('\t', "\\t");
    format!("\"{escaped}\"")
}

struct Auditor<'a> {
    plan: &'a Plan,
    desired: BTreeMap<&'a UserKey, &'a DesiredUser>,
    complete: bool,
    accounts: BTreeMap<&'a AccountId, &'a Account>,
    carried: BTreeSet<&'a str>,
    /// The users that the mapping has an account for.
    mapped: BTreeMap<&'a AccountId, Vec<&'a UserKey>>,
    known: &'a Known,
}

impl Auditor<'_> {
    /// Sorted, each user once, and nobody both acted on and held.
    fn order(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for pair in self.plan.actions.windows(2) {
            if pair[0].key >= pair[1].key {
                findings.push(Finding {
                    key: pair[1].key.clone(),
                    what: "actions are out of order or doubled",
                });
            }
        }
        let held: BTreeSet<_> = self.plan.holds.iter().map(|hold| &hold.key).collect();
        for action in self
            .plan
            .actions
            .iter()
            .filter(|action| held.contains(&action.key))
        {
            findings.push(Finding {
                key: action.key.clone(),
                what: "is both acted on and held",
            });
        }
        findings
    }

    /// What is set is what the manifest says, and nothing else.
    fn wanted(&self, action: &Action, complain: &mut impl FnMut(&'static str)) {
        let Some(user) = self.desired.get(&action.key) else {
            if !matches!(action.kind, Kind::Forget { .. }) {
                complain("is not in the manifest");
            }
            return;
        };
        // Taken apart in full: what is added to a change is checked here too.
        let ProfileChange { name, picture } = &action.profile;
        let AccountChange {
            title,
            metadata,
            // What others put there: `existing` checks it.
            whole: _,
        } = &action.account;
        if name.as_ref().is_some_and(|name| name.new != user.name) {
            complain("would get a name the manifest does not say");
        }
        if let Some(picture) = picture
            && user.avatar.as_deref() != Some(&picture.new)
        {
            complain("would get a picture the manifest does not say");
        }
        if let Some(title) = title
            && user.title.as_ref() != Some(&title.new)
        {
            complain("would get a title the manifest does not say");
        }
        for (key, change) in metadata {
            let identity = ["external_id", "internal_user_id"].contains(&&**key);
            let said = if identity {
                Some(action.key.as_str())
            } else {
                user.metadata.get(key).map(|value| &**value)
            };
            if said != Some(&*change.new) {
                complain("would get metadata the manifest does not say");
            }
        }
    }

    fn create(&self, action: &Action, new: &NewAccount, complain: &mut impl FnMut(&'static str)) {
        if let Some(call) = new.resend.as_ref().map(Resend::call) {
            let id = action.key.as_str();
            let bodies = [create_body(new, None), create_body(new, Some(id))];
            if !bodies.contains(&call.body) {
                complain("would be created by a request that says something else than the plan");
            }
            let texts = [&call.version, &call.idempotency_key];
            if texts
                .iter()
                .any(|text| text.contains(|c: char| !c.is_ascii_graphic()))
            {
                complain("would be created by a request whose headers are not plain");
            }
        }
        if self
            .desired
            .get(&action.key)
            .is_some_and(|user| user.email != new.email)
        {
            complain("would be created with an email the manifest does not say");
        }
        if !self.complete {
            complain("would be created although not every account was seen");
        }
        if self.carried.contains(action.key.as_str()) {
            complain("would be created although an account carries this id");
        }
        if self
            .known
            .users
            .get(&action.key)
            .is_some_and(|entry| self.accounts.contains_key(&entry.link.account))
        {
            complain("would be created although the linked account exists");
        }
    }

    fn forget(&self, action: &Action, complain: &mut impl FnMut(&'static str)) {
        if !self.complete {
            complain("would be forgotten although not every account was seen");
        }
        if self.desired.contains_key(&action.key) {
            complain("would be forgotten although the manifest has it");
        }
        if let Some(link) = action.link()
            && self.accounts.contains_key(&link.account)
        {
            complain("would be forgotten although the account exists");
        }
    }

    /// The account exists, is not the platform's, and keeps what others put
    /// into its metadata.
    fn existing(&self, action: &Action, complain: &mut impl FnMut(&'static str)) {
        let Some(link) = action.link() else { return };
        let Some(account) = self.accounts.get(&link.account) else {
            complain("would change an account that was not seen");
            return;
        };
        if self.plan.platform.is(&account.id) {
            complain("would change the platform's own account");
        }
        if account.owner != link.owner {
            complain("would change somebody else's profile");
        }
        self.identity(action, account, complain);
        let kept = account
            .metadata
            .keys()
            .all(|key| action.account.whole.contains_key(key));
        if !action.account.metadata.is_empty() && !kept {
            complain("would lose metadata that others put there");
        }
    }

    /// The account is nobody else's: what it carries names this user, or the
    /// former id that the manifest says; if it carries nothing, its email does.
    /// And the mapping has it for nobody else.
    fn identity(&self, action: &Action, account: &Account, complain: &mut impl FnMut(&'static str)) {
        let Some(user) = self.desired.get(&action.key) else {
            return;
        };
        let former = user.renamed_from.as_ref().map(|from| from.as_str());
        if action.renamed_from.is_some() && action.renamed_from != user.renamed_from {
            complain("would take an id over that the manifest does not name");
        }
        let mut named = false;
        for key in ["external_id", "internal_user_id"] {
            let said = account.metadata.get(key).map(|value| value.shown());
            match said {
                None | Some("" | "null") => {}
                Some(id) if id == action.key.as_str() || Some(id) == former => named = true,
                Some(_) => complain("would change an account that carries somebody else's id"),
            }
        }
        let email = account.email.as_deref().map(str::to_lowercase);
        if !named && email != Some(user.email.as_str().to_lowercase()) {
            complain("would change an account that nothing on Whop says is this user's");
        }
        let others = self.mapped.get(&account.id).into_iter().flatten();
        if others
            .clone()
            .any(|key| **key != action.key && Some(key.as_str()) != former)
        {
            complain("would change an account that the mapping has for somebody else");
        }
    }

    /// No account and no person is touched for two users. A forgotten link
    /// touches nobody, whichever user comes first.
    fn apart(&self) -> Vec<Finding> {
        let (mut accounts, mut owners) = (BTreeMap::new(), BTreeMap::new());
        let mut findings = Vec::new();
        let touching = self.plan.actions.iter();
        for action in touching.filter(|action| !matches!(action.kind, Kind::Forget { .. })) {
            let Some(link) = action.link() else { continue };
            let twice =
                accounts.insert(&link.account, ()).is_some() | owners.insert(&link.owner, ()).is_some();
            if twice {
                findings.push(Finding {
                    key: action.key.clone(),
                    what: "shares an account or a person with another user",
                });
            }
        }
        findings
    }
}
