//! All shards of a training as one job, for the session of rank 0.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use pavlov_agents::Policy;
use pavlov_group::Wire;
use pavlov_nn::{StateDict, StateView};
use tch::Device;

use super::command::{ANOTHER_ANSWER, Answer, Command, Reply, Sums, pack, unpack};
use super::{Crew, states};
use crate::config::AnyConfig;
use crate::run::{
    Advance, Description, Evaluated, FinalComparison, Job, Log, Moment, Origin, Plan, RowPart, Status,
    StopReason, Values,
};

/// The shards of this process and of all others. The first one evaluates, and stands for all where they are alike.
pub(crate) struct Sharded {
    crew: Crew,
    /// The way to the other processes, if there are any.
    wire: Option<Wire>,
    warnings: Vec<String>,
    /// The configuration of the whole; a shard's own may have fewer threads.
    config: AnyConfig,
}

impl Sharded {
    /// The training of which these are the shards of rank 0.
    pub(crate) fn new(crew: Crew, wire: Option<Wire>, config: AnyConfig) -> Self {
        Self { crew, wire, warnings: Vec::new(), config }
    }

    /// Tells the other processes what is next, with the states of their shards.
    fn tell(&self, command: &Command, state: Option<&StateView<'_>>) -> Result<()> {
        let Some(wire) = &self.wire else { return Ok(()) };
        let mut messages = vec![serde_json::to_vec(command)?];
        if let Some(state) = state {
            for shard in self.crew.count()..self.crew.shards() {
                messages.push(states::of_shard(state, shard)?.to_bytes()?);
            }
        }
        Ok(wire.tell(&pack(&messages))?)
    }

    /// The replies of all shards, of which those of this process are there.
    fn gather(&self, mut own: Vec<Reply>) -> Result<Vec<Reply>> {
        let Some(wire) = &self.wire else { return Ok(own) };
        // All shards have come through the same sums: nobody answers much later than rank 0.
        let others = wire.collect(Vec::new(), Some(wire.timeout()))?.context(ANOTHER_ANSWER)?;
        for bytes in &others[1..] {
            for reply in unpack(bytes)? {
                own.push(Reply::from_bytes(reply)?);
            }
        }
        Ok(own)
    }

    fn execute(&mut self, command: &Command, outer: Option<&mut dyn Log>) -> Result<Vec<Reply>> {
        self.tell(command, None)?;
        let own = self.crew.execute(command, Vec::new(), outer)?;
        self.gather(own)
    }

    /// Checks that all shards have the weights of the first, and gives the first warning.
    fn ready(&self, replies: Vec<Reply>) -> Result<Option<String>> {
        let (mut warning, mut of_first) = (None, None);
        for (shard, Reply { answer, .. }) in replies.into_iter().enumerate() {
            let Answer::Ready { warning: own, weights } = answer else { bail!(ANOTHER_ANSWER) };
            warning = warning.or(own);
            if *of_first.get_or_insert(weights.clone()) != weights {
                let rank = shard / self.crew.count();
                bail!(
                    "shard {shard} (rank {rank}) begins with other weights than shard 0: are the weights to begin with the \
                     same file on all machines, and the programs the same?"
                );
            }
        }
        Ok(warning)
    }

    /// Up to which units all shards go on before they meet again: rows, reports and the end of the stretch are
    /// due between two meetings.
    fn next_meeting(&self, done: u64, until: u64) -> u64 {
        let Plan { log_every, report_every, .. } = self.plan();
        let next = |every: u64| (done / every.max(1)).saturating_add(1).saturating_mul(every.max(1));
        until.min(next(log_every)).min(next(report_every)).max(done + 1)
    }
}

impl Job for Sharded {
    fn origin(&self) -> Origin {
        self.crew.first().origin()
    }

    fn plan(&self) -> Plan {
        self.crew.first().plan()
    }

    fn device(&self) -> Device {
        self.crew.first().device()
    }

    fn describe(&self) -> Result<Description> {
        let Description { metrics, .. } = self.crew.first().describe()?;
        Description::of(&self.config, &metrics)
    }

    fn start(&mut self) -> Result<()> {
        let replies = self.execute(&Command::Start, None)?;
        self.ready(replies)?;
        Ok(())
    }

