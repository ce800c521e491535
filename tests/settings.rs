//! Settings that have no effect, and trainings in which nothing would be learned, are told before a run
//! begins.

use pavlov::envs::{
    ACTION_MASK, Action, ActionBatch, BoxSpace, Dtype, End, Env, EnvError, EnvSpec, ObsBatch, ObsMut,
    SeededRng, Space, Step, StepBatch, VectorOptions,
};
use pavlov::record::read_csv;
use pavlov::run::Quiet;
use pavlov::{Overrides, Registries, RunConfig, RunFolder, Session, Training, presets};

use crate::command::{SMALL, Workplace};
use crate::layouts::with_blank;

/// The configuration of these `key=value` settings.
pub fn resolved(registries: &Registries, agent: &str, environment: &str, sets: &[&str]) -> RunConfig {
    let sets = sets.iter().map(ToString::to_string).collect();
    RunConfig::resolve(registries, agent, environment, &Overrides { file: None, sets }).expect("valid")
}

/// The warnings of a configuration.
fn warnings(agent: &str, environment: &str, sets: &[&str]) -> Vec<String> {
    let registries = Registries::bundled();
    let config = resolved(&registries, agent, environment, sets);
    Training::review(&config, &registries).expect("a review").warnings
}

#[test]
fn presets_have_no_idle_settings() {
    for (agent, environment) in presets() {
        assert_eq!(warnings(agent, &environment, &[]), Vec::<String>::new(), "{agent} {environment}");
    }
}

/// Agent, environment, settings, and the words of the one warning.
type Case = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

