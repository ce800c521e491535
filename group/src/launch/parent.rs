//! A child notices that its launcher is gone.

use std::thread;
use std::time::Duration;

use rustix::process::{Pid, getppid, test_kill_process};

use crate::GroupError;

/// The environment variable with the launcher's process number.
pub const LAUNCHER: &str = "PAVLOV_LAUNCHER";

/// The time between two looks at the parent.
const INTERVAL: Duration = Duration::from_millis(500);

/// Calls `end` once the launcher of this process is gone, so that a killed launcher leaves no training
/// behind. Returns true if there is a launcher to watch; false in a process that no launcher started itself.
///
/// The kernel gives an orphan another parent, so that a thread which compares the parent's number twice a
/// second sees the end even of a launcher that was killed. (The kernel could send a signal by itself, which
/// only unsafe code can ask for; a pipe from the launcher would be lost in a child that hands its standard
/// input on.) What a child writes to its output is lost from then on, and a write fails.
///
/// # Errors
/// When `PAVLOV_LAUNCHER` holds no process number, or no thread can be started.
pub fn end_with_parent(end: impl FnOnce() + Send + 'static) -> Result<bool, GroupError> {
    let Some(value) = std::env::var_os(LAUNCHER) else { return Ok(false) };
    let launcher =
        value.to_str().and_then(|text| text.parse().ok()).and_then(Pid::from_raw).ok_or_else(|| {
            GroupError::Launch(format!("{LAUNCHER} is {value:?}, which is no process number: unset it"))
        })?;
    watch(launcher, end)
}

fn watch(launcher: Pid, end: impl FnOnce() + Send + 'static) -> Result<bool, GroupError> {
    if getppid() != Some(launcher) {
        // A process further down has inherited the variable: its own parent is watching. If the launcher is
        // gone, it was killed before this process came here.
        if test_kill_process(launcher) != Err(rustix::io::Errno::SRCH) {
            return Ok(false);
        }
        end();
        return Ok(true);
    }
    let watching = move || {
        while getppid() == Some(launcher) {
            thread::sleep(INTERVAL);
        }
        end();
    };
    thread::Builder::new()
        .name("launcher".into())
        .spawn(watching)
        .map_err(|error| GroupError::Launch(format!("the launcher cannot be watched: {error}")))?;
    Ok(true)
}
