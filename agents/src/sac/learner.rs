//! Soft actor-critic as an off-policy agent drives it: what both forms of it hold, and what is saved.

use pavlov_common::{SeededRng, derive_seed};
use pavlov_nn::{Activation, Layout, Parameters, StateDict, StateView, Trainable};

use super::{Continuous, Discrete, SacConfig, SoftPolicy, TrainedTemperature};
use crate::acting::{PolicyNetwork, RandomPolicy};
use crate::agent::AgentContext;
use crate::core::{AgentError, Means, Metrics};
use crate::networks::{Encoder, Network, NetworkContext};
use crate::off_policy::{Critics, CriticsSetup, Explorer, OffPolicyLearner, RandomFirst, UnitBox};
use crate::replay::Batch;

/// How an update goes, which depends on the actions.
#[derive(Debug)]
enum Form {
    Continuous(Continuous),
    Discrete(Discrete),
}

/// What networks the two forms need.
struct Shape {
    /// The numbers that parametrise the distribution.
    policy_outputs: usize,
    /// The numbers of an action that the critics see.
    action_inputs: usize,
    critic_outputs: usize,
    usual_target_entropy: f64,
}

/// Policy, critics and temperature, and how an update goes.
#[derive(Debug)]
pub struct Sac {
    parts: SacParts,
    form: Form,
}

/// Policy, critics, temperature, and what they are logged by.
#[derive(Debug)]
pub(super) struct SacParts {
    pub config: SacConfig,
    pub policy: SoftPolicy,
    /// What acts until the first update.
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
    ) -> Result<Self, AgentError> {
        let code = config.net.discrete_code();
        let encoder = Encoder::with_discrete(&context.observation_space, code);
        let seed = |purpose| SeededRng::seeded(derive_seed(context.seed, purpose, 0));
        let (mut rng, mut layout) = (seed("weights"), Layout::new());
        let networks = &context.networks;
        let mut with = NetworkContext { layout: &mut layout, encoder: &encoder, networks };
        let net =
            Network::new(&mut with, "policy.", shape.policy_outputs, Activation::Identity, &config.net)?;
        net.front().refuse_memory("sac")?;
        let parameters = Parameters::new(&layout, &mut rng, context.device)?;
        let critics = CriticsSetup {
            agent: "sac",
            count: config.critics,
            encoder: &encoder,
            action_inputs: shape.action_inputs,
            outputs: shape.critic_outputs,
            net: &config.net,
            optimizer: &config.optimizer,
            gradient_clip_norm: config.gradient_clip_norm,
            context,
        };
        let target_entropy = config.target_entropy.unwrap_or(shape.usual_target_entropy);
        let start = config.temperature_start;
        Ok(Self {
            critics: Critics::new(&critics, &mut rng)?,
            trained: Trainable::new(
                parameters,
                &config.optimizer,
                config.gradient_clip_norm,
                derive_seed(context.seed, "dropout", 0),
            )?,
            temperature: TrainedTemperature::new(
                config.temperature,
                start,
                target_entropy,
                &config.optimizer,
            )?,
            policy: SoftPolicy { network: PolicyNetwork::new(net, encoder)?, bounds },
            random: RandomPolicy::new(&context.observation_space, &context.action_space),
            rng: seed("learn"),
            updates: 0,
            means: Means::default(),
            config,
        })
    }
}

impl Sac {
    /// Soft actor-critic for continuous actions with these bounds.
    ///
    /// # Errors
    /// [`AgentError`] when a configuration makes no sense or memory runs out.
    pub fn continuous(
        config: SacConfig,
        bounds: UnitBox,
        context: &AgentContext,
    ) -> Result<Self, AgentError> {
        let width = bounds.width();
        let shape = Shape {
            policy_outputs: 2 * width,
            action_inputs: width,
            critic_outputs: 1,
            usual_target_entropy: -(width as f64),
        };
        let form = Form::Continuous(Continuous::new(config.batch_size, width)?);
        Ok(Self { parts: SacParts::new(config, &shape, Some(bounds), context)?, form })
    }

    /// Soft actor-critic for so many discrete actions.
    ///
    /// # Errors
    /// [`AgentError`] when a configuration makes no sense or memory runs out.
    pub fn discrete(config: SacConfig, actions: usize, context: &AgentContext) -> Result<Self, AgentError> {
        let shape = Shape {
            policy_outputs: actions,
            action_inputs: 0,
            critic_outputs: actions,
            // The share is the paper's.
            usual_target_entropy: 0.98 * (actions as f64).ln(),
        };
        let form = Form::Discrete(Discrete::new(config.batch_size, actions)?);
        Ok(Self { parts: SacParts::new(config, &shape, None, context)?, form })
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
        match &mut self.form {
            Form::Continuous(form) => form.update(parts, batch, learning_rate)?,
            Form::Discrete(form) => form.update(parts, batch, learning_rate)?,
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
            ("train/temperature", parts.temperature.value()),
        ]);
        metrics.extend(parts.means.take(&["train/actor_loss", "train/critic_loss", "train/entropy"]));
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
        state.put_value("means", &parts.means)?;
        state.put_value("updates", &parts.updates)?;
        Ok(state)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        let parts = &mut self.parts;
        parts.trained.load_state(&state.part("policy"))?;
        parts.critics.load_state(&state.part("critics"))?;
        parts.temperature.load_state(&state.part("temperature"))?;
        parts.rng = state.value("rng")?;
        parts.means = state.value("means")?;
        parts.updates = state.value("updates")?;
        Ok(())
    }
}
