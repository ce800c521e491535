//! The network core on libtorch; it knows nothing of reinforcement learning.
//!
//! * [`Layout`] and [`Parameters`]: the flat arena in which a network's numbers live, by [`Role`]: trainable, frozen or
//!   written by the layers themselves.
//! * [`Mlp`]: networks, described by typed configurations; the description is called with the numbers. [`Ensemble`]:
//!   several of one shape. [`Recurrent`]: networks with a memory.
//! * [`Features`]: the front for observations with images: [`Cnn`]s, whose features a network goes on with.
//! * [`optim`]: optimisers that step over the whole arena at once, gradient clipping.
//! * [`Distribution`]: of actions; log-probabilities, entropies, their gradients.
//! * [`losses`]: losses that come with their gradient; [`backward`] takes it.
//! * [`Schedule`]: learning rates and other quantities that change over training.
//! * [`StateDict`]: what components save; [`weights`]: safetensors files that PyTorch reads and writes.
//! * [`device`]: from `auto`, `cpu` or `cuda:1` to a device that is there.

mod activation;
pub mod device;
pub mod distributions;
mod ensemble;
mod error;
pub mod features;
mod init;
pub mod layers;
pub mod losses;
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
mod state;
mod trainable;
pub mod weights;

pub use activation::Activation;
pub use distributions::Distribution;
pub use ensemble::Ensemble;
pub use error::NnError;
pub use features::{Cnn, CnnConfig, Features, Image, Part};
pub use init::Init;
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
    HostBuffer, HostElement, backward, gather, generator_state, set_generator_state, set_team_size,
};
pub use state::{Array, ArrayElement, ArrayKind, StateDict, StateView};
pub use trainable::{Reduce, Trainable};