#[test]
fn settings_without_effect_are_told() {
    let cases: &[Case] = &[
        (
            "dqn",
            "CartPole-v1",
            &["wrappers=[{ kind = \"time_limit\", max_episode_steps = 1000 }]"],
            &["time_limit", "1000", "500", "environment_options.max_episode_steps"],
        ),
        (
            "dqn",
            "CartPole-v1",
            &["wrappers=[{ kind = \"time_limit\", max_episode_steps = 500 }]"],
            &["time_limit", "has no effect"],
        ),
        (
            "dqn",
            "CartPole-v1",
            &[
                "wrappers=[{ kind = \"frame_skip\", frames = 4 }, { kind = \"time_limit\", max_episode_steps = 200 }]",
            ],
            &["time_limit", "200", "500", "125"],
        ),
        (
            "dqn",
            "CartPole-v1",
            &[
                "environment_options.max_episode_steps=50",
                "wrappers=[{ kind = \"time_limit\", max_episode_steps = 60 }]",
            ],
            &["60", "50"],
        ),
        (
            "dqn",
            "MinAtar/Breakout-v1",
            &["wrappers=[{ kind = \"time_limit\", max_episode_steps = 100 }, { kind = \"time_limit\", \
                 max_episode_steps = 300 }]"],
            &["100", "300"],
        ),
        (
            "dqn",
            "CartPole-v1",
            &["wrappers=[{ kind = \"sign_reward\" }, { kind = \"clip_reward\", low = -5, high = 5 }]"],
            &["clip_reward", "-5..5", "-1 to 1"],
        ),
        (
            "dqn",
            "CartPole-v1",
            &["wrappers=[{ kind = \"sign_reward\" }, { kind = \"sign_reward\" }]"],
            &["sign_reward", "has no effect"],
        ),
        ("dqn", "CartPole-v1", &["wrappers=[{ kind = \"scale_reward\", factor = 1 }]"], &["scale_reward"]),
        ("dqn", "CartPole-v1", &["wrappers=[{ kind = \"frame_skip\", frames = 1 }]"], &["frame_skip"]),
        ("dqn", "CartPole-v1", &["wrappers=[{ kind = \"frame_stack\", frames = 1 }]"], &["frame_stack"]),
        ("dqn", "CartPole-v1", &["wrappers=[{ kind = \"flatten\" }]"], &["flatten"]),
        ("dqn", "CartPole-v1", &["wrappers=[{ kind = \"sticky_actions\", probability = 0 }]"], &["sticky"]),
        ("dqn", "CartPole-v1", &["wrappers=[{ kind = \"select\", shown = [0, 1, 2, 3] }]"], &["select"]),
        (
            "dqn",
            "PixelPong-v0",
            &["wrappers=[{ kind = \"resize\", height = 84, width = 84 }]"],
            &["resize", "84 x 84"],
        ),
        (
            "ppo",
            "Pendulum-v1",
            &["wrappers=[{ kind = \"rescale_action\", low = -2, high = 2 }]"],
            &["rescale_action"],
        ),
        (
            "a2c",
            "Pendulum-v1",
            &["discount=0.8", "wrappers=[{ kind = \"normalize_reward\", discount = 0.99 }]"],
            &["normalize_reward", "0.99", "0.8"],
        ),
        (
            "dqn",
            "CartPole-v1",
            &["evaluation.every_env_steps=70000"],
            &["evaluation.every_env_steps is 70000", "50000"],
        ),
        ("dqn", "CartPole-v1", &["checkpoint.every_env_steps=70000"], &["checkpoint.every_env_steps"]),
        (
            "dqn",
            "CartPole-v1",
            &["evaluation.film_every_evaluations=500"],
            &["film_every_evaluations is 500", "20 evaluations"],
        ),
        ("dqn", "CartPole-v1", &["env_threads=8"], &["env_threads is 8", "num_envs 1"]),
        ("dqn", "CartPole-v1", &["actors.mode=lockstep"], &["actors.count is 0"]),
        ("dqn", "CartPole-v1", &["net.cnn=impala"], &["net.cnn", "no picture"]),
        ("dqn", "CartPole-v1", &["net.discrete={ embedding = 4 }"], &["net.discrete"]),
        ("dqn", "CartPole-v1", &["replay.importance_exponent=0.5"], &["importance_exponent"]),
        ("ppo", "CartPole-v1", &["net.recurrent_size=32"], &["net.recurrent_size"]),
        ("ppo", "CartPole-v1", &["exploration.log_deviation_start=-1"], &["exploration", "Discrete(2)"]),
        (
            "ppo",
            "Pendulum-v1",
            &["exploration.state_dependent=false", "exploration.resample_steps=3"],
            &["resample"],
        ),
        ("ppo", "CartPole-v1", &["num_envs=1"], &["minibatch_size is 256", "32 x 1"]),
        ("ppo", "CartPole-v1", &["value_clip_rule=clipped"], &["value_clip_range"]),
        ("dqn", "CartPole-v1", &["target_update_every_env_steps=60000"], &["target network", "60000"]),
        ("sac", "Pendulum-v1", &["target_update_every_updates=30000"], &["target critics", "30000"]),
        ("td3", "Pendulum-v1", &["policy_every_updates=30000"], &["policy_every_updates"]),
        (
            "dqn",
            "CartPole-v1",
            &["wrappers=[{ kind = \"noop_start\", max_noops = 600 }]"],
            &["noop_start", "600", "500"],
        ),
        ("sac", "Pendulum-v1", &["temperature=0.1", "target_entropy=-1"], &["target_entropy"]),
        ("sac", "Pendulum-v1", &["temperature=0.1", "temperature_start=0.5"], &["temperature_start"]),
    ];
    for (agent, environment, sets, words) in cases {
        let said = warnings(agent, environment, sets);
        let [warning] = said.as_slice() else { panic!("{agent} {environment} {sets:?}: {said:?}") };
        for word in *words {
            assert!(warning.contains(word), "{sets:?} does not say `{word}`: {warning}");
        }
    }
    for (agent, environment, sets) in [
        ("dqn", "CartPole-v1", &["wrappers=[{ kind = \"time_limit\", max_episode_steps = 499 }]"][..]),
        (
            "dqn",
            "CartPole-v1",
            &["wrappers=[{ kind = \"clip_reward\", low = -5, high = 5 }, { kind = \"sign_reward\" }]"],
        ),
        ("dqn", "MinAtar/Breakout-v1", &["wrappers=[{ kind = \"time_limit\", max_episode_steps = 900 }]"]),
        ("dqn", "PixelPong-v0", &["wrappers=[{ kind = \"resize\", height = 42, width = 84 }]"]),
        ("dqn", "CartPole-v1", &["env_steps=2000"]),
        ("a2c", "Pendulum-v1", &["discount=0.8"]),
    ] {
        assert_eq!(
            warnings(agent, environment, sets),
            Vec::<String>::new(),
            "{agent} {environment} {sets:?}"
        );
    }
}

