//! The samples of an epoch.

use std::collections::BTreeMap;
use std::ops::Range;

use pavlov_common::{SeededRng, derive_seed};
use rand::seq::SliceRandom;

use super::LoaderConfig;
use crate::{DataError, Dataset};

/// The order of the samples of each epoch: a function of the seed and the epoch's number.
#[derive(Debug)]
pub(super) struct Order {
    rows: Vec<usize>,
    /// The rows of each class that has any, for classes drawn equally.
    classes: Option<Vec<Vec<usize>>>,
    seed: u64,
    shuffle: bool,
    batch_size: usize,
    drop_last: bool,
    /// The part of each batch that is read here, of how many.
    share: (usize, usize),
}

impl Order {
    pub fn new(
        dataset: &dyn Dataset,
        rows: Vec<usize>,
        config: &LoaderConfig,
        seed: u64,
    ) -> Result<Self, DataError> {
        let classes = if config.balanced { Some(classes(dataset, &rows)?) } else { None };
        let LoaderConfig { batch_size, shuffle, drop_last, .. } = *config;
        Ok(Self { rows, classes, seed, shuffle, batch_size, drop_last, share: (0, 1) })
    }

    /// The same with a part of each batch alone.
    pub fn set_share(&mut self, share: usize, of: usize) {
        self.share = (share, of);
    }

    /// The number of batches of an epoch.
    pub fn batches(&self) -> u64 {
        let (full, rest) = (self.rows.len() / self.batch_size, self.rows.len() % self.batch_size);
        // A last batch that has not a sample for each part is left out.
        (full + usize::from(rest >= self.share.1 && !self.drop_last)) as u64
    }

    /// The places of a batch's part in the order of its epoch.
    pub fn places(&self, batch: u64) -> Range<usize> {
        let begin = (batch as usize).saturating_mul(self.batch_size).min(self.rows.len());
        let len = begin.saturating_add(self.batch_size).min(self.rows.len()) - begin;
        let (share, of) = self.share;
        begin + len * share / of..begin + len * (share + 1) / of
    }

    /// The samples of an epoch, by their places in the data set.
    pub fn epoch(&self, epoch: u64) -> Vec<usize> {
        let mut samples = match &self.classes {
            None => self.rows.clone(),
            Some(classes) => self.balanced(classes, epoch),
        };
        self.shuffled(&mut samples, "shuffle", epoch);
        samples
    }

    /// Equally many samples of each class. All epochs together are one sequence that takes the classes in
    /// turn; each class goes through its samples, shuffled anew each time round.
    fn balanced(&self, classes: &[Vec<usize>], epoch: u64) -> Vec<usize> {
        let (draws, count) = (self.rows.len() as u64, classes.len() as u64);
        let begin = epoch.wrapping_mul(draws);
        let mut rounds: Vec<Option<(u64, Vec<usize>)>> = vec![None; classes.len()];
        let mut samples = Vec::with_capacity(self.rows.len());
        for draw in (0..draws).map(|draw| begin.wrapping_add(draw)) {
            let class = (draw % count) as usize;
            let rows = &classes[class];
            let (round, place) = (draw / count / rows.len() as u64, draw / count % rows.len() as u64);
            let round_of = |rounds: &Option<(u64, Vec<usize>)>| rounds.as_ref().map(|(round, _)| *round);
            if round_of(&rounds[class]) != Some(round) {
                let mut shuffled = rows.clone();
                self.shuffled(&mut shuffled, "class", round.wrapping_mul(count).wrapping_add(class as u64));
                rounds[class] = Some((round, shuffled));
            }
            samples.extend(rounds[class].as_ref().map(|(_, rows)| rows[place as usize]));
        }
        samples
    }

    fn shuffled(&self, samples: &mut [usize], purpose: &str, index: u64) {
        if self.shuffle {
            samples.shuffle(&mut SeededRng::seeded(derive_seed(self.seed, purpose, index)));
        }
    }
}

/// The rows of each class that has any.
fn classes(dataset: &dyn Dataset, rows: &[usize]) -> Result<Vec<Vec<usize>>, DataError> {
    let mut classes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &row in rows {
        let missing = || DataError::of_sample(row, DataError::Data("it has no class".into()));
        classes.entry(dataset.class(row).ok_or_else(missing)?).or_default().push(row);
    }
    Ok(classes.into_values().collect())
}
