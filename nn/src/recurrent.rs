//! Networks with a memory: LSTM (Hochreiter and Schmidhuber 1997) and GRU (Cho et al. 2014).
//!
//! The state lies outside: whoever asks keeps one row of numbers for each sequence and gives it with the
//! call.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::shim::Parameter;
use crate::shim::recurrent::{Inputs, forward, read_on_gpu};
use crate::{Init, Layout, Memory, NnError, ParameterId, Parameters, Pass};

/// The kind of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// Long short-term memory, whose state is `h` then `c`.
    Lstm,
    /// Gated recurrent unit, whose state is `h`.
    Gru,
}

impl Cell {
    fn gates(self) -> i64 {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
        }
    }

    /// As the shim's `Cell` in cells.h.
    fn code(self) -> i32 {
        match self {
            Self::Lstm => 0,
            Self::Gru => 1,
        }
    }
}

/// One recurrent layer. A description: the numbers are given with each call.
///
/// Parameters are named as PyTorch names those of `nn.LSTM` and `nn.GRU`: `weight_ih_l0` (`[gates size,
/// inputs]`, gates in PyTorch's order), `weight_hh_l0` (`[gates size, size]`), `bias_ih_l0` and `bias_hh_l0`
/// (`[gates size]`). On the CPU a whole sequence is one node of the autograd graph, whose way back through
/// time is derived by hand.
#[derive(Clone, Debug)]
pub struct Recurrent {
    cell: Cell,
    inputs: i64,
    size: i64,
    weight_ih: ParameterId,
    weight_hh: ParameterId,
    bias_ih: ParameterId,
    bias_hh: ParameterId,
}

/// The input of a network with a memory: sequences side by side.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    /// f32 `[steps, batch, inputs]`
    pub x: &'a Tensor,
    /// Not 0 where an episode begins: the state is forgotten before that step. f32 `[steps, batch]`
    pub starts: &'a Tensor,
    /// The state before the first step, [`Recurrent::state_width`] numbers each: f32 `[batch, width]`. Data:
    /// no gradient reaches it.
    pub state: &'a Tensor,
}

/// The answer of a network with a memory.
#[derive(Debug)]
pub struct SequenceOutputs {
    /// f32 `[steps, batch, size]`, recorded by autograd.
    pub outputs: Tensor,
    /// The state after each step, f32 `[steps, batch, width]`. Data: no gradient goes through it.
    pub states: Tensor,
}

