//! The frames that go over a connection, each a header and its bytes.

use std::fmt;

use crate::GroupError;

/// The length of a header in bytes.
pub const HEADER: usize = 24;

/// The first bytes of every frame. Numbers are in the machine's own order of bytes: between machines of
/// different orders this one is not recognised.
const MAGIC: u32 = 0x5061_766c;

/// The longest cause of a failure that is sent, in bytes.
const LONGEST_CAUSE: usize = 16 << 10;

/// The exchange that a frame is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A failure, in the place of any other frame.
    Failure,
    /// A process leaves the group.
    Goodbye,
    Tell,
    Collect,
    Gather,
    /// A sum of `f32`: what each process gives, all of it or a slice.
    Sum,
    /// Slices of a sum of `f32`.
    Slices,
    SumF64,
    SlicesF64,
}

/// All kinds; the number of a kind on the wire is its place here.
const KINDS: [Kind; 9] = [
    Kind::Failure,
    Kind::Goodbye,
    Kind::Tell,
    Kind::Collect,
    Kind::Gather,
    Kind::Sum,
    Kind::Slices,
    Kind::SumF64,
    Kind::SlicesF64,
];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failure => "failure",
            Self::Goodbye => "goodbye",
            Self::Tell => "word of rank 0",
            Self::Collect => "collection by rank 0",
            Self::Gather => "gathering",
            Self::Sum => "sum",
            Self::Slices => "sum's second half",
            Self::SumF64 => "sum of f64",
            Self::SlicesF64 => "second half of a sum of f64",
        })
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: Kind,
    /// The number of shards in the sender's process, or 0 where it does not matter.
    pub local: u16,
    /// The number of exchanges that the sender's wire had before.
    pub sequence: u64,
    /// The number of bytes behind the header.
    pub length: u64,
}

impl Header {
    pub fn encode(&self) -> [u8; HEADER] {
        let kind = KINDS.iter().position(|kind| *kind == self.kind).unwrap_or_default() as u16;
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&MAGIC.to_ne_bytes());
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&self.local.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_ne_bytes());
        bytes[16..].copy_from_slice(&self.length.to_ne_bytes());
        bytes
    }

    /// None: these bytes are no header.
    pub fn decode(bytes: &[u8; HEADER]) -> Option<Self> {
        let magic = u32::from_ne_bytes(*bytes.first_chunk()?);
        let kind = u16::from_ne_bytes(*bytes[4..].first_chunk()?);
        (magic == MAGIC).then_some(Self {
            kind: *KINDS.get(usize::from(kind))?,
            local: u16::from_ne_bytes(*bytes[6..].first_chunk()?),
            sequence: u64::from_ne_bytes(*bytes[8..].first_chunk()?),
            length: u64::from_ne_bytes(*bytes[16..].first_chunk()?),
        })
    }

    /// Compares a peer's header with this process's own for the same exchange. Lengths are not compared.
    ///
    /// # Errors
    /// [`GroupError::OutOfStep`].
    pub fn check(&self, peer: usize, own: &Self, rank: usize) -> Result<(), GroupError> {
        if (self.kind, self.sequence) != (own.kind, own.sequence) {
            return Err(GroupError::OutOfStep(format!(
                "rank {peer} is at another point of the program: its exchange {} is a {}, that of rank \
                 {rank} is a {} (exchange {}). {SAME}",
                self.sequence, self.kind, own.kind, own.sequence
            )));
        }
        if self.local != own.local {
            return Err(GroupError::OutOfStep(format!(
                "rank {peer} works on {} shards, rank {rank} on {}: every process needs the same number",
                self.local, own.local
            )));
        }
        Ok(())
    }
}

/// The advice about processes that are out of step.
const SAME: &str = "Do all processes run the same program with the same configuration?";

/// The error of a peer that sent another number of bytes than this process expects.
pub fn other_length(kind: Kind, peer: usize, length: u64, rank: usize, expected: usize) -> GroupError {
    GroupError::OutOfStep(format!(
        "rank {peer} sent {length} bytes for a {kind}, rank {rank} expects {expected}. {SAME}"
    ))
}

