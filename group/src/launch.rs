//! The processes of one machine, started and restarted together: what `pavlov launch` does.
//!
//! Each child is told its place in torchrun's variables ([`Place`](crate::Place)). When one fails, the others
//! are stopped and all start anew, with the next `TORCHELASTIC_RESTART_COUNT`; a training goes on from its
//! last checkpoint then. Lines of their output come with `[rank N]` before them.
//!
//! | happening | what the launcher does |
//! |---|---|
//! | all end with success | ends with 0 |
//! | one fails | SIGTERM to the others, SIGKILL after `grace`; starts all anew, `max_restarts` times |
//! | one ends with 2 or 78 | the same, but never starts anew: the command line or configuration is wrong |
//! | rank 0 has ended well, others have not for `patience` | stops them and ends with 1 |
//! | SIGINT, SIGTERM or SIGHUP | SIGTERM to all, once; waits for them (`patience`), does not start anew |
//! | a second one, half a second later or more | SIGKILL to all |
//! | the launcher is killed | the children notice it ([`end_with_parent`]) |
//!
//! Signals that reach the launcher's handler do not say which they were, and mean the same to a child: all
//! are handed on as SIGTERM. Children read nothing from standard input. Ctrl-Z stops the launcher, not its
//! children.

mod children;
mod lines;
mod output;
mod parent;
mod signals;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use children::{Children, End, KILLED};
use output::{Output, Sinks};

pub use parent::{LAUNCHER, end_with_parent};
pub use signals::SignalInbox;

use crate::GroupError;

/// The exit code of a program that must be called otherwise, as clap has it.
const USAGE: i32 = 2;

/// The exit code of a program that would fail again (`EX_CONFIG` of `sysexits.h`).
pub const NOT_AGAIN: u8 = 78;

/// The exit code of a program that the user has interrupted.
const INTERRUPTED: u8 = 130;

const SIGKILL: i32 = rustix::process::Signal::KILL.as_raw();
const SIGTERM: i32 = rustix::process::Signal::TERM.as_raw();

/// The time between two looks at the children.
const INTERVAL: Duration = Duration::from_millis(20);

/// The processes to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program of every child.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The number of children, at least 1.
    pub processes: usize,
    /// The number of times that all are started anew after a failure.
    pub max_restarts: u64,
    /// The port of the store, which is already open in this process.
    pub master_port: u16,
    /// The name of the job.
    pub run_id: String,
    /// Further environment variables of the children; they come after those that the launcher sets.
    pub environment: Vec<(OsString, OsString)>,
    /// The time from SIGTERM to SIGKILL after a failure.
    pub grace: Duration,
    /// The time that children have to end after a request to stop, or after rank 0 has ended well.
    pub patience: Duration,
    /// True if rank 0's standard output is for a program: its lines have no rank before them.
    pub bare_output: bool,
}

/// The end of a launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchEnd {
    /// The exit code for the launcher: that of the child that failed, 128 and the signal's number if it was
    /// killed by one; 130 if all ended as asked; 0 if all ended well.
    pub code: u8,
    /// The number of times that the children were started anew.
    pub restarts: u64,
    /// True if a signal asked for the end.
    pub interrupted: bool,
    /// The failure: the rank, how it ended, and why it was not started again.
    pub failure: Option<String>,
}

/// The end of the children of one attempt.
#[derive(Default)]
struct Ended {
    ends: Vec<End>,
    /// The ranks that failed first, before others were told to stop.
    first: Vec<usize>,
    /// The ranks that had not ended long after rank 0.
    overdue: Vec<usize>,
    /// True if the launcher has killed those that did not end when asked.
    killed: bool,
    /// The number of requests to stop.
    requests: u32,
}

impl Launch {
    /// Children without arguments and restarts, with a grace of 30 seconds and a patience of 10 minutes.
    pub fn new(program: PathBuf, processes: usize, master_port: u16) -> Self {
        Self {
            program,
            arguments: Vec::new(),
            processes,
            max_restarts: 0,
            master_port,
            run_id: "none".into(),
            environment: Vec::new(),
            grace: Duration::from_secs(30),
            patience: Duration::from_secs(600),
            bare_output: false,
        }
    }

    /// Starts the children and waits for their end. `signals` is a fresh inbox, which this process's signal
    /// handler notifies. No child is left when this returns.
    ///
    /// # Errors
    /// When there are no processes to start, a child cannot be started, or one does not end although it was
    /// killed. That a child fails is not an error but an end.
    pub fn run(&self, signals: &SignalInbox) -> Result<LaunchEnd, GroupError> {
        self.run_into(signals, Sinks::own())
    }

    fn run_into(&self, signals: &SignalInbox, sinks: Sinks) -> Result<LaunchEnd, GroupError> {
        if self.processes == 0 {
            return Err(GroupError::Launch(
                "0 processes cannot be launched: give --processes at least 1".into(),
            ));
        }
        if self.master_port == 0 {
            return Err(GroupError::Launch("the store of the launch has no port: open it first".into()));
        }
        let mut output = Output::start(sinks, self.bare_output)?;
        let end = self.attempts(signals, &mut output);
        output.finish(signals);
        end
    }

