//! The acting half of agents that learn from a replay.

use pavlov_agents::off_policy::Explorer;
use pavlov_agents::{ActMode, AgentError, Experience, Inference};
use pavlov_common::SeededRng;
use pavlov_envs::{ActionBatch, ObsBatch};
use pavlov_nn::{StateDict, StateView};

use super::segment::Segment;
use crate::parallel::lane::Half;

/// An explorer and the segment that it fills.
pub(in crate::parallel) struct OffPolicyHalf {
    pub explorer: Box<dyn Explorer>,
    pub segment: Option<Segment>,
    first_env: usize,
    /// True if the environments were replaced since the last step.
    anew: bool,
}

impl OffPolicyHalf {
    pub fn new(explorer: Box<dyn Explorer>, first_env: usize) -> Self {
        Self { explorer, segment: None, first_env, anew: false }
    }
}

impl Half for OffPolicyHalf {
    type Parcel = Segment;

    fn is_ready(&self) -> bool {
        self.segment.is_some()
    }

    fn refill(&mut self, mut segment: Segment) {
        segment.clear(self.first_env);
        self.segment = Some(segment);
    }

    fn act(
        &mut self,
        inference: Inference<'_>,
        observations: &ObsBatch,
        env_steps: u64,
        rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        self.explorer.act(inference, observations, (ActMode::Explore, env_steps), rng, actions)
    }

    fn observe(&mut self, experience: Experience<'_>, updates: u64) {
        if let Some(segment) = &mut self.segment {
            segment.record(experience, self.explorer.extras(), std::mem::take(&mut self.anew), updates);
        }
        self.explorer.observe(experience.step);
    }

    fn cut(&mut self, _led_to: &ObsBatch) {
        self.anew = true;
    }

    fn take(&mut self, early: bool) -> Option<Segment> {
        self.segment.take_if(|segment| segment.is_full() || (early && segment.steps() > 0))
    }

    fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.nest("explorer", self.explorer.state()?);
        state.put_value("anew", &self.anew)?;
        Ok(state)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.explorer.load_state(&state.part("explorer"))?;
        self.anew = state.value("anew")?;
        Ok(())
    }
}
