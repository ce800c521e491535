//! Priorities of transitions (Schaul et al. 2016, proportional).

use pavlov_common::SeededRng;
use pavlov_nn::{StateDict, StateView};
use rand::RngExt;

use crate::core::AgentError;

/// Added to an error, so that no transition is lost for ever.
const LEAST_ERROR: f64 = 1e-6;

/// The priority of each slot, `(|error| + 1e-6)^exponent`, as the leaves of a tree of sums: drawing and
/// changing one takes as many steps as the tree is high.
#[derive(Clone, Debug)]
pub(super) struct Priorities {
    exponent: f64,
    /// The largest priority ever given: that of what has not been learned from yet.
    largest: f64,
    /// The leaves begin at `leaves`; the sum of nodes `2 n` and `2 n + 1` is node `n`.
    tree: Vec<f64>,
    leaves: usize,
}

impl Priorities {
    /// No priorities yet, for `capacity` slots.
    pub fn new(exponent: f64, capacity: usize) -> Self {
        let leaves = capacity.next_power_of_two();
        Self { exponent, largest: 1.0, tree: vec![0.0; 2 * leaves], leaves }
    }

    /// The sum of all priorities.
    pub fn total(&self) -> f64 {
        self.tree[1]
    }

    /// The priority of a slot.
    pub fn of(&self, slot: usize) -> f64 {
        self.tree[self.leaves + slot]
    }

    /// A slot was filled with what nobody has learned from.
    pub fn welcome(&mut self, slot: usize) {
        self.set(slot, self.largest);
    }

    /// Sets the error that the transition in this slot turned out to have.
    pub fn learned(&mut self, slot: usize, error: f32) {
        let priority = (f64::from(error.abs()) + LEAST_ERROR).powf(self.exponent);
        if priority.is_finite() {
            self.largest = self.largest.max(priority);
            self.set(slot, priority);
        }
    }

    fn set(&mut self, slot: usize, priority: f64) {
        let mut node = self.leaves + slot;
        self.tree[node] = priority;
        while node > 1 {
            node /= 2;
            // Summed anew, not corrected by the difference: rounding errors do not pile up.
            self.tree[node] = self.tree[2 * node] + self.tree[2 * node + 1];
        }
    }

    /// Draws a slot of each of `count` equal shares of the total, in order (stratified).
    pub fn draw(&self, count: usize, rng: &mut SeededRng, slots: &mut Vec<usize>) {
        slots.clear();
        let share = self.total() / count as f64;
        for index in 0..count {
            let mut point = (index as f64 + rng.random::<f64>()) * share;
            let mut node = 1;
            while node < self.leaves {
                node *= 2;
                // To the right only where there is something: rounding must not lead to an empty slot.
                if point >= self.tree[node] && self.tree[node + 1] > 0.0 {
                    point -= self.tree[node];
                    node += 1;
                }
            }
            slots.push(node - self.leaves);
        }
    }

    /// The priorities of the first `filled` slots.
    pub fn state(&self, filled: usize) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.put_slice("leaves", &[filled], &self.tree[self.leaves..self.leaves + filled]);
        state.put_value("largest", &self.largest)?;
        Ok(state)
    }

    /// Takes over the saved priorities of `filled` slots.
    pub fn load_state(&mut self, state: &StateView<'_>, filled: usize) -> Result<(), AgentError> {
        let leaves: Vec<f64> = state.vec("leaves")?;
        if leaves.len() != filled || leaves.iter().any(|leaf| !(leaf.is_finite() && *leaf >= 0.0)) {
            return Err(AgentError::State("the replay's priorities do not fit its transitions".into()));
        }
        self.largest = state.value("largest")?;
        self.tree.fill(0.0);
        self.tree[self.leaves..self.leaves + filled].copy_from_slice(&leaves);
        for node in (1..self.leaves).rev() {
            self.tree[node] = self.tree[2 * node] + self.tree[2 * node + 1];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_sum_of_the_leaves_after_many_updates() {
        let (capacity, mut rng) = (1_000, SeededRng::seeded(1));
        let mut priorities = Priorities::new(0.6, capacity);
        (0..capacity).for_each(|slot| priorities.welcome(slot));
        for _ in 0..1_000_000 {
            let error = 10.0 * rng.random::<f32>();
            priorities.learned(rng.random_range(0..capacity), error);
        }
        let sum: f64 = (0..capacity).map(|slot| priorities.of(slot)).sum();
        assert!((priorities.total() - sum).abs() < 1e-9 * sum);
    }

    #[test]
    fn slots_are_drawn_as_often_as_their_priorities_say() {
        let mut priorities = Priorities::new(1.0, 10);
        // The sixth slot is empty, the others' priorities are 1 to 9.
        (0..10).filter(|&slot| slot != 5).for_each(|slot| priorities.learned(slot, slot as f32 + 1.0));
        let (mut rng, mut slots, mut counts) = (SeededRng::seeded(2), Vec::new(), [0.0f64; 10]);
        let draws = 50_000;
        for _ in 0..draws / 5 {
            priorities.draw(5, &mut rng, &mut slots);
            slots.iter().for_each(|&slot| counts[slot] += 1.0);
        }
        assert_eq!(counts[5], 0.0);
        let chi_square: f64 = (0..10)
            .filter(|&slot| slot != 5)
            .map(|slot| {
                let expected = f64::from(draws) * priorities.of(slot) / priorities.total();
                (counts[slot] - expected).powi(2) / expected
            })
            .sum();
        // Eight degrees of freedom: 26.1 is exceeded once in a thousand, less often by stratified draws.
        assert!(chi_square < 26.1, "{counts:?}");
    }

    #[test]
    fn what_is_new_has_the_largest_priority_and_nonsense_changes_nothing() {
        let mut priorities = Priorities::new(0.5, 4);
        priorities.welcome(0);
        assert_eq!(priorities.of(0), 1.0);
        priorities.learned(0, 16.0);
        priorities.welcome(1);
        assert!((priorities.of(1) - 4.0).abs() < 1e-6);
        priorities.learned(1, f32::NAN);
        assert!((priorities.of(1) - 4.0).abs() < 1e-6);
        // A single slot takes all draws.
        let (mut one, mut slots) = (Priorities::new(0.5, 1), Vec::new());
        one.welcome(0);
        one.draw(3, &mut SeededRng::seeded(1), &mut slots);
        assert_eq!(slots, [0, 0, 0]);
    }
}
