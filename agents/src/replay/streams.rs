//! The running steps of each environment: those whose returns are not known yet.

use std::collections::VecDeque;

use pavlov_envs::End;
use pavlov_nn::{StateDict, StateView};
use serde::{Deserialize, Serialize};

use super::observations::{Observations, Places};
use crate::core::AgentError;

/// A step from which rewards are being added up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Start {
    /// Where the parts of its observation are.
    pub observation: Vec<u32>,
    pub choices: Vec<i64>,
    pub points: Vec<f32>,
    pub extras: Vec<f32>,
    /// `r_0 + gamma r_1 + ...` so far.
    pub rewards: f32,
    /// The power of gamma with which the next reward counts.
    pub discount: f32,
    /// The number of rewards.
    pub steps: usize,
}

/// One environment's steps on their way into the replay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Stream {
    /// True if an episode is under way.
    pub going_on: bool,
    /// The outcome of its last step.
    pub latest: Vec<u32>,
    /// The oldest first; at most as many as returns have steps.
    pub starts: VecDeque<Start>,
    /// Starts whose memory can be used again.
    #[serde(skip)]
    pub spare: Vec<Start>,
}

/// The outcome of a transition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome<'a> {
    /// Where the parts of the observation are that its value is asked of.
    pub next: &'a Places,
    /// The factor of that value, in units of gamma: `gamma ^ (steps - 1)`, or 0 where the world ended.
    pub continues: f32,
}

impl Stream {
    /// Adds a reward to all starts; gives those whose returns are then complete, the oldest first, to
    /// `finish`.
    pub fn advance(
        &mut self,
        (reward, end): (f32, End),
        (n_steps, discount): (usize, f32),
        next: &Places,
        mut finish: impl FnMut(&Start, Outcome<'_>),
    ) {
        for start in &mut self.starts {
            start.rewards += start.discount * reward;
            start.discount *= discount;
            start.steps += 1;
        }
        while let Some(oldest) = self.starts.front() {
            if oldest.steps < n_steps && !end.is_over() {
                break;
            }
            finish_start(oldest, end, discount, next, &mut finish);
            self.spare.extend(self.starts.pop_front());
        }
    }

    /// The episode is broken off here, for no reason of its own: what there is of returns is complete, and
    /// the value of what was seen last is asked for the rest.
    pub fn cut(&mut self, discount: f32, mut finish: impl FnMut(&Start, Outcome<'_>)) {
        self.going_on = false;
        for start in self.starts.drain(..) {
            finish_start(&start, End::Truncated, discount, &self.latest, &mut finish);
        }
    }

    pub fn load_state(
        state: &StateView<'_>,
        name: &str,
        observations: &mut Observations,
    ) -> Result<Self, AgentError> {
        let stream: Self = state.value(name)?;
        let width = observations.width();
        let latest = stream.going_on.then_some(&stream.latest);
        let all = latest.into_iter().chain(stream.starts.iter().map(|start| &start.observation));
        for places in all {
            if places.len() != width {
                return Err(AgentError::State("the replay's streams are of other observations".into()));
            }
            observations.adopt(places)?;
        }
        Ok(stream)
    }

    pub fn put_state(&self, state: &mut StateDict<'_>, name: &str) -> Result<(), AgentError> {
        Ok(state.put_value(name, self)?)
    }
}

fn finish_start(
    start: &Start,
    end: End,
    discount: f32,
    next: &Places,
    finish: &mut impl FnMut(&Start, Outcome<'_>),
) {
    let continues = match end {
        End::Terminated => 0.0,
        _ => discount.powi(start.steps as i32 - 1),
    };
    finish(start, Outcome { next, continues });
}
