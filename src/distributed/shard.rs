//! One shard's answer to a command.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::Result;
use pavlov_nn::StateDict;

use super::command::{Answer, Command, Reply};
use super::states;
use crate::run::{Job, Log, Moment, Status, Values};

/// Does what a command says with a shard's job. `state` is what comes with [`Command::Load`]; `outer` is the log
/// of the session, which the first shard has.
///
/// # Errors
/// When the job fails, or another shard.
pub(super) fn execute(
    job: &mut dyn Job,
    command: &Command,
    state: Option<&StateDict<'_>>,
    outer: Option<&mut dyn Log>,
) -> Result<Reply> {
    Ok(match command {
        Command::Start => {
            job.start()?;
            Reply::of(Answer::Ready { warning: None, weights: states::sum_of(&job.weights()?) })
        }
        Command::Load { done } => {
            let none = StateDict::new();
            let warning = job.load_state(&state.unwrap_or(&none).view(), *done)?;
            Reply::of(Answer::Ready { warning, weights: states::sum_of(&job.weights()?) })
        }
        Command::Advance { done, until } => Reply::of(advance(job, *done, *until, outer)?),
        Command::Part => Reply::of(Answer::Part(job.row_part()?)),
        Command::State { of_first } => {
            let weights = states::sum_of(&job.weights()?);
            let mut state = StateDict::new();
            job.put_state(&mut state)?;
            Reply { answer: Answer::State { weights }, state: states::differing(state, of_first)? }
        }
        Command::Validated { metric, best_before } => {
            job.validated(f64::from_bits(*metric), best_before.map(f64::from_bits))?;
            Reply::of(Answer::Noted)
        }
        Command::End => Reply::of(Answer::Noted),
    })
}

/// Goes on until so many units are done.
fn advance(job: &mut dyn Job, done: u64, until: u64, outer: Option<&mut dyn Log>) -> Result<Answer> {
    // Shards stop together, between two stretches.
    let never = AtomicBool::new(false);
    let mut log = ShardLog { done, begun: Instant::now(), outer, warnings: Vec::new() };
    let mut failure = None;
    while log.done < until && failure.is_none() {
        let advance = job.advance(until, &never, &mut log)?;
        (log.done, failure) = (advance.done, advance.failure);
    }
    let ShardLog { done, mut warnings, .. } = log;
    warnings.extend(job.take_warnings());
    Ok(Answer::Advanced { done, failure, warnings, wants_stop: false })
}

/// The log of a shard: its rows are the session's to write, after a stretch that ends where one is due.
struct ShardLog<'a> {
    done: u64,
    begun: Instant,
    outer: Option<&'a mut dyn Log>,
    warnings: Vec<String>,
}

impl Log for ShardLog<'_> {
    fn done(&self) -> u64 {
        self.done
    }

    fn moment(&self, done: u64) -> Moment {
        match &self.outer {
            Some(outer) => outer.moment(done),
            None => Moment::since(self.begun, self.done, done),
        }
    }

    fn is_due(&self, _done: u64) -> bool {
        false
    }

    fn row(&mut self, _done: u64, _values: Values) {}

    fn updated(&mut self, updates: u64) {
        self.outer.iter_mut().for_each(|outer| outer.updated(updates));
    }

    fn wants_stop(&self) -> bool {
        false
    }

    fn report(&mut self, status: &dyn Status) {
        self.outer.iter_mut().for_each(|outer| outer.report(status));
    }

    fn warn(&mut self, message: &str) {
        match &mut self.outer {
            Some(outer) => outer.warn(message),
            None => self.warnings.push(message.into()),
        }
    }
}
