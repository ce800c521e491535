//! Rounds in a fixed order: the same numbers for any number of actors.
//!
//! In a round every lane makes the same number of steps with the same weights, up to where the agent learns next; then
//! everything is handed over in the order of steps and environments, and the agent learns. Each lane has one environment
//! and is computed alone, so that it does not matter which thread runs it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, bail};
use pavlov_agents::{Agent, Halves};

use super::crew::{failed, join, warn_of};
use super::driver::{Driver, Lanes, Plan};
use super::lane::{Half, Lane, Stepped};
use super::on_policy::learn_from;
use super::{Listener, PhaseEnd};

impl Driver {
    /// Rounds until `until` env steps are done or the user asks to stop.
    pub(super) fn rounds(
        &mut self,
        agent: &mut dyn Agent,
        (mut env_steps, until): (u64, u64),
        stop: &AtomicBool,
        listener: &mut dyn Listener,
    ) -> Result<PhaseEnd> {
        let mut failure = None;
        while env_steps < until && failure.is_none() && !stop.load(Ordering::Relaxed) {
            let steps = self.round(agent, (env_steps, until), listener, &mut failure)?;
            let (before, every) = (env_steps, self.plan.log_every);
            env_steps += steps as u64 * self.plan.num_envs as u64;
            // What is due at the end of the phase is told by who began it.
            if env_steps / every > before / every && env_steps < until {
                let metrics = agent.take_metrics()?;
                listener.learned(metrics.into_iter().map(|(tag, value)| (tag.to_string(), value)).collect());
            }
            listener.tick(env_steps);
        }
        Ok(PhaseEnd { env_steps, failure })
    }

    /// One round; gives its steps.
    fn round(
        &mut self,
        agent: &mut dyn Agent,
        (env_steps, until): (u64, u64),
        listener: &mut dyn Listener,
        failure: &mut Option<String>,
    ) -> Result<usize> {
        let Self { plan, lanes, failures, .. } = self;
        let (steps, news) = match (lanes, agent.halves()) {
            (Lanes::OffPolicy(lanes), Some(Halves::OffPolicy(halves))) => {
                let every = halves.setup.train_every_env_steps;
                let left = (every - env_steps % every).min(until - env_steps);
                let steps = left.div_ceil(plan.num_envs as u64) as usize;
                let most = every.div_ceil(plan.num_envs as u64) as usize;
                for lane in lanes.lanes.iter_mut().flatten() {
                    let segment = lanes.segments.pop();
                    lane.half.refill(segment.map_or_else(|| plan.segment(most), Ok)?);
                }
                let news = step_all(&mut lanes.lanes, (env_steps, steps), plan)?;
                pool(&mut lanes.lanes)?;
                let parcels: Vec<_> =
                    lanes.lanes.iter_mut().flatten().filter_map(|lane| lane.half.take(true)).collect();
                for step in 0..steps {
                    parcels.iter().for_each(|segment| segment.insert(step, halves.store));
                    halves.pace.observe(plan.num_envs);
                }
                lanes.segments.extend(parcels);
                (steps, news)
            }
            (Lanes::OnPolicy(lanes), Some(Halves::OnPolicy(learner))) => {
                lanes.complete(learner, plan)?;
                for lane in lanes.lanes.iter_mut().flatten().filter(|lane| !lane.half.is_ready()) {
                    let Some(spare) = lanes.spare.pop() else { bail!("no room for a rollout") };
                    lane.half.refill(spare);
                }
                let steps = learner.rollout_steps();
                let news = step_all(&mut lanes.lanes, (env_steps, steps), plan)?;
                pool(&mut lanes.lanes)?;
                for (index, lane) in lanes.lanes.iter_mut().enumerate() {
                    lanes.inbox[index].extend(lane.as_mut().and_then(Lane::take));
                }
                let (spare, inbox) = (&mut lanes.spare, &mut lanes.inbox);
                learn_from(learner, inbox, plan.envs_per_lane, |recorded| spare.push(recorded), |_| {})?;
                lanes.trainings += 1;
                (steps, news)
            }
            _ => bail!("the lanes are those of another kind of agent"),
        };
        if matches!(self.lanes, Lanes::OffPolicy(_)) {
            agent.learn()?;
        }
        for lane in news {
            lane.episodes.into_iter().for_each(|(sum, steps)| listener.episode(sum, steps));
            for message in lane.failures {
                warn_of(listener, &message);
                *failure = failed(failures, plan.actors.max_failures, &message).or(failure.take());
            }
        }
        Ok(steps)
    }
}

/// Lets every lane know what all have seen, in their order. One alone knows it, to the last bit.
fn pool<H: Half>(lanes: &mut [Option<Lane<H>>]) -> Result<()> {
    lanes.iter_mut().flatten().for_each(Lane::contribute);
    if lanes.len() == 1 {
        return Ok(());
    }
    Ok(lanes.iter_mut().flatten().try_for_each(Lane::follow_pool)?)
}

/// What happened in a lane in a round.
struct LaneNews {
    episodes: Vec<(f64, u64)>,
    failures: Vec<String>,
}

/// So many steps of every lane, the lanes shared out among the actors.
fn step_all<H: Half>(
    lanes: &mut [Option<Lane<H>>],
    (env_steps, steps): (u64, usize),
    plan: &Plan,
) -> Result<Vec<LaneNews>> {
    let share = lanes.len().div_ceil(plan.actors.count);
    let all = thread::scope(|scope| -> Result<Vec<_>> {
        let run = |own: &mut [Option<Lane<H>>]| -> Result<Vec<LaneNews>> {
            own.iter_mut().flatten().map(|lane| step_lane(lane, (env_steps, steps), plan)).collect()
        };
        // This thread is the first actor.
        let (first, others) = lanes.split_at_mut(share.min(lanes.len()));
        let spawned = others.chunks_mut(share).enumerate().map(|(index, own)| {
            let name = format!("actor-{}", index + 1);
            thread::Builder::new().name(name).spawn_scoped(scope, move || {
                tch::set_num_threads(1);
                run(own)
            })
        });
        let spawned: Vec<_> = spawned.collect::<Result<_, _>>()?;
        let first = run(first);
        std::iter::once(Ok(first)).chain(spawned.into_iter().map(join)).collect()
    })?;
    let all: Vec<Vec<LaneNews>> = all.into_iter().collect::<Result<_>>()?;
    Ok(all.into_iter().flatten().collect())
}

fn step_lane<H: Half>(lane: &mut Lane<H>, (first, steps): (u64, usize), plan: &Plan) -> Result<LaneNews> {
    let mut failures = Vec::new();
    for step in 0..steps {
        let env_steps = first + (step * plan.num_envs) as u64;
        let mut tries = 0;
        while let Stepped::Failed(error) = lane.step(env_steps, None)? {
            failures.push(error.to_string());
            tries += 1;
            // A round must be made whole: too many failures stop the run after it, unless it does not come to an end.
            if tries > plan.actors.max_failures {
                bail!("an environment fails again and again: {error}");
            }
            lane.replace_envs(&plan.factory, plan.seed)?;
        }
    }
    Ok(LaneNews { episodes: lane.ended.drain(..).collect(), failures })
}
