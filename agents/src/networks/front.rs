//! The front of every agent's network: backbone, shared layers, memory.

use std::sync::Arc;

use pavlov_nn::{Init, Layout, Mlp, MlpConfig, NnError, Pass, Recurrent, Sequence};
use tch::{Kind, Tensor};

use super::standard::{StandardBackbone, StandardSetup};
use super::{
    Backbone, BackboneConfig, BackboneContext, Encoder, Features, LayersBackbone, NetConfig, NetworkRegistry,
    Observation, ObservationPart, Sequences,
};

/// The circumstances in which networks are described: where their parameters go, and the form of an
/// observation.
#[derive(Debug)]
pub struct NetworkContext<'a> {
    /// Where parameters are added.
    pub layout: &'a mut Layout,
    /// From observations to rows.
    pub encoder: &'a Encoder,
    /// The backbones that have names.
    pub networks: &'a NetworkRegistry,
}

/// From encoded observations to the features on which heads stand: a backbone, layers that heads share, and a
/// memory. A description that is cheap to clone: the numbers are given with each call.
#[derive(Clone, Debug)]
pub struct Front {
    backbone: Arc<dyn Backbone>,
    /// The backbone as messages name it.
    name: String,
    parts: Arc<[ObservationPart]>,
    /// True if the backbone gives the rows themselves.
    passes_rows: bool,
    dense: Option<Mlp>,
    memory: Option<Recurrent>,
}

impl Front {
    /// Describes the front. The parameters of the standard backbone are named `prefix` + `features.`, those
    /// of others `prefix` + `backbone.`, those of shared layers and memory `prefix` + `trunk.` and `prefix` +
    /// `memory.`.
    ///
    /// # Errors
    /// [`NnError::Config`] when the configuration does not fit the observations.
    pub fn new(context: &mut NetworkContext<'_>, prefix: &str, config: &NetConfig) -> Result<Self, NnError> {
        let NetworkContext { layout, encoder, networks } = context;
        let parts = encoder.parts().clone();
        let init = config.hidden_init();
        let mut passes_rows = false;
        let named = format!("{prefix}backbone.");
        let (backbone, name): (Arc<dyn Backbone>, _) = match &config.backbone {
            BackboneConfig::Auto => {
                let setup = StandardSetup {
                    images: &config.cnn,
                    embedding: config.discrete.embedding(),
                    init,
                    precision: config.precision,
                };
                let standard = StandardBackbone::new(layout, &format!("{prefix}features."), &parts, setup)?;
                passes_rows = standard.is_identity();
                (Arc::new(standard), "the standard backbone".to_string())
            }
            BackboneConfig::Layers(layers) => {
                let listed = LayersBackbone::new(layout, &named, &parts, layers, config.layer_defaults())?;
                (Arc::new(listed), "net.backbone".to_string())
            }
            BackboneConfig::Named(name) => {
                let options = &config.backbone_options;
                let context = BackboneContext { layout, prefix: &named, parts: &parts, options };
                (Arc::from(networks.build(name, context)?), format!("backbone `{name}`"))
            }
        };
        if backbone.outputs() < 1 {
            let message = format!("{name} gives {} features: give at least 1", backbone.outputs());
            return Err(NnError::Config(message));
        }
        let mut outputs = backbone.outputs();
        let dense = config.trunk_sizes.split_last().map(|(last, before)| {
            let layers = MlpConfig {
                output_activation: config.activation,
                output_init: init,
                ..config.mlp(before, 1.0)
            };
            Mlp::new(layout, &format!("{prefix}trunk."), outputs, *last, &layers)
        });
        let dense = dense.transpose()?;
        outputs = dense.as_ref().map_or(outputs, Mlp::outputs);
        let memory = config.recurrent.cell().map(|cell| {
            // Recurrent layers start as PyTorch's also where other layers start orthogonal, as is usual.
            let (sizes, keep) = ((outputs, config.recurrent_size), config.recurrent_keep_bias);
            Recurrent::keeping(layout, &format!("{prefix}memory."), cell, sizes, Init::Torch, keep)
        });
        let memory = memory.transpose()?;
        if memory.is_some() && backbone.state_width() > 0 {
            return Err(NnError::Config(format!("{name} remembers by itself: leave net.recurrent \"off\"")));
        }
        Ok(Self { backbone, name, parts, passes_rows, dense, memory })
    }

