//! The driver of a training with actors: it owns the lanes and runs one phase after the other.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use pavlov_agents::{Agent, Halves};
use pavlov_envs::{EnvFactory, ObservationNormalizer, SeenStatistics, VectorOptions};
use pavlov_group::Group;
use pavlov_nn::{StateDict, StateView};

use super::failures::Failures;
use super::lanes::{Lanes, WRONG_KIND};
use super::listener::{Listener, PhaseEnd};
use super::lockstep;
use super::plan::Plan;
use crate::config::{ActorMode, RunConfig};

/// A training with actors.
pub struct Driver {
    plan: Plan,
    lanes: Lanes,
    /// The normaliser of observations without statistics, if a wrapper normalises them.
    normalizer: Option<ObservationNormalizer>,
    failures: Failures,
}

impl Driver {
    /// A new training. Its environments are made and reset.
    ///
    /// # Errors
    /// When the agent can only act and learn in turns, or an environment cannot be made.
    pub fn new(
        config: &RunConfig,
        factory: &EnvFactory,
        agent: &mut dyn Agent,
        group: &Group,
    ) -> Result<Self> {
        let probe = factory.make_vector(&VectorOptions::new(1))?;
        let plan = Plan::new(config, factory, probe.as_ref(), group);
        let Some(lanes) = Lanes::new(agent, &plan)? else {
            bail!(
                "{} acts and learns in turns only: train it without --actors (--set env_threads=N steps environments in \
                 threads)",
                config.agent
            );
        };
        let failures = Failures::new(config.actors.max_failures);
        Ok(Self { plan, lanes, normalizer: probe.observation_normalizer().cloned(), failures })
    }

    /// Goes on with these statistics of observations in all lanes.
    ///
    /// # Errors
    /// When they are of other observations.
    pub fn follow(&mut self, seen: SeenStatistics) -> Result<()> {
        self.plan.pool.set(seen);
        Ok(self.lanes.follow_pool()?)
    }

    /// Trains from `env_steps.start` to `env_steps.end`, or until `stop` is set or environments have failed
    /// too often. All threads have ended when this returns.
    ///
    /// # Errors
    /// When the policy or the learner fails.
    pub fn phase(
        &mut self,
        agent: &mut dyn Agent,
        env_steps: Range<u64>,
        stop: &AtomicBool,
        listener: &mut dyn Listener,
    ) -> Result<PhaseEnd> {
        let Self { plan, lanes, failures, .. } = self;
        if plan.actors.mode == ActorMode::Lockstep {
            return lockstep::phase(lanes, agent, plan, failures, env_steps, stop, listener);
        }
        let end = match (lanes, agent.halves()) {
            (Lanes::OffPolicy(lanes), Some(Halves::OffPolicy(halves))) => {
                lanes.phase(halves, plan, failures, env_steps.end, stop, listener)?
            }
            (Lanes::OnPolicy(lanes), Some(Halves::OnPolicy(learner))) => {
                lanes.phase(learner, plan, failures, env_steps, stop, listener)?
            }
            _ => bail!(WRONG_KIND),
        };
        plan.pool.exchange(&plan.group)?;
        let failure = plan.agree_on_failure(end.failure)?;
        Ok(PhaseEnd { failure, ..end })
    }

    /// The normaliser of observations with the statistics of all lanes, if a wrapper normalises them.
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

    /// Adds the lanes to the state to be saved.
    ///
    /// # Errors
    /// When a value cannot be expressed.
    pub fn put_state<'a>(&'a self, state: &mut StateDict<'a>) -> Result<()> {
        state.put_value("actors.failures", &self.failures.count)?;
        state.put_value("actors.seen", &self.plan.pool.get())?;
        self.lanes.put_state(state)
    }

    /// Continues from saved lanes, after `env_steps`. Returns true if exactly; false if environments cannot
    /// be saved and begin anew.
    ///
    /// # Errors
    /// When they do not fit, for instance because they were saved with another number of environments.
    pub fn load_state(
        &mut self,
        agent: &mut dyn Agent,
        state: &StateView<'_>,
        env_steps: u64,
    ) -> Result<bool> {
        self.failures.count =
            state.value("actors.failures").context("the checkpoint is of a run without actors")?;
        self.plan.pool.set(state.value("actors.seen")?);
        self.lanes.load_state(agent, state, &self.plan, env_steps)
    }
}
