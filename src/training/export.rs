//! A policy for other programs: its weights, a description of its network, and actions to compare with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pavlov_agents::networks::{ObservationPart, PartKind};
use pavlov_agents::{Encoder, NetConfig};
use pavlov_common::{SeededRng, derive_seed};
use pavlov_envs::wrappers::WrapperConfig;
use pavlov_envs::{ACTION_MASK, ActionBatch, Dtype, Env, ObsBatch, ObsLayout, OwnedAction, Space};
use pavlov_nn::{StateDict, weights};
use serde_json::{Value, json};

use super::job::Training;
use super::normalized::is_statistic;
use super::trained::Trained;
use crate::config::{Registries, RunConfig};
use crate::files::write_whole;
use crate::run::{Checkpoint, RunFolder};

/// The version of `policy.json`.
const FORMAT: u32 = 1;

/// The exported policy.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The file or folder from which the weights were read.
    pub source: PathBuf,
    /// The arrays of weights and statistics.
    pub arrays: usize,
    /// The steps whose observations and actions were written.
    pub steps: usize,
}

/// Writes the policy of a run into the folder `to`: `weights.safetensors`, `policy.json` with all that is needed to
/// build the network elsewhere, and `check.safetensors` with the observations of `steps` steps and the best
/// actions for them. `last` takes the last checkpoint's weights instead of the best ones; a device replaces the
/// configuration's.
///
/// # Errors
/// When the run has no weights, its environment fails, or the folder cannot be written.
pub fn export(
    folder: &RunFolder,
    registries: &Registries,
    (last, device): (bool, Option<&str>),
    to: &Path,
    steps: usize,
) -> Result<Exported> {
    let mut trained = Trained::open_on(folder, registries, last, device)?;
    let state = weights_of(&trained, registries)?;
    let description = describe(&mut trained)?;
    fs::create_dir_all(to).with_context(|| format!("{} cannot be written", to.display()))?;
    write_whole(&to.join("policy.json"), serde_json::to_string_pretty(&description)? + "\n")?;
    weights::write(&to.join("weights.safetensors"), &state)?;
    weights::write(&to.join("check.safetensors"), &record(&mut trained, steps)?)?;
    Ok(Exported { source: trained.source, arrays: state.arrays.len(), steps })
}

/// The weights, and the statistics of normalised observations.
fn weights_of(trained: &Trained, registries: &Registries) -> Result<StateDict<'static>> {
    if trained.source.is_file() {
        return Ok(weights::read(&trained.source)?);
    }
    let checkpoint = Checkpoint { path: trained.source.clone(), step: 0 };
    let state = checkpoint.read()?;
    let mut agent = Training::agent(&trained.config, registries)?;
    agent.load_state(&state.view().part("agent"))?;
    let mut weights = agent.weights()?;
    weights.arrays.extend(state.arrays.into_iter().filter(|(name, _)| is_statistic(name)));
    Ok(weights)
}

fn describe(trained: &mut Trained) -> Result<Value> {
    let (observations, actions) = (trained.observation_space()?.clone(), trained.action_space()?.clone());
    let RunConfig { agent, environment, hyperparameters, wrappers, .. } = &trained.config;
    let net: NetConfig = match hyperparameters.get("net") {
        Some(net) => net.clone().try_into()?,
        None => NetConfig::default(),
    };
    let encoder = Encoder::for_networks(&observations, &net)?;
    let layout = ObsLayout::new(&observations);
    let flag = |table: &str, key: &str| {
        let table =
            if table.is_empty() { Some(hyperparameters) } else { hyperparameters.get(table)?.as_table() };
        table?.get(key)?.as_bool()
    };
    let normalizer = wrappers.iter().find_map(|wrapper| match wrapper {
        WrapperConfig::NormalizeObservation { clip, epsilon } => Some(json!({
            "places": normalized_places(&observations), "clip": clip, "epsilon": epsilon,
        })),
        _ => None,
    });
    let leaves: Vec<_> = layout
        .leaves
        .iter()
        .map(|leaf| {
            let dtype = if leaf.dtype == Dtype::F32 { "f32" } else { "u8" };
            json!({ "name": leaf.name, "type": dtype, "shape": leaf.shape, "begin": leaf.range.start })
        })
        .collect();
    Ok(json!({
        "format": FORMAT,
        "agent": agent,
        "environment": environment,
        "wrappers": wrappers,
        "observation": {
            "space": observations.to_string(),
            "floats": layout.floats,
            "bytes": layout.bytes,
            "leaves": leaves,
            "codes": encoder.codes(),
            "mask": encoder.mask_range().map(|range| [range.start, range.end]),
            "normalizer": normalizer,
            "parts": encoder.parts().iter().map(part).collect::<Vec<_>>(),
        },
        "net": net,
        "dueling": flag("", "dueling").unwrap_or(false),
        "state_dependent": flag("exploration", "state_dependent").unwrap_or(false),
        "action": action(&actions),
    }))
}

