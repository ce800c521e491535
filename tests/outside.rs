//! An agent of a program's own that learns from a replay, written with what `pavlov` makes public alone: action
//! values, chosen by Boltzmann's distribution.

use anyhow::Result;
use pavlov::agents::acting::{Inference, PolicyNetwork, RandomPolicy, RowNetwork};
use pavlov::agents::core::{checks, host};
use pavlov::agents::networks::{Network, NetworkContext};
use pavlov::agents::off_policy::{
    Explorer, OffPolicyAgent, OffPolicyLearner, OffPolicySetup, RandomFirst, UpdatesPerPhase, due,
    replay_review, total_updates,
};
use pavlov::agents::replay::{Batch, ReplayConfig};
use pavlov::agents::{
    ActMode, Agent, AgentConfig, AgentContext, AgentError, AgentSpec, Encoder, Means, Metrics, NetConfig,
    Review,
};
use pavlov::common::{SeededRng, derive_seed};
use pavlov::envs::{ActionBatch, ObsBatch, Space};
use pavlov::nn::{
    Activation, Layout, OptimizerConfig, Parameters, Pass, Schedule, StateDict, StateView, Trainable,
};
use pavlov::rand::RngExt;
use pavlov::run::Quiet;
use pavlov::tch::{Kind, Tensor, no_grad};
use pavlov::{Registries, RunFolder, Session, Training};
use serde::{Deserialize, Serialize};

use crate::settings::resolved;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BoltzmannConfig {
    learning_rate: f64,
    temperature: f32,
    copy_every_env_steps: u64,
    warmup_env_steps: u64,
}

impl Default for BoltzmannConfig {
    fn default() -> Self {
        Self { learning_rate: 1e-3, temperature: 0.3, copy_every_env_steps: 200, warmup_env_steps: 500 }
    }
}

impl BoltzmannConfig {
    fn setup(&self) -> OffPolicySetup {
        OffPolicySetup {
            learning_rate: Schedule::constant(self.learning_rate),
            discount: 0.98,
            batch_size: 64,
            replay_capacity: 20_000,
            replay: ReplayConfig::default(),
            warmup_env_steps: self.warmup_env_steps,
            train_every_env_steps: 8,
            updates_per_phase: UpdatesPerPhase::Count(4),
            target_update_tau: 1.0,
            gradient_clip_norm: Some(10.0),
            net: NetConfig { hidden_sizes: vec![64], ..NetConfig::relu(64) },
            optimizer: OptimizerConfig::default(),
        }
    }
}

impl AgentConfig for BoltzmannConfig {
    const NAME: &'static str = "boltzmann";
    const SUMMARY: &'static str = "Action values with Boltzmann exploration";

    fn validate(&self) -> Result<(), AgentError> {
        checks::positive("temperature", self.temperature.into())?;
        checks::count("copy_every_env_steps", self.copy_every_env_steps, checks::ANY)?;
        self.setup().validate()
    }

    fn review(&self, context: &AgentContext) -> Result<Review, AgentError> {
        let mut review = replay_review(&self.setup(), context)?;
        let updates = total_updates(&self.setup(), context);
        review.warn_if(updates < 100, || format!("there are {updates} updates: nothing will be learned"));
        Ok(review)
    }

    fn build(&self, context: &AgentContext) -> Result<Box<dyn Agent>, AgentError> {
        let learner = Boltzmann::new(self.clone(), context)?;
        Ok(Box::new(OffPolicyAgent::new(learner, &self.setup(), None, context)?))
    }
}

/// Acts by `softmax(q / temperature)`.
struct Softmax {
    network: PolicyNetwork,
    temperature: f32,
}

impl Explorer for Softmax {
    fn act(
        &mut self,
        inference: Inference<'_>,
        observations: &ObsBatch,
        (mode, _): (ActMode, u64),
        rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        let ActionBatch::Discrete(choices) = actions else {
            return Err(AgentError::Unsupported("action values need discrete actions".into()));
        };
        let count = self.network.net.outputs() as usize;
        let (values, _) = self.network.evaluate(inference, observations)?;
        for (choice, values) in choices.iter_mut().zip(values.chunks_exact(count)) {
            // Gumbel's noise on the values draws from the softmax.
            let noise = |rng: &mut SeededRng| -(-rng.random::<f32>().max(1e-9).ln()).ln();
            let mut best = f32::NEG_INFINITY;
            for (action, value) in values.iter().enumerate() {
                let shown = match mode {
                    ActMode::Exploit => *value,
                    ActMode::Explore => value / self.temperature + noise(rng),
                };
                if shown > best {
                    (best, *choice) = (shown, action as i64);
                }
            }
        }
        Ok(())
    }

    fn twin(&self, _: usize, _: usize) -> Result<Box<dyn Explorer>, AgentError> {
        Ok(Box::new(Self { network: self.network.twin()?, temperature: self.temperature }))
    }

    fn network(&self) -> Box<dyn RowNetwork> {
        Box::new(self.network.net.clone())
    }
}

