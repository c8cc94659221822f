//! Which of two commits is the older one, as git in the manifest's folder
//! tells it. Only its yes counts: where a commit is not there, such as in a
//! shallow clone, or where there is no git, nobody can tell.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::core::lineage::{Ancestry, Commit};

/// How `own` stands to `last`.
pub(super) fn compare(folder: &Path, own: Option<&Commit>, last: &Commit) -> Ancestry {
    let Some(own) = own else {
        return Ancestry::Unknown;
    };
    if own == last || is_ancestor(folder, last, own) {
        Ancestry::Newer
    } else if is_ancestor(folder, own, last) {
        Ancestry::Older
    } else {
        Ancestry::Unknown
    }
}

fn is_ancestor(folder: &Path, older: &Commit, newer: &Commit) -> bool {
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    let mut git = Command::new("git");
    // The folder may be a stranger's: one that is made to look like a bare
    // repository would bring a configuration of its own, which can name
    // programs to run.
    git.args(["-c", "safe.bareRepository=explicit"])
        .arg("-C")
        .arg(folder);
    // Ids are hex, so neither can be taken for an option.
    git.args(["merge-base", "--is-ancestor", older.as_str(), newer.as_str()]);
    git.stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // It has no business with the key, nor with the network where the clone is
    // a partial one.
    git.env_remove("WHOP_API_KEY");
    git.env("GIT_NO_LAZY_FETCH", "1").env("GIT_TERMINAL_PROMPT", "0");
    git.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs git in a repository that knows nothing of this machine's settings.
    fn git(folder: &Path, line: &str) -> String {
        let mut git = Command::new("git");
        git.arg("-C").arg(folder).args(line.split(' '));
        for (name, value) in [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_SYSTEM", "/dev/null"),
            ("GIT_AUTHOR_NAME", "a"),
            ("GIT_AUTHOR_EMAIL", "a@a.test"),
            ("GIT_COMMITTER_NAME", "a"),
            ("GIT_COMMITTER_EMAIL", "a@a.test"),
        ] {
            git.env(name, value);
        }
        let output = git.output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(folder: &Path) -> Commit {
        git(folder, "commit -q --allow-empty -m x");
        Commit::parse(&git(folder, "rev-parse HEAD")).unwrap()
    }

    #[test]
    fn git_tells_older_from_newer_and_from_beside() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        git(at, "init -q -b main");
        let first = commit(at);
        let second = commit(at);
        git(at, &format!("checkout -q -b side {first}"));
        // Another time would do as well to tell it from the second.
        git(at, "commit -q --allow-empty -m side");
        let side = Commit::parse(&git(at, "rev-parse HEAD")).unwrap();
        let ask = |own: &Commit, last: &Commit| compare(at, Some(own), last);
        assert_eq!(ask(&first, &second), Ancestry::Older);
        assert_eq!(ask(&second, &first), Ancestry::Newer);
        assert_eq!(ask(&second, &second), Ancestry::Newer);
        assert_eq!(ask(&side, &second), Ancestry::Unknown);
        let unheard_of = Commit::parse(&"0".repeat(40)).unwrap();
        assert_eq!(ask(&first, &unheard_of), Ancestry::Unknown);
        assert_eq!(compare(at, None, &second), Ancestry::Unknown);
        // A folder that a pull request made to look like a repository.
        git(at, "clone -q --bare . users");
        assert_eq!(
            compare(&at.join("users"), Some(&first), &second),
            Ancestry::Unknown
        );
        let no_repository = tempfile::tempdir().unwrap();
        assert_eq!(
            compare(no_repository.path(), Some(&first), &second),
            Ancestry::Unknown
        );
    }
}
