//! Spaces of every kind, from Python and back.

use pavlov_envs::{ActionBatch, ObsBatch, SeededRng, Space};

use crate::{make, refusal, world};

/// Plays the zoo with actions of this kind; it repeats them in its observations.
fn told_back(kind: &str) -> Space {
    let mut env = make(&world("Zoo"), &format!("kwargs = {{ kind = \"{kind}\" }}")).unwrap();
    let space = env.action_space().clone();
    let mut actions = ActionBatch::new(&space, 1).unwrap();
    let mut observation = ObsBatch::new(env.observation_space(), 1);
    let mut rng = SeededRng::seeded(2);
    env.reset(Some(1), observation.row_mut(0)).unwrap();
    env.observation_space().check_observation(observation.row(0)).unwrap();
    for _ in 0..20 {
        actions.sample_row(0, &space, &mut rng);
        env.step(actions.row(0), observation.row_mut(0)).unwrap();
        env.observation_space().check_observation(observation.row(0)).unwrap();
        let sent: Vec<f32> = match &actions {
            ActionBatch::Discrete(choices) | ActionBatch::MultiDiscrete { choices, .. } => {
                choices.iter().map(|&choice| choice as f32).collect()
            }
            ActionBatch::Box { points, .. } if kind == "whole" => {
                points.iter().map(|x| x.round_ties_even()).collect()
            }
            ActionBatch::Box { points, .. } => points.clone(),
        };
        let leaf = observation.layout().leaf("action").unwrap().range.clone();
        assert_eq!(observation.floats()[leaf], sent);
        let leaf = |name: &str| observation.layout().leaf(name).unwrap().range.clone();
        assert_eq!(observation.floats()[leaf("pair.0")], [1.0], "8 is the second after 7");
        assert_eq!(observation.bytes()[leaf("pair.1")], [0, 1, 2, 3]);
        assert_eq!(observation.floats()[leaf("wide")], [0.25; 3]);
        assert_eq!(observation.floats()[leaf("whole")], [-9.0, 9.0]);
    }
    space
}

#[test]
fn spaces_of_every_kind_go_there_and_back() {
    assert_eq!(told_back("discrete"), Space::Discrete(4));
    assert_eq!(told_back("multi_discrete"), Space::MultiDiscrete(vec![3, 4]));
    assert_eq!(told_back("multi_binary"), Space::MultiBinary(4));
    assert_eq!(told_back("box").to_string(), "Box([-1.0, -inf], [1.0, 2.0], [2], f32)");
    assert_eq!(told_back("double").to_string(), "Box(-1, 1, [1, 2], f32)");
    assert_eq!(told_back("whole").to_string(), "Box(-5, 5, [2], f32)");
}

#[test]
fn tuples_are_dicts_of_numbers() {
    let env = make("gym:Blackjack-v1", "").unwrap();
    assert_eq!(env.observation_space().to_string(), "Dict(0: Discrete(32), 1: Discrete(11), 2: Discrete(2))");
}

#[test]
fn words_are_refused_in_a_sentence() {
    let message = refusal(&world("Wordy"), "");
    assert!(
        message.contains("Text(1, 9") && message.contains("cannot be an observation space: use"),
        "{message}"
    );
}

#[test]
fn an_observation_of_another_shape_is_an_error() {
    let mut env = make(&world("Rigid"), "").unwrap();
    let mut observation = ObsBatch::new(env.observation_space(), 1);
    let message = env.reset(None, observation.row_mut(0)).unwrap_err().to_string();
    assert!(message.contains("shape (3,) came where (2,)"), "{message}");
}

#[test]
fn numbers_that_would_change_with_their_type_are_refused() {
    let reset = |declared: &str, given: &str, number: &str| {
        let kwargs =
            format!("kwargs = {{ declared = \"{declared}\", given = \"{given}\", number = {number} }}");
        let mut env = make(&world("Mistyped"), &kwargs).unwrap();
        let mut observation = ObsBatch::new(env.observation_space(), 1);
        env.reset(None, observation.row_mut(0)).map_err(|error| error.to_string())
    };
    for (declared, given, number, words) in [
        ("uint8", "float64", "0.5", "fractions would be lost"),
        ("int32", "float32", "0.5", "fractions would be lost"),
        ("uint8", "int64", "-1", "-1 to -1 do not fit"),
        ("uint8", "int32", "256", "256 to 256 do not fit"),
        ("float32", "complex128", "1.0", "these are no numbers"),
    ] {
        let message = reset(declared, given, number).unwrap_err();
        let types = format!("entry `camera` has the type {given}, but ");
        assert!(message.contains(&types) && message.contains(words), "{message}");
        assert!(message.contains(&format!("declares {declared}")), "{message}");
    }
    for (declared, given) in
        [("uint8", "int64"), ("uint8", "bool"), ("float32", "float64"), ("float32", "int8")]
    {
        assert_eq!(reset(declared, given, "1"), Ok(()), "{declared} {given}");
    }
}

#[test]
fn a_mask_in_petting_zoos_way_is_a_mask() {
    let env = make(&world("Masked"), "").unwrap();
    let space = env.observation_space().to_string();
    assert_eq!(space, "Dict(action_mask: MultiBinary(5), observation: Box(0, 1, [1], f32))");
}
