//! The keeper of a worker: it exchanges calls and data with the worker, and replaces it when it dies.

use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use super::deaths::Deaths;
use super::failure::Failure;
use super::layout::{FINAL, LEFT_OUT, Layout, OUTCOME_WIDTH};
use super::settings::{Settings, WorkerAutoreset};
use super::spaces::{Description, Spaces};
use super::worker::{Answer, Call, Trouble, Worker};
use crate::render::Picture;
use crate::{End, EnvError, MOST_INFOS, ObsMut, Step, derive_seed};

/// The shortest time that a worker gets to import its packages and to make its environments.
const START_TIMEOUT: Duration = Duration::from_secs(120);

const TERMINATED: u8 = 1;
const TRUNCATED: u8 = 2;
const RESET: u8 = 4;
/// The end is that of a life, not of the game.
const LIFE_LOST: u8 = 8;

/// A worker and its successors.
pub(super) struct Keeper {
    settings: Settings,
    worker: Worker,
    alive: bool,
    /// True if an answer is due; holds the trouble that there was in asking.
    asked: Option<Result<(), Trouble>>,
    pub spaces: Spaces,
    layout: Layout,
    /// The place of the observations of the last answered call: 0 or 1.
    place: u8,
    /// The number of the worker's first environment, in a vector environment.
    first: Option<usize>,
    /// The seeds of the resets under way.
    seeds: Vec<Option<u64>>,
    /// True for the environments that the call under way is not for.
    left_out: Vec<bool>,
    /// True if the worker's memory says who is left out.
    left_out_told: bool,
    /// The last seeds that were given.
    given: Vec<Option<u64>>,
    /// The time after which an answer is too late.
    deadline: Instant,
    deaths: Deaths,
    /// The environment whose own error was the last one, if it is known.
    raised_at: Option<usize>,
    /// The outcomes of the last step.
    outcomes: Vec<f64>,
    /// The names of the infos, and for each a column of one number for each environment.
    infos: Vec<String>,
    info_numbers: Vec<f64>,
}

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    /// The worker died during the call.
    Died,
}

impl Keeper {
    /// Waits until the worker that was [launched](Worker::launch) with these settings has made its
    /// environments.
    ///
    /// # Errors
    /// The trouble that kept it from that.
    pub fn new(settings: Settings, mut worker: Worker, first: Option<usize>) -> Result<Self, EnvError> {
        let (spaces, layout) = prepare(&settings, &mut worker)?;
        let count = settings.request.count;
        Ok(Self {
            settings,
            worker,
            alive: true,
            asked: None,
            spaces,
            place: 0,
            first,
            seeds: vec![None; count],
            given: vec![None; count],
            left_out: vec![false; count],
            left_out_told: true,
            deadline: Instant::now(),
            deaths: Deaths::default(),
            raised_at: None,
            outcomes: vec![0.0; count * OUTCOME_WIDTH],
            infos: Vec::new(),
            info_numbers: Vec::new(),
            layout,
        })
    }

    /// The number of environments.
    pub fn count(&self) -> usize {
        self.layout.count
    }

    /// The number of times that the worker has died.
    pub fn deaths(&self) -> u64 {
        self.deaths.total()
    }

    /// Returns true if the worker lives; if not, a reset starts another.
    pub fn is_alive(&self) -> bool {
        self.alive
    }

    /// Closes the connection; workers that are closed first can end together.
    pub fn hang_up(&self) {
        self.worker.hang_up();
    }

    /// Asks for a reset of every environment, in a new worker if the last one has died.
    ///
    /// # Errors
    /// The trouble that keeps a new worker from making its environments.
    pub fn begin_reset(&mut self, seeds: impl Iterator<Item = Option<u64>>) -> Result<(), EnvError> {
        self.begin_reset_of(seeds.map(Some))
    }

    /// Asks for a reset of some environments, those with `Some`, as [`Keeper::begin_reset`] does.
    ///
    /// # Errors
    /// As [`Keeper::begin_reset`].
    pub fn begin_reset_of(
        &mut self,
        seeds: impl Iterator<Item = Option<Option<u64>>>,
    ) -> Result<(), EnvError> {
        self.seeds.clear();
        self.left_out.clear();
        for seed in seeds {
            self.seeds.push(seed.flatten());
            self.left_out.push(seed.is_none());
        }
        for (given, seed) in self.given.iter_mut().zip(&self.seeds) {
            *given = seed.or(*given);
        }
        if !self.alive {
            self.revive()?;
        }
        self.ask_reset();
        Ok(())
    }

    /// Waits for the reset; a worker that dies during it is replaced.
    ///
    /// # Errors
    /// The environment's own error, or the last words of a worker that dies again and again.
    pub fn finish_reset(&mut self) -> Result<(), EnvError> {
        while self.finish()? == Fate::Died {
            self.revive()?;
            self.ask_reset();
        }
        Ok(())
    }

