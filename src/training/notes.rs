//! The notes with which a run begins in TensorBoard: its configuration as text, and its hyper-parameters.

use std::collections::BTreeMap;

use anyhow::Result;
use toml::{Table, Value};

use crate::config::RunConfig;
use crate::record::{HyperParameter, Note, Recorder};

/// The metrics by which TensorBoard's page of hyper-parameters compares runs.
const METRICS: [&str; 3] = ["eval/mean_reward", "rollout/ep_rew_mean", "time/fps"];

pub(super) fn describe(config: &RunConfig, recorder: &Recorder) -> Result<()> {
    let text = format!("```toml\n{}```\n", config.to_toml()?);
    recorder.note(Note::Text { tag: "config".into(), text });
    let mut values = BTreeMap::new();
    flatten("", &Table::try_from(config)?, &mut values);
    recorder.note(Note::HyperParameters { values, metrics: METRICS.to_vec() });
    Ok(())
}

fn flatten(prefix: &str, table: &Table, values: &mut BTreeMap<String, HyperParameter>) {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        let value = match value {
            Value::Table(table) => {
                flatten(
                    &format!("{}.", name.trim_start_matches("hyperparameters")).replace("..", "."),
                    table,
                    values,
                );
                continue;
            }
            Value::Integer(number) => HyperParameter::Number(*number as f64),
            Value::Float(number) => HyperParameter::Number(*number),
            Value::Boolean(flag) => HyperParameter::Flag(*flag),
            Value::String(word) => HyperParameter::Word(word.clone()),
            other => HyperParameter::Word(other.to_string()),
        };
        values.insert(name.trim_start_matches('.').to_string(), value);
    }
}
