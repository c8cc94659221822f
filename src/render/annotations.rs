//! Manifest problems as GitHub workflow commands, which GitHub shows on the
//! lines of a pull request.

use std::fmt::Write as _;

use super::escape;
use crate::core::problem::{Place, Problem, Severity};

/// The most problems per severity. GitHub shows ten of each per step and drops
/// the rest.
const MOST: usize = 50;

/// One line per problem, errors first.
pub fn render(problems: &[Problem]) -> String {
    let mut out = String::new();
    for (severity, word) in [(Severity::Error, "error"), (Severity::Warning, "warning")] {
        let of_kind = problems.iter().filter(|problem| problem.severity == severity);
        for problem in of_kind.take(MOST) {
            push(&mut out, word, problem);
        }
    }
    out
}

fn push(out: &mut String, word: &str, problem: &Problem) {
    let Problem {
        severity: _,
        code,
        message,
        hint,
        at: _,
        place,
        related: _,
    } = problem;
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "::{word} title={}",
        property(&format!("whop-sync {}", code.name()))
    );
    if let Some(Place {
        file,
        line,
        column,
        length: _,
        text: _,
    }) = place
    {
        let _ = write!(out, ",file={},line={line},col={column}", property(file));
    }
    let _ = write!(out, "::{}", data(message));
    if let Some(hint) = hint {
        let _ = write!(out, "%0A{}", data(hint));
    }
    out.push('\n');
}

/// The text after the second `::`. Whatever could end the line or is invisible
/// is escaped by number before the command's own escapes apply.
fn data(text: &str) -> String {
    escape::terminal(text).replace('%', "%25")
}

/// A property's value, escaped so that it cannot run into the next property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::hostile::{acting, anything};
    use super::*;
    use crate::core::problem::Pointer;
    use crate::core::problem_code::ProblemCode;

    fn problem(severity: Severity, file: &str, message: &str) -> Problem {
        Problem {
            severity,
            code: ProblemCode::UnknownField,
            message: message.to_owned(),
            hint: Some("write it 100%".to_owned()),
            at: Pointer::default(),
            place: Some(Place {
                file: file.to_owned(),
                line: 3,
                column: 7,
                length: 2,
                text: "a line".to_owned(),
            }),
            related: Vec::new(),
        }
    }

    #[test]
    fn problems_become_commands_that_text_cannot_break() {
        let warning = problem(Severity::Warning, "a,b:c.yaml", "odd");
        let error = problem(Severity::Error, "users.yaml", "bad\n::stop-commands::x");
        let mut nowhere = problem(Severity::Error, "", "lost");
        nowhere.place = None;
        nowhere.hint = None;
        let expected = "\
::error title=whop-sync unknown_field,file=users.yaml,line=3,col=7::bad\\u{a}::stop-commands::x%0Awrite it 100%25
::error title=whop-sync unknown_field::lost
::warning title=whop-sync unknown_field,file=a%2Cb%3Ac.yaml,line=3,col=7::odd%0Awrite it 100%25
";
        assert_eq!(render(&[warning, error, nowhere]), expected);
    }

    #[test]
    fn a_flood_is_cut() {
        let many = vec![problem(Severity::Error, "users.yaml", "bad"); MOST + 5];
        assert_eq!(render(&many).lines().count(), MOST);
    }

    /// Reads a command as GitHub's runner does: its name, its properties, its
    /// text.
    fn read(line: &str) -> (&str, Vec<(&str, &str)>, &str) {
        let (info, text) = line
            .trim_start()
            .strip_prefix("::")
            .unwrap()
            .split_once("::")
            .unwrap();
        let (name, properties) = info.split_once(' ').unwrap();
        let properties = properties.split(',').map(|one| one.split_once('=').unwrap());
        (name, properties.collect(), text)
    }

    proptest! {
        /// One line, one command, and no text makes another of it.
        #[test]
        fn a_problem_is_one_command(file in anything(), message in anything(), hint in anything()) {
            let mut problem = problem(Severity::Error, &file, &message);
            problem.hint = Some(hint.clone());
            let all = render(&[problem]);
            let line = all.strip_suffix('\n').unwrap();
            prop_assert!(!line.contains('\n'), "{}", line);
            prop_assert_eq!(acting(line.strip_prefix("::").unwrap()), None);
            let (name, properties, text) = read(line);
            prop_assert_eq!(name, "error");
            let names: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
            prop_assert_eq!(names, ["title", "file", "line", "col"]);
            let plain = text.replacen("%0A", "\n", 1).replace("%25", "%");
            prop_assert_eq!(plain, format!("{}\n{}", escape::terminal(&message), escape::terminal(&hint)));
            let shown = properties[1].1.replace("%3A", ":").replace("%2C", ",").replace("%25", "%");
            prop_assert_eq!(shown, escape::terminal(&file).into_owned());
        }
    }
}
