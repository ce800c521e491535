//! Weights on their way from the learner to the actors.

use pavlov_agents::AgentError;
use pavlov_nn::Parameters;
use pavlov_runtime::Publisher;

/// A copy of the learner's weights, as the slot holds it.
#[derive(Clone, Debug, Default)]
pub(super) struct PublishedWeights {
    /// All numbers of the network, in the order of [`Parameters::read_values`].
    pub values: Vec<f32>,
    /// The updates that had been made when the copy was taken.
    pub updates: u64,
}

impl PublishedWeights {
    /// A copy of these weights.
    pub fn of(parameters: &Parameters, updates: u64) -> Result<Self, AgentError> {
        let mut values = Vec::new();
        parameters.read_values(&mut values)?;
        Ok(Self { values, updates })
    }
}

/// Publishes a copy of these weights.
pub(super) fn publish(
    publisher: &mut Publisher<PublishedWeights>,
    parameters: &Parameters,
    updates: u64,
) -> Result<(), AgentError> {
    publisher.publish(|weights| {
        weights.updates = updates;
        parameters.read_values(&mut weights.values)
    })?;
    Ok(())
}
