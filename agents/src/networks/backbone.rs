//! The backbone of a network: from the parts of an observation to a row of features.

use std::fmt;

use pavlov_nn::{NnError, Pass};
use tch::Tensor;

use super::Observation;

/// The order of rows in time: they lie `[steps, count]`.
#[derive(Clone, Copy, Debug)]
pub struct Sequences<'a> {
    /// Not 0 where an episode begins: f32 `[steps, count]`.
    pub starts: &'a Tensor,
    /// The state before the first step: f32 `[count, width]`.
    pub state: &'a Tensor,
}

/// The output of a backbone.
#[derive(Debug)]
pub struct Features {
    /// f32 `[batch, outputs]`
    pub features: Tensor,
    /// The state after each step, f32 `[steps, count, width]`, of a backbone that remembers; data, without
    /// gradient.
    pub states: Option<Tensor>,
}

impl From<Tensor> for Features {
    /// The features of a backbone without memory.
    fn from(features: Tensor) -> Self {
        Self { features, states: None }
    }
}

/// A network from observations to features, on which the heads of policy and values stand. A description: the
/// numbers are given with each [`Pass`], and one description serves all threads.
///
/// An own backbone is registered under a name
/// ([`NetworkRegistry::register`](super::NetworkRegistry::register)) and chosen by `net.backbone`.
pub trait Backbone: fmt::Debug + Send + Sync {
    /// The number of features.
    fn outputs(&self) -> i64;

    /// The number of numbers that the backbone remembers of each environment; 0 for one without memory.
    fn state_width(&self) -> i64 {
        0
    }

    /// The features of a batch. `sequences` says how rows follow one another, for a backbone that remembers.
    ///
    /// # Errors
    /// [`NnError`] when the observation is not what the backbone was made for.
    fn forward(
        &self,
        pass: &mut Pass<'_>,
        observation: Observation<'_>,
        sequences: Option<Sequences<'_>>,
    ) -> Result<Features, NnError>;

    /// Names the layer behind which numbers stop being finite, the empty text for the backbone as a whole;
    /// `None` where all are finite. Asked for a message once a network has given NaN.
    ///
    /// # Errors
    /// As [`Backbone::forward`].
    fn find_non_finite(
        &self,
        pass: &mut Pass<'_>,
        observation: Observation<'_>,
    ) -> Result<Option<String>, NnError> {
        let features = self.forward(pass, observation, None)?.features;
        let finite = features.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0;
        Ok((!finite).then(String::new))
    }
}
