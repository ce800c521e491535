//! The flat parameter arena.
//!
//! All parameters of a network are views into one flat tensor, all gradients into another. What works on the
//! whole network (an optimiser's step, the gradient's norm, a Polyak update, publishing weights, a
//! checkpoint) then touches one tensor. Networks themselves are mere descriptions: they hold the places of
//! their parameters, not the numbers, so a target network is the same network called with another
//! [`Parameters`].
//!
//! The flat tensor is arranged by [`Role`], `[ trainable | frozen | buffers ]`: gradients and optimisers
//! cover its first part alone. Names, states and published values ([`Parameters::read_values`]) have the
//! order in which the network added its parameters, whatever is frozen.
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

mod key;
mod layout;
mod load;
mod names;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rand::Rng;
use tch::{Device, Kind, Tensor};

use crate::{NnError, shim};

pub(crate) use layout::unknown;
pub use layout::{Layout, ParameterId, ParameterSpec, Role};
pub use load::{LoadReport, OtherShape, Rename};

/// The numbers of a network: values, and gradients if it is trained.
#[derive(Debug)]
pub struct Parameters {
    layout: Arc<Layout>,
    values: Tensor,
    trainable: Tensor,
    /// In the order of adding.
    views: Vec<Tensor>,
    gradients: Option<Gradients>,
    /// Shared with every view of the same memory.
    memory: Arc<()>,
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
    /// [`NnError::Config`] for an initialisation that makes no sense, [`NnError::Torch`] when memory runs
    /// out.
    pub fn new(layout: &Layout, rng: &mut impl Rng, device: Device) -> Result<Self, NnError> {
        check_room(layout.len())?;
        let parts = layout
            .specs()
            .iter()
            .map(|spec| spec.init.sample(&spec.shape, rng))
            .collect::<Result<Vec<_>, NnError>>()?;
        layout.spectral().iter().try_for_each(|spectral| spectral.begin(&parts))?;
        let flat = flattened(layout, &parts)?.f_to_device(device)?;
        Self::from_flat(Arc::new(layout.clone()), flat)?.with_gradients()
    }

    fn from_flat(layout: Arc<Layout>, values: Tensor) -> Result<Self, NnError> {
        let views = layout
            .specs()
            .iter()
            .map(|spec| match spec.role {
                // A layer writes its buffers between a forward pass and its backward pass. `data` gives them
                // a count of writes of their own, or autograd would take the weights, in the same memory, for
                // overwritten.
                Role::Buffer => Ok(view(spec, &values)?.f_data()?),
                _ => view(spec, &values),
            })
            .collect::<Result<_, NnError>>()?;
        let trainable = values.f_narrow(0, 0, layout.trainable_len())?;
        Ok(Self { layout, values, trainable, views, gradients: None, memory: Arc::default() })
    }

