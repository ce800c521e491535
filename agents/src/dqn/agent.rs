//! DQN as a training loop drives it: when to act at random, when to update, what to save.

use pavlov_envs::{ACTION_MASK, ActionBatch, EnvRng, ObsBatch, Space, derive_seed};
use pavlov_nn::{Layout, Parameters, StateDict, StateView};

use super::policy::QNetwork;
use super::{DqnConfig, DqnLearner, QPolicy, losses};
use crate::replay::{Batch, UniformReplay};
use crate::{Agent, AgentContext, AgentError, Encoder, Experience, Metrics, Network, Policy, PolicyNetwork};

/// A DQN agent.
#[derive(Debug)]
pub struct Dqn {
    config: DqnConfig,
    total_env_steps: u64,
    env_steps: u64,
    /// Env steps observed since the last call of `learn`.
    observed: u64,
    network: QNetwork,
    learner: DqnLearner,
    replay: UniformReplay,
    batch: Batch,
    /// Draws the random actions.
    act_rng: EnvRng,
    /// Draws the batches.
    sample_rng: EnvRng,
}

impl Dqn {
    /// An untrained agent for such environments.
    ///
    /// # Errors
    /// [`AgentError::Unsupported`] for actions that are not discrete.
    pub fn new(config: DqnConfig, context: &AgentContext) -> Result<Self, AgentError> {
        let Space::Discrete(actions) = context.action_space else {
            let space = &context.action_space;
            let message =
                format!("dqn needs discrete actions, the environment's are {space}: try another agent");
            return Err(AgentError::Unsupported(message));
        };
        let encoder = Encoder::new(&context.observation_space);
        if ![0, actions as usize].contains(&encoder.mask_width()) {
            let width = encoder.mask_width();
            let message = format!(
                "the environment's `{ACTION_MASK}` is for {width} actions, but it has {actions}: give one bit for each"
            );
            return Err(AgentError::Unsupported(message));
        }
        let mut layout = Layout::new();
        let net = Network::new(&mut layout, "", (&encoder, actions as usize), (&config.cnn, &config.net))?;
        let seed = |purpose| EnvRng::seeded(derive_seed(context.seed, purpose, 0));
        let online = Parameters::new(&layout, &mut seed("weights"), context.device)?;
        Ok(Self {
            replay: UniformReplay::new(
                config.replay_capacity,
                &context.observation_space,
                &context.action_space,
            )?,
            batch: Batch::new(config.batch_size * updates_at_once(&config), &encoder, &context.action_space)?,
            learner: DqnLearner::new(config.clone(), net.clone(), online)?,
            network: QNetwork(PolicyNetwork::new(net, encoder)?),
            total_env_steps: context.total_env_steps,
            env_steps: 0,
            observed: 0,
            act_rng: seed("act"),
            sample_rng: seed("sample"),
            config,
        })
    }

    /// The share of training that is done.
    fn progress(&self) -> f64 {
        (self.env_steps as f64 / self.total_env_steps.max(1) as f64).min(1.0)
    }

    /// The present chance of a random action; before the first update there is nothing to follow but chance.
    fn epsilon(&self) -> f64 {
        if self.env_steps < self.config.warmup_env_steps {
            return 1.0;
        }
        let DqnConfig { epsilon_start, epsilon_end, epsilon_decay_fraction, .. } = self.config;
        let decay_env_steps = epsilon_decay_fraction * self.total_env_steps as f64;
        losses::epsilon(self.env_steps, epsilon_start, epsilon_end, decay_env_steps)
    }
}

/// For how many updates transitions are gathered together: more use the processor better, to a point.
fn updates_at_once(config: &DqnConfig) -> usize {
    config.updates_per_training.min(16) as usize
}

/// How many multiples of `every` lie in `(before, after]`.
fn due(before: u64, after: u64, every: u64) -> u64 {
    after / every - before / every
}

impl Agent for Dqn {
    fn act(&mut self, observations: &ObsBatch, actions: &mut ActionBatch) -> Result<(), AgentError> {
        let epsilon = self.epsilon();
        self.network.epsilon_greedy(&self.learner.online, observations, epsilon, &mut self.act_rng, actions)
    }

    fn observe(&mut self, experience: Experience<'_>) -> Result<(), AgentError> {
        self.replay.insert(experience);
        self.env_steps += experience.observations.rows() as u64;
        self.observed += experience.observations.rows() as u64;
        Ok(())
    }

    fn learn(&mut self) -> Result<u64, AgentError> {
        let (before, now) = (self.env_steps - std::mem::take(&mut self.observed), self.env_steps);
        let target_updates = due(before, now, self.config.target_update_every_env_steps);
        if target_updates > 0 {
            self.learner.update_target(target_updates)?;
        }
        if now < self.config.warmup_env_steps {
            return Ok(0);
        }
        let learning_rate = self.config.learning_rate.value(self.progress());
        let updates = due(before, now, self.config.train_every_env_steps) * self.config.updates_per_training;
        let mut left = updates as usize * self.config.batch_size;
        while left > 0 {
            let count = left.min(self.batch.capacity());
            self.replay.sample(&mut self.sample_rng, &self.network.0.encoder, count, &mut self.batch)?;
            self.learner.update(&self.batch, learning_rate)?;
            left -= count;
        }
        Ok(updates)
    }

    fn policy(&self) -> Result<Box<dyn Policy>, AgentError> {
        Ok(Box::new(QPolicy {
            network: QNetwork(self.network.0.twin()?),
            parameters: self.learner.online.frozen_copy()?,
            epsilon: self.epsilon(),
        }))
    }

    fn take_metrics(&mut self) -> Result<Metrics, AgentError> {
        let mut metrics = Metrics::from([
            ("rollout/exploration_rate", self.epsilon()),
            ("train/learning_rate", self.config.learning_rate.value(self.progress())),
            ("train/n_updates", self.learner.updates as f64),
            ("train/replay_size", self.replay.len() as f64),
        ]);
        if let Some((loss, norm)) = self.learner.take_means()? {
            metrics.insert("train/loss", loss);
            metrics.extend(norm.map(|norm| ("train/gradient_norm", norm)));
        }
        Ok(metrics)
    }

    fn updates(&self) -> u64 {
        self.learner.updates
    }

    fn weights(&self) -> Result<StateDict<'static>, AgentError> {
        Ok(self.learner.online.state()?)
    }

    fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), AgentError> {
        Ok(self.learner.online.load_state(weights)?)
    }

    fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.nest("learner", self.learner.state()?);
        state.nest("replay", self.replay.state()?);
        state.put_value("env_steps", &self.env_steps)?;
        state.put_value("observed", &self.observed)?;
        state.put_value("act_rng", &self.act_rng)?;
        state.put_value("sample_rng", &self.sample_rng)?;
        Ok(state)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.learner.load_state(&state.part("learner"))?;
        self.replay.load_state(&state.part("replay"))?;
        self.env_steps = state.value("env_steps")?;
        self.observed = state.value("observed")?;
        self.act_rng = state.value("act_rng")?;
        self.sample_rng = state.value("sample_rng")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_does_not_depend_on_the_number_of_environments() {
        for every in [1, 3, 10, 64] {
            for num_envs in [1, 4, 16] {
                let steps = (0..4800).step_by(num_envs);
                let total: u64 = steps.map(|at| due(at, at + num_envs as u64, every)).sum();
                assert_eq!(total, 4800 / every, "every {every} with {num_envs} environments");
            }
        }
    }
}
