//! An error for people, on stderr: the problems it lists, then what ended the
//! run, why, and what to do.

use std::fmt::Write as _;

use super::escape::Safe;
use super::problems::{self, DisplayOptions};
use super::style::Tone;
use crate::error::Error;

/// The error as text, with a final newline.
pub fn render(error: &Error, look: DisplayOptions) -> String {
    let mut out = problems::render(error.manifest_problems(), look);
    if !out.is_empty() {
        out.push('\n');
    }
    let paint = look.palette;
    let lead = paint.paint(Tone::Bad, format!("error[{}]", error.code().as_str()));
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{lead}: {}", Safe(error.message()));
    for cause in error.causes() {
        let _ = writeln!(out, "  caused by: {}", Safe(cause));
    }
    if let Some(hint) = error.what_to_do() {
        let _ = writeln!(out, "  {}: {}", paint.paint(Tone::Link, "help"), Safe(hint));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::style::{Palette, stripped};
    use super::*;
    use crate::core::problem::{Pointer, Problem, Severity};
    use crate::core::problem_code::ProblemCode;
    use crate::error::Code;

    #[test]
    fn an_error_says_what_why_and_what_to_do() {
        let cause = std::io::Error::other("denied\u{1b}[2J");
        let error = Error::new(Code::IoFailed, "could not read `a\u{202e}b`")
            .caused_by(cause)
            .hint("look at its permissions");
        let expected = "\
error[io.failed]: could not read `a\\u{202e}b`
  caused by: denied\\u{1b}[2J
  help: look at its permissions
";
        assert_eq!(render(&error, DisplayOptions::default()), expected);
        let look = DisplayOptions {
            palette: Palette::Colour,
            width: None,
        };
        assert_ne!(render(&error, look), expected);
        assert_eq!(stripped(&render(&error, look)), expected);
    }

    #[test]
    fn problems_come_before_the_error() {
        let error = Error::problems(vec![Problem {
            severity: Severity::Error,
            code: ProblemCode::MissingField,
            message: "there are no users".into(),
            hint: None,
            at: Pointer::default(),
            place: None,
            related: Vec::new(),
        }]);
        let text = render(&error, DisplayOptions::default());
        let problem = text.find("error[missing_field]: there are no users");
        let end = text.find("error[manifest.invalid]: the manifest has 1 problem");
        assert!(problem.is_some() && problem < end, "{text}");
    }
}
