//! IMPALA: from a rollout, of a policy that may lag behind, to better weights.

use pavlov_common::SeededRng;

use super::{ImpalaConfig, corrections};
use crate::core::{AgentError, Metrics};
use crate::on_policy::{
    ActionEvaluation, ActorCriticLearner, Minibatch, PolicySampler, Rollout, RolloutAlgorithm, RowGradients,
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
    pub fn new(config: ImpalaConfig) -> Self {
        let (minibatch, gradients) = (Minibatch::default(), RowGradients::default());
        Self { config, minibatch, gradients, log_ratios: Vec::new() }
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
        let mut explained = None;
        sampler.finish(rollout, trained.parameters(), (config.discount, config.gae_lambda))?;
        for epoch in 0..config.epochs {
            if epoch > 0 {
                sampler.value_again(rollout, trained.parameters())?;
            }
            let chosen = rollout.learnable();
            rollout.gather(&chosen, minibatch)?;
            let learning_rate = config.learning_rate.value(progress);
            if minibatch.learned() == 0 {
                trained.abstain(learning_rate)?;
                continue;
            }
            let mut evaluation = trained.evaluate(sampler, minibatch)?;
            let rows = rollout.gathered_rows(&chosen);
            let corrected = match &mut evaluation {
                ActionEvaluation::Rows(now) => {
                    corrections::by_rows(config, (rollout, &rows), minibatch, now, log_ratios)
                }
                ActionEvaluation::Tensors(now) => {
                    corrections::on_tensors(config, (rollout, &rows), minibatch.learned(), now)?
                }
            };
            let weights = policy_gradient::Weights {
                value: config.value_coefficient,
                entropy: config.entropy_coefficient.value(progress),
            };
            let losses = policy_gradient::differentiate(minibatch, &evaluation, weights, gradients)?;
            losses.record(&mut trained.means)?;
            trained.means.add_scalar("train/importance", &corrected.importance)?;
            let loss = (&losses.total, &*gradients);
            trained.descend(sampler, (minibatch, &evaluation), loss, learning_rate)?;
            explained = Some(corrected.explained_variance);
        }
        if let Some(explained) = explained {
            trained.means.add_scalar("train/explained_variance", &explained)?;
        }
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
