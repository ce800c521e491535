//! What lies between observations and a network's own hidden layers: convolutions for images, layers that policy and value
//! may share, and a memory.

use pavlov_nn::{
    Cell, Features, Init, Layout, Mlp, MlpConfig, Mode, NnError, Parameters, Recurrent, Sequence,
};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::ActorCriticConfig;
use crate::Encoder;

/// What remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecurrentConfig {
    /// Nothing does.
    #[default]
    Off,
    /// An LSTM layer.
    Lstm,
    /// A GRU layer.
    Gru,
}

impl RecurrentConfig {
    fn cell(self) -> Option<Cell> {
        match self {
            Self::Off => None,
            Self::Lstm => Some(Cell::Lstm),
            Self::Gru => Some(Cell::Gru),
        }
    }
}

/// How rows follow one another in time: they lie `[steps, count]`.
#[derive(Clone, Copy, Debug)]
pub struct Sequences<'a> {
    /// Not 0 where an episode begins: f32 `[steps, count]`.
    pub starts: &'a Tensor,
    /// What is remembered before the first step: f32 `[count, width]`.
    pub state: &'a Tensor,
}

/// Convolutions, layers and memory. A description: the numbers are given with each call.
#[derive(Clone, Debug)]
pub(super) struct Trunk {
    features: Features,
    dense: Option<Mlp>,
    memory: Option<Recurrent>,
}

/// What a trunk gives.
#[derive(Debug)]
pub(super) struct TrunkOutputs {
    /// f32 `[rows, outputs]`
    pub features: Tensor,
    /// What is remembered after each step, f32 `[steps, count, width]`.
    pub states: Option<Tensor>,
}

impl Trunk {
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        encoder: &Encoder,
        config: &ActorCriticConfig,
    ) -> Result<Self, NnError> {
        let init = match config.orthogonal_init {
            true => Init::Orthogonal { gain: 2f64.sqrt() },
            false => Init::Torch,
        };
        let features = config.cnn.features(layout, &format!("{prefix}features."), (encoder, 0), init)?;
        let features = features.with_precision(config.precision);
        let dense = config.trunk_sizes.split_last().map(|(last, before)| {
            let layers = MlpConfig {
                output_activation: config.activation,
                output_init: init,
                ..config.mlp(before, 1.0)
            };
            Mlp::new(layout, &format!("{prefix}trunk."), features.outputs(), *last, &layers)
        });
        let dense = dense.transpose()?;
        let inputs = dense.as_ref().map_or(features.outputs(), Mlp::outputs);
        let memory = config.recurrent.cell().map(|cell| {
            // PyTorch's start also where other layers begin orthogonal, as recurrent layers do everywhere.
            let size = config.recurrent_size;
            Recurrent::new(layout, &format!("{prefix}memory."), cell, inputs, size, Init::Torch)
        });
        Ok(Self { memory: memory.transpose()?, features, dense })
    }

    /// Whether what comes out is what went in.
    pub fn is_identity(&self) -> bool {
        self.features.is_identity() && self.dense.is_none() && self.memory.is_none()
    }

    pub fn outputs(&self) -> i64 {
        self.memory.as_ref().map_or(self.before_memory(), Recurrent::outputs)
    }

    fn before_memory(&self) -> i64 {
        self.dense.as_ref().map_or(self.features.outputs(), Mlp::outputs)
    }

    pub fn state_width(&self) -> usize {
        self.memory.as_ref().map_or(0, |memory| memory.state_width() as usize)
    }

    /// From rows (f32 `[rows, inputs]`) to features.
    pub fn forward(
        &self,
        parameters: &Parameters,
        x: &Tensor,
        sequences: Option<Sequences<'_>>,
        mode: Mode,
    ) -> Result<TrunkOutputs, NnError> {
        let mut features = self.features.forward(parameters, x, mode)?;
        if let Some(dense) = &self.dense {
            features = dense.forward(parameters, &features, mode)?;
        }
        let Some(memory) = &self.memory else { return Ok(TrunkOutputs { features, states: None }) };
        let Some(Sequences { starts, state }) = sequences else {
            return Err(NnError::Shape(
                "a network with a memory was asked without saying what it remembers".into(),
            ));
        };
        let (steps, count) = (starts.size()[0], state.size()[0]);
        let x = features.f_reshape([steps, count, self.before_memory()])?;
        let answer = memory.forward(parameters, &Sequence { x: &x, starts, state })?;
        let features = answer.outputs.f_reshape([steps * count, memory.outputs()])?;
        Ok(TrunkOutputs { features, states: Some(answer.states) })
    }
}
