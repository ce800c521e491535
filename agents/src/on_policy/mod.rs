//! What agents share that learn from their own fresh experience: the policy-and-value network, the rollout, advantages.
//!
//! Read in this order: `head` (from a distribution's draws to an environment's actions), `trunk` (convolutions and
//! memory), `network` (from there to the distribution and the value), `actor` (how it is asked for actions), `rollout`
//! (what was done, and with which advantages), `memory` (what was remembered meanwhile), `minibatch` (what is learned from
//! at a time), `evaluate` (how likely it is now, and where a loss's gradient goes), `trainable` (a gradient step), `agent`
//! (the loop's side of it). An algorithm is then a [`RolloutAlgorithm`]: from a rollout to better weights.

mod actor;
pub mod advantages;
mod agent;
mod evaluate;
pub mod exploration;
mod head;
mod memory;
mod minibatch;
mod network;
pub mod policy_gradient;
mod rollout;
mod rows;
mod trainable;
mod trunk;

#[cfg(test)]
mod recurrent_tests;
#[cfg(test)]
mod tests;

pub use actor::{Actor, StochasticPolicy};
pub use agent::{OnPolicyAgent, OnPolicySetup, RolloutAlgorithm, RolloutLearner, actor_of};
pub use evaluate::{Evaluation, Evaluator, RowGradients};
pub use head::ActionHead;
pub use memory::{Memory, OwnSequences};
pub use minibatch::Minibatch;
pub use network::{ActorCritic, ActorCriticConfig, Outputs, PolicyOutputs, ValueOutputs};
pub use rollout::Rollout;
pub use trainable::Trainable;
pub use trunk::{RecurrentConfig, Sequences};
