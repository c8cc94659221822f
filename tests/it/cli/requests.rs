//! What each command asks of Whop: nothing that it could do without. What the
//! library asks for a plan in each situation is counted in `it/requests.rs`.

use whop_sync::emulator::{Operation, Settings};

use super::whop::Whop;
use super::{EXAMPLE, Place};

/// Commands in turn, beginning on an empty platform, and the requests of each,
/// in today's and in the older dialect. Twelve users, eleven with a picture of
/// whom two share one.
const STORY: &[(&str, &str, &str)] = &[
    ("validate", "", ""),
    // Of an empty list one page must be read.
    ("plan", "list_accounts 1", "list_companies 1"),
    // A plan is made anew where it is carried out. The older dialect can
    // neither be asked for permissions nor for many files at once. How often
    // many files are asked for follows the clock, which here is the wall's.
    (
        "apply --yes",
        "create_account 12, create_file 10, list_accounts 1, list_files, list_permissions 1, update_user 12, \
         upload_file 10",
        "create_company 12, create_file 10, list_companies 1, retrieve_file 10, update_user 12, upload_file 10",
    ),
    ("show", "", ""),
    ("plan --refresh changed", "list_accounts 1", "list_companies 1"),
    (
        "plan --refresh full",
        "list_accounts 1, retrieve_user 12",
        "list_companies 1, retrieve_user 12",
    ),
    // Nobody's permission is asked for doing nothing.
    (
        "apply --yes --refresh changed",
        "list_accounts 1",
        "list_companies 1",
    ),
    (
        "explain user_10001",
        "list_accounts 1, retrieve_user 1",
        "list_companies 1, retrieve_user 1",
    ),
    (
        "drift",
        "list_accounts 1, retrieve_user 12",
        "list_companies 1, retrieve_user 12",
    ),
    // The older dialect tells no emails: refused without asking.
    ("export", "list_accounts 1, retrieve_user 12", ""),
    // Permissions twice: for themselves, and in a version that no server has,
    // whose refusal names those that it has.
    (
        "doctor",
        "list_accounts 1, list_permissions 2, own_account 1",
        "list_companies 1, list_permissions 1, own_account 1",
    ),
];

#[test]
fn no_command_asks_for_more_than_it_needs() {
    for version in ["2026-10-15-1", "2025-01-01"] {
        let whop = Whop::new(Settings {
            rate: 0,
            exchanges: crate::told::exchanges(),
            ..Settings::default()
        });
        let place = Place::example();
        for (command, current, older) in STORY {
            let is_older = version == "2025-01-01";
            let line = format!(
                "{command} -f {EXAMPLE} --server {} --api-version {version} -q",
                whop.base
            );
            let ran = place.run_with(&line, &[("WHOP_API_KEY", "any")]);
            let refused = is_older && *command == "export";
            assert_eq!(ran.status, if refused { 64 } else { 0 }, "{}", ran.shown());
            let counts = whop.emulator.counts().into_iter();
            let mut counts: Vec<_> = counts
                .map(|(operation, count)| match operation {
                    Operation::ListFiles => operation.as_str().to_owned(),
                    _ => format!("{} {count}", operation.as_str()),
                })
                .collect();
            counts.sort();
            let expected = if is_older { older } else { current };
            assert_eq!(counts.join(", "), *expected, "{line}");
            whop.emulator.reset_counts();
        }
    }
}
