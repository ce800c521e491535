//! Segments: consecutive steps of a lane on their way to the replay.

use pavlov_agents::off_policy::Store;
use pavlov_agents::{AgentError, Experience};
use pavlov_envs::{ActionBatch, ObsBatch, StepBatch};

use crate::parallel::plan::Plan;

/// One step of a lane's environments.
#[derive(Debug)]
struct Record {
    observations: ObsBatch,
    actions: ActionBatch,
    step: StepBatch,
    /// The numbers that the explorer added to the actions.
    extras: Vec<f32>,
    /// True if the environments were replaced before this step.
    anew: bool,
}

/// Consecutive steps of a lane's environments.
#[derive(Debug)]
pub(in crate::parallel) struct Segment {
    records: Vec<Record>,
    filled: usize,
    first_env: usize,
    /// The updates that the weights had seen which acted in the first step.
    updates: u64,
}

impl Segment {
    /// An empty segment with room for so many steps of a lane.
    pub fn new(steps: usize, plan: &Plan) -> Result<Self, AgentError> {
        let num_envs = plan.envs_per_lane;
        let record = || -> Result<Record, AgentError> {
            Ok(Record {
                observations: ObsBatch::new(&plan.observation_space, num_envs),
                actions: ActionBatch::new(&plan.action_space, num_envs)?,
                step: StepBatch::new(&plan.observation_space, num_envs),
                extras: Vec::new(),
                anew: false,
            })
        };
        let records = (0..steps).map(|_| record()).collect::<Result<_, _>>()?;
        Ok(Self { records, filled: 0, first_env: 0, updates: 0 })
    }

    /// Empties the segment for a lane whose first environment is `first_env`.
    pub fn clear(&mut self, first_env: usize) {
        self.filled = 0;
        self.first_env = first_env;
    }

    /// The env steps in it: steps times environments.
    pub fn env_steps(&self) -> usize {
        self.records[..self.filled].iter().map(|record| record.observations.rows()).sum()
    }

    /// The steps in it.
    pub fn steps(&self) -> usize {
        self.filled
    }

    pub fn is_full(&self) -> bool {
        self.filled == self.records.len()
    }

    /// The updates that the weights had seen which acted in the first step.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Puts step `index` into the replay.
    pub fn insert(&self, index: usize, store: &mut Store) {
        let Record { observations, actions, step, extras, anew } = &self.records[index];
        if *anew {
            (0..observations.rows()).for_each(|row| store.cut(self.first_env + row));
        }
        store.insert(self.first_env, Experience { observations, actions, step }, extras);
    }

    /// Adds a step with what the explorer added to its actions, which come from weights that had seen so many
    /// updates. `anew` is true if the environments were replaced before it.
    pub fn record(&mut self, experience: Experience<'_>, extras: &[f32], anew: bool, updates: u64) {
        if self.filled == 0 {
            self.updates = updates;
        }
        let record = &mut self.records[self.filled];
        record.observations.copy_rows(0, experience.observations);
        for row in 0..experience.observations.rows() {
            // This cannot fail: the actions are of the space that the record was made for.
            let _ = record.actions.set_row(row, experience.actions.row(row));
        }
        record.step.copy_rows(0, experience.step);
        record.extras.clear();
        record.extras.extend_from_slice(extras);
        record.anew = anew;
        self.filled += 1;
    }
}
