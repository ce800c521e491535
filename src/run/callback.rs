//! Callbacks: code of a program's own that a run calls at its start, for each row of its log, after each
//! evaluation, at each checkpoint and at its end.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Error, Result, bail};
use pavlov_agents::Policy;
use pavlov_nn::{StateDict, StateView};

use super::clock::Moment;
use super::job::{Evaluated, Job, Origin, Unit, Values};
use super::outcome::Outcome;
use super::progress::Progress;
use super::{RunFolder, StopReason};
use crate::record::{Note, Recorder};

/// The part of a checkpoint that holds the callbacks' states.
const PART: &str = "callbacks";
/// The names of the callbacks whose state a checkpoint holds.
const NAMES: &str = "callbacks";
/// The most characters of a tag.
const LONGEST_TAG: usize = 200;

/// Code of a program's own that a run calls, whether it trains an agent or fits a model. Each method does
/// nothing unless it is implemented.
///
/// A method may ask the run to stop ([`RunView::stop`]): the run then writes a checkpoint and ends with
/// [`StopReason::Callback`]. A method that fails ends the run as well, with a checkpoint and an error that
/// names the callback. Both can be resumed.
///
/// All methods are called in the thread of [`Session::run`](super::Session::run), and the run waits for them.
/// While actors and a learner run in threads of their own, they go on during [`Callback::on_row`].
///
/// ```
/// use pavlov::run::{Callback, LogRow, RunView};
///
/// struct Patience(f64);
///
/// impl Callback for Patience {
///     fn on_row(&mut self, row: &mut LogRow<'_>, run: &mut RunView<'_>) -> anyhow::Result<()> {
///         row.add("own/hours", run.seconds() / 3600.0)?;
///         if run.seconds() > self.0 {
///             run.stop("the time is up");
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Callback {
    /// The name in messages and in checkpoints: the type's, unless it is given here. Of two callbacks with one
    /// name the second is called `NAME-2`.
    fn name(&self) -> String {
        let whole = std::any::type_name::<Self>();
        let plain = whole.split('<').next().unwrap_or(whole);
        plain.rsplit("::").next().unwrap_or(plain).to_string()
    }

    /// The run begins, or goes on from a checkpoint.
    ///
    /// # Errors
    /// An error ends the run.
    fn on_start(&mut self, _run: &mut RunView<'_>) -> Result<()> {
        Ok(())
    }

    /// A row is about to be written into the log: its values can be read, and others added.
    ///
    /// # Errors
    /// An error ends the run.
    fn on_row(&mut self, _row: &mut LogRow<'_>, _run: &mut RunView<'_>) -> Result<()> {
        Ok(())
    }

    /// An evaluation of an agent or a validation of a fit was made. Its row follows, see
    /// [`Callback::on_row`]; the best weights are written already.
    ///
    /// # Errors
    /// An error ends the run.
    fn on_evaluation(&mut self, _evaluated: &Evaluated, _run: &mut RunView<'_>) -> Result<()> {
        Ok(())
    }

    /// A checkpoint was written into this folder. What the callback changes now is in the next one.
    ///
    /// # Errors
    /// An error ends the run.
    fn on_checkpoint(&mut self, _folder: &Path, _run: &mut RunView<'_>) -> Result<()> {
        Ok(())
    }

    /// The run has ended, and its last checkpoint is written. A run that fails has no such end.
    ///
    /// # Errors
    /// The error is the run's.
    fn on_end(&mut self, _outcome: &Outcome, _run: &mut RunView<'_>) -> Result<()> {
        Ok(())
    }

    /// Adds what the callback needs to go on exactly to a checkpoint.
    ///
    /// # Errors
    /// The checkpoint is not written then.
    fn put_state(&self, _state: &mut StateDict<'_>) -> Result<()> {
        Ok(())
    }

    /// Goes on from what [`Callback::put_state`] gave. A checkpoint of a run that did not have the callback
    /// yet is not shown to it.
    ///
    /// # Errors
    /// When the state does not fit; the run does not begin then.
    fn load_state(&mut self, _state: &StateView<'_>) -> Result<()> {
        Ok(())
    }
}

