//! Golden files: what the program prints, kept under `tests/golden` for people
//! to read. `UPDATE_GOLDEN=1 cargo test --test it` rewrites them; look at the
//! difference before it is committed.

use std::fs;
use std::path::Path;

use similar::TextDiff;

/// Compares with the golden file of this name, and shows what differs.
#[track_caller]
pub(crate) fn golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| !value.is_empty()) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path)
        .unwrap_or_default()
        .replace("\r\n", "\n");
    if expected != actual {
        let diff = TextDiff::from_lines(expected.as_str(), actual);
        let shown = diff.unified_diff().header("golden", "actual").to_string();
        panic!("tests/golden/{name} differs; UPDATE_GOLDEN=1 rewrites it\n{shown}");
    }
}
