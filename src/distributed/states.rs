//! The state of a training from those of its shards.
//!
//! It is the state of the first shard, as of a training with one shard alone, and of each other shard what
//! differs: its environments, its replay, its generators. Weights, targets and moments are the same in all.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use pavlov_common::hexadecimal;
use pavlov_nn::{Array, StateDict, StateView};
use sha2::{Digest, Sha256};

use super::command::Sums;

/// The number of shards in a checkpoint.
const SHARDS: &str = "shards";

/// The name under which a shard's own arrays and values stand.
fn own(shard: usize) -> String {
    format!("shard.{shard}")
}

/// The names in the first shard's state that another one has nothing for.
fn absent(shard: usize) -> String {
    format!("{}.absent", own(shard))
}

fn sum(parts: &[&[u8]]) -> String {
    let mut sum = Sha256::new();
    parts.iter().for_each(|part| sum.update(part));
    hexadecimal(&sum.finalize())
}

fn sum_of_array(array: &Array<'_>) -> String {
    let shape = format!("{:?} {:?}", array.kind, array.shape);
    sum(&[shape.as_bytes(), &[0], &array.data])
}

/// The checksums of everything in a state.
pub(super) fn sums(state: &StateDict<'_>) -> Sums {
    let of_value = |value: &serde_json::Value| sum(&[value.to_string().as_bytes()]);
    Sums {
        arrays: state.arrays.iter().map(|(name, array)| (name.clone(), sum_of_array(array))).collect(),
        values: state.values.iter().map(|(name, value)| (name.clone(), of_value(value))).collect(),
    }
}

/// One checksum of everything in a state.
pub(super) fn sum_of(state: &StateDict<'_>) -> String {
    let Sums { arrays, values } = sums(state);
    let all = arrays.into_iter().chain(values).map(|(name, sum)| format!("{name} {sum}\n"));
    sum(&[all.collect::<String>().as_bytes()])
}

/// The part of a shard's state that the first one's has not, or has otherwise. The names that only the first one has
/// are among the values.
pub(super) fn differing(state: StateDict<'_>, of_first: &Sums) -> Result<StateDict<'static>> {
    let own = sums(&state);
    let missing = |first: &BTreeMap<String, String>, own: &BTreeMap<String, String>| {
        first.keys().filter(|name| !own.contains_key(*name)).cloned().collect::<Vec<_>>()
    };
    let absent = (missing(&of_first.arrays, &own.arrays), missing(&of_first.values, &own.values));
    let arrays =
        state.arrays.into_iter().filter(|(name, _)| of_first.arrays.get(name) != own.arrays.get(name));
    let values =
        state.values.into_iter().filter(|(name, _)| of_first.values.get(name) != own.values.get(name));
    let mut differing = StateDict { arrays: arrays.collect(), values: values.collect() };
    differing.put_value("absent", &absent)?;
    Ok(differing.into_owned())
}

/// Adds what differs in the other shards, of which the first has number 1, to the first one's state.
pub(super) fn join(state: &mut StateDict<'_>, others: Vec<StateDict<'static>>) -> Result<()> {
    state.put_value(SHARDS, &(others.len() + 1))?;
    for (place, other) in others.into_iter().enumerate() {
        state.nest(&own(place + 1), other);
    }
    Ok(())
}

/// Refuses a checkpoint of another number of shards.
///
/// # Errors
/// When it has another number; what it has is told.
pub(super) fn check_shards(state: &StateView<'_>, shards: usize) -> Result<()> {
    let saved = if state.whole().values.contains_key(SHARDS) { state.value(SHARDS)? } else { 1 };
    if saved != shards {
        bail!(
            "the checkpoint has {saved} shards, the run {shards}: set shards = {saved} back, which no resume can change"
        );
    }
    Ok(())
}

/// The state of one shard.
pub(super) fn of_shard<'s>(state: &StateView<'s>, shard: usize) -> Result<StateDict<'s>> {
    let whole = state.whole();
    let is_of_shard = |name: &str| name == SHARDS || name.starts_with("shard.");
    let mut result = StateDict::new();
    for (name, array) in whole.arrays.iter().filter(|(name, _)| !is_of_shard(name)) {
        result.arrays.insert(name.clone(), array.borrowed());
    }
    let values = whole.values.iter().filter(|(name, _)| !is_of_shard(name));
    result.values.extend(values.map(|(name, value)| (name.clone(), value.clone())));
    if shard == 0 {
        return Ok(result);
    }
    let (arrays, values): (Vec<String>, Vec<String>) = state.value(&absent(shard))?;
    arrays.iter().for_each(|name| drop(result.arrays.remove(name)));
    values.iter().for_each(|name| drop(result.values.remove(name)));
    let prefix = format!("{}.", own(shard));
    for (name, array) in whole.arrays.range(prefix.clone()..) {
        let Some(name) = name.strip_prefix(&prefix) else { break };
        result.arrays.insert(name.into(), array.borrowed());
    }
    for (name, value) in whole.values.range(prefix.clone()..) {
        let Some(name) = name.strip_prefix(&prefix) else { break };
        result.values.insert(name.into(), value.clone());
    }
    result.values.remove("absent");
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(weights: f32, replay: &[f32], extra: Option<&str>, rng: u64) -> StateDict<'static> {
        let mut state = StateDict::new();
        let weights = [weights];
        state.put_slice("weights", &[1], &weights);
        state.put_slice("replay", &[replay.len()], replay);
        extra.into_iter().for_each(|name| state.put_bytes(name, vec![7]));
        state.put_value("rng", &rng).unwrap();
        state.put_value("updates", &3).unwrap();
        state.into_owned()
    }

    #[test]
    fn each_shard_has_its_state_back_and_what_all_have_stands_once() {
        let shards = [
            state(0.5, &[1.0], Some("worlds"), 1),
            state(0.5, &[2.0, 3.0], None, 2),
            state(0.5, &[1.0], Some("others"), 1),
        ];
        let of_first = sums(&shards[0]);
        let mut joined = shards[0].clone();
        let others = shards[1..].iter().map(|shard| differing(shard.clone(), &of_first).unwrap());
        join(&mut joined, others.collect()).unwrap();
        assert!(!joined.arrays.contains_key("shard.1.weights"));
        assert!(joined.arrays.contains_key("shard.1.replay"));
        for (number, shard) in shards.iter().enumerate() {
            assert_eq!(&of_shard(&joined.view(), number).unwrap(), shard, "{number}");
        }
        check_shards(&joined.view(), 3).unwrap();
        let error = check_shards(&joined.view(), 2).unwrap_err().to_string();
        assert!(error.contains("has 3 shards, the run 2"), "{error}");
        check_shards(&shards[0].view(), 1).unwrap();
        assert!(check_shards(&shards[0].view(), 2).is_err());
    }

    #[test]
    fn one_bit_changes_the_sum() {
        let one = state(0.5, &[1.0], None, 1);
        assert_eq!(sum_of(&one), sum_of(&one.clone()));
        for other in
            [state(0.6, &[1.0], None, 1), state(0.5, &[1.0], None, 2), state(0.5, &[1.0], Some("a"), 1)]
        {
            assert_ne!(sum_of(&one), sum_of(&other));
        }
    }
}
