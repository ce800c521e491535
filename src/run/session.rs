//! A session: one run, from its start or from a checkpoint, logged, evaluated, saved.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Error, Result, anyhow};
use pavlov_envs::EnvError;
use pavlov_nn::{StateDict, device, generator_state, set_generator_state};
use tch::Device;

use super::callback::{Callback, Callbacks, RunView, Scene};
use super::candidates::Candidates;
use super::clock::{Clock, Moment};
use super::edits::Edits;
use super::job::{BrokenOff, Description, Evaluated, Job, Origin, Plan, Values};
use super::log::SessionLog;
use super::notes;
use super::outcome::{Outcome, StopReason};
use super::progress::Progress;
use super::{Checkpoint, Checkpoints, RunFolder, SESSION, Settings};
use crate::record::{Recorder, Row};

/// The state of a GPU's generator in a checkpoint.
const DEVICE_GENERATOR: &str = "device_generator";
/// The configuration in a checkpoint, as TOML.
const CONFIG: &str = "config";
const MEND_THE_ENVIRONMENT: &str = "mend the environment";
const MEND_THE_CAUSE: &str = "mend the cause";
const MEND_THE_CALLBACK: &str = "mend the callback";

/// The context of errors of a checkpoint that cannot be continued from.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the checkpoint {} cannot be used", .0.display())]
pub struct UnusableCheckpoint(pub PathBuf);

/// A run under way.
pub struct Session {
    job: Box<dyn Job>,
    callbacks: Callbacks,
    origin: Origin,
    plan: Plan,
    folder: RunFolder,
    clock: Clock,
    recorder: Recorder,
    checkpoints: Checkpoints,
    candidates: Candidates,
    /// The configuration as TOML.
    config: String,
    /// Messages for the user, for the start of the work.
    warnings: Vec<String>,
    /// Held while the session lives.
    lock: File,
}

impl Session {
    /// A new run in `folder`. What a run that ended before its first checkpoint has left there is set aside.
    ///
    /// # Errors
    /// When the job cannot begin, or the folder cannot be written.
    pub fn start(job: impl Job + 'static, folder: RunFolder) -> Result<Self> {
        let lock = folder.lock()?;
        let plan = job.plan();
        let aside = folder.set_aside_start().with_context(|| cannot_write(&folder))?;
        let warnings = aside.map(|place| {
            format!(
                "the log of the start before was set aside into {}: remove it if you do not need it",
                place.display()
            )
        });
        let recorder =
            Recorder::new(folder.path(), plan.unit.column()).with_context(|| cannot_write(&folder))?;
        let checkpoints = folder.checkpoints();
        let mut clock = Clock::new(job.origin());
        clock.device = device::name(job.device());
        let job: Box<dyn Job> = Box::new(job);
        let warnings = Vec::from_iter(warnings);
        let description = job.describe()?;
        let config = description.text.clone();
        let (callbacks, origin) = (Callbacks::default(), job.origin());
        let candidates = Candidates::default();
        let mut session = Self {
            job,
            callbacks,
            origin,
            plan,
            folder,
            clock,
            recorder,
            checkpoints,
            candidates,
            config,
            warnings,
            lock,
        };
        session.job.start()?;
        session.warnings.extend(session.job.take_warnings());
        notes::describe(&description, &session.recorder);
        Ok(session)
    }

