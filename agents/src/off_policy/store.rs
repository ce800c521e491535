//! The replay as an agent uses it: actions between -1 and 1, and a generator that draws the batches.

use pavlov_common::SeededRng;
use pavlov_common::bounds::product;
use pavlov_envs::{Action, ObsLayout};
use pavlov_nn::{StateDict, StateView};
use tch::Device;

use super::{OffPolicySetup, UnitBox};
use crate::agent::AgentContext;
use crate::core::checks::fits;
use crate::core::{AgentError, Experience};
use crate::networks::Encoder;
use crate::replay::{Batch, Replay, Step};

/// Bytes of a transition beside its observations and what the policy adds, about.
const BESIDE_OBSERVATIONS: usize = 48;

/// A replay with what draws from it.
#[derive(Debug)]
pub struct Store {
    replay: Replay,
    /// The bounds of continuous actions, and room for one as the replay takes it.
    unit: Option<(UnitBox, Vec<f32>)>,
    encoder: Encoder,
    action_space: pavlov_envs::Space,
    batch_size: usize,
    /// The number of numbers that the explorer adds to an action.
    extras: usize,
    /// Where batches are learned from.
    device: Device,
    /// Draws the batches.
    rng: SeededRng,
}

impl Store {
    /// An empty one. `bounds` are those of continuous actions.
    ///
    /// # Errors
    /// [`AgentError`] when the setup makes no sense.
    pub fn new(
        setup: &OffPolicySetup,
        bounds: Option<UnitBox>,
        (encoder, extras): (Encoder, usize),
        context: &AgentContext,
    ) -> Result<Self, AgentError> {
        let (observations, actions) = (&context.observation_space, &context.action_space);
        let layout = ObsLayout::new(observations);
        // Transitions take memory as they come; the tree of priorities is there from the start.
        let each = 4 * layout.floats + layout.bytes + 4 * extras + BESIDE_OBSERVATIONS;
        let filled = (setup.replay_capacity as u64).min(context.total_env_steps.saturating_add(1)) as usize;
        let tree = setup.replay.priority_exponent.map_or(0, |_| 32 * setup.replay_capacity);
        fits("replay_capacity", setup.replay_capacity, product([filled, each]) + tree as u128)?;
        Ok(Self {
            replay: Replay::new(
                (setup.replay_capacity, setup.replay),
                setup.discount,
                observations,
                actions,
            )?
            .with_encoder(encoder.clone())
            .with_extras(extras),
            unit: bounds.map(|bounds| (bounds.clone(), vec![0.0; bounds.width()])),
            encoder,
            action_space: actions.clone(),
            batch_size: setup.batch_size,
            extras,
            device: context.device,
            rng: SeededRng::seeded(context.shard_seed("sample")),
        })
    }

    /// The replay.
    pub fn replay(&self) -> &Replay {
        &self.replay
    }

    /// Room for `minibatches` minibatches.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn room(&self, minibatches: usize) -> Result<Batch, AgentError> {
        let capacity = minibatches * self.batch_size;
        let row = 4 * (2 * self.encoder.width() + self.extras) + BESIDE_OBSERVATIONS;
        fits("batch_size", self.batch_size, product([capacity, row]))?;
        Batch::bound_for(self.device, capacity, &self.encoder, &self.action_space)?
            .with_extras(self.device, self.extras)
    }

    /// Takes in a step of each environment, of which the first has number `first`. `extras` is what the
    /// explorer added, [`Explorer::extras`](super::Explorer::extras).
    pub fn insert(&mut self, first: usize, experience: Experience<'_>, extras: &[f32]) {
        Step::each(experience, extras).for_each(|(row, step)| self.push(first + row, step));
    }

    /// Takes in a step of environment `env`.
    pub fn push(&mut self, env: usize, step: Step<'_>) {
        match (&mut self.unit, step.action) {
            (Some((bounds, unit)), Action::Box(point)) => {
                bounds.to_unit(point, unit);
                self.replay.push(env, Step { action: Action::Box(unit), ..step });
            }
            _ => self.replay.push(env, step),
        }
    }

    /// Environment `env` goes on somewhere else, though its episode has not ended.
    pub fn cut(&mut self, env: usize) {
        self.replay.cut(env);
    }

    /// Draws so many minibatches. `progress` is the share of training that is done.
    ///
    /// # Errors
    /// [`AgentError`] when there is nothing to draw.
    pub fn sample(&mut self, minibatches: usize, progress: f64, batch: &mut Batch) -> Result<(), AgentError> {
        self.replay.sample(&mut self.rng, progress, minibatches * self.batch_size, batch)
    }

    /// Takes note of how wrong an update found the values of a batch to be.
    pub fn learned(&mut self, batch: &Batch, errors: &[f32]) {
        self.replay.learned(batch, errors);
    }

    /// Everything to continue from.
    ///
    /// # Errors
    /// [`AgentError`] when a value cannot be expressed.
    pub fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = self.replay.state()?;
        state.put_value("rng", &self.rng)?;
        Ok(state)
    }

    /// Continues from a saved state.
    ///
    /// # Errors
    /// [`AgentError`] when it does not fit.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.replay.load_state(state)?;
        self.rng = state.value("rng")?;
        Ok(())
    }
}
