//! Probes: puts what is assumed of Whop ([`crate::core::assumption`]) to the
//! test against the server at hand, by looking only.
//!
//! A probe is a GET that is sent once: an answer of any status is a finding,
//! and none is lost by not trying again. What the answers mean is judged in `judge`,
//! which is pure.

mod judge;
mod look;

use std::collections::BTreeMap;

use serde_json::Value;

use super::call::Call;
use super::client::Client;
use super::operation::Operation;
use super::query::path;
use super::retry::Repeat;
use super::sanitize;
use super::transport::Method;
use super::version::{LEGACY, NOWHERE, NamedVersions};
use crate::core::assumption::{ALL, Assumption, Finding, Outcome, Way};
use crate::core::model::{Dialect, Known, KnownUser};
use crate::core::value::UserId;
use judge::Seen;
use look::{List, Look};

/// The most pages that are read to find the last one.
const MOST_PAGES: usize = 20;

/// The most owners whose two profiles are compared.
const MOST_OWNERS: usize = 5;

/// The scope that reading one account is known to need.
const READS_ACCOUNT: &str = "company:balance:read";

/// A parameter that no API has.
const NOBODYS: &str = "whop_sync_probe";

impl Client {
    /// Asks in a version that cannot exist, which the server should refuse by
    /// naming those it has ([versions](crate::whop_api#versions)). One request.
    ///
    /// `None` where it does not name them: an answer that leaves out the very
    /// version in use is not such a list.
    pub async fn newest_version(&self) -> Option<NamedVersions> {
        let answer = self.ask_in_no_version(&mut Seen::default()).await;
        (answer.status == Some(400))
            .then(|| self.version().among(&answer.told))
            .flatten()
    }

