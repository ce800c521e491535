//! The output of a worker, kept for error messages.

use std::io::{self, PipeReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Bytes that are kept: the last ones.
const KEPT: usize = 4096;
/// Lines that are shown: the last ones.
const SHOWN: usize = 12;

/// The last lines that a process has printed. A thread reads them, so that the process never waits for a
/// reader.
pub(super) struct Log {
    tail: Arc<Mutex<Vec<u8>>>,
    /// Disconnected when the pipe is closed.
    ended: Receiver<()>,
}

impl Log {
    /// Reads `pipe` until its last writer is gone.
    pub fn follow(mut pipe: PipeReader) -> io::Result<Self> {
        let tail = Arc::new(Mutex::new(Vec::new()));
        let (until, ended) = channel::<()>();
        let kept = Arc::clone(&tail);
        thread::Builder::new().name("python-log".into()).spawn(move || {
            let mut chunk = [0; 1024];
            while let Ok(count @ 1..) = pipe.read(&mut chunk) {
                let mut tail = kept.lock().unwrap_or_else(PoisonError::into_inner);
                tail.extend_from_slice(&chunk[..count]);
                let surplus = tail.len().saturating_sub(KEPT);
                tail.drain(..surplus);
            }
            drop(until);
        })?;
        Ok(Self { tail, ended })
    }

    /// The last lines of a process that has ended, or nothing where it printed nothing: the end of an error
    /// message.
    pub fn last_words(&self) -> String {
        // The last output may still be on its way, and a child of the process that lives on would keep the
        // pipe open.
        let _: Result<(), RecvTimeoutError> = self.ended.recv_timeout(Duration::from_millis(500));
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&tail);
        let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            return String::new();
        }
        format!("; its last words:\n{}", lines[lines.len().saturating_sub(SHOWN)..].join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let (reader, mut writer) = io::pipe().unwrap();
        let log = Log::follow(reader).unwrap();
        for line in 0..2000 {
            writeln!(writer, "line {line}\n").unwrap();
        }
        drop(writer);
        let words = log.last_words();
        assert!(
            words.starts_with("; its last words:\nline 1988\n") && words.ends_with("line 1999"),
            "{words}"
        );
    }

    #[test]
    fn a_pipe_that_stays_open_and_silent_gives_nothing() {
        let (reader, _writer) = io::pipe().unwrap();
        assert_eq!(Log::follow(reader).unwrap().last_words(), "");
    }
}
