//! What the client can ask for. Whop counts requests by operation, so each
//! has a budget of its own ([errors and limits](crate::whop_api#errors-and-limits)).

use crate::core::model::Dialect;

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// One page of connected accounts.
    ListAccounts,
    /// A new connected account.
    CreateAccount,
    /// One account.
    RetrieveAccount,
    /// The account that owns the key.
    OwnAccount,
    /// A change of an account.
    UpdateAccount,
    /// One profile as it shows in the platform's company.
    RetrieveUser,
    /// A change of such a profile.
    UpdateUser,
    /// A new file record.
    CreateFile,
    /// The state of many files.
    ListFiles,
    /// The state of one file.
    RetrieveFile,
    /// A file's bytes, sent to storage rather than to Whop.
    UploadFile,
    /// A picture that Whop showed, from wherever it is kept.
    DownloadPicture,
    /// What the key may do.
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

    /// The operation of this name, with the dialect it is called so in.
    pub fn named(name: &str) -> Option<(Self, Dialect)> {
        let mut all = [Dialect::Accounts, Dialect::Companies]
            .into_iter()
            .flat_map(|dialect| Self::ALL.map(|operation| (operation, dialect)));
        all.find(|(operation, dialect)| operation.name(*dialect) == name)
    }

    /// What the API key must be allowed to do, all of it; nothing where any key
    /// will do ([accounts](crate::whop_api#accounts),
    /// [companies](crate::whop_api#companies), [users](crate::whop_api#users),
    /// [permissions](crate::whop_api#permissions)). The one list of it: advice,
    /// `doctor` and the look before an apply go by it.
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

    /// Whether Whop counts it. Storage is somebody else's and counts nothing.
    pub fn is_counted(self) -> bool {
        !matches!(self, Self::UploadFile | Self::DownloadPicture)
    }
}

/// What no custom API key can be allowed to do: only a key with a role that
/// has it, such as Owner ([permissions](crate::whop_api#permissions)).
pub const ROLE_ONLY: [&str; 2] = ["user:profile:update", "company:create"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_holds_each_once_at_its_own_place_under_its_own_name() {
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
