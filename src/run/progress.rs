//! Progress of a run, for people and scripts: a live line, lines of JSON, or warnings alone.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::tell::tell;

/// The progress of a run at one moment.
pub trait Status {
    /// Units done.
    fn done(&self) -> u64;
    /// Units in all.
    fn total(&self) -> u64;
    /// The unit in a word.
    fn unit(&self) -> &'static str;
    /// Units of one second, since this process began.
    fn per_second(&self) -> f64;
    /// The part of the run that is under way, where a run has parts.
    fn part(&self) -> Option<Part> {
        None
    }
    /// The rest for people: a few words and numbers.
    fn text(&self) -> String;
    /// Everything, for scripts.
    fn json(&self) -> serde_json::Value;
}

/// A part of a run, such as an epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Its name and number: `epoch 3/10`.
    pub name: String,
    /// The unit that it is counted in, in a word.
    pub unit: &'static str,
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// Units of one second, since this process began.
    pub per_second: f64,
}

/// The words beside the bar of the part that is under way, or of the whole run where it has no parts. A narrow
/// terminal cuts the end.
fn line(status: &dyn Status) -> String {
    let left = time_left(status.done(), status.total(), status.per_second());
    match status.part() {
        Some(Part { name, unit, done, total, per_second }) => {
            let of_part = time_left(done, total, per_second);
            format!("{name}  {done}/{total} {unit}  {of_part} left of {left}  {}", status.text())
        }
        None => {
            let (done, total, unit) = (status.done(), status.total(), status.unit());
            format!("{done}/{total} {unit}  {left} left  {}", status.text())
        }
    }
}

/// The time for the rest, as `0:07`, `12:34` or `3:05:00`; a dash where nothing is known yet.
fn time_left(done: u64, total: u64, per_second: f64) -> String {
    let seconds = total.saturating_sub(done) as f64 / per_second;
    if !seconds.is_finite() {
        return "-".into();
    }
    let seconds = seconds.ceil() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Receives the progress of a run.
pub trait Progress {
    /// Called often; must be cheap.
    fn report(&mut self, status: &dyn Status);
    /// A message for the user.
    fn warn(&mut self, message: &str);
    /// The run is over, with this progress.
    fn finish(&mut self, status: &dyn Status);
}

/// Prints nothing but warnings.
#[derive(Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn report(&mut self, _status: &dyn Status) {}

    fn warn(&mut self, message: &str) {
        tell(format_args!("warning: {message}"));
    }

    fn finish(&mut self, _status: &dyn Status) {}
}

/// A line of JSON each second, on the standard output: for scripts.
#[derive(Debug, Default)]
pub struct Json {
    last: Option<Instant>,
}

impl Json {
    /// A reporter that has printed nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn print(&mut self, status: &dyn Status) {
        // The reader may have closed the pipe; the run goes on.
        let _ = writeln!(std::io::stdout(), "{}", status.json());
        self.last = Some(Instant::now());
    }
}

impl Progress for Json {
    fn report(&mut self, status: &dyn Status) {
        if self.last.is_none_or(|last| last.elapsed() > Duration::from_secs(1)) {
            self.print(status);
        }
    }

    fn warn(&mut self, message: &str) {
        tell(format_args!("warning: {message}"));
    }

    fn finish(&mut self, status: &dyn Status) {
        self.print(status);
    }
}

/// A live line in a terminal; a line every few seconds where the output is no terminal.
#[derive(Debug)]
pub struct Terminal {
    bar: ProgressBar,
    live: bool,
    printed: Instant,
}

impl Terminal {
    /// Seconds between two lines where the output is no terminal.
    const PAUSE: Duration = Duration::from_secs(5);

    /// A line on the standard error, no wider than the terminal.
    pub fn new() -> Self {
        let live = std::io::stderr().is_terminal();
        let bar = if live { ProgressBar::new(1) } else { ProgressBar::hidden() };
        if live {
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
        let style = ProgressStyle::with_template("{bar:10.green} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, live, printed: Instant::now() }
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for Terminal {
    fn report(&mut self, status: &dyn Status) {
        if self.live {
            let part = status.part();
            self.bar.set_length(part.as_ref().map_or(status.total(), |part| part.total));
            self.bar.set_position(part.as_ref().map_or(status.done(), |part| part.done));
            self.bar.set_message(line(status));
        } else if self.printed.elapsed() > Self::PAUSE {
            self.printed = Instant::now();
            print_line(status);
        }
    }

    fn warn(&mut self, message: &str) {
        self.bar.suspend(|| tell(format_args!("warning: {message}")));
    }

    fn finish(&mut self, status: &dyn Status) {
        if self.live {
            self.report(status);
            self.bar.abandon();
        } else {
            print_line(status);
        }
    }
}

fn print_line(status: &dyn Status) {
    tell(line(status));
}

/// The number with so many decimals, or a dash if there is none yet.
pub(crate) fn shown(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Half(Option<Part>);

    impl Status for Half {
        fn done(&self) -> u64 {
            50
        }

        fn total(&self) -> u64 {
            100
        }

        fn unit(&self) -> &'static str {
            "steps"
        }

        fn per_second(&self) -> f64 {
            0.5
        }

        fn part(&self) -> Option<Part> {
            self.0.clone()
        }

        fn text(&self) -> String {
            "loss 0.5".into()
        }

        fn json(&self) -> serde_json::Value {
            serde_json::Value::Null
        }
    }

    #[test]
    fn a_line_says_how_far_the_run_and_its_part_are() {
        assert_eq!(line(&Half(None)), "50/100 steps  1:40 left  loss 0.5");
        let part = Part { name: "epoch 3/4".into(), unit: "batches", done: 20, total: 25, per_second: 0.5 };
        assert_eq!(line(&Half(Some(part))), "epoch 3/4  20/25 batches  0:10 left of 1:40  loss 0.5");
    }

    #[test]
    fn times_are_written_as_on_a_clock() {
        for (left, per_second, text) in
            [(7, 1.0, "0:07"), (754, 1.0, "12:34"), (11_100, 1.0, "3:05:00"), (1, 0.0, "-"), (0, 0.0, "-")]
        {
            assert_eq!(time_left(0, left, per_second), text);
        }
        assert_eq!(time_left(5, 5, 2.0), "0:00");
    }
}
