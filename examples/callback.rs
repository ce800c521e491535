//! A callback in a training: it prints each evaluation, adds scalars of its own to `progress.csv` and
//! TensorBoard, and ends the training when three evaluations in a row were good.
//!
//! ```text
//! cargo run --release --example callback                          # until the callback stops it
//! cargo run --release --example callback train ppo CartPole-v1    # the whole command line, with the callback
//! ```

use std::process::ExitCode;

use anyhow::{Result, ensure};
use pavlov::nn::{StateDict, StateView};
use pavlov::run::{Evaluated, LogRow, RunView, StopReason};
use pavlov::{Callback, Outcome, Registries, train};

/// The return that an evaluation must reach to be good.
const GOOD: f64 = 400.0;

#[derive(Default)]
struct Watch {
    /// Evaluations so far.
    evaluations: u64,
    /// Good ones in a row.
    good: u64,
    /// The share of the latest evaluation's episodes that were not good.
    bad_share: Option<f64>,
}

impl Callback for Watch {
    fn on_start(&mut self, run: &mut RunView<'_>) -> Result<()> {
        println!("{} in {}", run.origin(), run.folder().path().display());
        Ok(())
    }

    fn on_evaluation(&mut self, evaluated: &Evaluated, run: &mut RunView<'_>) -> Result<()> {
        // A fit has no episodes.
        let Some(episodes) = &evaluated.episodes else { return Ok(()) };
        let bad = episodes.returns.iter().filter(|episode_return| **episode_return < GOOD).count();
        self.bad_share = Some(bad as f64 / episodes.returns.len() as f64);
        self.evaluations += 1;
        self.good = if episodes.mean() >= GOOD { self.good + 1 } else { 0 };
        println!(
            "evaluation {}: after {} env steps {:.1}, from {:?}",
            self.evaluations,
            run.env_steps(),
            episodes.mean(),
            episodes.returns
        );

        if self.good >= 3 {
            run.stop(format!("three evaluations in a row reached {GOOD}"));
        }
        Ok(())
    }

    /// The row of an evaluation is written after it.
    fn on_row(&mut self, row: &mut LogRow<'_>, run: &mut RunView<'_>) -> Result<()> {
        row.add("own/updates_per_env_step", run.updates() as f64 / run.env_steps().max(1) as f64)?;
        if let Some(share) = self.bad_share.take() {
            row.add("own/bad_episodes", share)?;
        }
        Ok(())
    }

    /// A resumed run counts on.
    fn put_state(&self, state: &mut StateDict<'_>) -> Result<()> {
        Ok(state.put_value("counts", &(self.evaluations, self.good))?)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<()> {
        (self.evaluations, self.good) = state.value("counts")?;
        Ok(())
    }

    fn on_end(&mut self, outcome: &Outcome, _: &mut RunView<'_>) -> Result<()> {
        println!("{:?} after {} evaluations", outcome.reason, self.evaluations);
        Ok(())
    }
}

fn main() -> Result<ExitCode> {
    let mut registries = Registries::bundled();
    // Every run of this program has it. `pavlov::train_with` and `Session::with_callback` give it to one.
    registries.callbacks.register(Watch::default);
    if std::env::args().len() > 1 {
        return Ok(pavlov::cli::main(&registries));
    }
    let settings = ["num_envs=8", "env_steps=200000", "evaluation.every_env_steps=8192"];
    let outcome = train(&registries, "ppo", "CartPole-v1", &settings)?;
    ensure!(outcome.reason == StopReason::Callback, "the pole was not balanced: {outcome:?}");
    println!("stopped: {}", outcome.why.unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}
