//! An agent that learns from a replay, as a training loop drives it. What it does with a batch is its
//! learner's business.

use pavlov_common::SeededRng;
use pavlov_envs::{ActionBatch, ObsBatch};
use pavlov_group::Group;
use pavlov_nn::{Parameters, StateDict, StateView};

use super::explorer::OwnPolicy;
use super::{Explorer, OffPolicyHalves, OffPolicyLearner, OffPolicySetup, Pace, Store, UnitBox};
use crate::acting::Inference;
use crate::agent::{Agent, AgentContext, Halves};
use crate::core::{ActMode, AgentError, Experience, Metrics, Policy};
use crate::replay::Batch;

/// A learner with its explorer and its replay.
pub struct OffPolicyAgent<L> {
    learner: L,
    explorer: Box<dyn Explorer>,
    store: Store,
    batch: Batch,
    pace: Pace,
    setup: OffPolicySetup,
    /// Draws the actions.
    act_rng: SeededRng,
    group: Group,
    /// True once every shard has transitions to learn from.
    all_can_learn: bool,
}

impl<L: OffPolicyLearner> OffPolicyAgent<L> {
    /// An untrained agent around this learner. `bounds` are those of continuous actions.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn new(
        learner: L,
        setup: &OffPolicySetup,
        bounds: Option<UnitBox>,
        context: &AgentContext,
    ) -> Result<Self, AgentError> {
        let (own, all) = (context.num_envs, context.num_envs * context.group.shards());
        let explorer = learner.explorer()?.twin(context.group.shard() * own, all)?;
        let with = (learner.encoder().clone(), explorer.extras_width());
        let store = Store::new(setup, bounds, with, context)?;
        Ok(Self {
            explorer,
            batch: store.room(learner.updates_at_once())?,
            learner,
            store,
            pace: Pace::new(setup, context.total_env_steps),
            setup: setup.clone(),
            act_rng: SeededRng::seeded(context.shard_seed("act")),
            group: context.group.clone(),
            all_can_learn: false,
        })
    }

    /// True if every shard has transitions to learn from: each update is made by all of them.
    fn can_learn(&mut self) -> Result<bool, AgentError> {
        if !self.all_can_learn {
            let mut without = [f32::from(u8::from(self.store.replay().is_empty()))];
            self.group.sum(&mut without)?;
            self.all_can_learn = without[0] == 0.0;
        }
        Ok(self.all_can_learn)
    }

    fn policy_of(&self, weights: Parameters) -> Result<Box<dyn Policy>, AgentError> {
        let (explorer, env_steps) = (self.learner.explorer()?, self.pace.env_steps());
        Ok(Box::new(OwnPolicy { explorer, weights, env_steps }))
    }
}

impl<L: OffPolicyLearner> Agent for OffPolicyAgent<L> {
    fn act(&mut self, observations: &ObsBatch, actions: &mut ActionBatch) -> Result<(), AgentError> {
        let how = (ActMode::Explore, self.pace.env_steps());
        self.explorer.act(
            Inference::Own(self.learner.acting()),
            observations,
            how,
            &mut self.act_rng,
            actions,
        )
    }

    fn observe(&mut self, experience: Experience<'_>) -> Result<(), AgentError> {
        self.store.insert(0, experience, self.explorer.extras());
        self.explorer.observe(experience.step);
        self.pace.observe(self.group.of_all(experience.observations.rows()));
        Ok(())
    }

    fn cut(&mut self, led_to: &ObsBatch) {
        for env in 0..led_to.rows() {
            self.store.cut(env);
            self.explorer.forget(env);
        }
    }

    fn learn(&mut self) -> Result<u64, AgentError> {
        let (before, now) = self.pace.observed();
        self.learner.advance(before, now)?;
        let updates = self.pace.updates_due(before, now);
        let (progress, mut left) = (self.pace.progress(), updates as usize);
        // Several steps may pass before the first whole transition.
        while left > 0 && self.can_learn()? {
            let together = left.min(self.learner.updates_at_once());
            self.store.sample(together, progress, &mut self.batch)?;
            self.learner.update(&self.batch, progress)?;
            self.store.learned(&self.batch, self.learner.errors());
            left -= together;
        }
        Ok(updates - left as u64)
    }

    fn halves(&mut self) -> Option<Halves<'_>> {
        Some(Halves::OffPolicy(OffPolicyHalves {
            learner: &mut self.learner,
            explorer: self.explorer.as_ref(),
            store: &mut self.store,
            pace: &mut self.pace,
            setup: &self.setup,
        }))
    }

    fn policy(&self) -> Result<Box<dyn Policy>, AgentError> {
        self.policy_of(self.learner.acting().frozen_copy()?)
    }

    fn policy_with(&self, weights: &StateView<'_>) -> Result<Box<dyn Policy>, AgentError> {
        let mut copy = self.learner.acting().frozen_copy()?;
        copy.load_state(weights)?;
        self.policy_of(copy)
    }

    fn take_metrics(&mut self) -> Result<Metrics, AgentError> {
        let mut metrics = self.learner.take_metrics(self.pace.progress())?;
        metrics.extend(self.explorer.metrics(self.pace.env_steps()));
        metrics.insert("train/n_updates", self.learner.updates() as f64);
        metrics.insert("train/replay_size", self.store.replay().len() as f64);
        Ok(metrics)
    }

    fn updates(&self) -> u64 {
        self.learner.updates()
    }

    fn weights(&self) -> Result<StateDict<'static>, AgentError> {
        self.learner.weights()
    }

    fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), AgentError> {
        self.learner.load_weights(weights)
    }

    fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.nest("learner", self.learner.state()?);
        state.nest("explorer", self.explorer.state()?);
        state.nest("replay", self.store.state()?);
        state.nest("pace", self.pace.state()?);
        state.put_value("act_rng", &self.act_rng)?;
        Ok(state)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.learner.load_state(&state.part("learner"))?;
        self.explorer.load_state(&state.part("explorer"))?;
        self.store.load_state(&state.part("replay"))?;
        self.pace.load_state(&state.part("pace"))?;
        self.act_rng = state.value("act_rng")?;
        Ok(())
    }
}
