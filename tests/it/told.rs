//! Figures that are a result in themselves, such as how many points were
//! searched. They go to stderr past the test runner, which shows what a test
//! prints only when it fails.

use std::fmt::Display;
use std::io::Write;

/// Shows a line.
pub(crate) fn tell(line: impl Display) {
    // One write, so that tests running side by side do not mix lines.
    let _ = std::io::stderr().write_all(format!("\n{line}\n").as_bytes());
}
