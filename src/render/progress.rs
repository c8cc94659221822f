//! The progress of a run, on stderr: a bar on terminals, a plain line every ten
//! seconds elsewhere, nothing when quiet.
//!
//! Driven by [`Event`]s and by ticks that carry the time, so it reads no clock
//! and can be tested. Write errors are ignored: a closed stderr must not end a
//! run that changes things.

use std::io::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::messages::{self, number};
use crate::core::report::{Event, Outcome, Stop};

/// After this long without a step, for example while waiting for Whop's limit,
/// the past rate says nothing about the time left.
const STALLED: Duration = Duration::from_secs(5);

/// Time between two plain lines.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Not shown.
    Quiet,
    /// A bar that redraws itself.
    Bar,
    /// A line every ten seconds.
    Lines,
}

/// The value of `--progress`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgressChoice {
    /// A bar on terminals, lines elsewhere.
    #[default]
    Auto,
    /// A bar, even on terminals that call themselves dumb.
    Bar,
    /// Lines everywhere. Nothing is redrawn, which screen readers need.
    Lines,
    /// Nothing.
    None,
}

impl ProgressChoice {
    /// Parses the value of the environment variable.
    ///
    /// # Errors
    /// On any other word; the text continues the variable's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "bar" => Ok(Self::Bar),
            "lines" => Ok(Self::Lines),
            "none" => Ok(Self::None),
            _ => Err("must be auto, bar, lines or none".to_owned()),
        }
    }
}

/// What a run is waiting for at one moment, in requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitCounts {
    /// A permit to send, because of Whop's limit.
    pub limit: u64,
    /// Answers from Whop.
    pub answers: u64,
    /// Another attempt after a failure.
    pub retries: u64,
}

/// Terminals narrower than this have no room for a bar beside the text, which
/// says more.
const ROOM_FOR_BAR: usize = 120;

/// What the run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing that takes long.
    Idle,
    /// Reading profiles from Whop: how many, and of how many.
    Reading { done: u64, of: u64 },
    /// Carrying out a plan.
    Applying,
}

/// Shows progress. Dropping it removes the bar.
#[derive(Debug)]
pub struct Progress<W: Write> {
    lines: Option<W>,
    bar: Option<ProgressBar>,
    phase: Phase,
    /// Time since the run began, as of the last tick.
    now: Duration,
    /// When the current phase began.
    since: Duration,
    /// When the last step was completed.
    last_step: Duration,
    /// When the last plain line was written.
    last_line: Duration,
    actions: u64,
    ended: u64,
    troubled: u64,
    calls: u64,
    called: u64,
    waits: WaitCounts,
    /// Pictures that Whop is processing.
    files: u64,
    stopping: Option<Stop>,
}

impl<W: Write> Progress<W> {
    /// Shows progress on stderr, with this many columns if it is a terminal;
    /// plain lines go to `out`.
    pub fn new(mode: Mode, width: Option<usize>, out: W) -> Self {
        Self::on_target(mode, width, out, ProgressDrawTarget::stderr())
    }

    fn on_target(mode: Mode, width: Option<usize>, out: W, target: ProgressDrawTarget) -> Self {
        let bar = (mode == Mode::Bar).then(|| {
            // The template is a constant; if it did not parse, the default one
            // would still show the message.
            let template = match width {
                Some(width) if width < ROOM_FOR_BAR => "{wide_msg}",
                _ => "{bar:24} {wide_msg}",
            };
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("#>-");
            ProgressBar::with_draw_target(Some(0), target).with_style(style)
        });
        Self {
            lines: (mode != Mode::Quiet).then_some(out),
            bar,
            phase: Phase::Idle,
            now: Duration::ZERO,
            since: Duration::ZERO,
            last_step: Duration::ZERO,
            last_line: Duration::ZERO,
            actions: 0,
            ended: 0,
            troubled: 0,
            calls: 0,
            called: 0,
            waits: WaitCounts::default(),
            files: 0,
            stopping: None,
        }
    }

    /// The refresh has read this many profiles.
    pub fn reading(&mut self, done: u64, of: u64) {
        if !matches!(self.phase, Phase::Reading { .. }) {
            self.since = self.now;
        }
        self.phase = Phase::Reading { done, of };
        self.last_step = self.now;
        self.draw(done, of);
    }

    /// Handles an event of the run.
    pub fn on(&mut self, event: &Event) {
        match event {
            Event::Began { actions, calls } => {
                self.phase = Phase::Applying;
                self.since = self.now;
                (self.actions, self.calls) = (*actions as u64, *calls as u64);
            }
            Event::Stepped { .. } => {
                self.called += 1;
                self.last_step = self.now;
            }
            Event::Ended {
                key: _,
                verb: _,
                picture: _,
                outcome,
            } => {
                self.ended += 1;
                let well = matches!(outcome, Outcome::Done | Outcome::Left { .. });
                self.troubled += u64::from(!well);
            }
            Event::Processing { files } => self.files = *files as u64,
            Event::Stopping { why } => self.stop(*why),
        }
        if self.phase == Phase::Applying {
            // Requests are finer than users, but some plans need none.
            let (done, of) = match self.calls {
                0 => (self.ended, self.actions),
                calls => (self.called.min(calls), calls),
            };
            self.draw(done, of);
        }
    }

