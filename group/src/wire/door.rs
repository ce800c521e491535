//! The door of a process: who connects has to say hello, with the group's secret, and is turned away
//! otherwise.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::Socket;

/// The secret of the processes of a group.
pub type Secret = [u8; 32];

/// The length of a hello.
const HELLO: usize = 56;

/// The first bytes of a hello: another number for another form of hellos or frames.
const MAGIC: [u8; 8] = *b"pavlov01";

/// The longest time that a connection may take to say hello.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most connections that have not said hello yet, beside one for each peer; the oldest is dropped for a new
/// one.
const MOST_STRANGERS: usize = 256;

/// The first words of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hello {
    pub rank: usize,
    pub world_size: usize,
    pub secret: Secret,
}

impl Hello {
    /// Sends it; a fresh connection holds it without waiting.
    pub fn send(&self, mut stream: &Socket) -> io::Result<()> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend((self.rank as u64).to_be_bytes());
        bytes.extend((self.world_size as u64).to_be_bytes());
        bytes.extend(self.secret);
        stream.write_all(&bytes)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk()?;
        let (rank, rest) = rest.split_first_chunk()?;
        let (world_size, secret) = rest.split_first_chunk()?;
        (*magic == MAGIC).then_some(Self {
            rank: usize::try_from(u64::from_be_bytes(*rank)).ok()?,
            world_size: usize::try_from(u64::from_be_bytes(*world_size)).ok()?,
            secret: secret.try_into().ok()?,
        })
    }

    /// True if the other belongs to the same group.
    pub fn knows(&self, other: &Self) -> bool {
        (self.world_size, self.secret) == (other.world_size, other.secret)
    }

    /// Receives one within `most`; `buffer` holds what came so far. None: not yet.
    ///
    /// # Errors
    /// When the connection ends or fails, or something else comes.
    pub fn receive(stream: &mut &Socket, buffer: &mut Vec<u8>, most: Duration) -> io::Result<Option<Self>> {
        stream.set_nonblocking(false)?;
        // A timeout of zero would be none.
        stream.set_read_timeout(Some(most.max(Duration::from_millis(1))))?;
        Self::read(stream, buffer)
    }

    fn read(stream: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<Option<Self>> {
        let mut bytes = [0; HELLO];
        while buffer.len() < HELLO {
            match stream.read(&mut bytes[buffer.len()..]) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "it closed the connection")),
                Ok(length) => {
                    let had = buffer.len();
                    buffer.extend_from_slice(&bytes[had..had + length]);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        let other = || io::Error::new(ErrorKind::InvalidData, "something else answers there");
        Self::decode(buffer).ok_or_else(other).map(Some)
    }
}

/// A connection that has not said hello yet.
struct Stranger {
    stream: Socket,
    came: Instant,
    buffer: Vec<u8>,
}

/// Lets in the peers with higher ranks.
pub struct Door<'a> {
    listeners: &'a [Socket],
    own: &'a Hello,
    strangers: Vec<Stranger>,
    /// The connection of each higher rank.
    guests: Vec<Option<Socket>>,
}

impl<'a> Door<'a> {
    /// The listeners do not block.
    pub fn new(listeners: &'a [Socket], own: &'a Hello) -> Self {
        let guests = (own.rank + 1..own.world_size).map(|_| None).collect();
        Self { listeners, own, strangers: Vec::new(), guests }
    }

    /// Lets in whoever comes within `most`. Returns true when all have come.
    ///
    /// # Errors
    /// When a listener fails.
    pub fn wait(&mut self, most: Duration) -> io::Result<bool> {
        let until = Instant::now() + most;
        loop {
            for listener in self.listeners {
                self.accept(listener)?;
            }
            self.hear_strangers();
            let rest = until.saturating_duration_since(Instant::now());
            if self.guests.iter().all(Option::is_some) || rest.is_zero() {
                return Ok(self.guests.iter().all(Option::is_some));
            }
            let sockets = self.listeners.iter().chain(self.strangers.iter().map(|stranger| &stranger.stream));
            let mut fds: Vec<PollFd<'_>> = sockets.map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
            let timeout = Timespec { tv_sec: rest.as_secs() as _, tv_nsec: rest.subsec_nanos() as _ };
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn accept(&mut self, listener: &Socket) -> io::Result<()> {
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    if stream.set_nonblocking(true).is_ok() {
                        if self.strangers.len() >= MOST_STRANGERS + self.own.world_size {
                            self.strangers.remove(0);
                        }
                        self.strangers.push(Stranger { stream, came: Instant::now(), buffer: Vec::new() });
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // A connection that ended before it was accepted.
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                // No descriptor is left for it: strangers give theirs back.
                Err(error) if !self.strangers.is_empty() && is_full(&error) => {
                    self.strangers.remove(0);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets in the strangers that have said hello; drops those that said something else, or nothing for long.
    fn hear_strangers(&mut self) {
        let (own, guests) = (self.own, &mut self.guests);
        for mut stranger in std::mem::take(&mut self.strangers) {
            match Hello::read(&mut &stranger.stream, &mut stranger.buffer) {
                Ok(Some(hello)) if own.knows(&hello) && hello.rank > own.rank => {
                    let guest = guests.get_mut(hello.rank - own.rank - 1);
                    if let Some(guest) = guest.filter(|guest| guest.is_none())
                        && own.send(&stranger.stream).is_ok()
                    {
                        *guest = Some(stranger.stream);
                    }
                }
                Ok(None) if stranger.came.elapsed() < PATIENCE => self.strangers.push(stranger),
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// The ranks that have not come.
    pub fn missing(&self) -> Vec<usize> {
        let ranks = self.own.rank + 1..;
        ranks.zip(&self.guests).filter(|(_, guest)| guest.is_none()).map(|(rank, _)| rank).collect()
    }

    /// The ranks and connections of those who have come.
    pub fn guests(self) -> Vec<(usize, Socket)> {
        (self.own.rank + 1..).zip(self.guests).filter_map(|(rank, guest)| Some((rank, guest?))).collect()
    }
}

/// True if the system has no room for another connection.
fn is_full(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE].iter().any(|full| code == Some(full.raw_os_error()))
}
