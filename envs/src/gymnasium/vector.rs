//! Many environments of Gymnasium, in workers that step them at the same time.

use std::ops::Range;

use super::keeper::{Fate, Keeper};
use super::settings::{Settings, WorkerAutoreset};
use super::worker::Worker;
use crate::checks::{Checker, Warnings, in_step};
use crate::vector::{Buffers, check_count, named};
use crate::{
    ActionBatch, Autoreset, End, EnvError, EnvState, ObsBatch, Space, StepBatch, VectorEnv, VectorOptions,
    derive_seed,
};

/// Environments of Gymnasium in Python processes that step them at the same time. Made by
/// [`EnvSpec::make_vector`](crate::EnvSpec::make_vector), for an id that begins with `gym:`.
///
/// When a process dies, the running episodes of its environments end as truncated, with the last observations
/// that there were, and another process takes its place.
pub struct GymVectorEnv {
    crews: Vec<Crew>,
    buffers: Buffers,
    autoreset: Autoreset,
    /// True if every environment stands where a step can go on from.
    ready: bool,
}

/// A worker and its environments.
struct Crew {
    keeper: Keeper,
    checker: Checker,
    rows: Range<usize>,
    /// Steps of each environment's episode so far.
    steps: Vec<u64>,
    /// True if the whole crew is reset in place of a step, since its worker has died.
    resetting: bool,
    /// True for the environments that the next step resets, since their episodes are over. Next-step
    /// autoreset only.
    due: Vec<bool>,
}

impl GymVectorEnv {
    pub(super) fn new(settings: Settings, options: &VectorOptions) -> Result<Self, EnvError> {
        let VectorOptions { num_envs, threads, autoreset } = *options;
        check_count(num_envs)?;
        let mut first = 0;
        let crews = launch(&settings, num_envs, threads, autoreset.into())?.into_iter().map(|keeper| {
            let rows = first..first + keeper.count();
            first = rows.end;
            let (due, steps) = (vec![false; rows.len()], vec![0; rows.len()]);
            let checker = Checker::new(&keeper.spaces.observations, &keeper.spaces.actions)?;
            Ok(Crew { keeper, checker, rows, steps, resetting: false, due })
        });
        let crews = crews.collect::<Result<Vec<_>, EnvError>>()?;
        let buffers = Buffers::new(&crews[0].keeper.spaces.observations, num_envs);
        Ok(Self { crews, buffers, autoreset, ready: false })
    }

    /// The number of times that a Python process has died or hung and was replaced.
    pub fn deaths(&self) -> u64 {
        self.crews.iter().map(|crew| crew.keeper.deaths()).sum()
    }

    /// Lets every crew begin, then every crew finish, also after an error of one of them, so that no answer
    /// is left behind.
    fn together(
        &mut self,
        mut begin: impl FnMut(&mut Crew) -> Result<(), EnvError>,
        mut finish: impl FnMut(&mut Crew) -> Result<(), EnvError>,
    ) -> Result<(), EnvError> {
        self.ready = false;
        let mut outcome = Ok(());
        for crew in &mut self.crews {
            outcome = outcome.and(begin(crew));
        }
        for crew in &mut self.crews {
            outcome = outcome.and(finish(crew));
        }
        outcome?;
        self.ready = true;
        Ok(())
    }
}

/// The keepers of workers that have made `num_envs` environments together.
pub(super) fn launch(
    settings: &Settings,
    num_envs: usize,
    threads: usize,
    autoreset: WorkerAutoreset,
) -> Result<Vec<Keeper>, EnvError> {
    // All processes start before the first is waited for, since imports take time.
    let launched = settings.shares(num_envs, threads).into_iter().map(|count| {
        let settings = settings.share(count, threads, autoreset);
        Worker::launch(&settings).map(|worker| (settings, worker))
    });
    let launched = launched.collect::<Result<Vec<_>, _>>()?;
    let mut first = 0;
    let keepers = launched.into_iter().map(|(settings, worker)| {
        let own = first;
        first += settings.request.count;
        // Rows side by side have numbers of another kind, which their errors carry.
        let is_vector = autoreset != WorkerAutoreset::None;
        Keeper::new(settings, worker, is_vector.then_some(own))
    });
    let keepers = keepers.collect::<Result<Vec<_>, EnvError>>()?;
    if keepers.iter().any(|keeper| keeper.spaces != keepers[0].spaces) {
        let message = "the environments of a vector environment need the same spaces";
        return Err(EnvError::Contract(message.into()));
    }
    Ok(keepers)
}

