//! Why a request is refused, and how Whop says so ([errors and limits](crate::whop_api#errors-and-limits)).

use serde_json::{Map, Value, json};

/// An error answer before it has a shape: older endpoints name the parameter,
/// current ones do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// HTTP status.
    pub(super) status: u16,
    /// `error.type`.
    pub(super) kind: &'static str,
    /// `error.message`.
    pub(super) message: String,
    /// `error.code` where there is a specific reason, in every generation.
    pub(super) code: Option<&'static str>,
    /// `error.code` and `error.param` of the older endpoints.
    pub(super) old: Option<(&'static str, String)>,
    /// The message as documented, where another one was recorded.
    documented: Option<&'static str>,
}

/// The type of a 400, as recorded.
pub(super) const BAD: &str = "bad_request";

impl Refusal {
    fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            code: None,
            old: None,
            documented: None,
        }
    }

    /// 400 for a value that cannot be taken.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, BAD, message)
    }

    /// 400 for a parameter that must be there.
    pub(super) fn missing(param: &str) -> Self {
        Self {
            old: Some(("parameter_missing", param.to_owned())),
            ..Self::invalid(format!("{param} is missing"))
        }
    }

    /// 400 for a parameter of a wrong kind; `why` follows its name.
    pub(super) fn param(param: &str, why: &str) -> Self {
        Self {
            old: Some(("parameter_invalid", param.to_owned())),
            ..Self::invalid(format!("{param} {why}"))
        }
    }

    /// 400 for a body that is no JSON.
    pub(super) fn json() -> Self {
        Self {
            old: Some(("invalid_json", String::new())),
            ..Self::invalid("The body is not valid JSON")
        }
    }

    /// 400 or 409 with a code that clients act on.
    pub(super) fn coded(status: u16, code: &'static str, message: &str) -> Self {
        let kind = if status == 409 { "conflict" } else { BAD };
        Self {
            code: Some(code),
            ..Self::new(status, kind, message)
        }
    }

    /// 401: no key, or none that is known.
    pub(super) fn unauthorized() -> Self {
        Self::new(401, "unauthorized", "The API key is missing or not valid")
    }

    /// 403 for a missing scope, which is named.
    pub(super) fn scope(scope: &str) -> Self {
        let message = format!("Company API key is not authorized for the {scope} scope.");
        Self {
            documented: Some("Not allowed for this key"),
            ..Self::forbidden(&message)
        }
    }

    /// 403 for a relation that is missing: somebody else's account.
    pub(super) fn relation() -> Self {
        Self::forbidden("You are not authorized")
    }

    /// 403: a relation is missing.
    pub(super) fn forbidden(message: &str) -> Self {
        Self::new(403, "forbidden", message)
    }

    /// 404: unknown, or not visible to the key.
    pub(super) fn not_found() -> Self {
        Self::new(404, "not_found", "No such resource")
    }

    /// 409: the state forbids it.
    pub(super) fn conflict(message: &str) -> Self {
        Self::new(409, "conflict", message)
    }

    /// 429. The delay stands in the message alone ([errors and limits](crate::whop_api#errors-and-limits)).
    pub(super) fn limited(seconds: u64) -> Self {
        let unit = if seconds == 1 { "second" } else { "seconds" };
        Self::new(
            429,
            "rate_limit_exceeded",
            format!("Try again in {seconds} {unit}."),
        )
    }

    /// 500.
    pub(super) fn internal(message: &str) -> Self {
        Self::new(500, "internal_server_error", message)
    }

    /// The body as recorded, in the older shape where asked.
    pub(super) fn body(&self, old: bool) -> Value {
        self.body_as(old, false)
    }

    /// The same, as documented where asked.
    pub(super) fn body_as(&self, old: bool, documented: bool) -> Value {
        let mut error = Map::new();
        let kind = match self.kind {
            BAD if documented => "invalid_request_error",
            kind => kind,
        };
        let message = self.documented.filter(|_| documented).unwrap_or(&self.message);
        error.insert("type".to_owned(), json!(kind));
        error.insert("message".to_owned(), json!(message));
        if let Some(code) = self.code {
            error.insert("code".to_owned(), json!(code));
        }
        if let (true, Some((code, param))) = (old, &self.old) {
            error.insert("code".to_owned(), json!(code));
            if !param.is_empty() {
                error.insert("param".to_owned(), json!(param));
            }
        }
        json!({ "error": error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_older_endpoints_name_the_parameter() {
        let refusal = Refusal::missing("title");
        assert_eq!(
            refusal.body(true),
            json!({"error": {"type": "bad_request", "message": "title is missing",
                "code": "parameter_missing", "param": "title"}})
        );
        assert_eq!(
            refusal.body_as(false, true),
            json!({"error": {"type": "invalid_request_error", "message": "title is missing"}})
        );
        assert_eq!(
            Refusal::limited(7).body(false)["error"]["message"],
            "Try again in 7 seconds."
        );
    }
}
