//! The steps that REINFORCE learns from: those of whole episodes that one policy played.

use pavlov_envs::End;
use pavlov_nn::{StateDict, StateView};

use crate::core::AgentError;
use crate::on_policy::observations::{ObservationList, StoredObservation};

/// The first episodes of each environment since the last update.
///
/// Each environment gives the same number of episodes. Taking whichever are over first would prefer short
/// ones, and short ones are bad (or good) ones. An environment that is done waits for the others: what it
/// plays meanwhile is not learned from, nor is what is left of an episode that an older policy began.
#[derive(Clone, Debug)]
pub struct Episodes {
    wanted: usize,
    widths: Widths,
    envs: Vec<Played>,
}

/// The numbers of each step.
#[derive(Clone, Copy, Debug)]
pub struct Widths {
    /// The numbers of an observation.
    pub numbers: usize,
    /// The bytes of an observation.
    pub bytes: usize,
    /// The choices of a mask.
    pub mask: usize,
    /// The numbers of a draw.
    pub draw: usize,
}

/// The steps of one environment since the last update.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Played {
    /// True if the present episode was begun by the present policy.
    fresh: bool,
    /// True if the next step is an episode's first.
    at_start: bool,
    episodes: usize,
    /// The observation of each step.
    pub observations: ObservationList,
    /// `[steps, mask]`
    pub masks: Vec<f32>,
    /// `[steps, draw]`
    pub draws: Vec<f32>,
    /// `[steps]`
    pub rewards: Vec<f32>,
    /// The end of each step's episode, if it ended with the step.
    pub ends: Vec<End>,
    /// The final observations of truncated episodes.
    pub finals: ObservationList,
}

/// One step of one environment.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The observation.
    pub observation: StoredObservation<'a>,
    /// The choices that made sense.
    pub mask: &'a [f32],
    /// The draw.
    pub draw: &'a [f32],
    /// The reward.
    pub reward: f32,
    /// The end of the episode, if it ended with the step.
    pub end: End,
}

impl Episodes {
    /// No episodes yet, of which `wanted` are wanted of each of `num_envs` environments.
    pub fn new(wanted: usize, num_envs: usize, widths: Widths) -> Self {
        let begun = Played { at_start: true, ..Played::default() };
        Self { wanted, widths, envs: vec![begun; num_envs] }
    }

    /// Takes in a step of environment `env`; where its episode is cut off, `push_final` stores its final
    /// observation.
    pub fn push(&mut self, env: usize, moment: Moment<'_>, push_final: impl FnOnce(&mut ObservationList)) {
        let played = &mut self.envs[env];
        played.fresh |= played.at_start;
        if played.fresh && played.episodes < self.wanted {
            played.observations.push_stored(moment.observation);
            played.masks.extend_from_slice(moment.mask);
            played.draws.extend_from_slice(moment.draw);
            played.rewards.push(moment.reward);
            played.ends.push(moment.end);
            if moment.end == End::Truncated {
                push_final(&mut played.finals);
            }
            played.episodes += usize::from(moment.end.is_over());
        }
        played.at_start = moment.end.is_over();
    }

    /// The episode of environment `env` is broken off; `push_final` stores the observation that it led to.
    pub fn cut(&mut self, env: usize, push_final: impl FnOnce(&mut ObservationList)) {
        let played = &mut self.envs[env];
        if let Some(end) = played.ends.last_mut().filter(|end| !end.is_over()) {
            *end = End::Truncated;
            push_final(&mut played.finals);
            played.episodes += 1;
        }
        played.at_start = true;
    }

    /// True if every environment has given its episodes.
    pub fn are_complete(&self) -> bool {
        self.envs.iter().all(|played| played.episodes == self.wanted)
    }

    /// The steps of each environment.
    pub fn each(&self) -> &[Played] {
        &self.envs
    }

    /// Forgets everything: the policy is another one now.
    pub fn clear(&mut self) {
        for played in &mut self.envs {
            *played = Played { at_start: played.at_start, ..Played::default() };
        }
    }

