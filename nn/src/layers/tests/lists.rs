//! Lists of layers: text, errors, names and shapes.

use super::*;
use crate::{Cell, Init, Memory, Module, Pass, RecurrentStack, RecurrentStackConfig, Sequence};

#[test]
fn a_list_is_written_as_it_was_read() {
    let inner = "[{ linear = { units = 8, bias = false } }]";
    let nested = format!("{{ residual = {{ layers = {inner}, projection = [{{ linear = 8 }}] }} }}");
    for text in [
        r#"[{ conv2d = { filters = 32, kernel = 8, stride = 4 } }, "relu", "flatten", { linear = 512 }]"#,
        r#"[{ linear = 64 }, "layer_norm", { residual = [{ linear = 64 }, "relu", { linear = 64 }] }]"#,
        r#"[{ concat = [[{ linear = 4 }], []] }, { add = [[], ["tanh"]] }, { dropout = 0.1 }, "rms_norm"]"#,
        r#"[{ conv2d = { filters = 4, kernel = [3, 5], padding = [1, 2], groups = 2, bias = false } }]"#,
        r#"[{ reshape = [4, -1] }, { transpose = [0, 1] }, { unsqueeze = -1 }, { group_norm = 2 }]"#,
        r#"[{ lstm = 8 }, { gru = { size = 8, bidirectional = true } }, "position_embedding"]"#,
        r#"[{ pad1d = 3 }, { pad1d = { after = 2, mode = "reflect" } }, { pad2d = { before = [1, 0] } }, "magnitude"]"#,
        r#"[{ position_embedding = 12 }, { lstm = { size = 4, layers = 2, dropout = 0.5 } }]"#,
        r#"["leaky_relu", { leaky_relu = 0.2 }]"#,
        &format!("[{nested}]"),
    ] {
        let file = File { layers: read(text).unwrap() };
        let written = toml::Value::try_from(&file).unwrap();
        assert_eq!(
            written["layers"],
            toml::from_str::<toml::Value>(&format!("layers = {text}")).unwrap()["layers"]
        );
        let json = serde_json::to_string(&file.layers).unwrap();
        assert_eq!(serde_json::from_str::<Layers>(&json).unwrap(), file.layers);
    }
}

#[test]
fn parameters_are_named_by_position() {
    let text = r#"["flatten", { linear = 4 }, { residual = ["relu", { linear = 4 }] },
        { residual = { layers = [{ linear = 6 }], projection = [{ linear = 6 }] } },
        { concat = [[], ["relu", { linear = { units = 2, bias = false } }]] }, "layer_norm"]"#;
    let (_, parameters, shape) = built(text, &[2, 3]).unwrap();
    let names: Vec<_> = parameters.layout().specs().iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(shape, [8]);
    assert_eq!(
        names,
        [
            "1.weight",
            "1.bias",
            "2.1.weight",
            "2.1.bias",
            "3.0.weight",
            "3.0.bias",
            "3.projection.0.weight",
            "3.projection.0.bias",
            "4.1.1.weight",
            "5.weight",
            "5.bias"
        ]
    );
}

