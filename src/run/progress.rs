//! Progress of a run, for people and scripts: a live line, lines of JSON, or warnings alone.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The progress of a run at one moment.
pub trait Status {
    /// Units done.
    fn done(&self) -> u64;
    /// Units in all.
    fn total(&self) -> u64;
    /// The unit in a word.
    fn unit(&self) -> &'static str;
    /// The rest for people: a few words and numbers.
    fn text(&self) -> String;
    /// Everything, for scripts.
    fn json(&self) -> serde_json::Value;
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
        eprintln!("warning: {message}");
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
        eprintln!("warning: {message}");
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

    /// A line on the standard error.
    pub fn new() -> Self {
        let live = std::io::stderr().is_terminal();
        let bar = if live { ProgressBar::new(1) } else { ProgressBar::hidden() };
        if live {
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
        let style = ProgressStyle::with_template("{bar:24.green} {pos}/{len} {prefix}  {msg}  {eta} left");
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
            self.bar.set_length(status.total());
            self.bar.set_position(status.done());
            self.bar.set_prefix(status.unit());
            self.bar.set_message(status.text());
        } else if self.printed.elapsed() > Self::PAUSE {
            self.printed = Instant::now();
            print_line(status);
        }
    }

    fn warn(&mut self, message: &str) {
        self.bar.suspend(|| eprintln!("warning: {message}"));
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
    eprintln!("{}/{} {}  {}", status.done(), status.total(), status.unit(), status.text());
}

/// The number with so many decimals, or a dash if there is none yet.
pub(crate) fn shown(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.decimals$}"))
}
