//! The front of a network whose observations have several parts: images become features, numbers pass as they
//! are.

mod cnn;
mod config;

use tch::{Kind, Tensor};

pub use cnn::{Cnn, Image};
pub use config::{Architecture, CnnConfig, ConvLayer};

use crate::{Init, Layout, NnError, Pass, Precision};

/// One part of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// So many numbers.
    Numbers(i64),
    /// An image.
    Image(Image),
}

impl Part {
    /// How many numbers of the row the part takes.
    pub fn len(&self) -> i64 {
        match self {
            Self::Numbers(count) => *count,
            Self::Image(image) => image.len(),
        }
    }

    /// Whether it takes none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What becomes of one part, and how many numbers of the row it takes.
#[derive(Clone, Debug)]
enum Branch {
    Pass(i64),
    Cnn(Box<Cnn>),
}

/// From a row of several parts to a row of features. Each image goes through convolutions of its own; what
/// comes out stands in the parts' order. Without images this is the identity, and has no parameters.
#[derive(Clone, Debug)]
pub struct Features {
    branches: Vec<Branch>,
}

impl Features {
    /// Describes the front for these parts, in the order in which they lie in the row, and adds its
    /// parameters to the layout: named `prefix` + the network's own names (`0.weight` ...), and with several
    /// images `prefix` + `image0.` + those names, where images alone are counted.
    ///
    /// # Errors
    /// [`NnError::Config`] when an image is too small for the layers, or a part or the configuration makes no
    /// sense.
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        parts: &[Part],
        cnn: &CnnConfig,
        init: Init,
    ) -> Result<Self, NnError> {
        let images = parts.iter().filter(|part| matches!(part, Part::Image(_))).count();
        let mut branches = Vec::new();
        let mut image_index = 0;
        for part in parts {
            match *part {
                Part::Numbers(count) if count < 0 => {
                    let message = format!("a part of the observation has {count} numbers: give 0 or more");
                    return Err(NnError::Config(message));
                }
                Part::Numbers(count) => match branches.last_mut() {
                    // Neighbours are one slice.
                    Some(Branch::Pass(before)) => *before += count,
                    _ => branches.push(Branch::Pass(count)),
                },
                Part::Image(image) => {
                    let name = match images {
                        1 => prefix.to_string(),
                        _ => format!("{prefix}image{image_index}."),
                    };
                    branches.push(Branch::Cnn(Box::new(Cnn::new(layout, &name, image, cnn, init)?)));
                    image_index += 1;
                }
            }
        }
        Ok(Self { branches })
    }

    /// The same front, whose convolutions compute in this type of number.
    pub fn with_precision(mut self, precision: Precision) -> Self {
        for branch in &mut self.branches {
            if let Branch::Cnn(cnn) = branch {
                **cnn = cnn.as_ref().clone().with_precision(precision);
            }
        }
        self
    }

    /// The number of inputs.
    pub fn inputs(&self) -> i64 {
        self.branches.iter().map(Branch::inputs).sum()
    }

    /// The number of features.
    pub fn outputs(&self) -> i64 {
        self.branches.iter().map(Branch::outputs).sum()
    }

    /// Whether the features are the input itself: there are no images.
    pub fn is_identity(&self) -> bool {
        self.branches.iter().all(|branch| matches!(branch, Branch::Pass(_)))
    }

    /// From `x` (f32 `[batch, inputs]`) to f32 `[batch, outputs]`.
    ///
    /// # Errors
    /// [`NnError::Shape`] for an input of another shape or type.
    pub fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        check_input(x, self.inputs())?;
        if self.is_identity() {
            return Ok(x.shallow_clone());
        }
        let mut begin = 0;
        let mut features = Vec::with_capacity(self.branches.len());
        for branch in &self.branches {
            let count = branch.inputs();
            let part = x.f_narrow(1, begin, count)?;
            features.push(match branch {
                Branch::Pass(_) => part,
                Branch::Cnn(cnn) => cnn.forward(pass, &part)?,
            });
            begin += count;
        }
        match features.len() {
            1 => Ok(features.remove(0)),
            _ => Ok(Tensor::f_cat(&features, 1)?),
        }
    }
}

impl Branch {
    fn inputs(&self) -> i64 {
        match self {
            Self::Pass(count) => *count,
            Self::Cnn(cnn) => cnn.inputs(),
        }
    }

    fn outputs(&self) -> i64 {
        match self {
            Self::Pass(count) => *count,
            Self::Cnn(cnn) => cnn.outputs(),
        }
    }
}

fn check_input(x: &Tensor, inputs: i64) -> Result<(), NnError> {
    if x.dim() == 2 && x.size()[1] == inputs && x.kind() == Kind::Float {
        return Ok(());
    }
    let (have, kind) = (x.size(), x.kind());
    Err(NnError::Shape(format!("the features are of f32 [batch, {inputs}], the input is {kind:?} {have:?}")))
}

#[cfg(test)]
mod tests;
