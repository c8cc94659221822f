//! Colour, decided once. It never carries meaning alone: without colour the
//! text is the same.

use std::fmt;

/// The value of `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Colour on terminals.
    #[default]
    Auto,
    /// Colour everywhere.
    Always,
    /// No colour.
    Never,
}

/// What the environment says about colour. Two of these are conventions:
/// <https://no-color.org> and <https://bixense.com/clicolors>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColourEnvironment {
    /// `NO_COLOR` is set and not empty.
    pub refused: bool,
    /// `CLICOLOR_FORCE` is set and not `0`.
    pub forced: bool,
    /// `TERM` is `dumb`.
    pub dumb: bool,
}

/// Whether a stream is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Palette {
    /// Text only.
    #[default]
    Plain,
    /// Text with ANSI colours.
    Colour,
}

impl Palette {
    /// Decides for one stream. An explicit choice wins over the environment; in
    /// the environment, refusing wins over forcing.
    pub fn resolve(choice: Choice, around: ColourEnvironment, terminal: bool) -> Self {
        let colour = match choice {
            Choice::Always => true,
            Choice::Never => false,
            Choice::Auto if around.refused => false,
            Choice::Auto => around.forced || (terminal && !around.dumb),
        };
        if colour { Self::Colour } else { Self::Plain }
    }

    /// Colours a text, which must be escaped already ([`super::escape`]).
    pub fn paint<T: fmt::Display>(self, tone: Tone, text: T) -> Painted<T> {
        Painted {
            tone: (self == Self::Colour).then_some(tone),
            text,
        }
    }
}

/// Tones, named by meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A create, or success.
    Good,
    /// An update, or a warning.
    Change,
    /// An adoption.
    Link,
    /// A forgotten link, or an error.
    Bad,
    /// A hold.
    Hold,
    /// What matters most in a line.
    Strong,
    /// What matters least.
    Faint,
    /// The removed part of an old value.
    Gone,
    /// The added part of a new value.
    Come,
}

impl Tone {
    /// The parameters of its ANSI sequence.
    fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Change => "33",
            Self::Link => "36",
            Self::Bad => "31",
            Self::Hold => "1;35",
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Gone => "1;31",
            Self::Come => "1;32",
        }
    }
}

/// Text that displays itself in a tone if colours are on.
#[derive(Clone, Copy, Debug)]
pub struct Painted<T> {
    tone: Option<Tone>,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tone {
            None => write!(f, "{}", self.text),
            Some(tone) => write!(f, "\u{1b}[{}m{}\u{1b}[0m", tone.code(), self.text),
        }
    }
}

/// Removes ANSI colours, for tests.
#[cfg(test)]
pub(crate) fn stripped(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_and_conventions_have_one_order() {
        let none = ColourEnvironment::default();
        let refused = ColourEnvironment {
            refused: true,
            ..none
        };
        let forced = ColourEnvironment { forced: true, ..none };
        let both = ColourEnvironment {
            refused: true,
            ..forced
        };
        let dumb = ColourEnvironment { dumb: true, ..none };
        for (choice, around, terminal, colour) in [
            (Choice::Auto, none, true, true),
            (Choice::Auto, none, false, false),
            (Choice::Auto, refused, true, false),
            (Choice::Auto, forced, false, true),
            (Choice::Auto, both, true, false),
            (Choice::Auto, dumb, true, false),
            (Choice::Always, both, false, true),
            (Choice::Never, forced, true, false),
        ] {
            let palette = Palette::resolve(choice, around, terminal);
            assert_eq!(
                palette == Palette::Colour,
                colour,
                "{choice:?} {around:?} {terminal}"
            );
        }
    }

    #[test]
    fn colour_adds_only_escapes() {
        let painted = Palette::Colour.paint(Tone::Good, "create").to_string();
        assert_eq!(painted, "\u{1b}[32mcreate\u{1b}[0m");
        assert_eq!(
            stripped(&painted),
            Palette::Plain.paint(Tone::Good, "create").to_string()
        );
    }
}
