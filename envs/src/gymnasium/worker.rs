//! A worker: a Python process with environments, and the conversation with it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::log::Log;
use super::settings::Settings;
use super::spin::Spin;
use crate::EnvError;
use crate::render::{Frame, Picture};

/// The worker's program: several files joined into one, since it is handed over as an argument.
const SOURCE: &str = concat!(
    include_str!("spaces.py"),
    include_str!("making.py"),
    include_str!("worlds.py"),
    include_str!("guard.py"),
    include_str!("worker.py")
);
/// The environment variable by which a worker's guard (`guard.py`) knows the processes of its environments.
const MARK: &str = "PAVLOV_WORKER";
/// The time that the process gets to close its environments once they are no longer needed.
const GRACE: Duration = Duration::from_secs(3);
/// The longest answer that is accepted: some large pictures.
const LONGEST_ANSWER: usize = 1 << 28;

/// A Python process with environments. It ends when this is dropped, and with it, however it ends, the
/// processes that its environments have started.
pub(super) struct Worker {
    child: Child,
    socket: UnixStream,
    log: Log,
    spin: Spin,
    /// The memory shared with the process. It has no name, so that no other process can open it.
    pub memory: File,
}

/// A command to the worker, in the byte that stands for it.
#[derive(Clone, Copy)]
pub(super) enum Call {
    Reset = b'r' as isize,
    Step = b's' as isize,
    Picture = b'p' as isize,
}

/// An answer of the worker.
pub(super) enum Answer {
    Done,
    /// The command is done, and these are the names of the infos.
    Infos(Vec<String>),
    Picture(Option<Picture>),
}

/// The reason why there was no answer.
pub(super) enum Trouble {
    /// The worker reports an error; it lives on.
    Failed(Failure),
    /// The worker has ended.
    Gone,
    /// The worker did not answer in time.
    Late,
    /// The answer made no sense.
    Confused,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Late,
            _ => Self::Gone,
        }
    }
}

impl Worker {
    /// Starts the process and asks it for its environments, without waiting for them.
    ///
    /// # Errors
    /// [`EnvError::World`] when the interpreter does not exist or the system has no resources left.
    pub fn launch(settings: &Settings) -> Result<Self, EnvError> {
        let python = &settings.python;
        Self::spawn(python, &settings.request).map_err(|error| {
            EnvError::World(match error.kind() {
                ErrorKind::NotFound => format!(
                    "there is no Python at `{python}`: install it, or name another by the option `python` or the \
                     environment variable PAVLOV_PYTHON"
                ),
                _ => format!("a worker of `{python}` cannot be started: {error}"),
            })
        })
    }

