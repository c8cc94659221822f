//! What the key may do ([permissions](crate::whop_api#permissions)).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::client::Client;
use super::error::CallError;
use super::operation::Operation;
use super::query::path;
use super::transport::Method;

impl Client {
    /// Which of these actions, such as `company:update`, the key may do on the
    /// platform. Every requested action is in the result; if the platform is
    /// invisible to the key, nothing is granted.
    ///
    /// # Errors
    /// If the call fails.
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
    data: Vec<Grant>,
}

#[derive(Deserialize)]
struct Grant {
    action: String,
    granted: bool,
}

#[cfg(test)]
mod tests {
    use super::super::script::{Script, answer};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_requested_action_is_in_the_result() {
        let data =
            r#"{"data":[{"action":"company:update","granted":true},{"action":"else","granted":true}]}"#;
        let script = Script::of([answer(200, data)]);
        let client = script.client("2026-10-15-1");
        let granted = client
            .permissions(&["company:update", "user:profile:update"])
            .await
            .unwrap();
        let expected = [("company:update", true), ("user:profile:update", false)];
        assert_eq!(
            granted,
            BTreeMap::from(expected.map(|(action, granted)| (action.to_owned(), granted)))
        );
        assert_eq!(
            script.lines(),
            ["GET /permissions?resource_id=biz_p1&actions=company:update,user:profile:update"]
        );
    }
}
