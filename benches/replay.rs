//! The replay with Atari's observations, four frames of 84 x 84 bytes, prioritised: steps in, batches of 256 out.
//!
//! `PAVLOV_REPLAY=100000 cargo bench --bench replay` sets how many transitions it holds; at 28 KB an observation they do
//! not fit any cache.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pavlov::agents::Encoder;
use pavlov::agents::replay::{Batch, Replay, ReplayConfig, Step};
use pavlov::envs::{Action, BoxSpace, Dtype, End, EnvRng, ObsRef, Space};
use pavlov::nn::set_team_size;
use rand::RngExt;

const FRAME: usize = 84 * 84;
const STACK: usize = 4;
const BATCH: usize = 256;
const EPISODE: usize = 1_000;

/// An endless game of noise.
struct Game {
    rng: EnvRng,
    observation: Vec<u8>,
    next: Vec<u8>,
    steps: usize,
}

impl Game {
    fn new() -> Self {
        let zeros = vec![0; STACK * FRAME];
        Self { rng: EnvRng::seeded(1), observation: zeros.clone(), next: zeros, steps: 0 }
    }

    /// Moves on by a frame, of which a hundredth is new.
    fn advance(&mut self) {
        std::mem::swap(&mut self.observation, &mut self.next);
        self.next.copy_from_slice(&self.observation);
        self.next.copy_within(FRAME.., 0);
        let newest = &mut self.next[(STACK - 1) * FRAME..];
        for _ in 0..FRAME / 100 {
            newest[self.rng.random_range(0..FRAME)] = self.rng.random();
        }
        self.steps += 1;
    }

    fn insert(&self, replay: &mut Replay) {
        replay.push(
            0,
            Step {
                observation: ObsRef { floats: &[], bytes: &self.observation },
                action: Action::Discrete((self.steps % 4) as i64),
                reward: 1.0,
                end: if self.steps.is_multiple_of(EPISODE) { End::Terminated } else { End::No },
                next: ObsRef { floats: &[], bytes: &self.next },
            },
        );
    }
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4096
}

fn replay(criterion: &mut Criterion) {
    let capacity = std::env::var("PAVLOV_REPLAY").ok().and_then(|text| text.parse().ok()).unwrap_or(50_000);
    let count = STACK * FRAME;
    let space = BoxSpace::new(vec![0.0; count], vec![255.0; count], &[STACK, 84, 84], Dtype::U8);
    let (space, actions) = (Space::Box(space.expect("a space")), Space::Discrete(4));
    let encoder = Encoder::new(&space);
    for n_steps in [1, 3] {
        let config = ReplayConfig { n_steps, priority_exponent: Some(0.6), ..ReplayConfig::default() };
        let mut replay = Replay::new((capacity, config), 0.99, &space, &actions).expect("a replay");
        let (mut game, before) = (Game::new(), resident());
        for _ in 0..capacity + n_steps {
            game.advance();
            game.insert(&mut replay);
        }
        let each = (resident() - before) as f64 / capacity as f64;
        println!("{capacity} transitions of {n_steps} steps take {each:.0} bytes each, a frame has {FRAME}");
        let mut group = criterion.benchmark_group(format!("replay of {capacity}, {n_steps} steps"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("a frame", |b| b.iter(|| game.advance()));
        group.bench_function("a frame and its insertion", |b| {
            b.iter(|| {
                game.advance();
                game.insert(&mut replay);
            });
        });
        let mut batch = Batch::new(BATCH, &encoder, &actions).expect("a batch");
        let mut rng = EnvRng::seeded(2);
        let errors: Vec<f32> = (0..BATCH).map(|row| row as f32 / 64.0).collect();
        for threads in [1, 2] {
            set_team_size(threads);
            group.bench_function(format!("a batch of 256 and its priorities, {threads} threads"), |b| {
                b.iter(|| {
                    replay.sample(&mut rng, 0.5, BATCH, &mut batch).expect("a batch");
                    let _ = black_box(batch.bytes().expect("bytes"));
                    replay.learned(&batch, &errors);
                });
            });
        }
    }
}

criterion_group!(benches, replay);
criterion_main!(benches);
