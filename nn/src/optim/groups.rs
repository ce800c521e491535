//! Groups of parameters by name, and the runs of the flat tensor that are stepped alike.

use serde::{Deserialize, Serialize};

use crate::{Layout, NnError, ParameterSpec, Role};

/// Parameters whose learning rate or weight decay is another than the optimiser's.
///
/// A parameter may be in several groups: the factors of all are multiplied, and it decays where none says
/// otherwise. In a file, with the settings of the optimiser:
///
/// ```toml
/// optimizer = { kind = "adamw", groups = [{ names = ["*.bias", "*norm*"], weight_decay = false }] }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParameterGroup {
    /// The parameters' names, in which each `*` stands for any characters ([`Layout::freeze`]).
    pub names: Vec<String>,
    /// The factor of the learning rate.
    pub learning_rate_factor: f64,
    /// True if weight decay acts, of every kind that the optimiser has.
    pub weight_decay: bool,
}

impl Default for ParameterGroup {
    fn default() -> Self {
        Self { names: Vec::new(), learning_rate_factor: 1.0, weight_decay: true }
    }
}

impl ParameterGroup {
    pub(super) fn validate(&self, index: usize) -> Result<(), NnError> {
        let factor = self.learning_rate_factor;
        let complaint = if self.names.is_empty() {
            "has no names: give some, for instance [\"*.bias\"]".into()
        } else if !(factor.is_finite() && factor >= 0.0) {
            format!("has learning_rate_factor = {factor}: give a number that is not negative")
        } else if factor == 1.0 && self.weight_decay {
            "changes nothing: give it a learning_rate_factor or weight_decay = false".into()
        } else {
            return Ok(());
        };
        Err(NnError::Config(format!("groups[{index}] {complaint}")))
    }
}

/// Trainable numbers that stand side by side and are stepped alike.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    /// Where it starts in the flat tensor.
    pub from: i64,
    /// The number of its numbers.
    pub len: i64,
    pub pace: Pace,
}

/// The rule by which a parameter is stepped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    pub learning_rate_factor: f64,
    pub decays: bool,
    /// The number of steps that the optimiser had made when it took the parameter on.
    pub taken_on_after: u64,
}

/// The fewest runs that cover the trainable parameters. `taken_on_after` has one number for each of them.
///
/// # Errors
/// [`NnError::Config`] for a pattern that names no parameter.
pub(super) fn runs(
    groups: &[ParameterGroup],
    layout: &Layout,
    taken_on_after: &[u64],
) -> Result<Vec<Run>, NnError> {
    let mut paces = vec![(1.0, true); layout.specs().len()];
    for group in groups {
        let of = |name: &String| {
            layout.named(name).map_err(|error| NnError::Config(format!("the optimiser's groups: {error}")))
        };
        let named = group.names.iter().map(of).collect::<Result<Vec<_>, _>>()?;
        let mut members = named.concat();
        members.sort_unstable();
        members.dedup();
        for index in members {
            let (factor, decays) = &mut paces[index];
            *factor *= group.learning_rate_factor;
            *decays &= group.weight_decay;
        }
    }
    let mut runs: Vec<Run> = Vec::new();
    for ((index, spec), &taken_on_after) in trainable(layout).zip(taken_on_after) {
        let (learning_rate_factor, decays) = paces[index];
        let pace = Pace { learning_rate_factor, decays, taken_on_after };
        match runs.last_mut() {
            Some(last) if last.pace == pace => last.len += spec.len(),
            _ => runs.push(Run { from: spec.offset, len: spec.len(), pace }),
        }
    }
    Ok(runs)
}

/// The trainable parameters in the order of the flat tensor, each with its index in the order of adding.
pub(super) fn trainable(layout: &Layout) -> impl Iterator<Item = (usize, &ParameterSpec)> {
    layout.arranged().take_while(|(_, spec)| spec.role == Role::Trainable)
}
