//! PPO: from a rollout to better weights.

use pavlov_common::SeededRng;
use pavlov_group::Group;

use super::{PpoConfig, losses};
use crate::core::{AgentError, Metrics, Scalar};
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
        let group = trained.group().clone();
        'phase: for _ in 0..config.epochs {
            let share = rollout.share_of(config.minibatch_size);
            let order = rollout.shuffled(rng);
            let parts = rollout.parts(&order, share);
            let moments = match config.normalize_advantages {
                true => rollout.moments(&parts, &group)?,
                false => vec![None; parts.len()],
            };
            for (rows, moments) in parts.into_iter().zip(moments) {
                rollout.gather(rows, minibatch)?;
                if minibatch.learned() == 0 {
                    if is_too_far(config.target_kl, None, &group)? {
                        break 'phase;
                    }
                    trained.abstain(now.learning_rate)?;
                    continue;
                }
                if config.normalize_advantages {
                    minibatch.normalize_advantages_by(moments);
                }
                let evaluation = trained.evaluate(sampler, minibatch)?;
                let losses = losses::differentiate(minibatch, &evaluation, settings, gradients)?;
                losses.record(&mut trained.means)?;
                let divergence = Some((&losses.approximate_kl, minibatch.learned()));
                if is_too_far(config.target_kl, divergence, &group)? {
                    break 'phase;
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

/// True if the policy has moved too far from the one that acted, by the mean divergence over all shards. A shard
/// gives that of its rows, with their number, or `None` where it has none.
fn is_too_far(
    target: Option<f64>,
    divergence: Option<(&Scalar, usize)>,
    group: &Group,
) -> Result<bool, AgentError> {
    let Some(target) = target else { return Ok(false) };
    // The one number that has to be read from a device, and only where a target is set.
    let own = divergence.map(|(divergence, rows)| Ok::<_, AgentError>((divergence.value()?, rows as f64)));
    let (mean, rows) = own.transpose()?.unwrap_or_default();
    if group.is_alone() {
        return Ok(mean > 1.5 * target);
    }
    let mut sums = [mean * rows, rows];
    group.sum_f64(&mut sums)?;
    Ok(sums[0] > 1.5 * target * sums[1])
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
