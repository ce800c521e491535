//! Networks of a user's own, in code and as lists of layers: in every agent, with memory and without, with
//! actors, and what is said of those that do not fit.

use pavlov::agents::networks::{Backbone, BackboneContext, Features, Observation, Sequences};
use pavlov::nn::layers::{Linear, LinearConfig};
use pavlov::nn::{Cell, Init, Memory, Module, NnError, Pass, Recurrent, Sequence};
use pavlov::run::Quiet;
use pavlov::{Overrides, Registries, RunConfig, RunFolder, Session, Training};
use tch::Kind;

/// The flaw of a test's backbone, if any.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    WrongWidth,
    Nan,
}

/// A linear layer with a residual of its own.
#[derive(Debug)]
struct Own {
    inner: Linear,
    outer: Linear,
    flaw: Flaw,
}

impl Own {
    fn boxed(context: BackboneContext<'_>, flaw: Flaw) -> Result<Box<dyn Backbone>, NnError> {
        let BackboneContext { layout, prefix, parts, .. } = context;
        let inputs = parts.iter().map(|part| part.kind.width()).sum();
        let inner = Linear::new(layout, &format!("{prefix}inner."), inputs, &LinearConfig::new(8))?;
        let outer = Linear::new(layout, &format!("{prefix}outer."), 8, &LinearConfig::new(8))?;
        Ok(Box::new(Self { inner, outer, flaw }))
    }
}

impl Backbone for Own {
    fn outputs(&self) -> i64 {
        if self.flaw == Flaw::WrongWidth { 9 } else { 8 }
    }

    fn forward(
        &self,
        pass: &mut Pass<'_>,
        observation: Observation<'_>,
        _sequences: Option<Sequences<'_>>,
    ) -> Result<Features, NnError> {
        let hidden = self.inner.forward(pass, observation.rows())?.tanh();
        let scale = if self.flaw == Flaw::Nan { f64::NAN } else { 1.0 };
        Ok(((self.outer.forward(pass, &hidden)? + hidden) * scale).into())
    }
}

/// A GRU behind a linear layer: a backbone that remembers by itself.
#[derive(Debug)]
struct Remembers {
    linear: Linear,
    memory: Recurrent,
}

impl Remembers {
    fn boxed(context: BackboneContext<'_>) -> Result<Box<dyn Backbone>, NnError> {
        let BackboneContext { layout, prefix, parts, .. } = context;
        let inputs = parts.iter().map(|part| part.kind.width()).sum();
        let linear = Linear::new(layout, &format!("{prefix}linear."), inputs, &LinearConfig::new(8))?;
        let memory = Recurrent::new(layout, &format!("{prefix}memory."), Cell::Gru, 8, 8, Init::Torch)?;
        Ok(Box::new(Self { linear, memory }))
    }
}

impl Backbone for Remembers {
    fn outputs(&self) -> i64 {
        8
    }

    fn state_width(&self) -> i64 {
        Memory::state_width(&self.memory)
    }

    fn forward(
        &self,
        pass: &mut Pass<'_>,
        observation: Observation<'_>,
        sequences: Option<Sequences<'_>>,
    ) -> Result<Features, NnError> {
        let Some(Sequences { starts, state }) = sequences else {
            return Err(NnError::Shape("a memory without its state".into()));
        };
        let x = self.linear.forward(pass, observation.rows())?.relu();
        let x = x.reshape([starts.size()[0], state.size()[0], 8]);
        let answer = self.memory.forward(pass, &Sequence { x: &x, starts, state })?;
        Ok(Features { features: answer.outputs.reshape([-1, 8]), states: Some(answer.states) })
    }
}

/// The bundled registries with the networks of these tests.
pub fn registries() -> Registries {
    let mut registries = Registries::bundled();
    let networks = &mut registries.networks;
    networks.register("own", |context| Own::boxed(context, Flaw::None)).expect("a free name");
    networks.register("wide", |context| Own::boxed(context, Flaw::WrongWidth)).expect("a free name");
    networks.register("broken", |context| Own::boxed(context, Flaw::Nan)).expect("a free name");
    networks.register("remembers", Remembers::boxed).expect("a free name");
    registries
}