#[test]
fn a_training_without_updates_is_refused() {
    Workplace::new().refuses(&[
        (
            &["train", "ppo", "CartPole-v1", "--steps", "200"],
            &["env_steps is 200", "rollout_steps is 32", "num_envs 8", "256", "nothing would be learned"],
        ),
        (
            &["train", "a2c", "CartPole-v1", "--steps", "100", "--envs", "64"],
            &["env_steps is 100", "rollout_steps", "num_envs 64"],
        ),
        (&["train", "impala", "CartPole-v1", "--steps", "10"], &["rollout_steps"]),
        (
            &["train", "dqn", "CartPole-v1", "--steps", "900"],
            &["env_steps is 900", "warmup_env_steps is 1000", "1024"],
        ),
        (
            &["train", "dqn", "CartPole-v1", "--steps", "1000", "--set", "train_every_env_steps=5000"],
            &["train_every_env_steps 5000"],
        ),
        (&["train", "apex", "CartPole-v1", "--steps", "900"], &["warmup_env_steps"]),
        (&["train", "sac", "Pendulum-v1", "--steps", "50"], &["warmup_env_steps"]),
        (&["train", "td3", "Pendulum-v1", "--steps", "500"], &["warmup_env_steps"]),
        (&["train", "ddpg", "Pendulum-v1", "--steps", "500"], &["warmup_env_steps"]),
        (
            &["train", "dqn", "CartPole-v1", "--set", "wrappers=[{ kind = \"episodic_life\" }]"],
            &["episodic_life", "counts lives"],
        ),
        (
            &["train", "sac", "CartPole-v1", "--set", "target_entropy=0.7"],
            &["target_entropy is 0.7", "0.6931"],
        ),
    ]);
    // A last step of all environments fills the rollout.
    let registries = Registries::bundled();
    let config = resolved(&registries, "ppo", "CartPole-v1", &["env_steps=250"]);
    Training::review(&config, &registries).expect("256 env steps are made");
    let config = resolved(&registries, "ppo", "CartPole-v1", &["env_steps=248"]);
    Training::review(&config, &registries).expect_err("none left");
    let folder = tempfile::tempdir().expect("a folder");
    let run = RunFolder::create(Some(&folder.path().join("run")), &config).expect("a run");
    let training = Training::new(config, &registries).expect("an agent");
    let error = Session::start(training, run).err().expect("programs are told as well");
    assert!(error.to_string().contains("rollout_steps"), "{error:#}");
}

#[test]
fn warnings_are_said_once() {
    let place = Workplace::new();
    let limit = "wrappers=[{ kind = \"time_limit\", max_episode_steps = 1000 }]";
    let said = place.train_small("run", &["--set", limit]);
    assert!(said.success, "{}", said.err);
    assert_eq!(
        said.err.matches("warning: the wrapper `time_limit` has no effect").count(),
        1,
        "{}",
        said.err
    );
    let printed = place.pavlov(&["config", "dqn", "CartPole-v1", "--set", limit]);
    assert!(printed.success && printed.err.contains("warning: the wrapper `time_limit`"), "{}", printed.err);
    let quiet = [&["train", "dqn", "CartPole-v1", "--run-dir", "plain", "--quiet"], SMALL].concat();
    assert_eq!(place.pavlov(&quiet).err, "");
}