    /// Everything to continue from.
    ///
    /// # Errors
    /// [`AgentError`] when a value cannot be expressed.
    pub fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        for (env, played) in self.envs.iter().enumerate() {
            let mut own = StateDict::new();
            for (name, array) in [
                ("numbers", &played.observations.numbers),
                ("masks", &played.masks),
                ("draws", &played.draws),
                ("rewards", &played.rewards),
                ("final_numbers", &played.finals.numbers),
            ] {
                own.put_slice(name, &[array.len()], array);
            }
            for (name, list) in [("bytes", &played.observations), ("final_bytes", &played.finals)] {
                own.put_slice(name, &[list.bytes.len()], &list.bytes);
            }
            own.put_value("ends", &played.ends)?;
            own.put_value("progress", &(played.fresh, played.at_start, played.episodes))?;
            state.nest(&env.to_string(), own);
        }
        Ok(state)
    }

    /// Continues from a saved state.
    ///
    /// # Errors
    /// [`AgentError`] when it does not fit.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        for (env, played) in self.envs.iter_mut().enumerate() {
            let own = state.part(&env.to_string());
            let (fresh, at_start, episodes) = own.value("progress")?;
            let loaded = Played {
                fresh,
                at_start,
                episodes,
                observations: ObservationList { numbers: own.vec("numbers")?, bytes: own.vec("bytes")? },
                masks: own.vec("masks")?,
                draws: own.vec("draws")?,
                rewards: own.vec("rewards")?,
                ends: own.value("ends")?,
                finals: ObservationList {
                    numbers: own.vec("final_numbers")?,
                    bytes: own.vec("final_bytes")?,
                },
            };
            let (steps, Widths { numbers, bytes, mask, draw }) = (loaded.rewards.len(), self.widths);
            let fits = loaded.observations.numbers.len() == steps * numbers
                && loaded.observations.bytes.len() == steps * bytes
                && loaded.masks.len() == steps * mask
                && loaded.draws.len() == steps * draw
                && loaded.ends.len() == steps;
            if !fits {
                return Err(AgentError::State(
                    "the saved episodes do not fit the environment's spaces".into(),
                ));
            }
            *played = loaded;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(episodes: &mut Episodes, env: usize, reward: f32, end: End) {
        let observation = StoredObservation { numbers: &[reward], bytes: &[] };
        let moment = Moment { observation, mask: &[], draw: &[0.0], reward, end };
        episodes.push(env, moment, |finals| finals.numbers.push(-1.0));
    }

    #[test]
    fn every_environment_gives_as_many_whole_episodes_and_none_that_another_policy_began() {
        let widths = Widths { numbers: 1, bytes: 0, mask: 0, draw: 1 };
        let mut episodes = Episodes::new(1, 2, widths);
        step(&mut episodes, 0, 1.0, End::Terminated);
        step(&mut episodes, 1, 2.0, End::No);
        assert!(!episodes.are_complete());
        // The first environment is done: its second episode is not learned from.
        step(&mut episodes, 0, 3.0, End::No);
        step(&mut episodes, 1, 4.0, End::Truncated);
        assert!(episodes.are_complete());
        assert_eq!(episodes.each()[0].rewards, [1.0]);
        assert_eq!(episodes.each()[1].rewards, [2.0, 4.0]);
        assert_eq!(episodes.each()[1].finals.numbers, [-1.0]);

        episodes.clear();
        // The rest of an episode that was under way is not; what begins now is.
        step(&mut episodes, 0, 5.0, End::Terminated);
        step(&mut episodes, 0, 6.0, End::Terminated);
        step(&mut episodes, 1, 7.0, End::Terminated);
        assert!(episodes.are_complete());
        assert_eq!(episodes.each()[0].rewards, [6.0]);
        assert_eq!(episodes.each()[1].rewards, [7.0]);
    }
}