    /// Time has passed: `elapsed` since the run began. `waits` is what the run
    /// waits for now.
    pub fn tick(&mut self, elapsed: Duration, waits: WaitCounts) {
        self.now = elapsed;
        self.waits = waits;
        if let Some(bar) = &self.bar {
            bar.set_message(self.line());
            bar.tick();
            return;
        }
        let due = self.now.saturating_sub(self.last_line) >= BETWEEN_LINES;
        if due && self.phase != Phase::Idle {
            self.last_line = self.now;
            let line = self.line();
            self.say(&line);
        }
    }

    /// Removes the bar, so that what follows starts on a clean line.
    pub fn finish(&mut self) {
        self.phase = Phase::Idle;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Says once that a stop was requested; the run goes on for a while.
    fn stop(&mut self, why: Stop) {
        if self.stopping.replace(why).is_none() {
            self.say(&format!(
                "stopping, since {}; finishing requests in flight",
                messages::stop(why)
            ));
        }
    }

    fn draw(&self, done: u64, of: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(of);
            bar.set_message(self.line());
            bar.set_position(done);
        }
    }

    /// Writes a whole line, above the bar if there is one.
    fn say(&mut self, line: &str) {
        match (&self.bar, &mut self.lines) {
            (Some(bar), _) => bar.println(line),
            (None, Some(out)) => {
                let written = out
                    .write_all(format!("{line}\n").as_bytes())
                    .and_then(|()| out.flush());
                // Progress may be lost, as the module's documentation says.
                drop(written);
            }
            (None, None) => {}
        }
    }

    /// The progress in one line.
    fn line(&self) -> String {
        let (mut line, done, of) = match self.phase {
            Phase::Idle => return String::new(),
            Phase::Reading { done, of } => (
                format!("read {} of {} profiles", number(done), number(of)),
                done,
                of,
            ),
            Phase::Applying => {
                let mut line = format!("{} of {} users", number(self.ended), number(self.actions));
                if self.troubled > 0 {
                    line += &format!(", {} in trouble", number(self.troubled));
                }
                (line, self.called, self.calls)
            }
        };
        let seconds = self.now.saturating_sub(self.since).as_secs_f64();
        if seconds >= 1.0 && done > 0 {
            let rate = done as f64 / seconds;
            line += &format!("; {rate:.1} requests/s");
            let left = (of.saturating_sub(done) as f64 / rate).ceil();
            let stalled = self.now.saturating_sub(self.last_step) >= STALLED;
            if left > 0.0 && self.stopping.is_none() && !stalled {
                // The float-to-integer cast saturates, as it should.
                line += &format!(", about {} left", messages::span(left as u64));
            }
        }
        if self.stopping.is_some() {
            line += "; stopping";
        }
        line += &self.waiting();
        line
    }

    /// What the run waits for, most informative first; empty if it waits for
    /// nothing.
    fn waiting(&self) -> String {
        let WaitCounts {
            limit,
            answers,
            retries,
        } = self.waits;
        let each = [
            (limit, "Whop's limit"),
            (retries, "another attempt"),
            (self.files, "pictures being processed"),
            (answers, "answers"),
        ];
        let each = each.into_iter().filter(|(count, _)| *count > 0);
        let each: Vec<_> = each
            .map(|(count, what)| format!("{what} ({})", number(count)))
            .collect();
        match each.is_empty() {
            true => String::new(),
            false => format!("; waiting for {}", each.join(", ")),
        }
    }
}

impl<W: Write> Drop for Progress<W> {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;
    use crate::core::plan::{Step, Verb};
    use crate::core::report::{Failure, Subject, Trace};
    use crate::core::sample;

    fn ended(outcome: Outcome) -> Event {
        Event::Ended {
            key: sample::key("u1"),
            verb: Verb::Update,
            picture: false,
            outcome,
        }
    }

    fn failed() -> Outcome {
        Outcome::Failed(Failure {
            step: Step::UpdateProfile,
            code: "request.refused".into(),
            message: "no".into(),
            hint: None,
            status: Some(422),
            request_id: None,
        })
    }

    fn stepped() -> Event {
        Event::Stepped {
            step: Step::UpdateProfile,
            subject: Subject::User(sample::key("u1"), sample::link("1")),
            trace: Trace::default(),
        }
    }

    /// Two of ten users done, one of them failed; four of twenty requests sent.
    fn run(progress: &mut Progress<impl Write>) {
        progress.tick(Duration::from_secs(5), WaitCounts::default());
        progress.on(&Event::Began {
            actions: 10,
            calls: 20,
        });
        for _ in 0..4 {
            progress.on(&stepped());
        }
        progress.on(&ended(Outcome::Done));
        progress.on(&ended(failed()));
        progress.tick(Duration::from_secs(7), WaitCounts::default());
    }

