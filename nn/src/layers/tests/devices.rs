//! Every layer on a GPU against itself on the CPU: outputs, gradients of weights and inputs, steps.
//!
//! Those that need a GPU are asked for, `NVIDIA_TF32_OVERRIDE=0 cargo test -p pavlov-nn --lib -- --ignored a_gpu`:
//! products of fewer bits would differ by more.

use super::*;
use crate::cnn::Architecture;
use crate::optim::{AdamwConfig, RmspropConfig, SgdConfig};
use crate::{
    Cell, Cnn, CnnConfig, Image, Init, Memory, Mode, Module, OptimizerConfig, Pass, RecurrentStack,
    RecurrentStackConfig, Sequence, Trainable,
};

/// The largest difference allowed, relative to the largest number: products are summed in another order there.
const TOLERANCE: f64 = 2e-4;

/// Lists in which every layer occurs, with the shape of a sample; `true` where samples are whole numbers.
const LISTS: [(&str, &[i64], bool); 14] = [
    (r#"[{ linear = 16 }, "tanh", { linear = 3 }]"#, &[5], false),
    (r#"[{ linear = 16 }, "layer_norm", "relu", { linear = 16 }, "rms_norm", "gelu"]"#, &[5], false),
    (r#"[{ linear = 16 }, "elu", { leaky_relu = 0.2 }, { residual = [{ linear = 16 }] }]"#, &[5], false),
    (
        r#"[{ conv2d = { filters = 8, kernel = 3, padding = 1 } }, "relu", { max_pool2d = 2 }, "batch_norm", "flatten"]"#,
        &[3, 12, 10],
        false,
    ),
    (
        r#"[{ pad2d = 1 }, { conv2d = { filters = 8, kernel = 4, stride = 2 } }, { group_norm = 2 }, "silu",
            { avg_pool2d = 2 }, { conv_transpose2d = { filters = 4, kernel = 3 } }, { upsample = 2 },
            { adaptive_avg_pool2d = 2 }]"#,
        &[3, 16, 16],
        false,
    ),
    (
        r#"[{ conv2d = { filters = 6, kernel = 3 } }, { adaptive_max_pool2d = 2 }, { reshape = [6, -1] },
            { transpose = [0, 1] }, { mean = 0 }, { unsqueeze = 0 }]"#,
        &[2, 9, 9],
        false,
    ),
    (
        r#"[{ pad1d = { after = 2, mode = "reflect" } }, { conv1d = { filters = 8, kernel = 3 } }, "magnitude",
            { max_pool1d = 2 }, { avg_pool1d = 2 }, { adaptive_avg_pool1d = 4 }, { adaptive_max_pool1d = 2 }]"#,
        &[2, 40],
        false,
    ),
    (
        r#"[{ embedding = { vocabulary = 9, width = 8 } }, "position_embedding", { attention = { heads = 2 } }, { max = 0 }]"#,
        &[7],
        true,
    ),
    (
        r#"[{ embedding = { vocabulary = 9, width = 8 } }, { transformer_block = { heads = 2, feedforward = 16, dropout = 0.0 } },
            { transformer = { layers = 2, heads = 2, feedforward = 16, causal = true, dropout = 0.0 } }]"#,
        &[7],
        true,
    ),
    (r#"[{ lstm = 6 }, { lstm = { size = 4, layers = 2, bidirectional = true } }]"#, &[5, 3], false),
    (r#"[{ gru = 6 }, { gru = { size = 4, layers = 2, bidirectional = true } }]"#, &[5, 3], false),
    (r#"[{ concat = [[], [{ linear = 4 }]] }, { add = [[], ["sigmoid"]] }]"#, &[5], false),
    (r#"[{ dropout = 0.0 }, { linear = 4 }, "sigmoid"]"#, &[5], false),
    (r#"["flatten", { linear = { units = 4, bias = false } }, "identity"]"#, &[2, 3], false),
];

fn inputs(shape: &[i64], whole: bool) -> Tensor {
    let x = numbers(&[&[6], shape].concat());
    if whole { ((x + 1.0) * 4.0).to_kind(tch::Kind::Int64) } else { x }
}

/// The results of a pass: the output, the gradient of its input if it has one, the flat gradient, the values
/// after the pass.
fn passed(network: &dyn Module, parameters: &Parameters, x: &Tensor, mode: Mode) -> Vec<Tensor> {
    passed_by(|pass, x| network.forward(pass, x), parameters, x, mode)
}

fn passed_by(
    forward: impl Fn(&mut Pass<'_>, &Tensor) -> Result<Tensor, crate::NnError>,
    parameters: &Parameters,
    x: &Tensor,
    mode: Mode,
) -> Vec<Tensor> {
    let x = x.copy().to_device(parameters.device());
    let x = if x.is_floating_point() { x.set_requires_grad(true) } else { x };
    let mut rng = SeededRng::seeded(1);
    let mut pass = match mode {
        Mode::Train => Pass::train(parameters, &mut rng),
        Mode::Eval => Pass::eval(parameters),
    };
    let output = forward(&mut pass, &x).unwrap();
    let cotangent = numbers(&output.size()).to_device(parameters.device());
    (&output * cotangent).sum(tch::Kind::Float).backward();
    let mut all = vec![output, parameters.gradients().unwrap().copy(), parameters.values().copy()];
    if x.requires_grad() {
        all.push(x.grad());
    }
    all.into_iter().map(|tensor| tensor.detach().to_device(Device::Cpu)).collect()
}

#[track_caller]
fn assert_alike(on_cpu: &[Tensor], on_gpu: &[Tensor], tolerance: f64, what: &str) {
    assert_eq!(on_cpu.len(), on_gpu.len(), "{what}");
    for (index, (cpu, gpu)) in on_cpu.iter().zip(on_gpu).enumerate() {
        assert_eq!(cpu.size(), gpu.size(), "{what}, {index}");
        let scale = cpu.abs().max().double_value(&[]).max(1.0);
        let distance = (cpu - gpu).abs().max().double_value(&[]) / scale;
        assert!(distance <= tolerance, "{what}: tensor {index} is {distance:e} away");
    }
}

fn on(device: Device, layout: &Layout) -> Parameters {
    Parameters::new(layout, &mut SeededRng::seeded(7), device).unwrap()
}

#[test]
fn the_lists_have_every_layer() {
    let text: String = LISTS.map(|(text, ..)| text).concat();
    for name in LayerConfig::names() {
        let is_there = [format!("\"{name}\""), format!("{{ {name} =")].iter().any(|word| text.contains(word));
        assert!(is_there, "give {name} a place in LISTS");
    }
    for (text, shape, whole) in LISTS {
        let (network, parameters, _) = built(text, shape).expect(text);
        passed(&network, &parameters, &inputs(shape, whole), Mode::Train);
    }
}

#[test]
#[ignore = "needs a GPU"]
fn layers_give_the_same_on_a_gpu() {
    for (text, shape, whole) in LISTS {
        let (network, parameters, _) = built(text, shape).unwrap();
        let x = inputs(shape, whole);
        for mode in [Mode::Train, Mode::Eval] {
            let [cpu, gpu] = [Device::Cpu, Device::Cuda(0)]
                .map(|device| passed(&network, &on(device, parameters.layout()), &x, mode));
            assert_alike(&cpu, &gpu, TOLERANCE, text);
        }
    }
}

#[test]
#[ignore = "needs a GPU"]
fn convolutions_of_agents_give_the_same_on_a_gpu() {
    for architecture in [Architecture::Nature, Architecture::Impala, Architecture::MinAtar] {
        for channels_first in [false, true] {
            let image = Image { height: 84, width: 84, channels: 4, channels_first };
            let mut layout = Layout::new();
            let config = CnnConfig::Named(architecture);
            let network = Cnn::new(&mut layout, "", image, &config, Init::Torch).unwrap();
            let x = numbers(&[3, 84 * 84 * 4]);
            let [cpu, gpu] = [Device::Cpu, Device::Cuda(0)].map(|device| {
                passed_by(|pass, x| network.forward(pass, x), &on(device, &layout), &x, Mode::Train)
            });
            assert_alike(&cpu, &gpu, TOLERANCE, &format!("{architecture:?}, {channels_first}"));
        }
    }
}

#[test]
#[ignore = "needs a GPU"]
fn memories_give_the_same_on_a_gpu() {
    for cell in [Cell::Lstm, Cell::Gru] {
        let mut layout = Layout::new();
        let config = RecurrentStackConfig { layers: 2, ..RecurrentStackConfig::new(cell, 5) };
        let stack = RecurrentStack::new(&mut layout, "", 3, &config, Init::Torch).unwrap();
        // Episodes begin inside the sequences.
        let starts = numbers(&[9, 4]).ge(0.6).to_kind(tch::Kind::Float);
        let state = numbers(&[4, stack.state_width()]);
        let [cpu, gpu] = [Device::Cpu, Device::Cuda(0)].map(|device| {
            let (starts, state) = (starts.to_device(device), state.to_device(device));
            let forward = |pass: &mut Pass<'_>, x: &Tensor| {
                let read = stack.forward(pass, &Sequence { x, starts: &starts, state: &state })?;
                assert!(!read.states.requires_grad());
                Ok(Tensor::cat(&[read.outputs, read.states], 2))
            };
            passed_by(forward, &on(device, &layout), &numbers(&[9, 4, 3]), Mode::Train)
        });
        assert_alike(&cpu, &gpu, TOLERANCE, &format!("{cell:?}"));
    }
}

#[test]
#[ignore = "needs a GPU"]
fn optimizers_step_the_same_on_a_gpu() {
    let configs = [
        OptimizerConfig::default(),
        OptimizerConfig::Adamw(AdamwConfig { weight_decay_decoupled: 0.1, ..AdamwConfig::default() }),
        OptimizerConfig::Rmsprop(RmspropConfig::default()),
        OptimizerConfig::Sgd(SgdConfig { momentum: 0.9, ..SgdConfig::default() }),
    ];
    let (text, shape, _) = LISTS[0];
    let (network, parameters, _) = built(text, shape).unwrap();
    for config in configs {
        for clip in [None, Some(0.5)] {
            let [cpu, gpu] = [Device::Cpu, Device::Cuda(0)].map(|device| {
                let own = on(device, parameters.layout());
                let mut trainable = Trainable::new(own, &config, clip, 1).unwrap();
                let x = inputs(shape, false).to_device(device);
                for _ in 0..20 {
                    let output = network.forward(&mut trainable.pass(), &x).unwrap();
                    trainable.descend_loss(&output.square().mean(tch::Kind::Float), 1e-2).unwrap();
                }
                let norm = trainable.take_gradient_norm().unwrap().unwrap_or_default();
                vec![
                    trainable.parameters().values().detach().to_device(Device::Cpu),
                    Tensor::from(norm as f32).reshape([1]),
                ]
            });
            assert_alike(&cpu, &gpu, TOLERANCE, &format!("{config:?}, {clip:?}"));
        }
    }
}
