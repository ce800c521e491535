//! An agent that learns from rollouts, as a training loop drives it. Its algorithm says how it learns from
//! one.

use pavlov_common::{SeededRng, derive_seed};
use pavlov_envs::{ActionBatch, ObsBatch};
use pavlov_group::Group;
use pavlov_nn::{Layout, OptimizerConfig, Parameters, StateDict, StateView};

use super::exploration::{ExplorationConfig, ExplorationNoise};
use super::{
    ActionHead, ActorCritic, ActorCriticLearner, PolicySampler, Rollout, RolloutLearner, StochasticPolicy,
};
use crate::acting::Inference;
use crate::agent::{Agent, AgentContext, Halves};
use crate::core::{AgentError, Experience, Metrics, Policy};
use crate::networks::{Encoder, NetConfig, NetworkContext};

/// An algorithm that makes a better policy of a rollout. Implementing this is all that a new on-policy agent
/// needs.
pub trait RolloutAlgorithm: Send {
    /// Improves the weights by a full rollout and says how many updates that took. `progress` is the share of
    /// the training's env steps that were done when the rollout began.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the loss is no longer finite.
    fn update(
        &mut self,
        trained: &mut ActorCriticLearner,
        rollout: (&PolicySampler, &mut Rollout),
        rng: &mut SeededRng,
        progress: f64,
    ) -> Result<u64, AgentError>;

    /// The present values of the schedules, to log beside the means.
    fn schedules(&self, progress: f64) -> Metrics;

    /// The tags of the means that [`RolloutAlgorithm::update`] adds to.
    fn tags(&self) -> &'static [&'static str];

    /// The rows of a minibatch, of an algorithm that learns from a rollout in parts: a memory's sequences are
    /// no longer, if the configuration leaves their length open.
    fn minibatch_size(&self) -> Option<usize> {
        None
    }
}

/// Steps of the sequences that a memory learns from. Left open (0), they are as long as the rollout and the
/// minibatch allow, and divide the rollout: whole rollouts in small minibatches would be one sequence each, and
/// a fraction of the updates that the minibatch's size asks for.
pub(crate) fn sequence_length(net: &NetConfig, rollout_steps: usize, minibatch_size: Option<usize>) -> usize {
    match (net.sequence_length, minibatch_size) {
        (0, Some(most)) => {
            let lengths = (1..=rollout_steps.min(most)).rev();
            lengths.into_iter().find(|length| rollout_steps.is_multiple_of(*length)).unwrap_or(1)
        }
        (length, _) => length,
    }
}

impl<A: RolloutAlgorithm> RolloutLearner for OnPolicyAgent<A> {
    fn acting_half(&self, num_envs: usize) -> Result<(PolicySampler, Rollout), AgentError> {
        let sampler = self.sampler.fresh();
        Ok((sampler, self.rollout.of_envs(num_envs)?))
    }

    fn acting(&self) -> &Parameters {
        self.trained.parameters()
    }

    fn rollout_steps(&self) -> usize {
        self.rollout.rows() / self.rollout.num_envs()
    }

    fn join(&mut self, first: usize, rollout: &Rollout) -> Result<(), AgentError> {
        if self.rollout.join(first, rollout)? {
            self.env_steps += self.rollout.env_steps() * self.group.shards() as u64;
        }
        Ok(())
    }

    fn learn(&mut self) -> Result<u64, AgentError> {
        Agent::learn(self)
    }

    fn updates(&self) -> u64 {
        Agent::updates(self)
    }

    fn take_metrics(&mut self) -> Result<Metrics, AgentError> {
        Agent::take_metrics(self)
    }
}

/// The parts and settings of an on-policy agent.
#[derive(Clone, Debug)]
pub struct OnPolicySetup<'a> {
    /// The networks.
    pub net: &'a NetConfig,
    /// The exploration of continuous actions.
    pub exploration: &'a ExplorationConfig,
    /// The optimiser.
    pub optimizer: &'a OptimizerConfig,
    /// The largest norm of an update's gradient.
    pub gradient_clip_norm: Option<f64>,
    /// Steps of each environment in a rollout.
    pub rollout_steps: usize,
}

/// An actor-critic that acts for a rollout, then lets its algorithm learn from it.
#[derive(Debug)]
pub struct OnPolicyAgent<A> {
    algorithm: A,
    sampler: PolicySampler,
    trained: ActorCriticLearner,
    rollout: Rollout,
    total_env_steps: u64,
    env_steps: u64,
    /// Draws the actions.
    act_rng: SeededRng,
    /// Draws the minibatches.
    sample_rng: SeededRng,
    group: Group,
}

