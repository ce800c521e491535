//! The fit of a model as the job of a run.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Error, Result, bail};
use pavlov_common::bounds::{fits, product};
use pavlov_data::{Batch, Loader, Pass, Position};
use pavlov_group::Group;
use pavlov_nn::{StateDict, StateView};
use pavlov_tasks::{Criterion, Task, TaskContext};
use serde::{Deserialize, Serialize};
use tch::Device;

use super::data::{FitData, Measuring};
use super::fitted::put_origin;
use super::pictures;
use super::status::FitStatus;
use crate::config::{FitConfig, PretrainedConfig, Registries};
use crate::run::{
    Advance, BrokenOff, Compute, Description, Evaluated, GROUP_IDLE_SHARE, Job, Log, Moment, Origin, Plan,
    RowPart, Settings, Status, StopReason, Unit, Values, pretrained,
};

/// Updates from one report of progress to the next.
const REPORT_EVERY: u64 = 8;
/// The metrics by which TensorBoard's page of hyper-parameters compares runs.
const METRICS: [&str; 3] = ["eval/accuracy", "eval/loss", "train/loss"];

/// The fit of a model.
pub struct Fit {
    config: FitConfig,
    data: FitData,
    task: Box<dyn Task>,
    training: Loader,
    validation: Option<Pass>,
    device: Device,
    plan: Plan,
    progress: FitProgress,
    batches: Vec<Batch>,
    /// The mean loss of the latest row of the log.
    loss: Option<f64>,
    /// True if the model has got the weights that it begins with.
    has_begun: bool,
    group: Group,
}

/// The state of a fit beside its model and its data. Part of a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct FitProgress {
    /// The next batch to learn from.
    epoch: u64,
    batch: u64,
    fingerprint: u64,
    /// Validations since the best one.
    since: u64,
}

impl Fit {
    /// A fit that has not begun.
    ///
    /// # Errors
    /// When the data is damaged, or the task cannot learn from it.
    pub fn new(config: FitConfig, registries: &Registries) -> Result<Self> {
        Self::in_group(config, registries, &Group::alone())
    }

    /// A shard of a fit, which has not begun.
    ///
    /// # Errors
    /// As [`Fit::new`].
    pub(crate) fn in_group(config: FitConfig, registries: &Registries, group: &Group) -> Result<Self> {
        let FitConfig { seed, threads, update_threads, .. } = config;
        let device = Compute { seed, device: &config.device, threads, update_threads }.prepare()?;
        let data = FitData::open(&config, registries, None)?;
        let task = build_task(&config, registries, &data, (device, group))?;
        let sample = product(data.input().shape()).max(product(data.dataset().input().shape()));
        let waiting = config.data.accumulate.max(config.data.loader_threads);
        let batches = product([config.data.batch_size.min(data.splits().train.len()), waiting]);
        fits("data.batch_size x data.accumulate", batches, batches.saturating_mul(4 * sample))
            .map_err(Error::msg)?;
        let training = data.training(&config)?.with_share(group.shard(), group.shards()).context("data")?;
        let rows = &data.splits().validation;
        let validation = match config.validates() && !rows.is_empty() {
            true => Some(data.once(rows, &config)?),
            false => None,
        };
        if config.validation.patience > 0 && validation.is_none() {
            bail!(
                "validation.patience needs samples to validate with, and there are none: set data.split.validation"
            );
        }
        let plan = plan(&config, training.batches_per_epoch(), validation.is_some(), task.criterion());
        let fingerprint = data.fingerprint();
        let progress = FitProgress { epoch: 0, batch: 0, fingerprint, since: 0 };
        Ok(Self {
            config,
            data,
            task,
            training,
            validation,
            device,
            plan,
            progress,
            batches: Vec::new(),
            loss: None,
            has_begun: false,
            group: group.clone(),
        })
    }

    /// The fit's data.
    pub fn data(&self) -> &FitData {
        &self.data
    }

