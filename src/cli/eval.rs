//! `pavlov eval`: plays whole episodes with a run's policy, or measures a fitted model.

use std::process::ExitCode;

use anyhow::{Result, bail};
use pavlov_agents::ActMode;

use super::args::{EvalArgs, first_given};
use super::say::{say, warn_of};
use crate::config::{AnyConfig, Registries};
use crate::training::{Trained, evaluate};

pub(super) fn eval(registries: &Registries, args: &EvalArgs) -> Result<ExitCode> {
    let (episodes, seed) = (args.episodes.unwrap_or(100), args.seed.unwrap_or(0));
    if episodes == 0 {
        bail!("--episodes 0: give at least 1");
    }
    let (folder, config) = super::trust::open(registries, &args.run, args.trust)?;
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
    let Trained { mut policy, factory, config, source } = Trained::open(&folder, registries, args.last)?;
    let mode = if args.stochastic { ActMode::Explore } else { ActMode::Exploit };
    let result = evaluate(policy.as_mut(), &factory, episodes, mode, seed)?;
    warn_of(&factory);
    if args.json {
        let summary = serde_json::json!({
            "run": folder.path(),
            "weights": source,
            "episodes": episodes,
            "mean_return": result.mean(),
            "std_return": result.deviation(),
            "mean_length": result.mean_length(),
            "returns": result.returns,
        });
        say!("{summary}");
    } else {
        let (mean, deviation, length) = (result.mean(), result.deviation(), result.mean_length());
        say!("{episodes} episodes of {} with {}", config.environment, source.display());
        say!("return {mean:.2} +- {deviation:.2}, length {length:.1}");
    }
    Ok(ExitCode::SUCCESS)
}
