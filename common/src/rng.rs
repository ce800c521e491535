//! The generator of random numbers: small, fast and serialisable. Environments, actors and buffers each have
//! one.

use rand::rand_core::{Infallible, TryRng};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

/// The generator of environments, actors and buffers: xoshiro256++, 32 bytes of state, saved with its owner.
///
/// It implements `rand`'s generator trait, so `rng.random_range(..)` and `rand_distr`'s distributions work on
/// it. Its default takes a seed from the operating system; [`SeededRng::seeded`] and [`SeededRng::reseed`]
/// start it anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeededRng(Xoshiro256PlusPlus);

impl SeededRng {
    /// A generator that starts from `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Starts anew from the seed if there is one; else continues as it is. This is the first line of a
    /// `reset`.
    pub fn reseed(&mut self, seed: Option<u64>) {
        if let Some(seed) = seed {
            *self = Self::seeded(seed);
        }
    }

    /// A number drawn uniformly from `low..high`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.random::<f64>()
    }
}

impl Default for SeededRng {
    fn default() -> Self {
        Self::seeded(rand::rng().random())
    }
}

impl TryRng for SeededRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(bytes)
    }
}

/// The seed of stream `index` of `purpose` in a run with this `seed`: "train" environment 3, "eval"
/// environment 0, ...
///
/// Streams of different purposes or indices are independent, for any seeds of two runs. (With Gymnasium's
/// `seed + index`, environment 1 of run 7 is environment 0 of run 8, and a test environment may repeat a
/// trained one.) The words are mixed by SplitMix64's finaliser (Steele, Lea and Flood 2014).
pub fn derive_seed(seed: u64, purpose: &str, index: u64) -> u64 {
    let start = mix(seed ^ 0x9e37_79b9_7f4a_7c15);
    let named = purpose.bytes().fold(start, |state, byte| mix(state ^ u64::from(byte)));
    mix(named ^ mix(index))
}

fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
