//! The network of action values.

use std::sync::Arc;

use pavlov_nn::{Mlp, NnError, Parameters, Pass};
use tch::Tensor;

use super::{ActionValues, DqnConfig, ExpectedReturn};
use crate::acting::RowNetwork;
use crate::core::AgentError;
use crate::networks::{Front, NetworkContext};

/// The hidden layers between features and outputs.
#[derive(Clone, Debug)]
enum Head {
    Plain(Mlp),
    /// The value of the state and the advantage of each action apart (Wang et al. 2016), `V + A - mean A`.
    Dueling {
        value: Mlp,
        advantage: Mlp,
    },
}

/// From encoded observations to what is known of each action. A description: the numbers are given with each
/// call.
#[derive(Clone, Debug)]
pub struct QNetwork {
    front: Front,
    head: Head,
    values: Arc<dyn ActionValues>,
    actions: usize,
}

impl QNetwork {
    /// Describes the network for so many actions. The parameters of a plain head are named `0.weight` ...,
    /// those of a dueling one `value.0.weight` ... and `advantage.0.weight` ..., those before it as
    /// [`Front::new`] names them.
    ///
    /// # Errors
    /// [`AgentError::Config`] for a configuration that makes no sense or does not fit the observations.
    pub fn new(
        context: &mut NetworkContext<'_>,
        actions: usize,
        config: &DqnConfig,
    ) -> Result<Self, AgentError> {
        let values = ExpectedReturn { loss: config.loss };
        let front = Front::new(context, "", &config.net)?;
        front.refuse_memory()?;
        let (inputs, per_action) = (front.outputs(), values.per_action() as i64);
        let layers = config.net.mlp(&config.net.hidden_sizes, 1.0);
        let mut mlp = |prefix, outputs| Mlp::new(context.layout, prefix, inputs, outputs, &layers);
        let head = match config.dueling {
            false => Head::Plain(mlp("", actions as i64 * per_action)?),
            true => Head::Dueling {
                value: mlp("value.", per_action)?,
                advantage: mlp("advantage.", actions as i64 * per_action)?,
            },
        };
        Ok(Self { front, head, values: Arc::new(values), actions })
    }

    /// The number of inputs.
    pub fn inputs(&self) -> i64 {
        self.front.inputs()
    }

    /// The number of actions.
    pub fn actions(&self) -> usize {
        self.actions
    }

    /// The meaning of the outputs.
    pub fn values(&self) -> &dyn ActionValues {
        self.values.as_ref()
    }

    /// From `x` (f32 `[batch, inputs]`) to the outputs, f32 `[batch, actions * per_action]`.
    ///
    /// # Errors
    /// [`NnError::Shape`] for an input of another shape or type.
    pub fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let features = self.front.forward(pass, x, None)?.features;
        let (value, advantage) = match &self.head {
            Head::Plain(mlp) => return mlp.forward(pass, &features),
            Head::Dueling { value, advantage } => {
                (value.forward(pass, &features)?, advantage.forward(pass, &features)?)
            }
        };
        let (batch, per_action) = (x.size()[0], value.size()[1]);
        let advantage = advantage.f_view([batch, self.actions as i64, per_action])?;
        let mean = advantage.f_mean_dim(Some(&[1i64][..]), true, None)?;
        let outputs = value.f_unsqueeze(1)?.f_add(&advantage)?.f_sub(&mean)?;
        Ok(outputs.f_flatten(1, 2)?)
    }
}

impl RowNetwork for QNetwork {
    fn widths(&self) -> (usize, usize) {
        (self.inputs() as usize, self.actions)
    }

    /// The action values of each row.
    fn forward(&self, weights: &Parameters, rows: &Tensor) -> Result<Tensor, AgentError> {
        let _guard = tch::no_grad_guard();
        Ok(self.values.values(&QNetwork::forward(self, &mut Pass::eval(weights), rows)?)?)
    }

    fn find_non_finite(&self, weights: &Parameters, rows: &Tensor) -> Result<Option<String>, AgentError> {
        let _guard = tch::no_grad_guard();
        Ok(self.front.find_non_finite(&mut Pass::eval(weights), rows)?)
    }
}
