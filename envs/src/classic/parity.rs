//! Classic control against Gymnasium's own episodes.

use serde_json::Value;

use super::CartPole;
use crate::{Action, End, Env, ObsBatch, fixtures, wrappers::TimeLimit};

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
}

/// Replays an episode: observations and rewards equal to 1e-6, ends equal. Gives its length.
fn replay(env: &mut dyn Env, episode: &Value) -> usize {
    let mut observation = ObsBatch::new(env.observation_space(), 1);
    let steps = episode["steps"].as_array().expect("steps");
    for (time, step) in steps.iter().enumerate() {
        let action = Action::Discrete(step["action"].as_i64().expect("a discrete action"));
        let have = env.step(action, observation.row_mut(0)).expect("a step");
        for (have, want) in observation.row(0).floats.iter().zip(numbers(&step["observation"])) {
            assert!((f64::from(*have) - want).abs() <= 1e-6, "step {time}: {have} instead of {want}");
        }
        assert!((have.reward - step["reward"].as_f64().expect("a reward")).abs() <= 1e-6, "step {time}");
        let (terminated, truncated) = (step["terminated"] == true, step["truncated"] == true);
        assert_eq!(have.end == End::Terminated, terminated, "step {time}");
        assert_eq!(have.end == End::Truncated, truncated && !terminated, "step {time}");
    }
    steps.len()
}

#[test]
fn cartpole_is_gymnasiums() {
    for (id, limit) in [("CartPole-v1", 500), ("CartPole-v0", 200)] {
        let document = fixtures::read(id);
        let mut steps = 0;
        for variant in document["variants"].as_array().expect("variants") {
            let sutton_barto = variant["options"]["sutton_barto_reward"] == true;
            for episode in variant["episodes"].as_array().expect("episodes") {
                let state: [f64; 4] = numbers(&episode["state"]).try_into().expect("four numbers");
                let mut env =
                    TimeLimit::new(Box::new(Started::from(sutton_barto, state)), limit).expect("a limit");
                let mut observation = ObsBatch::new(env.observation_space(), 1);
                env.reset(None, observation.row_mut(0)).expect("a reset");
                steps += replay(&mut env, episode);
            }
        }
        assert!(steps > 50, "{id}: {steps} steps were compared");
    }
}

/// CartPole whose episodes start from one state.
struct Started {
    env: CartPole,
    state: [f64; 4],
}

impl Started {
    fn from(sutton_barto_reward: bool, state: [f64; 4]) -> Self {
        Self { env: CartPole::new(sutton_barto_reward), state }
    }
}

impl Env for Started {
    fn observation_space(&self) -> &crate::Space {
        self.env.observation_space()
    }

    fn action_space(&self) -> &crate::Space {
        self.env.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observation: crate::ObsMut<'_>) -> Result<(), crate::EnvError> {
        self.env.reset(seed, observation)?;
        self.env.start_from(self.state);
        Ok(())
    }

    fn step(
        &mut self,
        action: Action<'_>,
        observation: crate::ObsMut<'_>,
    ) -> Result<crate::Step, crate::EnvError> {
        self.env.step(action, observation)
    }
}
