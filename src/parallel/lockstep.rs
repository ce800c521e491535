//! Phases in lock step: rounds in a fixed order, which give the same numbers for any number of actors.
//!
//! In a round every lane makes the same number of steps with the same weights, up to the next update phase.
//! Then the experience is handed over in the order of steps and environments, and the agent learns. Each lane
//! has one environment and is computed alone, so that it does not matter which thread runs it.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, bail};
use pavlov_agents::off_policy::OffPolicyHalves;
use pavlov_agents::on_policy::RolloutLearner;
use pavlov_agents::{Agent, Halves};

use super::crew::join;
use super::failures::Failures;
use super::lane::{Half, Lane, Stepped};
use super::lanes::{Lanes, WRONG_KIND};
use super::listener::{Episode, Listener, PhaseEnd, warn_of_failure};
use super::off_policy::{OffPolicyLanes, Segment};
use super::on_policy::{OnPolicyLanes, learn_from};
use super::plan::Plan;

/// Trains from `env_steps.start` to `env_steps.end`, or until `stop` is set or environments have failed too
/// often.
pub(super) fn phase(
    lanes: &mut Lanes,
    agent: &mut dyn Agent,
    plan: &Plan,
    failures: &mut Failures,
    mut env_steps: Range<u64>,
    stop: &AtomicBool,
    listener: &mut dyn Listener,
) -> Result<PhaseEnd> {
    let mut failure = None;
    let asked = |listener: &dyn Listener| stop.load(Ordering::Relaxed) || listener.wants_stop();
    while !env_steps.is_empty() && failure.is_none() && !asked(listener) {
        let Round { steps, news } = round(lanes, agent, plan, &env_steps)?;
        for lane in news {
            lane.episodes.into_iter().for_each(|episode| listener.episode(episode));
            for message in lane.failures {
                warn_of_failure(listener, &message);
                failure = failures.note(&message).or(failure);
            }
        }
        failure = plan.agree_on_failure(failure)?;
        let (before, every) = (env_steps.start, plan.log_every_env_steps);
        env_steps.start += steps as u64 * plan.num_envs as u64;
        // The metrics at the end of the phase are taken by its caller.
        if env_steps.start / every > before / every && !env_steps.is_empty() {
            let metrics = agent.take_metrics()?;
            listener.learned(metrics.into_iter().map(|(tag, value)| (tag.to_string(), value)).collect());
        }
        listener.tick(env_steps.start);
    }
    Ok(PhaseEnd { env_steps: env_steps.start, failure })
}

/// The outcome of a round.
struct Round {
    /// The steps of each lane.
    steps: usize,
    news: Vec<LaneNews>,
}

/// The episodes and failures of a lane in a round.
struct LaneNews {
    episodes: Vec<Episode>,
    failures: Vec<String>,
}

/// One round: steps, the hand-over, and the updates that are due.
fn round(lanes: &mut Lanes, agent: &mut dyn Agent, plan: &Plan, env_steps: &Range<u64>) -> Result<Round> {
    match (lanes, agent.halves()) {
        (Lanes::OffPolicy(lanes), Some(Halves::OffPolicy(halves))) => {
            let round = off_policy_round(lanes, halves, plan, env_steps)?;
            agent.learn()?;
            Ok(round)
        }
        (Lanes::OnPolicy(lanes), Some(Halves::OnPolicy(learner))) => {
            on_policy_round(lanes, learner, plan, env_steps.start)
        }
        _ => bail!(WRONG_KIND),
    }
}

