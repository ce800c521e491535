//! The interface of layers' configurations as items of a list.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Defaults;
use crate::{Layout, Module, NnError};

/// The short form of a layer in a file, where a table is not needed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Short {
    /// The layer's name alone.
    Word,
    /// `{ name = 64 }`
    Whole(i64),
    /// `{ name = 0.1 }`
    Real(f64),
}

impl Short {
    /// The whole number that is given.
    pub fn whole(self) -> Option<i64> {
        match self {
            Self::Whole(number) => Some(number),
            _ => None,
        }
    }

    /// The number that is given.
    pub fn real(self) -> Option<f64> {
        match self {
            Self::Whole(number) => Some(number as f64),
            Self::Real(number) => Some(number),
            Self::Word => None,
        }
    }

    /// `Some` for the name alone.
    pub fn word(self) -> Option<()> {
        (self == Self::Word).then_some(())
    }
}

/// The surroundings of a layer that is built from a list.
pub struct Site<'a> {
    /// The layout that gets the layer's parameters.
    pub layout: &'a mut Layout,
    /// The start of their names.
    pub prefix: &'a str,
    /// Settings for layers that have none of their own.
    pub defaults: Defaults,
    /// True while no layer before this one has computed anything: only the list's own input can be tokens.
    pub is_input: bool,
}

/// A layer that was put together, and the shape of one sample of its output.
pub struct Built {
    pub module: Arc<dyn Module>,
    pub shape: Vec<i64>,
}

impl Built {
    /// The layer with its output's shape.
    pub fn new(module: impl Module + 'static, shape: Vec<i64>) -> Self {
        Self { module: Arc::new(module), shape }
    }
}

/// A configuration as an item of a list.
pub trait Item: Serialize + DeserializeOwned {
    /// The configuration of a short form, if there is such a form.
    fn from_short(_: Short) -> Option<Self> {
        None
    }

    /// The short form that says as much as the table.
    fn to_short(&self) -> Option<Short> {
        None
    }

    /// True for a layer that only arranges numbers: tokens stay tokens.
    fn keeps_numbers(&self) -> bool {
        false
    }

    /// Puts the layer together for samples of this shape.
    ///
    /// # Errors
    /// [`NnError::Config`] when the shape does not fit or a field makes no sense.
    fn build(&self, site: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError>;
}
