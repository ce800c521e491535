//! Data sets for tests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pavlov_common::{SeededRng, derive_seed};
use rand::RngExt;
use rand::seq::SliceRandom;

use crate::{DataError, Dataset, Input, SampleMut, Target};

/// Random numbers as inputs, classes in turn.
#[derive(Debug)]
pub(crate) struct Toy {
    pub input: Input,
    pub target: Target,
    pub numbers: Vec<f32>,
    pub classes: Vec<usize>,
    pub identities: Vec<u64>,
    pub test_begin: Option<usize>,
    /// The sample that fails, the sample that panics, and the time that each sample takes.
    pub fails: Option<usize>,
    pub panics: Option<usize>,
    pub pause: Duration,
    /// How often a sample was read.
    pub reads: AtomicUsize,
}

impl Toy {
    /// Images of two channels, 5 x 5 pixels, in so many classes.
    pub fn new(count: usize, classes: usize, seed: u64) -> Self {
        let mut toy = Self::with_input(Input::Image { channels: 2, height: 5, width: 5 }, count, seed);
        toy.classes = (0..count).map(|index| index % classes).collect();
        toy.target = Target::Class { names: (0..classes).map(|class| format!("class{class}")).collect() };
        toy
    }

    /// Such inputs, without a target.
    pub fn with_input(input: Input, count: usize, seed: u64) -> Self {
        let mut rng = SeededRng::seeded(seed);
        let numbers = (0..count * input.numbers()).map(|_| rng.random_range(-1.0..1.0f32)).collect();
        Self {
            input,
            target: Target::None,
            numbers,
            classes: Vec::new(),
            identities: (0..count).map(|index| derive_seed(seed, "toy", index as u64)).collect(),
            test_begin: None,
            fails: None,
            panics: None,
            pause: Duration::ZERO,
            reads: AtomicUsize::new(0),
        }
    }

    /// The same samples in another order.
    pub fn permuted(&self, seed: u64) -> Self {
        let mut order: Vec<_> = (0..self.len()).collect();
        order.shuffle(&mut SeededRng::seeded(seed));
        let size = self.input.numbers();
        Self {
            input: self.input.clone(),
            target: self.target.clone(),
            numbers: order.iter().flat_map(|&at| self.numbers[at * size..][..size].to_vec()).collect(),
            classes: order.iter().filter_map(|&at| self.class(at)).collect(),
            identities: order.iter().map(|&at| self.identities[at]).collect(),
            reads: AtomicUsize::new(0),
            ..*self
        }
    }
}

impl Dataset for Toy {
    fn input(&self) -> &Input {
        &self.input
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn len(&self) -> usize {
        self.identities.len()
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.classes.get(index).copied()
    }

    fn identity(&self, index: usize) -> u64 {
        self.identities[index]
    }

    fn test_begin(&self) -> Option<usize> {
        self.test_begin
    }

    fn read(&self, index: usize, sample: SampleMut<'_>) -> Result<(), DataError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(self.pause);
        if self.fails == Some(index) {
            return Err(DataError::Data("the disk is gone".into()));
        }
        assert_ne!(self.panics, Some(index), "a slip of the user");
        let size = self.input.numbers();
        sample.numbers.copy_from_slice(&self.numbers[index * size..][..size]);
        Ok(())
    }
}
