//! The standard backbone: each image goes through convolutions of its own, tokens are embedded, numbers pass
//! as they are.

use pavlov_nn::{Cnn, Init, Layout, NnError, ParameterId, Pass, Precision};
use tch::{Kind, Tensor};

use super::{Backbone, Features, ImageConfig, Observation, ObservationPart, PartKind, Sequences};

/// The way of one part of an observation, or of several neighbouring ones, to features.
#[derive(Clone, Debug)]
enum Branch {
    /// So many numbers, which pass as they are.
    Pass { begin: i64, width: i64 },
    /// An image that goes through convolutions.
    Image { begin: i64, cnn: Box<Cnn> },
    /// Tokens, each of which becomes a row of a table: `[vocabulary, width]`.
    Tokens { begin: i64, count: i64, table: ParameterId, width: i64 },
}

impl Branch {
    fn outputs(&self) -> i64 {
        match self {
            Self::Pass { width, .. } => *width,
            Self::Image { cnn, .. } => cnn.outputs(),
            Self::Tokens { count, width, .. } => count * width,
        }
    }
}

/// The configuration of the standard backbone.
#[derive(Clone, Copy, Debug)]
pub(super) struct StandardSetup<'a> {
    /// The convolutions of images.
    pub images: &'a ImageConfig,
    /// The width of the row that stands for a token.
    pub embedding: i64,
    /// The initial values of the convolutions' weights.
    pub init: Init,
    /// The type of number in which convolutions multiply.
    pub precision: Precision,
}

/// Convolutions for images, embeddings for tokens; the features stand in the order of the observation's
/// parts.
#[derive(Clone, Debug)]
pub(super) struct StandardBackbone {
    branches: Vec<Branch>,
}

impl StandardBackbone {
    /// Describes the backbone for these parts. The parameters of convolutions are named `prefix` + their own
    /// names (`0.weight` ...), those of several images `prefix` + `image0.` + those names, where images alone
    /// are counted; a table of tokens is named `prefix` + `tokens0.weight`.
    ///
    /// # Errors
    /// [`NnError::Config`] when an image is too small for its convolutions.
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        parts: &[ObservationPart],
        setup: StandardSetup<'_>,
    ) -> Result<Self, NnError> {
        setup.images.check_keys(parts)?;
        let chosen: Vec<_> = parts.iter().map(|part| setup.images.convolutions(part)).collect();
        let images = chosen.iter().flatten().count();
        let (mut branches, mut image_index, mut table_index) = (Vec::new(), 0, 0);
        for (part, cnn) in parts.iter().zip(chosen) {
            let (begin, width) = (part.begin, part.kind.width());
            match (&part.kind, cnn, branches.last_mut()) {
                (PartKind::Image(image), Some(cnn), _) => {
                    let name = match images {
                        1 => prefix.to_string(),
                        _ => format!("{prefix}image{image_index}."),
                    };
                    let cnn = Cnn::new(layout, &name, *image, &cnn, setup.init)?;
                    let cnn = Box::new(cnn.with_precision(setup.precision));
                    branches.push(Branch::Image { begin, cnn });
                    image_index += 1;
                }
                (PartKind::Tokens { count, vocabulary }, ..) => {
                    let (shape, name) =
                        ([*vocabulary, setup.embedding], format!("{prefix}tokens{table_index}.weight"));
                    let table = layout.add(name, &shape, Init::Normal { deviation: 1.0 })?;
                    branches.push(Branch::Tokens { begin, count: *count, table, width: setup.embedding });
                    table_index += 1;
                }
                // Neighbours are one slice.
                (_, _, Some(Branch::Pass { begin: first, width: before })) if *first + *before == begin => {
                    *before += width;
                }
                _ => branches.push(Branch::Pass { begin, width }),
            }
        }
        Ok(Self { branches })
    }

    /// True where the features are the observation itself.
    pub fn is_identity(&self) -> bool {
        self.branches.iter().all(|branch| matches!(branch, Branch::Pass { .. }))
    }
}

impl Backbone for StandardBackbone {
    fn outputs(&self) -> i64 {
        self.branches.iter().map(Branch::outputs).sum()
    }

    fn forward(
        &self,
        pass: &mut Pass<'_>,
        observation: Observation<'_>,
        _sequences: Option<Sequences<'_>>,
    ) -> Result<Features, NnError> {
        let rows = observation.rows();
        if self.is_identity() {
            return Ok(rows.shallow_clone().into());
        }
        let mut features = Vec::with_capacity(self.branches.len());
        for branch in &self.branches {
            features.push(match branch {
                Branch::Pass { begin, width } => rows.f_narrow(1, *begin, *width)?,
                Branch::Image { begin, cnn } => {
                    cnn.forward(pass, &rows.f_narrow(1, *begin, cnn.inputs())?)?
                }
                Branch::Tokens { begin, count, table, .. } => {
                    let tokens = rows.f_narrow(1, *begin, *count)?.f_to_kind(Kind::Int64)?;
                    let embedded = Tensor::f_embedding(pass.get(*table)?, &tokens, -1, false, false)?;
                    embedded.f_flatten(1, 2)?
                }
            });
        }
        Ok(match features.len() {
            1 => features.remove(0),
            _ => Tensor::f_cat(&features, 1)?,
        }
        .into())
    }
}
