//! The learner thread of a phase: an update phase for the next rollout of every lane.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use pavlov_agents::AgentError;
use pavlov_agents::on_policy::RolloutLearner;
use pavlov_runtime::Publisher;

use super::half::Recorded;
use crate::parallel::parcel::Parcel;
use crate::parallel::shared::{Event, PATIENCE, Shared};
use crate::parallel::weights::{PublishedWeights, publish};

/// The full rollouts of each lane that wait for those of the other lanes.
pub(in crate::parallel) type Inbox = Vec<VecDeque<Recorded>>;

/// Learns from the next rollout of each lane, if all are there; returns false if not. Used rollouts go to
/// `give_back`, and the updates by which each lagged behind go to `note_lag`.
pub(in crate::parallel) fn learn_from(
    learner: &mut dyn RolloutLearner,
    inbox: &mut Inbox,
    envs_per_lane: usize,
    mut give_back: impl FnMut(Recorded),
    mut note_lag: impl FnMut(u64),
) -> Result<bool, AgentError> {
    if inbox.iter().any(VecDeque::is_empty) {
        return Ok(false);
    }
    let before = learner.updates();
    for (lane, waiting) in inbox.iter_mut().enumerate() {
        let Some(recorded) = waiting.pop_front() else { continue };
        learner.join(lane * envs_per_lane, &recorded.rollout)?;
        note_lag(before.saturating_sub(recorded.updates));
        give_back(recorded);
    }
    learner.learn()?;
    Ok(true)
}

/// The learner and its channels to the actors.
pub(super) struct LearnerThread<'a> {
    pub learner: &'a mut dyn RolloutLearner,
    pub publisher: &'a mut Publisher<PublishedWeights>,
    pub inbox: &'a mut Inbox,
    pub envs_per_lane: usize,
    pub shared: Arc<Shared>,
    pub full: Receiver<Parcel<Recorded>>,
    pub spare: Sender<Recorded>,
    /// Disconnected once no actor is left or waited for.
    pub actors_left: Receiver<()>,
    pub log_every_env_steps: u64,
    /// True once a shard has nothing more to learn from in this phase.
    pub has_ended: bool,
}

impl LearnerThread<'_> {
    /// Learns until no actor and no rollout is left.
    pub fn run(mut self) -> Result<(), AgentError> {
        let shared = self.shared.clone();
        shared.serve(&shared.learner, |started| {
            self.learn(started)?;
            if !self.has_ended {
                self.shared.agree_to_learn(None)?;
            }
            Ok(())
        })
    }

    fn learn(&mut self, started: &mut Instant) -> Result<(), AgentError> {
        let mut logged = self.shared.claimed() / self.log_every_env_steps;
        loop {
            while self.learn_once()? {
                let now = self.shared.claimed() / self.log_every_env_steps;
                if now > logged {
                    logged = now;
                    let metrics = self.learner.take_metrics()?;
                    self.shared.tell(Event::Learned(metrics));
                }
                self.shared.learner.lived(started);
            }
            match self.shared.learner.waiting(|| self.full.recv_timeout(PATIENCE)) {
                Ok(parcel) => self.inbox[parcel.lane].push_back(parcel.content),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    let left = self.actors_left.try_recv();
                    if left == Err(TryRecvError::Disconnected) && self.full.is_empty() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Makes one update phase and publishes the new weights; returns false if a rollout is missing or the
    /// phase is stopped.
    fn learn_once(&mut self) -> Result<bool, AgentError> {
        if self.shared.is_stopped() || self.has_ended || self.inbox.iter().any(VecDeque::is_empty) {
            return Ok(false);
        }
        if self.shared.agree_to_learn(Some(0))?.is_none() {
            self.has_ended = true;
            // Actors that wait for newer weights would wait for ever.
            self.shared.stop();
            return Ok(false);
        }
        let Self { learner, inbox, spare, shared, .. } = self;
        // Sending fails if all actors have ended: they need no more rollouts.
        let give_back = |recorded| drop(spare.send(recorded));
        if !learn_from(*learner, inbox, self.envs_per_lane, give_back, |lag| shared.policy_lag.add(lag))? {
            return Ok(false);
        }
        let updates = self.learner.updates();
        self.shared.updates.store(updates, Ordering::Relaxed);
        publish(self.publisher, self.learner.acting(), updates)?;
        Ok(true)
    }
}
