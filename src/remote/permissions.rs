//! What the key may do (`whop-api.md` §9).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::client::Client;
use super::error::CallError;
use super::operation::Operation;
use super::query::path;
use super::transport::Method;

impl Client {
    /// Which of these actions, such as `company:update`, the key may do on
    /// the platform. Every action asked about is answered; Whop answers with
    /// nothing granted where the platform is invisible to the key.
    ///
    /// # Errors
    /// Any call that fails.
    pub async fn permissions(&self, actions: &[&str]) -> Result<BTreeMap<String, bool>, CallError> {
        let list = actions.join(",");
        let query = [
            ("resource_id", self.platform().as_str()),
            ("actions", list.as_str()),
        ];
        let request = self.request(Method::Get, path("/permissions", &query), None);
        let call = self.repeatable(Operation::ListPermissions, request);
        let answer: Answer = self.fetch(None, &call).await?;
        let mut granted: BTreeMap<_, _> = actions
            .iter()
            .map(|action| ((*action).to_owned(), false))
            .collect();
        for told in answer.data {
            if let Some(known) = granted.get_mut(&told.action) {
                *known = told.granted;
            }
        }
        Ok(granted)
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    action: String,
    granted: bool,
}
