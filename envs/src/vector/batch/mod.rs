//! The vector form of worlds that are arithmetic: many copies side by side, advanced several at a time.

mod lanes;
mod saved;
#[cfg(test)]
mod tests;

use pulp::{Arch, Simd, WithSimd};
use serde::{Serialize, de::DeserializeOwned};

use self::lanes::{Block, LANES, advance, count_steps, observe, zeros};
use super::buffers::{Buffers, check_count};
use super::slot::named;
use super::slots::read_states;
use super::{Autoreset, StepBatch, VectorEnv, VectorOptions};
use crate::checks::{Checker, in_step};
use crate::dynamics::{Dynamics, Input};
use crate::wrappers::TimeLimit;
use crate::{ActionBatch, End, EnvError, EnvState, ObsBatch, ObsMut, SeededRng, Space, Step, derive_seed};

/// Copies of the world that `D` describes, with the results of a
/// [`SyncVectorEnv`](super::SyncVectorEnv) of single ones, bit for bit, saved states included.
///
/// The states stand in blocks, each number of a state in a column of its own, so that a step of the equations
/// is compiled to instructions that work on several copies at once: with AVX2 where the machine has it. No
/// instruction that rounds differently is used, and every copy keeps a generator of its own.
pub(crate) struct BatchVectorEnv<D, const STATE: usize, const OBS: usize> {
    arch: Arch,
    equations: D,
    observations: Space,
    actions: Space,
    checker: Checker,
    buffers: Buffers,
    autoreset: Autoreset,
    /// True for an environment whose episode goes on from a saved state: its steps are not known.
    resumed: Vec<bool>,
    /// The number of steps after which an episode is truncated.
    limit: Option<u32>,
    rows: Rows<STATE>,
    /// True if every environment is in an episode or about to be reset.
    ready: bool,
    /// Set by an error: the environments no longer stand at the same step.
    broken: bool,
}

/// The environments, column by column.
struct Rows<const STATE: usize> {
    blocks: Vec<Block<STATE>>,
    rngs: Vec<SeededRng>,
    /// Steps of the episode so far.
    steps: Vec<u32>,
    /// True if the next call resets the environment, since its episode is over.
    due: Vec<bool>,
    /// True if the world is in an episode.
    running: Vec<bool>,
    /// True if the time limit counts the episode as over.
    over: Vec<bool>,
}

impl<const STATE: usize> Rows<STATE> {
    fn new(count: usize) -> Self {
        Self {
            blocks: vec![zeros(); count.div_ceil(LANES)],
            rngs: vec![SeededRng::seeded(0); count],
            steps: vec![0; count],
            due: vec![false; count],
            running: vec![false; count],
            over: vec![true; count],
        }
    }

    fn state(&self, row: usize) -> [f64; STATE] {
        self.blocks[row / LANES].map(|column| column[row % LANES])
    }

    fn set_state(&mut self, row: usize, state: [f64; STATE]) {
        let columns = self.blocks[row / LANES].iter_mut();
        columns.zip(state).for_each(|(column, number)| column[row % LANES] = number);
    }
}

impl<D: Dynamics<STATE, OBS>, const STATE: usize, const OBS: usize> BatchVectorEnv<D, STATE, OBS> {
    /// As many environments as the options say, whose episodes are truncated after `limit` steps, if ever.
    ///
    /// # Errors
    /// [`EnvError::Contract`] for no environments, [`EnvError::Option`] for a limit of 0.
    pub fn new(
        equations: D,
        spaces: (Space, Space),
        limit: Option<u32>,
        options: &VectorOptions,
    ) -> Result<Self, EnvError> {
        check_count(options.num_envs)?;
        limit.map(TimeLimit::new).transpose()?;
        let (observations, actions) = spaces;
        let mut rows = Rows::new(options.num_envs);
        rows.rngs.fill_with(SeededRng::default);
        Ok(Self {
            arch: Arch::new(),
            equations,
            resumed: vec![false; options.num_envs],
            checker: Checker::new(&observations, &actions)?,
            buffers: Buffers::new(&observations, options.num_envs),
            observations,
            actions,
            autoreset: options.autoreset,
            limit,
            rows,
            ready: false,
            broken: false,
        })
    }

    /// Starts a new episode in one row.
    fn begin(&mut self, row: usize, mut observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.resumed[row] = false;
        let state = self.equations.start(&mut self.rows.rngs[row]);
        self.rows.set_state(row, state);
        self.rows.steps[row] = 0;
        (self.rows.due[row], self.rows.running[row], self.rows.over[row]) = (false, true, false);
        observation.floats.copy_from_slice(&D::observe(state));
        // These are the classic worlds alone, whose laws are tested: the checker is asked when a number is none,
        // for its words.
        if observation.floats.iter().all(|number| number.is_finite()) {
            return Ok(());
        }
        let checked = self.checker.check(observation.reborrow().as_ref(), false);
        checked.map_err(|error| in_step(Some(0), error))
    }

    /// The error of the first environment that cannot be stepped, found in the order in which a single one
    /// checks.
    fn refusal(&self, actions: &ActionBatch) -> Option<EnvError> {
        let refused = |row: usize| {
            if self.limit.is_some() && self.rows.over[row] {
                return Some(EnvError::NeedsReset);
            }
            let needs_reset = || (!self.rows.running[row]).then_some(EnvError::NeedsReset);
            D::action(actions.row(row)).err().or_else(needs_reset)
        };
        (0..self.buffers.rows).filter(|&row| !self.rows.due[row]).find_map(refused)
    }

