//! Worlds with few states, after Gymnasium's `toy_text`.
//!
//! An observation of the three grid worlds is one discrete number, the state. Their whole dynamics can be
//! read from `outcomes`, so that values can be computed instead of learned.

mod ansi;
mod blackjack;
mod cliff_walking;
mod frozen_lake;
mod grid;
mod lake;
#[cfg(test)]
mod parity;
mod tabular;
mod taxi;
mod town;

pub use blackjack::Blackjack;
pub use cliff_walking::CliffWalking;
pub use frozen_lake::{FrozenLake, FrozenLakeOptions};
pub use tabular::{Outcome, Outcomes};
pub use taxi::{Taxi, TaxiOptions};

use crate::{Env, EnvError, EnvSpec, ObsMut};

/// The environments of this family, as they are registered.
pub(crate) fn specs() -> Vec<EnvSpec> {
    vec![
        frozen_lake("FrozenLake-v1", "4x4", 100, 0.7),
        frozen_lake("FrozenLake8x8-v1", "8x8", 200, 0.85),
        cliff_walking("CliffWalking-v1", false),
        cliff_walking("CliffWalkingSlippery-v1", true),
        // The versions differ in their rain alone. In version 3 it was faulty (a wall stopped a drift
        // alongside it), so that only version 4 has rain here, with probabilities that can be set.
        taxi("Taxi-v3", &["fickle_passenger"]),
        taxi("Taxi-v4", &["is_rainy", "rainy_probability", "fickle_passenger", "fickle_probability"]),
        EnvSpec::new("Blackjack-v1", |options| {
            let (natural, sab) = (options.flag("natural", false)?, options.flag("sab", true)?);
            Ok(Box::new(Blackjack::new(natural, sab)?) as Box<dyn Env>)
        })
        .summary("Come nearer to 21 than the dealer, and not beyond it (Gymnasium's toy text)")
        .reward("1 for a win, -1 for a loss")
        .options(&["natural", "sab"]),
    ]
}

fn frozen_lake(id: &str, map_name: &'static str, steps: u32, threshold: f64) -> EnvSpec {
    EnvSpec::new(id, move |options| {
        Ok(Box::new(FrozenLake::new(&FrozenLakeOptions::read(options, map_name)?)?) as Box<dyn Env>)
    })
    .summary("Cross a slippery frozen lake to the goal without falling into a hole (Gymnasium's toy text)")
    .reward("1 at the goal")
    .options(&["desc", "map_name", "is_slippery", "success_rate", "reward_schedule"])
    .max_episode_steps(steps)
    .reward_threshold(threshold)
}

fn cliff_walking(id: &str, is_slippery: bool) -> EnvSpec {
    EnvSpec::new(id, move |options| {
        Ok(Box::new(CliffWalking::new(options.flag("is_slippery", is_slippery)?)) as Box<dyn Env>)
    })
    .summary("Walk along a cliff to the goal without falling off (Gymnasium's toy text)")
    .reward("-1 for each step, -100 for a fall")
    .options(&["is_slippery"])
}

fn taxi(id: &str, options: &'static [&'static str]) -> EnvSpec {
    EnvSpec::new(id, |options| Ok(Box::new(Taxi::new(TaxiOptions::read(options)?)?) as Box<dyn Env>))
        .summary("Fetch a passenger at one stand and bring them to another (Gymnasium's toy text)")
        .reward("-1 for each step, 20 for the passenger's delivery, -10 for a wrong stop")
        .options(options)
        .max_episode_steps(200)
        .reward_threshold(8.0)
}

/// Writes discrete numbers as an observation.
fn write<const N: usize>(observation: ObsMut<'_>, numbers: [usize; N]) {
    observation.floats.iter_mut().zip(numbers).for_each(|(out, number)| *out = number as f32);
}

