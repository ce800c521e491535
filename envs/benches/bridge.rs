//! Measures env steps per second and prints one number:
//!
//! ```sh
//! cargo bench -p pavlov-envs --bench bridge -- gym:CartPole-v1 8 2 5 'python = "python3"'
//! ```
//!
//! The arguments are an id, the number of environments, the number of threads or processes that step them,
//! the seconds, and options as TOML. Actions are drawn at random beforehand.

use std::env;
use std::error::Error;
use std::time::{Duration, Instant};

use pavlov_envs::{ActionBatch, EnvOptions, Registry, SeededRng, StepBatch, VectorOptions};

/// Steps before the clock starts.
const WARM_UP: usize = 200;
/// Batches of actions, taken in turn.
const ACTIONS: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds an argument of its own.
    let arguments: Vec<_> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [id, num_envs, threads, seconds, options] = arguments.as_slice() else {
        return Err("give ID, NUM_ENVS, THREADS, SECONDS, OPTIONS".into());
    };
    let options = EnvOptions::new(options.parse()?);
    let vector = VectorOptions::new(num_envs.parse()?).threads(threads.parse()?);
    let mut env = Registry::bundled().spec(id)?.make_vector(&options, &vector)?;
    let mut rng = SeededRng::seeded(1);
    let mut batches = Vec::new();
    for _ in 0..ACTIONS {
        let mut batch = ActionBatch::new(env.action_space(), vector.num_envs)?;
        (0..vector.num_envs).for_each(|row| batch.sample_row(row, env.action_space(), &mut rng));
        batches.push(batch);
    }
    let mut out = StepBatch::new(env.observation_space(), vector.num_envs);
    env.reset(Some(1), &mut out.observations)?;
    for batch in batches.iter().cycle().take(WARM_UP) {
        env.step(batch, &mut out)?;
    }
    let limit = Duration::try_from_secs_f64(seconds.parse()?)?;
    let (start, mut steps) = (Instant::now(), 0);
    for batch in batches.iter().cycle().take_while(|_| start.elapsed() < limit) {
        env.step(batch, &mut out)?;
        steps += vector.num_envs;
    }
    println!("{:.1}", steps as f64 / start.elapsed().as_secs_f64());
    Ok(())
}
