//! The networks of tasks: a list of layers of the user's own, or the standard one for the data.

use pavlov_data::Input;
use pavlov_nn::layers::{Defaults, Flatten, Layers, Linear, LinearConfig, Sequential, build};
use pavlov_nn::{Init, Layout, Precision};
use serde::{Deserialize, Serialize};

use crate::core::{TaskError, in_key};

/// The widest layer of a standard network.
const LARGEST_WIDTH: i64 = 1 << 20;

/// Refuses a width that no layer can have; `setting` begins the message.
pub fn check_width(setting: &str, width: i64) -> Result<(), TaskError> {
    match (1..=LARGEST_WIDTH).contains(&width) {
        true => Ok(()),
        false => {
            Err(TaskError::Config(format!("{setting} {width}: give at least 1 and at most {LARGEST_WIDTH}")))
        }
    }
}

/// A network from inputs to features. The task adds its own last layers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetConfig {
    /// The layers; an empty list is the task's standard network for the data.
    pub layers: Layers,
    /// Initialisation of weights.
    pub init: Init,
    /// Number type of products: `f32`, or `bf16` where the device has it.
    pub precision: Precision,
    /// Divide the weights of linear and convolution layers by their largest singular value.
    pub spectral_norm: bool,
}

impl NetConfig {
    /// The settings of all layers.
    pub fn defaults(&self) -> Defaults {
        let Self { init, precision, spectral_norm, .. } = *self;
        Defaults { init, precision, spectral_norm }
    }

    /// A linear layer of these settings.
    pub fn linear(&self, units: i64) -> LinearConfig {
        LinearConfig {
            init: Some(self.init),
            precision: Some(self.precision),
            spectral_norm: Some(self.spectral_norm),
            ..LinearConfig::new(units)
        }
    }

    /// Describes the network that stands under this key of the configuration, for samples of `shape`, with
    /// parameters named `prefix` + `0.weight` and so on. Gives the network and the shape of one sample of its
    /// output.
    ///
    /// # Errors
    /// [`TaskError::Config`] naming the layer that does not fit.
    pub fn build(
        &self,
        layout: &mut Layout,
        (key, prefix): (&str, &str),
        shape: &[i64],
        standard: impl FnOnce() -> Result<Layers, TaskError>,
    ) -> Result<(Sequential, Vec<i64>), TaskError> {
        let layers = if self.layers.is_empty() { standard()? } else { self.layers.clone() };
        build(layout, prefix, shape, &layers, self.defaults()).map_err(in_key(&format!("{key}.layers")))
    }

    /// The same under the key `net`, with a linear layer named `head.` after it that gives rows of this
    /// width: one of each sample, or one of each step of a sequence.
    ///
    /// # Errors
    /// [`TaskError::Config`] naming the layer that does not fit.
    pub fn build_with_head(
        &self,
        layout: &mut Layout,
        input: &Input,
        (outputs, each_step): (i64, bool),
        standard: impl FnOnce() -> Result<Layers, TaskError>,
    ) -> Result<Sequential, TaskError> {
        let (network, shape) = self.build(layout, ("net", "net."), &shape_of(input), standard)?;
        let features = if each_step { last_of(&shape)? } else { shape.iter().product() };
        let head = Linear::new(layout, "head.", features, &self.linear(outputs))?;
        // One list runs as one node where it can: the head belongs to it.
        let mut whole = Sequential::default();
        for module in network.modules() {
            whole = whole.then_shared(module.clone());
        }
        if shape.len() != 1 && !each_step {
            whole = whole.then(Flatten::default());
        }
        Ok(whole.then(head))
    }
}

/// The width of one step of a sequence.
fn last_of(shape: &[i64]) -> Result<i64, TaskError> {
    match shape {
        [_, width] => Ok(*width),
        shape => Err(TaskError::Config(format!(
            "net.layers: the network gives samples of shape {shape:?}; give a row of numbers for each step, \
             [steps, width]"
        ))),
    }
}

/// The shape of one sample's input.
pub fn shape_of(input: &Input) -> Vec<i64> {
    input.shape().iter().map(|&side| side as i64).collect()
}