/// The error of a peer that sent bytes which are no frame.
pub fn no_frame(peer: usize) -> GroupError {
    GroupError::OutOfStep(format!(
        "rank {peer} sent what is no message: do all machines run the same build, on processors of the same \
         byte order?"
    ))
}

/// The frame that tells peers of an error: all ranks end with the same one.
pub fn failure(error: &GroupError) -> Vec<u8> {
    let (tag, number, who, cause) = match error {
        GroupError::Lost { rank, cause } => (0u8, *rank as u64, "", cause.clone()),
        GroupError::TimedOut { rank, seconds } => (1, *rank as u64, "", seconds.to_string()),
        GroupError::Failed { who, cause } => (2, 0, who.as_str(), cause.clone()),
        GroupError::OutOfStep(cause) => (3, 0, "", cause.clone()),
        // No error of a wire; its reader names the peer.
        other => (4, 0, "", other.to_string()),
    };
    let (who, cause) = (beginning(who, 100), beginning(&cause, LONGEST_CAUSE));
    let length = (10 + who.len() + cause.len()) as u64;
    let mut frame = Header { kind: Kind::Failure, local: 0, sequence: 0, length }.encode().to_vec();
    frame.push(tag);
    frame.extend(number.to_ne_bytes());
    frame.push(who.len() as u8);
    frame.extend(who.as_bytes());
    frame.extend(cause.as_bytes());
    frame
}

/// The beginning of a text, of so many bytes at most.
fn beginning(text: &str, most: usize) -> &str {
    let cut = (0..=most.min(text.len())).rev().find(|cut| text.is_char_boundary(*cut));
    &text[..cut.unwrap_or_default()]
}

/// The error that the bytes of a failure's frame tell of; `peer` sent them.
pub fn read_failure(bytes: &[u8], peer: usize) -> GroupError {
    let parts = || {
        let (tag, rest) = bytes.split_first()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first()?;
        let (who, cause) = rest.split_at_checked(usize::from(*length))?;
        let number = usize::try_from(u64::from_ne_bytes(*number)).ok()?;
        Some((*tag, number, String::from_utf8_lossy(who), String::from_utf8_lossy(cause)))
    };
    match parts() {
        Some((0, rank, _, cause)) => GroupError::Lost { rank, cause: cause.into_owned() },
        Some((1, rank, _, seconds)) => {
            GroupError::TimedOut { rank, seconds: seconds.parse().unwrap_or_default() }
        }
        Some((2, _, who, cause)) => GroupError::Failed { who: who.into_owned(), cause: cause.into_owned() },
        Some((3, _, _, cause)) => GroupError::OutOfStep(cause.into_owned()),
        Some((_, _, _, cause)) => {
            GroupError::Failed { who: format!("rank {peer}"), cause: cause.into_owned() }
        }
        None => GroupError::Failed { who: format!("rank {peer}"), cause: "it did not say why".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_failures_come_back() {
        for kind in KINDS {
            let header = Header { kind, local: 3, sequence: u64::MAX - 1, length: 1 << 40 };
            assert_eq!(Header::decode(&header.encode()), Some(header));
        }
        let mut wrong = Header { kind: Kind::Sum, local: 1, sequence: 0, length: 0 }.encode();
        wrong[0] ^= 1;
        assert_eq!(Header::decode(&wrong), None);
        let errors = [
            GroupError::Lost { rank: 3, cause: "closed".into() },
            GroupError::TimedOut { rank: 300, seconds: 60 },
            GroupError::Failed { who: "shard 7".into(), cause: "NaN über alles".into() },
            GroupError::OutOfStep("rank 1 is elsewhere".into()),
        ];
        for error in errors {
            let frame = failure(&error);
            assert_eq!(read_failure(&frame[HEADER..], 2).to_string(), error.to_string());
        }
        for cut in 0..12 {
            let frame = failure(&GroupError::Failed { who: "rank 1".into(), cause: "x".into() });
            read_failure(&frame[HEADER..HEADER + cut], 1);
        }
        let long = GroupError::Failed { who: "ü".repeat(100), cause: "ü".repeat(100_000) };
        assert!(failure(&long).len() < LONGEST_CAUSE + 200);
    }
}
