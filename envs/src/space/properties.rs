//! Properties of every space: samples lie in it, and values outside of it are refused.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{BoxSpace, Dtype, Space};
use crate::{ActionBatch, ObsLayout, ObsRef, SeededRng};

/// A lower and an upper bound; both finite unless `unbounded`.
fn bounds(unbounded: bool) -> BoxedStrategy<(f32, f32)> {
    let number = any::<f32>().prop_filter("finite", |x| x.is_finite()).boxed();
    let small = (-100.0_f32..100.0).boxed();
    let finite = prop_oneof![number, small].boxed();
    let pair = (finite.clone(), finite).prop_map(|(a, b)| (a.min(b), a.max(b)));
    if !unbounded {
        return pair.boxed();
    }
    let open = |keep_low: bool, keep_high: bool| {
        move |(low, high)| {
            (if keep_low { low } else { f32::NEG_INFINITY }, if keep_high { high } else { f32::INFINITY })
        }
    };
    prop_oneof![
        pair.clone(),
        pair.clone().prop_map(open(true, false)),
        pair.clone().prop_map(open(false, true)),
        pair.prop_map(open(false, false)),
    ]
    .boxed()
}

fn boxes(unbounded: bool) -> impl Strategy<Value = Space> {
    vec(bounds(unbounded), 1..7).prop_map(|bounds| {
        let (low, high): (Vec<_>, Vec<_>) = bounds.into_iter().unzip();
        let shape = [low.len()];
        Space::Box(BoxSpace::new(low, high, &shape, Dtype::F32).unwrap())
    })
}

fn choices() -> impl Strategy<Value = Space> {
    prop_oneof![
        (1_i64..50).prop_map(Space::Discrete),
        vec(1_i64..9, 1..6).prop_map(Space::MultiDiscrete),
        (1_usize..9).prop_map(Space::MultiBinary),
    ]
}

fn actions() -> impl Strategy<Value = Space> {
    prop_oneof![choices(), boxes(true)]
}

/// Any observation space, dicts of dicts included.
fn observations() -> impl Strategy<Value = Space> {
    let picture = vec(1_usize..4, 1..4).prop_map(|shape| Space::pixels(&shape));
    prop_oneof![choices(), boxes(true), picture].prop_recursive(2, 12, 4, |inner| {
        vec(inner, 1..4).prop_map(|spaces| {
            Space::Dict(spaces.into_iter().enumerate().map(|(i, space)| (format!("key{i}"), space)).collect())
        })
    })
}

/// An observation from the space: its `f32` and its `u8` row.
fn draw(space: &Space, rng: &mut SeededRng, floats: &mut Vec<f32>, bytes: &mut Vec<u8>) {
    match space {
        Space::Dict(entries) => entries.iter().for_each(|(_, entry)| draw(entry, rng, floats, bytes)),
        Space::Box(space) if space.dtype == Dtype::U8 => {
            bytes.extend((0..space.len()).map(|_| rng.uniform(0.0, 256.0) as u8));
        }
        leaf => {
            // As numbers, an action drawn from an action space is an observation of the same space.
            let mut batch = ActionBatch::new(leaf, 1).unwrap();
            batch.sample_row(0, leaf, rng);
            match batch {
                ActionBatch::Discrete(choices) | ActionBatch::MultiDiscrete { choices, .. } => {
                    floats.extend(choices.iter().map(|&choice| choice as f32));
                }
                ActionBatch::Box { points, .. } => floats.extend(points),
            }
        }
    }
}

fn drawn(space: &Space, seed: u64) -> (Vec<f32>, Vec<u8>) {
    let (mut floats, mut bytes) = (Vec::new(), Vec::new());
    draw(space, &mut SeededRng::seeded(seed), &mut floats, &mut bytes);
    (floats, bytes)
}

fn contains(space: &Space, floats: &[f32], bytes: &[u8]) -> bool {
    space.check_observation(ObsRef { floats, bytes }).is_ok()
}

proptest! {
    #[test]
    fn a_drawn_action_lies_in_its_space(space in actions(), seed: u64) {
        let mut batch = ActionBatch::new(&space, 3).unwrap();
        let untouched = batch.clone();
        let mut rng = SeededRng::seeded(seed);
        for _ in 0..20 {
            batch.sample_row(1, &space, &mut rng);
            prop_assert!(space.contains_action(batch.row(1)), "{space}: {:?}", batch.row(1));
        }
        prop_assert_eq!(batch.row(0), untouched.row(0));
        prop_assert_eq!(batch.row(2), untouched.row(2));
    }

    #[test]
    fn a_drawn_observation_lies_in_its_space(space in observations(), seed: u64) {
        let (floats, bytes) = drawn(&space, seed);
        let layout = ObsLayout::new(&space);
        prop_assert_eq!((floats.len(), bytes.len()), (layout.floats, layout.bytes));
        prop_assert_eq!(space.check_observation(ObsRef { floats: &floats, bytes: &bytes }), Ok(()));
    }

    #[test]
    fn an_observation_of_another_length_is_refused(space in observations(), seed: u64) {
        let (mut floats, mut bytes) = drawn(&space, seed);
        floats.push(0.0);
        prop_assert!(!contains(&space, &floats, &bytes));
        floats.pop();
        bytes.push(0);
        prop_assert!(!contains(&space, &floats, &bytes));
        bytes.pop();
        let shorter = if floats.pop().is_some() { true } else { bytes.pop().is_some() };
        prop_assert!(shorter && !contains(&space, &floats, &bytes));
    }

    #[test]
    fn nan_is_refused_anywhere(space in observations(), seed: u64, place: Index) {
        let (mut floats, bytes) = drawn(&space, seed);
        prop_assume!(!floats.is_empty());
        let index = place.index(floats.len());
        floats[index] = f32::NAN;
        prop_assert!(!contains(&space, &floats, &bytes));
    }

    #[test]
    fn the_next_number_beyond_a_bound_is_refused(space in boxes(false), seed: u64, place: Index, above: bool) {
        let (mut floats, _) = drawn(&space, seed);
        let index = place.index(floats.len());
        let Space::Box(bounds) = &space else { unreachable!("a box was drawn") };
        floats[index] = if above { bounds.high[index] } else { bounds.low[index] };
        prop_assert!(contains(&space, &floats, &[]), "the bounds belong to the box");
        floats[index] = if above { floats[index].next_up() } else { floats[index].next_down() };
        let breach = space.check_observation(ObsRef { floats: &floats, bytes: &[] }).unwrap_err();
        prop_assert!(breach.contains(&format!("[{index}]")), "{breach}");
        prop_assert!(!space.contains_action(crate::Action::Box(&floats)));
    }

    #[test]
    fn a_choice_that_does_not_exist_is_refused(space in choices(), seed: u64, place: Index, wrong in 0..3) {
        let (mut floats, _) = drawn(&space, seed);
        let index = place.index(floats.len());
        let count = match &space {
            Space::Discrete(n) => *n,
            Space::MultiDiscrete(counts) => counts[index],
            _ => 2,
        };
        floats[index] = [-1.0, count as f32, floats[index] + 0.5][wrong as usize];
        prop_assert!(!contains(&space, &floats, &[]));
    }
}
