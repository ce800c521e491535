//! The notes with which a run begins in TensorBoard: its configuration as text, and its hyper-parameters.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::job::Description;
use crate::record::{HyperParameter, Note, Recorder};

pub(super) fn describe(description: &Description, recorder: &Recorder) {
    recorder.note(Note::Text { tag: "config".into(), text: format!("```toml\n{}```\n", description.text) });
    let values = leaves(&description.table).into_iter().map(|(key, value)| (key, shown(value))).collect();
    recorder.note(Note::HyperParameters { values, metrics: description.metrics.clone() });
}

fn shown(value: &Value) -> HyperParameter {
    match value {
        Value::Integer(number) => HyperParameter::Number(*number as f64),
        Value::Float(number) => HyperParameter::Number(*number),
        Value::Boolean(flag) => HyperParameter::Flag(*flag),
        Value::String(word) => HyperParameter::Word(word.clone()),
        other => HyperParameter::Word(other.to_string()),
    }
}

/// The values of a configuration by their keys; an agent's or a task's own stand without their table, as `--set`
/// takes them.
pub(crate) fn leaves(table: &Table) -> BTreeMap<String, &Value> {
    let mut values = BTreeMap::new();
    collect("", table, &mut values);
    values
}

/// A setting that two configurations have differently; `None` where one of them does not have it.
pub(crate) struct Difference<'t> {
    pub key: String,
    pub one: Option<&'t Value>,
    pub other: Option<&'t Value>,
}

/// The settings that two configurations have differently, as they are written, in the order of their keys.
pub(crate) fn differences<'t>(one: &'t Table, other: &'t Table) -> Vec<Difference<'t>> {
    let (one, other) = (leaves(one), leaves(other));
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let of = |key: &String| {
        let (one, other) = (one.get(key).copied(), other.get(key).copied());
        let is_same = one.map(Value::to_string) == other.map(Value::to_string);
        (!is_same).then(|| Difference { key: key.clone(), one, other })
    };
    keys.into_iter().filter_map(of).collect()
}

fn collect<'t>(prefix: &str, table: &'t Table, values: &mut BTreeMap<String, &'t Value>) {
    for (key, value) in table {
        match value {
            Value::Table(own) if prefix.is_empty() && key == "hyperparameters" => collect("", own, values),
            Value::Table(inner) => collect(&format!("{prefix}{key}."), inner, values),
            value => {
                values.insert(format!("{prefix}{key}"), value);
            }
        }
    }
}
