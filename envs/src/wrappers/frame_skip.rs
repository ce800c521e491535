//! The wrapper that repeats each action for several steps of the world.

use std::ops::Range;

use super::{Wrapper, check_steps};
use crate::{ACTION_MASK, Action, Env, EnvError, ObsBatch, ObsMut, Space, Step};

/// Repeats each action for `frames` steps of the world and adds up their rewards; an episode's end cuts it
/// short.
///
/// With `max_pool` the observation is the larger of the last two, number by number, so that things which a
/// screen draws in every other frame only (Mnih et al. 2015) are always seen.
pub(super) struct FrameSkip {
    frames: u32,
    /// The second last observation, and the numbers of it that are pooled.
    pool: Option<(ObsBatch, Vec<Range<usize>>)>,
}

impl FrameSkip {
    pub fn new(inner: &dyn Env, frames: u32, max_pool: bool) -> Result<Self, EnvError> {
        check_steps("frame_skip: frames", frames)?;
        let pool = max_pool.then(|| {
            let space = inner.observation_space();
            (ObsBatch::new(space, 1), boxes_of_floats(space))
        });
        Ok(Self { frames, pool })
    }
}

/// The places of the boxes of `f32`: of choices and masks, two values have no maximum that makes sense.
fn boxes_of_floats(space: &Space) -> Vec<Range<usize>> {
    let is_box = |name: &str| {
        let mut place = space;
        for key in name.split('.') {
            if let Space::Dict(entries) = place {
                place = entries.iter().find(|(entry, _)| entry == key).map_or(place, |(_, entry)| entry);
            }
        }
        matches!(place, Space::Box(_)) && name != ACTION_MASK
    };
    let layout = crate::ObsLayout::new(space);
    let floats = layout.leaves.iter().filter(|leaf| leaf.dtype == crate::Dtype::F32 && is_box(&leaf.name));
    floats.map(|leaf| leaf.range.clone()).collect()
}

impl Wrapper for FrameSkip {
    type State = ();

    fn step(
        &mut self,
        inner: &mut dyn Env,
        action: Action<'_>,
        mut observation: ObsMut<'_>,
    ) -> Result<Step, EnvError> {
        let mut sum = inner.step(action, observation.reborrow())?;
        let mut taken = 1;
        while taken < self.frames && !sum.end.is_over() {
            if let Some((before, _)) = &mut self.pool {
                before.copy_row(0, observation.as_ref());
            }
            let step = inner.step(action, observation.reborrow())?;
            let (reward, raw_reward) = (sum.reward + step.reward, sum.raw_reward + step.raw_reward);
            sum = Step { reward, raw_reward, ..step };
            taken += 1;
        }
        if let Some((before, ranges)) = self.pool.as_ref().filter(|_| taken > 1) {
            let before = before.row(0);
            observation.bytes.iter_mut().zip(before.bytes).for_each(|(new, old)| *new = (*new).max(*old));
            for range in ranges {
                let old = &before.floats[range.clone()];
                let new = &mut observation.floats[range.clone()];
                new.iter_mut().zip(old).for_each(|(new, old)| *new = new.max(*old));
            }
        }
        Ok(sum)
    }

    fn state(&self) {}

    fn set_state(&mut self, (): ()) -> Result<(), EnvError> {
        Ok(())
    }
}
