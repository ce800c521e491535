//! The network core on libtorch; it knows nothing of reinforcement learning.
//!
//! * [`Layout`] and [`Parameters`]: the flat arena in which a network's numbers live, by [`Role`]: trainable, frozen or
//!   written by the layers themselves.
//! * [`layers`]: the layers that networks are composed of, in code or from a list in a file; every layer and
//!   network is a [`Module`].
//! * [`Mlp`]: networks, described by typed configurations; the description is called with the numbers. [`Ensemble`]:
//!   several of one shape. [`Recurrent`], [`RecurrentStack`]: networks with a [`Memory`].
//! * [`Cnn`]: published convolutional networks, from an image to a row of features.
//! * [`optim`]: optimisers that step over the whole arena at once, gradient clipping.
//! * [`Distribution`]: of actions; log-probabilities, entropies, their gradients.
//! * [`losses`]: losses that come with their gradient; [`backward`] takes it.
//! * [`Means`]: numbers to log, summed where they are computed.
//! * [`Schedule`]: learning rates and other quantities that change over training.
//! * [`StateDict`]: what components save; [`weights`]: safetensors files that PyTorch reads and writes.
//! * [`device`]: from `auto`, `cpu` or `cuda:1` to a device that is there. [`device_reads`]: which reads make the
//!   host wait for it.
//!
//! A residual block as ResNets have them, with PyTorch's names in its weights, and one step down a loss:
//!
//! ```
//! use pavlov_common::SeededRng;
//! use pavlov_nn::layers::{BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Residual, Sequential};
//! use pavlov_nn::{Activation, Layout, Module, NnError, OptimizerConfig, Parameters, Trainable};
//!
//! fn block(layout: &mut Layout, name: &str, channels: i64, filters: i64) -> Result<Sequential, NnError> {
//!     let same = Conv2dConfig { padding: 1.into(), bias: false, ..Conv2dConfig::new(filters, 3) };
//!     let wider = Conv2dConfig { bias: false, ..Conv2dConfig::new(filters, 1) };
//!     let norm = BatchNormConfig::default();
//!     let layers = Sequential::default()
//!         .then(Conv2d::new(layout, &format!("{name}.conv1."), channels, &same)?)
//!         .then(BatchNorm::new(layout, &format!("{name}.bn1."), filters, &norm)?)
//!         .then(Activation::Relu)
//!         .then(Conv2d::new(layout, &format!("{name}.conv2."), filters, &same)?)
//!         .then(BatchNorm::new(layout, &format!("{name}.bn2."), filters, &norm)?);
//!     let projection = Sequential::default()
//!         .then(Conv2d::new(layout, &format!("{name}.downsample.0."), channels, &wider)?)
//!         .then(BatchNorm::new(layout, &format!("{name}.downsample.1."), filters, &norm)?);
//!     Ok(Sequential::default().then(Residual::new(layers, projection)).then(Activation::Relu))
//! }
//!
//! let mut layout = Layout::new();
//! let network = block(&mut layout, "layer1.0", 3, 8)?;
//! let parameters = Parameters::new(&layout, &mut SeededRng::seeded(1), tch::Device::Cpu)?;
//! let mut trainable = Trainable::new(parameters, &OptimizerConfig::default(), None, 1)?;
//! let images = tch::Tensor::ones([4, 3, 16, 16], tch::kind::FLOAT_CPU);
//! let features = network.forward(&mut trainable.pass(), &images)?;
//! assert_eq!(features.size(), [4, 8, 16, 16]);
//! trainable.descend_loss(&features.mean(tch::Kind::Float), 1e-3)?;
//! # Ok::<(), NnError>(())
//! ```

mod activation;
pub mod cnn;
pub mod device;
pub mod distributions;
mod ensemble;
mod error;
mod init;
pub mod layers;
pub mod losses;
pub mod means;
mod mlp;
mod module;
pub mod optim;
mod parameters;
mod pass;
mod precision;
mod recurrent;
mod recurrent_stack;
mod schedule;
mod shim;
mod spectral;
mod state;
mod trainable;
pub mod weights;

pub use activation::Activation;
pub use cnn::{Cnn, CnnConfig, Image};
pub use distributions::Distribution;
pub use ensemble::Ensemble;
pub use error::NnError;
pub use init::Init;
pub use means::{Means, Scalar};
pub use mlp::{Mlp, MlpConfig};
pub use module::{Memory, Module};
pub use optim::{Optimizer, OptimizerConfig};
pub use parameters::{Layout, LoadReport, OtherShape, ParameterId, ParameterSpec, Parameters, Rename, Role};
pub use pass::{Mode, Pass};
pub use precision::Precision;
pub use recurrent::{Cell, Recurrent, Sequence, SequenceOutputs};
pub use recurrent_stack::{RecurrentStack, RecurrentStackConfig};
pub use schedule::Schedule;
pub use shim::{
    Draw, HostBuffer, HostElement, TcpStore, backward, device_reads, divide_bytes, gather, generator_state,
    keep_memory, leave, pinned, random, read_numbers, set_generator_state, set_team_size,
};
pub use state::{Array, ArrayElement, ArrayKind, StateDict, StateView};
pub use trainable::Trainable;
