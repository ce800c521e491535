//! TensorBoard's event file.
//!
//! The records are framed by tensorboard-rs's `RecordWriter` and built from its protocol buffers. Its own
//! file writer is not used: it panics on a full disk, and cannot continue a file. Its calls cannot make text
//! and hyper-parameters, so that these are built as events here.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use pavlov_common::files::check_own_file;
use protobuf::Message;
use tensorboard_proto::api::{DataType, Experiment, HParamInfo, MetricInfo, MetricName};
use tensorboard_proto::event::Event;
use tensorboard_proto::plugin_hparams::{HParamsPluginData, SessionStartInfo};
use tensorboard_proto::summary::{
    Summary, Summary_Image, Summary_Value, SummaryMetadata, SummaryMetadata_PluginData,
};
use tensorboard_proto::tensor::TensorProto;
use tensorboard_proto::tensor_shape::{TensorShapeProto, TensorShapeProto_Dim};
use tensorboard_proto::types::DataType as TensorType;
use tensorboard_rs::record_writer::RecordWriter;

use super::append::AppendFile;
use super::entry::{HyperParameter, Note, Position, Row};
use crate::files::free_name;

/// The beginning of the names of event files, by which TensorBoard finds them.
pub(crate) const PREFIX: &str = "events.out.tfevents.";
/// TensorBoard's number for three channels.
const RGB: i32 = 3;

#[derive(Debug)]
pub(super) struct TensorBoardSink {
    name: String,
    file: AppendFile,
}

impl TensorBoardSink {
    /// The event file that a checkpoint names, cut to the length that it had then; where it is gone or shorter,
    /// a new one, and a word on that.
    pub(super) fn resume(folder: &Path, position: &Position) -> io::Result<(Self, Option<String>)> {
        let Position { events_file: name, events_bytes, .. } = position;
        // The name comes from a file that anybody may have written: the run's own event files are meant alone.
        let is_own = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
        if !name.starts_with(PREFIX) || !name.chars().all(is_own) {
            let message = format!("the checkpoint names {name:?} as event file, which is no name of one");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let path = folder.join(name);
        check_own_file(&path)?;
        let what = match path.exists().then(|| AppendFile::open(&path, *events_bytes)) {
            Some(Ok(file)) => return Ok((Self { name: name.clone(), file }, None)),
            Some(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                "is shorter than its checkpoint says"
            }
            Some(Err(error)) => return Err(error),
            None => "is gone",
        };
        let sink = Self::new(folder)?;
        let warning = format!("the event file {} {what}: the log goes on in {}", path.display(), sink.name);
        Ok((sink, Some(warning)))
    }

    /// A new event file in the folder.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let stem = format!("{PREFIX}{:010}.pavlov.{}", now() as u64, std::process::id());
        let name = free_name(folder, &stem);
        let mut sink = Self { file: AppendFile::open(&folder.join(&name), 0)?, name };
        let mut event = event(0);
        event.set_file_version("brain.Event:2".into());
        sink.write(&event)?;
        Ok(sink)
    }

    pub(super) fn row(&mut self, row: &Row) -> io::Result<()> {
        let mut summary = Summary::new();
        for (tag, value) in &row.values {
            let mut scalar = Summary_Value::new();
            scalar.set_tag(tag.clone());
            scalar.set_simple_value(*value as f32);
            summary.value.push(scalar);
        }
        self.summary(row.step, summary)
    }

    pub(super) fn note(&mut self, note: &Note) -> io::Result<()> {
        match note {
            Note::Text { tag, text } => self.summary(0, summary_of(text_value(tag, text))),
            Note::Image { tag, step, size, encoded } => {
                self.summary(*step, summary_of(image_value(tag, *size, encoded)))
            }
            Note::HyperParameters { values, metrics } => {
                self.summary(
                    0,
                    summary_of(plugin_value("_hparams_/experiment", experiment(values, metrics))?),
                )?;
                self.summary(0, summary_of(plugin_value("_hparams_/session_start_info", session(values))?))
            }
        }
    }

