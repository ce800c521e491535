//! The loops over the copies in a block. They contain neither branches nor calls, so that the compiler can
//! vectorise them.

use crate::End;
use crate::dynamics::{Dynamics, Outcome};

/// The number of copies in a block.
pub const LANES: usize = 64;

/// The states of some copies: each of their numbers in a column of its own.
pub type Block<const STATE: usize> = [[f64; LANES]; STATE];

/// A block of zeros.
pub const fn zeros<const STATE: usize>() -> Block<STATE> {
    [[0.0; LANES]; STATE]
}

/// Advances the first copies of the block, one for each input; returns true if all rewards are finite.
#[inline(always)]
pub fn advance<D: Dynamics<STATE, OBS>, const STATE: usize, const OBS: usize>(
    equations: &D,
    block: &mut Block<STATE>,
    inputs: &[D::Input],
    rewards: &mut [f64],
    terminated: &mut [bool; LANES],
) -> bool {
    let count = inputs.len().min(LANES);
    let (inputs, rewards) = (&inputs[..count], &mut rewards[..count]);
    let mut finite = true;
    for lane in 0..count {
        let state = std::array::from_fn(|number| block[number][lane]);
        let Outcome { state, reward, terminated: over } = equations.advance(state, inputs[lane]);
        for number in 0..STATE {
            block[number][lane] = state[number];
        }
        rewards[lane] = reward;
        terminated[lane] = over;
        finite &= reward.is_finite();
    }
    finite
}

/// Counts a step of each episode, and marks the episodes that ended with it.
#[inline(always)]
pub fn count_steps(steps: &mut [u32], limit: Option<u32>, terminated: &[bool; LANES], ends: &mut [End]) {
    let count = steps.len().min(LANES);
    let (steps, ends) = (&mut steps[..count], &mut ends[..count]);
    let truncates = limit.is_some();
    let limit = limit.unwrap_or_default();
    for lane in 0..count {
        steps[lane] = steps[lane].saturating_add(1);
        let cut = if truncates & (steps[lane] >= limit) { End::Truncated } else { End::No };
        ends[lane] = if terminated[lane] { End::Terminated } else { cut };
    }
}

/// Writes the observations of the block's first copies, as many as there is room for; returns true if all
/// numbers are finite.
#[inline(always)]
pub fn observe<D: Dynamics<STATE, OBS>, const STATE: usize, const OBS: usize>(
    block: &Block<STATE>,
    floats: &mut [f32],
) -> bool {
    let (rows, _) = floats.as_chunks_mut::<OBS>();
    let count = rows.len().min(LANES);
    let rows = &mut rows[..count];
    let mut finite = true;
    for lane in 0..count {
        let observation = D::observe(std::array::from_fn(|number| block[number][lane]));
        rows[lane] = observation;
        finite &= observation.iter().fold(true, |finite, x| finite & x.is_finite());
    }
    finite
}
