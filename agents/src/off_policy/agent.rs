//! An agent that learns from a replay, as a training loop drives it. What it does with a batch is its learner's business.

use pavlov_envs::{ActionBatch, EnvRng, ObsBatch, Space, StepBatch, derive_seed};
use pavlov_nn::{StateDict, StateView};

use super::{Pace, UnitBox, UpdatesPerTraining};
use crate::checks::at_least_one;
use crate::replay::{Batch, UniformReplay};
use crate::{ActMode, Agent, AgentContext, AgentError, Encoder, Experience, Metrics, Policy, RandomPolicy};

/// What makes a better policy of a batch. Implementing this is all that a new agent of this kind needs.
pub trait OffPolicyLearner: Send {
    /// Chooses actions in training, with the exploration; `rng` draws it.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the network gives NaN.
    fn act(
        &mut self,
        observations: &ObsBatch,
        rng: &mut EnvRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError>;

    /// Takes note of which episodes ended with a step.
    fn observe(&mut self, _step: &StepBatch) {}

    /// One update. Continuous actions of the batch are numbers from -1 to 1. `progress` is the share of training that is
    /// done.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when a loss is no longer finite.
    fn update(&mut self, batch: &Batch, progress: f64) -> Result<(), AgentError>;

    /// A policy with a copy of the present weights.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    fn policy(&self) -> Result<Box<dyn Policy>, AgentError>;

    /// What there is to log since the last call.
    fn take_metrics(&mut self, progress: f64) -> Metrics;

    /// The updates made so far.
    fn updates(&self) -> u64;

    /// The policy's weights.
    ///
    /// # Errors
    /// [`AgentError`] when a tensor cannot be copied.
    fn weights(&self) -> Result<StateDict<'static>, AgentError>;

    /// Takes over the policy's weights.
    ///
    /// # Errors
    /// [`AgentError`] when they do not fit.
    fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), AgentError>;

    /// Everything to continue from.
    ///
    /// # Errors
    /// [`AgentError`] when a tensor cannot be copied.
    fn state(&self) -> Result<StateDict<'_>, AgentError>;

    /// Continues from a saved state.
    ///
    /// # Errors
    /// [`AgentError`] when it does not fit.
    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError>;
}

/// How such an agent is put together.
#[derive(Clone, Copy, Debug)]
pub struct OffPolicySetup {
    /// Transitions per update.
    pub batch_size: usize,
    /// Transitions that the replay holds.
    pub replay_capacity: usize,
    /// Env steps before the first update.
    pub warmup_env_steps: u64,
    /// Env steps from one training to the next.
    pub train_every_env_steps: u64,
    /// Updates of one training.
    pub updates_per_training: UpdatesPerTraining,
}

impl OffPolicySetup {
    /// Checks the numbers of a configuration.
    ///
    /// # Errors
    /// [`AgentError::Config`] naming the one that makes no sense.
    pub fn validate(&self) -> Result<(), AgentError> {
        at_least_one("batch_size", self.batch_size as u64)?;
        at_least_one("train_every_env_steps", self.train_every_env_steps)?;
        if let UpdatesPerTraining::Count(count) = self.updates_per_training {
            at_least_one("updates_per_training", count)?;
        }
        if self.batch_size > self.replay_capacity {
            let (batch, capacity) = (self.batch_size, self.replay_capacity);
            return Err(AgentError::Config(format!(
                "batch_size ({batch}) is above replay_capacity ({capacity}): raise the capacity or lower the batch"
            )));
        }
        Ok(())
    }
}

/// A learner with its replay.
#[derive(Debug)]
pub struct OffPolicyAgent<L> {
    learner: L,
    pace: Pace,
    encoder: Encoder,
    /// The bounds of continuous actions, and room for those that the replay takes.
    unit: Option<(UnitBox, ActionBatch)>,
    replay: UniformReplay,
    batch: Batch,
    /// What acts until the first update.
    random: RandomPolicy,
    /// Draws the actions.
    act_rng: EnvRng,
    /// Draws the batches.
    sample_rng: EnvRng,
}

