//! Figures that are a result in themselves, such as how many points were
//! searched. They go to stderr past the test runner, which shows what a test
//! prints only when it fails.

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command};

/// Shows a line.
pub(crate) fn tell(line: impl Display) {
    // One write, so that tests running side by side do not mix lines.
    let _ = std::io::stderr().write_all(format!("\n{line}\n").as_bytes());
}

/// Runs a tool that not every machine has; `None` where it is not there, which is
/// told, and is a failure where `WHOP_SYNC_ALL_TOOLS` is set, as the gate does.
pub(crate) fn tool(command: &mut Command) -> Option<Child> {
    match command.spawn() {
        Ok(child) => Some(child),
        Err(why) => {
            let name = command.get_program().display();
            assert!(std::env::var_os("WHOP_SYNC_ALL_TOOLS").is_none(), "{name}: {why}");
            tell(format!("NOT RUN for want of `{name}`"));
            None
        }
    }
}

/// The variable that names a file for every exchange with an emulator.
pub(crate) const EXCHANGES: &str = "WHOP_SYNC_EXCHANGES";

/// The file that emulators of these tests add their exchanges to, where whoever
/// runs them asked for it; `tests/contract` judges them.
pub(crate) fn exchanges() -> Option<PathBuf> {
    std::env::var_os(EXCHANGES).map(PathBuf::from)
}

/// Whether emulators of the suites that run under both sets of answers answer as
/// documented rather than as recorded.
pub(crate) fn documented() -> bool {
    std::env::var_os("WHOP_SYNC_ANSWERS").is_some_and(|answers| answers == "documented")
}