fn part(part: &ObservationPart) -> Value {
    let ObservationPart { key, kind, begin } = part;
    match kind {
        PartKind::Numbers { shape } => json!({ "key": key, "begin": begin, "numbers": shape }),
        PartKind::Image(image) => json!({
            "key": key,
            "begin": begin,
            "image": [image.channels, image.height, image.width],
            "channels_first": image.channels_first,
        }),
        PartKind::Tokens { count, vocabulary } => {
            json!({ "key": key, "begin": begin, "tokens": count, "vocabulary": vocabulary })
        }
    }
}

fn action(space: &Space) -> Value {
    match space {
        Space::Discrete(n) => json!({ "discrete": n }),
        Space::MultiDiscrete(counts) => json!({ "multi_discrete": counts }),
        Space::MultiBinary(n) => json!({ "multi_binary": n }),
        Space::Box(space) => json!({ "low": bounds(&space.low), "high": bounds(&space.high) }),
        Space::Dict(_) => Value::Null,
    }
}

/// Bounds, of which JSON has no infinite ones.
fn bounds(bounds: &[f32]) -> Vec<f32> {
    bounds.iter().map(|bound| bound.clamp(f32::MIN, f32::MAX)).collect()
}

/// The places among an observation's floats that `normalize_observation` normalises: boxes of `f32`.
fn normalized_places(space: &Space) -> Vec<usize> {
    fn boxes(space: &Space, key: &str, found: &mut Vec<bool>) {
        match space {
            Space::Dict(entries) => entries.iter().for_each(|(key, entry)| boxes(entry, key, found)),
            leaf => {
                let is_box = matches!(leaf, Space::Box(space) if space.dtype == Dtype::F32);
                found.push(is_box && key != ACTION_MASK);
            }
        }
    }
    let mut found = Vec::new();
    boxes(space, "", &mut found);
    let leaves = ObsLayout::new(space).leaves.into_iter().zip(found);
    leaves.filter(|(_, is_box)| *is_box).flat_map(|(leaf, _)| leaf.range).collect()
}

/// Observations of so many steps and the best actions for them. Every other step of the world is made with an
/// action at random, so that more of it is seen.
fn record(trained: &mut Trained, steps: usize) -> Result<StateDict<'static>> {
    let mut env = trained.factory.make()?;
    let mut observation = ObsBatch::new(env.observation_space(), 1);
    let mut random = ActionBatch::new(env.action_space(), 1)?;
    let mut rng = SeededRng::seeded(derive_seed(trained.config.seed, "export", 0));
    let (mut floats, mut bytes, mut actions, mut starts) = (vec![], vec![], vec![], vec![]);
    let mut begins = true;
    for step in 0..steps {
        if begins {
            env.reset((step == 0).then_some(0), observation.row_mut(0))?;
            trained.forget();
        }
        let action = trained.predict_observation(observation.row(0))?;
        floats.extend_from_slice(observation.floats());
        bytes.extend_from_slice(observation.bytes());
        starts.push(f32::from(begins));
        match &action {
            OwnedAction::Discrete(choice) => actions.push(*choice as f32),
            OwnedAction::MultiDiscrete(choices) => {
                actions.extend(choices.iter().map(|choice| *choice as f32));
            }
            OwnedAction::Box(point) => actions.extend_from_slice(point),
        }
        random.sample_row(0, env.action_space(), &mut rng);
        let taken = if step % 2 == 0 { action.as_action() } else { random.row(0) };
        begins = step_of(env.as_mut(), taken, &mut observation)?;
    }
    let mut state = StateDict::new();
    let mut put = |name: &str, numbers: &[f32]| -> Result<()> {
        let tensor = tch::Tensor::f_from_slice(numbers)?.f_view([steps as i64, -1])?;
        Ok(state.put_tensor(name, &tensor)?)
    };
    put("actions", &actions)?;
    put("starts", &starts)?;
    if !floats.is_empty() {
        put("floats", &floats)?;
    }
    if !bytes.is_empty() {
        state.put_tensor("bytes", &tch::Tensor::f_from_slice(&bytes)?.f_view([steps as i64, -1])?)?;
    }
    Ok(state)
}

/// Makes a step; true if the agent's episode ended.
fn step_of(env: &mut dyn Env, action: pavlov_envs::Action<'_>, observation: &mut ObsBatch) -> Result<bool> {
    Ok(env.step(action, observation.row_mut(0))?.end.is_over())
}
