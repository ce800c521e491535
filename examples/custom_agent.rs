//! An algorithm of your own: advantage-weighted regression (Peng et al. 2019), on fresh rollouts.
//!
//! An action that went better than expected is imitated, the more so the better it went: `loss = -exp(A /
//! temperature) log pi(a|s)`, and the value learns the returns. Acting, rollouts, networks, checkpoints and
//! the command line come with the library:
//!
//! ```text
//! cargo run --release --example custom_agent                                       # learns CartPole
//! cargo run --release --example custom_agent -- train awr Acrobot-v1 --set temperature=0.2
//! ```

use std::process::ExitCode;

use anyhow::Result;
use pavlov::agents::on_policy::{
    ActorCriticLearner, ExplorationConfig, Minibatch, OnPolicyAgent, OnPolicySetup, PolicySampler, Rollout,
    RolloutAlgorithm, RowGradients,
};
use pavlov::agents::{Agent, AgentConfig, AgentContext, AgentError, AgentSpec, Metrics, NetConfig};
use pavlov::common::SeededRng;
use pavlov::nn::OptimizerConfig;
use pavlov::{Registries, train};
use serde::{Deserialize, Serialize};

/// Every number that can be set: on the command line, in a file, by a preset.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AwrConfig {
    learning_rate: f64,
    rollout_steps: usize,
    minibatch_size: usize,
    epochs: usize,
    discount: f64,
    gae_lambda: f64,
    /// The temperature of the weights: the lower, the more only the best actions count.
    temperature: f64,
    net: NetConfig,
}

impl Default for AwrConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            rollout_steps: 128,
            minibatch_size: 128,
            epochs: 8,
            discount: 0.98,
            gae_lambda: 0.9,
            temperature: 0.5,
            net: NetConfig::default(),
        }
    }
}

impl AgentConfig for AwrConfig {
    const NAME: &'static str = "awr";
    const SUMMARY: &'static str = "Advantage-weighted regression (Peng et al. 2019) on fresh rollouts";

    fn validate(&self) -> Result<(), AgentError> {
        if !(self.temperature > 0.0 && self.minibatch_size > 0) {
            let message = "temperature and minibatch_size must be above 0".to_string();
            return Err(AgentError::Config(message));
        }
        Ok(self.net.validate()?)
    }

    fn build(&self, context: &AgentContext) -> Result<Box<dyn Agent>, AgentError> {
        let setup = OnPolicySetup {
            net: &self.net,
            exploration: &ExplorationConfig::default(),
            optimizer: &OptimizerConfig::default(),
            gradient_clip_norm: Some(0.5),
            rollout_steps: self.rollout_steps,
        };
        Ok(Box::new(OnPolicyAgent::new(Awr(self.clone()), &setup, context)?))
    }
}

/// The algorithm: from a rollout to better weights.
struct Awr(AwrConfig);

impl RolloutAlgorithm for Awr {
    fn update(
        &mut self,
        trained: &mut ActorCriticLearner,
        (sampler, rollout): (&PolicySampler, &mut Rollout),
        rng: &mut SeededRng,
        _progress: f64,
    ) -> Result<u64, AgentError> {
        let Self(config) = self;
        let before = trained.updates();
        let mut minibatch = Minibatch::default();
        sampler.finish(rollout, trained.parameters(), (config.discount, config.gae_lambda))?;
        for _ in 0..config.epochs {
            for rows in rollout.shuffled(rng).chunks(config.minibatch_size) {
                rollout.gather(rows, &mut minibatch)?;
                minibatch.normalize_advantages();
                let evaluation = trained.evaluate_rows(sampler, &minibatch)?;
                // The loss is given by what it changes by with each log-probability and each value.
                let share = 1.0 / rows.len() as f32;
                let weight = |a: &f32| (a / config.temperature as f32).exp().min(20.0);
                let errors = evaluation.values.iter().zip(&minibatch.returns).map(|(v, r)| v - r);
                let gradients = RowGradients {
                    by_log_prob: minibatch.advantages.iter().map(|a| -share * weight(a)).collect(),
                    by_value: errors.map(|error| share * error).collect(),
                    by_entropy: 0.0,
                };
                trained.descend_rows(sampler, (&minibatch, &evaluation), &gradients, config.learning_rate)?;
            }
        }
        let mean = rollout.returns().iter().map(|&r| f64::from(r)).sum::<f64>() / rollout.rows() as f64;
        trained.means.add("train/mean_return", mean);
        Ok(trained.updates() - before)
    }

    fn schedules(&self, _progress: f64) -> Metrics {
        Metrics::from([("train/temperature", self.0.temperature)])
    }

    fn tags(&self) -> &'static [&'static str] {
        &["train/mean_return"]
    }
}

fn main() -> Result<ExitCode> {
    let mut registries = Registries::bundled();
    registries.agents.register(AgentSpec::of::<AwrConfig>())?;
    if std::env::args().len() > 1 {
        return Ok(pavlov::cli::main(&registries));
    }
    let settings = ["env_steps=100000", "num_envs=8", "evaluation.until_return=450"];
    let outcome = train(&registries, "awr", "CartPole-v1", &settings)?;
    let best = outcome.best_evaluation.unwrap_or_default();
    anyhow::ensure!(best >= 450.0, "the best mean return was {best}");
    println!("balanced the pole after {} env steps: mean return {best:.1}", outcome.env_steps);
    Ok(ExitCode::SUCCESS)
}
