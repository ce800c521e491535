//! REINFORCE as a training loop drives it.

use pavlov_common::{SeededRng, derive_seed};
use pavlov_envs::{ActionBatch, End, ObsBatch};
use pavlov_nn::{StateDict, StateView};

use super::episodes::{Episodes, Moment, Widths};
use super::{ReinforceConfig, episodes::Played};
use crate::acting::Inference;
use crate::agent::{Agent, AgentContext};
use crate::core::{AgentError, Experience, LossForm, Metrics, Policy};
use crate::on_policy::exploration::ExplorationNoise;
use crate::on_policy::observations::ObservationList;
use crate::on_policy::{
    ActorCriticLearner, Minibatch, PolicySampler, Rollout, RowGradients, StochasticPolicy, advantages,
    policy_gradient, sampler_of,
};

/// A REINFORCE agent.
#[derive(Debug)]
pub struct Reinforce {
    config: ReinforceConfig,
    sampler: PolicySampler,
    trained: ActorCriticLearner,
    /// The step under way.
    step: Rollout,
    episodes: Episodes,
    minibatch: Minibatch,
    gradients: RowGradients,
    total_env_steps: u64,
    env_steps: u64,
    act_rng: SeededRng,
}

impl Reinforce {
    /// An untrained agent.
    ///
    /// # Errors
    /// [`AgentError::Unsupported`] when there is no distribution for such actions.
    pub fn new(config: ReinforceConfig, context: &AgentContext) -> Result<Self, AgentError> {
        let (sampler, parameters) = sampler_of(&config.net, &config.exploration, context)?;
        if sampler.memory.is_some() {
            let message =
                "reinforce learns from single steps, and the backbone remembers: a2c and ppo take a memory";
            return Err(AgentError::Unsupported(message.into()));
        }
        let widths = Widths {
            numbers: sampler.encoder.numbers_width(),
            bytes: sampler.encoder.bytes_width(),
            mask: sampler.encoder.mask_width(),
            draw: sampler.head.distribution().width(),
        };
        Ok(Self {
            trained: ActorCriticLearner::new(
                parameters,
                &config.optimizer,
                config.gradient_clip_norm,
                context.shard_seed("dropout"),
            )?,
            step: sampler.rollout(1, context.num_envs, 0, context.device)?,
            episodes: Episodes::new(config.episodes_per_update, context.num_envs, widths),
            minibatch: Minibatch::default(),
            gradients: RowGradients::default(),
            total_env_steps: context.total_env_steps,
            env_steps: 0,
            act_rng: SeededRng::seeded(derive_seed(context.seed, "act", 0)),
            sampler,
            config,
        })
    }

    /// The same agent with its losses in this form; without this the device chooses ([`LossForm::of`]).
    pub fn with_loss_form(self, form: LossForm) -> Self {
        Self { trained: self.trained.with_loss_form(form), ..self }
    }

    fn progress(&self) -> f64 {
        (self.env_steps as f64 / self.total_env_steps.max(1) as f64).min(1.0)
    }

    /// Brings the episodes together, with the discounted return from each step on, and its advantage over the
    /// baseline.
    fn gather(&mut self) -> Result<(), AgentError> {
        let Self { config, sampler, trained, episodes, minibatch, .. } = self;
        let device = trained.parameters().device();
        let steps = episodes.each().iter().map(|played| played.rewards.len()).sum();
        let room = minibatch.observations_mut(steps, &sampler.encoder, device)?;
        room.concatenate(episodes.each().iter().map(|played| &played.observations), steps)?;
        let together = |array: fn(&Played) -> &Vec<f32>| {
            episodes.each().iter().flat_map(|played| array(played).iter().copied()).collect::<Vec<_>>()
        };
        minibatch.masks = together(|played| &played.masks);
        minibatch.draws = together(|played| &played.draws);
        let is_final = |end: &&End| **end == End::Truncated;
        let count = episodes.each().iter().flat_map(|played| &played.ends).filter(is_final).count();
        let mut finals = vec![0.0; count];
        minibatch.values = vec![0.0; steps];
        // The loss has no ratios: the probabilities of that time do not enter it.
        minibatch.log_probs = vec![0.0; steps];
        if config.baseline {
            let mut all = ObservationList::default();
            episodes.each().iter().for_each(|played| all.append(&played.finals));
            if count > 0 {
                let inputs = all.tensor(count, &sampler.encoder, device)?;
                sampler.values(trained.parameters(), &inputs, None, &mut finals)?;
            }
            let inputs = minibatch.observations(device)?;
            sampler.values(trained.parameters(), &inputs, None, &mut minibatch.values)?;
        }
        let ends = episodes.each().iter().flat_map(|played| played.ends.iter().copied()).collect::<Vec<_>>();
        minibatch.returns = together(|played| &played.rewards);
        discount_backwards(&mut minibatch.returns, &ends, &finals, config.discount as f32);
        let gaps = minibatch.returns.iter().zip(&minibatch.values).map(|(returned, value)| returned - value);
        minibatch.advantages = gaps.collect();
        Ok(())
    }

