//! The settings that matter, for the user, at the start of a training.

use pavlov_common::nearest;
use pavlov_nn::device;

use crate::config::{Overrides, Registries, RunConfig};
use crate::run::{differences, leaves};

/// The most settings that are listed.
const MOST: usize = 12;
/// Settings that have their own place in the summary.
const APART: [&str; 9] = [
    "seed",
    "env_steps",
    "num_envs",
    "device",
    "actors.count",
    "wrappers",
    "pretrained.path",
    "pretrained.rename",
    "pretrained.whole",
];

/// A few lines on what a training of this configuration is, and how it differs from its preset or, where there is
/// none, from the agent's defaults.
pub(super) fn summary(registries: &Registries, config: &RunConfig) -> Vec<String> {
    let preset = registries.presets.id(&config.agent, &config.environment);
    let plural = |count: usize, of: &str| format!("{count} {of}{}", if count == 1 { "" } else { "s" });
    let mut first = vec![
        format!("seed {}", config.seed),
        format!("{} env steps", config.env_steps),
        plural(config.num_envs, "environment"),
    ];
    if config.actors.count > 0 {
        first.push(plural(config.actors.count, "actor"));
    }
    first.push(match device::parse(&config.device) {
        Ok(device) => device::name(device),
        Err(_) => config.device.clone(),
    });
    let (of, before) = if preset.is_some() { ("the preset", "the preset, ") } else { ("the defaults", "") };
    let mut lines = Vec::from_iter(of_preset(registries, config, preset));
    lines.push(format!("  {before}{}", first.join(", ")));
    let differing = differing(registries, config);
    if !differing.is_empty() {
        let shown = differing[..differing.len().min(MOST)].join(", ");
        let more = match differing.len().saturating_sub(MOST) {
            0 => String::new(),
            more => format!(" and {more} more (config.toml has all)"),
        };
        lines.push(format!("  beside {of}: {shown}{more}"));
    }
    if !config.wrappers.is_empty() {
        let shown: Vec<_> = config.wrappers.iter().map(wrapper).collect();
        lines.push(format!("  wrappers, the innermost first: {}", shown.join(", ")));
    }
    lines
}

/// A line on the preset, unless it is the world's own.
fn of_preset(registries: &Registries, config: &RunConfig, preset: Option<&str>) -> Option<String> {
    let (agent, environment) = (&config.agent, &config.environment);
    match preset {
        Some(id) if id == environment => return None,
        Some(id) => return Some(format!("with the preset of {id}; --set and --config override it")),
        None => {}
    }
    let pairs = registries.presets.pairs();
    let ids: Vec<_> = pairs.into_iter().filter(|(name, _)| name == agent).map(|(_, id)| id).collect();
    let like = match nearest(environment, ids.iter().map(String::as_str)) {
        Some(id) => format!("; `pavlov config {agent} {id}` prints that of the world with the nearest name"),
        None => String::new(),
    };
    let list = if ids.is_empty() { "" } else { ". `pavlov agents` lists the worlds that have one" };
    Some(format!(
        "no preset for {agent} on {environment}: the agent's defaults are taken for what --set and --config do not \
         say{like}{list}"
    ))
}

/// The settings that are not those of the preset.
fn differing(registries: &Registries, config: &RunConfig) -> Vec<String> {
    let usual =
        RunConfig::resolve(registries, &config.agent, &config.environment, &Overrides::default()).ok();
    let tables = usual.and_then(|usual| Some((table(&usual)?, table(config)?)));
    let Some((usual, own)) = tables else { return Vec::new() };
    let others = differences(&usual, &own).into_iter();
    let others = others.filter(|setting| !APART.contains(&setting.key.as_str()));
    others.filter_map(|setting| Some(format!("{} {}", setting.key, setting.other?))).collect()
}

fn table(config: &RunConfig) -> Option<toml::Table> {
    toml::Table::try_from(config).ok()
}

/// A wrapper's kind with its settings.
fn wrapper(wrapper: &pavlov_envs::wrappers::WrapperConfig) -> String {
    let Ok(mut table) = toml::Table::try_from(wrapper) else { return format!("{wrapper:?}") };
    let kind = table.remove("kind");
    let kind = kind.as_ref().and_then(toml::Value::as_str).unwrap_or("?").to_string();
    let settings: Vec<_> = leaves(&table).iter().map(|(key, value)| format!("{key} {value}")).collect();
    if settings.is_empty() { kind } else { format!("{kind} ({})", settings.join(", ")) }
}
