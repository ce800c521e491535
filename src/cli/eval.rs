//! `pavlov eval`: plays whole episodes with a run's policy, or measures a fitted model.

use std::process::ExitCode;

use anyhow::{Result, bail};
use pavlov_agents::ActMode;
use pavlov_envs::wrappers::WrapperConfig;

use super::args::{EvalArgs, first_given};
use super::say::{say, warn_of, warn_of_cut_off};
use crate::config::{AnyConfig, Registries};
use crate::training::{EvaluationOptions, Trained, evaluate};

pub(super) fn eval(registries: &Registries, args: &EvalArgs) -> Result<ExitCode> {
    let (episodes, seed) = (args.episodes.unwrap_or(100), args.seed.unwrap_or(0));
    if let Some(flag) = first_given(&[("--episodes", episodes == 0), ("--envs", args.envs == Some(0))]) {
        bail!("{flag} 0: give at least 1");
    }
    let (folder, config) = super::trust::open(registries, &args.run, &args.open)?;
    if let AnyConfig::Fit(_) = config {
        return super::fit::eval(registries, &folder, args);
    }
    let of_fits = [
        ("--data", args.data.is_some()),
        ("--set", !args.sets.is_empty()),
        ("--samples-of", args.samples_of.is_some()),
        ("--pictures", args.pictures.is_some()),
    ];
    if let Some(flag) = first_given(&of_fits) {
        bail!("{flag} is for the fit of a model, and {} is the training of an agent", args.run.display());
    }
    let device = args.open.device.as_deref();
    let Trained { mut policy, factory, config, source, .. } =
        Trained::open_on(&folder, registries, args.last, device)?;
    let mode = if args.stochastic { ActMode::Explore } else { ActMode::Exploit };
    let num_envs = args.envs.unwrap_or(config.evaluation.num_envs);
    let options = EvaluationOptions { episodes, mode, seed, num_envs, stop: None };
    let result = evaluate(policy.as_mut(), &factory, &options)?;
    warn_of(&factory);
    warn_of_cut_off(result.cut_off, episodes);
    if args.json {
        let summary = serde_json::json!({
            "run": folder.path(),
            "weights": source,
            "episodes": episodes,
            "mean_return": result.mean(),
            "std_return": result.deviation(),
            "standard_error": result.standard_error(),
            "mean_length": result.mean_length(),
            "cut_off": result.cut_off,
            "returns": result.returns,
            "infos": result.info_means(),
        });
        say!("{summary}");
    } else {
        let (mean, deviation, length) = (result.mean(), result.deviation(), result.mean_length());
        say!("{} with {}", config.environment, source.display());
        let error = result.standard_error().map_or_else(String::new, |error| {
            format!(", standard deviation {deviation:.2} (standard error of the mean {error:.2})")
        });
        let plural = if episodes == 1 { "" } else { "s" };
        say!("mean return {mean:.2}{error}, {episodes} episode{plural}");
        say!("mean length {length:.1} steps{}", of_the_world(&config.wrappers));
        for (name, mean) in result.info_means() {
            say!("info {name}: last {:.4}, sum {:.4}", mean.last, mean.sum);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Words on steps of the agent that are several of the world's.
fn of_the_world(wrappers: &[WrapperConfig]) -> String {
    let frames = |wrapper: &WrapperConfig| match wrapper {
        WrapperConfig::FrameSkip { frames, .. } => *frames,
        _ => 1,
    };
    match wrappers.iter().map(frames).product::<u32>() {
        0 | 1 => String::new(),
        frames => format!(" of the agent, each of up to {frames} of the world's"),
    }
}
