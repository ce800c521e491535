//! The order of a sum over shards: one binary tree over their numbers, whatever process each shard belongs
//! to.
//!
//! A node of the tree is a range of shards. It is split at the largest power of two below its length, so that
//! processes with 1, 2, 4 ... shards each have whole branches. Additions of floating-point numbers give other
//! bits in another order; since the order is the tree's, the bits do not depend on the number of processes.

use std::ops::{AddAssign, Range};

/// The number of elements that are summed at a time over all rows, so that they stay in the nearest cache.
const BLOCK: usize = 2048;

/// An addition: row `.0` becomes its sum with row `.1`, which stands behind it.
pub type Step = (usize, usize);

/// Where the sum over the shards `from..to` is split.
fn split(from: usize, to: usize) -> usize {
    let length = to - from;
    from + (1 << (length - 1).ilog2())
}

/// The way in which `world_size` processes of `local` shards each sum over all shards.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    local: usize,
    /// The largest nodes of the tree that lie within one process, in the order of the shards: the sums that
    /// are sent.
    nodes: Vec<Range<usize>>,
    /// For each process, which of the nodes are its own.
    of_rank: Vec<Range<usize>>,
    /// The additions that make the sum over all shards, in row 0, of the rows of all nodes.
    steps: Vec<Step>,
}

impl Order {
    /// The order for so many processes with so many shards each, at least one of both.
    pub fn new(local: usize, world_size: usize) -> Self {
        let shards = local * world_size;
        let mut nodes = Vec::new();
        whole_branches(0, shards, local, &mut nodes);
        let of_rank = (0..world_size)
            .map(|rank| {
                let first = nodes.partition_point(|node| node.start < rank * local);
                first..nodes.partition_point(|node| node.start < (rank + 1) * local)
            })
            .collect();
        let mut steps = Vec::new();
        visit(0, shards, &mut |from, middle, to| {
            // Steps within a process are `local_steps`.
            if from / local != (to - 1) / local {
                let row = |shard| nodes.partition_point(|node: &Range<usize>| node.start < shard);
                steps.push((row(from), row(middle)));
            }
        });
        Self { local, nodes, of_rank, steps }
    }

    /// The number of rows that all processes send together.
    pub fn rows(&self) -> usize {
        self.nodes.len()
    }

    /// The rows that a process sends.
    pub fn rows_of(&self, rank: usize) -> Range<usize> {
        self.of_rank[rank].clone()
    }

    /// The additions of all rows.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The additions within a process, of the rows of its shards (numbered from 0), and for each row that it
    /// sends where among its shards' rows the sum then stands.
    pub fn local_steps(&self, rank: usize) -> (Vec<Step>, Vec<usize>) {
        let first = rank * self.local;
        let mut steps = Vec::new();
        let own = &self.nodes[self.rows_of(rank)];
        for node in own {
            visit(node.start, node.end, &mut |from, middle, _| steps.push((from - first, middle - first)));
        }
        (steps, own.iter().map(|node| node.start - first).collect())
    }
}

/// The largest nodes below `from..to` that lie within one process.
fn whole_branches(from: usize, to: usize, local: usize, nodes: &mut Vec<Range<usize>>) {
    if from / local == (to - 1) / local {
        nodes.push(from..to);
    } else {
        let middle = split(from, to);
        whole_branches(from, middle, local, nodes);
        whole_branches(middle, to, local, nodes);
    }
}

/// Calls `at` with each node of two or more shards (its start, middle and end), those below it first.
fn visit(from: usize, to: usize, at: &mut impl FnMut(usize, usize, usize)) {
    if to - from > 1 {
        let middle = split(from, to);
        visit(from, middle, at);
        visit(middle, to, at);
        at(from, middle, to);
    }
}

/// Adds element by element.
pub fn add<T: Copy + AddAssign>(to: &mut [T], other: &[T]) {
    for (to, other) in to.iter_mut().zip(other) {
        *to += *other;
    }
}

/// Sums rows that stand one behind the other, each as long as `sum`. The rows are used up.
pub fn sum_rows<T: Copy + AddAssign>(rows: &mut [T], steps: &[Step], sum: &mut [T]) {
    let length = sum.len();
    for from in (0..length).step_by(BLOCK) {
        let block = from..length.min(from + BLOCK);
        for &(to, other) in steps {
            let (before, behind) = rows.split_at_mut(other * length);
            add(&mut before[to * length..][block.clone()], &behind[block.clone()]);
        }
        sum[block.clone()].copy_from_slice(&rows[block]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree's sum as a recursion: the definition.
    fn by_definition(rows: &[Vec<f32>], from: usize, to: usize) -> Vec<f32> {
        if to - from == 1 {
            return rows[from].clone();
        }
        let middle = split(from, to);
        let mut sum = by_definition(rows, from, middle);
        add(&mut sum, &by_definition(rows, middle, to));
        sum
    }

    /// The same as processes make it.
    fn by_processes(rows: &[Vec<f32>], local: usize, world_size: usize) -> Vec<f32> {
        let order = Order::new(local, world_size);
        let mut all = Vec::new();
        for rank in 0..world_size {
            let mut own = rows[rank * local..][..local].to_vec();
            let (steps, places) = order.local_steps(rank);
            for (to, other) in steps {
                let other = own[other].clone();
                add(&mut own[to], &other);
            }
            assert_eq!(places.len(), order.rows_of(rank).len());
            all.extend(places.iter().flat_map(|&place| own[place].clone()));
        }
        let mut sum = vec![0.0; rows[0].len()];
        sum_rows(&mut all, order.steps(), &mut sum);
        sum
    }

    #[test]
    fn the_number_of_processes_does_not_change_a_bit() {
        let length = 2 * BLOCK + 3;
        for shards in 1..=24usize {
            let number = |shard: usize, i: usize| ((shard * 7919 + i * 104_729) % 9973) as f32 / 7.0 - 600.0;
            let rows: Vec<Vec<f32>> =
                (0..shards).map(|shard| (0..length).map(|i| number(shard, i)).collect()).collect();
            let right: Vec<u32> = by_definition(&rows, 0, shards).iter().map(|x| x.to_bits()).collect();
            for local in (1..=shards).filter(|local| shards % local == 0) {
                let sum = by_processes(&rows, local, shards / local);
                let bits: Vec<u32> = sum.iter().map(|x| x.to_bits()).collect();
                assert!(bits == right, "{} processes of {local} shards", shards / local);
            }
        }
    }

    #[test]
    fn whole_branches_are_one_row() {
        for (local, world_size, rows) in [(1, 5, 5), (2, 3, 3), (4, 4, 4), (8, 3, 3), (3, 1, 1), (3, 2, 4)] {
            assert_eq!(Order::new(local, world_size).rows(), rows, "{world_size} processes of {local}");
        }
        // Six shards are ((0 1) (2 3)) (4 5).
        let order = Order::new(3, 2);
        assert_eq!(order.nodes, [0..2, 2..3, 3..4, 4..6]);
        assert_eq!(order.steps(), [(1, 2), (0, 1), (0, 3)]);
        assert_eq!(order.local_steps(1), (vec![(1, 2)], vec![0, 1]));
    }
}
