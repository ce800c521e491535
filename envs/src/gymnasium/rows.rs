//! Environments of Gymnasium side by side, several in a worker, of which each begins and steps when it is asked to.

use super::keeper::{Fate, Keeper};
use super::settings::{Settings, WorkerAutoreset};
use super::vector::launch;
use crate::checks::{Checker, Warnings, in_step};
use crate::{Action, ActionBatch, End, EnvError, InfoBatch, ObsBatch, RowEnvs, RowError, Space, Step};

/// Environments of Gymnasium in as many Python processes as there are cores, or as `envs_per_worker` says.
///
/// When a process dies, the running episodes of its environments end as truncated, with the last observations
/// that there were; the next reset of one of them starts another process.
pub(super) struct GymRows {
    crews: Vec<Crew>,
    num_envs: usize,
}

/// A worker and its environments. Rows are dealt out to the workers one by one, so that all have work where only
/// the first rows are used: row `r` is environment `r / workers` of worker `r % workers`.
struct Crew {
    keeper: Keeper,
    checker: Checker,
    rows: Vec<Row>,
    /// The actions of all environments in their binary form, `action_size` bytes each.
    actions: Vec<u8>,
    action_size: usize,
    /// The observations of all environments.
    seen: ObsBatch,
    /// True if an answer is awaited.
    asked: bool,
}

/// An environment.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    state: RowState,
    /// Steps of its episode so far.
    steps: u64,
    /// True if the call under way is for it.
    asked: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum RowState {
    /// It waits for a reset.
    #[default]
    Idle,
    Running,
    /// Its worker has died; its next step says so.
    Lost,
}

impl GymRows {
    /// So many environments.
    ///
    /// # Errors
    /// The trouble that keeps a worker from making them.
    pub fn new(settings: &Settings, num_envs: usize) -> Result<Self, RowError> {
        let refused = |error| RowError { row: 0, error };
        crate::vector::check_count(num_envs).map_err(refused)?;
        let keepers = launch(settings, num_envs, 0, WorkerAutoreset::None).map_err(refused)?;
        let crews = keepers.into_iter().map(Crew::new).collect::<Result<_, _>>().map_err(refused)?;
        Ok(Self { crews, num_envs })
    }

    /// Marks the rows that a call is for.
    fn mark(&mut self, rows: impl Iterator<Item = usize>) {
        self.crews.iter_mut().flat_map(|crew| &mut crew.rows).for_each(|row| row.asked = false);
        let workers = self.crews.len();
        rows.for_each(|row| self.crews[row % workers].rows[row / workers].asked = true);
    }

    /// Lets every crew finish, also after an error of one of them, so that no answer is left behind. The error is
    /// that of the first worker.
    fn finish(
        &mut self,
        mut finish: impl FnMut(&mut Crew, &Numbers) -> Result<(), RowError>,
    ) -> Result<(), RowError> {
        let workers = self.crews.len();
        let mut outcome = Ok(());
        for (worker, crew) in self.crews.iter_mut().enumerate() {
            let numbers = Numbers { worker, workers };
            outcome = outcome.and(finish(crew, &numbers));
        }
        outcome
    }
}

/// The numbers of a worker's environments among all.
struct Numbers {
    worker: usize,
    workers: usize,
}

impl Numbers {
    fn row(&self, index: usize) -> usize {
        index * self.workers + self.worker
    }

    /// The error of environment `index`, at this step.
    fn error(&self, index: usize, step: u64, error: EnvError) -> RowError {
        RowError { row: self.row(index), error: in_step(Some(step), error) }
    }
}

impl Crew {
    fn new(keeper: Keeper) -> Result<Self, EnvError> {
        let checker = Checker::new(&keeper.spaces.observations, &keeper.spaces.actions)?;
        let count = keeper.count();
        let action_size = match &keeper.spaces.actions {
            Space::MultiDiscrete(counts) => counts.len() * size_of::<i64>(),
            Space::MultiBinary(n) => n * size_of::<i64>(),
            Space::Box(space) => space.len() * size_of::<f32>(),
            Space::Discrete(_) | Space::Dict(_) => size_of::<i64>(),
        };
        Ok(Self {
            checker,
            rows: vec![Row::default(); count],
            actions: vec![0; count * action_size],
            action_size,
            seen: ObsBatch::new(&keeper.spaces.observations, count),
            keeper,
            asked: false,
        })
    }

    fn set_action(&mut self, index: usize, action: Action<'_>) -> Result<(), EnvError> {
        self.keeper.spaces.actions.accept(action)?;
        let place = &mut self.actions[index * self.action_size..][..self.action_size];
        match action {
            Action::Discrete(choice) => place.copy_from_slice(&choice.to_ne_bytes()),
            Action::MultiDiscrete(choices) => place.copy_from_slice(bytemuck::cast_slice(choices)),
            Action::Box(point) => place.copy_from_slice(bytemuck::cast_slice(point)),
        }
        Ok(())
    }

    /// Reads the observations of the environments that were asked, and of those between them, at once.
    fn read(&mut self) -> Result<(), EnvError> {
        let Some(first) = self.rows.iter().position(|row| row.asked) else { return Ok(()) };
        let end = self.rows.iter().rposition(|row| row.asked).map_or(first, |last| last + 1);
        let layout = self.seen.layout();
        let (floats, bytes) = (layout.floats, layout.bytes);
        let part = |width: usize| first * width..end * width;
        self.keeper.read_observations(first, &mut self.seen.floats_mut()[part(floats)], &mut [])?;
        self.keeper.read_observations(first, &mut [], &mut self.seen.bytes_mut()[part(bytes)])
    }

