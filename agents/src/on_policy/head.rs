//! From the draws of a distribution to the actions of an environment.

use pavlov_envs::{ACTION_MASK, ActionBatch, BoxSpace, Space, is_bound};
use pavlov_nn::Distribution;

use crate::core::AgentError;
use crate::networks::Encoder;

/// A Gaussian policy begins around 0 with a deviation of about 1. Bounds on either side of 0 at distances
/// from the first to the second suit it as they are.
const SUITABLE: (f32, f32) = (0.25, 10.0);

/// The bounds of a box, and the way from a draw to a number between them.
#[derive(Clone, Debug)]
struct Bounds {
    low: Vec<f32>,
    high: Vec<f32>,
    /// Centre and scale of each number; `None` where all draws are the actions as they are.
    stretch: Option<Vec<(f32, f32)>>,
}

impl Bounds {
    fn new(space: &BoxSpace) -> Self {
        let each = || space.low.iter().zip(&space.high).map(|(low, high)| stretch(*low, *high));
        let as_is = each().all(|(centre, scale)| centre == 0.0 && scale == 1.0);
        Self { low: space.low.clone(), high: space.high.clone(), stretch: (!as_is).then(|| each().collect()) }
    }

    /// The point of this draw, within the bounds.
    fn apply(&self, point: &mut [f32]) {
        if let Some(stretch) = &self.stretch {
            point
                .iter_mut()
                .zip(stretch)
                .for_each(|(point, (centre, scale))| *point = centre + scale * *point);
        }
        for (point, (low, high)) in point.iter_mut().zip(self.low.iter().zip(&self.high)) {
            *point = point.max(*low).min(*high);
        }
    }
}

/// Centre and scale by which draws around 0 with deviation 1 meet these bounds: as they are where the bounds
/// suit them, else -1 to 1 for the bounds. A single bound that lies elsewhere is met at a distance of 1.
fn stretch(low: f32, high: f32) -> (f32, f32) {
    let (nearest, farthest) = SUITABLE;
    // The largest numbers there are say no more than infinite bounds.
    match (is_bound(low), is_bound(high)) {
        (true, true) => {
            let suits = |distance: f32| (nearest..=farthest).contains(&distance);
            let (middle, half) = (low / 2.0 + high / 2.0, high / 2.0 - low / 2.0);
            if suits(-low) && suits(high) { (0.0, 1.0) } else { (middle, half) }
        }
        (true, false) if low > -nearest => (low + 1.0, 1.0),
        (false, true) if high < nearest => (high - 1.0, 1.0),
        _ => (0.0, 1.0),
    }
}

/// The distribution that an action space asks for, and the way from its draws to actions.
#[derive(Clone, Debug)]
pub struct ActionHead {
    distribution: Distribution,
    /// The bounds of a box, to which actions are stretched and clipped for the environment alone.
    bounds: Option<Bounds>,
}

impl ActionHead {
    /// The head for these actions, masked as the observations say.
    ///
    /// # Errors
    /// [`AgentError::Unsupported`] for a space that no action can have, or a mask of another width.
    pub fn new(actions: &Space, encoder: &Encoder) -> Result<Self, AgentError> {
        ActionBatch::new(actions, 1)?;
        let mut bounds = None;
        let distribution = match actions {
            Space::Discrete(n) => Distribution::Categorical(*n as usize),
            Space::MultiDiscrete(counts) => {
                Distribution::MultiCategorical(counts.iter().map(|&count| count as usize).collect())
            }
            Space::MultiBinary(n) => Distribution::Bernoulli(*n),
            Space::Box(space) => {
                bounds = Some(Bounds::new(space));
                Distribution::Gaussian(space.len())
            }
            Space::Dict(_) => return Err(AgentError::Unsupported("actions cannot be a dict".into())),
        };
        let (width, choices) = (encoder.mask_width(), distribution.parameters());
        let masked = matches!(distribution, Distribution::Categorical(_) | Distribution::MultiCategorical(_));
        if width > 0 && !(masked && width == choices) {
            return Err(AgentError::Unsupported(format!(
                "the environment's `{ACTION_MASK}` has {width} bits, its actions are {actions}: give one bit for each \
                 choice of discrete actions"
            )));
        }
        Ok(Self { distribution, bounds })
    }

