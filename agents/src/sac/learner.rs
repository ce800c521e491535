//! Soft actor-critic as an off-policy agent drives it: its parts, and their saved state.

use pavlov_common::{SeededRng, derive_seed};
use pavlov_nn::{Activation, Layout, Parameters, StateDict, StateView, Trainable};
use tch::Device;

use super::{Continuous, Discrete, SacConfig, SoftPolicy, TrainedTemperature};
use crate::acting::{PolicyNetwork, RandomPolicy};
use crate::agent::AgentContext;
use crate::core::{AgentError, LossForm, Means, Metrics};
use crate::networks::{Encoder, Network, NetworkContext};
use crate::off_policy::{Critics, CriticsSetup, Explorer, OffPolicyLearner, RandomFirst, UnitBox};
use crate::replay::Batch;
use pavlov_nn::means::check_losses;

/// The update, by the kind of the actions.
#[derive(Debug)]
enum Update {
    Continuous(Continuous),
    Discrete(Discrete),
}

/// The sizes of the networks, by the kind of the actions.
struct Shape {
    /// The numbers that parametrise the distribution.
    policy_outputs: usize,
    /// The numbers of an action that the critics see.
    action_inputs: usize,
    critic_outputs: usize,
    usual_target_entropy: f64,
}

/// Policy, critics and temperature, and their update.
#[derive(Debug)]
pub struct Sac {
    parts: SacParts,
    update: Update,
}

/// Policy, critics, temperature, and the means to log.
#[derive(Debug)]
pub(super) struct SacParts {
    pub config: SacConfig,
    pub policy: SoftPolicy,
    /// The policy until the first update.
    pub random: RandomPolicy,
    pub trained: Trainable,
    pub critics: Critics,
    pub temperature: TrainedTemperature,
    /// Draws the actions that updates ask about.
    pub rng: SeededRng,
    pub updates: u64,
    pub means: Means,
}

impl SacParts {
    fn new(
        config: SacConfig,
        shape: &Shape,
        bounds: Option<UnitBox>,
        context: &AgentContext,
        form: LossForm,
    ) -> Result<Self, AgentError> {
        let encoder = Encoder::for_networks(&context.observation_space, &config.net)?;
        let mut rng = SeededRng::seeded(derive_seed(context.seed, "weights", 0));
        let mut layout = Layout::new();
        let networks = &context.networks;
        let mut with = NetworkContext { layout: &mut layout, encoder: &encoder, networks };
        let net =
            Network::new(&mut with, "policy.", shape.policy_outputs, Activation::Identity, &config.net)?;
        net.front().refuse_memory()?;
        let parameters = Parameters::new(&layout, &mut rng, context.device)?;
        let critics = CriticsSetup {
            count: config.critics,
            encoder: &encoder,
            action_inputs: shape.action_inputs,
            outputs: shape.critic_outputs,
            net: &config.net,
            optimizer: &config.optimizer,
            gradient_clip_norm: config.gradient_clip_norm,
            prioritized: config.replay.priority_exponent.is_some(),
            context,
        };
        // The temperature is one number: it lives where the losses are computed.
        let temperature_device = if form == LossForm::Rows { Device::Cpu } else { context.device };
        let target_entropy = config.target_entropy.unwrap_or(shape.usual_target_entropy);
        let start = config.temperature_start;
        let critics = Critics::new(&critics, &mut rng)?;
        config.optimizer.check_names(&[&layout, critics.parameters().layout()])?;
        Ok(Self {
            critics,
            trained: Trainable::new(
                parameters,
                &config.optimizer.for_network(&layout),
                config.gradient_clip_norm,
                context.shard_seed("dropout"),
            )?
            .in_group(&context.group),
            temperature: TrainedTemperature::new(
                config.temperature,
                start,
                target_entropy,
                // Groups name parameters of networks, which the temperature has none of.
                &config.optimizer.clone().without_groups(),
                temperature_device,
            )?
            .in_group(&context.group),
            policy: SoftPolicy { network: PolicyNetwork::new(net, encoder)?, bounds },
            random: RandomPolicy::new(&context.observation_space, &context.action_space),
            rng: SeededRng::seeded(context.shard_seed("learn")),
            updates: 0,
            means: Means::default(),
            config,
        })
    }
}