    fn ask_reset(&mut self) {
        let asked = self.seeds.iter().zip(&self.left_out);
        let seeds: Vec<_> =
            asked.map(|(seed, left_out)| if *left_out { LEFT_OUT } else { seed.map_or(-1, fold) }).collect();
        self.left_out_told = true;
        self.ask(Call::Reset, self.layout.seeds, bytemuck::cast_slice(&seeds));
    }

    /// Asks for a step with these actions, in their binary form.
    pub fn begin_step(&mut self, actions: &[u8]) {
        self.ask(Call::Step, self.layout.actions, actions);
    }

    /// Asks for a step of some environments, those for which `steps` is true; only under autoreset on request.
    pub fn begin_step_of(&mut self, actions: &[u8], steps: impl Iterator<Item = bool>) {
        for (left_out, steps) in self.left_out.iter_mut().zip(steps) {
            self.left_out_told &= *left_out != steps;
            *left_out = !steps;
        }
        if !self.left_out_told {
            let seeds: Vec<_> =
                self.left_out.iter().map(|left_out| if *left_out { LEFT_OUT } else { -1 }).collect();
            // A failure is that of the memory that the actions are written to as well.
            let told = self.worker.memory.write_all_at(bytemuck::cast_slice(&seeds), self.layout.seeds);
            self.left_out_told = told.is_ok();
        }
        self.begin_step(actions);
    }

    fn ask(&mut self, call: Call, offset: u64, numbers: &[u8]) {
        let written = self.worker.memory.write_all_at(numbers, offset).map_err(Trouble::from);
        self.deadline = Instant::now() + self.settings.timeout;
        self.raised_at = None;
        self.asked = Some(written.and_then(|()| self.worker.call(call, self.place ^ 1)));
    }

    /// Waits for the answer, if one is due.
    ///
    /// # Errors
    /// The environment's own error, or the last words of a worker that dies again and again.
    pub fn finish(&mut self) -> Result<Fate, EnvError> {
        let Some(asked) = self.asked.take() else { return Ok(Fate::Answered) };
        match asked.and_then(|()| self.worker.answer(self.deadline)) {
            Ok(Answer::Infos(mut names)) => {
                names.truncate(MOST_INFOS);
                self.infos = names;
            }
            Ok(Answer::Done) => {}
            Err(Trouble::Failed(failure)) => return Err(self.failed(failure)),
            Err(trouble) => return self.died(&trouble),
            Ok(Answer::Picture(_)) => return self.died(&Trouble::Confused),
        }
        self.place ^= 1;
        self.worker
            .memory
            .read_exact_at(bytemuck::cast_slice_mut(&mut self.outcomes), self.layout.outcomes)
            .map_err(unread)?;
        if !self.infos.is_empty() {
            self.info_numbers.resize(self.infos.len() * self.layout.count, f64::NAN);
            let numbers = bytemuck::cast_slice_mut(&mut self.info_numbers);
            self.worker.memory.read_exact_at(numbers, self.layout.infos).map_err(unread)?;
        }
        Ok(Fate::Answered)
    }

    fn failed(&mut self, failure: Failure) -> EnvError {
        self.raised_at = failure.row();
        failure.into_error(&self.settings, self.first)
    }

    fn died(&mut self, trouble: &Trouble) -> Result<Fate, EnvError> {
        self.alive = false;
        self.info_numbers.fill(f64::NAN);
        let how = self.worker.bury(trouble, &self.settings);
        if !self.deaths.count(Instant::now()) {
            return Ok(Fate::Died);
        }
        self.deaths.forgive();
        let id = &self.settings.request.id;
        Err(EnvError::World(format!("gym:{id} ends its Python process again and again: {how}")))
    }

    /// Puts a new worker in the place of one that has died.
    fn revive(&mut self) -> Result<(), EnvError> {
        let mut worker = Worker::launch(&self.settings)?;
        let (spaces, layout) = prepare(&self.settings, &mut worker)?;
        if spaces != self.spaces {
            let id = &self.settings.request.id;
            let message = format!("gym:{id} came back with other spaces after its Python process had died");
            return Err(EnvError::World(message));
        }
        // A new process has no generator to continue with. With the old one's seed it would repeat the same
        // episodes, perhaps up to the same death.
        let deaths = self.deaths.total();
        for (seed, given) in self.seeds.iter_mut().zip(&self.given) {
            *seed = seed.or_else(|| given.map(|given| derive_seed(given, "worker", deaths)));
        }
        (self.worker, self.layout, self.alive) = (worker, layout, true);
        self.infos.clear();
        self.info_numbers.clear();
        Ok(())
    }

    /// The environment whose own error was the last one, if it is known.
    pub fn raised_at(&self) -> Option<usize> {
        self.raised_at
    }

    /// Counts a step that went well.
    pub fn stepped(&mut self) {
        self.deaths.step();
    }

    /// The outcome of environment `row` in the last step, and true if it was reset instead.
    pub fn outcome(&self, row: usize) -> (Step, bool) {
        let [reward, raw_reward, flags] = [0, 1, 2].map(|number| self.outcomes[row * OUTCOME_WIDTH + number]);
        let flags = flags as u8;
        let end = match flags {
            _ if flags & TERMINATED != 0 => End::Terminated,
            _ if flags & TRUNCATED != 0 => End::Truncated,
            _ => End::No,
        };
        let raw_end = if flags & LIFE_LOST != 0 { End::No } else { end };
        (Step { reward, end, raw_reward, raw_end }, flags & RESET != 0)
    }

