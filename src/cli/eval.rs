//! `pavlov eval`.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use pavlov_agents::ActMode;
use pavlov_envs::EnvOptions;
use pavlov_nn::weights;

use super::args::EvalArgs;
use crate::config::Registries;
use crate::run::RunFolder;
use crate::training::{Session, evaluate};

pub(super) fn eval(registries: &Registries, args: &EvalArgs) -> Result<ExitCode> {
    if args.episodes == 0 {
        bail!("--episodes 0: give at least 1");
    }
    let folder = RunFolder::open(&args.run)?;
    let config = folder.config(registries)?;
    let mut agent = Session::agent(&config, registries)?;
    let best = folder.best_weights();
    let source = if best.exists() && !args.last {
        let state = weights::read(&best)?;
        agent.load_weights(&state.view())?;
        best
    } else {
        let Some(latest) = folder.checkpoints().list()?.pop() else {
            bail!(
                "{} has neither best weights nor a checkpoint yet: train it first",
                folder.path().display()
            );
        };
        let state = latest.read()?;
        agent.load_state(&state.view().part("agent")).context("the checkpoint does not fit the agent")?;
        latest.path
    };
    let spec = registries.envs.spec(&config.environment)?;
    let options = EnvOptions::new(config.environment_options.clone());
    let mode = if args.stochastic { ActMode::Explore } else { ActMode::Exploit };
    let mut policy = agent.policy()?;
    let result = evaluate(policy.as_mut(), &spec, &options, args.episodes, mode, args.seed)?;
    if args.json {
        let summary = serde_json::json!({
            "run": folder.path(),
            "weights": source,
            "episodes": args.episodes,
            "mean_return": result.mean(),
            "std_return": result.deviation(),
            "mean_length": result.mean_length(),
            "returns": result.returns,
        });
        println!("{summary}");
    } else {
        let (mean, deviation, length) = (result.mean(), result.deviation(), result.mean_length());
        println!("{} episodes of {} with {}", args.episodes, config.environment, source.display());
        println!("return {mean:.2} +- {deviation:.2}, length {length:.1}");
    }
    Ok(ExitCode::SUCCESS)
}
