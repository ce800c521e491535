//! The commands of rank 0 to the other processes, and the answers of shards.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use pavlov_nn::StateDict;
use serde::{Deserialize, Serialize};

use crate::run::RowPart;

/// The next work of every shard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Command {
    /// Begin from the start.
    Start,
    /// Go on from the state that comes with the command, after so many units.
    Load { done: u64 },
    /// Go on from so many units to others.
    Advance { done: u64, until: u64 },
    /// Give this shard's part of a row of the log.
    Part,
    /// Give the state; of the first shard's arrays and values these are the checksums.
    State { of_first: Sums },
    /// Take note of an evaluation. The numbers are given by their bits, since JSON has no NaN.
    Validated { metric: u64, best_before: Option<u64> },
    /// The training is over.
    End,
}

/// The checksums of a state's arrays and values, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sums {
    pub arrays: BTreeMap<String, String>,
    pub values: BTreeMap<String, String>,
}

/// A shard's answer, and the arrays that go with it.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub answer: Answer,
    /// The part of the state that differs from the first shard's, with [`Answer::State`].
    pub state: StateDict<'static>,
}

/// The answer of a shard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// It has begun, or gone on. The text says what is not exact after a resume; the checksum is of the weights.
    Ready { warning: Option<String>, weights: String },
    /// So many units are done.
    Advanced { done: u64, failure: Option<String>, warnings: Vec<String>, wants_stop: bool },
    /// The part of a row.
    Part(RowPart),
    /// The state, with the checksum of the weights.
    State { weights: String },
    /// Nothing needs to be said.
    Noted,
}

/// Puts several messages into one.
pub(super) fn pack(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(messages.iter().map(|message| 8 + message.len()).sum());
    for message in messages {
        bytes.extend((message.len() as u64).to_le_bytes());
        bytes.extend_from_slice(message);
    }
    bytes
}

/// The messages of which [`pack`] made one.
pub(super) fn unpack(mut bytes: &[u8]) -> Result<Vec<&[u8]>> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk().context(BROKEN)?;
        let (message, others) = rest.split_at_checked(u64::from_le_bytes(*len) as usize).context(BROKEN)?;
        messages.push(message);
        bytes = others;
    }
    Ok(messages)
}

const BROKEN: &str = "a message of another process is cut off";

impl Reply {
    /// The answer alone.
    pub fn of(answer: Answer) -> Self {
        Self { answer, state: StateDict::new() }
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        Ok(pack(&[serde_json::to_vec(&self.answer)?, self.state.to_bytes()?]))
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let messages = unpack(bytes)?;
        let [answer, state] = messages[..] else { bail!(BROKEN) };
        Ok(Self { answer: serde_json::from_slice(answer)?, state: StateDict::from_bytes(state)? })
    }
}

/// The error of an answer to another command: the processes are not of one program.
pub(super) const ANOTHER_ANSWER: &str = "a shard answered to another command";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_back_from_their_bytes() {
        let mut state = StateDict::new();
        state.put_slice("a", &[2], &[1.0f32, 2.0]);
        let mut part = RowPart::default();
        part.values.insert("train/explained_variance".into(), f64::NAN);
        part.values.insert("train/loss".into(), 0.1);
        for (answer, state) in [
            (Answer::State { weights: "x".into() }, state.into_owned()),
            (Answer::Part(part), StateDict::new()),
            (Answer::Noted, StateDict::new()),
        ] {
            let bytes = Reply { answer, state }.to_bytes().unwrap();
            let back = Reply::from_bytes(&bytes).unwrap();
            assert_eq!(back.to_bytes().unwrap(), bytes);
            assert!(Reply::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        }
    }
}
