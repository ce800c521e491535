//! Whole episodes of Gymnasium's environments, replayed. `scripts/record-traces/classic.py` has recorded
//! them.

use serde::Deserialize;
use serde_json::Value;

use super::{Acrobot, AcrobotEquations, CartPole, MountainCar, MountainCarContinuous, Pendulum};
use crate::{Action, End, Env, EnvOptions, EnvState, ObsBatch, Registry, Space, fixtures};

/// The largest deviation of a number: absolute below 1, relative above.
const TOLERANCE: f64 = 1e-6;

#[derive(Deserialize)]
struct Fixture {
    spec: Spec,
    episodes: Vec<Episode>,
}

#[derive(Deserialize)]
struct Spec {
    observations: Bounds,
    actions: Value,
    max_episode_steps: Option<u32>,
    reward_threshold: Option<f64>,
}

/// `None` stands for an infinite bound.
#[derive(Deserialize)]
struct Bounds {
    low: Vec<Option<f32>>,
    high: Vec<Option<f32>>,
}

#[derive(Deserialize)]
struct Episode {
    options: toml::Table,
    start: Vec<f64>,
    actions: Vec<Value>,
    observations: Vec<Option<Vec<f32>>>,
    rewards: Vec<f64>,
    terminated: Vec<bool>,
    truncated: Vec<bool>,
}

/// The registered environment at the start of an episode with this hidden state.
fn started(id: &str, options: &EnvOptions, start: &[f64]) -> Box<dyn Env> {
    // The saved state does not depend on the options.
    macro_rules! state {
        ($env:expr, $start:expr) => {{
            let mut env = $env;
            env.start_from($start.try_into().unwrap());
            env.save_state()
        }};
    }
    let state = match id {
        "CartPole-v1" => state!(CartPole::new(false), start),
        "MountainCar-v0" => state!(MountainCar::new(0.0), start),
        "MountainCarContinuous-v0" => state!(MountainCarContinuous::new(0.0), start),
        "Pendulum-v1" => state!(Pendulum::new(10.0), start),
        "Acrobot-v1" => state!(Acrobot::new(AcrobotEquations::Book), start),
        _ => panic!("no start is known for {id}"),
    };
    // The time limit's own state: the world's state, no step so far, not over.
    let limited = EnvState::pack(&(state.unwrap(), 0_u32, false)).unwrap();
    let mut env = Registry::bundled().make_with(id, options).unwrap();
    env.load_state(&limited).unwrap();
    env
}

fn deviation(ours: f64, theirs: f64) -> f64 {
    (ours - theirs).abs() / theirs.abs().max(1.0)
}

impl Episode {
    /// Replays the episode and gives the largest deviation of an observation or a reward.
    fn replay(&self, id: &str) -> f64 {
        let mut env = started(id, &EnvOptions::new(self.options.clone()), &self.start);
        let mut observation = ObsBatch::new(env.observation_space(), 1);
        let mut largest: f64 = 0.0;
        for (index, action) in self.actions.iter().enumerate() {
            let point: Vec<f32>;
            let action = if let Some(choice) = action.as_i64() {
                Action::Discrete(choice)
            } else {
                point = Vec::deserialize(action).unwrap();
                Action::Box(&point)
            };
            let step = env.step(action, observation.row_mut(0)).unwrap();
            let end = match (self.terminated[index], self.truncated[index]) {
                (true, _) => End::Terminated,
                (false, true) => End::Truncated,
                (false, false) => End::No,
            };
            assert_eq!(step.end, end, "{id}: step {index}");
            let recorded = self.observations[index].as_deref().unwrap_or(observation.floats());
            assert_eq!(observation.floats().len(), recorded.len(), "{id}");
            let numbers = observation.floats().iter().zip(recorded);
            let numbers = numbers.map(|(&ours, &theirs)| (f64::from(ours), f64::from(theirs)));
            for (ours, theirs) in numbers.chain([(step.reward, self.rewards[index])]) {
                assert!(deviation(ours, theirs) <= TOLERANCE, "{id}: step {index}: {ours}, not {theirs}");
                largest = largest.max(deviation(ours, theirs));
            }
        }
        largest
    }
}

impl Bounds {
    fn assert_equal(&self, space: &Space) {
        let Space::Box(space) = space else { panic!("{space} is no box") };
        let low: Vec<_> = self.low.iter().map(|bound| bound.unwrap_or(f32::NEG_INFINITY)).collect();
        let high: Vec<_> = self.high.iter().map(|bound| bound.unwrap_or(f32::INFINITY)).collect();
        assert_eq!((&space.low, &space.high), (&low, &high));
    }
}

impl Spec {
    fn assert_equal(&self, id: &str) {
        let registry = Registry::bundled();
        let (spec, env) = (registry.spec(id).unwrap(), registry.make(id).unwrap());
        assert_eq!(spec.max_episode_steps, self.max_episode_steps, "{id}");
        assert_eq!(spec.reward_threshold, self.reward_threshold, "{id}");
        self.observations.assert_equal(env.observation_space());
        match self.actions.get("n") {
            Some(n) => assert_eq!(Some(env.action_space()), n.as_i64().map(Space::Discrete).as_ref(), "{id}"),
            None => Bounds::deserialize(&self.actions).unwrap().assert_equal(env.action_space()),
        }
    }
}

/// Compares the environment with its fixture. `cargo test parity -- --nocapture` shows the deviations.
fn assert_parity(id: &str) {
    let fixture = Fixture::deserialize(fixtures::read(id)).unwrap();
    fixture.spec.assert_equal(id);
    let largest = fixture.episodes.iter().map(|episode| episode.replay(id)).fold(0.0, f64::max);
    let steps: usize = fixture.episodes.iter().map(|episode| episode.actions.len()).sum();
    println!("{id}: {} episodes, {steps} steps, largest deviation {largest:e}", fixture.episodes.len());
}

#[test]
fn cartpole_is_gymnasiums() {
    assert_parity("CartPole-v1");
}

#[test]
fn mountain_car_is_gymnasiums() {
    assert_parity("MountainCar-v0");
}

#[test]
fn continuous_mountain_car_is_gymnasiums() {
    assert_parity("MountainCarContinuous-v0");
}

#[test]
fn pendulum_is_gymnasiums() {
    assert_parity("Pendulum-v1");
}

#[test]
fn acrobot_is_gymnasiums() {
    assert_parity("Acrobot-v1");
}
