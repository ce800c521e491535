//! One update of TD3: from a batch of transitions to better weights.

use pavlov_common::{SeededRng, derive_seed};
use pavlov_nn::{Activation, HostBuffer, Layout, Parameters, Pass, StateDict, StateView, Trainable};
use rand::RngExt;
use rand_distr::StandardNormal;
use tch::{Kind, Tensor};

use super::{DeterministicPolicy, Td3Config};
use crate::acting::{PolicyNetwork, RandomPolicy};
use crate::agent::AgentContext;
use crate::core::host::{on_device, read, sent};
use crate::core::{AgentError, LossForm, Means, Metrics};
use crate::networks::{Encoder, Network, NetworkContext};
use crate::off_policy::{
    ActionNoise, Critics, CriticsSetup, Explorer, Judge, Judged, OffPolicyLearner, RandomFirst, Targets,
    UnitBox, losses,
};
use crate::replay::{Batch, Transitions};
use pavlov_nn::means::check_losses;

/// The policy and the critics of TD3, with their targets.
#[derive(Debug)]
pub struct Td3Learner {
    config: Td3Config,
    form: LossForm,
    policy: DeterministicPolicy,
    /// The policy until the first update.
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
    /// A learner with untrained networks for actions with these bounds, its losses in this form.
    ///
    /// # Errors
    /// [`AgentError`] when a configuration makes no sense or memory runs out.
    pub fn new(
        config: Td3Config,
        bounds: UnitBox,
        context: &AgentContext,
        form: LossForm,
    ) -> Result<Self, AgentError> {
        let encoder = Encoder::for_networks(&context.observation_space, &config.net)?;
        let width = bounds.width();
        let mut rng = SeededRng::seeded(derive_seed(context.seed, "weights", 0));
        let mut layout = Layout::new();
        let networks = &context.networks;
        let mut with = NetworkContext { layout: &mut layout, encoder: &encoder, networks };
        let net = Network::new(&mut with, "policy.", width, Activation::Tanh, &config.net)?;
        net.front().refuse_memory()?;
        let parameters = Parameters::new(&layout, &mut rng, context.device)?;
        let critics = CriticsSetup {
            count: config.critics,
            encoder: &encoder,
            action_inputs: width,
            outputs: 1,
            net: &config.net,
            optimizer: &config.optimizer,
            gradient_clip_norm: config.gradient_clip_norm,
            prioritized: config.replay.priority_exponent.is_some(),
            context,
        };
        let room = || HostBuffer::new(&[config.batch_size as i64, width as i64]);
        let critics = Critics::new(&critics, &mut rng)?;
        config.optimizer.check_names(&[&layout, critics.parameters().layout()])?;
        Ok(Self {
            form,
            target: parameters.frozen_copy()?,
            critics,
            trained: Trainable::new(
                parameters,
                &config.optimizer.for_network(&layout),
                config.gradient_clip_norm,
                context.shard_seed("dropout"),
            )?
            .in_group(&context.group),
            policy: DeterministicPolicy {
                network: PolicyNetwork::new(net, encoder)?,
                noise: ActionNoise::new(config.exploration, width),
                bounds,
            },
            random: RandomPolicy::new(&context.observation_space, &context.action_space),
            rng: SeededRng::seeded(context.shard_seed("target_noise")),
            updates: 0,
            means: Means::default(),
            next_actions: room()?,
            gradient: room()?,
            numbers: Vec::new(),
            config,
        })
    }

    /// One step of the critics towards `y = r + gamma min_i Q_i'(s', clip(mu'(s') + clip(noise, -c, c), -1,
    /// 1))`.
    fn improve_critics(
        &mut self,
        batch: &Batch,
        all: &Transitions,
        learning_rate: f64,
    ) -> Result<(), AgentError> {
        let seen = Judged { observations: &all.observations, actions: Some(&all.points) };
        let loss = match self.form {
            LossForm::Rows => {
                let (targets, weights) = (&self.row_targets(batch, all)?[..], batch.numbers().weights);
                self.critics.regress(seen, Targets::Rows { choices: &[], targets, weights }, learning_rate)?
            }
            LossForm::Tensors => {
                let (targets, weights) = (&self.tensor_targets(all)?, &all.weights);
                self.critics.regress(
                    seen,
                    Targets::Tensors { choices: None, targets, weights },
                    learning_rate,
                )?
            }
        };
        Ok(self.means.add_scalar("train/critic_loss", &loss)?)
    }

    /// The noise on one number of the target policy's actions.
    fn target_noise(config: &Td3Config, rng: &mut SeededRng) -> f32 {
        let (deviation, largest) = (config.target_noise as f32, config.target_noise_clip as f32);
        match deviation {
            0.0 => 0.0,
            deviation => (deviation * rng.sample::<f32, _>(StandardNormal)).clamp(-largest, largest),
        }
    }

