//! Samples of a program's own, held in memory.

use crate::{DataError, Dataset, Input, SampleMut, Target, content_hash_of_numbers};

/// Samples whose inputs are numbers in memory, with a class each or without targets.
#[derive(Debug)]
pub struct InMemory {
    input: Input,
    target: Target,
    numbers: Vec<f32>,
    classes: Vec<usize>,
}

impl InMemory {
    /// The samples of these numbers, one after the other ([`Input::numbers`] of each), without targets.
    ///
    /// # Errors
    /// [`DataError::Data`] when the input is made of tokens, or the numbers are not those of whole samples.
    pub fn new(input: Input, numbers: Vec<f32>) -> Result<Self, DataError> {
        let width = input.numbers();
        if width == 0 || !numbers.len().is_multiple_of(width) {
            let (count, shape) = (numbers.len(), input.shape());
            return Err(DataError::Data(match width {
                0 => "the inputs are tokens, and samples in memory are made of numbers".into(),
                _ => format!("{count} numbers are not whole samples of the shape {shape:?}"),
            }));
        }
        Ok(Self { input, target: Target::None, numbers, classes: Vec::new() })
    }

    /// Gives each sample its class, a place in `names`.
    ///
    /// # Errors
    /// [`DataError::Data`] when there is not one class for each sample, or a class has no name.
    pub fn with_classes(mut self, classes: Vec<usize>, names: Vec<String>) -> Result<Self, DataError> {
        if classes.len() != self.len() {
            let (classes, samples) = (classes.len(), self.len());
            return Err(DataError::Data(format!("{classes} classes are not those of {samples} samples")));
        }
        if let Some(class) = classes.iter().find(|&&class| class >= names.len()) {
            let names = names.len();
            return Err(DataError::Data(format!("there is no class {class}: there are {names} classes")));
        }
        self.classes = classes;
        self.target = Target::Class { names };
        Ok(self)
    }

    fn sample(&self, index: usize) -> Option<&[f32]> {
        self.numbers.chunks_exact(self.input.numbers()).nth(index)
    }
}

impl Dataset for InMemory {
    fn input(&self) -> &Input {
        &self.input
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn len(&self) -> usize {
        self.numbers.len() / self.input.numbers()
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.classes.get(index).copied()
    }

    fn identity(&self, index: usize) -> u64 {
        content_hash_of_numbers(self.sample(index).unwrap_or_default())
    }

    fn read(&self, index: usize, sample: SampleMut<'_>) -> Result<(), DataError> {
        let numbers = self.sample(index).ok_or_else(|| {
            DataError::Data(format!("there is no sample {index}: there are {}", self.len()))
        })?;
        sample.numbers.copy_from_slice(numbers);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points() -> Input {
        Input::Numbers { names: vec!["x".into(), "y".into()] }
    }

    #[test]
    fn samples_are_the_numbers_in_their_order() {
        let data = InMemory::new(points(), vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        let data = data.with_classes(vec![1, 0], vec!["a".into(), "b".into()]).unwrap();
        assert_eq!((data.len(), data.class(0), data.class(2)), (2, Some(1), None));
        assert_ne!(data.identity(0), data.identity(1));
        let mut numbers = [0.0; 2];
        let sample = SampleMut { numbers: &mut numbers, tokens: &mut [], targets: &mut [] };
        data.read(1, sample).unwrap();
        assert_eq!(numbers, [3.0, 4.0]);
        let sample = SampleMut { numbers: &mut numbers, tokens: &mut [], targets: &mut [] };
        assert!(data.read(2, sample).unwrap_err().to_string().contains("no sample 2"));
    }

    #[test]
    fn numbers_and_classes_that_fit_no_samples_are_refused() {
        let short = InMemory::new(points(), vec![1.0; 3]).unwrap_err().to_string();
        assert!(short.contains("3 numbers are not whole samples of the shape [2]"), "{short}");
        let tokens = Input::Tokens { length: 4, vocabulary: vec!["a".into()] };
        assert!(InMemory::new(tokens, Vec::new()).unwrap_err().to_string().contains("tokens"));
        let with =
            |classes| InMemory::new(points(), vec![1.0; 4]).unwrap().with_classes(classes, vec!["a".into()]);
        assert!(with(vec![0]).unwrap_err().to_string().contains("1 classes are not those of 2 samples"));
        assert!(with(vec![0, 1]).unwrap_err().to_string().contains("no class 1"));
    }
}