impl Recurrent {
    /// Describes the layer and adds its parameters, named `prefix` + PyTorch's names, to the layout.
    /// [`Init::Torch`] is PyTorch's: uniform within `1 / sqrt(size)`, all of them.
    ///
    /// # Errors
    /// [`NnError::Config`] for a layer without inputs or units.
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        cell: Cell,
        inputs: i64,
        size: i64,
        init: Init,
    ) -> Result<Self, NnError> {
        Self::named(layout, (prefix, "l0"), cell, inputs, size, (init, 0.0))
    }

    /// The same, and the initial biases of the gate that keeps the state, an LSTM's forget gate or a GRU's
    /// update gate, are raised by `keep`: so that what was seen some steps ago is still there before the layer
    /// has learned to keep it (Gers et al. 2000; Jozefowicz et al. 2015 recommend 1). With 0 half of the state
    /// is gone after one step and a thousandth is left after ten.
    ///
    /// # Errors
    /// [`NnError::Config`] for a layer without inputs or units, and for a bias that is no finite number.
    pub fn keeping(
        layout: &mut Layout,
        prefix: &str,
        cell: Cell,
        (inputs, size): (i64, i64),
        init: Init,
        keep: f64,
    ) -> Result<Self, NnError> {
        Self::named(layout, (prefix, "l0"), cell, inputs, size, (init, keep))
    }

    /// The same with parameters named `weight_ih_` + a suffix and so on: a stack has several layers.
    pub(crate) fn named(
        layout: &mut Layout,
        (prefix, suffix): (&str, &str),
        cell: Cell,
        inputs: i64,
        size: i64,
        (init, keep): (Init, f64),
    ) -> Result<Self, NnError> {
        if inputs < 1 || size < 1 {
            let message =
                format!("a recurrent layer of {size} units for {inputs} inputs: give at least 1 of each");
            return Err(NnError::Config(message));
        }
        let (weight, bias) = match init {
            Init::Torch => {
                let uniform = Init::Uniform { bound: 1.0 / (size as f64).sqrt() };
                (uniform, uniform)
            }
            init => (init, init.bias(size)),
        };
        let rows = cell.gates() * size;
        // One of the two biases of a gate, which are added, is raised.
        let bound = if let Init::Uniform { bound } = bias { bound } else { 0.0 };
        let kept = if keep == 0.0 { bias } else { Init::Gates { bound, gates: cell.gates() as usize, keep } };
        let mut add =
            |name: &str, shape: &[i64], init| layout.add(format!("{prefix}{name}_{suffix}"), shape, init);
        Ok(Self {
            cell,
            inputs,
            size,
            weight_ih: add("weight_ih", &[rows, inputs], weight)?,
            weight_hh: add("weight_hh", &[rows, size], weight)?,
            bias_ih: add("bias_ih", &[rows], bias)?,
            bias_hh: add("bias_hh", &[rows], kept)?,
        })
    }

    /// The number of inputs.
    pub fn inputs(&self) -> i64 {
        self.inputs
    }

    /// The number of outputs.
    pub fn outputs(&self) -> i64 {
        self.size
    }

    /// The number of numbers that are remembered.
    pub fn state_width(&self) -> i64 {
        match self.cell {
            Cell::Lstm => 2 * self.size,
            Cell::Gru => self.size,
        }
    }

    /// The outputs for sequences; a single step is a sequence of one.
    ///
    /// # Errors
    /// [`NnError::Shape`] when shapes or types do not fit.
    pub fn forward(&self, pass: &mut Pass<'_>, sequence: &Sequence<'_>) -> Result<SequenceOutputs, NnError> {
        self.check(sequence)?;
        let parameters = pass.parameters();
        if !matches!(parameters.device(), Device::Cpu | Device::Cuda(_)) {
            return self.forward_by_operations(parameters, sequence);
        }
        let Sequence { x, starts, state } = *sequence;
        let (outputs, states) =
            forward(Inputs { x, starts, state }, self.cell.code(), self.own(parameters)?)?;
        Ok(SequenceOutputs { outputs, states })
    }

    /// The outputs for whole sequences: f32 `[steps, batch, size]` for `x`, f32 `[steps, batch, inputs]` with at
    /// least one step. Each is one episode and begins with an empty memory.
    ///
    /// # Errors
    /// [`NnError::Shape`] when shapes or types do not fit.
    pub fn read(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let parameters = pass.parameters();
        if let (Device::Cuda(_), [_, _, inputs], Kind::Float) = (parameters.device(), &x.size()[..], x.kind())
            && *inputs == self.inputs
        {
            return read_on_gpu(x, self.cell.code(), self.own(parameters)?);
        }
        read_from_empty(self, pass, x)
    }

    fn own<'a>(&self, parameters: &'a Parameters) -> Result<[Parameter<'a>; 4], NnError> {
        let own = |id| Parameter::of(parameters, id);
        Ok([own(self.weight_ih)?, own(self.weight_hh)?, own(self.bias_ih)?, own(self.bias_hh)?])
    }

    /// The same by operations, each recorded by autograd: on other devices, and to hold the other form to.
    ///
    /// # Errors
    /// [`NnError::Torch`] when shapes do not fit.
    pub fn forward_by_operations(
        &self,
        parameters: &Parameters,
        sequence: &Sequence<'_>,
    ) -> Result<SequenceOutputs, NnError> {
        let [weight_ih, weight_hh, bias_ih, bias_hh] = self.own(parameters)?.map(|own| own.value);
        let x = sequence.x.f_linear(weight_ih, Some(bias_ih))?;
        let mut state = sequence.state.shallow_clone();
        let (mut outputs, mut states) = (Vec::new(), Vec::new());
        for step in 0..sequence.x.size()[0] {
            let goes_on = sequence.starts.f_select(0, step)?.f_eq(0.0)?.f_to_kind(Kind::Float)?;
            let before = state.f_mul(&goes_on.f_unsqueeze(1)?)?;
            let h = before.f_narrow(1, 0, self.size)?;
            let from_state = h.f_linear(weight_hh, Some(bias_hh))?;
            state = self.step(&x.f_select(0, step)?, &from_state, &before)?;
            outputs.push(state.f_narrow(1, 0, self.size)?);
            states.push(state.f_detach()?);
        }
        Ok(SequenceOutputs { outputs: Tensor::f_stack(&outputs, 0)?, states: Tensor::f_stack(&states, 0)? })
    }

    /// The state after one step, from what the gates take from the input and from the state.
    fn step(&self, x: &Tensor, from_state: &Tensor, before: &Tensor) -> Result<Tensor, NnError> {
        let x = x.f_chunk(self.cell.gates(), 1)?;
        let own = from_state.f_chunk(self.cell.gates(), 1)?;
        let gate = |index: usize| -> Result<Tensor, NnError> { Ok(x[index].f_add(&own[index])?) };
        Ok(match self.cell {
            Cell::Lstm => {
                let (i, f, o) = (gate(0)?.f_sigmoid()?, gate(1)?.f_sigmoid()?, gate(3)?.f_sigmoid()?);
                let kept = f.f_mul(&before.f_narrow(1, self.size, self.size)?)?;
                let c = kept.f_add(&i.f_mul(&gate(2)?.f_tanh()?)?)?;
                Tensor::f_cat(&[&o.f_mul(&c.f_tanh()?)?, &c], 1)?
            }
            Cell::Gru => {
                let (r, z) = (gate(0)?.f_sigmoid()?, gate(1)?.f_sigmoid()?);
                let n = x[2].f_add(&r.f_mul(&own[2])?)?.f_tanh()?;
                n.f_add(&z.f_mul(&before.f_sub(&n)?)?)?
            }
        })
    }

    fn check(&self, sequence: &Sequence<'_>) -> Result<(), NnError> {
        let shape = sequence.x.size();
        let floats =
            [sequence.x, sequence.starts, sequence.state].iter().all(|tensor| tensor.kind() == Kind::Float);
        let fits = shape.len() == 3
            && shape[2] == self.inputs
            && sequence.starts.size() == shape[..2]
            && sequence.state.size() == [shape[1], self.state_width()];
        if floats && fits {
            return Ok(());
        }
        let (starts, state) = (sequence.starts.size(), sequence.state.size());
        Err(NnError::Shape(format!(
            "a recurrent layer takes f32 [steps, batch, {}], starts [steps, batch] and a state [batch, {}]; these are \
             {shape:?}, {starts:?} and {state:?}",
            self.inputs,
            self.state_width()
        )))
    }
}

