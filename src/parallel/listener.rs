//! Reports of a phase to the thread that started it: events while it runs, and the result when it has ended.

use std::collections::BTreeMap;

use pavlov_envs::EpisodeInfos;

/// An episode that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// The sum of its raw rewards.
    pub sum: f64,
    /// Its steps.
    pub length: u64,
    /// The infos of its steps, by name.
    pub infos: EpisodeInfos,
}

/// Receives the events of a phase while it runs.
pub trait Listener {
    /// An episode ended.
    fn episode(&mut self, episode: Episode);
    /// The learner made updates; `metrics` are to be logged.
    fn learned(&mut self, metrics: BTreeMap<String, f64>);
    /// So many env steps are done. Called often.
    fn tick(&mut self, env_steps: u64);
    /// True if the phase must end before its time.
    fn wants_stop(&self) -> bool {
        false
    }
    /// A message for the user.
    fn warn(&mut self, message: &str);
}

/// Warns of an environment that failed and was replaced.
pub(super) fn warn_of_failure(listener: &mut dyn Listener, message: &str) {
    listener.warn(&format!("an environment failed and was replaced: {message}"));
}

/// The result of a phase.
#[derive(Debug)]
pub struct PhaseEnd {
    /// Env steps done since the training began.
    pub env_steps: u64,
    /// The reason for which the training must stop, if environments failed too often.
    pub failure: Option<String>,
}
