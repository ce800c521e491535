//! Whole episodes of Gymnasium's worlds, replayed. `scripts/record-traces/box2d.py` has recorded them, with
//! the random draws of this crate's own generator.
//!
//! Rewards and returns were recorded with eight decimals; all else is compared bit for bit.

use serde::Deserialize;
use serde_json::Value;

use crate::{Action, End, EnvOptions, ObsBatch, Registry, fixtures};

/// Half of the last recorded decimal of rewards, and a little for the sum of a return.
const REWARD_TOLERANCE: f64 = 5.1e-9;
const RETURN_TOLERANCE: f64 = 1e-7;

#[derive(Deserialize)]
pub(super) struct Fixture {
    episodes: Vec<Episode>,
    /// Returns of Gymnasium's heuristic controller with the seeds 0, 1, 2 and so on.
    pub heuristic: Vec<f64>,
}

#[derive(Deserialize)]
struct Episode {
    options: toml::Table,
    seed: u64,
    policy: String,
    actions: Vec<Value>,
    /// Number, reward and observation; the reset has number -1.
    steps: Vec<(i64, f64, Vec<f32>)>,
    #[serde(rename = "return")]
    total: f64,
    terminated: bool,
    truncated: bool,
}

pub(super) fn fixture(id: &str) -> Fixture {
    Fixture::deserialize(fixtures::read(id)).unwrap()
}

impl Episode {
    fn replay(&self, id: &str) {
        let at = |step: i64| format!("{id} {} {} step {step}", self.policy, self.seed);
        let options = EnvOptions::new(self.options.clone());
        let mut env = Registry::bundled().make_with(id, &options).unwrap();
        let mut observation = ObsBatch::new(env.observation_space(), 1);
        env.reset(Some(self.seed), observation.row_mut(0)).unwrap();
        let (mut total, mut end) = (0.0, End::No);
        let mut recorded = self.steps.iter().peekable();
        for number in -1..self.actions.len() as i64 {
            let mut reward = 0.0;
            if number >= 0 {
                let action = &self.actions[number as usize];
                let point = Vec::<f32>::deserialize(action).unwrap_or_default();
                let action = action.as_i64().map_or(Action::Box(&point), Action::Discrete);
                assert_eq!(end, End::No, "{}", at(number));
                let step = env.step(action, observation.row_mut(0)).unwrap();
                (reward, end) = (step.reward, step.end);
                total += reward;
            }
            if let Some((_, expected, seen)) = recorded.next_if(|step| step.0 == number) {
                assert_eq!(observation.floats(), seen, "{}", at(number));
                assert!((reward - expected).abs() < REWARD_TOLERANCE, "{}: {reward} {expected}", at(number));
            }
        }
        assert!(recorded.next().is_none() && (total - self.total).abs() < RETURN_TOLERANCE, "{total}");
        let expected = match (self.terminated, self.truncated) {
            (true, _) => End::Terminated,
            (false, true) => End::Truncated,
            (false, false) => End::No,
        };
        assert_eq!(end, expected, "{}", at(self.actions.len() as i64));
    }
}

fn replay(id: &str) {
    fixture(id).episodes.iter().for_each(|episode| episode.replay(id));
}

#[test]
fn lunar_lander_moves_as_gymnasiums_does() {
    replay("LunarLander-v3");
    replay("LunarLanderContinuous-v3");
}

#[test]
fn bipedal_walker_moves_as_gymnasiums_does() {
    replay("BipedalWalker-v3");
}

#[test]
fn the_hardened_walker_moves_as_gymnasiums_does() {
    replay("BipedalWalkerHardcore-v3");
}
