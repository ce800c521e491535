use std::collections::VecDeque;

use pavlov_envs::{ActionBatch, End, EnvRng, ObsBatch, Space, StepBatch};
use pavlov_nn::StateDict;
use proptest::prelude::*;

use super::{Batch, UniformReplay};
use crate::{Encoder, Experience};

/// A step of one environment: its number stands in the observation, so that a mixed-up one is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Event {
    at: f32,
    next: f32,
    choice: i64,
    reward: f64,
    terminated: bool,
}

fn space() -> Space {
    Space::unbounded(&[1])
}

fn actions() -> Space {
    Space::Discrete(5)
}

/// Steps of `num_envs` environments whose episodes end as `ends` says, written as a vector environment writes them.
fn play(replay: &mut UniformReplay, num_envs: usize, ends: &[Vec<End>]) -> VecDeque<Event> {
    let mut observations = ObsBatch::new(&space(), num_envs);
    let mut step = StepBatch::new(&space(), num_envs);
    let mut written = VecDeque::new();
    let mut clock = 0.0;
    let mut tick = || {
        clock += 1.0;
        clock
    };
    (0..num_envs).for_each(|row| observations.row_mut(row).floats[0] = tick());
    for (time, ends) in ends.iter().enumerate() {
        let choices: Vec<i64> = (0..num_envs).map(|row| ((time + row) % 5) as i64).collect();
        for row in 0..num_envs {
            let end = ends[row % ends.len()];
            let next = tick();
            // After an end the row of `observations` belongs to the next episode.
            step.observations.row_mut(row).floats[0] = if end.is_over() { tick() } else { next };
            step.final_observations.row_mut(row).floats[0] = if end.is_over() { next } else { -1.0 };
            (step.rewards[row], step.ends[row]) = (f64::from(next), end);
            written.push_back(Event {
                at: observations.row(row).floats[0],
                next,
                choice: choices[row],
                reward: f64::from(next),
                terminated: end == End::Terminated,
            });
        }
        let actions = ActionBatch::Discrete(choices);
        replay.insert(Experience { observations: &observations, actions: &actions, step: &step });
        std::mem::swap(&mut observations, &mut step.observations);
    }
    written
}

fn stored(replay: &UniformReplay) -> Vec<Event> {
    let state = replay.state().unwrap();
    let choices: Vec<i64> = state.view().vec("choices").unwrap();
    (0..replay.len())
        .map(|slot| {
            let (reward, terminated) = replay.outcome(slot);
            Event {
                at: replay.observation(slot).floats[0],
                next: replay.next_observation(slot).floats[0],
                choice: choices[slot],
                reward: f64::from(reward),
                terminated,
            }
        })
        .collect()
}

fn sorted(mut events: Vec<Event>) -> Vec<Event> {
    events.sort_by(|a, b| a.at.total_cmp(&b.at));
    events
}

fn any_end() -> impl Strategy<Value = End> {
    prop_oneof![3 => Just(End::No), 1 => Just(End::Terminated), 1 => Just(End::Truncated)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_holds_the_last_transitions_with_their_true_next_observations(
        capacity in 1usize..20,
        num_envs in 1usize..4,
        ends in prop::collection::vec(prop::collection::vec(any_end(), 3), 1..25),
    ) {
        let mut replay = UniformReplay::new(capacity, &space(), &actions()).unwrap();
        let mut written = play(&mut replay, num_envs, &ends);
        while written.len() > capacity {
            written.pop_front();
        }
        prop_assert_eq!(sorted(stored(&replay)), sorted(written.into()));
    }

    #[test]
    fn a_saved_replay_goes_on_as_the_first_would(
        capacity in 1usize..12,
        before in prop::collection::vec(prop::collection::vec(any_end(), 2), 0..10),
        after in prop::collection::vec(prop::collection::vec(any_end(), 2), 1..10),
    ) {
        let mut first = UniformReplay::new(capacity, &space(), &actions()).unwrap();
        play(&mut first, 2, &before);
        let mut second = UniformReplay::new(capacity, &space(), &actions()).unwrap();
        second.load_state(&first.state().unwrap().view()).unwrap();
        play(&mut first, 2, &after);
        play(&mut second, 2, &after);
        prop_assert_eq!(stored(&first), stored(&second));
    }
}

#[test]
fn samples_are_uniform_and_whole() {
    let mut replay = UniformReplay::new(10, &space(), &actions()).unwrap();
    play(&mut replay, 1, &vec![vec![End::No]; 10]);
    let encoder = Encoder::new(&space());
    let mut batch = Batch::new(20_000, &encoder, &actions()).unwrap();
    replay.sample(&mut EnvRng::seeded(3), &encoder, 20_000, &mut batch).unwrap();
    let drawn = batch.transitions(tch::Device::Cpu).unwrap();
    let mut counts = [0u32; 10];
    for row in 0..20_000 {
        let slot = drawn.observations.double_value(&[row, 0]) as usize - 1;
        counts[slot] += 1;
        assert_eq!(drawn.next_observations.double_value(&[row, 0]) as usize, slot + 2);
    }
    // Nine degrees of freedom: a chi-square of 27.9 is exceeded once in a thousand.
    let chi_square: f64 = counts.iter().map(|&n| (f64::from(n) - 2000.0).powi(2) / 2000.0).sum();
    assert!(chi_square < 27.9, "{counts:?}");
}

#[test]
fn termination_stops_the_next_value_and_truncation_does_not() {
    let mut replay = UniformReplay::new(3, &space(), &actions()).unwrap();
    play(&mut replay, 1, &[vec![End::No], vec![End::Truncated], vec![End::Terminated]]);
    let encoder = Encoder::new(&space());
    let mut batch = Batch::new(200, &encoder, &actions()).unwrap();
    replay.sample(&mut EnvRng::seeded(3), &encoder, 200, &mut batch).unwrap();
    let drawn = batch.transitions(tch::Device::Cpu).unwrap();
    // The observations acted on: 1, then 2, then (3 ends an episode) 4.
    for (at, continues) in [(1.0, 1.0), (2.0, 1.0), (4.0, 0.0)] {
        let rows = drawn.observations.select(1, 0).eq(at);
        let seen = drawn.continues.masked_select(&rows);
        assert!(seen.size()[0] > 20, "{at} is drawn");
        assert!(seen.eq(continues).all().int64_value(&[]) == 1, "{at}");
    }
}

#[test]
fn misuse_is_an_error() {
    let mut replay = UniformReplay::new(4, &space(), &actions()).unwrap();
    let encoder = Encoder::new(&space());
    let mut batch = Batch::new(2, &encoder, &actions()).unwrap();
    let mut rng = EnvRng::seeded(1);
    assert!(replay.sample(&mut rng, &encoder, 2, &mut batch).unwrap_err().to_string().contains("empty"));
    play(&mut replay, 1, &vec![vec![End::No]; 4]);
    assert!(replay.sample(&mut rng, &encoder, 3, &mut batch).is_err(), "a batch with room for 2");

    let mut smaller = UniformReplay::new(3, &space(), &actions()).unwrap();
    assert!(smaller.load_state(&replay.state().unwrap().view()).is_err(), "4 transitions in room for 3");
    assert!(smaller.load_state(&StateDict::new().view()).is_err(), "nothing saved");
}