    /// Puts every assumption to the test that can be tested by reading. Some
    /// tens of requests, GET only; nothing is changed.
    ///
    /// `known` is the mapping, which tells what was set before.
    pub async fn probe(&self, known: &Known) -> Vec<Finding> {
        let mut seen = Seen::default();
        let mut found = BTreeMap::new();
        let list = self.read_list(&mut seen).await;
        found.insert("list_order", judge::order(&list.first, &list.again));
        found.insert("last_cursor", judge::last_cursor(&list));
        found.insert("stamp_offset", judge::stamp_offset(&list));
        let (left_out, there) = self.ask_for_left_out(&list, known, &mut seen).await;
        found.insert(
            "list_lag",
            judge::lag(&list, &left_out, there.as_deref(), self.server_time()),
        );
        found.insert(
            "external_id_field",
            judge::external_id(&list, self.version().has_external_id()),
        );
        found.insert("owner_name", self.compare_names(&list, known, &mut seen).await);
        found.insert(
            "picture_url_stable",
            self.compare_pictures(&list, known, &mut seen).await,
        );
        found.insert("retrieve_scope", self.compare_scope(&mut seen).await);
        let page = [("parent_company_id", self.platform().as_str()), ("first", "50")];
        let page = path("/companies", &page);
        let page = self.look(Operation::ListAccounts, LEGACY, &page, &mut seen).await;
        found.insert("companies_page", judge::companies_page(&page));
        let stray = format!("{}&{NOBODYS}=1", self.list_path(None, None));
        let stray = self.look_own(Operation::ListAccounts, &stray, &mut seen).await;
        found.insert(
            "unknown_parameters",
            judge::unknown_parameters(&list.first, &stray),
        );
        let version = self.ask_in_no_version(&mut seen).await;
        found.insert("version_error", judge::version_error(&version));
        found.insert("request_id", seen.request_id());
        found.insert("redirects", seen.redirects());
        found.insert("retry_after", seen.retry_after());
        let finding = |about: &'static Assumption| {
            let (outcome, seen) = match about.way {
                Way::None(why) => (Outcome::CannotBeTold, why.to_owned()),
                Way::Read => found.remove(about.name).unwrap_or_else(judge::unasked),
            };
            let seen = sanitize::clean(&seen);
            Finding { about, outcome, seen }
        };
        ALL.iter().map(finding).collect()
    }

    /// One GET in this version, whatever it is answered with.
    async fn look(&self, operation: Operation, version: &str, path: &str, seen: &mut Seen) -> Look {
        let mut request = self.request(Method::Get, path.to_owned(), None);
        for (name, value) in &mut request.headers {
            if name == "api-version-date" {
                version.clone_into(value);
            }
        }
        let call = Call {
            operation,
            version: self.version(),
            repeat: Repeat::Safe,
            request,
        };
        let look = match self.send_once(&call).await {
            Ok(answer) => Look::of(&answer),
            Err(why) => Look {
                told: why,
                ..Look::default()
            },
        };
        seen.note(&look);
        look
    }

    /// The same in the client's own version.
    async fn look_own(&self, operation: Operation, path: &str, seen: &mut Seen) -> Look {
        self.look(operation, self.version().as_str(), path, seen).await
    }

    async fn ask_in_no_version(&self, seen: &mut Seen) -> Look {
        self.look(Operation::ListPermissions, NOWHERE, &self.may_read(), seen)
            .await
    }

    /// Where the key's leave to read an account is told.
    fn may_read(&self) -> String {
        let query = [
            ("resource_id", self.platform().as_str()),
            ("actions", READS_ACCOUNT),
        ];
        path("/permissions", &query)
    }

    async fn read_list(&self, seen: &mut Seen) -> List {
        let first = self
            .look_own(Operation::ListAccounts, &self.list_path(None, None), seen)
            .await;
        let again = self
            .look_own(Operation::ListAccounts, &self.list_path(None, None), seen)
            .await;
        let mut list = List {
            entries: first.entries().to_vec(),
            last: first.clone(),
            first,
            again,
            ended: false,
        };
        for _ in 1..MOST_PAGES {
            let info = &list.last.body["page_info"];
            let cursor = info["end_cursor"].as_str().unwrap_or_default().to_owned();
            if !list.last.is_well() || info["has_next_page"] != true || cursor.is_empty() {
                break;
            }
            let next = self.list_path(None, Some(&cursor));
            list.last = self.look_own(Operation::ListAccounts, &next, seen).await;
            list.entries.extend_from_slice(list.last.entries());
        }
        list.ended = list.last.is_well() && list.last.body["page_info"]["has_next_page"] == false;
        list
    }

    /// The mapped accounts that a whole list leaves out, and one of them that
    /// is there all the same.
    async fn ask_for_left_out(
        &self,
        list: &List,
        known: &Known,
        seen: &mut Seen,
    ) -> (Vec<String>, Option<String>) {
        if !list.ended {
            return (Vec::new(), None);
        }
        let listed = |id: &str| list.entries.iter().any(|entry| entry["id"] == id);
        let ids = known.users.values().map(|user| user.link.account.as_str());
        let left_out: Vec<String> = ids.filter(|id| !listed(id)).map(str::to_owned).collect();
        for id in left_out.iter().take(MOST_OWNERS) {
            let at = self.account_path(id);
            if self
                .look_own(Operation::RetrieveAccount, &at, seen)
                .await
                .is_well()
            {
                let there = Some(id.clone());
                return (left_out, there);
            }
        }
        (left_out, None)
    }

    /// A user's profile, as it shows in the platform's company or globally.
    async fn profile(&self, user: &str, global: bool, seen: &mut Seen) -> Look {
        let name = match self.dialect() {
            Dialect::Accounts => "account_id",
            Dialect::Companies => "company_id",
        };
        let query = [(name, self.platform().as_str())];
        let query: &[(&str, &str)] = if global { &[] } else { &query };
        let at = path(&format!("/users/{user}"), query);
        self.look_own(Operation::RetrieveUser, &at, seen).await
    }

    /// Compares the names in the list with both profiles of a few owners, those
    /// first whose name was set to another one.
    async fn compare_names(&self, list: &List, known: &Known, seen: &mut Seen) -> judge::Told {
        let mut owners: Vec<(bool, &str, Option<&str>)> = list
            .entries
            .iter()
            .filter_map(|entry| {
                let (id, name) = (owner_id(entry)?, judge::owner(entry)?["name"].as_str());
                let set = mapped(known, entry).and_then(|user| user.name.as_deref());
                Some((set.is_none_or(|set| Some(set) == name), id, name))
            })
            .collect();
        owners.sort_by_key(|(dull, ..)| *dull);
        for (_, id, listed) in owners.iter().take(MOST_OWNERS) {
            let shown = self.profile(id, false, seen).await;
            let global = self.profile(id, true, seen).await;
            if let Some(told) = judge::owner_name(*listed, &shown, &global) {
                return told;
            }
        }
        judge::no_owner(owners.len().min(MOST_OWNERS))
    }

    /// Reads one profile twice and compares its picture's URL, also with the
    /// one in the mapping where that has one.
    async fn compare_pictures(&self, list: &List, known: &Known, seen: &mut Seen) -> judge::Told {
        let mut best = None;
        for entry in &list.entries {
            let Some(owner) = owner_id(entry) else {
                continue;
            };
            let set = mapped(known, entry).and_then(|user| user.picture.as_ref()?.url.as_deref());
            if set.is_some() || best.is_none() {
                best = Some((owner, set));
            }
            if set.is_some() {
                break;
            }
        }
        let Some((owner, set)) = best else {
            return judge::nobody_listed(list);
        };
        let one = self.profile(owner, false, seen).await;
        let two = self.profile(owner, false, seen).await;
        judge::picture_url(&one, &two, set)
    }

    /// Compares what the key may do with what one account answers: the
    /// platform's own, which needs no list.
    async fn compare_scope(&self, seen: &mut Seen) -> judge::Told {
        if self.dialect() == Dialect::Companies {
            return judge::not_in_this_generation();
        }
        let may = self
            .look_own(Operation::ListPermissions, &self.may_read(), seen)
            .await;
        let at = self.account_path(self.platform().as_str());
        let account = self.look_own(Operation::RetrieveAccount, &at, seen).await;
        judge::retrieve_scope(READS_ACCOUNT, &may, &account)
    }
}

/// The owner of a listed account, if the id may stand in a path.
fn owner_id(entry: &Value) -> Option<&str> {
    let id = judge::owner(entry)?["id"].as_str()?;
    UserId::parse(id).is_ok().then_some(id)
}

/// The mapped user of a listed account.
fn mapped<'k>(known: &'k Known, entry: &Value) -> Option<&'k KnownUser> {
    let id = entry["id"].as_str()?;
    known.users.values().find(|user| user.link.account.as_str() == id)
}