/// Steps all lanes up to the next update phase and inserts the experience into the replay.
fn off_policy_round(
    lanes: &mut OffPolicyLanes,
    halves: OffPolicyHalves<'_>,
    plan: &Plan,
    env_steps: &Range<u64>,
) -> Result<Round> {
    let every = halves.setup.train_every_env_steps;
    let left = (every - env_steps.start % every).min(env_steps.end - env_steps.start);
    let steps = left.div_ceil(plan.num_envs as u64) as usize;
    let most = every.div_ceil(plan.num_envs as u64) as usize;
    for lane in lanes.lanes.iter_mut().flatten() {
        let segment = lanes.segments.pop();
        lane.half.refill(segment.map_or_else(|| Segment::new(most, plan), Ok)?);
    }
    let news = step_all(&mut lanes.lanes, env_steps.start, steps, plan)?;
    pool_statistics(&mut lanes.lanes, plan)?;
    let segments: Vec<_> = lanes.lanes.iter_mut().flatten().filter_map(|lane| lane.half.take(true)).collect();
    for step in 0..steps {
        segments.iter().for_each(|segment| segment.insert(step, halves.store));
        halves.pace.observe(plan.num_envs as u64);
    }
    lanes.segments.extend(segments);
    Ok(Round { steps, news })
}

/// Steps all lanes for a whole rollout and learns from it.
fn on_policy_round(
    lanes: &mut OnPolicyLanes,
    learner: &mut dyn RolloutLearner,
    plan: &Plan,
    env_steps: u64,
) -> Result<Round> {
    lanes.complete(learner, plan)?;
    for lane in lanes.lanes.iter_mut().flatten().filter(|lane| !lane.half.is_ready()) {
        let Some(spare) = lanes.spare.pop() else { bail!("no room for a rollout") };
        lane.half.refill(spare);
    }
    let steps = learner.rollout_steps();
    let news = step_all(&mut lanes.lanes, env_steps, steps, plan)?;
    pool_statistics(&mut lanes.lanes, plan)?;
    for (index, lane) in lanes.lanes.iter_mut().enumerate() {
        lanes.inbox[index].extend(lane.as_mut().and_then(Lane::take));
    }
    let (spare, inbox) = (&mut lanes.spare, &mut lanes.inbox);
    learn_from(learner, inbox, plan.envs_per_lane, |recorded| spare.push(recorded), |_| {})?;
    lanes.update_phases += 1;
    Ok(Round { steps, news })
}

/// Gives every lane the statistics of all lanes, added up in their order. A single lane has them already, to
/// the last bit.
fn pool_statistics<H: Half>(lanes: &mut [Option<Lane<H>>], plan: &Plan) -> Result<()> {
    lanes.iter_mut().flatten().for_each(Lane::contribute);
    plan.pool.exchange(&plan.group)?;
    if lanes.len() == 1 && plan.group.is_alone() {
        return Ok(());
    }
    Ok(lanes.iter_mut().flatten().try_for_each(Lane::follow_pool)?)
}

/// Makes so many steps of every lane, with the lanes shared out among the actors.
fn step_all<H: Half>(
    lanes: &mut [Option<Lane<H>>],
    env_steps: u64,
    steps: usize,
    plan: &Plan,
) -> Result<Vec<LaneNews>> {
    let share = lanes.len().div_ceil(plan.actors.count);
    let all = thread::scope(|scope| -> Result<Vec<_>> {
        let run = |own: &mut [Option<Lane<H>>]| -> Result<Vec<LaneNews>> {
            own.iter_mut().flatten().map(|lane| step_lane(lane, env_steps, steps, plan)).collect()
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

/// Makes so many steps of one lane, the first of them after `env_steps`.
fn step_lane<H: Half>(lane: &mut Lane<H>, env_steps: u64, steps: usize, plan: &Plan) -> Result<LaneNews> {
    let mut failures = Vec::new();
    for step in 0..steps {
        let env_steps = env_steps + (step * plan.num_envs) as u64;
        let mut tries = 0;
        while let Stepped::Failed(error) = lane.step(env_steps, None)? {
            failures.push(error.to_string());
            tries += 1;
            // Too many failures stop the training after the round, which must be whole; but not if a step
            // never succeeds.
            if tries > plan.actors.max_failures {
                bail!("an environment fails again and again: {error}");
            }
            lane.replace_envs(&plan.factory, plan.seed)?;
        }
    }
    Ok(LaneNews { episodes: lane.ended.drain(..).collect(), failures })
}
