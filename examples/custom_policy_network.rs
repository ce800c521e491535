//! A network of your own in bundled agents: attention over a set of entities, whose order means nothing, with
//! PPO and DQN.
//!
//! ```text
//! cargo run --release --example custom_policy_network
//! cargo run --release --example custom_policy_network -- train dqn Entities-v0 --set net.backbone=entities --actors 2
//! ```

use std::process::ExitCode;

use anyhow::Result;
use pavlov::agents::networks::{Backbone, BackboneContext, Features, Observation, Sequences};
use pavlov::common::SeededRng;
use pavlov::envs::{Action, End, Env, EnvError, EnvSpec, ObsMut, Space, Step};
use pavlov::nn::layers::{LinearConfig, Max, Transformer, TransformerConfig};
use pavlov::nn::{Activation, Module, NnError, Pass, layers::Linear, layers::Sequential};
use pavlov::{Registries, train};

const WIDTH: i64 = 32;

/// Each entity becomes a vector, attention lets the vectors look at each other, the largest numbers of all
/// are the features.
#[derive(Debug)]
struct EntityAttention(Sequential);

impl EntityAttention {
    fn boxed(context: BackboneContext<'_>) -> Result<Box<dyn Backbone>, NnError> {
        let BackboneContext { layout, prefix, .. } = context;
        let blocks = TransformerConfig { feedforward: 64, dropout: 0.0, ..TransformerConfig::new(1, 2) };
        let network = Sequential::default()
            .then(Linear::new(layout, &format!("{prefix}embed."), 3, &LinearConfig::new(WIDTH))?)
            .then(Activation::Relu)
            .then(Transformer::new(layout, &format!("{prefix}attention."), WIDTH, &blocks)?)
            .then(Max::over(0));
        Ok(Box::new(Self(network)))
    }
}

impl Backbone for EntityAttention {
    fn outputs(&self) -> i64 {
        WIDTH
    }

    fn forward(
        &self,
        pass: &mut Pass<'_>,
        observation: Observation<'_>,
        _sequences: Option<Sequences<'_>>,
    ) -> Result<Features, NnError> {
        Ok(self.0.forward(pass, &observation.get("entities")?)?.into())
    }
}

const ENTITIES: usize = 8;

/// Ten times eight entities `(x, y, weight)`: 1 for the direction of the heaviest one (east, west, north,
/// south), else 0.
struct Entities {
    spaces: (Space, Space),
    rng: SeededRng,
    best: usize,
    left: u32,
}

impl Entities {
    fn boxed() -> Result<Box<dyn Env>, EnvError> {
        let entities = Space::box_f32(-1.0, 1.0, &[ENTITIES, 3])?;
        let spaces = (Space::Dict(vec![("entities".into(), entities)]), Space::Discrete(4));
        Ok(Box::new(Self { spaces, rng: SeededRng::default(), best: 0, left: 0 }))
    }

    fn show(&mut self, observation: ObsMut<'_>) {
        observation.floats.fill_with(|| self.rng.uniform(-1.0, 1.0) as f32);
        let heaviest = observation.floats.chunks_exact(3).max_by(|a, b| a[2].total_cmp(&b[2]));
        let [x, y] = heaviest.map_or([0.0; 2], |entity| [entity[0], entity[1]]);
        self.best = if x.abs() > y.abs() { usize::from(x < 0.0) } else { 2 + usize::from(y < 0.0) };
    }
}

impl Env for Entities {
    fn observation_space(&self) -> &Space {
        &self.spaces.0
    }

    fn action_space(&self) -> &Space {
        &self.spaces.1
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.rng.reseed(seed);
        self.left = 10;
        self.show(observation);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let right = action.discrete(4)? == self.best;
        self.left = self.left.checked_sub(1).ok_or(EnvError::NeedsReset)?;
        self.show(observation);
        Ok(Step::new(f64::from(u8::from(right)), End::terminated_if(self.left == 0)))
    }
}

fn main() -> Result<ExitCode> {
    let mut registries = Registries::bundled();
    registries.envs.register(EnvSpec::new("Entities-v0", |_| Entities::boxed()))?;
    registries.networks.register("entities", EntityAttention::boxed)?;
    if std::env::args().len() > 1 {
        return Ok(pavlov::cli::main(&registries));
    }
    let common = "net.backbone=entities net.hidden_sizes=[32] learning_rate=1e-3 evaluation.until_return=8";
    let ppo = "env_steps=60000 num_envs=16 rollout_steps=32 minibatch_size=128 epochs=4 net.shared=true";
    let dqn = "env_steps=60000 num_envs=8 train_every_env_steps=8 batch_size=128 discount=0.5";
    for (agent, own) in [("ppo", ppo), ("dqn", dqn)] {
        let settings: Vec<_> = common.split(' ').chain(own.split(' ')).collect();
        let outcome = train(&registries, agent, "Entities-v0", &settings)?;
        let best = outcome.best_evaluation.unwrap_or_default();
        anyhow::ensure!(best >= 8.0, "{agent}: the best mean return was {best}, chance gives 2.5");
        println!("{agent} follows the heaviest entity: mean return {best:.1} of 10");
    }
    Ok(ExitCode::SUCCESS)
}