    fn spawn(python: &str, request: &impl Serialize) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let memory = nameless_file()?;
        let (reader, printed) = io::pipe()?;
        // The worker moves the socket and the memory to descriptors of its own before anything else.
        let child = Command::new(python)
            .args(["-X", "faulthandler", "-c", SOURCE])
            .env(MARK, mark())
            .stdin(OwnedFd::from(theirs))
            .stdout(memory.try_clone()?)
            .stderr(printed)
            .spawn()?;
        let worker = Self { child, socket, log: Log::follow(reader)?, spin: Spin::default(), memory };
        // If the process has died already, the wait for its answer tells more.
        let _ = worker.tell(request);
        Ok(worker)
    }

    /// Sends the process a message of any length.
    pub fn tell(&self, what: &impl Serialize) -> Result<(), Trouble> {
        let body = serde_json::to_vec(what).map_err(|_| Trouble::Confused)?;
        let length = u32::try_from(body.len()).map_err(|_| Trouble::Confused)?;
        let message = [&length.to_ne_bytes(), body.as_slice()].concat();
        Ok((&self.socket).write_all(&message)?)
    }

    /// Sends the process a command, with the place to which it is to write observations.
    pub fn call(&self, call: Call, place: u8) -> Result<(), Trouble> {
        Ok((&self.socket).write_all(&[call as u8, place])?)
    }

    /// Waits for the answer to a call.
    pub fn answer(&self, deadline: Instant) -> Result<Answer, Trouble> {
        match self.status(deadline)? {
            b'.' => Ok(Answer::Done),
            b'+' => Ok(Answer::Infos(parse(&self.read_body(deadline)?)?)),
            b'f' => {
                frame(self.read_body(deadline)?).map(|frame| Answer::Picture(Some(Picture::Frame(frame))))
            }
            b't' => {
                let text = String::from_utf8(self.read_body(deadline)?).map_err(|_| Trouble::Confused)?;
                Ok(Answer::Picture(Some(Picture::Text(text))))
            }
            b'n' => self.read_body(deadline).map(|_| Answer::Picture(None)),
            other => Err(self.failure(other, deadline)),
        }
    }

    /// Waits for the answer to the request with which the process was started.
    pub fn description<T: DeserializeOwned>(&self, deadline: Instant) -> Result<T, Trouble> {
        match self.read(deadline)? {
            [b'='] => parse(&self.read_body(deadline)?),
            [other] => Err(self.failure(other, deadline)),
        }
    }

    fn failure(&self, status: u8, deadline: Instant) -> Trouble {
        if status != b'!' {
            return Trouble::Confused;
        }
        self.read_body(deadline).and_then(|body| parse(&body)).map_or_else(|trouble| trouble, Trouble::Failed)
    }

    /// The first byte of an answer.
    fn status(&self, deadline: Instant) -> Result<u8, Trouble> {
        let mut status = [0];
        self.socket.set_nonblocking(true)?;
        let soon = self.spin.wait(|| match (&self.socket).read(&mut status) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(Some(())),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
            Err(error) => Err(error),
        });
        self.socket.set_nonblocking(false)?;
        if soon?.is_none() {
            self.fill(&mut status, deadline)?;
        }
        Ok(status[0])
    }

    fn read<const N: usize>(&self, deadline: Instant) -> Result<[u8; N], Trouble> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, deadline)?;
        Ok(bytes)
    }

    fn read_body(&self, deadline: Instant) -> Result<Vec<u8>, Trouble> {
        let length = u32::from_ne_bytes(self.read(deadline)?) as usize;
        if length > LONGEST_ANSWER {
            return Err(Trouble::Confused);
        }
        let mut body = vec![0; length];
        self.fill(&mut body, deadline)?;
        Ok(body)
    }

    fn fill(&self, mut rest: &mut [u8], deadline: Instant) -> Result<(), Trouble> {
        while !rest.is_empty() {
            // A timeout of zero would mean to wait for ever.
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left))?;
            match (&self.socket).read(rest) {
                Ok(0) => return Err(Trouble::Gone),
                Ok(count) => rest = &mut rest[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Closes the connection: the process closes its environments and ends, in its own time.
    pub fn hang_up(&self) {
        // The connection may be closed already.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Breaks off a conversation that has failed; every later call finds the worker gone.
    pub fn abandon(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Ends the process. Returns how it ended, with its last words.
    pub fn bury(&mut self, trouble: &Trouble, settings: &Settings) -> String {
        let fate = match trouble {
            Trouble::Late => {
                self.end();
                format!("its Python worker did not answer within {:?}", settings.timeout)
            }
            Trouble::Confused => {
                self.end();
                "its Python worker gave an answer that means nothing".into()
            }
            Trouble::Gone | Trouble::Failed(_) => match self.end() {
                Some(status) => format!("its Python worker ended with {status}"),
                None => "its Python worker is gone".into(),
            },
        };
        fate + &self.log.last_words()
    }

    fn end(&mut self) -> Option<ExitStatus> {
        // A process that has ended already cannot be killed, and is waited for all the same.
        let _ = self.child.kill();
        self.child.wait().ok()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.hang_up();
        // Answers that nobody waits for any more come before the end.
        let deadline = Instant::now() + GRACE;
        let mut scrap = [0; 256];
        while self.fill(&mut scrap, deadline).is_ok() {}
        self.end();
    }
}

/// A value of [`MARK`] that no other worker has, be it of another process with the same number.
fn mark() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{number}", std::process::id(), since_1970.as_nanos())
}

/// A file in memory, or a temporary one where the system keeps none. Its name is removed at once, so that
/// nothing of it outlives the processes that hold it.
fn nameless_file() -> io::Result<File> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let create = |folder: &Path| loop {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("pavlov-{}-{number}", std::process::id()));
        match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => return fs::remove_file(&path).map(|()| file),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    };
    create(Path::new("/dev/shm")).or_else(|_| create(&std::env::temp_dir()))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|_| Trouble::Confused)
}

/// Width, height and pixels.
fn frame(body: Vec<u8>) -> Result<Frame, Trouble> {
    let number = |bytes: &[u8; 4]| u32::from_ne_bytes(*bytes) as usize;
    let (width, rest) = body.split_first_chunk().ok_or(Trouble::Confused)?;
    let (height, pixels) = rest.split_first_chunk().ok_or(Trouble::Confused)?;
    let (width, height) = (number(width), number(height));
    if width.checked_mul(height).and_then(|count| count.checked_mul(3)) != Some(pixels.len()) {
        return Err(Trouble::Confused);
    }
    Ok(Frame { width, height, pixels: pixels.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nameless_file_can_be_written_and_read() {
        use std::os::unix::fs::FileExt;
        let (one, other) = (nameless_file().unwrap(), nameless_file().unwrap());
        one.write_all_at(b"one", 0).unwrap();
        other.write_all_at(b"two", 0).unwrap();
        let mut read = [0; 3];
        one.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(&read, b"one");
    }

    #[test]
    fn a_picture_has_as_many_pixels_as_it_says() {
        let body = |pixels: usize| {
            [2_u32.to_ne_bytes(), 1_u32.to_ne_bytes()].concat().into_iter().chain(vec![7; pixels]).collect()
        };
        let picture = frame(body(6)).ok().unwrap();
        assert_eq!(picture, Frame { width: 2, height: 1, pixels: vec![7; 6] });
        assert!(frame(body(5)).is_err() && frame(vec![0; 6]).is_err());
    }
}
