//! The flat parameter arena.
//!
//! All parameters of a network are views into one flat tensor, all gradients into another. What works on the whole
//! network (an optimiser's step, the gradient's norm, a Polyak update, publishing weights, a checkpoint) then touches
//! one tensor. Networks themselves are mere descriptions: they hold the places of their parameters, not the numbers,
//! so a target network is the same network called with another [`Parameters`].
//!
//! ```
//! use pavlov_common::SeededRng;
//! use pavlov_nn::{Layout, Mlp, MlpConfig, Parameters, Pass};
//! let mut layout = Layout::new();
//! let net = Mlp::new(&mut layout, "", 4, 2, &MlpConfig::default())?;
//! let mut rng = SeededRng::seeded(1);
//! let online = Parameters::new(&layout, &mut rng, tch::Device::Cpu)?;
//! let target = online.frozen_copy()?;
//! let x = tch::Tensor::randn([8, 4], tch::kind::FLOAT_CPU);
//! assert_eq!(net.forward(&mut Pass::eval(&online), &x)?, net.forward(&mut Pass::eval(&target), &x)?);
//! # Ok::<(), pavlov_nn::NnError>(())
//! ```

mod layout;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rand::Rng;
use tch::{Device, Kind, Tensor};

use crate::{NnError, StateDict, StateView, shim};

pub use layout::{Layout, ParameterId, ParameterSpec, Role};

/// The numbers of a network: values, and gradients if it is trained.
#[derive(Debug)]
pub struct Parameters {
    layout: Arc<Layout>,
    values: Tensor,
    trainable: Tensor,
    /// In the order of adding.
    views: Vec<Tensor>,
    gradients: Option<Gradients>,
}

#[derive(Debug)]
struct Gradients {
    flat: Tensor,
    /// In the order of adding; `None` for what is not trained.
    views: Vec<Option<Tensor>>,
}

impl Parameters {
    /// Trainable parameters, started as the layout says with numbers from `rng`.
    ///
    /// # Errors
    /// [`NnError::Config`] for an initialisation that makes no sense, [`NnError::Torch`] when memory runs out.
    pub fn new(layout: &Layout, rng: &mut impl Rng, device: Device) -> Result<Self, NnError> {
        let parts = layout
            .specs()
            .iter()
            .map(|spec| spec.init.sample(&spec.shape, rng))
            .collect::<Result<Vec<_>, NnError>>()?;
        let flat = flattened(layout, &parts, Device::Cpu)?.f_to_device(device)?;
        Self::from_flat(Arc::new(layout.clone()), flat)?.with_gradients()
    }

    fn from_flat(layout: Arc<Layout>, values: Tensor) -> Result<Self, NnError> {
        let views = layout
            .specs()
            .iter()
            .map(|spec| match spec.role {
                // A layer writes its buffers between a forward pass and its backward pass. `data` gives them a count
                // of writes of their own, or autograd would take the weights, in the same memory, for overwritten.
                Role::Buffer => Ok(view(spec, &values)?.f_data()?),
                _ => view(spec, &values),
            })
            .collect::<Result<_, NnError>>()?;
        let trainable = values.f_narrow(0, 0, layout.trainable_len())?;
        Ok(Self { layout, values, trainable, views, gradients: None })
    }

    fn with_gradients(mut self) -> Result<Self, NnError> {
        let flat = self.trainable.f_zeros_like()?;
        let mut views = Vec::with_capacity(self.views.len());
        for (spec, parameter) in self.layout.specs().iter().zip(&mut self.views) {
            views.push(match spec.role {
                Role::Trainable => {
                    let gradient = view(spec, &flat)?;
                    *parameter = parameter.f_detach()?.f_requires_grad_(true)?;
                    shim::set_gradient(parameter, &gradient)?;
                    Some(gradient)
                }
                Role::Frozen | Role::Buffer => None,
            });
        }
        self.gradients = Some(Gradients { flat, views });
        Ok(self)
    }

    /// The same values without gradients, in memory of their own: for a target network or an actor.
    ///
    /// # Errors
    /// [`NnError::Torch`] when memory runs out.
    pub fn frozen_copy(&self) -> Result<Self, NnError> {
        Self::from_flat(self.layout.clone(), self.values.f_detach_copy()?)
    }

    /// The same values without gradients, in memory of their own on another device: for an actor.
    ///
    /// # Errors
    /// [`NnError::Torch`] when memory runs out.
    pub fn frozen_on(&self, device: Device) -> Result<Self, NnError> {
        Self::from_flat(self.layout.clone(), self.values.f_detach_copy()?.f_to_device(device)?)
    }

    /// The same values without gradients, in the same memory: a pass through these leaves no gradient in the network, but
    /// passes one to its input. What changes the values here or there is seen there or here.
    ///
    /// # Errors
    /// [`NnError::Torch`] when libtorch fails.
    pub fn frozen_view(&self) -> Result<Self, NnError> {
        Self::from_flat(self.layout.clone(), self.values.f_detach()?)
    }

