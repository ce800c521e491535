//! Training in turns, in one thread: act, step, observe, learn.

use anyhow::{Context, Result, bail};
use pavlov_agents::{Agent, Experience};
use pavlov_common::derive_seed;
use pavlov_envs::{
    ActionBatch, EnvFactory, EnvState, ObsBatch, ObservationNormalizer, SeenStatistics, Space, StepBatch,
    VectorEnv, VectorOptions,
};
use pavlov_group::Group;
use pavlov_nn::{StateDict, StateView};

use super::episodes::Episodes;
use crate::config::RunConfig;
use crate::parallel::Pool;

/// The statistics of normalising wrappers in a checkpoint whose environments cannot be saved.
const SEEN: &str = "seen";
/// Those of all shards in a checkpoint.
const POOL: &str = "pool";

/// The environments of a training in one thread.
pub(super) struct Turns {
    /// `None` while they are closed.
    envs: Option<Box<dyn VectorEnv>>,
    observation_space: Space,
    action_space: Space,
    observations: ObsBatch,
    actions: ActionBatch,
    step: StepBatch,
    /// True if a step failed: the environments no longer stand where the observations were seen.
    failed: bool,
    group: Group,
    /// The statistics of normalising wrappers over all shards.
    pool: Pool,
    /// True if there is a normalising wrapper.
    normalizes: bool,
}

impl Turns {
    /// Environments whose episodes have not begun.
    pub(super) fn new(config: &RunConfig, factory: &EnvFactory, group: &Group) -> Result<Self> {
        let envs = make(config, factory)?;
        let num_envs = config.envs_of_shard();
        Ok(Self {
            observations: ObsBatch::new(envs.observation_space(), num_envs),
            actions: ActionBatch::new(envs.action_space(), num_envs)?,
            step: StepBatch::new(envs.observation_space(), num_envs),
            failed: false,
            group: group.clone(),
            pool: Pool::default(),
            normalizes: envs.seen() != SeenStatistics::default(),
            observation_space: envs.observation_space().clone(),
            action_space: envs.action_space().clone(),
            envs: Some(envs),
        })
    }

    /// The space of one environment's observations.
    pub(super) fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    /// The space of one environment's actions.
    pub(super) fn action_space(&self) -> &Space {
        &self.action_space
    }

    /// Goes on with these statistics of observations.
    pub(super) fn follow(&mut self, seen: &SeenStatistics) -> Result<()> {
        self.pool.set(seen.clone());
        Ok(open(&mut self.envs)?.follow_seen(seen)?)
    }

    /// Begins the episodes.
    pub(super) fn start(&mut self, seed: u64) -> Result<()> {
        let envs = open(&mut self.envs)?;
        if !self.group.is_alone() {
            // From now on it counts what it sees itself apart.
            self.pool.apply_to(envs.as_mut())?;
        }
        let seed = derive_seed(seed, "training", self.group.shard() as u64);
        envs.reset(Some(seed), &mut self.observations)?;
        self.exchange()
    }

    /// Closes the environments. What it gives is needed to open them again.
    pub(super) fn close(&mut self) -> Result<Closed> {
        let closed = Closed { saved: self.saved(), seen: open(&mut self.envs)?.seen() };
        self.envs = None;
        Ok(closed)
    }

    /// Opens the environments again, where they stood, and returns true. Those that cannot be saved begin new
    /// episodes, with this seed; the result is false then.
    pub(super) fn reopen(
        &mut self,
        (config, factory): (&RunConfig, &EnvFactory),
        closed: Closed,
        agent: &mut dyn Agent,
        seed: u64,
    ) -> Result<bool> {
        let envs = self.envs.insert(make(config, factory)?);
        match closed.saved {
            Some(saved) => {
                envs.load_state(&saved)?;
                Ok(true)
            }
            None => {
                self.begin_anew(&closed.seen, agent, seed)?;
                Ok(false)
            }
        }
    }

    /// New episodes of environments that could not be saved.
    fn begin_anew(&mut self, seen: &SeenStatistics, agent: &mut dyn Agent, seed: u64) -> Result<()> {
        agent.cut(&self.observations);
        let envs = open(&mut self.envs)?;
        envs.follow_seen(seen)?;
        envs.reset(Some(seed), &mut self.observations)?;
        self.failed = false;
        Ok(())
    }

    /// The seed of this shard's environments, of which that of all is given; the first shard's is that itself.
    pub(super) fn seed_of_shard(&self, seed: u64) -> u64 {
        match self.group.shard() {
            0 => seed,
            shard => derive_seed(seed, "shard", shard as u64),
        }
    }

