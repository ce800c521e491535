//! An agent as a training loop drives it, and the configuration that builds it.
//!
//! ```text
//! loop { agent.act(observations) -> actions;  environments.step(actions);  agent.observe(experience);  agent.learn() }
//! ```
//!
//! The loop owns the environments and the clock; the agent decides when an update is due, from the env steps
//! that it has observed. Everything an agent holds is in its state, so that a run continues from a checkpoint
//! bit for bit.

use pavlov_common::derive_seed;
use pavlov_envs::{ActionBatch, ObsBatch, Space};
use pavlov_group::Group;
use pavlov_nn::{StateDict, StateView};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::Device;

use crate::core::{AgentError, Experience, Metrics, Policy};
use crate::networks::NetworkRegistry;
use crate::off_policy::OffPolicyHalves;
use crate::on_policy::RolloutLearner;
use crate::review::Review;

/// A policy and an algorithm that improves it.
pub trait Agent: Send {
    /// Chooses actions in training, one for each environment.
    ///
    /// # Errors
    /// [`AgentError`] when the network fails or gives NaN.
    fn act(&mut self, observations: &ObsBatch, actions: &mut ActionBatch) -> Result<(), AgentError>;

    /// Takes in what came of the actions. Counts as many env steps as there are environments.
    ///
    /// # Errors
    /// [`AgentError`] when the experience does not fit the agent's spaces.
    fn observe(&mut self, experience: Experience<'_>) -> Result<(), AgentError>;

    /// The environments go on somewhere else than at `led_to`, where the last actions led: episodes under way
    /// end here as truncated ones.
    fn cut(&mut self, led_to: &ObsBatch);

    /// Makes the updates that are due after the env steps observed so far, and says how many they were.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the loss is no longer finite.
    fn learn(&mut self) -> Result<u64, AgentError>;

    /// A policy with a copy of the present weights.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    fn policy(&self) -> Result<Box<dyn Policy>, AgentError>;

    /// A policy with weights that [`Agent::weights`] gave at another time. The agent's own stay as they are.
    ///
    /// # Errors
    /// [`AgentError`] when they do not fit.
    fn policy_with(&self, weights: &StateView<'_>) -> Result<Box<dyn Policy>, AgentError>;

    /// The agent's acting and learning halves, for threads of their own; `None` if it can only act and learn
    /// in turns.
    fn halves(&mut self) -> Option<Halves<'_>> {
        None
    }

    /// The numbers to log since the last call: means over the updates since then, and present values. Clears
    /// the means.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the mean loss is no longer finite.
    fn take_metrics(&mut self) -> Result<Metrics, AgentError>;

    /// The updates made so far.
    fn updates(&self) -> u64;

    /// The weights of the policy, named as PyTorch names them.
    ///
    /// # Errors
    /// [`AgentError`] when a tensor cannot be copied.
    fn weights(&self) -> Result<StateDict<'static>, AgentError>;

    /// Takes over weights that [`Agent::weights`] of an agent of the same networks gave.
    ///
    /// # Errors
    /// [`AgentError`] when they do not fit; nothing is changed then.
    fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), AgentError>;

    /// Everything that the agent needs to continue exactly: weights, moments, replay, counters, generators.
    ///
    /// # Errors
    /// [`AgentError`] when a tensor cannot be copied.
    fn state(&self) -> Result<StateDict<'_>, AgentError>;

    /// Continues from what [`Agent::state`] of an agent of the same configuration gave.
    ///
    /// # Errors
    /// [`AgentError`] when it does not fit. The agent must not be used after that.
    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError>;
}

/// An agent's acting and learning halves, for as long as they are borrowed.
pub enum Halves<'a> {
    /// The halves of an agent that learns from a replay.
    OffPolicy(OffPolicyHalves<'a>),
    /// The halves of an agent that learns from rollouts.
    OnPolicy(&'a mut dyn RolloutLearner),
}

/// The circumstances that an agent is made for.
#[derive(Clone, Debug)]
pub struct AgentContext {
    /// The space of one environment's observations.
    pub observation_space: Space,
    /// The space of one environment's actions.
    pub action_space: Space,
    /// The number of environments that are stepped together, in this shard.
    pub num_envs: usize,
    /// The number of env steps of the whole training: schedules run over them.
    pub total_env_steps: u64,
    /// The run's seed, from which every generator of the agent is derived.
    pub seed: u64,
    /// Where networks live.
    pub device: Device,
    /// The backbones that `net.backbone` can name.
    pub networks: NetworkRegistry,
    /// The shards that learn together, of which this is one.
    pub group: Group,
}

impl AgentContext {
    /// The seed of a generator for this purpose that every shard has for itself; one that all have alike is
    /// derived from [`AgentContext::seed`].
    pub fn shard_seed(&self, purpose: &str) -> u64 {
        derive_seed(self.seed, purpose, self.group.shard() as u64)
    }
}

/// The configuration of an agent, from which the agent is built. Implementing this and registering it is all
/// that a new agent needs to have the command line, recording, checkpoints and evaluation.
pub trait AgentConfig: Serialize + DeserializeOwned + Default + 'static {
    /// The name on the command line.
    const NAME: &'static str;
    /// One line that says what the agent is, with the paper.
    const SUMMARY: &'static str;

    /// Checks every field and how the fields go together.
    ///
    /// # Errors
    /// [`AgentError::Config`] naming the field and what to set it to.
    fn validate(&self) -> Result<(), AgentError>;

    /// Reviews the configuration for a training in such circumstances, before it begins: how observations and
    /// actions are taken, and which settings have no effect. The checks and facts that agents share are
    /// [`rollout_review`](crate::on_policy::rollout_review) and
    /// [`replay_review`](crate::off_policy::replay_review).
    ///
    /// # Errors
    /// [`AgentError::Config`] for a training in which nothing would be learned.
    fn review(&self, _context: &AgentContext) -> Result<Review, AgentError> {
        Ok(Review::default())
    }

    /// The configuration of one of so many shards: batches and replay are cut into equal parts. An agent that
    /// can be cut makes all its gradient steps in [`AgentContext::group`] ([`in_group`]), and its update phases
    /// at the same env steps in every shard.
    ///
    /// [`in_group`]: pavlov_nn::Trainable::in_group
    ///
    /// # Errors
    /// [`AgentError::Config`] for a size that cannot be cut so; [`AgentError::Unsupported`] for an agent that
    /// learns in one shard alone, as all do that leave this out.
    fn split(self, shards: usize) -> Result<Self, AgentError> {
        match shards {
            1 => Ok(self),
            _ => Err(AgentError::Unsupported(format!(
                "{} learns in one shard alone: train it in one process, with shards = 1",
                Self::NAME
            ))),
        }
    }

    /// Builds the agent.
    ///
    /// # Errors
    /// [`AgentError::Unsupported`] when the agent cannot play such environments.
    fn build(&self, context: &AgentContext) -> Result<Box<dyn Agent>, AgentError>;
}
