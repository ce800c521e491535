//! Keys of configurations that have another name now: a run's folder that was written with one is refused
//! with the new name, since its weights are named by the old layout of networks.

use pavlov_nn::NnError;
use toml::{Table, Value};

/// The old key and the new one.
const RENAMED: &[(&str, &str)] = &[
    ("cnn", "net.cnn"),
    ("critic_net.hidden_sizes", "net.value_hidden_sizes"),
    ("critic_net.activation", "net.activation"),
    ("critic_net.layer_norm", "net.layer_norm"),
    ("critic_net.dropout", "net.dropout"),
    ("critic_net.precision", "net.precision"),
    ("critic_net.init", "net.orthogonal_init"),
    ("critic_net.output_init", "net.orthogonal_init"),
    ("critic_net.output_activation", "net.activation"),
    ("critic_net", "net.value_hidden_sizes"),
    ("net.init", "net.orthogonal_init"),
    ("net.output_init", "net.orthogonal_init"),
    ("net.output_activation", "net.activation"),
    ("net.log_deviation_start", "exploration.log_deviation_start"),
    ("net.state_dependent_exploration", "exploration.state_dependent"),
    ("net.exploration_resample_steps", "exploration.resample_steps"),
    ("updates_per_training", "updates_per_phase"),
];

/// Refuses a configuration with a key that has another name now.
///
/// # Errors
/// [`NnError::Config`] naming the old key and the new one.
pub fn check_renamed(table: &Table) -> Result<(), NnError> {
    let has = |key: &str| {
        let mut path = key.split('.');
        let first = path.next().and_then(|first| table.get(first));
        path.try_fold(first?, |value: &Value, key| value.as_table()?.get(key))
    };
    match RENAMED.iter().find(|(old, _)| has(old).is_some()) {
        Some((old, new)) => Err(NnError::Config(format!(
            "`{old}` is `{new}` now: rename it; a run that was trained with the old key is read by the program that \
             trained it"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_key_is_refused_with_the_new_one() {
        let refused = |text: &str| check_renamed(&text.parse().unwrap()).map_err(|error| error.to_string());
        assert!(refused("net = { cnn = \"nature\", hidden_sizes = [8] }").is_ok());
        for (text, new) in [
            ("cnn = \"nature\"", "`net.cnn`"),
            ("critic_net = { hidden_sizes = [8] }", "`net.value_hidden_sizes`"),
            ("critic_net = {}", "`net.value_hidden_sizes`"),
            ("net = { log_deviation_start = -1.0 }", "`exploration.log_deviation_start`"),
        ] {
            let message = refused(text).unwrap_err();
            assert!(message.contains(new), "{message}");
        }
    }
}
