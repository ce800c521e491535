//! The parts that agents share which learn from their own fresh experience: the policy-and-value network, the
//! rollout, advantages.
//!
//! Read in this order: `head` (from a distribution's draws to an environment's actions), `network` (from
//! observations to the distribution and the value), `sampler` (actions drawn from it), `observations`,
//! `states` and `rollout` (the stored steps, with the memory's states and the advantages), `collect` (a
//! sampler fills and values a rollout), `minibatch` (the rows of one update), `evaluate` (log-probabilities,
//! entropies and values by the present weights, and the way back from a loss), `update` (one gradient step),
//! `agent` (the training loop's side of it). An algorithm is then a [`RolloutAlgorithm`]: from a rollout to
//! better weights.

pub mod advantages;
mod agent;
mod collect;
mod config;
mod evaluate;
pub mod exploration;
mod head;
mod learner;
mod minibatch;
mod network;
pub mod observations;
pub mod policy_gradient;
mod review;
mod rollout;
mod rows;
mod sampler;
mod states;
mod update;

#[cfg(test)]
mod recurrent_tests;
#[cfg(test)]
mod stacked_memory_tests;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use agent::sequence_length;
pub use agent::{OnPolicyAgent, OnPolicySetup, RolloutAlgorithm, sampler_of};
pub(crate) use config::{policy_gradient_config, rollout_config};
pub use evaluate::{ActionEvaluation, Evaluator, RowEvaluation, RowGradients, TensorEvaluation};
pub use exploration::ExplorationConfig;
pub use head::ActionHead;
pub use learner::RolloutLearner;
pub use minibatch::{Minibatch, MinibatchTensors};
pub use network::{ActorCritic, Outputs, PolicyOutputs, ValueOutputs};
pub(crate) use review::review_networks;
pub use review::rollout_review;
pub use rollout::{Rollout, RolloutShape};
pub use sampler::{PolicySampler, StochasticPolicy};
pub use states::{MemoryWidths, OwnSequences, PolicyState};
pub use update::ActorCriticLearner;