    /// Finishes a step of one block: resets the environments that are due, and returns an error for one that
    /// broke its contract. `sound` is true if all numbers of the block are known to be finite.
    fn settle(&mut self, block: usize, sound: bool, out: &mut StepBatch) -> Result<(), EnvError> {
        let rows = block * LANES..((block + 1) * LANES).min(self.buffers.rows);
        if !sound {
            self.check_rows(rows.clone(), out).map_err(|(row, error)| named(row, error))?;
        }
        for row in rows {
            if self.rows.due[row] {
                (out.rewards[row], out.raw_rewards[row]) = (0.0, 0.0);
                (out.ends[row], out.raw_ends[row]) = (End::No, End::No);
            } else if out.ends[row].is_over() {
                out.final_observations.copy_row(row, out.observations.row(row));
                if self.autoreset == Autoreset::NextStep {
                    (self.rows.due[row], self.rows.over[row]) = (true, true);
                    self.rows.running[row] = out.ends[row] != End::Terminated;
                    continue;
                }
            } else {
                continue;
            }
            self.begin(row, out.observations.row_mut(row)).map_err(|error| named(row, error))?;
        }
        Ok(())
    }

    /// Checks the numbers of these rows; the error is that of the first row with one that breaks a rule.
    fn check_rows(
        &mut self,
        mut rows: std::ops::Range<usize>,
        out: &mut StepBatch,
    ) -> Result<(), (usize, EnvError)> {
        rows.try_for_each(|row| {
            if self.rows.due[row] {
                return Ok(());
            }
            let (reward, raw_reward) = (out.rewards[row], out.raw_rewards[row]);
            let step = Step { reward, end: out.ends[row], raw_reward, raw_end: out.raw_ends[row] };
            let checked = self.checker.check(out.observations.row(row), step.end.is_over());
            let checked = checked.and_then(|()| self.checker.check_rewards(&step));
            let number = (!self.resumed[row]).then_some(self.rows.steps[row].into());
            checked.map_err(|error| (row, in_step(number, error)))
        })
    }
}

/// One step of all blocks, compiled for each kind of vector instruction.
struct Advance<'a, D, I, const STATE: usize, const OBS: usize> {
    env: &'a mut BatchVectorEnv<D, STATE, OBS>,
    inputs: &'a [I],
    out: &'a mut StepBatch,
}

impl<D, const STATE: usize, const OBS: usize> WithSimd for Advance<'_, D, D::Input, STATE, OBS>
where
    D: Dynamics<STATE, OBS>,
{
    type Output = Result<(), EnvError>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let Self { env, inputs, out } = self;
        out.resets.copy_from_slice(&env.rows.due);
        for (block, inputs) in inputs.chunks(LANES).enumerate() {
            let rows = block * LANES..block * LANES + inputs.len();
            let rewards = &mut out.rewards[rows.clone()];
            let mut terminated = [false; LANES];
            let finite =
                advance(&env.equations, &mut env.rows.blocks[block], inputs, rewards, &mut terminated);
            out.raw_rewards[rows.clone()].copy_from_slice(rewards);
            let ends = &mut out.ends[rows.clone()];
            count_steps(&mut env.rows.steps[rows.clone()], env.limit, &terminated, ends);
            out.raw_ends[rows.clone()].copy_from_slice(ends);
            let floats = &mut out.observations.floats_mut()[rows.start * OBS..rows.end * OBS];
            let numbers = observe::<D, STATE, OBS>(&env.rows.blocks[block], floats);
            env.settle(block, finite & numbers, out)?;
        }
        Ok(())
    }
}

impl<D, const STATE: usize, const OBS: usize> VectorEnv for BatchVectorEnv<D, STATE, OBS>
where
    D: Dynamics<STATE, OBS>,
    [f64; STATE]: Serialize + DeserializeOwned,
{
    fn num_envs(&self) -> usize {
        self.buffers.rows
    }

    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observations: &mut ObsBatch) -> Result<(), EnvError> {
        self.buffers.check_observations(observations)?;
        self.broken = true;
        for row in 0..self.buffers.rows {
            self.rows.rngs[row].reseed(seed.map(|seed| derive_seed(seed, "env", row as u64)));
            self.begin(row, observations.row_mut(row)).map_err(|error| named(row, error))?;
        }
        (self.broken, self.ready) = (false, true);
        Ok(())
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<(), EnvError> {
        if self.broken {
            return Err(EnvError::NeedsReset);
        }
        self.buffers.check_step(actions, out)?;
        let inputs = D::Input::column(actions).unwrap_or_default();
        let accepted = inputs.len() == self.buffers.rows
            && inputs.iter().fold(true, |accepted, &input| accepted & D::accepts(input));
        // From here on an early return leaves some environments a step ahead of others.
        self.broken = true;
        if !(accepted && self.ready)
            && let Some(error) = self.refusal(actions)
        {
            return Err(error);
        }
        let arch = self.arch;
        arch.dispatch(Advance { env: self, inputs, out })?;
        (self.broken, self.ready) = (false, true);
        Ok(())
    }

    fn save_state(&self) -> Option<EnvState> {
        saved::save(&self.rows, self.limit.is_some())
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let states = read_states(state, self.buffers.rows)?;
        self.broken = true;
        saved::load(&states, self.limit.is_some(), &mut self.rows)?;
        self.resumed.fill(true);
        (self.broken, self.ready) = (false, false);
        Ok(())
    }
}
