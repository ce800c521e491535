//! A world of your own, from the trait to a trained agent: a walk along a corridor to the goal at its end.
//!
//! ```text
//! cargo run --release --example custom_environment
//! ```

use anyhow::Result;
use pavlov::envs::{Action, End, Env, EnvError, EnvSpec, ObsMut, Space, Step, laws};
use pavlov::{Registries, train};

/// The distance of the goal, in steps to the right.
const GOAL: i32 = 8;

struct Corridor {
    position: i32,
    running: bool,
    observations: Space,
    actions: Space,
}

impl Corridor {
    fn new() -> Result<Self, EnvError> {
        let observations = Space::box_f32(0.0, 1.0, &[1])?;
        Ok(Self { position: 0, running: false, observations, actions: Space::Discrete(2) })
    }
}

impl Env for Corridor {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, _seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        (self.position, self.running) = (0, true);
        observation.floats[0] = 0.0;
        Ok(())
    }

    /// Action 1 walks to the right, 0 to the left; each step costs 0.1, the goal is worth 1.
    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let right = action.discrete(2)? == 1;
        if !self.running {
            return Err(EnvError::NeedsReset);
        }
        self.position = (self.position + if right { 1 } else { -1 }).max(0);
        observation.floats[0] = self.position as f32 / GOAL as f32;
        let arrived = self.position == GOAL;
        self.running = !arrived;
        Ok(Step::new(if arrived { 1.0 } else { -0.1 }, End::terminated_if(arrived)))
    }
}

fn main() -> Result<()> {
    let breaches = laws::check(&|| Ok(Box::new(Corridor::new()?)));
    anyhow::ensure!(breaches.is_empty(), "the world breaks a law: {breaches:#?}");

    let mut registries = Registries::bundled();
    let spec = EnvSpec::new("Corridor-v0", |_| Ok(Box::new(Corridor::new()?))).max_episode_steps(50);
    registries.envs.register(spec)?;
    // `pavlov::cli::main(&registries)` would give this program the whole command line instead.
    let settings = ["env_steps=10000", "learning_rate=1e-3", "evaluation.until_return=0.29"];
    let outcome = train(&registries, "dqn", "Corridor-v0", &settings)?;

    // Seven steps at -0.1 and the goal: no walk is better.
    let best = outcome.best_evaluation.unwrap_or_default();
    anyhow::ensure!(best > 0.29, "the best return was {best}");
    println!("reached the goal by the shortest way: return {best:.1}");
    Ok(())
}
