//! An error as Markdown, for runs that ended before there was a plan.

use super::sink::{Section, code, document, marker, row, sentence};
use crate::core::problem::{Problem, Severity};
use crate::error::Error;

/// The error as one document of at most [`super::LIMIT`] bytes, with the marker
/// of its environment. The company may be unknown, so the marker has none;
/// `kind` is ours.
pub fn error(error: &Error, kind: &str, server: &str) -> String {
    let marker = format!("{}\n", marker(kind, server, ""));
    let mut head = format!(
        "### Nothing was planned: {}\n\n{}\n\n",
        error.code().as_str(),
        sentence(error.message())
    );
    for cause in error.causes() {
        head.push_str(&format!("Caused by {}\n\n", sentence(&cause)));
    }
    if let Some(hint) = error.what_to_do() {
        head.push_str(&format!("What to do: {}\n\n", sentence(hint)));
    }
    let problems = error.manifest_problems();
    let all = [
        section("errors", problems, Severity::Error),
        section("warnings", problems, Severity::Warning),
    ];
    document(&marker, &head, all.into(), "").text
}

fn section<'a>(title: &'static str, problems: &'a [Problem], severity: Severity) -> Section<'a> {
    let such = problems
        .iter()
        .filter(move |problem| problem.severity == severity);
    Section {
        title,
        columns: &["where", "problem", "what to do"],
        total: such.clone().count(),
        open: true,
        needed: false,
        rows: Box::new(move || Box::new(such.clone().map(|problem| problem_row(problem).into()))),
    }
}

fn problem_row(problem: &Problem) -> String {
    let place = problem.place.as_ref();
    let place = place.map(|place| code(&format!("{}:{}", place.file, place.line)));
    row(&[
        place.unwrap_or_default(),
        sentence(&problem.message),
        problem.hint.as_deref().map(sentence).unwrap_or_default(),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::LIMIT;
    use super::*;
    use crate::core::problem::{Place, Pointer};
    use crate::core::problem_code::ProblemCode;

    #[test]
    fn problems_are_listed_harmlessly_and_as_many_as_fit() {
        let problem = |line| Problem {
            severity: Severity::Error,
            code: ProblemCode::BadName,
            message: format!("`<img>|`@all` \u{202e}{}", "x".repeat(200)),
            hint: Some("write another".into()),
            at: Pointer::default(),
            place: Some(Place {
                file: "users.yaml".into(),
                line,
                column: 1,
                length: 1,
                text: "x".into(),
            }),
            related: Vec::new(),
        };
        let of = |count| {
            let problems = (1..=count).map(problem).collect();
            error(&Error::problems(problems), "whop-sync", "sandbox")
        };
        let few = of(2);
        assert!(few.starts_with("<!-- whop-sync:sandbox: -->\n### Nothing was planned: manifest.invalid\n"));
        assert!(
            few.contains("#### 2 errors") && few.contains("| `users.yaml:2` | `'<img>\\u{7c}'@all'"),
            "{few}"
        );
        assert!(!few.contains('\u{202e}'));
        let many = of(5_000);
        assert!(many.len() <= LIMIT, "{}", many.len());
        assert!(many.contains("of 5,000 errors. The JSON report lists all."));
    }
}