impl<A: RolloutAlgorithm> OnPolicyAgent<A> {
    /// An untrained agent.
    ///
    /// # Errors
    /// [`AgentError::Unsupported`] when there is no distribution for such actions.
    pub fn new(algorithm: A, setup: &OnPolicySetup<'_>, context: &AgentContext) -> Result<Self, AgentError> {
        let (sampler, parameters) = sampler_of(setup.net, setup.exploration, context)?;
        let seed = |purpose| SeededRng::seeded(context.shard_seed(purpose));
        let length = sequence_length(setup.net, setup.rollout_steps, algorithm.minibatch_size());
        Ok(Self {
            rollout: sampler.rollout(setup.rollout_steps, context.num_envs, length, context.device)?,
            trained: ActorCriticLearner::new(
                parameters,
                setup.optimizer,
                setup.gradient_clip_norm,
                context.shard_seed("dropout"),
            )?
            .in_group(&context.group),
            algorithm,
            sampler,
            total_env_steps: context.total_env_steps,
            env_steps: 0,
            act_rng: seed("act"),
            sample_rng: seed("sample"),
            group: context.group.clone(),
        })
    }

    /// The share of training that was done when the present rollout began: the first rollout's updates have
    /// the schedules' first values, and the last one's are not wasted on a learning rate of 0.
    fn progress(&self) -> f64 {
        let rollout = self.rollout.env_steps() * self.group.shards() as u64;
        let begun = self.env_steps.saturating_sub(rollout);
        (begun as f64 / self.total_env_steps.max(1) as f64).min(1.0)
    }
}

/// An untrained actor-critic for such environments, and its weights.
///
/// # Errors
/// [`AgentError::Unsupported`] when there is no distribution for such actions.
pub fn sampler_of(
    config: &NetConfig,
    exploration: &ExplorationConfig,
    context: &AgentContext,
) -> Result<(PolicySampler, Parameters), AgentError> {
    let encoder = Encoder::for_networks(&context.observation_space, config)?;
    let head = ActionHead::new(&context.action_space, &encoder)?;
    let mut layout = Layout::new();
    let networks = &context.networks;
    let mut with = NetworkContext { layout: &mut layout, encoder: &encoder, networks };
    let net = ActorCritic::new(&mut with, &head, config, exploration)?;
    let mut rng = SeededRng::seeded(derive_seed(context.seed, "weights", 0));
    let parameters = Parameters::new(&layout, &mut rng, context.device)?;
    let mut sampler = PolicySampler::new(net, encoder, head);
    let depends = exploration.state_dependent;
    sampler.noise = depends.then(|| ExplorationNoise::new(exploration.resample_steps));
    Ok((sampler, parameters))
}

impl<A: RolloutAlgorithm> Agent for OnPolicyAgent<A> {
    fn act(&mut self, observations: &ObsBatch, actions: &mut ActionBatch) -> Result<(), AgentError> {
        let weights = self.trained.parameters();
        let rng = &mut self.act_rng;
        self.sampler.act(&mut self.rollout, Inference::Own(weights), observations, rng, actions)
    }

    fn observe(&mut self, experience: Experience<'_>) -> Result<(), AgentError> {
        self.sampler.observe(&mut self.rollout, experience);
        self.env_steps += self.group.of_all(experience.observations.rows());
        Ok(())
    }

    fn cut(&mut self, led_to: &ObsBatch) {
        self.sampler.cut(&mut self.rollout, led_to);
    }

    fn learn(&mut self) -> Result<u64, AgentError> {
        if !self.rollout.is_full() {
            return Ok(0);
        }
        let progress = self.progress();
        let rollout = (&self.sampler, &mut self.rollout);
        let updates = self.algorithm.update(&mut self.trained, rollout, &mut self.sample_rng, progress)?;
        self.rollout.clear();
        self.sampler.noise.iter_mut().for_each(ExplorationNoise::restart);
        Ok(updates)
    }

    fn halves(&mut self) -> Option<Halves<'_>> {
        Some(Halves::OnPolicy(self))
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
        let mut metrics = self.algorithm.schedules(self.progress());
        metrics.extend(self.trained.take_metrics(&self.sampler, self.algorithm.tags())?);
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
        state.nest("rollout", self.rollout.state()?);
        state.put_value("env_steps", &self.env_steps)?;
        state.nest("actor", self.sampler.state()?);
        state.put_value("act_rng", &self.act_rng)?;
        state.put_value("sample_rng", &self.sample_rng)?;
        Ok(state)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.trained.load_state(&state.part("trained"))?;
        self.rollout.load_state(&state.part("rollout"))?;
        self.env_steps = state.value("env_steps")?;
        self.sampler.load_state(&state.part("actor"))?;
        self.act_rng = state.value("act_rng")?;
        self.sample_rng = state.value("sample_rng")?;
        Ok(())
    }
}
