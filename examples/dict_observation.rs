//! A world with a dict observation and an action mask: a lift that carries people to the ground floor.
//!
//! ```text
//! cargo run --release --example dict_observation
//! ```

use anyhow::Result;
use pavlov::common::SeededRng;
use pavlov::envs::{ACTION_MASK, Action, End, Env, EnvError, EnvSpec, ObsMut, Space, Step, laws};
use pavlov::{Registries, train};

const FLOORS: usize = 6;

/// Up, down, let people in.
const ACTIONS: usize = 3;

struct Lift {
    rng: SeededRng,
    floor: usize,
    waiting: [bool; FLOORS],
    observations: Space,
    actions: Space,
}

impl Lift {
    fn boxed() -> Result<Box<dyn Env>, EnvError> {
        // A dict's entries stand one after the other in the row that the world writes, in this order.
        let observations = Space::Dict(vec![
            ("floor".into(), Space::Discrete(FLOORS as i64)),
            ("waiting".into(), Space::MultiBinary(FLOORS)),
            (ACTION_MASK.into(), Space::MultiBinary(ACTIONS)),
        ]);
        let actions = Space::Discrete(ACTIONS as i64);
        Ok(Box::new(Self {
            rng: SeededRng::default(),
            floor: 0,
            waiting: [false; FLOORS],
            observations,
            actions,
        }))
    }

    /// The actions that make sense here: no way up from the top or down from the ground, no stop where nobody
    /// waits.
    fn sensible(&self) -> [bool; ACTIONS] {
        [self.floor + 1 < FLOORS, self.floor > 0, self.waiting[self.floor]]
    }

    fn observe(&self, observation: ObsMut<'_>) {
        let flags =
            self.waiting.iter().chain(&self.sensible()).map(|&flag| f32::from(flag)).collect::<Vec<_>>();
        observation.floats[0] = self.floor as f32;
        observation.floats[1..].copy_from_slice(&flags);
    }
}

impl Env for Lift {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.rng.reseed(seed);
        self.floor = self.rng.uniform(0.0, FLOORS as f64) as usize;
        self.waiting = std::array::from_fn(|_| self.rng.uniform(0.0, 1.0) < 0.5);
        self.waiting[FLOORS - 1] = true;
        self.observe(observation);
        Ok(())
    }

    /// Each step costs 0.1, whoever is let in is worth 1. A mask is advice: what makes no sense is accepted,
    /// and does nothing.
    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let action = action.discrete(ACTIONS as i64)?;
        if self.waiting == [false; FLOORS] {
            return Err(EnvError::NeedsReset);
        }
        let mut reward = -0.1;
        match (action, self.sensible()[action]) {
            (0, true) => self.floor += 1,
            (1, true) => self.floor -= 1,
            (2, true) => {
                self.waiting[self.floor] = false;
                reward += 1.0;
            }
            _ => {}
        }
        self.observe(observation);
        Ok(Step::new(reward, End::terminated_if(self.waiting == [false; FLOORS])))
    }
}

fn main() -> Result<()> {
    let breaches = laws::check(&Lift::boxed);
    anyhow::ensure!(breaches.is_empty(), "the world breaks a law: {breaches:#?}");

    let mut registries = Registries::bundled();
    registries.envs.register(EnvSpec::new("Lift-v0", |_| Lift::boxed()).max_episode_steps(60))?;
    // On average 3.5 people wait; whoever fetches them without a detour earns 2.5 of it.
    let dqn = ["env_steps=20000", "learning_rate=1e-3", "evaluation.episodes=50"];
    let ppo = ["env_steps=40000", "num_envs=8", "rollout_steps=128", "evaluation.episodes=50"];
    for (agent, settings) in [("dqn", &dqn[..]), ("ppo", &ppo[..])] {
        let outcome = train(&registries, agent, "Lift-v0", settings)?;
        let best = outcome.best_evaluation.unwrap_or_default();
        anyhow::ensure!(best > 2.2, "the best return of {agent} was {best}");
        println!("{agent} fetched everybody: mean return {best:.2}");
    }
    Ok(())
}