#[test]
fn the_shape_that_is_promised_is_given() {
    for (text, input, output) in [
        (
            r#"[{ conv2d = { filters = 32, kernel = 8, stride = 4 } }, "relu", "flatten", { linear = 5 }]"#,
            vec![4, 84, 84],
            vec![5],
        ),
        (r#"[{ conv1d = { filters = 3, kernel = 3, dilation = 2 } }, "layer_norm"]"#, vec![2, 9], vec![3, 5]),
        (r#"[{ linear = 3 }, "rms_norm", { transpose = [0, 1] }]"#, vec![5, 2], vec![3, 5]),
        (r#"[{ reshape = [2, -1] }, { unsqueeze = 0 }]"#, vec![12], vec![1, 2, 6]),
        (
            r#"[{ conv_transpose2d = { filters = 3, kernel = 4, stride = 2, padding = 1 } }]"#,
            vec![2, 5, 6],
            vec![3, 10, 12],
        ),
        (
            r#"[{ pad1d = { before = 1, after = 4, mode = "reflect" } }, "magnitude"]"#,
            vec![4, 5],
            vec![2, 10],
        ),
        (r#"[{ pad2d = { after = [2, 0] } }, { pad2d = 1 }]"#, vec![1, 4, 5], vec![1, 8, 7]),
        (r#"[]"#, vec![3], vec![3]),
    ] {
        let (network, parameters, shape) = built(text, &input).unwrap();
        let x = numbers(&[&[3], input.as_slice()].concat());
        let y = network.forward(&mut Pass::eval(&parameters), &x).unwrap();
        assert_eq!((shape.as_slice(), &y.size()[1..]), (output.as_slice(), output.as_slice()), "{text}");
    }
}

#[test]
fn errors_name_the_layer_by_its_place_and_say_what_to_do() {
    for (text, input, parts) in [
        (r#"[{ linear = 8 }]"#, vec![4, 8, 8], ["layer 0 (linear): ", "put \"flatten\" before it"]),
        (
            r#"["relu", { conv2d = { filters = 4, kernel = 9 } }]"#,
            vec![1, 5, 5],
            ["layer 1 (conv2d): the image is too small", "9x9"],
        ),
        (
            r#"[{ conv2d = { filters = 4, kernel = 1 } }]"#,
            vec![5],
            ["layer 0 (conv2d): it takes images", "[5]"],
        ),
        (
            r#"["relu", { residual = [{ linear = 8 }, { linear = 0 }] }]"#,
            vec![8],
            ["layer 1 (residual), layer 1 (linear): units is 0", "at least 1"],
        ),
        (
            r#"[{ residual = [{ linear = 8 }] }]"#,
            vec![4],
            ["layer 0 (residual): its layers give [8]", "projection"],
        ),
        (
            r#"[{ concat = [[], [{ linear = -1 }]] }]"#,
            vec![4],
            ["layer 0 (concat), branch 1, layer 0 (linear): ", "units is -1"],
        ),
        (r#"[{ add = [[], [{ linear = 2 }]] }]"#, vec![4], ["layer 0 (add): its branch 0 gives [4]", "[2]"]),
        (
            r#"[{ residual = { layers = [], projection = [{ reshape = [3] }] } }]"#,
            vec![4],
            ["layer 0 (residual), projection, layer 0 (reshape): ", "4"],
        ),
        (r#"[{ dropout = 1.5 }]"#, vec![4], ["layer 0 (dropout): dropout is 1.5", "less than 1"]),
        (r#"[{ leaky_relu = -0.2 }]"#, vec![4], ["layer 0 (leaky_relu): slope is -0.2", "0 or more"]),
        (
            r#"[{ leaky_relu = { steepness = 0.2 } }]"#,
            vec![4],
            ["layer 0 (leaky_relu): unknown key `steepness`", "slope"],
        ),
        (r#"[{ group_norm = 3 }]"#, vec![4], ["layer 0 (group_norm): groups is 3", "divides"]),
        (r#"["rleu"]"#, vec![4], ["layer 0: unknown layer `rleu`", "did you mean `relu`?"]),
        (
            r#"["relu", { convd2 = { filters = 3 } }]"#,
            vec![4],
            ["layer 1: unknown layer `convd2`", "did you mean `conv2d`?"],
        ),
        (
            r#"[{ conv2d = { filtres = 3, kernel = 3 } }]"#,
            vec![4],
            ["layer 0 (conv2d): unknown key `filtres`", "did you mean `filters`?"],
        ),
        (
            r#"["relu", { residual = [{ linear = { unit = 3 } }] }]"#,
            vec![4],
            ["layer 1 (residual), layer 0 (linear): unknown key `unit`", "`units`"],
        ),
        (r#"[{ conv2d = { filters = 3 } }]"#, vec![4], ["layer 0 (conv2d): ", "missing field `kernel`"]),
        (r#"["conv2d"]"#, vec![4], ["layer 0 (conv2d): it needs settings", "{ conv2d = ... }"]),
        (r#"[{ relu = 3 }]"#, vec![4], ["layer 0 (relu): ", "it has no settings: write \"relu\""]),
        (r#"[{ transformer = 2 }]"#, vec![4], ["layer 0 (transformer): ", "a table of its settings"]),
        (r#"[{ linear = 3, relu = 1 }]"#, vec![4], ["layer 0 (linear): ", "`relu` is a second one"]),
        (r#"[{ linear = 3 }]"#, vec![0], ["[0]", "at least 1"]),
        (
            r#"[{ linear = 9223372036854775807 }]"#,
            vec![3],
            ["layer 0 (linear): units is 9", "give less than"],
        ),
        (
            r#"[{ reshape = [9223372036854775807, 4] }]"#,
            vec![3],
            ["layer 0 (reshape): ", "whose product is 3"],
        ),
        (
            r#"["relu", { upsample = 2000000 }]"#,
            vec![1, 9, 9],
            ["layer 1 (upsample): it would give", "fewer than"],
        ),
        (r#"[{ linear = 3 }]"#, vec![9223372036854775807, 2], ["it would give", "fewer than"]),
        (r#"[{ attention = { heads = 4 } }]"#, vec![4], ["layer 0 (attention): it takes sequences", "[4]"]),
        (
            r#"["tanh", { embedding = { vocabulary = 3, width = 2 } }]"#,
            vec![4],
            ["layer 1 (embedding): ", "first"],
        ),
        (
            r#"[{ embedding = { vocabulary = 3 } }]"#,
            vec![4],
            ["layer 0 (embedding): ", "missing field `width`"],
        ),
        (
            r#"[{ max_pool2d = { kernel = 3, padding = 2 } }]"#,
            vec![1, 9, 9],
            ["layer 0 (max_pool2d): ", "half"],
        ),
        (r#"[{ avg_pool1d = 9 }]"#, vec![1, 4], ["layer 0 (avg_pool1d): ", "too small for windows of [9]"]),
        (
            r#"[{ pad1d = { after = 4, mode = "reflect" } }]"#,
            vec![1, 4],
            ["layer 0 (pad1d): after is 4: give at most 3", "[1, 4]"],
        ),
        (r#"[{ pad1d = -1 }]"#, vec![1, 4], ["layer 0 (pad1d): before is -1", "at least 0"]),
        (r#"[{ pad2d = 1 }]"#, vec![1, 4], ["layer 0 (pad2d): it takes images", "[1, 4]"]),
        (r#"["magnitude"]"#, vec![3, 4], ["layer 0 (magnitude): it takes", "even number of channels"]),
        (r#"[{ mean = 2 }]"#, vec![1, 4], ["layer 0 (mean): the dimension is 2", "-2 to 1"]),
        (r#"[{ linear = 3.5 }]"#, vec![1], ["layer 0 (linear): ", "a whole number"]),
    ] {
        let message = built(text, &input).unwrap_err();
        assert!(parts.iter().all(|part| message.contains(part)), "{text}: {message}");
    }
}

/// A list reads each sequence from an empty memory, batch first: the same numbers as the stack itself gives.
#[test]
fn recurrent_layers_read_sequences_as_the_stack_does() {
    for (text, config) in [
        (r#"[{ lstm = 5 }]"#, RecurrentStackConfig::new(Cell::Lstm, 5)),
        (
            r#"[{ gru = { size = 4, layers = 2, bidirectional = true } }]"#,
            RecurrentStackConfig {
                layers: 2,
                bidirectional: true,
                ..RecurrentStackConfig::new(Cell::Gru, 4)
            },
        ),
    ] {
        let (network, parameters, shape) = built(text, &[7, 3]).unwrap();
        let mut layout = crate::Layout::new();
        let stack = RecurrentStack::new(&mut layout, "0.", 3, &config, Init::Torch).unwrap();
        let x = Tensor::arange(6 * 7 * 3, FLOAT_CPU).sin().reshape([6, 7, 3]);
        let by_list = network.forward(&mut Pass::eval(&parameters), &x).unwrap();
        assert_eq!(by_list.size()[1..], shape);
        let (starts, state) =
            (Tensor::zeros([7, 6], FLOAT_CPU), Tensor::zeros([6, stack.state_width()], FLOAT_CPU));
        let steps_first = x.transpose(0, 1).contiguous();
        let sequence = Sequence { x: &steps_first, starts: &starts, state: &state };
        let by_stack = stack.forward(&mut Pass::eval(&parameters), &sequence).unwrap().outputs;
        assert_eq!(by_list, by_stack.transpose(0, 1));
    }
}

#[test]
fn a_position_embedding_adds_the_vector_of_each_place() {
    let (network, parameters, shape) = built(r#"[{ position_embedding = 9 }]"#, &[4, 3]).unwrap();
    assert_eq!(shape, [4, 3]);
    let x = Tensor::arange(24, FLOAT_CPU).reshape([2, 4, 3]);
    let y = network.forward(&mut Pass::eval(&parameters), &x).unwrap();
    let places = parameters.get(parameters.layout().ids().next().unwrap()).narrow(0, 0, 4);
    assert_eq!(y - &x, (&x + places) - &x);
    let error = built(r#"[{ position_embedding = 3 }]"#, &[4, 3]).err().unwrap().to_string();
    assert!(error.contains("layer 0 (position_embedding)") && error.contains("4 steps"), "{error}");
}
