//! A training with actors: its lanes, and its phases.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use pavlov_agents::{Agent, AgentError, Halves};
use pavlov_envs::{EnvFactory, ObservationNormalizer, Space, VectorOptions};
use pavlov_nn::{Parameters, StateDict, StateView};

use super::lane::{Half, Lane};
use super::off_policy::{OffPolicyLanes, Segment};
use super::on_policy::OnPolicyLanes;
use super::pool::Pool;
use crate::config::{ActorConfig, ActorMode, InferenceMode, RunConfig};

/// What a training with actors says while it goes on.
pub trait Listener {
    /// An episode ended: its return and its length.
    fn episode(&mut self, sum: f64, steps: u64);
    /// What there is to log of the threads.
    fn learned(&mut self, metrics: BTreeMap<String, f64>);
    /// How far things are; called often.
    fn tick(&mut self, env_steps: u64);
    /// Something the user should know.
    fn warn(&mut self, message: &str);
}

/// How a phase ended.
#[derive(Debug)]
pub struct PhaseEnd {
    /// Env steps done since the training began.
    pub env_steps: u64,
    /// Why the run must not go on, if environments failed too often.
    pub failure: Option<String>,
}

/// What lanes are made by.
pub(super) struct Plan {
    pub actors: ActorConfig,
    pub factory: EnvFactory,
    pub pool: Arc<Pool>,
    pub observation_space: Space,
    pub action_space: Space,
    pub seed: u64,
    pub num_envs: usize,
    pub envs_per_lane: usize,
    pub total_env_steps: u64,
    pub log_every: u64,
}

impl Plan {
    pub fn lanes(&self) -> usize {
        self.num_envs / self.envs_per_lane
    }

    /// The weights that a lane acts with, if it runs the network itself. In rounds nobody changes them while lanes act, so
    /// that they can be the learner's own.
    pub fn acting_weights(&self, learned: &Parameters) -> Result<Option<Parameters>, AgentError> {
        Ok(match (self.actors.inference, self.actors.mode) {
            (InferenceMode::Batched, _) => None,
            (InferenceMode::Own, ActorMode::Lockstep) => Some(learned.frozen_view()?),
            (InferenceMode::Own, ActorMode::Free) => Some(learned.frozen_on(tch::Device::Cpu)?),
        })
    }

    /// Room for so many steps of a lane.
    pub fn segment(&self, steps: usize) -> Result<Segment, AgentError> {
        Segment::new(steps, self.envs_per_lane, &self.observation_space, &self.action_space)
    }
}

/// The lanes of one kind of agent.
pub(super) enum Lanes {
    OffPolicy(OffPolicyLanes),
    OnPolicy(OnPolicyLanes),
}

/// A training with actors.
pub struct Driver {
    pub(super) plan: Plan,
    pub(super) lanes: Lanes,
    /// How observations are normalised, having seen nothing.
    normalizer: Option<ObservationNormalizer>,
    /// How often environments have failed.
    pub(super) failures: u64,
}

impl Driver {
    /// The lanes of a new training.
    ///
    /// # Errors
    /// When the agent can only act and learn in turns, or an environment cannot be made.
    pub fn new(config: &RunConfig, factory: &EnvFactory, agent: &mut dyn Agent) -> Result<Self> {
        let probe = factory.make_vector(&VectorOptions::new(1))?;
        let plan = Plan {
            actors: config.actors,
            factory: factory.clone(),
            pool: Arc::default(),
            observation_space: probe.observation_space().clone(),
            action_space: probe.action_space().clone(),
            seed: config.seed,
            num_envs: config.num_envs,
            envs_per_lane: match config.actors.mode {
                ActorMode::Free => config.num_envs / config.actors.count,
                ActorMode::Lockstep => 1,
            },
            total_env_steps: config.env_steps,
            log_every: config.log.every_env_steps,
        };
        let lanes = match agent.halves() {
            None => bail!(
                "{} acts and learns in turns only: train it without --actors (--set env_threads=N steps environments in \
                 threads)",
                config.agent
            ),
            Some(Halves::OffPolicy(halves)) => Lanes::OffPolicy(OffPolicyLanes::new(&halves, &plan)?),
            Some(Halves::OnPolicy(learner)) => Lanes::OnPolicy(OnPolicyLanes::new(learner, &plan)?),
        };
        Ok(Self { plan, lanes, normalizer: probe.observation_normalizer().cloned(), failures: 0 })
    }

