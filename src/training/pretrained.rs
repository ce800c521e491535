//! An agent that begins with the weights of another network.

use anyhow::Result;
use pavlov_agents::Agent;
use pavlov_nn::{LoadReport, OtherShape, StateDict};

use crate::config::PretrainedConfig;
use crate::run::pretrained;

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