    const STATE: &str = "2 of 10 users, 1 in trouble; 2.0 requests/s, about 8s left";

    fn lines(mode: Mode, drive: impl FnOnce(&mut Progress<&mut Vec<u8>>)) -> String {
        let mut out = Vec::new();
        let mut progress = Progress::new(mode, None, &mut out);
        drive(&mut progress);
        drop(progress);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn without_a_terminal_a_line_comes_every_ten_seconds() {
        let said = lines(Mode::Lines, |progress| {
            run(progress);
            progress.tick(Duration::from_secs(9), WaitCounts::default());
        });
        assert_eq!(said, "", "too early");
        let said = lines(Mode::Lines, |progress| {
            run(progress);
            for second in 8..25 {
                progress.tick(Duration::from_secs(second), WaitCounts::default());
                if second < 12 {
                    progress.on(&stepped());
                }
            }
        });
        // After a while without a step, no time is estimated.
        let expected = "\
2 of 10 users, 1 in trouble; 1.2 requests/s, about 12s left
2 of 10 users, 1 in trouble; 0.5 requests/s
";
        assert_eq!(said, expected);
    }

    #[test]
    fn reading_is_shown_too_and_idleness_is_not() {
        let said = lines(Mode::Lines, |progress| {
            progress.tick(Duration::from_secs(60), WaitCounts::default());
            progress.reading(0, 10_000);
            progress.tick(Duration::from_secs(80), WaitCounts::default());
            progress.tick(Duration::from_secs(86), WaitCounts::default());
            progress.reading(300, 10_000);
            progress.tick(Duration::from_secs(90), WaitCounts::default());
            progress.finish();
            progress.tick(Duration::from_secs(200), WaitCounts::default());
        });
        assert_eq!(
            said,
            "read 0 of 10,000 profiles\nread 300 of 10,000 profiles; 10.0 requests/s, about 16m 10s left\n"
        );
    }

    #[test]
    fn a_stop_is_reported_once_and_at_once() {
        let said = lines(Mode::Lines, |progress| {
            run(progress);
            progress.on(&Event::Stopping { why: Stop::Deadline });
            progress.on(&Event::Stopping {
                why: Stop::Interrupted,
            });
        });
        assert_eq!(
            said,
            "stopping, since the deadline was near; finishing requests in flight\n"
        );
    }

    #[test]
    fn waits_are_named_and_counted() {
        let said = lines(Mode::Lines, |progress| {
            run(progress);
            progress.on(&Event::Processing { files: 2 });
            let waits = WaitCounts {
                limit: 1_200,
                answers: 3,
                retries: 1,
            };
            progress.tick(Duration::from_secs(15), waits);
            progress.on(&Event::Processing { files: 0 });
            progress.tick(
                Duration::from_secs(25),
                WaitCounts {
                    answers: 3,
                    ..WaitCounts::default()
                },
            );
        });
        let ends: Vec<_> = said.lines().map(|line| line.split("requests/s").nth(1)).collect();
        let all = "; waiting for Whop's limit (1,200), another attempt (1), pictures being processed (2), answers (3)";
        assert_eq!(ends, [Some(all), Some("; waiting for answers (3)")], "{said}");
    }

    #[test]
    fn a_narrow_terminal_has_one_line_without_a_bar() {
        let screen = Screen {
            width: 40,
            ..Screen::default()
        };
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let mut out = Vec::new();
        let mut progress = Progress::on_target(Mode::Bar, Some(40), &mut out, target);
        run(&mut progress);
        progress.bar.as_ref().unwrap().force_draw();
        drop(progress);
        let drawn = screen.text.lock().unwrap().clone();
        assert!(drawn.contains(&STATE[..39]) && !drawn.contains(STATE), "{drawn}");
        assert!(!drawn.contains('#'), "{drawn}");
    }

    #[test]
    fn quiet_is_quiet() {
        let said = lines(Mode::Quiet, |progress| {
            run(progress);
            progress.on(&Event::Stopping { why: Stop::Deadline });
            progress.tick(Duration::from_secs(100), WaitCounts::default());
        });
        assert_eq!(said, "");
    }

    /// Keeps what would be drawn.
    #[derive(Clone, Debug)]
    struct Screen {
        text: Arc<Mutex<String>>,
        width: u16,
    }

    impl Default for Screen {
        fn default() -> Self {
            Self {
                text: Arc::default(),
                width: 200,
            }
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            self.width
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.text.lock().unwrap().push_str(&format!("{text}\n"));
            Ok(())
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.text.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn on_a_terminal_a_bar_is_drawn_and_no_lines_are_written() {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let mut out = Vec::new();
        let mut progress = Progress::on_target(Mode::Bar, Some(200), &mut out, target);
        run(&mut progress);
        progress.bar.as_ref().unwrap().force_draw();
        drop(progress);
        let drawn = screen.text.lock().unwrap().clone();
        assert!(
            drawn.contains(&format!("####>------------------- {STATE}")),
            "{drawn}"
        );
        assert!(out.is_empty());
    }
}