    /// Visits the numbers in the info of the last step of environment `row`; of a single environment also in
    /// that of a reset.
    pub fn visit_infos(&self, row: usize, visit: &mut dyn FnMut(&str, f64)) {
        let columns = self.info_numbers.chunks_exact(self.layout.count);
        let known = self.infos.iter().zip(columns).filter(|(_, column)| !column[row].is_nan());
        known.for_each(|(name, column)| visit(name, column[row]));
    }

    /// Reads the observations of environments from `first` on, row after row.
    pub fn read_observations(
        &self,
        first: usize,
        floats: &mut [f32],
        bytes: &mut [u8],
    ) -> Result<(), EnvError> {
        self.read_at(self.place, first, ObsMut { floats, bytes })
    }

    /// Reads the observation of environment `row`.
    pub fn read_observation(&self, row: usize, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.read_at(self.place, row, observation)
    }

    /// Reads the last observation of the episode of environment `row` that ended with this step.
    pub fn read_final_observation(&self, row: usize, observation: ObsMut<'_>) -> Result<(), EnvError> {
        let same_step = self.alive && self.settings.request.autoreset == WorkerAutoreset::SameStep;
        self.read_at(if same_step { FINAL } else { self.place }, row, observation)
    }

    fn read_at(&self, place: u8, row: usize, observation: ObsMut<'_>) -> Result<(), EnvError> {
        let memory = &self.worker.memory;
        if !observation.floats.is_empty() {
            let floats = bytemuck::cast_slice_mut(observation.floats);
            memory.read_exact_at(floats, self.layout.floats_at(place, row)).map_err(unread)?;
        }
        if !observation.bytes.is_empty() {
            let at = self.layout.bytes_at(place, row);
            memory.read_exact_at(observation.bytes, at).map_err(unread)?;
        }
        Ok(())
    }

    /// A picture of the first environment.
    pub fn picture(&self) -> Option<Picture> {
        if !self.alive || self.asked.is_some() {
            return None;
        }
        let asked = self.worker.call(Call::Picture, 0);
        match asked.and_then(|()| self.worker.answer(Instant::now() + self.settings.timeout)) {
            Ok(Answer::Picture(picture)) => picture,
            Err(Trouble::Failed(_)) => None,
            // A late answer of this worker would be taken for the answer to a later call.
            _ => {
                self.worker.abandon();
                None
            }
        }
    }
}

/// Waits until the environments are made, and shares memory with them.
fn prepare(settings: &Settings, worker: &mut Worker) -> Result<(Spaces, Layout), EnvError> {
    let timeout = settings.timeout.max(START_TIMEOUT);
    let explain = |worker: &mut Worker, trouble: Trouble| match trouble {
        Trouble::Failed(failure) => failure.into_error(settings, None),
        trouble => {
            let settings = Settings { timeout, ..settings.clone() };
            let (id, how) = (&settings.request.id, worker.bury(&trouble, &settings));
            EnvError::World(format!("gym:{id} was not made: {how}"))
        }
    };
    let description = worker.description::<Description>(Instant::now() + timeout);
    let spaces = description.map_err(|trouble| explain(worker, trouble))?.spaces()?;
    let layout = Layout::new(&spaces, settings.request.count)?;
    // The memory is written and not merely reserved: a worker that ran out of memory later would die without
    // a message.
    let zeros = vec![0; layout.size as usize];
    worker.memory.write_all_at(&zeros, 0).map_err(|error| {
        let mib = layout.size.div_ceil(1 << 20);
        EnvError::World(format!(
            "{mib} MiB of memory in /dev/shm to share with Python are not to be had: {error}"
        ))
    })?;
    let shared = worker.tell(&layout).and_then(|()| worker.answer(Instant::now() + timeout));
    shared.map_err(|trouble| explain(worker, trouble))?;
    Ok((spaces, layout))
}

fn unread(error: std::io::Error) -> EnvError {
    EnvError::World(format!("the memory that is shared with Python cannot be read: {error}"))
}

/// A seed in the form that Python takes. Worlds hand it on to generators that take 32 bits or less, so larger
/// seeds are folded; smaller ones stay the same, and give the same episodes as in Python.
fn fold(seed: u64) -> i64 {
    ((seed ^ (seed >> 31) ^ (seed >> 62)) & 0x7fff_ffff) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_seeds_stay_and_large_ones_differ() {
        assert_eq!([0, 7, 0x7fff_ffff].map(fold), [0, 7, 0x7fff_ffff]);
        let folded: std::collections::BTreeSet<_> =
            (0..1000).map(|i| fold(derive_seed(3, "env", i))).collect();
        assert_eq!(folded.len(), 1000);
        assert!(folded.iter().all(|seed| (0..=0x7fff_ffff).contains(seed)));
    }
}
