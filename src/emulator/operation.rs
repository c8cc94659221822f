//! The operations and the paths that lead to them.

use serde::{Deserialize, Serialize};

use super::request::decode;

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What a request asks for. Limits, counts and faults go by these, under
        /// the same names that the client and its reports use.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Operation { $($(#[$doc])* $name,)* }

        impl Operation {
            /// Every operation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name, such as `list_accounts`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

operations! {
    /// `GET /accounts`
    ListAccounts = "list_accounts",
    /// `POST /accounts`
    CreateAccount = "create_account",
    /// `GET /accounts/{id}`
    RetrieveAccount = "retrieve_account",
    /// `GET /accounts/me`
    OwnAccount = "own_account",
    /// `PATCH /accounts/{id}`
    UpdateAccount = "update_account",
    /// `DELETE /accounts/{id}`
    DeleteAccount = "delete_account",
    /// `POST /accounts/{id}/suspend`
    SuspendAccount = "suspend_account",
    /// `GET /accounts/search`
    SearchAccounts = "search_accounts",
    /// `GET /companies`
    ListCompanies = "list_companies",
    /// `POST /companies`
    CreateCompany = "create_company",
    /// `GET /companies/{id}`
    RetrieveCompany = "retrieve_company",
    /// `PATCH /companies/{id}`
    UpdateCompany = "update_company",
    /// `GET /users/{id}`
    RetrieveUser = "retrieve_user",
    /// `PATCH /users/{id}`
    UpdateUser = "update_user",
    /// `POST /files`
    CreateFile = "create_file",
    /// `GET /files`
    ListFiles = "list_files",
    /// `GET /files/{id}`
    RetrieveFile = "retrieve_file",
    /// `POST /files/{id}/complete`
    CompleteFile = "complete_file",
    /// `PUT` of a file's bytes to storage
    UploadFile = "upload_file",
    /// `GET /permissions`
    ListPermissions = "list_permissions",
    /// `GET /api_keys/permissions`
    ListScopes = "list_scopes",
    /// `POST /access_tokens`
    CreateAccessToken = "create_access_token",
}

impl Operation {
    /// The operation of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.as_str() == name)
    }

    /// Whether errors follow the older, GraphQL-backed endpoints, which name
    /// the parameter ([errors and limits](crate::whop_api#errors-and-limits)).
    pub(super) fn has_old_errors(self) -> bool {
        matches!(
            self,
            Self::ListCompanies
                | Self::CreateCompany
                | Self::RetrieveCompany
                | Self::UpdateCompany
                | Self::CreateAccessToken
        )
    }
}

/// Where a request leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// An operation of the API, with the id in its path (empty for none).
    Api(Operation, String),
    /// Bytes for a file, or for one part of it.
    Storage {
        /// The file.
        file: String,
        /// The part's number in a multipart upload.
        part: Option<u32>,
    },
    /// A picture, read as anybody on the web would.
    Picture(Vec<String>),
    /// A known path with a method it does not have; the ones it has.
    WrongMethod(&'static str),
    /// No such path.
    Unknown,
}

/// The path below which the API lives.
pub(super) const BASE: &str = "/api/v1";

/// Finds where a method and path (without its query) lead.
pub(super) fn route(method: &str, path: &str) -> Route {
    let segments: Option<Vec<String>> = path.trim_start_matches('/').split('/').map(decode).collect();
    let Some(segments) = segments else {
        return Route::Unknown;
    };
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["storage", file] => stored(method, file, None),
        ["storage", file, part] => match part.parse() {
            Ok(part) => stored(method, file, Some(part)),
            Err(_) => Route::Unknown,
        },
        ["pictures", rest @ ..] if method == "GET" => {
            Route::Picture(rest.iter().map(|part| (*part).to_owned()).collect())
        }
        ["pictures", ..] => Route::WrongMethod("GET"),
        ["api", "v1", rest @ ..] => api(method, rest),
        _ => Route::Unknown,
    }
}

fn stored(method: &str, file: &str, part: Option<u32>) -> Route {
    if method != "PUT" {
        return Route::WrongMethod("PUT");
    }
    let file = file.to_owned();
    Route::Storage { file, part }
}

