//! The threads that make batches.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam::channel::{Receiver, Sender};
use pavlov_common::{SeededRng, derive_seed};

use crate::transforms::Scratch;
use crate::{Batch, DataError, Dataset, Pipeline, SampleMut, Target, batch};

/// A batch to be made.
#[derive(Debug)]
pub(super) struct Job {
    /// The jobs' number, one after the other.
    pub ticket: u64,
    pub epoch: u64,
    /// The samples of the epoch, and the places of those of the batch among them.
    pub samples: Arc<Vec<usize>>,
    pub places: Range<usize>,
    /// The memory to use.
    pub memory: Batch,
}

/// A batch that is made.
#[derive(Debug)]
pub(super) struct Done {
    pub ticket: u64,
    pub result: Result<Batch, DataError>,
}

/// The state of one thread.
pub(super) struct Worker {
    dataset: Arc<dyn Dataset>,
    pipeline: Pipeline,
    seed: u64,
    stop: Arc<AtomicBool>,
    raw: Vec<f32>,
    scratch: Scratch,
    /// The sample at work, to name it when the data set panics.
    at: usize,
}

impl Worker {
    pub fn new(dataset: Arc<dyn Dataset>, pipeline: Pipeline, seed: u64, stop: Arc<AtomicBool>) -> Self {
        let raw = vec![0.0; dataset.input().numbers()];
        Self { dataset, pipeline, seed, stop, raw, scratch: Scratch::default(), at: 0 }
    }

    /// Makes batches until the loader is dropped.
    pub fn run(mut self, jobs: &Receiver<Job>, results: &Sender<Done>) {
        for job in jobs {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let ticket = job.ticket;
            let made = catch_unwind(AssertUnwindSafe(|| self.make(job)));
            let result = made.unwrap_or_else(|panic| {
                let message = format!("the data set panicked: {}", message_of(&*panic));
                Err(DataError::of_sample(self.at, DataError::Data(message)))
            });
            if results.send(Done { ticket, result }).is_err() {
                return;
            }
        }
    }

    fn make(&mut self, job: Job) -> Result<Batch, DataError> {
        let Job { epoch, samples, places, memory: mut batch, .. } = job;
        let (input, target) = (self.pipeline.output(), self.dataset.target());
        batch.resize(places.len(), input, target);
        let [numbers, tokens, targets] = [input.numbers(), batch::tokens_of(input, target), target.numbers()];
        let first = epoch.wrapping_mul(samples.len() as u64);
        for (row, place) in places.enumerate() {
            if self.stop.load(Ordering::Relaxed) {
                return Err(DataError::Data("the loader was dropped".into()));
            }
            self.at = samples[place];
            batch.indices[row] = self.at;
            let output = &mut batch.numbers[row * numbers..][..numbers];
            let sample = SampleMut {
                numbers: if self.pipeline.is_empty() { &mut *output } else { &mut self.raw },
                tokens: &mut batch.tokens[row * tokens..][..tokens],
                targets: &mut batch.targets[row * targets..][..targets],
            };
            let read = self.dataset.read(self.at, sample);
            read.map_err(|source| DataError::of_sample(self.at, source))?;
            if !self.pipeline.is_empty() {
                let stream = first.wrapping_add(place as u64);
                let mut rng = SeededRng::seeded(derive_seed(self.seed, "augment", stream));
                self.pipeline.apply(&self.raw, output, &mut self.scratch, &mut rng);
            }
            if let Target::Class { names } = target {
                batch.classes[row] = class_of(&*self.dataset, self.at, names.len())?;
            }
        }
        Ok(batch)
    }
}

fn class_of(dataset: &dyn Dataset, index: usize, classes: usize) -> Result<i64, DataError> {
    let class = dataset.class(index);
    class.filter(|class| *class < classes).map(|class| class as i64).ok_or_else(|| {
        let have = class.map_or_else(|| "no class".into(), |class| format!("class {class}"));
        DataError::of_sample(
            index,
            DataError::Data(format!("it has {have}, but there are {classes} classes")),
        )
    })
}

/// The text of a panic.
fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TransformConfig;
    use crate::fixtures::Toy;

    #[test]
    fn a_batch_in_used_memory_allocates_nothing() {
        let toy = Toy::new(30, 3, 0);
        let transforms = [
            TransformConfig::Shift { pixels: 1 },
            TransformConfig::Rotate { degrees: 9.0 },
            TransformConfig::Crop { padding: 2 },
            TransformConfig::FlipHorizontal { probability: 0.5 },
            TransformConfig::Brightness { amount: 0.1 },
            TransformConfig::Contrast { amount: 0.1 },
            TransformConfig::Noise { deviation: 0.1 },
            TransformConfig::Cutout { size: 2 },
            TransformConfig::Normalize { mean: vec![0.5; 2], std: vec![0.1; 2] },
        ];
        let pipeline = Pipeline::new(toy.input(), &transforms).unwrap();
        let mut worker = Worker::new(Arc::new(toy), pipeline, 0, Arc::default());
        let samples = Arc::new((0..30).collect::<Vec<_>>());
        let mut job = |places, memory| {
            let job = Job { ticket: 0, epoch: 1, samples: Arc::clone(&samples), places, memory };
            worker.make(job).unwrap()
        };
        let mut batch = job(0..20, Batch::default());
        let counted = allocation_counter::measure(|| batch = job(10..30, std::mem::take(&mut batch)));
        assert_eq!(counted.count_total, 0);
        assert_eq!(batch.rows, 20);
    }
}
