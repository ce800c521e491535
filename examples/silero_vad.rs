//! Silero VAD: a network that PyTorch has trained says where somebody speaks in a recording.
//!
//! ```text
//! scripts/fetch-silero
//! cargo run --release --example silero_vad -- [FILE.wav [CHANCES.csv [WEIGHTS]]]
//! ```
//!
//! Without a file it listens to made-up words with pauses between them. WEIGHTS is
//! `silero_vad_16k.safetensors`, or `silero_vad.safetensors` for those of the package's TorchScript. The
//! network and its weights' names are in docs/tasks/transfer.md.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use pavlov::Registries;
use pavlov::common::SeededRng;
use pavlov::data::{DatasetOptions, Input, SampleMut, read_wav, resample};
use pavlov::nn::layers::{Defaults, Sequential, build};
use pavlov::nn::{
    Cell, Init, Layout, LoadReport, Module, Parameters, Pass, Recurrent, Rename, Sequence, weights,
};
use pavlov::tasks::networks::layers;
use tch::kind::FLOAT_CPU;
use tch::{Device, Tensor};

/// Numbers per second.
pub const RATE: u32 = 16_000;
/// The numbers of a chunk, which gets one probability: 32 ms.
pub const CHUNK: usize = 512;
/// The numbers before a chunk that the network sees too.
const CONTEXT: usize = 64;

/// From `[1, 576]` to 128 features: a Fourier transform by a convolution, then four convolutions.
const ENCODER: &str = r#"
    { pad1d = { after = 64, mode = "reflect" } },
    { conv1d = { filters = 258, kernel = 256, stride = 128, bias = false } }, "magnitude",
    { conv1d = { filters = 128, kernel = 3, padding = 1 } }, "relu",
    { conv1d = { filters = 64, kernel = 3, stride = 2, padding = 1 } }, "relu",
    { conv1d = { filters = 64, kernel = 3, stride = 2, padding = 1 } }, "relu",
    { conv1d = { filters = 128, kernel = 3, padding = 1 } }, "relu", "flatten""#;

/// From the memory's output, `[128, 1]`, to a probability.
const HEAD: &str = r#""relu", { conv1d = { filters = 1, kernel = 1 } }, "sigmoid""#;

/// The names in a file, and the network's: members of a list are named by their places. The package's
/// safetensors have the first ten, its TorchScript the others; no file has both.
const NAMES: [(&str, &str); 20] = [
    ("stft_conv.", "encoder.1."),
    ("conv1.", "encoder.3."),
    ("conv2.", "encoder.5."),
    ("conv3.", "encoder.7."),
    ("conv4.", "encoder.9."),
    ("lstm_cell.weight_ih", "memory.weight_ih_l0"),
    ("lstm_cell.weight_hh", "memory.weight_hh_l0"),
    ("lstm_cell.bias_ih", "memory.bias_ih_l0"),
    ("lstm_cell.bias_hh", "memory.bias_hh_l0"),
    ("final_conv.", "head.1."),
    ("_model.stft.forward_basis_buffer", "encoder.1.weight"),
    ("_model.encoder.0.reparam_conv.", "encoder.3."),
    ("_model.encoder.1.reparam_conv.", "encoder.5."),
    ("_model.encoder.2.reparam_conv.", "encoder.7."),
    ("_model.encoder.3.reparam_conv.", "encoder.9."),
    ("_model.decoder.rnn.weight_ih", "memory.weight_ih_l0"),
    ("_model.decoder.rnn.weight_hh", "memory.weight_hh_l0"),
    ("_model.decoder.rnn.bias_ih", "memory.bias_ih_l0"),
    ("_model.decoder.rnn.bias_hh", "memory.bias_hh_l0"),
    ("_model.decoder.decoder.2.", "head.1."),
];

/// The network with its weights.
pub struct Vad {
    encoder: Sequential,
    memory: Recurrent,
    head: Sequential,
    parameters: Parameters,
}

/// One recording's place: what the network carries from chunk to chunk.
pub struct Listener {
    context: [f32; CONTEXT],
    state: Tensor,
}

impl Vad {
    /// The network with the weights of a file, and what of the file has matched.
    pub fn read(path: &Path) -> Result<(Self, LoadReport)> {
        let mut layout = Layout::new();
        let defaults = Defaults::default();
        let samples = [1, (CONTEXT + CHUNK) as i64];
        let (encoder, features) = build(&mut layout, "encoder.", &samples, &layers(ENCODER)?, defaults)?;
        let size = features[0];
        let memory = Recurrent::new(&mut layout, "memory.", Cell::Lstm, size, size, Init::Torch)?;
        let (head, _) = build(&mut layout, "head.", &[size, 1], &layers(HEAD)?, defaults)?;

        let mut parameters = Parameters::new(&layout, &mut SeededRng::seeded(0), Device::Cpu)?;
        let renames = NAMES.map(|(from, to)| Rename::new(from, to));
        let file = weights::read(path).context("`scripts/fetch-silero` brings the weights")?;
        let report = parameters.load_matching(&file.view(), &renames)?;
        // The TorchScript has a second network beside it, for 8,000 numbers per second.
        ensure!(report.is_complete(), "these are not the network's weights: {report}");
        Ok((Self { encoder, memory, head, parameters }, report))
    }