    /// The number of numbers of an encoded observation.
    pub fn inputs(&self) -> i64 {
        self.parts.iter().map(|part| part.kind.width()).sum()
    }

    /// The number of features.
    pub fn outputs(&self) -> i64 {
        self.memory.as_ref().map_or(self.before_memory(), Recurrent::outputs)
    }

    fn before_memory(&self) -> i64 {
        self.dense.as_ref().map_or(self.backbone.outputs(), Mlp::outputs)
    }

    /// The number of numbers that the front remembers of each environment; 0 without a memory.
    pub fn state_width(&self) -> usize {
        self.memory.as_ref().map_or(self.backbone.state_width(), Recurrent::state_width) as usize
    }

    /// Refuses a memory, for an agent that learns from single transitions.
    ///
    /// # Errors
    /// [`NnError::Config`] that says what to set.
    pub fn refuse_memory(&self) -> Result<(), NnError> {
        match self.state_width() {
            0 => Ok(()),
            _ => Err(NnError::Config(
                "this agent learns from single transitions, and the network has a memory: set net.recurrent = \
                 \"off\" and take a backbone without one; a2c, ppo and impala learn with a memory"
                    .into(),
            )),
        }
    }

    /// True where the features are the rows themselves.
    pub fn is_identity(&self) -> bool {
        self.passes_rows && self.dense.is_none() && self.memory.is_none()
    }

    /// From encoded observations (f32 `[batch, inputs]`) to features. A front with a memory is told how the
    /// rows follow one another.
    ///
    /// # Errors
    /// [`NnError::Shape`] for rows of another shape or type, or where a backbone does not give what it
    /// promised.
    pub fn forward(
        &self,
        pass: &mut Pass<'_>,
        rows: &Tensor,
        sequences: Option<Sequences<'_>>,
    ) -> Result<Features, NnError> {
        let observation = Observation::new(rows, &self.parts)?;
        if self.state_width() > 0 && sequences.is_none() {
            let message = "a network with a memory was asked without its state";
            return Err(NnError::Shape(message.into()));
        }
        let Features { mut features, states } = self.backbone.forward(pass, observation, sequences)?;
        self.check(&features, rows.size()[0])?;
        if let Some(dense) = &self.dense {
            features = dense.forward(pass, &features)?;
        }
        let (Some(memory), Some(Sequences { starts, state })) = (&self.memory, sequences) else {
            return Ok(Features { features, states });
        };
        let (steps, count) = (starts.size()[0], state.size()[0]);
        let x = features.f_reshape([steps, count, self.before_memory()])?;
        let answer = memory.forward(pass, &Sequence { x: &x, starts, state })?;
        let features = answer.outputs.f_reshape([steps * count, memory.outputs()])?;
        Ok(Features { features, states: Some(answer.states) })
    }

    fn check(&self, features: &Tensor, batch: i64) -> Result<(), NnError> {
        let promised = self.backbone.outputs();
        if self.passes_rows || (features.size() == [batch, promised] && features.kind() == Kind::Float) {
            return Ok(());
        }
        let (name, have, kind) = (&self.name, features.size(), features.kind());
        Err(NnError::Shape(format!(
            "{name} gave {kind:?} {have:?}, its `outputs` promise Float [{batch}, {promised}]: flatten what it gives, or \
             correct `outputs`"
        )))
    }

    /// Where numbers stop being finite on the way to the features, for a message; `None` where they are
    /// finite.
    ///
    /// # Errors
    /// As [`Front::forward`].
    pub fn find_non_finite(&self, pass: &mut Pass<'_>, rows: &Tensor) -> Result<Option<String>, NnError> {
        if !is_finite(rows)? {
            return Ok(Some("the observation holds numbers that are not finite".into()));
        }
        if self.backbone.state_width() > 0 {
            return Ok(None);
        }
        let observation = Observation::new(rows, &self.parts)?;
        let place = self.backbone.find_non_finite(pass, observation)?;
        Ok(place.map(|place| match place.as_str() {
            "" => format!("{} gives numbers that are not finite", self.name),
            place => format!("{}: {place} gives numbers that are not finite", self.name),
        }))
    }
}

fn is_finite(tensor: &Tensor) -> Result<bool, NnError> {
    Ok(tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0)
}
