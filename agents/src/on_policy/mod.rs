//! What agents share that learn from their own fresh experience: the policy-and-value network, the rollout, advantages.
//!
//! Read in this order: `head` (from a distribution's draws to an environment's actions), `network` (from observations to the
//! distribution and the value), `sampler` (actions drawn from it), `rollout` (what was done, and with which advantages),
//! `states` (the memory's states meanwhile), `minibatch` (what is learned from at a time), `evaluate` (how likely it is now,
//! and where a loss's gradient goes), `update` (one gradient step), `agent` (the loop's side of it). An algorithm is then a
//! [`RolloutAlgorithm`]: from a rollout to better weights.

pub mod advantages;
mod agent;
mod evaluate;
pub mod exploration;
mod head;
mod learner;
mod minibatch;
mod network;
pub mod policy_gradient;
mod rollout;
mod rows;
mod sampler;
mod states;
mod update;

#[cfg(test)]
mod recurrent_tests;
#[cfg(test)]
pub(crate) mod tests;

pub use agent::{OnPolicyAgent, OnPolicySetup, RolloutAlgorithm, sampler_of};
pub use evaluate::{ActionEvaluation, Evaluator, RowEvaluation, RowGradients, TensorEvaluation};
pub use exploration::ExplorationConfig;
pub use head::ActionHead;
pub use learner::RolloutLearner;
pub use minibatch::{Minibatch, MinibatchTensors};
pub use network::{ActorCritic, Outputs, PolicyOutputs, ValueOutputs};
pub use rollout::Rollout;
pub use sampler::{PolicySampler, StochasticPolicy};
pub use states::{OwnSequences, PolicyState};
pub use update::ActorCriticLearner;
