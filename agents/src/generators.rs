//! Who draws the random numbers of acting.

use pavlov_envs::EnvRng;

/// One generator for all rows of a batch, or one for each, so that a row's draws do not depend on who its neighbours
/// are.
#[derive(Debug)]
pub enum Generators<'a> {
    /// The rows draw from it in order.
    One(&'a mut EnvRng),
    /// Row `i` draws from generator `i`.
    Each(&'a mut [EnvRng]),
}

impl Generators<'_> {
    /// The generator of a row.
    pub fn of(&mut self, row: usize) -> &mut EnvRng {
        match self {
            Self::One(rng) => rng,
            Self::Each(rngs) => &mut rngs[row],
        }
    }
}
