//! Actions of trained policies for observations that a program has: as they come after the run's wrappers, and as
//! the bare world gives them.

use pavlov::RunFolder;
use pavlov::envs::{Env, ObsBatch, ObsRef, OwnedAction};
use pavlov::training::Trained;
use pavlov::{Registries, Session, Training};
use tempfile::TempDir;

use crate::settings::resolved;

/// A run of a few steps, whose policy has weights at least.
fn trained(registries: &Registries, agent: &str, environment: &str, sets: &[&str]) -> (TempDir, Trained) {
    let place = tempfile::tempdir().expect("a folder");
    let common = ["env_steps=64", "evaluation.every_env_steps=0", "num_envs=1", "seed=4"];
    let config = resolved(registries, agent, environment, &[&common, sets].concat());
    let folder = RunFolder::create(Some(&place.path().join("run")), &config).expect("a folder");
    let session = Session::start(Training::new(config, registries).expect("a training"), folder.clone());
    session.expect("a start").run(&false.into(), &mut pavlov::run::Quiet).expect("an end");
    (place, Trained::open(&folder, registries, true).expect("a policy"))
}

/// Plays with the observations and actions of the run's environments, and beside that with those of the bare
/// world: the actions are the same.
fn plays_alike(agent: &str, environment: &str, sets: &[&str]) {
    let registries = Registries::bundled();
    let (place, mut wrapped) = trained(&registries, agent, environment, sets);
    let folder = RunFolder::open(&place.path().join("run")).expect("the run");
    let open = || Trained::open(&folder, &registries, true).expect("a policy");
    let (mut live, bare) = (open().live().expect("a live policy"), open());
    let mut inner = bare.factory.unwrapped().make().expect("a world");
    let mut outer = wrapped.factory.make().expect("a world");
    let mut seen = ObsBatch::new(outer.observation_space(), 1);
    let mut raw = ObsBatch::new(inner.observation_space(), 1);
    let mut actions = Vec::new();
    for episode in 0..2 {
        outer.reset(Some(episode), seen.row_mut(0)).expect("a start");
        inner.reset(Some(episode), raw.row_mut(0)).expect("a start");
        wrapped.forget();
        live.begin();
        for _ in 0..12 {
            let action = wrapped.predict_observation(seen.row(0)).expect("an action");
            let of_live = live.predict_observation(raw.row(0)).expect("an action");
            let there = outer.step(action.as_action(), seen.row_mut(0)).expect("a step");
            let mut here = inner.step(of_live.as_action(), raw.row_mut(0)).expect("a step");
            for _ in 1..live.repeats() {
                here = inner.step(of_live.as_action(), raw.row_mut(0)).expect("a step");
            }
            assert_eq!(there.raw_end, here.raw_end, "{agent} {environment}");
            actions.push(of_live);
            if there.end.is_over() {
                break;
            }
        }
        let same = observation_of(outer.as_ref()) == observation_of(inner.as_ref());
        assert!(same, "{agent} {environment}: the worlds stand elsewhere");
    }
    assert!(actions.len() > 8);
}

/// A picture of the world, to compare two.
fn observation_of(env: &dyn Env) -> Option<pavlov::envs::render::Picture> {
    env.render()
}

#[test]
fn the_bare_worlds_observations_lead_to_the_same_actions() {
    plays_alike(
        "ppo",
        "Pendulum-v1",
        &[
            "wrappers=[{ kind = \"rescale_action\", low = -1.0, high = 1.0 }, { kind = \"frame_skip\", frames = 2 }, \
             { kind = \"frame_stack\", frames = 3 }, { kind = \"scale_reward\", factor = 0.1 }, \
             { kind = \"normalize_observation\" }]",
            "rollout_steps=32",
            "minibatch_size=32",
            "net.hidden_sizes=[16]",
        ],
    );
    plays_alike(
        "ppo",
        "CartPole-v1",
        &[
            "wrappers=[{ kind = \"select\", shown = [0, 2] }]",
            "net.recurrent=gru",
            "net.recurrent_size=8",
            "net.hidden_sizes=[16]",
            "rollout_steps=32",
            "minibatch_size=32",
        ],
    );
    plays_alike(
        "dqn",
        "PixelPong-v0",
        &["warmup_env_steps=32", "batch_size=8", "train_every_env_steps=8", "replay_capacity=64"],
    );
}

