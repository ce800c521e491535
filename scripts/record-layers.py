"""Records layers of PyTorch with their weights, outputs and gradients, as fixtures for the tests of `nn`.

    pip install torch==2.11.0 torchvision==0.26.0 safetensors
    python scripts/record-layers.py

Writes to `nn/tests/fixtures`:

* `layers.json`: for each case the list of layers as Pavlov reads it, and the shape of one sample;
* `layers.safetensors`: for each case `NAME.state.*` (the state_dict), `NAME.input`, and for the modes `train` and `eval`
  `NAME.MODE.output`, `NAME.MODE.input_gradient`, `NAME.MODE.gradient.*` and, after the pass, `NAME.MODE.buffer.*`. The
  gradients are those of `(output * cos(arange)).sum()`. `train` is recorded where there is batch norm: everything else does
  the same in both modes, but for dropout, which draws its own numbers;
* for attention between two sequences and for recurrent layers the same, with what goes in beside it;
* `resnet18.safetensors`: outputs of torchvision's ResNet-18, whose weights come from the formula in `formula`.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

FIXTURES = Path(__file__).resolve().parent.parent / "nn" / "tests" / "fixtures"


class Residual(nn.Sequential):
    def forward(self, x):
        layers = [layer for name, layer in self.named_children() if name != "projection"]
        y = x
        for layer in layers:
            y = layer(y)
        kept = self.projection(x) if hasattr(self, "projection") else x
        return kept + y


def projected(layers, projection):
    residual = Residual(*layers)
    residual.projection = projection
    return residual


class Branches(nn.ModuleList):
    def __init__(self, branches, join):
        super().__init__(branches)
        self.join = join

    def forward(self, x):
        return self.join([branch(x) for branch in self])


class Call(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class SelfAttention(nn.MultiheadAttention):
    def __init__(self, *args, causal=False):
        super().__init__(*args, batch_first=True)
        self.causal = causal

    def forward(self, x):
        steps = x.shape[1]
        mask = torch.ones(steps, steps, dtype=torch.bool).triu(1) if self.causal else None
        return super().forward(x, x, x, attn_mask=mask, need_weights=False)[0]


class Encoder(nn.TransformerEncoder):
    def __init__(self, *args, causal=False, **kwargs):
        super().__init__(*args, enable_nested_tensor=False, **kwargs)
        self.causal = causal

    def forward(self, x):
        steps = x.shape[1]
        mask = torch.ones(steps, steps, dtype=torch.bool).triu(1) if self.causal else None
        return super().forward(x, mask=mask)


def magnitude(x):
    re, im = x.chunk(2, 1)
    return (re**2 + im**2).sqrt()


def block(width, heads, feedforward, **kwargs):
    return nn.TransformerEncoderLayer(width, heads, feedforward, dropout=0.0, batch_first=True, **kwargs)


# Each case: the list of layers, the shape of one sample, the modules of PyTorch.
CASES = {
    "linear": ("[{ linear = 4 }]", [3], [nn.Linear(3, 4)]),
    "linear_without_bias": ("[{ linear = { units = 4, bias = false } }]", [3], [nn.Linear(3, 4, bias=False)]),
    "linear_of_sequences": ("[{ linear = 4 }]", [5, 3], [nn.Linear(3, 4)]),
    "conv1d": ("[{ conv1d = { filters = 4, kernel = 3 } }]", [2, 7], [nn.Conv1d(2, 4, 3)]),
    "conv1d_all": (
        "[{ conv1d = { filters = 4, kernel = 3, stride = 2, padding = 2, dilation = 2, groups = 2, bias = false } }]",
        [2, 9], [nn.Conv1d(2, 4, 3, 2, 2, 2, 2, False)],
    ),
    "conv2d": ("[{ conv2d = { filters = 3, kernel = 3 } }]", [2, 6, 5], [nn.Conv2d(2, 3, 3)]),
    "conv2d_all": (
        "[{ conv2d = { filters = 4, kernel = [3, 2], stride = [2, 1], padding = [1, 2], dilation = [1, 2], groups = 2 } }]",
        [2, 6, 5], [nn.Conv2d(2, 4, (3, 2), (2, 1), (1, 2), (1, 2), 2)],
    ),
    "conv2d_relu": (
        "[{ conv2d = { filters = 5, kernel = 3, stride = 2 } }, 'relu', { conv2d = { filters = 3, kernel = 2, padding = 1 } }, "
        "'relu', 'flatten', { linear = 2 }]",
        [2, 8, 7],
        [nn.Conv2d(2, 5, 3, 2), nn.ReLU(), nn.Conv2d(5, 3, 2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2)],
    ),
    "conv_transpose2d": (
        "[{ conv_transpose2d = { filters = 3, kernel = 3 } }]", [2, 4, 3], [nn.ConvTranspose2d(2, 3, 3)],
    ),
    "conv_transpose2d_all": (
        "[{ conv_transpose2d = { filters = 4, kernel = [4, 3], stride = 2, padding = 1, output_padding = [0, 1], groups = 2, "
        "dilation = [1, 2], bias = false } }]",
        [2, 4, 3], [nn.ConvTranspose2d(2, 4, (4, 3), 2, 1, (0, 1), 2, False, (1, 2))],
    ),
    "pad1d": ("[{ pad1d = 2 }]", [2, 4], [nn.ZeroPad1d(2)]),
    "pad1d_reflect": ("[{ pad1d = { after = 3, mode = 'reflect' } }]", [2, 4], [nn.ReflectionPad1d((0, 3))]),
    "pad1d_replicate": ("[{ pad1d = { before = 5, after = 1, mode = 'replicate' } }]", [2, 4], [nn.ReplicationPad1d((5, 1))]),
    "pad1d_circular": ("[{ pad1d = { before = 4, after = 2, mode = 'circular' } }]", [2, 4], [nn.CircularPad1d((4, 2))]),
    "pad2d": ("[{ pad2d = { before = [1, 2], after = [0, 3] } }]", [2, 3, 4], [nn.ZeroPad2d((2, 3, 1, 0))]),
    "pad2d_reflect": (
        "[{ pad2d = { before = [1, 0], after = 2, mode = 'reflect' } }]", [2, 3, 4], [nn.ReflectionPad2d((0, 2, 1, 2))],
    ),
    "magnitude": ("['magnitude']", [6, 4], [Call(magnitude)]),
    "spectrogram": (
        "[{ unsqueeze = 0 }, { pad1d = { after = 4, mode = 'reflect' } }, { conv1d = { filters = 10, kernel = 8, stride = 4, "
        "bias = false } }, 'magnitude']",
        [24],
        [Call(lambda x: x.unsqueeze(1)), nn.ReflectionPad1d((0, 4)), nn.Conv1d(1, 10, 8, 4, bias=False), Call(magnitude)],
    ),
    "max_pool1d": ("[{ max_pool1d = 2 }]", [2, 7], [nn.MaxPool1d(2)]),
    "max_pool1d_all": (
        "[{ max_pool1d = { kernel = 3, stride = 2, padding = 1, dilation = 2 } }]", [2, 9], [nn.MaxPool1d(3, 2, 1, 2)],
    ),
    "avg_pool1d": ("[{ avg_pool1d = { kernel = 3, stride = 2, padding = 1, count_padding = false } }]", [2, 7],
                   [nn.AvgPool1d(3, 2, 1, False, False)]),
    "max_pool2d": ("[{ max_pool2d = 2 }]", [2, 6, 5], [nn.MaxPool2d(2)]),
    "max_pool2d_all": (
        "[{ max_pool2d = { kernel = [3, 2], stride = [2, 1], padding = [1, 0], dilation = [1, 2] } }]",
        [2, 6, 5], [nn.MaxPool2d((3, 2), (2, 1), (1, 0), (1, 2))],
    ),
    "avg_pool2d": ("[{ avg_pool2d = { kernel = 3, stride = 2, padding = 1 } }]", [2, 6, 5], [nn.AvgPool2d(3, 2, 1)]),
    "avg_pool2d_all": (
        "[{ avg_pool2d = { kernel = [3, 2], stride = [1, 2], padding = [1, 1], count_padding = false } }]",
        [2, 6, 5], [nn.AvgPool2d((3, 2), (1, 2), (1, 1), count_include_pad=False)],
    ),
    "adaptive_avg_pool1d": ("[{ adaptive_avg_pool1d = 3 }]", [2, 7], [nn.AdaptiveAvgPool1d(3)]),
    "adaptive_max_pool1d": ("[{ adaptive_max_pool1d = 3 }]", [2, 7], [nn.AdaptiveMaxPool1d(3)]),
    "adaptive_avg_pool2d": ("[{ adaptive_avg_pool2d = [3, 2] }]", [2, 7, 5], [nn.AdaptiveAvgPool2d((3, 2))]),
    "adaptive_max_pool2d": ("[{ adaptive_max_pool2d = 2 }]", [2, 7, 5], [nn.AdaptiveMaxPool2d(2)]),
    "batch_norm_of_rows": ("['batch_norm']", [4], [nn.BatchNorm1d(4)]),
    "batch_norm_of_sequences": (
        "[{ batch_norm = { eps = 0.01, momentum = 0.3 } }]", [3, 5], [nn.BatchNorm1d(3, 0.01, 0.3)],
    ),
    "batch_norm_of_images": ("['batch_norm']", [3, 4, 2], [nn.BatchNorm2d(3)]),
    "batch_norm_without_weights": (
        "[{ batch_norm = { affine = false } }]", [3, 4, 2], [nn.BatchNorm2d(3, affine=False)],
    ),
    "layer_norm": ("['layer_norm']", [5], [nn.LayerNorm(5)]),
    "layer_norm_of_images": ("[{ layer_norm = { eps = 0.01 } }]", [2, 3, 4], [nn.LayerNorm((2, 3, 4), 0.01)]),
    "layer_norm_of_two": ("[{ layer_norm = { dimensions = 2, bias = false } }]", [3, 4], [nn.LayerNorm((3, 4), bias=False)]),
    "layer_norm_without_weights": (
        "[{ layer_norm = { affine = false } }]", [3, 4], [nn.LayerNorm(4, elementwise_affine=False)],
    ),
    "group_norm": ("[{ group_norm = 2 }]", [4, 3, 2], [nn.GroupNorm(2, 4)]),
    "group_norm_of_rows": ("[{ group_norm = { groups = 3, eps = 0.01 } }]", [6], [nn.GroupNorm(3, 6, 0.01)]),
    "rms_norm": ("['rms_norm']", [5], [nn.RMSNorm(5)]),
    "rms_norm_of_two": (
        "[{ rms_norm = { dimensions = 2, eps = 0.01, affine = false } }]", [3, 4],
        [nn.RMSNorm((3, 4), 0.01, elementwise_affine=False)],
    ),
    "embedding": ("[{ embedding = { vocabulary = 7, width = 3 } }, 'tanh']", [4], [nn.Embedding(7, 3), nn.Tanh()]),
    "attention": ("[{ attention = { heads = 2 } }]", [5, 6], [SelfAttention(6, 2)]),
    "attention_causal": (
        "[{ attention = { heads = 3, causal = true, bias = false } }]", [5, 6], [SelfAttention(6, 3, 0.0, False, causal=True)],
    ),
    "transformer_block": (
        "[{ transformer_block = { heads = 2, feedforward = 7, dropout = 0.0 } }]", [4, 6], [block(6, 2, 7)],
    ),
    "transformer_block_norm_first": (
        "[{ transformer_block = { heads = 2, feedforward = 7, dropout = 0.0, activation = 'gelu', norm_first = true, "
        "eps = 0.01 } }]",
        [4, 6], [block(6, 2, 7, activation="gelu", norm_first=True, layer_norm_eps=0.01)],
    ),
    "transformer": (
        "[{ transformer = { layers = 2, heads = 2, feedforward = 7, dropout = 0.0, norm_first = true, final_norm = true, "
        "causal = true } }]",
        [4, 6], [Encoder(block(6, 2, 7, norm_first=True), 2, norm=nn.LayerNorm(6), causal=True)],
    ),
    "transformer_with_dropout": (
        "[{ transformer = { layers = 2, heads = 2, feedforward = 7 } }]", [4, 6],
        [Encoder(nn.TransformerEncoderLayer(6, 2, 7, batch_first=True), 2)],
    ),
    "encoder": (
        "[{ embedding = { vocabulary = 9, width = 8 } }, { transformer = { layers = 2, heads = 4, feedforward = 16, "
        "dropout = 0.0 } }, { mean = 0 }, { linear = 3 }]",
        [6], [nn.Embedding(9, 8), Encoder(block(8, 4, 16), 2), Call(lambda x: x.mean(1)), nn.Linear(8, 3)],
    ),
    "mlp": (
        "[{ linear = 6 }, 'tanh', { linear = 5 }, 'tanh', { linear = 4 }, 'relu', { linear = 3 }, 'sigmoid', 'sigmoid']", [4],
        [nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3), nn.Sigmoid(),
         nn.Sigmoid()],
    ),
    "mlp_with_layer_norm": (
        "[{ linear = 6 }, 'layer_norm', 'relu', { linear = 6 }, 'layer_norm', 'relu', { linear = 2 }]", [4],
        [nn.Linear(4, 6), nn.LayerNorm(6), nn.ReLU(), nn.Linear(6, 6), nn.LayerNorm(6), nn.ReLU(), nn.Linear(6, 2)],
    ),
    "mlp_with_dropout": (
        "[{ linear = 6 }, 'silu', { dropout = 0.3 }, { linear = 6 }, 'silu', 'dropout', { linear = 2 }]", [4],
        [nn.Linear(4, 6), nn.SiLU(), nn.Dropout(0.3), nn.Linear(6, 6), nn.SiLU(), nn.Dropout(), nn.Linear(6, 2)],
    ),
    "relu": ("['relu']", [5], [nn.ReLU()]),
    "leaky_relu": ("['leaky_relu']", [5], [nn.LeakyReLU()]),
    "elu": ("['elu']", [5], [nn.ELU()]),
    "gelu": ("['gelu']", [5], [nn.GELU()]),
    "silu": ("['silu']", [5], [nn.SiLU()]),
    "tanh": ("['tanh']", [5], [nn.Tanh()]),
    "sigmoid": ("['sigmoid']", [5], [nn.Sigmoid()]),
    "identity": ("['identity']", [5], [nn.Identity()]),
    "flatten": ("[{ flatten = { first = 1 } }]", [2, 3, 2], [nn.Flatten(2)]),
    "reshape": ("[{ reshape = [3, -1] }, { transpose = [0, 1] }, { unsqueeze = 0 }]", [6],
                [nn.Unflatten(1, (3, 2)), Call(lambda x: x.transpose(1, 2).unsqueeze(1))]),
    "upsample": ("[{ upsample = 2 }]", [2, 3, 2], [nn.Upsample(scale_factor=2)]),
    "upsample_bilinear": (
        "[{ upsample = { scale = [2, 3], mode = 'bilinear' } }]", [2, 3, 2], [nn.Upsample(scale_factor=(2, 3), mode="bilinear")],
    ),
    "upsample_bilinear_corners": (
        "[{ upsample = { scale = 2, mode = 'bilinear', align_corners = true } }]", [2, 3, 2],
        [nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)],
    ),
    "mean": ("[{ mean = { dimension = 1, keep = true } }]", [2, 3, 2], [Call(lambda x: x.mean(2, keepdim=True))]),
    "max": ("[{ max = -1 }]", [2, 3], [Call(lambda x: x.amax(-1))]),
    "residual": (
        "[{ residual = [{ linear = 4 }, 'relu', { linear = 4 }] }]", [4],
        [Residual(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))],
    ),
    "residual_block": (
        "[{ residual = { layers = [{ conv2d = { filters = 4, kernel = 3, stride = 2, padding = 1, bias = false } }, "
        "'batch_norm', 'relu'], projection = [{ conv2d = { filters = 4, kernel = 1, stride = 2, bias = false } }, "
        "'batch_norm'] } }, 'relu']",
        [2, 5, 4],
        [projected([nn.Conv2d(2, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU()],
                   nn.Sequential(nn.Conv2d(2, 4, 1, 2, bias=False), nn.BatchNorm2d(4))), nn.ReLU()],
    ),
    "concat": (
        "[{ concat = [[{ conv2d = { filters = 3, kernel = 1 } }], [{ conv2d = { filters = 2, kernel = 3, padding = 1 } }, 'tanh'],"
        " []] }]",
        [2, 3, 4],
        [Branches([nn.Sequential(nn.Conv2d(2, 3, 1)), nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.Tanh()), nn.Sequential()],
                  lambda each: torch.cat(each, 1))],
    ),
    "add": (
        "[{ add = [[{ linear = 3 }, 'tanh'], [{ linear = 3 }], ['sigmoid']] }]", [3],
        [Branches([nn.Sequential(nn.Linear(3, 3), nn.Tanh()), nn.Sequential(nn.Linear(3, 3)), nn.Sequential(nn.Sigmoid())], sum)],
    ),
}  # fmt: skip


def cotangent(output):
    return torch.arange(output.numel(), dtype=torch.float32).cos().reshape(output.shape)


def given(name, shape):
    if name in ("embedding", "encoder"):
        return torch.randint(0, 7, (3, *shape))
    return torch.randn(3, *shape)


def scramble(module):
    """Weights of norms and running statistics that are not all ones and zeros, and attention's biases."""
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point() and tensor.dim() == 1:
            tensor.add_(torch.randn_like(tensor) * 0.3)