    fn finish_reset(&mut self, numbers: &Numbers, observations: &mut ObsBatch) -> Result<(), RowError> {
        if !std::mem::take(&mut self.asked) {
            return Ok(());
        }
        let deaths = self.keeper.deaths();
        let finished = self.keeper.finish_reset().and_then(|()| self.read());
        finished.map_err(|error| numbers.error(self.failed(), 0, error))?;
        if self.keeper.deaths() > deaths {
            self.lose();
        }
        for (index, row) in self.rows.iter_mut().enumerate().filter(|(_, row)| row.asked) {
            (row.state, row.steps) = (RowState::Running, 0);
            let checked = self.checker.check(self.seen.row(index), false);
            checked.map_err(|error| numbers.error(index, 0, error))?;
            observations.copy_row(numbers.row(index), self.seen.row(index));
        }
        Ok(())
    }

    /// The environment whose error ended a call, or else the first that was asked.
    fn failed(&self) -> usize {
        let first = || self.rows.iter().position(|row| row.asked);
        self.keeper.raised_at().or_else(first).unwrap_or_default()
    }

    /// The worker has died: its other episodes cannot go on.
    fn lose(&mut self) {
        for row in self.rows.iter_mut().filter(|row| !row.asked && row.state == RowState::Running) {
            row.state = RowState::Lost;
        }
    }

    fn finish_step(
        &mut self,
        numbers: &Numbers,
        steps: &mut [Step],
        observations: &mut ObsBatch,
        infos: &mut InfoBatch,
    ) -> Result<(), RowError> {
        let asked = std::mem::take(&mut self.asked);
        let fate = if asked { self.keeper.finish() } else { Ok(Fate::Answered) };
        let fate = fate.and_then(|fate| self.read().map(|()| fate));
        let fate = fate.map_err(|error| {
            let failed = self.failed();
            numbers.error(failed, self.rows[failed].steps + 1, error)
        })?;
        match fate {
            Fate::Died => self.lose(),
            Fate::Answered if asked => self.keeper.stepped(),
            Fate::Answered => {}
        }
        for (index, row) in self.rows.iter_mut().enumerate().filter(|(_, row)| row.asked) {
            let number = numbers.row(index);
            if fate == Fate::Died || row.state == RowState::Lost {
                row.state = RowState::Idle;
                steps[number] = Step::new(0.0, End::Truncated);
                infos.clear_row(number);
                continue;
            }
            row.steps += 1;
            let (step, _) = self.keeper.outcome(index);
            let checked = self.checker.check_rewards(&step);
            let checked = checked.and_then(|()| self.checker.check(self.seen.row(index), step.end.is_over()));
            checked.map_err(|error| numbers.error(index, row.steps, error))?;
            if step.end.is_over() {
                row.state = RowState::Idle;
            }
            steps[number] = step;
            observations.copy_row(number, self.seen.row(index));
            infos.record(number, |visit| self.keeper.visit_infos(index, visit));
        }
        Ok(())
    }
}

impl Drop for GymRows {
    fn drop(&mut self) {
        // All close their environments at the same time; each is then waited for.
        self.crews.iter().for_each(|crew| crew.keeper.hang_up());
    }
}

impl RowEnvs for GymRows {
    fn num_envs(&self) -> usize {
        self.num_envs
    }

    fn observation_space(&self) -> &Space {
        &self.crews[0].keeper.spaces.observations
    }

    fn action_space(&self) -> &Space {
        &self.crews[0].keeper.spaces.actions
    }

    fn watch(&mut self, warnings: &Warnings) {
        self.crews.iter_mut().for_each(|crew| crew.checker.watch(warnings));
    }

    fn reset(&mut self, rows: &[(usize, Option<u64>)], observations: &mut ObsBatch) -> Result<(), RowError> {
        self.mark(rows.iter().map(|(row, _)| *row));
        let workers = self.crews.len();
        let mut outcome = Ok(());
        for (worker, crew) in self.crews.iter_mut().enumerate() {
            let own = rows.iter().filter(|(row, _)| row % workers == worker);
            let mut seeds = vec![None; crew.rows.len()];
            own.for_each(|(row, seed)| seeds[row / workers] = Some(*seed));
            if seeds.iter().all(Option::is_none) {
                continue;
            }
            let begun = crew.keeper.begin_reset_of(seeds.into_iter());
            crew.asked = begun.is_ok();
            outcome = outcome.and(begun.map_err(|error| RowError { row: worker, error }));
        }
        let finished = self.finish(|crew, numbers| crew.finish_reset(numbers, observations));
        outcome.and(finished)
    }

    fn step(
        &mut self,
        rows: &[usize],
        actions: &ActionBatch,
        steps: &mut [Step],
        observations: &mut ObsBatch,
        infos: &mut InfoBatch,
    ) -> Result<(), RowError> {
        self.mark(rows.iter().copied());
        let workers = self.crews.len();
        for &row in rows {
            let crew = &mut self.crews[row % workers];
            let ready = match crew.rows[row / workers].state {
                RowState::Idle => Err(EnvError::NeedsReset),
                RowState::Running | RowState::Lost => crew.set_action(row / workers, actions.row(row)),
            };
            ready.map_err(|error| RowError { row, error })?;
        }
        for crew in &mut self.crews {
            let goes = |row: &Row| row.asked && row.state == RowState::Running;
            crew.asked = crew.rows.iter().any(goes);
            if crew.asked {
                crew.keeper.begin_step_of(&crew.actions, crew.rows.iter().map(goes));
            }
        }
        self.finish(|crew, numbers| crew.finish_step(numbers, steps, observations, infos))
    }
}
