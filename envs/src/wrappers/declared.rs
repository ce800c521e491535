//! The wrapper that declares the layout of a box.

use super::leaf::{Leaf, LeafMap, LeafMut};
use crate::{BoxLayout, EnvError, Space};

/// The same numbers, declared a picture of this layout, or no picture.
pub(super) struct Declared;

impl Declared {
    pub fn new(space: &Space, layout: BoxLayout) -> Result<(Self, Space), EnvError> {
        let Space::Box(inner) = space else {
            return Err(EnvError::Option(format!("only a box has a layout, not {space}")));
        };
        let declared = inner.clone().with_layout(layout);
        let declared =
            declared.map_err(|error| EnvError::Option(format!("the wrapper `layout`: {error}")))?;
        Ok((Self, Space::Box(declared)))
    }
}

impl LeafMap for Declared {
    type State = ();

    fn map(&mut self, from: Leaf<'_>, to: LeafMut<'_>, _start: bool) {
        match (from, to) {
            (Leaf::Bytes(from), LeafMut::Bytes(to)) => to.copy_from_slice(from),
            (Leaf::Floats(from), LeafMut::Floats(to)) => to.copy_from_slice(from),
            _ => {}
        }
    }

    fn state(&self) {}

    fn set_state(&mut self, (): ()) -> Result<(), EnvError> {
        Ok(())
    }
}