/// A row of the log that is about to be written.
#[derive(Debug)]
pub struct LogRow<'a> {
    step: u64,
    unit: Unit,
    values: &'a mut Values,
}

impl LogRow<'_> {
    /// Env steps of a training, updates of a fit.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// All values so far, by tag.
    pub fn values(&self) -> &Values {
        self.values
    }

    /// The value of this tag: `rollout/ep_rew_mean`, `train/loss`, `eval/mean_reward` ...
    pub fn get(&self, tag: &str) -> Option<f64> {
        self.values.get(tag).copied()
    }

    /// Adds a value, for `progress.csv` and TensorBoard.
    ///
    /// # Errors
    /// When the row has the tag already, or the tag is empty, too long, or has a comma or a line's end in it.
    pub fn add(&mut self, tag: &str, value: f64) -> Result<()> {
        if tag.is_empty()
            || tag.len() > LONGEST_TAG
            || tag.contains([',', '"'])
            || tag.contains(char::is_control)
        {
            bail!(
                "`{tag}` cannot be a tag: give 1 to {LONGEST_TAG} letters without commas, quotes and line ends"
            );
        }
        if self.values.contains_key(tag) || tag == self.unit.column() {
            bail!("the log has `{tag}` already: choose another tag, for instance `own/{tag}`");
        }
        self.values.insert(tag.to_string(), value);
        Ok(())
    }
}

/// A run as a callback sees it.
pub struct RunView<'a> {
    pub(super) folder: &'a RunFolder,
    pub(super) origin: &'a Origin,
    pub(super) unit: Unit,
    pub(super) now: Moment,
    pub(super) updates: u64,
    /// The job; `None` while it is at work in threads of its own.
    pub(super) job: Option<&'a dyn Job>,
    pub(super) recorder: &'a Recorder,
    pub(super) progress: &'a mut dyn Progress,
    asked: &'a mut Option<String>,
}

impl RunView<'_> {
    /// The run's folder.
    pub fn folder(&self) -> &RunFolder {
        self.folder
    }

    /// The run's kind, and what it trains on what.
    pub fn origin(&self) -> &Origin {
        self.origin
    }

    /// Env steps so far over all environments; 0 for a fit.
    pub fn env_steps(&self) -> u64 {
        if self.unit == Unit::EnvSteps { self.now.done } else { 0 }
    }

    /// Gradient steps so far. While actors run, those of the learner's last report.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Seconds of work, over all resumes.
    pub fn seconds(&self) -> f64 {
        self.now.seconds
    }

    /// The metric of the last evaluation.
    pub fn last_evaluation(&self) -> Option<f64> {
        self.now.last_evaluation
    }

    /// The best metric of all evaluations.
    pub fn best_evaluation(&self) -> Option<f64> {
        self.now.best_evaluation
    }

    /// A policy with a copy of the present weights, which takes observations as the run's environments give
    /// them. `None` for a fit, and in [`Callback::on_row`] while actors run.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn policy(&self) -> Result<Option<Box<dyn Policy>>> {
        self.job.map_or(Ok(None), |job| job.policy())
    }

    /// The present weights, named as in `best/weights.safetensors`. `None` in [`Callback::on_row`] while
    /// actors run.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn weights(&self) -> Result<Option<StateDict<'_>>> {
        self.job.map(|job| job.weights()).transpose()
    }

    /// Adds a text, a picture or a film to TensorBoard's pages.
    pub fn note(&self, note: Note) {
        self.recorder.note(note);
    }

    /// Tells the user something.
    pub fn tell(&mut self, message: &str) {
        self.progress.warn(message);
    }

    /// Asks the run to stop for this reason, which the outcome repeats.
    pub fn stop(&mut self, why: impl Into<String>) {
        self.asked.get_or_insert(why.into());
    }
}

