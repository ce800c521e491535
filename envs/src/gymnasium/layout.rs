//! The layout of the memory that is shared with a worker.

use serde::Serialize;

use super::spaces::Spaces;
use crate::{EnvError, MOST_INFOS, ObsLayout, Space};

/// Numbers per environment with the outcome of a step: the reward, the reward in the world's own units,
/// flags.
pub(super) const OUTCOME_WIDTH: usize = 3;
/// The place of the last observations of episodes that ended; places 0 and 1 take turns.
pub(super) const FINAL: u8 = 2;
/// The seed of an environment that a call is not for. The worker's program has the same constant.
pub(super) const LEFT_OUT: i64 = -2;
/// A cache line: data of the two processes lies on different lines.
const ALIGNMENT: usize = 64;

/// Offsets in bytes and widths in numbers, in the form in which the worker gets them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Layout {
    /// The number of environments.
    pub count: usize,
    /// One `i64` per environment, negative for none; [`LEFT_OUT`] for an environment that the call is not for.
    pub seeds: u64,
    /// `action_width` numbers per environment, `f32` or `i64`.
    pub actions: u64,
    pub float_actions: bool,
    pub action_width: usize,
    /// [`OUTCOME_WIDTH`] `f64` per environment.
    pub outcomes: u64,
    /// [`MOST_INFOS`] columns of one `f64` per environment.
    pub infos: u64,
    /// The `f32` rows of observations, in three places.
    pub floats: [u64; 3],
    pub floats_width: usize,
    /// The `u8` rows of observations, in three places.
    pub bytes: [u64; 3],
    pub bytes_width: usize,
    /// The size of the whole memory.
    pub size: u64,
}

impl Layout {
    /// The layout for `count` environments of these spaces.
    ///
    /// # Errors
    /// [`EnvError::Contract`] for actions that no environment can have.
    pub fn new(spaces: &Spaces, count: usize) -> Result<Self, EnvError> {
        let observation = ObsLayout::new(&spaces.observations);
        let action_width = match &spaces.actions {
            Space::Discrete(_) => 1,
            Space::MultiDiscrete(counts) => counts.len(),
            Space::MultiBinary(n) => *n,
            Space::Box(space) => space.len(),
            Space::Dict(_) => {
                return Err(EnvError::Contract("a dict cannot be an action space".into()));
            }
        };
        let float_actions = matches!(spaces.actions, Space::Box(_));
        let action_size = if float_actions { size_of::<f32>() } else { size_of::<i64>() };
        let mut size = 0;
        let mut part = |bytes: usize| {
            let offset = size;
            size += bytes.next_multiple_of(ALIGNMENT) as u64;
            offset
        };
        let seeds = part(count * size_of::<i64>());
        let actions = part(count * action_width * action_size);
        let outcomes = part(count * OUTCOME_WIDTH * size_of::<f64>());
        let infos = part(count * MOST_INFOS * size_of::<f64>());
        let floats = [(); 3].map(|()| part(count * observation.floats * size_of::<f32>()));
        let bytes = [(); 3].map(|()| part(count * observation.bytes));
        Ok(Self {
            count,
            seeds,
            actions,
            float_actions,
            action_width,
            outcomes,
            infos,
            floats,
            floats_width: observation.floats,
            bytes,
            bytes_width: observation.bytes,
            size,
        })
    }

    /// The offset of the `f32` of environment `row`.
    pub fn floats_at(&self, place: u8, row: usize) -> u64 {
        self.floats[usize::from(place)] + (row * self.floats_width * size_of::<f32>()) as u64
    }

    /// The offset of the `u8` of environment `row`.
    pub fn bytes_at(&self, place: u8, row: usize) -> u64 {
        self.bytes[usize::from(place)] + (row * self.bytes_width) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_aligned_and_do_not_overlap() {
        let pixels = Space::pixels(&[5, 5]);
        let observations = Space::Dict(vec![("a".into(), pixels), ("b".into(), Space::unbounded(&[3]))]);
        let spaces = Spaces { observations, actions: Space::MultiDiscrete(vec![2; 9]), limit: None };
        let layout = Layout::new(&spaces, 3).unwrap();
        let ends = [
            (layout.seeds, 3 * 8),
            (layout.actions, 3 * 9 * 8),
            (layout.outcomes, 3 * 3 * 8),
            (layout.infos, 3 * 64 * 8),
            (layout.floats[0], 3 * 3 * 4),
            (layout.floats[1], 3 * 3 * 4),
            (layout.floats[2], 3 * 3 * 4),
            (layout.bytes[0], 3 * 25),
            (layout.bytes[1], 3 * 25),
            (layout.bytes[2], 3 * 25),
            (layout.size, 0),
        ];
        for pair in ends.windows(2) {
            assert!(pair[0].0 % 64 == 0 && pair[0].0 + pair[0].1 <= pair[1].0, "{layout:?}");
        }
        assert_eq!(layout.floats_at(FINAL, 2), layout.floats[2] + 24);
        assert_eq!(layout.bytes_at(1, 2), layout.bytes[1] + 50);
    }
}
