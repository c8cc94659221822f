//! The pipelines that `init --ci` writes: the ones of `examples/ci`, so that
//! what is tried there is what people get.

use clap::ValueEnum;

/// Where pipelines run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ci {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
}

/// A file of a pipeline: its path from the repository's root, its text, and
/// whether it is run.
pub(super) struct PipelineFile {
    pub(super) path: &'static str,
    pub(super) text: &'static str,
    pub(super) is_program: bool,
}

const SCRIPT: &str = include_str!("../../../../examples/ci/whop-sync-ci");

/// The files of a pipeline. On GitHub the action is one of them, so that what
/// runs with the key is what was reviewed in the repository itself.
pub(super) fn files(ci: Ci) -> Vec<PipelineFile> {
    let file = |path, text| PipelineFile {
        path,
        text,
        is_program: false,
    };
    let program = |path| PipelineFile {
        is_program: true,
        ..file(path, SCRIPT)
    };
    match ci {
        Ci::Github => vec![
            file(
                ".github/workflows/whop-sync-plan.yml",
                include_str!("../../../../examples/ci/github/plan.yml"),
            ),
            file(
                ".github/workflows/whop-sync-apply.yml",
                include_str!("../../../../examples/ci/github/apply.yml"),
            ),
            file(
                ".github/workflows/whop-sync-drift.yml",
                include_str!("../../../../examples/ci/github/drift.yml"),
            ),
            file(
                ".github/actions/whop-sync/action.yml",
                include_str!("../../../../action.yml"),
            ),
            program(".github/actions/whop-sync/examples/ci/whop-sync-ci"),
        ],
        Ci::Gitlab => vec![
            file(
                ".gitlab-ci.yml",
                include_str!("../../../../examples/ci/gitlab/.gitlab-ci.yml"),
            ),
            program("ci/whop-sync-ci"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOR_FORKS: &str = include_str!("../../../../examples/ci/github/plan-forks.yml");

    /// Every file that is shipped, with its path.
    fn shipped() -> Vec<(&'static str, &'static str)> {
        let all = [Ci::Github, Ci::Gitlab].into_iter().flat_map(files);
        let mut texts: Vec<_> = all.map(|file| (file.path, file.text)).collect();
        texts.push(("plan-forks.yml", FOR_FORKS));
        texts
    }

    /// The values of a key in YAML, without comments.
    fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
        let lines = text.lines().filter_map(|line| {
            let line = line.trim_start().trim_start_matches("- ");
            line.strip_prefix(key)?.strip_prefix(':')
        });
        lines
            .map(|value| value.split(" #").next().unwrap_or_default().trim())
            .collect()
    }

    #[test]
    fn workflows_run_the_action_that_stands_beside_them() {
        let workflows = shipped()
            .into_iter()
            .filter(|(path, text)| path.ends_with(".yml") && text.contains("runs-on:"));
        let mut seen = 0;
        for (path, text) in workflows {
            let uses = values(text, "uses");
            assert!(uses.contains(&"./.github/actions/whop-sync"), "{path}: {uses:?}");
            seen += 1;
        }
        assert_eq!(seen, 4);
    }

    #[test]
    fn nothing_is_run_that_somebody_else_can_move() {
        let mut seen = 0;
        for (path, text) in shipped() {
            for used in values(text, "uses") {
                let pinned = used
                    .split_once('@')
                    .is_some_and(|(_, at)| at.len() == 40 && at.bytes().all(|b| b.is_ascii_hexdigit()));
                assert!(pinned || used.starts_with("./"), "{path}: {used}");
                seen += 1;
            }
            for image in values(text, "image") {
                assert!(image.contains("@sha256:"), "{path}: {image}");
                seen += 1;
            }
            for line in text.lines().filter(|line| line.contains("cargo install")) {
                let own = line.contains(r#"--path "$SOURCE""#);
                let pinned = line.contains(r#"--git "$source" --rev "$revision""#);
                assert!(line.contains("--locked") && (own || pinned), "{path}: {line}");
                seen += 1;
            }
        }
        assert!(seen > 10, "{seen} found");
    }

    #[test]
    fn the_one_name_to_fill_in_can_be_nobodys() {
        let with_it: Vec<_> = shipped()
            .into_iter()
            .filter(|(_, text)| text.contains("OWNER"))
            .map(|(_, text)| text)
            .collect();
        assert!(with_it.iter().all(|text| *text == SCRIPT), "it is in one file");
        let line = SCRIPT.lines().find(|line| line.contains("OWNER")).unwrap();
        // `.invalid` is reserved; no owner on GitHub or GitLab and no crate
        // begins with a hyphen.
        assert_eq!(
            line,
            "source=${WHOP_SYNC_SOURCE:-https://forge.invalid/-OWNER-/whop-sync}"
        );
        assert_eq!(SCRIPT.matches("OWNER").count(), 1);
    }

    #[test]
    fn only_environments_hold_secrets() {
        let mut seen = 0;
        for (path, text) in shipped() {
            if text.contains("${{ secrets.") {
                assert_eq!(values(text, "environment").len(), 1, "{path}");
                assert_eq!(text.matches("${{ secrets.").count(), 1, "{path}");
                seen += 1;
            }
        }
        assert_eq!(seen, 4);
    }
}
