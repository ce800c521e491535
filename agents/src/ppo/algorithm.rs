//! PPO: from a rollout to better weights.

use pavlov_common::SeededRng;

use super::{PpoConfig, losses};
use crate::core::{AgentError, Metrics};
use crate::on_policy::{
    ActionEvaluation, ActorCriticLearner, Minibatch, PolicySampler, Rollout, RolloutAlgorithm, RowGradients,
    advantages,
};

/// The algorithm of PPO.
#[derive(Debug)]
pub struct Ppo {
    config: PpoConfig,
    minibatch: Minibatch,
    gradients: RowGradients,
}

/// What the schedules say for one training.
#[derive(Clone, Copy, Debug)]
struct Now {
    learning_rate: f64,
    clip_range: f64,
    entropy_coefficient: f64,
}

/// The means of a minibatch.
#[derive(Clone, Copy, Debug, Default)]
struct Losses {
    policy: f64,
    value: f64,
    entropy: f64,
    approximate_kl: f64,
    clipped: f64,
}

impl RolloutAlgorithm for Ppo {
    fn update(
        &mut self,
        trained: &mut ActorCriticLearner,
        (sampler, rollout): (&PolicySampler, &mut Rollout),
        rng: &mut SeededRng,
        progress: f64,
    ) -> Result<u64, AgentError> {
        let now = self.now(progress);
        let before = trained.updates();
        rollout.finish(sampler, trained.parameters(), (self.config.discount, self.config.gae_lambda))?;
        'training: for _ in 0..self.config.epochs {
            let share = rollout.share_of(self.config.minibatch_size);
            for rows in rollout.shuffled(rng).chunks(share) {
                rollout.gather(rows, &mut self.minibatch)?;
                if self.minibatch.learned() == 0 {
                    continue;
                }
                if self.config.normalize_advantages {
                    self.minibatch.normalize_advantages();
                }
                let evaluation = trained.evaluate(sampler, &self.minibatch)?;
                let losses = self.differentiate(&evaluation, now);
                self.record(trained, losses, now)?;
                if self.config.target_kl.is_some_and(|target| losses.approximate_kl > 1.5 * target) {
                    break 'training;
                }
                let seen = (&self.minibatch, &evaluation);
                trained.descend(sampler, seen, &self.gradients, now.learning_rate)?;
            }
        }
        let explained = advantages::explained_variance(rollout.values(), rollout.returns());
        trained.means.add("train/explained_variance", explained);
        Ok(trained.updates() - before)
    }

    fn schedules(&self, progress: f64) -> Metrics {
        let now = self.now(progress);
        Metrics::from([
            ("train/learning_rate", now.learning_rate),
            ("train/clip_range", now.clip_range),
            ("train/entropy_coefficient", now.entropy_coefficient),
        ])
    }

    fn tags(&self) -> &'static [&'static str] {
        &[
            "train/loss",
            "train/policy_gradient_loss",
            "train/value_loss",
            "train/entropy_loss",
            "train/approx_kl",
            "train/clip_fraction",
            "train/explained_variance",
        ]
    }
}

impl Ppo {
    /// PPO with this configuration.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn new(config: PpoConfig) -> Result<Self, AgentError> {
        Ok(Self { config, minibatch: Minibatch::new()?, gradients: RowGradients::default() })
    }

    fn now(&self, progress: f64) -> Now {
        Now {
            learning_rate: self.config.learning_rate.value(progress),
            clip_range: self.config.clip_range.value(progress),
            entropy_coefficient: self.config.entropy_coefficient.value(progress),
        }
    }

    /// The minibatch's losses, and the gradient of their weighted sum.
    fn differentiate(&mut self, evaluation: &ActionEvaluation, now: Now) -> Losses {
        let Self { config, minibatch, gradients } = self;
        let range = now.clip_range as f32;
        let value_clip = config.value_clip_range.map(|range| (range as f32, config.value_clip_rule));
        let share = 1.0 / minibatch.learned() as f32;
        let value_share = share * config.value_coefficient as f32;
        let mut sums = Losses::default();
        gradients.by_log_prob.clear();
        gradients.by_value.clear();
        gradients.by_entropy = -(now.entropy_coefficient as f32) * share;
        for row in 0..minibatch.len() {
            if minibatch.is_skipped(row) {
                gradients.by_log_prob.push(0.0);
                gradients.by_value.push(0.0);
                continue;
            }
            let log_ratio = evaluation.log_probs[row] - minibatch.log_probs[row];
            let policy = losses::clipped_surrogate(log_ratio, minibatch.advantages[row], range);
            let (value, old) = (evaluation.values[row], minibatch.values[row]);
            let error = losses::value_error(value, minibatch.returns[row], old, value_clip);
            gradients.by_log_prob.push(policy.slope * share);
            gradients.by_value.push(error.slope * value_share);
            sums.policy += f64::from(policy.value);
            sums.value += f64::from(error.value);
            sums.entropy += f64::from(evaluation.entropies[row]);
            sums.approximate_kl += f64::from(losses::approximate_kl(log_ratio));
            sums.clipped += f64::from(u8::from(log_ratio.exp_m1().abs() > range));
        }
        let count = minibatch.learned() as f64;
        Losses {
            policy: sums.policy / count,
            value: sums.value / count,
            entropy: sums.entropy / count,
            approximate_kl: sums.approximate_kl / count,
            clipped: sums.clipped / count,
        }
    }

    fn record(&self, trained: &mut ActorCriticLearner, losses: Losses, now: Now) -> Result<(), AgentError> {
        let weighted_value = self.config.value_coefficient * losses.value;
        let loss = losses.policy + weighted_value - now.entropy_coefficient * losses.entropy;
        if !loss.is_finite() {
            return Err(AgentError::Diverged(format!("the loss is {loss}")));
        }
        let means = &mut trained.means;
        means.add("train/loss", loss);
        means.add("train/policy_gradient_loss", losses.policy);
        means.add("train/value_loss", losses.value);
        means.add("train/entropy_loss", -losses.entropy);
        means.add("train/approx_kl", losses.approximate_kl);
        means.add("train/clip_fraction", losses.clipped);
        Ok(())
    }
}
