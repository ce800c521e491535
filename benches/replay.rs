//! The replay with Atari's observations, four frames of 84 x 84 bytes, prioritised: steps in, batches of 256
//! out.
//!
//! `cargo bench --bench replay` prints what a transition takes and the rates; `PAVLOV_REPLAY=1000000` sets
//! how many transitions it holds (100,000 unless told; at 28 KB an observation they do not fit any cache).

use std::hint::black_box;
use std::time::{Duration, Instant};

use pavlov::agents::Encoder;
use pavlov::agents::replay::{Batch, Replay, ReplayConfig, Step};
use pavlov::common::SeededRng;
use pavlov::envs::{Action, BoxSpace, Dtype, End, ObsRef, Space};
use pavlov::nn::set_team_size;
use rand::RngExt;

const FRAME: usize = 84 * 84;
const STACK: usize = 4;
const BATCH: usize = 256;
/// Steps of an episode: the frames come round again after it.
const EPISODE: usize = 1_000;
const SECONDS: Duration = Duration::from_secs(4);

/// The frames of an episode, one after the other, so that an observation is a slice of them.
struct Film(Vec<u8>);

impl Film {
    fn new() -> Self {
        let mut rng = SeededRng::seeded(1);
        Self((0..(EPISODE + STACK) * FRAME).map(|_| rng.random()).collect())
    }

    fn observation(&self, step: usize) -> ObsRef<'_> {
        ObsRef { floats: &[], bytes: &self.0[step * FRAME..(step + STACK) * FRAME] }
    }

    /// Records the `index`-th step.
    fn insert(&self, index: usize, replay: &mut Replay) {
        let step = index % EPISODE;
        let end = if step + 1 == EPISODE { End::Terminated } else { End::No };
        let action = Action::Discrete((index % 4) as i64);
        let (observation, next) = (self.observation(step), self.observation(step + 1));
        replay.push(0, Step { observation, action, reward: 1.0, end, next, extras: &[] });
    }
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4096
}

/// The rate at which something can be done, per second.
fn rate(mut work: impl FnMut()) -> f64 {
    let (started, mut count) = (Instant::now(), 0);
    while started.elapsed() < SECONDS {
        (0..16).for_each(|_| work());
        count += 16;
    }
    f64::from(count) / started.elapsed().as_secs_f64()
}

fn main() {
    // `cargo test --benches` only looks whether it runs.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let capacity = std::env::var("PAVLOV_REPLAY").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let count = STACK * FRAME;
    let space = BoxSpace::new(vec![0.0; count], vec![255.0; count], &[STACK, 84, 84], Dtype::U8);
    let (space, actions) = (Space::Box(space.expect("a space")), Space::Discrete(4));
    let encoder = Encoder::new(&space);
    let film = Film::new();
    println!("{capacity} transitions, prioritised, batches of {BATCH}; a frame has {FRAME} bytes");
    println!("steps  bytes a transition  insertions/s  batches/s: 1 thread  2 threads");
    for n_steps in [1, 3] {
        let config = ReplayConfig { n_steps, priority_exponent: Some(0.6), ..ReplayConfig::default() };
        let mut replay = Replay::new((capacity, config), 0.99, &space, &actions).expect("a replay");
        let (before, mut index) = (resident(), capacity + n_steps);
        (0..index).for_each(|index| film.insert(index, &mut replay));
        let each = (resident() - before) as f64 / capacity as f64;
        let insertions = rate(|| {
            film.insert(index, &mut replay);
            index += 1;
        });
        let mut batch = Batch::new(BATCH, &encoder, &actions).expect("a batch");
        let mut rng = SeededRng::seeded(2);
        let errors: Vec<f32> = (0..BATCH).map(|row| row as f32 / 64.0).collect();
        let batches = [1, 2].map(|threads| {
            set_team_size(threads);
            rate(|| {
                replay.sample(&mut rng, 0.5, BATCH, &mut batch).expect("a batch");
                let _ = black_box(batch.bytes().expect("bytes"));
                replay.learned(&batch, &errors);
            })
        });
        println!("{n_steps:5}  {each:18.0}  {insertions:12.0}  {:19.0}  {:9.0}", batches[0], batches[1]);
    }
}
