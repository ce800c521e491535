//! Measures env steps per second with random actions that were drawn beforehand.
//!
//! ```text
//! run="cargo run --release -p pavlov-envs --example steps_per_second --"
//! $run CartPole-v1            one environment, through the trait
//! $run CartPole-v1 1024       as a vector environment
//! $run Acrobot-v1 1024 2      stepped by two threads
//! ```
//!
//! Prints the median of five rounds of half a second.

use std::time::{Duration, Instant};

use pavlov_envs::{
    ActionBatch, EnvError, EnvOptions, EnvSpec, ObsBatch, Registry, SeededRng, Space, StepBatch,
    VectorOptions,
};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(500);
/// Steps between two looks at the clock.
const TOGETHER: usize = 256;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let id = arguments.first().ok_or("say which environment, for instance CartPole-v1")?;
    let number = |place: usize| arguments.get(place).map_or(Ok(0), |text| text.parse::<usize>());
    let (num_envs, threads) = (number(1)?, number(2)?.max(1));
    let spec = Registry::bundled().spec(id)?;
    let rate = if num_envs == 0 { single(&spec)? } else { vector(&spec, num_envs, threads)? };
    println!("{rate:.0}");
    Ok(())
}

/// Actions, `TOGETHER` batches of `rows`.
fn drawn(space: &Space, rows: usize) -> Result<Vec<ActionBatch>, EnvError> {
    let mut rng = SeededRng::seeded(1);
    (0..TOGETHER)
        .map(|_| {
            let mut batch = ActionBatch::new(space, rows)?;
            (0..rows).for_each(|row| batch.sample_row(row, space, &mut rng));
            Ok(batch)
        })
        .collect()
}

/// The env steps per second, as the median over the rounds; each call of `step` makes `count` env steps.
fn measured(count: usize, mut step: impl FnMut(usize) -> Result<(), EnvError>) -> Result<f64, EnvError> {
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let (start, mut steps) = (Instant::now(), 0);
        while start.elapsed() < ROUND {
            (0..TOGETHER).try_for_each(&mut step)?;
            steps += TOGETHER * count;
        }
        rates.push(steps as f64 / start.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[ROUNDS / 2])
}

fn single(spec: &EnvSpec) -> Result<f64, EnvError> {
    let mut env = spec.make(&EnvOptions::default())?;
    let actions = drawn(env.action_space(), 1)?;
    let mut observation = ObsBatch::new(env.observation_space(), 1);
    env.reset(Some(1), observation.row_mut(0))?;
    measured(1, |at| {
        if env.step(actions[at].row(0), observation.row_mut(0))?.end.is_over() {
            env.reset(None, observation.row_mut(0))?;
        }
        Ok(())
    })
}

fn vector(spec: &EnvSpec, num_envs: usize, threads: usize) -> Result<f64, EnvError> {
    let mut envs =
        spec.make_vector(&EnvOptions::default(), &VectorOptions::new(num_envs).threads(threads))?;
    let actions = drawn(envs.action_space(), num_envs)?;
    let mut out = StepBatch::new(envs.observation_space(), num_envs);
    envs.reset(Some(1), &mut out.observations)?;
    measured(num_envs, |at| envs.step(&actions[at], &mut out))
}