impl Drop for GymVectorEnv {
    fn drop(&mut self) {
        // All close their environments at the same time; each is then waited for.
        self.crews.iter().for_each(|crew| crew.keeper.hang_up());
    }
}

impl VectorEnv for GymVectorEnv {
    fn num_envs(&self) -> usize {
        self.buffers.rows
    }

    fn observation_space(&self) -> &Space {
        &self.crews[0].keeper.spaces.observations
    }

    fn action_space(&self) -> &Space {
        &self.crews[0].keeper.spaces.actions
    }

    fn reset(&mut self, seed: Option<u64>, observations: &mut ObsBatch) -> Result<(), EnvError> {
        self.buffers.check_observations(observations)?;
        self.together(
            |crew| {
                let seeds =
                    crew.rows.clone().map(|row| seed.map(|seed| derive_seed(seed, "env", row as u64)));
                crew.resetting = false;
                crew.due.fill(false);
                crew.keeper.begin_reset(seeds)
            },
            |crew| {
                crew.keeper.finish_reset()?;
                crew.read_first_observations(observations)
            },
        )
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<(), EnvError> {
        if !self.ready {
            return Err(EnvError::NeedsReset);
        }
        self.buffers.check_step(actions, out)?;
        self.crews.iter().try_for_each(|crew| crew.accept(actions))?;
        let autoreset = self.autoreset;
        self.together(|crew| crew.begin_step(actions), |crew| crew.finish_step(autoreset, out))
    }

    fn watch(&mut self, warnings: &Warnings) {
        self.crews.iter_mut().for_each(|crew| crew.checker.watch(warnings));
    }

    fn save_state(&self) -> Option<EnvState> {
        None
    }

    fn load_state(&mut self, _state: &EnvState) -> Result<(), EnvError> {
        Err(EnvError::State("a world in Python does not support saving and loading its state".into()))
    }
}

impl Crew {
    /// Refuses actions that no environment takes, except those that a reset ignores.
    fn accept(&self, actions: &ActionBatch) -> Result<(), EnvError> {
        let space = &self.keeper.spaces.actions;
        let mut taken = self.rows.clone().zip(&self.due).filter(|(_, due)| !**due);
        taken.try_for_each(|(row, _)| space.accept(actions.row(row)))
    }

    fn begin_step(&mut self, actions: &ActionBatch) -> Result<(), EnvError> {
        self.resetting = !self.keeper.is_alive();
        if self.resetting {
            return self.keeper.begin_reset(std::iter::repeat_n(None, self.rows.len()));
        }
        let part = |width: usize| self.rows.start * width..self.rows.end * width;
        let bytes: &[u8] = match actions {
            ActionBatch::Discrete(choices) => bytemuck::cast_slice(&choices[part(1)]),
            ActionBatch::MultiDiscrete { choices, width } => bytemuck::cast_slice(&choices[part(*width)]),
            ActionBatch::Box { points, width } => bytemuck::cast_slice(&points[part(*width)]),
        };
        self.keeper.begin_step(bytes);
        Ok(())
    }

    fn finish_step(&mut self, autoreset: Autoreset, out: &mut StepBatch) -> Result<(), EnvError> {
        if self.resetting {
            self.keeper.finish_reset()?;
            self.resetting = false;
            self.due.fill(false);
            self.fill(out, End::No, true);
            return self.read_first_observations(&mut out.observations);
        }
        match self.keeper.finish()? {
            Fate::Answered => self.read_step(autoreset, out),
            Fate::Died => self.cut_off(autoreset, out),
        }
    }