/// Makes a callback for a run.
type Maker = Arc<dyn Fn() -> Box<dyn Callback> + Send + Sync>;

/// The makers of the callbacks that every run of a program gets, `train` and `resume` on its command line
/// among them.
#[derive(Clone, Default)]
pub struct CallbackRegistry {
    makers: Vec<Maker>,
}

impl fmt::Debug for CallbackRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallbackRegistry({})", self.makers.len())
    }
}

impl CallbackRegistry {
    /// Registers a callback: `make` is called once for each run.
    pub fn register<C: Callback + 'static>(&mut self, make: impl Fn() -> C + Send + Sync + 'static) {
        self.makers.push(Arc::new(move || Box::new(make())));
    }

    /// New callbacks for a run.
    pub fn make(&self) -> Vec<Box<dyn Callback>> {
        self.makers.iter().map(|make| make()).collect()
    }
}

/// The callbacks of a session.
#[derive(Default)]
pub(super) struct Callbacks {
    list: Vec<(String, Box<dyn Callback>)>,
    /// The states in the checkpoint from which the run goes on, until the callbacks are given.
    saved: StateDict<'static>,
    /// The reason for which a callback has asked the run to stop.
    asked: Option<String>,
    /// The first error of a callback.
    error: Option<Error>,
}

impl Callbacks {
    /// Callbacks that are yet to be given, of a run that goes on from this checkpoint.
    pub(super) fn of_checkpoint(state: &StateDict<'static>) -> Self {
        let prefix = format!("{PART}.");
        let own = |name: &String| name.starts_with(&prefix) || name == NAMES;
        let arrays = state.arrays.iter().filter(|(name, _)| own(name));
        let values = state.values.iter().filter(|(name, _)| own(name));
        let saved = StateDict {
            arrays: arrays.map(|(name, array)| (name.clone(), array.clone())).collect(),
            values: values.map(|(name, value)| (name.clone(), value.clone())).collect(),
        };
        Self { saved, ..Self::default() }
    }

    pub(super) fn add(&mut self, mut callback: Box<dyn Callback>) -> Result<()> {
        let plain = callback.name();
        let taken = |name: &str| self.list.iter().any(|(other, _)| other == name);
        let numbered = (2..).map(|number| format!("{plain}-{number}"));
        let name = std::iter::once(plain.clone()).chain(numbered).find(|name| !taken(name));
        let name = name.unwrap_or(plain);
        if self.saved_names().contains(&name) {
            let view = self.saved.view();
            callback
                .load_state(&view.part(PART).part(&name))
                .with_context(|| format!("the checkpoint does not fit the callback `{name}`"))?;
        }
        self.list.push((name, callback));
        Ok(())
    }

    fn saved_names(&self) -> Vec<String> {
        self.saved.view().value(NAMES).unwrap_or_default()
    }

    /// Warns of callbacks that the run had before and that this program did not give it.
    pub(super) fn warning(&self) -> Option<String> {
        let has = |name: &String| self.list.iter().any(|(other, _)| other == name);
        let missing: Vec<_> = self.saved_names().into_iter().filter(|name| !has(name)).collect();
        (!missing.is_empty()).then(|| {
            format!(
                "the run had callbacks that this program does not give it: {}. It goes on without them",
                missing.join(", ")
            )
        })
    }

    pub(super) fn put_state(&self, state: &mut StateDict<'_>) -> Result<()> {
        if self.list.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = self.list.iter().map(|(name, _)| name).collect();
        state.put_value(NAMES, &names)?;
        for (name, callback) in &self.list {
            let mut own = StateDict::new();
            callback
                .put_state(&mut own)
                .with_context(|| format!("the state of the callback `{name}` cannot be saved"))?;
            state.nest(&format!("{PART}.{name}"), own);
        }
        Ok(())
    }

