//! A session: one run, from its start or from a checkpoint, logged, evaluated, saved.

use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, anyhow};
use pavlov_common::files::check_own_folder;
use pavlov_envs::EnvError;
use pavlov_nn::{StateDict, generator_state, set_generator_state, weights};
use serde::Serialize;
use tch::Device;

use super::clock::{Clock, Moment};
use super::job::{Job, Plan};
use super::log::Log;
use super::notes;
use super::progress::Progress;
use super::{Checkpoint, Checkpoints, RunFolder};
use crate::record::{Recorder, Row};

/// The state of a GPU's generator in a checkpoint.
const DEVICE_GENERATOR: &str = "device_generator";

/// The reason why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Everything is done.
    Completed,
    /// An evaluation of an agent reached `evaluation.until_return`.
    ReturnReached,
    /// The validations of a fit have not become better for as long as `validation.patience` allows.
    NoProgress,
    /// The user asked it to stop.
    Interrupted,
}

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The reason why it ended.
    pub reason: StopReason,
    /// Env steps so far over all environments; 0 for a fit.
    pub env_steps: u64,
    /// Updates so far.
    pub updates: u64,
    /// The metric of the last evaluation: an agent's mean return.
    pub last_evaluation: Option<f64>,
    /// The best metric of all evaluations.
    pub best_evaluation: Option<f64>,
    /// Seconds of work, over all resumes.
    pub seconds: f64,
}

/// A run under way.
pub struct Session {
    job: Box<dyn Job>,
    plan: Plan,
    folder: RunFolder,
    clock: Clock,
    recorder: Recorder,
    checkpoints: Checkpoints,
    /// Messages for the user, for the start of the work.
    warnings: Vec<String>,
    /// Held while the session lives.
    _lock: File,
}

impl Session {
    /// A new run in `folder`.
    ///
    /// # Errors
    /// When the job cannot begin, or the folder cannot be written.
    pub fn start(job: impl Job + 'static, folder: RunFolder) -> Result<Self> {
        let lock = folder.lock()?;
        let plan = job.plan();
        let recorder =
            Recorder::new(folder.path(), plan.unit.column()).with_context(|| cannot_log(&folder))?;
        let checkpoints = folder.checkpoints();
        let clock = Clock::new(job.origin());
        let mut session = Self {
            job: Box::new(job),
            plan,
            folder,
            clock,
            recorder,
            checkpoints,
            warnings: Vec::new(),
            _lock: lock,
        };
        session.job.start()?;
        session.warnings = session.job.take_warnings();
        notes::describe(&session.job.describe()?, &session.recorder);
        Ok(session)
    }

    /// The run in `folder`, continued from `checkpoint`. Later checkpoints are set aside; a log that cannot be
    /// continued is begun anew.
    ///
    /// # Errors
    /// When the checkpoint is damaged, or belongs to another run. Nothing on the disk is changed then.
    pub fn resume(job: impl Job + 'static, folder: RunFolder, checkpoint: &Checkpoint) -> Result<Self> {
        let plan = job.plan();
        let mut checkpoints = folder.checkpoints();
        let state = checkpoints.read(checkpoint)?;
        let view = state.view();
        let mut clock: Clock =
            view.value("session").context("the checkpoint was not written by this version of the program")?;
        clock.check_origin(&job.origin())?;
        let lock = folder.lock()?;
        let mut job: Box<dyn Job> = Box::new(job);
        set_generator_state(Device::Cpu, &view.tensor("generator")?)?;
        if view.has_array(DEVICE_GENERATOR) && job.device().is_cuda() {
            set_generator_state(job.device(), &view.tensor(DEVICE_GENERATOR)?)?;
        }
        let mut warnings = Vec::from_iter(job.load_state(&view, clock.done)?);
        folder.sweep().with_context(|| cannot_log(&folder))?;
        let (recorder, of_log) = Recorder::resume(folder.path(), plan.unit.column(), &clock.log)
            .with_context(|| cannot_log(&folder))?;
        warnings.extend(of_log);
        let aside =
            checkpoints.set_aside_after(checkpoint).context("later checkpoints cannot be set aside")?;
        if let Some(first) = aside.first() {
            let (count, first) = (aside.len(), first.display());
            warnings.push(format!(
                "later checkpoints were set aside, {count} from {first} on: remove what you do not need"
            ));
        }
        clock.go_on();
        Ok(Self { job, plan, folder, clock, recorder, checkpoints, warnings, _lock: lock })
    }

    /// The run's folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Works until everything is done, an evaluation is good enough, or `stop` is set; then writes a
    /// checkpoint.
    ///
    /// # Errors
    /// When the job fails or a checkpoint cannot be written. The checkpoints before it stay.
    pub fn run(&mut self, stop: &AtomicBool, progress: &mut dyn Progress) -> Result<Outcome> {
        self.warnings.drain(..).for_each(|warning| progress.warn(&warning));
        let reason = loop {
            if self.clock.done >= self.plan.total {
                break StopReason::Completed;
            }
            let before = self.clock.done;
            if let Some(cause) = self.advance(stop, progress)? {
                return Err(self.environment_failed(&cause, progress)?);
            }
            if let Some(reason) = self.log_if_due(before, progress)? {
                break reason;
            }
            if crossed(before, self.clock.done, self.plan.checkpoint_every) {
                self.checkpoint(progress)?;
            }
            if stop.load(Ordering::Relaxed) {
                break StopReason::Interrupted;
            }
        };
        self.clock.seconds = self.clock.seconds();
        self.checkpoint(progress)?;
        progress.finish(self.job.status(&self.now()).as_ref());
        Ok(Outcome {
            reason,
            env_steps: if self.plan.unit == super::Unit::EnvSteps { self.clock.done } else { 0 },
            updates: self.job.updates(),
            last_evaluation: self.clock.last_evaluation,
            best_evaluation: self.clock.best_evaluation,
            seconds: self.clock.seconds,
        })
    }

