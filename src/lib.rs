//! Pavlov: reinforcement learning in Rust on libtorch.
//!
//! This crate is the application and the training runtime. It re-exports the crates below it:
//!
//! * [`envs`]: environments, spaces, wrappers, vector environments, their registry and laws;
//! * [`nn`]: the network core on libtorch;
//! * [`agents`]: policies, replay and algorithms;
//! * [`data`]: data sets, readers, transforms, batches;
//! * [`tasks`]: classifiers, autoencoders, GANs, language models;
//! * [`common`]: generators of random numbers, tables of settings;
//! * [`tch`] and [`rand`]: tensors and generators, in the versions that the crates above take.
//!
//! Training in a program of your own, with an environment of your own, takes a few lines:
//!
//! ```no_run
//! use pavlov::{Registries, train};
//!
//! let mut registries = Registries::bundled();
//! // registries.envs.register(EnvSpec::new("MyWorld-v0", |_| Ok(Box::new(MyWorld::new()))))?;
//! let outcome = train(&registries, "dqn", "CartPole-v1", &["seed=1", "evaluation.until_return=475"])?;
//! println!("{:?}", outcome.best_evaluation);
//! # Ok::<(), anyhow::Error>(())
//! ```
//!
//! [`cli::main`] gives a program all commands of `pavlov`, for its own environments and agents.

pub mod cli;
pub mod config;
mod distributed;
mod files;
pub mod fitting;
mod parallel;
pub mod play;
pub mod plot;
pub mod record;
pub mod run;
mod tell;
pub mod training;

/// The examples of the page are compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/how-do-i.md")]
struct HowDoI;

use std::sync::atomic::AtomicBool;

pub use pavlov_agents as agents;
pub use pavlov_common as common;
pub use pavlov_data as data;
pub use pavlov_envs as envs;
pub use pavlov_nn as nn;
pub use pavlov_tasks as tasks;
/// The traits of generators: [`common::SeededRng`] is one, `use pavlov::rand::RngExt` brings its draws.
pub use rand;
/// libtorch's tensors: the version that networks, losses and learners here take.
pub use tch;

pub use config::{FitConfig, Overrides, Registries, RunConfig, presets};
pub use fitting::{Fit, Fitted};
pub use run::{Callback, Outcome, RunFolder, Session};
pub use training::Training;

/// Trains `agent` on `environment` with the preset of the two and `key=value` settings. The run has a new
/// folder below `runs/`, and a line of progress on the standard error.
///
/// # Errors
/// When a name or setting is wrong, or the training fails; the message says what to do.
pub fn train(
    registries: &Registries,
    agent: &str,
    environment: &str,
    sets: &[&str],
) -> anyhow::Result<Outcome> {
    run_training(registries, agent, environment, sets, Vec::new())
}

/// [`train`] with a callback of the program's own, beside those that are registered.
///
/// # Errors
/// When a name or setting is wrong, or the training or the callback fails; the message says what to do.
pub fn train_with(
    registries: &Registries,
    agent: &str,
    environment: &str,
    sets: &[&str],
    callback: impl Callback + 'static,
) -> anyhow::Result<Outcome> {
    run_training(registries, agent, environment, sets, vec![Box::new(callback)])
}

fn run_training(
    registries: &Registries,
    agent: &str,
    environment: &str,
    sets: &[&str],
    callbacks: Vec<Box<dyn Callback>>,
) -> anyhow::Result<Outcome> {
    let sets = sets.iter().map(ToString::to_string).collect();
    let config = RunConfig::resolve(registries, agent, environment, &Overrides { file: None, sets })?;
    let folder = RunFolder::create(None, &config)?;
    let session = Session::start(Training::new(config, registries)?, folder)?;
    let mut session = session.with_callbacks(registries.callbacks.make())?.with_callbacks(callbacks)?;
    session.run(&AtomicBool::new(false), &mut run::Terminal::new())
}

/// Fits `task` to the data set `data` with the preset of the two and `key=value` settings. The run has a new
/// folder below `runs/`, which is given back to be opened as [`fitting::Fitted`], and a line of progress on
/// the standard error.
///
/// # Errors
/// When a name or setting is wrong, or the fit fails; the message says what to do.
pub fn fit(
    registries: &Registries,
    task: &str,
    data: &str,
    sets: &[&str],
) -> anyhow::Result<(RunFolder, Outcome)> {
    let sets = sets.iter().map(ToString::to_string).collect();
    let config = FitConfig::resolve(registries, task, data, &Overrides { file: None, sets })?;
    let config = config.anchored()?;
    let job = Fit::new(config.clone(), registries)?;
    let folder = RunFolder::create(None, &config)?;
    let mut session = Session::start(job, folder.clone())?.with_callbacks(registries.callbacks.make())?;
    let outcome = session.run(&AtomicBool::new(false), &mut run::Terminal::new())?;
    Ok((folder, outcome))
}
