//! An agent that begins with the weights of another network.

use anyhow::{Context, Result};
use pavlov_agents::Agent;
use pavlov_envs::{ObservationNormalizer, RunningStatistics};
use pavlov_nn::{LoadReport, OtherShape, StateDict};

use super::normalized::{self, is_statistic, without_statistics};
use crate::config::{PretrainedConfig, RunConfig};
use crate::run::{Settings, pretrained};

/// Where an agent's network has its backbone, and where the models of fits have what can become one.
const BACKBONES: [&str; 2] = ["backbone.", "features."];
const ENCODERS: [&str; 3] = ["net.", "encoder.", ""];

/// Gives the agent those of the weights that fit: by their names; else what an encoder or a classifier has in
/// its layers for what the agent has in its backbone, layer by layer.
pub(super) fn load(agent: &mut dyn Agent, config: &PretrainedConfig) -> Result<String> {
    let given = pretrained::read(config)?;
    let mut own = agent.weights()?;
    let report = merge(&mut own, &given, config);
    let told = pretrained::told(&config.path, &report)?;
    agent.load_weights(&own.view())?;
    Ok(told)
}

/// Gives the agent all of the weights, which are those of the same network, and reads the statistics of
/// observations that `normalizer`, if there is one, goes on with. Says what was taken.
pub(super) fn load_whole(
    agent: &mut dyn Agent,
    config: &RunConfig,
    mut normalizer: Option<ObservationNormalizer>,
) -> Result<(String, Option<RunningStatistics>)> {
    let path = &config.pretrained.path;
    pretrained::check_origin(path, &config.origin())?;
    let given = pretrained::read(&config.pretrained)?;
    let mut own = agent.weights()?;
    let mut report = merge(&mut own, &without_statistics(&given), &config.pretrained);
    let has_statistics = given.arrays.keys().any(|name| is_statistic(name));
    let statistics = given.arrays.keys().filter(|name| is_statistic(name));
    match &normalizer {
        Some(_) if !has_statistics => report.missing.push("observation_normalizer".into()),
        None => report.unexpected.extend(statistics.cloned()),
        Some(_) => {}
    }
    if !report.is_complete() || !report.unexpected.is_empty() {
        return Err(pretrained::does_not_fit(path, &report, &toml::Table::try_from(config)?));
    }
    agent.load_weights(&own.view())?;
    if let Some(normalizer) = &mut normalizer {
        normalized::load(&given.view(), normalizer)
            .with_context(|| format!("the statistics of observations in {}", path.display()))?;
    }
    let what = if normalizer.is_some() { " and the statistics of observations" } else { "" };
    let (shown, count) = (path.display(), report.matched.len());
    let told = format!("begins with the weights of {shown}: all {count} arrays{what}");
    Ok((told, normalizer.map(|normalizer| normalizer.statistics().clone())))
}

/// Replaces what fits in `own` by what is given.
fn merge(own: &mut StateDict<'static>, given: &StateDict<'static>, config: &PretrainedConfig) -> LoadReport {
    let mut report = LoadReport::default();
    let mut used = Vec::new();
    for (name, array) in &mut own.arrays {
        let Some((source, found)) =
            candidates(name, config).find_map(|name| given.arrays.get_key_value(&name))
        else {
            report.missing.push(name.clone());
            continue;
        };
        used.push(source.as_str());
        let sides = |shape: &[usize]| shape.iter().map(|&side| side as i64).collect::<Vec<_>>();
        if found.shape == array.shape && found.kind == array.kind {
            *array = found.clone();
            report.matched.push(name.clone());
        } else {
            let (in_file, in_network) = (sides(&found.shape), sides(&array.shape));
            report.other_shape.push(OtherShape { name: name.clone(), in_file, in_network });
        }
    }
    let passed_over = given.arrays.keys().filter(|name| !used.contains(&name.as_str()));
    report.unexpected = passed_over.cloned().collect();
    report
}

/// The names under which a file may have the array of this name.
fn candidates<'c>(name: &'c str, config: &'c PretrainedConfig) -> impl Iterator<Item = String> + 'c {
    let renamed = config.rename.iter().filter_map(move |rename| {
        name.strip_prefix(rename.to.as_str()).map(|rest| format!("{}{rest}", rename.from))
    });
    let layer = BACKBONES.iter().find_map(|backbone| Some(name.split_once(backbone)?.1));
    let of_encoders = layer.into_iter().flat_map(|layer| ENCODERS.map(|start| format!("{start}{layer}")));
    renamed.chain([name.to_string()]).chain(of_encoders)
}
