//! The fitted model of a run, ready for use.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use pavlov_data::{Dataset, InMemory, Input, Pass, SplitConfig, Statistics, Target};
use pavlov_group::Group;
use pavlov_nn::{StateDict, StateView, device, weights};
use pavlov_tasks::{Measured, Pictures, SampleRequest, Samples, Task};
use serde::{Deserialize, Serialize};

use super::data::{FitData, Measuring};
use super::job::build_task;
use crate::config::{AnyConfig, FitConfig, Registries};
use crate::run::RunFolder;

const MEAN: &str = "normalizer.mean";
const STD: &str = "normalizer.std";
const FINGERPRINT: &str = "data.fingerprint";
const KIND: &str = "data.kind";

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
    /// The fingerprint of the samples that it was fitted to, where the data should still be the same.
    fingerprint: Option<u64>,
    /// True if the data is another file or folder than the fit's.
    names_path: bool,
}

impl Fitted {
    /// The model of the run in `folder`: the one with the best validation, or with `last` that of the latest
    /// checkpoint. If there was no validation yet, the latest checkpoint is used.
    ///
    /// # Errors
    /// When the run has neither, or they are damaged or do not fit.
    pub fn open(folder: &RunFolder, registries: &Registries, last: bool) -> Result<Self> {
        Self::open_on(folder, registries, last, &[])
    }

    /// [`Fitted::open`] on other data or another device: each of `sets` is `data.KEY=VALUE` of the configuration
    /// or `device=NAME`.
    ///
    /// # Errors
    /// As [`Fitted::open`], and when a key is unknown, the model does not take such data or there is no such
    /// device.
    pub fn open_on(folder: &RunFolder, registries: &Registries, last: bool, sets: &[String]) -> Result<Self> {
        let AnyConfig::Fit(config) = folder.any_config(registries)? else {
            bail!("{} is the training of an agent, not the fit of a model", folder.path().display());
        };
        let mut config = config.with_data(registries, sets)?;
        let names_path = sets.iter().any(|set| set.trim_start().starts_with("data.path"));
        if names_path {
            // All of another file is measured.
            config.data.split = SplitConfig { validation: 0.0, test: 0.0 };
        }
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
        let Origin { statistics, fingerprint, kind } = Origin::taken_from(&mut state)?;
        let data = FitData::open(&config, registries, statistics)?;
        if let Some(kind) = kind {
            kind.check(data.dataset().as_ref())?;
        }
        let mut task =
            build_task(&config, registries, &data, (device::parse(&config.device)?, &Group::alone()))?;
        let view: StateView<'_> = state.view();
        match whole {
            true => task.load_state(&view.part("task")),
            false => task.load_weights(&view),
        }
        .with_context(|| format!("{} does not fit the task", source.display()))?;
        let fingerprint = fingerprint.filter(|_| sets.iter().all(|set| set.starts_with("device")));
        Ok(Self { task, data, config, source, fingerprint, names_path })
    }

    /// Measures the model on the samples to test with; where there are none, on those to validate with; of
    /// another file or folder on all. Gives the part's name and its size too.
    ///
    /// # Errors
    /// When there are no such samples, they cannot be read, or the data is no longer that of the fit: what is
    /// tested with now could have been trained on.
    pub fn test(&mut self) -> Result<(&'static str, usize, Measured)> {
        if self.fingerprint.is_some_and(|fitted| fitted != self.data.fingerprint()) {
            let name = &self.config.data.name;
            bail!(
                "the samples of `{name}` are not those of the fit, and some that it was trained on could now be to test \
                 with: put the data back as it was, or name the data to measure on (--data, --set data.KEY=VALUE)"
            );
        }
        let splits = self.data.splits();
        let all: Vec<usize>;
        let (name, rows) = match (splits.test.is_empty(), splits.validation.is_empty()) {
            _ if self.names_path => {
                all = (0..self.data.dataset().len()).collect();
                ("given", &all)
            }
            (false, _) => ("test", &splits.test),
            (true, false) => ("validation", &splits.validation),
            _ => bail!("all samples are trained on: set data.split.test above 0 in a new fit"),
        };
        let count = rows.len();
        let mut pass = self.data.once(rows, &self.config)?;
        Ok((name, count, self.measured(&mut pass)?))
    }

    /// Measures the model on all samples of a data set of the program's own, whose inputs and targets are as
    /// those of the fit's data, before its transforms.
    ///
    /// # Errors
    /// When the samples are of another kind.
    pub fn measure(&mut self, dataset: Arc<dyn Dataset>) -> Result<Measured> {
        let mut pass = self.data.pass_over(dataset)?;
        self.measured(&mut pass)
    }

    fn measured(&mut self, pass: &mut Pass) -> Result<Measured> {
        let measured = self.task.measure(&mut Measuring::all(pass))?;
        match measured.metrics.iter().find(|(name, value)| *name == "loss" && !value.is_finite()) {
            Some((_, loss)) => bail!(
                "the loss of these samples is {loss}: the weights in {} are damaged, or an input is far from all that the model \
                 has learned from",
                self.source.display()
            ),
            None => Ok(measured),
        }
    }