    fn attempts(&self, signals: &SignalInbox, output: &mut Output) -> Result<LaunchEnd, GroupError> {
        let mut attempt = 0;
        loop {
            let ended = self.attempt(attempt, signals, output);
            output.children_ended(signals);
            let mut ended = ended?;
            // A request that came after the end of the children is about the next attempt.
            ended.requests = ended.requests.max(signals.count().min(1));
            let Some((code, failure)) = ended.failure() else {
                let all_are_well = ended.ends.iter().all(|end| end.is_success());
                let code = if all_are_well { 0 } else { INTERRUPTED };
                return Ok(ended.end(code, attempt, None));
            };
            let why = if ended.requests > 0 {
                "it was asked to stop".to_string()
            } else if ended.is_final() {
                "starting again would not help, its output says what to change".to_string()
            } else if !ended.overdue.is_empty() {
                "rank 0 has ended well".to_string()
            } else if attempt == self.max_restarts {
                match self.max_restarts {
                    0 => "--max-restarts allows no restart".to_string(),
                    all => format!("all restarts that --max-restarts allows are used up ({all})"),
                }
            } else {
                attempt += 1;
                output.say(&format!("{failure}; restart {attempt} of {}", self.max_restarts));
                continue;
            };
            return Ok(ended.end(code, attempt, Some(format!("{failure}; not started again: {why}"))));
        }
    }

    /// Starts the children and waits until all have ended.
    fn attempt(&self, attempt: u64, signals: &SignalInbox, output: &mut Output) -> Result<Ended, GroupError> {
        let mut ended = Ended::default();
        let mut children = Children::start(self, attempt, output)?;
        // When those that run are killed, when that must have worked, and when rank 0 ended well.
        let mut kill_at: Option<Instant> = None;
        let mut dead_at: Option<Instant> = None;
        let mut rank_0_at: Option<Instant> = None;
        loop {
            let requests = signals.wait(ended.requests, INTERVAL);
            children.look()?;
            let now = Instant::now();
            let sooner = |at: Option<Instant>, limit| Some(at.map_or(now + limit, |at| at.min(now + limit)));

            let failed = |end: &Option<End>| end.is_some_and(|end| is_failure(end, requests));
            if ended.first.is_empty() && ended.overdue.is_empty() && children.ends().any(|end| failed(&end)) {
                ended.first = ranks_of(&children, failed);
                children.tell();
                kill_at = sooner(kill_at, self.grace);
            }
            if requests > ended.requests {
                if ended.requests == 0 {
                    children.tell();
                    kill_at = sooner(kill_at, self.patience);
                }
                if requests > 1 {
                    kill_at = Some(now);
                    dead_at = None;
                }
                ended.requests = requests;
                output.heard = requests;
            }
            if children.ends().all(|end| end.is_some()) {
                ended.ends = children.ends().flatten().collect();
                return Ok(ended);
            }
            if rank_0_at.is_none() && children.ends().next().flatten().is_some_and(End::is_success) {
                rank_0_at = Some(now);
            }
            if kill_at.is_none() && rank_0_at.is_some_and(|at| now >= at + self.patience) {
                ended.overdue = children.running_ranks();
                children.tell();
                kill_at = Some(now + self.grace);
            }
            if dead_at.is_none() && kill_at.is_some_and(|at| now >= at) {
                children.kill();
                ended.killed = true;
                dead_at = Some(now + KILLED);
            }
            if dead_at.is_some_and(|at| now >= at) {
                return Err(GroupError::Launch(format!(
                    "rank {} does not end, although it was killed: its machine or a file system hangs",
                    children.running_ranks()[0]
                )));
            }
        }
    }
}

/// The ranks whose end is such.
fn ranks_of(children: &Children, is_such: impl Fn(&Option<End>) -> bool) -> Vec<usize> {
    children.ends().enumerate().filter(|(_, end)| is_such(end)).map(|(rank, _)| rank).collect()
}

impl Ended {
    /// True if some child says that starting again would not help.
    fn is_final(&self) -> bool {
        self.ends.iter().any(|end| is_final(*end))
    }

    /// The exit code, and which rank failed how; `None` if all ended well.
    ///
    /// A child that fails takes others with it, which lose their connection, and the launcher may see their
    /// ends first. To blame is, wherever in the order it ended, one that says that starting again would not
    /// help, or else one that was killed by a signal that the launcher did not send; then the lowest rank of
    /// the first that were seen.
    fn failure(&self) -> Option<(u8, String)> {
        if let Some(rank) = self.overdue.first() {
            return Some((1, format!("rank {rank} had not ended long after rank 0, and was stopped")));
        }
        let all = || (0..self.ends.len()).filter(|rank| is_failure(self.ends[*rank], self.requests));
        let is_foreign = |rank: &usize| match self.ends[*rank] {
            End::Signal(signal) => signal != SIGTERM && !self.killed,
            End::Code(_) => false,
        };
        let rank = all()
            .find(|rank| is_final(self.ends[*rank]))
            .or_else(|| all().find(is_foreign))
            .or_else(|| self.first.first().copied())
            .or_else(|| all().next())?;
        let end = self.ends[rank];
        let hint = match end {
            End::Signal(SIGKILL) if !self.killed => ", as when memory runs out",
            _ => "",
        };
        let code = if self.requests > 1 { INTERRUPTED } else { end.code() };
        Some((code, format!("rank {rank} {end}{hint}")))
    }

    fn end(&self, code: u8, restarts: u64, failure: Option<String>) -> LaunchEnd {
        LaunchEnd { code, restarts, interrupted: self.requests > 0, failure }
    }
}

/// True unless a child ended well or as one that was asked to stop: by the launcher, or by somebody else. One that
/// has only just begun dies of the request.
fn is_failure(end: End, requests: u32) -> bool {
    let as_asked = end == End::Code(INTERRUPTED.into()) || (requests > 0 && end == End::Signal(SIGTERM));
    !(end.is_success() || as_asked)
}

fn is_final(end: End) -> bool {
    matches!(end, End::Code(code) if code == USAGE || code == i32::from(NOT_AGAIN))
}
