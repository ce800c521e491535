//! One connection: frames that are half sent or half received.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, send, sendmsg, shutdown};

use super::frame::{self, HEADER, Header, Kind};
use crate::GroupError;

/// The most bytes that are read or written at once, so that the other direction and the other peers have
/// their turn.
const AT_ONCE: usize = 256 << 10;

/// The longest time that the rest of a failure's frame is waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The cause that is told of a connection that the peer's system closed.
const CLOSED: &str = "the connection was closed";

/// The connection to one peer. The socket does not block.
#[derive(Debug)]
pub struct Link {
    pub rank: usize,
    socket: OwnedFd,
    /// The header of the frame that is being sent, and how much of it and of its bytes is sent.
    out_header: [u8; HEADER],
    sent: usize,
    to_send: usize,
    /// The header of the frame that is being received or comes next, how much of it is there, and how much of
    /// the bytes behind it.
    in_header: [u8; HEADER],
    in_header_length: usize,
    received: usize,
    /// False if nothing (more) is to be received in this exchange.
    receives: bool,
    /// True if the bytes behind the header that is there have their room.
    has_room: bool,
    end: Option<End>,
}

/// The end of what a peer sends.
#[derive(Debug)]
struct End {
    noticed: Instant,
    cause: String,
    /// True if the peer took its leave.
    goodbye: bool,
}

