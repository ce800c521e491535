//! The review of a training before it begins: how observations and actions are taken, and settings that have
//! no effect.

use anyhow::Result;
use pavlov_agents::{AgentContext, Review};
use pavlov_envs::EnvError;
use pavlov_envs::wrappers::WrapperConfig;

use crate::config::{ActorConfig, Overrides, Registries, RunConfig};

/// Reviews the configuration for the agent's circumstances. `idle` are the wrappers without effect, for which
/// [`EnvFactory::idle_wrappers`](pavlov_envs::EnvFactory::idle_wrappers) makes a world: before others are
/// open, since some exist once.
pub(super) fn review(
    config: &RunConfig,
    registries: &Registries,
    idle: Result<Vec<String>, EnvError>,
    context: &AgentContext,
) -> Result<Review> {
    let mut review = registries.agents.get(&config.agent)?.review(&config.hyperparameters, context)?;
    let usual =
        RunConfig::resolve(registries, &config.agent, &config.environment, &Overrides::default()).ok();
    if let Some(usual) = &usual {
        review.warnings.retain(|warning| !is_of_preset(warning, config, usual));
    }
    review.warnings.extend(idle?);
    review_discount(config, &mut review);
    review_memory(config, &mut review);
    review_intervals(config, usual.as_ref(), &mut review);
    review_threads(config, &mut review);
    Ok(review)
}

/// True for the warning of a setting without effect that the user has not set: of a preset's memory that is
/// turned off, its size may stay.
fn is_of_preset(warning: &str, config: &RunConfig, usual: &RunConfig) -> bool {
    let Some((key, _)) = warning.split_once(" has no effect") else { return false };
    let value = |config: &RunConfig| {
        let mut keys = key.split('.');
        let first = config.hyperparameters.get(keys.next()?)?.clone();
        keys.try_fold(first, |value, key| value.get(key).cloned())
    };
    value(config).is_some_and(|own| value(usual).is_some_and(|usual| usual == own))
}

/// The discount stands in the agent's configuration; the wrapper may have one of its own.
fn review_discount(config: &RunConfig, review: &mut Review) {
    let Some(agents) = config.discount() else { return };
    for wrapper in &config.wrappers {
        if let WrapperConfig::NormalizeReward { discount: Some(own), .. } = wrapper {
            review.warn_if(*own != agents, || {
                format!(
                    "the wrapper `normalize_reward` has a discount of {own}, the agent's is {agents}: leave the wrapper's out \
                     to have it follow the agent's"
                )
            });
        }
    }
}

/// A memory beside a stack of observations.
fn review_memory(config: &RunConfig, review: &mut Review) {
    let memory = config.hyperparameters.get("net").and_then(|net| net.get("recurrent")?.as_str());
    let stack = config.wrappers.iter().find_map(|wrapper| match wrapper {
        WrapperConfig::FrameStack { frames, .. } if *frames > 1 => Some(*frames),
        _ => None,
    });
    if let (Some(memory), Some(frames)) = (memory.filter(|memory| *memory != "off"), stack) {
        review.warnings.push(format!(
            "net.recurrent is \"{memory}\", and the wrapper `frame_stack` shows {frames} observations besides: a memory has \
             more to learn from stacks and is seldom better for them; set wrappers without `frame_stack`, or \
             net.recurrent = \"off\""
        ));
    }
}

/// Intervals that the user has set and that the training does not reach.
fn review_intervals(config: &RunConfig, usual: Option<&RunConfig>, review: &mut Review) {
    let total = config.env_steps;
    // The end of a training logs, evaluates and writes a checkpoint in any case: an interval of a preset that
    // a shorter training does not reach is no mistake.
    let intervals = |config: &RunConfig| {
        [
            ("log.every_env_steps", config.log.every_env_steps, "the log gets one row"),
            ("evaluation.every_env_steps", config.evaluation.every_env_steps, "there is one evaluation"),
            ("checkpoint.every_env_steps", config.checkpoint.every_env_steps, "there is one checkpoint"),
        ]
    };
    let own = intervals(config);
    let usual = usual.map(intervals);
    for (index, (key, every, what)) in own.into_iter().enumerate() {
        let is_usual = usual.is_some_and(|usual| usual[index].1 == every);
        review.warn_if(every > total && !is_usual, || {
            format!("{key} is {every}, and env_steps {total}: {what}, at the end")
        });
    }
    let evaluation = &config.evaluation;
    let films = evaluation.film_every_evaluations;
    let evaluations = total.checked_div(evaluation.every_env_steps).unwrap_or(0);
    let due =
        if evaluation.every_env_steps == 0 { films > 0 } else { films > evaluations && evaluations > 0 };
    review.warn_if(due, || {
        let every = evaluation.every_env_steps;
        format!(
            "evaluation.film_every_evaluations is {films}, and there are {evaluations} evaluations (evaluation.every_env_steps \
             is {every}, env_steps {total}): no film is made"
        )
    });
}

/// Threads that have nothing to do, and settings of actors that are not there.
fn review_threads(config: &RunConfig, review: &mut Review) {
    let RunConfig { env_threads, num_envs, actors, .. } = config;
    review.warn_if(env_threads > num_envs, || {
        format!(
            "env_threads is {env_threads}, and num_envs {num_envs}: a thread steps one environment at least"
        )
    });
    review.warn_if(actors.count == 0 && *actors != ActorConfig::default(), || {
        "actors.* has no effect: actors.count is 0, and one thread acts and learns in turns".into()
    });
}
