//! Layers one after the other.

use std::ops::Range;
use std::sync::Arc;

use tch::Tensor;

use super::build::joined;
use super::fusion::{Step, plan};
use crate::{Module, NnError, Pass};

/// Modules one after the other; without any, the identity.
///
/// Runs of linear layers with activations, and of convolutions with ReLUs, are found when the network is put
/// together, and run as one node of the autograd graph each.
#[derive(Clone, Debug, Default)]
pub struct Sequential {
    modules: Vec<Arc<dyn Module>>,
    in_training: Vec<Step>,
    in_use: Vec<Step>,
}

impl Sequential {
    /// The same with one module more at the end.
    pub fn then(self, module: impl Module + 'static) -> Self {
        self.then_shared(Arc::new(module))
    }

    /// The same with one module more at the end, which others may use too.
    pub fn then_shared(mut self, module: Arc<dyn Module>) -> Self {
        self.modules.push(module);
        self.in_training = plan(&self.modules, true);
        self.in_use = plan(&self.modules, false);
        self
    }

    /// The modules, the first one first.
    pub fn modules(&self) -> &[Arc<dyn Module>] {
        &self.modules
    }

    /// As [`Module::forward`], the modules one by one: what the fused runs are held to.
    ///
    /// # Errors
    /// As [`Module::forward`].
    pub fn forward_by_operations(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        self.one_by_one(pass, 0..self.modules.len(), x.shallow_clone())
    }

    /// The index of the first module behind which numbers stop being finite; `None` where all are finite. The
    /// pass is read from a network that has given NaN, for a message.
    ///
    /// # Errors
    /// As [`Module::forward`].
    pub fn find_non_finite(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Option<usize>, NnError> {
        let mut y = x.shallow_clone();
        for index in 0..self.modules.len() {
            y = self.one_by_one(pass, index..index + 1, y)?;
            if y.is_floating_point() && y.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn one_by_one(&self, pass: &mut Pass<'_>, modules: Range<usize>, x: Tensor) -> Result<Tensor, NnError> {
        let mut y = x;
        for index in modules {
            y = self.modules[index].forward(pass, &y).map_err(|error| at(index, error))?;
        }
        Ok(y)
    }
}

impl Module for Sequential {
    /// From what the first module takes to what the last one gives.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let steps = if pass.is_training() { &self.in_training } else { &self.in_use };
        let mut y = x.shallow_clone();
        for step in steps {
            y = match step.node.as_ref().and_then(|node| node.forward(pass, &y)) {
                Some(output) => output?,
                None => self.one_by_one(pass, step.modules.clone(), y)?,
            };
        }
        Ok(y)
    }
}

/// The error of a module, with its place.
fn at(index: usize, error: NnError) -> NnError {
    let placed = |message: String| joined(&format!("layer {index}"), &message);
    match error {
        NnError::Shape(message) => NnError::Shape(placed(message)),
        NnError::Config(message) => NnError::Config(placed(message)),
        other => other,
    }
}