/// A list of layers in TOML.
///
/// # Errors
/// [`TaskError::Config`] when it is none.
pub fn layers(text: &str) -> Result<Layers, TaskError> {
    #[derive(Deserialize)]
    struct File {
        layers: Layers,
    }
    let file: File = toml::from_str(&format!("layers = [{text}]"))
        .map_err(|error| TaskError::Config(format!("a standard network: {error}")))?;
    Ok(file.layers)
}

/// The network that judges inputs, unless the user gives another: convolutions for pictures, a perceptron for
/// rows of numbers, an embedding and recurrent units for tokens.
///
/// # Errors
/// [`TaskError::Unsupported`] for sounds, which become spectrograms first.
pub fn judge(input: &Input) -> Result<Layers, TaskError> {
    match input {
        Input::Image { height, width, .. } => {
            let pool = |sides: usize| if height.min(width) / sides >= 2 { "{ max_pool2d = 2 }," } else { "" };
            layers(&format!(
                r#"{{ conv2d = {{ filters = 32, kernel = 3, padding = 1 }} }}, "relu", {}
                   {{ conv2d = {{ filters = 64, kernel = 3, padding = 1 }} }}, "relu", {}
                   "flatten", {{ linear = 128 }}, "relu", {{ dropout = 0.25 }}"#,
                pool(2),
                pool(4)
            ))
        }
        Input::Numbers { .. } => layers(r#"{ linear = 128 }, "relu", { linear = 128 }, "relu""#),
        Input::Tokens { vocabulary, .. } => layers(&format!(
            r#"{{ embedding = {{ vocabulary = {}, width = 64 }} }}, {{ gru = {{ size = 64, bidirectional = true }} }},
               {{ max = 0 }}"#,
            vocabulary.len()
        )),
        Input::Sound { .. } => Err(TaskError::Unsupported(
            "sounds are judged by their spectrograms: add the transform log_mel to data.transforms".into(),
        )),
    }
}

/// The network that hears words in a spectrogram `[1, mels, frames]`: convolutions, then recurrent units that
/// read it from the first frame to the last and back.
///
/// # Errors
/// [`TaskError::Unsupported`] for inputs that are no pictures.
pub fn hearing(input: &Input) -> Result<Layers, TaskError> {
    if !matches!(input, Input::Image { .. }) {
        return judge(input);
    }
    layers(
        r#"{ conv2d = { filters = 24, kernel = 3, padding = 1 } }, "batch_norm", "relu", { max_pool2d = 2 },
           { conv2d = { filters = 32, kernel = 3, padding = 1 } }, "batch_norm", "relu", { max_pool2d = 2 },
           { transpose = [0, 2] }, { flatten = { first = 1 } },
           { gru = { size = 64, bidirectional = true } }, { mean = 0 }, { dropout = 0.25 }"#,
    )
}

/// The network that reads texts: an embedding and long short-term memory.
///
/// # Errors
/// [`TaskError::Unsupported`] for inputs that are no tokens.
pub fn reader(input: &Input) -> Result<Layers, TaskError> {
    let Input::Tokens { vocabulary, .. } = input else {
        return Err(TaskError::Unsupported("a language model reads tokens: give it a text".into()));
    };
    let count = vocabulary.len();
    layers(&format!(r#"{{ embedding = {{ vocabulary = {count}, width = 64 }} }}, {{ lstm = 256 }}"#))
}

/// The channels of pictures, and a quarter of each side.
///
/// # Errors
/// [`TaskError::Config`] when a side is no multiple of 4.
pub fn quarter(shape: &[i64]) -> Result<[i64; 3], TaskError> {
    match *shape {
        [channels, height, width] if height % 4 == 0 && width % 4 == 0 && height > 0 && width > 0 => {
            Ok([channels, height / 4, width / 4])
        }
        _ => Err(TaskError::Config(format!(
            "the standard convolutional networks take pictures whose sides are multiples of 4, and the data's \
             samples have the shape {shape:?}: give layers of your own"
        ))),
    }
}
