//! A trial of an agent before its run begins, so that a network that cannot take its observations is refused
//! before there is a folder.

use anyhow::{Context, Result};
use pavlov_agents::{ActMode, Agent};
use pavlov_common::SeededRng;
use pavlov_envs::{ActionBatch, Dtype, ObsBatch, Space};

/// Lets the agent act once, on the observation of [`fill`].
pub(super) fn act_once(agent: &dyn Agent, observations: &Space, actions: &Space) -> Result<()> {
    let mut batch = ObsBatch::new(observations, 1);
    let (mut floats, mut bytes) = (Vec::new(), Vec::new());
    fill(observations, &mut floats, &mut bytes);
    batch.floats_mut().copy_from_slice(&floats);
    batch.bytes_mut().copy_from_slice(&bytes);
    let mut chosen = ActionBatch::new(actions, 1)?;
    agent
        .policy()?
        .act(&batch, ActMode::Explore, &mut SeededRng::seeded(0), &mut chosen)
        .context("the agent cannot act on a trial observation")
}

/// Adds an observation of this space: of choices the last one, which a table of embeddings must reach, and
/// numbers that are not whole.
fn fill(space: &Space, floats: &mut Vec<f32>, bytes: &mut Vec<u8>) {
    const NUMBER: f32 = 0.37;
    match space {
        Space::Discrete(n) => floats.push((n - 1) as f32),
        Space::MultiDiscrete(counts) => floats.extend(counts.iter().map(|n| (n - 1) as f32)),
        Space::MultiBinary(n) => floats.extend(vec![1.0; *n]),
        Space::Box(space) => {
            let bounds = space.low.iter().zip(&space.high);
            let within = |(&low, &high): (&f32, &f32)| NUMBER.max(low).min(high);
            match space.dtype {
                Dtype::F32 => floats.extend(bounds.map(within)),
                Dtype::U8 => bytes.extend(space.high.iter().map(|&high| high as u8 / 2)),
            }
        }
        Space::Dict(entries) => entries.iter().for_each(|(_, space)| fill(space, floats, bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trial_observation_lies_in_its_space() {
        let numbers = Space::box_f32(-3.0, 0.1, &[2]).unwrap();
        let dict = Space::Dict(vec![
            ("camera".into(), Space::pixels(&[4, 4, 3])),
            ("inner".into(), Space::Dict(vec![("numbers".into(), numbers)])),
            ("choices".into(), Space::MultiDiscrete(vec![3, 5])),
            ("bits".into(), Space::MultiBinary(3)),
        ]);
        for space in [dict, Space::Discrete(7), Space::unbounded(&[5])] {
            let mut batch = ObsBatch::new(&space, 1);
            let (mut floats, mut bytes) = (Vec::new(), Vec::new());
            fill(&space, &mut floats, &mut bytes);
            batch.floats_mut().copy_from_slice(&floats);
            batch.bytes_mut().copy_from_slice(&bytes);
            space.check_observation(batch.row(0)).unwrap();
        }
    }
}
