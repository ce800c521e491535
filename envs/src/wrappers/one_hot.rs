//! The wrapper that shows discrete numbers as one-hot codes.

use super::leaf::{Leaf, LeafMap, LeafMut};
use crate::{BoxSpace, Dtype, EnvError, Space};

/// Discrete numbers as a box of zeros with a one for each number, the codes one after the other.
pub(super) struct OneHot {
    counts: Vec<usize>,
}

impl OneHot {
    pub fn new(space: &Space) -> Result<(Self, Space), EnvError> {
        let counts = match space {
            Space::Discrete(n) => vec![*n as usize],
            Space::MultiDiscrete(counts) => counts.iter().map(|&n| n as usize).collect(),
            other => {
                return Err(EnvError::Option(format!(
                    "only discrete numbers have a one-hot code, not {other}"
                )));
            }
        };
        Ok((Self::of(counts.clone()), unit_box(counts.iter().sum())?))
    }

    pub fn of(counts: Vec<usize>) -> Self {
        Self { counts }
    }

    pub fn write(&self, numbers: &[f32], codes: &mut [f32]) {
        codes.fill(0.0);
        let mut start = 0;
        for (&number, count) in numbers.iter().zip(&self.counts) {
            codes[start + (number as usize).min(count - 1)] = 1.0;
            start += count;
        }
    }
}

/// Numbers from 0 to 1.
fn unit_box(count: usize) -> Result<Space, EnvError> {
    Ok(Space::Box(BoxSpace::new(vec![0.0; count], vec![1.0; count], &[count], Dtype::F32)?))
}

impl LeafMap for OneHot {
    type State = ();

    fn map(&mut self, from: Leaf<'_>, to: LeafMut<'_>, _start: bool) {
        if let (Leaf::Floats(from), LeafMut::Floats(to)) = (from, to) {
            self.write(from, to);
        }
    }

    fn state(&self) {}

    fn set_state(&mut self, (): ()) -> Result<(), EnvError> {
        Ok(())
    }
}
