//! How agents that learn from a replay act, and what they hand over.

use pavlov_agents::off_policy::{Explorer, Store};
use pavlov_agents::{ActMode, AgentError, Experience, Inference};
use pavlov_common::SeededRng;
use pavlov_envs::{ActionBatch, ObsBatch, Space, StepBatch};
use pavlov_nn::{StateDict, StateView};

use crate::parallel::lane::Half;

/// One step of some environments.
#[derive(Debug)]
struct Record {
    observations: ObsBatch,
    actions: ActionBatch,
    step: StepBatch,
    /// Whether the environments are not those of the step before.
    anew: bool,
}

/// Some steps of some environments, one after the other.
#[derive(Debug)]
pub(in crate::parallel) struct Segment {
    records: Vec<Record>,
    filled: usize,
    pub first_env: usize,
    /// How many updates the weights that acted first had seen.
    updates: u64,
}

impl Segment {
    pub fn new(
        steps: usize,
        num_envs: usize,
        observations: &Space,
        actions: &Space,
    ) -> Result<Self, AgentError> {
        let record = || -> Result<Record, AgentError> {
            Ok(Record {
                observations: ObsBatch::new(observations, num_envs),
                actions: ActionBatch::new(actions, num_envs)?,
                step: StepBatch::new(observations, num_envs),
                anew: false,
            })
        };
        let records = (0..steps).map(|_| record()).collect::<Result<_, _>>()?;
        Ok(Self { records, filled: 0, first_env: 0, updates: 0 })
    }

    /// The env steps in it.
    pub fn rows(&self) -> usize {
        self.records[..self.filled].iter().map(|record| record.observations.rows()).sum()
    }

    pub fn steps(&self) -> usize {
        self.filled
    }

    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Puts step `index` into the replay.
    pub fn insert(&self, index: usize, store: &mut Store) {
        let Record { observations, actions, step, anew } = &self.records[index];
        if *anew {
            (0..observations.rows()).for_each(|row| store.cut(self.first_env + row));
        }
        store.insert(self.first_env, Experience { observations, actions, step });
    }

    fn record(&mut self, experience: Experience<'_>, anew: bool) {
        let record = &mut self.records[self.filled];
        record.observations.copy_rows(0, experience.observations);
        for row in 0..experience.observations.rows() {
            // Of the same space as those that it was made for.
            let _ = record.actions.set_row(row, experience.actions.row(row));
        }
        record.step.copy_rows(0, experience.step);
        record.anew = anew;
        self.filled += 1;
    }
}

/// How agents that learn from a replay act.
pub(in crate::parallel) struct OffPolicyHalf {
    pub explorer: Box<dyn Explorer>,
    pub segment: Option<Segment>,
    first_env: usize,
    /// Whether the environments are new since the last step.
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
        segment.filled = 0;
        segment.first_env = self.first_env;
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
        self.explorer.observe(experience.step);
        let Some(segment) = &mut self.segment else { return };
        if segment.filled == 0 {
            segment.updates = updates;
        }
        segment.record(experience, std::mem::take(&mut self.anew));
    }

    fn cut(&mut self, _led_to: &ObsBatch) {
        self.anew = true;
    }

    fn take(&mut self, early: bool) -> Option<Segment> {
        let due =
            |segment: &&mut Segment| segment.filled == segment.records.len() || (early && segment.filled > 0);
        self.segment.as_mut().filter(due)?;
        self.segment.take()
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