impl Memory for Recurrent {
    fn inputs(&self) -> i64 {
        Self::inputs(self)
    }

    fn outputs(&self) -> i64 {
        Self::outputs(self)
    }

    fn state_width(&self) -> i64 {
        Self::state_width(self)
    }

    fn forward(&self, pass: &mut Pass<'_>, sequence: &Sequence<'_>) -> Result<SequenceOutputs, NnError> {
        Self::forward(self, pass, sequence)
    }

    fn read(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        Self::read(self, pass, x)
    }
}

/// The answer of a memory to whole sequences, by its general form.
pub(crate) fn read_from_empty(
    memory: &(impl Memory + ?Sized),
    pass: &mut Pass<'_>,
    x: &Tensor,
) -> Result<Tensor, NnError> {
    let [steps, batch, _] = x.size()[..] else {
        return Err(NnError::Shape(format!(
            "a recurrent layer takes f32 [steps, batch, inputs]; this is {:?}",
            x.size()
        )));
    };
    let options = (Kind::Float, x.device());
    let starts = Tensor::f_zeros([steps, batch], options)?;
    let state = Tensor::f_zeros([batch, memory.state_width()], options)?;
    Ok(memory.forward(pass, &Sequence { x, starts: &starts, state: &state })?.outputs)
}

#[cfg(test)]
#[path = "recurrent_tests.rs"]
mod tests;
