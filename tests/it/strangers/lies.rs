//! What somebody may write into mapping and journal who knows their format,
//! everybody on Whop and whatever was sent before.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use whop_sync::core::digest::Digest;
use whop_sync::emulator::{AccountView, Emulator};

use super::judge::STRANGER;
use super::{PEOPLE, value};

/// What a liar knows.
pub(crate) struct People<'a> {
    pub(crate) emulator: &'a Emulator,
    pub(crate) files: &'a BTreeMap<String, Bytes>,
    pub(crate) creates: &'a BTreeMap<String, (String, String)>,
    /// The bytes of somebody's picture.
    pub(crate) picture: fn(u8, u8) -> Vec<u8>,
    pub(crate) platform: &'a str,
    pub(crate) server: &'a str,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

/// Whose account or value it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose {
    Of(u8),
    Strangers,
    Platforms,
    Nobodys,
}

/// When a forged request was begun.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    Zero,
    LongAgo,
    JustNow,
    Tomorrow,
    Never,
}

/// One rewriting of the state.
#[derive(Clone, Debug)]
pub(crate) enum Lie {
    /// Two users of the mapping change places in some fields.
    Swap(u8, u8, &'static [&'static str]),
    /// A user of the mapping is given somebody's account or owner, or both.
    Give(u8, Whose, bool, bool),
    /// A user of the mapping is said to have everything already.
    Settled(u8, u8),
    Drop(u8),
    Twice(u8),
    Cut(u8, &'static str),
    Reverse,
    /// The first line is changed: a field, to a value.
    Head(&'static str, Value),
    /// A text is in the place of the mapping, or none.
    Mapping(Option<&'static str>),
    /// The mapping ends after so many bytes.
    Torn(u16),
    /// These entries are in the journal, behind those that are.
    Journal(Vec<Forged>),
    /// A text is in the place of the journal, or none.
    NoJournal(Option<&'static str>),
}

/// One entry of a forged journal.
#[derive(Clone, Debug)]
pub(crate) enum Forged {
    Opened(bool),
    /// A create for a user, with somebody's address, id and title.
    Create(u8, Whose, Option<u8>, u8, When),
    /// A create for a user that is the one of somebody else, to the byte.
    Replayed(u8, u8, When),
    Begun(u8, &'static str),
    Created(u8, Whose, u8),
    Recorded(u8, Whose, u8, Option<u8>),
    Dropped(u8),
    Refused(u8),
    Account(u8, u8),
    Profile(u8, u8),
    /// One person's picture is said to be another's file.
    File(u8, u8),
}

fn id() -> impl Strategy<Value = u8> {
    0..PEOPLE
}

fn whose() -> impl Strategy<Value = Whose> {
    prop_oneof![
        5 => id().prop_map(Whose::Of),
        2 => Just(Whose::Strangers),
        1 => Just(Whose::Platforms),
        1 => Just(Whose::Nobodys),
    ]
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        1 => Just(When::Zero),
        2 => Just(When::LongAgo),
        3 => Just(When::JustNow),
        2 => Just(When::Tomorrow),
        1 => Just(When::Never),
    ]
}

fn forged() -> impl Strategy<Value = Forged> {
    let begun = prop_oneof![Just("account"), Just("profile")];
    prop_oneof![
        1 => any::<bool>().prop_map(Forged::Opened),
        4 => (id(), whose(), proptest::option::of(id()), id(), when())
            .prop_map(|(n, email, key, title, when)| Forged::Create(n, email, key, title, when)),
        2 => (id(), id(), when()).prop_map(|(n, of, when)| Forged::Replayed(n, of, when)),
        1 => (id(), begun).prop_map(|(n, what)| Forged::Begun(n, what)),
        2 => (id(), whose(), id()).prop_map(|(n, of, values)| Forged::Created(n, of, values)),
        2 => (id(), whose(), id(), proptest::option::of(id()))
            .prop_map(|(n, of, values, from)| Forged::Recorded(n, of, values, from)),
        1 => id().prop_map(Forged::Dropped),
        1 => id().prop_map(Forged::Refused),
        1 => (id(), id()).prop_map(|(n, of)| Forged::Account(n, of)),
        1 => (id(), id()).prop_map(|(n, of)| Forged::Profile(n, of)),
        2 => (id(), id()).prop_map(|(n, of)| Forged::File(n, of)),
    ]
}

pub(crate) fn lie() -> impl Strategy<Value = Lie> {
    const FIELDS: [&[&str]; 4] = [&["id"], &["account_id"], &["user_id"], &["account_id", "user_id"]];
    const CUTS: [&str; 6] = ["id", "account_id", "user_id", "name", "metadata", "picture"];
    const OTHER: [&str; 4] = [
        "",
        "\u{0}\u{1}\u{2}",
        "version: 1\ncompany: biz_platform\nusers: []\n",
        "{\"format\":\"whop-sync journal\",\"version\":1,\"company\":\"biz_platform\",\"server\":\"emulator\"}\n",
    ];
    let text = || proptest::option::of(proptest::sample::select(&OTHER[..]));
    let head = prop_oneof![
        Just(("generation", json!(u64::MAX))),
        Just(("generation", json!(0))),
        Just(("version", json!(99))),
        Just(("company", json!("biz_another"))),
        Just(("server", json!("production"))),
        Just(("applied", Value::Null)),
        Just((
            "applied",
            json!({ "states": [{ "desired": "0".repeat(64) }], "plans": [{ "plan": "0".repeat(64), "base": u64::MAX, "open": true }] })
        )),
    ];
    prop_oneof![
        4 => (id(), id(), proptest::sample::select(&FIELDS[..])).prop_map(|(a, b, what)| Lie::Swap(a, b, what)),
        4 => (id(), whose(), any::<bool>(), any::<bool>())
            .prop_map(|(n, of, account, owner)| Lie::Give(n, of, account, owner)),
        2 => (id(), 0..3_u8).prop_map(|(n, version)| Lie::Settled(n, version)),
        1 => id().prop_map(Lie::Drop),
        1 => id().prop_map(Lie::Twice),
        1 => (id(), proptest::sample::select(&CUTS[..])).prop_map(|(n, name)| Lie::Cut(n, name)),
        1 => Just(Lie::Reverse),
        1 => head.prop_map(|(name, value)| Lie::Head(name, value)),
        1 => text().prop_map(Lie::Mapping),
        1 => any::<u16>().prop_map(Lie::Torn),
        8 => proptest::collection::vec(forged(), 1..4).prop_map(Lie::Journal),
        1 => text().prop_map(Lie::NoJournal),
    ]
}

impl Lie {
    /// Mapping and journal as they are after it.
    pub(crate) fn told(
        &self,
        mapping: Option<String>,
        journal: Option<String>,
        people: &People,
    ) -> (Option<String>, Option<String>) {
        match self {
            Self::Journal(forged) => (mapping, Some(people.journal(journal, forged))),
            Self::NoJournal(text) => (mapping, text.map(str::to_owned)),
            Self::Mapping(text) => (text.map(str::to_owned), journal),
            Self::Torn(at) => {
                let torn = mapping.map(|text| {
                    let at = usize::from(*at) % (text.len() + 1);
                    String::from_utf8_lossy(&text.as_bytes()[..at]).into_owned()
                });
                (torn, journal)
            }
            _ => (mapping.map(|text| self.in_lines(&text, people)), journal),
        }
    }

    /// The mapping, changed line by line.
    fn in_lines(&self, text: &str, people: &People) -> String {
        let parsed: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
        // Of what an earlier lie has damaged this one makes nothing.
        let Ok(mut lines) = parsed else {
            return text.to_owned();
        };
        if lines.is_empty() {
            return String::new();
        }
        let mut rows = lines.split_off(1);
        let at = |rows: &[Value], n: u8| {
            let ids = [json!(format!("u{n}")), json!(format!("v{n}"))];
            rows.iter().position(|row| ids.contains(&row["id"]))
        };
        match self {
            Self::Swap(a, b, fields) => {
                if let (Some(a), Some(b)) = (at(&rows, *a), at(&rows, *b)) {
                    for name in *fields {
                        let was = rows[a][name].take();
                        rows[a][name] = std::mem::replace(&mut rows[b][name], was);
                    }
                    rows.sort_by_key(|row| row["id"].to_string());
                }
            }
            Self::Give(n, of, account, owner) => {
                if let Some(at) = at(&rows, *n) {
                    let link = people.link(*of);
                    for (name, given) in [("account_id", *account), ("user_id", *owner)] {
                        if given {
                            rows[at][name] = link[name].clone();
                        }
                    }
                }
            }
            Self::Settled(n, version) => {
                if let Some(at) = at(&rows, *n) {
                    let known = people.known(Whose::Of(*n), *n, *version);
                    for name in ["name", "title", "metadata", "picture"] {
                        rows[at][name] = known[name].clone();
                    }
                }
            }
            Self::Drop(n) => {
                if let Some(at) = at(&rows, *n) {
                    rows.remove(at);
                }
            }
            Self::Twice(n) => {
                if let Some(at) = at(&rows, *n) {
                    rows.insert(at, rows[at].clone());
                }
            }
            Self::Cut(n, name) => {
                if let Some(row) = at(&rows, *n).and_then(|at| rows[at].as_object_mut()) {
                    row.remove(*name);
                }
            }
            Self::Reverse => rows.reverse(),
            Self::Head(name, value) => lines[0][name] = value.clone(),
            Self::Mapping(_) | Self::Torn(_) | Self::Journal(_) | Self::NoJournal(_) => {}
        }
        lines.extend(rows);
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

impl People<'_> {
    /// The account of a person, by the address that only Whop's own records
    /// tell in every dialect.
    fn account(&self, email: &str) -> Option<AccountView> {
        let mut accounts = self.emulator.accounts().into_iter();
        accounts.find(|account| account.email.as_deref() == Some(email))
    }

    fn email(whose: Whose) -> String {
        match whose {
            Whose::Of(n) => format!("u{n}@shop.test"),
            Whose::Strangers | Whose::Platforms => STRANGER.to_owned(),
            Whose::Nobodys => "attacker@evil.test".to_owned(),
        }
    }

    fn link(&self, whose: Whose) -> Value {
        let of = match whose {
            Whose::Platforms => Some((self.platform.to_owned(), self.account(STRANGER).unwrap().owner)),
            _ => self
                .account(&Self::email(whose))
                .map(|account| (account.id, account.owner)),
        };
        let (account, owner) = of.unwrap_or(("biz_nowhere".into(), "user_nobody".into()));
        json!({ "account_id": account, "user_id": owner })
    }

    fn digest(&self, n: u8, version: u8) -> String {
        Digest::of(&(self.picture)(n, version)).to_string()
    }

    /// An entry of the mapping for somebody's account, with values of a person.
    fn known(&self, whose: Whose, n: u8, version: u8) -> Value {
        let email = Self::email(whose);
        let shown = self.account(&email).and_then(|account| {
            let shown = self.emulator.profile(&account.owner, self.platform)?;
            shown.name
        });
        let mut known = json!({
            "name": shown.unwrap_or_else(|| value("Name", n, version)),
            "title": value("Title", n, version),
            "metadata": { "tier": value("Tier", n, version) },
            "picture": { "digest": self.digest(n, version), "url": null },
        });
        known["link"] = self.link(whose);
        known
    }

    /// A journal with these entries behind those that it has.
    fn journal(&self, journal: Option<String>, forged: &[Forged]) -> String {
        let header = json!({
            "format": "whop-sync journal", "version": 1, "company": self.platform, "server": self.server,
        });
        let mut text = journal
            .filter(|text| text.contains("whop-sync journal"))
            .unwrap_or_else(|| format!("{header}\n"));
        for entry in forged.iter().filter_map(|forged| self.entry(forged)) {
            text += &format!("{entry}\n");
        }
        text
    }

    fn begun(&self, when: When) -> u64 {
        match when {
            When::Zero => 0,
            When::LongAgo => self.now.saturating_sub(3 * 24 * 3600),
            When::JustNow => self.now.saturating_sub(30),
            When::Tomorrow => self.now + 24 * 3600,
            When::Never => u64::MAX,
        }
    }

    fn create(&self, n: u8, email: &str, key: &str, body: &str, when: When) -> Value {
        let call = json!({ "version": self.version(), "idempotency_key": key, "body": body });
        let doubt = json!({ "begun": self.begun(when), "email": email, "call": call });
        json!({ "entry": "begun", "intent": { "intent": "create", "key": format!("u{n}"), "doubt": doubt } })
    }

    /// The newest version that was asked for.
    fn version(&self) -> String {
        let mut seen = self.emulator.requests().into_iter().rev();
        seen.find_map(|seen| seen.version)
            .unwrap_or_else(|| whop_sync::remote::Version::default().as_str().to_owned())
    }

    fn entry(&self, forged: &Forged) -> Option<Value> {
        let key = |n: &u8| format!("u{n}");
        let ended = |fact: Value| Some(json!({ "entry": "ended", "fact": fact }));
        match forged {
            Forged::Opened(with) => {
                let digest = "1".repeat(64);
                let purpose = json!({ "desired": digest, "plan": digest, "base": 0 });
                let mut opened = json!({ "entry": "opened", "run": "stranger", "at": self.now });
                if *with {
                    opened["purpose"] = purpose;
                }
                Some(opened)
            }
            Forged::Create(n, email, id, title, when) => {
                let mut body = json!({ "email": Self::email(*email), "title": value("Title", *title, 0) });
                let metadata = match id {
                    Some(id) => {
                        json!({ "external_id": key(id), "internal_user_id": key(id), "tier": value("Tier", *title, 0) })
                    }
                    None => json!({}),
                };
                body["metadata"] = metadata;
                if self.version() == "2025-01-01" {
                    body["parent_company_id"] = self.platform.into();
                }
                // The doubt's own address is the manifest's, so that it is believed.
                let email = format!("u{n}@shop.test");
                Some(self.create(
                    *n,
                    &email,
                    &format!("forged-{n}-{title}"),
                    &body.to_string(),
                    *when,
                ))
            }
            Forged::Replayed(n, of, when) => {
                let (once, body) = self.creates.get(&format!("u{of}@shop.test"))?;
                Some(self.create(*n, &format!("u{n}@shop.test"), once, body, *when))
            }
            Forged::Begun(n, what) => {
                Some(json!({ "entry": "begun", "intent": { "intent": what, "key": key(n) } }))
            }
            Forged::Created(n, of, values) => ended(json!({
                "fact": "created", "key": key(n), "link": self.link(*of),
                "title": value("Title", *values, 0), "metadata": { "tier": value("Tier", *values, 0) },
            })),
            Forged::Recorded(n, of, values, from) => ended(json!({
                "fact": "recorded", "key": key(n), "known": self.known(*of, *values, 0), "from": from.as_ref().map(key),
            })),
            Forged::Dropped(n) => ended(json!({ "fact": "dropped", "key": key(n) })),
            Forged::Refused(n) => ended(json!({ "fact": "refused", "key": key(n) })),
            Forged::Account(n, of) => ended(json!({
                "fact": "account", "key": key(n), "title": value("Title", *of, 0), "metadata": { "tier": value("Tier", *of, 0) },
            })),
            Forged::Profile(n, of) => ended(json!({
                "fact": "profile", "key": key(n), "name": value("Name", *of, 0),
                "picture": { "digest": self.digest(*of, 0), "url": null },
            })),
            Forged::File(n, of) => {
                let theirs = (self.picture)(*of, 0);
                let (file, _) = self.files.iter().find(|(_, bytes)| **bytes == *theirs)?;
                ended(json!({ "fact": "file", "digest": self.digest(*n, 0), "file": file }))
            }
        }
    }
}
