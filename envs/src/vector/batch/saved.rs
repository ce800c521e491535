//! Saved states, in the form in which a vector environment of single environments saves them.

use serde::{Serialize, de::DeserializeOwned};

use super::Rows;
use crate::dynamics::World;
use crate::vector::slot::{SlotState, named};
use crate::vector::slots::save_slots;
use crate::wrappers::{TimeLimit, Wrapper};
use crate::{EnvError, EnvState};

/// The saved state of an environment within a time limit.
type Limited = (EnvState, <TimeLimit as Wrapper>::State);

/// The states of all rows; `limited` is true if the single environments would have a time limit.
pub fn save<const STATE: usize>(rows: &Rows<STATE>, limited: bool) -> Option<EnvState>
where
    [f64; STATE]: Serialize,
{
    let slot = |row: usize| {
        let rng = rows.rngs[row].clone();
        let env = EnvState::pack(&World { state: rows.state(row), running: rows.running[row], rng })?;
        let limit = |env| EnvState::pack::<Limited>(&(env, (rows.steps[row], rows.over[row])));
        let env = if limited { limit(env)? } else { env };
        Some(SlotState { env, due: rows.due[row] })
    };
    save_slots(&(0..rows.rngs.len()).map(slot).collect::<Option<Vec<_>>>()?)
}

/// Puts the states into their rows.
pub fn load<const STATE: usize>(
    states: &[SlotState],
    limited: bool,
    rows: &mut Rows<STATE>,
) -> Result<(), EnvError>
where
    [f64; STATE]: DeserializeOwned,
{
    for (row, slot) in states.iter().enumerate() {
        load_row(slot, limited, row, rows).map_err(|error| named(row, error))?;
    }
    Ok(())
}

fn load_row<const STATE: usize>(
    slot: &SlotState,
    limited: bool,
    row: usize,
    rows: &mut Rows<STATE>,
) -> Result<(), EnvError>
where
    [f64; STATE]: DeserializeOwned,
{
    let limit = || slot.env.unpack::<Limited>();
    let (env, (steps, over)) = if limited { limit()? } else { (slot.env.clone(), (0, false)) };
    let world: World<[f64; STATE]> = env.unpack()?;
    rows.set_state(row, world.state);
    (rows.rngs[row], rows.running[row]) = (world.rng, world.running);
    (rows.steps[row], rows.over[row], rows.due[row]) = (steps, over, slot.due);
    Ok(())
}