    /// Gives the model the weights that it is to begin with, once, and says what fitted. A fit that is
    /// resumed does not ask for them.
    ///
    /// # Errors
    /// When they cannot be read, or nothing fits.
    pub fn load_pretrained(&mut self) -> Result<Option<String>> {
        let PretrainedConfig { path, rename, whole } = &self.config.pretrained;
        if self.config.pretrained.is_none() || self.has_begun {
            return Ok(None);
        }
        self.has_begun = true;
        if *whole {
            pretrained::check_origin(path, &self.config.origin())?;
        }
        let given = pretrained::read(&self.config.pretrained)?;
        let report = self.task.load_pretrained(&given.view(), rename)?;
        if *whole && !report.is_complete() {
            return Err(pretrained::does_not_fit(path, &report, &toml::Table::try_from(&self.config)?));
        }
        pretrained::told(path, &report).map(Some)
    }

    /// The update after so many others, at this share of the fit.
    ///
    /// # Errors
    /// When the data cannot be read or the loss is no longer finite.
    pub(super) fn update(&mut self, updates: u64, progress: f64) -> Result<()> {
        for _ in 0..self.config.data.accumulate {
            self.batches.push(self.training.next_batch()?);
        }
        let epoch = self.epochs(updates);
        self.task
            .learn(&self.batches, progress)
            .with_context(|| format!("update {}, epoch {epoch:.2}{}", updates + 1, self.lone_sample()))?;
        self.batches.drain(..).for_each(|batch| self.training.give_back(batch));
        Ok(())
    }

    /// A word on a batch of one sample among larger ones, which some layers cannot learn from.
    fn lone_sample(&self) -> &'static str {
        let alone = self.batches.iter().any(|batch| batch.rows == 1);
        match alone && self.config.data.batch_size > 1 {
            true => ", a batch of one sample, which --set data.drop_last=true leaves out",
            false => "",
        }
    }

    /// The mean loss since the last call.
    ///
    /// # Errors
    /// When it is no longer finite.
    pub(super) fn take_loss(&mut self) -> Result<f64> {
        Ok(self.task.take_metrics()?.get("train/loss").copied().unwrap_or(f64::NAN))
    }

    /// True if the task's updates lower one loss.
    pub(super) fn has_one_loss(&self) -> bool {
        self.task.has_one_loss()
    }

    /// Epochs that are done after so many updates.
    fn epochs(&self, updates: u64) -> f64 {
        (updates * self.config.data.accumulate as u64) as f64 / self.training.batches_per_epoch() as f64
    }
}

/// The task of a fit, untrained.
pub(super) fn build_task(
    config: &FitConfig,
    registries: &Registries,
    data: &FitData,
    (device, group): (Device, &Group),
) -> Result<Box<dyn Task>> {
    let context = TaskContext {
        input: data.input().clone(),
        target: data.target().clone(),
        is_normalized: data.statistics().is_some(),
        learning: config.learning.clone(),
        seed: config.seed,
        device,
        group: group.clone(),
    };
    Ok(registries.tasks.get(&config.task)?.build(&config.hyperparameters, &context)?)
}

fn plan(config: &FitConfig, batches_per_epoch: u64, validates: bool, criterion: Criterion) -> Plan {
    let updates_of = |epochs: u64| {
        epochs
            .saturating_mul(batches_per_epoch)
            .div_ceil(config.data.accumulate as u64)
            .max(u64::from(epochs > 0))
    };
    let FitConfig { updates, epochs, validation, .. } = config;
    Plan {
        unit: Unit::Updates,
        total: if *updates > 0 { *updates } else { updates_of(*epochs) },
        log_every: config.log.every_updates,
        evaluate_every: match (validates, validation.every_updates) {
            (false, _) => 0,
            (true, 0) => updates_of(validation.every_epochs),
            (true, updates) => updates,
        },
        checkpoint_every: config.checkpoint.every_updates,
        keep_last: config.checkpoint.keep_last,
        report_every: REPORT_EVERY,
        highest_is_best: criterion.highest_is_best,
    }
}

impl Job for Fit {
    fn origin(&self) -> Origin {
        self.config.origin()
    }

    fn plan(&self) -> Plan {
        self.plan
    }

    fn device(&self) -> Device {
        self.device
    }

    fn describe(&self) -> Result<Description> {
        Description::of(&self.config, &METRICS)
    }

    fn start(&mut self) -> Result<()> {
        self.load_pretrained()?;
        Ok(())
    }

    /// One update.
    fn advance(&mut self, _: u64, _: &AtomicBool, log: &mut dyn Log) -> Result<Advance> {
        let updates = log.done();
        self.update(updates, updates as f64 / self.plan.total as f64)?;
        Ok(Advance { done: updates + 1, failure: None })
    }

