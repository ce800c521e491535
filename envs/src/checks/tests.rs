//! Each member of the kinds of fault, in every form in which environments are stepped.

use super::{Checker, Warnings};
use crate::{
    ACTION_MASK, Action, ActionBatch, BoxSpace, Dtype, End, Env, EnvError, EnvFactory, EnvSpec, ObsBatch,
    ObsMut, ObsRef, Registry, Space, Step, StepBatch, VectorOptions,
};

/// The step in which the fault happens.
const FAULTY_STEP: u32 = 5;

/// The numbers of an observation, and a reward.
#[derive(Clone, Copy, Debug)]
struct Given {
    floats: &'static [f32],
    bytes: &'static [u8],
    reward: f64,
}

const fn given(floats: &'static [f32], bytes: &'static [u8]) -> Given {
    Given { floats, bytes, reward: 1.0 }
}

/// A world that gives the same numbers in every step but one.
struct Faulty {
    observations: Space,
    sound: Given,
    fault: Option<Given>,
    steps: u32,
}

impl Env for Faulty {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &Space::Discrete(3)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.steps = 0;
        observation.floats.copy_from_slice(self.sound.floats);
        observation.bytes.copy_from_slice(self.sound.bytes);
        Ok(())
    }

    fn step(&mut self, _action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        self.steps += 1;
        let given = match self.steps == FAULTY_STEP {
            true => self.fault.expect("the simulator crashed"),
            false => self.sound,
        };
        observation.floats.copy_from_slice(given.floats);
        observation.bytes.copy_from_slice(given.bytes);
        Ok(Step::new(given.reward, End::No))
    }
}

fn factory(observations: &Space, sound: Given, fault: Option<Given>) -> EnvFactory {
    let observations = observations.clone();
    EnvFactory::plain(EnvSpec::new("Faulty-v0", move |_| {
        Ok(Box::new(Faulty { observations: observations.clone(), sound, fault, steps: 0 }))
    }))
}

/// The outcomes of steps up to the faulty one: alone, as in evaluation and play, in one thread and in two.
fn outcomes(factory: &EnvFactory) -> Vec<Result<(), EnvError>> {
    let mut env = factory.make().unwrap();
    let mut observation = ObsBatch::new(env.observation_space(), 1);
    env.reset(Some(1), observation.row_mut(0)).unwrap();
    let mut step = || env.step(Action::Discrete(0), observation.row_mut(0)).map(drop);
    let mut outcomes = vec![(0..FAULTY_STEP).try_for_each(|_| step())];
    for threads in [1, 2] {
        let mut envs = factory.make_vector(&VectorOptions::new(2).threads(threads)).unwrap();
        let mut out = StepBatch::new(envs.observation_space(), 2);
        envs.reset(Some(1), &mut out.observations).unwrap();
        let actions = ActionBatch::Discrete(vec![0; 2]);
        outcomes.push((0..FAULTY_STEP).try_for_each(|_| envs.step(&actions, &mut out)));
    }
    outcomes
}

fn masked() -> Space {
    Space::Dict(vec![("speed".into(), Space::unbounded(&[2])), (ACTION_MASK.into(), Space::MultiBinary(3))])
}

