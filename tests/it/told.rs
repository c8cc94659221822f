//! Figures that are a result in themselves, such as how many points were
//! searched. They go to stderr past the test runner, which shows what a test
//! prints only when it fails.

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;

/// Shows a line.
pub(crate) fn tell(line: impl Display) {
    // One write, so that tests running side by side do not mix lines.
    let _ = std::io::stderr().write_all(format!("\n{line}\n").as_bytes());
}

/// The variable that names a file for every exchange with an emulator.
pub(crate) const EXCHANGES: &str = "WHOP_SYNC_EXCHANGES";

/// The file that emulators of these tests add their exchanges to, where whoever
/// runs them asked for it; `tests/contract` judges them.
pub(crate) fn exchanges() -> Option<PathBuf> {
    std::env::var_os(EXCHANGES).map(PathBuf::from)
}