def passes(record, prefix, module, call, gets_gradients):
    """One forward and backward pass of a mode, into `record`."""
    module.zero_grad()
    output = call()
    if output.requires_grad:
        (output * cotangent(output)).sum().backward()
    record[f"{prefix}.output"] = output.detach().contiguous()
    for name, tensor in gets_gradients.items():
        if tensor.grad is not None:
            record[f"{prefix}.{name}_gradient"] = tensor.grad.clone()
            tensor.grad = None
    for name, parameter in module.named_parameters():
        record[f"{prefix}.gradient.{name}"] = parameter.grad.clone()
    for name, buffer in module.named_buffers():
        record[f"{prefix}.buffer.{name}"] = buffer.clone()


def record_layers():
    texts, record = {}, {}
    for name, (text, shape, layers) in CASES.items():
        module = nn.Sequential(*layers)
        with torch.no_grad():
            scramble(module)
        x = given(name, shape)
        texts[name] = {"layers": text.replace("'", '"'), "shape": shape}
        state = {key: value.clone() for key, value in module.state_dict().items()}
        record |= {f"{name}.state.{key}": value for key, value in state.items()} | {f"{name}.input": x.clone()}
        by_batch = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())
        for mode in ["train", "eval"] if by_batch else ["eval"]:
            own = x.clone().requires_grad_() if x.is_floating_point() else x
            module.load_state_dict(state)
            module.train(mode == "train")
            passes(record, f"{name}.{mode}", module, lambda: module(own), {"input": own})
    return texts, record


