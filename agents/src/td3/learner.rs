//! One update of TD3: from a batch of transitions to better weights.

use pavlov_common::{SeededRng, derive_seed};
use pavlov_nn::{Activation, HostBuffer, Layout, Parameters, Pass, StateDict, StateView, Trainable};
use rand::RngExt;
use rand_distr::StandardNormal;
use tch::Tensor;

use super::{DeterministicPolicy, Td3Config};
use crate::acting::{PolicyNetwork, RandomPolicy};
use crate::agent::AgentContext;
use crate::core::host::{on_device, read};
use crate::core::{AgentError, Means, Metrics};
use crate::networks::{Encoder, Network, NetworkContext};
use crate::off_policy::{
    ActionNoise, Critics, CriticsSetup, Explorer, Judge, Judged, OffPolicyLearner, RandomFirst, UnitBox,
    losses,
};
use crate::replay::{Batch, Transitions};

/// The policy and the critics of TD3, with their targets.
#[derive(Debug)]
pub struct Td3Learner {
    config: Td3Config,
    policy: DeterministicPolicy,
    /// What acts until the first update.
    random: RandomPolicy,
    trained: Trainable,
    target: Parameters,
    critics: Critics,
    /// Draws the noise on the target policy's actions.
    rng: SeededRng,
    updates: u64,
    means: Means,
    next_actions: HostBuffer<f32>,
    gradient: HostBuffer<f32>,
    numbers: Vec<f32>,
}

impl Td3Learner {
    /// A learner with untrained networks for actions with these bounds.
    ///
    /// # Errors
    /// [`AgentError`] when a configuration makes no sense or memory runs out.
    pub fn new(config: Td3Config, bounds: UnitBox, context: &AgentContext) -> Result<Self, AgentError> {
        let code = config.net.discrete_code();
        let encoder = Encoder::with_discrete(&context.observation_space, code);
        let width = bounds.width();
        let seed = |purpose| SeededRng::seeded(derive_seed(context.seed, purpose, 0));
        let mut rng = seed("weights");
        let mut layout = Layout::new();
        let networks = &context.networks;
        let mut with = NetworkContext { layout: &mut layout, encoder: &encoder, networks };
        let net = Network::new(&mut with, "policy.", width, Activation::Tanh, &config.net)?;
        net.front().refuse_memory("td3")?;
        let parameters = Parameters::new(&layout, &mut rng, context.device)?;
        let critics = CriticsSetup {
            agent: "td3",
            count: config.critics,
            encoder: &encoder,
            action_inputs: width,
            outputs: 1,
            net: &config.net,
            optimizer: &config.optimizer,
            gradient_clip_norm: config.gradient_clip_norm,
            context,
        };
        let room = || HostBuffer::new(&[config.batch_size as i64, width as i64]);
        Ok(Self {
            target: parameters.frozen_copy()?,
            critics: Critics::new(&critics, &mut rng)?,
            trained: Trainable::new(
                parameters,
                &config.optimizer,
                config.gradient_clip_norm,
                derive_seed(context.seed, "dropout", 0),
            )?,
            policy: DeterministicPolicy {
                network: PolicyNetwork::new(net, encoder)?,
                noise: ActionNoise::new(config.exploration, width),
                bounds,
            },
            random: RandomPolicy::new(&context.observation_space, &context.action_space),
            rng: seed("target_noise"),
            updates: 0,
            means: Means::default(),
            next_actions: room()?,
            gradient: room()?,
            numbers: Vec::new(),
            config,
        })
    }