impl<L: OffPolicyLearner> OffPolicyAgent<L> {
    /// An untrained agent around this learner. `bounds` are those of continuous actions.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn new(
        learner: L,
        setup: &OffPolicySetup,
        bounds: Option<UnitBox>,
        context: &AgentContext,
    ) -> Result<Self, AgentError> {
        let (observations, actions): (&Space, &Space) = (&context.observation_space, &context.action_space);
        let encoder = Encoder::new(observations);
        let seed = |purpose| EnvRng::seeded(derive_seed(context.seed, purpose, 0));
        let room = ActionBatch::new(actions, context.num_envs)?;
        Ok(Self {
            learner,
            pace: Pace::new(setup, context.total_env_steps),
            unit: bounds.map(|bounds| (bounds, room)),
            replay: UniformReplay::new(setup.replay_capacity, observations, actions)?,
            batch: Batch::new(setup.batch_size, &encoder, actions)?,
            encoder,
            random: RandomPolicy::new(observations, actions),
            act_rng: seed("act"),
            sample_rng: seed("sample"),
        })
    }
}

/// Writes the actions as the policy knows them, from -1 to 1.
fn to_unit(bounds: &UnitBox, actions: &ActionBatch, unit: &mut ActionBatch) {
    let (ActionBatch::Box { points, width }, ActionBatch::Box { points: unit, .. }) = (actions, unit) else {
        return;
    };
    unit.resize(points.len(), 0.0);
    for (point, unit) in points.chunks_exact(*width).zip(unit.chunks_exact_mut(*width)) {
        bounds.to_unit(point, unit);
    }
}

impl<L: OffPolicyLearner> Agent for OffPolicyAgent<L> {
    fn act(&mut self, observations: &ObsBatch, actions: &mut ActionBatch) -> Result<(), AgentError> {
        if self.pace.is_warming_up() {
            return self.random.act(observations, ActMode::Explore, &mut self.act_rng, actions);
        }
        self.learner.act(observations, &mut self.act_rng, actions)
    }

    fn observe(&mut self, experience: Experience<'_>) -> Result<(), AgentError> {
        match &mut self.unit {
            None => self.replay.insert(experience),
            Some((bounds, unit)) => {
                to_unit(bounds, experience.actions, unit);
                self.replay.insert(Experience { actions: unit, ..experience });
            }
        }
        self.learner.observe(experience.step);
        self.pace.observe(experience.observations.rows());
        Ok(())
    }

    fn learn(&mut self) -> Result<u64, AgentError> {
        let updates = self.pace.updates_due();
        for _ in 0..updates {
            let count = self.batch.capacity();
            self.replay.sample(&mut self.sample_rng, &self.encoder, count, &mut self.batch)?;
            self.learner.update(&self.batch, self.pace.progress())?;
        }
        Ok(updates)
    }

    fn policy(&self) -> Result<Box<dyn Policy>, AgentError> {
        self.learner.policy()
    }

    fn take_metrics(&mut self) -> Result<Metrics, AgentError> {
        let mut metrics = self.learner.take_metrics(self.pace.progress());
        metrics.insert("train/n_updates", self.learner.updates() as f64);
        metrics.insert("train/replay_size", self.replay.len() as f64);
        Ok(metrics)
    }

    fn updates(&self) -> u64 {
        self.learner.updates()
    }

    fn weights(&self) -> Result<StateDict<'static>, AgentError> {
        self.learner.weights()
    }

    fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), AgentError> {
        self.learner.load_weights(weights)
    }

    fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.nest("learner", self.learner.state()?);
        state.nest("replay", self.replay.state()?);
        state.nest("pace", self.pace.state()?);
        state.put_value("act_rng", &self.act_rng)?;
        state.put_value("sample_rng", &self.sample_rng)?;
        Ok(state)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.learner.load_state(&state.part("learner"))?;
        self.replay.load_state(&state.part("replay"))?;
        self.pace.load_state(&state.part("pace"))?;
        self.act_rng = state.value("act_rng")?;
        self.sample_rng = state.value("sample_rng")?;
        Ok(())
    }
}