def record_cross_attention():
    """Attention of 3 queries to 5 keys, of which some are padding."""
    module = nn.MultiheadAttention(6, 2, batch_first=True)
    with torch.no_grad():
        scramble(module)
    parts = {"query": torch.randn(2, 3, 6), "key": torch.randn(2, 5, 6), "value": torch.randn(2, 5, 6)}
    padding = torch.tensor([[0, 0, 0, 1, 1], [0, 1, 0, 0, 0]])
    record = {f"cross.state.{key}": value.clone() for key, value in module.state_dict().items()}
    record |= {f"cross.{key}": value.clone() for key, value in parts.items()}
    record["cross.padding"] = padding
    for part in parts.values():
        part.requires_grad_()
    call = lambda: module(*parts.values(), key_padding_mask=padding.bool(), need_weights=False)[0]  # noqa: E731
    passes(record, "cross.eval", module, call, parts)
    return record


def record_recurrent():
    record = {}
    for name, kind, layers, bidirectional in [
        ("lstm", nn.LSTM, 2, False), ("gru", nn.GRU, 3, False), ("lstm_both", nn.LSTM, 2, True), ("gru_both", nn.GRU, 1, True),
    ]:  # fmt: skip
        module = kind(3, 4, layers, bidirectional=bidirectional)
        x, parts = torch.randn(5, 2, 3), layers * (2 if bidirectional else 1)
        h, c = torch.randn(parts, 2, 4), torch.randn(parts, 2, 4)
        record |= {f"{name}.state.{key}": value.clone() for key, value in module.state_dict().items()}
        record |= {f"{name}.input": x.clone(), f"{name}.h": h, f"{name}.c": c}
        x.requires_grad_()
        state = (h, c) if kind is nn.LSTM else h
        passes(record, f"{name}.eval", module, lambda: module(x, state)[0], {"input": x})
        last = module(x, state)[1]
        record[f"{name}.last_h"] = (last[0] if kind is nn.LSTM else last).detach()
    return record


