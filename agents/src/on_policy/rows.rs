//! An actor-critic's policy as a function of rows, so that one thread can run the network for many actors.

use std::ops::Range;

use pavlov_nn::{Parameters, Pass};
use tch::Tensor;

use super::ActorCritic;
use crate::acting::RowNetwork;
use crate::core::AgentError;
use crate::networks::Sequences;

/// The policy's network for rows of
///
/// ```text
/// in:   encoded observation | memory's state | 1 where an episode begins
/// out:  outputs | logarithms of deviations | features | memory's state after the step
/// ```
///
/// where a part that the policy does not have is 0 numbers wide. The deviations are the same in each row:
/// they are weights.
#[derive(Debug)]
pub(super) struct PolicyRows {
    net: ActorCritic,
    widths: RowWidths,
}

/// The widths of the parts of such rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowWidths {
    inputs: usize,
    state: usize,
    outputs: usize,
    log_deviation: usize,
    features: usize,
}

impl PolicyRows {
    /// The policy of a network for encoded observations of `inputs` numbers.
    pub fn new(net: &ActorCritic, inputs: usize) -> Self {
        Self { net: net.clone(), widths: RowWidths::new(net, inputs) }
    }
}

impl RowWidths {
    /// The widths for a network of encoded observations of `inputs` numbers.
    pub fn new(net: &ActorCritic, inputs: usize) -> Self {
        let (outputs, features, log_deviation) = net.policy_widths();
        Self { inputs, state: net.policy_state_width(), outputs, log_deviation, features }
    }

    /// The width of a whole row on its way in.
    pub fn row_in(&self) -> usize {
        let memory = if self.state > 0 { self.state + 1 } else { 0 };
        self.inputs + memory
    }

    /// The width of a whole row on its way out.
    pub fn row_out(&self) -> usize {
        self.outputs + self.log_deviation + self.features + self.state
    }

    /// The places in an outgoing row of outputs, logarithms of deviations, features and the memory's state.
    pub fn places(&self) -> [Range<usize>; 4] {
        let mut end = 0;
        [self.outputs, self.log_deviation, self.features, self.state].map(|width| {
            end += width;
            end - width..end
        })
    }
}

impl RowNetwork for PolicyRows {
    fn widths(&self) -> (usize, usize) {
        (self.widths.row_in(), self.widths.row_out())
    }

    fn forward(&self, weights: &Parameters, rows: &Tensor) -> Result<Tensor, AgentError> {
        let _guard = tch::no_grad_guard();
        let RowWidths { inputs, state, .. } = self.widths;
        let (count, inputs, state) = (rows.size()[0], inputs as i64, state as i64);
        let given = if state == 0 {
            self.net.policy(&mut Pass::eval(weights), rows, None)?
        } else {
            let x = rows.f_narrow(1, 0, inputs)?.f_contiguous()?;
            let state_before = rows.f_narrow(1, inputs, state)?.f_contiguous()?;
            let starts = rows.f_narrow(1, inputs + state, 1)?.f_reshape([1, count])?;
            let sequences = Sequences { starts: &starts, state: &state_before };
            self.net.policy(&mut Pass::eval(weights), &x, Some(sequences))?
        };
        let deviations = self.net.log_deviation().map(|id| weights.get(id));
        let deviations = deviations.map(|all| all.f_reshape([1, -1])?.f_expand([count, -1], false));
        let states = given.states.map(|states| states.f_reshape([count, -1]));
        let parts: Vec<Tensor> =
            [Some(given.outputs), deviations.transpose()?, given.features, states.transpose()?]
                .into_iter()
                .flatten()
                .collect();
        Ok(Tensor::f_cat(&parts, 1)?)
    }
}

#[cfg(test)]
mod tests {
    use pavlov_envs::Space;
    use tch::Device;

    use super::super::tests::{context, every_kind_of_actions, explores, play, small_net};
    use super::super::{Minibatch, sampler_of};
    use super::*;
    use crate::acting::{BatchedInference, Inference};
    use crate::core::host::read;
    use crate::networks::{NetConfig, RecurrentConfig};

    /// Runs the network for one sampler as it is run for many.
    struct Alone<'a>(Box<dyn RowNetwork>, &'a Parameters);

    impl BatchedInference for Alone<'_> {
        fn infer(&self, rows: &[f32], count: usize, outputs: &mut Vec<f32>) -> Result<(), AgentError> {
            let rows = Tensor::f_from_slice(rows)?.f_reshape([count as i64, -1])?;
            assert_eq!(rows.size()[1] as usize, self.0.widths().0);
            let given = self.0.forward(self.1, &rows)?;
            assert_eq!(given.size(), [count as i64, self.0.widths().1 as i64]);
            read(&given, outputs)
        }
    }

    #[test]
    fn a_sampler_that_asks_another_thread_acts_as_one_that_runs_the_network_itself() {
        let memories = [RecurrentConfig::Off, RecurrentConfig::Lstm, RecurrentConfig::Gru];
        for (actions, state_dependent_exploration, recurrent) in every_kind_of_actions()
            .into_iter()
            .flat_map(|actions| [(actions.clone(), false), (actions, true)])
            .flat_map(|(actions, depends)| memories.map(|memory| (actions.clone(), depends, memory)))
        {
            let context = context(Space::unbounded(&[3]), actions.clone(), 2);
            let exploration = explores(state_dependent_exploration);
            let config = NetConfig { recurrent, recurrent_size: 5, ..small_net() };
            let (sampler, parameters) = sampler_of(&config, &exploration, &context).unwrap();
            let others = Alone(sampler.network(), &parameters);
            let seen = [Inference::Own(&parameters), Inference::Batched(&others)].map(|inference| {
                let mut sampler = sampler.fresh();
                let mut rollout = sampler.rollout(12, 2, 0, Device::Cpu).unwrap();
                play(&mut rollout, &context, &mut sampler, inference, 12);
                sampler.finish(&mut rollout, &parameters, (0.9, 0.9)).unwrap();
                let mut all = Minibatch::default();
                rollout.gather(&rollout.learnable(), &mut all).unwrap();
                (all.draws, all.log_probs)
            });
            assert_eq!(seen[0], seen[1], "{actions} {state_dependent_exploration} {recurrent:?}");
        }
    }
}
