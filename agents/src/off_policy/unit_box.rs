//! Between a policy's actions, numbers from -1 to 1, and those of an environment.

use pavlov_envs::{NO_BOUND, Space, is_bound};

use crate::core::AgentError;

/// The bounds of a box of actions, onto which [-1, 1] is stretched. The replay and the critics know actions
/// as the policy does, from -1 to 1; the environment alone gets them in its own units.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitBox {
    low: Vec<f32>,
    high: Vec<f32>,
}

impl UnitBox {
    /// The bounds of these actions, for the agent of this name.
    ///
    /// # Errors
    /// [`AgentError::Unsupported`] for actions that are no box, or a box without bounds.
    pub fn new(agent: &str, actions: &Space) -> Result<Self, AgentError> {
        let Space::Box(space) = actions else {
            return Err(AgentError::Unsupported(format!(
                "{agent} needs continuous actions, the environment's are {actions}: try another agent"
            )));
        };
        if !space.low.iter().chain(&space.high).all(|bound| is_bound(*bound)) {
            return Err(AgentError::Unsupported(format!(
                "{agent} needs actions with finite bounds, the environment's are {actions} (a bound of {NO_BOUND:e} or \
                 more says nothing): if the wrapper `clip_action` hides the bounds, leave it out or take \
                 `rescale_action` in its place; a world without bounds needs them in its action space"
            )));
        }
        Ok(Self { low: space.low.clone(), high: space.high.clone() })
    }

    /// The number of numbers of an action.
    pub fn width(&self) -> usize {
        self.low.len()
    }

    /// From numbers between -1 and 1 to the environment's, never beyond its bounds.
    pub fn to_world(&self, unit: &[f32], world: &mut [f32]) {
        for (((out, u), &low), &high) in world.iter_mut().zip(unit).zip(&self.low).zip(&self.high) {
            *out = (low + (u + 1.0) * 0.5 * (high - low)).clamp(low, high);
        }
    }

    /// From the environment's numbers to those between -1 and 1.
    pub fn to_unit(&self, world: &[f32], unit: &mut [f32]) {
        for (((out, x), &low), &high) in unit.iter_mut().zip(world).zip(&self.low).zip(&self.high) {
            // A number that can have one value alone says nothing.
            *out = if high > low { 2.0 * (x - low) / (high - low) - 1.0 } else { 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(low: &[f32], high: &[f32]) -> Space {
        let dtype = pavlov_envs::Dtype::F32;
        Space::Box(pavlov_envs::BoxSpace::new(low.to_vec(), high.to_vec(), &[low.len()], dtype).unwrap())
    }

    #[test]
    fn the_bounds_are_reached_and_the_way_back_is_the_same() {
        let bounds = UnitBox::new("sac", &boxed(&[-2.0, 0.0, 3.0], &[2.0, 10.0, 3.0])).unwrap();
        let mut world = [0.0; 3];
        for (unit, expected) in [
            ([-1.0, -1.0, 0.0], [-2.0, 0.0, 3.0]),
            ([1.0, 1.0, 0.0], [2.0, 10.0, 3.0]),
            ([0.5, -0.5, 0.0], [1.0, 2.5, 3.0]),
        ] {
            bounds.to_world(&unit, &mut world);
            assert_eq!(world, expected);
            let mut back = [9.0; 3];
            bounds.to_unit(&world, &mut back);
            assert_eq!(back, unit);
        }
    }

    #[test]
    fn actions_without_bounds_are_refused_in_words_that_help() {
        let refused = |space: &Space| UnitBox::new("sac", space).unwrap_err().to_string();
        assert!(refused(&Space::Discrete(2)).contains("continuous actions"));
        assert!(refused(&Space::unbounded(&[1])).contains("rescale_action"));
        // The width of such a box exceeds what f32 holds.
        assert!(refused(&boxed(&[f32::MIN], &[f32::MAX])).contains("says nothing"));
        assert!(refused(&boxed(&[-1.0, 0.0], &[1.0, 1e20])).contains("says nothing"));
    }
}