#[test]
fn every_number_that_breaks_a_rule_is_named_in_every_form() {
    let bits = Space::Box(BoxSpace::new(vec![0.0; 2], vec![1.0; 2], &[2], Dtype::U8).unwrap());
    let choice = (Space::Discrete(3), given(&[2.0], &[]));
    let two = (Space::MultiDiscrete(vec![3, 5]), given(&[2.0, 4.0], &[]));
    let open = (Space::unbounded(&[2]), given(&[0.0, f32::MAX], &[]));
    let bounded = (Space::box_f32(-1.0, 1.0, &[2]).unwrap(), given(&[0.0, 1.0], &[]));
    let bytes = (bits, given(&[], &[0, 1]));
    let dict = (masked(), given(&[0.0, 0.0, 0.0, 1.0, 0.0], &[]));
    let whole = "not a whole number from 0 to 2 as in Discrete(3)";
    let finite = "not a finite number as in Box(-inf, inf, [2], f32)";
    let cases: [(&(Space, Given), Given, &str); 16] = [
        (&choice, given(&[3.0], &[]), whole),
        (&choice, given(&[-1.0], &[]), whole),
        (&choice, given(&[1.5], &[]), whole),
        (&choice, given(&[f32::NAN], &[]), "is NaN, not a finite number as in Discrete(3)"),
        (&two, given(&[2.0, 5.0], &[]), "number 1 of the observation is 5.0, not a whole number from 0 to 4"),
        (&open, given(&[f32::INFINITY, 0.0], &[]), "number 0 of the observation is inf, not a finite"),
        (&open, given(&[0.0, f32::NEG_INFINITY], &[]), finite),
        (&open, given(&[0.0, f32::NAN], &[]), finite),
        (
            &bounded,
            given(&[0.0, f32::INFINITY], &[]),
            "is inf, not a finite number as in Box(-1, 1, [2], f32)",
        ),
        (&bytes, given(&[], &[0, 2]), "number 1 of the observation is 2, outside of Box(0, 1, [2], u8)"),
        (&dict, given(&[0.0; 5], &[]), "`action_mask` allows no action: give at least one 1"),
        (
            &dict,
            given(&[0.0, f32::NAN, 0.0, 1.0, 0.0], &[]),
            "number 1 of the observation's entry `speed` is NaN",
        ),
        (
            &dict,
            given(&[0.0, 0.0, 0.0, 1.0, 0.5], &[]),
            "number 2 of the observation's entry `action_mask` is 0.5",
        ),
        (&open, Given { reward: f64::NAN, ..open.1 }, "the reward is NaN"),
        (&open, Given { reward: f64::NEG_INFINITY, ..open.1 }, "the reward is -inf"),
        (
            &open,
            Given { reward: 1e39, ..open.1 },
            "the reward is 1e39: rewards must be finite 32-bit numbers",
        ),
    ];
    for ((space, sound), fault, words) in cases {
        for (form, outcome) in outcomes(&factory(space, *sound, Some(fault))).into_iter().enumerate() {
            let message = outcome.unwrap_err().to_string();
            assert!(message.contains(words), "{fault:?}: {message}");
            assert!(message.contains("step 5 of the episode: "), "{fault:?}: {message}");
            assert_eq!(message.contains("environment 0, step 5"), form > 0, "{fault:?}: {message}");
        }
        assert_eq!(outcomes(&factory(space, *sound, Some(*sound))), vec![Ok(()); 3]);
    }
}

#[test]
fn a_panic_is_an_error_in_every_form() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let outcomes = outcomes(&factory(&Space::unbounded(&[1]), given(&[0.0], &[]), None));
    let mut factory = EnvFactory::plain(EnvSpec::new("Faulty-v0", |_| panic!("no licence")));
    let made = factory.make().map(drop).and(factory.make_vector(&VectorOptions::new(1)).map(drop));
    std::panic::set_hook(hook);
    for outcome in outcomes {
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains("step 5 of the episode: it panicked: the simulator crashed"), "{message}");
    }
    assert!(made.unwrap_err().to_string().contains("no licence"));
    factory = self::factory(&Space::unbounded(&[1]), given(&[0.0], &[]), None);
    assert!(factory.make().unwrap().render().is_none());
}

#[test]
fn numbers_beyond_a_box_of_floats_and_large_rewards_are_told_once() {
    let space = Space::Dict(vec![("speed".into(), Space::box_f32(-1.0, 1.0, &[2]).unwrap())]);
    let fault = Given { reward: 1e30, ..given(&[0.0, 1.5], &[]) };
    let sound = given(&[0.0, 1.0], &[]);
    let factory = factory(&space, sound, Some(fault));
    assert_eq!(outcomes(&factory.clone()), vec![Ok(()); 3]);
    let warnings = factory.take_warnings();
    let [bounds, reward] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(
        bounds.contains("number 1 of the observation's entry `speed` is 1.5, not from -1 to 1"),
        "{bounds}"
    );
    assert!(reward.contains("a reward of 1e30") && reward.contains("scale_reward"), "{reward}");
    assert_eq!(outcomes(&factory), vec![Ok(()); 3]);
    assert!(factory.take_warnings().is_empty(), "each is told once");
}

