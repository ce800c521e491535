//! The fitted model of a run, ready for use.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use pavlov_data::Statistics;
use pavlov_nn::{StateDict, StateView, device, weights};
use pavlov_tasks::{Measured, Task};

use super::data::{FitData, Measuring};
use super::job::build_task;
use crate::config::{AnyConfig, FitConfig, Registries};
use crate::run::RunFolder;

const MEAN: &str = "normalizer.mean";
const STD: &str = "normalizer.std";

/// A run's model, with its data and its configuration.
pub struct Fitted {
    /// The model.
    pub task: Box<dyn Task>,
    /// The run's data.
    pub data: FitData,
    /// The run's configuration.
    pub config: FitConfig,
    /// The file or folder from which the weights were read.
    pub source: PathBuf,
}

impl Fitted {
    /// The model of the run in `folder`: the one with the best validation, or with `last` that of the latest
    /// checkpoint. If there was no validation yet, the latest checkpoint is used.
    ///
    /// # Errors
    /// When the run has neither, or they are damaged or do not fit.
    pub fn open(folder: &RunFolder, registries: &Registries, last: bool) -> Result<Self> {
        let AnyConfig::Fit(config) = folder.any_config(registries)? else {
            bail!("{} is the training of an agent, not the fit of a model", folder.path().display());
        };
        let best = folder.best_weights();
        let (mut state, source, whole) = if best.exists() && !last {
            (weights::read(&best)?, best, false)
        } else {
            let Some(latest) = folder.checkpoints().list()?.pop() else {
                let path = folder.path().display();
                bail!("{path} has neither best weights nor a checkpoint yet: fit it first");
            };
            (latest.read()?, latest.path, true)
        };
        let known = take_statistics(&mut state)?;
        let data = FitData::open(&config, registries, known)?;
        let mut task = build_task(&config, registries, &data, device::parse(&config.device)?)?;
        let view: StateView<'_> = state.view();
        match whole {
            true => task.load_state(&view.part("task")),
            false => task.load_weights(&view),
        }
        .with_context(|| format!("{} does not fit the task", source.display()))?;
        Ok(Self { task, data, config: *config, source })
    }

    /// Measures the model on the samples to test with; where there are none, on those to validate with.
    /// Gives the part's name and its size too.
    ///
    /// # Errors
    /// When there are no such samples, or the data cannot be read.
    pub fn test(&mut self) -> Result<(&'static str, usize, Measured)> {
        let splits = self.data.splits();
        let (name, rows) = match (splits.test.is_empty(), splits.validation.is_empty()) {
            (false, _) => ("test", &splits.test),
            (true, false) => ("validation", &splits.validation),
            _ => bail!("all samples are trained on: set data.split.test above 0 in a new fit"),
        };
        let count = rows.len();
        let mut pass = self.data.once(rows, &self.config)?;
        Ok((name, count, self.task.measure(&mut Measuring(&mut pass))?))
    }
}

/// Adds the statistics of inputs to what is saved.
pub(super) fn put_statistics<'a>(state: &mut StateDict<'a>, statistics: Option<&'a Statistics>) {
    if let Some(Statistics { mean, std }) = statistics {
        state.put_slice(MEAN, &[mean.len()], mean);
        state.put_slice(STD, &[std.len()], std);
    }
}

fn take_statistics(state: &mut StateDict<'static>) -> Result<Option<Statistics>> {
    let view = state.view();
    if !view.has_array(MEAN) {
        return Ok(None);
    }
    let statistics = Statistics { mean: view.vec(MEAN)?, std: view.vec(STD)? };
    state.arrays.retain(|name, _| name != MEAN && name != STD);
    Ok(Some(statistics))
}
