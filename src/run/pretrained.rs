//! Weights of other runs and of other frameworks, to begin with.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use pavlov_common::files::read_text;
use pavlov_nn::{LoadReport, StateDict, weights};
use toml::{Table, Value};

use super::notes::{Difference, differences};
use super::{CONFIG, Origin, RunFolder};
use crate::config::PretrainedConfig;
use crate::files::for_shell;

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

/// The most bytes of a configuration that is looked at.
const MOST_BYTES: u64 = 4 << 20;

/// The configuration of the run that weights come from; `None` where they come from a file. It is not checked:
/// nothing of it but its words is used.
fn config_of(path: &Path) -> Option<Table> {
    read_text(&path.join(CONFIG), MOST_BYTES).ok()?.parse().ok()
}

/// Refuses the run in `path` if it is of another agent or task than `origin`.
///
/// # Errors
/// When it is.
pub(crate) fn check_origin(path: &Path, origin: &Origin) -> Result<()> {
    let Some(config) = config_of(path) else { return Ok(()) };
    let shown = path.display();
    let named = ["agent", "task"].into_iter().find_map(|kind| Some((kind, config.get(kind)?.as_str()?)));
    match named {
        Some((kind, name)) if (kind, name) != (origin.kind.as_str(), origin.name.as_str()) => bail!(
            "the run {shown} is of the {kind} `{name}`, this one is of the {} `{}`: a run begins with all weights of \
             another one of its kind; --set net.pretrained={} takes what fits",
            origin.kind,
            origin.name,
            for_shell(path)
        ),
        _ => Ok(()),
    }
}

/// The error of weights that are not those of this run's network: the first difference, and the settings that can
/// be its cause.
///
/// `own` is this run's configuration.
pub(crate) fn does_not_fit(path: &Path, report: &LoadReport, own: &Table) -> anyhow::Error {
    let first = report.other_shape.first().map_or_else(
        || match (report.missing.first(), report.unexpected.first()) {
            (Some(name), _) => format!("`{name}` is not there"),
            (None, Some(name)) => format!("`{name}` is there and not here"),
            (None, None) => "they are others".into(),
        },
        |other| format!("`{}` is {:?} there and {:?} here", other.name, other.in_file, other.in_network),
    );
    let shown = path.display();
    let there = config_of(path);
    let settings = there.as_ref().map(|there| other_settings(there, own)).unwrap_or_default();
    let settings = match settings.is_empty() {
        true => String::new(),
        false => format!("; other settings there: {}", settings.join(", ")),
    };
    anyhow!(
        "the weights of {shown} are not those of this run's network: {first}{settings}. Set this run's to the same, or \
         take what fits with --set net.pretrained={}",
        for_shell(path)
    )
}

/// The settings of networks, observations and actions that differ.
fn other_settings(there: &Table, here: &Table) -> Vec<String> {
    let decides = |key: &str| {
        ["net.", "environment", "wrappers", "data."].iter().any(|start| key.starts_with(start))
            && key != "data.path"
    };
    let word = |value: Option<&Value>| value.map_or_else(|| "unset".into(), Value::to_string);
    differences(there, here)
        .into_iter()
        .filter(|difference| decides(&difference.key))
        .map(|Difference { key, one, other }| format!("{key} {} (here {})", word(one), word(other)))
        .collect()
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
