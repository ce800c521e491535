//! Several recurrent layers one after the other, in one direction or in both.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::layers::{Dropout, dropout};
use crate::{Cell, Init, Layout, Memory, NnError, Pass, Recurrent, Sequence, SequenceOutputs};

/// Recurrent layers as PyTorch's `nn.LSTM` and `nn.GRU` have them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecurrentStackConfig {
    /// The kind of memory.
    pub cell: Cell,
    /// Number of units in each direction of a layer.
    pub size: i64,
    /// Number of layers.
    #[serde(default = "one")]
    pub layers: i64,
    /// Let each layer read the sequence backwards too. Such a network needs the whole sequence, so it cannot
    /// act step by step.
    #[serde(default)]
    pub bidirectional: bool,
    /// The share of numbers between two layers that dropout silences in training, `0 <= dropout < 1`.
    #[serde(default)]
    pub dropout: f64,
}

fn one() -> i64 {
    1
}

impl RecurrentStackConfig {
    /// One layer in one direction.
    pub const fn new(cell: Cell, size: i64) -> Self {
        Self { cell, size, layers: 1, bidirectional: false, dropout: 0.0 }
    }
}

/// Recurrent layers one after the other; dropout acts between them.
///
/// Parameters are named as PyTorch's: those of [`Recurrent`] with `_l0`, `_l1` and so on, and `_l0_reverse`
/// for the layer that reads backwards. A sequence's state holds the states of all layers, the first layer's
/// first, and in each layer the forward direction's before the backward direction's.
///
/// Both directions reset their state at the start of an episode inside a sequence: the forward one before the
/// episode's first step, the backward one before the last step of the previous episode. Episodes therefore do
/// not influence one another. In [`SequenceOutputs::states`] the backward direction's part at a step is its
/// state after it has read from the last step back to this one. Do not carry that part into the next
/// sequence: give zeros there.
#[derive(Clone, Debug)]
pub struct RecurrentStack {
    /// The directions of each layer.
    layers: Vec<Vec<Recurrent>>,
    dropout: f64,
}

impl RecurrentStack {
    /// Describes the layers and adds their parameters, named `prefix` + PyTorch's names, to the layout.
    /// [`Init::Torch`] is PyTorch's: uniform within `1 / sqrt(size)`, all of them.
    ///
    /// # Errors
    /// [`NnError::Config`] for no inputs, layers or units, a dropout that makes no sense, or a name that is
    /// taken.
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        inputs: i64,
        config: &RecurrentStackConfig,
        init: Init,
    ) -> Result<Self, NnError> {
        let RecurrentStackConfig { cell, size, layers, bidirectional, dropout } = *config;
        if layers < 1 {
            return Err(NnError::Config(format!("layers is {layers}: give at least 1")));
        }
        Dropout::new(dropout)?;
        let directions: &[&str] = if bidirectional { &["", "_reverse"] } else { &[""] };
        let mut inputs = inputs;
        let mut all = Vec::new();
        for index in 0..layers {
            let mut add = |direction: &&str| {
                let suffix = format!("l{index}{direction}");
                Recurrent::named(layout, (prefix, &suffix), cell, inputs, size, (init, 0.0))
            };
            all.push(directions.iter().map(&mut add).collect::<Result<Vec<_>, _>>()?);
            inputs = size * directions.len() as i64;
        }
        Ok(Self { layers: all, dropout })
    }

    fn check(&self, sequence: &Sequence<'_>) -> Result<(), NnError> {
        let (x, width) = (sequence.x.size(), self.state_width());
        let fits =
            x.len() == 3 && x[2] == self.inputs() && x[0] > 0 && sequence.state.size() == [x[1], width];
        match fits && sequence.starts.size() == x[..2] {
            true => Ok(()),
            false => Err(NnError::Shape(format!(
                "recurrent layers take f32 [steps, batch, {}] with at least one step, starts [steps, batch] \
                 and a state [batch, {width}]; these are {x:?}, {:?} and {:?}",
                self.inputs(),
                sequence.starts.size(),
                sequence.state.size()
            ))),
        }
    }
}

impl Memory for RecurrentStack {
    fn inputs(&self) -> i64 {
        self.layers[0][0].inputs()
    }

    fn outputs(&self) -> i64 {
        self.layers[0].iter().map(Recurrent::outputs).sum()
    }

    fn state_width(&self) -> i64 {
        self.layers.iter().flatten().map(Recurrent::state_width).sum()
    }

    fn forward(&self, pass: &mut Pass<'_>, sequence: &Sequence<'_>) -> Result<SequenceOutputs, NnError> {
        self.check(sequence)?;
        let mut x = sequence.x.shallow_clone();
        let mut states = Vec::new();
        let mut begin = 0;
        for (index, directions) in self.layers.iter().enumerate() {
            if index > 0 {
                x = dropout(pass, &x, self.dropout)?;
            }
            let mut outputs = Vec::new();
            for (layer, backward) in directions.iter().zip([false, true]) {
                let width = layer.state_width();
                let state = sequence.state.f_narrow(1, begin, width)?;
                let own = Sequence { x: &x, starts: sequence.starts, state: &state };
                let read =
                    if backward { read_backwards(layer, pass, &own)? } else { layer.forward(pass, &own)? };
                outputs.push(read.outputs);
                states.push(read.states);
                begin += width;
            }
            x = together(outputs)?;
        }
        Ok(SequenceOutputs { outputs: x, states: together(states)? })
    }

    fn read(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let mut x = x.shallow_clone();
        for (index, directions) in self.layers.iter().enumerate() {
            if index > 0 {
                x = dropout(pass, &x, self.dropout)?;
            }
            let outputs = directions.iter().zip([false, true]).map(|(layer, backward)| match backward {
                false => layer.read(pass, &x),
                true => Ok(layer.read(pass, &x.f_flip([0])?)?.f_flip([0])?),
            });
            x = together(outputs.collect::<Result<Vec<_>, NnError>>()?)?;
        }
        Ok(x)
    }
}

/// The answers for the steps from the last one to the first, in the order of the steps.
fn read_backwards(
    layer: &Recurrent,
    pass: &mut Pass<'_>,
    sequence: &Sequence<'_>,
) -> Result<SequenceOutputs, NnError> {
    // Read backwards, an episode begins with its last step: the one before another's first.
    let starts = sequence.starts.f_roll([-1], [0])?;
    let _ = starts.f_select(0, -1)?.f_zero_()?;
    let (x, starts) = (sequence.x.f_flip([0])?, starts.f_flip([0])?);
    let read = layer.forward(pass, &Sequence { x: &x, starts: &starts, state: sequence.state })?;
    Ok(SequenceOutputs { outputs: read.outputs.f_flip([0])?, states: read.states.f_flip([0])? })
}

/// Parts side by side, `[steps, batch, width]`.
fn together(mut parts: Vec<Tensor>) -> Result<Tensor, NnError> {
    match parts.len() {
        1 => Ok(parts.remove(0)),
        _ => Ok(Tensor::f_cat(&parts, 2)?),
    }
}

#[cfg(test)]
#[path = "recurrent_stack_tests.rs"]
mod tests;
