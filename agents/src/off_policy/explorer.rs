//! An agent's manner of acting while it learns: all but the weights. Each call says who runs the network.

use pavlov_common::SeededRng;
use pavlov_envs::{ActionBatch, ObsBatch, StepBatch};
use pavlov_nn::{Parameters, StateDict, StateView};

use crate::acting::{Inference, RandomPolicy, RowNetwork};
use crate::core::{ActMode, AgentError, Metrics, Policy};

/// The acting half of an agent that learns from a replay. The plain loop asks it with the learner's own
/// weights, an actor with a copy of them.
pub trait Explorer: Send {
    /// Writes one action for each row of `observations`. `env_steps` is how many the training has done, over
    /// all environments: exploration may fall with them.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the network gives NaN.
    fn act(
        &mut self,
        inference: Inference<'_>,
        observations: &ObsBatch,
        how: (ActMode, u64),
        rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError>;

    /// The number of numbers that the explorer adds to each action: its memory's state, the action's
    /// probability. They go with the transition through segments and replay
    /// ([`Transitions::extras`](crate::replay::Transitions::extras)).
    fn extras_width(&self) -> usize {
        0
    }

    /// The numbers that were added to the actions of the last call of [`Explorer::act`], `[rows,
    /// extras_width]`.
    fn extras(&self) -> &[f32] {
        &[]
    }

    /// Forgets what environment `row` was like: its next observation begins an episode.
    fn forget(&mut self, _row: usize) {}

    /// Takes note of which episodes ended with a step.
    fn observe(&mut self, _step: &StepBatch) {}

    /// The same, untouched, for environments `first` and on of `total`.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    fn twin(&self, first: usize, total: usize) -> Result<Box<dyn Explorer>, AgentError>;

    /// The network that it asks, for who runs it for many.
    fn network(&self) -> Box<dyn RowNetwork>;

    /// The numbers to log.
    fn metrics(&self, _env_steps: u64) -> Metrics {
        Metrics::new()
    }

    /// Everything to continue from.
    ///
    /// # Errors
    /// [`AgentError`] when a value cannot be expressed.
    fn state(&self) -> Result<StateDict<'_>, AgentError> {
        Ok(StateDict::new())
    }

    /// Continues from a saved state.
    ///
    /// # Errors
    /// [`AgentError`] when it does not fit.
    fn load_state(&mut self, _state: &StateView<'_>) -> Result<(), AgentError> {
        Ok(())
    }
}

/// Acts at random until there is something to follow.
pub struct RandomFirst {
    /// The explorer that acts then.
    pub explorer: Box<dyn Explorer>,
    /// The explorer that acts until then.
    pub random: RandomPolicy,
    /// Until when, in env steps.
    pub warmup_env_steps: u64,
    /// The extras of random actions.
    zeros: Vec<f32>,
}

impl RandomFirst {
    /// Acts at random for so many env steps, then as `explorer` does.
    pub fn new(explorer: Box<dyn Explorer>, random: RandomPolicy, warmup_env_steps: u64) -> Self {
        Self { explorer, random, warmup_env_steps, zeros: Vec::new() }
    }
}

impl Explorer for RandomFirst {
    fn act(
        &mut self,
        inference: Inference<'_>,
        observations: &ObsBatch,
        (mode, env_steps): (ActMode, u64),
        rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        self.zeros.clear();
        if mode == ActMode::Explore && env_steps < self.warmup_env_steps {
            self.zeros.resize(observations.rows() * self.explorer.extras_width(), 0.0);
            return self.random.act(observations, mode, rng, actions);
        }
        self.explorer.act(inference, observations, (mode, env_steps), rng, actions)
    }

    fn extras_width(&self) -> usize {
        self.explorer.extras_width()
    }

    /// Those of random actions are zero.
    fn extras(&self) -> &[f32] {
        match self.zeros.is_empty() {
            true => self.explorer.extras(),
            false => &self.zeros,
        }
    }

    fn forget(&mut self, row: usize) {
        self.explorer.forget(row);
    }

    fn observe(&mut self, step: &StepBatch) {
        self.explorer.observe(step);
    }

    fn twin(&self, first: usize, total: usize) -> Result<Box<dyn Explorer>, AgentError> {
        Ok(Box::new(Self {
            explorer: self.explorer.twin(first, total)?,
            random: self.random.clone(),
            warmup_env_steps: self.warmup_env_steps,
            zeros: Vec::new(),
        }))
    }

    fn network(&self) -> Box<dyn RowNetwork> {
        self.explorer.network()
    }

    fn metrics(&self, env_steps: u64) -> Metrics {
        self.explorer.metrics(env_steps)
    }

    fn state(&self) -> Result<StateDict<'_>, AgentError> {
        self.explorer.state()
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.explorer.load_state(state)
    }
}

/// An explorer with weights of its own.
pub(super) struct OwnPolicy {
    pub explorer: Box<dyn Explorer>,
    pub weights: Parameters,
    pub env_steps: u64,
}

impl Policy for OwnPolicy {
    fn act(
        &mut self,
        observations: &ObsBatch,
        mode: ActMode,
        rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        let how = (mode, self.env_steps);
        self.explorer.act(Inference::Own(&self.weights), observations, how, rng, actions)
    }

    fn forget(&mut self, row: usize) {
        self.explorer.forget(row);
    }
}
