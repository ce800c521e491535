//! The acting half of agents that learn from rollouts.

use pavlov_agents::on_policy::{PolicySampler as ActorCriticActor, Rollout};
use pavlov_agents::{AgentError, Experience, Inference};
use pavlov_common::SeededRng;
use pavlov_envs::{ActionBatch, ObsBatch};
use pavlov_nn::{StateDict, StateView};

use crate::parallel::lane::Half;

/// A rollout of one lane.
pub(in crate::parallel) struct Recorded {
    pub rollout: Rollout,
    /// The updates that the weights had seen which acted in its first step.
    pub updates: u64,
}

/// An actor-critic's actor and the rollout that it fills.
pub(in crate::parallel) struct OnPolicyHalf {
    pub actor: ActorCriticActor,
    pub recorded: Option<Recorded>,
}

impl Half for OnPolicyHalf {
    type Parcel = Recorded;

    fn is_ready(&self) -> bool {
        self.recorded.is_some()
    }

    fn refill(&mut self, mut recorded: Recorded) {
        recorded.rollout.clear();
        self.actor.noise.iter_mut().for_each(|noise| noise.restart());
        self.recorded = Some(recorded);
    }

    fn act(
        &mut self,
        inference: Inference<'_>,
        observations: &ObsBatch,
        _env_steps: u64,
        rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        match &mut self.recorded {
            Some(recorded) => self.actor.act(&mut recorded.rollout, inference, observations, rng, actions),
            None => Err(AgentError::State("a lane acts without a rollout to fill".into())),
        }
    }

    fn observe(&mut self, experience: Experience<'_>, updates: u64) {
        let Some(recorded) = &mut self.recorded else { return };
        if recorded.rollout.env_steps() == 0 {
            recorded.updates = updates;
        }
        self.actor.observe(&mut recorded.rollout, experience);
    }

    fn cut(&mut self, led_to: &ObsBatch) {
        if let Some(recorded) = &mut self.recorded {
            self.actor.cut(&mut recorded.rollout, led_to);
        }
    }

    fn take(&mut self, _early: bool) -> Option<Recorded> {
        self.recorded.take_if(|recorded| recorded.rollout.is_full())
    }

    fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.nest("actor", self.actor.state()?);
        state.put_value("records", &self.recorded.is_some())?;
        if let Some(recorded) = &self.recorded {
            state.nest("rollout", recorded.rollout.state()?);
            state.put_value("updates", &recorded.updates)?;
        }
        Ok(state)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.actor.load_state(&state.part("actor"))?;
        if !state.value::<bool>("records")? {
            self.recorded = None;
        }
        if let Some(recorded) = &mut self.recorded {
            recorded.rollout.load_state(&state.part("rollout"))?;
            recorded.updates = state.value("updates")?;
        }
        Ok(())
    }
}