    /// The run in `folder`, continued from `checkpoint`. Later checkpoints are set aside; a log that cannot be
    /// continued is begun anew. The user is told which settings are others than before.
    ///
    /// # Errors
    /// When the checkpoint is damaged ([`UnusableCheckpoint`]) or does not fit the configuration, or the
    /// folder cannot be written. Nothing on the disk is changed then.
    pub fn resume(job: impl Job + 'static, folder: RunFolder, checkpoint: &Checkpoint) -> Result<Self> {
        let plan = job.plan();
        let mut checkpoints = folder.checkpoints();
        let unusable = || UnusableCheckpoint(checkpoint.path.clone());
        let state = checkpoints.read(checkpoint).with_context(unusable)?;
        let view = state.view();
        let mut clock: Clock = view
            .value(SESSION)
            .context("the checkpoint was not written by this version of the program")
            .with_context(unusable)?;
        clock.check_origin(&job.origin()).with_context(unusable)?;
        let candidates = Candidates::load(&state).with_context(unusable)?;
        let before = view.value::<String>(CONFIG).unwrap_or_default();
        let Description { table, text: config, .. } = job.describe()?;
        let edits = Edits::between(&before, &table);
        edits.check_length(&plan, clock.done)?;
        let lock = folder.lock()?;
        let mut job: Box<dyn Job> = Box::new(job);
        set_generator_state(Device::Cpu, &view.tensor("generator")?)?;
        if view.has_array(DEVICE_GENERATOR) && job.device().is_cuda() {
            set_generator_state(job.device(), &view.tensor(DEVICE_GENERATOR)?)?;
        }
        let loaded = job.load_state(&view, clock.done);
        let mut warnings = Vec::from_iter(match edits.is_empty() {
            true => loaded.with_context(unusable)?,
            false => loaded.with_context(|| edits.as_cause())?,
        });
        warnings.extend(edits.warnings(&plan, clock.done));
        let device = device::name(job.device());
        if ![&device, ""].contains(&clock.device.as_str()) {
            let was = &clock.device;
            warnings.push(format!(
                "the run computed on {was} until now and goes on on {device}: not with the same bits"
            ));
        }
        clock.device = device;
        folder.sweep().with_context(|| cannot_write(&folder))?;
        let (recorder, of_log) = Recorder::resume(folder.path(), plan.unit.column(), &clock.log)
            .with_context(|| cannot_write(&folder))?;
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
        let (callbacks, origin) = (Callbacks::of_checkpoint(&state), job.origin());
        Ok(Self {
            job,
            callbacks,
            origin,
            plan,
            folder,
            clock,
            recorder,
            checkpoints,
            candidates,
            config,
            warnings,
            lock,
        })
    }

    /// Gives the run a callback. That of a run which goes on from a checkpoint goes on from its state there.
    ///
    /// # Errors
    /// When the checkpoint does not fit the callback.
    pub fn with_callback(self, callback: impl Callback + 'static) -> Result<Self> {
        self.with_callbacks(vec![Box::new(callback)])
    }

    /// Gives the run several callbacks, as [`Session::with_callback`] does.
    ///
    /// # Errors
    /// When the checkpoint does not fit one of them.
    pub fn with_callbacks(mut self, callbacks: Vec<Box<dyn Callback>>) -> Result<Self> {
        callbacks.into_iter().try_for_each(|callback| self.callbacks.add(callback))?;
        Ok(self)
    }

    /// The run's folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Replaces the configuration in the run's folder: later resumes follow this one.
    ///
    /// # Errors
    /// When it cannot be written; the one before is whole then.
    pub fn keep_config(&mut self, config: &impl Settings) -> Result<()> {
        self.folder.write_config(config)?;
        // The lock is that of the file, and this is another one.
        self.lock = self.folder.lock()?;
        Ok(())
    }

    /// Works until everything is done, an evaluation is good enough, a callback asks to stop, or `stop` is set;
    /// then writes a checkpoint.
    ///
    /// # Errors
    /// When the job or a callback fails, or a checkpoint cannot be written. The checkpoints before it stay.
    pub fn run(&mut self, stop: &AtomicBool, progress: &mut dyn Progress) -> Result<Outcome> {
        self.warnings.extend(self.callbacks.warning());
        self.warnings.drain(..).for_each(|warning| progress.warn(&warning));
        self.clock.is_finished = false;
        self.callbacks.begin();
        self.call(progress, |callback, run| callback.on_start(run));
        let reason = match self.answer(progress)? {
            Some(reason) => reason,
            None => self.work(stop, progress)?,
        };
        self.clock.is_finished = !matches!(reason, StopReason::Interrupted | StopReason::Callback);
        self.clock.seconds = self.clock.seconds();
        self.checkpoint(progress)?;
        progress.finish(self.job.status(&self.now()).as_ref());
        let outcome = self.outcome(reason);
        self.call(progress, |callback, run| callback.on_end(&outcome, run));
        self.answer(progress)?;
        self.job.end();
        Ok(outcome)
    }

    fn outcome(&self, reason: StopReason) -> Outcome {
        Outcome {
            reason,
            why: self.callbacks.asked().filter(|_| reason == StopReason::Callback).cloned(),
            env_steps: if self.plan.unit == super::Unit::EnvSteps { self.clock.done } else { 0 },
            updates: self.job.updates(),
            last_evaluation: self.clock.last_evaluation,
            best_evaluation: self.clock.best_evaluation,
            choice: self.clock.choice.clone().filter(|choice| choice.at == self.clock.done),
            seconds: self.clock.seconds,
        }
    }

