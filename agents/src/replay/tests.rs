use pavlov_common::SeededRng;
use pavlov_envs::{Action, ActionBatch, BoxSpace, Dtype, End, ObsBatch, ObsRef, Space, StepBatch};
use pavlov_nn::StateDict;
use proptest::prelude::*;
use rand::RngExt;
use tch::{Device, Kind, Tensor};

use super::{Batch, Replay, ReplayConfig, Step};
use crate::core::Experience;
use crate::networks::Encoder;

const DISCOUNT: f64 = 0.9;

/// A transition: observations tell which one they are, so that a mixed-up one is seen.
#[derive(Clone, Debug, PartialEq)]
struct Transition {
    at: f32,
    next: f32,
    choice: i64,
    rewards: f32,
    continues: f32,
}

fn space() -> Space {
    Space::unbounded(&[1])
}

fn actions() -> Space {
    Space::Discrete(5)
}

fn config(n_steps: usize, priority_exponent: Option<f64>) -> ReplayConfig {
    ReplayConfig { n_steps, priority_exponent, ..ReplayConfig::default() }
}

fn replay(capacity: usize, n_steps: usize) -> Replay {
    Replay::new((capacity, config(n_steps, None)), DISCOUNT, &space(), &actions()).unwrap()
}

/// One environment's steps, from the first on, as the world had them.
#[derive(Clone, Debug, Default)]
struct Tape {
    steps: Vec<(f32, i64, f32, End, f32)>,
}

impl Tape {
    /// The transitions of `n` steps, by their definition, each with the step that completes it.
    fn transitions(&self, n: usize) -> Vec<(usize, Transition)> {
        let mut all = Vec::new();
        for (first, &(at, choice, ..)) in self.steps.iter().enumerate() {
            let (mut rewards, mut power, mut last) = (0.0f64, 1.0f64, first);
            while let Some(&(_, _, reward, end, next)) = self.steps.get(last) {
                rewards += power * f64::from(reward);
                let steps = last - first + 1;
                if steps == n || end.is_over() {
                    let continues = if end == End::Terminated { 0.0 } else { power as f32 };
                    all.push((last, Transition { at, next, choice, rewards: rewards as f32, continues }));
                    break;
                }
                power *= DISCOUNT;
                last += 1;
            }
        }
        all
    }
}

/// Steps of `num_envs` environments whose episodes end as `ends` says, written as a vector environment writes
/// them.
fn play(replay: &mut Replay, tapes: &mut [Tape], ends: &[Vec<End>], clock: &mut f32) {
    let num_envs = tapes.len();
    let mut observations = ObsBatch::new(&space(), num_envs);
    let mut step = StepBatch::new(&space(), num_envs);
    let mut tick = || {
        *clock += 1.0;
        *clock
    };
    for (row, tape) in tapes.iter().enumerate() {
        let going_on = tape.steps.last().filter(|last| last.3 == End::No).map(|last| last.4);
        observations.row_mut(row).floats[0] = going_on.unwrap_or_else(&mut tick);
    }
    for (time, ends) in ends.iter().enumerate() {
        let choices: Vec<i64> = (0..num_envs).map(|row| ((time + row) % 5) as i64).collect();
        for (row, tape) in tapes.iter_mut().enumerate() {
            let end = ends[row % ends.len()];
            let next = tick();
            // After an end the row of `observations` belongs to the next episode.
            step.observations.row_mut(row).floats[0] = if end.is_over() { tick() } else { next };
            step.final_observations.row_mut(row).floats[0] = if end.is_over() { next } else { -1.0 };
            (step.rewards[row], step.ends[row]) = (f64::from(next % 7.0), end);
            tape.steps.push((observations.row(row).floats[0], choices[row], next % 7.0, end, next));
        }
        let actions = ActionBatch::Discrete(choices);
        replay.insert(Experience { observations: &observations, actions: &actions, step: &step });
        std::mem::swap(&mut observations, &mut step.observations);
    }
}

fn stored(replay: &Replay) -> Vec<Transition> {
    let state = replay.state().unwrap();
    let choices: Vec<i64> = state.view().vec("choices").unwrap();
    let each = |slot| {
        let (rewards, continues) = replay.outcome(slot);
        let (at, next) = (replay.observation_floats(slot)[0], replay.next_floats(slot)[0]);
        Transition { at, next, choice: choices[slot], rewards, continues }
    };
    (0..replay.len()).map(each).collect()
}