impl Link {
    pub fn new(rank: usize, socket: OwnedFd) -> Self {
        Self {
            rank,
            socket,
            out_header: [0; HEADER],
            sent: 0,
            to_send: 0,
            in_header: [0; HEADER],
            in_header_length: 0,
            received: 0,
            receives: false,
            has_room: false,
            end: None,
        }
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Begins an exchange: a frame to send, if any, and whether one is to be received.
    pub fn start(&mut self, send: Option<&Header>, receives: bool) {
        self.sent = 0;
        self.to_send = 0;
        if let Some(header) = send {
            self.out_header = header.encode();
            self.to_send = HEADER + header.length as usize;
        }
        self.receives = receives;
        // A header that came early stays.
        self.received = 0;
        self.has_room = false;
    }

    pub fn sends(&self) -> bool {
        self.sent < self.to_send
    }

    /// True if a frame is sent in part.
    pub fn is_half_sent(&self) -> bool {
        self.sent > 0 && self.sends()
    }

    pub fn receives(&self) -> bool {
        self.receives
    }

    pub fn has_room(&self) -> bool {
        self.has_room
    }

    pub fn set_room(&mut self) {
        self.has_room = true;
    }

    /// True if the next frame's header is wanted ahead of its exchange: it may be a failure's.
    pub fn may_peek(&self) -> bool {
        !self.receives && self.in_header_length < HEADER && self.end.is_none()
    }

    /// Sends what the socket takes of the frame whose bytes are these. Returns true if that is anything.
    ///
    /// # Errors
    /// The peer's failure, if it told one before its end; its loss.
    pub fn push(&mut self, bytes: &[u8]) -> Result<bool, GroupError> {
        self.send(bytes).map_err(|error| {
            self.to_send = 0;
            let lost = self.ended(error.to_string());
            self.last_words(Instant::now() + LAST_WORDS).unwrap_or(lost)
        })
    }

    /// The same for a word that is the last. Returns false if there is nothing more to do.
    pub fn push_last(&mut self, bytes: &[u8]) -> bool {
        if self.send(bytes).is_err() {
            self.to_send = 0;
        }
        self.sends()
    }

    fn send(&mut self, bytes: &[u8]) -> Result<bool, Errno> {
        let before = self.sent;
        while self.sends() && self.sent - before < AT_ONCE {
            let header = &self.out_header[self.sent.min(HEADER)..];
            let rest = &bytes[self.sent.saturating_sub(HEADER)..];
            let rest = &rest[..rest.len().min(AT_ONCE)];
            // A peer that is gone must not end this process by a signal.
            let sent = match (header.len(), rest.len()) {
                (0, _) => send(&self.socket, rest, SendFlags::NOSIGNAL),
                (_, 0) => send(&self.socket, header, SendFlags::NOSIGNAL),
                _ => {
                    let both = [IoSlice::new(header), IoSlice::new(rest)];
                    sendmsg(&self.socket, &both, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
                }
            };
            match sent {
                Ok(sent) => self.sent += sent,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(self.sent > before)
    }

    /// Receives what is there of the header of the next frame. Returns true if it is complete.
    fn pull_header(&mut self) -> Result<bool, GroupError> {
        while self.in_header_length < HEADER {
            match recv(&self.socket, &mut self.in_header[self.in_header_length..], RecvFlags::empty()) {
                Ok((0, _)) => return Err(self.ended(CLOSED.to_owned())),
                Ok((length, _)) => self.in_header_length += length,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(self.ended(error.to_string())),
            }
        }
        Ok(true)
    }

    /// The header of the next frame, if it is there.
    ///
    /// # Errors
    /// The peer's failure, if that is what it is; the peer's loss; what is no frame.
    pub fn header(&mut self) -> Result<Option<Header>, GroupError> {
        if !self.pull_header()? {
            return Ok(None);
        }
        match Header::decode(&self.in_header) {
            Some(Header { kind: Kind::Failure | Kind::Goodbye, .. }) => {
                let lost = GroupError::Lost { rank: self.rank, cause: "its word was cut off".to_owned() };
                Err(self.last_words(Instant::now() + LAST_WORDS).unwrap_or(lost))
            }
            Some(header) => Ok(Some(header)),
            None => Err(frame::no_frame(self.rank)),
        }
    }

    /// Receives what is there of the bytes behind the header. Returns true if that is anything.
    pub fn pull(&mut self, bytes: &mut [u8]) -> Result<bool, GroupError> {
        let before = self.received;
        while self.received < bytes.len() && self.received - before < AT_ONCE {
            let end = bytes.len().min(self.received + AT_ONCE);
            match recv(&self.socket, &mut bytes[self.received..end], RecvFlags::empty()) {
                Ok((0, _)) => return Err(self.ended(CLOSED.to_owned())),
                Ok((length, _)) => self.received += length,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(self.ended(error.to_string())),
            }
        }
        if self.received == bytes.len() {
            self.receives = false;
            self.in_header_length = 0;
        }
        Ok(self.received > before || !self.receives)
    }

    /// The error of a connection on which nothing more comes.
    fn ended(&mut self, cause: String) -> GroupError {
        let end = self.end.get_or_insert_with(|| End { noticed: Instant::now(), cause, goodbye: false });
        GroupError::Lost { rank: self.rank, cause: end.cause.clone() }
    }

    /// The peer's loss, if it was noticed so long ago. A peer that has taken its leave is no loss as long as
    /// nothing of it is wanted. One that ended without a word may have heard of a common end that is still
    /// under way here.
    pub fn lost_for(&self, grace: Duration) -> Option<GroupError> {
        let end = self.end.as_ref().filter(|end| !end.goodbye && end.noticed.elapsed() >= grace)?;
        Some(GroupError::Lost { rank: self.rank, cause: end.cause.clone() })
    }

    /// True if the peer ended without taking its leave.
    pub fn is_lost(&self) -> bool {
        self.end.as_ref().is_some_and(|end| !end.goodbye)
    }

    /// Reads on to the failure that the peer told, past what it sent before, or to its end. None: not until
    /// then.
    fn last_words(&mut self, until: Instant) -> Option<GroupError> {
        let mut skipped = [0; 4096];
        loop {
            match self.pull_header() {
                Err(lost) => return Some(lost),
                Ok(false) => {}
                Ok(true) => match Header::decode(&self.in_header) {
                    None => return Some(frame::no_frame(self.rank)),
                    Some(Header { kind: Kind::Goodbye, .. }) => {
                        let lost = self.ended("it has left the group".to_owned());
                        self.end.iter_mut().for_each(|end| end.goodbye = true);
                        return Some(lost);
                    }
                    Some(header) if header.kind == Kind::Failure => {
                        return Some(self.failure(header.length, until));
                    }
                    Some(header) => {
                        let rest = (header.length as usize).saturating_sub(self.received);
                        if rest == 0 {
                            (self.in_header_length, self.received) = (0, 0);
                            continue;
                        }
                        let most = rest.min(skipped.len());
                        match recv(&self.socket, &mut skipped[..most], RecvFlags::empty()) {
                            Ok((0, _)) => return Some(self.ended(CLOSED.to_owned())),
                            Ok((length, _)) => self.received += length,
                            Err(Errno::AGAIN | Errno::INTR) => {}
                            Err(error) => return Some(self.ended(error.to_string())),
                        }
                    }
                },
            }
            if !self.wait(until) {
                return None;
            }
        }
    }

    /// The failure of so many bytes that the peer tells.
    fn failure(&mut self, length: u64, until: Instant) -> GroupError {
        let mut bytes = vec![0; length.min(1 << 20) as usize];
        self.received = 0;
        while self.received < bytes.len() && self.wait(until) && self.pull(&mut bytes).is_ok() {}
        bytes.truncate(self.received);
        frame::read_failure(&bytes, self.rank)
    }

    /// Waits until something can be read. False: not until then.
    fn wait(&self, until: Instant) -> bool {
        let rest = until.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        let timeout = Timespec { tv_sec: rest.as_secs() as _, tv_nsec: rest.subsec_nanos() as _ };
        matches!(poll(&mut fds, Some(&timeout)), Ok(1..) | Err(Errno::INTR)) && !rest.is_zero()
    }

    /// Ends what this process sends.
    pub fn finish(&mut self) {
        let _ = shutdown(&self.socket, Shutdown::Write);
    }

    /// Drops what was received. Returns true when the peer has ended what it sends.
    ///
    /// A socket that is closed with unread bytes resets the connection, and what was sent last may not
    /// arrive.
    pub fn drain(&mut self) -> bool {
        let mut skipped = [0; 16 << 10];
        for _ in 0..256 {
            match recv(&self.socket, &mut skipped, RecvFlags::empty()) {
                Ok((1.., _)) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return false,
                Ok((0, _)) | Err(_) => return true,
            }
        }
        false
    }
}
