//! What the client can ask for. Whop counts requests by operation, so each
//! has a budget of its own (`whop-api.md` §8).

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

    /// Whether Whop counts it. Storage is somebody else's and counts nothing.
    pub fn is_counted(self) -> bool {
        !matches!(self, Self::UploadFile | Self::DownloadPicture)
    }
}

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
        for (at, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, at);
        }
    }
}