/// Trains in a folder of its own; gives the flat weights of the last checkpoint's policy.
fn train(agent: &str, environment: &str, sets: &[&str]) -> Result<Vec<f32>, String> {
    let registries = registries();
    let sets = sets.iter().map(ToString::to_string).collect();
    let overrides = Overrides { file: None, sets };
    let config =
        RunConfig::resolve(&registries, agent, environment, &overrides).map_err(|e| e.to_string())?;
    Training::check(&config, &registries).map_err(|e| format!("{e:#}"))?;
    let folder = tempfile::tempdir().expect("a folder");
    let run = RunFolder::create(Some(&folder.path().join("run")), &config).expect("a run");
    let mut session = Training::new(config.clone(), &registries)
        .and_then(|training| Session::start(training, run))
        .map_err(|e| format!("{e:#}"))?;
    session.run(&false.into(), &mut Quiet).map_err(|e| format!("{e:#}"))?;
    let run = RunFolder::open(&folder.path().join("run")).expect("the run");
    let state = run.checkpoints().list().expect("a list").pop().expect("a checkpoint").read().expect("whole");
    let mut agent = Training::agent(&config, &registries).map_err(|e| format!("{e:#}"))?;
    agent.load_state(&state.view().part("agent")).expect("its own state");
    let weights = agent.weights().expect("weights");
    let mut all = Vec::new();
    for name in weights.view().array_names() {
        let numbers = weights.view().tensor(name).expect("an array").to_kind(Kind::Float).reshape([-1]);
        all.extend(Vec::<f32>::try_from(numbers).expect("numbers"));
    }
    Ok(all)
}

const SMALL: [&str; 6] = [
    "env_steps=200",
    "net.hidden_sizes=[8]",
    "evaluation.every_env_steps=100",
    "evaluation.episodes=1",
    "checkpoint.every_env_steps=100",
    "log.every_env_steps=50",
];
const BATCH_NORM: &str = "net.backbone=[{ linear = 16 }, \"batch_norm\", \"relu\", { dropout = 0.1 }]";
const RESIDUAL: &str = "net.backbone=[{ linear = 16 }, \"layer_norm\", \"relu\", { residual = [{ linear = 16 }, \"relu\", { linear = 16 }] }]";

/// Updates within the few steps of [`SMALL`].
const LATER: &str = "train_every_env_steps=50";

/// Agents with settings for a training of a few hundred steps.
fn agents() -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    let rollouts = vec!["rollout_steps=20", "num_envs=2"];
    let replay = vec!["warmup_env_steps=50", "batch_size=16", "train_every_env_steps=4"];
    let with = |base: &[&'static str], more: &[&'static str]| [base, more].concat();
    vec![
        ("dqn", "CartPole-v1", replay.clone()),
        (
            "dqn",
            "CartPole-v1",
            with(&replay, &["dueling=true", "double=true", "replay.priority_exponent=0.6"]),
        ),
        ("ppo", "CartPole-v1", with(&rollouts, &["epochs=2", "minibatch_size=20"])),
        (
            "ppo",
            "CartPole-v1",
            with(&rollouts, &["epochs=2", "minibatch_size=20", "net.recurrent=lstm", "net.recurrent_size=8"]),
        ),
        ("a2c", "Pendulum-v1", rollouts.clone()),
        ("impala", "CartPole-v1", rollouts),
        ("reinforce", "CartPole-v1", vec!["num_envs=2"]),
        ("sac", "Pendulum-v1", replay.clone()),
        ("sac", "CartPole-v1", replay.clone()),
        ("td3", "Pendulum-v1", replay),
    ]
}