struct Boltzmann {
    config: BoltzmannConfig,
    random: RandomPolicy,
    encoder: Encoder,
    net: Network,
    trained: Trainable,
    target: Parameters,
    means: Means,
}

impl Boltzmann {
    fn new(config: BoltzmannConfig, context: &AgentContext) -> Result<Self, AgentError> {
        let Space::Discrete(actions) = context.action_space else {
            return Err(AgentError::Unsupported("boltzmann needs discrete actions".into()));
        };
        let setup = config.setup();
        let encoder = Encoder::for_networks(&context.observation_space, &setup.net)?;
        let mut layout = Layout::new();
        let mut with = NetworkContext { layout: &mut layout, encoder: &encoder, networks: &context.networks };
        let net = Network::new(&mut with, "", actions as usize, Activation::Relu, &setup.net)?;
        let mut rng = SeededRng::seeded(derive_seed(context.seed, "weights", 0));
        let parameters = Parameters::new(&layout, &mut rng, context.device)?;
        Ok(Self {
            target: parameters.frozen_copy()?,
            trained: Trainable::new(
                parameters,
                &setup.optimizer.for_network(&layout),
                setup.gradient_clip_norm,
                derive_seed(context.seed, "dropout", 0),
            )?,
            random: RandomPolicy::new(&context.observation_space, &context.action_space),
            means: Means::default(),
            encoder,
            net,
            config,
        })
    }
}

impl OffPolicyLearner for Boltzmann {
    fn explorer(&self) -> Result<Box<dyn Explorer>, AgentError> {
        let network = PolicyNetwork::new(self.net.clone(), self.encoder.clone())?;
        let explorer = Box::new(Softmax { network, temperature: self.config.temperature });
        Ok(Box::new(RandomFirst::new(explorer, self.random.clone(), self.config.warmup_env_steps)))
    }

    fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    fn acting(&self) -> &Parameters {
        self.trained.parameters()
    }

    fn update(&mut self, batch: &Batch, _progress: f64) -> Result<(), AgentError> {
        let all = batch.transitions(self.target.device())?;
        let targets = no_grad(|| -> Result<Tensor, AgentError> {
            let next = self.net.forward(&mut Pass::eval(&self.target), &all.next_observations)?;
            let (best, _) = next.max_dim(1, false);
            Ok(&all.rewards + &all.continues * best * 0.98)
        })?;
        let values = self.net.forward(&mut self.trained.pass(), &all.observations)?;
        let taken = values.gather(1, &all.choices.view([-1, 1]), false).squeeze_dim(1);
        let loss = (taken - targets).square().mean(Kind::Float);
        let mut number = Vec::new();
        host::read(&loss.detach(), &mut number)?;
        self.means.add("train/loss", number[0].into());
        Ok(self.trained.descend_loss(&loss, self.config.learning_rate)?)
    }

    fn errors(&self) -> &[f32] {
        &[]
    }

    fn advance(&mut self, before: u64, now: u64) -> Result<(), AgentError> {
        match due(before, now, self.config.copy_every_env_steps) {
            0 => Ok(()),
            _ => Ok(self.target.copy_from(self.trained.parameters())?),
        }
    }

    fn take_metrics(&mut self, _progress: f64) -> Result<Metrics, AgentError> {
        Ok(self.means.take(&["train/loss"])?.into_iter().collect())
    }

    fn updates(&self) -> u64 {
        self.trained.updates()
    }

    fn weights(&self) -> Result<StateDict<'static>, AgentError> {
        Ok(self.trained.parameters().state()?)
    }

    fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), AgentError> {
        self.trained.load_weights(weights)?;
        Ok(self.target.copy_from(self.trained.parameters())?)
    }

    fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.nest("trained", self.trained.state()?);
        state.nest("target", self.target.state()?);
        state.put_value("means", &self.means.saved()?)?;
        Ok(state)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.trained.load_state(&state.part("trained"))?;
        self.target.load_state(&state.part("target"))?;
        self.means = Means::from_saved(state.value("means")?);
        Ok(())
    }
}

#[test]
fn an_off_policy_agent_of_a_program_learns_with_actors_too() {
    let mut registries = Registries::bundled();
    registries.agents.register(AgentSpec::of::<BoltzmannConfig>()).expect("a new name");
    let place = tempfile::tempdir().expect("a folder");
    for actors in ["actors.count=0", "actors.count=1"] {
        let sets = [
            "env_steps=40000",
            "seed=1",
            "evaluation.every_env_steps=5000",
            "evaluation.until_return=150",
            actors,
        ];
        let config = resolved(&registries, "boltzmann", "CartPole-v1", &sets);
        Training::check(&config, &registries).expect("a training that can begin");
        let folder = RunFolder::create(Some(&place.path().join(actors)), &config).expect("a folder");
        let session = Session::start(Training::new(config, &registries).expect("a training"), folder);
        let outcome = session.expect("a start").run(&false.into(), &mut Quiet).expect("an end");
        assert!(outcome.best_evaluation.is_some_and(|best| best >= 150.0), "{actors}: {outcome:?}");
    }
}