    fn row_targets(&mut self, batch: &Batch, all: &Transitions) -> Result<Vec<f32>, AgentError> {
        let _guard = tch::no_grad_guard();
        let network = &self.policy.network.net;
        read(&network.forward(&mut Pass::eval(&self.target), &all.next_observations)?, &mut self.numbers)?;
        for (action, out) in self.numbers.iter().zip(self.next_actions.as_mut_slice()) {
            *out = (action + Self::target_noise(&self.config, &mut self.rng)).clamp(-1.0, 1.0);
        }
        let actions = on_device(self.next_actions.tensor(), all.rewards.device())?;
        let seen = Judged { observations: &all.next_observations, actions: Some(&actions) };
        let mut targets = Vec::new();
        self.critics.smallest_target(seen, &mut targets)?;
        let numbers = batch.numbers();
        losses::td_targets(numbers.rewards, numbers.continues, self.config.discount, &mut targets);
        Ok(targets)
    }

    /// The targets as a tensor, f32 `[batch]`; the noise is drawn in ordinary memory and sent.
    fn tensor_targets(&mut self, all: &Transitions) -> Result<Tensor, AgentError> {
        let _guard = tch::no_grad_guard();
        let network = &self.policy.network.net;
        let actions = network.forward(&mut Pass::eval(&self.target), &all.next_observations)?;
        let each = (0..actions.numel()).map(|_| Self::target_noise(&self.config, &mut self.rng));
        let noise = sent(&each.collect::<Vec<f32>>(), &actions.size(), actions.device())?;
        let actions = actions.f_add(&noise)?.f_clamp(-1.0, 1.0)?;
        let seen = Judged { observations: &all.next_observations, actions: Some(&actions) };
        let values = self.critics.smallest_target_tensor(seen)?.f_squeeze_dim(1)?;
        losses::tensors::td_targets(&all.rewards, &all.continues, self.config.discount, &values)
    }

    /// One step of the policy up the first critic: `grad_theta mean Q_1(s, mu_theta(s))`.
    fn improve_policy(&mut self, observations: &Tensor, learning_rate: f64) -> Result<(), AgentError> {
        let network = &self.policy.network.net;
        let actions = network.forward(&mut self.trained.pass(), observations)?;
        match self.form {
            LossForm::Rows => {
                let (judge, at) = (Judge::First, actions.f_detach()?);
                let value = self.critics.by_action(judge, observations, &at, &mut self.numbers)?;
                self.gradient.as_mut_slice().copy_from_slice(&self.numbers);
                let gradient = on_device(self.gradient.tensor(), observations.device())?;
                self.means.add("train/actor_loss", -value);
                Ok(self.trained.descend(&actions, &gradient, learning_rate)?)
            }
            LossForm::Tensors => {
                let values = self.critics.judge(Judge::First, observations, &actions)?;
                let loss = values.f_mean(Kind::Float)?.f_neg()?;
                self.trained.descend_loss(&loss, learning_rate)?;
                Ok(self.means.add_scalar("train/actor_loss", &loss.f_detach()?.into())?)
            }
        }
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

        self.improve_critics(batch, &all, learning_rate)?;
        self.updates += 1;
        if self.updates.is_multiple_of(self.config.policy_every_updates) {
            self.improve_policy(&all.observations, learning_rate)?;
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
        let means = self.means.take(&["train/actor_loss", "train/critic_loss"])?;
        check_losses(&means, &["train/critic_loss", "train/actor_loss"])?;
        metrics.extend(means);
        Ok(metrics)
    }

    fn updates(&self) -> u64 {
        self.updates
    }

    fn weights(&self) -> Result<StateDict<'static>, AgentError> {
        Ok(self.trained.parameters().state()?)
    }

    fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), AgentError> {
        self.trained.load_weights(weights)?;
        // Learning goes on from these weights, and its targets with them.
        Ok(self.target.copy_from(self.trained.parameters())?)
    }

    fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.nest("policy", self.trained.state()?);
        state.nest("target", self.target.state()?);
        state.nest("critics", self.critics.state()?);
        state.put_value("rng", &self.rng)?;
        state.put_value("means", &self.means.saved()?)?;
        state.put_value("updates", &self.updates)?;
        Ok(state)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.trained.load_state(&state.part("policy"))?;
        self.target.load_state(&state.part("target"))?;
        self.critics.load_state(&state.part("critics"))?;
        self.rng = state.value("rng")?;
        self.means = Means::from_saved(state.value("means")?);
        self.updates = state.value("updates")?;
        Ok(())
    }
}
