//! The wrapper that hides a part of the observation.

use super::leaf::{Leaf, LeafMap, LeafMut};
use crate::{BoxSpace, Dtype, EnvError, Space};

/// Shows only chosen numbers of a box of `f32`. Without its velocities, for instance, a world can only be
/// known from memory.
///
/// The other numbers are left out, not set to zero, so that a network has no dead inputs.
pub(super) struct Select {
    /// The numbers that are shown, in this order.
    shown: Vec<usize>,
}

impl Select {
    pub fn new(space: &Space, shown: &[usize]) -> Result<(Self, Space), EnvError> {
        let space = match space {
            Space::Box(space) if space.dtype == Dtype::F32 => space,
            other => {
                return Err(EnvError::Option(format!(
                    "only a part of a box of f32 can be shown, not of {other}"
                )));
            }
        };
        if let Some(beyond) = shown.iter().find(|&&index| index >= space.len()) {
            let count = space.len();
            let message =
                format!("number {beyond} cannot be shown: the observation has {count}, counted from 0");
            return Err(EnvError::Option(message));
        }
        if shown.is_empty() {
            return Err(EnvError::Option("nothing would be shown: name at least one number".into()));
        }
        let bounds = |of: &[f32]| shown.iter().map(|&index| of[index]).collect();
        let space = BoxSpace::new(bounds(&space.low), bounds(&space.high), &[shown.len()], Dtype::F32)?;
        Ok((Self { shown: shown.to_vec() }, Space::Box(space)))
    }
}

impl LeafMap for Select {
    type State = ();

    fn map(&mut self, from: Leaf<'_>, to: LeafMut<'_>, _start: bool) {
        if let (Leaf::Floats(from), LeafMut::Floats(to)) = (from, to) {
            to.iter_mut().zip(&self.shown).for_each(|(out, &index)| *out = from[index]);
        }
    }

    fn state(&self) {}

    fn set_state(&mut self, (): ()) -> Result<(), EnvError> {
        Ok(())
    }
}