    fn updates(&self) -> u64 {
        self.task.updates()
    }

    fn row_part(&mut self) -> Result<RowPart> {
        let mut values = self.task.take_metrics()?;
        values.extend(self.group.take_idle_share().map(|share| (GROUP_IDLE_SHARE.to_string(), share)));
        Ok(RowPart { values, episodes: None })
    }

    fn values(&mut self, now: &Moment, part: RowPart) -> Result<Values> {
        let mut values = part.values;
        self.loss = values.get("train/loss").copied();
        values.insert("train/epoch".into(), self.epochs(now.done));
        values.insert("time/samples_per_second".into(), self.samples_per_second(now));
        Ok(values)
    }

    fn status(&self, now: &Moment) -> Box<dyn Status> {
        let (accumulate, per_epoch) = (self.config.data.accumulate as u64, self.training.batches_per_epoch());
        let (done, total) = (now.done * accumulate, self.plan.total * accumulate);
        Box::new(FitStatus {
            updates: now.done,
            total_updates: self.plan.total,
            updates_per_second: now.per_second,
            batches_per_second: now.per_second * accumulate as f64,
            samples_per_second: self.samples_per_second(now),
            loss: self.loss,
            metric: self.task.criterion().metric.into(),
            validation: now.last_evaluation,
            best: now.best_evaluation,
            ..FitStatus::in_epoch(done, total, per_epoch)
        })
    }

    fn evaluate(&mut self, now: &Moment, stop: &AtomicBool) -> Result<Evaluated> {
        let Some(validation) = &mut self.validation else { bail!("there are no samples to validate with") };
        validation.restart();
        let measured = self.task.measure(&mut Measuring::until(validation, stop));
        if stop.load(Ordering::Relaxed) {
            bail!(BrokenOff);
        }
        let measured = measured.context("the validation failed")?;
        let criterion = self.task.criterion();
        let value = measured.metrics.get(criterion.metric).copied().unwrap_or(f64::NAN);
        let mut notes = Vec::new();
        for (name, picture) in measured.pictures.iter().filter(|_| self.config.validation.pictures) {
            notes.push(pictures::note(format!("eval/{name}"), now.done, picture)?);
        }
        let values =
            measured.metrics.into_iter().map(|(name, value)| (format!("eval/{name}"), value)).collect();
        Ok(Evaluated { metric: value, values, notes, episodes: None })
    }

    fn validated(&mut self, metric: f64, best_before: Option<f64>) -> Result<()> {
        self.task.validated(metric);
        let improves = self.task.criterion().improves(metric, best_before);
        self.progress.since = if improves { 0 } else { self.progress.since + 1 };
        Ok(())
    }

    fn stops_after(&self, _: f64) -> Option<StopReason> {
        let patience = self.config.validation.patience;
        (patience > 0 && self.progress.since >= patience).then_some(StopReason::NoProgress)
    }

    fn weights(&self) -> Result<StateDict<'_>> {
        let mut weights = self.task.weights()?;
        put_origin(&mut weights, &self.data);
        Ok(weights)
    }

    fn put_state<'a>(&'a self, state: &mut StateDict<'a>) -> Result<()> {
        let Position { epoch, batch } = self.training.position();
        state.nest("task", self.task.state()?);
        state.put_value("fit", &FitProgress { epoch, batch, ..self.progress.clone() })?;
        put_origin(state, &self.data);
        Ok(())
    }

    fn load_state(&mut self, state: &StateView<'_>, _: u64) -> Result<Option<String>> {
        let progress: FitProgress = state.value("fit")?;
        if progress.fingerprint != self.progress.fingerprint {
            bail!(
                "the samples to train on are not those that the fit began with: put the data set `{}` back as it was",
                self.config.data.name
            );
        }
        self.task.load_state(&state.part("task")).context("the checkpoint does not fit the task")?;
        self.training.seek(Position { epoch: progress.epoch, batch: progress.batch })?;
        self.progress = progress;
        Ok(None)
    }
}

impl Fit {
    fn samples_per_second(&self, now: &Moment) -> f64 {
        now.per_second * (self.config.data.batch_size * self.config.data.accumulate) as f64
    }
}