    /// Trains from `env_steps` on until `until` are done, the user asks to stop, or environments have failed too often.
    /// All threads have ended when this returns.
    ///
    /// # Errors
    /// When the policy or the learner fails.
    pub fn phase(
        &mut self,
        agent: &mut dyn Agent,
        (env_steps, until): (u64, u64),
        stop: &AtomicBool,
        listener: &mut dyn Listener,
    ) -> Result<PhaseEnd> {
        if self.plan.actors.mode == ActorMode::Lockstep {
            return self.rounds(agent, (env_steps, until), stop, listener);
        }
        let plan = (&self.plan, &mut self.failures);
        match (&mut self.lanes, agent.halves()) {
            (Lanes::OffPolicy(lanes), Some(Halves::OffPolicy(halves))) => {
                lanes.phase(halves, plan, until, (stop, listener))
            }
            (Lanes::OnPolicy(lanes), Some(Halves::OnPolicy(learner))) => {
                lanes.phase(learner, plan, (env_steps, until), (stop, listener))
            }
            _ => bail!("the lanes are those of another kind of agent"),
        }
    }

    /// How observations are normalised, where they are: by what the environments of all lanes have seen.
    ///
    /// # Errors
    /// When the statistics are of other observations.
    pub fn normalizer(&self) -> Result<Option<ObservationNormalizer>> {
        let mut normalizer = self.normalizer.clone();
        if let (Some(normalizer), Some(seen)) = (&mut normalizer, self.plan.pool.get().observations) {
            normalizer.set_statistics(&seen)?;
        }
        Ok(normalizer)
    }

    /// Adds the lanes to what is saved.
    ///
    /// # Errors
    /// When a value cannot be expressed.
    pub fn put_state<'a>(&'a self, state: &mut StateDict<'a>) -> Result<()> {
        state.put_value("actors.failures", &self.failures)?;
        state.put_value("actors.seen", &self.plan.pool.get())?;
        match &self.lanes {
            Lanes::OffPolicy(lanes) => {
                put_lanes(state, &lanes.lanes)?;
                state.put_value("actors.due", &lanes.limiter.due())?;
            }
            Lanes::OnPolicy(lanes) => {
                put_lanes(state, &lanes.lanes)?;
                state.put_value("actors.trainings", &lanes.trainings)?;
                for (index, waiting) in lanes.inbox.iter().enumerate() {
                    state.put_value(&format!("inbox.{index}"), &waiting.len())?;
                    for (number, recorded) in waiting.iter().enumerate() {
                        let name = format!("inbox.{index}.{number}");
                        state.nest(&name, recorded.rollout.state()?);
                        state.put_value(&format!("{name}.version"), &recorded.updates)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Goes on from saved lanes, after `env_steps`. Says whether exactly: environments that cannot be saved begin anew.
    ///
    /// # Errors
    /// When they do not fit, for instance because they were saved with another number of environments.
    pub fn load_state(
        &mut self,
        agent: &mut dyn Agent,
        state: &StateView<'_>,
        env_steps: u64,
    ) -> Result<bool> {
        self.failures =
            state.value("actors.failures").context("the checkpoint is of a run without actors")?;
        self.plan.pool.set(state.value("actors.seen")?);
        let plan = &self.plan;
        match (&mut self.lanes, agent.halves()) {
            (Lanes::OffPolicy(lanes), _) => {
                lanes.limiter = lanes.limiter.after(env_steps, state.value("actors.due")?);
                load_lanes(state, &mut lanes.lanes, plan)
            }
            (Lanes::OnPolicy(lanes), Some(Halves::OnPolicy(learner))) => {
                lanes.trainings = state.value("actors.trainings")?;
                let exact = load_lanes(state, &mut lanes.lanes, plan)?;
                for index in 0..lanes.inbox.len() {
                    let waiting: usize = state.value(&format!("inbox.{index}"))?;
                    for number in 0..waiting {
                        lanes.complete(learner, plan)?;
                        let Some(mut recorded) = lanes.spare.pop() else {
                            bail!("no room for a saved rollout")
                        };
                        let name = format!("inbox.{index}.{number}");
                        recorded.rollout.load_state(&state.part(&name))?;
                        recorded.updates = state.value(&format!("{name}.version"))?;
                        lanes.inbox[index].push_back(recorded);
                    }
                }
                Ok(exact)
            }
            _ => bail!("the lanes are those of another kind of agent"),
        }
    }
}

fn put_lanes<'a, H: Half>(state: &mut StateDict<'a>, lanes: &'a [Option<Lane<H>>]) -> Result<()> {
    state.put_value("lanes", &lanes.len())?;
    for (index, lane) in lanes.iter().enumerate() {
        if let Some(lane) = lane {
            state.nest(&format!("lane.{index}"), lane.state()?);
        }
    }
    Ok(())
}

fn load_lanes<H: Half>(state: &StateView<'_>, lanes: &mut [Option<Lane<H>>], plan: &Plan) -> Result<bool> {
    let saved: usize = state.value("lanes")?;
    if saved != lanes.len() {
        let count = lanes.len();
        bail!(
            "the checkpoint has {saved} lanes, the run {count}: resume with the configuration that it was trained with"
        );
    }
    let mut exact = true;
    for (index, lane) in lanes.iter_mut().enumerate() {
        if let Some(lane) = lane {
            exact &= lane.load_state(&state.part(&format!("lane.{index}")), &plan.factory, plan.seed)?;
        }
    }
    Ok(exact)
}