#[test]
fn a_configuration_says_what_becomes_of_observations_and_stays_a_file() {
    let place = Workplace::new();
    let printed = place.pavlov(&["config", "dqn", "MinAtar/Seaquest-v1"]).out;
    let fact = "# the observation, Box(0, 1, [10, 10, 10], u8): a picture of 10 x 10 pixels, 10 channels last; convolutions";
    assert!(printed.contains(fact), "{printed}");
    let printed = place.pavlov(&["config", "ppo", "CartPole-v1", "--seed", "4"]).out;
    assert!(printed.contains("[4], f32): 4 plain numbers"), "{printed}");
    std::fs::write(place.path("own.toml"), &printed).expect("a file");
    let again = place.pavlov(&["config", "ppo", "CartPole-v1", "--config", "own.toml"]);
    assert_eq!(again.out, printed, "{}", again.err);
    let envs = place.pavlov(&["envs"]).out;
    assert!(envs.contains("(a picture of 10 x 10 pixels with 10 channels, channels_last)"), "{envs}");
    let check = place.pavlov(&["check", "PixelPong-v0"]).out;
    assert!(
        check.contains("PixelPong-v0: a picture of 84 x 84 pixels with 1 channel, channels_first"),
        "{check}"
    );
}

#[test]
fn rewards_are_normalised_by_the_agents_discount() {
    let registries = Registries::bundled();
    let rewards = |wrapper: &str| {
        let config =
            resolved(&registries, "a2c", "Pendulum-v1", &["discount=0.5", &format!("wrappers=[{wrapper}]")]);
        let factory = config.factory(&registries).expect("a factory");
        let mut envs = factory.make_vector(&VectorOptions::new(2)).expect("environments");
        let (space, mut rng) = (envs.action_space().clone(), SeededRng::seeded(5));
        let mut actions = ActionBatch::new(&space, 2).expect("a box");
        let mut seen = ObsBatch::new(envs.observation_space(), 2);
        let mut step = StepBatch::new(envs.observation_space(), 2);
        envs.reset(Some(3), &mut seen).expect("a start");
        let mut rewards = Vec::new();
        for _ in 0..40 {
            (0..2).for_each(|row| actions.sample_row(row, &space, &mut rng));
            envs.step(&actions, &mut step).expect("a step");
            rewards.extend_from_slice(&step.rewards);
        }
        rewards
    };
    let follows = rewards("{ kind = \"normalize_reward\" }");
    assert_eq!(follows, rewards("{ kind = \"normalize_reward\", discount = 0.5 }"));
    assert_ne!(follows, rewards("{ kind = \"normalize_reward\", discount = 0.99 }"));
}

/// One step: the closer the action is to a share of the bounds, the better.
struct Target {
    observations: Space,
    actions: Space,
    best: f32,
    unit: f32,
}

impl Env for Target {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, _seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        observation.floats.fill(0.5);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let far = (action.point(1)?[0] - self.best) / self.unit;
        self.reset(None, observation)?;
        Ok(Step::new(-f64::from(far.abs().min(10.0)), End::Terminated))
    }
}

#[test]
fn an_optimum_within_any_bounds_is_found() {
    const MAX: f32 = f32::MAX;
    // Bounds, the best action, and the distance that counts as 1.
    let cases = [
        ((100.0, 200.0), 170.0, 50.0),
        ((-0.001, 0.001), 0.0004, 0.001),
        ((0.0, 1.0), 0.8, 0.5),
        ((-1e6, 1e6), -3e5, 1e6),
        ((50.0, f32::INFINITY), 51.5, 1.0),
        ((-MAX, MAX), 0.6, 1.0),
        ((-1e20, 1e20), 0.6, 1.0),
    ];
    for ((low, high), best, unit) in cases {
        let space = Space::Box(BoxSpace::new(vec![low], vec![high], &[1], Dtype::F32).expect("bounds"));
        let mut registries = Registries::bundled();
        let spec = EnvSpec::new("Target-v0", move |_| {
            let (observations, actions) = (Space::unbounded(&[1]), space.clone());
            Ok(Box::new(Target { observations, actions, best, unit }))
        });
        registries.envs.register(spec).expect("a free id");
        let sets = [
            "env_steps=12000",
            "num_envs=8",
            "rollout_steps=16",
            "learning_rate=0.002",
            "evaluation.every_env_steps=12000",
            "evaluation.episodes=1",
        ];
        let config = resolved(&registries, "ppo", "Target-v0", &sets);
        let folder = tempfile::tempdir().expect("a folder");
        let run = RunFolder::create(Some(&folder.path().join("run")), &config).expect("a run");
        let training = Training::new(config, &registries).expect("an agent");
        let outcome =
            Session::start(training, run).expect("a start").run(&false.into(), &mut Quiet).expect("an end");
        let reward = outcome.last_evaluation.expect("an evaluation");
        assert!(reward > -0.2, "{low} {high}: {reward}");
    }
}