    fn summary(&mut self, step: u64, summary: Summary) -> io::Result<()> {
        let mut event = event(step);
        event.set_summary(summary);
        self.write(&event)
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        let mut record = Vec::new();
        RecordWriter::new(&mut record).write(&event.write_to_bytes()?)?;
        self.file.append(&record)
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }

    pub(super) fn position(&self) -> (String, u64) {
        (self.name.clone(), self.file.len())
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

fn event(step: u64) -> Event {
    let mut event = Event::new();
    event.set_wall_time(now());
    event.set_step(step as i64);
    event
}

fn summary_of(value: Summary_Value) -> Summary {
    let mut summary = Summary::new();
    summary.value.push(value);
    summary
}

fn metadata(plugin: &str, content: Vec<u8>) -> SummaryMetadata {
    let mut data = SummaryMetadata_PluginData::new();
    data.set_plugin_name(plugin.into());
    data.set_content(content);
    let mut metadata = SummaryMetadata::new();
    metadata.set_plugin_data(data);
    metadata
}

fn text_value(tag: &str, text: &str) -> Summary_Value {
    let mut dimension = TensorShapeProto_Dim::new();
    dimension.set_size(1);
    let mut shape = TensorShapeProto::new();
    shape.dim.push(dimension);
    let mut tensor = TensorProto::new();
    tensor.set_dtype(TensorType::DT_STRING);
    tensor.set_tensor_shape(shape);
    tensor.string_val.push(text.as_bytes().to_vec());
    let mut value = Summary_Value::new();
    value.set_tag(format!("{tag}/text_summary"));
    value.set_metadata(metadata("text", Vec::new()));
    value.set_tensor(tensor);
    value
}

fn image_value(tag: &str, (width, height): (usize, usize), encoded: &[u8]) -> Summary_Value {
    let mut image = Summary_Image::new();
    image.set_width(width as i32);
    image.set_height(height as i32);
    image.set_colorspace(RGB);
    image.set_encoded_image_string(encoded.to_vec());
    let mut value = Summary_Value::new();
    value.set_tag(tag.into());
    value.set_image(image);
    value
}

fn plugin_value(tag: &str, data: HParamsPluginData) -> io::Result<Summary_Value> {
    let mut value = Summary_Value::new();
    value.set_tag(tag.into());
    value.set_metadata(metadata("hparams", data.write_to_bytes()?));
    Ok(value)
}

fn experiment(
    values: &std::collections::BTreeMap<String, HyperParameter>,
    metrics: &[&str],
) -> HParamsPluginData {
    let mut experiment = Experiment::new();
    for (name, value) in values {
        let mut info = HParamInfo::new();
        info.set_name(name.clone());
        info.set_field_type(match value {
            HyperParameter::Number(_) => DataType::DATA_TYPE_FLOAT64,
            HyperParameter::Word(_) => DataType::DATA_TYPE_STRING,
            HyperParameter::Flag(_) => DataType::DATA_TYPE_BOOL,
        });
        experiment.hparam_infos.push(info);
    }
    for metric in metrics {
        let mut name = MetricName::new();
        name.set_tag((*metric).into());
        let mut info = MetricInfo::new();
        info.set_name(name);
        experiment.metric_infos.push(info);
    }
    let mut data = HParamsPluginData::new();
    data.set_experiment(experiment);
    data
}

fn session(values: &std::collections::BTreeMap<String, HyperParameter>) -> HParamsPluginData {
    let mut hparams = HashMap::new();
    for (name, value) in values {
        let mut wrapped = protobuf::well_known_types::Value::new();
        match value {
            HyperParameter::Number(number) => wrapped.set_number_value(*number),
            HyperParameter::Word(word) => wrapped.set_string_value(word.clone()),
            HyperParameter::Flag(flag) => wrapped.set_bool_value(*flag),
        }
        hparams.insert(name.clone(), wrapped);
    }
    let mut start = SessionStartInfo::new();
    start.set_hparams(hparams);
    start.set_start_time_secs(now());
    let mut data = HParamsPluginData::new();
    data.set_session_start_info(start);
    data
}
