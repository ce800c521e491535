//! Training in turns, in one thread: act, step, observe, learn.

use anyhow::{Result, bail};
use pavlov_agents::{Agent, Experience};
use pavlov_common::derive_seed;
use pavlov_envs::{
    ActionBatch, EnvFactory, EnvState, ObsBatch, ObservationNormalizer, Space, StepBatch, VectorEnv,
    VectorOptions,
};
use pavlov_nn::{StateDict, StateView};

use super::episodes::Episodes;
use crate::config::RunConfig;

/// The environments of a training in one thread.
pub(super) struct Turns {
    envs: Box<dyn VectorEnv>,
    observations: ObsBatch,
    actions: ActionBatch,
    step: StepBatch,
    /// True if a step failed: the environments no longer stand where the observations were seen.
    failed: bool,
}

impl Turns {
    /// Environments whose episodes have not begun.
    pub(super) fn new(config: &RunConfig, factory: &EnvFactory) -> Result<Self> {
        let envs = factory.make_vector(&VectorOptions::new(config.num_envs).threads(config.env_threads))?;
        Ok(Self {
            observations: ObsBatch::new(envs.observation_space(), config.num_envs),
            actions: ActionBatch::new(envs.action_space(), config.num_envs)?,
            step: StepBatch::new(envs.observation_space(), config.num_envs),
            failed: false,
            envs,
        })
    }

    /// The space of one environment's observations.
    pub(super) fn observation_space(&self) -> &Space {
        self.envs.observation_space()
    }

    /// The space of one environment's actions.
    pub(super) fn action_space(&self) -> &Space {
        self.envs.action_space()
    }

    /// Begins the episodes.
    pub(super) fn start(&mut self, seed: u64) -> Result<()> {
        Ok(self.envs.reset(Some(derive_seed(seed, "training", 0)), &mut self.observations)?)
    }

    /// One step of every environment, and the updates that are due after it.
    pub(super) fn advance(&mut self, agent: &mut dyn Agent, episodes: &mut Episodes) -> Result<()> {
        agent.act(&self.observations, &mut self.actions)?;
        self.failed = true;
        self.envs.step(&self.actions, &mut self.step)?;
        self.failed = false;
        agent.observe(Experience {
            observations: &self.observations,
            actions: &self.actions,
            step: &self.step,
        })?;
        episodes.observe(&self.step);
        std::mem::swap(&mut self.observations, &mut self.step.observations);
        agent.learn()?;
        Ok(())
    }

    /// The normaliser of observations, if a wrapper normalises them.
    pub(super) fn normalizer(&self) -> Option<&ObservationNormalizer> {
        self.envs.observation_normalizer()
    }

    /// Adds the environments to the state to be saved; after a failed step they begin new episodes instead.
    pub(super) fn put_state<'a>(&'a self, state: &mut StateDict<'a>) -> Result<()> {
        if let Some(saved) = if self.failed { None } else { self.envs.save_state() } {
            state.put_bytes("environments", saved.as_bytes().to_vec());
        }
        let layout = self.observations.layout();
        let rows = self.observations.rows();
        state.put_slice("observations.floats", &[rows, layout.floats], self.observations.floats());
        state.put_slice("observations.bytes", &[rows, layout.bytes], self.observations.bytes());
        Ok(())
    }

    /// Continues with saved environments and returns true. Environments that cannot be saved begin new
    /// episodes, with this seed; the result is false then.
    pub(super) fn load_state(&mut self, view: &StateView<'_>, seed: u64) -> Result<bool> {
        if !view.has_array("environments") {
            self.envs.reset(Some(seed), &mut self.observations)?;
            return Ok(false);
        }
        self.envs.load_state(&EnvState::from_bytes(view.vec("environments")?))?;
        let (floats, bytes): (Vec<f32>, Vec<u8>) =
            (view.vec("observations.floats")?, view.vec("observations.bytes")?);
        if floats.len() != self.observations.floats().len() || bytes.len() != self.observations.bytes().len()
        {
            bail!("the checkpoint's observations do not fit the environment");
        }
        self.observations.floats_mut().copy_from_slice(&floats);
        self.observations.bytes_mut().copy_from_slice(&bytes);
        Ok(true)
    }
}
