//! The processes of one attempt.
//!
//! Each child leads a process group of its own. A terminal's Ctrl-C therefore reaches the launcher alone,
//! which hands it on, so that a child gets every request once: it takes a second one for leave to go without
//! a checkpoint. And what a child has started (Python's worlds, say) can be killed with it.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use super::output::{Output, Stream};
use super::{LAUNCHER, Launch};
use crate::GroupError;

/// The time within which the kernel ends a process that it was told to kill.
pub(super) const KILLED: Duration = Duration::from_secs(20);

/// The end of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With an exit code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

impl End {
    pub fn is_success(self) -> bool {
        self == End::Code(0)
    }

    /// As a shell tells it.
    pub fn code(self) -> u8 {
        let code = match self {
            End::Code(code) => code,
            End::Signal(signal) => 128 + signal,
        };
        u8::try_from(code).unwrap_or(1)
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Code(code) => write!(f, "has ended with exit code {code}"),
            End::Signal(signal) => match name(*signal) {
                Some(name) => write!(f, "was killed by signal {signal} ({name})"),
                None => write!(f, "was killed by signal {signal}"),
            },
        }
    }
}

fn name(signal: i32) -> Option<&'static str> {
    let names = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
    ];
    names.into_iter().find(|(one, _)| one.as_raw() == signal).map(|(_, name)| name)
}

/// The children of an attempt by rank. None outlives this.
pub(super) struct Children {
    all: Vec<One>,
    told: bool,
}

struct One {
    process: Child,
    /// The number of the process, and of its group.
    id: Pid,
    end: Option<End>,
}

impl Children {
    /// Starts all of them.
    pub fn start(launch: &Launch, attempt: u64, output: &mut Output) -> Result<Self, GroupError> {
        let mut children = Self { all: Vec::new(), told: false };
        for rank in 0..launch.processes {
            let mut process = command(launch, attempt, rank).spawn().map_err(|error| {
                GroupError::Launch(format!(
                    "rank {rank} cannot be started: {}: {error}",
                    launch.program.display()
                ))
            })?;
            let streams = (process.stdout.take(), process.stderr.take());
            let id = Pid::from_child(&process);
            children.all.push(One { process, id, end: None });
            if let Some(stdout) = streams.0 {
                output.follow(rank, Stream::Stdout, stdout.into())?;
            }
            if let Some(stderr) = streams.1 {
                output.follow(rank, Stream::Stderr, stderr.into())?;
            }
        }
        Ok(children)
    }

    /// Takes note of the children that have ended. What they have left behind is killed.
    pub fn look(&mut self) -> Result<(), GroupError> {
        for (rank, one) in self.all.iter_mut().enumerate().filter(|(_, one)| one.end.is_none()) {
            let unknown = |error: std::io::Error| {
                GroupError::Launch(format!(
                    "the end of rank {rank} (process {}) cannot be known: {error}",
                    one.id
                ))
            };
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if waitid(WaitId::Pid(one.id), options).map_err(|error| unknown(error.into()))?.is_none() {
                continue;
            }
            // The group's number cannot belong to others before the child is waited for.
            let _ = kill_process_group(one.id, Signal::KILL);
            if let Some(status) = one.process.try_wait().map_err(unknown)? {
                one.end = Some(match (status.code(), status.signal()) {
                    (Some(code), _) => End::Code(code),
                    (None, signal) => End::Signal(signal.unwrap_or(0)),
                });
            }
        }
        Ok(())
    }

    /// Asks those that run to end, once: only the first call sends the signal.
    pub fn tell(&mut self) {
        if !std::mem::replace(&mut self.told, true) {
            for one in self.running() {
                let _ = kill_process(one.id, Signal::TERM);
            }
        }
    }

    /// Kills those that run, and what they have started.
    pub fn kill(&mut self) {
        for one in self.running() {
            let _ = kill_process_group(one.id, Signal::KILL);
            let _ = kill_process(one.id, Signal::KILL);
        }
    }

    /// The end of each rank; `None` while it runs.
    pub fn ends(&self) -> impl Iterator<Item = Option<End>> + '_ {
        self.all.iter().map(|one| one.end)
    }

    /// The ranks that run.
    pub fn running_ranks(&self) -> Vec<usize> {
        (0..self.all.len()).filter(|rank| self.all[*rank].end.is_none()).collect()
    }

    fn running(&self) -> impl Iterator<Item = &One> {
        self.all.iter().filter(|one| one.end.is_none())
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        let start = std::time::Instant::now();
        self.kill();
        while self.look().is_ok() && self.running().next().is_some() && start.elapsed() < KILLED {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn command(launch: &Launch, attempt: u64, rank: usize) -> Command {
    let (rank, size) = (rank.to_string(), launch.processes.to_string());
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.arguments)
        .env("RANK", &rank)
        .env("LOCAL_RANK", &rank)
        .env("ROLE_RANK", &rank)
        .env("WORLD_SIZE", &size)
        .env("LOCAL_WORLD_SIZE", &size)
        .env("ROLE_WORLD_SIZE", &size)
        .env("ROLE_NAME", "default")
        .env("GROUP_RANK", "0")
        .env("GROUP_WORLD_SIZE", "1")
        .env("MASTER_ADDR", "127.0.0.1")
        .env("MASTER_PORT", launch.master_port.to_string())
        .env("TORCHELASTIC_USE_AGENT_STORE", "True")
        .env("TORCHELASTIC_RESTART_COUNT", attempt.to_string())
        .env("TORCHELASTIC_MAX_RESTARTS", launch.max_restarts.to_string())
        .env("TORCHELASTIC_RUN_ID", &launch.run_id)
        .env(LAUNCHER, std::process::id().to_string())
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    command
}