    /// The state of the environments; `None` where one cannot be saved, or a step failed.
    fn saved(&self) -> Option<EnvState> {
        self.envs.as_ref().filter(|_| !self.failed)?.save_state()
    }

    /// One step of every environment, and the updates that are due after it.
    pub(super) fn advance(&mut self, agent: &mut dyn Agent, episodes: &mut Episodes) -> Result<()> {
        agent.act(&self.observations, &mut self.actions)?;
        self.failed = true;
        open(&mut self.envs)?.step(&self.actions, &mut self.step)?;
        self.failed = false;
        agent.observe(Experience {
            observations: &self.observations,
            actions: &self.actions,
            step: &self.step,
        })?;
        episodes.observe(&self.step);
        std::mem::swap(&mut self.observations, &mut self.step.observations);
        if agent.learn()? > 0 {
            self.exchange()?;
        }
        Ok(())
    }

    /// Gives the normalising wrappers the statistics of all shards, which are the same everywhere after it.
    fn exchange(&mut self) -> Result<()> {
        if self.group.is_alone() || !self.normalizes {
            return Ok(());
        }
        let envs = open(&mut self.envs)?;
        self.pool.add(envs.as_mut());
        self.pool.exchange(&self.group)?;
        Ok(self.pool.apply_to(envs.as_mut())?)
    }

    /// The normaliser of observations, if a wrapper normalises them. Among several shards it is the one that all
    /// have.
    pub(super) fn normalizer(&self) -> Result<Option<ObservationNormalizer>> {
        let own = self.envs.as_ref().and_then(|envs| envs.observation_normalizer());
        let mut normalizer = own.cloned();
        if let (false, Some(normalizer), Some(all)) =
            (self.group.is_alone(), &mut normalizer, self.pool.get().observations)
        {
            normalizer.set_statistics(&all)?;
        }
        Ok(normalizer)
    }

    /// Adds the environments to the state to be saved; after a failed step they begin new episodes instead.
    pub(super) fn put_state<'a>(&'a self, state: &mut StateDict<'a>) -> Result<()> {
        let is_alone = self.group.is_alone();
        let seen =
            || if is_alone { self.envs.as_ref().map(|envs| envs.seen()) } else { Some(self.pool.get()) };
        match self.saved() {
            Some(saved) => state.put_bytes("environments", saved.as_bytes().to_vec()),
            None => state.put_value(SEEN, &seen())?,
        }
        if !is_alone {
            state.put_value(POOL, &self.pool.get())?;
        }
        let layout = self.observations.layout();
        let rows = self.observations.rows();
        state.put_slice("observations.floats", &[rows, layout.floats], self.observations.floats());
        state.put_slice("observations.bytes", &[rows, layout.bytes], self.observations.bytes());
        Ok(())
    }

    /// Continues with saved environments and returns true. Environments that cannot be saved begin new
    /// episodes, with this seed; the result is false then.
    pub(super) fn load_state(
        &mut self,
        view: &StateView<'_>,
        agent: &mut dyn Agent,
        seed: u64,
    ) -> Result<bool> {
        let (floats, bytes): (Vec<f32>, Vec<u8>) =
            (view.vec("observations.floats")?, view.vec("observations.bytes")?);
        if floats.len() != self.observations.floats().len() || bytes.len() != self.observations.bytes().len()
        {
            bail!("the checkpoint's observations do not fit the environment");
        }
        self.observations.floats_mut().copy_from_slice(&floats);
        self.observations.bytes_mut().copy_from_slice(&bytes);
        if !self.group.is_alone() {
            self.pool.set(view.value(POOL)?);
        }
        if view.has_array("environments") {
            open(&mut self.envs)?.load_state(&EnvState::from_bytes(view.vec("environments")?))?;
            return Ok(true);
        }
        let seen = view.value::<Option<SeenStatistics>>(SEEN)?.unwrap_or_default();
        self.begin_anew(&seen, agent, seed)?;
        Ok(false)
    }
}

/// Environments that were closed for a while.
pub(super) struct Closed {
    saved: Option<EnvState>,
    seen: SeenStatistics,
}

fn make(config: &RunConfig, factory: &EnvFactory) -> Result<Box<dyn VectorEnv>> {
    Ok(factory.make_vector(&VectorOptions::new(config.envs_of_shard()).threads(config.env_threads))?)
}

fn open(envs: &mut Option<Box<dyn VectorEnv>>) -> Result<&mut Box<dyn VectorEnv>> {
    envs.as_mut().context("the environments are closed")
}