    /// What the parameters are and where they stand.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How many numbers there are: parameters and buffers.
    pub fn len(&self) -> i64 {
        self.layout.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the numbers live.
    pub fn device(&self) -> Device {
        self.values.device()
    }

    /// Whether the parameters have gradients.
    pub fn is_trainable(&self) -> bool {
        self.gradients.is_some()
    }

    /// All values, `[len]`, arranged as `[ trainable | frozen | buffers ]`.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// The values that are trained, `[trainable_len]`: the start of [`Parameters::values`], in the same memory.
    pub fn trainable_values(&self) -> &Tensor {
        &self.trainable
    }

    /// The gradients of the trainable values, `[trainable_len]`; `None` for a copy or view without gradients.
    pub fn gradients(&self) -> Option<&Tensor> {
        self.gradients.as_ref().map(|gradients| &gradients.flat)
    }

    /// One parameter or buffer in its shape. A trainable parameter's gradient accumulates into the flat one; a buffer
    /// is written in place, under [`tch::no_grad_guard`].
    pub fn get(&self, id: ParameterId) -> &Tensor {
        &self.views[id.0]
    }

    /// One parameter's gradient in its shape; `None` for frozen parameters and buffers.
    pub fn gradient(&self, id: ParameterId) -> Option<&Tensor> {
        self.gradients.as_ref().and_then(|gradients| gradients.views[id.0].as_ref())
    }

    /// Sets all gradients to zero.
    pub fn zero_gradients(&mut self) {
        if let Some(gradients) = &mut self.gradients {
            // An arena's gradients are flat f32 numbers: the shim has nothing to refuse.
            if shim::optim::zero(&gradients.flat).is_err() {
                let _ = gradients.flat.zero_();
            }
        }
    }

    /// Overwrites the values with those of `source`.
    ///
    /// # Errors
    /// [`NnError::Shape`] when the two belong to different networks.
    pub fn copy_from(&mut self, source: &Parameters) -> Result<(), NnError> {
        self.same_layout(source)?;
        self.values.f_copy_(&source.values)?;
        Ok(())
    }

    /// Copies all values, in the order of the layout, into ordinary memory: for another thread.
    ///
    /// # Errors
    /// [`NnError::Torch`] when libtorch fails.
    pub fn read_values(&self, values: &mut Vec<f32>) -> Result<(), NnError> {
        let count = self.layout.len() as usize;
        values.resize(count, 0.0);
        Ok(self.values.f_detach()?.f_copy_data(values, count)?)
    }

    /// Takes over all values as [`Parameters::read_values`] gave them.
    ///
    /// # Errors
    /// [`NnError::State`] when they are of another layout.
    pub fn set_values(&mut self, values: &[f32]) -> Result<(), NnError> {
        if values.len() as i64 != self.layout.len() {
            let (have, want) = (values.len(), self.layout.len());
            return Err(NnError::State(format!("{have} values for a network of {want}")));
        }
        let _guard = tch::no_grad_guard();
        self.values.f_detach()?.f_copy_(&Tensor::f_from_slice(values)?)?;
        Ok(())
    }

    /// Moves the parameters towards those of `source`, `value <- (1 - tau) value + tau source` (Polyak averaging), and
    /// overwrites the buffers: a mean of statistics is not the statistics of the mean network.
    ///
    /// # Errors
    /// [`NnError::Shape`] when the two belong to different networks.
    pub fn polyak_update(&mut self, source: &Parameters, tau: f64) -> Result<(), NnError> {
        self.same_layout(source)?;
        let (parameters, len) = (self.layout.parameters_len(), self.len());
        if parameters == len {
            let _ = self.values.f_lerp_(&source.values, tau)?;
            return Ok(());
        }
        let part = |values: &Tensor, from, to| values.f_narrow(0, from, to - from);
        let _ = part(&self.values, 0, parameters)?.f_lerp_(&part(&source.values, 0, parameters)?, tau)?;
        part(&self.values, parameters, len)?.f_copy_(&part(&source.values, parameters, len)?)?;
        Ok(())
    }

    fn same_layout(&self, other: &Parameters) -> Result<(), NnError> {
        if Arc::ptr_eq(&self.layout, &other.layout) || self.layout == other.layout {
            return Ok(());
        }
        Err(NnError::Shape("the parameters belong to networks of different shapes".into()))
    }

    /// Every parameter and buffer under its own name.
    ///
    /// # Errors
    /// [`NnError::State`] when a tensor cannot be copied.
    pub fn state(&self) -> Result<StateDict<'static>, NnError> {
        let mut state = StateDict::new();
        for (spec, view) in self.layout.specs().iter().zip(&self.views) {
            match spec.is_counter {
                true => state.put_tensor(&spec.name, &view.f_to_kind(Kind::Int64)?)?,
                false => state.put_tensor(&spec.name, view)?,
            }
        }
        Ok(state)
    }

    /// Overwrites every parameter and buffer with the array of its name. Nothing is changed unless all fit.
    ///
    /// # Errors
    /// [`NnError::State`] when an array is missing or has another shape.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), NnError> {
        let mut parts = Vec::with_capacity(self.layout.specs().len());
        for spec in self.layout.specs() {
            let tensor = state.tensor(&spec.name)?;
            if tensor.size() != spec.shape {
                let (name, have, want) = (&spec.name, tensor.size(), &spec.shape);
                return Err(NnError::State(format!(
                    "`{name}` has shape {have:?}, the network needs {want:?}"
                )));
            }
            parts.push(tensor.f_to_kind(Kind::Float)?);
        }
        let flat = flattened(&self.layout, &parts, Device::Cpu)?;
        self.values.f_copy_(&flat)?;
        Ok(())
    }
}

/// One parameter's part of a flat tensor, in its shape.
fn view(spec: &ParameterSpec, flat: &Tensor) -> Result<Tensor, NnError> {
    Ok(flat.f_narrow(0, spec.offset, spec.len())?.f_view(spec.shape.as_slice())?)
}

/// The flat tensor, arranged by role, of one tensor for each parameter in the order of adding.
fn flattened(layout: &Layout, parts: &[Tensor], device: Device) -> Result<Tensor, NnError> {
    let parts: Result<Vec<_>, _> = layout.arranged().map(|(index, _)| parts[index].f_reshape([-1])).collect();
    match layout.is_empty() {
        true => Ok(Tensor::f_zeros([0], (Kind::Float, device))?),
        false => Ok(Tensor::f_cat(&parts?, 0)?),
    }
}
