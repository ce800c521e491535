//! One acting half of an agent with its environments.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use pavlov_agents::{AgentError, Experience, Inference};
use pavlov_common::{SeededRng, derive_seed};
use pavlov_envs::{
    ActionBatch, EnvError, EnvFactory, EnvState, ObsBatch, StepBatch, VectorEnv, VectorOptions,
};
use pavlov_nn::{Parameters, StateDict, StateView};

use super::inference::Asker;
use super::pool::Pool;
use super::shared::Weights;

/// How a kind of agent acts and records what came of it.
pub(super) trait Half: Send {
    /// What it records into, and hands over.
    type Parcel: Send + 'static;

    /// Whether it has something to record into.
    fn is_ready(&self) -> bool;

    /// Gives it something empty to record into.
    fn refill(&mut self, parcel: Self::Parcel);

    /// Chooses the actions of a step. `env_steps` is how many the training has done.
    fn act(
        &mut self,
        inference: Inference<'_>,
        observations: &ObsBatch,
        env_steps: u64,
        rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError>;

    /// Records what came of them, with weights that had seen so many updates.
    fn observe(&mut self, experience: Experience<'_>, updates: u64);

    /// The environments begin anew, for no reason of their own; `led_to` is what the last recorded step led to.
    fn cut(&mut self, led_to: &ObsBatch);

    /// What was recorded, if it is full; with `early` also if it is not, where that is of use.
    fn take(&mut self, early: bool) -> Option<Self::Parcel>;

    /// What is recorded and not taken yet, and what else it takes to go on.
    fn state(&self) -> Result<StateDict<'_>, AgentError>;

    /// Continues from a saved state; it must have something to record into.
    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError>;
}

/// Environments, and who acts in them.
pub(super) struct Lane<H> {
    pub half: H,
    /// The number of the first environment among those of all lanes.
    pub first_env: usize,
    pub envs: Box<dyn VectorEnv>,
    /// What the environments of all lanes have seen, where wrappers normalise.
    pool: Arc<Pool>,
    pub observations: ObsBatch,
    actions: ActionBatch,
    step: StepBatch,
    /// `None` where somebody else runs the network.
    weights: Option<Parameters>,
    /// Of the weights.
    pub version: u64,
    pub updates: u64,
    rng: SeededRng,
    /// The return and the length of each environment's episode so far.
    episodes: Vec<(f64, u64)>,
    /// Episodes that ended and were not told of yet.
    pub ended: VecDeque<(f64, u64)>,
    /// How often the environments were replaced.
    replaced: u64,
    /// How many full parcels were handed over.
    pub handed_over: u64,
}

/// What became of a step.
pub(super) enum Stepped {
    /// It was made.
    Made,
    /// The environments failed, and nothing was recorded.
    Failed(EnvError),
}

impl<H: Half> Lane<H> {
    /// A lane whose episodes have begun.
    pub fn new(
        half: H,
        weights: Option<Parameters>,
        (factory, num_envs, pool): (&EnvFactory, usize, &Arc<Pool>),
        (first_env, seed): (usize, u64),
    ) -> Result<Self> {
        let mut envs = factory.make_vector(&VectorOptions::new(num_envs))?;
        pool.lead(envs.as_mut())?;
        let mut lane = Self {
            half,
            first_env,
            observations: ObsBatch::new(envs.observation_space(), num_envs),
            actions: ActionBatch::new(envs.action_space(), num_envs)?,
            step: StepBatch::new(envs.observation_space(), num_envs),
            envs,
            pool: pool.clone(),
            weights,
            version: 0,
            updates: 0,
            rng: SeededRng::seeded(derive_seed(seed, "act", first_env as u64)),
            episodes: vec![(0.0, 0); num_envs],
            ended: VecDeque::new(),
            replaced: 0,
            handed_over: 0,
        };
        lane.envs.reset(Some(lane.env_seed(seed)), &mut lane.observations)?;
        Ok(lane)
    }

    /// The first lane's environments have the seeds that those of the plain loop have.
    fn env_seed(&self, seed: u64) -> u64 {
        let training = derive_seed(seed, "training", 0);
        match (self.first_env, self.replaced) {
            (0, 0) => training,
            (first, 0) => derive_seed(training, "lane", first as u64),
            (first, replaced) => {
                derive_seed(derive_seed(training, "lane", first as u64), "replaced", replaced)
            }
        }
    }

    pub fn num_envs(&self) -> usize {
        self.episodes.len()
    }

    /// Whether it waits for weights of its own.
    pub fn runs_its_network(&self) -> bool {
        self.weights.is_some()
    }

    /// Acts with these weights from now on.
    pub fn follow(&mut self, version: u64, weights: &Weights) -> Result<(), AgentError> {
        if let Some(own) = &mut self.weights {
            own.set_values(&weights.values)?;
        }
        (self.version, self.updates) = (version, weights.updates);
        Ok(())
    }

    /// What was recorded, if it is full.
    pub fn take(&mut self) -> Option<H::Parcel> {
        let parcel = self.half.take(false);
        self.handed_over += u64::from(parcel.is_some());
        parcel
    }

    /// Adds what its environments have seen to what those of all lanes have.
    pub fn contribute(&mut self) {
        self.pool.add(self.envs.as_mut());
    }

    /// Its environments go on with what those of all lanes have seen.
    pub fn follow_pool(&mut self) -> Result<(), EnvError> {
        self.pool.lead(self.envs.as_mut())
    }

    /// One step of the environments, which the half records. Who has no weights asks `others`.
    pub fn step(&mut self, env_steps: u64, others: Option<&Asker>) -> Result<Stepped, AgentError> {
        let inference = match (&self.weights, others) {
            (Some(own), _) => Inference::Own(own),
            (None, Some(others)) => Inference::Batched(others),
            (None, None) => return Err(AgentError::State("a lane has nobody to run its network".into())),
        };
        self.half.act(inference, &self.observations, env_steps, &mut self.rng, &mut self.actions)?;
        self.updates = others.map_or(self.updates, Asker::updates);
        if let Err(error) = self.envs.step(&self.actions, &mut self.step) {
            return Ok(Stepped::Failed(error));
        }
        let experience =
            Experience { observations: &self.observations, actions: &self.actions, step: &self.step };
        self.half.observe(experience, self.updates);
        for (row, episode) in self.episodes.iter_mut().enumerate() {
            if self.step.resets[row] {
                continue;
            }
            episode.0 += self.step.raw_rewards[row];
            episode.1 += 1;
            if self.step.raw_ends[row].is_over() {
                self.ended.push_back(std::mem::take(episode));
            }
        }
        std::mem::swap(&mut self.observations, &mut self.step.observations);
        Ok(Stepped::Made)
    }

    /// Puts new environments in place of those that failed or did not answer.
    pub fn replace_envs(&mut self, factory: &EnvFactory, seed: u64) -> Result<(), EnvError> {
        self.half.cut(&self.observations);
        self.replaced += 1;
        self.contribute();
        self.envs = factory.make_vector(&VectorOptions::new(self.num_envs()))?;
        self.pool.lead(self.envs.as_mut())?;
        self.episodes.fill((0.0, 0));
        self.envs.reset(Some(self.env_seed(seed)), &mut self.observations)
    }

    /// Everything to go on from; the environments only if they can be saved.
    pub fn state(&self) -> Result<StateDict<'_>> {
        let mut state = StateDict::new();
        state.nest("half", self.half.state()?);
        state.put_value("rng", &self.rng)?;
        state.put_value("episodes", &self.episodes)?;
        state.put_value("ended", &self.ended)?;
        state.put_value("replaced", &self.replaced)?;
        state.put_value("handed_over", &self.handed_over)?;
        let layout = self.observations.layout();
        let rows = self.observations.rows();
        state.put_slice("floats", &[rows, layout.floats], self.observations.floats());
        state.put_slice("bytes", &[rows, layout.bytes], self.observations.bytes());
        if let Some(saved) = self.envs.save_state() {
            state.put_bytes("environments", saved.as_bytes().to_vec());
        }
        Ok(state)
    }

    /// Goes on from a saved state. Says whether exactly: environments that cannot be saved begin anew.
    pub fn load_state(&mut self, state: &StateView<'_>, factory: &EnvFactory, seed: u64) -> Result<bool> {
        self.half.load_state(&state.part("half")).context("a lane does not fit the agent")?;
        self.rng = state.value("rng")?;
        self.episodes = state.value("episodes")?;
        self.ended = state.value("ended")?;
        self.replaced = state.value("replaced")?;
        self.handed_over = state.value("handed_over")?;
        let (floats, bytes): (Vec<f32>, Vec<u8>) = (state.vec("floats")?, state.vec("bytes")?);
        if floats.len() != self.observations.floats().len() || bytes.len() != self.observations.bytes().len()
        {
            bail!("the checkpoint's observations do not fit the environment");
        }
        self.observations.floats_mut().copy_from_slice(&floats);
        self.observations.bytes_mut().copy_from_slice(&bytes);
        let saved = state.has_array("environments");
        match saved {
            true => self.envs.load_state(&EnvState::from_bytes(state.vec("environments")?))?,
            false => self.replace_envs(factory, seed)?,
        }
        Ok(saved)
    }
}