def formula(state):
    """Weights for a state_dict that need no file: with `u = frac(sin(12.9898 i + 78.233 k) * 43758.5453)` in f64, for number
    `i` of the `k`-th tensor, in f32: weights of convolutions and linear layers are `(2 u - 1) sqrt(3 / fan_in)`, those of norms
    `0.75 + u / 2`, biases and running means `0.4 u - 0.2`, running variances `0.5 + u`."""
    for k, (name, tensor) in enumerate(state.items()):
        if not tensor.is_floating_point():
            continue
        i = torch.arange(tensor.numel(), dtype=torch.float64)
        u = (torch.sin(12.9898 * i + 78.233 * k) * 43758.5453).frac().abs().reshape(tensor.shape)
        if tensor.dim() > 1:
            value = (2 * u - 1) * (3 / tensor[0].numel()) ** 0.5
        elif name.endswith("running_var"):
            value = 0.5 + u
        elif name.endswith("weight"):
            value = 0.75 + u / 2
        else:
            value = 0.4 * u - 0.2
        tensor.copy_(value.float())


def record_resnet():
    from torchvision.models import resnet18

    network = resnet18(num_classes=10)
    record = {}
    with torch.no_grad():
        formula(network.state_dict())
        x = (torch.arange(2 * 3 * 64 * 64, dtype=torch.float64) * 0.37).sin().float().reshape(2, 3, 64, 64)
        record["eval.output"] = network.eval()(x)
        record["train.output"] = network.train()(x)
        record["train.running_var"] = network.layer4[1].bn2.running_var.clone()
    # In the order of the state_dict, which the formula counts by.
    names = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    return names, record


def main():
    torch.manual_seed(7)
    texts, record = record_layers()
    record |= record_cross_attention() | record_recurrent()
    names, resnet = record_resnet()
    save_file(record, FIXTURES / "layers.safetensors")
    save_file(resnet, FIXTURES / "resnet18.safetensors")
    (FIXTURES / "layers.json").write_text(json.dumps(texts, indent=1) + "\n")
    (FIXTURES / "resnet18.json").write_text(json.dumps(names, indent=0) + "\n")
    for path in sorted([*FIXTURES.glob("layers.*"), *FIXTURES.glob("resnet18.*")]):
        print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