#[test]
fn bounds_that_say_nothing_are_refused_where_they_are_needed() {
    for bound in [f32::MAX, 1e20] {
        let actions = || Space::symmetric(&[bound]).expect("bounds");
        for agent in ["sac", "td3", "ddpg"] {
            let registries = with_blank(Space::unbounded(&[2]), actions());
            let config = resolved(&registries, agent, "Blank-v0", &[]);
            let error = Training::check(&config, &registries).expect_err("refused").to_string();
            assert!(error.contains("finite bounds") && error.contains("says nothing"), "{error}");
        }
        let registries = with_blank(Space::unbounded(&[2]), actions());
        let wrapper = "wrappers=[{ kind = \"rescale_action\", low = -1, high = 1 }]";
        let config = resolved(&registries, "ppo", "Blank-v0", &[wrapper]);
        let error = Training::check(&config, &registries).expect_err("refused").to_string();
        assert!(error.contains("finite bounds can be rescaled"), "{error}");
    }
    // Hidden bounds that are far from 0 leave only their edges.
    let far = Space::box_f32(100.0, 200.0, &[1]).expect("bounds");
    let registries = with_blank(Space::unbounded(&[2]), far);
    let config = resolved(&registries, "ppo", "Blank-v0", &["wrappers=[{ kind = \"clip_action\" }]"]);
    let said = Training::review(&config, &registries).expect("a review").warnings.join("\n");
    assert!(said.contains("clip_action") && said.contains("rescale_action"), "{said}");
}

/// Ten actions, of which `allowed` may be taken; one of them is rewarded.
struct Masked {
    observations: Space,
    actions: Space,
    allowed: usize,
}

impl Env for Masked {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, _seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        observation.floats.fill(0.0);
        observation.floats[1..=self.allowed].fill(1.0);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let choice = action.discrete(10)?;
        assert!(choice < self.allowed, "a masked action was played");
        self.reset(None, observation)?;
        Ok(Step::new(if choice == 0 { 0.1 } else { 0.0 }, End::Terminated))
    }
}

#[test]
fn the_temperature_stays_bounded_where_few_actions_are_allowed() {
    for allowed in [1, 2, 5, 10] {
        let mut registries = Registries::bundled();
        let spec = EnvSpec::new("Masked-v0", move |_| {
            let mask = (ACTION_MASK.to_string(), Space::MultiBinary(10));
            let observations = Space::Dict(vec![("place".into(), Space::unbounded(&[1])), mask]);
            Ok(Box::new(Masked { observations, actions: Space::Discrete(10), allowed }))
        });
        registries.envs.register(spec).expect("a free id");
        let sets = [
            "env_steps=2500",
            "batch_size=32",
            "learning_rate=0.005",
            "net.hidden_sizes=[16]",
            "replay_capacity=2000",
            "log.every_env_steps=500",
            "evaluation.every_env_steps=0",
        ];
        let config = resolved(&registries, "sac", "Masked-v0", &sets);
        let folder = tempfile::tempdir().expect("a folder");
        let run = RunFolder::create(Some(&folder.path().join("run")), &config).expect("a run");
        let training = Training::new(config, &registries).expect("an agent");
        let mut session = Session::start(training, run.clone()).expect("a start");
        session.run(&false.into(), &mut Quiet).expect("an end");
        let (_, rows) = read_csv(&run.log()).expect("a log");
        let temperature = rows.last().expect("a row").values["train/temperature"];
        assert!((0.0..3.0).contains(&temperature), "{allowed} of 10: {temperature}");
    }
}
