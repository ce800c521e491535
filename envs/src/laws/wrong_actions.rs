//! Actions that do not fit a space, whatever the space is.

use crate::{Action, Space};

/// Actions that an environment must refuse: of another kind, of another width, or with a choice or a number
/// that the space does not have.
pub(super) struct WrongActions {
    single: Vec<i64>,
    choices: Vec<Vec<i64>>,
    points: Vec<Vec<f32>>,
}

impl WrongActions {
    /// The wrong actions of this space.
    pub fn of(space: &Space) -> Self {
        // Wrong in kind for every space, unless its own kind is put in their place.
        let mut wrong = Self { single: vec![0], choices: vec![vec![0]], points: vec![vec![0.0]] };
        match space {
            Space::Discrete(n) => wrong.single = vec![*n, -1, i64::MAX, i64::MIN],
            Space::MultiDiscrete(counts) => wrong.choices = wrong_choices(counts),
            Space::MultiBinary(n) => wrong.choices = wrong_choices(&vec![2; *n]),
            Space::Box(space) => {
                // Every number outside of the bounds may be accepted and clipped, these are no numbers.
                let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
                wrong.points = with_one_wrong(&vec![0.0; space.len()], |_| odd.to_vec());
            }
            Space::Dict(_) => {}
        }
        wrong
    }

    pub fn iter(&self) -> impl Iterator<Item = Action<'_>> {
        let single = self.single.iter().map(|&choice| Action::Discrete(choice));
        let choices = self.choices.iter().map(|choices| Action::MultiDiscrete(choices));
        single.chain(choices).chain(self.points.iter().map(|point| Action::Box(point)))
    }
}

fn wrong_choices(counts: &[i64]) -> Vec<Vec<i64>> {
    with_one_wrong(&vec![0; counts.len()], |place| vec![counts[place], -1])
}

/// Rows of another width than `fitting`, and copies of it with one wrong number: in the first place, or in
/// the last.
fn with_one_wrong<T: Copy + Default>(fitting: &[T], wrong: impl Fn(usize) -> Vec<T>) -> Vec<Vec<T>> {
    let width = fitting.len();
    let mut rows = vec![vec![T::default(); width + 1]];
    if let Some(last) = width.checked_sub(1) {
        rows.push(vec![T::default(); last]);
        for place in if last == 0 { vec![0] } else { vec![0, last] } {
            rows.extend(wrong(place).into_iter().map(|number| {
                let mut row = fitting.to_vec();
                row[place] = number;
                row
            }));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ActionBatch, End, Env, EnvError, ObsMut, SeededRng, Step, laws};

    /// Spaces of every kind, in the sizes at which a fixed list of wrong actions would be right.
    fn spaces() -> Vec<Space> {
        let mut spaces: Vec<_> = [1, 2, 64].map(Space::Discrete).into();
        spaces.extend([vec![1], vec![3, 2], vec![4; 64]].map(Space::MultiDiscrete));
        spaces.extend([1, 2, 64].map(Space::MultiBinary));
        for shape in [&[1][..], &[2], &[63], &[64], &[65], &[2, 3, 4], &[8, 8]] {
            spaces.push(Space::box_f32(-1.0, 1.0, shape).unwrap());
            spaces.push(Space::box_f32(2.0, f32::INFINITY, shape).unwrap());
        }
        spaces
    }

    #[test]
    fn every_one_is_wrong_and_each_kind_of_mistake_is_among_them() {
        for space in spaces() {
            let wrong = WrongActions::of(&space);
            for action in wrong.iter() {
                let accepted = space.accept(action);
                assert!(matches!(accepted, Err(EnvError::Action { .. })), "{space} has {action:?}");
            }
            let kinds = [Action::Discrete(0), Action::MultiDiscrete(&[]), Action::Box(&[])];
            for kind in kinds.map(|action| std::mem::discriminant(&action)) {
                assert!(wrong.iter().any(|action| std::mem::discriminant(&action) == kind), "{space}");
            }
        }
    }

    /// A world with any action space, which takes what `takes` takes.
    struct Taking {
        actions: Space,
        observations: Space,
        rng: SeededRng,
        running: bool,
        takes: fn(&Space, Action<'_>) -> bool,
    }

    impl Env for Taking {
        fn observation_space(&self) -> &Space {
            &self.observations
        }

        fn action_space(&self) -> &Space {
            &self.actions
        }

        fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
            self.rng.reseed(seed);
            self.running = true;
            observation.floats[0] = self.rng.uniform(0.0, 1.0) as f32;
            Ok(())
        }

        fn step(&mut self, action: Action<'_>, _: ObsMut<'_>) -> Result<Step, EnvError> {
            if !(self.takes)(&self.actions, action) {
                return Err(EnvError::Action { given: format!("{action:?}"), expected: "another".into() });
            }
            let running = std::mem::replace(&mut self.running, false);
            if running { Ok(Step::new(0.0, End::Terminated)) } else { Err(EnvError::NeedsReset) }
        }
    }

    /// The laws that a world with this action space breaks.
    fn broken(space: &Space, takes: fn(&Space, Action<'_>) -> bool) -> Vec<&'static str> {
        let make = || -> Result<Box<dyn Env>, EnvError> {
            let observations = Space::box_f32(0.0, 1.0, &[1])?;
            let (actions, rng) = (space.clone(), SeededRng::default());
            Ok(Box::new(Taking { actions, observations, rng, running: false, takes }))
        };
        laws::check(&make).iter().map(|breach| breach.law).collect()
    }

    #[test]
    fn a_world_that_refuses_them_is_blamed_for_nothing() {
        for space in spaces() {
            let breaches = broken(&space, |space, action| space.accept(action).is_ok());
            assert!(breaches.is_empty(), "{space}: {breaches:?}");
        }
    }

    #[test]
    fn a_world_that_takes_some_of_them_is_found_out() {
        // Its own kind of action at any width, and at the right width any number.
        let any_width: fn(&Space, Action<'_>) -> bool = |space, action| match (space, action) {
            (Space::Discrete(_), _) => space.accept(action).is_ok(),
            (Space::Box(_), Action::Box(point)) => point.iter().all(|number| number.is_finite()),
            (Space::Box(_), _) => false,
            (_, Action::MultiDiscrete(choices)) => {
                let choice = |index: usize| choices.get(index).copied().unwrap_or_default();
                let width = ActionBatch::new(space, 1).map_or(0, |batch| match batch {
                    ActionBatch::MultiDiscrete { width, .. } => width,
                    _ => 0,
                });
                let fitted: Vec<_> = (0..width).map(choice).collect();
                space.accept(Action::MultiDiscrete(&fitted)).is_ok()
            }
            _ => false,
        };
        let any_number: fn(&Space, Action<'_>) -> bool = |space, action| match (space, action) {
            (Space::Discrete(_), Action::Discrete(_)) => true,
            (Space::Box(space), Action::Box(point)) => point.len() == space.len(),
            (Space::MultiDiscrete(counts), Action::MultiDiscrete(choices)) => choices.len() == counts.len(),
            (Space::MultiBinary(n), Action::MultiDiscrete(bits)) => bits.len() == *n,
            _ => false,
        };
        for space in spaces() {
            if !matches!(space, Space::Discrete(_)) {
                assert_eq!(broken(&space, any_width), ["wrong actions are refused"], "{space}");
            }
            assert_eq!(broken(&space, any_number), ["wrong actions are refused"], "{space}");
        }
    }
}