    fn read_step(&mut self, autoreset: Autoreset, out: &mut StepBatch) -> Result<(), EnvError> {
        self.keeper.stepped();
        self.read_observations(&mut out.observations)?;
        for (index, row) in self.rows.clone().enumerate() {
            let (step, reset) = self.keeper.outcome(index);
            self.steps[index] = if reset { 0 } else { self.steps[index] + 1 };
            let at = self.steps[index];
            self.checker.check_rewards(&step).map_err(|error| at_row(row, at, error))?;
            (out.rewards[row], out.raw_rewards[row]) = (step.reward, step.raw_reward);
            (out.ends[row], out.raw_ends[row], out.resets[row]) = (step.end, step.raw_end, reset);
            if reset {
                out.infos.clear_row(row);
            } else {
                out.infos.record(row, |visit| self.keeper.visit_infos(index, visit));
            }
            self.due[index] = step.raw_end.is_over() && autoreset == Autoreset::NextStep;
            if step.end.is_over() {
                self.keeper.read_final_observation(index, out.final_observations.row_mut(row))?;
                let checked = self.checker.check(out.final_observations.row(row), true);
                checked.map_err(|error| at_row(row, at, error))?;
                self.steps[index] = 0;
            }
            // Under same-step autoreset the observation is the next episode's first.
            let last = step.end.is_over() && autoreset == Autoreset::NextStep;
            let checked = self.checker.check(out.observations.row(row), last);
            checked.map_err(|error| at_row(row, self.steps[index], error))?;
        }
        Ok(())
    }

    /// Truncates every episode that died with the worker, after its last observation.
    fn cut_off(&mut self, autoreset: Autoreset, out: &mut StepBatch) -> Result<(), EnvError> {
        self.fill(out, End::Truncated, false);
        for (index, row) in self.rows.clone().enumerate() {
            self.keeper.read_final_observation(index, out.final_observations.row_mut(row))?;
            if self.due[index] {
                // The worker died between two episodes: none ended, and the next call resets the environment.
                (out.ends[row], out.raw_ends[row], out.resets[row]) = (End::No, End::No, true);
            }
        }
        if autoreset == Autoreset::SameStep {
            self.keeper.begin_reset(std::iter::repeat_n(None, self.rows.len()))?;
            self.keeper.finish_reset()?;
        }
        self.read_first_observations(&mut out.observations)
    }

    fn fill(&self, out: &mut StepBatch, end: End, reset: bool) {
        out.rewards[self.rows.clone()].fill(0.0);
        out.raw_rewards[self.rows.clone()].fill(0.0);
        out.ends[self.rows.clone()].fill(end);
        out.raw_ends[self.rows.clone()].fill(end);
        out.resets[self.rows.clone()].fill(reset);
        self.rows.clone().for_each(|row| out.infos.clear_row(row));
    }

    /// Reads and checks the first observations of episodes.
    fn read_first_observations(&mut self, observations: &mut ObsBatch) -> Result<(), EnvError> {
        self.read_observations(observations)?;
        self.steps.fill(0);
        let Self { checker, rows, .. } = self;
        rows.clone().try_for_each(|row| {
            checker.check(observations.row(row), false).map_err(|error| at_row(row, 0, error))
        })
    }

    fn read_observations(&self, observations: &mut ObsBatch) -> Result<(), EnvError> {
        let (floats, bytes) = (observations.layout().floats, observations.layout().bytes);
        let part = |width: usize| self.rows.start * width..self.rows.end * width;
        // The two kinds are read one after the other, since both halves of the batch cannot be borrowed at
        // once.
        self.keeper.read_observations(0, &mut observations.floats_mut()[part(floats)], &mut [])?;
        self.keeper.read_observations(0, &mut [], &mut observations.bytes_mut()[part(bytes)])
    }
}

/// The error with its environment and step.
fn at_row(row: usize, step: u64, error: EnvError) -> EnvError {
    named(row, in_step(Some(step), error))
}