    /// `y = r + gamma min_i Q_i'(s', clip(mu'(s') + clip(noise, -c, c), -1, 1))`, `[batch]`.
    fn targets(&mut self, batch: &Batch, all: &Transitions) -> Result<Vec<f32>, AgentError> {
        let _guard = tch::no_grad_guard();
        let network = &self.policy.network.net;
        read(&network.forward(&mut Pass::eval(&self.target), &all.next_observations)?, &mut self.numbers)?;
        let (deviation, largest) = (self.config.target_noise as f32, self.config.target_noise_clip as f32);
        for (action, out) in self.numbers.iter().zip(self.next_actions.as_mut_slice()) {
            let noise = match deviation {
                0.0 => 0.0,
                deviation => deviation * self.rng.sample::<f32, _>(StandardNormal),
            };
            *out = (action + noise.clamp(-largest, largest)).clamp(-1.0, 1.0);
        }
        let actions = on_device(self.next_actions.tensor(), all.rewards.device())?;
        let seen = Judged { observations: &all.next_observations, actions: Some(&actions) };
        let mut targets = Vec::new();
        self.critics.smallest_target(seen, &mut targets)?;
        let numbers = batch.numbers();
        losses::td_targets(numbers.rewards, numbers.continues, self.config.discount, &mut targets);
        Ok(targets)
    }

    /// One step of the policy up the first critic: `grad_theta mean Q_1(s, mu_theta(s))`.
    fn improve(&mut self, observations: &Tensor, learning_rate: f64) -> Result<(), AgentError> {
        let network = &self.policy.network.net;
        let actions = network.forward(&mut self.trained.pass(), observations)?;
        let value =
            self.critics.by_action(Judge::First, observations, &actions.f_detach()?, &mut self.numbers)?;
        self.gradient.as_mut_slice().copy_from_slice(&self.numbers);
        let gradient = on_device(self.gradient.tensor(), observations.device())?;
        self.means.add("train/actor_loss", -value);
        Ok(self.trained.descend(&actions, &gradient, learning_rate)?)
    }
}

impl OffPolicyLearner for Td3Learner {
    fn explorer(&self) -> Result<Box<dyn Explorer>, AgentError> {
        Ok(Box::new(RandomFirst::new(
            Box::new(self.policy.twin()?),
            self.random.clone(),
            self.config.warmup_env_steps,
        )))
    }

    fn encoder(&self) -> &Encoder {
        &self.policy.network.encoder
    }

    fn acting(&self) -> &Parameters {
        self.trained.parameters()
    }

    fn update(&mut self, batch: &Batch, progress: f64) -> Result<(), AgentError> {
        let all = batch.transitions(self.target.device())?;
        let learning_rate = self.config.learning_rate.value(progress);

        let targets = self.targets(batch, &all)?;
        let seen = Judged { observations: &all.observations, actions: Some(&all.points) };
        let loss = self.critics.regress(seen, &[], (&targets, batch.numbers().weights), learning_rate)?;
        self.means.add("train/critic_loss", loss);

        self.updates += 1;
        if self.updates.is_multiple_of(self.config.policy_every_updates) {
            self.improve(&all.observations, learning_rate)?;
            self.target.polyak_update(self.trained.parameters(), self.config.target_update_tau)?;
            self.critics.update_target(self.config.target_update_tau)?;
        }
        Ok(())
    }

    fn errors(&self) -> &[f32] {
        self.critics.errors()
    }

    fn take_metrics(&mut self, progress: f64) -> Result<Metrics, AgentError> {
        let mut metrics = Metrics::from([("train/learning_rate", self.config.learning_rate.value(progress))]);
        metrics.extend(self.means.take(&["train/actor_loss", "train/critic_loss"]));
        Ok(metrics)
    }

    fn updates(&self) -> u64 {
        self.updates
    }

    fn weights(&self) -> Result<StateDict<'static>, AgentError> {
        Ok(self.trained.parameters().state()?)
    }

    fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), AgentError> {
        Ok(self.trained.load_weights(weights)?)
    }

    fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.nest("policy", self.trained.state()?);
        state.nest("target", self.target.state()?);
        state.nest("critics", self.critics.state()?);
        state.put_value("rng", &self.rng)?;
        state.put_value("means", &self.means)?;
        state.put_value("updates", &self.updates)?;
        Ok(state)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.trained.load_state(&state.part("policy"))?;
        self.target.load_state(&state.part("target"))?;
        self.critics.load_state(&state.part("critics"))?;
        self.rng = state.value("rng")?;
        self.means = state.value("means")?;
        self.updates = state.value("updates")?;
        Ok(())
    }
}
