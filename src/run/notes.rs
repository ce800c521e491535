//! The notes with which a run begins in TensorBoard: its configuration as text, and its hyper-parameters.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::job::Description;
use crate::record::{HyperParameter, Note, Recorder};

pub(super) fn describe(description: &Description, recorder: &Recorder) {
    recorder.note(Note::Text { tag: "config".into(), text: format!("```toml\n{}```\n", description.text) });
    let mut values = BTreeMap::new();
    flatten("", &description.table, &mut values);
    recorder.note(Note::HyperParameters { values, metrics: description.metrics.clone() });
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