/// The value of this option, if it is a probability.
fn probability(name: &str, value: f64) -> Result<f64, EnvError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(value);
    }
    Err(EnvError::Option(format!("`{name}` is {value}: give a probability, from 0 to 1")))
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::{Action, EnvOptions, EnvState, ObsBatch, Registry, SeededRng, Space, laws};

    fn make(id: &str, options: &str) -> Result<Box<dyn Env>, EnvError> {
        Registry::bundled().make_with(id, &EnvOptions::new(options.parse().unwrap()))
    }

    const VARIANTS: [(&str, &str); 8] = [
        ("FrozenLake-v1", "is_slippery = false"),
        ("FrozenLake-v1", "desc = [\"SFS\", \"HFG\"]\nsuccess_rate = 0.9\nreward_schedule = [5, -5, -0.1]"),
        ("FrozenLake-v1", "map_name = \"8x8\""),
        ("CliffWalking-v1", "is_slippery = true\nmax_episode_steps = 30"),
        ("Taxi-v3", "fickle_passenger = true"),
        ("Taxi-v4", "is_rainy = true\nfickle_passenger = true\nfickle_probability = 1"),
        ("Blackjack-v1", "sab = false"),
        ("Blackjack-v1", "sab = false\nnatural = true"),
    ];

    #[test]
    fn the_laws_hold_with_options() {
        for (id, options) in VARIANTS {
            let breaches = laws::check(&|| make(id, options));
            assert!(breaches.is_empty(), "{id} with {options}: {breaches:#?}");
        }
    }

    #[test]
    fn options_reach_the_world() {
        let observations = |id, options| make(id, options).map(|env| env.observation_space().clone());
        assert_eq!(observations("FrozenLake-v1", ""), Ok(Space::Discrete(16)));
        assert_eq!(observations("FrozenLake-v1", "desc = [\"SFG\"]"), Ok(Space::Discrete(3)));
        assert_eq!(observations("FrozenLake-v1", "map_name = \"8x8\""), Ok(Space::Discrete(64)));
        let error = |id, options| make(id, options).map(|_| ()).unwrap_err().to_string();
        let message = "environment option: Taxi-v3 has no option `is_rainy`; there are: fickle_passenger, \
                       max_episode_steps";
        assert_eq!(error("Taxi-v3", "is_rainy = true"), message);
        assert!(error("Taxi-v4", "is_rainy = 1").contains("`is_rainy` is 1: give true or false"));
        assert!(error("FrozenLake-v1", "desc = \"SFG\"").contains("give a list of texts in quotes"));
        assert!(error("FrozenLake-v1", "reward_schedule = [1, 0]").contains("give a list of 3 numbers"));
        assert!(error("FrozenLake8x8-v1", "map_name = \"9x9\"").contains("`map_name` is `9x9`"));
        assert!(error("Blackjack-v1", "natural = true").contains("give `sab = false` with it"));
    }

    #[test]
    fn both_versions_of_taxi_are_one_world_in_dry_weather() {
        let play = |id: &str| {
            let mut env = make(id, "fickle_passenger = true").unwrap();
            let (mut observation, mut rng) =
                (ObsBatch::new(env.observation_space(), 1), SeededRng::seeded(1));
            env.reset(Some(3), observation.row_mut(0)).unwrap();
            let seen = |_| {
                let action = Action::Discrete(rng.random_range(0..6));
                let step = env.step(action, observation.row_mut(0)).unwrap();
                (step, observation.clone())
            };
            (0..150).map(seen).collect::<Vec<_>>()
        };
        assert_eq!(play("Taxi-v3"), play("Taxi-v4"));
    }

    /// Loads states with a wrong byte, and plays on from those that are accepted.
    fn survives_wrong_bytes(mut env: impl Env) {
        let mut observation = ObsBatch::new(env.observation_space(), 1);
        env.reset(Some(5), observation.row_mut(0)).unwrap();
        let state = env.save_state().unwrap();
        let Space::Discrete(actions) = *env.action_space() else { panic!("an action is no number") };
        for (place, byte) in (0..state.as_bytes().len()).flat_map(|place| (0..=255).map(move |b| (place, b)))
        {
            let mut bytes = state.as_bytes().to_vec();
            bytes[place] = byte;
            if env.load_state(&EnvState::from_bytes(bytes)).is_err() {
                continue;
            }
            env.render();
            for action in 0..10 {
                let step = env.step(Action::Discrete(action % actions), observation.row_mut(0));
                assert!(matches!(step, Ok(_) | Err(EnvError::NeedsReset)), "{step:?}");
                let seen = env.observation_space().check_observation(observation.row(0));
                assert_eq!(seen, Ok(()), "byte {place} is {byte}");
                env.render();
            }
        }
    }

    #[test]
    fn a_wrong_state_never_makes_a_later_step_panic() {
        survives_wrong_bytes(FrozenLake::new(&FrozenLakeOptions::named("4x4").unwrap()).unwrap());
        survives_wrong_bytes(CliffWalking::new(true));
        survives_wrong_bytes(Taxi::new(TaxiOptions { is_rainy: true, ..Default::default() }).unwrap());
        survives_wrong_bytes(Blackjack::new(true, false).unwrap());
    }
}