    fn with_gradients(mut self) -> Result<Self, NnError> {
        let flat = self.trainable.f_zeros_like()?;
        let mut views = Vec::with_capacity(self.views.len());
        for (spec, parameter) in self.layout.specs().iter().zip(&mut self.views) {
            views.push(match spec.role {
                Role::Trainable => {
                    let gradient = view(spec, &flat)?;
                    *parameter = parameter.f_detach()?;
                    Some(gradient)
                }
                Role::Frozen | Role::Buffer => None,
            });
        }
        let trained = self.views.iter().zip(&views);
        shim::set_gradients(
            trained.filter_map(|(parameter, gradient)| Some((parameter, gradient.as_ref()?))),
        )?;
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

    /// The same values without gradients, in the same memory: a pass through these leaves no gradient in the
    /// network, but passes one to its input. What changes the values here or there is seen there or here.
    ///
    /// # Errors
    /// [`NnError::Torch`] when libtorch fails.
    pub fn frozen_view(&self) -> Result<Self, NnError> {
        let view = Self::from_flat(self.layout.clone(), self.values.f_detach()?)?;
        Ok(Self { memory: self.memory.clone(), ..view })
    }

    /// Freezes parameters, by the patterns of [`Layout::freeze`]. The flat tensors are made anew in the new
    /// order, with gradients of zero; an [`Optimizer`](crate::Optimizer) follows at its next step. Copies
    /// made before still work with these parameters, but are copied to by single parameters until the same is
    /// frozen there.
    ///
    /// # Errors
    /// [`NnError::Config`] for a pattern that names no parameter, or while a view of these values
    /// ([`Parameters::frozen_view`]) is alive; nothing is changed then.
    pub fn freeze<N: AsRef<str>>(&mut self, patterns: &[N]) -> Result<(), NnError> {
        let mut layout = self.layout().clone();
        layout.freeze(patterns)?;
        self.rearrange(layout)
    }

    /// Makes parameters trainable again, as [`Parameters::freeze`] freezes them.
    ///
    /// # Errors
    /// As [`Parameters::freeze`].
    pub fn unfreeze<N: AsRef<str>>(&mut self, patterns: &[N]) -> Result<(), NnError> {
        let mut layout = self.layout().clone();
        layout.unfreeze(patterns)?;
        self.rearrange(layout)
    }

    /// Gives the parameters of the same network the roles that `layout` says.
    pub(crate) fn rearrange(&mut self, layout: Layout) -> Result<(), NnError> {
        if layout == *self.layout {
            return Ok(());
        }
        if Arc::strong_count(&self.memory) > 1 {
            let message = "parameters cannot be frozen or unfrozen while a view of them is alive: drop the view \
                           and make it anew";
            return Err(NnError::Config(message.into()));
        }
        let _guard = tch::no_grad_guard();
        let rearranged = Self::from_flat(Arc::new(layout.clone()), flattened(&layout, &self.views)?)?;
        *self = match self.is_trainable() {
            true => rearranged.with_gradients()?,
            false => rearranged,
        };
        Ok(())
    }

    /// The names, shapes and places of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The layout that copies and optimisers share.
    pub(crate) fn shared_layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The number of all numbers: parameters and buffers.
    pub fn len(&self) -> i64 {
        self.layout.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the numbers live.
    pub fn device(&self) -> Device {
        self.values.device()
    }

    /// True if there are gradients: not in a frozen copy or view.
    pub fn is_trainable(&self) -> bool {
        self.gradients.is_some()
    }

    /// All values, `[len]`, arranged as `[ trainable | frozen | buffers ]`.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// The values that are trained, `[trainable_len]`: the start of [`Parameters::values`], in the same
    /// memory.
    pub fn trainable_values(&self) -> &Tensor {
        &self.trainable
    }

    /// The gradients of the trainable values, `[trainable_len]`; `None` for a copy or view without gradients.
    pub fn gradients(&self) -> Option<&Tensor> {
        self.gradients.as_ref().map(|gradients| &gradients.flat)
    }

    /// One parameter or buffer in its shape. A trainable parameter's gradient accumulates into the flat one;
    /// a buffer is written in place, under [`tch::no_grad_guard`].
    ///
    /// # Panics
    /// For a place of another network: a mistake of the caller's. A network that is called finds it as an error
    /// ([`Pass::get`](crate::Pass::get)).
    pub fn get(&self, id: ParameterId) -> &Tensor {
        match self.find(id) {
            Ok((value, _)) => value,
            Err(error) => panic!("{error}"),
        }
    }

    /// One parameter's gradient in its shape; `None` for frozen parameters and buffers.
    ///
    /// # Panics
    /// As [`Parameters::get`].
    pub fn gradient(&self, id: ParameterId) -> Option<&Tensor> {
        match self.find(id) {
            Ok((_, gradient)) => gradient,
            Err(error) => panic!("{error}"),
        }
    }

    /// One parameter or buffer and its gradient.
    ///
    /// # Errors
    /// [`NnError::Shape`] for a place of another network.
    pub(crate) fn find(&self, id: ParameterId) -> Result<(&Tensor, Option<&Tensor>), NnError> {
        let index = id.index();
        match self.layout.keys().get(index) {
            Some(&key) if key == id.key() => {
                let gradients = self.gradients.as_ref();
                Ok((&self.views[index], gradients.and_then(|gradients| gradients.views[index].as_ref())))
            }
            _ => Err(self.foreign(id)),
        }
    }

    /// The error of a network that is called with another's parameters.
    #[cold]
    fn foreign(&self, id: ParameterId) -> NnError {
        let (index, specs) = (id.index(), self.layout.specs());
        let (described, own) = (id.key().to_string(), specs.get(index).map(key::words));
        let difference = match own {
            Some(own) if own == described => {
                format!("parameter {index} of both is {own}, and one before it differs")
            }
            Some(own) => {
                format!("parameter {index} of the network is {described}, of the parameters it is {own}")
            }
            None => format!("parameter {index} of the network is {described}, and there are {}", specs.len()),
        };
        NnError::Shape(format!(
            "a network was called with another network's parameters: {difference} (counted from 0); give those that \
             were made of the network's own layout"
        ))
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
        let source = self.alike(source)?;
        self.values.f_copy_(&source)?;
        Ok(())
    }

    /// Copies all values, in the order of adding, into ordinary memory: for another thread.
    ///
    /// # Errors
    /// [`NnError::Torch`] when libtorch fails.
    pub fn read_values(&self, values: &mut Vec<f32>) -> Result<(), NnError> {
        let count = self.layout.len() as usize;
        values.resize(count, 0.0);
        let ordered = match self.layout.is_in_order() {
            true => self.values.f_detach()?,
            false => joined(self.views.iter())?.f_detach()?,
        };
        shim::read_numbers(&ordered, values)
    }

    /// Takes over all values as [`Parameters::read_values`] gave them, from the same network whatever is
    /// frozen there.
    ///
    /// # Errors
    /// [`NnError::State`] when they are of another network.
    pub fn set_values(&mut self, values: &[f32]) -> Result<(), NnError> {
        if values.len() as i64 != self.layout.len() {
            let (have, want) = (values.len(), self.layout.len());
            return Err(NnError::State(format!("{have} values for a network of {want}")));
        }
        let _guard = tch::no_grad_guard();
        let ordered = Tensor::f_from_slice(values)?;
        let arranged = match self.layout.is_in_order() {
            true => ordered,
            false => {
                let lens: Vec<_> = self.layout.specs().iter().map(ParameterSpec::len).collect();
                flattened(&self.layout, &ordered.f_split_with_sizes(lens, 0)?)?
            }
        };
        self.values.f_detach()?.f_copy_(&arranged)?;
        Ok(())
    }

    /// Moves the parameters towards those of `source`, `value <- (1 - tau) value + tau source` (Polyak
    /// averaging), and overwrites the buffers: a mean of statistics is not the statistics of the mean
    /// network.
    ///
    /// # Errors
    /// [`NnError::Shape`] when the two belong to different networks.
    pub fn polyak_update(&mut self, source: &Parameters, tau: f64) -> Result<(), NnError> {
        let source = self.alike(source)?;
        let (parameters, len) = (self.layout.parameters_len(), self.len());
        if parameters == len {
            let _ = self.values.f_lerp_(&source, tau)?;
            return Ok(());
        }
        let part = |values: &Tensor, from, to| values.f_narrow(0, from, to - from);
        let _ = part(&self.values, 0, parameters)?.f_lerp_(&part(&source, 0, parameters)?, tau)?;
        part(&self.values, parameters, len)?.f_copy_(&part(&source, parameters, len)?)?;
        Ok(())
    }

    /// All values of `source`, arranged as these are.
    fn alike(&self, source: &Parameters) -> Result<Tensor, NnError> {
        if Arc::ptr_eq(&self.layout, &source.layout) || self.layout == source.layout {
            return Ok(source.values.shallow_clone());
        }
        match self.layout.is_same_network(&source.layout) {
            true => Ok(flattened(&self.layout, &source.views)?.f_detach()?),
            false => Err(NnError::Shape("the parameters belong to different networks".into())),
        }
    }
}

/// Asks for the memory that so many numbers take while they are drawn: a failure there would end the process.
fn check_room(count: i64) -> Result<(), NnError> {
    // Each number twice in f32, and once in f64 where orthogonal matrices are drawn.
    let bytes = 16 * count as usize;
    Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| {
        let gib = bytes >> 30;
        NnError::Config(format!(
            "a network of {count} numbers needs about {gib} GiB to start, more than there is: give smaller layers"
        ))
    })
}

/// One parameter's part of a flat tensor, in its shape.
fn view(spec: &ParameterSpec, flat: &Tensor) -> Result<Tensor, NnError> {
    Ok(flat.f_narrow(0, spec.offset, spec.len())?.f_view(spec.shape.as_slice())?)
}

/// The flat tensor, arranged by role, of one tensor for each parameter in the order of adding.
fn flattened(layout: &Layout, parts: &[Tensor]) -> Result<Tensor, NnError> {
    joined(layout.arranged().map(|(index, _)| &parts[index]))
}

fn joined<'a>(parts: impl Iterator<Item = &'a Tensor>) -> Result<Tensor, NnError> {
    let parts = parts.map(|part| part.f_reshape([-1])).collect::<Result<Vec<_>, _>>()?;
    match parts.is_empty() {
        true => Ok(Tensor::f_zeros([0], (Kind::Float, Device::Cpu))?),
        false => Ok(Tensor::f_cat(&parts, 0)?),
    }
}
