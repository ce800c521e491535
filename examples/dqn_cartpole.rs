//! Trains DQN on CartPole-v1 until an evaluation reads 475, then plays twenty episodes with the best weights.
//!
//! ```text
//! cargo run --release --example dqn_cartpole
//! ```

use anyhow::Result;
use pavlov::run::Terminal;
use pavlov::training::{EvaluationOptions, Trained, evaluate};
use pavlov::{Overrides, Registries, RunConfig, RunFolder, Session, Training};

fn main() -> Result<()> {
    let registries = Registries::bundled();

    // The preset of the two, and what differs from it: any key that `pavlov config dqn CartPole-v1` prints.
    let sets = ["seed=0", "evaluation.until_return=475", "evaluation.every_env_steps=2500"];
    let overrides = Overrides { file: None, sets: sets.map(String::from).to_vec() };
    let config = RunConfig::resolve(&registries, "dqn", "CartPole-v1", &overrides)?;

    // A run is a folder: configuration, log, checkpoints, best weights.
    let folder = RunFolder::create(None, &config)?;
    let mut session = Session::start(Training::new(config, &registries)?, folder.clone())?;
    let outcome = session.run(&false.into(), &mut Terminal::new())?;
    println!("{:?} after {} env steps in {:.1} s", outcome.reason, outcome.env_steps, outcome.seconds);

    // The best policy so far, on environments of its own.
    let mut trained = Trained::open(&folder, &registries, false)?;
    let options = EvaluationOptions { episodes: 20, seed: 1, ..EvaluationOptions::default() };
    let result = evaluate(trained.policy.as_mut(), &trained.factory, &options)?;
    println!("mean return of 20 episodes: {:.1}", result.mean());
    println!("watch it: tensorboard --logdir {}", folder.path().display());
    Ok(())
}
