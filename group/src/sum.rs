//! Sums over processes, in the order of the shards.

use std::ops::{AddAssign, Range};

use bytemuck::{Pod, cast_slice, cast_slice_mut};

use crate::GroupError;
use crate::order::{Order, add, sum_rows};
use crate::wire::{Incoming, Kind, Outgoing, Terms, Wire};

/// From so many bytes on (all rows of all processes) three and more processes sum a slice each and exchange
/// the sums; below it each sums everything, which needs one exchange less.
const SLICED: usize = 256 << 10;

/// A number that is summed.
pub trait Number: Pod + AddAssign + Send + Sync {
    const ALL: Kind;
    const SLICES: Kind;
}

impl Number for f32 {
    const ALL: Kind = Kind::Sum;
    const SLICES: Kind = Kind::Slices;
}

impl Number for f64 {
    const ALL: Kind = Kind::SumF64;
    const SLICES: Kind = Kind::SlicesF64;
}

/// The means of sums over processes: the order, and buffers that are kept.
#[derive(Debug)]
pub struct Summer<T> {
    rank: usize,
    local: u16,
    order: Order,
    /// All rows of all processes, or a slice of them.
    rows: Vec<T>,
    /// The rows of this process, cut for each peer.
    cut: Vec<T>,
    /// Each rank's part of what is received, and of what is sent, in bytes.
    received: Vec<Range<usize>>,
    sent: Vec<Range<usize>>,
}

impl<T: Number> Summer<T> {
    pub fn new(local: usize, rank: usize, world_size: usize) -> Self {
        Self {
            rank,
            local: local.try_into().unwrap_or(u16::MAX),
            order: Order::new(local, world_size),
            rows: Vec::new(),
            cut: Vec::new(),
            received: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// `numbers` are the rows of this process ([`Order::rows_of`]), one behind the other, `length` long each.
    /// The sum over all processes replaces the first.
    pub fn sum(&mut self, wire: &Wire, numbers: &mut [T], length: usize) -> Result<(), GroupError> {
        let bytes = length * self.order.rows() * size_of::<T>();
        if wire.world_size() > 2 && bytes >= SLICED && length >= wire.world_size() {
            self.sum_sliced(wire, numbers, length)
        } else {
            self.sum_at_once(wire, numbers, length)
        }
    }

    /// Every process gets everything, and sums it.
    fn sum_at_once(&mut self, wire: &Wire, numbers: &mut [T], length: usize) -> Result<(), GroupError> {
        let own = self.make_room(length, wire.world_size());
        let (incoming, place) = around(&mut self.rows, &own, &self.received);
        let terms = Terms { kind: T::ALL, local: self.local, limit: Some(wire.timeout()) };
        wire.exchange(&terms, Outgoing::ToAll(cast_slice(numbers)), incoming)?;
        let numbers_sum = &mut numbers[..length];
        if let [(0, 1)] = self.order.steps() {
            // The sum of two numbers has the same bits in both orders.
            let other = if own.start == 0 { own.end..self.rows.len() } else { 0..own.start };
            add(numbers_sum, &self.rows[other]);
        } else {
            place.copy_from_slice(numbers);
            sum_rows(&mut self.rows, self.order.steps(), &mut numbers[..length]);
        }
        Ok(())
    }

    /// Every process gets a slice of everything, sums it, and gives it to the others.
    fn sum_sliced(&mut self, wire: &Wire, numbers: &mut [T], length: usize) -> Result<(), GroupError> {
        let world_size = wire.world_size();
        let slice = |rank: usize| length * rank / world_size..length * (rank + 1) / world_size;
        let mine = slice(self.rank);
        let own = self.make_room(mine.len(), world_size);
        let own_rows = self.order.rows_of(self.rank).len();

        self.sent.clear();
        self.sent.extend((0..world_size).map(|rank| {
            let slice = slice(rank);
            slice.start * own_rows * size_of::<T>()..slice.end * own_rows * size_of::<T>()
        }));
        let outgoing: &[T] = if own_rows == 1 {
            numbers
        } else {
            self.cut.clear();
            for rank in 0..world_size {
                self.cut.extend(numbers.chunks_exact(length).flat_map(|row| &row[slice(rank)]));
            }
            &self.cut
        };
        let (incoming, place) = around(&mut self.rows, &own, &self.received);
        let terms = Terms { kind: T::ALL, local: self.local, limit: Some(wire.timeout()) };
        wire.exchange(&terms, Outgoing::Parts(cast_slice(outgoing), &self.sent), incoming)?;
        for (place, row) in place.chunks_exact_mut(mine.len()).zip(numbers.chunks_exact(length)) {
            place.copy_from_slice(&row[mine.clone()]);
        }
        let sum = &mut numbers[..length];
        sum_rows(&mut self.rows, self.order.steps(), &mut sum[mine.clone()]);

        self.received.clear();
        self.received.extend((0..world_size).map(|rank| {
            let slice = slice(rank);
            slice.start * size_of::<T>()..slice.end * size_of::<T>()
        }));
        let (incoming, mine) = around(sum, &mine, &self.received);
        let terms = Terms { kind: T::SLICES, ..terms };
        wire.exchange(&terms, Outgoing::ToAll(cast_slice(mine)), incoming)
    }

    /// Makes room for so much of each row of all processes. Returns the place of this process's rows.
    fn make_room(&mut self, length: usize, world_size: usize) -> Range<usize> {
        self.rows.resize(length * self.order.rows(), T::zeroed());
        self.received.clear();
        self.received.extend((0..world_size).map(|rank| {
            let rows = self.order.rows_of(rank);
            rows.start * length * size_of::<T>()..rows.end * length * size_of::<T>()
        }));
        let own = self.order.rows_of(self.rank);
        own.start * length..own.end * length
    }
}

/// Room for what comes from the others, before and behind this process's own part, and that part.
fn around<'a, T: Number>(
    all: &'a mut [T],
    own: &Range<usize>,
    parts: &'a [Range<usize>],
) -> (Incoming<'a>, &'a mut [T]) {
    let (before, rest) = all.split_at_mut(own.start);
    let (own, behind) = rest.split_at_mut(own.len());
    (Incoming::Parts { before: cast_slice_mut(before), behind: cast_slice_mut(behind), parts }, own)
}
