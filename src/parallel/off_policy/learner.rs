//! The learner's thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crossbeam::channel::{Receiver, Sender};
use pavlov_agents::AgentError;
use pavlov_agents::off_policy::OffPolicyLearner;
use pavlov_runtime::Publisher;

use super::Drawn;
use crate::parallel::shared::{Event, Shared, Weights, publish};

/// The learner's thread.
pub(in crate::parallel) struct LearnerThread<'a> {
    pub learner: &'a mut dyn OffPolicyLearner,
    pub publisher: &'a mut Publisher<Weights>,
    pub shared: Arc<Shared>,
    pub batches: Receiver<Drawn>,
    pub spent: Sender<Drawn>,
    pub publish_every: u64,
    pub log_every: u64,
    /// Up to where the learner knows of env steps.
    pub env_steps: u64,
}

impl LearnerThread<'_> {
    /// Learns until no batch is left; gives how far it knew of env steps, and how many samples were drawn in vain.
    pub fn run(mut self) -> (u64, u64, Result<(), AgentError>) {
        let shared = self.shared.clone();
        let outcome = shared.serve(&shared.learner, |started| self.learn(started));
        let vain = self.batches.try_iter().map(|drawn| drawn.minibatches as u64).sum();
        (self.env_steps, vain, outcome)
    }

    fn learn(&mut self, started: &mut Instant) -> Result<(), AgentError> {
        let mut published = self.learner.updates();
        loop {
            let Ok(mut drawn) = self.shared.learner.waiting(|| self.batches.recv()) else { return Ok(()) };
            let (before, now) = (self.env_steps, drawn.env_steps.max(self.env_steps));
            self.learner.advance(before, now)?;
            self.env_steps = now;
            self.learner.update(&drawn.batch, drawn.progress)?;
            drawn.errors.clear();
            drawn.errors.extend_from_slice(self.learner.errors());
            let updates = self.learner.updates();
            self.shared.updates.store(updates, Ordering::Relaxed);
            if updates - published >= self.publish_every {
                published = updates;
                publish(self.publisher, self.learner.acting(), updates)?;
            }
            if now / self.log_every > before / self.log_every {
                let mut metrics = self.learner.take_metrics(drawn.progress)?;
                metrics.insert("train/n_updates", updates as f64);
                self.shared.tell(Event::Learned(metrics));
            }
            // The replay's thread outlives this one, but for an error.
            let _ = self.spent.send(drawn);
            self.shared.learner.lived(started);
            if self.shared.is_stopped() {
                return Ok(());
            }
        }
    }
}