#[test]
fn a_number_that_is_not_finite_is_an_error_after_the_bounds_were_left() {
    let mut checker = Checker::new(&Space::box_f32(0.0, 1.0, &[3]).unwrap(), &Space::Discrete(2)).unwrap();
    checker.watch(&Warnings::default());
    let mut check = |floats: [f32; 3]| checker.check(ObsRef { floats: &floats, bytes: &[] }, false);
    // The number that is not finite is told, though one before it lies beyond the bounds.
    assert!(check([2.0, 0.0, f32::INFINITY]).unwrap_err().to_string().contains("number 2"));
    assert!(check([2.0, 0.0, 0.0]).is_ok());
    assert!(check([0.0, f32::NAN, 0.0]).is_err());
}

#[test]
fn bounds_that_are_known_to_be_loose_are_not_warned_of() {
    let registry = Registry::bundled();
    for id in ["LunarLander-v3", "BipedalWalker-v3"] {
        assert!(registry.spec(id).unwrap().has_loose_bounds, "{id}");
        let factory = EnvFactory::by_id(&registry, id).unwrap();
        let mut env = factory.make().unwrap();
        let mut observation = ObsBatch::new(env.observation_space(), 1);
        let mut action = ActionBatch::new(env.action_space(), 1).unwrap();
        action.sample_row(0, &env.action_space().clone(), &mut crate::SeededRng::seeded(3));
        for seed in 0..20 {
            env.reset(Some(seed), observation.row_mut(0)).unwrap();
            while !env.step(action.row(0), observation.row_mut(0)).unwrap().end.is_over() {}
        }
        assert!(factory.take_warnings().is_empty());
    }
}

#[test]
fn a_mask_that_no_agent_would_see_is_refused() {
    let bits = |dtype| Space::Box(BoxSpace::new(vec![0.0; 3], vec![1.0; 3], &[3], dtype).unwrap());
    let with = |mask: Space| Space::Dict(vec![(ACTION_MASK.into(), mask)]);
    let advice = "declare it as MultiBinary(3)";
    let cases = [
        (with(bits(Dtype::F32)), Space::Discrete(3), advice),
        (with(bits(Dtype::U8)), Space::Discrete(3), advice),
        (with(Space::MultiDiscrete(vec![2; 3])), Space::Discrete(3), advice),
        (with(Space::MultiBinary(4)), Space::Discrete(3), advice),
        (with(Space::MultiBinary(4)), Space::MultiDiscrete(vec![2, 1]), advice),
        (Space::Dict(vec![("inner".into(), masked())]), Space::Discrete(3), "`inner.action_mask`"),
        (masked(), Space::symmetric(&[1.0; 3]).unwrap(), "discrete actions"),
    ];
    for (observations, actions, words) in cases {
        let message = Checker::new(&observations, &actions).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
    assert!(Checker::new(&masked(), &Space::MultiDiscrete(vec![2, 1])).is_ok());
}

#[test]
fn each_part_of_an_action_needs_a_choice_until_the_episode_is_over() {
    let mut checker = Checker::new(&masked(), &Space::MultiDiscrete(vec![2, 1])).unwrap();
    let mut check = |mask: [f32; 3], over| {
        let floats = [[0.0; 2].as_slice(), &mask].concat();
        checker.check(ObsRef { floats: &floats, bytes: &[] }, over)
    };
    assert!(check([0.0, 1.0, 1.0], false).is_ok());
    assert!(check([0.0, 1.0, 0.0], false).unwrap_err().to_string().contains("part 1 of the action"));
    assert!(check([0.0; 3], true).is_ok(), "a world that is over has no choices left");
}
