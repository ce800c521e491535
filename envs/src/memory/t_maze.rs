//! TMaze: a sign at the start of a corridor says where to turn at its end.
//!
//! The task of Bakker, "Reinforcement Learning with Long Short-Term Memory" (2001), with its observations and
//! rewards.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::render::Picture;
use crate::{Action, End, Env, EnvError, EnvState, ObsMut, SeededRng, Space, Step};

/// The reward for the right turn.
const PRIZE: f64 = 4.0;
/// The reward for the wrong turn, and for a step into a wall.
const PENALTY: f64 = -0.1;

/// The observations: sign, corridor and junction.
const SIGN_NORTH: [f32; 3] = [0.0, 1.0, 1.0];
const SIGN_SOUTH: [f32; 3] = [1.0, 1.0, 0.0];
const CORRIDOR: [f32; 3] = [1.0, 0.0, 1.0];
const JUNCTION: [f32; 3] = [0.0, 1.0, 0.0];

/// The maze. Observation: three bits, the sign at the start, else corridor or junction; actions: 0 north, 1
/// east, 2 south, 3 west. The right turn at the junction earns 4, the wrong one -0.1, both end the episode; a
/// step into a wall costs 0.1, any other nothing.
#[derive(Clone, Debug)]
pub struct TMaze {
    world: World,
    /// The steps east from the start to the junction.
    length: u32,
    observations: Space,
    actions: Space,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct World {
    /// Steps east of the start.
    position: u32,
    goal_north: bool,
    running: bool,
    rng: SeededRng,
}

impl TMaze {
    /// The maze with its junction `corridor_length` steps east of the start; Bakker takes 5 to 70.
    pub fn new(corridor_length: u32) -> Self {
        Self {
            world: World { position: 0, goal_north: true, running: false, rng: SeededRng::default() },
            length: corridor_length,
            observations: Space::MultiBinary(3),
            actions: Space::Discrete(4),
        }
    }

    fn observe(&self, observation: ObsMut<'_>) {
        // A corridor without length has its sign at the junction.
        let bits = match self.world.position {
            0 if self.world.goal_north => SIGN_NORTH,
            0 => SIGN_SOUTH,
            position if position == self.length => JUNCTION,
            _ => CORRIDOR,
        };
        observation.floats.copy_from_slice(&bits);
    }

    /// Moves; returns the reward, and true if the move was the turn at the junction.
    fn advance(&mut self, direction: usize) -> (f64, bool) {
        let World { position, goal_north, .. } = &mut self.world;
        match direction {
            0 | 2 if *position == self.length => {
                let right = (direction == 0) == *goal_north;
                return (if right { PRIZE } else { PENALTY }, true);
            }
            1 if *position < self.length => *position += 1,
            3 if *position > 0 => *position -= 1,
            _ => return (PENALTY, false),
        }
        (0.0, false)
    }
}

impl Env for TMaze {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        let world = &mut self.world;
        world.rng.reseed(seed);
        world.goal_north = world.rng.random();
        (world.position, world.running) = (0, true);
        self.observe(observation);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let direction = action.discrete(4)?;
        if !self.world.running {
            return Err(EnvError::NeedsReset);
        }
        let (reward, turned) = self.advance(direction);
        self.world.running = !turned;
        self.observe(observation);
        Ok(Step::new(reward, End::terminated_if(turned)))
    }

    /// The maze from above: `@` is the agent, `*` the goal.
    fn render(&self) -> Option<Picture> {
        let arm = |goal: bool| {
            let mark = if goal { "\x1b[32m*\x1b[0m" } else { "." };
            format!("{:1$}{mark}", "", self.length as usize)
        };
        let corridor: String =
            (0..=self.length).map(|x| if x == self.world.position { '@' } else { '.' }).collect();
        let north = self.world.goal_north;
        Some(Picture::Text(format!("{}\n{corridor}\n{}", arm(north), arm(!north))))
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let world: World = state.unpack()?;
        if world.position > self.length {
            let (position, length) = (world.position, self.length);
            return Err(EnvError::State(format!("step {position} of a corridor of {length}")));
        }
        self.world = world;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EnvOptions, ObsBatch, Registry};