#[test]
fn every_agent_trains_with_any_backbone_and_repeats_itself() {
    for backbone in ["net.backbone=own", BATCH_NORM, RESIDUAL] {
        for (agent, environment, sets) in agents() {
            let all = [&SMALL[..], &sets, &[backbone]].concat();
            let what = format!("{agent} on {environment} with {backbone}");
            let first = train(agent, environment, &all).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(first.iter().all(|number| number.is_finite()), "{what}");
            assert_eq!(train(agent, environment, &all).as_ref(), Ok(&first), "{what}");
        }
    }
}

#[test]
fn a_backbone_with_a_memory_learns_from_rollouts_and_is_refused_by_what_learns_from_single_steps() {
    let sets = ["rollout_steps=20", "num_envs=2", "net.backbone=remembers"];
    for agent in ["a2c", "impala", "ppo"] {
        train(agent, "CartPole-v1", &[&SMALL[..], &sets].concat()).expect("a training");
    }
    for (agent, environment) in
        [("dqn", "CartPole-v1"), ("sac", "Pendulum-v1"), ("td3", "Pendulum-v1"), ("reinforce", "CartPole-v1")]
    {
        let refused = train(agent, environment, &["net.backbone=remembers"]).unwrap_err();
        assert!(refused.contains("memory") && refused.contains("ppo"), "{agent}: {refused}");
    }
    let twice = train("ppo", "CartPole-v1", &["net.backbone=remembers", "net.recurrent=gru"]).unwrap_err();
    assert!(twice.contains("leave net.recurrent"), "{twice}");
}