    fn advance(&mut self, until: u64, stop: &AtomicBool, log: &mut dyn Log) -> Result<Advance> {
        let done = log.done();
        let until = self.next_meeting(done, until);
        let replies = self.execute(&Command::Advance { done, until }, Some(log))?;
        let mut all: Option<Advance> = None;
        for (shard, Reply { answer, .. }) in replies.into_iter().enumerate() {
            let Answer::Advanced { done, failure, warnings, wants_stop } = answer else {
                bail!(ANOTHER_ANSWER);
            };
            if wants_stop {
                stop.store(true, Ordering::Relaxed);
            }
            self.warnings.extend(warnings);
            all = Some(match all {
                None => Advance { done, failure },
                Some(first) if first.done != done => {
                    bail!("shard {shard} is at {done}, shard 0 at {}: the shards are out of step", first.done)
                }
                Some(first) => Advance { failure: first.failure.or(failure), ..first },
            });
        }
        all.context(ANOTHER_ANSWER)
    }

    fn take_warnings(&mut self) -> Vec<String> {
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.extend(self.crew.first_mut().take_warnings());
        let mut seen = std::collections::HashSet::new();
        warnings.retain(|warning| seen.insert(warning.clone()));
        warnings
    }

    fn updates(&self) -> u64 {
        self.crew.first().updates()
    }

    fn row_part(&mut self) -> Result<RowPart> {
        let replies = self.execute(&Command::Part, None)?;
        let part = |reply: Reply| match reply.answer {
            Answer::Part(part) => Ok(part),
            _ => bail!(ANOTHER_ANSWER),
        };
        Ok(RowPart::merged(replies.into_iter().map(part).collect::<Result<_>>()?))
    }

    fn values(&mut self, now: &Moment, part: RowPart) -> Result<Values> {
        self.crew.first_mut().values(now, part)
    }

    fn status(&self, now: &Moment) -> Box<dyn Status> {
        self.crew.first().status(now)
    }

    fn evaluate(&mut self, now: &Moment, stop: &AtomicBool) -> Result<Evaluated> {
        self.crew.first_mut().evaluate(now, stop)
    }

    fn validated(&mut self, metric: f64, best_before: Option<f64>) -> Result<()> {
        let (metric, best_before) = (metric.to_bits(), best_before.map(f64::to_bits));
        self.execute(&Command::Validated { metric, best_before }, None)?;
        Ok(())
    }

    fn stops_after(&self, metric: f64) -> Option<StopReason> {
        self.crew.first().stops_after(metric)
    }

    fn final_comparison(&self) -> Option<FinalComparison> {
        self.crew.first().final_comparison()
    }

    fn compare(
        &mut self,
        weights: &[&StateDict<'static>],
        episodes: usize,
        now: &Moment,
        stop: &AtomicBool,
    ) -> Result<Vec<f64>> {
        self.crew.first_mut().compare(weights, episodes, now, stop)
    }

    fn policy(&self) -> Result<Option<Box<dyn Policy>>> {
        self.crew.first().policy()
    }

    fn weights(&self) -> Result<StateDict<'_>> {
        self.crew.first().weights()
    }

    /// Tells the other processes that all is well and over. A run that fails tells them the cause instead.
    fn end(&mut self) {
        // A peer that is gone needs not be told.
        let _ = self.tell(&Command::End, None);
    }

    fn put_state<'a>(&'a self, state: &mut StateDict<'a>) -> Result<()> {
        let mut own = StateDict::new();
        self.crew.first().put_state(&mut own)?;
        let of_first: Sums = states::sums(&own);
        let of_weights = states::sum_of(&self.crew.first().weights()?);
        let command = Command::State { of_first };
        self.tell(&command, None)?;
        let others = self.gather(self.crew.execute_others(&command)?)?;
        let mut differing = Vec::with_capacity(others.len());
        for (place, Reply { answer, state }) in others.into_iter().enumerate() {
            let Answer::State { weights } = answer else { bail!(ANOTHER_ANSWER) };
            // Parameters are alike, or the shards have come apart.
            let is_learned = |name: &String| name.contains("parameters.");
            if weights != of_weights || state.arrays.keys().any(is_learned) {
                let (shard, rank) = (place + 1, (place + 1) / self.crew.count());
                bail!(
                    "shard {shard} (rank {rank}) has come to other weights than shard 0, which must not be: no checkpoint is \
                     written. Are the machines' processors or programs different? Resume from the last checkpoint"
                );
            }
            differing.push(state);
        }
        state.arrays.append(&mut own.arrays);
        state.values.append(&mut own.values);
        states::join(state, differing)
    }

    fn load_state(&mut self, state: &StateView<'_>, done: u64) -> Result<Option<String>> {
        states::check_shards(state, self.crew.shards())?;
        let command = Command::Load { done };
        self.tell(&command, Some(state))?;
        let own = (0..self.crew.count()).map(|shard| states::of_shard(state, shard));
        let own = own.collect::<Result<Vec<_>>>()?;
        let own = self.crew.execute(&command, own, None)?;
        let replies = self.gather(own)?;
        self.ready(replies)
    }
}
