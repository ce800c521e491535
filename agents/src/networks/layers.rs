//! A backbone from a list of layers, `net.backbone = [...]`.

use pavlov_nn::layers::{self, Defaults, LayerConfig};
use pavlov_nn::{Layout, Module, NnError, Pass};
use tch::Tensor;

use super::{Backbone, Features, Observation, ObservationPart, PartKind, Sequences};

/// The layers of a list, one after the other.
#[derive(Debug)]
pub(super) struct LayersBackbone {
    network: layers::Sequential,
    outputs: i64,
    /// True if the layers take the whole row, or the only part in its own shape.
    takes_rows: bool,
}

impl LayersBackbone {
    /// Describes the layers for observations of these parts: a single one in its own shape, several, if none
    /// is an image, as one row.
    ///
    /// # Errors
    /// [`NnError::Config`] naming the layer by its place.
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        parts: &[ObservationPart],
        list: &[LayerConfig],
        defaults: Defaults,
    ) -> Result<Self, NnError> {
        let takes_rows = parts.len() > 1;
        let shape = match parts {
            [only] => only.kind.shape(),
            parts if parts.iter().all(|part| matches!(part.kind, PartKind::Numbers { .. })) => {
                vec![parts.iter().map(|part| part.kind.width()).sum()]
            }
            parts => {
                let keys = parts.iter().map(|part| format!("`{}`", part.key)).collect::<Vec<_>>().join(", ");
                return Err(NnError::Config(format!(
                    "net.backbone: a list of layers takes an observation of one entry, this one has {keys}: give \
                     \"auto\" with net.cnn, or register a backbone of your own"
                )));
            }
        };
        let named = |error| match error {
            NnError::Config(message) => NnError::Config(format!("net.backbone: {message}")),
            other => other,
        };
        let (network, shape) = layers::build(layout, prefix, &shape, list, defaults).map_err(named)?;
        let [outputs] = shape[..] else {
            return Err(NnError::Config(format!(
                "net.backbone: the layers end with the shape {shape:?}, heads take a row of features: end the list with \
                 \"flatten\""
            )));
        };
        Ok(Self { network, outputs, takes_rows })
    }
}

impl LayersBackbone {
    fn input(&self, observation: Observation<'_>) -> Result<Tensor, NnError> {
        match self.takes_rows {
            true => Ok(observation.rows().shallow_clone()),
            false => observation.part(0),
        }
    }
}

impl Backbone for LayersBackbone {
    fn outputs(&self) -> i64 {
        self.outputs
    }

    fn forward(
        &self,
        pass: &mut Pass<'_>,
        observation: Observation<'_>,
        _sequences: Option<Sequences<'_>>,
    ) -> Result<Features, NnError> {
        Ok(self.network.forward(pass, &self.input(observation)?)?.into())
    }

    fn find_non_finite(
        &self,
        pass: &mut Pass<'_>,
        observation: Observation<'_>,
    ) -> Result<Option<String>, NnError> {
        let place = self.network.find_non_finite(pass, &self.input(observation)?)?;
        Ok(place.map(|index| format!("layer {index}")))
    }
}
