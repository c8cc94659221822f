//! The pipelines that `init --ci` writes: the ones of `examples/ci`, so that
//! what is tried there is what people get.

use clap::ValueEnum;

/// Where pipelines run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ci {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
}

/// A file of a pipeline: its path from the repository's root, its text, and
/// whether it is run.
pub(super) struct PipelineFile {
    pub(super) path: &'static str,
    pub(super) text: String,
    pub(super) is_program: bool,
}

/// The action in the repository itself instead of in ours, so that what runs
/// with the key is what was reviewed.
const OURS: &str = "OWNER/whop-sync@v0.1.0";
const THEIRS: &str = "./.github/actions/whop-sync";

const SCRIPT: &str = include_str!("../../examples/ci/whop-sync-ci");

/// The files of a pipeline.
pub(super) fn files(ci: Ci) -> Vec<PipelineFile> {
    let file = |path, text: &str| PipelineFile {
        path,
        text: text.to_owned(),
        is_program: false,
    };
    let program = |path| PipelineFile {
        is_program: true,
        ..file(path, SCRIPT)
    };
    let workflow = |path, text: &str| file(path, &text.replace(OURS, THEIRS));
    match ci {
        Ci::Github => vec![
            workflow(
                ".github/workflows/whop-sync-plan.yml",
                include_str!("../../examples/ci/github/plan.yml"),
            ),
            workflow(
                ".github/workflows/whop-sync-apply.yml",
                include_str!("../../examples/ci/github/apply.yml"),
            ),
            workflow(
                ".github/workflows/whop-sync-drift.yml",
                include_str!("../../examples/ci/github/drift.yml"),
            ),
            file(
                ".github/actions/whop-sync/action.yml",
                include_str!("../../action.yml"),
            ),
            program(".github/actions/whop-sync/examples/ci/whop-sync-ci"),
        ],
        Ci::Gitlab => vec![
            file(
                ".gitlab-ci.yml",
                include_str!("../../examples/ci/gitlab/.gitlab-ci.yml"),
            ),
            program("ci/whop-sync-ci"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workflows_run_the_action_that_stands_beside_them() {
        let files = files(Ci::Github);
        let workflows: Vec<_> = files
            .iter()
            .filter(|file| file.path.contains("workflows"))
            .collect();
        assert_eq!(workflows.len(), 3);
        for file in workflows {
            assert!(
                file.text.contains(THEIRS) && !file.text.contains("OWNER"),
                "{}",
                file.path
            );
        }
    }
}