    /// A recording's beginning.
    pub fn listener(&self) -> Listener {
        Listener { context: [0.0; CONTEXT], state: Tensor::zeros([1, self.memory.state_width()], FLOAT_CPU) }
    }

    /// The probability of speech in each chunk of `sound`, which goes on where the listener has stopped. A
    /// last chunk that is not full is filled up with zeros.
    pub fn hear(&self, listener: &mut Listener, sound: &[f32]) -> Result<Vec<f32>> {
        let _guard = tch::no_grad_guard();
        let mut probabilities = Vec::new();
        // Chunks side by side in one batch, then one after another through the memory.
        for block in sound.chunks(64 * CHUNK) {
            let chunks = block.len().div_ceil(CHUNK);
            let mut numbers = [&listener.context, block].concat();
            numbers.resize(CONTEXT + chunks * CHUNK, 0.0);
            listener.context.copy_from_slice(&numbers[chunks * CHUNK..]);

            let (rows, mut pass) = (chunks as i64, Pass::eval(&self.parameters));
            let windows = Tensor::from_slice(&numbers).unfold(0, (CONTEXT + CHUNK) as i64, CHUNK as i64);
            let features = self.encoder.forward(&mut pass, &windows.unsqueeze(1).contiguous())?;
            let (x, starts) = (features.unsqueeze(1), Tensor::zeros([rows, 1], FLOAT_CPU));
            let sequence = Sequence { x: &x, starts: &starts, state: &listener.state };
            let heard = self.memory.forward(&mut pass, &sequence)?;
            listener.state = heard.states.select(0, rows - 1);
            let chances = self.head.forward(&mut pass, &heard.outputs.reshape([rows, -1, 1]))?;
            probabilities.extend(Vec::<f32>::try_from(&chances.reshape([rows]))?);
        }
        Ok(probabilities)
    }
}

/// The chunks from which on and up to which somebody speaks. Speech begins at a probability of 0.5. It ends
/// at the first one below 0.35 that no other of 0.5 follows within four chunks. Segments have at least eight
/// chunks.
pub fn segments(probabilities: &[f32]) -> Vec<(usize, usize)> {
    const PAUSE: usize = 4;
    const LEAST: usize = 8;
    let mut segments = Vec::new();
    let (mut begin, mut quiet) = (None, None);
    for (chunk, &probability) in probabilities.iter().enumerate() {
        match (begin, quiet) {
            (None, _) if probability >= 0.5 => begin = Some(chunk),
            (Some(_), _) if probability >= 0.5 => quiet = None,
            (Some(_), None) if probability < 0.35 => quiet = Some(chunk),
            (Some(first), Some(end)) if probability < 0.35 && chunk - end >= PAUSE => {
                segments.push((first, end));
                (begin, quiet) = (None, None);
            }
            _ => {}
        }
    }
    segments.extend(begin.map(|first| (first, probabilities.len())));
    segments.retain(|(first, end)| end - first >= LEAST);
    segments
}

/// The place that `scripts/fetch-silero` puts a file of weights to.
pub fn weights_path(name: &str) -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = cache.filter(|path| !path.as_os_str().is_empty()).or_else(home).context("HOME is not set")?;
    Ok(cache.join("pavlov/data/silero").join(name))
}

/// Five words of one speaker of the data set `tones`, with a second of faint noise around each.
fn made_up() -> Result<Vec<f32>> {
    let tones = Registries::bundled().datasets.get("tones")?.open(&DatasetOptions::default())?;
    let Input::Sound { samples, rate } = *tones.input() else { unreachable!("tones are sounds") };
    let mut rng = SeededRng::seeded(1);
    let mut pause = || (0..RATE).map(|_| rng.uniform(-0.002, 0.002) as f32).collect::<Vec<_>>();
    let mut sound = pause();
    for word in 0..5 {
        let mut numbers = vec![0.0; samples];
        tones.read(word, SampleMut { numbers: &mut numbers, tokens: &mut [], targets: &mut [] })?;
        sound.extend(resample(&numbers, rate, RATE)?);
        sound.extend(pause());
    }
    Ok(sound)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let sound = match arguments.first() {
        Some(path) => {
            let (sound, rate) = read_wav(path.as_ref(), None)?;
            resample(&sound, rate, RATE)?
        }
        None => made_up()?,
    };
    let path = weights_path(arguments.get(2).map_or("silero_vad_16k.safetensors", String::as_str))?;
    let (vad, report) = Vad::read(&path)?;
    println!("{}: {report}", path.display());
    println!("they are {}", report.matched.join(", "));

    let probabilities = vad.hear(&mut vad.listener(), &sound)?;
    if let Some(path) = arguments.get(1) {
        let rows = probabilities.iter().enumerate().map(|(chunk, chance)| format!("{chunk},{chance}\n"));
        std::fs::write(path, format!("chunk,probability\n{}", rows.collect::<String>()))?;
    }
    let seconds = |chunks: usize| (chunks * CHUNK).min(sound.len()) as f64 / f64::from(RATE);
    let found = segments(&probabilities);
    for &(first, end) in &found {
        println!("speech from {:6.2} to {:6.2} s", seconds(first), seconds(end));
    }
    println!("{} segments of speech in {:.2} s", found.len(), seconds(probabilities.len()));
    Ok(())
}