    /// Plays these actions after the first observation; returns true if its sign says north, the rewards and
    /// the last end.
    fn play(seed: u64, length: u32, actions: &[i64]) -> (bool, Vec<f64>, End) {
        let mut env = TMaze::new(length);
        let mut seen = ObsBatch::new(env.observation_space(), 1);
        env.reset(Some(seed), seen.row_mut(0)).unwrap();
        let north = seen.floats() == SIGN_NORTH;
        assert!(north || seen.floats() == SIGN_SOUTH);
        let mut end = End::No;
        let mut step = |&action| {
            let step = env.step(Action::Discrete(action), seen.row_mut(0)).unwrap();
            end = step.end;
            step.reward
        };
        (north, actions.iter().map(&mut step).collect(), end)
    }

    #[test]
    fn the_sign_tells_the_right_turn() {
        let mut signs = [0; 2];
        for seed in 0..100 {
            let (north, to_north, end) = play(seed, 3, &[1, 1, 1, 0]);
            assert_eq!(
                (to_north, end),
                (vec![0.0, 0.0, 0.0, if north { 4.0 } else { -0.1 }], End::Terminated)
            );
            let (_, to_south, end) = play(seed, 3, &[1, 1, 1, 2]);
            assert_eq!((to_south[3], end), (if north { -0.1 } else { 4.0 }, End::Terminated));
            signs[usize::from(north)] += 1;
        }
        assert!(signs.iter().all(|&count| count > 30), "{signs:?}");
    }

    #[test]
    fn walls_cost_and_ways_do_not() {
        // West and north of the start, north in the corridor, back and forth, east of the junction.
        let (_, rewards, end) = play(1, 2, &[3, 0, 1, 0, 3, 1, 1, 1]);
        assert_eq!((rewards, end), (vec![-0.1, -0.1, 0.0, -0.1, 0.0, 0.0, 0.0, -0.1], End::No));
    }

    #[test]
    fn the_sign_is_seen_at_the_start_alone() {
        let mut env = TMaze::new(2);
        let mut seen = ObsBatch::new(env.observation_space(), 1);
        env.reset(Some(1), seen.row_mut(0)).unwrap();
        let sign = seen.floats().to_vec();
        for (action, bits) in
            [(1, CORRIDOR.to_vec()), (1, JUNCTION.to_vec()), (3, CORRIDOR.to_vec()), (3, sign)]
        {
            env.step(Action::Discrete(action), seen.row_mut(0)).unwrap();
            assert_eq!(seen.floats(), bits);
        }
    }

    #[test]
    fn loitering_is_cut_off_in_proportion_to_the_corridor() {
        let options = EnvOptions::new("corridor_length = 4".parse().unwrap());
        let mut env = Registry::bundled().make_with("TMaze-v0", &options).unwrap();
        let mut seen = ObsBatch::new(env.observation_space(), 1);
        env.reset(Some(1), seen.row_mut(0)).unwrap();
        let ends: Vec<_> =
            (0..50).map(|_| env.step(Action::Discrete(3), seen.row_mut(0)).unwrap().end).collect();
        assert!(ends[..49].iter().all(|&end| end == End::No) && ends[49] == End::Truncated);
    }

    #[test]
    fn the_picture_shows_agent_and_goal() {
        let mut env = TMaze::new(2);
        env.world.position = 1;
        let goal = "\x1b[32m*\x1b[0m";
        assert_eq!(env.render(), Some(Picture::Text(format!("  {goal}\n.@.\n  ."))));
    }

    #[test]
    fn a_state_of_a_longer_corridor_is_refused() {
        let mut long = TMaze::new(9);
        long.world.position = 7;
        let state = long.save_state().unwrap();
        assert!(TMaze::new(5).load_state(&state).is_err() && TMaze::new(7).load_state(&state).is_ok());
    }
}
