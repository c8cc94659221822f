//! The kinds of requests. Whop counts requests by operation, so each has its
//! own budget ([errors and limits](crate::whop_api#errors-and-limits)).

use crate::core::model::Dialect;

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Lists one page of connected accounts.
    ListAccounts,
    /// Creates a connected account.
    CreateAccount,
    /// Reads one account.
    RetrieveAccount,
    /// Reads the account that owns the key.
    OwnAccount,
    /// Changes an account.
    UpdateAccount,
    /// Reads one profile in the platform's company.
    RetrieveUser,
    /// Changes such a profile.
    UpdateUser,
    /// Creates a file record.
    CreateFile,
    /// Reads the state of many files.
    ListFiles,
    /// Reads the state of one file.
    RetrieveFile,
    /// Sends a file's bytes to storage rather than to Whop.
    UploadFile,
    /// Downloads a picture that Whop shows, from its host.
    DownloadPicture,
    /// Reads what the key may do.
    ListPermissions,
}

impl Operation {
    /// Every operation, in the order of the enum.
    pub const ALL: [Self; 13] = [
        Self::ListAccounts,
        Self::CreateAccount,
        Self::RetrieveAccount,
        Self::OwnAccount,
        Self::UpdateAccount,
        Self::RetrieveUser,
        Self::UpdateUser,
        Self::CreateFile,
        Self::ListFiles,
        Self::RetrieveFile,
        Self::UploadFile,
        Self::DownloadPicture,
        Self::ListPermissions,
    ];

    /// The name in reports, errors and logs.
    pub fn name(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::ListAccounts, Dialect::Accounts) => "list_accounts",
            (Self::ListAccounts, Dialect::Companies) => "list_companies",
            (Self::CreateAccount, Dialect::Accounts) => "create_account",
            (Self::CreateAccount, Dialect::Companies) => "create_company",
            (Self::RetrieveAccount, Dialect::Accounts) => "retrieve_account",
            (Self::RetrieveAccount, Dialect::Companies) => "retrieve_company",
            (Self::OwnAccount, _) => "own_account",
            (Self::UpdateAccount, Dialect::Accounts) => "update_account",
            (Self::UpdateAccount, Dialect::Companies) => "update_company",
            (Self::RetrieveUser, _) => "retrieve_user",
            (Self::UpdateUser, _) => "update_user",
            (Self::CreateFile, _) => "create_file",
            (Self::ListFiles, _) => "list_files",
            (Self::RetrieveFile, _) => "retrieve_file",
            (Self::UploadFile, _) => "upload_file",
            (Self::DownloadPicture, _) => "download_picture",
            (Self::ListPermissions, _) => "list_permissions",
        }
    }

    /// The operation with this name, and the dialect that uses the name.
    pub fn named(name: &str) -> Option<(Self, Dialect)> {
        let mut all = [Dialect::Accounts, Dialect::Companies]
            .into_iter()
            .flat_map(|dialect| Self::ALL.map(|operation| (operation, dialect)));
        all.find(|(operation, dialect)| operation.name(*dialect) == name)
    }

    /// The scopes that the API key needs, all of them; none if any key will do
    /// ([accounts](crate::whop_api#accounts),
    /// [companies](crate::whop_api#companies), [users](crate::whop_api#users),
    /// [permissions](crate::whop_api#permissions)). The only such list: error
    /// advice, `doctor` and the check before an apply use it.
    pub fn scope(self, dialect: Dialect) -> &'static [&'static str] {
        match (self, dialect) {
            (Self::ListAccounts, Dialect::Accounts) => &["payout:account:read"],
            (Self::ListAccounts | Self::RetrieveAccount, Dialect::Companies) => &["company:basic:read"],
            (Self::CreateAccount, Dialect::Accounts) => &["company:create_child"],
            (Self::CreateAccount, Dialect::Companies) => &["company:create_child", "company:basic:read"],
            (Self::RetrieveAccount, Dialect::Accounts) | (Self::OwnAccount, _) => &["company:balance:read"],
            (Self::UpdateAccount, Dialect::Accounts) => &["company:update"],
            (Self::UpdateAccount, Dialect::Companies) => &["company:update", "company:basic:read"],
            (Self::UpdateUser, _) => &["user:profile:update"],
            (
                Self::RetrieveUser
                | Self::CreateFile
                | Self::ListFiles
                | Self::RetrieveFile
                | Self::UploadFile
                | Self::DownloadPicture
                | Self::ListPermissions,
                _,
            ) => &[],
        }
    }

    /// Whether Whop counts it. Storage is another service and does not.
    pub fn is_counted(self) -> bool {
        !matches!(self, Self::UploadFile | Self::DownloadPicture)
    }
}

/// Scopes that no custom API key can have, only one with a role that includes
/// them, such as Owner ([permissions](crate::whop_api#permissions)).
pub const ROLE_ONLY: [&str; 2] = ["user:profile:update", "company:create"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_operation_is_listed_once_in_order_with_its_own_name() {
        for dialect in [Dialect::Accounts, Dialect::Companies] {
            let names: BTreeSet<_> = Operation::ALL.iter().map(|op| op.name(dialect)).collect();
            assert_eq!(names.len(), Operation::ALL.len());
        }
        for operation in Operation::ALL {
            let name = operation.name(Dialect::Companies);
            let (found, _) = Operation::named(name).unwrap();
            assert_eq!(found, operation, "{name}");
        }
        assert_eq!(Operation::named("delete_account"), None);
        for (at, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, at);
        }
    }
}
