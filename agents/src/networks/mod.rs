//! The networks of agents: from observations over a backbone to features, on which heads stand.
//!
//! Read in this order: `encoding` (observations as rows of numbers), `observation` (the same by their parts),
//! `backbone` (the interface of what makes features of them), `registry` (backbones by name), `standard` and
//! `layers` (the bundled ones), `front` (backbone, shared layers and memory), `config` (`net.*`), `network`
//! (a front with one head). The heads of policy and value stand in [`on_policy`](crate::on_policy), critics
//! in [`off_policy`](crate::off_policy), action values in [`dqn`](crate::dqn).

mod backbone;
mod config;
mod encoding;
mod front;
mod images;
mod layers;
mod layout;
mod network;
mod observation;
mod registry;
mod renamed;
mod review;
mod standard;

pub use backbone::{Backbone, Features, Sequences};
pub use config::{BackboneConfig, DiscreteConfig, NetConfig, RecurrentConfig, ValueSizes};
pub use encoding::{Code, DiscreteCode, Encoder};
pub use front::{Front, NetworkContext};
pub use images::ImageConfig;
use layers::LayersBackbone;
pub use layout::LayoutConfig;
pub use network::Network;
pub use observation::{Observation, ObservationPart, PartKind, part_index};
pub use registry::{BackboneContext, NetworkRegistry};
pub use renamed::check_renamed;
pub(crate) use review::review;