    fn now(&self) -> Moment {
        self.clock.moment(self.clock.done)
    }

    /// Goes on until the job gives back control. Returns the reason for which the run must stop, if there is
    /// one.
    fn advance(&mut self, stop: &AtomicBool, progress: &mut dyn Progress) -> Result<Option<String>> {
        let done = self.clock.done;
        let until = self.plan.next_due(done);
        let Self { job, plan, clock, recorder, .. } = self;
        let mut log = Log { clock, plan: *plan, recorder, progress, until, logged: done };
        let advance = job.advance(until, stop, &mut log)?;
        clock.done = advance.done;
        Ok(advance.failure)
    }

    /// Logs and evaluates if that is due after the units from `before` on. Returns the reason to stop, if an
    /// evaluation gave one.
    fn log_if_due(&mut self, before: u64, progress: &mut dyn Progress) -> Result<Option<StopReason>> {
        let (done, plan) = (self.clock.done, self.plan);
        let last = done >= plan.total;
        let log = last || crossed(before, done, plan.log_every);
        let evaluate = crossed(before, done, plan.evaluate_every) || (last && plan.evaluate_every > 0);
        if log || crossed(before, done, plan.report_every) {
            self.pass_on_warnings(progress);
            progress.report(self.job.status(&self.now()).as_ref());
        }
        if !log && !evaluate {
            return Ok(None);
        }
        let now = self.now();
        let mut values = now.values();
        values.extend(self.job.values(&now)?);
        let mut reason = None;
        if evaluate {
            let evaluated = match self.job.evaluate(&now) {
                Err(error) if error.is::<EnvError>() => {
                    return Err(self.environment_failed(&format!("{error:#}"), progress)?);
                }
                evaluated => evaluated?,
            };
            values.extend(evaluated.values);
            evaluated.notes.into_iter().for_each(|note| self.recorder.note(note));
            self.keep_if_best(evaluated.metric)?;
            reason = self.job.stops_after(evaluated.metric);
        }
        self.recorder.row(Row { step: done, values });
        self.pass_on_warnings(progress);
        Ok(reason)
    }

    fn pass_on_warnings(&mut self, progress: &mut dyn Progress) {
        self.job.take_warnings().iter().for_each(|warning| progress.warn(warning));
    }

    /// Saves what was learned until the environment failed; the error of the run.
    fn environment_failed(&mut self, cause: &str, progress: &mut dyn Progress) -> Result<anyhow::Error> {
        self.pass_on_warnings(progress);
        self.checkpoint(progress)?;
        Ok(anyhow!("{cause}. A checkpoint was written; mend the environment, then resume"))
    }

    /// Keeps the present weights if they are the best so far.
    fn keep_if_best(&mut self, metric: f64) -> Result<()> {
        self.clock.last_evaluation = Some(metric);
        let better = |best: f64| if self.plan.highest_is_best { metric > best } else { metric < best };
        // A metric that is no number is never the best.
        if !metric.is_nan() && self.clock.best_evaluation.is_none_or(better) {
            self.clock.best_evaluation = Some(metric);
            let path = self.folder.best_weights();
            let folder = path.parent().unwrap_or(&path);
            let written = check_own_folder(folder).and_then(|()| fs::create_dir_all(folder));
            written.with_context(|| format!("{} cannot be written", path.display()))?;
            weights::write_sealed(&path, &self.job.weights()?)
                .context("the best weights so far could not be written")?;
        }
        Ok(())
    }

    fn checkpoint(&mut self, progress: &mut dyn Progress) -> Result<()> {
        let (position, failure) = self.recorder.flush();
        if let Some(failure) = failure {
            progress.warn(&format!("{failure}. Training goes on; make room for the log"));
        }
        self.clock.log = position;
        let mut state = StateDict::new();
        state.put_tensor("generator", &generator_state(Device::Cpu)?)?;
        if self.job.device().is_cuda() {
            state.put_tensor(DEVICE_GENERATOR, &generator_state(self.job.device())?)?;
        }
        state.put_value("session", &self.clock.after(self.clock.seconds()))?;
        self.job.put_state(&mut state)?;
        self.checkpoints.write(self.clock.done, &state, self.plan.keep_last)?;
        Ok(())
    }
}

/// Returns true if the units from `before` to `now` crossed a multiple of `every` (never, if that is 0).
fn crossed(before: u64, now: u64, every: u64) -> bool {
    every > 0 && now / every > before / every
}

fn cannot_log(folder: &RunFolder) -> String {
    format!("the log in {} cannot be opened", folder.path().display())
}
