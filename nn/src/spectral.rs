//! Spectral normalisation (Miyato et al. 2018): a weight is divided by its largest singular value, so that a
//! layer stretches no input by more than 1.
//!
//! The weight as a matrix `W` has a row for each output. Its largest singular value is `sigma = u^T W v`,
//! with the singular vectors `u` and `v` by power iteration: each pass in training takes `u = W v / |W v|`
//! and `v = W^T u / |W^T u|` once, from the vectors that the pass before left behind. Gradients flow through
//! `W` in `sigma`, and take `u` and `v` as given.

use tch::Tensor;

use crate::{Init, Layout, NnError, ParameterId, Pass};

/// Iterations with the initial weight, as many as PyTorch makes.
const FIRST_ITERATIONS: usize = 15;
/// The least norm that a vector is divided by.
const EPS: f64 = 1e-12;

/// A weight with its singular vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spectral {
    weight: ParameterId,
    left: ParameterId,
    right: ParameterId,
    /// True if the outputs are the weight's second dimension, as in transposed convolutions.
    transposed: bool,
}

/// The weight of a layer: as its optimiser has it, or divided by its largest singular value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Weight {
    Plain(ParameterId),
    Normalized(Spectral),
}

impl Weight {
    /// Adds a weight, named `prefix` + `weight`, that is used as it is.
    ///
    /// # Errors
    /// [`NnError::Config`] when the name is taken.
    pub fn plain(layout: &mut Layout, prefix: &str, shape: &[i64], init: Init) -> Result<Self, NnError> {
        Ok(Self::Plain(layout.add(format!("{prefix}weight"), shape, init)?))
    }

    /// Adds a weight that is divided by its largest singular value, with its singular vectors as buffers, all
    /// named as by PyTorch's `parametrizations.spectral_norm`.
    ///
    /// # Errors
    /// [`NnError::Config`] when a name is taken.
    pub fn normalized(
        layout: &mut Layout,
        prefix: &str,
        shape: &[i64],
        init: Init,
        transposed: bool,
    ) -> Result<Self, NnError> {
        let rows = shape[usize::from(transposed)];
        let columns = shape.iter().product::<i64>() / rows;
        let name = |part: &str| format!("{prefix}parametrizations.weight.{part}");
        let random = Init::Normal { deviation: 1.0 };
        let spectral = Spectral {
            weight: layout.add(name("original"), shape, init)?,
            left: layout.add_buffer(name("0._u"), &[rows], random)?,
            right: layout.add_buffer(name("0._v"), &[columns], random)?,
            transposed,
        };
        layout.add_spectral(spectral);
        Ok(Self::Normalized(spectral))
    }

    /// The weight to multiply by, recorded by autograd.
    ///
    /// # Errors
    /// [`NnError::Torch`] when libtorch fails.
    pub fn of(&self, pass: &Pass<'_>) -> Result<Tensor, NnError> {
        match self {
            Self::Plain(id) => Ok(pass.get(*id)?.shallow_clone()),
            Self::Normalized(spectral) => spectral.normalized(pass),
        }
    }

    /// The weight's place, if it is used as it is.
    pub fn as_plain(&self) -> Option<ParameterId> {
        match self {
            Self::Plain(id) => Some(*id),
            Self::Normalized(_) => None,
        }
    }
}

impl Spectral {
    fn normalized(&self, pass: &Pass<'_>) -> Result<Tensor, NnError> {
        let (weight, left, right) = (pass.get(self.weight)?, pass.get(self.left)?, pass.get(self.right)?);
        if pass.is_training() {
            self.iterate(weight, left, right, 1)?;
        }
        // The next pass overwrites the vectors before this one's way back is done.
        let (left, right) = (left.f_detach_copy()?, right.f_detach_copy()?);
        let sigma = left.f_dot(&self.matrix(weight)?.f_mv(&right)?)?;
        Ok(weight.f_div(&sigma)?)
    }

    /// Turns random vectors into those of the initial weight. `parts` are all numbers of the layout, in the
    /// order of adding.
    ///
    /// # Errors
    /// [`NnError::Torch`] when libtorch fails.
    pub fn begin(&self, parts: &[Tensor]) -> Result<(), NnError> {
        let [weight, left, right] = [self.weight, self.left, self.right].map(|id| &parts[id.index()]);
        self.iterate(weight, left, right, FIRST_ITERATIONS)
    }

    fn iterate(&self, weight: &Tensor, left: &Tensor, right: &Tensor, times: usize) -> Result<(), NnError> {
        let _guard = tch::no_grad_guard();
        let matrix = self.matrix(weight)?;
        let back = matrix.f_transpose(0, 1)?;
        for _ in 0..times {
            left.shallow_clone().f_copy_(&unit(&matrix.f_mv(right)?)?)?;
            right.shallow_clone().f_copy_(&unit(&back.f_mv(left)?)?)?;
        }
        Ok(())
    }

    /// The weight with a row for each output.
    fn matrix(&self, weight: &Tensor) -> Result<Tensor, NnError> {
        let rows_first = match self.transposed {
            true => weight.f_transpose(0, 1)?,
            false => weight.shallow_clone(),
        };
        Ok(rows_first.f_flatten(1, -1)?)
    }
}

fn unit(vector: &Tensor) -> Result<Tensor, NnError> {
    Ok(vector.f_div(&vector.f_norm()?.f_clamp_min(EPS)?)?)
}