impl Sac {
    /// Soft actor-critic for continuous actions with these bounds, its losses in this form.
    ///
    /// # Errors
    /// [`AgentError`] when a configuration makes no sense or memory runs out.
    pub fn continuous(
        config: SacConfig,
        bounds: UnitBox,
        context: &AgentContext,
        form: LossForm,
    ) -> Result<Self, AgentError> {
        let width = bounds.width();
        let shape = Shape {
            policy_outputs: 2 * width,
            action_inputs: width,
            critic_outputs: 1,
            usual_target_entropy: -(width as f64),
        };
        let update = Update::Continuous(Continuous::new(config.batch_size, width, form)?);
        Ok(Self { parts: SacParts::new(config, &shape, Some(bounds), context, form)?, update })
    }

    /// Soft actor-critic for so many discrete actions, its losses in this form.
    ///
    /// # Errors
    /// [`AgentError`] when a configuration makes no sense or memory runs out.
    pub fn discrete(
        config: SacConfig,
        actions: usize,
        context: &AgentContext,
        form: LossForm,
    ) -> Result<Self, AgentError> {
        let largest = (actions as f64).ln();
        if let Some(target) = config.target_entropy.filter(|target| *target > largest) {
            return Err(AgentError::Config(format!(
                "target_entropy is {target}, and the largest entropy of {actions} actions is {largest:.4}: give less, or \
                 \"off\""
            )));
        }
        let shape = Shape {
            policy_outputs: actions,
            action_inputs: 0,
            critic_outputs: actions,
            // The share is the paper's.
            usual_target_entropy: 0.98 * (actions as f64).ln(),
        };
        let update = Update::Discrete(Discrete::new(config.batch_size, actions, form)?);
        Ok(Self { parts: SacParts::new(config, &shape, None, context, form)?, update })
    }
}

impl OffPolicyLearner for Sac {
    fn explorer(&self) -> Result<Box<dyn Explorer>, AgentError> {
        Ok(Box::new(RandomFirst::new(
            Box::new(self.parts.policy.twin()?),
            self.parts.random.clone(),
            self.parts.config.warmup_env_steps,
        )))
    }

    fn encoder(&self) -> &Encoder {
        &self.parts.policy.network.encoder
    }

    fn acting(&self) -> &Parameters {
        self.parts.trained.parameters()
    }

    fn update(&mut self, batch: &Batch, progress: f64) -> Result<(), AgentError> {
        let parts = &mut self.parts;
        let learning_rate = parts.config.learning_rate.value(progress);
        match &mut self.update {
            Update::Continuous(update) => update.update(parts, batch, learning_rate)?,
            Update::Discrete(update) => update.update(parts, batch, learning_rate)?,
        }
        parts.updates += 1;
        match parts.updates.is_multiple_of(parts.config.target_update_every_updates) {
            true => parts.critics.update_target(parts.config.target_update_tau),
            false => Ok(()),
        }
    }

    fn errors(&self) -> &[f32] {
        self.parts.critics.errors()
    }

    fn take_metrics(&mut self, progress: f64) -> Result<Metrics, AgentError> {
        let parts = &mut self.parts;
        let mut metrics = Metrics::from([
            ("train/learning_rate", parts.config.learning_rate.value(progress)),
            ("train/temperature", parts.temperature.value()?),
        ]);
        let means = parts.means.take(&["train/actor_loss", "train/critic_loss", "train/entropy"])?;
        check_losses(&means, &["train/critic_loss", "train/actor_loss"])?;
        metrics.extend(means);
        Ok(metrics)
    }

    fn updates(&self) -> u64 {
        self.parts.updates
    }

    fn weights(&self) -> Result<StateDict<'static>, AgentError> {
        Ok(self.parts.trained.parameters().state()?)
    }

    fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), AgentError> {
        Ok(self.parts.trained.load_weights(weights)?)
    }

    fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let parts = &self.parts;
        let mut state = StateDict::new();
        state.nest("policy", parts.trained.state()?);
        state.nest("critics", parts.critics.state()?);
        state.nest("temperature", parts.temperature.state()?);
        state.put_value("rng", &parts.rng)?;
        state.put_value("means", &parts.means.saved()?)?;
        state.put_value("updates", &parts.updates)?;
        Ok(state)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        let parts = &mut self.parts;
        parts.trained.load_state(&state.part("policy"))?;
        parts.critics.load_state(&state.part("critics"))?;
        parts.temperature.load_state(&state.part("temperature"))?;
        parts.rng = state.value("rng")?;
        parts.means = Means::from_saved(state.value("means")?);
        parts.updates = state.value("updates")?;
        Ok(())
    }
}