    /// The distribution of the actions.
    pub fn distribution(&self) -> &Distribution {
        &self.distribution
    }

    /// The way from draws to actions in words, where draws are not the actions as they are.
    pub fn rescaling(&self) -> Option<String> {
        let stretch = self.bounds.as_ref()?.stretch.as_ref()?;
        let (centre, scale) = stretch.first()?;
        Some(match stretch.iter().all(|other| other == &stretch[0]) {
            true => format!("the policy's draws, times {scale} and plus {centre}, are the actions"),
            false => "the policy's draws, from -1 to 1, are stretched to the bounds".into(),
        })
    }

    /// Makes the draw the action of environment `row`. Where the bounds of a box do not suit a Gaussian that
    /// begins around 0 with deviation 1, draws from -1 to 1 stand for them. A point outside of its box is
    /// clipped; the draw, from which the policy learns, stays as it is.
    pub fn write(&self, draw: &[f32], row: usize, actions: &mut ActionBatch) {
        match actions {
            ActionBatch::Discrete(choices) => choices[row] = draw[0] as i64,
            ActionBatch::MultiDiscrete { choices, width } => {
                let row = &mut choices[row * *width..(row + 1) * *width];
                row.iter_mut().zip(draw).for_each(|(choice, &draw)| *choice = draw as i64);
            }
            ActionBatch::Box { points, width } => {
                let row = &mut points[row * *width..(row + 1) * *width];
                row.copy_from_slice(draw);
                if let Some(bounds) = &self.bounds {
                    bounds.apply(row);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pavlov_envs::Dtype;

    use super::*;

    fn played(low: &[f32], high: &[f32], draw: &[f32]) -> Vec<f32> {
        let space = BoxSpace::new(low.to_vec(), high.to_vec(), &[low.len()], Dtype::F32).unwrap();
        let (actions, observations) = (Space::Box(space), Space::unbounded(&[1]));
        let head = ActionHead::new(&actions, &Encoder::new(&observations)).unwrap();
        let mut batch = ActionBatch::new(&actions, 1).unwrap();
        head.write(draw, 0, &mut batch);
        let ActionBatch::Box { points, .. } = batch else { panic!("no box") };
        points
    }

    #[test]
    fn draws_meet_bounds_of_any_place_and_size() {
        const NONE: f32 = f32::INFINITY;
        // Bounds, and the actions of the draws -1, 0 and 1.
        let cases = [
            ((-1.0, 1.0), [-1.0, 0.0, 1.0]),
            ((-2.0, 2.0), [-1.0, 0.0, 1.0]),
            ((-0.4, 0.4), [-0.4, 0.0, 0.4]),
            ((100.0, 200.0), [100.0, 150.0, 200.0]),
            ((-0.001, 0.001), [-0.001, 0.0, 0.001]),
            ((0.0, 1.0), [0.0, 0.5, 1.0]),
            ((-1000.0, 1000.0), [-1000.0, 0.0, 1000.0]),
            ((100.0, NONE), [100.0, 101.0, 102.0]),
            ((-NONE, -7.0), [-9.0, -8.0, -7.0]),
            ((0.0, f32::MAX), [0.0, 1.0, 2.0]),
            ((f32::MIN, f32::MAX), [-1.0, 0.0, 1.0]),
            ((-1e20, 1e20), [-1.0, 0.0, 1.0]),
            ((-NONE, NONE), [-1.0, 0.0, 1.0]),
            ((3.0, 3.0), [3.0, 3.0, 3.0]),
        ];
        for ((low, high), expected) in cases {
            assert_eq!(played(&[low; 3], &[high; 3], &[-1.0, 0.0, 1.0]), expected, "{low} {high}");
        }
        // Each number has its own bounds.
        assert_eq!(played(&[-1.0, 0.0], &[1.0, 10.0], &[0.5, -3.0]), [0.5, 0.0]);
    }
}
