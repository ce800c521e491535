//! A lane: one acting half of an agent and the environments that it acts in.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use pavlov_agents::{AgentError, Experience, Inference};
use pavlov_common::{SeededRng, derive_seed};
use pavlov_envs::{
    ActionBatch, EnvError, EnvFactory, EnvState, EpisodeInfos, ObsBatch, RunningInfos, StepBatch, VectorEnv,
    VectorOptions,
};
use pavlov_nn::{Parameters, StateDict, StateView};

use super::inference::InferenceClient;
use super::listener::Episode;
use super::plan::Plan;
use super::pool::Pool;
use super::weights::PublishedWeights;

/// The acting half of a kind of agent: chooses actions and records the experience.
pub(super) trait Half: Send {
    /// The record that it fills and hands over.
    type Parcel: Send + 'static;

    /// Returns true if it has a record to fill.
    fn is_ready(&self) -> bool;

    /// Gives it an empty record to fill.
    fn refill(&mut self, parcel: Self::Parcel);

    /// Chooses the actions of a step. `env_steps` counts those of the whole training so far.
    fn act(
        &mut self,
        inference: Inference<'_>,
        observations: &ObsBatch,
        env_steps: u64,
        rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError>;

    /// Records the experience of a step, whose actions come from weights that had seen so many updates.
    fn observe(&mut self, experience: Experience<'_>, updates: u64);

    /// Truncates the running episodes, since the environments are replaced; `led_to` are the observations
    /// after the last recorded step.
    fn cut(&mut self, led_to: &ObsBatch);

    /// Takes the record if it is full; with `early` also a part of one, if the learning side can use it.
    fn take(&mut self, early: bool) -> Option<Self::Parcel>;

    /// Everything to continue from, the record included.
    fn state(&self) -> Result<StateDict<'_>, AgentError>;

    /// Continues from a saved state; it must have a record to fill.
    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError>;
}

/// Environments and the half that acts in them.
pub(super) struct Lane<H> {
    pub half: H,
    /// The number of its first environment, counted over all lanes.
    pub first_env: usize,
    pub envs: Box<dyn VectorEnv>,
    /// Statistics of the wrappers that normalise, over the environments of all lanes.
    pool: Arc<Pool>,
    pub observations: ObsBatch,
    actions: ActionBatch,
    step: StepBatch,
    /// `None` where the inference thread runs the network.
    weights: Option<Parameters>,
    /// The version of the weights.
    pub version: u64,
    /// The updates that the weights had seen.
    pub updates: u64,
    rng: SeededRng,
    /// The return and the length of each environment's episode so far.
    episodes: Vec<(f64, u64)>,
    /// The infos of each environment's episode so far.
    infos: RunningInfos,
    /// The episodes that have ended and were not reported yet.
    pub ended: VecDeque<Episode>,
    /// The number of times that the environments were replaced.
    replaced: u64,
    /// The number of full records that were handed over.
    pub handed_over: u64,
}

/// The outcome of a step.
pub(super) enum Stepped {
    /// The step was made and recorded.
    Made,
    /// The environments failed, and nothing was recorded.
    Failed(EnvError),
}

impl<H: Half> Lane<H> {
    /// Lane number `index` of the plan. Its episodes have begun.
    pub fn new(half: H, weights: Option<Parameters>, plan: &Plan, index: usize) -> Result<Self> {
        let (num_envs, first_env) = (plan.envs_per_lane, plan.first_env(index));
        let mut envs = plan.factory.make_vector(&VectorOptions::new(num_envs))?;
        plan.pool.apply_to(envs.as_mut())?;
        let mut lane = Self {
            half,
            first_env,
            observations: ObsBatch::new(envs.observation_space(), num_envs),
            actions: ActionBatch::new(envs.action_space(), num_envs)?,
            step: StepBatch::new(envs.observation_space(), num_envs),
            envs,
            pool: plan.pool.clone(),
            weights,
            version: 0,
            updates: 0,
            rng: SeededRng::seeded(derive_seed(plan.seed, "act", first_env as u64)),
            episodes: vec![(0.0, 0); num_envs],
            infos: RunningInfos::default(),
            ended: VecDeque::new(),
            replaced: 0,
            handed_over: 0,
        };
        lane.envs.reset(Some(lane.env_seed(plan.seed)), &mut lane.observations)?;
        Ok(lane)
    }

    /// The seed of the environments. The first lane's is that of a training in turns.
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

    /// Returns true if the lane runs the network itself, with weights of its own.
    pub fn runs_its_network(&self) -> bool {
        self.weights.is_some()
    }

    /// Acts with these weights from now on.
    pub fn follow(&mut self, version: u64, weights: &PublishedWeights) -> Result<(), AgentError> {
        if let Some(own) = &mut self.weights {
            own.set_values(&weights.values)?;
        }
        (self.version, self.updates) = (version, weights.updates);
        Ok(())
    }

    /// Takes the record if it is full.
    pub fn take(&mut self) -> Option<H::Parcel> {
        let parcel = self.half.take(false);
        self.handed_over += u64::from(parcel.is_some());
        parcel
    }

    /// Adds the statistics of its environments to those of all lanes.
    pub fn contribute(&mut self) {
        self.pool.add(self.envs.as_mut());
    }

    /// Gives its environments the statistics of all lanes to go on with.
    pub fn follow_pool(&mut self) -> Result<(), EnvError> {
        self.pool.apply_to(self.envs.as_mut())
    }

    /// Makes one step of the environments and records it. A lane without weights sends its rows to `batched`.
    pub fn step(&mut self, env_steps: u64, batched: Option<&InferenceClient>) -> Result<Stepped, AgentError> {
        let inference = match (&self.weights, batched) {
            (Some(own), _) => Inference::Own(own),
            (None, Some(client)) => Inference::Batched(client),
            (None, None) => {
                return Err(AgentError::State("a lane has neither weights nor an inference thread".into()));
            }
        };
        self.half.act(inference, &self.observations, env_steps, &mut self.rng, &mut self.actions)?;
        self.updates = batched.map_or(self.updates, InferenceClient::updates);
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
            self.infos.add(row, &self.step.infos);
            if self.step.raw_ends[row].is_over() {
                let (sum, length) = std::mem::take(episode);
                self.ended.push_back(Episode { sum, length, infos: self.infos.take(row) });
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
        self.follow_pool()?;
        self.episodes.fill((0.0, 0));
        self.infos.forget();
        self.envs.reset(Some(self.env_seed(seed)), &mut self.observations)
    }

    /// Everything to continue from; the environments only if they can be saved.
    pub fn state(&self) -> Result<StateDict<'_>> {
        let mut state = StateDict::new();
        state.nest("half", self.half.state()?);
        state.put_value("rng", &self.rng)?;
        state.put_value("episodes", &self.episodes)?;
        // Two lists, since checkpoints of before have the first one alone.
        let ended: Vec<_> = self.ended.iter().map(|episode| (episode.sum, episode.length)).collect();
        let ended_infos: Vec<_> = self.ended.iter().map(|episode| &episode.infos).collect();
        state.put_value("ended", &ended)?;
        state.put_value("ended_infos", &ended_infos)?;
        state.put_value("infos", &self.infos)?;
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

    /// Continues from a saved state. Returns true if exactly; false if the environments cannot be saved and
    /// begin anew.
    pub fn load_state(&mut self, state: &StateView<'_>, factory: &EnvFactory, seed: u64) -> Result<bool> {
        self.half.load_state(&state.part("half")).context("a lane does not fit the agent")?;
        self.rng = state.value("rng")?;
        self.episodes = state.value("episodes")?;
        let ended: Vec<(f64, u64)> = state.value("ended")?;
        let mut infos = state.value::<Vec<EpisodeInfos>>("ended_infos").unwrap_or_default().into_iter();
        let episode = |(sum, length)| Episode { sum, length, infos: infos.next().unwrap_or_default() };
        self.ended = ended.into_iter().map(episode).collect();
        self.infos = state.value("infos").unwrap_or_default();
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

/// Adds the lanes to the state to be saved.
pub(super) fn put_lanes<'a, H: Half>(state: &mut StateDict<'a>, lanes: &'a [Option<Lane<H>>]) -> Result<()> {
    state.put_value("lanes", &lanes.len())?;
    for (index, lane) in lanes.iter().enumerate() {
        if let Some(lane) = lane {
            state.nest(&format!("lane.{index}"), lane.state()?);
        }
    }
    Ok(())
}

/// Continues all lanes from a saved state. Returns true if exactly, as [`Lane::load_state`] does.
pub(super) fn load_lanes<H: Half>(
    state: &StateView<'_>,
    lanes: &mut [Option<Lane<H>>],
    plan: &Plan,
) -> Result<bool> {
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
