//! The trait of the sounds' transforms.

use pavlov_common::SeededRng;

use crate::Input;

/// One step on a sound's way into a batch. Threads apply it at the same time.
pub trait SoundTransform: std::fmt::Debug + Send + Sync {
    /// What the input is afterwards.
    fn output(&self) -> &Input;

    /// True if it is random, an augmentation for training alone.
    fn augments(&self) -> bool;

    /// Transforms one input of [`Input::numbers`] numbers into `output`, all of which is written.
    fn apply(&self, input: &[f32], output: &mut [f32], rng: &mut SeededRng);
}
