//! The outcome of a run.

use serde::Serialize;

use super::candidates::Choice;

/// The reason why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Everything is done.
    Completed,
    /// An evaluation of an agent reached `evaluation.until_return`.
    ReturnReached,
    /// The validations of a fit have not become better for as long as `validation.patience` allows.
    NoProgress,
    /// The user asked it to stop.
    Interrupted,
    /// A callback asked it to stop; [`Outcome::why`] says why.
    Callback,
}

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The reason why it ended.
    pub reason: StopReason,
    /// The words of the callback that asked the run to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Env steps so far over all environments; 0 for a fit.
    pub env_steps: u64,
    /// Updates so far.
    pub updates: u64,
    /// The metric of the last evaluation: an agent's mean return.
    pub last_evaluation: Option<f64>,
    /// The best metric of all evaluations.
    pub best_evaluation: Option<f64>,
    /// The comparison at the end from which the best weights come, if there was one.
    pub choice: Option<Choice>,
    /// Seconds of work, over all resumes.
    pub seconds: f64,
}
