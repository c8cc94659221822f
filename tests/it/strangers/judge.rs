//! Judges a run by what Whop received and what it shows.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Map, Value};
use whop_sync::core::digest::Digest;
use whop_sync::emulator::{AccountView, Emulator, Operation, ProfileView, Seen};

use super::PEOPLE;

/// Whose account no manifest names.
pub(crate) const STRANGER: &str = "stranger@shop.test";

/// What a run must not do, and what earlier ones were seen to do.
pub(crate) struct Judge {
    platform: String,
    stranger: (AccountView, Option<ProfileView>),
    /// Pictures by their file's id on Whop.
    pub(crate) files: BTreeMap<String, Bytes>,
    /// The create of each address: its key and body.
    pub(crate) creates: BTreeMap<String, (String, String)>,
}

impl Judge {
    pub(crate) fn new(emulator: &Emulator) -> Self {
        let account = stranger(emulator);
        let platform = account.platform.clone();
        let profile = emulator.profile(&account.owner, &platform);
        Self {
            platform,
            stranger: (account, profile),
            files: BTreeMap::new(),
            creates: BTreeMap::new(),
        }
    }

    /// Fails if anything but reads was sent.
    pub(crate) fn only_looked(&self, emulator: &Emulator) -> Result<(), String> {
        let requests = emulator.requests();
        match requests.iter().find(|seen| seen.method != "GET") {
            None => Ok(()),
            Some(seen) => Err(format!("sent without being shown: {seen:?}")),
        }
    }

    /// Fails unless everything that was sent is in the plan that was shown.
    /// `before` is what there was on Whop when it was shown.
    pub(crate) fn sent(
        &mut self,
        emulator: &Emulator,
        before: &[AccountView],
        plan: &Value,
    ) -> Result<(), String> {
        let shown = Shown::new(plan, before, emulator);
        let mut made = BTreeSet::new();
        for seen in emulator.requests().iter().filter(|seen| seen.method != "GET") {
            let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
            let verdict = match seen.operation {
                Operation::CreateAccount | Operation::CreateCompany => {
                    let email = body["email"].as_str().unwrap_or_default().to_owned();
                    let text = String::from_utf8(seen.body.to_vec()).unwrap();
                    let key = seen.idempotency_key.clone().unwrap_or_default();
                    self.creates.insert(email.clone(), (key, text));
                    shown.create(&body).and_then(|()| match made.insert(email) {
                        true => Ok(()),
                        false => Err("an account is made twice".to_owned()),
                    })
                }
                Operation::UpdateAccount | Operation::UpdateCompany => shown.account(last(seen), &body),
                Operation::UpdateUser => {
                    let owner = last(seen);
                    let now = emulator.profile(owner, &self.platform).unwrap_or_default();
                    if let Some(file) = body["profile_picture"]["id"].as_str() {
                        self.files
                            .insert(file.to_owned(), now.picture.clone().unwrap_or_default());
                    }
                    let platform = &self.platform;
                    let is_ours = seen.path.contains(&format!("account_id={platform}"))
                        || ["account_id", "company_id"]
                            .iter()
                            .any(|name| body[name] == **platform);
                    shown.profile(owner, &body, &now).and(match is_ours {
                        true => Ok(()),
                        false => Err("it is not the platform's profile".to_owned()),
                    })
                }
                // What is uploaded is judged where it shows.
                Operation::CreateFile | Operation::UploadFile | Operation::CompleteFile => Ok(()),
                _ => Err("nothing plans that".to_owned()),
            };
            verdict.map_err(|why| format!("{why}: {seen:?} is not in {plan:#}"))?;
        }
        Ok(())
    }

    /// Fails if a value of one person is on another's account or profile, if
    /// anybody has two accounts, or if the stranger's was touched.
    pub(crate) fn people(&self, emulator: &Emulator) -> Result<(), String> {
        let now = stranger(emulator);
        let profile = emulator.profile(&now.owner, &self.platform);
        if (&now, &profile) != (&self.stranger.0, &self.stranger.1) {
            return Err(format!("the stranger's became {now:?} {profile:?}"));
        }
        let mut seen = BTreeSet::new();
        for account in emulator.accounts() {
            let email = account.email.clone().unwrap_or_default();
            let Some(person) = (0..PEOPLE).find(|n| email == format!("u{n}@shop.test")) else {
                if email == STRANGER {
                    continue;
                }
                return Err(format!("an account for nobody: {account:?}"));
            };
            if !seen.insert(person) {
                return Err(format!("a second account: {account:?}"));
            }
            let shown = emulator.overrides(&account.owner, &self.platform);
            let picture = shown.picture.as_deref().map(String::from_utf8_lossy);
            let mut texts: Vec<&str> = vec![&account.title];
            texts.extend(account.metadata.values().filter_map(Value::as_str));
            texts.extend(shown.name.as_deref());
            texts.extend(picture.as_deref());
            if let Some(text) = texts.iter().find(|text| !is_of(person, text)) {
                return Err(format!("{text:?} is on u{person}'s {account:?} {shown:?}"));
            }
        }
        Ok(())
    }
}