/// The transitions that a replay of this capacity must hold.
fn expected(tapes: &[Tape], n_steps: usize, capacity: usize) -> Vec<Transition> {
    let mut all: Vec<(usize, usize, Transition)> = Vec::new();
    for (env, tape) in tapes.iter().enumerate() {
        all.extend(tape.transitions(n_steps).into_iter().map(|(done, transition)| (done, env, transition)));
    }
    all.sort_by_key(|(done, env, _)| (*done, *env));
    all.into_iter().rev().take(capacity).map(|(.., transition)| transition).collect()
}

fn equal(mut left: Vec<Transition>, mut right: Vec<Transition>) -> bool {
    left.sort_by(|a, b| a.at.total_cmp(&b.at));
    right.sort_by(|a, b| a.at.total_cmp(&b.at));
    let near = |a: f32, b: f32| (a - b).abs() < 1e-5;
    left.len() == right.len()
        && left.iter().zip(&right).all(|(a, b)| {
            (a.at, a.next, a.choice) == (b.at, b.next, b.choice)
                && near(a.rewards, b.rewards)
                && near(a.continues, b.continues)
        })
}

fn any_end() -> impl Strategy<Value = End> {
    prop_oneof![3 => Just(End::No), 1 => Just(End::Terminated), 1 => Just(End::Truncated)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn it_holds_the_last_transitions_by_their_definition(
        capacity in 1usize..20,
        num_envs in 1usize..4,
        n_steps in 1usize..5,
        ends in prop::collection::vec(prop::collection::vec(any_end(), 3), 1..25),
    ) {
        let (mut replay, mut tapes) = (replay(capacity, n_steps), vec![Tape::default(); num_envs]);
        play(&mut replay, &mut tapes, &ends, &mut 0.0);
        let expected = expected(&tapes, n_steps, capacity);
        prop_assert!(equal(stored(&replay), expected.clone()), "{:?} is not {:?}", stored(&replay), expected);
        // An observation is held as long as something needs it, and no longer.
        let most = replay.len() * 2 + num_envs * (n_steps + 1);
        prop_assert!(replay.held().0 <= most);
    }

    #[test]
    fn a_saved_replay_goes_on_as_the_first_would(
        capacity in 1usize..12,
        n_steps in 1usize..4,
        before in prop::collection::vec(prop::collection::vec(any_end(), 2), 0..10),
        after in prop::collection::vec(prop::collection::vec(any_end(), 2), 1..10),
    ) {
        let made = || Replay::new((capacity, config(n_steps, Some(0.6))), DISCOUNT, &space(), &actions()).unwrap();
        let (mut first, mut tapes, mut clock) = (made(), vec![Tape::default(); 2], 0.0);
        play(&mut first, &mut tapes, &before, &mut clock);
        let mut second = made();
        second.load_state(&first.state().unwrap().view()).unwrap();
        play(&mut first, &mut tapes.clone(), &after, &mut clock.clone());
        play(&mut second, &mut tapes, &after, &mut clock);
        prop_assert_eq!(stored(&first), stored(&second));
        prop_assert_eq!(first.held(), second.held());
        prop_assert_eq!(first.written(), second.written());
    }
}

#[test]
fn an_episode_of_so_many_steps_gives_as_many_transitions() {
    for n_steps in 1..6 {
        for length in 1..9 {
            let mut replay = replay(100, n_steps);
            let mut ends = vec![vec![End::No]; length - 1];
            ends.push(vec![End::Truncated]);
            play(&mut replay, &mut [Tape::default()], &ends, &mut 0.0);
            assert_eq!(replay.len(), length, "{n_steps} steps");
        }
    }
}

#[test]
fn an_episode_that_is_broken_off_counts_as_truncated() {
    let (mut replay, mut tapes) = (replay(100, 3), vec![Tape::default()]);
    play(&mut replay, &mut tapes, &vec![vec![End::No]; 4], &mut 0.0);
    replay.cut(0);
    replay.cut(0);
    tapes[0].steps.last_mut().unwrap().3 = End::Truncated;
    assert!(equal(stored(&replay), expected(&tapes, 3, 100)));
    // The same where nobody says so, but the environment goes on somewhere else.
    let step = |at: f32, next: f32| (at, next);
    for (at, next) in [step(100.0, 101.0), step(300.0, 301.0)] {
        let (at, next) = ([at], [next]);
        replay.push(
            0,
            Step {
                observation: ObsRef { floats: &at, bytes: &[] },
                action: Action::Discrete(0),
                reward: 1.0,
                end: End::No,
                next: ObsRef { floats: &next, bytes: &[] },
                extras: &[],
            },
        );
    }
    let last = stored(&replay).pop().unwrap();
    assert_eq!((last.at, last.next, last.rewards, last.continues), (100.0, 101.0, 1.0, 1.0));
    assert_eq!(replay.len(), 5);
}

fn batch_of(replay: &mut Replay, count: usize, seed: u64) -> Batch {
    let mut batch = Batch::new(count, &Encoder::new(&space()), &actions()).unwrap();
    replay.sample(&mut SeededRng::seeded(seed), 0.0, count, &mut batch).unwrap();
    batch
}

#[test]
fn samples_are_uniform_and_whole() {
    let mut replay = replay(10, 1);
    play(&mut replay, &mut [Tape::default()], &vec![vec![End::No]; 10], &mut 0.0);
    let drawn = batch_of(&mut replay, 20_000, 3).transitions(Device::Cpu).unwrap();
    let mut counts = [0u32; 10];
    for row in 0..20_000 {
        let slot = drawn.observations.double_value(&[row, 0]) as usize - 1;
        counts[slot] += 1;
        assert_eq!(drawn.next_observations.double_value(&[row, 0]) as usize, slot + 2);
    }
    // Nine degrees of freedom: a chi-square of 27.9 is exceeded once in a thousand.
    let chi_square: f64 = counts.iter().map(|&n| (f64::from(n) - 2000.0).powi(2) / 2000.0).sum();
    assert!(chi_square < 27.9, "{counts:?}");
    assert_eq!(drawn.weights.sum(Kind::Float).double_value(&[]), 20_000.0);
}

#[test]
fn termination_stops_the_next_value_and_truncation_does_not() {
    let mut replay = replay(3, 1);
    let ends = [vec![End::No], vec![End::Truncated], vec![End::Terminated]];
    play(&mut replay, &mut [Tape::default()], &ends, &mut 0.0);
    let drawn = batch_of(&mut replay, 200, 3).transitions(Device::Cpu).unwrap();
    // The observations acted on: 1, then 2, then (3 ends an episode) 4.
    for (at, continues) in [(1.0, 1.0), (2.0, 1.0), (4.0, 0.0)] {
        let rows = drawn.observations.select(1, 0).eq(at);
        let seen = drawn.continues.masked_select(&rows);
        assert!(seen.size()[0] > 20, "{at} is drawn");
        assert!(seen.eq(continues).all().int64_value(&[]) == 1, "{at}");
    }
}

#[test]
fn what_was_learned_changes_how_often_a_transition_is_drawn_and_how_much_it_weighs() {
    let prioritized = |exponent| {
        let config = ReplayConfig {
            importance_exponent: pavlov_nn::Schedule::linear(0.5, 1.0),
            ..config(1, Some(exponent))
        };
        let mut replay = Replay::new((4, config), DISCOUNT, &space(), &actions()).unwrap();
        play(&mut replay, &mut [Tape::default()], &vec![vec![End::No]; 4], &mut 0.0);
        replay
    };
    let mut replay = prioritized(1.0);
    let batch = batch_of(&mut replay, 4, 1);
    // Stratified draws of equal priorities: each slot once, in order.
    let errors: Vec<f32> = batch.origins.iter().map(|origin| [1.0, 1.0, 2.0, 4.0][origin.slot]).collect();
    assert_eq!(batch.origins.iter().map(|origin| origin.slot).collect::<Vec<_>>(), [0, 1, 2, 3]);
    replay.learned(&batch, &errors);
    let many = batch_of(&mut replay, 8_000, 2);
    let mut counts = [0; 4];
    many.origins.iter().for_each(|origin| counts[origin.slot] += 1);
    assert!(
        counts.iter().zip([1000, 1000, 2000, 4000]).all(|(have, want): (&i32, i32)| (have - want).abs() <= 1),
        "{counts:?}"
    );
    for (origin, weight) in many.origins.iter().zip(many.numbers().weights) {
        // (N P)^-0.5 over the largest of them, that of the first slot.
        let expected = [1.0f32, 1.0, 0.5, 0.25][origin.slot].sqrt();
        assert!((weight - expected).abs() < 1e-4);
    }
    // An exponent of 0 draws all alike, whatever was learned.
    let mut alike = prioritized(0.0);
    let batch = batch_of(&mut alike, 4, 1);
    alike.learned(&batch, &[1.0, 100.0, 3.0, 0.0]);
    assert_eq!(batch_of(&mut alike, 4, 5).numbers().weights, [1.0; 4]);
}

#[test]
fn what_was_overwritten_learns_nothing() {
    let mut replay = Replay::new((2, config(1, Some(1.0))), DISCOUNT, &space(), &actions()).unwrap();
    let (mut tapes, mut clock) = (vec![Tape::default()], 0.0);
    play(&mut replay, &mut tapes, &[vec![End::No], vec![End::No]], &mut clock);
    let batch = batch_of(&mut replay, 2, 1);
    assert_eq!(replay.age(&batch), 1.5);
    play(&mut replay, &mut tapes, &[vec![End::No]], &mut clock);
    replay.learned(&batch, &[9.0, 3.0]);
    // The first slot's transition is new, with the largest priority so far: 1 when it came in.
    let many = batch_of(&mut replay, 4_000, 2);
    let first = many.origins.iter().filter(|origin| origin.slot == 0).count();
    assert!((999..=1001).contains(&first), "{first}");
}

#[test]
fn misuse_is_an_error() {
    let mut four = replay(4, 1);
    let encoder = Encoder::new(&space());
    let mut batch = Batch::new(2, &encoder, &actions()).unwrap();
    let mut rng = SeededRng::seeded(1);
    assert!(four.sample(&mut rng, 0.0, 2, &mut batch).unwrap_err().to_string().contains("empty"));
    play(&mut four, &mut [Tape::default()], &vec![vec![End::No]; 4], &mut 0.0);
    assert!(four.sample(&mut rng, 0.0, 3, &mut batch).is_err(), "a batch with room for 2");

    let mut smaller = replay(3, 1);
    assert!(smaller.load_state(&four.state().unwrap().view()).is_err(), "4 transitions in room for 3");
    assert!(smaller.load_state(&StateDict::new().view()).is_err(), "nothing saved");
    let saved = four.state().unwrap();
    let pictures = Space::Box(BoxSpace::new(vec![0.0; 4], vec![255.0; 4], &[2, 2], Dtype::U8).unwrap());
    let mut other = Replay::new((4, config(1, None)), DISCOUNT, &pictures, &actions()).unwrap();
    assert!(other.load_state(&saved.view()).is_err(), "numbers in place of pictures");
}

/// Steps of environments that show stacks of frames, into a replay and into a list of whole observations.
fn play_frames(
    frames: usize,
    side: usize,
    num_envs: usize,
    steps: usize,
    replay: &mut Replay,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (length, mut rng, mut naive) = (side * side, SeededRng::seeded(7), Vec::new());
    let mut stacks: Vec<Option<Vec<u8>>> = vec![None; num_envs];
    for _ in 0..steps {
        for (env, stack) in stacks.iter_mut().enumerate() {
            let mut frame = || (0..length).map(|_| rng.random::<u8>()).collect::<Vec<u8>>();
            let before = stack.take().unwrap_or_else(|| frame().repeat(frames));
            let next = [&before[length..], &frame()].concat();
            let end =
                [End::No, End::No, End::No, End::No, End::Terminated, End::Truncated][rng.random_range(0..6)];
            replay.push(
                env,
                Step {
                    observation: ObsRef { floats: &[], bytes: &before },
                    action: Action::Discrete(0),
                    reward: naive.len() as f32,
                    end,
                    next: ObsRef { floats: &[], bytes: &next },
                    extras: &[],
                },
            );
            naive.push((before, next.clone()));
            *stack = (!end.is_over()).then_some(next);
        }
    }
    naive
}

fn pictures(frames: usize, side: usize) -> Space {
    let count = frames * side * side;
    Space::Box(BoxSpace::new(vec![0.0; count], vec![255.0; count], &[frames, side, side], Dtype::U8).unwrap())
}

#[test]
fn rebuilt_stacks_are_those_that_were_seen() {
    for (frames, num_envs, capacity) in [(4, 1, 64), (4, 3, 50), (1, 2, 40), (3, 2, 1_000)] {
        let space = pictures(frames, 5);
        let mut replay = Replay::new((capacity, config(1, None)), DISCOUNT, &space, &actions()).unwrap();
        let naive = play_frames(frames, 5, num_envs, 400 / num_envs, &mut replay);
        let encoder = Encoder::new(&space);
        let mut batch = Batch::new(200, &encoder, &actions()).unwrap();
        let mut rng = SeededRng::seeded(1);
        for _ in 0..5 {
            replay.sample(&mut rng, 0.0, 200, &mut batch).unwrap();
            let drawn = batch.transitions(Device::Cpu).unwrap();
            let (bytes, next_bytes) = batch.bytes().unwrap();
            for row in 0..200 {
                let (before, next) = &naive[drawn.rewards.double_value(&[row]) as usize];
                let is = |have: &Tensor, want: &[u8]| {
                    let have = have.get(row).contiguous().view([-1]);
                    assert_eq!(Vec::<u8>::try_from(have).unwrap(), want);
                };
                is(&bytes, before);
                is(&next_bytes, next);
                let encoded = (drawn.observations.get(row) * 255.0).round().to_kind(Kind::Uint8);
                is(&encoded.unsqueeze(0).repeat([200, 1]), before);
            }
        }
    }
}

#[test]
fn frames_are_kept_once() {
    let (space, episodes) = (pictures(4, 8), 100.0);
    let mut replay = Replay::new((10_000, config(1, None)), DISCOUNT, &space, &actions()).unwrap();
    let (mut rng, mut frames) = (SeededRng::seeded(3), 0.0);
    for _ in 0..episodes as usize {
        let mut frame = || {
            frames += 1.0;
            (0..64).map(|_| rng.random::<u8>()).collect::<Vec<u8>>()
        };
        let mut before = frame().repeat(4);
        for step in 0..50 {
            let next = [&before[64..], &frame()].concat();
            replay.push(
                0,
                Step {
                    observation: ObsRef { floats: &[], bytes: &before },
                    action: Action::Discrete(0),
                    reward: 0.0,
                    end: if step == 49 { End::Terminated } else { End::No },
                    next: ObsRef { floats: &[], bytes: &next },
                    extras: &[],
                },
            );
            before = next;
        }
    }
    assert_eq!(replay.held().1 as f64, frames);
    assert!(replay.held().1 as f64 <= 1.05 * replay.len() as f64);
}

#[test]
fn what_the_policy_adds_to_an_action_stays_with_its_transition() {
    for n_steps in [1, 3] {
        let made = || {
            let replay = Replay::new((8, config(n_steps, None)), DISCOUNT, &space(), &actions()).unwrap();
            replay.with_extras(2)
        };
        let mut replay = made();
        for time in 0..40 {
            let (at, next) = ([time as f32], [time as f32 + 1.0]);
            let end = if time % 7 == 6 { End::Truncated } else { End::No };
            let extras = [10.0 * at[0], -at[0]];
            replay.push(
                0,
                Step {
                    observation: ObsRef { floats: &at, bytes: &[] },
                    action: Action::Discrete(0),
                    reward: 1.0,
                    end,
                    next: ObsRef { floats: &next, bytes: &[] },
                    extras: &extras,
                },
            );
        }
        let mut resumed = made();
        resumed.load_state(&replay.state().unwrap().view()).unwrap();
        for replay in [&mut replay, &mut resumed] {
            let batch = Batch::new(64, &Encoder::new(&space()), &actions()).unwrap();
            let mut batch = batch.with_extras(Device::Cpu, 2).unwrap();
            replay.sample(&mut SeededRng::seeded(1), 0.0, 64, &mut batch).unwrap();
            let all = batch.transitions(Device::Cpu).unwrap();
            for row in 0..64 {
                let at = all.observations.double_value(&[row, 0]);
                let extras = [0, 1].map(|column| all.extras.double_value(&[row, column]));
                assert_eq!(extras, [10.0 * at, -at], "{n_steps} steps, row {row}");
            }
            assert_eq!(batch.numbers().extras.len(), 128);
        }
    }
}
