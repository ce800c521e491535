//! Weights of other runs and of other frameworks, to begin with.

use std::path::Path;

use anyhow::{Context, Result, bail};
use pavlov_nn::{LoadReport, StateDict, weights};

use super::RunFolder;
use crate::config::PretrainedConfig;

/// The weights that a configuration names: a run's best ones, or those of a file.
///
/// # Errors
/// When there are none, or they are damaged.
pub(crate) fn read(config: &PretrainedConfig) -> Result<StateDict<'static>> {
    let shown = config.path.display();
    let file = match config.path.is_dir() {
        true => {
            let best = RunFolder::open(&config.path).context("pretrained.path")?.best_weights();
            if !best.exists() {
                bail!("pretrained.path: the run {shown} has no best weights yet: let it evaluate once");
            }
            best
        }
        false => config.path.clone(),
    };
    weights::read(&file).with_context(|| format!("pretrained.path: the weights in {shown} cannot be read"))
}

/// The report of a load in words, for the user.
///
/// # Errors
/// When nothing of the file fits the network.
pub(crate) fn told(path: &Path, report: &LoadReport) -> Result<String> {
    let shown = path.display();
    if report.matched.is_empty() {
        bail!(
            "pretrained.path: nothing in {shown} fits the network: {report}. Give the same layers, or name pairs in \
             pretrained.rename"
        );
    }
    Ok(format!("pretrained weights of {shown}: {report}"))
}
