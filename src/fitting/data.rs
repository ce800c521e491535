//! The data of a fit: opened, split, transformed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, bail};
use pavlov_common::derive_seed;
use pavlov_data::{
    Batch, Dataset, Input, Loader, LoaderConfig, Pass, Pipeline, Splits, Statistics, Target, TransformConfig,
};
use pavlov_tasks::{Batches, TaskError};

use crate::config::{FitConfig, Registries};

/// Samples of a batch of measuring, at least.
const MEASURED_TOGETHER: usize = 64;

/// The samples of a fit.
#[derive(Debug)]
pub struct FitData {
    dataset: Arc<dyn Dataset>,
    splits: Splits,
    pipeline: Pipeline,
    statistics: Option<Statistics>,
    fingerprint: OnceLock<u64>,
}

impl FitData {
    /// Opens the data of a fit. Inputs are normalised by these statistics, or if there are none by those of
    /// the training samples.
    ///
    /// # Errors
    /// When a file is damaged, or the settings do not fit the data.
    pub fn open(config: &FitConfig, registries: &Registries, known: Option<Statistics>) -> Result<Self> {
        let name = &config.data.name;
        let spec = registries.dataset(name)?;
        let dataset = spec.open(&config.data.options()).with_context(|| format!("the data set `{name}`"))?;
        let splits = Splits::of(dataset.as_ref(), &config.data.split, config.seed)
            .with_context(|| format!("the data set `{name}`: data.split"))?;
        let plain = Pipeline::new(dataset.input(), &config.data.transforms)
            .with_context(|| "data.transforms".to_string())?;
        let statistics = match plain.output() {
            Input::Tokens { .. } => None,
            _ if !config.data.normalize => None,
            _ => Some(match known {
                Some(known) => known,
                None => Statistics::of(dataset.as_ref(), &splits.train, &plain)
                    .with_context(|| format!("the data set `{name}`: data.normalize"))?,
            }),
        };
        let mut transforms = config.data.transforms.clone();
        transforms.extend(
            statistics.as_ref().map(|statistics: &Statistics| -> TransformConfig { statistics.transform() }),
        );
        let pipeline = Pipeline::new(dataset.input(), &transforms).context("data.normalize")?;
        Ok(Self { dataset, splits, pipeline, statistics, fingerprint: OnceLock::new() })
    }

    /// The kind of input that a model reads.
    pub fn input(&self) -> &Input {
        self.pipeline.output()
    }

    /// The data set itself, before its transforms.
    pub fn dataset(&self) -> &Arc<dyn Dataset> {
        &self.dataset
    }

    /// The kind of target that a model learns.
    pub fn target(&self) -> &Target {
        self.dataset.target()
    }

    /// The samples of each part.
    pub fn splits(&self) -> &Splits {
        &self.splits
    }

    /// The statistics that inputs are normalised by, if they are.
    pub fn statistics(&self) -> Option<&Statistics> {
        self.statistics.as_ref()
    }

    /// A number that changes with the samples to train on: a fit does not continue on other data. The samples
    /// are read for the first call alone.
    pub fn fingerprint(&self) -> u64 {
        *self.fingerprint.get_or_init(|| {
            let train = self.splits.train.iter();
            train.fold(self.splits.train.len() as u64, |sum, &row| {
                derive_seed(sum, "fingerprint", self.dataset.identity(row))
            })
        })
    }

    /// The batches to train on, endless.
    ///
    /// # Errors
    /// When the settings do not fit the data.
    pub fn training(&self, config: &FitConfig) -> Result<Loader> {
        let loader = LoaderConfig {
            batch_size: config.data.batch_size,
            threads: config.data.loader_threads,
            balanced: config.data.balanced,
            drop_last: config.data.drop_last,
            ..LoaderConfig::default()
        };
        let seed = derive_seed(config.seed, "loader", 0);
        let rows = self.splits.train.clone();
        Loader::new(self.dataset.clone(), rows, self.pipeline.clone(), loader, seed).context("data")
    }

    /// All samples of another data set once, through the transforms of this one.
    ///
    /// # Errors
    /// When its inputs or targets are of another kind; without targets it may be.
    pub(super) fn pass_over(&self, other: Arc<dyn Dataset>) -> Result<Pass> {
        let (own, given) = (self.dataset.input(), other.input());
        if own != given {
            let (own, given) = (own.shape(), given.shape());
            bail!(
                "the model reads samples of the shape {own:?}, and these have {given:?} or are of another kind"
            );
        }
        if *other.target() != Target::None && other.target() != self.target() {
            bail!("the targets of these samples are not those that the model learned");
        }
        let rows = (0..other.len()).collect();
        Pass::new(other, rows, self.pipeline.clone(), MEASURED_TOGETHER, 1).context("data")
    }

    /// These samples once, in order.
    ///
    /// # Errors
    /// When there are none.
    pub fn once(&self, rows: &[usize], config: &FitConfig) -> Result<Pass> {
        let (size, threads) = (config.data.batch_size.max(MEASURED_TOGETHER), config.data.loader_threads);
        Pass::new(self.dataset.clone(), rows.to_vec(), self.pipeline.clone(), size, threads).context("data")
    }
}

/// The batches of a pass, for a measurement.
pub(super) struct Measuring<'a> {
    pass: &'a mut Pass,
    stop: Option<&'a AtomicBool>,
}

impl<'a> Measuring<'a> {
    /// All batches.
    pub(super) fn all(pass: &'a mut Pass) -> Self {
        Self { pass, stop: None }
    }

    /// The batches until `stop` is set. What was measured then is of a part of them.
    pub(super) fn until(pass: &'a mut Pass, stop: &'a AtomicBool) -> Self {
        Self { pass, stop: Some(stop) }
    }
}

impl Batches for Measuring<'_> {
    fn next(&mut self) -> Result<Option<Batch>, TaskError> {
        match self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            true => Ok(None),
            false => Ok(self.pass.next_batch()?),
        }
    }
}