    fn update(&mut self) -> Result<(), AgentError> {
        self.gather()?;
        let progress = self.progress();
        let Self { config, sampler, trained, minibatch, gradients, .. } = self;
        if config.baseline {
            let explained = advantages::explained_variance(&minibatch.values, &minibatch.returns);
            trained.means.add("train/explained_variance", explained);
        }
        if config.normalize_advantages {
            minibatch.normalize_advantages();
        }
        let evaluation = trained.evaluate(sampler, minibatch)?;
        let weights = policy_gradient::Weights {
            value: if config.baseline { config.value_coefficient } else { 0.0 },
            entropy: config.entropy_coefficient.value(progress),
        };
        let losses = policy_gradient::differentiate(minibatch, &evaluation, weights, gradients)?;
        losses.record(&mut trained.means)?;
        let (loss, learning_rate) = ((&losses.total, &*gradients), config.learning_rate.value(progress));
        trained.descend(sampler, (minibatch, &evaluation), loss, learning_rate)
    }
}

/// From rewards to the discounted sum of those to come in the same episode. A truncated episode's sum goes on
/// with the value of its final observation, the next one of `finals`.
fn discount_backwards(rewards: &mut [f32], ends: &[End], finals: &[f32], discount: f32) {
    let mut finals = finals.iter().rev();
    let mut after = 0.0;
    for (reward, end) in rewards.iter_mut().zip(ends).rev() {
        match end {
            End::No => {}
            End::Terminated => after = 0.0,
            End::Truncated => after = finals.next().copied().unwrap_or(0.0),
        }
        *reward += discount * after;
        after = *reward;
    }
}

impl Agent for Reinforce {
    fn act(&mut self, observations: &ObsBatch, actions: &mut ActionBatch) -> Result<(), AgentError> {
        self.step.clear();
        let weights = self.trained.parameters();
        self.sampler.act(&mut self.step, Inference::Own(weights), observations, &mut self.act_rng, actions)
    }

    fn observe(&mut self, experience: Experience<'_>) -> Result<(), AgentError> {
        self.env_steps += experience.observations.rows() as u64;
        let (step, encoder) = (experience.step, &self.sampler.encoder);
        for env in (0..step.rewards.len()).filter(|&env| !step.resets[env]) {
            let (observation, mask, draw) = self.step.drawn(env);
            let (reward, end) = (step.rewards[env] as f32, step.ends[env]);
            let moment = Moment { observation, mask, draw, reward, end };
            self.episodes.push(env, moment, |finals| finals.push(encoder, step.next_observation(env)));
        }
        Ok(())
    }

    fn cut(&mut self, led_to: &ObsBatch) {
        let encoder = &self.sampler.encoder;
        (0..led_to.rows())
            .for_each(|env| self.episodes.cut(env, |finals| finals.push(encoder, led_to.row(env))));
    }

    fn learn(&mut self) -> Result<u64, AgentError> {
        if !self.episodes.are_complete() {
            return Ok(0);
        }
        self.update()?;
        self.episodes.clear();
        self.sampler.noise.iter_mut().for_each(ExplorationNoise::restart);
        Ok(1)
    }

    fn policy(&self) -> Result<Box<dyn Policy>, AgentError> {
        Ok(Box::new(StochasticPolicy::new(self.sampler.clone(), self.trained.parameters().frozen_copy()?)?))
    }

    fn policy_with(&self, weights: &StateView<'_>) -> Result<Box<dyn Policy>, AgentError> {
        let mut copy = self.trained.parameters().frozen_copy()?;
        copy.load_state(weights)?;
        Ok(Box::new(StochasticPolicy::new(self.sampler.clone(), copy)?))
    }

    fn take_metrics(&mut self) -> Result<Metrics, AgentError> {
        let progress = self.progress();
        let mut metrics = Metrics::from([
            ("train/learning_rate", self.config.learning_rate.value(progress)),
            ("train/entropy_coefficient", self.config.entropy_coefficient.value(progress)),
        ]);
        metrics.extend(self.trained.take_metrics(&self.sampler, policy_gradient::TAGS)?);
        Ok(metrics)
    }

    fn updates(&self) -> u64 {
        self.trained.updates()
    }

    fn weights(&self) -> Result<StateDict<'static>, AgentError> {
        Ok(self.trained.parameters().state()?)
    }

    fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), AgentError> {
        self.trained.load_weights(weights)
    }

    fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.nest("trained", self.trained.state()?);
        state.nest("episodes", self.episodes.state()?);
        state.put_value("env_steps", &self.env_steps)?;
        state.put_value("noise", &self.sampler.noise)?;
        state.put_value("act_rng", &self.act_rng)?;
        Ok(state)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.trained.load_state(&state.part("trained"))?;
        self.episodes.load_state(&state.part("episodes"))?;
        self.env_steps = state.value("env_steps")?;
        self.sampler.noise = state.value("noise")?;
        self.act_rng = state.value("act_rng")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_stop_at_the_end_of_an_episode_and_bootstrap_where_it_was_cut_off() {
        let mut rewards = [1.0, 2.0, 4.0, 8.0, 16.0];
        let ends = [End::No, End::Truncated, End::Terminated, End::No, End::Truncated];
        discount_backwards(&mut rewards, &ends, &[100.0, 10.0], 0.5);
        assert_eq!(rewards, [1.0 + 0.5 * 52.0, 52.0, 4.0, 8.0 + 0.5 * 21.0, 21.0]);
    }
}