    /// The outputs for inputs as those of the fit's data ([`Task::predict`]), one after the other. `inputs`
    /// has the numbers of one sample after the other, before the fit's transforms and normalisation, which
    /// they go through here.
    ///
    /// # Errors
    /// When the numbers are not those of whole samples, or the model gives nothing for an input.
    pub fn predict(&mut self, inputs: &[f32]) -> Result<Vec<f32>> {
        let samples = InMemory::new(self.data.dataset().input().clone(), inputs.to_vec())?;
        let mut pass: Pass = self.data.pass_over(Arc::new(samples))?;
        let mut outputs = Vec::new();
        while let Some(batch) = pass.next_batch()? {
            let rows = self.task.predict(&batch)?.f_to(tch::Device::Cpu)?.f_contiguous()?;
            outputs.extend(Vec::<f32>::try_from(rows.f_view([-1])?)?);
        }
        Ok(outputs)
    }

    /// Measures how this classifier recognises the pictures that a conditional model makes: a class's
    /// pictures should be taken for that class.
    ///
    /// # Errors
    /// When the maker makes no pictures of given classes, or they are not of the size or of the classes that
    /// the classifier knows.
    pub fn judge(&mut self, maker: &mut Self, request: &SampleRequest) -> Result<Measured> {
        let Samples::Pictures(Pictures { shape, numbers, classes, .. }) = maker.task.samples(request)? else {
            bail!("the samples are no pictures");
        };
        if classes.is_empty() {
            bail!("the model makes no pictures of a given class: fit one with --set conditional=true");
        }
        let task = self.config.task.clone();
        let no_judge = || anyhow!("{task} is no classifier: it cannot tell what a picture shows");
        let Target::Class { names } = self.data.target().clone() else { return Err(no_judge()) };
        if maker.data.target() != self.data.target() {
            let made = shown(maker.data.target());
            bail!(
                "the model makes pictures of {made}, and the classifier knows {}",
                shown(self.data.target())
            );
        }
        let [channels, height, width] = shape;
        let input = Input::Image { channels, height, width };
        let samples = InMemory::new(input, numbers)?.with_classes(classes, names)?;
        let measured = self.measure(Arc::new(samples))?;
        measured.metrics.contains_key("accuracy").then_some(measured).ok_or_else(no_judge)
    }
}

/// Adds to what is saved the statistics of inputs, the fingerprint of the samples that are learned from, and
/// their kind.
pub(super) fn put_origin<'a>(state: &mut StateDict<'a>, data: &'a FitData) {
    if let Some(Statistics { mean, std }) = data.statistics() {
        state.put_slice(MEAN, &[mean.len()], mean);
        state.put_slice(STD, &[std.len()], std);
    }
    state.put_bytes(FINGERPRINT, data.fingerprint().to_le_bytes().to_vec());
    let dataset = data.dataset();
    let kind = Kind { input: dataset.input().clone(), target: dataset.target().clone() };
    state.put_bytes(KIND, serde_json::to_vec(&kind).unwrap_or_default());
}

/// The part of the data that is saved beside the weights.
struct Origin {
    statistics: Option<Statistics>,
    fingerprint: Option<u64>,
    kind: Option<Kind>,
}

/// The kind of the samples of a fit's data. A model's numbers mean something with the same classes, columns
/// and tokens alone.
#[derive(Debug, Serialize, Deserialize)]
struct Kind {
    input: Input,
    target: Target,
}

impl Kind {
    fn check(&self, given: &dyn Dataset) -> Result<()> {
        if self.target != *given.target() {
            let (fitted, given) = (shown(&self.target), shown(given.target()));
            bail!("the model was fitted to {fitted}, and this data has {given}");
        }
        match (&self.input, given.input()) {
            (Input::Numbers { names: fitted }, Input::Numbers { names: given }) if fitted != given => {
                let (fitted, given) = (list(fitted), list(given));
                bail!(
                    "the model was fitted to the columns {fitted}, and this data has {given}, in this order"
                )
            }
            (Input::Tokens { vocabulary: fitted, .. }, Input::Tokens { vocabulary: given, .. })
                if fitted != given =>
            {
                let (fitted, given) = (fitted.len(), given.len());
                bail!(
                    "the vocabulary of this data ({given} tokens) is not that of the fit ({fitted}): a token's number \
                     would mean another one. It is made of the text's characters, or of the words of the part for \
                     training: give the data and the options of the fit"
                )
            }
            _ => Ok(()),
        }
    }
}

/// Targets in words.
fn shown(target: &Target) -> String {
    match target {
        Target::None => "no targets".into(),
        Target::Class { names } => format!("the classes {}", list(names)),
        Target::Numbers { names } => format!("the targets {}", list(names)),
        Target::Next => "the next token".into(),
    }
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

impl Origin {
    /// Takes it out: the rest belongs to the task.
    fn taken_from(state: &mut StateDict<'static>) -> Result<Self> {
        let view = state.view();
        let fingerprint = match view.has_array(FINGERPRINT) {
            true => view.vec::<u8>(FINGERPRINT)?.try_into().ok().map(u64::from_le_bytes),
            false => None,
        };
        let statistics = match view.has_array(MEAN) {
            true => Some(Statistics { mean: view.vec(MEAN)?, std: view.vec(STD)? }),
            false => None,
        };
        let kind = match view.has_array(KIND) {
            true => serde_json::from_slice(&view.vec::<u8>(KIND)?).ok(),
            false => None,
        };
        state.arrays.retain(|name, _| ![MEAN, STD, FINGERPRINT, KIND].contains(&name.as_str()));
        Ok(Self { statistics, fingerprint, kind })
    }
}
