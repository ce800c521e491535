//! Layers one after the other.

use std::sync::Arc;

use tch::Tensor;

use crate::{Module, NnError, Pass};

/// Modules one after the other; without any, the identity.
#[derive(Clone, Debug, Default)]
pub struct Sequential {
    modules: Vec<Arc<dyn Module>>,
}

impl Sequential {
    /// The same with one module more at the end.
    pub fn then(self, module: impl Module + 'static) -> Self {
        self.then_shared(Arc::new(module))
    }

    /// The same with one module more at the end, which others may use too.
    pub fn then_shared(mut self, module: Arc<dyn Module>) -> Self {
        self.modules.push(module);
        self
    }

    /// The modules, the first one first.
    pub fn modules(&self) -> &[Arc<dyn Module>] {
        &self.modules
    }
}

impl Module for Sequential {
    /// From what the first module takes to what the last one gives.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let mut y = x.shallow_clone();
        for (index, module) in self.modules.iter().enumerate() {
            y = module.forward(pass, &y).map_err(|error| at(index, error))?;
        }
        Ok(y)
    }
}

/// The error of a module, with its place.
fn at(index: usize, error: NnError) -> NnError {
    match error {
        NnError::Shape(message) => NnError::Shape(format!("layer {index}: {message}")),
        NnError::Config(message) => NnError::Config(format!("layer {index}: {message}")),
        other => other,
    }
}
