//! The processes beside rank 0: they do what it says until it has said that the training is over.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use pavlov_group::Wire;
use pavlov_nn::StateDict;

use super::Crew;
use super::command::{ANOTHER_ANSWER, Answer, Command, pack, unpack};

/// Works on the shards of this process as rank 0 says. Where `stop` is set, rank 0 is asked to stop.
///
/// # Errors
/// When a shard fails, here or elsewhere, or rank 0 is lost.
pub(crate) fn follow(mut crew: Crew, wire: &Wire, stop: &AtomicBool) -> Result<()> {
    loop {
        let bytes = wire.hear()?;
        let mut messages = unpack(&bytes)?.into_iter();
        let command: Command = serde_json::from_slice(messages.next().context(ANOTHER_ANSWER)?)?;
        if matches!(command, Command::End) {
            return Ok(());
        }
        // States come for all shards beside those of rank 0.
        let before = crew.first_shard() - crew.count();
        let states = messages.skip(before).take(crew.count()).map(StateDict::from_bytes);
        let states = states.collect::<Result<Vec<_>, _>>()?;
        ensure!([0, crew.count()].contains(&states.len()), ANOTHER_ANSWER);
        let mut replies = crew.execute(&command, states, None)?;
        if let Some(Answer::Advanced { wants_stop, .. }) = replies.first_mut().map(|reply| &mut reply.answer)
        {
            *wants_stop = stop.load(Ordering::Relaxed);
        }
        let replies = replies.iter().map(|reply| reply.to_bytes()).collect::<Result<Vec<_>>>()?;
        wire.collect(pack(&replies), None)?;
    }
}