fn api(method: &str, segments: &[&str]) -> Route {
    use Operation as Op;
    // Every path with the methods it has.
    let (id, methods): (&str, &[(&'static str, Op)]) = match segments {
        ["accounts"] => ("", &[("GET", Op::ListAccounts), ("POST", Op::CreateAccount)]),
        ["accounts", "me"] if method == "GET" => ("me", &[("GET", Op::OwnAccount)]),
        ["accounts", "search"] if method == "GET" => ("search", &[("GET", Op::SearchAccounts)]),
        ["accounts", id, "suspend"] => (id, &[("POST", Op::SuspendAccount)]),
        ["accounts", id] => (
            id,
            &[
                ("GET", Op::RetrieveAccount),
                ("PATCH", Op::UpdateAccount),
                ("DELETE", Op::DeleteAccount),
            ],
        ),
        ["companies"] => ("", &[("GET", Op::ListCompanies), ("POST", Op::CreateCompany)]),
        ["companies", id] => (id, &[("GET", Op::RetrieveCompany), ("PATCH", Op::UpdateCompany)]),
        ["users", id] => (id, &[("GET", Op::RetrieveUser), ("PATCH", Op::UpdateUser)]),
        ["files"] => ("", &[("GET", Op::ListFiles), ("POST", Op::CreateFile)]),
        ["files", id] => (id, &[("GET", Op::RetrieveFile)]),
        ["files", id, "complete"] => (id, &[("POST", Op::CompleteFile)]),
        ["permissions"] => ("", &[("GET", Op::ListPermissions)]),
        ["api_keys", "permissions"] => ("permissions", &[("GET", Op::ListScopes)]),
        ["access_tokens"] => ("", &[("POST", Op::CreateAccessToken)]),
        _ => return Route::Unknown,
    };
    if segments.len() > 1 && id.is_empty() {
        return Route::Unknown;
    }
    match methods.iter().find(|(known, _)| *known == method) {
        Some((_, operation)) => Route::Api(*operation, id.to_owned()),
        None => Route::WrongMethod(match methods {
            [_, _, _] => "GET, PATCH, DELETE",
            [_, (second, _)] if *second == "PATCH" => "GET, PATCH",
            [_, _] => "GET, POST",
            [(first, _)] if *first == "POST" => "POST",
            _ => "GET",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_operations() {
        for (method, path, expected) in [
            (
                "GET",
                "/api/v1/accounts",
                Route::Api(Operation::ListAccounts, String::new()),
            ),
            (
                "GET",
                "/api/v1/accounts/me",
                Route::Api(Operation::OwnAccount, "me".to_owned()),
            ),
            (
                "PATCH",
                "/api/v1/accounts/me",
                Route::Api(Operation::UpdateAccount, "me".to_owned()),
            ),
            (
                "GET",
                "/api/v1/users/user%5Fa",
                Route::Api(Operation::RetrieveUser, "user_a".to_owned()),
            ),
            (
                "GET",
                "/api/v1/accounts/search",
                Route::Api(Operation::SearchAccounts, "search".to_owned()),
            ),
            (
                "POST",
                "/api/v1/accounts/biz_a/suspend",
                Route::Api(Operation::SuspendAccount, "biz_a".to_owned()),
            ),
            (
                "GET",
                "/api/v1/accounts/biz_a/suspend",
                Route::WrongMethod("POST"),
            ),
            (
                "POST",
                "/api/v1/files/file_1/complete",
                Route::Api(Operation::CompleteFile, "file_1".to_owned()),
            ),
            ("DELETE", "/api/v1/users/user_a", Route::WrongMethod("GET, PATCH")),
            ("PUT", "/api/v1/accounts", Route::WrongMethod("GET, POST")),
            ("GET", "/api/v1/accounts/", Route::Unknown),
            ("GET", "/accounts", Route::Unknown),
            ("GET", "/api/v1/users/%ff", Route::Unknown),
            (
                "PUT",
                "/storage/file_1/2",
                Route::Storage {
                    file: "file_1".to_owned(),
                    part: Some(2),
                },
            ),
        ] {
            assert_eq!(route(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn names_are_the_serde_names() {
        for operation in Operation::ALL {
            let json = serde_json::to_string(operation).unwrap();
            assert_eq!(json, format!("{:?}", operation.as_str()));
            assert_eq!(Operation::parse(operation.as_str()), Some(*operation));
        }
    }
}
