//! A shard's handle on its group.

use crate::GroupError;

/// A shard of a training, and the way to the others. Each method is a meeting: every shard of the group calls it,
/// at the same point of the program.
#[derive(Clone, Debug)]
pub struct Group {
    shard: usize,
    shards: usize,
}

impl Group {
    /// The only shard of a training.
    pub fn alone() -> Self {
        Self { shard: 0, shards: 1 }
    }

    /// The number of this shard, from 0.
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// The number of shards.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// True if there is no other shard.
    pub fn is_alone(&self) -> bool {
        self.shards == 1
    }

    /// Replaces the numbers of every shard by their sums over all shards, added in the order of the shards.
    ///
    /// # Errors
    /// When a shard or a process fails, or is lost.
    pub fn sum(&self, _numbers: &mut [f32]) -> Result<(), GroupError> {
        Ok(())
    }

    /// The same for few numbers that want more digits.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn sum_f64(&self, _numbers: &mut [f64]) -> Result<(), GroupError> {
        Ok(())
    }

    /// The bytes that every shard gave, in the order of the shards.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn gather(&self, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>, GroupError> {
        Ok(vec![bytes])
    }
}
