use pavlov_common::SeededRng;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use tch::{Device, kind::FLOAT_CPU};

use super::*;
use crate::Parameters;

#[derive(serde::Deserialize, serde::Serialize, Debug, PartialEq)]
struct File {
    cnn: CnnConfig,
    #[serde(default)]
    precision: Precision,
}

#[test]
fn files_name_a_network_or_list_layers() {
    let read = |text: &str| toml::from_str::<File>(text);
    for (name, architecture) in [
        ("nature", Architecture::Nature),
        ("impala", Architecture::Impala),
        ("minatar", Architecture::MinAtar),
    ] {
        let file = read(&format!("cnn = \"{name}\"\nprecision = \"bf16\"")).unwrap();
        assert_eq!(file, File { cnn: CnnConfig::Named(architecture), precision: Precision::Bf16 });
    }
    let file =
        read("cnn = [{ filters = 32, kernel = 8, stride = 4, padding = 2 }, { filters = 8, kernel = 3 }]");
    let layers = vec![ConvLayer::new(32, 8, 4, 2), ConvLayer::new(8, 3, 1, 0)];
    let file = file.unwrap();
    assert_eq!(file, File { cnn: CnnConfig::Layers(layers), precision: Precision::F32 });
    for file in [file, File { cnn: CnnConfig::default(), precision: Precision::F32 }] {
        let text = toml::to_string(&file).unwrap();
        assert_eq!(read(&text).unwrap(), file, "{text}");
        let json = serde_json::to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<File>(&json).unwrap(), file, "{json}");
    }

    for (text, wanted) in [
        ("cnn = \"resnet\"", "impala"),
        ("cnn = [{ filters = 32, size = 8 }]", "size"),
        ("cnn = [{ filters = 32 }]", "kernel"),
        ("cnn = 3", "list of layers"),
        ("cnn = \"nature\"\nprecision = \"f64\"", "bf16"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
}

fn parameters(layout: &Layout) -> Parameters {
    Parameters::new(layout, &mut Xoshiro256PlusPlus::seed_from_u64(3), Device::Cpu).unwrap()
}

fn image(side: i64, channels: i64) -> Image {
    Image { height: side, width: side, channels, channels_first: false }
}

#[test]
fn without_images_the_features_are_the_input() {
    let mut layout = Layout::new();
    let parts = [Part::Numbers(3), Part::Numbers(4)];
    let features = Features::new(&mut layout, "", &parts, &CnnConfig::default(), Init::Torch).unwrap();
    assert!(features.is_identity() && layout.is_empty());
    assert_eq!((features.inputs(), features.outputs()), (7, 7));
    let x = Tensor::rand([5, 7], FLOAT_CPU);
    let y = features.forward(&mut Pass::eval(&parameters(&layout)), &x).unwrap();
    assert_eq!(y.data_ptr(), x.data_ptr());
    assert!(features.forward(&mut Pass::eval(&parameters(&layout)), &x.tr()).is_err());
}

#[test]
fn numbers_and_two_images_are_cut_apart_and_joined_in_order() {
    let mut layout = Layout::new();
    let small = CnnConfig::Named(Architecture::MinAtar);
    let parts = [Part::Image(image(5, 2)), Part::Numbers(3), Part::Image(image(4, 1)), Part::Numbers(1)];
    let features = Features::new(&mut layout, "front.", &parts, &small, Init::Torch).unwrap();
    assert!(!features.is_identity());
    assert_eq!(features.inputs(), 50 + 3 + 16 + 1);
    assert_eq!(features.outputs(), 9 * 16 + 3 + 4 * 16 + 1);
    let names: Vec<_> = layout.specs().iter().map(|spec| spec.name.as_str()).collect();
    let expected = ["image0.0.weight", "image0.0.bias", "image1.0.weight", "image1.0.bias"];
    assert_eq!(names, expected.map(|name| format!("front.{name}")));

    let parameters = parameters(&layout);
    let x = (Tensor::arange(6 * 70, FLOAT_CPU) * 0.37).sin().reshape([6, 70]).set_requires_grad(true);
    let y = features.forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &x).unwrap();
    let convolved = |begin: i64, side: i64, channels: i64, first: usize| {
        let view = |index: usize| {
            let spec = &layout.specs()[index];
            parameters.values().narrow(0, spec.offset, spec.len()).reshape(spec.shape.as_slice())
        };
        let part = x.detach().narrow(1, begin, side * side * channels);
        let part = part.reshape([6, side, side, channels]).permute([0, 3, 1, 2]).contiguous();
        let y = part.conv2d(&view(first), Some(&view(first + 1)), [1, 1], [0, 0], [1, 1], 1);
        y.relu().flatten(1, -1)
    };
    let first = convolved(0, 5, 2, 0);
    let second = convolved(53, 4, 1, 2);
    let numbers = |begin, count| x.detach().narrow(1, begin, count);
    let expected = Tensor::cat(&[first, numbers(50, 3), second, numbers(69, 1)], 1);
    assert!((y.detach() - expected).abs().max().double_value(&[]) < 1e-5);

    y.square().sum(Kind::Float).backward();
    for spec in layout.specs() {
        let gradient = parameters.gradients().unwrap().narrow(0, spec.offset, spec.len());
        assert!(gradient.abs().max().double_value(&[]) > 0.0, "{}", spec.name);
    }
    // The numbers' own gradient: twice themselves.
    let gradient = x.grad().narrow(1, 50, 3) - x.detach().narrow(1, 50, 3) * 2.0;
    assert!(gradient.abs().max().double_value(&[]) < 1e-6);
}

#[test]
fn one_image_keeps_the_networks_names_and_a_precision_reaches_it() {
    let mut layout = Layout::new();
    let parts = [Part::Numbers(2), Part::Image(image(6, 1))];
    let config = CnnConfig::Named(Architecture::MinAtar);
    let features = Features::new(&mut layout, "q.", &parts, &config, Init::Torch).unwrap();
    assert_eq!(layout.specs()[0].name, "q.0.weight");
    let parameters = parameters(&layout);
    let x = Tensor::arange(38, FLOAT_CPU).sin().reshape([1, 38]);
    let single = features.forward(&mut Pass::eval(&parameters), &x).unwrap();
    let half = features.with_precision(Precision::Bf16).forward(&mut Pass::eval(&parameters), &x).unwrap();
    assert_ne!(single, half);
    assert!((&single - half).abs().max().double_value(&[]) < 0.02);
    // The numbers are not convolved: they stay as they are.
    assert_eq!(single.narrow(1, 0, 2), x.narrow(1, 0, 2));
}

#[test]
fn a_part_that_makes_no_sense_is_explained() {
    let error = |part| {
        let config = CnnConfig::default();
        let outcome = Features::new(&mut Layout::new(), "", &[part], &config, Init::Torch);
        outcome.unwrap_err().to_string()
    };
    assert!(error(Part::Numbers(-1)).contains("-1 numbers"));
    assert!(error(Part::Image(image(8, 4))).contains("layer 1"));
}