    /// Forgets what was asked for in the part of the run before.
    pub(super) fn begin(&mut self) {
        self.asked = None;
    }

    /// True if a callback has failed or asked the run to stop.
    pub(super) fn want_stop(&self) -> bool {
        self.asked.is_some() || self.error.is_some()
    }

    /// The reason for which a callback has asked the run to stop.
    pub(super) fn asked(&self) -> Option<&String> {
        self.asked.as_ref()
    }

    /// The reason to stop, if a callback has asked for it.
    pub(super) fn stop_reason(&self) -> Option<StopReason> {
        self.asked.as_ref().map(|_| StopReason::Callback)
    }

    pub(super) fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// Calls a method of each callback, until one fails.
    pub(super) fn call(
        &mut self,
        scene: Scene<'_>,
        mut method: impl FnMut(&mut dyn Callback, &mut RunView<'_>) -> Result<()>,
    ) {
        let Scene { folder, origin, unit, now, updates, job, recorder, progress } = scene;
        let mut view =
            RunView { folder, origin, unit, now, updates, job, recorder, progress, asked: &mut self.asked };
        for (name, callback) in &mut self.list {
            if self.error.is_some() {
                return;
            }
            let called = method(callback.as_mut(), &mut view);
            self.error = called.with_context(|| format!("the callback `{name}` failed")).err();
        }
    }

    /// Shows a row to each callback.
    pub(super) fn row(&mut self, scene: Scene<'_>, values: &mut Values) {
        let (step, unit) = (scene.now.done, scene.unit);
        self.call(scene, |callback, run| {
            callback.on_row(&mut LogRow { step, unit, values: &mut *values }, run)
        });
    }
}

/// The circumstances of a call.
pub(super) struct Scene<'a> {
    pub folder: &'a RunFolder,
    pub origin: &'a Origin,
    pub unit: Unit,
    pub now: Moment,
    pub updates: u64,
    pub job: Option<&'a dyn Job>,
    pub recorder: &'a Recorder,
    pub progress: &'a mut dyn Progress,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_new_and_fits_a_table() {
        let mut values = Values::from([("train/loss".to_string(), 1.0)]);
        let mut row = LogRow { step: 7, unit: Unit::EnvSteps, values: &mut values };
        row.add("own/a", 2.0).unwrap();
        for (tag, word) in [
            ("own/a", "already"),
            ("train/loss", "already"),
            ("time/total_timesteps", "already"),
            ("", "cannot be"),
            ("a,b", "commas"),
            ("a\nb", "line ends"),
            (&"x".repeat(201), "1 to 200"),
        ] {
            let error = row.add(tag, 1.0).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        assert_eq!((row.get("own/a"), row.values().len()), (Some(2.0), 2));
    }

    #[test]
    fn callbacks_of_one_name_are_numbered_and_find_their_states() {
        struct Counter(u64);
        impl Callback for Counter {
            fn put_state(&self, state: &mut StateDict<'_>) -> Result<()> {
                Ok(state.put_value("count", &self.0)?)
            }
            fn load_state(&mut self, state: &StateView<'_>) -> Result<()> {
                self.0 = state.value("count")?;
                Ok(())
            }
        }
        let mut callbacks = Callbacks::default();
        callbacks.add(Box::new(Counter(3))).unwrap();
        callbacks.add(Box::new(Counter(4))).unwrap();
        let mut state = StateDict::new();
        callbacks.put_state(&mut state).unwrap();
        assert_eq!(state.values["callbacks.Counter-2.count"], 4);

        let mut resumed = Callbacks::of_checkpoint(&state);
        resumed.add(Box::new(Counter(0))).unwrap();
        assert!(resumed.warning().unwrap().contains("Counter-2"));
        resumed.add(Box::new(Counter(0))).unwrap();
        assert_eq!(resumed.warning(), None);
        let mut again = StateDict::new();
        resumed.put_state(&mut again).unwrap();
        assert_eq!(again, state);
    }
}