/// Whether a value names this person and nobody else.
fn is_of(person: u8, text: &str) -> bool {
    let names = |n: u8| text.contains(&format!("u{n}")) || text.contains(&format!("v{n}"));
    (0..PEOPLE).all(|n| names(n) == (n == person))
}

fn stranger(emulator: &Emulator) -> AccountView {
    let mut accounts = emulator.accounts().into_iter();
    accounts
        .find(|account| account.email.as_deref() == Some(STRANGER))
        .expect("nothing deletes an account")
}

/// The last part of a path.
fn last(seen: &Seen) -> &str {
    let path = seen.path.split('?').next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

/// What a plan's document says will be done.
struct Shown<'a> {
    actions: Vec<&'a Value>,
    before: BTreeMap<&'a str, &'a AccountView>,
    /// Owners of the accounts that there are now, by the platform's id.
    owners: BTreeMap<String, String>,
}

impl<'a> Shown<'a> {
    fn new(plan: &'a Value, before: &'a [AccountView], emulator: &Emulator) -> Self {
        let id = |account: &AccountView| account.metadata.get("external_id")?.as_str().map(str::to_owned);
        let owners = emulator.accounts().into_iter();
        Self {
            actions: plan["actions"].as_array().expect("a plan").iter().collect(),
            before: before
                .iter()
                .map(|account| (account.id.as_str(), account))
                .collect(),
            owners: owners
                .filter_map(|account| Some((id(&account)?, account.owner)))
                .collect(),
        }
    }

    fn create(&self, body: &Value) -> Result<(), String> {
        let of_it = |action: &&&Value| action["kind"] == "create" && new(action, "email") == body["email"];
        let action = self
            .actions
            .iter()
            .find(of_it)
            .ok_or("no create of that address")?;
        let body = body.as_object().ok_or("it is no object")?;
        for (name, value) in body {
            let planned = match name.as_str() {
                "email" => true,
                "title" => *value == new(action, "title"),
                "external_id" => *value == action["id"],
                "parent_company_id" | "parent_account_id" => true,
                "metadata" => *value == Value::Object(metadata(action)),
                _ => false,
            };
            if !planned {
                return Err(format!("its {name} is not the plan's"));
            }
        }
        Ok(())
    }

    fn account(&self, id: &str, body: &Value) -> Result<(), String> {
        let action = self.actions.iter().find(|action| action["account_id"] == id);
        let action = action.ok_or("no change of that account")?;
        let before = &self.before.get(id).ok_or("it was not there")?.metadata;
        for (name, value) in body.as_object().ok_or("it is no object")? {
            let planned = match name.as_str() {
                "title" => *value == new(action, "title"),
                "external_id" => *value == action["id"] || value.is_null(),
                "metadata" => {
                    let mut whole = before.clone();
                    whole.extend(metadata(action));
                    *value == Value::Object(whole)
                }
                _ => false,
            };
            if !planned {
                return Err(format!("its {name} is not the plan's"));
            }
        }
        Ok(())
    }

    fn profile(&self, owner: &str, body: &Value, now: &ProfileView) -> Result<(), String> {
        let of_it = |action: &&&Value| {
            let made = self
                .owners
                .get(action["id"].as_str().unwrap_or_default())
                .map(String::as_str);
            action["user_id"] == owner || (action["kind"] == "create" && made == Some(owner))
        };
        let action = self
            .actions
            .iter()
            .find(of_it)
            .ok_or("no change of that profile")?;
        for (name, value) in body.as_object().ok_or("it is no object")? {
            let planned = match name.as_str() {
                "name" => *value == new(action, "name"),
                "account_id" | "company_id" => true,
                "profile_picture" => {
                    let shows = now.picture.as_deref().map(Digest::of);
                    let planned = new(action, "avatar");
                    shows.is_some_and(|digest| planned["digest"] == digest.to_string())
                }
                _ => false,
            };
            if !planned {
                return Err(format!("its {name} is not the plan's"));
            }
        }
        Ok(())
    }
}

/// What an action sets a field to.
fn new(action: &Value, name: &str) -> Value {
    let mut fields = action["fields"].as_array().into_iter().flatten();
    let field = fields.find(|field| field["name"] == name);
    field.map(|field| field["new"].clone()).unwrap_or_default()
}

/// The metadata that an action sets.
fn metadata(action: &Value) -> Map<String, Value> {
    let fields = action["fields"].as_array().into_iter().flatten();
    let named = fields.filter_map(|field| {
        let name = field["name"].as_str()?.strip_prefix("metadata.")?;
        Some((name.to_owned(), field["new"].clone()))
    });
    named.collect()
}