#[test]
fn what_does_not_fit_is_explained_by_its_place() {
    let mut wrong = Vec::new();
    for (agent, environment, sets, words) in [
        ("ppo", "CartPole-v1", &["net.backbone=ownn"][..], &["`ownn`", "did you mean `own`?"][..]),
        (
            "dqn",
            "CartPole-v1",
            &["net.backbone=wide", "warmup_env_steps=100", LATER],
            &["backbone `wide`", "[", "8]", "`outputs`"],
        ),
        ("ppo", "CartPole-v1", &["net.backbone=broken"], &["backbone `broken`", "not finite"]),
        (
            "dqn",
            "CartPole-v1",
            &["net.backbone=broken", "warmup_env_steps=10", LATER],
            &["backbone `broken`", "not finite"],
        ),
        (
            "ppo",
            "CartPole-v1",
            &["net.backbone=[{ linear = 8 }, { conv2d = { filters = 4, kernel = 3 } }]"],
            &["net.backbone: layer 1 (conv2d)"],
        ),
        (
            "ppo",
            "MinAtar/Breakout-v1",
            &["net.backbone=[{ conv2d = { filters = 4, kernel = 30 } }, \"flatten\"]"],
            &["net.backbone: layer 0 (conv2d)", "10"],
        ),
        (
            "ppo",
            "MinAtar/Breakout-v1",
            &["net.backbone=[{ conv2d = { filters = 4, kernel = 3 } }]"],
            &["flatten"],
        ),
        ("ppo", "CartPole-v1", &["net.backbone=[{ linaer = 8 }]"], &["linaer", "did you mean `linear`?"]),
        ("ppo", "CartPole-v1", &["net.backbone=[{ linear = { unit = 8 } }]"], &["unit", "units"]),
        ("ppo", "CartPole-v1", &["net.backbone=own", "net.cnn=nature"], &["net.cnn", "standard backbone"]),
        (
            "ppo",
            "CartPole-v1",
            &["net.backbone_options={ width = 3 }"],
            &["net.backbone_options", "registered"],
        ),
        (
            "dqn",
            "CartPole-v1",
            &["net.value_hidden_sizes=[8]"],
            &["net.value_hidden_sizes", "net.hidden_sizes"],
        ),
        ("sac", "Pendulum-v1", &["net.shared=true"], &["net.shared", "for this agent"]),
        ("sac", "Pendulum-v1", &["critic_net.hidden_sizes=[8]"], &["net.value_hidden_sizes"]),
        ("td3", "Pendulum-v1", &["net.recurrent=lstm"], &["net.recurrent", "for this agent"]),
        // Networks that no memory holds.
        ("ppo", "CartPole-v1", &["net.backbone=[{ linear = 2147483647 }]"], &["layer 0 (linear)", "smaller"]),
        (
            "ppo",
            "CartPole-v1",
            &["net.backbone=[{ linear = 100000 }, { linear = 100000 }]"],
            &["layer 1 (linear)", "smaller"],
        ),
        ("ppo", "CartPole-v1", &["net.hidden_sizes=[9223372036854775807]"], &["net.hidden_sizes", "at most"]),
        (
            "ppo",
            "CartPole-v1",
            &["net.hidden_sizes=[1000000, 1000000]"],
            &["net.hidden_sizes", "16 TB", "give less"],
        ),
        (
            "ppo",
            "CartPole-v1",
            &["net.recurrent=lstm", "net.recurrent_size=9223372036854775807"],
            &["net.recurrent_size", "at most"],
        ),
        (
            "ppo",
            "CartPole-v1",
            &[
                "net.backbone=[{ unsqueeze = 0 }, { transformer = { layers = 5000, heads = 2, feedforward = 1 } }, \"flatten\"]",
            ],
            &["layer 1 (transformer)", "at most 1000"],
        ),
        (
            "ppo",
            "MinAtar/Breakout-v1",
            &["net.backbone=[{ upsample = { scale = [1844674407370955162, 1] } }, \"flatten\"]"],
            &["layer 0 (upsample)", "scale"],
        ),
        // Tokens and numbers at the wrong layer, before a run begins.
        (
            "ppo",
            "CartPole-v1",
            &["net.backbone=[{ embedding = { vocabulary = 4, width = 4 } }, \"flatten\"]"],
            &["trial observation", "layer 0", "tokens"],
        ),
        (
            "ppo",
            "FrozenLake-v1",
            &["net.discrete=token", "net.backbone=[{ linear = 8 }]"],
            &["trial observation", "layer 0", "linear"],
        ),
        // Numbers that overflow in a list.
        (
            "ppo",
            "CartPole-v1",
            &["net.backbone=[\"relu\", { linear = { units = 4, init = { constant = { value = 3e38 } } } }]"],
            &["layer 1", "not finite"],
        ),
        ("ppo", "CartPole-v1", &["net.backbone=[{ linear = 8 }"], &["net.backbone", "TOML"]),
        (
            "ppo",
            "CartPole-v1",
            &[
                "net.backbone=[{ linear = 8 }, \"batch_norm\"]",
                "minibatch_size=1",
                "rollout_steps=2",
                "num_envs=1",
            ],
            &["layer 1", "batch"],
        ),
    ] {
        let said = train(agent, environment, &[&SMALL[..], sets].concat()).unwrap_err();
        if !words.iter().all(|word| said.contains(word)) {
            wrong.push(format!("{sets:?}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_list_without_parameters_trains_what_stands_on_it() {
    for (agent, environment, list, more) in [
        ("ppo", "CartPole-v1", "net.backbone=[\"relu\"]", ["net.shared=true", "rollout_steps=32"]),
        ("a2c", "CartPole-v1", "net.backbone=[]", ["net.shared=true", "rollout_steps=5"]),
        (
            "ppo",
            "MinAtar/Breakout-v1",
            "net.backbone=[\"flatten\"]",
            ["minibatch_size=20", "rollout_steps=20"],
        ),
        ("dqn", "CartPole-v1", "net.backbone=[\"tanh\"]", ["warmup_env_steps=50", "train_every_env_steps=8"]),
    ] {
        let sets = [&SMALL[..], &[list, "num_envs=2"], &more].concat();
        train(agent, environment, &sets).unwrap_or_else(|e| panic!("{agent} {list}: {e}"));
    }
}

#[test]
fn groups_may_name_the_parameters_of_one_network_of_several() {
    let groups = |names: &str| {
        let set = format!("optimizer.groups=[{{ names = [\"{names}\"], learning_rate_factor = 0.0 }}]");
        let sets = ["warmup_env_steps=50", "batch_size=16", "train_every_env_steps=4", set.as_str()];
        train("sac", "Pendulum-v1", &[&SMALL[..], &sets].concat())
    };
    let (policy, critics) =
        (groups("policy.*").expect("sac's policy"), groups("q0.*").expect("sac's critics"));
    assert_ne!(policy, critics);
    let said = groups("polic.*").unwrap_err();
    assert!(said.contains("`polic.*`") && said.contains("`policy.0.weight`"), "{said}");
}

#[test]
fn an_embedding_behind_a_layer_that_keeps_numbers_gets_tokens() {
    let list = "net.backbone=[\"flatten\", { embedding = { vocabulary = 16, width = 4 } }, \"flatten\"]";
    train("ppo", "FrozenLake-v1", &[&SMALL[..], &[list, "rollout_steps=20", "num_envs=4"]].concat())
        .expect("16 states");
    let small = list.replace("16", "15");
    let said = train("ppo", "FrozenLake-v1", &[&SMALL[..], &[&small]].concat()).unwrap_err();
    assert!(said.contains("tokens from 15 to 15"), "{said}");
}

#[test]
fn a_run_whose_network_has_more_arrays_than_its_list_is_not_continued() {
    let registries = registries();
    let resolve = |list: &str| {
        let sets =
            [&SMALL[..], &["rollout_steps=20", list]].concat().iter().map(ToString::to_string).collect();
        RunConfig::resolve(&registries, "ppo", "CartPole-v1", &Overrides { file: None, sets }).expect("valid")
    };
    let config = resolve("net.backbone=[{ linear = 8 }, \"batch_norm\"]");
    let folder = tempfile::tempdir().expect("a folder");
    let run = RunFolder::create(Some(&folder.path().join("run")), &config).expect("a run");
    let mut session =
        Session::start(Training::new(config, &registries).expect("a training"), run).expect("a session");
    session.run(&false.into(), &mut Quiet).expect("a training");
    // It holds the run for as long as it lives.
    drop(session);
    let run = RunFolder::open(&folder.path().join("run")).expect("the run");
    let checkpoint = run.checkpoints().list().expect("a list").pop().expect("a checkpoint");
    let other = resolve("net.backbone=[{ linear = 8 }, \"layer_norm\"]");
    let error = Training::new(other, &registries)
        .and_then(|training| Session::resume(training, run, &checkpoint))
        .err()
        .expect("another network");
    assert!(format!("{error:#}").contains("that the network does not have"), "{error:#}");
}

#[test]
fn a_list_fits_every_preset() {
    for (agent, environment) in [("ppo", "PixelPong-v0"), ("a2c", "PixelPong-v0"), ("dqn", "PixelPong-v0")] {
        let list =
            "net.backbone=[{ conv2d = { filters = 2, kernel = 8, stride = 8 } }, \"relu\", \"flatten\"]";
        let sets = [&SMALL[..], &[list]].concat().iter().map(ToString::to_string).collect();
        let config = RunConfig::resolve(&registries(), agent, environment, &Overrides { file: None, sets });
        config.unwrap_or_else(|e| panic!("{agent} on {environment}: {e}"));
    }
}

#[test]
fn a_discrete_observation_is_embedded_by_the_standard_backbone_or_by_a_list() {
    for set in [
        "net.discrete={ embedding = 4 }",
        "net.backbone=[{ embedding = { vocabulary = 16, width = 4 } }, \"flatten\"]",
    ] {
        for (agent, more) in [("dqn", "warmup_env_steps=50"), ("ppo", "rollout_steps=20")] {
            train(agent, "FrozenLake-v1", &[&SMALL[..], &[set, more, "num_envs=2"]].concat()).expect(set);
        }
    }
    let small = "net.backbone=[{ embedding = { vocabulary = 4, width = 4 } }, \"flatten\"]";
    let said = train("ppo", "FrozenLake-v1", &[&SMALL[..], &[small]].concat()).unwrap_err();
    assert!(said.contains("embedding") && said.contains('4'), "{said}");
}
