//! Measures of classification: counts of classes taken for others, and what follows from them.

/// How often each class was taken for each class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    /// `counts[class][taken for]`
    pub counts: Vec<Vec<u64>>,
}

/// Precision, recall and F1 of one class. A class that is never taken has precision 0, one without samples
/// recall 0, as scikit-learn counts them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScores {
    /// The share of what was taken for the class that belongs to it.
    pub precision: f64,
    /// The share of the class's samples that were taken for it.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
}

impl Confusion {
    /// No samples of so many classes.
    pub fn new(classes: usize) -> Self {
        Self { counts: vec![vec![0; classes]; classes] }
    }

    /// Counts a sample. Numbers that are no class are left out.
    pub fn add(&mut self, class: usize, taken_for: usize) {
        if let Some(count) = self.counts.get_mut(class).and_then(|row| row.get_mut(taken_for)) {
            *count += 1;
        }
    }

    /// The number of samples.
    pub fn samples(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// The share of samples that were taken for what they are.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = self.counts.iter().enumerate().map(|(class, row)| row[class]).sum();
        right as f64 / self.samples().max(1) as f64
    }

    /// The scores of each class.
    pub fn scores(&self) -> Vec<ClassScores> {
        let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let score = |class: usize| {
            let right = self.counts[class][class];
            let precision = share(right, self.counts.iter().map(|row| row[class]).sum());
            let recall = share(right, self.counts[class].iter().sum());
            let sum = precision + recall;
            let f1 = if sum == 0.0 { 0.0 } else { 2.0 * precision * recall / sum };
            ClassScores { precision, recall, f1 }
        };
        (0..self.counts.len()).map(score).collect()
    }

    /// The mean of the classes' scores, each class alike (macro averages). A class without samples that nothing
    /// is taken for is left out, as scikit-learn and torchmetrics do: a classifier without a mistake has
    /// scores of 1 on samples that lack a class.
    pub fn mean_scores(&self) -> ClassScores {
        let is_met = |class: usize| {
            self.counts.iter().any(|row| row[class] > 0) || self.counts[class].iter().any(|&n| n > 0)
        };
        let scores = self.scores().into_iter().enumerate();
        let scores: Vec<_> = scores.filter(|(class, _)| is_met(*class)).map(|(_, scores)| scores).collect();
        let mean =
            |of: fn(&ClassScores) -> f64| scores.iter().map(of).sum::<f64>() / scores.len().max(1) as f64;
        ClassScores {
            precision: mean(|score| score.precision),
            recall: mean(|score| score.recall),
            f1: mean(|score| score.f1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from scikit-learn 1.9.1's `precision_recall_fscore_support(average="macro", zero_division=0)`
    /// on `y = [0,0,0,1,1,2,2,2,2,3]`, `p = [0,1,0,1,1,2,0,2,1,2]`.
    #[test]
    fn scores_are_scikit_learns() {
        let mut confusion = Confusion::new(4);
        let (y, p) = ([0, 0, 0, 1, 1, 2, 2, 2, 2, 3], [0, 1, 0, 1, 1, 2, 0, 2, 1, 2]);
        y.into_iter().zip(p).for_each(|(class, taken)| confusion.add(class, taken));
        let scores = confusion.mean_scores();
        assert!((confusion.accuracy() - 0.6).abs() < 1e-12);
        let expected = [0.458_333_333_333_333_3, 0.541_666_666_666_666_6, 0.476_190_476_190_476_2];
        for (value, expected) in [scores.precision, scores.recall, scores.f1].into_iter().zip(expected) {
            assert!((value - expected).abs() < 1e-9, "{value} {expected}");
        }
    }
}
