//! Progress on stderr: a bar on a terminal, a line per step otherwise.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use dfp_sdk::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// How often a step says how far it is when there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Bars or lines on stderr.
pub(crate) struct Stderr {
    show: Show,
    step: Option<Step>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    Bars,
    Lines,
    Nothing,
}

struct Step {
    name: String,
    unit: String,
    total: Option<u64>,
    done: u64,
    started: Instant,
    said: Instant,
    bar: Option<ProgressBar>,
}

impl Stderr {
    /// Bars if stderr is a terminal, lines if not, nothing if `quiet`.
    pub(crate) fn new(quiet: bool) -> Self {
        let show = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Show::Nothing,
            (false, true) => Show::Bars,
            (false, false) => Show::Lines,
        };
        Self { show, step: None }
    }

    /// A line beside the bar, if there is one.
    pub(crate) fn line(&self, line: &str) {
        match self.step.as_ref().and_then(|step| step.bar.as_ref()) {
            Some(bar) => bar.suspend(|| say(line)),
            None => say(line),
        }
    }
}

/// A line on stderr. If nobody reads it any more, that is no reason to fail.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable(line));
}

/// The text without what would steer a terminal: it may quote records that somebody else wrote.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(shown).collect()
}

impl Step {
    fn line(&self, word: &str) {
        let Self { name, unit, done, .. } = self;
        let total = self.total.map(|n| format!(" of {n}")).unwrap_or_default();
        say(&format!("{name}: {done}{total} {unit} {word} {:.1} s", self.started.elapsed().as_secs_f64()));
    }
}

impl Progress for Stderr {
    fn begin(&mut self, name: &str, total: Option<u64>, unit: &str) {
        if self.show == Show::Nothing {
            return;
        }
        let bar = (self.show == Show::Bars).then(|| {
            let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let template = match total {
                Some(_) => "{msg:<22} {wide_bar} {human_pos}/{human_len} {prefix} {eta}",
                None => "{msg:<22} {spinner} {human_pos} {prefix} {elapsed}",
            };
            bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
            bar.set_message(name.to_owned());
            bar.set_prefix(unit.to_owned());
            bar
        });
        let now = Instant::now();
        self.step = Some(Step {
            name: name.to_owned(),
            unit: unit.to_owned(),
            total,
            done: 0,
            started: now,
            said: now,
            bar,
        });
    }

    fn advance(&mut self, n: u64) {
        let Some(step) = &mut self.step else { return };
        step.done += n;
        match &step.bar {
            Some(bar) => bar.inc(n),
            None if step.said.elapsed() >= LINE_EVERY => {
                step.said = Instant::now();
                step.line("after");
            }
            None => {}
        }
    }

    fn end(&mut self) {
        let Some(step) = self.step.take() else { return };
        if let Some(bar) = &step.bar {
            bar.finish_and_clear();
        }
        step.line("in");
    }

    fn warn(&mut self, text: &str) {
        self.line(&format!("warning: {text}"));
    }

    fn note(&mut self, text: &str) {
        if self.show != Show::Nothing {
            self.line(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_said_steers_the_terminal() {
        assert_eq!(printable("a\u{1b}[2J\r\nÎle\t\u{9b}m"), "a\u{fffd}[2J\u{fffd}\nÎle\u{fffd}\u{fffd}m");
    }
}
