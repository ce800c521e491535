//! Recurrent layers in a list: they read whole sequences, each from an empty memory.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::item::{Built, Item, Short, Site};
use super::{at_least, is_no, is_one, one, unfit, wrong_input};
use crate::{Cell, Init, Layout, Memory, Module, NnError, Pass, RecurrentStack, RecurrentStackConfig};

/// Recurrent layers that read each sample from an empty memory, as PyTorch's with `batch_first=True` and no
/// state given. A network that is to remember from call to call uses a [`Memory`] instead.
#[derive(Clone, Debug)]
pub struct SequenceReader {
    stack: RecurrentStack,
}

impl SequenceReader {
    /// Describes the layers and adds their parameters, named as [`RecurrentStack`] names them.
    ///
    /// # Errors
    /// As [`RecurrentStack::new`].
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        inputs: i64,
        config: &RecurrentStackConfig,
        init: Init,
    ) -> Result<Self, NnError> {
        Ok(Self { stack: RecurrentStack::new(layout, prefix, inputs, config, init)? })
    }
}

impl Module for SequenceReader {
    /// From f32 `[batch, steps, inputs]` to `[batch, steps, outputs]`.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let size = x.size();
        let [_, steps, inputs] = size[..] else {
            return Err(wrong_input("a recurrent layer", "f32 [batch, steps, inputs]".into(), x));
        };
        if inputs != self.stack.inputs() || steps == 0 {
            let takes = format!("f32 [batch, steps, {}] with at least one step", self.stack.inputs());
            return Err(wrong_input("a recurrent layer", takes, x));
        }
        let x = x.f_transpose(0, 1)?.f_contiguous()?;
        Ok(self.stack.read(pass, &x)?.f_transpose(0, 1)?)
    }
}

macro_rules! recurrent_layers {
    ($($(#[$doc:meta])* $config:ident, $cell:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $config {
            /// Number of units in each direction of a layer.
            pub size: i64,
            /// Number of layers.
            #[serde(default = "one", skip_serializing_if = "is_one")]
            pub layers: i64,
            /// Read the sequence backwards too: twice as many outputs.
            #[serde(default, skip_serializing_if = "is_no")]
            pub bidirectional: bool,
            /// The share of numbers between two layers that dropout silences in training.
            #[serde(default, skip_serializing_if = "is_nothing")]
            pub dropout: f64,
            /// Initialisation, if it is not that of the list.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub init: Option<Init>,
        }

        impl $config {
            /// One layer of this size, in one direction.
            pub const fn new(size: i64) -> Self {
                Self { size, layers: 1, bidirectional: false, dropout: 0.0, init: None }
            }
        }

        impl Item for $config {
            fn from_short(short: Short) -> Option<Self> {
                short.whole().map(Self::new)
            }

            fn to_short(&self) -> Option<Short> {
                (*self == Self::new(self.size)).then_some(Short::Whole(self.size))
            }

            fn build(&self, site: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
                let Self { size, layers, bidirectional, dropout, init } = *self;
                let [steps, inputs] = *shape else { return Err(unfit("sequences [steps, width]", shape)) };
                at_least("size", size, 1)?;
                let config = RecurrentStackConfig { cell: $cell, size, layers, bidirectional, dropout };
                let init = init.unwrap_or(site.defaults.init);
                let reader = SequenceReader::new(site.layout, site.prefix, inputs, &config, init)?;
                let outputs = reader.stack.outputs();
                Ok(Built::new(reader, vec![steps, outputs]))
            }
        }
    )*};
}

recurrent_layers! {
    /// Long short-term memory. In a list of layers: `{ lstm = 128 }`, or `{ lstm = { size = 128, layers = 2 }
    /// }`.
    LstmConfig, Cell::Lstm;
    /// Gated recurrent units. In a list of layers: `{ gru = 128 }`, or `{ gru = { size = 64, bidirectional =
    /// true } }`.
    GruConfig, Cell::Gru;
}

// serde asks by reference.
fn is_nothing(value: &f64) -> bool {
    *value == 0.0
}
