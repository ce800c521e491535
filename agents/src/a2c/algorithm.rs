//! A2C: from a rollout to better weights.

use pavlov_common::SeededRng;

use super::A2cConfig;
use crate::core::{AgentError, Metrics};
use crate::on_policy::{
    ActorCriticLearner, Minibatch, PolicySampler, Rollout, RolloutAlgorithm, RowGradients, advantages,
    policy_gradient,
};

/// The algorithm of A2C.
#[derive(Debug)]
pub struct A2c {
    config: A2cConfig,
    minibatch: Minibatch,
    gradients: RowGradients,
}

impl A2c {
    /// A2C with this configuration.
    pub fn new(config: A2cConfig) -> Self {
        Self { config, minibatch: Minibatch::default(), gradients: RowGradients::default() }
    }
}

impl RolloutAlgorithm for A2c {
    fn update(
        &mut self,
        trained: &mut ActorCriticLearner,
        (sampler, rollout): (&PolicySampler, &mut Rollout),
        _rng: &mut SeededRng,
        progress: f64,
    ) -> Result<u64, AgentError> {
        let Self { config, minibatch, gradients } = self;
        let before = trained.updates();
        sampler.finish(rollout, trained.parameters(), (config.discount, config.gae_lambda))?;
        let rows = rollout.learnable();
        rollout.gather(&rows, minibatch)?;
        let learning_rate = config.learning_rate.value(progress);
        let moments = match config.normalize_advantages {
            true => rollout.moments(&[&rows], trained.group())?.pop().flatten(),
            false => None,
        };
        if minibatch.learned() == 0 {
            trained.abstain(learning_rate)?;
            return Ok(trained.updates() - before);
        }
        if config.normalize_advantages {
            minibatch.normalize_advantages_by(moments);
        }
        let evaluation = trained.evaluate(sampler, minibatch)?;
        let weights = policy_gradient::Weights {
            value: config.value_coefficient,
            entropy: config.entropy_coefficient.value(progress),
        };
        let losses = policy_gradient::differentiate(minibatch, &evaluation, weights, gradients)?;
        losses.record(&mut trained.means)?;
        let loss = (&losses.total, &*gradients);
        trained.descend(sampler, (minibatch, &evaluation), loss, learning_rate)?;
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
        policy_gradient::TAGS
    }
}
