//! A shard's handle on its group.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use pavlov_runtime::Meter;

use crate::hub::Hub;
use crate::{GroupError, Wire};

/// A shard of a training, and the way to the others.
///
/// Sums and gathers are meetings: every shard of the group calls them, at the same point of the program and
/// with numbers of the same length. Shards of one process are threads. When one fails, or a process is lost,
/// the calls of all shards fail, and so do all later ones: a group does not recover, it is made anew.
///
/// A clone is another handle of the same shard; one thread uses a shard's handles at a time.
#[derive(Clone)]
pub struct Group {
    shard: usize,
    shards: usize,
    /// None: there is no other shard.
    seat: Option<Arc<Seat>>,
}

/// A shard's seat in its process.
struct Seat {
    hub: Arc<Hub>,
    place: usize,
    /// The time of its meetings.
    meter: Meter,
    measured: Mutex<Instant>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.leave(self.place);
    }
}

impl Group {
    /// The only shard of a training.
    pub fn alone() -> Self {
        Self { shard: 0, shards: 1, seat: None }
    }

    /// The handles of the shards of this process: `local` of them (at least one), the shards `rank * local ..
    /// (rank + 1) * local`. Every process has the same number. Without a wire this is the only process.
    pub fn of_process(local: usize, wire: Option<Wire>) -> Vec<Self> {
        let local = local.max(1);
        let wire = wire.filter(|wire| wire.world_size() > 1);
        if local == 1 && wire.is_none() {
            return vec![Self::alone()];
        }
        let hub = Arc::new(Hub::new(local, wire));
        let (first, shards) = (hub.first(), hub.shards());
        let seat = |place| {
            let measured = Mutex::new(Instant::now());
            Some(Arc::new(Seat { hub: hub.clone(), place, meter: Meter::new(), measured }))
        };
        (0..local).map(|place| Self { shard: first + place, shards, seat: seat(place) }).collect()
    }

    /// The number of this shard, from 0.
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// The number of shards.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// So many things of this shard, with as many of each other one.
    pub fn of_all(&self, count: usize) -> u64 {
        (count * self.shards) as u64
    }

    /// True if there is no other shard.
    pub fn is_alone(&self) -> bool {
        self.shards == 1
    }

    /// Replaces the numbers of every shard by their sums over all shards.
    ///
    /// They are added in one order, a tree over the shards' numbers, so that every shard gets the same bits,
    /// and the same for any number of processes.
    ///
    /// # Errors
    /// When a shard or a process fails, is lost, does not come in time, or is at another point of the
    /// program. The numbers then mean nothing.
    pub fn sum(&self, numbers: &mut [f32]) -> Result<(), GroupError> {
        let Some(seat) = &self.seat else { return Ok(()) };
        seat.meter.waiting(|| seat.hub.sum_f32(seat.place, numbers))
    }

    /// The same for few numbers that want more digits.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn sum_f64(&self, numbers: &mut [f64]) -> Result<(), GroupError> {
        let Some(seat) = &self.seat else { return Ok(()) };
        seat.meter.waiting(|| seat.hub.sum_f64(seat.place, numbers))
    }

    /// The bytes that every shard gave, in the order of the shards. They may differ in length.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn gather(&self, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>, GroupError> {
        match &self.seat {
            Some(seat) => seat.meter.waiting(|| seat.hub.gather(seat.place, bytes)),
            None => Ok(vec![bytes]),
        }
    }

    /// The share of the time since the last call that this shard spent in sums and gathers, 0 to 1: it waited
    /// for others, or for bytes on their way. `None` for the only shard.
    pub fn take_idle_share(&self) -> Option<f64> {
        let seat = self.seat.as_ref()?;
        seat.meter.lived(&mut seat.measured.lock().unwrap_or_else(PoisonError::into_inner));
        seat.meter.take_share()
    }

    /// This shard has failed: the calls of the others, waiting or to come, fail with this cause. Takes less
    /// than a second. The only shard tells nobody.
    pub fn fail(&self, cause: &str) {
        if let Some(seat) = &self.seat {
            seat.hub.fail(seat.place, cause);
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("shard", &self.shard).field("shards", &self.shards).finish()
    }
}
