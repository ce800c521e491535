//! PPO: from a rollout to better weights.

use pavlov_common::SeededRng;

use super::{PpoConfig, losses};
use crate::core::{AgentError, Metrics};
use crate::on_policy::{
    ActorCriticLearner, Minibatch, PolicySampler, Rollout, RolloutAlgorithm, RowGradients, advantages,
};

/// The algorithm of PPO.
#[derive(Debug)]
pub struct Ppo {
    config: PpoConfig,
    minibatch: Minibatch,
    gradients: RowGradients,
}

/// The values of the schedules for one update phase.
#[derive(Clone, Copy, Debug)]
struct Now {
    learning_rate: f64,
    clip_range: f64,
    entropy_coefficient: f64,
}

impl RolloutAlgorithm for Ppo {
    fn minibatch_size(&self) -> Option<usize> {
        Some(self.config.minibatch_size)
    }

    fn update(
        &mut self,
        trained: &mut ActorCriticLearner,
        (sampler, rollout): (&PolicySampler, &mut Rollout),
        rng: &mut SeededRng,
        progress: f64,
    ) -> Result<u64, AgentError> {
        let now = self.now(progress);
        let settings = self.loss_settings(now);
        let Self { config, minibatch, gradients } = self;
        let before = trained.updates();
        sampler.finish(rollout, trained.parameters(), (config.discount, config.gae_lambda))?;
        'phase: for _ in 0..config.epochs {
            let share = rollout.share_of(config.minibatch_size);
            for rows in rollout.shuffled(rng).chunks(share) {
                rollout.gather(rows, minibatch)?;
                if minibatch.learned() == 0 {
                    continue;
                }
                if config.normalize_advantages {
                    minibatch.normalize_advantages();
                }
                let evaluation = trained.evaluate(sampler, minibatch)?;
                let losses = losses::differentiate(minibatch, &evaluation, settings, gradients)?;
                losses.record(&mut trained.means)?;
                if let Some(target) = config.target_kl {
                    // The one number that has to be read from a device, and only where a target is set.
                    if losses.approximate_kl.value()? > 1.5 * target {
                        break 'phase;
                    }
                }
                let loss = (&losses.total, &*gradients);
                trained.descend(sampler, (minibatch, &evaluation), loss, now.learning_rate)?;
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
    pub fn new(config: PpoConfig) -> Self {
        Self { config, minibatch: Minibatch::default(), gradients: RowGradients::default() }
    }

    fn now(&self, progress: f64) -> Now {
        Now {
            learning_rate: self.config.learning_rate.value(progress),
            clip_range: self.config.clip_range.value(progress),
            entropy_coefficient: self.config.entropy_coefficient.value(progress),
        }
    }

    fn loss_settings(&self, now: Now) -> losses::Settings {
        losses::Settings {
            clip_range: now.clip_range,
            value_clip: self.config.value_clip_range.map(|range| (range, self.config.value_clip_rule)),
            value_coefficient: self.config.value_coefficient,
            entropy_coefficient: now.entropy_coefficient,
        }
    }
}
