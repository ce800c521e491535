//! The learner thread of a phase: updates from the batches that the replay thread draws.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crossbeam::channel::{Receiver, Sender};
use pavlov_agents::AgentError;
use pavlov_agents::off_policy::{OffPolicyLearner, progress};
use pavlov_runtime::Publisher;

use super::replay::Drawn;
use crate::parallel::shared::{Event, Shared};
use crate::parallel::weights::{PublishedWeights, publish};

/// The learner and its channels to the replay thread.
pub(super) struct LearnerThread<'a> {
    pub learner: &'a mut dyn OffPolicyLearner,
    pub publisher: &'a mut Publisher<PublishedWeights>,
    pub shared: Arc<Shared>,
    pub batches: Receiver<Drawn>,
    /// Takes used batches back to the replay thread.
    pub spent: Sender<Drawn>,
    pub publish_every_updates: u64,
    pub log_every_env_steps: u64,
    /// The env steps that the learner was told of.
    pub env_steps: u64,
    pub total_env_steps: u64,
    /// Minibatches that were drawn when another shard had none left.
    pub refused: u64,
}

/// The learner thread's account of a phase.
pub(super) struct LearnerEnd {
    /// The env steps that the learner was told of.
    pub env_steps: u64,
    /// Minibatches that were drawn and never learned from.
    pub unused_minibatches: u64,
    pub outcome: Result<(), AgentError>,
}

impl LearnerThread<'_> {
    /// Makes updates until no batch is left or the phase is stopped.
    pub fn run(mut self) -> LearnerEnd {
        let shared = self.shared.clone();
        let outcome = shared.serve(&shared.learner, |started| self.learn(started));
        let unused: u64 = self.batches.try_iter().map(|drawn| drawn.minibatches as u64).sum();
        let unused_minibatches = unused + self.refused;
        LearnerEnd { env_steps: self.env_steps, unused_minibatches, outcome }
    }

    fn learn(&mut self, started: &mut Instant) -> Result<(), AgentError> {
        let mut published = self.learner.updates();
        loop {
            let drawn = match self.shared.is_stopped() {
                true => None,
                false => self.shared.learner.waiting(|| self.batches.recv()).ok(),
            };
            let agreed = self.shared.agree_to_learn(drawn.as_ref().map(|drawn| drawn.env_steps))?;
            let Some(mut drawn) = drawn else { return Ok(()) };
            let Some(agreed) = agreed else {
                self.refused += drawn.minibatches as u64;
                return Ok(());
            };
            let (before, now) = (self.env_steps, agreed.max(self.env_steps));
            self.learner.advance(before, now)?;
            self.env_steps = now;
            let progress = progress(agreed, self.total_env_steps);
            self.learner.update(&drawn.batch, progress)?;
            drawn.errors.clear();
            drawn.errors.extend_from_slice(self.learner.errors());
            let updates = self.learner.updates();
            self.shared.updates.store(updates, Ordering::Relaxed);
            if updates - published >= self.publish_every_updates {
                published = updates;
                publish(self.publisher, self.learner.acting(), updates)?;
            }
            if now / self.log_every_env_steps > before / self.log_every_env_steps {
                let mut metrics = self.learner.take_metrics(progress)?;
                metrics.insert("train/n_updates", updates as f64);
                self.shared.tell(Event::Learned(metrics));
            }
            // The replay thread outlives this one, unless it has failed; its error is reported then.
            let _ = self.spent.send(drawn);
            self.shared.learner.lived(started);
        }
    }
}
