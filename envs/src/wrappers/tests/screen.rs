//! A world with everything that wrappers change.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::render::{Frame, Picture};
use crate::{ACTION_MASK, Action, End, Env, EnvError, EnvState, ObsMut, SeededRng, Space, Step};

/// A screen, a speed and a mask; three lives that are lost by chance.
pub struct Screen {
    observations: Space,
    actions: Space,
    world: World,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct World {
    rng: SeededRng,
    lives: u32,
    /// The picture after the last step, or at the start.
    drawn: Vec<u8>,
    speed: [f32; 2],
    choice: i64,
}

const PICTURE: [usize; 3] = [4, 6, 3];

impl Screen {
    pub fn boxed() -> Box<dyn Env> {
        let observations = Space::Dict(vec![
            ("speed".into(), Space::box_f32(-1.0, 1.0, &[2]).unwrap()),
            (ACTION_MASK.into(), Space::MultiBinary(3)),
            ("picture".into(), Space::pixels(&PICTURE)),
        ]);
        Box::new(Self { observations, actions: Space::Discrete(3), world: World::default() })
    }

    fn draw(&mut self, observation: ObsMut<'_>) {
        let world = &mut self.world;
        world.drawn.resize(72, 0);
        world.rng.fill(world.drawn.as_mut_slice());
        world.speed = [world.rng.random_range(-1.0..1.0), world.rng.random_range(-1.0..1.0)];
        observation.floats[..2].copy_from_slice(&world.speed);
        observation.floats[2..].copy_from_slice(&[1.0, f32::from(world.drawn[0] % 2), 0.0]);
        observation.bytes.copy_from_slice(&world.drawn);
    }
}

impl Env for Screen {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.world.rng.reseed(seed);
        self.world.lives = 3;
        self.draw(observation);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        self.world.choice = action.discrete(3)? as i64;
        if self.world.lives == 0 {
            return Err(EnvError::NeedsReset);
        }
        self.draw(observation);
        if self.world.rng.random::<f64>() < 0.2 {
            self.world.lives -= 1;
        }
        let reward = self.world.rng.random_range(-3..=3) as f64 + self.world.choice as f64;
        Ok(Step::new(reward, End::terminated_if(self.world.lives == 0)))
    }

    fn render(&self) -> Option<Picture> {
        Some(Picture::Frame(Frame { width: 6, height: 4, pixels: self.world.drawn.clone() }))
    }

    fn lives(&self) -> Option<u32> {
        Some(self.world.lives)
    }

    fn visit_info(&self, visit: &mut dyn FnMut(&str, f64)) {
        visit("choice", self.world.choice as f64);
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.world = state.unpack()?;
        self.world.lives = self.world.lives.min(3);
        Ok(())
    }
}
