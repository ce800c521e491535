//! The real TensorBoard reads a run: its own reader, in Python, finds tags, steps, values, text and
//! hyper-parameters.

use std::path::Path;
use std::process::Command;

use pavlov::record::read_csv;

use crate::command::Workplace;

const READER: &str = r#"
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
run = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "tensors": 0, "images": 0})
run.Reload()
tags = run.Tags()
metadata = {tag: run.SummaryMetadata(tag).plugin_data.plugin_name for tag in tags["tensors"]}
hparams = plugin_data_pb2.HParamsPluginData.FromString(
    run.summary_metadata["_hparams_/session_start_info"].plugin_data.content
)
print(json.dumps({
    "scalars": {tag: [[event.step, event.value] for event in run.Scalars(tag)] for tag in tags["scalars"]},
    "images": {
        tag: [[event.step, event.width, event.height, event.encoded_image_string[:6].decode()] for event in run.Images(tag)]
        for tag in tags["images"]
    },
    "text": {tag: run.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in metadata if metadata[tag] == "text"},
    "hparams": {
        name: getattr(value, value.WhichOneof("kind")) for name, value in hparams.session_start_info.hparams.items()
    },
}))
"#;

fn python() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/tensorboard-env.sh");
    let output = Command::new(script).output().expect("the script starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

/// The contents of a run as TensorBoard's own reader finds them.
pub fn read(run: &Path) -> serde_json::Value {
    let output = Command::new(python()).args(["-c", READER]).arg(run).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn the_real_reader_finds_everything() {
    let place = Workplace::new();
    let said = place.train_small("run", &["--seed", "2", "--set", "evaluation.film_every_evaluations=1"]);
    assert!(said.success, "{}", said.err);
    let read = read(&place.path("run"));

    let (_, rows) = read_csv(&place.path("run/progress.csv")).expect("a log");
    for tag in
        ["rollout/ep_rew_mean", "time/fps", "train/loss", "eval/mean_reward", "rollout/exploration_rate"]
    {
        let expected: Vec<(u64, f32)> =
            rows.iter().filter_map(|row| Some((row.step, *row.values.get(tag)? as f32))).collect();
        assert!(!expected.is_empty(), "{tag}");
        let found: Vec<(u64, f32)> = read["scalars"][tag]
            .as_array()
            .unwrap_or_else(|| panic!("{tag} is missing"))
            .iter()
            .map(|pair| (pair[0].as_u64().expect("a step"), pair[1].as_f64().expect("a value") as f32))
            .collect();
        assert_eq!(found, expected, "{tag}");
    }
    let films = read["images"]["eval/episode"].as_array().expect("films");
    let evaluated = rows.iter().filter(|row| row.values.contains_key("eval/mean_reward"));
    let expected: Vec<_> = evaluated.map(|row| serde_json::json!([row.step, 160, 107, "GIF89a"])).collect();
    assert_eq!(films, &expected);
    let text = read["text"].as_object().expect("texts").values().next().expect("one text");
    assert!(text.as_str().expect("words").contains("environment = \"CartPole-v1\""));
    assert_eq!(read["hparams"]["discount"], 0.99);
    assert_eq!(read["hparams"]["agent"], "dqn");
    assert_eq!(read["hparams"]["net.layer_norm"], false);
}
