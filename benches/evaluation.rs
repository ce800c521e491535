//! Times evaluations of a world beside its bare steps, and prints the seconds of each:
//!
//! ```sh
//! cargo bench --bench evaluation -- gym:Acrobot-v1 random 50
//! cargo bench --bench evaluation -- gym:CartPole-v1 runs/CartPole-v1/... 50
//! ```
//!
//! The arguments are an id, a policy (`random`, or the folder of a run, whose policy acts greedily) and the number of
//! episodes. The bare steps are as many as the evaluation made, in as many processes and environments, by the same
//! policy, without seeds and without a look at what comes of them. Python's start is not counted, and printed apart.

use std::env;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use pavlov::agents::{ActMode, Policy, RandomPolicy};
use pavlov::envs::{ActionBatch, EnvFactory, SeededRng, StepBatch, VectorOptions};
use pavlov::training::{EvaluationOptions, Evaluator, Trained};
use pavlov::{Registries, RunFolder};

/// Rounds; the fastest of each kind counts.
const ROUNDS: u64 = 5;

fn main() -> Result<()> {
    // Cargo adds an argument of its own.
    let arguments: Vec<_> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [id, policy, episodes] = arguments.as_slice() else {
        // Without arguments it is one of all benches.
        println!("give ID, random or RUN, EPISODES");
        return Ok(());
    };
    let registries = Registries::bundled();
    let factory = EnvFactory::by_id(&registries.envs, id)?;
    let episodes = episodes.parse().context("EPISODES is a number")?;
    let mut policy: Box<dyn Policy> = match policy.as_str() {
        "random" => {
            let env = factory.make()?;
            Box::new(RandomPolicy::new(env.observation_space(), env.action_space()))
        }
        run => Trained::open(&RunFolder::open(Path::new(run))?, &registries, false)?.policy,
    };
    let mut evaluator = Evaluator::new(&factory);
    let options = |seed| EvaluationOptions { episodes, seed, ..EvaluationOptions::default() };
    let start = Instant::now();
    let first = evaluator.evaluate(policy.as_mut(), &options(0))?;
    let with_start = start.elapsed().as_secs_f64();

    let num_envs = options(0).num_envs.min(episodes);
    let mut envs = factory.make_vector(&VectorOptions::new(num_envs).threads(0))?;
    let mut out = StepBatch::new(envs.observation_space(), num_envs);
    let mut actions = ActionBatch::new(envs.action_space(), num_envs)?;
    let mut rng = SeededRng::seeded(1);
    envs.reset(Some(1), &mut out.observations)?;
    let (mut evaluation, mut bare, mut all) = (f64::INFINITY, f64::INFINITY, 0);
    for round in 1..=ROUNDS {
        let start = Instant::now();
        let result = evaluator.evaluate(policy.as_mut(), &options(round))?;
        let steps = result.lengths.iter().sum::<u64>();
        let evaluated = start.elapsed().as_secs_f64() / steps as f64;
        let (start, mut made) = (Instant::now(), 0);
        while made < steps {
            policy.act(&out.observations, ActMode::Exploit, &mut rng, &mut actions)?;
            envs.step(&actions, &mut out)?;
            made += num_envs as u64;
        }
        let stepped = start.elapsed().as_secs_f64() / made as f64;
        (evaluation, bare, all) = (evaluation.min(evaluated), bare.min(stepped), all + steps);
    }
    let mean = all as f64 / (ROUNDS as f64 * episodes as f64);
    println!(
        "{id}: {episodes} episodes of {mean:.0} steps, {num_envs} environments, return {:.1}",
        first.mean()
    );
    println!("microseconds for a step: evaluation {:.1}, bare {:.1}", 1e6 * evaluation, 1e6 * bare);
    println!("ratio {:.2}; the first evaluation took {with_start:.2} s", evaluation / bare);
    Ok(())
}
