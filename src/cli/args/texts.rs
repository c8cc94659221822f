//! Longer texts of the help.

use crate::cli::commands::help;

pub(super) const TOP_SHORT: &str = "\
Example: whop-sync plan -f users.yaml --server emulator
Each command has examples of its own: whop-sync help plan";

/// Examples, the manual's pages, the environment and the exit statuses.
pub(super) fn top_long() -> String {
    format!("{EXAMPLES}\n\n{}\n\n{SURROUNDINGS}", help::list())
}

const EXAMPLES: &str = "\
Examples:
  whop-sync init                          write a first manifest and its schema
  whop-sync validate                      check users.yaml; needs no key and no network
  whop-sync apply --server emulator       try it out: nothing leaves this computer
  whop-sync plan                          show what would change on Whop
  whop-sync apply                         change it, after asking
  whop-sync show user_12345               the account and user of one of your users
  whop-sync explain user_12345            what is decided about one of your users, and why
  whop-sync doctor                        what is wrong with the set-up";

const SURROUNDINGS: &str = "\
Environment:
  WHOP_API_KEY        the key; it is never given on the command line
  WHOP_API_VERSION    as --api-version
  WHOP_SYNC_CA_FILE   as --ca-file
  WHOP_SYNC_COMMIT    as --commit; else GITHUB_SHA or CI_COMMIT_SHA
  WHOP_SYNC_MAPPING   as --mapping
  WHOP_SYNC_SERVER    as --server
  WHOP_SYNC_PROGRESS  how to show progress: auto, bar, lines or none
  WHOP_SYNC_LOG       which logs to print, such as debug or whop_sync=trace
  WHOP_SYNC_LIMIT     requests of each operation that are yours, such as 300/min where another
                      program shares the key [default: 600/min, and less where Whop says so]
  WHOP_SYNC_EXCHANGES where the emulator adds every exchange, as JSON lines
  WHOP_SYNC_PICTURE_HOSTS
                      hosts of your own network, or that only your proxy can look up, whose
                      pictures may be read for reports, such as img.example.com,*.cdn.example.com
  WHOP_SYNC_STORAGE_HOSTS
                      the same for hosts that pictures may be sent to
  NO_COLOR            no colour, if not empty
  CLICOLOR_FORCE      colour without a terminal too, if not 0
  HTTPS_PROXY         the proxy on the way to Whop; NO_PROXY lists hosts without

Exit status:
  0  done, or nothing to do         4   the plan is stale, or not the expected one
  1  network, key, permission, I/O  5   some users failed or were left; run again
  2  changes are pending            6   another run holds the mapping
  3  a guardrail refused            7   the manifest or a picture is invalid
  64 usage                          130 interrupted; work in hand was finished";