#[test]
fn actions_are_plain_and_wrong_observations_are_told() {
    let registries = Registries::bundled();
    let small = ["net.hidden_sizes=[16]", "warmup_env_steps=32", "batch_size=8", "train_every_env_steps=8"];
    let (_place, mut dqn) = trained(&registries, "dqn", "CartPole-v1", &small);
    let action = dqn.predict(&[0.0, 0.1, 0.0, -0.1]).expect("an action");
    assert!(action.index().is_some_and(|index| index < 2) && action.numbers().is_none());
    for (given, words) in [
        (&[0.0; 3][..], "an observation of CartPole-v1 has 4 numbers, and 3 numbers were given"),
        (&[0.0, f32::NAN, 0.0, 0.0], "number 1 of the observation, counted from 0, is NaN"),
    ] {
        assert_eq!(dqn.predict(given).expect_err("refused").to_string(), words);
    }
    let mut rows = ObsBatch::new(dqn.observation_space().expect("a space"), 3);
    rows.floats_mut().copy_from_slice(&[0.0, 0.1, 0.0, -0.1].repeat(3));
    assert_eq!(dqn.predict_rows(&rows).expect("actions"), vec![action; 3]);

    let (_place, mut sac) = trained(&registries, "sac", "Pendulum-v1", &small);
    let action = sac.predict(&[1.0, 0.0, 0.0]).expect("an action");
    assert!(matches!(&action, OwnedAction::Box(numbers) if numbers.len() == 1 && numbers[0].abs() <= 2.0));

    let stack = "wrappers=[{ kind = \"frame_stack\", frames = 2 }]";
    let (_place, mut stacked) = trained(&registries, "dqn", "CartPole-v1", &[&small[..], &[stack]].concat());
    let error = stacked.predict(&[0.0; 4]).expect_err("refused").to_string();
    assert!(error.contains("has 8 numbers, within the wrappers frame_stack; Trained::live takes"), "{error}");
    assert!(stacked.live().expect("a live policy").predict(&[0.0; 4]).is_ok());

    let pixels = ["warmup_env_steps=32", "batch_size=8", "train_every_env_steps=8", "replay_capacity=64"];
    let (_place, mut dqn) = trained(&registries, "dqn", "PixelPong-v0", &pixels);
    let error = dqn.predict(&[0.0; 4]).expect_err("refused").to_string();
    assert!(error.contains("bytes") && error.contains("predict_observation takes them"), "{error}");
    let space = dqn.observation_space().expect("a space").clone();
    let picture = ObsBatch::new(&space, 1);
    let bytes = picture.row(0).bytes;
    assert!(dqn.predict_observation(ObsRef { floats: &[], bytes }).is_ok());

    let drawn = [
        "wrappers=[{ kind = \"render_pixels\" }]",
        "warmup_env_steps=32",
        "batch_size=8",
        "train_every_env_steps=8",
    ];
    let (_place, drawn) =
        trained(&registries, "dqn", "CartPole-v1", &[&drawn[..], &["replay_capacity=64"]].concat());
    let error = drawn.live().err().expect("refused").to_string();
    assert!(error.contains("render_pixels"), "{error}");
}

#[test]
fn a_memory_goes_on_from_call_to_call_until_it_forgets() {
    let registries = Registries::bundled();
    let sets = [
        "wrappers=[]",
        "net.recurrent=lstm",
        "net.recurrent_size=8",
        "net.hidden_sizes=[16]",
        "rollout_steps=32",
        "minibatch_size=32",
    ];
    let (_place, mut trained) = trained(&registries, "ppo", "PendulumNoVel-v1", &sets);
    let observation = [0.3, 0.9];
    let mut call = |forget: bool| {
        if forget {
            trained.forget();
        }
        trained.predict(&observation).expect("an action")
    };
    let first = call(true);
    let second = call(false);
    assert_ne!(first, second, "the memory holds the first observation");
    assert_eq!(call(true), first);
    assert_eq!(call(false), second);
}
