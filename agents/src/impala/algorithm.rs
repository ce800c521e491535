//! IMPALA: from a rollout, of a policy that may lag behind, to better weights.

use pavlov_common::SeededRng;

use super::ImpalaConfig;
use crate::core::{AgentError, Metrics};
use crate::on_policy::advantages::VtraceClips;
use crate::on_policy::{
    ActorCriticLearner, Minibatch, PolicySampler, Rollout, RolloutAlgorithm, RowGradients, advantages,
    policy_gradient,
};

/// The algorithm of IMPALA.
#[derive(Debug)]
pub struct Impala {
    config: ImpalaConfig,
    minibatch: Minibatch,
    gradients: RowGradients,
    /// The logarithm of each row's importance, `[steps, envs]`.
    log_ratios: Vec<f32>,
}

impl Impala {
    /// IMPALA with this configuration.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn new(config: ImpalaConfig) -> Result<Self, AgentError> {
        let (minibatch, gradients) = (Minibatch::new()?, RowGradients::default());
        Ok(Self { config, minibatch, gradients, log_ratios: Vec::new() })
    }
}

impl RolloutAlgorithm for Impala {
    fn update(
        &mut self,
        trained: &mut ActorCriticLearner,
        (sampler, rollout): (&PolicySampler, &mut Rollout),
        _rng: &mut SeededRng,
        progress: f64,
    ) -> Result<u64, AgentError> {
        let Self { config, minibatch, gradients, log_ratios } = self;
        let before = trained.updates();
        let clips =
            VtraceClips { importance: config.importance_clip as f32, trace: config.trace_clip as f32 };
        rollout.finish(sampler, trained.parameters(), (config.discount, config.gae_lambda))?;
        for epoch in 0..config.epochs {
            if epoch > 0 {
                rollout.value_again(sampler, trained.parameters())?;
            }
            let chosen = rollout.learnable();
            rollout.gather(&chosen, minibatch)?;
            if minibatch.learned() == 0 {
                break;
            }
            let evaluation = trained.evaluate(sampler, minibatch)?;
            log_ratios.clear();
            log_ratios.resize(rollout.rows(), 0.0);
            let rows = rollout.gathered_rows(&chosen);
            for (index, &row) in rows.iter().enumerate() {
                log_ratios[row] = evaluation.log_probs[index] - minibatch.log_probs[index];
            }
            rollout.vtrace(log_ratios, (config.discount, config.gae_lambda), clips);
            for (index, &row) in rows.iter().enumerate() {
                minibatch.advantages[index] = rollout.advantages()[row];
                minibatch.returns[index] = rollout.returns()[row];
            }
            if config.normalize_advantages {
                minibatch.normalize_advantages();
            }
            let weights = policy_gradient::Weights {
                value: config.value_coefficient,
                entropy: config.entropy_coefficient.value(progress),
            };
            let losses = policy_gradient::differentiate(minibatch, &evaluation, weights, gradients);
            losses.record(&mut trained.means)?;
            let importance = log_ratios.iter().map(|ratio| f64::from(ratio.exp())).sum::<f64>();
            trained.means.add("train/importance", importance / log_ratios.len() as f64);
            let learning_rate = config.learning_rate.value(progress);
            trained.descend(sampler, (minibatch, &evaluation), gradients, learning_rate)?;
        }
        let explained = advantages::explained_variance(rollout.values(), rollout.returns());
        trained.means.add("train/explained_variance", explained);
        Ok(trained.updates() - before)
    }

    fn schedules(&self, progress: f64) -> Metrics {
        Metrics::from([
            ("train/learning_rate", self.config.learning_rate.value(progress)),
            ("train/entropy_coefficient", self.config.entropy_coefficient.value(progress)),
        ])
    }

    fn tags(&self) -> &'static [&'static str] {
        &[
            "train/loss",
            "train/policy_loss",
            "train/value_loss",
            "train/entropy_loss",
            "train/explained_variance",
            "train/importance",
        ]
    }
}
