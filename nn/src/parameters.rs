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

use std::sync::Arc;

use rand::Rng;
use tch::{Device, Kind, Tensor};

use crate::{Init, NnError, StateDict, StateView, shim};

/// The place of one parameter in its arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterId(usize);

/// One parameter of a network: its name as in PyTorch's `state_dict`, its shape, how it starts and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// The name, for instance `0.weight`.
    pub name: String,
    /// The shape.
    pub shape: Vec<i64>,
    /// How it starts.
    pub init: Init,
    /// Where it starts in the flat tensor, in numbers.
    pub offset: i64,
}

impl ParameterSpec {
    /// How many numbers the parameter has.
    pub fn len(&self) -> i64 {
        self.shape.iter().product()
    }

    /// Whether the parameter has no numbers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The list of a network's parameters: networks add theirs as they are described.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    specs: Vec<ParameterSpec>,
    len: i64,
}

impl Layout {
    /// A layout without parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter and gives its place.
    ///
    /// # Errors
    /// [`NnError::Config`] when the name is taken.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        shape: &[i64],
        init: Init,
    ) -> Result<ParameterId, NnError> {
        let name = name.into();
        if self.specs.iter().any(|spec| spec.name == name) {
            return Err(NnError::Config(format!(
                "two parameters are named `{name}`: give the networks names"
            )));
        }
        let spec = ParameterSpec { name, shape: shape.to_vec(), init, offset: self.len };
        self.len += spec.len();
        self.specs.push(spec);
        Ok(ParameterId(self.specs.len() - 1))
    }

    /// The parameters in order.
    pub fn specs(&self) -> &[ParameterSpec] {
        &self.specs
    }

    /// How many numbers all parameters have together.
    pub fn len(&self) -> i64 {
        self.len
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }
}

/// The numbers of a network: values, and gradients if it is trained.
#[derive(Debug)]
pub struct Parameters {
    layout: Arc<Layout>,
    values: Tensor,
    views: Vec<Tensor>,
    gradients: Option<Gradients>,
}

#[derive(Debug)]
struct Gradients {
    flat: Tensor,
    views: Vec<Tensor>,
}

impl Parameters {
    /// Trainable parameters, started as the layout says with numbers from `rng`.
    ///
    /// # Errors
    /// [`NnError::Config`] for an initialisation that makes no sense, [`NnError::Torch`] when memory runs out.
    pub fn new(layout: &Layout, rng: &mut impl Rng, device: Device) -> Result<Self, NnError> {
        let parts = layout
            .specs
            .iter()
            .map(|spec| Ok(spec.init.sample(&spec.shape, rng)?.f_reshape([-1])?))
            .collect::<Result<Vec<_>, NnError>>()?;
        let flat = match parts.is_empty() {
            true => Tensor::f_zeros([0], (Kind::Float, Device::Cpu))?,
            false => Tensor::f_cat(&parts, 0)?,
        };
        let layout = Arc::new(layout.clone());
        Self::from_flat(layout, flat.f_to_device(device)?)?.with_gradients()
    }

    fn from_flat(layout: Arc<Layout>, values: Tensor) -> Result<Self, NnError> {
        let views = views(&layout, &values)?;
        Ok(Self { layout, values, views, gradients: None })
    }

    fn with_gradients(mut self) -> Result<Self, NnError> {
        let flat = self.values.f_zeros_like()?;
        let gradients = Gradients { views: views(&self.layout, &flat)?, flat };
        for view in &mut self.views {
            *view = view.f_detach()?;
        }
        shim::set_gradients(self.views.iter().zip(&gradients.views))?;
        self.gradients = Some(gradients);
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

    /// How many numbers there are.
    pub fn len(&self) -> i64 {
        self.layout.len
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

    /// All values, `[len]`.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// All gradients, `[len]`; `None` for frozen parameters.
    pub fn gradients(&self) -> Option<&Tensor> {
        self.gradients.as_ref().map(|gradients| &gradients.flat)
    }

    /// One parameter in its shape. Its gradient accumulates into the flat one.
    pub fn get(&self, id: ParameterId) -> &Tensor {
        &self.views[id.0]
    }

    /// One parameter's gradient in its shape; `None` for frozen parameters.
    pub fn gradient(&self, id: ParameterId) -> Option<&Tensor> {
        self.gradients.as_ref().map(|gradients| &gradients.views[id.0])
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

    /// Moves the values towards those of `source`: `value <- (1 - tau) value + tau source` (Polyak averaging).
    ///
    /// # Errors
    /// [`NnError::Shape`] when the two belong to different networks.
    pub fn polyak_update(&mut self, source: &Parameters, tau: f64) -> Result<(), NnError> {
        self.same_layout(source)?;
        let _ = self.values.f_lerp_(&source.values, tau)?;
        Ok(())
    }

    fn same_layout(&self, other: &Parameters) -> Result<(), NnError> {
        if Arc::ptr_eq(&self.layout, &other.layout) || self.layout == other.layout {
            return Ok(());
        }
        Err(NnError::Shape("the parameters belong to networks of different shapes".into()))
    }

    /// Every parameter under its own name.
    ///
    /// # Errors
    /// [`NnError::State`] when a tensor cannot be copied.
    pub fn state(&self) -> Result<StateDict<'static>, NnError> {
        let mut state = StateDict::new();
        for (spec, view) in self.layout.specs.iter().zip(&self.views) {
            state.put_tensor(&spec.name, view)?;
        }
        Ok(state)
    }

    /// Overwrites every parameter with the array of its name. Nothing is changed unless all fit.
    ///
    /// # Errors
    /// [`NnError::State`] when an array is missing or has another shape.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), NnError> {
        let mut parts = Vec::with_capacity(self.layout.specs.len());
        for spec in &self.layout.specs {
            let tensor = state.tensor(&spec.name)?;
            if tensor.size() != spec.shape {
                let (name, have, want) = (&spec.name, tensor.size(), &spec.shape);
                return Err(NnError::State(format!(
                    "`{name}` has shape {have:?}, the network needs {want:?}"
                )));
            }
            parts.push(tensor.f_to_kind(Kind::Float)?.f_reshape([-1])?);
        }
        if !parts.is_empty() {
            self.values.f_copy_(&Tensor::f_cat(&parts, 0)?)?;
        }
        Ok(())
    }
}

fn views(layout: &Layout, flat: &Tensor) -> Result<Vec<Tensor>, NnError> {
    layout
        .specs
        .iter()
        .map(|spec| Ok(flat.f_narrow(0, spec.offset, spec.len())?.f_view(spec.shape.as_slice())?))
        .collect()
}
