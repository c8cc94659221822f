//! Failures, from answers as servers give them.

use bytes::Bytes;

use super::*;

const ASKED: Asked<'static> = Asked {
    operation: "create_account",
    reads: false,
    version: "2026-10-15-1",
    version_proven: false,
};

fn answer(status: u16, body: &str) -> Response {
    Response {
        status,
        headers: vec![("cf-ray".to_owned(), "ray-1".to_owned())],
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

#[test]
fn kinds_effects_and_codes_of_every_answer() {
    use CallErrorKind as K;
    use Effect::{None as Nothing, Unknown};
    let coded = |code: &str| format!(r#"{{"error":{{"type":"t","code":"{code}","message":"m"}}}}"#);
    let plain = coded("other");
    for (status, body, kind, effect, code) in [
        (400, plain.clone(), K::Refused, Nothing, Code::RequestRefused),
        (
            400,
            coded("idempotency_key_mismatch"),
            K::KeyMismatch,
            Unknown,
            Code::RequestRefused,
        ),
        (
            400,
            coded("unknown_version"),
            K::UnknownVersion,
            Nothing,
            Code::VersionUnknown,
        ),
        (401, plain.clone(), K::Unauthorized, Nothing, Code::KeyRefused),
        (403, plain.clone(), K::Forbidden, Nothing, Code::PermissionMissing),
        (404, plain.clone(), K::NotFound, Nothing, Code::RequestRefused),
        (408, plain.clone(), K::Server, Unknown, Code::ServerFailed),
        (409, plain.clone(), K::Conflict, Nothing, Code::RequestRefused),
        (
            409,
            coded("idempotency_request_in_progress"),
            K::InProgress,
            Unknown,
            Code::RequestRefused,
        ),
        (413, plain.clone(), K::Refused, Nothing, Code::RequestRefused),
        (422, plain.clone(), K::Refused, Nothing, Code::RequestRefused),
        (429, plain.clone(), K::RateLimited, Nothing, Code::RequestRefused),
        (500, plain.clone(), K::Server, Unknown, Code::ServerFailed),
        (503, "<html>".to_owned(), K::Server, Unknown, Code::ServerFailed),
        (302, String::new(), K::Malformed, Unknown, Code::AnswerInvalid),
    ] {
        let error = ASKED.refused(&answer(status, &body));
        assert_eq!(
            (error.kind, error.effect, error.code()),
            (kind, effect, code),
            "{status} {body}"
        );
        assert_eq!(error.request_id.as_deref(), Some("ray-1"));
        assert_eq!(
            error.is_fatal(),
            matches!(kind, K::Unauthorized | K::UnknownVersion)
        );
        let read = Asked { reads: true, ..ASKED }.refused(&answer(status, &body));
        assert_eq!(read.effect, Nothing, "a read has no effect: {status}");
    }
}

#[test]
fn silence_has_an_unknown_effect_unless_nothing_was_sent() {
    use CallErrorKind as K;
    for (lost, kind, effect) in [
        (TransportError::NotSent("x".to_owned()), K::Network, Effect::None),
        (
            TransportError::NoAnswer("x".to_owned()),
            K::Network,
            Effect::Unknown,
        ),
        (TransportError::TooLarge(9), K::Malformed, Effect::Unknown),
        (
            TransportError::Forbidden("x".to_owned()),
            K::Refused,
            Effect::None,
        ),
    ] {
        let error = ASKED.lost(&lost);
        assert_eq!((error.kind, error.effect), (kind, effect));
    }
}

#[test]
fn only_answers_that_looked_at_the_key_settle_it() {
    for (status, settles) in [
        (400, true),
        (403, true),
        (409, true),
        (401, false),
        (429, false),
        (500, false),
    ] {
        assert_eq!(ASKED.refused(&answer(status, "")).settles(), settles, "{status}");
    }
    let in_progress = r#"{"error":{"code":"idempotency_request_in_progress"}}"#;
    assert!(!ASKED.refused(&answer(409, in_progress)).settles());
    assert!(!ASKED.invalid("never sent").settles());
}

#[test]
fn any_shape_of_error_body_gives_a_message() {
    for (body, message) in [
        (r#"{"error":{"type":"x","message":"Not so"}}"#, "Not so"),
        (r#"{"error":"Not so"}"#, "Not so"),
        (r#"{"error":null,"message":"Not so"}"#, "Not so"),
        (r#"{"error":null}"#, r#"{"error":null}"#),
        (r#"{"error":{"message":" "}}"#, r#"{"error":{"message":" "}}"#),
        ("<html>Bad\ngateway</html>", "<html>Bad gateway</html>"),
        ("", "HTTP 400 without a text"),
        (
            r#"{"error":{"message":"key apik_1 is bad"}}"#,
            "key <hidden> is bad",
        ),
    ] {
        assert_eq!(ASKED.refused(&answer(400, body)).message, message, "{body}");
    }
    let redirect = ASKED.refused(&answer(302, ""));
    assert!(redirect.message.contains("never followed"), "{redirect}");
}

#[test]
fn a_version_that_worked_before_is_never_blamed() {
    let told = r#"{"error":{"message":"Unknown Api-Version-Date 2026-10-15-1. Supported: 2027-01-01"}}"#;
    assert_eq!(
        ASKED.refused(&answer(400, told)).kind,
        CallErrorKind::UnknownVersion
    );
    let proven = Asked {
        version_proven: true,
        ..ASKED
    };
    assert_eq!(proven.refused(&answer(400, told)).kind, CallErrorKind::Refused);
    let title = r#"{"error":{"message":"title `My version` is taken"}}"#;
    assert_eq!(ASKED.refused(&answer(400, title)).kind, CallErrorKind::Refused);
}

#[test]
fn a_scope_that_whop_names_is_repeated_and_not_guessed() {
    let lists = Asked {
        operation: "list_accounts",
        ..ASKED
    };
    let not = "Company API key is not authorized for the company:balance:read scope.";
    let to = "This API key is not authorized to scope to the following action: company:create";
    let all = "Actor is missing all required permissions: company:update, company:basic:read";
    let required = "You cannot do this. Required permission: user:profile:update";
    for (asked, status, message, named, role) in [
        (ASKED, 403, not, "lacks `company:balance:read`:", false),
        (lists, 403, not, "lacks `company:balance:read`:", false),
        (ASKED, 400, to, "lacks `company:create`:", true),
        (
            ASKED,
            400,
            all,
            "lacks `company:update` and `company:basic:read`:",
            false,
        ),
        (ASKED, 403, required, "lacks `user:profile:update`:", true),
        (
            ASKED,
            403,
            "You are not authorized",
            "probably lacks `company:create_child`:",
            false,
        ),
        (
            lists,
            403,
            "See https://whop.test",
            "probably lacks `payout:account:read`:",
            false,
        ),
    ] {
        let body = serde_json::json!({ "error": { "message": message } }).to_string();
        let error = asked.refused(&answer(status, &body));
        assert_eq!(
            (error.kind, error.code(), error.effect),
            (CallErrorKind::Forbidden, Code::PermissionMissing, Effect::None),
            "{message}"
        );
        let hint = error.hint().unwrap();
        assert!(hint.contains(named), "{message}: {hint}");
        assert_eq!(
            hint.contains("no custom key can have all of it"),
            role,
            "{message}: {hint}"
        );
    }
    let other = r#"{"error":{"message":"title is missing"}}"#;
    assert_eq!(ASKED.refused(&answer(400, other)).kind, CallErrorKind::Refused);
}

#[test]
fn the_run_ending_form_names_operation_cause_and_remedy() {
    let error = ASKED
        .refused(&answer(403, r#"{"error":{"message":"Not allowed."}}"#))
        .into_error();
    assert_eq!(
        error.message(),
        "could not create account: Not allowed (HTTP 403, request ray-1)"
    );
    assert!(
        error
            .what_to_do()
            .is_some_and(|hint| hint.contains("`company:create_child`"))
    );
    let list = Asked {
        operation: "list_accounts",
        ..ASKED
    };
    assert_eq!(list.refused(&answer(404, "")).code(), Code::CompanyUnknown);
}