    /// Calls a method of each callback.
    fn call(
        &mut self,
        progress: &mut dyn Progress,
        method: impl FnMut(&mut dyn Callback, &mut RunView<'_>) -> Result<()>,
    ) {
        let Self { job, folder, origin, plan, clock, recorder, callbacks, .. } = self;
        callbacks.call(scene(job.as_ref(), (folder, origin), plan, clock, recorder, progress), method);
    }

    /// The reason to stop for which a callback has asked, if one has.
    fn answer(&mut self, progress: &mut dyn Progress) -> Result<Option<StopReason>> {
        match self.callbacks.take_error() {
            Some(error) => Err(self.failed(error, MEND_THE_CALLBACK, progress)),
            None => Ok(self.callbacks.stop_reason()),
        }
    }

    /// Writes a row of the log, after the callbacks have seen it.
    fn row(&mut self, mut values: Values, progress: &mut dyn Progress) {
        let Self { job, folder, origin, plan, clock, recorder, callbacks, .. } = self;
        callbacks.row(scene(job.as_ref(), (folder, origin), plan, clock, recorder, progress), &mut values);
        recorder.row(Row { step: clock.done, values });
    }

    fn work(&mut self, stop: &AtomicBool, progress: &mut dyn Progress) -> Result<StopReason> {
        if let Some(values) = self.clock.owed.take() {
            let reason = self.evaluate(values, stop, progress)?;
            if let Some(reason) = self.answer(progress)?.or(reason) {
                return Ok(reason);
            }
        }
        while self.clock.done < self.plan.total {
            let before = self.clock.done;
            let (logged, failure) = self.advance(stop, progress)?;
            if let Some(cause) = failure {
                return Err(self.failed(anyhow!(cause), MEND_THE_ENVIRONMENT, progress));
            }
            let reason = self.log_if_due(before, logged, stop, progress)?;
            if let Some(reason) = self.answer(progress)?.or(reason) {
                return Ok(reason);
            }
            if crossed(before, self.clock.done, self.plan.checkpoint_every) {
                self.checkpoint(progress)?;
                if let Some(reason) = self.answer(progress)? {
                    return Ok(reason);
                }
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(StopReason::Interrupted);
            }
        }
        Ok(StopReason::Completed)
    }

    fn now(&self) -> Moment {
        self.clock.moment(self.clock.done)
    }

    /// Goes on until the job gives back control. Returns the units of the last row that the job has written, or
    /// else those at which it began, and the reason for which the run must stop, if there is one.
    fn advance(&mut self, stop: &AtomicBool, progress: &mut dyn Progress) -> Result<(u64, Option<String>)> {
        let done = self.clock.done;
        let until = self.plan.next_due(done);
        let Self { job, callbacks, origin, plan, folder, clock, recorder, .. } = self;
        let (plan, updates) = (*plan, job.updates());
        let logged = done;
        let mut log =
            SessionLog { clock, plan, recorder, progress, callbacks, folder, origin, updates, until, logged };
        let advance = job.advance(until, stop, &mut log)?;
        let logged = log.logged;
        clock.done = advance.done;
        Ok((logged, advance.failure))
    }

    /// Logs and evaluates if that is due after the units from `before` on, of which those up to `logged` have
    /// their rows. Returns the reason to stop, if there is one.
    fn log_if_due(
        &mut self,
        before: u64,
        logged: u64,
        stop: &AtomicBool,
        progress: &mut dyn Progress,
    ) -> Result<Option<StopReason>> {
        let (done, plan) = (self.clock.done, self.plan);
        let last = done >= plan.total;
        let log = last || crossed(logged, done, plan.log_every);
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
        let part = self.job.row_part()?;
        values.extend(self.job.values(&now, part)?);
        if evaluate {
            return self.evaluate(values, stop, progress);
        }
        self.row(values, progress);
        Ok(None)
    }

    /// Evaluates, keeps the weights if they are the best so far, and writes the row of the log that begins with
    /// these values. Returns the reason to stop, if there is one.
    fn evaluate(
        &mut self,
        mut values: Values,
        stop: &AtomicBool,
        progress: &mut dyn Progress,
    ) -> Result<Option<StopReason>> {
        let now = self.now();
        let kept = self.job.evaluate(&now, stop).and_then(|mut evaluated| {
            self.job.validated(evaluated.metric, now.best_evaluation)?;
            self.keep_if_best(evaluated.metric)?;
            evaluated.values.extend(self.choose_again(evaluated.metric, &now, stop)?);
            Ok(evaluated)
        });
        let evaluated = match kept {
            Ok(evaluated) => evaluated,
            Err(error) => {
                // A resumed run makes up for it.
                self.clock.owed = Some(values);
                if error.is::<BrokenOff>() {
                    return Ok(Some(StopReason::Interrupted));
                }
                let then = if error.is::<EnvError>() { MEND_THE_ENVIRONMENT } else { MEND_THE_CAUSE };
                return Err(self.failed(error, then, progress));
            }
        };
        self.clock.evaluations += 1;
        self.call(progress, |callback, run| callback.on_evaluation(&evaluated, run));
        let Evaluated { metric, values: more, notes, .. } = evaluated;
        values.extend(more);
        notes.into_iter().for_each(|note| self.recorder.note(note));
        self.row(values, progress);
        self.pass_on_warnings(progress);
        Ok(self.job.stops_after(metric))
    }

    fn pass_on_warnings(&mut self, progress: &mut dyn Progress) {
        self.job.take_warnings().iter().for_each(|warning| progress.warn(warning));
    }

    /// Saves what was learned until the failure; the error of the run, with what to do.
    fn failed(&mut self, cause: Error, then: &str, progress: &mut dyn Progress) -> Error {
        self.pass_on_warnings(progress);
        match self.save(progress) {
            Ok(_) => anyhow!("{cause:#}. A checkpoint was written; {then}, then resume"),
            Err(error) => anyhow!("{cause:#}. Afterwards {error:#}"),
        }
    }

    /// Keeps the present weights if they are the best so far.
    fn keep_if_best(&mut self, metric: f64) -> Result<()> {
        let better = |best| self.plan.is_better(metric, best);
        // A metric that is no number is never the best.
        if !metric.is_nan() && self.clock.best_evaluation.is_none_or(better) {
            self.folder.write_best_weights(&self.job.weights()?)?;
            self.clock.best_evaluation = Some(metric);
        }
        self.clock.last_evaluation = Some(metric);
        if self.job.final_comparison().is_some() {
            self.candidates.add(self.clock.done, metric, self.job.as_ref())?;
        }
        Ok(())
    }

    /// At the end of the run, lets the candidates play again and makes the winner's weights the best ones. A
    /// run that stops at a return keeps those that have reached it. Returns values for the log.
    fn choose_again(&mut self, metric: f64, now: &Moment, stop: &AtomicBool) -> Result<Values> {
        let is_end = now.done >= self.plan.total && self.job.stops_after(metric).is_none();
        let Some(comparison) = self.job.final_comparison().filter(|_| is_end) else {
            return Ok(Values::new());
        };
        let evaluations = self.clock.evaluations + 1;
        let Some((choice, weights)) =
            self.candidates.choose(comparison, evaluations, self.job.as_mut(), now, stop)?
        else {
            return Ok(Values::new());
        };
        self.folder.write_best_weights(weights)?;
        let values = choice.values();
        self.clock.choice = Some(choice);
        Ok(values)
    }

    fn checkpoint(&mut self, progress: &mut dyn Progress) -> Result<()> {
        let path = self.save(progress)?;
        self.call(progress, |callback, run| callback.on_checkpoint(&path, run));
        Ok(())
    }

    /// Writes a checkpoint; its folder.
    fn save(&mut self, progress: &mut dyn Progress) -> Result<PathBuf> {
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
        state.put_value(SESSION, &self.clock.after(self.clock.seconds()))?;
        state.put_value(CONFIG, &self.config)?;
        self.candidates.put(&mut state)?;
        self.job.put_state(&mut state)?;
        self.callbacks.put_state(&mut state)?;
        self.checkpoints.write(self.clock.done, &state, self.plan.keep_last)
    }
}

/// The circumstances of a call of callbacks.
fn scene<'a>(
    job: &'a dyn Job,
    (folder, origin): (&'a RunFolder, &'a Origin),
    plan: &Plan,
    clock: &Clock,
    recorder: &'a Recorder,
    progress: &'a mut dyn Progress,
) -> Scene<'a> {
    let (now, updates) = (clock.moment(clock.done), job.updates());
    Scene { folder, origin, unit: plan.unit, now, updates, job: Some(job), recorder, progress }
}

/// Returns true if the units from `before` to `now` crossed a multiple of `every` (never, if that is 0).
fn crossed(before: u64, now: u64, every: u64) -> bool {
    every > 0 && now / every > before / every
}

fn cannot_write(folder: &RunFolder) -> String {
    format!("the run's folder {} cannot be written", folder.path().display())
}
